#include "core/spoke/watch.h"

#include "codecs/edi/edifact.h"
#include "codecs/edi/x12.h"
#include "codecs/event/attributes.h"
#include "codecs/event/compose.h"
#include "core/base/heap.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/logfmt.h"
#include "core/base/utf8.h"
#include "core/bridge/port.h"
#include "core/bridge/remake.h"
#include "roundhouse/erp/v1/erp.pb-c.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define WATCH_TOPIC    "erp.acknowledgement.received"
#define WATCH_QUIET_MS 10000u /* at a start: what came while there was no router is read first */
#define WATCH_AGAIN_MS 1000u  /* before what could not be published is tried again */
#define WATCH_SYNC_S   5u     /* what is known is on the disk after this */
#define WATCH_LONGEST  3600000u
#define WATCH_PIECE    4096u
#define NAME_BYTES     64u  /* of a party, of a reference; envelopes have 35 characters at most */
#define WORD_BYTES     512u /* of an attribute, in a log line */

/* What the envelope of a document says. */
struct names {
    char sender[NAME_BYTES], receiver[NAME_BYTES], interchange[NAME_BYTES], group[NAME_BYTES];
    bool known, good;
};

struct watch {
    struct watch_options options;
    struct awaited *awaited;
    struct port *port;
    struct event *timer, *sync;
    struct edifact_reader *edifact; /* one of the two */
    struct x12_reader *x12;
    struct document_sink sink;
    struct names names; /* of the document that is read */
    uint64_t quiet_until_ms, again_ms;
    bool joined, trouble; /* nothing can be published, which was told */
    struct logfmt_limit limit;
};

static uint64_t clock_now(void) {
    return clock_wall_ns() / NS_PER_MS;
}

static uint64_t now_of(const struct watch *watch) {
    return watch->options.now_ms != NULL ? watch->options.now_ms() : clock_now();
}

/* ---- what documents say of themselves ---- */

static bool name_take(char to[NAME_BYTES], struct value value) {
    if (value.length >= NAME_BYTES || !utf8_clean(value.bytes, value.length))
        return false;
    if (value.length > 0)
        memcpy(to, value.bytes, value.length);
    to[value.length] = '\0';
    return true;
}

/* A message's head says what the envelopes around it said. */
static void on_begin(void *context, enum document_scope scope, const struct document_head *head) {
    struct names *names = &((struct watch *)context)->names;
    if (scope != DOCUMENT_MESSAGE || names->known)
        return;
    names->known = true;
    names->good = name_take(names->sender, head->sender.id) &&
                  name_take(names->receiver, head->receiver.id) &&
                  name_take(names->interchange, head->interchange_ref) &&
                  name_take(names->group, head->group_ref) && names->interchange[0] != '\0';
}

static void on_segment(void *context, const struct segment *segment) {
    (void)context;
    (void)segment;
}

static void on_end(void *context, enum document_scope scope, const struct document_tail *tail) {
    (void)context;
    (void)scope;
    (void)tail;
}

static void on_finding(void *context, const struct finding *finding) {
    (void)context;
    (void)finding;
}

static bool document_read(struct watch *watch, const uint8_t *bytes, size_t length) {
    watch->names = (struct names){0};
    for (size_t at = 0; at < length && !watch->names.known; at += WATCH_PIECE) {
        size_t n = length - at < WATCH_PIECE ? length - at : WATCH_PIECE;
        if (watch->x12 != NULL)
            x12_feed(watch->x12, bytes + at, n);
        else
            edifact_feed(watch->edifact, bytes + at, n);
    }
    if (watch->x12 != NULL)
        x12_end(watch->x12);
    else
        edifact_end(watch->edifact);
    return watch->names.good;
}

static int reader_make(struct watch *watch) {
    watch->sink = (struct document_sink){
        .context = watch, .begin = on_begin, .segment = on_segment, .end = on_end, .finding = on_finding};
    return watch->options.x12 ? x12_create(&watch->x12, &watch->sink, NULL)
                              : edifact_create(&watch->edifact, &watch->sink, NULL);
}

/* ---- log lines ---- */

static void tell(struct watch *watch, enum logfmt_level level, const char *message, const char *interchange,
                 const char *receiver, const char *more) {
    char reference[WORD_BYTES], partner[WORD_BYTES];
    uint32_t left_out;
    if (!logfmt_allowed(&watch->limit, clock_mono_ns(), &left_out))
        return;
    logfmt(level, message, "spoke=%s interchange=%s partner=%s %s%sleft_out=%u", watch->options.name,
           logfmt_quote(reference, sizeof reference, interchange, strlen(interchange)),
           logfmt_quote(partner, sizeof partner, receiver, strlen(receiver)), more, *more != '\0' ? " " : "",
           left_out);
}

/* ---- the timer ---- */

/* Something has changed. */
static void changed(struct watch *watch) {
    const struct timeval soon = {.tv_sec = WATCH_SYNC_S};
    counter_set(&watch->options.counters->awaited, awaited_count(watch->awaited));
    if (watch->options.state_dir != NULL && !evtimer_pending(watch->sync, NULL))
        (void)evtimer_add(watch->sync, &soon);
}

static void on_sync(evutil_socket_t fd, short what, void *user) {
    (void)fd;
    (void)what;
    (void)awaited_sync(((struct watch *)user)->awaited);
}

static void timer_arm(struct watch *watch) {
    uint64_t now = now_of(watch), due = awaited_due_ms(watch->awaited);
    if (due == AWAITED_NEVER || !watch->joined) {
        (void)evtimer_del(watch->timer);
        return;
    }
    due = due > watch->quiet_until_ms ? due : watch->quiet_until_ms;
    due = due > watch->again_ms ? due : watch->again_ms;
    uint64_t ms = due > now ? due - now : 0;
    ms = ms < WATCH_LONGEST ? ms : WATCH_LONGEST; /* the clock may be set meanwhile */
    const struct timeval after = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
    (void)evtimer_add(watch->timer, &after);
}

static void on_timer(evutil_socket_t fd, short what, void *user) {
    (void)fd;
    (void)what;
    watch_look(user);
}

/* ---- what is overdue ---- */

static void text_attribute(struct bytes *event, const char *name, const char *text) {
    if (*text != '\0')
        compose_attribute(event, name, VALUE_STRING, text, strlen(text));
}

/* The same for the same document in every life of the router. */
static void overdue_id(const struct awaited_document *document, char id[33]) {
    const char *const parts[] = {document->x12 ? "X12" : "EDIFACT",
                                 document->sender,
                                 document->receiver,
                                 document->interchange,
                                 document->group,
                                 document->id,
                                 document->source};
    struct bytes all = {0};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        bytes_add(&all, parts[i], strlen(parts[i]) + 1);
    XXH128_hash_t hash = XXH3_128bits(all.data, all.length);
    (void)snprintf(id, 33, "%016" PRIx64 "%016" PRIx64, (uint64_t)hash.high64, (uint64_t)hash.low64);
    bytes_free(&all);
}

static bool overdue_attributes(const struct watch *watch, const struct awaited_entry *entry, uint8_t **event,
                               size_t *length, struct fault *fault) {
    const struct awaited_document *document = &entry->document;
    struct bytes out = {0};
    char id[33], source[128];
    uint64_t due_ms = entry->at_ms + watch->options.period_ms;
    overdue_id(document, id);
    (void)snprintf(source, sizeof source, "/spoke/%s", watch->options.name);
    bytes_field(&out, EVENT_ID, id, strlen(id));
    bytes_field(&out, EVENT_SOURCE, source, strlen(source));
    bytes_field(&out, EVENT_SPEC_VERSION, "1.0", 3);
    bytes_field(&out, EVENT_TYPE, WATCH_OVERDUE ".v1", sizeof WATCH_OVERDUE ".v1" - 1);
    compose_time(&out, "time", (int64_t)(due_ms / 1000), (uint32_t)(due_ms % 1000 * NS_PER_MS));
    text_attribute(&out, "subject", document->subject);
    text_attribute(&out, "docformat", document->x12 ? "X12" : "EDIFACT");
    text_attribute(&out, "interchangeref", document->interchange);
    text_attribute(&out, "partner", document->receiver);
    text_attribute(&out, "causeid", document->id);
    text_attribute(&out, "causesource", document->source);
    return compose_done(&out, event, length, fault);
}

static bool overdue_event(const struct watch *watch, const struct awaited_entry *entry, uint8_t **event,
                          size_t *length, struct fault *fault) {
    const struct awaited_document *document = &entry->document;
    Roundhouse__Erp__V1__Acknowledgement message;
    Roundhouse__Erp__V1__Origin subject;
    Roundhouse__Erp__V1__Identifier sender, receiver;
    uint8_t *attributes;
    size_t n;
    if (!overdue_attributes(watch, entry, &attributes, &n, fault))
        return false;
    roundhouse__erp__v1__acknowledgement__init(&message);
    roundhouse__erp__v1__origin__init(&subject);
    roundhouse__erp__v1__identifier__init(&sender);
    roundhouse__erp__v1__identifier__init(&receiver);
    sender.value = (char *)(uintptr_t)document->sender;
    receiver.value = (char *)(uintptr_t)document->receiver;
    subject.format = (char *)(uintptr_t)(document->x12 ? "X12" : "EDIFACT");
    subject.interchange_ref = (char *)(uintptr_t)document->interchange;
    subject.group_ref = (char *)(uintptr_t)document->group;
    subject.sender = &sender;
    subject.receiver = &receiver;
    message.subject = &subject;
    message.scope = (char *)(uintptr_t) "INTERCHANGE";
    message.status = (char *)(uintptr_t) "OVERDUE";
    struct remake what = {.event = attributes, .length = n, .type = WATCH_OVERDUE ".v1"};
    bool good = remake_canonical(what, &message.base, event, length, fault);
    free(attributes);
    return good;
}

static void again(struct watch *watch, const struct awaited_entry *entry, const char *error) {
    char more[WORD_BYTES], quoted[WORD_BYTES - 8];
    (void)snprintf(more, sizeof more, "error=%s", logfmt_quote(quoted, sizeof quoted, error, strlen(error)));
    watch->again_ms = now_of(watch) + WATCH_AGAIN_MS;
    if (watch->trouble)
        return;
    watch->trouble = true;
    tell(watch, LOGFMT_WARN, "an overdue acknowledgement can not be published, and is tried again",
         entry->document.interchange, entry->document.receiver, more);
}

static void on_settled(void *user, int code, const char *text) {
    struct awaited_entry *entry = user;
    struct watch *watch = entry->user;
    if (code != RH_CODE_NONE) {
        again(watch, entry, text);
    } else {
        watch->again_ms = 0;
        watch->trouble = false;
    }
    if (awaited_told(watch->awaited, entry, code == RH_CODE_NONE, now_of(watch))) {
        char more[WORD_BYTES], quoted[WORD_BYTES - 8];
        const char *id = entry->document.id;
        (void)snprintf(more, sizeof more, "event=%s", logfmt_quote(quoted, sizeof quoted, id, strlen(id)));
        counter_add(&watch->options.counters->overdue, 1);
        tell(watch, LOGFMT_WARN, "an acknowledgement is overdue", entry->document.interchange,
             entry->document.receiver, more);
    }
    changed(watch);
    watch_look(watch);
}

/* 0: it is on its way; -EAGAIN: not now, on_settled goes on; else it has failed. */
static int overdue_publish(struct watch *watch, struct awaited_entry *entry, char *why, size_t why_bytes) {
    struct fault fault = {0};
    uint8_t *event;
    size_t length;
    if (!overdue_event(watch, entry, &event, &length, &fault)) {
        (void)snprintf(why, why_bytes, "%s", fault.text);
        return -EINVAL;
    }
    entry->user = watch;
    int result =
        port_publish(watch->port, WATCH_OVERDUE, sizeof WATCH_OVERDUE - 1, event, length, on_settled, entry);
    free(event);
    if (result != 0)
        (void)snprintf(why, why_bytes, "%s", result == -ENOMEM ? "out of memory" : port_error(watch->port));
    return result;
}

void watch_look(struct watch *watch) {
    char why[WORD_BYTES / 2];
    uint64_t now = now_of(watch);
    struct awaited_entry *entry;
    if (watch->joined && now >= watch->quiet_until_ms && now >= watch->again_ms)
        while ((entry = awaited_late(watch->awaited, now)) != NULL) {
            int result = overdue_publish(watch, entry, why, sizeof why);
            if (result == 0)
                continue;
            if (result == -EAGAIN)
                watch->again_ms = now + WATCH_AGAIN_MS;
            else
                again(watch, entry, why);
            (void)awaited_told(watch->awaited, entry, false, now);
            break;
        }
    timer_arm(watch);
}

/* ---- what goes out ---- */

static char *attribute_text(const uint8_t *event, size_t length, const char *name) {
    struct attribute found;
    bool text = attribute_find(event, length, name, &found) && found.data != NULL;
    return text ? heap_text((const char *)found.data, found.length) : strdup("");
}

static void document_hand(struct watch *watch, const struct outgoing *out) {
    const struct names *names = &watch->names;
    char *id = attribute_text(out->event, out->event_length, "id");
    char *source = attribute_text(out->event, out->event_length, "source");
    char *subject = attribute_text(out->event, out->event_length, "subject");
    if (id != NULL && source != NULL && subject != NULL) {
        struct awaited_document document = {.x12 = watch->options.x12,
                                            .sender = names->sender,
                                            .receiver = names->receiver,
                                            .interchange = names->interchange,
                                            .group = names->group,
                                            .id = id,
                                            .source = source,
                                            .subject = subject};
        if (!awaited_hand(watch->awaited, &document, out->delivery, now_of(watch)))
            tell(watch, LOGFMT_ERROR, "an acknowledgement is not awaited: there is no room for more",
                 names->interchange, names->receiver, "");
    }
    free(id);
    free(source);
    free(subject);
}

void watch_hand(struct watch *watch, const struct outgoing *out) {
    if (document_read(watch, out->data, out->data_length))
        document_hand(watch, out);
    else
        tell(watch, LOGFMT_ERROR, "an acknowledgement is not awaited: the document has no reference for it",
             watch->names.interchange, watch->names.receiver, "");
}

void watch_sent(struct watch *watch, uint64_t delivery) {
    awaited_sent(watch->awaited, delivery, now_of(watch));
    changed(watch);
    timer_arm(watch);
}

void watch_unsent(struct watch *watch, uint64_t delivery) {
    awaited_unsent(watch->awaited, delivery);
}

/* ---- what comes back ---- */

static const char *id_value(const Roundhouse__Erp__V1__Identifier *id) {
    return id != NULL ? id->value : "";
}

/* A CONTRL says whose interchange it is about; TA1, 997 and 999 come from the partner to us, and so are about
 * what went from us to the partner. False: it is about no interchange or group, or says too little. */
static bool answer_of(const Roundhouse__Erp__V1__Acknowledgement *message, struct awaited_answer *answer) {
    const Roundhouse__Erp__V1__Origin *subject = message->subject;
    const Roundhouse__Erp__V1__Origin *own = message->header != NULL ? message->header->origin : NULL;
    if (subject == NULL || own == NULL)
        return false;
    *answer = (struct awaited_answer){.x12 = strcmp(own->format, "X12") == 0,
                                      .group = strcmp(message->scope, "GROUP") == 0,
                                      .sender = id_value(subject->sender),
                                      .receiver = id_value(subject->receiver)};
    answer->reference = answer->group ? subject->group_ref : subject->interchange_ref;
    if (answer->x12) {
        answer->sender = id_value(own->receiver);
        answer->receiver = id_value(own->sender);
    }
    return *answer->reference != '\0' && (answer->x12 || strcmp(own->format, "EDIFACT") == 0);
}

/* A TA1 that accepts says only that the envelope can be read: the 997 or 999 is still to come. */
static bool answer_is_last(const struct awaited_answer *answer, bool rejected) {
    return !answer->x12 || answer->group || rejected;
}

static void answer_take(struct watch *watch, const struct awaited_answer *answer, bool rejected,
                        const char *status) {
    const struct awaited_entry *entry;
    enum awaited_found found = awaited_answered(watch->awaited, answer, now_of(watch), &entry);
    if (found == AWAITED_UNKNOWN || found == AWAITED_AGAIN)
        return;
    counter_add(&watch->options.counters->acknowledged, 1);
    counter_add(&watch->options.counters->turned_down, rejected ? 1 : 0);
    char more[WORD_BYTES], quoted[64];
    (void)snprintf(more, sizeof more, "status=%s",
                   logfmt_quote(quoted, sizeof quoted, status, strlen(status)));
    if (found == AWAITED_TOO_LATE)
        tell(watch, LOGFMT_INFO, "an acknowledgement has come that was overdue", entry->document.interchange,
             entry->document.receiver, more);
    if (rejected)
        tell(watch, LOGFMT_WARN, "a document has been rejected by its receiver", entry->document.interchange,
             entry->document.receiver, more);
    changed(watch);
    timer_arm(watch);
}

void watch_acknowledgement(struct watch *watch, const uint8_t *event, size_t length) {
    struct awaited_answer answer;
    ProtobufCMessage *base = remake_message(event, length);
    if (base != NULL && base->descriptor == &roundhouse__erp__v1__acknowledgement__descriptor) {
        const Roundhouse__Erp__V1__Acknowledgement *message = (const void *)base;
        bool rejected = strcmp(message->status, "REJECTED") == 0;
        if (answer_of(message, &answer) && answer_is_last(&answer, rejected))
            answer_take(watch, &answer, rejected, message->status);
    }
    if (base != NULL)
        protobuf_c_message_free_unpacked(base, NULL);
}

static void on_event(void *user, const struct port_event *event) {
    struct watch *watch = user;
    watch_acknowledgement(watch, event->event, event->event_length);
    port_done(watch->port, event->delivery);
}

static void on_refused(void *user, const char *text) {
    struct watch *watch = user;
    watch->options.on_refused(watch->options.user, text);
}

static void on_joined(void *user) {
    struct watch *watch = user;
    bool first = !watch->joined;
    watch->joined = true;
    timer_arm(watch);
    if (first)
        watch->options.on_joined(watch->options.user);
}

static void on_publish(void *user, const char *topic, size_t topic_length, const uint8_t *event,
                       size_t event_length) {
    struct watch *watch = user;
    watch->options.on_publish(watch->options.user, topic, topic_length, event, event_length);
}

/* ---- making and freeing ---- */

static bool port_open(struct watch *watch, char *why, size_t why_bytes) {
    char name[QUEUE_NAME_BYTES_MAX + 1];
    (void)snprintf(name, sizeof name, WATCH_QUEUE, watch->options.name);
    struct port_options options = {.base = watch->options.base,
                                   .server = watch->options.server,
                                   .name = name,
                                   .disk = watch->options.journal,
                                   .user = watch,
                                   .on_event = on_event,
                                   .on_refused = on_refused,
                                   .on_joined = on_joined,
                                   .on_publish = on_publish};
    watch->port = port_new(&options, why, why_bytes);
    watch->joined = watch->options.server == NULL;
    if (watch->port == NULL || watch->joined)
        return watch->port != NULL;
    const char *const patterns[] = {WATCH_TOPIC};
    struct port_queue queue = {
        .name = name, .patterns = patterns, .patterns_count = 1, .is_volatile = !watch->options.journal};
    int result = port_join(watch->port, &queue);
    if (result != 0)
        (void)snprintf(why, why_bytes, "%s", port_error(watch->port));
    return result == 0;
}

struct watch *watch_new(const struct watch_options *options, char *why, size_t why_bytes) {
    struct watch *watch = calloc(1, sizeof *watch);
    (void)snprintf(why, why_bytes, "out of memory");
    if (watch == NULL)
        return NULL;
    watch->options = *options;
    uint64_t now = now_of(watch);
    watch->quiet_until_ms = now + (options->period_ms < WATCH_QUIET_MS ? options->period_ms : WATCH_QUIET_MS);
    watch->awaited = awaited_new(options->name, options->state_dir, options->period_ms, 0, now);
    watch->timer = evtimer_new(options->base, on_timer, watch);
    watch->sync = evtimer_new(options->base, on_sync, watch);
    if (watch->awaited != NULL && watch->timer != NULL && watch->sync != NULL && reader_make(watch) == 0 &&
        port_open(watch, why, why_bytes)) {
        changed(watch);
        timer_arm(watch);
        return watch;
    }
    watch_free(watch);
    return NULL;
}

/* The port first: it calls back. */
void watch_free(struct watch *watch) {
    if (watch == NULL)
        return;
    port_free(watch->port);
    if (watch->timer != NULL)
        event_free(watch->timer);
    if (watch->sync != NULL)
        event_free(watch->sync);
    if (watch->edifact != NULL)
        edifact_destroy(watch->edifact);
    if (watch->x12 != NULL)
        x12_destroy(watch->x12);
    if (watch->awaited != NULL && watch->options.state_dir != NULL)
        (void)awaited_sync(watch->awaited);
    awaited_free(watch->awaited);
    counter_set(&watch->options.counters->awaited, 0);
    free(watch);
}

bool watch_flush(struct watch *watch, uint32_t ms) {
    return port_flush(watch->port, ms);
}
