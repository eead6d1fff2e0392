/* calls_hash.h: a sink that holds a reader to what a sink may expect, and makes one number of all calls.
 * Owner: the fuzz target.
 * One thread.
 * Nothing blocks.
 * A broken promise ends the program: scopes that do not nest, values that are not there, text that is not
 * UTF-8, places outside of the file, errors that are not counted. */
#pragma once

#include "codecs/document/sink.h"
#include "core/base/check.h"
#include "core/base/topic.h"

#include <string.h>
#include <xxhash.h>

struct calls_hash {
    XXH64_state_t *state;
    uint64_t length; /* of the file */
    enum document_scope scopes[64];
    uint64_t offsets[64];
    uint32_t depth, errors, segments;
    bool bytes_are_text;
};

static void calls_value(struct calls_hash *calls, struct value value, bool text) {
    CHECK(value.length == 0 || value.bytes != NULL);
    CHECK(!text || value.length == 0 || utf8_valid(value.bytes, value.length));
    XXH64_update(calls->state, &value.length, sizeof value.length);
    if (value.length > 0)
        XXH64_update(calls->state, value.bytes, value.length);
}

static void calls_begin(void *context, enum document_scope scope, const struct document_head *head) {
    struct calls_hash *calls = context;
    CHECK(calls->depth < 64 && (calls->depth == 0 || calls->scopes[calls->depth - 1] <= scope));
    CHECK(head->offset <= calls->length);
    calls->offsets[calls->depth] = head->offset;
    calls->scopes[calls->depth++] = scope;
    if (scope == DOCUMENT_MESSAGE)
        calls->errors = calls->segments = 0;
    XXH64_update(calls->state, &scope, sizeof scope);
    XXH64_update(calls->state, &head->offset, sizeof head->offset);
    const struct value values[] = {
        head->name,        head->version,         head->association, head->variant,     head->sender.id,
        head->receiver.id, head->interchange_ref, head->group_ref,   head->message_ref, head->date,
        head->time};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        calls_value(calls, values[i], calls->bytes_are_text);
}

static void calls_segment(void *context, const struct segment *segment) {
    struct calls_hash *calls = context;
    uint32_t last = 0;
    CHECK(segment->place.offset + segment->place.length <= calls->length);
    calls->segments++;
    calls_value(calls, segment->name, calls->bytes_are_text);
    XXH64_update(calls->state, &segment->place, sizeof segment->place);
    for (uint32_t i = 0; i < segment->element_count; i++) {
        const struct element *element = &segment->elements[i];
        CHECK(element->number >= last && element->number > 0);
        CHECK(element->first + element->count <= segment->component_count);
        last = element->number;
        XXH64_update(calls->state, &element->number, sizeof element->number);
        for (uint32_t k = 0; k < element->count; k++)
            calls_value(calls, segment->components[element->first + k], calls->bytes_are_text);
    }
}

static void calls_end(void *context, enum document_scope scope, const struct document_tail *tail) {
    struct calls_hash *calls = context;
    CHECK(calls->depth > 0 && calls->scopes[--calls->depth] == scope);
    CHECK(calls->offsets[calls->depth] + tail->length <= calls->length);
    CHECK(scope != DOCUMENT_MESSAGE || tail->errors >= calls->errors);
    XXH64_update(calls->state, &tail->length, sizeof tail->length);
    XXH64_update(calls->state, &tail->errors, sizeof tail->errors);
    XXH64_update(calls->state, &tail->segments, sizeof tail->segments);
}

static void calls_finding(void *context, const struct finding *finding) {
    struct calls_hash *calls = context;
    CHECK(finding->code < FINDING_CODES && finding->place.offset <= calls->length);
    calls->errors += finding->severity == FINDING_ERROR && finding->scope == DOCUMENT_MESSAGE;
    XXH64_update(calls->state, &finding->code, sizeof finding->code);
    XXH64_update(calls->state, &finding->place, sizeof finding->place);
    calls_value(calls, finding->found, false);
    calls_value(calls, finding->expected, false);
}

static struct document_sink calls_sink(struct calls_hash *calls, uint64_t length) {
    *calls = (struct calls_hash){.state = XXH64_createState(), .length = length, .bytes_are_text = true};
    CHECK(calls->state && XXH64_reset(calls->state, 0) == XXH_OK);
    return (struct document_sink){.context = calls,
                                  .begin = calls_begin,
                                  .segment = calls_segment,
                                  .end = calls_end,
                                  .finding = calls_finding};
}

static uint64_t calls_over(struct calls_hash *calls) {
    CHECK(calls->depth == 0);
    uint64_t hash = XXH64_digest(calls->state);
    XXH64_freeState(calls->state);
    return hash;
}
