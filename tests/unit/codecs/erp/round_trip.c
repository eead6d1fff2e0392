#include "tests/unit/codecs/erp/round_trip.h"

#include "codecs/erp/json.h"
#include "tests/unit/codecs/golden.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static json_t *json_of(const ProtobufCMessage *message) {
    struct bytes text = {0};
    erp_json_write(message, &text);
    json_t *json = json_loadb((const char *)text.data, text.length, JSON_ALLOW_NUL, NULL);
    cr_assert(json);
    bytes_free(&text);
    return json;
}

static void read_all(const struct round_trip *trip, struct erp_engine *engine, const struct profile *profile,
                     const uint8_t *bytes, size_t n) {
    struct document_sink sink = erp_engine_sink(engine);
    struct intake *intake = intake_new(trip->formats, profile, &sink);
    cr_assert(intake && intake_feed(intake, bytes, n) == 0 && intake_end(intake, NULL) == 0);
    intake_free(intake);
}

/* ---- back ---- */

static void on_again(void *context, const struct erp_result *result) {
    struct round_trip *trip = context;
    cr_assert(result->message && result->message->descriptor == trip->was->descriptor, "%s: %.*s", trip->file,
              (int)trip->document->length, (const char *)trip->document->data);
    cr_assert(!trip->came_back, "%s: two of one", trip->file);
    trip->came_back = true;
    struct round_trip_message message = {.file = trip->file,
                                         .was = trip->was,
                                         .is = result->message,
                                         .document = trip->document,
                                         .first = json_of(trip->was),
                                         .again = json_of(result->message),
                                         .found = trip->found,
                                         .errors = trip->errors};
    trip->messages++;
    if (trip->each)
        trip->each(trip->context, &message);
    json_decref(message.first);
    json_decref(message.again);
}

static void on_error(void *context, const struct finding *finding) {
    struct round_trip *trip = context;
    trip->errors[finding->code] += finding->severity == FINDING_ERROR;
    bool of_content = strncmp(finding_kind(finding->code)->name, "map.", 4) == 0;
    cr_expect(of_content || finding->severity != FINDING_ERROR,
              "%s: what was written breaks %s: %.*s in %.*s", trip->file, finding_kind(finding->code)->name,
              (int)finding->found.length, (const char *)finding->found.bytes, (int)trip->document->length,
              (const char *)trip->document->data);
}

/* ---- there ---- */

void round_trip_message(struct round_trip *trip, const ProtobufCMessage *message, enum outlet_format format) {
    struct bytes document = {0};
    enum outlet_result result =
        outlet_write(trip->outlet, format, message, &trip->options, &document, NULL, NULL);
    trip->was = message;
    trip->document = &document;
    trip->came_back = false;
    memset(trip->errors, 0, sizeof trip->errors);
    cr_assert(result == OUTLET_DONE || result == OUTLET_NONE);
    if (result == OUTLET_DONE) {
        read_all(trip, trip->second, &trip->strict, document.data, document.length);
        cr_expect(trip->came_back, "%s: nothing came back of %.*s", trip->file, (int)document.length,
                  (const char *)document.data);
    }
    bytes_free(&document);
}

static void on_first(void *context, const struct erp_result *result) {
    struct round_trip *trip = context;
    /* A document without a number is none that anybody sends. */
    if (result->message && trip->found[FINDING_MAP_MISSING] == 0)
        round_trip_message(trip, result->message, trip->format);
    memset(trip->found, 0, sizeof trip->found);
}

static void on_finding(void *context, const struct finding *finding) {
    struct round_trip *trip = context;
    trip->found[finding->code]++;
}

void round_trip_new(struct round_trip *trip) {
    struct map_error error;
    *trip = (struct round_trip){.file = "a message of one's own"};
    trip->formats = formats_new();
    cr_assert(trip->formats && formats_ready(trip->formats, &error));
    trip->outlet = outlet_new();
    profile_tolerate_all(&trip->lenient);
    const struct erp_engine_options first = {.library = formats_maps(trip->formats),
                                             .profile = &trip->lenient,
                                             .context = trip,
                                             .message = on_first,
                                             .finding = on_finding};
    struct erp_engine_options second = first;
    second.profile = &trip->strict;
    second.message = on_again;
    second.finding = on_error;
    trip->first = erp_engine_new(&first);
    trip->second = erp_engine_new(&second);
    cr_assert(trip->outlet && trip->first && trip->second);
}

void round_trip_free(struct round_trip *trip) {
    erp_engine_free(trip->first);
    erp_engine_free(trip->second);
    outlet_free(trip->outlet);
    formats_free(trip->formats);
}

void round_trip_file(struct round_trip *trip, const char *file, enum outlet_format format) {
    char path[512];
    size_t n;
    (void)snprintf(path, sizeof path, "tests/data/%s", file);
    uint8_t *bytes = golden_file(path, &n);
    trip->file = file;
    trip->format = format;
    memset(trip->found, 0, sizeof trip->found);
    read_all(trip, trip->first, &trip->lenient, bytes, n);
    free(bytes);
}

static int is_file(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

void round_trip_folder(struct round_trip *trip, const char *folder, enum outlet_format format) {
    char path[512], full[1024];
    struct dirent **entries;
    (void)snprintf(path, sizeof path, "tests/data/%s", folder);
    golden_path(path, full, sizeof full);
    int count = scandir(full, &entries, is_file, alphasort);
    cr_assert(count > 0, "%s", full);
    for (int i = 0; i < count; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        round_trip_file(trip, path, format);
        free(entries[i]);
    }
    free(entries);
}
