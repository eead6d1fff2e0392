#include "codecs/edi/x12.h"

#include "codecs/edi/x12_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FRAGMENT_BYTES 1024u /* in which a fragment's terminator must be seen */

/* ---- made and destroyed ---- */

int x12_create(struct x12_reader **reader, const struct document_sink *sink, const struct profile *profile) {
    static const struct separators usual = {'>', '*', 0, 0, '~'};
    struct x12_reader *made = malloc(sizeof *made);
    if (!made)
        return -ENOMEM;
    memset(made, 0, sizeof *made);
    if (edi_init(&made->edi, sink, profile) != 0) {
        free(made);
        return -ENOMEM;
    }
    made->edi.tokens.counted = true;
    tokens_separate(&made->edi.tokens, &usual, false);
    *reader = made;
    return 0;
}

void x12_destroy(struct x12_reader *reader) {
    if (!reader)
        return;
    edi_deinit(&reader->edi);
    free(reader);
}

/* ---- the search for an interchange ---- */

static const uint8_t bom[3] = {0xef, 0xbb, 0xbf};

/* ISA, with all its separators, from here on. */
static enum isa_result isa_here(const struct x12_reader *reader, bool last, struct isa *isa) {
    const struct tokens *tokens = &reader->edi.tokens;
    return isa_read(tokens_bytes(tokens), tokens_left(tokens), last, isa);
}

/* How many bytes from `p` on belong to nothing: up to the next ISA. */
static uint32_t garbage_of(const uint8_t *p, uint32_t n, bool last) {
    struct isa isa;
    for (uint32_t i = 1; i < n; i++) {
        const uint8_t *found = memchr(p + i, 'I', n - i);
        if (!found)
            return n;
        i = (uint32_t)(found - p);
        if (isa_read(found, n - i, last, &isa) != ISA_NONE)
            return i;
    }
    return n;
}

/* GS or ST without ISA: the separators are those that seem to be there. */
static bool fragment_begins(struct x12_reader *reader, const uint8_t *p, uint32_t n) {
    struct separators separators = {.component = '>', .element = n > 2 ? p[2] : 0, .terminator = '~'};
    bool tag = n > 2 && (memcmp(p, "GS", 2) == 0 || memcmp(p, "ST", 2) == 0);
    if (!tag || !(separators.element == '*' || separators.element == '|'))
        return false;
    if (n > FRAGMENT_BYTES)
        n = FRAGMENT_BYTES;
    if (!memchr(p, '~', n))
        separators.terminator = '\n';
    if (!memchr(p, separators.terminator, n))
        return false;
    tokens_separate(&reader->edi.tokens, &separators, false);
    reader->state = X12_SEGMENTS;
    return true;
}

/* false: more bytes are needed to say. */
static bool search(struct x12_reader *reader, bool last) {
    struct edi *edi = &reader->edi;
    struct tokens *tokens = &edi->tokens;
    struct isa isa;
    if (edi->garbage == 0 && !tokens_blanks(tokens, true))
        return false;
    const uint8_t *p = tokens_bytes(tokens);
    uint32_t n = tokens_left(tokens);
    uint64_t garbage = reader->edi.garbage;
    if (n == 0)
        return false;
    enum isa_result result = isa_here(reader, last, &isa);
    if (result == ISA_MORE || (n < sizeof bom && !last))
        return false;
    if (result == ISA_FOUND) {
        edi_garbage_tell(edi);
        x12_interchange(reader, &isa);
        reader->state = X12_SEGMENTS;
        return true;
    }
    if (n >= sizeof bom && garbage == 0 && memcmp(p, bom, sizeof bom) == 0) {
        edi_find_here(edi, FINDING_BOM, sizeof bom);
        tokens_consume(tokens, sizeof bom);
        return true;
    }
    bool may_be_fragment = garbage == 0 && (p[0] == 'G' || p[0] == 'S');
    if (may_be_fragment && n < FRAGMENT_BYTES && !last)
        return false;
    if (!may_be_fragment || !fragment_begins(reader, p, n))
        edi_garbage(edi, garbage_of(p, n, last));
    return true;
}

/* ---- segments ---- */

static const char *const headers[] = {"ISA", NULL};

/* false: more bytes are needed. */
static bool step(struct x12_reader *reader, bool last) {
    struct edi *edi = &reader->edi;
    struct isa isa;
    if (!tokens_blanks(&edi->tokens, false))
        return false;
    if (UNLIKELY(*tokens_bytes(&edi->tokens) == 'I')) {
        enum isa_result found = isa_here(reader, last, &isa);
        if (found == ISA_MORE)
            return false;
        if (found == ISA_FOUND) {
            x12_interchange(reader, &isa);
            return true;
        }
    }
    enum tokens_result result = tokens_next(&edi->tokens);
    if (UNLIKELY(result == TOKENS_SEGMENT && edi->tokens.wrapped))
        edi_part(edi, headers);
    if (LIKELY(result == TOKENS_SEGMENT))
        x12_segment(reader);
    else if (result == TOKENS_LARGE)
        edi_large(edi);
    return result != TOKENS_MORE;
}

static void go_on(struct x12_reader *reader, bool last) {
    while (reader->state == X12_SEARCH ? search(reader, last) : step(reader, last)) {
    }
}

void x12_feed(struct x12_reader *reader, const uint8_t *bytes, size_t length) {
    while (length > 0) {
        size_t taken = tokens_put(&reader->edi.tokens, bytes, length);
        bytes += taken;
        length -= taken;
        go_on(reader, false);
    }
}

/* The last segment has no terminator. Trailers are still good for something. */
static void rest(struct x12_reader *reader) {
    struct edi *edi = &reader->edi;
    bool release;
    if (edi->tokens.passing > 0) {
        edi_find_here(edi, FINDING_TRUNCATED, 0);
        return;
    }
    if (!tokens_last(&edi->tokens, &release))
        return;
    struct value name = edi->tokens.segment.name;
    if (value_is(name, "IEA") || value_is(name, "GE") || value_is(name, "SE")) {
        edi_find_last(edi, FINDING_UNTERMINATED);
        x12_segment(reader);
    } else {
        edi_find_last(edi, FINDING_TRUNCATED);
    }
}

void x12_end(struct x12_reader *reader) {
    struct edi *edi = &reader->edi;
    go_on(reader, true);
    uint64_t end = tokens_end(&edi->tokens);
    edi_garbage_tell(edi);
    if (reader->state == X12_SEGMENTS)
        rest(reader);
    struct place where = edi_here(edi);
    where.offset = end;
    x12_close(reader, where);
    edi_restart(edi);
    reader->state = X12_SEARCH;
}
