/* jq.h: a jq program in a process of its own: inputs go in, the outputs of each come back, in order.
 * jq 1.6 can not be stopped, reads its environment and may want any amount of memory, so it runs where that
 * does no harm: no environment, no files, and limits on memory and time. On a breach the process is started
 * again, the input that was at fault is answered with what it did, and those behind it go on.
 * Owner: one thread, which makes it, runs the base and frees it; the process ends with that thread.
 * Blocks: jq_new and jq_run_now, no longer than the limits allow. Fails by an answer, which has a sentence.
 */
#pragma once

#include "core/base/check.h"

#include <stddef.h>
#include <stdint.h>

struct event_base;
struct jq;

enum jq_result {
    JQ_OK,
    JQ_FAILED,  /* the program raised an error on this input, or this is no JSON, or too much of it */
    JQ_TIMEOUT, /* the input took more than its time, and would again */
    JQ_MEMORY,  /* the input needs more than the memory there is, also in a process that is new */
    JQ_DIED,    /* the process ended twice while it had this input */
};

struct jq_output {
    const char *json; /* on one line; a NUL stands behind it */
    size_t length;
};

/* Valid during the call. */
struct jq_answer {
    enum jq_result result;
    const char *text; /* what went wrong, a sentence; "" when JQ_OK */
    const struct jq_output *outputs;
    size_t count;
};

/* May call jq_run and jq_free, not jq_run_now. */
typedef void jq_on_answer(void *user, const struct jq_answer *answer);

struct jq_options {
    const char *executable; /* that has the command jq-worker; NULL: this one */
    const char *name;       /* of the mapping, for log lines and errors: FILE:KEY */
    const char *program;    /* jq's text; `import` and `include` find nothing */
    const char *variables;  /* a JSON object, each member a $NAME of the program; NULL = none */
    uint64_t memory_bytes;  /* 0: JQ_MEMORY_DEFAULT */
    uint64_t time_ns;       /* for one input, of CPU; 0: JQ_TIME_DEFAULT. By the clock it may take ten times
                               that, so that a busy machine is not taken for a busy program */
    uint32_t waiting_max;   /* inputs that may wait; 0: JQ_WAITING_DEFAULT */
};

/* Starts the process and compiles; blocks until that is done, JQ_START_NS at most. `base` NULL: only
 * jq_run_now can be used. Texts are copied. NULL: *why has a sentence, of several lines when jq has several
 * errors. */
struct jq *jq_new(struct event_base *base, const struct jq_options *options, char *why,
                  size_t why_bytes) MUST_USE;
/* Ends the process; what waits is never answered. NULL is allowed. */
void jq_free(struct jq *jq);

/* Copies the input. 0, or -EAGAIN: waiting_max is reached, or JQ_WAITING_BYTES_MAX wait; -ENOMEM. Answers
 * come in the order of the inputs, from the base's loop, never before jq_run returns. An input of more than
 * JQ_TEXT_BYTES_MAX is answered with JQ_FAILED, and so is one whose outputs are more than that together. */
int jq_run(struct jq *jq, const char *json, size_t length, jq_on_answer *on_answer, void *user) MUST_USE;
/* The same, and waits for the answer, and for those of the inputs before it. */
int jq_run_now(struct jq *jq, const char *json, size_t length, jq_on_answer *on_answer, void *user) MUST_USE;

/* How often the process was started again since jq_new. */
uint64_t jq_restarts(const struct jq *jq);
/* Inputs that are not answered yet. */
uint32_t jq_waiting(const struct jq *jq);
