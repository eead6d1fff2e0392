#include "core/queue/queue_private.h"

#include "core/base/heap.h"
#include "core/base/limits.h"

#include <errno.h>
#include <string.h>

/* The first log whose number is not below `log`. */
static uint32_t log_place(const struct queue *queue, uint32_t log) {
    uint32_t low = 0, high = queue->log_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (queue->logs[middle].log < log)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct queue_log *log_of(const struct queue *queue, uint32_t log) {
    uint32_t place = log_place(queue, log);
    return place < queue->log_count && queue->logs[place].log == log ? &queue->logs[place] : NULL;
}

const struct hole_run *log_hole(struct queue_log *log, uint64_t position) {
    while (log->run_at < log->run_count &&
           log->runs[log->run_at].from + log->runs[log->run_at].count <= position)
        log->run_at++;
    bool hole = log->run_at < log->run_count && log->runs[log->run_at].from <= position;
    return hole ? &log->runs[log->run_at] : NULL;
}

void log_cursor(struct queue_log *log, uint64_t position) {
    log->cursor = position;
    if (position < log->restored_to || !log->runs)
        return;
    heap_give(log->runs);
    log->runs = NULL;
    log->run_count = log->run_at = 0;
}

uint64_t log_floor(const struct queue *queue, const struct queue_log *log) {
    return log->first == NO_ENTRY ? log->cursor : queue->work->entries[log->first].position;
}

int queue_begin(struct queue *queue, uint32_t log, uint64_t position) {
    if (log_of(queue, log))
        return 0;
    if (queue->log_count == QUEUE_LOGS_MAX)
        return -ENOSPC;
    struct queue_log *logs = heap_take_raw((queue->log_count + 1) * sizeof *logs);
    if (!logs)
        return -ENOMEM;
    uint32_t place = log_place(queue, log), behind = queue->log_count - place;
    if (place)
        memcpy(logs, queue->logs, place * sizeof *logs);
    if (behind)
        memcpy(logs + place + 1, queue->logs + place, behind * sizeof *logs);
    logs[place] = (struct queue_log){.log = log, .first = NO_ENTRY, .last = NO_ENTRY, .cursor = position};
    heap_give(queue->logs);
    queue->logs = logs;
    queue->log_count++;
    return 0;
}

static struct queue_log *log_begun(const struct queue *queue, uint32_t number) {
    struct queue_log *log = log_of(queue, number);
    CHECK(log);
    return log;
}

uint64_t queue_cursor(const struct queue *queue, uint32_t log) {
    return log_begun(queue, log)->cursor;
}

uint64_t queue_reached(const struct queue *queue, uint32_t number) {
    const struct queue_log *log = log_of(queue, number);
    if (!log)
        return 0;
    return log->cursor < log->restored_to ? log->restored_to : log->cursor;
}

uint64_t queue_floor(const struct queue *queue, uint32_t log) {
    return log_floor(queue, log_begun(queue, log));
}

void queue_pass(struct queue *queue, uint32_t number, uint64_t position) {
    struct queue_log *log = log_begun(queue, number);
    if (log->cursor < position)
        log_cursor(log, position);
}

void queue_forget_below(struct queue *queue, uint32_t number) {
    uint32_t gone = log_place(queue, number);
    CHECK(queue->work->outstanding == 0);
    for (uint32_t i = 0; i < gone; i++)
        heap_give(queue->logs[i].runs);
    for (uint32_t i = gone; gone > 0 && i < queue->log_count; i++)
        queue->logs[i - gone] = queue->logs[i];
    queue->log_count -= gone;
}

void queue_forget_from(struct queue *queue, uint32_t number) {
    uint32_t kept = log_place(queue, number);
    CHECK(queue->work->outstanding == 0);
    for (uint32_t i = kept; i < queue->log_count; i++)
        heap_give(queue->logs[i].runs);
    queue->log_count = kept;
}
