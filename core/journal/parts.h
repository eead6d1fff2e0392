/* parts.h: what the files of core/journal share about the journal as a whole.
 * Owner: core/journal; nobody else includes it, but for its tests, which make the steps of its threads.
 * Threads: fields say whose they are; "shared" is under `lock`, which is never held while the disk works.
 * Blocks: what waits for the disk says so.
 * Fails once, for the whole journal (journal_fail). */
#pragma once

#include "core/journal/chain.h"
#include "core/journal/journal.h"
#include "core/journal/manifest.h"
#include "core/journal/trouble.h"

#include <pthread.h>

/* One disk log: its chain, and the thread that commits to it. */
struct commit {
    struct journal *journal;
    struct chain chain;
    struct wake wake; /* owns */
    pthread_t thread;
    bool started, running;
    /* the commit thread's */
    struct log *ring; /* borrows until journal_stop */
    int gate;
    uint64_t position; /* of the next record to copy: where the gate stands */
    uint64_t wrote_ns; /* when the last group was written */
    void (*moved)(void *);
    void *user;
    /* shared */
    struct counter keep; /* records from this position on are needed (journal_keep) */
    bool stopping;
    bool spare_refused; /* there is no room for one now */
    /* the housekeeping thread's */
    uint64_t spare_retry_ns;
};

struct journal {
    /* written once */
    struct disk *disk;
    bool disk_is_ours;
    char directory[JOURNAL_TROUBLE_BYTES / 2]; /* for messages; cut when longer */
    struct journal_facts facts;
    void (*failed_call)(void *);
    void *failed_user;
    struct commit *logs; /* owns; facts.logs of them */
    /* the opener's, then the housekeeping thread's */
    pthread_mutex_t manifest_lock; /* of the manifest once the threads run, and its file */
    struct format_manifest manifest;
    pthread_t house;
    bool house_running;
    /* shared */
    pthread_mutex_t lock;
    uint64_t retain_bytes, retain_ns;
    pthread_cond_t work;  /* the housekeeping thread has something to do */
    pthread_cond_t spare; /* a spare is there, or there will be none */
    bool failed;
    bool house_stopping;
    struct journal_trouble trouble;
};

/* The journal has failed: from here on nothing is acknowledged. Said once, to the log, to `failed`, and to
 * every commit thread. Not under the lock. */
void journal_fail(struct journal *journal, int error, const char *what, const char *name);

/* ---- commit.c: one log's commit thread, in steps ---- */

/* Copies what is produced, at most a group, gives it up in the ring and writes it. Waits for the disk.
 * > 0 so many records are durable and visible; 0 there was nothing; -EAGAIN a spare is needed first, and the
 * group is kept; other negative errno: the journal has failed. */
int64_t commit_turn(struct commit *commit) MUST_USE;
/* Proves the last group, if it is not proven. 0, -EAGAIN, or failed. */
int commit_seal(struct commit *commit) MUST_USE;
/* Takes the gate; the first step of journal_start. */
int commit_attach(struct commit *commit, struct log *ring, void (*moved)(void *), void *user) MUST_USE;
void commit_detach(struct commit *commit);

/* ---- house.c: the housekeeping thread: spares, marks, trimming ---- */

/* One round; returns how long it may sleep, in nanoseconds. Waits for the disk. */
uint64_t house_turn(struct journal *journal, uint64_t now_ns, uint64_t wall_ns);
int house_start(struct journal *journal) MUST_USE;
void house_stop(struct journal *journal); /* after a last round */
