/* Events whose time is over: by their own expirytime, or by the lifetime that a rule gives to their topic. */
#include "core/shard/worker.h"

#include "codecs/event/attributes.h"
#include "core/base/topic.h"

/* When an event without an expirytime expires; UINT64_MAX = never. The rule that holds is today's, not that
 * of the day when the event came. */
static uint64_t expiry_by_rule(const struct worker *worker, const struct wire_event *event,
                               uint64_t time_ns) {
    uint64_t hash = topic_hash(event->topic, event->topic_length, worker->shards->config.slot_seed);
    const struct topic_rule *rule = topic_rule_of(worker, event->topic, event->topic_length, hash);
    return rule == NULL || rule->expiry_ns == 0 ? UINT64_MAX : time_ns + rule->expiry_ns;
}

bool expiry_over(const struct worker *worker, const struct log_view *view, const struct log_entry *entry) {
    struct wire_event event;
    uint64_t sequence, over_ns;
    wire_record_read(log_view_bytes(view, entry->offset), entry->length, &sequence, &event);
    if (!attribute_expiry(event.event, event.event_length, &over_ns))
        over_ns = expiry_by_rule(worker, &event, entry->time);
    return over_ns <= worker->wall_ns;
}
