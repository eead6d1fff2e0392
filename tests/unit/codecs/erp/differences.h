/* differences.h: what is not as it is wanted, of two JSON values, in words.
 * Owner: the lines are appended to the caller's buffer.
 * One thread, that of the test.
 * Nothing blocks.
 * An object may have more than is wanted, a list may not. */
#pragma once

#include "codecs/event/bytes.h"

#include <jansson.h>

/* A line for each difference; `where` begins it. */
void differences(const json_t *got, const json_t *wanted, const char *where, struct bytes *said);
