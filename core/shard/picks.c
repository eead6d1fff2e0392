/* Positions that are due to a subscription although they lie below its start: the last events of topics. */
#include "core/shard/worker.h"

#include <stdlib.h>
#include <string.h>

struct picks *picks_new(uint32_t count) {
    struct picks *picks = calloc(1, sizeof *picks + count * sizeof picks->positions[0]);
    if (picks != NULL)
        picks->count = count;
    return picks;
}

/* Index of the first position at or above `from`, in [low, high). */
static uint32_t picks_search(const struct picks *picks, uint32_t low, uint32_t high, uint64_t from) {
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (picks->positions[middle] < from)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint64_t picks_from(const struct picks *picks, uint32_t log, uint64_t from) {
    if (picks == NULL)
        return UINT64_MAX;
    uint32_t at = picks_search(picks, picks->next[log], picks->end[log], from);
    return at < picks->end[log] ? picks->positions[at] : UINT64_MAX;
}

void picks_drop(struct picks *picks, uint32_t log, uint64_t below) {
    if (picks != NULL)
        picks->next[log] = picks_search(picks, picks->next[log], picks->end[log], below);
}

/* Least significant byte first: as many passes as the largest difference has bytes, so that many thousands
 * take well under a millisecond. */
void picks_sort(uint64_t *positions, uint64_t *spare, uint32_t count) {
    uint64_t base = UINT64_MAX;
    uint64_t most = 0;
    for (uint32_t i = 0; i < count; i++)
        base = positions[i] < base ? positions[i] : base;
    for (uint32_t i = 0; i < count; i++)
        most |= positions[i] - base;
    for (uint32_t shift = 0; shift < 64 && most >> shift != 0; shift += 8) {
        uint32_t places[257] = {0};
        for (uint32_t i = 0; i < count; i++)
            places[1 + ((positions[i] - base) >> shift & 0xff)]++;
        for (uint32_t i = 0; i < 256; i++)
            places[i + 1] += places[i];
        for (uint32_t i = 0; i < count; i++)
            spare[places[(positions[i] - base) >> shift & 0xff]++] = positions[i];
        if (count > 0)
            memcpy(positions, spare, count * sizeof *positions);
    }
}
