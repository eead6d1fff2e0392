/* ask.h: one HTTP request to the admin plane of a router that runs, for commands.
 * Owner: the caller frees the body.
 * Any thread may call.
 * Blocks until the answer is there, ADMIN_APPLY_NS_MAX at most.
 * Fails by false: nobody answers there. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>

/* `address` is HOST:PORT or [V6]:PORT. *body is text, and never NULL after true. */
bool admin_ask(const char *address, bool post, const char *path, int *status, char **body) MUST_USE;
