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
    seen_carry(&scene->seen);
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
    seen_carry(&seen);
    cr_assert(note(&seen, 1, 400) == SEEN_REPEATED && note(&seen, 1, 500) == SEEN_REPEATED);
    seen_carry(&seen);
    seen_reset(&seen);
    cr_assert(note(&seen, 1, 1) == SEEN_NEW && note(&seen, 2, 1) == SEEN_NEW);
    seen_deinit(&seen);
    LEAKS_NONE();
}
