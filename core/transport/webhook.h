/* webhook.h: events as HTTP requests to another system: the CloudEvents HTTP binding and its webhook rules.
 * Owner: the spoke's thread, which starts, calls and stops it; everything runs in that thread's libevent
 * loop. Nothing blocks. Any number may run side by side: each has its own connections and its own state.
 * A request that fails is tried again by the host's queue, after a pause; while the target as a whole does
 * not answer, deliveries are kept here and their leases extended, which counts as no attempt. Order is the
 * queue's: of the events with one key it hands over one at a time, so that their requests never overlap, and
 * one that fails holds up its key alone.
 * Fails at the start by a sentence. docs/WEBHOOKS.md has the rules for whoever receives. */
#pragma once

#include "core/bridge/transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum webhook_mode {
    WEBHOOK_BINARY,     /* attributes as ce- headers, the data as body */
    WEBHOOK_STRUCTURED, /* the whole event as application/cloudevents+json */
    WEBHOOK_PLAIN,      /* the data with its content type, and ce-id */
};

/* Zero or NULL is the default of each but `url`. Everything is borrowed for the transport's life. */
struct webhook_options {
    const char *url;        /* http or https, without user and password */
    enum webhook_mode mode; /* default: binary */
    bool put;               /* PUT instead of POST */
    /* Binary mode: values as they are instead of percent-encoded, but for control characters: some libraries
     * do not decode them. */
    bool raw_attributes;
    const char *const *headers; /* fixed ones, "Name: value" each */
    size_t headers_count;

    uint32_t concurrency;        /* requests at a time, and connections; default 32, at most 1,024 */
    uint32_t rate_per_s;         /* events per second at most; default: as fast as it goes */
    uint64_t connect_ms;         /* until a connection stands, TLS and all; default 5 s */
    uint64_t answer_ms;          /* the whole of one request; default 30 s */
    uint64_t answer_bytes_max;   /* of an answer; what is longer is not read to its end; default 64 KiB */
    uint64_t retry_ms_min;       /* pause after an event's first failure, doubled with each; default 1 s */
    uint64_t retry_ms_max;       /* default 5 min */
    uint64_t retry_after_ms_max; /* the longest Retry-After that is obeyed; default 1 h */
    uint32_t breaker_failures;   /* in a row, and sending pauses but for probes; default 10 */
    uint64_t breaker_ms_min;     /* until the first probe, doubled with each that fails; default 1 s */
    uint64_t breaker_ms_max;     /* default 1 min */
    uint64_t extend_ms;          /* how often a lease is extended; under half the queue's; default 10 s */
    uint32_t redirects;          /* followed at most; default none: they are refused */

    const char *ca_file;          /* PEM; default: the system's authorities */
    const char *certificate_file; /* PEM, of this client */
    const char *key_file;         /* PEM, of this client; default: it is in certificate_file */
    const char *proxy;            /* URL; default: none, whatever the environment says */
    /* Files with secrets are read again when they change; a line end behind the secret is not part of it. */
    const char *token_file;       /* sent as `Authorization: Bearer TOKEN` */
    const char *secret_file;      /* signs: HMAC-SHA256 of the body, "sha256=" and hexadecimal digits */
    const char *signature_header; /* default X-Signature-256 */
    /* What is signed is "SECONDS.BODY", and SECONDS, since 1970, is sent as timestamp_header. */
    bool signature_time;
    const char *timestamp_header; /* default X-Signature-Timestamp */

    /* The webhook handshake: before the first event the target is asked by OPTIONS whether it wants events of
     * this origin, a DNS name. NULL: it is not asked. */
    const char *origin;
    uint32_t origin_rate; /* events per minute to ask for; default: none is asked for */
};

extern const struct transport webhook_transport;

enum webhook_state {
    WEBHOOK_SENDING,
    WEBHOOK_ASKING, /* the handshake is not answered yet */
    WEBHOOK_PAUSED, /* the target fails, or has asked for a pause */
    WEBHOOK_GONE,   /* it has answered 410: nothing is sent until this is started again */
};

struct webhook_status {
    enum webhook_state state;
    uint32_t in_hand; /* handed over and not answered */
    uint32_t on_way;  /* of them: requests that wait for an answer */
    uint64_t requests, done, retried, refused;
};
void webhook_status(const void *webhook, struct webhook_status *status);
