#include "core/transport/directory_inbox.h"

#include "core/base/clock.h"
#include "core/transport/inbox_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static_assert(ERP_DIGEST_BYTES == LEDGER_DIGEST_BYTES, "one digest of a file");

uint64_t inbox_pause_ns(const struct directory_inbox *inbox, uint32_t tries) {
    uint64_t ms = inbox->options.retry_ms, most = inbox->options.retry_most_ms;
    for (uint32_t i = 1; i < tries && ms < most; i++)
        ms *= 2;
    return (ms < most ? ms : most) * NS_PER_MS;
}

void inbox_later(struct directory_inbox *inbox, struct arrival *arrival) {
    if (arrival->tries < UINT32_MAX)
        arrival->tries++;
    arrival->held = true;
    arrival->due_ns = clock_mono_ns() + inbox_pause_ns(inbox, arrival->tries);
}

bool inbox_may_say(struct directory_inbox *inbox, uint32_t *left_out) {
    return logfmt_allowed(&inbox->said, clock_mono_ns(), left_out);
}

const struct inbox_names *inbox_names(const struct directory_inbox *inbox, const char *file,
                                      struct inbox_names *names) {
    (void)logfmt_quote(names->spoke, sizeof names->spoke, inbox->host->name, strlen(inbox->host->name));
    (void)logfmt_quote(names->file, sizeof names->file, file, strlen(file));
    return names;
}

/* Of the current file. */
static void say_trouble(struct directory_inbox *inbox, const char *file, int result) {
    uint32_t left_out;
    struct inbox_names names;
    char error[128];
    const char *text = strerror(-result);
    if (!inbox_may_say(inbox, &left_out))
        return;
    (void)inbox_names(inbox, file, &names);
    logfmt(LOGFMT_WARN, "a file of an inbox can not be read, it is tried again",
           "spoke=%s file=%s error=%s left_out=%u", names.spoke, names.file,
           logfmt_quote(error, sizeof error, text, strlen(text)), left_out);
}

/* ---- one file, from its opening to its end ---- */

static void current_close(struct directory_inbox *inbox) {
    uint8_t unused[ERP_DIGEST_BYTES];
    if (inbox->fd >= 0)
        (void)close(inbox->fd);
    inbox->fd = -1;
    inbox->current = NULL;
    inbox->phase = INBOX_IDLE;
    erp_digest_take(inbox->sum, unused);
    free(inbox->end.findings);
    inbox->end.findings = NULL;
}

/* The current one is given up, and tried again later. */
static void current_later(struct directory_inbox *inbox, int result) {
    struct arrival *arrival = inbox->current;
    if (arrival->tries == 0)
        say_trouble(inbox, arrival->name, result);
    current_close(inbox);
    inbox_later(inbox, arrival);
}

/* It changed under our hands: what has its name is looked at anew. */
static void current_changed(struct directory_inbox *inbox) {
    struct arrival *arrival = inbox->current;
    struct stat stat;
    uint64_t inode = inbox->stat.st_ino;
    current_close(inbox);
    if (inbox->place.fd < 0) {
        inbox_later(inbox, arrival);
    } else if (fstatat(inbox->place.fd, arrival->name, &stat, AT_SYMLINK_NOFOLLOW) != 0 ||
               !S_ISREG(stat.st_mode)) {
        arrivals_remove(&inbox->arrivals, arrival);
    } else if (stat.st_ino != inode && inbox->options.complete != DIRECTORY_STABLE) {
        arrival->complete = true; /* another file was put in its place */
        arrival->due_ns = 0;
    } else {
        inbox_wait_stable(inbox, arrival, &stat);
    }
}

static bool current_unchanged(const struct directory_inbox *inbox) {
    struct stat stat;
    return fstat(inbox->fd, &stat) == 0 && stat.st_size == inbox->stat.st_size &&
           inbox_modified_ns(&stat) == inbox_modified_ns(&inbox->stat);
}

/* Nobody may read it: that may be an accident of the writer's, for a moment. */
static void unreadable(struct directory_inbox *inbox, struct arrival *arrival, int result) {
    if (arrival->tries == 0)
        say_trouble(inbox, arrival->name, result);
    if (arrival->tries + 1 < INBOX_UNREADABLE) {
        inbox_later(inbox, arrival);
        return;
    }
    char *findings = inbox_finding(arrival->name, "file.unreadable", strerror(-result));
    memset(inbox->digest, 0, sizeof inbox->digest);
    inbox_settle(inbox, arrival, LEDGER_REJECTED, findings, findings != NULL ? strlen(findings) : 0);
}

static void current_open(struct directory_inbox *inbox, struct arrival *arrival) {
    /* Looked at first: opening a pipe would be noticed at its other end. */
    if (fstatat(inbox->place.fd, arrival->name, &inbox->stat, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(inbox->stat.st_mode)) {
        arrivals_remove(&inbox->arrivals, arrival);
        return;
    }
    int fd =
        openat(inbox->place.fd, arrival->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && (errno == EACCES || errno == EPERM)) {
        unreadable(inbox, arrival, -errno);
        return;
    }
    if (fd < 0 && (errno == ENOENT || errno == ELOOP)) {
        arrivals_remove(&inbox->arrivals, arrival);
        return;
    }
    inbox->current = arrival;
    inbox->fd = fd;
    arrival->held = true; /* however many others come meanwhile */
    if (fd < 0 || fstat(fd, &inbox->stat) != 0) {
        current_later(inbox, -errno);
        return;
    }
    inbox->begun_ns = clock_mono_ns();
    inbox->at = inbox->have = 0;
    inbox->phase = INBOX_DIGEST;
}

/* The next piece, at `at`. 0: the end; negative errno. */
static ssize_t piece_read(struct directory_inbox *inbox) {
    ssize_t n;
    do {
        n = pread(inbox->fd, inbox->piece, sizeof inbox->piece, (off_t)inbox->at);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static void say_repeated(struct directory_inbox *inbox, const char *file) {
    const char *to = inbox->options.repeats == DIRECTORY_SKIP ? "done" : "rejected";
    uint32_t left_out;
    struct inbox_names names;
    if (!inbox_may_say(inbox, &left_out))
        return;
    (void)inbox_names(inbox, file, &names);
    logfmt(LOGFMT_WARN, "a file of an inbox was read before under some name, it is not read again",
           "spoke=%s file=%s to=%s left_out=%u", names.spoke, names.file, to, left_out);
}

/* The current one is over: it is moved. */
static void current_settle(struct directory_inbox *inbox, enum ledger_outcome outcome, char *findings,
                           size_t findings_length) {
    struct arrival *arrival = inbox->current;
    current_close(inbox);
    inbox_settle(inbox, arrival, outcome, findings, findings_length);
}

/* True: it is a repetition, and has been dealt with. */
static bool repeated(struct directory_inbox *inbox) {
    if (inbox->options.repeats == DIRECTORY_ACCEPT || inbox->stat.st_size == 0 ||
        !ledger_remembers(inbox->ledger, inbox->digest, clock_wall_ns() / NS_PER_MS))
        return false;
    const char *name = inbox->current->name;
    char *findings = NULL;
    say_repeated(inbox, name);
    if (inbox->options.repeats == DIRECTORY_REJECT)
        findings = inbox_finding(name, "file.repeated",
                                 "a file with the same content was read before, nothing of it is published");
    current_settle(inbox, inbox->options.repeats == DIRECTORY_SKIP ? LEDGER_DONE : LEDGER_REJECTED, findings,
                   findings != NULL ? strlen(findings) : 0);
    return true;
}

static void digest_step(struct directory_inbox *inbox) {
    ssize_t n = piece_read(inbox);
    if (n < 0) {
        current_later(inbox, (int)n);
        return;
    }
    if (n > 0) {
        erp_digest_add(inbox->sum, inbox->piece, (size_t)n);
        inbox->have = inbox->at == 0 ? (size_t)n : 0;
        inbox->at += (uint64_t)n;
        if (inbox->at > (uint64_t)inbox->stat.st_size)
            current_changed(inbox); /* it may grow as fast as it is read */
        return;
    }
    inbox->whole = inbox->at == inbox->have;
    erp_digest_take(inbox->sum, inbox->digest);
    if (inbox->at != (uint64_t)inbox->stat.st_size || !current_unchanged(inbox))
        current_changed(inbox);
    else if (!repeated(inbox))
        inbox->phase = INBOX_BEGIN;
}

static void begin_step(struct directory_inbox *inbox) {
    int result = inbound_begin(inbox->host->inbound, inbox->current->name, inbox->digest);
    if (result == -EBUSY) {
        inbox->hold_ns = clock_mono_ns() + INBOX_BUSY_NS;
    } else if (result != 0) {
        current_later(inbox, result);
    } else {
        inbox->at = 0;
        if (!inbox->whole)
            inbox->have = 0;
        inbox->phase = INBOX_FEED;
    }
}

/* ---- giving it ---- */

static void on_room(void *user) {
    struct directory_inbox *inbox = user;
    if (inbox->phase == INBOX_ROOM) {
        inbox->phase = INBOX_FEED;
        inbox_soon(inbox);
    }
}

static void on_end(void *user, const struct inbound_end *end) {
    struct directory_inbox *inbox = user;
    inbox->end.published = end->published;
    inbox->end.refused = end->refused;
    inbox->end.unknown = end->unknown;
    inbox->end.findings_length = 0;
    if (end->refused > 0 && end->findings != NULL) {
        inbox->end.findings = malloc(end->findings_length + 1);
        if (inbox->end.findings != NULL) {
            memcpy(inbox->end.findings, end->findings, end->findings_length);
            inbox->end.findings_length = end->findings_length;
        }
    }
    inbox->phase = INBOX_ENDED;
    inbox_soon(inbox);
}

static void feed_end(struct directory_inbox *inbox) {
    uint8_t again[ERP_DIGEST_BYTES];
    erp_digest_take(inbox->sum, again);
    if (inbox->at != (uint64_t)inbox->stat.st_size || !current_unchanged(inbox) ||
        (!inbox->whole && memcmp(again, inbox->digest, sizeof again) != 0)) {
        inbound_abandon(inbox->host->inbound);
        current_changed(inbox);
        return;
    }
    inbox->phase = INBOX_END;
    inbound_finish(inbox->host->inbound, on_end, inbox);
}

static void feed_step(struct directory_inbox *inbox) {
    if (inbox->have == 0) {
        ssize_t n = piece_read(inbox);
        if (n < 0) {
            inbound_abandon(inbox->host->inbound);
            current_later(inbox, (int)n);
            return;
        }
        if (n == 0 || inbox->at >= (uint64_t)inbox->stat.st_size) {
            inbox->at += (uint64_t)n; /* more than there was: it has changed */
            feed_end(inbox);
            return;
        }
        inbox->have = (size_t)n;
        if (!inbox->whole)
            erp_digest_add(inbox->sum, inbox->piece, (size_t)n);
    }
    int result = inbound_feed(inbox->host->inbound, inbox->piece, inbox->have);
    if (result == -EAGAIN) {
        inbox->phase = INBOX_ROOM;
        inbound_on_room(inbox->host->inbound, on_room, inbox);
    } else if (result != 0) {
        inbound_abandon(inbox->host->inbound);
        current_later(inbox, result);
    } else {
        inbox->at += inbox->have;
        inbox->have = 0;
    }
}

/* ---- its end ---- */

static void say_ended(struct directory_inbox *inbox) {
    uint32_t left_out;
    struct inbox_names names;
    const unsigned long long published = inbox->end.published, refused = inbox->end.refused,
                             unknown = inbox->end.unknown,
                             ms = (clock_mono_ns() - inbox->begun_ns) / NS_PER_MS;
    if (!inbox_may_say(inbox, &left_out))
        return;
    (void)inbox_names(inbox, inbox->current->name, &names);
    if (unknown > 0)
        logfmt(LOGFMT_WARN, "a file of an inbox is given again later: the router has not taken all of it",
               "spoke=%s file=%s published=%llu unknown=%llu left_out=%u", names.spoke, names.file, published,
               unknown, left_out);
    else if (refused > 0)
        logfmt(LOGFMT_WARN, "a file of an inbox has been rejected",
               "spoke=%s file=%s published=%llu refused=%llu left_out=%u", names.spoke, names.file, published,
               refused, left_out);
    else
        logfmt(LOGFMT_INFO, "a file of an inbox has been read",
               "spoke=%s file=%s published=%llu ms=%llu left_out=%u", names.spoke, names.file, published, ms,
               left_out);
}

static void end_step(struct directory_inbox *inbox) {
    struct arrival *arrival = inbox->current;
    say_ended(inbox);
    if (inbox->end.unknown > 0) {
        current_close(inbox);
        inbox_later(inbox, arrival);
        if (arrival->tries <= INBOX_ORDER_TRIES)
            inbox->hold_ns = arrival->due_ns;
        return;
    }
    if (!current_unchanged(inbox)) { /* it was whole when it was read, and has become another one since */
        current_changed(inbox);
        return;
    }
    char *findings = inbox->end.findings;
    inbox->end.findings = NULL;
    current_settle(inbox, inbox->end.refused > 0 ? LEDGER_REJECTED : LEDGER_DONE, findings,
                   inbox->end.findings_length);
}

/* ---- turns ---- */

/* The inbox is open, locked and watched, and what a kill left is known. */
static bool inbox_open(struct directory_inbox *inbox, uint64_t now_ns) {
    if (inbox->place.fd >= 0)
        return true;
    if (inbox->reopen_ns > now_ns)
        return false;
    int result = folder_open(&inbox->place);
    if (result >= 0 && flock(result, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        result = -EBUSY; /* somebody else reads it; file systems without locks are not asked for them */
    if (folder_result(&inbox->place, result < 0 ? result : 0) != 0) {
        inbox->reopen_ns = now_ns + inbox_pause_ns(inbox, ++inbox->reopen_tries);
        return false;
    }
    inbox->reopen_tries = 0;
    inbox->reopen_ns = 0;
    (void)inbox_ledger_load(inbox);
    inbox_unwatch(inbox);
    inbox->scan_due_ns = 0;
    return true;
}

/* The next file, or what else is to be done between two. False: nothing is. */
static bool idle_step(struct directory_inbox *inbox, uint64_t now_ns) {
    if (inbox->scan == NULL && inbox->scan_due_ns <= now_ns && !folder_stands(&inbox->place)) {
        inbox_unwatch(inbox);
        folder_close(&inbox->place);
        return inbox_open(inbox, now_ns);
    }
    if (inbox->scan != NULL || inbox->scan_due_ns <= now_ns) {
        inbox_scan(inbox);
        return inbox->place.fd >= 0;
    }
    if (inbox->hold_ns > now_ns)
        return false;
    struct arrival *arrival = arrivals_next(&inbox->arrivals, now_ns);
    if (arrival == NULL) {
        if (!inbox->arrivals.more || inbox->arrivals.count > ARRIVALS_MAX / 2)
            return false;
        inbox->scan_due_ns = now_ns; /* there was no room for all of them */
        inbox->arrivals.more = false;
        return true;
    }
    if (arrival->settled != NULL)
        inbox_move(inbox, arrival);
    else if (!arrival->complete)
        inbox_look(inbox, arrival);
    else
        current_open(inbox, arrival);
    return true;
}

/* One step of whatever is to be done. False: it waits for something. */
static bool inbox_advance(struct directory_inbox *inbox) {
    uint64_t now_ns = clock_mono_ns();
    switch (inbox->phase) {
    case INBOX_IDLE:
        return inbox_open(inbox, now_ns) && idle_step(inbox, now_ns);
    case INBOX_DIGEST:
        digest_step(inbox);
        return true;
    case INBOX_BEGIN:
        if (inbox->hold_ns > now_ns)
            return false;
        begin_step(inbox);
        return true;
    case INBOX_FEED:
        feed_step(inbox);
        return true;
    case INBOX_ENDED:
        end_step(inbox);
        return true;
    case INBOX_ROOM:
    case INBOX_END:
        break;
    }
    return false;
}

static void wake_at(struct directory_inbox *inbox, uint64_t at_ns) {
    uint64_t now_ns = clock_mono_ns(), us = at_ns > now_ns ? (at_ns - now_ns + 999) / 1000 : 0;
    struct timeval wait = {.tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000)};
    (void)evtimer_add(inbox->step, &wait);
}

void inbox_soon(struct directory_inbox *inbox) {
    wake_at(inbox, 0);
}

static void sooner(uint64_t *due_ns, uint64_t at_ns) {
    if (at_ns < *due_ns)
        *due_ns = at_ns;
}

/* Nothing can be done at once: until when? */
static void inbox_plan(struct directory_inbox *inbox) {
    uint64_t due_ns = UINT64_MAX, now_ns = clock_mono_ns();
    if (inbox->sync_ns != 0)
        sooner(&due_ns, inbox->sync_ns);
    if (inbox->phase == INBOX_BEGIN)
        sooner(&due_ns, inbox->hold_ns);
    if (inbox->phase == INBOX_IDLE && inbox->place.fd < 0)
        sooner(&due_ns, inbox->reopen_ns);
    if (inbox->phase == INBOX_IDLE && inbox->place.fd >= 0) {
        uint64_t next_ns =
            arrivals_next(&inbox->arrivals, now_ns) != NULL ? now_ns : arrivals_due(&inbox->arrivals, now_ns);
        sooner(&due_ns, next_ns > inbox->hold_ns ? next_ns : inbox->hold_ns);
        sooner(&due_ns, inbox->scan_due_ns);
    }
    if (due_ns != UINT64_MAX)
        wake_at(inbox, due_ns);
}

static void on_step(evutil_socket_t fd, short what, void *user) {
    struct directory_inbox *inbox = user;
    uint32_t steps = 0, most = INBOX_TURN_STEPS;
    (void)fd;
    (void)what;
    while (steps < most && inbox_advance(inbox)) {
        steps++;
        if (inbox->phase == INBOX_DIGEST || inbox->phase == INBOX_FEED)
            most = INBOX_TURN_BYTES / INBOX_PIECE_BYTES; /* these steps are the long ones */
    }
    if (inbox->sync_ns != 0 && inbox->sync_ns <= clock_mono_ns())
        inbox_sync(inbox);
    if (steps >= most)
        inbox_soon(inbox);
    else
        inbox_plan(inbox);
}

/* ---- making and ending ---- */

static void take_options(struct directory_inbox *inbox, const struct directory_options *options) {
    struct directory_options *own = &inbox->options;
    *own = *options;
    own->pattern = own->pattern != NULL ? own->pattern : "*";
    own->stable_ms = own->stable_ms != 0 ? own->stable_ms : 2000;
    own->repeats_count = own->repeats_count != 0 ? own->repeats_count : 10000;
    own->repeats_age_ms = own->repeats_age_ms != 0 ? own->repeats_age_ms : UINT64_C(7) * 24 * 3600 * 1000;
    own->rescan_ms = own->rescan_ms != 0 ? own->rescan_ms : 30000;
    own->retry_ms = own->retry_ms != 0 ? own->retry_ms : 1000;
    own->retry_most_ms = own->retry_most_ms != 0 ? own->retry_most_ms : 60000;
}

/* `given`, or the directory of this name inside the inbox. Owned by the caller; NULL: no memory. */
static char *path_of(const char *inbox, const char *given, const char *name) {
    char *path = NULL;
    if (given != NULL)
        return strdup(given);
    return asprintf(&path, "%s/%s", inbox, name) < 0 ? NULL : path;
}

struct directory_inbox *directory_inbox_new(const struct transport_host *host,
                                            const struct directory_options *options) {
    struct directory_inbox *inbox = calloc(1, sizeof *inbox);
    if (inbox == NULL)
        return NULL;
    inbox->host = host;
    inbox->fd = inbox->notify = -1;
    take_options(inbox, options);
    inbox->options.done = path_of(options->inbox, options->done, "done");
    inbox->options.rejected = path_of(options->inbox, options->rejected, "rejected");
    folder_init(&inbox->place, host->name, options->inbox);
    folder_init(&inbox->done, host->name, inbox->options.done);
    folder_init(&inbox->rejected, host->name, inbox->options.rejected);
    folder_init(&inbox->state, host->name, host->state_dir);
    inbox->ledger = ledger_new(inbox->options.repeats_count, inbox->options.repeats_age_ms);
    inbox->sum = erp_digest_new();
    inbox->step = evtimer_new(host->base, on_step, inbox);
    if (!arrivals_init(&inbox->arrivals, inbox->options.order == DIRECTORY_BY_TIME) ||
        inbox->options.done == NULL || inbox->options.rejected == NULL || inbox->ledger == NULL ||
        inbox->sum == NULL || inbox->step == NULL) {
        directory_inbox_free(inbox);
        return NULL;
    }
    inbox_soon(inbox);
    return inbox;
}

void directory_inbox_free(struct directory_inbox *inbox) {
    if (inbox == NULL)
        return;
    if (inbox->phase == INBOX_FEED || inbox->phase == INBOX_ROOM || inbox->phase == INBOX_END)
        inbound_abandon(inbox->host->inbound);
    inbound_on_room(inbox->host->inbound, NULL, NULL);
    if (inbox->fd >= 0)
        (void)close(inbox->fd);
    free(inbox->end.findings);
    inbox_unwatch(inbox);
    if (inbox->step != NULL)
        event_free(inbox->step);
    erp_digest_free(inbox->sum);
    ledger_free(inbox->ledger);
    arrivals_free(&inbox->arrivals);
    folder_close(&inbox->place);
    folder_close(&inbox->done);
    folder_close(&inbox->rejected);
    folder_close(&inbox->state);
    free((void *)(uintptr_t)inbox->options.done);
    free((void *)(uintptr_t)inbox->options.rejected);
    free(inbox);
}
