#include "core/bridge/findings.h"

#include "codecs/document/sink.h"
#include "codecs/event/json_text.h"
#include "core/base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void name_add(struct bytes *out, const char *name) {
    bytes_text(out, out->data[out->length - 1] == '{' ? "\"" : ", \"");
    bytes_text(out, name);
    bytes_text(out, "\": ");
}

static void text_add(struct bytes *out, const char *name, const char *text, size_t n) {
    if (n == 0)
        return;
    name_add(out, name);
    json_string_add(out, text, n);
}

/* What stood in the document: in UTF-8, or by its bytes. */
static void value_add(struct bytes *out, const char *name, struct value value, size_t most) {
    char text[4 * FINDINGS_TEXT_MAX + 4];
    size_t n = value.length < most ? value.length : most;
    while (n < value.length && n > 0 && (value.bytes[n] & 0xc0) == 0x80)
        n--; /* no part of a character */
    const char *more = n < value.length ? "..." : "";
    if (utf8_valid(value.bytes, n)) {
        int length = snprintf(text, sizeof text, "%.*s%s", (int)n, (const char *)value.bytes, more);
        text_add(out, name, text, (size_t)length);
        return;
    }
    size_t at = 0;
    for (size_t i = 0; i < n; i++)
        at +=
            (size_t)snprintf(text + at, sizeof text - at,
                             value.bytes[i] < ' ' || value.bytes[i] > '~' ? "\\x%02x" : "%c", value.bytes[i]);
    text_add(out, name, text, (size_t)(stpcpy(text + at, more) - text));
}

static void number_add(struct bytes *out, const char *name, uint64_t number) {
    char text[32];
    (void)snprintf(text, sizeof text, "%" PRIu64, number);
    name_add(out, name);
    bytes_text(out, text);
}

static const char *standard_code(const struct finding_kind *kind, const char *format) {
    if (strncmp(format, "edifact", 7) == 0)
        return kind->edifact;
    return strncmp(format, "x12", 3) == 0 ? kind->x12 : "";
}

static void finding_add(struct findings *list, const struct finding *finding, const char *format,
                        size_t most) {
    static const char *const severities[] = {"note", "warning", "error"};
    static const char *const scopes[] = {"interchange", "group", "message", "aggregate"};
    const struct finding_kind *kind = finding_kind(finding->code);
    const struct place *place = &finding->place;
    struct bytes *out = &list->text;
    list->errors += finding->severity == FINDING_ERROR;
    list->warnings += finding->severity == FINDING_WARNING;
    if (list->told == FINDINGS_LIST_MAX || out->failed) {
        list->omitted++;
        return;
    }
    bytes_text(out, list->told++ == 0 ? "\n    {" : ",\n    {");
    if (out->failed)
        return;
    text_add(out, "code", kind->name, strlen(kind->name));
    text_add(out, "severity", severities[finding->severity], strlen(severities[finding->severity]));
    text_add(out, "scope", scopes[finding->scope], strlen(scopes[finding->scope]));
    value_add(out, "segment", finding->segment, FINDING_VALUE_MAX);
    const struct {
        const char *name;
        uint32_t number;
    } numbers[] = {{"number", place->segment},
                   {"element", place->element},
                   {"component", place->component},
                   {"line", place->line}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].number != 0)
            number_add(out, numbers[i].name, numbers[i].number);
    number_add(out, "offset", place->offset);
    value_add(out, "value", finding->found, most);
    value_add(out, "expected", finding->expected, FINDING_VALUE_MAX);
    text_add(out, "text", kind->text, strlen(kind->text));
    const char *code = standard_code(kind, format);
    text_add(out, "standardCode", code, strlen(code));
    text_add(out, "hint", kind->hint, strlen(kind->hint));
    bytes_text(out, "}");
}

void findings_add(struct findings *list, const struct finding *finding, const char *format) {
    finding_add(list, finding, format, FINDING_VALUE_MAX);
}

void findings_say(struct findings *list, enum finding_code code, struct place place, const char *sentence) {
    struct finding finding = {
        .code = code,
        .severity = FINDING_ERROR,
        .place = place,
        .scope = DOCUMENT_MESSAGE,
        .found = {.bytes = (const uint8_t *)sentence, .length = (uint32_t)strlen(sentence)}};
    finding_add(list, &finding, "", FINDINGS_TEXT_MAX);
}

void findings_write(const struct findings *list, const struct findings_head *head, struct bytes *text) {
    bytes_text(text, "{");
    if (text->failed)
        return;
    text_add(text, "file", head->file, strlen(head->file));
    text_add(text, "format", head->format, strlen(head->format));
    number_add(text, "published", head->published);
    number_add(text, "refused", head->refused);
    if (head->unknown > 0)
        number_add(text, "unknown", head->unknown);
    if (list->omitted > 0)
        number_add(text, "omitted", list->omitted);
    name_add(text, "findings");
    bytes_text(text, "[");
    bytes_add(text, list->text.data, list->text.length);
    bytes_text(text, list->told > 0 ? "\n]}\n" : "]}\n");
    text->failed |= list->text.failed;
}

void findings_clear(struct findings *list) {
    bytes_free(&list->text);
    *list = (struct findings){0};
}
