#include "core/transport/folder.h"

#include "core/base/clock.h"
#include "core/base/logfmt.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FOLDER_PIECE 4096u
#define FOLDER_TRIES 100u /* names that are tried until one is free */

void folder_init(struct folder *place, const char *spoke, const char *path) {
    *place = (struct folder){.spoke = spoke, .path = path, .fd = -1};
}

void folder_close(struct folder *place) {
    if (place->fd >= 0)
        (void)close(place->fd);
    place->fd = -1;
}

/* With all that is missing above it. */
static int directories_make(const char *path) {
    char part[PATH_MAX];
    size_t length = strlen(path);
    if (length >= sizeof part)
        return -ENAMETOOLONG;
    memcpy(part, path, length + 1);
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(part, 0777); /* what matters shows at the last one */
        *slash = '/';
    }
    return mkdir(part, 0777) == 0 || errno == EEXIST ? 0 : -errno;
}

int folder_open(struct folder *place) {
    if (place->fd >= 0)
        return place->fd;
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    place->fd = open(place->path, flags);
    if (place->fd < 0 && errno == ENOENT) {
        int result = directories_make(place->path);
        if (result != 0)
            return result;
        place->fd = open(place->path, flags);
    }
    return place->fd >= 0 ? place->fd : -errno;
}

int folder_result(struct folder *place, int result) {
    char spoke[256], path[512], error[128];
    int trouble = result < 0 ? -result : 0;
    if (trouble != 0)
        folder_close(place);
    if (trouble == place->error)
        return result;
    (void)logfmt_quote(spoke, sizeof spoke, place->spoke, strlen(place->spoke));
    (void)logfmt_quote(path, sizeof path, place->path, strlen(place->path));
    if (trouble != 0) {
        const char *text = strerror(trouble);
        (void)logfmt_quote(error, sizeof error, text, strlen(text));
        logfmt(LOGFMT_WARN, "a directory can not be used, it is tried again", "spoke=%s dir=%s error=%s",
               spoke, path, error);
    } else {
        logfmt(LOGFMT_INFO, "a directory can be used again", "spoke=%s dir=%s", spoke, path);
    }
    place->error = trouble;
    return result;
}

bool folder_stands(const struct folder *place) {
    struct stat here, there;
    return place->fd >= 0 && fstat(place->fd, &here) == 0 && stat(place->path, &there) == 0 &&
           here.st_ino == there.st_ino && here.st_dev == there.st_dev;
}

/* ---- moving ---- */

/* Where RENAME_NOREPLACE is not known (some network file systems), nobody but us gives names in `to`. */
static int move_once(const struct folder *from, const char *name, const struct folder *to,
                     const char *target) {
    if (renameat2(from->fd, name, to->fd, target, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    if (faccessat(to->fd, target, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return -EEXIST;
    return renameat(from->fd, name, to->fd, target) == 0 ? 0 : -errno;
}

/* NAME.20261127T213000.123Z, NAME.20261127T213000.123Z-2 and so on; a long name is cut to `most` bytes. */
static void another_name(const char *name, uint32_t number, size_t most, char out[FOLDER_NAME_BYTES]) {
    char mark[48], stamp[24] = "";
    struct timespec now;
    struct tm utc;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    (void)strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%S", &utc);
    int length = number == 1
                     ? snprintf(mark, sizeof mark, ".%s.%03ldZ", stamp, now.tv_nsec / 1000000)
                     : snprintf(mark, sizeof mark, ".%s.%03ldZ-%u", stamp, now.tv_nsec / 1000000, number);
    (void)snprintf(out, FOLDER_NAME_BYTES, "%.*s%s", (int)most - length, name, mark);
}

static bool name_taken(const struct folder *place, const char *name, const char *suffix) {
    char full[2 * FOLDER_NAME_BYTES];
    (void)snprintf(full, sizeof full, "%s%s", name, suffix);
    return faccessat(place->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
           faccessat(place->fd, full, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void folder_free_name(const struct folder *place, char name[FOLDER_NAME_BYTES], const char *suffix) {
    char wanted[FOLDER_NAME_BYTES];
    size_t most = FOLDER_NAME_BYTES - 1 - strlen(suffix);
    (void)snprintf(wanted, sizeof wanted, "%.*s", (int)most, name);
    (void)snprintf(name, FOLDER_NAME_BYTES, "%s", wanted);
    for (uint32_t tries = 1; name_taken(place, name, suffix) && tries < FOLDER_TRIES; tries++)
        another_name(wanted, tries, most, name);
}

int folder_move(const struct folder *from, const char *name, const struct folder *to,
                char target[FOLDER_NAME_BYTES]) {
    char wanted[FOLDER_NAME_BYTES];
    (void)snprintf(wanted, sizeof wanted, "%s", target);
    int result = move_once(from, name, to, target);
    for (uint32_t tries = 1; result == -EEXIST && tries < FOLDER_TRIES; tries++) {
        another_name(wanted, tries, FOLDER_NAME_BYTES - 1, target);
        result = move_once(from, name, to, target);
    }
    return result;
}

static bool piece_read(int fd, uint8_t *bytes, size_t *length) {
    ssize_t n;
    do
        n = read(fd, bytes, FOLDER_PIECE);
    while (n < 0 && errno == EINTR);
    *length = n > 0 ? (size_t)n : 0;
    return n >= 0;
}

/* Regular files are read in whole pieces. */
static bool same_bytes(int a, int b) {
    uint8_t mine[FOLDER_PIECE], other[FOLDER_PIECE];
    size_t length, theirs;
    do
        if (!piece_read(a, mine, &length) || !piece_read(b, other, &theirs) || length != theirs ||
            memcmp(mine, other, length) != 0)
            return false;
    while (length > 0);
    return true;
}

static bool same_content(const struct folder *place, const char *a, const char *b) {
    static const int how = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    int one = openat(place->fd, a, how), two = openat(place->fd, b, how);
    bool same = one >= 0 && two >= 0 && same_bytes(one, two);
    if (one >= 0)
        (void)close(one);
    if (two >= 0)
        (void)close(two);
    return same;
}

int folder_name(const struct folder *place, const char *hidden, char target[FOLDER_NAME_BYTES]) {
    char wanted[FOLDER_NAME_BYTES];
    (void)snprintf(wanted, sizeof wanted, "%s", target);
    int result = move_once(place, hidden, place, target);
    for (uint32_t tries = 1; result == -EEXIST && tries < FOLDER_TRIES; tries++) {
        if (same_content(place, hidden, target))
            return renameat(place->fd, hidden, place->fd, target) == 0 ? 0 : -errno;
        another_name(wanted, tries, FOLDER_NAME_BYTES - 1, target);
        result = move_once(place, hidden, place, target);
    }
    return result;
}

/* ---- writing ---- */

int folder_write_all(int fd, const void *bytes, size_t length) {
    for (size_t done = 0; done < length;) {
        ssize_t took = write(fd, (const char *)bytes + done, length - done);
        if (took < 0 && errno == EINTR)
            continue;
        if (took <= 0)
            return took < 0 ? -errno : -EIO;
        done += (size_t)took;
    }
    return 0;
}

int folder_write(const struct folder *place, const char *temporary, const char *name, const void *bytes,
                 size_t length, bool sync) {
    int fd = openat(place->fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0)
        return -errno;
    int result = folder_write_all(fd, bytes, length);
    if (result == 0 && sync && fsync(fd) != 0)
        result = -errno;
    if (close(fd) != 0 && result == 0)
        result = -errno;
    if (result == 0 && renameat(place->fd, temporary, place->fd, name) != 0)
        result = -errno;
    if (result != 0)
        (void)unlinkat(place->fd, temporary, 0);
    else if (sync && fsync(place->fd) != 0)
        result = -errno;
    return result;
}
