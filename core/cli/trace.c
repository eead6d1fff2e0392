#include "core/cli/trace.h"

#include "core/base/limits.h"
#include "core/cli/args.h"
#include "core/cli/ask.h"
#include "core/cli/cli.h"

#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char trace_usage[] =
    "usage: roundhouse trace [OPTION...] TOPIC\n"
    "\n"
    "Follows the next events on TOPIC, a topic or a pattern, on their way through a running router: when "
    "each "
    "was\n"
    "received, appended to its log, on disk, passed on, and taken by the sockets of its subscribers, the "
    "first and the\n"
    "last of how many; and of each queue to which member it was given, and when that had done with it. Times "
    "are counted\n"
    "from the receipt. Nobody gets anything more or less because of it.\n"
    "\n"
    "  --count N          ends after so many events, at most 100 (default 10)\n"
    "  --timeout TIME     ... or after that time: 30s, 5m (default 60s)\n" ASK_HELP "\n"
    "With --json each event is a line.\n"
    "\n"
    "Examples:\n"
    "  roundhouse trace 'erp.order.*'\n"
    "  roundhouse trace --count 1 --json erp.invoice.created\n"
    "\n"
    "Exit status: 0 done, also when no event came, 64 usage, 65 it is no topic or pattern, 69 the router can "
    "not be\n"
    "reached.\n";

#define TRACE_TIMEOUT_MOST (3600u * NS_PER_S)

struct trace_run {
    struct ask ask;
    const char *topic;
    uint64_t count, timeout_ns;
    bool json;
    uint64_t seen;
};

enum { TRACE_COUNT = 256, TRACE_TIMEOUT };

/* ---- an event ---- */

/* "+12.5 us", "+3.21 ms"; "-" when it has not come to that. */
static const char *step_of(const json_t *event, const char *key, char out[32]) {
    const json_t *step = json_object_get(event, key);
    double us = json_number_value(step);
    if (!json_is_number(step))
        return "-";
    if (us < 1000)
        (void)snprintf(out, 32, "+%.1f us", us);
    else if (us < 1000000)
        (void)snprintf(out, 32, "+%.2f ms", us / 1000);
    else
        (void)snprintf(out, 32, "+%.2f s", us / 1000000);
    return out;
}

static void aside_print(const json_t *event, const char *key, const char *text) {
    if (ask_number(event, key) > 0)
        printf("             %lld %s\n", ask_number(event, key), text);
}

static void delivery_print(const json_t *one) {
    char given[32], sent[32], ended[32];
    const char *client = ask_text(one, "client"), *connection = ask_text(one, "connection");
    const char *outcome = ask_text(one, "outcome");
    printf("  queue      %s to %s%s%s, attempt %lld, lease %lld ms: given %s, sent %s, ",
           ask_text(one, "queue"), client, *client != '\0' ? " " : "",
           *connection != '\0' ? connection : "a member", ask_number(one, "attempt"),
           ask_number(one, "lease_ms"), step_of(one, "given_us", given), step_of(one, "sent_us", sent));
    if (strcmp(outcome, "held") == 0)
        printf("not acknowledged so far");
    else
        printf("%s %s", strcmp(outcome, "lease_ended") == 0 ? "its lease ended" : outcome,
               step_of(one, "ended_us", ended));
    if (ask_number(one, "extended") > 0)
        printf(", extended %lld times", ask_number(one, "extended"));
    printf("\n");
}

static void deliveries_print(const json_t *event) {
    const json_t *deliveries = json_object_get(event, "deliveries");
    for (size_t i = 0; i < json_array_size(deliveries); i++)
        delivery_print(json_array_get(deliveries, i));
}

static void sent_print(const json_t *event) {
    char first[32], last[32];
    long long all = ask_number(event, "connections"), sent = ask_number(event, "sent");
    if (all == 0)
        printf("  sent       to no connection at once\n");
    else if (sent == 0)
        printf("  sent       to none of %lld so far\n", all);
    else
        printf("  sent       %s first, %s last: %lld of %lld\n", step_of(event, "first_sent_us", first),
               step_of(event, "last_sent_us", last), sent, all);
    aside_print(event, "behind", "fell behind with it: they get it later");
    aside_print(event, "lost", "were closed before they had it");
    aside_print(event, "unfollowed", "were too many to be followed");
    aside_print(event, "lagging", "were behind already: they come to it later");
    aside_print(event, "queues", "queues or mailboxes have it for their members");
    deliveries_print(event);
    aside_print(event, "untold", "deliveries were too many to be followed");
    aside_print(event, "filtered", "do not get it: their filters turn it away");
    aside_print(event, "expired", "do not get it: its time was over");
}

static void event_print(const json_t *event) {
    char step[32];
    bool disk = strcmp(ask_text(event, "class"), "disk") == 0;
    printf("%s  source=%s id=%s type=%s\n", ask_text(event, "topic"), ask_text(event, "source"),
           ask_text(event, "id"), ask_text(event, "type"));
    printf("  received   %s\n", ask_text(event, "received_at"));
    printf("  appended   %s: log %lld of shard %lld, slot %lld, sequence %s, %lld bytes\n",
           step_of(event, "appended_us", step), ask_number(event, "log"), ask_number(event, "shard"),
           ask_number(event, "slot"), ask_text(event, "sequence"), ask_number(event, "bytes"));
    if (disk)
        printf("  on disk    %s\n", step_of(event, "synced_us", step));
    printf("  passed on  %s\n", step_of(event, "routed_us", step));
    sent_print(event);
}

/* False: standard output is gone. */
static bool events_print(struct trace_run *run, const json_t *events) {
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *event = json_array_get(events, i);
        if (run->json) {
            (void)json_dumpf(event, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
            printf("\n");
        } else {
            event_print(event);
        }
        run->seen++;
    }
    return fflush(stdout) == 0;
}

/* ---- asking ---- */

static int trace_go(struct trace_run *run) {
    char path[3 * TOPIC_BYTES_MAX + 128] = "/v1/trace";
    bool over = false;
    if (strlen(run->topic) > TOPIC_BYTES_MAX)
        return args_mistake("trace", "a topic or a pattern has at most %u bytes", TOPIC_BYTES_MAX);
    ask_query_add(path, sizeof path, "?topic=", run->topic);
    (void)snprintf(path + strlen(path), sizeof path - strlen(path), "&count=%" PRIu64 "&timeout_ms=%" PRIu64,
                   run->count, run->timeout_ns / NS_PER_MS);
    while (!over) {
        int status;
        json_t *answer = ask_get(&run->ask, path, &status);
        if (answer == NULL)
            return CLI_UNAVAILABLE;
        if (status != 200) {
            fprintf(stderr, "roundhouse trace: %s\n", ask_text(answer, "message"));
            json_decref(answer);
            return CLI_DATA;
        }
        over = json_is_true(json_object_get(answer, "over"));
        over |= !events_print(run, json_object_get(answer, "events"));
        (void)snprintf(path, sizeof path, "/v1/trace?trace=%.16s", ask_text(answer, "trace"));
        json_decref(answer);
    }
    if (run->seen < run->count)
        fprintf(stderr, "roundhouse trace: the time is over, %" PRIu64 " of %" PRIu64 " events came\n",
                run->seen, run->count);
    return CLI_OK;
}

/* ---- the command ---- */

static int option_take(void *of, int option, const char *value) {
    struct trace_run *run = of;
    if (option == TRACE_COUNT && !args_number(value, 1, 100, &run->count))
        return args_mistake("trace", "--count is a number from 1 to 100, not '%s'", value);
    if (option == TRACE_TIMEOUT && (!args_duration(value, &run->timeout_ns) || run->timeout_ns < NS_PER_MS ||
                                    run->timeout_ns > TRACE_TIMEOUT_MOST))
        return args_mistake("trace", "--timeout is a time from 1ms to 1h, such as 30s, not '%s'", value);
    run->json |= option == ASK_JSON;
    if (option != ASK_JSON)
        (void)ask_option(&run->ask, option, value);
    return CLI_OK;
}

static int trace_options(struct trace_run *run, int argc, char **argv) {
    static const struct option options[] = {ASK_OPTIONS,
                                            {"count", required_argument, NULL, TRACE_COUNT},
                                            {"timeout", required_argument, NULL, TRACE_TIMEOUT},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int status = args_options("trace", trace_usage, options, argc, argv, option_take, run);
    if (status != CLI_OK)
        return status;
    if (optind == argc)
        return args_mistake("trace", "the TOPIC is missing; see roundhouse trace --help");
    if (optind + 1 < argc)
        return args_mistake("trace", "'%s' is one argument too many; see roundhouse trace --help",
                            argv[optind + 1]);
    run->topic = argv[optind];
    return CLI_OK;
}

int trace_command(int argc, char **argv) {
    struct trace_run run = {.ask = {.command = "trace", .address = ASK_ADDRESS},
                            .topic = "",
                            .count = 10,
                            .timeout_ns = 60 * NS_PER_S};
    int status = trace_options(&run, argc, argv);
    return status == CLI_OK ? trace_go(&run) : status < 0 ? CLI_OK : status;
}
