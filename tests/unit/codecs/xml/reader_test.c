#include "tests/unit/codecs/golden.h"
#include "tests/unit/codecs/xml/outline.h"
#include "tests/unit/leaks.h"

#include "core/base/heap.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA "urn:oasis:names:specification:ubl:schema:xsd:"
#define OPEN                                                                                                 \
    "<Order xmlns='" SCHEMA "Order-2' xmlns:c='" SCHEMA "CommonAggregateComponents-2'\nxmlns:b='" SCHEMA     \
    "CommonBasicComponents-2'>"

struct test {
    struct outline outline;
    struct document_sink sink;
    struct xml_reader *reader;
};

static void begin(struct test *test, const struct xml_options *options) {
    *test = (struct test){.outline.places = true};
    test->sink = outline_sink(&test->outline);
    test->reader = xml_open(&test->sink, options);
    cr_assert(test->reader);
}

static void end(struct test *test) {
    xml_close(test->reader);
    outline_free(&test->outline);
}

/* ---- what is refused ---- */

/* `|` is where the error is said to be. */
static const struct {
    enum finding_code code;
    const char *document;
    const char *inside;
} broken[] = {
    {FINDING_XML_DOCTYPE, "<?xml version='1.0'?>\n|<!DOCTYPE Order [<!ENTITY a 'b'>]><Order/>", ""},
    {FINDING_XML_DOCTYPE, "<!-- --> |<!DOCTYPE Order SYSTEM 'http://x/y'><Order/>", ""},
    {FINDING_XML_ENTITY, OPEN "<b:ID>|&nbsp;</b:ID></Order>", "ID"},
    {FINDING_XML_TAG_DIFFERS, OPEN "<b:ID>1</|b:Id></Order>", "ID"},
    {FINDING_XML_TAG_DIFFERS, OPEN "<b:ID>1</b:ID></|b:ID></Order>", "Order"},
    {FINDING_XML_PREFIX, OPEN "|<x:ID>1</x:ID></Order>", "Order"},
    {FINDING_XML_MALFORMED, OPEN "<b:ID a='1' |a='2'/></Order>", "Order"},
    {FINDING_XML_MALFORMED, OPEN "<b:ID>1 <| 2</b:ID></Order>", "ID"},
    {FINDING_XML_MALFORMED, "|plain", ""},
    {FINDING_XML_MALFORMED, OPEN "<b:ID>|\x01</b:ID></Order>", "ID"},
    {FINDING_XML_MALFORMED, OPEN "<b:ID>|&#0;</b:ID></Order>", "ID"},
    {FINDING_XML_CHARSET, OPEN "<b:ID>a|\xfc</b:ID></Order>", "ID"},
    {FINDING_XML_CHARSET, "<?xml version='1.0' encoding='windows-1252'?>" OPEN "<b:ID>|\x81</b:ID></Order>",
     "ID"},
    {FINDING_XML_CHARSET, "<?xml version='1.0' encoding='|utf-16'?>" OPEN "</Order>", ""},
    {FINDING_XML_CHARSET_UNKNOWN, "<?xml version='1.0' encoding='|ebcdic-de'?>" OPEN "</Order>", ""},
    {FINDING_XML_TRUNCATED, "|", ""},
    {FINDING_XML_TRUNCATED, OPEN "<b:ID>1|", "ID"},
    {FINDING_XML_TRUNCATED, OPEN "<b:ID>1</b:I|", "ID"},
    {FINDING_XML_TRUNCATED, OPEN "<b:ID><![CDATA[ |", "ID"},
    {FINDING_XML_TRUNCATED, OPEN "<!-- |", "Order"},
    {FINDING_XML_UNKNOWN_ROOT, "|<Order/>", "Order"},
    {FINDING_XML_UNKNOWN_ROOT, "<!-- -->|<Order><ID/></Order>", "Order"},
    {FINDING_XML_UNKNOWN_ROOT, "|<o:Order xmlns:o='urn:x'/>", "Order"},
    {FINDING_XML_GS1, "|<o:order xmlns:o='urn:gs1:ecom:order:xsd:3'><a/></o:order>", "order"},
    {FINDING_GARBAGE, OPEN "<b:ID>1</b:ID></Order>\n<!-- -->|<Order/>", ""},
    {FINDING_GARBAGE, OPEN "<b:ID>1</b:ID></Order>\n|text", ""},
    {FINDING_GARBAGE, OPEN "<b:ID>1</b:ID></Order>\n|<?xml version='1.0'?><Order/>", ""},
};

static void refuse(struct test *test, size_t i) {
    const char *from = broken[i].document, *mark = strchr(from, '|');
    size_t before = (size_t)(mark - from), n = strlen(from) - 1;
    char document[1024];
    memcpy(document, from, before);
    memcpy(document + before, mark + 1, n - before);
    uint32_t line = 1;
    for (size_t k = 0; k < before; k++)
        line += document[k] == '\n';
    char *whole = NULL;
    for (size_t split = 0; split <= n + 1; split++) {
        outline_clear(&test->outline);
        outline_read(test->reader, document, n, split <= n ? split : 0, split <= n ? 0 : 1);
        const struct outline *outline = &test->outline;
        cr_expect(outline->findings[broken[i].code] == 1, "%zu at %zu: %s", i, split, outline->text);
        cr_expect(outline->errors == 1 && outline->depth == 0, "%zu at %zu: %s", i, split, outline->text);
        cr_expect(outline->first.offset == before && outline->first.line == line, "%zu at %zu: %s not %zu:%u",
                  i, split, outline->text, before, line);
        cr_expect_str_eq(outline->inside, broken[i].inside, "%zu at %zu: %s", i, split, outline->text);
        cr_expect(outline->refused == (broken[i].code == FINDING_GARBAGE ? 0 : outline->messages));
        if (!whole)
            whole = strdup(outline->text);
        cr_expect_str_eq(outline->text, whole, "%zu at %zu", i, split);
    }
    free(whole);
}

Test(reader, says_what_is_broken_and_where_however_the_bytes_are_split) {
    struct test test;
    begin(&test, NULL);
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        refuse(&test, i);
    end(&test);
    LEAKS_NONE();
}

Test(reader, goes_on_behind_garbage_where_the_profile_allows_it) {
    struct profile profile = {0};
    cr_assert(profile_tolerate(&profile, FINDING_GARBAGE));
    struct xml_options options = {.profile = &profile};
    struct test test;
    begin(&test, &options);
    const char *document = OPEN "<b:ID>1</b:ID></Order>text";
    outline_read(test.reader, document, strlen(document), 0, 0);
    cr_expect(test.outline.findings[FINDING_GARBAGE] == 1 && test.outline.errors == 0);
    cr_expect(test.outline.messages == 1 && test.outline.refused == 0);
    end(&test);
}

/* ---- encodings ---- */

static void expect_name(struct test *test, const char *what, const void *bytes, size_t n) {
    outline_clear(&test->outline);
    test->outline.places = false;
    outline_read(test->reader, bytes, n, 0, 1);
    cr_expect(strstr(test->outline.text, "\nID 1=K\xc3\xb6\xe2\x82\xac\n"), "%s: %s", what,
              test->outline.text);
}

Test(reader, knows_the_encodings_that_are_declared) {
    static const struct {
        const char *name, *id;
    } encodings[] = {
        {"utf-8", "K\xc3\xb6\xe2\x82\xac"}, {"windows-1252", "K\xf6\x80"},   {"CP1252", "K\xf6\x80"},
        {"ISO-8859-15", "K\xf6\xa4"},       {"iso-8859-1", "K\xf6&#x20ac;"}, {"us-ascii", "K&#246;&#8364;"},
    };
    struct test test;
    begin(&test, NULL);
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++) {
        char document[512];
        int n = snprintf(document, sizeof document,
                         "<?xml version='1.0' encoding='%s'?>%s<b:ID>%s</b:ID></Order>", encodings[i].name,
                         OPEN, encodings[i].id);
        expect_name(&test, encodings[i].name, document, (size_t)n);
    }
    end(&test);
}

Test(reader, knows_utf_16_by_its_mark) {
    const char *text = "<?xml version='1.0' encoding='utf-16'?>" OPEN "<b:ID>K##</b:ID></Order>";
    struct test test;
    begin(&test, NULL);
    for (int big = 0; big < 2; big++) {
        uint8_t bytes[2048];
        size_t n = 0;
        for (size_t i = 0; i <= strlen(text); i++) {
            uint16_t code = 0xfeff;
            if (i > 0)
                code = text[i - 1] != '#' ? (uint8_t)text[i - 1] : text[i] == '#' ? 0xf6 : 0x20ac;
            bytes[n++] = (uint8_t)(big ? code >> 8 : code);
            bytes[n++] = (uint8_t)(big ? code : code >> 8);
        }
        expect_name(&test, big ? "big" : "little", bytes, n);
        cr_expect(test.outline.findings[FINDING_BOM] == 0, "UTF-16 has to have it");
    }
    end(&test);
}

Test(reader, takes_the_encoding_that_the_profile_names) {
    struct profile profile = {.charset = "windows-1252"};
    struct xml_options options = {.profile = &profile};
    struct test test;
    begin(&test, &options);
    const char *document = "<?xml version='1.0' encoding='utf-8'?>" OPEN "<b:ID>K\xf6\x80</b:ID></Order>";
    expect_name(&test, "profile", document, strlen(document));
    expect_name(&test, "again", document, strlen(document));
    end(&test);
}

Test(reader, notes_a_byte_order_mark) {
    struct test test;
    begin(&test, NULL);
    const char *documents[] = {"\xef\xbb\xbf" OPEN "<b:ID>1</b:ID></Order>",
                               "\xef\xbb\xbf<R><IDOC><EDI_DC40 SEGMENT='1'/></IDOC></R>"};
    for (int i = 0; i < 2; i++)
        for (size_t first = 0; first < 5; first++) {
            outline_clear(&test.outline);
            outline_read(test.reader, documents[i], strlen(documents[i]), first, 0);
            cr_expect(test.outline.findings[FINDING_BOM] == 1 && test.outline.errors == 0, "%s",
                      test.outline.text);
            cr_expect(test.outline.messages == 1);
        }
    outline_clear(&test.outline);
    outline_read(test.reader, documents[0] + 3, strlen(documents[0]) - 3, 0, 0);
    cr_expect(test.outline.findings[FINDING_BOM] == 0, "the reader is as new");
    end(&test);
}

/* ---- bombs ---- */

/* before, `unit` n times, after */
static void bomb(struct test *test, const char *before, const char *unit, size_t n, const char *after,
                 enum finding_code code) {
    outline_clear(&test->outline);
    size_t length = strlen(unit);
    char *many = malloc(length * 4096);
    for (size_t i = 0; i < 4096; i++)
        memcpy(many + i * length, unit, length);
    cr_assert(xml_feed(test->reader, before, strlen(before)) == 0);
    for (size_t i = 0; i < n; i += 4096)
        cr_assert(xml_feed(test->reader, many, length * (n - i < 4096 ? n - i : 4096)) == 0);
    cr_assert(xml_feed(test->reader, after, strlen(after)) == 0);
    cr_assert(xml_end(test->reader) == 0);
    xml_again(test->reader);
    free(many);
    if (code == FINDING_CODES)
        cr_expect(test->outline.errors == 0 && test->outline.messages == 1, "%.300s", test->outline.text);
    else
        cr_expect(test->outline.findings[code] == 1 && test->outline.depth == 0 && test->outline.errors == 1,
                  "%.300s", test->outline.text);
}

Test(reader, stays_within_its_limits) {
    struct test test;
    begin(&test, NULL);
    const enum finding_code too_large = FINDING_TOO_LARGE;
    bomb(&test, OPEN "<b:ID>1</b:ID>", "<c:A>", 31, "<b:B/></Order>", FINDING_XML_DEPTH);
    bomb(&test, OPEN "<b:ID>1</b:ID>", "<c:A>", 1000000, "", FINDING_XML_DEPTH);
    bomb(&test, OPEN "<b:ID>1</b:ID>", "<x xmlns='" SCHEMA "CommonExtensionComponents-2'>", 1000000, "",
         FINDING_XML_DEPTH);
    bomb(&test, OPEN "<b:ID>1</b:ID><b:Note>", "0123456789abcdef", 4096, "</b:Note></Order>", FINDING_CODES);
    bomb(&test, OPEN "<b:ID>1</b:ID><b:Note>", "0123456789abcdef", 4097, "</b:Note></Order>", too_large);
    bomb(&test, OPEN "<b:ID>1</b:ID><b:Note>", "0123456789abcdef", 1000000, "</b:Note></Order>", too_large);
    bomb(&test, OPEN "<b:ID>1</b:ID><b:Note ", "name", 100000, "='1'/></Order>", too_large);
    bomb(&test, OPEN "<b:ID>1</b:ID><b:", "Name", 32, "/></Order>", FINDING_CODES);
    bomb(&test, OPEN "<b:ID>1</b:ID><b:", "Name", 33, "/></Order>", too_large);
    bomb(&test, OPEN "<b:ID>1</b:ID><b:Note name='", "name", 1000000, "'/></Order>", too_large);
    bomb(&test, OPEN "<b:ID>1</b:ID><!--", "name", 10000, "--></Order>", FINDING_CODES);
    bomb(&test, OPEN "<b:ID>1</b:ID><!--", "name", 1000000, "--></Order>", too_large);
    bomb(&test, OPEN "<b:ID>1</b:ID>", " <!-- -->\n", 1000000, "</Order>", FINDING_CODES);
    bomb(&test, "<R><IDOC><EDI_DC40 SEGMENT='1'/><E SEGMENT='1'><F>", "0123456789abcdef", 4097, "</F>",
         too_large);
    end(&test);
}

Test(reader, counts_attributes) {
    struct test test;
    begin(&test, NULL);
    for (int n = 63; n <= 66; n++) {
        char document[4096];
        int length = snprintf(document, sizeof document, "%s", OPEN "<b:ID>1</b:ID><b:Note");
        for (int i = 0; i < n; i++)
            length += snprintf(document + length, sizeof document - (size_t)length, " a%d='x'", i);
        length += snprintf(document + length, sizeof document - (size_t)length, "/></Order>");
        outline_clear(&test.outline);
        outline_read(test.reader, document, (size_t)length, 0, 0);
        cr_expect(test.outline.findings[FINDING_TOO_MANY_ELEMENTS] == (n > 64), "%d: %s", n,
                  test.outline.text);
    }
    end(&test);
}

Test(reader, counts_segments_messages_and_findings) {
    struct profile profile = {.segments_max = 3, .messages_max = 2, .findings_max = 2};
    struct xml_options options = {.profile = &profile};
    struct test test;
    begin(&test, &options);
    bomb(&test, OPEN "<b:ID>1</b:ID>", "<b:Note/>", 2, "</Order>", FINDING_CODES);
    bomb(&test, OPEN "<b:ID>1</b:ID>", "<b:Note/>", 3, "</Order>", FINDING_TOO_LARGE);
    bomb(&test, "<R>", "<IDOC><EDI_DC40 SEGMENT='1'/></IDOC>", 3, "</R>", FINDING_TOO_LARGE);
    outline_clear(&test.outline);
    const char *document = OPEN "<b:ID>1</b:ID><x/><x/><x/><x/></Order>";
    outline_read(test.reader, document, strlen(document), 0, 0);
    cr_expect(test.outline.findings[FINDING_UBL_FOREIGN] == 2, "%s", test.outline.text);
    cr_expect(strstr(test.outline.text, "errors=4"), "%s", test.outline.text);
    end(&test);
}

/* The reader's memory does not grow with the document. */
Test(reader, reads_a_long_document_in_the_memory_of_a_line) {
    struct profile profile = {.segments_max = UINT32_MAX};
    struct xml_options options = {.profile = &profile};
    struct test test;
    begin(&test, &options);
    static char line[1024 * 256];
    size_t n = 0;
    while (n < sizeof line - 512)
        n += (size_t)snprintf(
            line + n, sizeof line - n,
            "<c:OrderLine><c:LineItem><b:ID>1</b:ID><b:Quantity unitCode='C62'>5</b:Quantity>"
            "<b:Note>%064d</b:Note></c:LineItem></c:OrderLine>\n",
            0);
    const char *before = OPEN "<b:ID>1</b:ID>";
    cr_assert(xml_feed(test.reader, before, strlen(before)) == 0);
    size_t used = 0;
    for (int i = 0; i < 64; i++) {
        cr_assert(xml_feed(test.reader, line, n) == 0);
        test.outline.length = 0;
        if (i == 1)
            used = mallinfo2().uordblks;
    }
    cr_expect(mallinfo2().uordblks <= used + 4096, "%zu and %zu", used, mallinfo2().uordblks);
    cr_assert(xml_feed(test.reader, "</Order>", 8) == 0 && xml_end(test.reader) == 0);
    cr_expect(test.outline.errors == 0 && test.outline.messages == 1 && test.outline.segments > 200000);
    end(&test);
}

/* ---- no memory ---- */

static unsigned refuse_at, refuse_asked;

static bool refuse_one(size_t bytes) {
    (void)bytes;
    return ++refuse_asked == refuse_at;
}

Test(reader, says_when_there_is_no_memory_and_can_be_used_again) {
    size_t n;
    uint8_t *bytes = golden_file("tests/data/ubl/oasis__UBL-Order-2.1-Example.xml", &n);
    unsigned failed = 0;
    heap_refuse = refuse_one;
    for (refuse_at = 1; refuse_at < 64; refuse_at++) {
        refuse_asked = 0;
        struct test test = {0};
        test.sink = outline_sink(&test.outline);
        test.reader = xml_open(&test.sink, NULL);
        if (!test.reader) {
            failed++;
            continue;
        }
        int result = xml_feed(test.reader, bytes, n);
        if (result == 0)
            result = xml_end(test.reader);
        cr_assert(result == 0 || result == -ENOMEM);
        failed += result == -ENOMEM;
        if (result == -ENOMEM)
            cr_expect(xml_feed(test.reader, bytes, n) == -ENOMEM && xml_end(test.reader) == -ENOMEM);
        xml_again(test.reader);
        outline_clear(&test.outline);
        outline_read(test.reader, bytes, n, 0, 0);
        cr_expect(test.outline.messages == 1 && test.outline.errors == 0);
        end(&test);
    }
    heap_refuse = NULL;
    cr_expect(failed > 5, "%u", failed);
    free(bytes);
    LEAKS_NONE();
}
