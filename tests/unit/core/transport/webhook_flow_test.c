/* What a webhook does over many events: order, bounds, pauses, the handshake, its end. */
#include "core/base/limits.h"
#include "core/queue/queue.h"
#include "tests/unit/core/queue/queue_fixture.h"
#include "tests/unit/core/transport/rig.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct webhook_status status_of(const struct rig *rig) {
    struct webhook_status status;
    webhook_status(rig->hook, &status);
    return status;
}

static void expect_all_done(const struct rig *rig, size_t from) {
    for (size_t i = from; i < rig->verdicts_count; i++)
        cr_assert_eq(rig->verdicts[i].kind, VERDICT_DONE, "%zu: %s", i, rig->verdicts[i].reason);
}

/* ---- bounds ---- */

/* Requests are answered when four of them are there, or the last ones have come. */
static void answer_by_four(struct rig *rig, struct call *call) {
    (void)call;
    if (rig->calls_open < 4 && rig->calls_count < 100)
        return;
    for (size_t i = 0; i < rig->calls_count; i++)
        if (!rig->calls[i].answered)
            answer_no_content(rig, &rig->calls[i]);
}

Test(webhook, sends_so_many_requests_at_a_time_over_as_many_connections) {
    struct rig *rig = rig_new();
    rig->options.concurrency = 4;
    rig->answer = answer_by_four;
    rig_start(rig);
    for (uint64_t i = 1; i <= 100; i++)
        rig_give_plain(rig, i);
    cr_assert_eq(status_of(rig).in_hand, 100);
    rig_run_verdicts(rig, 100);
    expect_all_done(rig, 0);
    cr_assert_eq(rig->calls_open_most, 4);
    cr_assert_eq(rig->connections, 4);
    cr_assert(status_of(rig).in_hand == 0 && status_of(rig).on_way == 0 && status_of(rig).done == 100);
    rig_free(rig);
    LEAKS_NONE();
}

static void answer_and_close(struct rig *rig, struct call *call) {
    answer_no_content(rig, call);
    call_hang_up(call);
}

Test(webhook, makes_a_new_connection_when_the_old_one_was_closed) {
    struct rig *rig = rig_new();
    rig->answer = answer_and_close;
    rig_start(rig);
    for (uint64_t i = 1; i <= 20; i++) {
        rig_give_plain(rig, i);
        rig_run_verdicts(rig, i);
        rig_turn(rig);
    }
    expect_all_done(rig, 0);
    cr_assert_eq(rig->calls_count, 20);
    rig_free(rig);
}

/* ---- order: the queue's, by key ---- */

#define ORDER_EVENTS 300u
#define ORDER_KEYS   7u

struct order {
    struct world world;
    struct rig *rig;
    uint64_t positions[VERDICTS_MAX]; /* by our delivery */
    uint64_t deliveries[VERDICTS_MAX];
    uint64_t next, done;
    uint64_t last[ORDER_KEYS]; /* of each key: the last position that was taken */
    uint32_t open[ORDER_KEYS]; /* requests on their way */
    uint32_t refusals;
};

static void order_pump(struct order *order);

static void order_give(struct order *order) {
    char json[256];
    const struct queue_delivery *out = &order->world.last;
    order->positions[order->rig->given + 1] = out->position;
    order->deliveries[order->rig->given + 1] = out->delivery;
    snprintf(
        json, sizeof json,
        "{\"specversion\":\"1.0\",\"id\":\"%lu\",\"source\":\"/s\",\"type\":\"t\",\"partitionkey\":\"%lu\"}",
        (unsigned long)out->position, (unsigned long)(out->position % ORDER_KEYS));
    rig_give_attempt(order->rig, json, out->attempt);
}

/* Hands over what the queue has for us. */
static void order_pump(struct order *order) {
    while (world_take(&order->world))
        order_give(order);
    while (order->next <= ORDER_EVENTS) {
        enum queue_offer offer = world_offer(&order->world, order->next, order->next % ORDER_KEYS + 1);
        if (offer == OFFER_WAIT)
            return;
        order->next++;
        if (offer == OFFER_GIVEN)
            order_give(order);
    }
}

static void order_told(struct rig *rig, const struct verdict *verdict) {
    struct order *order = rig->user;
    struct queue_expired expired;
    bool done = verdict->kind == VERDICT_DONE;
    order->done += done;
    cr_assert_neq(verdict->kind, VERDICT_REFUSE);
    cr_assert_eq(world_ack(&order->world, 1, order->deliveries[verdict->delivery],
                           done ? QUEUE_ACK_DONE : QUEUE_ACK_RETRY),
                 QUEUE_OK);
    order->world.now_ns += NS_PER_S; /* pauses are over soon */
    while (world_expire(&order->world, &expired))
        cr_assert_fail("a lease has ended");
    order_pump(order);
}

/* Each fifth request fails; the others are taken in the order of their key. */
static void answer_in_order(struct rig *rig, struct call *call) {
    struct order *order = rig->user;
    uint64_t position = strtoull(strstr(call->text, "ce-id: ") + 7, NULL, 10);
    uint64_t key = position % ORDER_KEYS;
    cr_assert_eq(order->open[key], 0, "one request of a key at a time");
    cr_assert_gt(position, order->last[key]);
    if (call->number % 5 == 4) {
        order->refusals++;
        call_answer(call, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
        return;
    }
    cr_assert(order->last[key] == 0 || position == order->last[key] + ORDER_KEYS, "%lu after %lu",
              (unsigned long)position, (unsigned long)order->last[key]);
    order->last[key] = position;
    answer_no_content(rig, call);
}

static bool order_over(const struct rig *rig) {
    const struct order *order = rig->user;
    return order->done == ORDER_EVENTS;
}

Test(webhook, keeps_the_order_of_each_key_with_the_queue_in_front_of_it) {
    struct order order = {.next = 1};
    struct queue_terms terms = world_terms();
    terms.attempts = QUEUE_ATTEMPTS_MAX;
    terms.lease_ns = QUEUE_LEASE_NS_MAX;
    order.world = world_with(&terms);
    world_join(&order.world, 1, 64);
    order.rig = rig_new();
    order.rig->user = &order;
    order.rig->told = order_told;
    order.rig->answer = answer_in_order;
    order.rig->options.retry_ms_min = 1;
    rig_start(order.rig);
    order_pump(&order);
    rig_run_until(order.rig, order_over);
    cr_assert_gt(order.refusals, ORDER_EVENTS / 5 - 1);
    rig_free(order.rig);
    world_end(&order.world);
}

/* ---- the breaker ---- */

static bool paused(const struct rig *rig) {
    return status_of(rig).state == WEBHOOK_PAUSED && status_of(rig).on_way == 0;
}

static void answer_failure(struct rig *rig, struct call *call) {
    (void)rig;
    call_answer(call, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
}

static void answer_refusal(struct rig *rig, struct call *call) {
    (void)rig;
    call_answer(call, "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n");
}

Test(webhook, keeps_events_while_the_target_fails_and_goes_on_when_it_answers) {
    struct rig *rig = rig_new();
    rig->options.breaker_failures = 3;
    rig->options.breaker_ms_min = 1;
    rig->options.breaker_ms_max = 8;
    rig->options.extend_ms = 1;
    rig->options.concurrency = 1;
    rig->answer = answer_failure;
    rig_start(rig);
    for (uint64_t i = 1; i <= 50; i++)
        rig_give_plain(rig, i);
    rig_run_calls(rig, 20); /* all but the first three are probes */
    cr_assert_eq(rig->verdicts_count, 2, "two attempts failed before the breaker opened");
    cr_assert(rig->verdicts[0].kind == VERDICT_RETRY && rig->verdicts[1].kind == VERDICT_RETRY);
    cr_assert_eq(status_of(rig).state, WEBHOOK_PAUSED);
    cr_assert_gt(rig->extended, 0);
    cr_assert(strstr(rig->calls[3].text, rig->calls[4].body) == NULL, "each probe is another event");
    rig->answer = NULL;
    rig_run_verdicts(rig, 50);
    expect_all_done(rig, 2);
    cr_assert_eq(status_of(rig).state, WEBHOOK_SENDING);
    rig_free(rig);
    LEAKS_NONE();
}

Test(webhook, takes_any_answer_for_a_sign_of_life) {
    struct rig *rig = rig_new();
    rig->options.breaker_failures = 1;
    rig->options.breaker_ms_min = 1;
    rig->options.breaker_ms_max = 1;
    rig->answer = answer_failure;
    rig_start(rig);
    rig_give_plain(rig, 1);
    rig_run_until(rig, paused);
    rig->answer = answer_refusal;
    rig_run_verdicts(rig, 1);
    cr_assert_eq(rig->verdicts[0].kind, VERDICT_REFUSE);
    cr_assert_eq(status_of(rig).state, WEBHOOK_SENDING);
    rig_free(rig);
}

Test(webhook, bears_that_nobody_listens) {
    struct rig *rig = rig_new();
    rig->options.breaker_failures = 2;
    rig->options.breaker_ms_min = 1;
    rig->options.breaker_ms_max = 4;
    rig_close_port(rig);
    rig_start(rig);
    for (uint64_t i = 1; i <= 30; i++)
        rig_give_plain(rig, i);
    rig_run_verdicts(rig, 1);
    cr_assert_eq(rig->verdicts[0].kind, VERDICT_RETRY);
    cr_assert(strstr(rig->verdicts[0].reason, "no answer: "), "%s", rig->verdicts[0].reason);
    rig_run_until(rig, paused);
    cr_assert_eq(rig->verdicts_count, 1);
    rig_open_port(rig);
    rig_run_verdicts(rig, 30);
    expect_all_done(rig, 1);
    rig_free(rig);
}

static void answer_later(struct rig *rig, struct call *call) {
    if (call->number < 3)
        call_answer(call, "HTTP/1.1 429 Slowly\r\nContent-Length: 0\r\n\r\n");
    else if (call->number < 5)
        call_answer(call, "HTTP/1.1 503 Slowly\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n");
    else
        answer_no_content(rig, call);
}

Test(webhook, pauses_when_it_is_asked_to_and_counts_no_attempt) {
    struct rig *rig = rig_new();
    rig->options.breaker_ms_min = 1;
    rig->options.retry_after_ms_max = 2;
    rig->options.concurrency = 1;
    rig->answer = answer_later;
    rig_start(rig);
    for (uint64_t i = 1; i <= 10; i++)
        rig_give_plain(rig, i);
    rig_run_verdicts(rig, 10);
    expect_all_done(rig, 0);
    cr_assert_eq(rig->calls_count, 15);
    for (size_t i = 0; i < 6; i++)
        cr_assert_str_eq(rig->calls[i].body, "{\"n\":1}", "it goes first when the pause is over");
    rig_free(rig);
}

static void answer_gone(struct rig *rig, struct call *call) {
    (void)rig;
    call_answer(call, "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n");
}

static bool extended_often(const struct rig *rig) {
    return rig->extended > 100;
}

Test(webhook, sends_nothing_more_to_a_target_that_is_gone) {
    struct rig *rig = rig_new();
    rig->options.extend_ms = 1;
    rig->options.breaker_ms_min = 1;
    rig->options.concurrency = 1;
    rig->answer = answer_gone;
    rig_start(rig);
    for (uint64_t i = 1; i <= 10; i++)
        rig_give_plain(rig, i);
    rig_run_until(rig, extended_often);
    cr_assert_eq(rig->calls_count, 1);
    cr_assert_eq(rig->verdicts_count, 0, "nothing is lost");
    cr_assert(status_of(rig).state == WEBHOOK_GONE && status_of(rig).in_hand == 10);
    webhook_transport.stop(rig->hook);
    rig->answer = NULL;
    rig_start(rig);
    rig_give_plain(rig, 1);
    rig_run_verdicts(rig, 1);
    expect_all_done(rig, 0);
    rig_free(rig);
    LEAKS_NONE();
}

/* ---- the handshake, and rates ---- */

#define CONSENT "HTTP/1.1 200 OK\r\nAllow: POST\r\nWebHook-Allowed-Origin: "

static void answer_handshake(struct rig *rig, struct call *call) {
    if (call_has(call, "OPTIONS /in?a=b HTTP/1.1\r\n"))
        call_answer(call, rig->user);
    else
        answer_no_content(rig, call);
}

Test(webhook, asks_before_it_sends) {
    struct rig *rig = rig_new();
    rig->options.origin = "events.example.com";
    rig->options.origin_rate = 6000000;
    rig->user =
        (void *)(uintptr_t)(CONSENT
                            "Events.example.com\r\nwebhook-allowed-rate: *\r\nContent-Length: 0\r\n\r\n");
    rig->answer = answer_handshake;
    rig_start(rig);
    cr_assert_eq(status_of(rig).state, WEBHOOK_ASKING);
    rig_give_plain(rig, 1);
    rig_give_plain(rig, 2);
    rig_run_verdicts(rig, 2);
    expect_all_done(rig, 0);
    cr_assert_eq(rig->calls_count, 3);
    cr_assert(call_has(&rig->calls[0], "\r\nWebHook-Request-Origin: events.example.com\r\n"));
    cr_assert(call_has(&rig->calls[0], "\r\nWebHook-Request-Rate: 6000000\r\n"));
    cr_assert_eq(rig->calls[0].body_length, 0);
    for (size_t i = 1; i < 3; i++) {
        cr_assert(call_has(&rig->calls[i], "POST /in?a=b HTTP/1.1\r\n"));
        cr_assert(call_has(&rig->calls[i], "\r\nWebHook-Request-Origin: events.example.com\r\n"));
    }
    rig_free(rig);
    LEAKS_NONE();
}

Test(webhook, sends_nothing_without_consent) {
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", /* a status is no consent */
        "HTTP/1.1 204 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nWebHook-Allowed-Rate: *\r\nContent-Length: 0\r\n\r\n",
        CONSENT "other.example.com\r\nWebHook-Allowed-Rate: *\r\nContent-Length: 0\r\n\r\n",
        CONSENT "*\r\nContent-Length: 0\r\n\r\n", /* a rate was asked for */
        CONSENT "*\r\nWebHook-Allowed-Rate: 0\r\nContent-Length: 0\r\n\r\n",
        CONSENT "*\r\nWebHook-Allowed-Rate: many\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 403 No\r\nWebHook-Allowed-Origin: *\r\nWebHook-Allowed-Rate: *\r\nContent-Length: "
        "0\r\n\r\n",
        "HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n",
    };
    struct rig *rig = rig_new();
    rig->options.origin = "events.example.com";
    rig->options.origin_rate = 60;
    rig->options.breaker_ms_min = 1;
    rig->options.breaker_ms_max = 1;
    rig->user = (void *)(uintptr_t)answers[0];
    rig->answer = answer_handshake;
    rig_start(rig);
    rig_give_plain(rig, 1);
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        rig->user = (void *)(uintptr_t)answers[i];
        rig_run_calls(rig, rig->calls_count + 2);
        cr_assert_eq(status_of(rig).state, WEBHOOK_ASKING, "%s", answers[i]);
    }
    for (size_t i = 0; i < rig->calls_count; i++)
        cr_assert(call_has(&rig->calls[i], "OPTIONS "));
    cr_assert_eq(rig->verdicts_count, 0);
    rig->user = (void *)(uintptr_t)(CONSENT "*\r\nWebHook-Allowed-Rate: 120000\r\nContent-Length: 0\r\n\r\n");
    rig_run_verdicts(rig, 1);
    expect_all_done(rig, 0);
    rig_free(rig);
}

Test(webhook, gives_up_a_target_that_is_gone_when_it_asks) {
    struct rig *rig = rig_new();
    rig->options.origin = "events.example.com";
    rig->options.breaker_ms_min = 1;
    rig->answer = answer_gone;
    rig_start(rig);
    rig_run_calls(rig, 1);
    rig_turn(rig);
    cr_assert_eq(status_of(rig).state, WEBHOOK_GONE);
    rig_free(rig);
}

Test(webhook, sends_no_faster_than_it_is_allowed) {
    struct rig *rig = rig_new();
    rig->options.origin = "events.example.com";
    rig->user = (void *)(uintptr_t)(CONSENT "*\r\nWebHook-Allowed-Rate: 1\r\nContent-Length: 0\r\n\r\n");
    rig->answer = answer_handshake;
    rig_start(rig);
    rig_give_plain(rig, 1);
    rig_give_plain(rig, 2);
    rig_run_verdicts(rig, 1);
    rig_turn(rig);
    cr_assert_eq(rig->calls_count, 2, "the next one is due in a minute");
    cr_assert_eq(status_of(rig).in_hand, 1);
    rig_free(rig);

    rig = rig_new();
    rig->options.rate_per_s = 2000;
    rig_start(rig);
    for (uint64_t i = 1; i <= 100; i++)
        rig_give_plain(rig, i);
    rig_turn(rig);
    rig_run_verdicts(rig, 100);
    expect_all_done(rig, 0);
    rig_free(rig);
}

/* ---- its end ---- */

static void answer_some(struct rig *rig, struct call *call) {
    if (call->number < 5)
        answer_no_content(rig, call);
}

Test(webhook, stops_while_requests_are_on_their_way) {
    struct rig *rig = rig_new();
    rig->answer = answer_some;
    rig_start(rig);
    for (uint64_t i = 1; i <= 60; i++)
        rig_give_plain(rig, i);
    rig_run_verdicts(rig, 5);
    webhook_transport.stop(rig->hook);
    rig->hook = NULL;
    rig_turn(rig);
    cr_assert_eq(rig->verdicts_count, 5);
    rig_free(rig);
    LEAKS_NONE();
}

static void told_stop(struct rig *rig, const struct verdict *verdict) {
    cr_assert_not_null(rig->hook, "%lu: nothing is told after the end", (unsigned long)verdict->delivery);
    webhook_transport.stop(rig->hook);
    rig->hook = NULL;
}

Test(webhook, stops_when_it_is_told_to_by_its_host_in_a_callback) {
    struct rig *rig = rig_new();
    rig->told = told_stop;
    rig_start(rig);
    for (uint64_t i = 1; i <= 60; i++)
        rig_give_plain(rig, i);
    rig_run_verdicts(rig, 1);
    rig_turn(rig);
    cr_assert_eq(rig->verdicts_count, 1);
    rig->hook = NULL;
    rig_start(rig);
    rig_give_bytes(rig, "\x0a\x7f", 2); /* refused before it is sent */
    rig_turn(rig);
    cr_assert_eq(rig->verdicts_count, 2);
    cr_assert_null(rig->hook);
    rig_free(rig);
    LEAKS_NONE();
}

static void told_more(struct rig *rig, const struct verdict *verdict) {
    if (rig->given < 2000)
        rig_give_plain(rig, verdict->delivery + 1);
}

Test(webhook, takes_more_events_while_it_tells_what_became_of_others) {
    struct rig *rig = rig_new();
    rig->told = told_more;
    rig_start(rig);
    for (uint64_t i = 1; i <= 64; i++)
        rig_give_plain(rig, i);
    rig_run_verdicts(rig, 2000);
    expect_all_done(rig, 0);
    cr_assert_leq(rig->connections, WEBHOOK_CONCURRENCY_DEFAULT);
    rig_free(rig);
    LEAKS_NONE();
}
