#include "core/cli/source.h"

#include "codecs/event/json_text.h"
#include "core/base/clock.h"
#include "core/base/topic.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOURCE_ID_MAX 1200u /* an id from the command line, and a number behind it */

static enum source_result source_bad(struct source *source, const char *text, const char *field) {
    (void)snprintf(source->why, sizeof source->why, "%s%s%s%s", text, field != NULL ? " (" : "",
                   field != NULL ? field : "", field != NULL ? ")" : "");
    return SOURCE_BAD;
}

static enum source_result source_give(struct source *source, const char *topic, size_t topic_length,
                                      size_t event_length, struct source_item *item) {
    *item = (struct source_item){topic, topic_length, source->event, event_length};
    source->made++;
    return SOURCE_EVENT;
}

static enum source_result source_parts(struct source *source, struct source_item *item) {
    if (source->made == source->count)
        return SOURCE_END;
    char id[SOURCE_ID_MAX];
    struct event_parts parts = source->parts;
    if (source->count > 1) {
        (void)snprintf(id, sizeof id, "%s-%llu", source->parts.id, (unsigned long long)source->made + 1);
        parts.id = id;
    }
    parts.time_ns = clock_wall_ns();
    struct fault fault;
    size_t length;
    if (!event_build(&parts, &source->event, &length, &fault))
        return source_bad(source, fault.text, fault.field);
    return source_give(source, source->topic, strlen(source->topic), length, item);
}

/* ---- lines ---- */

static enum source_result line_event(struct source *source, const char *text, size_t n, size_t *length) {
    struct fault fault;
    if (!event_from_json(text, n, &source->event, length, &fault))
        return source_bad(source, fault.text, fault.field);
    return SOURCE_EVENT;
}

/* A JSON string as text of its own. NULL: not a string, or one with a NUL inside. */
static char *line_string(const char *text, size_t n) {
    json_t *value = json_loadb(text, n, JSON_DECODE_ANY, NULL);
    char *copy = json_is_string(value) ? strdup(json_string_value(value)) : NULL;
    json_decref(value);
    return copy;
}

static bool key_is(const struct json_member *member, const char *name) {
    size_t n = strlen(name);
    return member->key_length == n + 2 && memcmp(member->key + 1, name, n) == 0;
}

/* {"topic": "...", "event": {...}}, and the "sequence" that `sub` writes, which has no meaning here. The
 * event's text is taken as it is, so that its numbers stay as they were written. */
static enum source_result line_wrapped(struct source *source, const char *line, size_t n,
                                       struct json_member *event) {
    const char *end = line + n, *at = json_text_begin(line, end);
    const char *wrong = json_text_fault(line, n, true);
    if (wrong != NULL)
        return source_bad(source, wrong, NULL);
    if (*at != '{')
        return source_bad(source, "a line is a JSON object {\"topic\": ..., \"event\": ...}", NULL);
    struct json_member member;
    *event = (struct json_member){0};
    while (json_member_next(&at, end, &member)) {
        if (key_is(&member, "event"))
            *event = member;
        else if (key_is(&member, "topic"))
            source->line_topic = line_string(member.value, member.value_length);
        else if (!key_is(&member, "sequence"))
            return source_bad(
                source, "a member is neither \"topic\" nor \"event\"; is this a bare event without TOPIC?",
                NULL);
    }
    struct fault fault;
    if (source->line_topic == NULL)
        return source_bad(source, "\"topic\" is missing, or is not a string", NULL);
    if (!topic_valid((const uint8_t *)source->line_topic, strlen(source->line_topic), &fault))
        return source_bad(source, fault.text, NULL);
    if (event->key == NULL)
        return source_bad(source, "\"event\" is missing", NULL);
    return SOURCE_EVENT;
}

static enum source_result source_failed(struct source *source, int error) {
    const char *text = error == -EFBIG ? "the line is too long to be an event" : strerror(-error);
    (void)snprintf(source->why, sizeof source->why, "%s", text);
    return SOURCE_FAILED;
}

/* Some programs put a byte order mark in front of a file. */
static void mark_skip(const char **line, size_t *n) {
    static const char mark[] = "\xef\xbb\xbf";
    if (*n >= sizeof mark - 1 && memcmp(*line, mark, sizeof mark - 1) == 0) {
        *line += sizeof mark - 1;
        *n -= sizeof mark - 1;
    }
}

static enum source_result source_line(struct source *source, struct source_item *item) {
    const char *line;
    size_t n, length;
    int got = lines_next(&source->lines, &line, &n);
    if (got != LINES_LINE)
        return got < 0 ? source_failed(source, got) : got == LINES_END ? SOURCE_END : SOURCE_WAIT;
    if (source->lines.number == 1)
        mark_skip(&line, &n);
    if (json_text_begin(line, line + n) == line + n)
        return SOURCE_BLANK;
    enum source_result result;
    if (source->kind == SOURCE_LINES_TOPIC) {
        result = line_event(source, line, n, &length);
        return result == SOURCE_EVENT
                   ? source_give(source, source->topic, strlen(source->topic), length, item)
                   : result;
    }
    struct json_member event;
    result = line_wrapped(source, line, n, &event);
    if (result == SOURCE_EVENT)
        result = line_event(source, event.value, event.value_length, &length);
    if (result != SOURCE_EVENT)
        return result;
    return source_give(source, source->line_topic, strlen(source->line_topic), length, item);
}

enum source_result source_next(struct source *source, struct source_item *item) {
    free(source->event);
    source->event = NULL;
    free(source->line_topic);
    source->line_topic = NULL;
    return source->kind == SOURCE_PARTS ? source_parts(source, item) : source_line(source, item);
}

void source_deinit(struct source *source) {
    free(source->event);
    free(source->line_topic);
    lines_deinit(&source->lines);
    *source = (struct source){0};
}
