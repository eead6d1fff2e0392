/* Where a subscription begins, as `sub --from` says it. */
#include "core/cli/from.h"
#include "core/base/limits.h"

#include <criterion/criterion.h>
#include <string.h>

#define NOW (UINT64_C(1700000000) * NS_PER_S)

static rh_subscribe_options read_as(const char *text) {
    rh_subscribe_options options = {.policy = RH_SLOW_SKIP};
    const char *why = NULL;
    cr_assert(from_read(text, NOW, &options, &why), "%s: %s", text, why);
    cr_assert(options.policy == RH_SLOW_SKIP, "nothing else is touched");
    return options;
}

Test(from, takes_words_sequences_and_times) {
    cr_expect(read_as("live").start == RH_START_LIVE);
    cr_expect(read_as("oldest").start == RH_START_OLDEST);
    cr_expect(read_as("last").start == RH_START_LAST);
    rh_subscribe_options sequence = read_as("281474976710657");
    cr_expect(sequence.start == RH_START_SEQUENCE && sequence.sequence == UINT64_C(281474976710657));
    cr_expect(read_as("18446744073709551615").sequence == UINT64_MAX);
}

Test(from, takes_times_as_rfc_3339_and_as_so_long_ago) {
    static const struct {
        const char *text;
        uint64_t ns;
    } times[] = {{"-5m", NOW - 300 * NS_PER_S},
                 {"-1ms", NOW - NS_PER_MS},
                 {"-0", NOW},
                 {"-24h", NOW - 86400 * NS_PER_S},
                 {"1970-01-01T00:00:00Z", 0},
                 {"2023-11-14T22:13:20Z", NOW},
                 {"2023-11-14T23:13:20.5+01:00", NOW + NS_PER_S / 2},
                 {"2553-12-31T23:59:59Z", UINT64_C(18429292799) * NS_PER_S}};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        rh_subscribe_options options = read_as(times[i].text);
        cr_expect(options.start == RH_START_TIME && options.time_ns == times[i].ns, "%s: %lu", times[i].text,
                  (unsigned long)options.time_ns);
    }
}

Test(from, refuses_all_else_with_what_to_write) {
    static const struct {
        const char *text;
        const char *part;
    } bad[] = {{"", "write live"},
               {"yesterday", "write live"},
               {"Live", "write live"},
               {"5m", "write live"},
               {" 5", "write live"},
               {"2023-11-14", "write live"},
               {"2023-13-14T22:13:20Z", "write live"},
               {"1969-12-31T23:59:59Z", "1970"},
               {"9999-12-31T23:59:59Z", "2553"},
               {"-", "how long ago"},
               {"-5", "how long ago"},
               {"-5d", "how long ago"},
               {"--5m", "how long ago"},
               {"-500000h", "before 1970"},
               {"0", "from 1 on"},
               {"18446744073709551616", "from 1 on"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rh_subscribe_options options = {0};
        const char *why = NULL;
        cr_expect(!from_read(bad[i].text, NOW, &options, &why), "%s", bad[i].text);
        cr_expect(why != NULL && strstr(why, bad[i].part), "%s: %s", bad[i].text, why);
    }
}
