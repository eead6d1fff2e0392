/* fuzz: x12_feed, x12_end, functional_ack_sink */
// check: runs=30000 max_len=2048 timeout=5

/* A file; its first byte says where it is split. Whole, in two pieces and in pieces of one size the reader
 * says the same; scopes are nested, places are inside the file, text is UTF-8. What is answered is an
 * interchange whose form is right. */
#include "codecs/edi/functional_ack.h"
#include "codecs/edi/x12.h"

#include "tests/fuzz/edi_calls.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Alone in memory: a look beyond it shows. */
static void feed(struct x12_reader *reader, const uint8_t *bytes, size_t n) {
    uint8_t *alone = malloc(n > 0 ? n : 1);
    CHECK(alone);
    if (n > 0)
        memcpy(alone, bytes, n);
    x12_feed(reader, alone, n);
    free(alone);
}

static struct calls read_in(const uint8_t *bytes, size_t n, size_t first, size_t piece) {
    struct profile profile = {.segment_max = 300, .segments_max = 30, .messages_max = 6, .findings_max = 40};
    struct calls calls;
    struct document_sink sink = calls_sink(&calls, n);
    struct x12_reader *reader;
    CHECK(x12_create(&reader, &sink, &profile) == 0);
    feed(reader, bytes, first);
    for (size_t at = first; at < n; at += piece)
        feed(reader, bytes + at, n - at < piece ? n - at : piece);
    x12_end(reader);
    for (unsigned scope = 0; scope < 4; scope++)
        CHECK(calls.open[scope] == 0);
    x12_destroy(reader);
    return calls;
}

/* What the answer copies may be missing; its form may not be wrong. */
static void form_found(void *context, const struct finding *finding) {
    (void)context;
    CHECK(finding->code == FINDING_X12_MISSING);
}

static void answered(void *context, const char *text, size_t length) {
    struct calls calls;
    struct document_sink sink = calls_sink(&calls, length);
    struct x12_reader *reader;
    (void)context;
    sink.finding = form_found;
    CHECK(x12_create(&reader, &sink, NULL) == 0);
    feed(reader, (const uint8_t *)text, length);
    x12_end(reader);
    x12_destroy(reader);
}

static void answer(const uint8_t *bytes, size_t n, enum functional_ack_kind kind) {
    struct functional_ack_options options = {
        .date = "20260902", .time = "1412", .number = 1, .kind = kind, .technical = true, .done = answered};
    struct functional_ack *ack;
    struct x12_reader *reader;
    CHECK(functional_ack_create(&ack, &options) == 0);
    struct document_sink sink = functional_ack_sink(ack);
    CHECK(x12_create(&reader, &sink, NULL) == 0);
    feed(reader, bytes, n);
    x12_end(reader);
    x12_destroy(reader);
    functional_ack_destroy(ack);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    size_t n = size - 1;
    size_t split = n > 0 ? data[0] * n / 256 : 0;
    struct calls whole = read_in(data + 1, n, n, 1);
    struct calls two = read_in(data + 1, n, split, n - split + 1);
    struct calls many = read_in(data + 1, n, 0, data[0] % 16 + 1u);
    CHECK(whole.count == two.count && whole.hash == two.hash);
    CHECK(whole.count == many.count && whole.hash == many.hash);
    answer(data + 1, n, FUNCTIONAL_ACK_997 + data[0] % 2);
    return 0;
}
