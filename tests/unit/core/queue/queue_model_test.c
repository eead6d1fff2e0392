/* Random operations on a queue and on a model of it that keeps everything in one plain list and looks through
 * all of it each time. Every answer is compared; in the end everything must have been done exactly once.
 * RH_QUEUE_SEED=n runs one seed, RH_QUEUE_SEEDS=n so many. */
#include "core/base/heap.h"
#include "core/base/limits.h"
#include "core/queue/queue.h"
#include "tests/unit/core/route/random.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS      60
#define OPERATIONS 4000
#define LOGS       3
#define POSITIONS  250 /* per log */
#define EVENTS     (LOGS * POSITIONS + 150)
#define OWNERS     5
#define ATTEMPTS   3
#define LEASE_NS   (20 * NS_PER_MS)
#define BACKOFF_NS (10 * NS_PER_MS)

enum state { NEW, PARKED, READY, PAUSED, OUT, DEAD, DONE };

struct event {
    uint64_t position, key, order, due, delivery, died;
    uint32_t log, attempt, owner;
    enum state state;
    bool replay, matches;
    bool over; /* its replay has ended */
    bool hole; /* was outstanding at the last restart, and has not been offered again */
};

struct owner {
    uint64_t next;
    uint32_t window;
    uint32_t last; /* whose event went out in the step before */
    bool member;
};

struct model {
    struct queue *queue;
    struct random random;
    struct event events[EVENTS];
    struct owner owners[OWNERS + 1]; /* from 1 */
    size_t count;
    uint64_t cursors[LOGS];
    uint64_t reached[LOGS]; /* the cursor before the last restart */
    uint64_t now_ns, orders, deaths, seed;
    uint64_t replay_done, replay_dead;
    size_t given, dead, restored, parked, ended; /* that something has happened at all */
};

#define EXPECT(condition) cr_assert(condition, "seed %lu: %s", (unsigned long)model->seed, #condition)

static struct queue_time now(const struct model *model) {
    return (struct queue_time){model->now_ns, UINT64_C(1000000000) + model->now_ns};
}

static bool open_state(enum state state) {
    return state != NEW && state != DONE;
}

/* ---- what the model says ---- */

static bool key_busy(const struct model *model, const struct event *event) {
    for (size_t i = 0; event->key && i < model->count; i++) {
        const struct event *other = &model->events[i];
        if (open_state(other->state) && other->key == event->key && other->replay == event->replay)
            return true;
    }
    return false;
}

static uint32_t held(const struct model *model, uint32_t owner, bool replays) {
    uint32_t count = 0;
    for (size_t i = 0; i < model->count; i++)
        count += model->events[i].state == OUT && model->events[i].owner == owner &&
                 (!replays || model->events[i].replay);
    return count;
}

static bool has_credit(const struct model *model, uint32_t owner, bool replay) {
    const struct owner *member = &model->owners[owner];
    return member->member && held(model, owner, false) < member->window &&
           (!replay || held(model, owner, true) < (member->window + 1) / 2);
}

static bool any_credit(const struct model *model, bool replay, uint32_t but) {
    for (uint32_t owner = 1; owner <= OWNERS; owner++)
        if (owner != but && has_credit(model, owner, replay))
            return true;
    return false;
}

static struct event *first_ready(struct model *model) {
    struct event *first = NULL;
    for (size_t i = 0; i < model->count; i++) {
        struct event *event = &model->events[i];
        if (event->state != READY)
            continue;
        if (!first || event->replay < first->replay ||
            (event->replay == first->replay && event->order < first->order))
            first = event;
    }
    return first;
}

static uint64_t floor_of(const struct model *model, uint32_t log) {
    uint64_t floor = model->cursors[log];
    for (size_t i = 0; i < model->count; i++) {
        const struct event *event = &model->events[i];
        if (event->log == log && !event->replay && open_state(event->state) && event->position < floor)
            floor = event->position;
    }
    return floor;
}

static void done(struct model *model, struct event *event) {
    model->replay_done += event->replay && !event->over && event->state == OUT;
    event->state = DONE;
    struct event *next = NULL;
    for (size_t i = 0; event->key && i < model->count; i++) {
        struct event *other = &model->events[i];
        if (other->state == PARKED && other->key == event->key && other->replay == event->replay &&
            (!next || other->order < next->order))
            next = other;
    }
    if (next)
        next->state = READY;
}

static void dies(struct model *model, struct event *event) {
    event->state = DEAD;
    event->died = ++model->deaths;
    model->replay_dead += event->replay && !event->over;
}

static void failed(struct model *model, struct event *event, uint64_t pause_ns) {
    if (event->over) {
        done(model, event);
        return;
    }
    if (event->attempt >= ATTEMPTS) {
        dies(model, event);
        return;
    }
    event->state = PAUSED;
    event->due = model->now_ns + (pause_ns ? pause_ns : BACKOFF_NS << (event->attempt - 1));
}

/* ---- one step on both ---- */

static void delivered(struct model *model, struct event *event, const struct queue_delivery *delivery,
                      uint32_t not ) {
    uint32_t owner = (uint32_t)delivery->owner;
    EXPECT(owner >= 1 && owner <= OWNERS && has_credit(model, owner, event->replay));
    EXPECT(owner != not || !any_credit(model, event->replay, not ));
    EXPECT(delivery->log == event->log && delivery->position == event->position);
    EXPECT(delivery->replay == event->replay && delivery->attempt == event->attempt + 1);
    EXPECT(delivery->delivery == model->owners[owner].next);
    EXPECT(event->state != DONE);
    for (size_t i = 0; event->key && i < model->count; i++) {
        const struct event *other = &model->events[i];
        EXPECT(other == event || other->key != event->key || other->replay != event->replay ||
               !open_state(other->state) || other->order > event->order);
    }
    model->owners[owner].next++;
    model->given++;
    event->owner = owner;
    event->delivery = delivery->delivery;
    event->attempt++;
    event->state = OUT;
    event->due = model->now_ns + LEASE_NS;
}

static void offer(struct model *model, struct event *event) {
    struct queue_event offered = {event->position, event->key, 5, event->log, 10, event->replay};
    struct queue_delivery delivery;
    const struct event *ready = first_ready(model);
    bool later = ready && (event->replay || !ready->replay);
    bool behind = key_busy(model, event);
    enum queue_offer answer = queue_offer(model->queue, &offered, now(model), &delivery);
    if (event->state == DONE) {
        EXPECT(answer == OFFER_DONE);
    } else if (behind) {
        EXPECT(answer == OFFER_PARKED);
        event->order = ++model->orders;
        event->state = PARKED;
        model->parked++;
    } else if (later || !any_credit(model, event->replay, 0)) {
        EXPECT(answer == OFFER_WAIT);
        return;
    } else {
        EXPECT(answer == OFFER_GIVEN);
        event->order = ++model->orders;
        delivered(model, event, &delivery, 0);
    }
    event->hole = false;
    if (!event->replay)
        model->cursors[event->log] = event->position + 1;
}

static void step_offer(struct model *model) {
    uint32_t log = (uint32_t)random_below(&model->random, LOGS);
    if (model->cursors[log] > POSITIONS)
        return;
    struct event *event = &model->events[log * POSITIONS + model->cursors[log] - 1];
    if (event->matches) {
        offer(model, event);
        return;
    }
    queue_pass(model->queue, log, ++model->cursors[log]);
}

static void step_replay(struct model *model) {
    if (model->count == EVENTS)
        return;
    struct event *event = &model->events[model->count++];
    *event = (struct event){.position = 1 + random_below(&model->random, POSITIONS),
                            .key = random_below(&model->random, 3),
                            .log = (uint32_t)random_below(&model->random, LOGS),
                            .replay = true};
    offer(model, event);
    if (event->state == NEW)
        model->count--;
}

/* What waits is forgotten, what is out comes to its end as it may. */
static void step_replay_end(struct model *model) {
    queue_replay_end(model->queue);
    for (size_t i = 0; i < model->count; i++) {
        struct event *event = &model->events[i];
        bool waits = event->state == PARKED || event->state == READY || event->state == PAUSED;
        if (!event->replay || event->state == DONE)
            continue;
        if (waits && !event->over)
            event->state = DONE;
        event->over = true;
    }
    model->replay_done = model->replay_dead = 0;
    model->ended++;
}

static void step_take(struct model *model) {
    struct event *event = first_ready(model);
    bool expected = event && any_credit(model, event->replay, 0);
    struct queue_delivery delivery;
    EXPECT(queue_take(model->queue, now(model), &delivery) == expected);
    if (expected)
        delivered(model, event, &delivery, event->attempt ? event->owner : 0);
}

static struct event *out_of(struct model *model, uint32_t owner, uint64_t delivery) {
    for (size_t i = 0; i < model->count; i++) {
        struct event *event = &model->events[i];
        if (event->state == OUT && event->owner == owner && event->delivery == delivery)
            return event;
    }
    return NULL;
}

/* The order among them is of no importance: what is parked behind one of them is not out. */
static enum queue_answer acked_through(struct model *model, uint32_t owner, uint64_t through) {
    enum queue_answer answer = QUEUE_OVER;
    for (size_t i = 0; i < model->count; i++) {
        struct event *event = &model->events[i];
        if (event->state != OUT || event->owner != owner || event->delivery > through)
            continue;
        done(model, event);
        answer = QUEUE_OK;
    }
    return answer;
}

static enum queue_answer acked(struct model *model, const struct queue_ack *ack) {
    uint32_t owner = (uint32_t)ack->owner;
    if (!model->owners[owner].member)
        return QUEUE_STRANGER;
    if (ack->delivery == 0 || ack->delivery >= model->owners[owner].next)
        return QUEUE_NEVER;
    if (ack->kind == QUEUE_ACK_DONE_THROUGH)
        return acked_through(model, owner, ack->delivery);
    struct event *event = out_of(model, owner, ack->delivery);
    if (!event)
        return QUEUE_OVER;
    if (ack->kind == QUEUE_ACK_DONE)
        done(model, event);
    else if (ack->kind == QUEUE_ACK_RETRY)
        failed(model, event, ack->after_ns);
    else if (ack->kind == QUEUE_ACK_EXTEND)
        event->due = model->now_ns + LEASE_NS;
    else
        dies(model, event);
    return QUEUE_OK;
}

static void step_ack(struct model *model) {
    uint32_t owner = 1 + (uint32_t)random_below(&model->random, OWNERS);
    uint64_t back = random_below(&model->random, 8), next = model->owners[owner].next + 1;
    uint32_t kinds[] = {QUEUE_ACK_DONE,  QUEUE_ACK_DONE,   QUEUE_ACK_DONE,  QUEUE_ACK_DONE_THROUGH,
                        QUEUE_ACK_RETRY, QUEUE_ACK_REFUSE, QUEUE_ACK_EXTEND};
    struct queue_ack ack = {.owner = owner,
                            .delivery = back < next ? next - back : 0,
                            .after_ns = random_below(&model->random, 2) * NS_PER_MS,
                            .kind = kinds[random_below(&model->random, 7)],
                            .reason = {(const uint8_t *)"bad", 3}};
    enum queue_answer answer = queue_ack(model->queue, &ack, now(model));
    EXPECT(answer == acked(model, &ack));
}

static void step_time(struct model *model) {
    model->now_ns += random_below(&model->random, 15) * NS_PER_MS;
    struct queue_expired expired;
    while (queue_expire(model->queue, now(model), &expired)) {
        struct event *event = out_of(model, (uint32_t)expired.owner, expired.delivery);
        EXPECT(event && event->due <= model->now_ns);
        failed(model, event, 0);
    }
    for (size_t i = 0; i < model->count; i++) {
        struct event *event = &model->events[i];
        if (event->state == PAUSED && event->due <= model->now_ns)
            event->state = READY;
        EXPECT((event->state != OUT && event->state != PAUSED) ||
               (event->due > model->now_ns && queue_due(model->queue) <= event->due));
    }
}

static void step_bury(struct model *model) {
    struct event *first = NULL;
    for (size_t i = 0; i < model->count; i++) {
        struct event *event = &model->events[i];
        if (event->state == DEAD && (!first || event->died < first->died))
            first = event;
    }
    struct queue_dead dead;
    EXPECT(queue_dead(model->queue, &dead) == (first != NULL));
    if (!first)
        return;
    EXPECT(dead.position == first->position && dead.log == first->log && dead.attempts == first->attempt);
    queue_buried(model->queue);
    done(model, first);
    model->dead++;
}

static void leave(struct model *model, uint32_t owner) {
    queue_leave(model->queue, owner);
    model->owners[owner].member = false;
    for (size_t i = 0; i < model->count; i++)
        if (model->events[i].state == OUT && model->events[i].owner == owner) {
            model->events[i].state = READY;
            model->events[i].owner = 0; /* should it come back, it is a new member */
            if (model->events[i].over)
                done(model, &model->events[i]);
        }
}

/* Those that this member failed are as any other's for the next one of its name. */
static void forget_holder(struct model *model, uint32_t owner) {
    for (size_t i = 0; i < model->count; i++)
        if (model->events[i].owner == owner && model->events[i].state != OUT)
            model->events[i].owner = 0;
}

static void step_member(struct model *model) {
    uint32_t owner = 1 + (uint32_t)random_below(&model->random, OWNERS);
    struct owner *member = &model->owners[owner];
    if (member->member) {
        leave(model, owner);
        forget_holder(model, owner);
        return;
    }
    uint64_t lost;
    *member =
        (struct owner){.next = 1, .window = 1 + (uint32_t)random_below(&model->random, 4), .member = true};
    EXPECT(queue_join(model->queue, owner, member->window, false, &lost) == QUEUE_OK && lost == 0);
}

static size_t saved(const struct queue *queue, uint8_t **bytes) {
    size_t bound = queue_save_bound(queue);
    *bytes = malloc(bound);
    size_t n = queue_save(queue, *bytes, SIZE_MAX);
    cr_assert_leq(n, bound);
    return n;
}

/* The router ends and starts again: members are gone, what is not done is to be offered again. */
static void step_restart(struct model *model) {
    uint8_t *bytes, *again;
    struct queue *restored = NULL;
    struct fault fault = {0};
    size_t n = saved(model->queue, &bytes);
    EXPECT(queue_restore(&restored, bytes, n, &fault) == 0);
    EXPECT(saved(restored, &again) == n && memcmp(bytes, again, n) == 0);
    free(bytes);
    free(again);
    queue_destroy(model->queue);
    model->queue = restored;
    uint64_t outstanding = 0;
    for (uint32_t log = 0; log < LOGS; log++) {
        if (model->reached[log] < model->cursors[log])
            model->reached[log] = model->cursors[log];
        model->cursors[log] = model->reached[log];
    }
    for (size_t i = 0; i < model->count; i++) {
        struct event *event = &model->events[i];
        event->owner = 0;
        if (event->replay) {
            event->state = DONE;
            continue;
        }
        if (open_state(event->state)) {
            event->state = NEW;
            event->hole = true;
        }
        outstanding += event->hole;
        if (event->hole && event->position < model->cursors[event->log])
            model->cursors[event->log] = event->position;
    }
    EXPECT(queue_counts(restored).restored == outstanding);
    memset(model->owners, 0, sizeof model->owners);
    model->replay_done = model->replay_dead = 0;
    model->restored++;
}

static void compare(struct model *model) {
    queue_check(model->queue);
    struct queue_counts counts = queue_counts(model->queue);
    uint64_t states[DONE + 1] = {0};
    for (size_t i = 0; i < model->count; i++)
        states[model->events[i].state]++;
    EXPECT(counts.out == states[OUT] && counts.dead == states[DEAD]);
    EXPECT(counts.parked == states[PARKED] + states[READY] + states[PAUSED]);
    struct queue_replay replay = queue_replay(model->queue);
    uint64_t replays = 0, outstanding = 0;
    for (size_t i = 0; i < model->count; i++) {
        replays += model->events[i].replay && open_state(model->events[i].state);
        outstanding +=
            model->events[i].replay && !model->events[i].over && open_state(model->events[i].state);
    }
    EXPECT(counts.replays == replays && replay.outstanding == outstanding);
    EXPECT(replay.done == model->replay_done && replay.dead == model->replay_dead);
    for (uint32_t log = 0; log < LOGS; log++) {
        EXPECT(queue_cursor(model->queue, log) == model->cursors[log]);
        EXPECT(queue_floor(model->queue, log) == floor_of(model, log));
    }
}

static void step(struct model *model) {
    size_t dice = random_below(&model->random, 1000);
    if (dice < 350)
        step_offer(model);
    else if (dice < 550)
        step_take(model);
    else if (dice < 850)
        step_ack(model);
    else if (dice < 920)
        step_time(model);
    else if (dice < 950)
        step_member(model);
    else if (dice < 970)
        step_bury(model);
    else if (dice < 993)
        step_replay(model);
    else if (dice < 997)
        step_replay_end(model);
    else
        step_restart(model);
}

static bool all_done(const struct model *model) {
    for (uint32_t log = 0; log < LOGS; log++)
        if (model->cursors[log] <= POSITIONS)
            return false;
    for (size_t i = 0; i < model->count; i++)
        if (model->events[i].state != (model->events[i].matches || model->events[i].replay ? DONE : NEW))
            return false;
    return true;
}

/* One patient member that acknowledges everything: in the end all that matches is done. */
static void drain(struct model *model) {
    for (uint32_t owner = 1; owner <= OWNERS; owner++)
        if (model->owners[owner].member)
            leave(model, owner);
    forget_holder(model, 1);
    uint64_t lost;
    model->owners[1] = (struct owner){.next = 1, .window = 4, .member = true};
    EXPECT(queue_join(model->queue, 1, 4, false, &lost) == QUEUE_OK);
    for (size_t round = 0; round < 20 * EVENTS && !all_done(model); round++) {
        step_take(model);
        step_offer(model);
        step_bury(model);
        if (round % 4 == 0)
            step_time(model);
        struct queue_ack ack = {
            .owner = 1, .delivery = model->owners[1].next - 1, .kind = QUEUE_ACK_DONE_THROUGH};
        enum queue_answer answer = queue_ack(model->queue, &ack, now(model));
        EXPECT(answer == acked(model, &ack));
    }
    EXPECT(all_done(model));
    compare(model);
    for (uint32_t log = 0; log < LOGS; log++)
        EXPECT(queue_floor(model->queue, log) == POSITIONS + 1);
}

static void model_begin(struct model *model) {
    struct queue_terms terms = {.name = {(const uint8_t *)"work", 4},
                                .patterns = {(const uint8_t *)"\x01>", 2},
                                .pattern_count = 1,
                                .lease_ns = LEASE_NS,
                                .backoff_ns = BACKOFF_NS,
                                .attempts = ATTEMPTS,
                                .group = true};
    terms_settle(&terms);
    EXPECT(queue_create(&model->queue, &terms) == 0);
    for (uint32_t log = 0; log < LOGS; log++) {
        EXPECT(queue_begin(model->queue, log, 1) == 0);
        model->cursors[log] = 1;
        for (uint64_t i = 0; i < POSITIONS; i++)
            model->events[model->count++] = (struct event){.position = i + 1,
                                                           .key = random_below(&model->random, 5),
                                                           .log = log,
                                                           .matches = random_below(&model->random, 4) != 0};
    }
}

static void model_run(uint64_t seed, struct model *sum) {
    struct model *model = calloc(1, sizeof *model);
    model->seed = model->random.state = seed;
    model_begin(model);
    for (size_t i = 0; i < OPERATIONS; i++) {
        step(model);
        if (i % 16 == 0)
            compare(model);
    }
    drain(model);
    sum->given += model->given;
    sum->dead += model->dead;
    sum->restored += model->restored;
    sum->parked += model->parked;
    queue_destroy(model->queue);
    free(model);
}

Test(queue_model, does_what_the_plain_list_says, .timeout = 100) {
    const char *one = getenv("RH_QUEUE_SEED"), *many = getenv("RH_QUEUE_SEEDS");
    uint64_t from = one ? strtoull(one, NULL, 10) : 1, count = many ? strtoull(many, NULL, 10) : SEEDS;
    static struct model sum;
    for (uint64_t seed = from; seed < from + (one ? 1 : count); seed++)
        model_run(seed, &sum);
    cr_assert(sum.given && sum.dead && sum.restored && sum.parked, "too little has happened to tell");
    LEAKS_NONE();
}
