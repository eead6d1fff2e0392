#include "codecs/edi/x12_reader.h"

#include <stdio.h>
#include <string.h>

static struct value text(const char *bytes) {
    return (struct value){.bytes = (const uint8_t *)bytes, .length = (uint32_t)strlen(bytes)};
}

static struct value keep(struct edi *edi, enum document_scope scope, uint32_t element) {
    return keep_value(&edi->scopes[scope].keep, value_trimmed(edi_value(edi, element, 1)),
                      edi->tokens.segment.release);
}

static void check_needs(struct edi *edi, enum document_scope scope, uint32_t elements) {
    for (uint32_t i = 1; i <= elements; i++)
        if (edi_value(edi, i, 1).length == 0)
            edi_find_at(edi, FINDING_X12_MISSING, scope, i, 1, (struct value){0});
}

/* Date and time, in elements that follow each other. */
static void keep_moment(struct edi *edi, enum document_scope scope, uint32_t element) {
    struct document_head *head = &edi->scopes[scope].head;
    head->date = keep_date(&edi->scopes[scope].keep, edi_value(edi, element, 1), edi->report.profile.pivot);
    head->time = (struct value){0};
    if (time_valid(edi_value(edi, element + 1, 1)))
        head->time = keep(edi, scope, element + 1);
}

static void check_moment(struct edi *edi, enum document_scope scope, uint32_t element) {
    const struct document_head *head = &edi->scopes[scope].head;
    if (head->date.length == 0 && edi_value(edi, element, 1).length > 0)
        edi_find_at(edi, FINDING_X12_DATE, scope, element, 1, (struct value){0});
    if (head->time.length == 0 && edi_value(edi, element + 1, 1).length > 0)
        edi_find_at(edi, FINDING_X12_TIME, scope, element + 1, 1, (struct value){0});
}

/* ---- headers ---- */

/* The scope begins with what the scopes around it say. */
static struct document_head *head_begin(struct edi *edi, enum document_scope scope) {
    const struct edi_scope *interchange = &edi->scopes[DOCUMENT_INTERCHANGE];
    const struct edi_scope *group = &edi->scopes[DOCUMENT_GROUP];
    struct edi_scope *begun = &edi->scopes[scope];
    begun->keep.used = 0;
    begun->head = (struct document_head){0};
    if (scope != DOCUMENT_INTERCHANGE && interchange->open)
        begun->head = interchange->head;
    if (scope == DOCUMENT_MESSAGE && group->open) {
        begun->head.group_ref = group->head.group_ref;
        begun->head.version = group->head.version;
        begun->head.association = group->head.association;
    }
    begun->head.format = text("X12");
    return &begun->head;
}

/* Widths, by the place where each element stands. */
static void check_widths(struct edi *edi, const struct isa *isa, uint64_t offset) {
    for (uint32_t i = 1; i < ISA_ELEMENTS; i++) {
        if (!(isa->wrong_widths >> i & 1))
            continue;
        struct finding finding = {.code = FINDING_X12_ISA_WIDTH,
                                  .place = edi_place(edi),
                                  .scope = DOCUMENT_INTERCHANGE,
                                  .segment = text("ISA"),
                                  .found = edi_value(edi, i, 1)};
        finding.place.offset = offset + (uint64_t)(isa->values[i].bytes - isa->values[0].bytes);
        finding.place.length = isa->values[i].length;
        finding.place.element = i;
        finding.place.component = 1;
        (void)report_finding(&edi->report, &finding);
    }
}

static void charset_begin(struct edi *edi) {
    const char *own = edi->report.profile.charset ? edi->report.profile.charset : "US-ASCII";
    (void)charset_named(&edi->charset, (const uint8_t *)own, strlen(own));
}

static void isa_judge(struct x12_reader *reader, const struct isa *isa, uint64_t offset) {
    struct edi *edi = &reader->edi;
    edi_complain(edi, DOCUMENT_INTERCHANGE);
    check_widths(edi, isa, offset);
    if (isa->component_missing)
        edi_find_at(edi, FINDING_X12_ISA16_MISSING, DOCUMENT_INTERCHANGE, 16, 1, (struct value){0});
    if (isa->separators_wrong)
        edi_find_at(edi, FINDING_X12_SEPARATORS, DOCUMENT_INTERCHANGE, 16, 1, (struct value){0});
    if (!isa->version_known)
        edi_find_at(edi, FINDING_X12_VERSION, DOCUMENT_INTERCHANGE, 12, 1, (struct value){0});
    check_moment(edi, DOCUMENT_INTERCHANGE, 9);
}

void x12_interchange(struct x12_reader *reader, const struct isa *isa) {
    struct edi *edi = &reader->edi;
    uint64_t offset = tokens_at(&edi->tokens);
    x12_close(reader, edi_here(edi));
    edi->in_file++;
    charset_begin(edi);
    tokens_separate(&edi->tokens, &isa->separators, false);
    tokens_made(&edi->tokens, isa->values, ISA_ELEMENTS + 1, isa->length);
    edi_mend(edi);
    struct document_head *head = head_begin(edi, DOCUMENT_INTERCHANGE);
    head->syntax = keep(edi, DOCUMENT_INTERCHANGE, 12);
    head->sender.qualifier = keep(edi, DOCUMENT_INTERCHANGE, 5);
    head->sender.id = keep(edi, DOCUMENT_INTERCHANGE, 6);
    head->receiver.qualifier = keep(edi, DOCUMENT_INTERCHANGE, 7);
    head->receiver.id = keep(edi, DOCUMENT_INTERCHANGE, 8);
    keep_moment(edi, DOCUMENT_INTERCHANGE, 9);
    head->interchange_ref = keep(edi, DOCUMENT_INTERCHANGE, 13);
    head->acknowledge = value_is(edi_value(edi, 14, 1), "1");
    head->test = value_is(edi_value(edi, 15, 1), "T");
    reader->acknowledged = 0;
    edi_begin(edi, DOCUMENT_INTERCHANGE);
    isa_judge(reader, isa, offset);
}

/* GS08: six digits, and behind them what the industry has made of it. */
static void keep_release(struct edi *edi, struct document_head *head) {
    struct value release = value_trimmed(edi_value(edi, 8, 1));
    struct value suffix = release;
    while (suffix.length > 0 && release.length - suffix.length < 6 && suffix.bytes[0] >= '0' &&
           suffix.bytes[0] <= '9') {
        suffix.bytes++;
        suffix.length--;
    }
    release.length -= suffix.length;
    head->version = keep_value(&edi->scopes[DOCUMENT_GROUP].keep, release, 0);
    head->association = keep_value(&edi->scopes[DOCUMENT_GROUP].keep, suffix, 0);
}

static void gs(struct edi *edi) {
    struct edi_scope *interchange = &edi->scopes[DOCUMENT_INTERCHANGE];
    edi_break_off(edi, DOCUMENT_MESSAGE, FINDING_X12_SE_MISSING, edi_before(edi));
    edi_break_off(edi, DOCUMENT_GROUP, FINDING_X12_GE_MISSING, edi_before(edi));
    edi->in_file++;
    struct document_head *head = head_begin(edi, DOCUMENT_GROUP);
    head->name = keep(edi, DOCUMENT_GROUP, 1);
    head->sender = (struct document_party){.id = keep(edi, DOCUMENT_GROUP, 2)};
    head->receiver = (struct document_party){.id = keep(edi, DOCUMENT_GROUP, 3)};
    keep_moment(edi, DOCUMENT_GROUP, 4);
    head->group_ref = keep(edi, DOCUMENT_GROUP, 6);
    keep_release(edi, head);
    edi_begin(edi, DOCUMENT_GROUP);
    refs_clear(&edi->refs);
    edi_complain(edi, DOCUMENT_GROUP);
    check_needs(edi, DOCUMENT_GROUP, 8);
    check_moment(edi, DOCUMENT_GROUP, 4);
    if (!interchange->open)
        edi_find(edi, FINDING_X12_NO_INTERCHANGE, DOCUMENT_GROUP);
    interchange->groups++;
}

/* Which sets belong into which groups; others are as they are. */
static bool group_fits(struct value group, struct value set) {
    static const struct {
        const char *group;
        const char *set;
    } pairs[] = {
        {"PO", "850"}, {"PR", "855"}, {"SH", "856"}, {"IN", "810"}, {"RA", "820"},
        {"SC", "832"}, {"IB", "846"}, {"OW", "940"}, {"SW", "945"}, {"FA", "997"},
        {"FA", "999"}, {"RC", "861"}, {"PC", "860"}, {"CA", "865"}, {"AG", "824"},
    };
    bool known = false;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        bool same_group = value_is(group, pairs[i].group), same_set = value_is(set, pairs[i].set);
        if (same_group && same_set)
            return true;
        known |= same_group;
    }
    return !known;
}

static void check_set(struct edi *edi) {
    const struct edi_scope *group = &edi->scopes[DOCUMENT_GROUP];
    const struct document_head *head = &edi->scopes[DOCUMENT_MESSAGE].head;
    edi_complain(edi, DOCUMENT_MESSAGE);
    check_needs(edi, DOCUMENT_MESSAGE, 2);
    if (!group->open)
        edi_find(edi,
                 edi->scopes[DOCUMENT_INTERCHANGE].open ? FINDING_X12_NO_GROUP : FINDING_X12_NO_INTERCHANGE,
                 DOCUMENT_MESSAGE);
    else if (head->name.length > 0 && !group_fits(group->head.name, head->name))
        edi_find_at(edi, FINDING_X12_GROUP_TYPE, DOCUMENT_MESSAGE, 1, 1, group->head.name);
    if (head->message_ref.length > 0 && refs_seen(&edi->refs, head->message_ref))
        edi_find_at(edi, FINDING_X12_REFERENCE_TWICE, DOCUMENT_MESSAGE, 2, 1, (struct value){0});
}

static void st(struct edi *edi) {
    edi_break_off(edi, DOCUMENT_MESSAGE, FINDING_X12_SE_MISSING, edi_before(edi));
    edi->in_file++;
    struct document_head *head = head_begin(edi, DOCUMENT_MESSAGE);
    head->name = keep(edi, DOCUMENT_MESSAGE, 1);
    head->message_ref = keep(edi, DOCUMENT_MESSAGE, 2);
    if (edi_value(edi, 3, 1).length > 0)
        head->association = keep(edi, DOCUMENT_MESSAGE, 3);
    edi_count_message(edi);
    edi_begin(edi, DOCUMENT_MESSAGE);
    check_set(edi);
}

/* ---- trailers ---- */

/* By scope. */
static const enum finding_code count_codes[EDI_SCOPES] = {
    FINDING_X12_INTERCHANGE_COUNT_DIFFERS, FINDING_X12_GROUP_COUNT_DIFFERS, FINDING_X12_SET_COUNT_DIFFERS};
static const enum finding_code reference_codes[EDI_SCOPES] = {FINDING_X12_INTERCHANGE_REFERENCE_DIFFERS,
                                                              FINDING_X12_GROUP_REFERENCE_DIFFERS,
                                                              FINDING_X12_SET_REFERENCE_DIFFERS};

/* Count and reference, both as the header and what came since have them. */
static void check_trailer(struct edi *edi, enum document_scope scope, uint64_t count,
                          struct value reference) {
    char number[24];
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)count);
    edi_complain(edi, scope);
    check_needs(edi, scope, 2);
    struct value counted = edi_value(edi, 1, 1);
    struct value repeated = edi_value(edi, 2, 1);
    if (counted.length > 0 && !count_is(counted, count))
        edi_find_at(edi, count_codes[scope], scope, 1, 1, text(number));
    if (repeated.length == 0)
        return;
    enum reference_match match = reference_match(reference, repeated, edi->tokens.segment.release);
    if (match != REFERENCE_SAME)
        edi_find_at(edi, match == REFERENCE_ZEROS ? FINDING_X12_REFERENCE_ZEROS : reference_codes[scope],
                    scope, 2, 1, reference);
}

static void se(struct edi *edi) {
    if (!edi_ends(edi, DOCUMENT_MESSAGE, FINDING_X12_TRAILER_ALONE))
        return;
    uint32_t segments = edi_segments(edi, DOCUMENT_MESSAGE);
    check_trailer(edi, DOCUMENT_MESSAGE, segments, edi->scopes[DOCUMENT_MESSAGE].head.message_ref);
    if (segments == 2)
        edi_find(edi, FINDING_X12_EMPTY, DOCUMENT_MESSAGE);
    edi_end(edi, DOCUMENT_MESSAGE, edi_segment_end(edi));
}

static void ge(struct edi *edi) {
    const struct edi_scope *group = &edi->scopes[DOCUMENT_GROUP];
    edi_break_off(edi, DOCUMENT_MESSAGE, FINDING_X12_SE_MISSING, edi_before(edi));
    if (!edi_ends(edi, DOCUMENT_GROUP, FINDING_X12_TRAILER_ALONE))
        return;
    check_trailer(edi, DOCUMENT_GROUP, group->messages, group->head.group_ref);
    if (group->messages == 0)
        edi_find(edi, FINDING_X12_EMPTY, DOCUMENT_GROUP);
    edi_end(edi, DOCUMENT_GROUP, edi_segment_end(edi));
}

static void iea(struct x12_reader *reader) {
    struct edi *edi = &reader->edi;
    const struct edi_scope *interchange = &edi->scopes[DOCUMENT_INTERCHANGE];
    edi_break_off(edi, DOCUMENT_MESSAGE, FINDING_X12_SE_MISSING, edi_before(edi));
    edi_break_off(edi, DOCUMENT_GROUP, FINDING_X12_GE_MISSING, edi_before(edi));
    if (edi_ends(edi, DOCUMENT_INTERCHANGE, FINDING_X12_TRAILER_ALONE)) {
        check_trailer(edi, DOCUMENT_INTERCHANGE, interchange->groups, interchange->head.interchange_ref);
        if (interchange->groups == 0 && interchange->messages == 0 && reader->acknowledged == 0)
            edi_find(edi, FINDING_X12_EMPTY, DOCUMENT_INTERCHANGE);
        edi_end(edi, DOCUMENT_INTERCHANGE, edi_segment_end(edi));
    }
    reader->state = X12_SEARCH;
}

void x12_close(struct x12_reader *reader, struct place where) {
    struct edi *edi = &reader->edi;
    edi_break_off(edi, DOCUMENT_MESSAGE, FINDING_X12_SE_MISSING, where);
    where.segment = 0;
    edi_break_off(edi, DOCUMENT_GROUP, FINDING_X12_GE_MISSING, where);
    edi_break_off(edi, DOCUMENT_INTERCHANGE, FINDING_X12_IEA_MISSING, where);
}

/* ---- all others ---- */

/* Two or three, and the first one is a letter. */
static bool tag_valid(struct value name) {
    bool valid = (name.length == 2 || name.length == 3) && name.bytes[0] >= 'A' && name.bytes[0] <= 'Z';
    for (uint32_t i = 1; i < name.length && valid; i++)
        valid =
            (name.bytes[i] >= 'A' && name.bytes[i] <= 'Z') || (name.bytes[i] >= '0' && name.bytes[i] <= '9');
    return valid;
}

/* ISX comes right after ISA since 007040, and names a release character. */
static bool isx(struct edi *edi) {
    struct value release = edi_value(edi, 1, 1);
    struct separators separators = edi->tokens.separators;
    struct value version = edi->scopes[DOCUMENT_INTERCHANGE].head.syntax;
    if (!value_is(edi->tokens.segment.name, "ISX") || edi_segments(edi, DOCUMENT_INTERCHANGE) != 2 ||
        version.length != 5 || memcmp(version.bytes, "00704", 5) < 0)
        return false;
    if (release.length == 1 && isa_separates(release.bytes[0]) && release.bytes[0] != separators.repetition) {
        separators.release = release.bytes[0];
        tokens_separate(&edi->tokens, &separators, false);
    }
    return true;
}

/* TA1 stands between ISA and the groups, and is all that may, but for ISX. */
static void outside(struct x12_reader *reader) {
    struct edi *edi = &reader->edi;
    enum document_scope scope = edi_scope_now(edi);
    edi_complain(edi, scope);
    if (value_is(edi->tokens.segment.name, "TA1") && scope == DOCUMENT_INTERCHANGE &&
        edi->scopes[DOCUMENT_INTERCHANGE].open) {
        reader->acknowledged++;
        edi->tokens.segment.place = edi_place(edi);
        edi->report.sink->segment(edi->report.sink->context, &edi->tokens.segment);
        return;
    }
    if ((edi->told & EDI_OUTSIDE) || (edi->scopes[DOCUMENT_INTERCHANGE].open && isx(edi)))
        return;
    edi->told |= EDI_OUTSIDE;
    edi_find(edi, FINDING_X12_OUTSIDE_SET, scope);
}

static void content(struct x12_reader *reader) {
    struct edi *edi = &reader->edi;
    const struct segment *segment = &edi->tokens.segment;
    if (UNLIKELY(segment->name.length == 0 && segment->element_count == 0)) {
        edi_find(edi, FINDING_EMPTY_SEGMENT, edi_scope_now(edi));
        return;
    }
    edi->in_file++;
    if (UNLIKELY(!edi->scopes[DOCUMENT_MESSAGE].open)) {
        outside(reader);
        return;
    }
    edi_complain(edi, DOCUMENT_MESSAGE);
    if (UNLIKELY(edi->tokens.binary_wrong))
        edi_find_at(edi, FINDING_X12_BINARY_LENGTH, DOCUMENT_MESSAGE, 1, 1, (struct value){0});
    if (UNLIKELY(!tag_valid(segment->name)))
        edi_find(edi, FINDING_BAD_TAG, DOCUMENT_MESSAGE);
    edi_hand_over(edi);
}

static bool is_two(const uint8_t *name, char a, char b) {
    return name[0] == (uint8_t)a && name[1] == (uint8_t)b;
}

void x12_segment(struct x12_reader *reader) {
    struct edi *edi = &reader->edi;
    struct segment *segment = &edi->tokens.segment;
    segment->decimal = '.';
    edi_mend(edi);
    const uint8_t *name = segment->name.bytes;
    if (segment->name.length == 2 && is_two(name, 'S', 'T'))
        st(edi);
    else if (segment->name.length == 2 && is_two(name, 'S', 'E'))
        se(edi);
    else if (segment->name.length == 2 && is_two(name, 'G', 'S'))
        gs(edi);
    else if (segment->name.length == 2 && is_two(name, 'G', 'E'))
        ge(edi);
    else if (value_is(segment->name, "IEA"))
        iea(reader);
    else
        content(reader);
}
