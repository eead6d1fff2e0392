#include "codecs/layout/layout.h"

#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct layouts layouts;
static struct layout_error error;

static int add(const char *text) {
    return layouts_add(&layouts, text, strlen(text), &error);
}

static uint32_t element(const char *type, const char *field) {
    return layouts_element(&layouts, type, strlen(type), field, strlen(field));
}

Test(layout, reads_records_fields_and_tables) {
    cr_assert(add("layout orders\n"
                  "file length 80\n"
                  "charset cp037\n"
                  "decimal ,\n"
                  "message ORDER from HEAD\n"
                  "record HEAD header length 80 when 1 1 \"H\"   # the first one\n"
                  "    field NUMBER   2 10\n"
                  "    field COUNT    + 2 9\n"
                  "    filler 3\n"
                  "    field TOTAL    + 7 S9V2 comp-3\n"
                  "    table LINE    30 5 occurs 4 depends COUNT\n"
                  "        column ITEM  1 3\n"
                  "        column QTY   + 2 9 comp\n"
                  "    field DATE    + 8 D dd.mm.yy\n"
                  "    field NOTE    + 5 if 1 1 \"H\"\n"
                  "record LINE under HEAD when 1 1 \"L\" when 2 1 \"\\xC1\"\n"
                  "record END trailer\n"
                  "    field HOW_MANY 2 3 9\n"
                  "    count HOW_MANY LINE\n") == 0,
              "%u: %s", error.line, error.text);
    cr_assert(layouts.count == 3 && layouts.framing == LAYOUT_LENGTH && layouts.length == 80);
    cr_expect(layouts.decimal == ',' && layouts.message == LAYOUT_FROM && layouts.from == 0);
    const struct layout_record *head = &layouts.records[0];
    cr_expect(head->has_children && head->role == LAYOUT_HEADER && head->field_count == 8);
    cr_expect(head->tests[0].bytes[0] == 0xC8, "the literal is in the charset of the file");
    cr_expect(layouts.records[1].tests[1].bytes[0] == 0xC1 && layouts.records[1].parent == 0);
    const struct layout_field *fields = head->fields;
    cr_expect(fields[1].first == 11 && fields[2].first == 16 && fields[2].type == LAYOUT_PACKED &&
              fields[2].scale == 2);
    cr_expect(fields[3].columns == 2 && fields[3].stride == 5 && fields[3].occurs == 4 &&
              fields[3].depends == 2);
    cr_expect(fields[5].first == 3 && fields[5].type == LAYOUT_BINARY &&
              fields[5].element == fields[3].element);
    cr_expect(fields[6].first == 49 && fields[6].type == LAYOUT_DATE, "behind the table");
    cr_expect(fields[7].only.length == 1);
    cr_expect(element("HEAD", "NOTE") == 6 && element("HEAD", "ITEM") == 4 && element("HEAD", "NONE") == 0);
    cr_expect(layouts.records[2].sum_count == 1 && layouts.records[2].sums[0].of == 1);
    layouts_free(&layouts);
    LEAKS_NONE();
}

Test(layout, numbers_a_field_alike_in_every_version_of_a_segment) {
    cr_assert(add("record E2A000 E1A\n    field X 1 1\n    field Z 2 1\n    also E2A\n"
                  "record E2A001 E1A\n    field X 1 1\n    field Y 2 1\n    field Z 3 1\n") == 0,
              "%u: %s", error.line, error.text);
    cr_expect(element("E1A", "X") == 1 && element("E1A", "Z") == 2 && element("E1A", "Y") == 3);
    cr_expect(layouts_number(&layouts, "E1A", "Y") == 3);
    const struct layout_record *newer = &layouts.records[layouts_record(&layouts, "E2A001", 6)];
    cr_expect(newer->fields[1].element == 2 && newer->fields[1].first == 2 && newer->fields[2].element == 3);
    cr_expect(layouts_record(&layouts, "E2A", 3) != LAYOUT_ALL &&
              layouts_record(&layouts, "E2", 2) == LAYOUT_ALL);
    cr_assert(add("record E2A000 E1A\n    field W 1 4\n") == 0);
    cr_expect(layouts.count == 3 && layouts.records[0].field_count == 1,
              "a later file's record takes the place");
    layouts_free(&layouts);
    LEAKS_NONE();
}

Test(layout, says_what_is_wrong_and_in_which_line) {
    static const struct {
        const char *text, *says;
        unsigned line;
    } wrong[] = {
        {"", "there is no record in it", 0},
        {"recrd A\n", "no line begins with recrd", 1},
        {"\nrecord\n", "expected a record's name", 2},
        {"record A nonsense else\n", "else has no place", 1},
        {"record A under B\n", "there is no record B", 1},
        {"record A when 0 1 \"x\"\n", "expected the first byte from 1", 1},
        {"record A when 1 2 \"x\"\n", "has not the length", 1},
        {"record A\nfield X 0 1\n", "counted from 1", 2},
        {"record A\nfield X 1 0\n", "a length in bytes", 2},
        {"record A\nfield X 1 70000\n", "a length in bytes", 2},
        {"record A\nfield X 65000 1000\n", "ends behind", 2},
        {"record A\nfield X 1 1 Q\n", "a type is", 2},
        {"record A\nfield X 1 1 9V19\n", "a type is", 2},
        {"record A\nfield X 1 3 9 comp\n", "1, 2, 4 or 8 bytes", 2},
        {"record A\nfield X 1 39 9\n", "at most 38 digits", 2},
        {"record A\nfield X 1 8 D ddmmccyy\n", "made of d, m, y", 2},
        {"record A\nfield X 1 1\nfield X 2 1\n", "has a field X", 3},
        {"record A\ncolumn X 1 1\n", "behind its table", 2},
        {"record A\ntable T 1 4\n", "how often", 2},
        {"record A\ntable T 1 4 occurs 2\ncolumn C 4 2\n", "ends behind its table", 3},
        {"record A\ntable T 1 4 occurs 0\n", "how often at most", 2},
        {"record A\nfield X 1 1 9 occurs 2 depends Y\n", "no number before", 2},
        {"record A\ncount N\n", "no such field", 2},
        {"record A\nalso A\n", "is this record itself", 2},
        {"field X 1 1\n", "in a record", 1},
        {"file length 0\n", "expected lines", 1},
        {"charset utf-16le\n", "a charset of one byte", 1},
        {"decimal x\n", "the decimal mark", 1},
        {"message M sometimes\n", "then each, file", 1},
        {"record A\nmessage M from B\n", "there is no record B", 0},
        {"record \"A\n", "a quote is not closed", 1},
        {"record \"A\\q\"\n", "behind a backslash", 1},
        {"record \"A\"x\n", "stands a blank", 1},
        {"record \"A\\x42\"\n", "has no \\x in it", 1},
        {"record \xFF\n", "no text in UTF-8", 0},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_expect(add(wrong[i].text) < 0, "%s", wrong[i].text);
        cr_expect(strstr(error.text, wrong[i].says) && error.line == wrong[i].line, "%s: %u: %s",
                  wrong[i].text, error.line, error.text);
        layouts_free(&layouts);
    }
    cr_expect(layouts_add(&layouts, "a\0b", 3, &error) < 0 && strstr(error.text, "no text in UTF-8"));
    layouts_free(&layouts);
    LEAKS_NONE();
}

Test(layout, bounds_words_records_and_fields) {
    static char text[400000];
    size_t n = 0;
    for (unsigned i = 0; i < 70; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "word ");
    cr_expect(add(text) < 0 && strstr(error.text, "more than 64 words"));
    layouts_free(&layouts);
    n = (size_t)snprintf(text, sizeof text, "record A\n");
    for (unsigned i = 0; i <= LAYOUT_FIELDS_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "field F%u %u 1\n", i, i + 1);
    cr_expect(add(text) < 0 && strstr(error.text, "more than 512 fields"));
    layouts_free(&layouts);
    n = 0;
    for (unsigned i = 0; i <= LAYOUT_RECORDS_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "record R%u\n", i);
    cr_expect(add(text) < 0 && strstr(error.text, "more than 4096 records"));
    layouts_free(&layouts);
    LEAKS_NONE();
}

Test(codepage, knows_its_charsets) {
    cr_expect(codepage_named("CP037") == CODEPAGE_037 && codepage_named("Windows-1252") == CODEPAGE_1252);
    cr_expect(codepage_named("koi8-r") == CODEPAGES);
    cr_expect(codepage_character(CODEPAGE_037, 0xC1) == 'A' &&
              codepage_character(CODEPAGE_037, 0x9F) == 0xA4);
    cr_expect(codepage_character(CODEPAGE_1140, 0x9F) == 0x20AC &&
              codepage_character(CODEPAGE_1140, 0xF0) == '0');
    cr_expect(codepage_character(CODEPAGE_273, 0xC0) == 0xE4, "a brace of cp037 is an umlaut of cp273");
    cr_expect(codepage_character(CODEPAGE_500, 0x4A) == '[' &&
              codepage_character(CODEPAGE_1252, 0x80) == 0x20AC);
    cr_expect(codepage_byte(CODEPAGE_037, '{') == 0xC0 && codepage_byte(CODEPAGE_LATIN1, '{') == '{');
    uint8_t out[16];
    size_t bad = 99;
    cr_expect(codepage_text(CODEPAGE_1252, (const uint8_t *)"a\x80\xFC", 3, out, &bad) == 6 && bad == 99);
    cr_expect(memcmp(out, "a\xE2\x82\xAC\xC3\xBC", 6) == 0);
    cr_expect(codepage_text(CODEPAGE_1252, (const uint8_t *)"a\x81\x81", 3, out, &bad) == 7 && bad == 1);
}
