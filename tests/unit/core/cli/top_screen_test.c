/* What `top` shows: it fits, it is sorted, and nothing in a name reaches the terminal that it would obey. */
#include "core/cli/top_screen.h"

#include "core/base/limits.h"
#include "core/base/utf8.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static json_t *json(const char *text) {
    json_t *value = json_loads(text, 0, NULL);
    cr_assert_not_null(value, "%s", text);
    return value;
}

static const char SHARDS[] =
    "{\"shards\":[{\"shard\":0,\"connections\":12,\"subscriptions\":3,\"laggards\":1,\"lagging\":1,"
    "\"events_in_total\":%d,\"events_appended_total\":%d,\"deliveries_total\":%d,\"deliveries_bytes_total\":"
    "0,"
    "\"busy_ratio\":0.25,\"log\":{\"records\":1000,\"oldest\":1,\"produced\":501}}]}";
static const char TOPICS[] =
    "{\"topics\":[{\"topic\":\"b.rare\",\"rate_per_s\":0.4,\"bytes_per_s\":10,\"events_kept\":4,\"shard\":0,"
    "\"class\":\"memory\"},{\"topic\":\"z.often\",\"rate_per_s\":1234567,\"bytes_per_s\":99950000,"
    "\"events_kept\":12,\"shard\":0,\"class\":\"disk\"}]}";
static const char SUBSCRIPTIONS[] =
    "{\"subscriptions\":[{\"client\":\"fast\",\"connection\":\"0.1\",\"patterns\":[\"a\",\"b.*\"],\"lag_ms\":"
    "0,"
    "\"lag_events\":0,\"lag_bytes\":0,\"drain_per_s\":500,\"last_write_ms\":10,\"lagging\":false},"
    "{\"client\":\"slow\",\"connection\":\"0.2\",\"queue\":\"orders\",\"patterns\":[],\"lag_ms\":65000,"
    "\"lag_events\":1500,\"lag_bytes\":2000000,\"drain_per_s\":0,\"last_write_ms\":3700000,\"lagging\":true}]"
    "}";

static struct top_look look(int total, uint64_t mono_ns, const char *topics, const char *subscriptions) {
    char text[1000];
    (void)snprintf(text, sizeof text, SHARDS, total, total, 2 * total);
    return (struct top_look){.shards = json(text),
                             .topics = json(topics),
                             .subscriptions = json(subscriptions),
                             .mono_ns = mono_ns};
}

static void look_free(struct top_look *gone) {
    json_decref(gone->shards);
    json_decref(gone->topics);
    json_decref(gone->subscriptions);
}

/* What is drawn of two looks two seconds apart; the caller frees it. */
static char *drawn(struct top_screen screen, const char *topics, const char *subscriptions) {
    struct top_look before = look(100, NS_PER_S, topics, subscriptions);
    struct top_look now = look(2100, 3 * NS_PER_S, topics, subscriptions);
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    cr_assert_not_null(out);
    screen.address = "127.0.0.1:4480";
    top_draw(out, &screen, &before, &now);
    (void)fclose(out);
    look_free(&before);
    look_free(&now);
    return text;
}

static void has(const char *text, const char *part) {
    cr_expect(strstr(text, part) != NULL, "no '%s' in:\n%s", part, text);
}

static void before(const char *text, const char *first, const char *second) {
    const char *a = strstr(text, first), *b = strstr(text, second);
    cr_expect(a != NULL && b != NULL && a < b, "not '%s' before '%s' in:\n%s", first, second, text);
}

Test(top_screen, has_rates_between_two_looks) {
    char *text = drawn((struct top_screen){0}, TOPICS, SUBSCRIPTIONS);
    has(text, "127.0.0.1:4480  shards 1  connections 12  in 1.0k/s  out 2.0k/s  lagging 1");
    has(text, "    0   25%     1.0k      2.0k         0          12        3       1   50%");
    has(text, "1.2M      100M       12     0 disk   z.often");
    has(text, "!     1m");
    has(text, "1.5k     2.0M        0      1h 0.2      slow                 orders");
    has(text, "fast                 a b.*");
    free(text);
    struct top_look none = {0}, now = look(2100, 3 * NS_PER_S, TOPICS, SUBSCRIPTIONS);
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    top_draw(out, &(struct top_screen){.address = "a"}, &none, &now);
    (void)fclose(out);
    has(text, "in 0/s  out 0/s"); /* nothing to compare with */
    look_free(&now);
    free(text);
}

Test(top_screen, sorts_as_it_is_told) {
    char *text = drawn((struct top_screen){.sort = TOP_LAG}, TOPICS, SUBSCRIPTIONS);
    before(text, "z.often", "b.rare");
    before(text, "slow", "fast");
    free(text);
    text = drawn((struct top_screen){.sort = TOP_RATE}, TOPICS, SUBSCRIPTIONS);
    before(text, "z.often", "b.rare");
    before(text, "fast", "slow");
    free(text);
    text = drawn((struct top_screen){.sort = TOP_NAME}, TOPICS, SUBSCRIPTIONS);
    before(text, "b.rare", "z.often");
    before(text, "fast", "slow");
    free(text);
}

/* Columns of a line as a terminal counts them: escape sequences take none. */
static uint32_t width(const char *text, size_t length) {
    uint32_t columns = 0, code;
    for (size_t at = 0; at < length; columns++) {
        if (text[at] == '\033') {
            at += strcspn(text + at, "mKHJ") + 1;
            columns--;
            continue;
        }
        size_t bytes = utf8_next((const uint8_t *)text + at, length - at, &code);
        cr_assert_gt(bytes, 0, "a character is cut in two");
        at += bytes;
    }
    return columns;
}

Test(top_screen, fits_every_terminal) {
    static const char umlauts[] =
        "{\"topics\":[{\"topic\":"
        "\"\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4"
        "\\u20ac\\u20ac\\u20ac\\u20ac\\u20ac\\u20ac\\u20ac\\u20ac\\u20ac\\u20ac\\u20ac\",\"rate_per_s\":1}]}";
    for (uint32_t columns = 1; columns <= 120; columns++) {
        for (uint32_t rows = 1; rows <= 30; rows++) {
            char *text = drawn((struct top_screen){.columns = columns, .rows = rows, .colour = rows % 2 == 0},
                               umlauts, SUBSCRIPTIONS);
            uint32_t lines = 0;
            for (const char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1, lines++)
                cr_assert_leq(width(line, (size_t)(end - line)), columns);
            cr_assert_lt(lines, rows + (rows == 0), "%u lines for %u rows", lines, rows);
            free(text);
        }
    }
}

Test(top_screen, shows_names_without_what_a_terminal_obeys) {
    static const char topics[] =
        "{\"topics\":[{\"topic\":\"a\\u001b[2Jb\\u009bc\\u202ed\\u0007e\",\"rate_per_s\":1}]}";
    static const char subs[] = "{\"subscriptions\":[{\"client\":\"x\\ny\\u001b]0;title\\u0007\",\"patterns\":"
                               "[\"p\\tq\"],\"lagging\":true}]}";
    char *text = drawn((struct top_screen){0}, topics, subs);
    has(text, "a?[2Jb?c?d?e\n");
    has(text, "x?y?]0;title?");
    has(text, "p?q\n");
    cr_assert_null(strchr(text, '\033'));
    free(text);
}

Test(top_screen, says_who_lags_without_colours_too) {
    char *text = drawn((struct top_screen){.columns = 100, .rows = 30}, TOPICS, SUBSCRIPTIONS);
    has(text, "!     1m");
    cr_assert_null(strstr(text, "\033[31m"));
    free(text);
    text = drawn((struct top_screen){.columns = 100, .rows = 30, .colour = true}, TOPICS, SUBSCRIPTIONS);
    has(text, "\033[31m!     1m");
    free(text);
    text = drawn((struct top_screen){.columns = 100, .rows = 30, .trouble = "nobody is there"}, TOPICS,
                 SUBSCRIPTIONS);
    has(text, "! no answer: nobody is there");
    free(text);
}

/* Answers of another version, or of something else. */
Test(top_screen, bears_answers_that_lack_things) {
    static const char *const odd[] = {
        "{}", "[]", "{\"topics\":7,\"subscriptions\":{}}",
        "{\"topics\":[1,null,{}],\"subscriptions\":[[],\"x\",{\"patterns\":3}]}"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        char *text = drawn((struct top_screen){.columns = 80, .rows = 24}, odd[i], odd[i]);
        has(text, "TOPIC");
        free(text);
    }
}
