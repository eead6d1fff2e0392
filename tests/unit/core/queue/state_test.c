/* The durable state of a queue, and what is refused when it is read. */
#include "tests/unit/core/queue/queue_fixture.h"
#include "core/base/heap.h"
#include "core/base/limits.h"
#include "tests/unit/leaks.h"

#include <errno.h>
#include <stdlib.h>

enum { ANNA = 11 };

static size_t save(const struct world *world, uint8_t *bytes, size_t room) {
    cr_assert_leq(queue_save_bound(world->queue), room);
    return queue_save(world->queue, bytes, SIZE_MAX);
}

/* Positions 1 to 8: done, delivered, delivered, done, failed once, parked behind it, done, passed over. */
static struct world some_state(void) {
    struct world world = world_make();
    world_join(&world, ANNA, 10);
    for (uint64_t i = 1; i <= 5; i++)
        cr_assert_eq(world_offer(&world, i, i == 5 ? 9 : 0), OFFER_GIVEN);
    cr_assert_eq(world_offer(&world, 6, 9), OFFER_PARKED);
    cr_assert_eq(world_offer(&world, 7, 0), OFFER_GIVEN);
    cr_assert_eq(world_ack(&world, ANNA, 1, QUEUE_ACK_DONE), QUEUE_OK);
    cr_assert_eq(world_ack(&world, ANNA, 4, QUEUE_ACK_DONE), QUEUE_OK);
    cr_assert_eq(world_ack(&world, ANNA, 5, QUEUE_ACK_RETRY), QUEUE_OK);
    cr_assert_eq(world_ack(&world, ANNA, 6, QUEUE_ACK_DONE), QUEUE_OK);
    queue_pass(world.queue, 0, 9);
    struct queue_expired expired;
    world.now_ns += WORLD_BACKOFF_NS;
    cr_assert_not(world_expire(&world, &expired));
    cr_assert_eq(world_take(&world), ANNA);
    return world;
}

static const uint8_t golden[] = {
    1,    1,    4,    'w',  'o',  'r',  'k',  0, /* version, a group, no dead letter */
    12,   'p',  'a',  'r',  't',  'i',  't',  'i',  'o',  'n',  'k',  'e',  'y', /* */
    0x80, 0xd8, 0x8e, 0xe1, 0x6f, 0x80, 0x94, 0xeb, 0xdc, 3,    5,    0, /* lease, pause, attempts, capacity
                                                                          */
    1,    8,    7,    'o',  'r',  'd',  'e',  'r',  '.',  '>',           /* one pattern */
    1,    0,    2,    3,                                                 /* one log, its floor, three runs */
    0,    2,    1,                                                       /* 2 and 3, once */
    1,    1,    2,    0x81, 0x80, 0xa8, 0xb1, 0xe3, 0x9f, 0xe7, 0xcb, 0x17, /* 5, twice, first at */
    0x80, 0x94, 0xeb, 0xdc, 3,                                              /* ... and a second later */
    0,    1,    0,                                                          /* 6, never */
    2,                                                                      /* the cursor stands at 9 */
};

Test(state, is_written_as_it_always_was) {
    struct world world = some_state();
    uint8_t bytes[1024];
    size_t n = save(&world, bytes, sizeof bytes);
    cr_assert_eq(n, sizeof golden, "%zu bytes", n);
    cr_assert_arr_eq(bytes, golden, sizeof golden);
    world_end(&world);
}

/* What does not fit counts as not seen: it is offered again, nothing is taken for done. */
Test(state, fits_into_what_there_is_by_leaving_the_last_holes_out) {
    struct world world = world_make();
    struct queue *again;
    struct fault fault;
    uint8_t bytes[8192];
    world_join(&world, ANNA, 200);
    for (uint64_t i = 1; i <= 100; i++)
        cr_assert_eq(world_offer(&world, i, 0), OFFER_GIVEN);
    for (uint64_t i = 2; i <= 100; i += 2)
        cr_assert_eq(world_ack(&world, ANNA, i, QUEUE_ACK_DONE), QUEUE_OK);
    size_t least = queue_save_least(world.queue);
    for (size_t room = least; room < queue_save_bound(world.queue); room += 7) {
        size_t n = queue_save(world.queue, bytes, room);
        cr_assert_leq(n, room);
        cr_assert_eq(queue_restore(&again, bytes, n, &fault), 0, "%zu: %s", room, fault.text);
        struct queue_counts counts = queue_counts(again);
        cr_assert_eq(queue_cursor(again, 0), 1);
        cr_assert_leq(counts.restored, 50);
        cr_assert(counts.restored >= (room - least) / 64, "%zu", room);
        queue_check(again);
        queue_destroy(again);
    }
    world_end(&world);
}

Test(state, forgets_the_logs_of_an_earlier_run) {
    struct world world = some_state();
    struct queue *again;
    struct fault fault;
    uint8_t bytes[1024];
    cr_assert_eq(queue_begin(world.queue, 64, 5), 0);
    cr_assert_eq(queue_begin(world.queue, 130, 1000), 0); /* of a shard that came later */
    size_t n = save(&world, bytes, sizeof bytes);
    cr_assert_eq(queue_restore(&again, bytes, n, &fault), 0);
    queue_forget_below(again, 64);
    queue_forget_from(again, 128);
    cr_assert_eq(queue_cursor(again, 64), 5);
    cr_assert_eq(queue_begin(again, 130, 1), 0);
    cr_assert_eq(queue_cursor(again, 130), 1);
    cr_assert_eq(queue_counts(again).restored, 0);
    cr_assert_eq(queue_begin(again, 0, 77), 0);
    cr_assert_eq(queue_cursor(again, 0), 77);
    queue_check(again);
    queue_destroy(again);
    world_end(&world);
}

Test(state, is_the_same_queue_when_it_has_been_read) {
    struct world world = {.now_ns = 1};
    struct fault fault;
    cr_assert_eq(queue_restore(&world.queue, golden, sizeof golden, &fault), 0);
    struct queue_terms terms = world_terms();
    cr_assert(terms_agree(queue_terms(world.queue), &terms, &fault), "%s", fault.text);
    cr_assert_eq(queue_cursor(world.queue, 0), 2);
    cr_assert_eq(queue_floor(world.queue, 0), 2);
    cr_assert_eq(queue_counts(world.queue).restored, 4);
    cr_assert_eq(queue_members(world.queue), 0);
    cr_assert_eq(world_offer(&world, 2, 0), OFFER_WAIT);
    world_join(&world, ANNA, 10);
    cr_assert_eq(world_offer(&world, 2, 0), OFFER_GIVEN);
    cr_assert_eq(world.last.attempt, 2);
    cr_assert_eq(world_offer(&world, 3, 0), OFFER_GIVEN);
    cr_assert_eq(world_offer(&world, 4, 0), OFFER_DONE);
    uint8_t bytes[1024];
    cr_assert_gt(save(&world, bytes, sizeof bytes), 0); /* in the midst of what was restored */
    cr_assert_eq(world_offer(&world, 5, 9), OFFER_GIVEN);
    cr_assert_eq(world.last.attempt, 3);
    cr_assert_eq(world_offer(&world, 6, 9), OFFER_PARKED);
    cr_assert_eq(world_offer(&world, 8, 0), OFFER_DONE);
    cr_assert_eq(queue_counts(world.queue).restored, 0);
    cr_assert_eq(world_offer(&world, 9, 0), OFFER_GIVEN);
    cr_assert_eq(world.last.attempt, 1);
    world_end(&world);
    LEAKS_NONE();
}

Test(state, keeps_terms_of_every_kind) {
    struct queue_terms terms = {.name = world_text("@crm"),
                                .dead_letter = world_text("alarm.crm"),
                                .key = world_text("customer"),
                                .lease_ns = QUEUE_LEASE_NS_MAX,
                                .backoff_ns = 1,
                                .attempts = QUEUE_ATTEMPTS_MAX,
                                .capacity = QUEUE_CAPACITY_MAX,
                                .is_volatile = true,
                                .ephemeral = true};
    struct world world = world_with(&terms);
    uint8_t bytes[1024];
    size_t n = save(&world, bytes, sizeof bytes);
    queue_destroy(world.queue);
    struct fault fault;
    cr_assert_eq(queue_restore(&world.queue, bytes, n, &fault), 0);
    const struct queue_terms *read = queue_terms(world.queue);
    cr_assert(terms_agree(read, &terms, &fault), "%s", fault.text);
    cr_assert(read->lease_ns == terms.lease_ns && read->capacity == terms.capacity && read->key.n == 8);
    world_end(&world);
}

Test(state, refuses_what_is_cut_anywhere_and_what_has_something_behind_it) {
    struct queue *queue = NULL;
    struct fault fault;
    for (size_t n = 0; n < sizeof golden; n++) {
        uint8_t *cut = malloc(n ? n : 1); /* alone in memory: a look beyond it shows */
        memcpy(cut, golden, n);
        cr_assert_eq(queue_restore(&queue, cut, n, &fault), -EBADMSG, "%zu bytes", n);
        cr_assert(fault.text && fault.field);
        free(cut);
    }
    uint8_t more[sizeof golden + 1] = {0};
    memcpy(more, golden, sizeof golden);
    cr_assert_eq(queue_restore(&queue, more, sizeof more, &fault), -EBADMSG);
    cr_assert_eq(queue_restore(&queue, golden, QUEUE_STATE_BYTES_MAX + 1, &fault), -EBADMSG);
    LEAKS_NONE();
}

/* Either it is refused, or it is a whole queue that is written the way it was read. */
Test(state, is_read_in_one_form_only) {
    uint8_t changed[sizeof golden], again[4096];
    size_t accepted = 0;
    for (size_t i = 0; i < 8 * sizeof golden; i++) {
        memcpy(changed, golden, sizeof golden);
        changed[i / 8] ^= (uint8_t)(1u << i % 8);
        struct queue *queue;
        struct fault fault = {0};
        int error = queue_restore(&queue, changed, sizeof changed, &fault);
        cr_assert(error == 0 || (error == -EBADMSG && fault.text && fault.field));
        if (error)
            continue;
        accepted++;
        queue_check(queue);
        cr_assert_leq(queue_save_bound(queue), sizeof again);
        cr_assert_eq(queue_save(queue, again, SIZE_MAX), sizeof changed);
        cr_assert_arr_eq(again, changed, sizeof changed);
        queue_destroy(queue);
    }
    cr_assert_gt(accepted, 100, "%zu", accepted);
    LEAKS_NONE();
}

#define LOGS_AT (8 + 13 + 12 + 10)

static void refused(const uint8_t *logs, size_t n, const char *text) {
    uint8_t bytes[256];
    memcpy(bytes, golden, LOGS_AT);
    memcpy(bytes + LOGS_AT, logs, n);
    struct queue *queue;
    struct fault fault = {0};
    cr_assert_eq(queue_restore(&queue, bytes, LOGS_AT + n, &fault), -EBADMSG, "not refused: %s", text);
    cr_assert(strstr(fault.text, text), "%s, not %s", fault.text, text);
}
#define REFUSED(text, ...)                                                                                   \
    do {                                                                                                     \
        static const uint8_t logs[] = {__VA_ARGS__};                                                         \
        refused(logs, sizeof logs, text);                                                                    \
    } while (0)

Test(state, says_what_is_wrong_with_it) {
    REFUSED("out of range", QUEUE_LOGS_MAX + 1);
    REFUSED("in order", 2, 3, 1, 0, 0, 3, 1, 0, 0);
    REFUSED("out of range", 1, 0, 0x81, 0x00, 0, 0); /* a number in a longer form than it needs */
    REFUSED("out of range", 1, 0, 1, 0, 5);          /* a cursor beyond the floor, and nothing outstanding */
    REFUSED("as they are written", 1, 0, 1, 1, 1, 1, 1, 0); /* the first run does not begin at the floor */
    REFUSED("as they are written", 1, 0, 1, 1, 0, 0, 1, 0); /* a run of nothing */
    REFUSED("as they are written", 1, 0, 1, 2, 0, 1, 1, 0, 1, 1, 0); /* two runs that are one */
    REFUSED("as they are written", 1, 0, 1, 1, 0, 2, 2, 0, 0, 0);    /* times for two at once */
    REFUSED("out of range", 1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1, 0, 1, 1, 0);
    REFUSED("out of range", 1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0);
    REFUSED("too early", 1, 0, 1, 5, 0);
    REFUSED("more is outstanding", 2, 0, 1, 1, 0, 0x80, 0x80, 1, 1, 0, 1, 1, 1, 0, 1, 1, 0);
    uint8_t other[sizeof golden];
    struct queue *queue;
    struct fault fault;
    memcpy(other, golden, sizeof golden);
    other[0] = 2;
    cr_assert_eq(queue_restore(&queue, other, sizeof other, &fault), -EBADMSG);
    cr_assert(strstr(fault.text, "version"));
    other[0] = 1;
    other[1] = 16;
    cr_assert_eq(queue_restore(&queue, other, sizeof other, &fault), -EBADMSG);
    cr_assert(strstr(fault.text, "flags"));
    other[1] = 1;
    other[LOGS_AT - 12] = 0; /* no attempts */
    cr_assert_eq(queue_restore(&queue, other, sizeof other, &fault), -EBADMSG);
    cr_assert(strstr(fault.text, "complete"), "%s", fault.text);
}

/* Behind the patterns; what has none is written as before there were filters. */
Test(state, has_the_filters_of_the_queue) {
    static const uint8_t filters[] = {3, 'a', 'b', 'c'};
    struct queue_terms terms = world_terms();
    terms.filters = (struct queue_text){filters + 1, 3};
    struct world world = world_with(&terms);
    uint8_t bytes[1024];
    size_t n = save(&world, bytes, sizeof bytes);
    world_end(&world);
    cr_assert_eq(bytes[1], 1 | 8);
    cr_assert_arr_eq(bytes + 2, golden + 2, LOGS_AT - 2);
    cr_assert_arr_eq(bytes + LOGS_AT, filters, sizeof filters);
    struct queue *queue;
    struct fault fault;
    cr_assert_eq(queue_restore(&queue, bytes, n, &fault), 0, "%s", fault.text);
    const struct queue_terms *restored = queue_terms(queue);
    cr_assert(restored->filters.n == 3 && memcmp(restored->filters.p, filters + 1, 3) == 0);
    queue_destroy(queue);
    bytes[LOGS_AT] = 0;
    cr_assert_eq(queue_restore(&queue, bytes, n, &fault), -EBADMSG);
    cr_assert_str_eq(fault.text, "it has the flag for filters, and none");
}

static size_t calls, refuse_from;
static bool refuse(size_t bytes) {
    (void)bytes;
    return ++calls >= refuse_from;
}

Test(state, can_be_read_later_when_memory_lacks) {
    struct queue *queue = NULL;
    struct fault fault;
    heap_refuse = refuse;
    for (refuse_from = 1; refuse_from < 4; refuse_from++) {
        calls = 0;
        cr_assert_eq(queue_restore(&queue, golden, sizeof golden, &fault), -ENOMEM);
    }
    calls = 0;
    refuse_from++;
    cr_assert_eq(queue_restore(&queue, golden, sizeof golden, &fault), 0);
    heap_refuse = NULL;
    queue_destroy(queue);
    queue = NULL;
    LEAKS_NONE();
}
