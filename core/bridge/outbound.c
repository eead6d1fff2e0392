#include "core/bridge/outbound.h"

#include "codecs/erp/arena.h"
#include "codecs/erp/csv_out.h"
#include "codecs/erp/edi_out.h"
#include "codecs/erp/event.h"
#include "codecs/erp/json.h"
#include "codecs/erp/ubl.h"
#include "codecs/event/attributes.h"
#include "codecs/event/fields.h"
#include "codecs/event/json.h"
#include "codecs/event/json_text.h"
#include "codecs/event/media.h"
#include "core/base/utf8.h"
#include "core/bridge/inbound.h"
#include "core/bridge/jq.h"
#include "core/bridge/losses.h"
#include "core/bridge/numbers.h"
#include "core/bridge/remake.h"
#include "roundhouse/erp/v1/erp.pb-c.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#define OUTBOUND_WAITING_MAX 1024u
#define OUTBOUND_WHY_BYTES   400u

enum outbound_format { OUT_JSON, OUT_EVENT, OUT_EDIFACT, OUT_X12, OUT_UBL, OUT_CSV, OUT_FORMATS };

static const struct {
    const char *name, *contenttype;
} formats[OUT_FORMATS] = {
    [OUT_JSON] = {"json", "application/json"},
    [OUT_EVENT] = {"event", NULL},
    [OUT_EDIFACT] = {"edifact", "application/EDIFACT"},
    [OUT_X12] = {"x12", "application/EDI-X12"},
    [OUT_UBL] = {"ubl", "application/xml"},
    [OUT_CSV] = {"csv", "text/csv"},
};

/* An event that waits for its answer, or for those before it. */
struct run {
    struct run *next;
    uint8_t *event; /* owns */
    size_t length;
    bool asked; /* jq has it */
    outbound_on_result *on_result;
    void *user;
};

/* "ID" or "QUALIFIER:ID", cut up. */
struct identity {
    char *text; /* owns; NULL: none */
    struct erp_edi_party party;
};

struct outbound {
    enum outbound_format format;
    bool mapped;
    char *acknowledgement; /* owns: the topic of ours */
    struct jq *jq;
    struct arena arena;
    struct erp_csv csv;
    struct numbers *numbers; /* of interchanges of X12; NULL: nowhere to keep them */
    struct losses *losses;   /* NULL: nobody asks what a document does not say */
    struct identity sender, receiver;
    struct run *first, **last;
    uint32_t waiting;
};

/* What is made of one event: a document for each output of its mapping. */
struct making {
    struct outbound *outbound;
    const uint8_t *event;
    size_t length;
    const ProtobufCMessageDescriptor *kind; /* of its data; NULL: it is no canonical message */
    struct outbound_document *documents;    /* owns, and the events of all that are not `event` */
    size_t count, capacity;
    bool later;
    char why[OUTBOUND_WHY_BYTES]; /* empty: nothing has failed */
};

static bool fail(struct making *making, const char *stage, const char *text) {
    (void)snprintf(making->why, sizeof making->why, "%s%s%s", stage, *stage != '\0' ? ": " : "", text);
    return false;
}

static bool fail_now(struct making *making) {
    making->later = true;
    return fail(making, "", "out of memory");
}

/* ---- documents ---- */

/* Takes the event over, unless it is the original. */
static bool document_add(struct making *making, uint8_t *event, size_t length) {
    if (making->count == making->capacity) {
        size_t capacity = making->capacity != 0 ? 2 * making->capacity : 4;
        struct outbound_document *more = realloc(making->documents, capacity * sizeof *more);
        if (more == NULL) {
            if (event != making->event)
                free(event);
            return fail_now(making);
        }
        making->documents = more;
        making->capacity = capacity;
    }
    struct outbound_document *document = &making->documents[making->count++];
    uint32_t kind;
    *document = (struct outbound_document){.event = event, .event_length = length};
    if (!event_data(event, length, &document->data, &document->data_length, &kind))
        document->data = (const uint8_t *)"";
    return true;
}

static bool document_as_it_is(struct making *making) {
    return document_add(making, (uint8_t *)(uintptr_t)making->event, making->length);
}

/* The event with this as its data. */
static bool document_make(struct making *making, uint32_t part, const void *data, size_t length) {
    struct fault fault;
    uint8_t *event;
    size_t event_length;
    struct remake what = {.event = making->event,
                          .length = making->length,
                          .part = part,
                          .contenttype = formats[making->outbound->format].contenttype,
                          .kind = utf8_valid(data, length) ? EVENT_TEXT : EVENT_BINARY,
                          .data = data,
                          .data_length = length};
    if (!remake(&what, &event, &event_length, &fault))
        return fault.code == RH_CODE_INTERNAL ? fail_now(making) : fail(making, "event", fault.text);
    return document_add(making, event, event_length);
}

/* ---- messages as text ---- */

static const Roundhouse__Erp__V1__Origin *origin_of(const ProtobufCMessage *message) {
    const Roundhouse__Erp__V1__Header *header = erp_header(message);
    return header != NULL ? header->origin : NULL;
}

/* References of an interchange of ours: the same for the same event, so that the partner knows a repetition.
 */
struct references {
    char interchange[16], group[16];
};

static void numbers_show(struct references *made, uint32_t number) {
    (void)snprintf(made->interchange, sizeof made->interchange, "%09" PRIu32, number);
    (void)snprintf(made->group, sizeof made->group, "%" PRIu32, number);
}

/* EDIFACT has room for a hash; of X12's nine digits many partners take each number only once. */
static bool references_make(struct making *making, uint32_t part, struct references *made) {
    struct attribute id = {0}, source = {0};
    uint32_t number;
    (void)attribute_find(making->event, making->length, "id", &id);
    (void)attribute_find(making->event, making->length, "source", &source);
    uint64_t hash = XXH3_64bits_withSeed(id.data, id.length, part);
    hash = XXH3_64bits_withSeed(source.data, source.length, hash);
    if (making->outbound->format != OUT_X12) {
        (void)snprintf(made->interchange, sizeof made->interchange, "%014llX",
                       (unsigned long long)(hash & ((1ull << 56) - 1)));
        return true;
    }
    numbers_show(made, (uint32_t)(hash % NUMBERS_MOST) + 1);
    if (making->outbound->numbers == NULL)
        return true;
    XXH128_hash_t key = XXH3_128bits_withSeed(id.data, id.length, part);
    key.high64 ^= hash;
    int result = numbers_take(making->outbound->numbers,
                              (struct numbers_key){.low = key.low64, .high = key.high64}, &number);
    if (result == 0) {
        numbers_show(made, number);
        return true;
    }
    making->later = true;
    return fail(making, "x12: the interchange's number can not be kept", strerror(-result));
}

/* An interchange that comes from elsewhere keeps its reference, unless it is sent in our name. */
static bool interchange_ours(const struct making *making, const ProtobufCMessage *message) {
    const Roundhouse__Erp__V1__Origin *origin = origin_of(message);
    return making->outbound->sender.text != NULL || origin == NULL || *origin->interchange_ref == '\0';
}

/* When the event was made: the same event makes the same bytes, however often it goes out. */
static time_t prepared(const struct making *making) {
    struct attribute made;
    int64_t seconds;
    uint32_t nanos;
    return attribute_find(making->event, making->length, "time", &made) &&
                   attribute_time(&made, &seconds, &nanos)
               ? (time_t)seconds
               : time(NULL);
}

static struct erp_edi_options edi_options(const struct making *making, const ProtobufCMessage *message,
                                          const struct references *references) {
    const struct outbound *outbound = making->outbound;
    const Roundhouse__Erp__V1__Origin *origin = origin_of(message);
    struct erp_edi_options options = {.sender = outbound->sender.party, .receiver = outbound->receiver.party};
    time_t now = prepared(making);
    struct tm tm;
    if (interchange_ours(making, message)) {
        options.interchange_ref = references->interchange;
        options.group_ref = outbound->format == OUT_X12 ? references->group : NULL;
    }
    if ((origin == NULL || origin->prepared == NULL) && gmtime_r(&now, &tm) != NULL) {
        options.date = (tm.tm_year + 1900) * 10000 + (tm.tm_mon + 1) * 100 + tm.tm_mday;
        options.time = tm.tm_hour * 10000 + tm.tm_min * 100 + tm.tm_sec;
    }
    return options;
}

/* False: the format has nothing for this kind of message, or it is refused. */
static bool document_compared(struct making *making, const ProtobufCMessage *message,
                              const struct erp_edi_options *options, struct bytes *text) {
    static const enum outlet_format outlets[OUT_FORMATS] = {
        [OUT_EDIFACT] = OUTLET_EDIFACT, [OUT_X12] = OUTLET_X12, [OUT_UBL] = OUTLET_UBL};
    enum outbound_format format = making->outbound->format;
    struct losses_document document = {.format = outlets[format],
                                       .message = message,
                                       .options = options,
                                       .event = making->event,
                                       .event_length = making->length};
    char why[OUTBOUND_WHY_BYTES - sizeof "edifact: "];
    enum outlet_result result = losses_write(making->outbound->losses, &document, text, why, sizeof why);
    text->failed |= result == OUTLET_NO_MEMORY;
    if (*why != '\0')
        (void)fail(making, formats[format].name, why);
    return result != OUTLET_NONE && *why == '\0';
}

/* False: as above. */
static bool message_write(struct making *making, uint32_t part, const ProtobufCMessage *message,
                          struct bytes *text) {
    struct outbound *outbound = making->outbound;
    struct references references;
    switch (outbound->format) {
    case OUT_JSON:
        erp_json_write(message, text);
        return true;
    case OUT_CSV:
        erp_csv_header(&outbound->csv, text);
        return erp_csv_write(&outbound->csv, message, text);
    case OUT_UBL:
        return outbound->losses != NULL ? document_compared(making, message, NULL, text)
                                        : erp_ubl_write(message, text);
    default:
        break;
    }
    if (interchange_ours(making, message) && !references_make(making, part, &references))
        return false;
    struct erp_edi_options options = edi_options(making, message, &references);
    if (outbound->losses != NULL)
        return document_compared(making, message, &options, text);
    return outbound->format == OUT_EDIFACT ? erp_edifact_write(message, &options, text)
                                           : erp_x12_write(message, &options, text);
}

static bool document_of_message(struct making *making, uint32_t part, const ProtobufCMessage *message) {
    struct bytes text = {0};
    bool good = message_write(making, part, message, &text);
    if (text.failed)
        good = fail_now(making);
    else if (good)
        good = document_make(making, part, text.data, text.length);
    else if (making->why[0] == '\0') {
        char none[128];
        (void)snprintf(none, sizeof none, "there is no document for a message of the kind %s",
                       message->descriptor->short_name);
        (void)fail(making, formats[making->outbound->format].name, none);
    }
    bytes_free(&text);
    return good;
}

/* ---- without a mapping ---- */

static bool is_json(const struct making *making, const uint8_t **data, size_t *length) {
    struct attribute type;
    uint32_t kind;
    if (!event_data(making->event, making->length, data, length, &kind) || kind == EVENT_PROTO)
        return false;
    bool said = !attribute_find(making->event, making->length, "datacontenttype", &type) ||
                media_json((const char *)type.data, type.length);
    return said && json_text_fault((const char *)*data, *length, false) == NULL;
}

static bool document_plain(struct making *making) {
    enum outbound_format format = making->outbound->format;
    const uint8_t *data;
    size_t length;
    if (format == OUT_EVENT)
        return document_as_it_is(making);
    ProtobufCMessage *message = remake_message(making->event, making->length);
    if (message != NULL) {
        bool good = document_of_message(making, 1, message);
        protobuf_c_message_free_unpacked(message, NULL);
        return good;
    }
    if (format == OUT_JSON && is_json(making, &data, &length))
        return document_as_it_is(making);
    return fail(making, formats[format].name,
                format == OUT_JSON ? "the event's data is neither a canonical message nor JSON"
                                   : "the event's data is no canonical message");
}

/* ---- what a mapping gave ---- */

static bool document_of_output(struct making *making, uint32_t part, const struct jq_output *output) {
    char error[ERP_JSON_ERROR_BYTES];
    struct arena *arena = &making->outbound->arena;
    if (making->outbound->format == OUT_JSON)
        return document_make(making, part, output->json, output->length);
    if (making->kind == NULL)
        return fail(making, formats[making->outbound->format].name,
                    "the event's data is no canonical message, so nothing says what the mapping's output is");
    arena_reset(arena);
    ProtobufCMessage *message = erp_json_read(making->kind, output->json, output->length, arena, error);
    if (message == NULL)
        return fail(making, "what the mapping gave is no canonical message", error);
    return document_of_message(making, part, message);
}

static void making_tell(struct making *making, outbound_on_result *on_result, void *user) {
    struct outbound_result result = {.failed = making->why[0] != '\0' ? making->why : NULL,
                                     .later = making->later,
                                     .documents = making->documents,
                                     .count = making->why[0] != '\0' ? 0 : making->count};
    on_result(user, &result);
    for (size_t i = 0; i < making->count; i++)
        if (making->documents[i].event != making->event)
            free((uint8_t *)(uintptr_t)making->documents[i].event);
    free(making->documents);
}

static const ProtobufCMessageDescriptor *kind_of(const uint8_t *event, size_t length) {
    ProtobufCMessage *message = remake_message(event, length);
    const ProtobufCMessageDescriptor *kind = message != NULL ? message->descriptor : NULL;
    if (message != NULL)
        protobuf_c_message_free_unpacked(message, NULL);
    return kind;
}

static void answer_make(struct making *making, const struct jq_answer *answer) {
    if (answer->result != JQ_OK) {
        making->later = answer->result == JQ_DIED;
        (void)fail(making, "mapping", answer->text);
        return;
    }
    if (!making->outbound->mapped) {
        if (answer->count > 0)
            (void)document_plain(making);
        return;
    }
    if (making->outbound->format != OUT_JSON)
        making->kind = kind_of(making->event, making->length);
    for (size_t i = 0; i < answer->count; i++)
        if (!document_of_output(making, (uint32_t)i + 1, &answer->outputs[i]))
            return;
}

/* ---- one after the other ---- */

static void run_end(struct outbound *outbound, struct run *run) {
    outbound->first = run->next;
    outbound->waiting--;
    free(run->event);
    free(run);
}

/* Those that waited for others only. */
static void runs_go(struct outbound *outbound) {
    for (struct run *run; (run = outbound->first) != NULL && !run->asked;) {
        struct making making = {.outbound = outbound, .event = run->event, .length = run->length};
        (void)document_as_it_is(&making);
        making_tell(&making, run->on_result, run->user);
        run_end(outbound, run);
    }
}

static void on_answer(void *user, const struct jq_answer *answer) {
    struct outbound *outbound = user;
    struct run *run = outbound->first;
    struct making making = {.outbound = outbound, .event = run->event, .length = run->length};
    answer_make(&making, answer);
    making_tell(&making, run->on_result, run->user);
    run_end(outbound, run);
    runs_go(outbound);
}

static int run_add(struct outbound *outbound, const uint8_t *event, size_t length, bool asked,
                   outbound_on_result *on_result, void *user) {
    struct run *run = calloc(1, sizeof *run);
    uint8_t *copy = malloc(length + 1);
    if (run == NULL || copy == NULL) {
        free(run);
        free(copy);
        return -ENOMEM;
    }
    memcpy(copy, event, length);
    *run =
        (struct run){.event = copy, .length = length, .asked = asked, .on_result = on_result, .user = user};
    if (outbound->first == NULL)
        outbound->last = &outbound->first;
    *outbound->last = run;
    outbound->last = &run->next;
    outbound->waiting++;
    return 0;
}

/* Takes back the run that was added last, for which there is no room. */
static void run_drop(struct outbound *outbound) {
    struct run **at = &outbound->first;
    while ((*at)->next != NULL)
        at = &(*at)->next;
    struct run *run = *at;
    *at = NULL;
    outbound->last = at;
    outbound->waiting--;
    free(run->event);
    free(run);
}

static int jq_ask(struct outbound *outbound, const char *topic, size_t topic_length, const uint8_t *event,
                  size_t length, outbound_on_result *on_result, void *user) {
    struct bytes json = {0}, input = {0};
    struct fault fault = {.text = ""};
    ProtobufCMessage *message = remake_message(event, length);
    if (message != NULL) {
        erp_json_write(message, &json);
        protobuf_c_message_free_unpacked(message, NULL);
    }
    bool good = !json.failed && remake_input(event, length, topic, topic_length,
                                             message != NULL ? &json : NULL, &input, &fault);
    bytes_free(&json);
    if (!good && fault.code == RH_CODE_INVALID) {
        struct making making = {.outbound = outbound, .event = event, .length = length};
        (void)fail(&making, "event", fault.text);
        making_tell(&making, on_result, user);
        return 0;
    }
    int result = good ? 0 : -ENOMEM;
    if (result == 0)
        result = run_add(outbound, event, length, true, on_result, user);
    if (result == 0) {
        result = jq_run(outbound->jq, (const char *)input.data, input.length, on_answer, outbound);
        if (result != 0)
            run_drop(outbound);
    }
    bytes_free(&input);
    return result;
}

static bool acknowledges(const struct outbound *outbound, const char *topic, size_t topic_length,
                         const uint8_t *event, size_t length) {
    struct attribute type;
    const size_t n = sizeof INBOUND_ACKNOWLEDGEMENT_TYPE - 1;
    if (!attribute_find(event, length, "type", &type) || type.length != n ||
        memcmp(type.data, INBOUND_ACKNOWLEDGEMENT_TYPE, n) != 0)
        return false;
    return topic_length == 0 || (topic_length == strlen(outbound->acknowledgement) &&
                                 memcmp(topic, outbound->acknowledgement, topic_length) == 0);
}

int outbound_run_on(struct outbound *outbound, const char *topic, size_t topic_length, const uint8_t *event,
                    size_t event_length, outbound_on_result *on_result, void *user) {
    bool document = acknowledges(outbound, topic, topic_length, event, event_length);
    if (outbound->jq != NULL && !document && outbound->waiting >= OUTBOUND_WAITING_MAX)
        return -EAGAIN;
    if (outbound->jq != NULL && !document)
        return jq_ask(outbound, topic, topic_length, event, event_length, on_result, user);
    if (outbound->first != NULL)
        return run_add(outbound, event, event_length, false, on_result, user);
    struct making making = {.outbound = outbound, .event = event, .length = event_length};
    (void)(document ? document_as_it_is(&making) : document_plain(&making));
    making_tell(&making, on_result, user);
    return 0;
}

int outbound_run(struct outbound *outbound, const uint8_t *event, size_t event_length,
                 outbound_on_result *on_result, void *user) {
    return outbound_run_on(outbound, "", 0, event, event_length, on_result, user);
}

/* ---- making and freeing ---- */

static bool identity_read(struct identity *identity, const char *text) {
    if (text == NULL)
        return true;
    identity->text = strdup(text);
    if (identity->text == NULL)
        return false;
    char *colon = strchr(identity->text, ':');
    if (colon == NULL)
        identity->party = (struct erp_edi_party){.id = identity->text};
    else {
        *colon = '\0';
        identity->party = (struct erp_edi_party){.id = colon + 1, .qualifier = identity->text};
    }
    return true;
}

static bool csv_read(struct outbound *outbound, const char *text, char *why, size_t why_bytes) {
    struct layout_error error = {0};
    if (outbound->format != OUT_CSV)
        return true;
    if (text == NULL) {
        (void)snprintf(why, why_bytes, "csv: the format csv needs a template");
        return false;
    }
    int result = erp_csv_read(&outbound->csv, text, strlen(text), &error);
    if (result != 0)
        (void)snprintf(why, why_bytes, "csv: line %u: %s", (unsigned)error.line,
                       result == -ENOMEM ? "out of memory" : error.text);
    return result == 0;
}

static bool format_choose(struct outbound *outbound, const struct outbound_options *options, char *why,
                          size_t why_bytes) {
    const char *name = options->format;
    outbound->mapped = options->mapping != NULL;
    outbound->format = outbound->mapped ? OUT_JSON : OUT_EVENT;
    for (int i = 0; name != NULL && i <= OUT_FORMATS; i++) {
        if (i == OUT_FORMATS) {
            (void)snprintf(why, why_bytes, "format: json, event, edifact, x12, ubl or csv, not '%.60s'",
                           name);
            return false;
        }
        outbound->format = (enum outbound_format)i;
        if (strcmp(name, formats[i].name) == 0)
            break;
    }
    if (outbound->mapped && outbound->format == OUT_EVENT) {
        (void)snprintf(why, why_bytes, "format: event is the data as it came, so there can be no mapping");
        return false;
    }
    return true;
}

static bool losses_choose(struct outbound *outbound, const struct outbound_options *options, char *why,
                          size_t why_bytes) {
    enum outbound_format format = outbound->format;
    if (format != OUT_EDIFACT && format != OUT_X12 && format != OUT_UBL) {
        if (options->losses == LOSSES_REFUSE)
            (void)snprintf(why, why_bytes,
                           "losses: refuse is for edifact, x12 and ubl; json and event have "
                           "everything, csv has what its template names");
        return options->losses != LOSSES_REFUSE;
    }
    if (options->losses == LOSSES_IGNORE)
        return true;
    outbound->losses = losses_new(options->name, options->losses, options->counters);
    (void)snprintf(why, why_bytes, "out of memory");
    return outbound->losses != NULL;
}

static bool numbers_choose(struct outbound *outbound, const struct outbound_options *options, char *why,
                           size_t why_bytes) {
    if (outbound->format != OUT_X12 || options->state_dir == NULL)
        return true;
    outbound->numbers = numbers_open(options->state_dir, why, why_bytes);
    return outbound->numbers != NULL;
}

/* Filter and mapping are one program: what the filter leaves out has no output. */
static bool jq_start(struct outbound *outbound, const struct outbound_options *options, char *why,
                     size_t why_bytes) {
    struct bytes program = {0};
    char name[128], fault[512] = "out of memory";
    if (options->filter == NULL && options->mapping == NULL)
        return true;
    bytes_text(&program, ". as $event | .data");
    if (options->filter != NULL) {
        bytes_text(&program, " | select(first((");
        bytes_text(&program, options->filter);
        bytes_text(&program, "\n)))"); /* a comment may be its last line */
    }
    bytes_text(&program, " | (");
    bytes_text(&program, options->mapping != NULL ? options->mapping : "1");
    bytes_add(&program, "\n)", 3);
    (void)snprintf(name, sizeof name, "%s:outbound", options->name);
    struct jq_options jq = {.executable = options->executable,
                            .name = name,
                            .program = (const char *)program.data,
                            .variables = options->variables};
    if (!program.failed)
        outbound->jq = jq_new(options->base, &jq, fault, sizeof fault);
    bytes_free(&program);
    if (outbound->jq == NULL)
        (void)snprintf(why, why_bytes, "%s: %s", options->mapping != NULL ? "mapping" : "filter", fault);
    return outbound->jq != NULL;
}

struct outbound *outbound_new(const struct outbound_options *options, char *why, size_t why_bytes) {
    struct outbound *outbound = calloc(1, sizeof *outbound);
    (void)snprintf(why, why_bytes, "out of memory");
    if (outbound == NULL)
        return NULL;
    if (asprintf(&outbound->acknowledgement, INBOUND_ACKNOWLEDGEMENT_TOPIC, options->name) < 0)
        outbound->acknowledgement = NULL;
    bool good = outbound->acknowledgement != NULL && identity_read(&outbound->sender, options->sender) &&
                identity_read(&outbound->receiver, options->receiver);
    if (good && format_choose(outbound, options, why, why_bytes) &&
        losses_choose(outbound, options, why, why_bytes) &&
        numbers_choose(outbound, options, why, why_bytes) &&
        csv_read(outbound, options->csv, why, why_bytes) && jq_start(outbound, options, why, why_bytes))
        return outbound;
    outbound_free(outbound);
    return NULL;
}

void outbound_free(struct outbound *outbound) {
    if (outbound == NULL)
        return;
    jq_free(outbound->jq);
    while (outbound->first != NULL)
        run_end(outbound, outbound->first);
    losses_free(outbound->losses);
    numbers_close(outbound->numbers);
    erp_csv_free(&outbound->csv);
    arena_free(&outbound->arena);
    free(outbound->sender.text);
    free(outbound->receiver.text);
    free(outbound->acknowledgement);
    free(outbound);
}
