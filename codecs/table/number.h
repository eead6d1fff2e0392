/* number.h: numbers as people write them in tables: marks for thousands, a sign in front or behind.
 * Owner: nobody (pure functions).
 * Thread: any.
 * Nothing blocks, nothing allocates.
 * Fails by 0 for what is no number. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes it without thousands marks, a minus in front, with the same decimal mark; at most `length` bytes.
 * Thousands stand in groups of three; 0: there is no such mark. */
size_t number_clean(const uint8_t *text, size_t length, char decimal, char thousands, uint8_t *out);

/* 4,01235E+12: what a spreadsheet makes of a long number. */
bool number_ruined(const uint8_t *text, size_t length);
