/* notify.h: what a service tells the service manager that has started it, in the datagrams of sd_notify(3).
 * Owner: core/base; nothing is kept, each call opens a socket of its own. Any thread may call.
 * Nothing blocks: a manager that does not read loses what does not fit.
 * Without $NOTIFY_SOCKET there is nobody to tell, and nothing is done.
 * Fails by negative errno, which nobody but a log has a use for. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>

/* Somebody wants to be told. */
bool notify_wanted(void);

/* One datagram of lines NAME=VALUE, parted by '\n'. */
int notify_send(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same with a descriptor, which the manager keeps a copy of: "FDSTORE=1\nFDNAME=native". */
int notify_send_fd(int fd, const char *text);
