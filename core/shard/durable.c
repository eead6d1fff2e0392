/* From the disk logs back to publishers at other workers.
 *
 * A link says by its `consumed` that events are in the ring, and by its `settled` that they are on disk. The
 * home keeps, for each turn in which it has released links, a mark: how far they were, and where its disk
 * logs stood. When all these logs are visible up to there, the links are settled. When there are many marks
 * the last one takes more; that only tells a little later. */
#include "core/shard/worker.h"

static struct durable_mark *mark_at(struct worker *worker, uint32_t i) {
    return &worker->marks[(worker->marks_begin + i) % DURABLE_MARKS];
}

static bool mark_visible(const struct worker *worker) {
    const struct durable_mark *mark = &worker->marks[worker->marks_begin];
    for (uint32_t i = 1; i < worker->homes_count; i++)
        if (log_visible(worker->homes[i].log) < mark->next[i - 1])
            return false;
    return worker->marks_count > 0;
}

static struct spsc *disk_link(const struct worker *worker, uint32_t shard) {
    return worker->in[way_of(worker->shards, shard, TOPIC_DISK)].ring;
}

void durable_note(struct worker *worker) {
    if (worker->marks_count < DURABLE_MARKS)
        worker->marks_count++;
    struct durable_mark *mark = mark_at(worker, worker->marks_count - 1);
    for (uint32_t i = 1; i < worker->homes_count; i++)
        mark->next[i - 1] = log_writer_next(worker->homes[i].log);
    for (uint32_t i = 0; i < worker->worker_count; i++)
        mark->consumed[i] = disk_link(worker, i) != NULL ? spsc_consumed(disk_link(worker, i)) : 0;
}

static void mark_settle(const struct worker *worker, const struct durable_mark *mark) {
    for (uint32_t i = 0; i < worker->worker_count; i++) {
        struct spsc *ring = disk_link(worker, i);
        if (ring == NULL || mark->consumed[i] <= spsc_settled(ring))
            continue;
        spsc_settle(ring, mark->consumed[i]);
        if (wanted_take(spsc_wanted(ring)))
            wake_signal(&worker->shards->workers[i]->wake);
    }
}

void durable_settle(struct worker *worker) {
    while (mark_visible(worker)) {
        mark_settle(worker, mark_at(worker, 0));
        worker->marks_begin = (worker->marks_begin + 1) % DURABLE_MARKS;
        worker->marks_count--;
    }
}

bool durable_news(const struct worker *worker) {
    return mark_visible(worker);
}

bool durable_all(const struct worker *worker) {
    if (counter_get(&worker->shards->journal_failed) != 0)
        return true;
    for (uint32_t i = 0; i < worker->homes_count; i++)
        if (log_visible(worker->homes[i].log) != log_writer_next(worker->homes[i].log))
            return false;
    return worker->marks_count == 0;
}
