#include "core/client/inbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INBOX_BYTES_FIRST                                                                                    \
    ((size_t)256 << 10)                   /* many events by one system call; more only for larger frames */
#define INBOX_ROOM_MIN ((size_t)64 << 10) /* below this a receive is not worth its system call */

void inbox_reset(struct inbox *box) {
    box->start = 0;
    box->end = 0;
}

void inbox_deinit(struct inbox *box) {
    free(box->bytes);
    *box = (struct inbox){0};
}

int inbox_reserve(struct inbox *box) {
    if (box->start > 0 && (box->start == box->end || inbox_room(box) < INBOX_ROOM_MIN)) {
        memmove(box->bytes, box->bytes + box->start, box->end - box->start);
        box->end -= box->start;
        box->start = 0;
    }
    if (inbox_room(box) >= INBOX_ROOM_MIN)
        return 0;
    size_t capacity = box->capacity > 0 ? 2 * box->capacity : INBOX_BYTES_FIRST;
    uint8_t *grown = realloc(box->bytes, capacity);
    if (grown == NULL)
        return -ENOMEM;
    box->bytes = grown;
    box->capacity = capacity;
    return 0;
}
