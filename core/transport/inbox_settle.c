/* What becomes of a file that is over: it is noted in the ledger, gets its findings, and is moved. In this
 * order, so that a kill between any two steps leaves what can be gone on with:
 *   findings under a temporary name, the ledger's line, the move, the findings' own name, the ledger's line.
 */
#include "core/base/clock.h"
#include "core/transport/inbox_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FINDINGS_SUFFIX ".findings.json"
#define LEDGER_OWN      "inbox.state"       /* in a directory of the spoke's own */
#define LEDGER_IN_INBOX ".roundhouse-state" /* where there is none */

char *inbox_finding(const char *file, const char *code, const char *text) {
    char *out = NULL;
    json_t *name = json_string(file); /* NULL when it is no UTF-8 */
    json_t *all = json_pack("{s:o, s:n, s:i, s:i, s:[{s:s, s:s, s:s}]}", "file",
                            name != NULL ? name : json_string("(not UTF-8)"), "format", "published", 0,
                            "refused", 1, "findings", "severity", "error", "code", code, "text", text);
    if (all != NULL)
        out = json_dumps(all, JSON_INDENT(2));
    json_decref(all);
    return out;
}

/* ---- the ledger ---- */

static struct folder *ledger_place(struct directory_inbox *inbox) {
    return inbox->host->state_dir != NULL ? &inbox->state : &inbox->place;
}

/* A ledger that can not be written is told, once, and tried again by itself. */
static void ledger_said(struct directory_inbox *inbox, int result) {
    struct inbox_names names;
    char error[128];
    if (result == inbox->ledger_error)
        return;
    inbox->ledger_error = result;
    (void)inbox_names(inbox, ledger_place(inbox)->path, &names);
    if (result == 0) {
        logfmt(LOGFMT_INFO, "the state of an inbox can be written again", "spoke=%s dir=%s", names.spoke,
               names.file);
        return;
    }
    const char *text = strerror(-result);
    logfmt(LOGFMT_WARN, "the state of an inbox can not be written: a crash would make it read files again",
           "spoke=%s dir=%s error=%s", names.spoke, names.file,
           logfmt_quote(error, sizeof error, text, strlen(text)));
}

static void findings_name(const struct ledger_file *file, char out[64]) {
    uint64_t first;
    memcpy(&first, file->digest, sizeof first);
    (void)snprintf(out, 64, ".%016" PRIx64 "-%" PRIu64 ".findings.part", first, file->inode);
}

/* Gives the findings their name beside the file; there may be none. */
static void findings_show(struct directory_inbox *inbox, const struct ledger_file *file) {
    char hidden[64], shown[FOLDER_NAME_BYTES + sizeof FINDINGS_SUFFIX];
    if (file->outcome != LEDGER_REJECTED || folder_open(&inbox->rejected) < 0)
        return;
    findings_name(file, hidden);
    (void)snprintf(shown, sizeof shown, "%s" FINDINGS_SUFFIX, file->target);
    (void)renameat(inbox->rejected.fd, hidden, inbox->rejected.fd, shown);
}

/* A file that was settled when we were killed: it is to be moved, or was moved and not noted. */
static void on_left_over(void *user, const struct ledger_file *file) {
    struct directory_inbox *inbox = user;
    bool is_new = false;
    struct settled *settled = calloc(1, sizeof *settled);
    struct arrival *arrival = arrivals_add(&inbox->arrivals, file->name, file->modified_ns, &is_new);
    if (settled == NULL || arrival == NULL || arrival->settled != NULL || arrival == inbox->current) {
        free(settled); /* without memory it is read again: its ids are the same */
        return;
    }
    settled->file = *file;
    memcpy(settled->noted, file->target, sizeof settled->noted);
    arrival->settled = settled;
    arrival->complete = arrival->held = true;
    arrival->due_ns = 0;
}

int inbox_ledger_load(struct directory_inbox *inbox) {
    struct folder *place = ledger_place(inbox);
    int result = folder_open(place);
    if (place == &inbox->state)
        (void)folder_result(place, result < 0 ? result : 0);
    if (result >= 0)
        result = ledger_load(inbox->ledger, place, place == &inbox->state ? LEDGER_OWN : LEDGER_IN_INBOX,
                             on_left_over, inbox);
    ledger_said(inbox, result < 0 ? result : 0);
    return result < 0 ? result : 0;
}

/* ---- moving ---- */

static bool same_file(const struct stat *stat, const struct ledger_file *file) {
    return stat->st_ino == file->inode && (uint64_t)stat->st_size == file->size &&
           inbox_modified_ns(stat) == file->modified_ns;
}

/* It is where it belongs. */
static void note_moved(struct directory_inbox *inbox, const struct ledger_file *file) {
    static const uint8_t unknown[LEDGER_DIGEST_BYTES];
    int result = 0;
    findings_show(inbox, file);
    if (file->outcome == LEDGER_DONE && file->size > 0 && memcmp(file->digest, unknown, sizeof unknown) != 0)
        result = ledger_remember(inbox->ledger, file->digest, clock_wall_ns() / NS_PER_MS);
    int noted = ledger_moved(inbox->ledger, file);
    ledger_said(inbox, result != 0 ? result : noted);
    if (inbox->sync_ns == 0)
        inbox->sync_ns = clock_mono_ns() + INBOX_SYNC_NS;
}

/* What has its name now is another file, or none: this one was moved and not noted, or is nobody's any more.
 */
static void forget_settled(struct directory_inbox *inbox, struct arrival *arrival, bool exists) {
    note_moved(inbox, &arrival->settled->file);
    settled_free(arrival->settled);
    arrival->settled = NULL;
    if (!exists) {
        arrivals_remove(&inbox->arrivals, arrival);
        return;
    }
    arrival->complete = inbox->options.complete == DIRECTORY_RENAME;
    arrival->held = false;
    arrival->tries = 0;
    arrival->due_ns = 0;
    arrival->seen_size = UINT64_MAX; /* so it is looked at twice */
}

static int findings_write(struct directory_inbox *inbox, struct settled *settled) {
    char hidden[64], temporary[80];
    if (settled->findings == NULL)
        return 0;
    findings_name(&settled->file, hidden);
    (void)snprintf(temporary, sizeof temporary, "%s.tmp", hidden);
    int result =
        folder_write(&inbox->rejected, temporary, hidden, settled->findings, settled->findings_length, true);
    if (result != 0)
        return result;
    free(settled->findings);
    settled->findings = NULL;
    return 0;
}

/* Between the last look and the move somebody may have put another file there: that one goes back. */
static bool moved_right(struct directory_inbox *inbox, const struct folder *to,
                        const struct ledger_file *file) {
    struct stat stat;
    if (fstatat(to->fd, file->target, &stat, AT_SYMLINK_NOFOLLOW) != 0 || stat.st_ino == file->inode)
        return true;
    return renameat2(to->fd, file->target, inbox->place.fd, file->name, RENAME_NOREPLACE) != 0;
}

/* The ledger knows that it is settled, and the name that it gets. */
static void note_settled(struct directory_inbox *inbox, struct settled *settled) {
    if (strcmp(settled->noted, settled->file.target) == 0)
        return;
    int result = ledger_settled(inbox->ledger, &settled->file);
    ledger_said(inbox, result);
    if (result == 0)
        memcpy(settled->noted, settled->file.target, sizeof settled->noted);
}

/* What was read is noted before anything can fail. A rejected file only when its findings are written: a kill
 * before that makes it be read again, for them. */
static int move(struct directory_inbox *inbox, struct settled *settled, struct folder *to) {
    if (to == &inbox->done)
        note_settled(inbox, settled);
    if (!folder_stands(to))
        folder_close(to);
    int result = folder_open(to);
    if (result >= 0)
        result = findings_write(inbox, settled);
    if (result < 0)
        return result;
    folder_free_name(to, settled->file.target, to == &inbox->rejected ? FINDINGS_SUFFIX : "");
    note_settled(inbox, settled);
    return folder_move(&inbox->place, settled->file.name, to, settled->file.target);
}

void inbox_move(struct directory_inbox *inbox, struct arrival *arrival) {
    struct settled *settled = arrival->settled;
    struct folder *to = settled->file.outcome == LEDGER_DONE ? &inbox->done : &inbox->rejected;
    struct stat stat;
    if (inbox->place.fd < 0) {
        inbox_later(inbox, arrival);
        return;
    }
    int result = fstatat(inbox->place.fd, arrival->name, &stat, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;
    if (result == -ENOENT || (result == 0 && !same_file(&stat, &settled->file))) {
        forget_settled(inbox, arrival, result == 0);
        return;
    }
    result = move(inbox, settled, to);
    if (result == -ENOENT && fstatat(inbox->place.fd, arrival->name, &stat, AT_SYMLINK_NOFOLLOW) != 0) {
        forget_settled(inbox, arrival, false);
        return;
    }
    (void)folder_result(to, result < 0 ? result : 0);
    if (result < 0) {
        inbox_later(inbox, arrival);
    } else if (moved_right(inbox, to, &settled->file)) {
        note_moved(inbox, &settled->file);
        arrivals_remove(&inbox->arrivals, arrival);
    } else {
        forget_settled(inbox, arrival, true);
    }
}

void inbox_settle(struct directory_inbox *inbox, struct arrival *arrival, enum ledger_outcome outcome,
                  char *findings, size_t findings_length) {
    struct settled *settled = calloc(1, sizeof *settled);
    if (settled == NULL) {
        free(findings);
        inbox_later(inbox, arrival);
        return;
    }
    struct ledger_file *file = &settled->file;
    file->outcome = outcome;
    memcpy(file->digest, inbox->digest, sizeof file->digest);
    file->inode = inbox->stat.st_ino;
    file->size = (uint64_t)inbox->stat.st_size;
    file->modified_ns = inbox_modified_ns(&inbox->stat);
    (void)snprintf(file->name, sizeof file->name, "%s", arrival->name);
    (void)snprintf(file->target, sizeof file->target, "%s", arrival->name);
    settled->findings = findings;
    settled->findings_length = findings_length;
    arrival->settled = settled;
    arrival->complete = arrival->held = true;
    arrival->tries = 0;
    arrival->due_ns = 0;
    inbox_move(inbox, arrival);
}

/* After a loss of power, what is not on the disk is where it was before: it is read again, with the same ids.
 * So this can come late, and only keeps that short. */
void inbox_sync(struct directory_inbox *inbox) {
    inbox->sync_ns = 0;
    struct folder *const places[] = {&inbox->done, &inbox->rejected, &inbox->place};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (places[i]->fd >= 0 && fsync(places[i]->fd) != 0 && errno != EINVAL && errno != EROFS)
            (void)folder_result(places[i], -errno);
    ledger_said(inbox, ledger_sync(inbox->ledger));
}
