/* What tables, IDocs and records of fixed width pass through before they are events. */
#include "codecs/idoc/idoc.h"
#include "codecs/table/csv.h"
#include "codecs/table/fixed.h"

#include "bench/micro/bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_BYTES (1024 * KIB) /* larger than what the nearest caches hold */
#define FEED_BYTES   (64 * KIB)   /* what a file is read by */
#define LINES        40u          /* of one order */

/* A file of many orders, and what must be found in it. */
struct stream {
    uint8_t *bytes;
    size_t length, size;
    uint64_t segments, messages, values;
};

__attribute__((format(printf, 2, 3))) static void put(struct stream *stream, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int n =
        vsnprintf((char *)stream->bytes + stream->length, stream->size - stream->length, format, arguments);
    va_end(arguments);
    stream->length += (size_t)n;
}

static struct stream stream_new(void) {
    struct stream stream = {.size = STREAM_BYTES + 64 * KIB};
    stream.bytes = bench_memory(stream.size);
    return stream;
}

/* ---- what is counted ---- */

struct count {
    uint64_t segments, messages, values, findings;
};

static void count_begin(void *context, enum document_scope scope, const struct document_head *head) {
    (void)context, (void)scope, (void)head;
}

static void count_segment(void *context, const struct segment *segment) {
    struct count *count = context;
    count->segments++;
    count->values += segment->component_count;
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

/* One operation is one file, fed in parts. */
static void stream_read(struct bench_run *run, struct stream *stream, struct count *count, void *reader,
                        void (*feed)(void *reader, const uint8_t *bytes, size_t length),
                        void (*end)(void *reader)) {
    while (bench_more(run)) {
        *count = (struct count){0};
        bench_start(run);
        for (uint64_t i = 0; i < run->operations; i++) {
            for (size_t at = 0; at < stream->length; at += FEED_BYTES)
                feed(reader, stream->bytes + at,
                     stream->length - at < FEED_BYTES ? stream->length - at : FEED_BYTES);
            end(reader);
        }
        bench_stop(run);
        bench_equal(run, "findings", count->findings, 0);
        bench_equal(run, "messages", count->messages, run->operations * stream->messages);
        bench_equal(run, "segments", count->segments, run->operations * stream->segments);
        bench_equal(run, "values", count->values, run->operations * stream->values);
    }
    bench_bytes(run, (double)stream->length);
    free(stream->bytes);
}

/* ---- IDocs ---- */

static const char *const idoc_shapes[] = {"cut", "full", "fixed"};

/* A record, as long as its text, or as SAP's largest. */
static void put_record(struct stream *stream, uint64_t shape, unsigned full, const char *text) {
    if (shape == 0)
        put(stream, "%s\r\n", text);
    else
        put(stream, "%-*s%s", (int)full, text, shape == 1 ? "\n" : "");
    stream->segments++;
}

static void put_data(struct stream *stream, uint64_t shape, const char *name, unsigned *number,
                     unsigned parent, unsigned level, uint64_t document, unsigned values, const char *data) {
    char text[1100];
    snprintf(text, sizeof text, "%-30s100%016llu%06u%06u%02u%s", name, (unsigned long long)document,
             ++*number, parent, level, data);
    put_record(stream, shape, 1063, text);
    stream->values += values;
}

static void order_idoc(struct stream *stream, uint64_t shape) {
    char text[1100];
    uint64_t document = ++stream->messages;
    unsigned number = 0;
    snprintf(text, sizeof text,
             "%-10s100%016llu740 3012  %-30s%-30s%-30s%49s%-10s%-2s%-2s%-10s%101s%-10s%216s%s", "EDI_DC40",
             (unsigned long long)document, "ORDERS05", "", "ORDERS", "", "SAPPRD", "LS", "", "PRDCLNT100", "",
             "HUB", "", "");
    text[524] = 0;
    put_record(stream, shape, 524, text);
    stream->values += 12;
    put_data(stream, shape, "E2EDK01005", &number, 0, 1, document, 1, "    EUR");
    put_data(stream, shape, "E2EDKA1003", &number, 0, 2, document, 3,
             "AG 0000004711                        Stadtwerke Musterstadt");
    put_data(stream, shape, "E2EDK02", &number, 0, 2, document, 3,
             "001PO4711                             000000");
    for (unsigned line = 1; line <= LINES; line++) {
        snprintf(text, sizeof text, "%06u     %-15llu%-3s%25s%-15u", line * 10,
                 (unsigned long long)(bench_mix(line) % 5000), "PCE", "", line);
        put_data(stream, shape, "E2EDP01008", &number, 0, 2, document, 4, text);
        unsigned item = number;
        snprintf(text, sizeof text, "003%013llu%22sBolt M8x40 zinc plated",
                 (unsigned long long)(bench_mix(document + line) % 1000000000000), "");
        put_data(stream, shape, "E2EDP19002", &number, item, 3, document, 3, text);
        put_data(stream, shape, "E2EDP20001", &number, item, 3, document, 2,
                 "12.000                        20260915");
    }
    put_data(stream, shape, "E2EDS01", &number, 0, 2, document, 2, "00140");
}

static void feed_idoc(void *reader, const uint8_t *bytes, size_t length) {
    idoc_feed(reader, bytes, length);
}

static void end_idoc(void *reader) {
    idoc_end(reader);
}

static void idoc_bench(struct bench_run *run) {
    struct stream stream = stream_new();
    struct layouts layouts = {0};
    struct layout_error error;
    struct count count;
    while (stream.length < STREAM_BYTES - 160 * KIB)
        order_idoc(&stream, bench_value(run, "framing"));
    bench_must(idoc_layouts(&layouts, &error), "the layouts");
    struct document_sink sink = count_sink(&count);
    struct idoc *idoc = idoc_new(&layouts, NULL, &sink);
    bench_must(idoc ? 0 : -1, "a reader");
    stream_read(run, &stream, &count, idoc, feed_idoc, end_idoc);
    idoc_free(idoc);
    layouts_free(&layouts);
}

/* ---- CSV ---- */

static const char *const csv_shapes[] = {"plain", "quoted", "typed", "umlauts", "windows-1252"};

static const char *const dialects[] = {
    "dialect plain\nmessage ORDER row\n",
    "dialect quoted\nmessage ORDER row\n",
    "dialect typed\ndelimiter ;\ndecimal ,\nthousands .\nmessage ORDER key order\nhead HEAD\n"
    "column order\ncolumn date date dd.mm.yyyy\ncolumn item\ncolumn gtin gtin\ncolumn quantity "
    "number\ncolumn unit\n"
    "column price number\ncolumn currency\n",
    "dialect umlauts\nmessage ORDER row\n",
    "dialect windows\ncharset windows-1252\nmessage ORDER row\n",
};

static void row_csv(struct stream *stream, uint64_t shape, uint64_t row) {
    uint64_t quantity = bench_mix(row) % 5000, gtin = 4012345000000 + bench_mix(row + 7) % 1000000;
    unsigned long long q = quantity, g = gtin, order = 100000 + row / LINES;
    const char *name = shape == 3   ? "Schl\xC3\xBCssel gro\xC3\x9F"
                       : shape == 4 ? "Schl\xFCssel gro\xDF"
                                    : "Bolt M8x40";
    stream->segments++;
    stream->values += 8;
    if (shape == 1)
        put(stream,
            "\"%llu\",\"2026-09-01\",\"Bolt, "
            "\"\"M8\"\"x40\",\"%llu\",\"%llu\",\"PCE\",\"%llu.90\",\"EUR\"\r\n",
            order, g, q, q % 900);
    else if (shape == 2)
        put(stream, "%llu;01.09.2026;%s;%llu;1.%03llu,5;PCE;%llu,90;EUR\r\n", order, name, g, q % 1000,
            q % 900);
    else
        put(stream, "%llu,2026-09-01,%s,%llu,%llu,PCE,%llu.90,EUR\n", order, name, g, q, q % 900);
    if (shape == 2 && row % LINES == 0) { /* its head */
        stream->messages++;
        stream->segments++;
        stream->values += 8;
    }
    stream->messages += shape != 2;
}

static void feed_csv(void *reader, const uint8_t *bytes, size_t length) {
    csv_feed(reader, bytes, length);
}

static void end_csv(void *reader) {
    csv_end(reader);
}

static void csv_bench(struct bench_run *run) {
    struct stream stream = stream_new();
    struct dialect dialect;
    struct layout_error error;
    struct count count;
    uint64_t shape = bench_value(run, "shape");
    const char *mark = shape == 2 ? ";" : ",";
    put(&stream, "order%sdate%sitem%sgtin%squantity%sunit%sprice%scurrency\n", mark, mark, mark, mark, mark,
        mark, mark);
    for (uint64_t row = 0; stream.length < STREAM_BYTES; row++)
        row_csv(&stream, shape, row);
    bench_must(dialect_read(&dialect, dialects[shape], strlen(dialects[shape]), &error), "the dialect");
    struct document_sink sink = count_sink(&count);
    struct csv *csv = csv_new(&dialect, NULL, &sink);
    bench_must(csv ? 0 : -1, "a reader");
    stream_read(run, &stream, &count, csv, feed_csv, end_csv);
    csv_free(csv);
    dialect_free(&dialect);
}

/* ---- fixed width ---- */

static const char *const fixed_shapes[] = {"text", "ascii", "ebcdic", "packed"};

/* Accounts as COBOL keeps them: 300 bytes, of which 178 are blank. */
static const char fields_zoned[] =
    "record ACCOUNT length 300\nfield ID + 11 9\nfield STATUS + 1\nfield BALANCE + 12 S9V2\n"
    "field LIMIT + 12 S9V2\nfield OPENED + 10 D yyyy-mm-dd\nfield GROUP + 10\n";
static const char fields_packed[] =
    "record ACCOUNT length 60\nfield ID + 11 9\nfield STATUS + 1\nfield BALANCE + 7 S9V2 "
    "comp-3\nfield LIMIT + 4 S9V2 comp\nfield OPENED + 10 D yyyy-mm-dd\nfield GROUP + 10\n";
static const char fields_text[] =
    "message ORDER each\nrecord ITEM length 120\nfield ORDER 1 10\nfield ITEM 11 6 9\n"
    "field GTIN 17 14 9\nfield NAME 31 40\nfield QUANTITY 71 12 N\nfield PRICE 83 12 N\n"
    "field UNIT 95 3\n";

static void ebcdic_put(uint8_t *bytes, size_t length) {
    static uint8_t table[128];
    for (uint32_t c = 0; table['~'] == 0 && c < 128; c++)
        table[c] = codepage_byte(CODEPAGE_037, (char)c);
    for (size_t i = 0; i < length; i++)
        bytes[i] = table[bytes[i] & 0x7F];
}

static void record_fixed(struct stream *stream, uint64_t shape, uint64_t number) {
    unsigned long long n = number, balance = bench_mix(number) % 1000000000;
    size_t at = stream->length;
    stream->segments++;
    stream->messages++;
    stream->values += shape == 0 ? 7 : 6;
    if (shape == 0) {
        put(stream, "%010llu%06llu%014llu%-40s%12llu%9llu.90%-3s%-23s\n", n, n % 100 * 10,
            4012345000000 + balance, "Bolt M8x40 zinc plated", balance % 5000, balance % 900, "PCE", "");
    } else if (shape < 3) {
        put(stream, "%011lluY%011llu%c%011llu{2026-09-01%-10s%244s", n, balance,
            (int)(number % 2 ? 'J' : 'D'), balance / 3, "A000000000", "");
        if (shape == 2)
            ebcdic_put(stream->bytes + at, stream->length - at);
        else
            put(stream, "\n");
    } else {
        put(stream, "%011lluY%11s2026-09-01%-10s%17s", n, "", "A000000000", "");
        ebcdic_put(stream->bytes + at, stream->length - at);
        uint8_t *packed = stream->bytes + at + 12;
        for (int i = 0; i < 6; i++)
            packed[i] = (uint8_t)((balance >> i & 7) << 4 | number % 10);
        packed[6] = 0x2D;
        memcpy(packed + 7, "\x00\x01\xE2\x40", 4);
    }
}

static void feed_fixed(void *reader, const uint8_t *bytes, size_t length) {
    fixed_feed(reader, bytes, length);
}

static void end_fixed(void *reader) {
    fixed_end(reader);
}

static void fixed_bench(struct bench_run *run) {
    struct stream stream = stream_new();
    struct layouts layouts = {0};
    struct layout_error error;
    struct count count;
    uint64_t shape = bench_value(run, "shape");
    char layout[1024];
    for (uint64_t number = 1; stream.length < STREAM_BYTES; number++)
        record_fixed(&stream, shape, number);
    int length = snprintf(layout, sizeof layout, "layout accounts\n%s%s",
                          shape == 2   ? "file length 300\ncharset cp037\n"
                          : shape == 3 ? "file length 60\ncharset cp037\n"
                                       : "",
                          shape == 0   ? fields_text
                          : shape == 3 ? fields_packed
                                       : fields_zoned);
    bench_must(layouts_add(&layouts, layout, (size_t)length, &error), "the layout");
    struct document_sink sink = count_sink(&count);
    struct fixed *fixed = fixed_new(&layouts, NULL, &sink);
    bench_must(fixed ? 0 : -1, "a reader");
    stream_read(run, &stream, &count, fixed, feed_fixed, end_fixed);
    fixed_free(fixed);
    layouts_free(&layouts);
}

#define EVERYWHERE(axis, names, count)                                                                       \
    {                                                                                                        \
        axis, names, {                                                                                       \
            [BENCH_CHECK] = { count, {0, 1, 2, 3, 4} }                                                       \
        }                                                                                                    \
    }

const struct bench bench_table[] = {
    {.name = "codec/idoc",
     .operation = "read 1 MiB of flat IDocs with 40 items each",
     .operations_least = 1,
     .run = idoc_bench,
     .axes = {EVERYWHERE("framing", idoc_shapes, 3)}},
    {.name = "codec/csv",
     .operation = "read 1 MiB of a table with 8 columns",
     .operations_least = 1,
     .run = csv_bench,
     .axes = {EVERYWHERE("shape", csv_shapes, 5)}},
    {.name = "codec/fixed",
     .operation = "read 1 MiB of records of fixed width",
     .operations_least = 1,
     .run = fixed_bench,
     .axes = {EVERYWHERE("shape", fixed_shapes, 4)}},
    {0},
};
