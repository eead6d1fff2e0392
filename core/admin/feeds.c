#include "core/admin/feeds.h"

#include "codecs/event/fields.h"
#include "codecs/proto/field.h"
#include "core/admin/surveys.h"
#include "core/base/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES (TOPIC_BYTES_MAX + FEEDS_HEAD + 2u)

struct head {
    uint32_t flags;
    uint32_t length; /* of what was copied */
};

struct feeds {
    const struct shards *shards; /* borrows */
    uint32_t next;               /* log */
    struct log *log;             /* NULL: the next one is to be begun */
    int gate;
    uint64_t high; /* positions below it are still to be looked at, */
    uint64_t low;  /* ... down to this one */
    json_t *pairs; /* owns: by topic and source */
    uint64_t events, unread;
    bool more;
    struct head heads[FEEDS_STRETCH];
    uint8_t bytes[FEEDS_STRETCH][FEEDS_HEAD];
};

/* ---- one record ---- */

/* An entry of the attributes that only what rules have made has: its feeder is known, and is no source. */
static bool of_rules(const struct field *entry) {
    static const char name[] = "routehops";
    const uint8_t *end = entry->data + entry->length;
    struct field field;
    const uint8_t *p = field_read(entry->data, end, &field);
    return p != NULL && field.number == ENTRY_NAME && field.type == FIELD_BYTES &&
           field.length == sizeof name - 1 && memcmp(field.data, name, field.length) == 0;
}

/* False: it is not in what was copied. */
static bool source_find(const uint8_t *event, const uint8_t *end, struct field *source, bool *rules) {
    struct field field;
    bool found = false;
    *rules = false;
    for (const uint8_t *p = event; p != NULL && p < end;) {
        p = field_read(p, end, &field);
        if (p == NULL || field.type != FIELD_BYTES || field.number >= EVENT_BINARY)
            break;
        if (field.number == EVENT_SOURCE) {
            *source = field;
            found = true;
        }
        *rules |= field.number == EVENT_ATTRIBUTE && of_rules(&field);
    }
    return found;
}

/* Where the event's bytes begin: behind the topic, a tag and a length. NULL: not in what was copied. */
static const uint8_t *event_begin(const struct head *head, const uint8_t *record) {
    uint32_t at = log_flags_topic_at(head->flags) + log_flags_topic_length(head->flags);
    uint64_t length;
    if (at >= head->length || record[at] != FIELD_TAG(3, FIELD_BYTES))
        return NULL;
    return varint_read(record + at + 1, record + head->length, &length);
}

static void pair_count(struct feeds *feeds, const uint8_t *topic, uint32_t topic_length,
                       const struct field *source) {
    char key[KEY_BYTES];
    (void)snprintf(key, sizeof key, "%.*s %.*s", (int)topic_length, (const char *)topic, (int)source->length,
                   (const char *)source->data); /* a topic has no blanks */
    json_t *pair = json_object_get(feeds->pairs, key);
    if (pair == NULL && json_object_size(feeds->pairs) >= FEEDS_PAIRS_MAX) {
        feeds->more = true;
    } else if (pair == NULL) {
        (void)json_object_set_new(
            feeds->pairs, key,
            json_pack("{s:o, s:o, s:i}", "topic", surveys_text((const char *)topic, topic_length), "source",
                      surveys_text((const char *)source->data, source->length), "events", 1));
    } else {
        json_t *events = json_object_get(pair, "events");
        (void)json_integer_set(events, json_integer_value(events) + 1);
    }
}

static void head_look(struct feeds *feeds, const struct head *head, const uint8_t *record) {
    const uint8_t *topic = record + log_flags_topic_at(head->flags);
    uint32_t length = log_flags_topic_length(head->flags);
    struct field source;
    bool rules;
    if (!log_flags_event(head->flags) || length == 0 || topic + length > record + head->length ||
        *topic == '$')
        return;
    feeds->events++;
    const uint8_t *event = event_begin(head, record);
    if (event == NULL || !source_find(event, record + head->length, &source, &rules))
        feeds->unread++;
    else if (!rules)
        pair_count(feeds, topic, length, &source);
}

/* ---- a stretch ---- */

/* How many heads were copied; 0: there is nothing more in this log. */
static uint32_t stretch_copy(struct feeds *feeds) {
    uint64_t oldest = log_oldest(feeds->log), low = feeds->low > oldest ? feeds->low : oldest;
    if (low >= feeds->high)
        return 0;
    if (feeds->high - low > FEEDS_STRETCH)
        low = feeds->high - FEEDS_STRETCH;
    if (!log_reader_lower(feeds->log, feeds->gate, low)) {
        feeds->more = true; /* the writer was faster */
        return 0;
    }
    uint32_t count = (uint32_t)(feeds->high - low);
    for (uint32_t i = 0; i < count; i++) {
        const struct log_entry *entry = log_entry_at(feeds->log, low + i);
        struct head *head = &feeds->heads[i];
        *head = (struct head){.flags = entry->flags,
                              .length = entry->length < FEEDS_HEAD ? entry->length : FEEDS_HEAD};
        memcpy(feeds->bytes[i], log_bytes_at(feeds->log, entry->offset), head->length);
    }
    log_reader_idle(feeds->log, feeds->gate);
    feeds->high = low;
    return count;
}

/* ---- logs ---- */

static void log_leave(struct feeds *feeds) {
    if (feeds->log != NULL)
        log_reader_detach(feeds->log, feeds->gate);
    feeds->log = NULL;
}

/* False: all of them were looked at. */
static bool log_begin(struct feeds *feeds) {
    const struct shards *shards = feeds->shards;
    uint32_t disks = shards_disk_logs(shards); /* first: the number of shards may grow */
    if (feeds->next >= disks + shards_count(shards))
        return false;
    struct log *log =
        feeds->next < disks ? shards_disk_log(shards, feeds->next) : shards_log(shards, feeds->next - disks);
    feeds->next++;
    feeds->gate = log_reader_attach(log);
    if (feeds->gate < 0) {
        feeds->more = true;
        return true;
    }
    feeds->log = log;
    feeds->high = log_visible(log);
    feeds->low = feeds->high > FEEDS_RECORDS ? feeds->high - FEEDS_RECORDS : 0;
    return true;
}

bool feeds_step(struct feeds *feeds) {
    if (feeds->log == NULL)
        return log_begin(feeds);
    uint32_t count = stretch_copy(feeds);
    for (uint32_t i = 0; i < count; i++)
        head_look(feeds, &feeds->heads[i], feeds->bytes[i]);
    if (count == 0)
        log_leave(feeds);
    return true;
}

/* ---- the whole ---- */

struct feeds *feeds_new(const struct shards *shards) {
    struct feeds *feeds = calloc(1, sizeof *feeds);
    if (feeds == NULL)
        return NULL;
    feeds->shards = shards;
    feeds->pairs = json_object();
    if (feeds->pairs != NULL)
        return feeds;
    free(feeds);
    return NULL;
}

void feeds_free(struct feeds *feeds) {
    if (feeds == NULL)
        return;
    log_leave(feeds);
    json_decref(feeds->pairs);
    free(feeds);
}

json_t *feeds_told(const struct feeds *feeds) {
    json_t *list = json_array(), *pair;
    const char *key;
    json_object_foreach(feeds->pairs, key, pair) {
        (void)json_array_append(list, pair);
    }
    return json_pack("{s:o, s:I, s:I, s:b}", "feeds", list, "events", (json_int_t)feeds->events, "unread",
                     (json_int_t)feeds->unread, "more", feeds->more);
}
