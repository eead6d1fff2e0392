/* inbox.h: received bytes that are not whole frames yet. Grows with the bytes that came, never with the
 * bytes announced.
 * Owner: one rh_client; its thread.
 * Bytes lie in one piece; taking frames moves `start`, making room moves what is left to the front.
 * Nothing blocks.
 * Fails with -ENOMEM. */
#pragma once

#include "core/base/check.h"

#include <stddef.h>
#include <stdint.h>

struct inbox {
    uint8_t *bytes; /* owns */
    size_t capacity;
    size_t start; /* the first byte of the next frame */
    size_t end;   /* the first free byte */
};

void inbox_reset(struct inbox *box);  /* forgets the bytes, keeps the memory */
void inbox_deinit(struct inbox *box); /* takes zeroed memory, too */

/* Makes room behind `end`: moves the rest to the front, and grows when that is not enough. */
int inbox_reserve(struct inbox *box) MUST_USE;
/* Bytes that may be received at bytes + end. */
static inline size_t inbox_room(const struct inbox *box) {
    return box->capacity - box->end;
}
