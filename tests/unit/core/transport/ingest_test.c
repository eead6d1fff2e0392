#include "core/transport/ingest.h"

#include "codecs/event/attributes.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/bridge/port.h"
#include "core/bridge/trace.h"
#include "tests/unit/core/http_client.h"
#include "tests/unit/leaks.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- a double of the router: ports settle in the next turn of the loop, or as they are told to ---- */

static atomic_int port_code;   /* that everything is settled with */
static atomic_bool port_holds; /* nothing is settled */
static atomic_int port_full;   /* so often there is no room */
static atomic_int port_published, ports_open, inbounds_open;
static char port_last[512]; /* topic and id of the last event; read after its answer */

struct settle {
    struct event *timer;
    port_on_settled *told;
    void *user;
};

struct port {
    struct event_base *base;
    struct event *room;
    void (*on_room)(void *user);
    void *room_user;
};

static const struct timeval at_once = {0};

static void room_come(evutil_socket_t fd, short what, void *user) {
    struct port *port = user;
    (void)fd;
    (void)what;
    port->on_room(port->room_user);
}

struct port *port_new(const struct port_options *options, char *why, size_t why_bytes) {
    struct port *port = calloc(1, sizeof *port);
    (void)why;
    (void)why_bytes;
    cr_assert(port && strcmp(options->server, "127.0.0.1:1") == 0);
    port->base = options->base;
    port->room = evtimer_new(port->base, room_come, port);
    atomic_fetch_add(&ports_open, 1);
    return port;
}

void port_free(struct port *port) {
    event_free(port->room);
    free(port);
    atomic_fetch_sub(&ports_open, 1);
}

static void settle_come(evutil_socket_t fd, short what, void *user) {
    struct settle *settle = user;
    int code = atomic_load(&port_code);
    (void)fd;
    (void)what;
    settle->told(settle->user, code, code == 0 ? "" : "the router said so");
    event_free(settle->timer);
    free(settle);
}

int port_publish(struct port *port, const char *topic, size_t topic_length, const uint8_t *event,
                 size_t event_length, port_on_settled *on_settled, void *user) {
    struct attribute id;
    if (atomic_load(&port_full) > 0) {
        atomic_fetch_sub(&port_full, 1);
        return -EAGAIN;
    }
    cr_assert(attribute_find(event, event_length, "id", &id));
    snprintf(port_last, sizeof port_last, "%.*s %.*s", (int)topic_length, topic, (int)id.length, id.data);
    atomic_fetch_add(&port_published, 1);
    if (atomic_load(&port_holds))
        return 0;
    struct settle *settle = malloc(sizeof *settle);
    *settle = (struct settle){.told = on_settled, .user = user};
    settle->timer = evtimer_new(port->base, settle_come, settle);
    evtimer_add(settle->timer, &at_once);
    return 0;
}

void port_on_room(struct port *port, void (*on_room)(void *user), void *user) {
    port->on_room = on_room;
    port->room_user = user;
    evtimer_add(port->room, &at_once);
}

const char *port_error(const struct port *port) {
    (void)port;
    return "wrong";
}

/* ---- a double of documents: what comes first in a document says what becomes of it ---- */

struct inbound {
    struct event *end;
    char text[64];
    size_t length;
    bool open;
    inbound_on_end *on_end;
    void *user;
    bool refuses; /* to be fed, once */
    void (*on_room)(void *user);
    void *room_user;
    char answer[64]; /* the format that it was made with */
};

static void end_come(evutil_socket_t fd, short what, void *user) {
    struct inbound *inbound = user;
    char ids[128], findings[] = "{\"findings\":[{\"code\":\"13\"}]}";
    (void)fd;
    (void)what;
    if (inbound->on_room != NULL) {
        void (*on_room)(void *) = inbound->on_room;
        inbound->on_room = NULL;
        on_room(inbound->room_user);
        return;
    }
    snprintf(ids, sizeof ids, "[\"%s:%zu\"]", inbound->answer, inbound->length);
    struct inbound_end end = {
        .published = 1, .ids = ids, .findings = findings, .findings_length = strlen(findings)};
    end.refused = memcmp(inbound->text, "BAD", 3) == 0;
    end.unknown = memcmp(inbound->text, "UNK", 3) == 0;
    end.tolerated = memcmp(inbound->text, "TOL", 3) == 0;
    inbound->open = false;
    inbound->on_end(inbound->user, &end);
}

struct inbound *inbound_new(const struct inbound_options *options, char *why, size_t why_bytes) {
    cr_assert(options->port && options->base);
    if (options->format != NULL && strcmp(options->format, "wrong") == 0) {
        snprintf(why, why_bytes, "no such format");
        return NULL;
    }
    struct inbound *inbound = calloc(1, sizeof *inbound);
    snprintf(inbound->answer, sizeof inbound->answer, "%s", options->format ? options->format : "any");
    inbound->end = evtimer_new(options->base, end_come, inbound);
    inbound->refuses = true;
    atomic_fetch_add(&inbounds_open, 1);
    return inbound;
}

void inbound_free(struct inbound *inbound) {
    event_free(inbound->end);
    free(inbound);
    atomic_fetch_sub(&inbounds_open, 1);
}

int inbound_begin(struct inbound *inbound, const char *name, const uint8_t *digest) {
    (void)name;
    cr_assert(digest);
    if (inbound->open)
        return -EBUSY;
    inbound->open = true;
    inbound->length = 0;
    return 0;
}

void inbound_trace(struct inbound *inbound, const struct trace *trace) {
    cr_assert(inbound->open && inbound->length == 0 &&
              trace_parent_valid(trace->parent, strlen(trace->parent)));
}

int inbound_feed(struct inbound *inbound, const uint8_t *bytes, size_t length) {
    cr_assert(inbound->open && length <= 64 * KIB);
    if (inbound->refuses) {
        inbound->refuses = false;
        return -EAGAIN;
    }
    if (inbound->length == 0)
        memcpy(inbound->text, bytes, length < sizeof inbound->text ? length : sizeof inbound->text);
    inbound->length += length;
    return 0;
}

void inbound_on_room(struct inbound *inbound, void (*on_room)(void *user), void *user) {
    inbound->on_room = on_room;
    inbound->room_user = user;
    evtimer_add(inbound->end, &at_once);
}

void inbound_finish(struct inbound *inbound, inbound_on_end *on_end, void *user) {
    inbound->on_end = on_end;
    inbound->user = user;
    if (memcmp(inbound->text, "HANG", 4) != 0)
        evtimer_add(inbound->end, &at_once);
}

void inbound_abandon(struct inbound *inbound) {
    evtimer_del(inbound->end);
    inbound->open = false;
}

/* ---- a running listener ---- */

struct place {
    struct sockaddr_in address;
    struct ingest *ingest;
};

static void place_open(struct place *place, struct ingest_options options) {
    char why[200] = "";
    socklen_t size = sizeof place->address;
    options.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    place->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    cr_assert(bind(options.listener, (struct sockaddr *)&place->address, size) == 0);
    cr_assert(listen(options.listener, 128) == 0);
    cr_assert(getsockname(options.listener, (struct sockaddr *)&place->address, &size) == 0);
    options.server = "127.0.0.1:1";
    place->ingest = ingest_start(&options, why, sizeof why);
    cr_assert(place->ingest, "%s", why);
}

/* All spokes are known: there are none. */
static void place_start(struct place *place, struct ingest_options options) {
    place_open(place, options);
    ingest_expect(place->ingest, NULL, 0);
}

static void place_stop(struct place *place) {
    ingest_stop(place->ingest);
    place->ingest = NULL;
    cr_expect(atomic_load(&ports_open) == 0 && atomic_load(&inbounds_open) == 0);
}

static void put(struct place *place, const char *name, const char *format) {
    char why[200];
    struct inbound_options inbound = {.name = name, .format = format};
    cr_assert(ingest_put(place->ingest, &inbound, false, NULL, why, sizeof why), "%s", why);
}

/* `head` is the request line's method and path, a blank, then headers, each ended by \r\n. */
static void gives(const struct place *place, const char *line, const char *headers, const char *body,
                  size_t length, int status, const char *part) {
    size_t size = length + 4096;
    char *request = malloc(size);
    int head = snprintf(request, size,
                        "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n", line,
                        length, headers);
    memcpy(request + head, body, length);
    char *answer = http_ask(&place->address, request, (size_t)head + length);
    cr_expect(http_status(answer) == status && strstr(answer, part),
              "%s %s %.60s: wanted %d and '%s', got:\n%.900s", line, headers, body, status, part, answer);
    free(answer);
    free(request);
}

static void post(const struct place *place, const char *path, const char *headers, const char *body,
                 int status, const char *part) {
    char line[200];
    snprintf(line, sizeof line, "POST %s", path);
    gives(place, line, headers, body, strlen(body), status, part);
}

#define CE      "ce-id: A-1\r\nce-source: /s\r\nce-specversion: 1.0\r\nce-type: t\r\n"
#define JSON    "Content-Type: application/cloudevents+json\r\n"
#define BATCH   "Content-Type: application/cloudevents-batch+json; charset=utf-8\r\n"
#define ONE(id) "{\"specversion\":\"1.0\",\"id\":\"" id "\",\"source\":\"/s\",\"type\":\"t\"}"

/* ---- events ---- */

Test(ingest, publishes_events_in_each_mode) {
    struct place place;
    place_start(&place, (struct ingest_options){0});
    post(&place, "/v1/events/a.b", CE, "x", 202, "{\"ids\":[\"A-1\"],\"published\":1}");
    cr_expect_str_eq(port_last, "a.b A-1");
    post(&place, "/v1/events/a.%C3%A4", JSON, ONE("2"), 202, "{\"ids\":[\"2\"],\"published\":1}");
    cr_expect_str_eq(port_last, "a.\xc3\xa4 2");
    post(&place, "/v1/events", JSON "Roundhouse-Topic: by.header\r\n", ONE("3"), 202, "[\"3\"]");
    cr_expect_str_eq(port_last, "by.header 3");
    post(&place, "/v1/events/a", BATCH, "[" ONE("4") "," ONE("5") "]", 202,
         "{\"ids\":[\"4\",\"5\"],\"published\":2,\"results\":[{\"id\":\"4\",\"status\":\"published\"},");
    post(&place, "/v1/events/a", BATCH, " [ ] ", 202, "{\"ids\":[],\"published\":0,\"results\":[]}");
    post(&place, "/v1/events/a?ack=none", CE, "", 202, "[\"A-1\"]");
    post(&place, "/v1/events/a?ack=routed", CE, "", 202, "[\"A-1\"]");
    static const char proto[] = "\x0a\x01"
                                "7\x12\x02/s\x1a\x03"
                                "1.0\x22\x01t";
    static const char batch[] = "\x0a\x0f\x0a\x01"
                                "8\x12\x02/s\x1a\x03"
                                "1.0\x22\x01t";
    gives(&place, "POST /v1/events/a", "Content-Type: application/cloudevents+protobuf\r\n", proto,
          sizeof proto - 1, 202, "[\"7\"]");
    gives(&place, "POST /v1/events/a", "Content-Type: application/cloudevents-batch+protobuf\r\n", batch,
          sizeof batch - 1, 202, "[\"8\"]");
    place_stop(&place);
    LEAKS_NONE();
}

Test(ingest, says_what_is_wrong_with_events) {
    struct place place;
    place_start(&place, (struct ingest_options){.event_bytes = 1000});
    post(&place, "/v1/events/a", "", "x", 422, "\"field\":\"ce-id\"");
    post(&place, "/v1/events/a", CE "ce-time: now\r\n", "x", 422, "\"field\":\"ce-time\"");
    post(&place, "/v1/events/a", JSON, "{", 400, "\"field\":\"body\"");
    post(&place, "/v1/events/a", JSON, "", 400, "the body is empty");
    post(&place, "/v1/events/a", JSON, "{\"id\":\"1\"}", 422, "\"field\":\"source\"");
    post(&place, "/v1/events/a", BATCH, ONE("1"), 400, "not a JSON array");
    post(&place, "/v1/events/a", BATCH, "[" ONE("1") ",]", 400, "not a JSON array");
    post(&place, "/v1/events/a", BATCH, "[" ONE("1") ",{]", 400, "nothing of this batch was published");
    post(&place, "/v1/events/a", BATCH, "[" ONE("1") ",{}]", 422,
         "{\"id\":null,\"status\":\"refused\",\"error\":\"id is missing\",\"field\":\"id\"}");
    post(&place, "/v1/events/a", "Content-Type: application/cloudevents+avro\r\n", "x", 415, "Content-Type");
    post(&place, "/v1/events/a", "Content-Type: application/cloudevents+json; charset=utf-16\r\n", "{}", 415,
         "UTF-8");
    post(&place, "/v1/events/a", "Content-Type: application/cloudevents+protobuf\r\n", "x", 422, "\"event\"");
    post(&place, "/v1/events/a", "Content-Type: application/cloudevents-batch+protobuf\r\n", "x", 400,
         "CloudEventBatch");
    post(&place, "/v1/events/a.*", CE, "", 400, "\"field\":\"topic\"");
    post(&place, "/v1/events/a%00b", CE, "", 400, "\"field\":\"topic\"");
    post(&place, "/v1/events/a%zz", CE, "", 400, "\"field\":\"topic\"");
    post(&place, "/v1/events", CE, "", 400, "no topic is named");
    post(&place, "/v1/events/a?ack=maybe", CE, "", 400, "\"field\":\"ack\"");
    post(&place, "/v1/events/a?ack=disk", CE, "", 400, "no journal");
    post(&place, "/v1/events/a", CE "Content-Encoding: gzip\r\n", "x", 415, "Content-Encoding");
    char large[4000];
    memset(large, ' ', sizeof large - 1);
    large[sizeof large - 1] = 0;
    large[0] = '{';
    post(&place, "/v1/events/a", JSON, large, 413, "limits.frame");
    post(&place, "/elsewhere", CE, "", 404, "\"field\":\"path\"");
    post(&place, "/", CE, "", 405, "Allow: GET, HEAD");
    gives(&place, "GET /v1/events/a", "", "", 0, 405, "Allow: POST, OPTIONS");
    gives(&place, "GET /", "", "", 0, 200, "POST /v1/ingest/NAME");
    gives(&place, "HEAD /", "", "", 0, 200, "Content-Type: text/plain");
    cr_expect(atomic_load(&port_published) == 1, "the good one of a batch with a bad one");
    place_stop(&place);
    LEAKS_NONE();
}

Test(ingest, answers_the_handshake_of_webhooks) {
    struct place place;
    place_start(&place, (struct ingest_options){0});
    gives(&place, "OPTIONS /v1/events/a", "WebHook-Request-Origin: shop.example\r\n", "", 0, 200,
          "WebHook-Allowed-Origin: shop.example\r\nWebHook-Allowed-Rate: *");
    gives(&place, "OPTIONS /v1/events/a", "", "", 0, 204, "Allow: POST");
    place_stop(&place);
}

Test(ingest, tells_what_the_router_said) {
    struct place place;
    place_start(&place, (struct ingest_options){.answer_ns = 200 * NS_PER_MS});
    atomic_store(&port_code, RH_CODE_INVALID);
    post(&place, "/v1/events/a", CE, "", 422, "the router said so");
    atomic_store(&port_code, RH_CODE_EXHAUSTED);
    post(&place, "/v1/events/a", CE, "", 429, "Retry-After: 1");
    atomic_store(&port_code, RH_CODE_UNKNOWN_OUTCOME);
    post(&place, "/v1/events/a", BATCH, "[" ONE("4") "]", 503, "\"status\":\"unavailable\"");
    atomic_store(&port_code, RH_CODE_TOO_LARGE);
    post(&place, "/v1/events/a", CE, "", 413, "the router said so");
    atomic_store(&port_code, RH_CODE_NONE);
    atomic_store(&port_full, 3);
    post(&place, "/v1/events/a", BATCH, "[" ONE("4") "," ONE("5") "]", 202, "\"published\":2");
    atomic_store(&port_full, 1000000000);
    post(&place, "/v1/events/a", CE, "", 503, "did not take it in time");
    atomic_store(&port_full, 0);
    atomic_store(&port_holds, true);
    post(&place, "/v1/events/a", CE, "", 503, "has not said in time");
    place_stop(&place);
    LEAKS_NONE();
}

/* ---- the connection ---- */

Test(ingest, keeps_a_connection_for_the_next_request) {
    struct place place;
    static const char first[] = "POST /v1/events/a HTTP/1.1\r\nHost: x\r\n" CE
                                "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    static const char second[] =
        "POST /v1/events/a HTTP/1.1\r\nHost: x\r\n" CE "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n";
    place_start(&place, (struct ingest_options){0});
    int fd = http_open(&place.address);
    http_say(fd, first, sizeof first - 1);
    char *answer = http_hear(fd, "published\":1}");
    cr_expect_eq(http_status(answer), 202);
    free(answer);
    http_say(fd, second, sizeof second - 1);
    answer = http_hear(fd, "100 Continue\r\n\r\n");
    free(answer);
    http_say(fd, "x", 1);
    answer = http_hear(fd, "published\":1}");
    cr_expect_eq(http_status(answer), 202);
    free(answer);
    close(fd);
    place_stop(&place);
    LEAKS_NONE();
}

Test(ingest, refuses_a_body_that_is_too_large_before_it_is_sent) {
    struct place place;
    place_start(&place, (struct ingest_options){.body_bytes = 5000});
    static const char declared[] =
        "POST /v1/events/a HTTP/1.1\r\nHost: x\r\n" CE "Content-Length: 5001\r\n\r\n";
    char *answer = http_ask(&place.address, declared, sizeof declared - 1);
    cr_expect(http_status(answer) == 413 && strstr(answer, "the most is 5000 bytes"), "%s", answer);
    free(answer);
    char chunked[8000];
    int n = snprintf(chunked, sizeof chunked,
                     "POST /v1/events/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" CE
                     "Transfer-Encoding: chunked\r\n\r\n1400\r\n%5120d\r\n0\r\n\r\n",
                     1);
    answer = http_ask(&place.address, chunked, (size_t)n);
    cr_expect(http_status(answer) == 413, "%s", answer);
    free(answer);
    char body[5000];
    memset(body, 'x', sizeof body);
    gives(&place, "POST /v1/events/a", CE, body, sizeof body, 202, "[\"A-1\"]");
    place_stop(&place);
    LEAKS_NONE();
}

Test(ingest, bounds_all_bodies_together) {
    struct place place;
    place_start(&place, (struct ingest_options){.body_bytes = 100000, .total_bytes = 100000});
    const char *head = "POST /v1/events/a HTTP/1.1\r\nHost: x\r\n" CE "Content-Length: 70000\r\n\r\n";
    char body[70000];
    memset(body, 'x', sizeof body);
    int holder = http_open(&place.address);
    http_say(holder, head, strlen(head));
    http_say(holder, body, 60000);
    for (int refused = 0; refused == 0;) { /* what the holder has sent takes a while to be read */
        int fd = http_open(&place.address);
        const char *close_head = "POST /v1/events/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" CE
                                 "Content-Length: 50000\r\n\r\n";
        http_say(fd, close_head, strlen(close_head));
        http_say(fd, body, 50000);
        char *answer = http_hear(fd, NULL);
        refused = http_status(answer) == 503;
        free(answer);
        close(fd);
    }
    http_say(holder, body, 10000);
    char *answer = http_hear(holder, "published\":1}");
    free(answer);
    close(holder);
    place_stop(&place);
    LEAKS_NONE();
}

Test(ingest, cuts_off_who_is_slow_or_does_not_speak_http) {
    struct place place;
    place_start(&place, (struct ingest_options){
                            .idle_ns = NS_PER_S, .request_ns = 300 * NS_PER_MS, .connections = 4});
    static const char *const slow[] = {"", "POST /v1/ev", "POST /v1/events/a HTTP/1.1\r\nHost: x\r\nce-id",
                                       "POST /v1/events/a HTTP/1.1\r\nHost: x\r\n" CE
                                       "Content-Length: 10\r\n\r\nabc"};
    for (size_t i = 0; i < sizeof slow / sizeof slow[0]; i++) {
        char *answer = http_ask(&place.address, slow[i], strlen(slow[i]));
        cr_expect(http_status(answer) == 0 || http_status(answer) >= 400, "%s", answer);
        free(answer);
    }
    char headers[40000];
    memset(headers, 'a', sizeof headers);
    memcpy(headers, "POST /", 6);
    static const char *const bad[] = {"\x16\x03\x01\x02", "GET\r\n\r\n", "POST /v1/events/a HTTP/1.1\r\n\r\n",
                                      "POST /v1/events/a HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char *answer = http_ask(&place.address, bad[i], strlen(bad[i]));
        cr_expect(http_status(answer) == 0 || http_status(answer) >= 400, "%s", answer);
        free(answer);
    }
    char *answer = http_ask(&place.address, headers, sizeof headers);
    cr_expect(http_status(answer) == 0 || http_status(answer) >= 400, "%s", answer);
    free(answer);
    int fds[8]; /* more than may be open at once: those behind them have to wait, and are served */
    for (int i = 0; i < 8; i++)
        fds[i] = http_open(&place.address);
    post(&place, "/v1/events/a", CE, "", 202, "[\"A-1\"]");
    for (int i = 0; i < 8; i++)
        close(fds[i]);
    place_stop(&place);
    LEAKS_NONE();
}

Test(ingest, stops_while_requests_are_open) {
    struct place place;
    place_start(&place, (struct ingest_options){0});
    put(&place, "erp", NULL);
    atomic_store(&port_holds, true);
    static const char event[] = "POST /v1/events/a HTTP/1.1\r\nHost: x\r\n" CE "Content-Length: 1\r\n\r\nx";
    static const char document[] = "POST /v1/ingest/erp HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nHANG";
    int fds[4];
    for (int i = 0; i < 4; i++)
        fds[i] = http_open(&place.address);
    http_say(fds[0], event, sizeof event - 1);
    http_say(fds[1], document, sizeof document - 1);
    http_say(fds[2], document, sizeof document - 1);
    http_say(fds[3], event, sizeof event - 10);
    while (atomic_load(&port_published) == 0)
        usleep(1000);
    place_stop(&place);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    LEAKS_NONE();
}

/* ---- documents ---- */

Test(ingest, answers_documents_with_ids_or_findings) {
    struct place place;
    char why[200];
    place_start(&place, (struct ingest_options){.answer_ns = 300 * NS_PER_MS});
    post(&place, "/v1/ingest/erp", "", "UNB", 404, "\"field\":\"name\"");
    put(&place, "erp", NULL);
    post(&place, "/v1/ingest/erp", "", "UNB", 202, "{\"ids\":[\"any:3\"],\"published\":1}");
    post(&place, "/v1/ingest/%65rp", "", "TOL", 202, "\"document\":{\"findings\":[{\"code\":\"13\"}]}");
    post(&place, "/v1/ingest/erp", "", "BAD", 422, "\"refused\":1,\"document\":{\"findings\"");
    post(&place, "/v1/ingest/erp", "", "UNK", 503, "Retry-After: 1");
    post(&place, "/v1/ingest/erp", "", "HANG", 503, "in time");
    post(&place, "/v1/ingest/erp", "", "", 400, "the body is empty");
    post(&place, "/v1/ingest", "", "UNB", 404, "\"field\":\"name\"");
    char *large = malloc(2 << 20);
    memset(large, 'x', 2 << 20);
    gives(&place, "POST /v1/ingest/erp", "", large, 2 << 20, 202, "[\"any:2097152\"]");
    free(large);
    struct inbound_options wrong = {.name = "erp", .format = "wrong"};
    cr_expect_not(ingest_put(place.ingest, &wrong, false, NULL, why, sizeof why));
    cr_expect_str_eq(why, "no such format");
    post(&place, "/v1/ingest/erp", "", "UNB", 202, "[\"any:3\"]");
    ingest_remove(place.ingest, "erp");
    ingest_remove(place.ingest, "erp");
    post(&place, "/v1/ingest/erp", "", "UNB", 404, "\"field\":\"name\"");
    place_stop(&place);
    LEAKS_NONE();
}

Test(ingest, keeps_senders_waiting_for_a_spoke_that_is_expected_and_not_there) {
    struct place place;
    const char *const names[] = {"wms", "erp"};
    place_start(&place, (struct ingest_options){0});
    ingest_expect(place.ingest, names, 2);
    post(&place, "/v1/ingest/erp", "", "UNB", 503, "Retry-After: 1");
    post(&place, "/v1/ingest/er", "", "UNB", 404, "\"field\":\"name\"");
    put(&place, "erp", NULL);
    post(&place, "/v1/ingest/erp", "", "UNB", 202, "[\"any:3\"]");
    ingest_remove(place.ingest, "erp");
    post(&place, "/v1/ingest/erp", "", "UNB", 503, "does not run yet");
    ingest_expect(place.ingest, names, 1);
    post(&place, "/v1/ingest/erp", "", "UNB", 404, "\"field\":\"name\"");
    post(&place, "/v1/ingest/wms", "", "UNB", 503, "Retry-After: 1");
    place_stop(&place);
    LEAKS_NONE();
}

Test(ingest, answers_no_name_with_404_before_it_knows_which_there_are) {
    struct place place;
    place_open(&place, (struct ingest_options){0});
    post(&place, "/v1/ingest/erp", "", "UNB", 503, "Retry-After: 1");
    post(&place, "/v1/ingest", "", "UNB", 404, "\"field\":\"name\"");
    put(&place, "erp", NULL);
    post(&place, "/v1/ingest/erp", "", "UNB", 202, "[\"any:3\"]");
    ingest_expect(place.ingest, NULL, 0);
    post(&place, "/v1/ingest/wms", "", "UNB", 404, "\"field\":\"name\"");
    place_stop(&place);
    LEAKS_NONE();
}

static char *hang(const struct place *place, int *fd) {
    static const char text[] =
        "POST /v1/ingest/erp HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
        "4\r\n\r\nHANG";
    *fd = http_open(&place->address);
    http_say(*fd, text, sizeof text - 1);
    return NULL;
}

Test(ingest, lets_documents_wait_and_answers_all_when_a_spoke_is_taken_away) {
    struct place place;
    int fds[INGEST_DOCUMENTS_MAX + 1], refused = 0;
    place_start(&place, (struct ingest_options){0});
    put(&place, "erp", NULL);
    for (size_t i = 0; i <= INGEST_DOCUMENTS_MAX; i++)
        hang(&place, &fds[i]);
    struct pollfd ready[INGEST_DOCUMENTS_MAX + 1];
    for (size_t i = 0; i <= INGEST_DOCUMENTS_MAX; i++)
        ready[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    cr_assert(poll(ready, INGEST_DOCUMENTS_MAX + 1, 60000) == 1, "one is too many");
    put(&place, "erp", "new"); /* which reads what waits from the beginning, and hangs as well */
    ingest_remove(place.ingest, "erp");
    for (size_t i = 0; i <= INGEST_DOCUMENTS_MAX; i++) {
        char *answer = http_hear(fds[i], NULL);
        cr_expect(http_status(answer) == 503 && strstr(answer, "Retry-After"), "%s", answer);
        refused += strstr(answer, "too many documents") != NULL;
        free(answer);
        close(fds[i]);
    }
    cr_expect_eq(refused, 1);
    place_stop(&place);
    LEAKS_NONE();
}

/* ---- who may ---- */

static void file_write(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

Test(ingest, asks_for_a_token_and_a_signature) {
    struct place place;
    char folder[] = "/tmp/rh-ingest-XXXXXX", token[64], key[64], why[200];
    cr_assert(mkdtemp(folder));
    snprintf(token, sizeof token, "%s/token", folder);
    snprintf(key, sizeof key, "%s/key", folder);
    file_write(token, "Tok\n");
    file_write(key, "ItsASecretToEverybody");
    struct ingest_auth bearer = {.bearer_file = token}, hmac = {.hmac_file = key};
    place_start(&place, (struct ingest_options){.auth = &bearer});
    post(&place, "/v1/events/a", CE, "", 401, "a token is asked for");
    post(&place, "/v1/events/a", CE "Authorization: Bearer Tak\r\n", "", 401, "WWW-Authenticate: Bearer");
    post(&place, "/v1/events/a", CE "Authorization: Bearer Toke\r\n", "", 401, "not the right one");
    post(&place, "/v1/events/a", CE "Authorization: bearer Tok\r\n", "", 202, "[\"A-1\"]");
    post(&place, "/v1/events/a?access_token=Tok", CE, "", 202, "[\"A-1\"]");
    file_write(token, "Other");
    usleep(WEBHOOK_SECRET_LOOK_NS / NS_PER_US + 100000); /* a file is looked at so often */
    post(&place, "/v1/events/a", CE "Authorization: Bearer Other\r\n", "", 202, "[\"A-1\"]");
    post(&place, "/v1/events/a", CE "Authorization: Bearer Tok\r\n", "", 401, "not the right one");
    /* openssl dgst -sha256 -hmac ItsASecretToEverybody */
    struct inbound_options inbound = {.name = "hub"};
    cr_assert(ingest_put(place.ingest, &inbound, true, &hmac, why, sizeof why), "%s", why);
#define SIGNED "5ba5e0a5a53b033da9f1b19ef6087ac1c8dbe495e0d10cdfd0aaa4d4c2620b6a"
    post(&place, "/v1/ingest/hub", "X-Hub-Signature-256: sha256=" SIGNED "\r\n", "Hello, World!", 202,
         "[\"any:13\"]");
    post(&place, "/v1/ingest/hub", "X-Hub-Signature-256: sha256=" SIGNED "\r\n", "Hello, World?", 401,
         "not that of the body");
    post(&place, "/v1/ingest/hub", "X-Hub-Signature-256: " SIGNED "\r\n", "Hello, World!", 401,
         "X-Hub-Signature-256");
    post(&place, "/v1/ingest/hub", "", "Hello, World!", 401, "a signature is asked for");
    file_write(key, "Another");
    usleep(WEBHOOK_SECRET_LOOK_NS / NS_PER_US + 100000);
    post(&place, "/v1/ingest/hub", "X-Hub-Signature-256: sha256=" SIGNED "\r\n", "Hello, World!", 401,
         "not that of the body");
    unlink(token);
    unlink(key);
    cr_expect_not(ingest_put(place.ingest, &inbound, true, &hmac, why, sizeof why));
    cr_expect(strstr(why, key), "%s", why);
    rmdir(folder);
    place_stop(&place);
    LEAKS_NONE();
}
