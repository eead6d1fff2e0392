/* ask.h: what commands that ask a running router have in common: --admin, --token-file, --json, and what is
 * said when there is no answer.
 * Owner: the command; texts are borrowed from its arguments.
 * One thread, that of the command.
 * Blocks until the router has answered, ADMIN_APPLY_NS_MAX at most.
 * Fails by NULL, after standard error was told. */
#pragma once

#include "core/base/check.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define ASK_ADDRESS "127.0.0.1:4480"

struct ask {
    const char *command;    /* "spokes", for messages */
    const char *address;    /* --admin */
    const char *token_file; /* --token-file; NULL: the environment's */
    bool json;              /* --json: the answer is printed as it is */
};

/* Options of getopt_long that are the same everywhere; the values are above those of commands. */
enum { ASK_ADMIN = 1024, ASK_TOKEN_FILE, ASK_JSON };
#define ASK_OPTIONS                                                                                          \
    {"admin", required_argument, NULL, ASK_ADMIN}, {"token-file", required_argument, NULL, ASK_TOKEN_FILE},  \
    {                                                                                                        \
        "json", no_argument, NULL, ASK_JSON                                                                  \
    }
#define ASK_HELP                                                                                             \
    "  --admin HOST:PORT  of the router (default 127.0.0.1:4480)\n"                                          \
    "  --token-file FILE  whose line is the token that it asks for (default: what "                          \
    "ROUNDHOUSE_ADMIN_TOKEN_FILE\n"                                                                          \
    "                     names)\n"                                                                          \
    "  --json             print what the router has answered, as it is\n"

/* False: it is another option. */
bool ask_option(struct ask *ask, int option, const char *value);

/* Adds a parameter to a path in `size` bytes, its value escaped; without room for it, nothing. */
void ask_query_add(char *path, size_t size, const char *name, const char *value);

/* GET, or POST with `body` (NULL: none) of `length` bytes. The answer, which the caller gives back, of any
 * status; NULL after it was told: nobody answers, it is no JSON, or it is an error of the admin plane itself
 * (401, 403, 404, 405, 413, 415, 503), whose message was printed. */
json_t *ask_get(const struct ask *ask, const char *path, int *status) MUST_USE;
json_t *ask_post(const struct ask *ask, const char *path, const char *content_type, const void *body,
                 size_t length, int *status) MUST_USE;

/* Of an answer's object; "" and 0 when it has none. */
const char *ask_text(const json_t *object, const char *key);
long long ask_number(const json_t *object, const char *key);
