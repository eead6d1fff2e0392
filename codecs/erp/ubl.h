/* ubl.h: canonical messages as documents of UBL 2.1: Order, OrderChange, OrderCancellation, OrderResponse,
 * DespatchAdvice, Invoice, CreditNote. Owner: text is appended to the caller's buffer. Any thread may call.
 * Never the hot path: the buffer grows on the general heap. Nothing blocks.
 * Elements stand in the order of UBL's schemas; what the document says nothing of is left out, also where a
 * schema asks for it. What is read from the document again is the same message, but for what UBL has no place
 * for: the roles of texts, contacts beside the first, the units around a handling unit. Fails by
 * bytes.failed, and by false: UBL has no document of this kind here. */
#pragma once

#include "codecs/event/bytes.h"

#include <protobuf-c/protobuf-c.h>

#include <stdbool.h>

bool erp_ubl_write(const ProtobufCMessage *message, struct bytes *out);
