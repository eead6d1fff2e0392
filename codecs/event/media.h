/* media.h: what a datacontenttype says about the form of the data (RFC 2046, parameters left aside).
 * Owner: pure functions. Any thread may call.
 * Upper and lower case are the same.
 * Nothing blocks.
 * What is not understood is neither JSON nor text. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Any type with the subtype "json" or one that ends in "+json". */
bool media_json(const char *type, size_t n);

/* text/anything. */
bool media_text(const char *type, size_t n);
