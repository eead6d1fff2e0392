/* dial.h: from "host:port" to a TCP connection in the making.
 * Owner: one rh_client; its thread.
 * All addresses of a name are tried one after the other.
 * dial_resolve blocks as getaddrinfo does for a name; numeric addresses never block. Nothing else blocks.
 * Failures are negative errno with a sentence in `why`. */
#pragma once

#include "core/base/check.h"

#include <netdb.h>
#include <stdbool.h>

#define DIAL_HOST_BYTES 256u

struct dial {
    char host[DIAL_HOST_BYTES];
    char port[6];
    size_t receive_bytes;  /* SO_RCVBUF; 0: the system's */
    struct addrinfo *list; /* owns */
    struct addrinfo *next; /* borrows from list */
};

/* "host:port", "1.2.3.4:port" or "[v6]:port". false: not of this form; *why is a static text. */
bool dial_parse(struct dial *dial, const char *server, const char **why);
void dial_deinit(struct dial *dial); /* takes zeroed memory, too */

/* In the program of the server itself, whose listener moves: whoever dials `from` reaches `to` instead, from
 * the next dial_resolve on. Both numeric, "host:port"; one pair at a time. Any thread. */
void dial_moved(const char *from, const char *to);

/* Looks the name up; dial_next begins with its first address. *why is a static text. */
int dial_resolve(struct dial *dial, const char **why) MUST_USE;
/* Begins a connection to the next address. The socket (the caller's; wait until it is writable, then
 * dial_result), or negative errno when no address is left: that of the last one that failed, -EADDRNOTAVAIL
 * when there was none. */
int dial_next(struct dial *dial) MUST_USE;
/* How many addresses have not been tried. */
unsigned dial_left(const struct dial *dial);
/* 0 once the connection stands, -EINPROGRESS before, another negative errno when it failed. */
int dial_result(int socket) MUST_USE;
