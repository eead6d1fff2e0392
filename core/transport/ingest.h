/* ingest.h: HTTP in: CloudEvents and raw documents are published as they come, on a listener of its own.
 * Owner: main starts and stops it; a bridge thread of its own runs it, with its own connections to the
 * router, so that nothing of it can slow a worker. ingest_put, ingest_remove and ingest_expect are for one
 * thread at a time, any but its own, and block until that thread has done it (as long as a mapping's process
 * takes to start). Bodies are bounded one by one and all together; what is too much is refused with 413, 429
 * or 503. Fails by a sentence in `why`. docs/INGEST.md says what is answered. */
#pragma once

#include "core/base/check.h"
#include "core/bridge/inbound.h"
#include "core/bridge/ingest_counters.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ingest;

/* How a sender shows who it is. The files are looked at for each request and read again when they changed; a
 * newline at their end is not part of the secret. */
struct ingest_auth {
    const char *bearer_file; /* `Authorization: Bearer TOKEN`; NULL: nobody is asked for one */
    const char *hmac_file;   /* the key of an HMAC-SHA256 over the body as it came; NULL: none */
    const char *hmac_header; /* header with that HMAC in hex; NULL: X-Hub-Signature-256 */
    const char *hmac_prefix; /* what stands before the hex; NULL: sha256= */
};

struct ingest_options {
    int listener;       /* a listening socket made by io_listen_socket; owned by ingest from now on */
    const char *server; /* "HOST:PORT" of the router's native listener */
    bool journal;       /* the router has one: an acknowledgement may be asked to mean "on disk" */
    const struct ingest_auth *auth;   /* for CloudEvents; NULL: everybody may */
    struct ingest_counters *counters; /* borrowed until ingest_stop; NULL: nobody wants to know */
    /* 0: the default, in core/base/limits.h */
    uint64_t body_bytes;  /* of one request */
    uint64_t event_bytes; /* of one event: what the router takes */
    uint64_t total_bytes; /* of all requests that are being read or answered */
    uint32_t connections;
    uint64_t idle_ns;    /* without a byte, then a connection is closed */
    uint64_t request_ns; /* from its first byte until its last: then it is closed */
    uint64_t answer_ns;  /* for the router to settle an event; then 503 */
};

/* Texts are copied. NULL: *why has a sentence, and the listener is closed. */
struct ingest *ingest_start(const struct ingest_options *options, char *why, size_t why_bytes) MUST_USE;
/* Blocks until the thread has ended: what is not answered then never is. NULL is ignored. */
void ingest_stop(struct ingest *ingest);

/* Raw documents for the spoke: `POST /v1/ingest/NAME`. In `inbound`, base and port are not looked at, its
 * name is the NAME; texts are copied, formats and profile are borrowed until it is removed or put anew.
 * A spoke of that name that is there is replaced; documents that wait for it, and the one that is read, are
 * read by the new one from their first byte. With `disk` its events count when they are on disk, else when
 * they are routed. `auth` may be NULL. false: *why has a sentence, and what was there before still is. */
bool ingest_put(struct ingest *ingest, const struct inbound_options *inbound, bool disk,
                const struct ingest_auth *auth, char *why, size_t why_bytes) MUST_USE;
/* From now on 404, or 503 where it is expected; documents that wait get a 503. A name that is not there is
 * ignored. */
void ingest_remove(struct ingest *ingest, const char *name);
/* The spokes that there are to be, in the place of those that were named before: a document for one that is
 * not there is answered 503, so that its sender keeps it, and one for any other name 404. Until the first
 * call every name is expected. Copied; when memory is missing every name is. */
void ingest_expect(struct ingest *ingest, const char *const *names, size_t count);
