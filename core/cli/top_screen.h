/* top_screen.h: what `top` shows, as text: from what the admin plane has answered to lines that fit.
 * Owner: the caller, of all that is given; its thread.
 * Pure but for the stream that is written to.
 * Nothing blocks but the stream.
 * What an answer lacks is shown as 0 or nothing; names never reach the terminal with what it would obey. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum top_sort { TOP_LAG, TOP_RATE, TOP_NAME, TOP_SORTS };

/* Answers of one moment; NULL: there is none. */
struct top_look {
    json_t *shards, *topics, *subscriptions; /* owns */
    uint64_t mono_ns;
};

struct top_screen {
    uint32_t columns; /* of the terminal; 0 = lines are as long as they are */
    uint32_t rows;    /* 0 = no bound, and the lines are no screen */
    bool colour;
    enum top_sort sort;
    const char *address;
    const char *trouble; /* why there is no newer look; NULL = there is none */
};

const char *top_sort_name(enum top_sort sort);
/* Rates are those between the two; `before` may be empty. */
void top_draw(FILE *out, const struct top_screen *screen, const struct top_look *before,
              const struct top_look *now);
