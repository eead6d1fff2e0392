/* Who has been told what of his events: a publisher of one worker, whose homes settle when the test lets
 * them. */
#include "tests/unit/leaks.h"
#include "tests/unit/refuse.h"

#include "core/shard/acks.c"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>

#define HOME    0u /* this worker's own log */
#define AWAY    1u /* another worker's: reached by a link */
#define AWAY2   2u
#define NOWHERE UINT32_MAX

struct scene {
    struct shards shards;
    struct worker *worker; /* owns */
    struct peer peer;
    uint64_t ordinal; /* of the last event */
    char told[4096];  /* what the client has been told since the last look */
};

static void scene_start(struct scene *scene, bool acks) {
    *scene = (struct scene){.shards = {.config = {.count = 3, .private_bytes = MIB}}};
    struct worker *worker = aligned_alloc(64, sizeof *worker);
    cr_assert(worker != NULL);
    memset(worker, 0, sizeof *worker);
    scene->worker = worker;
    worker->shards = &scene->shards;
    limits_init(worker);
    worker->worker_count = worker->log_count = 3;
    struct log_config config = {.number = HOME, .data_bytes = MIB, .records = 1024};
    worker->homes_count = 1;
    worker->home_of[HOME] = &worker->homes[0];
    cr_assert(log_create(&worker->homes[0].log, &config) == 0);
    for (uint32_t home = AWAY; home <= AWAY2; home++)
        cr_assert(spsc_create(&worker->out[home].ring, 64 << 10) == 0);
    cr_assert(output_pool_init(&worker->pool, 64) == 0);
    struct peer *peer = &scene->peer;
    struct list *nodes[] = {&worker->acking, &worker->dirty, &worker->leaving,
                            &peer->acking,   &peer->dirty,   &peer->leaving};
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++)
        list_init(nodes[i]);
    peer->worker = worker;
    session_init(&peer->session, &scene->shards.facts, &peer->conn, &worker->shape, peer);
    peer->session.acks = acks;
}

static void scene_stop(struct scene *scene) {
    acks_free(scene->peer.acks);
    output_deinit(&scene->peer.conn.out, &scene->worker->pool);
    output_pool_deinit(&scene->worker->pool);
    for (uint32_t home = AWAY; home <= AWAY2; home++)
        spsc_destroy(scene->worker->out[home].ring);
    log_destroy(scene->worker->homes[0].log);
    free(scene->worker);
    *scene = (struct scene){.ordinal = 0};
    LEAKS_NONE();
}

/* ---- events on their way ---- */

/* An event for that home; false = the publisher must wait. */
static bool publish(struct scene *scene, uint32_t home) {
    struct worker *worker = scene->worker;
    uint8_t *out;
    uint64_t until, retry_ns;
    if (!acks_ready(&scene->peer))
        return false;
    if (home == HOME) {
        cr_assert(log_writer_reserve(worker->homes[0].log, 8, 0, &out, &retry_ns) == RING_OK);
        memset(out, 0, 8);
        log_writer_commit(worker->homes[0].log, 8, log_flags(LOG_EVENT, 0, 0, 0), 1, 1);
        until = log_writer_next(worker->homes[0].log);
    } else {
        cr_assert(spsc_reserve(worker->out[home].ring, 8, &out) == RING_OK);
        memset(out, 0, 8);
        spsc_commit(worker->out[home].ring, 8);
        until = spsc_committed(worker->out[home].ring);
    }
    acks_note(&scene->peer, ++scene->ordinal, home == HOME ? ACK_LOG : home, until);
    return true;
}

static bool refuse(struct scene *scene, const char *text) {
    if (!acks_ready(&scene->peer))
        return false;
    acks_refused(&scene->peer, ++scene->ordinal, &(struct fault){RH_CODE_INVALID, text, "topic"});
    return true;
}

/* That home has published all that it was given. */
static void settle(struct scene *scene, uint32_t home) {
    uint32_t length;
    if (home == HOME) {
        (void)log_writer_publish(scene->worker->homes[0].log);
        return;
    }
    struct spsc *ring = scene->worker->out[home].ring;
    (void)spsc_publish(ring);
    while (spsc_peek(ring, &length) != NULL)
        ;
    spsc_consume(ring);
}

/* Writes down what has been told since the last look; the end of a turn. */
static const char *told(struct scene *scene) {
    struct output *out = &scene->peer.conn.out;
    size_t used = 0;
    scene->told[0] = '\0';
    acks_settle(scene->worker);
    while (out->first != NULL) {
        struct wire_frame frame;
        struct fault fault;
        cr_assert(wire_next(out->private_bytes + out->private_begin, out->private_length, MIB, &frame,
                            &fault) == WIRE_OK);
        Roundhouse__V1__Frame *unpacked = control_unpack(&frame, &fault);
        cr_assert(unpacked != NULL);
        const Roundhouse__V1__PublishAck *ack = unpacked->publish_ack;
        if (unpacked->body_case == ROUNDHOUSE__V1__FRAME__BODY_GOODBYE) {
            cr_assert(unpacked->goodbye->settled);
            used += (size_t)snprintf(scene->told + used, sizeof scene->told - used, "goodbye ");
        } else {
            for (size_t i = 0; i < ack->n_exceptions; i++)
                used +=
                    (size_t)snprintf(scene->told + used, sizeof scene->told - used, "%zu:%s ",
                                     (size_t)ack->exceptions[i]->ordinal, ack->exceptions[i]->error->text);
            used += (size_t)snprintf(scene->told + used, sizeof scene->told - used, "through %zu ",
                                     (size_t)ack->through);
        }
        cr_assert(used < sizeof scene->told);
        control_free(unpacked);
        output_sent(out, &scene->worker->pool, frame.size);
    }
    return scene->told;
}

#define EXPECT(scene, text) cr_assert_str_eq(told(scene), text)

/* ---- what is settled ---- */

Test(acks, tell_through_what_the_homes_have_published) {
    struct scene scene;
    scene_start(&scene, true);
    EXPECT(&scene, "");
    cr_assert(publish(&scene, HOME) && publish(&scene, HOME));
    EXPECT(&scene, "");
    settle(&scene, HOME);
    EXPECT(&scene, "through 2 ");
    EXPECT(&scene, "");
    cr_assert(publish(&scene, AWAY));
    settle(&scene, HOME);
    EXPECT(&scene, "");
    settle(&scene, AWAY);
    EXPECT(&scene, "through 3 ");
    cr_assert(list_empty(&scene.worker->acking), "nothing is left to look at");
    scene_stop(&scene);
}

Test(acks, tell_the_settled_prefix_only) {
    struct scene scene;
    scene_start(&scene, true);
    cr_assert(publish(&scene, HOME) && publish(&scene, AWAY) && publish(&scene, AWAY2));
    cr_assert(publish(&scene, HOME));
    settle(&scene, HOME);
    settle(&scene, AWAY2);
    EXPECT(&scene, "through 1 ");
    EXPECT(&scene, "");
    settle(&scene, AWAY);
    EXPECT(&scene, "through 4 ");
    scene_stop(&scene);
}

Test(acks, keep_one_run_for_neighbours_of_a_turn_and_not_of_two) {
    struct scene scene;
    scene_start(&scene, true);
    for (unsigned i = 0; i < 500; i++)
        cr_assert(publish(&scene, HOME));
    cr_assert(scene.peer.acks->count == 1);
    for (unsigned i = 0; i < 10; i++)
        cr_assert(publish(&scene, i % 2 == 0 ? AWAY : AWAY2));
    cr_assert(scene.peer.acks->count == 11);
    EXPECT(&scene, "");
    settle(&scene, HOME);
    cr_assert(publish(&scene, AWAY2), "the publisher never pauses");
    cr_assert(scene.peer.acks->count == 12, "a run ends with its turn");
    EXPECT(&scene, "through 500 ");
    settle(&scene, AWAY);
    settle(&scene, AWAY2);
    EXPECT(&scene, "through 511 ");
    scene_stop(&scene);
}

Test(acks, hold_a_publisher_whose_runs_are_too_many) {
    struct scene scene;
    scene_start(&scene, true);
    uint64_t published = 0;
    while (publish(&scene, published % 2 == 0 ? AWAY : AWAY2))
        published++;
    cr_assert(published == PUBLISH_RUNS_MAX && scene.peer.acks->count == PUBLISH_RUNS_MAX);
    cr_assert(!refuse(&scene, "no room for this either"));
    settle(&scene, AWAY2);
    EXPECT(&scene, "");
    cr_assert(!publish(&scene, HOME), "the oldest is not settled");
    settle(&scene, AWAY);
    char wanted[32];
    (void)snprintf(wanted, sizeof wanted, "through %u ", PUBLISH_RUNS_MAX);
    EXPECT(&scene, wanted);
    cr_assert(publish(&scene, HOME));
    scene_stop(&scene);
}

/* Homes settle in any order and as late as they like; what is told never goes back, skips nothing, and comes
 * to the end. */
Test(acks, agree_with_a_list_of_all_events_over_many_turns) {
    enum { EVENTS = 3000 };
    static uint32_t home_of[EVENTS + 1];
    static bool settled[EVENTS + 1];
    struct scene scene;
    uint64_t seed = 7, through = 0, exceptions = 0, refused = 0;
    scene_start(&scene, true);
    while (through < EVENTS) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint32_t what = (uint32_t)(seed >> 33) % 8;
        if (what < 4 && scene.ordinal < EVENTS) {
            uint32_t home = what < 3 ? what : NOWHERE;
            if (home == NOWHERE ? refuse(&scene, "no") : publish(&scene, home)) {
                home_of[scene.ordinal] = home;
                settled[scene.ordinal] = home == NOWHERE;
                refused += home == NOWHERE;
            }
        } else if (what < 7) {
            settle(&scene, what % 3);
            for (uint64_t i = 1; i <= scene.ordinal; i++)
                settled[i] = settled[i] || home_of[i] == what % 3;
        } else {
            const char *text = told(&scene);
            uint64_t should = through;
            while (should < scene.ordinal && settled[should + 1])
                should++;
            unsigned long long ordinal, last = through;
            for (const char *at = text; *at != '\0'; at = strchr(at, ' ') + 1)
                if (sscanf(at, "%llu:no", &ordinal) == 1) {
                    exceptions++;
                    cr_assert(ordinal > through && home_of[ordinal] == NOWHERE);
                } else if (sscanf(at, "through %llu", &ordinal) == 1) {
                    cr_assert(ordinal > last, "told %llu behind %llu", ordinal, last);
                    last = ordinal;
                    at = strchr(at, ' ') + 1;
                }
            cr_assert(last <= should, "told through %llu, and only %zu are settled", last, (size_t)should);
            /* A run of one home that has grown since it was settled is told with its end. */
            cr_assert(last == should || (should < scene.ordinal && home_of[should] == home_of[should + 1]));
            through = last;
        }
    }
    cr_assert(exceptions == refused && refused > 100);
    cr_assert(scene.peer.acks->count == 0 && scene.peer.acks->exceptions_count == 0);
    scene_stop(&scene);
}

/* ---- refusals ---- */

Test(acks, tell_a_refusal_with_what_covers_it) {
    struct scene scene;
    scene_start(&scene, true);
    cr_assert(refuse(&scene, "one"));
    EXPECT(&scene, "1:one through 1 ");
    cr_assert(publish(&scene, AWAY) && refuse(&scene, "three") && publish(&scene, HOME));
    cr_assert(refuse(&scene, "five"));
    settle(&scene, HOME);
    EXPECT(&scene, "");
    settle(&scene, AWAY);
    EXPECT(&scene, "3:three 5:five through 5 ");
    scene_stop(&scene);
}

/* Homes say so when the events are long part of a run, and in any order. */
Test(acks, tell_exceptions_of_events_in_the_middle_of_a_run) {
    static const uint64_t ordinals[] = {4, 2, 9, 3};
    struct scene scene;
    scene_start(&scene, true);
    for (unsigned i = 0; i < 5; i++)
        cr_assert(publish(&scene, AWAY));
    for (unsigned i = 0; i < 5; i++)
        cr_assert(publish(&scene, HOME));
    cr_assert(scene.peer.acks->count == 2);
    for (size_t i = 0; i < sizeof ordinals / sizeof ordinals[0]; i++)
        cr_assert(
            acks_except(&scene.peer, &(struct session_exception){.ordinal = ordinals[i],
                                                                 .fault = {RH_CODE_INVALID, "no", "topic"}}));
    EXPECT(&scene, "");
    settle(&scene, AWAY);
    EXPECT(&scene, "2:no 3:no 4:no through 5 ");
    settle(&scene, HOME);
    EXPECT(&scene, "9:no through 10 ");
    scene_stop(&scene);
}

Test(acks, have_no_room_for_an_exception_without_memory) {
    struct scene scene;
    scene_start(&scene, true);
    cr_assert(publish(&scene, AWAY));
    uint64_t ordinal = 1;
    while (scene.peer.acks->exceptions_count < scene.peer.acks->exceptions_capacity)
        cr_assert(acks_except(&scene.peer, &(struct session_exception){.ordinal = ordinal++}));
    refuse_at = 1;
    cr_assert(!acks_except(&scene.peer, &(struct session_exception){.ordinal = ordinal}));
    refuse_at = 0;
    scene_stop(&scene);
}

/* ---- the end ---- */

Test(acks, answer_a_goodbye_when_all_is_settled_and_once) {
    for (unsigned acks = 0; acks < 2; acks++) {
        struct scene scene;
        scene_start(&scene, acks != 0);
        cr_assert(publish(&scene, HOME) && publish(&scene, AWAY));
        acks_goodbye(&scene.peer);
        cr_assert(scene.peer.retired);
        EXPECT(&scene, "");
        settle(&scene, HOME);
        EXPECT(&scene, acks ? "through 1 " : "");
        settle(&scene, AWAY);
        EXPECT(&scene, acks ? "through 2 goodbye " : "goodbye ");
        EXPECT(&scene, "");
        scene_stop(&scene);
    }
}

Test(acks, answer_a_goodbye_at_once_when_nothing_is_on_its_way) {
    for (unsigned acks = 0; acks < 2; acks++) {
        struct scene scene;
        scene_start(&scene, acks != 0);
        acks_goodbye(&scene.peer);
        cr_assert(acks_waiting(scene.worker), "before a sleep it is not forgotten");
        EXPECT(&scene, "goodbye ");
        cr_assert(!acks_waiting(scene.worker));
        scene_stop(&scene);
    }
}

Test(acks, keep_nothing_of_those_who_do_not_ask) {
    struct scene scene;
    scene_start(&scene, false);
    for (unsigned i = 0; i < 100; i++)
        cr_assert(publish(&scene, i % 3));
    cr_assert(scene.peer.acks == NULL && list_empty(&scene.worker->acking));
    settle(&scene, HOME);
    EXPECT(&scene, "");
    scene_stop(&scene);
}

/* ---- before a sleep, and without memory ---- */

Test(acks, ask_for_a_wake_and_see_what_has_moved_meanwhile) {
    struct scene scene;
    scene_start(&scene, true);
    cr_assert(!acks_waiting(scene.worker));
    cr_assert(publish(&scene, AWAY) && publish(&scene, AWAY2));
    cr_assert(!acks_waiting(scene.worker));
    for (uint32_t home = AWAY; home <= AWAY2; home++)
        cr_assert(wanted_take(spsc_wanted(scene.worker->out[home].ring)), "the home is asked for a wake");
    settle(&scene, AWAY2);
    cr_assert(!acks_waiting(scene.worker), "the oldest has not moved");
    settle(&scene, AWAY);
    cr_assert(acks_waiting(scene.worker));
    EXPECT(&scene, "through 2 ");
    scene_stop(&scene);
}

Test(acks, hold_a_publisher_when_there_is_no_memory_and_lose_nothing) {
    struct scene scene;
    scene_start(&scene, true);
    uint64_t held = 0;
    for (unsigned i = 0; i < 200; i++) {
        refuse_at = i % 2 == 0 ? 1 : 2;
        bool taken = i % 5 == 0 ? refuse(&scene, "no") : publish(&scene, i % 3);
        held += !taken;
        if (!taken) {
            refuse_at = 0;
            cr_assert(i % 5 == 0 ? refuse(&scene, "no") : publish(&scene, i % 3));
        }
    }
    refuse_at = 0;
    cr_assert(held >= 8 && refuse_refused >= held, "each growth has failed once");
    for (uint32_t home = HOME; home <= AWAY2; home++)
        settle(&scene, home);
    const char *text = told(&scene);
    unsigned exceptions = 0;
    for (const char *at = text; (at = strstr(at, ":no ")) != NULL; at++)
        exceptions++;
    cr_assert(exceptions == 40 && strstr(text, "through 200 ") != NULL, "%s", text);
    scene_stop(&scene);
}
