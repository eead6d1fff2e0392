/* Webhooks: how many requests one thread sends and has answered, over connections that stay open. */
#include "bench/micro/bench.h"
#include "bench/micro/pair.h"
#include "bench/micro/sink.h"
#include "codecs/event/json.h"
#include "core/transport/webhook.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WINDOW 256u /* events in hand, as the queue gives them */

static const char *const modes[] = {"binary", "structured", "plain", "signed"};
enum { MODE_BINARY, MODE_STRUCTURED, MODE_PLAIN, MODE_SIGNED };

struct rig {
    struct event_base *base;
    struct sink *sink;
    void *webhook;
    uint64_t requests; /* of this sample: what the sink has to answer */
    uint64_t given, done, failed, wanted;
    struct outgoing event;
    struct transport_host host;
    char url[64], secret[32];
};

static void give(struct rig *rig) {
    rig->event.delivery = ++rig->given;
    webhook_transport.deliver(rig->webhook, &rig->event);
}

static void on_done(void *user, uint64_t delivery) {
    struct rig *rig = user;
    (void)delivery;
    rig->done++;
    if (rig->given < rig->wanted)
        give(rig);
    else if (rig->done + rig->failed == rig->wanted)
        event_base_loopbreak(rig->base);
}

static void on_refuse(void *user, uint64_t delivery, const char *reason) {
    struct rig *rig = user;
    (void)delivery;
    fprintf(stderr, "bench_micro: %s\n", reason);
    rig->failed++;
    event_base_loopbreak(rig->base);
}

static void on_retry(void *user, uint64_t delivery, uint64_t after_ms, const char *reason) {
    (void)after_ms;
    on_refuse(user, delivery, reason);
}

static void on_extend(void *user, uint64_t delivery) {
    (void)user;
    (void)delivery;
}

static void serve(void *context) {
    struct rig *rig = context;
    sink_serve(rig->sink, rig->requests);
}

static void event_make(struct rig *rig, size_t data_bytes) {
    uint8_t *event = NULL, *data = bench_memory(data_bytes + 1);
    uint32_t kind = 0;
    struct fault fault;
    snprintf((char *)data, data_bytes + 1, "{\"text\":\"%0*d\"}", (int)data_bytes - 11, 7);
    struct event_parts parts = {.id = "2f1c6a5e-7d0b-4c57-9d0e-0c1b8f6f2a11",
                                .source = "//erp.example/orders",
                                .type = "com.example.order.created",
                                .subject = "4711",
                                .contenttype = "application/json",
                                .time_ns = UINT64_C(1772270000) * NS_PER_S,
                                .data = data,
                                .data_length = data_bytes};
    if (!event_build(&parts, &event, &rig->event.event_length, &fault))
        bench_can_not("an event", fault.text);
    rig->event.event = event;
    rig->event.topic = "orders";
    rig->event.topic_length = strlen("orders");
    rig->event.attempt = 1;
    event_data(event, rig->event.event_length, &rig->event.data, &rig->event.data_length, &kind);
    free(data);
}

static void secret_make(char *path) {
    int fd = mkstemp(path);
    bench_must(fd < 0 || write(fd, "c2VjcmV0", 8) != 8 ? -EIO : 0, "a file with a secret");
    close(fd);
}

static void rig_open(struct rig *rig, const struct bench_run *run) {
    static const enum webhook_mode wanted[] = {WEBHOOK_BINARY, WEBHOOK_STRUCTURED, WEBHOOK_PLAIN,
                                               WEBHOOK_BINARY};
    char why[256] = "";
    uint64_t mode = bench_value(run, "mode");
    rig->base = event_base_new();
    rig->sink = sink_open();
    snprintf(rig->url, sizeof rig->url, "http://127.0.0.1:%u/events", sink_port(rig->sink));
    snprintf(rig->secret, sizeof rig->secret, "/tmp/bench_secret_XXXXXX");
    secret_make(rig->secret);
    rig->host = (struct transport_host){.base = rig->base,
                                        .name = "bench",
                                        .user = rig,
                                        .done = on_done,
                                        .retry = on_retry,
                                        .refuse = on_refuse,
                                        .extend = on_extend};
    const struct webhook_options options = {
        .url = rig->url,
        .mode = wanted[mode],
        .concurrency = (uint32_t)bench_value(run, "requests_at_a_time"),
        .secret_file = mode == MODE_SIGNED ? rig->secret : NULL,
    };
    rig->webhook = webhook_transport.start(&rig->host, &options, why, sizeof why);
    if (!rig->webhook)
        bench_can_not("a webhook", why);
    event_make(rig, bench_value(run, "data_bytes"));
}

static void rig_close(struct rig *rig) {
    webhook_transport.stop(rig->webhook);
    event_base_free(rig->base);
    sink_close(rig->sink);
    unlink(rig->secret);
    free((void *)(uintptr_t)rig->event.event);
}

static void sample(struct rig *rig, uint64_t operations) {
    rig->wanted = rig->given + operations;
    for (uint64_t i = 0; i < WINDOW && rig->given < rig->wanted; i++)
        give(rig);
    event_base_dispatch(rig->base);
}

static void post(struct bench_run *run) {
    struct rig rig = {0};
    struct pair pair;
    uint64_t all = 0;
    rig_open(&rig, run);
    pair_start(&pair, 1, serve, &rig);
    while (bench_more(run)) {
        rig.requests = run->operations;
        all += run->operations;
        uint64_t own_ns = bench_thread_ns();
        pair_go(&pair);
        bench_start(run);
        sample(&rig, run->operations);
        bench_stop(run);
        pair_wait(&pair);
        bench_figure(run, "sender_cpu_ns", (double)(bench_thread_ns() - own_ns) / (double)run->operations);
        bench_figure(run, "sink_cpu_ns", (double)pair.cpu_ns / (double)run->operations);
    }
    pair_stop(&pair);
    bench_equal(run, "requests answered", rig.done, all);
    bench_equal(run, "requests failed", rig.failed, 0);
    if (!bench_is(run, "mode", "structured"))
        bench_equal(run, "bytes received", sink_bytes(rig.sink), all * bench_value(run, "data_bytes"));
    rig_close(&rig);
}

const struct bench bench_webhook[] = {
    {.name = "webhook/post",
     .operation = "send one event to another thread as an HTTP request, and take its answer",
     .clock = BENCH_WALL,
     .operations_least = 500,
     .run = post,
     .plot_over = "requests_at_a_time",
     .axes = {{.name = "mode",
               .words = modes,
               .values = {{4, {MODE_BINARY, MODE_STRUCTURED, MODE_PLAIN, MODE_SIGNED}}}},
              {.name = "data_bytes", .values = {{1, {200}}, {1, {200}}, {2, {200, 4000}}}},
              {.name = "requests_at_a_time", .values = {{1, {32}}, {2, {8, 32}}, {4, {1, 8, 32, 128}}}}}},
    {0}};
