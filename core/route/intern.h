/* intern.h: a log writer's topic names: each gets a 64-bit id, compared by its bytes and never reused.
 * Owner: the home worker of one log; one thread.
 * Bounded: old names may be forgotten at any time and then get a new id, so that ten million topics cost what
 * one million cost. Nothing blocks. Per event: one probe; allocation only in large steps, never per topic
 * beyond the arena. intern_create fails with -ENOMEM; intern_id never fails (a full table forgets). */
#pragma once

#include "core/base/check.h"

#include <stdint.h>

struct intern;

/* `log` is put into the top 16 bits of every id, so ids are unique over all logs. `topics` = names remembered
 * at most (>= 16). The table is seeded by `seed` (per process). Ids start at 1 below the log number. */
int intern_create(struct intern **out, uint16_t log, uint32_t topics, uint64_t seed) MUST_USE;
void intern_destroy(struct intern *intern);

/* The id of the topic with these bytes; `hash` is its topic_hash. */
uint64_t intern_id(struct intern *intern, const uint8_t *topic, uint32_t length, uint64_t hash);
/* Changes when names are forgotten: until then intern_id answers the same for a name that it was asked for
 * since the last change. */
uint64_t intern_generation(const struct intern *intern);
uint64_t intern_count(const struct intern *intern);   /* names remembered now */
uint64_t intern_evicted(const struct intern *intern); /* names forgotten so far */
uint64_t intern_bytes(const struct intern *intern);   /* memory held */
