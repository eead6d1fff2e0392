/* A gathered send over TCP: when small pieces are better copied together than named one by one, and how many
 * bytes one send should carry. */
#include "bench/micro/bench.h"
#include "bench/micro/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define ROUND_BYTES                                                                                          \
    (64 * KIB) /* sent before the other end is drained: pages that go round stay in the cache */

struct pieces {
    uint8_t *source; /* owns: what the slices point to, as a log's data would be */
    uint64_t source_bytes;
    uint8_t *staging; /* owns */
    uint64_t piece, count;
    uint64_t at; /* where the next slice begins */
    bool copies;
    struct iovec iov[SEND_IOV_MAX]; /* of the send that is being made */
    uint64_t iov_count;
    uint64_t unfinished; /* sends of this sample that the socket did not take as a whole */
};

/* Scattered slices: every other stretch of the ring belongs to somebody else's route. */
static const uint8_t *pieces_next(struct pieces *pieces) {
    if (pieces->at + pieces->piece > pieces->source_bytes)
        pieces->at = 0;
    const uint8_t *bytes = pieces->source + pieces->at;
    pieces->at += 2 * pieces->piece;
    return bytes;
}

/* Makes ready what the next send carries; the copying is part of what is measured. */
static void pieces_gather(struct pieces *pieces) {
    uint64_t used = 0;
    for (uint64_t i = 0; i < pieces->count; i++) {
        const uint8_t *bytes = pieces_next(pieces);
        if (pieces->copies) {
            memcpy(pieces->staging + used, bytes, pieces->piece);
            used += pieces->piece;
        } else {
            pieces->iov[i] = (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = pieces->piece};
        }
    }
    if (pieces->copies)
        pieces->iov[0] = (struct iovec){.iov_base = pieces->staging, .iov_len = used};
    pieces->iov_count = pieces->copies ? 1 : pieces->count;
}

/* One send of what is ready; returns the bytes taken. */
static size_t pieces_send(struct pieces *pieces, int fd) {
    struct msghdr message = {.msg_iov = pieces->iov, .msg_iovlen = pieces->iov_count};
    ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EAGAIN)
        return 0;
    bench_must(sent < 0 ? -errno : 0, "sending");
    return (size_t)sent;
}

/* The socket took only the first `taken` bytes: the rest follows as the other end is drained. Returns what
 * was drained. */
static size_t pieces_rest(struct pieces *pieces, struct link *link, size_t taken, uint64_t *sum) {
    size_t drained = 0;
    for (;;) {
        struct iovec *iov = pieces->iov;
        for (; pieces->iov_count > 0 && taken >= iov->iov_len; iov++, pieces->iov_count--)
            taken -= iov->iov_len;
        if (pieces->iov_count == 0)
            return drained;
        memmove(pieces->iov, iov, pieces->iov_count * sizeof *iov);
        pieces->iov[0].iov_base = (uint8_t *)pieces->iov[0].iov_base + taken;
        pieces->iov[0].iov_len -= taken;
        drained += link_drain(link, sum);
        taken = pieces_send(pieces, link->from);
    }
}

/* So many sends. One that the socket does not take as a whole is finished outside of what is counted. */
static size_t pieces_round(struct bench_run *run, struct pieces *pieces, struct link *link, uint64_t sends) {
    size_t bytes = pieces->piece * pieces->count;
    size_t drained = 0;
    bench_start(run);
    for (uint64_t i = 0; i < sends; i++) {
        pieces_gather(pieces);
        size_t taken = pieces_send(pieces, link->from);
        if (taken == bytes)
            continue;
        bench_stop(run);
        pieces->unfinished++;
        drained += pieces_rest(pieces, link, taken, NULL);
        bench_start(run);
    }
    bench_stop(run);
    return drained + link_drain(link, NULL);
}

/* Sends until `operations` pieces have gone, drained by the same thread in between, which is not counted. */
static void pieces_measure(struct bench_run *run, struct pieces *pieces, struct link *link) {
    uint64_t bytes = pieces->piece * pieces->count;
    uint64_t per_round = bytes < ROUND_BYTES ? ROUND_BYTES / bytes : 1;
    while (bench_more(run)) {
        uint64_t sends = bench_whole(run, pieces->count);
        uint64_t received = 0;
        pieces->unfinished = 0;
        for (uint64_t done = 0; done < sends; done += per_round)
            received += pieces_round(run, pieces, link, sends - done < per_round ? sends - done : per_round);
        while (received < sends * bytes)
            received += link_drain(link, NULL);
        bench_equal(run, "bytes received", received, sends * bytes);
        bench_figure(run, "taken_at_once", 1 - (double)pieces->unfinished / (double)sends);
    }
    bench_bytes(run, (double)pieces->piece);
}

static struct pieces pieces_new(uint64_t source_bytes, uint64_t piece, uint64_t count, bool copies) {
    struct pieces pieces = {.source = bench_memory(source_bytes),
                            .source_bytes = source_bytes,
                            .staging = bench_memory(SEND_BYTES_MAX),
                            .piece = piece,
                            .count = count,
                            .copies = copies};
    for (uint64_t i = 0; i < source_bytes; i += sizeof(uint64_t)) {
        uint64_t word = bench_mix(i);
        memcpy(pieces.source + i, &word, sizeof word);
    }
    return pieces;
}

/* One more send, whose bytes are compared: the sum of what is sent is the sum of what comes. */
static void pieces_compare(struct bench_run *run, struct pieces *pieces, struct link *link) {
    uint64_t want = 0;
    uint64_t sum = 0;
    uint64_t at = pieces->at;
    for (uint64_t i = 0; i < pieces->count; i++) {
        const uint8_t *bytes = pieces_next(pieces);
        for (uint64_t j = 0; j < pieces->piece; j++)
            want += bytes[j];
    }
    pieces->at = at;
    pieces_gather(pieces);
    size_t got = pieces_rest(pieces, link, pieces_send(pieces, link->from), &sum);
    while (got < pieces->piece * pieces->count)
        got += link_drain(link, &sum);
    bench_equal(run, "the sum of the bytes received", sum, want);
}

static void send_pieces(struct bench_run *run) {
    uint64_t piece = bench_value(run, "piece_bytes");
    uint64_t count = SEND_BYTES_MAX / piece < SEND_IOV_MAX ? SEND_BYTES_MAX / piece : SEND_IOV_MAX;
    uint64_t source = bench_is(run, "source", "cached") ? 512 * KIB : 64 * MIB;
    struct pieces pieces = pieces_new(source, piece, count, bench_is(run, "how", "copied"));
    struct link link = link_open();
    pieces_measure(run, &pieces, &link);
    pieces_compare(run, &pieces, &link);
    link_close(&link);
    free(pieces.source);
    free(pieces.staging);
}

static void send_size(struct bench_run *run) {
    uint64_t bytes = bench_value(run, "send_bytes");
    struct pieces pieces = pieces_new(64 * MIB, bytes, 1, false);
    struct link link = link_open();
    pieces_measure(run, &pieces, &link);
    pieces_compare(run, &pieces, &link);
    link_close(&link);
    free(pieces.source);
    free(pieces.staging);
}

static const char *const hows[] = {"copied", "iovec"};
static const char *const sources[] = {"cached", "memory"};

const struct bench bench_send[] = {
    {.name = "crossover/pieces",
     .operation =
         "one piece of a gathered send: copied together with the others, or named by an iovec of its own",
     .operations_least = 64,
     .run = send_pieces,
     .plot_over = "piece_bytes",
     .limit_name = "SEND_COPY_MAX",
     .limit = SEND_COPY_MAX,
     .axes = {{.name = "piece_bytes",
               .values = {{2, {128, 4096}},
                          {5, {128, 512, 1024, 2048, 8192}},
                          {9, {64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384}}}},
              {.name = "source", .words = sources, .values = {{1, {0}}, {2, {0, 1}}}},
              {.name = "how", .words = hows, .values = {{2, {0, 1}}}}}},
    {.name = "crossover/send",
     .operation = "one send of so many bytes in one piece",
     .operations_least = 8,
     .run = send_size,
     .plot_over = "send_bytes",
     .limit_name = "SEND_BYTES_MAX",
     .limit = SEND_BYTES_MAX,
     .axes = {{.name = "send_bytes",
               .values = {{2, {128, 65536}},
                          {6, {128, 1024, 8192, 65536, 262144, 1048576}},
                          {10, {128, 1024, 4096, 8192, 32768, 65536, 131072, 262144, 524288, 1048576}}}}}},
    {0}};
