/* heap.h: where tables get their memory, and how a test refuses it.
 * Owner: nobody; it keeps no state but the test's hook, which is set before the first use.
 * Any thread may call.
 * Nothing blocks.
 * heap_take answers NULL when there is no memory or the hook refuses; heap_give accepts NULL. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>
#include <stddef.h>

/* NULL outside tests. Asked before every allocation; true refuses it. */
extern bool (*heap_refuse)(size_t bytes);

/* Zeroed memory, aligned to a cache line when it is at least one long. The caller owns it. */
void *heap_take(size_t bytes) MUST_USE;
/* The same, not zeroed. */
void *heap_take_raw(size_t bytes) MUST_USE;
/* Zeroed memory, aligned as malloc does it: for what there is a lot of and little look at, since a cache line
 * of its own would cost half as much again. */
void *heap_take_packed(size_t bytes) MUST_USE;
/* A copy of bytes that need not end in a NUL, with one behind it. */
char *heap_text(const void *bytes, size_t length) MUST_USE;
/* The same as free, which such a text may be given to as well. */
void heap_give(void *memory);

/* A larger copy of an array: `*array` of `*capacity` elements of `size` bytes becomes at least `wanted` long,
 * by doubling. -ENOMEM leaves it as it was. */
int heap_grow(void **array, size_t *capacity, size_t wanted, size_t size) MUST_USE;
