/* The simulated history: what a journal would have of the disk logs, answered when the test says. */
#include "tests/unit/core/shard/sim.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- what it has ---- */

void sim_history_keep(struct sim_log *seen, const struct log_entry *entry, const uint8_t *bytes) {
    seen->entries = realloc(seen->entries, seen->capacity * sizeof *seen->entries);
    if (seen->bytes_length + entry->length > seen->bytes_capacity) {
        seen->bytes_capacity = 2 * (seen->bytes_length + entry->length);
        seen->bytes = realloc(seen->bytes, seen->bytes_capacity);
    }
    cr_assert(seen->entries != NULL && seen->bytes != NULL);
    struct log_entry *kept = &seen->entries[seen->count - 1];
    *kept = *entry;
    kept->offset = seen->bytes_length;
    kept->topic = 0;
    memcpy(seen->bytes + seen->bytes_length, bytes, entry->length);
    seen->bytes_length += entry->length;
}

uint64_t sim_kept(const struct sim_world *world, uint32_t log) {
    const struct sim_log *seen = &world->logs[log];
    uint64_t oldest = log_oldest(seen->log);
    return world->setup.history && log >= world->setup.workers && seen->kept < oldest ? seen->kept : oldest;
}

/* What is durable and too old goes, at some time. */
static void trim(struct sim_world *world, struct sim_log *seen) {
    uint64_t visible = log_visible(seen->log);
    uint64_t retain = world->setup.retain;
    if (retain == 0 || visible < seen->first + retain || !sim_chance(world, 100))
        return;
    if (visible - retain > seen->kept)
        seen->kept = visible - retain;
}

/* ---- answers ---- */

static int answer_read(struct sim_world *world, struct sim_log *seen, struct history_request *request) {
    uint64_t visible = log_visible(seen->log);
    uint64_t from = request->from;
    if (from >= visible)
        return -ENODATA;
    if (from < seen->kept)
        return -ERANGE;
    if (from >= seen->hole && from < seen->hole_end)
        from = seen->hole_end;
    uint64_t end = from < seen->hole ? seen->hole : visible;
    uint64_t most = (end < visible ? end : visible) - from;
    if (sim_chance(world, 300))
        most = 1 + sim_below(world, (uint32_t)most);
    return history_fill(request, from, seen->entries + (from - seen->first), (uint32_t)most, seen->bytes);
}

static int answer_since(struct sim_log *seen, struct history_request *request) {
    uint64_t visible = log_visible(seen->log);
    for (request->first = seen->kept; request->first < visible; request->first++)
        if (seen->entries[request->first - seen->first].time >= request->from)
            return 0;
    return -ENODATA;
}

static void ask(void *user, struct history_request *request) {
    struct sim_world *world = user;
    struct history_request **last = &world->asked;
    while (*last != NULL)
        last = &(*last)->next;
    request->next = NULL;
    *last = request;
}

static uint64_t oldest(void *user, uint32_t disk) {
    const struct sim_world *world = user;
    return world->logs[world->setup.workers + disk].kept;
}

void sim_history_make(struct sim_world *world) {
    world->history = (struct history){.user = world, .ask = ask, .oldest = oldest};
}

static void answer(struct sim_world *world, struct history_request *request) {
    struct sim_log *seen = &world->logs[world->setup.workers + request->disk];
    trim(world, seen);
    request->result =
        request->kind == HISTORY_READ ? answer_read(world, seen, request) : answer_since(seen, request);
    if (world->history_error != 0)
        request->result = world->history_error;
    if (seen->trimmed > seen->kept)
        seen->kept = seen->trimmed;
    request->oldest = seen->kept;
    world->expired += request->result == -ERANGE;
    sim_note(world, NULL, "history", request->from, request->first, request->end);
    world->answers++;
    cr_assert(request->answered(request));
}

void sim_history(struct sim_world *world, bool all) {
    struct history_request *request;
    while (!world->history_stuck && (request = world->asked) != NULL) {
        world->asked = request->next;
        answer(world, request);
        if (!all)
            return;
    }
}
