/* link.h: two ends of a TCP connection over loopback, for benches of sends and receives.
 * Owner: the bench that opens it.
 * Thread: one.
 * Nothing blocks: both ends are non-blocking.
 * Fails only in link_open: the program ends with a message. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct link {
    int from, to;
    uint8_t *spare; /* owns; what link_drain reads into */
};

struct link link_open(void);
void link_close(struct link *link);
/* Reads all that has come and counts it; `sum`, if not NULL, gets the sum of its bytes added. */
size_t link_drain(struct link *link, uint64_t *sum);
/* Bytes that the other end has received and not read. */
size_t link_waiting(const struct link *link);
