/* xml.h: reads XML documents as their bytes come: UBL 2.x, and SAP IDocs in XML. Others are named and
 * refused. Owner: who opens a reader; the sink is borrowed until it is closed. Thread: one at a time for one
 * reader. Nothing blocks but the sink. Memory: the parser's, and of the document one leaf, the names of the
 * elements that are open, and what stands before the parties of a UBL document (XML_HOLD_MAX). Fails by
 * findings, and by -ENOMEM. A broken document is refused from where it breaks: its scopes are closed, and
 * what is fed then is not looked at. There is one XML document in a file. */
#pragma once

#include "codecs/document/sink.h"
#include "core/base/check.h"

#include <stddef.h>
#include <stdint.h>

/* What comes to the sink
 *
 * UBL: the document is a DOCUMENT_MESSAGE, its format UBL. An element with children is a DOCUMENT_AGGREGATE;
 * a leaf is a segment with its local name, its text without blanks around it as element 1, and those of its
 * attributes that have a number below. Elements are told apart by (namespace, local name): what is in none of
 * UBL's namespaces is passed over, with a finding where it is not an extension. An attachment's text
 * (EmbeddedDocumentBinaryObject) is dropped with a note, unless it is asked for.
 *   head.name       the root's local name          head.version      UBLVersionID
 *   head.syntax     its namespace                  head.association  CustomizationID
 *   head.message_ref  ID                           head.variant      ProfileID
 *   head.date, time   IssueDate, IssueTime         head.sender, head.receiver, as follows
 * The parties of a UBL document are inside of it, so `begin` is held back until both are known, or a line
 * begins, or XML_HOLD_MAX bytes have been held. A party's id is the first that it has of EndpointID,
 * PartyIdentification/ID, PartyLegalEntity/CompanyID, PartyTaxScheme/CompanyID, PartyName/Name; its qualifier
 * is the schemeID. Who sends and who receives is in xml_documents of codecs/xml/ubl.c.
 *
 * IDocs: what codecs/idoc/idoc.h says of flat ones. The file is a DOCUMENT_INTERCHANGE, each IDOC a
 * DOCUMENT_MESSAGE with its EDI_DC40 as head and first segment (name IDOCTYP, variant MESTYP, association
 * CIMTYP, version DOCREL, message_ref DOCNUM, group_ref MANDT, interchange_ref ARCKEY, sender SNDPRN with
 * SNDPRT, receiver RCVPRN with RCVPRT). An AGGREGATE is around a segment that has segments beneath it. Fields
 * have the numbers that `field` gives, and no blanks behind them; `_-` in a name is a slash. */

/* Numbers of a leaf's elements. */
#define XML_TEXT 1u
#define XML_ATTRIBUTES(X)                                                                                    \
    X(CURRENCY_ID, "currencyID")                                                                             \
    X(UNIT_CODE, "unitCode")                                                                                 \
    X(SCHEME_ID, "schemeID")                                                                                 \
    X(SCHEME_NAME, "schemeName")                                                                             \
    X(SCHEME_AGENCY_ID, "schemeAgencyID")                                                                    \
    X(SCHEME_AGENCY_NAME, "schemeAgencyName")                                                                \
    X(SCHEME_VERSION_ID, "schemeVersionID")                                                                  \
    X(SCHEME_DATA_URI, "schemeDataURI")                                                                      \
    X(SCHEME_URI, "schemeURI")                                                                               \
    X(LANGUAGE_ID, "languageID")                                                                             \
    X(LANGUAGE_LOCALE_ID, "languageLocaleID")                                                                \
    X(LIST_ID, "listID")                                                                                     \
    X(LIST_NAME, "listName")                                                                                 \
    X(LIST_AGENCY_ID, "listAgencyID")                                                                        \
    X(LIST_AGENCY_NAME, "listAgencyName")                                                                    \
    X(LIST_VERSION_ID, "listVersionID")                                                                      \
    X(LIST_URI, "listURI")                                                                                   \
    X(LIST_SCHEME_URI, "listSchemeURI")                                                                      \
    X(NAME, "name")                                                                                          \
    X(UNIT_CODE_LIST_ID, "unitCodeListID")                                                                   \
    X(UNIT_CODE_LIST_AGENCY_ID, "unitCodeListAgencyID")                                                      \
    X(UNIT_CODE_LIST_AGENCY_NAME, "unitCodeListAgencyName")                                                  \
    X(CURRENCY_CODE_LIST_VERSION_ID, "currencyCodeListVersionID")                                            \
    X(MIME_CODE, "mimeCode")                                                                                 \
    X(FORMAT, "format")                                                                                      \
    X(ENCODING_CODE, "encodingCode")                                                                         \
    X(CHARACTER_SET_CODE, "characterSetCode")                                                                \
    X(FILENAME, "filename")                                                                                  \
    X(URI, "uri")

enum xml_attribute {
    XML_NO_ATTRIBUTE,
    XML_ATTRIBUTE_FIRST = XML_TEXT, /* so that the next one is 2 */
#define XML_ATTRIBUTE(symbol, name) XML_ATTRIBUTE_##symbol,
    XML_ATTRIBUTES(XML_ATTRIBUTE)
#undef XML_ATTRIBUTE
        XML_ATTRIBUTES_END
};

/* The number of an attribute, with or without @ before its name; XML_NO_ATTRIBUTE if it has none. */
enum xml_attribute xml_attribute_named(const char *name, size_t length);
const char *xml_attribute_name(enum xml_attribute attribute);

#define XML_DEPTH_MAX      32u           /* elements inside each other; the deepest that UBL needs is 12 */
#define XML_NAME_MAX       128u          /* bytes of a local name */
#define XML_ATTRIBUTES_MAX 64u           /* of one element */
#define XML_FIELDS_MAX     512u          /* of one IDoc segment */
#define XML_TOKEN_MAX      (256u * 1024) /* bytes of a tag; the parser keeps it in memory */
#define XML_HOLD_MAX       (64u * 1024)  /* bytes of leaves before a UBL document's parties */

struct xml_options {
    const struct profile
        *profile;            /* copied; NULL: the strict one. segment_max is for a leaf or IDoc segment */
    uint32_t attachment_max; /* bytes of an attachment's text that are handed over; 0: none is */
    /* Numbers of the fields of IDoc segments by names, as layouts give them; 0: there is no such field, and
     * it is passed over. The segment is named by its type, as in E1EDP19. NULL: no field has a number. */
    uint32_t (*field)(void *context, const char *segment, size_t segment_length, const char *field,
                      size_t field_length);
    void *context;
};

struct xml_reader;

/* NULL: no memory. */
struct xml_reader *xml_open(const struct document_sink *sink, const struct xml_options *options) MUST_USE;

/* The next bytes of the document, split as they like. 0 or -ENOMEM: then only xml_again and xml_close may
 * follow. */
int xml_feed(struct xml_reader *reader, const void *bytes, size_t length) MUST_USE;

/* There are no more bytes: 0 or -ENOMEM. */
int xml_end(struct xml_reader *reader) MUST_USE;

/* Makes the reader ready for the next file; it keeps its memory. */
void xml_again(struct xml_reader *reader);

void xml_close(struct xml_reader *reader);

/* How maps name the fields of a leaf (struct map_fields): @currencyID; 0: there is no such attribute. */
uint32_t xml_field_number(void *context, const char *segment, const char *field);

/* Numbers of fields that maps name and no layout has, because nothing public says where they stand in a flat
 * record: of master data, and of newer versions. From 1001 on; 0: not known here either. */
uint32_t xml_idoc_field(const char *segment, size_t segment_length, const char *field, size_t field_length);
