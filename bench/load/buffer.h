/* buffer.h: bytes that grow: requests, pre-encoded batches, replies that are read whole.
 * Owner: whoever holds the struct; zero-initialised is empty. One thread.
 * Used before and after what is measured, never inside it.
 * Nothing blocks.
 * Running out of memory ends the program. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *data; /* owns */
    size_t length;
    size_t capacity;
};

/* Room for n more bytes, which count at once; the caller fills them. */
uint8_t *buffer_grow(struct buffer *buffer, size_t n);
void buffer_add(struct buffer *buffer, const void *data, size_t n);
void buffer_text(struct buffer *buffer, const char *text);
void buffer_byte(struct buffer *buffer, uint8_t byte);
void buffer_print(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A number as protobuf and MQTT write it: seven bits a byte, the lowest first. */
void buffer_varint(struct buffer *buffer, uint64_t number);
size_t varint_size(uint64_t number);
/* Reads one of at most 5 bytes: its size, 0 when it is not all there, -1 when it is longer. */
int varint_read(const uint8_t *p, size_t n, uint64_t *number);

void buffer_free(struct buffer *buffer);
