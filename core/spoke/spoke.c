#include "core/spoke/spoke.h"

#include "core/base/limits.h"
#include "core/base/logfmt.h"
#include "core/base/thread.h"
#include "core/bridge/port.h"
#include "core/bridge/transport.h"
#include "core/spoke/jobs.h"
#include "core/spoke/watch.h"
#include "core/transport/tcp.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATTERNS_MORE 1u /* beside outbound.topics */

struct spoke {
    const struct spoke_spec *spec;
    struct spoke_world world;
    struct spoke_counters counters;
    struct inbound_counters *in;
    pthread_t thread;
    struct event_base *base;
    struct event *command, *timer, *hold;
    int command_fd;

    /* What runs; NULL while it waits. */
    struct port *port;
    struct inbound *inbound;
    struct outbound *outbound;
    const struct transport *transport;
    void *carrier; /* of the transport */
    struct jobs *jobs;
    struct watch *watch; /* NULL: no acknowledgements are awaited */
    struct transport_host host;
    union {
        struct directory_options directory;
        struct webhook_options webhook;
        struct tcp_options tcp;
    } options;
    char *state_dir; /* owns */

    bool stopping, failed;
    bool queued;      /* its queue is there */
    bool making;      /* that is all that is done now: the queue is made */
    uint32_t pause_s; /* 0: it has not failed since it ran */
    pthread_mutex_t mutex;
    char error[SPOKE_ERROR_BYTES]; /* under the mutex */
};

/* ---- what others see ---- */

const struct spoke_counters *spoke_counters(const struct spoke *spoke) {
    return &spoke->counters;
}

const char *spoke_state_name(uint64_t state) {
    static const char *const names[] = {"starting", "running", "waiting", "stopping"};
    return names[state];
}

const char *spoke_error(struct spoke *spoke, char out[static SPOKE_ERROR_BYTES]) {
    (void)pthread_mutex_lock(&spoke->mutex);
    memcpy(out, spoke->error, SPOKE_ERROR_BYTES);
    (void)pthread_mutex_unlock(&spoke->mutex);
    return out;
}

static void error_set(struct spoke *spoke, const char *text) {
    (void)pthread_mutex_lock(&spoke->mutex);
    (void)snprintf(spoke->error, sizeof spoke->error, "%s", text);
    (void)pthread_mutex_unlock(&spoke->mutex);
}

static void state_set(struct spoke *spoke, enum spoke_state state) {
    counter_set(&spoke->counters.state, state);
}

/* ---- failing, and trying again ---- */

/* What is published while a spoke waits is kept for it, so it has its queue before it waits. */
static bool queue_missing(const struct spoke *spoke) {
    return spoke_goes_out(spoke->spec) && !spoke->queued && !spoke->making;
}

/* What runs is closed from the loop, as this may be in a callback of it. */
static void spoke_close_soon(struct spoke *spoke) {
    const struct timeval soon = {0};
    spoke->failed = true;
    if (!spoke->stopping)
        (void)evtimer_add(spoke->timer, &soon);
}

/* Told once, until it runs again. */
static void spoke_fail(struct spoke *spoke, const char *text) {
    char quoted[2 * SPOKE_ERROR_BYTES];
    error_set(spoke, text);
    if (spoke->pause_s == 0)
        logfmt(LOGFMT_ERROR, "a spoke can not run, and is tried again", "spoke=%s error=%s",
               spoke->spec->name, logfmt_quote(quoted, sizeof quoted, text, strlen(text)));
    counter_add(&spoke->counters.restarts, 1);
    if (!queue_missing(spoke))
        state_set(spoke, SPOKE_WAITING);
    spoke_close_soon(spoke);
}

/* Whether it is there or refused, the error stays that of the spoke itself. */
static void making_end(struct spoke *spoke) {
    if (spoke->stopping || spoke->failed)
        return;
    state_set(spoke, SPOKE_WAITING);
    spoke_close_soon(spoke);
}

static void on_refused(void *user, const char *text) {
    struct spoke *spoke = user;
    if (spoke->making)
        making_end(spoke);
    else
        spoke_fail(spoke, text);
}

/* All that it needs is there. */
static void spoke_up(struct spoke *spoke) {
    if (spoke->pause_s != 0)
        logfmt(LOGFMT_INFO, "a spoke runs again", "spoke=%s", spoke->spec->name);
    spoke->pause_s = 0;
    error_set(spoke, "");
    state_set(spoke, SPOKE_RUNNING);
}

static void on_joined(void *user) {
    struct spoke *spoke = user;
    spoke->queued = true;
    if (spoke->making)
        making_end(spoke);
    else if (!spoke->stopping && !spoke->failed)
        spoke_up(spoke);
}

/* ---- the way out: event -> documents -> system -> answer ---- */

/* Nobody acknowledges acknowledgements. */
static bool acknowledges(const struct spoke *spoke, const struct outgoing *out) {
    char own[sizeof INBOUND_ACKNOWLEDGEMENT_TOPIC + SPOKE_NAME_BYTES_MAX];
    int length = snprintf(own, sizeof own, INBOUND_ACKNOWLEDGEMENT_TOPIC, spoke->spec->name);
    return out->topic_length == (size_t)length && memcmp(out->topic, own, (size_t)length) == 0;
}

static void deliver(void *user, const struct outgoing *out) {
    struct spoke *spoke = user;
    if (spoke->watch != NULL && !acknowledges(spoke, out))
        watch_hand(spoke->watch, out);
    spoke->transport->deliver(spoke->carrier, out);
}

static void on_idle(void *user) {
    struct spoke *spoke = user;
    if (spoke->stopping)
        (void)event_base_loopbreak(spoke->base);
}

static void on_event(void *user, const struct port_event *event) {
    struct spoke *spoke = user;
    bool runs = !spoke->stopping && !spoke->failed && !spoke->making;
    if (runs) /* else it stays in the queue, for whoever comes next */
        jobs_event(spoke->jobs, event);
}

/* ---- opening ---- */

static bool inbound_here(const struct spoke_spec *spec) {
    return spec->has_in && (spec->transport == SPOKE_DIRECTORY || spec->transport == SPOKE_TCP);
}

static bool state_dir_make(struct spoke *spoke, char *why, size_t why_bytes) {
    if (spoke->world.state_dir == NULL || spoke->state_dir != NULL)
        return true;
    (void)mkdir(spoke->world.state_dir, 0755);
    if (asprintf(&spoke->state_dir, "%s/%s", spoke->world.state_dir, spoke->spec->name) < 0)
        spoke->state_dir = NULL;
    if (spoke->state_dir != NULL && (mkdir(spoke->state_dir, 0755) == 0 || errno == EEXIST))
        return true;
    (void)snprintf(why, why_bytes, "%s can not be made: %s",
                   spoke->state_dir != NULL ? spoke->state_dir : "a directory",
                   spoke->state_dir != NULL ? strerror(errno) : "out of memory");
    free(spoke->state_dir);
    spoke->state_dir = NULL;
    return false;
}

static bool port_open(struct spoke *spoke, char *why, size_t why_bytes) {
    char name[sizeof TCP_OUT_PREFIX + SPOKE_NAME_BYTES_MAX];
    (void)snprintf(name, sizeof name, TCP_OUT_PREFIX "%s", spoke->spec->name);
    struct port_options options = {.base = spoke->base,
                                   .server = spoke->world.server,
                                   .name = name,
                                   .disk = spoke->world.journal,
                                   .send_bytes = port_send_bytes(spoke->world.frame_bytes),
                                   .user = spoke,
                                   .on_event = on_event,
                                   .on_refused = on_refused,
                                   .on_joined = on_joined};
    spoke->port = port_new(&options, why, why_bytes);
    return spoke->port != NULL;
}

static bool inbound_open(struct spoke *spoke, char *why, size_t why_bytes) {
    struct inbound_options options;
    if (!inbound_here(spoke->spec))
        return true;
    spoke_inbound_options(spoke->spec, &options);
    options.base = spoke->base;
    options.port = spoke->port;
    options.counters = spoke->in;
    spoke->inbound = inbound_new(&options, why, why_bytes);
    return spoke->inbound != NULL;
}

static bool outbound_open(struct spoke *spoke, char *why, size_t why_bytes) {
    struct outbound_options options;
    if (!spoke->spec->has_out)
        return true;
    spoke_outbound_options(spoke->spec, &options);
    options.base = spoke->base;
    options.counters = &spoke->counters;
    options.state_dir = spoke->state_dir;
    spoke->outbound = outbound_new(&options, why, why_bytes);
    return spoke->outbound != NULL;
}

/* That it is awaited is written down before its event is answered. */
static void host_done(void *user, uint64_t delivery) {
    struct spoke *spoke = user;
    if (spoke->watch != NULL)
        watch_sent(spoke->watch, delivery);
    jobs_done(spoke->jobs, delivery);
}

static void host_retry(void *user, uint64_t delivery, uint64_t after_ms, const char *reason) {
    struct spoke *spoke = user;
    if (spoke->watch != NULL)
        watch_unsent(spoke->watch, delivery);
    jobs_retry(spoke->jobs, delivery, after_ms, reason);
}

static void host_refuse(void *user, uint64_t delivery, const char *reason) {
    struct spoke *spoke = user;
    if (spoke->watch != NULL)
        watch_unsent(spoke->watch, delivery);
    jobs_refuse(spoke->jobs, delivery, reason);
}

static void host_extend(void *user, uint64_t delivery) {
    jobs_extend(((struct spoke *)user)->jobs, delivery);
}

static const struct transport *transport_choose(struct spoke *spoke) {
    switch (spoke->spec->transport) {
    case SPOKE_DIRECTORY:
        spoke_directory_options(spoke->spec, &spoke->options.directory);
        return &directory_transport;
    case SPOKE_WEBHOOK:
        spoke_webhook_options(spoke->spec, &spoke->options.webhook);
        return &webhook_transport;
    default:
        spoke->options.tcp = (struct tcp_options){.server = spoke->world.server,
                                                  .journal = spoke->world.journal,
                                                  .frame_bytes = spoke->world.frame_bytes};
        return &tcp_transport;
    }
}

static bool transport_open(struct spoke *spoke, char *why, size_t why_bytes) {
    spoke->host = (struct transport_host){.base = spoke->base,
                                          .name = spoke->spec->name,
                                          .state_dir = spoke->state_dir,
                                          .inbound = spoke->inbound,
                                          .user = spoke,
                                          .done = host_done,
                                          .retry = host_retry,
                                          .refuse = host_refuse,
                                          .extend = host_extend};
    spoke->transport = transport_choose(spoke);
    spoke->carrier = spoke->transport->start(&spoke->host, &spoke->options, why, why_bytes);
    return spoke->carrier != NULL;
}

/* A directory that can not be written says nothing about an event. */
static uint32_t attempts_of(const struct spoke_spec *spec) {
    bool given = spec->out.attempts != 0 || spec->transport != SPOKE_DIRECTORY;
    return given ? spec->out.attempts : QUEUE_ATTEMPTS_MAX;
}

static bool queue_join(struct spoke *spoke, uint32_t window, char *why, size_t why_bytes) {
    const struct spoke_spec *spec = spoke->spec;
    char name[sizeof TCP_OUT_PREFIX + SPOKE_NAME_BYTES_MAX], own[sizeof name + 32];
    size_t count = spec->out.topics.count;
    const char **patterns = calloc(count + PATTERNS_MORE, sizeof *patterns);
    if (!spoke_goes_out(spec) || patterns == NULL) {
        free(patterns);
        (void)snprintf(why, why_bytes, "out of memory");
        return !spoke_goes_out(spec);
    }
    for (size_t i = 0; i < count; i++)
        patterns[i] = spec->out.topics.list[i];
    (void)snprintf(name, sizeof name, TCP_OUT_PREFIX "%s", spec->name);
    (void)snprintf(own, sizeof own, "%s.acknowledgement", name);
    if (spec->transport != SPOKE_TCP) /* who subscribes to spoke.NAME.> has it already */
        patterns[count++] = own;
    struct port_queue queue = {.name = name,
                               .patterns = patterns,
                               .patterns_count = count,
                               .is_volatile = !spoke->world.journal,
                               .window = window,
                               .attempts = attempts_of(spec),
                               .lease_ms = spec->out.lease_ns / NS_PER_MS,
                               .key = spec->out.key};
    int result = port_join(spoke->port, &queue);
    if (result != 0)
        (void)snprintf(why, why_bytes, "%s", port_error(spoke->port));
    free(patterns);
    return result == 0;
}

static bool jobs_open(struct spoke *spoke, char *why, size_t why_bytes) {
    uint32_t attempts = attempts_of(spoke->spec);
    struct jobs_options options = {.name = spoke->spec->name,
                                   .port = spoke->port,
                                   .outbound = spoke->outbound,
                                   .counters = &spoke->counters,
                                   .attempts = attempts != 0 ? attempts : QUEUE_ATTEMPTS_DEFAULT,
                                   .user = spoke,
                                   .deliver = deliver,
                                   .on_idle = on_idle};
    spoke->jobs = jobs_new(&options);
    if (spoke->jobs == NULL)
        (void)snprintf(why, why_bytes, "out of memory");
    return spoke->jobs != NULL;
}

/* What is sent from now on can be acknowledged: no acknowledgement goes by. */
static void on_watching(void *user) {
    struct spoke *spoke = user;
    char why[SPOKE_ERROR_BYTES] = "";
    if (!spoke->stopping && !spoke->failed && !queue_join(spoke, spoke->spec->out.window, why, sizeof why))
        spoke_fail(spoke, why);
}

static bool watch_open(struct spoke *spoke, char *why, size_t why_bytes) {
    struct watch_options options = {.base = spoke->base,
                                    .server = spoke->world.server,
                                    .journal = spoke->world.journal,
                                    .name = spoke->spec->name,
                                    .state_dir = spoke->state_dir,
                                    .x12 = spoke_writes_x12(spoke->spec),
                                    .period_ms = spoke->spec->out.await_ns / NS_PER_MS,
                                    .counters = &spoke->counters,
                                    .user = spoke,
                                    .on_refused = on_refused,
                                    .on_joined = on_watching};
    if (!spoke_awaits(spoke->spec))
        return queue_join(spoke, spoke->spec->out.window, why, why_bytes);
    spoke->watch = watch_new(&options, why, why_bytes); /* on_watching goes on */
    return spoke->watch != NULL;
}

static void spoke_open(struct spoke *spoke) {
    char why[SPOKE_ERROR_BYTES] = "";
    spoke->failed = false;
    state_set(spoke, SPOKE_STARTING);
    bool open = state_dir_make(spoke, why, sizeof why) && port_open(spoke, why, sizeof why) &&
                inbound_open(spoke, why, sizeof why) && outbound_open(spoke, why, sizeof why) &&
                jobs_open(spoke, why, sizeof why) && transport_open(spoke, why, sizeof why) &&
                watch_open(spoke, why, sizeof why);
    if (!open) {
        spoke_fail(spoke, why);
        return;
    }
    if (!spoke_goes_out(spoke->spec))
        spoke_up(spoke);
}

/* The transport first: it calls the others. */
static void spoke_close(struct spoke *spoke) {
    if (spoke->carrier != NULL)
        spoke->transport->stop(spoke->carrier);
    outbound_free(spoke->outbound);
    inbound_free(spoke->inbound);
    jobs_free(spoke->jobs);
    watch_free(spoke->watch);
    port_free(spoke->port);
    spoke->carrier = NULL;
    spoke->outbound = NULL;
    spoke->inbound = NULL;
    spoke->jobs = NULL;
    spoke->watch = NULL;
    spoke->port = NULL;
}

/* ---- the thread ---- */

/* Only the queue, by a member that leaves as soon as it is one: none of its events is answered. */
static bool queue_make(struct spoke *spoke) {
    char why[SPOKE_ERROR_BYTES] = "";
    spoke->making = true;
    if (port_open(spoke, why, sizeof why) && queue_join(spoke, 1, why, sizeof why))
        return true;
    state_set(spoke, SPOKE_WAITING);
    port_free(spoke->port);
    spoke->port = NULL;
    return false;
}

/* Closes what has failed, and opens it again after a pause; or the time of a stop is over. */
static void on_timer(evutil_socket_t fd, short what, void *user) {
    struct spoke *spoke = user;
    (void)fd;
    (void)what;
    if (spoke->stopping) {
        (void)event_base_loopbreak(spoke->base);
        return;
    }
    if (spoke->port == NULL && !spoke->failed) {
        spoke_open(spoke);
        return;
    }
    spoke_close(spoke);
    spoke->failed = false;
    if (queue_missing(spoke) && queue_make(spoke))
        return;
    spoke->making = false;
    spoke->pause_s = spoke->pause_s == 0                     ? SPOKE_PAUSE_FIRST
                     : spoke->pause_s < SPOKE_PAUSE_MOST / 2 ? 2 * spoke->pause_s
                                                             : SPOKE_PAUSE_MOST;
    const struct timeval pause = {.tv_sec = (time_t)spoke->pause_s};
    (void)evtimer_add(spoke->timer, &pause);
}

static void on_command(evutil_socket_t fd, short what, void *user) {
    struct spoke *spoke = user;
    const struct timeval most = {.tv_sec = SPOKE_STOP_NS / NS_PER_S};
    eventfd_t value;
    (void)what;
    (void)eventfd_read(fd, &value);
    spoke->stopping = true;
    state_set(spoke, SPOKE_STOPPING);
    if (spoke->jobs == NULL || jobs_in_hand(spoke->jobs) == 0)
        (void)event_base_loopbreak(spoke->base);
    else
        (void)evtimer_add(spoke->timer, &most);
}

static void *spoke_run(void *user) {
    struct spoke *spoke = user;
    spoke_open(spoke);
    if (event_base_dispatch(spoke->base) < 0)
        logfmt(LOGFMT_ERROR, "a spoke has stopped", "spoke=%s error=\"event_base_dispatch failed\"",
               spoke->spec->name);
    if (spoke->port != NULL && !spoke->failed && !spoke->making &&
        !port_flush(spoke->port, SPOKE_STOP_NS / NS_PER_MS))
        logfmt(LOGFMT_WARN,
               "a spoke has stopped before the router had all its answers: some events come twice",
               "spoke=%s", spoke->spec->name);
    if (spoke->watch != NULL && !spoke->failed)
        (void)watch_flush(spoke->watch,
                          SPOKE_STOP_NS / NS_PER_MS); /* else it is told anew, with the same id */
    spoke_close(spoke);
    return NULL;
}

static void on_hold(evutil_socket_t fd, short what, void *user) {
    struct spoke *spoke = user;
    (void)fd;
    (void)what;
    if (spoke->jobs != NULL)
        jobs_hold(spoke->jobs);
}

/* A third of a lease. */
static struct timeval hold_period(const struct spoke_spec *spec) {
    uint64_t lease_ns = spec->out.lease_ns != 0 ? spec->out.lease_ns : QUEUE_LEASE_NS_DEFAULT;
    return (struct timeval){.tv_sec = (time_t)(lease_ns / 3 / NS_PER_S),
                            .tv_usec = (suseconds_t)(lease_ns / 3 % NS_PER_S / NS_PER_US)};
}

static bool events_open(struct spoke *spoke) {
    spoke->command_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    spoke->base = spoke->command_fd >= 0 ? event_base_new() : NULL;
    if (spoke->base == NULL)
        return false;
    spoke->command = event_new(spoke->base, spoke->command_fd, EV_READ | EV_PERSIST, on_command, spoke);
    spoke->timer = evtimer_new(spoke->base, on_timer, spoke);
    spoke->hold = event_new(spoke->base, -1, EV_PERSIST, on_hold, spoke);
    struct timeval period = hold_period(spoke->spec);
    return spoke->command != NULL && spoke->timer != NULL && spoke->hold != NULL &&
           event_add(spoke->command, NULL) == 0 && event_add(spoke->hold, &period) == 0;
}

void spoke_free(struct spoke *spoke) {
    if (spoke->command != NULL)
        event_free(spoke->command);
    if (spoke->timer != NULL)
        event_free(spoke->timer);
    if (spoke->hold != NULL)
        event_free(spoke->hold);
    if (spoke->base != NULL)
        event_base_free(spoke->base);
    if (spoke->command_fd >= 0)
        (void)close(spoke->command_fd);
    (void)pthread_mutex_destroy(&spoke->mutex);
    free(spoke->state_dir);
    free(spoke);
}

struct spoke *spoke_start(const struct spoke_spec *spec, const struct spoke_world *world,
                          struct inbound_counters *in) {
    struct spoke *spoke = calloc(1, sizeof *spoke);
    if (spoke == NULL)
        return NULL;
    spoke->spec = spec;
    spoke->world = *world;
    spoke->in = in;
    spoke->command_fd = -1;
    (void)pthread_mutex_init(&spoke->mutex, NULL);
    char name[16];
    (void)snprintf(name, sizeof name, "rh-%.12s", spec->name);
    int result = events_open(spoke) ? thread_start(&spoke->thread, name, spoke_run, spoke) : -ENOMEM;
    if (result == 0)
        return spoke;
    spoke_free(spoke);
    errno = -result;
    return NULL;
}

void spoke_stop(struct spoke *spoke) {
    (void)eventfd_write(spoke->command_fd, 1);
}

void spoke_join(struct spoke *spoke) {
    (void)pthread_join(spoke->thread, NULL);
}
