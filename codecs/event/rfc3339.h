/* rfc3339.h: timestamps as text, 2026-02-28T09:30:00.25+01:00, and as seconds and nanoseconds since 1970.
 * Owner: pure functions. Any thread may call.
 * The years 1 to 9999, as google.protobuf.Timestamp.
 * Nothing blocks.
 * Reading fails with false. A leap second is the next minute's first; digits below 1 ns are cut. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z. */
#define RFC3339_SECONDS_MIN INT64_C(-62135596800)
#define RFC3339_SECONDS_MAX INT64_C(253402300799)

#define RFC3339_BYTES 31u /* 2026-02-28T09:30:00.123456789Z and a zero byte */

bool rfc3339_read(const char *text, size_t n, int64_t *seconds, uint32_t *nanos);

/* In UTC, with 0, 3, 6 or 9 digits of fraction, as many as needed. Returns the length without the zero byte.
 */
size_t rfc3339_write(int64_t seconds, uint32_t nanos, char out[RFC3339_BYTES]);
