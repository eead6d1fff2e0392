#include "core/queue/queue_private.h"

#include "core/base/heap.h"
#include "core/base/limits.h"

#include <errno.h>
#include <string.h>

#define MEMBERS_CAPACITY_MIN 1u

struct member *member_of(const struct queue *queue, uint64_t owner) {
    uint32_t number = owner ? lookup_find(&queue->work->owners, owner) : LOOKUP_NONE;
    return number == LOOKUP_NONE ? NULL : queue->work->members[number];
}

static bool member_credit(const struct member *member) {
    return member->out < member->window && (member->bytes < QUEUE_MEMBER_BYTES_MAX || member->out == 0);
}

/* Half of a window is kept free of replays, so that they do not hold up what is new. */
static bool member_takes_replay(const struct member *member) {
    return member->replays < (member->window + 1) / 2;
}

void member_willing(struct queue *queue, struct member *member) {
    if (member_credit(member))
        list_add(&queue->work->willing, &member->willing);
    else
        list_remove(&member->willing);
}

struct member *member_choose(const struct queue *queue, bool replay, uint64_t not_serial) {
    struct member *same = NULL;
    for (struct list *node = queue->work->willing.next; node != &queue->work->willing; node = node->next) {
        struct member *member = LIST_OF(node, struct member, willing);
        if (replay && !member_takes_replay(member))
            continue;
        if (member->serial != not_serial)
            return member;
        same = member;
    }
    return same;
}

/* A free number below QUEUE_MEMBERS_MAX, which the caller has looked at; -ENOMEM. */
static int member_number(struct queue *queue, uint32_t *number) {
    struct queue_work *work = queue->work;
    for (*number = 0; *number < work->members_capacity; ++*number)
        if (!work->members[*number])
            return 0;
    uint32_t capacity = work->members_capacity ? 2 * work->members_capacity : MEMBERS_CAPACITY_MIN;
    struct member **members = heap_take(capacity * sizeof(struct member *));
    if (!members)
        return -ENOMEM;
    if (work->members_capacity)
        memcpy(members, work->members, work->members_capacity * sizeof(struct member *));
    heap_give(work->members);
    work->members = members;
    work->members_capacity = capacity;
    return 0;
}

static enum queue_answer member_add(struct queue *queue, uint64_t owner, uint32_t window) {
    uint32_t number;
    if (queue_wake(queue))
        return QUEUE_NO_MEMORY;
    struct queue_work *work = queue->work;
    if (lookup_reserve(&work->owners, work->member_count + 1) || member_number(queue, &number))
        return QUEUE_NO_MEMORY;
    struct member *member = heap_take_raw(sizeof *member);
    if (!member)
        return QUEUE_NO_MEMORY;
    *member = (struct member){.owner = owner,
                              .serial = ++work->next_serial,
                              .next_delivery = 1,
                              .number = number,
                              .window = window,
                              .first = NO_ENTRY,
                              .last = NO_ENTRY};
    list_init(&member->willing);
    lookup_put(&work->owners, owner, number);
    work->members[number] = member;
    work->member_count++;
    member_willing(queue, member);
    return QUEUE_OK;
}

/* Who holds a queue that is no group. */
static struct member *member_only(const struct queue *queue) {
    const struct queue_work *work = queue->work;
    for (uint32_t i = 0; i < work->members_capacity; i++)
        if (work->members[i])
            return work->members[i];
    return NULL;
}

enum queue_answer queue_join(struct queue *queue, uint64_t owner, uint32_t window, bool take_over,
                             uint64_t *lost) {
    CHECK(owner);
    *lost = 0;
    if (window == 0 || window > QUEUE_WINDOW_MAX)
        return QUEUE_NO_WINDOW;
    if (member_of(queue, owner))
        return QUEUE_TWICE;
    const struct member *holder = queue->terms.group ? NULL : member_only(queue);
    if (holder && !take_over)
        return QUEUE_TAKEN;
    if (queue->work->member_count == QUEUE_MEMBERS_MAX)
        return QUEUE_MEMBERS_FULL;
    enum queue_answer answer = member_add(queue, owner, window);
    if (answer != QUEUE_OK && !queue->work->member_count)
        queue_trim(queue);
    if (answer == QUEUE_OK && holder) {
        *lost = holder->owner;
        queue_leave(queue, holder->owner);
    }
    return answer;
}

void queue_leave(struct queue *queue, uint64_t owner) {
    struct queue_work *work = queue->work;
    struct member *member = member_of(queue, owner);
    if (!member)
        return;
    while (member->first != NO_ENTRY) {
        uint32_t entry = member->first;
        entry_take_back(queue, entry);
        if (entry_left_over(queue, &work->entries[entry]))
            entry_done(queue, entry);
        else
            entry_ready(queue, entry);
    }
    list_remove(&member->willing);
    lookup_drop(&work->owners, owner);
    work->members[member->number] = NULL;
    work->member_count--;
    heap_give(member);
}

uint32_t queue_members(const struct queue *queue) {
    return queue->work->member_count;
}

uint32_t queue_places(const struct queue *queue) {
    return queue->work->members_capacity;
}

uint64_t queue_owner(const struct queue *queue, uint32_t place) {
    return queue->work->members[place] ? queue->work->members[place]->owner : 0;
}
