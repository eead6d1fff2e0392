/* Where a queue finds what lies at a position: in the ring, or, behind it, in what the journal gives. */
#include "core/shard/worker.h"

#include "codecs/event/attributes.h"
#include "core/base/topic.h"

#include <errno.h>
#include <string.h>

/* What the journal has no more is gone; what it can not read is tried again, as the queue waits for it. */
static enum look refused(struct worker *worker, struct behind *behind, uint64_t position,
                         struct look_at *at) {
    const struct history_request *request = &behind->request;
    uint32_t left_out;
    behind->state = BEHIND_FREE;
    uint64_t ring = log_oldest(worker->readers[behind->log].log); /* which may keep more than the journal */
    at->first = request->oldest < ring ? request->oldest : ring;
    if (request->result == -ERANGE && at->first > position)
        return LOOK_GONE;
    if (request->result != -ENODATA && logfmt_allowed(&worker->error_limit, worker->now_ns, &left_out))
        logfmt(LOGFMT_ERROR, "the journal can not be read: queues that need it wait",
               "log=%u position=%llu error=\"%s\" left_out=%u", log_number(worker->readers[behind->log].log),
               (unsigned long long)position, strerror(-request->result), left_out);
    return LOOK_LATER;
}

static enum look look_behind(struct worker *worker, uint32_t log, uint64_t position, struct look_at *at) {
    struct behind *behind = history_queue(worker, log, position);
    if (behind == NULL)
        return LOOK_LATER;
    if (behind->state == BEHIND_REFUSED)
        return refused(worker, behind, position, at);
    const struct history_request *request = &behind->request;
    at->view = &behind->view;
    at->first = request->first > position ? request->first : position;
    at->end = request->end;
    return LOOK_THERE;
}

enum look look_begin(struct worker *worker, struct reader *reader, uint64_t position, struct look_at *at) {
    *at = (struct look_at){.first = position, .end = reader->cursor};
    if (log_reader_lower(reader->log, reader->past, position)) {
        at->reader = reader;
        at->view = worker->views[reader->index];
        return LOOK_THERE;
    }
    if (history_has(worker, reader->index))
        return look_behind(worker, reader->index, position, at);
    at->first = log_oldest(reader->log);
    return LOOK_GONE;
}

void look_end(struct look_at *at) {
    if (at->reader != NULL)
        log_reader_idle(at->reader->log, at->reader->past);
}

/* Of the value of the attribute that keeps the order; 0 = the event has none. */
static uint64_t key_of(const struct worker *worker, const struct kept *kept, const uint8_t *record,
                       uint32_t length) {
    struct wire_event event;
    struct attribute found;
    uint64_t sequence;
    wire_record_read(record, length, &sequence, &event);
    const char *key = (const char *)queue_terms(kept->queue)->key.p; /* a NUL follows */
    if (!attribute_find(event.event, event.event_length, key, &found))
        return 0;
    const void *value = found.data != NULL ? (const void *)found.data : &found.number;
    uint64_t hash = topic_hash(value, found.data != NULL ? found.length : sizeof found.number,
                               worker->shards->config.slot_seed);
    return hash == 0 ? 1 : hash;
}

struct queue_event keeper_event(const struct worker *worker, const struct kept *kept,
                                const struct reader *reader, const struct log_view *view, uint64_t position) {
    const struct log_entry *entry = log_view_entry(view, position);
    const uint8_t *record = log_view_bytes(view, entry->offset);
    return (struct queue_event){.position = position,
                                .key = key_of(worker, kept, record, entry->length),
                                .time_ns = entry->time,
                                .log = log_number(reader->log),
                                .size = entry->length};
}
