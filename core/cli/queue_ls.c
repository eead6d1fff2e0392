#include "core/cli/queue_ls.h"

#include "core/cli/args.h"
#include "core/cli/ask.h"
#include "core/cli/cli.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>

#define PATH_ALL "/v1/queues?limit=10000"

static void queue_print(const json_t *queue) {
    const json_t *oldest = json_object_get(queue, "oldest");
    printf("%-24s %-8s %-8s %7lld %9lld %11lld %9lld %9lld %9lld  %s\n", ask_text(queue, "queue"),
           ask_text(queue, "kind"), json_is_true(json_object_get(queue, "durable")) ? "durable" : "volatile",
           ask_number(queue, "members"), ask_number(queue, "behind"), ask_number(queue, "outstanding"),
           ask_number(queue, "held"), ask_number(queue, "done_total"),
           ask_number(queue, "dead_letters_total"), json_is_string(oldest) ? json_string_value(oldest) : "-");
}

static void queues_print(const json_t *answer) {
    const json_t *queues = json_object_get(answer, "queues");
    printf("%-24s %-8s %-8s %7s %9s %11s %9s %9s %9s  %s\n", "QUEUE", "KIND", "KEPT", "MEMBERS", "BEHIND",
           "OUTSTANDING", "HELD", "DONE", "DEAD", "OLDEST");
    for (size_t i = 0; i < json_array_size(queues); i++)
        queue_print(json_array_get(queues, i));
    if (json_is_true(json_object_get(answer, "more")))
        fputs("roundhouse queue: there are more; those with most to do are shown\n", stderr);
}

static int option_take(void *ask, int option, const char *value) {
    return ask_option(ask, option, value) ? CLI_OK : CLI_INTERNAL; /* there are no others */
}

static int options_read(struct ask *ask, const char *usage, int argc, char **argv) {
    static const struct option options[] = {
        ASK_OPTIONS, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    int status = args_options("queue", usage, options, argc, argv, option_take, ask);
    if (status == CLI_OK && optind < argc)
        return args_mistake("queue", "'%s' is one argument too many; see roundhouse queue --help",
                            argv[optind]);
    return status;
}

int queue_ls(const char *usage, int argc, char **argv) {
    struct ask ask = {.command = "queue", .address = ASK_ADDRESS};
    int answered, status = options_read(&ask, usage, argc, argv);
    if (status != CLI_OK)
        return status < 0 ? CLI_OK : status;
    json_t *answer = ask_get(&ask, PATH_ALL, &answered);
    if (answer == NULL || answered != 200) {
        json_decref(answer);
        return CLI_UNAVAILABLE;
    }
    if (!ask.json)
        queues_print(answer);
    json_decref(answer);
    return CLI_OK;
}
