/* codepage.h: charsets of one byte for each character, to UTF-8: Latin-1, Windows-1252 and four of EBCDIC.
 * Owner: constant tables. Sources: the mapping tables of the Unicode Consortium (cp037, cp500, cp1252) and
 * those of IBM (cp273, cp1140). Thread: any. Nothing blocks, nothing allocates.
 * Fails: a byte that Windows-1252 does not have becomes U+FFFD, and the caller is told.
 * UTF-8 and UTF-16 have names here, too, but no tables: who reads them does it by himself. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum codepage {
    CODEPAGE_UTF8, /* as it is */
    CODEPAGE_LATIN1,
    CODEPAGE_1252,
    CODEPAGE_037,
    CODEPAGE_273,
    CODEPAGE_500,
    CODEPAGE_1140,
    CODEPAGE_UTF16LE, /* for tables only */
    CODEPAGES,
};

/* utf-8, iso-8859-1, windows-1252, cp037, cp273, cp500, cp1140, utf-16le; CODEPAGES if there is no such name.
 */
enum codepage codepage_named(const char *name);
const char *codepage_name(enum codepage codepage);
bool codepage_ebcdic(enum codepage codepage);

/* The character; 0xFFFD if the charset has none there. For charsets of one byte. */
uint16_t codepage_character(enum codepage codepage, uint8_t byte);
/* The byte of an ASCII character. For charsets of one byte. */
uint8_t codepage_byte(enum codepage codepage, char ascii);
/* At most 3 bytes of `out` for each of `bytes`; returns how many. *bad, if one was not known, is set to where
 * it stood; else it is not touched. For charsets of one byte. */
size_t codepage_text(enum codepage codepage, const uint8_t *bytes, size_t length, uint8_t *out, size_t *bad);
/* The UTF-8 of one character, 1 to 4 bytes. */
size_t codepage_put(uint32_t character, uint8_t *out);
