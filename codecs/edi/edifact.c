#include "codecs/edi/edifact.h"

#include "codecs/edi/edifact_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UNA_BYTES 9u
#define IS4       0x1c /* level B of ISO 9735 */
#define IS3       0x1d
#define IS1       0x1f

static const struct separators level_a = {':', '+', 0, '?', '\''};
static const struct separators level_b = {IS1, IS3, 0, 0, IS4};

/* ---- made and destroyed ---- */

void edifact_search(struct edifact_reader *reader) {
    reader->state = EDIFACT_SEARCH;
    reader->una = false;
    reader->una_repetition = '*';
    reader->decimal = '.';
    reader->separators = level_a;
    reader->syntax_version = 3;
    edi_charset_none(&reader->edi);
}

int edifact_create(struct edifact_reader **reader, const struct document_sink *sink,
                   const struct profile *profile) {
    struct edifact_reader *made = malloc(sizeof *made);
    if (!made)
        return -ENOMEM;
    memset(made, 0, sizeof *made);
    if (edi_init(&made->edi, sink, profile) != 0) {
        free(made);
        return -ENOMEM;
    }
    edifact_search(made);
    tokens_separate(&made->edi.tokens, &made->separators, false);
    *reader = made;
    return 0;
}

void edifact_destroy(struct edifact_reader *reader) {
    if (!reader)
        return;
    edi_deinit(&reader->edi);
    free(reader);
}

/* ---- the search for an interchange ---- */

static bool alnum(uint8_t c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* UNA at `p`, of which UNA_BYTES are there: its separators are signs, its decimal mark is one. */
static bool una_at(const uint8_t *p) {
    return memcmp(p, "UNA", 3) == 0 && !alnum(p[3]) && !alnum(p[4]) && !alnum(p[8]) &&
           (p[5] == '.' || p[5] == ',' || p[5] == ' ');
}

/* UNB or UNH, and what can only be a separator. */
static bool header_at(const uint8_t *p) {
    return p[0] == 'U' && p[1] == 'N' && (p[2] == 'B' || p[2] == 'H') && (p[3] == '+' || p[3] == IS3);
}

static void una_read(struct edifact_reader *reader, const uint8_t *p) {
    struct separators *s = &reader->separators;
    reader->una = true;
    *s = (struct separators){.component = p[3], .element = p[4], .terminator = p[8]};
    s->release = p[6] == ' ' ? 0 : p[6];
    reader->decimal = p[5] == ',' ? ',' : '.';
    reader->una_repetition = p[7] == ' ' || alnum(p[7]) || p[7] >= 0x80 ? 0 : p[7];
    bool differ = s->component != s->element && s->component != s->terminator &&
                  s->element != s->terminator && s->release != s->component && s->release != s->element &&
                  s->release != s->terminator;
    bool signs = !alnum(s->component) && !alnum(s->element) && !alnum(s->terminator) && !alnum(s->release) &&
                 (s->component | s->element | s->terminator | s->release) < 0x80;
    if (!differ || !signs) {
        edi_find_here(&reader->edi, FINDING_EDIFACT_SEPARATORS, UNA_BYTES);
        *s = level_a;
        reader->una_repetition = '*';
    }
}

/* A tag and a separator: segments without a header. */
static bool tag_at(const struct edifact_reader *reader, const uint8_t *p) {
    const struct separators *s = &reader->separators;
    for (unsigned i = 0; i < 3; i++)
        if (!((p[i] >= 'A' && p[i] <= 'Z') || (p[i] >= '0' && p[i] <= '9')))
            return false;
    bool separated = p[3] == s->element || p[3] == s->component || p[3] == s->terminator;
    return separated && memcmp(p, "UNA", 3) != 0; /* which is none, whatever it looks like */
}

static void segments_begin(struct edifact_reader *reader) {
    edi_garbage_tell(&reader->edi);
    reader->state = EDIFACT_SEGMENTS;
    tokens_separate(&reader->edi.tokens, &reader->separators, false);
}

/* How many bytes from `p` on belong to nothing: up to the next UNA, UNB or UNH. */
static uint32_t garbage_of(const uint8_t *p, uint32_t n, bool last) {
    for (uint32_t i = 1; i < n; i++) {
        const uint8_t *u = memchr(p + i, 'U', n - i);
        if (!u)
            return n;
        i = (uint32_t)(u - p);
        if (!last && n - i < UNA_BYTES)
            return i;
        if ((n - i >= UNA_BYTES && una_at(u)) || (n - i >= 4 && header_at(u)))
            return i;
    }
    return last ? n : 1;
}

static const uint8_t bom[3] = {0xef, 0xbb, 0xbf};

/* false: more bytes are needed to say. */
static bool search(struct edifact_reader *reader, bool last) {
    struct tokens *tokens = &reader->edi.tokens;
    if (reader->edi.garbage == 0 && !tokens_blanks(tokens, true))
        return false;
    const uint8_t *p = tokens_bytes(tokens);
    uint32_t n = tokens_left(tokens);
    uint64_t garbage = reader->edi.garbage;
    if (n == 0 || (n < UNA_BYTES && !last))
        return false;
    if (n >= sizeof bom && garbage == 0 && memcmp(p, bom, sizeof bom) == 0) {
        edi_find_here(&reader->edi, FINDING_BOM, sizeof bom);
        tokens_consume(tokens, sizeof bom);
    } else if (n >= UNA_BYTES && una_at(p) && !reader->una) {
        edi_garbage_tell(&reader->edi);
        una_read(reader, p);
        tokens_consume(tokens, UNA_BYTES);
    } else if (n >= 4 && !reader->una && header_at(p)) {
        reader->separators = p[3] == IS3 ? level_b : level_a;
        segments_begin(reader);
    } else if (n >= 4 && garbage == 0 && tag_at(reader, p)) {
        segments_begin(reader);
    } else {
        edi_garbage(&reader->edi, garbage_of(p, n, last));
        reader->una = false;
        reader->separators = level_a;
    }
    return true;
}

/* ---- segments ---- */

enum anew { ANEW_NO, ANEW_YES, ANEW_WAIT };

/* Whether another interchange begins here, with separators that are not those of this one. */
static enum anew begins_anew(const struct edifact_reader *reader, bool last) {
    const struct tokens *tokens = &reader->edi.tokens;
    const uint8_t *p = tokens_bytes(tokens);
    uint32_t n = tokens_left(tokens);
    if (LIKELY(n < 3 || p[0] != 'U' || p[1] != 'N' || (p[2] != 'A' && p[2] != 'B')))
        return ANEW_NO;
    if (n < UNA_BYTES)
        return last ? ANEW_NO : ANEW_WAIT;
    return una_at(p) || (p[2] == 'B' && p[3] != tokens->separators.element && header_at(p)) ? ANEW_YES
                                                                                            : ANEW_NO;
}

static const char *const headers[] = {"UNB", "UNH", NULL};

/* false: more bytes are needed. */
static bool step(struct edifact_reader *reader, bool last) {
    struct edi *edi = &reader->edi;
    if (!tokens_blanks(&edi->tokens, false))
        return false;
    enum anew anew = begins_anew(reader, last);
    if (UNLIKELY(anew == ANEW_WAIT))
        return false;
    if (UNLIKELY(anew == ANEW_YES)) {
        edifact_close(reader, edi_here(edi));
        edifact_search(reader);
        return true;
    }
    enum tokens_result result = tokens_next(&edi->tokens);
    if (UNLIKELY(result == TOKENS_SEGMENT && edi->tokens.wrapped))
        edi_part(edi, headers);
    if (LIKELY(result == TOKENS_SEGMENT))
        edifact_segment(reader);
    else if (result == TOKENS_LARGE)
        edi_large(edi);
    return result != TOKENS_MORE;
}

static void go_on(struct edifact_reader *reader, bool last) {
    while (reader->state == EDIFACT_SEARCH ? search(reader, last) : step(reader, last)) {
    }
}

void edifact_feed(struct edifact_reader *reader, const uint8_t *bytes, size_t length) {
    while (length > 0) {
        size_t taken = tokens_put(&reader->edi.tokens, bytes, length);
        bytes += taken;
        length -= taken;
        go_on(reader, false);
    }
}

/* The last segment has no terminator. Trailers are still good for something. */
static void rest(struct edifact_reader *reader) {
    struct edi *edi = &reader->edi;
    bool release;
    if (edi->tokens.passing > 0) {
        edi_find_here(edi, FINDING_TRUNCATED, 0);
        return;
    }
    if (!tokens_last(&edi->tokens, &release)) {
        if (release)
            edi_find_last(edi, FINDING_EDIFACT_RELEASE_AT_END);
        return;
    }
    struct value name = edi->tokens.segment.name;
    if (value_is(name, "UNZ") || value_is(name, "UNE") || value_is(name, "UNT")) {
        edi_find_last(edi, FINDING_UNTERMINATED);
        edifact_segment(reader);
    } else {
        edi_find_last(edi, FINDING_TRUNCATED);
    }
}

void edifact_end(struct edifact_reader *reader) {
    struct edi *edi = &reader->edi;
    go_on(reader, true);
    uint64_t end = tokens_end(&edi->tokens);
    edi_garbage_tell(edi);
    if (reader->state == EDIFACT_SEGMENTS)
        rest(reader);
    struct place where = edi_here(edi);
    where.offset = end;
    edifact_close(reader, where);
    edi_restart(edi);
    edifact_search(reader);
    tokens_separate(&edi->tokens, &reader->separators, false);
}
