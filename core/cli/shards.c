#include "core/cli/shards.h"

#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/cli/args.h"
#include "core/cli/ask.h"
#include "core/cli/cli.h"
#include "core/cli/config.h"
#include "core/config/plan.h"

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage[] =
    "usage: roundhouse shards [OPTION...]       what each shard carries, and each range of slots\n"
    "       roundhouse shards plan [OPTION...]  a better map of slots, as YAML for the config\n"
    "\n"
    "Both look at the router twice and tell what came in between. A plan makes the busiest shard less busy "
    "and moves\n"
    "as few slots as it can; a topic stays in its slot, so one busy topic can not be split. Connections stay "
    "where "
    "they\n"
    "are: what it costs to deliver does not count.\n"
    "\n" ASK_HELP "  --for TIME         how long to look (default 1s; of plan 5s)\n"
    "  --total            of plan: by all that came since the start of the router\n"
    "  --shards N         of plan: for so many shards\n"
    "  --apply            of plan: make the router have it, as `roundhouse config apply --partial` would\n"
    "\n"
    "Examples:\n"
    "  roundhouse shards\n"
    "  roundhouse shards plan --shards 4 >map.yaml && roundhouse config apply --partial map.yaml\n"
    "\n"
    "Exit status: 0 done, 64 usage, 69 the router can not be reached or is busy with another change, 70 "
    "internal, "
    "78 the\n"
    "map can not be applied.\n";

#define SAMPLE_NS        NS_PER_S
#define SAMPLE_PLAN_NS   (5 * NS_PER_S)
#define BUSIEST_SHOWN    3u
#define RANGES_SHOWN_MAX 64u

enum { SHARDS_FOR = 256, SHARDS_TOTAL, SHARDS_COUNT, SHARDS_APPLY };

struct shards_run {
    struct ask ask;
    bool plan, total, apply, timed;
    uint64_t count, sample_ns; /* count: 0 = as many as there are */
};

/* What was seen between two looks. */
struct seen {
    uint32_t shards;
    uint8_t slots[SLOT_COUNT];
    double load[SLOT_COUNT];  /* records a second, or in all */
    double fixed[SHARDS_MAX]; /* of disk logs */
};

static double number_of(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

static double item_of(const json_t *object, const char *key, size_t i) {
    return json_number_value(json_array_get(json_object_get(object, key), i));
}

/* ---- looking ---- */

static json_t *look(const struct shards_run *run, const char *path) {
    int status;
    json_t *answer = ask_get(&run->ask, path, &status);
    if (answer != NULL && status == 200)
        return answer;
    json_decref(answer);
    return NULL;
}

static bool slots_fit(const json_t *slots) {
    return json_array_size(json_object_get(slots, "shard_of_slot")) == SLOT_COUNT &&
           json_array_size(json_object_get(slots, "records_total")) == SLOT_COUNT &&
           number_of(slots, "shards_total") >= 1 && number_of(slots, "shards_total") <= SHARDS_MAX;
}

/* From two answers of /v1/slots; `earlier` NULL: in all. False: they are not what was asked for. */
static bool seen_set(struct seen *seen, const json_t *earlier, const json_t *later, double seconds) {
    if (!slots_fit(later) || (earlier != NULL && !slots_fit(earlier)))
        return false;
    *seen = (struct seen){.shards = (uint32_t)number_of(later, "shards_total")};
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        double before = earlier != NULL ? item_of(earlier, "records_total", slot) : 0;
        seen->slots[slot] = (uint8_t)item_of(later, "shard_of_slot", slot);
        seen->load[slot] = (item_of(later, "records_total", slot) - before) / seconds;
        if (seen->load[slot] < 0 || seen->slots[slot] >= SHARDS_MAX)
            return false;
    }
    for (uint32_t shard = 0; shard < seen->shards; shard++) {
        double before = earlier != NULL ? item_of(earlier, "disk_records_total", shard) : 0;
        double more = item_of(later, "disk_records_total", shard) - before;
        seen->fixed[shard] = more > 0 ? more / seconds : 0;
    }
    return true;
}

static void pause_ns(uint64_t ns) {
    struct timespec left = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
    while (nanosleep(&left, &left) != 0)
        continue;
}

/* ---- show ---- */

/* A shard of one answer, by its number. */
static const json_t *shard_of(const json_t *answer, double number) {
    const json_t *shards = json_object_get(answer, "shards");
    for (size_t i = 0; i < json_array_size(shards); i++)
        if (number_of(json_array_get(shards, i), "shard") == number)
            return json_array_get(shards, i);
    return NULL;
}

static double rate_of(const json_t *earlier, const json_t *later, const char *key, double seconds) {
    double more = number_of(later, key) - (earlier != NULL ? number_of(earlier, key) : 0);
    return more > 0 ? more / seconds : 0;
}

static double log_use(const json_t *shard) {
    const json_t *log = json_object_get(shard, "log");
    double records = number_of(log, "records");
    return records > 0 ? 100 * (number_of(log, "produced") - number_of(log, "oldest")) / records : 0;
}

static void shard_print(const json_t *earlier, const json_t *later, uint32_t slots, double seconds) {
    char cpu[16] = "-";
    if (json_is_integer(json_object_get(later, "cpu")))
        (void)snprintf(cpu, sizeof cpu, "%d", (int)number_of(later, "cpu"));
    printf("%-5.0f %4s %6u %11.0f %13.0f %11.0f %12.0f %4.0f%% %4.0f%%\n", number_of(later, "shard"), cpu,
           slots, number_of(later, "connections"), number_of(later, "subscriptions"),
           rate_of(earlier, later, "events_appended_total", seconds),
           rate_of(earlier, later, "deliveries_total", seconds), 100 * number_of(later, "busy_ratio"),
           log_use(later));
}

static void shards_print(const struct seen *seen, const json_t *earlier, const json_t *later,
                         double seconds) {
    const json_t *shards = json_object_get(later, "shards");
    printf("SHARD  CPU  SLOTS CONNECTIONS SUBSCRIPTIONS    EVENTS/S DELIVERIES/S  BUSY   LOG\n");
    for (size_t i = 0; i < json_array_size(shards); i++) {
        const json_t *shard = json_array_get(shards, i);
        uint32_t slots = 0;
        for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
            slots += seen->slots[slot] == number_of(shard, "shard");
        shard_print(shard_of(earlier, number_of(shard, "shard")), shard, slots, seconds);
    }
}

/* The busiest slot of a range below `load`, or at it and behind `after`. SLOT_COUNT = none has anything. */
static uint32_t busiest_below(const struct seen *seen, uint32_t first, uint32_t end, double load,
                              uint32_t after) {
    uint32_t best = SLOT_COUNT;
    for (uint32_t slot = first; slot < end; slot++) {
        bool next = seen->load[slot] < load || (seen->load[slot] == load && slot > after);
        if (next && seen->load[slot] > 0 && (best == SLOT_COUNT || seen->load[slot] > seen->load[best]))
            best = slot;
    }
    return best;
}

static void range_print(const struct seen *seen, uint32_t first, uint32_t end, double all) {
    char range[32];
    double sum = 0, load = 1e300;
    for (uint32_t slot = first; slot < end; slot++)
        sum += seen->load[slot];
    (void)snprintf(range, sizeof range, end - first == 1 ? "%u" : "%u-%u", first, end - 1);
    printf("%-11s %5u %11.0f %4.0f%% ", range, seen->slots[first], sum, all > 0 ? 100 * sum / all : 0);
    uint32_t slot = 0;
    for (uint32_t i = 0;
         i < BUSIEST_SHOWN && (slot = busiest_below(seen, first, end, load, slot)) < SLOT_COUNT; i++) {
        printf("%s %u (%.0f/s)", i == 0 ? "" : ",", slot, seen->load[slot]);
        load = seen->load[slot];
    }
    printf("\n");
}

static void ranges_print(const struct seen *seen) {
    double all = 0;
    uint32_t shown = 0;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        all += seen->load[slot];
    printf("\nSLOTS       SHARD    EVENTS/S SHARE  BUSIEST SLOTS\n");
    for (uint32_t first = 0, end; first < SLOT_COUNT; first = end) {
        for (end = first + 1; end < SLOT_COUNT && seen->slots[end] == seen->slots[first];)
            end++;
        if (shown++ < RANGES_SHOWN_MAX)
            range_print(seen, first, end, all);
    }
    if (shown > RANGES_SHOWN_MAX)
        printf("... and %u ranges more\n", shown - RANGES_SHOWN_MAX);
}

static int show_run(const struct shards_run *run) {
    static struct seen seen;
    json_t *shards[2] = {NULL}, *slots[2] = {NULL};
    bool whole = true;
    uint64_t begin_ns = clock_mono_ns();
    if (run->ask.json) {
        json_t *answer = look(run, "/v1/shards");
        json_decref(answer);
        return answer != NULL ? CLI_OK : CLI_UNAVAILABLE;
    }
    for (int i = 0; i < 2 && whole; i++) {
        if (i == 1)
            pause_ns(run->sample_ns);
        whole = (shards[i] = look(run, "/v1/shards")) != NULL && (slots[i] = look(run, "/v1/slots")) != NULL;
    }
    double seconds = (double)(clock_mono_ns() - begin_ns) / NS_PER_S;
    bool right = whole && seen_set(&seen, slots[0], slots[1], seconds);
    if (right) {
        shards_print(&seen, shards[0], shards[1], seconds);
        ranges_print(&seen);
    } else if (whole) {
        fprintf(stderr, "roundhouse shards: what the router says can not be understood\n");
    }
    for (int i = 0; i < 2; i++) {
        json_decref(shards[i]);
        json_decref(slots[i]);
    }
    return right ? CLI_OK : CLI_UNAVAILABLE;
}

/* ---- plan ---- */

static bool seen_take(const struct shards_run *run, struct seen *seen) {
    uint64_t begin_ns = clock_mono_ns();
    json_t *earlier = run->total ? NULL : look(run, "/v1/slots");
    if (earlier != NULL)
        pause_ns(run->sample_ns);
    json_t *later = run->total || earlier != NULL ? look(run, "/v1/slots") : NULL;
    double seconds = run->total ? 1 : (double)(clock_mono_ns() - begin_ns) / NS_PER_S;
    bool right = later != NULL && seen_set(seen, earlier, later, seconds);
    if (later != NULL && !right)
        fprintf(stderr, "roundhouse shards: what the router says can not be understood\n");
    json_decref(earlier);
    json_decref(later);
    return right;
}

static void plan_write(FILE *out, const struct plan *plan, uint32_t shards) {
    fprintf(out,
            "# the busiest shard: %.2f of the mean, %.2f with this map; %u of %u slots change their shard\n",
            plan->before, plan->after, plan->moved, SLOT_COUNT);
    fprintf(out, "shards: %u\nslots:\n", shards);
    for (uint32_t first = 0, end; first < SLOT_COUNT; first = end) {
        for (end = first + 1; end < SLOT_COUNT && plan->slots[end] == plan->slots[first];)
            end++;
        if (end - first == 1)
            fprintf(out, "  - { shard: %u, range: %u }\n", plan->slots[first], first);
        else
            fprintf(out, "  - { shard: %u, range: %u-%u }\n", plan->slots[first], first, end - 1);
    }
}

static int plan_apply(const struct shards_run *run, const struct plan *plan, uint32_t shards) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        return CLI_INTERNAL;
    plan_write(out, plan, shards);
    bool whole = fclose(out) == 0;
    int status = whole ? config_partial_apply(&run->ask, text, length) : CLI_INTERNAL;
    free(text);
    return status;
}

static int plan_run(const struct shards_run *run) {
    static struct seen seen;
    static struct plan plan;
    double all = 0;
    if (!seen_take(run, &seen))
        return CLI_UNAVAILABLE;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        all += seen.load[slot];
    if (all == 0)
        fprintf(stderr, "roundhouse shards: nothing came in this time, so all slots count the same\n");
    uint32_t shards = run->count != 0 ? (uint32_t)run->count : seen.shards;
    plan_make(&plan, &(struct plan_ask){
                         .shards = shards, .slots = seen.slots, .load = seen.load, .fixed = seen.fixed});
    if (run->apply)
        return plan_apply(run, &plan, shards);
    plan_write(stdout, &plan, shards);
    return CLI_OK;
}

/* ---- the command ---- */

static int option_take(void *of, int option, const char *value) {
    struct shards_run *run = of;
    if (ask_option(&run->ask, option, value))
        return CLI_OK;
    if (option == SHARDS_FOR && !args_duration(value, &run->sample_ns))
        return args_mistake("shards", "--for '%s' is no time; write 500ms, 10s or 5m", value);
    if (option == SHARDS_COUNT && !args_number(value, 1, SHARDS_MAX, &run->count))
        return args_mistake("shards", "--shards '%s' is no number from 1 to %u", value, SHARDS_MAX);
    run->timed |= option == SHARDS_FOR;
    run->total |= option == SHARDS_TOTAL;
    run->apply |= option == SHARDS_APPLY;
    return CLI_OK;
}

static int options_read(struct shards_run *run, int argc, char **argv) {
    static const struct option options[] = {ASK_OPTIONS,
                                            {"for", required_argument, NULL, SHARDS_FOR},
                                            {"total", no_argument, NULL, SHARDS_TOTAL},
                                            {"shards", required_argument, NULL, SHARDS_COUNT},
                                            {"apply", no_argument, NULL, SHARDS_APPLY},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    return args_options("shards", usage, options, argc, argv, option_take, run);
}

int shards_command(int argc, char **argv) {
    struct shards_run run = {.ask = {.command = "shards", .address = ASK_ADDRESS}};
    int status = options_read(&run, argc, argv);
    if (status != CLI_OK)
        return status < 0 ? CLI_OK : status;
    run.plan = optind < argc && strcmp(argv[optind], "plan") == 0;
    if (optind + (run.plan ? 1 : 0) < argc)
        return args_mistake("shards", "'%s' is not expected here; see roundhouse shards --help",
                            argv[argc - 1]);
    if (!run.plan && (run.total || run.apply || run.count != 0))
        return args_mistake("shards", "--total, --shards and --apply are options of shards plan");
    if (run.plan && run.ask.json && !run.apply)
        return args_mistake("shards", "--json is for what the router answers; a plan is YAML");
    if (!run.timed)
        run.sample_ns = run.plan ? SAMPLE_PLAN_NS : SAMPLE_NS;
    return run.plan ? plan_run(&run) : show_run(&run);
}
