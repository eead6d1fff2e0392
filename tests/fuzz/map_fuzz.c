/* fuzz: map_library_add, map_find, the engine's sink */
// check: runs=10000 max_len=4096 timeout=10

/* A map, a line `----`, and segments as EDIFACT writes them, one a line: `<NAME` and `>` are an element of a
 * tree. A map is refused with a sentence or followed; what it makes of the segments is a message that
 * protobuf-c packs to the same bytes, that JSON holds whole, and that makes an event. */
#include "codecs/erp/engine.h"
#include "codecs/erp/event.h"
#include "codecs/erp/json.h"
#include "core/base/check.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct erp_maker *maker;

/* The message comes back from JSON as it was, and its event's data are its bytes. */
static void on_message(void *context, const struct erp_result *result) {
    struct bytes first = {0}, second = {0};
    struct arena arena = {0};
    struct erp_event event;
    struct fault fault;
    char error[ERP_JSON_ERROR_BYTES];
    (void)context;
    if (!result->message)
        return;
    erp_json_write(result->message, &first);
    ProtobufCMessage *again =
        erp_json_read(result->message->descriptor, (char *)first.data, first.length, &arena, error);
    CHECK(again);
    erp_json_write(again, &second);
    CHECK(first.length == second.length && memcmp(first.data, second.data, first.length) == 0);
    CHECK(erp_event_make(maker, result, &event, &fault));
    size_t n = protobuf_c_message_get_packed_size(result->message);
    uint8_t *packed = malloc(n + 1);
    CHECK(packed && protobuf_c_message_pack(result->message, packed) == n && n < event.length);
    CHECK(memcmp(event.event + event.length - n, packed, n) == 0);
    free(packed);
    bytes_free(&first);
    bytes_free(&second);
    arena_free(&arena);
}

static void on_finding(void *context, const struct finding *finding) {
    (void)context;
    CHECK(finding->code < FINDING_CODES && finding_kind(finding->code)->text[0]);
}

static struct value value_of(const char *text, size_t n) {
    return (struct value){
        .bytes = (const uint8_t *)text, .length = (uint32_t)n, .released = n && memchr(text, '?', n)};
}

static size_t piece(const char *p, const char *end, const char *stops) {
    size_t n = 0;
    for (; p + n < end && !(p[n] && strchr(stops, p[n])); n++)
        n += p[n] == '?' && p + n + 1 < end;
    return n;
}

static void segment_feed(const struct document_sink *sink, const char *p, const char *end) {
    struct element elements[32];
    struct value components[64];
    size_t n = piece(p, end, "+");
    struct segment segment = {.name = value_of(p, n),
                              .elements = elements,
                              .components = components,
                              .release = '?',
                              .decimal = '.'};
    for (uint32_t number = 0; (p += n) < end && segment.element_count < 32;) {
        struct element *element = &elements[segment.element_count++];
        *element =
            (struct element){.number = number += *p == '+' || number == 0, .first = segment.component_count};
        do {
            n = piece(++p, end, "+*:");
            if (segment.component_count == 64)
                return;
            components[segment.component_count++] = value_of(p, n);
            element->count++;
            p += n;
        } while (p < end && *p == ':');
        n = 0;
    }
    sink->segment(sink->context, &segment);
}

static void segments_feed(const struct document_sink *sink, const char *p, const char *end) {
    for (size_t n; p < end; p += n + 1) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        n = newline ? (size_t)(newline - p) : (size_t)(end - p);
        struct document_head head = {.name = value_of(p + 1, n ? n - 1 : 0)};
        struct document_tail tail = {0};
        if (n && *p == '<')
            sink->begin(sink->context, DOCUMENT_AGGREGATE, &head);
        else if (n && *p == '>')
            sink->end(sink->context, DOCUMENT_AGGREGATE, &tail);
        else if (n)
            segment_feed(sink, p, p + n);
    }
}

/* Fields of one letter. */
static uint32_t letter(void *context, const char *segment, const char *field) {
    (void)context;
    CHECK(segment);
    return field[0] >= 'A' && field[0] <= 'Z' && !field[1] ? (uint32_t)(field[0] - 'A' + 1) : 0;
}

static void follow(struct map_library *library, const char *segments, const char *end) {
    struct erp_engine_options options = {.library = library, .message = on_message, .finding = on_finding};
    struct erp_engine *engine = erp_engine_new(&options);
    CHECK(engine);
    struct document_sink sink = erp_engine_sink(engine);
    struct document_head head = {
        .format = value_of("F", 1), .name = value_of("M", 1), .date = value_of("20260902", 8)};
    struct document_tail tail = {.length = 1};
    for (int i = 0; i < 2; i++) {
        sink.begin(sink.context, DOCUMENT_MESSAGE, &head);
        segments_feed(&sink, segments, end);
        sink.end(sink.context, DOCUMENT_MESSAGE, &tail);
    }
    erp_engine_free(engine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct map_fields fields = {"F", letter, NULL};
    static const char line[] = "\n----\n";
    struct map_error error = {{0}};
    if (!maker)
        maker = erp_maker_new();
    CHECK(maker);
    const char *text = (const char *)data, *end = text + size;
    const char *at = size ? memmem(text, size, line, sizeof line - 1) : NULL;
    struct map_library *library = map_library_new(&fields, 1);
    CHECK(library);
    if (!map_library_add(library, "own", text, at ? (size_t)(at + 1 - text) : size, &error)) {
        CHECK(error.text[0]);
    } else if (map_find(library, "F", "M", "", &error)) {
        follow(library, at ? at + sizeof line - 1 : end, end);
    }
    map_library_free(library);
    return 0;
}
