#include "core/bridge/json_split.h"

#include <errno.h>
#include <string.h>

static bool is_space(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void split_wrong(struct json_split *split, const char *sentence) {
    if (!split->failed)
        split->wrong(split->context, sentence, split->inside ? split->began : split->offset);
    split->failed = true;
}

static int part_add(struct json_split *split, const uint8_t *bytes, size_t length) {
    if (length == 0)
        return 0;
    if (split->part.length + length > split->value_max) {
        split_wrong(split, "a value is larger than the limit");
        return 0;
    }
    bytes_add(&split->part, bytes, length);
    return split->part.failed ? -ENOMEM : 0;
}

static void value_tell(struct json_split *split, const uint8_t *text, size_t length) {
    while (length > 0 && is_space(text[length - 1]))
        length--;
    split->value(split->context, (const char *)text, length, split->began);
}

/* The value ends before `end`. */
static int value_end(struct json_split *split, const uint8_t *from, const uint8_t *end) {
    int result = 0;
    if (split->list != SPLIT_OUTSIDE)
        split->list = SPLIT_BEHIND;
    if (split->part.length == 0 && (size_t)(end - from) <= split->value_max)
        value_tell(split, from, (size_t)(end - from));
    else {
        result = part_add(split, from, (size_t)(end - from));
        if (result == 0 && !split->failed)
            value_tell(split, split->part.data, split->part.length);
    }
    split->inside = false;
    bytes_free(&split->part);
    return result;
}

/* Whether the value that is read ends with this byte, or (*before) in front of it. */
static bool value_ends(struct json_split *split, uint8_t c, bool *before) {
    *before = false;
    if (split->text) {
        bool quote = c == '"' && !split->escaped;
        split->escaped = c == '\\' && !split->escaped;
        split->text = !quote;
        return quote && split->depth == 0;
    }
    if (c == '"')
        split->text = true;
    else if (c == '{' || c == '[')
        split->depth++;
    else if (split->depth > 0 && (c == '}' || c == ']'))
        return --split->depth == 0;
    else if (split->depth == 0)
        return *before = is_space(c) || c == ',' || c == ']' || c == '}';
    return false;
}

/* Between values: what may stand there. True: a value begins here. */
static bool value_begins(struct json_split *split, uint8_t c) {
    bool value = false, good = true;
    if (is_space(c))
        return false;
    split->begun = true;
    if (split->list == SPLIT_OUTSIDE && c == '[') {
        split->list = SPLIT_FIRST;
    } else if (c == ']') {
        good = split->list == SPLIT_FIRST || split->list == SPLIT_BEHIND;
        split->list = SPLIT_OUTSIDE;
    } else if (c == ',') {
        good = split->list == SPLIT_BEHIND;
        split->list = SPLIT_NEXT;
    } else {
        good = c != '}' && split->list != SPLIT_BEHIND;
        value = good;
    }
    if (!good)
        split_wrong(split, "there is something between the values that does not belong there");
    return value;
}

int json_split_feed(struct json_split *split, const uint8_t *bytes, size_t length) {
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
    const uint8_t *from = bytes, *end = bytes + length;
    int result = 0;
    for (const uint8_t *p = bytes; p < end && result == 0 && !split->failed; p++, split->offset++) {
        bool before = false;
        if (!split->inside) {
            if (split->offset < sizeof mark && *p == mark[split->offset])
                continue;
            split->inside = value_begins(split, *p);
            split->began = split->offset;
            from = p;
        }
        if (!split->inside || !value_ends(split, *p, &before))
            continue;
        result = value_end(split, from, before ? p : p + 1);
        from = p + 1;
        if (before)
            (void)value_begins(split, *p);
    }
    if (result == 0 && split->inside && !split->failed)
        result = part_add(split, from, (size_t)(end - from));
    return result;
}

int json_split_end(struct json_split *split) {
    int result = 0;
    bool whole = split->inside && !split->text && split->depth == 0 && split->list == SPLIT_OUTSIDE;
    if (whole && !split->failed)
        result = value_end(split, NULL, NULL);
    else if (!split->failed && (split->inside || split->list != SPLIT_OUTSIDE))
        split_wrong(split, "it ends in the middle");
    else if (!split->failed && !split->begun)
        split_wrong(split, "there is nothing in it");
    json_split_deinit(split);
    return result;
}

void json_split_deinit(struct json_split *split) {
    bytes_free(&split->part);
    split->offset = split->began = 0;
    split->depth = 0;
    split->list = SPLIT_OUTSIDE;
    split->inside = split->text = split->escaped = split->begun = split->failed = false;
}
