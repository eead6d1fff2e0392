/* sniff.h: which format a document is, by its first bytes and never by its name.
 * Owner: nobody (a pure function). Thread: any.
 * Nothing blocks or allocates.
 * It needs the first SNIFF_BYTES of a document, or all of a shorter one; with fewer it may know less.
 * It can not fail: what it does not know is FORMAT_UNKNOWN, and tables are never guessed. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SNIFF_BYTES 1024u

enum document_format {
    FORMAT_UNKNOWN,          /* a table, a layout of one's own, or nothing */
    FORMAT_EDIFACT,          /* UNA or UNB */
    FORMAT_EDIFACT_FRAGMENT, /* UNH: messages without an interchange */
    FORMAT_X12,
    FORMAT_X12_FRAGMENT,  /* GS or ST without ISA */
    FORMAT_TRADACOMS,     /* to be refused by name */
    FORMAT_IDOC_FLAT,     /* EDI_DC40 */
    FORMAT_IDOC_FLAT_OLD, /* EDI_DC, of version 2 */
    FORMAT_IDOC_XML,
    FORMAT_UBL,
    FORMAT_GS1_XML,
    FORMAT_XML, /* another */
    FORMAT_CLOUDEVENT_JSON,
    FORMAT_JSON,  /* another */
    FORMAT_UTF16, /* text in UTF-16, by its byte order mark: to be transcoded, and asked for again */
    FORMATS
};

enum document_format sniff(const uint8_t *bytes, size_t length);

/* edifact, x12, idoc, ubl, ...: constant text; "unknown" for what is not known. */
const char *format_name(enum document_format format);
