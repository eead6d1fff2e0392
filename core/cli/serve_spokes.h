/* serve_spokes.h: the spokes of a running router, and what the admin plane may ask of them.
 * Owner: the command `serve`; the main thread starts, stops and frees them. What it gives the admin plane is
 * called on that one's thread, until serve_spokes_free. Blocks: starting while their files are read and
 * tried, stopping until they have ended. Nothing is done, and nothing fails, where the configuration has
 * none. The result is an exit status; what is wrong has been said then. */
#pragma once

#include "core/admin/admin.h"
#include "core/base/check.h"
#include "core/config/config.h"
#include "core/spoke/spokes.h"

struct serve_spokes {
    struct spokes *spokes; /* owns; NULL = there are none */
    struct admin_spokes admin;
    char server[CONFIG_ADDRESS_MAX + 8];
    char state_dir[2 * JOURNAL_DIR_BYTES_MAX];
};

/* When the workers accept clients. `server` is the native listener as it is reached from here, "HOST:PORT";
 * `ingest` (NULL = there is none) is borrowed until serve_spokes_stop. */
int serve_spokes_start(struct serve_spokes *serve, const struct config *config, const char *server,
                       struct ingest *ingest) MUST_USE;
/* Before the workers stop: what is on its way is settled. */
void serve_spokes_stop(struct serve_spokes *serve);
/* After the admin plane has stopped. */
void serve_spokes_free(struct serve_spokes *serve);
/* Holds their files against what runs, soon. */
void serve_spokes_apply(struct serve_spokes *serve);
/* NULL = there are none. */
const struct admin_spokes *serve_spokes_admin(const struct serve_spokes *serve);
