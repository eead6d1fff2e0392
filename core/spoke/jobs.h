/* jobs.h: events of a spoke's queue on their way out: each becomes documents, and is answered when its system
 * has all of them.
 * Owner: the spoke's thread, which makes it, calls it and frees it.
 * Nothing blocks. An acknowledgement (spoke.NAME.acknowledgement) is a document already: it goes as it is.
 * Whatever happens to an event, the port is told once: done, again later, or refused.
 * Fails by asking for the event again. */
#pragma once

#include "core/bridge/outbound.h"
#include "core/bridge/port.h"
#include "core/bridge/transport.h"
#include "core/spoke/spoke.h"

struct jobs;

struct jobs_options {
    const char *name; /* of the spoke; borrowed as all else here */
    struct port *port;
    struct outbound *outbound; /* NULL: only acknowledgements come */
    struct spoke_counters *counters;
    uint32_t attempts; /* of the queue: its last one that fails makes a dead letter; for the counters */
    void *user;
    void (*deliver)(void *user, const struct outgoing *out);
    void (*on_idle)(void *user); /* the last one is answered */
};

struct jobs *jobs_new(const struct jobs_options *options) MUST_USE; /* NULL: no memory */
/* The events that are on their way are not answered: they come again. */
void jobs_free(struct jobs *jobs);
void jobs_event(struct jobs *jobs, const struct port_event *event);
/* Gives the outbound what it had no room for; each of its answers does that by itself. */
void jobs_go_on(struct jobs *jobs);
/* Extends the leases of those that the transport has not got yet: they wait for a mapping that is slow, and
 * are not to come again meanwhile. What the transport has it extends itself. Called well within a lease. */
void jobs_hold(struct jobs *jobs);
uint32_t jobs_in_hand(const struct jobs *jobs);

/* Answers of the transport, by the number in struct outgoing. */
void jobs_done(struct jobs *jobs, uint64_t document);
void jobs_retry(struct jobs *jobs, uint64_t document, uint64_t after_ms, const char *reason);
void jobs_refuse(struct jobs *jobs, uint64_t document, const char *reason);
void jobs_extend(struct jobs *jobs, uint64_t document);
