#include "core/cli/doctor.h"

#include "core/admin/ask.h"
#include "core/admin/token.h"
#include "core/cli/args.h"
#include "core/cli/cli.h"
#include "core/doctor/doctor.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ASK_NS_MAX (2u * NS_PER_S)

static const char help_text[] =
    "usage: roundhouse doctor [OPTION]...\n"
    "\n"
    "Looks at this machine with the eyes of a config, and says what a router would find here: how it would\n"
    "reach the network, and why not by io_uring; which limits bind first; what an acknowledgement means; "
    "how\n"
    "long the journal's disk takes; whether ports can be had, and who has them. Each finding is ok, note, "
    "warn\n"
    "or fail, with what to do. A router that runs here already is asked, and is not disturbed.\n"
    "\n"
    "  -c, --config FILE  the config that `serve` would get (default: none, as `serve`)\n"
    "      --journal DIR  as for `serve`: the journal's directory\n"
    "      --shards N     as for `serve`\n"
    "      --io BODY      as for `serve`: auto, uring or epoll\n"
    "      --json         print all as JSON\n"
    "  -h, --help         this text\n"
    "\n"
    "Run it as the user, and in the container or unit, that will run the router. Exit status: 0 a router "
    "would\n"
    "start, 64 usage, else the status that `serve` would end with: 69 a port can not be had, 70 too little\n"
    "memory or a disk that can not be used, 78 configuration.\n";

enum { DOCTOR_JOURNAL = 256, DOCTOR_SHARDS, DOCTOR_IO, DOCTOR_JSON };

#define DOCTOR_OVERRIDES_MAX 16u

struct doctor_run {
    const char *path;
    struct config_override overrides[DOCTOR_OVERRIDES_MAX];
    const char *options[DOCTOR_OVERRIDES_MAX];
    uint32_t count;
    bool json, help;
    struct config config;
    struct findings findings;
};

/* ---- options ---- */

static int option_take(struct doctor_run *run, int option, const char *value) {
    static const char *const names[][2] = {
        {"--journal", "journal.dir"}, {"--shards", "shards"}, {"--io", "io"}};
    switch (option) {
    case 'h':
        run->help = true;
        return CLI_OK;
    case 'c':
        run->path = value;
        return CLI_OK;
    case DOCTOR_JSON:
        run->json = true;
        return CLI_OK;
    default:
        if (run->count == DOCTOR_OVERRIDES_MAX)
            return args_mistake("doctor", "more than %u options", DOCTOR_OVERRIDES_MAX);
        run->options[run->count] = names[option - DOCTOR_JOURNAL][0];
        run->overrides[run->count++] = (struct config_override){names[option - DOCTOR_JOURNAL][1], value};
        return CLI_OK;
    }
}

static int options_read(struct doctor_run *run, int argc, char **argv) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"journal", required_argument, NULL, DOCTOR_JOURNAL},
                                            {"shards", required_argument, NULL, DOCTOR_SHARDS},
                                            {"io", required_argument, NULL, DOCTOR_IO},
                                            {"json", no_argument, NULL, DOCTOR_JSON},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option, status = CLI_OK;
    opterr = 0;
    optind = 1;
    while (status == CLI_OK && (option = getopt_long(argc, argv, ":c:h", options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return args_option_mistake("doctor", option, argv);
        status = option_take(run, option, optarg);
    }
    if (status == CLI_OK && !run->help && optind < argc)
        return args_mistake("doctor", "'%s' is one argument too many; see roundhouse doctor --help",
                            argv[optind]);
    return status;
}

/* ---- the config ---- */

/* Each mistake is a finding; then nothing else is looked at, as `serve` would not. */
static bool mistakes_take(struct doctor_run *run, const struct config_mistakes *mistakes) {
    uint32_t shown = mistakes->count < CONFIG_MISTAKES_MAX ? mistakes->count : CONFIG_MISTAKES_MAX;
    for (uint32_t i = 0; i < shown; i++)
        finding_fail(&run->findings, CLI_CONFIG, "config", "%s:%u:%u: %s", run->path, mistakes->list[i].line,
                     mistakes->list[i].column, mistakes->list[i].text);
    return mistakes->count == 0;
}

static bool file_read(struct doctor_run *run) {
    struct config_mistakes *mistakes = calloc(1, sizeof *mistakes);
    if (mistakes == NULL)
        return false;
    int result = config_load(&run->config, run->path, mistakes);
    bool right = result == 0 && mistakes_take(run, mistakes);
    if (result != 0)
        finding_fail(&run->findings, CLI_CONFIG, "config", "%s can not be read: %s", run->path,
                     strerror(-result));
    if (right)
        finding_add(&run->findings, FINDING_OK, "config", "%s: no mistakes", run->path);
    free(mistakes);
    return right;
}

static int overrides_apply(struct doctor_run *run) {
    struct config_mistake mistake;
    uint32_t wrong;
    if (run->count == 0 || config_override(&run->config, run->overrides, run->count, &mistake, &wrong))
        return CLI_OK;
    return args_mistake("doctor", "%s %s: %s", run->options[wrong], run->overrides[wrong].value,
                        mistake.text);
}

/* ---- looking ---- */

/* Port 0 is any port: nobody is there yet. */
static bool can_run(const struct config *config) {
    size_t length = strlen(config->listen_admin);
    return strcmp(config->listen_admin, "off") != 0 && strcmp(config->listen_admin + length - 2, ":0") != 0;
}

static bool has_token(const struct config *config) {
    return strcmp(config->listen_admin, "off") != 0 && strcmp(config->admin_token_file, "off") != 0;
}

static void plane_look(struct doctor_run *run) {
    struct token token;
    char why[sizeof run->findings.list[0].text];
    if (!has_token(&run->config))
        return;
    if (token_read(&token, run->config.admin_token_file, why, sizeof why))
        finding_add(&run->findings, FINDING_OK, "token", "the admin plane asks for the token in %s",
                    run->config.admin_token_file);
    else
        finding_advise(finding_fail(&run->findings, CLI_CONFIG, "token", "listen.admin_token_file: %s", why),
                       "a line of 16 to 256 characters in a file that only the router's user can read: "
                       "openssl rand -hex 32 > FILE; chmod 600 FILE");
    token_wipe(&token);
}

/* A router starts without what it can not read there, and goes on looking. */
static void directory_look(struct doctor_run *run, const char *key, const char *directory) {
    if (strcmp(directory, "off") != 0 && access(directory, R_OK | X_OK) != 0)
        finding_advise(finding_add(&run->findings, FINDING_WARN, key, "the directory %s can not be read: %s",
                                   directory, strerror(errno)),
                       "make it, or correct the key; `roundhouse %s check` looks at the files in it", key);
}

static void router_ask(const struct doctor_run *run, struct doctor_running *running) {
    const struct admin_request request = {.address = run->config.listen_admin,
                                          .token_file =
                                              has_token(&run->config) ? run->config.admin_token_file : NULL,
                                          .path = "/metrics",
                                          .wait_ns = ASK_NS_MAX};
    struct admin_answer answer = {0};
    char why[160];
    if (can_run(&run->config) && admin_ask(&request, &answer, why, sizeof why) && answer.status == 200)
        (void)doctor_running_read(running, answer.body);
    free(answer.body);
}

static void look(struct doctor_run *run) {
    struct doctor doctor = {.config = &run->config, .root = "", .probes = doctor_probes_real};
    router_ask(run, &doctor.running);
    doctor_look(&doctor, &run->findings);
    plane_look(run);
    directory_look(run, "routes", run->config.routes_dir);
    directory_look(run, "spokes", run->config.spokes_dir);
}

/* ---- printing ---- */

static int text_print(const struct doctor_run *run) {
    const struct findings *findings = &run->findings;
    for (uint32_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->list[i];
        printf("%-4s  %s: %s\n", finding_grade_name(finding->grade), finding->area, finding->text);
        if (finding->advice[0] != '\0')
            printf("      do: %s\n", finding->advice);
    }
    int status = findings_status(findings);
    printf("%u looked at: %u ok, %u note, %u warn, %u fail; ", findings->count,
           findings_count(findings, FINDING_OK), findings_count(findings, FINDING_NOTE),
           findings_count(findings, FINDING_WARN), findings_count(findings, FINDING_FAIL));
    if (status == CLI_OK)
        puts("nothing keeps a router from running here");
    else
        printf("a router would not start here, and end with status %d\n", status);
    return status;
}

static int json_print(const struct doctor_run *run) {
    const struct findings *findings = &run->findings;
    json_t *list = json_array();
    for (uint32_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->list[i];
        json_t *item =
            json_pack("{s:s, s:s, s:s, s:s}", "area", finding->area, "grade",
                      finding_grade_name(finding->grade), "text", finding->text, "do", finding->advice);
        if (item == NULL) /* a path of the config that is not UTF-8 */
            item = json_pack("{s:s, s:s, s:s, s:s}", "area", finding->area, "grade",
                             finding_grade_name(finding->grade), "text",
                             "it names a path that is not UTF-8; see the text without --json", "do", "");
        (void)json_array_append_new(list, item);
    }
    json_t *all = json_pack("{s:i, s:o}", "status", findings_status(findings), "findings", list);
    int printed = all != NULL ? json_dumpf(all, stdout, JSON_INDENT(2)) : -1;
    json_decref(all);
    if (printed != 0 || putchar('\n') == EOF)
        return CLI_INTERNAL;
    return findings_status(findings);
}

static int doctor_go(struct doctor_run *run, int argc, char **argv) {
    int status = options_read(run, argc, argv);
    if (status != CLI_OK)
        return status;
    if (run->help) {
        fputs(help_text, stdout);
        return CLI_OK;
    }
    config_defaults(&run->config);
    bool right = run->path == NULL || file_read(run);
    status = right ? overrides_apply(run) : CLI_OK;
    if (status != CLI_OK)
        return status;
    signal(SIGPIPE, SIG_IGN); /* a router that closes while it is asked */
    if (right)
        look(run);
    return run->json ? json_print(run) : text_print(run);
}

int doctor_command(int argc, char **argv) {
    struct doctor_run *run = calloc(1, sizeof *run);
    if (run == NULL)
        return CLI_INTERNAL;
    int status = doctor_go(run, argc, argv);
    free(run);
    return status;
}
