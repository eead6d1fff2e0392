#include "core/cli/routes.h"

#include "codecs/event/json.h"
#include "core/cli/args.h"
#include "core/cli/cli.h"
#include "core/config/file.h"
#include "core/routes/flow.h"
#include "core/routes/routes.h"
#include "core/routes/ruleset.h"
#include "core/routes/trial.h"

#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char routes_usage[] =
    "usage: roundhouse routes check FILE...\n"
    "       roundhouse routes test FILE EVENT [TOPIC]\n"
    "       roundhouse routes run [--server HOST:PORT] [--disk] FILE|DIRECTORY\n"
    "\n"
    "Rules say what becomes of events: routes.d/NAME.yaml has those of one purpose.\n"
    "\n"
    "  check   finds every mistake in files of rules, and runs their golden pairs\n"
    "  test    says for each rule whether it matches an event, and prints what would be published: topic "
    "and\n"
    "          CloudEvent. EVENT is a file with a CloudEvent in JSON, - is standard input; TOPIC (default: "
    "test) is\n"
    "          the one it comes on\n"
    "  run     applies them to what a router has, until it is ended by SIGINT or SIGTERM, and then says how\n"
    "          much there was; --disk: the router has a journal, so that their queues are durable, and what\n"
    "          they publish counts when it is on disk\n"
    "\n"
    "Exit status: 0 all is right, 64 usage, 65 the event is none or a rule has failed, 70 internal, 78 a "
    "file of rules\n"
    "is wrong.\n";

static void mistake_print(void *user, const char *path, const struct config_mistake *mistake) {
    (void)user;
    if (mistake->line > 0)
        fprintf(stderr, "%s:%" PRIu32 ":%" PRIu32 ": %s\n", path, mistake->line, mistake->column,
                mistake->text);
    else
        fprintf(stderr, "%s: %s\n", path, mistake->text);
}

/* NULL: told. */
static struct ruleset *set_read(const char *path) {
    struct config_mistakes *mistakes = calloc(1, sizeof *mistakes);
    struct ruleset *set = mistakes != NULL ? ruleset_read(path, mistakes) : NULL;
    for (uint32_t i = 0; mistakes != NULL && i < mistakes->count && i < CONFIG_MISTAKES_MAX; i++)
        mistake_print(NULL, path, &mistakes->list[i]);
    free(mistakes);
    return set;
}

static struct jq *jq_start_for(const struct ruleset *set) {
    char why[400];
    struct jq *jq = ruleset_jq(set, NULL, why, sizeof why);
    if (jq == NULL)
        fprintf(stderr, "%s: %s\n", set->path, why);
    return jq;
}

/* ---- check ---- */

static int file_check(const char *path) {
    char why[500];
    struct ruleset *set = set_read(path);
    if (set == NULL)
        return CLI_CONFIG;
    struct jq *jq = jq_start_for(set);
    uint32_t wrong = jq == NULL;
    for (uint32_t i = 0; jq != NULL && i < set->tests_count; i++)
        if (!trial_golden(set, jq, i, why, sizeof why)) {
            fprintf(stderr, "%s:%" PRIu32 ":%" PRIu32 ": this test fails: %s\n", path, set->tests[i].line,
                    set->tests[i].column, why);
            wrong++;
        }
    if (wrong == 0)
        printf("%s: no mistakes: %" PRIu32 " rules, %" PRIu32 " tables, %" PRIu32 " tests\n", path,
               set->rules_count, set->tables_count, set->tests_count);
    jq_free(jq);
    ruleset_free(set);
    return wrong == 0 ? CLI_OK : CLI_CONFIG;
}

static int check_command(int argc, char **argv) {
    int status = CLI_OK;
    if (argc < 2)
        return args_mistake("routes check", "name the files to check");
    for (int i = 1; i < argc; i++) {
        int result = file_check(argv[i]);
        status = result != CLI_OK ? result : status;
    }
    return status;
}

/* ---- test ---- */

static void on_event(void *user, const struct trial_event *event) {
    struct bytes *out = user;
    char *text = trial_text(event->event, event->length);
    bytes_text(out, event->topic);
    bytes_text(out, " ");
    bytes_text(out, text != NULL ? text : "");
    bytes_text(out, "\n");
    free(text);
}

static int event_test(const struct ruleset *set, struct jq *jq, const uint8_t *event, size_t length,
                      const char *topic) {
    static const char *const words[] = {"not asked", "no", "matches"};
    enum apply_matched matched[RULESET_RULES_MAX] = {APPLY_NOT_ASKED};
    struct bytes out = {0};
    char why[500];
    bool right = trial_run(set, jq, event, length, topic, matched, on_event, &out, why, sizeof why);
    if (!right)
        fprintf(stderr, "%s: %s\n", set->path, why);
    for (uint32_t i = 0; right && i < set->rules_count; i++)
        printf("%s: %s\n", set->rules[i].name, words[matched[i]]);
    if (right)
        (void)fwrite(out.data, 1, out.length, stdout);
    bytes_free(&out);
    return right ? CLI_OK : CLI_DATA;
}

static int test_command(int argc, char **argv) {
    struct fault fault;
    char *text = NULL;
    uint8_t *event;
    size_t length, event_length;
    if (argc < 3 || argc > 4)
        return args_mistake("routes test", "name a file of rules and a file with an event");
    const char *path = strcmp(argv[2], "-") == 0 ? "/dev/stdin" : argv[2];
    int result = config_file_text(path, RULESET_FILE_BYTES_MAX, &text, &length);
    if (result < 0) {
        fprintf(stderr, "%s: can not be read: %s\n", argv[2], strerror(-result));
        return CLI_DATA;
    }
    bool right = event_from_json(text, length, &event, &event_length, &fault);
    free(text);
    if (!right) {
        fprintf(stderr, "%s: this is no CloudEvent: %s%s%s\n", argv[2], fault.text,
                fault.field != NULL ? ": " : "", fault.field != NULL ? fault.field : "");
        return CLI_DATA;
    }
    int status = CLI_CONFIG;
    struct ruleset *set = set_read(argv[1]);
    struct jq *jq = set != NULL ? jq_start_for(set) : NULL;
    if (jq != NULL)
        status = event_test(set, jq, event, event_length, argc == 4 ? argv[3] : "test");
    jq_free(jq);
    ruleset_free(set);
    free(event);
    return status;
}

/* ---- run ---- */

static void counters_print(const struct routes *routes) {
    for (size_t i = 0; i < routes_count(routes); i++) {
        const struct flow_counters *counters = routes_counters(routes, i);
        printf("%s:", routes_name(routes, i));
#define PRINT(name, kind, help) printf(" " #name " %" PRIu64, counter_get(&counters->name));
        FLOW_COUNTERS(PRINT)
#undef PRINT
        printf("\n");
    }
}

static int run_until_signalled(struct routes *routes, const char *server, bool disk) {
    sigset_t ends;
    int signal;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &ends, NULL); /* before there is a thread */
    int result = routes_start(routes, server, disk, 0);
    if (result != 0) {
        fprintf(stderr, "roundhouse routes run: %s\n", strerror(-result));
        return CLI_INTERNAL;
    }
    for (size_t i = 0; i < routes_count(routes); i++)
        printf("%s%s", i > 0 ? " " : "rules: ", routes_name(routes, i));
    printf("\n");
    (void)fflush(stdout);
    (void)sigwait(&ends, &signal);
    routes_stop(routes);
    counters_print(routes);
    return CLI_OK;
}

static int run_command(int argc, char **argv) {
    static const struct option options[] = {
        {"server", required_argument, NULL, 's'}, {"disk", no_argument, NULL, 'd'}, {NULL, 0, NULL, 0}};
    const char *server = "127.0.0.1:4470";
    bool disk = false;
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, ":s:d", options, NULL)) != -1;) {
        if (option == 's')
            server = optarg;
        else if (option == 'd')
            disk = true;
        else
            return args_option_mistake("routes run", option, argv);
    }
    if (optind + 1 != argc)
        return args_mistake("routes run", "name one file of rules, or a directory of them");
    struct routes *routes = routes_read(argv[optind], mistake_print, NULL);
    if (routes == NULL)
        return CLI_CONFIG;
    int status = CLI_OK;
    if (routes_count(routes) == 0)
        status = args_mistake("routes run", "there is no NAME.yaml in %s", argv[optind]);
    else
        status = run_until_signalled(routes, server, disk);
    routes_free(routes);
    return status;
}

int routes_command(int argc, char **argv) {
    if (argc >= 2 && strcmp(argv[1], "run") == 0)
        return run_command(argc - 1, argv + 1);
    if (argc >= 2 && strcmp(argv[1], "check") == 0)
        return check_command(argc - 1, argv + 1);
    if (argc >= 2 && strcmp(argv[1], "test") == 0)
        return test_command(argc - 1, argv + 1);
    bool help = argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
    fputs(routes_usage, help ? stdout : stderr);
    return help ? CLI_OK : CLI_USAGE;
}
