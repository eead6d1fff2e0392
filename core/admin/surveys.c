#include "core/admin/surveys.h"

#include "codecs/event/rfc3339.h"
#include "core/admin/admin.h"
#include "core/base/topic.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HTTP_UNAVAILABLE 503

/* ---- values ---- */

json_t *surveys_text(const char *text, size_t length) {
    if (utf8_valid((const uint8_t *)text, length))
        return json_stringn(text, length);
    char *copy = malloc(length);
    for (size_t i = 0; copy != NULL && i < length; i++)
        copy[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
    json_t *value = copy != NULL ? json_stringn(copy, length) : NULL;
    free(copy);
    return value;
}

json_t *surveys_time(uint64_t wall_ns) {
    char text[RFC3339_BYTES];
    if (wall_ns == 0)
        return json_null();
    uint64_t ms = wall_ns / NS_PER_MS; /* nobody reads more digits */
    size_t length = rfc3339_write((int64_t)(ms / 1000), (uint32_t)(ms % 1000 * NS_PER_MS), text);
    return json_stringn(text, length);
}

json_t *surveys_real(double value) {
    return json_real(round(value * 100) / 100);
}

json_t *surveys_ms(uint64_t ns) {
    return json_integer((json_int_t)(ns / NS_PER_MS));
}

const char *surveys_kind(enum survey_subscribed kind) {
    static const char *const names[] = {
        [SURVEY_LIVE] = "live", [SURVEY_QUEUE] = "queue", [SURVEY_MAILBOX] = "mailbox"};
    return names[kind];
}

json_t *surveys_patterns(const char *text, size_t length) {
    json_t *list = json_array();
    for (size_t at = 0; list != NULL && at < length; at += strlen(text + at) + 1)
        (void)json_array_append_new(list, surveys_text(text + at, strlen(text + at)));
    return list;
}

json_t *surveys_filter(bool filtered, const char *filter) {
    if (!filtered)
        return json_null();
    return filter[0] == '\0' ? json_true() : json_loads(filter, 0, NULL);
}

json_t *surveys_list(const struct survey_answer *answer, const char *name, json_t *(*row)(const void *row)) {
    json_t *list = json_array();
    bool whole = list != NULL;
    for (uint32_t i = 0; whole && i < answer->count; i++)
        whole = json_array_append_new(list, row(survey_row(answer, i))) == 0;
    if (!whole) {
        json_decref(list);
        return NULL;
    }
    return json_pack("{s:o, s:b, s:b}", name, list, "more", answer->more, "complete", !answer->cut);
}

/* ---- asking ---- */

struct asking {
    struct api_later *later;
    surveys_make *make;
    struct survey_question question;
};

static void on_answer(void *user, const struct survey_answer *answer) {
    struct asking *asking = user;
    if (answer == NULL) {
        api_later_error(asking->later, HTTP_UNAVAILABLE, "stopping", "The router stops.");
    } else {
        json_t *value = asking->make(answer, &asking->question);
        api_later_json(asking->later, 200,
                       value != NULL ? json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL);
        json_decref(value);
    }
    free(asking);
}

void surveys_refuse(struct api_later *later, int result) {
    if (result == -EBUSY)
        api_later_error(later, HTTP_UNAVAILABLE, "busy",
                        "Too many ask the workers at this moment: ask again.");
    else if (result == -ESHUTDOWN)
        api_later_error(later, HTTP_UNAVAILABLE, "stopping", "The router stops.");
    else
        api_later_json(later, HTTP_UNAVAILABLE, NULL);
}

void surveys_ask(struct admin *admin, struct api_call *call, const struct survey_question *question,
                 surveys_make *make) {
    struct survey_desk *desk = api_config(admin)->desk;
    struct api_later *later = api_later(call);
    if (later == NULL)
        return;
    struct asking *asking = malloc(sizeof *asking);
    int result = asking == NULL ? -ENOMEM : -ESHUTDOWN;
    if (asking != NULL) {
        *asking = (struct asking){.later = later, .make = make, .question = *question};
        if (desk != NULL)
            result = survey_ask(desk, question, on_answer, asking);
    }
    if (result == 0)
        return;
    free(asking);
    surveys_refuse(later, result);
}

void surveys_ask_limited(struct admin *admin, struct api_call *call, struct survey_question question,
                         surveys_make *make) {
    uint64_t limit;
    if (!api_query_number(call, "limit", 1, SURVEY_ROWS_MAX, SURVEY_LIMIT_DEFAULT, &limit))
        return;
    question.limit = (uint32_t)limit;
    surveys_ask(admin, call, &question, make);
}
