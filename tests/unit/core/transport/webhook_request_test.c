/* What a webhook sends, byte by byte. */
#include "codecs/event/bytes.h"
#include "codecs/event/fields.h"
#include "core/transport/secret.h"
#include "tests/unit/core/transport/rig.h"
#include "tests/unit/leaks.h"
#include "rh_build.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EVENT                                                                                                \
    "{\"specversion\":\"1.0\",\"id\":\"A 1\",\"source\":\"/erp/4012\",\"type\":\"order.created\","           \
    "\"subject\":\"Stra\xc3\x9f"                                                                             \
    "e 1 \\\"%\",\"time\":\"2026-02-28T09:30:00.250Z\",\"urgent\":true,\"weight\":-7,"                       \
    "\"datacontenttype\":\"application/json; charset=utf-8\",\"data\":{\"n\":1.50}}"

/* The head that each request has, up to what the event makes. */
static void expect_text(const struct rig *rig, const char *method, const char *rest) {
    char want[4096];
    snprintf(want, sizeof want,
             "%s /in?a=b HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: roundhouse/" RH_VERSION
             "\r\nAccept: */*\r\n%s",
             method, rig->port, rest);
    cr_assert_str_eq(rig->calls[rig->calls_count - 1].text, want);
}

static void send_one(struct rig *rig, const char *json) {
    rig_give(rig, json);
    rig_run_verdicts(rig, rig->given);
    cr_assert_eq(rig->verdicts[rig->given - 1].kind, VERDICT_DONE, "%s",
                 rig->verdicts[rig->given - 1].reason);
}

static const struct call *last(const struct rig *rig) {
    return &rig->calls[rig->calls_count - 1];
}

Test(webhook, sends_binary_mode_with_attributes_as_headers) {
    struct rig *rig = rig_new();
    rig_start(rig);
    send_one(rig, EVENT);
    expect_text(rig, "POST",
                "ce-id: A%201\r\nce-source: /erp/4012\r\nce-specversion: 1.0\r\nce-type: order.created\r\n"
                "ce-subject: Stra%C3%9Fe%201%20%22%25\r\nce-time: 2026-02-28T09:30:00.250Z\r\n"
                "ce-urgent: true\r\nce-weight: -7\r\n"
                "Content-Type: application/json; charset=utf-8\r\nContent-Length: 10\r\n\r\n{\"n\":1.50}");
    rig_free(rig);
    LEAKS_NONE();
}

#define TRACED                                                                                               \
    "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\",\"traceparent\":\"%s\","         \
    "\"tracestate\":\"a=b\"}"
#define TRACE "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

Test(webhook, sends_a_trace_context_as_http_has_it_in_each_mode) {
    static const enum webhook_mode modes[] = {WEBHOOK_BINARY, WEBHOOK_STRUCTURED, WEBHOOK_PLAIN};
    char event[512];
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        struct rig *rig = rig_new();
        rig->options.mode = modes[i];
        rig_start(rig);
        snprintf(event, sizeof event, TRACED, TRACE);
        send_one(rig, event);
        cr_assert(call_has(last(rig), "\r\ntraceparent: " TRACE "\r\ntracestate: a=b\r\n"), "%s",
                  last(rig)->text);
        snprintf(event, sizeof event, TRACED, "no trace");
        send_one(rig, event);
        cr_assert(!call_has(last(rig), "\r\ntraceparent: ") && !call_has(last(rig), "\r\ntracestate: "));
        rig_free(rig);
    }
    LEAKS_NONE();
}

Test(webhook, sends_attributes_as_they_are_to_who_does_not_decode_them) {
    struct rig *rig = rig_new();
    rig->options.raw_attributes = true;
    rig_start(rig);
    send_one(rig, EVENT);
    cr_assert(call_has(last(rig), "\r\nce-subject: Stra\xc3\x9f"
                                  "e 1 \"%\r\n"));
    rig_free(rig);
}

Test(webhook, sends_structured_mode_as_one_json_object) {
    struct rig *rig = rig_new();
    rig->options.mode = WEBHOOK_STRUCTURED;
    rig_start(rig);
    send_one(rig, EVENT);
    cr_assert(call_has(last(rig), "\r\nContent-Type: application/cloudevents+json\r\n"));
    cr_assert(!call_has(last(rig), "\r\nce-"));
    cr_assert(call_has(last(rig), "\"subject\":\"Stra\xc3\x9f"
                                  "e 1 \\\"%\""));
    cr_assert(call_has(last(rig), "\"urgent\":true") && call_has(last(rig), "\"weight\":-7"));
    cr_assert(call_has(last(rig), "\"data\":{\"n\":1.50}"), "%s", last(rig)->text);
    cr_assert_eq(last(rig)->body[0], '{');
    cr_assert_eq(last(rig)->body[last(rig)->body_length - 1], '}');
    rig_free(rig);
    LEAKS_NONE();
}

Test(webhook, sends_plain_mode_as_the_data_alone) {
    struct rig *rig = rig_new();
    rig->options.mode = WEBHOOK_PLAIN;
    rig->options.put = true;
    rig_start(rig);
    send_one(rig, EVENT);
    expect_text(rig, "PUT",
                "ce-id: A%201\r\nContent-Type: application/json; charset=utf-8\r\n"
                "Content-Length: 10\r\n\r\n{\"n\":1.50}");
    rig_free(rig);
}

Test(webhook, sends_each_kind_of_data_with_its_type) {
    static const struct {
        const char *members, *type, *body;
    } rows[] = {
        {"", "", ""},
        {",\"data\":{\"a\":1}", "\r\nContent-Type: application/json\r\n", "{\"a\":1}"},
        {",\"data\":null", "\r\nContent-Type: application/json\r\n", "null"},
        {",\"data_base64\":\"AAEC\"", "", "\0\1\2"},
        {",\"datacontenttype\":\"text/csv\",\"data\":\"a;b\"", "\r\nContent-Type: text/csv\r\n", "a;b"},
        {",\"datacontenttype\":\"application/xml\",\"data_base64\":\"PGEvPg==\"",
         "\r\nContent-Type: application/xml\r\n", "<a/>"},
    };
    struct rig *rig = rig_new();
    rig_start(rig);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char json[512];
        snprintf(json, sizeof json,
                 "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"%s}",
                 rows[i].members);
        send_one(rig, json);
        size_t length = i == 3 ? 3 : strlen(rows[i].body);
        cr_assert_eq(last(rig)->body_length, length, "%s", json);
        cr_assert_eq(memcmp(last(rig)->body, rows[i].body, length), 0, "%s", json);
        if (rows[i].type[0])
            cr_assert(call_has(last(rig), rows[i].type), "%s: %s", json, last(rig)->text);
        else
            cr_assert(!call_has(last(rig), "Content-Type"), "%s: %s", json, last(rig)->text);
    }
    rig_free(rig);
}

/* Bytes that no event that was checked has: even these make no second header. */
Test(webhook, lets_nothing_break_out_of_a_header) {
    struct rig *rig = rig_new();
    struct bytes event = {0}, any = {0};
    bytes_field(&event, EVENT_ID, "a\r\nX: y\0z", 9);
    bytes_field(&any, ANY_TYPE_URL, "type.example/T", 14);
    bytes_field(&any, ANY_VALUE, "\x08\x01", 2);
    bytes_field(&event, EVENT_PROTO, any.data, any.length);
    rig_start(rig);
    rig_give_bytes(rig, event.data, event.length);
    rig_run_verdicts(rig, 1);
    expect_text(rig, "POST",
                "ce-id: a%0D%0AX:%20y%00z\r\nce-dataschema: type.example/T\r\n"
                "Content-Type: application/protobuf\r\nContent-Length: 2\r\n\r\n\x08\x01");
    bytes_free(&event);
    bytes_free(&any);
    rig_free(rig);
    LEAKS_NONE();
}

Test(webhook, refuses_an_event_that_can_not_be_said_in_http) {
    struct rig *rig = rig_new();
    rig_start(rig);
    rig_give(rig, "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\","
                  "\"datacontenttype\":\"text/\xc3\xa4\",\"data\":\"x\"}");
    rig_give_bytes(rig, "\x0a\x7f", 2);
    rig_run_verdicts(rig, 2);
    cr_assert(rig->verdicts[0].kind == VERDICT_REFUSE && rig->verdicts[1].kind == VERDICT_REFUSE);
    cr_assert(strstr(rig->verdicts[0].reason, "datacontenttype"), "%s", rig->verdicts[0].reason);
    cr_assert(strstr(rig->verdicts[1].reason, "malformed"), "%s", rig->verdicts[1].reason);
    cr_assert_eq(rig->calls_count, 0);
    rig_free(rig);
}

Test(webhook, sends_what_is_empty_and_what_is_large) {
    struct rig *rig = rig_new();
    size_t data = 300000;
    char *json = malloc(data + 200);
    int n = snprintf(json, 200,
                     "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\",\"note\":\"\","
                     "\"datacontenttype\":\"text/plain\",\"data\":\"");
    memset(json + n, 'x', data);
    snprintf(json + n + data, 8, "\"}");
    rig_start(rig);
    send_one(rig, json);
    cr_assert(call_has(last(rig), "\r\nce-note:\r\n"));
    cr_assert(!call_has(last(rig), "Expect"));
    cr_assert_eq(last(rig)->body_length, data);
    cr_assert_eq(strspn(last(rig)->body, "x"), data);
    free(json);
    rig_free(rig);
}

/* ---- what is added ---- */

static void file_write(const char *path, const char *text) {
    char other[64];
    snprintf(other, sizeof other, "%s.new", path);
    FILE *file = fopen(other, "w");
    cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0);
    cr_assert_eq(rename(other, path), 0);
}

static void file_make(char path[32], const char *text) {
    snprintf(path, 32, "/tmp/webhook_test_XXXXXX");
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    close(fd);
    file_write(path, text);
}

Test(webhook, sends_fixed_headers_a_token_and_a_signature) {
    static const char *const headers[] = {"X-Tenant: 7", "content-type: application/vnd.shop+json"};
    char token[32], secret[32];
    file_make(token, "t0ken\n");
    file_make(secret, "key-of-the-test\r\n");
    struct rig *rig = rig_new();
    rig->options.mode = WEBHOOK_PLAIN;
    rig->options.headers = headers;
    rig->options.headers_count = 2;
    rig->options.token_file = token;
    rig->options.secret_file = secret;
    rig_start(rig);
    send_one(rig,
             "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\",\"data\":{\"n\":1}}");
    /* printf '{"n":1}' | openssl dgst -sha256 -hmac key-of-the-test */
    expect_text(rig, "POST",
                "X-Tenant: 7\r\ncontent-type: application/vnd.shop+json\r\nAuthorization: Bearer t0ken\r\n"
                "ce-id: 1\r\n"
                "X-Signature-256: "
                "sha256=109166e46fab6f448e5720b1aed03c5d88403d2fbd337101ca3661f0ea09ae97\r\n"
                "Content-Length: 7\r\n\r\n{\"n\":1}");
    unlink(token);
    unlink(secret);
    rig_free(rig);
    LEAKS_NONE();
}

Test(webhook, signs_the_time_with_the_body) {
    char secret[32], signed_text[64], hex[SIGNATURE_HEX_BYTES], want[128];
    file_make(secret, "k");
    struct rig *rig = rig_new();
    rig->options.mode = WEBHOOK_PLAIN;
    rig->options.secret_file = secret;
    rig->options.signature_time = true;
    rig->options.signature_header = "x-shop-signature";
    rig->options.timestamp_header = "x-shop-time";
    rig_start(rig);
    send_one(rig,
             "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\",\"data\":{\"n\":1}}");
    const char *at = strstr(last(rig)->text, "\r\nx-shop-time: ");
    cr_assert_not_null(at);
    long seconds = strtol(at + strlen("\r\nx-shop-time: "), NULL, 10);
    cr_assert(seconds > 1700000000 && seconds <= time(NULL));
    int n = snprintf(signed_text, sizeof signed_text, "%ld.{\"n\":1}", seconds);
    struct signer *signer = signer_new();
    cr_assert(signer_key(signer, "k", 1));
    signer_sign(signer, signed_text, (size_t)n, "", 0, hex);
    signer_free(signer);
    snprintf(want, sizeof want, "\r\nx-shop-signature: sha256=%s\r\n", hex);
    cr_assert(call_has(last(rig), want), "%s", last(rig)->text);
    unlink(secret);
    rig_free(rig);
}

Test(signer, is_hmac_sha256) {
    /* RFC 4231, test case 2. */
    char hex[SIGNATURE_HEX_BYTES];
    struct signer *signer = signer_new();
    cr_assert(signer_key(signer, "Jefe", 4));
    for (int i = 0; i < 2; i++) {
        signer_sign(signer, "what do ya want ", 16, "for nothing?", 12, hex);
        cr_assert_str_eq(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
    signer_free(signer);
}

Test(secret, is_read_again_when_its_file_has_changed) {
    struct secret secret;
    char path[32], why[256];
    file_make(path, "one");
    cr_assert(secret_open(&secret, path, "shop", why, sizeof why));
    cr_assert_str_eq(secret.text, "one");
    uint64_t now = secret.looked_ns;
    file_write(path, "two\n");
    cr_assert(!secret_look(&secret, now + 1), "it is not looked at all the time");
    cr_assert(secret_look(&secret, now += NS_PER_S));
    cr_assert_str_eq(secret.text, "two");
    cr_assert(!secret_look(&secret, now += NS_PER_S));
    file_write(path, "");
    cr_assert(!secret_look(&secret, now += NS_PER_S));
    cr_assert(secret.lost);
    cr_assert_str_eq(secret.text, "two", "the old one stays");
    unlink(path);
    cr_assert(!secret_look(&secret, now += NS_PER_S));
    file_make(path, "three");
    secret.path = path;
    cr_assert(secret_look(&secret, now += NS_PER_S));
    cr_assert(!secret.lost);
    secret_close(&secret);
    unlink(path);
    cr_assert_eq(secret.length, 0);
}

Test(secret, refuses_what_can_not_be_one) {
    static const char *const texts[] = {"", "\n", "two lines\n", "a\nb", "a b", "\x01"};
    struct secret secret;
    char path[32], why[256], *large = malloc(WEBHOOK_SECRET_BYTES_MAX + 2);
    memset(large, 'x', WEBHOOK_SECRET_BYTES_MAX + 1);
    large[WEBHOOK_SECRET_BYTES_MAX + 1] = '\0';
    file_make(path, large);
    cr_assert(!secret_open(&secret, path, "shop", why, sizeof why));
    file_write(path, large + 1);
    cr_assert(secret_open(&secret, path, "shop", why, sizeof why));
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        file_write(path, texts[i]);
        cr_assert(!secret_open(&secret, path, "shop", why, sizeof why), "%zu", i);
        cr_assert(strstr(why, path));
    }
    unlink(path);
    cr_assert(!secret_open(&secret, path, "shop", why, sizeof why));
    free(large);
}

Test(webhook, uses_the_new_secret_when_it_is_replaced) {
    char token[32];
    file_make(token, "old");
    struct rig *rig = rig_new();
    rig->options.token_file = token;
    rig_start(rig);
    rig_give_plain(rig, 1);
    rig_run_verdicts(rig, 1);
    cr_assert(call_has(last(rig), "Bearer old\r\n"));
    file_write(token, "new");
    for (uint64_t i = 2; !call_has(last(rig), "Bearer new\r\n"); i++) {
        usleep(100000);
        rig_give_plain(rig, i);
        rig_run_verdicts(rig, i);
    }
    unlink(token);
    rig_free(rig);
}
