/* api.c: requests: which endpoint answers, what it is told, and how answers are written. */
#include "core/admin/admin_private.h"
#include "core/admin/files.h"
#include "core/admin/guard.h"
#include "core/admin/pages.h"
#include "core/base/number.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct admin_config *api_config(const struct admin *admin) {
    return &admin->config;
}

/* ---- answers ---- */

void api_reply(struct api_call *call, int code, const char *type, struct evbuffer *body) {
    struct evhttp_request *request = call->request;
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    char length[24];
    CHECK(request != NULL && !call->put_off);
    call->request = NULL;
    snprintf(length, sizeof length, "%zu", evbuffer_get_length(body));
    evhttp_add_header(headers, "Content-Type", type);
    if (code != HTTP_NOTMODIFIED)
        evhttp_add_header(headers, "Content-Length", length);
    if (evhttp_find_header(headers, "Cache-Control") == NULL)
        evhttp_add_header(headers, "Cache-Control", "no-store");
    evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    /* One request per connection: what is open is then bounded in number and in time. Whoever asked for more
     * must not be told both. */
    evhttp_remove_header(evhttp_request_get_input_headers(request), "Connection");
    evhttp_add_header(headers, "Connection", "close");
    if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD)
        evbuffer_drain(body, evbuffer_get_length(body));
    evhttp_send_reply(request, code, NULL, body);
}

/* What is left when there is no memory for an answer. */
static void reply_nothing(struct api_call *call) {
    struct evhttp_request *request = call->request;
    call->request = NULL;
    evhttp_send_error(request, HTTP_SERVUNAVAIL, NULL);
}

static void reply_line(struct api_call *call, int code, const char *type, const char *text) {
    struct evbuffer *body = evbuffer_new();
    if (body == NULL || text == NULL || evbuffer_add(body, text, strlen(text)) < 0 ||
        evbuffer_add(body, "\n", 1) < 0)
        reply_nothing(call);
    else
        api_reply(call, code, type, body);
    if (body != NULL)
        evbuffer_free(body);
}

void api_reply_text(struct api_call *call, int code, const char *text) {
    reply_line(call, code, "text/plain; charset=utf-8", text);
}

void api_reply_json_text(struct api_call *call, int code, const char *json) {
    reply_line(call, code, "application/json", json);
}

void api_reply_json(struct api_call *call, int code, json_t *value) {
    char *text = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;
    api_reply_json_text(call, code, text);
    free(text);
    json_decref(value);
}

void api_reply_error(struct api_call *call, int code, const char *error, const char *text) {
    api_reply_json(call, code, json_pack("{s:s, s:s}", "error", error, "message", text));
}

void api_reply_header(struct api_call *call, const char *name, const char *value) {
    evhttp_add_header(evhttp_request_get_output_headers(call->request), name, value);
}

/* ---- what a request says ---- */

const char *api_header(const struct api_call *call, const char *name) {
    return evhttp_find_header(evhttp_request_get_input_headers(call->request), name);
}

const char *api_query(struct api_call *call, const char *name) {
    return evhttp_find_header(&call->query, name);
}

__attribute__((format(printf, 2, 3))) static void refuse_parameter(struct api_call *call, const char *format,
                                                                   ...) {
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    api_reply_error(call, HTTP_BADREQUEST, "bad_parameter", text);
}

bool api_query_number(struct api_call *call, const char *name, uint64_t least, uint64_t most,
                      uint64_t otherwise, uint64_t *number) {
    const char *text = api_query(call, name);
    *number = otherwise;
    if (text == NULL)
        return true;
    size_t length = strlen(text);
    if (length > 0 && number_read(text, length, number) == length && *number >= least && *number <= most)
        return true;
    refuse_parameter(call, "The parameter %.60s is a number from %llu to %llu.", name,
                     (unsigned long long)least, (unsigned long long)most);
    return false;
}

bool api_query_bool(struct api_call *call, const char *name, bool *value) {
    const char *text = api_query(call, name);
    *value = text != NULL && strcmp(text, "true") == 0;
    if (text == NULL || *value || strcmp(text, "false") == 0)
        return true;
    refuse_parameter(call, "The parameter %.60s is true or false.", name);
    return false;
}

const void *api_body(struct api_call *call, size_t *length) {
    struct evbuffer *body = evhttp_request_get_input_buffer(call->request);
    *length = evbuffer_get_length(body);
    return *length > 0 ? (const void *)evbuffer_pullup(body, -1) : "";
}

/* ---- which endpoint ---- */

static bool method_is(const struct api_endpoint *endpoint, enum evhttp_cmd_type method) {
    bool post = strcmp(endpoint->method, "POST") == 0;
    return post ? method == EVHTTP_REQ_POST : method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD;
}

/* What stands in the tables for a path, whatever its method. */
struct found {
    const struct api_endpoint *endpoint; /* of this method, too; NULL: there is none */
    bool get, post, body;
};

static void find_in(const struct api_endpoint *table, const char *path, enum evhttp_cmd_type method,
                    struct found *found) {
    for (const struct api_endpoint *one = table; one != NULL && one->path != NULL; one++) {
        if (strcmp(one->path, path) != 0)
            continue;
        if (strcmp(one->method, "POST") == 0)
            found->post = true;
        else
            found->get = true;
        found->body |= (one->flags & API_BODY) != 0;
        if (method_is(one, method))
            found->endpoint = one;
    }
}

static void paths_add(json_t *list, const struct api_endpoint *table) {
    char text[160];
    for (const struct api_endpoint *one = table; one != NULL && one->path != NULL; one++) {
        (void)snprintf(text, sizeof text, "%s %s", one->method, one->path);
        (void)json_array_append_new(list, json_string(text));
    }
}

static void refuse_path(struct api_call *call) {
    json_t *list = json_array();
    if (list != NULL) {
        paths_add(list, pages_table);
        paths_add(list, call->admin->config.endpoints);
    }
    api_reply_json(call, HTTP_NOTFOUND,
                   json_pack("{s:s, s:s, s:o}", "error", "not_found", "message",
                             "there is no such page; / lists them", "endpoints", list));
}

static void refuse_method(struct api_call *call, const struct found *found) {
    const char *allow = found->get && found->post ? "GET, HEAD, POST" : found->post ? "POST" : "GET, HEAD";
    char text[100];
    (void)snprintf(text, sizeof text, "only %s %s answered here",
                   found->get && found->post ? "GET, HEAD and POST"
                   : found->post             ? "POST"
                                             : "GET and HEAD",
                   found->post && !found->get ? "is" : "are");
    api_reply_header(call, "Allow", allow);
    api_reply_error(call, HTTP_BADMETHOD, "method_not_allowed", text);
}

static void find(struct api_call *call, const char *path, struct found *found) {
    enum evhttp_cmd_type method = evhttp_request_get_command(call->request);
    find_in(pages_table, path, method, found);
    find_in(call->admin->config.endpoints, path, method, found);
    call->endpoint = found->endpoint;
}

/* False: it was answered. */
static bool fits(struct api_call *call, const struct found *found) {
    size_t body = evbuffer_get_length(evhttp_request_get_input_buffer(call->request));
    if (!found->get && !found->post)
        refuse_path(call);
    else if (body > 0 && !found->body)
        api_reply_error(call, HTTP_ENTITYTOOLARGE, "body_refused", "No body is taken here.");
    else if (found->endpoint == NULL)
        refuse_method(call, found);
    else if (body > ADMIN_BODY_BYTES_MAX)
        api_reply_error(call, HTTP_ENTITYTOOLARGE, "body_too_large", "A body has at most 1 MiB.");
    else if (body > 0 && !(found->endpoint->flags & API_BODY))
        api_reply_error(call, HTTP_ENTITYTOOLARGE, "body_refused", "No body is taken with this method.");
    return call->request != NULL;
}

/* ---- parameters ---- */

/* Whether `name` is one of the words in `names`. */
static bool named(const char *names, const char *name) {
    size_t length = strlen(name);
    for (const char *at = names; *at != '\0'; at += strspn(at, " ")) {
        size_t word = strcspn(at, " ");
        if (word == length && memcmp(at, name, length) == 0)
            return true;
        at += word;
    }
    return false;
}

/* False: it was answered. */
static bool query_read(struct api_call *call, const struct evhttp_uri *uri) {
    const char *query = evhttp_uri_get_query(uri), *known = call->endpoint->query;
    if (known == NULL)
        known = "";
    /* A NUL would end a value before the rest of it has been looked at. */
    if (query != NULL && *query != '\0' &&
        (strstr(query, "%00") != NULL || evhttp_parse_query_str(query, &call->query) != 0)) {
        api_reply_error(call, HTTP_BADREQUEST, "bad_query",
                        "What follows the ? can not be read: write name=value&name=value, URL-encoded.");
        return false;
    }
    if (call->endpoint->query == NULL)
        return true;
    for (const struct evkeyval *one = call->query.tqh_first; one != NULL; one = one->next.tqe_next) {
        if (named(known, one->key))
            continue;
        if (*known != '\0')
            refuse_parameter(call, "There is no parameter %.60s here; known are: %.200s.", one->key, known);
        else
            refuse_parameter(call, "There is no parameter %.60s here, and no other.", one->key);
        return false;
    }
    return true;
}

static void query_free(struct api_call *call) {
    evhttp_clear_headers(&call->query);
}

/* ---- a request ---- */

static void run(struct api_call *call) {
    struct evhttp_request *request = call->request;
    call->endpoint->run(call->admin, call);
    if (call->put_off)
        evbuffer_drain(evhttp_request_get_input_buffer(request),
                       evbuffer_get_length(evhttp_request_get_input_buffer(request)));
    CHECK(call->put_off || call->request == NULL);
}

void api_request(struct evhttp_request *request, void *arg) {
    struct admin *admin = arg;
    struct api_call call = {.admin = admin, .request = request};
    struct found found = {0};
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
    admin->counters.requests++;
    call.query = (struct evkeyvalq){0};
    call.query.tqh_last = &call.query.tqh_first;
    path = path != NULL ? path : "";
    const struct embedded_file *file = files_find(&call, path);
    enum evhttp_cmd_type method = evhttp_request_get_command(request);
    if (file != NULL && (method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD)) {
        files_reply(&call, file);
        return;
    }
    find(&call, path, &found);
    if (guard_admits(&call) && fits(&call, &found) && query_read(&call, uri))
        run(&call);
    query_free(&call);
}
