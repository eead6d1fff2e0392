/* modes.h: the kinds of measurement. Each fills the report and has verified everything when it returns.
 * Owner: main. One thread.
 * max.c: as fast as deliveries come back. paced.c: at a fixed rate, whatever comes back. idle.c: no events.
 * acked.c: as fast as acknowledgements come back. replay.c: what was published before. disk.c: no server, the
 * disk alone.
 * They block until they are done.
 * Whatever is not as planned ends the program without a report. */
#pragma once

#include "bench/load/histogram.h"
#include "bench/load/meter.h"
#include "bench/load/rig.h"

#include <stdio.h>

/* Keys and values of the one JSON object that is printed in the end. */
struct report {
    FILE *out; /* memory: nothing is printed before everything has been verified */
    bool begun, list_begun;
};

void report_number(struct report *report, const char *key, double value);
void report_count(struct report *report, const char *key, uint64_t value);
/* A list of pairs: report_list, report_pair for each, report_list_end. */
void report_list(struct report *report, const char *key);
void report_pair(struct report *report, uint64_t first, uint64_t second);
void report_list_end(struct report *report);
void report_stretch(struct report *report, const struct meter *begin, const struct meter *end,
                    double deliveries);
/* Quantiles of a latency, and its histogram. */
void report_latency(struct report *report, const struct histogram *latency);
void report_memory(struct report *report, const struct memory *memory);
void report_verified(struct report *report, const struct rig *rig);

void max_run(const struct options *options, struct report *report);
void paced_run(const struct options *options, struct report *report);
void idle_run(const struct options *options, struct report *report);
void acked_run(const struct options *options, struct report *report);
void replay_run(const struct options *options, struct report *report);
void disk_run(const struct options *options, struct report *report);
