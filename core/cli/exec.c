#include "core/cli/exec.h"

#include "core/base/clock.h"
#include "core/base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXEC_STOP_MS    1000
#define EXEC_READ_BYTES ((size_t)64 * KIB)

void exec_init(struct exec *exec) {
    *exec = (struct exec){.process = -1, .pipe = -1};
}

/* ---- events that are kept ---- */

static struct exec_job *job_copy(uint64_t subscription, const rh_event *event, const uint8_t *input,
                                 size_t input_length) {
    struct exec_job *job = malloc(sizeof *job + event->topic_length + event->event_length + input_length);
    if (job == NULL)
        return NULL;
    char *topic = (char *)(job + 1);
    uint8_t *bytes = (uint8_t *)topic + event->topic_length;
    *job = (struct exec_job){.event = *event, .subscription = subscription, .input_length = input_length};
    memcpy(topic, event->topic, event->topic_length);
    memcpy(bytes, event->event, event->event_length);
    if (input_length > 0)
        memcpy(bytes + event->event_length, input, input_length);
    job->event.topic = topic;
    job->event.event = bytes;
    job->input = bytes + event->event_length;
    return job;
}

/* ---- the process ---- */

static void close_if_open(int *file) {
    if (*file >= 0)
        (void)close(*file);
    *file = -1;
}

/* The input as a file: the command may read it or not, at its own pace. */
static int input_file(const struct exec_job *job) {
    int file = memfd_create("roundhouse-event", MFD_CLOEXEC);
    for (size_t done = 0; file >= 0 && done < job->input_length;) {
        ssize_t taken = write(file, job->input + done, job->input_length - done);
        if (taken < 0 && errno != EINTR) {
            int error = errno;
            (void)close(file);
            errno = error;
            return -1;
        }
        done += taken > 0 ? (size_t)taken : 0;
    }
    if (file >= 0 && lseek(file, 0, SEEK_SET) != 0)
        close_if_open(&file);
    return file;
}

/* In the new process. */
static void __attribute__((noreturn)) child(const struct exec *exec, int input, int output) {
    char topic[TOPIC_BYTES_MAX + 1], attempt[16];
    const rh_event *event = &exec->running->event;
    sigset_t none;
    sigemptyset(&none);
    (void)snprintf(topic, sizeof topic, "%.*s", (int)event->topic_length, event->topic);
    (void)snprintf(attempt, sizeof attempt, "%u", event->attempt);
    bool good = setenv("ROUNDHOUSE_TOPIC", topic, 1) == 0 && setenv("ROUNDHOUSE_ATTEMPT", attempt, 1) == 0 &&
                dup2(input, STDIN_FILENO) >= 0 && (output < 0 || dup2(output, STDOUT_FILENO) >= 0);
    if (good) {
        (void)signal(SIGPIPE, SIG_DFL);
        (void)signal(SIGINT, SIG_DFL);
        (void)signal(SIGTERM, SIG_DFL);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        (void)execl("/bin/sh", "sh", "-c", exec->command, (char *)NULL);
    }
    fprintf(stderr, "roundhouse %s: /bin/sh can not be run: %s\n", exec->program, strerror(errno));
    _exit(127);
}

/* For the running job. Negative errno: there is no process. */
static int process_start(struct exec *exec) {
    int ends[2] = {-1, -1}, input = input_file(exec->running), result = 0;
    if (input < 0 || (exec->capture && pipe2(ends, O_CLOEXEC) != 0))
        result = -errno;
    if (result == 0 && (exec->pid = fork()) < 0)
        result = -errno;
    if (result == 0 && exec->pid == 0)
        child(exec, input, ends[1]);
    if (result == 0) {
        exec->process = (int)syscall(SYS_pidfd_open, exec->pid, 0);
        exec->pipe = ends[0];
        ends[0] = -1;
        if (exec->pipe >= 0)
            (void)fcntl(exec->pipe, F_SETFL, O_NONBLOCK);
    }
    close_if_open(&input);
    close_if_open(&ends[0]);
    close_if_open(&ends[1]);
    return result;
}

static int job_start(struct exec *exec) {
    uint32_t lease_ms = exec->running->event.lease_ms;
    exec->output_length = 0;
    exec->too_much = false;
    exec->extend_ns = lease_ms > 0 ? clock_mono_ns() + lease_ms * NS_PER_MS / 3 : UINT64_MAX;
    int result = process_start(exec);
    if (result != 0) {
        free(exec->running);
        exec->running = NULL;
    }
    return result;
}

int exec_take(struct exec *exec, uint64_t subscription, const rh_event *event, const uint8_t *input,
              size_t input_length) {
    struct exec_job *job = job_copy(subscription, event, input, input_length);
    if (job == NULL)
        return -ENOMEM;
    if (exec->running != NULL) {
        /* What waits is of an earlier connection, or the window is larger than one: it comes again. */
        free(exec->waiting);
        exec->waiting = job;
        return 0;
    }
    exec->running = job;
    return job_start(exec);
}

void exec_stop(struct exec *exec) {
    if (exec->running != NULL) {
        struct pollfd ended = {.fd = exec->process, .events = POLLIN};
        (void)kill(exec->pid, SIGTERM);
        if (exec->process < 0 || poll(&ended, 1, EXEC_STOP_MS) != 1)
            (void)kill(exec->pid, SIGKILL);
        while (waitpid(exec->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    close_if_open(&exec->process);
    close_if_open(&exec->pipe);
    free(exec->running);
    free(exec->waiting);
    free(exec->output);
    exec->running = exec->waiting = NULL;
    exec->output = NULL;
}

/* ---- while it runs ---- */

size_t exec_poll(const struct exec *exec, struct pollfd ready[2], int *most_ms) {
    *most_ms = -1;
    if (exec->running == NULL)
        return 0;
    if (exec->extend_ns != UINT64_MAX) {
        uint64_t now = clock_mono_ns();
        *most_ms = exec->extend_ns > now ? (int)((exec->extend_ns - now) / NS_PER_MS) + 1 : 0;
    }
    if (exec->process < 0) /* a kernel without pidfds: looked at now and then */
        *most_ms = 20;
    ready[0] = (struct pollfd){.fd = exec->process, .events = POLLIN};
    ready[1] = (struct pollfd){.fd = exec->pipe, .events = POLLIN};
    return 2;
}

static bool output_room(struct exec *exec) {
    if (exec->output_capacity - exec->output_length >= EXEC_READ_BYTES)
        return true;
    size_t capacity = 2 * exec->output_capacity + EXEC_READ_BYTES;
    uint8_t *output = realloc(exec->output, capacity);
    if (output == NULL)
        return false;
    exec->output = output;
    exec->output_capacity = capacity;
    return true;
}

/* Reads what is there. Beyond the limit the pipe is closed, which ends most commands. */
static int output_read(struct exec *exec) {
    while (exec->pipe >= 0) {
        if (!output_room(exec))
            return -ENOMEM;
        ssize_t count = read(exec->pipe, exec->output + exec->output_length, EXEC_READ_BYTES);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0 && errno == EAGAIN)
            return 0;
        if (count <= 0) {
            close_if_open(&exec->pipe);
            return 0;
        }
        exec->output_length += (size_t)count;
        exec->too_much = exec->output_length > EXEC_OUTPUT_MAX;
        if (exec->too_much)
            close_if_open(&exec->pipe);
    }
    return 0;
}

static void lease_extend(struct exec *exec) {
    const rh_event *event = &exec->running->event;
    if (clock_mono_ns() < exec->extend_ns)
        return;
    exec->extend_ns = clock_mono_ns() + event->lease_ms * NS_PER_MS / 3;
    (void)rh_ack_extend(exec->client, exec->running->subscription, event->delivery);
}

static void failure_tell(const struct exec *exec, int status, char text[100]) {
    if (exec->too_much)
        (void)snprintf(text, 100, "the command has printed more than 64 MiB");
    else if (WIFSIGNALED(status))
        (void)snprintf(text, 100, "the command was ended by signal %d", WTERMSIG(status));
    else if (status != 0)
        (void)snprintf(text, 100, "the command ended with status %d", WEXITSTATUS(status));
    else
        (void)snprintf(text, 100, "what the command printed could not be sent");
    fprintf(stderr, "roundhouse %s: %.*s: %s\n", exec->program, (int)exec->running->event.topic_length,
            exec->running->event.topic, text);
}

static void job_ended(struct exec *exec, int status) {
    char why[100];
    const struct exec_job *job = exec->running;
    const rh_event *event = &job->event;
    bool good = status == 0 && !exec->too_much &&
                (exec->ended == NULL || exec->ended(exec->user, event, exec->output, exec->output_length));
    exec->done += good;
    exec->failed += !good;
    if (!good)
        failure_tell(exec, status, why);
    if (event->delivery == 0)
        return;
    if (good)
        (void)rh_ack_done(exec->client, job->subscription, event->delivery);
    else if (WIFEXITED(status) && WEXITSTATUS(status) == EXEC_REFUSED)
        (void)rh_ack_refuse(exec->client, job->subscription, event->delivery, why);
    else
        (void)rh_ack_retry(exec->client, job->subscription, event->delivery, 0, why);
}

int exec_work(struct exec *exec) {
    int status;
    if (exec->running == NULL)
        return 0;
    int result = output_read(exec);
    if (result != 0)
        return result;
    lease_extend(exec);
    if (waitpid(exec->pid, &status, WNOHANG) != exec->pid)
        return 0;
    result = output_read(exec); /* what it has left in the pipe; its own children are not waited for */
    close_if_open(&exec->process);
    close_if_open(&exec->pipe);
    if (result == 0)
        job_ended(exec, status);
    free(exec->running);
    exec->running = exec->waiting;
    exec->waiting = NULL;
    return result == 0 && exec->running != NULL ? job_start(exec) : result;
}
