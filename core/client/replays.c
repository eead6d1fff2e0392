#include "core/client/replays.h"

#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/base/topic.h"
#include "core/base/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t place_of(const struct rh_client *client, int64_t id) {
    size_t place = 0;
    while (place < client->replays_count && client->replays[place] != id)
        place++;
    return place;
}

static bool drop(struct rh_client *client, int64_t id) {
    size_t place = place_of(client, id);
    if (place == client->replays_count)
        return false;
    client->replays[place] = client->replays[--client->replays_count];
    return true;
}

/* ---- asking ---- */

static const char *options_fault(const rh_replay_options *options) {
    struct fault fault;
    const char *queue = options->queue, *filter = options->filter;
    if (queue == NULL || queue[0] == '\0' || strlen(queue) > TOPIC_BYTES_MAX ||
        !utf8_valid((const uint8_t *)queue, strlen(queue)))
        return "queue: the name of a queue or a mailbox, at most 255 bytes of UTF-8";
    if (filter != NULL && filter[0] != '\0' &&
        !pattern_valid((const uint8_t *)filter, strlen(filter), &fault))
        return fault.text;
    if ((unsigned)options->start >= RH_START_LAST ||
        (options->start == RH_START_SEQUENCE && options->sequence == 0))
        return "start: RH_START_OLDEST, RH_START_TIME, or RH_START_SEQUENCE with one that is not 0";
    if (options->gone != RH_GONE_GAP && options->gone != RH_GONE_REFUSE)
        return "gone: RH_GONE_GAP or RH_GONE_REFUSE";
    if (options->rate != 0 && (!isfinite(options->rate) || options->rate < REPLAY_RATE_LEAST))
        return "rate: at least 0.001 events per second, or 0";
    return NULL;
}

static bool room(struct rh_client *client) {
    if (client->replays_count < client->replays_capacity)
        return true;
    size_t capacity = client->replays_capacity > 0 ? 2 * client->replays_capacity : 4;
    int64_t *replays = realloc(client->replays, capacity * sizeof *replays);
    if (replays == NULL)
        return false;
    client->replays = replays;
    client->replays_capacity = capacity;
    return true;
}

static void start_say(const rh_replay_options *options, Roundhouse__V1__Start *start) {
    roundhouse__v1__start__init(start);
    start->from_case = ROUNDHOUSE__V1__START__FROM_OLDEST;
    start->oldest = 1;
    if (options->start == RH_START_SEQUENCE) {
        start->from_case = ROUNDHOUSE__V1__START__FROM_SEQUENCE;
        start->sequence = options->sequence;
    } else if (options->start == RH_START_TIME) {
        start->from_case = ROUNDHOUSE__V1__START__FROM_TIME_NS;
        start->time_ns = options->time_ns;
    }
}

static int ask(struct rh_client *client, const rh_replay_options *options, int64_t id) {
    char queue[TOPIC_BYTES_MAX + 1], filter[TOPIC_BYTES_MAX + 1];
    Roundhouse__V1__Start start;
    Roundhouse__V1__Replay replay;
    roundhouse__v1__replay__init(&replay);
    start_say(options, &start);
    const char *pattern = options->filter != NULL ? options->filter : "";
    memcpy(queue, options->queue, strlen(options->queue) + 1); /* the lengths have been looked at */
    memcpy(filter, pattern, strlen(pattern) + 1);
    replay.id = (uint64_t)id;
    replay.queue = queue;
    replay.filter = filter;
    replay.start = &start;
    replay.to_time_ns = options->to_time_ns;
    replay.rate = options->rate;
    replay.gone = (Roundhouse__V1__GonePolicy)options->gone;
    replay.wait = options->wait;
    Roundhouse__V1__Frame frame = ROUNDHOUSE__V1__FRAME__INIT;
    frame.body_case = ROUNDHOUSE__V1__FRAME__BODY_REPLAY;
    frame.replay = &replay;
    return outbox_control(&client->outbox, &frame, false);
}

int64_t rh_replay(rh_client *client, const rh_replay_options *options) {
    if (client->phase == LINK_OVER || client->closing)
        return client->phase == LINK_OVER ? client->result : RH_CLOSED;
    const char *fault = options_fault(options);
    if (fault != NULL)
        return link_invalid(client, fault);
    if (client->phase != LINK_UP) {
        link_error(client, "there is no connection now, and a replay lives no longer than one");
        return RH_UNREACHABLE;
    }
    int64_t id = client->subs.id_last + 1;
    if (!room(client) || ask(client, options, id) != 0)
        return RH_NO_MEMORY;
    client->subs.id_last = id;
    client->replays[client->replays_count++] = id;
    return id;
}

int rh_replay_end(rh_client *client, int64_t replay) {
    if (client->phase == LINK_OVER)
        return client->result;
    if (!rh_replaying(client, replay))
        return link_invalid(client, "replay: there is none with this number");
    link_unsubscribe(client, replay);
    return RH_OK;
}

bool rh_replaying(const rh_client *client, int64_t replay) {
    return place_of(client, replay) < client->replays_count;
}

/* ---- what is said of them ---- */

void replays_replayed(struct rh_client *client, const Roundhouse__V1__Replayed *replayed) {
    int64_t id = (int64_t)replayed->id;
    if (!rh_replaying(client, id))
        return; /* ended meanwhile */
    rh_replayed told = {.delivered = replayed->delivered,
                        .acknowledged = replayed->acknowledged,
                        .failed = replayed->failed,
                        .missing = replayed->missing,
                        .left = replayed->left,
                        .waiting = replayed->waiting,
                        .over = replayed->over};
    if (told.over)
        (void)drop(client, id);
    if (client->callbacks.on_replayed != NULL)
        client->callbacks.on_replayed(client->user, id, &told);
}

bool replays_refused(struct rh_client *client, int64_t id) {
    return drop(client, id);
}

void replays_lost(struct rh_client *client) {
    while (client->replays_count > 0) {
        int64_t id = client->replays[--client->replays_count];
        if (client->callbacks.on_error != NULL)
            client->callbacks.on_error(client->user, RH_CODE_UNAVAILABLE,
                                       "the connection ended, and the replay with it", false, (uint64_t)id);
    }
}
