/* code_list.h: the lists of codes of the maps, read from right to left: which code is written for a word.
 * Owner: constant data, the maps in the executable. Any thread may call.
 * One list for both ways: of several codes with one meaning the first is the one that is written.
 * Nothing blocks, nothing allocates.
 * What is not in the list is an answer. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>

#define CODE_BYTES 16u

/* The code for a word; false: there is none. `map` is the file, `edifact/common`. */
bool code_for(const char *map, const char *list, const char *word, char code[CODE_BYTES]) MUST_USE;

/* Whether the code stands in the list and means this word. */
bool code_means(const char *map, const char *list, const char *code, const char *word) MUST_USE;
