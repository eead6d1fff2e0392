#include "core/cli/reply.h"

#include "codecs/event/attributes.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/base/topic.h"
#include "core/cli/args.h"
#include "core/cli/cli.h"
#include "core/cli/event_args.h"
#include "core/cli/exec.h"
#include "core/cli/loop.h"
#include "core/cli/queue_args.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char reply_usage[] =
    "usage: roundhouse reply [OPTION...] @NAME HOW           answer what is asked of a mailbox\n"
    "       roundhouse reply [OPTION...] PATTERN... HOW      ... or on topics\n"
    "\n"
    "HOW is one of\n"
    "  --exec COMMAND      run COMMAND for each request, one at a time: it gets the data on standard input, "
    "and what\n"
    "                      it prints is the data of the reply. $ROUNDHOUSE_TOPIC and $ROUNDHOUSE_ATTEMPT "
    "tell "
    "more\n"
    "  --echo              the data of the request\n"
    "  --data TEXT         always the same text\n"
    "  --file F            always the same file; - is standard input\n"
    "\n"
    "  --server HOST:PORT  default 127.0.0.1:4470\n"
    "  --count N           end after N replies\n"
    "  --type TYPE         of the replies; default roundhouse.cli.replied\n"
    "  --content-type TYPE of their data; default application/json or text/plain, by what it is\n";

static const char reply_usage_rest[] =
    "\n"
    "Without --queue each `reply` on a PATTERN answers by itself, and the requester takes the first reply; "
    "with\n"
    "--queue NAME --group several share the requests. A command that ends with another status than 0 gives "
    "no reply:\n"
    "the request is tried again, or with 65 refused (a dead letter). A reply that comes when nobody waits "
    "for "
    "it any\n"
    "more is told.\n"
    "\n"
    "On standard error: `answering NAME` when it is in force. SIGINT and SIGTERM end it with status 0.\n"
    "\n"
    "Examples:\n"
    "  roundhouse reply @pricing --exec './price'\n"
    "  roundhouse reply 'stock.query' --queue stock --group --exec 'jq .article | xargs ./stock'\n"
    "  roundhouse reply ping --echo\n"
    "\n"
    "Exit status: 0 ended as asked, 64 usage, 65 refused, 69 server unavailable, 70 internal.\n";

enum reply_option {
    REPLY_SERVER = 256,
    REPLY_COUNT,
    REPLY_EXEC,
    REPLY_ECHO,
    REPLY_DATA,
    REPLY_FILE,
    REPLY_TYPE,
    REPLY_CONTENT_TYPE,
};

static const struct option reply_long_options[] = {
    {"server", required_argument, NULL, REPLY_SERVER},
    {"count", required_argument, NULL, REPLY_COUNT},
    {"exec", required_argument, NULL, REPLY_EXEC},
    {"echo", no_argument, NULL, REPLY_ECHO},
    {"data", required_argument, NULL, REPLY_DATA},
    {"file", required_argument, NULL, REPLY_FILE},
    {"type", required_argument, NULL, REPLY_TYPE},
    {"content-type", required_argument, NULL, REPLY_CONTENT_TYPE},
    QUEUE_ARGS_OPTIONS,
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct reply {
    const char *server;
    uint64_t count; /* 0 = no end */
    struct queue_args queue;
    char **patterns; /* borrows from argv */
    size_t pattern_count;
    unsigned hows; /* how many ways to answer were given */
    const char *exec, *text, *file;
    bool echo;
    const char *type, *contenttype;
    uint8_t *data; /* owns; of --file */
    size_t data_length;
    char name[8 + EVENT_ARGS_ID_BYTES]; /* of a queue of our own */
    bool help;

    rh_client *client;
    struct loop_link link;
    struct exec executor;
    sigset_t while_waiting;
    uint64_t answered;
    bool in_force; /* the queue was joined */
    bool ended;
    int status;
};

/* ---- arguments ---- */

static int reply_option(struct reply *reply, int option, const char *text) {
    reply->hows += option >= REPLY_EXEC && option <= REPLY_FILE;
    switch (option) {
    case REPLY_SERVER:
        reply->server = text;
        return CLI_OK;
    case REPLY_COUNT:
        if (args_number(text, 1, UINT64_MAX, &reply->count))
            return CLI_OK;
        return args_mistake("reply", "--count is a whole number from 1 on, not '%s'", text);
    case REPLY_EXEC:
        reply->exec = text;
        return CLI_OK;
    case REPLY_ECHO:
        reply->echo = true;
        return CLI_OK;
    case REPLY_DATA:
        reply->text = text;
        return CLI_OK;
    case REPLY_FILE:
        reply->file = text;
        return CLI_OK;
    case REPLY_TYPE:
        reply->type = text;
        return CLI_OK;
    case REPLY_CONTENT_TYPE:
        reply->contenttype = text;
        return CLI_OK;
    case 'h':
        reply->help = true;
        fputs(reply_usage, stdout);
        fputs(queue_args_usage, stdout);
        fputs(reply_usage_rest, stdout);
        return CLI_OK;
    default:
        return queue_args_take(&reply->queue, "reply", option, text);
    }
}

/* Requests that come faster than they are answered wait in a queue, of our own if none is named. */
static int reply_queue(struct reply *reply) {
    rh_queue *queue = &reply->queue.queue;
    int status = queue_args_settle(&reply->queue, "reply", reply->patterns, &reply->pattern_count);
    if (status != CLI_OK)
        return status;
    if (reply->exec != NULL && queue->window > 1)
        return args_mistake("reply", "--exec takes one request at a time: leave --window out");
    if (reply->exec != NULL)
        queue->window = 1;
    if (queue->name != NULL)
        return CLI_OK;
    char id[EVENT_ARGS_ID_BYTES];
    event_args_id(id);
    (void)snprintf(reply->name, sizeof reply->name, "reply-%s", id);
    queue->name = reply->name;
    queue->ephemeral = true;
    return CLI_OK;
}

static int reply_patterns(struct reply *reply, int count, char **patterns) {
    if (count == 0 && reply->queue.queue.name == NULL)
        return args_mistake("reply", "a mailbox @NAME or a PATTERN is missing; see roundhouse reply --help");
    if (count > (int)SUBSCRIBE_PATTERNS_MAX)
        return args_mistake("reply", "more than %u patterns", SUBSCRIBE_PATTERNS_MAX);
    if (reply->hows != 1)
        return args_mistake("reply", "say how to answer, by one of --exec, --echo, --data and --file");
    for (int i = 0; i < count; i++) {
        struct fault fault;
        if (!pattern_valid((const uint8_t *)patterns[i], strlen(patterns[i]), &fault))
            return args_mistake("reply", "'%s' is no pattern: %s", patterns[i], fault.text);
    }
    reply->patterns = patterns;
    reply->pattern_count = (size_t)count;
    int status = reply_queue(reply);
    if (status == CLI_OK && reply->file != NULL)
        status = event_args_read("reply", reply->file, &reply->data, &reply->data_length);
    return status;
}

static int reply_read(struct reply *reply, int argc, char **argv) {
    int option, status = CLI_OK;
    opterr = 0;
    optind = 1;
    while (status == CLI_OK && !reply->help &&
           (option = getopt_long(argc, argv, ":h", reply_long_options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return args_option_mistake("reply", option, argv);
        status = reply_option(reply, option, optarg);
    }
    if (status != CLI_OK || reply->help)
        return status;
    return reply_patterns(reply, argc - optind, argv + optind);
}

/* ---- answering ---- */

/* Makes the event of the reply and publishes it. False: not now, or not at all. */
static bool reply_send(void *user, const rh_event *request, const uint8_t *data, size_t length) {
    struct reply *reply = user;
    struct fault fault;
    uint8_t *event;
    size_t event_length;
    char id[EVENT_ARGS_ID_BYTES];
    struct event_parts parts = {.id = id,
                                .source = "/roundhouse/cli",
                                .type = reply->type != NULL ? reply->type : "roundhouse.cli.replied",
                                .time_ns = clock_wall_ns(),
                                .data = data,
                                .data_length = length};
    event_args_id(id);
    parts.contenttype = reply->contenttype != NULL ? reply->contenttype : event_args_type(&parts);
    if (!event_build(&parts, &event, &event_length, &fault)) {
        fprintf(stderr, "roundhouse reply: this can be no event: %s\n", fault.text);
        return false;
    }
    int64_t result = rh_reply(reply->client, request, event, event_length);
    free(event);
    if (result < 0)
        fprintf(stderr, "roundhouse reply: %s\n",
                result == RH_FULL ? "the connection is full, it is tried again"
                                  : rh_client_error(reply->client));
    reply->answered += result > 0;
    reply->ended = reply->ended || (reply->count != 0 && reply->answered >= reply->count);
    return result != RH_FULL && result != RH_NO_MEMORY;
}

static void reply_on_event(void *user, uint64_t subscription, const rh_event *event) {
    struct reply *reply = user;
    struct attribute to;
    const uint8_t *data = (const uint8_t *)"";
    size_t length = 0;
    uint32_t kind;
    if (reply->ended)
        return; /* it goes to others, or comes again */
    (void)event_data(event->event, event->event_length, &data, &length, &kind);
    if (!attribute_find(event->event, event->event_length, "replyto", &to)) {
        fprintf(stderr, "roundhouse reply: an event on %.*s is no request, it has no replyto\n",
                (int)event->topic_length, event->topic);
        (void)rh_ack_refuse(reply->client, subscription, event->delivery, "no request: it has no replyto");
        return;
    }
    if (reply->exec != NULL) {
        int result = exec_take(&reply->executor, subscription, event, data, length);
        if (result == 0)
            return;
        fprintf(stderr, "roundhouse reply: the command can not be run: %s\n", strerror(-result));
        reply->status = CLI_INTERNAL;
        return;
    }
    if (!reply->echo) {
        data = reply->text != NULL ? (const uint8_t *)reply->text : reply->data;
        length = reply->text != NULL ? strlen(reply->text) : reply->data_length;
    }
    if (reply_send(reply, event, data, length))
        (void)rh_ack_done(reply->client, subscription, event->delivery);
    else
        (void)rh_ack_retry(reply->client, subscription, event->delivery, 0, "the reply could not be sent");
}

static void reply_on_ack(void *user, const rh_ack *ack) {
    (void)user;
    for (size_t i = 0; i < ack->refused_count; i++)
        fprintf(stderr, "roundhouse reply: a reply was refused: %s (%s)\n", ack->refused[i].text,
                rh_code_name((enum rh_code)ack->refused[i].code));
}

static void reply_on_subscribed(void *user, uint64_t subscription) {
    struct reply *reply = user;
    (void)subscription;
    fputs(reply->in_force ? "answering again" : "answering", stderr);
    if (reply->queue.queue.name != reply->name)
        fprintf(stderr, " %s", reply->queue.queue.name);
    for (size_t i = 0; i < reply->pattern_count; i++)
        fprintf(stderr, " %s", reply->patterns[i]);
    fputc('\n', stderr);
    reply->in_force = true;
}

static void reply_on_state(void *user, enum rh_state state, const char *why) {
    loop_link_state(&((struct reply *)user)->link, state, why);
}

static void reply_on_error(void *user, int code, const char *text, bool fatal, uint64_t subscription) {
    struct reply *reply = user;
    if (fatal)
        return; /* the end of the connection tells it, too */
    const char *hint = reply->in_force ? NULL : queue_args_hint(&reply->queue, code);
    fprintf(stderr, "error: %s (%s)\n", text, rh_code_name((enum rh_code)code));
    if (hint != NULL)
        fprintf(stderr, "roundhouse reply: %s\n", hint);
    if (subscription != 0 && !rh_subscribed(reply->client, (int64_t)subscription))
        reply->status = CLI_DATA;
}

/* ---- the loop ---- */

static bool reply_goes_on(const struct reply *reply) {
    return !reply->ended && reply->status == CLI_OK && reply->link.status == CLI_OK && loop_signalled == 0;
}

static void reply_turn(struct reply *reply) {
    struct pollfd ready[2];
    int most_ms, result = exec_work(&reply->executor);
    if (result != 0) {
        fprintf(stderr, "roundhouse reply: the command can not be run: %s\n", strerror(-result));
        reply->status = CLI_INTERNAL;
    }
    if (!reply_goes_on(reply))
        return;
    size_t count = exec_poll(&reply->executor, ready, &most_ms);
    loop_wait(reply->client, ready, count, most_ms, &reply->while_waiting);
}

static int reply_loop(struct reply *reply) {
    int result = RH_OK;
    loop_catch_signals(&reply->while_waiting);
    while (result == RH_OK && reply_goes_on(reply)) {
        result = rh_process(reply->client);
        if (result == RH_OK)
            reply_turn(reply);
    }
    exec_stop(&reply->executor);
    loop_farewell(reply->client);
    if (reply->link.status != CLI_OK)
        return reply->link.status;
    if (reply->status != CLI_OK || reply->ended || loop_signalled != 0)
        return reply->status;
    fprintf(stderr, "roundhouse reply: %s\n", rh_client_error(reply->client));
    return result == RH_REFUSED ? CLI_DATA : CLI_UNAVAILABLE;
}

static int reply_run(struct reply *reply) {
    const char *error;
    rh_options options = {.server = reply->server,
                          .name = "roundhouse reply",
                          .ack = RH_ACK_ROUTED,
                          .send_buffer_bytes = 2 * FRAME_BYTES_MAX, /* address space; used as it is needed */
                          .callbacks = {.on_event = reply_on_event,
                                        .on_ack = reply_on_ack,
                                        .on_subscribed = reply_on_subscribed,
                                        .on_state = reply_on_state,
                                        .on_error = reply_on_error},
                          .user = reply};
    reply->client = rh_client_new(&options, &error);
    if (reply->client == NULL)
        return args_no_client("reply", reply->server, error);
    exec_init(&reply->executor);
    reply->executor.command = reply->exec;
    reply->executor.program = "reply";
    reply->executor.client = reply->client;
    reply->executor.capture = true;
    reply->executor.ended = reply_send;
    reply->executor.user = reply;
    int64_t id = rh_join(reply->client, (const char *const *)reply->patterns, reply->pattern_count,
                         &reply->queue.queue);
    int status = id > 0 ? reply_loop(reply) : CLI_INTERNAL;
    if (id == RH_INVALID)
        status = args_mistake("reply", "%s", rh_client_error(reply->client));
    rh_client_free(reply->client);
    return status;
}

int reply_command(int argc, char **argv) {
    struct reply reply = {.link.command = "reply", .status = CLI_OK};
    int status = reply_read(&reply, argc, argv);
    if (status == CLI_OK && !reply.help)
        status = reply_run(&reply);
    free(reply.data);
    return status;
}
