#include "core/cli/serve_restart.h"

#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/logfmt.h"
#include "core/cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK_NS_MAX (10u * NS_PER_S)
#define LOOK_NS      (10 * (long)NS_PER_MS)

void serve_restart_init(struct serve_restart *restart, int argc, char **argv) {
    static char check[] = "--check";
    ssize_t length = readlink("/proc/self/exe", restart->program, sizeof restart->program - 1);
    if (length <= 0 || argc > (int)SERVE_ARGUMENTS_MAX) {
        restart->program[0] = '\0';
        return;
    }
    restart->program[length] = '\0';
    restart->argv[0] = restart->checked[0] = restart->program;
    for (int i = 0; i < argc; i++)
        restart->argv[i + 1] = restart->checked[i + 1] = argv[i];
    /* Directly behind `serve`: what follows a "--" is no option. */
    memmove(&restart->checked[3], &restart->checked[2], (size_t)argc * sizeof restart->checked[0]);
    restart->checked[2] = check;
}

/* Its status as waitpid gives it; -1 when it does not end in time, or could not be waited for. */
static int wait_bounded(pid_t child) {
    uint64_t until_ns = clock_mono_ns() + CHECK_NS_MAX;
    int status = 0;
    pid_t found;
    while ((found = waitpid(child, &status, WNOHANG)) == 0 && clock_mono_ns() < until_ns)
        nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
    if (found != 0)
        return found == child ? status : -1;
    (void)kill(child, SIGKILL);
    (void)waitpid(child, &status, 0);
    return -1;
}

/* With no signal blocked, and its standard output where it disturbs nobody: ours belongs to the ready line.
 */
static int spawn(const char *program, char **argv, pid_t *child) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    int result = posix_spawn(child, program, &actions, &attributes, argv, environ);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return -result;
}

bool serve_restart_check(struct serve_restart *restart) {
    char program[2 * PATH_MAX];
    pid_t child = -1;
    if (restart->program[0] == '\0') {
        logfmt(LOGFMT_ERROR, "no restart: what program this is can not be known (is /proc mounted?)",
               "program=unknown");
        return false;
    }
    logfmt_quote(program, sizeof program, restart->program, strlen(restart->program));
    int result = spawn(restart->program, restart->checked, &child);
    if (result != 0) {
        logfmt(LOGFMT_ERROR, "no restart: the program can not be started", "program=%s error=\"%s\"", program,
               strerror(-result));
        return false;
    }
    int status = wait_bounded(child);
    if (status == 0)
        return true;
    logfmt(LOGFMT_ERROR,
           "no restart: the program that is installed now does not accept the options or the config",
           "program=%s status=%d", program, status >= 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return false;
}

int serve_restart_go(struct serve_restart *restart, struct handover *handover) {
    int result = handover_exec(handover, restart->program, restart->argv);
    char program[2 * PATH_MAX];
    logfmt(LOGFMT_ERROR, "the program could not take over, and this one has ended", "program=%s error=\"%s\"",
           logfmt_quote(program, sizeof program, restart->program, strlen(restart->program)),
           strerror(-result));
    return CLI_INTERNAL;
}
