#include "core/cli/request.h"

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/base/topic.h"
#include "core/cli/args.h"
#include "core/cli/cli.h"
#include "core/cli/event_args.h"
#include "core/cli/loop.h"
#include "core/cli/show.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REQUEST_NS_MAX  (24u * 3600u * NS_PER_S)
#define REQUEST_NS_THAN (30u * NS_PER_S) /* when nothing is said */

static const char request_usage[] =
    "usage: roundhouse request [OPTION...] TOPIC|@NAME DATA       ask, and print the data of the reply\n"
    "       roundhouse request [OPTION...] TOPIC|@NAME -          ... with the data from standard input\n"
    "       roundhouse request [OPTION...] TOPIC|@NAME --file F   ... or from a file\n"
    "\n"
    "Publishes one event with the attributes replyto, correlationid and expirytime, and waits for the event "
    "that\n"
    "answers it. Whoever answers runs `roundhouse reply`, or a program with the client library. When several "
    "answer,\n"
    "the first reply counts.\n"
    "\n"
    "  --server HOST:PORT      default 127.0.0.1:4470\n"
    "  --timeout T             how long to wait, such as 500ms or 2m; default 30s\n"
    "  --format raw|json|text  of the reply: its data as it is and a line end (default), a line of JSON, or "
    "a "
    "line for\n"
    "                          people\n"
    "  --type TYPE             of the event that asks; default roundhouse.cli.requested\n"
    "  --source SOURCE         of it, a URI reference; default /roundhouse/cli\n"
    "  --subject SUBJECT       of it; default none\n"
    "  --content-type TYPE     of its data; default application/json or text/plain, by what it is\n"
    "\n"
    "Examples:\n"
    "  roundhouse request @pricing '{\"article\": 4711}'\n"
    "  roundhouse request --timeout 2s stock.query '{\"article\": 4711}' | jq .available\n"
    "\n"
    "Exit status: 0 a reply came, 64 usage, 65 refused (there is no such mailbox, or it is full),\n"
    "69 no reply in time, or server unavailable, 70 internal.\n";

enum request_option {
    REQUEST_SERVER = 256,
    REQUEST_TIMEOUT,
    REQUEST_FORMAT,
    REQUEST_FILE,
    REQUEST_TYPE,
    REQUEST_SOURCE,
    REQUEST_SUBJECT,
    REQUEST_CONTENT_TYPE,
};

static const struct option request_long_options[] = {
    {"server", required_argument, NULL, REQUEST_SERVER},
    {"timeout", required_argument, NULL, REQUEST_TIMEOUT},
    {"format", required_argument, NULL, REQUEST_FORMAT},
    {"file", required_argument, NULL, REQUEST_FILE},
    {"type", required_argument, NULL, REQUEST_TYPE},
    {"source", required_argument, NULL, REQUEST_SOURCE},
    {"subject", required_argument, NULL, REQUEST_SUBJECT},
    {"content-type", required_argument, NULL, REQUEST_CONTENT_TYPE},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct request {
    const char *server;
    const char *topic;
    const char *file; /* of the data; NULL = an argument */
    uint64_t timeout_ms;
    enum show_format format;
    struct event_parts parts;
    char id[EVENT_ARGS_ID_BYTES];
    uint8_t *data;  /* owns */
    uint8_t *event; /* owns */
    size_t event_length;
    bool help;

    rh_client *client;
    struct loop_link link;
    struct out out;
    bool ended;
    int status;
};

/* ---- arguments ---- */

static int request_timeout(struct request *request, const char *text) {
    uint64_t ns;
    if (!args_duration(text, &ns) || ns < NS_PER_MS || ns > REQUEST_NS_MAX)
        return args_mistake("request", "--timeout is a time from 1ms to 24h, such as 500ms or 2m, not '%s'",
                            text);
    request->timeout_ms = ns / NS_PER_MS;
    return CLI_OK;
}

static int request_option(struct request *request, int option, const char *text) {
    switch (option) {
    case REQUEST_SERVER:
        request->server = text;
        return CLI_OK;
    case REQUEST_TIMEOUT:
        return request_timeout(request, text);
    case REQUEST_FORMAT:
        return show_format_read("request", text, &request->format);
    case REQUEST_FILE:
        request->file = text;
        return CLI_OK;
    case REQUEST_TYPE:
        request->parts.type = text;
        return CLI_OK;
    case REQUEST_SOURCE:
        request->parts.source = text;
        return CLI_OK;
    case REQUEST_SUBJECT:
        request->parts.subject = text;
        return CLI_OK;
    case REQUEST_CONTENT_TYPE:
        request->parts.contenttype = text;
        return CLI_OK;
    default:
        request->help = true;
        fputs(request_usage, stdout);
        return CLI_OK;
    }
}

static int request_data(struct request *request, const char *text) {
    struct event_parts *parts = &request->parts;
    if (request->file == NULL && strcmp(text, "-") == 0)
        request->file = "-";
    if (request->file != NULL) {
        int status = event_args_read("request", request->file, &request->data, &parts->data_length);
        parts->data = request->data;
        return status;
    }
    parts->data = (const uint8_t *)text;
    parts->data_length = strlen(text);
    return CLI_OK;
}

static int request_arguments(struct request *request, int count, char **arguments) {
    struct fault fault;
    int wanted = request->file != NULL ? 1 : 2;
    if (count < wanted)
        return args_mistake("request", "%s is missing; see roundhouse request --help",
                            count == 0 ? "a TOPIC or a mailbox @NAME" : "DATA (or --file, or -)");
    if (count > wanted)
        return args_mistake("request", "'%s' is one argument too many; data with blanks needs quotes",
                            arguments[wanted]);
    request->topic = arguments[0];
    if (!topic_valid((const uint8_t *)request->topic, strlen(request->topic), &fault))
        return args_mistake("request", "'%s' is no topic: %s", request->topic, fault.text);
    return request_data(request, wanted == 2 ? arguments[1] : NULL);
}

static int request_event(struct request *request) {
    struct event_parts *parts = &request->parts;
    struct fault fault;
    event_args_id(request->id);
    parts->id = request->id;
    parts->time_ns = clock_wall_ns();
    parts->type = parts->type != NULL ? parts->type : "roundhouse.cli.requested";
    parts->source = parts->source != NULL ? parts->source : "/roundhouse/cli";
    if (parts->contenttype == NULL)
        parts->contenttype = event_args_type(parts);
    if (event_build(parts, &request->event, &request->event_length, &fault))
        return CLI_OK;
    (void)args_mistake("request", "this can be no event: %s%s%s", fault.text,
                       fault.field != NULL ? ", field " : "", fault.field != NULL ? fault.field : "");
    return CLI_DATA;
}

static int request_read(struct request *request, int argc, char **argv) {
    int option, status = CLI_OK;
    opterr = 0;
    optind = 1;
    while (status == CLI_OK && !request->help &&
           (option = getopt_long(argc, argv, ":h", request_long_options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return args_option_mistake("request", option, argv);
        status = request_option(request, option, optarg);
    }
    if (status == CLI_OK && !request->help)
        status = request_arguments(request, argc - optind, argv + optind);
    return status == CLI_OK && !request->help ? request_event(request) : status;
}

/* ---- asking ---- */

static void request_on_state(void *user, enum rh_state state, const char *why) {
    loop_link_state(&((struct request *)user)->link, state, why);
}

static void request_on_error(void *user, int code, const char *text, bool fatal, uint64_t subscription) {
    (void)user, (void)subscription;
    if (!fatal) /* else the end of the connection tells it, too */
        fprintf(stderr, "error: %s (%s)\n", text, rh_code_name((enum rh_code)code));
}

static void request_on_reply(void *user, int code, const char *text, const rh_event *reply) {
    struct request *request = user;
    struct fault fault;
    request->ended = true;
    if (reply != NULL) {
        if (show_event(request->out.stream, request->format, reply, &fault))
            return;
        fprintf(stderr, "roundhouse request: the reply can not be shown: %s\n", fault.text);
        request->status = CLI_DATA;
        return;
    }
    request->status = code == RH_CODE_DEADLINE || code == RH_CODE_UNAVAILABLE ? CLI_UNAVAILABLE : CLI_DATA;
    if (code == RH_CODE_DEADLINE)
        fprintf(stderr,
                "roundhouse request: no reply within %g s: nobody answers on %s, or it takes longer than "
                "--timeout\n",
                (double)request->timeout_ms / 1000, request->topic);
    else if (request->link.status == CLI_OK)
        fprintf(stderr, "roundhouse request: %s (%s)\n", text, rh_code_name((enum rh_code)code));
}

static int request_loop(struct request *request) {
    sigset_t while_waiting;
    int result = RH_OK;
    loop_catch_signals(&while_waiting);
    while (result == RH_OK && !request->ended && request->link.status == CLI_OK && loop_signalled == 0) {
        result = rh_process(request->client);
        if (result == RH_OK && !request->ended && request->link.status == CLI_OK)
            loop_wait(request->client, NULL, 0, -1, &while_waiting);
    }
    if (request->link.status != CLI_OK)
        return request->link.status;
    if (result == RH_REFUSED)
        return CLI_DATA;
    if (request->status != CLI_OK || !request->ended)
        return request->status;
    return loop_flush(&request->out, "request", &while_waiting) == LOOP_FAILED ? CLI_INTERNAL : CLI_OK;
}

static int request_run(struct request *request) {
    const char *error;
    rh_options options = {.server = request->server,
                          .name = "roundhouse request",
                          .ack = RH_ACK_ROUTED,
                          .send_buffer_bytes = 2 * request->event_length + 64 * KIB,
                          .callbacks = {.on_state = request_on_state, .on_error = request_on_error},
                          .user = request};
    request->client = rh_client_new(&options, &error);
    if (request->client == NULL)
        return args_no_client("request", request->server, error);
    int64_t number =
        rh_request(request->client, request->topic, strlen(request->topic), request->event,
                   request->event_length, (uint32_t)request->timeout_ms, request_on_reply, request);
    int status = CLI_DATA;
    if (number > 0)
        status = request_loop(request);
    else
        (void)args_mistake("request", "%s", rh_client_error(request->client));
    rh_client_free(request->client);
    return status;
}

int request_command(int argc, char **argv) {
    struct request request = {.timeout_ms = REQUEST_NS_THAN / NS_PER_MS,
                              .format = SHOW_RAW,
                              .link.command = "request",
                              .status = CLI_OK};
    int status = request_read(&request, argc, argv);
    if (status == CLI_OK && !request.help) {
        if (out_init(&request.out, STDOUT_FILENO) == 0)
            status = request_run(&request);
        else
            status = (args_mistake("request", "out of memory"), CLI_INTERNAL);
    }
    out_deinit(&request.out);
    free(request.data);
    free(request.event);
    loop_raise();
    return status;
}
