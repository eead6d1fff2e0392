#include "core/admin/openapi.h"

#include "core/admin/admin_private.h"
#include "core/base/embedded.h"

/* Made by embed() in CMakeLists.txt. */
extern const struct embedded_file openapi_files[];

void on_openapi(struct admin *admin, struct api_call *call) {
    struct evbuffer *body = evbuffer_new();
    (void)admin;
    if (body && evbuffer_add_reference(body, openapi_files[0].text, openapi_files[0].length, NULL, NULL) == 0)
        api_reply(call, HTTP_OK, "application/json", body);
    else
        api_reply_json(call, HTTP_SERVUNAVAIL, NULL);
    if (body)
        evbuffer_free(body);
}
