/* subs.h: what a client has subscribed to, over all its connections.
 * Owner: one rh_client; its thread.
 * Sorted by id; ids grow and are never used again.
 * Nothing blocks.
 * Fails with -ENOMEM. */
#pragma once

#include "core/base/check.h"
#include "core/filter/filter.h"

#include <roundhouse/client.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sub_state {
    SUB_WANTED,  /* to be asked for on the next connection */
    SUB_ASKED,   /* Subscribe is on its way */
    SUB_LIVE,    /* Subscribed came */
    SUB_DELAYED, /* the server had no room; asked for again later */
    SUB_LEAVING, /* Unsubscribe is on its way */
};

/* Of a subscription to a queue. Delivery numbers are the server's, which begin anew with each connection,
 * plus `base`. */
struct sub_queue {
    rh_queue terms;                 /* but for its texts, which are these: */
    char *name, *dead_letter, *key; /* lie behind this struct; "" = none */
    uint64_t base;                  /* the last delivery of earlier connections */
    uint64_t last;                  /* the last one that was delivered */
};

struct sub {
    int64_t id;
    enum sub_state state;
    rh_subscribe_options options;
    bool lived;      /* Subscribed came on some connection */
    char **patterns; /* owns, in one allocation with the texts */
    size_t count;
    struct filter *filter;   /* owns; NULL = none */
    struct sub_queue *queue; /* owns; NULL = none */
    bool removes;            /* no subscription: the queue is to be removed, */
    bool asked_before;       /* ... which was asked for on an earlier connection, too */
    uint8_t *position;       /* owns; where it resumes, NULL = as its options say */
    size_t position_length;
    uint64_t pongs; /* of the client, when Subscribed came: a later Pong's Position replaces this one */
};

struct subs {
    struct sub *list; /* owns */
    size_t count;
    size_t capacity;
    size_t leaving;
    int64_t id_last;
};

void subs_deinit(struct subs *subs); /* takes zeroed memory, too */

/* What is wrong with one of them, or NULL. */
const char *subs_patterns_fault(const char *const *patterns, size_t count);
/* Copies the patterns, the options and the queue's terms (NULL = no queue), and takes the filter over (NULL =
 * none), also when it fails. The new one in *out, valid until the next add or remove. */
int subs_add(struct subs *subs, const char *const *patterns, size_t count,
             const rh_subscribe_options *options, const rh_queue *queue, struct filter *filter,
             struct sub **out) MUST_USE;
/* Of filters as JSON, NULL or "" is none. RH_OK, RH_NO_MEMORY, or RH_INVALID with a static text. */
int subs_filter(const char *json, struct filter **out, const char **fault) MUST_USE;
void subs_remove(struct subs *subs, struct sub *sub);
bool subs_delayed(const struct subs *subs);                 /* some are SUB_DELAYED */
struct sub *subs_find(const struct subs *subs, int64_t id); /* NULL = none */
int sub_position_set(struct sub *sub, const uint8_t *position, size_t length) MUST_USE;

/* Whether all that there are belong to queues, and there are some. */
bool subs_all_queues(const struct subs *subs);
/* The lowest id that an event belongs to; 0 = none. Those of queues are left out: their events come with a
 * Context. With one subscription everything that comes belongs to it. */
int64_t subs_match(const struct subs *subs, const rh_event *event);
