/* inbound_double.h: the five functions of core/bridge/inbound.h as a test wants them: what was given is kept.
 * Included by one test program each, which so has them instead of the library's.
 * Owner: the test. Thread: its own.
 * Nothing blocks. The bytes that are given are digested: they must be those that the digest stands for.
 * What a document says decides what becomes of it: one that begins with BAD has a refused message, one that
 * begins with LATER is not taken as long as `unsettled` says so. A broken contract fails the running test. */
#pragma once

#include "codecs/erp/event.h"
#include "core/bridge/inbound.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOUBLE_DOCUMENTS 64u

struct double_document {
    char name[256];
    uint64_t bytes;
    uint8_t digest[ERP_DIGEST_BYTES];
    char head[8];
};

struct inbound {
    struct event_base *base;
    struct event *later; /* when it has an end to tell, or room */
    bool open, finishing;
    struct double_document now;
    struct erp_digest *sum;
    inbound_on_end *on_end;
    void *user;
    void (*on_room)(void *user);
    void *room_user;
    /* What the test wants. */
    uint32_t unsettled;  /* so many documents that begin with LATER */
    uint32_t full_every; /* every so many pieces there is no room */
    bool room_never;     /* nobody is told of room */
    bool at_once;        /* ends are told within inbound_finish */
    bool busy;           /* somebody else's document is open */
    void (*on_piece)(struct inbound *inbound, uint64_t bytes_before);
    void (*on_document)(struct inbound *inbound, const struct double_document *document);
    /* What there was. */
    uint64_t pieces;
    uint32_t begun, abandoned, ended;
    struct double_document documents[DOUBLE_DOCUMENTS]; /* the first that ended, settled or not */
};

static void double_end(struct inbound *inbound) {
    static const char findings[] = "{\"refused\": 1}";
    bool bad = strncmp(inbound->now.head, "BAD", 3) == 0;
    bool later = strncmp(inbound->now.head, "LATER", 5) == 0 && inbound->unsettled > 0;
    const struct inbound_end end = {.published = later ? 0 : 1,
                                    .refused = bad,
                                    .unknown = later,
                                    .ids = "[]",
                                    .findings = findings,
                                    .findings_length = sizeof findings - 1};
    if (later)
        inbound->unsettled--;
    if (inbound->ended < DOUBLE_DOCUMENTS)
        inbound->documents[inbound->ended] = inbound->now;
    inbound->ended++;
    inbound->open = inbound->finishing = false;
    if (inbound->on_document != NULL)
        inbound->on_document(inbound, &inbound->now);
    inbound->on_end(inbound->user, &end);
}

static void double_later(evutil_socket_t fd, short what, void *user) {
    struct inbound *inbound = user;
    (void)fd;
    (void)what;
    if (inbound->finishing) {
        double_end(inbound);
    } else if (inbound->on_room != NULL) {
        void (*on_room)(void *) = inbound->on_room;
        inbound->on_room = NULL;
        on_room(inbound->room_user);
    }
}

static inline struct inbound *double_new(struct event_base *base) {
    struct inbound *inbound = calloc(1, sizeof *inbound);
    cr_assert_not_null(inbound);
    inbound->base = base;
    inbound->later = evtimer_new(base, double_later, inbound);
    inbound->sum = erp_digest_new();
    cr_assert(inbound->later != NULL && inbound->sum != NULL);
    return inbound;
}

static inline void double_free(struct inbound *inbound) {
    event_free(inbound->later);
    erp_digest_free(inbound->sum);
    free(inbound);
}

int inbound_begin(struct inbound *inbound, const char *name, const uint8_t *digest) {
    uint8_t unused[ERP_DIGEST_BYTES];
    cr_assert(!inbound->open);
    cr_assert_not_null(digest);
    if (inbound->busy)
        return -EBUSY;
    erp_digest_take(inbound->sum, unused);
    inbound->now = (struct double_document){.bytes = 0};
    (void)snprintf(inbound->now.name, sizeof inbound->now.name, "%s", name);
    memcpy(inbound->now.digest, digest, ERP_DIGEST_BYTES);
    inbound->open = true;
    inbound->begun++;
    return 0;
}

int inbound_feed(struct inbound *inbound, const uint8_t *bytes, size_t length) {
    cr_assert(inbound->open && !inbound->finishing && length > 0 && length <= 65536);
    inbound->pieces++;
    if (inbound->full_every != 0 && inbound->pieces % inbound->full_every == 0)
        return -EAGAIN;
    for (size_t i = 0, at = strlen(inbound->now.head); i < length && at + 1 < sizeof inbound->now.head; i++)
        if (bytes[i] != '\0')
            inbound->now.head[at++] = (char)bytes[i];
    erp_digest_add(inbound->sum, bytes, length);
    uint64_t before = inbound->now.bytes;
    inbound->now.bytes += length;
    if (inbound->on_piece != NULL)
        inbound->on_piece(inbound, before);
    return 0;
}

void inbound_on_room(struct inbound *inbound, void (*on_room)(void *user), void *user) {
    static const struct timeval at_once = {0};
    inbound->on_room = on_room;
    inbound->room_user = user;
    if (on_room != NULL && !inbound->room_never)
        (void)evtimer_add(inbound->later, &at_once);
}

void inbound_finish(struct inbound *inbound, inbound_on_end *on_end, void *user) {
    static const struct timeval at_once = {0};
    uint8_t digest[ERP_DIGEST_BYTES];
    cr_assert(inbound->open);
    erp_digest_take(inbound->sum, digest);
    cr_assert_arr_eq(digest, inbound->now.digest, ERP_DIGEST_BYTES, "other bytes than the digest says");
    inbound->on_end = on_end;
    inbound->user = user;
    inbound->finishing = true;
    if (inbound->at_once)
        double_end(inbound);
    else
        (void)evtimer_add(inbound->later, &at_once);
}

void inbound_abandon(struct inbound *inbound) {
    cr_assert(inbound->open);
    inbound->open = inbound->finishing = false;
    inbound->abandoned++;
    (void)evtimer_del(inbound->later);
}
