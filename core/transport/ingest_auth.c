/* Who may send: a bearer token, or an HMAC over the body. */
#include "core/base/clock.h"
#include "core/transport/ingest_private.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SIGNATURE_HEX (SIGNATURE_HEX_BYTES - 1)

/* ---- secrets ---- */

static bool copy(char **out, const char *text, const char *otherwise) {
    *out = text != NULL ? strdup(text) : NULL;
    if (text == NULL && otherwise != NULL)
        *out = strdup(otherwise);
    return *out != NULL || (text == NULL && otherwise == NULL);
}

static bool key_take(struct auth *auth) {
    return signer_key(auth->signer, auth->hmac.text, auth->hmac.length);
}

bool auth_open(struct auth *auth, const char *owner, const struct ingest_auth *wanted, char *why,
               size_t why_bytes) {
    *auth = (struct auth){0};
    if (wanted == NULL)
        return true;
    (void)snprintf(why, why_bytes, "out of memory");
    if (!copy(&auth->owner, owner, NULL) || !copy(&auth->bearer_file, wanted->bearer_file, NULL) ||
        !copy(&auth->hmac_file, wanted->hmac_file, NULL) ||
        !copy(&auth->header, wanted->hmac_header, "X-Hub-Signature-256") ||
        !copy(&auth->prefix, wanted->hmac_prefix, "sha256="))
        return false;
    if (auth->bearer_file != NULL &&
        !secret_open(&auth->bearer, auth->bearer_file, auth->owner, why, why_bytes))
        return false;
    if (auth->hmac_file == NULL)
        return true;
    auth->signer = signer_new();
    return auth->signer != NULL && secret_open(&auth->hmac, auth->hmac_file, auth->owner, why, why_bytes) &&
           key_take(auth);
}

void auth_close(struct auth *auth) {
    secret_close(&auth->bearer);
    secret_close(&auth->hmac);
    signer_free(auth->signer);
    char *texts[] = {auth->owner, auth->bearer_file, auth->hmac_file, auth->header, auth->prefix};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        free(texts[i]);
    *auth = (struct auth){0};
}

/* ---- requests ---- */

static bool text_is(const char *text, size_t length, const struct secret *secret) {
    return length == secret->length && CRYPTO_memcmp(text, secret->text, length) == 0;
}

bool auth_bearer(struct ingest_request *request, struct auth *auth) {
    static const char scheme[] = "Bearer ";
    const struct httpd_table *httpd = request->ingest->httpd;
    if (auth->bearer_file == NULL)
        return true;
    (void)secret_look(&auth->bearer, clock_mono_ns());
    const char *token =
        httpd->lookup_connection_value(request->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    if (token == NULL)
        token = httpd->lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, "access_token");
    else if (strncasecmp(token, scheme, sizeof scheme - 1) == 0)
        token += sizeof scheme - 1;
    if (token != NULL && text_is(token, strlen(token), &auth->bearer))
        return true;
    ingest_extra(request, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    ingest_refuse(request, MHD_HTTP_UNAUTHORIZED,
                  token == NULL ? "a token is asked for here" : "the token is not the right one",
                  "Authorization", "send the header Authorization: Bearer TOKEN");
    return false;
}

void digest_of(const uint8_t *bytes, size_t length, uint8_t out[DIGEST_BYTES]) {
    unsigned int n = 0;
    CHECK(EVP_Digest(bytes, length, out, &n, EVP_sha256(), NULL) == 1 && n == DIGEST_BYTES);
}

/* In either case of letters. */
static bool hex_is(const char *text, const char *hex) {
    char lower[SIGNATURE_HEX];
    if (strlen(text) != sizeof lower)
        return false;
    for (size_t i = 0; i < sizeof lower; i++)
        lower[i] = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] - 'A' + 'a') : text[i];
    return CRYPTO_memcmp(lower, hex, sizeof lower) == 0;
}

bool auth_hmac(struct ingest_request *request, struct auth *auth) {
    char hex[SIGNATURE_HEX_BYTES];
    if (auth->hmac_file == NULL)
        return true;
    if (secret_look(&auth->hmac, clock_mono_ns()))
        CHECK(key_take(auth));
    const char *value =
        request->ingest->httpd->lookup_connection_value(request->connection, MHD_HEADER_KIND, auth->header);
    size_t n = strlen(auth->prefix);
    signer_sign(auth->signer, request->body != NULL ? (const void *)request->body : "", request->length, "",
                0, hex);
    bool good = value != NULL && strncmp(value, auth->prefix, n) == 0 && hex_is(value + n, hex);
    if (!good)
        ingest_refuse(
            request, MHD_HTTP_UNAUTHORIZED,
            value == NULL ? "a signature is asked for here" : "the signature is not that of the body",
            auth->header, "it is the HMAC-SHA256 of the body as it was sent, in hex, behind the prefix");
    return good;
}
