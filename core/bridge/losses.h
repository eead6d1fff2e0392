/* losses.h: what the documents of a spoke do not say of their messages, because their format has no place for
 * it: told by a log line and a counter, or a reason to refuse.
 * Owner: losses_new makes it, losses_free takes it. Thread: one at a time.
 * Nothing blocks. Every document is read again and compared (outlet.h), which costs some 0.1 ms
 * for a short one; whoever can not afford that makes none of these.
 * Fails by a sentence, and by a result. */
#pragma once

#include "core/bridge/outlet.h"
#include "core/bridge/spoke_counters.h"

#include <stddef.h>
#include <stdint.h>

/* As outbound.losses of a spoke's file has the words. */
enum losses_policy { LOSSES_TELL, LOSSES_REFUSE, LOSSES_IGNORE };

struct losses;

/* The name is borrowed, the counters may be NULL. NULL: no memory. */
struct losses *losses_new(const char *spoke, enum losses_policy policy,
                          struct spoke_counters *counters) MUST_USE;
void losses_free(struct losses *losses); /* NULL is allowed */

struct losses_document {
    enum outlet_format format;
    const ProtobufCMessage *message;
    const struct erp_edi_options *options; /* as of outlet_write */
    const uint8_t *event;                  /* it is made of: its id is told */
    size_t event_length;
};

/* As outlet_write. What was lost is told with the first document of each kind of message, and then once in a
 * minute; *why is then empty, unless losses are a reason to refuse: then it has a sentence. */
enum outlet_result losses_write(struct losses *losses, const struct losses_document *document,
                                struct bytes *out, char *why, size_t why_bytes) MUST_USE;
