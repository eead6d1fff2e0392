#include "core/bridge/losses.h"

#include "codecs/event/attributes.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/logfmt.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATHS_MAX  5u /* that are named */
#define PATH_BYTES 64u
#define TOLD_NS    (60u * NS_PER_S)

/* A kind of message, and when its losses were told. */
struct told {
    const ProtobufCMessageDescriptor *kind;
    uint64_t ns;
    uint64_t more; /* documents since then that lost something */
};

struct losses {
    const char *spoke;
    enum losses_policy policy;
    struct spoke_counters *counters; /* NULL: nobody counts */
    struct outlet *outlet;
    struct told told[8]; /* more kinds than can be written */
    /* of the document that is written */
    uint32_t values, paths;
    char path[PATHS_MAX][PATH_BYTES];
    bool more_paths;
};

struct losses *losses_new(const char *spoke, enum losses_policy policy, struct spoke_counters *counters) {
    struct losses *losses = calloc(1, sizeof *losses);
    if (losses == NULL)
        return NULL;
    losses->spoke = spoke;
    losses->policy = policy;
    losses->counters = counters;
    losses->outlet = outlet_new();
    if (losses->outlet != NULL)
        return losses;
    losses_free(losses);
    return NULL;
}

void losses_free(struct losses *losses) {
    if (losses == NULL)
        return;
    outlet_free(losses->outlet);
    free(losses);
}

/* lines[12].price becomes lines[].price: a place of the kind, not of this message. */
static void place_of(const char *path, char place[PATH_BYTES]) {
    size_t n = 0;
    for (; *path != '\0' && n < PATH_BYTES - 1; path++)
        if (*path < '0' || *path > '9' || (n > 0 && place[n - 1] != '['))
            place[n++] = *path;
        else
            path += strspn(path, "0123456789") - 1;
    place[n] = '\0';
}

static void on_lost(void *context, const char *path, const char *was, const char *is) {
    struct losses *losses = context;
    char place[PATH_BYTES];
    (void)was;
    (void)is;
    losses->values++;
    place_of(path, place);
    for (uint32_t i = 0; i < losses->paths; i++)
        if (strcmp(losses->path[i], place) == 0)
            return;
    if (losses->paths == PATHS_MAX)
        losses->more_paths = true;
    else
        memcpy(losses->path[losses->paths++], place, sizeof place);
}

static void paths_list(const struct losses *losses, char out[static PATHS_MAX * (PATH_BYTES + 2) + 8]) {
    size_t n = 0;
    for (uint32_t i = 0; i < losses->paths; i++)
        n += (size_t)sprintf(out + n, "%s%s", i > 0 ? ", " : "", losses->path[i]);
    (void)sprintf(out + n, "%s", losses->more_paths ? ", ..." : "");
}

static struct told *told_of(struct losses *losses, const ProtobufCMessageDescriptor *kind) {
    struct told *told = losses->told, *last = losses->told + sizeof losses->told / sizeof *told - 1;
    while (told < last && told->kind != NULL && told->kind != kind)
        told++;
    told->kind = kind;
    return told;
}

static void losses_tell(struct losses *losses, const struct losses_document *document, const char *paths) {
    char quoted[2 * PATHS_MAX * (PATH_BYTES + 2)], event[256];
    struct attribute id = {0};
    struct told *told = told_of(losses, document->message->descriptor);
    uint64_t now = clock_mono_ns();
    if (told->ns != 0 && now - told->ns < TOLD_NS) {
        told->more++;
        return;
    }
    (void)attribute_find(document->event, document->event_length, "id", &id);
    logfmt(LOGFMT_WARN, "a document does not say all of its event: its format has no place for it",
           "spoke=%s format=%s kind=%s event=%s values=%" PRIu32 " paths=%s more=%" PRIu64, losses->spoke,
           outlet_format_name(document->format), document->message->descriptor->short_name,
           logfmt_quote(event, sizeof event, (const char *)id.data, id.length), losses->values,
           logfmt_quote(quoted, sizeof quoted, paths, strlen(paths)), told->more);
    told->ns = now;
    told->more = 0;
}

enum outlet_result losses_write(struct losses *losses, const struct losses_document *document,
                                struct bytes *out, char *why, size_t why_bytes) {
    char paths[PATHS_MAX * (PATH_BYTES + 2) + 8];
    losses->values = losses->paths = 0;
    losses->more_paths = false;
    enum outlet_result result = outlet_write(losses->outlet, document->format, document->message,
                                             document->options, out, on_lost, losses);
    *why = '\0';
    if (result == OUTLET_NONE || result == OUTLET_NO_MEMORY || losses->values == 0)
        return result;
    paths_list(losses, paths);
    if (losses->policy == LOSSES_REFUSE) {
        (void)snprintf(why, why_bytes, "the document would not say %" PRIu32 " of the values of the %s: %s",
                       losses->values, document->message->descriptor->short_name, paths);
        return result;
    }
    if (losses->counters != NULL)
        counter_add(&losses->counters->lossy, 1);
    losses_tell(losses, document, paths);
    return result;
}
