/* pack.h: canonical messages as protobuf bytes, written from the last byte to the first.
 * Owner: a packer is the caller's. Thread: one at a time for one packer.
 * Backwards the length of a message is known when it is written, so nothing is measured first; and what goes
 * before it (the event's attributes) goes into the same buffer. protobuf-c measures every message once for
 * each one around it. Nothing blocks. The buffer grows on the general heap and is kept. Fails by pack_failed:
 * no memory, or more than PACK_BYTES_MAX. The bytes are those of protobuf_c_message_pack. */
#pragma once

#include "core/base/check.h"

#include <protobuf-c/protobuf-c.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACK_BYTES_MAX ((size_t)1 << 30)

struct packer;

/* For these messages and all that are inside them; every field's number is below 2048. NULL: no memory. */
struct packer *packer_new(const ProtobufCMessageDescriptor *const *messages, size_t count) MUST_USE;
void packer_free(struct packer *packer);

/* Empties the buffer. */
void pack_begin(struct packer *packer);
/* Each goes before what is there already. */
void pack_message(struct packer *packer, const ProtobufCMessage *message);
void pack_bytes(struct packer *packer, const void *bytes, size_t n);
void pack_varint(struct packer *packer, uint64_t value);
/* The tag and the length of a field of the bytes written since `length` was told. */
void pack_field(struct packer *packer, uint32_t number, size_t length);
/* What is in the buffer, until the next pack_begin. */
size_t pack_length(const struct packer *packer);
const uint8_t *pack_data(const struct packer *packer);
bool pack_failed(const struct packer *packer);
