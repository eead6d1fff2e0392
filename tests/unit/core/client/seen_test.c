/* Events that come again after a reconnect are told apart: none is lost, and none is given twice unmarked. */
#include "core/client/seen.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define EVENTS 60000u

static uint64_t seed = 1;

static uint32_t random_below(uint32_t n) {
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

static enum seen_verdict note(struct seen *seen, uint32_t topic, uint64_t sequence) {
    char name[16];
    int length = snprintf(name, sizeof name, "t.%u", topic);
    return seen_note(seen, (const uint8_t *)name, (size_t)length, sequence);
}

/* A server with a log of events; a client that loses its connection now and then and resumes behind the last
 * Position. */
struct scene {
    struct seen seen;
    uint32_t topics;
    uint32_t at;       /* of the next event on this connection */
    uint32_t position; /* resumes here */
    uint32_t reached;  /* the first event that never came */
    uint32_t unsure;   /* events that came again and were marked */
};

static uint32_t topic_of(const struct scene *scene, uint32_t event) {
    return event * 2654435761u % scene->topics;
}

static void receive(struct scene *scene) {
    enum seen_verdict verdict = note(&scene->seen, topic_of(scene, scene->at), scene->at + 1);
    if (scene->at >= scene->reached)
        cr_assert(verdict != SEEN_REPEATED, "event %u is lost", scene->at);
    else
        cr_assert(verdict != SEEN_NEW, "event %u comes twice", scene->at);
    scene->unsure += scene->at < scene->reached && verdict == SEEN_UNSURE;
    scene->at++;
    if (scene->reached < scene->at)
        scene->reached = scene->at;
}

static void lose(struct scene *scene) {
    seen_carry(&scene->seen, false);
    scene->at = scene->position;
}

static uint32_t run(uint32_t topics, uint32_t pong_every, uint32_t lose_every) {
    struct scene scene = {.topics = topics};
    seen_init(&scene.seen, 99);
    while (scene.at < EVENTS) {
        receive(&scene);
        if (random_below(pong_every) == 0) {
            seen_cover(&scene.seen);
            scene.position = scene.at;
        }
        if (random_below(lose_every) == 0)
            lose(&scene);
    }
    uint32_t unsure = scene.unsure;
    seen_deinit(&scene.seen);
    return unsure;
}

Test(seen, tells_repetitions_from_news_over_any_number_of_lost_connections) {
    static const uint32_t topics[] = {1, 2, 50, 3000, 20000};
    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
        cr_assert(run(topics[i], 100, 1000) == 0);
        cr_assert(run(topics[i], 1000, 3000) == 0);
        cr_assert(run(topics[i], 3000, 5000) == 0, "with %u topics", topics[i]);
    }
    LEAKS_NONE();
}

/* Several subscriptions of one connection, which want some of the same topics and have Positions of their
 * own. The first one wants all. */
#define MANY_SUBS 4u

struct many {
    struct seen seen;
    uint32_t published;
    uint32_t cursor;
    uint32_t start[MANY_SUBS];    /* this connection: what lies before is not for it */
    uint32_t position[MANY_SUBS]; /* resumes here */
    bool live[MANY_SUBS];
    uint8_t given[EVENTS];
    uint32_t unsure;
};

static bool many_wants(uint32_t sub, uint32_t topic) {
    return topic % (sub + 1) != 1;
}

static uint32_t many_topic(uint32_t event) {
    return event % 5 + event % 8;
}

static bool many_due(const struct many *many, uint32_t event) {
    for (uint32_t sub = 0; sub < MANY_SUBS; sub++)
        if (many->live[sub] && many->start[sub] <= event && many_wants(sub, many_topic(event)))
            return true;
    return false;
}

static void many_deliver(struct many *many, uint32_t count) {
    for (; count > 0 && many->cursor < many->published; count--) {
        uint32_t event = many->cursor++;
        if (!many_due(many, event))
            continue;
        enum seen_verdict verdict = note(&many->seen, many_topic(event), event + 1);
        if (many->given[event] == 0)
            cr_assert(verdict != SEEN_REPEATED, "event %u is lost", event);
        else
            cr_assert(verdict != SEEN_NEW, "event %u comes twice", event);
        many->given[event] = 1;
        many->unsure += verdict == SEEN_UNSURE;
    }
}

/* A subscription goes in force: the connection goes back for it, the others do not get again what they had.
 */
static void many_resume(struct many *many, uint32_t resumed) {
    seen_carry(&many->seen, true);
    for (uint32_t sub = 0; sub < MANY_SUBS; sub++)
        if (many->live[sub] && many->start[sub] < many->cursor)
            many->start[sub] = many->cursor;
    many->live[resumed] = true;
    many->start[resumed] = many->position[resumed];
    if (many->position[resumed] < many->cursor)
        many->cursor = many->position[resumed];
}

static void many_lose(struct many *many) {
    seen_carry(&many->seen, false);
    memset(many->live, 0, sizeof many->live);
    many->cursor = many->published;
    many->published += random_below(30);
}

static bool many_all_live(const struct many *many) {
    for (uint32_t sub = 0; sub < MANY_SUBS; sub++)
        if (!many->live[sub])
            return false;
    return true;
}

/* The last one is given up, and begins anew where the connection is. */
static void many_renew(struct many *many) {
    if (!many_all_live(many))
        seen_carry(&many->seen, false);
    many->live[MANY_SUBS - 1] = true;
    many->start[MANY_SUBS - 1] = many->position[MANY_SUBS - 1] = many->published;
}

/* A Pong; not while one waits, for that one will go further back. */
static void many_pong(struct many *many) {
    for (uint32_t sub = 0; sub < MANY_SUBS; sub++)
        if (many->live[sub])
            many->position[sub] = many->cursor;
    if (many_all_live(many))
        seen_cover(&many->seen);
}

/* All come again, but perhaps for some that wait for a while, or until the connection is lost. */
static void many_connect(struct many *many, bool some_wait) {
    for (uint32_t sub = 0; sub < MANY_SUBS; sub++) {
        if (some_wait && random_below(2) == 0)
            continue;
        many_resume(many, sub);
        many_deliver(many, random_below(60));
    }
}

static uint32_t many_run(bool some_wait, uint32_t lose_every) {
    static struct many many;
    many = (struct many){.published = 1};
    seen_init(&many.seen, 99);
    many_connect(&many, false);
    while (many.published + 100 < EVENTS) {
        many.published += random_below(20);
        many_deliver(&many, random_below(30));
        uint32_t waits = random_below(3 * MANY_SUBS);
        if (waits < MANY_SUBS && !many.live[waits])
            many_resume(&many, waits);
        if (some_wait && random_below(8) == 0)
            many_renew(&many);
        if (random_below(10) == 0)
            many_pong(&many);
        if (random_below(lose_every) != 0)
            continue;
        many_lose(&many);
        many_connect(&many, some_wait);
    }
    many_lose(&many);
    many_connect(&many, false);
    many_deliver(&many, UINT32_MAX);
    for (uint32_t event = 0; event < many.published; event++)
        cr_assert(many.given[event] == 1, "event %u never came", event);
    seen_deinit(&many.seen);
    return many.unsure;
}

Test(seen, loses_nothing_for_subscriptions_that_resume_one_behind_the_other) {
    for (uint32_t lose_every = 3; lose_every < 500; lose_every += lose_every / 2) {
        (void)many_run(true, lose_every);
        uint32_t unsure = many_run(false, lose_every);
        cr_assert(unsure == 0 || lose_every < 100,
                  "there is a Pong between two losses, so all is told apart");
    }
    LEAKS_NONE();
}

Test(seen, marks_what_it_can_not_tell_with_more_topics_than_it_remembers) {
    struct scene scene = {.topics = EVENTS};
    seen_init(&scene.seen, 99);
    for (uint32_t i = 0; i < SEEN_TOPICS_MAX + 1000; i++)
        receive(&scene);
    lose(&scene);
    while (scene.at < scene.reached)
        receive(&scene);
    cr_assert(scene.unsure > 0 && scene.unsure <= 1000, "%u", scene.unsure);
    cr_assert(note(&scene.seen, 1000000, 5) == SEEN_UNSURE, "a new topic may be one that was not noted");
    seen_settle(&scene.seen);
    cr_assert(note(&scene.seen, 1000001, 5) == SEEN_NEW);
    cr_assert(scene.seen.capacity <= 2 * SEEN_TOPICS_MAX);
    seen_deinit(&scene.seen);
    LEAKS_NONE();
}

Test(seen, forgets_what_a_position_covers_and_so_stays_small) {
    struct seen seen;
    seen_init(&seen, 1);
    for (uint32_t i = 0; i < 1000000; i++) {
        cr_assert(note(&seen, i, i) == SEEN_NEW);
        if (i % 300 == 0)
            seen_cover(&seen);
    }
    cr_assert(seen.capacity <= 4096, "%u", seen.capacity);
    seen_deinit(&seen);
    LEAKS_NONE();
}

Test(seen, knows_nothing_of_another_run_of_the_server) {
    struct seen seen;
    seen_init(&seen, 1);
    cr_assert(note(&seen, 1, 500) == SEEN_NEW);
    seen_carry(&seen, false);
    cr_assert(note(&seen, 1, 500) == SEEN_REPEATED);
    seen_carry(&seen, false);
    seen_reset(&seen);
    cr_assert(note(&seen, 1, 1) == SEEN_NEW && note(&seen, 2, 1) == SEEN_NEW);
    seen_deinit(&seen);
    LEAKS_NONE();
}
