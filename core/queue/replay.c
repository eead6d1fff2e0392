/* The end of a replay: what waits is forgotten, what is out stays with its members. */
#include "core/queue/queue_private.h"

struct queue_replay queue_replay(const struct queue *queue) {
    return queue->work->replay;
}

/* What is parked behind the first one with its key; in a replay all of a key are replayed. */
static void followers_forget(struct queue *queue, uint32_t head) {
    struct queue_work *work = queue->work;
    uint32_t next = work->entries[head].key_next;
    work->entries[head].key_next = NO_ENTRY;
    work->entries[head].key_last = head;
    while (next != NO_ENTRY) {
        uint32_t number = next;
        struct entry *entry = &work->entries[number];
        CHECK(entry->replay && entry->state == ENTRY_PARKED);
        next = entry->key_next;
        entry->key = 0; /* the key is the first one's */
        entry->key_next = NO_ENTRY;
        entry_done(queue, number);
    }
}

void queue_replay_end(struct queue *queue) {
    struct queue_work *work = queue->work;
    if (work == &queue_idle)
        return;
    for (uint32_t i = 0; i < work->entries_used; i++) {
        const struct entry *entry = &work->entries[i];
        if (entry->state == ENTRY_FREE || entry->state == ENTRY_PARKED || !entry->replay)
            continue;
        followers_forget(queue, i);
        if (entry->state == ENTRY_READY || entry->state == ENTRY_PAUSED)
            entry_done(queue, i);
    }
    work->replay_number++;
    work->replay = (struct queue_replay){0};
    if (!work->member_count) /* it may have lasted for longer than they */
        queue_trim(queue);
}
