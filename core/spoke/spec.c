#include "core/spoke/spec.h"

#include "core/base/limits.h"
#include "core/bridge/formats.h"
#include "core/config/file.h"
#include "core/config/mistakes.h"
#include "core/spoke/spec_parts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names and places ---- */

static bool name_byte(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '-' || byte == '_';
}

bool spoke_name(const char *path, char *name) {
    const char *slash = strrchr(path, '/');
    const char *file = slash != NULL ? slash + 1 : path;
    size_t length = strlen(file);
    if (length <= strlen(".yaml") || strcmp(file + length - strlen(".yaml"), ".yaml") != 0)
        return false;
    length -= strlen(".yaml");
    if (length > SPOKE_NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!name_byte(file[i]))
            return false;
    memcpy(name, file, length);
    name[length] = '\0';
    return true;
}

void spec_refuse(struct spec_reading *reading, const char *path, const char *format, ...) {
    char text[sizeof reading->walk.mistakes->list[0].text];
    const struct config_node *node = config_walk_found(&reading->walk, path);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    config_mistake_add(reading->walk.mistakes, node != NULL ? node->line : 1, node != NULL ? node->column : 1,
                       "%s: %s", path, text);
}

bool spec_has(const struct spec_reading *reading, const char *path) {
    return config_walk_found(&reading->walk, path) != NULL && !config_walk_wrong(&reading->walk, path);
}

char *spec_text(struct spec_reading *reading, const char *key, const char *path, size_t *length) {
    char *text;
    size_t read = 0;
    int result = path != NULL ? config_file_text(path, SPOKE_FILE_BYTES_MAX, &text, &read) : -EINVAL;
    if (length != NULL)
        *length = read;
    if (path == NULL)
        return NULL;
    if (result < 0) {
        spec_refuse(reading, key, "%.150s can not be read: %s", path,
                    result == -EFBIG ? "it has more than 16 MiB" : strerror(-result));
        return NULL;
    }
    (void)XXH3_128bits_update(reading->digest, &read, sizeof read);
    (void)XXH3_128bits_update(reading->digest, text, read);
    return text;
}

/* ---- relative paths ---- */

static bool texts_beside(const char *file, const struct config_texts *texts) {
    for (uint32_t i = 0; i < texts->count; i++)
        if (!config_file_resolve(file, &texts->list[i]))
            return false;
    return true;
}

/* Paths are written as seen from the spoke's file. */
static bool paths_resolve(struct spoke_spec *spec) {
    bool done = texts_beside(spec->path, &spec->in.layouts) && texts_beside(spec->path, &spec->in.maps);
    for (uint32_t i = 0; done && i < spoke_schema.count; i++) {
        const struct config_row *row = &spoke_schema.rows[i];
        if (row->type == CONFIG_FILE && strchr(row->path, '[') == NULL)
            done = config_file_resolve(spec->path, (char **)(void *)((char *)spec + row->at));
    }
    for (uint32_t i = 0; done && i < spec->tests_count; i++)
        done = config_file_resolve(spec->path, &spec->tests[i].input) &&
               config_file_resolve(spec->path, &spec->tests[i].expect);
    for (uint32_t i = 0; done && i < spec->tables_count; i++)
        done = config_file_resolve(spec->path, &spec->tables[i].file) &&
               config_file_resolve(spec->path, &spec->tables[i].dialect);
    return done;
}

/* ---- golden pairs ---- */

static void test_read(struct spec_reading *reading, const struct config_node *item) {
    static const char form[] = "{ direction: outbound, input: FILE, expect: FILE }";
    struct spoke_spec *spec = reading->spec;
    struct spoke_test test = {.line = item->line};
    bool whole = config_walk_item(&reading->walk, item, "tests[].", form, &test);
    if (whole) { /* all that is missing is told */
        whole = config_walk_has(&reading->walk, "tests[].direction", item, form);
        whole &= config_walk_has(&reading->walk, "tests[].input", item, form);
        whole &= config_walk_has(&reading->walk, "tests[].expect", item, form);
    }
    if (whole && !(test.direction == SPOKE_IN ? spec->has_in : spec->has_out)) {
        config_mistake_add(reading->walk.mistakes, item->line, item->column,
                           "this tests what the spoke does not have; add a section %s, or take it out",
                           test.direction == SPOKE_IN ? "inbound" : "outbound");
        whole = false;
    }
    struct spoke_test *tests = whole ? realloc(spec->tests, (spec->tests_count + 1) * sizeof *tests) : NULL;
    if (tests != NULL) {
        spec->tests = tests;
        tests[spec->tests_count++] = test;
    } else {
        config_release(&spoke_schema, "tests[].", &test);
    }
}

/* ---- tables ---- */

static bool table_name(const char *name) {
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    return length > 0 && name[length] == '\0';
}

static void table_read(struct spec_reading *reading, const struct config_node *item) {
    static const char form[] = "{ name: customers, file: customers.csv, key: gln }";
    struct spoke_spec *spec = reading->spec;
    struct config_table table = {.line = item->line, .column = item->column};
    bool whole = config_walk_item(&reading->walk, item, "tables[].", form, &table);
    if (whole) { /* all that is missing is told */
        whole = config_walk_has(&reading->walk, "tables[].name", item, form);
        whole &= config_walk_has(&reading->walk, "tables[].file", item, form);
        whole &= config_walk_has(&reading->walk, "tables[].key", item, form);
    }
    if (whole && !table_name(table.name)) {
        config_mistake_add(reading->walk.mistakes, item->line, item->column,
                           "a table's name has letters, digits and _ only, so that jq can name it");
        whole = false;
    }
    struct config_table *tables =
        whole ? realloc(spec->tables, (spec->tables_count + 1) * sizeof *tables) : NULL;
    if (tables != NULL) {
        spec->tables = tables;
        tables[spec->tables_count++] = table;
    } else {
        config_release(&spoke_schema, "tables[].", &table);
    }
}

/* ---- a whole file ---- */

/* Whether there is a key of this section. */
static bool section_given(const struct config_walk *walk, const char *section) {
    for (uint32_t i = 0; i < spoke_schema.count; i++)
        if (strncmp(spoke_schema.rows[i].path, section, strlen(section)) == 0 &&
            (walk->sections[i] != NULL || walk->keys[i] != NULL))
            return true;
    return false;
}

static void text_parse(struct spec_reading *reading, const char *text, size_t length) {
    struct config_tree tree = {0};
    reading->walk.tree = &tree;
    config_tree_read(&tree, text, length, reading->walk.mistakes);
    config_walk(&reading->walk);
    reading->spec->has_in = section_given(&reading->walk, "inbound.");
    reading->spec->has_out = section_given(&reading->walk, "outbound.");
    for (const struct config_node *item = config_walk_list(&reading->walk, "tests"); item != NULL;
         item = config_tree_node(&tree, item->next))
        test_read(reading, item);
    for (const struct config_node *item = config_walk_list(&reading->walk, "tables"); item != NULL;
         item = config_tree_node(&tree, item->next))
        table_read(reading, item);
    if (!paths_resolve(reading->spec))
        config_mistake_add(reading->walk.mistakes, 1, 1, "there is no memory left to read the file");
    else if (tree.whole) /* what has not been read can not be missing, and can not contradict */
        spec_settle(reading);
    config_tree_deinit(&tree);
}

static bool spec_read(struct spec_reading *reading) {
    struct spoke_spec *spec = reading->spec;
    char *text;
    size_t length;
    int result = config_file_text(spec->path, CONFIG_FILE_BYTES_MAX, &text, &length);
    if (result < 0) {
        config_mistake_add(reading->walk.mistakes, 0, 0, "the file can not be read: %s",
                           result == -EFBIG ? "it has more than 1 MiB" : strerror(-result));
        return false;
    }
    (void)XXH3_128bits_reset(reading->digest);
    (void)XXH3_128bits_update(reading->digest, text, length);
    text_parse(reading, text, length);
    free(text);
    XXH128_hash_t digest = XXH3_128bits_digest(reading->digest);
    spec->digest[0] = digest.low64;
    spec->digest[1] = digest.high64;
    config_mistakes_sort(reading->walk.mistakes);
    return reading->walk.mistakes->count == 0;
}

struct spoke_spec *spoke_spec_read(const char *path, struct config_mistakes *mistakes) {
    char name[SPOKE_NAME_BYTES_MAX + 1] = "";
    struct spoke_spec *spec = calloc(1, sizeof *spec);
    struct spec_reading *reading = calloc(1, sizeof *reading);
    mistakes->count = 0;
    bool right = false;
    if (!spoke_name(path, name)) {
        config_mistake_add(
            mistakes, 0, 0,
            "the file's name is the spoke's: write NAME.yaml, of at most %u letters, digits, - and _",
            SPOKE_NAME_BYTES_MAX);
    } else if (spec != NULL && reading != NULL && (spec->name = strdup(name)) != NULL &&
               (spec->path = strdup(path)) != NULL && (reading->digest = XXH3_createState()) != NULL) {
        reading->spec = spec;
        reading->walk = (struct config_walk){.schema = &spoke_schema, .base = spec, .mistakes = mistakes};
        config_schema_defaults(&spoke_schema, spec);
        right = spec_read(reading);
    } else {
        config_mistake_add(mistakes, 0, 0, "there is no memory left to read the file");
    }
    if (reading != NULL)
        (void)XXH3_freeState(reading->digest);
    free(reading);
    if (right)
        return spec;
    spoke_spec_free(spec);
    return NULL;
}

void spoke_spec_free(struct spoke_spec *spec) {
    if (spec == NULL)
        return;
    config_release(&spoke_schema, "", spec);
    for (uint32_t i = 0; i < spec->tests_count; i++)
        config_release(&spoke_schema, "tests[].", &spec->tests[i]);
    free(spec->tests);
    for (uint32_t i = 0; i < spec->tables_count; i++)
        config_release(&spoke_schema, "tables[].", &spec->tables[i]);
    free(spec->tables);
    free(spec->variables);
    formats_free(spec->formats);
    free(spec->template_text);
    free(spec->in_mapping);
    free(spec->out_filter);
    free(spec->out_mapping);
    free(spec->name);
    free(spec->path);
    free(spec);
}

bool spoke_goes_out(const struct spoke_spec *spec) {
    return spec->has_out || (spec->transport == SPOKE_DIRECTORY && spec->directory.outbox != NULL);
}

/* ---- options of the parts ---- */

/* The words of the schema, but for those that stand for NULL. */
static const char *word(const char *path, uint32_t value) {
    const struct config_row *row = config_schema_find(&spoke_schema, path);
    return value == 0 ? NULL : row->words[value];
}

void spoke_inbound_options(const struct spoke_spec *spec, struct inbound_options *options) {
    *options = (struct inbound_options){
        .name = spec->name,
        .formats = spec->formats,
        .profile = &spec->profile,
        .format = word("inbound.format", spec->in.format),
        .mapping = spec->in_mapping,
        .message = spec->in.message,
        .type = spec->in.type,
        .topic = spec->in.topic,
        .variables = spec->variables,
        .acknowledge = {.edifact = (enum acknowledge_edifact)spec->in.acknowledge_edifact,
                        .x12 = (enum acknowledge_x12)spec->in.acknowledge_x12,
                        .ta1 = spec->in.acknowledge_ta1}};
}

void spoke_outbound_options(const struct spoke_spec *spec, struct outbound_options *options) {
    *options = (struct outbound_options){.name = spec->name,
                                         .filter = spec->out_filter,
                                         .mapping = spec->out_mapping,
                                         .format = word("outbound.format", spec->out.format),
                                         .csv = spec->template_text,
                                         .variables = spec->variables,
                                         .losses = (enum losses_policy)spec->out.losses,
                                         .sender = spec->out.sender,
                                         .receiver = spec->out.receiver};
}

void spoke_directory_options(const struct spoke_spec *spec, struct directory_options *options) {
    const struct spoke_directory *from = &spec->directory;
    *options = (struct directory_options){.inbox = spec->has_in ? from->inbox : NULL,
                                          .pattern = from->pattern,
                                          .complete = (enum directory_complete)from->complete,
                                          .stable_ms = from->stable_ns / NS_PER_MS,
                                          .order = (enum directory_order)from->order,
                                          .done = from->done,
                                          .rejected = from->rejected,
                                          .repeats = (enum directory_repeats)from->repeats,
                                          .repeats_count = from->repeats_count,
                                          .repeats_age_ms = from->repeats_age_ns / NS_PER_MS,
                                          .rescan_ms = from->rescan_ns / NS_PER_MS,
                                          .retry_ms = from->retry_ns / NS_PER_MS,
                                          .retry_most_ms = from->retry_most_ns / NS_PER_MS,
                                          .outbox = from->outbox,
                                          .file_name = from->file_name};
}

void spoke_webhook_options(const struct spoke_spec *spec, struct webhook_options *options) {
    const struct spoke_webhook *from = &spec->webhook;
    uint64_t lease_ns = spec->out.lease_ns != 0 ? spec->out.lease_ns : QUEUE_LEASE_NS_DEFAULT;
    *options = (struct webhook_options){.url = from->url,
                                        .mode = (enum webhook_mode)from->mode,
                                        .put = from->method == 1,
                                        .raw_attributes = from->raw_attributes,
                                        .headers = (const char *const *)from->headers.list,
                                        .headers_count = from->headers.count,
                                        .concurrency = from->concurrency,
                                        .rate_per_s = from->rate,
                                        .connect_ms = from->connect_ns / NS_PER_MS,
                                        .answer_ms = from->answer_ns / NS_PER_MS,
                                        .answer_bytes_max = from->answer_bytes,
                                        .retry_ms_min = from->retry_ns / NS_PER_MS,
                                        .retry_ms_max = from->retry_most_ns / NS_PER_MS,
                                        .retry_after_ms_max = from->retry_after_ns / NS_PER_MS,
                                        .breaker_failures = from->breaker_failures,
                                        .breaker_ms_min = from->breaker_ns / NS_PER_MS,
                                        .breaker_ms_max = from->breaker_most_ns / NS_PER_MS,
                                        .extend_ms = lease_ns / 3 / NS_PER_MS,
                                        .redirects = from->redirects,
                                        .ca_file = from->ca,
                                        .certificate_file = from->certificate,
                                        .key_file = from->key,
                                        .proxy = from->proxy,
                                        .token_file = from->token,
                                        .secret_file = from->secret,
                                        .signature_header = from->signature_header,
                                        .signature_time = from->signature_time,
                                        .timestamp_header = from->timestamp_header,
                                        .origin = from->origin,
                                        .origin_rate = from->origin_rate};
}
