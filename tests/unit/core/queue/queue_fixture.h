/* queue_fixture.h: a queue with short names for what tests do to it, and a clock of their own.
 * Owner: the test that includes it; each has one world.
 * One thread.
 * Nothing blocks.
 * What fails, fails the running test. */
#pragma once

#include "core/queue/queue.h"

#include <criterion/criterion.h>
#include <string.h>

#define WORLD_LEASE_NS   UINT64_C(30000000000)
#define WORLD_BACKOFF_NS UINT64_C(1000000000)
#define WORLD_WALL_NS    UINT64_C(1700000000000000000)

struct world {
    struct queue *queue;
    uint64_t now_ns;
    struct queue_delivery last; /* of world_offer and world_take */
};

static inline struct queue_text world_text(const char *text) {
    return (struct queue_text){(const uint8_t *)text, (uint32_t)strlen(text)};
}
static inline struct queue_terms world_terms(void) {
    struct queue_terms terms = {.name = world_text("work"),
                                .patterns = {(const uint8_t *)"\x07order.>", 8},
                                .pattern_count = 1,
                                .group = true};
    terms_settle(&terms);
    return terms;
}
static inline struct queue_time world_now(const struct world *world) {
    return (struct queue_time){.mono_ns = world->now_ns, .wall_ns = WORLD_WALL_NS + world->now_ns};
}
static inline struct world world_with(const struct queue_terms *terms) {
    struct world world = {.now_ns = 1};
    struct fault fault = {0};
    cr_assert(terms_valid(terms, &fault) && terms_whole(terms, &fault), "%s: %s", fault.field, fault.text);
    cr_assert_eq(queue_create(&world.queue, terms), 0);
    cr_assert_eq(queue_begin(world.queue, 0, 1), 0);
    return world;
}
static inline struct world world_make(void) {
    struct queue_terms terms = world_terms();
    return world_with(&terms);
}
static inline void world_end(struct world *world) {
    queue_check(world->queue);
    queue_destroy(world->queue);
    world->queue = NULL;
}
static inline void world_join(struct world *world, uint64_t owner, uint32_t window) {
    uint64_t lost;
    cr_assert_eq(queue_join(world->queue, owner, window, false, &lost), QUEUE_OK);
    cr_assert_eq(lost, 0);
}
static inline enum queue_offer world_offer(struct world *world, uint64_t position, uint64_t key) {
    struct queue_event event = {
        .position = position, .key = key, .time_ns = WORLD_WALL_NS + position, .log = 0, .size = 100};
    world->last = (struct queue_delivery){0};
    enum queue_offer offer = queue_offer(world->queue, &event, world_now(world), &world->last);
    queue_check(world->queue);
    return offer;
}
/* The owner who gets the next event that is delivered again; 0 = nobody. */
static inline uint64_t world_take(struct world *world) {
    world->last = (struct queue_delivery){0};
    bool taken = queue_take(world->queue, world_now(world), &world->last);
    queue_check(world->queue);
    return taken ? world->last.owner : 0;
}
static inline enum queue_answer world_ack(struct world *world, uint64_t owner, uint64_t delivery,
                                          uint32_t kind) {
    struct queue_ack ack = {.owner = owner, .delivery = delivery, .kind = kind};
    enum queue_answer answer = queue_ack(world->queue, &ack, world_now(world));
    queue_check(world->queue);
    return answer;
}
static inline bool world_expire(struct world *world, struct queue_expired *expired) {
    bool found = queue_expire(world->queue, world_now(world), expired);
    queue_check(world->queue);
    return found;
}
