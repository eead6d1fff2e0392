/* CloudEvents in other forms: what clients, the commands and bridges pay. None of it is on the router's path.
 */
#include "bench/micro/bench.h"
#include "bench/micro/data.h"
#include "codecs/event/check.h"
#include "codecs/event/json.h"
#include "io/cloudevents/v1/cloudevents.pb-c.h"

#include <stdlib.h>
#include <string.h>

/* One event and its JSON form, with what one turns into the other. */
struct forms {
    uint8_t *event;
    size_t event_length;
    char *text;
    size_t text_length;
};

static struct forms forms_of(const struct bench_run *run) {
    struct forms forms;
    struct fault fault;
    forms.event = data_event((enum data_shape)bench_value(run, "shape"), 4711, &forms.event_length);
    bool good = event_to_json(forms.event, forms.event_length, &forms.text, &forms.text_length, &fault);
    bench_must(good ? 0 : -1, "an event as JSON");
    return forms;
}

static void forms_free(struct forms *forms) {
    free(forms->event);
    free(forms->text);
}

static void event_build_bench(struct bench_run *run) {
    uint64_t bytes = bench_value(run, "data_bytes");
    uint8_t *data = bench_memory(bytes);
    size_t built = 0;
    memset(data, 'x', bytes);
    struct event_parts parts = {.id = "2f8d1c3e-6a0b-4a55",
                                .source = "/erp/prod",
                                .type = "com.example.order.created",
                                .subject = "orders/4711",
                                .contenttype = "text/plain",
                                .time_ns = UINT64_C(1780000000250000000),
                                .data = data,
                                .data_length = bytes};
    while (bench_more(run)) {
        uint64_t good = 0;
        bench_start(run);
        for (uint64_t i = 0; i < run->operations; i++) {
            uint8_t *event;
            struct fault fault;
            good += event_build(&parts, &event, &built, &fault);
            free(event);
        }
        bench_stop(run);
        bench_equal(run, "events built", good, run->operations);
    }
    bench_equal(run, "an event smaller than its data", built < bytes, 0);
    bench_bytes(run, (double)built);
    free(data);
}

static void event_to_json_bench(struct bench_run *run) {
    struct forms forms = forms_of(run);
    while (bench_more(run)) {
        uint64_t bytes = 0;
        bench_start(run);
        for (uint64_t i = 0; i < run->operations; i++) {
            char *text;
            size_t length = 0;
            struct fault fault;
            CHECK(event_to_json(forms.event, forms.event_length, &text, &length, &fault));
            bytes += length;
            free(text);
        }
        bench_stop(run);
        bench_equal(run, "bytes of JSON", bytes, run->operations * forms.text_length);
    }
    bench_bytes(run, (double)forms.text_length);
    forms_free(&forms);
}

static void event_from_json_bench(struct bench_run *run) {
    struct forms forms = forms_of(run);
    char *again = NULL;
    size_t again_length = 0;
    while (bench_more(run)) {
        uint8_t *event = NULL;
        size_t length = 0;
        struct fault fault;
        bench_start(run);
        for (uint64_t i = 0; i < run->operations; i++) {
            free(event);
            CHECK(event_from_json(forms.text, forms.text_length, &event, &length, &fault));
        }
        bench_stop(run);
        CHECK(event_to_json(event, length, &again, &again_length, &fault));
        bench_equal(run, "the length of the JSON made of the event", again_length, forms.text_length);
        bench_equal(run, "whether that differs", memcmp(again, forms.text, forms.text_length) != 0, 0);
        free(again);
        free(event);
    }
    bench_bytes(run, (double)forms.text_length);
    forms_free(&forms);
}

static void event_data_bench(struct bench_run *run) {
    struct forms forms = forms_of(run);
    while (bench_more(run)) {
        uint64_t found = 0;
        uint64_t want = 0;
        bench_start(run);
        for (uint64_t i = 0; i < run->operations; i++) {
            const uint8_t *data = NULL;
            size_t length = 0;
            uint32_t kind;
            bool has = event_data(forms.event, forms.event_length, &data, &length, &kind);
            found += has ? length + 1 : 0;
            want = has ? length + 1 : 0;
        }
        bench_stop(run);
        bench_equal(run, "bytes of data found", found, run->operations * want);
        bench_equal(run, "more data than event", want > forms.event_length, 0);
    }
    bench_bytes(run, (double)forms.event_length);
    forms_free(&forms);
}

/* What it would cost to unpack each event, as a router without a scan would. */
static void event_unpack_bench(struct bench_run *run) {
    struct forms forms = forms_of(run);
    while (bench_more(run)) {
        uint64_t good = 0;
        bench_start(run);
        for (uint64_t i = 0; i < run->operations; i++) {
            Io__Cloudevents__V1__CloudEvent *event =
                io__cloudevents__v1__cloud_event__unpack(NULL, forms.event_length, forms.event);
            good += event != NULL && event->id[0] != '\0' && event->type[0] != '\0';
            io__cloudevents__v1__cloud_event__free_unpacked(event, NULL);
        }
        bench_stop(run);
        bench_equal(run, "events unpacked", good, run->operations);
    }
    bench_bytes(run, (double)forms.event_length);
    forms_free(&forms);
}

#define ALL_SHAPES                                                                                           \
    {                                                                                                        \
        .name = "shape", .words = data_shapes, .values = { {7, {0, 1, 2, 3, 4, 5, 6}} }                      \
    }

const struct bench bench_event[] = {
    {.name = "event/build",
     .operation = "make one event from its parts, with text as data",
     .operations_least = 100,
     .run = event_build_bench,
     .plot_over = "data_bytes",
     .axes = {{.name = "data_bytes", .values = {{2, {16, 65536}}, {4, {16, 256, 4096, 65536}}}}}},
    {.name = "event/data",
     .operation = "find the data of one event",
     .operations_least = 500,
     .run = event_data_bench,
     .axes = {ALL_SHAPES}},
    {.name = "event/unpack",
     .operation = "unpack one event with protobuf-c, for comparison with wire/scan",
     .operations_least = 100,
     .run = event_unpack_bench,
     .axes = {ALL_SHAPES}},
    {.name = "event/to_json",
     .operation = "one event as a line of JSON",
     .operations_least = 50,
     .run = event_to_json_bench,
     .axes = {ALL_SHAPES}},
    {.name = "event/from_json",
     .operation = "one line of JSON as an event",
     .operations_least = 50,
     .run = event_from_json_bench,
     .axes = {ALL_SHAPES}},
    {0}};
