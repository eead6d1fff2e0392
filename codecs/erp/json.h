/* json.h: canonical messages as JSON, out and in: the proto3 JSON mapping, with two values written shorter.
 * Owner: text is appended to the caller's buffer; what is read lies in the caller's arena.
 * Any thread may call. Never the hot path: the buffer grows on the general heap, and jansson allocates.
 * Nothing blocks. The same message always gives the same text: fields in the order of their numbers, names in
 * lowerCamelCase, what is not set left out; a Decimal is "1234.50", a Moment "2026-09-02T14:05:00+02:00".
 * Out fails by bytes.failed; in by a sentence. */
#pragma once

#include "codecs/erp/arena.h"
#include "codecs/event/bytes.h"

#include <protobuf-c/protobuf-c.h>

#include <stdbool.h>
#include <stddef.h>

/* One line, without a newline. */
void erp_json_write(const ProtobufCMessage *message, struct bytes *out);

#define ERP_JSON_ERROR_BYTES 160u

/* Names in lowerCamelCase or as in the .proto; null is not set; a name that is not known is an error. NULL:
 * the error says what and where. */
ProtobufCMessage *erp_json_read(const ProtobufCMessageDescriptor *descriptor, const char *text, size_t length,
                                struct arena *arena, char error[ERP_JSON_ERROR_BYTES]) MUST_USE;
