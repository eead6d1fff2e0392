/* The output of a connection: what is sent is the list's bytes in their order, in whatever pieces the kernel
 * takes them, and going back loses nothing that has been begun. */
#include "tests/unit/leaks.h"
#include "tests/unit/refuse.h"

#include "core/conn/output.c"

#include <criterion/criterion.h>
#include <signal.h>

#define LOGS          2u
#define PARTS_MAX     64u
#define STREAM_MAX    (1u << 20)
#define POSITION_SIZE 5u

/* What an output should hold: records and private frames, in order. */
struct part {
    uint16_t log; /* OUTPUT_PRIVATE or the log's number */
    uint64_t position;
    uint32_t length;
    uint32_t position_at;
    const uint8_t *bytes;
};

struct world {
    struct log *logs[LOGS];
    struct log_view views[LOGS];
    const struct log_view *view[OUTPUT_VIEWS];
    struct output_pool pool;
    struct output output;
    struct staging staging;
    struct part parts[PARTS_MAX];
    uint32_t count;
    uint32_t total;
};

static struct log *log_new(uint16_t number, uint64_t data) {
    struct log_config config = {.number = number, .data_bytes = data, .records = 1024};
    struct log *log = NULL;
    cr_assert(log_create(&log, &config) == 0);
    return log;
}

static void world_log(struct world *world, uint16_t i) {
    world->logs[i] = log_new(i, 1 << 20);
    world->views[i] = log_view_of(world->logs[i]);
    world->view[i] = &world->views[i];
}

static void world_start(struct world *world, uint32_t items) {
    *world = (struct world){0};
    for (uint16_t i = 0; i < LOGS; i++)
        world_log(world, i);
    world->staging.bytes = malloc(STAGING_BYTES);
    cr_assert(world->staging.bytes != NULL && output_pool_init(&world->pool, items) == 0);
}

static void world_stop(struct world *world) {
    output_deinit(&world->output, &world->pool);
    output_pool_deinit(&world->pool);
    for (unsigned i = 0; i < LOGS; i++)
        log_destroy(world->logs[i]);
    free(world->staging.bytes);
    *world = (struct world){0};
    LEAKS_NONE();
}

/* Bytes that differ from one record to the next, and within one. */
static uint8_t record_byte(uint16_t log, uint64_t position, uint32_t i) {
    return (uint8_t)(log * 101u + position * 37u + i * 11u + (i >> 8));
}

/* Appends and publishes one record; returns its position. */
static uint64_t record_new(struct log *log, uint32_t length) {
    uint8_t *out = NULL;
    uint64_t position = log_writer_next(log), retry_ns;
    cr_assert(log_writer_reserve(log, length, 0, &out, &retry_ns) == RING_OK);
    for (uint32_t i = 0; i < length; i++)
        out[i] = record_byte(log_number(log), position, i);
    log_writer_commit(log, length, log_flags(LOG_EVENT, 0, 0, 0), 1, 1);
    (void)log_writer_publish(log);
    return position;
}

static struct part *part_new(struct world *world, uint16_t log, uint32_t length, const uint8_t *bytes) {
    cr_assert(world->count < PARTS_MAX);
    struct part *part = &world->parts[world->count++];
    *part = (struct part){.log = log, .length = length, .bytes = bytes};
    world->total += length;
    return part;
}

/* A run of `count` records of a log. */
static void add_slice(struct world *world, uint16_t number, uint32_t count, uint32_t length) {
    struct log *log = world->logs[number];
    uint64_t first = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t position = record_new(log, length);
        first = i == 0 ? position : first;
        const struct log_entry *entry = log_entry_at(log, position);
        part_new(world, number, length, log_bytes_at(log, entry->offset))->position = position;
    }
    uint64_t offset = log_entry_at(log, first)->offset;
    cr_assert(output_slice(&world->output, &world->pool, number, first, offset, count * length) == 0);
}

/* A private frame; with `mendable`, its last POSITION_SIZE bytes are a Position. */
static void add_private(struct world *world, const char *text, bool mendable) {
    uint32_t length = (uint32_t)strlen(text), at = mendable ? length - POSITION_SIZE : 0;
    uint8_t *room = output_private(&world->output, length, (uint16_t)at);
    cr_assert(room != NULL);
    memcpy(room, text, length);
    part_new(world, OUTPUT_PRIVATE, length, (const uint8_t *)text)->position_at = at;
}

/* A bit of everything: runs, single records, large ones, another log, private frames. */
static void add_everything(struct world *world) {
    add_slice(world, 0, 3, 40);
    add_private(world, "a reply", false);
    add_slice(world, 1, 2, 30);
    add_private(world, "Subscribed: where", true);
    add_private(world, "Gap: place", true);
    add_slice(world, 0, 1, SEND_COPY_MAX);
    add_slice(world, 0, 2, 25);
    record_new(world->logs[0], 60); /* nothing for us: the next run is another item */
    add_slice(world, 0, 2, 50);
    add_private(world, "Pong", false);
    add_slice(world, 1, 1, SEND_COPY_MAX + 1);
}

/* The bytes that are left when `sent` of the parts' bytes are gone. */
static size_t stream_of(const struct world *world, uint64_t sent, uint8_t *out) {
    size_t length = 0;
    for (uint32_t i = 0; i < world->count; i++) {
        const struct part *part = &world->parts[i];
        uint64_t skip = sent < part->length ? sent : part->length;
        memcpy(out + length, part->bytes + skip, part->length - skip);
        length += part->length - (size_t)skip;
        sent -= skip;
    }
    return length;
}

static uint8_t wanted[STREAM_MAX], got[STREAM_MAX];

/* One gathered send as the kernel would see it. */
static size_t gather(struct world *world, uint8_t *out) {
    struct iovec iov[SEND_IOV_MAX];
    size_t length = 0;
    uint32_t pieces = output_gather(&world->output, world->view, &world->staging, iov);
    cr_assert(pieces <= SEND_IOV_MAX);
    for (uint32_t i = 0; i < pieces; i++) {
        memcpy(out + length, iov[i].iov_base, iov[i].iov_len);
        length += iov[i].iov_len;
    }
    cr_assert(length <= SEND_BYTES_MAX && length <= world->output.bytes);
    world->staging.used = 0;
    return length;
}

/* Everything that is in the output, taken out with sends of at most `most` bytes. */
static size_t drain(struct world *world, uint8_t *out, size_t most) {
    size_t length = 0, count;
    while ((count = gather(world, out + length)) > 0) {
        count = count < most ? count : most;
        output_sent(&world->output, &world->pool, count);
        length += count;
    }
    cr_assert(world->output.bytes == 0 && world->output.first == NULL && world->output.last == NULL);
    cr_assert(world->output.slices == 0 && world->output.private_length == 0 && world->pool.used == 0);
    cr_assert(world->output.private_bytes == NULL, "no bytes, no memory");
    return length;
}

static void expect_stream(struct world *world, size_t length, const char *when, uint64_t where) {
    size_t drained = drain(world, got, SIZE_MAX);
    cr_assert(drained == length, "%s %zu: %zu bytes, not %zu", when, (size_t)where, drained, length);
    cr_assert(memcmp(got, wanted, length) == 0, "%s %zu: other bytes", when, (size_t)where);
}

/* ---- the list and the pool ---- */

Test(output, grows_the_last_slice_that_a_run_continues) {
    struct world world;
    world_start(&world, 8);
    struct output *output = &world.output;
    cr_assert(output_slice(output, &world.pool, 0, 1, 0, 100) == 0);
    cr_assert(output_slice(output, &world.pool, 0, 3, 100, 50) == 0);
    cr_assert(world.pool.used == 1 && output->bytes == 150 && output->slices == 1 &&
              output->first->first == 1);
    cr_assert(output_slice(output, &world.pool, 0, 5, 151, 50) == 0, "a hole");
    cr_assert(output_slice(output, &world.pool, 1, 1, 201, 50) == 0, "another log");
    cr_assert(world.pool.used == 3 && output->slices == 3);
    cr_assert(output_private(output, 10, 0) != NULL);
    cr_assert(output_slice(output, &world.pool, 1, 2, 251, 50) == 0, "behind a frame");
    cr_assert(world.pool.used == 4 && output->slices == 4 && output->bytes == 310);
    cr_assert(world.pool.used_most == 4);
    world_stop(&world);
}

Test(output, does_not_let_one_item_grow_beyond_its_length_field) {
    struct world world;
    world_start(&world, 8);
    for (uint64_t i = 0; i < 5; i++)
        cr_assert(output_slice(&world.output, &world.pool, 0, 1 + i, i << 29, 1u << 29) == 0);
    cr_assert(world.pool.used == 3 && world.output.bytes == 5ull << 29);
    cr_assert(world.output.first->length == SLICE_LENGTH_MAX && world.output.last->length == 1u << 29);
    world_stop(&world);
}

Test(output, answers_when_the_pool_is_empty_and_still_takes_replies) {
    struct world world;
    world_start(&world, 1);
    add_slice(&world, 0, 1, 20);
    cr_assert(output_slice(&world.output, &world.pool, 1, 1, 0, 20) == -ENOBUFS);
    add_private(&world, "reply", false);
    add_private(&world, "Pong: place", true);
    cr_assert(world.output.bytes == 36 && world.output.slices == 1 && world.output.private_length == 16);
    cr_assert(world.pool.used == 1 && output_replies(&world.output) == 16);
    expect_stream(&world, stream_of(&world, 0, wanted), "with", 2);
    world_stop(&world);
}

Test(output, grows_a_slice_although_the_pool_is_empty) {
    struct world world;
    world_start(&world, 1);
    add_slice(&world, 0, 1, 20);
    add_slice(&world, 0, 3, 30);
    cr_assert(world.pool.used == 1 && world.pool.spare == NULL);
    size_t length = stream_of(&world, 0, wanted);
    cr_assert(length == 110);
    expect_stream(&world, length, "with", 1);
    world_stop(&world);
}

Test(output, pool_wants_everything_back, .signal = SIGABRT) {
    struct world world;
    world_start(&world, 2);
    add_slice(&world, 0, 1, 20);
    output_pool_deinit(&world.pool);
}

Test(output, survives_every_failed_allocation) {
    struct world world;
    struct output_pool none;
    refuse_at = 1;
    cr_assert(output_pool_init(&none, 10) == -ENOMEM);
    world_start(&world, 16);
    for (unsigned n = 1; n <= 2; n++) { /* the bytes, the item */
        refuse_at = n;
        cr_assert(output_private(&world.output, 7, 0) == NULL);
        cr_assert(world.output.first == NULL && world.output.bytes == 0);
    }
    add_private(&world, "reply", false);
    refuse_at = 1;
    cr_assert(output_private(&world.output, PRIVATE_BYTES_FIRST, 0) == NULL);
    cr_assert(world.output.bytes == 5 && refuse_refused == 4);
    expect_stream(&world, stream_of(&world, 0, wanted), "after", 4);
    world_stop(&world);
}

Test(output, private_frames_of_any_number_and_size_come_out_as_they_went_in) {
    struct world world;
    static char text[64][600];
    world_start(&world, 64);
    for (unsigned round = 0; round < 3; round++) {
        world.count = 0;
        for (unsigned i = 0; i < 64; i++) {
            size_t length = 1 + (i * 37 + round * 11) % 599;
            for (size_t j = 0; j < length; j++)
                text[i][j] = (char)('!' + (i * 7 + j) % 90);
            text[i][length] = '\0';
            add_private(&world, text[i], false);
        }
        size_t length = stream_of(&world, 0, wanted);
        cr_assert(world.output.private_length == length);
        cr_assert(drain(&world, got, 100 + round * 1000) == length && memcmp(got, wanted, length) == 0);
    }
    world_stop(&world);
}

/* ---- gathering and sending ---- */

Test(output, sends_the_same_bytes_in_every_split) {
    struct world world;
    world_start(&world, 16);
    add_everything(&world);
    uint32_t total = world.total;
    for (uint32_t sent = 0; sent <= total; sent++) {
        if (sent > 0) {
            world.count = world.total = 0;
            output_deinit(&world.output, &world.pool);
            add_everything(&world);
        }
        size_t length = stream_of(&world, 0, wanted);
        cr_assert(length == total && gather(&world, got) == total && memcmp(got, wanted, total) == 0);
        output_sent(&world.output, &world.pool, sent);
        cr_assert(world.output.bytes == total - sent);
        expect_stream(&world, stream_of(&world, sent, wanted), "behind", sent);
        if (log_writer_next(world.logs[0]) > 500) { /* fresh logs before they run full */
            for (uint16_t i = 0; i < LOGS; i++) {
                log_destroy(world.logs[i]);
                world_log(&world, (uint16_t)i);
            }
        }
    }
    world_stop(&world);
}

Test(output, sends_byte_by_byte_and_in_pieces_of_any_size) {
    for (size_t most = 1; most < 3000; most += 1 + most / 3) {
        struct world world;
        world_start(&world, 16);
        add_everything(&world);
        size_t length = stream_of(&world, 0, wanted);
        cr_assert(drain(&world, got, most) == length && memcmp(got, wanted, length) == 0, "pieces of %zu",
                  most);
        world_stop(&world);
    }
}

Test(output, copies_small_pieces_together_and_points_at_large_ones) {
    struct world world;
    struct iovec iov[SEND_IOV_MAX];
    world_start(&world, 16);
    add_everything(&world);
    cr_assert(output_gather(&world.output, world.view, &world.staging, iov) == 4);
    cr_assert(iov[0].iov_base == (void *)world.staging.bytes && iov[1].iov_len == SEND_COPY_MAX + 2 * 25);
    cr_assert(iov[3].iov_len == SEND_COPY_MAX + 1);
    uint32_t copied = world.total - (uint32_t)(iov[1].iov_len + iov[3].iov_len);
    cr_assert(world.staging.used == copied && world.staging.used_most == copied);
    cr_assert(output_gather(&world.output, world.view, &world.staging, iov) == 4, "it changes nothing");
    cr_assert(world.staging.used == 2 * copied && world.staging.used_most == 2 * copied);
    world_stop(&world);
}

Test(output, gathers_no_more_pieces_and_bytes_than_one_send_may_have) {
    struct world world;
    world_start(&world, 128);
    for (unsigned i = 0; i < 50; i++) {
        add_slice(&world, 0, 1, SEND_COPY_MAX);
        world.count = 0;
        add_slice(&world, 1, 1, SEND_COPY_MAX);
        world.count = 0;
    }
    cr_assert(gather(&world, got) == SEND_IOV_MAX * SEND_COPY_MAX);
    output_deinit(&world.output, &world.pool);
    for (unsigned i = 0; i < SEND_IOV_MAX; i++, world.count = 0)
        add_slice(&world, (uint16_t)(i % 2), 1, SEND_COPY_MAX);
    add_private(&world, "small", false);
    struct iovec iov[SEND_IOV_MAX + 1] = {{.iov_len = 0}};
    cr_assert(output_gather(&world.output, world.view, &world.staging, iov) == SEND_IOV_MAX);
    cr_assert(iov[SEND_IOV_MAX].iov_base == NULL && world.staging.used == 0);
    output_deinit(&world.output, &world.pool);
    uint64_t first = log_writer_next(world.logs[0]);
    const uint32_t length = 128 << 10;
    for (unsigned i = 0; i < SEND_BYTES_MAX / length + 1; i++)
        record_new(world.logs[0], length);
    uint64_t offset = log_entry_at(world.logs[0], first)->offset;
    cr_assert(output_slice(&world.output, &world.pool, 0, first, offset, SEND_BYTES_MAX + length) == 0);
    add_private(&world, "reply", false);
    cr_assert(gather(&world, got) == SEND_BYTES_MAX);
    cr_assert(memcmp(got, log_bytes_at(world.logs[0], offset), SEND_BYTES_MAX) == 0);
    output_sent(&world.output, &world.pool, SEND_BYTES_MAX);
    cr_assert(gather(&world, got) == length + 5);
    output_deinit(&world.output, &world.pool);
    cr_assert(output_slice(&world.output, &world.pool, 0, first, offset, SEND_BYTES_MAX) == 0);
    add_private(&world, "reply", false);
    cr_assert(output_gather(&world.output, world.view, &world.staging, iov) == 1, "no piece without bytes");
    world_stop(&world);
}

Test(output, says_when_staging_has_no_room) {
    struct world world;
    struct iovec iov[SEND_IOV_MAX];
    world_start(&world, 16);
    add_slice(&world, 0, 1, SEND_COPY_MAX);
    add_private(&world, "one", false);
    add_slice(&world, 1, 1, 100);
    world.staging.used = STAGING_BYTES - 3;
    cr_assert(output_gather(&world.output, world.view, &world.staging, iov) == 2, "what comes before fits");
    cr_assert(iov[1].iov_len == 3 && memcmp(iov[1].iov_base, "one", 3) == 0);
    output_sent(&world.output, &world.pool, SEND_COPY_MAX + 3);
    cr_assert(world.staging.used == STAGING_BYTES);
    cr_assert(output_gather(&world.output, world.view, &world.staging, iov) == 0);
    world.staging.used = 0;
    cr_assert(output_gather(&world.output, world.view, &world.staging, iov) == 1);
    world_stop(&world);
}

Test(output, is_told_of_no_more_bytes_than_it_has, .signal = SIGABRT) {
    struct world world;
    world_start(&world, 2);
    add_private(&world, "reply", false);
    output_sent(&world.output, &world.pool, 6);
}

/* ---- going back ---- */

/* A Position is told as one digit for each log: where the slices in front of its frame begin. */
static uint8_t digit_of(uint64_t position) {
    return position == UINT64_MAX ? '-' : (uint8_t)('0' + position % 10);
}

static void mend(uint8_t *packed, size_t length, const uint64_t *next) {
    cr_assert(length == POSITION_SIZE);
    for (uint16_t log = 0; log < LOGS; log++)
        packed[log] = digit_of(next[log]);
}

static int retreat(struct world *world, uint64_t next[LOGS], const uint64_t *ended) {
    struct output_retreat how = {
        .views = world->view, .count = LOGS, .mend = mend, .ended = ended, .next = next};
    return output_retreat(&world->output, &world->pool, &how);
}

/* What a retreat behind `sent` bytes must leave: the rest of a begun record, and all private frames; their
 * Positions, where they have not been begun, say which slices they have overtaken. */
static size_t left_by_retreat(const struct world *world, uint64_t sent, uint8_t *out, uint64_t next[LOGS]) {
    size_t length = 0;
    for (uint32_t i = 0; i < world->count; i++) {
        const struct part *part = &world->parts[i];
        uint64_t skip = sent < part->length ? sent : part->length;
        sent -= skip;
        bool begun = skip > 0, slice = part->log != OUTPUT_PRIVATE;
        if (slice && skip < part->length) {
            uint64_t position = part->position + begun;
            next[part->log] = position < next[part->log] ? position : next[part->log];
        }
        if (slice && !begun)
            continue;
        memcpy(out + length, part->bytes + skip, part->length - skip);
        length += part->length - (size_t)skip;
        for (uint16_t log = 0; !begun && part->position_at != 0 && log < LOGS; log++)
            out[length - POSITION_SIZE + log] = digit_of(next[log]);
    }
    return length;
}

/* How much is left of a record that was begun. */
static uint32_t rest_of(const struct world *world, uint64_t sent) {
    for (uint32_t i = 0; i < world->count; i++) {
        const struct part *part = &world->parts[i];
        if (sent < part->length)
            return sent > 0 && part->log != OUTPUT_PRIVATE ? part->length - (uint32_t)sent : 0;
        sent -= part->length;
    }
    return 0;
}

/* The first position of a log that is not wholly sent. */
static uint64_t lowest_of(const struct world *world, uint64_t sent, uint16_t log) {
    for (uint32_t i = 0; i < world->count; i++) {
        const struct part *part = &world->parts[i];
        if (part->log == log && sent < part->length)
            return part->position;
        sent -= sent < part->length ? sent : part->length;
    }
    return UINT64_MAX;
}

Test(output, retreats_at_every_byte_with_the_rest_of_what_was_begun) {
    struct world whole;
    world_start(&whole, 16);
    add_everything(&whole);
    uint32_t total = whole.total;
    world_stop(&whole);
    for (uint32_t sent = 0; sent <= total; sent++) {
        struct world world;
        world_start(&world, 16);
        add_everything(&world);
        output_sent(&world.output, &world.pool, sent);
        uint64_t next[LOGS] = {UINT64_MAX, UINT64_MAX}, should[LOGS] = {UINT64_MAX, UINT64_MAX};
        size_t length = left_by_retreat(&world, sent, wanted, should);
        for (uint16_t log = 0; log < LOGS; log++)
            cr_assert(output_lowest(&world.output, world.view[log], (uint16_t)log) ==
                          lowest_of(&world, sent, log),
                      "the lowest of log %u behind %u", log, sent);
        cr_assert(retreat(&world, next, NULL) == 0);
        cr_assert(next[0] == should[0] && next[1] == should[1], "behind %u", sent);
        cr_assert(world.output.slices == 0 && world.output.bytes == length, "behind %u", sent);
        cr_assert(world.output.private_length == length, "all of it is private");
        cr_assert(output_replies(&world.output) == length - rest_of(&world, sent), "behind %u", sent);
        add_private(&world, "and what comes next", false);
        memcpy(wanted + length, "and what comes next", 19);
        length += 19;
        for (uint32_t left = world.output.rest; left > 0; left = world.output.rest)
            output_sent(&world.output, &world.pool,
                        left > 7 ? 7 : left); /* the rest goes, the replies stay */
        cr_assert(output_replies(&world.output) == length - rest_of(&world, sent));
        memmove(wanted, wanted + rest_of(&world, sent), length - rest_of(&world, sent));
        expect_stream(&world, length - rest_of(&world, sent), "retreat behind", sent);
        world_stop(&world);
    }
}

Test(output, lowers_positions_only_and_leaves_those_of_other_logs) {
    struct world world;
    world_start(&world, 16);
    add_slice(&world, 0, 2, 10);
    uint64_t next[LOGS] = {1, 77};
    cr_assert(world.parts[0].position == 1 && retreat(&world, next, NULL) == 0);
    cr_assert(next[0] == 1 && next[1] == 77);
    cr_assert(retreat(&world, next, NULL) == 0, "nothing is left");
    cr_assert(next[0] == 1 && next[1] == 77 && world.output.first == NULL);
    world_stop(&world);
}

Test(output, finds_a_record_in_a_run_of_many_after_any_number_of_bytes) {
    enum { RECORDS = 300 };
    struct world world;
    world_start(&world, 4);
    uint64_t first = log_writer_next(world.logs[0]), at = 0;
    uint64_t offset[RECORDS + 1];
    for (uint32_t i = 0; i < RECORDS; i++) {
        uint64_t position = record_new(world.logs[0], 1 + i % 7);
        offset[i] = log_entry_at(world.logs[0], position)->offset;
        offset[i + 1] = offset[i] + 1 + i % 7;
    }
    uint32_t length = (uint32_t)(offset[RECORDS] - offset[0]);
    cr_assert(output_slice(&world.output, &world.pool, 0, first, offset[0], length) == 0);
    for (uint32_t sent = 0; sent < length; sent++) {
        while (offset[at + 1] - offset[0] <= sent)
            at++;
        if (sent % 3 == 0) /* not each time: it remembers where it was */
            cr_assert(output_lowest(&world.output, world.view[0], 0) == first + at, "behind %u", sent);
        output_sent(&world.output, &world.pool, 1);
    }
    cr_assert(output_lowest(&world.output, world.view[0], 0) == UINT64_MAX);
    world_stop(&world);
}

Test(output, retreats_with_a_pool_that_was_empty) {
    struct world world;
    world_start(&world, 2);
    add_slice(&world, 0, 1, 50);
    add_private(&world, "reply", false);
    add_slice(&world, 1, 1, 50);
    cr_assert(world.pool.spare == NULL);
    output_sent(&world.output, &world.pool, 20);
    uint64_t next[LOGS] = {UINT64_MAX, UINT64_MAX};
    size_t length = left_by_retreat(&world, 20, wanted, next);
    cr_assert(retreat(&world, next, NULL) == 0);
    expect_stream(&world, length, "behind", 20);
    world_stop(&world);
}

Test(output, says_when_the_rest_of_a_record_could_not_be_kept) {
    struct world world;
    world_start(&world, 4);
    add_slice(&world, 0, 1, 50);
    add_private(&world, "reply", false);
    output_sent(&world.output, &world.pool, 20);
    uint64_t next[LOGS] = {UINT64_MAX, UINT64_MAX};
    world.output.private_capacity = world.output.private_length; /* so that it has to grow */
    refuse_at = 1;
    cr_assert(retreat(&world, next, NULL) == -ENOMEM);
    cr_assert(world.output.slices == 0 && world.output.bytes == 5);
    memcpy(wanted, "reply", 5);
    expect_stream(&world, 5, "without", 1);
    world_stop(&world);
}

/* Behind the end of a subscription slices are given up only as far as others want them. */
Test(output, raises_positions_behind_the_last_end_to_what_others_want) {
    struct world world;
    world_start(&world, 16);
    add_slice(&world, 0, 4, 10);
    add_private(&world, "Pong: place", true);
    add_private(&world, "Unsubscribed", false);
    cr_assert(!output_has_ended(&world.output));
    output_ended(&world.output);
    cr_assert(output_has_ended(&world.output));
    add_private(&world, "Pong: place", true);
    add_slice(&world, 1, 2, 10);
    add_private(&world, "Pong: place", true);
    uint64_t next[LOGS] = {9, 9};
    const uint64_t ended[LOGS] = {3, UINT64_MAX};
    cr_assert(retreat(&world, next, ended) == 0);
    cr_assert(next[0] == 1 && next[1] == 1);
    const char *stream = "Pong: 1-aceUnsubscribedPong: 3-acePong: 31ace";
    memcpy(wanted, stream, strlen(stream));
    expect_stream(&world, strlen(stream), "behind", 0);
    world_stop(&world);
}
