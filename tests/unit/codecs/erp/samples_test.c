/* Real documents, read by the readers and mapped by the maps that come with Roundhouse, held against what was
 * written about them by hand: tests/data/canonical. */
#include "codecs/document/sniff.h"
#include "codecs/edi/edifact.h"
#include "codecs/edi/x12.h"
#include "codecs/erp/event.h"
#include "codecs/erp/json.h"
#include "tests/unit/codecs/erp/differences.h"
#include "tests/unit/codecs/golden.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a sample becomes: an object for each message, as in the expectations. */
struct made {
    json_t *messages;
    struct erp_maker *maker;
    struct profile profile;
};

static void on_message(void *context, const struct erp_result *result) {
    struct made *made = context;
    struct bytes text = {0};
    struct erp_event event;
    struct fault fault = {0};
    if (!result->message) {
        json_array_append_new(made->messages, json_object());
        return;
    }
    erp_json_write(result->message, &text);
    json_t *message = json_loadb((char *)text.data, text.length, JSON_REJECT_DUPLICATES, NULL);
    cr_assert_not_null(message);
    cr_assert(erp_event_make(made->maker, result, &event, &fault), "%s %s", fault.text, fault.field);
    json_array_append_new(made->messages,
                          json_pack("{s:s, s:s, s:o}", "event", result->message->descriptor->short_name,
                                    "topic", event.topic, "has", message));
    bytes_free(&text);
}

static void feed_edifact(const struct document_sink *sink, const struct profile *profile,
                         const uint8_t *bytes, size_t n) {
    struct edifact_reader *reader;
    cr_assert(edifact_create(&reader, sink, profile) == 0);
    edifact_feed(reader, bytes, n);
    edifact_end(reader);
    edifact_destroy(reader);
}

static void feed_x12(const struct document_sink *sink, const struct profile *profile, const uint8_t *bytes,
                     size_t n) {
    struct x12_reader *reader;
    cr_assert(x12_create(&reader, sink, profile) == 0);
    x12_feed(reader, bytes, n);
    x12_end(reader);
    x12_destroy(reader);
}

static json_t *messages_of(struct map_library *library, const char *path) {
    struct made made = {.messages = json_array(), .maker = erp_maker_new()};
    size_t n;
    uint8_t *bytes = golden_file(path, &n);
    profile_tolerate_all(&made.profile);
    struct erp_engine_options options = {
        .library = library, .profile = &made.profile, .context = &made, .message = on_message};
    struct erp_engine *engine = erp_engine_new(&options);
    struct document_sink sink = erp_engine_sink(engine);
    switch (sniff(bytes, n)) {
    case FORMAT_EDIFACT:
    case FORMAT_EDIFACT_FRAGMENT:
        feed_edifact(&sink, &made.profile, bytes, n);
        break;
    case FORMAT_X12:
    case FORMAT_X12_FRAGMENT:
        feed_x12(&sink, &made.profile, bytes, n);
        break;
    default:
        cr_assert(false, "%s is of no format that is read here", path);
    }
    erp_engine_free(engine);
    erp_maker_free(made.maker);
    free(bytes);
    return made.messages;
}

/* The differences of two JSON texts, at most one line. */
static void expect_differences(const char *got, const char *wanted, const char *lines) {
    struct bytes said = {0};
    json_t *a = json_loads(got, JSON_DECODE_ANY, NULL), *b = json_loads(wanted, JSON_DECODE_ANY, NULL);
    differences(a, b, "x", &said);
    bytes_add(&said, "", 1);
    cr_expect_str_eq((char *)said.data, lines);
    json_decref(a);
    json_decref(b);
    bytes_free(&said);
}

/* What compares must be able to say no. */
Test(samples, are_compared_by_what_notices_every_difference) {
    expect_differences("{\"a\":1,\"b\":[{\"c\":\"d\",\"e\":2}]}", "{\"b\":[{\"c\":\"d\"}]}", "");
    expect_differences("{\"b\":[{\"c\":\"d\"}]}", "{\"b\":[{\"c\":\"e\"}]}",
                       "x.b[0].c is \"d\", not \"e\"\n");
    expect_differences("{\"b\":[]}", "{\"b\":[1]}", "x.b is [], not [1]\n");
    expect_differences("{\"b\":[1,2]}", "{\"b\":[1]}", "x.b is [1, 2], not [1]\n");
    expect_differences("{}", "{\"b\":{\"c\":1}}", "x.b.c is not there, not 1\n");
    expect_differences("{\"b\":1}", "{\"b\":[]}", "x.b is 1, not []\n");
}

/* Every expectation of a folder; says how many there were. */
static unsigned folder_hold(struct map_library *library, const char *format) {
    char path[512], where[512];
    unsigned count = 0;
    size_t root = strstr(__FILE__, "tests/unit/") - __FILE__;
    snprintf(path, sizeof path, "%.*stests/data/canonical/%s", (int)root, __FILE__, format);
    DIR *folder = opendir(path);
    cr_assert_not_null(folder, "%s", path);
    for (struct dirent *entry; (entry = readdir(folder));) {
        size_t n = strlen(entry->d_name), length;
        if (n < 6 || strcmp(entry->d_name + n - 5, ".json") != 0)
            continue;
        snprintf(path, sizeof path, "tests/data/canonical/%s/%s", format, entry->d_name);
        char *text = (char *)golden_file(path, &length);
        json_error_t error;
        json_t *wanted = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
        cr_assert_not_null(wanted, "%s:%d: %s", path, error.line, error.text);
        snprintf(path, sizeof path, "tests/data/%s/%.*s", format, (int)n - 5, entry->d_name);
        json_t *got = messages_of(library, path);
        snprintf(where, sizeof where, "%.*s", (int)n - 5, entry->d_name);
        struct bytes said = {0};
        differences(got, wanted, where, &said);
        bytes_add(&said, "", 1);
        cr_expect(said.length == 1, "%s", (char *)said.data);
        bytes_free(&said);
        json_decref(got);
        json_decref(wanted);
        free(text);
        count++;
    }
    closedir(folder);
    return count;
}

Test(samples, become_what_was_written_about_them_by_hand) {
    struct map_library *library = map_library_new(NULL, 0);
    cr_assert_not_null(library);
    cr_expect(folder_hold(library, "edifact") >= 11);
    cr_expect(folder_hold(library, "x12") >= 7);
    map_library_free(library);
    LEAKS_NONE();
}

/* The same event whenever it is made: byte for byte the same JSON. */
Test(samples, become_the_same_again) {
    struct map_library *library = map_library_new(NULL, 0);
    static const char path[] = "tests/data/x12/ediengine__856.Crossdock.OK.edi";
    json_t *first = messages_of(library, path), *second = messages_of(library, path);
    cr_expect(json_array_size(first) == 1 && json_equal(first, second));
    json_decref(first);
    json_decref(second);
    map_library_free(library);
    LEAKS_NONE();
}
