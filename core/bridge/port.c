#include "core/bridge/port.h"

#include "core/base/error.h"
#include "core/bridge/classes.h"

#include <errno.h>
#include <event2/event.h>
#include <roundhouse/client.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT_WINDOW_DEFAULT 256u
#define PORT_WAITING_FIRST  64u /* a power of two, as all that follow */

/* What was published on a line and is not settled. */
struct waiting {
    port_on_settled *told; /* NULL: it has been told */
    void *user;
    uint64_t tag;
    bool probe; /* it is port->probe */
};

/* One connection. Ordinals of what is published on it follow each other: the first that waits is `first`. */
struct line {
    struct port *port;
    rh_client *client;
    struct event *ready, *timer;
    struct waiting *ring; /* owns; a power of two of them */
    size_t capacity, count;
    uint64_t first;
    int fatal; /* enum rh_code of the error that ended it */
    bool woken, inside;
};

/* An answer that found no room. */
struct answer {
    enum { ANSWER_DONE, ANSWER_RETRY, ANSWER_REFUSE, ANSWER_EXTEND } kind;
    uint64_t delivery, after_ms;
    char *reason; /* owns; NULL: none */
};

/* The first event of a topic of which nobody knows whether the router keeps it on disk. */
struct probe {
    char *topic; /* owns; NULL: there is none */
    size_t topic_length;
    uint8_t *event; /* owns */
    size_t event_length;
    port_on_settled *told;
    void *user;
    uint64_t tag;
    bool turned_down; /* the topic is kept in memory: it is to be published over the other line */
};

struct port {
    struct line routed; /* the queue, and what counts when it is routed */
    struct line disk;   /* what counts when it is on disk; its client may be NULL */
    void *user;
    void (*on_event)(void *user, const struct port_event *event);
    void (*on_refused)(void *user, const char *text);
    void (*on_joined)(void *user);
    void (*on_publish)(void *user, const char *topic, size_t topic_length, const uint8_t *event,
                       size_t event_length);
    bool trial;           /* there is no router */
    int64_t subscription; /* 0: no queue */
    bool refused;         /* and told */
    bool over;            /* a line is over for good: nothing is published any more */
    struct classes topics;
    struct probe probe;
    struct answer *answers; /* owns; in the order of their sending */
    size_t answers_count, answers_capacity;
    void (*on_room)(void *user);
    void *room_user;
    bool roomy;   /* on_room is due */
    uint64_t tag; /* of what is told now */
    char error[256];
};

static void port_run(struct line *line);

/* ---- the loop ---- */

/* The client works at the end of this turn of the loop: what is published in one turn goes out together. */
static void line_wake(struct line *line) {
    if (line->woken || line->inside || line->client == NULL)
        return;
    line->woken = true;
    event_active(line->timer, EV_TIMEOUT, 1);
}

static void on_ready(evutil_socket_t fd, short what, void *user) {
    (void)fd;
    (void)what;
    port_run(user);
}

static void line_arm(struct line *line) {
    int ms = line->client != NULL ? rh_timeout_ms(line->client) : -1;
    struct timeval after = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    if (ms < 0)
        (void)evtimer_del(line->timer);
    else
        (void)evtimer_add(line->timer, &after);
}

/* ---- what waits to be settled ---- */

static struct waiting *line_waiting(struct line *line, size_t index) {
    return &line->ring[(line->first + index) & (line->capacity - 1)];
}

static bool line_reserve(struct line *line) {
    if (line->count < line->capacity)
        return true;
    size_t capacity = line->capacity != 0 ? 2 * line->capacity : PORT_WAITING_FIRST;
    struct waiting *ring = calloc(capacity, sizeof *ring);
    if (ring == NULL)
        return false;
    for (size_t i = 0; i < line->count; i++)
        ring[(line->first + i) & (capacity - 1)] = *line_waiting(line, i);
    free(line->ring);
    line->ring = ring;
    line->capacity = capacity;
    return true;
}

/* 0, or what port_publish says. */
static int line_publish(struct line *line, const char *topic, size_t topic_length, const uint8_t *event,
                        size_t event_length, struct waiting waiting) {
    if (!line_reserve(line))
        return -ENOMEM;
    int64_t ordinal = rh_publish(line->client, topic, topic_length, event, event_length);
    if (ordinal == RH_FULL)
        return -EAGAIN;
    if (ordinal == RH_NO_MEMORY)
        return -ENOMEM;
    if (ordinal < 0) {
        (void)snprintf(line->port->error, sizeof line->port->error, "%s", rh_client_error(line->client));
        return ordinal == RH_INVALID ? -EINVAL : -ENOTCONN;
    }
    if (line->count == 0)
        line->first = (uint64_t)ordinal;
    CHECK((uint64_t)ordinal == line->first + line->count);
    *line_waiting(line, line->count++) = waiting;
    line_wake(line);
    return 0;
}

static void probe_end(struct port *port) {
    free(port->probe.topic);
    free(port->probe.event);
    port->probe = (struct probe){0};
    port->roomy = true;
}

/* Publishes what the disk turned down over the other line, as soon as there is room. */
static void probe_again(struct port *port) {
    struct probe *probe = &port->probe;
    if (!probe->turned_down)
        return;
    struct waiting waiting = {.told = probe->told, .user = probe->user, .tag = probe->tag};
    int result = line_publish(&port->routed, probe->topic, probe->topic_length, probe->event,
                              probe->event_length, waiting);
    if (result == -EAGAIN)
        return;
    port_on_settled *told = probe->told;
    void *user = probe->user;
    if (result == 0)
        classes_learn(&port->topics, probe->topic, probe->topic_length, CLASS_MEMORY);
    port->tag = probe->tag;
    probe_end(port);
    if (result != 0 && told != NULL)
        told(user, RH_CODE_UNAVAILABLE, result == -ENOMEM ? "out of memory" : port->error);
}

/* The probe is settled, and says what its topic is. False: its end is yet to come. */
static bool probe_settled(struct port *port, int code, const char *field) {
    struct probe *probe = &port->probe;
    if (code == RH_CODE_INVALID && strcmp(field, "topic") == 0) {
        probe->turned_down = true;
        probe_again(port);
        return false;
    }
    if (code == RH_CODE_NONE)
        classes_learn(&port->topics, probe->topic, probe->topic_length, CLASS_DISK);
    probe_end(port);
    return true;
}

static void waiting_settle(struct line *line, struct waiting *waiting, int code, const char *text,
                           const char *field) {
    struct waiting settled = *waiting;
    waiting->told = NULL;
    waiting->probe = false;
    if (settled.probe && !probe_settled(line->port, code, field))
        return;
    line->port->tag = settled.tag;
    if (settled.told != NULL)
        settled.told(settled.user, code, text);
}

static void on_ack(void *user, const rh_ack *ack) {
    struct line *line = user;
    for (size_t i = 0; i < ack->refused_count; i++) {
        const struct rh_refusal *refusal = &ack->refused[i];
        if (refusal->ordinal >= line->first && refusal->ordinal - line->first < line->count)
            waiting_settle(line, line_waiting(line, refusal->ordinal - line->first), refusal->code,
                           refusal->text, refusal->field);
    }
    while (line->count > 0 && line->first <= ack->through) {
        struct waiting waiting = *line_waiting(line, 0);
        line->first++;
        line->count--;
        waiting_settle(line, &waiting, RH_CODE_NONE, "", "");
    }
}

static void on_writable(void *user) {
    struct line *line = user;
    line->port->roomy = true;
}

/* ---- answers ---- */

static int answer_try(struct port *port, const struct answer *answer) {
    rh_client *client = port->routed.client;
    uint64_t subscription = (uint64_t)port->subscription;
    switch (answer->kind) {
    case ANSWER_DONE:
        return rh_ack_done(client, subscription, answer->delivery);
    case ANSWER_RETRY:
        return rh_ack_retry(client, subscription, answer->delivery, answer->after_ms, answer->reason);
    case ANSWER_REFUSE:
        return rh_ack_refuse(client, subscription, answer->delivery, answer->reason);
    case ANSWER_EXTEND:
        return rh_ack_extend(client, subscription, answer->delivery);
    }
    return RH_INVALID;
}

/* What is lost for want of memory is delivered again when its lease is over. */
static void answer_keep(struct port *port, const struct answer *answer) {
    if (port->answers_count == port->answers_capacity) {
        size_t capacity = port->answers_capacity != 0 ? 2 * port->answers_capacity : PORT_WAITING_FIRST;
        struct answer *answers = realloc(port->answers, capacity * sizeof *answers);
        if (answers == NULL)
            return;
        port->answers = answers;
        port->answers_capacity = capacity;
    }
    struct answer *kept = &port->answers[port->answers_count++];
    *kept = *answer;
    kept->reason = answer->reason != NULL ? strdup(answer->reason) : NULL;
}

static void answer_give(struct port *port, struct answer answer) {
    if (port->subscription == 0 || port->refused)
        return;
    if (port->answers_count > 0 || answer_try(port, &answer) == RH_FULL)
        answer_keep(port, &answer);
    line_wake(&port->routed);
}

static void answers_send(struct port *port) {
    size_t sent = 0;
    while (sent < port->answers_count && answer_try(port, &port->answers[sent]) != RH_FULL)
        free(port->answers[sent++].reason);
    port->answers_count -= sent;
    if (sent > 0)
        memmove(port->answers, port->answers + sent, port->answers_count * sizeof *port->answers);
}

void port_done(struct port *port, uint64_t delivery) {
    answer_give(port, (struct answer){.kind = ANSWER_DONE, .delivery = delivery});
}

void port_retry(struct port *port, uint64_t delivery, uint64_t after_ms, const char *reason) {
    answer_give(port, (struct answer){.kind = ANSWER_RETRY,
                                      .delivery = delivery,
                                      .after_ms = after_ms,
                                      .reason = (char *)(uintptr_t)reason});
}

void port_refuse(struct port *port, uint64_t delivery, const char *reason) {
    answer_give(port, (struct answer){
                          .kind = ANSWER_REFUSE, .delivery = delivery, .reason = (char *)(uintptr_t)reason});
}

void port_extend(struct port *port, uint64_t delivery) {
    answer_give(port, (struct answer){.kind = ANSWER_EXTEND, .delivery = delivery});
}

/* ---- what the client says ---- */

static void on_event(void *user, uint64_t subscription, const rh_event *event) {
    struct line *line = user;
    struct port *port = line->port;
    (void)subscription; /* there is one */
    struct port_event told = {.delivery = event->delivery,
                              .attempt = event->attempt,
                              .topic = event->topic,
                              .topic_length = event->topic_length,
                              .event = event->event,
                              .event_length = event->event_length};
    port->on_event(port->user, &told);
}

static void port_refused(struct port *port, const char *text) {
    if (port->refused)
        return;
    port->refused = true;
    if (port->on_refused != NULL)
        port->on_refused(port->user, text);
}

static void on_subscribed(void *user, uint64_t subscription) {
    struct line *line = user;
    struct port *port = line->port;
    if (port->on_joined != NULL && subscription == (uint64_t)port->subscription)
        port->on_joined(port->user);
}

static void on_error(void *user, int code, const char *text, bool fatal, uint64_t subscription) {
    struct line *line = user;
    struct port *port = line->port;
    if (fatal)
        line->fatal = code;
    if (!fatal && line == &port->routed && subscription != 0 &&
        subscription == (uint64_t)port->subscription && !rh_subscribed(line->client, port->subscription))
        port_refused(port, text);
}

/* No more of what was published on this line is told by the router. A router without a journal turns down
 * whoever asks for it: there everything is kept in memory. */
static void line_over(struct line *line) {
    struct port *port = line->port;
    bool memory = line == &port->disk && line->fatal == RH_CODE_UNSUPPORTED;
    char text[sizeof port->error];
    (void)snprintf(text, sizeof text, "%s", rh_client_error(line->client));
    while (line->count > 0) {
        struct waiting waiting = *line_waiting(line, 0);
        bool again = memory && waiting.probe;
        line->first++;
        line->count--;
        waiting_settle(line, &waiting, again ? RH_CODE_INVALID : RH_CODE_UNKNOWN_OUTCOME, text,
                       again ? "topic" : "");
    }
    port->roomy = true;
    port->over |= !memory;
    if (!memory)
        port_refused(port, text);
}

static void on_state(void *user, enum rh_state state, const char *why) {
    struct line *line = user;
    if (state == RH_STATE_CONNECTED && *why != '\0' && line == &line->port->disk)
        classes_forget(&line->port->topics); /* another run of the server may keep others on disk */
}

/* Without a router everything is settled as soon as it has been told. */
static void trial_settle(struct line *line) {
    while (line->count > 0) {
        struct waiting waiting = *line_waiting(line, 0);
        line->first++;
        line->count--;
        waiting_settle(line, &waiting, RH_CODE_NONE, "", "");
    }
}

static int trial_publish(struct line *line, const char *topic, size_t topic_length, const uint8_t *event,
                         size_t event_length, struct waiting waiting) {
    if (!line_reserve(line))
        return -ENOMEM;
    line->port->on_publish(line->port->user, topic, topic_length, event, event_length);
    *line_waiting(line, line->count++) = waiting;
    event_active(line->timer, EV_TIMEOUT, 1);
    return 0;
}

static void port_run(struct line *line) {
    struct port *port = line->port;
    line->woken = false;
    if (port->trial)
        trial_settle(line);
    if (line->client == NULL)
        return;
    line->inside = true;
    int result = rh_process(line->client);
    line->inside = false;
    if (result != RH_OK) {
        line_over(line);
        (void)event_del(line->ready);
        rh_client_free(line->client);
        line->client = NULL;
    }
    if (port->routed.client != NULL) {
        answers_send(port);
        probe_again(port);
    }
    line_arm(line);
    if (port->roomy && port->on_room != NULL) {
        void (*on_room)(void *) = port->on_room;
        port->on_room = NULL;
        port->roomy = false;
        on_room(port->room_user);
    }
}

/* ---- making and freeing ---- */

static bool line_open(struct line *line, struct port *port, const struct port_options *options,
                      enum rh_ack_level ack, char *why, size_t why_bytes) {
    rh_options wanted = {.server = options->server,
                         .name = options->name,
                         .ack = ack,
                         .send_buffer_bytes = options->send_bytes,
                         .user = line,
                         .callbacks = {.on_event = on_event,
                                       .on_ack = on_ack,
                                       .on_error = on_error,
                                       .on_subscribed = on_subscribed,
                                       .on_state = on_state,
                                       .on_writable = on_writable}};
    const char *error = "out of memory";
    line->port = port;
    if (port->trial) {
        line->timer = evtimer_new(options->base, on_ready, line);
        (void)snprintf(why, why_bytes, "out of memory");
        return line->timer != NULL;
    }
    line->client = rh_client_new(&wanted, &error);
    if (line->client == NULL) {
        (void)snprintf(why, why_bytes, "%s", error);
        return false;
    }
    line->ready = event_new(options->base, rh_fd(line->client), EV_READ | EV_PERSIST, on_ready, line);
    line->timer = evtimer_new(options->base, on_ready, line);
    if (line->ready == NULL || line->timer == NULL || event_add(line->ready, NULL) != 0) {
        (void)snprintf(why, why_bytes, "out of memory");
        return false;
    }
    line_wake(line); /* which connects */
    return true;
}

static void line_close(struct line *line) {
    if (line->ready != NULL)
        event_free(line->ready);
    if (line->timer != NULL)
        event_free(line->timer);
    rh_client_free(line->client);
    free(line->ring);
}

struct port *port_new(const struct port_options *options, char *why, size_t why_bytes) {
    struct port *port = calloc(1, sizeof *port);
    if (port == NULL) {
        (void)snprintf(why, why_bytes, "out of memory");
        return NULL;
    }
    port->user = options->user;
    port->on_event = options->on_event;
    port->on_refused = options->on_refused;
    port->on_joined = options->on_joined;
    port->on_publish = options->on_publish;
    port->trial = options->server == NULL;
    if (line_open(&port->routed, port, options, RH_ACK_ROUTED, why, why_bytes) &&
        (!options->disk || port->trial || line_open(&port->disk, port, options, RH_ACK_DISK, why, why_bytes)))
        return port;
    port_free(port);
    return NULL;
}

void port_free(struct port *port) {
    if (port == NULL)
        return;
    CHECK(!port->routed.inside && !port->disk.inside);
    line_close(&port->routed);
    line_close(&port->disk);
    for (size_t i = 0; i < port->answers_count; i++)
        free(port->answers[i].reason);
    free(port->answers);
    free(port->probe.topic);
    free(port->probe.event);
    classes_forget(&port->topics);
    free(port);
}

/* ---- what the bridge asks for ---- */

int port_join(struct port *port, const struct port_queue *queue) {
    if (port->routed.client == NULL)
        return RH_CLOSED;
    CHECK(port->subscription == 0 && port->on_event != NULL);
    rh_queue terms = {.name = queue->name,
                      .is_volatile = queue->is_volatile,
                      .take_over = true,
                      .window = queue->window != 0 ? queue->window : PORT_WINDOW_DEFAULT,
                      .attempts = queue->attempts,
                      .lease_ms = queue->lease_ms,
                      .key = queue->key};
    int64_t subscription = rh_join(port->routed.client, queue->patterns, queue->patterns_count, &terms);
    if (subscription < 0) {
        (void)snprintf(port->error, sizeof port->error, "%s", rh_client_error(port->routed.client));
        return (int)subscription;
    }
    port->subscription = subscription;
    line_wake(&port->routed);
    return 0;
}

static int probe_begin(struct port *port, const char *topic, size_t topic_length, const uint8_t *event,
                       size_t event_length, struct waiting waiting) {
    if (port->probe.topic != NULL)
        return -EAGAIN;
    struct probe probe = {.topic = malloc(topic_length + 1),
                          .topic_length = topic_length,
                          .event = malloc(event_length + 1),
                          .event_length = event_length,
                          .told = waiting.told,
                          .user = waiting.user,
                          .tag = waiting.tag};
    waiting.probe = true;
    int result = -ENOMEM;
    if (probe.topic != NULL && probe.event != NULL) {
        memcpy(probe.topic, topic, topic_length);
        memcpy(probe.event, event, event_length);
        result = line_publish(&port->disk, topic, topic_length, event, event_length, waiting);
    }
    if (result == 0) {
        port->probe = probe;
        return 0;
    }
    free(probe.topic);
    free(probe.event);
    return result;
}

int port_publish(struct port *port, const char *topic, size_t topic_length, const uint8_t *event,
                 size_t event_length, port_on_settled *on_settled, void *user) {
    return port_publish_tagged(port, topic, topic_length, event, event_length, on_settled, user, 0);
}

int port_publish_tagged(struct port *port, const char *topic, size_t topic_length, const uint8_t *event,
                        size_t event_length, port_on_settled *on_settled, void *user, uint64_t tag) {
    struct waiting waiting = {.told = on_settled, .user = user, .tag = tag};
    if (port->trial)
        return trial_publish(&port->routed, topic, topic_length, event, event_length, waiting);
    if (port->over) {
        (void)snprintf(port->error, sizeof port->error, "the router has refused this client");
        return -ENOTCONN;
    }
    if (port->disk.client == NULL)
        return line_publish(&port->routed, topic, topic_length, event, event_length, waiting);
    switch (classes_find(&port->topics, topic, topic_length)) {
    case CLASS_MEMORY:
        return line_publish(&port->routed, topic, topic_length, event, event_length, waiting);
    case CLASS_DISK:
        return line_publish(&port->disk, topic, topic_length, event, event_length, waiting);
    case CLASS_UNKNOWN:
        break;
    }
    return probe_begin(port, topic, topic_length, event, event_length, waiting);
}

static void line_forget(struct line *line, const void *user) {
    for (size_t i = 0; i < line->count; i++) {
        struct waiting *waiting = line_waiting(line, i);
        if (waiting->user == user)
            waiting->told = NULL;
    }
}

void port_forget(struct port *port, const void *user) {
    line_forget(&port->routed, user);
    line_forget(&port->disk, user);
    if (port->probe.user == user)
        port->probe.told = NULL;
}

void port_on_room(struct port *port, void (*on_room)(void *user), void *user) {
    port->on_room = on_room;
    port->room_user = user;
    port->roomy = false;
}

uint64_t port_tag(const struct port *port) {
    return port->tag;
}

const char *port_error(const struct port *port) {
    return port->error;
}

static bool line_flush(struct line *line, uint32_t ms) {
    if (line->client == NULL)
        return line->count == 0;
    line->inside = true;
    int result = rh_flush(line->client, ms);
    line->inside = false;
    return result == RH_OK;
}

bool port_flush(struct port *port, uint32_t ms) {
    bool flushed = line_flush(&port->disk, ms);
    if (port->routed.client != NULL)
        answers_send(port);
    return line_flush(&port->routed, ms) && flushed && port->answers_count == 0;
}
