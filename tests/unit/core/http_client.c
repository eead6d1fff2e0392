#include "tests/unit/core/http_client.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEARD_BYTES (1u << 20)

int http_open(const struct sockaddr_in *address) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(fd >= 0);
    cr_assert(connect(fd, (const struct sockaddr *)address, sizeof *address) == 0);
    return fd;
}

void http_say(int fd, const char *text, size_t length) {
    for (size_t sent = 0; sent < length;) {
        ssize_t n = send(fd, text + sent, length - sent, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        sent += (size_t)n;
    }
}

char *http_hear(int fd, const char *end) {
    size_t used = 0;
    char *text = calloc(1, HEARD_BYTES);
    cr_assert(text);
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    while (used + 1 < HEARD_BYTES && (end == NULL || strstr(text, end) == NULL) &&
           poll(&ready, 1, 60000) == 1) {
        ssize_t n = recv(fd, text + used, HEARD_BYTES - 1 - used, 0);
        if (n <= 0)
            return text;
        used += (size_t)n;
    }
    cr_assert(end != NULL && strstr(text, end) != NULL, "the server neither answers nor closes");
    return text;
}

char *http_ask(const struct sockaddr_in *address, const char *request, size_t length) {
    int fd = http_open(address);
    http_say(fd, request, length);
    char *answer = http_hear(fd, NULL);
    close(fd);
    return answer;
}

int http_status(const char *answer) {
    int status = 0;
    sscanf(answer, "HTTP/1.%*d %d", &status);
    return status;
}
