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
