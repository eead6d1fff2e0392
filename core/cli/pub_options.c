#include "core/cli/pub_options.h"

#include "core/base/limits.h"
#include "core/base/topic.h"
#include "core/cli/args.h"
#include "core/cli/cli.h"
#include "core/cli/event_args.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PUB_DATA_BYTES_MAX FRAME_BYTES_MAX           /* no server takes more */
#define PUB_LINE_BYTES_MAX (FRAME_BYTES_MAX / 2 * 3) /* the same as base64, and its attributes */
#define PUB_TEXT_BYTES_MAX 1024u                     /* of an attribute from the command line */
#define PUB_COUNT_MAX      UINT64_C(1000000000000)

static const char pub_usage[] =
    "usage: roundhouse pub [OPTION...] TOPIC DATA        publish one event\n"
    "       roundhouse pub [OPTION...] TOPIC -           ... with the data from standard input\n"
    "       roundhouse pub [OPTION...] TOPIC --file F    ... or from a file\n"
    "       roundhouse pub --format ndjson [TOPIC]       publish one event per line\n"
    "\n"
    "  --server HOST:PORT    default 127.0.0.1:4470\n"
    "  --file F              take the data (with --format ndjson: the lines) from a file; - is standard "
    "input\n"
    "  --type TYPE           of the event; default roundhouse.cli.published\n"
    "  --source SOURCE       of the event, a URI reference; default /roundhouse/cli\n"
    "  --id ID               of the event; default a random UUID\n"
    "  --subject SUBJECT     of the event; default none\n"
    "  --content-type TYPE   of the data; default application/json when it is JSON, text/plain when it is "
    "other\n"
    "                        text, else none\n"
    "  --binary              put the data into the event as bytes, whatever it is\n"
    "  --count N             publish the event N times; the ids then end in -1, -2, ...\n"
    "  --rate N              at most N events per second\n"
    "  --ack none|routed|disk  default routed: wait until the router has each event in its log in memory; "
    "disk:\n"
    "                        until it is synced in its journal; and exit with a status other than 0 if that "
    "is not\n"
    "                        so for all of them\n"
    "  --format ndjson       each line is {\"topic\": \"...\", \"event\": {...}}, the event in the "
    "CloudEvents JSON\n"
    "                        format; with TOPIC each line is the event alone. Lines come from standard input "
    "or --file;\n"
    "                        blank ones are passed over\n"
    "  --keep-going          pass over bad lines (each is told, and the exit status is 65) instead of "
    "stopping\n"
    "  -q, --quiet           no progress, no summary\n"
    "\n"
    "Ctrl-C or SIGTERM stops it: what it has handed over is still settled and summed up; a second one ends "
    "it at "
    "once.\n"
    "\n"
    "Examples:\n"
    "  roundhouse pub orders.eu.created '{\"order\": 4711}'\n"
    "  roundhouse pub raw.edifact.invoic --file invoice.edi --content-type application/edifact --binary\n"
    "  roundhouse pub load.test hello --count 100000 --rate 5000\n"
    "  roundhouse pub --format ndjson < events.ndjson\n"
    "\n"
    "Exit status: 0 all acknowledged (or, with --ack none, sent), 64 usage, 65 bad data or refused,\n"
    "69 server unavailable, 70 internal.\n";

enum pub_option {
    PUB_SERVER = 256,
    PUB_FILE,
    PUB_TYPE,
    PUB_SOURCE,
    PUB_ID,
    PUB_SUBJECT,
    PUB_CONTENT_TYPE,
    PUB_BINARY,
    PUB_COUNT,
    PUB_RATE,
    PUB_ACK,
    PUB_FORMAT,
    PUB_KEEP_GOING,
    PUB_QUIET,
};

static const struct option pub_long_options[] = {
    {"server", required_argument, NULL, PUB_SERVER},
    {"file", required_argument, NULL, PUB_FILE},
    {"type", required_argument, NULL, PUB_TYPE},
    {"source", required_argument, NULL, PUB_SOURCE},
    {"id", required_argument, NULL, PUB_ID},
    {"subject", required_argument, NULL, PUB_SUBJECT},
    {"content-type", required_argument, NULL, PUB_CONTENT_TYPE},
    {"binary", no_argument, NULL, PUB_BINARY},
    {"count", required_argument, NULL, PUB_COUNT},
    {"rate", required_argument, NULL, PUB_RATE},
    {"ack", required_argument, NULL, PUB_ACK},
    {"format", required_argument, NULL, PUB_FORMAT},
    {"keep-going", no_argument, NULL, PUB_KEEP_GOING},
    {"quiet", no_argument, NULL, PUB_QUIET},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int pub_ack(struct pub_options *options, const char *text) {
    static const char *const levels[] = {
        [RH_ACK_NONE] = "none", [RH_ACK_ROUTED] = "routed", [RH_ACK_DISK] = "disk"};
    for (unsigned i = 0; i < sizeof levels / sizeof levels[0]; i++)
        if (strcmp(text, levels[i]) == 0) {
            options->ack = (enum rh_ack_level)i;
            return CLI_OK;
        }
    return args_mistake("pub", "--ack is none, routed or disk, not '%s'", text);
}

static int pub_text(const char **field, const char *name, const char *text) {
    *field = text;
    if (strlen(text) > PUB_TEXT_BYTES_MAX)
        return args_mistake("pub", "--%s is longer than %u bytes", name, PUB_TEXT_BYTES_MAX);
    return CLI_OK;
}

static int pub_format(struct pub_options *options, const char *text) {
    options->source.kind = SOURCE_LINES;
    if (strcmp(text, "ndjson") == 0)
        return CLI_OK;
    return args_mistake("pub", "--format is ndjson, or is not given; not '%s'", text);
}

/* Options that set an attribute of the one event. */
static int pub_attribute(struct event_parts *parts, int option, const char *text) {
    switch (option) {
    case PUB_TYPE:
        return pub_text(&parts->type, "type", text);
    case PUB_SOURCE:
        return pub_text(&parts->source, "source", text);
    case PUB_ID:
        return pub_text(&parts->id, "id", text);
    case PUB_SUBJECT:
        return pub_text(&parts->subject, "subject", text);
    default:
        return pub_text(&parts->contenttype, "content-type", text);
    }
}

static int pub_number(struct pub_options *options, int option, const char *text) {
    if (option == PUB_COUNT && !args_number(text, 1, PUB_COUNT_MAX, &options->source.count))
        return args_mistake("pub", "--count is a whole number from 1 to a million millions, not '%s'", text);
    if (option == PUB_RATE && !args_rate(text, &options->rate))
        return args_mistake("pub", "--rate is a number of events per second, such as 1000, not '%s'", text);
    return CLI_OK;
}

static int pub_option(struct pub_options *options, int option, const char *text) {
    switch (option) {
    case PUB_SERVER:
        options->server = text;
        return CLI_OK;
    case PUB_FILE:
        options->file_name = text;
        return CLI_OK;
    case PUB_BINARY:
        options->source.parts.binary = true;
        return CLI_OK;
    case PUB_KEEP_GOING:
        options->keep_going = true;
        return CLI_OK;
    case PUB_QUIET:
        options->quiet = true;
        return CLI_OK;
    case PUB_ACK:
        return pub_ack(options, text);
    case PUB_FORMAT:
        return pub_format(options, text);
    case PUB_COUNT:
    case PUB_RATE:
        return pub_number(options, option, text);
    case 'h':
        options->help = true;
        fputs(pub_usage, stdout);
        return CLI_OK;
    default:
        return pub_attribute(&options->source.parts, option, text);
    }
}

/* ---- where the data comes from ---- */

const char *pub_file_name(const struct pub_options *options) {
    return options->file == STDIN_FILENO ? "standard input" : options->file_name;
}

static int pub_open(struct pub_options *options) {
    const char *name = options->file_name;
    if (strcmp(name, "-") == 0) {
        options->file = STDIN_FILENO;
        return CLI_OK;
    }
    options->file = open(name, O_RDONLY | O_CLOEXEC);
    if (options->file >= 0)
        return CLI_OK;
    (void)args_mistake("pub", "%s can not be read: %s", name, strerror(errno));
    return CLI_DATA;
}

static int pub_read(struct pub_options *options) {
    int status = pub_open(options);
    if (status != CLI_OK)
        return status;
    size_t length;
    int result = read_all(options->file, PUB_DATA_BYTES_MAX, &options->data, &length);
    if (result != 0) {
        const char *why = result == -EFBIG ? "more than 64 MiB, no server takes that" : strerror(-result);
        (void)args_mistake("pub", "%s: %s", pub_file_name(options), why);
        return result == -ENOMEM ? CLI_INTERNAL : CLI_DATA;
    }
    options->source.parts.data = options->data;
    options->source.parts.data_length = length;
    return CLI_OK;
}

static int pub_topic(struct pub_options *options, const char *topic) {
    struct fault fault;
    options->source.topic = topic;
    if (topic_valid((const uint8_t *)topic, strlen(topic), &fault))
        return CLI_OK;
    return args_mistake("pub", "'%s' is no topic: %s", topic, fault.text);
}

static int pub_one_event(struct pub_options *options, int count, char **arguments) {
    struct event_parts *parts = &options->source.parts;
    int wanted = options->file_name != NULL ? 1 : 2;
    if (count == 0)
        return args_mistake("pub", "a TOPIC is missing; see roundhouse pub --help");
    if (count < wanted)
        return args_mistake("pub",
                            "DATA is missing: give it after the topic ('' for none), or --file, or - for "
                            "standard input");
    if (count > wanted)
        return args_mistake("pub", "'%s' is one argument too many; %s", arguments[wanted],
                            wanted == 1 ? "the data comes from --file" : "data with blanks needs quotes");
    int status = pub_topic(options, arguments[0]);
    if (status != CLI_OK)
        return status;
    if (wanted == 2 && strcmp(arguments[1], "-") == 0)
        options->file_name = "-";
    if (options->file_name != NULL) {
        status = pub_read(options);
    } else {
        parts->data = (const uint8_t *)arguments[1];
        parts->data_length = strlen(arguments[1]);
    }
    if (parts->contenttype == NULL && status == CLI_OK)
        parts->contenttype = event_args_type(parts);
    return status;
}

static int pub_lines(struct pub_options *options, int count, char **arguments) {
    const struct event_parts *parts = &options->source.parts;
    if (parts->type != NULL || parts->source != NULL || parts->id != NULL || parts->subject != NULL ||
        parts->contenttype != NULL || parts->binary || options->source.count != 0)
        return args_mistake(
            "pub", "with --format ndjson the attributes come from the lines: leave out --type, --source, "
                   "--id, --subject, --content-type, --binary and --count");
    if (count > 1)
        return args_mistake(
            "pub",
            "'%s' is one argument too many; with --format ndjson the events come from standard "
            "input or --file",
            arguments[1]);
    int status = count == 1 ? pub_topic(options, arguments[0]) : CLI_OK;
    if (status != CLI_OK)
        return status;
    options->source.kind = count == 1 ? SOURCE_LINES_TOPIC : SOURCE_LINES;
    if (options->file_name == NULL)
        options->file_name = "-";
    status = pub_open(options);
    if (status == CLI_OK)
        lines_init(&options->source.lines, options->file, PUB_LINE_BYTES_MAX);
    return status;
}

static void pub_defaults(struct pub_options *options) {
    struct event_parts *parts = &options->source.parts;
    if (parts->type == NULL)
        parts->type = "roundhouse.cli.published";
    if (parts->source == NULL)
        parts->source = "/roundhouse/cli";
    if (parts->id == NULL) {
        event_args_id(options->id);
        parts->id = options->id;
    }
    if (options->source.count == 0)
        options->source.count = 1;
}

int pub_options_read(struct pub_options *options, int argc, char **argv) {
    *options = (struct pub_options){.file = -1, .ack = RH_ACK_ROUTED};
    int option, status = CLI_OK;
    opterr = 0;
    optind = 1;
    while (status == CLI_OK && !options->help &&
           (option = getopt_long(argc, argv, ":hq", pub_long_options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return args_option_mistake("pub", option, argv);
        status = pub_option(options, option == 'q' ? PUB_QUIET : option, optarg);
    }
    if (status != CLI_OK || options->help)
        return status;
    if (options->source.kind != SOURCE_PARTS)
        return pub_lines(options, argc - optind, argv + optind);
    if (options->keep_going)
        return args_mistake("pub", "--keep-going goes with --format ndjson");
    status = pub_one_event(options, argc - optind, argv + optind);
    pub_defaults(options);
    return status;
}

void pub_options_deinit(struct pub_options *options) {
    source_deinit(&options->source);
    if (options->file > STDIN_FILENO)
        (void)close(options->file);
    free(options->data);
}
