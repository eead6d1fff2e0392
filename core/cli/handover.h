/* handover.h: listening sockets that outlive one process: they are taken over from whoever has started us
 * (LISTEN_FDS, as systemd and an earlier image of ours give them), kept in the service manager's store
 * (FDSTORE), and given to the program that takes our place. While nobody accepts on them, whoever connects
 * waits in the kernel's queue and is not refused.
 * Owner: the command `serve`, its main thread only. Copies of the listeners are owned here; what
 * handover_listen gives out belongs to its caller.
 * Nothing blocks. Fails by negative errno, as io_listen_socket does. */
#pragma once

#include "core/base/check.h"

#include <stdint.h>

#define HANDOVER_LISTENERS_MAX 16u
#define HANDOVER_NAME_BYTES    32u

struct handover_socket {
    char name[HANDOVER_NAME_BYTES]; /* "native", "admin", "ingest"; of a foreign one what LISTEN_FDNAMES says
                                     */
    int fd;                         /* owned */
};

struct handover {
    struct handover_socket kept[HANDOVER_LISTENERS_MAX];      /* a copy of each that is in use */
    struct handover_socket inherited[HANDOVER_LISTENERS_MAX]; /* nobody has asked for these yet */
    uint32_t kept_count;
    uint32_t inherited_count;
};

/* Takes what this process was started with, and removes that from the environment. */
void handover_inherit(struct handover *handover);

/* A listening socket on `address`: one that was inherited, where it is bound there, else a new one. With port
 * 0 one that was inherited under this name. A copy is kept. */
int handover_listen(struct handover *handover, const char *name, const char *address,
                    uint16_t *port) MUST_USE;

/* `fd`, which stays the caller's, takes the place of the listener of this name. Also on another thread, while
 * the main one does nothing here. */
void handover_replace(struct handover *handover, const char *name, int fd);

/* All listeners are open: what was inherited and is not used is closed, and said. */
void handover_settle(struct handover *handover);

/* Replaces this process by `program`, which inherits the copies. Only when all other threads have ended.
 * Returns negative errno when that fails; then the copies are as they were. */
int handover_exec(struct handover *handover, const char *program, char **argv) MUST_USE;

void handover_close(struct handover *handover);
