#include "core/cli/config.h"

#include "core/base/limits.h"
#include "core/cli/args.h"
#include "core/cli/ask.h"
#include "core/cli/cli.h"
#include "core/cli/config_check.h"
#include "core/config/file.h"

#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: roundhouse config check FILE               find every mistake in a file; asks no router\n"
    "       roundhouse config show [OPTION...]         every key of a running router: its value, where that "
    "is\n"
    "                                                  from, and whether it is live or needs a restart\n"
    "       roundhouse config diff [OPTION...] FILE    what would change if a running router had this file\n"
    "       roundhouse config apply [OPTION...] FILE   make a running router have it\n"
    "\n"
    "Applying is all or nothing: a file with a mistake, or one that asks for what can not be had, changes "
    "nothing. "
    "Keys\n"
    "that need a restart stay as they are, and are named. What is applied is lost at a restart, unless it is "
    "the "
    "file\n"
    "that the router was started with; SIGHUP reads that one again. `-` is standard input.\n"
    "\n" ASK_HELP "  --dry-run          of apply: the same as diff\n"
    "  --partial          keys that the file leaves out stay as they are; else they go back to their "
    "defaults\n"
    "  --strict           refuse the file if a key needs a restart\n"
    "\n"
    "Examples:\n"
    "  roundhouse config diff /etc/roundhouse/roundhouse.yaml\n"
    "  roundhouse config apply --strict /etc/roundhouse/roundhouse.yaml\n"
    "  echo 'limits: { idle: 5m }' | roundhouse config apply --partial -\n"
    "\n"
    "Exit status: 0 done, 64 usage, 69 the router can not be reached or is busy with another change, 70 "
    "internal, "
    "78 the\n"
    "file is wrong.\n";

#define VALUE_SHOWN_MAX 100 /* characters of a value */

enum { CONFIG_DRY_RUN = 256, CONFIG_PARTIAL, CONFIG_STRICT };

struct config_run {
    struct ask ask;
    bool dry_run, partial, strict;
    const char *file; /* as it was given */
};

/* ---- show ---- */

static void key_print(const json_t *key) {
    char from[64];
    if (ask_number(key, "line") != 0)
        snprintf(from, sizeof from, "%s:%lld", ask_text(key, "from"), ask_number(key, "line"));
    else
        snprintf(from, sizeof from, "%s", ask_text(key, "from"));
    printf("%-21s %-8s %-12s %s\n", ask_text(key, "key"), ask_text(key, "change"), from,
           ask_text(key, "value"));
}

static int show_run(const struct config_run *run) {
    int status;
    json_t *answer = ask_get(&run->ask, "/v1/config", &status);
    const json_t *keys = json_object_get(answer, "keys");
    if (answer == NULL)
        return CLI_UNAVAILABLE;
    if (!run->ask.json)
        printf("%-21s %-8s %-12s %s\n", "KEY", "CHANGE", "FROM", "VALUE");
    for (size_t i = 0; !run->ask.json && i < json_array_size(keys); i++)
        key_print(json_array_get(keys, i));
    json_decref(answer);
    return CLI_OK;
}

/* ---- diff and apply ---- */

/* All of standard input, or of the file. Negative errno. */
static int file_read(const struct config_run *run, char **text, size_t *length) {
    const char *path = strcmp(run->file, "-") == 0 ? "/dev/stdin" : run->file;
    return config_file_text(path, CONFIG_FILE_BYTES_MAX, text, length);
}

/* Paths in the file are as seen from it, so the router is told where it is. */
static void path_make(const struct config_run *run, char *out, size_t size) {
    char *whole = strcmp(run->file, "-") != 0 ? config_file_absolute(run->file) : NULL;
    (void)snprintf(out, size, "/v1/config?dry_run=%s&partial=%s&strict=%s", run->dry_run ? "true" : "false",
                   run->partial ? "true" : "false", run->strict ? "true" : "false");
    if (whole != NULL)
        ask_query_add(out, size, "&file=", whole);
    free(whole);
}

static void mistakes_print(const struct config_run *run, const json_t *answer) {
    const json_t *mistakes = json_object_get(answer, "mistakes");
    const char *file = strcmp(run->file, "-") == 0 ? "(standard input)" : run->file;
    for (size_t i = 0; i < json_array_size(mistakes); i++) {
        const json_t *mistake = json_array_get(mistakes, i);
        if (ask_number(mistake, "line") != 0)
            fprintf(stderr, "%s:%lld:%lld: %s\n", file, ask_number(mistake, "line"),
                    ask_number(mistake, "column"), ask_text(mistake, "text"));
        else
            fprintf(stderr, "%s: %s\n", file, ask_text(mistake, "text"));
    }
    fprintf(stderr, "roundhouse config: nothing was changed\n");
}

static void change_print(const json_t *change) {
    const char *from = ask_text(change, "from"), *to = ask_text(change, "to");
    printf("%-21s %.*s%s -> %.*s%s%s\n", ask_text(change, "key"), VALUE_SHOWN_MAX, from,
           strlen(from) > VALUE_SHOWN_MAX ? "..." : "", VALUE_SHOWN_MAX, to,
           strlen(to) > VALUE_SHOWN_MAX ? "..." : "",
           json_is_true(json_object_get(change, "live")) ? "" : "  (needs a restart)");
}

static void warnings_print(const struct config_run *run, const json_t *answer) {
    const json_t *options = json_object_get(answer, "options");
    long long restart = ask_number(answer, "needs_restart");
    for (size_t i = 0; i < json_array_size(options); i++)
        fprintf(stderr,
                "roundhouse config: %s of the file has no effect: the router's command line says otherwise\n",
                json_string_value(json_array_get(options, i)));
    if (restart > 0)
        fprintf(stderr, "roundhouse config: %lld key%s need%s a restart, and stay%s as %s until then\n",
                restart, restart == 1 ? "" : "s", restart == 1 ? "s" : "", restart == 1 ? "s" : "",
                restart == 1 ? "it is" : "they are");
    if (json_is_true(json_object_get(answer, "lost_at_restart")))
        fprintf(stderr,
                "roundhouse config: %s is not the file that the router was started with: %s at a restart\n",
                strcmp(run->file, "-") == 0 ? "this" : run->file,
                run->dry_run ? "what it changes would be lost" : "what it has changed is lost");
}

static void outcome_print(const struct config_run *run, const json_t *answer) {
    const json_t *changes = json_object_get(answer, "changes");
    for (size_t i = 0; i < json_array_size(changes); i++)
        change_print(json_array_get(changes, i));
    if (ask_number(answer, "slots_moved") != 0)
        printf("%lld of %u slots %s their shard\n", ask_number(answer, "slots_moved"), SLOT_COUNT,
               run->dry_run ? "would change" : "have changed");
    if (json_array_size(changes) == 0)
        printf("no difference\n");
}

static int want_send(const struct config_run *run, const char *text, size_t length) {
    char path[4 * PATH_MAX];
    int status;
    path_make(run, path, sizeof path);
    json_t *answer = ask_post(&run->ask, path, "application/yaml", text, length, &status);
    if (answer == NULL)
        return CLI_UNAVAILABLE;
    if (status == 200 && !run->ask.json)
        outcome_print(run, answer);
    (void)fflush(stdout);
    if (status == 200)
        warnings_print(run, answer);
    else if (status == 422)
        mistakes_print(run, answer);
    else
        fprintf(stderr, "roundhouse config: %s\n", ask_text(answer, "message"));
    json_decref(answer);
    return status == 200 ? CLI_OK : status == 422 ? CLI_CONFIG : CLI_UNAVAILABLE;
}

static int want_run(const struct config_run *run) {
    char *text;
    size_t length;
    int result = file_read(run, &text, &length);
    if (result < 0) {
        fprintf(stderr, "roundhouse config: %s can not be read: %s\n", run->file, strerror(-result));
        return CLI_CONFIG;
    }
    int status = want_send(run, text, length);
    free(text);
    return status;
}

int config_partial_apply(const struct ask *ask, const char *text, size_t length) {
    const struct config_run run = {.ask = *ask, .partial = true, .file = "-"};
    return want_send(&run, text, length);
}

/* ---- the command ---- */

static int option_take(void *of, int option, const char *value) {
    struct config_run *run = of;
    if (ask_option(&run->ask, option, value))
        return CLI_OK;
    run->dry_run |= option == CONFIG_DRY_RUN;
    run->partial |= option == CONFIG_PARTIAL;
    run->strict |= option == CONFIG_STRICT;
    return CLI_OK;
}

static int options_read(struct config_run *run, int argc, char **argv) {
    static const struct option options[] = {ASK_OPTIONS,
                                            {"dry-run", no_argument, NULL, CONFIG_DRY_RUN},
                                            {"partial", no_argument, NULL, CONFIG_PARTIAL},
                                            {"strict", no_argument, NULL, CONFIG_STRICT},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    return args_options("config", usage, options, argc, argv, option_take, run);
}

static int ask_command(bool show, bool dry_run, int argc, char **argv) {
    struct config_run run = {.ask = {.command = "config", .address = ASK_ADDRESS}, .dry_run = dry_run};
    int status = options_read(&run, argc, argv), files = argc - optind;
    if (status != CLI_OK)
        return status < 0 ? CLI_OK : status;
    if (!show && files == 0)
        return args_mistake("config", "the name of a FILE is missing; see roundhouse config --help");
    if (files > (show ? 0 : 1))
        return args_mistake("config", "'%s' is one argument too many; see roundhouse config --help",
                            argv[argc - 1]);
    run.file = show ? NULL : argv[optind];
    return show ? show_run(&run) : want_run(&run);
}

int config_command(int argc, char **argv) {
    const char *what = argc >= 2 ? argv[1] : "";
    if (strcmp(what, "check") == 0)
        return config_check_command(argc - 1, argv + 1);
    if (strcmp(what, "show") == 0)
        return ask_command(true, true, argc - 1, argv + 1);
    if (strcmp(what, "diff") == 0 || strcmp(what, "apply") == 0)
        return ask_command(false, strcmp(what, "diff") == 0, argc - 1, argv + 1);
    if (strcmp(what, "--help") == 0 || strcmp(what, "-h") == 0) {
        fputs(usage, stdout);
        return CLI_OK;
    }
    if (what[0] != '\0' && what[0] != '-')
        return args_mistake("config", "it is check, show, diff or apply, not '%s'", what);
    fputs(usage, stderr);
    return CLI_USAGE;
}
