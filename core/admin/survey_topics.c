/* survey_topics.c: /v1/topics. */
#include "core/admin/surveys.h"
#include "core/base/topic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *topic_row(const void *row) {
    const struct survey_topic *found = row;
    return json_pack("{s:o, s:i, s:i, s:s, s:I, s:o, s:o, s:o}", "topic",
                     surveys_text(found->name, strlen(found->name)), "slot", (int)found->slot, "shard",
                     (int)found->shard, "class", found->disk ? "disk" : "memory", "events_kept",
                     (json_int_t)found->kept, "rate_per_s", surveys_real(found->rate), "bytes_per_s",
                     surveys_real(found->bytes), "last_event", surveys_time(found->last_ns));
}

static int by_name(const void *a, const void *b) {
    const char *left = json_string_value(json_object_get(*(json_t *const *)a, "topic"));
    const char *right = json_string_value(json_object_get(*(json_t *const *)b, "topic"));
    return strcmp(left, right);
}

/* The same list in the order of names. NULL: no memory. */
static json_t *sorted(json_t *list) {
    size_t count = json_array_size(list);
    json_t **items = calloc(count + 1, sizeof *items);
    json_t *out = items != NULL ? json_array() : NULL;
    for (size_t i = 0; out != NULL && i < count; i++)
        items[i] = json_array_get(list, i);
    if (out != NULL)
        qsort(items, count, sizeof *items, by_name);
    for (size_t i = 0; out != NULL && i < count; i++)
        (void)json_array_append(out, items[i]);
    free(items);
    return out;
}

json_t *surveys_topics_make(const struct survey_answer *answer, const struct survey_question *question) {
    json_t *value = surveys_list(answer, "topics", topic_row);
    if (value != NULL && question->by_name)
        (void)json_object_set_new(value, "topics", sorted(json_object_get(value, "topics")));
    return value;
}

/* False: it was answered. */
static bool question_read(struct api_call *call, struct survey_question *question) {
    const char *match = api_query(call, "match"), *sort = api_query(call, "sort");
    struct fault fault;
    char text[300];
    question->by_name = sort != NULL && strcmp(sort, "name") == 0;
    if (sort != NULL && !question->by_name && strcmp(sort, "rate") != 0) {
        api_reply_error(call, 400, "bad_parameter", "The parameter sort is rate or name.");
        return false;
    }
    if (match == NULL || match[0] == '\0')
        return true;
    if (!pattern_valid((const uint8_t *)match, strlen(match), &fault)) {
        (void)snprintf(text, sizeof text, "The parameter match is a pattern: %s.", fault.text);
        api_reply_error(call, 400, "bad_parameter", text);
        return false;
    }
    question->match_length = (uint32_t)strlen(match);
    memcpy(question->match, match, question->match_length);
    return true;
}

void on_topics(struct admin *admin, struct api_call *call) {
    struct survey_question question = {.kind = SURVEY_TOPICS};
    if (question_read(call, &question))
        surveys_ask_limited(admin, call, question, surveys_topics_make);
}
