#include "bench/load/churn.h"

#include "bench/load/quit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define PER_TURN_MAX 64u
#define TOPIC_STEP   7919u /* a prime: the topics come in no order that a cache would know */

struct churn *churn_open(const struct options *options) {
    struct churn *churn = calloc(1, sizeof *churn);
    if (churn == NULL)
        quit(QUIT_INTERNAL, "out of memory");
    churn->options = options;
    churn->who = (struct party){.role = ROLE_SUBSCRIBER, .number = options->subscribers};
    churn->fd = net_open(options, &churn->who, NULL);
    churn->begin_ns = net_now_ns();
    return churn;
}

static uint32_t topic_of(const struct churn *churn, uint64_t step) {
    return (uint32_t)(step * TOPIC_STEP % churn->options->topics);
}

/* Step n takes a pattern into force, and the one of KEPT steps before out of it. */
static void step_add(struct churn *churn) {
    const struct protocol *protocol = churn->options->protocol;
    uint64_t step = churn->done++;
    protocol->pattern_in(&churn->unsent, topic_of(churn, step), step % 2 == 1);
    if (step >= CHURN_KEPT)
        protocol->pattern_out(&churn->unsent, topic_of(churn, step - CHURN_KEPT), step % 2 == 1);
}

static void unsent_send(struct churn *churn) {
    ssize_t n = send(churn->fd, churn->unsent.data, churn->unsent.length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        quit(QUIT_WRONG, "the connection that subscribes broke: %s", strerror(errno));
    if (n <= 0)
        return;
    churn->unsent.length -= (size_t)n;
    memmove(churn->unsent.data, churn->unsent.data + n, churn->unsent.length);
}

static void drop_received(struct churn *churn) {
    static uint8_t dropped[1 << 20];
    ssize_t n = recv(churn->fd, dropped, sizeof dropped, MSG_DONTWAIT | MSG_TRUNC);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        quit(QUIT_WRONG, "the server closed the connection that subscribes");
}

void churn_turn(struct churn *churn) {
    uint64_t due = (uint64_t)((double)(net_now_ns() - churn->begin_ns) / 1e9 * churn->options->churn);
    drop_received(churn);
    if (churn->unsent.length == 0)
        for (uint32_t i = 0; i < PER_TURN_MAX && churn->done < due; i++)
            step_add(churn);
    if (churn->unsent.length > 0)
        unsent_send(churn);
}
