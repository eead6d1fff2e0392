/* history.h: a thread that reads what workers ask for of the disk logs' past (core/shard/history.h).
 * Owner: main: made before the shards, ended when their threads are gone and before they are.
 * Threads: the table's functions are for workers; the rest for main.
 * Blocks: start and stop wait for the thread, which waits for the disk; workers wait for nothing.
 * Fails: start with negative errno; later a request gets the errno of the disk. */
#pragma once

#include "core/journal/journal.h"
#include "core/shard/history.h"

struct journal_history;

/* -ENOMEM, -EAGAIN (no thread). The journal must outlive it. */
int journal_history_start(struct journal_history **out, struct journal *journal) MUST_USE;
/* For shards_config.history; valid until the stop. */
const struct history *journal_history_table(const struct journal_history *history);
/* Answers nothing any more: what is still asked for stays so. NULL is allowed. */
void journal_history_stop(struct journal_history *history);
