#include "codecs/idoc/idoc.h"

#include "tests/unit/codecs/golden.h"
#include "tests/unit/codecs/calls.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ORDERS "tests/data/idoc/saprecipes__ORDERS05.flat.idoc"
#define INVOIC "tests/data/idoc/saprecipes__INVOIC01.flat.idoc"

static struct layouts layouts_load(void) {
    struct layouts layouts = {0};
    struct layout_error error;
    cr_assert(idoc_layouts(&layouts, &error) == 0, "%u: %s", error.line, error.text);
    return layouts;
}

/* Reads bytes in parts of this size; 0: at once. Each part lies alone in memory. */
static void read_parts(struct calls *trace, const struct profile *profile, const uint8_t *bytes,
                       size_t length, size_t part) {
    struct layouts layouts = layouts_load();
    struct idoc *idoc = idoc_new(&layouts, profile, &trace->sink);
    cr_assert(idoc);
    for (size_t at = 0, size; at < length; at += size) {
        size = part && part < length - at ? part : length - at;
        uint8_t *alone = golden_alone(bytes + at, size);
        idoc_feed(idoc, alone, size);
        free(alone);
    }
    idoc_end(idoc);
    idoc_free(idoc);
    layouts_free(&layouts);
}

static void read_bytes(struct calls *trace, const struct profile *profile, const void *bytes, size_t length) {
    calls_init(trace);
    read_parts(trace, profile, bytes, length, 0);
}

/* An IDoc of a few records, to be damaged. */
struct file {
    uint8_t bytes[16384];
    size_t length;
};

static void put(struct file *file, const char *text) {
    memcpy(file->bytes + file->length, text, strlen(text));
    file->length += strlen(text);
}

static void put_control(struct file *file, const char *document) {
    char record[525];
    memset(record, ' ', 524);
    record[524] = 0;
    memcpy(record, "EDI_DC40  100", 13);
    memcpy(record + 13, document, 16);
    memcpy(record + 29, "740 3012", 8);
    memcpy(record + 39, "ORDERS05", 8);
    memcpy(record + 99, "ORDERS", 6);
    put(file, record);
    put(file, "\n");
}

static void put_data(struct file *file, const char *name, const char *document, unsigned number,
                     unsigned parent, unsigned level, const char *data) {
    char record[1200];
    snprintf(record, sizeof record, "%-30s100%s%06u%06u%02u%s\n", name, document, number, parent, level,
             data);
    put(file, record);
}

#define DOC1 "0000000000000001"
#define DOC2 "0000000000000002"

static struct file file_small(void) {
    struct file file = {0};
    put_control(&file, DOC1);
    put_data(&file, "E2EDK01005", DOC1, 1, 0, 1, "    EUR");
    put_data(&file, "E2EDP01008", DOC1, 2, 0, 2, "000010");
    put_data(&file, "E2EDP19002", DOC1, 3, 2, 3, "0034012345600001");
    put_data(&file, "E2EDS01", DOC1, 4, 0, 2, "0021");
    return file;
}

/* ---- the samples ---- */

Test(idoc, reads_the_orders_sample_with_every_place) {
    size_t length;
    uint8_t *bytes = golden_file(ORDERS, &length);
    struct calls trace;
    read_bytes(&trace, NULL, bytes, length);
    cr_expect(trace.messages == 1 && trace.refused == 0 && trace.segments == 62 && trace.findings == 0);
    cr_expect(calls_has(&trace,
                        "> message format=IDOC syntax=EDI_DC40 name=ORDERS05 version=758 variant=ORDERS "
                        "sender=T33CLNT800 sender_qualifier=LS receiver=CPI receiver_qualifier=LS group=800 "
                        "ref=0000000000225645 date=20240731 time=162035 @0\n"));
    cr_expect(calls_has(&trace,
                        "E1EDK01 @526:2:2+420 1=000 3=EUR 9=IIL4 10=P8218007 12=5 13=KG 15=IRGENDWO 17=02 "
                        "18=RISK/PENSION\n"));
    cr_expect(calls_has(&trace, "> aggregate format=IDOC name=E1EDKA1"));
    cr_expect(calls_has(&trace, "E1EDP19 "));
    cr_expect(calls_has(&trace, " 1=003 2=M-12\n"));
    cr_expect(calls_has(&trace, "< message 62 segments"));
    calls_free(&trace);
    free(bytes);
    LEAKS_NONE();
}

/* The twin in XML, written down as the trace of the flat one: an independent reading of the same document. */
static void twin_write(FILE *out, const struct layouts *layouts, const char *xml) {
    char stack[16][32], name[32], value[256];
    int depth = 0;
    bool first = true;
    for (const char *at = strchr(xml, '<'); at; at = strchr(at, '<')) {
        bool closes = at[1] == '/';
        at += 1 + closes;
        int taken = (int)strcspn(at, " />\t\r\n");
        snprintf(name, sizeof name, "%.*s", taken, at);
        const char *end = strchr(at, '>');
        bool segment = strncmp(name, "E1", 2) == 0 || strncmp(name, "EDI_DC", 6) == 0;
        if (segment && closes) {
            depth--;
        } else if (segment) {
            fprintf(out, "%s%s", first ? "" : "\n", name);
            first = false;
            snprintf(stack[depth], sizeof stack[depth], "%s", name);
            depth += end[-1] != '/';
        } else if (!closes && depth > 0 && end[-1] != '/') {
            int text = (int)strcspn(end + 1, "<");
            while (text > 0 && end[text] == ' ')
                text--;
            snprintf(value, sizeof value, "%.*s", text, end + 1);
            uint32_t number =
                layouts_element(layouts, stack[depth - 1], strlen(stack[depth - 1]), name, strlen(name));
            if (text > 0 && number > 0)
                fprintf(out, " %u=%s", number, value);
        }
    }
    fputc('\n', out);
}

static void compare_twin(const char *flat, const char *xml) {
    size_t length, xml_length;
    uint8_t *bytes = golden_file(flat, &length), *twin = golden_file(xml, &xml_length);
    char *text = strndup((char *)twin, xml_length), *expected = NULL, *line, *rest;
    size_t expected_length;
    struct layouts layouts = layouts_load();
    FILE *out = open_memstream(&expected, &expected_length);
    twin_write(out, &layouts, text);
    fclose(out);
    struct calls trace;
    calls_init(&trace);
    trace.without_places = true;
    read_parts(&trace, NULL, bytes, length, 0);
    char *got = strdup(calls_text(&trace)), *got_rest = got;
    rest = expected;
    while ((line = strsep(&rest, "\n")) != NULL && *line) {
        const char *mine;
        do
            mine = strsep(&got_rest, "\n");
        while (mine && (*mine == '>' || *mine == '<' || *mine == '!'));
        cr_assert(mine);
        /* segments whose fields no layout has are one text */
        if (strncmp(line, "E1EDK29", 7) != 0 && strncmp(line, "E1EDP28", 7) != 0)
            cr_expect_str_eq(mine, line);
    }
    free(got);
    free(text);
    free(expected);
    free(twin);
    free(bytes);
    calls_free(&trace);
    layouts_free(&layouts);
}

Test(idoc, has_the_values_of_the_twins_in_xml) {
    compare_twin(ORDERS, "tests/data/idoc/saprecipes__ORDERS05.pair.xml");
    compare_twin(INVOIC, "tests/data/idoc/saprecipes__INVOIC01.pair.xml");
    LEAKS_NONE();
}

Test(idoc, keeps_a_trailing_minus_and_nests_texts_in_items) {
    size_t length;
    uint8_t *bytes = golden_file(INVOIC, &length);
    struct calls trace;
    read_bytes(&trace, NULL, bytes, length);
    cr_expect(trace.messages == 1 && trace.refused == 0 && trace.segments == 97 && trace.findings == 0);
    cr_expect(calls_has(&trace, " 1=013 2=14.53-\n"));
    const char *item = strstr(calls_text(&trace), "> aggregate format=IDOC name=E1EDP01");
    const char *text = item ? strstr(item, "> aggregate format=IDOC name=E1EDPT1") : NULL;
    const char *over = text ? strstr(text, "< aggregate 9 segments") : NULL;
    cr_expect(over && strstr(over, "< aggregate 37 segments"), "%s", trace.text);
    calls_free(&trace);
    free(bytes);
}

Test(idoc, reads_the_same_in_any_parts) {
    const char *const files[] = {ORDERS, INVOIC};
    for (size_t f = 0; f < 2; f++) {
        size_t length;
        uint8_t *bytes = golden_file(files[f], &length);
        struct calls whole;
        read_bytes(&whole, NULL, bytes, length);
        for (size_t part = 1; part < 1200; part += part < 40 ? 1 : 67) {
            struct calls trace;
            calls_init(&trace);
            read_parts(&trace, NULL, bytes, length, part);
            cr_assert_str_eq(calls_text(&trace), calls_text(&whole), "parts of %zu", part);
            calls_free(&trace);
        }
        calls_free(&whole);
        free(bytes);
    }
}

Test(idoc, reads_the_same_when_cut_anywhere) {
    struct file file = file_small();
    struct calls whole;
    read_bytes(&whole, NULL, file.bytes, file.length);
    for (size_t cut = 1; cut < file.length; cut++) {
        struct calls trace;
        struct layouts layouts = layouts_load();
        calls_init(&trace);
        struct idoc *idoc = idoc_new(&layouts, NULL, &trace.sink);
        uint8_t *a = golden_alone(file.bytes, cut), *b = golden_alone(file.bytes + cut, file.length - cut);
        idoc_feed(idoc, a, cut);
        idoc_feed(idoc, b, file.length - cut);
        idoc_end(idoc);
        cr_assert_str_eq(calls_text(&trace), calls_text(&whole), "cut at %zu", cut);
        idoc_free(idoc);
        layouts_free(&layouts);
        calls_free(&trace);
        free(a);
        free(b);
    }
    calls_free(&whole);
}

/* ---- framings ---- */

/* The records of a file of lines, each filled with blanks. */
static uint8_t *fill(const uint8_t *bytes, size_t length, const char *ending, size_t *filled) {
    uint8_t *out = malloc(length + 200 * 1100);
    *filled = 0;
    for (const uint8_t *end = bytes + length; bytes < end;) {
        const uint8_t *stop = memchr(bytes, '\n', (size_t)(end - bytes));
        size_t n = (size_t)((stop ? stop : end) - bytes),
               whole = memcmp(bytes, "EDI_DC40", 8) == 0 ? 524 : 1063;
        size_t text = n > 0 && bytes[n - 1] == '\r' ? n - 1 : n;
        memset(out + *filled, ' ', whole);
        memcpy(out + *filled, bytes, text);
        *filled += whole;
        memcpy(out + *filled, ending, strlen(ending));
        *filled += strlen(ending);
        bytes += n + 1;
    }
    return out;
}

Test(idoc, reads_the_same_in_all_three_framings) {
    size_t length;
    uint8_t *bytes = golden_file(ORDERS, &length);
    struct calls lines;
    calls_init(&lines);
    lines.without_places = true;
    read_parts(&lines, NULL, bytes, length, 0);
    const char *const endings[] = {"", "\n", "\r\n"};
    for (size_t i = 0; i < 3; i++) {
        size_t filled;
        uint8_t *full = fill(bytes, length, endings[i], &filled);
        for (size_t part = 0; part < 3000; part = part ? part * 3 : 1) {
            struct calls trace;
            calls_init(&trace);
            trace.without_places = true;
            read_parts(&trace, NULL, full, filled, part);
            cr_expect_str_eq(calls_text(&trace), calls_text(&lines), "ending %zu, parts of %zu", i, part);
            calls_free(&trace);
        }
        free(full);
    }
    calls_free(&lines);
    free(bytes);
}

Test(idoc, reads_a_file_without_line_breaks_whose_last_blanks_are_gone) {
    struct file small = file_small(), twice = small;
    size_t filled;
    memcpy(twice.bytes + twice.length, small.bytes, small.length);
    twice.length += small.length;
    uint8_t *full = fill(twice.bytes, twice.length, "", &filled);
    while (full[filled - 1] == ' ')
        filled--;
    struct calls trace;
    read_bytes(&trace, NULL, full, filled);
    cr_expect(trace.messages == 2 && trace.refused == 0 && trace.segments == 10);
    cr_expect(calls_has(&trace, "E1EDS01 @8489:0:5+67 1=002 2=1\n"));
    calls_free(&trace);
    free(full);
}

Test(idoc, reads_version_2) {
    /* as published in the documentation of a connector */
    const char text[] = "EDI_DC    300                      ORDERS052SAPMSS    LIMSFTABCSWI                  "
                        "                        "
                        "                                                 ED  93AORDERSOLP     VLTRFC    "
                        "KUMSFTABCSWI                "
                        "                                                                           13561    "
                        "                   "
                        "231054476                                                                           "
                        "20190523085430ORDERSORDERS05          US\n"
                        "E2EDK01005300                1     E2EDK010050     1       USD\n"
                        "E2EDK03   300                2     E2EDK03   0     2   02220190523\n";
    struct calls trace;
    read_bytes(&trace, NULL, text, sizeof text - 1);
    cr_expect(calls_has(&trace,
                        "> message format=IDOC syntax=EDI_DC name=ORDERS05 variant=ORDERS sender=MSFTABCSWI "
                        "sender_qualifier=KU receiver=MSFTABCSWI receiver_qualifier=LI group=300 "
                        "date=20190523 time=085430"));
    cr_expect(calls_has(&trace, " 3=USD\n"));
    cr_expect(calls_has(&trace, " 1=022 2=20190523\n"));
    calls_free(&trace);
}

/* ---- what is wrong ---- */

Test(idoc, refuses_a_record_whose_blanks_were_collapsed) {
    struct file file = {0};
    put_control(&file, DOC1);
    put(&file, "E2EDK01005 100" DOC1 "00000100000001    EUR of an editor that knows better than SAP\n");
    struct calls trace;
    read_bytes(&trace, NULL, file.bytes, file.length);
    cr_expect(calls_has(&trace, "! idoc.shifted error message @574+14:2:2:0"));
    cr_expect(trace.segments == 1 && trace.refused == 1);
    calls_free(&trace);
}

Test(idoc, names_a_control_record_that_is_shifted) {
    struct file file = {0};
    put(&file, "EDI_DC40 100" DOC1 "740 3012 ORDERS05\n");
    struct calls trace;
    read_bytes(&trace, NULL, file.bytes, file.length);
    cr_expect(calls_has(&trace, "! idoc.control error message @0"));
    cr_expect(calls_has(&trace, "! idoc.control-short error message @0"));
    calls_free(&trace);
}

Test(idoc, leaves_out_a_record_of_another_document) {
    struct file file = {0};
    put_control(&file, DOC1);
    put_data(&file, "E2EDK01005", DOC2, 1, 0, 1, "    EUR");
    put_data(&file, "E2EDK01005", DOC1, 1, 0, 1, "    USD");
    struct calls trace;
    read_bytes(&trace, NULL, file.bytes, file.length);
    cr_expect(calls_has(&trace,
                        "! idoc.document-differs error message @558+16:2:2:0 \"" DOC2 "\" expected \"" DOC1));
    cr_expect(trace.segments == 2 && calls_has(&trace, "3=USD"));
    calls_free(&trace);
}

Test(idoc, reports_records_before_the_first_control_record_once) {
    struct file file = {0};
    put_data(&file, "E2EDK01005", DOC1, 1, 0, 1, "    EUR");
    put_data(&file, "E2EDS01", DOC1, 2, 0, 1, "0021");
    put_control(&file, DOC1);
    put_data(&file, "E2EDS01", DOC1, 1, 0, 1, "0021");
    struct calls trace;
    read_bytes(&trace, NULL, file.bytes, file.length);
    cr_expect(calls_count(&trace, "! idoc.no-control error interchange @0") == 1);
    cr_expect(trace.messages == 1 && trace.refused == 0 && trace.segments == 2);
    calls_free(&trace);
}

Test(idoc, judges_numbers_parents_levels_and_clients) {
    struct file file = {0};
    put_control(&file, DOC1);
    put_data(&file, "E2EDP01008", DOC1, 1, 0, 2, "000010");
    put_data(&file, "E2EDP19002", DOC1, 3, 1, 2, "001A");
    put_data(&file, "E2EDP26", DOC1, 4, 9, 3, "0031");
    put_data(&file, "E2EDS01", DOC1, 5, 0, 2, "0021");
    file.bytes[file.length - 68 + 30] = '2'; /* the client of the last record: 200 */
    struct calls trace;
    read_bytes(&trace, NULL, file.bytes, file.length);
    cr_expect(calls_has(&trace, "! idoc.number-differs error message @644+6:3:3:0 \"000003\""));
    cr_expect(calls_has(&trace, "! idoc.level-differs error message @656+2:3:3:0"));
    cr_expect(calls_has(&trace, "! idoc.parent-unknown error message @718+6:4:4:0"));
    cr_expect(calls_has(&trace, "! idoc.client-differs error message @761+3:5:5:0"));
    cr_expect(calls_has(&trace, "< message 5 segments, 0 messages, 4 errors"));
    calls_free(&trace);
    struct profile profile = {0};
    profile_tolerate_all(&profile);
    read_bytes(&trace, &profile, file.bytes, file.length);
    cr_expect(trace.refused == 0 && trace.segments == 5);
    calls_free(&trace);
}

Test(idoc, takes_the_layout_of_another_version_and_hands_on_what_it_does_not_know) {
    struct file file = {0};
    put_control(&file, DOC1);
    put_data(&file, "E2EDP19009", DOC1, 1, 0, 2, "0034012345600001");
    put_data(&file, "E2EDP19009", DOC1, 2, 0, 2, "001B");
    put_data(&file, "Z2OWN000", DOC1, 3, 0, 2, "some text of our own");
    put_data(&file, "E2EDS01", DOC1, 4, 0, 2, "0021                    EURtoo much");
    struct calls trace;
    read_bytes(&trace, NULL, file.bytes, file.length);
    cr_expect(calls_count(&trace, "! idoc.version-unknown note message") == 1);
    cr_expect(calls_has(&trace, "@525+10:2:2:0 \"E2EDP19009\" expected \"E2EDP19002\""));
    cr_expect(calls_has(&trace, "E1EDP19 @525:2:2+79 1=003 2=4012345600001\n"));
    cr_expect(calls_has(&trace, "! idoc.segment-unknown error message @673+8:4:4:0 \"Z2OWN000\""));
    cr_expect(calls_has(&trace, "Z2OWN000 @673:4:4+83 1=some text of our own\n"));
    cr_expect(calls_has(&trace, "! idoc.beyond-layout error message @847+8:5:5:0 \"too much\""));
    calls_free(&trace);
}

Test(idoc, counts_characters_where_text_is_utf8) {
    struct file file = {0};
    put_control(&file, DOC1);
    put_data(&file, "E2EDKA1003", DOC1, 1, 0, 2, "AG 1234567890123456712345678901234567M\xC3\xBCller");
    put_data(&file, "E2EDP19002", DOC1, 2, 0, 2,
             "002\xC3\x84\xC3\x96                                 Sch\xC3\xB6n");
    struct calls trace;
    read_bytes(&trace, NULL, file.bytes, file.length);
    cr_expect(calls_has(&trace, "4=M\xC3\xBCller\n"));
    cr_expect(calls_has(&trace, " 2=\xC3\x84\xC3\x96 3=Sch\xC3\xB6n\n"));
    cr_expect(trace.refused == 0);
    calls_free(&trace);
}

Test(idoc, reads_the_charset_of_the_profile_and_judges_what_is_not_utf8) {
    struct file file = {0};
    put_control(&file, DOC1);
    put_data(&file, "E2EDP19002", DOC1, 1, 0, 2, "002\xC4\xD6                                 Sch\xF6n\x80");
    struct profile profile = {.charset = "windows-1252"};
    struct calls trace;
    read_bytes(&trace, &profile, file.bytes, file.length);
    cr_expect(calls_has(&trace, " 2=\xC3\x84\xC3\x96 3=Sch\xC3\xB6n\xE2\x82\xAC\n"));
    cr_expect(trace.refused == 0);
    calls_free(&trace);
    read_bytes(&trace, NULL, file.bytes, file.length);
    cr_expect(calls_has(&trace, "! document.charset-violated error message @525"));
    cr_expect(calls_has(&trace, " 2=\xC3\x84\xC3\x96 3=Sch\xC3\xB6n\xE2\x82\xAC\n"));
    calls_free(&trace);
}

Test(idoc, notes_a_byte_order_mark_and_counts_from_before_it) {
    struct file small = file_small(), file = {0};
    put(&file, "\xEF\xBB\xBF");
    memcpy(file.bytes + 3, small.bytes, small.length);
    file.length += small.length;
    struct calls trace;
    read_bytes(&trace, NULL, file.bytes, file.length);
    cr_expect(calls_has(&trace, "! document.bom note interchange @0+3"));
    cr_expect(calls_has(&trace, "E1EDK01 @528:2:2+70 3=EUR\n"));
    calls_free(&trace);
}

Test(idoc, cuts_what_is_longer_than_any_record_and_goes_on) {
    struct file file = {0};
    put_control(&file, DOC1);
    put_data(&file, "E2EDS01", DOC1, 1, 0, 2, "0021");
    file.length--;
    memset(file.bytes + file.length, ' ', 6000);
    file.length += 6000;
    put(&file, "x\n");
    put_data(&file, "E2EDS01", DOC1, 2, 0, 2, "0025");
    for (size_t part = 0; part < 5000; part = part ? part * 7 : 1) {
        struct calls trace;
        calls_init(&trace);
        read_parts(&trace, NULL, file.bytes, file.length, part);
        cr_expect(calls_count(&trace, "! idoc.record-long error message @1588+0:2:2:0") == 1);
        cr_expect(calls_has(&trace, "E1EDS01 @6594:3:3+67 1=002 2=5\n"));
        calls_free(&trace);
    }
}

Test(idoc, names_a_record_that_is_too_short_and_an_idoc_without_segments) {
    struct file file = {0};
    put_control(&file, DOC1);
    put(&file, "E2EDK01005                    100" DOC1 "00000\n");
    put_control(&file, DOC2);
    struct calls trace;
    read_bytes(&trace, NULL, file.bytes, file.length);
    cr_expect(calls_has(&trace, "! idoc.record-short error message @525+54:2:2:0"));
    cr_expect(calls_has(&trace, "! idoc.empty error message @580+0:0:1:0"));
    cr_expect(trace.messages == 2 && trace.refused == 2);
    calls_free(&trace);
}

Test(idoc, is_not_made_without_control_records_or_memory) {
    struct layouts layouts = {0};
    struct layout_error error;
    struct calls trace;
    calls_init(&trace);
    cr_assert(layouts_add(&layouts, "record A\n", 9, &error) == 0);
    cr_expect_null(idoc_new(&layouts, NULL, &trace.sink));
    layouts_free(&layouts);
    layouts = layouts_load();
    struct profile profile = {.charset = "cp037"};
    cr_expect_null(idoc_new(&layouts, &profile, &trace.sink));
    layouts_free(&layouts);
    calls_free(&trace);
    LEAKS_NONE();
}

/* ---- mutations ---- */

/* Another digit at each place of a record's numbers is noticed, and nothing else than a finding happens. */
Test(idoc, notices_every_digit_that_is_changed) {
    struct file good = file_small();
    size_t at = 525;
    for (unsigned record = 1; record < 5; record++) {
        const uint8_t *end = memchr(good.bytes + at, '\n', good.length - at);
        for (size_t place = 30; place < 63; place++) {
            struct file bad = good;
            bad.bytes[at + place] = bad.bytes[at + place] == '7' ? '8' : '7';
            struct calls trace;
            read_bytes(&trace, NULL, bad.bytes, bad.length);
            cr_expect(trace.refused == 1, "record %u, byte %zu: %s", record, place, calls_text(&trace));
            calls_free(&trace);
        }
        at = (size_t)(end - good.bytes) + 1;
    }
}

/* A blank too much or too few before the data of a record shifts what stands behind it. */
Test(idoc, notices_a_byte_that_is_lost_or_put_in) {
    struct file good = file_small();
    for (size_t at = 0; at < 525 + 61; at++) {
        if (good.bytes[at] == '\n')
            continue;
        struct file less = good, more = good;
        memmove(less.bytes + at, good.bytes + at + 1, good.length - at - 1);
        less.length--;
        memmove(more.bytes + at + 1, good.bytes + at, good.length - at);
        more.length++;
        struct calls trace;
        read_bytes(&trace, NULL, less.bytes, less.length);
        cr_expect(trace.findings > 0, "without byte %zu: %s", at, calls_text(&trace));
        calls_free(&trace);
        read_bytes(&trace, NULL, more.bytes, more.length);
        cr_expect(trace.findings > 0, "byte %zu twice: %s", at, calls_text(&trace));
        calls_free(&trace);
    }
}

Test(idoc, bounds_the_segments_of_a_message) {
    struct file file = file_small();
    struct profile profile = {.segments_max = 3};
    struct calls trace;
    read_bytes(&trace, &profile, file.bytes, file.length);
    cr_expect(trace.segments == 3 && trace.refused == 1);
    cr_expect(calls_count(&trace, "! document.too-large error message @666+79:4:4:0") == 1);
    calls_free(&trace);
}
