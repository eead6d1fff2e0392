/* admin_private.h: what the files of the admin plane share; nobody else includes it.
 * Owner: struct admin is made and freed by admin.c; clients.c has the connections, api.c the requests.
 * All of it belongs to the admin plane's thread, but for what is handed over in struct api_answers.
 * Nothing blocks.
 * Functions that can fail say so at their side. */
#pragma once

#include "core/admin/admin.h"
#include "core/admin/api.h"
#include "core/admin/metrics.h"
#include "core/admin/token.h"
#include "core/base/limits.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <pthread.h>

#define API_UNAUTHORIZED  401
#define API_FORBIDDEN     403
#define API_MEDIA_TYPE    415
#define API_UNPROCESSABLE 422

/* evhttp tells nobody when it lets go of a connection, and bounds neither their number nor their whole time.
 * So each connection's bufferevent is counted once more here: when evhttp has freed its own share, the
 * callbacks are gone, and clients_sweep sees that. Such a bufferevent still watches the number of a
 * descriptor that is closed: it has to be gone before the next connection may get the same number, or it
 * would take that one's bytes. */
struct admin_client {
    struct bufferevent *bev; /* counted; NULL = free */
    uint64_t deadline_ns;
    size_t input_bytes; /* that wait in it, as they are part of admin->input_bytes */
    bool cut;
};

/* Where answers of other threads come in. It outlives the admin plane while somebody owes one. */
struct api_answers {
    pthread_mutex_t mutex;
    struct api_later *come; /* under the mutex */
    uint32_t owners;        /* under the mutex: the admin plane, and whoever owes an answer */
    bool closed;            /* under the mutex: nobody waits any more */
    int fd;                 /* eventfd */
};

struct streams;
struct finds;
struct graphs;

struct admin {
    struct admin_config config;
    struct event_base *base;
    struct evhttp *http;
    struct evconnlistener *listener; /* owned by http */
    struct event *stop;
    struct event *tick;
    int stop_fd;
    struct event *answers_event;
    struct event *watch; /* NULL: there is nothing beside requests */
    struct api_answers *answers;
    struct admin_traces *traces; /* owns; NULL until somebody traces */
    struct streams *streams;
    struct finds *finds;   /* owns; NULL until somebody searches */
    struct graphs *graphs; /* owns; NULL until somebody asks for one */
    pthread_t thread;
    struct admin_client clients[ADMIN_CONNECTIONS_MAX];
    struct token token; /* with config.token_file */
    size_t input_bytes; /* received over all connections and not taken yet */
    struct metrics_admin counters;
};

/* ---- clients.c ---- */

/* evhttp_set_bevcb */
struct bufferevent *clients_connection(struct event_base *base, void *admin);
void clients_accept_error(struct evconnlistener *listener, void *evhttp);
/* evtimer: looks after connections while there are some. */
void clients_tick(evutil_socket_t fd, short what, void *admin);
/* Of this thread from now on, for callbacks whose argument belongs to evhttp. */
void clients_thread(struct admin *admin);
/* The time that a connection has from now on. */
void clients_patient(struct admin *admin, struct evhttp_connection *connection, uint64_t ns);
/* Ends one at once, whatever it is still owed. */
void clients_cut(struct admin *admin, struct evhttp_connection *connection);
/* After evhttp has been freed. */
void clients_free(struct admin *admin);

/* ---- api.c ---- */

struct api_call {
    struct admin *admin;
    struct evhttp_request *request; /* NULL: answered */
    const struct api_endpoint *endpoint;
    struct evkeyvalq query;
    bool put_off; /* the answer comes later */
};

/* evhttp_set_gencb */
void api_request(struct evhttp_request *request, void *admin);
/* The body is drained. */
void api_reply(struct api_call *call, int code, const char *type, struct evbuffer *body);

/* ---- api_later.c ---- */

struct api_answers *api_answers_new(void) MUST_USE; /* NULL: no memory, or no descriptor; errno says which */
/* Nobody waits any more; owners free the rest. Accepts NULL. */
void api_answers_close(struct api_answers *answers);
/* Event of answers->fd. */
void api_answers_come(evutil_socket_t fd, short what, void *admin);
