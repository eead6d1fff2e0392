#include "core/transport/answer.h"

#include "core/base/number.h"
#include "core/base/utf8.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- as it comes ---- */

static uint32_t status_of(const char *line, size_t length) {
    const char *blank = memchr(line, ' ', length);
    uint64_t status = 0;
    if (!blank || number_read(blank + 1, length - (size_t)(blank + 1 - line), &status) != 3)
        return 0;
    return (uint32_t)status;
}

/* The value of a header with this name, without the blanks around it. */
static void value_take(const char *line, size_t length, const char *name, char *out, size_t out_bytes) {
    size_t n = strlen(name);
    if (length <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
        return;
    const char *p = line + n + 1, *end = line + length;
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    while (end > p && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r' || end[-1] == '\n'))
        end--;
    if ((size_t)(end - p) >= out_bytes)
        return;
    memcpy(out, p, (size_t)(end - p));
    out[end - p] = '\0';
}

bool answer_header(struct answer *answer, const char *line, size_t length) {
    answer->head_bytes += length;
    if (length > 5 && memcmp(line, "HTTP/", 5) == 0) {
        answer->status = status_of(line, length);
        answer->whole = false;
    } else if (length == 0 || line[0] == '\r' || line[0] == '\n') {
        answer->whole |= answer->status >= 200;
    } else if (answer->asking) {
        value_take(line, length, "WebHook-Allowed-Origin", answer->allowed_origin,
                   sizeof answer->allowed_origin);
        value_take(line, length, "WebHook-Allowed-Rate", answer->allowed_rate, sizeof answer->allowed_rate);
    }
    return answer->head_bytes <= WEBHOOK_ANSWER_HEAD_BYTES_MAX;
}

bool answer_body(struct answer *answer, const void *bytes, size_t length, uint64_t most) {
    size_t room = sizeof answer->cut - answer->cut_length;
    size_t n = length < room ? length : room;
    memcpy(answer->cut + answer->cut_length, bytes, n);
    answer->cut_length += n;
    answer->body_bytes += length;
    return answer->body_bytes <= most;
}

/* ---- what it means ---- */

/* Whether nobody has answered where the redirect led; else it led nowhere, or was one too many. */
static bool lost_on_the_way(CURLcode code) {
    return code != CURLE_OK && code != CURLE_TOO_MANY_REDIRECTS && code != CURLE_UNSUPPORTED_PROTOCOL &&
           code != CURLE_URL_MALFORMAT;
}

enum meaning answer_meaning(struct answer *answer, CURLcode code, bool retry_after, bool follows) {
    if (follows && answer->status >= 300 && answer->status < 400 && lost_on_the_way(code))
        answer->whole = false;
    uint32_t status = answer->whole ? answer->status : 0;
    if (status >= 200 && status < 300)
        return MEANS_DONE;
    switch (status) {
    case 0:
    case 408:
    case 425:
        return MEANS_RETRY;
    case 410:
        return MEANS_GONE;
    case 429:
        return MEANS_PAUSE;
    case 503:
        return retry_after ? MEANS_PAUSE : MEANS_RETRY;
    default:
        return status >= 500 ? MEANS_RETRY : MEANS_REFUSE;
    }
}

/* Appends text that comes from outside: what can not be printed becomes a blank, several one. */
static void text_add(char *out, size_t bytes, const uint8_t *text, size_t length) {
    size_t n = strlen(out);
    uint32_t code;
    for (size_t i = 0, step; i < length; i += step) {
        step = utf8_next(text + i, length - i, &code);
        bool clean = step > 0 && code != ' ' && !utf8_control_or_nonchar(code);
        if (step == 0)
            step = 1;
        if (n + (clean ? step : 1) >= bytes)
            break;
        if (clean) {
            memcpy(out + n, text + i, step);
            n += step;
        } else if (n > 0 && out[n - 1] != ' ') {
            out[n++] = ' ';
        }
    }
    while (n > 0 && out[n - 1] == ' ')
        n--;
    out[n] = '\0';
}

static bool repeats(const struct answer *answer, const char *secret) {
    size_t n = secret ? strlen(secret) : 0;
    /* The beginning of a secret at the end of the cut is as good as the whole of it. */
    for (size_t i = 0; n && i < answer->cut_length; i++) {
        size_t rest = answer->cut_length - i < n ? answer->cut_length - i : n;
        if (rest >= (n < 4 ? n : 4) && memcmp(answer->cut + i, secret, rest) == 0)
            return true;
    }
    return false;
}

void answer_reason(const struct answer *answer, const char *error, const char *secret,
                   char reason[WEBHOOK_REASON_BYTES]) {
    uint32_t status = answer->whole ? answer->status : 0;
    if (status == 0) {
        snprintf(reason, WEBHOOK_REASON_BYTES, "no answer: ");
        text_add(reason, WEBHOOK_REASON_BYTES, (const uint8_t *)error, error ? strlen(error) : 0);
        return;
    }
    const char *more = status >= 300 && status < 400 ? " (a redirect, which is not followed)" : "";
    snprintf(reason, WEBHOOK_REASON_BYTES, "HTTP %u%s", status, more);
    if (answer->cut_length == 0 || repeats(answer, secret))
        return;
    size_t n = strlen(reason);
    snprintf(reason + n, WEBHOOK_REASON_BYTES - n, ": ");
    text_add(reason, WEBHOOK_REASON_BYTES, answer->cut, answer->cut_length);
}

bool answer_consents(const struct answer *answer, const char *origin, bool rate_asked, uint64_t *rate) {
    const char *allowed = answer->allowed_origin, *per_minute = answer->allowed_rate;
    *rate = 0;
    if (!answer->whole || answer->status >= 300)
        return false;
    if (strcmp(allowed, "*") != 0 && strcasecmp(allowed, origin) != 0)
        return false;
    if (per_minute[0] == '\0')
        return !rate_asked;
    if (strcmp(per_minute, "*") == 0)
        return true;
    size_t n = strlen(per_minute);
    return number_read(per_minute, n, rate) == n && *rate > 0;
}
