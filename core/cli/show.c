#include "core/cli/show.h"

#include "codecs/event/bytes.h"
#include "codecs/event/fields.h"
#include "codecs/event/json.h"
#include "codecs/event/json_text.h"
#include "codecs/proto/field.h"
#include "core/base/logfmt.h"
#include "core/base/utf8.h"
#include "core/cli/args.h"
#include "core/cli/cli.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SHOW_TEXT_DATA_BYTES 200u /* of the data, quoted, in a line for people */

/* The sequence is a string: many readers of JSON round numbers above 2^53. */
static bool show_json(FILE *out, const rh_event *event, struct fault *fault) {
    struct bytes topic = {0};
    char *text;
    size_t length;
    if (!event_to_json(event->event, event->event_length, &text, &length, fault))
        return false;
    json_string_add(&topic, event->topic, event->topic_length);
    bool good = !topic.failed && topic.length > 0;
    if (good)
        fprintf(out, "{\"topic\":%.*s,\"sequence\":\"%" PRIu64 "\",\"event\":", (int)topic.length,
                (const char *)topic.data, event->sequence);
    if (good) {
        fwrite(text, 1, length, out);
        fputs("}\n", out);
    } else {
        *fault = (struct fault){RH_CODE_INVALID, "its topic is not valid UTF-8", "topic"};
    }
    bytes_free(&topic);
    free(text);
    return good;
}

/* Attributes of the event by field number; those that are missing stay as they are. */
static bool show_heads(const rh_event *event, struct field heads[EVENT_TYPE + 1], struct fault *fault) {
    const uint8_t *end = event->event + event->event_length;
    struct field field;
    for (const uint8_t *p = event->event; p < end;) {
        p = field_read(p, end, &field);
        if (p == NULL) {
            *fault = (struct fault){RH_CODE_INVALID, "it is not a serialized CloudEvent", "event"};
            return false;
        }
        if (field.number <= EVENT_TYPE && field.type == FIELD_BYTES)
            heads[field.number] = field;
    }
    return true;
}

/* Bytes that could move a terminal's cursor, or worse, come out as escapes. */
static void show_quoted(FILE *out, const uint8_t *text, size_t length, size_t most) {
    char quoted[1200];
    size_t room = most < sizeof quoted ? most : sizeof quoted;
    fputs(logfmt_quote(quoted, room, (const char *)text, length), out);
}

static bool show_text(FILE *out, const rh_event *event, struct fault *fault) {
    static const uint8_t nothing[1];
    struct field heads[EVENT_TYPE + 1];
    for (unsigned i = 0; i <= EVENT_TYPE; i++)
        heads[i] = (struct field){.data = nothing};
    const uint8_t *data;
    size_t length;
    uint32_t kind;
    if (!show_heads(event, heads, fault))
        return false;
    const uint8_t *topic = (const uint8_t *)event->topic;
    if (utf8_clean(topic, event->topic_length))
        fwrite(topic, 1, event->topic_length, out);
    else
        show_quoted(out, topic, event->topic_length, 600);
    fputs("  type=", out);
    show_quoted(out, heads[EVENT_TYPE].data, heads[EVENT_TYPE].length, 600);
    fputs(" id=", out);
    show_quoted(out, heads[EVENT_ID].data, heads[EVENT_ID].length, 600);
    fputs(" source=", out);
    show_quoted(out, heads[EVENT_SOURCE].data, heads[EVENT_SOURCE].length, 600);
    if (event_data(event->event, event->event_length, &data, &length, &kind)) {
        fprintf(out, " bytes=%zu data=", length);
        show_quoted(out, data, length, SHOW_TEXT_DATA_BYTES);
    }
    fputs(event->maybe_duplicate ? " maybe_duplicate\n" : "\n", out);
    return true;
}

static bool show_raw(FILE *out, const rh_event *event) {
    const uint8_t *data;
    size_t length;
    uint32_t kind;
    if (event_data(event->event, event->event_length, &data, &length, &kind))
        fwrite(data, 1, length, out);
    fputc('\n', out);
    return true;
}

bool show_event(FILE *out, enum show_format format, const rh_event *event, struct fault *fault) {
    if (format == SHOW_JSON)
        return show_json(out, event, fault);
    return format == SHOW_TEXT ? show_text(out, event, fault) : show_raw(out, event);
}

int show_format_read(const char *command, const char *text, enum show_format *format) {
    static const char *const names[] = {[SHOW_JSON] = "json", [SHOW_TEXT] = "text", [SHOW_RAW] = "raw"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(text, names[i]) == 0) {
            *format = (enum show_format)i;
            return CLI_OK;
        }
    return args_mistake(command, "--format is json, text or raw, not '%s'", text);
}
