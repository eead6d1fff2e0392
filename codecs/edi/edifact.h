/* edifact.h: reads UN/EDIFACT (ISO 9735, syntax 1 to 4) that comes in pieces, and hands over its segments.
 * Owner: who creates it destroys it; sink and profile are borrowed until then. Thread: one at a time; the
 * sink is called from edifact_feed and edifact_end. Nothing blocks. Memory is allocated at the creation and
 * does not grow with the file, but for 1 MiB of the references of an interchange. Bad input is a finding,
 * never an error of the call: it goes on at the next segment, message or interchange. */
#pragma once

#include "codecs/document/sink.h"

#include "core/base/check.h"

#include <stddef.h>
#include <stdint.h>

struct edifact_reader;

/* `profile` NULL: the strict one. -ENOMEM. */
int edifact_create(struct edifact_reader **reader, const struct document_sink *sink,
                   const struct profile *profile) MUST_USE;
void edifact_destroy(struct edifact_reader *reader);

void edifact_feed(struct edifact_reader *reader, const uint8_t *bytes, size_t length);

/* The file ends. The reader can read another one afterwards. */
void edifact_end(struct edifact_reader *reader);
