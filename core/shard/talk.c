/* Notes between the keepers of queues and the workers of their members. What a worker has for another in one
 * turn goes as one command through that one's mailbox, in order; what it has for itself waits for the end of
 * what it is doing, so that nobody is called while he calls. */
#include "core/shard/worker.h"

#include <stdlib.h>
#include <string.h>

struct note *note_new(enum note_kind kind, uint64_t owner, const uint8_t *bytes, uint32_t length) {
    struct note *note = malloc(sizeof *note + length);
    if (note == NULL)
        return NULL;
    memset(note, 0, sizeof *note);
    note->kind = kind;
    note->owner = owner;
    note->length = length;
    if (length > 0)
        memcpy(note->bytes, bytes, length);
    return note;
}

static void note_free(struct note *note) {
    if (note->kind == NOTE_JOIN)
        heap_give(note->as.join.texts);
    free(note);
}

void talk_free(struct note *notes) {
    while (notes != NULL) {
        struct note *next = notes->next;
        note_free(notes);
        notes = next;
    }
}

void talk_send(struct worker *worker, uint32_t to, struct note *note) {
    struct talk *talk = &worker->talk;
    if (note == NULL)
        return;
    note->next = NULL;
    if (talk->first[to] == NULL)
        talk->first[to] = note;
    else
        talk->last[to]->next = note;
    talk->last[to] = note;
    worker->worked = true; /* perhaps behind this turn's flush: no sleep before the next one */
}

void talk_take(struct worker *worker, struct note *notes) {
    while (notes != NULL) {
        struct note *next = notes->next;
        if (NOTE_TO_KEEPER(notes->kind))
            keeper_note(worker, notes);
        else
            memberships_note(worker, notes);
        note_free(notes);
        notes = next;
    }
}

void talk_own(struct worker *worker) {
    struct note *notes;
    while ((notes = worker->talk.first[worker->number]) != NULL) {
        worker->talk.first[worker->number] = NULL;
        talk_take(worker, notes);
    }
}

void talk_flush(struct worker *worker) {
    for (uint32_t i = 0; i < worker->worker_count; i++) {
        if (i == worker->number || worker->talk.first[i] == NULL)
            continue;
        struct worker *other = worker->shards->workers[i];
        struct mpsc_command command = {.kind = COMMAND_NOTES};
        command.word[0] = (uint64_t)(uintptr_t)worker->talk.first[i];
        if (mpsc_push(other->mailbox, &command) == RING_OK)
            worker->talk.first[i] = NULL;
        else
            worker->worked = true; /* full: again in the next turn */
        wake_signal(&other->wake);
    }
}

/* No worker runs any more. */
void talk_deinit(struct worker *worker) {
    struct mpsc_command command;
    while (worker->mailbox != NULL && mpsc_pop(worker->mailbox, &command))
        if (command.kind == COMMAND_NOTES)
            talk_free((struct note *)(uintptr_t)command.word[0]);
    for (uint32_t i = 0; i < SHARDS_MAX; i++)
        talk_free(worker->talk.first[i]);
}
