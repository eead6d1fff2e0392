/* The port against a router of this build: what is published is settled, what is delivered is answered, also
 * when the router dies and comes again. */
#include "core/bridge/port.h"

#include "codecs/event/json.h"
#include "core/base/error.h"
#include "core/bridge/classes.h"
#include "tests/unit/core/bridge/router.h"
#include "tests/unit/core/client/fake.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES 256

/* A bridge: its loop, its port, and what it has been told. */
struct bridge {
    struct event_base *base;
    struct port *port;
    unsigned settled, refused_events, code, events, retried, room, refused, joined;
    unsigned attempt;
    uint64_t delivery;
    char text[TEXT_BYTES];
    char topic[TEXT_BYTES];
    unsigned next[2]; /* of topics that end in .a and .b: the number that comes next */
    unsigned repeated;
    void (*answer)(struct bridge *bridge, const struct port_event *event);
};

static void told_settled(void *user, int code, const char *text) {
    struct bridge *bridge = user;
    bridge->settled++;
    if (code == RH_CODE_NONE)
        return;
    bridge->refused_events++;
    bridge->code = (unsigned)code;
    (void)snprintf(bridge->text, sizeof bridge->text, "%s", text);
}

static void told_event(void *user, const struct port_event *event) {
    struct bridge *bridge = user;
    bridge->events++;
    bridge->attempt = event->attempt;
    bridge->delivery = event->delivery;
    (void)snprintf(bridge->topic, sizeof bridge->topic, "%.*s", (int)event->topic_length, event->topic);
    bridge->answer(bridge, event);
}

static void told_refused(void *user, const char *text) {
    struct bridge *bridge = user;
    bridge->refused++;
    (void)snprintf(bridge->text, sizeof bridge->text, "%s", text);
}

static void told_joined(void *user) {
    ((struct bridge *)user)->joined++;
}

static void told_room(void *user) {
    ((struct bridge *)user)->room++;
}

static void answer_done(struct bridge *bridge, const struct port_event *event) {
    port_done(bridge->port, event->delivery);
}

static void bridge_open(struct bridge *bridge, const char *server, bool disk) {
    char why[TEXT_BYTES] = "";
    *bridge = (struct bridge){.base = event_base_new(), .answer = answer_done};
    struct port_options options = {.base = bridge->base,
                                   .server = server,
                                   .name = "bridge",
                                   .disk = disk,
                                   .user = bridge,
                                   .on_event = told_event,
                                   .on_refused = told_refused,
                                   .on_joined = told_joined};
    bridge->port = port_new(&options, why, sizeof why);
    cr_assert(bridge->port != NULL, "%s", why);
}

static void bridge_close(struct bridge *bridge) {
    port_free(bridge->port);
    event_base_free(bridge->base);
    bridge->port = NULL;
    bridge->base = NULL;
}

/* 0 or -EAGAIN. */
static int publish(struct bridge *bridge, const char *topic, unsigned number, size_t data_bytes) {
    char id[16];
    static uint8_t data[1 << 20];
    (void)snprintf(id, sizeof id, "%u", number);
    struct event_parts parts = {
        .id = id, .source = "/test", .type = "t", .data = data, .data_length = data_bytes, .binary = true};
    struct fault fault;
    uint8_t *event;
    size_t length;
    cr_assert(event_build(&parts, &event, &length, &fault));
    int result = port_publish(bridge->port, topic, strlen(topic), event, length, told_settled, bridge);
    free(event);
    cr_assert(result == 0 || result == -EAGAIN, "%s", port_error(bridge->port));
    return result;
}

/* Publishes it when there is room. */
static void publish_surely(struct bridge *bridge, const char *topic, unsigned number) {
    while (publish(bridge, topic, number, 10) != 0) {
        unsigned room = bridge->room;
        port_on_room(bridge->port, told_room, bridge);
        router_await(bridge->base, &bridge->room, room + 1);
    }
}

static void join(struct bridge *bridge, const char *pattern, bool is_volatile) {
    struct port_queue queue = {
        .name = "bridge", .patterns = &pattern, .patterns_count = 1, .is_volatile = is_volatile};
    cr_assert_eq(port_join(bridge->port, &queue), 0);
    /* The queue begins when the router has it. */
    router_await(bridge->base, &bridge->joined, 1);
}

Test(port, settles_what_is_published) {
    struct router router;
    struct bridge bridge;
    router_start(&router, "", false);
    bridge_open(&bridge, router.address, false);
    for (unsigned i = 0; i < 1000; i++)
        publish_surely(&bridge, "x.a", i);
    router_await(bridge.base, &bridge.settled, 1000);
    cr_assert_eq(bridge.refused_events, 0);
    publish_surely(&bridge, "x..a", 1);
    publish_surely(&bridge, "x.a", 2);
    router_await(bridge.base, &bridge.settled, 1002);
    cr_assert_eq(bridge.settled, 1002);
    cr_assert_eq(bridge.refused_events, 1);
    cr_assert_eq(bridge.code, RH_CODE_INVALID);
    cr_assert(bridge.text[0] != '\0');
    bridge_close(&bridge);
    router_stop(&router);
    LEAKS_NONE();
}

Test(port, says_when_there_is_room_again) {
    struct router router;
    struct bridge bridge;
    unsigned count = 0;
    router_start(&router, "", false);
    bridge_open(&bridge, router.address, false);
    while (publish(&bridge, "x.a", count, 100000) == 0)
        count++;
    cr_assert(count >= 20, "only %u", count);
    cr_assert_eq(bridge.settled, 0);
    port_on_room(bridge.port, told_room, &bridge);
    router_await(bridge.base, &bridge.room, 1);
    cr_assert(bridge.settled > 0);
    cr_assert_eq(publish(&bridge, "x.a", count, 100000), 0);
    router_await(bridge.base, &bridge.settled, count + 1);
    cr_assert_eq(bridge.room, 1);
    cr_assert_eq(bridge.refused_events, 0);
    bridge_close(&bridge);
    router_stop(&router);
}

Test(port, refuses_what_no_router_takes) {
    struct bridge bridge;
    static uint8_t event[8 << 20];
    bridge_open(&bridge, "127.0.0.1:1", false);
    cr_assert_eq(port_publish(bridge.port, "a", 1, event, sizeof event, NULL, NULL), -EINVAL);
    cr_assert(strstr(port_error(bridge.port), "event: it takes 8388") != NULL, "%s", port_error(bridge.port));
    cr_assert(strstr(port_error(bridge.port), "and the send buffer has 4194304: make the event") != NULL);
    cr_assert(strstr(port_error(bridge.port), "limits.frame, 4 MiB at least)") != NULL);
    bridge_close(&bridge);
    struct port_options options = {.base = event_base_new(), .server = "nowhere", .name = "bridge"};
    char why[TEXT_BYTES] = "";
    cr_assert(port_new(&options, why, sizeof why) == NULL);
    cr_assert(why[0] != '\0');
    event_base_free(options.base);
    LEAKS_NONE();
}

/* Events of two topics come in their own order. */
static void answer_in_order(struct bridge *bridge, const struct port_event *event) {
    char id[16] = "";
    unsigned of = event->topic[event->topic_length - 1] == 'b';
    cr_assert(event->event_length > 8 && event->event[0] == 0x0a);
    memcpy(id, event->event + 2, event->event[1]);
    unsigned number = (unsigned)strtoul(id, NULL, 10);
    cr_assert(number <= bridge->next[of], "%u of %.*s after %u", number, (int)event->topic_length,
              event->topic, bridge->next[of]);
    bridge->repeated += number < bridge->next[of];
    if (number == bridge->next[of])
        bridge->next[of]++;
    port_done(bridge->port, event->delivery);
}

static void publish_both(struct bridge *bridge, unsigned first, unsigned count) {
    for (unsigned i = first; i < first + count; i++) {
        publish_surely(bridge, "d.a", i);
        publish_surely(bridge, "m.b", i);
    }
}

/* Of topics in memory and on disk; without a journal all are in memory. */
static void both_classes(bool journal) {
    struct router router;
    struct bridge bridge;
    router_start(&router,
                 journal ? "topics: [{ match: 'd.>', class: disk }, { match: '>', class: memory }]" : "",
                 journal);
    bridge_open(&bridge, router.address, true);
    bridge.answer = answer_in_order;
    join(&bridge, "*.*", true);
    bridge.next[0] = bridge.next[1] = 0;
    publish_both(&bridge, 0, 300);
    router_await(bridge.base, &bridge.settled, 600);
    cr_assert_eq(bridge.refused_events, 0, "%u: %s", bridge.code, bridge.text);
    router_await(bridge.base, &bridge.next[0], 300);
    router_await(bridge.base, &bridge.next[1], 300);
    publish_surely(&bridge, "x..a", 1);
    router_await(bridge.base, &bridge.settled, 601);
    cr_assert_eq(bridge.refused_events, 1);
    cr_assert_eq(bridge.code, RH_CODE_INVALID);
    bridge_close(&bridge);
    router_stop(&router);
    LEAKS_NONE();
}

Test(port, waits_for_the_disk_where_the_router_does) {
    both_classes(true);
}

Test(port, does_without_a_disk_where_the_router_does) {
    both_classes(false);
}

/* The first time not now, the second never. */
static void answer_badly(struct bridge *bridge, const struct port_event *event) {
    if (event->topic[0] == '$') {
        port_done(bridge->port, event->delivery);
        return;
    }
    port_extend(bridge->port, event->delivery);
    if (event->attempt == 1)
        port_retry(bridge->port, event->delivery, 1, "not now");
    else
        port_refuse(bridge->port, event->delivery, "never");
    port_done(bridge->port, event->delivery); /* which does nothing any more */
}

Test(port, answers_deliveries_once) {
    struct router router;
    struct bridge bridge, letters;
    router_start(&router, "", false);
    bridge_open(&bridge, router.address, false);
    bridge_open(&letters, router.address, false);
    const char *pattern = "$dlq.>";
    struct port_queue queue = {
        .name = "letters", .patterns = &pattern, .patterns_count = 1, .is_volatile = true};
    cr_assert_eq(port_join(letters.port, &queue), 0);
    publish_surely(&letters, "no.matter", 0);
    router_await(letters.base, &letters.settled, 1);
    bridge.answer = answer_badly;
    join(&bridge, "q.>", true);
    publish_surely(&bridge, "q.a", 1);
    router_await(bridge.base, &bridge.events, 2);
    cr_assert_eq(bridge.attempt, 2);
    for (unsigned i = 0; letters.events < 1 && i < 600; i++) { /* both loops, by turns */
        struct timeval soon = {.tv_usec = 50000};
        cr_assert(event_base_loopexit(bridge.base, &soon) == 0 && event_base_dispatch(bridge.base) >= 0);
        cr_assert(event_base_loopexit(letters.base, &soon) == 0 && event_base_dispatch(letters.base) >= 0);
    }
    cr_assert_eq(letters.events, 1);
    cr_assert_str_eq(letters.topic, "$dlq.bridge");
    cr_assert_eq(bridge.events, 2);
    bridge_close(&letters);
    bridge_close(&bridge);
    router_stop(&router);
    LEAKS_NONE();
}

Test(port, takes_its_queue_over_and_tells_who_had_it) {
    struct router router;
    struct bridge first, second;
    router_start(&router, "", false);
    bridge_open(&first, router.address, false);
    join(&first, "q.>", true);
    bridge_open(&second, router.address, false);
    join(&second, "q.>", true);
    router_await(first.base, &first.refused, 1);
    cr_assert(first.text[0] != '\0');
    publish_surely(&second, "q.a", 1);
    router_await(second.base, &second.events, 1);
    cr_assert_eq(second.refused, 0);
    bridge_close(&first);
    bridge_close(&second);
    router_stop(&router);
}

static void answer_later(struct bridge *bridge, const struct port_event *event) {
    (void)bridge, (void)event;
}

Test(port, gives_what_has_one_key_one_after_the_other) {
    struct router router;
    struct bridge bridge, other;
    router_start(&router, "", false);
    bridge_open(&bridge, router.address, false);
    bridge.answer = answer_later;
    const char *pattern = "q.>";
    struct port_queue queue = {
        .name = "bridge", .patterns = &pattern, .patterns_count = 1, .is_volatile = true, .key = "source"};
    cr_assert_eq(port_join(bridge.port, &queue), 0);
    router_await(bridge.base, &bridge.joined, 1);
    publish_surely(&bridge, "q.a", 1);
    publish_surely(&bridge, "q.b", 2);
    router_await(bridge.base, &bridge.settled, 2);
    router_await(bridge.base, &bridge.events, 1);
    publish_surely(&bridge, "x.a", 3); /* a round trip later */
    router_await(bridge.base, &bridge.settled, 3);
    cr_assert_eq(bridge.events, 1);
    port_done(bridge.port, bridge.delivery);
    router_await(bridge.base, &bridge.events, 2);
    bridge_open(&other, router.address, false);
    queue.key = "subject";
    cr_assert_eq(port_join(other.port, &queue), 0);
    router_await(other.base, &other.refused, 1);
    cr_assert(strstr(other.text, "another key") != NULL, "%s", other.text);
    bridge_close(&other);
    bridge_close(&bridge);
    router_stop(&router);
    LEAKS_NONE();
}

Test(port, tells_why_there_is_no_queue) {
    struct router router;
    struct bridge bridge;
    router_start(&router, "", false);
    bridge_open(&bridge, router.address, false);
    const char *pattern = "q.>";
    struct port_queue queue = {
        .name = "no blanks", .patterns = &pattern, .patterns_count = 1, .is_volatile = true};
    cr_assert_eq(port_join(bridge.port, &queue), 0);
    router_await(bridge.base, &bridge.refused, 1);
    cr_assert(bridge.text[0] != '\0');
    cr_assert_eq(bridge.refused, 1);
    publish_surely(&bridge, "x.a", 1); /* which it still may */
    router_await(bridge.base, &bridge.settled, 1);
    cr_assert_eq(bridge.refused_events, 0);
    bridge_close(&bridge);
    router_stop(&router);
}

Test(port, tells_that_the_router_refuses_it) {
    struct fake fake;
    struct bridge bridge;
    static const uint8_t event[] = {1};
    fake_start(&fake);
    bridge_open(&bridge, fake.address, false);
    cr_assert_eq(publish(&bridge, "x.a", 1, 10), 0);
    for (unsigned i = 0; i < 1000 && !fake_accept(&fake); i++) {
        struct timeval soon = {.tv_usec = 10000};
        cr_assert(event_base_loopexit(bridge.base, &soon) == 0 && event_base_dispatch(bridge.base) >= 0);
    }
    fake_error(&fake, RH_CODE_INVALID, true, 0, 0);
    router_await(bridge.base, &bridge.refused, 1);
    cr_assert_eq(bridge.settled, 1);
    cr_assert_eq(bridge.code, RH_CODE_UNKNOWN_OUTCOME);
    cr_assert_eq(port_publish(bridge.port, "x.a", 3, event, sizeof event, told_settled, &bridge), -ENOTCONN);
    cr_assert(port_error(bridge.port)[0] != '\0');
    cr_assert_eq(bridge.settled, 1);
    bridge_close(&bridge);
    fake_stop(&fake);
    LEAKS_NONE();
}

Test(port, takes_what_fits_its_buffer) {
    struct router router;
    struct bridge bridge;
    char why[TEXT_BYTES] = "";
    router_start(&router, "limits: { frame: 16MiB }\nlogs: { data: 128MiB }", false);
    bridge_open(&bridge, router.address, false);
    port_free(bridge.port);
    struct port_options options = {.base = bridge.base,
                                   .server = router.address,
                                   .name = "bridge",
                                   .send_bytes = 16u << 20,
                                   .user = &bridge};
    bridge.port = port_new(&options, why, sizeof why);
    cr_assert(bridge.port != NULL, "%s", why);
    size_t length = 6u << 20;
    struct event_parts parts = {.id = "1",
                                .source = "/t",
                                .type = "t",
                                .data = calloc(1, length),
                                .data_length = length,
                                .binary = true};
    struct fault fault;
    uint8_t *event;
    cr_assert(parts.data != NULL && event_build(&parts, &event, &length, &fault));
    cr_assert_eq(port_publish(bridge.port, "x.a", 3, event, length, told_settled, &bridge), 0);
    router_await(bridge.base, &bridge.settled, 1);
    cr_assert_eq(bridge.refused_events, 0, "%s", bridge.text);
    free(event);
    free((uint8_t *)(uintptr_t)parts.data);
    bridge_close(&bridge);
    router_stop(&router);
}

Test(port, goes_on_when_the_router_comes_again) {
    static const char config[] = "topics: [{ match: 'd.>', class: disk }, { match: '>', class: memory }]";
    struct router router;
    struct bridge bridge;
    router_start(&router, config, true);
    bridge_open(&bridge, router.address, true);
    bridge.answer = answer_in_order;
    join(&bridge, "d.*", false);
    publish_both(&bridge, 0, 100);
    router_await(bridge.base, &bridge.settled, 200);
    for (unsigned i = 100; i < 150; i++)
        cr_assert_eq(publish(&bridge, "d.a", i, 10), 0);
    router_restart(&router, config, true);
    router_await(bridge.base, &bridge.settled, 250);
    cr_assert_eq(bridge.refused_events, 0, "%u: %s", bridge.code, bridge.text);
    router_await(bridge.base, &bridge.next[0], 150);
    publish_both(&bridge, 150, 50);
    router_await(bridge.base, &bridge.settled, 350);
    cr_assert_eq(bridge.refused_events, 0, "%u: %s", bridge.code, bridge.text);
    router_await(bridge.base, &bridge.next[0], 200);
    cr_assert_eq(bridge.refused, 0);
    bridge_close(&bridge);
    router_stop(&router);
    LEAKS_NONE();
}

/* What was answered in the last turn of the loop reaches the router, and does not come again. */
Test(port, is_flushed_before_it_ends) {
    struct router router;
    struct bridge bridge;
    router_start(&router, "", false);
    bridge_open(&bridge, router.address, false);
    join(&bridge, "x.>", true);
    for (unsigned i = 0; i < 20; i++)
        publish_surely(&bridge, "x.a", i);
    router_await(bridge.base, &bridge.events, 20);
    cr_expect(port_flush(bridge.port, 10000));
    cr_expect_eq(bridge.settled, 20, "what was published is settled, too");
    bridge_close(&bridge);
    bridge_open(&bridge, router.address, false);
    join(&bridge, "x.>", true);
    publish_surely(&bridge, "x.b", 20);
    router_await(bridge.base, &bridge.events, 1);
    cr_expect_str_eq(bridge.topic, "x.b", "the first of the queue is the new one");
    bridge_close(&bridge);
    router_stop(&router);
    LEAKS_NONE();
}

static void told_publish(void *user, const char *topic, size_t topic_length, const uint8_t *event,
                         size_t event_length) {
    struct bridge *bridge = user;
    bridge->events++;
    (void)snprintf(bridge->topic, sizeof bridge->topic, "%.*s", (int)topic_length, topic);
    cr_expect(event != NULL && event_length > 0);
}

Test(port, tells_what_is_published_where_there_is_no_router) {
    char why[TEXT_BYTES];
    struct bridge bridge = {.base = event_base_new()};
    struct port_options options = {
        .base = bridge.base, .name = "trial", .disk = true, .user = &bridge, .on_publish = told_publish};
    bridge.port = port_new(&options, why, sizeof why);
    cr_assert(bridge.port != NULL);
    for (unsigned i = 0; i < 100; i++)
        cr_assert_eq(publish(&bridge, "x.a", i, 10), 0);
    cr_expect(bridge.events == 100 && bridge.settled == 0, "not from within the call");
    router_await(bridge.base, &bridge.settled, 100);
    cr_expect_str_eq(bridge.topic, "x.a");
    cr_expect(port_flush(bridge.port, 0));
    bridge_close(&bridge);
    LEAKS_NONE();
}

Test(classes, are_learned_and_forgotten) {
    struct classes classes = {0};
    char topic[16];
    cr_assert_eq(classes_find(&classes, "a", 1), CLASS_UNKNOWN);
    for (unsigned i = 0; i < CLASSES_MAX; i++) {
        int n = snprintf(topic, sizeof topic, "t.%u", i);
        classes_learn(&classes, topic, (size_t)n, i % 2 ? CLASS_DISK : CLASS_MEMORY);
    }
    for (unsigned i = 0; i < CLASSES_MAX; i++) {
        int n = snprintf(topic, sizeof topic, "t.%u", i);
        cr_assert_eq(classes_find(&classes, topic, (size_t)n), i % 2 ? CLASS_DISK : CLASS_MEMORY);
    }
    cr_assert_eq(classes_find(&classes, "t.", 2), CLASS_UNKNOWN);
    classes_learn(&classes, "a", 1, CLASS_DISK);
    cr_assert_eq(classes_find(&classes, "a", 1), CLASS_DISK);
    cr_assert_eq(classes_find(&classes, "t.1", 3), CLASS_UNKNOWN);
    classes_forget(&classes);
    LEAKS_NONE();
}
