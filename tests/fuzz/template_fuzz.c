/* fuzz: erp_csv_read, erp_csv_header, erp_csv_write */
// check: runs=60000 max_len=2048 timeout=5

/* The text of a template, NUL, and a message in JSON: the table that is written of it is read again without a
 * finding, and every row has as many cells as the template has columns. */
#include "codecs/erp/csv_out.h"

#include "codecs/erp/json.h"
#include "codecs/table/csv.h"
#include "core/base/check.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void begin(void *context, enum document_scope scope, const struct document_head *head) {
    (void)context, (void)scope, (void)head;
}

static void segment(void *context, const struct segment *segment) {
    uint32_t *rows = context;
    (void)segment;
    (*rows)++;
}

static void end(void *context, enum document_scope scope, const struct document_tail *tail) {
    (void)context, (void)scope, (void)tail;
}

static void finding(void *context, const struct finding *finding) {
    (void)context;
    CHECK(finding->code == FINDING_BOM || finding->code == FINDING_TOO_LARGE);
}

static void read_again(const struct erp_csv *template, const struct bytes *table) {
    uint32_t rows = 0;
    struct document_sink sink = {&rows, begin, segment, end, finding};
    struct dialect dialect = {.name = "template",
                              .delimiter = template->delimiter,
                              .quote = template->quote,
                              .newline = '\n',
                              .decimal = template->decimal,
                              .message_name = "TABLE",
                              .row = "ROW"};
    struct csv *csv = csv_new(&dialect, NULL, &sink);
    CHECK(csv);
    csv_feed(csv, table->data, table->length);
    csv_end(csv);
    csv_free(csv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *stop = memchr(data, 0, size);
    size_t text = stop ? (size_t)(stop - data) : size;
    struct erp_csv template;
    struct layout_error error;
    if (erp_csv_read(&template, (const char *)data, text, &error) == 0 && template.event && text < size) {
        struct arena arena = {0};
        char wrong[ERP_JSON_ERROR_BYTES];
        struct bytes table = {0};
        erp_csv_header(&template, &table);
        ProtobufCMessage *message =
            erp_json_read(template.event, (const char *)data + text + 1, size - text - 1, &arena, wrong);
        if (message)
            CHECK(erp_csv_write(&template, message, &table));
        if (table.length > 0)
            read_again(&template, &table);
        bytes_free(&table);
        arena_free(&arena);
    }
    erp_csv_free(&template);
    return 0;
}
