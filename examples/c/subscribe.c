/* A minimal subscriber:  subscribe HOST:PORT COUNT PATTERN...
 *
 * Prints "subscribed", then a line "TOPIC DATA" for each event, and ends after COUNT of them. It brings its
 * own loop, as a program with other descriptors to watch would. */
#include <roundhouse/client.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

struct printer {
    unsigned long left;
};

/* The data of a serialized CloudEvent, when it is text (field 7) or bytes (field 6); all its fields are of
 * the kind with a length. NULL = none. */
static const uint8_t *find_data(const uint8_t *p, size_t n, size_t *length) {
    const uint8_t *end = p + n;
    while (p < end) {
        unsigned number = *p++ >> 3, shift = 0;
        for (*length = 0; p < end; shift += 7) {
            *length |= (size_t)(*p & 0x7f) << shift;
            if (*p++ < 0x80 || shift > 28)
                break;
        }
        if (*length > (size_t)(end - p))
            return NULL;
        if (number == 6 || number == 7)
            return p;
        p += *length;
    }
    return NULL;
}

static void on_event(void *user, uint64_t subscription, const rh_event *event) {
    struct printer *printer = user;
    size_t length = 0;
    (void)subscription;
    if (printer->left == 0)
        return; /* came with the last one that was wanted */
    printer->left--;
    const uint8_t *data = find_data(event->event, event->event_length, &length);
    printf("%.*s %.*s\n", (int)event->topic_length, event->topic, data != NULL ? (int)length : 0,
           (const char *)data);
}

static void on_subscribed(void *user, uint64_t subscription) {
    (void)user;
    (void)subscription;
    puts("subscribed");
    (void)fflush(stdout);
}

static void on_gap(void *user, const rh_gap *gap) {
    (void)user;
    if (gap->at_most == 0)
        fprintf(stderr, "events may be missing, nobody knows how many\n");
    else
        fprintf(stderr, "at most %llu events are missing\n", (unsigned long long)gap->at_most);
}

static int work(rh_client *client, const struct printer *printer) {
    while (printer->left > 0) {
        struct pollfd ready = {.fd = rh_fd(client), .events = rh_events(client)};
        (void)poll(&ready, 1, rh_timeout_ms(client));
        int result = rh_process(client);
        if (result != RH_OK) {
            fprintf(stderr, "subscribe: %s\n", rh_client_error(client));
            return 1;
        }
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: subscribe HOST:PORT COUNT PATTERN...\n");
        return 64;
    }
    char *end;
    struct printer printer = {.left = strtoul(argv[2], &end, 10)};
    if (*end != '\0' || printer.left == 0) {
        fprintf(stderr, "subscribe: COUNT is a number from 1 on, not '%s'\n", argv[2]);
        return 64;
    }
    const char *error;
    rh_options options = {
        .server = argv[1],
        .name = "c example",
        .callbacks = {.on_event = on_event, .on_subscribed = on_subscribed, .on_gap = on_gap},
        .user = &printer};
    rh_client *client = rh_client_new(&options, &error);
    if (client == NULL) {
        fprintf(stderr, "subscribe: %s\n", error);
        return 64;
    }
    const char *const *patterns = (const char *const *)(argv + 3);
    int status = 1;
    if (rh_subscribe(client, patterns, (size_t)(argc - 3), RH_SLOW_DISCONNECT) > 0)
        status = work(client, &printer);
    else
        fprintf(stderr, "subscribe: %s\n", rh_client_error(client));
    rh_client_free(client);
    return status;
}
