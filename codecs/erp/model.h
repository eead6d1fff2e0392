/* model.h: the canonical messages, by name, and the field that each part of them stands for.
 * Owner: constant data.
 * Any thread may call.
 * Nothing blocks, nothing allocates.
 * What is not known is NULL. */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include <stddef.h>

/* Every message that a document can become. */
#define MODEL_EVENTS 12u
extern const ProtobufCMessageDescriptor *const model_events[MODEL_EVENTS];

/* The one with this short name (Order), which need not end in a NUL. */
const ProtobufCMessageDescriptor *model_event(const char *name, size_t length);

/* The field that is meant when a path ends at a message of this kind: the value of an Amount, the id of a
 * Reference. */
const ProtobufCFieldDescriptor *model_principal(const ProtobufCMessageDescriptor *message);
