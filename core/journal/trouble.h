/* trouble.h: puts together the one message of a refusal.
 * Owner: core/journal. Any thread, into the caller's struct.
 * The text is one line: what is wrong, where, what would be lost, and what to do.
 * Nothing blocks.
 * What does not fit is cut. */
#pragma once

#include "core/journal/journal.h"

#include <stdarg.h>

enum trouble_status {
    TROUBLE_DATA = 65,        /* damaged, or not ours */
    TROUBLE_UNAVAILABLE = 69, /* somebody else has it */
    TROUBLE_DISK = 70,        /* the disk or memory has failed */
};

/* Both return -1, so that a function can end with them. */
int trouble_set(struct journal_trouble *trouble, enum trouble_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "WHAT NAME: strerror": status 70, but for what the user can have wrong (no such directory, no permission,
 * read-only), which says so. */
int trouble_disk(struct journal_trouble *trouble, int error, const char *what, const char *name);
