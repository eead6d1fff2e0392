#include "core/bridge/acknowledge.h"

#include "codecs/edi/control.h"
#include "codecs/edi/functional_ack.h"
#include "codecs/erp/event.h"
#include "codecs/event/compose.h"
#include "codecs/event/fields.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/utf8.h"
#include "core/bridge/retell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REFERENCE_BYTES 64u                   /* of an interchange's reference */
#define KEPT_MAX        (64u * 1024u * 1024u) /* of one interchange; with more there is no acknowledgement */
#define EVENT_BYTES     512u                  /* about what its event has beside that */

struct refusal {
    uint32_t message; /* its number in the document */
    enum finding_code code;
};

struct acknowledger {
    struct acknowledger_options options;
    struct document_sink inner;
    struct erp_digest *digest;
    struct control *control;
    struct functional_ack *functional;
    char date[9], time[5];
    bool digested;
    uint8_t file[ERP_DIGEST_BYTES]; /* the document's digest */
    /* What is read. */
    bool active;           /* its interchange gets an acknowledgement */
    uint32_t errors;       /* of its message that ends now */
    uint32_t messages;     /* of this document and such interchanges */
    struct retell kept;    /* of such interchanges */
    size_t whole;          /* bytes of it: of those that have ended */
    uint32_t interchanges; /* so many */
    struct bytes refusals; /* struct refusal: of messages that were good when they were read */
    /* The interchange that is told. */
    struct document_sink sink;
    size_t refusals_told;
    const char *contenttype;
    char id[33], reference[REFERENCE_BYTES];
};

/* ---- the event ---- */

static void text_attribute(struct bytes *event, const char *name, const char *text) {
    size_t n = strlen(text);
    if (n > 0 && utf8_clean((const uint8_t *)text, n))
        compose_attribute(event, name, VALUE_STRING, text, n);
}

static void on_done(void *context, const char *text, size_t length) {
    struct acknowledger *acknowledger = context;
    struct bytes event = {0};
    struct fault fault;
    char source[128];
    uint8_t *made;
    size_t made_length;
    uint64_t now = clock_wall_ns();
    (void)snprintf(source, sizeof source, "/spoke/%s", acknowledger->options.name);
    bytes_field(&event, EVENT_ID, acknowledger->id, strlen(acknowledger->id));
    bytes_field(&event, EVENT_SOURCE, source, strlen(source));
    bytes_field(&event, EVENT_SPEC_VERSION, "1.0", 3);
    bytes_field(&event, EVENT_TYPE, INBOUND_ACKNOWLEDGEMENT_TYPE, sizeof INBOUND_ACKNOWLEDGEMENT_TYPE - 1);
    compose_time(&event, "time", (int64_t)(now / NS_PER_S), (uint32_t)(now % NS_PER_S));
    text_attribute(&event, "subject", acknowledger->reference);
    text_attribute(&event, "partner", acknowledger->options.name);
    text_attribute(&event, "datacontenttype", acknowledger->contenttype);
    bool plain = utf8_valid((const uint8_t *)text, length);
    bytes_field(&event, plain ? EVENT_TEXT : EVENT_BINARY, text, length);
    if (compose_done(&event, &made, &made_length, &fault))
        acknowledger->options.made(acknowledger->options.context, made, made_length);
    else
        acknowledger->options.lost(acknowledger->options.context);
}

/* ---- what is read ---- */

/* Nobody could read one about so much, nor would it fit into an event. */
static void keep_within(struct acknowledger *acknowledger) {
    if (acknowledger->kept.bytes.length - acknowledger->whole <= KEPT_MAX)
        return;
    acknowledger->kept.bytes.length = acknowledger->whole;
    acknowledger->active = false;
}

static void interchange_begin(struct acknowledger *acknowledger, const struct document_head *head) {
    const struct inbound_acknowledge *ask = &acknowledger->options.ask;
    bool asked =
        value_is(head->format, "EDIFACT")
            ? ask->edifact == ACKNOWLEDGE_ALWAYS || (ask->edifact == ACKNOWLEDGE_ASKED && head->acknowledge)
            : value_is(head->format, "X12") && ask->x12 != ACKNOWLEDGE_X12_NONE;
    acknowledger->active = asked && head->sender.id.length > 0; /* else nobody could be told */
}

static void on_begin(void *context, enum document_scope scope, const struct document_head *head) {
    struct acknowledger *acknowledger = context;
    if (scope == DOCUMENT_INTERCHANGE)
        interchange_begin(acknowledger, head);
    if (acknowledger->active && scope <= DOCUMENT_MESSAGE)
        retell_begin(&acknowledger->kept, scope, head, acknowledger->messages);
    acknowledger->messages += acknowledger->active && scope == DOCUMENT_MESSAGE;
    acknowledger->inner.begin(acknowledger->inner.context, scope, head);
}

static void on_segment(void *context, const struct segment *segment) {
    struct acknowledger *acknowledger = context;
    acknowledger->inner.segment(acknowledger->inner.context, segment);
    if (acknowledger->active && segment->place.segment == 0)
        retell_outside(&acknowledger->kept);
}

/* What the mapping refuses is refused as well. */
static void on_end(void *context, enum document_scope scope, const struct document_tail *tail) {
    struct acknowledger *acknowledger = context;
    struct document_tail told = *tail;
    acknowledger->errors = 0;
    acknowledger->inner.end(acknowledger->inner.context, scope, tail);
    if (scope == DOCUMENT_MESSAGE && acknowledger->errors > told.errors)
        told.errors = acknowledger->errors;
    if (!acknowledger->active || scope > DOCUMENT_MESSAGE)
        return;
    retell_end(&acknowledger->kept, scope, &told);
    keep_within(acknowledger);
    if (scope != DOCUMENT_INTERCHANGE || !acknowledger->active)
        return;
    acknowledger->active = false;
    acknowledger->whole = acknowledger->kept.bytes.length;
    acknowledger->interchanges++;
}

/* It comes back by acknowledger_finding, with those of the mapping. */
static void on_finding(void *context, const struct finding *finding) {
    struct acknowledger *acknowledger = context;
    acknowledger->inner.finding(acknowledger->inner.context, finding);
}

struct document_sink acknowledger_sink(struct acknowledger *acknowledger, struct document_sink inner) {
    acknowledger->inner = inner;
    return (struct document_sink){.context = acknowledger,
                                  .begin = on_begin,
                                  .segment = on_segment,
                                  .end = on_end,
                                  .finding = on_finding};
}

void acknowledger_finding(struct acknowledger *acknowledger, const struct finding *finding) {
    if (!acknowledger->active || finding->scope > DOCUMENT_MESSAGE)
        return;
    retell_finding(&acknowledger->kept, finding);
    keep_within(acknowledger);
}

void acknowledger_errors(struct acknowledger *acknowledger, uint32_t errors) {
    acknowledger->errors = errors;
}

uint32_t acknowledger_message(const struct acknowledger *acknowledger) {
    return acknowledger->active ? acknowledger->messages : 0;
}

void acknowledger_refuse(struct acknowledger *acknowledger, uint32_t message, enum finding_code code) {
    struct refusal refusal = {.message = message, .code = code};
    if (message > 0)
        bytes_add(&acknowledger->refusals, &refusal, sizeof refusal);
}

/* ---- what is told, when the fate of all messages is known ---- */

static void id_add(struct acknowledger *acknowledger, struct value value) {
    uint8_t length[4] = {(uint8_t)(value.length >> 24), (uint8_t)(value.length >> 16),
                         (uint8_t)(value.length >> 8), (uint8_t)value.length};
    erp_digest_add(acknowledger->digest, length, sizeof length);
    erp_digest_add(acknowledger->digest, value.bytes, value.length);
}

static void tell_interchange(struct acknowledger *acknowledger, const struct document_head *head) {
    bool edifact = value_is(head->format, "EDIFACT");
    acknowledger->sink =
        edifact ? control_sink(acknowledger->control) : functional_ack_sink(acknowledger->functional);
    acknowledger->contenttype = edifact ? "application/EDIFACT" : "application/EDI-X12";
    id_add(acknowledger, head->format);
    id_add(acknowledger, head->sender.id);
    id_add(acknowledger, head->receiver.id);
    id_add(acknowledger, head->interchange_ref);
    id_add(acknowledger, head->date);
    id_add(acknowledger, head->time);
    if (acknowledger->digested)
        erp_digest_add(acknowledger->digest, acknowledger->file, sizeof acknowledger->file);
    (void)snprintf(acknowledger->reference, sizeof acknowledger->reference, "%.*s",
                   (int)head->interchange_ref.length, (const char *)head->interchange_ref.bytes);
}

/* Another verdict is another acknowledgement. */
static void id_verdict(struct acknowledger *acknowledger, uint32_t number, uint32_t errors) {
    uint8_t verdict[8];
    for (unsigned i = 0; i < 4; i++) {
        verdict[i] = (uint8_t)(number >> 8 * i);
        verdict[4 + i] = (uint8_t)(errors >> 8 * i);
    }
    if (errors > 0)
        erp_digest_add(acknowledger->digest, verdict, sizeof verdict);
}

static void id_make(struct acknowledger *acknowledger) {
    uint8_t digest[ERP_DIGEST_BYTES];
    erp_digest_take(acknowledger->digest, digest);
    for (size_t i = 0; i < 16; i++)
        (void)snprintf(acknowledger->id + 2 * i, 3, "%02x", digest[i]);
}

/* Those of messages before `number` have been told. */
static uint32_t tell_refusals(struct acknowledger *acknowledger, uint32_t number) {
    uint32_t errors = 0;
    struct refusal refusal;
    for (; acknowledger->refusals_told < acknowledger->refusals.length;
         acknowledger->refusals_told += sizeof refusal) {
        memcpy(&refusal, acknowledger->refusals.data + acknowledger->refusals_told, sizeof refusal);
        if (refusal.message > number)
            break;
        struct finding finding = {.code = refusal.code, .severity = FINDING_ERROR, .scope = DOCUMENT_MESSAGE};
        if (refusal.message < number)
            continue; /* of an interchange that was too much */
        acknowledger->sink.finding(acknowledger->sink.context, &finding);
        errors++;
    }
    return errors;
}

static void tell_end(struct acknowledger *acknowledger, struct retold *retold, uint32_t number) {
    if (retold->scope == DOCUMENT_MESSAGE)
        retold->tail.errors += tell_refusals(acknowledger, number);
    id_verdict(acknowledger, retold->scope == DOCUMENT_MESSAGE ? number - retold->number : 0,
               retold->tail.errors);
    if (retold->scope == DOCUMENT_INTERCHANGE)
        id_make(acknowledger);
    acknowledger->sink.end(acknowledger->sink.context, retold->scope, &retold->tail);
}

static void tell_all(struct acknowledger *acknowledger) {
    static const struct segment outside;
    struct retold retold = {.number = 0};
    uint32_t number = 0; /* of the message */
    for (size_t at = 0; at < acknowledger->whole;) {
        at = retell_read(&acknowledger->kept, at, &retold);
        switch (retold.kind) {
        case RETOLD_BEGIN:
            if (retold.scope == DOCUMENT_INTERCHANGE) {
                tell_interchange(acknowledger, &retold.head);
                number = retold.number;
            }
            number += retold.scope == DOCUMENT_MESSAGE;
            acknowledger->sink.begin(acknowledger->sink.context, retold.scope, &retold.head);
            break;
        case RETOLD_END:
            tell_end(acknowledger, &retold, number);
            break;
        case RETOLD_FINDING:
            acknowledger->sink.finding(acknowledger->sink.context, &retold.finding);
            break;
        case RETOLD_OUTSIDE:
            acknowledger->sink.segment(acknowledger->sink.context, &outside);
            break;
        }
    }
}

static int refusals_order(const void *a, const void *b) {
    const struct refusal *first = a, *second = b;
    if (first->message != second->message)
        return first->message < second->message ? -1 : 1;
    return (first->code > second->code) - (first->code < second->code);
}

static bool has_failed(const struct acknowledger *acknowledger) {
    return acknowledger->kept.bytes.failed || acknowledger->refusals.failed;
}

static void bytes_drop(struct bytes *bytes, size_t n) {
    if (n == bytes->length)
        bytes_free(bytes);
    else if (n > 0) {
        memmove(bytes->data, bytes->data + n, bytes->length - n);
        bytes->length -= n;
    }
}

static void forget_all(struct acknowledger *acknowledger) {
    retell_free(&acknowledger->kept);
    bytes_free(&acknowledger->refusals);
    acknowledger->whole = 0;
    acknowledger->interchanges = acknowledger->messages = 0;
    acknowledger->active = false;
}

size_t acknowledger_owed(const struct acknowledger *acknowledger) {
    return acknowledger->whole + acknowledger->interchanges * EVENT_BYTES + has_failed(acknowledger);
}

void acknowledger_settle(struct acknowledger *acknowledger, bool known) {
    if (has_failed(acknowledger)) {
        acknowledger->options.lost(acknowledger->options.context);
        forget_all(acknowledger);
        return;
    }
    acknowledger->refusals_told = 0;
    if (acknowledger->refusals.length > 0)
        qsort(acknowledger->refusals.data, acknowledger->refusals.length / sizeof(struct refusal),
              sizeof(struct refusal), refusals_order);
    if (known)
        tell_all(acknowledger);
    bytes_drop(&acknowledger->refusals, acknowledger->refusals_told);
    bytes_drop(&acknowledger->kept.bytes, acknowledger->whole);
    acknowledger->whole = 0;
    acknowledger->interchanges = 0;
}

/* ---- making and freeing ---- */

struct acknowledger *acknowledger_new(const struct acknowledger_options *options) {
    struct acknowledger *acknowledger = calloc(1, sizeof *acknowledger);
    if (acknowledger == NULL)
        return NULL;
    acknowledger->options = *options;
    acknowledger->digest = erp_digest_new();
    if (acknowledger->digest != NULL)
        return acknowledger;
    acknowledger_free(acknowledger);
    return NULL;
}

bool acknowledger_begin(struct acknowledger *acknowledger, uint32_t number, const uint8_t *digest) {
    const struct inbound_acknowledge *ask = &acknowledger->options.ask;
    time_t now = time(NULL);
    struct tm tm = {0};
    (void)gmtime_r(&now, &tm);
    (void)strftime(acknowledger->date, sizeof acknowledger->date, "%Y%m%d", &tm);
    (void)strftime(acknowledger->time, sizeof acknowledger->time, "%H%M", &tm);
    control_destroy(acknowledger->control);
    functional_ack_destroy(acknowledger->functional);
    acknowledger->control = NULL;
    acknowledger->functional = NULL;
    acknowledger->digested = digest != NULL;
    if (digest != NULL)
        memcpy(acknowledger->file, digest, sizeof acknowledger->file);
    forget_all(acknowledger);
    struct control_options control = {.date = acknowledger->date,
                                      .time = acknowledger->time,
                                      .number = number,
                                      .context = acknowledger,
                                      .done = on_done};
    struct functional_ack_options functional = {.date = acknowledger->date,
                                                .time = acknowledger->time,
                                                .number = number,
                                                .kind = ask->x12 == ACKNOWLEDGE_X12_997 ? FUNCTIONAL_ACK_997
                                                        : ask->x12 == ACKNOWLEDGE_X12_999
                                                            ? FUNCTIONAL_ACK_999
                                                            : FUNCTIONAL_ACK_NONE,
                                                .technical = ask->ta1 || ask->x12 == ACKNOWLEDGE_X12_TA1,
                                                .context = acknowledger,
                                                .done = on_done};
    return control_create(&acknowledger->control, &control) == 0 &&
           functional_ack_create(&acknowledger->functional, &functional) == 0;
}

void acknowledger_free(struct acknowledger *acknowledger) {
    if (acknowledger == NULL)
        return;
    control_destroy(acknowledger->control);
    functional_ack_destroy(acknowledger->functional);
    erp_digest_free(acknowledger->digest);
    forget_all(acknowledger);
    free(acknowledger);
}
