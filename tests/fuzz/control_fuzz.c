/* fuzz: control_unpack, position_unpack */
// check: runs=500000 max_len=1024 timeout=5

/* The first byte chooses. 'p': the rest is a Position, 's': one whose checksum is put right first, otherwise
 * frames. What is accepted is packed again: a Position to the same bytes, a frame to bytes that unpack and
 * pack to themselves. */
#include "codecs/wire/control.h"

#include "core/base/check.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define FRAME_MAX 1024u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void position_check(const uint8_t *data, size_t size) {
    struct position position;
    struct fault fault = {0};
    uint8_t again[POSITION_BYTES_MAX];
    if (!position_unpack(data, size, &position, &fault)) {
        CHECK(fault.code == RH_CODE_INVALID && strcmp(fault.field, "subscribe.position") == 0);
        return;
    }
    CHECK(position.count <= POSITION_LOGS_MAX);
    CHECK(position_pack(&position, again) == size && memcmp(again, data, size) == 0);
}

static void position_summed_check(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size + 4);
    CHECK(copy);
    memcpy(copy, data, size);
    uint32_t sum = (uint32_t)XXH3_64bits(data, size);
    memcpy(copy + size, &sum, sizeof sum);
    position_check(copy, size + sizeof sum);
    free(copy);
}

/* Packs and frees the frame. */
static uint8_t *pack(Roundhouse__V1__Frame *frame, size_t *size) {
    *size = control_size(frame);
    uint8_t *bytes = malloc(*size);
    CHECK(bytes && control_pack(frame, bytes) == *size);
    control_free(frame);
    return bytes;
}

static void control_check(const struct wire_frame *frame) {
    struct fault fault = {0};
    struct wire_frame found;
    size_t first_size, second_size;
    Roundhouse__V1__Frame *unpacked = control_unpack(frame, &fault);
    if (!unpacked) {
        CHECK(fault.code != RH_CODE_NONE && fault.text);
        return;
    }
    CHECK((unsigned)unpacked->body_case == (unsigned)frame->kind);
    uint8_t *first = pack(unpacked, &first_size);
    CHECK(wire_next(first, first_size, first_size, &found, &fault) == WIRE_OK && found.kind == frame->kind);
    unpacked = control_unpack(&found, &fault);
    CHECK(unpacked);
    uint8_t *second = pack(unpacked, &second_size);
    CHECK(first_size == second_size && memcmp(first, second, first_size) == 0);
    free(first);
    free(second);
}

static void frames_check(const uint8_t *data, size_t size) {
    struct wire_frame frame;
    struct fault fault;
    while (size > 0 && wire_next(data, size, FRAME_MAX, &frame, &fault) == WIRE_OK) {
        if (frame.body && frame.kind != WIRE_EVENT)
            control_check(&frame);
        data += frame.size;
        size -= frame.size;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    if (data[0] == 'p')
        position_check(data + 1, size - 1);
    else if (data[0] == 's')
        position_summed_check(data + 1, size - 1);
    else
        frames_check(data + 1, size - 1);
    return 0;
}
