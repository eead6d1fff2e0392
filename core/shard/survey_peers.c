/* What a worker tells of its connections and their subscriptions. Peers are visited by their numbers, which
 * stay; within a peer the next subscription is remembered, and survey_passes moves on when that goes. */
#include "core/shard/worker.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define OFFER_COST 4u /* of what is written down, beside what is only looked at */

/* ---- who it is ---- */

static void address_print(const struct peer *peer, char *out, size_t size) {
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    char host[INET6_ADDRSTRLEN] = "";
    out[0] = '\0';
    if (peer->shut || getpeername(peer->fd, (struct sockaddr *)&address, &length) != 0)
        return;
    if (address.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)&address;
        if (inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host) != NULL)
            (void)snprintf(out, size, "%s:%u", host, ntohs(v4->sin_port));
    } else if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)&address;
        if (inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host) != NULL)
            (void)snprintf(out, size, "[%s]:%u", host, ntohs(v6->sin6_port));
    }
}

void survey_client_fill(const struct peer *peer, struct survey_client *client) {
    client->shard = peer->worker->number;
    client->serial = peer->serial;
    if (peer->session.name != NULL)
        (void)snprintf(client->name, sizeof client->name, "%s", peer->session.name);
    address_print(peer, client->address, sizeof client->address);
}

/* ---- connections ---- */

static uint32_t memberships_count(const struct peer *peer, uint32_t most) {
    uint32_t count = 0;
    if (peer->memberships == NULL)
        return 0;
    const struct list *head = &peer->memberships->all;
    for (const struct list *node = head->next; node != head && count < most; node = node->next)
        count++;
    return count;
}

/* The key of who is behind: by time, and by events where that says nothing. */
static uint64_t lag_key(const struct survey_lag *lag) {
    return lag->ns != 0 ? lag->ns : lag->events < NS_PER_MS ? lag->events : NS_PER_MS;
}

static bool connection_offer(struct survey *survey, const struct peer *peer) {
    const struct worker *worker = peer->worker;
    struct survey_lag lag;
    lag_measure(peer, UINT64_MAX, &lag);
    struct survey_connection *row = survey_offer(survey, lag_key(&lag));
    if (row == NULL)
        return false;
    survey_client_fill(peer, &row->client);
    row->since_ns = worker->wall_ns - (worker->now_ns - peer->opened_ns);
    row->published = peer->session.ordinal;
    row->delivered = lag_delivered(peer);
    row->subscriptions = peer->subscribed + memberships_count(peer, SURVEY_ITEMS_TURN);
    row->lag = lag;
    return true;
}

bool survey_connections(struct worker *worker, struct survey *survey) {
    struct survey_place *place = &survey->place;
    uint32_t work = 0;
    while (place->index < worker->peers_capacity && work < SURVEY_ITEMS_TURN) {
        const struct peer *peer = worker->peers[place->index++];
        work++;
        if (peer == NULL || peer->shut)
            continue;
        survey->answer.looked_at++;
        work += connection_offer(survey, peer) ? OFFER_COST : 0;
    }
    return place->index >= worker->peers_capacity;
}

/* ---- subscriptions ---- */

uint16_t survey_patterns_fill(const uint8_t *pattern, uint32_t count, char text[static SURVEY_TEXT_BYTES]) {
    uint32_t length = 0;
    for (uint32_t i = 0; i < count && length + pattern[0] + 1u <= SURVEY_TEXT_BYTES; i++) {
        memcpy(text + length, pattern + 1, pattern[0]);
        length += pattern[0] + 1u;
        pattern = pattern_next(pattern);
    }
    return (uint16_t)length;
}

bool survey_filter_fill(const struct shared_filter *filter, char out[static SURVEY_FILTER_BYTES]) {
    char *json = filter != NULL ? filter_to_json(filter->filter) : NULL;
    if (json != NULL && strlen(json) < SURVEY_FILTER_BYTES)
        memcpy(out, json, strlen(json) + 1);
    free(json);
    return filter != NULL;
}

static bool subscription_offer(struct survey *survey, const struct peer *peer,
                               const struct subscription *sub) {
    struct survey_lag lag;
    lag_measure(peer, sub->logs, &lag);
    struct survey_subscription *row = survey_offer(survey, lag_key(&lag));
    if (row == NULL)
        return false;
    survey_client_fill(peer, &row->client);
    row->id = sub->id;
    row->kind = SURVEY_LIVE;
    row->lag = lag;
    row->patterns = sub->patterns;
    row->text_length = survey_patterns_fill(sub->pattern, sub->patterns, row->text);
    row->filtered = survey_filter_fill(sub->filter, row->filter);
    return true;
}

static void membership_fill(const struct membership *membership, struct survey_subscription *row) {
    row->id = membership->id;
    row->kind = membership->name[0] == '@' ? SURVEY_MAILBOX : SURVEY_QUEUE;
    row->text_length = (uint16_t)(membership->name_length + 1u);
    memcpy(row->text, membership->name, membership->name_length);
}

/* What its queue holds for it the keeper knows; here is what waits for its socket. */
static bool membership_offer(struct survey *survey, const struct peer *peer,
                             const struct membership *membership) {
    struct survey_lag lag;
    if (!membership->joined || membership->replay)
        return false;
    lag_measure(peer, 0, &lag);
    struct survey_subscription *row = survey_offer(survey, lag_key(&lag));
    if (row == NULL)
        return false;
    survey_client_fill(peer, &row->client);
    membership_fill(membership, row);
    row->lag = lag;
    return true;
}

/* The next peer that may have some. False: there is none. */
static bool peer_begin(const struct worker *worker, struct survey_place *place, uint32_t *work) {
    while (place->index < worker->peers_capacity && *work < SURVEY_ITEMS_TURN) {
        struct peer *peer = worker->peers[place->index];
        ++*work;
        if (peer != NULL && !peer->shut) {
            place->inside = true;
            place->memberships = false;
            place->serial = peer->serial;
            place->node = peer->subscriptions.next;
            return true;
        }
        place->index++;
    }
    return false;
}

/* Whether the peer of a place is still that one. */
static struct peer *peer_inside(const struct worker *worker, const struct survey_place *place) {
    struct peer *peer = worker->peers[place->index];
    return peer != NULL && peer->serial == place->serial && !peer->shut ? peer : NULL;
}

/* One thing of a peer. False: it has no more. */
static bool peer_step(struct survey *survey, struct peer *peer, uint32_t *work, survey_of_sub *sub,
                      survey_of_membership *membership) {
    struct survey_place *place = &survey->place;
    struct list *node = place->node;
    if (!place->memberships && node == &peer->subscriptions) {
        place->memberships = true;
        place->node = node = peer->memberships == NULL ? NULL : peer->memberships->all.next;
    }
    if (node == NULL || (place->memberships && node == &peer->memberships->all))
        return false;
    place->node = node->next;
    ++*work;
    survey->answer.looked_at++;
    bool offered = place->memberships ? membership(survey, peer, LIST_OF(node, struct membership, node))
                                      : sub(survey, peer, LIST_OF(node, struct subscription, node));
    *work += offered ? OFFER_COST : 0;
    return true;
}

bool survey_each(struct worker *worker, struct survey *survey, survey_of_sub *sub,
                 survey_of_membership *membership) {
    struct survey_place *place = &survey->place;
    uint32_t work = 0;
    while (work < SURVEY_ITEMS_TURN) {
        if (!place->inside && !peer_begin(worker, place, &work))
            break;
        struct peer *peer = peer_inside(worker, place);
        if (peer != NULL && peer_step(survey, peer, &work, sub, membership))
            continue;
        place->inside = false;
        place->index++;
    }
    return place->index >= worker->peers_capacity;
}

bool survey_subscriptions(struct worker *worker, struct survey *survey) {
    return survey_each(worker, survey, subscription_offer, membership_offer);
}

/* ---- laggards ---- */

void survey_first_fill(const struct peer *peer, struct survey_laggard *row) {
    struct survey_subscription first = {0};
    row->subscriptions = peer->subscribed + memberships_count(peer, SURVEY_ITEMS_TURN);
    if (!list_empty(&peer->subscriptions)) {
        const struct subscription *sub = LIST_OF(peer->subscriptions.next, struct subscription, node);
        first.id = sub->id;
        first.patterns = sub->patterns;
        first.text_length = survey_patterns_fill(sub->pattern, sub->patterns, first.text);
    } else if (peer->memberships != NULL && !list_empty(&peer->memberships->all)) {
        membership_fill(LIST_OF(peer->memberships->all.next, struct membership, node), &first);
    }
    row->id = first.id;
    row->kind = first.kind;
    row->patterns = first.patterns;
    row->text_length = first.text_length;
    memcpy(row->text, first.text, sizeof row->text);
}
