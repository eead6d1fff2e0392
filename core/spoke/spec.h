/* spec.h: the file of a spoke, spokes.d/NAME.yaml: one connected system, checked against a table.
 * Owner: the caller of spoke_spec_read; any one thread. What a spec gives out is borrowed from it.
 * The schema is the table of every key; docs/SPOKES.md shows the same, and a test holds the two together.
 * Blocks to read the file and those it names, and while jq compiles the mappings.
 * Fails by a list of mistakes, all of them at once. */
#pragma once

#include "codecs/document/finding.h"
#include "core/base/check.h"
#include "core/bridge/inbound.h"
#include "core/bridge/outbound.h"
#include "core/config/config.h"
#include "core/config/schema.h"
#include "core/config/table.h"
#include "core/transport/directory.h"
#include "core/transport/webhook.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `spoke.NAME` and what is made of it is a queue's name; the name is a token of topics, too. */
#define SPOKE_NAME_BYTES_MAX 50u
#define SPOKE_FILE_BYTES_MAX (16u * 1024u * 1024u) /* of a map, a layout, a mapping, an example */

/* In the order of their words. */
enum spoke_transport { SPOKE_DIRECTORY, SPOKE_WEBHOOK, SPOKE_TCP, SPOKE_HTTP };

struct spoke_directory {
    char *inbox, *pattern, *done, *rejected, *outbox, *file_name;
    uint32_t complete, order, repeats, repeats_count;
    uint64_t stable_ns, repeats_age_ns, rescan_ns, retry_ns, retry_most_ns;
};

struct spoke_webhook {
    char *url;
    uint32_t mode, method;
    bool raw_attributes, signature_time;
    struct config_texts headers;
    uint32_t concurrency, rate, redirects, breaker_failures, origin_rate;
    uint64_t connect_ns, answer_ns, answer_bytes, retry_ns, retry_most_ns, retry_after_ns;
    uint64_t breaker_ns, breaker_most_ns;
    char *ca, *certificate, *key, *proxy, *token, *secret, *signature_header, *timestamp_header, *origin;
};

/* Who may post to /v1/ingest/NAME. */
struct spoke_http {
    char *bearer, *hmac, *hmac_header, *hmac_prefix;
};

struct spoke_profile {
    struct config_texts tolerate, refuse;
    char *charset;
    uint32_t pivot, findings, segments, messages;
    uint64_t segment_bytes;
};

struct spoke_inbound {
    uint32_t format;
    struct config_texts layouts, maps;
    char *dialect, *fixed;
    struct spoke_profile profile;
    char *mapping, *mapping_file, *message, *type, *topic;
    uint32_t acknowledge_edifact, acknowledge_x12;
    bool acknowledge_ta1;
};

struct spoke_outbound {
    struct config_texts topics;
    char *filter, *filter_file, *mapping, *mapping_file, *template, *sender, *receiver, *key;
    uint32_t format, losses, attempts, window;
    uint64_t lease_ns, await_ns;
};

enum spoke_direction { SPOKE_IN, SPOKE_OUT };

/* A golden pair. */
struct spoke_test {
    uint32_t direction;
    char *input;
    char *expect;
    uint32_t line; /* in the file of the spoke */
};

/* Texts that are left out are NULL. Paths are as seen from where the router runs. */
struct spoke_spec {
    char *name;
    char *path;
    uint64_t digest[2]; /* of the file and all that it names: the same digest, the same spoke */
    uint32_t transport;
    bool has_in, has_out; /* there is an `inbound`, an `outbound` */
    struct spoke_directory directory;
    struct spoke_webhook webhook;
    struct spoke_http http;
    struct spoke_inbound in;
    struct spoke_outbound out;
    struct config_table *tables;
    uint32_t tables_count;
    struct spoke_test *tests;
    uint32_t tests_count;
    uint32_t in_at[2], out_at[2]; /* line and column of what is told about a mapping */
    /* Made of the above. */
    struct profile profile;
    struct formats *formats; /* NULL: nothing comes in */
    char *template_text;
    char *in_mapping, *out_filter, *out_mapping; /* of their keys or their files */
    char *variables;                             /* JSON: {"tables": {...}}; NULL: there are none */
};

extern const struct config_schema spoke_schema;

/* The name of a spoke by its file: what stands before .yaml. False: it can be no name. `name` is of
 * SPOKE_NAME_BYTES_MAX + 1 bytes. */
bool spoke_name(const char *path, char *name);

/* NULL: there are mistakes; of a file that can not be read, one without a line. */
struct spoke_spec *spoke_spec_read(const char *path, struct config_mistakes *mistakes) MUST_USE;
void spoke_spec_free(struct spoke_spec *spec); /* NULL is allowed */

/* The options of the parts, borrowed from the spec. base and port are the caller's to fill in. */
void spoke_inbound_options(const struct spoke_spec *spec, struct inbound_options *options);
void spoke_outbound_options(const struct spoke_spec *spec, struct outbound_options *options);
void spoke_directory_options(const struct spoke_spec *spec, struct directory_options *options);
void spoke_webhook_options(const struct spoke_spec *spec, struct webhook_options *options);

/* Whether it awaits acknowledgements, and whether its documents are X12, else EDIFACT. */
bool spoke_awaits(const struct spoke_spec *spec);
bool spoke_writes_x12(const struct spoke_spec *spec);
/* Whether it has a queue: for what the file asks for, or for acknowledgements of what comes in. */
bool spoke_goes_out(const struct spoke_spec *spec);
const char *spoke_transport_name(uint32_t transport);
