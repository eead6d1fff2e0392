#include "core/client/dial.h"

#include "core/base/number.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool port_parse(struct dial *dial, const char *text) {
    uint64_t port;
    size_t length = strlen(text);
    if (length >= sizeof dial->port || number_read(text, length, &port) != length || port < 1 ||
        port > UINT16_MAX)
        return false;
    memcpy(dial->port, text, length + 1);
    return true;
}

bool dial_parse(struct dial *dial, const char *server, const char **why) {
    *dial = (struct dial){0};
    *why = "a server is written HOST:PORT, or [ADDRESS]:PORT for IPv6, with a port from 1 to 65535";
    bool bracketed = server[0] == '[';
    const char *host = server + bracketed;
    const char *end = bracketed ? strchr(host, ']') : strrchr(host, ':');
    if (end == NULL || end == host || (size_t)(end - host) >= sizeof dial->host)
        return false;
    /* An IPv6 address without brackets: which colon begins the port can not be told. */
    if (!bracketed && memchr(host, ':', (size_t)(end - host)) != NULL)
        return false;
    if (bracketed && end[1] != ':')
        return false;
    memcpy(dial->host, host, (size_t)(end - host));
    return port_parse(dial, end + (bracketed ? 2 : 1));
}

/* ---- who listens elsewhere meanwhile ---- */

static struct {
    pthread_mutex_t mutex;
    bool set;
    struct dial from, to; /* their addresses only */
} moved = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void dial_moved(const char *from, const char *to) {
    const char *why;
    pthread_mutex_lock(&moved.mutex);
    moved.set = dial_parse(&moved.from, from, &why) && dial_parse(&moved.to, to, &why);
    pthread_mutex_unlock(&moved.mutex);
}

/* Where to dial now. */
static void dial_where(const struct dial *dial, char host[static DIAL_HOST_BYTES], char port[static 6]) {
    pthread_mutex_lock(&moved.mutex);
    bool elsewhere =
        moved.set && strcmp(moved.from.host, dial->host) == 0 && strcmp(moved.from.port, dial->port) == 0;
    memcpy(host, elsewhere ? moved.to.host : dial->host, DIAL_HOST_BYTES);
    memcpy(port, elsewhere ? moved.to.port : dial->port, sizeof dial->port);
    pthread_mutex_unlock(&moved.mutex);
}

void dial_deinit(struct dial *dial) {
    if (dial->list != NULL)
        freeaddrinfo(dial->list);
    dial->list = NULL;
    dial->next = NULL;
}

int dial_resolve(struct dial *dial, const char **why) {
    char host[DIAL_HOST_BYTES], port[sizeof dial->port];
    dial_deinit(dial);
    dial_where(dial, host, port);
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    int result = getaddrinfo(host, port, &wanted, &dial->list);
    if (result == EAI_NONAME) {
        wanted.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
        result = getaddrinfo(host, port, &wanted, &dial->list);
    }
    if (result != 0) {
        *why = gai_strerror(result);
        dial->list = NULL;
        return result == EAI_MEMORY ? -ENOMEM : -EADDRNOTAVAIL;
    }
    dial->next = dial->list;
    return 0;
}

static int dial_begin(const struct addrinfo *address, size_t receive_bytes) {
    int made = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made < 0)
        return -errno;
    int on = 1;
    (void)setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int bytes = (int)receive_bytes; /* before it connects: the window is settled then */
    if (bytes > 0)
        (void)setsockopt(made, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (connect(made, address->ai_addr, address->ai_addrlen) == 0 || errno == EINPROGRESS)
        return made;
    int error = errno;
    (void)close(made);
    return -error;
}

int dial_next(struct dial *dial) {
    int result = -EADDRNOTAVAIL;
    while (dial->next != NULL) {
        const struct addrinfo *address = dial->next;
        dial->next = address->ai_next;
        result = dial_begin(address, dial->receive_bytes);
        if (result >= 0)
            return result;
    }
    return result;
}

unsigned dial_left(const struct dial *dial) {
    unsigned count = 0;
    for (const struct addrinfo *address = dial->next; address != NULL; address = address->ai_next)
        count++;
    return count;
}

int dial_result(int socket) {
    struct pollfd ready = {.fd = socket, .events = POLLOUT};
    if (poll(&ready, 1, 0) <= 0)
        return -EINPROGRESS;
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
        return -errno;
    return -error;
}
