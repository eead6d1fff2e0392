/* multi.h: libcurl's transfers in a libevent loop, with no system call but what HTTP needs: a connection that
 * waits for its next request stays in the poller, where libcurl would take it out and put it in again.
 * Owner: a transport; the loop's thread. Transfers are libcurl's easy handles, made and freed by the caller.
 * Nothing blocks, but libcurl may start a thread to resolve a name.
 * on_done is called once for each transfer that was added, when nothing of libcurl runs, so that it may
 * remove it and add others; on_turn after the last of them.
 * multi_new fails by NULL: no memory; what libcurl refuses later ends the transfer with a code. */
#pragma once

#include "core/base/check.h"
#include "core/transport/curl.h"

#include <stdint.h>

struct event_base;
struct multi;

struct multi_options {
    struct event_base *base;
    const struct curl_table *curl;
    uint32_t connections; /* kept open at most */
    void *user;
    void (*on_done)(void *user, CURL *easy, CURLcode code);
    void (*on_turn)(void *user);
};

struct multi *multi_new(const struct multi_options *options) MUST_USE;
/* All transfers have been removed; closes the connections. */
void multi_free(struct multi *multi);
/* What each easy handle needs before it is added for the first time. */
void multi_prepare(struct multi *multi, CURL *easy);
CURLMcode multi_add(struct multi *multi, CURL *easy) MUST_USE;
void multi_remove(struct multi *multi, CURL *easy);
