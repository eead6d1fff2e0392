#include "core/transport/directory_outbox.h"

#include "codecs/event/identity.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/transport/file_name.h"
#include "core/transport/folder.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OUTBOX_TOGETHER 64u /* files that are open between two syncs of the directory */
#define PREFIX_BYTES    48u
#define HIDDEN_BYTES    80u /* the prefix, 16 digits, .part */

/* A file that is written and not yet synced. */
struct written {
    uint64_t delivery;
    int fd; /* owns */
    char hidden[HIDDEN_BYTES];
    char name[FOLDER_NAME_BYTES];
};

struct directory_outbox {
    const struct transport_host *host;
    const char *template;
    uint64_t retry_ms, retry_most_ms;
    struct folder place;
    struct event *flush;
    uint32_t count;
    uint32_t failures;  /* pauses in a row */
    uint64_t failed_ns; /* when the last of them began */
    struct written files[OUTBOX_TOGETHER];
};

/* Deliveries that fail together make the pause longer once. */
static uint64_t pause_ms(struct directory_outbox *outbox) {
    uint64_t ms = outbox->retry_ms, now_ns = clock_mono_ns();
    for (uint32_t i = 1; i < outbox->failures && ms < outbox->retry_most_ms; i++)
        ms *= 2;
    if (outbox->failures == 0 || now_ns - outbox->failed_ns >= ms * NS_PER_MS) {
        ms *= outbox->failures == 0 ? 1 : 2;
        outbox->failures++;
        outbox->failed_ns = now_ns;
    }
    return ms < outbox->retry_most_ms ? ms : outbox->retry_most_ms;
}

static void failed(struct directory_outbox *outbox, uint64_t delivery, const char *name, int result) {
    char reason[512];
    (void)folder_result(&outbox->place, result);
    (void)snprintf(reason, sizeof reason, "%.200s/%.200s: %s", outbox->place.path, name, strerror(-result));
    outbox->host->retry(outbox->host->user, delivery, pause_ms(outbox), reason);
}

/* ---- the directory ---- */

/* All names that this spoke gives to what is not whole begin so. */
static void hidden_prefix(const struct directory_outbox *outbox, char out[PREFIX_BYTES]) {
    (void)snprintf(out, PREFIX_BYTES, ".%.40s-", outbox->host->name);
    for (char *p = out; *p != '\0'; p++)
        if (*p == '/')
            *p = '_';
}

/* What a crash has left half written. */
static void sweep(const struct directory_outbox *outbox) {
    char prefix[PREFIX_BYTES];
    hidden_prefix(outbox, prefix);
    size_t length = strlen(prefix), whole = length + 16 + strlen(".part");
    int fd = openat(outbox->place.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (entries == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;)
        if (strncmp(entry->d_name, prefix, length) == 0 && strlen(entry->d_name) == whole &&
            strcmp(entry->d_name + whole - 5, ".part") == 0)
            (void)unlinkat(outbox->place.fd, entry->d_name, 0);
    (void)closedir(entries);
}

static int outbox_open(struct directory_outbox *outbox) {
    bool was_open = outbox->place.fd >= 0;
    if (was_open && outbox->count == 0 && !folder_stands(&outbox->place)) {
        folder_close(&outbox->place);
        was_open = false;
    }
    int result = folder_open(&outbox->place);
    if (result >= 0 && !was_open)
        sweep(outbox);
    return result;
}

/* ---- deliveries ---- */

static int written_show(struct directory_outbox *outbox, struct written *file) {
    int result = fsync(file->fd) == 0 ? 0 : -errno;
    if (close(file->fd) != 0 && result == 0)
        result = -errno;
    if (result == 0)
        result = folder_name(&outbox->place, file->hidden, file->name);
    if (result != 0)
        (void)unlinkat(outbox->place.fd, file->hidden, 0);
    return result;
}

/* All that is written gets its name; it is done when the directory says so on the disk, too. */
static void outbox_flush(struct directory_outbox *outbox) {
    int results[OUTBOX_TOGETHER];
    uint32_t count = outbox->count;
    for (uint32_t i = 0; i < count; i++)
        results[i] = written_show(outbox, &outbox->files[i]);
    int synced = count == 0 || fsync(outbox->place.fd) == 0 ? 0 : -errno;
    outbox->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct written *file = &outbox->files[i];
        int result = results[i] != 0 ? results[i] : synced;
        if (result != 0) {
            failed(outbox, file->delivery, file->name, result);
            continue;
        }
        (void)folder_result(&outbox->place, 0);
        outbox->failures = 0;
        outbox->host->done(outbox->host->user, file->delivery);
    }
}

static void on_flush(evutil_socket_t fd, short what, void *user) {
    (void)fd;
    (void)what;
    outbox_flush(user);
}

/* The same event twice would be written to one hidden file. */
static bool being_written(const struct directory_outbox *outbox, const char *hidden) {
    for (uint32_t i = 0; i < outbox->count; i++)
        if (strcmp(outbox->files[i].hidden, hidden) == 0)
            return true;
    return false;
}

static int write_hidden(const struct directory_outbox *outbox, const char *hidden, const uint8_t *data,
                        size_t length) {
    int fd = openat(outbox->place.fd, hidden, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0)
        return -errno;
    int result = folder_write_all(fd, data, length);
    if (result == 0)
        return fd;
    (void)close(fd);
    (void)unlinkat(outbox->place.fd, hidden, 0);
    return result;
}

void directory_outbox_deliver(struct directory_outbox *outbox, const struct outgoing *out) {
    static const struct timeval at_once = {0};
    char prefix[PREFIX_BYTES], hidden[HIDDEN_BYTES], name[FOLDER_NAME_BYTES];
    uint64_t hash = event_identity(out->event, out->event_length);
    file_name_make(outbox->template, out->event, out->event_length, out->topic, out->topic_length, hash,
                   name);
    hidden_prefix(outbox, prefix);
    (void)snprintf(hidden, sizeof hidden, "%s%016" PRIx64 ".part", prefix, hash);
    if (outbox->count == OUTBOX_TOGETHER || being_written(outbox, hidden))
        outbox_flush(outbox);
    int fd = outbox_open(outbox);
    if (fd >= 0)
        fd = write_hidden(outbox, hidden, out->data, out->data_length);
    if (fd < 0) {
        outbox_flush(outbox); /* before the directory is closed */
        failed(outbox, out->delivery, name, fd);
        return;
    }
    struct written *file = &outbox->files[outbox->count++];
    *file = (struct written){.delivery = out->delivery, .fd = fd};
    memcpy(file->hidden, hidden, sizeof hidden);
    memcpy(file->name, name, sizeof name);
    (void)evtimer_add(outbox->flush, &at_once);
}

struct directory_outbox *directory_outbox_new(const struct transport_host *host,
                                              const struct directory_options *options) {
    struct directory_outbox *outbox = calloc(1, sizeof *outbox);
    if (outbox == NULL)
        return NULL;
    outbox->host = host;
    outbox->template = options->file_name != NULL ? options->file_name : FILE_NAME_DEFAULT;
    outbox->retry_ms = options->retry_ms != 0 ? options->retry_ms : 1000;
    outbox->retry_most_ms = options->retry_most_ms != 0 ? options->retry_most_ms : 60000;
    folder_init(&outbox->place, host->name, options->outbox);
    outbox->flush = evtimer_new(host->base, on_flush, outbox);
    if (outbox->flush == NULL) {
        free(outbox);
        return NULL;
    }
    return outbox;
}

/* What is written and not answered comes again: its name will be the same. */
void directory_outbox_free(struct directory_outbox *outbox) {
    if (outbox == NULL)
        return;
    for (uint32_t i = 0; i < outbox->count; i++) {
        (void)close(outbox->files[i].fd);
        (void)unlinkat(outbox->place.fd, outbox->files[i].hidden, 0);
    }
    event_free(outbox->flush);
    folder_close(&outbox->place);
    free(outbox);
}
