/* webhook_private.h: one webhook from the inside; for core/transport/webhook*.c only.
 * Owner: webhook.c; the loop's thread.
 * A parcel is an event that was handed over and is not answered. It waits in `ready`, or a lane carries it: a
 * lane is one of libcurl's transfers with its buffers, used for one request after another.
 * Nothing blocks.
 * See webhook.h for how it fails. */
#pragma once

#include "codecs/event/bytes.h"
#include "core/base/list.h"
#include "core/base/logfmt.h"
#include "core/transport/answer.h"
#include "core/transport/multi.h"
#include "core/transport/request.h"
#include "core/transport/secret.h"
#include "core/transport/webhook.h"

#include <event2/event_struct.h>

struct parcel {
    struct list place; /* in ready or spare; in none while a lane carries it */
    struct list age;   /* in aged: by when its lease was extended */
    uint64_t delivery;
    uint64_t extended_ns;
    uint32_t attempt;
    struct bytes event; /* owns */
};

struct lane {
    struct list place; /* in lanes, or busy */
    struct webhook *hook;
    CURL *easy;            /* owns */
    struct parcel *parcel; /* NULL: it carries the question of the handshake */
    bool probe;
    struct answer answer;
    struct request request;
    char error[CURL_ERROR_SIZE]; /* libcurl writes it */
};

/* While the target fails one request at a time finds out whether it still does. */
enum probe { PROBE_NONE, PROBE_DUE, PROBE_OUT };

struct webhook {
    struct transport_host host;
    struct webhook_options options; /* settled */
    struct request_terms terms;
    const struct curl_table *curl;
    struct multi *multi; /* owns */
    struct secret token, key;
    struct signer *signer; /* owns; NULL: nothing is signed */
    struct event pause_timer, rate_timer, extend_timer;

    struct list ready, aged, spare; /* of parcels */
    struct list lanes, busy;        /* free ones, and those on their way */
    uint32_t lanes_made, on_way, in_hand;

    bool granted; /* by the handshake, or none is wanted */
    bool paused, gone;
    bool inside;  /* the host is being called back, or may be: sending begins when that is over */
    bool stopped; /* meanwhile: what is left is freed then */
    enum probe probe;
    uint32_t failures;             /* in a row */
    uint64_t pause_ms;             /* the last one, before chance */
    uint64_t interval_ns, next_ns; /* of the rate; 0: none */
    uint64_t chance;
    struct logfmt_limit said; /* lines that the target can cause */
    uint64_t requests, done, retried, refused;
};

/* The options with their defaults; false: `why` has a sentence. */
bool webhook_settle(struct webhook_options *options, const struct curl_table *curl, char *why,
                    size_t why_bytes) MUST_USE;

/* A lane that is free, or NULL: as many as there may be are on their way, or there is no memory. */
struct lane *lane_take(struct webhook *hook) MUST_USE;
/* Sends lane->request; false: it could not be sent at all. */
bool lane_send(struct lane *lane) MUST_USE;
/* Its transfer is over. */
void lane_give(struct lane *lane);
void lane_free(struct lane *lane);
