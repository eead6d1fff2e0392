#include "codecs/table/fixed.h"

#include "codecs/table/cobol.h"

#include "tests/unit/codecs/golden.h"
#include "tests/unit/codecs/calls.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct layouts layouts;
static struct calls trace;

static void layout_set(const char *text) {
    struct layout_error error;
    layouts_free(&layouts);
    cr_assert(layouts_add(&layouts, text, strlen(text), &error) == 0, "%u: %s", error.line, error.text);
}

static void layout_file(const char *name) {
    char path[128];
    size_t length;
    snprintf(path, sizeof path, "tests/data/layouts/%s.layout", name);
    uint8_t *text = golden_file(path, &length);
    struct layout_error error;
    layouts_free(&layouts);
    cr_assert(layouts_add(&layouts, (char *)text, length, &error) == 0, "%s:%u: %s", path, error.line,
              error.text);
    free(text);
}

static void read_parts(struct calls *into, const struct profile *profile, const void *bytes, size_t length,
                       size_t part) {
    struct fixed *fixed = fixed_new(&layouts, profile, &into->sink);
    cr_assert(fixed);
    for (size_t at = 0, size; at < length; at += size) {
        size = part && part < length - at ? part : length - at;
        uint8_t *alone = golden_alone((const uint8_t *)bytes + at, size);
        fixed_feed(fixed, alone, size);
        free(alone);
    }
    fixed_end(fixed);
    fixed_free(fixed);
}

/* At once and in parts, which must give the same; then what it gives. */
static void read_bytes(const struct profile *profile, const void *bytes, size_t length) {
    calls_init(&trace);
    read_parts(&trace, profile, bytes, length, 0);
    for (size_t part = 1; part < 400; part += part < 10 ? 1 : 61) {
        struct calls other;
        calls_init(&other);
        read_parts(&other, profile, bytes, length, part);
        cr_expect_str_eq(calls_text(&other), calls_text(&trace), "in parts of %zu", part);
        calls_free(&other);
    }
}

static void read_text(const char *text) {
    read_bytes(NULL, text, strlen(text));
}

static void read_file(const char *name) {
    char path[128];
    size_t length;
    snprintf(path, sizeof path, "tests/data/fixed/%s", name);
    uint8_t *bytes = golden_file(path, &length);
    read_bytes(NULL, bytes, length);
    free(bytes);
}

static void over(void) {
    calls_free(&trace);
    layouts_free(&layouts);
}

/* ---- the samples ---- */

static const struct {
    const char *file, *layout;
    unsigned messages, refused, segments;
    const char *part; /* of what is read */
} samples[] = {
    {"carddemo__acctdata.txt", "carddemo_account", 50, 0, 50,
     "ACCOUNT @0:1:1+300 1=00000000001 2=Y 3=194.00 4=2020.00 5=1020.00 6=20141120 7=20250520 8=20250520 "
     "9=0.00 "
     "10=0.00 11=A000000000\n"},
    {"carddemo__AWS.M2.CARDDEMO.ACCTDATA.PS", "carddemo_account_ebcdic", 50, 0, 50,
     "ACCOUNT @300:0:1+300 1=00000000002 2=Y 3=158.00 4=6130.00 5=5448.00 6=20130619 7=20240811 8=20240811 "
     "9=0.00 "
     "10=0.00 11=A000000000\n"},
    {"carddemo__tcatbal.txt", "carddemo_balance", 50, 0, 50,
     "BALANCE @52:2:1+50 1=00000000002 2=01 3=0001 4=0.00\n"},
    {"carddemo__AWS.M2.CARDDEMO.TCATBALF.PS", "carddemo_balance_ebcdic", 50, 0, 50,
     "BALANCE @50:0:1+50 1=00000000002 2=01 3=0001 4=0.00\n"},
    {"carddemo__trantype.txt", "carddemo_type", 1, 0, 7, "TYPE @62:2:2+60 1=02 2=Payment\n"},
    {"carddemo__AWS.M2.CARDDEMO.TRANTYPE.PS", "carddemo_type_ebcdic", 1, 0, 7,
     "TYPE @60:0:2+60 1=02 2=Payment\n"},
    {"carddemo__trancatg.txt", "carddemo_category", 7, 0, 18, "2=0004 3=ATM Cash Advance\n"},
    {"carddemo__discgrp.txt", "carddemo_group", 3, 0, 51, "3=0001 4=15.00\n"},
    {"carddemo__dailytran.txt", "carddemo_daily", 300, 0, 300,
     " 5=Return item at Nitzsche, Nicolas and Lowe 6=-919.00 7=800000000"},
    {"omniparser__1_single_row.input.txt", "weather", 2, 0, 2,
     "1=2020/07/31T01:23:45-0500 2=39 3=95 4= SE 5=8 6=32.7767 7=96.7970\n"},
    {"omniparser__2_multi_rows.input.txt", "shipment", 2, 0, 22, "1=0689311345 2=PO 3=7029083C\n"},
    {"omniparser__3_header_footer.input.txt", "tracking", 4, 0, 86, "V140 @"},
    {"omniparser__4_nested.input.txt", "works", 1, 0, 22, "> aggregate format=FIXED name=SWR"},
    {"saprecipes__plain2xml_tc1.txt", "receipts", 3, 0, 3,
     "1=202310 2=FABCDX 3=01TEST123 4=453 5=045 6=0801 7=0001 8=000000028259990 9=20231015\n"},
    {"saprecipes__plain2xml_tc5.txt", "accounting", 1, 1, 11,
     "! fixed.record-length error message @2920+291:11:11:0 \"291\" expected \"290\"\n"},
    {"saprecipes__structureplain_tc1.txt", "structure", 1, 0, 4, "CC @34:4:4+7 1=12345\n"},
    {"saprecipes__structureplain_tc3_mixed.txt", "structure_mixed", 4, 0, 11,
     "HEAD @0:1:1+13 1=1234567890 2=AA\n"},
};

Test(fixed, reads_every_sample) {
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        layout_file(samples[i].layout);
        read_file(samples[i].file);
        cr_expect(calls_has(&trace, samples[i].part), "%s", samples[i].file);
        cr_expect(trace.messages == samples[i].messages && trace.refused == samples[i].refused &&
                      trace.segments == samples[i].segments,
                  "%s: %u messages, %u refused, %u segments", samples[i].file, trace.messages, trace.refused,
                  trace.segments);
        over();
    }
    LEAKS_NONE();
}

Test(fixed, adds_up_a_days_transactions_as_somebody_else_does) {
    layout_file("carddemo_daily");
    read_file("carddemo__dailytran.txt");
    long long cents = 0;
    for (const char *at = calls_text(&trace); (at = strstr(at, " 6=")) != NULL; at++) {
        long long whole;
        unsigned part;
        int sign = at[3] == '-' ? -1 : 1;
        cr_assert(sscanf(at + 3 + (sign < 0), "%lld.%2u", &whole, &part) == 2);
        cents += sign * (whole * 100 + (long long)part);
    }
    cr_expect(cents == 10480154, "%lld", cents); /* by a script that knows nothing of this reader */
    over();
}

Test(fixed, names_what_the_samples_have_wrong) {
    layout_file("accounting");
    read_file("saprecipes__plain2xml_tc5.txt");
    cr_expect(calls_has(&trace, "3=CAMO 4=20240215 5=15022024 6=EUR 7=58076,87\n") && trace.findings == 1);
    over();
    layout_file("weather");
    read_file("omniparser__1_single_row.input.txt");
    cr_expect(calls_has(&trace, "! fixed.record-unknown error interchange @59+14:2:0:0 \"DO NOT PROCESS\""));
    over();
    layout_file("tracking");
    read_file("omniparser__3_header_footer.input.txt");
    cr_expect(calls_has(&trace, "\"85\" expected \"86\"\n") && trace.findings == 1);
    over();
    layout_file("works");
    read_file("omniparser__4_nested.input.txt");
    cr_expect(calls_has(&trace, "! fixed.count-differs error interchange") && trace.findings == 1);
    cr_expect(calls_has(&trace, "\"00000001\" expected \"4\"\n"));
    over();
}

/* ---- numbers ---- */

static const char *number(enum layout_type type, enum codepage codepage, const char *flags, unsigned scale,
                          const void *bytes, uint32_t length) {
    static char text[COBOL_TEXT_MAX + 1];
    struct layout_field field = {
        .type = type, .codepage = codepage, .length = length, .scale = (uint8_t)scale};
    field.is_signed = strchr(flags, 's') != NULL;
    field.sign_leading = strchr(flags, 'l') != NULL;
    field.sign_separate = strchr(flags, 'p') != NULL;
    field.little_endian = strchr(flags, 'e') != NULL;
    uint8_t *alone = golden_alone(bytes, length);
    text[cobol_text(&field, alone, '.', (uint8_t *)text)] = 0;
    free(alone);
    return text;
}

#define ASCII(flags, scale, bytes)  number(LAYOUT_ZONED, CODEPAGE_UTF8, flags, scale, bytes, sizeof bytes - 1)
#define EBCDIC(flags, scale, bytes) number(LAYOUT_ZONED, CODEPAGE_037, flags, scale, bytes, sizeof bytes - 1)
#define PACKED(flags, scale, bytes) number(LAYOUT_PACKED, CODEPAGE_037, flags, scale, bytes, sizeof bytes - 1)
#define BINARY(flags, scale, bytes) number(LAYOUT_BINARY, CODEPAGE_037, flags, scale, bytes, sizeof bytes - 1)

Test(cobol, reads_signs_over_a_digit) {
    cr_expect_str_eq(ASCII("s", 2, "0000005047G"), "504.77");
    cr_expect_str_eq(ASCII("s", 2, "0000009190}"), "-919.00");
    cr_expect_str_eq(ASCII("s", 0, "12{"), "120");
    cr_expect_str_eq(ASCII("s", 0, "12I"), "129");
    cr_expect_str_eq(ASCII("s", 0, "12J"), "-121");
    cr_expect_str_eq(ASCII("s", 0, "12R"), "-129");
    cr_expect_str_eq(ASCII("s", 0, "12p"), "-120");
    cr_expect_str_eq(ASCII("s", 0, "12y"), "-129");
    cr_expect_str_eq(ASCII("s", 0, "123"), "123");
    cr_expect_str_eq(ASCII("sl", 0, "J23"), "-123");
    cr_expect_str_eq(ASCII("s", 0, "00}"), "0", "there is no minus nothing");
    cr_expect_str_eq(ASCII("s", 3, "0}"), "0.000");
    cr_expect_str_eq(ASCII("s", 4, "1J"), "-0.0011");
    cr_expect_str_eq(ASCII("", 2, "00150"), "1.50");
    cr_expect_str_eq(EBCDIC("s", 2, "\xF0\xF0\xF1\xF9\xF4\xF0\xC0"), "194.00");
    cr_expect_str_eq(EBCDIC("s", 2, "\xF1\xF2\xD3"), "-1.23");
    cr_expect_str_eq(EBCDIC("s", 0, "\xF1\xB2"), "-12");
    cr_expect_str_eq(EBCDIC("s", 0, "\xF1\xF2"), "12");
}

Test(cobol, reads_signs_of_their_own) {
    cr_expect_str_eq(ASCII("sp", 2, "01234-"), "-12.34");
    cr_expect_str_eq(ASCII("sp", 2, "01234+"), "12.34");
    cr_expect_str_eq(ASCII("spl", 0, "-7"), "-7");
    cr_expect_str_eq(EBCDIC("spl", 0, "\x60\xF7"), "-7");
    cr_expect_str_eq(EBCDIC("spl", 0, "\x4E\xF7"), "7");
    cr_expect_str_eq(ASCII("sp", 0, "7"), "");
    cr_expect_str_eq(ASCII("sp", 0, "7x"), "");
}

Test(cobol, refuses_bytes_that_are_no_digits) {
    static const char bad[] = " :/\"z@[`\x7F\xFF";
    for (size_t i = 0; i < sizeof bad - 1; i++) {
        char text[4] = {'1', bad[i], '3', 0};
        cr_expect_str_eq(number(LAYOUT_ZONED, CODEPAGE_UTF8, "s", 0, text, 3), "", "%x", bad[i]);
        text[1] = '2', text[2] = bad[i];
        cr_expect_str_eq(number(LAYOUT_ZONED, CODEPAGE_UTF8, "s", 0, text, 3), "", "%x", bad[i]);
    }
    cr_expect_str_eq(ASCII("", 0, "1A"), "", "a sign on a number without one");
    cr_expect_str_eq(EBCDIC("s", 0, "\xF1\xFA"), "");
    cr_expect_str_eq(EBCDIC("s", 0, "\xC1\xF1"), "");
    cr_expect_str_eq(EBCDIC("s", 0, "\x40\x40"), "");
}

Test(cobol, reads_packed_numbers_and_refuses_bad_half_bytes) {
    cr_expect_str_eq(PACKED("s", 2, "\x01\x23\x4C"), "12.34");
    cr_expect_str_eq(PACKED("s", 2, "\x01\x23\x4D"), "-12.34");
    cr_expect_str_eq(PACKED("s", 0, "\x12\x3B"), "-123");
    cr_expect_str_eq(PACKED("", 0, "\x12\x3F"), "123");
    cr_expect_str_eq(PACKED("s", 0, "\x12\x3A"), "123");
    cr_expect_str_eq(PACKED("s", 0, "\x12\x3E"), "123");
    cr_expect_str_eq(PACKED("s", 0, "\x0D"), "0");
    cr_expect_str_eq(PACKED("", 0, "\x12\x3D"), "", "a minus on a number without a sign");
    for (unsigned half = 0; half <= 9; half++) {
        uint8_t sign[2] = {0x12, (uint8_t)(0x30 | half)};
        cr_expect_str_eq(number(LAYOUT_PACKED, CODEPAGE_037, "s", 0, sign, 2), "", "sign %x", half);
    }
    for (unsigned half = 10; half < 16; half++) {
        uint8_t high[2] = {(uint8_t)(half << 4 | 1), 0x3C}, low[2] = {(uint8_t)(0x10 | half), 0x3C};
        uint8_t last[2] = {0x12, (uint8_t)(half << 4 | 0xC)};
        cr_expect_str_eq(number(LAYOUT_PACKED, CODEPAGE_037, "s", 0, high, 2), "");
        cr_expect_str_eq(number(LAYOUT_PACKED, CODEPAGE_037, "s", 0, low, 2), "");
        cr_expect_str_eq(number(LAYOUT_PACKED, CODEPAGE_037, "s", 0, last, 2), "");
    }
    cr_expect_str_eq(PACKED("s", 0, "\x40\x40\x40"), "", "blanks are no packed number");
}

Test(cobol, reads_binary_numbers) {
    cr_expect_str_eq(BINARY("s", 0, "\x01\x00"), "256");
    cr_expect_str_eq(BINARY("se", 0, "\x01\x00"), "1");
    cr_expect_str_eq(BINARY("s", 0, "\xFF\xFE"), "-2");
    cr_expect_str_eq(BINARY("", 0, "\xFF\xFE"), "65534");
    cr_expect_str_eq(BINARY("s", 2, "\x00\x00\x30\x39"), "123.45");
    cr_expect_str_eq(BINARY("s", 0, "\x80\x00\x00\x00\x00\x00\x00\x00"), "-9223372036854775808");
    cr_expect_str_eq(BINARY("", 0, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), "18446744073709551615");
    cr_expect_str_eq(BINARY("s", 2, "\xFF"), "-0.01");
}

/* ---- framings ---- */

Test(fixed, reads_records_with_their_length_in_front) {
    const char plain[] = "\0\6\0\0AB\0\11\0\0CDEFG";
    layout_set("file rdw\nrecord R\n field X 1 10\n");
    read_bytes(NULL, plain, sizeof plain - 1);
    cr_expect(calls_has(&trace, "R @4:0:1+2 1=AB\n") && calls_has(&trace, "R @10:0:1+5 1=CDEFG\n"));
    cr_expect(trace.messages == 2 && trace.findings == 0);
    over();
    const char little[] = "\6\0\0\0AB\11\0\0\0CDEFG";
    layout_set("file rdw little\nrecord R\n field X 1 10\n");
    read_bytes(NULL, little, sizeof little - 1);
    cr_expect(trace.messages == 2 && trace.findings == 0);
    over();
    const char blocks[] = "\0\23\0\0\0\6\0\0AB\0\11\0\0CDEFG\0\11\0\0\0\5\0\0Z";
    layout_set("file bdw\nrecord R\n field X 1 10\n");
    read_bytes(NULL, blocks, sizeof blocks - 1);
    cr_expect(calls_has(&trace, "R @8:0:1+2 1=AB\n") && calls_has(&trace, "R @27:0:1+1 1=Z\n"));
    cr_expect(trace.messages == 3 && trace.findings == 0);
    over();
}

Test(fixed, gives_up_at_a_length_that_is_none) {
    layout_set("file rdw\nrecord R\n field X 1 10\n");
    read_bytes(NULL, "\0\6\0\0AB\0\2\0\0CD", 12);
    cr_expect(calls_has(&trace, "! fixed.length-prefix error message @6+4:0:0:0") && trace.messages == 1);
    over();
    layout_set("file bdw\nrecord R\n field X 1 10\n");
    read_bytes(NULL, "\0\12\0\0\0\11\0\0CDEFG", 13);
    cr_expect(calls_has(&trace, "! fixed.length-prefix error interchange @4+4"));
    over();
    layout_set("file rdw\nrecord R\n field X 1 10\n");
    read_bytes(NULL, "\0\6\0\0A", 5);
    cr_expect(calls_has(&trace, "! document.truncated error interchange @0+1"));
    over();
}

Test(fixed, names_a_last_record_that_is_cut) {
    layout_set("file length 4\nrecord R\n field X 1 4\n");
    read_text("abcdefghij");
    cr_expect(trace.messages == 2 && calls_has(&trace, "! document.truncated error message @8+2"));
    over();
}

Test(fixed, leaves_out_a_line_that_is_too_long) {
    static char text[200000];
    memset(text, 'x', sizeof text);
    text[100000] = '\n';
    strcpy(text + 100001, "ok\n");
    layout_set("record R\n field X 1 4\n");
    for (size_t part = 0; part < 100000; part = part ? part * 17 : 1) {
        calls_init(&trace);
        read_parts(&trace, NULL, text, 100004, part);
        cr_expect(calls_has(&trace, "! document.too-large error interchange @0+0:1"));
        cr_expect(calls_has(&trace, "R @100001:2:1+2 1=ok\n"));
        calls_free(&trace);
    }
    layouts_free(&layouts);
}

/* ---- fields ---- */

Test(fixed, reads_tables_that_depend_on_a_count) {
    layout_set("message M file\n"
               "record R\n"
               " field COUNT 1 1 9\n"
               " table LINE 2 3 occurs 3 depends COUNT\n"
               "  column ITEM 1 2\n"
               "  column QTY 3 1 9\n"
               " field END + 3\n"
               " field SIZE + 1 9 occurs 2\n");
    read_text("2ab1cd2end78\n3ab1cd2ef3end7\n0end\n");
    cr_expect(calls_has(&trace, "R @0:1:1+12 1=2 2=ab:1 2=cd:2 3=end 4=7 4=8\n"));
    cr_expect(calls_has(&trace, "R @13:2:2+14 1=3 2=ab:1 2=cd:2 2=ef:3 3=end 4=7\n"));
    cr_expect(calls_has(&trace, "R @28:3:3+4 1=0 3=end\n"));
    calls_free(&trace);
    read_text("9ab1cd2ef3end78\nxab1\n");
    cr_expect(calls_has(&trace, "! fixed.occurs error message @1+0:1:1:2 \"9\""));
    cr_expect(calls_has(&trace, "! fixed.not-number error message @16+1:2:2:1 \"x\""));
    over();
}

Test(fixed, reads_a_field_only_where_its_test_holds) {
    layout_set(
        "record R\n field KIND 1 1\n field AMOUNT 2 4 9V2 if 1 1 \"A\"\n field NAME 2 4 if 1 1 \"N\"\n");
    read_text("A0150\nNJoe\n");
    cr_expect(calls_has(&trace, " 1=A 2=1.50\n") && calls_has(&trace, " 1=N 3=Joe\n"));
    over();
}

Test(fixed, transcodes_each_field_by_itself) {
    layout_set("file length 8\ncharset cp037\nrecord R\n field A 1 3\n field P 4 2 S9 comp-3\n field B 6 3 X "
               "charset "
               "iso-8859-1\n");
    read_bytes(NULL, "\xC1\xC2\x40\x12\x3D\xFC  ", 8);
    cr_expect(calls_has(&trace, " 1=AB 2=-123 3=\xC3\xBC\n"));
    over();
}

Test(fixed, judges_what_stands_in_fields) {
    layout_set(
        "record R length 20\n field N 1 4 9\n field D 5 8 D yyyymmdd\n field F 13 4 N\n field T 17 4\n");
    read_text("12a420261332 1.5\xFC\n"
              "    00000000 -5-    \n"
              "1\n");
    cr_expect(calls_has(&trace, "! fixed.not-number error message @0+4:1:1:1 \"12a4\""));
    cr_expect(
        calls_has(&trace, "! fixed.not-date error message @4+8:1:1:2 \"20261332\" expected \"yyyymmdd\""));
    cr_expect(calls_has(&trace, "! document.charset-violated error message @16+1:1:1:4"));
    cr_expect(calls_has(&trace, "! fixed.record-length error message @0+17:1:1:0 \"17\" expected \"20\""));
    cr_expect(calls_has(&trace, "! fixed.not-number error message @30+4:2:1:3 \" -5-\""));
    cr_expect(calls_has(&trace, "R @39:3:1+1 1=1\n"));
    cr_expect(!strstr(trace.text, "2=00000000"), "a date of zeros is none");
    over();
}

Test(fixed, judges_order_counts_and_totals) {
    const char *layout = "message M from H\n"
                         "record A header when 1 1 \"A\"\n"
                         "record H when 1 1 \"H\"\n"
                         "record L under H when 1 1 \"L\"\n field QTY 2 3 9V1\n"
                         "record T trailer when 1 1 \"T\"\n field LINES 2 2 9\n field SUM 4 4 9V1\n"
                         " count LINES L\n total SUM L QTY\n";
    layout_set(layout);
    read_text("A\nH\nL015\nL020\nH\nL001\nT030036\n");
    cr_expect(calls_has(&trace, "> interchange format=FIXED @0\n") && trace.findings == 0 &&
              trace.messages == 2);
    cr_expect(calls_has(&trace, "< interchange 0 segments, 2 messages, 0 errors"));
    calls_free(&trace);
    read_text("A\nL015\nH\nL020\nA\nT030036\nH\n");
    cr_expect(calls_has(&trace, "! fixed.order error interchange @2+4:2:0:0"));
    cr_expect(calls_has(&trace, "! fixed.order error interchange @14+1:5:0:0"));
    cr_expect(calls_has(&trace, "! fixed.count-differs error interchange @17+2:6:0:1 \"03\" expected \"2\""));
    cr_expect(calls_has(&trace, "! fixed.total-differs error interchange @19+4:6:0:2 \"3.6\""));
    cr_expect(calls_has(&trace, "! fixed.order error message @24+1:7:1:0"));
    calls_free(&trace);
    read_text("A\nH\n");
    cr_expect(calls_has(&trace, "! fixed.trailer-missing error interchange @4"));
    over();
}

Test(fixed, nests_records_and_names_one_without_its_parent) {
    layout_set(
        "message M file\nrecord O when 1 1 \"O\"\nrecord L under O when 1 1 \"L\"\nrecord S under L when 1 1 "
        "\"S\"\n");
    read_text("O\nL\nS\nS\nL\nO\nS\n");
    cr_expect(calls_has(&trace,
                        "> aggregate format=FIXED name=O @0\nO @0:1:1+1\n> aggregate format=FIXED name=L @2\n"
                        "L @2:2:2+1\nS @4:3:3+1\nS @6:4:4+1\n< aggregate 3 segments"));
    cr_expect(calls_has(&trace, "! fixed.order error message @12+1:7:7:0 expected \"L\""));
    over();
}

Test(fixed, groups_records_by_a_key) {
    layout_set("message ORDER key NUMBER\nrecord R\n field NUMBER 1 3\n field ITEM 4 2\n");
    read_text("001aa\n001bb\n002cc\n");
    cr_expect(calls_has(&trace, "> message format=FIXED name=ORDER ref=001 @0\n") && trace.messages == 2);
    over();
    layout_set("message ORDER key NONE\nrecord R\n field NUMBER 1 3\n");
    struct calls none;
    calls_init(&none);
    cr_expect_null(fixed_new(&layouts, NULL, &none.sink));
    calls_free(&none);
    layouts_free(&layouts);
    LEAKS_NONE();
}

/* ---- mutations ---- */

/* Another digit in a count, a total or what is added up is noticed. */
Test(fixed, notices_every_digit_that_is_changed_and_every_record_that_is_lost) {
    static const char good[] = "H\nL015\nL020\nL300\nT030335\n";
    const char *layout =
        "message M from H\nrecord H when 1 1 \"H\"\nrecord L under H when 1 1 \"L\"\n field QTY 2 3 "
        "9V1\nrecord T trailer when 1 1 \"T\"\n field LINES 2 2 9\n field SUM 4 4 9V1\n count LINES "
        "L\n total SUM L QTY\n";
    layout_set(layout);
    read_text(good);
    cr_expect(trace.findings == 0, "%s", calls_text(&trace));
    calls_free(&trace);
    for (size_t at = 0; at < sizeof good - 1; at++) {
        char bad[sizeof good];
        memcpy(bad, good, sizeof good);
        if (bad[at] >= '0' && bad[at] <= '9') {
            bad[at] = bad[at] == '7' ? '8' : '7';
        } else if (bad[at] == 'L' || bad[at] == 'T') {
            size_t line = strcspn(good + at, "\n") + 1;
            memmove(bad + at, good + at + line, sizeof good - at - line);
        } else {
            continue;
        }
        read_text(bad);
        cr_expect(trace.findings > 0, "byte %zu: %s", at, calls_text(&trace));
        calls_free(&trace);
    }
    layouts_free(&layouts);
}

Test(fixed, bounds_the_segments_of_a_message) {
    layout_set("message M file\nrecord R\n field X 1 1\n");
    struct profile profile = {.segments_max = 2};
    read_bytes(&profile, "a\nb\nc\nd\n", 8);
    cr_expect(trace.segments == 2 && trace.refused == 1 &&
              calls_count(&trace, "! document.too-large error") == 2);
    over();
}
