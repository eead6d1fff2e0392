/* compose.h: text that grows: what acknowledgements are written into.
 * Owner: who has it inside; compose_deinit gives the memory back. Thread: one at a time.
 * Nothing blocks. It allocates by doubling, up to COMPOSE_MAX.
 * Fails quietly until the end: `failed` says that it is not whole, and must not be sent.
 * Values come in UTF-8; what the syntax that is written does not have becomes a blank. */
#pragma once

#include "codecs/document/segment.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COMPOSE_MAX (16u * 1024u * 1024u)

struct compose {
    char *bytes;
    size_t length, size;
    bool failed;
};

void compose_deinit(struct compose *compose);
void compose_clear(struct compose *compose);

__attribute__((format(printf, 2, 3))) void compose_format(struct compose *compose, const char *format, ...);

/* All of another one. */
void compose_all(struct compose *compose, const struct compose *other);

/* With release characters where : + ' and ? stand; colons stay as they are if the value is a composite. */
void compose_edifact(struct compose *compose, struct value value, bool composite);

/* Without * > ~ and ^, which nothing can release. */
void compose_x12(struct compose *compose, struct value value);
