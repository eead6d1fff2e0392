/* places.h: which line an event came from, when some lines hold no event.
 * Owner: the command `pub`; its thread.
 * Lines and events are counted from 1. Only the lines without an event are kept, as far as somebody may still
 * ask for an event behind them; lines without an event in a row are kept as one.
 * Nothing blocks.
 * Fails with -ENOMEM. */
#pragma once

#include "core/base/check.h"

#include <stddef.h>
#include <stdint.h>

struct place {
    uint64_t events; /* so many events came before these lines ... */
    uint64_t lines;  /* ... and so many lines without an event up to their end */
};

struct places {
    struct place *list; /* owns; ascending */
    size_t begin;
    size_t end;
    size_t capacity;
    uint64_t settled; /* lines without an event that have been dropped from the list */
};

void places_deinit(struct places *places); /* takes zeroed memory, too */
/* A line without an event has come, after so many events in all. */
int places_skip(struct places *places, uint64_t events) MUST_USE;
/* Nobody will ask for events up to this one any more. */
void places_settle(struct places *places, uint64_t event);
uint64_t places_line(const struct places *places, uint64_t event);
