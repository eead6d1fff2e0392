/* A request of HTTP in: where it goes, its body, its answer. */
#include "codecs/event/http.h"
#include "core/base/heap.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/topic.h"
#include "core/bridge/trace.h"
#include "core/transport/ingest_private.h"

#include "rh_build.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BODY_FIRST 4096u

static const char help_text[] =
    "roundhouse " RH_VERSION ": events and documents come in here\n"
    "\n"
    "POST /v1/events/TOPIC   CloudEvents: ce- headers and any body (binary mode), or Content-Type\n"
    "                        application/cloudevents+json, application/cloudevents-batch+json, or the same\n"
    "                        with +protobuf. Answered 202 when the router has them.\n"
    "                        ?ack=none: at once; routed: when in memory; disk: when on disk, if kept there\n"
    "POST /v1/events         the same, the header Roundhouse-Topic names the topic\n"
    "POST /v1/ingest/NAME    a document for the spoke NAME: EDIFACT, X12, IDoc, UBL, CSV, JSON\n"
    "OPTIONS                 the handshake of webhooks (WebHook-Request-Origin)\n"
    "\n"
    "What is refused says why: {\"error\", \"field\", \"hint\"}. docs/INGEST.md has examples.\n";

/* ---- answers ---- */

void ingest_extra(struct ingest_request *request, const char *name, const char *value) {
    if (request->extras_count == REQUEST_EXTRAS || request->answered)
        return;
    request->extras[request->extras_count].name = name;
    (void)snprintf(request->extras[request->extras_count].value, sizeof request->extras[0].value, "%s",
                   value);
    request->extras_count++;
}

void ingest_answer(struct ingest_request *request, unsigned status, char *reply, size_t length) {
    if (request->answered) {
        free(reply);
        return;
    }
    struct ingest_counters *counters = request->ingest->counters;
    counter_add(status < 400   ? &counters->accepted
                : status < 500 ? &counters->refused
                               : &counters->unavailable,
                1);
    request->answered = true;
    request->status = status;
    request->reply = reply;
    request->reply_length = reply == NULL ? 0 : length;
    list_remove(&request->node);
    if (request->suspended) {
        request->suspended = false;
        request->ingest->httpd->resume_connection(request->connection);
        ingest_wake(request->ingest);
    }
}

void ingest_reply(struct ingest_request *request, unsigned status, json_t *reply) {
    char *text = reply == NULL ? NULL : json_dumps(reply, JSON_COMPACT);
    size_t length = text == NULL ? 0 : strlen(text);
    if (text != NULL)
        text[length++] = '\n'; /* in the place of the zero byte */
    json_decref(reply);
    ingest_answer(request, text == NULL ? MHD_HTTP_SERVICE_UNAVAILABLE : status, text, length);
}

void ingest_refuse(struct ingest_request *request, unsigned status, const char *error, const char *field,
                   const char *hint) {
    json_t *reply = json_pack("{s:s, s:s*, s:s*}", "error", error, "field", field, "hint", hint);
    ingest_reply(request, status, reply);
}

static enum MHD_Result request_send(struct ingest_request *request) {
    const struct httpd_table *httpd = request->ingest->httpd;
    struct MHD_Response *response =
        httpd->create_response_from_buffer(request->reply_length, request->reply, MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        return MHD_NO;
    if (request->reply_length > 0)
        (void)httpd->add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, request->reply_type);
    (void)httpd->add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    (void)httpd->add_response_header(response, "X-Content-Type-Options", "nosniff");
    for (uint32_t i = 0; i < request->extras_count; i++)
        (void)httpd->add_response_header(response, request->extras[i].name, request->extras[i].value);
    enum MHD_Result result = httpd->queue_response(request->connection, request->status, response);
    httpd->destroy_response(response);
    request->client->deadline_ns = clock_mono_ns() + request->ingest->options.request_ns;
    return result;
}

/* ---- where it goes ---- */

static const char *header_of(const struct ingest_request *request, const char *name) {
    return request->ingest->httpd->lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

bool ingest_trace(const struct ingest_request *request, struct trace *trace) {
    return trace_set(trace, header_of(request, TRACE_PARENT), header_of(request, TRACE_STATE));
}

static bool topic_take(struct ingest_request *request, const char *text) {
    struct fault fault;
    const char *wrong = http_percent_decode(text, &request->topic, &request->topic_length);
    if (wrong == NULL && !topic_valid(request->topic, request->topic_length, &fault))
        wrong = fault.text;
    if (wrong != NULL)
        ingest_refuse(request, MHD_HTTP_BAD_REQUEST, wrong, "topic",
                      "such as POST /v1/events/erp.order.created");
    return wrong == NULL;
}

static bool ack_take(struct ingest_request *request) {
    static const char *const names[] = {[ACK_NONE] = "none", [ACK_ROUTED] = "routed", [ACK_DISK] = "disk"};
    const char *text =
        request->ingest->httpd->lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, "ack");
    if (text == NULL)
        return true;
    for (int ack = ACK_NONE; ack <= ACK_DISK; ack++)
        if (strcmp(text, names[ack]) == 0)
            request->ack = (__typeof__(request->ack))ack;
    if (request->ack == ACK_DEFAULT)
        ingest_refuse(request, MHD_HTTP_BAD_REQUEST, "ack is none, routed or disk", "ack", NULL);
    else if (request->ack == ACK_DISK && request->ingest->disk.port == NULL)
        ingest_refuse(request, MHD_HTTP_BAD_REQUEST, "this router has no journal, so nothing is on disk",
                      "ack", "ask for ack=routed, or start the router with a journal");
    return !request->answered;
}

static void events_route(struct ingest_request *request, const char *topic) {
    const char *named = header_of(request, "Roundhouse-Topic");
    request->route = ROUTE_EVENTS;
    if (!auth_bearer(request, &request->ingest->auth))
        return;
    if (*topic == 0 && named == NULL)
        ingest_refuse(request, MHD_HTTP_BAD_REQUEST, "no topic is named", "topic",
                      "POST /v1/events/TOPIC, or the header Roundhouse-Topic");
    else if (topic_take(request, *topic != 0 ? topic : named))
        (void)ack_take(request);
}

static void document_route(struct ingest_request *request, const char *name) {
    size_t length;
    uint8_t *text = NULL;
    request->route = ROUTE_DOCUMENT;
    const char *wrong = http_percent_decode(name, &text, &length);
    if (wrong == NULL)
        request->name = heap_text(text, length);
    free(text);
    struct door *door = request->name == NULL ? NULL : door_find(request->ingest, request->name);
    if (door != NULL)
        (void)auth_bearer(request, &door->auth);
    else
        door_missing(request);
}

static void options_route(struct ingest_request *request) {
    const char *origin = header_of(request, "WebHook-Request-Origin");
    request->route = ROUTE_OPTIONS;
    ingest_extra(request, MHD_HTTP_HEADER_ALLOW, "POST");
    if (origin != NULL) {
        ingest_extra(request, "WebHook-Allowed-Origin", origin);
        ingest_extra(request, "WebHook-Allowed-Rate", "*");
    }
    ingest_answer(request, origin != NULL ? MHD_HTTP_OK : MHD_HTTP_NO_CONTENT, NULL, 0);
}

static void method_refuse(struct ingest_request *request, const char *allowed) {
    char hint[64];
    (void)snprintf(hint, sizeof hint, "allowed: %s", allowed);
    ingest_extra(request, MHD_HTTP_HEADER_ALLOW, allowed);
    ingest_refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "this method is not allowed here", "method", hint);
}

/* NULL, or what follows the prefix and a slash; "" when nothing does. */
static const char *behind(const char *path, const char *prefix) {
    size_t n = strlen(prefix);
    if (strncmp(path, prefix, n) != 0 || (path[n] != 0 && path[n] != '/'))
        return NULL;
    return path + n + (path[n] == '/');
}

static void help_route(struct ingest_request *request, const char *method) {
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        method_refuse(request, "GET, HEAD");
        return;
    }
    request->route = ROUTE_HELP;
    request->reply_type = "text/plain; charset=utf-8";
    char *text = strdup(help_text);
    ingest_answer(request, MHD_HTTP_OK, text, sizeof help_text - 1);
}

static void route(struct ingest_request *request, const char *path, const char *method) {
    const char *topic = behind(path, "/v1/events"), *name = behind(path, "/v1/ingest");
    if (strcmp(path, "/") == 0)
        help_route(request, method);
    else if (topic == NULL && name == NULL)
        ingest_refuse(request, MHD_HTTP_NOT_FOUND, "there is nothing at this path", "path",
                      "GET / tells what there is");
    else if (strcmp(method, MHD_HTTP_METHOD_OPTIONS) == 0)
        options_route(request);
    else if (strcmp(method, MHD_HTTP_METHOD_POST) != 0)
        method_refuse(request, "POST, OPTIONS");
    else if (topic != NULL)
        events_route(request, topic);
    else
        document_route(request, name);
}

/* ---- what the headers say of the body ---- */

static bool length_declared(const struct ingest_request *request, unsigned long long *length) {
    const char *text = header_of(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    char *end;
    if (text == NULL)
        return false;
    *length = strtoull(text, &end, 10); /* the daemon has seen that it is a number */
    return true;
}

static void body_refuse(struct ingest_request *request) {
    char hint[96];
    (void)snprintf(hint, sizeof hint, "the most is %llu bytes",
                   (unsigned long long)request->ingest->options.body_bytes);
    ingest_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too large", "body", hint);
}

static void body_look(struct ingest_request *request) {
    unsigned long long length;
    const char *coding = header_of(request, MHD_HTTP_HEADER_CONTENT_ENCODING);
    if (request->answered)
        return;
    if (coding != NULL && strcasecmp(coding, "identity") != 0)
        ingest_refuse(request, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "compressed bodies are not taken",
                      "Content-Encoding", "send it as it is");
    else if (length_declared(request, &length) && length > request->ingest->options.body_bytes)
        body_refuse(request);
}

/* Whether an answer goes out before the body has come; else the body is read and thrown away, as a sender
 * that is still writing might not read what stands against it. */
static bool answer_first(const struct ingest_request *request) {
    unsigned long long length;
    if (!request->answered)
        return false;
    return header_of(request, MHD_HTTP_HEADER_EXPECT) != NULL ||
           (length_declared(request, &length) && length > request->ingest->options.body_bytes);
}

/* ---- the body ---- */

static void body_drop(struct ingest_request *request) {
    request->ingest->held_bytes -= request->capacity;
    free(request->body);
    request->body = NULL;
    request->length = request->capacity = 0;
}

static bool body_room(struct ingest_request *request, size_t more) {
    struct ingest *ingest = request->ingest;
    size_t need = request->length + more, capacity = request->capacity == 0 ? BODY_FIRST : request->capacity;
    while (capacity < need)
        capacity *= 2;
    if (capacity > ingest->options.body_bytes)
        capacity = need > ingest->options.body_bytes ? need : ingest->options.body_bytes;
    if (capacity == request->capacity)
        return true;
    uint64_t held = ingest->held_bytes + (capacity - request->capacity);
    uint8_t *body = held > ingest->options.total_bytes ? NULL : realloc(request->body, capacity);
    if (body == NULL)
        return false;
    request->body = body;
    request->capacity = capacity;
    ingest->held_bytes = held;
    return true;
}

/* False: it sends much more than is taken, and is cut off. */
static bool body_take(struct ingest_request *request, const char *data, size_t size) {
    request->came += size;
    if (request->came > 2 * request->ingest->options.body_bytes + INGEST_HEADER_BYTES_MAX)
        return false;
    if (request->answered)
        return true;
    if (request->came > request->ingest->options.body_bytes) {
        body_refuse(request);
    } else if (!body_room(request, size)) {
        ingest_extra(request, MHD_HTTP_HEADER_RETRY_AFTER, "1");
        ingest_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE,
                      "the bodies that are being read take all memory that is set aside for them", NULL,
                      "send it again a little later");
    } else {
        memcpy(request->body + request->length, data, size);
        request->length += size;
        return true;
    }
    body_drop(request);
    return true;
}

/* ---- its course ---- */

static void request_begin(struct ingest_request *request) {
    request->begun = true;
    request->client->deadline_ns = UINT64_MAX;
    request->deadline_ns = clock_mono_ns() + request->ingest->options.answer_ns;
    if (request->answered)
        return;
    if (request->route == ROUTE_DOCUMENT)
        documents_begin(request);
    else if (auth_hmac(request, &request->ingest->auth))
        events_begin(request);
}

static struct ingest_request *request_new(struct ingest *ingest, struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        ingest->httpd->get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct ingest_request *request =
        info == NULL || info->socket_context == NULL ? NULL : calloc(1, sizeof *request);
    if (request == NULL)
        return NULL;
    list_init(&request->node);
    list_init(&request->place);
    request->ingest = ingest;
    request->connection = connection;
    request->client = info->socket_context;
    request->client->deadline_ns = clock_mono_ns() + ingest->options.request_ns;
    request->reply_type = "application/json";
    return request;
}

enum MHD_Result ingest_access(void *user, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data, size_t *size,
                              void **context) {
    struct ingest_request *request = *context;
    (void)version;
    if (request == NULL) {
        request = request_new(user, connection);
        if (request == NULL)
            return MHD_NO;
        *context = request;
        route(request, url, method);
        body_look(request);
        return answer_first(request) ? request_send(request) : MHD_YES;
    }
    if (*size > 0) {
        bool good = body_take(request, data, *size);
        *size = 0;
        return good ? MHD_YES : MHD_NO;
    }
    if (!request->begun)
        request_begin(request);
    if (request->answered)
        return request_send(request);
    request->suspended = true;
    list_add(&request->ingest->waiting, &request->node);
    request->ingest->httpd->suspend_connection(connection);
    return MHD_YES;
}

void ingest_completed(void *user, struct MHD_Connection *connection, void **context,
                      enum MHD_RequestTerminationCode code) {
    struct ingest_request *request = *context;
    struct ingest *ingest = user;
    (void)connection;
    (void)code;
    if (request == NULL)
        return;
    request->suspended = false;
    request->answered = true;
    events_leave(request);
    documents_leave(request);
    list_remove(&request->node);
    request->client->deadline_ns = clock_mono_ns() + ingest->options.idle_ns + ingest->options.request_ns;
    body_drop(request);
    free(request->topic);
    free(request->name);
    free(request->reply);
    free(request);
    *context = NULL;
}

void ingest_late(struct ingest_request *request) {
    if (request->route == ROUTE_DOCUMENT)
        documents_late(request);
    else
        events_late(request);
}
