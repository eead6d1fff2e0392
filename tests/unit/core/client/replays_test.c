/* A client that asks for replays: what it says, what it is told, and that none outlives its connection. */
#include "tests/unit/core/client/fake.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

struct asker {
    struct fake fake;
    rh_client *client;
    int told, over, errors, connected;
    int64_t replay;
    uint64_t error_of;
    rh_replayed last;
};

static void on_replayed(void *user, int64_t replay, const rh_replayed *replayed) {
    struct asker *asker = user;
    asker->told++;
    asker->over += replayed->over;
    asker->replay = replay;
    asker->last = *replayed;
}

static void on_error(void *user, int code, const char *text, bool fatal, uint64_t subscription) {
    struct asker *asker = user;
    cr_assert(code != 0 && text[0] != 0 && !fatal);
    asker->errors++;
    asker->error_of = subscription;
}

static void on_state(void *user, enum rh_state state, const char *why) {
    (void)why;
    ((struct asker *)user)->connected += state == RH_STATE_CONNECTED;
}

static void asker_start(struct asker *asker) {
    const char *error = "";
    memset(asker, 0, sizeof *asker);
    fake_start(&asker->fake);
    rh_options options = {
        .server = asker->fake.address,
        .user = asker,
        .callbacks = {.on_replayed = on_replayed, .on_error = on_error, .on_state = on_state}};
    asker->client = rh_client_new(&options, &error);
    cr_assert(asker->client != NULL, "%s", error);
    fake_handshake(&asker->fake, asker->client);
    fake_until(asker->client, &asker->connected);
}

static void asker_stop(struct asker *asker) {
    rh_client_free(asker->client);
    fake_stop(&asker->fake);
    LEAKS_NONE();
}

static void says(struct asker *asker, uint64_t id, uint64_t delivered, bool over) {
    Roundhouse__V1__Replayed replayed = ROUNDHOUSE__V1__REPLAYED__INIT;
    replayed.id = id;
    replayed.delivered = delivered;
    replayed.acknowledged = 2;
    replayed.failed = 3;
    replayed.missing = 4;
    replayed.left = 5;
    replayed.waiting = 1;
    replayed.over = over;
    fake_frame frame = ROUNDHOUSE__V1__FRAME__INIT;
    frame.body_case = ROUNDHOUSE__V1__FRAME__BODY_REPLAYED;
    frame.replayed = &replayed;
    fake_send(&asker->fake, &frame);
}

static const rh_replay_options all = {.queue = "work"};

Test(replays, what_is_asked_for_is_said_and_what_is_told_is_passed_on) {
    struct asker asker;
    asker_start(&asker);
    rh_replay_options options = {.queue = "@crm",
                                 .start = RH_START_TIME,
                                 .time_ns = 7,
                                 .to_time_ns = 9,
                                 .filter = "a.>",
                                 .rate = 2.5,
                                 .gone = RH_GONE_REFUSE,
                                 .wait = true};
    cr_assert_eq(rh_replay(asker.client, &options), 1);
    fake_frame *frame = fake_expect(&asker.fake, asker.client, WIRE_REPLAY);
    const Roundhouse__V1__Replay *got = frame->replay;
    cr_assert(got->id == 1 && strcmp(got->queue, "@crm") == 0 && strcmp(got->filter, "a.>") == 0);
    cr_assert(got->start->from_case == ROUNDHOUSE__V1__START__FROM_TIME_NS && got->start->time_ns == 7);
    cr_assert(got->to_time_ns == 9 && got->rate == 2.5 && got->gone == 1 && got->wait);
    control_free(frame);
    says(&asker, 1, 6, false);
    fake_until(asker.client, &asker.told);
    cr_assert(asker.replay == 1 && asker.last.delivered == 6 && asker.last.acknowledged == 2 &&
              asker.last.failed == 3 && asker.last.missing == 4 && asker.last.left == 5 &&
              asker.last.waiting);
    cr_assert(rh_replaying(asker.client, 1) && !rh_subscribed(asker.client, 1));
    says(&asker, 1, 7, true);
    fake_until(asker.client, &asker.over);
    cr_assert(!rh_replaying(asker.client, 1));
    says(&asker, 1, 8, false);
    fake_settle(asker.client);
    cr_assert_eq(asker.told, 2, "nothing comes behind its end");
    cr_assert_eq(rh_replay(asker.client, &all), 2);
    frame = fake_expect(&asker.fake, asker.client, WIRE_REPLAY);
    cr_assert(frame->replay->start->oldest && frame->replay->filter[0] == 0);
    control_free(frame);
    asker_stop(&asker);
}

Test(replays, an_early_end_is_asked_for_and_told) {
    struct asker asker;
    asker_start(&asker);
    cr_assert_eq(rh_replay(asker.client, &all), 1);
    control_free(fake_expect(&asker.fake, asker.client, WIRE_REPLAY));
    cr_assert_eq(rh_replay_end(asker.client, 2), RH_INVALID);
    cr_assert_eq(rh_replay_end(asker.client, 1), RH_OK);
    fake_frame *frame = fake_expect(&asker.fake, asker.client, WIRE_UNSUBSCRIBE);
    cr_assert_eq(frame->unsubscribe->id, 1);
    control_free(frame);
    says(&asker, 1, 3, true);
    fake_until(asker.client, &asker.over);
    cr_assert_eq(asker.last.delivered, 3);
    cr_assert_eq(rh_replay_end(asker.client, 1), RH_INVALID);
    asker_stop(&asker);
}

Test(replays, a_refusal_ends_it_and_so_does_the_end_of_the_connection) {
    struct asker asker;
    asker_start(&asker);
    cr_assert(rh_replay(asker.client, &all) == 1 && rh_replay(asker.client, &all) == 2);
    control_free(fake_expect(&asker.fake, asker.client, WIRE_REPLAY));
    fake_error_of(&asker.fake, ROUNDHOUSE__V1__ERROR_CODE__ERROR_CODE_UNAVAILABLE, "replay.queue", 2);
    fake_until(asker.client, &asker.errors);
    cr_assert(asker.error_of == 2 && !rh_replaying(asker.client, 2) && rh_replaying(asker.client, 1));
    fake_hang_up(&asker.fake, false);
    asker.errors = 0;
    fake_until(asker.client, &asker.errors);
    cr_assert(asker.error_of == 1 && !rh_replaying(asker.client, 1));
    cr_assert_eq(rh_replay(asker.client, &all), RH_UNREACHABLE);
    asker.connected = 0;
    fake_handshake(&asker.fake, asker.client);
    fake_until(asker.client, &asker.connected);
    fake_settle(asker.client);
    cr_assert(asker.told == 0 && asker.errors == 1, "it is not asked for again");
    asker_stop(&asker);
}

Test(replays, what_can_not_be_asked_for_is_refused_here) {
    struct asker asker;
    asker_start(&asker);
    const rh_replay_options wrong[] = {{.queue = NULL},
                                       {.queue = ""},
                                       {.queue = "\xff"},
                                       {.queue = "q", .filter = "a..b"},
                                       {.queue = "q", .start = RH_START_LAST},
                                       {.queue = "q", .start = RH_START_SEQUENCE},
                                       {.queue = "q", .rate = -1},
                                       {.queue = "q", .rate = NAN},
                                       {.queue = "q", .rate = INFINITY},
                                       {.queue = "q", .gone = (enum rh_gone_policy)7}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_expect_eq(rh_replay(asker.client, &wrong[i]), RH_INVALID, "%zu", i);
    cr_assert_eq(rh_close(asker.client), RH_OK);
    cr_assert_eq(rh_replay(asker.client, &all), RH_CLOSED);
    asker_stop(&asker);
}
