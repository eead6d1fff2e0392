/* net.h: connections of the load generator: open, shake hands, ask and wait for the answer.
 * Owner: the caller has the descriptors. One thread.
 * For what comes before and after a measurement; every wait ends after the stall time.
 * These calls block, and nothing is measured meanwhile.
 * A refusal, a close or a silence ends the program with a sentence that says which connection it was. */
#pragma once

#include "bench/load/options.h"

/* Connects, says hello, subscribes (interest may be NULL) and waits for the server's answer. Non-blocking
 * afterwards. */
int net_open(const struct options *options, const struct party *who, const struct interest *interest);

/* Sends bytes whole, waiting for room. */
void net_send(const struct options *options, int fd, const struct buffer *bytes);

/* Asks, and reads on to the answer, which must be all that comes. `lent`: up to so many bytes may come before
 * it, which are the rest of a delivery that a server's noise has pushed back; returns how many came. */
size_t net_ask(const struct options *options, int fd, const struct party *who, size_t lent);

/* Takes the one answer that comes before anything else, and nothing behind it. */
void net_await_answer(const struct options *options, int fd, const struct party *who);

/* The first bytes of what came, as text on one line; valid until the next call. */
const char *net_shown(const uint8_t *p, size_t n);

/* Reads what is there and passes over it, but for refusals. False: the server has closed. */
bool net_skip(const struct options *options, int fd, const struct party *who);

/* nats-server: waits for the one noise that comes some time after a connect, on each of the connections. */
void net_await_noise(const struct options *options, const int *fds, uint32_t count);

uint64_t net_now_ns(void);
