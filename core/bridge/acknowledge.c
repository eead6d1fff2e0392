#include "core/bridge/acknowledge.h"

#include "codecs/edi/control.h"
#include "codecs/edi/functional_ack.h"
#include "codecs/erp/event.h"
#include "codecs/event/compose.h"
#include "codecs/event/fields.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REFERENCE_BYTES 64u /* of an interchange's reference */

struct acknowledger {
    struct acknowledger_options options;
    struct document_sink inner;
    struct erp_digest *digest;
    struct control *control;
    struct functional_ack *functional;
    char date[9], time[5];
    /* The interchange that is read. */
    bool active; /* it gets an acknowledgement, by `sink` */
    struct document_sink sink;
    const char *contenttype;
    char id[33], reference[REFERENCE_BYTES];
    uint32_t errors; /* of its message that ends now */
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

static void name_add(struct acknowledger *acknowledger, struct value value) {
    uint8_t length[4] = {(uint8_t)(value.length >> 24), (uint8_t)(value.length >> 16),
                         (uint8_t)(value.length >> 8), (uint8_t)value.length};
    erp_digest_add(acknowledger->digest, length, sizeof length);
    erp_digest_add(acknowledger->digest, value.bytes, value.length);
}

static void interchange_begin(struct acknowledger *acknowledger, const struct document_head *head) {
    const struct inbound_acknowledge *ask = &acknowledger->options.ask;
    uint8_t digest[ERP_DIGEST_BYTES];
    bool edifact = value_is(head->format, "EDIFACT");
    bool asked = edifact ? ask->edifact == ACKNOWLEDGE_ALWAYS ||
                               (ask->edifact == ACKNOWLEDGE_ASKED && head->acknowledge)
                         : value_is(head->format, "X12") && ask->x12 != ACKNOWLEDGE_X12_NONE;
    acknowledger->active = asked && head->sender.id.length > 0; /* else nobody could be told */
    if (!acknowledger->active)
        return;
    acknowledger->sink =
        edifact ? control_sink(acknowledger->control) : functional_ack_sink(acknowledger->functional);
    acknowledger->contenttype = edifact ? "application/EDIFACT" : "application/EDI-X12";
    name_add(acknowledger, head->format);
    name_add(acknowledger, head->sender.id);
    name_add(acknowledger, head->receiver.id);
    name_add(acknowledger, head->interchange_ref);
    name_add(acknowledger, head->date);
    name_add(acknowledger, head->time);
    erp_digest_take(acknowledger->digest, digest);
    for (size_t i = 0; i < 16; i++)
        (void)snprintf(acknowledger->id + 2 * i, 3, "%02x", digest[i]);
    (void)snprintf(acknowledger->reference, sizeof acknowledger->reference, "%.*s",
                   (int)head->interchange_ref.length, (const char *)head->interchange_ref.bytes);
}

static void on_begin(void *context, enum document_scope scope, const struct document_head *head) {
    struct acknowledger *acknowledger = context;
    if (scope == DOCUMENT_INTERCHANGE)
        interchange_begin(acknowledger, head);
    acknowledger->inner.begin(acknowledger->inner.context, scope, head);
    if (acknowledger->active)
        acknowledger->sink.begin(acknowledger->sink.context, scope, head);
}

static void on_segment(void *context, const struct segment *segment) {
    struct acknowledger *acknowledger = context;
    acknowledger->inner.segment(acknowledger->inner.context, segment);
    if (acknowledger->active)
        acknowledger->sink.segment(acknowledger->sink.context, segment);
}

/* What the mapping refuses is refused as well. */
static void on_end(void *context, enum document_scope scope, const struct document_tail *tail) {
    struct acknowledger *acknowledger = context;
    struct document_tail told = *tail;
    acknowledger->errors = 0;
    acknowledger->inner.end(acknowledger->inner.context, scope, tail);
    if (scope == DOCUMENT_MESSAGE && acknowledger->errors > told.errors)
        told.errors = acknowledger->errors;
    if (acknowledger->active)
        acknowledger->sink.end(acknowledger->sink.context, scope, &told);
    if (scope == DOCUMENT_INTERCHANGE)
        acknowledger->active = false;
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
    if (acknowledger->active)
        acknowledger->sink.finding(acknowledger->sink.context, finding);
}

void acknowledger_errors(struct acknowledger *acknowledger, uint32_t errors) {
    acknowledger->errors = errors;
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

bool acknowledger_begin(struct acknowledger *acknowledger, uint32_t number) {
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
    acknowledger->active = false;
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
    free(acknowledger);
}
