#include "core/admin/find.h"

#include "codecs/event/fields.h"
#include "codecs/event/rfc3339.h"
#include "codecs/proto/field.h"
#include "codecs/wire/scan.h"
#include "core/admin/admin_private.h"
#include "core/admin/shown.h"
#include "core/base/clock.h"
#include "core/base/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FINDS_MAX    2u /* at a time; each has a gate of LOG_READERS_MAX */
#define FIND_BYTES   (256u * KIB)
#define FIND_RECORDS 2048u
#define FIND_EVENTS  10u /* that are shown */
#define FIND_NS_MAX  (10u * NS_PER_S)
#define TICK_MS      1u /* between two stretches: memory is shared with the workers */

/* One search. */
struct find {
    struct api_later *later; /* NULL = free */
    char *source, *id;       /* own */
    size_t source_length, id_length;
    struct log *log;  /* NULL: the next one is to be begun */
    int gate;         /* of it */
    uint32_t next;    /* log */
    uint64_t high;    /* positions below it are still to be looked at */
    uint64_t records; /* looked at */
    uint64_t end_ns;
    bool cut;            /* something was not looked at */
    uint32_t count;      /* of what was found: */
    struct bytes events; /* owns; JSON, with commas between */
};

struct finds {
    struct admin *admin;
    struct event *tick;
    struct find list[FINDS_MAX];
    struct log_entry entries[FIND_RECORDS];
    uint8_t *bytes; /* owns: a stretch, or one record that is longer */
    size_t capacity;
};

/* ---- one record ---- */

/* The attributes by which an event is told from others; false: it is another one, or none. */
static bool event_is(const struct find *find, const uint8_t *event, size_t length) {
    const uint8_t *end = event + length;
    struct field field;
    unsigned same = 0;
    for (const uint8_t *p = event; p < end && same < 2;) {
        p = field_read(p, end, &field);
        if (p == NULL)
            return false;
        if (field.type != FIELD_BYTES || field.number > EVENT_SOURCE)
            continue;
        bool id = field.number == EVENT_ID;
        if (field.length != (id ? find->id_length : find->source_length) ||
            memcmp(field.data, id ? find->id : find->source, field.length) != 0)
            return false;
        same++;
    }
    return same == 2;
}

static void found(struct find *find, const struct log_entry *entry, const struct field *topic,
                  const struct field *event, uint64_t sequence) {
    const struct shown shown = {.topic = (const char *)topic->data,
                                .topic_length = topic->length,
                                .sequence = sequence,
                                .event = event->data,
                                .event_length = event->length};
    uint64_t ms = entry->time / NS_PER_MS; /* nobody reads more digits */
    char time[RFC3339_BYTES], text[80];
    size_t length = rfc3339_write((int64_t)(ms / 1000), (uint32_t)(ms % 1000 * NS_PER_MS), time);
    bytes_text(&find->events, find->count++ > 0 ? ",{" : "{");
    shown_write(&find->events, &shown);
    (void)snprintf(text, sizeof text, ",\"log\":%u,\"received_at\":\"%.*s\"}", log_number(find->log),
                   (int)length, time);
    bytes_text(&find->events, text);
}

static void record_look(struct find *find, const struct log_entry *entry, const uint8_t *record) {
    struct wire_frame frame;
    struct fault fault;
    struct field field, topic = {0}, event = {0};
    uint64_t sequence = 0;
    if (!log_flags_event(entry->flags) ||
        wire_next(record, entry->length, UINT64_MAX, &frame, &fault) != WIRE_OK || frame.kind != WIRE_EVENT)
        return;
    const uint8_t *end = frame.body + frame.body_length;
    for (const uint8_t *p = frame.body; p != NULL && p < end;) {
        p = field_read(p, end, &field);
        if (p == NULL)
            return;
        if (field.number == 1 && field.type == FIELD_FIXED64)
            sequence = field.value;
        else if (field.number == 2 && field.type == FIELD_BYTES)
            topic = field;
        else if (field.number == 3 && field.type == FIELD_BYTES)
            event = field;
    }
    if (topic.data != NULL && event.data != NULL && event_is(find, event.data, event.length))
        found(find, entry, &topic, &event, sequence);
}

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

/* Copies the newest stretch below `high`; how many records it has. 0: there is nothing more in this log. */
static uint32_t stretch_copy(struct finds *finds, struct find *find, uint64_t *low) {
    uint64_t oldest = log_oldest(find->log);
    if (oldest >= find->high)
        return 0;
    uint64_t begin = find->high - oldest > FIND_RECORDS ? find->high - FIND_RECORDS : oldest;
    if (!log_reader_lower(find->log, find->gate, begin)) {
        find->cut = true; /* the writer was faster */
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
    for (uint32_t i = count; i-- > 0 && find->count < FIND_EVENTS;)
        record_look(find, &finds->entries[i], finds->bytes + (finds->entries[i].offset - from));
    find->records += count;
    find->high = low;
    return true;
}

/* ---- a search ---- */

static void log_leave(struct find *find) {
    if (find->log != NULL)
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
    find->high = log_visible(log);
    return true;
}

static void find_free(struct find *find) {
    log_leave(find);
    free(find->source);
    free(find->id);
    bytes_free(&find->events);
    *find = (struct find){0};
}

static void find_answer(struct find *find) {
    struct api_later *later = find->later;
    if (find->count == 0) {
        api_later_error(later, HTTP_NOTFOUND, "no_event",
                        find->cut ? "No such event was found in what was searched; not all was."
                                  : "No log keeps an event with this source and id in memory.");
    } else {
        char *json = NULL;
        const struct bytes *events = &find->events;
        if (events->failed ||
            asprintf(&json, "{\"events\":[%.*s],\"complete\":%s,\"records_searched\":%" PRIu64 "}",
                     (int)events->length, (const char *)events->data, find->cut ? "false" : "true",
                     find->records) < 0)
            json = NULL;
        api_later_json(later, HTTP_OK, json);
    }
    find_free(find);
}

static void find_step(struct finds *finds, struct find *find) {
    bool late = clock_mono_ns() >= find->end_ns || shards_stopping(finds->admin->config.shards);
    find->cut |= late;
    if (late || find->count >= FIND_EVENTS || (find->log == NULL && !log_begin(finds, find)))
        find_answer(find);
    else if (find->log != NULL && !stretch_look(finds, find))
        log_leave(find);
}

static void on_tick(evutil_socket_t fd, short what, void *arg) {
    static const struct timeval soon = {.tv_usec = TICK_MS * 1000};
    struct finds *finds = arg;
    bool any = false;
    (void)fd;
    (void)what;
    for (uint32_t i = 0; i < FINDS_MAX; i++) {
        if (finds->list[i].later != NULL)
            find_step(finds, &finds->list[i]);
        any |= finds->list[i].later != NULL;
    }
    if (any)
        (void)evtimer_add(finds->tick, &soon);
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
static bool find_begin(struct find *find, const char *source, const char *id) {
    *find = (struct find){.source = strdup(source),
                          .id = strdup(id),
                          .source_length = strlen(source),
                          .id_length = strlen(id),
                          .end_ns = clock_mono_ns() + FIND_NS_MAX};
    return find->source != NULL && find->id != NULL;
}

void on_find(struct admin *admin, struct api_call *call) {
    const char *source = api_query(call, "source"), *id = api_query(call, "id");
    if (source == NULL || id == NULL || *source == '\0' || *id == '\0') {
        api_reply_error(call, HTTP_BADREQUEST, "bad_parameter",
                        "The parameters source and id are those of the event that is looked for.");
        return;
    }
    struct finds *finds = finds_of(admin);
    struct find *find = finds != NULL ? place(finds) : NULL;
    if (finds != NULL && find == NULL) {
        api_reply_error(call, HTTP_SERVUNAVAIL, "busy", "Two search at this moment: ask again.");
        return;
    }
    if (find == NULL || !find_begin(find, source, id)) {
        if (find != NULL)
            find_free(find);
        api_reply_json(call, HTTP_SERVUNAVAIL, NULL);
        return;
    }
    find->later = api_later(call);
    if (find->later == NULL)
        find_free(find);
    on_tick(-1, 0, finds);
}
