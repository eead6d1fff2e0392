#include "codecs/event/bytes.h"

#include "codecs/proto/field.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY_FIRST 256u

uint8_t *bytes_grow(struct bytes *bytes, size_t n) {
    if (bytes->failed)
        return NULL;
    if (n > bytes->capacity - bytes->length) {
        size_t doubled = bytes->capacity ? bytes->capacity * 2 : CAPACITY_FIRST;
        size_t needed = bytes->length + n;
        size_t capacity = doubled > needed ? doubled : needed;
        uint8_t *data = realloc(bytes->data, capacity);
        if (!data) {
            bytes->failed = true;
            return NULL;
        }
        bytes->data = data;
        bytes->capacity = capacity;
    }
    uint8_t *room = bytes->data + bytes->length;
    bytes->length += n;
    return room;
}

void bytes_add(struct bytes *bytes, const void *data, size_t n) {
    if (n == 0)
        return;
    uint8_t *room = bytes_grow(bytes, n);
    if (room)
        memcpy(room, data, n);
}

void bytes_text(struct bytes *bytes, const char *text) {
    bytes_add(bytes, text, strlen(text));
}

void bytes_field(struct bytes *bytes, uint32_t number, const void *data, size_t n) {
    uint8_t head[1 + VARINT_BYTES_MAX];
    head[0] = FIELD_TAG(number, FIELD_BYTES);
    bytes_add(bytes, head, (size_t)(varint_write(head + 1, n) - head));
    bytes_add(bytes, data, n);
}

uint8_t *bytes_take(struct bytes *bytes, size_t *length) {
    if (bytes->failed) {
        bytes_free(bytes);
        return NULL;
    }
    uint8_t *data = bytes->data;
    *length = bytes->length;
    *bytes = (struct bytes){0};
    return data;
}

void bytes_free(struct bytes *bytes) {
    free(bytes->data);
    *bytes = (struct bytes){0};
}
