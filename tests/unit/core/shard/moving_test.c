/* Slots that move between shards while everybody publishes and reads, shards that come and go: several
 * workers over the simulated I/O body, in an order that a seed says. Every subscriber gets each topic's
 * events in their order, each once and none left out, wherever it begins; sequences grow; publishers are told
 * all of theirs. */
#include "core/base/topic.h"
#include "tests/unit/core/route/random.h"
#include "tests/unit/core/shard/shard_world.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHARDS     3u
#define MOST       5u /* shards that there may be */
#define TOPICS     6u
#define PUBLISHERS 3u
#define ACTORS     6u
#define STEPS      1200u
#define SEEDS      40u
#define SUB        7u
#define QUEUE_SUB  9u
#define NUMBER_OF  100000u /* number of an event: topic * this + n, from 1 on */

struct actor {
    struct world_client *client;
    uint32_t topics;           /* mask of those that it subscribes to */
    uint64_t next[TOPICS];     /* n of the event that has to come; 0 = any */
    uint64_t sequence[TOPICS]; /* of the last one; 0 = none */
    bool owed[TOPICS];         /* something has to come */
    bool told[TOPICS];         /* of a Gap, since the last event of the topic */
    uint8_t unsure[TOPICS];    /* so many events of it may have an untold hole in front */
    bool subscribed;
    uint8_t position[1024]; /* where a Pong said that it stands, */
    size_t position_length; /* ... 0 = it has not said so, */
    uint64_t stood[TOPICS]; /* ... and `next` of then, */
    bool stood_told[TOPICS];
};

struct scene {
    struct world *world;
    struct random random;
    uint64_t seed;
    bool gaps; /* rings are small: who is slow misses some, by Gaps */
    struct world_client *publishers[PUBLISHERS];
    uint64_t sent[PUBLISHERS], told[PUBLISHERS]; /* events, and of them known to be routed */
    uint64_t published[TOPICS], routed[TOPICS];
    struct actor actors[ACTORS];
    struct world_client *member; /* of a queue */
    uint64_t member_delivery, member_next[TOPICS], member_count;
    struct change *change; /* that goes on */
    uint32_t count;        /* shards after it */
    uint64_t changes;
};

#define EXPECT(condition) cr_assert(condition, "seed %lu: %s", (unsigned long)scene->seed, #condition)

static uint32_t below(struct scene *scene, uint32_t bound) {
    return (uint32_t)random_below(&scene->random, bound);
}

static const char *topic_name(uint32_t topic) {
    static const char *const names[TOPICS] = {"t0", "t1", "t2", "t3", "t4", "t5"};
    return names[topic];
}

/* ---- subscribers ---- */

static void actor_event(const struct scene *scene, struct actor *actor, const struct world_frame *frame) {
    uint32_t topic = (uint32_t)(frame->number / NUMBER_OF);
    uint64_t n = frame->number % NUMBER_OF;
    EXPECT(topic < TOPICS && n > 0 && n <= scene->published[topic]);
    EXPECT((actor->topics >> topic & 1u) != 0 && actor->subscribed);
    if (scene->gaps ? n < actor->next[topic] : actor->next[topic] != 0 && n != actor->next[topic])
        cr_assert_fail("seed %lu: event %lu of topic %u comes, and %lu should", (unsigned long)scene->seed,
                       (unsigned long)n, topic, (unsigned long)actor->next[topic]);
    EXPECT((actor->next[topic] == 0 || n == actor->next[topic] || actor->told[topic] ||
            actor->unsure[topic] > 0) &&
           "no hole is untold");
    if (actor->unsure[topic] > 0)
        actor->unsure[topic]--;
    EXPECT(frame->sequence > actor->sequence[topic] && "sequences grow");
    actor->told[topic] = false;
    actor->sequence[topic] = frame->sequence;
    actor->next[topic] = n + 1;
    actor->owed[topic] = false;
}

static void actor_pong(struct actor *actor, const struct world_frame *frame) {
    struct fault fault;
    Roundhouse__V1__Frame *read = control_unpack(&frame->wire, &fault);
    cr_assert(read != NULL && read->pong->position.len <= sizeof actor->position);
    memcpy(actor->position, read->pong->position.data, read->pong->position.len);
    actor->position_length = read->pong->position.len;
    memcpy(actor->stood, actor->next, sizeof actor->stood);
    memcpy(actor->stood_told, actor->told, sizeof actor->stood_told);
    control_free(read);
}

static void actor_read(struct scene *scene, struct actor *actor, size_t bytes) {
    struct world_frame frame;
    if (actor->client == NULL)
        return;
    (void)client_pull(actor->client, bytes);
    while (client_next(actor->client, &frame)) {
        EXPECT(frame.kind != WIRE_ERROR);
        EXPECT((frame.kind != WIRE_GAP || scene->gaps) && "nothing is lost");
        actor->subscribed |= frame.kind == WIRE_SUBSCRIBED;
        for (uint32_t i = 0; i < TOPICS && frame.kind == WIRE_GAP; i++)
            actor->told[i] = true;
        if (frame.kind == WIRE_EVENT)
            actor_event(scene, actor, &frame);
        else if (frame.kind == WIRE_PONG)
            actor_pong(actor, &frame);
    }
}

static uint32_t only_topic(const struct actor *actor) {
    return (actor->topics & (actor->topics - 1)) == 0 ? (uint32_t)__builtin_ctz(actor->topics) : TOPICS;
}

/* What is gone already is told to nobody who begins with the oldest one. */
static void starts_oldest(const struct scene *scene, struct actor *actor,
                          Roundhouse__V1__Subscribe *subscribe) {
    subscribe->start->from_case = ROUNDHOUSE__V1__START__FROM_OLDEST;
    subscribe->start->oldest = 1;
    for (uint32_t i = 0; i < TOPICS; i++)
        actor->next[i] = scene->gaps ? 0 : 1;
}

static void starts_last(const struct scene *scene, struct actor *actor,
                        Roundhouse__V1__Subscribe *subscribe) {
    subscribe->start->from_case = ROUNDHOUSE__V1__START__FROM_LAST_PER_TOPIC;
    subscribe->start->last_per_topic = 1;
    for (uint32_t i = 0; i < TOPICS; i++) {
        actor->owed[i] = scene->routed[i] > 0 && (actor->topics >> i & 1u) != 0;
        actor->unsure[i] = 2; /* what is the last one that is kept need not be the last one */
    }
}

/* One that takes connections, as it knows itself. */
static uint32_t any_shard(struct scene *scene) {
    uint32_t shard = below(scene, shards_count(scene->world->shards));
    return shard < world_worker(scene->world, shard)->active_count ? shard : 0;
}

/* Its client comes anew, to any shard that takes connections. What it asks to begin with decides what comes.
 */
static void actor_comes(struct scene *scene, struct actor *actor) {
    Roundhouse__V1__Subscribe subscribe;
    Roundhouse__V1__Start start;
    struct actor before = *actor;
    uint32_t how = below(scene, 5), topic;
    roundhouse__v1__subscribe__init(&subscribe);
    roundhouse__v1__start__init(&start);
    subscribe.id = SUB;
    subscribe.policy = ROUNDHOUSE__V1__SLOW_POLICY__SLOW_POLICY_SKIP;
    subscribe.start = &start;
    *actor = (struct actor){.topics = actor->topics};
    actor->client = client_new(scene->world, any_shard(scene), false);
    topic = only_topic(actor);
    if (how == 1 && before.position_length > 0) {
        subscribe.position = (ProtobufCBinaryData){.data = before.position, .len = before.position_length};
        memcpy(actor->next, before.stood, sizeof actor->next);
        memcpy(actor->told, before.stood_told, sizeof actor->told);
        subscribe.start = NULL;
    } else if (how == 2 && topic < TOPICS && before.sequence[topic] != 0) {
        start.from_case = ROUNDHOUSE__V1__START__FROM_SEQUENCE;
        start.sequence = before.sequence[topic];
        actor->next[topic] = before.next[topic] - 1;
    } else if (how == 3) {
        starts_oldest(scene, actor, &subscribe);
    } else if (how == 4) {
        starts_last(scene, actor, &subscribe);
    } else {
        subscribe.start = NULL;
    }
    client_subscribe_from(actor->client, &subscribe, topic < TOPICS ? topic_name(topic) : ">");
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
        EXPECT(read->publish_ack->through > scene->told[publisher]);
        EXPECT(read->publish_ack->through <= scene->sent[publisher]);
        scene->told[publisher] = read->publish_ack->through;
        control_free(read);
        if (scene->told[publisher] == scene->sent[publisher])
            for (uint32_t i = publisher; i < TOPICS; i += PUBLISHERS)
                scene->routed[i] = scene->published[i];
    }
}

static void publish(struct scene *scene, uint32_t publisher) {
    uint32_t topic = publisher + PUBLISHERS * below(scene, TOPICS / PUBLISHERS);
    uint32_t size = below(scene, 16) == 0 ? 3000 : 10 + below(scene, 90);
    for (uint32_t i = 1 + below(scene, 12); i > 0; i--) {
        uint64_t n = ++scene->published[topic];
        client_publish(scene->publishers[publisher], topic_name(topic), topic * NUMBER_OF + n, size);
        scene->sent[publisher]++;
    }
}

/* ---- a queue ---- */

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
        EXPECT(topic < TOPICS && frame.number % NUMBER_OF == scene->member_next[topic]);
        scene->member_next[topic]++;
        scene->member_count++;
        client_ack(scene->member, QUEUE_SUB, scene->member_delivery++, 0);
    }
}

/* ---- changes ---- */

static void change_begin(struct scene *scene) {
    uint8_t slots[SLOT_COUNT];
    scene->count = 1 + below(scene, MOST);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        slots[slot] = (uint8_t)below(scene, scene->count);
    scene->change = world_change(scene->world, scene->count, slots);
}

static void change_step(struct scene *scene) {
    if (scene->change == NULL || !world_changed(scene->world, scene->change))
        return;
    scene->change = NULL;
    scene->changes++;
}

/* ---- a scene ---- */

static struct scene *scene_new(uint64_t seed, bool gaps) {
    struct scene *scene = calloc(1, sizeof *scene);
    cr_assert_not_null(scene);
    scene->seed = scene->random.state = seed;
    scene->gaps = gaps;
    scene->world = world_new(&(struct world_config){.shards = 1 + (uint32_t)(seed % SHARDS),
                                                    .log_data = gaps ? 64 * KIB : 4 * MIB,
                                                    .log_records = gaps ? 256 : 32768,
                                                    .landing_bytes = seed % 2 != 0 ? 256 : 0,
                                                    .socket_bytes = 3000});
    for (uint32_t i = 0; i < PUBLISHERS; i++)
        scene->publishers[i] = client_new(scene->world, i % shards_count(scene->world->shards), true);
    for (uint32_t i = 0; i < ACTORS; i++) {
        scene->actors[i].topics = i % 2 == 0 ? (1u << TOPICS) - 1 : 1u << below(scene, TOPICS);
        actor_comes(scene, &scene->actors[i]);
    }
    for (uint32_t i = 0; i < TOPICS; i++)
        scene->member_next[i] = 1;
    scene->member = client_new(scene->world, 0, false);
    if (!gaps) {
        client_join(scene->member, QUEUE_SUB, "work", ">", 16);
        for (uint32_t i = 0; i < 20; i++) { /* its keeper may be another worker */
            world_turns(scene->world, 1);
            member_read(scene, 64 * KIB);
        }
    }
    return scene;
}

static void scene_step(struct scene *scene) {
    struct actor *actor = &scene->actors[below(scene, ACTORS)];
    if (below(scene, 3) == 0)
        publish(scene, below(scene, PUBLISHERS));
    if (below(scene, 2) == 0)
        actor_read(scene, actor, 1 + below(scene, 4000));
    if (below(scene, 40) == 0 && actor->subscribed)
        client_ping(actor->client);
    if (below(scene, 60) == 0 && scene->world->clients_count < WORLD_CLIENTS_MAX) {
        client_leave(actor->client, below(scene, 2) == 0);
        actor_comes(scene, actor);
    }
    if (scene->change == NULL && below(scene, 12) == 0)
        change_begin(scene);
    if (below(scene, 2) == 0)
        change_step(scene);
    acks_read(scene, below(scene, PUBLISHERS), 1 + below(scene, 2000));
    if (below(scene, 3) == 0)
        member_read(scene, 1 + below(scene, 3000));
    world_turn(scene->world, below(scene, shards_count(scene->world->shards)));
}

/* Nobody says anything new, and everybody reads all. */
static void scene_settle(struct scene *scene) {
    for (uint32_t quiet = 0, rounds = 0; quiet < 30; rounds++, quiet++) {
        uint64_t before = scene->member_count;
        cr_assert_lt(rounds, 20000, "seed %lu: it never comes to rest", (unsigned long)scene->seed);
        change_step(scene);
        for (uint32_t i = 0; i < ACTORS; i++) {
            actor_read(scene, &scene->actors[i], 64 * KIB);
            quiet = scene->actors[i].client->in_length > 0 ? 0 : quiet;
        }
        for (uint32_t i = 0; i < PUBLISHERS; i++) {
            acks_read(scene, i, 64 * KIB);
            quiet = scene->told[i] < scene->sent[i] ? 0 : quiet;
        }
        member_read(scene, 64 * KIB);
        world_turns(scene->world, 1);
        quiet = scene->change != NULL || scene->member_count != before ? 0 : quiet;
    }
}

static void scene_judge(const struct scene *scene) {
    for (uint32_t i = 0; i < PUBLISHERS; i++)
        EXPECT(scene->told[i] == scene->sent[i]);
    for (uint32_t topic = 0; topic < TOPICS; topic++) {
        uint64_t all = scene->published[topic] + 1;
        for (uint32_t i = 0; i < ACTORS; i++) {
            const struct actor *actor = &scene->actors[i];
            EXPECT(actor->subscribed);
            if ((actor->topics >> topic & 1u) == 0)
                continue;
            EXPECT(scene->gaps || actor->next[topic] == 0 || actor->next[topic] == all);
            EXPECT(scene->gaps || !actor->owed[topic]);
        }
        EXPECT(scene->gaps || scene->member_next[topic] == all);
    }
}

static uint64_t scene_play(uint64_t seed, bool gaps) {
    struct scene *scene = scene_new(seed, gaps);
    for (uint32_t i = 0; i < STEPS; i++)
        scene_step(scene);
    scene_settle(scene);
    scene_judge(scene);
    uint64_t changes = scene->changes;
    world_free(scene->world);
    free(scene);
    return changes;
}

/* RH_SIM_SEEDS=n plays more of them, RH_SIM_FROM=n others. */
static void scenes_play(bool gaps) {
    const char *seeds = getenv("RH_SIM_SEEDS"), *from = getenv("RH_SIM_FROM");
    uint64_t first = from != NULL ? strtoul(from, NULL, 10) : 1;
    uint64_t count = seeds != NULL ? strtoul(seeds, NULL, 10) : SEEDS, changes = 0;
    for (uint64_t seed = first; seed < first + count; seed++)
        changes += scene_play(seed, gaps);
    cr_assert_gt(changes, 10 * count, "slots move all the time");
}

Test(moving, loses_repeats_and_reorders_nothing_for_anybody, .timeout = 3600) {
    scenes_play(false);
    LEAKS_NONE();
}

Test(moving, keeps_the_order_also_for_who_misses_some, .timeout = 3600) {
    scenes_play(true);
    LEAKS_NONE();
}

/* ---- events that come again ---- */

static uint64_t duplicate_of(struct world_client *publisher) {
    struct world_frame frame;
    struct fault fault;
    client_expect(publisher, WIRE_PUBLISH_ACK, &frame);
    Roundhouse__V1__Frame *read = control_unpack(&frame.wire, &fault);
    cr_assert(read != NULL);
    uint64_t first =
        read->publish_ack->n_exceptions == 0 ? 0 : read->publish_ack->exceptions[0]->duplicate_of;
    control_free(read);
    return first;
}

static void move_all(struct world *world, uint32_t count, uint8_t to) {
    uint8_t slots[SLOT_COUNT];
    memset(slots, to, sizeof slots);
    struct change *change = world_change(world, count, slots);
    while (!world_changed(world, change))
        world_turns(world, 1);
}

/* What a home knows of a slot's events goes where the slot goes, also to a shard that was just made. */
Test(moving, takes_along_what_is_known_of_events_that_may_come_again) {
    static const struct topic_rule rules[] = {{.class = TOPIC_MEMORY,
                                               .length = 1,
                                               .pattern = ">",
                                               .duplicates_window_ns = 3600 * NS_PER_S,
                                               .duplicates_count = 100}};
    struct world *world =
        world_new(&(struct world_config){.shards = 2, .log_data = MIB, .rules = rules, .rules_count = 1});
    struct world_client *publisher = client_new(world, 0, true);
    client_publish(publisher, "t0", 1, 10);
    cr_assert_eq(duplicate_of(publisher), 0);
    for (uint8_t to = 1; to <= 3; to++) {
        move_all(world, 4, to % 4);
        client_publish(publisher, "t0", 1, 10);
        world_turns(world, 4);
        uint64_t first = duplicate_of(publisher);
        cr_assert_neq(first, 0, "at shard %u it is taken for a new one", to % 4);
        cr_assert_eq(sequence_epoch(first), EPOCH_FIRST, "it is known as the first one");
    }
    world_free(world);
    LEAKS_NONE();
}

/* Nobody was there when the slot moved: what waits in the old log comes before what comes to the new one. */
Test(moving, gives_a_member_that_comes_later_what_waited_first) {
    for (uint8_t to = 0; to < 2; to++) {
        struct scene scene = {.seed = to,
                              .world = world_new(&(struct world_config){.shards = 2, .log_data = MIB})};
        struct world_client *publisher = client_new(scene.world, 0, true);
        scene.member = client_new(scene.world, 0, false);
        scene.member_next[0] = 1;
        client_join(scene.member, QUEUE_SUB, "work", "t0", 4);
        world_turns(scene.world, 20);
        member_read(&scene, 64 * KIB);
        client_leave(scene.member, false);
        world_turns(scene.world, 20);
        for (uint64_t number = 1; number <= 20; number++)
            client_publish(publisher, "t0", number, 10);
        world_turns(scene.world, 20);
        move_all(scene.world, 2, to); /* one of the two times it is another shard */
        scene.member = client_new(scene.world, 0, false);
        scene.member_delivery = 0;
        client_join(scene.member, QUEUE_SUB, "work", "t0", 4);
        for (uint64_t number = 21; number <= 40; number++) {
            client_publish(publisher, "t0", number, 10);
            world_turns(scene.world, 1);
            member_read(&scene, 64 * KIB);
        }
        for (uint32_t i = 0; i < 200 && scene.member_count < 40; i++) {
            world_turns(scene.world, 1);
            member_read(&scene, 64 * KIB);
        }
        cr_assert_eq(scene.member_count, 40, "%llu came", (unsigned long long)scene.member_count);
        world_free(scene.world);
    }
    LEAKS_NONE();
}

/* ---- who begins with the oldest event ---- */

static void move_slot(struct world *world, const char *topic, uint8_t to) {
    uint8_t slots[SLOT_COUNT];
    memcpy(slots, world->slots, sizeof slots);
    slots[topic_slot(topic_hash((const uint8_t *)topic, strlen(topic), 0))] = to;
    struct change *change = world_change(world, world->shards->config.count, slots);
    while (!world_changed(world, change))
        world_turns(world, 1);
}

static void publish_some(struct world_client *publisher, const char *topic, uint64_t first, uint64_t last) {
    for (uint64_t number = first; number <= last; number++) {
        client_publish(publisher, topic, number, 10);
        world_turns(publisher->world, 1);
    }
}

/* What a subscriber that begins in the past gets. */
struct kept_told {
    uint64_t numbers[1000];
    uint64_t gap_first, gap_last; /* positions, of the only Gap */
    uint32_t count, gaps, before; /* events; ... in front of the Gap */
};

static struct kept_told *kept_read(struct world *world, uint32_t shard, const char *pattern, bool last) {
    struct kept_told *told = calloc(1, sizeof *told);
    struct world_client *client = client_new(world, shard, false);
    Roundhouse__V1__Subscribe subscribe;
    Roundhouse__V1__Start start;
    struct world_frame frame;
    struct fault fault;
    roundhouse__v1__subscribe__init(&subscribe);
    roundhouse__v1__start__init(&start);
    subscribe.id = SUB;
    subscribe.start = &start;
    start.from_case = last ? ROUNDHOUSE__V1__START__FROM_LAST_PER_TOPIC : ROUNDHOUSE__V1__START__FROM_OLDEST;
    start.oldest = start.last_per_topic = 1; /* one place */
    client_subscribe_from(client, &subscribe, pattern);
    for (uint32_t quiet = 0; quiet < 20; quiet++) {
        world_turns(world, 1);
        if (client_pull(client, 64 * KIB) > 0)
            quiet = 0;
        while (client_next(client, &frame)) {
            cr_assert_neq(frame.kind, WIRE_ERROR);
            if (frame.kind == WIRE_EVENT)
                told->numbers[told->count++] = frame.number;
            if (frame.kind != WIRE_GAP)
                continue;
            Roundhouse__V1__Frame *read = control_unpack(&frame.wire, &fault);
            told->gaps++;
            told->before = told->count;
            told->gap_first = read->gap->from;
            told->gap_last = read->gap->to;
            control_free(read);
        }
    }
    return told;
}

/* A slot has come to the log of another topic, of which that tells nothing. */
Test(moving, tells_who_does_not_read_a_slot_of_no_hole_where_it_came_in) {
    struct world *world = world_new(&(struct world_config){.shards = 2, .log_records = 256});
    struct world_client *publisher = client_new(world, 0, false);
    char moved[16], topic[16];
    (void)world_topic(world, 0, moved);
    (void)world_topic(world, 1, topic);
    publish_some(publisher, moved, 1, 3);
    move_slot(world, moved, 1);
    publish_some(publisher, topic, 1001, 1600);
    uint64_t oldest = log_oldest(world->shards->logs[1]);
    cr_assert_gt(oldest, 1);
    for (uint32_t shard = 0; shard < 2; shard++) {
        struct kept_told *told = kept_read(world, shard, topic, false);
        cr_assert_eq(told->gaps, 0);
        cr_assert_eq(told->count, 601 - oldest);
        cr_assert_eq(told->numbers[0], 1000 + oldest);
        free(told);
    }
    world_free(world);
    LEAKS_NONE();
}

/* The Gap is over what is gone, and over nothing that is still kept. */
Test(moving, tells_of_the_hole_behind_a_move_and_goes_on_with_all_that_is_kept) {
    struct world *world = world_new(&(struct world_config){.shards = 2, .log_records = 256});
    struct world_client *publisher = client_new(world, 0, false);
    char topic[16];
    (void)world_topic(world, 0, topic);
    publish_some(publisher, topic, 1, 3);
    move_slot(world, topic, 1);
    publish_some(publisher, topic, 4, 603);
    uint64_t oldest = log_oldest(world->shards->logs[1]);
    cr_assert_gt(oldest, 1);
    for (uint32_t i = 0; i < 2; i++) {
        struct kept_told *told = kept_read(world, i, i == 0 ? topic : ">", false);
        cr_assert(told->gaps == 1 && told->before == 3 && told->numbers[2] == 3);
        cr_assert_eq(told->gap_first, 1);
        cr_assert_eq(told->gap_last, oldest - 1);
        cr_assert_eq(told->numbers[3], 3 + oldest);
        cr_assert_eq(told->count, 3 + 601 - oldest);
        free(told);
    }
    world_free(world);
    LEAKS_NONE();
}

/* Its events lie in both logs, from several stays in each. */
Test(moving, gives_the_last_event_of_a_topic_that_went_to_and_fro) {
    struct world *world = world_new(&(struct world_config){.shards = 2});
    struct world_client *publisher = client_new(world, 0, false);
    char topic[16];
    uint64_t number = 0;
    (void)world_topic(world, 0, topic);
    for (uint8_t stay = 0; stay < 6; stay++) {
        publish_some(publisher, topic, number + 1, number + 5);
        number += 5;
        for (uint32_t shard = 0; shard < 2; shard++) {
            struct kept_told *told = kept_read(world, shard, shard == 0 ? ">" : topic, true);
            cr_assert(told->count == 1 && told->gaps == 0);
            cr_assert_eq(told->numbers[0], number);
            free(told);
        }
        move_slot(world, topic, (uint8_t)((stay + 1) % 2));
    }
    world_free(world);
    LEAKS_NONE();
}

/* A map that names shards that are not there, or too many, is refused, and nothing is changed. */
Test(moving, refuses_what_can_not_be) {
    struct world *world = world_new(&(struct world_config){.shards = 2, .disks = 5});
    uint8_t slots[SLOT_COUNT] = {0};
    struct change *change;
    struct shards_change asked = {.count = 0, .slots = slots};
    cr_assert_eq(change_make(&change, world->shards, &asked), -EINVAL);
    asked.count = LOGS_MAX - 4; /* the disk logs need the rest */
    cr_assert_eq(change_make(&change, world->shards, &asked), -EINVAL);
    asked.count = 1;
    slots[SLOT_COUNT - 1] = 1;
    cr_assert_eq(change_make(&change, world->shards, &asked), -EINVAL);
    slots[SLOT_COUNT - 1] = 0;
    world->shards->epoch = CHANGE_EPOCH_MAX;
    cr_assert_eq(change_make(&change, world->shards, &asked), -EOVERFLOW);
    cr_assert_eq(published_get(&world->shards->cuts_count), 0);
    world_free(world);
    LEAKS_NONE();
}
