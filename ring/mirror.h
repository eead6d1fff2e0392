/* mirror.h: memory mapped twice in a row, so that a ring's records never wrap.
 * Owner: the ring that maps it. Any thread may create or destroy; not at the same time as use.
 * base[i] and base[bytes + i] are the same byte. Users form every address as base + (offset & mask).
 * Nothing blocks but page faults.
 * Fails with negative errno: -EINVAL when bytes is not a multiple of the page size, -ENOMEM, -EMFILE. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>
#include <stdint.h>

/* `bytes` of zeros at *base and again at *base + bytes; the caller owns them. With `prefault` all pages are
 * touched now. */
int mirror_map(uint8_t **base, uint64_t bytes, bool prefault) MUST_USE;
void mirror_unmap(uint8_t *base, uint64_t bytes); /* NULL is allowed */
