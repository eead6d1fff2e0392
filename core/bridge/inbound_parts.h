/* inbound_parts.h: the inside of an inbound: the document that is open, and what is on its way from it.
 * Owner: inbound.c (documents in) and flow.c (events out); nobody else looks.
 * Thread: the bridge's.
 * Nothing blocks.
 * Each event that has begun is counted in `waiting` until its fate is known. */
#pragma once

#include "codecs/erp/arena.h"
#include "codecs/erp/engine.h"
#include "codecs/erp/event.h"
#include "core/bridge/counters.h"
#include "core/bridge/formats.h"
#include "core/bridge/inbound.h"
#include "core/bridge/json_split.h"
#include "core/bridge/findings.h"
#include "core/bridge/trace.h"

#include "codecs/document/sniff.h"

#define INBOUND_IDS_MAX    1000u
#define INBOUND_VALUE_MAX  (64u * 1024u * 1024u) /* of JSON; no event is larger */
#define INBOUND_TOPIC_SIZE 256u
#define INBOUND_OWED_MAX                                                                                     \
    (1024u * 1024u) /* bytes that acknowledgements are made of; then what is before them is waited for */

/* Where something of a document stands, and in which of the messages that the acknowledger counts; 0: in none
 * of them. */
struct origin {
    struct place place;
    uint32_t message;
};

/* An event on its way: before its mapping (with `input`, until that is handed over), or ready to go out. */
struct item {
    struct item *next;
    char topic[INBOUND_TOPIC_SIZE];
    uint8_t *event; /* owns */
    size_t event_length;
    struct bytes input; /* owns; of the mapping */
    bool handed_over;
    bool acknowledgement;
    struct origin origin;
};

struct items {
    struct item *first, **last;
};

enum inbound_reading {
    READING_HEAD,     /* too little has come to know what it is */
    READING_DOCUMENT, /* the intake has it */
    READING_JSON,
    READING_NOTHING, /* it is refused */
};

struct jq_answer;

struct document {
    bool open, finished;
    enum inbound_reading reading;
    size_t head_length;
    uint8_t head[SNIFF_BYTES];
    const char *format;
    char *name; /* owns */
    struct trace trace;
    bool digested;
    uint8_t digest[ERP_DIGEST_BYTES];
    uint64_t values; /* of JSON, that have come */
    uint64_t published, refused, unknown;
    uint64_t waiting; /* events whose fate is not known yet, in mapping and router */
    struct findings findings;
    struct bytes ids;
    uint32_t ids_count;
    inbound_on_end *on_end;
    void *user;
};

struct inbound {
    struct event_base *base;
    struct port *port;
    const struct formats *formats;
    const struct profile *profile;
    char *name, *format, *type, *topic; /* own */
    const ProtobufCMessageDescriptor *message;
    struct inbound_counters *counters;
    struct inbound_counters own_counters;
    struct jq *jq;
    struct arena arena;
    struct erp_engine *engine;
    struct erp_maker *maker;
    struct intake *intake;
    struct json_split split;
    struct document document;
    struct items mapping; /* in the order of the document */
    struct item *unsent;  /* the first of them that the mapping has not got yet; borrowed */
    struct items ready;
    struct acknowledger *acknowledger; /* NULL: nobody gets one */
    struct items owed;                 /* acknowledgements that are made: they go out */
    bool room_owed;
    bool spoiled; /* readers stand in the middle of a document that was given up */
    void (*on_room)(void *user);
    void *room_user;
};

/* ---- flow.c ---- */

/* An event of the document: through the mapping, if there is one, and out. `json` is its data for the
 * mapping; NULL: the event says. */
void flow_event(struct inbound *inbound, const char *topic, const uint8_t *event, size_t length,
                const struct bytes *json, struct origin origin);
/* JSON that is the data of an event made of `event`, as a mapping gives it: as canonical message, or as it
 * is. */
void flow_data(struct inbound *inbound, const char *topic, const uint8_t *event, size_t length, uint32_t part,
               const char *json, size_t json_length, struct origin origin);
/* An acknowledgement, which it takes over. */
void flow_owe(struct inbound *inbound, uint8_t *event, size_t length);
/* Acknowledgements go out, if it is their time. */
void flow_acknowledge(struct inbound *inbound);
/* Whether something waits for room: then nothing is fed. */
bool flow_behind(const struct inbound *inbound);
/* What could go on, goes on. */
void flow_pump(struct inbound *inbound);
/* Nothing of the document is on its way any more. */
void flow_forget(struct inbound *inbound);
/* Before the end, when no answer comes any more. */
void flow_end(struct inbound *inbound);
void flow_answer(void *user, const struct jq_answer *answer);

/* ---- inbound.c ---- */

/* Something of the document is refused, by a finding of its own. */
void document_refuse(struct inbound *inbound, enum finding_code code, struct origin origin,
                     const char *sentence);
/* There was no memory for an event of it: its fate is not known. */
void document_lost(struct inbound *inbound);
void document_published(struct inbound *inbound, const uint8_t *event, size_t length);
/* Tells the end, when all is known. */
void document_settle(struct inbound *inbound);
