/* feed.h: gives bytes to a reader in one piece or many, and returns all that it said.
 * Owner: the test; feed_free gives a trace back.
 * One thread, that of the test.
 * Nothing blocks.
 * A reader that can not be made fails the running test. */
#pragma once

#include "tests/unit/codecs/trace.h"

#include <stddef.h>
#include <stdint.h>

enum feed_format { FEED_EDIFACT, FEED_X12 };

struct trace *feed_whole(enum feed_format format, const struct profile *profile, const uint8_t *bytes,
                         size_t n);
struct trace *feed_split(enum feed_format format, const struct profile *profile, const uint8_t *bytes,
                         size_t n, size_t at);
/* In pieces of so many bytes, each alone in memory. */
struct trace *feed_pieces(enum feed_format format, const struct profile *profile, const uint8_t *bytes,
                          size_t n, size_t piece);
struct trace *feed_text(enum feed_format format, const struct profile *profile, const char *text);
void feed_free(struct trace *trace);

bool feed_same(const struct trace *a, const struct trace *b);
