/* Webhooks over TLS: a server in a thread, with certificates that are made here. */
#include "core/base/check.h"
#include "tests/unit/core/transport/rig.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct identity {
    EVP_PKEY *key;
    X509 *certificate;
    char file[32]; /* both, as PEM */
};

static void extension_add(X509 *certificate, int kind, const char *value) {
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);
    CHECK(extension && X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

/* Self-signed, for the name that `subject` says. */
static struct identity identity_make(const char *subject) {
    struct identity made = {.key = EVP_EC_gen("P-256"), .certificate = X509_new()};
    X509 *certificate = made.certificate;
    snprintf(made.file, sizeof made.file, "/tmp/webhook_tls_XXXXXX");
    FILE *file = fdopen(mkstemp(made.file), "w");
    CHECK(file && made.key && certificate);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_pubkey(certificate, made.key);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    extension_add(certificate, NID_subject_alt_name, subject);
    extension_add(certificate, NID_basic_constraints, "critical,CA:TRUE");
    CHECK(X509_sign(certificate, made.key, EVP_sha256()) > 0);
    CHECK(PEM_write_X509(file, certificate) == 1);
    CHECK(PEM_write_PrivateKey(file, made.key, NULL, NULL, 0, NULL, NULL) == 1);
    CHECK(fclose(file) == 0);
    return made;
}

static void identity_free(struct identity *identity) {
    unlink(identity->file);
    X509_free(identity->certificate);
    EVP_PKEY_free(identity->key);
}

struct server {
    SSL_CTX *context;
    int listener;
    uint16_t port;
    pthread_t thread;
};

static void serve_one(const struct server *server, int fd) {
    static const char answer[] = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    char text[8192];
    SSL *tls = SSL_new(server->context);
    SSL_set_fd(tls, fd);
    if (SSL_accept(tls) == 1 && SSL_read(tls, text, sizeof text) > 0) {
        SSL_write(tls, answer, sizeof answer - 1);
        SSL_shutdown(tls);
    }
    SSL_free(tls);
}

/* Until its listener is shut down. */
static void *serve(void *user) {
    const struct server *server = user;
    for (int fd; (fd = accept(server->listener, NULL, NULL)) >= 0; close(fd))
        serve_one(server, fd);
    return NULL;
}

/* With `client`, only that one may come. */
static void server_start(struct server *server, const struct identity *identity,
                         const struct identity *client) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    server->context = SSL_CTX_new(TLS_server_method());
    CHECK(SSL_CTX_use_certificate(server->context, identity->certificate) == 1);
    CHECK(SSL_CTX_use_PrivateKey(server->context, identity->key) == 1);
    if (client) {
        SSL_CTX_set_verify(server->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        CHECK(SSL_CTX_load_verify_file(server->context, client->file) == 1);
    }
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(server->listener, (struct sockaddr *)&address, length) == 0);
    CHECK(listen(server->listener, 16) == 0);
    getsockname(server->listener, (struct sockaddr *)&address, &length);
    server->port = ntohs(address.sin_port);
    CHECK(pthread_create(&server->thread, NULL, serve, server) == 0);
}

static void server_stop(struct server *server) {
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
    SSL_CTX_free(server->context);
}

/* The verdict on one event for this host, with these files. */
static struct verdict send_one(const struct server *server, const char *host, const char *authorities,
                               const char *certificate) {
    struct rig *rig = rig_new();
    snprintf(rig->url, sizeof rig->url, "https://%s:%u/in", host, server->port);
    rig->options.ca_file = authorities;
    rig->options.certificate_file = certificate;
    rig_start(rig);
    rig_give_plain(rig, 1);
    rig_run_verdicts(rig, 1);
    struct verdict verdict = rig->verdicts[0];
    rig_free(rig);
    return verdict;
}

Test(webhook_tls, trusts_only_who_its_authorities_trust) {
    struct identity here = identity_make("IP:127.0.0.1"), other = identity_make("IP:127.0.0.1");
    struct server server;
    server_start(&server, &here, NULL);
    struct verdict verdict = send_one(&server, "127.0.0.1", here.file, NULL);
    cr_expect_eq(verdict.kind, VERDICT_DONE, "%s", verdict.reason);
    verdict = send_one(&server, "127.0.0.1", other.file, NULL);
    cr_expect_eq(verdict.kind, VERDICT_RETRY, "an unknown authority");
    cr_expect(strstr(verdict.reason, "certificate"), "%s", verdict.reason);
    verdict = send_one(&server, "127.0.0.1", NULL, NULL);
    cr_expect_eq(verdict.kind, VERDICT_RETRY, "the system's authorities do not know it");
    verdict = send_one(&server, "localhost", here.file, NULL);
    cr_expect_eq(verdict.kind, VERDICT_RETRY, "another name: %s", verdict.reason);
    server_stop(&server);
    identity_free(&here);
    identity_free(&other);
}

Test(webhook_tls, shows_its_certificate_to_who_asks_for_it) {
    struct identity here = identity_make("IP:127.0.0.1"), client = identity_make("DNS:client");
    struct server server;
    server_start(&server, &here, &client);
    struct verdict verdict = send_one(&server, "127.0.0.1", here.file, NULL);
    cr_expect_eq(verdict.kind, VERDICT_RETRY, "it has none to show");
    verdict = send_one(&server, "127.0.0.1", here.file, here.file);
    cr_expect_eq(verdict.kind, VERDICT_RETRY, "it shows another one");
    verdict = send_one(&server, "127.0.0.1", here.file, client.file);
    cr_expect_eq(verdict.kind, VERDICT_DONE, "%s", verdict.reason);
    server_stop(&server);
    identity_free(&here);
    identity_free(&client);
}
