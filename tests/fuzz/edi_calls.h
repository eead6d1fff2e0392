/* edi_calls.h: all calls of a reader as one number, and what must be so of each of them.
 * Owner: the fuzz target that includes it.
 * One thread, that of the fuzzer.
 * Nothing blocks or allocates.
 * What is not so ends the program. */
#pragma once

#include "codecs/document/sink.h"

#include "core/base/check.h"
#include "core/base/topic.h"

#include <string.h>

struct calls {
    uint64_t hash;
    uint64_t size; /* of the file */
    uint32_t open[4];
    uint32_t count;
};

static void calls_add(struct calls *calls, const void *bytes, size_t n) {
    for (size_t i = 0; i < n; i++)
        calls->hash = (calls->hash ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
    calls->hash = (calls->hash ^ n) * UINT64_C(0x100000001b3);
}

static void calls_number(struct calls *calls, uint64_t number) {
    calls_add(calls, &number, sizeof number);
}

static void calls_text(struct calls *calls, struct value value) {
    calls_add(calls, value.bytes, value.length);
    CHECK(value.length == 0 || utf8_valid(value.bytes, value.length));
}

static void calls_place(struct calls *calls, const struct place *place) {
    CHECK(place->offset <= calls->size);
    calls_number(calls, place->offset);
    calls_number(calls, (uint64_t)place->length << 32 | place->line);
    calls_number(calls, (uint64_t)place->segment << 32 | place->in_file);
    calls_number(calls, (uint64_t)place->element << 32 | place->component);
}

/* From the outside in, and none in itself. */
static void calls_begin(void *context, enum document_scope scope, const struct document_head *head) {
    struct calls *calls = context;
    CHECK(scope <= DOCUMENT_MESSAGE && calls->open[scope] == 0);
    for (unsigned inner = scope + 1u; inner < 4; inner++)
        CHECK(calls->open[inner] == 0);
    calls->open[scope] = 1;
    calls->count++;
    CHECK(head->offset < calls->size);
    CHECK(head->date.length == 0 || head->date.length == 8);
    const struct value values[] = {head->format,
                                   head->syntax,
                                   head->name,
                                   head->version,
                                   head->association,
                                   head->variant,
                                   head->sender.id,
                                   head->sender.qualifier,
                                   head->receiver.id,
                                   head->receiver.qualifier,
                                   head->interchange_ref,
                                   head->group_ref,
                                   head->message_ref,
                                   head->date,
                                   head->time};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        calls_text(calls, values[i]);
    calls_number(calls, head->offset * 4 + (head->test ? 2 : 0) + (head->acknowledge ? 1 : 0));
}

static void calls_segment(void *context, const struct segment *segment) {
    struct calls *calls = context;
    bool binary = value_is(segment->name, "BIN") || value_is(segment->name, "BDS");
    uint32_t last = 0;
    calls->count++;
    CHECK(segment->place.offset + segment->place.length <= calls->size);
    calls_place(calls, &segment->place);
    calls_text(calls, segment->name);
    for (uint32_t i = 0; i < segment->element_count; i++) {
        const struct element *element = &segment->elements[i];
        CHECK(element->number >= last && element->number > 0 && element->count > 0);
        CHECK(element->first + element->count <= segment->component_count);
        last = element->number;
        calls_number(calls, element->number);
        for (uint32_t j = 0; j < element->count; j++) {
            struct value value = segment->components[element->first + j];
            if (binary)
                calls_add(calls, value.bytes, value.length);
            else
                calls_text(calls, value);
            calls_number(calls, value.released);
        }
    }
}

static void calls_end(void *context, enum document_scope scope, const struct document_tail *tail) {
    struct calls *calls = context;
    CHECK(calls->open[scope] == 1);
    for (unsigned inner = scope + 1u; inner < 4; inner++)
        CHECK(calls->open[inner] == 0);
    CHECK(tail->length <= calls->size);
    calls->open[scope] = 0;
    calls->count++;
    calls_number(calls, tail->length);
    calls_number(calls, (uint64_t)tail->segments << 32 | tail->messages);
    calls_number(calls, tail->errors);
}

static void calls_finding(void *context, const struct finding *finding) {
    struct calls *calls = context;
    calls->count++;
    CHECK(finding->code < FINDING_CODES && finding->scope <= DOCUMENT_MESSAGE);
    calls_place(calls, &finding->place);
    calls_number(calls, (uint64_t)finding->code << 8 | (uint64_t)finding->severity);
    calls_add(calls, finding->found.bytes, finding->found.length);
    calls_add(calls, finding->expected.bytes, finding->expected.length);
}

static struct document_sink calls_sink(struct calls *calls, uint64_t size) {
    *calls = (struct calls){.hash = UINT64_C(0xcbf29ce484222325), .size = size};
    return (struct document_sink){.context = calls,
                                  .begin = calls_begin,
                                  .segment = calls_segment,
                                  .end = calls_end,
                                  .finding = calls_finding};
}
