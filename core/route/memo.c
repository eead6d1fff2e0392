#include "core/route/memo.h"

#include <string.h>
#include <xxhash.h>

struct memo_slot *memo_find(struct memo *memo, void *const *patterns, uint32_t count, bool *known) {
    CHECK(count && count <= ROUTE_MEMO_PATTERNS);
    size_t bytes = count * sizeof *patterns;
    struct memo_slot *slot = &memo->slots[XXH3_64bits(patterns, bytes) % ROUTE_MEMO_SLOTS];
    *known = slot->epoch == memo->epoch && slot->count == count && !memcmp(slot->patterns, patterns, bytes);
    return slot;
}

void memo_learn(struct memo *memo, struct memo_slot *slot, void *const *patterns, uint32_t count,
                struct route *route) {
    slot->epoch = memo->epoch;
    slot->route = route;
    slot->count = count;
    memcpy(slot->patterns, patterns, count * sizeof *patterns);
}
