#include "core/admin/find.h"

#include "core/admin/admin_private.h"
#include "core/admin/find_behind.h"
#include "core/admin/find_record.h"
#include "core/admin/surveys.h"
#include "core/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FINDS_MAX      2u /* at a time; each has a gate of LOG_READERS_MAX */
#define FIND_BYTES     (256u * KIB)
#define FIND_RECORDS   2048u
#define FIND_S         10u /* for so long, if nobody says how long */
#define FIND_S_MAX     60u
#define TICK_MS        1u /* between two stretches: memory is shared with the workers */
#define BEHIND_TICK_MS 5u /* between two looks at whoever reads the journal */

/* One search: of the rings, the newest log behind the other; then, if it is to go on, of the journal. */
struct find {
    struct api_later *later; /* NULL = free */
    struct find_wanted wanted;
    bool all;         /* of the journal also what is older than what was found */
    struct log *log;  /* NULL: the next one is to be begun */
    int gate;         /* of it */
    uint32_t next;    /* log */
    uint64_t high;    /* positions below it are still to be looked at */
    uint64_t to;      /* of this log: where that began */
    uint64_t time_ns; /* of this log: when the oldest that was looked at was received */
    uint64_t records; /* looked at */
    uint64_t end_ns;
    struct find_disk {
        struct find_range range;
        uint64_t to; /* 0 = its ring was not looked at */
    } disks[DISK_LOGS_MAX];
    uint32_t disks_count;
    bool cut;                   /* something was not looked at */
    json_t *events;             /* owns */
    json_t *ranges;             /* owns: what was searched */
    struct find_behind *behind; /* owns; NULL: the rings are searched */
};

struct finds {
    struct admin *admin;
    struct event *tick;
    struct find list[FINDS_MAX];
    struct log_entry entries[FIND_RECORDS];
    uint8_t *bytes; /* owns: a stretch, or one record that is longer */
    size_t capacity;
};

/* ---- a stretch ---- */

/* Room for one record that is longer than a stretch, if there is such a one. */
static bool room(struct finds *finds, size_t wanted) {
    if (wanted <= finds->capacity)
        return true;
    uint8_t *more = realloc(finds->bytes, wanted);
    if (more == NULL)
        return false;
    finds->bytes = more;
    finds->capacity = wanted;
    return true;
}

static bool on_disk(const struct find *find) {
    return log_number(find->log) >= LOG_NUMBER_DISK && log_number(find->log) < LOG_NUMBER_ADDED;
}

/* Copies the newest stretch below `high`; how many records it has. 0: there is nothing more in this log. */
static uint32_t stretch_copy(struct finds *finds, struct find *find, uint64_t *low) {
    uint64_t oldest = log_oldest(find->log);
    if (oldest >= find->high)
        return 0;
    uint64_t begin = find->high - oldest > FIND_RECORDS ? find->high - FIND_RECORDS : oldest;
    if (!log_reader_lower(find->log, find->gate, begin)) {
        find->cut |= !on_disk(find); /* the writer was faster: the journal has it */
        return 0;
    }
    const struct log_entry *last = log_entry_at(find->log, find->high - 1);
    uint64_t end = last->offset + last->length, from = last->offset;
    *low = find->high - 1;
    for (; *low > begin; --*low) {
        const struct log_entry *entry = log_entry_at(find->log, *low - 1);
        if (end - entry->offset > FIND_BYTES)
            break;
        from = entry->offset;
    }
    uint32_t count = (uint32_t)(find->high - *low);
    bool copied = room(finds, end - from);
    if (copied) {
        for (uint32_t i = 0; i < count; i++)
            finds->entries[i] = *log_entry_at(find->log, *low + i);
        memcpy(finds->bytes, log_bytes_at(find->log, from), end - from);
    }
    log_reader_idle(find->log, find->gate);
    find->cut |= !copied;
    return copied ? count : 0;
}

static bool stretch_look(struct finds *finds, struct find *find) {
    uint64_t low;
    uint32_t count = stretch_copy(finds, find, &low);
    if (count == 0)
        return false;
    uint64_t from = finds->entries[0].offset;
    for (uint32_t i = count; i-- > 0 && json_array_size(find->events) < FIND_EVENTS;) {
        json_t *event = find_record(&find->wanted, log_number(find->log), &finds->entries[i],
                                    finds->bytes + (finds->entries[i].offset - from));
        if (event != NULL)
            (void)json_array_append_new(find->events, event);
    }
    find->records += count;
    find->high = low;
    find->time_ns = finds->entries[0].time;
    return true;
}

/* ---- a search ---- */

/* What was searched of a log; `from` is all that there is when it is the oldest. */
static void range_add(struct find *find, uint32_t number, const char *class, const struct find_range *range,
                      uint64_t to) {
    (void)json_array_append_new(find->ranges,
                                json_pack("{s:i, s:s, s:I, s:I, s:I, s:o, s:b}", "log", (int)number, "class",
                                          class, "from", (json_int_t)range->from, "to", (json_int_t)to,
                                          "oldest", (json_int_t)range->oldest, "since",
                                          surveys_time(range->time_ns), "unread", range->unread));
}

static void log_leave(struct find *find) {
    if (find->log == NULL)
        return;
    const struct find_range range = {
        .from = find->high, .oldest = log_oldest(find->log), .time_ns = find->time_ns};
    uint32_t disk = log_number(find->log) - LOG_NUMBER_DISK;
    if (on_disk(find))
        find->disks[disk] = (struct find_disk){.range = range, .to = find->to};
    else
        range_add(find, log_number(find->log), "memory", &range, find->to);
    log_reader_detach(find->log, find->gate);
    find->log = NULL;
}

/* False: all of them were looked at. */
static bool log_begin(struct finds *finds, struct find *find) {
    const struct shards *shards = finds->admin->config.shards;
    uint32_t disks = shards_disk_logs(shards); /* first: the number of shards may grow */
    if (find->next >= disks + shards_count(shards))
        return false;
    struct log *log =
        find->next < disks ? shards_disk_log(shards, find->next) : shards_log(shards, find->next - disks);
    find->next++;
    find->gate = log_reader_attach(log);
    if (find->gate < 0) {
        find->cut = true;
        return true;
    }
    find->log = log;
    find->high = find->to = log_visible(log);
    find->time_ns = 0;
    return true;
}

static void find_free(struct find *find) {
    if (find->log != NULL)
        log_reader_detach(find->log, find->gate);
    find_behind_end(find->behind);
    find_wanted_deinit(&find->wanted);
    json_decref(find->events);
    json_decref(find->ranges);
    *find = (struct find){0};
}

/* ---- the journal ---- */

/* Of those whose rings were not looked at nothing was. */
static void disks_settle(const struct journal *journal, struct find *find) {
    for (uint32_t i = 0; journal != NULL && i < find->disks_count; i++)
        if (find->disks[i].to == 0)
            find->disks[i].range.from = find->disks[i].to = journal_next(journal, i);
}

/* False: there is none, nobody wants it searched, or it can not be. */
static bool behind_begin(const struct finds *finds, struct find *find) {
    struct journal *journal = finds->admin->config.journal;
    uint32_t found = (uint32_t)json_array_size(find->events), logs = find->disks_count;
    uint64_t below[DISK_LOGS_MAX];
    if (journal == NULL || logs == 0 || (found > 0 && !find->all) || found >= FIND_EVENTS)
        return false;
    disks_settle(journal, find);
    for (uint32_t i = 0; i < logs; i++)
        below[i] = find->disks[i].range.from;
    const struct find_behind_options options = {.journal = journal,
                                                .wanted = &find->wanted,
                                                .logs = logs,
                                                .below = below,
                                                .events = FIND_EVENTS - found,
                                                .until_ns = find->end_ns};
    find->behind = find_behind_start(&options);
    find->cut |= find->behind == NULL;
    return find->behind != NULL;
}

static void behind_take(struct find *find) {
    size_t i;
    json_t *event;
    for (uint32_t log = 0; log < find->disks_count; log++) {
        struct find_range range = find_behind_range(find->behind, log);
        if (range.time_ns == 0)
            range.time_ns = find->disks[log].range.time_ns;
        find->disks[log].range = range;
    }
    find->records += find_behind_records(find->behind);
    json_array_foreach(find_behind_events(find->behind), i, event) {
        if (json_array_size(find->events) < FIND_EVENTS)
            (void)json_array_append(find->events, event);
    }
}

/* What is kept on disk, also where only the ring was searched. */
static void disks_tell(const struct finds *finds, struct find *find) {
    const struct journal *journal = finds->admin->config.journal;
    disks_settle(journal, find);
    for (uint32_t i = 0; i < find->disks_count; i++) {
        struct find_range *range = &find->disks[i].range;
        uint64_t oldest = journal != NULL ? journal_oldest(journal, i) : range->oldest;
        range->oldest = oldest < range->oldest || range->oldest == 0 ? oldest : range->oldest;
        find->cut |= range->from > range->oldest || range->unread;
        range_add(find, LOG_NUMBER_DISK + i, "disk", range, find->disks[i].to);
    }
}

/* ---- the answer ---- */

static void nothing_answer(struct find *find) {
    char text[300];
    if (!find->cut)
        (void)snprintf(text, sizeof text, "No log keeps an event with this source and id.");
    else
        (void)snprintf(text, sizeof text,
                       "No such event was found among %llu records that were searched; not all was. Ask for "
                       "a longer search with seconds=%u.",
                       (unsigned long long)find->records, FIND_S_MAX);
    json_t *value =
        json_pack("{s:s, s:s, s:b, s:I, s:O}", "error", "no_event", "message", text, "complete", !find->cut,
                  "records_searched", (json_int_t)find->records, "searched", find->ranges);
    api_later_json(find->later, HTTP_NOTFOUND, value != NULL ? json_dumps(value, JSON_COMPACT) : NULL);
    json_decref(value);
}

static void find_answer(const struct finds *finds, struct find *find) {
    log_leave(find);
    disks_tell(finds, find);
    if (json_array_size(find->events) == 0) {
        nothing_answer(find);
    } else {
        json_t *value = json_pack("{s:O, s:b, s:I, s:O}", "events", find->events, "complete", !find->cut,
                                  "records_searched", (json_int_t)find->records, "searched", find->ranges);
        api_later_json(find->later, HTTP_OK, value != NULL ? json_dumps(value, JSON_COMPACT) : NULL);
        json_decref(value);
    }
    find_free(find);
}

static void rings_step(struct finds *finds, struct find *find) {
    bool ends = clock_mono_ns() >= find->end_ns || json_array_size(find->events) >= FIND_EVENTS;
    find->cut |= ends;
    if (ends) {
        find_answer(finds, find);
    } else if (find->log == NULL && !log_begin(finds, find)) {
        if (!behind_begin(finds, find))
            find_answer(finds, find);
    } else if (find->log != NULL && !stretch_look(finds, find)) {
        log_leave(find);
    }
}

static void find_step(struct finds *finds, struct find *find) {
    if (shards_stopping(finds->admin->config.shards)) {
        api_later_error(find->later, HTTP_SERVUNAVAIL, "stopping", "The router stops.");
        find_free(find);
    } else if (find->behind == NULL) {
        rings_step(finds, find);
    } else if (find_behind_over(find->behind)) {
        behind_take(find);
        find_answer(finds, find);
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg) {
    static const struct timeval soon = {.tv_usec = TICK_MS * 1000},
                                later = {.tv_usec = BEHIND_TICK_MS * 1000};
    struct finds *finds = arg;
    bool any = false, rings = false;
    (void)fd;
    (void)what;
    for (uint32_t i = 0; i < FINDS_MAX; i++) {
        struct find *find = &finds->list[i];
        if (find->later != NULL)
            find_step(finds, find);
        any |= find->later != NULL;
        rings |= find->later != NULL && find->behind == NULL;
    }
    if (any)
        (void)evtimer_add(finds->tick, rings ? &soon : &later);
}

/* ---- asking ---- */

static struct finds *finds_of(struct admin *admin) {
    if (admin->finds != NULL)
        return admin->finds;
    struct finds *finds = calloc(1, sizeof *finds);
    if (finds == NULL)
        return NULL;
    finds->admin = admin;
    finds->tick = evtimer_new(admin->base, on_tick, finds);
    if (finds->tick == NULL || !room(finds, FIND_BYTES)) {
        finds_free(finds);
        return NULL;
    }
    admin->finds = finds;
    return finds;
}

void finds_free(struct finds *finds) {
    if (finds == NULL)
        return;
    for (uint32_t i = 0; i < FINDS_MAX; i++) {
        if (finds->list[i].later != NULL)
            api_later_error(finds->list[i].later, HTTP_SERVUNAVAIL, "stopping", "The router stops.");
        find_free(&finds->list[i]);
    }
    if (finds->tick != NULL)
        event_free(finds->tick);
    free(finds->bytes);
    free(finds);
}

static struct find *place(struct finds *finds) {
    for (uint32_t i = 0; i < FINDS_MAX; i++)
        if (finds->list[i].later == NULL)
            return &finds->list[i];
    return NULL;
}

/* False: no memory. */
static bool find_begin(struct find *find, const struct admin *admin, const char *source, const char *id,
                       uint64_t seconds) {
    *find = (struct find){.end_ns = clock_mono_ns() + seconds * NS_PER_S,
                          .disks_count = shards_disk_logs(admin->config.shards),
                          .events = json_array(),
                          .ranges = json_array()};
    return find_wanted_init(&find->wanted, source, id) && find->events != NULL && find->ranges != NULL;
}

void on_find(struct admin *admin, struct api_call *call) {
    const char *source = api_query(call, "source"), *id = api_query(call, "id");
    uint64_t seconds;
    bool all;
    if (source == NULL || id == NULL || *source == '\0' || *id == '\0') {
        api_reply_error(call, HTTP_BADREQUEST, "bad_parameter",
                        "The parameters source and id are those of the event that is looked for.");
        return;
    }
    if (!api_query_number(call, "seconds", 1, FIND_S_MAX, FIND_S, &seconds) ||
        !api_query_bool(call, "all", &all))
        return;
    struct finds *finds = finds_of(admin);
    struct find *find = finds != NULL ? place(finds) : NULL;
    if (finds != NULL && find == NULL) {
        api_reply_error(call, HTTP_SERVUNAVAIL, "busy", "Two search at this moment: ask again.");
        return;
    }
    if (find == NULL || !find_begin(find, admin, source, id, seconds)) {
        if (find != NULL)
            find_free(find);
        api_reply_json(call, HTTP_SERVUNAVAIL, NULL);
        return;
    }
    find->all = all;
    find->later = api_later(call);
    if (find->later == NULL)
        find_free(find);
    on_tick(-1, 0, finds);
}
