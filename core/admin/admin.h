/* admin.h: the admin plane: HTTP for health, metrics and what is offered as api.h, on a thread of its own.
 * Owner: main starts and stops it. Reads published counters; what it is asked to do, others do.
 * libevent's evhttp on one listener; requests are small and bounded.
 * admin_stop blocks until its thread has ended (well under a second).
 * Starting fails with negative errno. */
#pragma once

#include "core/base/check.h"
#include "core/io/io.h"
#include "core/journal/journal.h"
#include "core/shard/shard.h"

#include <stdbool.h>
#include <stdint.h>

struct admin;
struct admin_configs;

struct api_endpoint;
struct embedded_file;
struct json_t;
struct metrics_spoke;
struct survey_desk;
struct ingest_counters;

/* What is known of spokes, and can be done about them; called on the admin plane's thread. */
struct admin_spokes {
    void *user;
    /* JSON, which the admin plane frees; NULL: no memory. */
    char *(*list)(void *user);
    /* Holds their files against what runs; `done` is called once, on any thread, with an answer as JSON.
     * False: not now. */
    bool (*apply)(void *user, void (*done)(void *answer, bool applied, const char *json), void *answer);
    /* Numbers of each; the admin plane frees the list. */
    uint32_t (*numbers)(void *user, struct metrics_spoke **list);
};

/* An event that nobody publishes, and that is asked about; borrowed until that is answered. */
struct admin_offer {
    const char *topic;
    const uint8_t *event; /* checked */
    size_t length;
    bool tried; /* false: only patterns are looked at */
};

/* What takes events from queues of its own: spokes and files of rules; called on the admin plane's thread. */
struct admin_takers {
    void *user;
    /* {"spokes": [...], "rules": [...]}, as core/spoke/takes.h and core/routes/takes.h have them. NULL: no
     * memory. */
    struct json_t *(*routing)(void *user);
    /* Whether they would take the event: `done` is called once, on any thread, with the same object, which it
     * takes over; NULL: no memory. False: not now. */
    bool (*ask)(void *user, const struct admin_offer *offer, void (*done)(void *answer, struct json_t *told),
                void *answer);
};

/* Something that the admin plane's thread looks after beside its requests: `ready` when `fd` is readable. */
struct admin_watch {
    int fd;
    void (*ready)(void *user);
    void *user;
};

struct admin_config {
    const struct shards *shards;
    struct journal *journal; /* NULL = there is none */
    enum io_body body;
    const char *io_reason;                /* static or outliving the admin plane */
    const struct ingest_counters *ingest; /* NULL = nothing comes in over HTTP; outlives the admin plane */
    const char *journal_dir;              /* with a journal; outlives the admin plane */
    uint64_t started_wall_ns;
    const char *server; /* where clients connect, as it is reached from here; NULL = there are no streams */
    const char *token_file; /* NULL = nobody is asked for a token; else it outlives the admin plane */
    const struct admin_spokes *spokes; /* NULL = there are none; outlives the admin plane */
    const struct admin_takers *takers; /* NULL = there are none; outlives the admin plane */
    struct survey_desk *desk;        /* where workers are asked; NULL = nowhere. Outlives the admin plane, */
    const struct admin_watch *watch; /* ... as does what serves it; NULL = nothing */
    const struct embedded_file *files;   /* served beside them; NULL = none */
    const struct admin_configs *configs; /* of config.h; NULL = there is nothing to show; outlives it, too */
    const struct api_endpoint
        *endpoints; /* beside the pages of pages.h; NULL = none. api_table is for this */
};

/* `listener` is a listening socket made by io_listen_socket, owned by the admin plane from now on. Serves the
 * pages of pages.h and `endpoints`; anything else is answered 404 or 405, with what there is. One request for
 * each connection; bodies, headers, connections and their time are bounded by ADMIN_* of limits.h. */
int admin_start(struct admin **out, const struct admin_config *config, int listener) MUST_USE;
void admin_stop(struct admin *admin);
