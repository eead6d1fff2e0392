#include "core/transport/httpd.h"

#include "core/base/check.h"

#include <assert.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define HTTPD_LIBRARY "libmicrohttpd.so.12"

/* dlsym gives a pointer to data, which C does not let one assign to a pointer to a function. */
#define NAMED(field)                                                                                         \
    { "MHD_" #field, offsetof(struct httpd_table, field) }

static const struct {
    const char *name;
    size_t offset;
} functions[] = {
    NAMED(start_daemon),
    NAMED(stop_daemon),
    NAMED(run),
    NAMED(get_timeout),
    NAMED(get_daemon_info),
    NAMED(get_connection_info),
    NAMED(get_connection_values),
    NAMED(lookup_connection_value),
    NAMED(suspend_connection),
    NAMED(resume_connection),
    NAMED(create_response_from_buffer),
    NAMED(add_response_header),
    NAMED(queue_response),
    NAMED(destroy_response),
};
static_assert(sizeof functions / sizeof functions[0] == sizeof(struct httpd_table) / sizeof(void *),
              "every function of the table is looked up");

static struct httpd_table table;
static char failure[256]; /* empty: it is loaded */

static void load(void) {
    void *library = dlopen(HTTPD_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        (void)snprintf(failure, sizeof failure, "HTTP in needs libmicrohttpd (package libmicrohttpd12): %s",
                       dlerror());
        return;
    }
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        void *function = dlsym(library, functions[i].name);
        if (function == NULL) {
            (void)snprintf(failure, sizeof failure, "%s has no %s", HTTPD_LIBRARY, functions[i].name);
            return;
        }
        memcpy((char *)&table + functions[i].offset, &function, sizeof function);
    }
}

const struct httpd_table *httpd_load(char *why, size_t why_bytes) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CHECK(pthread_once(&once, load) == 0);
    if (failure[0] == '\0')
        return &table;
    (void)snprintf(why, why_bytes, "%s", failure);
    return NULL;
}
