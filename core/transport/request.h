/* request.h: an event as the headers and the body of an HTTP request, by the CloudEvents HTTP binding 1.0.2.
 * Owner: whoever holds the struct; its memory is used again for the next event. One thread at a time.
 * Headers are made as libcurl takes them, so that nothing is copied or allocated for an ordinary event.
 * Nothing blocks.
 * Fails by a constant sentence where an event can not be said in HTTP. */
#pragma once

#include "codecs/event/bytes.h"
#include "core/transport/curl.h"
#include "core/transport/secret.h"
#include "core/transport/webhook.h"

/* What is the same for all events of one webhook. Borrowed. */
struct request_terms {
    enum webhook_mode mode;
    bool raw_attributes;
    bool own_type; /* one of `headers` is a Content-Type */
    const char *const *headers;
    size_t headers_count;
    const char *origin;         /* NULL: none is named */
    const struct secret *token; /* NULL: none is sent */
    struct signer *signer;      /* NULL: it is not signed */
    const char *signature_header;
    const char *timestamp_header; /* NULL: the time is not signed */
};

#define REQUEST_HEADERS_MAX (EVENT_ATTRIBUTES_MAX + WEBHOOK_HEADERS_MAX + 16u)

struct request {
    struct curl_slist headers[REQUEST_HEADERS_MAX]; /* the first one is the list's head */
    const uint8_t *body;                            /* in the event, or in `json` */
    size_t body_length;
    char *json;                          /* owns: the body of structured mode */
    struct bytes text;                   /* owns: the headers, a zero byte behind each */
    uint32_t begin[REQUEST_HEADERS_MAX]; /* of each in `text` */
    uint32_t count;
    const char *why;
    bool no_memory; /* that is why: it may go next time */
};

/* The request is valid until the next call, while `event` is. False: request->why says why not. */
bool request_make(struct request *request, const struct request_terms *terms, const uint8_t *event,
                  size_t length, uint64_t wall_ns) MUST_USE;
/* The question of the handshake. */
bool request_ask(struct request *request, const struct request_terms *terms, uint32_t rate) MUST_USE;
void request_free(struct request *request); /* accepts zeroed memory */

/* Whether "Name: value" can be a fixed header; else a sentence. */
const char *header_fault(const char *header);
/* Whether it can be the name of one. */
bool header_name(const char *name, size_t length);
