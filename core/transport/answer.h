/* answer.h: what has come back of a request, and what follows from it for the event and for the target.
 * Owner: pure functions over the caller's struct. Any thread may call.
 * The rules are those of the webhook binding of CloudEvents 1.0.2 and of RFC 9110, section 15.
 * Nothing blocks.
 * Nothing fails: what is no answer has a meaning, too. */
#pragma once

#include "core/base/limits.h"
#include "core/transport/curl.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What came, as it comes. */
struct answer {
    uint32_t status; /* of the header that came last; 0: none */
    bool whole;      /* that header is there to its end: then the status counts, whatever comes after it */
    uint64_t head_bytes, body_bytes;
    size_t cut_length;
    uint8_t cut[WEBHOOK_ANSWER_CUT_BYTES]; /* the beginning of its text */
    /* of the handshake */
    char allowed_origin[WEBHOOK_ORIGIN_BYTES_MAX + 1];
    char allowed_rate[16];
    bool asking; /* whether these two are looked for */
};

/* One line of the header, its line end included. False: it is not read on. */
bool answer_header(struct answer *answer, const char *line, size_t length);
/* Some of the body. False: it is too long to be read on. */
bool answer_body(struct answer *answer, const void *bytes, size_t length, uint64_t most);

enum meaning {
    MEANS_DONE,
    MEANS_RETRY,  /* the event again, after a pause */
    MEANS_PAUSE,  /* the target wants nothing for a while */
    MEANS_REFUSE, /* this event will never be taken */
    MEANS_GONE,   /* nothing will */
};
/* `follows`: redirects are followed, so that one which is left to be seen led to no answer; then it counts as
 * none. */
enum meaning answer_meaning(struct answer *answer, CURLcode code, bool retry_after, bool follows);

/* Why, in a sentence of valid UTF-8: the status and the beginning of the text, or what happened instead.
 * `error` is libcurl's own, `secret` is left out where the text repeats it; both may be NULL. */
void answer_reason(const struct answer *answer, const char *error, const char *secret,
                   char reason[WEBHOOK_REASON_BYTES]);

/* Whether the target has consented to events of `origin`, and to how many per minute (0: any number). */
bool answer_consents(const struct answer *answer, const char *origin, bool rate_asked, uint64_t *rate);
