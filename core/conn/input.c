#include "core/conn/input.h"

#include "core/base/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_BYTES_MIN 512u
/* An empty buffer of so many bytes is given back at once: malloc has another at hand, and what ten thousand
 * quiet connections would hold is never a whole page to be given back later. */
#define INPUT_BYTES_CHEAP 1024u
#define INPUT_BYTES_MAX   (FRAME_BYTES_MAX + 4u * RECEIVE_BULK_BYTES)
static_assert(INPUT_BYTES_MAX < UINT32_MAX / 2, "positions are 32 bits");

/* Moves the bytes to the front when that makes room, else doubles. */
static int input_room(struct input *input, size_t length) {
    size_t used = input_length(input);
    if (input->begin > 0 && used + length <= input->capacity) {
        memmove(input->bytes, input_at(input), used);
        input->begin = 0;
        input->end = (uint32_t)used;
        return 0;
    }
    size_t capacity = input->capacity < INPUT_BYTES_MIN ? INPUT_BYTES_MIN : input->capacity;
    while (capacity < used + length)
        capacity *= 2;
    uint8_t *bytes = malloc(capacity);
    if (bytes == NULL)
        return -ENOMEM;
    if (used > 0)
        memcpy(bytes, input_at(input), used);
    free(input->bytes);
    *input = (struct input){.bytes = bytes, .end = (uint32_t)used, .capacity = (uint32_t)capacity};
    return 0;
}

void input_borrow(struct input *input, uint8_t *bytes, size_t length) {
    CHECK(input_length(input) == 0 && length <= INPUT_BYTES_MAX);
    input_deinit(input);
    if (length > 0)
        *input = (struct input){.bytes = bytes, .end = (uint32_t)length, .borrowed = true};
}

void input_move(struct input *input, uint8_t *bytes) {
    size_t length = input_length(input);
    if (length > 0)
        memcpy(bytes, input_at(input), length);
    input_deinit(input);
    input_borrow(input, bytes, length);
}

int input_own(struct input *input) {
    const struct input lent = *input;
    if (!lent.borrowed)
        return 0;
    *input = (struct input){0};
    return input_keep(input, input_at(&lent), input_length(&lent));
}

int input_keep(struct input *input, const uint8_t *bytes, size_t length) {
    if (length == 0)
        return 0;
    if (input_length(input) + length > INPUT_BYTES_MAX)
        return -ENOMEM;
    if (input->borrowed && bytes == input->bytes + input->end) {
        input->end += (uint32_t)length;
        return 0;
    }
    if (input->borrowed && input_own(input) != 0)
        return -ENOMEM;
    if (input->capacity - input->end < length) {
        int result = input_room(input, length);
        if (result != 0)
            return result;
    }
    memcpy(input->bytes + input->end, bytes, length);
    input->end += (uint32_t)length;
    return 0;
}

void input_drop(struct input *input, size_t length) {
    CHECK(length <= input_length(input));
    input->begin += (uint32_t)length;
    if (input->begin != input->end)
        return;
    input->begin = input->end = 0;
    if (input->borrowed || input->capacity <= INPUT_BYTES_CHEAP)
        input_deinit(input);
}

void input_rest(struct input *input) {
    if (input_length(input) == 0)
        input_deinit(input);
}

void input_deinit(struct input *input) {
    if (!input->borrowed)
        free(input->bytes);
    *input = (struct input){0};
}
