#include "codecs/edi/envelope.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define REFS_SIZE_LEAST 64u
#define REFS_SIZE_KEPT  1024u /* what a large interchange took is given back before the next one */

/* ---- values that outlive their segment ---- */

/* Without the begin of a character of UTF-8 that was cut off. */
static size_t whole_characters(const char *text, size_t length) {
    size_t n = length;
    while (n > 0 && length - n < 3 && ((uint8_t)text[n - 1] & 0xc0) == 0x80)
        n--;
    return n > 0 && (uint8_t)text[n - 1] >= 0xc0 ? n - 1 : length;
}

struct value keep_value(struct keep *keep, struct value value, uint8_t release) {
    uint32_t room = KEEP_BYTES - keep->used;
    if (room > KEEP_VALUE)
        room = KEEP_VALUE;
    char *text = keep->bytes + keep->used;
    size_t length = value_text(value, release, text, room);
    if (length > room)
        length = whole_characters(text, room);
    keep->used += (uint32_t)length;
    return (struct value){.bytes = (const uint8_t *)text, .length = (uint32_t)length};
}

struct value keep_joined(struct keep *keep, const struct value *values, unsigned count, uint8_t release) {
    const char *begin = keep->bytes + keep->used;
    const struct value colon = {.bytes = (const uint8_t *)":", .length = 1};
    while (count > 0 && values[count - 1].length == 0)
        count--;
    for (unsigned i = 0; i < count; i++) {
        if (i > 0)
            (void)keep_value(keep, colon, 0);
        (void)keep_value(keep, values[i], release);
    }
    return (struct value){.bytes = (const uint8_t *)begin,
                          .length = (uint32_t)(keep->bytes + keep->used - begin)};
}

struct value value_trimmed(struct value value) {
    while (value.length > 0 && value.bytes[value.length - 1] == ' ')
        value.length--;
    return value;
}

/* ---- counts and references ---- */

bool count_is(struct value value, uint64_t count) {
    uint64_t number = 0;
    if (value.length == 0 || value.length > 18)
        return false;
    for (uint32_t i = 0; i < value.length; i++) {
        if (value.bytes[i] < '0' || value.bytes[i] > '9')
            return false;
        number = number * 10 + (value.bytes[i] - (uint64_t)'0');
    }
    return number == count;
}

static struct value without_zeros(struct value value) {
    while (value.length > 1 && value.bytes[0] == '0') {
        value.bytes++;
        value.length--;
    }
    return value;
}

static bool same(struct value a, struct value b) {
    return a.length == b.length && (a.length == 0 || memcmp(a.bytes, b.bytes, a.length) == 0);
}

enum reference_match reference_match(struct value kept, struct value value, uint8_t release) {
    struct keep once = {0};
    struct value text = keep_value(&once, value, release);
    if (same(kept, text))
        return REFERENCE_SAME;
    return same(without_zeros(kept), without_zeros(text)) ? REFERENCE_ZEROS : REFERENCE_DIFFERS;
}

/* ---- dates ---- */

static bool all_digits(struct value value) {
    for (uint32_t i = 0; i < value.length; i++)
        if (value.bytes[i] < '0' || value.bytes[i] > '9')
            return false;
    return value.length > 0;
}

static unsigned two(const uint8_t *digits) {
    return (digits[0] - 48u) * 10 + (digits[1] - 48u);
}

static bool day_exists(unsigned year, unsigned month, unsigned day) {
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1] + (leap && month == 2 ? 1u : 0u);
}

struct value keep_date(struct keep *keep, struct value value, uint16_t pivot) {
    uint8_t text[8];
    if (!all_digits(value) || (value.length != 6 && value.length != 8))
        return (struct value){0};
    memcpy(text + 8 - value.length, value.bytes, value.length);
    if (value.length == 6) {
        text[0] = two(text + 2) > pivot ? '1' : '2';
        text[1] = two(text + 2) > pivot ? '9' : '0';
    }
    if (!day_exists(two(text) * 100 + two(text + 2), two(text + 4), two(text + 6)))
        return (struct value){0};
    return keep_value(keep, (struct value){.bytes = text, .length = sizeof text}, 0);
}

bool time_valid(struct value value) {
    if (!all_digits(value) || value.length < 4 || value.length == 5 || value.length > 8)
        return false;
    bool valid = two(value.bytes) < 24 && two(value.bytes + 2) < 60;
    return valid && (value.length == 4 || two(value.bytes + 4) < 61);
}

/* ---- references that were there before ---- */

void refs_deinit(struct refs *refs) {
    free(refs->slots);
    *refs = (struct refs){0};
}

/* The slot that holds the hash, or the empty one where it belongs. */
static uint64_t *slot_of(uint64_t *slots, uint32_t size, uint64_t hash) {
    uint32_t i = (uint32_t)hash & (size - 1);
    while (slots[i] != 0 && slots[i] != hash)
        i = (i + 1) & (size - 1);
    return &slots[i];
}

static void forget(struct refs *refs) {
    if (refs->count > 0)
        memset(refs->slots, 0, refs->size * sizeof *refs->slots);
    refs->count = 0;
}

void refs_clear(struct refs *refs) {
    if (refs->size > REFS_SIZE_KEPT)
        refs_deinit(refs);
    forget(refs);
}

/* Room for one more; false: there is none at all. */
static bool refs_room(struct refs *refs) {
    if (refs->count < refs->size / 2)
        return true;
    uint32_t size = refs->size == 0 ? REFS_SIZE_LEAST : 2 * refs->size;
    uint64_t *slots = size <= 2 * REFS_MAX ? calloc(size, sizeof *slots) : NULL;
    if (!slots) {
        forget(refs);
        return refs->size > 0;
    }
    for (uint32_t i = 0; i < refs->size; i++)
        if (refs->slots[i] != 0)
            *slot_of(slots, size, refs->slots[i]) = refs->slots[i];
    free(refs->slots);
    refs->slots = slots;
    refs->size = size;
    return true;
}

bool refs_seen(struct refs *refs, struct value value) {
    uint64_t hash = XXH3_64bits(value.bytes, value.length);
    if (hash == 0)
        hash = 1;
    if (refs->count > 0 && *slot_of(refs->slots, refs->size, hash) != 0)
        return true;
    if (!refs_room(refs))
        return false;
    *slot_of(refs->slots, refs->size, hash) = hash;
    refs->count++;
    return false;
}
