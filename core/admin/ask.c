#include "core/admin/ask.h"

#include "core/base/limits.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct asking {
    struct event_base *base;
    int status;
    char *body;
};

static void on_answer(struct evhttp_request *request, void *user) {
    struct asking *asking = user;
    if (request != NULL && evhttp_request_get_response_code(request) != 0) {
        struct evbuffer *input = evhttp_request_get_input_buffer(request);
        size_t length = evbuffer_get_length(input);
        asking->body = calloc(1, length + 1);
        if (asking->body != NULL && length > 0)
            (void)evbuffer_remove(input, asking->body, length);
        asking->status = evhttp_request_get_response_code(request);
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

bool admin_ask(const char *address, bool post, const char *path, int *status, char **body) {
    struct asking asking = {.base = event_base_new()};
    struct evhttp_connection *connection = asking.base != NULL ? connect_to(asking.base, address) : NULL;
    struct evhttp_request *request = connection != NULL ? evhttp_request_new(on_answer, &asking) : NULL;
    if (request != NULL) {
        evhttp_connection_set_timeout(connection, (int)(ADMIN_APPLY_NS_MAX / NS_PER_S));
        (void)evhttp_add_header(evhttp_request_get_output_headers(request), "Host", address);
        (void)evhttp_add_header(evhttp_request_get_output_headers(request), "Connection", "close");
        if (evhttp_make_request(connection, request, post ? EVHTTP_REQ_POST : EVHTTP_REQ_GET, path) == 0)
            (void)event_base_dispatch(asking.base);
    }
    if (connection != NULL)
        evhttp_connection_free(connection);
    if (asking.base != NULL)
        event_base_free(asking.base);
    *status = asking.status;
    *body = asking.body;
    return asking.body != NULL;
}
