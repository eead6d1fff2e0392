/* Filters of the client library: what is said to the server, and whose an event is. */
#include "tests/unit/core/client/fake.h"

#include "codecs/event/compose.h"
#include "codecs/event/fields.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

struct told {
    struct fake fake;
    rh_client *client;
    int events, subscribed;
    uint64_t subscription;
};

static void on_event(void *user, uint64_t subscription, const rh_event *event) {
    struct told *told = user;
    (void)event;
    told->events++;
    told->subscription = subscription;
}

static void on_subscribed(void *user, uint64_t subscription) {
    (void)subscription;
    ((struct told *)user)->subscribed++;
}

static void told_start(struct told *told) {
    const char *error = "";
    *told = (struct told){0};
    fake_start(&told->fake);
    rh_options options = {.server = told->fake.address,
                          .user = told,
                          .callbacks = {.on_event = on_event, .on_subscribed = on_subscribed}};
    told->client = rh_client_new(&options, &error);
    cr_assert(told->client != NULL, "%s", error);
}

static void told_stop(struct told *told) {
    rh_client_free(told->client);
    told->client = NULL;
    fake_stop(&told->fake);
    LEAKS_NONE();
}

static const char *const pattern = "a";

static int64_t subscribe(struct told *told, const char *filters) {
    return rh_subscribe_with(told->client, &pattern, 1, &(rh_subscribe_options){.filters = filters});
}

/* One filter, an `exact` on the type. */
static void expect_type(struct told *told, const char *type) {
    fake_frame *frame = fake_expect(&told->fake, told->client, WIRE_SUBSCRIBE);
    const Roundhouse__V1__Subscribe *got = frame->subscribe;
    cr_assert_eq(got->n_filters, type != NULL);
    if (type != NULL) {
        cr_assert_eq(got->filters[0]->dialect_case, ROUNDHOUSE__V1__FILTER__DIALECT_EXACT);
        const Roundhouse__V1__Filter__Attributes *exact = got->filters[0]->exact;
        cr_assert(exact->n_values == 1 && strcmp(exact->values[0]->key, "type") == 0);
        cr_assert_str_eq(exact->values[0]->value, type);
    }
    control_free(frame);
}

static void event_of_type(struct told *told, const char *type, uint64_t sequence) {
    struct bytes made = {0};
    struct fault fault;
    uint8_t *event;
    size_t length;
    bytes_field(&made, EVENT_ID, "1", 1);
    bytes_field(&made, EVENT_SOURCE, "/s", 2);
    bytes_field(&made, EVENT_SPEC_VERSION, "1.0", 3);
    bytes_field(&made, EVENT_TYPE, type, strlen(type));
    cr_assert(compose_done(&made, &event, &length, &fault));
    fake_event_of(&told->fake, "a", sequence, event, length);
    free(event);
}

static void await(struct told *told, const int *what, int count) {
    for (int step = 0; *what < count; step++) {
        cr_assert(step < 500, "only %d of %d came", *what, count);
        (void)rh_run(told->client, 20);
    }
}

Test(client_filters, are_said_each_time_that_the_subscription_is_asked_for) {
    struct told told;
    char filters[] = "[{\"exact\":{\"type\":\"x\"}}]";
    told_start(&told);
    cr_assert_eq(subscribe(&told, filters), 1);
    memset(filters, ' ', sizeof filters - 1); /* they were copied */
    fake_handshake(&told.fake, told.client);
    expect_type(&told, "x");
    fake_subscribed(&told.fake, 1, "here");
    await(&told, &told.subscribed, 1);
    fake_hang_up(&told.fake, true);
    fake_handshake(&told.fake, told.client);
    expect_type(&told, "x");
    told_stop(&told);
}

Test(client_filters, say_nothing_when_there_are_none) {
    static const char *const none[] = {NULL, "", "[]"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        struct told told;
        told_start(&told);
        cr_assert_eq(subscribe(&told, none[i]), 1);
        fake_handshake(&told.fake, told.client);
        expect_type(&told, NULL);
        told_stop(&told);
    }
}

Test(client_filters, are_refused_with_a_sentence) {
    struct told told;
    const rh_queue queue = {.name = "work", .filters = "[{}]"}, mailbox = {.name = "@a", .filters = "[]"};
    told_start(&told);
    cr_assert_eq(subscribe(&told, "[{\"exact\":{\"type\":5}}]"), RH_INVALID);
    cr_assert(strstr(rh_client_error(told.client), "is a string") != NULL);
    cr_assert_eq(subscribe(&told, "{"), RH_INVALID);
    cr_assert_eq(rh_join(told.client, &pattern, 1, &queue), RH_INVALID);
    cr_assert(strstr(rh_client_error(told.client), "one member") != NULL);
    cr_assert_eq(rh_join(told.client, NULL, 0, &mailbox), RH_INVALID);
    cr_assert(strstr(rh_client_error(told.client), "mailbox") != NULL);
    told_stop(&told);
}

Test(client_filters, belong_to_a_queue_as_well) {
    struct told told;
    const rh_queue queue = {.name = "work", .filters = "[{\"exact\":{\"type\":\"x\"}}]"};
    told_start(&told);
    cr_assert_eq(rh_join(told.client, &pattern, 1, &queue), 1);
    fake_handshake(&told.fake, told.client);
    expect_type(&told, "x");
    told_stop(&told);
}

/* The router sends an event once for all subscriptions of a connection. */
Test(client_filters, say_whose_an_event_is) {
    struct told told;
    told_start(&told);
    cr_assert_eq(subscribe(&told, "[{\"exact\":{\"type\":\"x\"}}]"), 1);
    cr_assert_eq(subscribe(&told, "[{\"not\":{\"exact\":{\"type\":\"z\"}}}]"), 2);
    fake_handshake(&told.fake, told.client);
    expect_type(&told, "x");
    control_free(fake_expect(&told.fake, told.client, WIRE_SUBSCRIBE));
    fake_subscribed(&told.fake, 1, "here");
    fake_subscribed(&told.fake, 2, "here");
    event_of_type(&told, "y", 1);
    await(&told, &told.events, 1);
    cr_assert_eq(told.subscription, 2);
    event_of_type(&told, "x", 2);
    await(&told, &told.events, 2);
    cr_assert_eq(told.subscription, 1);
    event_of_type(&told, "z", 3); /* nobody's: it was on its way when a subscription ended, perhaps */
    event_of_type(&told, "x", 4);
    await(&told, &told.events, 3);
    cr_assert_eq(told.subscription, 1);
    told_stop(&told);
}
