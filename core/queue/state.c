/* The durable state of a queue as bytes, version 1.
 *
 *     version, flags (1 group, 2 volatile, 4 ephemeral, 8 filters): one byte each
 *     name, dead letter, key: length, bytes
 *     lease, pause, attempts, capacity, number of patterns
 *     the patterns, as in struct queue_terms: length, bytes
 *     with the flag for them, the filters: length, bytes
 *     number of logs; for each, ascending:
 *         number, floor, number of runs
 *         for each run: positions since the run before, positions in it, attempts;
 *             from 2 attempts on: first time, last - first
 *         positions from the last run to the cursor
 *
 * Numbers are varints of the shortest form. A run is of outstanding positions with the same attempts; the
 * first one begins at the floor; from 2 attempts on each position is a run of its own. So a state has one
 * form only, and what is read is what would be written. The times of events that were delivered once are not
 * kept: their first time is that of the next delivery. */
#include "core/queue/queue_private.h"

#include "core/base/heap.h"
#include "core/base/limits.h"

#include <errno.h>
#include <string.h>

#define STATE_VERSION    1u
#define FLAG_GROUP       1u
#define FLAG_VOLATILE    2u
#define FLAG_EPHEMERAL   4u
#define FLAG_FILTERS     8u
#define FLAGS            (FLAG_GROUP | FLAG_VOLATILE | FLAG_EPHEMERAL | FLAG_FILTERS)
#define VARINT_BYTES_MAX 10u
#define RUN_BYTES_MAX    (5u * VARINT_BYTES_MAX)
#define LOG_BYTES_MAX    (4u * VARINT_BYTES_MAX)
#define TERMS_BYTES_MAX  (2u + 11u * VARINT_BYTES_MAX) /* and the texts */
#define ATTEMPTS_ALONE   2u                            /* from here on a run is one position */

/* ---- writing ---- */

static uint8_t *put_number(uint8_t *p, uint64_t value) {
    for (; value >= 0x80; value >>= 7)
        *p++ = (uint8_t)(value | 0x80);
    *p++ = (uint8_t)value;
    return p;
}

static uint8_t *put_bytes(uint8_t *p, struct queue_text text) {
    p = put_number(p, text.n);
    if (text.n)
        memcpy(p, text.p, text.n);
    return p + text.n;
}

static uint8_t *put_terms(uint8_t *p, const struct queue_terms *terms) {
    *p++ = STATE_VERSION;
    *p++ = (uint8_t)((terms->group ? FLAG_GROUP : 0) | (terms->is_volatile ? FLAG_VOLATILE : 0) |
                     (terms->ephemeral ? FLAG_EPHEMERAL : 0) | (terms->filters.n ? FLAG_FILTERS : 0));
    p = put_bytes(p, terms->name);
    p = put_bytes(p, terms->dead_letter);
    p = put_bytes(p, terms->key);
    p = put_number(p, terms->lease_ns);
    p = put_number(p, terms->backoff_ns);
    p = put_number(p, terms->attempts);
    p = put_number(p, terms->capacity);
    p = put_number(p, terms->pattern_count);
    p = put_bytes(p, terms->patterns);
    return terms->filters.n ? put_bytes(p, terms->filters) : p;
}

/* Walks all holes of a log, run by run: those that are outstanding, then those of a restored state before the
 * cursor. */
struct hole_walk {
    const struct queue *queue;
    const struct queue_log *log;
    uint32_t entry;
    uint32_t run;
};

static bool hole_next(struct hole_walk *walk, struct hole_run *hole) {
    if (walk->entry != NO_ENTRY) {
        const struct entry *entry = &walk->queue->work->entries[walk->entry];
        uint64_t last_ns =
            entry->last_ns > entry->first_ns ? entry->last_ns : entry->first_ns; /* a clock may step back */
        *hole = (struct hole_run){entry->position, 1, entry->first_ns, last_ns, entry->attempt};
        walk->entry = entry->log_next;
        return true;
    }
    while (walk->run < walk->log->run_count) {
        *hole = walk->log->runs[walk->run++];
        uint64_t end = hole->from + hole->count;
        if (end <= walk->log->cursor)
            continue;
        if (hole->from < walk->log->cursor)
            hole->from = walk->log->cursor;
        hole->count = end - hole->from;
        return true;
    }
    return false;
}

/* The next run of the written form: holes that follow each other and have the same few attempts are one. */
static bool run_next(struct hole_walk *walk, struct hole_run *run) {
    if (!hole_next(walk, run))
        return false;
    for (;;) {
        struct hole_walk ahead = *walk;
        struct hole_run next;
        if (run->attempt >= ATTEMPTS_ALONE || !hole_next(&ahead, &next) || next.attempt != run->attempt ||
            next.from != run->from + run->count)
            return true;
        run->count += next.count;
        *walk = ahead;
    }
}

static struct hole_walk hole_walk(const struct queue *queue, const struct queue_log *log) {
    return (struct hole_walk){.queue = queue, .log = log, .entry = log->first, .run = log->run_at};
}

static uint64_t log_end(const struct queue_log *log) {
    return log->runs ? log->restored_to : log->cursor;
}

/* At most `most` runs: the cursor is written as if it stood at the first one that is left out. */
static uint8_t *put_log(uint8_t *p, const struct queue *queue, const struct queue_log *log, uint64_t most) {
    struct hole_walk walk = hole_walk(queue, log);
    struct hole_run run;
    uint64_t at = log_end(log), end = at;
    uint32_t runs = 0;
    for (; run_next(&walk, &run); runs++)
        if (runs == most) {
            at = end = run.from;
            break;
        }
    walk = hole_walk(queue, log);
    p = put_number(p, log->log);
    for (uint32_t i = 0; i < runs; i++) {
        CHECK(run_next(&walk, &run));
        if (i == 0)
            p = put_number(put_number(p, at = run.from), runs);
        p = put_number(p, run.from - at);
        p = put_number(p, run.count);
        p = put_number(p, run.attempt);
        if (run.attempt >= ATTEMPTS_ALONE)
            p = put_number(put_number(p, run.first_ns), run.last_ns - run.first_ns);
        at = run.from + run.count;
    }
    if (runs == 0)
        p = put_number(put_number(p, at), 0);
    return put_number(p, end - at);
}

size_t queue_save_least(const struct queue *queue) {
    const struct queue_terms *terms = &queue->terms;
    return TERMS_BYTES_MAX + (size_t)terms->name.n + terms->dead_letter.n + terms->key.n + terms->patterns.n +
           terms->filters.n + (size_t)queue->log_count * LOG_BYTES_MAX;
}

size_t queue_save_bound(const struct queue *queue) {
    size_t bytes = queue_save_least(queue) + (size_t)queue->work->outstanding * RUN_BYTES_MAX;
    for (uint32_t i = 0; i < queue->log_count; i++)
        bytes += (size_t)(queue->logs[i].run_count - queue->logs[i].run_at) * RUN_BYTES_MAX;
    return bytes;
}

size_t queue_save(const struct queue *queue, uint8_t *p, size_t most) {
    size_t least = queue_save_least(queue);
    CHECK(most >= least);
    uint64_t runs = queue_save_bound(queue) <= most ? UINT64_MAX
                    : queue->log_count == 0         ? 0
                                                    : (most - least) / RUN_BYTES_MAX / queue->log_count;
    uint8_t *end = put_number(put_terms(p, &queue->terms), queue->log_count);
    for (uint32_t i = 0; i < queue->log_count; i++)
        end = put_log(end, queue, &queue->logs[i], runs);
    CHECK((size_t)(end - p) <= most);
    return (size_t)(end - p);
}

/* ---- reading ---- */

struct source {
    const uint8_t *p;
    size_t left;
    const char *wrong; /* what, once something is */
};

static bool wrong(struct source *source, const char *text) {
    if (!source->wrong)
        source->wrong = text;
    return false;
}

static uint64_t get_number(struct source *source, uint64_t limit) {
    uint64_t value = 0;
    for (uint32_t i = 0; i < VARINT_BYTES_MAX && i < source->left; i++) {
        uint8_t byte = source->p[i];
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte & 0x80)
            continue;
        bool shortest = byte || i == 0, fits = i + 1 < VARINT_BYTES_MAX || byte == 1;
        source->p += i + 1;
        source->left -= i + 1;
        if (shortest && fits && value <= limit)
            return value;
        wrong(source, "a number in it is out of range");
        return 0;
    }
    wrong(source, "it ends too early");
    source->left = 0;
    return 0;
}

static struct queue_text get_bytes(struct source *source, uint64_t limit) {
    uint64_t n = get_number(source, limit);
    if (n > source->left) {
        wrong(source, "it ends too early");
        n = source->left;
    }
    struct queue_text text = {source->p, (uint32_t)n};
    source->p += n;
    source->left -= n;
    return text;
}

static uint8_t get_byte(struct source *source) {
    if (!source->left) {
        wrong(source, "it ends too early");
        return 0;
    }
    source->left--;
    return *source->p++;
}

static bool get_terms(struct source *source, struct queue_terms *terms) {
    if (get_byte(source) != STATE_VERSION)
        return wrong(source, "its version is not 1: it is of another version of the program");
    uint8_t flags = get_byte(source);
    if (flags & ~FLAGS)
        return wrong(source, "it has unknown flags");
    *terms = (struct queue_terms){.group = flags & FLAG_GROUP,
                                  .is_volatile = flags & FLAG_VOLATILE,
                                  .ephemeral = flags & FLAG_EPHEMERAL};
    terms->name = get_bytes(source, TOPIC_BYTES_MAX);
    terms->dead_letter = get_bytes(source, TOPIC_BYTES_MAX);
    terms->key = get_bytes(source, QUEUE_KEY_BYTES_MAX);
    terms->lease_ns = get_number(source, QUEUE_LEASE_NS_MAX);
    terms->backoff_ns = get_number(source, QUEUE_BACKOFF_NS_MAX);
    terms->attempts = (uint32_t)get_number(source, QUEUE_ATTEMPTS_MAX);
    terms->capacity = (uint32_t)get_number(source, QUEUE_CAPACITY_MAX);
    terms->pattern_count = (uint32_t)get_number(source, SUBSCRIBE_PATTERNS_MAX);
    terms->patterns = get_bytes(source, QUEUE_PATTERNS_BYTES_MAX);
    if (flags & FLAG_FILTERS)
        terms->filters = get_bytes(source, QUEUE_FILTERS_BYTES_MAX);
    if (!source->wrong && (flags & FLAG_FILTERS) && terms->filters.n == 0)
        return wrong(source, "it has the flag for filters, and none");
    return !source->wrong;
}

/* Whether nothing is left to defaults: only then the terms are those of a queue. */
static bool terms_settled(const struct queue_terms *terms) {
    return terms->lease_ns && terms->backoff_ns && terms->attempts && terms->key.n &&
           (terms->capacity != 0) == terms_mailbox(terms);
}

static bool get_run(struct source *source, struct hole_run *run, uint64_t *at,
                    const struct hole_run *before) {
    uint64_t gap = get_number(source, UINT64_MAX);
    run->count = get_number(source, QUEUE_OUTSTANDING_MAX);
    run->attempt = (uint32_t)get_number(source, UINT32_MAX);
    if (source->wrong)
        return false;
    bool alone = run->attempt >= ATTEMPTS_ALONE;
    bool joins = before && gap == 0 && !alone && run->attempt == before->attempt;
    if ((!before && gap) || joins || run->count == 0 || (alone && run->count > 1))
        return wrong(source, "its runs are not as they are written");
    if (gap > UINT64_MAX - *at || run->count > UINT64_MAX - *at - gap)
        return wrong(source, "a position in it is out of range");
    run->from = *at + gap;
    *at = run->from + run->count;
    if (!alone)
        return true;
    run->first_ns = get_number(source, UINT64_MAX);
    run->last_ns = run->first_ns + get_number(source, UINT64_MAX - run->first_ns);
    return !source->wrong;
}

static int get_runs(struct source *source, struct queue_log *log, uint64_t *at, uint64_t *holes) {
    uint32_t count = (uint32_t)get_number(source, QUEUE_OUTSTANDING_MAX);
    if (count > source->left)
        wrong(source, "it ends too early");
    if (source->wrong || !count)
        return 0;
    log->runs = heap_take(count * sizeof *log->runs);
    if (!log->runs)
        return -ENOMEM;
    for (; log->run_count < count; log->run_count++) {
        struct hole_run *run = &log->runs[log->run_count];
        if (!get_run(source, run, at, log->run_count ? run - 1 : NULL))
            return 0;
        *holes += run->count;
    }
    return 0;
}

/* The log's place in the queue is made first, so that what was read goes with the queue when the rest is
 * wrong. */
static int get_log(struct source *source, struct queue *queue, uint64_t *holes) {
    uint32_t number = (uint32_t)get_number(source, UINT32_MAX);
    uint64_t at = get_number(source, UINT64_MAX);
    if (!source->wrong && queue->log_count && queue->logs[queue->log_count - 1].log >= number)
        wrong(source, "its logs are not in order");
    if (source->wrong)
        return 0;
    if (queue_begin(queue, number, at))
        return -ENOMEM;
    struct queue_log *log = &queue->logs[queue->log_count - 1];
    int error = get_runs(source, log, &at, holes);
    uint64_t rest = get_number(source, UINT64_MAX);
    if (error || source->wrong)
        return error;
    if (rest > UINT64_MAX - at || (rest && !log->run_count))
        wrong(source, "a position in it is out of range");
    log->restored_to = at + rest;
    if (*holes > QUEUE_OUTSTANDING_MAX)
        wrong(source, "more is outstanding in it than can be");
    return 0;
}

static int get_logs(struct source *source, struct queue *queue) {
    uint64_t holes = 0;
    uint32_t count = (uint32_t)get_number(source, QUEUE_LOGS_MAX);
    for (uint32_t i = 0; i < count && !source->wrong; i++) {
        int error = get_log(source, queue, &holes);
        if (error)
            return error;
    }
    if (!source->wrong && source->left)
        wrong(source, "something follows its end");
    return 0;
}

static int bad(struct fault *fault, const char *text) {
    *fault = (struct fault){.code = RH_CODE_INVALID, .text = text, .field = "queue.state"};
    return -EBADMSG;
}

int queue_restore(struct queue **out, const uint8_t *p, size_t n, struct fault *fault) {
    struct source source = {.p = p, .left = n};
    struct queue_terms terms;
    struct queue *queue;
    if (n > QUEUE_STATE_BYTES_MAX)
        return bad(fault, "it is larger than a state can be");
    if (!get_terms(&source, &terms))
        return bad(fault, source.wrong);
    if (!terms_valid(&terms, fault) || !terms_whole(&terms, fault))
        return -EBADMSG;
    if (!terms_settled(&terms))
        return bad(fault, "its terms are not complete");
    int error = queue_create(&queue, &terms);
    if (error)
        return error;
    error = get_logs(&source, queue);
    if (!error && source.wrong)
        error = bad(fault, source.wrong);
    if (error)
        queue_destroy(queue);
    else
        *out = queue;
    return error;
}
