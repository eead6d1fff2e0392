/* token.h: the token of the admin plane: a secret in a file that only its owner can read.
 * Owner: whoever reads it wipes it; the admin plane's thread looks again whether it was replaced.
 * Thread: one at a time for one token.
 * Blocks as long as it takes to read a small file; token_look looks at most once a second.
 * Fails by a sentence at first; later the old token stays in use, and a log line says so once. Neither a log
 * line nor a sentence has the token in it. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define TOKEN_BYTES_MIN 16u
#define TOKEN_BYTES_MAX 256u

struct token {
    char text[TOKEN_BYTES_MAX + 1];
    size_t length;
    struct stat seen; /* of the file that was read last */
    uint64_t looked_ns;
    bool lost; /* it could not be read the last time, and that was told */
};

/* One line of TOKEN_BYTES_MIN to TOKEN_BYTES_MAX printable characters without blanks, in a file that nobody
 * but us or root owns, and nobody else can read or write. False: `why` has a sentence. */
bool token_read(struct token *token, const char *path, char *why, size_t why_bytes) MUST_USE;
/* Reads it again when its file has changed. */
void token_look(struct token *token, const char *path, uint64_t now_ns);
/* Whether this is the token; takes as long for one wrong text as for another of its length. */
bool token_same(const struct token *token, const char *text, size_t length);
void token_wipe(struct token *token);
