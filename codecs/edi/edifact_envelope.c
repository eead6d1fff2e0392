#include "codecs/edi/edifact_reader.h"

#include <stdio.h>
#include <string.h>

/* An element of a service segment that must be there. */
struct needed {
    uint8_t element;
    uint8_t component;
};

static const struct needed unb_needs[] = {{1, 1}, {1, 2}, {2, 1}, {3, 1}, {4, 1}, {4, 2}, {5, 1}, {0, 0}};
static const struct needed ung_needs[] = {{1, 1}, {2, 1}, {3, 1}, {4, 1}, {4, 2},
                                          {5, 1}, {6, 1}, {7, 1}, {7, 2}, {0, 0}};
static const struct needed ung_needs_4[] = {{5, 1}, {0, 0}}; /* syntax 4 */
static const struct needed unh_needs[] = {{1, 1}, {2, 1}, {2, 2}, {2, 3}, {2, 4}, {0, 0}};
static const struct needed trailer_needs[] = {{1, 1}, {2, 1}, {0, 0}};

/* ... and one that must not be longer than this. */
struct longest {
    uint8_t element;
    uint8_t component;
    uint8_t length;
};

static const struct longest unb_longest[] = {{2, 1, 35}, {3, 1, 35}, {5, 1, 14}, {0, 0, 0}};
static const struct longest ung_longest[] = {{2, 1, 35}, {3, 1, 35}, {5, 1, 14}, {0, 0, 0}};
static const struct longest unh_longest[] = {{1, 1, 14}, {2, 1, 6}, {0, 0, 0}};

static struct value text(const char *bytes) {
    return (struct value){.bytes = (const uint8_t *)bytes, .length = (uint32_t)strlen(bytes)};
}

static struct value keep(struct edi *edi, enum document_scope scope, uint32_t element, uint32_t component) {
    return keep_value(&edi->scopes[scope].keep, edi_value(edi, element, component),
                      edi->tokens.segment.release);
}

/* Components 1 to count of an element, joined; `first` is the one to begin with. */
static struct value keep_composite(struct edi *edi, enum document_scope scope, uint32_t element,
                                   uint32_t first, unsigned count) {
    struct value values[4];
    for (unsigned i = 0; i < count; i++)
        values[i] = edi_value(edi, element, first + i);
    return keep_joined(&edi->scopes[scope].keep, values, count, edi->tokens.segment.release);
}

static void check_needs(struct edi *edi, enum document_scope scope, const struct needed *needs) {
    for (; needs->element > 0; needs++)
        if (edi_value(edi, needs->element, needs->component).length == 0)
            edi_find_at(edi, FINDING_EDIFACT_MISSING, scope, needs->element, needs->component,
                        (struct value){0});
}

static void check_longest(struct edi *edi, enum document_scope scope, const struct longest *longest) {
    for (; longest->element > 0; longest++) {
        struct value value = edi_value(edi, longest->element, longest->component);
        if (value_text(value, edi->tokens.segment.release, NULL, 0) > longest->length)
            edi_find_at(edi, FINDING_EDIFACT_TOO_LONG, scope, longest->element, longest->component,
                        (struct value){0});
    }
}

/* What every segment can break, and what service segments need. */
static void check(struct edi *edi, enum document_scope scope, const struct needed *needs,
                  const struct longest *longest) {
    edi_complain(edi, scope);
    if (edi->tokens.trailing)
        edi_find_trailing(edi, FINDING_EDIFACT_TRAILING_SEPARATOR, scope);
    if (needs)
        check_needs(edi, scope, needs);
    if (longest)
        check_longest(edi, scope, longest);
}

/* Date and time of UNB and UNG: a composite. */
static void keep_moment(struct edi *edi, enum document_scope scope) {
    struct document_head *head = &edi->scopes[scope].head;
    head->date = keep_date(&edi->scopes[scope].keep, edi_value(edi, 4, 1), edi->report.profile.pivot);
    head->time = (struct value){0};
    if (time_valid(edi_value(edi, 4, 2)))
        head->time = keep(edi, scope, 4, 2);
}

static void check_moment(struct edi *edi, enum document_scope scope) {
    const struct document_head *head = &edi->scopes[scope].head;
    if (head->date.length == 0 && edi_value(edi, 4, 1).length > 0)
        edi_find_at(edi, FINDING_EDIFACT_DATE, scope, 4, 1, (struct value){0});
    if (head->time.length == 0 && edi_value(edi, 4, 2).length > 0)
        edi_find_at(edi, FINDING_EDIFACT_DATE, scope, 4, 2, (struct value){0});
}

static void keep_parties(struct edi *edi, enum document_scope scope) {
    struct document_head *head = &edi->scopes[scope].head;
    head->sender.id = keep(edi, scope, 2, 1);
    head->sender.qualifier = keep(edi, scope, 2, 2);
    head->receiver.id = keep(edi, scope, 3, 1);
    head->receiver.qualifier = keep(edi, scope, 3, 2);
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
    if (scope == DOCUMENT_MESSAGE && group->open)
        begun->head.group_ref = group->head.group_ref;
    begun->head.format = text("EDIFACT");
    return &begun->head;
}

/* The charset holds for UNB itself, too: it must be known before. */
static void charset_begin(struct edi *edi) {
    struct value identifier = edi_value(edi, 1, 1);
    const char *own = edi->report.profile.charset;
    edi->tokens.odd = true; /* it was found before its charset was known */
    edi->charset_known = own ? charset_named(&edi->charset, (const uint8_t *)own, strlen(own))
                             : charset_named(&edi->charset, identifier.bytes, identifier.length);
}

static void version_begin(struct edifact_reader *reader) {
    struct edi *edi = &reader->edi;
    struct value version = edi_value(edi, 1, 2);
    bool known = version.length == 1 && version.bytes[0] >= '1' && version.bytes[0] <= '4';
    reader->syntax_version = known ? (uint8_t)(version.bytes[0] - '0') : 3;
    if (!known && version.length > 0)
        edi_find_at(edi, FINDING_EDIFACT_SYNTAX_VERSION, DOCUMENT_INTERCHANGE, 1, 2, (struct value){0});
    struct separators *s = &reader->separators;
    uint8_t repetition = reader->syntax_version == 4 ? reader->una_repetition : 0;
    bool clashes = repetition == s->element || repetition == s->component || repetition == s->terminator ||
                   repetition == s->release;
    s->repetition = clashes ? 0 : repetition;
}

static void unb(struct edifact_reader *reader) {
    struct edi *edi = &reader->edi;
    edifact_close(reader, edi_before(edi));
    edi->in_file++;
    struct document_head *head = head_begin(edi, DOCUMENT_INTERCHANGE);
    head->syntax = keep_composite(edi, DOCUMENT_INTERCHANGE, 1, 1, 2);
    keep_parties(edi, DOCUMENT_INTERCHANGE);
    keep_moment(edi, DOCUMENT_INTERCHANGE);
    head->interchange_ref = keep(edi, DOCUMENT_INTERCHANGE, 5, 1);
    head->acknowledge = value_is(edi_value(edi, 9, 1), "1");
    head->test = value_is(edi_value(edi, 11, 1), "1");
    edi_begin(edi, DOCUMENT_INTERCHANGE);
    check(edi, DOCUMENT_INTERCHANGE, unb_needs, unb_longest);
    check_moment(edi, DOCUMENT_INTERCHANGE);
    if (!edi->charset_known && edi_value(edi, 1, 1).length > 0)
        edi_find_at(edi, FINDING_CHARSET_UNKNOWN, DOCUMENT_INTERCHANGE, 1, 1, (struct value){0});
    version_begin(reader);
    tokens_separate(&edi->tokens, &reader->separators, edi->charset.level_a && !(edi->told & EDI_LEVEL_A));
}

static void mixed(struct edi *edi) {
    if (edi->told & EDI_MIXED)
        return;
    edi->told |= EDI_MIXED;
    edi_find(edi, FINDING_EDIFACT_MIXED, DOCUMENT_INTERCHANGE);
}

static void ung(struct edifact_reader *reader) {
    struct edi *edi = &reader->edi;
    struct edi_scope *interchange = &edi->scopes[DOCUMENT_INTERCHANGE];
    edi_break_off(edi, DOCUMENT_MESSAGE, FINDING_EDIFACT_UNT_MISSING, edi_before(edi));
    edi_break_off(edi, DOCUMENT_GROUP, FINDING_EDIFACT_UNE_MISSING, edi_before(edi));
    edi->in_file++;
    struct document_head *head = head_begin(edi, DOCUMENT_GROUP);
    head->name = keep(edi, DOCUMENT_GROUP, 1, 1);
    keep_parties(edi, DOCUMENT_GROUP);
    keep_moment(edi, DOCUMENT_GROUP);
    head->group_ref = keep(edi, DOCUMENT_GROUP, 5, 1);
    head->version = keep_composite(edi, DOCUMENT_GROUP, 7, 1, 2);
    head->association = keep(edi, DOCUMENT_GROUP, 7, 3);
    edi_begin(edi, DOCUMENT_GROUP);
    check(edi, DOCUMENT_GROUP, reader->syntax_version == 4 ? ung_needs_4 : ung_needs, ung_longest);
    check_moment(edi, DOCUMENT_GROUP);
    if (!interchange->open)
        edi_find(edi, FINDING_EDIFACT_NO_INTERCHANGE, DOCUMENT_GROUP);
    if (interchange->single > 0)
        mixed(edi);
    interchange->groups++;
}

static void check_message(struct edi *edi) {
    const struct edi_scope *group = &edi->scopes[DOCUMENT_GROUP];
    const struct document_head *head = &edi->scopes[DOCUMENT_MESSAGE].head;
    check(edi, DOCUMENT_MESSAGE, unh_needs, unh_longest);
    if (!edi->scopes[DOCUMENT_INTERCHANGE].open && !group->open)
        edi_find(edi, FINDING_EDIFACT_NO_INTERCHANGE, DOCUMENT_MESSAGE);
    if (head->message_ref.length > 0 && refs_seen(&edi->refs, head->message_ref))
        edi_find_at(edi, FINDING_EDIFACT_REFERENCE_TWICE, DOCUMENT_MESSAGE, 1, 1, (struct value){0});
    if (group->open && group->head.name.length > 0 && head->name.length > 0 &&
        reference_match(group->head.name, head->name, 0) != REFERENCE_SAME)
        edi_find_at(edi, FINDING_EDIFACT_GROUP_TYPE, DOCUMENT_MESSAGE, 2, 1, group->head.name);
}

static void unh(struct edifact_reader *reader) {
    struct edi *edi = &reader->edi;
    struct edi_scope *interchange = &edi->scopes[DOCUMENT_INTERCHANGE];
    edi_break_off(edi, DOCUMENT_MESSAGE, FINDING_EDIFACT_UNT_MISSING, edi_before(edi));
    edi->in_file++;
    struct document_head *head = head_begin(edi, DOCUMENT_MESSAGE);
    head->message_ref = keep(edi, DOCUMENT_MESSAGE, 1, 1);
    head->name = keep(edi, DOCUMENT_MESSAGE, 2, 1);
    head->version = keep_composite(edi, DOCUMENT_MESSAGE, 2, 2, 3);
    head->association = keep(edi, DOCUMENT_MESSAGE, 2, 5);
    edi_count_message(edi);
    edi_begin(edi, DOCUMENT_MESSAGE);
    check_message(edi);
    if (edi->scopes[DOCUMENT_GROUP].open)
        return;
    interchange->single++;
    if (interchange->open && interchange->groups > 0)
        mixed(edi);
}

/* ---- trailers ---- */

/* Count and reference, both as the header and what came since have them. */
static void check_trailer(struct edi *edi, enum document_scope scope, uint64_t count,
                          struct value reference) {
    char number[24];
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)count);
    check(edi, scope, trailer_needs, NULL);
    struct value counted = edi_value(edi, 1, 1);
    struct value repeated = edi_value(edi, 2, 1);
    if (counted.length > 0 && !count_is(counted, count))
        edi_find_at(edi, FINDING_EDIFACT_COUNT_DIFFERS, scope, 1, 1, text(number));
    if (repeated.length == 0)
        return;
    enum reference_match match = reference_match(reference, repeated, edi->tokens.segment.release);
    if (match != REFERENCE_SAME)
        edi_find_at(edi,
                    match == REFERENCE_ZEROS ? FINDING_EDIFACT_REFERENCE_ZEROS
                                             : FINDING_EDIFACT_REFERENCE_DIFFERS,
                    scope, 2, 1, reference);
}

static void unt(struct edi *edi) {
    if (!edi_ends(edi, DOCUMENT_MESSAGE, FINDING_EDIFACT_TRAILER_ALONE))
        return;
    uint32_t segments = edi_segments(edi, DOCUMENT_MESSAGE);
    check_trailer(edi, DOCUMENT_MESSAGE, segments, edi->scopes[DOCUMENT_MESSAGE].head.message_ref);
    if (segments == 2)
        edi_find(edi, FINDING_EDIFACT_EMPTY, DOCUMENT_MESSAGE);
    edi_end(edi, DOCUMENT_MESSAGE, edi_segment_end(edi));
}

static void une(struct edi *edi) {
    const struct edi_scope *group = &edi->scopes[DOCUMENT_GROUP];
    edi_break_off(edi, DOCUMENT_MESSAGE, FINDING_EDIFACT_UNT_MISSING, edi_before(edi));
    if (!edi_ends(edi, DOCUMENT_GROUP, FINDING_EDIFACT_TRAILER_ALONE))
        return;
    check_trailer(edi, DOCUMENT_GROUP, group->messages, group->head.group_ref);
    if (group->messages == 0)
        edi_find(edi, FINDING_EDIFACT_EMPTY, DOCUMENT_GROUP);
    edi_end(edi, DOCUMENT_GROUP, edi_segment_end(edi));
}

static void unz(struct edifact_reader *reader) {
    struct edi *edi = &reader->edi;
    struct edi_scope *interchange = &edi->scopes[DOCUMENT_INTERCHANGE];
    edi_break_off(edi, DOCUMENT_MESSAGE, FINDING_EDIFACT_UNT_MISSING, edi_before(edi));
    edi_break_off(edi, DOCUMENT_GROUP, FINDING_EDIFACT_UNE_MISSING, edi_before(edi));
    if (edi_ends(edi, DOCUMENT_INTERCHANGE, FINDING_EDIFACT_TRAILER_ALONE)) {
        uint32_t count = interchange->groups > 0 ? interchange->groups : interchange->messages;
        check_trailer(edi, DOCUMENT_INTERCHANGE, count, interchange->head.interchange_ref);
        if (count == 0)
            edi_find(edi, FINDING_EDIFACT_EMPTY, DOCUMENT_INTERCHANGE);
        edi_end(edi, DOCUMENT_INTERCHANGE, edi_segment_end(edi));
    }
    edifact_search(reader);
}

void edifact_close(struct edifact_reader *reader, struct place where) {
    struct edi *edi = &reader->edi;
    edi_break_off(edi, DOCUMENT_MESSAGE, FINDING_EDIFACT_UNT_MISSING, where);
    where.segment = 0;
    edi_break_off(edi, DOCUMENT_GROUP, FINDING_EDIFACT_UNE_MISSING, where);
    edi_break_off(edi, DOCUMENT_INTERCHANGE, FINDING_EDIFACT_UNZ_MISSING, where);
}

/* ---- all others ---- */

/* An object is raw bytes, as many as its header says: 0810 in S022. */
static void uno(struct edi *edi) {
    struct value length = edi_value(edi, 4, 1);
    uint64_t n = 0;
    edi->in_file++;
    edi->scopes[DOCUMENT_INTERCHANGE].messages++;
    edi_find(edi, FINDING_EDIFACT_OBJECT, edi_scope_now(edi));
    for (uint32_t i = 0; i < length.length && i < 18; i++)
        n = length.bytes[i] >= '0' && length.bytes[i] <= '9' ? n * 10 + (length.bytes[i] - (uint64_t)'0') : n;
    tokens_pass(&edi->tokens, n);
}

static bool tag_valid(struct value name) {
    bool valid = name.length == 3;
    for (uint32_t i = 0; i < name.length && valid; i++)
        valid =
            (name.bytes[i] >= 'A' && name.bytes[i] <= 'Z') || (name.bytes[i] >= '0' && name.bytes[i] <= '9');
    return valid;
}

static void outside(struct edi *edi) {
    enum document_scope scope = edi_scope_now(edi);
    edi_complain(edi, scope);
    if (edi->told & EDI_OUTSIDE)
        return;
    edi->told |= EDI_OUTSIDE;
    edi_find(edi, FINDING_EDIFACT_OUTSIDE_MESSAGE, scope);
}

static void content(struct edi *edi) {
    const struct segment *segment = &edi->tokens.segment;
    if (UNLIKELY(segment->name.length == 0 && segment->element_count == 0)) {
        edi_find(edi, FINDING_EMPTY_SEGMENT, edi_scope_now(edi));
        return;
    }
    edi->in_file++;
    if (UNLIKELY(!edi->scopes[DOCUMENT_MESSAGE].open)) {
        outside(edi);
        return;
    }
    edi_complain(edi, DOCUMENT_MESSAGE);
    if (UNLIKELY(edi->tokens.trailing))
        edi_find_trailing(edi, FINDING_EDIFACT_TRAILING_SEPARATOR, DOCUMENT_MESSAGE);
    if (UNLIKELY(!tag_valid(segment->name)))
        edi_find(edi, FINDING_BAD_TAG, DOCUMENT_MESSAGE);
    edi_hand_over(edi);
}

static void service(struct edifact_reader *reader, uint8_t letter) {
    struct edi *edi = &reader->edi;
    switch (letter) {
    case 'B':
        unb(reader);
        break;
    case 'G':
        ung(reader);
        break;
    case 'H':
        unh(reader);
        break;
    case 'T':
        unt(edi);
        break;
    case 'E':
        une(edi);
        break;
    case 'Z':
        unz(reader);
        break;
    case 'O':
        uno(edi);
        break;
    case 'P':
        edi->in_file++;
        break;
    default:
        content(edi);
        break;
    }
}

void edifact_segment(struct edifact_reader *reader) {
    struct edi *edi = &reader->edi;
    struct segment *segment = &edi->tokens.segment;
    segment->decimal = reader->decimal;
    if (UNLIKELY(value_is(segment->name, "UNB")))
        charset_begin(edi);
    edi_mend(edi);
    const uint8_t *name = segment->name.bytes;
    if (segment->name.length == 3 && name[0] == 'U' && name[1] == 'N')
        service(reader, name[2]);
    else
        content(edi);
}
