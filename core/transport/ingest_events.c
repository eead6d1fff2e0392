/* CloudEvents over HTTP: a request's body becomes events, which are published and answered for. */
#include "codecs/event/attributes.h"
#include "codecs/event/check.h"
#include "codecs/event/http.h"
#include "codecs/event/json.h"
#include "codecs/event/json_text.h"
#include "codecs/proto/field.h"
#include "core/base/heap.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/bridge/port.h"
#include "core/bridge/trace.h"
#include "core/transport/ingest_private.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One event of a request. */
struct piece {
    struct batch *batch;
    uint8_t *event; /* owns; NULL: it has been given away, or is none */
    size_t length;
    char *id; /* owns; NULL: none could be read */
    enum { PIECE_NEW, PIECE_SENT, PIECE_PUBLISHED, PIECE_REFUSED } state;
    int code;          /* RH_CODE_... of one that is refused */
    char *text;        /* owns: why */
    const char *field; /* static, or of the request's headers */
};

/* All events of a request. It stays until the router has said what became of each, its request may leave. */
struct batch {
    struct list node;               /* of ingest->batches */
    struct list room;               /* of outlet->blocked */
    struct ingest_request *request; /* NULL: it has been answered */
    struct outlet *outlet;
    bool many;      /* a batch's mode: each has its own result */
    bool hasty;     /* nobody waits for the router's word */
    uint8_t *topic; /* owns */
    size_t topic_length;
    struct piece *pieces; /* owns */
    size_t count, capacity, next, unsettled;
};

static void batch_run(struct batch *batch);

/* ---- outlets ---- */

bool outlet_open(struct outlet *outlet, struct ingest *ingest, bool disk, char *why, size_t why_bytes) {
    struct port_options options = {.base = ingest->base,
                                   .server = ingest->server,
                                   .name = disk ? "ingest (disk)" : "ingest",
                                   .disk = disk,
                                   .send_bytes = port_send_bytes(ingest->options.event_bytes)};
    list_init(&outlet->blocked);
    outlet->ingest = ingest;
    outlet->port = port_new(&options, why, why_bytes);
    return outlet->port != NULL;
}

void outlet_close(struct outlet *outlet) {
    if (outlet->port != NULL)
        port_free(outlet->port);
    outlet->port = NULL;
}

static void on_room(void *user) {
    struct outlet *outlet = user;
    outlet->asked = false;
    while (!outlet->asked && !list_empty(&outlet->blocked)) {
        struct batch *batch = LIST_OF(outlet->blocked.next, struct batch, room);
        list_remove(&batch->room);
        batch_run(batch);
    }
}

static void outlet_ask(struct outlet *outlet) {
    if (outlet->asked)
        return;
    outlet->asked = true;
    port_on_room(outlet->port, on_room, outlet);
}

/* ---- a batch's life ---- */

static void batch_free(struct batch *batch) {
    list_remove(&batch->node);
    list_remove(&batch->room);
    for (size_t i = 0; i < batch->count; i++) {
        free(batch->pieces[i].event);
        free(batch->pieces[i].id);
        free(batch->pieces[i].text);
    }
    free(batch->pieces);
    free(batch->topic);
    free(batch);
}

void batches_free(struct ingest *ingest) {
    while (!list_empty(&ingest->batches))
        batch_free(LIST_OF(ingest->batches.next, struct batch, node));
}

static struct batch *batch_new(struct ingest_request *request) {
    struct ingest *ingest = request->ingest;
    struct batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL)
        return NULL;
    list_init(&batch->node);
    list_init(&batch->room);
    list_add(&ingest->batches, &batch->node);
    batch->request = request;
    batch->topic = request->topic;
    batch->topic_length = request->topic_length;
    request->topic = NULL;
    request->batch = batch;
    bool disk = ingest->disk.port != NULL && (request->ack == ACK_DISK || request->ack == ACK_DEFAULT);
    batch->outlet = disk ? &ingest->disk : &ingest->routed;
    batch->hasty = request->ack == ACK_NONE;
    return batch;
}

/* What is still with the router comes back to it; what was not given to it, is not. */
void events_leave(struct ingest_request *request) {
    struct batch *batch = request->batch;
    if (batch == NULL)
        return;
    request->batch = NULL;
    batch->request = NULL;
    list_remove(&batch->room);
    if (batch->unsettled == 0)
        batch_free(batch);
}

/* ---- pieces ---- */

static struct piece *piece_add(struct batch *batch) {
    if (batch->count == batch->capacity) {
        size_t capacity = batch->capacity == 0 ? 1 : 4 * batch->capacity;
        struct piece *pieces = realloc(batch->pieces, capacity * sizeof *pieces);
        if (pieces == NULL)
            return NULL;
        batch->pieces = pieces;
        batch->capacity = capacity;
    }
    batch->pieces[batch->count] = (struct piece){.batch = batch};
    return &batch->pieces[batch->count++];
}

static void piece_refuse(struct piece *piece, int code, const char *text, const char *field) {
    piece->state = PIECE_REFUSED;
    piece->code = code;
    piece->field = field;
    free(piece->text);
    piece->text = strdup(text);
}

static unsigned status_of(const struct piece *piece) {
    switch (piece->code) {
    case RH_CODE_NONE:
        return MHD_HTTP_ACCEPTED;
    case RH_CODE_INVALID:
    case RH_CODE_UNSUPPORTED:
        return piece->field != NULL && strcmp(piece->field, "body") == 0 ? MHD_HTTP_BAD_REQUEST
                                                                         : MHD_HTTP_UNPROCESSABLE_CONTENT;
    case RH_CODE_TOO_LARGE:
        return MHD_HTTP_CONTENT_TOO_LARGE;
    case RH_CODE_NOT_ALLOWED:
        return MHD_HTTP_FORBIDDEN;
    case RH_CODE_EXHAUSTED:
        return MHD_HTTP_TOO_MANY_REQUESTS;
    default:
        return MHD_HTTP_SERVICE_UNAVAILABLE;
    }
}

static void piece_name(struct piece *piece) {
    struct attribute id;
    if (piece->event != NULL && attribute_find(piece->event, piece->length, "id", &id) && id.data != NULL)
        piece->id = heap_text(id.data, id.length);
}

static bool piece_json(struct batch *batch, const char *text, size_t length) {
    struct piece *piece = piece_add(batch);
    struct fault fault = {0};
    if (piece == NULL)
        return false;
    if (length > 2 * batch->request->ingest->options.event_bytes)
        piece_refuse(piece, RH_CODE_TOO_LARGE, "the event is larger than the router takes", NULL);
    else if (!event_from_json(text, length, &piece->event, &piece->length, &fault))
        piece_refuse(piece, (int)fault.code, fault.text, fault.field != NULL ? fault.field : "body");
    piece_name(piece);
    return true;
}

static bool piece_protobuf(struct batch *batch, const uint8_t *bytes, size_t length) {
    struct piece *piece = piece_add(batch);
    struct fault fault;
    if (piece == NULL)
        return false;
    if (!event_check(bytes, length, &fault)) {
        piece_refuse(piece, (int)fault.code, fault.text, fault.field);
        return true;
    }
    piece->event = malloc(length);
    if (piece->event == NULL)
        return false;
    memcpy(piece->event, bytes, length);
    piece->length = length;
    piece_name(piece);
    return true;
}

/* ---- the modes ---- */

struct headers {
    struct http_header list[INGEST_HEADERS_MAX];
    size_t count;
};

static enum MHD_Result header_collect(void *user, enum MHD_ValueKind kind, const char *name,
                                      const char *value) {
    struct headers *headers = user;
    (void)kind;
    if (headers->count == INGEST_HEADERS_MAX)
        return MHD_NO;
    headers->list[headers->count++] = (struct http_header){name, value == NULL ? "" : value};
    return MHD_YES;
}

static bool read_binary(struct batch *batch) {
    struct ingest_request *request = batch->request;
    struct headers headers = {.count = 0};
    struct fault fault = {0};
    struct piece *piece = piece_add(batch);
    if (piece == NULL)
        return false;
    (void)request->ingest->httpd->get_connection_values(request->connection, MHD_HEADER_KIND, header_collect,
                                                        &headers);
    if (!event_from_http(headers.list, headers.count, request->body, request->length, &piece->event,
                         &piece->length, &fault))
        piece_refuse(piece, (int)fault.code, fault.text, fault.field);
    piece_name(piece);
    return true;
}

static bool batch_refuse(struct batch *batch, unsigned status, const char *error, const char *hint) {
    ingest_refuse(batch->request, status, error, "body", hint);
    return true;
}

static bool full(struct batch *batch) {
    if (batch->count < INGEST_BATCH_MAX)
        return false;
    (void)batch_refuse(batch, MHD_HTTP_CONTENT_TOO_LARGE, "the batch has more than 10000 events",
                       "send it in parts");
    return true;
}
static_assert(INGEST_BATCH_MAX == 10000u, "the text names it");

static bool read_batch_json(struct batch *batch) {
    struct ingest_request *request = batch->request;
    const char *text = (const char *)request->body, *end = text + request->length, *value;
    size_t length;
    const char *at = json_text_begin(text, end);
    batch->many = true;
    while (json_element_next(&at, end, &value, &length)) {
        if (full(batch))
            return true;
        if (!piece_json(batch, value, length))
            return false;
        const struct piece *piece = &batch->pieces[batch->count - 1];
        if (status_of(piece) == MHD_HTTP_BAD_REQUEST) /* where the next one begins is a guess */
            return batch_refuse(batch, MHD_HTTP_BAD_REQUEST, piece->text,
                                "nothing of this batch was published");
    }
    if (at == end || *at != ']' || json_text_begin(at + 1, end) != end)
        return batch_refuse(batch, MHD_HTTP_BAD_REQUEST, "the body is not a JSON array of events",
                            "a batch is [{...}, {...}]; one event alone is application/cloudevents+json");
    return true;
}

static bool read_batch_protobuf(struct batch *batch) {
    struct ingest_request *request = batch->request;
    const uint8_t *p = request->body, *end = p + request->length;
    batch->many = true;
    while (p != NULL && p < end) {
        struct field field;
        p = field_read(p, end, &field);
        if (p == NULL)
            return batch_refuse(batch, MHD_HTTP_BAD_REQUEST,
                                "the body is not a serialized io.cloudevents.v1.CloudEventBatch", NULL);
        if (field.number != 1)
            continue;
        if (field.type != FIELD_BYTES)
            return batch_refuse(batch, MHD_HTTP_BAD_REQUEST,
                                "the body is not a serialized io.cloudevents.v1.CloudEventBatch", NULL);
        if (full(batch))
            return true;
        if (!piece_protobuf(batch, field.data, field.length))
            return false;
    }
    return true;
}

/* Those that have no trace of their own get that of the request. */
static void events_trace(struct batch *batch) {
    struct trace trace;
    if (!ingest_trace(batch->request, &trace))
        return;
    for (size_t i = 0; i < batch->count; i++) {
        struct piece *piece = &batch->pieces[i];
        uint8_t *event;
        size_t length;
        if (piece->event == NULL || !trace_add(&trace, piece->event, piece->length, &event, &length))
            continue;
        free(piece->event);
        piece->event = event;
        piece->length = length;
    }
}

/* False: no memory. The request may be answered afterwards. */
static bool events_read(struct batch *batch) {
    struct ingest_request *request = batch->request;
    const char *type = request->ingest->httpd->lookup_connection_value(request->connection, MHD_HEADER_KIND,
                                                                       MHD_HTTP_HEADER_CONTENT_TYPE);
    enum http_mode mode = http_mode_of(type);
    if (mode != HTTP_BINARY && mode != HTTP_UNKNOWN && request->length == 0 && mode != HTTP_BATCH_PROTOBUF)
        return batch_refuse(batch, MHD_HTTP_BAD_REQUEST, "the body is empty", NULL);
    if ((mode == HTTP_JSON || mode == HTTP_BATCH_JSON) && !http_charset_utf8(type)) {
        ingest_refuse(request, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "JSON comes in UTF-8 here", "Content-Type",
                      "leave the charset out, or write charset=utf-8");
        return true;
    }
    switch (mode) {
    case HTTP_BINARY:
        return read_binary(batch);
    case HTTP_JSON:
        return piece_json(batch, (const char *)request->body, request->length);
    case HTTP_PROTOBUF:
        return piece_protobuf(batch, request->body, request->length);
    case HTTP_BATCH_JSON:
        return read_batch_json(batch);
    case HTTP_BATCH_PROTOBUF:
        return read_batch_protobuf(batch);
    case HTTP_UNKNOWN:
        break;
    }
    ingest_refuse(request, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "this format of events is not known",
                  "Content-Type",
                  "application/cloudevents+json, application/cloudevents+protobuf, and the same with "
                  "cloudevents-batch");
    return true;
}

/* ---- answers ---- */

static const char *hint_of(unsigned status) {
    switch (status) {
    case MHD_HTTP_BAD_REQUEST:
    case MHD_HTTP_UNPROCESSABLE_CONTENT:
        return "binary mode has the ce- headers; an event as JSON has Content-Type "
               "application/cloudevents+json; a document of a spoke goes to /v1/ingest/NAME";
    case MHD_HTTP_CONTENT_TOO_LARGE:
        return "limits.frame in the router's configuration is the most for one event";
    case MHD_HTTP_TOO_MANY_REQUESTS:
    case MHD_HTTP_SERVICE_UNAVAILABLE:
        return "send it again after Retry-After, with the same source and id";
    default:
        return NULL;
    }
}

/* Of all results the one that says most of what to do: again, or never. */
static unsigned batch_status(const struct batch *batch) {
    unsigned status = MHD_HTTP_ACCEPTED;
    for (size_t i = 0; i < batch->count; i++) {
        unsigned one = status_of(&batch->pieces[i]);
        if (one == MHD_HTTP_SERVICE_UNAVAILABLE || one == MHD_HTTP_TOO_MANY_REQUESTS)
            return one;
        if (one != MHD_HTTP_ACCEPTED)
            status = batch->many ? MHD_HTTP_UNPROCESSABLE_CONTENT : one;
    }
    return status;
}

static json_t *piece_result(const struct piece *piece) {
    bool again =
        status_of(piece) == MHD_HTTP_SERVICE_UNAVAILABLE || status_of(piece) == MHD_HTTP_TOO_MANY_REQUESTS;
    if (piece->code == RH_CODE_NONE)
        return json_pack("{s:s?, s:s}", "id", piece->id, "status", "published");
    return json_pack("{s:s?, s:s, s:s*, s:s*}", "id", piece->id, "status", again ? "unavailable" : "refused",
                     "error", piece->text, "field", piece->field);
}

static json_t *batch_reply(const struct batch *batch, unsigned status) {
    json_t *ids = json_array(), *results = batch->many ? json_array() : NULL;
    json_int_t published = 0;
    const struct piece *first = NULL;
    for (size_t i = 0; i < batch->count; i++) {
        const struct piece *piece = &batch->pieces[i];
        if (results != NULL)
            (void)json_array_append_new(results, piece_result(piece));
        if (piece->code == RH_CODE_NONE) {
            published++;
            (void)json_array_append_new(ids, json_string(piece->id));
        } else if (first == NULL || status_of(piece) == status) {
            first = first == NULL || status_of(first) != status ? piece : first;
        }
    }
    json_t *reply = json_object();
    if (batch->many || first == NULL) {
        (void)json_object_set(reply, "ids", ids);
        (void)json_object_set_new(reply, "published", json_integer(published));
    }
    json_decref(ids);
    if (first != NULL) {
        (void)json_object_set_new(reply, "error", json_string(first->text));
        if (first->field != NULL)
            (void)json_object_set_new(reply, "field", json_string(first->field));
        if (hint_of(status_of(first)) != NULL)
            (void)json_object_set_new(reply, "hint", json_string(hint_of(status_of(first))));
    }
    if (results != NULL)
        (void)json_object_set_new(reply, "results", results);
    return reply;
}

static void batch_answer(struct batch *batch) {
    struct ingest_request *request = batch->request;
    if (request == NULL || request->answered)
        return;
    unsigned status = batch_status(batch);
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE || status == MHD_HTTP_TOO_MANY_REQUESTS)
        ingest_extra(request, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    ingest_reply(request, status, batch_reply(batch, status));
}

/* ---- publishing ---- */

static void on_settled(void *user, int code, const char *text) {
    struct piece *piece = user;
    struct batch *batch = piece->batch;
    batch->unsettled--;
    if (batch->request == NULL) {
        if (batch->unsettled == 0)
            batch_free(batch);
        return;
    }
    if (code == RH_CODE_NONE)
        piece->state = PIECE_PUBLISHED;
    else if (!batch->hasty)
        piece_refuse(piece, code, text, code == RH_CODE_INVALID ? "event" : NULL);
    if (batch->unsettled == 0 && batch->next == batch->count)
        batch_answer(batch);
}

/* False: there is no room now. */
static bool piece_publish(struct batch *batch, struct piece *piece) {
    struct port *port = batch->outlet->port;
    int result = port_publish(port, (const char *)batch->topic, batch->topic_length, piece->event,
                              piece->length, on_settled, piece);
    if (result == -EAGAIN)
        return false;
    if (result == 0) {
        piece->state = PIECE_SENT;
        batch->unsettled++;
    } else if (result == -EINVAL) {
        piece_refuse(piece,
                     piece->length >= batch->request->ingest->options.event_bytes ? RH_CODE_TOO_LARGE
                                                                                  : RH_CODE_INVALID,
                     port_error(port), NULL);
    } else {
        piece_refuse(piece, RH_CODE_UNAVAILABLE, "out of memory", NULL);
    }
    free(piece->event);
    piece->event = NULL;
    return true;
}

static void batch_run(struct batch *batch) {
    while (batch->next < batch->count) {
        struct piece *piece = &batch->pieces[batch->next];
        if (piece->state == PIECE_NEW && !piece_publish(batch, piece)) {
            list_add(&batch->outlet->blocked, &batch->room);
            outlet_ask(batch->outlet);
            return;
        }
        batch->next++;
    }
    if (batch->unsettled == 0 || batch->hasty)
        batch_answer(batch);
}

void events_begin(struct ingest_request *request) {
    struct batch *batch = batch_new(request);
    bool good = batch != NULL && events_read(batch);
    if (good)
        events_trace(batch);
    if (!good) {
        ingest_extra(request, MHD_HTTP_HEADER_RETRY_AFTER, "1");
        ingest_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory", NULL, "send it again later");
    }
    if (request->answered)
        return;
    if (list_empty(&batch->outlet->blocked))
        batch_run(batch);
    else
        list_add(&batch->outlet->blocked, &batch->room); /* behind those that came first */
}

void events_late(struct ingest_request *request) {
    struct batch *batch = request->batch;
    list_remove(&batch->room);
    for (size_t i = 0; i < batch->count; i++) {
        struct piece *piece = &batch->pieces[i];
        if (piece->state == PIECE_SENT)
            piece_refuse(piece, RH_CODE_UNKNOWN_OUTCOME,
                         "the router has not said in time whether it has this event", NULL);
        else if (piece->state == PIECE_NEW)
            piece_refuse(piece, RH_CODE_UNAVAILABLE, "the router is behind, and did not take it in time",
                         NULL);
    }
    batch_answer(batch);
}
