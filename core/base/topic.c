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

/* Marks (0x80) at the bytes of an ASCII word that equal `byte`. */
static inline uint64_t word_equal(uint64_t word, uint8_t byte) {
    return ~((word ^ WORD_ONES * byte) + WORD_ONES * 0x7f) & WORD_HIGHS;
}

/* What topic_plain knows of the bytes before the present word. */
struct glance {
    uint64_t odd;   /* not 0: something that only judge can decide */
    uint64_t dots;  /* how many, counted in eight lanes */
    uint64_t carry; /* 0x80 if the last byte was a dot, or there was none */
};

static inline void glance_word(struct glance *glance, uint64_t word) {
    uint64_t dots = word_equal(word, '.');
    glance->odd |= word_unclean(word, '!') | word_equal(word, '*') | word_equal(word, '>');
    glance->odd |= dots & (dots << 8 | glance->carry);
    glance->dots += dots >> 7;
    glance->carry = dots >> 56;
}

/* True for a topic of ASCII that is surely right: one pass, a word at a time. False says nothing. */
static inline bool topic_plain(const uint8_t *p, size_t n) {
    if (n == 0 || n > TOPIC_BYTES_MAX || p[0] == '$' || p[0] == '@' || p[n - 1] == '.')
        return false;
    struct glance glance = {.carry = 0x80};
    size_t rest = n & 7;
    for (size_t i = 0; i + 8 <= n; i += 8)
        glance_word(&glance, word_load(p + i));
    if (rest) {
        uint64_t word = n > 8 ? word_load(p + n - 8) >> (64 - 8 * rest) : word_load_short(p, n);
        glance_word(&glance, word | WORD_ONES * '!' << (8 * rest));
    }
    return glance.odd == 0 && (glance.dots * WORD_ONES) >> 56 < TOPIC_TOKENS_MAX;
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

uint64_t topic_hash(const uint8_t *p, size_t n, uint64_t slot_seed) {
    return XXH3_64bits_withSeed(p, n, slot_seed);
}
