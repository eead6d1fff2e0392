/* watch.h: sees to it that what a spoke has sent is acknowledged: takes acknowledgements from the router, and
 * publishes what is overdue.
 * It has a port and a durable queue of its own, spoke.NAME.awaited, of erp.acknowledgement.received: so it
 * sees acknowledgements whichever way they came (this spoke, another one, HTTP in), none is missed while the
 * router is down, and none waits behind the spoke's backlog when its system is down. In the spoke's own queue
 * they would, and its topics could not be changed for this.
 * Owner: the spoke's thread, which makes it, calls it and frees it.
 * Blocks as awaited.h does. What it can not publish is tried again, with the same id. */
#pragma once

#include "core/base/check.h"
#include "core/bridge/transport.h"
#include "core/spoke/awaited.h"
#include "core/spoke/spoke.h"

#define WATCH_QUEUE   "spoke.%s.awaited"
#define WATCH_OVERDUE "erp.acknowledgement.overdue" /* topic, and the type without its version */

struct watch;

struct watch_options {
    struct event_base *base;
    const char *server; /* of the router; NULL: none, for tests */
    bool journal;
    const char *name; /* of the spoke; borrowed, as all else here */
    const char *state_dir;
    bool x12;           /* its documents are X12, else EDIFACT */
    uint64_t period_ms; /* an acknowledgement is overdue after this */
    struct spoke_counters *counters;
    uint64_t (*now_ms)(void); /* milliseconds since 1970; NULL: the clock */
    void *user;
    void (*on_refused)(void *user, const char *text); /* as of a port */
    void (*on_joined)(void *user);
    void (*on_publish)(void *user, const char *topic, size_t topic_length, const uint8_t *event,
                       size_t event_length); /* only without a server */
};

/* NULL: *why has a sentence. */
struct watch *watch_new(const struct watch_options *options, char *why, size_t why_bytes) MUST_USE;
void watch_free(struct watch *watch);
/* As port_flush. */
bool watch_flush(struct watch *watch, uint32_t ms);

/* A document goes to the transport; it is one of this format, but for those of our acknowledgements. */
void watch_hand(struct watch *watch, const struct outgoing *out);
/* What the transport says of it; of others nothing comes of it. */
void watch_sent(struct watch *watch, uint64_t delivery);
void watch_unsent(struct watch *watch, uint64_t delivery);

/* An event of erp.acknowledgement.received. */
void watch_acknowledgement(struct watch *watch, const uint8_t *event, size_t length);
/* Publishes what is overdue by now; the timer does it. */
void watch_look(struct watch *watch);
