/* said.h: does not say the same thing twice in a row: a server that is away for an hour is one line.
 * Owner: the command; its thread.
 * Remembers the last text only.
 * Nothing blocks.
 * Nothing fails; of a long text only the beginning is compared. */
#pragma once

#include <stdbool.h>

struct said {
    char text[256];
};

/* Whether this is news. */
bool said_anew(struct said *said, const char *text);
void said_forget(struct said *said);
