/* What a spoke has sent, and what its partner says to it: from the text of documents to what is overdue. */
#include "core/spoke/watch.h"

#include "codecs/event/json.h"
#include "core/bridge/remake.h"
#include "roundhouse/erp/v1/erp.pb-c.h"
#include "tests/unit/core/bridge/world.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PERIOD  60000u
#define QUIET   10000u /* after a start */
#define EDIFACT "UNA:+.? 'UNB+UNOC:3+US:14+PARTNER:14+260902:1412+REF1'UNH+1+ORDERS:D:96A:UN'BGM+220+1+9'"
#define X12                                                                                                  \
    "ISA*00*          *00*          *ZZ*US             *ZZ*PARTNER        *260902*1412*U*00401*000000017*0*" \
    "P*>~GS*PO*US*PARTNER*20260902*1412*42*X*004010~ST*850*0001~BEG*00*SA*1**20260902~"

static uint64_t now;

static uint64_t now_ms(void) {
    return now;
}

struct scene {
    struct event_base *base;
    struct watch *watch;
    struct spoke_counters counters;
    char root[64];
    unsigned published;
    char topic[64];
    uint8_t *event; /* the last one */
    size_t length;
};

static void on_publish(void *user, const char *topic, size_t topic_length, const uint8_t *event,
                       size_t event_length) {
    struct scene *scene = user;
    (void)snprintf(scene->topic, sizeof scene->topic, "%.*s", (int)topic_length, topic);
    free(scene->event);
    scene->event = malloc(event_length);
    cr_assert_not_null(scene->event);
    memcpy(scene->event, event, event_length);
    scene->length = event_length;
    scene->published++;
}

static void watch_start(struct scene *scene, bool x12) {
    char why[256] = "";
    struct watch_options options = {.base = scene->base,
                                    .name = "shop",
                                    .state_dir = scene->root,
                                    .x12 = x12,
                                    .period_ms = PERIOD,
                                    .counters = &scene->counters,
                                    .now_ms = now_ms,
                                    .user = scene,
                                    .on_publish = on_publish};
    watch_free(scene->watch);
    scene->watch = watch_new(&options, why, sizeof why);
    cr_assert(scene->watch != NULL, "%s", why);
}

static void scene_make(struct scene *scene, bool x12) {
    *scene = (struct scene){.base = event_base_new()};
    (void)snprintf(scene->root, sizeof scene->root, "/tmp/rh-watch-XXXXXX");
    cr_assert_not_null(mkdtemp(scene->root));
    now = 1000000;
    watch_start(scene, x12);
}

static void scene_end(struct scene *scene) {
    char command[96];
    (void)snprintf(command, sizeof command, "rm -rf %s", scene->root);
    watch_free(scene->watch);
    event_base_free(scene->base);
    free(scene->event);
    *scene = (struct scene){.event = NULL};
    cr_assert(system(command) == 0);
    LEAKS_NONE();
}

/* ---- what goes out, and what comes ---- */

static uint8_t *event_of(const char *text, size_t *length) {
    struct event_parts parts = {.id = "e-1",
                                .source = "/erp",
                                .type = "erp.order.created.v1",
                                .subject = "PO1",
                                .data = (const uint8_t *)text,
                                .data_length = strlen(text)};
    struct fault fault;
    uint8_t *event;
    cr_assert(event_build(&parts, &event, length, &fault), "%s", fault.text);
    return event;
}

static void hand(struct scene *scene, const char *text) {
    size_t length;
    uint8_t *event = event_of(text, &length);
    struct outgoing out = {.delivery = 5,
                           .event = event,
                           .event_length = length,
                           .data = (const uint8_t *)text,
                           .data_length = strlen(text)};
    watch_hand(scene->watch, &out);
    free(event);
}

static void sent_out(struct scene *scene, const char *text) {
    hand(scene, text);
    watch_sent(scene->watch, 5);
}

/* What the maps make of CONTRL, TA1, 997. */
struct said {
    bool x12;
    const char *scope, *status, *interchange, *group;
};

static void acknowledge(struct scene *scene, struct said said) {
    Roundhouse__Erp__V1__Acknowledgement message = ROUNDHOUSE__ERP__V1__ACKNOWLEDGEMENT__INIT;
    Roundhouse__Erp__V1__Origin subject = ROUNDHOUSE__ERP__V1__ORIGIN__INIT, own = subject;
    Roundhouse__Erp__V1__Header header = ROUNDHOUSE__ERP__V1__HEADER__INIT;
    Roundhouse__Erp__V1__Identifier us = ROUNDHOUSE__ERP__V1__IDENTIFIER__INIT, partner = us;
    struct fault fault;
    size_t length;
    uint8_t *event = event_of("", &length), *made;
    us.value = (char *)(uintptr_t) "US";
    partner.value = (char *)(uintptr_t) "PARTNER";
    own.format = (char *)(uintptr_t)(said.x12 ? "X12" : "EDIFACT");
    own.sender = &partner;
    own.receiver = &us;
    subject.interchange_ref = (char *)(uintptr_t)(said.interchange != NULL ? said.interchange : "");
    subject.group_ref = (char *)(uintptr_t)(said.group != NULL ? said.group : "");
    if (!said.x12) {
        subject.sender = &us;
        subject.receiver = &partner;
    }
    header.origin = &own;
    message.header = &header;
    message.subject = &subject;
    message.scope = (char *)(uintptr_t)said.scope;
    message.status = (char *)(uintptr_t)said.status;
    struct remake what = {.event = event, .length = length};
    cr_assert(remake_canonical(what, &message.base, &made, &length, &fault), "%s", fault.text);
    watch_acknowledgement(scene->watch, made, length);
    free(event);
    free(made);
}
#define ACKNOWLEDGE(scene, ...) acknowledge(scene, (struct said){__VA_ARGS__})

/* So much later; what is published meanwhile is settled. */
static void pass(struct scene *scene, uint64_t ms) {
    now += ms;
    watch_look(scene->watch);
    bridge_turn(scene->base, 1);
    watch_look(scene->watch);
}

static uint64_t counted(const struct counter *counter) {
    return counter_get(counter);
}

/* ---- what is overdue ---- */

Test(watch, what_is_overdue_is_published_once_with_all_that_names_it) {
    struct scene scene;
    scene_make(&scene, false);
    sent_out(&scene, EDIFACT);
    cr_assert(counted(&scene.counters.awaited) == 1);
    pass(&scene, PERIOD - 1);
    cr_assert(scene.published == 0);
    pass(&scene, 1);
    pass(&scene, PERIOD);
    cr_assert(scene.published == 1 && counted(&scene.counters.overdue) == 1);
    cr_assert_str_eq(scene.topic, "erp.acknowledgement.overdue");
    ProtobufCMessage *base = remake_message(scene.event, scene.length);
    cr_assert(base != NULL && base->descriptor == &roundhouse__erp__v1__acknowledgement__descriptor);
    const Roundhouse__Erp__V1__Acknowledgement *message = (const void *)base;
    cr_assert_str_eq(message->status, "OVERDUE");
    cr_assert_str_eq(message->scope, "INTERCHANGE");
    cr_assert_str_eq(message->subject->format, "EDIFACT");
    cr_assert_str_eq(message->subject->interchange_ref, "REF1");
    cr_assert_str_eq(message->subject->sender->value, "US");
    cr_assert_str_eq(message->subject->receiver->value, "PARTNER");
    protobuf_c_message_free_unpacked(base, NULL);
    scene_end(&scene);
}

static void has_attributes(const struct scene *scene) {
    static const char *const wanted[] = {"\"type\":\"erp.acknowledgement.overdue.v1\"",
                                         "\"source\":\"/spoke/shop\"",
                                         "\"partner\":\"PARTNER\"",
                                         "\"interchangeref\":\"REF1\"",
                                         "\"subject\":\"PO1\"",
                                         "\"causeid\":\"e-1\"",
                                         "\"causesource\":\"/erp\"",
                                         "\"time\":\"1970-01-01T00:17:40Z\""};
    struct fault fault;
    char *json;
    size_t length;
    cr_assert(event_to_json(scene->event, scene->length, &json, &length, &fault), "%s", fault.text);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        cr_expect(memmem(json, length, wanted[i], strlen(wanted[i])) != NULL, "%s in %.*s", wanted[i],
                  (int)length, json);
    free(json);
}

Test(watch, what_was_being_told_at_a_kill_is_told_with_the_same_bytes) {
    struct scene scene;
    scene_make(&scene, false);
    sent_out(&scene, EDIFACT);
    now += PERIOD;
    watch_look(scene.watch); /* nobody turns the loop: it is not settled */
    cr_assert(scene.published == 1);
    has_attributes(&scene);
    uint8_t *first = scene.event;
    size_t length = scene.length;
    scene.event = NULL;
    watch_start(&scene, false);
    pass(&scene, QUIET);
    cr_assert(scene.published == 2);
    cr_assert(scene.length == length && memcmp(first, scene.event, length) == 0);
    watch_start(&scene, false);
    pass(&scene, QUIET);
    cr_assert(scene.published == 2, "now it has been told");
    free(first);
    scene_end(&scene);
}

Test(watch, what_came_while_there_was_no_router_is_heard_first) {
    struct scene scene;
    scene_make(&scene, false);
    sent_out(&scene, EDIFACT);
    now += 5 * PERIOD;
    watch_start(&scene, false);
    pass(&scene, QUIET - 1);
    cr_assert(scene.published == 0 && counted(&scene.counters.awaited) == 1);
    ACKNOWLEDGE(&scene, .scope = "INTERCHANGE", .status = "ACCEPTED", .interchange = "REF1");
    pass(&scene, 5 * PERIOD);
    cr_assert(scene.published == 0 && counted(&scene.counters.acknowledged) == 1);
    scene_end(&scene);
}

/* ---- what answers ---- */

Test(watch, a_rejection_is_an_answer_and_counted_apart) {
    struct scene scene;
    scene_make(&scene, false);
    sent_out(&scene, EDIFACT);
    ACKNOWLEDGE(&scene, .scope = "INTERCHANGE", .status = "REJECTED", .interchange = "REF1");
    ACKNOWLEDGE(&scene, .scope = "INTERCHANGE", .status = "ACCEPTED", .interchange = "REF1");
    cr_assert(counted(&scene.counters.acknowledged) == 1 && counted(&scene.counters.turned_down) == 1);
    cr_assert(counted(&scene.counters.awaited) == 0);
    pass(&scene, 5 * PERIOD);
    cr_assert(scene.published == 0);
    scene_end(&scene);
}

Test(watch, one_that_comes_too_late_is_still_taken) {
    struct scene scene;
    scene_make(&scene, false);
    sent_out(&scene, EDIFACT);
    pass(&scene, PERIOD);
    cr_assert(scene.published == 1 && counted(&scene.counters.awaited) == 1);
    ACKNOWLEDGE(&scene, .scope = "INTERCHANGE", .status = "ACCEPTED", .interchange = "REF1");
    cr_assert(counted(&scene.counters.awaited) == 0 && counted(&scene.counters.acknowledged) == 1);
    scene_end(&scene);
}

Test(watch, a_functional_acknowledgement_answers_x12_and_a_ta1_only_when_it_refuses) {
    struct scene scene;
    scene_make(&scene, true);
    sent_out(&scene, X12);
    ACKNOWLEDGE(&scene, .x12 = true, .scope = "INTERCHANGE", .status = "ACCEPTED", .interchange = "17");
    ACKNOWLEDGE(&scene, .x12 = true, .scope = "GROUP", .status = "ACCEPTED", .group = "41");
    cr_assert(counted(&scene.counters.awaited) == 1 && counted(&scene.counters.acknowledged) == 0);
    ACKNOWLEDGE(&scene, .x12 = true, .scope = "GROUP", .status = "PARTLY_ACCEPTED", .group = "000042");
    cr_assert(counted(&scene.counters.awaited) == 0 && counted(&scene.counters.acknowledged) == 1);
    scene_end(&scene);
    scene_make(&scene, true);
    sent_out(&scene, X12);
    ACKNOWLEDGE(&scene, .x12 = true, .scope = "INTERCHANGE", .status = "REJECTED",
                .interchange = "000000017");
    cr_assert(counted(&scene.counters.awaited) == 0 && counted(&scene.counters.turned_down) == 1);
    scene_end(&scene);
}

Test(watch, what_says_nothing_of_a_document_changes_nothing) {
    struct scene scene;
    size_t length;
    uint8_t *event = event_of("no message", &length);
    scene_make(&scene, false);
    sent_out(&scene, EDIFACT);
    watch_acknowledgement(scene.watch, event, length);
    ACKNOWLEDGE(&scene, .scope = "DOCUMENT", .status = "REJECTED");
    ACKNOWLEDGE(&scene, .scope = "INTERCHANGE", .status = "ACCEPTED", .interchange = "REF2");
    cr_assert(counted(&scene.counters.awaited) == 1);
    free(event);
    scene_end(&scene);
}

/* ---- what is awaited ---- */

Test(watch, what_was_not_sent_or_has_no_reference_is_not_awaited) {
    struct scene scene;
    scene_make(&scene, false);
    hand(&scene, EDIFACT);
    watch_unsent(scene.watch, 5);
    watch_sent(scene.watch, 5);
    sent_out(&scene, "this is no document");
    sent_out(&scene, "");
    sent_out(&scene, X12);
    cr_assert(counted(&scene.counters.awaited) == 0);
    sent_out(&scene, EDIFACT);
    cr_assert(counted(&scene.counters.awaited) == 1, "the reader goes on with the next document");
    scene_end(&scene);
}
