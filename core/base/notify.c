#include "core/base/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define NOTIFY_BYTES 512u

static const char *notify_path(void) {
    const char *path = getenv("NOTIFY_SOCKET");
    return path != NULL && (path[0] == '/' || path[0] == '@') && path[1] != '\0' ? path : NULL;
}

bool notify_wanted(void) {
    return notify_path() != NULL;
}

/* '@' stands for the NUL byte in front of an abstract name. */
static bool notify_address(struct sockaddr_un *address, socklen_t *length) {
    const char *path = notify_path();
    size_t bytes = path != NULL ? strlen(path) : 0;
    if (bytes == 0 || bytes >= sizeof address->sun_path)
        return false;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, path, bytes);
    if (path[0] == '@')
        address->sun_path[0] = '\0';
    *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes);
    return true;
}

static int notify_message(const struct msghdr *message) {
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int result = sendmsg(fd, message, MSG_NOSIGNAL) < 0 ? -errno : 0;
    (void)close(fd);
    return result;
}

int notify_send_fd(int fd, const char *text) {
    struct sockaddr_un address;
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof fd)];
    } control = {.bytes = {0}};
    char copy[NOTIFY_BYTES];
    struct iovec iov = {.iov_base = copy, .iov_len = strnlen(text, sizeof copy)};
    struct msghdr message = {.msg_name = &address, .msg_iov = &iov, .msg_iovlen = 1};
    if (!notify_address(&address, &message.msg_namelen))
        return 0;
    memcpy(copy, text, iov.iov_len);
    if (fd >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        control.head = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
        memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    }
    return notify_message(&message);
}

int notify_send(const char *format, ...) {
    char text[NOTIFY_BYTES];
    va_list arguments;
    if (!notify_wanted())
        return 0;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return notify_send_fd(-1, text);
}
