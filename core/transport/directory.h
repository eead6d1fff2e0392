/* directory.h: a system that reads and writes files: an inbox whose files are read, an outbox that is
 * written. Owner and thread: as transport.h says; the spoke's thread makes it, calls it and stops it. Blocks
 * for what the file system takes of one piece of a file, a rename or a sync; never for a whole file. What can
 * not be reached now (a directory that is missing, full or not ours to write) is told once by a log line,
 * tried again with a growing pause, and told once when it is over: nothing is lost by it. Fails: start
 * refuses options that can not mean anything, with a sentence. docs/DIRECTORIES.md has the rest. */
#pragma once

#include "core/bridge/transport.h"

/* When a file in the inbox is complete. */
enum directory_complete {
    /* Who wrote it has closed it, or it was renamed or moved to its name. What is found without having been
     * seen to close (at the start, on a network file system) is taken when it is stable. */
    DIRECTORY_CLOSE,
    /* It has its name: it was written under a temporary name, or elsewhere, and renamed. */
    DIRECTORY_RENAME,
    /* Size and time of modification have stayed as they are for stable_ms. */
    DIRECTORY_STABLE,
};

/* Which file comes first, of those that are complete. */
enum directory_order { DIRECTORY_BY_NAME, DIRECTORY_BY_TIME /* of modification, oldest first */ };

/* A file with the same content as one that was read and found good before, whatever its name. (The ids of its
 * events are the same anyway: within the duplicates window of their topics the router stores none twice.) */
enum directory_repeats {
    DIRECTORY_SKIP,   /* goes to done/ and is told, nothing is published */
    DIRECTORY_ACCEPT, /* is read like any other */
    DIRECTORY_REJECT, /* goes to rejected/ with its findings */
};

/* 0 and NULL are the defaults. Texts are borrowed for the transport's life. One of inbox and outbox at least.
 */
struct directory_options {
    /* ---- what comes in; only with an `inbound` in the host ---- */
    const char *inbox;   /* a directory, made if it is missing; NULL: nothing comes in */
    const char *pattern; /* of names, as a shell has them (fnmatch); NULL: "*". Never looked at: names that
                            begin with a dot, or end in .tmp, .part or ~; and what is not a plain file */
    enum directory_complete complete;
    uint64_t stable_ms; /* 0: 2,000 */
    enum directory_order order;
    const char *done;     /* where files go that were read; NULL: INBOX/done. Both are made if they are */
    const char *rejected; /* missing, and lie on the inbox's file system. NULL: INBOX/rejected */
    enum directory_repeats repeats;
    uint32_t repeats_count;  /* how many contents are remembered; 0: 10,000; at most 1,000,000 */
    uint64_t repeats_age_ms; /* for how long; 0: 7 days */
    uint64_t rescan_ms;      /* the inbox is looked through every so often, whatever inotify says; 0: 30,000;
                                where there is no inotify at most 1,000 */
    uint64_t retry_ms;       /* the first pause before something is tried again; it doubles; 0: 1,000 */
    uint64_t retry_most_ms;  /* up to this; 0: 60,000 */

    /* ---- what goes out ---- */
    const char *outbox; /* a directory, made if it is missing; NULL: nothing goes out */
    /* A file's name: text with {type}, {subject}, {source}, {id}, {time}, {topic}, {seq} (the attribute
     * `sequence`), {hash} (16 digits that stand for source and id) and {ext} (by the data's content type);
     * what a file's name should not have becomes _. Without {hash}, -{hash} is added in front of the
     * extension: the same event has the same name, another event has another. NULL: "{type}-{hash}.{ext}" */
    const char *file_name;
};

/* Whether the options mean something; else *why has a sentence. What `start` asks, without touching a file.
 */
bool directory_check(const struct directory_options *options, char *why, size_t why_bytes) MUST_USE;

extern const struct transport directory_transport;
