/* Raw documents over HTTP: each spoke has a door, behind which one document after the other is read. */
#include "core/base/limits.h"
#include "core/bridge/inbound.h"
#include "core/bridge/port.h"
#include "core/bridge/trace.h"
#include "core/transport/ingest_private.h"

#include <errno.h>
#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void door_next(struct door *door);

/* ---- a door's life ---- */

struct door *door_find(struct ingest *ingest, const char *name) {
    for (struct list *node = ingest->doors.next; node != &ingest->doors; node = node->next) {
        struct door *door = LIST_OF(node, struct door, node);
        if (strcmp(door->name, name) == 0)
            return door;
    }
    return NULL;
}

/* Its queue is empty. */
static void door_free(struct door *door) {
    list_remove(&door->node);
    if (door->turn != NULL)
        event_free(door->turn);
    if (door->inbound != NULL)
        inbound_free(door->inbound);
    if (door->port != NULL)
        port_free(door->port);
    auth_close(&door->auth);
    free(door->name);
    free(door);
}

/* In a turn of the loop of its own: others have theirs, and no call of inbound's is on the way. */
static void door_turn(struct door *door) {
    const struct timeval at_once = {0};
    (void)evtimer_add(door->turn, &at_once);
}

static void on_turn(evutil_socket_t fd, short what, void *user) {
    (void)fd;
    (void)what;
    door_next(user);
}

static struct door *door_new(struct ingest *ingest, const struct command *command) {
    struct inbound_options inbound = *command->inbound;
    struct door *door = calloc(1, sizeof *door);
    (void)snprintf(command->why, command->why_bytes, "out of memory");
    if (door == NULL)
        return NULL;
    list_init(&door->node);
    list_init(&door->queue);
    door->ingest = ingest;
    door->name = strdup(inbound.name);
    door->turn = evtimer_new(ingest->base, on_turn, door);
    struct port_options port = {.base = ingest->base,
                                .server = ingest->server,
                                .name = inbound.name,
                                .disk = command->disk,
                                .send_bytes = port_send_bytes(ingest->options.event_bytes)};
    if (door->name != NULL && door->turn != NULL &&
        auth_open(&door->auth, door->name, command->auth, command->why, command->why_bytes)) {
        door->port = port_new(&port, command->why, command->why_bytes);
        inbound.base = ingest->base;
        inbound.port = door->port;
        if (door->port != NULL)
            door->inbound = inbound_new(&inbound, command->why, command->why_bytes);
        if (door->inbound != NULL)
            return door;
    }
    door_free(door);
    return NULL;
}

/* Those that wait at one door go to another one; what was half read begins anew. */
static void door_hand_over(struct door *from, struct door *to) {
    if (from->reading && !from->finished)
        inbound_abandon(from->inbound);
    while (!list_empty(&from->queue)) {
        struct ingest_request *request = LIST_OF(from->queue.next, struct ingest_request, place);
        list_remove(&request->place);
        list_add(&to->queue, &request->place);
        request->door = to;
        to->queued++;
    }
}

void door_put(struct ingest *ingest, struct command *command) {
    struct door *before = door_find(ingest, command->inbound->name);
    struct door *door = door_new(ingest, command);
    command->good = door != NULL;
    if (door == NULL)
        return;
    if (before != NULL) {
        door_hand_over(before, door);
        door_free(before);
    }
    list_add(&ingest->doors, &door->node);
    door_turn(door);
}

static void unavailable(struct ingest_request *request, const char *error) {
    ingest_extra(request, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    ingest_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, error, NULL,
                  "send the same document again after Retry-After: its events will have the same ids");
}

void door_remove(struct ingest *ingest, const char *name) {
    struct door *door = door_find(ingest, name);
    if (door == NULL)
        return;
    if (door->reading && !door->finished)
        inbound_abandon(door->inbound);
    while (!list_empty(&door->queue)) {
        struct ingest_request *request = LIST_OF(door->queue.next, struct ingest_request, place);
        list_remove(&request->place);
        request->door = NULL;
        unavailable(request, "the spoke was taken away while the document waited");
    }
    door_free(door);
}

/* ---- spokes that are to be there ---- */

void doors_forget(struct ingest *ingest) {
    for (size_t i = 0; ingest->expected != NULL && ingest->expected[i] != NULL; i++)
        free(ingest->expected[i]);
    free(ingest->expected);
    ingest->expected = NULL;
}

void doors_expect(struct ingest *ingest, const char *const *names, size_t count) {
    doors_forget(ingest);
    ingest->expected = calloc(count + 1, sizeof *ingest->expected);
    for (size_t i = 0; ingest->expected != NULL && i < count; i++) {
        ingest->expected[i] = strdup(names[i]);
        if (ingest->expected[i] == NULL)
            doors_forget(ingest);
    }
}

static bool door_expected(const struct ingest *ingest, const char *name) {
    if (name == NULL || *name == '\0')
        return false;
    for (size_t i = 0; ingest->expected != NULL && ingest->expected[i] != NULL; i++)
        if (strcmp(ingest->expected[i], name) == 0)
            return true;
    return ingest->expected == NULL;
}

void door_missing(struct ingest_request *request) {
    if (door_expected(request->ingest, request->name))
        unavailable(request, "the spoke of this name does not run yet");
    else
        ingest_refuse(request, MHD_HTTP_NOT_FOUND, "there is no spoke of this name that takes documents",
                      "name", "POST /v1/ingest/NAME: the name of a file in spokes.d whose transport is http");
}

/* ---- one document ---- */

static struct ingest_request *door_first(struct door *door) {
    return list_empty(&door->queue) ? NULL : LIST_OF(door->queue.next, struct ingest_request, place);
}

/* The first one leaves. The next one begins in a turn of its own: this may be a call of inbound's. */
static void door_advance(struct door *door) {
    struct ingest_request *request = door_first(door);
    list_remove(&request->place);
    request->door = NULL;
    door->queued--;
    door->reading = door->finished = false;
    door->fed = 0;
    door_turn(door);
}

/* {"ids", "published"} and, where there is something to say, "refused" and "findings". */
static json_t *end_reply(const struct inbound_end *end, unsigned status) {
    json_t *reply = NULL, *ids = json_loads(end->ids, 0, NULL);
    json_t *findings = json_loadb(end->findings, end->findings_length, 0, NULL);
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
        reply =
            json_pack("{s:s, s:s}", "error", "the router has not settled all events of the document", "hint",
                      "send the same document again after Retry-After: its events will have the same ids");
    else if (status == MHD_HTTP_UNPROCESSABLE_CONTENT)
        reply =
            json_pack("{s:s, s:s, s:s}", "error", "the document, or messages of it, are refused", "field",
                      "body", "hint", "findings says what is wrong where; what is right of it is published");
    else
        reply = json_object();
    (void)json_object_set_new(reply, "ids", ids != NULL ? ids : json_array());
    (void)json_object_set_new(reply, "published", json_integer((json_int_t)end->published));
    if (end->refused > 0)
        (void)json_object_set_new(reply, "refused", json_integer((json_int_t)end->refused));
    if (end->unknown > 0)
        (void)json_object_set_new(reply, "unknown", json_integer((json_int_t)end->unknown));
    if (findings != NULL && (status != MHD_HTTP_ACCEPTED || end->tolerated))
        (void)json_object_set(reply, "document", findings);
    json_decref(findings);
    return reply;
}

static void on_end(void *user, const struct inbound_end *end) {
    struct door *door = user;
    struct ingest_request *request = door_first(door);
    unsigned status = MHD_HTTP_ACCEPTED;
    if (end->unknown > 0)
        status = MHD_HTTP_SERVICE_UNAVAILABLE;
    else if (end->refused > 0)
        status = MHD_HTTP_UNPROCESSABLE_CONTENT;
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
        ingest_extra(request, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    json_t *reply = end_reply(end, status);
    door_advance(door);
    ingest_reply(request, status, reply);
}

static void on_room(void *user) {
    struct door *door = user;
    door->asked = false;
    door_turn(door);
}

/* False: it can not begin, and is answered. */
static bool document_begin(struct door *door, struct ingest_request *request) {
    uint8_t digest[DIGEST_BYTES];
    digest_of(request->body, request->length, digest);
    int result = inbound_begin(door->inbound, "body", digest);
    struct trace trace;
    if (result == 0 && ingest_trace(request, &trace))
        inbound_trace(door->inbound, &trace);
    if (result == 0)
        return door->reading = true;
    door_advance(door);
    unavailable(request, result == -EBUSY ? "another document is being read" : "out of memory");
    return false;
}

/* As far as it goes now. */
static void document_feed(struct door *door, struct ingest_request *request) {
    size_t until = door->fed + INGEST_TURN_BYTES;
    while (door->fed < request->length && door->fed < until) {
        size_t piece = request->length - door->fed;
        if (piece > INGEST_FEED_BYTES)
            piece = INGEST_FEED_BYTES;
        int result = inbound_feed(door->inbound, request->body + door->fed, piece);
        if (result == -EAGAIN) {
            door->asked = true;
            inbound_on_room(door->inbound, on_room, door);
            return;
        }
        if (result != 0) {
            inbound_abandon(door->inbound);
            door_advance(door);
            unavailable(request, "out of memory");
            return;
        }
        door->fed += piece;
    }
    if (door->fed < request->length) {
        door_turn(door);
        return;
    }
    door->finished = true;
    inbound_finish(door->inbound, on_end, door);
}

static void door_next(struct door *door) {
    struct ingest_request *request = door_first(door);
    if (request == NULL || door->finished || door->asked)
        return;
    if (door->reading || document_begin(door, request))
        document_feed(door, request);
}

/* ---- requests ---- */

void documents_begin(struct ingest_request *request) {
    struct door *door = door_find(request->ingest, request->name);
    if (door == NULL) {
        unavailable(request, "the spoke was taken away while the document came");
    } else if (!auth_hmac(request, &door->auth)) {
        return;
    } else if (request->length == 0) {
        ingest_refuse(request, MHD_HTTP_BAD_REQUEST, "the body is empty", "body", "the document is the body");
    } else if (door->queued >= INGEST_DOCUMENTS_MAX) {
        unavailable(request, "too many documents wait for this spoke");
    } else {
        request->door = door;
        door->queued++;
        list_add(&door->queue, &request->place);
        door_turn(door);
    }
}

/* Out of its door's queue, wherever it stands there. */
static void document_withdraw(struct ingest_request *request) {
    struct door *door = request->door;
    if (door == NULL)
        return;
    if (request == door_first(door)) {
        if (door->reading)
            inbound_abandon(door->inbound);
        door->asked = false;
        door_advance(door);
        return;
    }
    list_remove(&request->place);
    request->door = NULL;
    door->queued--;
}

void documents_leave(struct ingest_request *request) {
    document_withdraw(request);
}

void documents_late(struct ingest_request *request) {
    document_withdraw(request);
    unavailable(request, "the router has not settled the document in time");
}
