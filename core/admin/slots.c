#include "core/admin/slots.h"

#include "core/admin/admin.h"
#include "core/shard/change.h"

/* Over all memory logs: a slot that has moved was counted by each shard that had it. */
static json_int_t slot_records(const struct shards *shards, uint32_t slot) {
    uint64_t sum = 0;
    for (uint32_t shard = 0; shard < shards_count(shards); shard++)
        sum += log_slot_records(shards_log(shards, shard), slot);
    return (json_int_t)sum;
}

/* What shards write besides, and keep whatever slots they have. */
static json_t *disk_records(const struct shards *shards) {
    uint64_t sums[SHARDS_MAX] = {0};
    json_t *list = json_array();
    for (uint32_t disk = 0; disk < shards_disk_logs(shards); disk++)
        sums[shards_disk_home(shards, disk)] +=
            counter_get(&log_counters(shards_disk_log(shards, disk))->records);
    for (uint32_t shard = 0; list != NULL && shard < shards_count(shards); shard++)
        (void)json_array_append_new(list, json_integer((json_int_t)sums[shard]));
    return list;
}

void slots_run(struct admin *admin, struct api_call *call) {
    const struct admin_config *config = api_config(admin);
    json_t *map = json_array(), *records = json_array();
    uint8_t slots[SLOT_COUNT];
    shards_slots(config->shards, slots);
    for (uint32_t slot = 0; map != NULL && records != NULL && slot < SLOT_COUNT; slot++) {
        (void)json_array_append_new(map, json_integer(slots[slot]));
        (void)json_array_append_new(records, json_integer(slot_records(config->shards, slot)));
    }
    api_reply_json(call, 200,
                   json_pack("{s:i, s:i, s:o, s:o, s:o}", "slots_total", (int)SLOT_COUNT, "shards_total",
                             (int)shards_active(config->shards), "shard_of_slot", map, "records_total",
                             records, "disk_records_total", disk_records(config->shards)));
}
