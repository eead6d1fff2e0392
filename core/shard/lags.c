/* Who lags: a subscriber begins to when an event waits for LAG_BEGIN_NS, and ends when nothing has waited
 * long for a while. Both are a line in the log; what it was is remembered when it is over. Looked at once per
 * housekeeping tick, and only at who is behind. */
#include "core/shard/worker.h"

#include <stdlib.h>
#include <string.h>

#define OFFER_COST 4u /* of a laggard that is told of, beside a peer that is only looked at */

struct lag {
    uint64_t since_ns; /* mono clock */
    uint64_t since_wall_ns;
    uint64_t calm_ns;       /* since when it is not behind any more; 0 = it is */
    struct survey_lag last; /* as it was measured last */
    struct survey_lag worst;
    char address[64]; /* nobody can say it when the socket is closed */
};

static void worse(uint64_t *worst, uint64_t now) {
    if (now > *worst)
        *worst = now;
}

static void note(struct lag *lag, const struct survey_lag *now) {
    lag->last = *now;
    worse(&lag->worst.events, now->events);
    worse(&lag->worst.bytes, now->bytes);
    worse(&lag->worst.ns, now->ns);
    worse(&lag->worst.silent_ns, now->silent_ns);
}

/* ---- what is remembered ---- */

static void row_fill(const struct peer *peer, struct survey_laggard *row) {
    const struct lag *lag = peer->lag;
    survey_client_fill(peer, &row->client);
    memcpy(row->client.address, lag->address, sizeof row->client.address);
    survey_first_fill(peer, row);
    row->since_ns = lag->since_wall_ns;
    row->lagged_ns = peer->worker->now_ns - lag->since_ns;
    row->times = peer->lag_times + 1u;
    row->lag = lag->last;
    row->worst = lag->worst;
}

/* One for each connection: what it was before is in it. */
static struct survey_laggard *record_of(const struct peer *peer) {
    struct lagged *lagged = &peer->worker->lagged;
    if (peer->lag_record == 0 || lagged->rows[peer->lag_record - 1].client.serial != peer->serial)
        return NULL;
    return &lagged->rows[peer->lag_record - 1];
}

static struct survey_laggard *record_new(struct lagged *lagged) {
    if (lagged->count < LAG_RECORDS_MAX &&
        heap_grow((void **)&lagged->rows, &lagged->capacity, lagged->count + 1u, sizeof *lagged->rows) == 0)
        return &lagged->rows[lagged->count++];
    if (lagged->count == 0)
        return NULL; /* no memory: it is in the log */
    struct survey_laggard *oldest = &lagged->rows[lagged->next % lagged->count];
    lagged->next = (lagged->next + 1) % lagged->count;
    return oldest;
}

static void record(struct peer *peer, struct survey_laggard *row) {
    struct lagged *lagged = &peer->worker->lagged;
    struct survey_laggard *place = record_of(peer);
    if (place != NULL) {
        worse(&row->worst.events, place->worst.events);
        worse(&row->worst.bytes, place->worst.bytes);
        worse(&row->worst.ns, place->worst.ns);
    } else {
        place = record_new(lagged);
    }
    if (place == NULL)
        return;
    *place = *row;
    peer->lag_record = (uint16_t)(place - lagged->rows + 1);
}

void lags_deinit(struct worker *worker) {
    heap_give(worker->lagged.rows);
}

/* ---- begin and end ---- */

static void begin_tell(const struct peer *peer) {
    struct worker *worker = peer->worker;
    const struct survey_lag *now = &peer->lag->last;
    char name[2 * CLIENT_NAME_BYTES_MAX];
    uint32_t left_out;
    if (!logfmt_allowed(&worker->lag_limit, worker->now_ns, &left_out))
        return;
    const char *text = peer->session.name == NULL ? "" : peer->session.name;
    logfmt(LOGFMT_WARN, "a subscriber lags",
           "client=%s connection=%u.%u address=%s lag_ms=%llu lag_events=%llu lag_bytes=%llu left_out=%u",
           logfmt_quote(name, sizeof name, text, strlen(text)), worker->number, peer->serial,
           peer->lag->address, (unsigned long long)(now->ns / NS_PER_MS), (unsigned long long)now->events,
           (unsigned long long)now->bytes, left_out);
}

static void end_tell(struct worker *worker, const struct survey_laggard *row) {
    char name[2 * CLIENT_NAME_BYTES_MAX];
    uint32_t left_out;
    if (!logfmt_allowed(&worker->calm_limit, worker->now_ns, &left_out))
        return;
    logfmt(LOGFMT_INFO, "a subscriber lags no more",
           "client=%s connection=%u.%u reason=%s lagged_ms=%llu worst_ms=%llu worst_events=%llu left_out=%u",
           logfmt_quote(name, sizeof name, row->client.name, strlen(row->client.name)), row->client.shard,
           row->client.serial, row->reason, (unsigned long long)(row->lagged_ns / NS_PER_MS),
           (unsigned long long)(row->worst.ns / NS_PER_MS), (unsigned long long)row->worst.events, left_out);
}

static void begin(struct peer *peer, const struct survey_lag *now) {
    struct worker *worker = peer->worker;
    struct survey_client client = {0};
    peer->lag = calloc(1, sizeof *peer->lag);
    if (peer->lag == NULL)
        return; /* at the next tick */
    survey_client_fill(peer, &client);
    memcpy(peer->lag->address, client.address, sizeof client.address);
    peer->lag->since_ns = worker->now_ns;
    peer->lag->since_wall_ns = worker->wall_ns;
    note(peer->lag, now);
    counter_add(&worker->stats.lagging, 1);
    counter_add(&worker->stats.lags_begun, 1);
    begin_tell(peer);
}

static void end(struct peer *peer, const char *reason) {
    struct worker *worker = peer->worker;
    struct survey_laggard row = {0};
    row_fill(peer, &row);
    row.gone_ns = worker->wall_ns;
    row.reason = reason;
    record(peer, &row);
    if (peer->lag_times < UINT16_MAX)
        peer->lag_times++;
    end_tell(worker, &row);
    free(peer->lag);
    peer->lag = NULL;
    counter_add(&worker->stats.lagging, UINT64_MAX); /* minus one */
    counter_add(&worker->stats.lags_ended, 1);
}

static const char *gone_reason(const struct peer *peer) {
    if (peer->session.last_code != RH_CODE_NONE)
        return rh_code_name(peer->session.last_code);
    if (peer->worker->saying_goodbye)
        return "stopped";
    return peer->goodbye ? "left" : "lost";
}

void lag_gone(struct peer *peer) {
    if (peer->lag != NULL)
        end(peer, gone_reason(peer));
}

/* Who begins in the past is behind by itself, and is slow only if it does not read. */
static bool lags(const struct peer *peer, const struct survey_lag *now) {
    bool reads = peer->resuming && now->silent_ns < LAG_BEGIN_NS;
    return now->ns >= LAG_BEGIN_NS && !reads;
}

static void go_on(struct peer *peer, const struct survey_lag *now) {
    struct lag *lag = peer->lag;
    uint64_t now_ns = peer->worker->now_ns;
    note(lag, now);
    if (now->ns >= LAG_END_NS)
        lag->calm_ns = 0;
    else if (lag->calm_ns == 0)
        lag->calm_ns = now_ns;
    else if (now_ns - lag->calm_ns >= LAG_CALM_NS)
        end(peer, "caught_up");
}

void lag_look(struct peer *peer) {
    bool waits = peer->at != NULL || peer->conn.blocked;
    bool subscribes = peer->subscribed > 0 || peer->memberships != NULL;
    struct survey_lag now;
    if ((!waits && peer->lag == NULL) || !subscribes || peer->shut || peer->retired)
        return;
    lag_measure(peer, UINT64_MAX, &now);
    worse(&peer->worker->lag_worst_ns, now.ns);
    if (peer->lag != NULL)
        go_on(peer, &now);
    else if (lags(peer, &now))
        begin(peer, &now);
}

void lags_looked(struct worker *worker) {
    counter_set(&worker->stats.lag_ns_max, worker->lag_worst_ns);
    worker->lag_worst_ns = 0;
}

/* ---- to be asked ---- */

/* Those who lag now before those who did. */
static uint64_t key_of(const struct survey_laggard *row) {
    uint64_t ns = row->gone_ns == 0 ? row->lag.ns : row->worst.ns;
    return (row->gone_ns == 0 ? UINT64_C(1) << 63 : 0) | (ns & (UINT64_MAX >> 1));
}

static void offer(struct survey *survey, const struct survey_laggard *row) {
    struct survey_laggard *place = survey_offer(survey, key_of(row));
    survey->answer.looked_at++;
    if (place != NULL)
        *place = *row;
}

static void offer_peer(struct survey *survey, const struct peer *peer) {
    struct survey_laggard row = {0};
    struct survey_lag now;
    if (!peer->shut && !peer->retired) {
        lag_measure(peer, UINT64_MAX, &now);
        note(peer->lag, &now);
    }
    row_fill(peer, &row);
    offer(survey, &row);
}

/* First the peers by their numbers, then what is remembered; `serial` counts that. */
bool survey_laggards(struct worker *worker, struct survey *survey) {
    const struct lagged *lagged = &worker->lagged;
    struct survey_place *place = &survey->place;
    uint32_t work = 0;
    for (; work < SURVEY_ITEMS_TURN && place->index < worker->peers_capacity; work++) {
        const struct peer *peer = worker->peers[place->index++];
        if (peer == NULL || peer->lag == NULL)
            continue;
        offer_peer(survey, peer);
        work += OFFER_COST;
    }
    for (; work < SURVEY_ITEMS_TURN && place->serial < lagged->count; work += OFFER_COST) {
        const struct survey_laggard *row = &lagged->rows[place->serial++];
        if (worker->wall_ns - row->gone_ns < LAG_KEPT_NS)
            offer(survey, row);
    }
    return place->index >= worker->peers_capacity && place->serial >= lagged->count;
}
