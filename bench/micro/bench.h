/* bench.h: what a micro bench is: a function with parameters whose work is timed and whose result is checked.
 * Owner: the harness (bench.c); a bench gets one struct bench_run for each combination of its parameters.
 * Thread: the main thread; benches with a second thread start it by pair.h.
 * Blocks as the bench does; nothing waits for input.
 * Fails by a message in the run: a wrong result, or none checked at all, makes the program end with 1. */
#pragma once

#include "core/base/check.h"
#include "core/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_AXES_MAX    4u
#define BENCH_VALUES_MAX  16u
#define BENCH_SAMPLES_MAX 256u
#define BENCH_FIGURES_MAX 3u

/* How much is done. CHECK: the least that can be wrong, one sample, for the tests. */
enum bench_scale { BENCH_CHECK, BENCH_QUICK, BENCH_FULL, BENCH_SCALES };

/* What one operation costs: processor time of the whole process, the time that passes, or what the bench
 * itself tells by bench_time (the processor time of one of its threads). */
enum bench_clock { BENCH_CPU, BENCH_WALL, BENCH_THREAD };

/* One parameter. */
struct bench_axis {
    const char *name;         /* with its unit: "record_bytes" */
    const char *const *words; /* NULL, or the values are indexes into these */
    struct bench_values {
        uint32_t count;
        uint64_t value[BENCH_VALUES_MAX];
    } values[BENCH_SCALES]; /* an empty list: those of the scale below */
};

struct bench_run;

struct bench {
    const char *name;      /* "log/append": the thing, then what is done with it */
    const char *operation; /* what is done once: "append one record" */
    enum bench_clock clock;
    uint64_t operations_least; /* in one sample; also how many CHECK does */
    bool once;                 /* making its data takes long: all samples in one round */
    void (*run)(struct bench_run *run);
    bool (*fits)(const struct bench_run *run); /* whether this combination makes sense; NULL: all do */
    struct bench_axis axes[BENCH_AXES_MAX];
    /* How a reader should see it: over which parameter, one line for each value of the others; and the limit
     * in core/base/limits.h that rests on the curve. */
    const char *plot_over;
    bool plot_linear; /* else with logarithmic axes */
    const char *limit_name;
    uint64_t limit;
};

/* Ended by an entry without a name; one list for each file with benches. */
extern const struct bench bench_bounds[], bench_log[], bench_batch[], bench_handover[], bench_wake[],
    bench_spin[], bench_topic[], bench_route[], bench_wire[], bench_event[], bench_send[], bench_receive[],
    bench_xml[], bench_edi[], bench_table[], bench_erp[], bench_webhook[], bench_filter[];

/* One figure beside the time, one number for each sample. */
struct bench_figure {
    const char *name;
    double value[BENCH_SAMPLES_MAX];
};

/* One combination of parameters. Fields are private to bench.c, except those that a bench reads. */
struct bench_run {
    const struct bench *bench;
    uint64_t values[BENCH_AXES_MAX];
    uint64_t operations; /* to be done in this sample */
    uint64_t done;       /* in this sample, where it came to another number; else 0 */
    enum bench_scale scale;
    /* the sample that is being taken */
    uint64_t wall_ns, cpu_ns, own_ns;
    uint64_t began_wall_ns, began_cpu_ns;
    bool sampling, warm, settled, breaks;
    uint64_t sample_ns; /* how long a sample should take */
    uint32_t wanted;    /* samples in all after this round */
    /* what was taken */
    uint32_t samples, rounds;
    double wall_ns_each[BENCH_SAMPLES_MAX], cpu_ns_each[BENCH_SAMPLES_MAX], own_ns_each[BENCH_SAMPLES_MAX];
    double seconds[BENCH_SAMPLES_MAX]; /* that the sample took */
    double bytes_each;                 /* of one operation; 0: says nothing */
    struct bench_figure figures[BENCH_FIGURES_MAX];
    /* what it came to */
    uint64_t checks, wrong, hash;
    char message[200]; /* the first wrong result */
};

/* The value of a parameter by its name, and whether it is the one with this word. */
uint64_t bench_value(const struct bench_run *run, const char *axis);
bool bench_is(const struct bench_run *run, const char *axis, const char *word);

/* Whether another sample is wanted. The bench then does run->operations operations between bench_start and
 * bench_stop (which may come several times in one sample; what lies between is not counted). */
bool bench_more(struct bench_run *run);
void bench_start(struct bench_run *run);
void bench_stop(struct bench_run *run);
/* Rounds the operations of this sample up to a multiple of n (not 0), and says how many times n they are. */
uint64_t bench_whole(struct bench_run *run, uint64_t n);
/* This sample did another number of operations than it was asked for. */
void bench_done(struct bench_run *run, uint64_t operations);
/* BENCH_THREAD: what the operations of this sample took, in all. */
void bench_time(struct bench_run *run, uint64_t ns);
/* How many bytes one operation moves. */
void bench_bytes(struct bench_run *run, double bytes);
/* Another number of this sample, as it is. `name` is static. */
void bench_figure(struct bench_run *run, const char *name, double value);

/* The result: `got` must be `want`; `what` names it in a sentence's end. Both go into the hash. */
void bench_equal(struct bench_run *run, const char *what, uint64_t got, uint64_t want);
/* Set-up that must not fail: a negative errno ends the program with a message. */
void bench_must(int result, const char *what);
_Noreturn void bench_can_not(const char *what, const char *why);
void *bench_memory(size_t bytes) MUST_USE; /* zeroed, at 128 bytes, freed with free; never NULL */

/* Clocks, in nanoseconds. */
uint64_t bench_wall_ns(void);   /* CLOCK_MONOTONIC_RAW */
uint64_t bench_cpu_ns(void);    /* CLOCK_PROCESS_CPUTIME_ID */
uint64_t bench_thread_ns(void); /* CLOCK_THREAD_CPUTIME_ID */

/* Numbers by chance that are the same every time (splitmix64: Steele, Lea, Flood 2014). */
static inline uint64_t bench_mix(uint64_t x) {
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}
/* The numbers below `count` in an order by chance; freed with free. */
uint32_t *bench_shuffled(uint32_t count) MUST_USE;

/* ---- for main.c ---- */

struct bench_plan {
    enum bench_scale scale;
    const char *only; /* a glob over names, or NULL */
    uint32_t rounds, samples, sample_ns;
    bool breaks; /* every result is falsified */
};
/* Calls `done` for each combination that fits, after all its samples; returns how many were wrong. */
uint32_t bench_run_all(const struct bench *bench, const struct bench_plan *plan,
                       void (*done)(const struct bench_run *run));
uint32_t bench_combinations(const struct bench *bench, enum bench_scale scale);
/* The time of one operation in sample i, by the bench's clock. */
double bench_ns(const struct bench_run *run, uint32_t i);
