#include "tests/unit/core/transport/rig.h"

#include "codecs/event/json.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GUARD_SECONDS 30

/* ---- the server ---- */

void call_answer_bytes(struct call *call, const char *text, size_t length) {
    if (!call->answered)
        call->rig->calls_open--;
    call->answered = true;
    if (call->connection)
        bufferevent_write(call->connection, text, length);
}

void call_answer(struct call *call, const char *text) {
    call_answer_bytes(call, text, strlen(text));
}

static void connection_forget(struct rig *rig, struct bufferevent *connection) {
    for (size_t i = 0; i < rig->calls_count; i++)
        if (rig->calls[i].connection == connection)
            rig->calls[i].connection = NULL;
    bufferevent_free(connection);
}

static void on_written(struct bufferevent *connection, void *user) {
    connection_forget(user, connection);
}

void call_hang_up(struct call *call) {
    if (!call->connection)
        return;
    if (evbuffer_get_length(bufferevent_get_output(call->connection)) == 0)
        connection_forget(call->rig, call->connection);
    else
        bufferevent_setcb(call->connection, NULL, on_written, NULL, call->rig);
}

bool call_has(const struct call *call, const char *text) {
    return strstr(call->text, text) != NULL;
}

void answer_no_content(struct rig *rig, struct call *call) {
    (void)rig;
    call_answer(call, "HTTP/1.1 204 No Content\r\n\r\n");
}

/* Bytes of the whole request, 0 while it is not there. */
static size_t request_length(struct evbuffer *input, size_t *head) {
    size_t n = evbuffer_get_length(input);
    char *text = (char *)evbuffer_pullup(input, -1);
    char *end = n ? memmem(text, n, "\r\n\r\n", 4) : NULL;
    if (!end)
        return 0;
    *head = (size_t)(end - text) + 4;
    char *length = memmem(text, *head, "\r\nContent-Length: ", 18);
    size_t whole = *head + (length ? strtoull(length + 18, NULL, 10) : 0);
    return n >= whole ? whole : 0;
}

static void on_read(struct bufferevent *connection, void *user) {
    struct rig *rig = user;
    struct evbuffer *input = bufferevent_get_input(connection);
    size_t head = 0, length = request_length(input, &head);
    if (length == 0)
        return;
    cr_assert_lt(rig->calls_count, CALLS_MAX);
    struct call *call = &rig->calls[rig->calls_count];
    *call = (struct call){.rig = rig, .connection = connection, .number = rig->calls_count++};
    call->text = malloc(length + 1);
    evbuffer_remove(input, call->text, length);
    call->text[length] = '\0';
    call->body = call->text + head;
    call->body_length = length - head;
    if (++rig->calls_open > rig->calls_open_most)
        rig->calls_open_most = rig->calls_open;
    if (rig->answer)
        rig->answer(rig, call);
    else
        answer_no_content(rig, call);
}

static void on_event(struct bufferevent *connection, short what, void *user) {
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        connection_forget(user, connection);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int length, void *user) {
    (void)listener;
    (void)address;
    (void)length;
    struct rig *rig = user;
    struct bufferevent *connection = bufferevent_socket_new(rig->base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(connection, on_read, NULL, on_event, rig);
    bufferevent_enable(connection, EV_READ | EV_WRITE);
    rig->connections++;
}

void rig_open_port(struct rig *rig) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(rig->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    rig->listener = evconnlistener_new_bind(rig->base, on_accept, rig,
                                            LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_EXEC,
                                            128, (struct sockaddr *)&address, (int)length);
    cr_assert_not_null(rig->listener);
    getsockname(evconnlistener_get_fd(rig->listener), (struct sockaddr *)&address, &length);
    rig->port = ntohs(address.sin_port);
}

void rig_close_port(struct rig *rig) {
    evconnlistener_free(rig->listener);
    rig->listener = NULL;
}

/* ---- the host ---- */

static void tell(struct rig *rig, struct verdict verdict, const char *reason) {
    cr_assert_lt(rig->verdicts_count, VERDICTS_MAX);
    snprintf(verdict.reason, sizeof verdict.reason, "%s", reason);
    rig->verdicts[rig->verdicts_count++] = verdict;
    if (rig->told)
        rig->told(rig, &rig->verdicts[rig->verdicts_count - 1]);
}

static void host_done(void *user, uint64_t delivery) {
    tell(user, (struct verdict){.delivery = delivery, .kind = VERDICT_DONE}, "");
}

static void host_retry(void *user, uint64_t delivery, uint64_t after_ms, const char *reason) {
    tell(user, (struct verdict){.delivery = delivery, .kind = VERDICT_RETRY, .after_ms = after_ms}, reason);
}

static void host_refuse(void *user, uint64_t delivery, const char *reason) {
    tell(user, (struct verdict){.delivery = delivery, .kind = VERDICT_REFUSE}, reason);
}

static void host_extend(void *user, uint64_t delivery) {
    struct rig *rig = user;
    cr_assert(delivery > 0 && delivery <= rig->given);
    rig->extended++;
}

/* ---- the rig ---- */

struct rig *rig_new(void) {
    struct rig *rig = calloc(1, sizeof *rig);
    signal(SIGPIPE, SIG_IGN);
    alarm(GUARD_SECONDS);
    rig->base = event_base_new();
    rig_open_port(rig);
    snprintf(rig->url, sizeof rig->url, "http://127.0.0.1:%u/in?a=b", rig->port);
    rig->options.url = rig->url;
    rig->host = (struct transport_host){.base = rig->base,
                                        .name = "shop",
                                        .user = rig,
                                        .done = host_done,
                                        .retry = host_retry,
                                        .refuse = host_refuse,
                                        .extend = host_extend};
    return rig;
}

bool rig_starts(struct rig *rig, char why[256]) {
    why[0] = '\0';
    rig->hook = webhook_transport.start(&rig->host, &rig->options, why, 256);
    return rig->hook != NULL;
}

void rig_start(struct rig *rig) {
    char why[256];
    cr_assert(rig_starts(rig, why), "%s", why);
}

void rig_free(struct rig *rig) {
    if (rig->hook)
        webhook_transport.stop(rig->hook);
    rig_turn(rig); /* the server sees that connections are closed */
    for (size_t i = 0; i < rig->calls_count; i++) {
        if (rig->calls[i].connection)
            connection_forget(rig, rig->calls[i].connection);
        free(rig->calls[i].text);
    }
    if (rig->listener)
        rig_close_port(rig);
    event_base_free(rig->base);
    free(rig);
    alarm(0);
}

uint64_t rig_give_attempt(struct rig *rig, const char *json, uint32_t attempt) {
    struct fault fault;
    uint8_t *event;
    struct outgoing out = {.topic = "a.b", .topic_length = 3, .attempt = attempt, .delivery = ++rig->given};
    uint32_t kind;
    cr_assert(event_from_json(json, strlen(json), &event, &out.event_length, &fault), "%s: %s", json,
              fault.text);
    out.event = event;
    if (!event_data(event, out.event_length, &out.data, &out.data_length, &kind))
        out.data = NULL;
    webhook_transport.deliver(rig->hook, &out);
    memset(event, 0xee, out.event_length); /* it is only lent */
    free(event);
    return rig->given;
}

uint64_t rig_give(struct rig *rig, const char *json) {
    return rig_give_attempt(rig, json, 1);
}

void rig_give_bytes(struct rig *rig, const void *event, size_t length) {
    const struct outgoing out = {.topic = "a.b",
                                 .topic_length = 3,
                                 .attempt = 1,
                                 .delivery = ++rig->given,
                                 .event = event,
                                 .event_length = length};
    webhook_transport.deliver(rig->hook, &out);
}

uint64_t rig_give_plain(struct rig *rig, uint64_t id) {
    char json[256];
    snprintf(json, sizeof json,
             "{\"specversion\":\"1.0\",\"id\":\"%lu\",\"source\":\"/s\",\"type\":\"t\",\"data\":{\"n\":%lu}}",
             (unsigned long)id, (unsigned long)id);
    return rig_give(rig, json);
}

void rig_run_verdicts(struct rig *rig, size_t count) {
    while (rig->verdicts_count < count)
        cr_assert_eq(event_base_loop(rig->base, EVLOOP_ONCE), 0);
}

void rig_run_calls(struct rig *rig, size_t count) {
    while (rig->calls_count < count)
        cr_assert_eq(event_base_loop(rig->base, EVLOOP_ONCE), 0);
}

void rig_run_until(struct rig *rig, bool (*reached)(const struct rig *rig)) {
    while (!reached(rig))
        cr_assert_eq(event_base_loop(rig->base, EVLOOP_ONCE), 0);
}

void rig_turn(struct rig *rig) {
    for (int i = 0; i < 50; i++)
        event_base_loop(rig->base, EVLOOP_NONBLOCK);
}
