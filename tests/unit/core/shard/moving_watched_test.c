/* Slots that move while subscribers and a queue filter, while what matches nobody is counted, and while
 * events are followed by traces: several workers over the simulated I/O body, in an order that a seed says.
 * Whoever filters gets what passes, in its order, each once; what nobody wants is counted, each once, and
 * nothing else; and of each event that is followed is told what became of it. */
#include "core/base/topic.h"
#include "core/shard/trace.h"
#include "tests/unit/core/route/random.h"
#include "tests/unit/core/shard/shard_world.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define MOST      5u /* shards that there may be */
#define WANTED    4u /* topics that somebody subscribes to; behind them those that nobody wants */
#define TOPICS    8u
#define ACTORS    5u
#define STEPS     1000u
#define SEEDS     30u
#define SUB       7u
#define QUEUE_SUB 9u
#define NUMBER_OF 100000u /* number of an event: topic * this + n, from 1 on */

/* Events whose numbers end with one of these digits pass. */
struct digits {
    const char *json; /* NULL: all pass */
    uint32_t mask;
};
static const struct digits filters[] = {
    {NULL, 0x3ff},
    {"[{\"suffix\": {\"id\": \"3\"}}]", 1u << 3},
    {"[{\"any\": [{\"suffix\": {\"id\": \"1\"}}, {\"suffix\": {\"id\": \"6\"}}]}]", 1u << 1 | 1u << 6},
    {"[{\"not\": {\"suffix\": {\"id\": \"0\"}}}]", 0x3fe},
};
#define FILTERS (sizeof filters / sizeof *filters)

struct actor {
    struct world_client *client;
    uint32_t topics; /* mask of those that it subscribes to */
    const struct digits *filter;
    bool oldest, subscribed, stays;
    uint64_t last[WANTED];   /* n of the last event that came; 0 = none */
    uint64_t before[WANTED]; /* what was published when it was told that it is subscribed */
};

struct scene {
    struct world *world;
    struct random random;
    uint64_t seed;
    struct world_client *publishers[2];
    uint64_t sent[2], told[2];
    uint64_t published[TOPICS];
    struct actor actors[ACTORS];
    struct actor always[WANTED]; /* those that stay, without filters: one for all topics, or one for each */
    uint32_t always_count;
    struct world_client *member; /* of a queue with filters[2] */
    uint64_t member_delivery, member_last[WANTED], member_count;
    struct change *change;
    struct trace *trace;
    uint64_t changes, followed;
};

#define EXPECT(condition) cr_assert(condition, "seed %lu: %s", (unsigned long)scene->seed, #condition)

static uint32_t below(struct scene *scene, uint32_t bound) {
    return (uint32_t)random_below(&scene->random, bound);
}

static const char *topic_name(uint32_t topic) {
    static const char *const names[TOPICS] = {"w.0", "w.1", "w.2", "w.3", "n.0", "n.1", "n.2", "n.3"};
    return names[topic];
}

static uint64_t next_passing(const struct digits *filter, uint64_t n) {
    do
        n++;
    while ((filter->mask >> n % 10 & 1u) == 0);
    return n;
}

/* The last one of the first `n`; 0 = none. */
static uint64_t last_passing(const struct digits *filter, uint64_t n) {
    while (n > 0 && (filter->mask >> n % 10 & 1u) == 0)
        n--;
    return n;
}

/* ---- subscribers ---- */

static void actor_event(const struct scene *scene, struct actor *actor, uint64_t number) {
    uint32_t topic = (uint32_t)(number / NUMBER_OF);
    uint64_t n = number % NUMBER_OF;
    EXPECT(topic < WANTED && (actor->topics >> topic & 1u) != 0 && n <= scene->published[topic]);
    EXPECT((actor->filter->mask >> n % 10 & 1u) != 0);
    if (actor->last[topic] != 0 || actor->oldest)
        cr_assert_eq(n, next_passing(actor->filter, actor->last[topic]),
                     "seed %lu: event %lu of topic %u comes behind %lu", (unsigned long)scene->seed,
                     (unsigned long)n, topic, (unsigned long)actor->last[topic]);
    actor->last[topic] = n;
}

static void actor_read(struct scene *scene, struct actor *actor, size_t bytes) {
    struct world_frame frame;
    (void)client_pull(actor->client, bytes);
    while (client_next(actor->client, &frame)) {
        EXPECT(frame.kind != WIRE_ERROR && frame.kind != WIRE_GAP);
        if (frame.kind == WIRE_EVENT)
            actor_event(scene, actor, frame.number);
        if (frame.kind != WIRE_SUBSCRIBED)
            continue;
        actor->subscribed = true;
        memcpy(actor->before, scene->published, sizeof actor->before);
    }
}

static void actor_subscribe(struct scene *scene, struct actor *actor, uint32_t shard) {
    Roundhouse__V1__Subscribe subscribe;
    Roundhouse__V1__Start start;
    roundhouse__v1__subscribe__init(&subscribe);
    roundhouse__v1__start__init(&start);
    subscribe.id = SUB;
    subscribe.policy = ROUNDHOUSE__V1__SLOW_POLICY__SLOW_POLICY_SKIP;
    if (actor->oldest) {
        subscribe.start = &start;
        start.from_case = ROUNDHOUSE__V1__START__FROM_OLDEST;
        start.oldest = 1;
    }
    actor->client = client_new(scene->world, shard, false);
    actor->client->filters = actor->filter->json;
    bool one = (actor->topics & (actor->topics - 1)) == 0;
    client_subscribe_from(actor->client, &subscribe,
                          one ? topic_name((uint32_t)__builtin_ctz(actor->topics)) : "w.>");
}

/* One that takes connections, as it knows itself. */
static uint32_t any_shard(struct scene *scene) {
    uint32_t shard = below(scene, shards_count(scene->world->shards));
    return shard < world_worker(scene->world, shard)->active_count ? shard : 0;
}

static void actor_comes(struct scene *scene, struct actor *actor) {
    *actor = (struct actor){.topics = below(scene, 2) == 0 ? (1u << WANTED) - 1 : 1u << below(scene, WANTED),
                            .filter = &filters[below(scene, FILTERS)],
                            .oldest = below(scene, 2) == 0};
    actor_subscribe(scene, actor, any_shard(scene));
}

static void actor_judge(const struct scene *scene, const struct actor *actor) {
    EXPECT(actor->subscribed);
    for (uint32_t topic = 0; topic < WANTED; topic++) {
        uint64_t last = last_passing(actor->filter, scene->published[topic]);
        if ((actor->topics >> topic & 1u) != 0 && (actor->oldest || last > actor->before[topic]))
            EXPECT(actor->last[topic] == last && "all that passes has come");
    }
}

static void member_read(struct scene *scene, size_t bytes) {
    struct world_frame frame;
    (void)client_pull(scene->member, bytes);
    while (client_next(scene->member, &frame)) {
        EXPECT(frame.kind != WIRE_ERROR && frame.kind != WIRE_GAP);
        if (frame.kind == WIRE_CONTEXT)
            scene->member_delivery = client_delivery(&frame);
        if (frame.kind != WIRE_EVENT)
            continue;
        uint32_t topic = (uint32_t)(frame.number / NUMBER_OF);
        EXPECT(topic < WANTED);
        EXPECT(frame.number % NUMBER_OF == next_passing(&filters[2], scene->member_last[topic]));
        scene->member_last[topic] = frame.number % NUMBER_OF;
        scene->member_count++;
        client_ack(scene->member, QUEUE_SUB, scene->member_delivery++, 0);
    }
}

/* ---- publishers ---- */

static void acks_read(struct scene *scene, uint32_t publisher, size_t bytes) {
    struct world_frame frame;
    struct fault fault;
    (void)client_pull(scene->publishers[publisher], bytes);
    while (client_next(scene->publishers[publisher], &frame)) {
        EXPECT(frame.kind != WIRE_ERROR);
        if (frame.kind != WIRE_PUBLISH_ACK)
            continue;
        Roundhouse__V1__Frame *read = control_unpack(&frame.wire, &fault);
        EXPECT(read != NULL && read->publish_ack->n_exceptions == 0);
        scene->told[publisher] = read->publish_ack->through;
        control_free(read);
    }
}

static void publish(struct scene *scene, uint32_t topic, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        uint64_t n = ++scene->published[topic];
        client_publish(scene->publishers[topic % 2], topic_name(topic), topic * NUMBER_OF + n,
                       10 + below(scene, 60));
        scene->sent[topic % 2]++;
    }
}

/* ---- what matches nobody ---- */

static uint64_t counted(const struct scene *scene) {
    return workers_sum(scene->world->shards, offsetof(struct worker_stats, events_unmatched)) +
           workers_sum(scene->world->shards, offsetof(struct worker_stats, events_unjudged));
}

static uint64_t unwanted(const struct scene *scene) {
    uint64_t all = 0;
    for (uint32_t topic = WANTED; topic < TOPICS; topic++)
        all += scene->published[topic];
    return all;
}

static void samples_judge(const struct scene *scene) {
    for (uint32_t i = 0; i < shards_count(scene->world->shards); i++)
        for (uint32_t k = 0; k < UNMATCHED_SAMPLES; k++) {
            const struct unmatched_sample *sample = &world_worker(scene->world, i)->unmatched.samples[k];
            EXPECT(sample->topic_length == 0 || sample->topic[0] == 'n');
        }
}

/* ---- traces ---- */

static void trace_next(struct scene *scene) {
    static const char *const patterns[] = {">", "w.>", "n.>", "w.1", "n.2"};
    cr_assert_eq(
        trace_begin(&scene->trace, scene->world->shards, patterns[below(scene, 5)], 1 + below(scene, 30)), 0);
}

static void seen_judge(const struct scene *scene, const struct trace_seen *seen) {
    const struct trace_fate *fate = &seen->fate;
    EXPECT(fate->sent + fate->behind + fate->lost + fate->unfollowed <= fate->connections);
    if (seen->topic[0] == 'n') {
        EXPECT(fate->connections == 0 && fate->lagging == 0 && fate->queues == 0 && fate->filtered == 0);
    } else if (seen->over) {
        EXPECT(fate->connections + fate->lagging > 0 && "who stays is seen");
        EXPECT(fate->queues + fate->filtered > 0 && "so is the queue");
    }
}

/* `all`: nothing happens any more, so they are over. */
static void trace_judge(struct scene *scene, bool all) {
    uint64_t last[TOPICS] = {0};
    uint32_t found = trace_serve(scene->trace);
    struct trace_seen seen;
    for (uint32_t i = 0; i < found; i++) {
        trace_read(scene->trace, i, &seen);
        uint32_t topic = (uint32_t)(strtoul(seen.id, NULL, 10) / NUMBER_OF);
        EXPECT(topic < TOPICS && strcmp(seen.topic, topic_name(topic)) == 0);
        EXPECT(seen.sequence > last[topic] && "in the order of each topic");
        EXPECT((seen.over || !all) && "it is known what became of it");
        last[topic] = seen.sequence;
        seen_judge(scene, &seen);
    }
    scene->followed += all ? found : 0;
}

static void trace_over(struct scene *scene) {
    trace_end(scene->trace);
    for (uint32_t turns = 0; !trace_gone(scene->trace); turns++) {
        EXPECT(turns < 1000);
        world_turns(scene->world, 1);
        (void)trace_serve(scene->trace);
    }
    trace_destroy(scene->trace);
    scene->trace = NULL;
}

/* ---- a scene ---- */

static void change_begin(struct scene *scene) {
    uint8_t slots[SLOT_COUNT];
    uint32_t count = 1 + below(scene, MOST);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        slots[slot] = (uint8_t)below(scene, count);
    scene->change = world_change(scene->world, count, slots);
}

static void change_step(struct scene *scene) {
    if (scene->change == NULL || !world_changed(scene->world, scene->change))
        return;
    scene->change = NULL;
    scene->changes++;
}

/* With even seeds one for all topics is there, who reads every log; with odd ones each is read by its name.
 */
static void always_come(struct scene *scene) {
    scene->always_count = scene->seed % 2 == 0 ? 1 : WANTED;
    for (uint32_t i = 0; i < scene->always_count; i++) {
        struct actor *actor = &scene->always[i];
        *actor = (struct actor){.topics = scene->always_count == 1 ? (1u << WANTED) - 1 : 1u << i,
                                .filter = &filters[0],
                                .oldest = true};
        actor_subscribe(scene, actor, 0);
    }
    scene->member = client_new(scene->world, 0, false);
    scene->member->filters = filters[2].json;
    client_join(scene->member, QUEUE_SUB, "work", "w.>", 16);
    for (uint32_t i = 0; i < 20; i++) { /* its keeper may be another worker */
        world_turns(scene->world, 1);
        member_read(scene, 64 * KIB);
    }
}

static struct scene *scene_new(uint64_t seed) {
    struct scene *scene = calloc(1, sizeof *scene);
    cr_assert_not_null(scene);
    scene->seed = scene->random.state = seed;
    scene->world = world_new(&(struct world_config){
        .shards = 1 + (uint32_t)(seed % 3), .log_data = 4 * MIB, .log_records = 32768, .socket_bytes = 3000});
    for (uint32_t i = 0; i < 2; i++)
        scene->publishers[i] = client_new(scene->world, i % shards_count(scene->world->shards), true);
    always_come(scene);
    for (uint32_t i = 0; i < ACTORS; i++)
        actor_comes(scene, &scene->actors[i]);
    trace_next(scene);
    return scene;
}

static void scene_step(struct scene *scene) {
    struct actor *actor = &scene->actors[below(scene, ACTORS)];
    if (below(scene, 3) == 0)
        publish(scene, below(scene, TOPICS), 1 + below(scene, 12));
    if (below(scene, 2) == 0)
        actor_read(scene, actor, 1 + below(scene, 4000));
    if (below(scene, 3) == 0)
        actor_read(scene, &scene->always[below(scene, scene->always_count)], 1 + below(scene, 6000));
    if (below(scene, 3) == 0)
        member_read(scene, 1 + below(scene, 3000));
    if (below(scene, 60) == 0 && scene->world->clients_count < WORLD_CLIENTS_MAX) {
        client_leave(actor->client, below(scene, 2) == 0);
        actor_comes(scene, actor);
    }
    if (below(scene, 80) == 0) {
        trace_judge(scene, false);
        trace_over(scene);
        trace_next(scene);
    }
    if (scene->change == NULL && below(scene, 12) == 0)
        change_begin(scene);
    if (below(scene, 2) == 0)
        change_step(scene);
    if (below(scene, 4) == 0)
        (void)trace_serve(scene->trace);
    acks_read(scene, below(scene, 2), 1 + below(scene, 2000));
    world_turn(scene->world, below(scene, shards_count(scene->world->shards)));
}

/* Nobody says anything new, and everybody reads all. */
static void scene_settle(struct scene *scene) {
    for (uint32_t quiet = 0, rounds = 0; quiet < 30; rounds++, quiet++) {
        uint64_t before = scene->member_count;
        cr_assert_lt(rounds, 20000, "seed %lu: it never comes to rest", (unsigned long)scene->seed);
        change_step(scene);
        for (uint32_t i = 0; i < ACTORS + scene->always_count; i++) {
            struct actor *actor = i < ACTORS ? &scene->actors[i] : &scene->always[i - ACTORS];
            if (client_pull(actor->client, 64 * KIB) > 0)
                quiet = 0;
            actor_read(scene, actor, 64 * KIB);
        }
        for (uint32_t i = 0; i < 2; i++) {
            acks_read(scene, i, 64 * KIB);
            quiet = scene->told[i] < scene->sent[i] ? 0 : quiet;
        }
        member_read(scene, 64 * KIB);
        world_turns(scene->world, 1);
        quiet = scene->change != NULL || scene->member_count != before ? 0 : quiet;
    }
}

static void scene_judge(struct scene *scene) {
    for (uint32_t i = 0; i < ACTORS; i++)
        actor_judge(scene, &scene->actors[i]);
    for (uint32_t i = 0; i < scene->always_count; i++)
        actor_judge(scene, &scene->always[i]);
    for (uint32_t topic = 0; topic < WANTED; topic++)
        EXPECT(scene->member_last[topic] == last_passing(&filters[2], scene->published[topic]));
    samples_judge(scene);
    trace_judge(scene, true);
}

static void scene_play(uint64_t seed, uint64_t *changes, uint64_t *followed) {
    struct scene *scene = scene_new(seed);
    for (uint32_t i = 0; i < STEPS; i++)
        scene_step(scene);
    scene_settle(scene);
    scene_judge(scene);
    if (scene->always_count == 1) /* so one worker judges all */
        EXPECT(counted(scene) == unwanted(scene) && "what nobody wants is counted once");
    uint64_t before = counted(scene);
    for (uint32_t topic = 0; topic < TOPICS; topic++)
        publish(scene, topic, 20);
    scene_settle(scene);
    scene_judge(scene);
    EXPECT(counted(scene) - before == (TOPICS - WANTED) * 20);
    *changes += scene->changes;
    *followed += scene->followed;
    trace_over(scene);
    world_free(scene->world);
    free(scene);
}

/* RH_SIM_SEEDS=n plays more of them, RH_SIM_FROM=n others. */
Test(moving_watched, filters_counts_and_follows_wherever_slots_are, .timeout = 3600) {
    const char *seeds = getenv("RH_SIM_SEEDS"), *from = getenv("RH_SIM_FROM");
    uint64_t first = from != NULL ? strtoul(from, NULL, 10) : 1, changes = 0, followed = 0;
    uint64_t count = seeds != NULL ? strtoul(seeds, NULL, 10) : SEEDS;
    for (uint64_t seed = first; seed < first + count; seed++)
        scene_play(seed, &changes, &followed);
    cr_assert_gt(changes, 10 * count, "slots move all the time");
    cr_assert_gt(followed, 2 * count, "events are followed");
    LEAKS_NONE();
}
