#include "core/cli/letters.h"

#include "codecs/event/attributes.h"
#include "codecs/event/bytes.h"
#include "codecs/event/json.h"
#include "codecs/event/json_text.h"
#include "codecs/event/rfc3339.h"
#include "core/base/logfmt.h"
#include "core/base/utf8.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LETTER_TYPE "roundhouse.deadletter.v1"

static bool text_is(const struct attribute *attribute, const char *text) {
    return attribute->length == strlen(text) && memcmp(attribute->data, text, attribute->length) == 0;
}

struct letter *letter_copy(const rh_event *event) {
    struct letter *letter = calloc(1, sizeof *letter + event->topic_length + event->event_length);
    if (letter == NULL)
        return NULL;
    char *topic = (char *)(letter + 1);
    uint8_t *bytes = (uint8_t *)topic + event->topic_length;
    memcpy(topic, event->topic, event->topic_length);
    memcpy(bytes, event->event, event->event_length);
    letter->event = *event;
    letter->event.topic = topic;
    letter->event.event = bytes;
    struct attribute found;
    uint32_t kind;
    if (attribute_find(bytes, event->event_length, "id", &found)) {
        letter->id = found.data;
        letter->id_length = found.length;
    }
    if (!attribute_find(bytes, event->event_length, "type", &found) || !text_is(&found, LETTER_TYPE))
        return letter; /* somebody else's event: it can be looked at and dropped */
    if (attribute_find(bytes, event->event_length, "topic", &found) && found.data != NULL) {
        letter->topic = found.data;
        letter->topic_length = found.length;
    }
    if (!event_data(bytes, event->event_length, &letter->original, &letter->original_length, &kind))
        letter->original = NULL;
    return letter;
}

bool letter_chosen(const struct letter *letter, const char *id) {
    return id == NULL || (letter->id_length == strlen(id) && memcmp(letter->id, id, letter->id_length) == 0);
}

/* Times and numbers become text, too. */
static const char *attribute_text(const struct letter *letter, const char *name, char room[64],
                                  size_t *length) {
    struct attribute found;
    *length = 0;
    if (!attribute_find(letter->event.event, letter->event.event_length, name, &found))
        return "";
    if (found.data != NULL) {
        *length = found.length;
        return (const char *)found.data;
    }
    if (found.kind == VALUE_TIME)
        *length = rfc3339_write(found.number, found.nanos, room);
    else
        *length = (size_t)snprintf(room, 64, "%" PRId64, found.number);
    return room;
}

static void column(FILE *out, const struct letter *letter, const char *name) {
    char room[64], quoted[800];
    size_t length;
    const char *text = attribute_text(letter, name, room, &length);
    bool plain = strcmp(name, "reason") != 0 && utf8_clean((const uint8_t *)text, length) &&
                 memchr(text, ' ', length) == NULL;
    if (length == 0)
        fputs("-", out);
    else if (plain)
        fwrite(text, 1, length, out);
    else
        fputs(logfmt_quote(quoted, sizeof quoted, text, length), out);
}

void letter_list(FILE *out, const struct letter *letter) {
    static const char *const names[] = {"lasttime", "stage", "attempts", "topic", "id", "reason"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (i > 0)
            fprintf(out, "  %s=", names[i]);
        column(out, letter, names[i]);
    }
    fputs(letter->original == NULL ? "  (its bytes are gone)\n" : "\n", out);
}

static void member(struct bytes *line, const struct letter *letter, const char *name) {
    char room[64];
    size_t length;
    const char *text = attribute_text(letter, name, room, &length);
    bytes_text(line, "\"");
    bytes_text(line, name);
    bytes_text(line, "\":");
    if (strcmp(name, "attempts") == 0 && length > 0)
        bytes_add(line, text, length);
    else if (length > 0)
        json_string_add(line, text, length);
    else
        bytes_text(line, "null");
    bytes_text(line, ",");
}

void letter_show(FILE *out, const struct letter *letter) {
    static const char *const names[] = {"id",    "queue",    "topic",     "sequence", "reason",
                                        "stage", "attempts", "firsttime", "lasttime"};
    struct bytes line = {0};
    struct fault fault;
    char *text = NULL;
    size_t length;
    bytes_text(&line, "{");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        member(&line, letter, names[i]);
    bytes_text(&line, "\"event\":");
    if (letter->original != NULL &&
        event_to_json(letter->original, letter->original_length, &text, &length, &fault))
        bytes_add(&line, text, length);
    else
        bytes_text(&line, "null");
    bytes_text(&line, "}\n");
    free(text);
    if (!line.failed)
        fwrite(line.data, 1, line.length, out);
    bytes_free(&line);
}
