/* A minimal publisher:  publish HOST:PORT TOPIC TEXT [COUNT]
 *
 * Publishes TEXT as a CloudEvent on TOPIC, COUNT times, and ends when the router has acknowledged all of
 * them: status 0, or 1 if any was refused or the router could not be reached. */
#include <roundhouse/client.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A CloudEvent in protobuf is a few fields of text: a tag byte, the length as a varint, the text. Programs
 * with more in their events use a protobuf library and include/io/cloudevents/v1/cloudevents.proto. */
static uint8_t *put(uint8_t *out, unsigned number, const char *text) {
    size_t length = strlen(text), rest = length;
    *out++ = (uint8_t)(number << 3 | 2);
    for (; rest >= 0x80; rest >>= 7)
        *out++ = (uint8_t)(rest | 0x80);
    *out++ = (uint8_t)rest;
    memcpy(out, text, length);
    return out + length;
}

static size_t make_event(uint8_t *out, unsigned long number, const char *text) {
    char id[32];
    (void)snprintf(id, sizeof id, "%lu", number);
    uint8_t *end = put(out, 1, id);           /* id */
    end = put(end, 2, "/examples/c");         /* source */
    end = put(end, 3, "1.0");                 /* spec_version */
    end = put(end, 4, "org.example.greeted"); /* type */
    end = put(end, 7, text);                  /* text_data */
    return (size_t)(end - out);
}

static void on_ack(void *user, const rh_ack *ack) {
    unsigned long *refused = user;
    for (size_t i = 0; i < ack->refused_count; i++)
        fprintf(stderr, "event %llu refused: %s\n", (unsigned long long)ack->refused[i].ordinal,
                ack->refused[i].text);
    *refused += ack->refused_count;
}

/* Publishes all; when the buffer is full, the library works until there is room. */
static int publish_all(rh_client *client, const char *topic, const char *text, unsigned long count) {
    uint8_t *event = malloc(strlen(text) + 128);
    if (event == NULL)
        return RH_NO_MEMORY;
    int64_t result = RH_OK;
    for (unsigned long number = 1; number <= count && result >= 0; number++) {
        size_t length = make_event(event, number, text);
        while ((result = rh_publish(client, topic, strlen(topic), event, length)) == RH_FULL)
            if ((result = rh_run(client, 10)) != RH_OK)
                break;
    }
    free(event);
    return result < 0 ? (int)result : rh_flush(client, 30000);
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: publish HOST:PORT TOPIC TEXT [COUNT]\n");
        return 64;
    }
    char *end = NULL;
    unsigned long refused = 0, count = argc > 4 ? strtoul(argv[4], &end, 10) : 1;
    if (end != NULL && (*end != '\0' || end == argv[4])) {
        fprintf(stderr, "publish: COUNT is a number, not '%s'\n", argv[4]);
        return 64;
    }
    const char *error;
    rh_options options = {.server = argv[1],
                          .name = "c example",
                          .ack = RH_ACK_ROUTED,
                          .callbacks = {.on_ack = on_ack},
                          .user = &refused};
    rh_client *client = rh_client_new(&options, &error);
    if (client == NULL) {
        fprintf(stderr, "publish: %s\n", error);
        return 64;
    }
    int result = rh_wait_connected(client, 5000);
    if (result == RH_OK)
        result = publish_all(client, argv[2], argv[3], count);
    if (result == RH_OK) {
        (void)rh_close(client);
        (void)rh_run(client, 5000); /* ends when the router has said Goodbye, too */
    } else {
        fprintf(stderr, "publish: %s\n", rh_client_error(client));
    }
    rh_client_free(client);
    return result == RH_OK && refused == 0 ? 0 : 1;
}
