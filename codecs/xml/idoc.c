#include "codecs/xml/reader.h"

#include <string.h>

#define NOTHING ((struct value){0})

/* Depths: the root, IDOC, and its segments, of which the first is the control record. */
#define IDOC_DEPTH    2u
#define SEGMENT_DEPTH 3u

static const char *const controls[] = {
    [XML_IDOCTYP] = "IDOCTYP", [XML_MESTYP] = "MESTYP", [XML_CIMTYP] = "CIMTYP", [XML_DOCREL] = "DOCREL",
    [XML_DOCNUM] = "DOCNUM",   [XML_TEST] = "TEST",     [XML_SNDPRN] = "SNDPRN", [XML_SNDPRT] = "SNDPRT",
    [XML_RCVPRN] = "RCVPRN",   [XML_RCVPRT] = "RCVPRT", [XML_CREDAT] = "CREDAT", [XML_CRETIM] = "CRETIM",
    [XML_ARCKEY] = "ARCKEY",   [XML_MANDT] = "MANDT",
};

static struct value control(const struct xml_reader *reader, enum xml_control which) {
    struct xml_span span = reader->head.controls[which];
    return span.length > 0 ? xml_value(&reader->head.kept, span) : NOTHING;
}

/* The text if it is so many digits, and not all of them 0, as SAP writes a date that is none. */
static struct value digits(struct value text, uint32_t count, bool zeros) {
    bool zero = true;
    if (!text.bytes)
        return NOTHING;
    for (uint32_t i = 0; i < text.length; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9')
            return NOTHING;
        zero = zero && text.bytes[i] == '0';
    }
    return text.length == count && (zeros || !zero) ? text : NOTHING;
}

static void message_begin(struct xml_reader *reader) {
    struct value name = control(reader, XML_IDOCTYP);
    struct document_head head = {
        .format = {(const uint8_t *)"IDOC", 4, false},
        .name = name.length > 0 ? name : xml_frame_name(reader, xml_frame(reader, 1)),
        .version = control(reader, XML_DOCREL),
        .association = control(reader, XML_CIMTYP),
        .variant = control(reader, XML_MESTYP),
        .sender = {control(reader, XML_SNDPRN), control(reader, XML_SNDPRT)},
        .receiver = {control(reader, XML_RCVPRN), control(reader, XML_RCVPRT)},
        .interchange_ref = control(reader, XML_ARCKEY),
        .group_ref = control(reader, XML_MANDT),
        .message_ref = control(reader, XML_DOCNUM),
        .date = digits(control(reader, XML_CREDAT), 8, false),
        .time = digits(control(reader, XML_CRETIM), 6, true),
        .test = control(reader, XML_TEST).length > 0,
        .offset = xml_frame(reader, IDOC_DEPTH)->offset,
    };
    xml_message_begin(reader, &head);
}

/* The first segment of an IDOC says what it is; one that is no control record says nothing. */
static void first_segment(struct xml_reader *reader, const struct xml_frame *frame) {
    message_begin(reader);
    if (reader->bom && reader->messages == 0)
        xml_tell(reader, FINDING_BOM, (struct place){.length = 3, .line = 1}, NOTHING, NOTHING);
    if (!value_is(xml_frame_name(reader, frame), "EDI_DC40"))
        xml_tell(reader, FINDING_IDOC_XML_CONTROL, reader->leaf.place, xml_frame_name(reader, frame),
                 NOTHING);
}

/* ---- segments ---- */

static void idoc_begins(struct xml_reader *reader) {
    if (reader->messages >= reader->report.profile.messages_max) {
        xml_stop_here(reader, FINDING_TOO_LARGE, "IDOC", 4);
        return;
    }
    if (!xml_push(reader, "IDOC", 4))
        return;
    struct xml_bytes kept = reader->head.kept;
    kept.length = 0;
    reader->head = (struct xml_head){.kept = kept};
    reader->message = true;
    reader->told_fields = false;
    reader->segments = 0;
}

static bool in_control(const struct xml_reader *reader) {
    return reader->message && !reader->begun;
}

/* The segment that is open, with the fields that were read: alone, or as the beginning of an aggregate. */
static void segment_out(struct xml_reader *reader, uint32_t depth, bool aggregate) {
    struct xml_frame *frame = xml_frame(reader, depth);
    reader->leaf.place.length = (uint32_t)(xml_offset(reader) - frame->offset);
    if (in_control(reader))
        first_segment(reader, frame);
    if (aggregate)
        xml_aggregate_begin(reader, frame);
    xml_segment(reader, xml_frame_name(reader, frame));
}

/* `_-` stands for a slash, which no name of XML can have. Returns the length. */
static size_t sap_name(char to[XML_NAME_MAX], const char *name) {
    size_t n = 0;
    for (; *name && n < XML_NAME_MAX; name++)
        if (name[0] == '_' && name[1] == '-') {
            to[n++] = '/';
            name++;
        } else {
            to[n++] = *name;
        }
    return *name ? XML_NAME_MAX + 1 : n;
}

static bool is_segment(const char **attributes) {
    for (; attributes[0]; attributes += 2)
        if (strcmp(attributes[0], "SEGMENT") == 0)
            return true;
    return false;
}

/* What was taken for a field has something inside, so it is a segment. */
static void field_is_segment(struct xml_reader *reader) {
    uint32_t depth = reader->depth;
    if (!xml_frame(reader, depth - 1)->begun)
        segment_out(reader, depth - 1, true);
    xml_frame(reader, depth)->segment = true;
    reader->open = false;
    if (!reader->stopped)
        xml_leaf_begin(reader);
}

void xml_idoc_start(struct xml_reader *reader, const char *name, const char **attributes) {
    char local[XML_NAME_MAX];
    size_t length = sap_name(local, name);
    if (reader->depth == 1) {
        if (strcmp(name, "IDOC") == 0)
            idoc_begins(reader);
        else
            xml_stop_here(reader, FINDING_XML_UNKNOWN_ROOT, name, strlen(name));
        return;
    }
    bool top = reader->depth == IDOC_DEPTH;
    bool segment = top || is_segment(attributes);
    if (!top && !xml_frame(reader, reader->depth)->segment)
        field_is_segment(reader);
    if (!top && segment && !reader->stopped && !xml_frame(reader, reader->depth)->begun)
        segment_out(reader, reader->depth, true);
    if (reader->stopped || !xml_push(reader, local, length))
        return;
    xml_frame(reader, reader->depth)->segment = segment;
    if (segment) {
        xml_leaf_begin(reader);
        reader->open = false;
        return;
    }
    reader->leaf.text = (uint32_t)reader->leaf.bytes.length;
    reader->open = true;
}

/* ---- fields ---- */

static void control_field(struct xml_reader *reader, struct value name, struct xml_span text) {
    struct xml_head *head = &reader->head;
    for (enum xml_control i = 0; i < XML_CONTROLS; i++)
        if (head->controls[i].length == 0 && value_is(name, controls[i])) {
            head->controls[i] = (struct xml_span){0, (uint32_t)head->kept.length, text.length};
            (void)xml_bytes_add(reader, &head->kept, reader->leaf.bytes.bytes + text.offset, text.length);
        }
}

static void field_ends(struct xml_reader *reader) {
    const struct xml_frame *frame = xml_frame(reader, reader->depth),
                           *segment = xml_frame(reader, reader->depth - 1);
    struct value name = xml_frame_name(reader, frame), of = xml_frame_name(reader, segment);
    struct place place = {.offset = frame->offset, .line = frame->line};
    struct xml_span text = xml_leaf_text(reader, true);
    if (text.length == 0)
        return;
    if (segment->begun) {
        xml_tell(reader, FINDING_IDOC_XML_FIELD_LATE, place, of, name);
        return;
    }
    if (in_control(reader))
        control_field(reader, name, text);
    uint32_t number = !reader->options.field
                          ? 0
                          : reader->options.field(reader->options.context, (const char *)of.bytes, of.length,
                                                  (const char *)name.bytes, name.length);
    if (number > 0)
        (void)xml_leaf_span(reader, number, text.offset, text.length);
    else if (reader->begun && !reader->told_fields) {
        reader->told_fields = true;
        xml_tell(reader, FINDING_IDOC_XML_FIELD_UNKNOWN, place, of, name);
    }
}

void xml_idoc_end(struct xml_reader *reader) {
    struct xml_frame *frame = xml_frame(reader, reader->depth);
    reader->open = false;
    if (reader->depth == IDOC_DEPTH) {
        if (in_control(reader)) {
            reader->leaf.place = (struct place){.offset = frame->offset, .line = frame->line};
            message_begin(reader);
            xml_tell(reader, FINDING_IDOC_XML_CONTROL, reader->leaf.place, NOTHING, NOTHING);
        }
        xml_message_end(reader);
    } else if (!frame->segment) {
        field_ends(reader);
    } else if (frame->begun) {
        xml_aggregate_end(reader, frame);
    } else {
        segment_out(reader, reader->depth, false);
    }
    if (!reader->stopped)
        xml_pop(reader);
}
