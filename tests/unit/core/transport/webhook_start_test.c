/* What a webhook refuses to start with. */
#include "core/base/heap.h"
#include "core/base/limits.h"
#include "core/transport/request.h"
#include "tests/unit/core/transport/rig.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <string.h>

static void expect(struct webhook_options options, const char *part) {
    static struct rig *rig;
    char why[256];
    rig = rig_new();
    if (!options.url)
        options.url = rig->url;
    rig->options = options;
    bool starts = rig_starts(rig, why);
    if (part)
        cr_assert(!starts && strstr(why, part), "%s: %s", part, why);
    else
        cr_assert(starts, "%s", why);
    rig_free(rig);
}

#define EXPECT(part, ...) expect((struct webhook_options){__VA_ARGS__}, part)

Test(webhook, starts_only_with_options_that_make_sense) {
    EXPECT(NULL, .concurrency = WEBHOOK_CONCURRENCY_MAX);
    EXPECT("`url` is no URL", .url = "");
    EXPECT("`url` is no URL", .url = "example.com/in");
    EXPECT("http:// or https://", .url = "file:///etc/passwd");
    EXPECT("http:// or https://", .url = "ftp://example.com/");
    EXPECT("user or a password", .url = "https://me@example.com/");
    EXPECT("user or a password", .url = "https://me:secret@example.com/");
    EXPECT("fragment", .url = "https://example.com/#a");
    EXPECT("`concurrency`", .concurrency = WEBHOOK_CONCURRENCY_MAX + 1);
    EXPECT("`redirects`", .redirects = WEBHOOK_REDIRECTS_MAX + 1);
    EXPECT("`connect`", .connect_ms = WEBHOOK_WAIT_MS_MAX + 1);
    EXPECT("`answer`", .answer_ms = WEBHOOK_WAIT_MS_MAX + 1);
    EXPECT("an hour", .retry_ms_max = 3600001);
    EXPECT("an hour", .retry_after_ms_max = 3600001);
    EXPECT("`retry_min`", .retry_ms_min = 2, .retry_ms_max = 1);
    EXPECT("`breaker_min`", .breaker_ms_min = 2, .breaker_ms_max = 1);
    EXPECT("`ca_file`", .ca_file = "/no/such/file");
    EXPECT("`certificate_file`", .certificate_file = "/no/such/file");
    EXPECT("`key_file`", .key_file = "/no/such/file");
    EXPECT("/no/such/token", .token_file = "/no/such/token");
    EXPECT("/no/such/secret", .secret_file = "/no/such/secret");
    EXPECT("`signature_header`", .signature_header = "a b");
    EXPECT("`signature_header`", .timestamp_header = "");
    EXPECT("`origin`", .origin = "");
    EXPECT("`origin`", .origin = "a\r\nb");
    EXPECT("`origin_rate`", .origin_rate = 1);
}

Test(webhook, takes_only_headers_that_are_headers) {
    static const struct {
        const char *header;
        bool well;
    } rows[] = {
        {"A: b", true},
        {"A:b", true},
        {"x-a_b.c: d e", true},
        {"A", false},
        {": b", false},
        {"A b: c", false},
        {"A:", false},
        {"A:  ", false},
        {"A: b\r\nB: c", false},
        {"A: \xc3\xa4", false},
        {"Host: a", false},
        {"content-length: 1", false},
        {"CE-id: 1", false},
        {"Ce: 1", true},
        {"Transfer-Encoding: x", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_assert_eq(header_fault(rows[i].header) == NULL, rows[i].well, "%s", rows[i].header);
    static const char *const secret[] = {"A: b", "Authorization s3cret"};
    struct rig *rig = rig_new();
    char why[256];
    rig->options.headers = secret;
    rig->options.headers_count = 2;
    cr_assert(!rig_starts(rig, why));
    cr_assert(strstr(why, "number 2") && !strstr(why, "s3cret"), "%s", why);
    rig_free(rig);
}

static unsigned refuse_at;

static bool refuse(size_t bytes) {
    (void)bytes;
    return refuse_at > 0 && --refuse_at == 0;
}

Test(webhook, bears_that_any_allocation_fails) {
    heap_refuse = refuse;
    for (unsigned n = 1; n < 40; n++) {
        struct rig *rig = rig_new();
        char why[256];
        refuse_at = n;
        if (rig_starts(rig, why)) {
            rig_give_plain(rig, 1);
            rig_run_verdicts(rig, 1);
            cr_assert_neq(rig->verdicts[0].kind, VERDICT_REFUSE);
        } else {
            cr_assert_str_eq(why, "no memory");
        }
        refuse_at = 0;
        rig_free(rig);
    }
    LEAKS_NONE();
}
