/* requests.h: requests that wait for their replies, and the inbox that the replies come to.
 * Owner: one rh_client; its thread.
 * A request's number holds the place where it waits: number % REQUESTS_MAX.
 * Nothing blocks; memory grows on use to REQUESTS_MAX places of 48 bytes. Each request ends once: by its
 * reply, its deadline, a refusal, or the end of the client; its place is free before its callback runs.
 * Fails with RH_FULL and RH_NO_MEMORY. */
#pragma once

#include "core/base/check.h"

#include <roundhouse/client.h>

#include <stddef.h>
#include <stdint.h>

#define REQUESTS_MAX 1024u

struct request {
    uint64_t number;  /* 0 = the place is free */
    uint64_t ordinal; /* of the event that asks */
    uint64_t deadline_ns;
    rh_on_reply *on_reply;
    void *user;
};

struct requests {
    struct request *list; /* owns */
    uint32_t capacity;
    uint32_t open;
    uint32_t place;   /* where the search for a free place begins */
    uint64_t rounds;  /* numbers are rounds * REQUESTS_MAX + place */
    uint64_t next_ns; /* no deadline is before this */
    int64_t inbox;    /* the subscription; 0 = none yet */
    char inbox_name[48];
    char tag[17]; /* correlationids are "TAG-NUMBER" */
};

void requests_deinit(struct requests *requests); /* takes zeroed memory, too */

/* An event has come to the inbox. */
void requests_reply(rh_client *client, const rh_event *event);
/* The server has something against the inbox: all that wait end with it. */
void requests_inbox_refused(rh_client *client, int code, const char *text);
/* Events have been refused: those of requests end them. */
void requests_refused(rh_client *client, const rh_ack *ack);
/* Ends all. */
void requests_end(rh_client *client, int code, const char *text);

/* Ends those whose time is over at `now`; and when that is next: UINT64_MAX = never. */
void requests_timer(rh_client *client, uint64_t now);
uint64_t requests_next_timer(const struct requests *requests);
