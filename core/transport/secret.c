#include "core/transport/secret.h"

#include "core/base/clock.h"
#include "core/base/heap.h"
#include "core/base/logfmt.h"
#include "core/base/read.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- files ---- */

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* NULL, or what is wrong with it. */
static const char *trim(char *text, size_t *length) {
    if (*length && text[*length - 1] == '\n')
        --*length;
    if (*length && text[*length - 1] == '\r')
        --*length;
    if (*length == 0)
        return "it is empty";
    if (*length > WEBHOOK_SECRET_BYTES_MAX)
        return "it is longer than 4096 bytes";
    for (size_t i = 0; i < *length; i++)
        if (text[i] < '!' || text[i] > '~')
            return "a secret is one line of printable ASCII without blanks";
    text[*length] = '\0';
    return NULL;
}

/* NULL, or what is wrong; the secret is replaced only where nothing is. */
static const char *reread(struct secret *secret) {
    char text[sizeof secret->text] = "";
    struct stat seen;
    const char *wrong = NULL;
    int fd = open(secret->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return strerror(errno);
    ssize_t n = fstat(fd, &seen) != 0 ? -errno : read_to_end(fd, text, sizeof text);
    size_t length = n > 0 ? (size_t)n : 0;
    if (n < 0)
        wrong = strerror((int)-n);
    else
        wrong = trim(text, &length);
    if (!wrong) {
        explicit_bzero(secret->text, sizeof secret->text);
        memcpy(secret->text, text, length + 1);
        secret->length = length;
        secret->seen = seen;
    }
    explicit_bzero(text, sizeof text);
    close(fd);
    return wrong;
}

bool secret_open(struct secret *secret, const char *path, const char *owner, char *why, size_t why_bytes) {
    *secret = (struct secret){.path = path, .owner = owner, .looked_ns = clock_mono_ns()};
    const char *wrong = reread(secret);
    if (wrong)
        snprintf(why, why_bytes, "the secret in %s can not be used: %s", path, wrong);
    return !wrong;
}

void secret_close(struct secret *secret) {
    explicit_bzero(secret, sizeof *secret);
}

bool secret_look(struct secret *secret, uint64_t now_ns) {
    struct stat now;
    if (now_ns - secret->looked_ns < WEBHOOK_SECRET_LOOK_NS)
        return false;
    secret->looked_ns = now_ns;
    bool there = stat(secret->path, &now) == 0;
    const char *wrong = there ? NULL : strerror(errno);
    bool other = there && !same_file(&now, &secret->seen);
    if (other)
        wrong = reread(secret);
    if (wrong && !secret->lost) {
        char owner[256], path[512], text[256];
        logfmt(LOGFMT_WARN, "secret not readable, the old one stays", "spoke=%s file=%s reason=%s",
               logfmt_quote(owner, sizeof owner, secret->owner, strlen(secret->owner)),
               logfmt_quote(path, sizeof path, secret->path, strlen(secret->path)),
               logfmt_quote(text, sizeof text, wrong, strlen(wrong)));
    }
    secret->lost = wrong != NULL;
    return other && !wrong;
}

/* ---- signatures ---- */

struct signer {
    EVP_MAC *mac;         /* owns */
    EVP_MAC_CTX *context; /* owns */
};

struct signer *signer_new(void) {
    struct signer *signer = heap_take(sizeof *signer);
    if (!signer)
        return NULL;
    signer->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    signer->context = signer->mac ? EVP_MAC_CTX_new(signer->mac) : NULL;
    if (signer->context)
        return signer;
    signer_free(signer);
    return NULL;
}

void signer_free(struct signer *signer) {
    if (!signer)
        return;
    EVP_MAC_CTX_free(signer->context);
    EVP_MAC_free(signer->mac);
    heap_give(signer);
}

bool signer_key(struct signer *signer, const void *key, size_t length) {
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_init(signer->context, key, length, parameters) == 1;
}

void signer_sign(struct signer *signer, const void *first, size_t first_length, const void *second,
                 size_t second_length, char out[SIGNATURE_HEX_BYTES]) {
    static const char digits[] = "0123456789abcdef";
    uint8_t mac[32];
    size_t n = 0;
    CHECK(EVP_MAC_init(signer->context, NULL, 0, NULL) == 1);
    CHECK(EVP_MAC_update(signer->context, first, first_length) == 1);
    CHECK(EVP_MAC_update(signer->context, second, second_length) == 1);
    CHECK(EVP_MAC_final(signer->context, mac, &n, sizeof mac) == 1 && n == sizeof mac);
    for (size_t i = 0; i < sizeof mac; i++) {
        out[2 * i] = digits[mac[i] >> 4];
        out[2 * i + 1] = digits[mac[i] & 15];
    }
    out[2 * sizeof mac] = '\0';
}
