/* Queues that are ended for good.
 *
 * One that is in memory only goes at once. Of a durable one a last state is written that says that there is
 * none any more, and until that is on disk the queue is there by name only: nobody joins it, a mailbox takes
 * nothing, and whoever asked waits. So nobody is told of an end that a crash could still undo, and the
 * journal keeps what a start would need until the end is in it. What members had not acknowledged goes with
 * the queue; what is in its dead-letter topic stays there. */
#include "core/shard/worker.h"

static void answer(struct worker *worker, uint64_t owner, const struct fault *fault) {
    struct note *note = note_new(fault != NULL ? NOTE_REFUSED : NOTE_REMOVED, owner, NULL, 0);
    if (note != NULL && fault != NULL)
        note->as.fault = *fault;
    talk_send(worker, owner_shard(owner), note);
}

/* Why not, or NULL. */
static const struct fault *removal_fault(const struct kept *kept, bool take_over) {
    static const char field[] = "unsubscribe.remove";
    static const struct fault none = {
        .code = RH_CODE_INVALID, .text = "there is no queue of this name", .field = field};
    static const struct fault going = {.code = RH_CODE_UNAVAILABLE,
                                       .text = "this queue is being removed: it is gone in a moment",
                                       .field = field};
    static const struct fault held = {
        .code = RH_CODE_UNAVAILABLE,
        .text = "this queue has members: they leave first, or take_over puts them out",
        .field = field};
    if (kept == NULL)
        return &none;
    if (kept->remover != 0)
        return &going;
    return queue_members(kept->queue) > 0 && !take_over ? &held : NULL;
}

void removals_note(struct worker *worker, const struct note *note) {
    static const struct fault removed = {
        .code = RH_CODE_UNAVAILABLE, .text = "this queue has been removed", .field = "subscribe.queue.name"};
    struct kept *kept = keeper_find(worker, (struct queue_text){note->bytes, note->length});
    const struct fault *fault = removal_fault(kept, note->as.take_over);
    if (fault != NULL) {
        answer(worker, note->owner, fault);
        return;
    }
    keeper_put_out(worker, kept, &removed);
    if (kept->home == NULL) {
        keeper_drop(worker, kept);
        answer(worker, note->owner, NULL);
        return;
    }
    kept->remover = note->owner;
    audience_waits(worker, kept, false);
    list_add(&worker->keeper.removing, &kept->removing);
    states_made(worker, kept);
}

bool removals_news(const struct worker *worker) {
    const struct list *head = &worker->keeper.removing;
    for (struct list *node = head->next; node != head; node = node->next)
        if (states_gone(LIST_OF(node, struct kept, removing)))
            return true;
    return false;
}

void removals_turn(struct worker *worker) {
    struct list now;
    struct list *node;
    list_move(&worker->keeper.removing, &now);
    while ((node = list_take(&now)) != NULL) {
        struct kept *kept = LIST_OF(node, struct kept, removing);
        if (!states_gone(kept)) {
            list_add(&worker->keeper.removing, &kept->removing);
            continue;
        }
        answer(worker, kept->remover, NULL);
        keeper_drop(worker, kept);
    }
}
