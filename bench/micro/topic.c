/* What a topic costs: its hash, its grammar, its id. */
#include "core/base/topic.h"

#include "bench/micro/bench.h"
#include "bench/micro/data.h"
#include "core/route/intern.h"

#include <stdlib.h>
#include <string.h>

#define TOPICS     64u
#define SEED       UINT64_C(0x6a09e667f3bcc908)
#define INTERN_NEW (UINT64_C(1) << 16)

/* TOPICS different topics of exactly `length` bytes, in tokens of seven at most. */
static uint8_t *topics_of(uint64_t length) {
    uint8_t *bytes = bench_memory(TOPICS * length);
    uint64_t token = (length + TOPIC_TOKENS_MAX - 1) / TOPIC_TOKENS_MAX < 7 ? 7 : 31;
    for (uint64_t i = 0; i < TOPICS * length; i++) {
        uint64_t at = i % length;
        bool dot = at % (token + 1) == token && at + 1 < length;
        bytes[i] = dot ? '.' : (uint8_t)('a' + bench_mix(i) % 26);
    }
    return bytes;
}

static void topic_hash_bench(struct bench_run *run) {
    uint64_t length = bench_value(run, "topic_bytes");
    uint8_t *topics = topics_of(length);
    uint64_t each = 0;
    for (uint64_t i = 0; i < TOPICS; i++)
        each += topic_hash(topics + i * length, length, SEED);
    while (bench_more(run)) {
        uint64_t sum = 0;
        uint64_t laps = bench_whole(run, TOPICS);
        bench_start(run);
        for (uint64_t i = 0; i < run->operations; i++)
            sum += topic_hash(topics + i % TOPICS * length, length, SEED);
        bench_stop(run);
        bench_equal(run, "the sum of the hashes", sum, each * laps);
    }
    bench_bytes(run, (double)length);
    free(topics);
}

static void topic_valid_bench(struct bench_run *run) {
    uint64_t length = bench_value(run, "topic_bytes");
    uint8_t *topics = topics_of(length);
    struct fault fault;
    topics[length - 1] = '*'; /* one of them must be refused: a wildcard is no topic */
    while (bench_more(run)) {
        uint64_t valid = 0;
        uint64_t laps = bench_whole(run, TOPICS);
        bench_start(run);
        for (uint64_t i = 0; i < run->operations; i++)
            valid += topic_valid(topics + i % TOPICS * length, length, &fault);
        bench_stop(run);
        bench_equal(run, "topics that are valid", valid, run->operations - laps);
    }
    bench_bytes(run, (double)length);
    free(topics);
}

/* ---- interning ---- */

struct names {
    struct data_topic *topics;
    uint64_t *hashes;
    uint32_t *order;
    uint32_t count;
};

static struct names names_new(uint32_t count) {
    struct names names = {.topics = data_topics(count, 1000), .order = bench_shuffled(count), .count = count};
    names.hashes = bench_memory(count * sizeof *names.hashes);
    for (uint32_t i = 0; i < count; i++)
        names.hashes[i] = topic_hash(names.topics[i].bytes, names.topics[i].length, SEED);
    return names;
}

static void names_free(struct names *names) {
    free(names->topics);
    free(names->hashes);
    free(names->order);
}

static uint64_t name_intern(struct intern *intern, const struct names *names, uint32_t i) {
    const struct data_topic *topic = &names->topics[i];
    return intern_id(intern, topic->bytes, topic->length, names->hashes[i]);
}

/* All are remembered: every id must be the one that the first pass gave. */
static void topic_intern_known(struct bench_run *run) {
    struct names names = names_new((uint32_t)bench_value(run, "topics"));
    struct intern *intern;
    uint64_t sum_all = 0;
    uint32_t at = 0;
    bench_must(intern_create(&intern, 3, 2 * names.count + 16, SEED), "a table of topics");
    for (uint32_t i = 0; i < names.count; i++)
        sum_all += name_intern(intern, &names, i);
    bench_equal(run, "topics remembered", intern_count(intern), names.count);
    while (bench_more(run)) {
        uint64_t sum = 0;
        uint64_t want = bench_whole(run, names.count) * sum_all;
        bench_start(run);
        for (uint64_t i = 0; i < run->operations; i++, at = at + 1 == names.count ? 0 : at + 1)
            sum += name_intern(intern, &names, names.order[at]);
        bench_stop(run);
        bench_equal(run, "the sum of the ids", sum, want);
    }
    intern_destroy(intern);
    names_free(&names);
}

/* Four times as many topics as are remembered, in turn: old ones go, each gets a new id. */
static void topic_intern_new(struct bench_run *run) {
    struct names names = names_new((uint32_t)(4 * INTERN_NEW));
    struct intern *intern;
    uint64_t last = 0;
    uint64_t not_new = 0;
    uint32_t at = 0;
    bench_must(intern_create(&intern, 3, (uint32_t)INTERN_NEW, SEED), "a table of topics");
    while (bench_more(run)) {
        bench_start(run);
        for (uint64_t i = 0; i < run->operations; i++, at = (at + 1) % names.count) {
            uint64_t id = name_intern(intern, &names, at);
            not_new += id <= last;
            last = id;
        }
        bench_stop(run);
    }
    bench_equal(run, "topics that got no new id", not_new, 0);
    bench_equal(run, "more topics remembered than allowed", intern_count(intern) > INTERN_NEW, 0);
    intern_destroy(intern);
    names_free(&names);
}

const struct bench bench_topic[] = {
    {.name = "topic/hash",
     .operation = "hash one topic (XXH3-64, seeded)",
     .operations_least = 1000,
     .run = topic_hash_bench,
     .plot_over = "topic_bytes",
     .axes = {{.name = "topic_bytes", .values = {{2, {8, 255}}, {4, {8, 24, 64, 255}}}}}},
    {.name = "topic/valid",
     .operation = "check the grammar of one topic",
     .operations_least = 1000,
     .run = topic_valid_bench,
     .plot_over = "topic_bytes",
     .axes = {{.name = "topic_bytes", .values = {{2, {8, 255}}, {4, {8, 24, 64, 255}}}}}},
    {.name = "topic/intern",
     .operation = "the id of a topic that is remembered, in an order by chance",
     .operations_least = 1000,
     .once = true,
     .run = topic_intern_known,
     .plot_over = "topics",
     .axes = {{.name = "topics",
               .values = {{2, {1, 1000}},
                          {4, {1, 1000, 100000, 1000000}},
                          {7, {1, 10, 100, 1000, 10000, 100000, 1000000}}}}}},
    {.name = "topic/intern_new",
     .operation = "the id of a topic that was never seen or has been forgotten; 65,536 are remembered",
     .operations_least = 1000,
     .once = true,
     .run = topic_intern_new},
    {0}};
