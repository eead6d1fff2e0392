/* calls.h: a sink that writes down what a reader calls, one line for each call, for tests to compare.
 * Owner: the test; calls_free when it is done.
 * One thread, that of the test.
 * Nothing blocks.
 * Without memory the running test fails.
 *
 *   > message IDOC ORDERS05 variant=ORDERS ref=0000000000225645 @0
 *   E1EDK01 @526:2:2+420 3=EUR 9=IIL4          (offset, line, segment, length; components after a colon)
 *   ! csv.ragged error message @12+4:3:2:5 "abc" expected "8"     (offset, length, line, segment, element)
 *   < message 62 segments, 0 errors, 12345 bytes */
#pragma once

#include "codecs/document/sink.h"

struct calls {
    struct document_sink sink;
    char *text; /* NUL-terminated after calls_text */
    size_t length;
    void *stream;
    bool without_places;
    uint32_t segments, messages, refused, findings;
};

void calls_init(struct calls *trace);
/* What was written since the last call; valid until the next one. */
const char *calls_text(struct calls *trace);
void calls_free(struct calls *trace);

/* Whether `part` is in the text; prints the text if not. */
bool calls_has(struct calls *trace, const char *part);
/* How often. */
uint32_t calls_count(struct calls *trace, const char *part);
