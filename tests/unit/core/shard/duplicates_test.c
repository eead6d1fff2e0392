#include "core/shard/duplicates.h"

#include "core/base/limits.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct duplicates_key key(const char *topic, const char *source, const char *id) {
    struct duplicates_name name = {.topic = (const uint8_t *)topic,
                                   .source = (const uint8_t *)source,
                                   .id = (const uint8_t *)id,
                                   .topic_length = strlen(topic),
                                   .source_length = strlen(source),
                                   .id_length = strlen(id)};
    return duplicates_key(&name, 7);
}

static bool equal(struct duplicates_key a, struct duplicates_key b) {
    return a.low == b.low && a.high == b.high;
}

static struct duplicates *made(uint64_t window_ns, uint32_t count) {
    struct duplicates *duplicates;
    cr_assert_eq(duplicates_create(&duplicates, window_ns, count), 0);
    return duplicates;
}

/* ---- keys ---- */

Test(duplicates, a_key_is_of_topic_source_and_id_each_for_itself) {
    cr_expect(equal(key("t", "/s", "1"), key("t", "/s", "1")));
    cr_expect_not(equal(key("t", "/s", "1"), key("u", "/s", "1")));
    cr_expect_not(equal(key("t", "/s", "1"), key("t", "/r", "1")));
    cr_expect_not(equal(key("t", "/s", "1"), key("t", "/s", "2")));
    cr_expect_not(equal(key("t", "/s", "11"), key("t", "/s1", "1"))); /* one text, cut elsewhere */
    cr_expect_not(equal(key("t/s", "", "1"), key("t", "/s", "1")));
}

/* A name just so long, and one byte longer, is hashed in another way. */
Test(duplicates, a_key_does_not_depend_on_how_long_names_are_hashed) {
    char id[1200];
    struct duplicates_key seen[1200];
    for (size_t n = 0; n < sizeof id; n++) {
        memset(id, 'x', n);
        id[n] = '\0';
        seen[n] = key("t", "/s", id);
        cr_assert(equal(seen[n], key("t", "/s", id)));
        for (size_t other = 0; other < n; other++)
            cr_assert_not(equal(seen[n], seen[other]), "%zu and %zu", n, other);
    }
}

Test(duplicates, another_seed_makes_other_keys) {
    struct duplicates_name name = {.topic = (const uint8_t *)"t", .topic_length = 1};
    name.source = name.id = name.topic;
    cr_expect_not(equal(duplicates_key(&name, 1), duplicates_key(&name, 2)));
}

/* ---- what is known ---- */

Test(duplicates, an_event_is_known_for_its_window_and_no_longer) {
    struct duplicates *duplicates = made(100, 4);
    duplicates_add(duplicates, key("t", "/s", "1"), 77, 1000);
    cr_expect_eq(duplicates_find(duplicates, key("t", "/s", "1"), 1000), 77);
    cr_expect_eq(duplicates_find(duplicates, key("t", "/s", "1"), 1099), 77);
    cr_expect_eq(duplicates_find(duplicates, key("t", "/s", "1"), 1100), 0);
    cr_expect_eq(duplicates_find(duplicates, key("t", "/s", "1"), 990), 77, "the clock was set back");
    cr_expect_eq(duplicates_find(duplicates, key("t", "/s", "2"), 1000), 0);
    duplicates_destroy(duplicates);
    LEAKS_NONE();
}

Test(duplicates, only_the_last_so_many_are_known) {
    struct duplicates *duplicates = made(NS_PER_S, 3);
    static const char *const ids[] = {"a", "b", "c", "d"};
    for (uint64_t i = 0; i < 4; i++)
        duplicates_add(duplicates, key("t", "/s", ids[i]), i + 1, i);
    cr_expect_eq(duplicates_find(duplicates, key("t", "/s", "a"), 4), 0);
    for (uint64_t i = 1; i < 4; i++)
        cr_expect_eq(duplicates_find(duplicates, key("t", "/s", ids[i]), 4), i + 1);
    cr_expect_eq(duplicates_held(duplicates), 3);
    duplicates_destroy(duplicates);
}

Test(duplicates, the_first_stays_the_first) {
    struct duplicates *duplicates = made(100, 4);
    duplicates_add(duplicates, key("t", "/s", "1"), 5, 10);
    duplicates_add(duplicates, key("t", "/s", "1"), 6, 60);
    cr_expect_eq(duplicates_find(duplicates, key("t", "/s", "1"), 70), 5);
    cr_expect_eq(duplicates_find(duplicates, key("t", "/s", "1"), 110), 0, "the second did not prolong it");
    duplicates_add(duplicates, key("t", "/s", "1"), 9, 110);
    cr_expect_eq(duplicates_find(duplicates, key("t", "/s", "1"), 150), 9);
    duplicates_destroy(duplicates);
}

Test(duplicates, says_what_memory_it_holds) {
    struct duplicates *duplicates = made(NS_PER_S, DUPLICATES_DEFAULT);
    uint64_t each = duplicates_bytes(duplicates) / DUPLICATES_DEFAULT;
    cr_expect(each >= 40 && each <= 48, "%llu bytes each", (unsigned long long)each);
    duplicates_destroy(duplicates);
}

/* ---- against a plain model ---- */

struct model_event {
    struct duplicates_key key;
    uint64_t sequence, time_ns;
};

struct model {
    struct model_event *events; /* all that were ever added */
    size_t added;
    uint64_t window_ns;
    uint32_t count;
};

static uint64_t model_find(const struct model *model, struct duplicates_key wanted, uint64_t now_ns) {
    for (size_t i = model->added; i > 0 && model->added - i < model->count; i--) {
        const struct model_event *event = &model->events[i - 1];
        if (equal(event->key, wanted))
            return now_ns - event->time_ns < model->window_ns ? event->sequence : 0;
    }
    return 0;
}

#define MODEL_STEPS 20000u

/* Keys out of few, so that they come again; `crowd`: all begin their search at a few slots. */
static struct duplicates_key any_key(unsigned *random, uint32_t keys, bool crowd) {
    uint64_t which = (uint64_t)rand_r(random) % keys;
    return (struct duplicates_key){.low = crowd ? which % 3 : which * UINT64_C(0x9e3779b97f4a7c15),
                                   .high = which};
}

static void model_run(unsigned seed, uint32_t count, uint32_t keys, uint64_t window_ns, bool crowd) {
    struct duplicates *duplicates = made(window_ns, count);
    struct model model = {
        .events = calloc(MODEL_STEPS, sizeof *model.events), .window_ns = window_ns, .count = count};
    unsigned random = seed;
    uint64_t now_ns = 1000, found = 0;
    cr_assert(model.events);
    for (uint64_t step = 1; step <= MODEL_STEPS; step++) {
        struct duplicates_key wanted = any_key(&random, keys, crowd);
        uint64_t first = model_find(&model, wanted, now_ns);
        cr_assert_eq(duplicates_find(duplicates, wanted, now_ns), first, "seed %u, step %llu", seed,
                     (unsigned long long)step);
        duplicates_add(duplicates, wanted, step, now_ns);
        if (first == 0)
            model.events[model.added++] = (struct model_event){wanted, step, now_ns};
        found += first != 0;
        now_ns += (uint64_t)rand_r(&random) % 4;
        if (step % 64 == 0)
            duplicates_check(duplicates);
    }
    cr_assert(found > MODEL_STEPS / 100 && model.added > MODEL_STEPS / 100, "seed %u: %llu found", seed,
              (unsigned long long)found);
    duplicates_destroy(duplicates);
    free(model.events);
}

Test(duplicates, agrees_with_a_plain_model) {
    for (unsigned seed = 1; seed <= 4; seed++) {
        model_run(seed, 1, 2, 50, false);
        model_run(seed, 7, 12, 30, false);
        model_run(seed, 64, 100, 90, true);
        model_run(seed, 1000, 1500, 1200, false);
    }
    LEAKS_NONE();
}
