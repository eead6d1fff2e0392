#include "core/bridge/jq_process.h"

#include "core/bridge/jq_frame.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of the worker nothing but an address sanitizer, where it is built with one, asks its environment. */
#ifdef __SANITIZE_ADDRESS__
#define ENVIRONMENT "ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=0:max_allocation_size_mb=1024"
#else
#define ENVIRONMENT ""
#endif

/* The other end becomes descriptor 3, and nothing else of ours is open there, whatever it was opened with. */
static int actions_set(posix_spawn_file_actions_t *actions, int socket) {
    int error = posix_spawn_file_actions_adddup2(actions, socket, JQ_WORKER_SOCKET);
    for (int fd = STDIN_FILENO; error == 0 && fd <= STDERR_FILENO; fd++)
        error = posix_spawn_file_actions_addopen(actions, fd, "/dev/null", O_RDWR, 0);
    return error != 0 ? error : posix_spawn_file_actions_addclosefrom_np(actions, JQ_WORKER_SOCKET + 1);
}

/* No signal that we block or ignore, and a group of its own: an interrupt from a terminal is for us alone. */
static int attributes_set(posix_spawnattr_t *attributes) {
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int error = posix_spawnattr_setsigmask(attributes, &none);
    if (error == 0)
        error = posix_spawnattr_setsigdefault(attributes, &all);
    if (error == 0)
        error = posix_spawnattr_setpgroup(attributes, 0);
    return error != 0 ? error
                      : posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                                 POSIX_SPAWN_SETPGROUP);
}

static int spawn(pid_t *pid, const char *executable, const char *name, int socket) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    union {
        const char *in[4];
        char *out[4]; /* execve changes none of them */
    } arguments = {.in = {"roundhouse", JQ_WORKER_COMMAND, name, NULL}};
    char variable[] = ENVIRONMENT;
    char *environment[] = {variable[0] != '\0' ? variable : NULL, NULL};
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0)
        return error;
    error = posix_spawnattr_init(&attributes);
    if (error == 0) {
        error = actions_set(&actions, socket);
        if (error == 0)
            error = attributes_set(&attributes);
        if (error == 0)
            error = posix_spawn(pid, executable, &actions, &attributes, arguments.out, environment);
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return error;
}

int jq_process_start(struct jq_process *process, const char *executable, const char *name) {
    int ends[2];
    *process = (struct jq_process){.socket = -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return -errno;
    int error = spawn(&process->pid, executable != NULL ? executable : "/proc/self/exe", name, ends[1]);
    (void)close(ends[1]);
    if (error == 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0) {
        process->socket = ends[0];
        return 0;
    }
    (void)close(ends[0]);
    if (error != 0)
        process->pid = 0;
    else
        (void)jq_process_end(process);
    return error != 0 ? -error : -EIO;
}

int jq_process_end(struct jq_process *process) {
    int status = -1;
    if (process->pid > 0) {
        /* One that has closed its socket has its status already: this changes it no more. */
        (void)kill(process->pid, SIGKILL);
        while (waitpid(process->pid, &status, 0) < 0)
            if (errno != EINTR) {
                status = -1;
                break;
            }
    }
    if (process->socket >= 0)
        (void)close(process->socket);
    *process = (struct jq_process){.socket = -1};
    return status;
}
