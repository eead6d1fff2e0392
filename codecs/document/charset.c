#include "codecs/document/charset.h"

#include "core/base/utf8.h"

#include <iconv.h>
#include <string.h>
#include <strings.h>

#define REPLACEMENT 0xfffdu

/* ISO 9735 has these for its syntax identifiers. UNOX changes charsets by escape sequences: only what it
 * begins with is read. */
static const struct {
    const char *name;
    const char *iconv;
    enum charset_kind kind;
} identifiers[] = {
    {"UNOA", "", CHARSET_ASCII},
    {"UNOB", "", CHARSET_ASCII},
    {"UNOC", "ISO-8859-1", CHARSET_BYTES},
    {"UNOD", "ISO-8859-2", CHARSET_BYTES},
    {"UNOE", "ISO-8859-5", CHARSET_BYTES},
    {"UNOF", "ISO-8859-7", CHARSET_BYTES},
    {"UNOG", "ISO-8859-3", CHARSET_BYTES},
    {"UNOH", "ISO-8859-4", CHARSET_BYTES},
    {"UNOI", "ISO-8859-6", CHARSET_BYTES},
    {"UNOJ", "ISO-8859-8", CHARSET_BYTES},
    {"UNOK", "ISO-8859-9", CHARSET_BYTES},
    {"UNOL", "ISO-8859-15", CHARSET_BYTES},
    {"UNOW", "", CHARSET_UTF8},
    {"UNOX", "", CHARSET_ASCII},
    {"UNOY", "", CHARSET_UTF8},
    {"UTF-8", "", CHARSET_UTF8},
    {"US-ASCII", "", CHARSET_ASCII},
};

/* ---- one character ---- */

static size_t utf8_write(uint32_t c, uint8_t *out) {
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    out[0] = (uint8_t)(0xe0 | c >> 12);
    out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    out[2] = (uint8_t)(0x80 | (c & 0x3f));
    return 3;
}

/* The character of one byte, or 0: the charset does not have it, or not as one character of the first plane.
 */
static uint16_t one(iconv_t cd, uint8_t byte) {
    char in = (char)byte;
    uint8_t out[8];
    char *from = &in, *to = (char *)out;
    size_t left = 1, room = sizeof out;
    (void)iconv(cd, NULL, NULL, NULL, NULL);
    if (iconv(cd, &from, &left, &to, &room) != 0 || left != 0 || room != sizeof out - 2)
        return 0;
    return (uint16_t)(out[0] | out[1] << 8);
}

/* false: there is no such charset, or one byte is not one character in it, or it is no ASCII below 0x80. */
static bool table_load(const char *name, uint16_t *high) {
    iconv_t cd = iconv_open("UTF-16LE", name);
    if (cd == (iconv_t)-1) // NOLINT(performance-no-int-to-ptr): POSIX says so
        return false;
    bool fits = true;
    unsigned found = 0;
    for (unsigned byte = 0x20; byte < 0x7f; byte++)
        fits &= one(cd, (uint8_t)byte) == byte;
    for (unsigned byte = 0x80; byte < 0x100; byte++) {
        uint16_t c = one(cd, (uint8_t)byte);
        high[byte - 0x80] = c < 0xa0 ? 0 : c; /* nobody means the control characters C1 */
        found += high[byte - 0x80] != 0;
    }
    (void)iconv_close(cd);
    return fits && found > 32;
}

static void load(struct charset *charset) {
    if (charset->kind == CHARSET_BYTES && !charset->loaded)
        charset->loaded = table_load(charset->iconv, charset->high);
}

/* The table stays if it is that of the same charset: interchanges follow each other. */
static void name_set(struct charset *charset, enum charset_kind kind, const char *name) {
    charset->loaded = charset->loaded && strcmp(charset->iconv, name) == 0;
    charset->kind = kind;
    memcpy(charset->iconv, name, strlen(name) + 1);
}

bool charset_named(struct charset *charset, const uint8_t *name, size_t length) {
    char text[sizeof charset->iconv] = "";
    charset->kind = CHARSET_ASCII;
    charset->level_a = false;
    if (length == 0 || length >= sizeof text)
        return false;
    memcpy(text, name, length);
    for (size_t i = 0; i < sizeof identifiers / sizeof identifiers[0]; i++) {
        if (strcasecmp(text, identifiers[i].name) != 0)
            continue;
        charset->level_a = i == 0;
        if (identifiers[i].kind == CHARSET_BYTES)
            name_set(charset, CHARSET_BYTES, identifiers[i].iconv);
        charset->kind = identifiers[i].kind;
        return true;
    }
    name_set(charset, CHARSET_BYTES, text);
    load(charset);
    if (!charset->loaded)
        charset->kind = CHARSET_ASCII;
    return charset->loaded;
}

/* ---- verified ---- */

static bool control(uint8_t byte) {
    return (byte < ' ' && byte != '\r' && byte != '\n') || byte == 0x7f;
}

size_t charset_bad(struct charset *charset, const uint8_t *bytes, size_t length) {
    load(charset);
    for (size_t i = 0; i < length;) {
        uint32_t c;
        size_t n = 1;
        if (bytes[i] < 0x80) {
            if (control(bytes[i]))
                return i;
        } else if (charset->kind == CHARSET_UTF8) {
            n = utf8_next(bytes + i, length - i, &c);
            if (n == 0)
                return i;
        } else if (charset->kind == CHARSET_ASCII || charset->high[bytes[i] - 0x80] == 0) {
            return i;
        }
        i += n;
    }
    return length;
}

/* What ISO 9735 lists for level A, service characters included. What is not printable ASCII is another
 * matter. */
size_t charset_beyond_level_a(const uint8_t *bytes, size_t length) {
    static const char signs[] = " .,-()/='+:?!\"%&*;<>\r\n";
    size_t i = 0;
    for (; i < length; i++) {
        uint8_t c = bytes[i];
        bool has = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c != 0 && strchr(signs, c));
        if (!has && c > ' ' && c < 0x7f)
            break;
    }
    return i;
}

/* ---- transcoded ---- */

static bool is_utf8(const uint8_t *bytes, size_t length) {
    uint32_t c;
    for (size_t i = 0, n; i < length; i += n) {
        n = bytes[i] < 0x80 ? 1 : utf8_next(bytes + i, length - i, &c);
        if (n == 0)
            return false;
    }
    return true;
}

/* Windows-1252 has these where ISO 8859-1 has control characters. */
static uint32_t windows(uint8_t byte) {
    static const uint16_t low[32] = {
        0x20ac,      REPLACEMENT, 0x201a, 0x0192, 0x201e, 0x2026,      0x2020, 0x2021,
        0x02c6,      0x2030,      0x0160, 0x2039, 0x0152, REPLACEMENT, 0x017d, REPLACEMENT,
        REPLACEMENT, 0x2018,      0x2019, 0x201c, 0x201d, 0x2022,      0x2013, 0x2014,
        0x02dc,      0x2122,      0x0161, 0x203a, 0x0153, REPLACEMENT, 0x017e, 0x0178,
    };
    return byte < 0xa0 ? low[byte - 0x80] : byte;
}

static size_t guess(const uint8_t *bytes, size_t length, uint8_t *out) {
    if (is_utf8(bytes, length)) {
        memmove(out, bytes, length);
        return length;
    }
    size_t n = 0;
    for (size_t i = 0; i < length; i++)
        n += utf8_write(bytes[i] < 0x80 ? bytes[i] : windows(bytes[i]), out + n);
    return n;
}

size_t charset_utf8(struct charset *charset, const uint8_t *bytes, size_t length, uint8_t *out) {
    load(charset);
    if (charset->kind != CHARSET_BYTES)
        return guess(bytes, length, out);
    size_t n = 0;
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] >= 0x80 && charset->high[bytes[i] - 0x80] == 0)
            return guess(bytes, length, out);
        if (bytes[i] < 0x80)
            out[n++] = bytes[i];
        else
            n += utf8_write(charset->high[bytes[i] - 0x80], out + n);
    }
    return n;
}
