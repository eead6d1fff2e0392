/* secret.h: a secret that lies in a file and may be replaced there while we run.
 * Owner: the transport that opened it; one thread.
 * Blocks as long as it takes to read a small file, at most once a second and only when it has changed.
 * Fails at opening by a sentence; later the old secret stays in use, and a log line says so once.
 * Neither a log line nor a sentence has the secret in it, and memory is wiped before it is given back. */
#pragma once

#include "core/base/check.h"
#include "core/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct secret {
    const char *path;  /* borrows */
    const char *owner; /* borrows: the spoke's name, for log lines */
    char text[WEBHOOK_SECRET_BYTES_MAX + 2];
    size_t length;
    struct stat seen; /* of the file that was read last */
    uint64_t looked_ns;
    bool lost; /* the file could not be read the last time */
};

/* Reads it: one line of printable characters. False: `why` has a sentence. */
bool secret_open(struct secret *secret, const char *path, const char *owner, char *why,
                 size_t why_bytes) MUST_USE;
void secret_close(struct secret *secret); /* accepts zeroed memory */
/* Reads it again if its file has changed; true: there is another text now. */
bool secret_look(struct secret *secret, uint64_t now_ns);

/* HMAC-SHA256. */
#define SIGNATURE_HEX_BYTES 65u /* with a zero byte */
struct signer;
struct signer *signer_new(void) MUST_USE; /* NULL: no memory */
void signer_free(struct signer *signer);  /* accepts NULL */
bool signer_key(struct signer *signer, const void *key, size_t length) MUST_USE;
/* Of `first`, then `second`. */
void signer_sign(struct signer *signer, const void *first, size_t first_length, const void *second,
                 size_t second_length, char out[SIGNATURE_HEX_BYTES]);
