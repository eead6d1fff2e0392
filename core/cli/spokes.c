#include "core/cli/spokes.h"

#include "core/cli/args.h"
#include "core/cli/ask.h"
#include "core/cli/cli.h"
#include "core/spoke/spokes.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char spokes_usage[] =
    "usage: roundhouse spokes apply [OPTION...]    make the router run what the files say now\n"
    "       roundhouse spokes ls [OPTION...]       show what runs, and how it is\n"
    "       roundhouse spokes check FILE...        find every mistake in files\n"
    "       roundhouse spokes test [FILE...]       the same, and run their golden pairs\n"
    "\n"
    "A spoke is a connected system; its file is NAME.yaml in the directory that the router was given by "
    "--spokes "
    "or the\n"
    "key `spokes`. Instead of a FILE a directory of them may be named; `test` takes spokes.d by itself. "
    "SPOKES.md "
    "has every\n"
    "key. Applying is all or nothing: while one file is wrong, everything stays as it was.\n"
    "\n"
    "For apply and ls:\n" ASK_HELP "\n"
    "Examples:\n"
    "  roundhouse spokes test spokes.d && roundhouse spokes apply\n"
    "  roundhouse spokes ls\n"
    "\n"
    "Exit status: 0 done, 64 usage, 69 the router can not be reached, 70 internal, 78 a file is wrong.\n";

static const struct option spokes_options[] = {
    ASK_OPTIONS,
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct spokes_run {
    struct ask ask;
    bool help;
    const char *what;
    char **files; /* borrows from argv */
    int count;
};

/* ---- what needs a router ---- */

static void names_print(const json_t *answer, const char *fate) {
    const json_t *names = json_object_get(answer, fate);
    for (size_t i = 0; i < json_array_size(names); i++)
        printf("%-9s %s\n", fate, json_string_value(json_array_get(names, i)));
}

static void answer_mistakes(const json_t *answer) {
    const json_t *mistakes = json_object_get(answer, "mistakes");
    for (size_t i = 0; i < json_array_size(mistakes); i++) {
        const json_t *mistake = json_array_get(mistakes, i);
        fprintf(stderr, "%s:%lld:%lld: %s\n", ask_text(mistake, "file"), ask_number(mistake, "line"),
                ask_number(mistake, "column"), ask_text(mistake, "text"));
    }
}

static int spokes_apply_run(const struct spokes_run *run) {
    int status;
    json_t *answer = ask_post(&run->ask, "/v1/spokes/apply", NULL, NULL, 0, &status);
    if (answer == NULL)
        return CLI_UNAVAILABLE;
    bool applied = json_is_true(json_object_get(answer, "applied"));
    if (applied && !run->ask.json) {
        names_print(answer, "added");
        names_print(answer, "changed");
        names_print(answer, "removed");
        names_print(answer, "unchanged");
    }
    answer_mistakes(answer);
    if (!applied)
        fprintf(stderr, "roundhouse spokes: nothing was applied, everything stays as it was\n");
    json_decref(answer);
    return applied ? CLI_OK : CLI_CONFIG;
}

static void spoke_print(const json_t *spoke) {
    printf("%-20s %-10s %-9s %9lld %9lld %9lld %9lld %9lld\n", ask_text(spoke, "name"),
           ask_text(spoke, "transport"), ask_text(spoke, "state"), ask_number(spoke, "documents"),
           ask_number(spoke, "published"), ask_number(spoke, "delivered"), ask_number(spoke, "retried"),
           ask_number(spoke, "refused"));
    if (ask_text(spoke, "error")[0] != '\0')
        printf("  %s\n", ask_text(spoke, "error"));
}

static int spokes_list_run(const struct spokes_run *run) {
    int status;
    json_t *answer = ask_get(&run->ask, "/v1/spokes", &status);
    if (answer == NULL)
        return CLI_UNAVAILABLE;
    const json_t *spokes = json_object_get(answer, "spokes");
    if (!run->ask.json)
        printf("%-20s %-10s %-9s %9s %9s %9s %9s %9s\n", "NAME", "TRANSPORT", "STATE", "DOCS IN", "PUBLISHED",
               "DELIVERED", "RETRIED", "REFUSED");
    for (size_t i = 0; !run->ask.json && i < json_array_size(spokes); i++)
        spoke_print(json_array_get(spokes, i));
    json_decref(answer);
    return CLI_OK;
}

/* ---- what needs none ---- */

static bool file_try(const char *path, bool pairs, struct config_mistakes *mistakes) {
    struct spoke_spec *spec = spokes_try(path, pairs, mistakes);
    uint32_t shown = mistakes->count < CONFIG_MISTAKES_MAX ? mistakes->count : CONFIG_MISTAKES_MAX;
    for (uint32_t i = 0; i < shown; i++)
        fprintf(stderr, "%s:%u:%u: %s\n", path, mistakes->list[i].line, mistakes->list[i].column,
                mistakes->list[i].text);
    if (spec != NULL && pairs)
        printf("%s: no mistakes, golden pairs: %u\n", path, spec->tests_count);
    else if (spec != NULL)
        printf("%s: no mistakes\n", path);
    bool right = spec != NULL;
    spoke_spec_free(spec);
    return right;
}

/* All of a directory, or one file. */
static int path_try(const char *path, bool pairs, struct config_mistakes *mistakes) {
    struct stat about;
    if (stat(path, &about) != 0 || !S_ISDIR(about.st_mode))
        return file_try(path, pairs, mistakes) ? CLI_OK : CLI_CONFIG;
    char **files;
    int count = spokes_files(path, &files);
    if (count < 0) {
        fprintf(stderr, "roundhouse spokes: %s can not be read: %s\n", path, strerror(errno));
        return CLI_CONFIG;
    }
    int status = CLI_OK;
    for (int i = 0; i < count; i++) {
        if (!file_try(files[i], pairs, mistakes))
            status = CLI_CONFIG;
        free(files[i]);
    }
    free(files);
    return status;
}

static int spokes_try_run(const struct spokes_run *run, bool pairs) {
    static char directory[] = "spokes.d";
    char *own[] = {directory};
    bool given = run->count > 0;
    struct config_mistakes *mistakes = calloc(1, sizeof *mistakes);
    if (mistakes == NULL)
        return CLI_INTERNAL;
    int status = CLI_OK;
    for (int i = 0; i < (given ? run->count : 1); i++) {
        int one = path_try(given ? run->files[i] : own[i], pairs, mistakes);
        status = one != CLI_OK ? one : status;
    }
    free(mistakes);
    return status;
}

/* ---- the command ---- */

static int spokes_arguments(struct spokes_run *run, int argc, char **argv) {
    int option;
    opterr = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, ":h", spokes_options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return args_option_mistake("spokes", option, argv);
        if (!ask_option(&run->ask, option, optarg))
            run->help |= option == 'h';
    }
    if (run->help)
        return CLI_OK;
    if (optind == argc)
        return args_mistake("spokes", "apply, ls, check or test is missing; see roundhouse spokes --help");
    run->what = argv[optind];
    run->files = argv + optind + 1;
    run->count = argc - optind - 1;
    return CLI_OK;
}

int spokes_command(int argc, char **argv) {
    struct spokes_run run = {.ask = {.command = "spokes", .address = ASK_ADDRESS}, .what = ""};
    int status = spokes_arguments(&run, argc, argv);
    if (status != CLI_OK)
        return status;
    if (run.help) {
        fputs(spokes_usage, stdout);
        return CLI_OK;
    }
    bool apply = strcmp(run.what, "apply") == 0, list = strcmp(run.what, "ls") == 0;
    if ((apply || list) && run.count > 0)
        return args_mistake("spokes", "'%s' is one argument too many; see roundhouse spokes --help",
                            run.files[0]);
    if (apply)
        return spokes_apply_run(&run);
    if (list)
        return spokes_list_run(&run);
    if (strcmp(run.what, "test") == 0)
        return spokes_try_run(&run, true);
    if (strcmp(run.what, "check") != 0)
        return args_mistake("spokes", "it is apply, ls, check or test, not '%s'", run.what);
    if (run.count == 0)
        return args_mistake("spokes", "the name of a FILE is missing; see roundhouse spokes --help");
    return spokes_try_run(&run, false);
}
