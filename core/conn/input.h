/* input.h: received bytes that could not be handled yet: the beginning of a frame, or all that a parked
 * connection has sent. Owner: one connection; the worker's thread. Grows with the bytes received, never with
 * the bytes announced. Empty it holds a buffer only if that is large and the connection busy (input_rest
 * frees it). It may borrow bytes instead, where they were received, until whoever lent them makes it own
 * them. Nothing blocks. input_keep and input_own fail with -ENOMEM; then nothing was kept, or nothing is
 * there any more. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct input {
    uint8_t *bytes; /* owns, unless borrowed */
    uint32_t begin; /* first byte not handled */
    uint32_t end;
    uint32_t capacity; /* 0 while borrowed */
    bool borrowed;
};

static inline const uint8_t *input_at(const struct input *input) {
    return input->bytes + input->begin;
}
static inline size_t input_length(const struct input *input) {
    return input->end - input->begin;
}
/* Adds bytes behind those that are there. Borrowed ones stay borrowed when these lie right behind them. */
int input_keep(struct input *input, const uint8_t *bytes, size_t length) MUST_USE;
/* Borrows bytes; nothing else may be there. */
void input_borrow(struct input *input, uint8_t *bytes, size_t length);
/* Copies what is there to `bytes`, and borrows it from there. */
void input_move(struct input *input, uint8_t *bytes);
/* Copies what is borrowed. */
int input_own(struct input *input) MUST_USE;
/* The first `length` bytes have been handled. */
void input_drop(struct input *input, size_t length);
/* Gives the buffer back when it is empty; called when a connection has been quiet. */
void input_rest(struct input *input);
void input_deinit(struct input *input);
