#include "core/client/requests.h"

#include "codecs/event/attributes.h"
#include "codecs/event/compose.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/topic.h"
#include "core/client/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define REQUEST_MS_DEFAULT 30000u
#define REQUEST_MS_MAX     86400000u
#define REQUEST_PLACES     16u /* at first */
#define NUMBER_DIGITS_MAX  20u

void requests_deinit(struct requests *requests) {
    free(requests->list);
    *requests = (struct requests){0};
}

/* ---- places ---- */

static int requests_grow(struct requests *requests) {
    uint32_t capacity = requests->capacity > 0 ? 2 * requests->capacity : REQUEST_PLACES;
    if (requests->capacity == REQUESTS_MAX)
        return RH_FULL;
    struct request *list = realloc(requests->list, capacity * sizeof *list);
    if (list == NULL)
        return RH_NO_MEMORY;
    memset(list + requests->capacity, 0, (capacity - requests->capacity) * sizeof *list);
    requests->list = list;
    requests->capacity = capacity;
    return RH_OK;
}

/* A free place with a number; NULL: there is none, and why. */
static struct request *requests_take(struct requests *requests, int64_t *why) {
    int result = requests->open == requests->capacity ? requests_grow(requests) : RH_OK;
    if (result != RH_OK) {
        *why = result;
        return NULL;
    }
    while (requests->list[requests->place].number != 0)
        requests->place = (requests->place + 1) % requests->capacity;
    struct request *request = &requests->list[requests->place];
    request->number = ++requests->rounds * REQUESTS_MAX + requests->place;
    requests->open++;
    return request;
}

static struct request *requests_find(const struct requests *requests, uint64_t number) {
    uint64_t place = number % REQUESTS_MAX;
    bool waits = number != 0 && place < requests->capacity && requests->list[place].number == number;
    return waits ? &requests->list[place] : NULL;
}

static void request_free(struct requests *requests, struct request *request) {
    *request = (struct request){0};
    requests->open--;
}

/* A refusal without a code is the server's fault, and not to be taken for a reply. */
static void request_end(rh_client *client, struct request *request, int code, const char *text,
                        const rh_event *reply) {
    struct request ended = *request;
    request_free(&client->requests, request);
    if (reply == NULL && code == RH_CODE_NONE)
        code = RH_CODE_INTERNAL;
    ended.on_reply(ended.user, code, text, reply);
}

/* ---- the inbox ---- */

static void hex_random(char *out, size_t bytes) {
    uint8_t random[16];
    CHECK(bytes <= sizeof random && getrandom(random, bytes, 0) == (ssize_t)bytes);
    for (size_t i = 0; i < bytes; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", random[i]);
}

/* Makes the inbox with the first request: nobody can guess its name. The server removes it with each
 * connection, and gets it back with the next. */
static int64_t requests_inbox(rh_client *client) {
    static const char prefix[] = "@inbox-";
    struct requests *requests = &client->requests;
    if (requests->inbox != 0)
        return requests->inbox;
    if (requests->tag[0] == '\0') {
        memcpy(requests->inbox_name, prefix, sizeof prefix);
        hex_random(requests->inbox_name + sizeof prefix - 1, 16);
        hex_random(requests->tag, 8);
    }
    rh_queue queue = {
        .name = requests->inbox_name, .is_volatile = true, .ephemeral = true, .take_over = true};
    int64_t made = rh_join(client, NULL, 0, &queue);
    requests->inbox = made > 0 ? made : 0;
    return made;
}

void requests_inbox_refused(rh_client *client, int code, const char *text) {
    client->requests.inbox = 0;
    requests_end(client, code, text);
}

/* ---- asking ---- */

static const char *request_fault(const uint8_t *event, size_t length, uint32_t timeout_ms,
                                 rh_on_reply *on_reply) {
    static const char *const ours[] = {"replyto", "correlationid", ATTRIBUTE_EXPIRY};
    struct attribute attribute;
    if (on_reply == NULL)
        return "on_reply: a request needs one";
    if (timeout_ms > REQUEST_MS_MAX)
        return "timeout_ms: at most 86,400,000, or 0 for 30,000";
    if (event == NULL || length > LINK_FRAME_MAX / 2)
        return "event: must be a serialized CloudEvent";
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (attribute_find(event, length, ours[i], &attribute))
            return "event: replyto, correlationid and expirytime are set by rh_request";
    return NULL;
}

static void add_text(struct bytes *event, const char *name, const char *text) {
    compose_attribute(event, name, VALUE_STRING, text, strlen(text));
}

/* Publishes the event with what makes it a request. */
static int64_t request_publish(rh_client *client, const struct request *request, struct bytes *event,
                               uint64_t expiry_ns, const char *topic, size_t topic_length) {
    char correlation[sizeof client->requests.tag + NUMBER_DIGITS_MAX + 1];
    (void)snprintf(correlation, sizeof correlation, "%s-%llu", client->requests.tag,
                   (unsigned long long)request->number);
    add_text(event, "replyto", client->requests.inbox_name);
    add_text(event, "correlationid", correlation);
    compose_time(event, ATTRIBUTE_EXPIRY, (int64_t)(expiry_ns / NS_PER_S), (uint32_t)(expiry_ns % NS_PER_S));
    if (event->failed)
        return RH_NO_MEMORY;
    return rh_publish(client, topic, topic_length, event->data, event->length);
}

int64_t rh_request(rh_client *client, const char *topic, size_t topic_length, const uint8_t *event,
                   size_t event_length, uint32_t timeout_ms, rh_on_reply *on_reply, void *user) {
    struct requests *requests = &client->requests;
    const char *fault = request_fault(event, event_length, timeout_ms, on_reply);
    if (fault != NULL)
        return link_invalid(client, fault);
    int64_t result = requests_inbox(client);
    if (result < 0)
        return result;
    struct request *request = requests_take(requests, &result);
    if (request == NULL)
        return result;
    uint64_t wait_ns = (timeout_ms != 0 ? timeout_ms : REQUEST_MS_DEFAULT) * NS_PER_MS;
    struct bytes bytes = {0};
    bytes_add(&bytes, event, event_length);
    result = request_publish(client, request, &bytes, clock_wall_ns() + wait_ns, topic, topic_length);
    bytes_free(&bytes);
    if (result < 0) {
        request_free(requests, request);
        return result;
    }
    request->ordinal = (uint64_t)result;
    request->deadline_ns = clock_mono_ns() + wait_ns;
    request->on_reply = on_reply;
    request->user = user;
    if (requests->open == 1 || request->deadline_ns < requests->next_ns)
        requests->next_ns = request->deadline_ns;
    return (int64_t)request->number;
}

int rh_request_cancel(rh_client *client, int64_t number) {
    struct request *request = requests_find(&client->requests, (uint64_t)number);
    if (request == NULL)
        return link_invalid(client, "request: none with this number is open");
    request_free(&client->requests, request);
    return RH_OK;
}

/* ---- the ends of a request ---- */

/* The number in a correlationid of ours; 0 = it is not. */
static uint64_t correlation_number(const struct requests *requests, const struct attribute *correlation) {
    size_t head = sizeof requests->tag - 1;
    char digits[NUMBER_DIGITS_MAX + 1] = {0};
    if (correlation->data == NULL || correlation->length < head + 2 ||
        correlation->length > head + 1 + NUMBER_DIGITS_MAX ||
        memcmp(correlation->data, requests->tag, head) != 0 || correlation->data[head] != '-')
        return 0;
    size_t count = correlation->length - head - 1;
    memcpy(digits, correlation->data + head + 1, count);
    return strspn(digits, "0123456789") == count ? strtoull(digits, NULL, 10) : 0;
}

/* A reply that nobody waits for any more is done, too. */
void requests_reply(rh_client *client, const rh_event *event) {
    struct requests *requests = &client->requests;
    struct attribute correlation;
    struct request *request = NULL;
    (void)rh_ack_done_through(client, (uint64_t)requests->inbox, event->delivery);
    if (attribute_find(event->event, event->event_length, "correlationid", &correlation))
        request = requests_find(requests, correlation_number(requests, &correlation));
    if (request != NULL)
        request_end(client, request, RH_CODE_NONE, "", event);
}

static struct request *requests_of_ordinal(const struct requests *requests, uint64_t ordinal) {
    for (uint32_t i = 0; i < requests->capacity; i++)
        if (requests->list[i].number != 0 && requests->list[i].ordinal == ordinal)
            return &requests->list[i];
    return NULL;
}

/* One whose fate is unknown may have been heard: its reply may come. */
void requests_refused(rh_client *client, const rh_ack *ack) {
    for (size_t i = 0; i < ack->refused_count && client->requests.open > 0; i++) {
        struct request *request = requests_of_ordinal(&client->requests, ack->refused[i].ordinal);
        if (request != NULL && ack->refused[i].code != RH_CODE_UNKNOWN_OUTCOME)
            request_end(client, request, ack->refused[i].code, ack->refused[i].text, NULL);
    }
}

/* Only those that wait now: callbacks may ask again. */
void requests_end(rh_client *client, int code, const char *text) {
    struct requests *requests = &client->requests;
    uint64_t before = (requests->rounds + 1) * REQUESTS_MAX;
    for (uint32_t i = 0; i < requests->capacity; i++)
        if (requests->list[i].number != 0 && requests->list[i].number < before)
            request_end(client, &requests->list[i], code, text, NULL);
}

void requests_timer(rh_client *client, uint64_t now) {
    struct requests *requests = &client->requests;
    if (requests->open == 0 || now < requests->next_ns)
        return;
    for (uint32_t i = 0; i < requests->capacity; i++)
        if (requests->list[i].number != 0 && requests->list[i].deadline_ns <= now)
            request_end(client, &requests->list[i], RH_CODE_DEADLINE, "no reply has come in time", NULL);
    requests->next_ns = UINT64_MAX;
    for (uint32_t i = 0; i < requests->capacity; i++)
        if (requests->list[i].number != 0 && requests->list[i].deadline_ns < requests->next_ns)
            requests->next_ns = requests->list[i].deadline_ns;
}

uint64_t requests_next_timer(const struct requests *requests) {
    return requests->open > 0 ? requests->next_ns : UINT64_MAX;
}

/* ---- answering ---- */

static bool attribute_text(const rh_event *event, const char *name, struct attribute *out) {
    return attribute_find(event->event, event->event_length, name, out) && out->data != NULL;
}

static void add_expiry(struct bytes *reply, const struct attribute *expiry) {
    if (expiry->kind == VALUE_TIME)
        compose_time(reply, ATTRIBUTE_EXPIRY, expiry->number, expiry->nanos);
    else if (expiry->data != NULL)
        compose_attribute(reply, ATTRIBUTE_EXPIRY, VALUE_STRING, expiry->data, expiry->length);
}

static const char *reply_fault(const struct attribute *to, const uint8_t *reply, size_t length) {
    struct attribute attribute;
    struct fault fault;
    if (to->length == 0 || to->data[0] != '@' || !topic_valid(to->data, to->length, &fault))
        return "request: its replyto is no mailbox";
    if (reply == NULL || length > LINK_FRAME_MAX / 2)
        return "reply: must be a serialized CloudEvent";
    if (attribute_find(reply, length, "correlationid", &attribute))
        return "reply: its correlationid is set by rh_reply";
    return NULL;
}

int64_t rh_reply(rh_client *client, const rh_event *request, const uint8_t *reply, size_t reply_length) {
    struct attribute to, correlation, expiry;
    uint64_t expiry_ns;
    if (!attribute_text(request, "replyto", &to))
        return link_invalid(client, "request: it has no replyto, so nobody waits for a reply");
    const char *fault = reply_fault(&to, reply, reply_length);
    if (fault != NULL)
        return link_invalid(client, fault);
    bool expires = attribute_expiry(request->event, request->event_length, &expiry_ns);
    if (expires && clock_wall_ns() > expiry_ns) {
        link_error(client, "the time for this request is over: nobody waits for its reply any more");
        return RH_TIMEOUT;
    }
    struct bytes bytes = {0};
    bytes_add(&bytes, reply, reply_length);
    if (attribute_text(request, "correlationid", &correlation))
        compose_attribute(&bytes, "correlationid", VALUE_STRING, correlation.data, correlation.length);
    if (expires && !attribute_find(reply, reply_length, ATTRIBUTE_EXPIRY, &expiry) &&
        attribute_find(request->event, request->event_length, ATTRIBUTE_EXPIRY, &expiry))
        add_expiry(&bytes, &expiry);
    int64_t result = bytes.failed
                         ? RH_NO_MEMORY
                         : rh_publish(client, (const char *)to.data, to.length, bytes.data, bytes.length);
    bytes_free(&bytes);
    return result;
}
