/* input.h: received bytes that could not be handled yet: the beginning of a frame, or all that a parked
 * connection has sent. Owner: one connection; the worker's thread. Grows with the bytes received, never with
 * the bytes announced. Empty it holds a buffer only while the connection is busy (input_rest frees it).
 * Nothing blocks.
 * input_keep fails with -ENOMEM; then nothing was kept. */
#pragma once

#include "core/base/check.h"

#include <stddef.h>
#include <stdint.h>

struct input {
    uint8_t *bytes; /* owns */
    uint32_t begin; /* first byte not handled */
    uint32_t end;
    uint32_t capacity;
};

static inline const uint8_t *input_at(const struct input *input) {
    return input->bytes + input->begin;
}
static inline size_t input_length(const struct input *input) {
    return input->end - input->begin;
}
/* Adds bytes behind those that are there. */
int input_keep(struct input *input, const uint8_t *bytes, size_t length) MUST_USE;
/* The first `length` bytes have been handled. */
void input_drop(struct input *input, size_t length);
/* Gives the buffer back when it is empty; called when a connection has been quiet. */
void input_rest(struct input *input);
void input_deinit(struct input *input);
