/* What documents pass through before they are events: their segments are found, cut and checked. */
#include "codecs/edi/edifact.h"
#include "codecs/edi/x12.h"

#include "bench/micro/bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_BYTES (1024 * KIB) /* larger than what the nearest caches hold */
#define FEED_BYTES   (64 * KIB)   /* what a file is read by */
#define LINES        40u          /* of one order */

enum shape { SHAPE_PLAIN, SHAPE_LINES, SHAPE_UMLAUTS, SHAPE_RELEASED, SHAPES };
static const char *const shapes[SHAPES] = {"plain", "lines", "umlauts", "released"};

/* An interchange of many orders, and what must be found in it. */
struct stream {
    uint8_t *bytes;
    size_t length, size;
    uint64_t segments; /* that are handed over */
    uint64_t messages;
    uint64_t elements; /* of those segments */
};

__attribute__((format(printf, 2, 3))) static void put(struct stream *stream, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int n =
        vsnprintf((char *)stream->bytes + stream->length, stream->size - stream->length, format, arguments);
    va_end(arguments);
    stream->length += (size_t)n;
}

/* One segment of a message: `elements` says how many it has behind its tag. */
#define PUT(stream, counted, ...)                                                                            \
    do {                                                                                                     \
        put(stream, __VA_ARGS__);                                                                            \
        (stream)->segments++;                                                                                \
        (stream)->elements += (counted);                                                                     \
    } while (0)

static struct stream stream_new(void) {
    struct stream stream = {.size = STREAM_BYTES + 16 * KIB};
    stream.bytes = bench_memory(stream.size);
    return stream;
}

/* ---- EDIFACT ---- */

static void order_edifact(struct stream *stream, enum shape shape, uint64_t number) {
    const char *end = shape == SHAPE_LINES ? "'\r\n" : "'";
    const char *name = "BOLT M8X40 ZINC PLATED";
    unsigned lines = LINES;
    if (shape == SHAPE_UMLAUTS)
        name = "SCHL\xdcSSEL GR\xd6\xdf"
               "E 8";
    else if (shape == SHAPE_RELEASED)
        name = "BOLT 3/8?' UNC ?+ NUT";
    put(stream, "UNH+%llu+ORDERS:D:96A:UN:EAN008%s", (unsigned long long)number, end);
    PUT(stream, 3, "BGM+220+PO%llu+9%s", (unsigned long long)number, end);
    PUT(stream, 1, "DTM+137:20260901:102%s", end);
    PUT(stream, 2, "NAD+BY+4012345000009::9%s", end);
    PUT(stream, 2, "NAD+SU+4098765000009::9%s", end);
    for (unsigned line = 1; line <= lines; line++) {
        PUT(stream, 3, "LIN+%u++%013llu:EN%s", line,
            (unsigned long long)(bench_mix(number + line) % 1000000000000), end);
        PUT(stream, 3, "IMD+F++:::%s%s", name, end);
        PUT(stream, 1, "QTY+21:%llu:PCE%s", (unsigned long long)(bench_mix(line) % 5000), end);
        PUT(stream, 1, "PRI+AAA:%llu.%02u:CT%s", (unsigned long long)(bench_mix(line + 7) % 900), line % 100,
            end);
    }
    PUT(stream, 1, "UNS+S%s", end);
    PUT(stream, 1, "CNT+2:%u%s", lines, end);
    put(stream, "UNT+%u+%llu%s", 4 + 4 * lines + 4, (unsigned long long)number, end);
    stream->messages++;
}

static struct stream stream_edifact(enum shape shape) {
    struct stream stream = stream_new();
    put(&stream, "UNA:+.? 'UNB+UNOC:3+4012345000009:14+4098765000009:14+260901:0605+REF1'");
    while (stream.length < STREAM_BYTES)
        order_edifact(&stream, shape, stream.messages + 1);
    put(&stream, "UNZ+%llu+REF1'", (unsigned long long)stream.messages);
    return stream;
}

/* ---- X12 ---- */

static void order_x12(struct stream *stream, enum shape shape, uint64_t number) {
    const char *end = shape == SHAPE_LINES ? "~\r\n" : "~";
    put(stream, "ST*850*%04llu%s", (unsigned long long)number, end);
    PUT(stream, 5, "BEG*00*SA*PO%llu**20260901%s", (unsigned long long)number, end);
    PUT(stream, 4, "N1*BY*BUYER*92*4012345%s", end);
    PUT(stream, 4, "N1*ST*WAREHOUSE 7*92*4098765%s", end);
    for (unsigned line = 1; line <= LINES; line++) {
        PUT(stream, 9, "PO1*%u*%llu*EA*%llu.%02u*PE*VP*%08llu*BP*%06llu%s", line,
            (unsigned long long)(bench_mix(line) % 5000), (unsigned long long)(bench_mix(line + 7) % 900),
            line % 100, (unsigned long long)(bench_mix(number + line) % 100000000),
            (unsigned long long)(bench_mix(line) % 1000000), end);
        PUT(stream, 5, "PID*F****BOLT M8X40 ZINC PLATED%s", end);
        PUT(stream, 2, "DTM*002*20260915%s", end);
    }
    PUT(stream, 1, "CTT*%u%s", LINES, end);
    put(stream, "SE*%u*%04llu%s", 4 + 3 * LINES + 2, (unsigned long long)number, end);
    stream->messages++;
}

static struct stream stream_x12(enum shape shape) {
    struct stream stream = stream_new();
    put(&stream, "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *260901*0605*U*00401*"
                 "000000001*0*P*>~GS*PO*SENDER*RECEIVER*20260901*0605*1*X*004010~");
    while (stream.length < STREAM_BYTES)
        order_x12(&stream, shape, stream.messages + 1);
    put(&stream, "GE*%llu*1~IEA*1*000000001~", (unsigned long long)stream.messages);
    return stream;
}

/* ---- what is counted ---- */

struct count {
    uint64_t segments, messages, elements, findings;
};

static void count_begin(void *context, enum document_scope scope, const struct document_head *head) {
    (void)context, (void)scope, (void)head;
}

static void count_segment(void *context, const struct segment *segment) {
    struct count *count = context;
    count->segments++;
    count->elements += segment->elements[segment->element_count - 1].number;
}

static void count_end(void *context, enum document_scope scope, const struct document_tail *tail) {
    struct count *count = context;
    count->messages += scope == DOCUMENT_MESSAGE && tail->errors == 0;
}

static void count_finding(void *context, const struct finding *finding) {
    struct count *count = context;
    (void)finding;
    count->findings++;
}

static struct document_sink count_sink(struct count *count) {
    return (struct document_sink){.context = count,
                                  .begin = count_begin,
                                  .segment = count_segment,
                                  .end = count_end,
                                  .finding = count_finding};
}

static void count_check(struct bench_run *run, const struct count *count, const struct stream *stream,
                        uint64_t laps) {
    bench_equal(run, "segments", count->segments, laps * stream->segments);
    bench_equal(run, "messages without an error", count->messages, laps * stream->messages);
    bench_equal(run, "elements", count->elements, laps * stream->elements);
    bench_equal(run, "findings", count->findings, 0);
}

static size_t piece(const struct stream *stream, size_t at) {
    return stream->length - at < FEED_BYTES ? stream->length - at : FEED_BYTES;
}

/* ---- the benches ---- */

static void codec_edifact(struct bench_run *run) {
    struct stream stream = stream_edifact((enum shape)bench_value(run, "shape"));
    struct count count;
    struct document_sink sink = count_sink(&count);
    struct edifact_reader *reader;
    bench_must(edifact_create(&reader, &sink, NULL), "a reader of EDIFACT");
    while (bench_more(run)) {
        uint64_t laps = bench_whole(run, stream.segments);
        count = (struct count){0};
        bench_start(run);
        for (uint64_t lap = 0; lap < laps; lap++) {
            for (size_t at = 0; at < stream.length; at += piece(&stream, at))
                edifact_feed(reader, stream.bytes + at, piece(&stream, at));
            edifact_end(reader);
        }
        bench_stop(run);
        count_check(run, &count, &stream, laps);
    }
    bench_bytes(run, (double)stream.length / (double)stream.segments);
    edifact_destroy(reader);
    free(stream.bytes);
}

static void codec_x12(struct bench_run *run) {
    struct stream stream = stream_x12((enum shape)bench_value(run, "shape"));
    struct count count;
    struct document_sink sink = count_sink(&count);
    struct x12_reader *reader;
    bench_must(x12_create(&reader, &sink, NULL), "a reader of X12");
    while (bench_more(run)) {
        uint64_t laps = bench_whole(run, stream.segments);
        count = (struct count){0};
        bench_start(run);
        for (uint64_t lap = 0; lap < laps; lap++) {
            for (size_t at = 0; at < stream.length; at += piece(&stream, at))
                x12_feed(reader, stream.bytes + at, piece(&stream, at));
            x12_end(reader);
        }
        bench_stop(run);
        count_check(run, &count, &stream, laps);
    }
    bench_bytes(run, (double)stream.length / (double)stream.segments);
    x12_destroy(reader);
    free(stream.bytes);
}

const struct bench bench_edi[] = {
    {.name = "codec/edifact",
     .operation = "find, cut and check one segment of an EDIFACT interchange",
     .operations_least = 1000,
     .run = codec_edifact,
     .axes = {{.name = "shape", .words = shapes, .values = {{4, {0, 1, 2, 3}}}}}},
    {.name = "codec/x12",
     .operation = "find, cut and check one segment of an X12 interchange",
     .operations_least = 1000,
     .run = codec_x12,
     .axes = {{.name = "shape", .words = shapes, .values = {{2, {0, 1}}}}}},
    {0}};
