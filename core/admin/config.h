/* config.h: the config that runs, as the admin plane shows and changes it: GET and POST /v1/config.
 * Owner: `serve` gives a struct admin_configs, which outlives the admin plane; its functions are called on
 * the admin plane's thread. What is wanted is looked at and carried out elsewhere; the answer comes from
 * there. Nothing here blocks. Errors are answered as api.h says: 409 while another one is carried out, 422
 * with the mistakes. */
#pragma once

#include "core/admin/api.h"
#include "core/config/change.h"
#include "core/config/config.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* A config that somebody wants. */
struct admin_wish {
    const char *text; /* YAML, as in a file; no NUL stands behind it */
    size_t length;
    const char *path; /* of that file, absolute; NULL = none */
    bool partial;     /* keys that it leaves out stay as they are */
    bool dry_run;     /* nothing is to be changed */
    bool strict;      /* what needs a restart is refused */
};

struct admin_configs {
    void *user;
    /* A copy of what runs; `path` becomes that of the file of the start, "" = none. */
    void (*show)(void *user, struct config *config, char path[static PATH_MAX]);
    /* The wish is copied. 0: `done` is called once, on another thread. -EBUSY: another one is being applied,
     * -ESHUTDOWN, -ENOMEM. */
    int (*want)(void *user, const struct admin_wish *wish,
                void (*done)(void *answer, const struct config_outcome *outcome), void *answer);
};

void config_show_run(struct admin *admin, struct api_call *call);
void config_want_run(struct admin *admin, struct api_call *call);
#define CONFIG_WANT_QUERY "file partial dry_run strict"
