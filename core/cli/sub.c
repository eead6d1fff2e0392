#include "core/cli/sub.h"

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/base/topic.h"
#include "core/cli/args.h"
#include "core/cli/cli.h"
#include "core/cli/exec.h"
#include "core/cli/filter_args.h"
#include "core/cli/from.h"
#include "core/cli/loop.h"
#include "core/cli/queue_args.h"
#include "core/cli/show.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <unistd.h>

static const char sub_usage[] =
    "usage: roundhouse sub [OPTION...] PATTERN...                 print what comes from now on\n"
    "       roundhouse sub [OPTION...] --queue NAME [PATTERN...]  ... and acknowledge it\n"
    "       roundhouse sub [OPTION...] @NAME                      receive from a mailbox\n"
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
    "  --exec COMMAND               run COMMAND with each event on its standard input instead of printing "
    "it, "
    "one at a\n"
    "                               time; $ROUNDHOUSE_TOPIC and $ROUNDHOUSE_ATTEMPT tell more\n";

static const char sub_usage_rest[] =
    "\n"
    "A queue is kept by the router, with what has been acknowledged, while nobody is there; a mailbox is the "
    "queue of\n"
    "one receiver, which gets what is published to @NAME. An event is acknowledged when it has been printed "
    "and the\n"
    "reader has it; with --exec by the exit status: 0 is done, 65 refuses it (a dead letter), all else tries "
    "it again.\n"
    "With --from oldest a queue that is made begins with what is kept; who joins one goes on where it "
    "stands.\n"
    "\n"
    "On standard error: `subscribed PATTERN...` when it is in force, then gaps, reconnects and errors.\n"
    "SIGINT and SIGTERM end it with status 0.\n"
    "\n"
    "Examples:\n"
    "  roundhouse sub 'orders.>'\n"
    "  roundhouse sub --queue billing 'orders.>'          # durable: goes on where it was acknowledged\n"
    "  roundhouse sub --queue work --group --exec ./ship 'orders.>'   # start it several times: they share\n"
    "  roundhouse sub @crm                                # what others publish to @crm\n"
    "  roundhouse sub --format raw --count 1 raw.edifact.invoic > invoice.edi   # and a line end\n"
    "  roundhouse sub --from last --format text 'erp.order.>'     # how things stand, and then what changes\n"
    "  roundhouse sub --from -10m 'erp.>'\n"
    "  roundhouse sub 'erp.*.created' 'erp.*.changed' | jq -r .event.id\n"
    "  roundhouse sub --filter type=prefix:com.example.order. --filter subject=4711 'erp.>'\n"
    "\n"
    "Exit status: 0 ended as asked, 64 usage, 65 refused, 69 server unavailable, 70 internal.\n";

enum sub_option {
    SUB_SERVER = 256,
    SUB_COUNT,
    SUB_FORMAT,
    SUB_FROM,
    SUB_GONE,
    SUB_POLICY,
    SUB_NO_RECONNECT,
    SUB_FILTER,
    SUB_EXEC
};

static const struct option sub_long_options[] = {
    {"server", required_argument, NULL, SUB_SERVER},
    {"count", required_argument, NULL, SUB_COUNT},
    {"format", required_argument, NULL, SUB_FORMAT},
    {"from", required_argument, NULL, SUB_FROM},
    {"gone", required_argument, NULL, SUB_GONE},
    {"policy", required_argument, NULL, SUB_POLICY},
    {"no-reconnect", no_argument, NULL, SUB_NO_RECONNECT},
    {"filter", required_argument, NULL, SUB_FILTER},
    {"exec", required_argument, NULL, SUB_EXEC},
    QUEUE_ARGS_OPTIONS,
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct sub_options {
    const char *server;
    uint64_t count; /* 0 = no end */
    enum show_format format;
    rh_subscribe_options subscribe;
    struct filter_args filter;
    struct queue_args queue;
    const char *exec; /* NULL = print */
    bool reconnect_off;
    bool help;
    char **patterns; /* borrows from argv */
    size_t pattern_count;
};

struct sub {
    struct sub_options options;
    rh_client *client;
    struct out out;
    struct exec exec;
    sigset_t while_waiting;
    uint64_t printed;    /* the last delivery of a queue that was printed and is not acknowledged; 0 = none */
    uint64_t printed_of; /* its subscription */
    struct loop_link link;
    uint64_t shown;
    uint64_t unshown; /* events that could not be shown in the format asked for */
    bool subscribed_once;
    bool ended; /* as asked: by --count, a signal, or because nobody reads the output */
    int status;
};

/* ---- arguments ---- */

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
        return show_format_read("sub", text, &options->format);
    case SUB_FROM:
        return sub_from(options, text);
    case SUB_GONE:
        return sub_gone(options, text);
    case SUB_POLICY:
        return sub_policy(options, text);
    case SUB_NO_RECONNECT:
        options->reconnect_off = true;
        return CLI_OK;
    case SUB_EXEC:
        options->exec = text;
        return CLI_OK;
    case SUB_FILTER:
        return filter_args_take(&options->filter, "sub", text);
    case 'h':
        options->help = true;
        fputs(sub_usage, stdout);
        fputs(filter_args_usage, stdout);
        fputs(queue_args_usage, stdout);
        fputs(sub_usage_rest, stdout);
        return CLI_OK;
    default:
        return queue_args_take(&options->queue, "sub", option, text);
    }
}

/* What goes with a queue, and what does not. */
static int sub_queue(struct sub_options *options) {
    rh_queue *queue = &options->queue.queue;
    int status = queue_args_settle(&options->queue, "sub", options->patterns, &options->pattern_count);
    if (status != CLI_OK || queue->name == NULL)
        return status;
    if (options->subscribe.start != RH_START_LIVE && options->subscribe.start != RH_START_OLDEST)
        return args_mistake("sub", "a queue begins live, or with --from oldest when it is made");
    if (options->subscribe.policy != RH_SLOW_DISCONNECT || options->subscribe.gone != RH_GONE_GAP)
        return args_mistake("sub", "--policy and --gone do not go with a queue: it waits for its members");
    if (options->exec != NULL && queue->window > 1)
        return args_mistake("sub", "--exec takes one event at a time: leave --window out");
    queue->oldest = options->subscribe.start == RH_START_OLDEST;
    queue->filters = options->filter.json;
    if (options->exec != NULL)
        queue->window = 1;
    return CLI_OK;
}

static int sub_patterns(struct sub_options *options, int count, char **patterns) {
    if (count == 0 && options->queue.queue.name == NULL)
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
    int status = sub_queue(options);
    if (status == CLI_OK && options->exec != NULL && options->queue.queue.name == NULL)
        return args_mistake("sub", "--exec goes with a queue, which waits for it: add --queue NAME");
    return status;
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

/* With --exec the command gets what would be printed. */
static void sub_execute(struct sub *sub, uint64_t subscription, const rh_event *event) {
    struct out *out = &sub->out;
    int result = fflush(out->stream) == 0 ? 0 : -ENOMEM;
    if (result == 0)
        result = exec_take(&sub->exec, subscription, event, (const uint8_t *)out->bytes, out->size);
    if (result != 0 || fseeko(out->stream, 0, SEEK_SET) != 0) {
        fprintf(stderr, "roundhouse sub: the command can not be run: %s\n", strerror(-result));
        sub->status = CLI_INTERNAL;
    }
}

static void sub_on_event(void *user, uint64_t subscription, const rh_event *event) {
    struct sub *sub = user;
    struct fault fault;
    if (sub->ended)
        return;
    if (!show_event(sub->out.stream, sub->options.format, event, &fault)) {
        sub->unshown++;
        fprintf(stderr, "roundhouse sub: an event of %.*s can not be shown: %s\n", (int)event->topic_length,
                event->topic, fault.text);
    }
    if (sub->options.exec != NULL) {
        sub_execute(sub, subscription, event);
        return;
    }
    sub->printed = event->delivery;
    sub->printed_of = subscription;
    sub->ended = ++sub->shown == sub->options.count;
}

static void sub_on_gap(void *user, const rh_gap *gap) {
    (void)user;
    loop_tell_gap(gap);
}

static void sub_on_subscribed(void *user, uint64_t subscription) {
    struct sub *sub = user;
    (void)subscription;
    fputs(sub->subscribed_once ? "subscribed again" : "subscribed", stderr);
    if (sub->options.queue.queue.name != NULL)
        fprintf(stderr, " %s %s", sub->options.queue.queue.name[0] == '@' ? "mailbox" : "queue",
                sub->options.queue.queue.name);
    for (size_t i = 0; i < sub->options.pattern_count; i++)
        fprintf(stderr, " %s", sub->options.patterns[i]);
    fputc('\n', stderr);
    sub->subscribed_once = true;
}

static void sub_on_state(void *user, enum rh_state state, const char *why) {
    struct sub *sub = user;
    loop_link_state(&sub->link, state, why);
}

static void sub_on_error(void *user, int code, const char *text, bool fatal, uint64_t subscription) {
    struct sub *sub = user;
    if (fatal)
        return; /* the end of the connection tells it, too */
    const char *hint = sub->subscribed_once ? NULL : queue_args_hint(&sub->options.queue, code);
    fprintf(stderr, "error: %s (%s)\n", text, rh_code_name((enum rh_code)code));
    if (hint != NULL)
        fprintf(stderr, "roundhouse sub: %s\n", hint);
    if (subscription != 0 && rh_subscribed(sub->client, (int64_t)subscription))
        return; /* an acknowledgement came too late, or it comes back by itself */
    if (subscription != 0)
        sub->status = CLI_DATA;
}

/* ---- the loop ---- */

static void sub_wait(struct sub *sub) {
    struct pollfd ready[3] = {{.fd = sub->out.file, .events = 0}}; /* its reader's end comes as POLLERR */
    int most_ms;
    size_t count = 1 + exec_poll(&sub->exec, ready + 1, &most_ms);
    loop_wait(sub->client, ready, count, most_ms, &sub->while_waiting);
    if ((ready[0].revents & POLLERR) != 0)
        sub->ended = true;
}

/* Gives the batch to whoever reads, and says that it is done. A reader that has gone away is an end as good
 * as any. */
static void sub_flush(struct sub *sub) {
    enum loop_flushed flushed = loop_flush(&sub->out, "sub", &sub->while_waiting);
    if (flushed == LOOP_FAILED)
        sub->status = CLI_INTERNAL;
    if (flushed != LOOP_FLUSHED) {
        sub->ended = true;
        return;
    }
    if (sub->printed == 0)
        return;
    int result = rh_ack_done_through(sub->client, sub->printed_of, sub->printed);
    if (result != RH_FULL)
        sub->printed = 0; /* stale ones come again */
}

static void sub_exec(struct sub *sub) {
    uint64_t before = sub->exec.done;
    int result = exec_work(&sub->exec);
    if (result != 0) {
        fprintf(stderr, "roundhouse sub: the command can not be run: %s\n", strerror(-result));
        sub->status = CLI_INTERNAL;
    }
    sub->shown += sub->exec.done - before;
    sub->ended = sub->ended || (sub->options.count != 0 && sub->shown >= sub->options.count);
}

static int sub_loop(struct sub *sub) {
    int result = RH_OK;
    loop_catch_signals(&sub->while_waiting);
    while (result == RH_OK && !sub->ended && sub->status == CLI_OK && sub->link.status == CLI_OK &&
           !loop_signalled) {
        result = rh_process(sub->client);
        if (sub->options.exec != NULL)
            sub_exec(sub);
        else
            sub_flush(sub);
        if (result == RH_OK && !sub->ended && sub->status == CLI_OK && sub->link.status == CLI_OK)
            sub_wait(sub);
    }
    exec_stop(&sub->exec);
    if (sub->options.queue.queue.name != NULL)
        loop_farewell(sub->client);
    if (sub->link.status != CLI_OK)
        return sub->link.status;
    if (sub->status != CLI_OK || sub->ended || loop_signalled)
        return sub->status;
    fprintf(stderr, "roundhouse sub: %s\n", rh_client_error(sub->client));
    return result == RH_REFUSED ? CLI_DATA : CLI_UNAVAILABLE;
}

static int64_t sub_subscribe(struct sub *sub) {
    const struct sub_options *options = &sub->options;
    const char *const *patterns = (const char *const *)options->patterns;
    rh_subscribe_options subscribe = options->subscribe;
    subscribe.filters = options->filter.json;
    if (options->queue.queue.name != NULL)
        return rh_join(sub->client, patterns, options->pattern_count, &options->queue.queue);
    return rh_subscribe_with(sub->client, patterns, options->pattern_count, &subscribe);
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
    exec_init(&sub->exec);
    sub->exec.command = sub->options.exec;
    sub->exec.program = "sub";
    sub->exec.client = sub->client;
    int64_t id = sub_subscribe(sub);
    int status = id > 0 ? sub_loop(sub) : CLI_INTERNAL;
    if (id == RH_INVALID)
        status = args_mistake("sub", "%s", rh_client_error(sub->client));
    else if (id <= 0)
        (void)args_mistake("sub", "%s", rh_client_error(sub->client));
    rh_client_free(sub->client);
    return status == CLI_OK && sub->unshown > 0 ? CLI_DATA : status;
}

int sub_command(int argc, char **argv) {
    struct sub sub = {.status = CLI_OK, .link.command = "sub"};
    int status = sub_options_read(&sub.options, argc, argv);
    if (status == CLI_OK && !sub.options.help) {
        if (out_init(&sub.out, STDOUT_FILENO) == 0)
            status = sub_run(&sub);
        else {
            (void)args_mistake("sub", "out of memory");
            status = CLI_INTERNAL;
        }
        out_deinit(&sub.out);
    }
    filter_args_deinit(&sub.options.filter);
    return status;
}
