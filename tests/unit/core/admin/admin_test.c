#include "core/admin/admin.h"

#include "core/admin/api.h"
#include "core/admin/metrics.h"
#include "core/admin/token.h"
#include "core/base/clock.h"
#include "core/base/embedded.h"
#include "core/shard/change.h"
#include "core/shard/survey.h"
#include "core/shard/trace.h"
#include "tests/unit/core/http_client.h"
#include "tests/unit/leaks.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* A double of the shards: two of them, with counters made by hand; the admin plane asks for nothing else. */
struct shards {
    struct worker_stats stats[2];
    struct io_counters io[2];
    struct log *logs[2];
    atomic_bool stopping;
};

uint32_t shards_count(const struct shards *shards) {
    (void)shards;
    return 2;
}
const struct worker_stats *shards_worker_stats(const struct shards *shards, uint32_t shard) {
    return &shards->stats[shard];
}
const struct io_counters *shards_io_counters(const struct shards *shards, uint32_t shard) {
    return &shards->io[shard];
}
uint32_t shards_disk_logs(const struct shards *shards) {
    (void)shards;
    return 0;
}
struct log *shards_disk_log(const struct shards *shards, uint32_t disk) {
    return shards->logs[disk];
}

struct log *shards_log(const struct shards *shards, uint32_t shard) {
    return shards->logs[shard];
}
struct shards_wakes shards_wakes(const struct shards *shards, uint32_t shard) {
    (void)shards;
    return (struct shards_wakes){.sent = 10 + shard, .elided = 20 + shard};
}
void shards_change_progress(const struct shards *shards, struct shards_change_progress *out) {
    (void)shards;
    *out = (struct shards_change_progress){.changes = 3};
}
void shards_slots(const struct shards *shards, uint8_t *slots) {
    (void)shards;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        slots[slot] = slot >= 1000;
}
bool shards_stopping(const struct shards *shards) {
    return atomic_load(&shards->stopping);
}

/* Nothing is traced or asked here. */
int trace_begin(struct trace **out, const struct shards *shards, const char *pattern, uint32_t count) {
    (void)out, (void)shards, (void)pattern, (void)count;
    return -ENOMEM;
}
uint32_t trace_serve(struct trace *trace) {
    (void)trace;
    return 0;
}
void trace_read(const struct trace *trace, uint32_t number, struct trace_seen *out) {
    (void)trace, (void)number, (void)out;
}
bool trace_delivery(const struct trace *trace, uint32_t number, uint32_t *at, struct trace_given *out) {
    (void)trace, (void)number, (void)at, (void)out;
    return false;
}
void trace_end(struct trace *trace) {
    (void)trace;
}
bool trace_gone(const struct trace *trace) {
    (void)trace;
    return true;
}
void trace_destroy(struct trace *trace) {
    (void)trace;
}
int survey_ask(struct survey_desk *desk, const struct survey_question *question, survey_done *done,
               void *user) {
    (void)desk, (void)question, (void)done, (void)user;
    return -ENOMEM;
}

/* ---- a running admin plane ---- */

struct plane {
    struct shards shards;
    struct sockaddr_in address;
    struct admin *admin;
};

static void plane_start_as(struct plane *plane, struct admin_config config) {
    memset(plane, 0, sizeof *plane);
    for (int i = 0; i < 2; i++) {
        struct log_config log = {.number = (uint16_t)i, .data_bytes = 1 << 16, .records = 1024};
        cr_assert(log_create(&plane->shards.logs[i], &log) == 0);
        counter_set(&plane->shards.stats[i].events_in, 40u + (unsigned)i);
    }
    socklen_t size = sizeof plane->address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    plane->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    cr_assert(bind(listener, (struct sockaddr *)&plane->address, size) == 0 && listen(listener, 128) == 0);
    cr_assert(getsockname(listener, (struct sockaddr *)&plane->address, &size) == 0);
    config.shards = &plane->shards;
    config.body = IO_BODY_EPOLL;
    config.io_reason = "asked for";
    config.started_wall_ns = clock_wall_ns();
    cr_assert(admin_start(&plane->admin, &config, listener) == 0);
}

static void plane_start_with(struct plane *plane, const struct admin_spokes *spokes,
                             const struct api_endpoint *endpoints) {
    plane_start_as(plane, (struct admin_config){.spokes = spokes, .endpoints = endpoints});
}

static void plane_start(struct plane *plane) {
    plane_start_with(plane, NULL, NULL);
}

static void plane_stop(struct plane *plane) {
    admin_stop(plane->admin);
    plane->admin = NULL;
    for (int i = 0; i < 2; i++) {
        log_destroy(plane->shards.logs[i]);
        plane->shards.logs[i] = NULL;
    }
}

static char *ask(const struct plane *plane, const char *request) {
    return http_ask(&plane->address, request, strlen(request));
}

static void gives(const struct plane *plane, const char *request, int status, const char *part) {
    char *answer = ask(plane, request);
    cr_expect(http_status(answer) == status && strstr(answer, part),
              "%.60s: wanted %d and '%s', got:\n%.600s", request, status, part, answer);
    free(answer);
}

/* ---- pages ---- */

Test(admin, answers_health_readiness_and_the_list) {
    struct plane plane;
    plane_start(&plane);
    gives(&plane, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 200, "\r\n\r\nhealthy\n");
    gives(&plane, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n", 200, "\r\n\r\nready\n");
    gives(&plane, "GET / HTTP/1.0\r\n\r\n", 200, "/metrics");
    gives(&plane, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 200, "shards 2, io epoll (asked for)");
    gives(&plane, "GET /healthz?verbose=1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 200, "healthy");
    plane_stop(&plane);
    LEAKS_NONE();
}

Test(admin, is_not_ready_when_the_shards_are_stopping) {
    struct plane plane;
    plane_start(&plane);
    atomic_store(&plane.shards.stopping, true);
    gives(&plane, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n", 503, "stopping");
    gives(&plane, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 200, "healthy");
    plane_stop(&plane);
}

Test(admin, shows_the_counters_of_the_shards_as_metrics) {
    struct plane plane;
    plane_start(&plane);
    char *answer = ask(&plane, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    static const char *const lines[] = {
        "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n",
        "\nroundhouse_events_in_total{shard=\"1\"} 41\n",
        "\nroundhouse_slots{shard=\"0\"} 1000\n",
        "\nroundhouse_slots{shard=\"1\"} 3096\n",
        "\nroundhouse_wakes_elided_total{shard=\"1\"} 21\n",
        "\nroundhouse_log_data_capacity_bytes{shard=\"0\"} 65536\n",
        "\nroundhouse_log_produced_position{shard=\"0\"} 1\n",
        "\nroundhouse_io_body{body=\"epoll\"} 1\n",
        "\nroundhouse_admin_requests_total 1\n",
        "\nroundhouse_build_info{version=\"",
        "\nprocess_start_time_seconds ",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        cr_expect(strstr(answer, lines[i]), "no %s in:\n%.2000s", lines[i], answer);
    free(answer);
    plane_stop(&plane);
}

/* ---- spokes: what is asked is done elsewhere, and answered when it is done ---- */

struct hub {
    void (*done)(void *answer, bool applied, const char *json);
    void *answer;
    bool applied;
    pthread_t thread;
};

static char *hub_list(void *user) {
    (void)user;
    return strdup("{\"spokes\": []}");
}

static void *hub_run(void *user) {
    const struct hub *hub = user;
    hub->done(hub->answer, hub->applied, hub->applied ? "{\"applied\": true}" : "{\"applied\": false}");
    return NULL;
}

static bool hub_apply(void *user, void (*done)(void *answer, bool applied, const char *json), void *answer) {
    struct hub *hub = user;
    hub->done = done;
    hub->answer = answer;
    cr_assert(pthread_create(&hub->thread, NULL, hub_run, hub) == 0);
    return true;
}

static bool hub_stops(void *user, void (*done)(void *answer, bool applied, const char *json), void *answer) {
    (void)user, (void)done, (void)answer;
    return false;
}

static uint32_t hub_numbers(void *user, struct metrics_spoke **list) {
    (void)user;
    *list = calloc(1, sizeof **list);
    cr_assert(*list);
    strcpy((*list)->name, "shop");
    counter_set(&(*list)->out.delivered, 42);
    return 1;
}

Test(admin, lists_spokes_and_has_their_files_applied_by_others) {
    static const char apply[] =
        "POST /v1/spokes/apply HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    struct plane plane;
    struct hub hub = {.applied = true};
    struct admin_spokes spokes = {.user = &hub, .list = hub_list, .apply = hub_apply, .numbers = hub_numbers};
    plane_start_with(&plane, &spokes, NULL);
    gives(&plane, "GET /v1/spokes HTTP/1.1\r\nHost: localhost\r\n\r\n", 200, "\r\n\r\n{\"spokes\": []}\n");
    gives(&plane, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 200, "/v1/spokes/apply");
    gives(&plane, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 200,
          "\nroundhouse_spoke_delivered_total{spoke=\"shop\"} 42\n");
    gives(&plane, apply, 200, "{\"applied\": true}");
    pthread_join(hub.thread, NULL);
    hub.applied = false;
    gives(&plane, apply, 422, "{\"applied\": false}");
    pthread_join(hub.thread, NULL);
    gives(&plane, "GET /v1/spokes/apply HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, "Allow: POST\r\n");
    gives(&plane, "POST /v1/spokes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 405,
          "Allow: GET, HEAD\r\n");
    plane_stop(&plane);
    spokes.apply = hub_stops;
    plane_start_with(&plane, &spokes, NULL);
    gives(&plane, apply, 503, "stopping");
    plane_stop(&plane);
    plane_start(&plane);
    gives(&plane, apply, 404, "no spokes");
    plane_stop(&plane);
    LEAKS_NONE();
}

Test(admin, answers_head_with_the_length_and_without_the_body) {
    struct plane plane;
    plane_start(&plane);
    char *answer = ask(&plane, "HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    size_t length = strlen(answer);
    cr_expect(http_status(answer) == 200 && strstr(answer, "Content-Length: 8\r\n"), "%s", answer);
    cr_expect(length > 4 && strcmp(answer + length - 4, "\r\n\r\n") == 0, "%s", answer);
    free(answer);
    plane_stop(&plane);
}

/* ---- endpoints: what they are told, and what is refused for them ---- */

static struct {
    pthread_mutex_t mutex;
    struct api_later *kept;
} put_off = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void on_echo(struct admin *admin, struct api_call *call) {
    uint64_t number;
    bool sure;
    size_t length;
    const char *body = api_body(call, &length);
    (void)admin;
    if (!api_query_number(call, "number", 2, 50, 7, &number) || !api_query_bool(call, "sure", &sure))
        return;
    const char *text = api_query(call, "text");
    api_reply_json(call, 200,
                   json_pack("{s:I, s:b, s:s?, s:s%}", "number", (json_int_t)number, "sure", sure, "text",
                             text, "body", body, length < 100 ? length : 100));
}

static void on_none(struct admin *admin, struct api_call *call) {
    (void)admin;
    api_reply_json(call, 200, NULL);
}

static void on_later(struct admin *admin, struct api_call *call) {
    (void)admin;
    pthread_mutex_lock(&put_off.mutex);
    put_off.kept = api_later(call);
    pthread_mutex_unlock(&put_off.mutex);
}

static const struct api_endpoint echoes[] = {
    {"GET", "/v1/echo", on_echo, "says it again", "number sure text", 0},
    {"POST", "/v1/echo", on_echo, "says it again", "number sure text", API_BODY},
    {"GET", "/v1/plain", on_echo, "has no parameters", "", 0},
    {"GET", "/v1/none", on_none, "finds no memory", "", 0},
    {"POST", "/v1/later", on_later, "takes its time", "", API_BODY},
    {0},
};

#define GET(path)        "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define POST(path, body) post(path, body, strlen(body), (char[512]){0})

static const char *post(const char *path, const char *body, size_t length, char *out) {
    cr_assert(snprintf(out, 512,
                       "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n"
                       "Content-Type: application/json\r\n\r\n%s",
                       path, length, body) < 512);
    return out;
}

Test(admin, gives_endpoints_their_parameters_and_refuses_others) {
    struct plane plane;
    plane_start_with(&plane, NULL, echoes);
    gives(&plane, GET("/v1/echo"), 200, "{\"number\":7,\"sure\":false,\"text\":null,\"body\":\"\"}\n");
    gives(&plane, GET("/v1/echo?text=a%20b%2Bc&number=50&sure=true"), 200,
          "{\"number\":50,\"sure\":true,\"text\":\"a b+c\",");
    gives(&plane, GET("/v1/echo?number=2&number=3"), 200, "\"number\":2");
    static const char *const numbers[] = {"1", "51", "", "-3", "0x3", "2.5", "99999999999999999999"};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char request[128];
        snprintf(request, sizeof request, "GET /v1/echo?number=%s HTTP/1.0\r\n\r\n", numbers[i]);
        gives(&plane, request, 400, "\"The parameter number is a number from 2 to 50.\"");
    }
    gives(&plane, GET("/v1/echo?sure=1"), 400, "\"error\":\"bad_parameter\"");
    gives(&plane, GET("/v1/echo?numbr=4"), 400,
          "There is no parameter numbr here; known are: number sure text.");
    gives(&plane, GET("/v1/echo?num=4"), 400, "There is no parameter num here");
    gives(&plane, GET("/v1/plain?number=4"), 400, "There is no parameter number here, and no other.");
    gives(&plane, GET("/v1/echo?=4"), 400, "\"error\":\"bad_");
    gives(&plane, GET("/v1/echo?number=3%00"), 400, "\"error\":\"bad_query\"");
    gives(&plane, GET("/v1/echo?&&&"), 400, "\"error\":\"bad_query\"");
    gives(&plane, GET("/v1/none"), 503, "");
    gives(&plane, GET("/"), 200, "\nPOST /v1/later            takes its time\n");
    plane_stop(&plane);
    LEAKS_NONE();
}

Test(admin, takes_bodies_up_to_its_limit_where_they_are_taken) {
    struct plane plane;
    plane_start_with(&plane, NULL, echoes);
    gives(&plane, POST("/v1/echo?number=3", "{}"), 200,
          "\"number\":3,\"sure\":false,\"text\":null,\"body\":\"{}\"");
    gives(&plane, POST("/v1/plain", ""), 405, "Allow: GET, HEAD\r\n");
    gives(&plane, POST("/v1/plain", "{}"), 413, "\"body_refused\"");
    gives(&plane, "GET /v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", 413,
          "\"body_refused\"");
    gives(&plane, "PUT /v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 405,
          "Allow: GET, HEAD, POST\r\n");
    size_t size = 2 * MIB;
    char *request = malloc(size);
    cr_assert(request);
    for (int more = 0; more < 2; more++) {
        int head = snprintf(request, size,
                            "POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                            "Content-Length: %lu\r\n\r\n",
                            ADMIN_BODY_BYTES_MAX + (unsigned long)more);
        memset(request + head, 'a', ADMIN_BODY_BYTES_MAX + 1);
        char *answer = http_ask(&plane.address, request, (size_t)head + ADMIN_BODY_BYTES_MAX + (size_t)more);
        cr_expect(http_status(answer) == (more ? 413 : 200), "%d: %.200s", more, answer);
        cr_expect(!more || strstr(answer, "\"body_too_large\""), "%.200s", answer);
        free(answer);
    }
    free(request);
    gives(&plane, "POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n", 413, "");
    plane_stop(&plane);
    LEAKS_NONE();
}

Test(admin, names_what_there_is_to_who_asks_for_something_else) {
    struct plane plane;
    plane_start_with(&plane, NULL, echoes);
    gives(&plane, GET("/v1/nothing"), 404, "\"error\":\"not_found\"");
    gives(&plane, GET("/v1/nothing"), 404, "\"GET /metrics\"");
    gives(&plane, GET("/v1/echo/"), 404, "\"POST /v1/later\"]}\n");
    plane_stop(&plane);
}

static struct api_later *kept(void) {
    struct api_later *later = NULL;
    while (later == NULL) {
        pthread_mutex_lock(&put_off.mutex);
        later = put_off.kept;
        put_off.kept = NULL;
        pthread_mutex_unlock(&put_off.mutex);
        poll(NULL, 0, 1);
    }
    return later;
}

/* Whoever owes an answer may give it when the asker is gone, and when the admin plane is. */
Test(admin, takes_late_answers_whoever_is_still_there) {
    static char json[] = "{\"late\":true}";
    struct plane plane;
    char text[512];
    plane_start_with(&plane, NULL, echoes);
    post("/v1/later", "", 0, text);
    int fd = http_open(&plane.address);
    http_say(fd, text, strlen(text));
    api_later_json(kept(), 201, strdup(json));
    char *answer = http_hear(fd, NULL);
    cr_expect(http_status(answer) == 201 && strstr(answer, json), "%s", answer);
    free(answer);
    close(fd);

    fd = http_open(&plane.address);
    http_say(fd, text, strlen(text));
    api_later_error(kept(), 409, "busy", "Something else is going on.");
    answer = http_hear(fd, NULL);
    cr_expect(http_status(answer) == 409 &&
                  strstr(answer, "{\"error\":\"busy\",\"message\":\"Something else is going on.\"}"),
              "%s", answer);
    free(answer);
    close(fd);

    fd = http_open(&plane.address);
    http_say(fd, text, strlen(text));
    struct api_later *later = kept();
    close(fd);
    api_later_json(later, 200, strdup(json));
    gives(&plane, GET("/healthz"), 200, "healthy");

    fd = http_open(&plane.address);
    http_say(fd, text, strlen(text));
    later = kept();
    plane_stop(&plane);
    api_later_json(later, 200, strdup(json));
    answer = http_hear(fd, NULL);
    cr_expect(answer[0] == '\0');
    free(answer);
    close(fd);
    LEAKS_NONE();
}

/* ---- files ---- */

static const struct embedded_file served[] = {
    {"index.html", "<!doctype html>", 15}, {"a.js", "let a;", 6}, {"part/a.css", "a{}", 3}, {0}};

Test(admin, serves_files_that_are_part_of_it) {
    struct plane plane;
    char request[256], tag[32];
    plane_start_as(&plane, (struct admin_config){.files = served});
    gives(&plane, "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html,*/*\r\n\r\n", 200,
          "\r\n\r\n<!doctype html>");
    gives(&plane, "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n", 200, "/healthz");
    gives(&plane, GET("/index.html"), 200, "Content-Security-Policy: default-src 'none'; script-src 'self';");
    gives(&plane, GET("/a.js"), 200, "Content-Type: text/javascript; charset=utf-8\r\n");
    gives(&plane, GET("/part/a.css"), 200, "\r\n\r\na{}");
    gives(&plane, GET("/part"), 404, "not_found");
    gives(&plane, GET("/part/"), 404, "not_found");
    char *answer = ask(&plane, GET("/a.js"));
    const char *at = strstr(answer, "ETag: ");
    cr_assert(at && sscanf(at, "ETag: %31s", tag) == 1, "%s", answer);
    snprintf(request, sizeof request, "GET /a.js HTTP/1.1\r\nIf-None-Match: \"x\", %s\r\n\r\n", tag);
    free(answer);
    answer = ask(&plane, request);
    cr_expect(http_status(answer) == 304 && !strstr(answer, "let a;"), "%s", answer);
    free(answer);
    gives(&plane, "GET /a.js HTTP/1.1\r\nIf-None-Match: \"x\"\r\n\r\n", 200, "let a;");
    gives(&plane, "POST /a.js HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 404, "not_found");
    plane_stop(&plane);
    LEAKS_NONE();
}

/* ---- who may ask ---- */

/* A file with the token; the caller unlinks it. */
static void token_write(char path[static 64], const char *text, mode_t mode) {
    strcpy(path, "/tmp/roundhouse-token-XXXXXX");
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, mode) == 0);
    close(fd);
}

#define TOKEN "0123456789abcdef-the-token"

Test(admin, asks_for_the_token_where_there_is_one) {
    struct plane plane;
    char path[64];
    token_write(path, TOKEN "\n", 0600);
    plane_start_as(&plane, (struct admin_config){.endpoints = echoes, .token_file = path});
    gives(&plane, GET("/healthz"), 200, "healthy");
    gives(&plane, GET("/readyz"), 200, "ready");
    gives(&plane, GET("/"), 200, "/v1/echo");
    static const char *const closed[] = {GET("/metrics"), GET("/v1/echo"), GET("/v1/nothing"),
                                         "DELETE /v1/echo HTTP/1.1\r\nHost: localhost\r\n\r\n"};
    for (size_t i = 0; i < sizeof closed / sizeof closed[0]; i++)
        gives(&plane, closed[i], 401, "WWW-Authenticate: Bearer realm=\"roundhouse\"\r\n");
    static const char *const wrong[] = {"Bearer ",
                                        "Bearer 0123456789abcdef-the-tokeN",
                                        "Bearer " TOKEN "x",
                                        "Bearer 0123456789abcdef-the-toke",
                                        "Basic " TOKEN,
                                        TOKEN,
                                        "Bearer"};
    char request[256];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(request, sizeof request, "GET /v1/echo HTTP/1.1\r\nAuthorization: %s\r\n\r\n", wrong[i]);
        gives(&plane, request, 401, "error=\"invalid_token\"\r\n");
    }
    /* The name by which it is reached is nobody's concern then. */
    gives(&plane, "GET /v1/echo HTTP/1.1\r\nHost: router.example\r\nAuthorization: bearer  " TOKEN "\r\n\r\n",
          200, "\"number\":7");
    gives(&plane, "GET /metrics HTTP/1.1\r\nAuthorization: Bearer " TOKEN "\r\n\r\n", 200,
          "\nroundhouse_admin_refused_total 11\n");
    plane_stop(&plane);
    unlink(path);
    LEAKS_NONE();
}

/* A page of another site can make a browser here ask: by a name of its own that leads here, or by a form. */
Test(admin, refuses_pages_of_other_sites) {
    static const struct {
        const char *headers;
        int status;
    } asks[] = {
        {"Host: evil.example\r\n", 403},
        {"Host: evil.example:4480\r\n", 403},
        {"Host: 127.0.0.1.evil.example\r\n", 403},
        {"Host: localhost.evil.example\r\n", 403},
        {"Host: [::1\r\n", 403},
        {"Host: 127.0.0.1:x\r\n", 403},
        {"Host: 127.0.0.1\r\n", 200},
        {"Host: 127.0.0.1:4480\r\n", 200},
        {"Host: [::1]:4480\r\n", 200},
        {"Host: LOCALHOST:1\r\n", 200},
        {"", 200},
        {"Host: localhost\r\nOrigin: http://evil.example\r\n", 403},
        {"Host: localhost\r\nOrigin: null\r\n", 403},
        {"Host: localhost:4480\r\nOrigin: http://localhost:4481\r\n", 403},
        {"Host: localhost:4480\r\nOrigin: http://localhost:4480\r\n", 200},
        {"Host: localhost\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n", 403},
        {"Host: localhost\r\nSec-Fetch-Site: same-site\r\n", 403},
        {"Host: localhost\r\nSec-Fetch-Site: same-origin\r\n", 200},
        {"Host: localhost\r\nSec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\n", 200},
    };
    struct plane plane;
    char request[512];
    plane_start_with(&plane, NULL, echoes);
    for (size_t i = 0; i < sizeof asks / sizeof asks[0]; i++) {
        snprintf(request, sizeof request, "GET /v1/echo HTTP/1.1\r\n%s\r\n", asks[i].headers);
        gives(&plane, request, asks[i].status, asks[i].status == 200 ? "\"number\"" : "\"error\":\"foreign_");
        snprintf(request, sizeof request, "POST /v1/echo HTTP/1.1\r\nContent-Length: 0\r\n%s\r\n",
                 asks[i].headers);
        gives(&plane, request, asks[i].status, "");
    }
    static const char link[] =
        "Host: localhost\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n";
    snprintf(request, sizeof request, "GET /v1/echo HTTP/1.1\r\n%s\r\n", link);
    gives(&plane, request, 200, "\"number\"");
    snprintf(request, sizeof request, "POST /v1/echo HTTP/1.1\r\nContent-Length: 0\r\n%s\r\n", link);
    gives(&plane, request, 403, "foreign_origin");
    gives(&plane, "GET /metrics HTTP/1.1\r\nHost: router.example\r\n\r\n", 200, "roundhouse_ready 1");
    gives(&plane, "GET /healthz HTTP/1.1\r\nHost: router.example\r\n\r\n", 200, "healthy");
    static const char *const types[] = {"text/plain", "TEXT/plain; charset=utf-8",
                                        "application/x-www-form-urlencoded",
                                        "multipart/form-data; boundary=a", ""};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        snprintf(
            request, sizeof request,
            "POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: 2\r\n\r\n{}",
            types[i]);
        gives(&plane, request, 415, "\"unsupported_media_type\"");
    }
    plane_stop(&plane);
    LEAKS_NONE();
}

Test(admin, takes_only_a_file_that_nobody_else_can_read) {
    static const struct {
        const char *text;
        mode_t mode;
        const char *part;
    } files[] = {
        {TOKEN, 0600, NULL},
        {TOKEN "\r\n", 0400, NULL},
        {TOKEN, 0640, "chmod 600"},
        {TOKEN, 0604, "chmod 600"},
        {TOKEN, 0620, "chmod 600"},
        {"", 0600, "at least 16"},
        {"0123456789abcde\n", 0600, "at least 16"},
        {TOKEN " " TOKEN, 0600, "without blanks"},
        {TOKEN "\n" TOKEN, 0600, "without blanks"},
        {TOKEN "\x80", 0600, "printable"},
    };
    struct token token;
    char path[64], why[400];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        token_write(path, files[i].text, files[i].mode);
        bool right = token_read(&token, path, why, sizeof why);
        cr_expect(right == (files[i].part == NULL), "%zu: %s", i, why);
        cr_expect(right || (strstr(why, files[i].part) && strstr(why, path)), "%zu: %s", i, why);
        cr_expect(!right || token_same(&token, TOKEN, strlen(TOKEN)));
        unlink(path);
    }
    cr_expect(!token_read(&token, path, why, sizeof why) && strstr(why, "No such file"), "%s", why);
    cr_expect(!token_read(&token, "/tmp", why, sizeof why) && strstr(why, "not a file"), "%s", why);
    char text[TOKEN_BYTES_MAX + 2];
    memset(text, 'a', sizeof text);
    text[TOKEN_BYTES_MAX + 1] = '\0';
    token_write(path, text, 0600);
    cr_expect(!token_read(&token, path, why, sizeof why) && strstr(why, "at most 256"), "%s", why);
    unlink(path);
}

Test(admin, learns_a_token_that_was_replaced) {
    struct token token;
    char path[64], why[400];
    token_write(path, TOKEN, 0600);
    cr_assert(token_read(&token, path, why, sizeof why));
    FILE *file = fopen(path, "we");
    cr_assert(file);
    fputs("another-token-of-some-length", file);
    fclose(file);
    token_look(&token, path, token.looked_ns + NS_PER_S - 1);
    cr_expect(token_same(&token, TOKEN, strlen(TOKEN)), "it looks too often");
    token_look(&token, path, token.looked_ns + NS_PER_S);
    cr_expect(token_same(&token, "another-token-of-some-length", 28));
    unlink(path);
    token_look(&token, path, token.looked_ns + NS_PER_S);
    cr_expect(token_same(&token, "another-token-of-some-length", 28) && token.lost);
}

/* ---- refusals ---- */

Test(admin, refuses_other_pages_methods_and_bodies) {
    struct plane plane;
    plane_start(&plane);
    gives(&plane, "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, "no such page");
    gives(&plane, "GET /../healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, "");
    gives(&plane, "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 405,
          "Allow: GET, HEAD\r\n");
    gives(&plane, "DELETE /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, "Allow: GET, HEAD\r\n");
    gives(&plane, "OPTIONS / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, "Allow: GET, HEAD\r\n");
    gives(&plane, "TRACE /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, "Allow: GET, HEAD\r\n");
    gives(&plane, "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody", 413, "");
    gives(&plane,
          "PUT / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
          413, "");
    gives(&plane, "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody", 413, "");
    gives(&plane,
          "GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
          413, "");
    gives(&plane, "BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n", 501, "");
    plane_stop(&plane);
    LEAKS_NONE();
}

Test(admin, survives_what_is_not_http) {
    static const char *const noise[] = {"noise\r\n\r\n",
                                        "\x16\x03\x01\x02",
                                        "GET /metrics",
                                        "GET / HTTP/9.9\r\n\r\n",
                                        "\r\n\r\n\r\n",
                                        "GET /%00 HTTP/1.1\r\n\r\n",
                                        "GET http:// HTTP/1.1\r\n\r\n",
                                        "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                                        "CONNECT a:1 HTTP/1.1\r\n\r\n"};
    struct plane plane;
    plane_start(&plane);
    for (size_t i = 0; i < sizeof noise / sizeof noise[0]; i++) {
        int fd = http_open(&plane.address);
        http_say(fd, noise[i], strlen(noise[i]));
        shutdown(fd, SHUT_WR);
        char *answer = http_hear(fd, NULL);
        cr_expect(answer[0] == '\0' || http_status(answer) >= 400, "%s got %s", noise[i], answer);
        free(answer);
        close(fd);
    }
    gives(&plane, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 200, "healthy");
    plane_stop(&plane);
    LEAKS_NONE();
}

Test(admin, refuses_headers_above_the_limit) {
    struct plane plane;
    plane_start(&plane);
    size_t length = ADMIN_HEADER_BYTES_MAX * 4;
    char *request = malloc(length);
    cr_assert(request);
    memset(request, 'x', length);
    memcpy(request, "GET /", 5);
    int fd = http_open(&plane.address);
    http_say(fd, request, length);
    char *answer = http_hear(fd, NULL);
    cr_expect(http_status(answer) != 200);
    close(fd);
    free(answer);
    free(request);
    gives(&plane, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 200, "healthy");
    plane_stop(&plane);
}

/* The length of a chunk has no end: what comes is not kept, and the connection is cut. */
Test(admin, keeps_little_of_a_line_without_end) {
    static const char head[] = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    static char piece[1 << 16];
    struct plane plane;
    size_t sent = 0;
    bool closed = false;
    plane_start(&plane);
    int fd = http_open(&plane.address);
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){1 << 16}, sizeof(int)); /* room is told early */
    memset(piece, 'a', sizeof piece);
    http_say(fd, head, sizeof head - 1);
    while (sent < 32 * MIB && !closed && poll(&room, 1, 60000) == 1) {
        ssize_t n = send(fd, piece, sizeof piece, MSG_NOSIGNAL | MSG_DONTWAIT);
        closed = n < 0 && errno != EAGAIN;
        sent += n > 0 ? (size_t)n : 0;
    }
    cr_expect(closed, "%zu bytes were read", sent);
    gives(&plane, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 200,
          "\nroundhouse_admin_timeouts_total 1\n");
    gives(&plane, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 200, "healthy");
    close(fd);
    plane_stop(&plane);
    LEAKS_NONE();
}

/* Nothing is answered twice, and who asks to stay is told once that it may not. */
Test(admin, answers_one_request_for_each_connection) {
    struct plane plane;
    plane_start(&plane);
    char *answer = ask(&plane, "GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
                               "GET /readyz HTTP/1.0\r\n\r\n");
    cr_expect(strstr(answer, "Connection: close\r\n") && !strstr(answer, "keep-alive"), "%s", answer);
    cr_expect(strstr(answer, "healthy\n") && !strstr(answer, "ready\n"), "%s", answer);
    free(answer);
    plane_stop(&plane);
}

/* ---- many connections, few descriptors ---- */

Test(admin, keeps_no_more_connections_than_its_limit_and_serves_those_that_wait) {
    struct plane plane;
    int silent[ADMIN_CONNECTIONS_MAX];
    plane_start(&plane);
    for (uint32_t i = 0; i < ADMIN_CONNECTIONS_MAX; i++) {
        silent[i] = http_open(&plane.address);
        http_say(silent[i], "GET", 3);
    }
    int waiting = http_open(&plane.address);
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    http_say(waiting, request, sizeof request - 1);
    struct pollfd ready = {.fd = waiting, .events = POLLIN};
    cr_expect(poll(&ready, 1, 300) == 0, "more connections are served than the limit");
    for (uint32_t i = 0; i < ADMIN_CONNECTIONS_MAX; i++)
        close(silent[i]);
    char *answer = http_hear(waiting, NULL);
    cr_expect(http_status(answer) == 200);
    free(answer);
    close(waiting);
    plane_stop(&plane);
    LEAKS_NONE();
}

/* Many more than there are places: places come back. */
Test(admin, gives_back_the_place_of_every_connection) {
    struct plane plane;
    plane_start(&plane);
    for (uint32_t i = 0; i < 5 * ADMIN_CONNECTIONS_MAX; i++)
        gives(&plane, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 200, "healthy");
    for (uint32_t i = 0; i < 3 * ADMIN_CONNECTIONS_MAX; i++) {
        int fd = http_open(&plane.address);
        struct linger reset = {.l_onoff = 1};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fd);
    }
    gives(&plane, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 200,
          "\nroundhouse_admin_requests_total 321\n");
    plane_stop(&plane);
    LEAKS_NONE();
}

/* A request that comes in two reads, on the descriptor number of the connection before it, just after that
 * one was closed: nobody else may take the second half. */
Test(admin, the_connection_before_takes_no_bytes_of_the_next) {
    struct plane plane;
    char request[7000];
    plane_start(&plane);
    memset(request, 'x', sizeof request);
    memcpy(request, "GET /healthz HTTP/1.1\r\nA: ", 26);
    memcpy(request + sizeof request - 5, "\r\n\r\n", 5);
    for (int i = 0; i < 40; i++)
        gives(&plane, request, 200, "healthy");
    gives(&plane, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 200,
          "\nroundhouse_admin_timeouts_total 0\n");
    plane_stop(&plane);
    LEAKS_NONE();
}

/* The connection is in the backlog, accept fails with EMFILE and the listener stays readable: it must not
 * spin, and the connection is served when there are descriptors again. */
Test(admin, survives_running_out_of_descriptors) {
    struct plane plane;
    struct rlimit limit, none;
    plane_start(&plane);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    none = limit;
    /* The lowest free number is the limit: what is open stays usable, and nothing can be opened. */
    none.rlim_cur = (rlim_t)dup(client);
    close((int)none.rlim_cur);
    cr_assert(setrlimit(RLIMIT_NOFILE, &none) == 0);
    cr_assert(connect(client, (const struct sockaddr *)&plane.address, sizeof plane.address) == 0);
    static const char request[] = GET("/metrics");
    http_say(client, request, sizeof request - 1);
    struct pollfd ready = {.fd = client, .events = POLLIN};
    cr_expect(poll(&ready, 1, 300) == 0, "a connection was accepted without a descriptor");
    cr_assert(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    char *answer = http_hear(client, NULL);
    unsigned long errors = 0;
    const char *line = strstr(answer, "\nroundhouse_admin_accept_errors_total ");
    cr_assert(line && sscanf(strchr(line, ' '), "%lu", &errors) == 1, "%.300s", answer);
    cr_expect(errors >= 1 && errors <= 100, "%lu attempts: it spins, or does not count", errors);
    free(answer);
    close(client);
    plane_stop(&plane);
    LEAKS_NONE();
}

Test(admin, stops_with_connections_open_and_closes_its_listener) {
    struct plane plane;
    int clients[8];
    plane_start(&plane);
    for (int i = 0; i < 8; i++) {
        clients[i] = http_open(&plane.address);
        http_say(clients[i], "GET /metr", (size_t)i);
    }
    gives(&plane, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 200, "healthy");
    plane_stop(&plane);
    for (int i = 0; i < 8; i++) {
        char *answer = http_hear(clients[i], NULL);
        cr_expect(answer[0] == '\0');
        free(answer);
        close(clients[i]);
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_expect(connect(fd, (const struct sockaddr *)&plane.address, sizeof plane.address) < 0);
    close(fd);
    LEAKS_NONE();
}

Test(admin, closes_the_listener_when_it_can_not_start) {
    struct rlimit limit, none;
    struct admin *admin = NULL;
    struct admin_config config = {.body = IO_BODY_EPOLL};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    none = limit;
    none.rlim_cur = 0;
    cr_assert(setrlimit(RLIMIT_NOFILE, &none) == 0);
    int result = admin_start(&admin, &config, listener);
    cr_assert(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    cr_expect(result == -EMFILE, "%d", result);
    cr_expect(admin == NULL);
    cr_expect(fcntl(listener, F_GETFD) < 0, "the listener is still open");
    LEAKS_NONE();
}
