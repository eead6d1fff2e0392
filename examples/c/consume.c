/* A durable consumer:  consume [--volatile] HOST:PORT QUEUE COUNT [PATTERN...]
 *
 * Joins a queue, prints a line "TOPIC BYTES" for each event and acknowledges it, and ends after COUNT of
 * them. What it has not acknowledged comes to whoever joins the queue next. QUEUE may be a mailbox, @NAME,
 * which has no patterns. Without --volatile the router needs a journal. */
#include <roundhouse/client.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct consumer {
    rh_client *client;
    unsigned long left;
};

static void on_event(void *user, uint64_t subscription, const rh_event *event) {
    struct consumer *consumer = user;
    if (consumer->left == 0)
        return; /* it is not acknowledged, so it comes again */
    consumer->left--;
    printf("%.*s %zu\n", (int)event->topic_length, event->topic, event->event_length);
    (void)fflush(stdout);
    /* RH_STALE would say that the connection was lost meanwhile: then it comes again, too. */
    (void)rh_ack_done(consumer->client, subscription, event->delivery);
}

static void on_subscribed(void *user, uint64_t subscription) {
    (void)user;
    (void)subscription;
    puts("subscribed");
    (void)fflush(stdout);
}

static void on_error(void *user, int code, const char *text, bool fatal, uint64_t subscription) {
    (void)user;
    (void)code;
    (void)fatal;
    (void)subscription;
    fprintf(stderr, "consume: %s\n", text);
}

static int consume(struct consumer *consumer, int64_t queue) {
    int result = queue > 0 ? RH_OK : (int)queue;
    while (result == RH_OK && consumer->left > 0) {
        result = rh_run(consumer->client, 100);
        if (result == RH_OK && !rh_subscribed(consumer->client, queue))
            return 1; /* refused, or somebody has taken the queue over: on_error has told it */
    }
    if (result != RH_OK) {
        fprintf(stderr, "consume: %s\n", rh_client_error(consumer->client));
        return 1;
    }
    (void)rh_close(consumer->client);
    (void)rh_run(consumer->client, 5000); /* the acknowledgements reach the router before its Goodbye */
    return 0;
}

int main(int argc, char **argv) {
    bool memory = argc > 1 && strcmp(argv[1], "--volatile") == 0;
    char **arguments = argv + 1 + memory, *end = NULL;
    int count = argc - 1 - memory;
    struct consumer consumer = {.left = count >= 3 ? strtoul(arguments[2], &end, 10) : 0};
    if (consumer.left == 0 || *end != '\0') {
        fprintf(stderr, "usage: consume [--volatile] HOST:PORT QUEUE COUNT [PATTERN...]\n");
        return 64;
    }
    const char *error;
    rh_options options = {
        .server = arguments[0],
        .name = "c example",
        .callbacks = {.on_event = on_event, .on_subscribed = on_subscribed, .on_error = on_error},
        .user = &consumer};
    consumer.client = rh_client_new(&options, &error);
    if (consumer.client == NULL) {
        fprintf(stderr, "consume: %s\n", error);
        return 64;
    }
    rh_queue queue = {.name = arguments[1], .is_volatile = memory};
    int status = consume(&consumer, rh_join(consumer.client, (const char *const *)(arguments + 3),
                                            (size_t)(count - 3), &queue));
    rh_client_free(consumer.client);
    return status;
}
