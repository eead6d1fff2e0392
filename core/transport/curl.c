#include "core/transport/curl.h"

#include "core/base/check.h"

#include <assert.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define CURL_LIBRARY "libcurl.so.4"

/* dlsym gives a pointer to data, which C does not let one assign to a pointer to a function. */
#define NAMED(field)                                                                                         \
    { "curl_" #field, offsetof(struct curl_table, field) }

static const struct {
    const char *name;
    size_t offset;
} functions[] = {
    NAMED(global_init),
    NAMED(easy_init),
    NAMED(easy_cleanup),
    NAMED(easy_setopt),
    NAMED(easy_getinfo),
    NAMED(easy_strerror),
    NAMED(multi_init),
    NAMED(multi_cleanup),
    NAMED(multi_setopt),
    NAMED(multi_add_handle),
    NAMED(multi_remove_handle),
    NAMED(multi_info_read),
    NAMED(url),
    NAMED(url_cleanup),
    NAMED(url_get),
    NAMED(url_set),
    NAMED(free),
    NAMED(multi_socket_action),
};
static_assert(sizeof functions / sizeof functions[0] == sizeof(struct curl_table) / sizeof(void *),
              "every function of the table is looked up");

static struct curl_table table;
static char failure[256]; /* empty: it is loaded */

static void load(void) {
    void *library = dlopen(CURL_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(failure, sizeof failure, "webhooks need libcurl (package libcurl4): %s", dlerror());
        return;
    }
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        void *function = dlsym(library, functions[i].name);
        if (!function) {
            snprintf(failure, sizeof failure, "%s has no %s", CURL_LIBRARY, functions[i].name);
            return;
        }
        memcpy((char *)&table + functions[i].offset, &function, sizeof function);
    }
    if (table.global_init(CURL_GLOBAL_ALL) != CURLE_OK)
        snprintf(failure, sizeof failure, "%s can not be initialised", CURL_LIBRARY);
}

const struct curl_table *curl_load(char *why, size_t why_bytes) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CHECK(pthread_once(&once, load) == 0);
    if (failure[0] == '\0')
        return &table;
    snprintf(why, why_bytes, "%s", failure);
    return NULL;
}
