/* From the bytes of a document to its canonical message and its event: reader, maps, engine, packing. */
#include "codecs/edi/edifact.h"
#include "codecs/edi/x12.h"
#include "codecs/erp/engine.h"
#include "codecs/erp/event.h"

#include "bench/micro/bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_BYTES (1024 * KIB) /* larger than what the nearest caches hold */
#define FEED_BYTES   (64 * KIB)   /* what a file is read by */

enum output { OUTPUT_MESSAGE, OUTPUT_EVENT };
static const char *const outputs[] = {"message", "event"};

/* An interchange of many orders, and what must come of it. */
struct orders {
    char *bytes;
    size_t length, size;
    uint64_t messages, lines, pieces; /* pieces: the sum of all quantities */
};

__attribute__((format(printf, 2, 3))) static void put(struct orders *orders, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(orders->bytes + orders->length, orders->size - orders->length, format, arguments);
    va_end(arguments);
    orders->length += (size_t)n;
}

/* 13 digits, the last of which belongs to the others. */
static uint64_t gtin(uint64_t number) {
    uint64_t twelve = UINT64_C(400000000000) + number % 1000000000, sum = 0, rest = twelve;
    for (unsigned i = 0; i < 12; i++, rest /= 10)
        sum += rest % 10 * (i % 2 ? 1 : 3);
    return twelve * 10 + (10 - sum % 10) % 10;
}

static uint64_t ordered(struct orders *orders, uint64_t line) {
    uint64_t quantity = bench_mix(line) % 5000 + 1;
    orders->lines++;
    orders->pieces += quantity;
    return quantity;
}

static void order_edifact(struct orders *orders, uint64_t lines) {
    unsigned long long number = ++orders->messages;
    put(orders, "UNH+%llu+ORDERS:D:96A:UN:EAN008'BGM+220+PO%llu+9'DTM+137:20260901:102'DTM+2:20260910:102'",
        number, number);
    put(orders, "RFF+CT:C-77'NAD+BY+4012345000009::9++Handels GmbH+Hauptstra?'sse 1+Berlin++10115+DE'"
                "NAD+SU+4098765000005::9'NAD+DP+4098765000104::9'CUX+2:EUR:9'");
    for (uint64_t line = 1; line <= lines; line++) {
        put(orders, "LIN+%llu++%llu:EN'PIA+1+ART-%05llu:SA'IMD+F++:::Bolt M8x40 zinc plated'",
            (unsigned long long)line, (unsigned long long)gtin(bench_mix(line)), (unsigned long long)line);
        put(orders, "QTY+21:%llu:PCE'MOA+203:%llu.50'PRI+AAA:12.50'",
            (unsigned long long)ordered(orders, line), (unsigned long long)line * 7);
    }
    put(orders, "UNS+S'CNT+2:%llu'UNT+%llu+%llu'", (unsigned long long)lines,
        (unsigned long long)lines * 6 + 12, number);
}

static void order_x12(struct orders *orders, uint64_t lines) {
    unsigned long long number = ++orders->messages;
    put(orders, "ST*850*%04llu~BEG*00*SA*PO%llu**20260901~CUR*BY*USD~REF*DP*038~DTM*002*20260915~", number,
        number);
    put(orders, "N1*BY*BUYER*92*4012345~N1*ST*WAREHOUSE 7*92*4098765~N3*31875 SOLON RD~N4*SOLON*OH*44139~");
    for (uint64_t line = 1; line <= lines; line++)
        put(orders, "PO1*%llu*%llu*EA*12.50*PE*UP*%012llu*VP*ART-%05llu~PID*F****BOLT M8X40 ZINC PLATED~",
            (unsigned long long)line, (unsigned long long)ordered(orders, line), 36000291452ull,
            (unsigned long long)line);
    put(orders, "CTT*%llu~SE*%llu*%04llu~", (unsigned long long)lines, (unsigned long long)lines * 2 + 11,
        number);
}

static struct orders orders_new(void (*order)(struct orders *, uint64_t), const char *head, uint64_t lines) {
    struct orders orders = {.size = STREAM_BYTES + 512 * KIB};
    orders.bytes = bench_memory(orders.size);
    put(&orders, "%s", head);
    while (orders.length < STREAM_BYTES)
        order(&orders, lines);
    return orders;
}

/* ---- what comes out ---- */

struct made {
    struct erp_maker *maker; /* NULL: messages are enough */
    uint64_t messages, lines, pieces, bytes, errors;
};

static void on_message(void *context, const struct erp_result *result) {
    struct made *made = context;
    made->messages++;
    made->errors += result->errors || !result->message;
    if (!result->message || result->message->descriptor != &roundhouse__erp__v1__order__descriptor)
        return;
    const Roundhouse__Erp__V1__Order *order = (const void *)result->message;
    made->lines += order->n_lines;
    for (size_t i = 0; i < order->n_lines; i++)
        made->pieces += (uint64_t)order->lines[i]->quantity->value->unscaled;
    if (made->maker) {
        struct erp_event event;
        struct fault fault;
        bench_must(erp_event_make(made->maker, result, &event, &fault) ? 0 : -1, "an event");
        made->bytes += event.length;
    }
}

static void made_check(struct bench_run *run, const struct made *made, const struct orders *orders,
                       uint64_t laps) {
    bench_equal(run, "messages", made->messages, laps * orders->messages);
    bench_equal(run, "lines", made->lines, laps * orders->lines);
    bench_equal(run, "pieces", made->pieces, laps * orders->pieces);
    bench_equal(run, "messages with an error", made->errors, 0);
    bench_equal(run, "whether there are bytes", made->bytes > 0, made->maker != NULL);
}

static size_t piece(const struct orders *orders, size_t at) {
    return orders->length - at < FEED_BYTES ? orders->length - at : FEED_BYTES;
}

/* ---- the benches ---- */

/* A reader of either format. */
struct source {
    void *reader;
    void (*feed)(void *reader, const uint8_t *bytes, size_t n);
    void (*end)(void *reader);
};

static void edifact_bytes(void *reader, const uint8_t *bytes, size_t n) {
    edifact_feed(reader, bytes, n);
}

static void edifact_done(void *reader) {
    edifact_end(reader);
}

static void x12_bytes(void *reader, const uint8_t *bytes, size_t n) {
    x12_feed(reader, bytes, n);
}

static void x12_done(void *reader) {
    x12_end(reader);
}

static void typed(struct bench_run *run, const struct orders *orders, struct made *made,
                  struct source source) {
    while (bench_more(run)) {
        uint64_t laps = bench_whole(run, orders->messages);
        *made = (struct made){.maker = made->maker};
        bench_start(run);
        for (uint64_t lap = 0; lap < laps; lap++) {
            for (size_t at = 0; at < orders->length; at += piece(orders, at))
                source.feed(source.reader, (const uint8_t *)orders->bytes + at, piece(orders, at));
            source.end(source.reader);
        }
        bench_stop(run);
        made_check(run, made, orders, laps);
    }
    bench_bytes(run, (double)orders->length / (double)orders->messages);
}

/* All that stands between the reader and what comes out. */
struct rig {
    struct map_library *library;
    struct erp_engine *engine;
    struct document_sink sink;
    struct made made;
};

static void rig_open(struct rig *rig, const struct bench_run *run) {
    *rig = (struct rig){.library = map_library_new(NULL, 0)};
    struct erp_engine_options options = {
        .library = rig->library, .context = &rig->made, .message = on_message};
    rig->engine = rig->library ? erp_engine_new(&options) : NULL;
    bench_must(rig->engine ? 0 : -1, "an engine");
    rig->sink = erp_engine_sink(rig->engine);
    if (bench_value(run, "output") == OUTPUT_EVENT) {
        rig->made.maker = erp_maker_new();
        bench_must(rig->made.maker ? 0 : -1, "a maker of events");
    }
}

static void rig_close(struct rig *rig) {
    erp_maker_free(rig->made.maker);
    erp_engine_free(rig->engine);
    map_library_free(rig->library);
}

static void codec_edifact_typed(struct bench_run *run) {
    struct orders orders =
        orders_new(order_edifact, "UNA:+.? 'UNB+UNOC:3+4012345000009:14+4098765000005:14+260901:0605+R'",
                   bench_value(run, "lines"));
    put(&orders, "UNZ+%llu+R'", (unsigned long long)orders.messages);
    struct rig rig;
    rig_open(&rig, run);
    struct edifact_reader *reader;
    bench_must(edifact_create(&reader, &rig.sink, NULL), "a reader of EDIFACT");
    typed(run, &orders, &rig.made, (struct source){reader, edifact_bytes, edifact_done});
    edifact_destroy(reader);
    rig_close(&rig);
    free(orders.bytes);
}

static void codec_x12_typed(struct bench_run *run) {
    struct orders orders = orders_new(
        order_x12,
        "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *260901*0605*U*00401*"
        "000000001*0*P*>~GS*PO*SENDER*RECEIVER*20260901*0605*1*X*004010~",
        bench_value(run, "lines"));
    put(&orders, "GE*%llu*1~IEA*1*000000001~", (unsigned long long)orders.messages);
    struct rig rig;
    rig_open(&rig, run);
    struct x12_reader *reader;
    bench_must(x12_create(&reader, &rig.sink, NULL), "a reader of X12");
    typed(run, &orders, &rig.made, (struct source){reader, x12_bytes, x12_done});
    x12_destroy(reader);
    rig_close(&rig);
    free(orders.bytes);
}

#define AXES                                                                                                 \
    {.name = "output", .words = outputs, .values = {{2, {OUTPUT_MESSAGE, OUTPUT_EVENT}}}}, {                 \
        .name = "lines", .values = { {1, {3}}, {2, {3, 30}}, {3, {3, 30, 300}} }                             \
    }

const struct bench bench_erp[] = {
    {.name = "codec/edifact-typed",
     .operation = "read one ORDERS of an EDIFACT interchange into a canonical Order, or an event of it",
     .operations_least = 100,
     .run = codec_edifact_typed,
     .axes = {AXES}},
    {.name = "codec/x12-typed",
     .operation = "read one 850 of an X12 interchange into a canonical Order, or an event of it",
     .operations_least = 100,
     .run = codec_x12_typed,
     .axes = {AXES}},
    {0}};
