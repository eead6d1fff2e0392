/* Durable queues over crashes: worlds end at any moment, what the journal had by then is all that the next
 * one, of another number of workers, begins with. What was acknowledged and saved never comes again, what was
 * not acknowledged comes, all of it. */
#include "tests/unit/core/route/random.h"
#include "tests/unit/core/shard/shard_world.h"
#include "codecs/wire/control.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS  400u
#define WINDOW  8u
#define SEEDS   10u
#define WORLDS  5u
#define STEPS   150u
#define SUB     7u
#define MEMBERS 2u

static uint64_t scene_ns;
static uint64_t scene_clock(void) {
    return scene_ns;
}

struct actor {
    struct world_client *client;
    uint64_t delivery;
    bool joined;
};

struct scene {
    struct world_disk disk;
    struct world *world;
    struct random random;
    struct world_client *publisher;
    struct actor actors[MEMBERS];
    uint8_t said[EVENTS];           /* acknowledged */
    uint8_t sure[EVENTS];           /* ... and that is on disk */
    uint8_t here[EVENTS];           /* delivered in this world */
    uint8_t kept[EVENTS];           /* the event is on disk */
    uint64_t published, born, seed; /* born: published before this world */
};

#define EXPECT(condition) cr_assert(condition, "seed %lu: %s", (unsigned long)scene->seed, #condition)

static void reads(struct scene *scene, struct actor *actor) {
    struct world_frame frame;
    struct fault fault;
    (void)client_pull(actor->client, 64 * KIB);
    while (client_next(actor->client, &frame)) {
        EXPECT(frame.kind != WIRE_ERROR && frame.kind != WIRE_GAP);
        actor->joined |= frame.kind == WIRE_SUBSCRIBED;
        if (frame.kind == WIRE_CONTEXT) {
            Roundhouse__V1__Frame *read = control_unpack(&frame.wire, &fault);
            actor->delivery = read->context->delivery;
            control_free(read);
        }
        if (frame.kind != WIRE_EVENT)
            continue;
        EXPECT(actor->joined && "nothing comes before the queue is known to be on disk");
        EXPECT(frame.number < scene->published && !scene->sure[frame.number]);
        scene->here[frame.number]++;
        bool done = random_below(&scene->random, 4) != 0;
        scene->said[frame.number] |= done;
        client_ack(actor->client, SUB, actor->delivery++,
                   done ? ROUNDHOUSE__V1__ACK__KIND__KIND_DONE : ROUNDHOUSE__V1__ACK__KIND__KIND_RETRY);
    }
}

static void turns(struct scene *scene, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        scene_ns += NS_PER_MS;
        world_turns(scene->world, 1);
        for (uint32_t a = 0; a < MEMBERS; a++)
            reads(scene, &scene->actors[a]);
    }
}

/* All that was said until now is written, and nothing is said meanwhile but about the same. */
static void settle(struct scene *scene) {
    uint8_t said[EVENTS];
    memcpy(said, scene->said, sizeof said);
    uint64_t published = scene->published;
    for (uint32_t i = 0; i < 4; i++) {
        turns(scene, 8);
        world_journal(scene->world);
    }
    scene_ns += 2 * QUEUE_SAVE_NS;
    turns(scene, 4);
    world_journal(scene->world);
    for (uint64_t n = scene->born; n < published; n++)
        scene->kept[n] = 1;
    for (uint32_t i = 0; i < EVENTS; i++)
        scene->sure[i] |= said[i];
}

static void begins(struct scene *scene) {
    uint32_t shards = 1 + (uint32_t)random_below(&scene->random, 4);
    scene->world = world_new(&(struct world_config){
        .shards = shards, .disks = 3, .log_data = MIB, .socket_bytes = 3000, .disk = &scene->disk});
    memset(scene->here, 0, sizeof scene->here);
    scene->born = scene->published;
    for (uint32_t i = 0; i < shards; i++)
        world_worker(scene->world, i)->clock_ns = scene_clock;
    scene->publisher = client_new(scene->world, 0, false);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        uint32_t shard = (uint32_t)random_below(&scene->random, shards);
        scene->actors[i] = (struct actor){.client = client_new(scene->world, shard, false)};
        client_join_durable(scene->actors[i].client, SUB, "work", "d.>", WINDOW);
    }
    turns(scene, 4);
    EXPECT(scene->born > 0 || !scene->actors[0].joined);
    world_journal(scene->world);
    turns(scene, 6);
    EXPECT(scene->actors[0].joined && scene->actors[1].joined);
}

static void lives(struct scene *scene) {
    char topic[16];
    for (uint32_t i = 0; i < STEPS; i++) {
        uint32_t log = world_worker(scene->world, 0)->shards->config.count + i % 3;
        if (random_below(&scene->random, 2) == 0 && scene->published < EVENTS)
            client_publish(scene->publisher, world_topic(scene->world, log, topic), scene->published++, 50);
        if (random_below(&scene->random, 3) == 0)
            world_journal(scene->world);
        if (random_below(&scene->random, 40) == 0)
            settle(scene);
        if (random_below(&scene->random, 30) == 0)
            scene->disk.segment++;
        turns(scene, 1);
    }
}

/* Everything that was durable and not said to be done has come in the last world. */
static void completes(struct scene *scene) {
    uint8_t before[EVENTS];
    memcpy(before, scene->said, sizeof before);
    for (uint32_t i = 0; i < 200; i++) {
        turns(scene, 10);
        world_journal(scene->world);
    }
    for (uint64_t n = 0; n < scene->published; n++)
        cr_assert(!scene->kept[n] || before[n] || scene->here[n], "seed %lu: event %lu is lost",
                  (unsigned long)scene->seed, (unsigned long)n);
    for (uint64_t n = 0; n < scene->published; n++)
        EXPECT(!scene->kept[n] || scene->said[n]);
}

static void scene_run(uint64_t seed) {
    struct scene *scene = calloc(1, sizeof *scene);
    scene->seed = scene->random.state = seed;
    scene_ns = NS_PER_S;
    for (uint32_t i = 0; i < WORLDS; i++) {
        begins(scene);
        if (i == 0) {
            lives(scene);
            settle(scene);
        } else if (i + 1 < WORLDS)
            lives(scene);
        else
            completes(scene);
        world_free(scene->world);
    }
    uint32_t kept = 0;
    for (uint32_t n = 0; n < EVENTS; n++)
        kept += scene->kept[n];
    EXPECT(kept > 20);
    world_disk_free(&scene->disk);
    free(scene);
}

Test(durable_scenes, nothing_is_lost_or_done_twice_over_crashes) {
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        scene_run(seed);
}

/* ---- the end of a queue ---- */

#define REMOVAL 9u

static uint64_t durable_queues(struct scene *scene) {
    uint64_t queues = 0;
    for (uint32_t i = 0; i < world_worker(scene->world, 0)->shards->config.count; i++)
        queues += counter_get(&world_worker(scene->world, i)->stats.queues_durable);
    return queues;
}

static void world_begins(struct scene *scene, uint32_t shards) {
    scene->world = world_new(&(struct world_config){
        .shards = shards, .disks = 3, .log_data = MIB, .socket_bytes = 3000, .disk = &scene->disk});
    for (uint32_t i = 0; i < shards; i++)
        world_worker(scene->world, i)->clock_ns = scene_clock;
}

static void plain_turns(struct scene *scene) {
    for (uint32_t i = 0; i < 12; i++) {
        scene_ns += NS_PER_MS;
        world_turns(scene->world, 1);
    }
}

/* Whether a frame of this kind has come; others are passed over. */
static bool came(struct world_client *client, enum wire_kind kind) {
    struct world_frame frame;
    bool found = false;
    (void)client_pull(client, 64 * KIB);
    while (client_next(client, &frame))
        found |= frame.kind == kind;
    return found;
}

static struct world_client *member_of(struct scene *scene, const char *name) {
    struct world_client *member = client_new(scene->world, 0, false);
    client_join_durable(member, SUB, name, "d.>", WINDOW);
    plain_turns(scene);
    world_journal(scene->world);
    plain_turns(scene);
    cr_assert(came(member, WIRE_SUBSCRIBED));
    return member;
}

/* The crash comes before the end of the queue is on disk, or behind it. */
static void removal_run(uint32_t shards, bool durable) {
    struct scene *scene = calloc(1, sizeof *scene);
    char topic[16];
    scene_ns = NS_PER_S;
    world_begins(scene, shards);
    struct world_client *member = member_of(scene, "work"), *other = member_of(scene, "other");
    for (uint64_t n = 0; n < 5; n++)
        client_publish(other, world_topic(scene->world, shards, topic), n, 50);
    plain_turns(scene);
    world_journal(scene->world);
    plain_turns(scene);
    cr_assert(came(member, WIRE_EVENT) && durable_queues(scene) == 2);
    struct world_client *remover = client_new(scene->world, shards - 1, false);
    client_remove_queue(remover, REMOVAL, "work");
    plain_turns(scene);
    cr_assert(came(member, WIRE_UNSUBSCRIBED), "it is put out at once");
    cr_assert(!came(remover, WIRE_UNSUBSCRIBED), "a crash could still bring it back");
    scene->disk.segment++; /* all states are written anew: not that of one that is being removed */
    plain_turns(scene);
    if (durable) {
        world_journal(scene->world);
        plain_turns(scene);
        cr_assert(came(remover, WIRE_UNSUBSCRIBED) && durable_queues(scene) == 1);
    }
    world_crash(scene->world);
    world_free(scene->world);
    world_begins(scene, 5 - shards);
    cr_assert(durable_queues(scene) == (durable ? 1 : 2));
    if (durable)
        (void)member_of(scene, "work"); /* it begins anew */
    world_free(scene->world);
    world_begins(scene, shards);
    cr_assert(durable_queues(scene) == 2);
    world_free(scene->world);
    world_disk_free(&scene->disk);
    free(scene);
    LEAKS_NONE();
}

Test(durable_scenes, a_queue_that_was_removed_is_gone_when_that_is_told) {
    for (uint32_t shards = 1; shards <= 4; shards++) {
        removal_run(shards, false);
        removal_run(shards, true);
    }
}
