/* serve_config.h: the config of a running router: what holds, and how it comes to hold something else.
 * Owner: the command `serve`; the main thread starts and stops it. A thread of its own reads files, looks at
 * what is wanted and carries it out, one after the other: SIGHUP, which only asks for it, and the admin
 * plane, whose requests come on that one's thread. All or nothing: what is wrong, or can not be had, changes
 * nothing. serve_config_stop blocks until what is being carried out has ended. Starting fails by an exit
 * status, which has been told; the rest is told in the log, and to who asked. */
#pragma once

#include "core/admin/config.h"
#include "core/base/check.h"
#include "core/base/logfmt.h"
#include "core/config/config.h"
#include "core/journal/journal.h"
#include "core/shard/shard.h"

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>

#define SERVE_OVERRIDES_MAX 16u
#define SERVE_WISHES_MAX    8u /* that wait to be looked at */

/* What the command line says. */
struct serve_asked {
    const char *path;                                      /* of the config; NULL = none */
    const char *options[SERVE_OVERRIDES_MAX];              /* each as it is written on the command line, */
    struct config_override overrides[SERVE_OVERRIDES_MAX]; /* and what it says */
    uint32_t count;
    bool check; /* no more than that */
};

struct serve_config_parts {
    const struct serve_asked *asked;         /* copied; its texts are borrowed */
    const struct config *config;             /* with which everything was started; copied */
    struct shards *shards;                   /* borrowed */
    struct journal *journal;                 /* the same; NULL = there is none */
    const char *native;                      /* where the native listener is reached from here; copied */
    void (*files)(void *user);               /* reads what else SIGHUP reads again; on this thread, */
    void (*moved)(void *user, int listener); /* ... as this one: the native listener is another one */
    void *user;
};

struct serve_wish;

struct serve_config {
    struct serve_config_parts parts;
    struct serve_asked asked;
    char path[PATH_MAX]; /* of the file of the start, absolute; "" = none */
    char native[CONFIG_ADDRESS_MAX + 8];
    struct admin_configs admin;
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex;
    pthread_cond_t work;
    /* under the mutex */
    struct config running; /* written by the thread only */
    bool reread, stopping, applying;
    uint64_t reread_ns;       /* not before; the thread's */
    struct logfmt_limit said; /* the thread's */
    bool changing;            /* the sharding; when it is over: */
    int change_error;
    const char *change_why;          /* static */
    struct serve_wish *first, *last; /* owns; what is to be looked at, */
    uint32_t waiting;                /* ... and how many that are */
};

/* When all else runs. */
int serve_config_start(struct serve_config *serve, const struct serve_config_parts *parts) MUST_USE;
/* The file is read again soon, and what else there is; many calls are one. */
void serve_config_reread(struct serve_config *serve);
/* Before anything that it changes stops; accepts zeroed memory. */
void serve_config_stop(struct serve_config *serve);
/* For the admin plane. */
const struct admin_configs *serve_config_admin(struct serve_config *serve);

/* As many descriptors as connections may need, if the hard limit allows; otherwise it is said. */
void serve_descriptors(const struct config *config);
/* "HOST:PORT" by which a native listener is reached from here: one that listens everywhere is reached over
 * loopback. */
void serve_native_address(const char *address, uint16_t port, char out[static CONFIG_ADDRESS_MAX + 8]);
