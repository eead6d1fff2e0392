#include "core/admin/files.h"

#include "core/admin/admin_private.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

/* Nothing from outside, nothing inline, and no page around this one. */
#define POLICY                                                                                               \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "    \
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

static bool takes_html(const struct api_call *call) {
    const char *accept = api_header(call, "Accept");
    return accept != NULL && strstr(accept, "text/html") != NULL;
}

const struct embedded_file *files_find(const struct api_call *call, const char *path) {
    const struct embedded_file *files = call->admin->config.files;
    bool root = strcmp(path, "/") == 0;
    if (files == NULL || path[0] != '/' || (root && !takes_html(call)))
        return NULL;
    const char *name = root ? "index.html" : path + 1;
    for (const struct embedded_file *file = files; file->name != NULL; file++)
        if (strcmp(file->name, name) == 0)
            return file;
    return NULL;
}

static const char *type_of(const char *name) {
    static const struct {
        const char *end, *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"}, {".js", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},   {".svg", "image/svg+xml"},
        {".json", "application/json"},         {".png", "image/png"},
        {".txt", "text/plain; charset=utf-8"},
    };
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        size_t end = strlen(types[i].end);
        if (length > end && strcmp(name + length - end, types[i].end) == 0)
            return types[i].type;
    }
    return "application/octet-stream";
}

/* Whether one of the tags in If-None-Match is this one. */
static bool known(const struct api_call *call, const char *tag) {
    const char *tags = api_header(call, "If-None-Match");
    return tags != NULL && strstr(tags, tag) != NULL;
}

void files_reply(struct api_call *call, const struct embedded_file *file) {
    struct evbuffer *body = evbuffer_new();
    char tag[24];
    (void)snprintf(tag, sizeof tag, "\"%016llx\"", (unsigned long long)XXH3_64bits(file->text, file->length));
    bool fresh = known(call, tag);
    if (body == NULL || (!fresh && evbuffer_add_reference(body, file->text, file->length, NULL, NULL) != 0)) {
        api_reply_json(call, HTTP_SERVUNAVAIL, NULL);
    } else {
        api_reply_header(call, "ETag", tag);
        api_reply_header(call, "Cache-Control", "no-cache");
        api_reply_header(call, "Vary", "Accept");
        api_reply_header(call, "Content-Security-Policy", POLICY);
        api_reply_header(call, "Referrer-Policy", "no-referrer");
        api_reply(call, fresh ? HTTP_NOTMODIFIED : HTTP_OK, type_of(file->name), body);
    }
    if (body != NULL)
        evbuffer_free(body);
}
