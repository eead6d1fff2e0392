/* Requests and what ends them: a reply, its deadline, a refusal, the end of the client; and replies. */
#include "codecs/event/attributes.h"
#include "codecs/event/bytes.h"
#include "codecs/event/compose.h"
#include "codecs/event/json.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/client/link.h"
#include "tests/unit/core/client/fake.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct asker {
    struct fake fake;
    rh_client *client;
    int replies, errors, subscribed, events, acks, code;
    char text[128], data[64];
    char inbox[64], correlation[64]; /* of the last request that the server has seen */
    bool asks_again;
};

static void on_reply(void *user, int code, const char *text, const rh_event *reply) {
    struct asker *asker = user;
    const uint8_t *data;
    size_t length;
    uint32_t kind;
    asker->replies++;
    asker->code = code;
    cr_assert((code == 0) == (reply != NULL));
    (void)snprintf(asker->text, sizeof asker->text, "%s", text);
    if (reply != NULL && event_data(reply->event, reply->event_length, &data, &length, &kind))
        (void)snprintf(asker->data, sizeof asker->data, "%.*s", (int)length, (const char *)data);
}

static void on_error(void *user, int code, const char *text, bool fatal, uint64_t subscription) {
    (void)code, (void)text, (void)fatal, (void)subscription;
    ((struct asker *)user)->errors++;
}

static void on_subscribed(void *user, uint64_t subscription) {
    (void)subscription;
    ((struct asker *)user)->subscribed++;
}

static void on_event(void *user, uint64_t subscription, const rh_event *event) {
    (void)subscription, (void)event;
    ((struct asker *)user)->events++;
}

static void on_ack(void *user, const rh_ack *ack) {
    (void)ack;
    ((struct asker *)user)->acks++;
}

static void asker_start(struct asker *asker, enum rh_ack_level level) {
    const char *error = "";
    *asker = (struct asker){0};
    fake_start(&asker->fake);
    rh_options options = {
        .server = asker->fake.address,
        .ack = level,
        .user = asker,
        .callbacks = {
            .on_error = on_error, .on_subscribed = on_subscribed, .on_event = on_event, .on_ack = on_ack}};
    asker->client = rh_client_new(&options, &error);
    cr_assert(asker->client != NULL, "%s", error);
}

static void asker_stop(struct asker *asker) {
    rh_client_free(asker->client);
    asker->client = NULL;
    fake_stop(&asker->fake);
    LEAKS_NONE();
}

static void await(struct asker *asker, const int *what, int count) {
    for (int step = 0; *what < count; step++) {
        cr_assert(step < 500, "only %d of %d came; the client says: %s", *what, count,
                  rh_client_error(asker->client));
        (void)rh_run(asker->client, 20);
    }
    cr_assert(*what == count);
}

/* An event with some attributes, each a name and a text. */
static uint8_t *event_with(const char *data, const char *const *attributes, size_t count, size_t *length) {
    struct bytes bytes = {0};
    bytes_field(&bytes, EVENT_ID, "1", 1);
    bytes_field(&bytes, EVENT_SOURCE, "/test", 5);
    bytes_field(&bytes, EVENT_SPEC_VERSION, "1.0", 3);
    bytes_field(&bytes, EVENT_TYPE, "t", 1);
    for (size_t i = 0; i < count; i += 2)
        compose_attribute(&bytes, attributes[i], VALUE_STRING, attributes[i + 1], strlen(attributes[i + 1]));
    bytes_field(&bytes, EVENT_TEXT, data, strlen(data));
    return bytes_take(&bytes, length);
}

static int64_t ask(struct asker *asker, uint32_t timeout_ms) {
    size_t length;
    uint8_t *event = event_with("question", NULL, 0, &length);
    int64_t number = rh_request(asker->client, "service", 7, event, length, timeout_ms, on_reply, asker);
    free(event);
    return number;
}

static void attribute_text(const struct wire_event *event, const char *name, char out[64]) {
    struct attribute attribute;
    cr_assert(attribute_find(event->event, event->event_length, name, &attribute), "no %s", name);
    (void)snprintf(out, 64, "%.*s", (int)attribute.length, (const char *)attribute.data);
}

static void expect_inbox(struct asker *asker) {
    fake_frame *frame = fake_expect(&asker->fake, asker->client, WIRE_SUBSCRIBE);
    const Roundhouse__V1__Queue *queue = frame->subscribe->queue;
    cr_assert(frame->subscribe->id == 1 && queue != NULL && queue->ephemeral && queue->volatile_);
    cr_assert(frame->subscribe->n_patterns == 0 && strncmp(queue->name, "@inbox-", 7) == 0);
    cr_assert(strlen(queue->name) == 7 + 32 && strspn(queue->name + 7, "0123456789abcdef") == 32);
    (void)snprintf(asker->inbox, sizeof asker->inbox, "%s", queue->name);
    control_free(frame);
}

/* The next event is a request; its correlationid is kept. */
static void expect_request(struct asker *asker) {
    char text[64];
    struct wire_event event = fake_expect_event(&asker->fake, asker->client);
    cr_assert(event.topic_length == 7 && memcmp(event.topic, "service", 7) == 0);
    attribute_text(&event, "replyto", text);
    cr_assert(strcmp(text, asker->inbox) == 0);
    attribute_text(&event, "correlationid", asker->correlation);
    uint64_t expiry_ns, now = clock_wall_ns();
    cr_assert(attribute_expiry(event.event, event.event_length, &expiry_ns));
    cr_assert(expiry_ns > now && expiry_ns < now + 60 * NS_PER_S);
}

/* A client whose first request is with the server. */
static void asker_asked(struct asker *asker, enum rh_ack_level level, uint32_t timeout_ms) {
    asker_start(asker, level);
    cr_assert(ask(asker, timeout_ms) > 0);
    fake_handshake(&asker->fake, asker->client);
    expect_inbox(asker);
    fake_subscribed(&asker->fake, 1, "");
    expect_request(asker);
}

static void answer(struct asker *asker, uint64_t delivery, const char *correlation, const char *data) {
    const char *const attributes[] = {"correlationid", correlation};
    size_t length;
    uint8_t *event = event_with(data, attributes, correlation != NULL ? 2 : 0, &length);
    fake_context(&asker->fake, 1, delivery);
    fake_event_of(&asker->fake, asker->inbox, delivery, event, length);
    free(event);
}

static void expect_done(struct asker *asker, uint64_t delivery) {
    fake_frame *frame = fake_expect(&asker->fake, asker->client, WIRE_ACK);
    cr_assert(frame->ack->subscription == 1 && frame->ack->delivery == delivery);
    control_free(frame);
}

Test(requests, a_reply_finds_its_request) {
    struct asker asker;
    asker_asked(&asker, RH_ACK_ROUTED, 20000);
    char first[64];
    (void)snprintf(first, sizeof first, "%s", asker.correlation);
    cr_assert(ask(&asker, 20000) > 0);
    expect_request(&asker);
    cr_assert(strcmp(first, asker.correlation) != 0);
    answer(&asker, 1, asker.correlation, "second");
    await(&asker, &asker.replies, 1);
    cr_assert(asker.code == 0 && strcmp(asker.data, "second") == 0);
    expect_done(&asker, 1);
    answer(&asker, 2, first, "first");
    await(&asker, &asker.replies, 2);
    cr_assert(strcmp(asker.data, "first") == 0);
    expect_done(&asker, 2);
    cr_assert(asker.subscribed == 0 && asker.events == 0, "the inbox is not the program's");
    cr_assert(asker.client->requests.open == 0);
    asker_stop(&asker);
}

Test(requests, what_fits_no_request_is_dropped_and_done) {
    struct asker asker;
    asker_asked(&asker, RH_ACK_ROUTED, 20000);
    char wrong[12][80];
    size_t head = strlen(asker.correlation);
    uint64_t delivery = 0;
    (void)snprintf(wrong[0], 80, "%s", "");
    (void)snprintf(wrong[1], 80, "%.*s", (int)(head - 1), asker.correlation);
    (void)snprintf(wrong[2], 80, "%s0", asker.correlation);
    (void)snprintf(wrong[3], 80, "%.17s", asker.correlation);
    (void)snprintf(wrong[4], 80, "%.17s0", asker.correlation);
    (void)snprintf(wrong[5], 80, "%.17s-1024", asker.correlation);
    (void)snprintf(wrong[6], 80, "%.17s99999999999999999999", asker.correlation);
    (void)snprintf(wrong[7], 80, "%.17s000000000000000000000000000001024", asker.correlation);
    (void)snprintf(wrong[8], 80, "x%s", asker.correlation + 1);
    (void)snprintf(wrong[9], 80, "%.16s.%s", asker.correlation, asker.correlation + 17);
    (void)snprintf(wrong[10], 80, "%s ", asker.correlation);
    (void)snprintf(wrong[11], 80, "%.17s1023", asker.correlation);
    for (size_t i = 0; i < 12; i++) {
        answer(&asker, ++delivery, wrong[i], "wrong");
        expect_done(&asker, delivery);
    }
    answer(&asker, ++delivery, NULL, "without");
    expect_done(&asker, delivery);
    cr_assert(asker.replies == 0);
    answer(&asker, ++delivery, asker.correlation, "right");
    await(&asker, &asker.replies, 1);
    answer(&asker, ++delivery, asker.correlation, "again");
    expect_done(&asker, delivery - 1);
    expect_done(&asker, delivery);
    cr_assert(asker.replies == 1 && strcmp(asker.data, "right") == 0, "one reply, once");
    asker_stop(&asker);
}

Test(requests, without_a_reply_the_deadline_ends_them) {
    struct asker asker;
    asker_asked(&asker, RH_ACK_ROUTED, 30);
    await(&asker, &asker.replies, 1);
    cr_assert(asker.code == RH_CODE_DEADLINE && asker.text[0] != '\0');
    answer(&asker, 1, asker.correlation, "late");
    expect_done(&asker, 1);
    cr_assert(asker.replies == 1);
    asker_stop(&asker);
}

Test(requests, the_deadline_counts_without_a_connection_too) {
    struct asker asker;
    asker_start(&asker, RH_ACK_ROUTED);
    cr_assert(ask(&asker, 60) > 0 && ask(&asker, 20) > 0 && ask(&asker, 20000) > 0);
    await(&asker, &asker.replies, 1);
    cr_assert(rh_timeout_ms(asker.client) <= 60);
    await(&asker, &asker.replies, 2);
    cr_assert(asker.code == RH_CODE_DEADLINE && asker.client->requests.open == 1);
    asker_stop(&asker);
}

Test(requests, a_refusal_ends_its_request_with_or_without_acknowledgement) {
    for (int level = RH_ACK_NONE; level <= RH_ACK_ROUTED; level++) {
        struct asker asker;
        asker_asked(&asker, (enum rh_ack_level)level, 20000);
        cr_assert(ask(&asker, 20000) > 0);
        expect_request(&asker);
        if (level == RH_ACK_NONE)
            fake_error(&asker.fake, RH_CODE_INVALID, false, 1, 0);
        else
            fake_ack(&asker.fake, 2, 1);
        await(&asker, &asker.replies, 1);
        cr_assert(asker.code == RH_CODE_INVALID && strcmp(asker.text, "because") == 0);
        cr_assert(asker.client->requests.open == 1 && asker.acks == 1);
        answer(&asker, 1, asker.correlation, "answer");
        await(&asker, &asker.replies, 2);
        cr_assert(asker.code == 0, "the other one goes on");
        asker_stop(&asker);
    }
}

Test(requests, a_refusal_without_a_code_is_no_reply) {
    struct asker asker;
    asker_asked(&asker, RH_ACK_NONE, 20000);
    fake_error(&asker.fake, RH_CODE_NONE, false, 1, 0);
    await(&asker, &asker.replies, 1);
    cr_assert(asker.code == RH_CODE_INTERNAL && asker.client->requests.open == 0);
    asker_stop(&asker);
}

Test(requests, an_inbox_that_is_refused_ends_all_and_is_made_anew) {
    struct asker asker;
    asker_start(&asker, RH_ACK_ROUTED);
    cr_assert(ask(&asker, 20000) > 0 && ask(&asker, 20000) > 0);
    fake_handshake(&asker.fake, asker.client);
    expect_inbox(&asker);
    fake_error_of(&asker.fake, RH_CODE_EXHAUSTED, "subscribe.queue", 1);
    await(&asker, &asker.replies, 2);
    cr_assert(asker.code == RH_CODE_EXHAUSTED && strcmp(asker.text, "because") == 0 && asker.errors == 0);
    expect_request(&asker);
    expect_request(&asker);
    cr_assert(ask(&asker, 20000) > 0);
    fake_frame *frame = fake_expect(&asker.fake, asker.client, WIRE_SUBSCRIBE);
    cr_assert(frame->subscribe->id == 2 && strcmp(frame->subscribe->queue->name, asker.inbox) == 0);
    control_free(frame);
    asker_stop(&asker);
}

Test(requests, an_error_about_an_inbox_ack_is_nobodys_business) {
    struct asker asker;
    asker_asked(&asker, RH_ACK_ROUTED, 20000);
    fake_error_of(&asker.fake, RH_CODE_INVALID, "ack.delivery", 1);
    fake_lease_expired(&asker.fake, 1, 1);
    answer(&asker, 1, asker.correlation, "answer");
    await(&asker, &asker.replies, 1);
    cr_assert(asker.code == 0 && asker.errors == 0);
    asker_stop(&asker);
}

Test(requests, survive_a_lost_connection_with_the_same_inbox) {
    struct asker asker;
    asker_asked(&asker, RH_ACK_ROUTED, 20000);
    fake_hang_up(&asker.fake, true);
    char inbox[64];
    (void)snprintf(inbox, sizeof inbox, "%s", asker.inbox);
    fake_handshake(&asker.fake, asker.client);
    expect_inbox(&asker);
    cr_assert(strcmp(inbox, asker.inbox) == 0);
    fake_subscribed(&asker.fake, 1, "");
    expect_request(&asker); /* it was not acknowledged */
    answer(&asker, 1, asker.correlation, "answer");
    await(&asker, &asker.replies, 1);
    cr_assert(asker.code == 0);
    asker_stop(&asker);
}

static void ask_again(void *user, int code, const char *text, const rh_event *reply) {
    struct asker *asker = user;
    (void)text, (void)reply;
    asker->replies++;
    asker->code = code;
    size_t length;
    uint8_t *event = event_with("again", NULL, 0, &length);
    int64_t number = rh_request(asker->client, "service", 7, event, length, 20000, on_reply, asker);
    cr_assert(asker->asks_again ? number > 0 : number == RH_CLOSED, "%lld", (long long)number);
    free(event);
}

Test(requests, callbacks_may_ask_again) {
    struct asker asker;
    asker_start(&asker, RH_ACK_ROUTED);
    asker.asks_again = true;
    size_t length;
    uint8_t *event = event_with("first", NULL, 0, &length);
    for (int i = 0; i < 16; i++) /* all the places there are at first */
        cr_assert(rh_request(asker.client, "service", 7, event, length, 20, ask_again, &asker) > 0);
    free(event);
    await(&asker, &asker.replies, 16);
    cr_assert(asker.code == RH_CODE_DEADLINE && asker.client->requests.open == 16);
    asker_stop(&asker);
}

Test(requests, the_end_of_the_client_ends_them) {
    struct asker asker;
    asker_asked(&asker, RH_ACK_ROUTED, 20000);
    size_t length;
    uint8_t *event = event_with("last", NULL, 0, &length);
    cr_assert(rh_request(asker.client, "service", 7, event, length, 20000, ask_again, &asker) > 0);
    free(event);
    expect_request(&asker);
    fake_ack(&asker.fake, 2, 0);
    cr_assert(rh_close(asker.client) == RH_OK);
    control_free(fake_expect(&asker.fake, asker.client, WIRE_GOODBYE));
    fake_goodbye(&asker.fake);
    await(&asker, &asker.replies, 2);
    cr_assert(asker.code == RH_CODE_UNAVAILABLE && asker.client->requests.open == 0);
    asker_stop(&asker);
}

Test(requests, more_than_there_is_room_for_are_refused_and_a_cancelled_one_gives_room) {
    struct asker asker;
    asker_start(&asker, RH_ACK_ROUTED);
    int64_t first = ask(&asker, 0);
    cr_assert(first > 0);
    for (unsigned i = 1; i < REQUESTS_MAX; i++)
        cr_assert(ask(&asker, 0) > 0);
    cr_assert(ask(&asker, 0) == RH_FULL);
    cr_assert(rh_request_cancel(asker.client, first) == RH_OK);
    cr_assert(rh_request_cancel(asker.client, first) == RH_INVALID);
    cr_assert(rh_request_cancel(asker.client, 0) == RH_INVALID);
    cr_assert(rh_request_cancel(asker.client, -1) == RH_INVALID);
    int64_t again = ask(&asker, 0);
    cr_assert(again > 0 && again != first && ask(&asker, 0) == RH_FULL);
    asker_stop(&asker);
}

Test(requests, bad_arguments_are_refused_with_a_sentence) {
    struct asker asker;
    asker_start(&asker, RH_ACK_ROUTED);
    static const char *const names[] = {"replyto", "correlationid", "expirytime"};
    size_t length;
    for (size_t i = 0; i < 3; i++) {
        const char *const attributes[] = {names[i], "2026-02-28T09:30:00Z"};
        uint8_t *event = event_with("x", attributes, 2, &length);
        cr_assert(rh_request(asker.client, "a", 1, event, length, 0, on_reply, &asker) == RH_INVALID);
        cr_assert(strstr(rh_client_error(asker.client), "rh_request") != NULL);
        free(event);
    }
    uint8_t *event = event_with("x", NULL, 0, &length);
    cr_assert(rh_request(asker.client, "a", 1, event, length, 0, NULL, &asker) == RH_INVALID);
    cr_assert(rh_request(asker.client, "a", 1, event, length, 86400001, on_reply, &asker) == RH_INVALID);
    cr_assert(rh_request(asker.client, "a", 1, NULL, 0, 0, on_reply, &asker) == RH_INVALID);
    cr_assert(rh_request(asker.client, "", 0, event, length, 0, on_reply, &asker) == RH_INVALID);
    cr_assert(asker.client->requests.open == 0 && asker.replies == 0);
    free(event);
    asker_stop(&asker);
}

static int64_t reply_to(struct asker *asker, const char *const *request, size_t count,
                        const char *const *reply, size_t reply_count) {
    size_t length, reply_length;
    uint8_t *event = event_with("question", request, count, &length);
    uint8_t *answered = event_with("answer", reply, reply_count, &reply_length);
    rh_event asked = {.topic = "service", .topic_length = 7, .event = event, .event_length = length};
    int64_t result = rh_reply(asker->client, &asked, answered, reply_length);
    free(event);
    free(answered);
    return result;
}

Test(requests, a_reply_goes_to_whoever_asked) {
    struct asker asker;
    char text[64];
    asker_start(&asker, RH_ACK_ROUTED);
    fake_handshake(&asker.fake, asker.client);
    const char *const request[] = {"replyto", "@inbox-7",   "correlationid",
                                   "abc",     "expirytime", "2999-01-01T00:00:00Z"};
    cr_assert(reply_to(&asker, request, 6, NULL, 0) == 1);
    struct wire_event event = fake_expect_event(&asker.fake, asker.client);
    cr_assert(event.topic_length == 8 && memcmp(event.topic, "@inbox-7", 8) == 0);
    attribute_text(&event, "correlationid", text);
    cr_assert(strcmp(text, "abc") == 0);
    attribute_text(&event, "expirytime", text);
    cr_assert(strcmp(text, "2999-01-01T00:00:00Z") == 0);
    const char *const own[] = {"expirytime", "2500-01-01T00:00:00Z"};
    cr_assert(reply_to(&asker, request, 6, own, 2) == 2);
    event = fake_expect_event(&asker.fake, asker.client);
    attribute_text(&event, "expirytime", text);
    cr_assert(strcmp(text, own[1]) == 0, "one of its own stays");
    cr_assert(reply_to(&asker, request, 2, NULL, 0) == 3);
    event = fake_expect_event(&asker.fake, asker.client);
    struct attribute none;
    cr_assert(!attribute_find(event.event, event.event_length, "correlationid", &none));
    asker_stop(&asker);
}

Test(requests, a_reply_that_nobody_waits_for_is_refused) {
    struct asker asker;
    asker_start(&asker, RH_ACK_ROUTED);
    static const char *const wrong[] = {"", "a.topic", "@", "@a.b", "$dlq.x", "@a b"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *const request[] = {"replyto", wrong[i]};
        cr_assert(reply_to(&asker, request, 2, NULL, 0) == RH_INVALID, "%s", wrong[i]);
    }
    cr_assert(reply_to(&asker, NULL, 0, NULL, 0) == RH_INVALID);
    cr_assert(strstr(rh_client_error(asker.client), "replyto") != NULL);
    const char *const late[] = {"replyto", "@inbox-7", "expirytime", "2020-01-01T00:00:00Z"};
    cr_assert(reply_to(&asker, late, 4, NULL, 0) == RH_TIMEOUT);
    const char *const good[] = {"replyto", "@inbox-7"}, *const set[] = {"correlationid", "1"};
    cr_assert(reply_to(&asker, good, 2, set, 2) == RH_INVALID);
    asker_stop(&asker);
}
