/* arrivals.h: the files of an inbox that are known and not yet dealt with, in the order in which they come.
 * Bounded: of an inbox with a million files the first ARRIVALS_MAX are kept, and `more` says that there are
 * others. Files by name or by time; those that wait for something (to be complete, a pause) have a due time.
 * Owner: the inbox. Thread: the spoke's. An arrival is borrowed until it is removed.
 * Nothing blocks; some microseconds for a full list, when files are added, chosen and removed.
 * Fails: no memory is as if there were no room. */
#pragma once

#include "core/base/check.h"
#include "core/transport/ledger.h"

#include <stdbool.h>
#include <stdint.h>

#define ARRIVALS_MAX   8192u
#define ARRIVALS_HEADS 4096u

/* A file that is settled but not moved. */
struct settled {
    struct ledger_file file;
    char *findings; /* owns; NULL: none, or they are written */
    size_t findings_length;
    char noted[FOLDER_NAME_BYTES]; /* the target that the ledger knows; empty: it knows nothing */
};

struct arrival {
    char *name;              /* owns */
    struct settled *settled; /* owns; NULL: it is to be read */
    struct arrival *next;    /* with the same head */
    int64_t modified_ns;     /* by which it is ordered, when that is by time */
    bool complete;           /* may be read when it is due; else it is looked at again then */
    bool held;               /* it is being read, or was tried: it is not forgotten for others */
    uint32_t tries;
    uint64_t due_ns;    /* monotonic; 0: at once */
    uint64_t seen_size; /* when it was looked at last */
    int64_t seen_ns;
};

struct arrivals {
    struct arrival **items; /* owns; in order */
    struct arrival **heads; /* owns; by name */
    uint32_t count;
    bool by_time;
    bool more; /* there were files for which there was no room */
};

bool arrivals_init(struct arrivals *arrivals, bool by_time) MUST_USE;
void arrivals_free(struct arrivals *arrivals);

/* The one of this name, which is made if need be: *is_new. NULL: no room. */
struct arrival *arrivals_add(struct arrivals *arrivals, const char *name, int64_t modified_ns, bool *is_new);
/* The first in order of those that are due; NULL: none. */
struct arrival *arrivals_next(const struct arrivals *arrivals, uint64_t now_ns);
/* When the next one is due that is not yet; UINT64_MAX: none. */
uint64_t arrivals_due(const struct arrivals *arrivals, uint64_t now_ns);
void arrivals_remove(struct arrivals *arrivals, struct arrival *arrival);
void settled_free(struct settled *settled);
