/* remake.h: an event with other data: what a mapping makes of one, with the attributes that it had.
 * Owner: results belong to the caller and are freed with free(). Any thread may call.
 * Nothing blocks; the general heap is used.
 * The bytes of what stays are copied as they are, in their order.
 * Fails by a fault, as all that makes events. */
#pragma once

#include "codecs/event/bytes.h"
#include "core/base/error.h"

#include <protobuf-c/protobuf-c.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct remake {
    const uint8_t *event; /* serialized, and one that event_check accepts */
    size_t length;
    uint32_t part;           /* of several made of one event: from 2 on its id gets "/2" */
    const char *type;        /* NULL: as it was */
    const char *contenttype; /* of `data`; NULL: data, datacontenttype and dataschema stay */
    const char *dataschema;  /* NULL: none */
    uint32_t kind;           /* EVENT_TEXT, EVENT_BINARY, or EVENT_PROTO: an Any with `dataschema` */
    const void *data;
    size_t data_length;
    /* Attributes that it gets where it has none of the name, and the value is not empty. */
    const struct remake_text { const char *name, *value; } * more;
    size_t more_count;
};

bool remake(const struct remake *what, uint8_t **event, size_t *length, struct fault *fault);

/* An event as a mapping sees it: a JSON object of its attributes, "topic", and its data. With `json` (on one
 * line) that is the data. */
bool remake_input(const uint8_t *event, size_t length, const char *topic, size_t topic_length,
                  const struct bytes *json, struct bytes *out, struct fault *fault);

/* The canonical message that the event's data is, as its dataschema says: protobuf (an Any, or bytes as they
 * come by CloudEvents JSON) or JSON. It is freed with protobuf_c_message_free_unpacked; NULL: it is
 * none, or none that can be read. */
ProtobufCMessage *remake_message(const uint8_t *event, size_t length);
/* An event whose data is this message; its type is that of the message, unless `what` has one. Of `what`
 * the fields of the data are not looked at. */
bool remake_canonical(struct remake what, const ProtobufCMessage *message, uint8_t **event, size_t *length,
                      struct fault *fault);
