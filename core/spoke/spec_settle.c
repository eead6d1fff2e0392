/* spec_settle.c: what must hold between the keys of a spoke's file, and the files that it names. */
#include "codecs/erp/model.h"
#include "codecs/event/bytes.h"
#include "core/base/limits.h"
#include "core/base/topic.h"
#include "core/bridge/formats.h"
#include "core/config/mistakes.h"
#include "core/spoke/spec_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As schema.c has the words. */
enum { FORMAT_IN_CSV = 5, FORMAT_IN_FIXED = 6, FORMAT_IN_JSON = 7 };
enum { FORMAT_OUT_EDIFACT = 2, FORMAT_OUT_X12 = 3, FORMAT_OUT_CSV = 5 };

/* ---- the transport ---- */

/* Sections are for one transport each, but for `http`, which a webhook's system may post to, too. */
static void sections_settle(struct spec_reading *reading) {
    static const char *const sections[] = {"directory.", "webhook.", "tcp.", "http."};
    uint32_t transport = reading->spec->transport;
    for (uint32_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        bool fits = i == transport || (i == SPOKE_HTTP && transport == SPOKE_WEBHOOK);
        const struct config_node *at = NULL;
        for (uint32_t row = 0; row < spoke_schema.count && at == NULL; row++)
            if (strncmp(spoke_schema.rows[row].path, sections[i], strlen(sections[i])) == 0)
                at = reading->walk.sections[row];
        if (at != NULL && !fits)
            config_mistake_add(reading->walk.mistakes, at->line, at->column,
                               "%.*s: the transport is %s; take this section out",
                               (int)strlen(sections[i]) - 1, sections[i], spoke_transport_name(transport));
    }
}

/* A key that must be there for what is meant. */
static void need(struct spec_reading *reading, const char *key, const char *why) {
    if (config_walk_found(&reading->walk, key) == NULL)
        spec_refuse(reading, key, "this is missing: %s", why);
}

static void directory_settle(struct spec_reading *reading) {
    char why[CONFIG_WHY_BYTES];
    struct directory_options options;
    if (reading->spec->has_in)
        need(reading, "directory.inbox", "files come in from there");
    else if (spec_has(reading, "directory.inbox"))
        spec_refuse(reading, "directory.inbox",
                    "nothing comes in without a section inbound; add inbound: { format: any }");
    if (reading->spec->has_out)
        need(reading, "directory.outbox", "documents are written there");
    spoke_directory_options(reading->spec, &options);
    if (reading->walk.mistakes->count == 0 && !directory_check(&options, why, sizeof why))
        spec_refuse(reading, "transport", "%s", why);
}

static void transport_settle(struct spec_reading *reading) {
    struct spoke_spec *spec = reading->spec;
    if (!spec_has(reading, "transport")) {
        need(reading, "transport", "write directory, webhook, tcp or http");
        return;
    }
    sections_settle(reading);
    if (!spec->has_in && !spec->has_out)
        spec_refuse(reading, "transport", "a spoke has a section inbound, or outbound, or both");
    if (spec->transport == SPOKE_DIRECTORY)
        directory_settle(reading);
    if (spec->transport == SPOKE_WEBHOOK)
        need(reading, "webhook.url", "events are posted there");
    if (spec->transport == SPOKE_WEBHOOK && !spec->has_out)
        spec_refuse(reading, "transport", "a webhook has a section outbound; for inbound alone write http");
    if (spec->transport == SPOKE_HTTP && spec->has_out)
        spec_refuse(reading, "transport", "nothing goes out by http; write webhook");
}

/* ---- jq, from a key or a file ---- */

/* What a pair of keys, NAME and NAME_file, says. The caller frees. */
static char *program_of(struct spec_reading *reading, const char *key, const char *text, const char *file_key,
                        const char *file) {
    if (text != NULL && file != NULL) {
        spec_refuse(reading, file_key, "%s is there, too; keep one of them", key);
        return NULL;
    }
    if (text == NULL)
        return spec_text(reading, file_key, file, NULL);
    char *copy = strdup(text);
    if (copy == NULL)
        spec_refuse(reading, key, "there is no memory left for it");
    return copy;
}

/* ---- what comes in ---- */

static void codes_settle(struct spec_reading *reading, const char *key, const struct config_texts *names,
                         bool (*set)(struct profile *profile, enum finding_code code)) {
    for (uint32_t i = 0; i < names->count; i++) {
        enum finding_code code = finding_named(names->list[i]);
        if (code == FINDING_CODES)
            spec_refuse(reading, key, "there is no rule \"%.60s\"; findings name them", names->list[i]);
        else if (!set(&reading->spec->profile, code) && finding_kind(code)->rule == FINDING_IS_ERROR)
            spec_refuse(reading, key, "%s is always an error: nobody can go on from it", names->list[i]);
    }
}

static void profile_settle(struct spec_reading *reading) {
    const struct spoke_profile *from = &reading->spec->in.profile;
    reading->spec->profile = (struct profile){.pivot = (uint16_t)from->pivot,
                                              .findings_max = from->findings,
                                              .segment_max = (uint32_t)from->segment_bytes,
                                              .segments_max = from->segments,
                                              .messages_max = from->messages,
                                              .charset = from->charset};
    codes_settle(reading, "inbound.profile.tolerate", &from->tolerate, profile_tolerate);
    codes_settle(reading, "inbound.profile.refuse", &from->refuse, profile_refuse);
}

typedef bool formats_add(struct formats *formats, const char *file, const char *text, size_t length,
                         struct map_error *error);

static void format_add(struct spec_reading *reading, const char *key, const char *path, formats_add *add) {
    struct map_error error = {""};
    size_t length;
    char *text = spec_text(reading, key, path, &length);
    if (text != NULL && !add(reading->spec->formats, path, text, length, &error))
        spec_refuse(reading, key, "%s", error.text);
    free(text);
}

static void formats_settle(struct spec_reading *reading) {
    struct spoke_inbound *in = &reading->spec->in;
    struct map_error error = {""};
    uint32_t before = reading->walk.mistakes->count;
    reading->spec->formats = formats_new();
    if (reading->spec->formats == NULL) {
        spec_refuse(reading, "inbound.format", "there is no memory left for the formats");
        return;
    }
    for (uint32_t i = 0; i < in->layouts.count; i++)
        format_add(reading, "inbound.layouts", in->layouts.list[i], formats_add_layout);
    if (in->dialect != NULL)
        format_add(reading, "inbound.dialect", in->dialect, formats_add_dialect);
    if (in->fixed != NULL)
        format_add(reading, "inbound.fixed", in->fixed, formats_add_fixed);
    for (uint32_t i = 0; i < in->maps.count; i++)
        format_add(reading, "inbound.maps", in->maps.list[i], formats_add_map);
    if (reading->walk.mistakes->count == before && !formats_ready(reading->spec->formats, &error))
        spec_refuse(reading, in->maps.count > 0 ? "inbound.maps" : "inbound.format", "%s", error.text);
}

/* A table's description, and the format that it is for: one without the other means nothing. */
static void table_settle(struct spec_reading *reading, const char *key, const char *path,
                         const char *format_key, bool is_format, const char *format) {
    if (is_format && path == NULL)
        spec_refuse(reading, key, "this is missing: with format: %s it says how the files are written",
                    format);
    if (!is_format && path != NULL)
        spec_refuse(reading, key, "this is for format: %s; write that as %s, or take this out", format,
                    format_key);
}

/* Where to tell what a part says that is made of these keys. */
static void place_of(const struct spec_reading *reading, const char *const *keys, uint32_t place[2]) {
    const struct config_node *at = NULL;
    for (; *keys != NULL && at == NULL; keys++)
        at = config_walk_found(&reading->walk, *keys);
    place[0] = at != NULL ? at->line : 1;
    place[1] = at != NULL ? at->column : 1;
}

static void inbound_settle(struct spec_reading *reading) {
    struct spoke_spec *spec = reading->spec;
    struct spoke_inbound *in = &spec->in;
    struct fault fault = {0};
    if (!spec->has_in)
        return;
    place_of(reading,
             (const char *const[]){"inbound.mapping", "inbound.mapping_file", "inbound.format", NULL},
             spec->in_at);
    table_settle(reading, "inbound.dialect", in->dialect, "inbound.format", in->format == FORMAT_IN_CSV,
                 "csv");
    table_settle(reading, "inbound.fixed", in->fixed, "inbound.format", in->format == FORMAT_IN_FIXED,
                 "fixed");
    profile_settle(reading);
    formats_settle(reading);
    spec->in_mapping =
        program_of(reading, "inbound.mapping", in->mapping, "inbound.mapping_file", in->mapping_file);
    if (in->message != NULL && model_event(in->message, strlen(in->message)) == NULL)
        spec_refuse(reading, "inbound.message",
                    "there is no canonical message \"%.60s\"; MAPPING.md lists them", in->message);
    if (in->topic != NULL && !topic_valid((const uint8_t *)in->topic, strlen(in->topic), &fault))
        spec_refuse(reading, "inbound.topic", "\"%.60s\" is no topic: %s", in->topic, fault.text);
    if (in->format != FORMAT_IN_JSON || in->message != NULL)
        return;
    need(reading, "inbound.type", "JSON of any shape has no canonical one");
    need(reading, "inbound.topic", "JSON of any shape has no canonical one");
}

/* ---- what goes out ---- */

/* What the spoke itself publishes must not come back to it. */
static bool pattern_circles(const struct spoke_spec *spec, const char *pattern) {
    char own[SPOKE_NAME_BYTES_MAX + 16];
    int length = snprintf(own, sizeof own, "spoke.%s.>", spec->name);
    return patterns_meet((const uint8_t *)pattern, strlen(pattern), (const uint8_t *)own, (size_t)length);
}

static void topics_settle(struct spec_reading *reading) {
    const struct spoke_spec *spec = reading->spec;
    struct fault fault = {0};
    need(reading, "outbound.topics", "it says what goes out, such as erp.order.>");
    for (uint32_t i = 0; i < spec->out.topics.count; i++) {
        const char *pattern = spec->out.topics.list[i];
        if (!pattern_valid((const uint8_t *)pattern, strlen(pattern), &fault))
            spec_refuse(reading, "outbound.topics", "\"%.60s\" is no pattern: %s", pattern, fault.text);
        else if (pattern_circles(spec, pattern))
            spec_refuse(reading, "outbound.topics",
                        "\"%.60s\" matches spoke.%s.>, too, which is the spoke's own; write a narrower one",
                        pattern, spec->name);
    }
}

static void key_settle(struct spec_reading *reading, const char *key) {
    size_t n = key != NULL ? strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789") : 0;
    if (key != NULL && (n == 0 || key[n] != '\0' || n > QUEUE_KEY_BYTES_MAX))
        spec_refuse(reading, "outbound.key",
                    "\"%.60s\" is no attribute's name: small letters and digits, at most %u", key,
                    QUEUE_KEY_BYTES_MAX);
}

static void outbound_settle(struct spec_reading *reading) {
    struct spoke_spec *spec = reading->spec;
    struct spoke_outbound *out = &spec->out;
    if (!spec->has_out)
        return;
    place_of(reading,
             (const char *const[]){"outbound.mapping", "outbound.mapping_file", "outbound.filter",
                                   "outbound.filter_file", "outbound.format", NULL},
             spec->out_at);
    topics_settle(reading);
    key_settle(reading, out->key);
    table_settle(reading, "outbound.template", out->template, "outbound.format",
                 out->format == FORMAT_OUT_CSV, "csv");
    spec->template_text = spec_text(reading, "outbound.template", out->template, NULL);
    spec->out_filter =
        program_of(reading, "outbound.filter", out->filter, "outbound.filter_file", out->filter_file);
    spec->out_mapping =
        program_of(reading, "outbound.mapping", out->mapping, "outbound.mapping_file", out->mapping_file);
    if (out->await_ns != 0 && out->format != FORMAT_OUT_EDIFACT && out->format != FORMAT_OUT_X12)
        spec_refuse(reading, "outbound.await_acknowledgement",
                    "documents of EDIFACT and X12 are acknowledged; add format: edifact, or x12");
}

bool spoke_awaits(const struct spoke_spec *spec) {
    return spec->has_out && spec->out.await_ns != 0;
}

bool spoke_writes_x12(const struct spoke_spec *spec) {
    return spec->out.format == FORMAT_OUT_X12;
}

/* A table that changes makes another spoke of it. */
static void tables_settle(struct spec_reading *reading) {
    struct spoke_spec *spec = reading->spec;
    struct bytes out = {0};
    char why[CONFIG_WHY_BYTES];
    size_t length;
    if (spec->tables_count == 0)
        return;
    bytes_text(&out, "{\"tables\":{");
    for (uint32_t i = 0; i < spec->tables_count; i++) {
        const struct config_table *table = &spec->tables[i];
        uint32_t before = reading->walk.mistakes->count;
        free(spec_text(reading, "tables", table->file, NULL));
        free(spec_text(reading, "tables", table->dialect, NULL));
        if (i > 0)
            bytes_text(&out, ",");
        if (reading->walk.mistakes->count == before && !config_table_add(table, &out, why, sizeof why))
            config_mistake_add(reading->walk.mistakes, table->line, table->column, "%s", why);
    }
    bytes_text(&out, "}}");
    bytes_add(&out, "", 1);
    spec->variables = (char *)bytes_take(&out, &length);
    if (spec->variables == NULL)
        spec_refuse(reading, "tables", "there is no memory left for them");
}

/* Golden pairs that change make another spoke of it: they are run again. */
static void tests_settle(struct spec_reading *reading) {
    for (uint32_t i = 0; i < reading->spec->tests_count; i++) {
        const struct spoke_test *test = &reading->spec->tests[i];
        free(spec_text(reading, "tests", test->input, NULL));
        free(spec_text(reading, "tests", test->expect, NULL));
    }
}

void spec_settle(struct spec_reading *reading) {
    transport_settle(reading);
    inbound_settle(reading);
    outbound_settle(reading);
    tables_settle(reading);
    tests_settle(reading);
}
