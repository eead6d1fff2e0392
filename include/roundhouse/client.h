/* client.h: the Roundhouse client library: connect, publish, subscribe, with automatic reconnect.
 * Owner: the program; one rh_client belongs to one thread at a time (no locks inside). Link with
 * -lroundhouse. Not one function blocks, except rh_run, rh_wait_connected and rh_flush, for at most the time
 * given. Memory is bounded: a full send buffer is the answer RH_FULL, never a wait and never an unbounded
 * queue. Functions fail with RH_OK == 0 or a negative rh_result; rh_client_error says it in a sentence.
 *
 * The program may live in its own event loop: poll rh_fd() for rh_events(), at the latest after
 * rh_timeout_ms(), then call rh_process(). Or it calls rh_run(). Callbacks run inside rh_process, rh_run,
 * rh_flush and rh_wait_connected, on the caller's thread; they may call any function but those four and
 * rh_client_free. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rh_client rh_client;

enum rh_result {
    RH_OK = 0,
    RH_FULL = -1,    /* the send buffer is full: process, then try again (on_writable tells when) */
    RH_TIMEOUT = -2, /* the time given is over */
    RH_CLOSED = -3,  /* the connection is gone and reconnecting is off, or the client was closed */
    RH_INVALID = -4, /* an argument is not allowed; rh_client_error says which */
    RH_REFUSED = -5, /* the server refused for good (a fatal Error frame) */
    RH_NO_MEMORY = -6,
    RH_UNREACHABLE = -7, /* no connection could be made */
    RH_STALE = -8, /* this delivery ended with its connection: the event comes again, with a new number */
};

/* ROUTED: in the server's memory; a crash loses it. DISK: synced in its journal; only for topics that it
 * keeps on disk, and not every server has a journal. */
enum rh_ack_level { RH_ACK_NONE = 0, RH_ACK_ROUTED = 1, RH_ACK_DISK = 2 };
/* What happens to a subscriber that is too slow. RH_SLOW_BLOCK: publishers to what it reads are held back
 * until it has caught up, for as long as the server allows (limits.block); then as RH_SLOW_DISCONNECT. Other
 * topics go on and may overwrite what it has not read. Do not publish, and wait for it, in the thread that
 * should read: what is held back then is released only by that time. */
enum rh_slow_policy { RH_SLOW_DISCONNECT = 0, RH_SLOW_SKIP = 1, RH_SLOW_BLOCK = 2 };
/* What happens when the place where a subscription would begin is no longer kept. */
enum rh_gone_policy { RH_GONE_GAP = 0, RH_GONE_REFUSE = 1 };
enum rh_start {
    RH_START_LIVE,
    RH_START_OLDEST,   /* with the oldest event that is kept */
    RH_START_SEQUENCE, /* with the event of `sequence`, or the next one; for one topic, without wildcards */
    RH_START_TIME,     /* with the first event that the server received at `time_ns` or later */
    RH_START_LAST      /* with the last event of each topic, then live */
};
enum rh_state {
    RH_STATE_CONNECTING,
    RH_STATE_CONNECTED,
    RH_STATE_WAITING /* to reconnect */,
    RH_STATE_CLOSED
};

/* One event as it came. Pointers are valid during the callback. */
typedef struct rh_event {
    const char *topic; /* not NUL-terminated */
    size_t topic_length;
    const uint8_t *event; /* a serialized io.cloudevents.v1.CloudEvent */
    size_t event_length;
    uint64_t sequence;    /* opaque, grows per topic within one instance of the server */
    bool maybe_duplicate; /* came again after a reconnect, and the client can not tell */
    /* Of an event of a queue (rh_join); else 0. */
    uint64_t delivery; /* what rh_ack_done and its like are given; grows, over reconnects, too */
    uint32_t attempt;  /* 1 = delivered for the first time */
    uint32_t lease_ms; /* how long it may take; then it is delivered again */
    bool replay;       /* delivered again because somebody asked for a replay */
} rh_event;

typedef struct rh_subscribe_options {
    enum rh_slow_policy policy;
    enum rh_start start;
    uint64_t sequence;        /* RH_START_SEQUENCE */
    uint64_t time_ns;         /* RH_START_TIME: nanoseconds since 1970 */
    enum rh_gone_policy gone; /* RH_GONE_GAP tells it by on_gap; RH_GONE_REFUSE ends the subscription by
                                 on_error, also when it would resume after a reconnect */
    const char *filters;  /* of the events that match, only those that pass: a JSON array as the CloudEvents
                             Subscriptions API has it, [{"exact": {"type": "com.example.created"}}], with the
                             dialects exact, prefix, suffix, all, any and not; copied. NULL = all */
    const void *position; /* one that on_position gave, also to another client: it goes on there, and
                             `start` counts only in another run of the server. Copied; NULL: none */
    size_t position_length;
} rh_subscribe_options;

/* A stretch in which events may be missing. reason: 1 slow, 2 another instance of the server, 3 no longer
 * kept. at_most 0: how many is not known, and log, from and to say nothing. */
typedef struct rh_gap {
    uint32_t log;
    uint64_t from;
    uint64_t to;
    uint64_t at_most;
    int reason;
} rh_gap;

/* What became of published events. All ordinals up to `through` are settled. */
typedef struct rh_ack {
    uint64_t through; /* ordinal as returned by rh_publish */
    size_t refused_count;
    const struct rh_refusal {
        uint64_t ordinal;
        int code; /* roundhouse.v1.ErrorCode */
        const char *text;
        const char *field; /* "" when none */
    } * refused;
    /* Not stored again, because the same event was stored before: as good as acknowledged. */
    size_t duplicates_count;
    const struct rh_duplicate {
        uint64_t ordinal;
        uint64_t sequence; /* of the event that was stored */
    } * duplicates;
} rh_ack;

/* How far a replay is. */
typedef struct rh_replayed {
    uint64_t delivered; /* events that members were given, each counted once */
    uint64_t acknowledged;
    uint64_t failed;  /* refused, or failed too often: dead letters now */
    uint64_t missing; /* at most so many events of the stretch are no longer kept */
    uint64_t left;    /* at most so many are still to come, or to be answered */
    bool waiting;     /* the queue has no member now */
    bool over;
} rh_replayed;

typedef struct rh_callbacks {
    /* subscription: lowest id whose pattern matches and whose filters it passes */
    void (*on_event)(void *user, uint64_t subscription, const rh_event *event);
    void (*on_gap)(void *user, const rh_gap *gap);
    void (*on_ack)(void *user, const rh_ack *ack);
    void (*on_subscribed)(void *user, uint64_t subscription);
    /* `why` with RH_STATE_CONNECTED: "", or, after a reconnect, that it is another run of the server. */
    void (*on_state)(void *user, enum rh_state state, const char *why);
    void (*on_error)(void *user, int code, const char *text, bool fatal, uint64_t subscription);
    void (*on_writable)(void *user); /* there is room again after RH_FULL */
    /* After a reconnect, events that were published and not acknowledged are sent again when true (the
     * default, NULL: true but with RH_ACK_NONE, which makes duplicates possible and loss not; they keep their
     * CloudEvents id). */
    bool (*on_resend)(void *user, uint64_t unacknowledged);
    /* The time for this delivery is over: acknowledging it is refused, and the event is delivered again. */
    void (*on_lease_expired)(void *user, uint64_t subscription, uint64_t delivery);
    /* What rh_remove_queue asked for is done. */
    void (*on_removed)(void *user, uint64_t removal);
    /* How far a replay is (rh_replay): when it has begun, a few times a second while something changes, and
     * when it is over. */
    void (*on_replayed)(void *user, int64_t replay, const struct rh_replayed *replayed);
    /* Everything before this Position has come. Comes with every ping; a program that keeps it can go on
     * there in another run of its own. Valid during the callback. */
    void (*on_position)(void *user, const void *position, size_t length);
} rh_callbacks;

typedef struct rh_options {
    const char *server; /* "host:port" or "[v6]:port"; default "127.0.0.1:4470" */
    const char *name;   /* who this is, for the operators of the server */
    enum rh_ack_level ack;
    bool reconnect_off;          /* default: reconnect with growing pauses of 50 ms to 5 s, with jitter */
    uint32_t connect_timeout_ms; /* of one try, TCP and handshake; 0 = 5000 */
    size_t send_buffer_bytes;    /* 0 = 4 MiB; holds what is not sent, and but for RH_ACK_NONE what is not
                                    acknowledged */
    size_t receive_buffer_bytes; /* of the socket, which bounds what one process gives; 0 = the system's */
    uint32_t ping_interval_ms;   /* 0 = 1000; also finds dead connections (three unanswered) and moves the
                                    Position on */
    rh_callbacks callbacks;
    void *user;
} rh_options;

/* NULL for a bad option (errno is EINVAL) or for want of memory or descriptors (ENOMEM); *error, if not NULL,
 * gets a static text then. Connecting starts with the first process/run/wait. */
rh_client *rh_client_new(const rh_options *options, const char **error);
void rh_client_free(
    rh_client *client); /* closes at once; for an orderly end: rh_flush, rh_close, rh_run until RH_CLOSED */
int rh_wait_connected(rh_client *client, uint32_t timeout_ms);

/* Buffers one event. Returns its ordinal (1, 2, ...; counted over reconnects) or a negative rh_result. The
 * event is a serialized CloudEvent. */
int64_t rh_publish(rh_client *client, const char *topic, size_t topic_length, const uint8_t *event,
                   size_t event_length);
/* Waits until everything buffered is sent and, but for RH_ACK_NONE, settled. */
int rh_flush(rh_client *client, uint32_t timeout_ms);

/* Subscribes; kept over reconnects, resumed behind the last known Position. Returns the subscription's id (>
 * 0) or a negative rh_result. */
int64_t rh_subscribe(rh_client *client, const char *const *patterns, size_t count,
                     enum rh_slow_policy policy);
/* The same, beginning elsewhere than live. Events from before it may have come already, when another
 * subscription of this client matches them, too: they come once. `options` NULL: as rh_subscribe with
 * RH_SLOW_DISCONNECT. */
int64_t rh_subscribe_with(rh_client *client, const char *const *patterns, size_t count,
                          const rh_subscribe_options *options);
int rh_unsubscribe(rh_client *client, int64_t subscription);
/* Whether there still is one: not when it was refused, or put out of its queue. */
bool rh_subscribed(const rh_client *client, int64_t subscription);

/* ---- queues: what is delivered until it is acknowledged ---- */

/* 0 and NULL stand for what the queue has, or for the default when it is made. Texts are copied. */
typedef struct rh_queue {
    const char *name;        /* 1 to 64 letters, digits, '-', '_' and '.'; or '@' and a name: a mailbox */
    bool is_volatile;        /* in the server's memory only: it ends with the server, and gaps are possible */
    bool oldest;             /* when it is made, it begins with the oldest event that is kept; else live */
    bool group;              /* several members share the events; else one connection holds the name */
    bool take_over;          /* whoever holds the name loses it, each time that this client connects */
    bool ephemeral;          /* volatile, and removed with the connection that made it */
    uint32_t window;         /* events that this member may hold unacknowledged; default 256 */
    uint64_t lease_ms;       /* how long a member may take for one; default 30,000 */
    uint32_t attempts;       /* deliveries before an event becomes a dead letter; default 5 */
    uint64_t backoff_ms;     /* pause before the second delivery, doubled each time; default 1,000 */
    const char *dead_letter; /* topic of what could not be handled; default $dlq.NAME */
    const char *key;         /* attribute whose equal values come one after the other; default partitionkey */
    uint64_t capacity;       /* of a mailbox: events it holds before senders are refused; default 10,000 */
    const char *filters; /* as of rh_subscribe_options: what does not pass is not for this queue. Not for a
                            mailbox */
} rh_queue;

/* Becomes a member of a queue, which the first one makes: with patterns, or none to join one that is there.
 * A mailbox never has patterns. Kept over reconnects: what was not acknowledged comes again. Returns the
 * subscription's id (> 0) or a negative rh_result. A name that somebody else holds is refused (on_error). */
int64_t rh_join(rh_client *client, const char *const *patterns, size_t count, const rh_queue *queue);

/* Ends a queue for good: what its members have not acknowledged goes with it, and of a mailbox senders are
 * told that there is none. While it has members it is refused, unless `take_over` puts them out. Asked for
 * again after a reconnect. Returns the removal's number (> 0), which is that of no subscription, or a
 * negative rh_result. Its end is told once, by on_removed, or by on_error with this number. */
int64_t rh_remove_queue(rh_client *client, const char *name, bool take_over);

/* What became of a delivery; from callbacks or later. RH_OK: it is on its way (what the server has against it
 * comes as on_error). RH_STALE: see there; there is nothing to do. RH_FULL: process, then try again.
 * RH_INVALID: there is no such delivery. */
int rh_ack_done(rh_client *client, uint64_t subscription, uint64_t delivery);
/* Done with it and all that were delivered before it on this connection. */
int rh_ack_done_through(rh_client *client, uint64_t subscription, uint64_t delivery);
/* Not now: again after `after_ms`; 0 = after the queue's pause. `reason` (at most 256 bytes) may be NULL. */
int rh_ack_retry(rh_client *client, uint64_t subscription, uint64_t delivery, uint64_t after_ms,
                 const char *reason);
/* Never: it becomes a dead letter. */
int rh_ack_refuse(rh_client *client, uint64_t subscription, uint64_t delivery, const char *reason);
/* Still at it: the lease begins anew. */
int rh_ack_extend(rh_client *client, uint64_t subscription, uint64_t delivery);

/* ---- replays: a stretch of what is kept, once more to the members of one queue ---- */

typedef struct rh_replay_options {
    const char *queue;   /* name of a queue or a mailbox */
    enum rh_start start; /* RH_START_OLDEST, RH_START_SEQUENCE or RH_START_TIME; 0 = oldest */
    uint64_t sequence;   /* RH_START_SEQUENCE: of the queue's only topic, or that of the filter */
    uint64_t time_ns;    /* RH_START_TIME: nanoseconds since 1970 */
    uint64_t to_time_ns; /* what was received at this time or later is left out; 0 = up to where the queue
                            stands: what it has not got yet comes anyway */
    const char *filter;  /* a pattern that topics must match, too; NULL = all that the queue gets */
    double rate;         /* events per second at most, from 0.001 on; 0 = as fast as the members are */
    enum rh_gone_policy gone; /* RH_GONE_GAP counts what is no longer kept in `missing` */
    bool wait;                /* for a member when there is none; else it is refused then */
} rh_replay_options;

/* Asks for a replay, which the members get beside what is new, with `replay` set; a queue has one at a time.
 * It ends with this connection: it is not asked for again after a reconnect. The texts are copied. Returns
 * its number (> 0), RH_UNREACHABLE while there is no connection, or another negative rh_result. That it can
 * not be, or had to end early, is told by on_error with its number as the subscription. */
int64_t rh_replay(rh_client *client, const rh_replay_options *options);
/* Ends it early; on_replayed is called once more, with `over`. What members hold is theirs still, and does
 * not come again. */
int rh_replay_end(rh_client *client, int64_t replay);
/* Whether it goes on. */
bool rh_replaying(const rh_client *client, int64_t replay);

/* ---- requests and replies ---- */

/* The end of a request, once. `code` 0: `reply` is there, valid during the call. Else a
 * roundhouse.v1.ErrorCode, and `text` says why: 11 no reply came in time; 2 or 4 nobody has made the mailbox
 * that was asked, or it is full; 5 the client has ended. */
typedef void rh_on_reply(void *user, int code, const char *text, const rh_event *reply);

/* Publishes `event` with the attributes replyto, correlationid and expirytime, which it must not have yet.
 * The reply comes to an inbox of this client that is made with the first request. `timeout_ms` 0 = 30,000.
 * At most 1,024 requests may be open: then RH_FULL. Returns the request's number (> 0) or a negative
 * rh_result. Takes one ordinal of rh_publish. */
int64_t rh_request(rh_client *client, const char *topic, size_t topic_length, const uint8_t *event,
                   size_t event_length, uint32_t timeout_ms, rh_on_reply *on_reply, void *user);
/* `on_reply` is not called any more. */
int rh_request_cancel(rh_client *client, int64_t request);
/* Publishes `reply` to whoever has sent `request`, of which topic and event are looked at; the reply gets the
 * request's correlationid and expirytime. Returns an ordinal as rh_publish does; RH_INVALID: nobody waits for
 * a reply. That the requester is gone is told by on_ack. */
int64_t rh_reply(rh_client *client, const rh_event *request, const uint8_t *reply, size_t reply_length);

/* Says Goodbye; the state becomes RH_STATE_CLOSED when the server has settled everything and answered. Open
 * requests end with it. */
int rh_close(rh_client *client);

int rh_fd(const rh_client *client); /* -1 while there is none; may change after each process (epoll users: an
                                       epoll fd that stays the same) */
short rh_events(const rh_client *client);   /* POLLIN and/or POLLOUT */
int rh_timeout_ms(const rh_client *client); /* -1 = none */
int rh_process(rh_client *client);          /* RH_OK, or RH_CLOSED / RH_REFUSED when it is over */
int rh_run(rh_client *client,
           uint32_t timeout_ms); /* processes until the time is over or the state is closed */

enum rh_state rh_client_state(const rh_client *client);
const char *rh_client_error(const rh_client *client); /* the last failure, a sentence; "" when none */
uint64_t rh_client_reconnects(const rh_client *client);

#ifdef __cplusplus
}
#endif
