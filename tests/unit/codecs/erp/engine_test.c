#include "tests/unit/codecs/erp/by_hand.h"

#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define TOP "map HAND M\nevent Order\n"

/* One map, one message, and its JSON. */
static void expect(const char *map, const char *segments, const char *json) {
    struct hand hand;
    hand_new(&hand, map);
    hand_expect(&hand, "HAND M", segments, json);
    hand_free(&hand);
}

static void expect_finding(const char *map, const char *segments, enum finding_code code, const char *json) {
    struct hand hand;
    hand_new(&hand, map);
    hand_expect(&hand, "HAND M", segments, json);
    cr_expect(hand_found(&hand, code) == 1, "%s: %u findings %s", segments, hand_found(&hand, code),
              finding_kind(code)->name);
    hand_free(&hand);
}

#define ID "A 1 header.id\n"

Test(engine, joins_picks_and_translates_texts) {
    expect(TOP ID, "A+x'", "{\"header\":{\"id\":\"x\"}}");
    expect(TOP ID, "A+ x  '", "{\"header\":{\"id\":\"x\"}}");
    expect(TOP ID, "A+it?'s ?? it'", "{\"header\":{\"id\":\"it's ? it\"}}");
    expect(TOP "A 1.1..3 header.id\n", "A+a::c:d'", "{\"header\":{\"id\":\"a c\"}}");
    expect(TOP "A 1..3 header.id\n", "A+a++c:d+e'", "{\"header\":{\"id\":\"a c\"}}");
    expect(TOP "A 1+\"-\"+2 header.id\n", "A+a+b'", "{\"header\":{\"id\":\"a-b\"}}");
    expect(TOP "A 1~zeros header.id\n", "A+00120'", "{\"header\":{\"id\":\"120\"}}");
    expect(TOP "list l\n  a b = c\n  d = -\n  e = \"\"\n  * = *\nA 1:l header.id\n", "A+b'A+d'A+e'",
           "{\"header\":{\"id\":\"c\"}}");
    expect(TOP "list l\n  * = *\nA 1:l header.id\n", "A+z'", "{\"header\":{\"id\":\"z\"}}");
}

Test(engine, leaves_out_what_is_empty_and_keeps_what_came_last) {
    expect(TOP ID, "A+x'A'A+'A+:y'", "{\"header\":{\"id\":\"x\"}}");
    expect(TOP ID, "A+x'A+y'", "{\"header\":{\"id\":\"y\"}}");
    expect(TOP ID "B 1 header.notes role=\"r\" language=2\n", "A+x'B++de'B+n'",
           "{\"header\":{\"id\":\"x\",\"notes\":[{\"value\":\"n\",\"role\":\"r\"}]}}");
}

Test(engine, follows_conditions) {
    expect(TOP "A[1.1=a|b] 2 header.id\n", "A+c+1'A+b+2'A+d+3'", "{\"header\":{\"id\":\"2\"}}");
    expect(TOP "A[1!=a|b] 2 header.id\n", "A+c+1'A+b+2'", "{\"header\":{\"id\":\"1\"}}");
    expect(TOP "A[1] 2 header.id\nA[!1] 2 header.currency\n", "A+c+1'A++EUR'",
           "{\"header\":{\"id\":\"1\",\"currency\":\"EUR\"}}");
    expect(TOP "A[1=longer than eight bytes] 2 header.id\n",
           "A+longer than eight byte+1'A+longer than eight bytes+2'", "{\"header\":{\"id\":\"2\"}}");
    expect(TOP "A 1 $v\nB[$v=a] 1 header.id\nB[!$v] 1 header.currency\n", "B+EUR'A+a'B+x'A'B+USD'",
           "{\"header\":{\"id\":\"x\",\"currency\":\"USD\"}}");
}

Test(engine, makes_one_entry_of_each_value_of_a_range) {
    expect(TOP ID "A 2..4 lines.item.ids scheme=.2\n", "A+x+a:S+b+c:T'",
           "{\"header\":{\"id\":\"x\"},\"lines\":[{\"item\":{\"ids\":[{\"value\":\"a\",\"scheme\":\"S\"},"
           "{\"value\":\"b\"},{\"value\":\"c\",\"scheme\":\"T\"}]}}]}");
    expect(TOP ID "A 3..9/2 lines.item.ids scheme=-1\n", "A+x+S+a+T+b+U++V+c+W+d'",
           "{\"header\":{\"id\":\"x\"},\"lines\":[{\"item\":{\"ids\":[{\"value\":\"a\",\"scheme\":\"S\"},"
           "{\"value\":\"b\",\"scheme\":\"T\"},{\"value\":\"c\",\"scheme\":\"V\"}]}}]}");
    expect(TOP ID "A 2.1..3 buyer.address.lines\n", "A+x+a::c'",
           "{\"header\":{\"id\":\"x\"},\"buyer\":{\"address\":{\"lines\":[\"a\",\"c\"]}}}");
    expect(TOP ID "A 2 header.notes\n", "A+x+a*b*c'",
           "{\"header\":{\"id\":\"x\",\"notes\":[{\"value\":\"a\"},{\"value\":\"b\"},{\"value\":\"c\"}]}}");
    expect(
        TOP ID "list l\n  S = -\n  * = *\nA 2..4 lines.item.ids scheme=.2:l\n", "A+x+a:S+b:T'",
        "{\"header\":{\"id\":\"x\"},\"lines\":[{\"item\":{\"ids\":[{\"value\":\"b\",\"scheme\":\"T\"}]}}]}");
}

Test(engine, writes_numbers_amounts_and_quantities) {
    expect(
        TOP ID "A 2 totals.payable currency=3\n", "A+x+1234.50+EUR'",
        "{\"header\":{\"id\":\"x\"},\"totals\":{\"payable\":{\"value\":\"1234.50\",\"currency\":\"EUR\"}}}");
    expect(TOP ID "A 2~N2 totals.payable\n", "A+x+255438'",
           "{\"header\":{\"id\":\"x\"},\"totals\":{\"payable\":{\"value\":\"2554.38\"}}}");
    expect(TOP ID "A 2~N2 totals.payable\n", "A+x+-5'",
           "{\"header\":{\"id\":\"x\"},\"totals\":{\"payable\":{\"value\":\"-0.05\"}}}");
    expect(TOP ID "A 2 lines.quantity unit=3\n", "A+x+12+PCE'",
           "{\"header\":{\"id\":\"x\"},\"lines\":[{\"quantity\":{\"value\":\"12\",\"unit\":\"H87\","
           "\"sourceUnit\":\"PCE\"}}]}");
    expect(TOP ID "A 2 totals.payable\n", "A+x+1234567890123456789.5'",
           "{\"header\":{\"id\":\"x\"},\"totals\":{\"payable\":{\"value\":\"1234567890123456789.5\"}}}");
    expect(TOP ID "A 2 totals.line_count\n", "A+x+007'",
           "{\"header\":{\"id\":\"x\"},\"totals\":{\"lineCount\":7}}");
    expect("map HAND M\nevent Invoice\n" ID "A 2 credit\n", "A+x+Y'",
           "{\"header\":{\"id\":\"x\"},\"credit\":true}");
}

Test(engine, gives_amounts_the_documents_currency_early_or_late) {
    static const char map[] = TOP ID "B 1 header.currency\nC 1 totals.payable\nC 2 totals.tax currency=3\n";
    static const char json[] = "{\"header\":{\"id\":\"x\",\"currency\":\"EUR\"},\"totals\":{\"tax\":{"
                               "\"value\":\"2\",\"currency\":\"USD\"},"
                               "\"payable\":{\"value\":\"1\",\"currency\":\"EUR\"}}}";
    expect(map, "A+x'B+EUR'C+1+2+USD'", json);
    expect(map, "A+x'C+1+2+USD'B+EUR'", json);
}

Test(engine, writes_moments_and_periods) {
    expect(TOP ID "A 2.1 header.issued format=2.2\n", "A+x+202609021405:203'",
           "{\"header\":{\"id\":\"x\",\"issued\":\"2026-09-02T14:05:00\"}}");
    expect(TOP ID "A 2 header.issued time=3 zone=4\n", "A+x+20260902+1405++02'",
           "{\"header\":{\"id\":\"x\",\"issued\":\"2026-09-02T14:05:00\"}}");
    expect(TOP ID "A 2 header.issued time=3 zone=4\n", "A+x+20260902+1405+UT'",
           "{\"header\":{\"id\":\"x\",\"issued\":\"2026-09-02T14:05:00Z\"}}");
    expect(TOP ID "A 2 header.issued\nB 1 header.issued.time\n", "A+x+2026-09-02'B+14?:05?:00Z'",
           "{\"header\":{\"id\":\"x\",\"issued\":\"2026-09-02T14:05:00Z\"}}");
    expect(TOP ID "A 2 delivery\n", "A+x+20260902'",
           "{\"header\":{\"id\":\"x\"},\"delivery\":{\"start\":\"2026-09-02\",\"end\":\"2026-09-02\"}}");
    expect(TOP ID "A 2 delivery format=\"718\"\nB 1 delivery.end\n", "A+x+2026090120260930'B+20261001'",
           "{\"header\":{\"id\":\"x\"},\"delivery\":{\"start\":\"2026-09-01\",\"end\":\"2026-10-01\"}}");
    expect(TOP ID "A 2 header.references date=3 date.format=\"DD.MM.CCYY\"\n", "A+x+r+02.09.2026'",
           "{\"header\":{\"id\":\"x\",\"references\":[{\"id\":\"r\",\"date\":\"2026-09-02\"}]}}");
    expect(TOP ID "A 2 header.issued\n", "A+x+00000000'", "{\"header\":{\"id\":\"x\"}}");
}

/* ---- Sections ----------------------------------------------------------------------------------------- */

#define GROUPS                                                                                               \
    TOP ID                                                                                                   \
        "B 1 header.currency\nC 1 header.type_code\n"                                                        \
        "section N[1=BY] buyer\n  N 2 name\n  R 1 tax_ids\n  section K contacts\n    K 1 name\n"             \
        "section N[1=SU] seller\n  N 2 name\n  R 1 tax_ids\n"                                                \
        "D 1 incoterms\n"                                                                                    \
        "section L lines\n  L 1 id\n  C 1 action\n  section P schedules\n    Q 1 quantity\n  Q 1 quantity\n" \
        "section U[1=S]\n  M 1 totals.payable\n  C 1 payment_terms\n"

Test(engine, gives_a_segment_to_the_innermost_section_that_wants_it) {
    expect(GROUPS, "A+x'N+BY+b'R+t'K+k'N+SU+s'R+u'D+d'",
           "{\"header\":{\"id\":\"x\"},\"buyer\":{\"name\":\"b\",\"taxIds\":[{\"value\":\"t\"}],\"contacts\":"
           "[{\"name\":\"k\"}]},"
           "\"seller\":{\"name\":\"s\",\"taxIds\":[{\"value\":\"u\"}]},\"incoterms\":\"d\"}");
    expect(GROUPS, "A+x'N+SU+s'N+BY+b'",
           "{\"header\":{\"id\":\"x\"},\"buyer\":{\"name\":\"b\"},\"seller\":{\"name\":\"s\"}}");
    expect(GROUPS, "A+x'L+1'Q+5'P'Q+6'P'Q+7'L+2'C+c'",
           "{\"header\":{\"id\":\"x\"},\"lines\":[{\"id\":\"1\",\"quantity\":{\"value\":\"5\"},"
           "\"schedules\":[{\"quantity\":{\"value\":\"6\"}},{\"quantity\":{\"value\":\"7\"}}]},{\"id\":\"2\","
           "\"action\":\"c\"}]}");
}

Test(engine, never_goes_back_to_what_stands_above_an_open_section) {
    /* B of the header is not taken from behind a line, nor M before U, nor a C of the header from behind N.
     */
    expect(GROUPS, "A+x'L+1'B+EUR'M+5'", "{\"header\":{\"id\":\"x\"},\"lines\":[{\"id\":\"1\"}]}");
    expect(GROUPS, "A+x'N+BY+b'C+c'", "{\"header\":{\"id\":\"x\"},\"buyer\":{\"name\":\"b\"}}");
    expect(GROUPS, "A+x'L+1'N+BY+b'", "{\"header\":{\"id\":\"x\"},\"lines\":[{\"id\":\"1\"}]}");
    expect(GROUPS, "A+x'L+1'U+S'M+5'C+c'L+2'",
           "{\"header\":{\"id\":\"x\"},\"lines\":[{\"id\":\"1\"}],\"totals\":{\"payable\":{\"value\":\"5\"}},"
           "\"paymentTerms\":\"c\"}");
}

Test(engine, takes_nothing_from_a_part_that_no_section_fits) {
    expect(GROUPS, "A+x'N+BY+b'N+CN+c'R+t'K+k'", "{\"header\":{\"id\":\"x\"},\"buyer\":{\"name\":\"b\"}}");
    expect(GROUPS, "A+x'N+CN+c'R+t'L+1'U+D'Q+5'",
           "{\"header\":{\"id\":\"x\"},\"lines\":[{\"id\":\"1\",\"quantity\":{\"value\":\"5\"}}]}");
    expect(GROUPS, "A+x'N+CN+c'D+d'", "{\"header\":{\"id\":\"x\"},\"incoterms\":\"d\"}");
}

Test(engine, hands_values_on_in_variables_that_their_section_empties) {
    static const char map[] = TOP ID "section H[1=O]\n  H \"\" $u\n  O 1 $o\n"
                                     "section H[1=P]\n  U 1 $u\n"
                                     "section H[1=I] lines\n  H $u id\n  H $o references type=\"ORDER\"\n";
    expect(map, "A+x'H+O'O+1'H+P'U+u1'H+I'H+I'H+P'H+I'H+O'O+2'H+I'",
           "{\"header\":{\"id\":\"x\"},\"lines\":["
           "{\"id\":\"u1\",\"references\":[{\"type\":\"ORDER\",\"id\":\"1\"}]},"
           "{\"id\":\"u1\",\"references\":[{\"type\":\"ORDER\",\"id\":\"1\"}]},"
           "{\"references\":[{\"type\":\"ORDER\",\"id\":\"1\"}]},{\"references\":[{\"type\":\"ORDER\",\"id\":"
           "\"2\"}]}]}");
}

Test(engine, follows_trees_strictly) {
    static const char map[] = TOP "I 1 header.id\n"
                                  "section B/P buyer\n  N/M 1 name\n  I 1 ids\n"
                                  "section L/X lines\n  I 1 id\n  T/M 1 item.name\n";
    expect(map, "I+x'<B'<P'<N'M+b'>'I+i'>'I+no'>'<L'<X'I+1'<Z'I+no'<P'I+no'>'>'<T'M+t'>'>'>'<L'<X'I+2'>'>'",
           "{\"header\":{\"id\":\"x\"},\"buyer\":{\"ids\":[{\"value\":\"i\"}],\"name\":\"b\"},"
           "\"lines\":[{\"id\":\"1\",\"item\":{\"name\":\"t\"}},{\"id\":\"2\"}]}");
}

Test(engine, opens_a_section_of_a_tree_by_the_elements_own_segment) {
    static const char map[] = TOP "K 1 header.id\nK 2 header.currency\n"
                                  "section A[1=AG] buyer\n  A 2 name\n  C 1 tax_ids\n"
                                  "section A[1=LF] seller\n  A 2 name\n  C 1 tax_ids\n"
                                  "section P lines\n  P 1 id\n  S 1 item.ids\n";
    expect(map, "<K'K+x+EUR'>'A+AG+b'<A'A+LF+s'C+t'>'<A'A+WE+w'C+u'>'C+v'<P'P+1'S+i'>'P+2'",
           "{\"header\":{\"id\":\"x\",\"currency\":\"EUR\"},\"buyer\":{\"name\":\"b\"},"
           "\"seller\":{\"name\":\"s\",\"taxIds\":[{\"value\":\"t\"}]},"
           "\"lines\":[{\"id\":\"1\",\"item\":{\"ids\":[{\"value\":\"i\"}]}},{\"id\":\"2\"}]}");
}

Test(engine, survives_trees_that_are_deeper_than_anybody_writes) {
    struct hand hand;
    hand_new(&hand, TOP "I 1 header.id\nsection B buyer\n  N 1 name\n");
    hand_begin(&hand, "HAND M");
    for (int i = 0; i < 1000; i++)
        hand_feed(&hand, "<B'N+deep'");
    for (int i = 0; i < 1003; i++)
        hand_feed(&hand, ">'");
    hand_feed(&hand, "I+x'<B'N+b'>'");
    hand_end(&hand);
    cr_expect_not_null(strstr((char *)hand.json.data, "\"name\":\"b\""), "%s", (char *)hand.json.data);
    hand_free(&hand);
}

Test(engine, knows_the_envelope_at_the_beginning_and_the_end) {
    expect(
        TOP
        "*begin name header.type_code\n*begin \"ORIGINAL\" header.function\n*end \"EUR\" header.currency\n" ID
        "A 2 header.function\n",
        "A+x'",
        "{\"header\":{\"id\":\"x\",\"function\":\"ORIGINAL\",\"typeCode\":\"M\",\"currency\":\"EUR\"}}");
}

/* ---- Findings ----------------------------------------------------------------------------------------- */

Test(engine, tells_values_that_are_not_what_they_should_be) {
    expect_finding(TOP ID "A 2 totals.payable\n", "A+x+12a'", FINDING_MAP_NUMBER,
                   "{\"header\":{\"id\":\"x\"},\"totals\":{\"payable\":{}}}");
    expect_finding(TOP ID "A 2 totals.payable\n", "A+x+12,5'", FINDING_MAP_NUMBER_MARK,
                   "{\"header\":{\"id\":\"x\"},\"totals\":{\"payable\":{\"value\":\"12.5\"}}}");
    expect_finding(TOP ID "A 2 header.issued format=\"102\"\n", "A+x+20261302'", FINDING_MAP_DATE,
                   "{\"header\":{\"id\":\"x\"}}");
    expect_finding(TOP ID "A 2 header.issued format=\"102\"\n", "A+x+202610060000'", FINDING_MAP_DATE_FORMAT,
                   "{\"header\":{\"id\":\"x\",\"issued\":\"2026-10-06T00:00:00\"}}");
    expect_finding(TOP ID "A 2 header.currency\n", "A+x+UK'", FINDING_MAP_CURRENCY,
                   "{\"header\":{\"id\":\"x\",\"currency\":\"UK\"}}");
    expect_finding(
        TOP ID "A 2 lines.quantity unit=3\n", "A+x+1+BUC'", FINDING_MAP_UNKNOWN_UNIT,
        "{\"header\":{\"id\":\"x\"},\"lines\":[{\"quantity\":{\"value\":\"1\",\"sourceUnit\":\"BUC\"}}]}");
    expect_finding(TOP ID "list l\n  a = b\nA 2:l header.function\n", "A+x+q'", FINDING_MAP_UNKNOWN_CODE,
                   "{\"header\":{\"id\":\"x\"}}");
    expect_finding(
        TOP ID "A 2 buyer.ids scheme=\"GLN\"\n", "A+x+4012345000008'", FINDING_MAP_CHECK_DIGIT,
        "{\"header\":{\"id\":\"x\"},\"buyer\":{\"ids\":[{\"value\":\"4012345000008\",\"scheme\":\"GLN\"}]}}");
    expect_finding(TOP ID, "A+x\xff\xfey'", FINDING_MAP_TEXT, "{\"header\":{\"id\":\"xy\"}}");
    expect_finding(TOP "B 1 header.currency\n", "B+EUR'", FINDING_MAP_MISSING,
                   "{\"header\":{\"currency\":\"EUR\"}}");
}

Test(engine, says_where_it_found_something) {
    struct hand hand;
    hand_new(&hand, TOP ID "B 2.3 totals.payable\n");
    hand_read(&hand, "HAND M", "A+x'B++a:b:c'");
    cr_assert(hand.finding_count == 1);
    cr_expect(hand.findings[0].place.segment == 2 && hand.findings[0].place.element == 2 &&
              hand.findings[0].place.component == 3);
    cr_expect(hand.findings[0].severity == FINDING_WARNING && hand.errors == 0);
    hand.profile = (struct profile){0};
    hand_read(&hand, "HAND M", "A+x'B++a:b:c'");
    cr_expect(hand.findings[1].severity == FINDING_ERROR && hand.errors == 1);
    hand_free(&hand);
}

#define LINES                                                                                                \
    TOP ID "section L lines\n  L 1 id\n  L 2 quantity\n  L 3 net\nC 1 %lines\nH 1 %hash\nT 1 totals.lines\n"

Test(engine, counts_and_adds_lines) {
    struct hand hand;
    hand_new(&hand, LINES);
    hand_read(&hand, "HAND M", "A+x'L+1+5'L+2+6.5'C+2'H+11.50'");
    cr_expect(hand.finding_count == 0);
    hand_free(&hand);
    expect_finding(LINES, "A+x'L+1'C+000002'", FINDING_MAP_LINE_COUNT,
                   "{\"header\":{\"id\":\"x\"},\"lines\":[{\"id\":\"1\"}],\"totals\":{\"lineCount\":2}}");
    expect_finding(LINES, "A+x'L+1+5'H+6'", FINDING_MAP_HASH_TOTAL,
                   "{\"header\":{\"id\":\"x\"},\"lines\":[{\"id\":\"1\",\"quantity\":{\"value\":\"5\"}}]}");
    expect_finding(LINES, "A+x'L+7'L+8'L+7'", FINDING_MAP_LINE_TWICE,
                   "{\"header\":{\"id\":\"x\"},\"lines\":[{\"id\":\"7\"},{\"id\":\"8\"},{\"id\":\"7\"}]}");
}

static unsigned sums_found(const char *segments) {
    static const char map[] =
        "map HAND M\nevent Invoice\n" ID "B 1 header.currency\nsection L lines\n  L 1 net\n"
        "T[1=l] 2 totals.lines\nT[1=a] 2 totals.allowances\nT[1=c] 2 totals.charges\n"
        "T[1=e] 2 totals.tax_exclusive\nT[1=t] 2 totals.tax\nT[1=i] 2 totals.tax_inclusive\n"
        "T[1=p] 2 totals.prepaid\nT[1=r] 2 totals.rounding\nT[1=y] 2 totals.payable\n";
    struct hand hand;
    hand_new(&hand, map);
    hand_read(&hand, "HAND M", segments);
    unsigned found = hand_found(&hand, FINDING_MAP_SUM);
    hand_free(&hand);
    return found;
}

Test(engine, checks_sums_within_rounding) {
    cr_expect(sums_found("A+x'B+EUR'L+10.00'L+20.00'T+l+30'T+a+5'T+c+2'T+e+27'T+t+5.13'T+i+32.13'T+p+10'T+r+-"
                         "0.13'T+y+22'") == 0);
    cr_expect(sums_found("A+x'B+EUR'L+10.00'L+20.00'T+l+31'") == 1);
    cr_expect(sums_found("A+x'B+EUR'L+10.00'L+20.00'T+l+30.02'") == 0); /* each line was rounded */
    cr_expect(sums_found("A+x'B+JPY'L+10'L+20'T+l+31'") == 0);
    cr_expect(sums_found("A+x'B+EUR'T+l+30'T+e+27'") == 1);
    cr_expect(sums_found("A+x'B+EUR'T+e+27'T+t+5'T+i+33'") == 1);
    cr_expect(sums_found("A+x'B+EUR'T+i+33'T+y+32'") == 1);
    cr_expect(sums_found("A+x'B+EUR'T+i+33'") == 0);
}

Test(engine, keeps_messages_apart_and_its_memory_bounded) {
    struct hand hand;
    hand_new(&hand, LINES);
    for (int i = 0; i < 200; i++) {
        hand_begin(&hand, "HAND M");
        hand_feed(&hand, "A+x'");
        for (int k = 0; k < 500; k++)
            hand_feed(&hand, "L+some quite long number of a line+5+6'");
        hand_end(&hand);
        hand.json.length = 0;
    }
    hand_expect(&hand, "HAND M", "A+y'", "{\"header\":{\"id\":\"y\"}}");
    cr_expect(hand.messages == 201);
    hand_free(&hand);
    LEAKS_NONE();
}

Test(engine, takes_a_segment_outside_of_a_message_for_one) {
    struct hand hand;
    hand_new(&hand, "map HAND T\nevent Acknowledgement\n*begin interchange_ref header.id\nT 1 status\n");
    struct document_head head = {.format = {.bytes = (const uint8_t *)"HAND", .length = 4},
                                 .interchange_ref = {.bytes = (const uint8_t *)"17", .length = 2}};
    hand.sink.begin(hand.sink.context, DOCUMENT_INTERCHANGE, &head);
    hand_feed(&hand, "T+a'T+b'");
    cr_expect(hand.messages == 2 && hand.finding_count == 0);
    bytes_add(&hand.json, "", 1);
    cr_expect_str_eq((char *)hand.json.data, "{\"status\":\"a\",\"header\":{\"id\":\"17\"}}\n"
                                             "{\"status\":\"b\",\"header\":{\"id\":\"17\"}}\n");
    hand_free(&hand);
    LEAKS_NONE();
}

Test(engine, finds_a_map_whatever_the_variant_is_called) {
    struct hand hand;
    char variant[400];
    memset(variant, 'v', sizeof variant);
    hand_new(&hand, TOP ID);
    for (uint32_t n = 0; n < sizeof variant; n += 13) {
        hand.head.variant = (struct value){.bytes = (const uint8_t *)variant, .length = n};
        hand_expect(&hand, "HAND M", "A+x'", "{\"header\":{\"id\":\"x\"}}");
    }
    hand_free(&hand);
}

Test(engine, says_that_there_is_no_map) {
    struct hand hand;
    hand_new(&hand, NULL);
    hand_read(&hand, "EDIFACT PAXLST", "BGM+745'");
    cr_expect(hand_found(&hand, FINDING_MAP_NONE) == 1 && hand.errors == 1 && !hand.event[0]);
    hand_read(&hand, "EDIFACT ORDERS", "BGM+220+x'");
    cr_expect_str_eq(hand.event, "Order");
    hand_free(&hand);
}
