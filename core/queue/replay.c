/* The end of a replay: what waits is forgotten, what is out stays with its members. */
#include "core/queue/queue_private.h"

struct queue_replay queue_replay(const struct queue *queue) {
    return queue->replay;
}

/* What is parked behind the first one with its key; in a replay all of a key are replayed. */
static void followers_forget(struct queue *queue, uint32_t head) {
    uint32_t next = queue->entries[head].key_next;
    queue->entries[head].key_next = NO_ENTRY;
    queue->entries[head].key_last = head;
    while (next != NO_ENTRY) {
        uint32_t number = next;
        struct entry *entry = &queue->entries[number];
        CHECK(entry->replay && entry->state == ENTRY_PARKED);
        next = entry->key_next;
        entry->key = 0; /* the key is the first one's */
        entry->key_next = NO_ENTRY;
        entry_done(queue, number);
    }
}

void queue_replay_end(struct queue *queue) {
    for (uint32_t i = 0; i < queue->entries_used; i++) {
        const struct entry *entry = &queue->entries[i];
        if (entry->state == ENTRY_FREE || entry->state == ENTRY_PARKED || !entry->replay)
            continue;
        followers_forget(queue, i);
        if (entry->state == ENTRY_READY || entry->state == ENTRY_PAUSED)
            entry_done(queue, i);
    }
    queue->replay_number++;
    queue->replay = (struct queue_replay){0};
}
