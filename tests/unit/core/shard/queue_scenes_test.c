/* Queues in a router of several workers over the simulated I/O body: members of all workers come, fail,
 * refuse to read and leave as a seed says. What was acknowledged never comes again, everything else does, and
 * no window is ever exceeded. */
#include "tests/unit/core/route/random.h"
#include "tests/unit/core/shard/shard_world.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define SHARDS  3u
#define MEMBERS 5u
#define EVENTS  300u
#define WINDOW  4u
#define SEEDS   12u
#define STEPS   1500u
#define SUB     7u
#define HELD    64u

static uint64_t scene_ns;
static uint64_t scene_clock(void) {
    return scene_ns;
}

struct held {
    uint64_t delivery, number;
};

struct actor {
    struct world_client *client; /* NULL = away */
    uint64_t delivery;           /* of the next event, as the last Context said */
    bool joined, ours;           /* ours: the last Context is the queue's */
    struct held held[HELD];
    uint32_t held_count;
};

struct scene {
    struct world *world;
    struct random random;
    struct world_client *publisher;
    struct actor actors[MEMBERS];
    uint8_t seen[EVENTS], done[EVENTS]; /* how often */
    uint64_t published, seed;
    bool filtered; /* the queue gets only what is not divisible by ten */
};

#define FILTERS "[{\"not\":{\"suffix\":{\"id\":\"0\"}}}]"
static bool is_for_it(const struct scene *scene, uint64_t number) {
    return !scene->filtered || number % 10 != 0;
}

#define EXPECT(condition) cr_assert(condition, "seed %lu: %s", (unsigned long)scene->seed, #condition)

static struct scene *scene_new(uint64_t seed, uint32_t shards) {
    struct scene *scene = calloc(1, sizeof *scene);
    scene->seed = scene->random.state = seed;
    scene_ns = NS_PER_S;
    scene->world = world_new(&(struct world_config){.shards = shards, .log_data = MIB, .socket_bytes = 2000});
    for (uint32_t i = 0; i < shards; i++)
        world_worker(scene->world, i)->clock_ns = scene_clock;
    scene->publisher = client_new(scene->world, 0, false);
    return scene;
}

static void scene_end(struct scene *scene) {
    world_free(scene->world);
    free(scene);
}

static void context_read(struct actor *actor, const struct world_frame *frame) {
    struct fault fault;
    Roundhouse__V1__Frame *read = control_unpack(&frame->wire, &fault);
    cr_assert(read != NULL);
    actor->ours = read->context->subscription == SUB;
    actor->delivery = read->context->delivery;
    control_free(read);
}

static void event_take(struct scene *scene, struct actor *actor, uint64_t number) {
    EXPECT(actor->joined && actor->ours && number < scene->published);
    EXPECT(scene->done[number] == 0 && "what is done does not come again");
    EXPECT(is_for_it(scene, number));
    EXPECT(actor->held_count < WINDOW && "the window holds");
    scene->seen[number]++;
    actor->held[actor->held_count++] = (struct held){actor->delivery++, number};
}

static void reads(struct scene *scene, struct actor *actor) {
    struct world_frame frame;
    (void)client_pull(actor->client, 64 * KIB);
    while (client_next(actor->client, &frame)) {
        EXPECT(frame.kind != WIRE_ERROR && frame.kind != WIRE_GAP);
        if (frame.kind == WIRE_SUBSCRIBED)
            actor->joined = true;
        else if (frame.kind == WIRE_CONTEXT)
            context_read(actor, &frame);
        else if (frame.kind == WIRE_EVENT)
            event_take(scene, actor, frame.number);
    }
}

static void answers(struct scene *scene, struct actor *actor) {
    if (actor->held_count == 0)
        return;
    uint32_t which = (uint32_t)random_below(&scene->random, actor->held_count);
    struct held held = actor->held[which];
    bool retry = random_below(&scene->random, 4) == 0;
    scene->done[held.number] += !retry;
    actor->held[which] = actor->held[--actor->held_count];
    client_ack(actor->client, SUB, held.delivery,
               retry ? ROUNDHOUSE__V1__ACK__KIND__KIND_RETRY : ROUNDHOUSE__V1__ACK__KIND__KIND_DONE);
}

/* Whoever joins a queue may leave its filters out. */
static void comes(struct scene *scene, struct actor *actor, bool says) {
    *actor = (struct actor){
        .client = client_new(scene->world, (uint32_t)random_below(&scene->random, SHARDS), false)};
    actor->client->filters = says ? FILTERS : NULL;
    client_join(actor->client, SUB, "work", "t.>", WINDOW);
}

/* What it has said is heard first: an Ack that is lost with its connection is another scene. */
static void goes(struct scene *scene, struct actor *actor) {
    while (actor->client->out_length > 0) {
        (void)client_pull(actor->client, 64 * KIB);
        world_turns(scene->world, 1);
    }
    world_turns(scene->world, 4);
    client_leave(actor->client, random_below(&scene->random, 2));
    *actor = (struct actor){0};
}

static void publishes(struct scene *scene) {
    static const char *const topics[] = {"t.a", "t.b", "t.c", "t.d", "t.e", "t.f", "t.g"};
    if (scene->published == EVENTS)
        return;
    client_publish(scene->publisher, topics[random_below(&scene->random, 7)], scene->published++,
                   (uint32_t)random_below(&scene->random, 600));
}

static void step(struct scene *scene) {
    struct actor *actor = &scene->actors[random_below(&scene->random, MEMBERS)];
    size_t dice = random_below(&scene->random, 100);
    if (dice < 30)
        world_turn(scene->world, (uint32_t)random_below(&scene->random, SHARDS));
    else if (dice < 50)
        publishes(scene);
    else if (dice < 55)
        scene_ns += random_below(&scene->random, 3) * NS_PER_MS;
    else if (actor->client == NULL)
        comes(scene, actor, scene->filtered && scene->published % 2 == 0);
    else if (dice < 75)
        reads(scene, actor);
    else if (dice < 98)
        answers(scene, actor);
    else
        goes(scene, actor);
}

static bool all_done(const struct scene *scene) {
    for (uint32_t i = 0; i < EVENTS; i++)
        if (scene->done[i] == 0 && is_for_it(scene, i))
            return false;
    return scene->published == EVENTS;
}

static void drains(struct scene *scene) {
    for (uint32_t i = 0; i < MEMBERS; i++)
        if (scene->actors[i].client == NULL)
            comes(scene, &scene->actors[i], scene->filtered);
    for (uint32_t round = 0; round < 40 * EVENTS && !all_done(scene); round++) {
        publishes(scene);
        world_turns(scene->world, 1);
        scene_ns += NS_PER_MS;
        for (uint32_t i = 0; i < MEMBERS; i++) {
            reads(scene, &scene->actors[i]);
            answers(scene, &scene->actors[i]);
        }
    }
    EXPECT(all_done(scene));
    for (uint32_t i = 0; i < EVENTS; i++)
        EXPECT(is_for_it(scene, i) ? scene->done[i] == 1 && scene->seen[i] >= 1 : scene->seen[i] == 0);
}

/* The queue itself says so, too: nothing is out, and its floors are where its cursors are. */
static void nothing_is_left(struct scene *scene) {
    uint32_t found = 0;
    world_turns(scene->world, 5);
    for (uint32_t i = 0; i < SHARDS; i++) {
        const struct keeper *keeper = &world_worker(scene->world, i)->keeper;
        for (uint32_t slot = 0; slot < keeper->capacity; slot++) {
            const struct kept *kept = keeper->slots[slot];
            if (kept == NULL)
                continue;
            struct queue_counts counts = queue_counts(kept->queue);
            queue_check(kept->queue);
            uint64_t all = scene->filtered ? EVENTS - EVENTS / 10 : EVENTS;
            EXPECT(counts.out == 0 && counts.parked == 0 && counts.totals.done == all &&
                   counts.totals.lost == 0);
            found++;
        }
    }
    EXPECT(found == 1);
}

static void members_share(bool filtered) {
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct scene *scene = scene_new(seed, SHARDS);
        scene->filtered = filtered;
        comes(scene, &scene->actors[0], filtered); /* the first one makes the queue */
        while (!scene->actors[0].joined) {
            world_turns(scene->world, 1);
            reads(scene, &scene->actors[0]);
        }
        for (uint32_t i = 0; i < STEPS; i++)
            step(scene);
        drains(scene);
        nothing_is_left(scene);
        scene_end(scene);
    }
    LEAKS_NONE();
}

Test(queue_scenes, members_of_all_workers_share_a_queue_whatever_becomes_of_them) {
    members_share(false);
}

Test(queue_scenes, of_a_queue_with_filters_they_share_what_passes) {
    members_share(true);
}

/* ---- scenes of their own ---- */

static struct keeper *the_keeper(struct world *world, uint32_t shards, struct kept **kept) {
    for (uint32_t i = 0; i < shards; i++) {
        struct keeper *keeper = &world_worker(world, i)->keeper;
        if (keeper->count == 0)
            continue;
        *kept = keeper->slots[0];
        return keeper;
    }
    cr_assert_fail("nobody keeps a queue");
    return NULL;
}

Test(queue_scenes, without_members_a_queue_stands_in_no_table_and_costs_no_event_anything) {
    struct scene *scene = scene_new(1, 1);
    struct world_client *member = client_new(scene->world, 0, false);
    struct world_frame frame;
    struct kept *kept = NULL;
    client_join(member, SUB, "work", "t.>", WINDOW);
    client_expect(member, WIRE_SUBSCRIBED, &frame);
    (void)the_keeper(scene->world, 1, &kept);
    const struct worker *worker = world_worker(scene->world, 0);
    cr_assert(kept->attached && worker->readers[0].attached);
    client_leave(member, true);
    world_turns(scene->world, 4);
    cr_assert_not(kept->attached);
    cr_assert_not(worker->readers[0].attached, "the log is not even read");
    cr_assert_eq(counter_get(&worker->stats.subscriptions), 0);
    for (uint64_t i = 0; i < 50; i++) {
        client_publish(scene->publisher, "t.a", i, 100);
        world_turns(scene->world, 1);
    }
    cr_assert_eq(counter_get(&worker->stats.runs), 0);
    cr_assert_eq(queue_counts(kept->queue).totals.delivered, 0);
    scene_end(scene);
    LEAKS_NONE();
}

Test(queue_scenes, a_worker_wakes_for_a_lease_that_ends) {
    struct scene *scene = scene_new(1, 2);
    struct world_client *member = client_new(scene->world, 1, false);
    struct world_frame frame;
    struct kept *kept = NULL;
    client_join(member, SUB, "work", "t.>", WINDOW);
    world_turns(scene->world, 4);
    client_expect(member, WIRE_SUBSCRIBED, &frame);
    client_publish(scene->publisher, "t.a", 0, 100);
    world_turns(scene->world, 6);
    client_expect(member, WIRE_EVENT, &frame);
    const struct keeper *keeper = the_keeper(scene->world, 2, &kept);
    cr_assert_eq(timers_due(&keeper->timers), queue_due(kept->queue));
    scene_ns = queue_due(kept->queue);
    world_turns(scene->world, 3);
    cr_assert_eq(queue_counts(kept->queue).totals.expired, 1);
    scene_ns += NS_PER_S;
    world_turns(scene->world, 3);
    client_expect(member, WIRE_EVENT, &frame);
    cr_assert_eq(frame.number, 0);
    scene_end(scene);
    LEAKS_NONE();
}

Test(queue_scenes, events_in_the_output_do_not_count_as_replies_that_nobody_reads) {
    struct scene *scene = scene_new(1, 1);
    struct world_client *member = client_new(scene->world, 0, false);
    struct world_frame frame;
    client_join(member, SUB, "work", "t.>", 200);
    client_expect(member, WIRE_SUBSCRIBED, &frame);
    for (uint64_t i = 0; i < 150; i++) {
        client_publish(scene->publisher, "t.a", i, 1000);
        world_turns(scene->world, 1);
    }
    const struct worker *worker = world_worker(scene->world, 0);
    cr_assert_eq(counter_get(&worker->stats.deliveries), 150);
    cr_assert_lt(counter_get(&worker->stats.private_high_water), 4 * KIB);
    for (uint64_t i = 0; i < 150; i++) {
        client_expect(member, WIRE_EVENT, &frame);
        cr_assert_eq(frame.number, i);
    }
    scene_end(scene);
    LEAKS_NONE();
}
