/* Asks and answers:  request HOST:PORT TOPIC TEXT       asks, and prints how many bytes the reply has
 *                    request HOST:PORT --answer @NAME   answers what is asked of the mailbox @NAME: ever
 * "yes"
 *
 * Status 0 when a reply came, 1 when none came in ten seconds or it was refused. */
#include <roundhouse/client.h>

#include <stdio.h>
#include <string.h>

struct talk {
    rh_client *client;
    bool over;
    int status;
};

/* Fields of text, each with a tag and a length below 128. See publish.c for longer ones. */
static size_t make_event(uint8_t out[512], const char *text) {
    const char *const fields[][2] = {{"\x0a", "1"},
                                     {"\x12", "/examples/c"},
                                     {"\x1a", "1.0"},
                                     {"\x22", "org.example.asked"},
                                     {"\x3a", text}};
    uint8_t *end = out;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        size_t length = strlen(fields[i][1]);
        *end++ = (uint8_t)fields[i][0][0];
        *end++ = (uint8_t)length;
        memcpy(end, fields[i][1], length);
        end += length;
    }
    return (size_t)(end - out);
}

static void on_reply(void *user, int code, const char *text, const rh_event *reply) {
    struct talk *talk = user;
    talk->over = true;
    talk->status = code != 0;
    if (code != 0)
        fprintf(stderr, "request: %s\n", text);
    else
        printf("a reply of %zu bytes\n", reply->event_length);
}

static void on_event(void *user, uint64_t subscription, const rh_event *event) {
    struct talk *talk = user;
    uint8_t answer[512];
    if (rh_reply(talk->client, event, answer, make_event(answer, "yes")) < 0)
        fprintf(stderr, "request: %s\n", rh_client_error(talk->client));
    (void)rh_ack_done(talk->client, subscription, event->delivery);
}

static void on_subscribed(void *user, uint64_t subscription) {
    (void)user;
    (void)subscription;
    puts("answering");
    (void)fflush(stdout);
}

static int64_t begin(struct talk *talk, char **arguments) {
    uint8_t event[512];
    if (strcmp(arguments[0], "--answer") == 0) {
        rh_queue mailbox = {.name = arguments[1], .is_volatile = true};
        return rh_join(talk->client, NULL, 0, &mailbox);
    }
    return rh_request(talk->client, arguments[0], strlen(arguments[0]), event,
                      make_event(event, arguments[1]), 10000, on_reply, talk);
}

int main(int argc, char **argv) {
    struct talk talk = {.status = 1};
    const char *error;
    if (argc != 4 || strlen(argv[3]) > 127) {
        fprintf(stderr, "usage: request HOST:PORT TOPIC TEXT (at most 127 bytes)\n"
                        "       request HOST:PORT --answer @NAME\n");
        return 64;
    }
    rh_options options = {.server = argv[1],
                          .name = "c example",
                          .ack = RH_ACK_ROUTED,
                          .callbacks = {.on_event = on_event, .on_subscribed = on_subscribed},
                          .user = &talk};
    talk.client = rh_client_new(&options, &error);
    if (talk.client == NULL) {
        fprintf(stderr, "request: %s\n", error);
        return 64;
    }
    int64_t result = begin(&talk, argv + 2);
    while (result >= 0 && !talk.over)
        result = rh_run(talk.client, 100);
    if (result < 0)
        fprintf(stderr, "request: %s\n", rh_client_error(talk.client));
    rh_client_free(talk.client);
    return talk.status;
}
