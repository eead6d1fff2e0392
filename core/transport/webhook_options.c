#include "core/transport/webhook_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

struct sentence {
    char *text;
    size_t bytes;
};

__attribute__((format(printf, 2, 3))) static bool wrong(struct sentence why, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why.text, why.bytes, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- where to ---- */

static bool part_set(const struct curl_table *curl, const CURLU *url, CURLUPart part) {
    char *text = NULL;
    CURLUcode code = curl->url_get(url, part, &text, 0);
    curl->free(text);
    return code == CURLUE_OK;
}

static bool url_check(const struct curl_table *curl, const char *text, struct sentence why) {
    CURLU *url = curl->url();
    char *scheme = NULL;
    bool well = false;
    if (!url)
        return wrong(why, "no memory");
    if (curl->url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK ||
        curl->url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
        wrong(why, "`url` is no URL");
    else if (strcasecmp(scheme, "http") != 0 && strcasecmp(scheme, "https") != 0)
        wrong(why, "`url` begins with http:// or https://");
    else if (part_set(curl, url, CURLUPART_USER) || part_set(curl, url, CURLUPART_PASSWORD))
        wrong(why, "`url` has a user or a password in it: secrets come from files");
    else if (part_set(curl, url, CURLUPART_FRAGMENT))
        wrong(why, "`url` has a fragment, which is never sent");
    else
        well = true;
    curl->free(scheme);
    curl->url_cleanup(url);
    return well;
}

/* ---- numbers ---- */

static bool ms_settle(const char *name, uint64_t *ms, uint64_t by_default, struct sentence why) {
    if (*ms == 0)
        *ms = by_default;
    return *ms <= WEBHOOK_WAIT_MS_MAX || wrong(why, "`%s` is a day at most", name);
}

static bool times_settle(struct webhook_options *o, struct sentence why) {
    if (!ms_settle("connect", &o->connect_ms, WEBHOOK_CONNECT_MS_DEFAULT, why) ||
        !ms_settle("answer", &o->answer_ms, WEBHOOK_ANSWER_MS_DEFAULT, why) ||
        !ms_settle("retry_min", &o->retry_ms_min, WEBHOOK_RETRY_MS_DEFAULT, why) ||
        !ms_settle("retry_max", &o->retry_ms_max, WEBHOOK_RETRY_MS_MAX_DEFAULT, why) ||
        !ms_settle("retry_after_max", &o->retry_after_ms_max, WEBHOOK_RETRY_AFTER_MS_DEFAULT, why) ||
        !ms_settle("breaker_min", &o->breaker_ms_min, WEBHOOK_BREAKER_MS_DEFAULT, why) ||
        !ms_settle("breaker_max", &o->breaker_ms_max, WEBHOOK_BREAKER_MS_MAX_DEFAULT, why) ||
        !ms_settle("extend", &o->extend_ms, WEBHOOK_EXTEND_MS_DEFAULT, why))
        return false;
    /* The queue takes no longer pause than this from us. */
    const uint64_t longest = QUEUE_BACKOFF_NS_MAX / NS_PER_MS;
    if (o->retry_ms_max > longest || o->retry_after_ms_max > longest)
        return wrong(why, "`retry_max` and `retry_after_max` are an hour at most");
    if (o->retry_ms_min > o->retry_ms_max)
        return wrong(why, "`retry_min` is above `retry_max`");
    return o->breaker_ms_min <= o->breaker_ms_max || wrong(why, "`breaker_min` is above `breaker_max`");
}

static bool counts_settle(struct webhook_options *o, struct sentence why) {
    if (o->concurrency == 0)
        o->concurrency = WEBHOOK_CONCURRENCY_DEFAULT;
    if (o->concurrency > WEBHOOK_CONCURRENCY_MAX)
        return wrong(why, "`concurrency` is %u at most", WEBHOOK_CONCURRENCY_MAX);
    if (o->answer_bytes_max == 0)
        o->answer_bytes_max = WEBHOOK_ANSWER_BYTES_DEFAULT;
    if (o->breaker_failures == 0)
        o->breaker_failures = WEBHOOK_BREAKER_DEFAULT;
    return o->redirects <= WEBHOOK_REDIRECTS_MAX ||
           wrong(why, "`redirects` is %u at most", WEBHOOK_REDIRECTS_MAX);
}

/* ---- headers and files ---- */

static bool headers_settle(struct webhook_options *o, struct sentence why) {
    if (o->headers_count > WEBHOOK_HEADERS_MAX)
        return wrong(why, "`headers` has %u entries at most", WEBHOOK_HEADERS_MAX);
    for (size_t i = 0; i < o->headers_count; i++) {
        const char *fault = header_fault(o->headers[i]);
        if (fault) /* not the header: its value may be a secret */
            return wrong(why, "`headers`, number %zu: %s", i + 1, fault);
    }
    if (!o->signature_header)
        o->signature_header = "X-Signature-256";
    if (!o->timestamp_header)
        o->timestamp_header = "X-Signature-Timestamp";
    if (!header_name(o->signature_header, strlen(o->signature_header)) ||
        !header_name(o->timestamp_header, strlen(o->timestamp_header)))
        return wrong(why, "`signature_header` and `timestamp_header` are names of headers");
    return true;
}

static bool file_check(const char *name, const char *path, struct sentence why) {
    return !path || access(path, R_OK) == 0 || wrong(why, "`%s`: %s: %s", name, path, strerror(errno));
}

static bool origin_check(const char *origin, struct sentence why) {
    static const char *const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
    size_t n = origin ? strlen(origin) : 1;
    if (origin && (n == 0 || n > WEBHOOK_ORIGIN_BYTES_MAX || strspn(origin, letters) != n))
        return wrong(why, "`origin` is a DNS name");
    return true;
}

bool webhook_settle(struct webhook_options *o, const struct curl_table *curl, char *text, size_t bytes) {
    const struct sentence why = {text, bytes};
    if (!o->url || strlen(o->url) > WEBHOOK_URL_BYTES_MAX)
        return wrong(why, "`url` is needed, of %zu bytes at most", (size_t)WEBHOOK_URL_BYTES_MAX);
    if (o->key_file && !o->certificate_file)
        return wrong(why, "`key_file` is of no use without `certificate_file`");
    if (o->origin_rate && !o->origin)
        return wrong(why, "`origin_rate` is of no use without `origin`");
    return url_check(curl, o->url, why) && times_settle(o, why) && counts_settle(o, why) &&
           headers_settle(o, why) && file_check("ca_file", o->ca_file, why) &&
           file_check("certificate_file", o->certificate_file, why) &&
           file_check("key_file", o->key_file, why) && origin_check(o->origin, why);
}
