#include "core/cli/replay.h"

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/base/topic.h"
#include "core/cli/args.h"
#include "core/cli/cli.h"
#include "core/cli/from.h"
#include "core/cli/loop.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REPLAY_END_NS  (5u * NS_PER_S) /* for the router's last word, behind a signal */
#define REPLAY_LOOK_MS 1000

static const char replay_usage[] =
    "usage: roundhouse replay --to NAME [OPTION...]\n"
    "\n"
    "Delivers a stretch of what the router keeps once more, to the members of ONE queue or mailbox and to "
    "nobody else.\n"
    "They get it beside what is new, marked as a replay; what is new goes first, and a replay fills at most "
    "half of\n"
    "each window. Where the queue goes on stays as it is. A queue has one replay at a time.\n"
    "\n"
    "  --server HOST:PORT  default 127.0.0.1:4470\n"
    "  --to NAME|@NAME     the queue or mailbox\n"
    "  --from oldest|SEQUENCE|TIME\n"
    "                      where to begin: with the oldest event kept (default), the event of a sequence (a "
    "queue of one\n"
    "                      topic, or with --filter TOPIC), or the first one received since a time: "
    "2026-11-27T09:30:00Z,\n"
    "                      or -5m, five minutes ago\n"
    "  --to-time TIME      leave out what was received at this time or later; default: all that the queue "
    "has "
    "got so far\n"
    "  --filter PATTERN    only topics that match, of those that the queue gets\n"
    "  --rate R            at most R events per second, such as 100 or 2.5\n"
    "  --gone gap|refuse   when the beginning is no longer kept: say how many events may be missing and go "
    "on "
    "(default),\n"
    "                      or end with status 65\n"
    "  --wait              when the queue has no member: wait for one, instead of ending with status 65\n"
    "\n"
    "It runs until every event is acknowledged, or a dead letter, and prints how many there were. What ends "
    "it earlier\n"
    "ends the replay: Ctrl-C, a lost connection, a stop of the router. What a member holds by then stays "
    "with "
    "it.\n"
    "\n"
    "Examples:\n"
    "  roundhouse replay --to billing --from -1h\n"
    "  roundhouse replay --to billing --from 2026-11-27T08:00:00Z --to-time 2026-11-27T09:00:00Z --rate 100\n"
    "  roundhouse replay --to @crm --wait\n"
    "\n"
    "Exit status: 0 all acknowledged, 64 usage, 65 refused, or some became dead letters, 69 server "
    "unavailable or gone,\n"
    "70 internal.\n";

enum replay_option {
    REPLAY_SERVER = 256,
    REPLAY_TO,
    REPLAY_FROM,
    REPLAY_TO_TIME,
    REPLAY_FILTER,
    REPLAY_RATE,
    REPLAY_GONE,
    REPLAY_WAIT
};

static const struct option replay_long_options[] = {
    {"server", required_argument, NULL, REPLAY_SERVER},
    {"to", required_argument, NULL, REPLAY_TO},
    {"from", required_argument, NULL, REPLAY_FROM},
    {"to-time", required_argument, NULL, REPLAY_TO_TIME},
    {"filter", required_argument, NULL, REPLAY_FILTER},
    {"rate", required_argument, NULL, REPLAY_RATE},
    {"gone", required_argument, NULL, REPLAY_GONE},
    {"wait", no_argument, NULL, REPLAY_WAIT},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct replay {
    const char *server;
    rh_replay_options options;
    bool help;

    rh_client *client;
    int64_t id; /* 0 = not asked for yet */
    struct loop_link link;
    sigset_t while_waiting;
    rh_replayed last;
    bool begun, terminal;
    int status;
};

/* ---- arguments ---- */

static int replay_time(const char *text, rh_subscribe_options *start, const char *name) {
    const char *why;
    if (from_read(text, clock_wall_ns(), start, &why))
        return CLI_OK;
    return args_mistake("replay", "--%s '%s': %s", name, text, why);
}

static int replay_from(rh_replay_options *options, const char *text) {
    rh_subscribe_options start = {0};
    int status = replay_time(text, &start, "from");
    if (status != CLI_OK)
        return status;
    if (start.start == RH_START_LIVE || start.start == RH_START_LAST)
        return args_mistake("replay", "--from is oldest, a sequence or a time, not '%s'", text);
    options->start = start.start;
    options->sequence = start.sequence;
    options->time_ns = start.time_ns;
    return CLI_OK;
}

static int replay_to_time(rh_replay_options *options, const char *text) {
    rh_subscribe_options end = {0};
    int status = replay_time(text, &end, "to-time");
    if (status != CLI_OK)
        return status;
    if (end.start != RH_START_TIME)
        return args_mistake("replay", "--to-time is a time such as 2026-11-27T09:30:00Z, or -5m, not '%s'",
                            text);
    options->to_time_ns = end.time_ns;
    return CLI_OK;
}

static int replay_filter(rh_replay_options *options, const char *text) {
    struct fault fault;
    options->filter = text;
    if (pattern_valid((const uint8_t *)text, strlen(text), &fault))
        return CLI_OK;
    return args_mistake("replay", "--filter '%s' is no pattern: %s", text, fault.text);
}

static int replay_rate(rh_replay_options *options, const char *text) {
    if (args_rate(text, &options->rate) && options->rate >= REPLAY_RATE_LEAST)
        return CLI_OK;
    return args_mistake("replay", "--rate is events per second, from 0.001 on, such as 100, not '%s'", text);
}

static int replay_gone(rh_replay_options *options, const char *text) {
    options->gone = strcmp(text, "refuse") == 0 ? RH_GONE_REFUSE : RH_GONE_GAP;
    if (options->gone == RH_GONE_REFUSE || strcmp(text, "gap") == 0)
        return CLI_OK;
    return args_mistake("replay", "--gone is gap or refuse, not '%s'", text);
}

static int replay_option(struct replay *replay, int option, const char *text) {
    rh_replay_options *options = &replay->options;
    switch (option) {
    case REPLAY_SERVER:
        replay->server = text;
        return CLI_OK;
    case REPLAY_TO:
        options->queue = text;
        return CLI_OK;
    case REPLAY_FROM:
        return replay_from(options, text);
    case REPLAY_TO_TIME:
        return replay_to_time(options, text);
    case REPLAY_FILTER:
        return replay_filter(options, text);
    case REPLAY_RATE:
        return replay_rate(options, text);
    case REPLAY_GONE:
        return replay_gone(options, text);
    case REPLAY_WAIT:
        options->wait = true;
        return CLI_OK;
    default:
        replay->help = true;
        fputs(replay_usage, stdout);
        return CLI_OK;
    }
}

static int replay_settle(const rh_replay_options *options, int count, char **arguments) {
    if (count > 0)
        return args_mistake("replay", "'%s' is one argument too many: the queue is named by --to",
                            arguments[0]);
    if (options->queue == NULL || options->queue[0] == '\0')
        return args_mistake("replay", "--to NAME is missing: the queue or mailbox that gets the events");
    if (options->start == RH_START_TIME && options->to_time_ns != 0 &&
        options->to_time_ns <= options->time_ns)
        return args_mistake("replay", "--to-time does not lie behind --from");
    return CLI_OK;
}

static int replay_read(struct replay *replay, int argc, char **argv) {
    int option, status = CLI_OK;
    opterr = 0;
    optind = 1;
    while (status == CLI_OK && !replay->help &&
           (option = getopt_long(argc, argv, ":h", replay_long_options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return args_option_mistake("replay", option, argv);
        status = replay_option(replay, option, optarg);
    }
    if (status != CLI_OK || replay->help)
        return status;
    return replay_settle(&replay->options, argc - optind, argv + optind);
}

/* ---- what is told ---- */

static void replay_line_end(const struct replay *replay) {
    if (replay->terminal && replay->begun)
        fputs("\r\033[K", stderr);
}

static void replay_tell_waiting(const struct replay *replay) {
    replay_line_end(replay);
    fprintf(stderr, "nobody is a member of %s now: waiting for one\n", replay->options.queue);
}

static void replay_show_progress(const struct replay *replay) {
    const rh_replayed *last = &replay->last;
    if (replay->terminal)
        fprintf(stderr, "\r\033[K%" PRIu64 " delivered, %" PRIu64 " acknowledged, at most %" PRIu64 " left",
                last->delivered, last->acknowledged, last->left);
}

static bool replay_whole(const struct replay *replay) {
    return replay->last.over && replay->last.left == 0;
}

static void replay_summary(const struct replay *replay) {
    const rh_replayed *last = &replay->last;
    printf("%s to %s: %" PRIu64 " delivered, %" PRIu64 " acknowledged",
           replay_whole(replay) ? "replayed" : "ended early", replay->options.queue, last->delivered,
           last->acknowledged);
    if (last->failed > 0)
        printf(", %" PRIu64 " failed: dead letters now", last->failed);
    if (!replay_whole(replay))
        printf(", at most %" PRIu64 " left", last->left);
    if (last->missing > 0)
        printf("; at most %" PRIu64 " were no longer kept", last->missing);
    putchar('\n');
}

/* ---- what the client library says ---- */

static void replay_on_replayed(void *user, int64_t id, const rh_replayed *replayed) {
    struct replay *replay = user;
    (void)id;
    bool waited = replay->last.waiting;
    replay->last = *replayed;
    if (!replay->begun)
        fprintf(stderr, "replay to %s has begun\n", replay->options.queue);
    if (replayed->waiting && !waited)
        replay_tell_waiting(replay);
    replay->begun = true;
    replay_show_progress(replay);
}

static void replay_ask(struct replay *replay) {
    replay->id = rh_replay(replay->client, &replay->options);
    if (replay->id > 0)
        return;
    (void)args_mistake("replay", "%s", rh_client_error(replay->client));
    replay->status = replay->id == RH_INVALID ? CLI_USAGE : CLI_INTERNAL;
}

static void replay_on_state(void *user, enum rh_state state, const char *why) {
    struct replay *replay = user;
    if (state == RH_STATE_WAITING || state == RH_STATE_CLOSED)
        replay_line_end(replay);
    loop_link_state(&replay->link, state, why);
    if (state == RH_STATE_CONNECTED && replay->id == 0)
        replay_ask(replay);
}

static void replay_on_error(void *user, int code, const char *text, bool fatal, uint64_t subscription) {
    struct replay *replay = user;
    if (fatal || subscription == 0 || rh_client_state(replay->client) != RH_STATE_CONNECTED)
        return; /* the end of the connection tells it, too */
    replay_line_end(replay);
    fprintf(stderr, "roundhouse replay: %s (%s)\n", text, rh_code_name((enum rh_code)code));
    replay->status = CLI_DATA;
}

/* ---- the work ---- */

static bool replay_goes_on(const struct replay *replay) {
    return replay->status == CLI_OK && !replay->last.over && loop_signalled == 0;
}

/* Asked to end: its last word is waited for. */
static bool replay_ends(const struct replay *replay) {
    return replay->status == CLI_OK && !replay->last.over;
}

static int replay_result(const struct replay *replay, int result) {
    if (replay->begun) {
        replay_line_end(replay);
        replay_summary(replay);
    }
    if (replay->status != CLI_OK || loop_signalled != 0)
        return replay->status;
    if (replay->last.over)
        return replay->last.failed > 0 ? CLI_DATA : CLI_OK;
    fprintf(stderr, "roundhouse replay: %s%s\n", rh_client_error(replay->client),
            replay->begun ? ": a replay ends with its connection" : "");
    return result == RH_REFUSED ? CLI_DATA : CLI_UNAVAILABLE;
}

/* Works until nothing goes on, or the time is over. */
static int replay_until(struct replay *replay, bool (*goes_on)(const struct replay *), uint64_t end_ns) {
    int result = RH_OK;
    while (result == RH_OK && goes_on(replay) && clock_mono_ns() < end_ns) {
        result = rh_process(replay->client);
        if (result == RH_OK && goes_on(replay))
            loop_wait(replay->client, NULL, 0, REPLAY_LOOK_MS, &replay->while_waiting);
    }
    return result;
}

static int replay_run(struct replay *replay) {
    const char *error;
    rh_options options = {.server = replay->server,
                          .name = "roundhouse replay",
                          .reconnect_off = true,
                          .send_buffer_bytes = 4096,
                          .callbacks = {.on_replayed = replay_on_replayed,
                                        .on_state = replay_on_state,
                                        .on_error = replay_on_error},
                          .user = replay};
    replay->client = rh_client_new(&options, &error);
    if (replay->client == NULL)
        return args_no_client("replay", replay->server, error);
    loop_catch_signals(&replay->while_waiting);
    int result = replay_until(replay, replay_goes_on, UINT64_MAX);
    if (result == RH_OK && loop_signalled != 0 && rh_replay_end(replay->client, replay->id) == RH_OK)
        result = replay_until(replay, replay_ends, clock_mono_ns() + REPLAY_END_NS);
    int status = replay_result(replay, result);
    loop_farewell(replay->client);
    rh_client_free(replay->client);
    return status;
}

int replay_command(int argc, char **argv) {
    struct replay replay = {.link.command = "replay", .status = CLI_OK};
    int status = replay_read(&replay, argc, argv);
    if (status != CLI_OK || replay.help)
        return status;
    replay.terminal = isatty(STDERR_FILENO) != 0;
    status = replay_run(&replay);
    (void)fflush(stdout);
    loop_raise();
    return status;
}
