/* A member of a queue: what it asks for, the numbers of its deliveries, and what it may say about them. */
#include "core/client/link.h"
#include "tests/unit/core/client/fake.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

struct member {
    struct fake fake;
    rh_client *client;
    int events, subscribed, errors, expired, gaps, writable, removed;
    uint64_t subscription, delivery, expired_delivery, error_subscription, removal;
    uint32_t attempt, lease_ms;
};

static void on_event(void *user, uint64_t subscription, const rh_event *event) {
    struct member *member = user;
    member->events++;
    member->subscription = subscription;
    member->delivery = event->delivery;
    member->attempt = event->attempt;
    member->lease_ms = event->lease_ms;
}

static void on_subscribed(void *user, uint64_t subscription) {
    (void)subscription;
    ((struct member *)user)->subscribed++;
}

static void on_error(void *user, int code, const char *text, bool fatal, uint64_t subscription) {
    struct member *member = user;
    cr_assert(code != 0 && strcmp(text, "because") == 0 && !fatal);
    member->errors++;
    member->error_subscription = subscription;
}

static void on_lease_expired(void *user, uint64_t subscription, uint64_t delivery) {
    struct member *member = user;
    cr_assert(subscription == 1);
    member->expired++;
    member->expired_delivery = delivery;
}

static void on_gap(void *user, const rh_gap *gap) {
    (void)gap;
    ((struct member *)user)->gaps++;
}

static void on_writable(void *user) {
    ((struct member *)user)->writable++;
}

static void on_removed(void *user, uint64_t removal) {
    struct member *member = user;
    member->removed++;
    member->removal = removal;
}

static void member_start(struct member *member) {
    const char *error = "";
    *member = (struct member){0};
    fake_start(&member->fake);
    rh_options options = {.server = member->fake.address,
                          .user = member,
                          .callbacks = {.on_event = on_event,
                                        .on_subscribed = on_subscribed,
                                        .on_error = on_error,
                                        .on_lease_expired = on_lease_expired,
                                        .on_gap = on_gap,
                                        .on_removed = on_removed,
                                        .on_writable = on_writable}};
    member->client = rh_client_new(&options, &error);
    cr_assert(member->client != NULL, "%s", error);
}

static void member_stop(struct member *member) {
    rh_client_free(member->client);
    member->client = NULL;
    fake_stop(&member->fake);
    LEAKS_NONE();
}

static void await(struct member *member, const int *what, int count) {
    for (int step = 0; *what < count; step++) {
        cr_assert(step < 500, "only %d of %d came; the client says: %s", *what, count,
                  rh_client_error(member->client));
        (void)rh_run(member->client, 20);
    }
    cr_assert(*what == count);
}

static const char *const pattern = "order.>";
static const rh_queue work = {.name = "work"};

static int64_t join(struct member *member) {
    return rh_join(member->client, &pattern, 1, &work);
}

static void expect_join(struct member *member, uint64_t id, const char *name) {
    fake_frame *frame = fake_expect(&member->fake, member->client, WIRE_SUBSCRIBE);
    const Roundhouse__V1__Subscribe *got = frame->subscribe;
    cr_assert(got->id == id && got->queue != NULL && strcmp(got->queue->name, name) == 0);
    cr_assert(got->position.len == 0, "a queue knows by itself where it goes on");
    control_free(frame);
}

/* A client that is the member of one queue, and has one delivery. */
static void member_of_work(struct member *member) {
    member_start(member);
    cr_assert(join(member) == 1);
    fake_handshake(&member->fake, member->client);
    expect_join(member, 1, "work");
    fake_subscribed(&member->fake, 1, "somewhere");
    fake_context(&member->fake, 1, 1);
    fake_event(&member->fake, "order.new", 7);
    await(member, &member->events, 1);
    cr_assert(member->subscription == 1 && member->delivery == 1 && member->attempt == 1);
    cr_assert(member->lease_ms == 30000 && member->subscribed == 1);
}

static void expect_ack(struct member *member, uint64_t delivery, int kind, const char *reason,
                       uint64_t after_ms) {
    fake_frame *frame = fake_expect(&member->fake, member->client, WIRE_ACK);
    const Roundhouse__V1__Ack *got = frame->ack;
    cr_assert(got->subscription == 1 && got->delivery == delivery && (int)got->kind == kind,
              "got %llu of kind %d", (unsigned long long)got->delivery, (int)got->kind);
    cr_assert(strcmp(got->reason, reason) == 0 && got->after_ms == after_ms);
    control_free(frame);
}

/* The client must give the connection up, and come again. */
static void expect_reconnect(struct member *member, const char *because) {
    uint64_t before = rh_client_reconnects(member->client);
    fake_handshake(&member->fake, member->client);
    cr_assert(rh_client_reconnects(member->client) == before + 1);
    cr_assert(strstr(rh_client_error(member->client), because) != NULL, "%s",
              rh_client_error(member->client));
}

Test(queues, join_says_all_terms) {
    struct member member;
    member_start(&member);
    char name[] = "@crm";
    rh_queue queue = {.name = name,
                      .is_volatile = true,
                      .take_over = true,
                      .window = 7,
                      .lease_ms = 100,
                      .attempts = 3,
                      .backoff_ms = 50,
                      .dead_letter = "alarm",
                      .key = "customer",
                      .capacity = 9};
    cr_assert(rh_join(member.client, NULL, 0, &queue) == 1);
    memset(name, 'x', 4); /* texts are copied */
    queue = (rh_queue){.name = "g", .group = true};
    cr_assert(rh_join(member.client, &pattern, 1, &queue) == 2);
    queue = (rh_queue){.name = "@e", .ephemeral = true};
    cr_assert(rh_join(member.client, NULL, 0, &queue) == 3);
    fake_handshake(&member.fake, member.client);
    fake_frame *frame = fake_expect(&member.fake, member.client, WIRE_SUBSCRIBE);
    const Roundhouse__V1__Queue *got = frame->subscribe->queue;
    cr_assert(frame->subscribe->n_patterns == 0 && strcmp(got->name, "@crm") == 0);
    cr_assert(got->volatile_ && got->take_over && !got->group && !got->ephemeral);
    cr_assert(got->window == 7 && got->lease_ms == 100 && got->attempts == 3 && got->backoff_ms == 50);
    cr_assert(strcmp(got->dead_letter, "alarm") == 0 && strcmp(got->key, "customer") == 0);
    cr_assert(got->capacity == 9);
    control_free(frame);
    frame = fake_expect(&member.fake, member.client, WIRE_SUBSCRIBE);
    cr_assert(frame->subscribe->n_patterns == 1 && strcmp(frame->subscribe->patterns[0], pattern) == 0);
    cr_assert(frame->subscribe->queue->group && !frame->subscribe->queue->volatile_);
    control_free(frame);
    frame = fake_expect(&member.fake, member.client, WIRE_SUBSCRIBE);
    cr_assert(frame->subscribe->queue->ephemeral && frame->subscribe->queue->volatile_);
    control_free(frame);
    member_stop(&member);
}

Test(queues, bad_terms_are_refused_with_a_sentence) {
    struct member member;
    char large[300];
    memset(large, 'q', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    const char *wrong = "a..b";
    const rh_queue bad[] = {{0},
                            {.name = ""},
                            {.name = large},
                            {.name = "\xff"},
                            {.name = "q", .dead_letter = large},
                            {.name = "q", .dead_letter = "\xc0"},
                            {.name = "q", .key = large},
                            {.name = "q", .key = "\xed\xa0\x80"},
                            {.name = "@mailbox"}};
    member_start(&member);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert(rh_join(member.client, &pattern, 1, &bad[i]) == RH_INVALID, "%zu", i);
    cr_assert(rh_client_error(member.client)[0] != '\0');
    cr_assert(rh_join(member.client, NULL, 0, NULL) == RH_INVALID);
    cr_assert(rh_join(member.client, &wrong, 1, &work) == RH_INVALID);
    cr_assert(rh_join(member.client, &pattern, 1025, &work) == RH_INVALID);
    cr_assert(join(&member) == 1, "nothing was left of those");
    cr_assert(rh_close(member.client) == RH_OK && join(&member) == RH_CLOSED);
    member_stop(&member);
}

Test(queues, every_kind_of_acknowledgement_is_sent) {
    struct member member;
    member_of_work(&member);
    for (uint64_t i = 2; i <= 5; i++)
        fake_event(&member.fake, "order.new", 7 + i);
    await(&member, &member.events, 5);
    cr_assert(member.delivery == 5, "the events behind a Context are counted");
    cr_assert(rh_ack_extend(member.client, 1, 1) == RH_OK);
    cr_assert(rh_ack_done(member.client, 1, 2) == RH_OK);
    cr_assert(rh_ack_retry(member.client, 1, 3, 250, "not yet") == RH_OK);
    cr_assert(rh_ack_refuse(member.client, 1, 4, "no such customer") == RH_OK);
    cr_assert(rh_ack_done_through(member.client, 1, 5) == RH_OK);
    expect_ack(&member, 1, 4, "", 0);
    expect_ack(&member, 2, 0, "", 0);
    expect_ack(&member, 3, 2, "not yet", 250);
    expect_ack(&member, 4, 3, "no such customer", 0);
    expect_ack(&member, 5, 1, "", 0);
    member_stop(&member);
}

Test(queues, what_was_never_delivered_can_not_be_acknowledged) {
    struct member member;
    char large[258];
    memset(large, 'r', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    const char *plain = "plain";
    member_of_work(&member);
    cr_assert(rh_subscribe(member.client, &plain, 1, RH_SLOW_SKIP) == 2);
    cr_assert(rh_ack_done(member.client, 1, 0) == RH_INVALID);
    cr_assert(rh_ack_done(member.client, 1, 2) == RH_INVALID);
    cr_assert(rh_ack_done(member.client, 1, UINT64_MAX) == RH_INVALID);
    cr_assert(rh_ack_done(member.client, 2, 1) == RH_INVALID, "it is to no queue");
    cr_assert(rh_ack_done(member.client, 0, 1) == RH_INVALID);
    cr_assert(rh_ack_done(member.client, 9, 1) == RH_INVALID);
    cr_assert(rh_ack_refuse(member.client, 1, 1, large) == RH_INVALID);
    cr_assert(rh_ack_refuse(member.client, 1, 1, "\xff") == RH_INVALID);
    cr_assert(rh_ack_retry(member.client, 1, 1, 3600001, NULL) == RH_INVALID);
    large[256] = '\0';
    cr_assert(rh_ack_refuse(member.client, 1, 1, large) == RH_OK);
    fake_frame *frame = fake_expect(&member.fake, member.client, WIRE_SUBSCRIBE);
    cr_assert(frame->subscribe->id == 2 && frame->subscribe->queue == NULL);
    control_free(frame);
    expect_ack(&member, 1, 3, large, 0);
    member_stop(&member);
}

Test(queues, deliveries_of_an_earlier_connection_are_never_taken_for_new_ones) {
    struct member member;
    member_of_work(&member);
    fake_event(&member.fake, "order.new", 8);
    await(&member, &member.events, 2);
    fake_hang_up(&member.fake, true);
    fake_handshake(&member.fake, member.client);
    cr_assert(rh_ack_done(member.client, 1, 2) == RH_STALE, "it is not even joined again");
    expect_join(&member, 1, "work");
    fake_subscribed(&member.fake, 1, "");
    fake_context(&member.fake, 1, 1);
    fake_event(&member.fake, "order.new", 7); /* the same event: the queue counts, not the sequence */
    await(&member, &member.events, 3);
    cr_assert(member.delivery == 3);
    cr_assert(rh_ack_done(member.client, 1, 1) == RH_STALE);
    cr_assert(rh_ack_done_through(member.client, 1, 2) == RH_STALE);
    cr_assert(rh_ack_done(member.client, 1, 4) == RH_INVALID);
    cr_assert(rh_ack_done(member.client, 1, 3) == RH_OK);
    expect_ack(&member, 1, 0, "", 0);
    fake_lease_expired(&member.fake, 1, 1);
    await(&member, &member.expired, 1);
    cr_assert(member.expired_delivery == 3);
    member_stop(&member);
}

Test(queues, a_lease_that_expired_is_told_and_the_member_stays) {
    struct member member;
    member_of_work(&member);
    fake_lease_expired(&member.fake, 1, 2); /* was never delivered */
    fake_lease_expired(&member.fake, 7, 1); /* of nobody */
    fake_lease_expired(&member.fake, 1, 1);
    await(&member, &member.expired, 1);
    cr_assert(member.expired_delivery == 1);
    /* What the server says against an Ack that comes too late is no end of the subscription. */
    cr_assert(rh_ack_done(member.client, 1, 1) == RH_OK);
    expect_ack(&member, 1, 0, "", 0);
    fake_error_of(&member.fake, RH_CODE_INVALID, "ack.delivery", 1);
    await(&member, &member.errors, 1);
    cr_assert(member.error_subscription == 1);
    fake_event(&member.fake, "order.new", 9);
    await(&member, &member.events, 2);
    cr_assert(member.delivery == 2);
    member_stop(&member);
}

Test(queues, who_is_put_out_is_told_and_does_not_come_again) {
    struct member member;
    member_of_work(&member);
    fake_error_of(&member.fake, RH_CODE_UNAVAILABLE, "subscribe.queue.name", 1);
    await(&member, &member.errors, 1);
    cr_assert(rh_ack_done(member.client, 1, 1) == RH_STALE);
    cr_assert(rh_unsubscribe(member.client, 1) == RH_INVALID);
    fake_event(&member.fake, "order.new", 9); /* sent before, and no longer ours */
    fake_settle(member.client);
    cr_assert(member.events == 1);
    fake_hang_up(&member.fake, false);
    fake_handshake(&member.fake, member.client);
    cr_assert(rh_join(member.client, &pattern, 1, &work) == 2);
    expect_join(&member, 2, "work");
    member_stop(&member);
}

Test(queues, a_name_that_is_held_is_refused_at_first_and_waited_for_later) {
    struct member member;
    member_start(&member);
    cr_assert(join(&member) == 1);
    fake_handshake(&member.fake, member.client);
    expect_join(&member, 1, "work");
    fake_error_of(&member.fake, RH_CODE_UNAVAILABLE, "subscribe.queue.name", 1);
    await(&member, &member.errors, 1);
    cr_assert(rh_ack_done(member.client, 1, 1) == RH_STALE);
    cr_assert(join(&member) == 2);
    expect_join(&member, 2, "work");
    fake_subscribed(&member.fake, 2, "");
    await(&member, &member.subscribed, 1);
    fake_hang_up(&member.fake, true);
    fake_handshake(&member.fake, member.client);
    expect_join(&member, 2, "work");
    /* The server still counts the last connection. */
    fake_error_of(&member.fake, RH_CODE_UNAVAILABLE, "subscribe.queue.name", 2);
    await(&member, &member.errors, 2);
    expect_join(&member, 2, "work");
    member_stop(&member);
}

Test(queues, events_beside_a_queue_are_told_apart_by_the_context) {
    struct member member;
    member_of_work(&member);
    const char *all = ">";
    cr_assert(rh_subscribe(member.client, &all, 1, RH_SLOW_SKIP) == 2);
    control_free(fake_expect(&member.fake, member.client, WIRE_SUBSCRIBE));
    fake_subscribed(&member.fake, 2, "");
    fake_context(&member.fake, 0, 0);
    fake_event(&member.fake, "order.new", 8);
    await(&member, &member.events, 2);
    cr_assert(member.subscription == 2 && member.delivery == 0, "the queue's patterns do not count here");
    fake_context(&member.fake, 1, 2);
    fake_event(&member.fake, "order.new", 8);
    await(&member, &member.events, 3);
    cr_assert(member.subscription == 1 && member.delivery == 2);
    member_stop(&member);
}

Test(queues, behind_unsubscribe_nothing_is_given_and_nothing_acknowledged) {
    struct member member;
    member_of_work(&member);
    cr_assert(rh_unsubscribe(member.client, 1) == RH_OK);
    cr_assert(rh_ack_done(member.client, 1, 1) == RH_STALE);
    fake_event(&member.fake, "order.new", 8);
    control_free(fake_expect(&member.fake, member.client, WIRE_UNSUBSCRIBE));
    fake_settle(member.client);
    cr_assert(member.events == 1);
    member_stop(&member);
}

Test(queues, a_gap_behind_a_context_is_told) {
    struct member member;
    member_of_work(&member);
    fake_context(&member.fake, 1, 0);
    Roundhouse__V1__Gap gap = ROUNDHOUSE__V1__GAP__INIT;
    gap.reason = ROUNDHOUSE__V1__GAP__REASON__REASON_EXPIRED;
    fake_frame frame = ROUNDHOUSE__V1__FRAME__INIT;
    frame.body_case = ROUNDHOUSE__V1__FRAME__BODY_GAP;
    frame.gap = &gap;
    fake_send(&member.fake, &frame);
    await(&member, &member.gaps, 1);
    fake_event(&member.fake, "order.new", 9); /* a delivery without a number is none */
    expect_reconnect(&member, "does not grow");
    member_stop(&member);
}

Test(queues, numbers_that_do_not_grow_end_the_connection) {
    static const uint64_t wrong[] = {0, 1, UINT64_MAX, (uint64_t)INT64_MAX + 1};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct member member;
        member_of_work(&member);
        fake_context(&member.fake, 1, wrong[i]);
        fake_event(&member.fake, "order.new", 9);
        expect_reconnect(&member, "does not grow");
        cr_assert(member.events == 1);
        member_stop(&member);
    }
}

Test(queues, the_largest_number_is_not_passed) {
    struct member member;
    member_of_work(&member);
    fake_context(&member.fake, 1, INT64_MAX);
    fake_event(&member.fake, "order.new", 9);
    await(&member, &member.events, 2);
    cr_assert(member.delivery == INT64_MAX);
    fake_event(&member.fake, "order.new", 10);
    expect_reconnect(&member, "does not grow");
    expect_join(&member, 1, "work");
    fake_subscribed(&member.fake, 1, "");
    fake_context(&member.fake, 1, 1);
    fake_event(&member.fake, "order.new", 11);
    expect_reconnect(&member, "does not grow");
    cr_assert(member.events == 2);
    member_stop(&member);
}

Test(queues, events_before_subscribed_and_without_a_context_end_the_connection) {
    struct member member;
    const char *plain = "plain";
    member_start(&member);
    cr_assert(join(&member) == 1);
    fake_handshake(&member.fake, member.client);
    fake_context(&member.fake, 1, 1);
    fake_event(&member.fake, "order.new", 1);
    expect_reconnect(&member, "before its Subscribed");
    expect_join(&member, 1, "work");
    fake_subscribed(&member.fake, 1, "");
    fake_event(&member.fake, "order.new", 1); /* a server that took it for a plain subscription */
    expect_reconnect(&member, "without its Context");
    expect_join(&member, 1, "work");
    cr_assert(rh_subscribe(member.client, &plain, 1, RH_SLOW_SKIP) == 2);
    fake_context(&member.fake, 2, 1);
    expect_reconnect(&member, "without a queue");
    cr_assert(member.events == 0);
    member_stop(&member);
}

Test(queues, acknowledgements_that_nobody_reads_are_bounded) {
    struct member member;
    member_of_work(&member);
    int result = RH_OK, count = 0;
    while (result == RH_OK && count++ < 1000000)
        result = rh_ack_extend(member.client, 1, 1);
    cr_assert(result == RH_FULL && member.client->outbox.control_bytes <= LINK_ACK_BYTES_MAX + 64);
    await(&member, &member.writable, 1);
    cr_assert(rh_ack_done(member.client, 1, 1) == RH_OK);
    member_stop(&member);
}

Test(queues, behind_goodbye_nothing_is_acknowledged) {
    struct member member;
    member_of_work(&member);
    cr_assert(rh_ack_done(member.client, 1, 1) == RH_OK && rh_close(member.client) == RH_OK);
    expect_ack(&member, 1, 0, "", 0);
    control_free(fake_expect(&member.fake, member.client, WIRE_GOODBYE));
    cr_assert(rh_ack_done(member.client, 1, 1) == RH_CLOSED);
    fake_goodbye(&member.fake);
    cr_assert(rh_run(member.client, 5000) == RH_CLOSED);
    cr_assert(rh_ack_done(member.client, 1, 1) == RH_CLOSED);
    member_stop(&member);
}

/* ---- ending a queue ---- */

static void expect_removal(struct member *member, uint64_t id, const char *name, bool take_over) {
    fake_frame *frame = fake_expect(&member->fake, member->client, WIRE_UNSUBSCRIBE);
    cr_assert(frame->unsubscribe->id == id && strcmp(frame->unsubscribe->remove, name) == 0);
    cr_assert(frame->unsubscribe->take_over == take_over);
    control_free(frame);
}

static void unsubscribed(struct member *member, uint64_t id) {
    Roundhouse__V1__Unsubscribed gone = ROUNDHOUSE__V1__UNSUBSCRIBED__INIT;
    gone.id = id;
    fake_frame frame = ROUNDHOUSE__V1__FRAME__INIT;
    frame.body_case = ROUNDHOUSE__V1__FRAME__BODY_UNSUBSCRIBED;
    frame.unsubscribed = &gone;
    fake_send(&member->fake, &frame);
}

Test(queues, a_queue_is_removed_and_that_is_told_once) {
    struct member member;
    member_of_work(&member);
    cr_assert(rh_remove_queue(member.client, "@crm", false) == 2);
    cr_assert(rh_remove_queue(member.client, "other", true) == 3);
    cr_assert(!rh_subscribed(member.client, 2) && rh_unsubscribe(member.client, 2) == RH_INVALID);
    expect_removal(&member, 2, "@crm", false);
    expect_removal(&member, 3, "other", true);
    unsubscribed(&member, 2);
    await(&member, &member.removed, 1);
    cr_assert(member.removal == 2);
    fake_error_of(&member.fake, RH_CODE_INVALID, "unsubscribe.remove", 3);
    await(&member, &member.errors, 1);
    cr_assert(member.error_subscription == 3 && member.removed == 1);
    unsubscribed(&member, 2); /* nobody has asked for that */
    fake_settle(member.client);
    cr_assert(member.removed == 1 && rh_subscribed(member.client, 1));
    member_stop(&member);
}

Test(queues, a_removal_whose_answer_was_lost_is_asked_for_again_and_none_to_be_found_is_its_end) {
    struct member member;
    member_start(&member);
    cr_assert(rh_remove_queue(member.client, "work", false) == 1);
    fake_handshake(&member.fake, member.client);
    expect_removal(&member, 1, "work", false);
    fake_hang_up(&member.fake, false);
    fake_handshake(&member.fake, member.client);
    expect_removal(&member, 1, "work", false);
    fake_error_of(&member.fake, RH_CODE_INVALID, "unsubscribe.remove", 1);
    await(&member, &member.removed, 1);
    cr_assert(member.removal == 1 && member.errors == 0);
    member_stop(&member);
}

Test(queues, a_removal_that_is_refused_stays_so_also_behind_a_lost_connection) {
    struct member member;
    member_start(&member);
    cr_assert(rh_remove_queue(member.client, "work", false) == 1);
    fake_handshake(&member.fake, member.client);
    expect_removal(&member, 1, "work", false);
    fake_hang_up(&member.fake, true);
    fake_handshake(&member.fake, member.client);
    expect_removal(&member, 1, "work", false);
    fake_error_of(&member.fake, RH_CODE_UNAVAILABLE, "unsubscribe.remove", 1);
    await(&member, &member.errors, 1);
    cr_assert(member.removed == 0 && rh_remove_queue(member.client, "", false) == RH_INVALID);
    member_stop(&member);
}
