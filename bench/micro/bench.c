#include "bench/micro/bench.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OPERATIONS_MAX (UINT64_C(1) << 40)
#define MEMORY_ALIGN   128u /* two cache lines: the next one is fetched, too */

/* ---- clocks ---- */

static uint64_t clock_ns(clockid_t id) {
    struct timespec now;
    CHECK(clock_gettime(id, &now) == 0);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t bench_wall_ns(void) {
    return clock_ns(CLOCK_MONOTONIC_RAW);
}

uint64_t bench_cpu_ns(void) {
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t bench_thread_ns(void) {
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* ---- parameters ---- */

static const struct bench_values *axis_values(const struct bench_axis *axis, enum bench_scale scale) {
    while (scale > BENCH_CHECK && axis->values[scale].count == 0)
        scale--;
    CHECK(axis->values[scale].count > 0);
    return &axis->values[scale];
}

static uint32_t axis_count(const struct bench *bench) {
    uint32_t count = 0;
    while (count < BENCH_AXES_MAX && bench->axes[count].name != NULL)
        count++;
    return count;
}

static uint32_t axis_index(const struct bench *bench, const char *name) {
    for (uint32_t i = 0; i < axis_count(bench); i++)
        if (strcmp(bench->axes[i].name, name) == 0)
            return i;
    fprintf(stderr, "%s has no parameter %s\n", bench->name, name);
    abort();
}

uint64_t bench_value(const struct bench_run *run, const char *axis) {
    return run->values[axis_index(run->bench, axis)];
}

bool bench_is(const struct bench_run *run, const char *axis, const char *word) {
    uint32_t i = axis_index(run->bench, axis);
    const char *const *words = run->bench->axes[i].words;
    CHECK(words != NULL);
    return strcmp(words[run->values[i]], word) == 0;
}

/* Sets the parameters to combination number `n`, the last parameter changing fastest. */
static void combination_set(struct bench_run *run, uint32_t n) {
    for (uint32_t i = axis_count(run->bench); i-- > 0;) {
        const struct bench_values *values = axis_values(&run->bench->axes[i], run->scale);
        run->values[i] = values->value[n % values->count];
        n /= values->count;
    }
}

static uint32_t combinations_all(const struct bench *bench, enum bench_scale scale) {
    uint32_t count = 1;
    for (uint32_t i = 0; i < axis_count(bench); i++)
        count *= axis_values(&bench->axes[i], scale)->count;
    return count;
}

/* All combinations that fit, ready to be run; *count says how many. The caller frees them. */
static struct bench_run *runs_new(const struct bench *bench, enum bench_scale scale, uint32_t *count) {
    uint32_t all = combinations_all(bench, scale);
    struct bench_run *runs = bench_memory(all * sizeof *runs);
    *count = 0;
    for (uint32_t n = 0; n < all; n++) {
        struct bench_run *run = &runs[*count];
        *run = (struct bench_run){.bench = bench, .scale = scale, .operations = bench->operations_least};
        combination_set(run, n);
        if (bench->fits == NULL || bench->fits(run))
            ++*count;
    }
    return runs;
}

uint32_t bench_combinations(const struct bench *bench, enum bench_scale scale) {
    uint32_t count;
    free(runs_new(bench, scale, &count));
    return count;
}

/* ---- samples ---- */

void bench_start(struct bench_run *run) {
    run->began_cpu_ns = bench_cpu_ns();
    run->began_wall_ns = bench_wall_ns();
}

void bench_stop(struct bench_run *run) {
    run->wall_ns += bench_wall_ns() - run->began_wall_ns;
    run->cpu_ns += bench_cpu_ns() - run->began_cpu_ns;
}

void bench_time(struct bench_run *run, uint64_t ns) {
    run->own_ns += ns;
}

uint64_t bench_whole(struct bench_run *run, uint64_t n) {
    CHECK(n > 0);
    uint64_t times = (run->operations + n - 1) / n;
    run->operations = times * n;
    return times;
}

void bench_done(struct bench_run *run, uint64_t operations) {
    run->done = operations;
}

void bench_bytes(struct bench_run *run, double bytes) {
    run->bytes_each = bytes;
}

void bench_figure(struct bench_run *run, const char *name, double value) {
    uint32_t i = 0;
    while (i < BENCH_FIGURES_MAX && run->figures[i].name != NULL && strcmp(run->figures[i].name, name) != 0)
        i++;
    CHECK(i < BENCH_FIGURES_MAX);
    run->figures[i].name = name;
    run->figures[i].value[run->samples] = value;
}

/* A warm-up sample tells how many operations fill a sample's time. */
static void sample_settle(struct bench_run *run) {
    uint64_t took_ns = run->wall_ns > 0 ? run->wall_ns : 1;
    run->settled = took_ns * 2 >= run->sample_ns || run->operations >= OPERATIONS_MAX;
    uint64_t factor = run->sample_ns / took_ns;
    if (factor > 1)
        run->operations *= factor < 10 ? factor : 10;
}

static void sample_keep(struct bench_run *run) {
    double operations = (double)(run->done > 0 ? run->done : run->operations);
    CHECK(run->samples < BENCH_SAMPLES_MAX);
    run->wall_ns_each[run->samples] = (double)run->wall_ns / operations;
    run->cpu_ns_each[run->samples] = (double)run->cpu_ns / operations;
    run->own_ns_each[run->samples] = (double)run->own_ns / operations;
    run->seconds[run->samples] = (double)run->wall_ns / 1e9;
    run->samples++;
}

/* The first samples of a round warm up caches, tables and branch predictors, and are not kept. In the first
 * round they also settle the number of operations. */
bool bench_more(struct bench_run *run) {
    if (run->sampling && run->warm)
        sample_keep(run);
    else if (run->sampling && !run->settled)
        sample_settle(run);
    else if (run->sampling)
        run->warm = true;
    if (!run->sampling && run->scale == BENCH_CHECK)
        run->settled = run->warm = true;
    run->sampling = run->samples < run->wanted;
    run->wall_ns = run->cpu_ns = run->own_ns = run->done = 0;
    return run->sampling;
}

double bench_ns(const struct bench_run *run, uint32_t i) {
    switch (run->bench->clock) {
    case BENCH_CPU:
        return run->cpu_ns_each[i];
    case BENCH_WALL:
        return run->wall_ns_each[i];
    case BENCH_THREAD:
        break;
    }
    return run->own_ns_each[i];
}

/* ---- results ---- */

void bench_equal(struct bench_run *run, const char *what, uint64_t got, uint64_t want) {
    got += run->breaks;
    run->checks++;
    run->hash = bench_mix(run->hash ^ got);
    if (got == want)
        return;
    if (run->wrong++ == 0)
        snprintf(run->message, sizeof run->message, "%s: %llu, not %llu", what, (unsigned long long)got,
                 (unsigned long long)want);
}

void bench_can_not(const char *what, const char *why) {
    fprintf(stderr, "bench_micro: %s: %s\n", what, why);
    exit(70);
}

void bench_must(int result, const char *what) {
    if (result < 0)
        bench_can_not(what, strerror(-result));
}

void *bench_memory(size_t bytes) {
    size_t rounded = bytes / MEMORY_ALIGN * MEMORY_ALIGN + MEMORY_ALIGN;
    void *memory = aligned_alloc(MEMORY_ALIGN, rounded);
    if (memory == NULL)
        bench_can_not("memory for a bench", strerror(ENOMEM));
    memset(memory, 0, rounded);
    return memory;
}

uint32_t *bench_shuffled(uint32_t count) {
    uint32_t *order = bench_memory(count * sizeof *order);
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    for (uint32_t i = count; i > 1; i--) {
        uint32_t j = (uint32_t)(bench_mix(i) % i);
        uint32_t other = order[j];
        order[j] = order[i - 1];
        order[i - 1] = other;
    }
    return order;
}

/* ---- running ---- */

static void run_round(struct bench_run *run, const struct bench_plan *plan, uint32_t samples) {
    run->wanted += samples;
    run->rounds++;
    run->sample_ns = plan->sample_ns;
    run->breaks = plan->breaks;
    run->warm = run->sampling = false;
    run->bench->run(run);
    CHECK(run->samples == run->wanted); /* a bench takes samples until bench_more says no */
}

/* All combinations of a bench once, then all again, so that what disturbs the machine for a while does not
 * fall on one of them alone. */
uint32_t bench_run_all(const struct bench *bench, const struct bench_plan *plan,
                       void (*done)(const struct bench_run *run)) {
    uint32_t count;
    uint32_t wrong = 0;
    uint32_t rounds = bench->once ? 1 : plan->rounds;
    if (plan->only != NULL && fnmatch(plan->only, bench->name, 0) != 0)
        return 0;
    struct bench_run *runs = runs_new(bench, plan->scale, &count);
    for (uint32_t round = 0; round < rounds; round++)
        for (uint32_t i = 0; i < count; i++)
            run_round(&runs[i], plan, plan->rounds * plan->samples / rounds);
    for (uint32_t i = 0; i < count; i++) {
        if (runs[i].checks == 0)
            bench_equal(&runs[i], "checked results", 0, 1);
        wrong += runs[i].wrong > 0;
        done(&runs[i]);
    }
    free(runs);
    return wrong;
}
