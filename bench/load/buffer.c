#include "bench/load/buffer.h"

#include "bench/load/quit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VARINT_BYTES_MAX 5

uint8_t *buffer_grow(struct buffer *buffer, size_t n) {
    if (buffer->capacity - buffer->length < n) {
        size_t capacity = 2 * buffer->capacity + n + 256;
        uint8_t *data = realloc(buffer->data, capacity);
        if (data == NULL)
            quit(QUIT_INTERNAL, "out of memory for %zu bytes", capacity);
        buffer->data = data;
        buffer->capacity = capacity;
    }
    uint8_t *room = buffer->data + buffer->length;
    buffer->length += n;
    return room;
}

void buffer_add(struct buffer *buffer, const void *data, size_t n) {
    if (n > 0)
        memcpy(buffer_grow(buffer, n), data, n);
}

void buffer_text(struct buffer *buffer, const char *text) {
    buffer_add(buffer, text, strlen(text));
}

void buffer_byte(struct buffer *buffer, uint8_t byte) {
    *buffer_grow(buffer, 1) = byte;
}

void buffer_print(struct buffer *buffer, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof text)
        quit(QUIT_INTERNAL, "a request is longer than it can be");
    buffer_add(buffer, text, (size_t)length);
}

void buffer_varint(struct buffer *buffer, uint64_t number) {
    for (; number > 127; number >>= 7)
        buffer_byte(buffer, (uint8_t)(number | 128));
    buffer_byte(buffer, (uint8_t)number);
}

size_t varint_size(uint64_t number) {
    size_t size = 1;
    for (; number > 127; number >>= 7)
        size++;
    return size;
}

int varint_read(const uint8_t *p, size_t n, uint64_t *number) {
    *number = 0;
    for (int i = 0; i < VARINT_BYTES_MAX; i++) {
        if ((size_t)i == n)
            return 0;
        *number |= (uint64_t)(p[i] & 127) << (7 * i);
        if (p[i] < 128)
            return i + 1;
    }
    return -1;
}

void buffer_free(struct buffer *buffer) {
    free(buffer->data);
    *buffer = (struct buffer){0};
}
