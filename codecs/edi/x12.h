/* x12.h: reads ANSI X12 (00200 to 008xx) that comes in pieces, and hands over its segments.
 * Owner: who creates it destroys it; sink and profile are borrowed until then. Thread: one at a time; the
 * sink is called from x12_feed and x12_end. Nothing blocks. Memory is allocated at the creation and does not
 * grow with the file, but for 1 MiB of the control numbers of a group. Bad input is a finding, never an error
 * of the call: it goes on at the next segment, set or interchange. */
#pragma once

#include "codecs/document/sink.h"

#include "core/base/check.h"

#include <stddef.h>
#include <stdint.h>

struct x12_reader;

/* `profile` NULL: the strict one. -ENOMEM. */
int x12_create(struct x12_reader **reader, const struct document_sink *sink,
               const struct profile *profile) MUST_USE;
void x12_destroy(struct x12_reader *reader);

void x12_feed(struct x12_reader *reader, const uint8_t *bytes, size_t length);

/* The file ends. The reader can read another one afterwards. */
void x12_end(struct x12_reader *reader);
