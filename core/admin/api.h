/* api.h: what an endpoint of the admin plane is, and how its handler reads a request and answers it.
 * Owner: a call belongs to its handler until that returns; a `later` to whoever has it, until it is answered.
 * Handlers run on the admin plane's thread; api_later_* may be called on any, also when the asker is gone and
 * after the admin plane has stopped. Nothing blocks, and a handler must not: what others have to do or to be
 * asked for is answered later.
 * Each call is answered exactly once. What an endpoint was not told of it refuses; want of memory is answered
 * by 503. An error is {"error": "snake_case", "message": "A sentence that says what to do."}. */
#pragma once

#include "core/base/check.h"
#include "core/base/embedded.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct admin;
struct admin_config;
struct api_call;
struct api_later;

typedef void api_handler(struct admin *admin, struct api_call *call);

enum api_flag {
    API_OPEN = 1,     /* for probes and the page itself: nobody is asked who they are */
    API_ANY_HOST = 4, /* by whatever name the router is asked; else, without a token, by one of guard_host */
    API_BODY = 2,     /* takes a body, of ADMIN_BODY_BYTES_MAX at most; others are answered 413 */
};

/* A table of them ends with one without a path. */
struct api_endpoint {
    const char *method; /* "GET", which answers HEAD as well, or "POST" */
    const char *path;
    api_handler *run;
    const char *help;  /* a line for whoever asks what there is */
    const char *query; /* its parameters, with blanks between; others are answered 400. "": it has none.
                          NULL: they are not looked at */
    unsigned flags;    /* enum api_flag */
};

/* What the router offers beside the pages of pages.h; `serve` gives it to the admin plane. */
extern const struct api_endpoint api_table[];
/* The dashboard, made by embed() in CMakeLists.txt of what lies in core/admin/dashboard. */
extern const struct embedded_file dashboard_files[];

const struct admin_config *api_config(const struct admin *admin);

/* ---- the request ---- */

/* Decoded, valid until the handler returns; NULL: not given. */
const char *api_query(struct api_call *call, const char *name);
/* A number from `least` to `most`, `otherwise` when it is not given. False: it was answered 400. */
bool api_query_number(struct api_call *call, const char *name, uint64_t least, uint64_t most,
                      uint64_t otherwise, uint64_t *number) MUST_USE;
/* "true" or "false", false when it is not given. False: it was answered 400. */
bool api_query_bool(struct api_call *call, const char *name, bool *value) MUST_USE;
/* NULL: it has none. Valid until the handler returns; no NUL stands behind it. */
const char *api_header(const struct api_call *call, const char *name);
const void *api_body(struct api_call *call, size_t *length);

/* ---- the answer ---- */

/* Takes the reference over; NULL is want of memory. */
void api_reply_json(struct api_call *call, int code, json_t *value);
/* JSON as text, which stays the caller's; NULL is want of memory. */
void api_reply_json_text(struct api_call *call, int code, const char *json);
void api_reply_error(struct api_call *call, int code, const char *error, const char *text);
/* One line of text, for people and probes. */
void api_reply_text(struct api_call *call, int code, const char *text);
/* A header of the answer that is to come. */
void api_reply_header(struct api_call *call, const char *name, const char *value);

/* The answer comes from elsewhere, within ADMIN_APPLY_NS_MAX; what the call has given must have been read
 * when the handler returns. NULL: no memory, and it was answered. */
struct api_later *api_later(struct api_call *call);
/* Once, on any thread. The text is malloc'd and taken over; NULL is want of memory. */
void api_later_json(struct api_later *later, int code, char *json);
void api_later_error(struct api_later *later, int code, const char *error, const char *text);
