#include "core/transport/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#define SUM_BYTES 17u /* the checksum, and a blank */

void state_file_init(struct state_file *file, const struct folder *place, const char *name) {
    *file = (struct state_file){.place = place, .fd = -1};
    (void)snprintf(file->name, sizeof file->name, "%s", name);
}

void state_file_close(struct state_file *file) {
    if (file->fd >= 0)
        (void)close(file->fd);
    file->fd = -1;
}

static int file_open(struct state_file *file) {
    state_file_close(file);
    file->fd = openat(file->place->fd, file->name, O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
    return file->fd >= 0 ? 0 : -errno;
}

static void sum_write(char sum[SUM_BYTES + 1], const char *text, size_t length) {
    (void)snprintf(sum, SUM_BYTES + 1, "%016" PRIx64 " ", (uint64_t)XXH3_64bits(text, length));
}

/* ---- reading ---- */

static bool line_whole(const char *line, size_t length) {
    char sum[SUM_BYTES + 1];
    if (length <= SUM_BYTES)
        return false;
    sum_write(sum, line + SUM_BYTES, length - SUM_BYTES);
    return memcmp(sum, line, SUM_BYTES) == 0;
}

static int lines_read(struct state_file *file, FILE *in, bool (*take)(void *, char *, size_t), void *user) {
    char *line = NULL;
    size_t room = 0;
    for (ssize_t n; (n = getline(&line, &room, in)) > 0;) {
        size_t length = (size_t)n - 1;
        bool ends = line[length] == '\n';
        line[length] = '\0';
        if (!ends || !line_whole(line, length) || !take(user, line + SUM_BYTES, length - SUM_BYTES))
            file->broken = true;
        file->length += (uint64_t)n;
        file->lines++;
    }
    free(line);
    return ferror(in) ? -EIO : 0;
}

int state_file_load(struct state_file *file, bool (*take)(void *user, char *text, size_t length),
                    void *user) {
    int result = file_open(file);
    if (result != 0)
        return result;
    int copy = fcntl(file->fd, F_DUPFD_CLOEXEC, 0);
    FILE *in = copy < 0 ? NULL : fdopen(copy, "r");
    if (in == NULL) {
        result = -errno;
        if (copy >= 0)
            (void)close(copy);
        return result;
    }
    file->length = file->lines = 0;
    result = lines_read(file, in, take, user);
    (void)fclose(in);
    return result;
}

/* ---- writing ---- */

bool state_file_worn(const struct state_file *file, uint64_t most) {
    return file->broken || file->fd < 0 || file->lines > most;
}

int state_file_add(struct state_file *file, const char *text, size_t length) {
    char *line = malloc(SUM_BYTES + length + 1);
    int result = -ENOMEM;
    if (line != NULL) {
        sum_write(line, text, length);
        memcpy(line + SUM_BYTES, text, length);
        line[SUM_BYTES + length] = '\n';
        result = folder_write_all(file->fd, line, SUM_BYTES + length + 1);
    }
    free(line);
    if (result != 0) {
        file->broken = true;
        (void)!ftruncate(file->fd, (off_t)file->length);
        return result;
    }
    file->length += SUM_BYTES + length + 1;
    file->lines++;
    return 0;
}

void state_line_put(FILE *out, const char *text, size_t length) {
    char sum[SUM_BYTES + 1];
    sum_write(sum, text, length);
    (void)fwrite(sum, 1, SUM_BYTES, out);
    (void)fwrite(text, 1, length, out);
    (void)putc('\n', out);
}

/* NULL: no memory. */
static char *all_text(bool (*all)(const void *, FILE *), const void *user, size_t *length) {
    char *text = NULL;
    FILE *out = open_memstream(&text, length);
    if (out == NULL)
        return NULL;
    bool good = all(user, out);
    good &= ferror(out) == 0;
    good &= fclose(out) == 0;
    if (good)
        return text;
    free(text);
    return NULL;
}

static uint64_t lines_of(const char *text, size_t length) {
    uint64_t lines = 0;
    for (const char *at = text, *end = text + length; at < end; at++, lines++)
        at = memchr(at, '\n', (size_t)(end - at));
    return lines;
}

int state_file_renew(struct state_file *file, bool (*all)(const void *user, FILE *out), const void *user) {
    char temporary[FOLDER_NAME_BYTES + 8];
    size_t length = 0;
    file->broken = true;
    char *text = all_text(all, user, &length);
    if (text == NULL)
        return -ENOMEM;
    (void)snprintf(temporary, sizeof temporary, "%s.tmp", file->name);
    int result = folder_write(file->place, temporary, file->name, text, length, true);
    if (result == 0)
        result = file_open(file);
    if (result == 0) {
        file->broken = false;
        file->length = length;
        file->lines = lines_of(text, length);
    }
    free(text);
    return result;
}

int state_file_sync(const struct state_file *file) {
    return fdatasync(file->fd) == 0 ? 0 : -errno;
}
