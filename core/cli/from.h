/* from.h: where a subscription begins, as the command line says it: live, oldest, last, a sequence, a time.
 * Owner: the main thread.
 * Pure functions: any thread may call.
 * Nothing blocks.
 * Fails with false and one sentence that says what to write. */
#pragma once

#include "core/base/check.h"

#include <roundhouse/client.h>

#include <stdbool.h>
#include <stdint.h>

/* A time is RFC 3339 (2026-11-27T09:30:00Z) or so long before now_ns: -5m, in us, ms, s, m, h. Fills start,
 * sequence and time_ns of *options. */
bool from_read(const char *text, uint64_t now_ns, rh_subscribe_options *options, const char **why) MUST_USE;
