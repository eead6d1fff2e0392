/* survey_shards.c: /v1/router and /v1/shards: what is known, and what counters say, without asking anybody.
 */
#include "core/admin/admin.h"
#include "core/admin/surveys.h"
#include "core/shard/change.h"
#include "rh_build.h"

#include <stdio.h>

/* The slots of a shard as ranges: "0-2047" or "7". */
static json_t *slots_list(const uint8_t *slots, uint32_t shard) {
    json_t *list = json_array();
    char text[32];
    for (uint32_t slot = 0, end; list != NULL && slot < SLOT_COUNT; slot = end) {
        for (end = slot + 1; end < SLOT_COUNT && slots[end] == slots[slot];)
            end++;
        if (slots[slot] != shard)
            continue;
        if (end == slot + 1)
            (void)snprintf(text, sizeof text, "%u", slot);
        else
            (void)snprintf(text, sizeof text, "%u-%u", slot, end - 1);
        (void)json_array_append_new(list, json_string(text));
    }
    return list;
}

static json_int_t of(const struct counter *counter) {
    return (json_int_t)counter_get(counter);
}

static json_t *log_object(const struct log *log) {
    uint64_t oldest = log_oldest(log); /* first: what is read later stands no lower */
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "number", (json_int_t)log_number(log), "bytes",
                     (json_int_t)log_data_bytes(log), "records", (json_int_t)log_records(log), "oldest",
                     (json_int_t)oldest, "visible", (json_int_t)log_visible(log), "produced",
                     (json_int_t)log_produced(log), "bytes_total", of(&log_counters(log)->bytes));
}

static json_t *shard_object(const struct admin_config *config, const uint8_t *slots, uint32_t shard) {
    const struct worker_stats *stats = shards_worker_stats(config->shards, shard);
    int cpu = shards_cpu(config->shards, shard);
    return json_pack(
        "{s:i, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "shard", (int)shard, "cpu",
        cpu < 0 ? json_null() : json_integer(cpu), "slots", slots_list(slots, shard), "connections",
        of(&stats->connections), "subscriptions", of(&stats->subscriptions), "laggards", of(&stats->laggards),
        "lagging", of(&stats->lagging), "events_in_total", of(&stats->events_in), "events_in_bytes_total",
        of(&stats->events_in_bytes), "events_appended_total", of(&stats->events_appended), "deliveries_total",
        of(&stats->deliveries), "deliveries_bytes_total", of(&stats->deliveries_bytes), "busy_ratio",
        surveys_real(shards_busy(config->shards, shard)), "log",
        log_object(shards_log(config->shards, shard)));
}

static json_t *disk_objects(const struct admin_config *config) {
    json_t *list = json_array();
    for (uint32_t disk = 0; list != NULL && disk < shards_disk_logs(config->shards); disk++) {
        json_t *one = log_object(shards_disk_log(config->shards, disk));
        (void)json_object_set_new(one, "shard", json_integer(shards_disk_home(config->shards, disk)));
        (void)json_array_append_new(list, one);
    }
    return list;
}

void on_router(struct admin *admin, struct api_call *call) {
    const struct admin_config *config = api_config(admin);
    api_reply_json(
        call, 200,
        json_pack("{s:s, s:s, s:o, s:s, s:s, s:b}", "version", RH_VERSION, "commit", RH_COMMIT, "started_at",
                  surveys_time(config->started_wall_ns), "io", io_body_name(config->body), "io_reason",
                  config->io_reason != NULL ? config->io_reason : "", "journal", config->journal != NULL));
}

void on_shards(struct admin *admin, struct api_call *call) {
    const struct admin_config *config = api_config(admin);
    json_t *list = json_array();
    uint8_t slots[SLOT_COUNT];
    shards_slots(config->shards, slots);
    for (uint32_t shard = 0; list != NULL && shard < shards_count(config->shards); shard++)
        (void)json_array_append_new(list, shard_object(config, slots, shard));
    api_reply_json(call, 200,
                   json_pack("{s:o, s:o, s:i}", "shards", list, "disk_logs", disk_objects(config),
                             "slots_total", (int)SLOT_COUNT));
}
