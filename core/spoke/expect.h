/* expect.h: what came of a golden pair, held against what is expected.
 * Owner: the caller; pure functions over its texts.
 * JSON is compared by value: objects have the members that the expectation names, with these values, and may
 * have others; lists are of one length. Both texts are values behind each other, or one list of them. Nothing
 * blocks. A difference is a sentence with the path of the first one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

bool expect_json(const char *wanted, size_t wanted_length, const char *got, size_t got_length, char *why,
                 size_t why_bytes);
/* A line end at the end does not count. */
bool expect_text(const char *wanted, size_t wanted_length, const char *got, size_t got_length, char *why,
                 size_t why_bytes);
