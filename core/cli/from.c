#include "core/cli/from.h"

#include "codecs/event/rfc3339.h"
#include "core/base/limits.h"
#include "core/cli/args.h"
#include "core/config/config.h"

#include <string.h>

static bool from_ago(const char *text, uint64_t now_ns, rh_subscribe_options *options, const char **why) {
    uint64_t ago_ns;
    if (!config_time_parse(text, strlen(text), &ago_ns)) {
        *why = "behind the '-' stands how long ago, such as 90s, 5m or 24h";
        return false;
    }
    if (ago_ns > now_ns) {
        *why = "that is before 1970";
        return false;
    }
    options->start = RH_START_TIME;
    options->time_ns = now_ns - ago_ns;
    return true;
}

static bool from_time(const char *text, rh_subscribe_options *options, const char **why) {
    int64_t seconds;
    uint32_t nanos;
    if (!rfc3339_read(text, strlen(text), &seconds, &nanos)) {
        *why =
            "write live, oldest, last, a sequence, a time such as 2026-11-27T09:30:00Z, or how long ago: -5m";
        return false;
    }
    if (seconds < 0 || (uint64_t)seconds > UINT64_MAX / NS_PER_S - 1) {
        *why = "a time lies in the years 1970 to 2553";
        return false;
    }
    options->start = RH_START_TIME;
    options->time_ns = (uint64_t)seconds * NS_PER_S + nanos;
    return true;
}

bool from_read(const char *text, uint64_t now_ns, rh_subscribe_options *options, const char **why) {
    static const struct {
        const char *word;
        enum rh_start start;
    } words[] = {{"live", RH_START_LIVE}, {"oldest", RH_START_OLDEST}, {"last", RH_START_LAST}};
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(text, words[i].word) == 0) {
            options->start = words[i].start;
            return true;
        }
    if (text[0] == '-')
        return from_ago(text + 1, now_ns, options, why);
    if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text))
        return from_time(text, options, why);
    options->start = RH_START_SEQUENCE;
    *why = "a sequence is a whole number from 1 on, as sub prints it";
    return args_number(text, 1, UINT64_MAX, &options->sequence);
}
