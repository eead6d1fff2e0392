#include "codecs/edi/tokens.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_MORE (64u * 1024u) /* beyond the longest segment: how much is taken at a time */

/* What a mark does. Those up to KIND_TERMINATOR end a component. */
enum kind {
    KIND_COMPONENT,
    KIND_REPETITION,
    KIND_ELEMENT,
    KIND_TERMINATOR,
    KIND_RELEASE,
    KIND_LINE,
    KIND_NONE
};

static void marks_forget(struct tokens *tokens) {
    tokens->marked = tokens->start;
    tokens->mark_count = tokens->mark_at = 0;
    tokens->block_odd = false;
}

int tokens_init(struct tokens *tokens, uint32_t segment_max) {
    if (segment_max > UINT32_MAX / 4)
        segment_max = UINT32_MAX / 4;
    *tokens = (struct tokens){.segment_max = segment_max, .line = 1, .capacity = segment_max + WINDOW_MORE};
    tokens->bytes = calloc(1, (size_t)tokens->capacity + MARKS_SLACK);
    return tokens->bytes ? 0 : -ENOMEM;
}

void tokens_restart(struct tokens *tokens) {
    tokens->start = tokens->end = tokens->searched = 0;
    tokens->base = tokens->passing = 0;
    tokens->line = 1;
    tokens->lent = tokens->dropping = tokens->indented = false;
    tokens->segment = (struct segment){0};
    marks_forget(tokens);
}

void tokens_deinit(struct tokens *tokens) {
    free(tokens->bytes);
    tokens->bytes = NULL;
}

/* ---- the window ---- */

static void window_tidy(struct tokens *tokens) {
    uint32_t left = tokens_left(tokens);
    if (left > 0 && tokens->start > 0)
        memmove(tokens->bytes, tokens_bytes(tokens), left);
    tokens->base += tokens->start;
    tokens->searched = tokens->searched > tokens->start ? tokens->searched - tokens->start : 0;
    tokens->start = 0;
    tokens->end = left;
    marks_forget(tokens);
}

static uint32_t lines_of(const uint8_t *bytes, uint64_t n) {
    uint32_t lines = 0;
    for (uint64_t i = 0; i < n; i++)
        lines += bytes[i] == '\n';
    return lines;
}

static void passing_go_on(struct tokens *tokens) {
    uint64_t left = tokens_left(tokens);
    uint64_t n = left < tokens->passing ? left : tokens->passing;
    tokens->line += lines_of(tokens_bytes(tokens), n);
    tokens->start += (uint32_t)n;
    tokens->passing -= n;
    marks_forget(tokens);
}

size_t tokens_put(struct tokens *tokens, const uint8_t *bytes, size_t n) {
    if (tokens->capacity - tokens->end < n)
        window_tidy(tokens);
    size_t room = tokens->capacity - tokens->end;
    if (n > room)
        n = room;
    if (n > 0)
        memcpy(tokens->bytes + tokens->end, bytes, n);
    tokens->end += (uint32_t)n;
    return n;
}

void tokens_consume(struct tokens *tokens, uint32_t n) {
    tokens->line += lines_of(tokens_bytes(tokens), n);
    tokens->start += n;
    marks_forget(tokens);
}

void tokens_pass(struct tokens *tokens, uint64_t n) {
    tokens->passing += n;
    passing_go_on(tokens);
}

uint64_t tokens_offset(const struct tokens *tokens, const uint8_t *byte) {
    if (byte >= tokens->bytes && byte <= tokens->bytes + tokens->end)
        return tokens->base + (uint64_t)(byte - tokens->bytes);
    return tokens->segment.place.offset;
}

/* ---- separators ---- */

void tokens_separate(struct tokens *tokens, const struct separators *separators, bool level_a) {
    struct marks_set set = {.level_a = level_a};
    uint8_t *mark = set.bytes;
    tokens->separators = *separators;
    memset(tokens->kinds, KIND_NONE, sizeof tokens->kinds);
    tokens->kinds['\n'] = KIND_LINE;
    if (separators->release)
        tokens->kinds[separators->release] = KIND_RELEASE;
    if (separators->repetition)
        tokens->kinds[separators->repetition] = KIND_REPETITION;
    if (separators->component)
        tokens->kinds[separators->component] = KIND_COMPONENT;
    tokens->kinds[separators->element] = KIND_ELEMENT;
    tokens->kinds[separators->terminator] = KIND_TERMINATOR;
    *mark++ = '\n';
    *mark++ = separators->terminator;
    *mark++ = separators->element;
    *mark++ = separators->component ? separators->component : separators->element;
    *mark++ = separators->repetition ? separators->repetition : separators->element;
    *mark++ = separators->release ? separators->release : separators->element;
    if (memcmp(&set, &tokens->set, sizeof set) == 0)
        return;
    tokens->set = set;
    tokens->searched = 0;
    marks_forget(tokens);
}

/* Whether there is another mark. */
static bool marks_more(struct tokens *tokens) {
    while (tokens->mark_at == tokens->mark_count) {
        if (tokens->marked == tokens->end)
            return false;
        uint32_t from = tokens->marked;
        uint32_t to = tokens->end - from < TOKENS_BLOCK ? tokens->end : from + TOKENS_BLOCK;
        tokens->mark_at = 0;
        tokens->mark_count =
            marks_find(&tokens->set, tokens->bytes, from, to, tokens->marks, &tokens->block_odd);
        tokens->odd |= tokens->block_odd;
        tokens->marked = to;
    }
    return true;
}

/* ---- one segment ---- */

static bool is_blank(uint8_t byte) {
    return byte == '\n' || byte == '\r' || byte == ' ' || byte == '\t';
}

/* Blanks and line breaks; those that separate only if `all` are meant. */
static void blanks_skip(struct tokens *tokens, bool all) {
    const uint8_t *p = tokens_bytes(tokens);
    const uint8_t *end = tokens->bytes + tokens->end;
    for (; p < end && *p <= ' ' && is_blank(*p) && (all || tokens->kinds[*p] >= KIND_LINE); p++) {
        tokens->line += *p == '\n';
        tokens->indented = *p == ' ' || *p == '\t';
    }
    tokens->start = (uint32_t)(p - tokens->bytes);
}

static void segment_begin(struct tokens *tokens) {
    tokens->odd = tokens->block_odd;
    tokens->wrapped = tokens->trailing = tokens->too_many = false;
    tokens->binary = tokens->binary_wrong = false;
    tokens->segment.place = (struct place){.offset = tokens_at(tokens), .line = tokens->line};
}

/* Where the components and elements go. */
struct cut {
    struct value *component;
    struct element *element;
    uint32_t from; /* where the component begins */
    uint32_t number;
    bool released;
};

static inline struct cut cut_begin(struct tokens *tokens, uint32_t from) {
    tokens->elements[0] = (struct element){0};
    return (struct cut){.component = tokens->components, .element = tokens->elements, .from = from};
}

/* A component ends at `p`. Without branches on what ends it: which separator comes next nobody can guess. */
static inline void cut_at(struct tokens *tokens, struct cut *cut, const uint8_t *bytes, uint32_t p,
                          uint32_t kind) {
    uint32_t length = p - cut->from;
    *cut->component++ = (struct value){bytes + cut->from, length, cut->released};
    uint32_t count = (uint32_t)(cut->component - tokens->components);
    uint32_t ends = kind != KIND_COMPONENT;
    uint32_t first = cut->element->first;
    cut->element->count = count - first;
    tokens->trailing |= ends & (length == 0) & (count - first > 1);
    cut->element += ends;
    cut->number += (kind == KIND_ELEMENT) | (ends & (cut->number == 0)); /* nothing repeats a tag */
    cut->element->number = cut->number;
    cut->element->first = ends ? count : first;
    cut->from = p + 1;
    cut->released = false;
    if (UNLIKELY(count == TOKENS_COMPONENTS_MAX + 1 ||
                 cut->element == tokens->elements + TOKENS_ELEMENTS_MAX + 1)) {
        tokens->too_many = true;
        cut->component--;
        cut->element -= ends;
        cut->element->count = (uint32_t)(cut->component - tokens->components) - cut->element->first;
    }
}

static void cut_end(struct tokens *tokens, const struct cut *cut, const uint8_t *bytes, uint32_t from) {
    struct segment *segment = &tokens->segment;
    uint32_t elements = (uint32_t)(cut->element - tokens->elements);
    const struct value *last = cut->component - 1;
    tokens->trailing |= elements > 1 && cut->element[-1].count == 1 && last->length == 0;
    segment->name = tokens->components[0];
    segment->elements = tokens->elements + 1;
    segment->element_count = elements - 1;
    segment->components = tokens->components;
    segment->component_count = (uint32_t)(cut->component - tokens->components);
    segment->release = tokens->separators.release;
    if (bytes == tokens->bytes)
        segment->place.length = cut->from - from;
}

/* A release character at p: the next byte is text, and line breaks that somebody put between them are not the
 * next byte. false: it is not there yet. */
static bool release(struct tokens *tokens, uint32_t p) {
    uint32_t next = p + 1;
    while (next < tokens->end && (tokens->bytes[next] == '\n' || tokens->bytes[next] == '\r'))
        next++;
    if (next == tokens->end) {
        tokens->pending = p;
        return false;
    }
    tokens->line += lines_of(tokens->bytes + p, next - p);
    tokens->wrapped |= next > p + 1;
    while (marks_more(tokens) && tokens->marks[tokens->mark_at] <= next)
        tokens->mark_at++;
    return true;
}

/* false: its end is not there yet. */
static bool segment_cut(struct tokens *tokens) {
    const uint8_t *bytes = tokens->bytes;
    struct cut cut = cut_begin(tokens, tokens->start);
    tokens->pending = tokens->end;
    for (;;) {
        if (tokens->mark_at == tokens->mark_count && !marks_more(tokens))
            return false;
        uint32_t p = tokens->marks[tokens->mark_at++];
        uint32_t kind = tokens->kinds[bytes[p]];
        if (UNLIKELY(p < cut.from))
            continue; /* in blanks that were skipped */
        if (LIKELY(kind <= KIND_TERMINATOR)) {
            cut_at(tokens, &cut, bytes, p, kind);
            if (kind == KIND_TERMINATOR)
                break;
        } else if (kind == KIND_LINE) {
            tokens->line++;
            tokens->wrapped = true;
        } else {
            cut.released = true;
            if (!release(tokens, p))
                return false;
        }
    }
    cut_end(tokens, &cut, bytes, tokens->start);
    tokens->line += tokens->separators.terminator == '\n';
    tokens->start = cut.from;
    return true;
}

/* ---- segments that say how long they are ---- */

/* BIN*length*data~ and BDS*filter*length*data~ */
struct counted {
    uint32_t length_at;
    uint32_t data_at;
    uint64_t length;
    bool waits; /* the length is not there yet */
};

/* false: it is no such segment, or its length is none. */
static bool counted_read(struct tokens *tokens, struct counted *counted) {
    const uint8_t *bytes = tokens->bytes;
    uint32_t p = tokens->start + 4;
    if (tokens_left(tokens) < 4 || bytes[p - 1] != tokens->separators.element || bytes[p - 4] != 'B')
        return false;
    if (memcmp(bytes + p - 4, "BDS", 3) == 0) {
        const uint8_t *next = memchr(bytes + p, tokens->separators.element, tokens->end - p);
        p = next ? (uint32_t)(next - bytes) + 1 : tokens->end;
    } else if (memcmp(bytes + p - 4, "BIN", 3) != 0) {
        return false;
    }
    *counted = (struct counted){.length_at = p};
    for (; p < tokens->end && bytes[p] >= '0' && bytes[p] <= '9' && p - counted->length_at < 15; p++)
        counted->length = counted->length * 10 + (bytes[p] - (uint64_t)'0');
    counted->data_at = p + 1;
    counted->waits = p >= tokens->end;
    tokens->binary_wrong = !counted->waits && bytes[p] != tokens->separators.element;
    return !tokens->binary_wrong;
}

static void marks_up_to(struct tokens *tokens, uint32_t p) {
    tokens->start = p;
    if (p >= tokens->marked) {
        marks_forget(tokens);
        return;
    }
    while (tokens->mark_at < tokens->mark_count && tokens->marks[tokens->mark_at] < p)
        tokens->mark_at++;
}

/* The data are one component, whatever bytes they have. */
static void counted_cut(struct tokens *tokens, const struct counted *counted) {
    const uint8_t *bytes = tokens->bytes;
    uint32_t start = tokens->start;
    uint32_t end = counted->data_at + (uint32_t)counted->length;
    struct cut cut = cut_begin(tokens, start);
    cut_at(tokens, &cut, bytes, start + 3, KIND_ELEMENT);
    if (counted->length_at > start + 4)
        cut_at(tokens, &cut, bytes, counted->length_at - 1, KIND_ELEMENT);
    cut_at(tokens, &cut, bytes, counted->data_at - 1, KIND_ELEMENT);
    cut_at(tokens, &cut, bytes, end, KIND_TERMINATOR);
    cut_end(tokens, &cut, bytes, start);
    tokens->trailing = tokens->odd = false;
    tokens->binary = true;
    tokens->line += lines_of(bytes + start, end + 1 - start);
    marks_up_to(tokens, end + 1);
}

/* ---- what comes next ---- */

static enum tokens_result more(struct tokens *tokens) {
    tokens->line = tokens->segment.place.line;
    tokens->searched = tokens->end;
    marks_forget(tokens);
    return TOKENS_MORE;
}

/* How it is told must not depend on how much of it is there. */
static enum tokens_result large(struct tokens *tokens) {
    tokens->segment.name =
        (struct value){.bytes = tokens->bytes + (tokens->segment.place.offset - tokens->base), .length = 3};
    tokens->segment.place.length = tokens->segment_max;
    tokens->lent = true;
    return TOKENS_LARGE;
}

static enum tokens_result counted_next(struct tokens *tokens, const struct counted *counted) {
    uint64_t whole = counted->data_at - tokens->start + counted->length;
    if (counted->waits || (whole <= tokens->segment_max && whole >= tokens_left(tokens))) {
        (void)more(tokens);
        tokens->searched = tokens->start;
        return TOKENS_MORE;
    }
    if (whole > tokens->segment_max) {
        enum tokens_result result = large(tokens);
        tokens_pass(tokens, whole + 1);
        return result;
    }
    counted_cut(tokens, counted);
    tokens->lent = true;
    return TOKENS_SEGMENT;
}

/* Whether counted data end where the segment does; if not, it is read as any other. */
static bool counted_fits(struct tokens *tokens, const struct counted *counted) {
    uint64_t end = counted->data_at + counted->length;
    if (counted->waits || end - tokens->start > tokens->segment_max || end >= tokens->end)
        return true;
    tokens->binary_wrong = tokens->bytes[end] != tokens->separators.terminator;
    return !tokens->binary_wrong;
}

static enum tokens_result drop(struct tokens *tokens) {
    if (!segment_cut(tokens)) {
        tokens->start = tokens->pending;
        marks_forget(tokens);
        return TOKENS_MORE;
    }
    tokens->dropping = false;
    return TOKENS_SEGMENT;
}

/* No terminator in what has come since the last look. */
static bool nothing_new(const struct tokens *tokens) {
    return tokens->searched > tokens->start &&
           (tokens->searched == tokens->end ||
            !memchr(tokens->bytes + tokens->searched, tokens->separators.terminator,
                    tokens->end - tokens->searched));
}

bool tokens_blanks(struct tokens *tokens, bool all) {
    if (UNLIKELY(tokens->passing > 0))
        passing_go_on(tokens);
    if (UNLIKELY(tokens->dropping) && drop(tokens) == TOKENS_MORE)
        return false;
    if (tokens->lent)
        tokens->indented = false;
    tokens->lent = false;
    blanks_skip(tokens, all);
    return tokens->start < tokens->end;
}

enum tokens_result tokens_next(struct tokens *tokens) {
    struct counted counted;
    segment_begin(tokens);
    if (tokens->start == tokens->end)
        return more(tokens);
    if (tokens->counted && counted_read(tokens, &counted) && counted_fits(tokens, &counted))
        return counted_next(tokens, &counted);
    if (nothing_new(tokens) || !segment_cut(tokens)) {
        if (tokens_left(tokens) <= tokens->segment_max)
            return more(tokens);
        tokens->line = tokens->segment.place.line;
        marks_forget(tokens);
        tokens->dropping = true;
        return large(tokens);
    }
    if (UNLIKELY(tokens->segment.place.length > tokens->segment_max + 1))
        return large(tokens);
    tokens->lent = true;
    return TOKENS_SEGMENT;
}

bool tokens_last(struct tokens *tokens, bool *release) {
    *release = false;
    if (!tokens_blanks(tokens, false))
        return false;
    segment_begin(tokens);
    while (tokens->end > tokens->start && is_blank(tokens->bytes[tokens->end - 1]))
        tokens->end--;
    if (tokens->start == tokens->end)
        return false;
    tokens->bytes[tokens->end++] = tokens->separators.terminator;
    marks_forget(tokens);
    if (segment_cut(tokens)) {
        tokens->segment.place.length--;
        tokens->lent = true;
        return true;
    }
    *release = true;
    return false;
}

/* ---- anew ---- */

void tokens_end_at(struct tokens *tokens, uint32_t n) {
    uint32_t start = (uint32_t)(tokens->segment.place.offset - tokens->base);
    const uint8_t *bytes = tokens->bytes + start;
    tokens->start = start + n;
    tokens->line = tokens->segment.place.line + lines_of(bytes, n);
    marks_forget(tokens);
    while (n > 0 && is_blank(bytes[n - 1]))
        n--;
    tokens->segment.place.length = n;
    tokens->wrapped = n > 0 && memchr(bytes, '\n', n) != NULL;
    tokens->trailing = tokens->too_many = false;
    tokens_again(tokens, bytes, n);
}

void tokens_made(struct tokens *tokens, const struct value *values, uint32_t count, uint32_t length) {
    segment_begin(tokens);
    for (uint32_t i = 0; i < count; i++) {
        tokens->components[i] = values[i];
        tokens->elements[i] = (struct element){.number = i, .first = i, .count = 1};
    }
    const uint8_t *bytes = tokens_bytes(tokens);
    tokens->odd = true;
    tokens->wrapped = memchr(bytes, '\n', length - 1) != NULL;
    struct cut cut = {.component = tokens->components + count, .element = tokens->elements + count};
    cut_end(tokens, &cut, NULL, 0);
    tokens->segment.place.length = length;
    tokens->trailing = false;
    tokens->lent = true;
    tokens_consume(tokens, length);
}

void tokens_again(struct tokens *tokens, const uint8_t *bytes, uint32_t n) {
    struct cut cut = cut_begin(tokens, 0);
    uint32_t i = 0;
    for (; i < n && tokens->kinds[bytes[i]] != KIND_TERMINATOR; i++) {
        uint32_t kind = tokens->kinds[bytes[i]];
        if (kind < KIND_TERMINATOR) {
            cut_at(tokens, &cut, bytes, i, kind);
        } else if (kind == KIND_RELEASE) {
            cut.released = true;
            i++;
        }
    }
    cut_at(tokens, &cut, bytes, i < n ? i : n, KIND_TERMINATOR);
    cut_end(tokens, &cut, bytes, 0);
}
