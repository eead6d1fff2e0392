/* guard.h: who may ask the admin plane.
 * With a token, whoever has it. Without one the admin plane is on loopback, and whoever is on this machine;
 * but not a page of another site in a browser here, which could reach it by a name that leads here (DNS
 * rebinding), or send a form to it (CSRF).
 * Owner: nothing is kept. Thread: any.
 * Nothing blocks.
 * Fails by an answer to the call. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>

struct api_call;

/* False: it was answered 401, 403 or 415. `call->endpoint` may be NULL: nothing stands at its path. */
bool guard_admits(struct api_call *call) MUST_USE;

/* Whether a Host header names this machine: an address as such, or localhost. A browser that was led here by
 * another name sends that one. */
bool guard_host(const char *host);
/* Whether the page that asks has the origin that is asked. */
bool guard_origin(const char *origin, const char *host);
