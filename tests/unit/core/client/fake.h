/* fake.h: a server for tests of the client library: it says and does exactly what the test wants.
 * Owner: the test; its thread, which also runs the client. So every run is the same.
 * Speaks by the project's codecs over a loopback socket.
 * Nothing blocks for more than a few milliseconds; waiting is bounded by FAKE_STEPS_MAX steps.
 * Fails the running Criterion test. */
#pragma once

#include "codecs/wire/control.h"

#include <roundhouse/client.h>

#include <stdbool.h>
#include <stdint.h>

#define FAKE_STEPS_MAX 10000 /* of at most one millisecond each */

typedef Roundhouse__V1__Frame fake_frame;

struct fake {
    int listener;
    int socket; /* -1 = nobody is connected */
    char address[32];
    uint8_t *bytes;
    size_t start;
    size_t end;
    uint8_t instance; /* repeated 16 times in Connected */
    uint64_t frame_bytes_max;
};

void fake_start(struct fake *fake);
void fake_stop(struct fake *fake);
/* Takes a waiting connection. false: there is none. */
bool fake_accept(struct fake *fake);
/* Ends the connection, by a reset if asked for. */
void fake_hang_up(struct fake *fake, bool reset);

/* Lets the client work until the fake server has a frame of this kind, skipping Pings (unless asked for). The
 * caller frees it with control_free. */
fake_frame *fake_expect(struct fake *fake, rh_client *client, enum wire_kind kind);
/* The same for an event; pointers are valid until the next call. */
struct wire_event fake_expect_event(struct fake *fake, rh_client *client);
/* Lets the client open a connection; nothing is read from it, nothing said. */
void fake_await(struct fake *fake, rh_client *client);
/* Lets the client connect, and answers its Connect, whose ack level is returned. */
int fake_handshake(struct fake *fake, rh_client *client);

void fake_send(struct fake *fake, const fake_frame *frame);
void fake_send_bytes(struct fake *fake, const void *bytes, size_t count);
void fake_connected(struct fake *fake);
void fake_subscribed(struct fake *fake, uint64_t id, const char *position);
void fake_pong(struct fake *fake, const char *position);
void fake_event(struct fake *fake, const char *topic, uint64_t sequence);
/* The same with an event of the test's own. */
void fake_event_of(struct fake *fake, const char *topic, uint64_t sequence, const void *event, size_t length);
/* What follows are deliveries of a queue, from this number on, for the first time. 0, 0: no longer. */
void fake_context(struct fake *fake, uint64_t subscription, uint64_t delivery);
void fake_lease_expired(struct fake *fake, uint64_t subscription, uint64_t delivery);
void fake_ack(struct fake *fake, uint64_t through, uint64_t refused);
/* The last one was stored before, with that sequence. */
void fake_ack_duplicate(struct fake *fake, uint64_t through, uint64_t sequence);
void fake_error(struct fake *fake, int code, bool fatal, uint64_t ordinal, uint64_t subscription);
/* The same, with a field. */
void fake_error_of(struct fake *fake, int code, const char *field, uint64_t subscription);
void fake_goodbye(struct fake *fake);

/* Lets the client work until `done` is not 0. */
void fake_until(rh_client *client, const int *done);
/* Lets the client work a little. */
void fake_settle(rh_client *client);
