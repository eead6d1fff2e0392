/* metrics.h: the page of metrics in the Prometheus text format 0.0.4, written from a view of the counters.
 * Owner: the admin plane; its thread makes a view for each request and throws it away.
 * The lists of counters are macros and tables, so that the page can not forget one.
 * Nothing blocks; metrics_process reads small files of /proc.
 * Fails only for want of memory: the page then lacks lines, and metrics_write answers false. */
#pragma once

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/bridge/counters.h"
#include "core/bridge/ingest_counters.h"
#include "core/bridge/spoke_counters.h"
#include "core/io/io.h"
#include "core/journal/journal.h"
#include "core/shard/change.h"
#include "core/shard/stats.h"
#include "ring/log.h"

#include <event2/buffer.h>
#include <stdbool.h>
#include <stdint.h>

/* One shard. The pointers are borrowed for as long as the view is used; the counters behind them may move. */
struct metrics_shard {
    const struct worker_stats *stats;
    const struct io_counters *io;
    const struct log_counters *log;
    uint64_t log_produced;
    uint64_t log_visible;
    uint64_t log_oldest;
    uint64_t log_data_bytes; /* capacity */
    uint64_t log_records;    /* capacity */
    uint64_t wakes_sent;
    uint64_t wakes_elided;
    uint64_t slots; /* how many it has */
};

/* One disk log; the pointers as above. */
struct metrics_disk {
    const struct log_counters *log;
    const struct journal_counters *journal;
    uint64_t number; /* of the log */
    uint64_t log_produced;
    uint64_t log_visible;
    uint64_t log_oldest;
};

/* One spoke: copies. */
struct metrics_spoke {
    char name[64];
    struct spoke_counters out;
    struct inbound_counters in;
};

struct metrics_process {
    uint64_t resident_bytes;
    uint64_t virtual_bytes;
    uint64_t fds_open;
    uint64_t fds_max;
    double cpu_seconds;
    double start_seconds; /* since 1970 */
};

struct metrics_room {
    uint64_t free_bytes; /* for this user */
    uint64_t size_bytes; /* 0 = not known */
};

struct metrics_admin {
    uint64_t requests;
    uint64_t connections; /* now */
    uint64_t accept_errors;
    uint64_t refused; /* requests, by guard.h */
    uint64_t streams; /* open now */
    uint64_t streams_refused;
    uint64_t stream_events;
    uint64_t stream_gaps;
    uint64_t timeouts; /* connections cut because their time was over, or they sent too much */
};

struct metrics_view {
    uint32_t shards_count;
    struct metrics_shard shards[SHARDS_MAX];
    uint32_t disks_count; /* 0 without a journal */
    struct metrics_disk disks[DISK_LOGS_MAX];
    uint32_t spokes_count;
    const struct metrics_spoke *spokes;   /* borrowed */
    const struct ingest_counters *ingest; /* borrowed; NULL: nothing comes in over HTTP */
    struct metrics_room room;             /* of the journal's file system */
    struct shards_change_progress change; /* of the sharding */
    struct metrics_process process;
    struct metrics_admin admin;
    const char *io_body;
    const char *version;
    const char *commit;
    bool stopping;
};

bool metrics_write(struct evbuffer *out, const struct metrics_view *view);

/* How full a log is, 0 to 1: 1 = it has wrapped, and each new event takes the place of the oldest. */
double metrics_log_fill(const struct metrics_shard *shard);

/* The file system of a directory; what can not be read is 0. */
void metrics_room_read(struct metrics_room *room, const char *directory);

/* This process, as /proc has it; what can not be read is 0. */
void metrics_process_read(struct metrics_process *process, uint64_t started_wall_ns);
