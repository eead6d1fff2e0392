/* moment.h: dates, times, periods and zones, read in the forms that documents write them in.
 * Owner: pure functions over the caller's bytes. Any thread may call.
 * Nothing is invented: without a time there is none, without a zone there is none.
 * Nothing blocks, nothing allocates.
 * What is no date is an answer; the years 1900 to 2199 are dates. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct moment {
    int32_t date; /* yyyymmdd; 0: none, a time of day alone */
    int32_t time; /* hhmmss */
    int32_t zone; /* minutes east of UTC */
    bool timed, zoned;
};

enum moment_result {
    MOMENT_OK,
    MOMENT_EMPTY, /* nothing but zeros or blanks: how SAP writes no date */
    MOMENT_OTHER, /* read by its looks: it is not in the format that was named */
    MOMENT_BAD,
};

#define MOMENT_PIVOT_DEFAULT 70u /* a year of two digits from here on is of the last century */

/* `format` is a code of EDIFACT 2379 (102, 203, 718), a pattern (CCYYMMDD, DD.MM.CCYY, CCYY-MM-DDTHH:MM), or
 * empty: by its looks. MM behind HH are minutes. A period has two ends; one date is both: *end = *start. */
enum moment_result moment_read(const uint8_t *text, size_t n, const char *format, size_t format_n,
                               uint32_t pivot, struct moment *start, struct moment *end);

/* HHMM, HHMMSS, HH:MM, HH:MM:SS with a fraction, which is cut, and a zone. */
bool moment_time_read(const uint8_t *text, size_t n, struct moment *out) MUST_USE;

/* Z, UTC, +01, -0330, +05:30, and what X12 623 has: ET is none, ES is -05. */
bool moment_zone_read(const uint8_t *text, size_t n, int32_t *minutes) MUST_USE;

#define MOMENT_TEXT_BYTES 26u

/* 2026-09-02, 2026-09-02T14:05:00, 2026-09-02T14:05:00+02:00, ...Z; without a date 14:05:00. Returns the
 * length without the zero byte.
 */
size_t moment_write(struct moment moment, char out[MOMENT_TEXT_BYTES]);

/* Reads what moment_write writes. */
bool moment_text_read(const char *text, size_t n, struct moment *out) MUST_USE;

/* Seconds since 1970; a moment without a zone is taken as UTC, without a time as midnight. */
int64_t moment_seconds(struct moment moment);
