/* What a keeper tells of its queues: they are visited by their slots, which stay. */
#include "core/shard/worker.h"

#include <string.h>

/* How many positions its logs have that it has not seen: an upper bound, not all need be for it. */
static uint64_t behind(const struct worker *worker, const struct kept *kept) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < worker->log_count; i++) {
        const struct log *log = worker->readers[i].log;
        if ((kept->logs >> i & 1u) == 0 || queue_reached(kept->queue, log_number(log)) == 0)
            continue;
        uint64_t end = log_visible(log), cursor = queue_cursor(kept->queue, log_number(log));
        bool live = (kept->live >> i & 1u) != 0;
        sum += !live && cursor < end ? end - cursor : 0;
    }
    return sum;
}

static void patterns_fill(const struct queue_terms *terms, struct survey_queue *row) {
    const uint8_t *pattern = terms->patterns.p;
    row->patterns = terms->pattern_count;
    for (uint32_t i = 0; i < terms->pattern_count; i++, pattern = pattern_next(pattern)) {
        if (row->text_length + pattern[0] + 1u > sizeof row->text)
            return;
        memcpy(row->text + row->text_length, pattern + 1, pattern[0]);
        row->text_length = (uint16_t)(row->text_length + pattern[0] + 1u);
    }
}

static bool offer(struct survey *survey, const struct worker *worker, const struct kept *kept) {
    const struct queue_terms *terms = queue_terms(kept->queue);
    struct queue_counts counts = queue_counts(kept->queue);
    uint64_t unseen = behind(worker, kept);
    uint64_t waits = counts.out + counts.parked + counts.dead + counts.restored;
    struct survey_queue *row = survey_offer(survey, waits + unseen);
    survey->answer.looked_at++;
    if (row == NULL)
        return false;
    memcpy(row->name, terms->name.p, terms->name.n < sizeof row->name ? terms->name.n : sizeof row->name - 1);
    patterns_fill(terms, row);
    row->shard = worker->number;
    row->mailbox = terms_mailbox(terms);
    row->durable = kept->home != NULL;
    row->members = queue_members(kept->queue);
    row->outstanding = waits;
    row->held = counts.held;
    row->behind = unseen;
    row->delivered = counts.totals.delivered;
    row->done = counts.totals.done;
    row->dead = counts.totals.buried;
    row->oldest_ns = counts.oldest_ns;
    return true;
}

bool survey_queues(struct worker *worker, struct survey *survey) {
    const struct keeper *keeper = &worker->keeper;
    struct survey_place *place = &survey->place;
    for (uint32_t work = 0; work < SURVEY_ITEMS_TURN && place->index < keeper->capacity; work++) {
        const struct kept *kept = keeper->slots[place->index++];
        if (kept != NULL && offer(survey, worker, kept))
            work += 3;
    }
    return place->index >= keeper->capacity;
}
