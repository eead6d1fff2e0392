#include "core/transport/multi.h"

#include "core/base/heap.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A descriptor as libcurl wants it watched, and as it is. */
struct watch {
    struct event event;
    struct multi *multi;
    short wanted, armed; /* EV_READ, EV_WRITE */
    bool connection; /* opened by on_open; others are libcurl's own pipes, and are closed without a word */
};

struct multi {
    struct multi_options options;
    CURLM *handle; /* owns */
    struct event timer;
    struct watch **watches; /* owns; by descriptor */
    size_t watches_count;
};

/* ---- descriptors ---- */

static struct watch *watch_of(struct multi *multi, curl_socket_t fd) {
    if (fd < 0)
        return NULL;
    size_t n = (size_t)fd, before = multi->watches_count;
    if (n >= before) {
        void *larger = multi->watches;
        if (heap_grow(&larger, &multi->watches_count, n + 1, sizeof *multi->watches) != 0)
            return NULL;
        multi->watches = larger;
        memset(multi->watches + before, 0, (multi->watches_count - before) * sizeof *multi->watches);
    }
    if (!multi->watches[n]) {
        multi->watches[n] = heap_take_packed(sizeof *multi->watches[n]);
        if (multi->watches[n])
            multi->watches[n]->multi = multi;
    }
    return multi->watches[n];
}

/* What has ended is told when libcurl has come to rest. */
static void turn(struct multi *multi) {
    const struct multi_options *options = &multi->options;
    int left = 0;
    for (CURLMsg *message; (message = options->curl->multi_info_read(multi->handle, &left));)
        if (message->msg == CURLMSG_DONE)
            options->on_done(options->user, message->easy_handle, message->data.result);
    options->on_turn(options->user); /* the last thing: it may free us */
}

static void on_ready(evutil_socket_t fd, short what, void *user);

static int arm(struct watch *watch, curl_socket_t fd, short wanted) {
    if (watch->armed)
        event_del(&watch->event);
    watch->armed = 0;
    if (!wanted)
        return 0;
    short flags = (short)(wanted | EV_PERSIST);
    if (event_assign(&watch->event, watch->multi->options.base, fd, flags, on_ready, watch) != 0 ||
        event_add(&watch->event, NULL) != 0)
        return -1;
    watch->armed = wanted;
    return 0;
}

static void on_ready(evutil_socket_t fd, short what, void *user) {
    struct watch *watch = user;
    struct multi *multi = watch->multi;
    int running = 0;
    if (!(what & watch->wanted)) { /* closed while it waited: libcurl sees that before it uses it again */
        arm(watch, fd, watch->wanted);
        return;
    }
    int mask = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
    multi->options.curl->multi_socket_action(multi->handle, fd, mask, &running);
    turn(multi);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *unused) {
    (void)easy;
    (void)unused;
    struct watch *watch = watch_of(user, fd);
    short wanted = 0;
    if (!watch)
        return -1;
    if (what != CURL_POLL_REMOVE)
        wanted = (short)((what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));
    watch->wanted = wanted;
    if (wanted == watch->armed || (wanted == 0 && watch->armed == EV_READ && watch->connection))
        return 0;
    return arm(watch, fd, wanted);
}

static curl_socket_t on_open(void *user, curlsocktype purpose, struct curl_sockaddr *address) {
    (void)purpose;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
    struct watch *watch = watch_of(user, fd);
    if (watch)
        watch->connection = true;
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int on_close(void *user, curl_socket_t fd) {
    struct watch *watch = watch_of(user, fd);
    if (watch) {
        watch->wanted = 0;
        watch->connection = false;
        arm(watch, fd, 0);
    }
    return close(fd);
}

/* ---- time ---- */

static void on_timeout(evutil_socket_t fd, short what, void *user) {
    (void)fd;
    (void)what;
    struct multi *multi = user;
    int running = 0;
    multi->options.curl->multi_socket_action(multi->handle, CURL_SOCKET_TIMEOUT, 0, &running);
    turn(multi);
}

static int on_timer(CURLM *handle, long ms, void *user) {
    (void)handle;
    struct multi *multi = user;
    if (ms < 0) {
        evtimer_del(&multi->timer);
    } else if (ms == 0) {
        event_active(&multi->timer, EV_TIMEOUT, 0); /* in this turn of the loop */
    } else {
        const struct timeval after = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
        evtimer_add(&multi->timer, &after);
    }
    return 0;
}

/* ---- life ---- */

struct multi *multi_new(const struct multi_options *options) {
    const struct curl_table *curl = options->curl;
    struct multi *multi = heap_take(sizeof *multi);
    if (!multi)
        return NULL;
    multi->options = *options;
    multi->handle = curl->multi_init();
    if (!multi->handle || evtimer_assign(&multi->timer, options->base, on_timeout, multi) != 0) {
        if (multi->handle)
            curl->multi_cleanup(multi->handle);
        heap_give(multi);
        return NULL;
    }
    curl->multi_setopt(multi->handle, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl->multi_setopt(multi->handle, CURLMOPT_SOCKETDATA, multi);
    curl->multi_setopt(multi->handle, CURLMOPT_TIMERFUNCTION, on_timer);
    curl->multi_setopt(multi->handle, CURLMOPT_TIMERDATA, multi);
    curl->multi_setopt(multi->handle, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    curl->multi_setopt(multi->handle, CURLMOPT_MAXCONNECTS, (long)options->connections);
    return multi;
}

void multi_free(struct multi *multi) {
    if (!multi)
        return;
    multi->options.curl->multi_cleanup(multi->handle);
    evtimer_del(&multi->timer);
    for (size_t i = 0; i < multi->watches_count; i++) {
        if (multi->watches[i] && multi->watches[i]->armed)
            event_del(&multi->watches[i]->event);
        heap_give(multi->watches[i]);
    }
    heap_give(multi->watches);
    heap_give(multi);
}

void multi_prepare(struct multi *multi, CURL *easy) {
    const struct curl_table *curl = multi->options.curl;
    curl->easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl->easy_setopt(easy, CURLOPT_OPENSOCKETDATA, multi);
    curl->easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
    curl->easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, multi);
    curl->easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl->easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a resolver that hangs holds up nobody */
}

CURLMcode multi_add(struct multi *multi, CURL *easy) {
    return multi->options.curl->multi_add_handle(multi->handle, easy);
}

void multi_remove(struct multi *multi, CURL *easy) {
    multi->options.curl->multi_remove_handle(multi->handle, easy);
}
