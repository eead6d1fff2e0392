#include "codecs/erp/map.h"

#include "codecs/erp/map_table.h"
#include "tests/unit/codecs/erp/canonical.h"
#include "tests/unit/codecs/golden.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fields of a format whose fields have names: A to Z. */
static uint32_t letter(void *context, const char *segment, const char *field) {
    (void)context;
    if (strcmp(segment, "Quantity") == 0 && strcmp(field, "@unitCode") == 0)
        return 2;
    if (strcmp(field, "@schemeID") == 0)
        return 2;
    return field[0] >= 'A' && field[0] <= 'Z' && !field[1] ? (uint32_t)(field[0] - 'A' + 1) : 0;
}

static const struct map_fields fields[] = {{"TREE", letter, NULL}, {"UBL", letter, NULL}};

/* What is wrong with the map; "" if nothing. */
static const char *wrong(const char *text, struct map_error *error) {
    struct map_library *library = map_library_new(fields, 2);
    char format[16], name[16];
    cr_assert_not_null(library);
    error->text[0] = 0;
    if (map_library_add(library, "own.map", text, strlen(text), error)) {
        cr_assert(sscanf(strstr(text, "map "), "map %15s %15s", format, name) == 2);
        bool good = map_find(library, format, name, "", error) != NULL;
        cr_expect(good == (error->text[0] == 0));
    }
    map_library_free(library);
    return error->text;
}

#define TOP "map TREE M\nevent Order\n"

static void expect_good(const char *rows) {
    char text[2048];
    struct map_error error;
    snprintf(text, sizeof text, TOP "%s\n", rows);
    cr_expect(wrong(text, &error)[0] == 0, "%s: %s", rows, error.text);
}

static void expect_wrong(const char *rows, const char *why) {
    char text[2048];
    struct map_error error;
    snprintf(text, sizeof text, TOP "%s\n", rows);
    cr_expect(strcmp(wrong(text, &error), why) == 0, "%s\n  is    %s\n  not   %s", rows, error.text, why);
}

Test(map, of_the_executable_compile_and_every_target_is_a_field) {
    struct map_error error = {{0}};
    struct canonical canonical;
    canonical_new(&canonical);
    struct map_library *library = canonical.library;
    cr_assert(map_library_compile(library, &error), "%s", error.text);
    const struct map *map = map_find(library, "EDIFACT", "ORDERS", "", &error);
    cr_assert_not_null(map);
    cr_expect_str_eq(map_event(map), "Order");
    cr_expect(map_find(library, "EDIFACT", "ORDERS", "any", &error) == map);
    cr_expect_null(map_find(library, "EDIFACT", "PAXLST", "", &error));
    cr_expect_str_eq(error.text, "");
    canonical_free(&canonical);
    LEAKS_NONE();
}

/* The page as a string. */
static char *manual(void) {
    size_t n;
    char *page = (char *)golden_file("docs/MAPPING.md", &n);
    char *text = malloc(n + 1);
    memcpy(text, page, n);
    text[n] = 0;
    free(page);
    return text;
}

/* Every ```map block of docs/MAPPING.md is a map that compiles, but for what it includes. */
Test(map, examples_of_the_manual_compile) {
    char *text = manual();
    unsigned count = 0;
    for (char *p = text; (p = strstr(p, "```map\n")); count++) {
        char *begin = p + 7, *end = strstr(begin, "```");
        struct map_error error;
        cr_assert_not_null(end);
        *end = 0;
        cr_expect(wrong(begin, &error)[0] == 0, "%s in\n%s", error.text, begin);
        p = end + 3;
    }
    cr_expect(count >= 4, "%u examples", count);
    free(text);
}

Test(map, rows_name_values_in_all_their_forms) {
    static const char *const good[] = {
        "S 1 header.id",
        "S 1.2 header.id",
        "S 1.2..4 header.notes role=2",
        "S 7..25/2 lines.item.ids scheme=-1",
        "S 2..6 lines.item.ids scheme=.2 agency=\"9 of\"",
        "S A+\"-\"+B header.id",
        "S {C} header.id",
        "S 1~N2 totals.payable currency=2",
        "S 1~zeros header.id",
        "S[1=A|B,2!=C,3,!4] 1 header.id",
        "S[$x=1] 1 header.id",
        "S 1 $x",
        "S $x header.id",
        "S 1 /header.id",
        "S 1 %lines",
        "S 1 %hash",
        "S 1 header.issued format=\"DD.MM.CCYY\" time=2 zone=3",
        "S 1 header.issued.time",
        "S 1 header.references date=2 date.format=\"102\"",
        "S 1 delivery format=\"718\"",
        "S 1 delivery.start",
        "S 1 lines.price basis=2 basis.unit=3 type=\"NET\"",
        "A/B/C 1 header.id",
        "section S lines\n  T 1 id\n  T 2 /header.id",
        "section A/B[1=x] buyer\n  T 1 name",
        "*begin name header.type_code\n*end \"x\" header.function",
        "block b\n  S 1 id\nsection X lines use b\nsection Y lines\n  use b",
        "list l\n  A B = C\n  \"A B\" = \"\"\n  D = -\n  * = *\nS 1:l header.id",
        "section S lines\n  within item\n    S 1 ids\n    section T properties\n      T 1 name\n  S 1 id",
        "within header\n  within origin\n    S 1 version\n  S 1 id\n  S 1 /incoterms\n  S 1 $x",
        "# nothing but a comment",
        "S 1 header.id # and one behind",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        expect_good(good[i]);
}

Test(map, says_what_is_wrong_and_where) {
    expect_wrong("S 1 header.idd", "own.map:3: no field `idd` in Header");
    expect_wrong("S 1 header.id.x", "own.map:3: `id` of Header is no message");
    expect_wrong("S 1 header", "own.map:3: name a field of Header: no one of them stands for it");
    expect_wrong("S 1", "own.map:3: a row is SEGMENT SOURCE TARGET");
    expect_wrong("S 0 header.id", "own.map:3: elements and components count from 1");
    expect_wrong("S 1.0 header.id", "own.map:3: elements and components count from 1");
    expect_wrong("S 5..2 header.id", "own.map:3: a range ends before it begins");
    expect_wrong("S zz header.id", "own.map:3: no field `zz` in S");
    expect_wrong("S 1:none header.id", "own.map:3: there is no list `none`");
    expect_wrong("S 1x header.id", "own.map:3: `1x` is more than a source");
    expect_wrong("S 1~x header.id", "own.map:3: `~x` is neither ~N0 to ~N9 nor ~zeros");
    expect_wrong("S \"a header.id", "own.map:3: a quote or bracket is not closed");
    expect_wrong("S[1=A 1 header.id", "own.map:3: a quote or bracket is not closed");
    expect_wrong("S[!1=A] 1 header.id", "own.map:3: `!` before a comparison: write !=");
    expect_wrong("S[1!] 1 header.id", "own.map:3: `!` without `=`");
    expect_wrong("S[\"a\"] 1 header.id", "own.map:3: a condition is about a value or a variable");
    expect_wrong("S 1 header.id x=1", "own.map:3: no field `x` in Header");
    expect_wrong("S 1 header.notes role", "own.map:3: `role` is not FIELD=SOURCE");
    expect_wrong("S 1 $x role=1", "own.map:3: a variable has no further fields");
    expect_wrong("S 1 %sum", "own.map:3: `%sum` is neither %lines nor %hash");
    expect_wrong("S 1 header.notes role=.2 language=-1\nT .2 header.id",
                 "own.map:4: `.N` and `-N` are for a range of elements that is written to a list");
    expect_wrong("list l\n  A = B\nS 1 header.issued format=2:l",
                 "own.map:5: what stands beside a moment is not translated");
    expect_wrong("S 1 header.notes role=1 format=2",
                 "own.map:3: `format` is for a moment that the row writes before");
    expect_wrong("section S header.id", "own.map:3: a section's target is a message: `id` is a value");
    expect_wrong("section", "own.map:3: a section has a segment");
    expect_wrong("section S use none", "own.map:3: there is no block `none`");
    expect_wrong("section S lines x", "own.map:3: behind a section's target comes `use` or nothing");
    expect_wrong("section S\n  T 1 header.id\nsection S lines\n",
                 "own.map:5: line 3 opens a section for every S already");
    expect_wrong("section S buyer\n  T 1 name\nS/T 1 header.id",
                 "own.map:5: `S` is a section of line 3: what is below it stands there");
    expect_wrong("S 1 header.id\n  T 1 header.id",
                 "own.map:3: nothing but section, within, list and block has lines below it");
    expect_wrong("block b\n  use b\nuse b", "own.map:4: blocks use each other without end");
    expect_wrong("within x\n  S 1 id", "own.map:4: no field `x` in Order");
    expect_wrong("within\n  S 1 id", "own.map:3: `within` names one path to a message");
    expect_wrong("include none", "own.map:3: there is no file of that name to include");
    expect_wrong("list l\n  A = B\n  A = C\n", "own.map:5: `A` stands there twice");
    expect_wrong("list l\n  A B\n", "own.map:4: a line of a list is CODE... = VALUE");
    expect_wrong("list l\n  * A = B\n", "own.map:4: `*` is every other code, and stands alone");
    expect_wrong("\tS 1 header.id", "own.map:3: indent by blanks, not by a TAB");
    expect_wrong("map X Y", "own.map:3: one line `map FORMAT NAME...` begins a map");
    LEAKS_NONE();
}

Test(map, says_that_its_event_is_missing_or_unknown) {
    struct map_error error;
    cr_expect_str_eq(wrong("map X Y\nS 1 header.id\n", &error), "own.map:1: the map has no `event`");
    cr_expect_str_eq(wrong("map X Y\nevent Purchase\n", &error),
                     "own.map:2: `event` names no document of erp.proto");
    cr_expect_str_eq(wrong("map X\n", &error), "own.map:1: one line `map FORMAT NAME...` begins a map");
}

Test(map, of_a_user_goes_before_and_a_variant_before_none) {
    static const char own[] = "map EDIFACT ORDERS\nevent Invoice\nBGM 2 header.id\n";
    static const char variant[] = "map EDIFACT ORDERS[special]\nevent Catalogue\nBGM 2 header.id\n";
    struct map_error error;
    struct map_library *library = map_library_new(NULL, 0);
    cr_assert(map_library_add(library, "variant", variant, strlen(variant), &error));
    cr_assert(map_library_add(library, "own", own, strlen(own), &error));
    cr_expect_str_eq(map_event(map_find(library, "EDIFACT", "ORDERS", "", &error)), "Invoice");
    cr_expect_str_eq(map_event(map_find(library, "EDIFACT", "ORDERS", "special", &error)), "Catalogue");
    cr_expect_str_eq(map_event(map_find(library, "EDIFACT", "ORDCHG", "", &error)), "Order");
    map_library_free(library);
    LEAKS_NONE();
}

Test(map, that_is_cut_off_anywhere_is_refused_or_compiles) {
    size_t n;
    char *text = (char *)golden_file("codecs/erp/maps/edifact/common.map", &n);
    struct map_error error;
    for (size_t i = 0; i < n; i += 7) {
        char *part = malloc(i + 64);
        int head = sprintf(part, "map EDIFACT CUT\nevent Order\n");
        memcpy(part + head, text, i);
        struct map_library *library = map_library_new(NULL, 0);
        bool good = map_library_add(library, "cut", part, (size_t)head + i, &error);
        if (good)
            cr_expect(map_find(library, "EDIFACT", "CUT", "", &error) || error.text[0]);
        map_library_free(library);
        free(part);
    }
    free(text);
    LEAKS_NONE();
}

Test(map, manual_lists_every_finding_with_its_rule) {
    static const char *const rules[] = {"| a note |", "| tolerable |", "| an error |"};
    char *page = manual();
    unsigned listed = 0, known = 0;
    for (char *p = page; (p = strstr(p, "\n| `map.")); p++)
        listed++;
    for (enum finding_code code = 0; code < FINDING_CODES; code++) {
        const struct finding_kind *kind = finding_kind(code);
        char row[64];
        if (strncmp(kind->name, "map.", 4) != 0)
            continue;
        known++;
        snprintf(row, sizeof row, "\n| `%s` |", kind->name);
        char *at = strstr(page, row);
        cr_expect_not_null(at, "%s is not in docs/MAPPING.md", kind->name);
        char *end = at ? strchr(at + 1, '\n') : NULL;
        size_t n = strlen(rules[kind->rule]);
        cr_expect(end && strncmp(end - n, rules[kind->rule], n) == 0, "%s is not told as %s", kind->name,
                  rules[kind->rule]);
    }
    cr_expect(listed == known && known > 10, "%u are listed, %u are known", listed, known);
    free(page);
}
