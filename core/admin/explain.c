#include "core/admin/explain.h"

#include "codecs/event/attributes.h"
#include "codecs/event/json.h"
#include "core/admin/admin.h"
#include "core/admin/surveys.h"
#include "core/base/clock.h"
#include "core/base/topic.h"
#include "core/shard/explain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPLAIN_LIST_DEFAULT 20u
#define EXPLAIN_LIST_MAX     1000u
#define TEXT_BYTES           300u

struct explaining {
    const struct admin_takers *takers; /* NULL = there are none */
    struct api_later *later;
    json_t *value;          /* owns: what workers have said */
    struct explain explain; /* borrows the following */
    char *topic;            /* owns */
    uint8_t *event;         /* owns */
};

static void explaining_free(struct explaining *asked) {
    if (asked == NULL)
        return;
    json_decref(asked->value);
    free(asked->topic);
    free(asked->event);
    free(asked);
}

/* ---- the answer ---- */

static json_t *sequence_text(uint64_t sequence) {
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, sequence);
    return json_string(text);
}

static json_t *attribute_text(const struct explain *explain, const char *name) {
    char text[TEXT_BYTES];
    size_t length = attribute_copy(explain->event, explain->event_length, name, (uint8_t *)text, sizeof text);
    return surveys_text(text, length);
}

static json_t *rule_object(const struct explain *explain) {
    if (explain->rule == 0)
        return json_null();
    return json_pack("{s:i, s:o, s:s, s:o, s:o}", "number", (int)explain->rule, "match",
                     surveys_text((const char *)explain->rule_pattern, explain->rule_length), "class",
                     explain->disk ? "disk" : "memory", "expiry_ms", surveys_ms(explain->rule_expiry_ns),
                     "duplicates_window_ms", surveys_ms(explain->window_ns));
}

static json_t *expiry_object(const struct explain *explain) {
    const char *by = explain->expires ? "event" : explain->rule_expiry_ns != 0 ? "rule" : NULL;
    return json_pack("{s:o, s:s?, s:b}", "at", surveys_time(by != NULL ? explain->expires_ns : 0), "by", by,
                     "over", explain->outcome == EXPLAIN_EXPIRED);
}

static const char *const outcomes[] = {[EXPLAIN_ROUTED] = "routed",
                                       [EXPLAIN_REFUSED] = "refused",
                                       [EXPLAIN_DUPLICATE] = "duplicate",
                                       [EXPLAIN_EXPIRED] = "expired"};

/* What becomes of it, and what that means, in a sentence. */
static const char *outcome_text(const struct explain *explain) {
    switch (explain->outcome) {
    case EXPLAIN_REFUSED:
        return explain->fault.text;
    case EXPLAIN_DUPLICATE:
        return "an event with this topic, source and id came within the duplicates window: it is not stored "
               "again";
    case EXPLAIN_EXPIRED:
        return "its expirytime is over: it is stored, and delivered to nobody";
    default:
        return explain->held
                   ? "it is routed, once a slow subscriber with policy block lets its publisher go on"
                   : "it is routed";
    }
}

/* Why it gets the event, or does not. */
static const char *row_why(const struct explain *explain, const struct explain_row *row) {
    if (row->group == EXPLAIN_OTHER)
        return "pattern";
    if (row->group == EXPLAIN_FILTERED)
        return "filter";
    return explain->outcome == EXPLAIN_ROUTED ? "matches" : outcomes[explain->outcome];
}

static json_t *row_object(const struct explain *explain, const struct explain_row *row) {
    json_t *value = json_pack(
        "{s:s, s:s, s:o, s:i}", "kind", surveys_kind(row->kind), "why", row_why(explain, row), "pattern",
        surveys_text(row->pattern, strlen(row->pattern)), "patterns_total", (int)row->patterns);
    json_t *who =
        row->kind == SURVEY_LIVE
            ? json_pack("{s:o, s:o, s:s, s:I, s:b}", "connection", surveys_connection(&row->client), "client",
                        surveys_text(row->client.name, strlen(row->client.name)), "address",
                        row->client.address, "id", (json_int_t)row->id, "behind", row->behind)
            : json_pack("{s:o, s:i}", "queue", surveys_text(row->queue, strlen(row->queue)), "members",
                        (int)row->members);
    if (value != NULL && json_object_update(value, who) != 0) {
        json_decref(value);
        value = NULL;
    }
    if (row->filter[0] != '\0')
        (void)json_object_set_new(value, "filter", surveys_text(row->filter, strlen(row->filter)));
    json_decref(who);
    return value;
}

static bool row_gets(const struct explain *explain, const struct explain_row *row) {
    return row->group == EXPLAIN_GETS && explain->outcome == EXPLAIN_ROUTED;
}

static json_t *rows_list(const struct explain *explain, const struct survey_answer *answer, bool gets) {
    json_t *list = json_array();
    for (uint32_t i = 0; list != NULL && i < answer->count; i++) {
        const struct explain_row *row = survey_row(answer, i);
        if (row_gets(explain, row) == gets && json_array_append_new(list, row_object(explain, row)) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static json_int_t total(const struct explain *explain, enum explain_group group) {
    const uint64_t *of = explain->totals[group];
    uint64_t all = of[SURVEY_LIVE] + of[SURVEY_QUEUE] + of[SURVEY_MAILBOX];
    return (json_int_t)all;
}

static json_t *totals_object(const struct explain *explain) {
    json_int_t all = total(explain, EXPLAIN_GETS);
    bool routed = explain->outcome == EXPLAIN_ROUTED;
    return json_pack("{s:I, s:I, s:I, s:I}", "gets", routed ? all : 0, "stopped", routed ? 0 : all, "filter",
                     total(explain, EXPLAIN_FILTERED), "pattern", total(explain, EXPLAIN_OTHER));
}

static json_t *answer_object(const struct explain *explain, const struct survey_answer *answer) {
    char hash[24];
    (void)snprintf(hash, sizeof hash, "%016" PRIx64, explain->hash);
    json_t *value = json_pack("{s:o, s:o, s:o, s:o, s:s, s:i, s:i, s:i, s:s}", "topic",
                              surveys_text((const char *)explain->topic, explain->topic_length), "source",
                              attribute_text(explain, "source"), "id", attribute_text(explain, "id"), "type",
                              attribute_text(explain, "type"), "hash", hash, "slot", (int)explain->slot,
                              "shard", (int)explain->shard, "log", (int)explain->log_number, "class",
                              explain->disk ? "disk" : "memory");
    json_t *fate =
        json_pack("{s:o, s:o, s:o, s:s, s:s, s:b, s:o, s:o, s:o, s:b}", "rule", rule_object(explain),
                  "expiry", expiry_object(explain), "duplicate_of",
                  explain->duplicate_of != 0 ? sequence_text(explain->duplicate_of) : json_null(), "outcome",
                  outcomes[explain->outcome], "message", outcome_text(explain), "held", explain->held,
                  "totals", totals_object(explain), "gets", rows_list(explain, answer, true), "not",
                  rows_list(explain, answer, false), "complete", !answer->cut && explain->judged);
    if (value != NULL && json_object_update(value, fate) != 0) {
        json_decref(value);
        value = NULL;
    }
    json_decref(fate);
    return value;
}

/* ---- spokes and rules ---- */

static void answer(struct explaining *asked) {
    api_later_json(asked->later, 200, asked->value != NULL ? json_dumps(asked->value, JSON_COMPACT) : NULL);
    explaining_free(asked);
}

/* What a pattern of it matches was not tried where nobody gets the event: that is why. */
static void why_settle(const struct explain *explain, const json_t *list) {
    size_t i;
    json_t *row;
    json_array_foreach(list, i, row) {
        const char *why = json_string_value(json_object_get(row, "why"));
        if (explain->outcome != EXPLAIN_ROUTED && why != NULL && strcmp(why, "not_tried") == 0)
            (void)json_object_set_new(row, "why", json_string(outcomes[explain->outcome]));
    }
}

/* On the thread of whoever has tried them. */
static void on_takers(void *user, json_t *told) {
    struct explaining *asked = user;
    if (told == NULL) {
        api_later_error(asked->later, 503, "stopping", "The router stops, or has no memory left for this.");
        explaining_free(asked);
        return;
    }
    why_settle(&asked->explain, json_object_get(told, "spokes"));
    why_settle(&asked->explain, json_object_get(told, "rules"));
    bool whole = asked->value != NULL && json_object_update(asked->value, told) == 0;
    json_decref(told);
    if (!whole) {
        json_decref(asked->value);
        asked->value = NULL;
    }
    answer(asked);
}

static void on_answer(void *user, const struct survey_answer *surveyed) {
    struct explaining *asked = user;
    if (surveyed == NULL || (surveyed->cut && !asked->explain.judged)) {
        api_later_error(asked->later, 503, "stopping", "The router stops.");
        explaining_free(asked);
        return;
    }
    asked->value = answer_object(&asked->explain, surveyed);
    const struct admin_takers *takers = asked->takers;
    const struct admin_offer offer = {.topic = asked->topic,
                                      .event = asked->event,
                                      .length = asked->explain.event_length,
                                      .tried = asked->explain.outcome == EXPLAIN_ROUTED};
    if (asked->value == NULL) {
        answer(asked);
    } else if (takers == NULL || !takers->ask(takers->user, &offer, on_takers, asked)) {
        (void)json_object_set_new(asked->value, "spokes", json_array());
        (void)json_object_set_new(asked->value, "rules", json_array());
        if (takers != NULL) /* it stops */
            (void)json_object_set_new(asked->value, "complete", json_false());
        answer(asked);
    }
}

/* ---- the question ---- */

static bool refuse(struct api_call *call, int code, const char *error, const struct fault *fault) {
    char text[TEXT_BYTES];
    (void)snprintf(text, sizeof text, "%s%s%s.", fault->field != NULL ? fault->field : "",
                   fault->field != NULL ? ": " : "", fault->text);
    api_reply_error(call, code, error, text);
    return false;
}

/* The event in `value`, which is CloudEvents JSON. False: it was answered. */
static bool event_read(struct api_call *call, const json_t *value, struct explaining *asked) {
    struct fault fault = {0};
    size_t length;
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text == NULL) {
        api_reply_json(call, 503, NULL);
        return false;
    }
    bool read = event_from_json(text, strlen(text), &asked->event, &length, &fault);
    free(text);
    if (!read)
        return refuse(call, 422, "no_event", &fault);
    asked->explain.event = asked->event;
    asked->explain.event_length = (uint32_t)length; /* a body has 1 MiB at most */
    return true;
}

static bool topic_read(struct api_call *call, const char *topic, struct explaining *asked) {
    struct fault fault = {0};
    if (topic == NULL) {
        api_reply_error(call, 400, "no_topic",
                        "Say on which topic the event would be published: ?topic=TOPIC, or a body "
                        "{\"topic\": ..., \"event\": ...}.");
        return false;
    }
    if (!topic_valid((const uint8_t *)topic, strlen(topic), &fault)) {
        fault.field = NULL; /* the text says it */
        return refuse(call, 422, "bad_topic", &fault);
    }
    asked->topic = strdup(topic);
    if (asked->topic == NULL) {
        api_reply_json(call, 503, NULL);
        return false;
    }
    asked->explain.topic = (const uint8_t *)asked->topic;
    asked->explain.topic_length = (uint32_t)strlen(topic);
    return true;
}

static bool question_read(struct api_call *call, struct explaining *asked) {
    uint64_t list;
    size_t length;
    const void *body = api_body(call, &length);
    json_error_t error;
    if (!api_query_number(call, "limit", 1, EXPLAIN_LIST_MAX, EXPLAIN_LIST_DEFAULT, &list))
        return false;
    json_t *read =
        json_loadb(body != NULL ? body : "", body != NULL ? length : 0, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(read)) {
        json_decref(read);
        api_reply_error(call, 400, "no_json",
                        "The body is one event as CloudEvents JSON: an object with specversion, id, source "
                        "and type.");
        return false;
    }
    const json_t *event = json_object_get(read, "event"), *topic = json_object_get(read, "topic");
    bool line = json_is_object(event) && json_object_get(read, "specversion") == NULL;
    const char *named = api_query(call, "topic");
    if (named == NULL && line)
        named = json_string_value(topic);
    asked->explain.list = (uint32_t)list;
    bool right = topic_read(call, named, asked) && event_read(call, line ? event : read, asked);
    json_decref(read);
    return right;
}

void on_explain(struct admin *admin, struct api_call *call) {
    struct survey_desk *desk = api_config(admin)->desk;
    struct explaining *asked = calloc(1, sizeof *asked);
    if (asked == NULL) {
        api_reply_json(call, 503, NULL);
        return;
    }
    asked->takers = api_config(admin)->takers;
    if (!question_read(call, asked) || (asked->later = api_later(call)) == NULL) {
        explaining_free(asked);
        return;
    }
    struct survey_question question = {
        .kind = SURVEY_EXPLAIN, .limit = EXPLAIN_GROUPS * asked->explain.list, .explain = &asked->explain};
    int result = desk != NULL ? survey_ask(desk, &question, on_answer, asked) : -ESHUTDOWN;
    if (result == 0)
        return;
    surveys_refuse(asked->later, result);
    explaining_free(asked);
}

/* ---- what matched nobody ---- */

static json_t *unmatched_row(const void *row) {
    const struct survey_unmatched *found = row;
    return json_pack("{s:o, s:o, s:o, s:o, s:i, s:I, s:o, s:o}", "topic",
                     surveys_text(found->topic, strlen(found->topic)), "source",
                     surveys_text(found->source, strlen(found->source)), "id",
                     surveys_text(found->id, strlen(found->id)), "sequence", sequence_text(found->sequence),
                     "log", (int)found->log, "events", (json_int_t)found->count, "first_at",
                     surveys_time(found->first_ns), "last_at", surveys_time(found->last_ns));
}

static json_t *unmatched_make(const struct survey_answer *answer, const struct survey_question *question) {
    (void)question;
    return surveys_list(answer, "unmatched", unmatched_row);
}

void on_unmatched(struct admin *admin, struct api_call *call) {
    surveys_ask_limited(admin, call, (struct survey_question){.kind = SURVEY_UNMATCHED}, unmatched_make);
}
