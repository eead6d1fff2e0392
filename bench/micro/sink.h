/* sink.h: an HTTP server that answers every request with 204 and does nothing else, for what sends them.
 * Owner: the bench; sink_open and sink_close in the main thread, sink_serve in the other one.
 * It reads what ordinary requests have: a head that ends in an empty line, and a Content-Length.
 * Blocks: sink_serve until it has answered as many requests as it was asked for.
 * Fails by ending the program with a message. */
#pragma once

#include <stdint.h>

struct sink;

struct sink *sink_open(void);
uint16_t sink_port(const struct sink *sink); /* on 127.0.0.1 */
void sink_serve(struct sink *sink, uint64_t requests);
/* Bytes of all bodies so far; while nobody serves. */
uint64_t sink_bytes(const struct sink *sink);
void sink_close(struct sink *sink);
