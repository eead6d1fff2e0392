/* core/filter: what a content filter costs for an event that is asked about, by what it looks at. */
#include "core/filter/filter.h"

#include "bench/micro/bench.h"
#include "bench/micro/data.h"
#include "codecs/event/attributes.h"

#include <stdlib.h>
#include <string.h>

#define EVENTS 512u /* different ones, in turn: 64 KiB of the smaller shapes */

#define TYPE(text)    "{\"exact\":{\"type\":\"com.example." text "\"}}"
#define ANOTHER(text) "," TYPE(text)
/* clang-format off */
#define ANY_OF_NINE TYPE("invoice.created") ANOTHER("order.changed") ANOTHER("order.deleted") \
    ANOTHER("item.created") ANOTHER("stock.created") ANOTHER("order.printed") ANOTHER("offer.created") \
    ANOTHER("parcel.created") ANOTHER("order.shipped")
/* clang-format on */

/* The events of all shapes but the smallest are of type com.example.order.created. */
static const struct {
    const char *json;
    bool passes;
} asked[] = {
    {"[" TYPE("order.created") "]", true},
    {"[" TYPE("order.deleted") "]", false},
    {"[{\"any\":[" ANY_OF_NINE "," TYPE("order.created") "]}]", true},
    {"[{\"any\":[" ANY_OF_NINE "," TYPE("reply.created") "]}]", false},
    {"[{\"exact\":{\"datacontenttype\":\"application/json\"}}]", true},
    {"[{\"prefix\":{\"absent\":\"a\"}}]", false},
    {"[{\"all\":[{\"prefix\":{\"type\":\"com.example.\",\"source\":\"/erp/\"}},"
     "{\"not\":{\"suffix\":{\"type\":\".deleted\"}}},{\"suffix\":{\"datacontenttype\":\"/json\"}}]}]",
     true},
};
static const char *const words[] = {"exact_type",   "miss_type", "any_of_10", "miss_of_10",
                                    "exact_in_map", "absent",    "all_of_4"};

struct events {
    uint8_t *event[EVENTS];
    size_t length[EVENTS];
};

static void filter_passes_bench(struct bench_run *run) {
    uint64_t what = bench_value(run, "filter");
    struct events events;
    struct filter *filter;
    struct fault fault;
    size_t bytes = 0;
    for (uint32_t i = 0; i < EVENTS; i++) {
        events.event[i] = data_event((enum data_shape)bench_value(run, "shape"), i, &events.length[i]);
        bytes += events.length[i];
    }
    bench_must(filter_from_json(asked[what].json, strlen(asked[what].json), &filter, &fault) ? 0 : -1,
               "a filter");
    while (bench_more(run)) {
        uint64_t passed = 0;
        bench_start(run);
        for (uint64_t i = 0; i < run->operations; i++)
            passed += filter_passes(filter, events.event[i % EVENTS], events.length[i % EVENTS]);
        bench_stop(run);
        bench_equal(run, "events that pass", passed, asked[what].passes ? run->operations : 0);
    }
    bench_bytes(run, (double)bytes / EVENTS);
    filter_free(filter);
    for (uint32_t i = 0; i < EVENTS; i++)
        free(events.event[i]);
}

static void filter_compile_bench(struct bench_run *run) {
    uint64_t what = bench_value(run, "filter");
    struct filter *filter;
    struct fault fault;
    size_t length, again = 0;
    bench_must(filter_from_json(asked[what].json, strlen(asked[what].json), &filter, &fault) ? 0 : -1,
               "a filter");
    const uint8_t *packed = filter_packed(filter, &length);
    while (bench_more(run)) {
        uint64_t bytes = 0;
        bench_start(run);
        for (uint64_t i = 0; i < run->operations; i++) {
            struct filter *made;
            CHECK(filter_unpack(packed, length, &made, &fault));
            (void)filter_packed(made, &again);
            bytes += again;
            filter_free(made);
        }
        bench_stop(run);
        bench_equal(run, "bytes of the same filter", bytes, run->operations * length);
    }
    filter_free(filter);
}

const struct bench bench_filter[] = {
    {.name = "filter/passes",
     .operation = "ask a filter about one event",
     .operations_least = 2 * EVENTS,
     .run = filter_passes_bench,
     .axes = {{"filter",
               words,
               {{7, {0, 1, 2, 3, 4, 5, 6}}, {7, {0, 1, 2, 3, 4, 5, 6}}, {7, {0, 1, 2, 3, 4, 5, 6}}}},
              {"shape",
               data_shapes,
               {{2, {DATA_TYPICAL, DATA_ATTRIBUTES}},
                {2, {DATA_TYPICAL, DATA_ATTRIBUTES}},
                {3, {DATA_TYPICAL, DATA_ATTRIBUTES, DATA_JSON}}}}}},
    {.name = "filter/compile",
     .operation = "compile the filter of one Subscribe",
     .operations_least = 16,
     .run = filter_compile_bench,
     .axes = {{"filter", words, {{2, {0, 6}}, {3, {0, 2, 6}}, {3, {0, 2, 6}}}}}},
    {0}};
