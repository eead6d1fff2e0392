/* fuzz: topic_valid, pattern_valid, pattern_matches */
// check: runs=500000 max_len=600 timeout=5

/* A pattern, a zero byte, a topic. The grammar is told once more from the header's words, in the plainest
 * way. */
#include "core/base/topic.h"

#include "core/base/check.h"
#include "core/base/limits.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct text {
    const uint8_t *p;
    size_t n;
};

/* The tokens of a text; one more than may be is enough to know. */
struct tokens {
    struct text at[TOPIC_TOKENS_MAX + 1];
    size_t count;
};

static struct tokens split(struct text text) {
    struct tokens tokens = {.count = 0};
    size_t begin = 0;
    for (size_t i = 0; i <= text.n && tokens.count <= TOPIC_TOKENS_MAX; ++i)
        if (i == text.n || text.p[i] == '.') {
            tokens.at[tokens.count++] = (struct text){text.p + begin, i - begin};
            begin = i + 1;
        }
    return tokens;
}

static bool has(struct text text, char c) {
    return text.n && memchr(text.p, c, text.n);
}

/* UTF-8 without blanks, controls and noncharacters, decoded by lead byte and count. */
static bool printable(struct text text) {
    for (size_t i = 0; i < text.n;) {
        uint8_t lead = text.p[i];
        size_t more = lead < 0x80 ? 0 : lead >= 0xc0 && lead < 0xe0 ? 1 : lead >= 0xe0 && lead < 0xf0 ? 2 : 3;
        if ((lead >= 0x80 && lead < 0xc0) || lead >= 0xf8 || i + more >= text.n)
            return false;
        static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        uint32_t code = lead < 0x80 ? lead : lead & (0x3fu >> more);
        for (size_t k = 1; k <= more; ++k) {
            if (text.p[i + k] >> 6 != 2)
                return false;
            code = code << 6 | (text.p[i + k] & 0x3f);
        }
        bool encoded = code >= least[more] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
        bool blank = code == ' ' || code == 0xa0 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 ||
                     code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
        bool control = code < 0x20 || (code >= 0x7f && code <= 0x9f);
        bool nonchar = (code & 0xfffe) == 0xfffe || (code >= 0xfdd0 && code <= 0xfdef);
        if (!encoded || blank || control || nonchar)
            return false;
        i += more + 1;
    }
    return true;
}

static bool wildcards_fit(const struct tokens *tokens, bool pattern) {
    for (size_t i = 0; i < tokens->count; ++i) {
        struct text token = tokens->at[i];
        bool star = has(token, '*'), rest = has(token, '>');
        if (!star && !rest)
            continue;
        if (!pattern || token.n != 1 || (rest && i + 1 != tokens->count))
            return false;
    }
    return true;
}

static bool grammar(struct text text, bool pattern) {
    if (text.n == 0 || text.n > TOPIC_BYTES_MAX || !printable(text))
        return false;
    struct tokens tokens = split(text);
    for (size_t i = 0; i < tokens.count; ++i)
        if (tokens.at[i].n == 0)
            return false;
    if (tokens.count > TOPIC_TOKENS_MAX || !wildcards_fit(&tokens, pattern))
        return false;
    if (text.p[0] == '@' && (tokens.count > 1 || text.n == 1))
        return false;
    return pattern || text.p[0] != '$';
}

static bool token_matches(struct text pattern, struct text topic) {
    bool any = pattern.n == 1 && pattern.p[0] == '*';
    return any || (pattern.n == topic.n && memcmp(pattern.p, topic.p, topic.n) == 0);
}

static bool meaning(struct text pattern, struct text topic) {
    struct tokens p = split(pattern), t = split(topic);
    bool leading = p.at[0].n == 1 && (p.at[0].p[0] == '*' || p.at[0].p[0] == '>');
    if (leading && (topic.p[0] == '$' || topic.p[0] == '@'))
        return false;
    bool open = p.at[p.count - 1].n == 1 && p.at[p.count - 1].p[0] == '>';
    size_t fixed = p.count - open;
    if (open ? t.count <= fixed : t.count != fixed)
        return false;
    for (size_t i = 0; i < fixed; ++i)
        if (!token_matches(p.at[i], t.at[i]))
            return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fault fault = {0};
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    struct text pattern = {data, zero ? (size_t)(zero - data) : size};
    struct text topic = {zero ? zero + 1 : data, zero ? size - pattern.n - 1 : size};
    bool pattern_good = pattern_valid(pattern.p, pattern.n, &fault);
    CHECK(pattern_good || (fault.text && strcmp(fault.field, "patterns") == 0));
    bool topic_good = topic_valid(topic.p, topic.n, &fault);
    CHECK(topic_good || (fault.text && strcmp(fault.field, "topic") == 0));
    CHECK(pattern_good == grammar(pattern, true));
    CHECK(topic_good == grammar(topic, false));
    if (!topic_good)
        return 0;
    CHECK(utf8_valid(topic.p, topic.n) && pattern_valid(topic.p, topic.n, &fault));
    CHECK(!pattern_wild(topic.p, topic.n) && pattern_matches(topic.p, topic.n, topic.p, topic.n));
    if (!pattern_good)
        return 0;
    bool matches = pattern_matches(pattern.p, pattern.n, topic.p, topic.n);
    CHECK(matches == meaning(pattern, topic));
    CHECK(pattern_wild(pattern.p, pattern.n) ||
          matches == (pattern.n == topic.n && !memcmp(pattern.p, topic.p, topic.n)));
    return 0;
}
