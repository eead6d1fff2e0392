#include "bench/micro/output.h"

#include "bench/micro/pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES 200u

static const char *const clock_names[] = {
    [BENCH_CPU] = "CLOCK_PROCESS_CPUTIME_ID",
    [BENCH_WALL] = "CLOCK_MONOTONIC_RAW",
    [BENCH_THREAD] = "CLOCK_THREAD_CPUTIME_ID",
};
static const char *const clock_words[] = {
    [BENCH_CPU] = "processor time",
    [BENCH_WALL] = "time that passes",
    [BENCH_THREAD] = "processor time of the thread that waits",
};

/* ---- parameters ---- */

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text);
    size_t wanted = strlen(end);
    return length >= wanted && strcmp(text + length - wanted, end) == 0;
}

/* A number of bytes or nanoseconds as people write it, by the parameter's unit. */
static void value_text(const char *name, uint64_t value, char *out, size_t size) {
    static const char *const bytes[] = {"B", "KiB", "MiB", "GiB"};
    static const char *const times[] = {"ns", "\xc2\xb5s", "ms", "s"};
    bool is_bytes = ends_with(name, "_bytes");
    uint64_t step = is_bytes ? 1024 : 1000;
    uint32_t unit = 0;
    if (!is_bytes && !ends_with(name, "_ns")) {
        snprintf(out, size, "%llu", (unsigned long long)value);
        return;
    }
    for (; unit < 3 && value >= step && value % step == 0; unit++)
        value /= step;
    snprintf(out, size, "%llu %s", (unsigned long long)value, is_bytes ? bytes[unit] : times[unit]);
}

/* `record_bytes` is "record": the unit stands with the value. */
static void name_text(const char *name, char *out, size_t size) {
    snprintf(out, size, "%s", name);
    size_t length = strlen(out);
    if (ends_with(out, "_bytes"))
        out[length - 6] = '\0';
    else if (ends_with(out, "_ns"))
        out[length - 3] = '\0';
    for (char *p = out; *p != '\0'; p++)
        if (*p == '_')
            *p = ' ';
}

static void axis_text(const struct bench_axis *axis, uint64_t value, char *out, size_t size) {
    char name[40];
    char text[40];
    name_text(axis->name, name, sizeof name);
    if (axis->words != NULL)
        snprintf(text, sizeof text, "%s", axis->words[value]);
    else
        value_text(axis->name, value, text, sizeof text);
    if (strcmp(axis->name, "how") == 0)
        snprintf(out, size, "%s", text); /* the word says it all */
    else
        snprintf(out, size, "%s %s", name, text);
}

/* All parameters but `without`, as people read them. */
static void parameters_text(const struct bench_run *run, const char *without, char *out, size_t size) {
    char one[90];
    size_t used = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < BENCH_AXES_MAX && run->bench->axes[i].name != NULL; i++) {
        const struct bench_axis *axis = &run->bench->axes[i];
        if ((without != NULL && strcmp(axis->name, without) == 0) || used >= size)
            continue;
        axis_text(axis, run->values[i], one, sizeof one);
        used += (size_t)snprintf(out + used, size - used, "%s%s", used > 0 ? ", " : "", one);
    }
}

/* The same for programs: `record_bytes=64,ring_bytes=1048576`. */
static void parameters_id(const struct bench_run *run, char *out, size_t size) {
    size_t used = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < BENCH_AXES_MAX && run->bench->axes[i].name != NULL && used < size; i++) {
        const struct bench_axis *axis = &run->bench->axes[i];
        const char *comma = i > 0 ? "," : "/";
        int n = axis->words != NULL ? snprintf(out + used, size - used, "%s%s=%s", comma, axis->name,
                                               axis->words[run->values[i]])
                                    : snprintf(out + used, size - used, "%s%s=%llu", comma, axis->name,
                                               (unsigned long long)run->values[i]);
        used += (size_t)n;
    }
}

/* ---- lines of JSON ---- */

static const struct metric {
    const char *name, *title, *unit, *better;
} metrics[] = {
    {"ns_per_op", "time per operation", "ns", "lower"},
    {"cpu_ns_per_op", "processor time of all threads per operation", "ns", "lower"},
    {"bytes_per_s", "bytes per second", "1/s", "higher"},
    {"latency_p50_ns", "latency, median", "ns", "lower"},
    {"latency_p99_ns", "latency, 99th percentile", "ns", "lower"},
    {"sleeps_per_op", "sleeps per event", "1", "none"},
    {"records_per_look", "records found at once by the reader", "1", "none"},
    {"taken_at_once", "share of the sends that the socket took as a whole", "share", "none"},
    {"sender_cpu_ns", "processor time of the thread that sends, per operation", "ns", "lower"},
    {"sink_cpu_ns", "processor time of the thread that answers, per operation", "ns", "none"},
    {"matched_anew", "share of the lookups that had to match", "share", "none"},
};

void output_json_metrics(void) {
    for (uint32_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++)
        printf("{\"metric\": \"%s\", \"title\": \"%s\", \"unit\": \"%s\", \"better\": \"%s\"}\n",
               metrics[i].name, metrics[i].title, metrics[i].unit, metrics[i].better);
}

static void json_params(const struct bench_run *run) {
    printf("\"params\": {");
    for (uint32_t i = 0; i < BENCH_AXES_MAX && run->bench->axes[i].name != NULL; i++) {
        const struct bench_axis *axis = &run->bench->axes[i];
        printf("%s\"%s\": ", i > 0 ? ", " : "", axis->name);
        if (axis->words != NULL)
            printf("\"%s\"", axis->words[run->values[i]]);
        else
            printf("%llu", (unsigned long long)run->values[i]);
    }
    printf("}");
}

/* Where the row is a point of a curve: the line that it is on, and the limit that rests on it. */
static void json_curve(const struct bench_run *run) {
    char line[TEXT_BYTES];
    const struct bench *bench = run->bench;
    if (bench->plot_over == NULL)
        return;
    uint64_t value = bench_value(run, bench->plot_over);
    parameters_text(run, bench->plot_over, line, sizeof line);
    printf(", \"curve\": {\"name\": \"micro/%s\", \"axis\": \"%s\", \"value\": %llu, \"scale\": \"%s\", "
           "\"line\": \"%s\"",
           bench->name, bench->plot_over, (unsigned long long)value, bench->plot_linear ? "linear" : "log",
           line);
    if (bench->limit_name != NULL)
        printf(", \"limit\": {\"name\": \"%s\", \"value\": %llu}", bench->limit_name,
               (unsigned long long)bench->limit);
    printf("}");
}

static void json_values(const struct bench_run *run, uint32_t i) {
    double ns = bench_ns(run, i);
    printf(", \"values\": {\"ns_per_op\": %.6g", ns);
    if (run->bench->clock != BENCH_CPU)
        printf(", \"cpu_ns_per_op\": %.6g", run->cpu_ns_each[i]);
    if (run->bytes_each > 0 && ns > 0)
        printf(", \"bytes_per_s\": %.6g", run->bytes_each * 1e9 / ns);
    for (uint32_t f = 0; f < BENCH_FIGURES_MAX && run->figures[f].name != NULL; f++)
        printf(", \"%s\": %.6g", run->figures[f].name, run->figures[f].value[i]);
    printf("}");
}

void output_json(const struct bench_run *run) {
    char id[TEXT_BYTES];
    char text[TEXT_BYTES];
    parameters_id(run, id, sizeof id);
    parameters_text(run, NULL, text, sizeof text);
    for (uint32_t i = 0; i < run->samples; i++) {
        printf("{\"row\": \"micro/%s%s\", \"title\": \"%s%s%s\", \"about\": \"%s (%s)\", ", run->bench->name,
               id, run->bench->name, text[0] != '\0' ? ": " : "", text, run->bench->operation,
               clock_words[run->bench->clock]);
        json_params(run);
        printf(", \"repetition\": %u, \"repetitions\": %u, \"rounds\": %u, \"seconds\": %.6g", i,
               run->samples, run->rounds, run->seconds[i]);
        json_values(run, i);
        json_curve(run);
        printf(
            ", \"clock\": \"%s\", \"cpus\": %u, \"checks\": %llu, \"hash\": \"%016llx\", \"checked\": %s}\n",
            clock_names[run->bench->clock], pair_cpus(), (unsigned long long)run->checks,
            (unsigned long long)run->hash, run->wrong == 0 ? "true" : "false");
    }
    fflush(stdout);
}

/* ---- the table ---- */

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The middle one of `count` numbers, which are sorted. */
static double middle(double *numbers, uint32_t count) {
    qsort(numbers, count, sizeof *numbers, compare_doubles);
    return (numbers[(count - 1) / 2] + numbers[count / 2]) / 2;
}

static double figure_middle(const struct bench_run *run, uint32_t f) {
    double numbers[BENCH_SAMPLES_MAX];
    memcpy(numbers, run->figures[f].value, run->samples * sizeof *numbers);
    return middle(numbers, run->samples);
}

void output_text(const struct bench_run *run) {
    static const char *last;
    char text[TEXT_BYTES];
    double ns[BENCH_SAMPLES_MAX];
    for (uint32_t i = 0; i < run->samples; i++)
        ns[i] = bench_ns(run, i);
    double median = middle(ns, run->samples);
    if (last != run->bench->name)
        printf("%s: %s\n", run->bench->name, run->bench->operation);
    last = run->bench->name;
    parameters_text(run, NULL, text, sizeof text);
    printf("   %-48s %10.1f ns  (%.1f to %.1f)", text, median, ns[0], ns[run->samples - 1]);
    if (run->bytes_each > 0 && median > 0)
        printf("  %.2f GB/s", run->bytes_each / median);
    for (uint32_t f = 0; f < BENCH_FIGURES_MAX && run->figures[f].name != NULL; f++)
        printf("  %s %.4g", run->figures[f].name, figure_middle(run, f));
    putchar('\n');
    fflush(stdout);
}

/* ---- what is wrong ---- */

static uint64_t checks_made;

/* A figure without a description would make a result file that nobody can read. */
static void figures_check(const struct bench_run *run) {
    for (uint32_t f = 0; f < BENCH_FIGURES_MAX && run->figures[f].name != NULL; f++) {
        uint32_t i = 0;
        while (i < sizeof metrics / sizeof metrics[0] && strcmp(metrics[i].name, run->figures[f].name) != 0)
            i++;
        if (i == sizeof metrics / sizeof metrics[0])
            bench_can_not(run->figures[f].name, "the metric has no description");
    }
}

void output_wrong(const struct bench_run *run) {
    char text[TEXT_BYTES];
    checks_made += run->checks;
    figures_check(run);
    if (run->wrong == 0)
        return;
    parameters_text(run, NULL, text, sizeof text);
    fprintf(stderr, "%s: %s: %s\n", run->bench->name, text, run->message);
}

uint64_t output_checks(void) {
    return checks_made;
}
