/* stats.h: what a worker counts, for metrics and tests.
 * Owner: each worker writes its own; the admin plane reads them at any time.
 * The list is one macro, so that the metrics page can not forget one.
 * Nothing blocks.
 * Nothing fails. */
#pragma once

#include "ring/counter.h"

/* X(name, Prometheus type, help). Exposed as roundhouse_<name>{shard="N"}; counters get the suffix _total. */
#define WORKER_STATS(X)                                                                                      \
    X(events_in, counter, "events accepted from publishers connected to this worker")                        \
    X(events_in_bytes, counter, "bytes of accepted Event frames")                                            \
    X(events_refused, counter, "events refused, each told to its publisher")                                 \
    X(events_duplicate, counter, "events not stored again, as a publisher connected here was told")          \
    X(events_appended, counter, "events appended to the logs of this shard")                                 \
    X(events_landed, counter, "events that were received straight into the log and not copied")              \
    X(landing_skipped_bytes, counter, "bytes of the log left empty behind events that were not")             \
    X(events_forwarded, counter, "events handed to the home worker of another shard")                        \
    X(batches, counter, "publications of the log; events_appended / batches is the batch size")              \
    X(deliveries, counter, "events put on their way to a subscriber")                                        \
    X(events_unmatched, counter,                                                                             \
      "events that matched no subscription and no queue, of the logs that this shard judges")                \
    X(events_unjudged, counter, "events of which it was not found out whether somebody wants them")          \
    X(events_expired, counter, "events not delivered because their time was over, once for each subscriber") \
    X(events_filtered, counter,                                                                              \
      "events that matched the patterns of a subscription or queue and did not pass its filters")            \
    X(filter_evaluations, counter, "events that a filter was evaluated for; equal filters share that")       \
    X(deliveries_bytes, counter, "bytes of delivered frames taken by the kernel")                            \
    X(runs, counter, "runs of records with the same subscribers")                                            \
    X(turns, counter, "turns of the worker loop")                                                            \
    X(cpu_ns, counter, "CPU time of the worker's thread")                                                    \
    X(sleeps, counter, "turns that waited for something to happen")                                          \
    X(backstop_hits, counter,                                                                                \
      "times a sleeping worker found work that nobody had woken it for; must stay 0")                        \
    X(ring_full, counter, "times a publisher's connection was parked because a ring was full")               \
    X(parked, gauge, "publisher connections parked now")                                                     \
    X(connections, gauge, "connections now")                                                                 \
    X(connections_accepted, counter, "connections placed on this worker")                                    \
    X(connections_closed, counter, "connections that are gone")                                              \
    X(connections_refused, counter, "connections refused because of limits.connections or a full mailbox")   \
    X(subscriptions, gauge, "patterns subscribed now")                                                       \
    X(laggards, gauge, "subscribers in catch-up now")                                                        \
    X(lagging, gauge, "subscribers that lag now, as the log says")                                           \
    X(lags_begun, counter, "times a subscriber began to lag")                                                \
    X(lags_ended, counter, "times a subscriber that lagged had caught up, or was gone")                      \
    X(lag_ns_max, gauge, "how long the oldest event waits that a subscriber has not got")                    \
    X(catch_up_entered, counter, "times a subscriber fell back from live to catch-up")                       \
    X(catch_up_left, counter, "times a subscriber came back from catch-up to live")                          \
    X(catch_up_records, counter, "records routed for laggards")                                              \
    X(history_requests, counter, "stretches of disk logs that were asked for from the journal")              \
    X(history_bytes, counter, "bytes of frames that the journal has given")                                  \
    X(history_failures, counter, "subscribers disconnected because the journal could not be read")           \
    X(gaps, counter, "Gap frames queued")                                                                    \
    X(gap_records, counter, "log positions covered by gaps, an upper bound of events not delivered")         \
    X(queues, gauge, "queues kept by this worker")                                                           \
    X(queues_durable, gauge, "... of these, those kept in the journal")                                      \
    X(queue_states, counter, "states of queues written to the journal")                                      \
    X(queue_lost_records, counter, "log positions that queues had not seen and that are no longer kept")     \
    X(queue_leases_ended, counter, "deliveries that their member has not acknowledged in time")              \
    X(dead_letters, counter, "events of queues that became dead letters")                                    \
    X(mailbox_full, counter, "events refused because their mailbox held as many as it may")                  \
    X(replays, gauge, "replays to queues kept by this worker that go on now")                                \
    X(replayed, counter, "events given once more to members of queues, by replays")                          \
    X(slow_disconnects, counter, "subscribers disconnected because they fell off the ring")                  \
    X(blocking, gauge, "slow subscribers with policy block that hold back publishers now")                   \
    X(blocks, counter, "times a slow subscriber began to hold back publishers")                              \
    X(block_timeouts, counter, "slow subscribers disconnected because limits.block was over")                \
    X(blocked_slots, gauge, "slots of this shard whose publishers are held back now")                        \
    X(move_parked, counter, "times a publisher's connection was parked because its slot moved")              \
    X(held_back, counter, "times a publisher's connection was parked for a slow subscriber")                 \
    X(frames_in, counter, "frames received, of all kinds")                                                   \
    X(frames_unknown, counter, "frames of unknown kinds or without a body, skipped")                         \
    X(errors_fatal, counter, "connections closed by us with an Error frame")                                 \
    X(errors_event, counter, "Error frames and ack exceptions that did not close a connection")              \
    X(handshake_timeouts, counter, "connections closed because no Connect came in time")                     \
    X(idle_timeouts, counter, "connections closed because they were silent too long")                        \
    X(private_stalls, counter, "connections closed because they did not read their replies")                 \
    X(pool_empty, counter, "times a pool was empty and its largest holder fell back")                        \
    X(slices_high_water, gauge, "most output items in use at once")                                          \
    X(staging_high_water, gauge, "most bytes copied together in one turn")                                   \
    X(private_high_water, gauge, "most unread reply bytes of one connection")                                \
    X(topics, gauge, "topic names remembered by the log writer")                                             \
    X(topics_evicted, counter, "topic names forgotten by the log writer")                                    \
    X(routes, gauge, "distinct sets of subscribers")                                                         \
    X(routes_evicted, counter, "remembered topic routes forgotten")                                          \
    X(drain_cut_bytes, counter, "bytes not delivered when a stop's time was over")

struct worker_stats {
#define WORKER_STATS_FIELD(name, type, help) struct counter name;
    WORKER_STATS(WORKER_STATS_FIELD)
#undef WORKER_STATS_FIELD
};
