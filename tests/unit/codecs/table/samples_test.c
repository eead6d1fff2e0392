#include "codecs/idoc/idoc.h"
#include "codecs/table/csv.h"
#include "codecs/table/fixed.h"

#include "tests/unit/codecs/golden.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a reader calls, counted; findings as tests/data/tables.tsv writes them. */
struct heard {
    unsigned messages, refused, segments;
    char findings[4096];
};

static void begin(void *context, enum document_scope scope, const struct document_head *head) {
    (void)context, (void)scope, (void)head;
}

static void segment(void *context, const struct segment *segment) {
    struct heard *heard = context;
    (void)segment;
    heard->segments++;
}

static void end(void *context, enum document_scope scope, const struct document_tail *tail) {
    struct heard *heard = context;
    heard->messages += scope == DOCUMENT_MESSAGE;
    heard->refused += scope == DOCUMENT_MESSAGE && tail->errors > 0;
}

static void finding(void *context, const struct finding *finding) {
    struct heard *heard = context;
    size_t length = strlen(heard->findings);
    snprintf(heard->findings + length, sizeof heard->findings - length, "%s%s@%lu:%u", length ? " " : "",
             finding_kind(finding->code)->name, finding->place.offset, finding->place.element);
}

static uint8_t *data_file(const char *folder, const char *name, const char *ending, size_t *length) {
    char path[256];
    snprintf(path, sizeof path, "tests/data/%s%s%s", folder, name, ending);
    return golden_file(path, length);
}

static void read_csv(const char *name, const uint8_t *bytes, size_t length,
                     const struct document_sink *sink) {
    struct dialect dialect;
    struct layout_error error;
    size_t text_length;
    uint8_t *text = data_file("dialects/", name, ".dialect", &text_length);
    cr_assert(dialect_read(&dialect, (char *)text, text_length, &error) == 0, "%s: %s", name, error.text);
    struct csv *csv = csv_new(&dialect, NULL, sink);
    csv_feed(csv, bytes, length);
    csv_end(csv);
    csv_free(csv);
    dialect_free(&dialect);
    free(text);
}

static void read_fixed(const char *name, const uint8_t *bytes, size_t length,
                       const struct document_sink *sink) {
    struct layouts layouts = {0};
    struct layout_error error;
    size_t text_length;
    uint8_t *text = data_file("layouts/", name, ".layout", &text_length);
    cr_assert(layouts_add(&layouts, (char *)text, text_length, &error) == 0, "%s: %s", name, error.text);
    struct fixed *fixed = fixed_new(&layouts, NULL, sink);
    fixed_feed(fixed, bytes, length);
    fixed_end(fixed);
    fixed_free(fixed);
    layouts_free(&layouts);
    free(text);
}

static void read_idoc(const uint8_t *bytes, size_t length, const struct document_sink *sink) {
    struct layouts layouts = {0};
    struct layout_error error;
    cr_assert(idoc_layouts(&layouts, &error) == 0, "%s", error.text);
    struct idoc *idoc = idoc_new(&layouts, NULL, sink);
    idoc_feed(idoc, bytes, length);
    idoc_end(idoc);
    idoc_free(idoc);
    layouts_free(&layouts);
}

/* file, layout, messages, refused, segments, findings */
static void judge(char *const *cells) {
    struct heard heard = {0};
    struct document_sink sink = {&heard, begin, segment, end, finding};
    size_t length;
    uint8_t *bytes = data_file("", cells[0], "", &length);
    if (strncmp(cells[0], "csv/", 4) == 0)
        read_csv(cells[1], bytes, length, &sink);
    else if (strncmp(cells[0], "fixed/", 6) == 0)
        read_fixed(cells[1], bytes, length, &sink);
    else
        read_idoc(bytes, length, &sink);
    cr_expect(heard.messages == (unsigned)atoi(cells[2]) && heard.refused == (unsigned)atoi(cells[3]) &&
                  heard.segments == (unsigned)atoi(cells[4]),
              "%s: %u messages, %u refused, %u segments", cells[0], heard.messages, heard.refused,
              heard.segments);
    cr_expect_str_eq(heard.findings, strcmp(cells[5], "-") == 0 ? "" : cells[5], "%s", cells[0]);
    free(bytes);
}

Test(tables, hold_what_another_reader_has_found_in_them_and_no_other_finding) {
    size_t length;
    uint8_t *bytes = data_file("", "tables", ".tsv", &length);
    char *text = strndup((char *)bytes, length), *rest = text, *line;
    unsigned samples = 0;
    while ((line = strsep(&rest, "\n")) != NULL) {
        char *cells[6], *at = line;
        if (*line == '#' || *line == 0 || strncmp(line, "file\t", 5) == 0)
            continue;
        for (size_t i = 0; i < 6; i++)
            cells[i] = strsep(&at, "\t");
        cr_assert(cells[5], "%s", line);
        judge(cells);
        samples++;
    }
    cr_expect(samples == 56, "%u samples", samples);
    free(text);
    free(bytes);
    LEAKS_NONE();
}
