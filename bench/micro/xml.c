/* Documents in XML: what the reader of UBL costs beside the parser that it stands on, and what the event
 * costs. */
#include "bench/micro/bench.h"
#include "codecs/erp/engine.h"
#include "codecs/xml/xml.h"

#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES (64u * KIB) /* as files are read */
#define SCHEMA      "urn:oasis:names:specification:ubl:schema:xsd:"

static const char *const ways[] = {"expat", "reader", "event"};
enum { WAY_EXPAT, WAY_READER, WAY_EVENT };

struct invoice {
    char *text; /* owns */
    size_t length;
    uint64_t leaves, elements, lines;
};

#define PARTY(NAME)                                                                                          \
    "  <cac:" NAME ">\n    <cac:Party>\n"                                                                    \
    "      <cbc:EndpointID schemeID=\"0088\">4012345000009</cbc:EndpointID>\n"                               \
    "      <cac:PartyName>\n        <cbc:Name>Beispiel und S\xc3\xb6hne GmbH</cbc:Name>\n"                   \
    "      </cac:PartyName>\n    </cac:Party>\n  </cac:" NAME ">\n"
#define PARTY_LEAVES   2u
#define PARTY_ELEMENTS 5u

static const char head[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Invoice xmlns=\"" SCHEMA
    "Invoice-2\"\n  xmlns:cac=\"" SCHEMA "CommonAggregateComponents-2\"\n  xmlns:cbc=\"" SCHEMA
    "CommonBasicComponents-2\">\n"
    "  <cbc:ID>4711</cbc:ID>\n  <cbc:IssueDate>2026-02-28</cbc:IssueDate>\n" PARTY("AccountingSupplierParty")
        PARTY("AccountingCustomerParty");
#define HEAD_LEAVES   (2u + 2 * PARTY_LEAVES)
#define HEAD_ELEMENTS (3u + 2 * PARTY_ELEMENTS)

static const char line[] =
    "  <cac:InvoiceLine>\n"
    "    <cbc:ID>%u</cbc:ID>\n"
    "    <cbc:InvoicedQuantity unitCode=\"C62\">12</cbc:InvoicedQuantity>\n"
    "    <cbc:LineExtensionAmount currencyID=\"EUR\">238.80</cbc:LineExtensionAmount>\n"
    "    <cac:OrderLineReference>\n      <cbc:LineID>%u</cbc:LineID>\n    </cac:OrderLineReference>\n"
    "    <cac:Item>\n"
    "      <cbc:Name>Gasket, flat, 12 mm</cbc:Name>\n"
    "      <cac:SellersItemIdentification>\n        <cbc:ID>G-12-%05u</cbc:ID>\n"
    "      </cac:SellersItemIdentification>\n"
    "      <cac:StandardItemIdentification>\n"
    "        <cbc:ID schemeID=\"0160\">04012345000016</cbc:ID>\n      </cac:StandardItemIdentification>\n"
    "      <cac:ClassifiedTaxCategory>\n        <cbc:ID>S</cbc:ID>\n        <cbc:Percent>19</cbc:Percent>\n"
    "        <cac:TaxScheme>\n          <cbc:ID>VAT</cbc:ID>\n        </cac:TaxScheme>\n"
    "      </cac:ClassifiedTaxCategory>\n"
    "    </cac:Item>\n"
    "    <cac:Price>\n      <cbc:PriceAmount currencyID=\"EUR\">19.90</cbc:PriceAmount>\n    </cac:Price>\n"
    "  </cac:InvoiceLine>\n";
#define LINE_LEAVES   11u
#define LINE_ELEMENTS 19u

/* As many lines as fit. */
static struct invoice invoice_of(size_t bytes) {
    struct invoice invoice = {.text = bench_memory(bytes + 2 * sizeof line), .length = sizeof head - 1};
    memcpy(invoice.text, head, sizeof head);
    invoice.leaves = HEAD_LEAVES;
    invoice.elements = HEAD_ELEMENTS;
    for (uint32_t i = 1; invoice.length + sizeof line < bytes; i++) {
        invoice.length += (size_t)snprintf(invoice.text + invoice.length, 2 * sizeof line, line, i, i, i);
        invoice.lines++;
        invoice.leaves += LINE_LEAVES;
        invoice.elements += LINE_ELEMENTS;
    }
    invoice.length += (size_t)sprintf(invoice.text + invoice.length, "</Invoice>\n");
    return invoice;
}

/* ---- the parser alone ---- */

struct counts {
    uint64_t begun, ended, bytes;
};

static void on_start(void *context, const char *name, const char **attributes) {
    (void)name;
    (void)attributes;
    ((struct counts *)context)->begun++;
}

static void on_end(void *context, const char *name) {
    (void)name;
    ((struct counts *)context)->ended++;
}

static void on_text(void *context, const char *text, int length) {
    (void)text;
    ((struct counts *)context)->bytes += (uint64_t)length;
}

static void expat_run(struct bench_run *run, const struct invoice *invoice) {
    XML_Parser parser = XML_ParserCreate(NULL);
    bench_must(parser ? 0 : -1, "a parser");
    while (bench_more(run)) {
        struct counts counts = {0};
        uint64_t good = 1;
        bench_start(run);
        for (uint64_t i = 0; i < run->operations; i++) {
            (void)XML_ParserReset(parser, NULL);
            XML_SetUserData(parser, &counts);
            XML_SetElementHandler(parser, on_start, on_end);
            XML_SetCharacterDataHandler(parser, on_text);
            for (size_t at = 0; at < invoice->length; at += PIECE_BYTES) {
                size_t n = invoice->length - at < PIECE_BYTES ? invoice->length - at : PIECE_BYTES;
                good &= XML_Parse(parser, invoice->text + at, (int)n, false) == XML_STATUS_OK;
            }
            good &=
                XML_Parse(parser, NULL, 0, true) == XML_STATUS_OK; /* who reads a stream knows it only now */
        }
        bench_stop(run);
        bench_equal(run, "documents that are well-formed", good, 1);
        bench_equal(run, "elements", counts.begun, run->operations * invoice->elements);
        bench_equal(run, "elements that ended", counts.ended, counts.begun);
    }
    XML_ParserFree(parser);
}

/* ---- the reader ---- */

struct told {
    uint64_t segments, begun, refused, findings, bytes;
};

static void on_scope(void *context, enum document_scope scope, const struct document_head *scope_head) {
    (void)scope;
    (void)scope_head;
    ((struct told *)context)->begun++;
}

static void on_segment(void *context, const struct segment *segment) {
    struct told *told = context;
    told->segments++;
    told->bytes += segment_value(segment, XML_TEXT, 1).length;
}

static void on_scope_end(void *context, enum document_scope scope, const struct document_tail *tail) {
    (void)scope;
    ((struct told *)context)->refused += tail->errors;
}

static void on_finding(void *context, const struct finding *finding) {
    (void)finding;
    ((struct told *)context)->findings++;
}

static int read_all(struct xml_reader *reader, const struct invoice *invoice, uint64_t times) {
    int result = 0;
    for (uint64_t i = 0; i < times; i++) {
        for (size_t at = 0; at < invoice->length; at += PIECE_BYTES) {
            size_t n = invoice->length - at < PIECE_BYTES ? invoice->length - at : PIECE_BYTES;
            result |= xml_feed(reader, invoice->text + at, n);
        }
        result |= xml_end(reader);
        xml_again(reader);
    }
    return result;
}

static void reader_run(struct bench_run *run, const struct invoice *invoice) {
    struct told told;
    struct document_sink sink = {&told, on_scope, on_segment, on_scope_end, on_finding};
    struct xml_reader *reader = xml_open(&sink, NULL);
    bench_must(reader ? 0 : -1, "a reader");
    while (bench_more(run)) {
        told = (struct told){0};
        bench_start(run);
        int result = read_all(reader, invoice, run->operations);
        bench_stop(run);
        bench_must(result, "reading a document");
        bench_equal(run, "leaves", told.segments, run->operations * invoice->leaves);
        bench_equal(run, "documents and aggregates", told.begun,
                    run->operations * (invoice->elements - invoice->leaves));
        bench_equal(run, "findings", told.findings + told.refused, 0);
    }
    xml_close(reader);
}

/* ---- to the canonical event ---- */

struct made {
    uint64_t invoices, lines, errors;
};

static void on_result(void *context, const struct erp_result *result) {
    struct made *made = context;
    made->errors += result->errors;
    if (!result->message || result->message->descriptor != &roundhouse__erp__v1__invoice__descriptor)
        return;
    made->invoices++;
    made->lines += ((const Roundhouse__Erp__V1__Invoice *)(const void *)result->message)->n_lines;
}

static void event_run(struct bench_run *run, const struct invoice *invoice) {
    static const struct map_fields fields = {.format = "UBL", .number = xml_field_number};
    struct made made;
    struct map_library *library = map_library_new(&fields, 1);
    struct erp_engine_options options = {.library = library, .context = &made, .message = on_result};
    struct erp_engine *engine = library ? erp_engine_new(&options) : NULL;
    bench_must(engine ? 0 : -1, "an engine");
    struct document_sink sink = erp_engine_sink(engine);
    struct xml_reader *reader = xml_open(&sink, NULL);
    bench_must(reader ? 0 : -1, "a reader");
    while (bench_more(run)) {
        made = (struct made){0};
        bench_start(run);
        int result = read_all(reader, invoice, run->operations);
        bench_stop(run);
        bench_must(result, "reading a document");
        bench_equal(run, "invoices", made.invoices, run->operations);
        bench_equal(run, "lines", made.lines, run->operations * invoice->lines);
        bench_equal(run, "errors", made.errors, 0);
    }
    xml_close(reader);
    erp_engine_free(engine);
    map_library_free(library);
}

static void ubl_bench(struct bench_run *run) {
    struct invoice invoice = invoice_of(bench_value(run, "document_bytes"));
    bench_bytes(run, (double)invoice.length);
    void (*const runs[])(struct bench_run *, const struct invoice *) = {
        [WAY_EXPAT] = expat_run, [WAY_READER] = reader_run, [WAY_EVENT] = event_run};
    runs[bench_value(run, "way")](run, &invoice);
    free(invoice.text);
}

const struct bench bench_xml[] = {
    {.name = "codec/ubl",
     .operation =
         "read one invoice of UBL to its segments; event: to its canonical event; expat: only parse it",
     .operations_least = 2,
     .run = ubl_bench,
     .axes = {{.name = "way", .words = ways, .values = {{3, {WAY_EXPAT, WAY_READER, WAY_EVENT}}}},
              {.name = "document_bytes", .values = {{1, {16384}}, {2, {16384, 1048576}}}}}},
    {0}};
