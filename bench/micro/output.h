/* output.h: what bench_micro prints: a table for people, lines of JSON for bench/run, what is wrong for both.
 * Owner: main.c.
 * Thread: the main thread.
 * Blocks as standard output does.
 * Nothing fails. The format of the lines is in bench/README.md. */
#pragma once

#include "bench/micro/bench.h"

/* The lines that describe the metrics; before the first output_json. */
void output_json_metrics(void);
/* One line for each sample. */
void output_json(const struct bench_run *run);
/* One line of the table, and above the first one of a bench its name. */
void output_text(const struct bench_run *run);
/* Its first wrong result, if there is one, on standard error. Counts the checks. */
void output_wrong(const struct bench_run *run);
uint64_t output_checks(void);
