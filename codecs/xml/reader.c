#include "codecs/xml/reader.h"

#include "codecs/xml/encoding.h"
#include "core/base/heap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Between a namespace and a local name: no character of XML, so no namespace can hold it. */
#define SPACE_END '\f'

/* The parser keeps a token that is not complete: a tag of XML_TOKEN_MAX, a comment that is longer. */
#define XML_PENDING_MAX (4u * XML_TOKEN_MAX)

/* So much is parsed at once: how long a token has become is looked at as often. */
#define SLICE_BYTES (64u * 1024)

#define NOTHING ((struct value){0})

/* ---- bytes, places ---- */

bool xml_bytes_add(struct xml_reader *reader, struct xml_bytes *bytes, const void *data, size_t length) {
    if (bytes->capacity - bytes->length < length &&
        heap_grow((void **)&bytes->bytes, &bytes->capacity, bytes->length + length, 1) != 0) {
        reader->failed = true;
        reader->stopped = true;
        if (reader->parsing)
            (void)XML_StopParser(reader->parser, XML_FALSE);
        return false;
    }
    if (length > 0)
        memcpy(bytes->bytes + bytes->length, data, length);
    bytes->length += length;
    return true;
}

static void bytes_free(struct xml_bytes *bytes) {
    heap_give(bytes->bytes);
    *bytes = (struct xml_bytes){0};
}

static uint64_t began_at(const struct xml_reader *reader) {
    XML_Index at = XML_GetCurrentByteIndex(reader->parser);
    return at < 0 ? 0 : (uint64_t)at;
}

uint64_t xml_offset(const struct xml_reader *reader) {
    return reader->cut ? reader->cut_offset
                       : began_at(reader) + (uint64_t)XML_GetCurrentByteCount(reader->parser);
}

static struct place place_here(const struct xml_reader *reader) {
    return (struct place){.offset = began_at(reader),
                          .line = (uint32_t)XML_GetCurrentLineNumber(reader->parser)};
}

/* ---- errors ---- */

void xml_stop(struct xml_reader *reader, enum finding_code code, struct place place, struct value segment,
              struct value found) {
    if (reader->stopped)
        return;
    xml_release(reader);
    xml_tell(reader, code, place, segment, found);
    if (reader->begun && reader->interchange)
        reader->report.errors[DOCUMENT_INTERCHANGE]++; /* what comes behind it is not read either */
    reader->cut = true;
    reader->cut_offset = place.offset;
    xml_close_scopes(reader);
    reader->stopped = true;
    if (reader->parsing)
        (void)XML_StopParser(reader->parser, XML_FALSE);
}

void xml_stop_here(struct xml_reader *reader, enum finding_code code, const char *name, size_t length) {
    xml_stop(reader, code, place_here(reader),
             (struct value){(const uint8_t *)name, (uint32_t)(length < XML_NAME_MAX ? length : XML_NAME_MAX),
                            false},
             NOTHING);
}

static enum finding_code parser_code(const struct xml_reader *reader, enum XML_Error error) {
    if (reader->finished)
        return FINDING_GARBAGE;
    switch (error) {
    case XML_ERROR_NO_ELEMENTS:
    case XML_ERROR_UNCLOSED_TOKEN:
    case XML_ERROR_UNCLOSED_CDATA_SECTION:
        return FINDING_XML_TRUNCATED;
    case XML_ERROR_PARTIAL_CHAR:
    case XML_ERROR_INCORRECT_ENCODING:
        return FINDING_XML_CHARSET;
    case XML_ERROR_UNKNOWN_ENCODING:
        return FINDING_XML_CHARSET_UNKNOWN;
    case XML_ERROR_TAG_MISMATCH:
        return FINDING_XML_TAG_DIFFERS;
    case XML_ERROR_UNDEFINED_ENTITY:
        return FINDING_XML_ENTITY;
    case XML_ERROR_UNBOUND_PREFIX:
    case XML_ERROR_RESERVED_PREFIX_XML:
    case XML_ERROR_RESERVED_PREFIX_XMLNS:
    case XML_ERROR_RESERVED_NAMESPACE_URI:
        return FINDING_XML_PREFIX;
    default:
        return FINDING_XML_MALFORMED;
    }
}

/* Whether the byte at which the parser stopped is none of ASCII: then it is the encoding that is wrong. */
static bool foreign_byte(struct xml_reader *reader) {
    int at, size;
    const char *bytes = XML_GetInputContext(reader->parser, &at, &size);
    return bytes && at >= 0 && at < size && (bytes[at] & 0x80);
}

static void parser_stopped(struct xml_reader *reader) {
    enum XML_Error error = XML_GetErrorCode(reader->parser);
    if (reader->stopped || error == XML_ERROR_ABORTED)
        return;
    if (error == XML_ERROR_NO_MEMORY) {
        reader->failed = true;
        return;
    }
    enum finding_code code = parser_code(reader, error);
    struct place place = place_here(reader);
    if (code == FINDING_XML_TRUNCATED)
        place.offset = reader->fed;
    if (reader->finished)
        place = reader->over;
    if (error == XML_ERROR_INVALID_TOKEN && !reader->finished && foreign_byte(reader))
        code = FINDING_XML_CHARSET;
    struct value inside = NOTHING;
    if (reader->depth > 0 && !reader->finished)
        inside = xml_frame_name(reader, xml_frame(reader, reader->depth));
    xml_stop(reader, code, place, inside, NOTHING);
}

/* ---- elements ---- */

bool xml_push(struct xml_reader *reader, const char *name, size_t length) {
    if (reader->depth == XML_DEPTH_MAX) {
        xml_stop_here(reader, FINDING_XML_DEPTH, name, length);
        return false;
    }
    if (length > XML_NAME_MAX) {
        xml_stop_here(reader, FINDING_TOO_LARGE, name, length);
        return false;
    }
    struct place place = place_here(reader);
    struct xml_frame *frame = &reader->frames[reader->depth];
    *frame = (struct xml_frame){.name = (uint32_t)reader->names.length,
                                .name_length = (uint32_t)length,
                                .offset = place.offset,
                                .line = place.line,
                                .segments = reader->segments};
    if (!xml_bytes_add(reader, &reader->names, name, length))
        return false;
    reader->depth++;
    return true;
}

void xml_pop(struct xml_reader *reader) {
    reader->names.length = xml_frame(reader, reader->depth)->name;
    reader->depth--;
}

void xml_leaf_begin(struct xml_reader *reader) {
    struct xml_leaf *leaf = &reader->leaf;
    const struct xml_frame *frame = xml_frame(reader, reader->depth);
    leaf->place = (struct place){.offset = frame->offset, .line = frame->line};
    leaf->count = 0;
    leaf->text = 0;
    leaf->dropped = false;
    leaf->too_long = false;
    leaf->sorted = true;
    leaf->bytes.length = 0;
    reader->leaf_max = reader->report.profile.segment_max;
}

bool xml_leaf_span(struct xml_reader *reader, uint32_t number, uint32_t offset, uint32_t length) {
    struct xml_leaf *leaf = &reader->leaf;
    if (leaf->count == XML_FIELDS_MAX) {
        xml_stop(reader, FINDING_TOO_MANY_ELEMENTS, leaf->place,
                 xml_frame_name(reader, xml_frame(reader, reader->depth)), NOTHING);
        return false;
    }
    if (leaf->count > 0 && leaf->spans[leaf->count - 1].number > number)
        leaf->sorted = false;
    leaf->spans[leaf->count++] = (struct xml_span){number, offset, length};
    return true;
}

static bool blank(uint8_t byte) {
    return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r';
}

struct xml_span xml_leaf_text(const struct xml_reader *reader, bool keep_leading) {
    const struct xml_leaf *leaf = &reader->leaf;
    const uint8_t *bytes = leaf->bytes.bytes;
    size_t from = leaf->text, to = leaf->bytes.length;
    while (to > from && blank(bytes[to - 1]))
        to--;
    while (!keep_leading && from < to && blank(bytes[from]))
        from++;
    return (struct xml_span){.offset = (uint32_t)from, .length = (uint32_t)(to - from)};
}

/* ---- what the parser calls ---- */

static void root_begins(struct xml_reader *reader, const char *space, const char *name) {
    size_t space_length = space ? (size_t)(name - space) - 1 : 0, length = strlen(name);
    if (!xml_push(reader, name, length))
        return;
    if (space && xml_ubl_root(reader, space, space_length, name, length))
        return;
    if (space_length >= 8 && memcmp(space, "urn:gs1:", 8) == 0)
        xml_stop_here(reader, FINDING_XML_GS1, name, length);
    else if (space)
        xml_stop_here(reader, FINDING_XML_UNKNOWN_ROOT, name, length);
}

/* Without a namespace it is an IDoc, or nothing that is known: its first element says so. */
static void first_child_begins(struct xml_reader *reader, const char *name, const char **attributes) {
    const struct xml_frame *root = xml_frame(reader, 1);
    if (strcmp(name, "IDOC") != 0) {
        struct place place = {.offset = root->offset, .line = root->line};
        xml_stop(reader, FINDING_XML_UNKNOWN_ROOT, place, xml_frame_name(reader, root), NOTHING);
        return;
    }
    reader->kind = XML_IDOC;
    xml_interchange_begin(reader);
    xml_idoc_start(reader, name, attributes);
}

/* What is to be said of the text before an element begins or ends. Not earlier: of text that ends in an error
 * the parser hands over more or less, as its bytes are split. */
static void text_over(struct xml_reader *reader) {
    struct xml_frame *frame = xml_frame(reader, reader->depth);
    struct place place = {.offset = frame->offset, .line = frame->line};
    if (reader->mixed) {
        reader->mixed = false;
        xml_tell(reader, FINDING_XML_MIXED, place, xml_frame_name(reader, frame), NOTHING);
    }
    if (reader->open && reader->leaf.too_long)
        xml_stop(reader, FINDING_TOO_LARGE, place, xml_frame_name(reader, frame), NOTHING);
}

static void on_start(void *context, const char *name, const char **attributes) {
    struct xml_reader *reader = context;
    if (reader->stopped)
        return;
    if (XML_GetCurrentByteCount(reader->parser) > (int)XML_TOKEN_MAX) {
        xml_stop_here(reader, FINDING_TOO_LARGE, "", 0);
        return;
    }
    if (attributes[0] && XML_GetSpecifiedAttributeCount(reader->parser) > (int)(2 * XML_ATTRIBUTES_MAX)) {
        xml_stop_here(reader, FINDING_TOO_MANY_ELEMENTS, "", 0);
        return;
    }
    if (reader->skip > 0) {
        if (reader->depth + ++reader->skip > XML_DEPTH_MAX)
            xml_stop_here(reader, FINDING_XML_DEPTH, "", 0);
        return;
    }
    if (reader->depth > 0)
        text_over(reader);
    if (reader->stopped)
        return;
    if (reader->kind == XML_UBL) {
        xml_ubl_start(reader, name, attributes);
        return;
    }
    const char *end = strrchr(name, SPACE_END);
    if (reader->depth == 0)
        root_begins(reader, end ? name : NULL, end ? end + 1 : name);
    else if (reader->kind == XML_UNDECIDED)
        first_child_begins(reader, end ? end + 1 : name, attributes);
    else
        xml_idoc_start(reader, end ? end + 1 : name, attributes);
}

static void root_ends(struct xml_reader *reader) {
    if (reader->kind == XML_UNDECIDED) {
        const struct xml_frame *root = xml_frame(reader, 1);
        struct place place = {.offset = root->offset, .line = root->line};
        xml_stop(reader, FINDING_XML_UNKNOWN_ROOT, place, xml_frame_name(reader, root), NOTHING);
    } else if (reader->kind == XML_IDOC) {
        xml_interchange_end(reader);
    } else {
        xml_ubl_end(reader);
    }
    if (reader->stopped)
        return;
    xml_pop(reader);
    reader->finished = true;
    reader->over = place_here(reader);
    reader->over.offset = xml_offset(reader);
}

static void on_end(void *context, const char *name) {
    (void)name;
    struct xml_reader *reader = context;
    if (reader->stopped)
        return;
    if (reader->skip > 0) {
        reader->skip--;
        return;
    }
    text_over(reader);
    if (reader->stopped)
        return;
    if (reader->depth == 1)
        root_ends(reader);
    else if (reader->kind == XML_UBL)
        xml_ubl_end(reader);
    else
        xml_idoc_end(reader);
}

/* Text that stands in no leaf: blanks, or something that nobody reads. */
static void text_between(struct xml_reader *reader, const char *text, size_t length) {
    struct xml_frame *frame = xml_frame(reader, reader->depth);
    if (frame->mixed || reader->kind == XML_UNDECIDED)
        return;
    size_t i = 0;
    while (i < length && blank((uint8_t)text[i]))
        i++;
    if (i == length)
        return;
    frame->mixed = true;
    reader->mixed = true;
}

static void on_text(void *context, const char *text, int length) {
    struct xml_reader *reader = context;
    struct xml_leaf *leaf = &reader->leaf;
    if (reader->stopped || reader->skip > 0 || reader->depth == 0)
        return;
    if (!reader->open) {
        text_between(reader, text, (size_t)length);
        return;
    }
    if (leaf->dropped)
        return;
    if (leaf->bytes.length + (size_t)length > reader->leaf_max)
        leaf->too_long = true;
    else if (!leaf->too_long)
        (void)xml_bytes_add(reader, &leaf->bytes, text, (size_t)length);
}

/* What nothing else is called for: before the root only a document type declaration matters, and it is
 * refused before the parser looks into it; behind the root, where garbage would begin. */
static void on_other(void *context, const char *text, int length) {
    static const char doctype[] = "<!DOCTYPE";
    struct xml_reader *reader = context;
    if (reader->finished) {
        reader->over = place_here(reader);
        reader->over.offset = xml_offset(reader);
        for (int i = 0; i < length; i++)
            reader->over.line += text[i] == '\n';
        return;
    }
    if (reader->depth == 0 && length >= (int)sizeof doctype - 1 &&
        memcmp(text, doctype, sizeof doctype - 1) == 0)
        xml_stop(reader, FINDING_XML_DOCTYPE, place_here(reader), NOTHING, NOTHING);
}

/* ---- a reader's life ---- */

static void begin(struct xml_reader *reader) {
    XML_SetUserData(reader->parser, reader);
    XML_SetElementHandler(reader->parser, on_start, on_end);
    XML_SetCharacterDataHandler(reader->parser, on_text);
    XML_SetDefaultHandler(reader->parser, on_other);
    XML_SetUnknownEncodingHandler(reader->parser, xml_encoding, NULL);
}

struct xml_reader *xml_open(const struct document_sink *sink, const struct xml_options *options) {
    struct xml_reader *reader = heap_take(sizeof *reader);
    if (!reader)
        return NULL;
    if (options)
        reader->options = *options;
    report_init(&reader->report, sink, reader->options.profile);
    reader->options.profile = NULL;
    reader->parser = XML_ParserCreateNS(reader->report.profile.charset, SPACE_END);
    if (!reader->parser) {
        heap_give(reader);
        return NULL;
    }
    begin(reader);
    return reader;
}

void xml_close(struct xml_reader *reader) {
    if (!reader)
        return;
    XML_ParserFree(reader->parser);
    bytes_free(&reader->names);
    bytes_free(&reader->leaf.bytes);
    bytes_free(&reader->head.kept);
    bytes_free(&reader->held);
    heap_give(reader);
}

void xml_again(struct xml_reader *reader) {
    (void)XML_ParserReset(reader->parser, reader->report.profile.charset);
    begin(reader);
    reader->failed = reader->stopped = reader->finished = reader->cut = false;
    reader->begun = reader->interchange = reader->message = false;
    reader->open = reader->holding = reader->mixed = false;
    reader->kind = XML_UNDECIDED;
    reader->bom = false;
    reader->fed = 0;
    reader->led = 0;
    reader->depth = reader->skip = 0;
    reader->segments = reader->in_file = reader->messages = 0;
    reader->names.length = reader->held.length = 0;
    report_begin(&reader->report, DOCUMENT_INTERCHANGE);
}

/* Through the parser's own buffer: only then it can say which bytes stand where it has stopped. */
static enum XML_Status parser_feed(struct xml_reader *reader, const uint8_t *bytes, size_t length,
                                   bool last) {
    if (length == 0)
        return XML_Parse(reader->parser, "", 0, last);
    void *buffer = XML_GetBuffer(reader->parser, (int)length);
    if (!buffer)
        return XML_STATUS_ERROR;
    memcpy(buffer, bytes, length);
    return XML_ParseBuffer(reader->parser, (int)length, last);
}

static int parse(struct xml_reader *reader, const uint8_t *bytes, size_t length, bool last) {
    reader->parsing = true;
    enum XML_Status status = parser_feed(reader, bytes, length, last);
    reader->parsing = false;
    if (status == XML_STATUS_ERROR)
        parser_stopped(reader);
    else if (reader->fed - began_at(reader) > XML_PENDING_MAX)
        xml_stop(reader, FINDING_TOO_LARGE, place_here(reader), NOTHING, NOTHING);
    if (reader->failed)
        reader->stopped = true;
    return reader->failed ? -ENOMEM : 0;
}

/* The bytes that were kept until there were enough of them. */
static int lead_parse(struct xml_reader *reader) {
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
    reader->bom = reader->led >= sizeof mark && memcmp(reader->lead, mark, sizeof mark) == 0;
    reader->fed = reader->led;
    return parse(reader, reader->lead, reader->led, false);
}

int xml_feed(struct xml_reader *reader, const void *bytes, size_t length) {
    const uint8_t *from = bytes;
    int result = reader->failed ? -ENOMEM : 0;
    while (length > 0 && reader->led < sizeof reader->lead && result == 0) {
        reader->lead[reader->led++] = *from++;
        length--;
        if (reader->led == sizeof reader->lead)
            result = lead_parse(reader);
    }
    for (size_t at = 0; at < length && result == 0 && !reader->stopped;) {
        size_t n = length - at < SLICE_BYTES ? length - at : SLICE_BYTES;
        reader->fed += n;
        result = parse(reader, from + at, n, false);
        at += n;
    }
    return result;
}

int xml_end(struct xml_reader *reader) {
    int result = reader->failed ? -ENOMEM : 0;
    if (result == 0 && reader->led < sizeof reader->lead)
        result = lead_parse(reader);
    if (result == 0 && !reader->stopped)
        result = parse(reader, NULL, 0, true);
    return result;
}
