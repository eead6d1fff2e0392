#include "core/config/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_FIRST_BYTES 4096u

/* All of a file into *text, which grows. Returns 0 or negative errno. */
static int file_read(int fd, size_t most, char **text, size_t *length) {
    size_t size = 0;
    for (;;) {
        if (*length + 1 >= size) {
            size = size ? 2 * size : FILE_FIRST_BYTES;
            char *larger = realloc(*text, size);
            if (!larger)
                return -ENOMEM;
            *text = larger;
        }
        ssize_t got = read(fd, *text + *length, size - 1 - *length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        *length += (size_t)got;
        (*text)[*length] = '\0';
        if (got == 0)
            return 0;
        if (*length > most)
            return -EFBIG;
    }
}

int config_file_text(const char *path, size_t most, char **text, size_t *length) {
    *text = NULL;
    *length = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = file_read(fd, most, text, length);
    close(fd);
    if (result < 0) {
        free(*text);
        *text = NULL;
    }
    return result;
}

char *config_file_beside(const char *file, const char *path) {
    const char *slash = strrchr(file, '/');
    char *joined = NULL;
    if (path[0] == '/' || !slash)
        return strdup(path);
    return asprintf(&joined, "%.*s%s", (int)(slash + 1 - file), file, path) < 0 ? NULL : joined;
}

bool config_file_resolve(const char *file, char **path) {
    char *joined = *path != NULL ? config_file_beside(file, *path) : NULL;
    if (*path == NULL)
        return true;
    free(*path);
    *path = joined;
    return joined != NULL;
}

char *config_file_absolute(const char *path) {
    char *folder = path[0] == '/' ? NULL : getcwd(NULL, 0);
    if (folder == NULL)
        return strdup(path);
    size_t size = strlen(folder) + strlen(path) + 2;
    char *whole = malloc(size);
    if (whole != NULL)
        (void)snprintf(whole, size, "%s/%s", folder, path);
    free(folder);
    return whole;
}

bool config_file_same(const char *one, const char *other) {
    struct stat first, second;
    return strcmp(one, other) == 0 || (stat(one, &first) == 0 && stat(other, &second) == 0 &&
                                       first.st_dev == second.st_dev && first.st_ino == second.st_ino);
}
