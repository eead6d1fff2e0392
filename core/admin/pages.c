#include "core/admin/pages.h"

#include "core/admin/admin_private.h"
#include "core/shard/change.h"
#include "rh_build.h"

#include <stdlib.h>
#include <string.h>

/* ---- health and readiness ---- */

static void on_health(struct admin *admin, struct api_call *call) {
    (void)admin;
    api_reply_text(call, HTTP_OK, "healthy");
}

static void on_ready(struct admin *admin, struct api_call *call) {
    if (shards_stopping(admin->config.shards))
        api_reply_text(call, HTTP_SERVUNAVAIL, "stopping: no new clients are accepted");
    else
        api_reply_text(call, HTTP_OK, "ready");
}

/* ---- metrics ---- */

static void shard_view(const struct admin *admin, uint32_t number, struct metrics_shard *shard) {
    const struct log *log = shards_log(admin->config.shards, number);
    struct shards_wakes wakes = shards_wakes(admin->config.shards, number);
    *shard = (struct metrics_shard){
        .stats = shards_worker_stats(admin->config.shards, number),
        .io = shards_io_counters(admin->config.shards, number),
        .log = log_counters(log),
        .log_oldest = log_oldest(log), /* before `produced`, which never stands below it */
        .log_data_bytes = log_data_bytes(log),
        .log_records = log_records(log),
        .wakes_sent = wakes.sent,
        .wakes_elided = wakes.elided,
    };
    shard->log_visible = log_visible(log);
    shard->log_produced = log_produced(log);
    uint8_t slots[SLOT_COUNT];
    shards_slots(admin->config.shards, slots);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        shard->slots += slots[slot] == number;
}

static void disk_view(const struct admin *admin, uint32_t number, struct metrics_disk *disk) {
    const struct shards *shards = admin->config.shards;
    const struct log *log = shards_disk_log(shards, number);
    *disk = (struct metrics_disk){.log = log_counters(log),
                                  .journal = journal_counters(admin->config.journal, number),
                                  .number = log_number(log),
                                  .log_oldest = log_oldest(log)};
    disk->log_visible = log_visible(log);
    disk->log_produced = log_produced(log);
}

static void on_metrics(struct admin *admin, struct api_call *call) {
    struct metrics_view view = {.shards_count = shards_count(admin->config.shards),
                                .admin = admin->counters,
                                .io_body = io_body_name(admin->config.body),
                                .version = RH_VERSION,
                                .commit = RH_COMMIT,
                                .stopping = shards_stopping(admin->config.shards)};
    struct evbuffer *body = evbuffer_new();
    for (uint32_t shard = 0; shard < view.shards_count; shard++)
        shard_view(admin, shard, &view.shards[shard]);
    if (admin->config.journal != NULL)
        view.disks_count = shards_disk_logs(admin->config.shards);
    if (view.disks_count > 0 && admin->config.journal_dir != NULL)
        metrics_room_read(&view.room, admin->config.journal_dir);
    view.ingest = admin->config.ingest;
    for (uint32_t disk = 0; disk < view.disks_count; disk++)
        disk_view(admin, disk, &view.disks[disk]);
    shards_change_progress(admin->config.shards, &view.change);
    struct metrics_spoke *spokes = NULL;
    if (admin->config.spokes)
        view.spokes_count = admin->config.spokes->numbers(admin->config.spokes->user, &spokes);
    view.spokes = spokes;
    metrics_process_read(&view.process, admin->config.started_wall_ns);
    if (body && metrics_write(body, &view))
        api_reply(call, HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", body);
    else
        api_reply_json(call, HTTP_SERVUNAVAIL, NULL);
    if (body)
        evbuffer_free(body);
    free(spokes);
}

/* ---- the list ---- */

static void list_write(struct evbuffer *out, const struct api_endpoint *table) {
    for (const struct api_endpoint *one = table; one && one->path; one++)
        evbuffer_add_printf(out, "%-4s %-20s %s\n", one->method, one->path, one->help);
}

static void on_list(struct admin *admin, struct api_call *call) {
    struct evbuffer *body = evbuffer_new();
    if (body && evbuffer_add_printf(
                    body, "roundhouse " RH_VERSION " (commit " RH_COMMIT ")\nshards %u, io %s (%.200s)\n\n",
                    shards_count(admin->config.shards), io_body_name(admin->config.body),
                    admin->config.io_reason ? admin->config.io_reason : "") > 0) {
        list_write(body, pages_table);
        list_write(body, admin->config.endpoints);
        api_reply(call, HTTP_OK, "text/plain; charset=utf-8", body);
    } else {
        api_reply_json(call, HTTP_SERVUNAVAIL, NULL);
    }
    if (body)
        evbuffer_free(body);
}

/* ---- spokes ---- */

static void no_spokes(struct api_call *call) {
    api_reply_error(call, HTTP_NOTFOUND, "no_spokes",
                    "this router has no spokes; it is started with a directory of them");
}

static void on_spokes(struct admin *admin, struct api_call *call) {
    const struct admin_spokes *spokes = admin->config.spokes;
    if (!spokes) {
        no_spokes(call);
        return;
    }
    char *text = spokes->list(spokes->user);
    api_reply_json_text(call, HTTP_OK, text);
    free(text);
}

/* On the thread of whoever has applied the files. */
static void on_applied(void *later, bool applied, const char *json) {
    api_later_json(later, applied ? HTTP_OK : API_UNPROCESSABLE, strdup(json));
}

static void on_apply(struct admin *admin, struct api_call *call) {
    const struct admin_spokes *spokes = admin->config.spokes;
    if (!spokes) {
        no_spokes(call);
        return;
    }
    struct api_later *later = api_later(call);
    if (later && !spokes->apply(spokes->user, on_applied, later))
        api_later_error(later, HTTP_SERVUNAVAIL, "stopping", "not now: the router is stopping");
}

const struct api_endpoint pages_table[] = {
    {"GET", "/", on_list, "this list", NULL, API_OPEN},
    {"GET", "/healthz", on_health, "200 while the process lives", NULL, API_OPEN},
    {"GET", "/readyz", on_ready, "200 while clients are accepted, 503 while it stops", NULL, API_OPEN},
    {"GET", "/metrics", on_metrics, "Prometheus text format", NULL, API_ANY_HOST},
    {"GET", "/v1/spokes", on_spokes, "what is connected, as JSON", NULL, 0},
    {"POST", "/v1/spokes/apply", on_apply, "their files are read again", NULL, 0},
    {0},
};
