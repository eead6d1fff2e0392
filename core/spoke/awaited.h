/* awaited.h: the documents of a spoke whose acknowledgement is awaited: which are answered, which are late.
 * A document is known by what its envelope says: sender, receiver, control references.
 * Owner: the spoke's thread, which makes it, calls it and frees it. Entries are borrowed until the next call
 * that takes a time, but for those that are being told. Times are milliseconds since 1970, the caller's.
 * What it knows is in a file, too: one line of JSON for each change, written at once, so that it outlives a
 * kill of the process; awaited_sync makes it outlive more.
 * Blocks as the file system does. Fails by a log line, once: without its file it goes on in memory. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AWAITED_FILE "awaited.state"
#define AWAITED_MOST 100000u
#define AWAITED_REMEMBER_MS                                                                                  \
    (30ull * 24 * 3600 * 1000) /* what was told is known so long, for a late answer                          \
                                */
#define AWAITED_NEVER UINT64_MAX

struct awaited;

/* From the outside: none is NULL, of an unknown one all that is not known is "". */
struct awaited_document {
    bool x12;           /* else EDIFACT */
    const char *sender; /* we */
    const char *receiver;
    const char *interchange;
    const char *group;                 /* X12 */
    const char *id, *source, *subject; /* of the event that it was made of */
};

/* HANDED: the transport has it, and has not said that it is sent. LATE: it is being told. */
enum awaited_state {
    AWAITED_HANDED,
    AWAITED_SENT,
    AWAITED_LATE,
    AWAITED_TOLD,
    AWAITED_ANSWERED,
    AWAITED_STATES
};

struct awaited_entry {
    struct awaited_document document;
    enum awaited_state state;
    uint64_t at_ms; /* when it got into this state; LATE: when it was sent */
    void *user;     /* the caller's */
};

/* What an acknowledgement is about. */
struct awaited_answer {
    bool x12;
    bool group;                    /* `reference` is that of a group (997, 999), else of an interchange */
    const char *reference;         /* not empty */
    const char *sender, *receiver; /* of the document; "": it does not say */
};

enum awaited_found { AWAITED_UNKNOWN, AWAITED_AGAIN, AWAITED_IN_TIME, AWAITED_TOO_LATE };

/* Loads what is there. `state_dir` NULL: it is kept in memory only; borrowed, as the name of the spoke. What
 * was sent is late after `period_ms`. `most` entries are kept, 0: AWAITED_MOST. NULL: no memory. */
struct awaited *awaited_new(const char *spoke, const char *state_dir, uint64_t period_ms, uint32_t most,
                            uint64_t now_ms) MUST_USE;
void awaited_free(struct awaited *awaited);

/* Before it is delivered; `delivery` is for awaited_sent. One that is known already stays as it is: it is
 * sent again. False: there is no room, or no memory, and it is not awaited. */
bool awaited_hand(struct awaited *awaited, const struct awaited_document *document, uint64_t delivery,
                  uint64_t now_ms) MUST_USE;
/* Its system has it: from now on the answer is awaited. */
void awaited_sent(struct awaited *awaited, uint64_t delivery, uint64_t now_ms);
/* It has not, and the number is not its own any more. */
void awaited_unsent(struct awaited *awaited, uint64_t delivery);

/* An acknowledgement has come. *entry (not of AWAITED_UNKNOWN) is the document, as it is now. */
enum awaited_found awaited_answered(struct awaited *awaited, const struct awaited_answer *answer,
                                    uint64_t now_ms, const struct awaited_entry **entry);

/* One that is late, or NULL. It stays where it is until awaited_told says whether it has been told: once. */
struct awaited_entry *awaited_late(struct awaited *awaited, uint64_t now_ms);
/* True: it was the first to say so, and the document was not answered meanwhile. */
bool awaited_told(struct awaited *awaited, struct awaited_entry *entry, bool told, uint64_t now_ms);

/* What is in the file is on the disk afterwards. 0, or negative errno, also without a file. */
int awaited_sync(struct awaited *awaited);

/* When awaited_late has the next one; AWAITED_NEVER: none is awaited. */
uint64_t awaited_due_ms(const struct awaited *awaited);
/* Documents that are sent and not answered, the late ones among them. */
uint32_t awaited_count(const struct awaited *awaited);
