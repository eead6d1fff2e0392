/* inbox_private.h: the inbox of a directory, for the three files that it is made of.
 * directory_inbox.c reads one file after the other, inbox_watch.c finds them, inbox_settle.c moves them.
 * Owner and thread: as directory_inbox.h. Fields are for these files only.
 * Blocks: as directory_inbox.h says.
 * Nothing here fails its caller: what can not be done is told, and planned for later. */
#pragma once

#include "codecs/erp/event.h"
#include "core/base/limits.h"
#include "core/base/logfmt.h"
#include "core/transport/arrivals.h"
#include "core/transport/directory_inbox.h"

#include <dirent.h>
#include <event2/event.h>

#define INBOX_PIECE_BYTES  (64u * KIB)
#define INBOX_TURN_BYTES   (512u * KIB)      /* a digest of so much takes some 2 ms without SHA extensions */
#define INBOX_TURN_STEPS   64u               /* small things between two looks at other events */
#define INBOX_SCAN_STEP    256u              /* names of one step */
#define INBOX_BUSY_NS      (10u * NS_PER_MS) /* until somebody else's document is over */
#define INBOX_SYNC_NS      (5u * NS_PER_S)   /* what was moved is on the disk after so long */
#define INBOX_ORDER_TRIES  5u    /* a file that is given again holds back the others so often: order counts */
#define INBOX_UNREADABLE   3u    /* times that a file can be without permission: then it is rejected */
#define INBOX_POLL_MS_MOST 1000u /* between two looks where nothing tells of files */

enum inbox_phase {
    INBOX_IDLE,
    INBOX_DIGEST, /* reads the current file to know its digest */
    INBOX_BEGIN,
    INBOX_FEED,
    INBOX_ROOM, /* waits until the inbound takes more */
    INBOX_END,  /* all was given: waits until its events are settled */
    INBOX_ENDED,
};

struct directory_inbox {
    const struct transport_host *host;
    struct directory_options options; /* with the defaults in place */
    struct folder place, done, rejected;
    struct folder state; /* of host->state_dir; not used without one */
    struct ledger *ledger;
    struct arrivals arrivals;
    struct event *step; /* the only timer */

    /* What finds files. */
    int notify; /* inotify; -1: none */
    struct event *noticed;
    bool unwatched; /* told */
    DIR *scan;      /* that goes on; NULL: none */
    uint64_t scan_ns, scan_due_ns;

    /* The current file. */
    enum inbox_phase phase;
    struct arrival *current; /* NULL: none */
    int fd;
    struct stat stat;
    struct erp_digest *sum;
    uint8_t digest[ERP_DIGEST_BYTES];
    uint64_t at;
    size_t have; /* bytes of the piece that are not given yet */
    bool whole;  /* the piece is the whole file: it is not read twice */
    uint64_t begun_ns;
    struct {
        uint64_t published, refused, unknown;
        char *findings; /* owns */
        size_t findings_length;
    } end;

    uint64_t hold_ns, reopen_ns, sync_ns; /* not before; 0: nothing to wait for */
    uint32_t reopen_tries;
    int ledger_error; /* that was told */
    struct logfmt_limit said;
    uint8_t piece[INBOX_PIECE_BYTES];
};

/* ---- directory_inbox.c ---- */
/* A turn of the loop from now. */
void inbox_soon(struct directory_inbox *inbox);
/* It is tried again after a pause, which grows. */
void inbox_later(struct directory_inbox *inbox, struct arrival *arrival);
uint64_t inbox_pause_ns(const struct directory_inbox *inbox, uint32_t tries);
/* A log line may be written: *left_out is for it. */
bool inbox_may_say(struct directory_inbox *inbox, uint32_t *left_out);
int64_t inbox_modified_ns(const struct stat *stat);
/* It is complete only when it has stayed as it is. */
void inbox_wait_stable(struct directory_inbox *inbox, struct arrival *arrival, const struct stat *stat);
/* Both names quoted, for a log line. */
struct inbox_names {
    char spoke[256], file[600];
};
const struct inbox_names *inbox_names(const struct directory_inbox *inbox, const char *file,
                                      struct inbox_names *names);

/* ---- inbox_watch.c ---- */
void inbox_watch(struct directory_inbox *inbox);
void inbox_unwatch(struct directory_inbox *inbox);
/* Some names more; the scan that is due begins with it. */
void inbox_scan(struct directory_inbox *inbox);
uint64_t inbox_rescan_ns(const struct directory_inbox *inbox);
/* An arrival that was not complete: it is, is not yet, or is gone. */
void inbox_look(struct directory_inbox *inbox, struct arrival *arrival);

/* ---- inbox_settle.c ---- */
/* The ledger, wherever it lives; -errno is told. */
int inbox_ledger_load(struct directory_inbox *inbox);
/* The current file is over, with this outcome; `findings` (owned from here on) may be NULL. */
void inbox_settle(struct directory_inbox *inbox, struct arrival *arrival, enum ledger_outcome outcome,
                  char *findings, size_t findings_length);
/* One that is settled is to be moved. */
void inbox_move(struct directory_inbox *inbox, struct arrival *arrival);
void inbox_sync(struct directory_inbox *inbox);
/* A text of findings for what no reader has said. NULL: no memory. */
char *inbox_finding(const char *file, const char *code, const char *text);
