#include "codecs/xml/reader.h"

#include <string.h>

/* What is held: records one behind the other, each followed by its spans, its name, and its bytes. */
enum held_kind { HELD_BEGIN, HELD_SEGMENT, HELD_END, HELD_FINDING };

struct held {
    enum held_kind kind;
    enum finding_code code;
    struct place place; /* of a BEGIN and an END only the offset */
    uint64_t length;    /* END */
    uint32_t segments;  /* END */
    uint32_t spans, name, bytes;
};

#define HELD_ALIGN 8u

static void hold(struct xml_reader *reader, struct held held, struct value name, const struct xml_span *spans,
                 struct value bytes) {
    static const uint8_t pad[HELD_ALIGN];
    held.name = name.length;
    held.bytes = bytes.length;
    struct xml_bytes *to = &reader->held;
    if (!xml_bytes_add(reader, to, &held, sizeof held) ||
        !xml_bytes_add(reader, to, spans, held.spans * sizeof *spans) ||
        !xml_bytes_add(reader, to, name.bytes, name.length) ||
        !xml_bytes_add(reader, to, bytes.bytes, bytes.length))
        return;
    (void)xml_bytes_add(reader, to, pad, (HELD_ALIGN - to->length % HELD_ALIGN) % HELD_ALIGN);
    if (to->length > XML_HOLD_MAX)
        xml_release(reader);
}

/* ---- to the sink ---- */

static void deliver_segment(struct xml_reader *reader, struct value name, struct place place,
                            const struct xml_span *spans, uint32_t count, const uint8_t *bytes) {
    for (uint32_t i = 0; i < count; i++) {
        reader->elements[i] = (struct element){spans[i].number, i, 1};
        reader->components[i] = (struct value){bytes + spans[i].offset, spans[i].length, false};
    }
    struct segment segment = {.name = name,
                              .place = place,
                              .elements = reader->elements,
                              .element_count = count,
                              .components = reader->components,
                              .component_count = count,
                              .decimal = '.'};
    reader->report.sink->segment(reader->report.sink->context, &segment);
}

static void deliver_begin(struct xml_reader *reader, struct value name, uint64_t offset) {
    struct document_head head = {.name = name, .offset = offset};
    const struct document_sink *sink = reader->report.sink;
    report_begin(&reader->report, DOCUMENT_AGGREGATE);
    sink->begin(sink->context, DOCUMENT_AGGREGATE, &head);
}

static void deliver_end(struct xml_reader *reader, uint64_t length, uint32_t segments) {
    struct document_tail tail = {.length = length, .segments = segments};
    const struct document_sink *sink = reader->report.sink;
    sink->end(sink->context, DOCUMENT_AGGREGATE, &tail);
}

static void deliver_finding(struct xml_reader *reader, enum finding_code code, struct place place,
                            struct value segment, struct value found) {
    struct finding finding = {.code = code,
                              .place = place,
                              .scope = reader->begun ? DOCUMENT_MESSAGE : DOCUMENT_INTERCHANGE,
                              .segment = segment,
                              .found = found};
    (void)report_finding(&reader->report, &finding);
}

/* ---- either way ---- */

void xml_tell(struct xml_reader *reader, enum finding_code code, struct place place, struct value segment,
              struct value found) {
    if (reader->holding)
        hold(reader, (struct held){.kind = HELD_FINDING, .code = code, .place = place}, segment, NULL, found);
    else
        deliver_finding(reader, code, place, segment, found);
}

/* By number; what has the same one stays as it is. */
static void sort(struct xml_leaf *leaf) {
    for (uint32_t i = 1; i < leaf->count; i++) {
        struct xml_span span = leaf->spans[i];
        uint32_t at = i;
        for (; at > 0 && leaf->spans[at - 1].number > span.number; at--)
            leaf->spans[at] = leaf->spans[at - 1];
        leaf->spans[at] = span;
    }
}

void xml_segment(struct xml_reader *reader, struct value name) {
    struct xml_leaf *leaf = &reader->leaf;
    if (!leaf->sorted)
        sort(leaf);
    if (reader->segments >= reader->report.profile.segments_max) {
        xml_stop(reader, FINDING_TOO_LARGE, leaf->place, name, (struct value){0});
        return;
    }
    leaf->place.segment = ++reader->segments;
    leaf->place.in_file = ++reader->in_file;
    if (reader->holding)
        hold(reader, (struct held){.kind = HELD_SEGMENT, .place = leaf->place, .spans = leaf->count}, name,
             leaf->spans, (struct value){leaf->bytes.bytes, (uint32_t)leaf->bytes.length, false});
    else
        deliver_segment(reader, name, leaf->place, leaf->spans, leaf->count, leaf->bytes.bytes);
}

void xml_aggregate_begin(struct xml_reader *reader, struct xml_frame *frame) {
    frame->begun = true;
    frame->segments = reader->segments;
    struct value name = xml_frame_name(reader, frame);
    if (reader->holding)
        hold(reader, (struct held){.kind = HELD_BEGIN, .place.offset = frame->offset}, name, NULL,
             (struct value){0});
    else
        deliver_begin(reader, name, frame->offset);
}

void xml_aggregate_end(struct xml_reader *reader, const struct xml_frame *frame) {
    uint64_t length = xml_offset(reader) - frame->offset;
    uint32_t segments = reader->segments - frame->segments;
    if (reader->holding)
        hold(reader, (struct held){.kind = HELD_END, .length = length, .segments = segments},
             (struct value){0}, NULL, (struct value){0});
    else
        deliver_end(reader, length, segments);
}

void xml_release(struct xml_reader *reader) {
    if (!reader->holding)
        return;
    reader->holding = false;
    struct document_head head = xml_ubl_head(reader);
    xml_message_begin(reader, &head);
    const struct xml_bytes *from = &reader->held;
    for (size_t at = 0; at + sizeof(struct held) <= from->length && !reader->failed;) {
        struct held held;
        memcpy(&held, from->bytes + at, sizeof held);
        const struct xml_span *spans = (const void *)(from->bytes + at + sizeof held);
        const uint8_t *name = (const uint8_t *)(spans + held.spans), *bytes = name + held.name;
        struct value named = {name, held.name, false};
        switch (held.kind) {
        case HELD_BEGIN:
            deliver_begin(reader, named, held.place.offset);
            break;
        case HELD_SEGMENT:
            deliver_segment(reader, named, held.place, spans, held.spans, bytes);
            break;
        case HELD_END:
            deliver_end(reader, held.length, held.segments);
            break;
        case HELD_FINDING:
            deliver_finding(reader, held.code, held.place, named, (struct value){bytes, held.bytes, false});
            break;
        }
        at = (size_t)(bytes + held.bytes - from->bytes);
        at += (HELD_ALIGN - at % HELD_ALIGN) % HELD_ALIGN;
    }
    reader->held.length = 0;
}

/* ---- scopes around ---- */

void xml_message_begin(struct xml_reader *reader, const struct document_head *head) {
    report_begin(&reader->report, DOCUMENT_MESSAGE);
    reader->begun = true;
    reader->message_offset = head->offset;
    reader->report.sink->begin(reader->report.sink->context, DOCUMENT_MESSAGE, head);
}

void xml_message_end(struct xml_reader *reader) {
    struct document_tail tail = {.length = xml_offset(reader) - reader->message_offset,
                                 .segments = reader->segments,
                                 .errors = reader->report.errors[DOCUMENT_MESSAGE]};
    reader->begun = false;
    reader->message = false;
    reader->messages++;
    reader->report.sink->end(reader->report.sink->context, DOCUMENT_MESSAGE, &tail);
}

void xml_interchange_begin(struct xml_reader *reader) {
    const struct xml_frame *root = xml_frame(reader, 1);
    struct document_head head = {.format = {(const uint8_t *)"IDOC", 4, false},
                                 .name = xml_frame_name(reader, root),
                                 .offset = root->offset};
    report_begin(&reader->report, DOCUMENT_INTERCHANGE);
    reader->interchange = true;
    reader->report.sink->begin(reader->report.sink->context, DOCUMENT_INTERCHANGE, &head);
}

void xml_interchange_end(struct xml_reader *reader) {
    struct document_tail tail = {.length = xml_offset(reader) - xml_frame(reader, 1)->offset,
                                 .segments = reader->in_file,
                                 .messages = reader->messages,
                                 .errors = reader->report.errors[DOCUMENT_INTERCHANGE]};
    reader->interchange = false;
    reader->report.sink->end(reader->report.sink->context, DOCUMENT_INTERCHANGE, &tail);
}

void xml_close_scopes(struct xml_reader *reader) {
    for (uint32_t depth = reader->depth; depth > 0; depth--)
        if (xml_frame(reader, depth)->begun)
            xml_aggregate_end(reader, xml_frame(reader, depth));
    if (reader->begun)
        xml_message_end(reader);
    if (reader->interchange)
        xml_interchange_end(reader);
}
