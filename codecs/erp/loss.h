/* loss.h: what a document does not say of the message that it was written of, value by value: the message,
 * and what was read of the document again. Owner: nothing is kept; texts are lent for the call. Any thread
 * may call. Never the hot path: both go through their JSON, which allocates. Nothing blocks. Not compared:
 * the origin, the sender's own unit where ours is the same, a number's agency where its scheme is the same,
 * zeros at the end of decimals, the order of numbers, references and texts. Fails by false: no memory. */
#pragma once

#include "core/base/check.h"

#include <protobuf-c/protobuf-c.h>

#include <stdbool.h>

/* `path` is that of the JSON form, lines[0].price.basis.value; `is` is empty where the document says nothing.
 */
typedef void (*erp_loss_told)(void *context, const char *path, const char *was, const char *is);

/* Both are messages of one kind; `is` NULL: nothing could be read again. */
bool erp_loss(const ProtobufCMessage *was, const ProtobufCMessage *is, erp_loss_told told,
              void *context) MUST_USE;
