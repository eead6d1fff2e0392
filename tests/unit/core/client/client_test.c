#include "tests/unit/core/client/fake.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a program has been told, and a fake server to tell it. */
struct told {
    struct fake fake;
    rh_client *client;
    int events, gaps, acks, subscribed, errors, states, writable, closed, resend_asked, connected;
    uint64_t through, duplicate_ordinal, duplicate_sequence, refused_ordinal, subscription, last_sequence,
        unacknowledged, error_subscription;
    int refused, duplicates, error_code, gap_reason;
    bool error_fatal, maybe_duplicate, resend;
    char topic[64];
};

static void told_event(void *user, uint64_t subscription, const rh_event *event) {
    struct told *told = user;
    told->events++;
    told->subscription = subscription;
    told->last_sequence = event->sequence;
    told->maybe_duplicate = event->maybe_duplicate;
    (void)snprintf(told->topic, sizeof told->topic, "%.*s", (int)event->topic_length, event->topic);
    cr_assert(event->event_length == 5 && memcmp(event->event, "event", 5) == 0);
}

static void told_gap(void *user, const rh_gap *gap) {
    struct told *told = user;
    told->gaps++;
    told->gap_reason = gap->reason;
}

static void told_ack(void *user, const rh_ack *ack) {
    struct told *told = user;
    told->acks++;
    told->through = ack->through;
    told->refused += (int)ack->refused_count;
    if (ack->refused_count > 0)
        told->refused_ordinal = ack->refused[0].ordinal;
    told->duplicates += (int)ack->duplicates_count;
    if (ack->duplicates_count > 0) {
        told->duplicate_ordinal = ack->duplicates[0].ordinal;
        told->duplicate_sequence = ack->duplicates[0].sequence;
    }
}

static void told_subscribed(void *user, uint64_t subscription) {
    struct told *told = user;
    told->subscribed++;
    told->subscription = subscription;
}

static void told_state(void *user, enum rh_state state, const char *why) {
    struct told *told = user;
    cr_assert(why != NULL);
    told->states++;
    told->connected += state == RH_STATE_CONNECTED;
    told->closed = state == RH_STATE_CLOSED;
}

static void told_error(void *user, int code, const char *text, bool fatal, uint64_t subscription) {
    struct told *told = user;
    cr_assert(strcmp(text, "because") == 0);
    told->errors++;
    told->error_code = code;
    told->error_fatal = fatal;
    told->error_subscription = subscription;
}

static void told_writable(void *user) {
    ((struct told *)user)->writable++;
}

static bool told_resend(void *user, uint64_t unacknowledged) {
    struct told *told = user;
    told->resend_asked++;
    told->unacknowledged = unacknowledged;
    return told->resend;
}

static void told_start(struct told *told, rh_options options) {
    const char *error = "";
    *told = (struct told){.resend = true};
    fake_start(&told->fake);
    options.server = told->fake.address;
    options.name = "told";
    options.user = told;
    options.callbacks = (rh_callbacks){.on_event = told_event,
                                       .on_gap = told_gap,
                                       .on_ack = told_ack,
                                       .on_subscribed = told_subscribed,
                                       .on_state = told_state,
                                       .on_error = told_error,
                                       .on_writable = told_writable,
                                       .on_resend = told_resend};
    told->client = rh_client_new(&options, &error);
    cr_assert(told->client != NULL, "%s", error);
    cr_assert(rh_client_state(told->client) == RH_STATE_CONNECTING);
}

static void told_stop(struct told *told) {
    rh_client_free(told->client);
    fake_stop(&told->fake);
    told->client = NULL;
    LEAKS_NONE();
}

static int64_t publish(struct told *told, const char *topic) {
    return rh_publish(told->client, topic, strlen(topic), (const uint8_t *)"event", 5);
}

static void expect_topic(struct told *told, const char *topic) {
    struct wire_event event = fake_expect_event(&told->fake, told->client);
    cr_assert(event.topic_length == strlen(topic) && memcmp(event.topic, topic, event.topic_length) == 0,
              "wanted %s, got %.*s", topic, (int)event.topic_length, (const char *)event.topic);
}

static int64_t subscribe(struct told *told, const char *pattern) {
    return rh_subscribe(told->client, &pattern, 1, RH_SLOW_DISCONNECT);
}

/* The next Subscribe must be this one. */
static void expect_subscribe(struct told *told, uint64_t id, const char *pattern, const char *position) {
    fake_frame *frame = fake_expect(&told->fake, told->client, WIRE_SUBSCRIBE);
    const Roundhouse__V1__Subscribe *got = frame->subscribe;
    cr_assert(got->id == id && got->n_patterns == 1 && strcmp(got->patterns[0], pattern) == 0);
    char text[64];
    (void)snprintf(text, sizeof text, "%.*s", (int)got->position.len, (const char *)got->position.data);
    cr_assert(strcmp(text, position) == 0, "wanted position '%s', got '%s'", position, text);
    control_free(frame);
}

static void await(struct told *told, const int *what, int count) {
    while (*what < count) {
        int before = *what;
        for (int step = 0; *what == before; step++) {
            cr_assert(step < 500, "only %d of %d came; the client says: %s", before, count,
                      rh_client_error(told->client));
            (void)rh_run(told->client, 20);
        }
    }
    cr_assert(*what == count);
}

/* A client with one subscription that is in force. */
static void told_subscribed_to(struct told *told, rh_options options, const char *pattern) {
    told_start(told, options);
    cr_assert(subscribe(told, pattern) == 1);
    fake_handshake(&told->fake, told->client);
    expect_subscribe(told, 1, pattern, "");
    fake_subscribed(&told->fake, 1, "begin");
    await(told, &told->subscribed, 1);
}

Test(client, publishes_in_order_and_learns_what_was_settled) {
    struct told told;
    told_start(&told, (rh_options){.ack = RH_ACK_ROUTED});
    cr_assert(publish(&told, "before") == 1);
    cr_assert(fake_handshake(&told.fake, told.client) == 1);
    cr_assert(publish(&told, "after") == 2);
    expect_topic(&told, "before");
    expect_topic(&told, "after");
    fake_ack(&told.fake, 1, 0);
    await(&told, &told.acks, 1);
    cr_assert(told.through == 1 && told.refused == 0);
    cr_assert(rh_flush(told.client, 0) == RH_TIMEOUT);
    fake_ack(&told.fake, 2, 2);
    await(&told, &told.acks, 2);
    cr_assert(told.through == 2 && told.refused == 1 && told.refused_ordinal == 2);
    cr_assert(rh_flush(told.client, 0) == RH_OK);
    told_stop(&told);
}

Test(client, asks_for_what_is_on_disk_and_keeps_it_until_then) {
    struct told told;
    told_start(&told, (rh_options){.ack = RH_ACK_DISK});
    cr_assert(fake_handshake(&told.fake, told.client) == 2);
    cr_assert(publish(&told, "a") == 1);
    expect_topic(&told, "a");
    cr_assert(rh_flush(told.client, 0) == RH_TIMEOUT);
    fake_ack(&told.fake, 1, 0);
    await(&told, &told.acks, 1);
    cr_assert(told.through == 1 && rh_flush(told.client, 0) == RH_OK);
    told_stop(&told);
}

Test(client, tells_duplicates_from_refusals_and_counts_them_as_settled) {
    struct told told;
    told_start(&told, (rh_options){.ack = RH_ACK_ROUTED});
    cr_assert(fake_handshake(&told.fake, told.client) == 1);
    cr_assert(publish(&told, "first") == 1 && publish(&told, "again") == 2);
    expect_topic(&told, "first");
    expect_topic(&told, "again");
    fake_ack(&told.fake, 1, 0);
    await(&told, &told.acks, 1);
    cr_assert(told.duplicates == 0);
    fake_ack_duplicate(&told.fake, 2, 4711);
    await(&told, &told.acks, 2);
    cr_assert(told.through == 2 && told.refused == 0 && told.duplicates == 1);
    cr_assert(told.duplicate_ordinal == 2 && told.duplicate_sequence == 4711);
    cr_assert(rh_flush(told.client, 0) == RH_OK);
    told_stop(&told);
}

Test(client, is_told_of_refusals_without_acknowledgement_too) {
    struct told told;
    told_start(&told, (rh_options){.ack = RH_ACK_NONE});
    cr_assert(fake_handshake(&told.fake, told.client) == 0);
    cr_assert(publish(&told, "a") == 1 && publish(&told, "b") == 2);
    cr_assert(rh_flush(told.client, 1000) == RH_OK);
    fake_error(&told.fake, 2, false, 2, 0);
    await(&told, &told.acks, 1);
    cr_assert(told.refused_ordinal == 2 && told.through == 0 && told.errors == 0);
    told_stop(&told);
}

Test(client, sends_what_was_not_acknowledged_again_and_goes_on_counting) {
    struct told told;
    told_start(&told, (rh_options){.ack = RH_ACK_ROUTED});
    fake_handshake(&told.fake, told.client);
    for (int i = 0; i < 3; i++)
        cr_assert(publish(&told, i == 0 ? "a" : i == 1 ? "b" : "c") == i + 1);
    expect_topic(&told, "a");
    expect_topic(&told, "b");
    expect_topic(&told, "c");
    fake_ack(&told.fake, 1, 0);
    await(&told, &told.acks, 1);
    fake_hang_up(&told.fake, true);
    fake_handshake(&told.fake, told.client);
    cr_assert(told.resend_asked == 1 && told.unacknowledged == 2);
    cr_assert(rh_client_reconnects(told.client) == 1);
    cr_assert(publish(&told, "d") == 4);
    expect_topic(&told, "b");
    expect_topic(&told, "c");
    expect_topic(&told, "d");
    /* The server counts this connection's events from 1: its 3 is our 4. */
    fake_ack(&told.fake, 3, 2);
    await(&told, &told.acks, 2);
    cr_assert(told.through == 4 && told.refused_ordinal == 3);
    told_stop(&told);
}

Test(client, tells_that_the_fate_is_unknown_when_nothing_is_to_be_sent_again) {
    struct told told;
    told_start(&told, (rh_options){.ack = RH_ACK_ROUTED});
    told.resend = false;
    fake_handshake(&told.fake, told.client);
    cr_assert(publish(&told, "a") == 1 && publish(&told, "b") == 2);
    expect_topic(&told, "a");
    expect_topic(&told, "b");
    fake_hang_up(&told.fake, false);
    fake_handshake(&told.fake, told.client);
    cr_assert(told.acks == 1 && told.through == 2 && told.refused == 2);
    cr_assert(publish(&told, "c") == 3);
    expect_topic(&told, "c");
    fake_ack(&told.fake, 1, 0);
    await(&told, &told.acks, 2);
    cr_assert(told.through == 3);
    told_stop(&told);
}

Test(client, answers_full_and_tells_when_there_is_room) {
    struct told told;
    told_start(&told, (rh_options){.ack = RH_ACK_ROUTED, .send_buffer_bytes = 1});
    fake_handshake(&told.fake, told.client);
    int64_t last = 0, result;
    while ((result = publish(&told, "some.topic")) > 0)
        last = result;
    cr_assert(result == RH_FULL && last > 50);
    for (int64_t i = 0; i < last; i++)
        expect_topic(&told, "some.topic");
    cr_assert(told.writable == 0, "sent is not acknowledged");
    fake_ack(&told.fake, (uint64_t)last, 0);
    await(&told, &told.writable, 1);
    cr_assert(publish(&told, "some.topic") == last + 1);
    fake_settle(told.client);
    cr_assert(told.writable == 1);
    uint8_t large[8192] = {0};
    cr_assert(rh_publish(told.client, "t", 1, large, sizeof large) == RH_INVALID);
    told_stop(&told);
}

Test(client, refuses_bad_arguments_with_a_sentence) {
    const char *error = NULL, *patterns[2] = {"a..b", NULL};
    static const char *const servers[] = {"",     "localhost", "h:0",     "h:65536",
                                          "h:1x", "::1:80",    "[::1]80", ":1"};
    for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++) {
        cr_assert(rh_client_new(&(rh_options){.server = servers[i]}, &error) == NULL, "%s", servers[i]);
        cr_assert(error != NULL);
    }
    cr_assert(rh_client_new(&(rh_options){.name = "two\nlines"}, NULL) == NULL);
    cr_assert(rh_client_new(&(rh_options){.ack = (enum rh_ack_level)3}, NULL) == NULL);
    struct told told;
    told_start(&told, (rh_options){0});
    cr_assert(publish(&told, "") == RH_INVALID && rh_client_error(told.client)[0] != '\0');
    cr_assert(rh_publish(told.client, "a", 1, NULL, 0) == RH_INVALID);
    cr_assert(rh_subscribe(told.client, patterns, 1, RH_SLOW_SKIP) == RH_INVALID);
    cr_assert(rh_subscribe(told.client, patterns, 0, RH_SLOW_SKIP) == RH_INVALID);
    cr_assert(rh_subscribe(told.client, patterns + 1, 1, RH_SLOW_SKIP) == RH_INVALID);
    cr_assert(subscribe(&told, "a") == 1);
    patterns[0] = "b";
    cr_assert(rh_subscribe(told.client, patterns, 1, RH_SLOW_SKIP) == RH_INVALID, "policies conflict");
    cr_assert(rh_unsubscribe(told.client, 7) == RH_INVALID);
    cr_assert(rh_unsubscribe(told.client, 1) == RH_OK);
    fake_handshake(&told.fake, told.client);
    uint8_t *large = calloc(1, 2 << 20);
    cr_assert(rh_publish(told.client, "a", 1, large, 2 << 20) == RH_INVALID, "above the server's limit");
    free(large);
    told_stop(&told);
}

Test(client, refuses_bad_options_of_a_subscription_with_a_sentence) {
    static const struct {
        rh_subscribe_options options;
        const char *pattern;
    } bad[] = {
        {{.policy = (enum rh_slow_policy)3}, "a"},
        {{.gone = (enum rh_gone_policy)2}, "a"},
        {{.start = (enum rh_start)5}, "a"},
        {{.start = RH_START_SEQUENCE}, "a"},
        {{.start = RH_START_SEQUENCE, .sequence = 1}, "a.*"},
        {{.position = "", .position_length = 4097}, "a"},
        {{.position = NULL, .position_length = 1}, "a"},
    };
    struct told told;
    told_start(&told, (rh_options){0});
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert(rh_subscribe_with(told.client, &bad[i].pattern, 1, &bad[i].options) == RH_INVALID);
        cr_assert(strchr(rh_client_error(told.client), ':') != NULL);
    }
    const char *patterns[2] = {"a", "b"};
    cr_assert(rh_subscribe_with(told.client, patterns, 2,
                                &(rh_subscribe_options){.start = RH_START_SEQUENCE, .sequence = 1}) ==
              RH_INVALID);
    cr_assert(rh_subscribe_with(told.client, patterns, 2, NULL) == 1);
    told_stop(&told);
}

/* Subscribes so, and expects a Subscribe that says so, with this Position. */
static void expect_start(struct told *told, rh_subscribe_options options, const char *position) {
    static const Roundhouse__V1__Start__FromCase cases[] = {
        ROUNDHOUSE__V1__START__FROM__NOT_SET, ROUNDHOUSE__V1__START__FROM_OLDEST,
        ROUNDHOUSE__V1__START__FROM_SEQUENCE, ROUNDHOUSE__V1__START__FROM_TIME_NS,
        ROUNDHOUSE__V1__START__FROM_LAST_PER_TOPIC};
    fake_frame *frame = fake_expect(&told->fake, told->client, WIRE_SUBSCRIBE);
    const Roundhouse__V1__Subscribe *got = frame->subscribe;
    cr_assert((int)got->policy == (int)options.policy && (int)got->gone == (int)options.gone);
    cr_assert(got->position.len == strlen(position));
    cr_assert(got->position.len == 0 || memcmp(got->position.data, position, got->position.len) == 0);
    cr_assert((got->start == NULL) == (options.start == RH_START_LIVE));
    if (got->start != NULL)
        cr_assert(got->start->from_case == cases[options.start]);
    if (options.start == RH_START_SEQUENCE)
        cr_assert(got->start->sequence == options.sequence);
    if (options.start == RH_START_TIME)
        cr_assert(got->start->time_ns == options.time_ns);
    control_free(frame);
}

Test(client, says_where_a_subscription_begins_also_when_it_resumes) {
    static const rh_subscribe_options all[] = {
        {.start = RH_START_LIVE, .policy = RH_SLOW_BLOCK},
        {.start = RH_START_OLDEST, .gone = RH_GONE_REFUSE},
        {.start = RH_START_SEQUENCE, .sequence = 77},
        {.start = RH_START_TIME, .time_ns = 88, .policy = RH_SLOW_SKIP},
        {.start = RH_START_LAST}};
    const char *pattern = "a";
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct told told;
        told_start(&told, (rh_options){0});
        cr_assert(rh_subscribe_with(told.client, &pattern, 1, &all[i]) == 1);
        fake_handshake(&told.fake, told.client);
        expect_start(&told, all[i], "");
        fake_subscribed(&told.fake, 1, "here");
        await(&told, &told.subscribed, 1);
        fake_hang_up(&told.fake, true);
        fake_handshake(&told.fake, told.client);
        expect_start(&told, all[i], "here");
        told_stop(&told);
    }
}

Test(client, goes_on_at_a_position_that_another_client_was_given) {
    char kept[] = "there";
    rh_subscribe_options options = {.position = kept, .position_length = 5, .start = RH_START_OLDEST};
    const char *pattern = "a.>";
    struct told told;
    told_start(&told, (rh_options){.receive_buffer_bytes = 4096});
    cr_assert(rh_subscribe_with(told.client, &pattern, 1, &options) == 1);
    memset(kept, 'x', sizeof kept); /* it was copied */
    fake_handshake(&told.fake, told.client);
    expect_start(&told, options, "there");
    told_stop(&told);
}

static void fake_refuse(struct told *told, int code, const char *field) {
    char text[] = "because";
    Roundhouse__V1__Error error;
    roundhouse__v1__error__init(&error);
    error.code = (Roundhouse__V1__ErrorCode)code;
    error.text = text;
    error.field = (char *)(uintptr_t)field;
    error.subscription = 1;
    fake_frame frame = ROUNDHOUSE__V1__FRAME__INIT;
    frame.body_case = ROUNDHOUSE__V1__FRAME__BODY_ERROR;
    frame.error = &error;
    fake_send(&told->fake, &frame);
}

/* Subscribed so, the connection is lost, and the Position is refused for `field`. */
static void told_refused(struct told *told, rh_subscribe_options options, const char *field) {
    const char *pattern = "a";
    told_start(told, (rh_options){0});
    cr_assert(rh_subscribe_with(told->client, &pattern, 1, &options) == 1);
    fake_handshake(&told->fake, told->client);
    expect_start(told, options, "");
    fake_subscribed(&told->fake, 1, "odd");
    await(told, &told->subscribed, 1);
    fake_hang_up(&told->fake, true);
    fake_handshake(&told->fake, told->client);
    expect_start(told, options, "odd");
    fake_refuse(told, RH_CODE_INVALID, field);
}

Test(client, begins_anew_when_its_position_is_refused_and_says_that_something_may_be_missing) {
    for (int start = RH_START_LIVE; start <= RH_START_LAST; start++) {
        struct told told;
        rh_subscribe_options options = {.start = (enum rh_start)start, .sequence = 5, .time_ns = 6};
        told_refused(&told, options, "subscribe.position");
        if (start != RH_START_LAST)
            options.start = RH_START_LIVE;
        expect_start(&told, options, "");
        cr_assert(told.gaps == 1 && told.errors == 0);
        fake_subscribed(&told.fake, 1, "new");
        await(&told, &told.subscribed, 2);
        fake_event(&told.fake, "a", 3);
        await(&told, &told.events, 1);
        fake_refuse(&told, RH_CODE_INVALID, "subscribe.position"); /* nothing is asked for any more */
        await(&told, &told.errors, 1);
        told_stop(&told);
    }
}

Test(client, ends_a_subscription_that_wants_to_be_refused_for_what_is_gone) {
    static const char *const fields[] = {"subscribe.position", "subscribe.gone"};
    for (size_t i = 0; i < 2; i++) {
        struct told told;
        told_refused(&told, (rh_subscribe_options){.gone = RH_GONE_REFUSE}, fields[i]);
        await(&told, &told.errors, 1);
        cr_assert(told.gaps == 0 && told.error_code == RH_CODE_INVALID && told.error_subscription == 1);
        cr_assert(rh_unsubscribe(told.client, 1) == RH_INVALID, "it is not there any more");
        told_stop(&told);
    }
}

Test(client, gives_each_event_to_the_lowest_matching_subscription) {
    struct told told;
    told_subscribed_to(&told, (rh_options){0}, "a.*");
    cr_assert(subscribe(&told, "*.b") == 2);
    expect_subscribe(&told, 2, "*.b", "");
    fake_subscribed(&told.fake, 2, "second");
    await(&told, &told.subscribed, 2);
    static const struct {
        const char *topic;
        uint64_t subscription;
    } cases[] = {{"a.b", 1}, {"x.b", 2}, {"a.x", 1}};
    for (int i = 0; i < 3; i++) {
        fake_event(&told.fake, cases[i].topic, 10 + (uint64_t)i);
        await(&told, &told.events, i + 1);
        cr_assert(told.subscription == cases[i].subscription && strcmp(told.topic, cases[i].topic) == 0);
    }
    cr_assert(rh_unsubscribe(told.client, 1) == RH_OK);
    control_free(fake_expect(&told.fake, told.client, WIRE_UNSUBSCRIBE));
    fake_event(&told.fake, "a.x", 20);
    fake_event(&told.fake, "a.b", 21);
    await(&told, &told.events, 4);
    cr_assert(told.last_sequence == 21 && told.subscription == 2,
              "what only the gone one wants is not given");
    told_stop(&told);
}

Test(client, resumes_behind_the_last_position_and_drops_what_comes_again) {
    struct told told;
    told_subscribed_to(&told, (rh_options){.ping_interval_ms = 20}, "a.>");
    fake_event(&told.fake, "a.x", 5);
    await(&told, &told.events, 1);
    control_free(fake_expect(&told.fake, told.client, WIRE_PING));
    fake_pong(&told.fake, "five");
    fake_event(&told.fake, "a.x", 6);
    fake_event(&told.fake, "a.y", 7);
    await(&told, &told.events, 3);
    fake_hang_up(&told.fake, true);
    fake_handshake(&told.fake, told.client);
    expect_subscribe(&told, 1, "a.>", "five");
    fake_subscribed(&told.fake, 1, "five");
    fake_event(&told.fake, "a.x", 6);
    fake_event(&told.fake, "a.x", 8);
    fake_event(&told.fake, "a.y", 7);
    fake_event(&told.fake, "a.y", 9);
    await(&told, &told.events, 5);
    cr_assert(told.last_sequence == 9 && !told.maybe_duplicate);
    /* Lost again before a Pong: the same Position, and now 8 and 9 are known as well. */
    fake_hang_up(&told.fake, false);
    fake_handshake(&told.fake, told.client);
    expect_subscribe(&told, 1, "a.>", "five");
    fake_subscribed(&told.fake, 1, "five");
    for (uint64_t sequence = 6; sequence <= 10; sequence++)
        fake_event(&told.fake, sequence == 7 || sequence == 9 ? "a.y" : "a.x", sequence);
    await(&told, &told.events, 6);
    cr_assert(told.last_sequence == 10);
    told_stop(&told);
}

/* The second one takes the connection back to where the first one has been: a Pong that comes then has an
 * older Position, and covers less than one before. */
Test(client, tells_apart_what_comes_for_one_subscription_and_again_for_another) {
    struct told told;
    told_subscribed_to(&told, (rh_options){.ping_interval_ms = 20}, "a.>");
    cr_assert(subscribe(&told, "a.x") == 2);
    expect_subscribe(&told, 2, "a.x", "");
    fake_subscribed(&told.fake, 2, "four");
    fake_event(&told.fake, "a.x", 5);
    await(&told, &told.events, 1);
    fake_hang_up(&told.fake, true);
    fake_handshake(&told.fake, told.client);
    expect_subscribe(&told, 1, "a.>", "begin");
    expect_subscribe(&told, 2, "a.x", "four");
    fake_subscribed(&told.fake, 1, "begin");
    for (uint64_t sequence = 4; sequence <= 7; sequence++) /* 4 is older than what came */
        fake_event(&told.fake, "a.x", sequence);
    await(&told, &told.events, 4);
    fake_subscribed(&told.fake, 2, "four");
    fake_event(&told.fake, "a.x", 5);
    control_free(fake_expect(&told.fake, told.client, WIRE_PING));
    fake_pong(&told.fake, "five");
    fake_event(&told.fake, "a.x", 6);
    fake_hang_up(&told.fake, false);
    fake_handshake(&told.fake, told.client);
    expect_subscribe(&told, 1, "a.>", "five");
    expect_subscribe(&told, 2, "a.x", "five");
    fake_subscribed(&told.fake, 1, "five");
    for (uint64_t sequence = 6; sequence <= 8; sequence++)
        fake_event(&told.fake, "a.x", sequence);
    await(&told, &told.events, 5);
    cr_assert(told.last_sequence == 8 && !told.maybe_duplicate);
    told_stop(&told);
}

Test(client, forgets_sequences_of_another_instance) {
    struct told told;
    told_subscribed_to(&told, (rh_options){0}, "a");
    fake_event(&told.fake, "a", 100);
    await(&told, &told.events, 1);
    fake_hang_up(&told.fake, false);
    told.fake.instance = 2;
    fake_handshake(&told.fake, told.client);
    expect_subscribe(&told, 1, "a", "begin");
    Roundhouse__V1__Gap gap = ROUNDHOUSE__V1__GAP__INIT;
    gap.reason = ROUNDHOUSE__V1__GAP__REASON__REASON_INSTANCE;
    fake_frame frame = ROUNDHOUSE__V1__FRAME__INIT;
    frame.body_case = ROUNDHOUSE__V1__FRAME__BODY_GAP;
    frame.gap = &gap;
    fake_send(&told.fake, &frame);
    fake_subscribed(&told.fake, 1, "anew");
    fake_event(&told.fake, "a", 1);
    await(&told, &told.events, 2);
    cr_assert(told.gaps == 1 && told.gap_reason == 2 && told.last_sequence == 1);
    told_stop(&told);
}

Test(client, pings_after_so_many_events) {
    struct told told;
    told_subscribed_to(&told, (rh_options){.ping_interval_ms = 60000}, "a");
    for (uint64_t i = 1; i <= 4096; i++) {
        fake_event(&told.fake, "a", i);
        if (i % 64 == 0)
            await(&told, &told.events, (int)i);
    }
    control_free(fake_expect(&told.fake, told.client, WIRE_PING));
    told_stop(&told);
}

Test(client, gives_up_a_connection_that_shows_no_life) {
    struct told told;
    told_subscribed_to(&told, (rh_options){.ping_interval_ms = 5}, "a");
    await(&told, &told.connected, 1);
    /* The fake server answers nothing from now on; the client must come again by itself. */
    fake_handshake(&told.fake, told.client);
    cr_assert(told.connected == 2);
    told_stop(&told);
}

Test(client, answers_a_ping_of_the_server) {
    struct told told;
    told_start(&told, (rh_options){0});
    fake_handshake(&told.fake, told.client);
    fake_send_bytes(&told.fake, "\x06\x6a\x04\x0a\x02hi", 7);
    fake_frame *frame = fake_expect(&told.fake, told.client, WIRE_PONG);
    cr_assert(frame->pong->data.len == 2 && memcmp(frame->pong->data.data, "hi", 2) == 0);
    control_free(frame);
    told_stop(&told);
}

Test(client, skips_frames_of_newer_versions) {
    struct told told;
    told_subscribed_to(&told, (rh_options){0}, "a");
    fake_send_bytes(&told.fake, "\x00\x05\xc2\x3e\x02zz", 7);
    fake_event(&told.fake, "a", 1);
    await(&told, &told.events, 1);
    cr_assert(rh_client_reconnects(told.client) == 0);
    told_stop(&told);
}

Test(client, comes_again_after_errors_that_pass_and_ends_after_others) {
    static const struct {
        int code;
        bool passes;
    } cases[] = {{1, false}, {2, false}, {3, false}, {4, true},  {5, true},
                 {6, true},  {7, true},  {8, false}, {9, false}, {42, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct told told;
        told_start(&told, (rh_options){0});
        fake_handshake(&told.fake, told.client);
        fake_error(&told.fake, cases[i].code, true, 0, 0);
        fake_hang_up(&told.fake, false);
        await(&told, &told.errors, 1);
        cr_assert(told.error_fatal && told.error_code == cases[i].code);
        if (cases[i].passes) {
            fake_handshake(&told.fake, told.client);
        } else {
            cr_assert(rh_process(told.client) == RH_REFUSED && told.closed);
            cr_assert(publish(&told, "a") == RH_REFUSED && rh_run(told.client, 0) == RH_REFUSED);
        }
        told_stop(&told);
    }
}

Test(client, forgets_a_refused_subscription_and_asks_again_for_one_that_lived) {
    struct told told;
    told_subscribed_to(&told, (rh_options){0}, "a");
    cr_assert(subscribe(&told, "b") == 2);
    expect_subscribe(&told, 2, "b", "");
    fake_error(&told.fake, 4, false, 0, 2);
    await(&told, &told.errors, 1);
    cr_assert(told.error_subscription == 2 && rh_unsubscribe(told.client, 2) == RH_INVALID);
    fake_hang_up(&told.fake, false);
    fake_handshake(&told.fake, told.client);
    expect_subscribe(&told, 1, "a", "begin");
    fake_error(&told.fake, 4, false, 0, 1);
    await(&told, &told.errors, 2);
    expect_subscribe(&told, 1, "a", "begin");
    fake_subscribed(&told.fake, 1, "begin");
    await(&told, &told.subscribed, 2);
    told_stop(&told);
}

Test(client, says_goodbye_behind_everything_and_waits_for_the_answer) {
    struct told told;
    told_start(&told, (rh_options){.ack = RH_ACK_ROUTED});
    fake_handshake(&told.fake, told.client);
    cr_assert(publish(&told, "a") == 1);
    cr_assert(rh_close(told.client) == RH_OK && rh_close(told.client) == RH_OK);
    cr_assert(publish(&told, "b") == RH_CLOSED && subscribe(&told, "b") == RH_CLOSED);
    expect_topic(&told, "a");
    control_free(fake_expect(&told.fake, told.client, WIRE_GOODBYE));
    fake_settle(told.client);
    cr_assert(!told.closed);
    fake_ack(&told.fake, 1, 0);
    fake_goodbye(&told.fake);
    await(&told, &told.closed, 1);
    cr_assert(rh_process(told.client) == RH_CLOSED && told.through == 1);
    cr_assert(rh_timeout_ms(told.client) == -1);
    told_stop(&told);
}

Test(client, brings_a_close_to_its_end_over_a_lost_connection) {
    struct told told;
    told_start(&told, (rh_options){.ack = RH_ACK_ROUTED});
    fake_handshake(&told.fake, told.client);
    cr_assert(publish(&told, "a") == 1 && rh_close(told.client) == RH_OK);
    control_free(({
        expect_topic(&told, "a");
        fake_expect(&told.fake, told.client, WIRE_GOODBYE);
    }));
    fake_hang_up(&told.fake, true);
    fake_handshake(&told.fake, told.client);
    expect_topic(&told, "a");
    control_free(fake_expect(&told.fake, told.client, WIRE_GOODBYE));
    fake_ack(&told.fake, 1, 0);
    fake_hang_up(&told.fake, false);
    await(&told, &told.closed, 1);
    told_stop(&told);
}

Test(client, waits_for_the_end_after_the_servers_goodbye_and_comes_again) {
    struct told told;
    told_subscribed_to(&told, (rh_options){.ack = RH_ACK_ROUTED}, "a");
    fake_goodbye(&told.fake);
    fake_event(&told.fake, "a", 1);
    await(&told, &told.events, 1);
    cr_assert(publish(&told, "a") == 1);
    fake_settle(told.client);
    cr_assert(rh_client_state(told.client) == RH_STATE_CONNECTED);
    fake_hang_up(&told.fake, false);
    fake_handshake(&told.fake, told.client);
    cr_assert(told.resend_asked == 0, "it was kept back, not sent");
    expect_subscribe(&told, 1, "a", "begin");
    expect_topic(&told, "a");
    told_stop(&told);
}

Test(client, ends_when_reconnecting_is_off) {
    struct told told;
    told_start(&told, (rh_options){.reconnect_off = true});
    fake_handshake(&told.fake, told.client);
    fake_hang_up(&told.fake, true);
    await(&told, &told.closed, 1);
    cr_assert(rh_process(told.client) == RH_CLOSED);
    rh_client_free(told.client);
    fake_stop(&told.fake);
    const char *error = "";
    rh_client *nobody =
        rh_client_new(&(rh_options){.server = told.fake.address, .reconnect_off = true}, &error);
    cr_assert(rh_wait_connected(nobody, 5000) == RH_UNREACHABLE);
    cr_assert(strstr(rh_client_error(nobody), "127.0.0.1") != NULL);
    rh_client_free(nobody);
}

Test(client, gives_up_a_handshake_after_its_time) {
    struct told told;
    told_start(&told, (rh_options){.connect_timeout_ms = 20, .reconnect_off = true});
    cr_assert(rh_wait_connected(told.client, 5000) == RH_UNREACHABLE);
    told_stop(&told);
}

Test(client, survives_any_bytes_from_a_server) {
    static const char *const noise[] = {"HTTP/1.1 400 Bad Request\r\n\r\n",
                                        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                                        "\x02\x0a\x00",
                                        "\x06\x42\x04\x08\xff\xff\x03",
                                        "\x04\x1a\x02\x08\x01",
                                        "\xff\xff\xff\xff\x0f"};
    struct told told;
    told_start(&told, (rh_options){.ack = RH_ACK_ROUTED});
    for (size_t i = 0; i < sizeof noise / sizeof noise[0]; i++) {
        fake_handshake(&told.fake, told.client);
        fake_send_bytes(&told.fake, noise[i], i == 2 ? 3 : strlen(noise[i]));
        fake_handshake(&told.fake, told.client);
        cr_assert(rh_client_reconnects(told.client) == 2 * i + 1, "after %zu", i);
        fake_hang_up(&told.fake, false);
    }
    told_stop(&told);
}

Test(client, takes_a_stream_in_any_pieces) {
    struct told told;
    told_subscribed_to(&told, (rh_options){0}, "a");
    uint8_t stream[4096];
    size_t length = 0;
    for (uint64_t i = 1; i <= 50; i++) {
        struct wire_event event = {.topic = (const uint8_t *)"a",
                                   .event = (const uint8_t *)"event",
                                   .topic_length = 1,
                                   .event_length = 5};
        (void)wire_record_write(stream + length, i, &event);
        length += wire_record_size(1, 5);
    }
    for (size_t i = 0; i < length; i++) {
        fake_send_bytes(&told.fake, stream + i, 1);
        (void)rh_process(told.client);
    }
    await(&told, &told.events, 50);
    told_stop(&told);
}

static void close_from_inside(void *user, uint64_t subscription, const rh_event *event) {
    struct told *told = user;
    (void)subscription;
    (void)event;
    told->events++;
    cr_assert(rh_process(told->client) == RH_INVALID && rh_run(told->client, 1) == RH_INVALID);
    cr_assert(publish(told, "from.inside") == 1);
    cr_assert(rh_close(told->client) == RH_OK);
}

Test(client, lets_callbacks_publish_and_close) {
    struct told told = {.resend = true};
    const char *error = "", *pattern = "a";
    fake_start(&told.fake);
    told.client = rh_client_new(&(rh_options){.server = told.fake.address,
                                              .ack = RH_ACK_ROUTED,
                                              .callbacks = {.on_event = close_from_inside},
                                              .user = &told},
                                &error);
    cr_assert(told.client != NULL && rh_subscribe(told.client, &pattern, 1, RH_SLOW_SKIP) == 1);
    fake_handshake(&told.fake, told.client);
    control_free(fake_expect(&told.fake, told.client, WIRE_SUBSCRIBE));
    fake_event(&told.fake, "a", 1);
    expect_topic(&told, "from.inside");
    control_free(fake_expect(&told.fake, told.client, WIRE_GOODBYE));
    fake_ack(&told.fake, 1, 0);
    fake_goodbye(&told.fake);
    cr_assert(rh_run(told.client, 5000) == RH_CLOSED && told.events == 1);
    told_stop(&told);
}
