#include "tests/unit/codecs/golden.h"
#include "tests/unit/codecs/xml/outline.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What another reader of XML finds in the documents of tests/data: the head's values as they stand there, how
 * many leaves (IDoc: segments) there are, and how many elements (IDoc: segments) have such beneath them. */
static const struct {
    const char *file, *name, *head;
    unsigned segments, aggregates;
} samples[] = {
    {"idoc/saprecipes__DELVRY07_3pl_inbound.xml", "DELVRY07",
     " version=755_IBG variant=DESADV sender=Company_IDOC_ID receiver=3PL_IDOC_ID group=400"
     " ref=0000000233406367 date=20240319 time=061411",
     32, 8},
    {"idoc/saprecipes__DELVRY07_3pl_outbound.xml", "DELVRY07",
     " version=755_OBG variant=DESADV sender=Company_IDOC_ID receiver=3PL_IDOC_ID group=400"
     " ref=0000000220928966 date=20240302 time=110016",
     44, 12},
    {"idoc/saprecipes__DESADV_DELVRY07.xml", "DELVRY07",
     " version=755 variant=DESADV sender=Company_IDOC_ID receiver=TP_004010_IDOC_ID group=400"
     " ref=0000000106934172 date=20231005 time=115606",
     51, 14},
    {"idoc/saprecipes__DESADV_DELVRY07_edifact-variant.xml", "DELVRY07",
     " version=757 variant=DESADV sender=Company_IDOC_ID by=LS receiver=TP_D.96A_IDOC_ID by=KU"
     " group=400 ref=0000000106934172 date=20231005 time=115606",
     51, 14},
    {"idoc/saprecipes__DESADV_DELVRY07_soap.xml", "DELVRY07",
     " version=755 variant=DESADV sender=Company_IDOC_SOA_ID receiver=TP_IDOC_ID group=801"
     " ref=0000000000019013 date=20190909 time=173258",
     25, 6},
    {"idoc/saprecipes__INVOIC01.pair.xml", "INVOIC01",
     " version=756 variant=INVOIC sender=1231231231 by=LS receiver=1231312312 by=KU"
     " interchange=urn:sap.com:msgid=1231231231232131312312 group=132 ref=4546546565456465"
     " date=20240424 time=180850",
     97, 3},
    {"idoc/saprecipes__INVOIC02.xml", "INVOIC02",
     " version=755 variant=INVOIC sender=Company_IDOC_ID receiver=TP_004010_IDOC_ID group=400"
     " ref=0000000091109869 date=20230908 time=065250",
     101, 3},
    {"idoc/saprecipes__MATMAS05.xml", "MATMAS05",
     " version=755 variant=MATMAS sender=Company_IDOC_ID receiver=3PL_IDOC_ID group=400"
     " ref=0000000215172311 date=20240223 time=143621",
     18, 3},
    {"idoc/saprecipes__ORDERS05.pair.xml", "ORDERS05",
     " version=758 variant=ORDERS sender=T33CLNT800 by=LS receiver=CPI by=LS group=800"
     " ref=0000000000225645 date=20240731 time=162035",
     62, 13},
    {"idoc/saprecipes__ORDERS05_p2p.xml", "ORDERS05",
     " version=755 variant=ORDERS sender=Company_IDOC_SOA_ID receiver=TP_IDOC_SOA_ID group=715"
     " ref=0000000000146002 date=20181129 time=142809",
     27, 4},
    {"idoc/saprecipes__ORDRSP_ORDERS05.xml", "ORDERS05",
     " version=755 variant=ORDRSP sender=Company_IDOC_ID receiver=TP_004010_IDOC_ID group=400"
     " ref=0000000235556469 date=20240322 time=002822",
     89, 5},
    {"idoc/saprecipes__ORDRSP_ORDERS05_soap.xml", "ORDERS05",
     " version=755 variant=ORDRSP sender=Company_IDOC_SOA_ID receiver=TP_IDOC_ID group=801"
     " ref=0000000000019005 date=20190909 time=165815",
     42, 2},
    {"ubl/gobl__custom-namespace-prefixes.xml", "CreditNote",
     " version=2.0"
     " association=urn:oasis:names:specification:ubl:xpath:CreditNote-2.0:sbs-1.0-draft"
     " variant=bpid:urn:oasis:names:draft:bpss:ubl-2-sbs-credit-notification-draft sender=175"
     " 269 2355 receiver=12356478 ref=CN758494 date=20050625",
     83, 37},
    {"ubl/gobl__discount-taxes.xml", "Invoice",
     " association=urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0"
     " variant=urn:fdc:peppol.eu:2017:poacc:billing:01:1.0 sender=0123456789 by=0208"
     " receiver=0987654321 by=0208 ref=INV-2026-033 date=20260202",
     75, 44},
    {"ubl/gobl__example-encoding.xml", "Invoice",
     " association=urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0"
     " variant=urn:fdc:peppol.eu:2017:poacc:billing:01:1.0 sender=1234567890123 by=0088"
     " receiver=9876543210987 by=0088 ref=ENCODING-001 date=20240115",
     49, 28},
    {"ubl/gobl__vat-category-O-invalid-bytes.xml", "Invoice",
     " association=urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0"
     " variant=urn:fdc:peppol.eu:2017:poacc:billing:01:1.0 sender=7300010000001 by=0088"
     " receiver=987654325 by=0192 ref=Vat-O date=20180830",
     46, 27},
    {"ubl/kosit__01.01a-INVOICE_ubl.xml", "Invoice",
     " association=urn:cen.eu:en16931:2017#compliant#urn:xeinkauf.de:kosit:xrechnung_3.0"
     " variant=urn:fdc:peppol.eu:2017:poacc:billing:01:1.0 sender=seller@email.de by=EM"
     " receiver=buyer@info.de by=EM ref=123456XX date=20160404",
     65, 37},
    {"ubl/kosit__01.04a-INVOICE_ubl.xml", "Invoice",
     " association=urn:cen.eu:en16931:2017#compliant#urn:xeinkauf.de:kosit:xrechnung_3.0"
     " variant=urn:fdc:peppol.eu:2017:poacc:billing:01:1.0 sender=seller@email.de by=EM"
     " receiver=buyer@info.de by=EM ref=1234/78/901 date=20160616",
     53, 28},
    {"ubl/kosit__01.05a-INVOICE_ubl.xml", "Invoice",
     " association=urn:cen.eu:en16931:2017#compliant#urn:xeinkauf.de:kosit:xrechnung_3.0"
     " variant=urn:fdc:peppol.eu:2017:poacc:billing:01:1.0 sender=seller@email.de by=EM"
     " receiver=buyer@info.de by=EM ref=PRG1502112 date=20150424",
     82, 52},
    {"ubl/kosit__01.06a-INVOICE_ubl.xml", "Invoice",
     " association=urn:cen.eu:en16931:2017#compliant#urn:xeinkauf.de:kosit:xrechnung_3.0"
     " variant=urn:fdc:peppol.eu:2017:poacc:billing:01:1.0 sender=seller@email.de by=EM"
     " receiver=buyer@info.de by=EM ref=R123456789 date=20160706",
     106, 66},
    {"ubl/kosit__01.13a-INVOICE_ubl.xml", "Invoice",
     " association=urn:cen.eu:en16931:2017#compliant#urn:xeinkauf.de:kosit:xrechnung_3.0"
     " variant=urn:fdc:peppol.eu:2017:poacc:billing:01:1.0 sender=seller@email.de by=EM"
     " receiver=buyer@info.de by=EM ref=Rechnungsnummer date=20150109",
     133, 80},
    {"ubl/kosit__03.03a-INVOICE_ubl.xml", "Invoice",
     " association=urn:cen.eu:en16931:2017#compliant#urn:xeinkauf.de:kosit:xrechnung_3.0"
     " variant=urn:fdc:peppol.eu:2017:poacc:billing:01:1.0 sender=seller@email.de by=EM"
     " receiver=buyer@info.de by=EM ref=0000123456 date=20171211",
     94, 57},
    {"ubl/kosit__04.01a-INVOICE_ubl.xml", "Invoice",
     " association=urn:cen.eu:en16931:2017#compliant#urn:xeinkauf.de:kosit:xrechnung_3.0#conformant#urn:"
     "xeinkauf.de:kosit:extension:xrechnung_3.0"
     " variant=urn:fdc:peppol.eu:2017:poacc:billing:01:1.0 sender=seller@email.de by=EM"
     " receiver=buyer@info.de by=EM ref=12345 date=20190515",
     179, 100},
    {"ubl/oasis__UBL-CreditNote-2.1-Example.xml", "CreditNote",
     " version=2.1 sender=1234567890123 by=GLN receiver=1234567987654 by=GLN ref=TOSL108"
     " date=20091215",
     195, 105},
    {"ubl/oasis__UBL-DespatchAdvice-2.0-Example.xml", "DespatchAdvice",
     " version=2.0"
     " association=urn:oasis:names:specification:ubl:xpath:DespatchAdvice-2.0:sbs-1.0-draft"
     " variant=bpid:urn:oasis:names:draft:bpss:ubl-2-sbs-despatch-advice-notification-draft"
     " sender=175 269 2355 receiver=12356478 ref=565899 date=20050620",
     85, 34},
    {"ubl/oasis__UBL-InventoryReport-2.1-Example.xml", "InventoryReport",
     " version=2.1 sender=Beta Shop receiver=Arancio Forniture spa ref=CC2679 date=20100412", 61, 30},
    {"ubl/oasis__UBL-Invoice-2.0-Example-NS1.xml", "Invoice",
     " version=2.0"
     " association=urn:oasis:names:specification:ubl:xpath:Invoice-2.0:sbs-1.0-draft"
     " variant=bpid:urn:oasis:names:draft:bpss:ubl-2-sbs-invoice-notification-draft sender=175"
     " 269 2355 receiver=12356478 ref=A00095678 date=20050621",
     132, 54},
    {"ubl/oasis__UBL-Invoice-2.0-Example-NS2.xml", "Invoice",
     " version=2.0"
     " association=urn:oasis:names:specification:ubl:xpath:Invoice-2.0:sbs-1.0-draft"
     " variant=bpid:urn:oasis:names:draft:bpss:ubl-2-sbs-invoice-notification-draft sender=175"
     " 269 2355 receiver=12356478 ref=A00095678 date=20050621",
     132, 54},
    {"ubl/oasis__UBL-Invoice-2.0-Example-NS3.xml", "Invoice",
     " version=2.0"
     " association=urn:oasis:names:specification:ubl:xpath:Invoice-2.0:sbs-1.0-draft"
     " variant=bpid:urn:oasis:names:draft:bpss:ubl-2-sbs-invoice-notification-draft sender=175"
     " 269 2355 receiver=12356478 ref=A00095678 date=20050621",
     132, 54},
    {"ubl/oasis__UBL-Invoice-2.0-Example-NS4.xml", "Invoice",
     " version=2.0"
     " association=urn:oasis:names:specification:ubl:xpath:Invoice-2.0:sbs-1.0-draft"
     " variant=bpid:urn:oasis:names:draft:bpss:ubl-2-sbs-invoice-notification-draft sender=175"
     " 269 2355 receiver=12356478 ref=A00095678 date=20050621",
     132, 54},
    {"ubl/oasis__UBL-Invoice-2.1-Example-Trivial.xml", "Invoice",
     " sender=Custom Cotter Pins receiver=North American Veeblefetzer ref=123 date=20110922", 10, 10},
    {"ubl/oasis__UBL-Invoice-2.1-Example.xml", "Invoice",
     " version=2.1 sender=1234567890123 by=GLN receiver=1234567987654 by=GLN ref=TOSL108"
     " date=20091215",
     224, 121},
    {"ubl/oasis__UBL-Order-2.1-Example.xml", "Order",
     " version=2.1 association=urn:www.cenbii.eu:transaction:biicoretrdm001:ver1.0"
     " variant=urn:www.cenbii.eu:profile:BII01:ver1.0 sender=7300072311115 by=GLN"
     " receiver=7302347231111 by=GLN ref=34 date=20100120 time=123000",
     164, 85},
    {"ubl/oasis__UBL-OrderCancellation-2.1-Example.xml", "OrderCancellation",
     " version=2.1 association=urn:www.cenbii.eu:transaction:biicoretrdmXYZ:ver1.0"
     " variant=urn:www.cenbii.eu:profile:BIIXYZ:ver1.0 sender=7300072311115 by=GLN"
     " receiver=7302347231111 by=GLN ref=7 date=20100121 time=123000",
     15, 10},
    {"ubl/oasis__UBL-OrderChange-2.1-Example.xml", "OrderChange",
     " version=2.1 association=urn:www.cenbii.eu:transaction:biicoretrdmXYZ:ver1.0"
     " variant=urn:www.cenbii.eu:profile:BIIXYZ:ver1.0 sender=7300072311115 by=GLN"
     " receiver=7302347231111 by=GLN ref=7 date=20100121 time=123000",
     38, 23},
    {"ubl/oasis__UBL-OrderResponse-2.1-Example.xml", "OrderResponse",
     " version=2.1 association=urn:www.cenbii.eu:transaction:biicoretrdmXYZ:ver1.0"
     " variant=urn:www.cenbii.eu:profile:BIIXYZ:ver1.0 sender=7302347231111 by=GLN"
     " receiver=7300072311115 by=GLN ref=7 date=20100121 time=123000",
     22, 16},
    {"ubl/oasis__UBL-OrderResponseSimple-2.1-Example.xml", "OrderResponseSimple",
     " version=2.1 association=urn:www.cenbii.eu:transaction:biicoretrdmXYZ:ver1.0"
     " variant=urn:www.cenbii.eu:profile:BIIXYZ:ver1.0 sender=7302347231111 by=GLN"
     " receiver=7300072311115 by=GLN ref=7 date=20100121 time=123000",
     15, 10},
    {"ubl/oasis__UBL-ReceiptAdvice-2.0-Example.xml", "ReceiptAdvice",
     " version=2.0"
     " association=urn:oasis:names:specification:ubl:xpath:ReceiptAdvice-2.0:sbs-1.0-draft"
     " variant=bpid:urn:oasis:names:draft:bpss:ubl-2-sbs-receipt-advice-notification-draft"
     " sender=12356478 receiver=175 269 2355 ref=658398 date=20050621",
     74, 30},
    {"ubl/oasis__UBL-RemittanceAdvice-2.0-Example.xml", "RemittanceAdvice",
     " version=2.0"
     " association=urn:oasis:names:specification:ubl:xpath:RemittanceAdvice-2.0:sbs-1.0-draft"
     " variant=bpid:urn:oasis:names:draft:bpss:ubl-2-sbs-remittance-advice-notification-draft"
     " sender=12356478 receiver=175 269 2355 ref=6577884 date=20050622",
     123, 50},
};

#define SAMPLES (sizeof samples / sizeof *samples)

/* Every field has a number, so that every one is handed over. */
static uint32_t any_field(void *context, const char *segment, size_t segment_length, const char *field,
                          size_t field_length) {
    (void)context;
    (void)segment;
    (void)segment_length;
    uint32_t number = 0;
    for (size_t i = 0; i < field_length; i++)
        number = number * 31 + (uint8_t)field[i];
    return number % 1000 + 1;
}

static struct xml_reader *opened(struct outline *outline, struct document_sink *sink) {
    struct xml_options options = {.field = any_field};
    *sink = outline_sink(outline);
    struct xml_reader *reader = xml_open(sink, &options);
    cr_assert(reader);
    return reader;
}

static uint8_t *sample(const char *file, size_t *n) {
    char path[256];
    (void)snprintf(path, sizeof path, "tests/data/%s", file);
    return golden_file(path, n);
}

static unsigned count(const char *text, const char *what) {
    unsigned n = 0;
    for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
        n++;
    return n;
}

/* The line of the message's head, without format and namespace. */
static void expect_head(const char *text, const char *file, const char *name, const char *head) {
    char wanted[64], *at, line[1024];
    (void)snprintf(wanted, sizeof wanted, "(message %s ", name);
    at = strstr(text, wanted);
    cr_assert(at, "%s: %.200s", file, text);
    (void)snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
    size_t n = strlen(line), k = strlen(head);
    cr_assert(n > k && strcmp(line + n - k, head) == 0, "%s: %s, not %s", file, line, head);
    at = strchr(line + strlen(wanted), ' '); /* behind the format */
    if (at && strncmp(at, " syntax=", 8) == 0)
        at = strchr(at + 1, ' ');
    cr_expect(at && strcmp(at, head) == 0, "%s: %s, not %s", file, line, head);
}

Test(xml_samples, are_read_as_another_reader_does) {
    struct outline outline = {0};
    struct document_sink sink;
    struct xml_reader *reader = opened(&outline, &sink);
    for (size_t i = 0; i < SAMPLES; i++) {
        size_t n;
        uint8_t *bytes = sample(samples[i].file, &n);
        outline_clear(&outline);
        outline_read(reader, bytes, n, 0, 0);
        cr_expect(outline.messages == 1 && outline.refused == 0 && outline.errors == 0, "%s",
                  samples[i].file);
        cr_expect(outline.segments == samples[i].segments, "%s: %u", samples[i].file, outline.segments);
        cr_expect(count(outline.text, "(aggregate ") == samples[i].aggregates, "%s", samples[i].file);
        expect_head(outline.text, samples[i].file, samples[i].name, samples[i].head);
        free(bytes);
    }
    xml_close(reader);
    outline_free(&outline);
    LEAKS_NONE();
}

Test(xml_samples, do_not_depend_on_prefixes) {
    struct outline first = {0}, other = {0};
    struct document_sink sink, other_sink;
    struct xml_reader *reader = opened(&first, &sink), *second = opened(&other, &other_sink);
    size_t n;
    uint8_t *bytes = sample("ubl/oasis__UBL-Invoice-2.0-Example-NS1.xml", &n);
    outline_read(reader, bytes, n, 0, 0);
    free(bytes);
    for (int i = 2; i <= 4; i++) {
        char file[64];
        (void)snprintf(file, sizeof file, "ubl/oasis__UBL-Invoice-2.0-Example-NS%d.xml", i);
        bytes = sample(file, &n);
        outline_clear(&other);
        outline_read(second, bytes, n, 0, 0);
        cr_expect_str_eq(other.text, first.text, "%s", file);
        free(bytes);
    }
    xml_close(reader);
    xml_close(second);
    outline_free(&first);
    outline_free(&other);
}

/* Every place of two documents, and every sample byte by byte and in pieces of 7 and 1000. */
Test(xml_samples, come_out_the_same_however_they_are_split) {
    struct outline whole = {.places = true}, split = {.places = true};
    struct document_sink sink, split_sink;
    struct xml_reader *reader = opened(&whole, &sink), *second = opened(&split, &split_sink);
    for (size_t i = 0; i < SAMPLES; i++) {
        static const size_t steps[] = {1, 7, 1000};
        size_t n;
        uint8_t *bytes = sample(samples[i].file, &n);
        outline_clear(&whole);
        outline_read(reader, bytes, n, 0, 0);
        for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
            outline_clear(&split);
            outline_read(second, bytes, n, 0, steps[k]);
            cr_assert_str_eq(split.text, whole.text, "%s by %zu", samples[i].file, steps[k]);
        }
        bool each = strstr(samples[i].file, "Trivial") || strstr(samples[i].file, "DESADV_DELVRY07_soap") ||
                    strstr(samples[i].file, "OrderResponse-2.1");
        for (size_t at = 1; each && at < n; at++) {
            outline_clear(&split);
            outline_read(second, bytes, n, at, 0);
            cr_assert_str_eq(split.text, whole.text, "%s at %zu", samples[i].file, at);
        }
        free(bytes);
    }
    xml_close(reader);
    xml_close(second);
    outline_free(&whole);
    outline_free(&split);
}

/* A document that was cut off is refused wherever it was cut. */
Test(xml_samples, are_refused_when_they_are_cut_off) {
    struct outline outline = {0};
    struct document_sink sink;
    struct xml_reader *reader = opened(&outline, &sink);
    static const char *const files[] = {"ubl/oasis__UBL-OrderResponse-2.1-Example.xml",
                                        "idoc/saprecipes__DESADV_DELVRY07_soap.xml"};
    for (size_t i = 0; i < 2; i++) {
        size_t n;
        uint8_t *bytes = sample(files[i], &n);
        while (n > 0 && bytes[n - 1] != '>')
            n--;
        for (size_t length = 0; length < n; length++) {
            outline_clear(&outline);
            outline_read(reader, bytes, length, 0, 0);
            cr_assert(outline.findings[FINDING_XML_TRUNCATED] == 1 && outline.errors == 1, "%s at %zu: %s",
                      files[i], length, outline.text);
            cr_assert(outline.depth == 0, "everything that began has ended");
            if (outline.messages > 0 && i == 0)
                cr_assert(outline.refused == outline.messages, "%s at %zu", files[i], length);
        }
        free(bytes);
    }
    xml_close(reader);
    outline_free(&outline);
}

/* ---- findings ---- */

struct told {
    char lines[8192];
    const char *file;
};

static void on_begin(void *context, enum document_scope scope, const struct document_head *head) {
    (void)context;
    (void)scope;
    (void)head;
}

static void on_end(void *context, enum document_scope scope, const struct document_tail *tail) {
    (void)context;
    (void)scope;
    (void)tail;
}

static void on_segment(void *context, const struct segment *segment) {
    (void)context;
    (void)segment;
}

static void on_finding(void *context, const struct finding *finding) {
    struct told *told = context;
    size_t n = strlen(told->lines);
    (void)snprintf(told->lines + n, sizeof told->lines - n, "%s\t%s\t%u\t%llu\n", told->file,
                   finding_kind(finding->code)->name, finding->place.in_file,
                   (unsigned long long)finding->place.offset);
}

Test(xml_samples, have_the_findings_that_another_reader_expects) {
    static struct told told;
    struct document_sink sink = {&told, on_begin, on_segment, on_end, on_finding};
    struct xml_options options = {.field = any_field};
    struct xml_reader *reader = xml_open(&sink, &options);
    static const char *const others[] = {"ubl/oasis__UBL-StockAvailabilityReport-2.1-Example.xml",
                                         "gs1xml/saprecipes__logisticsInventoryReport.xml",
                                         "gs1xml/saprecipes__warehousingInboundNotification.xml",
                                         "gs1xml/saprecipes__warehousingOutboundNotification.xml"};
    cr_assert(reader);
    for (size_t i = 0; i < SAMPLES + sizeof others / sizeof *others; i++) {
        size_t n;
        told.file = i < SAMPLES ? samples[i].file : others[i - SAMPLES];
        uint8_t *bytes = sample(told.file, &n);
        cr_assert(xml_feed(reader, bytes, n) == 0 && xml_end(reader) == 0);
        xml_again(reader);
        free(bytes);
    }
    FILE *file = golden_open("tests/data/expect_xml.tsv");
    char line[256];
    size_t lines = 0;
    cr_assert(file);
    while (fgets(line, sizeof line, file)) {
        if (*line == '#' || strncmp(line, "file\t", 5) == 0)
            continue;
        lines += strlen(line);
        cr_expect(strstr(told.lines, line), "not found: %s", line);
    }
    (void)fclose(file);
    cr_expect(lines == strlen(told.lines), "more was found:\n%s", told.lines);
    xml_close(reader);
}
