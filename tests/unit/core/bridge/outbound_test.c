/* Events as documents of others: what filter and mapping make of them, in every format. */
#include "core/bridge/outbound.h"

#include "codecs/erp/json.h"
#include "codecs/event/fields.h"
#include "codecs/event/json.h"
#include "core/bridge/inbound.h"
#include "core/bridge/remake.h"
#include "roundhouse/erp/v1/erp.pb-c.h"
#include "tests/unit/core/bridge/world.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ORDER                                                                                                \
    "{\"header\":{\"id\":\"PO1\",\"function\":\"ORIGINAL\",\"currency\":\"EUR\"},"                           \
    "\"buyer\":{\"ids\":[{\"value\":\"4000001000005\",\"scheme\":\"GLN\"}],\"name\":\"K\xc3\xa4ufer\"},"     \
    "\"seller\":{\"ids\":[{\"value\":\"4000002000004\",\"scheme\":\"GLN\"}]},"                               \
    "\"lines\":[{\"id\":\"1\",\"item\":{\"ids\":[{\"value\":\"4012345123456\",\"scheme\":\"GTIN\"}]},"       \
    "\"quantity\":{\"value\":\"3\",\"unit\":\"C62\"}}]}"

/* An outbound, and the documents that it has made, each as a line of JSON. */
struct bench {
    struct event_base *base;
    struct outbound *outbound;
    unsigned told, documents;
    bool later;
    char failed[512];
    char order[64]; /* how many documents each result had */
    char *lines[8];
    char data[8][4096];
};

static void told(void *user, const struct outbound_result *result) {
    struct bench *bench = user;
    struct fault fault;
    bench->told++;
    bench->later = result->later;
    (void)snprintf(bench->failed, sizeof bench->failed, "%s", result->failed != NULL ? result->failed : "");
    (void)snprintf(bench->order + strlen(bench->order), sizeof bench->order - strlen(bench->order), "%u",
                   (unsigned)result->count);
    for (size_t i = 0; i < result->count; i++, bench->documents++) {
        const struct outbound_document *document = &result->documents[i];
        unsigned at = bench->documents % 8;
        size_t length;
        free(bench->lines[at]);
        cr_assert(event_to_json(document->event, document->event_length, &bench->lines[at], &length, &fault),
                  "%s", fault.text);
        bench->lines[at] = realloc(bench->lines[at], length + 1);
        bench->lines[at][length] = '\0';
        cr_assert(document->data_length < sizeof bench->data[at]);
        memcpy(bench->data[at], document->data, document->data_length);
        bench->data[at][document->data_length] = '\0';
    }
}

static void bench_start(struct bench *bench, struct outbound_options options) {
    char why[1024] = "";
    *bench = (struct bench){.base = event_base_new()};
    options.base = bench->base;
    options.name = "shop";
    options.executable = bridge_executable();
    bench->outbound = outbound_new(&options, why, sizeof why);
    cr_assert(bench->outbound != NULL, "%s", why);
}

static void bench_stop(struct bench *bench) {
    outbound_free(bench->outbound);
    event_base_free(bench->base);
    for (size_t i = 0; i < 8; i++)
        free(bench->lines[i]);
    *bench = (struct bench){0};
}

/* An event with this order, or with this text of JSON, as its data. The caller frees it. */
static uint8_t *event_of(const char *order, const char *json, const char *type, size_t *length) {
    struct event_parts parts = {.id = "e-1",
                                .source = "/erp",
                                .type = type,
                                .subject = "PO1",
                                .contenttype = "application/json",
                                .data = (const uint8_t *)json,
                                .data_length = json != NULL ? strlen(json) : 0};
    struct fault fault;
    uint8_t *event, *made;
    cr_assert(event_build(&parts, &event, length, &fault), "%s", fault.text);
    if (order == NULL)
        return event;
    char error[ERP_JSON_ERROR_BYTES];
    struct arena arena = {0};
    ProtobufCMessage *message =
        erp_json_read(&roundhouse__erp__v1__order__descriptor, order, strlen(order), &arena, error);
    cr_assert(message != NULL, "%s", error);
    struct remake what = {.event = event, .length = *length};
    cr_assert(remake_canonical(what, message, &made, length, &fault));
    arena_free(&arena);
    free(event);
    return made;
}

static void run(struct bench *bench, const char *order, const char *json) {
    unsigned before = bench->told;
    size_t length;
    uint8_t *event = event_of(order, json, "crm.x", &length);
    cr_assert_eq(outbound_run_on(bench->outbound, "a.b", 3, event, length, told, bench), 0);
    free(event);
    router_await(bench->base, &bench->told, before + 1);
}

static bool has(const char *text, const char *part) {
    bool found = strstr(text, part) != NULL;
    if (!found)
        fprintf(stderr, "no %s in %s\n", part, text);
    return found;
}

/* ---- without a mapping ---- */

Test(outbound, lets_events_out_as_they_are) {
    struct bench bench;
    bench_start(&bench, (struct outbound_options){0});
    run(&bench, NULL, "{\"a\": 1}");
    cr_assert_eq(bench.documents, 1);
    cr_assert_str_eq(bench.data[0], "{\"a\": 1}");
    cr_assert(has(bench.lines[0], "\"id\":\"e-1\"") && has(bench.lines[0], "\"type\":\"crm.x\""));
    run(&bench, NULL, NULL);
    cr_assert_str_eq(bench.data[1], "");
    run(&bench, ORDER, NULL);
    cr_assert(has(bench.lines[2], "application/protobuf"));
    bench_stop(&bench);
    LEAKS_NONE();
}

Test(outbound, writes_canonical_messages_as_json) {
    struct bench bench;
    bench_start(&bench, (struct outbound_options){.format = "json"});
    run(&bench, ORDER, NULL);
    cr_assert_str_eq(bench.data[0], ORDER);
    cr_assert(has(bench.lines[0], "\"datacontenttype\":\"application/json\""));
    cr_assert(has(bench.lines[0], "\"type\":\"erp.order.created.v1\"") &&
              has(bench.lines[0], "\"subject\":\"PO1\""));
    cr_assert(strstr(bench.lines[0], "dataschema") == NULL);
    run(&bench, NULL, "{\"a\": 1.10}");
    cr_assert_str_eq(bench.data[1], "{\"a\": 1.10}");
    run(&bench, NULL, "no json");
    cr_assert(has(bench.failed, "json: the event's data is neither"));
    cr_assert(!bench.later);
    cr_assert_eq(bench.documents, 2);
    bench_stop(&bench);
    LEAKS_NONE();
}

static void document_has(const char *format, const char *type, const char *const *parts) {
    struct bench bench;
    bench_start(&bench,
                (struct outbound_options){.format = format,
                                          .sender = "14:4000001000005",
                                          .receiver = "14:4000002000004",
                                          .csv = "template shop\nevent Order\nrows lines\ndelimiter ;\n"
                                                 "column ORDER header.id\ncolumn LINE lines.id\n"});
    run(&bench, ORDER, NULL);
    cr_assert_str_eq(bench.failed, "");
    cr_assert_eq(bench.documents, 1);
    cr_assert(has(bench.lines[0], type));
    for (; *parts != NULL; parts++)
        cr_assert(has(bench.data[0], *parts));
    char first[4096];
    memcpy(first, bench.data[0], sizeof first);
    run(&bench, ORDER, NULL);
    size_t same = strlen(format) == 7 ? 20 : 60; /* up to what says when */
    cr_assert_eq(memcmp(bench.data[1], first, same), 0);
    run(&bench, NULL, "{}");
    cr_assert(has(bench.failed, "the event's data is no canonical message"));
    bench_stop(&bench);
    LEAKS_NONE();
}

Test(outbound, writes_ubl) {
    document_has("ubl", "\"datacontenttype\":\"application/xml\"",
                 (const char *const[]){"<?xml", ">PO1<", "K\xc3\xa4ufer", NULL});
}

Test(outbound, writes_edifact) {
    document_has("edifact", "\"datacontenttype\":\"application/EDIFACT\"",
                 (const char *const[]){"4000001000005:14+4000002000004:14+", "BGM+220+PO1+9'", NULL});
}

Test(outbound, writes_x12) {
    document_has("x12", "\"datacontenttype\":\"application/EDI-X12\"",
                 (const char *const[]){"ISA*", "~ST*850*", "~BEG*00*SA*PO1~", NULL});
}

Test(outbound, writes_csv) {
    document_has("csv", "\"datacontenttype\":\"text/csv\"", (const char *const[]){"PO1;1", NULL});
}

Test(outbound, refuses_what_a_format_has_not) {
    struct bench bench;
    bench_start(&bench, (struct outbound_options){.format = "ubl", .mapping = "."});
    size_t length;
    struct fault fault;
    Roundhouse__Erp__V1__PartyMaster party = ROUNDHOUSE__ERP__V1__PARTY_MASTER__INIT;
    uint8_t *plain = event_of(NULL, "1", "t", &length), *event;
    struct remake what = {.event = plain, .length = length};
    cr_assert(remake_canonical(what, (const ProtobufCMessage *)&party, &event, &length, &fault));
    cr_assert_eq(outbound_run(bench.outbound, event, length, told, &bench), 0);
    router_await(bench.base, &bench.told, 1);
    cr_assert(has(bench.failed, "ubl: there is no document for a message of the kind PartyMaster"));
    free(plain);
    free(event);
    bench_stop(&bench);
    LEAKS_NONE();
}

/* An order as it comes by CloudEvents JSON: `data` is a member with the message. */
static uint8_t *event_by_json(const char *data, const char *contenttype, size_t *length) {
    char text[4096];
    struct fault fault;
    uint8_t *event;
    int n = snprintf(
        text, sizeof text,
        "{\"specversion\":\"1.0\",\"id\":\"e-2\",\"source\":\"/erp\",\"type\":\"t\",\"datacontenttype\":"
        "\"%s\",\"dataschema\":\"type.googleapis.com/roundhouse.erp.v1.Order\",%s}",
        contenttype, data);
    cr_assert(event_from_json(text, (size_t)n, &event, length, &fault), "%s", fault.text);
    return event;
}

Test(outbound, takes_canonical_messages_however_they_came) {
    struct bench bench;
    size_t length, data_length;
    uint32_t kind;
    const uint8_t *data;
    char *json, member[4096];
    struct fault fault;
    uint8_t *event = event_of(ORDER, NULL, "t", &length), *events[2];
    cr_assert(event_data(event, length, &data, &data_length, &kind));
    cr_assert_eq(kind, EVENT_PROTO);
    cr_assert(event_to_json(event, length, &json, &length, &fault));
    const char *base64 = memmem(json, length, "\"data_base64\":", 14);
    cr_assert(base64 != NULL);
    const char *end = memchr(base64 + 15, '"', length - (size_t)(base64 + 15 - json));
    cr_assert(end != NULL);
    (void)snprintf(member, sizeof member, "%.*s", (int)(end + 1 - base64), base64);
    size_t lengths[2];
    events[0] = event_by_json(member, "application/protobuf", &lengths[0]);
    cr_assert(event_data(events[0], lengths[0], &data, &data_length, &kind));
    cr_assert_eq(kind, EVENT_BINARY);
    events[1] = event_by_json("\"data\":" ORDER, "application/json", &lengths[1]);
    cr_assert(event_data(events[1], lengths[1], &data, &data_length, &kind));
    cr_assert_eq(kind, EVENT_TEXT);
    bench_start(&bench, (struct outbound_options){.filter = ".header.id == \"PO1\"", .format = "edifact"});
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(outbound_run(bench.outbound, events[i], lengths[i], told, &bench), 0);
        router_await(bench.base, &bench.told, i + 1);
        cr_assert_str_eq(bench.failed, "");
        cr_assert(has(bench.data[i], "BGM+220+PO1+9'") && has(bench.lines[i], "\"id\":\"e-2\""));
        free(events[i]);
    }
    events[0] = event_by_json("\"data\":{\"header\":{\"no\":1}}", "application/json", &lengths[0]);
    bench_stop(&bench);
    bench_start(&bench, (struct outbound_options){.format = "edifact"});
    cr_assert_eq(outbound_run(bench.outbound, events[0], lengths[0], told, &bench), 0);
    cr_assert_str_eq(bench.failed, "edifact: the event's data is no canonical message");
    bench_stop(&bench);
    free(events[0]);
    free(event);
    free(json);
    LEAKS_NONE();
}

/* The number of an interchange of X12, ISA13. */
static long number_of(const char *document) {
    char first[16];
    (void)snprintf(first, sizeof first, "%.9s", document + 90);
    return strtol(first, NULL, 10);
}

Test(outbound, counts_interchanges_of_x12_where_it_can_keep_the_numbers) {
    struct bench bench;
    char dir[] = "/tmp/rh-outbound-XXXXXX", file[64];
    cr_assert(mkdtemp(dir) != NULL);
    struct outbound_options options = {.format = "x12",
                                       .sender = "14:4000001000005",
                                       .receiver = "14:4000002000004",
                                       .mapping = "., (.header.id = \"PO2\")",
                                       .state_dir = dir};
    for (unsigned start = 0; start < 2; start++) {
        bench_start(&bench, options);
        run(&bench, ORDER, NULL);
        run(&bench, ORDER, NULL); /* once more: it is the same */
        cr_assert_str_eq(bench.failed, "");
        cr_assert_eq(bench.documents, 4);
        for (unsigned i = 0; i < 4; i++)
            cr_assert_eq(number_of(bench.data[i]), (long)(i % 2 + 1), "%s", bench.data[i]);
        cr_assert(has(bench.data[1], "~GE*1*2~IEA*1*000000002~"));
        bench_stop(&bench);
    }
    (void)snprintf(file, sizeof file, "%s/outbound.numbers", dir);
    cr_assert_eq(unlink(file), 0);
    (void)rmdir(dir);
    LEAKS_NONE();
}

/* ---- what a format has no place for ---- */

#define NOTED(role)                                                                                          \
    "{\"header\":{\"id\":\"PO1\",\"function\":\"ORIGINAL\",\"notes\":[{\"value\":\"a\",\"role\":\"AAI\"},{"  \
    "\"value\":"                                                                                             \
    "\"b\",\"role\":\"" role "\"}]}}"

/* The lines of the log since it was begun. */
static int log_begin(FILE *file) {
    int before = dup(STDERR_FILENO);
    cr_assert(before >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    return before;
}

static void log_end(int before, FILE *file, char text[static 4096]) {
    cr_assert(dup2(before, STDERR_FILENO) >= 0);
    (void)close(before);
    rewind(file);
    text[fread(text, 1, 4095, file)] = '\0';
    (void)fclose(file);
}

Test(outbound, tells_what_a_document_does_not_say_once_and_counts_it) {
    struct bench bench;
    struct spoke_counters counters = {0};
    char log[4096];
    bench_start(&bench, (struct outbound_options){.format = "ubl", .counters = &counters});
    FILE *file = tmpfile();
    cr_assert(file != NULL);
    int before = log_begin(file);
    run(&bench, ORDER, NULL);
    uint64_t whole = counter_get(&counters.lossy);
    run(&bench, NOTED("ABC"), NULL);
    run(&bench, NOTED("ABC"), NULL);
    log_end(before, file, log);
    cr_assert_eq(bench.documents, 3);
    cr_assert_eq(whole, 0);
    cr_assert_eq(counter_get(&counters.lossy), 2);
    const char *line = strstr(log, "a document does not say all of its event");
    cr_assert(line != NULL && strstr(line + 1, "a document does not say") == NULL, "%s", log);
    cr_assert(has(line, "spoke=shop format=UBL kind=Order event=\"e-1\" values=2 "
                        "paths=\"header.notes[].role\" more=0"));
    bench_stop(&bench);
    LEAKS_NONE();
}

Test(outbound, refuses_what_would_be_lost_where_it_is_asked_to) {
    struct bench bench;
    struct spoke_counters counters = {0};
    struct outbound_options options = {.format = "ubl", .losses = LOSSES_REFUSE, .counters = &counters};
    bench_start(&bench, options);
    run(&bench, NOTED("ABC"), NULL);
    cr_assert_str_eq(bench.failed, "ubl: the document would not say 2 of the values of the Order: "
                                   "header.notes[].role");
    cr_assert(!bench.later);
    run(&bench, ORDER, NULL);
    cr_assert_str_eq(bench.order, "01");
    bench_stop(&bench);
    options.mapping = "del(.header.notes[].role)"; /* the partner does not want it: nothing is lost */
    bench_start(&bench, options);
    run(&bench, NOTED("ABC"), NULL);
    cr_assert_str_eq(bench.order, "1");
    bench_stop(&bench);
    cr_assert_eq(counter_get(&counters.lossy), 0);
    LEAKS_NONE();
}

Test(outbound, looks_at_no_losses_where_it_is_told_to) {
    struct bench bench;
    struct spoke_counters counters = {0};
    struct outbound_options options = {.format = "x12", .losses = LOSSES_IGNORE, .counters = &counters};
    bench_start(&bench, options);
    run(&bench, NOTED("ABC"), NULL);
    bench_stop(&bench);
    cr_assert_eq(counter_get(&counters.lossy), 0);
    options.losses = LOSSES_TELL;
    bench_start(&bench, options);
    run(&bench, NOTED("ABC"), NULL);
    bench_stop(&bench);
    cr_assert_eq(counter_get(&counters.lossy), 1);
    LEAKS_NONE();
}

/* ---- filter and mapping ---- */

Test(outbound, maps_to_any_shape) {
    struct bench bench;
    bench_start(&bench,
                (struct outbound_options){.mapping = "{n: .header.id, s: $event.subject, on: $event.topic, "
                                                     "k: $kind}, .lines[].id # both",
                                          .variables = "{\"kind\": \"x\"}"});
    run(&bench, ORDER, NULL);
    cr_assert_eq(bench.documents, 2);
    cr_assert_str_eq(bench.data[0], "{\"n\":\"PO1\",\"s\":\"PO1\",\"on\":\"a.b\",\"k\":\"x\"}");
    cr_assert_str_eq(bench.data[1], "\"1\"");
    cr_assert(has(bench.lines[0], "\"id\":\"e-1\",") && has(bench.lines[1], "\"id\":\"e-1/2\","));
    cr_assert(has(bench.lines[1], "\"datacontenttype\":\"application/json\""));
    run(&bench, NULL, "{\"lines\": []}");
    cr_assert_str_eq(bench.data[2], "{\"n\":null,\"s\":\"PO1\",\"on\":\"a.b\",\"k\":\"x\"}");
    cr_assert_str_eq(bench.order, "21");
    bench_stop(&bench);
    LEAKS_NONE();
}

Test(outbound, filters_before_it_maps) {
    struct bench bench;
    bench_start(&bench, (struct outbound_options){.filter = ".a > 1, true # the first one counts",
                                                  .mapping = "if .a == 9 then error(\"nine\") else .a end"});
    run(&bench, NULL, "{\"a\": 1}");
    run(&bench, NULL, "{\"a\": 2}");
    run(&bench, NULL, "{\"a\": 9}");
    cr_assert(has(bench.failed, "mapping: ") && has(bench.failed, "nine"));
    cr_assert(!bench.later);
    cr_assert_str_eq(bench.order, "010");
    cr_assert_str_eq(bench.data[0], "2");
    bench_stop(&bench);
    LEAKS_NONE();
}

Test(outbound, filters_what_goes_out_as_it_is) {
    struct bench bench;
    bench_start(&bench, (struct outbound_options){.filter = ".lines | length > 0"});
    run(&bench, NULL, "{\"lines\": []}");
    run(&bench, ORDER, NULL);
    run(&bench, NULL, "{\"lines\": [1]}");
    cr_assert_str_eq(bench.order, "011");
    cr_assert(has(bench.lines[0], "application/protobuf"));
    cr_assert_str_eq(bench.data[1], "{\"lines\": [1]}");
    bench_stop(&bench);
    LEAKS_NONE();
}

Test(outbound, writes_what_a_mapping_changed) {
    struct bench bench;
    bench_start(&bench, (struct outbound_options){
                            .format = "edifact",
                            .mapping = "if .header.id == \"PO1\" then .header.id = \"B\" + .header.id "
                                       "else {no: 1} end"});
    run(&bench, ORDER, NULL);
    cr_assert_str_eq(bench.failed, "");
    cr_assert(has(bench.data[0], "BGM+220+BPO1+9'"));
    run(&bench, "{\"header\":{\"id\":\"PO2\"}}", NULL);
    cr_assert(has(bench.failed, "what the mapping gave is no canonical message: "));
    run(&bench, NULL, "{\"header\":{\"id\":\"PO1\"}}");
    cr_assert(has(bench.failed, "no canonical message"));
    cr_assert_str_eq(bench.order, "100");
    bench_stop(&bench);
    LEAKS_NONE();
}

Test(outbound, lets_acknowledgements_out_in_their_order) {
    struct bench bench;
    size_t length;
    bench_start(&bench, (struct outbound_options){.filter = "false", .format = "x12"});
    uint8_t *event = event_of(NULL, "{}", "t", &length);
    cr_assert_eq(outbound_run_on(bench.outbound, "a.b", 3, event, length, told, &bench), 0);
    free(event);
    event = event_of(NULL, "\"UNB\"", INBOUND_ACKNOWLEDGEMENT_TYPE, &length);
    const char *topic = "spoke.shop.acknowledgement", *other = "spoke.crm.acknowledgement";
    cr_assert_eq(outbound_run_on(bench.outbound, topic, strlen(topic), event, length, told, &bench), 0);
    cr_assert_eq(bench.told, 0);
    router_await(bench.base, &bench.told, 2);
    cr_assert_str_eq(bench.order, "01");
    cr_assert_str_eq(bench.data[0], "\"UNB\"");
    cr_assert_eq(outbound_run_on(bench.outbound, topic, strlen(topic), event, length, told, &bench), 0);
    cr_assert_eq(bench.told, 3);
    cr_assert_eq(outbound_run_on(bench.outbound, other, strlen(other), event, length, told, &bench), 0);
    router_await(bench.base, &bench.told, 4);
    cr_assert_str_eq(bench.order, "0110");
    free(event);
    bench_stop(&bench);
    LEAKS_NONE();
}

Test(outbound, says_when_too_many_wait) {
    struct bench bench;
    size_t length;
    unsigned count = 0;
    bench_start(&bench, (struct outbound_options){.mapping = "1"});
    uint8_t *event = event_of(NULL, "{}", "t", &length);
    int result;
    while ((result = outbound_run(bench.outbound, event, length, told, &bench)) == 0)
        count++;
    cr_assert_eq(result, -EAGAIN);
    cr_assert(count >= 100);
    router_await(bench.base, &bench.told, count);
    cr_assert_eq(bench.documents, count);
    cr_assert_eq(outbound_run(bench.outbound, event, length, told, &bench), 0);
    free(event);
    bench_stop(&bench); /* while it waits */
    LEAKS_NONE();
}

/* ---- making one ---- */

static bool refused(struct outbound_options options, const char *part) {
    char why[1024] = "";
    options.base = event_base_new();
    options.name = "shop";
    options.executable = bridge_executable();
    struct outbound *outbound = outbound_new(&options, why, sizeof why);
    outbound_free(outbound);
    event_base_free(options.base);
    return outbound == NULL && has(why, part);
}

Test(outbound, says_what_is_wrong_with_its_options) {
    cr_assert(refused((struct outbound_options){.format = "idoc"}, "format: json, event, edifact"));
    cr_assert(refused((struct outbound_options){.format = "x12", .state_dir = "/nonexistent"},
                      "/nonexistent/outbound.numbers can not be written: "));
    cr_assert(refused((struct outbound_options){.losses = LOSSES_REFUSE}, "losses: refuse is for edifact"));
    cr_assert(refused((struct outbound_options){.format = "csv"}, "needs a template"));
    cr_assert(refused((struct outbound_options){.format = "csv", .csv = "nothing"}, "csv: line "));
    cr_assert(
        refused((struct outbound_options){.format = "event", .mapping = "."}, "there can be no mapping"));
    cr_assert(refused((struct outbound_options){.mapping = ".a |"}, "mapping: "));
    cr_assert(refused((struct outbound_options){.filter = ".a |"}, "filter: "));
    LEAKS_NONE();
}
