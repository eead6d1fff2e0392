#include "core/client/queues.h"

#include "core/base/limits.h"
#include "core/base/utf8.h"

#include <string.h>

#define QUEUES_RETRY_MS_MAX 3600000u /* the longest pause that a server takes */

/* ---- joining ---- */

/* The rest is the server's business; bytes that are no text would end the connection. */
static const char *text_fault(const char *text, const char *fault) {
    if (text == NULL)
        return NULL;
    size_t length = strlen(text);
    return length <= TOPIC_BYTES_MAX && utf8_valid((const uint8_t *)text, length) ? NULL : fault;
}

static const char *join_fault(const char *const *patterns, size_t count, const rh_queue *queue) {
    if (queue == NULL || queue->name == NULL || queue->name[0] == '\0')
        return "queue: it needs a name";
    const char *fault = text_fault(queue->name, "queue.name: at most 255 bytes of UTF-8");
    if (fault == NULL)
        fault = text_fault(queue->dead_letter, "queue.dead_letter: at most 255 bytes of UTF-8");
    if (fault == NULL)
        fault = text_fault(queue->key, "queue.key: at most 255 bytes of UTF-8");
    if (fault == NULL && queue->name[0] == '@' && count > 0)
        fault = "patterns: a mailbox has none, it gets what is sent to its name";
    if (fault == NULL && queue->name[0] == '@' && queue->filters != NULL)
        fault = "filters: a mailbox has none, it gets what is sent to its name";
    return fault != NULL ? fault : subs_patterns_fault(patterns, count);
}

int64_t rh_join(rh_client *client, const char *const *patterns, size_t count, const rh_queue *queue) {
    if (client->phase == LINK_OVER || client->closing)
        return client->phase == LINK_OVER ? client->result : RH_CLOSED;
    const char *fault = join_fault(patterns, count, queue);
    if (fault != NULL)
        return link_invalid(client, fault);
    struct filter *filter;
    int result = subs_filter(queue->filters, &filter, &fault);
    if (result != RH_OK)
        return result == RH_INVALID ? link_invalid(client, fault) : result;
    rh_subscribe_options options = {.start = queue->oldest ? RH_START_OLDEST : RH_START_LIVE};
    struct sub *sub;
    if (subs_add(&client->subs, patterns, count, &options, queue, filter, &sub) != 0)
        return RH_NO_MEMORY;
    int64_t id = sub->id;
    if (client->phase == LINK_UP)
        link_subscribe(client, sub, false);
    return id;
}

int64_t rh_remove_queue(rh_client *client, const char *name, bool take_over) {
    static const rh_subscribe_options plain = {0};
    rh_queue queue = {.name = name, .take_over = take_over};
    if (client->phase == LINK_OVER || client->closing)
        return client->phase == LINK_OVER ? client->result : RH_CLOSED;
    const char *fault = join_fault(NULL, 0, &queue);
    if (fault != NULL)
        return link_invalid(client, fault);
    struct sub *sub;
    if (subs_add(&client->subs, NULL, 0, &plain, &queue, NULL, &sub) != 0)
        return RH_NO_MEMORY;
    int64_t id = sub->id;
    sub->removes = true;
    if (client->phase == LINK_UP)
        link_subscribe(client, sub, false);
    return id;
}

void queues_remove(struct rh_client *client, struct sub *sub, bool first) {
    Roundhouse__V1__Unsubscribe unsubscribe;
    roundhouse__v1__unsubscribe__init(&unsubscribe);
    unsubscribe.id = (uint64_t)sub->id;
    unsubscribe.remove = sub->queue->name;
    unsubscribe.take_over = sub->queue->terms.take_over;
    Roundhouse__V1__Frame frame = ROUNDHOUSE__V1__FRAME__INIT;
    frame.body_case = ROUNDHOUSE__V1__FRAME__BODY_UNSUBSCRIBE;
    frame.unsubscribe = &unsubscribe;
    link_asked(client, sub, outbox_control(&client->outbox, &frame, first) == 0);
}

bool queues_removed(struct rh_client *client, struct sub *sub, const Roundhouse__V1__Error *error) {
    /* Whether the first time was in time nobody has said: that there is none is what was wanted. */
    if (error != NULL &&
        (!sub->asked_before || error->code != ROUNDHOUSE__V1__ERROR_CODE__ERROR_CODE_INVALID))
        return false;
    uint64_t id = (uint64_t)sub->id;
    subs_remove(&client->subs, sub);
    if (client->callbacks.on_removed != NULL)
        client->callbacks.on_removed(client->user, id);
    return true;
}

void queues_terms(const struct sub_queue *queue, Roundhouse__V1__Queue *out) {
    const rh_queue *terms = &queue->terms;
    out->name = queue->name;
    out->volatile_ = terms->is_volatile || terms->ephemeral;
    out->group = terms->group;
    out->take_over = terms->take_over;
    out->ephemeral = terms->ephemeral;
    out->window = terms->window;
    out->lease_ms = terms->lease_ms;
    out->attempts = terms->attempts;
    out->backoff_ms = terms->backoff_ms;
    out->dead_letter = queue->dead_letter;
    out->key = queue->key;
    out->capacity = terms->capacity;
}

/* ---- deliveries ---- */

const char *queues_context(struct rh_client *client, const Roundhouse__V1__Context *context) {
    const struct sub *sub = subs_find(&client->subs, (int64_t)context->subscription);
    client->context = (struct link_context){.subscription = context->subscription,
                                            .delivery = context->delivery,
                                            .lease_ms = context->lease_ms,
                                            .attempt = context->attempt,
                                            .replay = context->replay};
    return sub != NULL && sub->queue == NULL ? "a Context of a subscription without a queue" : NULL;
}

const char *queues_event(struct rh_client *client, rh_event *event, const struct sub **out) {
    struct link_context *context = &client->context;
    struct sub *sub = subs_find(&client->subs, (int64_t)context->subscription);
    *out = NULL;
    if (sub == NULL || sub->state == SUB_LEAVING)
        return NULL;
    if (sub->state != SUB_LIVE)
        return "an event of a queue before its Subscribed";
    struct sub_queue *queue = sub->queue;
    if (context->delivery > (uint64_t)INT64_MAX - queue->base ||
        queue->base + context->delivery <= queue->last)
        return "a number of a delivery that does not grow";
    queue->last = queue->base + context->delivery++;
    event->delivery = queue->last;
    event->attempt = context->attempt;
    event->replay = context->replay;
    event->lease_ms = context->lease_ms < UINT32_MAX ? (uint32_t)context->lease_ms : UINT32_MAX;
    *out = sub;
    return NULL;
}

void queues_lease_expired(struct rh_client *client, const Roundhouse__V1__LeaseExpired *expired) {
    const struct sub *sub = subs_find(&client->subs, (int64_t)expired->subscription);
    if (sub == NULL || sub->queue == NULL || sub->id == client->requests.inbox)
        return;
    if (expired->delivery > sub->queue->last - sub->queue->base)
        return; /* it was never delivered: nobody would know what to do about it */
    if (client->callbacks.on_lease_expired != NULL)
        client->callbacks.on_lease_expired(client->user, expired->subscription,
                                           sub->queue->base + expired->delivery);
}

/* ---- what became of them ---- */

/* RH_OK, and the server's number in `ack`; or why nothing is to be sent. */
static int ack_address(rh_client *client, Roundhouse__V1__Ack *ack) {
    if (client->phase == LINK_OVER || client->goodbye_sent)
        return client->phase == LINK_OVER ? client->result : RH_CLOSED;
    const struct sub *sub = subs_find(&client->subs, (int64_t)ack->subscription);
    bool was = ack->subscription > 0 && ack->subscription <= (uint64_t)client->subs.id_last;
    if (sub == NULL && was)
        return RH_STALE; /* it has left, or was put out */
    if (sub == NULL || sub->queue == NULL)
        return link_invalid(client, "subscription: there is none to a queue with this id");
    if (ack->delivery == 0 || ack->delivery > sub->queue->last)
        return link_invalid(client, "delivery: there is none with this number");
    if (ack->delivery <= sub->queue->base || sub->state != SUB_LIVE)
        return RH_STALE;
    ack->delivery -= sub->queue->base;
    return RH_OK;
}

static int ack_send(rh_client *client, Roundhouse__V1__Ack *ack, const char *reason) {
    char text[QUEUE_REASON_BYTES_MAX + 1];
    reason = reason != NULL ? reason : "";
    size_t length = strlen(reason);
    if (length >= sizeof text || !utf8_valid((const uint8_t *)reason, length))
        return link_invalid(client, "reason: at most 256 bytes of UTF-8");
    int result = ack_address(client, ack);
    if (result != RH_OK)
        return result;
    if (client->outbox.control_bytes > LINK_ACK_BYTES_MAX) {
        if (client->full_bytes == 0)
            client->full_bytes = 1;
        return RH_FULL;
    }
    memcpy(text, reason, length + 1);
    ack->reason = text;
    Roundhouse__V1__Frame frame = ROUNDHOUSE__V1__FRAME__INIT;
    frame.body_case = ROUNDHOUSE__V1__FRAME__BODY_ACK;
    frame.ack = ack;
    return outbox_control(&client->outbox, &frame, false) == 0 ? RH_OK : RH_NO_MEMORY;
}

static Roundhouse__V1__Ack ack_of(uint64_t subscription, uint64_t delivery, Roundhouse__V1__Ack__Kind kind) {
    Roundhouse__V1__Ack ack;
    roundhouse__v1__ack__init(&ack);
    ack.subscription = subscription;
    ack.delivery = delivery;
    ack.kind = kind;
    return ack;
}

int rh_ack_done(rh_client *client, uint64_t subscription, uint64_t delivery) {
    Roundhouse__V1__Ack ack = ack_of(subscription, delivery, ROUNDHOUSE__V1__ACK__KIND__KIND_DONE);
    return ack_send(client, &ack, NULL);
}

int rh_ack_done_through(rh_client *client, uint64_t subscription, uint64_t delivery) {
    Roundhouse__V1__Ack ack = ack_of(subscription, delivery, ROUNDHOUSE__V1__ACK__KIND__KIND_DONE_THROUGH);
    return ack_send(client, &ack, NULL);
}

int rh_ack_retry(rh_client *client, uint64_t subscription, uint64_t delivery, uint64_t after_ms,
                 const char *reason) {
    if (after_ms > QUEUES_RETRY_MS_MAX)
        return link_invalid(client, "after_ms: at most 3,600,000, or 0 for the queue's own pause");
    Roundhouse__V1__Ack ack = ack_of(subscription, delivery, ROUNDHOUSE__V1__ACK__KIND__KIND_RETRY);
    ack.after_ms = after_ms;
    return ack_send(client, &ack, reason);
}

int rh_ack_refuse(rh_client *client, uint64_t subscription, uint64_t delivery, const char *reason) {
    Roundhouse__V1__Ack ack = ack_of(subscription, delivery, ROUNDHOUSE__V1__ACK__KIND__KIND_REFUSE);
    return ack_send(client, &ack, reason);
}

int rh_ack_extend(rh_client *client, uint64_t subscription, uint64_t delivery) {
    Roundhouse__V1__Ack ack = ack_of(subscription, delivery, ROUNDHOUSE__V1__ACK__KIND__KIND_EXTEND);
    return ack_send(client, &ack, NULL);
}
