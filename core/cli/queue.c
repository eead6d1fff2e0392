#include "core/cli/queue.h"

#include "core/base/error.h"
#include "core/cli/args.h"
#include "core/cli/ask.h"
#include "core/cli/cli.h"
#include "core/cli/loop.h"
#include "core/cli/queue_ls.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char queue_usage[] =
    "usage: roundhouse queue ls [OPTION...]            what waits in queues and mailboxes\n"
    "       roundhouse queue rm [OPTION...] QUEUE...   end queues and mailboxes for good\n"
    "\n"
    "ls shows those with most to do first: BEHIND has come and is not given out yet, OUTSTANDING is with "
    "members or\n"
    "will be tried again, HELD is what a mailbox has in all.\n"
    "\n" ASK_HELP "\n"
    "What a queue has not delivered, or was not acknowledged, goes with it, and the router keeps nothing for "
    "it "
    "any more.\n"
    "Senders to a mailbox that is gone are refused. Dead letters stay on their topic; what `roundhouse dlq` "
    "has "
    "noted about\n"
    "them is a queue of its own, dlq.QUEUE.\n"
    "\n"
    "  --server HOST:PORT  default 127.0.0.1:4470\n"
    "  --take-over         also one that has members: they are put out, and told so\n"
    "\n"
    "Examples:\n"
    "  roundhouse queue ls\n"
    "  roundhouse queue rm billing\n"
    "  roundhouse queue rm --take-over @crm\n"
    "\n"
    "Exit status: 0 done, 64 usage, 65 one was refused or is not there, 69 server unavailable, 70 "
    "internal.\n";

#define QUEUE_CONNECT_MS 10000u

enum queue_option { QUEUE_SERVER = 256, QUEUE_TAKE_OVER };

static const struct option queue_long_options[] = {
    {"server", required_argument, NULL, QUEUE_SERVER},
    {"take-over", no_argument, NULL, QUEUE_TAKE_OVER},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct queue_run {
    const char *server;
    char **names; /* borrows from argv */
    int count;
    bool take_over, help;

    rh_client *client;
    int64_t removal; /* that is waited for; 0 = none */
    const char *name;
    sigset_t while_waiting;
    int status;
};

/* ---- arguments ---- */

static int queue_arguments(struct queue_run *run, int count, char **arguments) {
    if (count == 0)
        return args_mistake("queue", "ls or rm is missing; see roundhouse queue --help");
    if (strcmp(arguments[0], "rm") != 0)
        return args_mistake("queue", "it is ls or rm, not '%s'", arguments[0]);
    if (count < 2)
        return args_mistake("queue", "the name of a QUEUE is missing; see roundhouse queue --help");
    run->names = arguments + 1;
    run->count = count - 1;
    return CLI_OK;
}

static int queue_read(struct queue_run *run, int argc, char **argv) {
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":h", queue_long_options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return args_option_mistake("queue", option, argv);
        if (option == QUEUE_SERVER)
            run->server = optarg;
        run->take_over |= option == QUEUE_TAKE_OVER;
        run->help |= option == 'h';
    }
    if (!run->help)
        return queue_arguments(run, argc - optind, argv + optind);
    fputs(queue_usage, stdout);
    return CLI_OK;
}

/* ---- what the client library says ---- */

static void queue_on_removed(void *user, uint64_t removal) {
    struct queue_run *run = user;
    if ((int64_t)removal != run->removal)
        return;
    printf("removed %s\n", run->name);
    run->removal = 0;
}

static void queue_on_error(void *user, int code, const char *text, bool fatal, uint64_t subscription) {
    struct queue_run *run = user;
    if (fatal || (int64_t)subscription != run->removal)
        return; /* the end of the connection tells it, too */
    bool held = code == RH_CODE_UNAVAILABLE && !run->take_over;
    fprintf(stderr, "roundhouse queue: %s: %s (%s)%s\n", run->name, text, rh_code_name((enum rh_code)code),
            held ? "; --take-over does that" : "");
    run->status = CLI_DATA;
    run->removal = 0;
}

/* ---- the work ---- */

static bool queue_until_answered(struct queue_run *run) {
    while (run->removal != 0 && loop_signalled == 0) {
        int result = rh_process(run->client);
        if (result != RH_OK) {
            fprintf(stderr, "roundhouse queue: %s; whether %s is gone is not known\n",
                    rh_client_error(run->client), run->name);
            run->status = result == RH_REFUSED ? CLI_DATA : CLI_UNAVAILABLE;
            return false;
        }
        if (run->removal != 0)
            loop_wait(run->client, NULL, 0, -1, &run->while_waiting);
    }
    return loop_signalled == 0;
}

static bool queue_remove(struct queue_run *run, const char *name) {
    run->name = name;
    run->removal = rh_remove_queue(run->client, name, run->take_over);
    if (run->removal > 0)
        return queue_until_answered(run);
    (void)args_mistake("queue", "%s: %s", name, rh_client_error(run->client));
    run->status = CLI_DATA;
    return true;
}

static int queue_work(struct queue_run *run) {
    const char *error;
    rh_options options = {.server = run->server,
                          .name = "roundhouse queue",
                          .reconnect_off = true,
                          .callbacks = {.on_removed = queue_on_removed, .on_error = queue_on_error},
                          .user = run};
    run->client = rh_client_new(&options, &error);
    if (run->client == NULL)
        return args_no_client("queue", run->server, error);
    loop_catch_signals(&run->while_waiting);
    if (rh_wait_connected(run->client, QUEUE_CONNECT_MS) != RH_OK) {
        fprintf(stderr, "roundhouse queue: %s\n", rh_client_error(run->client));
        run->status = CLI_UNAVAILABLE;
    }
    for (int i = 0; run->status != CLI_UNAVAILABLE && i < run->count; i++)
        if (!queue_remove(run, run->names[i]))
            break;
    loop_farewell(run->client);
    rh_client_free(run->client);
    return run->status;
}

int queue_command(int argc, char **argv) {
    struct queue_run run = {.status = CLI_OK};
    if (argc > 1 && strcmp(argv[1], "ls") == 0)
        return queue_ls(queue_usage, argc - 1, argv + 1);
    int status = queue_read(&run, argc, argv);
    if (status != CLI_OK || run.help)
        return status;
    status = queue_work(&run);
    loop_raise();
    return status;
}
