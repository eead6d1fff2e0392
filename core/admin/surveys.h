/* surveys.h: endpoints whose answer only the workers know: the question, and the answer as JSON.
 * Owner: the admin plane; its thread makes the JSON, also of large answers.
 * Handlers of api.h, for its table.
 * Nothing blocks: the call is answered when the last worker has said what it knows.
 * Fails by 503: too many ask at a time, or the router stops. */
#pragma once

#include "core/admin/api.h"
#include "core/shard/survey.h"

#define SURVEY_LIMIT_DEFAULT 100u /* things that are listed when nobody says how many */

/* `make` gets the answer and what was asked, and gives the body; NULL: no memory. */
typedef json_t *surveys_make(const struct survey_answer *answer, const struct survey_question *question);
void surveys_ask(struct admin *admin, struct api_call *call, const struct survey_question *question,
                 surveys_make *make);
/* The same, with the limit that the call's parameter `limit` says. */
void surveys_ask_limited(struct admin *admin, struct api_call *call, struct survey_question question,
                         surveys_make *make);

/* Why survey_ask has not asked. */
void surveys_refuse(struct api_later *later, int result);

/* ---- values ---- */

/* Text from outside: what is not UTF-8 is replaced. */
json_t *surveys_text(const char *text, size_t length);
json_t *surveys_time(uint64_t wall_ns); /* RFC 3339; null for 0 */
json_t *surveys_real(double value);     /* with two digits of fraction */
json_t *surveys_ms(uint64_t ns);
json_t *surveys_connection(const struct survey_client *client); /* "SHARD.SERIAL" */
const char *surveys_kind(enum survey_subscribed kind);
json_t *surveys_patterns(const char *text, size_t length); /* of texts, each with a NUL behind it */
/* An array of filters; true: there are some, which are too long to be listed. */
json_t *surveys_filter(bool filtered, const char *filter);
/* A list of the answer's rows in an object of its own: {NAME: [..], "more": .., "complete": ..}. */
json_t *surveys_list(const struct survey_answer *answer, const char *name, json_t *(*row)(const void *row));

/* The bodies of /v1/topics, /v1/subscriptions and /v1/queues. */
surveys_make surveys_topics_make, surveys_subscriptions_make, surveys_queues_make;

/* ---- endpoints ---- */

api_handler on_router, on_shards, on_connections, on_subscriptions, on_laggards, on_topics, on_queues;
