/* date.h: dates as people write them, by a pattern: dd.mm.yyyy, yyyymmdd, d/m/yy.
 * Owner: nobody (pure functions).
 * Thread: any.
 * Nothing blocks, nothing allocates.
 * Fails by false. One letter is a day or a month of one or two digits; yy is completed by a pivot. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DATE_PATTERN_MAX 11u /* characters */

/* Whether it has a day, a month and a year, and nothing but . - / and blanks between. */
bool date_pattern(const char *pattern);
/* Writes CCYYMMDD. A year of two digits above the pivot is of the last century. */
bool date_read(const char *pattern, uint16_t pivot, const uint8_t *text, size_t length, uint8_t out[8]);
