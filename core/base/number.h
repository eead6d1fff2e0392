/* number.h: decimal numbers at the front of a text, read strictly.
 * Owner: core/base (pure functions). Any thread may call.
 * No sign, no blanks, no other base: what strtoul and its kin would forgive is no number here.
 * Nothing blocks.
 * A text without a number, or with one above UINT64_MAX, is an answer; nothing is written then. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many of the `length` bytes are a number; 0 = none, or too large. The text needs no NUL. */
size_t number_read(const char *text, size_t length, uint64_t *number);

/* Two numbers with one blank between them, as the kernel writes them; what follows is passed over. */
bool numbers_read(const char *text, uint64_t *first, uint64_t *second);
