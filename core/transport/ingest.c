/* The listener of HTTP in: its thread, its loop, its deadlines, and the commands that come to it. */
#include "core/transport/ingest.h"

#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/logfmt.h"
#include "core/base/thread.h"
#include "core/transport/ingest_private.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the daemon in our loop ---- */

/* It says when it wants to be run at the latest. */
static void daemon_arm(struct ingest *ingest) {
    MHD_UNSIGNED_LONG_LONG ms = 0;
    if (!ingest->again && ingest->httpd->get_timeout(ingest->daemon, &ms) != MHD_YES) {
        (void)evtimer_del(ingest->timer);
        return;
    }
    const struct timeval after = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
    (void)evtimer_add(ingest->timer, &after);
}

static void on_ready(evutil_socket_t fd, short what, void *user) {
    struct ingest *ingest = user;
    (void)fd;
    (void)what;
    ingest->again = false;
    (void)ingest->httpd->run(ingest->daemon);
    daemon_arm(ingest);
}

void ingest_wake(struct ingest *ingest) {
    event_active(ingest->timer, EV_TIMEOUT, 0);
}

/* ---- deadlines ---- */

static void tick_arm(struct ingest *ingest) {
    const struct timeval after = {.tv_usec = INGEST_TICK_NS / NS_PER_US};
    if (!evtimer_pending(ingest->tick, NULL))
        (void)evtimer_add(ingest->tick, &after);
}

/* The daemon sees the end of its stream and closes the connection. */
static void client_cut(const struct ingest *ingest, struct client *client) {
    const union MHD_ConnectionInfo *info =
        ingest->httpd->get_connection_info(client->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    client->cut = true;
    counter_add(&ingest->counters->timeouts, 1);
    if (info != NULL)
        (void)shutdown(info->connect_fd, SHUT_RDWR);
}

static void clients_look(struct ingest *ingest, uint64_t now) {
    for (struct list *node = ingest->clients.next; node != &ingest->clients; node = node->next) {
        struct client *client = LIST_OF(node, struct client, node);
        if (!client->cut && now >= client->deadline_ns)
            client_cut(ingest, client);
    }
}

/* The first one has waited longest. */
static void waiting_look(struct ingest *ingest, uint64_t now) {
    while (!list_empty(&ingest->waiting)) {
        struct ingest_request *request = LIST_OF(ingest->waiting.next, struct ingest_request, node);
        if (request->deadline_ns > now)
            return;
        ingest_late(request);
    }
}

static void on_tick(evutil_socket_t fd, short what, void *user) {
    struct ingest *ingest = user;
    uint64_t now = clock_mono_ns();
    (void)fd;
    (void)what;
    clients_look(ingest, now);
    waiting_look(ingest, now);
    if (!list_empty(&ingest->clients))
        tick_arm(ingest);
}

static void on_connection(void *user, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code) {
    struct ingest *ingest = user;
    struct client *client = *context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (client != NULL) {
            list_remove(&client->node);
            counter_set(&ingest->counters->connections, counter_get(&ingest->counters->connections) - 1);
        }
        free(client);
        *context = NULL;
        ingest->again = true; /* at its limit the daemon listens again only when it is run once more */
        return;
    }
    client = calloc(1, sizeof *client);
    *context = client;
    if (client == NULL) /* its requests are refused */
        return;
    list_init(&client->node);
    list_add(&ingest->clients, &client->node);
    counter_add(&ingest->counters->connections, 1);
    client->connection = connection;
    client->deadline_ns = clock_mono_ns() + ingest->options.request_ns;
    tick_arm(ingest);
}

/* ---- commands ---- */

static void command_run(struct ingest *ingest, struct command *command) {
    switch (command->kind) {
    case COMMAND_PUT:
        door_put(ingest, command);
        break;
    case COMMAND_REMOVE:
        door_remove(ingest, command->name);
        break;
    case COMMAND_EXPECT:
        doors_expect(ingest, command->names, command->count);
        break;
    }
}

static void on_told(evutil_socket_t fd, short what, void *user) {
    struct ingest *ingest = user;
    uint64_t times;
    (void)what;
    (void)!read(fd, &times, sizeof times);
    pthread_mutex_lock(&ingest->lock);
    struct command *command = ingest->command;
    bool stopping = ingest->stopping;
    pthread_mutex_unlock(&ingest->lock);
    if (command != NULL && !command->over) {
        command_run(ingest, command);
        pthread_mutex_lock(&ingest->lock);
        command->over = true;
        ingest->command = NULL;
        pthread_cond_signal(&ingest->done);
        pthread_mutex_unlock(&ingest->lock);
    }
    if (stopping)
        (void)event_base_loopbreak(ingest->base);
}

static void tell(struct ingest *ingest) {
    uint64_t one = 1;
    while (write(ingest->told_fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

static void command_give(struct ingest *ingest, struct command *command) {
    pthread_mutex_lock(&ingest->lock);
    ingest->command = command;
    tell(ingest);
    while (!command->over)
        pthread_cond_wait(&ingest->done, &ingest->lock);
    pthread_mutex_unlock(&ingest->lock);
}

bool ingest_put(struct ingest *ingest, const struct inbound_options *inbound, bool disk,
                const struct ingest_auth *auth, char *why, size_t why_bytes) {
    struct command command = {.kind = COMMAND_PUT,
                              .inbound = inbound,
                              .disk = disk,
                              .auth = auth,
                              .why = why,
                              .why_bytes = why_bytes};
    command_give(ingest, &command);
    return command.good;
}

void ingest_remove(struct ingest *ingest, const char *name) {
    struct command command = {.kind = COMMAND_REMOVE, .name = name};
    command_give(ingest, &command);
}

void ingest_expect(struct ingest *ingest, const char *const *names, size_t count) {
    struct command command = {.kind = COMMAND_EXPECT, .names = names, .count = count};
    command_give(ingest, &command);
}

/* ---- start and stop ---- */

static void *ingest_run(void *user) {
    struct ingest *ingest = user;
    if (event_base_dispatch(ingest->base) < 0)
        logfmt(LOGFMT_ERROR, "HTTP in has stopped", "reason=\"event_base_dispatch failed\"");
    return NULL;
}

/* Paths and queries are decoded where they are understood: a %2F or a %00 in a topic is no end of it. */
static size_t unescape_not(void *user, struct MHD_Connection *connection, char *text) {
    (void)user;
    (void)connection;
    return strlen(text);
}

static bool daemon_open(struct ingest *ingest, int *listener) {
    const struct ingest_options *options = &ingest->options;
    if (evutil_make_socket_nonblocking(*listener) != 0)
        return false;
    ingest->daemon = ingest->httpd->start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, ingest_access, ingest,
        MHD_OPTION_LISTEN_SOCKET, *listener, MHD_OPTION_CONNECTION_LIMIT, (unsigned)options->connections,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)((options->idle_ns + NS_PER_S - 1) / NS_PER_S),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)INGEST_HEADER_BYTES_MAX, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_NOTIFY_COMPLETED, ingest_completed, ingest, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
        ingest, MHD_OPTION_UNESCAPE_CALLBACK, unescape_not, ingest, MHD_OPTION_END);
    if (ingest->daemon == NULL)
        return false;
    *listener = -1;
    const union MHD_DaemonInfo *info =
        ingest->httpd->get_daemon_info(ingest->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    ingest->ready = event_new(ingest->base, info->epoll_fd, EV_READ | EV_PERSIST, on_ready, ingest);
    return ingest->ready != NULL && event_add(ingest->ready, NULL) == 0;
}

static bool loop_open(struct ingest *ingest) {
    ingest->told_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ingest->base = event_base_new();
    if (ingest->told_fd < 0 || ingest->base == NULL)
        return false;
    ingest->told = event_new(ingest->base, ingest->told_fd, EV_READ | EV_PERSIST, on_told, ingest);
    ingest->timer = evtimer_new(ingest->base, on_ready, ingest);
    ingest->tick = evtimer_new(ingest->base, on_tick, ingest);
    return ingest->told != NULL && ingest->timer != NULL && ingest->tick != NULL &&
           event_add(ingest->told, NULL) == 0;
}

static void defaults(struct ingest_options *options) {
    options->body_bytes = options->body_bytes != 0 ? options->body_bytes : INGEST_BODY_BYTES_DEFAULT;
    options->event_bytes = options->event_bytes != 0 ? options->event_bytes : FRAME_BYTES_DEFAULT;
    options->total_bytes = options->total_bytes != 0 ? options->total_bytes : INGEST_TOTAL_BYTES_DEFAULT;
    options->connections = options->connections != 0 ? options->connections : INGEST_CONNECTIONS_DEFAULT;
    options->idle_ns = options->idle_ns != 0 ? options->idle_ns : INGEST_IDLE_NS_DEFAULT;
    options->request_ns = options->request_ns != 0 ? options->request_ns : INGEST_REQUEST_NS_DEFAULT;
    options->answer_ns = options->answer_ns != 0 ? options->answer_ns : INGEST_ANSWER_NS_DEFAULT;
}

/* Everything is at rest: its thread has ended, or never began. */
static void ingest_free(struct ingest *ingest) {
    if (ingest->daemon != NULL) {
        while (!list_empty(&ingest->waiting)) {
            struct ingest_request *request = LIST_OF(ingest->waiting.next, struct ingest_request, node);
            list_remove(&request->node);
            ingest->httpd->resume_connection(request->connection);
        }
        ingest->httpd->stop_daemon(ingest->daemon);
    }
    while (!list_empty(&ingest->doors))
        door_remove(ingest, LIST_OF(ingest->doors.next, struct door, node)->name);
    doors_forget(ingest);
    outlet_close(&ingest->routed);
    outlet_close(&ingest->disk);
    batches_free(ingest);
    struct event *events[] = {ingest->ready, ingest->timer, ingest->tick, ingest->told};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        if (events[i] != NULL)
            event_free(events[i]);
    if (ingest->base != NULL)
        event_base_free(ingest->base);
    if (ingest->told_fd >= 0)
        close(ingest->told_fd);
    auth_close(&ingest->auth);
    pthread_mutex_destroy(&ingest->lock);
    pthread_cond_destroy(&ingest->done);
    free(ingest->server);
    free(ingest);
}

static struct ingest *ingest_new(const struct ingest_options *options) {
    struct ingest *ingest = calloc(1, sizeof *ingest);
    if (ingest == NULL)
        return NULL;
    ingest->options = *options;
    defaults(&ingest->options);
    ingest->counters = options->counters != NULL ? options->counters : &ingest->uncounted;
    ingest->told_fd = -1;
    struct list *lists[] = {&ingest->clients, &ingest->waiting,      &ingest->doors,
                            &ingest->batches, &ingest->disk.blocked, &ingest->routed.blocked};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        list_init(lists[i]);
    pthread_mutex_init(&ingest->lock, NULL);
    pthread_cond_init(&ingest->done, NULL);
    ingest->server = strdup(options->server);
    return ingest;
}

struct ingest *ingest_start(const struct ingest_options *options, char *why, size_t why_bytes) {
    int listener = options->listener;
    struct ingest *ingest = ingest_new(options);
    (void)snprintf(why, why_bytes, "memory or descriptors are missing");
    if (ingest != NULL && ingest->server != NULL && (ingest->httpd = httpd_load(why, why_bytes)) != NULL &&
        auth_open(&ingest->auth, "ingest", options->auth, why, why_bytes) && loop_open(ingest) &&
        outlet_open(&ingest->routed, ingest, false, why, why_bytes) &&
        (!options->journal || outlet_open(&ingest->disk, ingest, true, why, why_bytes)) &&
        daemon_open(ingest, &listener) && thread_start(&ingest->thread, "rh-ingest", ingest_run, ingest) == 0)
        return ingest;
    if (ingest != NULL)
        ingest_free(ingest);
    if (listener >= 0)
        close(listener);
    return NULL;
}

void ingest_stop(struct ingest *ingest) {
    if (ingest == NULL)
        return;
    pthread_mutex_lock(&ingest->lock);
    ingest->stopping = true;
    pthread_mutex_unlock(&ingest->lock);
    tell(ingest);
    pthread_join(ingest->thread, NULL);
    ingest_free(ingest);
}
