/* What a webhook makes of answers, and of what is none. */
#include "core/base/limits.h"
#include "core/base/topic.h"
#include "tests/unit/core/transport/rig.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <event2/bufferevent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Every request gets rig->user as its answer, and then the connection is closed. */
static void answer_text(struct rig *rig, struct call *call) {
    call_answer(call, rig->user);
    call_hang_up(call);
}

/* The verdict on one event that is answered so. */
static const struct verdict *verdict_on(struct rig *rig, const char *answer) {
    rig->answer = answer_text;
    rig->user = (void *)(uintptr_t)answer;
    rig_give_plain(rig, rig->given + 1);
    rig_run_verdicts(rig, rig->verdicts_count + 1);
    return &rig->verdicts[rig->verdicts_count - 1];
}

static struct rig *rig_patient(void) {
    struct rig *rig = rig_new();
    rig->options.breaker_failures = 1000;
    rig->options.answer_ms = 20000;
    return rig;
}

Test(webhook, understands_each_status) {
    static const struct {
        int status;
        enum verdict_kind kind;
    } rows[] = {
        {200, VERDICT_DONE},   {201, VERDICT_DONE},   {202, VERDICT_DONE},   {204, VERDICT_DONE},
        {299, VERDICT_DONE},   {300, VERDICT_REFUSE}, {304, VERDICT_REFUSE}, {307, VERDICT_REFUSE},
        {400, VERDICT_REFUSE}, {401, VERDICT_REFUSE}, {403, VERDICT_REFUSE}, {404, VERDICT_REFUSE},
        {408, VERDICT_RETRY},  {409, VERDICT_REFUSE}, {413, VERDICT_REFUSE}, {415, VERDICT_REFUSE},
        {422, VERDICT_REFUSE}, {425, VERDICT_RETRY},  {500, VERDICT_RETRY},  {501, VERDICT_RETRY},
        {502, VERDICT_RETRY},  {503, VERDICT_RETRY},  {504, VERDICT_RETRY},  {599, VERDICT_RETRY},
    };
    struct rig *rig = rig_patient();
    rig_start(rig);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char answer[128], want[64];
        snprintf(answer, sizeof answer, "HTTP/1.1 %d So\r\nContent-Length: %d\r\n\r\n%s", rows[i].status,
                 rows[i].status == 204 || rows[i].status == 304 ? 0 : 5,
                 rows[i].status == 204 || rows[i].status == 304 ? "" : "Never");
        const struct verdict *verdict = verdict_on(rig, answer);
        cr_assert_eq(verdict->kind, rows[i].kind, "%d: %c %s", rows[i].status, verdict->kind,
                     verdict->reason);
        snprintf(want, sizeof want, "HTTP %d", rows[i].status);
        if (verdict->kind != VERDICT_DONE) {
            cr_assert(strncmp(verdict->reason, want, strlen(want)) == 0, "%s", verdict->reason);
            cr_assert(rows[i].status == 304 || strstr(verdict->reason, ": Never"), "%s", verdict->reason);
        }
    }
    rig_free(rig);
    LEAKS_NONE();
}

Test(webhook, gives_a_cut_of_the_answer_as_reason) {
    static const char head[] = "HTTP/1.1 400 Bad\r\nConnection: close\r\n\r\n";
    char *answer = malloc(sizeof head + 2000);
    struct rig *rig = rig_patient();
    rig_start(rig);
    const struct verdict *verdict =
        verdict_on(rig, "HTTP/1.1 422 No\r\nConnection: close\r\n\r\n \r\n no\t\x01"
                        "stock: M\xc3\xbc"
                        "ller \xff\xfe <b>\n");
    cr_assert_str_eq(verdict->reason, "HTTP 422: no stock: M\xc3\xbc"
                                      "ller <b>");
    int end = snprintf(answer, sizeof head + 2000, "%s", head);
    for (int i = 0; i < 900; i++)
        end += snprintf(answer + end, 3, "\xc3\xa4");
    verdict = verdict_on(rig, answer);
    size_t n = strlen(verdict->reason);
    cr_assert(n > 100 && n < WEBHOOK_REASON_BYTES, "%zu", n);
    cr_assert(utf8_valid((const uint8_t *)verdict->reason, n));
    free(answer);
    rig_free(rig);
}

Test(webhook, does_not_repeat_its_token_in_a_reason) {
    char path[] = "/tmp/webhook_test_XXXXXX";
    int fd = mkstemp(path);
    cr_assert_eq(write(fd, "t0ken-s3cret", 12), 12);
    close(fd);
    struct rig *rig = rig_patient();
    rig->options.token_file = path;
    rig_start(rig);
    const struct verdict *verdict =
        verdict_on(rig, "HTTP/1.1 401 No\r\nConnection: close\r\n\r\nnot known: Bearer t0ken-s3cret, sorry");
    cr_assert_str_eq(verdict->reason, "HTTP 401");
    unlink(path);
    rig_free(rig);
}

/* ---- when it comes again ---- */

Test(webhook, pauses_longer_with_each_attempt) {
    static const struct {
        uint32_t attempt;
        uint64_t least, most;
    } rows[] = {{1, 500, 1000}, {2, 1000, 2000}, {4, 4000, 8000}, {5, 5000, 10000}, {900, 5000, 10000}};
    struct rig *rig = rig_patient();
    rig->options.retry_ms_min = 1000;
    rig->options.retry_ms_max = 10000;
    rig_start(rig);
    rig->answer = answer_text;
    rig->user = (void *)(uintptr_t) "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n";
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t seen[2] = {UINT64_MAX, 0};
        for (int j = 0; j < 30; j++) {
            rig_give_attempt(rig, "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}",
                             rows[i].attempt);
            rig_run_verdicts(rig, rig->given);
            uint64_t ms = rig->verdicts[rig->given - 1].after_ms;
            seen[0] = ms < seen[0] ? ms : seen[0];
            seen[1] = ms > seen[1] ? ms : seen[1];
        }
        cr_assert(seen[0] >= rows[i].least && seen[1] <= rows[i].most, "%lu to %lu", (unsigned long)seen[0],
                  (unsigned long)seen[1]);
        cr_assert_neq(seen[0], seen[1], "chance has its part");
    }
    rig_free(rig);
}

Test(webhook, obeys_retry_after) {
    char answer[256], date[64];
    struct rig *rig = rig_patient();
    rig->options.retry_after_ms_max = 1000000;
    rig_start(rig);
    const struct verdict *verdict =
        verdict_on(rig, "HTTP/1.1 500 No\r\nRetry-After: 70\r\nContent-Length: 0\r\n\r\n");
    cr_assert(verdict->kind == VERDICT_RETRY && verdict->after_ms == 70000);
    verdict = verdict_on(rig, "HTTP/1.1 500 No\r\nRetry-After: 99999999999\r\nContent-Length: 0\r\n\r\n");
    cr_assert(verdict->kind == VERDICT_RETRY && verdict->after_ms == 1000000);
    verdict = verdict_on(rig, "HTTP/1.1 500 No\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n");
    cr_assert(verdict->kind == VERDICT_RETRY && verdict->after_ms <= 1000);
    time_t then = time(NULL) + 900;
    struct tm tm;
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&then, &tm));
    snprintf(answer, sizeof answer, "HTTP/1.1 502 No\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n", date);
    verdict = verdict_on(rig, answer);
    cr_assert(verdict->after_ms > 800000 && verdict->after_ms <= 900000, "%lu",
              (unsigned long)verdict->after_ms);
    rig_free(rig);
}

/* ---- redirects ---- */

static void redirect(struct rig *rig, struct call *call) {
    const char *to = rig->user;
    char answer[256];
    if (call_has(call, "POST /else "))
        call_answer(call, "HTTP/1.1 204 No Content\r\n\r\n");
    else if (snprintf(answer, sizeof answer,
                      "HTTP/1.1 307 There\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", to))
        call_answer(call, answer);
}

Test(webhook, does_not_follow_redirects) {
    struct rig *rig = rig_patient();
    rig->answer = redirect;
    rig->user = (void *)(uintptr_t) "/else";
    rig_start(rig);
    rig_give_plain(rig, 1);
    rig_run_verdicts(rig, 1);
    cr_assert_eq(rig->verdicts[0].kind, VERDICT_REFUSE);
    cr_assert_str_eq(rig->verdicts[0].reason, "HTTP 307 (a redirect, which is not followed)");
    cr_assert_eq(rig->calls_count, 1);
    rig_free(rig);
}

Test(webhook, follows_redirects_where_it_may) {
    struct rig *rig = rig_patient();
    rig->answer = redirect;
    rig->user = (void *)(uintptr_t) "/else";
    rig->options.redirects = 2;
    rig_start(rig);
    rig_give_plain(rig, 1);
    rig_run_verdicts(rig, 1);
    cr_assert_eq(rig->verdicts[0].kind, VERDICT_DONE);
    cr_assert(call_has(&rig->calls[1], "\r\nce-id: 1\r\n"));
    cr_assert_str_eq(rig->calls[1].body, "{\"n\":1}");
    rig->user = (void *)(uintptr_t) "/round";
    rig_give_plain(rig, 2);
    rig_run_verdicts(rig, 2);
    cr_assert_eq(rig->verdicts[1].kind, VERDICT_REFUSE, "%s", rig->verdicts[1].reason);
    cr_assert_eq(rig->calls_count, 5);
    rig->user = (void *)(uintptr_t) "file:///etc/passwd";
    rig_give_plain(rig, 3);
    rig_run_verdicts(rig, 3);
    cr_assert_eq(rig->verdicts[2].kind, VERDICT_REFUSE, "%s", rig->verdicts[2].reason);
    rig->user = (void *)(uintptr_t) "http://127.0.0.1:1/";
    rig_give_plain(rig, 4);
    rig_run_verdicts(rig, 4);
    cr_assert_eq(rig->verdicts[3].kind, VERDICT_RETRY, "%s", rig->verdicts[3].reason);
    cr_assert(strstr(rig->verdicts[3].reason, "no answer: "), "%s", rig->verdicts[3].reason);
    rig_free(rig);
}

/* ---- proxies ---- */

static void answer_as_proxy(struct rig *rig, struct call *call) {
    cr_assert(call_has(call, "CONNECT 127.0.0.1:443 HTTP/1.1\r\n"), "%s", call->text);
    cr_assert(!call_has(call, "ce-id"), "what is in the request is not for the proxy");
    call_answer(call, rig->user);
    call_hang_up(call);
}

Test(webhook, does_not_take_a_proxys_answer_for_the_targets) {
    static const char *const answers[] = {"HTTP/1.1 200 Connected\r\n\r\n",
                                          "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n",
                                          "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"};
    char proxy[64];
    struct rig *rig = rig_patient();
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", rig->port);
    rig->options.proxy = proxy;
    rig->options.url = "https://127.0.0.1/in";
    rig->answer = answer_as_proxy;
    rig_start(rig);
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        rig->user = (void *)(uintptr_t)answers[i];
        rig_give_plain(rig, i + 1);
        rig_run_verdicts(rig, i + 1);
        cr_assert_eq(rig->verdicts[i].kind, VERDICT_RETRY, "%s", rig->verdicts[i].reason);
    }
    rig_free(rig);
}

/* ---- half answers, and what is none ---- */

Test(webhook, takes_the_status_when_the_rest_is_missing) {
    struct rig *rig = rig_patient();
    rig_start(rig);
    cr_assert_eq(verdict_on(rig, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf")->kind, VERDICT_DONE);
    cr_assert_eq(verdict_on(rig, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")->kind,
                 VERDICT_DONE);
    cr_assert_eq(verdict_on(rig, "HTTP/1.1 404 No\r\nContent-Length: 50\r\n\r\nhalf")->kind, VERDICT_REFUSE);
    cr_assert_eq(verdict_on(rig, "HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 204 Well\r\n\r\n")->kind, VERDICT_DONE);
    rig_free(rig);
}

Test(webhook, tries_again_after_what_is_no_answer) {
    static const char *const answers[] = {
        "",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
        "HTTP/1.1 200",
        "HTTP/1.1 100 Go on\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2p1\r\n",
        "<html>hello</html>",
        "\r\n\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/7.7 200 OK\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01",
    };
    struct rig *rig = rig_patient();
    rig_start(rig);
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        const struct verdict *verdict = verdict_on(rig, answers[i]);
        cr_assert_eq(verdict->kind, VERDICT_RETRY, "%zu: %c %s", i, verdict->kind, verdict->reason);
        cr_assert(strncmp(verdict->reason, "no answer: ", 11) == 0, "%zu: %s", i, verdict->reason);
        cr_assert_gt(strlen(verdict->reason), 12);
    }
    rig_free(rig);
    LEAKS_NONE();
}

static void answer_large(struct rig *rig, struct call *call) {
    static char block[65536];
    (void)rig;
    memset(block, 'y', sizeof block);
    call_answer(call, call->number == 0 ? "HTTP/1.1 200 OK\r\n\r\n" : "HTTP/1.1 400 No\r\n\r\n");
    for (int i = 0; i < 100; i++)
        call_answer_bytes(call, block, sizeof block);
    call_hang_up(call);
}

static void answer_large_head(struct rig *rig, struct call *call) {
    char line[1024];
    (void)rig;
    int n = snprintf(line, sizeof line, "X: %01000d\r\n", 7);
    call_answer(call, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 500; i++)
        call_answer_bytes(call, line, (size_t)n);
    call_hang_up(call);
}

Test(webhook, does_not_read_a_huge_answer_to_its_end) {
    struct rig *rig = rig_patient();
    rig_start(rig);
    rig->answer = answer_large;
    rig_give_plain(rig, 1);
    rig_run_verdicts(rig, 1);
    cr_assert_eq(rig->verdicts[0].kind, VERDICT_DONE);
    rig_give_plain(rig, 2);
    rig_run_verdicts(rig, 2);
    cr_assert_eq(rig->verdicts[1].kind, VERDICT_REFUSE);
    cr_assert_lt(strlen(rig->verdicts[1].reason), WEBHOOK_REASON_BYTES);
    rig->answer = answer_large_head;
    rig_give_plain(rig, 3);
    rig_run_verdicts(rig, 3);
    cr_assert_eq(rig->verdicts[2].kind, VERDICT_RETRY, "%s", rig->verdicts[2].reason);
    rig_free(rig);
}

static void answer_never(struct rig *rig, struct call *call) {
    (void)rig;
    (void)call;
}

Test(webhook, does_not_wait_for_ever) {
    struct rig *rig = rig_patient();
    rig->options.answer_ms = 50;
    rig->answer = answer_never;
    rig_start(rig);
    rig_give_plain(rig, 1);
    rig_run_verdicts(rig, 1);
    cr_assert_eq(rig->verdicts[0].kind, VERDICT_RETRY);
    cr_assert(strstr(rig->verdicts[0].reason, "no answer: "), "%s", rig->verdicts[0].reason);
    rig_free(rig);
    LEAKS_NONE();
}

/* One byte for each turn of a timer. */
static void on_drip(evutil_socket_t fd, short what, void *user) {
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    static size_t at;
    struct call *call = user;
    const struct timeval soon = {.tv_usec = 100};
    (void)fd;
    (void)what;
    call_answer_bytes(call, answer + at, 1);
    if (++at < sizeof answer - 1)
        event_base_once(call->rig->base, -1, EV_TIMEOUT, on_drip, call, &soon);
}

static void answer_slowly(struct rig *rig, struct call *call) {
    (void)rig;
    on_drip(-1, 0, call);
}

Test(webhook, takes_an_answer_that_comes_byte_by_byte) {
    struct rig *rig = rig_patient();
    rig->answer = answer_slowly;
    rig_start(rig);
    rig_give_plain(rig, 1);
    rig_run_verdicts(rig, 1);
    cr_assert_eq(rig->verdicts[0].kind, VERDICT_DONE, "%s", rig->verdicts[0].reason);
    rig_free(rig);
}
