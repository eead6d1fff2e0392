#include "core/admin/ask.h"

#include "core/admin/token.h"
#include "core/base/limits.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct asking {
    struct event_base *base;
    struct admin_answer *answer;
};

static void on_answer(struct evhttp_request *request, void *user) {
    struct asking *asking = user;
    if (request != NULL && evhttp_request_get_response_code(request) != 0) {
        struct evbuffer *input = evhttp_request_get_input_buffer(request);
        size_t length = evbuffer_get_length(input);
        asking->answer->body = calloc(1, length + 1);
        if (asking->answer->body != NULL && length > 0)
            (void)evbuffer_remove(input, asking->answer->body, length);
        asking->answer->length = length;
        asking->answer->status = evhttp_request_get_response_code(request);
    }
    (void)event_base_loopbreak(asking->base);
}

static struct evhttp_connection *connect_to(struct event_base *base, const char *address) {
    char host[256];
    const char *colon = strrchr(address, ':');
    size_t length = colon != NULL ? (size_t)(colon - address) : 0;
    if (length == 0 || length >= sizeof host)
        return NULL;
    bool v6 = address[0] == '[' && address[length - 1] == ']';
    (void)snprintf(host, sizeof host, "%.*s", (int)(v6 ? length - 2 : length), address + v6);
    return evhttp_connection_base_new(base, NULL, host, (unsigned short)strtoul(colon + 1, NULL, 10));
}

/* True also when there is none. */
static bool token_add(const struct admin_request *asked, struct evkeyvalq *headers, char *why,
                      size_t why_bytes) {
    const char *path = asked->token_file != NULL ? asked->token_file : getenv("ROUNDHOUSE_ADMIN_TOKEN_FILE");
    char text[sizeof "Bearer " + TOKEN_BYTES_MAX];
    struct token token;
    if (path == NULL || *path == '\0')
        return true;
    if (!token_read(&token, path, why, why_bytes))
        return false;
    (void)snprintf(text, sizeof text, "Bearer %s", token.text);
    (void)evhttp_add_header(headers, "Authorization", text);
    token_wipe(&token);
    explicit_bzero(text, sizeof text);
    return true;
}

static bool request_send(const struct admin_request *asked, struct evhttp_connection *connection,
                         struct evhttp_request *request, char *why, size_t why_bytes) {
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    uint64_t wait_ns = asked->wait_ns != 0 ? asked->wait_ns : ADMIN_APPLY_NS_MAX;
    evhttp_connection_set_timeout(connection, (int)(wait_ns / NS_PER_S));
    (void)evhttp_add_header(headers, "Host", asked->address);
    (void)evhttp_add_header(headers, "Connection", "close");
    if (asked->body != NULL) {
        (void)evhttp_add_header(headers, "Content-Type", asked->content_type);
        (void)evbuffer_add(evhttp_request_get_output_buffer(request), asked->body, asked->body_length);
    }
    if (!token_add(asked, headers, why, why_bytes)) {
        evhttp_request_free(request);
        return false;
    }
    return evhttp_make_request(connection, request, asked->post ? EVHTTP_REQ_POST : EVHTTP_REQ_GET,
                               asked->path) == 0;
}

bool admin_ask(const struct admin_request *asked, struct admin_answer *answer, char *why, size_t why_bytes) {
    *answer = (struct admin_answer){0};
    struct asking asking = {.base = event_base_new(), .answer = answer};
    struct evhttp_connection *connection =
        asking.base != NULL ? connect_to(asking.base, asked->address) : NULL;
    struct evhttp_request *request = connection != NULL ? evhttp_request_new(on_answer, &asking) : NULL;
    (void)snprintf(why, why_bytes, "nobody answers at %s", asked->address);
    if (request != NULL && request_send(asked, connection, request, why, why_bytes))
        (void)event_base_dispatch(asking.base);
    if (connection != NULL)
        evhttp_connection_free(connection);
    if (asking.base != NULL)
        event_base_free(asking.base);
    return answer->body != NULL;
}
