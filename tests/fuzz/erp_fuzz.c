/* fuzz: edifact_feed, x12_feed, map_find, erp_engine_sink: documents through the built-in maps, and back */
// check: runs=20000 max_len=4096 timeout=10

/* A file. Whatever it holds, each message becomes one that protobuf-c can unpack, with findings that have
 * their places, and an event that every SDK accepts. What can be written as EDIFACT and X12 is, whatever is
 * in it, a document without a fault in its syntax, of one message, of the same kind. */
#include "codecs/document/sniff.h"
#include "codecs/edi/edifact.h"
#include "codecs/edi/x12.h"
#include "codecs/erp/edi_out.h"
#include "codecs/erp/engine.h"
#include "codecs/erp/event.h"
#include "core/base/check.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct map_library *library;
static struct erp_maker *maker;

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

/* ---- there and back ---- */

struct back {
    const ProtobufCMessageDescriptor *kind;
    unsigned messages;
};

static void on_back(void *context, const struct erp_result *result) {
    struct back *back = context;
    CHECK(result->message && result->message->descriptor == back->kind);
    back->messages++;
}

/* What the content says may be wrong; how it is said may not, but that nothing is said. */
static void on_fault(void *context, const struct finding *finding) {
    (void)context;
    CHECK(finding->severity != FINDING_ERROR || strncmp(finding_kind(finding->code)->name, "map.", 4) == 0 ||
          finding->code == FINDING_X12_EMPTY || finding->code == FINDING_EDIFACT_EMPTY);
}

static void read_back(const ProtobufCMessage *message, const struct bytes *document, bool x12) {
    struct profile strict = {0};
    struct back back = {.kind = message->descriptor};
    struct erp_engine_options options = {
        .library = library, .profile = &strict, .context = &back, .message = on_back, .finding = on_fault};
    struct erp_engine *engine = erp_engine_new(&options);
    CHECK(engine);
    struct document_sink sink = erp_engine_sink(engine);
    (x12 ? x12_read : edifact_read)(&sink, &strict, document->data, document->length);
    erp_engine_free(engine);
    CHECK(back.messages == 1);
}

static void write_and_read(const ProtobufCMessage *message) {
    struct bytes document = {0};
    if (erp_edifact_write(message, NULL, &document)) {
        CHECK(!document.failed);
        read_back(message, &document, false);
        document.length = 0;
        CHECK(erp_x12_write(message, NULL, &document) && !document.failed);
        read_back(message, &document, true);
    }
    bytes_free(&document);
}

/* ---- there ---- */

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
    write_and_read(result->message);
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
