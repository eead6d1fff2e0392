#include "codecs/document/finding.h"

#include "core/base/check.h"

#include <string.h>

#define PIVOT_DEFAULT        70u
#define FINDINGS_MAX_DEFAULT 100u
#define SEGMENT_MAX_DEFAULT  (64u * 1024u)
#define SEGMENTS_MAX_DEFAULT 1000000u
#define MESSAGES_MAX_DEFAULT 1000000u

static const struct finding_kind kinds[FINDING_CODES] = {
#define CODE(symbol, name, rule, edifact, x12, text, hint)                                                   \
    [FINDING_##symbol] = {name, rule, edifact, x12, text, hint},
#include "codecs/document/codes.def"
#undef CODE
};

const struct finding_kind *finding_kind(enum finding_code code) {
    CHECK(code < FINDING_CODES);
    return &kinds[code];
}

enum finding_code finding_named(const char *name) {
    enum finding_code code = 0;
    while (code < FINDING_CODES && strcmp(kinds[code].name, name) != 0)
        code++;
    return code;
}

static bool bit(const uint64_t *bits, enum finding_code code) {
    return bits[code / 64] >> code % 64 & 1;
}

static void bit_set(uint64_t *bits, enum finding_code code) {
    bits[code / 64] |= UINT64_C(1) << code % 64;
}

bool profile_tolerate(struct profile *profile, enum finding_code code) {
    if (finding_kind(code)->rule != FINDING_TOLERABLE)
        return false;
    bit_set(profile->tolerated, code);
    return true;
}

bool profile_refuse(struct profile *profile, enum finding_code code) {
    if (finding_kind(code)->rule != FINDING_IS_NOTE)
        return false;
    bit_set(profile->refused, code);
    return true;
}

void profile_tolerate_all(struct profile *profile) {
    for (enum finding_code code = 0; code < FINDING_CODES; code++)
        (void)profile_tolerate(profile, code);
}

struct profile profile_limits(const struct profile *profile) {
    struct profile full = profile ? *profile : (struct profile){0};
    if (full.pivot == 0)
        full.pivot = PIVOT_DEFAULT;
    if (full.findings_max == 0)
        full.findings_max = FINDINGS_MAX_DEFAULT;
    if (full.segment_max == 0)
        full.segment_max = SEGMENT_MAX_DEFAULT;
    if (full.segments_max == 0)
        full.segments_max = SEGMENTS_MAX_DEFAULT;
    if (full.messages_max == 0)
        full.messages_max = MESSAGES_MAX_DEFAULT;
    return full;
}

enum finding_severity finding_severity(const struct profile *profile, enum finding_code code) {
    switch (finding_kind(code)->rule) {
    case FINDING_IS_NOTE:
        return bit(profile->refused, code) ? FINDING_ERROR : FINDING_NOTE;
    case FINDING_TOLERABLE:
        return bit(profile->tolerated, code) ? FINDING_WARNING : FINDING_ERROR;
    case FINDING_IS_ERROR:
        break;
    }
    return FINDING_ERROR;
}
