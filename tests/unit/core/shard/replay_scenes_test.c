/* Replays over the simulated I/O body and a clock that the test moves: how many events go out is counted, so
 * a rate is held to the event. */
#include "tests/unit/core/shard/shard_world.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define SUB    7u
#define EVENTS 40u

static uint64_t scene_ns;
static uint64_t scene_clock(void) {
    return scene_ns;
}

struct scene {
    struct world *world;
    struct world_client *publisher, *member, *asker;
    uint64_t delivery; /* of the next event */
    bool replay;       /* as the last Context said */
};

static Roundhouse__V1__Frame *unpacked(const struct world_frame *frame) {
    struct fault fault;
    Roundhouse__V1__Frame *read = control_unpack(&frame->wire, &fault);
    cr_assert_not_null(read);
    return read;
}

/* How many events the member has got, all replayed or none as `replay` says; each is acknowledged when `ack`.
 */
static uint32_t got(struct scene *scene, bool replay, bool ack) {
    struct world_frame frame;
    uint32_t count = 0;
    world_turns(scene->world, 6);
    (void)client_pull(scene->member, 64 * KIB);
    while (client_next(scene->member, &frame)) {
        if (frame.kind == WIRE_CONTEXT) {
            Roundhouse__V1__Frame *read = unpacked(&frame);
            scene->delivery = read->context->delivery;
            scene->replay = read->context->replay;
            control_free(read);
        }
        if (frame.kind != WIRE_EVENT)
            continue;
        cr_assert_eq(scene->replay, replay);
        if (ack)
            client_ack(scene->member, SUB, scene->delivery, ROUNDHOUSE__V1__ACK__KIND__KIND_DONE);
        scene->delivery++;
        count++;
    }
    return count;
}

/* A member that has got EVENTS events, and acknowledged them. */
static struct scene scene_new(uint32_t shards, uint32_t window) {
    struct scene scene;
    struct world_frame frame;
    memset(&scene, 0, sizeof scene);
    scene_ns = NS_PER_S;
    scene.world =
        world_new(&(struct world_config){.shards = shards, .log_data = MIB, .socket_bytes = 64 * KIB});
    for (uint32_t i = 0; i < shards; i++)
        world_worker(scene.world, i)->clock_ns = scene_clock;
    scene.publisher = client_new(scene.world, 0, false);
    scene.member = client_new(scene.world, shards - 1, false);
    scene.asker = client_new(scene.world, 0, false);
    client_join(scene.member, SUB, "work", "t.>", window);
    world_turns(scene.world, 4);
    client_expect(scene.member, WIRE_SUBSCRIBED, &frame);
    for (uint64_t i = 0; i < EVENTS; i++)
        client_publish(scene.publisher, "t.a", i, 100);
    for (uint32_t count = 0; count < EVENTS;)
        count += got(&scene, false, true);
    world_turns(scene.world, 4);
    return scene;
}

static void scene_end(struct scene *scene) {
    world_free(scene->world);
    LEAKS_NONE();
}

static struct kept *the_kept(const struct scene *scene, struct keeper **keeper) {
    for (uint32_t i = 0; i < scene->world->shards->config.count; i++) {
        *keeper = &world_worker(scene->world, i)->keeper;
        if ((*keeper)->count > 0)
            return (*keeper)->slots[0];
    }
    cr_assert_fail("nobody keeps the queue");
    return NULL;
}

static void replay_begins(struct scene *scene, double rate) {
    struct world_frame frame;
    client_replay(scene->asker, 1, "work", rate);
    world_turns(scene->world, 1);
    client_expect(scene->asker, WIRE_REPLAYED, &frame);
}

/* Until it is over. */
static void over(struct scene *scene, uint64_t delivered, uint64_t acknowledged, uint64_t left) {
    struct world_frame frame;
    bool last = false;
    while (!last) {
        world_turns(scene->world, 2);
        client_expect(scene->asker, WIRE_REPLAYED, &frame);
        Roundhouse__V1__Frame *read = unpacked(&frame);
        last = read->replayed->over;
        if (last)
            cr_assert(read->replayed->id == 1 && read->replayed->delivered == delivered &&
                      read->replayed->acknowledged == acknowledged && read->replayed->left == left);
        control_free(read);
    }
}

Test(replay_scenes, a_rate_is_held_to_the_event) {
    for (uint32_t shards = 1; shards <= 3; shards++) {
        struct scene scene = scene_new(shards, 100);
        struct keeper *keeper;
        const struct kept *kept = the_kept(&scene, &keeper);
        replay_begins(&scene, 10);
        cr_assert_eq(got(&scene, true, true), 1);
        cr_assert_leq(timers_due(&keeper->timers), scene_ns + NS_PER_S / 10, "it wakes for the next one");
        uint32_t count = 1;
        for (uint32_t i = 1; i <= 100; i++) {
            scene_ns += NS_PER_S / 100;
            count += got(&scene, true, true);
            cr_assert_eq(count, 1 + i / 10);
        }
        scene_ns += 5 * NS_PER_S;
        cr_assert_eq(got(&scene, true, true), 1, "time that nobody has used is not caught up");
        while (count + 1 < EVENTS) {
            scene_ns += NS_PER_S / 10;
            cr_assert_eq(got(&scene, true, true), 1);
            count++;
        }
        over(&scene, EVENTS, EVENTS, 0);
        cr_assert_null(kept->replay);
        scene_end(&scene);
    }
}

Test(replay_scenes, what_waits_is_in_the_log_and_not_in_the_queue) {
    struct scene scene = scene_new(2, 8);
    struct keeper *keeper;
    const struct kept *kept = the_kept(&scene, &keeper);
    replay_begins(&scene, 0);
    cr_assert_eq(got(&scene, true, false), 4, "half a window");
    struct queue_counts counts = queue_counts(kept->queue);
    cr_assert(counts.out == 4 && counts.parked == 0 && counts.replays == 4);
    client_publish(scene.publisher, "t.a", EVENTS, 100);
    client_publish(scene.publisher, "t.a", EVENTS + 1, 100);
    cr_assert_eq(got(&scene, false, true), 2, "what is new goes on");
    scene_ns += 20 * NS_PER_S;
    cr_assert_eq(got(&scene, true, false), 0);
    client_unsubscribe(scene.asker, 1);
    over(&scene, 4, 0, EVENTS);
    cr_assert_eq(keeper->replays, 0);
    scene_ns += 60 * NS_PER_S;
    cr_assert_eq(got(&scene, true, false), 0, "a lease that ends brings nothing back");
    counts = queue_counts(kept->queue);
    cr_assert(counts.out == 0 && counts.replays == 0 && counts.totals.expired == 4);
    queue_check(kept->queue);
    scene_end(&scene);
}

Test(replay_scenes, it_ends_when_whoever_has_asked_for_it_is_gone) {
    for (uint32_t shards = 1; shards <= 3; shards++) {
        struct scene scene = scene_new(shards, 8);
        struct keeper *keeper;
        const struct kept *kept = the_kept(&scene, &keeper);
        replay_begins(&scene, 0);
        client_leave(scene.asker, shards == 2);
        world_turns(scene.world, 6);
        cr_assert(kept->replay == NULL && keeper->replays == 0 && keeper->owners.count == 1);
        scene_end(&scene);
    }
}

Test(replay_scenes, it_is_freed_with_its_router) {
    struct scene scene = scene_new(2, 8);
    replay_begins(&scene, 0.001);
    client_leave(scene.member, true);
    scene_end(&scene);
}
