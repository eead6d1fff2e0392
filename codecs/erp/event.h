/* event.h: a canonical message as a CloudEvent: its identity, its type and topic, its attributes.
 * Owner: the maker is the caller's; an event is borrowed until the maker makes the next one.
 * Thread: one at a time for one maker.
 * Nothing blocks. The same document in the same file always makes the same event, byte for byte.
 * Fails by a fault, as all that makes events. docs/MAPPING.md says what each attribute is. */
#pragma once

#include "codecs/erp/engine.h"
#include "core/base/error.h"

struct erp_maker;

struct erp_event {
    const uint8_t
        *event; /* a serialized io.cloudevents.v1.CloudEvent; the data is the message, in proto_data */
    size_t length;
    const char *topic; /* constant: erp.order.created */
};

struct erp_maker *erp_maker_new(void) MUST_USE;
void erp_maker_free(struct erp_maker *maker);

/* The topic for a message of this kind, constant text: of an Order also by its function, of an Invoice by
 * `credit`. */
const char *erp_topic(const ProtobufCMessage *message);
/* Its type without the version, likewise: of an Invoice always erp.invoice.created. */
const char *erp_type(const ProtobufCMessage *message);

/* Its header, which every kind has as a field; NULL: this one has none. */
const Roundhouse__Erp__V1__Header *erp_header(const ProtobufCMessage *message);

/* `result` has a message. The event is for every result that has one; whether it goes out when there are
 * errors is the caller's to say. */
bool erp_event_make(struct erp_maker *maker, const struct erp_result *result, struct erp_event *out,
                    struct fault *fault) MUST_USE;

/* The SHA-256 of a file, piece by piece, as erp_engine_file wants it. */
struct erp_digest;
struct erp_digest *erp_digest_new(void) MUST_USE;
void erp_digest_add(struct erp_digest *digest, const void *bytes, size_t n);
/* What has been added so far; it begins anew. */
void erp_digest_take(struct erp_digest *digest, uint8_t out[ERP_DIGEST_BYTES]);
void erp_digest_free(struct erp_digest *digest);
