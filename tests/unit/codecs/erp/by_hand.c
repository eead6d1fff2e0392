#include "tests/unit/codecs/erp/by_hand.h"

#include "codecs/erp/json.h"
#include "core/base/check.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_message(void *context, const struct erp_result *result) {
    struct hand *hand = context;
    hand->messages++;
    hand->errors = result->errors;
    snprintf(hand->event, sizeof hand->event, "%s",
             result->message ? result->message->descriptor->short_name : "");
    if (result->message) {
        ((Roundhouse__Erp__V1__Header *)(uintptr_t)result->header)->origin = NULL;
        erp_json_write(result->message, &hand->json);
    }
    bytes_add(&hand->json, "\n", 2); /* with a NUL, for what reads it as a string */
    hand->json.length--;
}

static void on_finding(void *context, const struct finding *finding) {
    struct hand *hand = context;
    if (hand->finding_count < HAND_FINDINGS)
        hand->findings[hand->finding_count++] = *finding;
}

void hand_new(struct hand *hand, const char *map) {
    struct map_error error = {{0}};
    *hand = (struct hand){0};
    profile_tolerate_all(&hand->profile);
    hand->library = map_library_new(NULL, 0);
    cr_assert_not_null(hand->library);
    if (map)
        cr_assert(map_library_add(hand->library, "own", map, strlen(map), &error), "%s", error.text);
    struct erp_engine_options options = {.library = hand->library,
                                         .profile = &hand->profile,
                                         .context = hand,
                                         .message = on_message,
                                         .finding = on_finding};
    hand->engine = erp_engine_new(&options);
    cr_assert_not_null(hand->engine);
    hand->sink = erp_engine_sink(hand->engine);
}

void hand_free(struct hand *hand) {
    bytes_free(&hand->json);
    erp_engine_free(hand->engine);
    map_library_free(hand->library);
}

static struct value text_value(const char *text, size_t n) {
    return (struct value){
        .bytes = (const uint8_t *)text, .length = (uint32_t)n, .released = n && memchr(text, '?', n) != NULL};
}

void hand_begin(struct hand *hand, const char *name) {
    const char *blank = strchr(name, ' ');
    hand->head.format = text_value(name, (size_t)(blank - name));
    hand->head.name = text_value(blank + 1, strlen(blank + 1));
    hand->segments = 0;
    hand->sink.begin(hand->sink.context, DOCUMENT_MESSAGE, &hand->head);
}

void hand_end(struct hand *hand) {
    struct document_tail tail = {.segments = hand->segments};
    hand->sink.end(hand->sink.context, DOCUMENT_MESSAGE, &tail);
}

/* Up to one of the separators, none of which is released. */
static size_t piece(const char *text, const char *end, const char *separators) {
    const char *p = text;
    for (; p < end && !strchr(separators, *p); p++)
        if (*p == '?' && p + 1 < end)
            p++;
    return (size_t)(p - text);
}

static void segment_feed(struct hand *hand, const char *text, const char *end) {
    struct element elements[64];
    struct value components[256];
    size_t n = piece(text, end, "+");
    struct segment segment = {.name = text_value(text, n),
                              .place = {.segment = ++hand->segments},
                              .elements = elements,
                              .components = components,
                              .release = '?',
                              .decimal = '.'};
    for (uint32_t number = 0; (text += n) < end;) {
        number += *text == '+';
        struct element *element = &elements[segment.element_count++];
        *element = (struct element){.number = number, .first = segment.component_count};
        do {
            n = piece(++text, end, "+*:");
            components[segment.component_count++] = text_value(text, n);
            element->count++;
            text += n;
        } while (text < end && *text == ':');
        n = 0;
    }
    /* In memory of its own size, so that AddressSanitizer sees a look beyond it. */
    struct element *own_elements = malloc((segment.element_count + 1) * sizeof *elements);
    struct value *own_components = malloc((segment.component_count + 1) * sizeof *components);
    memcpy(own_elements, elements, segment.element_count * sizeof *elements);
    memcpy(own_components, components, segment.component_count * sizeof *components);
    segment.elements = own_elements;
    segment.components = own_components;
    hand->sink.segment(hand->sink.context, &segment);
    free(own_elements);
    free(own_components);
}

void hand_feed(struct hand *hand, const char *segments) {
    const char *stop = segments + strlen(segments);
    for (const char *p = segments; p < stop;) {
        size_t n = piece(p, stop, "'");
        struct document_head head = {.name = text_value(p + 1, n ? n - 1 : 0)};
        struct document_tail tail = {0};
        if (*p == '<')
            hand->sink.begin(hand->sink.context, DOCUMENT_AGGREGATE, &head);
        else if (*p == '>')
            hand->sink.end(hand->sink.context, DOCUMENT_AGGREGATE, &tail);
        else if (n)
            segment_feed(hand, p, p + n);
        p += n + 1;
    }
}

const char *hand_read(struct hand *hand, const char *name, const char *segments) {
    hand->json.length = 0;
    hand_begin(hand, name);
    hand_feed(hand, segments);
    hand_end(hand);
    hand->json.length--; /* the newline */
    bytes_add(&hand->json, "", 1);
    return (const char *)hand->json.data;
}

unsigned hand_found(const struct hand *hand, enum finding_code code) {
    unsigned found = 0;
    for (unsigned i = 0; i < hand->finding_count; i++)
        found += hand->findings[i].code == code;
    return found;
}
