#include "core/cli/lines.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINES_READ_BYTES ((size_t)64 << 10)

void lines_init(struct lines *lines, int file, size_t line_max) {
    *lines = (struct lines){.file = file, .line_max = line_max};
}

void lines_deinit(struct lines *lines) {
    free(lines->bytes);
    *lines = (struct lines){0};
}

/* Room for one read behind what is there. */
static int lines_reserve(struct lines *lines) {
    if (lines->start > 0) {
        memmove(lines->bytes, lines->bytes + lines->start, lines->end - lines->start);
        lines->end -= lines->start;
        lines->scanned -= lines->start;
        lines->start = 0;
    }
    if (lines->end > lines->line_max)
        return -EFBIG;
    if (lines->capacity - lines->end >= LINES_READ_BYTES)
        return 0;
    size_t capacity = lines->capacity > 0 ? 2 * lines->capacity : 2 * LINES_READ_BYTES;
    char *grown = realloc(lines->bytes, capacity);
    if (grown == NULL)
        return -ENOMEM;
    lines->bytes = grown;
    lines->capacity = capacity;
    return 0;
}

static int lines_read(struct lines *lines) {
    struct pollfd ready = {.fd = lines->file, .events = POLLIN};
    if (poll(&ready, 1, 0) == 0)
        return LINES_WAIT;
    int result = lines_reserve(lines);
    if (result != 0)
        return result;
    ssize_t count = read(lines->file, lines->bytes + lines->end, lines->capacity - lines->end);
    if (count < 0)
        return errno == EINTR || errno == EAGAIN ? LINES_WAIT : -errno;
    lines->ended = count == 0;
    lines->end += (size_t)count;
    return 0;
}

static int lines_give(struct lines *lines, size_t line_end, size_t next, const char **line, size_t *length) {
    *line = lines->bytes + lines->start;
    *length = line_end - lines->start;
    lines->start = next;
    lines->scanned = next;
    lines->number++;
    return LINES_LINE;
}

int lines_next(struct lines *lines, const char **line, size_t *length) {
    for (;;) {
        const char *from = lines->bytes + lines->scanned;
        const char *end =
            lines->end > lines->scanned ? memchr(from, '\n', lines->end - lines->scanned) : NULL;
        if (end != NULL) {
            size_t at = (size_t)(end - lines->bytes);
            return lines_give(lines, at, at + 1, line, length);
        }
        lines->scanned = lines->end;
        if (lines->ended && lines->start < lines->end)
            return lines_give(lines, lines->end, lines->end, line, length);
        if (lines->ended)
            return LINES_END;
        int result = lines_read(lines);
        if (result != 0)
            return result;
    }
}

int read_all(int file, size_t most, uint8_t **bytes, size_t *length) {
    size_t capacity = LINES_READ_BYTES, used = 0;
    uint8_t *all = malloc(capacity);
    int result = all != NULL ? 0 : -ENOMEM;
    while (result == 0) {
        ssize_t count = read(file, all + used, capacity - used);
        if (count == 0)
            break;
        if (count < 0 && errno == EINTR)
            continue;
        used += count > 0 ? (size_t)count : 0;
        if (count < 0 || used > most) {
            result = count < 0 ? -errno : -EFBIG;
        } else if (used == capacity) {
            uint8_t *grown = realloc(all, capacity *= 2);
            result = grown != NULL ? 0 : -ENOMEM;
            all = grown != NULL ? grown : all;
        }
    }
    if (result != 0)
        free(all);
    *bytes = result == 0 ? all : NULL;
    *length = used;
    return result;
}
