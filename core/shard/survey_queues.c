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
    row->patterns = terms->pattern_count;
    row->text_length = survey_patterns_fill(terms->patterns.p, terms->pattern_count, row->text);
    row->filtered = survey_filter_fill(kept->filter, row->filter);
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
