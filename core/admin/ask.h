/* ask.h: one HTTP request to the admin plane of a router that runs, for commands.
 * Owner: the caller frees the body.
 * Any thread may call.
 * Blocks until the answer is there, ADMIN_APPLY_NS_MAX at most.
 * Fails by false: nobody answers there, or the token's file can not be used. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct admin_request {
    const char *address;    /* HOST:PORT or [V6]:PORT */
    const char *token_file; /* NULL: the one that ROUNDHOUSE_ADMIN_TOKEN_FILE names, if there is one */
    bool post;
    const char *path;         /* with its query */
    const char *content_type; /* of the body */
    const void *body;         /* NULL: none */
    size_t body_length;
    uint64_t wait_ns; /* at most, in whole seconds; 0: as long as the longest of its answers may take */
};

struct admin_answer {
    int status;
    char *body; /* text, never NULL after true; the caller frees it */
    size_t length;
};

/* False: `why` has a sentence without a full stop. */
bool admin_ask(const struct admin_request *request, struct admin_answer *answer, char *why,
               size_t why_bytes) MUST_USE;
