#include "core/admin/find_behind.h"

#include "core/base/clock.h"
#include "core/base/thread.h"
#include "ring/counter.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#define STRETCH_FIRST 4096u      /* positions */
#define STRETCH_MOST  (1u << 18) /* ... of which all are read before what is older */
#define LOOK_AT_CLOCK 1024u      /* records */
#define NICE          10

struct search {
    uint64_t below, low; /* between them all was looked at */
    uint64_t stretch;    /* positions of the next one */
    uint64_t time_ns;
    bool over, unread;
};

struct find_behind {
    struct find_behind_options options;
    struct search searches[DISK_LOGS_MAX];
    pthread_t thread;
    struct counter stop, over;
    bool joined; /* the caller's */
    uint64_t records;
    json_t *events; /* owns */
    /* of the stretch that is read */
    uint32_t log;
    uint64_t end, first_ns;
    size_t events_before;
    bool late; /* it ended before its end */
};

/* ---- a stretch ---- */

static bool enough(const struct find_behind *behind) {
    return json_array_size(behind->events) >= behind->options.events;
}

static bool late(const struct find_behind *behind) {
    return counter_get(&behind->stop) != 0 || clock_mono_ns() >= behind->options.until_ns;
}

static bool on_record(void *user, uint64_t position, const struct log_entry *entry, uint64_t identity,
                      const uint8_t *bytes) {
    struct find_behind *behind = user;
    if (position >= behind->end)
        return false;
    if (behind->first_ns == 0)
        behind->first_ns = entry->time;
    if (identity == behind->options.wanted->identity) {
        json_t *event = find_record(behind->options.wanted, LOG_NUMBER_DISK + behind->log, entry, bytes);
        if (event != NULL)
            (void)json_array_insert_new(behind->events, behind->events_before, event); /* the newest first */
    }
    if (++behind->records % LOOK_AT_CLOCK == 0)
        behind->late = late(behind);
    return !behind->late;
}

/* From a position to the end of the stretch. 0, or why not. */
static int stretch_read(struct find_behind *behind, uint64_t from) {
    struct journal_reader reader = {.in_order = true};
    int result = 0;
    behind->first_ns = 0;
    behind->events_before = json_array_size(behind->events);
    for (uint64_t at = from; result == 0 && at < behind->end && !behind->late; at = reader.next) {
        result = journal_scan(behind->options.journal, behind->log, at, &reader, on_record, behind);
        if (result == 0 && reader.next == at)
            break; /* what it would give next was not taken */
        behind->late |= late(behind);
    }
    journal_reader_free(&reader);
    return result;
}

static void stretch_look(struct find_behind *behind, struct search *search) {
    uint64_t oldest = journal_oldest(behind->options.journal, behind->log);
    if (search->low <= oldest) {
        search->over = true;
        return;
    }
    uint64_t from = search->low - oldest > search->stretch ? search->low - search->stretch : oldest;
    behind->end = search->low;
    int result = stretch_read(behind, from);
    if (behind->late)
        return;
    if (result == -ERANGE) /* trimmed meanwhile: the next time from what is kept */
        return;
    search->unread = result != 0 && result != -ENODATA;
    search->over = search->unread;
    if (search->unread)
        return;
    search->low = from;
    search->time_ns = behind->first_ns != 0 ? behind->first_ns : search->time_ns;
    search->stretch = search->stretch < STRETCH_MOST ? 2 * search->stretch : STRETCH_MOST;
}

/* ---- the thread ---- */

static void *thread_run(void *user) {
    struct find_behind *behind = user;
    bool more = true;
    (void)setpriority(PRIO_PROCESS, 0, NICE); /* of this thread: Linux knows no other */
    while (more && !enough(behind) && !behind->late) {
        more = false;
        for (behind->log = 0; behind->log < behind->options.logs && !enough(behind) && !behind->late;
             behind->log++) {
            struct search *search = &behind->searches[behind->log];
            if (!search->over)
                stretch_look(behind, search);
            more |= !search->over;
        }
    }
    counter_set(&behind->over, 1);
    return NULL;
}

struct find_behind *find_behind_start(const struct find_behind_options *options) {
    struct find_behind *behind = calloc(1, sizeof *behind);
    if (behind == NULL)
        return NULL;
    CHECK(options->logs <= DISK_LOGS_MAX);
    behind->options = *options;
    behind->events = json_array();
    for (uint32_t i = 0; i < options->logs; i++)
        behind->searches[i] =
            (struct search){.below = options->below[i], .low = options->below[i], .stretch = STRETCH_FIRST};
    if (behind->events != NULL && thread_start(&behind->thread, "rh-find", thread_run, behind) == 0)
        return behind;
    json_decref(behind->events);
    free(behind);
    return NULL;
}

static void thread_join(struct find_behind *behind) {
    if (!behind->joined)
        (void)pthread_join(behind->thread, NULL);
    behind->joined = true;
}

bool find_behind_over(struct find_behind *behind) {
    if (counter_get(&behind->over) == 0)
        return false;
    thread_join(behind); /* it orders what the thread has written */
    return true;
}

json_t *find_behind_events(const struct find_behind *behind) {
    return behind->events;
}

struct find_range find_behind_range(const struct find_behind *behind, uint32_t log) {
    const struct search *search = &behind->searches[log];
    return (struct find_range){.from = search->low,
                               .oldest = journal_oldest(behind->options.journal, log),
                               .time_ns = search->time_ns,
                               .unread = search->unread};
}

uint64_t find_behind_records(const struct find_behind *behind) {
    return behind->records;
}

void find_behind_end(struct find_behind *behind) {
    if (behind == NULL)
        return;
    counter_set(&behind->stop, 1);
    thread_join(behind);
    json_decref(behind->events);
    free(behind);
}
