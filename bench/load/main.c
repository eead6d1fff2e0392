/* The load generator of the bench suite: one process, one thread; `load --help` and bench/README.md. */
#include "bench/load/modes.h"
#include "bench/load/quit.h"

#include <stdlib.h>
#include <sys/resource.h>

static void key(struct report *report, const char *name) {
    fprintf(report->out, "%s\"%s\": ", report->begun ? ", " : "{", name);
    report->begun = true;
}

void report_number(struct report *report, const char *name, double value) {
    key(report, name);
    fprintf(report->out, "%.9g", value);
}

void report_count(struct report *report, const char *name, uint64_t value) {
    key(report, name);
    fprintf(report->out, "%llu", (unsigned long long)value);
}

void report_list(struct report *report, const char *name) {
    key(report, name);
    fputc('[', report->out);
    report->list_begun = false;
}

void report_pair(struct report *report, uint64_t first, uint64_t second) {
    fprintf(report->out, "%s[%llu, %llu]", report->list_begun ? ", " : "", (unsigned long long)first,
            (unsigned long long)second);
    report->list_begun = true;
}

void report_list_end(struct report *report) {
    fputc(']', report->out);
}

void report_stretch(struct report *report, const struct meter *begin, const struct meter *end,
                    double deliveries) {
    report_number(report, "seconds", (double)(end->now_ns - begin->now_ns) / 1e9);
    report_number(report, "deliveries", deliveries);
    report_count(report, "server_cpu_ns", end->server_cpu_ns - begin->server_cpu_ns);
    report_count(report, "generator_cpu_ns", end->own_cpu_ns - begin->own_cpu_ns);
    if (begin->core_busy_s >= 0 && end->core_busy_s >= 0)
        report_number(report, "core_busy_s", end->core_busy_s - begin->core_busy_s);
}

void report_latency(struct report *report, const struct histogram *latency) {
    report_count(report, "p50_ns", histogram_quantile(latency, 0.5));
    report_count(report, "p90_ns", histogram_quantile(latency, 0.9));
    report_count(report, "p99_ns", histogram_quantile(latency, 0.99));
    report_count(report, "p999_ns", histogram_quantile(latency, 0.999));
    report_count(report, "max_ns", latency->max);
    report_list(report, "histogram");
    for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++)
        if (latency->counts[bucket] > 0)
            report_pair(report, histogram_lower(bucket), latency->counts[bucket]);
    report_list_end(report);
}

void report_memory(struct report *report, const struct memory *memory) {
    report_count(report, "memory_bytes", memory->held_bytes);
    report_count(report, "rss_bytes", memory->resident_bytes);
    report_count(report, "rss_peak_bytes", memory->peak_bytes);
}

void report_verified(struct report *report, const struct rig *rig) {
    report_count(report, "published", rig->sent_frames);
    report_count(report, "verified_deliveries", rig_deliveries(rig));
    report_count(report, "compared_bytes", rig_compared_bytes(rig));
    if (rig->options->ack != ACK_NONE)
        report_count(report, "verified_acknowledged", rig_acknowledged(rig));
    report_count(report, "publish_bytes", rig->plan->publish_size);
    report_count(report, "deliver_bytes", rig->plan->deliver_size);
}

static void descriptors_raise(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv) {
    static void (*const modes[])(const struct options *, struct report *) = {
        [MODE_MAX] = max_run,     [MODE_PACED] = paced_run,   [MODE_IDLE] = idle_run,
        [MODE_ACKED] = acked_run, [MODE_REPLAY] = replay_run, [MODE_DISK] = disk_run};
    struct options options;
    char *text = NULL;
    size_t length = 0;
    struct report report = {.out = open_memstream(&text, &length)};
    if (report.out == NULL)
        return QUIT_INTERNAL;
    options_read(&options, argc, argv);
    descriptors_raise();
    modes[options.mode](&options, &report);
    fprintf(report.out, ", \"ok\": true}\n");
    if (fclose(report.out) != 0 || fputs(text, stdout) < 0 || fflush(stdout) != 0)
        return QUIT_INTERNAL;
    free(text);
    return 0;
}
