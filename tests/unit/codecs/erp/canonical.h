/* canonical.h: canonical events of documents in XML, and what somebody has read in the documents himself.
 * Owner: the test; canonical_free gives everything back.
 * One thread, that of the test.
 * Nothing blocks.
 * A map that can not be compiled, and a list of expectations that is none, fail the running test. */
#pragma once

#include "codecs/erp/engine.h"
#include "codecs/idoc/idoc.h"
#include "codecs/xml/xml.h"

#include <jansson.h>

struct canonical {
    struct layouts layouts;
    struct map_library *library;
    struct erp_engine *engine;
    struct document_sink sink;
    struct xml_reader *reader;
    json_t *json;    /* owns: of the last document's event, without its origin; NULL: none was made */
    uint32_t errors; /* of that document, of reader and mapping */
    uint32_t findings[FINDING_CODES];
    void (*message)(void *context, const struct erp_result *result); /* or NULL */
    void *context;
};

void canonical_new(struct canonical *canonical);
void canonical_free(struct canonical *canonical);

/* Reads one document. */
void canonical_read(struct canonical *canonical, const void *bytes, size_t length);
/* One of tests/data. */
void canonical_read_file(struct canonical *canonical, const char *file);

/* Compares the events of the documents with tests/data/canonical/NAME. Returns how many values were. */
unsigned canonical_expect(struct canonical *canonical, const char *name);
