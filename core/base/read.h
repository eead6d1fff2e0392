/* read.h: all of a small file that is open.
 * Owner: the caller has the descriptor and the buffer.
 * Any thread may call.
 * Blocks as the file does.
 * Fails by negative errno; a read that a signal has cut short goes on. */
#pragma once

#include "core/base/check.h"

#include <stddef.h>
#include <sys/types.h>

/* How many bytes came before its end, at most `most`: with one more than is allowed, whoever reads sees that
 * it is too long. */
ssize_t read_to_end(int fd, char *text, size_t most) MUST_USE;
