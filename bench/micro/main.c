/* bench_micro: how long the parts of the router take, each alone, with its result checked. */
#include "bench/micro/bench.h"
#include "bench/micro/output.h"
#include "bench/micro/pair.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_MAX 50u /* of five samples: see BENCH_SAMPLES_MAX */

static const struct bench *const lists[] = {
    bench_bounds, bench_log,   bench_batch, bench_handover, bench_wake,    bench_spin,
    bench_topic,  bench_route, bench_wire,  bench_event,    bench_send,    bench_receive,
    bench_xml,    bench_edi,   bench_table, bench_erp,      bench_webhook, bench_filter,
};

/* By scale: so many samples in each round. */
static const struct bench_plan plans[BENCH_SCALES] = {
    [BENCH_CHECK] = {.scale = BENCH_CHECK, .rounds = 1, .samples = 1},
    [BENCH_QUICK] = {.scale = BENCH_QUICK, .rounds = 5, .samples = 5, .sample_ns = 2000000},
    [BENCH_FULL] = {.scale = BENCH_FULL, .rounds = 7, .samples = 5, .sample_ns = 5000000},
};

static void usage(FILE *out) {
    fputs("usage: bench_micro [--check | --quick | --full] [--only GLOB] [--rounds N] [--json]\n"
          "       bench_micro --list\n"
          "\n"
          "  --check      the least of everything, once: only the results matter (what the tests run)\n"
          "  --quick      a minute or two (default)\n"
          "  --full       all parameters, more and longer samples\n"
          "  --only GLOB  only benches whose name matches, such as 'route/*'\n"
          "  --rounds N   go through all parameters of a bench N times (default 5, with --full 7)\n"
          "  --json       one JSON object a line, one for each sample, instead of the table (see "
          "bench/README.md)\n"
          "  --repetitions N  at least N rounds, and --json: how bench/run starts it\n"
          "  --break      falsify every result: each bench must be found wrong (shows that wrong ones are "
          "noticed)\n"
          "  --list       the benches and what one operation of each is\n"
          "\n"
          "Exit status: 0 done, 1 a result was wrong, 64 usage, 70 the machine could not do it.\n",
          out);
}

static void done_check(const struct bench_run *run) {
    output_wrong(run);
}

static void done_json(const struct bench_run *run) {
    output_json(run);
    output_wrong(run);
}

static void done_text(const struct bench_run *run) {
    output_text(run);
    output_wrong(run);
}

/* ---- the command ---- */

struct options {
    struct bench_plan plan;
    uint32_t rounds_least;
    bool json;
    bool list;
};

static uint32_t positive(const char *text) {
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*end != '\0' || value == 0 || value > ROUNDS_MAX) {
        fprintf(stderr, "bench_micro: %s is not a number from 1 to %u\n", text, ROUNDS_MAX);
        exit(64);
    }
    return (uint32_t)value;
}

/* The scale, the glob and the rounds are put into the plan in the end, because the scale decides about the
 * rest. */
static bool option_read(int option, const char *argument, struct options *options) {
    switch (option) {
    case 'c':
        options->plan.scale = BENCH_CHECK;
        return true;
    case 'q':
        options->plan.scale = BENCH_QUICK;
        return true;
    case 'f':
        options->plan.scale = BENCH_FULL;
        return true;
    case 'o':
        options->plan.only = argument;
        return true;
    case 'r':
        options->plan.rounds = positive(argument);
        return true;
    case 'R':
        options->rounds_least = positive(argument);
        options->json = true;
        return true;
    case 'j':
        options->json = true;
        return true;
    case 'b':
        options->plan.breaks = true;
        return true;
    case 'l':
        options->list = true;
        return true;
    case 'h':
        usage(stdout);
        exit(0);
    default:
        return false;
    }
}

static struct options options_read(int argc, char **argv) {
    static const struct option longs[] = {{"check", no_argument, NULL, 'c'},
                                          {"quick", no_argument, NULL, 'q'},
                                          {"full", no_argument, NULL, 'f'},
                                          {"only", required_argument, NULL, 'o'},
                                          {"rounds", required_argument, NULL, 'r'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"list", no_argument, NULL, 'l'},
                                          {"help", no_argument, NULL, 'h'},
                                          {"repetitions", required_argument, NULL, 'R'},
                                          {"break", no_argument, NULL, 'b'},
                                          {NULL, 0, NULL, 0}};
    struct options options = {.plan = {.scale = BENCH_QUICK}};
    bool understood = true;
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;)
        understood &= option_read(c, optarg, &options);
    if (!understood || optind < argc) {
        usage(stderr);
        exit(64);
    }
    struct bench_plan plan = plans[options.plan.scale];
    plan.only = options.plan.only;
    plan.breaks = options.plan.breaks;
    if (options.plan.rounds > 0)
        plan.rounds = options.plan.rounds;
    else if (plan.rounds < options.rounds_least)
        plan.rounds = options.rounds_least;
    options.plan = plan;
    return options;
}

static void list_all(void) {
    printf("%-22s %s\n", "", "combinations of parameters with --check, --quick, --full");
    for (uint32_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (const struct bench *bench = lists[i]; bench->name != NULL; bench++)
            printf("%-22s %3u %3u %3u  %s\n", bench->name, bench_combinations(bench, BENCH_CHECK),
                   bench_combinations(bench, BENCH_QUICK), bench_combinations(bench, BENCH_FULL),
                   bench->operation);
}

static uint32_t run_lists(const struct options *options) {
    void (*done)(const struct bench_run *) = done_text;
    uint32_t wrong = 0;
    if (options->json)
        done = done_json;
    else if (options->plan.scale == BENCH_CHECK)
        done = done_check;
    if (options->json)
        output_json_metrics();
    for (uint32_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (const struct bench *bench = lists[i]; bench->name != NULL; bench++)
            wrong += bench_run_all(bench, &options->plan, done);
    return wrong;
}

int main(int argc, char **argv) {
    struct options options = options_read(argc, argv);
    if (options.list) {
        list_all();
        return 0;
    }
    pair_begin();
    if (pair_cpus() < 2 && options.plan.scale != BENCH_CHECK)
        fprintf(stderr,
                "bench_micro: there is only one processor for two threads: what is handed over waits\n");
    uint32_t wrong = run_lists(&options);
    if (output_checks() == 0) {
        fprintf(stderr, "bench_micro: no bench has that name\n");
        return 64;
    }
    if (options.plan.scale == BENCH_CHECK && !options.json)
        printf("%llu results checked, %u wrong\n", (unsigned long long)output_checks(), wrong);
    return wrong > 0 ? 1 : 0;
}
