#include "codecs/table/csv.h"

#include "tests/unit/codecs/golden.h"
#include "tests/unit/codecs/calls.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct dialect dialect;
static struct calls trace;

static void dialect_set(const char *text) {
    struct layout_error error;
    cr_assert(dialect_read(&dialect, text, strlen(text), &error) == 0, "%u: %s", error.line, error.text);
}

static void dialect_file(const char *name) {
    char path[128];
    size_t length;
    snprintf(path, sizeof path, "tests/data/dialects/%s.dialect", name);
    uint8_t *text = golden_file(path, &length);
    struct layout_error error;
    cr_assert(dialect_read(&dialect, (char *)text, length, &error) == 0, "%s:%u: %s", path, error.line,
              error.text);
    free(text);
}

/* Into a trace of its own, in parts of this size; 0: at once. Each part lies alone in memory. */
static void read_parts(struct calls *into, const struct profile *profile, const void *bytes, size_t length,
                       size_t part) {
    struct csv *csv = csv_new(&dialect, profile, &into->sink);
    cr_assert(csv);
    for (size_t at = 0, size; at < length; at += size) {
        size = part && part < length - at ? part : length - at;
        uint8_t *alone = golden_alone((const uint8_t *)bytes + at, size);
        csv_feed(csv, alone, size);
        free(alone);
    }
    csv_end(csv);
    csv_free(csv);
}

/* At once and in all small parts, which must give the same; then what it gives. */
static void read_bytes(const struct profile *profile, const void *bytes, size_t length) {
    calls_init(&trace);
    read_parts(&trace, profile, bytes, length, 0);
    for (size_t part = 1; part < 150; part += part < 20 ? 1 : 43) {
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

static void read_lenient(const char *text) {
    struct profile profile = {0};
    profile_tolerate_all(&profile);
    read_bytes(&profile, text, strlen(text));
}

static void read_file(const char *name) {
    char path[128];
    size_t length;
    snprintf(path, sizeof path, "tests/data/csv/%s", name);
    uint8_t *bytes = golden_file(path, &length);
    read_bytes(NULL, bytes, length);
    free(bytes);
}

static void over(void) {
    calls_free(&trace);
    dialect_free(&dialect);
}

/* ---- RFC 4180 ---- */

Test(csv, reads_cells_with_commas_quotes_and_line_breaks) {
    dialect_file("rfc4180");
    read_text("a,b\n1,\"x,y\"\n2,\"ha \"\"ha\"\"\nha\"\n");
    cr_expect(calls_has(&trace,
                        "> message format=CSV syntax=rfc4180 name=TABLE ref=2 @4\nROW @4:2:1+7 1=1 2=x,y\n"));
    cr_expect(calls_has(&trace, "ROW @12:3:1+16 1=2 2=ha \"ha\"\nha\n"));
    cr_expect(trace.messages == 2 && trace.findings == 0);
    over();
    LEAKS_NONE();
}

Test(csv, tells_an_empty_cell_from_one_in_quotes) {
    dialect_file("rfc4180");
    read_text("a,b,c\r\n1,\"\",\r\n");
    cr_expect(calls_has(&trace, "ROW @7:2:1+5 1=1 2=''\n"));
    over();
}

Test(csv, needs_no_line_break_at_the_end) {
    dialect_file("rfc4180");
    read_text("a,b\n\n1,\"2\"");
    cr_expect(calls_has(&trace, "ROW @5:3:1+5 1=1 2=2\n") && trace.messages == 1);
    over();
}

static const struct {
    const char *file, *dialect;
    unsigned messages, refused, rows;
    const char *row; /* one of them */
} samples[] = {
    {"spectrum__comma_in_quotes.csv", "rfc4180", 1, 0, 1,
     " 1=John 2=Doe 3=120 any st. 4=Anytown, WW 5=08123\n"},
    {"spectrum__empty.csv", "rfc4180", 2, 0, 2, " 1=1 2='' 3=''\n"},
    {"spectrum__empty_crlf.csv", "rfc4180", 2, 0, 2, " 1=1 2='' 3=''\n"},
    {"spectrum__escaped_quotes.csv", "rfc4180", 2, 0, 2, " 1=1 2=ha \"ha\" ha\n"},
    {"spectrum__json.csv", "rfc4180", 1, 0, 1, "2={\"type\": \"Point\", \"coordinates\": [102.0, 0.5]}\n"},
    {"spectrum__location_coordinates.csv", "rfc4180", 1, 1, 1, "37.8\"N 121"},
    {"spectrum__newlines.csv", "rfc4180", 3, 0, 3, " 1=Once upon \na time 2=5 3=6\n"},
    {"spectrum__newlines_crlf.csv", "rfc4180", 3, 0, 3, " 1=Once upon \r\na time 2=5 3=6\n"},
    {"spectrum__quotes_and_newlines.csv", "rfc4180", 2, 0, 2, " 1=1 2=ha \n\"ha\" \nha\n"},
    {"spectrum__simple.csv", "rfc4180", 1, 0, 1, "ROW @6:2:1+5 1=1 2=2 3=3\n"},
    {"spectrum__simple_crlf.csv", "rfc4180", 1, 0, 1, "ROW @7:2:1+5 1=1 2=2 3=3\n"},
    {"spectrum__utf8.csv", "rfc4180", 2, 0, 2, " 1=4 2=5 3=\xCA\xA4\n"},
    {"sapds__SalesOrders.csv", "rfc4180", 334, 0, 334, " 1=0500000000 2=0000000004 3=20180111"},
    {"sapds__SalesOrderItems.csv", "sap_items", 334, 0, 1930,
     " 1=0500000000 2=0000000010 3=MB-1034 4=2499 5=4 6=20180311"},
    {"sapds__BusinessPartners.csv", "rfc4180", 40, 0, 40, " 3=maria.brown@all4bikes.com"},
    {"sapds__Products.csv", "rfc4180", 42, 0, 42, "1=RO-1001 2=PR"},
    {"sapds__SAP_RT_POS_L_Product_GTIN.csv", "rfc4180", 448, 0, 448, " 2=AA1 4=EA\n"},
    {"sapds__Customer.csv", "sap_customer", 53, 0, 53, "+31 5=16 6=20210603 7=16 8=20210603\n"},
    {"sapcap__sap.capire.orders-Orders.csv", "semicolon", 2, 0, 2, " 5=1 6=EUR\n"},
    {"sapcap__sap.capire.orders-Orders.Items.csv", "semicolon", 3, 0, 3, " 5=Wuthering Heights 6=11.11\n"},
    {"sapcap__sap.capire.bookshop-Books.csv", "rfc4180", 5, 0, 5, "under the pseudonym \"Ellis Bell\""},
    {"sapcap__sap.common-Currencies_texts.csv", "semicolon", 14, 0, 14, "4=dollar des \xC3\x89tats-Unis\n"},
    {"magento__orders.csv", "rfc4180", 2, 0, 2, " 5={\"sku\":\"WS03\",\"qty\":\"1\""},
    {"magento__products_gear_bags.csv", "rfc4180", 14, 0, 14, " 1=Gear\nBags 2=Joust Duffle Bag 3=24-MB01"},
    {"magento__tablerate.csv", "rfc4180", 9, 0, 9, " 1=US 2=AK 3=* 4=50 5=15\n"},
    {"magento__tax_rate.csv", "rfc4180", 1, 0, 1, " 1=US-MI-*-Rate 1 2=US"},
    {"medusa__exported-products-comma.csv", "rfc4180", 3, 0, 3, "5=test-product-description\ntest line 2"},
    {"medusa__exported-products-semicolon.csv", "semicolon", 3, 0, 3,
     "5=test-product-description\ntest line 2"},
    {"medusa__invalid-column.csv", "medusa", 1, 1, 1,
     "! csv.column-unknown error interchange @960+13:1:0:56 \"Product field\"\n"},
    {"medusa__invalid-prices.csv", "medusa", 1, 1, 1,
     "! csv.column-unknown error interchange @852+31:1:0:51 \"Variant Price nonexistent [EUR]\"\n"},
    {"medusa__v1-template.csv", "rfc4180", 5, 0, 5, "2=test-product-product-1 3=Test product"},
    {"medusa__price-list-import-template.csv", "rfc4180", 2, 0, 2, " 2=pl-sku 3=44.441 4=55.55\n"},
    {"own__shopify_orders_layout_synthetic.csv", "shopify", 2, 0, 5, "ORDER @"},
    {"own__woocommerce_orders_layout_synthetic.csv", "woocommerce", 2, 0, 2,
     "! document.bom note interchange @0+3"},
    {"own__odoo_sale_order_export_layout_synthetic.csv", "odoo", 2, 0, 5,
     " 2=S00008 3=Gemini \"G\" Furniture"},
    {"own__excel_de_latin1_synthetic.csv", "excel_de", 2, 1, 2, " 3=M\xC3\xBCsli"},
    {"own__sap_alv_list_layout_synthetic.txt", "sap_alv", 1, 0, 2,
     " 1=4500000101 2=20 3=AB-12 4=-15,000 5=KG 6=3,99 7=EUR\n"},
};

Test(csv, reads_every_sample) {
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        dialect_file(samples[i].dialect);
        read_file(samples[i].file);
        cr_expect(calls_has(&trace, samples[i].row), "%s", samples[i].file);
        cr_expect(trace.messages == samples[i].messages && trace.refused == samples[i].refused &&
                      trace.segments == samples[i].rows,
                  "%s: %u messages, %u refused, %u segments", samples[i].file, trace.messages, trace.refused,
                  trace.segments);
        over();
    }
    LEAKS_NONE();
}

/* ---- what a spreadsheet does ---- */

Test(csv, makes_numbers_and_dates_of_a_german_spreadsheet_and_refuses_a_ruined_gtin) {
    dialect_file("excel_de");
    read_file("own__excel_de_latin1_synthetic.csv");
    cr_expect(calls_has(&trace,
                        "LINE @60:3:1+59 1=4711 2=20260901 3=M\xC3\xBCsli 4=4012345600001 5=1250,5 6=KG "
                        "7=1234,56 8=EUR\n"));
    cr_expect(calls_has(&trace, "! csv.gtin-ruined error message @150+11:4:1:4 \"4,01235E+12\""));
    cr_expect(calls_has(&trace, " 3=K\xC3\xA4se; jung"));
    cr_expect(dialect_number(&dialect, "LINE", "GTIN") == 4 && dialect_number(&dialect, "LINE", "ean") == 0);
    over();
}

Test(csv, reads_utf16_with_offsets_of_the_file) {
    static const uint8_t text[] = "\xFF\xFE"
                                  "a\0,\0b\0\r\0\n\0"
                                  "\xFC\0,\0\x3D\xD8\x00\xDE\r\0\n\0"
                                  "1\0,\0\"\0x\0\n\0";
    dialect_set("charset utf-16le\n");
    read_bytes(NULL, text, sizeof text - 1);
    cr_expect(calls_has(&trace, "! document.bom note interchange @0+2"));
    cr_expect(calls_has(&trace, "ROW @12:2:1+8 1=\xC3\xBC 2=\xF0\x9F\x98\x80\n"));
    cr_expect(calls_has(&trace, "! csv.quote-unclosed error message @28+2:3:2:2"));
    over();
    dialect_set("charset utf-8\n"); /* the mark says more than the dialect */
    read_bytes(NULL, text, sizeof text - 1);
    cr_expect(calls_has(&trace, "1=\xC3\xBC 2=\xF0\x9F\x98\x80\n"));
    over();
}

Test(csv, judges_bytes_that_are_not_of_the_charset) {
    dialect_set("charset utf-8\n");
    read_text("a,b\n\xFC,2\n");
    cr_expect(calls_has(&trace, "! document.charset-violated error message @4+3:2:1:0 expected \"utf-8\""));
    cr_expect(calls_has(&trace, "1=\xC3\xBC 2=2\n"));
    over();
    dialect_set("charset windows-1252\n");
    read_bytes(NULL, "a\nx\x81\n", 5);
    cr_expect(
        calls_has(&trace, "! document.charset-violated error message @3+1:2:1:0 expected \"windows-1252\""));
    cr_expect(calls_has(&trace, "1=x\xEF\xBF\xBD\n"));
    over();
}

Test(csv, takes_the_separator_of_the_first_line) {
    dialect_set("separator-line\n");
    read_text("sep=;\na;b\n1,5;2\n");
    cr_expect(calls_has(&trace, " 1=1,5 2=2\n") && trace.findings == 0);
    over();
    dialect_set("separator-line\n");
    read_text("sep=;\n");
    cr_expect(calls_has(&trace, "! csv.no-header error interchange"));
    over();
}

/* ---- quotes where they do not belong ---- */

Test(csv, judges_quotes_inside_and_text_behind) {
    dialect_file("rfc4180");
    read_text("a,b\n1,x\"y\n2,\"x\" y\n3,ok\n");
    cr_expect(calls_has(&trace, "! csv.quote-inside error message @7+1:2:1:2 \"x\"y\""));
    cr_expect(calls_has(&trace, "! csv.text-after-quote error message @15+1:3:1:2 \"\"x\" y\""));
    cr_expect(trace.messages == 3 && trace.refused == 2);
    calls_free(&trace);
    read_lenient("a,b\n1,x\"y\n2,\"x\" y\n");
    cr_expect(calls_has(&trace, "1=1 2=x\"y\n") && calls_has(&trace, "1=2 2=x y\n") && trace.refused == 0);
    over();
}

Test(csv, reports_an_unclosed_quote_where_it_opens_and_reads_on) {
    dialect_file("rfc4180");
    read_text("a,b\n1,2\n3,\"four\n5,6\n7\n8,9\n");
    cr_expect(calls_has(&trace, "! csv.quote-unclosed error message @10+1:3:2:2"));
    cr_expect(calls_has(&trace, "ROW @16:4:1+3 1=5 2=6\n"));
    cr_expect(calls_has(&trace, "ROW @22:6:1+3 1=8 2=9\n") ||
              calls_has(&trace, "! csv.ragged error message @20"));
    over();
}

Test(csv, finds_an_unclosed_quote_within_the_largest_row) {
    static char text[300000];
    size_t n = (size_t)sprintf(text, "a,b\n1,\"open\n");
    for (unsigned i = 0; i < 20000; i++)
        n += (size_t)sprintf(text + n, "%u,row\n", i);
    dialect_file("rfc4180");
    for (size_t part = 0; part < n; part = part ? part * 11 : 1) {
        calls_init(&trace);
        read_parts(&trace, NULL, text, n, part);
        cr_expect(calls_has(&trace, "! csv.quote-unclosed error interchange @6+1:2:0:2"));
        cr_expect(trace.messages == 20000 && calls_count(&trace, "csv.quote-unclosed") == 1);
        cr_expect(calls_has(&trace, "1=19999 2=row\n"));
        calls_free(&trace);
    }
    dialect_free(&dialect);
}

Test(csv, leaves_out_a_row_that_is_too_long) {
    static char text[200000];
    size_t n = (size_t)sprintf(text, "a,b\n1,2\n3,");
    memset(text + n, 'x', 150000);
    n += 150000;
    n += (size_t)sprintf(text + n, "\n5,6\n");
    dialect_file("rfc4180");
    for (size_t part = 0; part < n; part = part ? part * 11 : 1) {
        calls_init(&trace);
        read_parts(&trace, NULL, text, n, part);
        cr_expect(calls_has(&trace, "! document.too-large error message @8+0:3:0:0"));
        cr_expect(calls_has(&trace, "ROW @150011:4:1+3 1=5 2=6\n") && trace.segments == 2);
        calls_free(&trace);
    }
    dialect_free(&dialect);
}

Test(csv, reads_backslashes) {
    dialect_set("escape backslash\n");
    read_text("a,b\n\"x\\\"y\",\\,z\n\\n\\\\,\"q\"\n");
    cr_expect(calls_has(&trace, " 1=x\"y 2=,z\n"));
    cr_expect(calls_has(&trace, " 1=\\n\\ 2=q\n"));
    over();
}

Test(csv, passes_over_comments_even_with_quotes_in_them) {
    dialect_set("comment \"#\"\n");
    read_text("# it's \"x\na,b\n# no, \"y\n1,#2\n");
    cr_expect(calls_has(&trace, "ROW @23:4:1+4 1=1 2=#2\n") && trace.messages == 1 && trace.findings == 0);
    over();
}

Test(csv, reads_other_line_ends_and_other_quotes) {
    dialect_set("end cr\nquote \"'\"\ndelimiter tab\n");
    read_text("a\tb\r'x\ry'\t2\r");
    cr_expect(calls_has(&trace, " 1=x\ry 2=2\n"));
    over();
}

/* ---- columns ---- */

Test(csv, finds_columns_by_name_in_any_order) {
    dialect_set("column A\ncolumn B number\ncolumn C optional\n");
    read_text("B,A\n1,x\n");
    cr_expect(calls_has(&trace, "ROW @4:2:1+3 1=x 2=1\n") && trace.findings == 0);
    calls_free(&trace);
    read_text("B,X,B\n1,x,2\n");
    cr_expect(calls_has(&trace, "! csv.column-unknown error interchange @2+1:1:0:2 \"X\""));
    cr_expect(calls_has(&trace, "! csv.column-twice error interchange @4+1:1:0:3 \"B\""));
    cr_expect(calls_has(&trace, "! csv.column-missing error interchange @0+5:1:0:1 expected \"A\""));
    cr_expect(calls_has(&trace, "< message 1 segments, 0 messages, 3 errors") &&
              calls_has(&trace, "+5 2=1\n"));
    over();
}

Test(csv, reads_a_table_without_a_header) {
    dialect_set("header none\ncolumn A\ncolumn B\nmessage T key B\n");
    read_text("1,x\n2,x\n3,y\n");
    cr_expect(calls_has(&trace, "> message format=CSV syntax=csv name=T ref=x @0\nROW @0:1:1+3 1=1 2=x\n"));
    cr_expect(trace.messages == 2 && trace.segments == 3);
    over();
    dialect_set("header none\n");
    read_text("1,x\n2\n");
    cr_expect(calls_has(&trace, "! csv.ragged error message @4+1:2:1:0 \"1\" expected \"2\""));
    over();
}

Test(csv, refuses_or_pads_ragged_rows) {
    dialect_file("rfc4180");
    read_text("a,b\n1\n1,2,3\n4,5\n");
    cr_expect(calls_count(&trace, "! csv.ragged error") == 2 && trace.segments == 1 && trace.refused == 2);
    over();
    dialect_set("ragged pad\n");
    read_text("a,b\n1\n1,2,3\n4,5\n");
    cr_expect(calls_count(&trace, "! csv.ragged warning") == 2 && trace.segments == 3 && trace.refused == 0);
    over();
}

Test(csv, judges_numbers_and_dates) {
    dialect_set(
        "delimiter ;\nthousands .\ndecimal ,\ncolumn N number\ncolumn D date d.m.yy\ncolumn G gtin\n");
    read_text("N;D;G\n1.234.567,80-;1.2.69;40123455\n12.34;31.13.20;4012345\n;;\n1e5;1.1.2020;4.0E+12\n");
    cr_expect(calls_has(&trace, "1=-1234567,80 2=20690201 3=40123455\n"));
    cr_expect(calls_has(&trace, "! csv.not-number error message @36+5:3:1:1 \"12.34\""));
    cr_expect(calls_has(&trace, "! csv.not-date error message @42+8:3:1:2 \"31.13.20\" expected \"d.m.yy\""));
    cr_expect(calls_has(&trace, "! csv.not-gtin error message @51+7:3:1:3 \"4012345\""));
    cr_expect(calls_has(&trace, "! csv.gtin-ruined error message"));
    cr_expect(calls_has(&trace, "! csv.not-date error message @66+8:5:1:2"));
    cr_expect(trace.messages == 4 && trace.refused == 2);
    over();
}

/* ---- messages ---- */

Test(csv, groups_rows_by_a_key_and_hands_out_their_head) {
    dialect_file("shopify");
    read_file("own__shopify_orders_layout_synthetic.csv");
    cr_expect(calls_has(&trace, "> message format=CSV syntax=shopify name=ORDER ref=#1001"));
    cr_expect(calls_has(&trace, "ORDER @"));
    cr_expect(calls_has(&trace, "9=Ring twice\nleave at door"));
    cr_expect(calls_has(&trace, "5=1 6=Tea towel 7=19.90 8=TOW-1"));
    cr_expect(calls_has(&trace, "< message 3 segments"));
    over();
}

Test(csv, takes_rows_without_a_key_to_the_message_before) {
    dialect_file("odoo");
    read_file("own__odoo_sale_order_export_layout_synthetic.csv");
    cr_expect(calls_has(&trace, "ref=__export__.sale_order_7"));
    cr_expect(calls_has(&trace, " 1='' 2='' 3='' 4='' 5='' 6=E-COM07 7=1.5 8=kg 9=0.0 10=''\n"));
    over();
}

Test(csv, refuses_a_key_that_comes_back_unless_the_dialect_says_unsorted) {
    const char text[] = "k,v\n,0\na,1\nb,2\na,3\n";
    dialect_set("message M key k\n");
    read_text(text);
    cr_expect(calls_has(&trace, "! csv.key-empty error message @4"));
    cr_expect(calls_has(&trace, "! csv.key-again error message @15+3:5:1:0 \"a\""));
    cr_expect(trace.messages == 4 && trace.refused == 2);
    over();
    dialect_set("message M key k\nunsorted\n");
    read_text(text);
    cr_expect(trace.messages == 4 && trace.refused == 1);
    over();
}

Test(csv, joins_several_keys_and_reads_a_file_as_one_message) {
    dialect_set("message M key a b\n");
    read_text("a,b,c\n1,x,p\n1,x,q\n1,y,r\n");
    cr_expect(calls_has(&trace, "ref=1/x") && calls_has(&trace, "ref=1/y") && trace.messages == 2);
    over();
    dialect_set("message M file\n");
    read_text("a,b,c\n1,x,p\n1,x,q\n1,y,r\n");
    cr_expect(trace.messages == 1 && trace.segments == 3);
    over();
}

Test(csv, reads_two_files_with_one_reader) {
    dialect_set("message M key a\n");
    calls_init(&trace);
    struct csv *csv = csv_new(&dialect, NULL, &trace.sink);
    for (unsigned i = 0; i < 2; i++) {
        csv_feed(csv, (const uint8_t *)"a\n1\n", 4);
        csv_end(csv);
    }
    csv_free(csv);
    cr_expect(trace.messages == 2 && trace.findings == 0 && calls_count(&trace, "ROW @2:2:1+1 1=1\n") == 2);
    over();
}

Test(csv, bounds_the_cells_of_a_row) {
    static char text[20000];
    size_t n = 0;
    for (unsigned i = 0; i < 2; i++) {
        memset(text + n, ',', 5000);
        n += 5000;
        text[n++] = '\n';
    }
    dialect_set("header none\n");
    read_bytes(NULL, text, n);
    cr_expect(calls_count(&trace, "! document.too-large error message") == 2 && trace.segments == 0);
    over();
}

/* ---- mutations ---- */

/* Each mark that is lost or doubled is noticed. */
Test(csv, notices_every_delimiter_quote_and_line_break_that_is_lost_or_doubled) {
    static const char good[] = "a,b,c\n1,\"x,y\",2\n3,\"q\",4\n5,6,7\n";
    for (size_t at = 6; at < sizeof good - 2; at++) {
        if (strchr(",\"\n", good[at]) == NULL || (at >= 8 && at <= 11 && good[at] == ','))
            continue; /* a comma inside of quotes is text */
        for (unsigned doubled = 0; doubled < 2; doubled++) {
            char bad[sizeof good + 1];
            size_t length = sizeof good - 1;
            memcpy(bad, good, sizeof good);
            if (doubled && good[at] != '\n')
                memmove(bad + at + 1, good + at, length++ - at);
            else if (!doubled)
                memmove(bad + at, good + at + 1, length-- - at);
            else
                continue; /* an empty line is nothing */
            dialect_file("rfc4180");
            read_bytes(NULL, bad, length);
            cr_expect(trace.findings > 0, "%s byte %zu: %s", doubled ? "twice" : "without", at,
                      calls_text(&trace));
            over();
        }
    }
}

/* ---- dialects ---- */

Test(dialect, says_what_is_wrong_and_in_which_line) {
    static const struct {
        const char *text, *says;
        unsigned line;
    } wrong[] = {
        {"nonsense\n", "no line begins with nonsense", 1},
        {"delimiter\n", "one character", 1},
        {"delimiter ab\n", "one character", 1},
        {"delimiter none\n", "one character", 1},
        {"quote \";\"\ndelimiter ;\n", "two marks are the same", 0},
        {"decimal ;\n", ". or ,", 1},
        {"decimal ,\nthousands ,\n", "two marks are the same", 0},
        {"escape sometimes\n", "doubled or backslash", 1},
        {"end never\n", "lf, crlf or cr", 1},
        {"header x\n", "which row it is", 1},
        {"charset cp037\n", "utf-16le", 1},
        {"ragged maybe\n", "pad or refuse", 1},
        {"null\n", "not assigned", 1},
        {"trim now\n", "no word behind", 1},
        {"dialect\n", "one name", 1},
        {"message M\n", "row, file, or key", 1},
        {"message M key a b c d e\n", "row, file, or key", 1},
        {"row\n", "one name", 1},
        {"column\n", "a column's name", 1},
        {"column A\ncolumn A\n", "a column A already", 2},
        {"column A nonsense\n", "expected text, number", 1},
        {"column A date dd.mm\n", "a date's pattern", 1},
        {"column A\nmessage M key B\n", "the key B is no column", 0},
        {"header none\nmessage M key B\n", "the key B is no column", 0},
        {"rule \"\"\n", "rules are made of", 1},
    };
    struct layout_error error;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_expect(dialect_read(&dialect, wrong[i].text, strlen(wrong[i].text), &error) < 0, "%s",
                  wrong[i].text);
        cr_expect(strstr(error.text, wrong[i].says) && error.line == wrong[i].line, "%s: %u: %s",
                  wrong[i].text, error.line, error.text);
        dialect_free(&dialect);
    }
    LEAKS_NONE();
}
