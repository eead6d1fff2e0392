/* fuzz: xml_feed, xml_end */
// check: runs=200000 max_len=4096 timeout=5

/* The first byte says how the rest is split, and what the profile tolerates. Read at once and in pieces it
 * comes out the same; what begins ends, segments are in order, text is UTF-8, and refusals have a finding. */
#include "codecs/xml/xml.h"

#include "core/base/check.h"
#include "core/base/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define DEPTH_MAX (XML_DEPTH_MAX + 2u)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct told {
    uint64_t hash;
    uint32_t depth, errors, messages;
    uint64_t offset[DEPTH_MAX + 1];
    enum document_scope scopes[DEPTH_MAX + 1];
};

static void mix(struct told *told, const void *bytes, size_t n) {
    told->hash = XXH3_64bits_withSeed(bytes, n, told->hash);
}

static void mix_value(struct told *told, struct value value) {
    CHECK(!value.released && (value.length == 0 || utf8_valid(value.bytes, value.length)));
    mix(told, value.bytes, value.length);
    mix(told, &value.length, sizeof value.length);
}

static void on_begin(void *context, enum document_scope scope, const struct document_head *head) {
    struct told *told = context;
    CHECK(told->depth < DEPTH_MAX);
    CHECK(scope != DOCUMENT_GROUP && (scope != DOCUMENT_INTERCHANGE || told->depth == 0));
    CHECK(scope != DOCUMENT_AGGREGATE || told->depth > 0);
    CHECK(told->depth == 0 || head->offset >= told->offset[told->depth - 1]);
    told->offset[told->depth] = head->offset;
    told->scopes[told->depth++] = scope;
    mix(told, &head->offset, sizeof head->offset);
    mix_value(told, head->name);
    mix_value(told, head->message_ref);
    mix_value(told, head->sender.id);
    mix_value(told, head->receiver.id);
    mix_value(told, head->variant);
    CHECK(head->date.length == 0 || head->date.length == 8);
    CHECK(head->time.length == 0 || head->time.length == 6);
}

static void on_segment(void *context, const struct segment *segment) {
    struct told *told = context;
    CHECK(told->depth > 0 && segment->name.length > 0 && segment->place.segment > 0);
    mix_value(told, segment->name);
    mix(told, &segment->place, sizeof segment->place);
    for (uint32_t i = 0; i < segment->element_count; i++) {
        const struct element *element = &segment->elements[i];
        CHECK(element->number > 0 && element->count == 1 && element->first < segment->component_count);
        CHECK(i == 0 || element[-1].number <= element->number);
        mix(told, &element->number, sizeof element->number);
        mix_value(told, segment->components[element->first]);
    }
}

static void on_end(void *context, enum document_scope scope, const struct document_tail *tail) {
    struct told *told = context;
    CHECK(told->depth > 0 && told->scopes[told->depth - 1] == scope);
    told->depth--;
    told->messages += scope == DOCUMENT_MESSAGE;
    const uint64_t numbers[] = {tail->length, tail->segments, tail->messages, tail->errors};
    mix(told, numbers, sizeof numbers);
}

static void on_finding(void *context, const struct finding *finding) {
    struct told *told = context;
    told->errors += finding->severity == FINDING_ERROR;
    mix(told, &finding->code, sizeof finding->code);
    mix(told, &finding->place, sizeof finding->place);
}

static uint32_t field_number(void *context, const char *segment, size_t segment_length, const char *field,
                             size_t field_length) {
    (void)context;
    return segment_length > 0 && field_length > 0 ? (uint32_t)(segment[0] ^ field[0]) & 7 : 0;
}

static struct told read_by(const uint8_t *data, size_t size, size_t step, const struct xml_options *options) {
    struct told told = {0};
    struct document_sink sink = {&told, on_begin, on_segment, on_end, on_finding};
    struct xml_reader *reader = xml_open(&sink, options);
    CHECK(reader);
    for (int i = 0; i < 2; i++) { /* the second time the reader has been used */
        told = (struct told){0};
        for (size_t at = 0; at < size; at += step) {
            size_t n = step < size - at ? step : size - at;
            uint8_t *alone = malloc(n);
            CHECK(alone);
            memcpy(alone, data + at, n);
            CHECK(xml_feed(reader, alone, n) == 0);
            free(alone);
        }
        CHECK(xml_end(reader) == 0);
        CHECK(told.depth == 0);
        CHECK(told.messages > 0 || told.errors > 0);
        xml_again(reader);
    }
    xml_close(reader);
    return told;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    struct profile profile = {
        .segment_max = 512, .segments_max = 64, .messages_max = 4, .findings_max = 1000};
    if (data[0] & 1)
        profile_tolerate_all(&profile);
    struct xml_options options = {
        .profile = &profile, .attachment_max = data[0] & 2 ? 64 : 0, .field = field_number};
    struct told whole = read_by(data + 1, size - 1, size, &options);
    struct told split = read_by(data + 1, size - 1, (size_t)(data[0] >> 2) + 1, &options);
    CHECK(whole.hash == split.hash);
    return 0;
}
