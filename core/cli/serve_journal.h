/* serve_journal.h: the journal of a running router: opened before its logs are made, connected, stopped.
 * Owner: the command `serve`; the main thread. The journal's threads report by a signal to the process.
 * Blocks as journal_open and journal_stop do: as long as the disk takes.
 * Nothing is done, and nothing fails, where the configuration has no journal.
 * The result is an exit status; what is wrong has been said then. */
#pragma once

#include "core/base/check.h"
#include "core/config/config.h"
#include "core/journal/history.h"
#include "core/journal/journal.h"
#include "core/shard/shard.h"

#include <stdbool.h>

/* What a commit thread is given. */
struct serve_journal_log {
    struct serve_journal *journal;
    uint32_t disk;
};

struct serve_journal {
    struct journal *journal;         /* owns; NULL = there is none */
    struct journal_history *history; /* owns; NULL = there is none */
    struct shards *shards;           /* borrows; NULL until they are connected */
    uint32_t started;                /* disk logs whose commit thread runs */
    uint64_t first[DISK_LOGS_MAX];
    struct wake *wakes[DISK_LOGS_MAX];
    struct serve_journal_log logs[DISK_LOGS_MAX];
};

/* Takes over from the journal what it knows better: the number of logs. */
int serve_journal_open(struct serve_journal *journal, struct config *config) MUST_USE;
/* Starts the thread that reads for the shards, too. */
int serve_journal_shards(struct serve_journal *journal, struct shards_config *shards) MUST_USE;
/* Before the shards' threads are started. */
int serve_journal_start(struct serve_journal *journal, struct shards *shards) MUST_USE;
/* The signal by which the process is told that the journal has failed. */
int serve_journal_signal(void);
/* Whether it has failed; the first time says so in the log. */
bool serve_journal_failed(const struct serve_journal *journal);
/* When the shards' threads are gone: what is left is written. */
int serve_journal_stop(struct serve_journal *journal) MUST_USE;
void serve_journal_close(struct serve_journal *journal);
