#include "codecs/event/json_text.h"

#include <jansson.h>
#include <string.h>

static const char *error_text(const json_error_t *error) {
    switch (json_error_code(error)) {
    case json_error_out_of_memory:
        return "out of memory";
    case json_error_stack_overflow:
        return "the JSON is nested more than 2048 levels deep";
    case json_error_duplicate_key:
        return "a member occurs twice in one JSON object";
    case json_error_numeric_overflow:
        return "a number in the JSON is larger than 64-bit floating point can hold";
    case json_error_invalid_utf8:
        return "the JSON is not valid UTF-8";
    default:
        return "the text is not well-formed JSON";
    }
}

const char *json_text_fault(const char *text, size_t n, bool unique) {
    json_error_t error;
    size_t flags = JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL;
    json_t *root = json_loadb(text, n, flags | (unique ? JSON_REJECT_DUPLICATES : 0), &error);
    if (!root)
        return error_text(&error);
    json_decref(root);
    return NULL;
}

static bool white(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

const char *json_text_begin(const char *p, const char *end) {
    while (p < end && white(*p))
        ++p;
    return p;
}

/* The end of the string whose opening quote is at p. */
static const char *string_end(const char *p, const char *end) {
    for (++p; p < end && *p != '"'; ++p)
        if (*p == '\\')
            ++p;
    return p < end ? p + 1 : end;
}

/* The end of a number, true, false or null. */
static const char *word_end(const char *p, const char *end) {
    while (p < end && !white(*p) && *p != ',' && *p != '}' && *p != ']')
        ++p;
    return p;
}

/* The end of the value at p: behind its last bracket or quote, or before what ends a number or word. */
static const char *value_end(const char *p, const char *end) {
    if (p < end && *p != '"' && *p != '{' && *p != '[')
        return word_end(p, end);
    size_t depth = 0;
    while (p < end) {
        char c = *p;
        p = c == '"' ? string_end(p, end) : p + 1;
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        if (depth == 0)
            return p;
    }
    return end;
}

bool json_member_next(const char **at, const char *end, struct json_member *member) {
    const char *p = json_text_begin(*at + 1, end); /* behind '{' or ',' */
    if (p >= end || *p != '"')
        return false;
    member->key = p;
    p = string_end(p, end);
    member->key_length = (size_t)(p - member->key);
    p = json_text_begin(p, end); /* at ':' */
    member->value = json_text_begin(p + 1, end);
    p = value_end(member->value, end);
    member->value_length = (size_t)(p - member->value);
    *at = json_text_begin(p, end);
    return true;
}

bool json_element_next(const char **at, const char *end, const char **value, size_t *length) {
    if (*at >= end || (**at != '[' && **at != ','))
        return false;
    bool first = **at == '[';
    const char *p = json_text_begin(*at + 1, end);
    if (first && p < end && *p == ']') {
        *at = p;
        return false;
    }
    *value = p;
    p = value_end(p, end);
    *length = (size_t)(p - *value);
    if (*length == 0)
        return false;
    *at = json_text_begin(p, end);
    return true;
}

void json_text_add(struct bytes *out, const char *text, size_t n) {
    const char *end = text + n;
    while (text < end) {
        text = json_text_begin(text, end);
        const char *part = text;
        while (text < end && !white(*text))
            text = *text == '"' ? string_end(text, end) : text + 1;
        bytes_add(out, part, (size_t)(text - part));
    }
}

static int add(const char *text, size_t n, void *out) {
    bytes_add(out, text, n);
    return 0;
}

void json_string_add(struct bytes *out, const char *text, size_t n) {
    json_t *string = json_stringn(text, n);
    if (!string || json_dump_callback(string, add, out, JSON_ENCODE_ANY) != 0)
        out->failed = true;
    json_decref(string);
}
