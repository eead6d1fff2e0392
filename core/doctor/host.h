/* host.h: small texts and numbers of /proc and /sys, below the root that the doctor was given.
 * Owner: core/doctor; the main thread.
 * Names are without a slash in front: "proc/sys/net/core/somaxconn".
 * Blocks only as reading such files does.
 * Answers false where a file is not there or not as it should be; nothing is written then. */
#pragma once

#include "core/doctor/doctor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Without the line's end. */
bool host_text(const struct doctor *doctor, const char *name, char *out, size_t size);
bool host_number(const struct doctor *doctor, const char *name, uint64_t *number);
/* Up to `count` numbers with blanks between them, such as those of tcp_mem. */
bool host_numbers(const struct doctor *doctor, const char *name, uint64_t *numbers, uint32_t count);
/* The number behind "KEY:" of a file of such lines, such as /proc/meminfo. `base` is 10 or 16. */
bool host_line(const struct doctor *doctor, const char *name, const char *key, int base, uint64_t *number);

/* Who listens on a TCP port: "NAME (process 4711)". False when that can not be told. */
bool host_listener(const struct doctor *doctor, uint16_t port, char *out, size_t size);
