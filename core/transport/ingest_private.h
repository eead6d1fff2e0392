/* ingest_private.h: what the files of HTTP in share: its state, requests, batches of events, doors of spokes.
 * Owner: struct ingest owns all of it. Only its own thread looks at it, but for the command's lock.
 * Fields are private to the files ingest*.c.
 * Nothing blocks.
 * A request is answered once: ingest_answer, ingest_refuse. */
#pragma once

#include "core/base/list.h"
#include "core/transport/httpd.h"
#include "core/transport/ingest.h"
#include "core/transport/secret.h"

#include <pthread.h>

struct event;
struct json_t;
struct trace;
struct port;

/* ---- who may (ingest_auth.c) ---- */

struct auth {
    char *owner, *bearer_file, *hmac_file, *header, *prefix; /* owns; a file that is NULL is not asked for */
    struct secret bearer, hmac;
    struct signer *signer; /* owns; it has hmac's key */
};

bool auth_open(struct auth *auth, const char *owner, const struct ingest_auth *wanted, char *why,
               size_t why_bytes);
void auth_close(struct auth *auth);

/* ---- the router's side for events (ingest_events.c) ---- */

struct outlet {
    struct ingest *ingest;
    struct port *port;   /* owns; NULL: there is none */
    struct list blocked; /* batches that wait for room */
    bool asked;          /* to be told of room */
};

/* ---- a spoke (ingest_documents.c) ---- */

struct door {
    struct list node; /* of ingest->doors */
    struct ingest *ingest;
    char *name; /* owns */
    struct auth auth;
    struct port *port;       /* owns */
    struct inbound *inbound; /* owns */
    struct event *turn;
    struct list queue; /* requests; the first one is read when `reading` */
    uint32_t queued;
    size_t fed; /* of the first one's body */
    bool reading, finished, asked;
};

/* ---- a connection and its request ---- */

struct client {
    struct list node;
    struct MHD_Connection *connection;
    uint64_t deadline_ns; /* UINT64_MAX: none */
    bool cut;
};

#define REQUEST_EXTRAS 4u

struct batch;

struct ingest_request {
    struct list node;  /* of ingest->waiting while it is suspended */
    struct list place; /* of its door's queue */
    struct ingest *ingest;
    struct client *client;
    struct MHD_Connection *connection;
    enum { ROUTE_NONE, ROUTE_HELP, ROUTE_OPTIONS, ROUTE_EVENTS, ROUTE_DOCUMENT } route;
    enum { ACK_DEFAULT, ACK_NONE, ACK_ROUTED, ACK_DISK } ack;
    uint8_t *topic; /* owns */
    size_t topic_length;
    char *name; /* owns: of the spoke */
    struct door *door;
    struct batch *batch;
    uint8_t *body; /* owns */
    size_t length, capacity;
    uint64_t came; /* bytes of body, those that were not kept, too */
    uint64_t deadline_ns;
    bool begun, suspended, answered;
    unsigned status;
    char *reply; /* owns */
    size_t reply_length;
    const char *reply_type;
    struct {
        const char *name;
        char value[256];
    } extras[REQUEST_EXTRAS];
    uint32_t extras_count;
};

struct command {
    enum { COMMAND_PUT, COMMAND_REMOVE, COMMAND_EXPECT } kind;
    const struct inbound_options *inbound;
    const struct ingest_auth *auth;
    const char *name;
    const char *const *names;
    size_t count;
    bool disk, good, over;
    char *why;
    size_t why_bytes;
};

struct ingest {
    struct ingest_options options; /* its texts are not kept */
    char *server;                  /* owns */
    struct auth auth;
    struct event_base *base;
    const struct httpd_table *httpd;
    struct MHD_Daemon *daemon;
    struct event *ready, *timer, *tick, *told;
    int told_fd;
    pthread_t thread;
    struct outlet routed, disk;
    bool again; /* the daemon is to be run once more */
    struct list clients, waiting, doors, batches;
    char **expected;                  /* owns: names of spokes, ended by NULL; NULL: every name is expected */
    uint64_t held_bytes;              /* of bodies */
    struct ingest_counters *counters; /* of the options, or our own */
    struct ingest_counters uncounted;
    /* Of whoever gives commands, too: */
    pthread_mutex_t lock;
    pthread_cond_t done;
    struct command *command;
    bool stopping;
};

/* ingest_auth.c. False: the request is answered. */
bool auth_bearer(struct ingest_request *request, struct auth *auth);
bool auth_hmac(struct ingest_request *request, struct auth *auth);
#define DIGEST_BYTES 32u
/* SHA-256. */
void digest_of(const uint8_t *bytes, size_t length, uint8_t out[DIGEST_BYTES]);

/* ingest_request.c */
enum MHD_Result ingest_access(void *ingest, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data, size_t *size,
                              void **context);
void ingest_completed(void *ingest, struct MHD_Connection *connection, void **context,
                      enum MHD_RequestTerminationCode code);
/* Takes `reply`, which may be NULL. */
void ingest_answer(struct ingest_request *request, unsigned status, char *reply, size_t length);
/* As one line. Takes `reply`; NULL, for want of memory, is a 503. */
void ingest_reply(struct ingest_request *request, unsigned status, struct json_t *reply);
void ingest_refuse(struct ingest_request *request, unsigned status, const char *error, const char *field,
                   const char *hint);
void ingest_extra(struct ingest_request *request, const char *name, const char *value);
/* What its headers say of a trace; false: nothing. */
bool ingest_trace(const struct ingest_request *request, struct trace *trace);
/* The router did not settle it in time. */
void ingest_late(struct ingest_request *request);

/* ingest_events.c */
bool outlet_open(struct outlet *outlet, struct ingest *ingest, bool disk, char *why, size_t why_bytes);
void outlet_close(struct outlet *outlet);
void events_begin(struct ingest_request *request);
void events_late(struct ingest_request *request);
void events_leave(struct ingest_request *request);
void batches_free(struct ingest *ingest);

/* ingest_documents.c */
struct door *door_find(struct ingest *ingest, const char *name);
void door_put(struct ingest *ingest, struct command *command);
void door_remove(struct ingest *ingest, const char *name);
/* No door has the request's name, which may be NULL: later perhaps, or never. */
void door_missing(struct ingest_request *request);
void doors_expect(struct ingest *ingest, const char *const *names, size_t count);
/* Every name is expected again. */
void doors_forget(struct ingest *ingest);
void documents_begin(struct ingest_request *request);
void documents_late(struct ingest_request *request);
void documents_leave(struct ingest_request *request);

/* ingest.c: the daemon has something to do. */
void ingest_wake(struct ingest *ingest);
