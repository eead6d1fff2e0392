#include "tests/unit/codecs/trace.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static void put(struct trace *trace, const char *format, ...) {
    va_list arguments;
    if (trace->quiet)
        return;
    for (;;) {
        size_t room = trace->size - trace->length;
        va_start(arguments, format);
        int n = vsnprintf(trace->text ? trace->text + trace->length : NULL, room, format, arguments);
        va_end(arguments);
        if ((size_t)n < room) {
            trace->length += (size_t)n;
            return;
        }
        trace->size = 2 * trace->size + (size_t)n + 1024;
        trace->text = realloc(trace->text, trace->size);
        cr_assert(trace->text);
    }
}

static void put_value(struct trace *trace, const char *name, struct value value) {
    if (value.length > 0)
        put(trace, " %s=%.*s", name, (int)value.length, (const char *)value.bytes);
}

static void begin(void *context, enum document_scope scope, const struct document_head *head) {
    struct trace *trace = context;
    cr_assert_eq(trace->begun[scope], trace->ended[scope], "a scope begins in itself");
    trace->begun[scope]++;
    put(trace, "begin %d @%llu", (int)scope, (unsigned long long)head->offset);
    put_value(trace, "format", head->format);
    put_value(trace, "syntax", head->syntax);
    put_value(trace, "name", head->name);
    put_value(trace, "version", head->version);
    put_value(trace, "association", head->association);
    put_value(trace, "variant", head->variant);
    put_value(trace, "sender", head->sender.id);
    put_value(trace, "sender-qualifier", head->sender.qualifier);
    put_value(trace, "receiver", head->receiver.id);
    put_value(trace, "receiver-qualifier", head->receiver.qualifier);
    put_value(trace, "interchange", head->interchange_ref);
    put_value(trace, "group", head->group_ref);
    put_value(trace, "message", head->message_ref);
    put_value(trace, "date", head->date);
    put_value(trace, "time", head->time);
    put(trace, "%s%s\n", head->test ? " test" : "", head->acknowledge ? " acknowledge" : "");
}

static void segment(void *context, const struct segment *segment) {
    struct trace *trace = context;
    trace->segments++;
    cr_assert(segment->place.segment > 0 || trace->begun[DOCUMENT_MESSAGE] == trace->ended[DOCUMENT_MESSAGE]);
    put(trace, "segment %.*s %u/%u @%llu+%u line %u", (int)segment->name.length,
        (const char *)segment->name.bytes, segment->place.segment, segment->place.in_file,
        (unsigned long long)segment->place.offset, segment->place.length, segment->place.line);
    for (uint32_t i = 0; i < segment->element_count; i++) {
        const struct element *element = &segment->elements[i];
        put(trace, " %u", element->number);
        for (uint32_t j = 0; j < element->count; j++) {
            struct value value = segment->components[element->first + j];
            put(trace, "[%.*s%s]", (int)value.length, (const char *)value.bytes, value.released ? "~" : "");
        }
    }
    put(trace, "\n");
}

static void end(void *context, enum document_scope scope, const struct document_tail *tail) {
    struct trace *trace = context;
    cr_assert_eq(trace->begun[scope], trace->ended[scope] + 1, "a scope ends that did not begin");
    trace->ended[scope]++;
    trace->refused[scope] += tail->errors > 0;
    put(trace, "end %d +%llu segments %u messages %u errors %u\n", (int)scope,
        (unsigned long long)tail->length, tail->segments, tail->messages, tail->errors);
}

static void finding(void *context, const struct finding *finding) {
    struct trace *trace = context;
    const struct place *place = &finding->place;
    if (trace->count < TRACE_FINDINGS)
        trace->findings[trace->count] = (struct trace_finding){
            .code = finding->code, .severity = finding->severity, .place = *place, .scope = finding->scope};
    trace->count++;
    put(trace, "finding %s severity %d scope %d %u/%u %u:%u @%llu+%u line %u",
        finding_kind(finding->code)->name, (int)finding->severity, finding->scope, place->segment,
        place->in_file, place->element, place->component, (unsigned long long)place->offset, place->length,
        place->line);
    put_value(trace, "segment", finding->segment);
    put_value(trace, "found", finding->found);
    put_value(trace, "expected", finding->expected);
    put(trace, "\n");
}

struct document_sink trace_sink(struct trace *trace) {
    return (struct document_sink){
        .context = trace, .begin = begin, .segment = segment, .end = end, .finding = finding};
}

void trace_free(struct trace *trace) {
    free(trace->text);
    trace->text = NULL;
}

unsigned trace_found(const struct trace *trace, enum finding_code code) {
    unsigned found = 0;
    for (unsigned i = 0; i < trace->count && i < TRACE_FINDINGS; i++)
        found += trace->findings[i].code == code;
    return found;
}
