#include "core/transport/directory.h"

#include "core/transport/directory_inbox.h"
#include "core/transport/directory_outbox.h"
#include "core/transport/file_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPEATS_COUNT_MOST 1000000u /* 48 MiB */

struct directory {
    struct directory_inbox *inbox;   /* owns; NULL: nothing comes in */
    struct directory_outbox *outbox; /* owns; NULL: nothing goes out */
};

static bool refuse(char *why, size_t why_bytes, const char *text) {
    (void)snprintf(why, why_bytes, "%s", text);
    return false;
}

static bool same(const char *a, const char *b) {
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static bool empty(const char *path) {
    return path != NULL && *path == '\0';
}

bool directory_check(const struct directory_options *options, char *why, size_t why_bytes) {
    const struct directory_options *o = options;
    if (o->inbox == NULL && o->outbox == NULL)
        return refuse(why, why_bytes, "a directory has an inbox, an outbox, or both");
    if (empty(o->inbox) || empty(o->outbox) || empty(o->done) || empty(o->rejected))
        return refuse(why, why_bytes, "the path of a directory is empty");
    if (same(o->inbox, o->outbox))
        return refuse(why, why_bytes, "inbox and outbox are the same directory: what goes out would come in");
    if (o->inbox != NULL && (same(o->inbox, o->done) || same(o->inbox, o->rejected)))
        return refuse(why, why_bytes,
                      "done and rejected are not the inbox itself: what was read would come again");
    if (empty(o->pattern) || (o->pattern != NULL && strchr(o->pattern, '/') != NULL))
        return refuse(why, why_bytes, "pattern: it is for names, such as *.edi, without directories");
    if (o->repeats_count > REPEATS_COUNT_MOST)
        return refuse(why, why_bytes, "repeats_count: at most 1,000,000 contents are remembered");
    if (o->retry_most_ms != 0 && o->retry_ms > o->retry_most_ms)
        return refuse(why, why_bytes, "retry_ms is longer than retry_most_ms");
    return o->outbox == NULL || o->file_name == NULL || file_name_check(o->file_name, why, why_bytes);
}

static void directory_stop(void *transport) {
    struct directory *directory = transport;
    directory_inbox_free(directory->inbox);
    directory_outbox_free(directory->outbox);
    free(directory);
}

static void *directory_start(const struct transport_host *host, const void *options, char *why,
                             size_t why_bytes) {
    const struct directory_options *given = options;
    if (!directory_check(given, why, why_bytes))
        return NULL;
    if (given->inbox != NULL && host->inbound == NULL) {
        (void)refuse(why, why_bytes, "there is an inbox, and nothing that takes what comes in");
        return NULL;
    }
    struct directory *directory = calloc(1, sizeof *directory);
    if (directory == NULL) {
        (void)refuse(why, why_bytes, "out of memory");
        return NULL;
    }
    if (given->inbox != NULL)
        directory->inbox = directory_inbox_new(host, given);
    if (given->outbox != NULL)
        directory->outbox = directory_outbox_new(host, given);
    if ((given->inbox != NULL && directory->inbox == NULL) ||
        (given->outbox != NULL && directory->outbox == NULL)) {
        (void)refuse(why, why_bytes, "out of memory");
        directory_stop(directory);
        return NULL;
    }
    return directory;
}

static void directory_deliver(void *transport, const struct outgoing *out) {
    struct directory *directory = transport;
    CHECK(directory->outbox != NULL);
    directory_outbox_deliver(directory->outbox, out);
}

const struct transport directory_transport = {
    .name = "directory", .start = directory_start, .deliver = directory_deliver, .stop = directory_stop};
