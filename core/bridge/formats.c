#include "core/bridge/formats.h"

#include "codecs/document/sniff.h"
#include "codecs/edi/edifact.h"
#include "codecs/edi/x12.h"
#include "codecs/idoc/idoc.h"
#include "codecs/table/csv.h"
#include "codecs/table/fixed.h"
#include "codecs/xml/xml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How a file is read. A format without a reader is told as a finding. */
enum reading { READ_NOTHING, READ_EDIFACT, READ_X12, READ_IDOC, READ_XML, READ_CSV, READ_FIXED };

struct formats {
    struct layouts layouts; /* of IDocs */
    struct map_library *maps;
    enum reading tables; /* what every file is; READ_NOTHING: what its content says */
    struct dialect dialect;
    struct layouts fixed;
};

/* ---- the numbers of fields that have names ---- */

/* Layouts first, then what only XML has. */
static uint32_t idoc_field(void *context, const char *segment, size_t segment_length, const char *field,
                           size_t field_length) {
    uint32_t number = layouts_element(context, segment, segment_length, field, field_length);
    return number != 0 ? number : xml_idoc_field(segment, segment_length, field, field_length);
}

static uint32_t idoc_field_named(void *context, const char *segment, const char *field) {
    return idoc_field(context, segment, strlen(segment), field, strlen(field));
}

struct formats *formats_new(void) {
    struct formats *formats = calloc(1, sizeof *formats);
    if (formats == NULL)
        return NULL;
    struct layout_error error;
    const struct map_fields fields[] = {
        {.format = "UBL", .number = xml_field_number},
        {.format = "IDOC", .number = idoc_field_named, .context = &formats->layouts},
        {.format = "CSV", .number = dialect_number, .context = &formats->dialect},
        {.format = "FIXED", .number = layouts_number, .context = &formats->fixed}};
    formats->maps = map_library_new(fields, sizeof fields / sizeof *fields);
    if (formats->maps != NULL && idoc_layouts(&formats->layouts, &error) == 0)
        return formats;
    formats_free(formats);
    return NULL;
}

void formats_free(struct formats *formats) {
    if (formats == NULL)
        return;
    map_library_free(formats->maps);
    layouts_free(&formats->layouts);
    layouts_free(&formats->fixed);
    dialect_free(&formats->dialect);
    free(formats);
}

/* Of what layouts and dialects say. */
static bool added(int result, const char *file, const struct layout_error *wrong, struct map_error *error) {
    if (result == -ENOMEM)
        (void)snprintf(error->text, sizeof error->text, "%s: out of memory", file);
    else if (result != 0)
        (void)snprintf(error->text, sizeof error->text, "%s:%u: %s", file, (unsigned)wrong->line,
                       wrong->text);
    return result == 0;
}

bool formats_add_layout(struct formats *formats, const char *file, const char *text, size_t length,
                        struct map_error *error) {
    struct layout_error wrong = {0};
    return added(layouts_add(&formats->layouts, text, length, &wrong), file, &wrong, error);
}

bool formats_add_dialect(struct formats *formats, const char *file, const char *text, size_t length,
                         struct map_error *error) {
    struct layout_error wrong = {0};
    dialect_free(&formats->dialect);
    formats->tables = READ_CSV;
    return added(dialect_read(&formats->dialect, text, length, &wrong), file, &wrong, error);
}

bool formats_add_fixed(struct formats *formats, const char *file, const char *text, size_t length,
                       struct map_error *error) {
    struct layout_error wrong = {0};
    formats->tables = READ_FIXED;
    return added(layouts_add(&formats->fixed, text, length, &wrong), file, &wrong, error);
}

bool formats_add_map(struct formats *formats, const char *file, const char *text, size_t length,
                     struct map_error *error) {
    return map_library_add(formats->maps, file, text, length, error);
}

bool formats_ready(struct formats *formats, struct map_error *error) {
    return map_library_compile(formats->maps, error);
}

const char *formats_tables(const struct formats *formats) {
    return formats->tables == READ_CSV ? "csv" : formats->tables == READ_FIXED ? "fixed" : NULL;
}

struct map_library *formats_maps(struct formats *formats) {
    return formats->maps;
}

/* ---- an intake ---- */

struct intake {
    const struct formats *formats;
    const struct profile *profile;
    struct document_sink sink;
    enum document_format format;
    bool known; /* the format has been found out, and its reader has what came so far */
    size_t head_length;
    uint8_t head[SNIFF_BYTES];
    struct edifact_reader *edifact; /* own; each is made when it is needed first */
    struct x12_reader *x12;
    struct idoc *idoc;
    struct xml_reader *xml;
    struct csv *csv;
    struct fixed *fixed;
};

struct intake *intake_new(const struct formats *formats, const struct profile *profile,
                          const struct document_sink *sink) {
    struct intake *intake = calloc(1, sizeof *intake);
    if (intake == NULL)
        return NULL;
    intake->formats = formats;
    intake->profile = profile;
    intake->sink = *sink;
    return intake;
}

void intake_free(struct intake *intake) {
    if (intake == NULL)
        return;
    if (intake->edifact != NULL)
        edifact_destroy(intake->edifact);
    if (intake->x12 != NULL)
        x12_destroy(intake->x12);
    if (intake->idoc != NULL)
        idoc_free(intake->idoc);
    if (intake->xml != NULL)
        xml_close(intake->xml);
    if (intake->csv != NULL)
        csv_free(intake->csv);
    if (intake->fixed != NULL)
        fixed_free(intake->fixed);
    free(intake);
}

static enum reading reading_of(const struct intake *intake) {
    if (intake->formats->tables != READ_NOTHING)
        return intake->formats->tables;
    switch (intake->format) {
    case FORMAT_EDIFACT:
    case FORMAT_EDIFACT_FRAGMENT:
        return READ_EDIFACT;
    case FORMAT_X12:
    case FORMAT_X12_FRAGMENT:
        return READ_X12;
    case FORMAT_IDOC_FLAT:
    case FORMAT_IDOC_FLAT_OLD:
        return READ_IDOC;
    case FORMAT_IDOC_XML:
    case FORMAT_UBL:
    case FORMAT_GS1_XML: /* which its reader refuses by name */
    case FORMAT_XML:
    case FORMAT_UTF16: /* of the formats that are read, only XML comes so */
        return READ_XML;
    case FORMAT_UNKNOWN:
    case FORMAT_TRADACOMS:
    case FORMAT_CLOUDEVENT_JSON:
    case FORMAT_JSON:
    case FORMATS:
        break;
    }
    return READ_NOTHING;
}

/* 0 if it is there, or could be made. */
static int made(const void *reader) {
    return reader != NULL ? 0 : -ENOMEM;
}

static int reader_make(struct intake *intake) {
    const struct formats *formats = intake->formats;
    const struct xml_options xml = {
        .profile = intake->profile, .field = idoc_field, .context = (void *)(uintptr_t)&formats->layouts};
    switch (reading_of(intake)) {
    case READ_EDIFACT:
        return intake->edifact != NULL ? 0 : edifact_create(&intake->edifact, &intake->sink, intake->profile);
    case READ_X12:
        return intake->x12 != NULL ? 0 : x12_create(&intake->x12, &intake->sink, intake->profile);
    case READ_IDOC:
        if (intake->idoc == NULL)
            intake->idoc = idoc_new(&formats->layouts, intake->profile, &intake->sink);
        return made(intake->idoc);
    case READ_XML:
        if (intake->xml == NULL)
            intake->xml = xml_open(&intake->sink, &xml);
        return made(intake->xml);
    case READ_CSV:
        if (intake->csv == NULL)
            intake->csv = csv_new(&formats->dialect, intake->profile, &intake->sink);
        return made(intake->csv);
    case READ_FIXED:
        if (intake->fixed == NULL)
            intake->fixed = fixed_new(&formats->fixed, intake->profile, &intake->sink);
        return made(intake->fixed);
    case READ_NOTHING:
        break;
    }
    return 0;
}

static int reader_feed(struct intake *intake, const uint8_t *bytes, size_t length) {
    switch (reading_of(intake)) {
    case READ_EDIFACT:
        edifact_feed(intake->edifact, bytes, length);
        break;
    case READ_X12:
        x12_feed(intake->x12, bytes, length);
        break;
    case READ_IDOC:
        idoc_feed(intake->idoc, bytes, length);
        break;
    case READ_XML:
        return xml_feed(intake->xml, bytes, length);
    case READ_CSV:
        csv_feed(intake->csv, bytes, length);
        break;
    case READ_FIXED:
        fixed_feed(intake->fixed, bytes, length);
        break;
    case READ_NOTHING:
        break;
    }
    return 0;
}

/* What has come is enough to know, or is all there is. */
static int intake_begin(struct intake *intake) {
    intake->known = true;
    intake->format = sniff(intake->head, intake->head_length);
    int result = reader_make(intake);
    return result == 0 ? reader_feed(intake, intake->head, intake->head_length) : result;
}

int intake_feed(struct intake *intake, const uint8_t *bytes, size_t length) {
    if (intake->known)
        return reader_feed(intake, bytes, length);
    size_t room = sizeof intake->head - intake->head_length;
    size_t n = length < room ? length : room;
    memcpy(intake->head + intake->head_length, bytes, n);
    intake->head_length += n;
    if (intake->head_length < sizeof intake->head)
        return 0;
    int result = intake_begin(intake);
    return result == 0 ? reader_feed(intake, bytes + n, length - n) : result;
}

static void intake_refuse(struct intake *intake) {
    const char *name = format_name(intake->format);
    struct finding finding = {.code = intake->format == FORMAT_TRADACOMS ? FINDING_TRADACOMS
                                                                         : FINDING_UNKNOWN_FORMAT,
                              .severity = FINDING_ERROR,
                              .place = {.line = 1},
                              .scope = DOCUMENT_INTERCHANGE,
                              .found = {.bytes = (const uint8_t *)name, .length = (uint32_t)strlen(name)}};
    intake->sink.finding(intake->sink.context, &finding);
}

static int reader_end(struct intake *intake) {
    int result = 0;
    switch (reading_of(intake)) {
    case READ_EDIFACT:
        edifact_end(intake->edifact);
        break;
    case READ_X12:
        x12_end(intake->x12);
        break;
    case READ_IDOC:
        idoc_end(intake->idoc);
        break;
    case READ_XML:
        result = xml_end(intake->xml);
        xml_again(intake->xml);
        break;
    case READ_CSV:
        csv_end(intake->csv);
        break;
    case READ_FIXED:
        fixed_end(intake->fixed);
        break;
    case READ_NOTHING:
        intake_refuse(intake);
        break;
    }
    return result;
}

static const char *intake_format(const struct intake *intake) {
    const char *tables = formats_tables(intake->formats);
    return tables != NULL ? tables : format_name(intake->format);
}

int intake_end(struct intake *intake, const char **format) {
    int result = intake->known ? 0 : intake_begin(intake);
    if (result == 0)
        result = reader_end(intake);
    if (format != NULL)
        *format = intake_format(intake);
    intake->known = false;
    intake->head_length = 0;
    return result;
}
