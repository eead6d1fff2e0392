#include "tests/unit/codecs/xml/outline.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Lines:
 *   (message|aggregate|interchange NAME [FORMAT version=... sender=ID/QUALIFIER ...]
 *   NAME 1=TEXT 2=...           a segment with its elements
 *   )SCOPE segments errors      its end
 *   !CODE severity SEGMENT FOUND
 * With places each line ends with @offset+length:line#segment. */

static void add(struct outline *outline, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct outline *outline, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    size_t n = (size_t)vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (outline->length + n + 1 > outline->capacity) {
        outline->capacity = 2 * (outline->length + n + 1);
        outline->text = realloc(outline->text, outline->capacity);
        cr_assert(outline->text);
    }
    (void)vsnprintf(outline->text + outline->length, n + 1, format, again);
    va_end(again);
    outline->length += n;
}

static void add_value(struct outline *outline, const char *name, struct value value) {
    if (value.length > 0)
        add(outline, " %s=%.*s", name, (int)value.length, (const char *)value.bytes);
}

static void add_place(struct outline *outline, const struct place *place) {
    if (outline->places)
        add(outline, " @%llu+%u:%u#%u/%u", (unsigned long long)place->offset, place->length, place->line,
            place->segment, place->in_file);
    add(outline, "\n");
}

static void on_begin(void *context, enum document_scope scope, const struct document_head *head) {
    static const char *const names[] = {"interchange", "group", "message", "aggregate"};
    struct outline *outline = context;
    outline->depth++;
    add(outline, "(%s %.*s", names[scope], (int)head->name.length, (const char *)head->name.bytes);
    if (head->format.length > 0)
        add(outline, " %.*s", (int)head->format.length, (const char *)head->format.bytes);
    const struct {
        const char *name;
        struct value value;
    } parts[] = {{"syntax", head->syntax},
                 {"version", head->version},
                 {"association", head->association},
                 {"variant", head->variant},
                 {"sender", head->sender.id},
                 {"by", head->sender.qualifier},
                 {"receiver", head->receiver.id},
                 {"by", head->receiver.qualifier},
                 {"interchange", head->interchange_ref},
                 {"group", head->group_ref},
                 {"ref", head->message_ref},
                 {"date", head->date},
                 {"time", head->time}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        add_value(outline, parts[i].name, parts[i].value);
    if (head->test)
        add(outline, " test");
    if (outline->places)
        add(outline, " @%llu", (unsigned long long)head->offset);
    add(outline, "\n");
}

static void on_segment(void *context, const struct segment *segment) {
    struct outline *outline = context;
    outline->segments++;
    add(outline, "%.*s", (int)segment->name.length, (const char *)segment->name.bytes);
    uint32_t last = 0;
    for (uint32_t i = 0; i < segment->element_count; i++) {
        const struct element *element = &segment->elements[i];
        cr_assert(element->count == 1 && element->number >= last, "elements ascend");
        last = element->number;
        struct value value = segment->components[element->first];
        add(outline, " %u=%.*s", element->number, (int)value.length, (const char *)value.bytes);
    }
    add_place(outline, &segment->place);
}

static void on_end(void *context, enum document_scope scope, const struct document_tail *tail) {
    struct outline *outline = context;
    cr_assert(outline->depth > 0, "what ends has begun");
    outline->depth--;
    if (scope == DOCUMENT_MESSAGE) {
        outline->messages++;
        outline->refused += tail->errors > 0;
    }
    add(outline, ")%d segments=%u", (int)scope, tail->segments);
    if (tail->messages > 0)
        add(outline, " messages=%u", tail->messages);
    if (tail->errors > 0)
        add(outline, " errors=%u", tail->errors);
    if (outline->places)
        add(outline, " +%llu", (unsigned long long)tail->length);
    add(outline, "\n");
}

static void on_finding(void *context, const struct finding *finding) {
    static const char *const severities[] = {"note", "warning", "error"};
    struct outline *outline = context;
    if (finding->severity != FINDING_NOTE && outline->first.line == 0) {
        outline->first = finding->place;
        (void)snprintf(outline->inside, sizeof outline->inside, "%.*s", (int)finding->segment.length,
                       (const char *)finding->segment.bytes);
    }
    outline->findings[finding->code]++;
    outline->errors += finding->severity == FINDING_ERROR;
    add(outline, "!%s %s", finding_kind(finding->code)->name, severities[finding->severity]);
    add_value(outline, "in", finding->segment);
    add_value(outline, "found", finding->found);
    add_place(outline, &finding->place);
}

struct document_sink outline_sink(struct outline *outline) {
    return (struct document_sink){outline, on_begin, on_segment, on_end, on_finding};
}

void outline_clear(struct outline *outline) {
    char *text = outline->text;
    size_t capacity = outline->capacity;
    *outline = (struct outline){.text = text, .capacity = capacity, .places = outline->places};
    if (text)
        *text = 0;
}

void outline_free(struct outline *outline) {
    free(outline->text);
    *outline = (struct outline){0};
}

/* A copy of its own, so that a sanitizer sees who reads beyond its end. */
static void feed(struct xml_reader *reader, const uint8_t *bytes, size_t length) {
    uint8_t *alone = malloc(length ? length : 1);
    cr_assert(alone);
    memcpy(alone, bytes, length);
    cr_assert(xml_feed(reader, alone, length) == 0);
    free(alone);
}

void outline_read(struct xml_reader *reader, const void *bytes, size_t length, size_t first, size_t step) {
    const uint8_t *from = bytes;
    feed(reader, from, first);
    for (size_t at = first; at < length;) {
        size_t n = step > 0 && step < length - at ? step : length - at;
        feed(reader, from + at, n);
        at += n;
    }
    cr_assert(xml_end(reader) == 0);
    xml_again(reader);
}

uint32_t outline_field(void *context, const char *segment, size_t segment_length, const char *field,
                       size_t field_length) {
    (void)segment;
    (void)segment_length;
    const char *const *fields = context;
    for (uint32_t i = 0; fields[i]; i++)
        if (strlen(fields[i]) == field_length && memcmp(fields[i], field, field_length) == 0)
            return i + 1;
    return 0;
}
