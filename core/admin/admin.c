#include "core/admin/admin.h"

#include "core/admin/admin_private.h"
#include "core/admin/trace.h"
#include "core/admin/find.h"
#include "core/admin/graph.h"
#include "core/admin/streams.h"
#include "core/base/logfmt.h"
#include "core/base/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void on_stop(evutil_socket_t fd, short what, void *arg) {
    static const struct timeval moment = {.tv_usec = 50 * 1000};
    struct admin *admin = arg;
    uint64_t count;
    (void)what;
    (void)!read(fd, &count, sizeof count);
    if (streams_end(admin->streams))
        event_base_loopexit(admin->base, &moment);
    else
        event_base_loopbreak(admin->base);
}

static void *admin_run(void *arg) {
    struct admin *admin = arg;
    clients_thread(admin);
    if (event_base_dispatch(admin->base) < 0)
        logfmt(LOGFMT_ERROR, "the admin plane has stopped", "reason=\"event_base_dispatch failed\"");
    return NULL;
}

/* Everything that is answered itself, 405 too; else evhttp says 501 for what it does not know to be allowed.
 */
#define METHODS_ALL                                                                                          \
    (EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |               \
     EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH)

static int http_open(struct admin *admin, int *listener) {
    admin->http = evhttp_new(admin->base);
    if (!admin->http)
        return -ENOMEM;
    evhttp_set_max_headers_size(admin->http, ADMIN_HEADER_BYTES_MAX);
    evhttp_set_max_body_size(admin->http, ADMIN_BODY_BYTES_READ);
    evhttp_set_timeout(admin->http, ADMIN_REQUEST_NS_MAX / NS_PER_S);
    evhttp_set_allowed_methods(admin->http, METHODS_ALL);
    evhttp_set_bevcb(admin->http, clients_connection, admin);
    evhttp_set_gencb(admin->http, api_request, admin);
    struct evhttp_bound_socket *bound = evhttp_accept_socket_with_handle(admin->http, *listener);
    if (!bound)
        return -ENOMEM;
    *listener = -1; /* evhttp closes it */
    admin->listener = evhttp_bound_socket_get_listener(bound);
    evconnlistener_set_error_cb(admin->listener, clients_accept_error);
    return 0;
}

static void on_watch(evutil_socket_t fd, short what, void *arg) {
    const struct admin_watch *watch = arg;
    (void)fd;
    (void)what;
    watch->ready(watch->user);
}

static int watch_open(struct admin *admin) {
    const struct admin_watch *watch = admin->config.watch;
    if (!watch)
        return 0;
    admin->watch =
        event_new(admin->base, watch->fd, EV_READ | EV_PERSIST, on_watch, (void *)(uintptr_t)watch);
    return admin->watch && event_add(admin->watch, NULL) == 0 ? 0 : -ENOMEM;
}

static int events_open(struct admin *admin) {
    admin->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    admin->answers = admin->stop_fd >= 0 ? api_answers_new() : NULL;
    if (!admin->answers)
        return -errno;
    admin->base = event_base_new();
    if (!admin->base)
        return -ENOMEM;
    admin->stop = event_new(admin->base, admin->stop_fd, EV_READ | EV_PERSIST, on_stop, admin);
    admin->streams = streams_new(admin);
    admin->tick = evtimer_new(admin->base, clients_tick, admin);
    admin->answers_event =
        event_new(admin->base, admin->answers->fd, EV_READ | EV_PERSIST, api_answers_come, admin);
    return admin->streams && admin->stop && admin->tick && admin->answers_event &&
                   event_add(admin->stop, NULL) == 0 && event_add(admin->answers_event, NULL) == 0
               ? watch_open(admin)
               : -ENOMEM;
}

static void admin_free(struct admin *admin) {
    if (admin->http)
        evhttp_free(admin->http);
    admin_traces_free(admin->traces);
    streams_free(admin->streams);
    finds_free(admin->finds);
    graphs_free(admin->graphs);
    clients_free(admin);
    if (admin->answers_event)
        event_free(admin->answers_event);
    if (admin->watch)
        event_free(admin->watch);
    if (admin->stop)
        event_free(admin->stop);
    if (admin->tick)
        event_free(admin->tick);
    if (admin->base)
        event_base_free(admin->base);
    if (admin->stop_fd >= 0)
        close(admin->stop_fd);
    api_answers_close(admin->answers);
    token_wipe(&admin->token);
    free(admin);
}

static int token_open(struct admin *admin) {
    char why[600];
    if (!admin->config.token_file || token_read(&admin->token, admin->config.token_file, why, sizeof why))
        return 0;
    return -EACCES;
}

int admin_start(struct admin **out, const struct admin_config *config, int listener) {
    struct admin *admin = calloc(1, sizeof *admin);
    int result = -ENOMEM;
    *out = NULL;
    if (!admin)
        goto failed;
    admin->config = *config;
    admin->stop_fd = -1;
    result = token_open(admin);
    if (result == 0)
        result = events_open(admin);
    if (result == 0 && evutil_make_socket_nonblocking(listener) != 0)
        result = -errno;
    if (result == 0)
        result = http_open(admin, &listener);
    if (result == 0)
        result = thread_start(&admin->thread, "rh-admin", admin_run, admin);
    if (result == 0) {
        *out = admin;
        return 0;
    }
    admin_free(admin);
failed:
    if (listener >= 0)
        close(listener);
    return result;
}

void admin_stop(struct admin *admin) {
    uint64_t one = 1;
    if (!admin)
        return;
    while (write(admin->stop_fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
    pthread_join(admin->thread, NULL);
    admin_free(admin);
}
