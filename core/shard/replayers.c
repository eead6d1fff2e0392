/* Who asks for replays, at the worker of the connection: a Replay becomes a note for the keeper of the queue,
 * what the keeper says becomes Replayed frames. The connection has a membership for it as for a queue, so its
 * end, or an Unsubscribe, ends the replay. */
#include "core/shard/worker.h"

#include "core/base/topic.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool refused(struct fault *fault, enum rh_code code, const char *text, const char *field) {
    *fault = (struct fault){.code = code, .text = text, .field = field};
    return false;
}

static bool id_valid(const struct peer *peer, uint64_t id, struct fault *fault) {
    if (id == 0)
        return refused(fault, RH_CODE_INVALID, "a replay needs an id other than 0, which Replayed uses",
                       "replay.id");
    if (subs_has(peer, id) || memberships_has(peer, id))
        return refused(fault, RH_CODE_INVALID,
                       "this id is in use by another subscription or replay of this connection", "replay.id");
    return true;
}

static bool start_read(const Roundhouse__V1__Start *start, struct replay_order *order, struct fault *fault) {
    order->start = START_OLDEST;
    if (start == NULL)
        return true;
    bool good = true;
    switch (start->from_case) {
    case ROUNDHOUSE__V1__START__FROM_OLDEST:
        good = start->oldest;
        break;
    case ROUNDHOUSE__V1__START__FROM_SEQUENCE:
        order->start = START_SEQUENCE;
        order->value = start->sequence;
        good = start->sequence != 0;
        break;
    case ROUNDHOUSE__V1__START__FROM_TIME_NS:
        order->start = START_TIME;
        order->value = start->time_ns;
        break;
    default:
        good = false;
    }
    return good ||
           refused(fault, RH_CODE_INVALID,
                   "a replay begins at the oldest event, a sequence from 1 on, or a time", "replay.start");
}

static bool rate_read(double rate, struct replay_order *order, struct fault *fault) {
    if (rate == 0)
        return true;
    if (!isfinite(rate) || rate < REPLAY_RATE_LEAST)
        return refused(fault, RH_CODE_INVALID,
                       "must be at least 0.001 events per second, or 0 for as fast as the members are",
                       "replay.rate");
    order->each_ns = (uint64_t)((double)NS_PER_S / rate);
    return true;
}

static bool order_read(const struct peer *peer, const Roundhouse__V1__Replay *replay,
                       struct replay_order *order, struct fault *fault) {
    size_t name = strlen(replay->queue), filter = strlen(replay->filter);
    if (!id_valid(peer, replay->id, fault))
        return false;
    if (name == 0)
        return refused(fault, RH_CODE_INVALID, "a replay goes to one queue or mailbox: give its name",
                       "replay.queue");
    if (name > (replay->queue[0] == '@' ? TOPIC_BYTES_MAX : QUEUE_NAME_BYTES_MAX))
        return refused(fault, RH_CODE_INVALID, REPLAY_NO_QUEUE, "replay.queue");
    if (filter > 0 && !pattern_valid((const uint8_t *)replay->filter, filter, fault)) {
        fault->field = "replay.filter";
        return false;
    }
    if ((unsigned)replay->gone > ROUNDHOUSE__V1__GONE_POLICY__GONE_POLICY_REFUSE)
        return refused(fault, RH_CODE_INVALID, "unknown policy for what is gone: use GAP or REFUSE",
                       "replay.gone");
    *order = (struct replay_order){.to_ns = replay->to_time_ns,
                                   .name = (uint8_t)name,
                                   .refuse = replay->gone != 0,
                                   .wait = replay->wait};
    if (!start_read(replay->start, order, fault) || !rate_read(replay->rate, order, fault))
        return false;
    if (order->start == START_TIME && order->to_ns != 0 && order->to_ns <= order->value)
        return refused(fault, RH_CODE_INVALID, "the end does not lie behind the start", "replay.to_time_ns");
    return true;
}

static struct note *order_note(uint64_t owner, const Roundhouse__V1__Replay *replay) {
    uint8_t bytes[2 * TOPIC_BYTES_MAX];
    size_t name = strlen(replay->queue), filter = strlen(replay->filter);
    memcpy(bytes, replay->queue, name);
    memcpy(bytes + name, replay->filter, filter);
    return note_new(NOTE_REPLAY, owner, bytes, (uint32_t)(name + filter));
}

static enum session_verdict refuse(struct peer *peer, uint64_t id, const struct fault *fault) {
    counter_add(&peer->worker->stats.errors_event, 1);
    session_error(&peer->session, fault, 0, id);
    peer_touch(peer);
    return SESSION_GO;
}

enum session_verdict replayers_replay(void *user, const Roundhouse__V1__Replay *replay) {
    struct peer *peer = user;
    struct replay_order order;
    struct fault fault;
    if (!order_read(peer, replay, &order, &fault))
        return refuse(peer, replay->id, &fault);
    struct queue_text name = {(const uint8_t *)replay->queue, order.name};
    struct membership *membership = membership_new(peer, replay->id, name);
    struct note *note = membership == NULL ? NULL : order_note(membership->owner, replay);
    if (note == NULL) {
        free(membership);
        refused(&fault, RH_CODE_EXHAUSTED, "the server has no memory for this replay now", NULL);
        return refuse(peer, replay->id, &fault);
    }
    note->as.replay = order;
    membership->replay = true;
    membership_send(peer, membership, note);
    return SESSION_WAIT;
}

void replayers_replayed(struct peer *peer, struct membership *membership, const struct note *note) {
    bool first = !membership->joined;
    struct session_replayed told = note->as.replayed;
    told.id = membership->id;
    membership->joined = true;
    session_replayed(&peer->session, &told);
    if (told.over) {
        survey_passes(peer->worker, &membership->node);
        list_remove(&membership->node);
        free(membership);
    }
    peer_touch(peer);
    if (first)
        peer_go_on(peer, CONN_PAUSE_QUEUE);
}
