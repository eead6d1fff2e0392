/* sink.h: an HTTP server that answers every request with 204 and does nothing else, for what sends them.
 * Owner: the bench; sink_open and sink_close in the main thread, sink_serve in any one.
 * It reads what ordinary requests have: a head that ends in an empty line, and a Content-Length.
 * Blocks: sink_serve until it has answered as many requests as it was asked for.
 * Fails by ending the program with a message. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct sink;

struct sink *sink_open(void);
uint16_t sink_port(const struct sink *sink); /* on 127.0.0.1 */
void sink_serve(struct sink *sink, uint64_t requests);
/* Also ends when nothing has come for so many milliseconds (-1: never). How many it answered. */
uint64_t sink_serve_until(struct sink *sink, uint64_t requests, int silence_ms);

/* Is shown the head of each request before its body has come, up to the CR LF that ends its last line. */
typedef void sink_on_head(void *user, const char *head, size_t length);
void sink_look(struct sink *sink, sink_on_head *on_head, void *user);

/* Bytes of all bodies so far; while nobody serves. */
uint64_t sink_bytes(const struct sink *sink);
void sink_close(struct sink *sink);
