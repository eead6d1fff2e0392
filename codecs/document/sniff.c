#include "codecs/document/sniff.h"

#include <stdbool.h>
#include <string.h>

#define ISA_SEPARATORS 16

/* What is left of the document to look at. */
struct rest {
    const char *at;
    const char *end;
};

static size_t left(struct rest rest) {
    return (size_t)(rest.end - rest.at);
}

static bool blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool alnum(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static struct rest skip_blanks(struct rest rest) {
    while (rest.at < rest.end && blank(*rest.at))
        rest.at++;
    return rest;
}

static bool begins(struct rest rest, const char *text) {
    size_t n = strlen(text);
    return left(rest) >= n && memcmp(rest.at, text, n) == 0;
}

/* The tag, and behind it what can only be a separator. */
static bool tagged(struct rest rest, const char *tag) {
    size_t n = strlen(tag);
    return begins(rest, tag) && left(rest) > n && !alnum(rest.at[n]) && !blank(rest.at[n]);
}

/* So many separators before anything that ends the segment too early: ISA in a text has none. */
static bool is_isa(struct rest rest) {
    if (!tagged(rest, "ISA"))
        return false;
    char separator = rest.at[3];
    int found = 0;
    for (const char *p = rest.at + 3; p < rest.end && found < ISA_SEPARATORS; p++)
        found += *p == separator;
    return found == ISA_SEPARATORS;
}

static enum document_format edi(struct rest rest) {
    if (begins(rest, "UNA") && left(rest) >= 9)
        return FORMAT_EDIFACT;
    if (tagged(rest, "UNB"))
        return FORMAT_EDIFACT;
    if (tagged(rest, "UNH"))
        return FORMAT_EDIFACT_FRAGMENT;
    if (is_isa(rest))
        return FORMAT_X12;
    if (begins(rest, "STX="))
        return FORMAT_TRADACOMS;
    if (tagged(rest, "GS") || tagged(rest, "ST"))
        return FORMAT_X12_FRAGMENT;
    if (begins(rest, "EDI_DC40"))
        return FORMAT_IDOC_FLAT;
    if (begins(rest, "EDI_DC "))
        return FORMAT_IDOC_FLAT_OLD;
    return FORMAT_UNKNOWN;
}

/* ---- XML ---- */

/* Behind the first `text`, or at the end. */
static struct rest behind(struct rest rest, const char *text) {
    const char *found = memmem(rest.at, left(rest), text, strlen(text));
    rest.at = found ? found + strlen(text) : rest.end;
    return rest;
}

/* At the root element's name: what stands before it is passed over. */
static struct rest root(struct rest rest) {
    for (;;) {
        rest = behind(rest, "<");
        if (begins(rest, "?"))
            rest = behind(rest, "?>");
        else if (begins(rest, "!--"))
            rest = behind(rest, "-->");
        else if (begins(rest, "!"))
            rest = behind(rest, ">");
        else
            return rest;
    }
}

static bool has(struct rest rest, const char *text) {
    return memmem(rest.at, left(rest), text, strlen(text)) != NULL;
}

static enum document_format xml(struct rest rest) {
    rest = root(rest);
    struct rest tag = rest;
    const char *end = memchr(rest.at, '>', left(rest));
    if (end)
        tag.end = end;
    if (has(tag, "urn:oasis:names:specification:ubl:schema:xsd:"))
        return FORMAT_UBL;
    if (has(tag, "urn:gs1:"))
        return FORMAT_GS1_XML;
    if (has(rest, "<EDI_DC40") || has(rest, "<IDOC ") || has(rest, "<IDOC>"))
        return FORMAT_IDOC_XML;
    return FORMAT_XML;
}

static enum document_format json(struct rest rest) {
    return has(rest, "\"specversion\"") ? FORMAT_CLOUDEVENT_JSON : FORMAT_JSON;
}

enum document_format sniff(const uint8_t *bytes, size_t length) {
    if (length == 0)
        return FORMAT_UNKNOWN;
    if (length > SNIFF_BYTES)
        length = SNIFF_BYTES;
    struct rest rest = {.at = (const char *)bytes, .end = (const char *)bytes + length};
    if (begins(rest, "\xff\xfe") || begins(rest, "\xfe\xff"))
        return FORMAT_UTF16;
    if (begins(rest, "\xef\xbb\xbf"))
        rest.at += 3;
    rest = skip_blanks(rest);
    if (begins(rest, "<"))
        return xml(rest);
    if (begins(rest, "{") || begins(rest, "["))
        return json(rest);
    return edi(rest);
}

const char *format_name(enum document_format format) {
    static const char *const names[FORMATS] = {
        [FORMAT_UNKNOWN] = "unknown",
        [FORMAT_EDIFACT] = "edifact",
        [FORMAT_EDIFACT_FRAGMENT] = "edifact-fragment",
        [FORMAT_X12] = "x12",
        [FORMAT_X12_FRAGMENT] = "x12-fragment",
        [FORMAT_TRADACOMS] = "tradacoms",
        [FORMAT_IDOC_FLAT] = "idoc",
        [FORMAT_IDOC_FLAT_OLD] = "idoc-2",
        [FORMAT_IDOC_XML] = "idoc-xml",
        [FORMAT_UBL] = "ubl",
        [FORMAT_GS1_XML] = "gs1-xml",
        [FORMAT_XML] = "xml",
        [FORMAT_CLOUDEVENT_JSON] = "cloudevent",
        [FORMAT_JSON] = "json",
        [FORMAT_UTF16] = "utf-16",
    };
    return format < FORMATS ? names[format] : "unknown";
}
