/* choose.c: which body runs here: asks the kernel by doing, not by version alone.
 *
 * A kernel may have io_uring and refuse it (sysctl, seccomp, LSM), or have it and lack what we need. So the probe creates the
 * very ring that a worker would run, and sends a few bytes to and fro over a socket pair with it. */
#include "core/io/body.h"

#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/io/uring_compat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROBE_TIMEOUT_NS                                                                                     \
    (2u * NS_PER_S) /* the self-test needs microseconds; this ends a kernel that never answers */

static int __attribute__((format(printf, 3, 4))) say(char *reason, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(reason, size, format, arguments);
    va_end(arguments);
    return n;
}

int io_choose(enum io_choice choice, enum io_body *body, char *reason, size_t reason_size) {
    if (choice == IO_EPOLL) {
        *body = IO_BODY_EPOLL;
        (void)say(reason, reason_size, "as asked");
        return 0;
    }
    *body = IO_BODY_URING;
    (void)say(reason, reason_size, "not built with io_uring");
    int error = -ENOSYS;
    if (error && choice == IO_AUTO) {
        *body = IO_BODY_EPOLL;
        return 0;
    }
    return error;
}
