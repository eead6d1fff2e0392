/* rig.h: a webhook between a host that writes down what it is told and an HTTP server that does as it is
 * told. Owner: the test; all runs in its thread, in one libevent loop. The server takes whole requests (a
 * head and a Content-Length) and hands each to `answer`; what the webhook tells its host is kept as verdicts.
 * Blocks: rig_run, until what it waits for is there; a test that waits in vain ends by its guard.
 * Fails by failing the test. */
#pragma once

#include "core/transport/webhook.h"

#include <event2/event.h>

#define CALLS_MAX    4096u
#define VERDICTS_MAX 4096u

struct rig;

/* A request that has come. */
struct call {
    struct rig *rig;
    struct bufferevent *connection;
    char *text; /* the whole of it, with a zero byte behind */
    const char *body;
    size_t body_length, number;
    bool answered;
};

enum verdict_kind { VERDICT_DONE = 'd', VERDICT_RETRY = 'r', VERDICT_REFUSE = 'x' };
struct verdict {
    uint64_t delivery, after_ms;
    enum verdict_kind kind;
    char reason[300];
};

struct rig {
    struct event_base *base;
    struct evconnlistener *listener;
    uint16_t port;
    char url[64];
    struct transport_host host;
    struct webhook_options options; /* the test's own, before rig_start */
    void *hook;
    void (*answer)(struct rig *rig, struct call *call);           /* NULL: 204 at once */
    void (*told)(struct rig *rig, const struct verdict *verdict); /* may deliver and stop */
    void *user;
    struct call calls[CALLS_MAX];
    size_t calls_count, calls_open, calls_open_most, connections;
    struct verdict verdicts[VERDICTS_MAX];
    size_t verdicts_count;
    uint64_t extended, given;
};

struct rig *rig_new(void);
void rig_free(struct rig *rig);
void rig_start(struct rig *rig);
/* Whether it starts; the sentence if not. */
bool rig_starts(struct rig *rig, char why[256]);
/* Hands the event (CloudEvents JSON) over; the delivery's number. */
uint64_t rig_give(struct rig *rig, const char *json);
uint64_t rig_give_attempt(struct rig *rig, const char *json, uint32_t attempt);
void rig_give_bytes(struct rig *rig, const void *event, size_t length);
/* An ordinary one, with this id. */
uint64_t rig_give_plain(struct rig *rig, uint64_t id);

/* The loop goes round until so many verdicts (calls) are there in all. */
void rig_run_verdicts(struct rig *rig, size_t count);
void rig_run_calls(struct rig *rig, size_t count);
void rig_run_until(struct rig *rig, bool (*reached)(const struct rig *rig));
/* Some turns of the loop, without waiting. */
void rig_turn(struct rig *rig);
/* No request comes any more, or comes in vain; and again. */
void rig_close_port(struct rig *rig);
void rig_open_port(struct rig *rig);

void call_answer(struct call *call, const char *text);
void call_answer_bytes(struct call *call, const char *text, size_t length);
/* The connection is over when all is written. */
void call_hang_up(struct call *call);
bool call_has(const struct call *call, const char *text);
void answer_no_content(struct rig *rig, struct call *call);
