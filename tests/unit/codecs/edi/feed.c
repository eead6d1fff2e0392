#include "tests/unit/codecs/edi/feed.h"

#include "codecs/edi/edifact.h"
#include "codecs/edi/x12.h"
#include "tests/unit/codecs/golden.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* One of both. */
struct feed {
    struct edifact_reader *edifact;
    struct x12_reader *x12;
};

static struct feed feed_begin(enum feed_format format, const struct document_sink *sink,
                              const struct profile *profile) {
    struct feed feed = {0};
    int result = format == FEED_EDIFACT ? edifact_create(&feed.edifact, sink, profile)
                                        : x12_create(&feed.x12, sink, profile);
    cr_assert_eq(result, 0);
    return feed;
}

static void put(struct feed *feed, const uint8_t *bytes, size_t n) {
    uint8_t *alone = golden_alone(bytes, n);
    if (feed->edifact)
        edifact_feed(feed->edifact, alone, n);
    else
        x12_feed(feed->x12, alone, n);
    free(alone);
}

static void end(struct feed *feed) {
    if (feed->edifact)
        edifact_end(feed->edifact);
    else
        x12_end(feed->x12);
    edifact_destroy(feed->edifact);
    x12_destroy(feed->x12);
}

struct trace *feed_split(enum feed_format format, const struct profile *profile, const uint8_t *bytes,
                         size_t n, size_t at) {
    struct trace *trace = calloc(1, sizeof *trace);
    cr_assert(trace);
    struct document_sink sink = trace_sink(trace);
    struct feed feed = feed_begin(format, &sink, profile);
    put(&feed, bytes, at);
    put(&feed, bytes + at, n - at);
    end(&feed);
    for (unsigned scope = 0; scope < 4; scope++)
        cr_assert_eq(trace->begun[scope], trace->ended[scope], "a scope did not end");
    return trace;
}

struct trace *feed_whole(enum feed_format format, const struct profile *profile, const uint8_t *bytes,
                         size_t n) {
    return feed_split(format, profile, bytes, n, n);
}

struct trace *feed_text(enum feed_format format, const struct profile *profile, const char *text) {
    return feed_whole(format, profile, (const uint8_t *)text, strlen(text));
}

struct trace *feed_pieces(enum feed_format format, const struct profile *profile, const uint8_t *bytes,
                          size_t n, size_t piece) {
    struct trace *trace = calloc(1, sizeof *trace);
    cr_assert(trace);
    struct document_sink sink = trace_sink(trace);
    struct feed feed = feed_begin(format, &sink, profile);
    for (size_t at = 0; at < n; at += piece)
        put(&feed, bytes + at, n - at < piece ? n - at : piece);
    end(&feed);
    return trace;
}

void feed_free(struct trace *trace) {
    trace_free(trace);
    free(trace);
}

bool feed_same(const struct trace *a, const struct trace *b) {
    return a->length == b->length && (a->length == 0 || memcmp(a->text, b->text, a->length) == 0);
}
