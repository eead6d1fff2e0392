/* Finds the files of an inbox: by inotify, and by looking through it at the start, after an overflow and
 * every so often, for file systems and writers of which inotify does not tell. */
#include "core/base/clock.h"
#include "core/transport/inbox_private.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define WATCH_BYTES (16u * KIB) /* of notices in one read: some 400 */

static bool ends_with(const char *name, const char *end) {
    size_t length = strlen(name), n = strlen(end);
    return length >= n && strcmp(name + length - n, end) == 0;
}

static bool wanted(const struct directory_inbox *inbox, const char *name) {
    return name[0] != '.' && !ends_with(name, ".tmp") && !ends_with(name, ".part") && !ends_with(name, "~") &&
           fnmatch(inbox->options.pattern, name, 0) == 0;
}

int64_t inbox_modified_ns(const struct stat *stat) {
    return (int64_t)stat->st_mtim.tv_sec * (int64_t)NS_PER_S + stat->st_mtim.tv_nsec;
}

void inbox_wait_stable(struct directory_inbox *inbox, struct arrival *arrival, const struct stat *stat) {
    const uint64_t step =
        50 * NS_PER_MS; /* those that come together are due together, and keep their order */
    uint64_t due = clock_mono_ns() + inbox->options.stable_ms * NS_PER_MS;
    arrival->complete = false;
    arrival->due_ns = inbox->options.stable_ms < 50 ? due : (due + step - 1) / step * step;
    arrival->seen_size = (uint64_t)stat->st_size;
    arrival->seen_ns = inbox_modified_ns(stat);
}

/* `closed`: the kernel has told that it is complete, as far as one can tell by that. */
static void found(struct directory_inbox *inbox, const char *name, bool closed) {
    struct stat stat = {.st_mode = 0};
    bool is_new = false;
    bool complete =
        inbox->options.complete == DIRECTORY_RENAME || (inbox->options.complete == DIRECTORY_CLOSE && closed);
    if (!wanted(inbox, name))
        return;
    if ((!complete || inbox->options.order == DIRECTORY_BY_TIME) &&
        (fstatat(inbox->place.fd, name, &stat, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(stat.st_mode)))
        return;
    struct arrival *arrival = arrivals_add(&inbox->arrivals, name, inbox_modified_ns(&stat), &is_new);
    if (arrival == NULL || arrival == inbox->current || arrival->settled != NULL)
        return;
    if (complete) {
        arrival->due_ns = arrival->complete ? arrival->due_ns : 0; /* a pause stays a pause */
        arrival->complete = true;
    } else if (is_new) {
        inbox_wait_stable(inbox, arrival, &stat);
    }
}

void inbox_look(struct directory_inbox *inbox, struct arrival *arrival) {
    struct stat stat;
    if (fstatat(inbox->place.fd, arrival->name, &stat, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(stat.st_mode)) {
        arrivals_remove(&inbox->arrivals, arrival);
    } else if (arrival->seen_size == (uint64_t)stat.st_size && arrival->seen_ns == inbox_modified_ns(&stat)) {
        arrival->complete = true;
        arrival->due_ns = 0;
    } else {
        inbox_wait_stable(inbox, arrival, &stat);
    }
}

/* ---- looking through ---- */

uint64_t inbox_rescan_ns(const struct directory_inbox *inbox) {
    uint64_t ms = inbox->options.rescan_ms;
    if (inbox->notify < 0 && ms > INBOX_POLL_MS_MOST)
        ms = INBOX_POLL_MS_MOST;
    return ms * NS_PER_MS;
}

static void scan_end(struct directory_inbox *inbox) {
    if (inbox->scan != NULL)
        (void)closedir(inbox->scan);
    inbox->scan = NULL;
    inbox->scan_due_ns = clock_mono_ns() + inbox_rescan_ns(inbox);
}

static int scan_begin(struct directory_inbox *inbox) {
    if (inbox->notify < 0)
        inbox_watch(inbox); /* before: what comes during the scan is told */
    inbox->arrivals.more = false;
    int fd = openat(inbox->place.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    inbox->scan = fd < 0 ? NULL : fdopendir(fd);
    if (inbox->scan != NULL)
        return 0;
    int result = -errno;
    if (fd >= 0)
        (void)close(fd);
    return result;
}

void inbox_scan(struct directory_inbox *inbox) {
    int result = inbox->scan == NULL ? scan_begin(inbox) : 0;
    for (uint32_t i = 0; inbox->scan != NULL && i < INBOX_SCAN_STEP; i++) {
        errno = 0;
        const struct dirent *entry = readdir(inbox->scan);
        if (entry == NULL) {
            result = -errno;
            scan_end(inbox);
        } else if (entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN) {
            found(inbox, entry->d_name, false);
        }
    }
    if (result != 0) {
        scan_end(inbox);
        (void)folder_result(&inbox->place, result);
    }
}

/* ---- inotify ---- */

/* One notice. False: the directory is not there any more. */
static bool notice(struct directory_inbox *inbox, const struct inotify_event *event) {
    if ((event->mask & IN_Q_OVERFLOW) != 0)
        inbox->scan_due_ns = 0;
    if ((event->mask & (IN_IGNORED | IN_UNMOUNT | IN_DELETE_SELF | IN_MOVE_SELF)) != 0)
        return false;
    if (event->len > 0 && (event->mask & IN_ISDIR) == 0)
        found(inbox, event->name, (event->mask & (IN_CLOSE_WRITE | IN_MOVED_TO)) != 0);
    return true;
}

static void on_notice(evutil_socket_t fd, short what, void *user) {
    struct directory_inbox *inbox = user;
    _Alignas(struct inotify_event) char notices[WATCH_BYTES];
    ssize_t n = read(fd, notices, sizeof notices);
    bool stands = inbox->place.fd >= 0;
    (void)what;
    for (ssize_t at = 0; at < n && stands;) {
        const struct inotify_event *event = (const void *)(notices + at);
        stands = notice(inbox, event);
        at += (ssize_t)(sizeof *event + event->len);
    }
    if (!stands) { /* renamed, or removed: whatever has its name is looked for */
        inbox_unwatch(inbox);
        folder_close(&inbox->place);
        inbox->reopen_ns = 0;
    }
    inbox_soon(inbox);
}

void inbox_unwatch(struct directory_inbox *inbox) {
    if (inbox->noticed != NULL)
        event_free(inbox->noticed);
    inbox->noticed = NULL;
    if (inbox->notify >= 0)
        (void)close(inbox->notify);
    inbox->notify = -1;
    if (inbox->scan != NULL)
        (void)closedir(inbox->scan);
    inbox->scan = NULL;
}

static int watch_begin(struct directory_inbox *inbox) {
    uint32_t mask = IN_ONLYDIR | IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF;
    if (inbox->options.complete == DIRECTORY_STABLE)
        mask |= IN_CREATE; /* it may stay open for ever */
    if (inbox->options.complete == DIRECTORY_RENAME)
        mask &= ~(uint32_t)IN_CLOSE_WRITE;
    inbox->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (inbox->notify < 0 || inotify_add_watch(inbox->notify, inbox->place.path, mask) < 0)
        return -errno;
    if (!folder_stands(&inbox->place))
        return -ENOENT; /* exchanged in between */
    inbox->noticed = event_new(inbox->host->base, inbox->notify, EV_READ | EV_PERSIST, on_notice, inbox);
    return inbox->noticed != NULL && event_add(inbox->noticed, NULL) == 0 ? 0 : -ENOMEM;
}

void inbox_watch(struct directory_inbox *inbox) {
    struct inbox_names names;
    char error[128];
    int result = watch_begin(inbox);
    if (result != 0)
        inbox_unwatch(inbox);
    if ((result != 0) == inbox->unwatched)
        return;
    inbox->unwatched = result != 0;
    (void)inbox_names(inbox, inbox->place.path, &names);
    if (result != 0) {
        const char *text = strerror(-result);
        logfmt(LOGFMT_WARN, "an inbox can not be watched, it is looked through again and again",
               "spoke=%s dir=%s error=%s every_ms=%llu", names.spoke, names.file,
               logfmt_quote(error, sizeof error, text, strlen(text)),
               (unsigned long long)(inbox_rescan_ns(inbox) / NS_PER_MS));
    } else {
        logfmt(LOGFMT_INFO, "an inbox is watched again", "spoke=%s dir=%s", names.spoke, names.file);
    }
}
