#include "codecs/document/finding.h"

#include "codecs/document/report.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <string.h>

Test(finding, every_code_has_a_name_of_its_own_and_a_sentence) {
    for (enum finding_code code = 0; code < FINDING_CODES; code++) {
        const struct finding_kind *kind = finding_kind(code);
        cr_assert(kind->name && kind->edifact && kind->x12 && kind->text && kind->hint, "code %d", (int)code);
        cr_assert_eq(finding_named(kind->name), code, "%s stands there twice", kind->name);
        cr_assert(strlen(kind->text) > 10, "%s", kind->name);
        for (const char *p = kind->name; *p; p++)
            cr_assert(islower((unsigned char)*p) || isdigit((unsigned char)*p) || *p == '.' || *p == '-',
                      "%s", kind->name);
        for (const char *p = kind->edifact; *p; p++)
            cr_assert(isdigit((unsigned char)*p), "%s", kind->name);
        cr_assert(*kind->x12 == '\0' || strchr(kind->x12, ':'), "%s", kind->name);
    }
    cr_assert_eq(finding_named("edifact.no-such-rule"), FINDING_CODES);
    cr_assert_eq(finding_named(""), FINDING_CODES);
}

Test(finding, a_profile_tolerates_what_it_names_and_nothing_else) {
    struct profile profile = {0};
    for (enum finding_code code = 0; code < FINDING_CODES; code++)
        cr_assert_eq(finding_severity(&profile, code),
                     finding_kind(code)->rule == FINDING_IS_NOTE ? FINDING_NOTE : FINDING_ERROR);
    cr_assert(profile_tolerate(&profile, FINDING_EDIFACT_COUNT_DIFFERS));
    cr_assert_eq(finding_severity(&profile, FINDING_EDIFACT_COUNT_DIFFERS), FINDING_WARNING);
    cr_assert_eq(finding_severity(&profile, FINDING_EDIFACT_REFERENCE_DIFFERS), FINDING_ERROR);
    cr_assert_not(profile_tolerate(&profile, FINDING_TRADACOMS));
    cr_assert_eq(finding_severity(&profile, FINDING_TRADACOMS), FINDING_ERROR);
    cr_assert_not(profile_tolerate(&profile, FINDING_BOM));
    cr_assert_eq(finding_severity(&profile, FINDING_BOM), FINDING_NOTE);
    cr_assert(profile_refuse(&profile, FINDING_BOM));
    cr_assert_eq(finding_severity(&profile, FINDING_BOM), FINDING_ERROR);
    cr_assert_not(profile_refuse(&profile, FINDING_EDIFACT_COUNT_DIFFERS));
    cr_assert_eq(finding_severity(&profile, FINDING_EDIFACT_COUNT_DIFFERS), FINDING_WARNING);
}

Test(finding, a_profile_that_tolerates_all_leaves_what_nobody_can_go_on_from) {
    struct profile profile = {0};
    profile_tolerate_all(&profile);
    for (enum finding_code code = 0; code < FINDING_CODES; code++)
        cr_assert_eq(finding_severity(&profile, code) == FINDING_ERROR,
                     finding_kind(code)->rule == FINDING_IS_ERROR, "%s", finding_kind(code)->name);
}

Test(finding, a_limit_of_0_is_the_default) {
    struct profile full = profile_limits(NULL);
    cr_assert(full.pivot == 70 && full.findings_max == 100 && full.segment_max == 65536);
    cr_assert(full.segments_max == 1000000 && full.messages_max == 1000000);
    struct profile own = {
        .pivot = 30, .findings_max = 1, .segment_max = 2, .segments_max = 3, .messages_max = 4};
    full = profile_limits(&own);
    cr_assert(full.pivot == 30 && full.findings_max == 1 && full.segment_max == 2);
    cr_assert(full.segments_max == 3 && full.messages_max == 4);
}

Test(value, text_loses_its_release_characters_only) {
    char text[16];
    struct value value = {.bytes = (const uint8_t *)"a?+b??c?", .length = 8, .released = true};
    cr_assert_eq(value_text(value, '?', text, sizeof text), 6);
    cr_assert_arr_eq(text, "a+b?c?", 6); /* nothing follows the last one: it is what it is */
    cr_assert_eq(value_text(value, '?', text, 2), 6);
    value.released = false;
    cr_assert_eq(value_text(value, '?', text, sizeof text), 8);
    cr_assert_arr_eq(text, "a?+b??c?", 8);
    cr_assert_eq(value_text((struct value){0}, '?', text, sizeof text), 0);
    cr_assert(value_is(value, "a?+b??c?") && !value_is(value, "a?+b") && value_is((struct value){0}, ""));
}

static void count(void *context, const struct finding *finding) {
    (void)finding;
    ++*(unsigned *)context;
}

Test(report, tells_so_many_of_a_scope_and_counts_all) {
    unsigned told = 0;
    struct document_sink sink = {.context = &told, .finding = count};
    struct profile profile = {.findings_max = 3};
    struct report report;
    report_init(&report, &sink, &profile);
    report_begin(&report, DOCUMENT_INTERCHANGE);
    report_begin(&report, DOCUMENT_MESSAGE);
    struct finding finding = {.code = FINDING_GARBAGE, .scope = DOCUMENT_MESSAGE};
    for (int i = 0; i < 10; i++)
        cr_assert_eq(report_finding(&report, &finding), FINDING_ERROR);
    cr_assert(told == 3 && report.errors[DOCUMENT_MESSAGE] == 10 && report.errors[DOCUMENT_INTERCHANGE] == 0);
    finding.scope = DOCUMENT_INTERCHANGE;
    finding.code = FINDING_BOM;
    cr_assert_eq(report_finding(&report, &finding), FINDING_NOTE);
    cr_assert(told == 4 && report.errors[DOCUMENT_INTERCHANGE] == 0);
    report_begin(&report, DOCUMENT_MESSAGE);
    cr_assert_eq(report.errors[DOCUMENT_MESSAGE], 0);
}
