/* inbound.h: what comes in from a connected system: bytes of a document become published events.
 * A document is read by the reader of its format, mapped to canonical messages, each message to an event
 * (through the spoke's jq mapping when it has one), and each event is published; the document's end is told
 * when the router has settled all of them.
 * Owner: the bridge's thread. Nothing blocks: when the router or the mapping is behind, feeding is refused
 * until there is room. Documents are read one after the other: one is open at a time.
 * Fails by findings of the document; its good messages are published all the same. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inbound;
struct inbound_counters;
struct event_base;
struct formats;
struct port;
struct profile;
struct trace;

/* The type of the events that are acknowledgements of ours, and the end of the topic "spoke.NAME...." that
 * they go out on. Their data is the text that the partner gets. */
#define INBOUND_ACKNOWLEDGEMENT_TYPE  "erp.acknowledgement.sent.v1"
#define INBOUND_ACKNOWLEDGEMENT_TOPIC "spoke.%s.acknowledgement"

enum acknowledge_edifact { ACKNOWLEDGE_NEVER, ACKNOWLEDGE_ASKED, ACKNOWLEDGE_ALWAYS };
enum acknowledge_x12 { ACKNOWLEDGE_X12_NONE, ACKNOWLEDGE_X12_TA1, ACKNOWLEDGE_X12_997, ACKNOWLEDGE_X12_999 };

/* What the partner gets for an interchange, when the router has settled its events: as an event of that
 * topic, before the document ends. Zeroed: nothing. */
struct inbound_acknowledge {
    enum acknowledge_edifact edifact; /* CONTRL; asked: by UNB */
    enum acknowledge_x12 x12;
    bool ta1; /* beside 997 and 999, also where ISA14 does not ask for it */
};

struct inbound_options {
    struct event_base *base;
    struct port *port;             /* that publishes; borrowed */
    const char *name;              /* of the spoke: the partner, for events and log lines */
    const struct formats *formats; /* ready; borrowed */
    const struct profile *profile; /* what the partner may do wrong; NULL: nothing; borrowed */
    const char *format;            /* what must come: edifact, x12, idoc, ubl, csv, fixed, json; NULL: any */
    const char *mapping;    /* jq: `.` is the canonical JSON, or the JSON that came, `$event` the event's
                               attributes; each output is the data of one event. NULL: none */
    const char *message;    /* the outputs of `mapping`, or without one the JSON that came, are canonical
                               messages of this kind: Order; NULL: they are JSON of any shape */
    const char *type;       /* of the events; NULL: the canonical one, which foreign JSON does not have */
    const char *topic;      /* NULL: the canonical one, likewise */
    const char *variables;  /* a JSON object: each member is a $NAME in `mapping`; NULL: none */
    const char *executable; /* that runs mappings (core/bridge/jq.h); NULL: this one */
    struct inbound_counters *counters; /* NULL: not counted */
    struct inbound_acknowledge acknowledge;
};

/* Texts are copied. It asks the port for room (port_on_room), so nobody else does. Blocks while a mapping's
 * process starts. NULL: *why has a sentence. */
struct inbound *inbound_new(const struct inbound_options *options, char *why, size_t why_bytes) MUST_USE;
/* Before the port, and from none of its own callbacks. */
void inbound_free(struct inbound *inbound);

/* What became of a document. Valid during the call. */
struct inbound_end {
    uint64_t published;   /* events that the router has settled */
    uint64_t refused;     /* messages that break rules, have no map, or whose mapping failed; events that the
                             router does not take, and never would. Not 0 when anything is wrong that the
                             partner's profile does not tolerate */
    uint64_t unknown;     /* events whose fate is not known, or that the router could not take now: the
                             document is to be given again; their ids will be the same */
    const char *ids;      /* JSON: an array of the events' ids, in the document's order; at most 1,000 */
    const char *findings; /* JSON: {"file", "format", "published", "refused", "findings": [...]}, readable */
    size_t findings_length;
    bool tolerated; /* rules are broken, but none that refuses a message */
};
typedef void inbound_on_end(void *user, const struct inbound_end *end);

/* Begins a document. `name` is for findings (a file's name); `digest`: the SHA-256 of all its bytes, or NULL
 * when it can not be known. 0, -EBUSY: one is open, -ENOMEM. */
int inbound_begin(struct inbound *inbound, const char *name, const uint8_t *digest) MUST_USE;
/* After inbound_begin, before its first byte: events of this document that have no trace of their own get
 * this one. */
void inbound_trace(struct inbound *inbound, const struct trace *trace);
/* 0: taken, all of it; -EAGAIN: nothing was taken, inbound_on_room tells when to try again; -ENOMEM. Pieces
 * of at most 64 KiB. */
int inbound_feed(struct inbound *inbound, const uint8_t *bytes, size_t length) MUST_USE;
void inbound_on_room(struct inbound *inbound, void (*on_room)(void *user), void *user);
/* The document is over; `on_end` is called once, perhaps at once. */
void inbound_finish(struct inbound *inbound, inbound_on_end *on_end, void *user);
/* It is given up half way (it changed while it was read): nothing more is published of it, no end is told. */
void inbound_abandon(struct inbound *inbound);
