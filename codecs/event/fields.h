/* fields.h: the field numbers of io.cloudevents.v1.CloudEvent, for reading and writing without unpacking.
 * Owner: codecs/event.
 * Only constants: any thread may use them.
 * Nothing blocks.
 * Nothing fails; a test compares them with the generated code. */
#pragma once

/* CloudEvent. */
enum {
    EVENT_ID = 1,
    EVENT_SOURCE = 2,
    EVENT_SPEC_VERSION = 3,
    EVENT_TYPE = 4,
    EVENT_ATTRIBUTE = 5,
    EVENT_BINARY = 6,
    EVENT_TEXT = 7,
    EVENT_PROTO = 8,
};

/* An entry of the attributes' map, a google.protobuf.Timestamp, and a google.protobuf.Any. */
enum { ENTRY_NAME = 1, ENTRY_VALUE = 2 };
enum { TIME_SECONDS = 1, TIME_NANOS = 2 };
enum { ANY_TYPE_URL = 1, ANY_VALUE = 2 };

/* The arms of CloudEventAttributeValue. */
enum {
    VALUE_BOOLEAN = 1,
    VALUE_INTEGER = 2,
    VALUE_STRING = 3,
    VALUE_BYTES = 4,
    VALUE_URI = 5,
    VALUE_URI_REF = 6,
    VALUE_TIME = 7,
};
