#include "tests/unit/codecs/calls.h"

#include "core/base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const scopes[] = {"interchange", "group", "message", "aggregate"};
static const char *const severities[] = {"note", "warning", "error"};

static void value_put(FILE *out, const char *name, struct value value) {
    if (value.length > 0)
        fprintf(out, " %s=%.*s", name, (int)value.length, (const char *)value.bytes);
}

static void begin(void *context, enum document_scope scope, const struct document_head *head) {
    struct calls *trace = context;
    FILE *out = trace->stream;
    fprintf(out, "> %s", scopes[scope]);
    const struct {
        const char *name;
        struct value value;
    } values[] = {{"format", head->format},
                  {"syntax", head->syntax},
                  {"name", head->name},
                  {"version", head->version},
                  {"association", head->association},
                  {"variant", head->variant},
                  {"sender", head->sender.id},
                  {"sender_qualifier", head->sender.qualifier},
                  {"receiver", head->receiver.id},
                  {"receiver_qualifier", head->receiver.qualifier},
                  {"interchange", head->interchange_ref},
                  {"group", head->group_ref},
                  {"ref", head->message_ref},
                  {"date", head->date},
                  {"time", head->time}};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        value_put(out, values[i].name, values[i].value);
    fprintf(out, "%s", head->test ? " test" : "");
    if (!trace->without_places)
        fprintf(out, " @%lu", head->offset);
    fputc('\n', out);
}

static void segment(void *context, const struct segment *segment) {
    struct calls *trace = context;
    FILE *out = trace->stream;
    const struct place *place = &segment->place;
    trace->segments++;
    fprintf(out, "%.*s", (int)segment->name.length, (const char *)segment->name.bytes);
    if (!trace->without_places)
        fprintf(out, " @%lu:%u:%u+%u", place->offset, place->line, place->segment, place->length);
    uint32_t last = 0;
    for (uint32_t i = 0; i < segment->element_count; i++) {
        const struct element *element = &segment->elements[i];
        CHECK(element->number >= last && element->number > 0);
        CHECK(element->first + element->count <= segment->component_count);
        last = element->number;
        fprintf(out, " %u", element->number);
        for (uint32_t k = 0; k < element->count; k++) {
            struct value value = segment->components[element->first + k];
            CHECK(value.length == 0 || value.bytes != NULL);
            fprintf(out, "%c%s%.*s", k == 0 ? '=' : ':', value.length == 0 && value.bytes ? "''" : "",
                    (int)value.length, (const char *)value.bytes);
        }
    }
    fputc('\n', out);
}

static void end(void *context, enum document_scope scope, const struct document_tail *tail) {
    struct calls *trace = context;
    FILE *out = trace->stream;
    trace->messages += scope == DOCUMENT_MESSAGE;
    trace->refused += scope == DOCUMENT_MESSAGE && tail->errors > 0;
    fprintf(out, "< %s %u segments, %u messages, %u errors", scopes[scope], tail->segments, tail->messages,
            tail->errors);
    if (!trace->without_places)
        fprintf(out, ", %lu bytes", tail->length);
    fputc('\n', out);
}

static void finding(void *context, const struct finding *finding) {
    struct calls *trace = context;
    FILE *out = trace->stream;
    const struct place *place = &finding->place;
    trace->findings++;
    fprintf(out, "! %s %s %s @%lu+%u:%u:%u:%u", finding_kind(finding->code)->name,
            severities[finding->severity], scopes[finding->scope], place->offset, place->length, place->line,
            place->segment, place->element);
    if (finding->found.length > 0)
        fprintf(out, " \"%.*s\"", (int)finding->found.length, (const char *)finding->found.bytes);
    if (finding->expected.length > 0)
        fprintf(out, " expected \"%.*s\"", (int)finding->expected.length,
                (const char *)finding->expected.bytes);
    fputc('\n', out);
}

void calls_init(struct calls *trace) {
    *trace = (struct calls){.sink = {.begin = begin, .segment = segment, .end = end, .finding = finding}};
    trace->sink.context = trace;
    trace->stream = open_memstream(&trace->text, &trace->length);
    CHECK(trace->stream);
}

const char *calls_text(struct calls *trace) {
    fflush(trace->stream);
    return trace->text;
}

void calls_free(struct calls *trace) {
    fclose(trace->stream);
    free(trace->text);
}

bool calls_has(struct calls *trace, const char *part) {
    if (strstr(calls_text(trace), part))
        return true;
    fprintf(stderr, "not found: %s\nin:\n%s\n", part, trace->text);
    return false;
}

uint32_t calls_count(struct calls *trace, const char *part) {
    uint32_t count = 0;
    for (const char *at = calls_text(trace); (at = strstr(at, part)) != NULL; at += strlen(part))
        count++;
    return count;
}
