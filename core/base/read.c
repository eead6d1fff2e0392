#include "core/base/read.h"

#include <errno.h>
#include <unistd.h>

ssize_t read_to_end(int fd, char *text, size_t most) {
    size_t length = 0;
    while (length < most) {
        ssize_t n = read(fd, text + length, most - length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        length += (size_t)n;
    }
    return (ssize_t)length;
}
