/* schema.c: every key of a spoke's file. */
#include "core/base/limits.h"
#include "core/spoke/spec.h"

#include <string.h>

#define AT(field)    offsetof(struct spoke_spec, field)
#define ITEM(field)  offsetof(struct spoke_test, field)
#define TABLE(field) offsetof(struct config_table, field)
#define NO           CONFIG_NO_AUTO
#define MS           NS_PER_MS
#define HOUR         (3600u * NS_PER_S)
#define ANY          UINT32_MAX

static const char *const transports[] = {"directory", "webhook", "tcp", "http", NULL};
static const char *const completes[] = {"close", "rename", "stable", NULL};
static const char *const orders[] = {"name", "time", NULL};
static const char *const repeats[] = {"skip", "accept", "reject", NULL};
static const char *const modes[] = {"binary", "structured", "plain", NULL};
static const char *const methods[] = {"POST", "PUT", NULL};
static const char *const formats_in[] = {"any", "edifact", "x12",  "idoc", "ubl",
                                         "csv", "fixed",   "json", NULL};
static const char *const formats_out[] = {"auto", "json", "edifact", "x12", "ubl", "csv", "event", NULL};
static const char *const acknowledges[] = {"never", "asked", "always", NULL};
static const char *const acknowledges_x12[] = {"none", "ta1", "997", "999", NULL};
static const char *const losses[] = {"tell", "refuse", "ignore", NULL};
static const char *const directions[] = {"inbound", "outbound", NULL};

/* clang-format off */
static const struct config_row rows[] = {
    /* path, type, flags, at, auto, min, max, default, change, help, words */
    {"transport", CONFIG_WORD, 0, AT(transport), NO, 0, 0,
     "", "live", "how the system is reached; this key must be there", transports},

    {"directory.inbox", CONFIG_FILE, 0, AT(directory.inbox), NO, 0, 0,
     "", "live", "directory whose files come in; made if it is missing", NULL},
    {"directory.pattern", CONFIG_TEXT, 0, AT(directory.pattern), NO, 0, 0,
     "", "live", "which files, as a shell has it; default: all but .*, *.tmp, *.part and *~", NULL},
    {"directory.complete", CONFIG_WORD, 0, AT(directory.complete), NO, 0, 0,
     "close", "live",
     "a file is whole when its writer has closed it, renamed it, or it has not changed for "
     "stable_for", completes},
    {"directory.stable_for", CONFIG_TIME, 0, AT(directory.stable_ns), NO, MS, HOUR,
     "2s", "live", "how long it must not have changed", NULL},
    {"directory.order", CONFIG_WORD, 0, AT(directory.order), NO, 0, 0,
     "name", "live", "which file comes first: by name, or the oldest by time", orders},
    {"directory.done", CONFIG_FILE, 0, AT(directory.done), NO, 0, 0,
     "", "live", "where files go that were read; default: INBOX/done", NULL},
    {"directory.rejected", CONFIG_FILE, 0, AT(directory.rejected), NO, 0, 0,
     "", "live", "where files go that were not, with their findings; default: INBOX/rejected", NULL},
    {"directory.repeats", CONFIG_WORD, 0, AT(directory.repeats), NO, 0, 0,
     "skip", "live",
     "a file with a content that was read before is passed over, read again, or rejected", repeats},
    {"directory.repeats_count", CONFIG_COUNT, 0, AT(directory.repeats_count), NO, 1, 1000000,
     "10000", "live", "how many contents are remembered", NULL},
    {"directory.repeats_for", CONFIG_TIME, 0, AT(directory.repeats_age_ns), NO, NS_PER_S, 8784 * HOUR,
     "168h", "live", "for how long", NULL},
    {"directory.rescan", CONFIG_TIME, 0, AT(directory.rescan_ns), NO, 10 * MS, HOUR,
     "30s", "live", "how often the inbox is looked through, whatever the kernel has told", NULL},
    {"directory.retry", CONFIG_TIME, 0, AT(directory.retry_ns), NO, MS, HOUR,
     "1s", "live", "the first pause before something that failed is tried again; it doubles", NULL},
    {"directory.retry_most", CONFIG_TIME, 0, AT(directory.retry_most_ns), NO, MS, HOUR,
     "60s", "live", "the longest such pause", NULL},
    {"directory.outbox", CONFIG_FILE, 0, AT(directory.outbox), NO, 0, 0,
     "", "live", "directory that documents are written to; made if it is missing", NULL},
    {"directory.file_name", CONFIG_TEXT, 0, AT(directory.file_name), NO, 0, 0,
     "", "live",
     "a file's name there, with {type}, {subject}, {source}, {id}, {time}, {topic}, {seq}, {hash}, "
     "{ext}; default: {type}-{hash}.{ext}", NULL},

    {"webhook.url", CONFIG_TEXT, 0, AT(webhook.url), NO, 0, 0,
     "", "live", "http or https, without user and password", NULL},
    {"webhook.mode", CONFIG_WORD, 0, AT(webhook.mode), NO, 0, 0,
     "binary", "live",
     "CloudEvents with attributes as headers, as one JSON document, or only the data", modes},
    {"webhook.method", CONFIG_WORD, 0, AT(webhook.method), NO, 0, 0,
     "POST", "live", "of the requests", methods},
    {"webhook.raw_attributes", CONFIG_BOOL, 0, AT(webhook.raw_attributes), NO, 0, 0,
     "false", "live",
     "true: header values are not percent-encoded, for receivers that do not decode them", NULL},
    {"webhook.headers", CONFIG_TEXTS, 0, AT(webhook.headers), NO, 0, 0,
     "", "live", "fixed headers, \"Name: value\" each", NULL},
    {"webhook.concurrency", CONFIG_COUNT, 0, AT(webhook.concurrency), NO, 1, 1024,
     "32", "live", "requests at a time", NULL},
    {"webhook.rate", CONFIG_COUNT, CONFIG_ZERO, AT(webhook.rate), NO, 1, 1000000,
     "0", "live", "events per second at most; 0 = as fast as it goes", NULL},
    {"webhook.connect_timeout", CONFIG_TIME, 0, AT(webhook.connect_ns), NO, MS, HOUR,
     "5s", "live", "time for a connection, with TLS", NULL},
    {"webhook.timeout", CONFIG_TIME, 0, AT(webhook.answer_ns), NO, MS, HOUR,
     "30s", "live", "time for the whole of one request", NULL},
    {"webhook.answer", CONFIG_SIZE, 0, AT(webhook.answer_bytes), NO, 1024, 64 * MIB,
     "64KiB", "live", "how much of an answer is read", NULL},
    {"webhook.retry", CONFIG_TIME, 0, AT(webhook.retry_ns), NO, MS, HOUR,
     "1s", "live", "pause after an event's first failure; it doubles", NULL},
    {"webhook.retry_most", CONFIG_TIME, 0, AT(webhook.retry_most_ns), NO, MS, HOUR,
     "5m", "live", "the longest such pause", NULL},
    {"webhook.retry_after", CONFIG_TIME, 0, AT(webhook.retry_after_ns), NO, MS, HOUR,
     "1h", "live", "the longest Retry-After that is obeyed", NULL},
    {"webhook.breaker_failures", CONFIG_COUNT, 0, AT(webhook.breaker_failures), NO, 1, 1000000,
     "10", "live", "failures in a row, after which only probes are sent", NULL},
    {"webhook.breaker", CONFIG_TIME, 0, AT(webhook.breaker_ns), NO, MS, HOUR,
     "1s", "live", "pause until the first probe; it doubles", NULL},
    {"webhook.breaker_most", CONFIG_TIME, 0, AT(webhook.breaker_most_ns), NO, MS, HOUR,
     "1m", "live", "the longest such pause", NULL},
    {"webhook.redirects", CONFIG_COUNT, 0, AT(webhook.redirects), NO, 0, 20,
     "0", "live", "how many redirects are followed", NULL},
    {"webhook.ca", CONFIG_FILE, 0, AT(webhook.ca), NO, 0, 0,
     "", "live", "PEM file of authorities; default: the system's", NULL},
    {"webhook.certificate", CONFIG_FILE, 0, AT(webhook.certificate), NO, 0, 0,
     "", "live", "PEM file with a certificate of our own", NULL},
    {"webhook.key", CONFIG_FILE, 0, AT(webhook.key), NO, 0, 0,
     "", "live", "PEM file with its key; default: it is in the same file", NULL},
    {"webhook.proxy", CONFIG_TEXT, 0, AT(webhook.proxy), NO, 0, 0,
     "", "live", "URL of a proxy; default: none, whatever the environment says", NULL},
    {"webhook.token", CONFIG_FILE, 0, AT(webhook.token), NO, 0, 0,
     "", "live", "file with a token, sent as Authorization: Bearer", NULL},
    {"webhook.secret", CONFIG_FILE, 0, AT(webhook.secret), NO, 0, 0,
     "", "live", "file with a secret that signs bodies, HMAC-SHA256", NULL},
    {"webhook.signature_header", CONFIG_TEXT, 0, AT(webhook.signature_header), NO, 0, 0,
     "", "live", "header of the signature; default: X-Signature-256", NULL},
    {"webhook.signature_time", CONFIG_BOOL, 0, AT(webhook.signature_time), NO, 0, 0,
     "false", "live", "true: the time is signed, too, and sent in timestamp_header", NULL},
    {"webhook.timestamp_header", CONFIG_TEXT, 0, AT(webhook.timestamp_header), NO, 0, 0,
     "", "live", "default: X-Signature-Timestamp", NULL},
    {"webhook.origin", CONFIG_TEXT, 0, AT(webhook.origin), NO, 0, 0,
     "", "live",
     "a DNS name: the target is asked by OPTIONS whether it wants events of this origin; default: it "
     "is not asked", NULL},
    {"webhook.origin_rate", CONFIG_COUNT, CONFIG_ZERO, AT(webhook.origin_rate), NO, 1, 1000000000,
     "0", "live", "events per minute to ask for; 0 = none is asked for", NULL},

    {"http.bearer", CONFIG_FILE, 0, AT(http.bearer), NO, 0, 0,
     "", "live",
     "file with a token that senders to /v1/ingest/NAME must have; default: nobody is asked", NULL},
    {"http.hmac", CONFIG_FILE, 0, AT(http.hmac), NO, 0, 0,
     "", "live", "file with the key of an HMAC-SHA256 over the body", NULL},
    {"http.hmac_header", CONFIG_TEXT, 0, AT(http.hmac_header), NO, 0, 0,
     "", "live", "header with that HMAC in hexadecimal digits; default: X-Hub-Signature-256", NULL},
    {"http.hmac_prefix", CONFIG_TEXT, 0, AT(http.hmac_prefix), NO, 0, 0,
     "", "live", "what stands before the digits; default: sha256=", NULL},

    {"inbound.format", CONFIG_WORD, 0, AT(in.format), NO, 0, 0,
     "any", "live", "what documents must be; any: found out by their content", formats_in},
    {"inbound.layouts", CONFIG_TEXTS, 0, AT(in.layouts), NO, 0, 0,
     "", "live", "files with layouts of IDoc segments of your own; see LAYOUTS.md", NULL},
    {"inbound.maps", CONFIG_TEXTS, 0, AT(in.maps), NO, 0, 0,
     "", "live",
     "files with maps of your own, which go before those that are built in; see MAPPING.md", NULL},
    {"inbound.dialect", CONFIG_FILE, 0, AT(in.dialect), NO, 0, 0,
     "", "live", "file with the dialect of CSV; with format: csv", NULL},
    {"inbound.fixed", CONFIG_FILE, 0, AT(in.fixed), NO, 0, 0,
     "", "live", "file with the layout of records; with format: fixed", NULL},
    {"inbound.profile.tolerate", CONFIG_TEXTS, 0, AT(in.profile.tolerate), NO, 0, 0,
     "", "live", "rules that the partner may break, such as edifact.count-differs", NULL},
    {"inbound.profile.refuse", CONFIG_TEXTS, 0, AT(in.profile.refuse), NO, 0, 0,
     "", "live", "notes that are errors here", NULL},
    {"inbound.profile.charset", CONFIG_TEXT, 0, AT(in.profile.charset), NO, 0, 0,
     "", "live", "of files that name none or a wrong one", NULL},
    {"inbound.profile.pivot", CONFIG_COUNT, CONFIG_ZERO, AT(in.profile.pivot), NO, 1, 99,
     "0", "live", "years of two digits above it are of the last century; 0 = 70", NULL},
    {"inbound.profile.findings", CONFIG_COUNT, CONFIG_ZERO, AT(in.profile.findings), NO, 1, 1000000,
     "0", "live", "findings told of one message; 0 = 100", NULL},
    {"inbound.profile.segment", CONFIG_SIZE, CONFIG_ZERO, AT(in.profile.segment_bytes), NO, 16, 16 * MIB,
     "0", "live", "longest segment; 0 = 64KiB", NULL},
    {"inbound.profile.segments", CONFIG_COUNT, CONFIG_ZERO, AT(in.profile.segments), NO, 1, ANY,
     "0", "live", "segments of one message; 0 = 1000000", NULL},
    {"inbound.profile.messages", CONFIG_COUNT, CONFIG_ZERO, AT(in.profile.messages), NO, 1, ANY,
     "0", "live", "messages of one interchange; 0 = 1000000", NULL},
    {"inbound.acknowledge.edifact", CONFIG_WORD, 0, AT(in.acknowledge_edifact), NO, 0, 0,
     "never", "live", "CONTRL for interchanges: asked: where their UNB asks for it", acknowledges},
    {"inbound.acknowledge.x12", CONFIG_WORD, 0, AT(in.acknowledge_x12), NO, 0, 0,
     "none", "live", "what is sent for interchanges of X12", acknowledges_x12},
    {"inbound.acknowledge.ta1", CONFIG_BOOL, 0, AT(in.acknowledge_ta1), NO, 0, 0,
     "false", "live", "true: a TA1 beside 997 or 999, also where ISA14 does not ask for it", NULL},
    {"inbound.mapping", CONFIG_TEXT, 0, AT(in.mapping), NO, 0, 0,
     "", "live",
     "jq: `.` is the canonical JSON, or the JSON that came, `$event` the attributes; each output is "
     "the data of an event", NULL},
    {"inbound.mapping_file", CONFIG_FILE, 0, AT(in.mapping_file), NO, 0, 0,
     "", "live", "the same in a file of its own", NULL},
    {"inbound.message", CONFIG_TEXT, 0, AT(in.message), NO, 0, 0,
     "", "live",
     "what the mapping makes is canonical, of this kind, such as Order; default: JSON of any shape", NULL},
    {"inbound.type", CONFIG_TEXT, 0, AT(in.type), NO, 0, 0,
     "", "live", "of the events; default: the canonical one", NULL},
    {"inbound.topic", CONFIG_TEXT, 0, AT(in.topic), NO, 0, 0,
     "", "live", "that they are published on; default: the canonical one, such as erp.order.created", NULL},

    {"outbound.topics", CONFIG_TEXTS, 0, AT(out.topics), NO, 0, 0,
     "", "live", "patterns of what goes out; may not change while the queue exists", NULL},
    {"outbound.filter", CONFIG_TEXT, 0, AT(out.filter), NO, 0, 0,
     "", "live", "jq: what is neither false nor null goes out; default: everything", NULL},
    {"outbound.filter_file", CONFIG_FILE, 0, AT(out.filter_file), NO, 0, 0,
     "", "live", "the same in a file of its own", NULL},
    {"outbound.mapping", CONFIG_TEXT, 0, AT(out.mapping), NO, 0, 0,
     "", "live",
     "jq: `.` is the canonical JSON, `$event` the attributes; each output is a document; default: "
     "the data as it is", NULL},
    {"outbound.mapping_file", CONFIG_FILE, 0, AT(out.mapping_file), NO, 0, 0,
     "", "live", "the same in a file of its own", NULL},
    {"outbound.format", CONFIG_WORD, 0, AT(out.format), NO, 0, 0,
     "auto", "live",
     "of the documents; event: the data's own bytes; auto: json with a mapping, else event", formats_out},
    {"outbound.template", CONFIG_FILE, 0, AT(out.template), NO, 0, 0,
     "", "live", "file with the template of CSV; with format: csv; see LAYOUTS.md", NULL},
    {"outbound.sender", CONFIG_TEXT, 0, AT(out.sender), NO, 0, 0,
     "", "live", "our identity in EDIFACT and X12, ID or QUALIFIER:ID; default: as the message has it", NULL},
    {"outbound.receiver", CONFIG_TEXT, 0, AT(out.receiver), NO, 0, 0,
     "", "live", "the partner's, likewise", NULL},
    {"outbound.key", CONFIG_TEXT, 0, AT(out.key), NO, 0, 0,
     "", "live",
     "attribute whose equal values go out one after the other; default: partitionkey; may not change "
     "while the queue exists", NULL},
    {"outbound.losses", CONFIG_WORD, 0, AT(out.losses), NO, 0, 0,
     "tell", "live",
     "a document that does not say all of its event is told in the log, refused, or passed over", losses},
    {"outbound.await_acknowledgement", CONFIG_TIME, CONFIG_ZERO, AT(out.await_ns), NO, NS_PER_S, 8784 * HOUR,
     "0", "live",
     "after this time without CONTRL, 997 or 999 a document of EDIFACT or X12 is told as overdue; 0 = none "
     "is awaited", NULL},
    {"outbound.attempts", CONFIG_COUNT, CONFIG_ZERO, AT(out.attempts), NO, 1, QUEUE_ATTEMPTS_MAX,
     "0", "live",
     "deliveries before an event is a dead letter; 0 = 5, and 1000 into a directory: a full disk is no fault "
     "of an event", NULL},
    {"outbound.lease", CONFIG_TIME, CONFIG_ZERO, AT(out.lease_ns), NO, QUEUE_LEASE_NS_MIN, QUEUE_LEASE_NS_MAX,
     "0", "live", "how long one may take; 0 = the router's default, 30s", NULL},
    {"outbound.window", CONFIG_COUNT, CONFIG_ZERO, AT(out.window), NO, 1, QUEUE_WINDOW_MAX,
     "0", "live", "events that may be on their way at a time; 0 = 256", NULL},

    {"tables", CONFIG_LIST, 0, 0, NO, 0, 0,
     "", "live", "tables to look things up in, for all jq here: $tables.NAME[KEY]", NULL},
    {"tables[].name", CONFIG_TEXT, 0, TABLE(name), NO, 0, 0,
     "", "live", "as jq names it: letters, digits and _", NULL},
    {"tables[].file", CONFIG_FILE, 0, TABLE(file), NO, 0, 0,
     "", "live", "CSV in UTF-8 with commas, its columns named in the first row", NULL},
    {"tables[].dialect", CONFIG_FILE, 0, TABLE(dialect), NO, 0, 0,
     "", "live", "file with the dialect, if it is another one; see LAYOUTS.md", NULL},
    {"tables[].key", CONFIG_TEXT, 0, TABLE(key), NO, 0, 0,
     "", "live", "the column to look up; no two rows may have the same", NULL},
    {"tables[].value", CONFIG_TEXTS, 0, TABLE(values), NO, 0, 0,
     "", "live",
     "the column whose text is found; of several, or without this key of all others, an object", NULL},

    {"tests", CONFIG_LIST, 0, 0, NO, 0, 0,
     "", "live", "golden pairs: the file is refused when one of them fails", NULL},
    {"tests[].direction", CONFIG_WORD, 0, ITEM(direction), NO, 0, 0,
     "", "live", "which way", directions},
    {"tests[].input", CONFIG_FILE, 0, ITEM(input), NO, 0, 0,
     "", "live", "inbound: a document; outbound: an event as CloudEvents JSON", NULL},
    {"tests[].expect", CONFIG_FILE, 0, ITEM(expect), NO, 0, 0,
     "", "live", "what must come of it", NULL},
};
/* clang-format on */
static_assert(sizeof rows / sizeof rows[0] <= CONFIG_ROWS_MAX, "one place in struct config_walk each");

static const char *list_example(const char *path) {
    if (strcmp(path, "tables") == 0)
        return "[ { name: customers, file: customers.csv, key: gln } ]";
    return "[ { direction: outbound, input: event.json, expect: order.json } ]";
}

const struct config_schema spoke_schema = {
    .rows = rows, .count = sizeof rows / sizeof rows[0], .example = list_example};

const char *spoke_transport_name(uint32_t transport) {
    return transports[transport];
}
