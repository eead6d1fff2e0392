#include "core/cli/sub.h"

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/base/topic.h"
#include "core/cli/args.h"
#include "core/cli/cli.h"
#include "core/cli/from.h"
#include "core/cli/out.h"
#include "core/cli/said.h"
#include "core/cli/show.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const char sub_usage[] =
    "usage: roundhouse sub [OPTION...] PATTERN...\n"
    "\n"
    "Prints each event whose topic matches a pattern, from now on or as --from says. In a pattern '*' stands "
    "for\n"
    "one token, and '>' at the end for one or more; quote patterns, the shell has plans of its own for "
    "both.\n"
    "\n"
    "  --server HOST:PORT           default 127.0.0.1:4470\n"
    "  --count N                    end after N events\n"
    "  --format json|text|raw       json (default): a line {\"topic\": ..., \"sequence\": \"...\", "
    "\"event\": {...}} each;\n"
    "                               text: a line for people; raw: the data as it is, and a line end\n"
    "  --from live|oldest|last|SEQUENCE|TIME\n"
    "                               where to begin: with what comes from now on (default), the oldest event "
    "kept, the\n"
    "                               last one of each topic and then live, the event of a sequence (one "
    "topic), or the\n"
    "                               first one received since a time: 2026-11-27T09:30:00Z, or -5m, five "
    "minutes ago\n"
    "  --gone gap|refuse            when that, or where it would resume, is no longer kept: tell the gap and "
    "go on\n"
    "                               (default), or end with status 65\n"
    "  --policy disconnect|skip|block\n"
    "                               when this program is too slow: be disconnected and resume (default), go "
    "on behind\n"
    "                               what was missed, or hold back who publishes what it reads. A gap is told "
    "in any case.\n"
    "                               block: for limits.block of the server at most, then as disconnect; a "
    "program that\n"
    "                               publishes and waits for this one waits with it; other topics go on and "
    "may\n"
    "                               overwrite what it has not read\n"
    "  --no-reconnect               end when the connection ends, instead of connecting again and resuming\n"
    "\n"
    "On standard error: `subscribed PATTERN...` when it is in force, then gaps, reconnects and errors.\n"
    "SIGINT and SIGTERM end it with status 0.\n"
    "\n"
    "Examples:\n"
    "  roundhouse sub 'orders.>'\n"
    "  roundhouse sub --format raw --count 1 raw.edifact.invoic > invoice.edi   # and a line end\n"
    "  roundhouse sub --from last --format text 'erp.order.>'     # how things stand, and then what changes\n"
    "  roundhouse sub --from -10m 'erp.>'\n"
    "  roundhouse sub 'erp.*.created' 'erp.*.changed' | jq -r .event.id\n"
    "\n"
    "Exit status: 0 ended as asked, 64 usage, 65 refused, 69 server unavailable, 70 internal.\n";

enum sub_option { SUB_SERVER = 256, SUB_COUNT, SUB_FORMAT, SUB_FROM, SUB_GONE, SUB_POLICY, SUB_NO_RECONNECT };

static const struct option sub_long_options[] = {
    {"server", required_argument, NULL, SUB_SERVER},
    {"count", required_argument, NULL, SUB_COUNT},
    {"format", required_argument, NULL, SUB_FORMAT},
    {"from", required_argument, NULL, SUB_FROM},
    {"gone", required_argument, NULL, SUB_GONE},
    {"policy", required_argument, NULL, SUB_POLICY},
    {"no-reconnect", no_argument, NULL, SUB_NO_RECONNECT},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct sub_options {
    const char *server;
    uint64_t count; /* 0 = no end */
    enum show_format format;
    rh_subscribe_options subscribe;
    bool reconnect_off;
    bool help;
    char **patterns; /* borrows from argv */
    size_t pattern_count;
};

struct sub {
    struct sub_options options;
    rh_client *client;
    struct out out;
    struct said said; /* why the connection is away */
    uint64_t shown;
    uint64_t unshown; /* events that could not be shown in the format asked for */
    bool connected_once;
    bool subscribed_once;
    bool ended; /* as asked: by --count, a signal, or because nobody reads the output */
    int status;
};

static volatile sig_atomic_t sub_signalled;

static void sub_on_signal(int number) {
    sub_signalled = number;
}

/* ---- arguments ---- */

static int sub_format(struct sub_options *options, const char *text) {
    static const char *const names[] = {[SHOW_JSON] = "json", [SHOW_TEXT] = "text", [SHOW_RAW] = "raw"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(text, names[i]) == 0) {
            options->format = (enum show_format)i;
            return CLI_OK;
        }
    return args_mistake("sub", "--format is json, text or raw, not '%s'", text);
}

static int sub_policy(struct sub_options *options, const char *text) {
    static const char *const names[] = {
        [RH_SLOW_DISCONNECT] = "disconnect", [RH_SLOW_SKIP] = "skip", [RH_SLOW_BLOCK] = "block"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(text, names[i]) == 0) {
            options->subscribe.policy = (enum rh_slow_policy)i;
            return CLI_OK;
        }
    return args_mistake("sub", "--policy is disconnect, skip or block, not '%s'", text);
}

static int sub_gone(struct sub_options *options, const char *text) {
    options->subscribe.gone = strcmp(text, "refuse") == 0 ? RH_GONE_REFUSE : RH_GONE_GAP;
    if (options->subscribe.gone == RH_GONE_REFUSE || strcmp(text, "gap") == 0)
        return CLI_OK;
    return args_mistake("sub", "--gone is gap or refuse, not '%s'", text);
}

static int sub_from(struct sub_options *options, const char *text) {
    const char *why;
    if (from_read(text, clock_wall_ns(), &options->subscribe, &why))
        return CLI_OK;
    return args_mistake("sub", "--from '%s': %s", text, why);
}

static int sub_option(struct sub_options *options, int option, const char *text) {
    switch (option) {
    case SUB_SERVER:
        options->server = text;
        return CLI_OK;
    case SUB_COUNT:
        if (args_number(text, 1, UINT64_MAX, &options->count))
            return CLI_OK;
        return args_mistake("sub", "--count is a whole number from 1 on, not '%s'", text);
    case SUB_FORMAT:
        return sub_format(options, text);
    case SUB_FROM:
        return sub_from(options, text);
    case SUB_GONE:
        return sub_gone(options, text);
    case SUB_POLICY:
        return sub_policy(options, text);
    case SUB_NO_RECONNECT:
        options->reconnect_off = true;
        return CLI_OK;
    default:
        options->help = true;
        fputs(sub_usage, stdout);
        return CLI_OK;
    }
}

static int sub_patterns(struct sub_options *options, int count, char **patterns) {
    if (count == 0)
        return args_mistake("sub", "a PATTERN is missing, such as 'orders.>'; see roundhouse sub --help");
    if (count > (int)SUBSCRIBE_PATTERNS_MAX)
        return args_mistake("sub", "more than %u patterns", SUBSCRIBE_PATTERNS_MAX);
    options->patterns = patterns;
    options->pattern_count = (size_t)count;
    for (int i = 0; i < count; i++) {
        struct fault fault;
        if (!pattern_valid((const uint8_t *)patterns[i], strlen(patterns[i]), &fault))
            return args_mistake("sub", "'%s' is no pattern: %s", patterns[i], fault.text);
    }
    return CLI_OK;
}

static int sub_options_read(struct sub_options *options, int argc, char **argv) {
    int option, status = CLI_OK;
    opterr = 0;
    optind = 1;
    while (status == CLI_OK && !options->help &&
           (option = getopt_long(argc, argv, ":h", sub_long_options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return args_option_mistake("sub", option, argv);
        status = sub_option(options, option, optarg);
    }
    if (status != CLI_OK || options->help)
        return status;
    return sub_patterns(options, argc - optind, argv + optind);
}

/* ---- what the client library says ---- */

static void sub_on_event(void *user, uint64_t subscription, const rh_event *event) {
    struct sub *sub = user;
    struct fault fault;
    (void)subscription;
    if (sub->ended)
        return;
    if (!show_event(sub->out.stream, sub->options.format, event, &fault)) {
        sub->unshown++;
        fprintf(stderr, "roundhouse sub: an event of %.*s can not be shown: %s\n", (int)event->topic_length,
                event->topic, fault.text);
    }
    sub->ended = ++sub->shown == sub->options.count;
}

static void sub_on_gap(void *user, const rh_gap *gap) {
    static const char *const reasons[] = {"no reason given", "this subscriber was too slow",
                                          "the server has been started anew: what it had in memory is gone",
                                          "the server no longer keeps them"};
    (void)user;
    unsigned reason = gap->reason >= 0 && gap->reason <= 3 ? (unsigned)gap->reason : 0;
    if (gap->at_most == 0) {
        fprintf(stderr, "gap: events may be missing, nobody knows how many: %s\n", reasons[reason]);
        return;
    }
    fprintf(stderr,
            "gap: at most %" PRIu64 " events are missing from log %" PRIu32 ", positions %" PRIu64
            " to %" PRIu64 ": %s\n",
            gap->at_most, gap->log, gap->from, gap->to, reasons[reason]);
}

static void sub_on_subscribed(void *user, uint64_t subscription) {
    struct sub *sub = user;
    (void)subscription;
    fputs(sub->subscribed_once ? "subscribed again" : "subscribed", stderr);
    for (size_t i = 0; i < sub->options.pattern_count; i++)
        fprintf(stderr, " %s", sub->options.patterns[i]);
    fputc('\n', stderr);
    sub->subscribed_once = true;
}

static void sub_on_state(void *user, enum rh_state state, const char *why) {
    struct sub *sub = user;
    if (state == RH_STATE_CONNECTED) {
        sub->connected_once = true;
        said_forget(&sub->said);
    }
    if (state != RH_STATE_WAITING)
        return;
    if (sub->connected_once) {
        if (said_anew(&sub->said, why))
            fprintf(stderr, "reconnecting: %s\n", why);
        return;
    }
    fprintf(stderr, "roundhouse sub: %s\n", why);
    sub->status = CLI_UNAVAILABLE;
}

static void sub_on_error(void *user, int code, const char *text, bool fatal, uint64_t subscription) {
    struct sub *sub = user;
    if (fatal)
        return; /* the end of the connection tells it, too */
    fprintf(stderr, "error: %s (%s)\n", text, rh_code_name((enum rh_code)code));
    /* Without its subscription there is nothing to wait for, unless it comes back by itself. */
    if (subscription != 0 && !(sub->subscribed_once && code == RH_CODE_EXHAUSTED))
        sub->status = CLI_DATA;
}

/* ---- the loop ---- */

/* SIGINT and SIGTERM arrive only while waiting, so none is missed between looking and waiting. */
static void sub_catch_signals(sigset_t *while_waiting) {
    struct sigaction action = {.sa_handler = sub_on_signal};
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    CHECK(sigprocmask(SIG_BLOCK, &blocked, while_waiting) == 0);
    sigdelset(while_waiting, SIGINT);
    sigdelset(while_waiting, SIGTERM);
    CHECK(sigaction(SIGINT, &action, NULL) == 0 && sigaction(SIGTERM, &action, NULL) == 0);
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
}

static void sub_wait(struct sub *sub, const sigset_t *while_waiting) {
    struct pollfd ready[2] = {{.fd = rh_fd(sub->client), .events = rh_events(sub->client)},
                              {.fd = sub->out.file, .events = 0}}; /* its reader's end comes as POLLERR */
    int ms = rh_timeout_ms(sub->client);
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    if (ppoll(ready, 2, ms < 0 ? NULL : &wait, while_waiting) > 0 && (ready[1].revents & POLLERR) != 0)
        sub->ended = true;
}

/* Gives the batch to whoever reads. A reader that has gone away is an end as good as any. */
static void sub_flush(struct sub *sub, const sigset_t *while_waiting) {
    int result = out_flush(&sub->out, while_waiting, &sub_signalled);
    if (result == 0)
        return;
    if (result != -EPIPE && result != -EINTR) {
        fprintf(stderr, "roundhouse sub: standard output: %s\n", strerror(-result));
        sub->status = CLI_INTERNAL;
    }
    sub->ended = true;
}

static int sub_loop(struct sub *sub) {
    sigset_t while_waiting;
    int result = RH_OK;
    sub_catch_signals(&while_waiting);
    while (result == RH_OK && !sub->ended && sub->status == CLI_OK && !sub_signalled) {
        result = rh_process(sub->client);
        sub_flush(sub, &while_waiting);
        if (result == RH_OK && !sub->ended && sub->status == CLI_OK)
            sub_wait(sub, &while_waiting);
    }
    if (sub->status != CLI_OK || sub->ended || sub_signalled)
        return sub->status;
    fprintf(stderr, "roundhouse sub: %s\n", rh_client_error(sub->client));
    return result == RH_REFUSED ? CLI_DATA : CLI_UNAVAILABLE;
}

static int sub_run(struct sub *sub) {
    const char *error;
    rh_options options = {.server = sub->options.server,
                          .name = "roundhouse sub",
                          .reconnect_off = sub->options.reconnect_off,
                          .send_buffer_bytes = 4096,
                          .callbacks = {.on_event = sub_on_event,
                                        .on_gap = sub_on_gap,
                                        .on_subscribed = sub_on_subscribed,
                                        .on_state = sub_on_state,
                                        .on_error = sub_on_error},
                          .user = sub};
    sub->client = rh_client_new(&options, &error);
    if (sub->client == NULL)
        return args_no_client("sub", sub->options.server, error);
    const char *const *patterns = (const char *const *)sub->options.patterns;
    int64_t id =
        rh_subscribe_with(sub->client, patterns, sub->options.pattern_count, &sub->options.subscribe);
    int status = id > 0 ? sub_loop(sub) : CLI_INTERNAL;
    if (id == RH_INVALID)
        status = args_mistake("sub", "%s", rh_client_error(sub->client));
    else if (id <= 0)
        (void)args_mistake("sub", "%s", rh_client_error(sub->client));
    rh_client_free(sub->client);
    return status == CLI_OK && sub->unshown > 0 ? CLI_DATA : status;
}

int sub_command(int argc, char **argv) {
    struct sub sub = {.status = CLI_OK};
    int status = sub_options_read(&sub.options, argc, argv);
    if (status != CLI_OK || sub.options.help)
        return status;
    if (out_init(&sub.out, STDOUT_FILENO) != 0) {
        (void)args_mistake("sub", "out of memory");
        return CLI_INTERNAL;
    }
    status = sub_run(&sub);
    out_deinit(&sub.out);
    return status;
}
