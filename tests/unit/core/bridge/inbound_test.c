/* Documents in, events out of a router of this build. */
#include "core/bridge/inbound.h"

#include "core/bridge/counters.h"
#include "core/bridge/formats.h"
#include "core/bridge/port.h"
#include "tests/unit/core/bridge/world.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whatever waits in vain is told as the test that does, before the program as a whole is given up. */
TestSuite(inbound, .timeout = 100);

#define UNB "UNB+UNOC:3+S:14+R:14+260901:0605+REF1'"
#define ORDER_OF(n, count)                                                                                   \
    "UNH+" #n "+ORDERS:D:03A:UN'BGM+220+PO" #n "+9'DTM+137:20260101:102'NAD+BY+BUYER123::91'"                \
    "NAD+SU+SUPPLIER456::91'LIN+1++ITEM-A:VP'QTY+21:100'LIN+2++ITEM-B:VP'QTY+21:7'UNS+S'CNT+2:2'UNT+" #count \
    "+" #n "'"
#define ORDER(n) ORDER_OF(n, 12)
#define UNZ(n)   "UNZ+" #n "+REF1'"

#define UBL                                                                                                  \
    "<Order xmlns=\"urn:oasis:names:specification:ubl:schema:xsd:Order-2\" "                                 \
    "xmlns:b=\"urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2\">"                      \
    "<b:ID>A1</b:ID></Order>"

/* An inbound and what it has told. */
struct bench {
    struct bridge_world world;
    struct formats *formats;
    struct profile profile;
    struct inbound_counters counters;
    struct inbound *inbound;
    unsigned ended, room, again;
    struct inbound_end end;
    char ids[4096], findings[65536];
};

static void told_end(void *user, const struct inbound_end *end) {
    struct bench *bench = user;
    bench->ended++;
    bench->end = *end;
    cr_assert_eq(strlen(end->findings), end->findings_length);
    (void)snprintf(bench->ids, sizeof bench->ids, "%s", end->ids);
    (void)snprintf(bench->findings, sizeof bench->findings, "%s", end->findings);
}

static void told_room(void *user) {
    ((struct bench *)user)->room++;
}

static void bench_start(struct bench *bench, struct inbound_options options) {
    struct map_error error;
    char why[1024] = "";
    *bench = (struct bench){.formats = formats_new()};
    cr_assert(bench->formats != NULL && formats_ready(bench->formats, &error));
    bridge_start(&bench->world);
    options.base = bench->world.base;
    options.port = bench->world.port;
    options.name = "plant";
    options.formats = bench->formats;
    options.profile = &bench->profile;
    options.executable = bridge_executable();
    options.counters = &bench->counters;
    bench->inbound = inbound_new(&options, why, sizeof why);
    cr_assert(bench->inbound != NULL, "%s", why);
    inbound_on_room(bench->inbound, told_room, bench);
}

static void bench_stop(struct bench *bench) {
    inbound_free(bench->inbound);
    bridge_stop(&bench->world);
    formats_free(bench->formats);
    bench->inbound = NULL;
    bench->formats = NULL;
}

static void feed(struct bench *bench, const char *text, size_t length, size_t piece) {
    for (size_t at = 0; at < length;) {
        size_t n = length - at < piece ? length - at : piece;
        unsigned room = bench->room;
        int result = inbound_feed(bench->inbound, (const uint8_t *)text + at, n);
        cr_assert(result == 0 || result == -EAGAIN);
        if (result == 0)
            at += n;
        else {
            bench->again++;
            router_await(bench->world.base, &bench->room, room + 1);
        }
    }
}

static void document(struct bench *bench, const char *text, size_t piece, const uint8_t *digest) {
    unsigned ended = bench->ended;
    cr_assert_eq(inbound_begin(bench->inbound, "the.file", digest), 0);
    cr_assert_eq(inbound_begin(bench->inbound, "another", digest), -EBUSY);
    feed(bench, text, strlen(text), piece);
    inbound_finish(bench->inbound, told_end, bench);
    router_await(bench->world.base, &bench->ended, ended + 1);
}

static bool has(const char *text, const char *part) {
    bool found = strstr(text, part) != NULL;
    if (!found)
        fprintf(stderr, "no %s in %s\n", part, text);
    return found;
}

/* How many members of a JSON array of texts. */
static unsigned members(const char *array) {
    unsigned quotes = 0;
    for (; *array != '\0'; array++)
        quotes += *array == '"';
    return quotes / 2;
}

/* ---- documents ---- */

Test(inbound, publishes_the_messages_of_a_document) {
    struct bench bench;
    bench_start(&bench, (struct inbound_options){0});
    document(&bench, UNB ORDER(1) ORDER(2) UNZ(2), 7, NULL);
    cr_assert_eq(bench.end.published, 2);
    cr_assert_eq(bench.end.refused, 0);
    cr_assert_eq(bench.end.unknown, 0);
    cr_assert(!bench.end.tolerated);
    cr_assert_eq(members(bench.ids), 2);
    cr_assert_str_eq(bench.findings, "{\"file\": \"the.file\", \"format\": \"edifact\", \"published\": 2, "
                                     "\"refused\": 0, \"findings\": []}\n");
    bridge_await(&bench.world, 2);
    cr_assert(has(bridge_line(&bench.world, 0), "erp.order.created {"));
    cr_assert(has(bridge_line(&bench.world, 0), "\"partner\":\"S\""));
    cr_assert(has(bridge_line(&bench.world, 1), "\"subject\":\"PO2\""));
    char ids[4096];
    memcpy(ids, bench.ids, sizeof ids);
    document(&bench, UNB ORDER(1) ORDER(2) UNZ(2), 1000, NULL);
    cr_assert_str_eq(bench.ids, ids);
    cr_assert_eq(counter_get(&bench.counters.documents), 2);
    cr_assert_eq(counter_get(&bench.counters.published), 4);
    cr_assert_eq(counter_get(&bench.counters.refused), 0);
    bench_stop(&bench);
    LEAKS_NONE();
}

Test(inbound, names_the_partner_where_the_document_does_not) {
    struct bench bench;
    bench_start(&bench, (struct inbound_options){.topic = "own.orders", .type = "own.order"});
    document(&bench, UBL, 100, NULL);
    cr_assert_eq(bench.end.published, 1, "%s", bench.findings);
    bridge_await(&bench.world, 1);
    cr_assert(has(bridge_line(&bench.world, 0), "own.orders {"));
    cr_assert(has(bridge_line(&bench.world, 0), "\"type\":\"own.order\""));
    cr_assert(has(bridge_line(&bench.world, 0), "\"partner\":\"plant\""));
    bench_stop(&bench);
    LEAKS_NONE();
}

Test(inbound, refuses_what_is_wrong_and_publishes_the_rest) {
    struct bench bench;
    bench_start(&bench, (struct inbound_options){0});
    document(&bench, UNB ORDER(1) ORDER_OF(2, 11) ORDER(3) UNZ(3), 100, NULL);
    cr_assert_eq(bench.end.published, 2);
    cr_assert_eq(bench.end.refused, 1);
    cr_assert(!bench.end.tolerated);
    cr_assert(has(bench.findings, "\"code\": \"edifact.count-differs\", \"severity\": \"error\", \"scope\": "
                                  "\"message\", \"segment\": \"UNT\", \"number\": 12, "));
    cr_assert(has(bench.findings, "\"value\": \"11\", \"expected\": \"12\""));
    cr_assert(has(bench.findings, "\"standardCode\": \"29\""));
    cr_assert_eq(counter_get(&bench.counters.refused), 1);
    bench_stop(&bench);
    LEAKS_NONE();
}

Test(inbound, tells_what_it_has_tolerated) {
    struct bench bench;
    char why[256];
    bench_start(&bench, (struct inbound_options){0});
    inbound_free(bench.inbound);
    (void)profile_tolerate(&bench.profile, FINDING_EDIFACT_COUNT_DIFFERS);
    struct inbound_options options = {.base = bench.world.base,
                                      .port = bench.world.port,
                                      .name = "plant",
                                      .formats = bench.formats,
                                      .profile = &bench.profile,
                                      .counters = &bench.counters};
    bench.inbound = inbound_new(&options, why, sizeof why);
    cr_assert(bench.inbound != NULL);
    document(&bench, UNB ORDER(1) ORDER_OF(2, 11) UNZ(2), 100, NULL);
    cr_assert_eq(bench.end.published, 2);
    cr_assert_eq(bench.end.refused, 0);
    cr_assert(bench.end.tolerated);
    cr_assert(has(bench.findings, "\"severity\": \"warning\""));
    cr_assert_eq(counter_get(&bench.counters.tolerated), 1);
    bench_stop(&bench);
    LEAKS_NONE();
}

Test(inbound, refuses_a_document_as_a_whole) {
    struct bench bench;
    bench_start(&bench, (struct inbound_options){.format = "x12"});
    document(&bench, UNB ORDER(1) UNZ(1), 100, NULL);
    cr_assert_eq(bench.end.published, 0);
    cr_assert_eq(bench.end.refused, 1);
    cr_assert(has(bench.findings, "\"document.unexpected-format\""));
    cr_assert(has(bench.findings, "\"value\": \"edifact\", \"expected\": \"x12\""));
    document(&bench, "", 1, NULL);
    cr_assert_eq(bench.end.refused, 1);
    bench_stop(&bench);
    LEAKS_NONE();
}

Test(inbound, refuses_an_envelope_that_does_not_end) {
    struct bench bench;
    bench_start(&bench, (struct inbound_options){0});
    document(&bench, UNB ORDER(1), 100, NULL);
    cr_assert_eq(bench.end.published, 1);
    cr_assert_eq(bench.end.refused, 1);
    bench_stop(&bench);
}

/* A document longer than all buffers on its way. */
static char *many_orders(unsigned count) {
    size_t room = 128 + (size_t)count * (sizeof ORDER(1000000) + 16);
    char *text = malloc(room), *p = stpcpy(text, UNB);
    for (unsigned i = 1; i <= count; i++)
        p += snprintf(p, room - (size_t)(p - text),
                      "UNH+%u+ORDERS:D:03A:UN'BGM+220+PO%u+9'DTM+137:20260101:102'NAD+BY+BUYER123::91'"
                      "NAD+SU+SUPPLIER456::91'LIN+1++ITEM-A:VP'QTY+21:100'UNS+S'CNT+2:1'UNT+10+%u'",
                      i, i, i);
    (void)snprintf(p, room - (size_t)(p - text), "UNZ+%u+REF1'", count);
    return text;
}

Test(inbound, waits_for_the_router, .timeout = 120) {
    struct bench bench;
    bench_start(&bench, (struct inbound_options){.topic = "quiet.orders"});
    char *text = many_orders(20000);
    document(&bench, text, 65536, NULL);
    free(text);
    cr_assert(bench.again > 0);
    cr_assert_eq(bench.end.published, 20000);
    cr_assert_eq(bench.end.refused, 0);
    cr_assert_eq(members(bench.ids) > 0, true);
    bench_stop(&bench);
    LEAKS_NONE();
}

#ifndef LEAKS_WATCHED /* whose allocator keeps what is freed */
static size_t resident(void) {
    unsigned long pages = 0, all = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    cr_assert(file != NULL && fscanf(file, "%lu %lu", &all, &pages) == 2);
    (void)fclose(file);
    return pages * 4096;
}

/* One interchange that never ends: what is resident does not grow with it. */
Test(inbound, reads_in_constant_space, .timeout = 120) {
    struct bench bench;
    size_t after[4];
    bench_start(&bench, (struct inbound_options){.topic = "quiet.orders", .mapping = NULL});
    cr_assert_eq(inbound_begin(bench.inbound, "long", NULL), 0);
    feed(&bench, UNB, strlen(UNB), 100);
    char *text = many_orders(1000), *orders = text + strlen(UNB);
    (void)profile_tolerate(&bench.profile, FINDING_EDIFACT_REFERENCE_TWICE);
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned j = 0; j < 25; j++)
            feed(&bench, orders, (size_t)(strstr(orders, "UNZ+") - orders), 65536);
        after[i] = resident();
    }
    free(text);
    cr_assert(after[3] < after[0] + (4u << 20), "%zu KiB became %zu", after[0] >> 10, after[3] >> 10);
    cr_assert(counter_get(&bench.counters.published) > 50000);
    bench_stop(&bench);
}
#endif

Test(inbound, gives_up_half_a_document) {
    struct bench bench;
    bench_start(&bench, (struct inbound_options){.mapping = ".header.id", .type = "own.t", .topic = "own.t"});
    cr_assert_eq(inbound_begin(bench.inbound, "half", NULL), 0);
    feed(&bench, UNB ORDER(1) ORDER(2) "UNH+3+ORD", strlen(UNB ORDER(1) ORDER(2) "UNH+3+ORD"), 2000);
    inbound_abandon(bench.inbound);
    document(&bench, UNB ORDER(4) UNZ(1), 100, NULL);
    cr_assert_eq(bench.end.published, 1);
    cr_assert_eq(bench.end.refused, 0);
    cr_assert_eq(bench.ended, 1);
    bridge_await(&bench.world, 1);
    cr_assert(has(bridge_line(&bench.world, 0), "\"data\":\"PO4\""));
    cr_assert_eq(inbound_begin(bench.inbound, "half", NULL), 0);
    feed(&bench, UNB ORDER(5), strlen(UNB ORDER(5)), 2000);
    bench_stop(&bench);
    LEAKS_NONE();
}

/* ---- mappings ---- */

Test(inbound, reads_the_next_one_when_the_mapping_is_full_of_one_that_was_given_up, .timeout = 120) {
    struct bench bench;
    enum { VALUES = 3000 }; /* the mapping has 1024 at a time */
    char text[2 * VALUES + 1];
    for (size_t i = 0; i < VALUES; i++)
        (void)snprintf(text + 2 * i, 3, "7\n");
    bench_start(&bench, (struct inbound_options){
                            .format = "json", .type = "count", .topic = "plant.count", .mapping = ". + 1"});
    cr_assert_eq(inbound_begin(bench.inbound, "too.many", NULL), 0);
    cr_assert_eq(inbound_feed(bench.inbound, (const uint8_t *)text, strlen(text)), 0);
    inbound_abandon(bench.inbound);
    document(&bench, "1\n2\n", 64, NULL);
    cr_assert_eq(bench.end.published, 2);
    cr_assert_eq(bench.end.refused + bench.end.unknown, 0);
    bench_stop(&bench);
    LEAKS_NONE();
}

Test(inbound, maps_to_any_shape) {
    struct bench bench;
    bench_start(
        &bench,
        (struct inbound_options){
            .mapping = "def q: .quantity.value;\n"
                       "{n: .header.id, t: $event.type, on: $event.topic, k: $kind, q: [.lines[] | q]} # all",
            .variables = "{\"kind\": \"x\"}",
            .type = "own.order",
            .topic = "own.orders"});
    document(&bench, UNB ORDER(1) ORDER(2) UNZ(2), 100, NULL);
    cr_assert_eq(bench.end.published, 2);
    bridge_await(&bench.world, 2);
    const char *line = bridge_line(&bench.world, 1);
    cr_assert(has(line, "own.orders {"));
    cr_assert(has(line, "\"datacontenttype\":\"application/json\""));
    cr_assert(has(line, "\"subject\":\"PO2\"") && has(line, "\"partner\":\"S\""));
    cr_assert(has(line, "\"data\":{\"n\":\"PO2\",\"t\":\"erp.order.created.v1\",\"on\":\"erp.order.created\","
                        "\"k\":\"x\",\"q\":[\"100\",\"7\"]}"));
    cr_assert(strstr(line, "dataschema") == NULL && strstr(line, "/2\"") == NULL);
    bench_stop(&bench);
    LEAKS_NONE();
}

Test(inbound, makes_several_events_of_one_or_none) {
    struct bench bench;
    bench_start(&bench, (struct inbound_options){
                            .mapping = "select(.header.id != \"PO2\") | .lines[].item.ids[0].value",
                            .type = "own.line",
                            .topic = "own.lines"});
    document(&bench, UNB ORDER(1) ORDER(2) ORDER(3) UNZ(3), 100, NULL);
    cr_assert_eq(bench.end.published, 4);
    cr_assert_eq(bench.end.refused, 0);
    cr_assert_eq(members(bench.ids), 4);
    bridge_await(&bench.world, 4);
    unsigned seconds = 0;
    for (unsigned i = 0; i < 4; i++) { /* those of one order in their order, as they have one key */
        bool second = strstr(bridge_line(&bench.world, i), "/2\",") != NULL;
        cr_assert(has(bridge_line(&bench.world, i), second ? "\"ITEM-B\"" : "\"ITEM-A\""));
        seconds += second;
    }
    cr_assert_eq(seconds, 2);
    bench_stop(&bench);
    LEAKS_NONE();
}

Test(inbound, refuses_what_the_mapping_does_not_take) {
    struct bench bench;
    bench_start(&bench, (struct inbound_options){
                            .mapping = "if .header.id == \"PO2\" then error(\"not this\") else 1 end",
                            .type = "own.t",
                            .topic = "own.t"});
    document(&bench, UNB ORDER(1) ORDER(2) ORDER(3) UNZ(3), 100, NULL);
    cr_assert_eq(bench.end.published, 2);
    cr_assert_eq(bench.end.refused, 1);
    cr_assert(has(bench.findings, "\"mapping.failed\"") && has(bench.findings, "not this"));
    bench_stop(&bench);
    LEAKS_NONE();
}

Test(inbound, makes_canonical_messages_of_foreign_json) {
    static const uint8_t digest[32] = {0xab, 0xcd};
    struct bench bench;
    bench_start(&bench, (struct inbound_options){
                            .format = "json",
                            .message = "Order",
                            .mapping = "if .no == 3 then {nothing: 1} else {header: {id: (\"A\\(.no)\")}, "
                                       "lines: [{id: \"1\", quantity: {value: \"2.50\"}}]} end"});
    document(&bench, "{\"no\": 1}\n{\"no\": 2}\n{\"no\": 3}\n", 5, digest);
    cr_assert_eq(bench.end.published, 2);
    cr_assert_eq(bench.end.refused, 1);
    cr_assert(has(bench.findings, "\"format\": \"json\"") && has(bench.findings, "\"mapping.unfit\""));
    cr_assert(has(bench.findings, "\"number\": 3, \"offset\": 20"));
    cr_assert_str_eq(bench.ids,
                     "[\"abcd0000000000000000000000000000-1\",\"abcd0000000000000000000000000000-2\"]");
    bridge_await(&bench.world, 2);
    const char *line = bridge_line(&bench.world, 1);
    cr_assert(has(line, "erp.order.created {") && has(line, "\"type\":\"erp.order.created.v1\""));
    cr_assert(has(line, "\"source\":\"/spoke/plant\"") && has(line, "\"subject\":\"A2\""));
    cr_assert(has(line, "\"partitionkey\":\"plant/A2\"") && has(line, "roundhouse.erp.v1.Order"));
    bench_stop(&bench);
    LEAKS_NONE();
}

/* ---- JSON ---- */

Test(inbound, takes_json_as_it_is) {
    struct bench bench;
    bench_start(&bench, (struct inbound_options){.format = "json", .topic = "own.t", .type = "own.type"});
    document(&bench, "[{\"a\": 1.10}, 2, {\"a\": }, \"x\"]", 3, NULL);
    cr_assert_eq(bench.end.published, 3);
    cr_assert_eq(bench.end.refused, 1);
    cr_assert(has(bench.findings, "\"json.text\"") && has(bench.findings, "\"offset\": 17"));
    bridge_await(&bench.world, 3);
    cr_assert(has(bridge_line(&bench.world, 0), "\"type\":\"own.type\""));
    cr_assert(has(bridge_line(&bench.world, 0), "\"data\":{\"a\":1.10}"));
    cr_assert(has(bridge_line(&bench.world, 2), "\"data\":\"x\""));
    char ids[4096];
    memcpy(ids, bench.ids, sizeof ids);
    document(&bench, "[{\"a\": 1.10}, 2, {\"a\": }, \"x\"]", 100, NULL);
    cr_assert_str_eq(bench.ids, ids);
    document(&bench, "{\"a\"", 100, NULL);
    cr_assert_eq(bench.end.refused, 1);
    bench_stop(&bench);
    LEAKS_NONE();
}

Test(inbound, keeps_what_a_cloudevent_says) {
    struct bench bench;
    bench_start(&bench, (struct inbound_options){.topic = "own.t"});
    document(
        &bench,
        "{\"specversion\":\"1.0\",\"id\":\"e-1\",\"source\":\"/crm\",\"type\":\"crm.x\",\"data\":{\"a\":1}}\n"
        "{\"specversion\":\"1.0\",\"id\":\"\",\"source\":\"/crm\",\"type\":\"crm.x\"}\n"
        "{\"a\":1}\n",
        9, NULL);
    cr_assert_eq(bench.end.published, 1);
    cr_assert_eq(bench.end.refused, 2);
    cr_assert(has(bench.findings, "\"json.event\"") && has(bench.findings, "\"json.nameless\""));
    cr_assert_str_eq(bench.ids, "[\"e-1\"]");
    bridge_await(&bench.world, 1);
    cr_assert(has(bridge_line(&bench.world, 0), "\"source\":\"/crm\",\"type\":\"crm.x\""));
    cr_assert(has(bridge_line(&bench.world, 0), "\"partner\":\"plant\""));
    cr_assert(has(bridge_line(&bench.world, 0), "\"data\":{\"a\":1}"));
    bench_stop(&bench);
    LEAKS_NONE();
}

/* ---- acknowledgements ---- */

/* The line of the acknowledgement with this text in it. */
static const char *acknowledgement(const struct bench *bench, const char *part) {
    for (unsigned i = 0; i < bench->world.count; i++)
        if (strstr(bridge_line(&bench->world, i), "spoke.plant.acknowledgement") != NULL &&
            strstr(bridge_line(&bench->world, i), part) != NULL)
            return bridge_line(&bench->world, i);
    cr_assert(false, "no acknowledgement with %s", part);
    return "";
}

Test(inbound, acknowledges_edifact_when_all_is_settled) {
    static const uint8_t digest[32] = {1, 2, 3};
    struct bench bench;
    bench_start(&bench, (struct inbound_options){.mapping = ".header.id",
                                                 .type = "own.t",
                                                 .topic = "own.t",
                                                 .acknowledge = {.edifact = ACKNOWLEDGE_ALWAYS}});
    document(&bench, UNB ORDER(1) ORDER_OF(2, 11) UNZ(2), 9, digest);
    cr_assert_eq(bench.end.published, 1);
    cr_assert_eq(members(bench.ids), 1);
    cr_assert_eq(counter_get(&bench.counters.acknowledgements), 1);
    bridge_await(&bench.world, 2);
    const char *line = acknowledgement(&bench, "");
    cr_assert(has(line, "\"type\":\"erp.acknowledgement.sent.v1\"") && has(line, "application/EDIFACT"));
    cr_assert(has(line, "\"source\":\"/spoke/plant\"") && has(line, "\"subject\":\"REF1\""));
    cr_assert(has(line, "UCI+REF1+S:14+R:14+7'UCM+2+ORDERS:D:03A:UN+4+29+UNT'"));
    const char *id = strstr(line, "\"id\":");
    document(&bench, UNB ORDER(1) ORDER_OF(2, 11) UNZ(2), 100, digest);
    bridge_await(&bench.world, 4);
    unsigned same = 0;
    for (unsigned i = 0; i < 4; i++)
        same += strstr(bridge_line(&bench.world, i), "acknowledgement") != NULL &&
                strncmp(strstr(bridge_line(&bench.world, i), "\"id\":"), id, 40) == 0;
    cr_assert_eq(same, 2);
    bench_stop(&bench);
    LEAKS_NONE();
}

/* What is published through a port without a router is settled in a later turn of the loop. */
struct order {
    struct inbound_counters counters;
    unsigned events, acknowledgements, ended;
    uint64_t settled; /* when the acknowledgement went out */
};

static void order_publish(void *user, const char *topic, size_t topic_length, const uint8_t *event,
                          size_t event_length) {
    struct order *order = user;
    (void)event, (void)event_length;
    if (topic_length == 27 && memcmp(topic, "spoke.plant.acknowledgement", topic_length) == 0) {
        cr_assert_eq(order->ended, 0);
        order->acknowledgements++;
        order->settled = counter_get(&order->counters.published);
    } else
        order->events++;
}

static void order_end(void *user, const struct inbound_end *end) {
    struct order *order = user;
    order->ended++;
    cr_assert_eq(end->published, 2);
    cr_assert_eq(order->acknowledgements, 1);
    cr_assert_eq(counter_get(&order->counters.acknowledgements), 1);
}

Test(inbound, acknowledges_nothing_that_is_not_settled) {
    static const char text[] = UNB ORDER(1) ORDER(2) UNZ(2);
    struct order order = {.events = 0};
    struct map_error error;
    char why[256];
    struct event_base *base = event_base_new();
    struct formats *formats = formats_new();
    cr_assert(formats != NULL && formats_ready(formats, &error));
    struct port_options options = {
        .base = base, .name = "plant", .user = &order, .on_publish = order_publish};
    struct port *port = port_new(&options, why, sizeof why);
    struct inbound_options wanted = {.base = base,
                                     .port = port,
                                     .name = "plant",
                                     .formats = formats,
                                     .counters = &order.counters,
                                     .acknowledge = {.edifact = ACKNOWLEDGE_ALWAYS}};
    struct inbound *inbound = inbound_new(&wanted, why, sizeof why);
    cr_assert(port != NULL && inbound != NULL, "%s", why);
    cr_assert_eq(inbound_begin(inbound, "file", NULL), 0);
    cr_assert_eq(inbound_feed(inbound, (const uint8_t *)text, strlen(text)), 0);
    inbound_finish(inbound, order_end, &order);
    cr_assert_eq(order.events, 2);
    cr_assert_eq(order.acknowledgements, 0);
    router_await(base, &order.ended, 1);
    cr_assert_eq(order.settled, 2);
    inbound_free(inbound);
    port_free(port);
    event_base_free(base);
    formats_free(formats);
    LEAKS_NONE();
}

Test(inbound, acknowledges_what_the_maps_refuse_as_refused) {
    struct bench bench;
    bench_start(&bench, (struct inbound_options){.acknowledge = {.edifact = ACKNOWLEDGE_ALWAYS}});
    document(&bench, UNB "UNH+1+NOSUCH:D:03A:UN'BGM+220'UNT+3+1'" ORDER(2) UNZ(2), 100, NULL);
    cr_assert_eq(bench.end.published, 1);
    cr_assert_eq(bench.end.refused, 1);
    bridge_await(&bench.world, 2);
    cr_assert(has(acknowledgement(&bench, ""), "+7'UCM+1+NOSUCH:D:03A:UN+4"));
    cr_assert(strstr(acknowledgement(&bench, ""), "UCM+2") == NULL);
    bench_stop(&bench);
    LEAKS_NONE();
}

Test(inbound, acknowledges_when_it_is_asked) {
    struct bench bench;
    bench_start(&bench, (struct inbound_options){.acknowledge = {.edifact = ACKNOWLEDGE_ASKED}});
    document(&bench,
             UNB ORDER(1)
                 UNZ(1) "UNB+UNOC:3+S:14+R:14+260901:0605+REF9++++1'" ORDER(2) "UNZ+1+REF9'" ORDER(3),
             100, NULL);
    bridge_await(&bench.world, 3);
    cr_assert_eq(counter_get(&bench.counters.acknowledgements), 1);
    cr_assert(has(acknowledgement(&bench, ""), "UCI+REF9+S:14+R:14+7'"));
    bench_stop(&bench);
    LEAKS_NONE();
}

#define X12(number)                                                                                          \
    "ISA*00*          *00*          *ZZ*SENDER         *01*RECEIVER       *260901*0605*U*00401*" number      \
    "*0*P*>~GS*PO*APPS*APPR*20260901*0605*9*X*004010~ST*850*0001~BEG*00*SA*PO1**20260901~"                   \
    "PO1*1*3*EA***VN*A~CTT*1~SE*5*0001~GE*1*9~IEA*1*" number "~"

Test(inbound, acknowledges_x12) {
    struct bench bench;
    bench_start(&bench, (struct inbound_options){.acknowledge = {.x12 = ACKNOWLEDGE_X12_997, .ta1 = true}});
    document(&bench, X12("000000007") X12("000000008"), 50, NULL);
    cr_assert_eq(bench.end.published, 2, "%s", bench.findings);
    bridge_await(&bench.world, 4);
    cr_assert_eq(counter_get(&bench.counters.acknowledgements), 2);
    const char *line = acknowledgement(&bench, "TA1*000000008");
    cr_assert(has(line, "application/EDI-X12") &&
              has(line, "~ST*997*0001~AK1*PO*9~AK2*850*0001~AK5*A~AK9*A*1*1*1~"));
    cr_assert(acknowledgement(&bench, "TA1*000000007") != line);
    bench_stop(&bench);
    LEAKS_NONE();
}

/* A message that was read well, and that the router or the mapping refuses, is refused. */
#define LATE                                                                                                 \
    "if .header.id == \"PO2\" then error(\"no\") elif .header.id == \"PO3\" then \"x\" * 2000000 else "      \
    ".header.id end"

Test(inbound, acknowledges_edifact_that_is_refused_behind_the_reader_as_refused) {
    struct bench bench;
    bench_start(&bench, (struct inbound_options){.mapping = LATE,
                                                 .type = "own.t",
                                                 .topic = "own.t",
                                                 .acknowledge = {.edifact = ACKNOWLEDGE_ALWAYS}});
    document(&bench,
             UNB ORDER(1) UNZ(1) "UNB+UNOC:3+S:14+R:14+260901:0605+REF2'" ORDER(1) ORDER(2) ORDER(3)
                 ORDER_OF(4, 11) "UNZ+4+REF2'",
             100, NULL);
    cr_assert_eq(bench.end.published, 2);
    cr_assert_eq(bench.end.refused, 3);
    cr_assert(has(bench.findings, "\"mapping.failed\"") && has(bench.findings, "\"publish.refused\""));
    bridge_await(&bench.world, 4);
    cr_assert(has(acknowledgement(&bench, "UCI+REF1"), "UCI+REF1+S:14+R:14+7'UNT+3+1'"));
    cr_assert(has(acknowledgement(&bench, "UCI+REF2"),
                  "UCI+REF2+S:14+R:14+7'UCM+2+ORDERS:D:03A:UN+4+18'UCM+3+ORDERS:D:03A:UN+4+18'"
                  "UCM+4+ORDERS:D:03A:UN+4+29+UNT'UNT+6+1'"));
    bench_stop(&bench);
    LEAKS_NONE();
}

/* What the router says later than at once. */
Test(inbound, acknowledges_edifact_that_the_router_refuses_as_refused) {
    struct bench bench;
    bench_start(&bench,
                (struct inbound_options){.mapping = "if .header.id == \"PO2\" then empty else .header.id end",
                                         .type = "own.t",
                                         .topic = "@nobody",
                                         .acknowledge = {.edifact = ACKNOWLEDGE_ALWAYS}});
    document(&bench, UNB ORDER(1) ORDER(2) ORDER(3) UNZ(3), 100, NULL);
    cr_assert_eq(bench.end.published, 0);
    cr_assert_eq(bench.end.refused, 2);
    cr_assert(has(bench.findings, "no mailbox of this name"));
    bridge_await(&bench.world, 1);
    cr_assert(has(acknowledgement(&bench, ""), "+7'UCM+1+ORDERS:D:03A:UN+4+18'UCM+3+ORDERS:D:03A:UN+4+18'"
                                               "UNT+5+1'"));
    bench_stop(&bench);
    LEAKS_NONE();
}

#define X12_SET(n) "ST*850*000" #n "~BEG*00*SA*PO" #n "**20260901~PO1*1*3*EA***VN*A~CTT*1~SE*5*000" #n "~"
#define X12_THREE                                                                                            \
    "ISA*00*          *00*          *ZZ*SENDER         *01*RECEIVER       *260901*0605*U*00401*000000007"    \
    "*0*P*>~GS*PO*APPS*APPR*20260901*0605*9*X*004010~" X12_SET(1) X12_SET(2) X12_SET(3) "GE*3*9~"            \
                                                                                        "IEA*1*000000007~"

Test(inbound, acknowledges_x12_that_is_refused_behind_the_reader_as_refused) {
    struct bench bench;
    bench_start(&bench, (struct inbound_options){.mapping = LATE,
                                                 .type = "own.t",
                                                 .topic = "own.t",
                                                 .acknowledge = {.x12 = ACKNOWLEDGE_X12_997}});
    document(&bench, X12_THREE, 100, NULL);
    cr_assert_eq(bench.end.published, 1);
    cr_assert_eq(bench.end.refused, 2);
    bridge_await(&bench.world, 2);
    cr_assert(has(acknowledgement(&bench, ""), "~AK2*850*0001~AK5*A~AK2*850*0002~AK5*R*5~"
                                               "AK2*850*0003~AK5*R*5~AK9*P*3*3*1~SE*10*0001~"));
    bench_stop(&bench);
    LEAKS_NONE();
}

Test(inbound, acknowledges_x12_that_the_router_refuses_as_refused) {
    struct bench bench;
    bench_start(&bench,
                (struct inbound_options){.topic = "@nobody", .acknowledge = {.x12 = ACKNOWLEDGE_X12_999}});
    document(&bench, X12_THREE, 100, NULL);
    cr_assert_eq(bench.end.published, 0);
    cr_assert_eq(bench.end.refused, 3);
    bridge_await(&bench.world, 1);
    cr_assert(has(acknowledgement(&bench, ""), "~AK2*850*0001~IK5*R*5~AK2*850*0002~IK5*R*5~"
                                               "AK2*850*0003~IK5*R*5~AK9*R*3*3*0~SE*10*0001~"));
    bench_stop(&bench);
    LEAKS_NONE();
}

static void acknowledgement_id(struct bench *bench, const char *text, const uint8_t *digest, char id[48]) {
    unsigned count = bench->world.count;
    document(bench, text, 100, digest);
    bridge_await(&bench->world, count + 1);
    const char *at = strstr(bridge_line(&bench->world, count), "\"id\":");
    cr_assert(at != NULL && strstr(bridge_line(&bench->world, count), "spoke.plant.acknowledgement") != NULL);
    (void)snprintf(id, 48, "%.40s", at);
}

Test(inbound, names_acknowledgements_by_what_was_in_the_document) {
    static const uint8_t first[32] = {1}, second[32] = {2};
    static const char good[] = UNB ORDER(1) UNZ(1), wrong[] = UNB ORDER_OF(1, 11) UNZ(1);
    struct bench bench;
    char ids[6][48];
    bench_start(&bench,
                (struct inbound_options){.topic = "quiet.t", .acknowledge = {.edifact = ACKNOWLEDGE_ALWAYS}});
    acknowledgement_id(&bench, good, first, ids[0]);
    acknowledgement_id(&bench, good, second, ids[1]);
    acknowledgement_id(&bench, good, first, ids[2]);
    cr_assert_str_neq(ids[0], ids[1]);
    cr_assert_str_eq(ids[0], ids[2]);
    acknowledgement_id(&bench, wrong, NULL, ids[3]);
    acknowledgement_id(&bench, good, NULL, ids[4]);
    acknowledgement_id(&bench, wrong, NULL, ids[5]);
    cr_assert_str_neq(ids[3], ids[4]);
    cr_assert_str_eq(ids[3], ids[5]);
    bench_stop(&bench);
    LEAKS_NONE();
}

Test(inbound, keeps_few_acknowledgements_at_a_time, .timeout = 120) {
    struct bench bench;
    size_t room = 5000 * 400, at = 0;
    char *text = malloc(room);
    bench_start(&bench,
                (struct inbound_options){.topic = "quiet.t", .acknowledge = {.edifact = ACKNOWLEDGE_ALWAYS}});
    for (unsigned i = 0; i < 5000; i++)
        at += (size_t)snprintf(text + at, room - at,
                               "UNB+UNOC:3+S+R+260901:0605+R%u'UNH+1+ORDERS:D:03A:UN'BGM+220+P%u+9'"
                               "DTM+137:20260101:102'LIN+1++A:VP'QTY+21:1'UNS+S'UNT+7+1'UNZ+1+R%u'",
                               i, i, i);
    document(&bench, text, 65536, NULL);
    free(text);
    cr_assert_eq(bench.end.published, 5000, "%.1000s", bench.findings);
    bridge_await(&bench.world, 5000);
    cr_assert_eq(counter_get(&bench.counters.acknowledgements), 5000);
    cr_assert(bench.again > 0);
    bench_stop(&bench);
    LEAKS_NONE();
}

/* ---- making one ---- */

Test(inbound, says_what_is_wrong_with_its_options) {
    struct bench bench;
    char why[1024];
    bench_start(&bench, (struct inbound_options){0});
    struct inbound_options options = {.base = bench.world.base,
                                      .port = bench.world.port,
                                      .name = "plant",
                                      .formats = bench.formats,
                                      .executable = bridge_executable()};
    struct inbound_options wrong = options;
    wrong.topic = "a..b";
    cr_assert(inbound_new(&wrong, why, sizeof why) == NULL && why[0] != '\0');
    wrong = options;
    wrong.message = "Ordre";
    cr_assert(inbound_new(&wrong, why, sizeof why) == NULL && has(why, "message"));
    wrong = options;
    wrong.format = "json";
    cr_assert(inbound_new(&wrong, why, sizeof why) == NULL && has(why, "topic"));
    wrong = options;
    wrong.mapping = ".a |";
    cr_assert(inbound_new(&wrong, why, sizeof why) == NULL && has(why, "mapping: ") &&
              has(why, "syntax error"));
    bench_stop(&bench);
    LEAKS_NONE();
}
