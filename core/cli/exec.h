/* exec.h: a command of the user's that is run for each event, one at a time; its exit status says what became
 * of the event.
 * Owner: the main thread; one of it in a program.
 * The command gets the input on its standard input, ROUNDHOUSE_TOPIC and ROUNDHOUSE_ATTEMPT in its
 * environment, and runs under /bin/sh. A delivery of a queue is acknowledged: status 0 is done, 65 refuses it
 * (it becomes a dead letter), anything else asks for it again. Its lease is extended as long as it runs.
 * Nothing blocks but exec_stop, which waits for the command to follow a SIGTERM, and kills it after a second.
 * Fails with negative errno. */
#pragma once

#include "core/base/check.h"

#include <roundhouse/client.h>

#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>

#define EXEC_OUTPUT_MAX FRAME_BYTES_MAX /* what is captured of one command */
#define EXEC_REFUSED    65              /* its exit status when trying again would not help */

/* An event that is kept for a while, and what its command gets. Memory of one block. */
struct exec_job {
    rh_event event; /* borrows from behind this struct */
    uint64_t subscription;
    const uint8_t *input;
    size_t input_length;
};

struct exec {
    const char *command; /* borrows */
    const char *program; /* borrows; for messages: "sub" */
    rh_client *client;   /* borrows */
    bool capture;        /* its standard output is collected, else it is ours */
    /* The command has ended with status 0, before the event is acknowledged. False: it counts as failed. May
     * be NULL. */
    bool (*ended)(void *user, const rh_event *event, const uint8_t *output, size_t length);
    void *user;

    struct exec_job *running; /* owns; NULL = none */
    struct exec_job *waiting; /* owns; came while another one ran. A newer one takes its place */
    pid_t pid;
    int process; /* pidfd; -1 = none */
    int pipe;    /* its standard output; -1 = none */
    uint8_t *output;
    size_t output_length, output_capacity;
    bool too_much;         /* its output was beyond measure */
    uint64_t extend_ns;    /* when the lease is extended next */
    uint64_t done, failed; /* commands that have ended so */
};

void exec_init(struct exec *exec);
/* Ends what runs, without acknowledging anything. */
void exec_stop(struct exec *exec);

/* Runs the command for this event now, or when the one that runs has ended. -ENOMEM, or what fork says. */
int exec_take(struct exec *exec, uint64_t subscription, const rh_event *event, const uint8_t *input,
              size_t input_length) MUST_USE;
/* What to wait for; count is at most 2. And how long at most, -1 = for ever. */
size_t exec_poll(const struct exec *exec, struct pollfd ready[2], int *most_ms);
/* Does what has become due. */
int exec_work(struct exec *exec) MUST_USE;
