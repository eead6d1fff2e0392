/* marks.h: finds all bytes of a text that are one of six, at the speed of memory.
 * Owner: nobody (pure functions). Thread: any. Nothing blocks or allocates.
 * 64 bytes at a time are compared with the six (SSE2, which every x86-64 has; elsewhere byte by byte), and
 * what is found is a word with a bit for each byte, as JSON readers do it (Langdale, Lemire 2019). It can not
 * fail; the caller keeps MARKS_SLACK readable bytes behind what is looked at. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define MARKS_EACH  6u
#define MARKS_SLACK 65u

struct marks_set {
    uint8_t bytes[MARKS_EACH]; /* the same one twice does no harm */
    bool level_a;              /* small letters and what else level A does not have are odd, too */
};

/* Writes the positions, ascending, of all marks in [from, to) of the bytes: `to` - `from` at most.
 * *odd: there may be a byte that is neither a mark nor a printable character of ASCII nor CR before a mark.
 */
uint32_t marks_find(const struct marks_set *set, const uint8_t *bytes, uint32_t from, uint32_t to,
                    uint32_t *positions, bool *odd);
