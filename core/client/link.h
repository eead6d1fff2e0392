/* link.h: the inside of rh_client: one conversation after the other with the server, and the moves between
 * them.
 * Owner: one rh_client; its thread.
 * WAITING -> DIALING -> HANDSHAKE -> UP -> WAITING ..., and OVER at the end. Only link.c changes the
 * phase.
 * Nothing blocks but looking up a name in link_start.
 * What goes wrong ends the connection (link_lost) or the client (link_over); the reason is in `error`. */
#pragma once

#include "core/client/dial.h"
#include "core/client/inbox.h"
#include "core/client/outbox.h"
#include "core/client/requests.h"
#include "core/client/seen.h"
#include "core/client/subs.h"

#include "core/base/limits.h"

#include <roundhouse/client.h>

#define LINK_BACKOFF_NS_MIN                                                                                  \
    (50 * NS_PER_MS) /* the first pause before connecting again; doubles, with jitter */
#define LINK_BACKOFF_NS_MAX   (5 * NS_PER_S)
#define LINK_PINGS_MISSED_MAX 3u    /* pings without any sign of life: the connection counts as dead */
#define LINK_EVENTS_PER_PING  4096u /* the Position moves on at least so often */
#define LINK_FAREWELL_NS                                                                                     \
    (10 * NS_PER_S) /* after a Goodbye, without a sign of life: longer than the server's drain */
#define LINK_DOUBT_NS                                                                                        \
    (60 * NS_PER_S) /* repetitions that could not be noted are told apart no more after this */
#define LINK_CONTROL_MAX (1u * MIB) /* replies the server does not read; then the connection is given up */
#define LINK_ACK_BYTES_MAX                                                                                   \
    (256u * KIB) /* acknowledgements of deliveries on their way; more of them are refused with RH_FULL */
#define LINK_FRAME_SLACK (64u * KIB) /* what a delivered frame may exceed the server's frame_bytes_max by */
#define LINK_FRAME_MAX   (1u * GIB)  /* whatever the server says */

/* What the last Context said: whose the events behind it are. */
struct link_context {
    uint64_t subscription; /* 0 = of those without a queue */
    uint64_t delivery;     /* the server's number of the next one; 0 = none may follow */
    uint64_t lease_ms;
    uint32_t attempt;
    bool replay;
};

enum link_phase { LINK_WAITING, LINK_DIALING, LINK_HANDSHAKE, LINK_UP, LINK_OVER };

struct rh_client {
    /* As given. */
    rh_callbacks callbacks;
    void *user;
    char name[129];
    enum rh_ack_level ack;
    bool reconnect_off;
    uint64_t connect_timeout_ns;
    uint64_t ping_interval_ns;

    /* This connection. */
    struct dial dial;
    struct inbox inbox;
    int socket;       /* -1 = none */
    int poller;       /* epoll: the one descriptor that the program sees */
    uint32_t watched; /* epoll events that are set for the socket */
    bool blocked;     /* the kernel took less than was offered */
    bool more;        /* there may be received bytes that were left for the next turn */
    enum link_phase phase;
    uint64_t deadline_ns;  /* DIALING (of this address), HANDSHAKE, and after a Goodbye; 0 = none */
    uint64_t try_end_ns;   /* DIALING, HANDSHAKE: of this try */
    uint64_t doubt_ns;     /* since when UP, or when the last subscription resumed */
    uint64_t ordinal_base; /* our ordinal = this + the server's */
    uint64_t frame_max;    /* of what we receive */
    uint64_t publish_max;  /* of what the server takes; 0 = not known */
    uint64_t ping_ns;      /* when the next Ping is due */
    uint32_t pings_missed;
    uint32_t events_since_ping;
    bool ping_waiting;   /* no Pong yet */
    bool server_leaving; /* its Goodbye came */
    bool goodbye_sent;
    struct link_context context;

    /* Over all connections. */
    struct outbox outbox;
    struct subs subs;
    struct seen seen;
    struct requests requests;
    int64_t *replays; /* owns; those that go on */
    size_t replays_count, replays_capacity;
    uint8_t instance[16];
    bool connected_once;
    bool closing;            /* rh_close was called */
    uint64_t full_bytes;     /* of the event to which RH_FULL was the answer: on_writable is owed; 0 = none */
    bool inside;             /* a function that runs callbacks is running */
    uint64_t retry_ns;       /* WAITING: when to connect */
    uint64_t backoff_ns;     /* the next pause, without jitter */
    uint64_t random;         /* state of the jitter */
    uint64_t resubscribe_ns; /* when SUB_DELAYED ones are asked for again; 0 = none */
    uint64_t reconnects;
    uint64_t pongs;
    uint8_t *position; /* owns; of the last Pong of this connection */
    size_t position_length;
    struct rh_refusal *refusals;     /* owns; scratch of one PublishAck */
    struct rh_duplicate *duplicates; /* owns; the same */
    size_t exceptions_capacity;      /* of both */
    int result;                      /* OVER: what every function says */
    char error[256];
};

void link_error(struct rh_client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Sets the error and returns RH_INVALID. */
int link_invalid(struct rh_client *client, const char *what);
/* Tells on_state. Callbacks may publish, subscribe and close: whoever calls this looks at the phase again. */
void link_state(struct rh_client *client, const char *why);

/* Begins to connect. */
void link_start(struct rh_client *client);
/* DIALING: looks whether the connection stands, and says Connect. */
void link_dialing(struct rh_client *client);
/* Connected came, its fields are in place: subscribes anew, lets events flow. `why` is told with the state.
 */
void link_up(struct rh_client *client, const char *why);
/* The connection is gone, or is given up: connects again after a pause of at least `pause_ns`, or is over. */
void link_lost(struct rh_client *client, const char *why, uint64_t pause_ns);
/* The end. `result` is what every function says from now on. */
void link_over(struct rh_client *client, int result, const char *why);

/* A sign of life of the server. */
void link_progress(struct rh_client *client);
/* Sends what there is, as far as the kernel takes it. false: the connection is broken, errno says why; nobody
 * has been told. */
bool link_send(struct rh_client *client);
/* Puts a control frame behind what is there; gives the connection up when that can not be done. */
void link_control(struct rh_client *client, const Roundhouse__V1__Frame *frame);
void link_ping(struct rh_client *client);
void link_subscribe(struct rh_client *client, struct sub *sub, bool first);
void link_unsubscribe(struct rh_client *client, int64_t id); /* of a subscription, or a replay */
/* What a subscription asks for is on its way, or there was no memory: the next timer asks again. */
void link_asked(struct rh_client *client, struct sub *sub, bool asked);
/* Goodbye, once, when it is time for it. */
void link_farewell(struct rh_client *client);

/* What is due at `now`; and when the next thing is: UINT64_MAX = never. */
void link_timers(struct rh_client *client, uint64_t now);
uint64_t link_next_timer(const struct rh_client *client);
/* Lets the poller watch for what matters now. */
void link_watch(struct rh_client *client);

static inline uint64_t link_unsettled(const struct rh_client *client) {
    const struct outbox *box = &client->outbox;
    return box->ordinal_last - box->ordinal_kept;
}
