/* survey_clients.c: /v1/connections, /v1/subscriptions and /v1/laggards. */
#include "core/admin/surveys.h"

#include <stdio.h>
#include <string.h>

/* How other answers and log lines name it. */
json_t *surveys_connection(const struct survey_client *client) {
    char text[32];
    (void)snprintf(text, sizeof text, "%u.%u", client->shard, client->serial);
    return json_string(text);
}

static json_t *client_name(const struct survey_client *client) {
    return surveys_text(client->name, strlen(client->name));
}

static json_t *connection_row(const void *row) {
    const struct survey_connection *found = row;
    const struct survey_lag *lag = &found->lag;
    return json_pack(
        "{s:o, s:o, s:s, s:i, s:o, s:i, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:b}", "id",
        surveys_connection(&found->client), "client", client_name(&found->client), "address",
        found->client.address, "shard", (int)found->client.shard, "since", surveys_time(found->since_ns),
        "subscriptions", (int)found->subscriptions, "published_total", (json_int_t)found->published,
        "delivered_total", (json_int_t)found->delivered, "lag_events", (json_int_t)lag->events, "lag_bytes",
        (json_int_t)lag->bytes, "lag_ms", surveys_ms(lag->ns), "drain_per_s", surveys_real(lag->drain),
        "last_write_ms", surveys_ms(lag->silent_ns), "catches_up", lag->catches_up);
}

static json_t *connections_make(const struct survey_answer *answer, const struct survey_question *question) {
    (void)question;
    return surveys_list(answer, "connections", connection_row);
}

void on_connections(struct admin *admin, struct api_call *call) {
    surveys_ask_limited(admin, call, (struct survey_question){.kind = SURVEY_CONNECTIONS}, connections_make);
}

/* ---- subscriptions ---- */

static json_t *subscription_row(const void *row) {
    const struct survey_subscription *found = row;
    const struct survey_lag *lag = &found->lag;
    bool live = found->kind == SURVEY_LIVE;
    size_t length = found->text_length;
    return json_pack("{s:o, s:o, s:I, s:s, s:o*, s:o, s:i, s:o, s:I, s:I, s:o, s:o, s:o, s:b}", "connection",
                     surveys_connection(&found->client), "client", client_name(&found->client), "id",
                     (json_int_t)found->id, "kind", surveys_kind(found->kind), "queue",
                     live ? NULL : surveys_text(found->text, strlen(found->text)), "patterns",
                     surveys_patterns(found->text, live ? length : 0), "patterns_total", (int)found->patterns,
                     "filter", surveys_filter(found->filtered, found->filter), "lag_events",
                     (json_int_t)lag->events, "lag_bytes", (json_int_t)lag->bytes, "lag_ms",
                     surveys_ms(lag->ns), "drain_per_s", surveys_real(lag->drain), "last_write_ms",
                     surveys_ms(lag->silent_ns), "lagging", lag->catches_up);
}

json_t *surveys_subscriptions_make(const struct survey_answer *answer,
                                   const struct survey_question *question) {
    (void)question;
    return surveys_list(answer, "subscriptions", subscription_row);
}

void on_subscriptions(struct admin *admin, struct api_call *call) {
    surveys_ask_limited(admin, call, (struct survey_question){.kind = SURVEY_SUBSCRIPTIONS},
                        surveys_subscriptions_make);
}

/* ---- laggards ---- */

static json_t *laggard_row(const void *row) {
    const struct survey_laggard *found = row;
    const struct survey_lag *lag = &found->lag, *worst = &found->worst;
    bool live = found->kind == SURVEY_LIVE, gone = found->gone_ns != 0;
    json_t *value = json_pack(
        "{s:o, s:o, s:s, s:I, s:s, s:o*, s:o, s:i, s:i, s:b, s:o, s:o, s:o}", "connection",
        surveys_connection(&found->client), "client", client_name(&found->client), "address",
        found->client.address, "id", (json_int_t)found->id, "kind", surveys_kind(found->kind), "queue",
        live ? NULL : surveys_text(found->text, strlen(found->text)), "patterns",
        surveys_patterns(found->text, live ? found->text_length : 0), "patterns_total", (int)found->patterns,
        "subscriptions", (int)found->subscriptions, "gone", gone, "gone_at", surveys_time(found->gone_ns),
        "reason", gone ? json_string(found->reason) : json_null(), "since", surveys_time(found->since_ns));
    json_t *numbers = json_pack(
        "{s:I, s:I, s:o, s:o, s:o, s:b, s:o, s:i, s:o, s:I, s:I}", "lag_events", (json_int_t)lag->events,
        "lag_bytes", (json_int_t)lag->bytes, "lag_ms", surveys_ms(lag->ns), "drain_per_s",
        surveys_real(lag->drain), "last_write_ms", surveys_ms(lag->silent_ns), "lagging", !gone, "lagged_ms",
        surveys_ms(found->lagged_ns), "times", (int)found->times, "worst_lag_ms", surveys_ms(worst->ns),
        "worst_lag_events", (json_int_t)worst->events, "worst_lag_bytes", (json_int_t)worst->bytes);
    if (value != NULL && json_object_update(value, numbers) != 0) {
        json_decref(value);
        value = NULL;
    }
    json_decref(numbers);
    return value;
}

static json_t *laggards_make(const struct survey_answer *answer, const struct survey_question *question) {
    (void)question;
    return surveys_list(answer, "laggards", laggard_row);
}

void on_laggards(struct admin *admin, struct api_call *call) {
    surveys_ask_limited(admin, call, (struct survey_question){.kind = SURVEY_LAGGARDS}, laggards_make);
}
