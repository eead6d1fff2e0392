/* Queues whose slots move: which logs they read, and where they wait. */
#include "core/shard/moves.h"

uint64_t keeper_bound(const struct worker *worker, const struct kept *kept, uint32_t log) {
    uint64_t at[LOGS_MAX] = {0};
    if (worker->cuts_first == worker->cuts_seen)
        return UINT64_MAX;
    for (uint64_t left = kept->logs; left != 0; left &= left - 1) {
        const struct reader *reader = &worker->readers[__builtin_ctzll(left)];
        bool live = (kept->live >> reader->index & 1u) != 0;
        at[reader->index] = live ? reader->cursor : queue_cursor(kept->queue, log_number(reader->log));
    }
    return cuts_bound(worker, log, kept->logs, at);
}

static bool kept_renew(struct worker *worker, struct kept *kept) {
    uint8_t room[1 + TOPIC_BYTES_MAX];
    const uint8_t *patterns;
    uint32_t count = keeper_patterns(kept, room, &patterns);
    uint64_t logs = subs_logs(worker, patterns, count);
    for (uint64_t left = logs & ~kept->logs; left != 0; left &= left - 1) {
        const struct reader *reader = &worker->readers[__builtin_ctzll(left)];
        if (queue_begin(kept->queue, log_number(reader->log), delivery_live_end(reader)) != 0)
            return false;
        /* if it had been here before, it had seen all that was for it */
        queue_pass(kept->queue, log_number(reader->log), delivery_live_end(reader));
        kept->logs |= UINT64_C(1) << reader->index;
        if (kept->attached)
            keeper_pump(worker, kept);
    }
    kept->logs = logs;
    kept->live &= logs;
    return true;
}

bool keeper_renew(struct worker *worker) {
    const struct keeper *keeper = &worker->keeper;
    for (uint32_t i = 0; i < keeper->capacity; i++)
        if (keeper->slots[i] != NULL && !kept_renew(worker, keeper->slots[i]))
            return false;
    return true;
}

void keeper_cut(struct worker *worker, const struct cut *cut) {
    const struct keeper *keeper = &worker->keeper;
    const struct reader *to = &worker->readers[cut->to];
    for (uint32_t i = 0; i < keeper->capacity; i++) {
        struct kept *kept = keeper->slots[i];
        if (kept == NULL || (kept->live >> cut->to & 1u) == 0 ||
            keeper_bound(worker, kept, cut->to) == UINT64_MAX)
            continue;
        queue_pass(kept->queue, log_number(to->log), to->cursor);
        kept->live &= ~(UINT64_C(1) << cut->to);
        keeper_pump(worker, kept);
    }
}

bool keeper_left(const struct worker *worker, uint32_t slot, uint32_t log) {
    const struct keeper *keeper = &worker->keeper;
    for (uint32_t i = 0; i < keeper->capacity; i++) {
        const struct kept *kept = keeper->slots[i];
        if (kept != NULL && (kept->logs >> log & 1u) != 0 && (kept->live >> log & 1u) == 0 &&
            queue_cursor(kept->queue, log_number(worker->readers[log].log)) <=
                log_slot_last(worker->readers[log].log, slot))
            return false;
    }
    return true;
}

bool keeper_waits(const struct worker *worker, const struct cut *cut) {
    const struct keeper *keeper = &worker->keeper;
    uint32_t number = log_number(worker->readers[cut->from].log);
    for (uint32_t i = 0; i < keeper->capacity; i++) {
        const struct kept *kept = keeper->slots[i];
        if (kept != NULL && kept->attached && (kept->logs >> cut->from & 1u) != 0 &&
            (kept->live >> cut->from & 1u) == 0 && queue_cursor(kept->queue, number) < cut->close)
            return true;
    }
    return false;
}
