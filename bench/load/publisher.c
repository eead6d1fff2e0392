#include "bench/load/publisher.h"

#include "bench/load/quit.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

void publisher_open(struct publisher *publisher, const struct plan *plan, uint32_t number) {
    struct party me = {
        .role = ROLE_PUBLISHER, .number = number, .group = plan->options->share == SHARE_SPLIT ? number : 0};
    *publisher = (struct publisher){.number = number, .plan = plan, .goal = GOAL_NONE};
    publisher->fd = net_open(plan->options, &me, NULL);
}

size_t publisher_send(struct publisher *publisher, size_t most) {
    const struct plan *plan = publisher->plan;
    size_t cycle = (size_t)plan->frames * plan->publish_size;
    size_t at = publisher->sent % cycle;
    size_t n = cycle - at < most ? cycle - at : most;
    if (publisher->goal - publisher->sent < n)
        n = publisher->goal - publisher->sent;
    if (n == 0)
        return 0;
    ssize_t taken =
        send(publisher->fd, plan->cycles[publisher->number].publish + at, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    publisher->blocked = taken < (ssize_t)n;
    if (taken >= 0) {
        publisher->sent += (size_t)taken;
        return (size_t)taken;
    }
    if (errno != EAGAIN && errno != EINTR)
        quit(QUIT_UNAVAILABLE, "the connection of publisher %u broke: %s", publisher->number,
             strerror(errno));
    return 0;
}

uint64_t publisher_frames(const struct publisher *publisher) {
    return publisher->sent / publisher->plan->publish_size;
}

void publisher_stop(struct publisher *publisher, uint64_t frames) {
    size_t size = publisher->plan->publish_size;
    publisher->goal = ((publisher->sent + size - 1) / size + frames) * size;
}
