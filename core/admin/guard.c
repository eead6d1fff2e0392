#include "core/admin/guard.h"

#include "core/admin/admin_private.h"
#include "core/base/clock.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Length of HOST in HOST, HOST:PORT, [V6] or [V6]:PORT; 0: it is none of them. */
static size_t host_length(const char *host) {
    const char *end = host[0] == '[' ? strchr(host, ']') : NULL;
    if (host[0] == '[' && end == NULL)
        return 0;
    size_t length = end != NULL ? (size_t)(end - host) + 1 : strcspn(host, ":");
    const char *port = host + length;
    if (*port == '\0')
        return length;
    return *port == ':' && port[1 + strspn(port + 1, "0123456789")] == '\0' ? length : 0;
}

bool guard_host(const char *host) {
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    size_t length = host_length(host);
    bool v6 = host[0] == '[' && length > 2;
    if (length == strlen("localhost") && strncasecmp(host, "localhost", length) == 0)
        return true;
    size_t bare = v6 ? length - 2 : length;
    if (length == 0 || bare >= sizeof text)
        return false;
    memcpy(text, host + v6, bare);
    text[bare] = '\0';
    return inet_pton(v6 ? AF_INET6 : AF_INET, text, &address) == 1;
}

bool guard_origin(const char *origin, const char *host) {
    const char *rest = strstr(origin, "://");
    return rest != NULL && host != NULL && strcasecmp(rest + 3, host) == 0;
}

/* ---- without a token ---- */

/* Browsers tell from where a page asks. What a user opens himself, by a link or a bookmark, shows him only
 * what he may see. */
static bool other_site(const struct api_call *call) {
    const char *site = api_header(call, "Sec-Fetch-Site"), *mode = api_header(call, "Sec-Fetch-Mode");
    const char *origin = api_header(call, "Origin");
    bool post = evhttp_request_get_command(call->request) == EVHTTP_REQ_POST;
    if (origin != NULL && !guard_origin(origin, api_header(call, "Host")))
        return true;
    if (site == NULL || strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0)
        return false;
    const char *into = api_header(call, "Sec-Fetch-Dest"); /* a frame of another site's page navigates, too */
    return post || mode == NULL || strcmp(mode, "navigate") != 0 ||
           (into != NULL && strcmp(into, "document") != 0);
}

static bool near(struct api_call *call) {
    const char *host = api_header(call, "Host");
    bool any = call->endpoint != NULL && (call->endpoint->flags & API_ANY_HOST) != 0;
    if (host != NULL && !any && !guard_host(host)) {
        api_reply_error(call, API_FORBIDDEN, "foreign_host",
                        "The Host of this request names neither an address nor localhost: ask by one of "
                        "them, or give the router a listen.admin_token_file.");
        return false;
    }
    if (!other_site(call))
        return true;
    api_reply_error(call, API_FORBIDDEN, "foreign_origin",
                    "A page of another site may not ask this router: open it under its own address.");
    return false;
}

/* ---- with one ---- */

static bool token_given(struct api_call *call) {
    const char *text = api_header(call, "Authorization");
    size_t scheme = strlen("Bearer ");
    struct token *token = &call->admin->token;
    token_look(token, call->admin->config.token_file, clock_mono_ns());
    if (text != NULL && strncasecmp(text, "Bearer ", scheme) == 0) {
        text += scheme + strspn(text + scheme, " ");
        if (token_same(token, text, strlen(text)))
            return true;
    }
    api_reply_header(call, "WWW-Authenticate",
                     text == NULL ? "Bearer realm=\"roundhouse\""
                                  : "Bearer realm=\"roundhouse\", error=\"invalid_token\"");
    if (text == NULL)
        api_reply_error(call, API_UNAUTHORIZED, "unauthorized",
                        "A token is needed: send Authorization: Bearer TOKEN, with the line in the file that "
                        "listen.admin_token_file names.");
    else
        api_reply_error(call, API_UNAUTHORIZED, "unauthorized", "This is not the token of this router.");
    return false;
}

/* A form of a page can send these; whoever means it says what the body is. */
static bool type_meant(struct api_call *call) {
    const char *type = api_header(call, "Content-Type");
    static const char *const forms[] = {"text/plain", "application/x-www-form-urlencoded",
                                        "multipart/form-data"};
    size_t length = type != NULL ? strcspn(type, "; \t") : 0;
    bool meant = length > 0;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if (length == strlen(forms[i]) && strncasecmp(type, forms[i], length) == 0)
            meant = false;
    if (evbuffer_get_length(evhttp_request_get_input_buffer(call->request)) == 0 || meant)
        return true;
    api_reply_error(call, API_MEDIA_TYPE, "unsupported_media_type",
                    "Say what the body is: Content-Type: application/json or application/yaml.");
    return false;
}

bool guard_admits(struct api_call *call) {
    bool open = call->endpoint != NULL && (call->endpoint->flags & API_OPEN) != 0;
    bool with_token = call->admin->config.token_file != NULL;
    if (!open && !(with_token ? token_given(call) : near(call))) {
        call->admin->counters.refused++;
        return false;
    }
    return call->endpoint == NULL || !(call->endpoint->flags & API_BODY) || type_meant(call);
}
