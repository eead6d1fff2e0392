#include "core/bridge/inbound_parts.h"

#include "codecs/erp/json.h"
#include "codecs/event/fields.h"
#include "core/bridge/acknowledge.h"
#include "core/bridge/jq.h"
#include "core/bridge/port.h"
#include "core/bridge/remake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- items ---- */

static void items_add(struct items *items, struct item *item) {
    if (items->first == NULL)
        items->last = &items->first;
    *items->last = item;
    items->last = &item->next;
}

static struct item *items_take(struct items *items) {
    struct item *item = items->first;
    if (item != NULL)
        items->first = item->next;
    return item;
}

static void item_free(struct item *item) {
    if (item == NULL)
        return;
    bytes_free(&item->input);
    free(item->event);
    free(item);
}

/* Takes the event over, also when it fails. */
static struct item *item_make(const char *topic, uint8_t *event, size_t length, struct origin origin) {
    struct item *item = event != NULL ? calloc(1, sizeof *item) : NULL;
    if (item == NULL) {
        free(event);
        return NULL;
    }
    (void)snprintf(item->topic, sizeof item->topic, "%s", topic);
    item->event = event;
    item->event_length = length;
    item->origin = origin;
    return item;
}

static uint8_t *event_copy(const uint8_t *event, size_t length) {
    uint8_t *copy = malloc(length + 1);
    if (copy != NULL)
        memcpy(copy, event, length);
    return copy;
}

/* ---- to the router ---- */

static void on_port_room(void *user) {
    flow_pump(user);
}

static bool code_lasts(int code) {
    return code != RH_CODE_UNAVAILABLE && code != RH_CODE_UNKNOWN_OUTCOME && code != RH_CODE_EXHAUSTED &&
           code != RH_CODE_TIMEOUT && code != RH_CODE_INTERNAL;
}

/* False: it is refused, or nobody knows. */
static bool settled_well(struct inbound *inbound, int code, const char *text) {
    inbound->document.waiting--;
    if (code == RH_CODE_NONE)
        return true;
    if (code_lasts(code))
        document_refuse(inbound, FINDING_PUBLISH_REFUSED,
                        (struct origin){.message = (uint32_t)port_tag(inbound->port)}, text);
    else
        document_lost(inbound);
    return false;
}

static void settled_go_on(struct inbound *inbound) {
    if (inbound->room_owed)
        flow_pump(inbound);
    else
        document_settle(inbound);
}

static void on_settled(void *user, int code, const char *text) {
    struct inbound *inbound = user;
    if (settled_well(inbound, code, text)) {
        inbound->document.published++;
        counter_add(&inbound->counters->published, 1);
    }
    settled_go_on(inbound);
}

static void on_acknowledged(void *user, int code, const char *text) {
    struct inbound *inbound = user;
    if (settled_well(inbound, code, text))
        counter_add(&inbound->counters->acknowledgements, 1);
    settled_go_on(inbound);
}

/* 0: it is on its way, or its fate is known. */
static int router_give(struct inbound *inbound, const struct item *item) {
    int result = port_publish_tagged(inbound->port, item->topic, strlen(item->topic), item->event,
                                     item->event_length, item->acknowledgement ? on_acknowledged : on_settled,
                                     inbound, item->origin.message);
    if (result == -EAGAIN)
        return result;
    if (result == 0) {
        if (!item->acknowledgement)
            document_published(inbound, item->event, item->event_length);
        return 0;
    }
    inbound->document.waiting--;
    if (result == -EINVAL)
        document_refuse(inbound, FINDING_PUBLISH_REFUSED, item->origin, port_error(inbound->port));
    else
        document_lost(inbound);
    return 0;
}

static void ready_add(struct inbound *inbound, struct item *item) {
    if (inbound->ready.first == NULL)
        port_on_room(inbound->port, on_port_room, inbound);
    items_add(&inbound->ready, item);
}

/* Counted in `waiting` already. The event is the caller's. */
static void flow_out(struct inbound *inbound, const char *topic, const uint8_t *event, size_t length,
                     struct origin origin) {
    struct item lent = {.event = (uint8_t *)(uintptr_t)event, .event_length = length, .origin = origin};
    (void)snprintf(lent.topic, sizeof lent.topic, "%s", topic);
    if (inbound->ready.first == NULL && router_give(inbound, &lent) == 0)
        return;
    struct item *item = item_make(topic, event_copy(event, length), length, origin);
    if (item == NULL) {
        inbound->document.waiting--;
        document_lost(inbound);
        return;
    }
    ready_add(inbound, item);
}

/* ---- acknowledgements ---- */

void flow_owe(struct inbound *inbound, uint8_t *event, size_t length) {
    char topic[INBOUND_TOPIC_SIZE];
    (void)snprintf(topic, sizeof topic, INBOUND_ACKNOWLEDGEMENT_TOPIC, inbound->name);
    struct item *item = item_make(topic, event, length, (struct origin){0});
    if (item == NULL) {
        document_lost(inbound);
        return;
    }
    item->acknowledgement = true;
    items_add(&inbound->owed, item);
}

static size_t owed_bytes(const struct inbound *inbound) {
    return inbound->acknowledger != NULL ? acknowledger_owed(inbound->acknowledger) : 0;
}

/* All that was before them is settled. Of a document that is to be given again they are made again. */
void flow_acknowledge(struct inbound *inbound) {
    struct document *document = &inbound->document;
    size_t owed = owed_bytes(inbound);
    bool time = document->finished || owed > INBOUND_OWED_MAX;
    if (!time || document->waiting > 0 || owed == 0)
        return;
    acknowledger_settle(inbound->acknowledger, document->unknown == 0);
    for (struct item *item; (item = items_take(&inbound->owed)) != NULL;) {
        item->next = NULL;
        if (document->unknown > 0) {
            item_free(item);
            continue;
        }
        document->waiting++;
        if (inbound->ready.first == NULL && router_give(inbound, item) == 0)
            item_free(item);
        else
            ready_add(inbound, item);
    }
}

/* ---- what a mapping gave ---- */

static const char *topic_of(const struct inbound *inbound, const char *topic,
                            const ProtobufCMessage *message) {
    if (inbound->topic != NULL)
        return inbound->topic;
    return message != NULL ? erp_topic(message) : topic;
}

static const char *document_number(const ProtobufCMessage *message) {
    const Roundhouse__Erp__V1__Header *header = erp_header(message);
    return header != NULL ? header->id : "";
}

static bool data_canonical(struct inbound *inbound, struct remake *what, const char *json, size_t length,
                           const char **topic, uint8_t **event, size_t *event_length, struct origin origin) {
    char error[ERP_JSON_ERROR_BYTES], key[INBOUND_TOPIC_SIZE];
    struct fault fault;
    arena_reset(&inbound->arena);
    ProtobufCMessage *message = erp_json_read(inbound->message, json, length, &inbound->arena, error);
    if (message == NULL) {
        document_refuse(inbound, FINDING_MAPPING_UNFIT, origin, error);
        return false;
    }
    const char *number = document_number(message);
    (void)snprintf(key, sizeof key, "%.100s/%.100s", inbound->name, number);
    const struct remake_text more[] = {{"subject", number}, {"partitionkey", *number != '\0' ? key : ""}};
    what->more = more;
    what->more_count = sizeof more / sizeof *more;
    *topic = topic_of(inbound, *topic, message);
    bool good = remake_canonical(*what, message, event, event_length, &fault);
    what->more = NULL;
    what->more_count = 0;
    if (!good)
        document_refuse(inbound, FINDING_MAPPING_UNFIT, origin, fault.text);
    return good;
}

static bool data_plain(struct inbound *inbound, struct remake *what, const char *json, size_t length,
                       uint8_t **event, size_t *event_length, struct origin origin) {
    struct fault fault;
    what->contenttype = "application/json";
    what->kind = EVENT_TEXT;
    what->data = json;
    what->data_length = length;
    bool good = remake(what, event, event_length, &fault);
    if (!good)
        document_refuse(inbound, FINDING_MAPPING_FAILED, origin, fault.text);
    return good;
}

void flow_data(struct inbound *inbound, const char *topic, const uint8_t *event, size_t length, uint32_t part,
               const char *json, size_t json_length, struct origin origin) {
    struct remake what = {.event = event, .length = length, .part = part, .type = inbound->type};
    uint8_t *made;
    size_t made_length;
    bool good = inbound->message != NULL
                    ? data_canonical(inbound, &what, json, json_length, &topic, &made, &made_length, origin)
                    : data_plain(inbound, &what, json, json_length, &made, &made_length, origin);
    if (!good)
        return;
    inbound->document.waiting++;
    flow_out(inbound, topic_of(inbound, topic, NULL), made, made_length, origin);
    free(made);
}

/* ---- through the mapping ---- */

static void mapping_hand_over(struct inbound *inbound) {
    for (struct item *item; (item = inbound->unsent) != NULL; inbound->unsent = item->next) {
        int result =
            jq_run(inbound->jq, (const char *)item->input.data, item->input.length, flow_answer, inbound);
        if (result != 0)
            return; /* after an answer */
        item->handed_over = true;
        bytes_free(&item->input);
    }
}

void flow_answer(void *user, const struct jq_answer *answer) {
    struct inbound *inbound = user;
    struct item *item = items_take(&inbound->mapping);
    if (item->event == NULL) { /* of a document that was given up: there is room for the next one */
        item_free(item);
        flow_pump(inbound);
        return;
    }
    if (answer->result != JQ_OK)
        document_refuse(inbound, FINDING_MAPPING_FAILED, item->origin, answer->text);
    else
        for (size_t i = 0; i < answer->count; i++)
            flow_data(inbound, item->topic, item->event, item->event_length, (uint32_t)i + 1,
                      answer->outputs[i].json, answer->outputs[i].length, item->origin);
    inbound->document.waiting--;
    item_free(item);
    document_settle(inbound);
    flow_pump(inbound);
}

static void event_begin(struct inbound *inbound, const char *topic, const uint8_t *event, size_t length,
                        const struct bytes *json, struct origin origin) {
    inbound->document.waiting++;
    if (inbound->jq == NULL) {
        flow_out(inbound, topic, event, length, origin);
        return;
    }
    struct fault fault = {.text = "out of memory"};
    struct item *item = item_make(topic, event_copy(event, length), length, origin);
    if (item == NULL || !remake_input(event, length, topic, strlen(topic), json, &item->input, &fault)) {
        inbound->document.waiting--;
        if (item == NULL || fault.code == RH_CODE_INTERNAL)
            document_lost(inbound);
        else
            document_refuse(inbound, FINDING_MAPPING_FAILED, origin, fault.text);
        item_free(item);
        return;
    }
    items_add(&inbound->mapping, item);
    if (inbound->unsent == NULL)
        inbound->unsent = item;
    mapping_hand_over(inbound);
}

void flow_event(struct inbound *inbound, const char *topic, const uint8_t *event, size_t length,
                const struct bytes *json, struct origin origin) {
    uint8_t *traced;
    if (!trace_add(&inbound->document.trace, event, length, &traced, &length)) {
        event_begin(inbound, topic, event, length, json, origin);
        return;
    }
    event_begin(inbound, topic, traced, length, json, origin);
    free(traced);
}

/* ---- what waits ---- */

bool flow_behind(const struct inbound *inbound) {
    return inbound->ready.first != NULL || inbound->unsent != NULL || owed_bytes(inbound) > INBOUND_OWED_MAX;
}

void flow_pump(struct inbound *inbound) {
    while (inbound->ready.first != NULL) {
        struct item *item = inbound->ready.first;
        if (router_give(inbound, item) != 0) {
            port_on_room(inbound->port, on_port_room, inbound);
            break;
        }
        item_free(items_take(&inbound->ready));
    }
    mapping_hand_over(inbound);
    document_settle(inbound);
    if (inbound->room_owed && inbound->on_room != NULL && !flow_behind(inbound)) {
        inbound->room_owed = false;
        inbound->on_room(inbound->room_user);
    }
}

void flow_forget(struct inbound *inbound) {
    port_forget(inbound->port, inbound);
    while (inbound->ready.first != NULL)
        item_free(items_take(&inbound->ready));
    while (inbound->owed.first != NULL)
        item_free(items_take(&inbound->owed));
    struct items kept = {0};
    for (struct item *item; (item = items_take(&inbound->mapping)) != NULL;) {
        item->next = NULL;
        free(item->event);
        item->event = NULL;
        if (item->handed_over)
            items_add(&kept, item); /* its answer comes yet */
        else
            item_free(item);
    }
    inbound->mapping = kept;
    inbound->unsent = NULL;
}

void flow_end(struct inbound *inbound) {
    while (inbound->mapping.first != NULL)
        item_free(items_take(&inbound->mapping));
}
