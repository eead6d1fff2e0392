/* charset.h: the charset that a document says it has: is each byte in it, and what is it in UTF-8?
 * Owner: the reader that has it inside. Thread: the one that feeds the reader.
 * ASCII costs nothing here: readers ask only about text with other bytes. Nothing blocks; iconv is asked once
 * for each charset of one byte, when the first such byte is seen, and makes a table of it. Fails by saying
 * no: a name that is not known, a byte that the charset does not have. What violates its charset is still
 * read: as UTF-8 if it is that, else as Windows-1252. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum charset_kind {
    CHARSET_ASCII,
    CHARSET_UTF8,
    CHARSET_BYTES, /* ASCII, and one byte for each other character */
};

/* Zeroed: ASCII. Fields are private to charset.c, except `kind` and `level_a`. */
struct charset {
    enum charset_kind kind;
    bool level_a; /* UNOA: no small letters, few signs */
    bool loaded;
    char iconv[24];
    uint16_t high[128]; /* of bytes 0x80 to 0xff; 0: there is none */
};

/* By EDIFACT's names (UNOA to UNOY) or iconv's (ISO-8859-1, UTF-8, WINDOWS-1252, ...); false: it is not
 * known, or is none of those kinds, and stands for ASCII. To be zeroed before the first time; what was loaded
 * is kept for the next time. */
bool charset_named(struct charset *charset, const uint8_t *name, size_t length);

/* The first byte that the charset does not have: other than ASCII, or a control character; `length` if there
 * is none. */
size_t charset_bad(struct charset *charset, const uint8_t *bytes, size_t length);

/* The first printable character of ASCII that level A does not have; `length` if there is none. */
size_t charset_beyond_level_a(const uint8_t *bytes, size_t length);

/* Writes UTF-8, 3 * length bytes at most; returns how many. `out` may lie before the bytes so that it never
 * reaches those that are not read yet. */
size_t charset_utf8(struct charset *charset, const uint8_t *bytes, size_t length, uint8_t *out);
