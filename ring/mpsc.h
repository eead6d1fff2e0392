/* mpsc.h: the mailbox: small fixed commands from any thread to one.
 * Owner: the receiving thread creates it; mpsc_push from any thread, mpsc_pop from the owner.
 * Bounded, ordered per sender. A push is visible when it returns; the sender then signals the owner's wake.
 * Nothing blocks: a full mailbox answers RING_FULL.
 * Only mpsc_create can fail (negative errno). The argument is at the top of mpsc.c. */
#pragma once

#include "core/base/check.h"
#include "ring/ring.h"

#include <stdbool.h>
#include <stdint.h>

struct mpsc;

struct mpsc_command {
    uint32_t kind; /* meaning is the owner's */
    uint32_t small;
    uint64_t word[5];
};

int mpsc_create(struct mpsc **out, uint32_t commands) MUST_USE; /* power of two */
void mpsc_destroy(struct mpsc *box);
enum ring_result mpsc_push(struct mpsc *box, const struct mpsc_command *command);
bool mpsc_pop(struct mpsc *box, struct mpsc_command *out);
bool mpsc_pending(const struct mpsc *box);
