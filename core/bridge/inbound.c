#include "core/bridge/inbound.h"

#include "codecs/erp/model.h"
#include "codecs/event/attributes.h"
#include "codecs/erp/json.h"
#include "codecs/event/compose.h"
#include "codecs/event/fields.h"
#include "codecs/event/json.h"
#include "codecs/event/json_text.h"
#include "core/base/clock.h"
#include "core/base/topic.h"
#include "core/bridge/acknowledge.h"
#include "core/bridge/inbound_parts.h"
#include "core/bridge/jq.h"
#include "core/bridge/port.h"
#include "core/bridge/remake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is told of a document ---- */

static void document_count_refused(struct inbound *inbound) {
    inbound->document.refused++;
    counter_add(&inbound->counters->refused, 1);
}

void document_refuse(struct inbound *inbound, enum finding_code code, struct origin origin,
                     const char *sentence) {
    document_count_refused(inbound);
    findings_say(&inbound->document.findings, code, origin.place, sentence);
    if (inbound->acknowledger != NULL)
        acknowledger_refuse(inbound->acknowledger, origin.message, code);
}

void document_lost(struct inbound *inbound) {
    inbound->document.unknown++;
    counter_add(&inbound->counters->unknown, 1);
}

void document_published(struct inbound *inbound, const uint8_t *event, size_t length) {
    struct document *document = &inbound->document;
    struct attribute id;
    if (document->ids_count == INBOUND_IDS_MAX || !attribute_find(event, length, "id", &id))
        return;
    bytes_text(&document->ids, document->ids_count++ == 0 ? "[" : ",");
    json_string_add(&document->ids, (const char *)id.data, id.length);
}

static void document_close(struct inbound *inbound) {
    struct document *document = &inbound->document;
    free(document->name);
    findings_clear(&document->findings);
    bytes_free(&document->ids);
    *document = (struct document){0};
}

void document_settle(struct inbound *inbound) {
    struct document *document = &inbound->document;
    flow_acknowledge(inbound);
    if (!document->finished || document->waiting > 0)
        return;
    if (document->findings.errors > 0 && document->refused == 0)
        document_count_refused(inbound); /* its envelope, for one */
    struct document ended = *document;   /* the next one may begin within on_end */
    struct findings_head head = {.file = ended.name,
                                 .format = ended.format,
                                 .published = ended.published,
                                 .refused = ended.refused,
                                 .unknown = ended.unknown};
    struct bytes text = {0};
    findings_write(&ended.findings, &head, &text);
    bytes_add(&text, "", 1);
    bytes_text(&ended.ids, ended.ids_count == 0 ? "[]" : "]");
    bytes_add(&ended.ids, "", 1);
    struct inbound_end end = {.published = ended.published,
                              .refused = ended.refused,
                              .unknown = ended.unknown,
                              .ids = ended.ids.failed ? "[]" : (const char *)ended.ids.data,
                              .findings = text.failed ? "{}\n" : (const char *)text.data,
                              .findings_length = text.failed ? 3 : text.length - 1,
                              .tolerated = ended.findings.warnings > 0 && ended.findings.errors == 0};
    *document = (struct document){0};
    counter_add(&inbound->counters->documents, 1);
    ended.on_end(ended.user, &end);
    bytes_free(&text);
    bytes_free(&ended.ids);
    findings_clear(&ended.findings);
    free(ended.name);
}

/* ---- messages of documents ---- */

static void on_finding(void *context, const struct finding *finding) {
    struct inbound *inbound = context;
    struct document *document = &inbound->document;
    if (finding->severity == FINDING_WARNING)
        counter_add(&inbound->counters->tolerated, 1);
    findings_add(&document->findings, finding, document->format);
    if (inbound->acknowledger != NULL)
        acknowledger_finding(inbound->acknowledger, finding);
}

/* What the canonical event has not: who it came from, where the document does not say; and another type. */
static bool event_finish(struct inbound *inbound, struct erp_event *event, uint8_t **made,
                         struct fault *fault) {
    struct attribute partner;
    struct remake_text more = {"partner", inbound->name};
    struct remake what = {.event = event->event,
                          .length = event->length,
                          .type = inbound->jq == NULL ? inbound->type : NULL,
                          .more = &more,
                          .more_count = 1};
    *made = NULL;
    if (what.type == NULL && attribute_find(event->event, event->length, "partner", &partner))
        return true;
    if (!remake(&what, made, &event->length, fault))
        return false;
    event->event = *made;
    return true;
}

static void message_event(struct inbound *inbound, const struct erp_result *result) {
    struct origin origin = {
        .place = {.offset = result->head->offset},
        .message = inbound->acknowledger != NULL ? acknowledger_message(inbound->acknowledger) : 0};
    struct erp_event event;
    struct fault fault = {.text = ""};
    struct bytes json = {0};
    uint8_t *made = NULL;
    if (!erp_event_make(inbound->maker, result, &event, &fault) ||
        !event_finish(inbound, &event, &made, &fault)) {
        if (fault.code == RH_CODE_INTERNAL)
            document_lost(inbound);
        else
            document_refuse(inbound, FINDING_PUBLISH_REFUSED, origin, fault.text);
        return;
    }
    const char *topic = inbound->topic != NULL && inbound->jq == NULL ? inbound->topic : event.topic;
    if (inbound->jq != NULL)
        erp_json_write(result->message, &json);
    if (json.failed)
        document_lost(inbound);
    else
        flow_event(inbound, topic, event.event, event.length, inbound->jq != NULL ? &json : NULL, origin);
    bytes_free(&json);
    free(made);
}

static void on_message(void *context, const struct erp_result *result) {
    struct inbound *inbound = context;
    if (inbound->acknowledger != NULL)
        acknowledger_errors(inbound->acknowledger, result->errors + (result->message == NULL));
    if (result->errors == 0 && result->message != NULL) {
        message_event(inbound, result);
        return;
    }
    document_count_refused(inbound); /* its findings say why */
}

/* ---- values of JSON ---- */

static bool is_event(const char *text, size_t length) {
    struct json_member member;
    const char *end = text + length, *at = json_text_begin(text, end);
    if (at == end || *at != '{')
        return false;
    while (json_member_next(&at, end, &member))
        if (member.key_length == 13 && memcmp(member.key, "\"specversion\"", 13) == 0)
            return true;
    return false;
}

/* The name of a value: its file and its number there; without a file's digest its own. */
static bool value_id(struct inbound *inbound, const char *text, size_t length, char *id, size_t bytes) {
    uint8_t digest[ERP_DIGEST_BYTES];
    char hex[33];
    struct erp_digest *made = NULL;
    if (inbound->document.digested)
        memcpy(digest, inbound->document.digest, sizeof digest);
    else {
        made = erp_digest_new();
        if (made == NULL)
            return false;
        erp_digest_add(made, text, length);
        erp_digest_take(made, digest);
        erp_digest_free(made);
    }
    for (size_t i = 0; i < 16; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    (void)snprintf(id, bytes, "%s-%llu", hex, (unsigned long long)inbound->document.values);
    return true;
}

/* An event around JSON that is none yet. */
static bool value_event(struct inbound *inbound, const char *text, size_t length, uint8_t **event,
                        size_t *event_length, struct fault *fault) {
    char id[64], source[128];
    struct bytes out = {0};
    *fault = (struct fault){.code = RH_CODE_INTERNAL, .text = "out of memory"};
    if (!value_id(inbound, text, length, id, sizeof id))
        return false;
    const char *type = inbound->type != NULL ? inbound->type : "json";
    (void)snprintf(source, sizeof source, "/spoke/%s", inbound->name);
    bytes_field(&out, EVENT_ID, id, strlen(id));
    bytes_field(&out, EVENT_SOURCE, source, strlen(source));
    bytes_field(&out, EVENT_SPEC_VERSION, "1.0", 3);
    bytes_field(&out, EVENT_TYPE, type, strlen(type));
    compose_attribute(&out, "partner", VALUE_STRING, inbound->name, strlen(inbound->name));
    compose_attribute(&out, "docformat", VALUE_STRING, "JSON", 4);
    compose_attribute(&out, "datacontenttype", VALUE_STRING, "application/json", 16);
    bytes_field(&out, EVENT_TEXT, text, length);
    return compose_done(&out, event, event_length, fault);
}

static void value_go(struct inbound *inbound, bool whole, const uint8_t *event, size_t length,
                     const char *text, size_t text_length, struct origin origin) {
    const char *topic = inbound->topic != NULL ? inbound->topic : "";
    bool canonical = inbound->message != NULL && (inbound->jq != NULL || !whole);
    if (*topic == '\0' && !canonical)
        document_refuse(inbound, FINDING_JSON_NAMELESS, origin, "topic");
    else if (!whole && inbound->type == NULL && !canonical)
        document_refuse(inbound, FINDING_JSON_NAMELESS, origin, "type");
    else if (inbound->jq == NULL && canonical)
        flow_data(inbound, topic, event, length, 1, text, text_length, origin);
    else
        flow_event(inbound, topic, event, length, NULL, origin);
}

static void on_value(void *context, const char *text, size_t length, uint64_t offset) {
    struct inbound *inbound = context;
    struct origin origin = {.place = {.offset = offset, .segment = (uint32_t)++inbound->document.values}};
    const char *wrong = json_text_fault(text, length, false);
    struct fault fault;
    uint8_t *event;
    size_t event_length;
    if (wrong != NULL) {
        document_refuse(inbound, FINDING_JSON_TEXT, origin, wrong);
        return;
    }
    bool whole = is_event(text, length);
    bool good = whole ? event_from_json(text, length, &event, &event_length, &fault)
                      : value_event(inbound, text, length, &event, &event_length, &fault);
    if (good && whole) {
        struct remake_text more = {"partner", inbound->name};
        struct remake what = {
            .event = event, .length = event_length, .type = inbound->type, .more = &more, .more_count = 1};
        uint8_t *plain = event;
        good = remake(&what, &event, &event_length, &fault);
        free(plain);
    }
    if (!good && fault.code == RH_CODE_INTERNAL)
        document_lost(inbound);
    else if (!good)
        document_refuse(inbound, FINDING_JSON_EVENT, origin, fault.text);
    if (!good)
        return;
    value_go(inbound, whole, event, event_length, text, length, origin);
    free(event);
}

static void on_wrong(void *context, const char *sentence, uint64_t offset) {
    struct inbound *inbound = context;
    document_refuse(inbound, FINDING_JSON_TEXT, (struct origin){.place = {.offset = offset}}, sentence);
}

/* ---- feeding ---- */

/* A reader in the middle of a document has no way back: the next one gets a new one. */
static bool readers_make(struct inbound *inbound) {
    intake_free(inbound->intake);
    erp_engine_free(inbound->engine);
    struct erp_engine_options engine = {.library =
                                            formats_maps((struct formats *)(uintptr_t)inbound->formats),
                                        .profile = inbound->profile,
                                        .context = inbound,
                                        .message = on_message,
                                        .finding = on_finding};
    inbound->intake = NULL;
    inbound->engine = erp_engine_new(&engine);
    if (inbound->engine == NULL)
        return false;
    struct document_sink sink = erp_engine_sink(inbound->engine);
    if (inbound->acknowledger != NULL)
        sink = acknowledger_sink(inbound->acknowledger, sink);
    inbound->intake = intake_new(inbound->formats, inbound->profile, &sink);
    return inbound->intake != NULL;
}

static bool format_is(const struct inbound *inbound, const char *name) {
    return inbound->format != NULL && strcmp(inbound->format, name) == 0;
}

/* The word of a spoke's file for what the content is. */
static const char *format_word(enum document_format format) {
    switch (format) {
    case FORMAT_EDIFACT:
    case FORMAT_EDIFACT_FRAGMENT:
        return "edifact";
    case FORMAT_X12:
    case FORMAT_X12_FRAGMENT:
        return "x12";
    case FORMAT_IDOC_FLAT:
    case FORMAT_IDOC_FLAT_OLD:
    case FORMAT_IDOC_XML:
        return "idoc";
    case FORMAT_UBL:
        return "ubl";
    case FORMAT_CLOUDEVENT_JSON:
    case FORMAT_JSON:
        return "json";
    default:
        return format_name(format);
    }
}

static enum inbound_reading reading_choose(struct inbound *inbound) {
    struct document *document = &inbound->document;
    const char *tables = formats_tables(inbound->formats);
    enum document_format format = sniff(document->head, document->head_length);
    const char *word = tables != NULL && !format_is(inbound, "json") ? tables : format_word(format);
    document->format = tables != NULL ? word : format_name(format);
    if (format_is(inbound, "json")) {
        document->format = "json";
        return READING_JSON;
    }
    if (inbound->format != NULL && strcmp(inbound->format, word) != 0 && format != FORMAT_UTF16) {
        struct finding finding = {.code = FINDING_UNEXPECTED_FORMAT,
                                  .severity = FINDING_ERROR,
                                  .place = {.line = 1},
                                  .scope = DOCUMENT_INTERCHANGE,
                                  .found = {.bytes = (const uint8_t *)word, .length = (uint32_t)strlen(word)},
                                  .expected = {.bytes = (const uint8_t *)inbound->format,
                                               .length = (uint32_t)strlen(inbound->format)}};
        on_finding(inbound, &finding);
        return READING_NOTHING;
    }
    return tables == NULL && strcmp(word, "json") == 0 ? READING_JSON : READING_DOCUMENT;
}

static int reader_feed(struct inbound *inbound, const uint8_t *bytes, size_t length) {
    switch (inbound->document.reading) {
    case READING_DOCUMENT:
        return intake_feed(inbound->intake, bytes, length);
    case READING_JSON:
        return json_split_feed(&inbound->split, bytes, length);
    case READING_HEAD:
    case READING_NOTHING:
        break;
    }
    return 0;
}

/* What follows an error of a reader is for a new one. */
static int fed(struct inbound *inbound, int result) {
    inbound->spoiled |= result != 0;
    return result;
}

/* What has come is enough to know, or is all there is. */
static int head_end(struct inbound *inbound) {
    struct document *document = &inbound->document;
    document->reading = reading_choose(inbound);
    return reader_feed(inbound, document->head, document->head_length);
}

/* The control number of the document's first acknowledgement: the same one when it comes again, if that can
 * be known. */
static uint32_t acknowledgement_number(const struct inbound *inbound, const uint8_t *digest) {
    uint64_t seed = clock_wall_ns();
    if (inbound->document.digested)
        memcpy(&seed, digest, sizeof seed);
    return (uint32_t)(seed % 899999999) + 1; /* X12 has nine digits, and others follow */
}

int inbound_begin(struct inbound *inbound, const char *name, const uint8_t *digest) {
    struct document *document = &inbound->document;
    if (document->open)
        return -EBUSY;
    if (inbound->spoiled && !readers_make(inbound))
        return -ENOMEM;
    inbound->spoiled = false;
    document->name = strdup(name);
    if (document->name == NULL)
        return -ENOMEM;
    document->open = true;
    document->trace = (struct trace){0};
    document->format = "unknown";
    document->digested = digest != NULL;
    if (digest != NULL)
        memcpy(document->digest, digest, sizeof document->digest);
    erp_engine_file(inbound->engine, digest);
    if (inbound->acknowledger == NULL ||
        acknowledger_begin(inbound->acknowledger, acknowledgement_number(inbound, digest), digest))
        return 0;
    document_close(inbound);
    return -ENOMEM;
}

void inbound_trace(struct inbound *inbound, const struct trace *trace) {
    inbound->document.trace = *trace;
}

int inbound_feed(struct inbound *inbound, const uint8_t *bytes, size_t length) {
    struct document *document = &inbound->document;
    CHECK(document->open && !document->finished);
    flow_acknowledge(inbound);
    if (flow_behind(inbound)) {
        inbound->room_owed = true;
        return -EAGAIN;
    }
    if (document->reading != READING_HEAD)
        return fed(inbound, reader_feed(inbound, bytes, length));
    size_t room = sizeof document->head - document->head_length;
    size_t n = length < room ? length : room;
    memcpy(document->head + document->head_length, bytes, n);
    document->head_length += n;
    if (document->head_length < sizeof document->head)
        return 0;
    int result = head_end(inbound);
    return fed(inbound, result == 0 ? reader_feed(inbound, bytes + n, length - n) : result);
}

void inbound_on_room(struct inbound *inbound, void (*on_room)(void *user), void *user) {
    inbound->on_room = on_room;
    inbound->room_user = user;
}

static int reader_end(struct inbound *inbound) {
    const char *format;
    switch (inbound->document.reading) {
    case READING_DOCUMENT:
        return intake_end(inbound->intake, &format);
    case READING_JSON:
        return json_split_end(&inbound->split);
    case READING_HEAD:
    case READING_NOTHING:
        break;
    }
    return 0;
}

void inbound_finish(struct inbound *inbound, inbound_on_end *on_end, void *user) {
    struct document *document = &inbound->document;
    CHECK(document->open && !document->finished);
    document->on_end = on_end;
    document->user = user;
    int result = document->reading == READING_HEAD ? head_end(inbound) : 0;
    if (result == 0)
        result = reader_end(inbound);
    if (fed(inbound, result) != 0)
        document_lost(inbound);
    document->finished = true;
    document_settle(inbound);
}

void inbound_abandon(struct inbound *inbound) {
    if (!inbound->document.open)
        return;
    flow_forget(inbound);
    document_close(inbound);
    json_split_deinit(&inbound->split);
    inbound->room_owed = false;
    inbound->spoiled = true;
}

/* ---- making and freeing ---- */

static bool text_copy(char **copy, const char *text) {
    *copy = text != NULL ? strdup(text) : NULL;
    return text == NULL || *copy != NULL;
}

static bool texts_copy(struct inbound *inbound, const struct inbound_options *options) {
    return text_copy(&inbound->name, options->name) && text_copy(&inbound->format, options->format) &&
           text_copy(&inbound->type, options->type) && text_copy(&inbound->topic, options->topic);
}

static const char *options_fault(const struct inbound_options *options) {
    struct fault fault;
    if (options->topic != NULL &&
        !topic_valid((const uint8_t *)options->topic, strlen(options->topic), &fault))
        return fault.text;
    if (options->message != NULL && model_event(options->message, strlen(options->message)) == NULL)
        return "message: there is no canonical message of this name";
    bool json = options->format != NULL && strcmp(options->format, "json") == 0;
    if (json && options->message == NULL && options->topic == NULL)
        return "topic: JSON has none of its own, so it must be named; or name a message";
    return NULL;
}

static void on_owed(void *context, uint8_t *event, size_t length) {
    flow_owe(context, event, length);
}

static void on_lost(void *context) {
    document_lost(context);
}

static bool acknowledger_make(struct inbound *inbound, const struct inbound_options *options) {
    const struct inbound_acknowledge *ask = &options->acknowledge;
    struct acknowledger_options wanted = {
        .name = inbound->name, .ask = *ask, .context = inbound, .made = on_owed, .lost = on_lost};
    if (ask->edifact == ACKNOWLEDGE_NEVER && ask->x12 == ACKNOWLEDGE_X12_NONE)
        return true;
    inbound->acknowledger = acknowledger_new(&wanted);
    return inbound->acknowledger != NULL;
}

static bool mapping_start(struct inbound *inbound, const struct inbound_options *options, char *why,
                          size_t why_bytes) {
    struct bytes program = {0};
    char name[128];
    if (options->mapping == NULL)
        return true;
    bytes_text(&program, ". as $event | .data | (");
    bytes_text(&program, options->mapping);
    bytes_add(&program, "\n)", 3); /* a comment may be its last line */
    (void)snprintf(name, sizeof name, "%s:inbound.mapping", options->name);
    struct jq_options jq = {.executable = options->executable,
                            .name = name,
                            .program = (const char *)program.data,
                            .variables = options->variables};
    char fault[512] = "out of memory";
    if (!program.failed)
        inbound->jq = jq_new(inbound->base, &jq, fault, sizeof fault);
    bytes_free(&program);
    (void)snprintf(why, why_bytes, "mapping: %s", fault);
    return inbound->jq != NULL;
}

struct inbound *inbound_new(const struct inbound_options *options, char *why, size_t why_bytes) {
    const char *fault = options_fault(options);
    struct inbound *inbound = fault == NULL ? calloc(1, sizeof *inbound) : NULL;
    (void)snprintf(why, why_bytes, "%s", fault != NULL ? fault : "out of memory");
    if (inbound == NULL)
        return NULL;
    inbound->base = options->base;
    inbound->port = options->port;
    inbound->formats = options->formats;
    inbound->profile = options->profile;
    inbound->counters = options->counters != NULL ? options->counters : &inbound->own_counters;
    inbound->message =
        options->message != NULL ? model_event(options->message, strlen(options->message)) : NULL;
    inbound->split = (struct json_split){
        .value_max = INBOUND_VALUE_MAX, .context = inbound, .value = on_value, .wrong = on_wrong};
    inbound->maker = erp_maker_new();
    if (inbound->maker != NULL && texts_copy(inbound, options) && acknowledger_make(inbound, options) &&
        readers_make(inbound) && mapping_start(inbound, options, why, why_bytes))
        return inbound;
    inbound_free(inbound);
    return NULL;
}

void inbound_free(struct inbound *inbound) {
    if (inbound == NULL)
        return;
    flow_forget(inbound);
    port_on_room(inbound->port, NULL, NULL);
    jq_free(inbound->jq);
    flow_end(inbound);
    document_close(inbound);
    json_split_deinit(&inbound->split);
    intake_free(inbound->intake);
    erp_engine_free(inbound->engine);
    acknowledger_free(inbound->acknowledger);
    erp_maker_free(inbound->maker);
    arena_free(&inbound->arena);
    free(inbound->name);
    free(inbound->format);
    free(inbound->type);
    free(inbound->topic);
    free(inbound);
}
