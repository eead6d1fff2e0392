/* logfmt_json.c: a line of key=value as JSON. The line is what logfmt writes, but nothing is taken for
 * granted: a text in it may have been cut anywhere, and not every value was quoted by logfmt_quote. */
#include "core/base/logfmt.h"

#include "core/base/utf8.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define STEP_BYTES  12u /* the longest piece of text that is written at once: two escapes */
#define CLOSE_BYTES 4u  /* what ends a text and the object */
#define DIGITS_MOST 15u /* whole numbers that a double holds */
#define VALUE_BYTES 1024u

struct json_line {
    char *out;
    uint64_t used, room; /* room without what closes it */
    bool full;
};

static void put(struct json_line *json, const char *text, uint64_t length) {
    json->full |= json->used + length > json->room;
    if (json->full)
        return;
    memcpy(json->out + json->used, text, length);
    json->used += length;
}

static void put_hex(struct json_line *json, const char *before, uint32_t code, uint32_t digits) {
    static const char hex[] = "0123456789abcdef";
    char text[STEP_BYTES];
    uint64_t length = 0;
    while (*before != '\0')
        text[length++] = *before++;
    while (digits-- > 0)
        text[length++] = hex[code >> 4 * digits & 15];
    put(json, text, length);
}

/* Characters that turn the text around them about, or that nobody sees, are escaped, too. */
static void put_code(struct json_line *json, const char *text, uint64_t size, uint32_t code) {
    bool hidden = utf8_control_or_nonchar(code) || utf8_unseen(code);
    if (code == '"' || code == '\\')
        put(json, code == '"' ? "\\\"" : "\\\\", 2);
    else if (!hidden)
        put(json, text, size);
    else if (code < 0x10000)
        put_hex(json, "\\u", code, 4);
    else
        put_hex(json, "\\\\U", code, 8);
}

static void put_text(struct json_line *json, const char *text, uint64_t length) {
    put(json, "\"", 1);
    for (uint64_t i = 0; i < length && !json->full;) {
        uint32_t code;
        uint64_t size = utf8_next((const uint8_t *)text + i, length - i, &code);
        if (size > 0)
            put_code(json, text + i, size, code);
        else
            put_hex(json, "\\\\x", (uint8_t)text[i], 2);
        i += size > 0 ? size : 1;
    }
    /* A text that was left out in the middle is closed all the same. */
    json->out[json->used++] = '"';
}

/* ---- reading ---- */

static int hex_value(char digit) {
    return isdigit((unsigned char)digit) ? digit - '0' : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* One byte of a quoted text; how many bytes of the line it is. */
static uint64_t unquote_one(const char *at, uint64_t left, char *byte) {
    *byte = at[0];
    if (at[0] != '\\' || left < 2)
        return 1;
    if (left >= 4 && at[1] == 'x' && hex_value(at[2]) >= 0 && hex_value(at[3]) >= 0) {
        *byte = (char)(hex_value(at[2]) << 4 | hex_value(at[3]));
        return 4;
    }
    if (at[1] != '"' && at[1] != '\\')
        return 1;
    *byte = at[1];
    return 2;
}

/* The text between quotes; `at` is behind the first one. Returns how much of the line that is, with the last
 * quote where there is one. */
static uint64_t unquote(const char *at, uint64_t left, char *out, uint64_t *length) {
    uint64_t used = 0;
    *length = 0;
    while (used < left && at[used] != '"' && *length < VALUE_BYTES)
        used += unquote_one(at + used, left - used, &out[(*length)++]);
    return used < left && at[used] == '"' ? used + 1 : used;
}

static bool is_number(const char *text, uint64_t length) {
    uint64_t sign = length > 1 && text[0] == '-';
    uint64_t digits = length - sign;
    if (digits == 0 || digits > DIGITS_MOST || (text[sign] == '0' && (digits > 1 || sign)))
        return false;
    for (uint64_t i = sign; i < length; i++)
        if (!isdigit((unsigned char)text[i]))
            return false;
    return true;
}

/* Up to a blank; a key's word ends at '=', too. */
static uint64_t word_size(const char *at, uint64_t left, bool key) {
    uint64_t size = 0;
    while (size < left && at[size] != ' ' && !(key && at[size] == '='))
        size++;
    return size;
}

/* The value at `at`; how much of the line it is. */
static uint64_t put_value(struct json_line *json, const char *at, uint64_t left) {
    char text[VALUE_BYTES];
    uint64_t length;
    if (left > 0 && at[0] == '"') {
        uint64_t used = 1 + unquote(at + 1, left - 1, text, &length);
        put_text(json, text, length);
        return used;
    }
    length = word_size(at, left, false);
    if (is_number(at, length))
        put(json, at, length);
    else
        put_text(json, at, length);
    return length;
}

/* One pair, and the blanks behind it. A word without a value has an empty one. */
static uint64_t put_pair(struct json_line *json, const char *at, uint64_t left) {
    uint64_t key = word_size(at, left, true), used = key;
    uint64_t before = json->used;
    if (json->used > 1)
        put(json, ",", 1);
    put_text(json, at, key);
    put(json, ":", 1);
    bool has = key < left && at[key] == '=';
    used += has;
    used += put_value(json, at + used, has ? left - used : 0);
    if (json->full)
        json->used = before; /* a pair is there as a whole, or not at all */
    while (used < left && at[used] == ' ')
        used++;
    return used;
}

uint64_t logfmt_json(char *out, uint64_t out_size, const char *line, uint64_t length) {
    struct json_line json = {.out = out, .room = out_size - CLOSE_BYTES};
    put(&json, "{", 1);
    while (length > 0 && *line == ' ')
        line++, length--;
    for (uint64_t i = 0; i < length && !json.full;)
        i += put_pair(&json, line + i, length - i);
    json.out[json.used++] = '}';
    return json.used;
}
