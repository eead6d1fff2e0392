#include "core/cli/handover.h"

#include "core/base/logfmt.h"
#include "core/base/notify.h"
#include "core/cli/args.h"
#include "core/io/io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_FD 3 /* of those that are handed over: SD_LISTEN_FDS_START */

/* ---- taking over ---- */

/* Whether the variables are for this process, and not left over by one that has started it. */
static uint64_t inherited_count(void) {
    const char *count = getenv("LISTEN_FDS"), *process = getenv("LISTEN_PID");
    uint64_t number = 0, pid = 0;
    if (count == NULL || process == NULL || !args_number(process, 1, INT32_MAX, &pid) ||
        pid != (uint64_t)getpid() || !args_number(count, 1, INT32_MAX, &number))
        return 0;
    return number;
}

/* The next of the names that are parted by ':'; "unknown" where there is none, as sd_listen_fds(3) has it. */
static void name_take(const char **names, char out[HANDOVER_NAME_BYTES]) {
    size_t length = *names != NULL ? strcspn(*names, ":") : 0;
    (void)snprintf(out, HANDOVER_NAME_BYTES, "%.*s", length > 0 ? (int)length : 7,
                   length > 0 ? *names : "unknown");
    if (*names != NULL)
        *names = (*names)[length] == ':' ? *names + length + 1 : NULL;
}

void handover_inherit(struct handover *handover) {
    uint64_t count = inherited_count();
    const char *names = getenv("LISTEN_FDNAMES");
    for (uint64_t i = 0; i < count && FIRST_FD + i < INT32_MAX; i++) {
        int fd = FIRST_FD + (int)i;
        char name[HANDOVER_NAME_BYTES];
        name_take(&names, name);
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
            break; /* there are fewer than was said */
        if (handover->inherited_count == HANDOVER_LISTENERS_MAX) {
            (void)close(fd);
            continue;
        }
        struct handover_socket *taken = &handover->inherited[handover->inherited_count++];
        taken->fd = fd;
        memcpy(taken->name, name, sizeof name);
    }
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDNAMES");
}

static int inherited_remove(struct handover *handover, uint32_t index) {
    int fd = handover->inherited[index].fd;
    handover->inherited[index] = handover->inherited[--handover->inherited_count];
    return fd;
}

/* Port 0 fits whatever port the one of this name had: so it is the same one after a restart. */
static int inherited_find(struct handover *handover, const char *name, const char *address, uint16_t *port) {
    size_t length = strlen(address);
    bool any_port = length > 2 && strcmp(address + length - 2, ":0") == 0;
    for (int named = 1; named >= (any_port ? 1 : 0); named--)
        for (uint32_t i = 0; i < handover->inherited_count; i++) {
            const struct handover_socket *socket = &handover->inherited[i];
            bool same = strcmp(socket->name, name) == 0;
            if (same == (named == 1) && io_listen_adopt(socket->fd, address, port) == 0)
                return inherited_remove(handover, i);
        }
    return -ENOENT;
}

static void store_forget(const char *name) {
    (void)notify_send("FDSTOREREMOVE=1\nFDNAME=%s", name);
}

/* One of the same name that is bound elsewhere: the address has changed, nobody shall wait there. */
static void inherited_drop(struct handover *handover, const char *name) {
    for (uint32_t i = handover->inherited_count; i-- > 0;)
        if (strcmp(handover->inherited[i].name, name) == 0) {
            (void)close(inherited_remove(handover, i));
            store_forget(name);
        }
}

static void keep(struct handover *handover, const char *name, int fd) {
    char text[64];
    int copy = handover->kept_count < HANDOVER_LISTENERS_MAX ? fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD) : -1;
    if (copy < 0)
        return; /* it works all the same, and is bound anew by the next one */
    struct handover_socket *kept = &handover->kept[handover->kept_count++];
    kept->fd = copy;
    (void)snprintf(kept->name, sizeof kept->name, "%s", name);
    (void)snprintf(text, sizeof text, "FDSTORE=1\nFDNAME=%s", kept->name);
    (void)notify_send_fd(copy, text);
}

int handover_listen(struct handover *handover, const char *name, const char *address, uint16_t *port) {
    int fd = inherited_find(handover, name, address, port);
    inherited_drop(handover, name);
    if (fd < 0)
        fd = io_listen_socket(address, port);
    if (fd >= 0)
        keep(handover, name, fd);
    return fd;
}

void handover_replace(struct handover *handover, const char *name, int fd) {
    for (uint32_t i = handover->kept_count; i-- > 0;)
        if (strcmp(handover->kept[i].name, name) == 0) {
            (void)close(handover->kept[i].fd);
            handover->kept[i] = handover->kept[--handover->kept_count];
        }
    store_forget(name);
    keep(handover, name, fd);
}

static bool in_use(const struct handover *handover, const char *name) {
    for (uint32_t i = 0; i < handover->kept_count; i++)
        if (strcmp(handover->kept[i].name, name) == 0)
            return true;
    return false;
}

void handover_settle(struct handover *handover) {
    while (handover->inherited_count > 0) {
        char name[2 * HANDOVER_NAME_BYTES];
        const struct handover_socket *unused = &handover->inherited[handover->inherited_count - 1];
        logfmt(LOGFMT_WARN, "a socket that was handed over is not used: the config listens nowhere on it",
               "name=%s", logfmt_quote(name, sizeof name, unused->name, strlen(unused->name)));
        if (!in_use(handover, unused->name))
            store_forget(unused->name);
        (void)close(inherited_remove(handover, handover->inherited_count - 1));
    }
}

/* ---- handing over ---- */

static void environment_set(const struct handover *handover) {
    char names[HANDOVER_LISTENERS_MAX * (HANDOVER_NAME_BYTES + 1)] = "", number[24];
    for (uint32_t i = 0; i < handover->kept_count; i++) {
        size_t length = strlen(names);
        (void)snprintf(names + length, sizeof names - length, "%s%s", i > 0 ? ":" : "",
                       handover->kept[i].name);
    }
    (void)snprintf(number, sizeof number, "%" PRIu32, handover->kept_count);
    (void)setenv("LISTEN_FDS", number, 1);
    (void)setenv("LISTEN_FDNAMES", names, 1);
    (void)snprintf(number, sizeof number, "%d", (int)getpid());
    (void)setenv("LISTEN_PID", number, 1);
}

/* Out of the way first: a copy may have a number that another one is to get. */
static int copies_raise(struct handover *handover) {
    for (uint32_t i = 0; i < handover->kept_count; i++) {
        int high = fcntl(handover->kept[i].fd, F_DUPFD_CLOEXEC, FIRST_FD + (int)HANDOVER_LISTENERS_MAX);
        if (high < 0)
            return -errno;
        (void)close(handover->kept[i].fd);
        handover->kept[i].fd = high;
    }
    return 0;
}

int handover_exec(struct handover *handover, const char *program, char **argv) {
    int result = copies_raise(handover);
    for (uint32_t i = 0; result == 0 && i < handover->kept_count; i++)
        if (dup2(handover->kept[i].fd, FIRST_FD + (int)i) < 0) /* which is not closed by exec */
            result = -errno;
    if (result != 0)
        return result;
    environment_set(handover);
    (void)execv(program, argv);
    return -errno;
}

void handover_close(struct handover *handover) {
    for (uint32_t i = 0; i < handover->kept_count; i++)
        (void)close(handover->kept[i].fd);
    for (uint32_t i = 0; i < handover->inherited_count; i++)
        (void)close(handover->inherited[i].fd);
    handover->kept_count = handover->inherited_count = 0;
}
