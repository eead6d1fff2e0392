#include "codecs/edi/edi.h"

#include "core/base/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ELEMENT_BYTES_MAX (8u * 1024u) /* none that anybody sends is longer, but for binary data */
#define HEADER_MAX        1024u        /* ISA is taken whatever the limit of a segment is */

int edi_init(struct edi *edi, const struct document_sink *sink, const struct profile *profile) {
    *edi = (struct edi){0};
    report_init(&edi->report, sink, profile);
    if (tokens_init(&edi->tokens, edi->report.profile.segment_max) != 0)
        return -ENOMEM;
    edi->third = edi->tokens.segment_max > HEADER_MAX ? edi->tokens.segment_max : HEADER_MAX;
    edi->third += MARKS_SLACK;
    edi->scratch = malloc(3 * (size_t)edi->third);
    if (!edi->scratch) {
        tokens_deinit(&edi->tokens);
        return -ENOMEM;
    }
    edi_restart(edi);
    return 0;
}

void edi_deinit(struct edi *edi) {
    tokens_deinit(&edi->tokens);
    refs_deinit(&edi->refs);
    free(edi->scratch);
    edi->scratch = NULL;
}

void edi_restart(struct edi *edi) {
    tokens_restart(&edi->tokens);
    memset(edi->scopes, 0, sizeof edi->scopes);
    refs_clear(&edi->refs);
    edi_charset_none(edi);
    edi->in_file = 0;
    edi->told = 0;
    edi->garbage = 0;
    for (unsigned scope = 0; scope < EDI_SCOPES; scope++)
        report_begin(&edi->report, (enum document_scope)scope);
}

void edi_charset_none(struct edi *edi) {
    edi->charset.kind = CHARSET_ASCII;
    edi->charset.level_a = false;
}

/* ---- findings ---- */

enum document_scope edi_scope_now(const struct edi *edi) {
    if (edi->scopes[DOCUMENT_MESSAGE].open)
        return DOCUMENT_MESSAGE;
    return edi->scopes[DOCUMENT_GROUP].open ? DOCUMENT_GROUP : DOCUMENT_INTERCHANGE;
}

struct place edi_place(const struct edi *edi) {
    struct place place = edi->tokens.segment.place;
    place.segment = edi->scopes[DOCUMENT_MESSAGE].open ? edi_segments(edi, DOCUMENT_MESSAGE) : 0;
    place.in_file = edi->in_file;
    return place;
}

void edi_find(struct edi *edi, enum finding_code code, enum document_scope scope) {
    struct finding finding = {
        .code = code, .place = edi_place(edi), .scope = (uint8_t)scope, .segment = edi->tokens.segment.name};
    (void)report_finding(&edi->report, &finding);
}

/* Where the component is, or where it would be. */
static void place_at(const struct edi *edi, uint32_t element, uint32_t component, struct place *place) {
    struct value value = edi_value(edi, element, component);
    place->element = element;
    place->component = component;
    if (value.bytes) {
        place->offset = tokens_offset(&edi->tokens, value.bytes);
        place->length = value.length;
    }
}

void edi_find_at(struct edi *edi, enum finding_code code, enum document_scope scope, uint32_t element,
                 uint32_t component, struct value expected) {
    struct finding finding = {.code = code,
                              .place = edi_place(edi),
                              .scope = (uint8_t)scope,
                              .segment = edi->tokens.segment.name,
                              .found = edi_value(edi, element, component),
                              .expected = expected};
    place_at(edi, element, component, &finding.place);
    (void)report_finding(&edi->report, &finding);
}

struct place edi_before(const struct edi *edi) {
    struct place place = edi_place(edi);
    place.length = 0;
    return place;
}

struct place edi_here(const struct edi *edi) {
    struct place place = edi_place(edi);
    place.offset = tokens_at(&edi->tokens);
    place.line = edi->tokens.line;
    place.length = 0;
    return place;
}

void edi_find_here(struct edi *edi, enum finding_code code, uint32_t length) {
    struct finding finding = {.code = code, .place = edi_here(edi), .scope = (uint8_t)edi_scope_now(edi)};
    finding.place.length = length;
    (void)report_finding(&edi->report, &finding);
}

void edi_find_last(struct edi *edi, enum finding_code code) {
    edi->in_file++;
    edi_find(edi, code, edi_scope_now(edi));
    edi->in_file--;
}

/* One separator, which stands before this component; component 0: before this element. */
static void trailing_tell(struct edi *edi, enum finding_code code, enum document_scope scope,
                          uint32_t element, uint32_t component, const uint8_t *at) {
    const struct separators *separators = &edi->tokens.separators;
    struct finding finding = {
        .code = code,
        .place = edi_place(edi),
        .scope = (uint8_t)scope,
        .segment = edi->tokens.segment.name,
        .found = {.bytes = component > 0 ? &separators->component : &separators->element, .length = 1}};
    finding.place.element = element;
    finding.place.component = component;
    finding.place.offset = tokens_offset(&edi->tokens, at);
    finding.place.offset -= finding.place.offset > edi->tokens.segment.place.offset;
    finding.place.length = 1;
    (void)report_finding(&edi->report, &finding);
}

void edi_find_trailing(struct edi *edi, enum finding_code code, enum document_scope scope) {
    const struct segment *segment = &edi->tokens.segment;
    uint32_t last = segment->element_count;
    for (uint32_t i = 0; i < segment->element_count; i++) {
        const struct element *element = &segment->elements[i];
        const struct value *values = segment->components + element->first;
        uint32_t kept = element->count;
        while (kept > 1 && values[kept - 1].length == 0)
            kept--;
        if (kept < element->count)
            trailing_tell(edi, code, scope, element->number, kept + 1, values[kept].bytes);
    }
    while (last > 0 && segment->elements[last - 1].count == 1 &&
           segment->components[segment->elements[last - 1].first].length == 0)
        last--;
    if (last < segment->element_count)
        trailing_tell(edi, code, scope, segment->elements[last].number, 0,
                      segment->components[segment->elements[last].first].bytes);
}

/* Whether this is the first time. */
static bool once(struct edi *edi, enum edi_once what) {
    bool first = !(edi->told & what);
    edi->told |= what;
    return first;
}

/* ---- text ---- */

static uint8_t *unwrapped(const uint8_t *bytes, uint32_t n, uint8_t *out) {
    for (uint32_t i = 0; i < n; i++)
        if (bytes[i] != '\r' && bytes[i] != '\n')
            *out++ = bytes[i];
    return out;
}

/* ISA11 and ISA16 are that. */
static bool is_separator(const struct edi *edi, struct value value) {
    const struct separators *s = &edi->tokens.separators;
    return value.length == 1 && (value.bytes[0] == s->component || value.bytes[0] == s->repetition);
}

/* By component: separators may be control characters. */
static void odd_look(struct edi *edi) {
    const struct segment *segment = &edi->tokens.segment;
    bool level_a = edi->charset.level_a && !(edi->told & EDI_LEVEL_A);
    for (uint32_t i = 0; i < segment->component_count && !edi->odd; i++) {
        struct value value = segment->components[i];
        if (is_separator(edi, value))
            continue;
        uint32_t at = (uint32_t)charset_bad(&edi->charset, value.bytes, value.length);
        edi->beyond_a |= level_a && charset_beyond_level_a(value.bytes, value.length) < value.length;
        if (at == value.length)
            continue;
        edi->odd = true;
        edi->bad = (struct value){.bytes = value.bytes + at, .length = 1};
        edi->bad_at = (struct place){.offset = tokens_offset(&edi->tokens, value.bytes + at), .length = 1};
    }
    for (uint32_t i = 0; i < segment->element_count && edi->odd; i++) {
        const struct element *element = &segment->elements[i];
        for (uint32_t j = 0; j < element->count; j++) {
            struct value value = segment->components[element->first + j];
            if (edi->bad.bytes >= value.bytes && edi->bad.bytes < value.bytes + value.length) {
                edi->bad_at.element = element->number;
                edi->bad_at.component = j + 1;
            }
        }
    }
}

/* Printable ASCII only. */
static bool clean(const uint8_t *bytes, uint32_t n) {
    uint64_t marks = 0;
    uint32_t i = 0;
    for (; i + 8 <= n; i += 8)
        marks |= word_unclean(word_load(bytes + i), ' ');
    uint64_t blanks = WORD_ONES * ' ' << (8 * (n - i));
    marks |= word_unclean(word_load_short(bytes + i, n - i) | blanks, ' ');
    return marks == 0;
}

static bool has_high(const uint8_t *bytes, uint32_t n) {
    uint8_t all = 0;
    for (uint32_t i = 0; i < n; i++)
        all |= bytes[i];
    return all >= 0x80;
}

/* Separators are ASCII: each component by itself. What was unwrapped stands in the last third, over which the
 * text may grow: all of it moves, in its order, and never beyond what is read. */
static void transcode(struct edi *edi) {
    struct tokens *tokens = &edi->tokens;
    uint8_t *to = edi->scratch;
    for (uint32_t i = 0; i < tokens->segment.component_count; i++) {
        struct value *value = &tokens->components[i];
        if (!tokens->wrapped && !has_high(value->bytes, value->length))
            continue;
        value->length = (uint32_t)charset_utf8(&edi->charset, value->bytes, value->length, to);
        value->bytes = to;
        to += value->length;
    }
    tokens->segment.name = tokens->components[0];
}

/* Line breaks may stand anywhere, even behind a release character: the segment is cut anew. */
static void unwrap(struct edi *edi, const uint8_t *bytes, uint32_t n) {
    uint8_t *third = edi->scratch + 2 * (size_t)edi->third; /* the text grows over what is read */
    n = (uint32_t)(unwrapped(bytes, n, third) - third);
    tokens_again(&edi->tokens, third, n);
}

/* A segment that is not as it should be handed over. */
static void mend(struct edi *edi) {
    struct tokens *tokens = &edi->tokens;
    const uint8_t *bytes = tokens->bytes + (tokens->segment.place.offset - tokens->base);
    uint32_t n = tokens->segment.place.length;
    if (LIKELY(clean(bytes, n) && (!edi->charset.level_a || (edi->told & EDI_LEVEL_A))))
        return;
    if (tokens->odd)
        odd_look(edi);
    if (tokens->wrapped)
        unwrap(edi, bytes, n);
    if (tokens->odd && has_high(bytes, n))
        transcode(edi);
}

void edi_mend(struct edi *edi) {
    edi->odd = edi->beyond_a = false;
    if (UNLIKELY(edi->tokens.odd || edi->tokens.wrapped))
        mend(edi);
}

static bool header_at(const struct edi *edi, const uint8_t *p, const uint8_t *end,
                      const char *const *headers) {
    for (; *headers; headers++)
        if (end - p > 3 && memcmp(p, *headers, 3) == 0 && p[3] == edi->tokens.separators.element)
            return true;
    return false;
}

void edi_part(struct edi *edi, const char *const *headers) {
    struct tokens *tokens = &edi->tokens;
    const uint8_t *bytes = tokens->bytes + (tokens->segment.place.offset - tokens->base);
    const uint8_t *end = bytes + tokens->segment.place.length;
    const uint8_t *p = bytes;
    while ((p = memchr(p, '\n', (size_t)(end - p)))) {
        p++;
        if (!header_at(edi, p, end, headers))
            continue;
        tokens_end_at(tokens, (uint32_t)(p - bytes));
        edi_find_last(edi, FINDING_UNTERMINATED);
        return;
    }
}

static void charset_complain(struct edi *edi, enum document_scope scope) {
    struct finding finding = {.code = FINDING_CHARSET_VIOLATED,
                              .place = edi_place(edi),
                              .scope = (uint8_t)scope,
                              .segment = edi->tokens.segment.name,
                              .found = edi->bad};
    finding.place.offset = edi->bad_at.offset;
    finding.place.length = edi->bad_at.length;
    finding.place.element = edi->bad_at.element;
    finding.place.component = edi->bad_at.component;
    (void)report_finding(&edi->report, &finding);
}

void edi_complain(struct edi *edi, enum document_scope scope) {
    const struct tokens *tokens = &edi->tokens;
    if (LIKELY(!(tokens->indented | tokens->wrapped | tokens->too_many | edi->odd | edi->beyond_a)))
        return;
    if (tokens->indented && once(edi, EDI_INDENTED))
        edi_find(edi, FINDING_INDENTED, scope);
    if (tokens->wrapped && once(edi, EDI_WRAPPED))
        edi_find(edi, FINDING_WRAPPED, scope);
    if (edi->odd && once(edi, EDI_CHARSET))
        charset_complain(edi, scope);
    if (edi->beyond_a && edi->charset.level_a && once(edi, EDI_LEVEL_A)) {
        edi_find(edi, FINDING_EDIFACT_LEVEL_A, scope);
        tokens_separate(&edi->tokens, &tokens->separators, false);
    }
    if (tokens->too_many)
        edi_find(edi, FINDING_TOO_MANY_ELEMENTS, scope);
}

/* ---- scopes ---- */

void edi_begin(struct edi *edi, enum document_scope scope) {
    struct edi_scope *begun = &edi->scopes[scope];
    const struct document_sink *sink = edi->report.sink;
    begun->open = true;
    begun->first = edi->in_file;
    begun->groups = begun->messages = begun->single = 0;
    begun->head.offset = edi->tokens.segment.place.offset;
    edi->told &= ~(unsigned)(EDI_WRAPPED | EDI_CHARSET | EDI_OUTSIDE);
    if (scope == DOCUMENT_INTERCHANGE) {
        edi->told = 0;
        refs_clear(&edi->refs);
    }
    report_begin(&edi->report, scope);
    if (!begun->muted)
        sink->begin(sink->context, scope, &begun->head);
}

void edi_end(struct edi *edi, enum document_scope scope, uint64_t end) {
    struct edi_scope *ended = &edi->scopes[scope];
    const struct document_sink *sink = edi->report.sink;
    struct document_tail tail = {.length = end - ended->head.offset,
                                 .segments = edi_segments(edi, scope),
                                 .messages = ended->messages,
                                 .errors = edi->report.errors[scope]};
    if (!ended->muted)
        sink->end(sink->context, scope, &tail);
    ended->open = ended->muted = false;
    ended->messages = 0;
    report_begin(&edi->report, scope);
}

bool edi_ends(struct edi *edi, enum document_scope scope, enum finding_code alone) {
    edi->in_file++;
    if (edi->scopes[scope].open)
        return true;
    edi_complain(edi, edi_scope_now(edi));
    edi_find(edi, alone, edi_scope_now(edi));
    return false;
}

void edi_break_off(struct edi *edi, enum document_scope scope, enum finding_code code, struct place where) {
    struct finding finding = {.code = code, .place = where, .scope = (uint8_t)scope};
    if (!edi->scopes[scope].open)
        return;
    (void)report_finding(&edi->report, &finding);
    edi_end(edi, scope, where.offset);
}

void edi_large(struct edi *edi) {
    edi->in_file++;
    edi_find(edi, FINDING_TOO_LARGE, edi_scope_now(edi));
}

void edi_count_message(struct edi *edi) {
    struct edi_scope *interchange = &edi->scopes[DOCUMENT_INTERCHANGE];
    edi->scopes[DOCUMENT_GROUP].messages++;
    if (++interchange->messages <= edi->report.profile.messages_max)
        return;
    if (once(edi, EDI_MANY))
        edi_find(edi, FINDING_TOO_LARGE, DOCUMENT_INTERCHANGE);
    edi->scopes[DOCUMENT_MESSAGE].muted = true;
}

/* Only a segment that is longer than an element may be can have one that is. */
static void check_elements(struct edi *edi) {
    const struct segment *segment = &edi->tokens.segment;
    for (uint32_t i = 0; i < segment->element_count; i++) {
        const struct element *element = &segment->elements[i];
        for (uint32_t j = 0; j < element->count; j++)
            if (segment->components[element->first + j].length > ELEMENT_BYTES_MAX && !edi->tokens.binary)
                edi_find_at(edi, FINDING_TOO_LARGE, DOCUMENT_MESSAGE, element->number, j + 1,
                            (struct value){0});
    }
}

void edi_hand_over(struct edi *edi) {
    const struct edi_scope *message = &edi->scopes[DOCUMENT_MESSAGE];
    struct segment *segment = &edi->tokens.segment;
    uint32_t number = edi_segments(edi, DOCUMENT_MESSAGE);
    segment->place.segment = number;
    segment->place.in_file = edi->in_file;
    if (UNLIKELY(number > edi->report.profile.segments_max)) {
        if (number == edi->report.profile.segments_max + 1)
            edi_find(edi, FINDING_TOO_LARGE, DOCUMENT_MESSAGE);
        return;
    }
    if (UNLIKELY(segment->place.length > ELEMENT_BYTES_MAX))
        check_elements(edi);
    if (LIKELY(!message->muted))
        edi->report.sink->segment(edi->report.sink->context, segment);
}

/* ---- garbage ---- */

void edi_garbage(struct edi *edi, uint32_t n) {
    if (edi->garbage == 0)
        edi->garbage_at = (struct place){
            .offset = tokens_at(&edi->tokens), .line = edi->tokens.line, .in_file = edi->in_file};
    edi->garbage += n;
    tokens_consume(&edi->tokens, n);
}

void edi_garbage_tell(struct edi *edi) {
    if (edi->garbage == 0)
        return;
    struct finding finding = {
        .code = FINDING_GARBAGE, .place = edi->garbage_at, .scope = DOCUMENT_INTERCHANGE};
    finding.place.length = edi->garbage < UINT32_MAX ? (uint32_t)edi->garbage : UINT32_MAX;
    edi->garbage = 0;
    (void)report_finding(&edi->report, &finding);
}
