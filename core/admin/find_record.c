#include "core/admin/find_record.h"

#include "codecs/event/bytes.h"
#include "codecs/event/fields.h"
#include "codecs/event/identity.h"
#include "codecs/proto/field.h"
#include "codecs/wire/scan.h"
#include "core/admin/shown.h"
#include "core/admin/surveys.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "ring/log.h"

#include <stdlib.h>
#include <string.h>

/* The attributes by which an event is told from others; false: it is another one, or none. */
static bool event_is(const struct find_wanted *wanted, const uint8_t *event, size_t length) {
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
        if (field.length != (id ? wanted->id_length : wanted->source_length) ||
            memcmp(field.data, id ? wanted->id : wanted->source, field.length) != 0)
            return false;
        same++;
    }
    return same == 2;
}

static json_t *found(uint32_t log, const struct log_entry *entry, const struct field *topic,
                     const struct field *event, uint64_t sequence) {
    const struct shown shown = {.topic = (const char *)topic->data,
                                .topic_length = topic->length,
                                .sequence = sequence,
                                .event = event->data,
                                .event_length = event->length};
    struct bytes text = {0};
    bytes_text(&text, "{");
    shown_write(&text, &shown);
    bytes_text(&text, "}");
    json_t *value = text.failed ? NULL : json_loadb((const char *)text.data, text.length, 0, NULL);
    bytes_free(&text);
    if (value == NULL)
        return NULL;
    (void)json_object_set_new(value, "log", json_integer((json_int_t)log));
    (void)json_object_set_new(value, "received_at", surveys_time(entry->time));
    return value;
}

json_t *find_record(const struct find_wanted *wanted, uint32_t log, const struct log_entry *entry,
                    const uint8_t *record) {
    struct wire_frame frame;
    struct fault fault;
    struct field field, topic = {0}, event = {0};
    uint64_t sequence = 0;
    if (!log_flags_event(entry->flags) ||
        wire_next(record, entry->length, UINT64_MAX, &frame, &fault) != WIRE_OK || frame.kind != WIRE_EVENT)
        return NULL;
    const uint8_t *end = frame.body + frame.body_length;
    for (const uint8_t *p = frame.body; p != NULL && p < end;) {
        p = field_read(p, end, &field);
        if (p == NULL)
            return NULL;
        if (field.number == 1 && field.type == FIELD_FIXED64)
            sequence = field.value;
        else if (field.number == 2 && field.type == FIELD_BYTES)
            topic = field;
        else if (field.number == 3 && field.type == FIELD_BYTES)
            event = field;
    }
    bool is = topic.data != NULL && event.data != NULL && event_is(wanted, event.data, event.length);
    return is ? found(log, entry, &topic, &event, sequence) : NULL;
}

/* ---- what is wanted ---- */

bool find_wanted_init(struct find_wanted *wanted, const char *source, const char *id) {
    struct bytes event = {0};
    *wanted = (struct find_wanted){
        .source = strdup(source), .id = strdup(id), .source_length = strlen(source), .id_length = strlen(id)};
    bytes_field(&event, EVENT_ID, id, wanted->id_length);
    bytes_field(&event, EVENT_SOURCE, source, wanted->source_length);
    if (!event.failed)
        wanted->identity = event_identity(event.data, event.length);
    bool right = !event.failed && wanted->source != NULL && wanted->id != NULL;
    bytes_free(&event);
    return right;
}

void find_wanted_deinit(struct find_wanted *wanted) {
    free(wanted->source);
    free(wanted->id);
    *wanted = (struct find_wanted){0};
}
