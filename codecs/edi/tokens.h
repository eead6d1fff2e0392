/* tokens.h: segments of bytes that come in pieces: what EDIFACT and X12 have in common below their envelopes.
 * Owner: the reader that has it inside; a segment is lent until the next call. Thread: the one that feeds.
 * Nothing blocks. Memory is allocated at tokens_init only: a window of the longest segment and some more,
 * into which the bytes are copied, so that any split of the input gives the same segments. Fails with -ENOMEM
 * at tokens_init; bad input is a flag or a result. */
#pragma once

#include "codecs/document/marks.h"
#include "codecs/document/segment.h"

#include "core/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKENS_ELEMENTS_MAX   256u  /* of one segment, with repetitions; real ones have 30 */
#define TOKENS_COMPONENTS_MAX 1024u /* of one segment */
#define TOKENS_BLOCK          2048u /* bytes whose marks are found at a time: they stay in the cache */

/* 0: there is none. */
struct separators {
    uint8_t component;
    uint8_t element;
    uint8_t repetition;
    uint8_t release;
    uint8_t terminator;
};

enum tokens_result {
    TOKENS_MORE,    /* what is there is no whole segment */
    TOKENS_SEGMENT, /* tokens.segment */
    TOKENS_LARGE,   /* a segment that is longer than allowed; it is passed over */
};

/* Fields are private to tokens.c, except those that say so. */
struct tokens {
    /* the window: bytes [start, end) are not consumed yet */
    uint8_t *bytes;
    uint32_t start, end, capacity, segment_max;
    uint64_t base;     /* readable: where in the file bytes[0] is */
    uint64_t passing;  /* bytes that are to be passed over unread */
    uint32_t searched; /* no terminator before this */
    uint32_t pending;  /* a release character without what it releases, or the end */
    uint32_t line;     /* readable: of `start` */
    bool lent;         /* the last result was a segment */
    bool dropping;     /* inside a segment that is too long */
    bool counted;      /* BIN and BDS say how long they are */
    /* marks of [.., marked) that are not consumed */
    uint32_t marked, mark_count, mark_at;
    bool block_odd;
    struct marks_set set;
    struct separators separators; /* readable */
    uint8_t kinds[256];
    /* the last segment, all readable */
    struct segment segment;                           /* its place has no segment numbers yet */
    bool odd;                                         /* it may have bytes that are not printable ASCII */
    bool wrapped;                                     /* it has line breaks inside */
    bool trailing;                                    /* it has separators that separate nothing */
    bool too_many;                                    /* it has more elements than are kept */
    bool indented;                                    /* blanks stand before it */
    bool binary;                                      /* it has counted bytes */
    bool binary_wrong;                                /* the counted bytes do not end with the segment */
    struct element elements[TOKENS_ELEMENTS_MAX + 2]; /* the first one is the tag */
    struct value components[TOKENS_COMPONENTS_MAX + 2];
    uint32_t marks[TOKENS_BLOCK + 64];
};

int tokens_init(struct tokens *tokens, uint32_t segment_max) MUST_USE;
void tokens_deinit(struct tokens *tokens);

/* Forgets all bytes: another file begins. */
void tokens_restart(struct tokens *tokens);

/* How many of the bytes were taken: all, or as many as there is room. After TOKENS_MORE there is room. */
size_t tokens_put(struct tokens *tokens, const uint8_t *bytes, size_t n);

void tokens_separate(struct tokens *tokens, const struct separators *separators, bool level_a);

enum tokens_result tokens_next(struct tokens *tokens);

/* At the end of the file: what is left as if it had its terminator. false: there is nothing, or it can not be
 * ended, because it ends with a release character (*release). */
bool tokens_last(struct tokens *tokens, bool *release);

/* Passes over so many bytes from `start` on. */
void tokens_pass(struct tokens *tokens, uint64_t n);

/* Cuts the segment's bytes, changed by the caller, anew: into the same arrays. */
void tokens_again(struct tokens *tokens, const uint8_t *bytes, uint32_t n);

/* Ends the segment after n bytes of it, as if there were a terminator; what follows is read as the next one.
 */
void tokens_end_at(struct tokens *tokens, uint32_t n);

/* Where in the file a byte of the segment is; the segment's own place if it was cut anew. */
uint64_t tokens_offset(const struct tokens *tokens, const uint8_t *byte);

/* ---- for the search for an interchange ---- */

static inline const uint8_t *tokens_bytes(const struct tokens *tokens) {
    return tokens->bytes + tokens->start;
}

static inline uint32_t tokens_left(const struct tokens *tokens) {
    return tokens->end - tokens->start;
}

static inline uint64_t tokens_at(const struct tokens *tokens) {
    return tokens->base + tokens->start;
}

static inline uint64_t tokens_end(const struct tokens *tokens) {
    return tokens->base + tokens->end;
}

/* Passes over blanks and line breaks, up to the next segment; over those that are separators only if `all`
 * are meant. false: nothing of the segment is there yet. To be called before tokens_next. */
bool tokens_blanks(struct tokens *tokens, bool all);

/* Consumes n bytes, all of which are there. */
void tokens_consume(struct tokens *tokens, uint32_t n);

/* Makes a segment of these values, the name first, that stand in the next `length` bytes, and consumes them.
 */
void tokens_made(struct tokens *tokens, const struct value *values, uint32_t count, uint32_t length);
