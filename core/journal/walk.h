/* walk.h: looks at a segment's bytes: a window over the file, and the groups in it.
 * Owner: who walks: recovery, readers, the commands. A window is for one thread.
 * Nothing on the disk is changed here.
 * Blocks on reads of up to 1 MiB, or one group.
 * Fails with negative errno for the disk, with a static sentence for what the bytes are. */
#pragma once

#include "core/base/check.h"
#include "core/journal/disk.h"
#include "core/journal/format.h"

#include <stdint.h>

struct window {
    struct disk *disk; /* borrows */
    uint64_t least;    /* bytes of one read, where there are so many */
    int file;          /* owns; -1 = none is open */
    bool past;         /* reads are past the page cache */
    uint64_t limit;    /* nothing is read at or behind it: the size of the file, or what is durable */
    uint64_t from, have;
    uint8_t *bytes; /* owns; aligned to a block */
    uint64_t room;
    uint64_t ahead; /* so many bytes behind what is read will be read soon; 0 = none */
    uint64_t asked; /* the disk has been told so up to here */
};

void window_init(struct window *window, struct disk *disk);        /* zeroed memory is no window */
void window_deinit(struct window *window);                         /* after window_init only */
int window_open(struct window *window, const char *name) MUST_USE; /* in place of the one before */
/* Between reads: closes the file and keeps what has been read of it. Back to the same file, which below the
 * limit of then has not changed. */
void window_leave(struct window *window);
int window_return(struct window *window, const char *name) MUST_USE;
/* `bytes` from `offset` on, valid until the next call. -ENODATA: the limit comes first. */
int window_get(struct window *window, uint64_t offset, uint64_t bytes, const uint8_t **out) MUST_USE;
/* The same bytes from `offset` on, of the same file, as far as `from` has them. -ENOMEM: none. */
int window_copy(struct window *window, const struct window *from, uint64_t offset) MUST_USE;
/* Whether it would come without a read. */
bool window_has(const struct window *window, uint64_t offset, uint64_t bytes);

enum walk_state {
    WALK_GROUP,  /* a group that is whole in itself */
    WALK_ZERO,   /* a block of zeros */
    WALK_WRONG,  /* neither: `wrong` says why */
    WALK_END,    /* the segment ends here */
    WALK_FAILED, /* the disk could not be read: `error` */
};

/* What lies at a place. */
struct walk {
    const struct format_group *group; /* WALK_GROUP: whole; WALK_WRONG: the block, as it is */
    const char *wrong;
    int error;
};
enum walk_state walk_look(struct window *window, uint64_t offset, uint64_t salt, struct walk *walk);

/* What the chain of groups says the next one must be. */
struct walk_next {
    uint64_t group;    /* its number */
    uint64_t position; /* of its first record */
    uint64_t previous; /* check of the group before */
};
const char *walk_chain_wrong(const struct format_group *group, const struct walk_next *next);
void walk_on(struct walk_next *next, const struct format_group *group);

/* Called for each record of a group, in order; a sentence ends it. */
typedef const char *(*walk_record)(void *user, const struct format_record *record, const uint8_t *bytes);
/* All records of a group that is whole: number by number to the end of its body. */
const char *walk_records(const struct format_group *group, walk_record each, void *user);

/* Whether the block at `at` begins a group of this segment with a number of at least `least`, whole or not.
 */
bool walk_is_later(const uint8_t *at, uint64_t salt, uint64_t least);

/* Groups that are whole in themselves from an offset on, of this salt (0 = of any), with a number of at least
 * `least`; and the number of other blocks' bytes that are not zero. */
struct walk_rest {
    uint64_t groups;
    uint64_t records;
    uint64_t bytes;       /* of their bodies */
    uint64_t first;       /* offset of the first one */
    uint64_t next;        /* the highest position behind any of them */
    uint64_t later;       /* blocks that begin a group with a higher number, whole or torn */
    uint64_t nonzero_end; /* behind the last block that is not zero; 0 = all are */
};
int walk_rest(struct window *window, uint64_t offset, uint64_t salt, uint64_t least,
              struct walk_rest *rest) MUST_USE;
