#include "core/admin/slots.h"

#include "core/admin/admin.h"

/* Over all memory logs: a slot that has moved was counted by each shard that had it. */
static json_int_t slot_records(const struct shards *shards, uint32_t slot) {
    uint64_t sum = 0;
    for (uint32_t shard = 0; shard < shards_count(shards); shard++)
        sum += log_slot_records(shards_log(shards, shard), slot);
    return (json_int_t)sum;
}

/* What shards write besides, and keep whatever slots they have. */
static json_t *disk_records(const struct shards *shards) {
    uint32_t count = shards_count(shards);
    uint64_t sums[SHARDS_MAX] = {0};
    json_t *list = json_array();
    for (uint32_t log = count; log < shards_log_count(shards); log++)
        sums[(log - count) % count] += counter_get(&log_counters(shards_log(shards, log))->records);
    for (uint32_t shard = 0; list != NULL && shard < count; shard++)
        (void)json_array_append_new(list, json_integer((json_int_t)sums[shard]));
    return list;
}

void slots_run(struct admin *admin, struct api_call *call) {
    const struct admin_config *config = api_config(admin);
    json_t *map = json_array(), *records = json_array();
    for (uint32_t slot = 0; map != NULL && records != NULL && slot < SLOT_COUNT; slot++) {
        (void)json_array_append_new(map, json_integer(config->slots[slot]));
        (void)json_array_append_new(records, json_integer(slot_records(config->shards, slot)));
    }
    api_reply_json(call, 200,
                   json_pack("{s:i, s:i, s:o, s:o, s:o}", "slots_total", (int)SLOT_COUNT, "shards_total",
                             (int)shards_count(config->shards), "shard_of_slot", map, "records_total",
                             records, "disk_records_total", disk_records(config->shards)));
}
