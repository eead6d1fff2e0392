#include "tests/unit/core/bridge/router.h"

#include "core/base/clock.h"
#include "core/base/limits.h"

#include <criterion/criterion.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUTER_NS (60 * NS_PER_S)

void router_binary(char *path, size_t bytes) {
    ssize_t n = readlink("/proc/self/exe", path, bytes - 1);
    cr_assert(n > 0);
    path[n] = '\0';
    char *tests = strstr(path, "/tests/unit/");
    cr_assert(tests != NULL && (size_t)(tests - path) + sizeof "/roundhouse" <= bytes);
    (void)stpcpy(tests, "/roundhouse");
    cr_assert(access(path, X_OK) == 0, "%s is not built", path);
}

static void config_write(const struct router *router, const char *config) {
    char path[64];
    (void)snprintf(path, sizeof path, "%s/roundhouse.yaml", router->folder);
    FILE *file = fopen(path, "we");
    cr_assert(file != NULL);
    fputs(config, file);
    cr_assert(fclose(file) == 0);
}

static void router_exec(const struct router *router, bool journal, int out) {
    char binary[4096], config[64], dir[64];
    router_binary(binary, sizeof binary);
    (void)snprintf(config, sizeof config, "%s/roundhouse.yaml", router->folder);
    (void)snprintf(dir, sizeof dir, "%s/journal", router->folder);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(out, STDOUT_FILENO);
    const char *arguments[] = {
        binary, "serve",    "--quiet", "--config", config, "--listen",  router->address,       "--admin",
        "off",  "--ingest", "off",     "--shards", "2",    "--journal", journal ? dir : "off", NULL};
    execv(binary, (char *const *)(uintptr_t)arguments);
    _exit(127);
}

static void ready_read(struct router *router, int in) {
    uint64_t end = clock_mono_ns() + ROUTER_NS;
    char line[512];
    size_t n = 0;
    do {
        struct pollfd ready = {.fd = in, .events = POLLIN};
        uint64_t now = clock_mono_ns();
        int ms = now < end ? (int)((end - now) / NS_PER_MS) : 0;
        cr_assert(poll(&ready, 1, ms) == 1, "the router does not become ready");
    } while (n < sizeof line - 1 && read(in, line + n, 1) == 1 && line[n++] != '\n');
    if (n > 0 && line[n - 1] == '\n')
        n--;
    line[n] = '\0';
    cr_assert(sscanf(line, "ready native=%63s", router->address) == 1, "the router said '%s'", line);
}

static void router_begin(struct router *router, const char *config, bool journal) {
    int pair[2];
    config_write(router, config);
    cr_assert(pipe2(pair, O_CLOEXEC) == 0);
    router->pid = fork();
    cr_assert(router->pid >= 0);
    if (router->pid == 0)
        router_exec(router, journal, pair[1]);
    (void)close(pair[1]);
    ready_read(router, pair[0]);
    (void)close(pair[0]);
}

static void router_end(struct router *router, int signal) {
    cr_assert(kill(router->pid, signal) == 0);
    cr_assert(waitpid(router->pid, NULL, 0) == router->pid);
}

void router_start(struct router *router, const char *config, bool journal) {
    *router = (struct router){.address = "127.0.0.1:0", .folder = "/tmp/bridge.XXXXXX"};
    cr_assert(mkdtemp(router->folder) != NULL);
    router_begin(router, config, journal);
}

void router_restart(struct router *router, const char *config, bool journal) {
    router_end(router, SIGKILL);
    router_begin(router, config, journal);
}

void router_stop(struct router *router) {
    char command[64];
    router_end(router, SIGKILL);
    (void)snprintf(command, sizeof command, "rm -r %s", router->folder);
    cr_assert(system(command) == 0);
}

void router_await(struct event_base *base, const unsigned *what, unsigned count) {
    uint64_t end = clock_mono_ns() + ROUTER_NS;
    struct timeval soon = {.tv_usec = 100000};
    while (*what < count) {
        cr_assert(clock_mono_ns() < end, "only %u of %u came", *what, count);
        cr_assert(event_base_loopexit(base, &soon) == 0);
        cr_assert(event_base_loop(base, EVLOOP_ONCE) >= 0);
    }
}
