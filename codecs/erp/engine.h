/* engine.h: a sink for readers that turns each message of a document into one canonical message.
 * Owner: the caller; the library is borrowed for its life. A result is borrowed until the callback returns:
 * its memory is used again for the next message. Thread: the one that feeds the reader. One engine for each
 * reader; several may share a compiled library. Nothing blocks. Values cost no allocation: they go into an
 * arena that keeps its memory from message to message. Fails by findings of the message; without memory, and
 * above ERP_MESSAGE_BYTES_MAX, the message is refused. */
#pragma once

#include "codecs/document/sink.h"
#include "codecs/erp/map.h"
#include "roundhouse/erp/v1/erp.pb-c.h"

/* Memory of one canonical message: some 10 times its text. */
#define ERP_MESSAGE_BYTES_MAX (UINT64_C(1) << 30)
#define ERP_DIGEST_BYTES      32u

struct erp_engine;

/* One message that was read. */
struct erp_result {
    const struct document_head *head;
    const ProtobufCMessage *message; /* its descriptor says which; NULL: no map for it, or no memory */
    const Roundhouse__Erp__V1__Header *header; /* of the message, with its origin; NULL with it */
    uint32_t errors; /* of reader and mapping, untolerated; more than none: refused */
};

struct erp_engine_options {
    struct map_library *library;   /* borrowed; nothing is added to it while an engine has it */
    const struct profile *profile; /* borrowed: what the partner may do wrong; NULL: nothing */
    void *context;
    void (*message)(void *context, const struct erp_result *result);
    /* Every finding, the reader's and those of the mapping (map.*); may be NULL. */
    void (*finding)(void *context, const struct finding *finding);
};

struct erp_engine *erp_engine_new(const struct erp_engine_options *options) MUST_USE;
void erp_engine_free(struct erp_engine *engine);

/* What its reader calls. */
struct document_sink erp_engine_sink(struct erp_engine *engine);

/* The SHA-256 of the file that comes next, for Origin.sha256; NULL: not known. Copied. */
void erp_engine_file(struct erp_engine *engine, const uint8_t digest[ERP_DIGEST_BYTES]);
