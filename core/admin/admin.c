#include "core/admin/admin.h"

#include "core/admin/metrics.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/logfmt.h"
#include "rh_build.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define HTTP_UNPROCESSABLE 422

/* How often open connections are looked at; only while there are some. */
#define TICK_MS 50

/* evhttp tells nobody when it lets go of a connection, and bounds neither their number nor their whole time.
 * So each connection's bufferevent is counted once more here: when evhttp has freed its own share, the
 * callbacks are gone, and clients_sweep sees that. Such a bufferevent still watches the number of a
 * descriptor that is closed: it has to be gone before the next connection may get the same number, or it
 * would take that one's bytes. */
struct admin_client {
    struct bufferevent *bev; /* counted; NULL = free */
    uint64_t deadline_ns;
    bool cut;
};

/* A request whose answer comes from another thread. */
struct admin_answer {
    struct admin *admin;
    struct admin_answer *next;      /* under the mutex, once it has come */
    struct evhttp_request *request; /* NULL: its connection is gone */
    bool applied;
    char *json; /* owns; NULL: no memory */
};

struct admin {
    struct admin_config config;
    struct event_base *base;
    struct evhttp *http;
    struct evconnlistener *listener; /* owned by http */
    struct event *stop;
    struct event *tick;
    int stop_fd;
    int answers_fd;
    struct event *answers_event;
    pthread_mutex_t answers_mutex;
    struct admin_answer *answers; /* that have come */
    pthread_t thread;
    struct admin_client clients[ADMIN_CONNECTIONS_MAX];
    struct metrics_admin counters;
};

/* ---- connections ---- */

static void tick_arm(struct admin *admin) {
    const struct timeval time = {.tv_usec = TICK_MS * 1000};
    if (!evtimer_pending(admin->tick, NULL))
        evtimer_add(admin->tick, &time);
}

static bool client_gone(const struct admin_client *client) {
    bufferevent_data_cb read = NULL, write = NULL;
    bufferevent_event_cb event = NULL;
    void *owner = NULL;
    bufferevent_getcb(client->bev, &read, &write, &event, &owner);
    return !read && !write && !event && !owner;
}

static void client_release(struct admin *admin, struct admin_client *client) {
    bufferevent_decref(client->bev);
    *client = (struct admin_client){0};
    admin->counters.connections--;
}

/* evhttp sees the end of its stream and frees the connection. */
static void client_cut(struct admin *admin, struct admin_client *client) {
    int fd = bufferevent_getfd(client->bev);
    client->cut = true;
    admin->counters.timeouts++;
    if (fd >= 0)
        shutdown(fd, SHUT_RDWR);
}

/* The listener's own argument belongs to evhttp, so its error callback finds the admin plane by the thread.
 */
static _Thread_local struct admin *admin_of_thread;

/* evhttp bounds headers, but keeps what comes while it looks for the end of a chunk's length, and searches it
 * again and again. (A high water mark is no way out: evhttp would be called for it without end.) */
static void on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg) {
    struct admin_client *client = arg;
    (void)info;
    if (evbuffer_get_length(input) <= 2 * ADMIN_HEADER_BYTES_MAX)
        return;
    if (!client->cut)
        client_cut(admin_of_thread, client);
    evbuffer_drain(input, evbuffer_get_length(input));
}

/* Those that evhttp has let go are released, those whose time is over are cut. */
static void clients_sweep(struct admin *admin) {
    uint64_t now = clock_mono_ns();
    for (uint32_t i = 0; i < ADMIN_CONNECTIONS_MAX; i++) {
        struct admin_client *client = &admin->clients[i];
        if (client->bev && client_gone(client))
            client_release(admin, client);
        else if (client->bev && !client->cut && now >= client->deadline_ns)
            client_cut(admin, client);
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg) {
    struct admin *admin = arg;
    (void)fd;
    (void)what;
    clients_sweep(admin);
    if (admin->counters.connections < ADMIN_CONNECTIONS_MAX)
        evconnlistener_enable(admin->listener);
    if (admin->counters.connections > 0)
        tick_arm(admin);
}

/* evhttp asks for the bufferevent of a connection that it has just accepted, and gives it the descriptor
 * after this. */
static struct bufferevent *on_connection(struct event_base *base, void *arg) {
    struct admin *admin = arg;
    struct admin_client *client = admin->clients;
    clients_sweep(admin);
    while (client->bev)
        client++;
    struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);
    if (!bev || !evbuffer_add_cb(bufferevent_get_input(bev), on_input, client)) {
        if (bev)
            bufferevent_free(bev);
        return NULL;
    }
    bufferevent_incref(bev);
    *client = (struct admin_client){.bev = bev, .deadline_ns = clock_mono_ns() + ADMIN_REQUEST_NS_MAX};
    if (++admin->counters.connections == ADMIN_CONNECTIONS_MAX)
        evconnlistener_disable(admin->listener);
    tick_arm(admin);
    return bev;
}

/* Mostly EMFILE: the listener stays readable, so it rests until the next tick. */
static void on_accept_error(struct evconnlistener *listener, void *evhttp) {
    struct admin *admin = admin_of_thread;
    (void)evhttp;
    admin->counters.accept_errors++;
    evconnlistener_disable(listener);
    tick_arm(admin);
}

/* ---- requests ---- */

static void reply(struct evhttp_request *request, int code, const char *type, struct evbuffer *body) {
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    char length[24];
    snprintf(length, sizeof length, "%zu", evbuffer_get_length(body));
    evhttp_add_header(headers, "Content-Type", type);
    evhttp_add_header(headers, "Content-Length", length);
    evhttp_add_header(headers, "Cache-Control", "no-store");
    evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    /* One request per connection: what is open is then bounded in number and in time. Whoever asked for more
     * must not be told both. */
    evhttp_remove_header(evhttp_request_get_input_headers(request), "Connection");
    evhttp_add_header(headers, "Connection", "close");
    if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD)
        evbuffer_drain(body, evbuffer_get_length(body));
    evhttp_send_reply(request, code, NULL, body);
}

static void reply_text(struct evhttp_request *request, int code, const char *text) {
    struct evbuffer *body = evbuffer_new();
    if (!body || evbuffer_add_printf(body, "%s\n", text) < 0)
        evhttp_send_error(request, HTTP_SERVUNAVAIL, NULL);
    else
        reply(request, code, "text/plain; charset=utf-8", body);
    if (body)
        evbuffer_free(body);
}

static void on_health(struct admin *admin, struct evhttp_request *request) {
    (void)admin;
    reply_text(request, HTTP_OK, "healthy");
}

static void on_ready(struct admin *admin, struct evhttp_request *request) {
    if (shards_stopping(admin->config.shards))
        reply_text(request, HTTP_SERVUNAVAIL, "stopping: no new clients are accepted");
    else
        reply_text(request, HTTP_OK, "ready");
}

static void shard_view(const struct admin *admin, uint32_t number, struct metrics_shard *shard) {
    const struct log *log = shards_log(admin->config.shards, number);
    struct shards_wakes wakes = shards_wakes(admin->config.shards, number);
    *shard = (struct metrics_shard){
        .stats = shards_worker_stats(admin->config.shards, number),
        .io = shards_io_counters(admin->config.shards, number),
        .log = log_counters(log),
        .log_oldest = log_oldest(log), /* before `produced`, which never stands below it */
        .log_data_bytes = log_data_bytes(log),
        .log_records = log_records(log),
        .wakes_sent = wakes.sent,
        .wakes_elided = wakes.elided,
    };
    shard->log_visible = log_visible(log);
    shard->log_produced = log_produced(log);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        shard->slots += admin->config.slots[slot] == number;
}

static void disk_view(const struct admin *admin, uint32_t number, struct metrics_disk *disk) {
    const struct shards *shards = admin->config.shards;
    const struct log *log = shards_log(shards, shards_count(shards) + number);
    *disk = (struct metrics_disk){.log = log_counters(log),
                                  .journal = journal_counters(admin->config.journal, number),
                                  .number = log_number(log),
                                  .log_oldest = log_oldest(log)};
    disk->log_visible = log_visible(log);
    disk->log_produced = log_produced(log);
}

static void on_metrics(struct admin *admin, struct evhttp_request *request) {
    struct metrics_view view = {.shards_count = shards_count(admin->config.shards),
                                .admin = admin->counters,
                                .io_body = io_body_name(admin->config.body),
                                .version = RH_VERSION,
                                .commit = RH_COMMIT,
                                .stopping = shards_stopping(admin->config.shards)};
    struct evbuffer *body = evbuffer_new();
    for (uint32_t shard = 0; shard < view.shards_count; shard++)
        shard_view(admin, shard, &view.shards[shard]);
    if (admin->config.journal != NULL)
        view.disks_count = shards_log_count(admin->config.shards) - view.shards_count;
    for (uint32_t disk = 0; disk < view.disks_count; disk++)
        disk_view(admin, disk, &view.disks[disk]);
    struct metrics_spoke *spokes = NULL;
    if (admin->config.spokes)
        view.spokes_count = admin->config.spokes->numbers(admin->config.spokes->user, &spokes);
    view.spokes = spokes;
    metrics_process_read(&view.process, admin->config.started_wall_ns);
    if (body && metrics_write(body, &view))
        reply(request, HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", body);
    else
        evhttp_send_error(request, HTTP_SERVUNAVAIL, NULL);
    if (body)
        evbuffer_free(body);
    free(spokes);
}

static void on_list(struct admin *admin, struct evhttp_request *request) {
    char text[600];
    snprintf(text, sizeof text,
             "roundhouse " RH_VERSION " (commit " RH_COMMIT ")\n"
             "shards %u, io %s (%.200s)\n\n"
             "/healthz  200 while the process lives\n"
             "/readyz   200 while clients are accepted, 503 while it stops\n"
             "/metrics  Prometheus text format%s",
             shards_count(admin->config.shards), io_body_name(admin->config.body),
             admin->config.io_reason ? admin->config.io_reason : "",
             admin->config.spokes ? "\n/v1/spokes        what is connected, as JSON"
                                    "\n/v1/spokes/apply  POST: their files are read again"
                                  : "");
    reply_text(request, HTTP_OK, text);
}

/* ---- spokes ---- */

static void reply_json(struct evhttp_request *request, int code, const char *text) {
    struct evbuffer *body = evbuffer_new();
    if (!body || !text || evbuffer_add_printf(body, "%s\n", text) < 0)
        evhttp_send_error(request, HTTP_SERVUNAVAIL, NULL);
    else
        reply(request, code, "application/json", body);
    if (body)
        evbuffer_free(body);
}

static void on_spokes(struct admin *admin, struct evhttp_request *request) {
    if (!admin->config.spokes) {
        reply_text(request, HTTP_NOTFOUND,
                   "this router has no spokes; it is started with a directory of them");
        return;
    }
    char *text = admin->config.spokes->list(admin->config.spokes->user);
    reply_json(request, HTTP_OK, text);
    free(text);
}

/* On the thread of whoever has applied the files. */
static void on_applied(void *user, bool applied, const char *json) {
    struct admin_answer *answer = user;
    struct admin *admin = answer->admin;
    uint64_t one = 1;
    answer->applied = applied;
    answer->json = strdup(json);
    pthread_mutex_lock(&admin->answers_mutex);
    answer->next = admin->answers;
    admin->answers = answer;
    pthread_mutex_unlock(&admin->answers_mutex);
    while (write(admin->answers_fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

static struct admin_answer *answers_take(struct admin *admin) {
    pthread_mutex_lock(&admin->answers_mutex);
    struct admin_answer *answers = admin->answers;
    admin->answers = NULL;
    pthread_mutex_unlock(&admin->answers_mutex);
    return answers;
}

static void answer_free(struct admin_answer *answer) {
    free(answer->json);
    free(answer);
}

static void on_answers(evutil_socket_t fd, short what, void *arg) {
    struct admin *admin = arg;
    uint64_t count;
    (void)what;
    while (read(fd, &count, sizeof count) < 0 && errno == EINTR)
        continue;
    for (struct admin_answer *answer = answers_take(admin), *next; answer; answer = next) {
        next = answer->next;
        if (answer->request) {
            evhttp_connection_set_closecb(evhttp_request_get_connection(answer->request), NULL, NULL);
            reply_json(answer->request, answer->applied ? HTTP_OK : HTTP_UNPROCESSABLE, answer->json);
        }
        answer_free(answer);
    }
}

static void on_asker_gone(struct evhttp_connection *connection, void *arg) {
    struct admin_answer *answer = arg;
    (void)connection;
    answer->request = NULL;
}

/* Whoever waits for others is not cut after the time of a usual request. */
static void client_patient(struct admin *admin, struct evhttp_connection *connection) {
    const struct bufferevent *bev = evhttp_connection_get_bufferevent(connection);
    for (uint32_t i = 0; i < ADMIN_CONNECTIONS_MAX; i++)
        if (bev && admin->clients[i].bev == bev)
            admin->clients[i].deadline_ns = clock_mono_ns() + ADMIN_APPLY_NS_MAX;
}

static void on_apply(struct admin *admin, struct evhttp_request *request) {
    const struct admin_spokes *spokes = admin->config.spokes;
    struct admin_answer *answer = spokes ? calloc(1, sizeof *answer) : NULL;
    if (!spokes) {
        on_spokes(admin, request);
        return;
    }
    if (answer) {
        *answer = (struct admin_answer){.admin = admin, .request = request};
        evhttp_connection_set_closecb(evhttp_request_get_connection(request), on_asker_gone, answer);
        client_patient(admin, evhttp_request_get_connection(request));
        if (spokes->apply(spokes->user, on_applied, answer))
            return;
        evhttp_connection_set_closecb(evhttp_request_get_connection(request), NULL, NULL);
        answer_free(answer);
    }
    reply_text(request, HTTP_SERVUNAVAIL, "not now: the router is stopping");
}

static const struct {
    const char *path;
    void (*answer)(struct admin *admin, struct evhttp_request *request);
    bool post;
} pages[] = {
    {"/", on_list, false},           {"/healthz", on_health, false},   {"/readyz", on_ready, false},
    {"/metrics", on_metrics, false}, {"/v1/spokes", on_spokes, false}, {"/v1/spokes/apply", on_apply, true}};

static void refuse_method(struct evhttp_request *request, const char *allow, const char *text) {
    evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", allow);
    reply_text(request, HTTP_BADMETHOD, text);
}

/* A request with a body does not come here: evhttp has answered 413. */
static void on_request(struct evhttp_request *request, void *arg) {
    struct admin *admin = arg;
    enum evhttp_cmd_type method = evhttp_request_get_command(request);
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
    admin->counters.requests++;
    bool get = method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD;
    for (size_t i = 0; path && i < sizeof pages / sizeof pages[0]; i++) {
        if (strcmp(pages[i].path, path) != 0)
            continue;
        if (pages[i].post ? method == EVHTTP_REQ_POST : get)
            pages[i].answer(admin, request);
        else if (pages[i].post)
            refuse_method(request, "POST", "only POST is answered here");
        else
            refuse_method(request, "GET, HEAD", "only GET and HEAD are answered here");
        return;
    }
    if (!get) {
        refuse_method(request, "GET, HEAD", "only GET and HEAD are answered here");
        return;
    }
    reply_text(request, HTTP_NOTFOUND, "there is no such page; / lists them");
}

/* ---- start and stop ---- */

static void on_stop(evutil_socket_t fd, short what, void *arg) {
    struct admin *admin = arg;
    (void)fd;
    (void)what;
    event_base_loopbreak(admin->base);
}

static void *admin_run(void *arg) {
    struct admin *admin = arg;
    admin_of_thread = admin;
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
    evhttp_set_max_body_size(admin->http, 0);
    evhttp_set_timeout(admin->http, ADMIN_REQUEST_NS_MAX / NS_PER_S);
    evhttp_set_allowed_methods(admin->http, METHODS_ALL);
    evhttp_set_bevcb(admin->http, on_connection, admin);
    evhttp_set_gencb(admin->http, on_request, admin);
    struct evhttp_bound_socket *bound = evhttp_accept_socket_with_handle(admin->http, *listener);
    if (!bound)
        return -ENOMEM;
    *listener = -1; /* evhttp closes it */
    admin->listener = evhttp_bound_socket_get_listener(bound);
    evconnlistener_set_error_cb(admin->listener, on_accept_error);
    return 0;
}

static int events_open(struct admin *admin) {
    admin->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    admin->answers_fd = admin->stop_fd >= 0 ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
    if (admin->answers_fd < 0)
        return -errno;
    admin->base = event_base_new();
    if (!admin->base)
        return -ENOMEM;
    admin->stop = event_new(admin->base, admin->stop_fd, EV_READ | EV_PERSIST, on_stop, admin);
    admin->tick = evtimer_new(admin->base, on_tick, admin);
    admin->answers_event = event_new(admin->base, admin->answers_fd, EV_READ | EV_PERSIST, on_answers, admin);
    return admin->stop && admin->tick && admin->answers_event && event_add(admin->stop, NULL) == 0 &&
                   event_add(admin->answers_event, NULL) == 0
               ? 0
               : -ENOMEM;
}

/* Signals are for the main thread; SIGPIPE of a reader that left is for nobody. */
static int thread_start(struct admin *admin) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&admin->thread, NULL, admin_run, admin);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0)
        pthread_setname_np(admin->thread, "rh-admin");
    return -error;
}

static void admin_free(struct admin *admin) {
    if (admin->http)
        evhttp_free(admin->http);
    for (uint32_t i = 0; i < ADMIN_CONNECTIONS_MAX; i++)
        if (admin->clients[i].bev)
            client_release(admin, &admin->clients[i]);
    for (struct admin_answer *answer = answers_take(admin), *next; answer; answer = next) {
        next = answer->next;
        answer_free(answer);
    }
    pthread_mutex_destroy(&admin->answers_mutex);
    if (admin->answers_event)
        event_free(admin->answers_event);
    if (admin->stop)
        event_free(admin->stop);
    if (admin->tick)
        event_free(admin->tick);
    if (admin->base)
        event_base_free(admin->base);
    if (admin->stop_fd >= 0)
        close(admin->stop_fd);
    if (admin->answers_fd >= 0)
        close(admin->answers_fd);
    free(admin);
}

int admin_start(struct admin **out, const struct admin_config *config, int listener) {
    struct admin *admin = calloc(1, sizeof *admin);
    int result = -ENOMEM;
    *out = NULL;
    if (!admin)
        goto failed;
    admin->config = *config;
    admin->stop_fd = admin->answers_fd = -1;
    pthread_mutex_init(&admin->answers_mutex, NULL);
    result = events_open(admin);
    if (result == 0 && evutil_make_socket_nonblocking(listener) != 0)
        result = -errno;
    if (result == 0)
        result = http_open(admin, &listener);
    if (result == 0)
        result = thread_start(admin);
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
