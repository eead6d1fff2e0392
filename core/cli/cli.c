#include "core/cli/cli.h"

#include "core/bridge/jq_worker.h"
#include "core/cli/config.h"
#include "core/cli/convert.h"
#include "core/cli/dlq.h"
#include "core/cli/doctor.h"
#include "core/cli/explain.h"
#include "core/cli/inspect.h"
#include "core/cli/journal.h"
#include "core/cli/pub.h"
#include "core/cli/queue.h"
#include "core/cli/replay.h"
#include "core/cli/reply.h"
#include "core/cli/request.h"
#include "core/cli/routes.h"
#include "core/cli/serve.h"
#include "core/cli/shards.h"
#include "core/cli/spokes.h"
#include "core/cli/sub.h"
#include "core/cli/top.h"
#include "core/cli/trace.h"

#include "rh_build.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char cli_usage[] =
    "usage: roundhouse COMMAND [OPTION...] [ARGUMENT...]\n"
    "\n"
    "Routes business events: whoever publishes an event on a topic reaches everybody whose pattern matches.\n"
    "\n"
    "  serve          run the router in the foreground\n"
    "  pub            publish events on a topic\n"
    "  sub            print the events of some patterns, of a queue or of a mailbox as they come\n"
    "  request        ask a question and print the reply\n"
    "  reply          answer requests\n"
    "  replay         deliver a stretch of what is kept once more, to one queue or mailbox\n"
    "  dlq            look at dead letters, which nobody could handle; send them again, or drop them\n"
    "  queue          what waits in queues and mailboxes; end one for good\n"
    "  convert        read business documents (EDIFACT, X12, IDoc, UBL) and print them as canonical events\n"
    "  inspect        show the outline of business documents, and what is wrong with them\n"
    "  explain        say who would get an event, and who would not, and why\n"
    "  trace          follow the next events of a pattern: received, appended, on disk, sent\n"
    "  routes         check files of rules, and try them on an event\n"
    "  spokes         apply, list, check and test the files of connected systems\n"
    "  config         check a configuration file; show, compare and change that of a running router\n"
    "  top            shards, busiest topics and slowest subscribers of a running router, each second\n"
    "  shards         what each shard of a running router carries; a better map of slots\n"
    "  doctor         look at this machine and a config: what binds first, what acknowledgements mean\n"
    "  journal        verify, export or cut a journal that no router has open\n"
    "  version        say what was built, and from what\n"
    "  help           this text; `roundhouse help COMMAND` or `roundhouse COMMAND --help` for more\n"
    "\n"
    "A first try, in three terminals:\n"
    "  roundhouse serve\n"
    "  roundhouse sub 'orders.>'\n"
    "  roundhouse pub orders.eu.created '{\"order\": 4711}'\n"
    "\n"
    "Exit status: 0 done, 64 usage, 65 bad or refused data, 69 server unavailable, 70 internal, 78 "
    "configuration.\n";

static int version_command(int argc, char **argv) {
    if (argc > 1) {
        bool help = strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0;
        fputs("usage: roundhouse version\n", help ? stdout : stderr);
        return help ? CLI_OK : CLI_USAGE;
    }
    puts("roundhouse " RH_VERSION " (commit " RH_COMMIT ", " RH_COMPILER ")");
    return CLI_OK;
}

static int help_command(int argc, char **argv);

struct cli_command {
    const char *name;
    int (*run)(int argc, char **argv);
};

static const struct cli_command cli_commands[] = {
    {"serve", serve_command},     {"pub", pub_command},           {"sub", sub_command},
    {"request", request_command}, {"reply", reply_command},       {"dlq", dlq_command},
    {"queue", queue_command},     {"replay", replay_command},     {"config", config_command},
    {"convert", convert_command}, {"inspect", inspect_command},   {"journal", journal_command},
    {"version", version_command}, {"help", help_command},         {"--help", help_command},
    {"-h", help_command},         {"--version", version_command}, {"jq-worker", jq_worker_command},
    {"routes", routes_command},   {"spokes", spokes_command},     {"explain", explain_command},
    {"trace", trace_command},     {"shards", shards_command},     {"doctor", doctor_command},
    {"top", top_command},
};

static const struct cli_command *cli_find(const char *name) {
    for (size_t i = 0; i < sizeof cli_commands / sizeof cli_commands[0]; i++)
        if (strcmp(cli_commands[i].name, name) == 0)
            return &cli_commands[i];
    return NULL;
}

static int cli_unknown(const char *name) {
    fprintf(stderr, "roundhouse: there is no command '%s'; `roundhouse help` lists them\n", name);
    return CLI_USAGE;
}

/* `help pub` is `pub --help`. */
static int help_command(int argc, char **argv) {
    if (argc < 2) {
        fputs(cli_usage, stdout);
        return CLI_OK;
    }
    const struct cli_command *command = cli_find(argv[1]);
    if (command == NULL)
        return cli_unknown(argv[1]);
    if (command->run == help_command)
        return help_command(1, argv);
    char help[] = "--help";
    char *asked[] = {argv[1], help, NULL};
    return command->run(2, asked);
}

/* A standard stream that was closed by whoever started us would be the next socket: a log line would go to a
 * client. What is opened in its place can not be used either, so that its use is an error as before. */
static bool streams_open(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return false;
    return true;
}

int cli_main(int argc, char **argv) {
    if (!streams_open())
        return CLI_INTERNAL;
    if (argc < 2) {
        fputs(cli_usage, stderr);
        return CLI_USAGE;
    }
    const struct cli_command *command = cli_find(argv[1]);
    if (command == NULL)
        return cli_unknown(argv[1]);
    int status = command->run(argc - 1, argv + 1);
    if (status != CLI_OK || (fflush(stdout) == 0 && !ferror(stdout)))
        return status;
    fputs("roundhouse: standard output can not be written\n", stderr);
    return CLI_INTERNAL;
}
