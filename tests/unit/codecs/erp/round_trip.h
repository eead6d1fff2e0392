/* round_trip.h: documents of any format, read, written in some format, and read again, as strictly as can be.
 * Owner: the test; round_trip_free gives everything back. What a callback gets is lent until it returns.
 * One thread, that of the test.
 * Nothing blocks.
 * What can not be read or written fails the running test. */
#pragma once

#include "codecs/erp/engine.h"
#include "core/bridge/formats.h"
#include "core/bridge/outlet.h"

#include <jansson.h>

/* One message that came back. */
struct round_trip_message {
    const char *file;
    const ProtobufCMessage *was, *is;
    const struct bytes *document;
    json_t *first, *again;  /* the JSON of both, with their origins */
    const uint32_t *found;  /* findings about the first, by code */
    const uint32_t *errors; /* of the second */
};

struct round_trip {
    void (*each)(void *context, const struct round_trip_message *message);
    void *context;
    struct erp_edi_options options;
    unsigned messages;
    /* private */
    struct formats *formats;
    struct outlet *outlet;
    struct erp_engine *first, *second;
    struct profile lenient, strict;
    enum outlet_format format;
    const char *file;
    const ProtobufCMessage *was;
    const struct bytes *document;
    uint32_t found[FINDING_CODES], errors[FINDING_CODES];
    bool came_back;
};

void round_trip_new(struct round_trip *trip);
void round_trip_free(struct round_trip *trip);

/* Every message of a file of tests/data that the format can carry; how many there were so far is counted. */
void round_trip_file(struct round_trip *trip, const char *file, enum outlet_format format);
/* Every file of a folder of tests/data. */
void round_trip_folder(struct round_trip *trip, const char *folder, enum outlet_format format);
/* A message of one's own. */
void round_trip_message(struct round_trip *trip, const ProtobufCMessage *message, enum outlet_format format);
