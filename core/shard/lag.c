/* Who is slow: how far a subscriber is behind, and how fast it is.
 *
 * The path of an event pays for two sums, of events given and of bytes taken; all else is worked out from
 * these when somebody asks, or once per housekeeping tick. Events that a socket has taken are not counted one
 * by one, as sockets take bytes: where something waits they follow from the mean size of what was given. */
#include "core/shard/worker.h"

#define DRAIN_SHARE 8.0f /* of a tick's rate in the mean: it follows within a second or so */
#define ITEMS_MAX   64u  /* of an output that are looked at: slices of one log mostly grow together */

/* ---- rates ---- */

static double event_bytes(const struct peer *peer) {
    return peer->given == 0 ? 0 : (double)(peer->sent_bytes + peer->conn.out.bytes) / (double)peer->given;
}

uint64_t lag_delivered(const struct peer *peer) {
    uint64_t left = peer->conn.out.bytes;
    uint64_t all = peer->sent_bytes + left;
    if (left == 0)
        return peer->given;
    return (uint64_t)((double)peer->given * (double)peer->sent_bytes / (double)all);
}

void lag_taken_back(struct peer *peer, uint64_t bytes) {
    uint64_t all = peer->sent_bytes + peer->conn.out.bytes;
    if (all > 0)
        peer->given -= (uint64_t)((double)peer->given * (double)bytes / (double)all);
}

void lag_tick(struct peer *peer, uint64_t passed_ns) {
    uint64_t bytes = peer->sent_bytes - peer->sent_then;
    lag_look(peer);
    if ((bytes == 0 && peer->drain < 1) || passed_ns == 0)
        return;
    float rate = (float)((double)bytes * (double)NS_PER_S / (double)passed_ns);
    peer->drain += (rate - peer->drain) / DRAIN_SHARE;
    peer->sent_then = peer->sent_bytes;
}

/* ---- how far ---- */

/* The oldest record that somebody waits for. */
static void older(struct survey_lag *lag, const struct worker *worker, const struct log_entry *entry) {
    uint64_t ns = worker->wall_ns > entry->time ? worker->wall_ns - entry->time : 0;
    if (ns > lag->ns)
        lag->ns = ns;
}

/* A laggard: what lies from `at` on. Behind the ring of a disk log only positions are known. */
static void measure_behind(const struct worker *worker, uint32_t index, uint64_t at, struct survey_lag *lag) {
    const struct reader *reader = &worker->readers[index];
    uint64_t oldest = log_oldest(reader->log);
    if (!reader->attached || at >= reader->cursor)
        return;
    lag->events += reader->cursor - at;
    if (at < oldest)
        at = oldest;
    if (at >= reader->cursor || !log_reader_lower(reader->log, reader->past, at))
        return;
    const struct log_entry *first = log_entry_at(reader->log, at);
    const struct log_entry *last = log_entry_at(reader->log, reader->cursor - 1);
    lag->bytes += last->offset + last->length - first->offset;
    older(lag, worker, first);
    log_reader_idle(reader->log, reader->past);
}

/* Who is live: what lies from its first slice of each log on, which the live gate holds. */
static void measure_slices(const struct peer *peer, uint64_t logs, struct survey_lag *lag) {
    const struct worker *worker = peer->worker;
    const struct output_item *item = peer->conn.out.first;
    for (uint32_t i = 0; item != NULL && i < ITEMS_MAX && logs != 0; i++, item = item->next) {
        if (item->log >= worker->log_count || (logs >> item->log & 1u) == 0)
            continue;
        logs &= ~(UINT64_C(1) << item->log);
        const struct reader *reader = &worker->readers[item->log];
        if (item->first >= reader->cursor)
            continue;
        lag->events += reader->cursor - item->first;
        older(lag, worker, log_entry_at(reader->log, item->first));
    }
}

void lag_measure(const struct peer *peer, uint64_t logs, struct survey_lag *lag) {
    const struct worker *worker = peer->worker;
    double size = event_bytes(peer);
    *lag = (struct survey_lag){.bytes = peer->conn.out.bytes,
                               .silent_ns = worker->now_ns - peer->wrote_ns,
                               .drain = size > 0 ? (double)peer->drain / size : 0,
                               .catches_up = peer->at != NULL};
    logs &= peer->logs;
    if (peer->shut || peer->retired)
        return;
    if (peer->conn.blocked && lag->bytes > 0)
        lag->ns = lag->silent_ns; /* at least: something waits since then */
    if (peer->at == NULL) {
        measure_slices(peer, logs, lag);
        return;
    }
    for (uint32_t i = 0; i < worker->log_count; i++)
        if ((logs >> i & 1u) != 0)
            measure_behind(worker, i, peer->at[i], lag);
}
