/* fuzz: edifact_feed, x12_feed, map_find, erp_engine_sink: documents through the built-in maps */
// check: runs=20000 max_len=4096 timeout=10

/* A file. Whatever it holds, each message becomes one that protobuf-c can unpack, with findings that have
 * their places, and an event that every SDK accepts. */
#include "codecs/document/sniff.h"
#include "codecs/edi/edifact.h"
#include "codecs/edi/x12.h"
#include "codecs/erp/engine.h"
#include "codecs/erp/event.h"
#include "core/base/check.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct map_library *library;
static struct erp_maker *maker;

static void on_message(void *context, const struct erp_result *result) {
    const size_t *size = context;
    struct erp_event event;
    struct fault fault;
    CHECK(result->message || result->errors);
    if (!result->message)
        return;
    CHECK(result->header->origin->offset <= *size);
    CHECK(erp_event_make(maker, result, &event, &fault) && event.topic);
    size_t n = protobuf_c_message_get_packed_size(result->message);
    ProtobufCMessage *again =
        protobuf_c_message_unpack(result->message->descriptor, NULL, n, event.event + event.length - n);
    CHECK(again);
    protobuf_c_message_free_unpacked(again, NULL);
}

static void edifact_read(const struct document_sink *sink, const struct profile *profile, const uint8_t *data,
                         size_t size) {
    struct edifact_reader *reader;
    CHECK(edifact_create(&reader, sink, profile) == 0);
    edifact_feed(reader, data, size);
    edifact_end(reader);
    edifact_destroy(reader);
}

static void x12_read(const struct document_sink *sink, const struct profile *profile, const uint8_t *data,
                     size_t size) {
    struct x12_reader *reader;
    CHECK(x12_create(&reader, sink, profile) == 0);
    x12_feed(reader, data, size);
    x12_end(reader);
    x12_destroy(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct profile profile = {0};
    if (!library)
        library = map_library_new(NULL, 0);
    if (!maker)
        maker = erp_maker_new();
    CHECK(library && maker);
    profile_tolerate_all(&profile);
    struct erp_engine_options options = {
        .library = library, .profile = &profile, .context = &size, .message = on_message};
    struct erp_engine *engine = erp_engine_new(&options);
    CHECK(engine);
    struct document_sink sink = erp_engine_sink(engine);
    enum document_format format = sniff(data, size);
    if (format == FORMAT_X12 || format == FORMAT_X12_FRAGMENT)
        x12_read(&sink, &profile, data, size);
    else
        edifact_read(&sink, &profile, data, size);
    erp_engine_free(engine);
    return 0;
}
