#include "core/base/topic.h"

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/base/utf8.h"

#define XXH_INLINE_ALL
#include <string.h>
#include <xxhash.h>

enum kind { TOPIC, PATTERN };

/* One text for each reason and kind, because a static text is all that travels. */
struct texts {
    const char *field;
    const char *empty, *length, *tokens, *empty_token, *utf8, *character, *wildcard, *mailbox;
};

static const struct texts texts_of[] = {
    [TOPIC] =
        {
            .field = "topic",
            .empty = "topic is missing or empty",
            .length = "topic is longer than 255 bytes",
            .tokens = "topic has more than 16 tokens (the parts between the dots)",
            .empty_token = "topic has an empty token: two dots in a row, or a dot at an end",
            .utf8 = "topic is not valid UTF-8",
            .character = "topic has a blank, a control character or a noncharacter in it",
            .wildcard =
                "topic has '*' or '>' in it: these are for subscriptions, an event goes to exactly one topic",
            .mailbox =
                "a topic that starts with '@' is a mailbox: it needs a name behind the '@', without dots",
        },
    [PATTERN] =
        {
            .field = "patterns",
            .empty = "pattern is empty; the pattern for all topics is '>'",
            .length = "pattern is longer than 255 bytes",
            .tokens = "pattern has more than 16 tokens (the parts between the dots)",
            .empty_token = "pattern has an empty token: two dots in a row, or a dot at an end",
            .utf8 = "pattern is not valid UTF-8",
            .character = "pattern has a blank, a control character or a noncharacter in it",
            .wildcard = "pattern has a wildcard in a wrong place: '*' stands alone between dots, '>' alone "
                        "behind the "
                        "last dot",
            .mailbox =
                "a pattern that starts with '@' is a mailbox: it needs a name behind the '@', without dots",
        },
};
static_assert(TOPIC_BYTES_MAX == 255 && TOPIC_TOKENS_MAX == 16, "the texts name the limits");

static bool refuse(struct fault *fault, enum rh_code code, const char *text, const char *field) {
    *fault = (struct fault){.code = code, .text = text, .field = field};
    return false;
}

static bool blank(uint32_t code) {
    return code == 0x20 || code == 0xa0 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 ||
           code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

/* NULL, or what is wrong with the characters, one by one. */
static const char *characters_fault(const uint8_t *p, size_t n, const struct texts *texts) {
    uint32_t code;
    for (size_t i = 0; i < n;) {
        size_t size = utf8_next(p + i, n - i, &code);
        if (size == 0)
            return texts->utf8;
        if (blank(code) || utf8_control_or_nonchar(code))
            return texts->character;
        i += size;
    }
    return NULL;
}

static bool token_fits(const uint8_t *token, size_t n, bool last, enum kind kind) {
    bool has_wildcard = memchr(token, '*', n) || memchr(token, '>', n);
    if (!has_wildcard)
        return true;
    return kind == PATTERN && n == 1 && (token[0] == '*' || last);
}

/* NULL, or what is wrong with the tokens; *count is how many there are. */
static const char *tokens_fault(const uint8_t *p, size_t n, enum kind kind, size_t *count) {
    const struct texts *texts = &texts_of[kind];
    *count = 0;
    for (size_t begin = 0; begin <= n; ++*count) {
        const uint8_t *dot = memchr(p + begin, '.', n - begin);
        size_t end = dot ? (size_t)(dot - p) : n;
        if (end == begin)
            return texts->empty_token;
        if (!token_fits(p + begin, end - begin, end == n, kind))
            return texts->wildcard;
        begin = end + 1;
    }
    return NULL;
}

/* The whole grammar, slowly: decides whatever topic_plain does not know at a glance, and names the reason. */
static bool judge(const uint8_t *p, size_t n, enum kind kind, struct fault *fault) {
    const struct texts *texts = &texts_of[kind];
    if (n == 0)
        return refuse(fault, RH_CODE_INVALID, texts->empty, texts->field);
    if (n > TOPIC_BYTES_MAX)
        return refuse(fault, RH_CODE_TOO_LARGE, texts->length, texts->field);
    size_t count;
    const char *text = characters_fault(p, n, texts);
    if (!text)
        text = tokens_fault(p, n, kind, &count);
    if (text)
        return refuse(fault, RH_CODE_INVALID, text, texts->field);
    if (count > TOPIC_TOKENS_MAX)
        return refuse(fault, RH_CODE_TOO_LARGE, texts->tokens, texts->field);
    if (p[0] == '@' && (n == 1 || count > 1))
        return refuse(fault, RH_CODE_INVALID, texts->mailbox, texts->field);
    if (p[0] == '$' && kind == TOPIC)
        return refuse(fault, RH_CODE_INVALID, "topic starts with '$': such topics are the router's own",
                      "topic");
    return true;
}

/* ---- topics of ASCII at a glance: sixteen bytes at a time ---- */

typedef int8_t block __attribute__((vector_size(16)));
typedef char block_chars __attribute__((vector_size(16)));
typedef int64_t block_words __attribute__((vector_size(16)));

/* One bit for each byte of a comparison's result. */
static inline uint32_t block_bits(block result) {
#ifdef __SSE2__
    return (uint32_t)__builtin_ia32_pmovmskb128((block_chars)result);
#else
    uint32_t bits = 0;
    for (uint32_t i = 0; i < sizeof result; ++i)
        bits |= (uint32_t)(result[i] & 1) << i;
    return bits;
#endif
}

/* 0 to 7 bytes, and then letters. */
static inline uint64_t word_load_lettered(const uint8_t *p, size_t n) {
    return word_load_short(p, n) | WORD_ONES * 'x' << (8 * n);
}

/* `n` bytes, fewer than a block, and then letters. Put together in registers: a block that is loaded from two
 * words just stored waits for both stores (a third of the whole scan, when measured). */
static inline block block_load_short(const uint8_t *p, size_t n) {
    bool whole = n >= sizeof(uint64_t);
    block_words words = {
        (int64_t)(whole ? word_load(p) : word_load_lettered(p, n)),
        (int64_t)(whole ? word_load_lettered(p + sizeof(uint64_t), n - sizeof(uint64_t)) : WORD_ONES * 'x')};
    return (block)words;
}

/* What topic_plain knows so far. */
struct glance {
    uint32_t faults; /* not 0: something that only judge can decide */
    uint32_t before; /* 1 if the last byte was a dot, or there was none */
    uint32_t dots;   /* how many, if there may be too many */
    bool counts;
};

/* Looks at a block without its first `seen` bytes. Signed, every byte beyond ASCII is below '!'. */
static inline void glance_block(struct glance *glance, block bytes, size_t seen) {
    uint32_t odd = block_bits((bytes < '!') | (bytes == 0x7f) | (bytes == '*') | (bytes == '>')) >> seen;
    uint32_t dots = block_bits(bytes == '.') >> seen;
    glance->faults |= odd | (dots & (dots << 1 | glance->before));
    glance->before = dots >> (sizeof bytes - 1);
    if (UNLIKELY(glance->counts))
        glance->dots += (uint32_t)__builtin_popcount(dots);
}

/* True for a topic of ASCII that is surely right: one pass. False says nothing. */
static inline bool topic_plain(const uint8_t *p, size_t n) {
    if (n == 0 || n > TOPIC_BYTES_MAX || p[0] == '$' || p[0] == '@' || p[n - 1] == '.')
        return false;
    struct glance glance = {.before = 1, .counts = n > 2 * TOPIC_TOKENS_MAX};
    block bytes;
    if (n < sizeof bytes) {
        glance_block(&glance, block_load_short(p, n), 0);
    } else {
        size_t i = 0;
        for (; i + sizeof bytes <= n; i += sizeof bytes) {
            memcpy(&bytes, p + i, sizeof bytes);
            glance_block(&glance, bytes, 0);
        }
        memcpy(&bytes, p + n - sizeof bytes, sizeof bytes);
        glance_block(&glance, bytes, i + sizeof bytes - n);
    }
    return glance.faults == 0 && glance.dots < TOPIC_TOKENS_MAX;
}

bool topic_valid(const uint8_t *p, size_t n, struct fault *fault) {
    return LIKELY(topic_plain(p, n)) || judge(p, n, TOPIC, fault);
}

bool pattern_valid(const uint8_t *p, size_t n, struct fault *fault) {
    return judge(p, n, PATTERN, fault);
}

bool pattern_wild(const uint8_t *p, size_t n) {
    return memchr(p, '*', n) || p[n - 1] == '>';
}

static size_t token_length(const uint8_t *p, size_t n) {
    const uint8_t *dot = memchr(p, '.', n);
    return dot ? (size_t)(dot - p) : n;
}

/* Whether the tokens agree from here on; steps both over a token at a time. */
static bool tokens_match(const uint8_t *pattern, size_t pattern_n, const uint8_t *topic, size_t topic_n) {
    for (;;) {
        size_t pattern_token = token_length(pattern, pattern_n);
        size_t topic_token = token_length(topic, topic_n);
        if (pattern_n == 1 && pattern[0] == '>')
            return true;
        bool any = pattern_token == 1 && pattern[0] == '*';
        if (!any && (pattern_token != topic_token || memcmp(pattern, topic, topic_token) != 0))
            return false;
        if (pattern_token == pattern_n || topic_token == topic_n)
            return pattern_token == pattern_n && topic_token == topic_n;
        pattern += pattern_token + 1;
        pattern_n -= pattern_token + 1;
        topic += topic_token + 1;
        topic_n -= topic_token + 1;
    }
}

bool pattern_matches(const uint8_t *pattern, size_t pattern_n, const uint8_t *topic, size_t topic_n) {
    bool leading_wildcard = pattern[0] == '*' || pattern[0] == '>';
    bool set_apart = topic[0] == '$' || topic[0] == '@';
    return !(leading_wildcard && set_apart) && tokens_match(pattern, pattern_n, topic, topic_n);
}

/* The token at the front of what is left, which is not empty; and what is left behind it. */
static size_t token_take(const uint8_t **p, size_t *n, const uint8_t **token) {
    const uint8_t *dot = memchr(*p, '.', *n);
    size_t length = dot ? (size_t)(dot - *p) : *n;
    size_t used = dot ? length + 1 : length;
    *token = *p;
    *p += used;
    *n -= used;
    return length;
}

static bool token_is(const uint8_t *token, size_t n, char c) {
    return n == 1 && token[0] == (uint8_t)c;
}

bool patterns_meet(const uint8_t *a, size_t a_n, const uint8_t *b, size_t b_n) {
    bool a_wild = a[0] == '*' || a[0] == '>', b_wild = b[0] == '*' || b[0] == '>';
    if ((a_wild && (b[0] == '$' || b[0] == '@')) || (b_wild && (a[0] == '$' || a[0] == '@')))
        return false;
    while (a_n && b_n) {
        const uint8_t *token, *other;
        size_t n = token_take(&a, &a_n, &token), other_n = token_take(&b, &b_n, &other);
        if (token_is(token, n, '>') || token_is(other, other_n, '>'))
            return true;
        bool same = n == other_n && memcmp(token, other, n) == 0;
        if (!same && !token_is(token, n, '*') && !token_is(other, other_n, '*'))
            return false;
    }
    return !a_n && !b_n;
}

uint64_t topic_hash(const uint8_t *p, size_t n, uint64_t slot_seed) {
    return XXH3_64bits_withSeed(p, n, slot_seed);
}
