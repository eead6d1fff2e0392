#include "bench/load/options.h"

#include "bench/load/event.h"
#include "bench/load/quit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_BYTES_TOTAL (64u << 20) /* over all subscribers: what socket buffers may hold at once */
#define WINDOW_BYTES_MOST  (4u << 20)
#define WINDOW_BYTES_LEAST (512u << 10)
#define CHECK_BYTES_TOTAL  (16u << 20) /* a slow server must not take seconds for it */
#define CHECK_BYTES_MOST   (1u << 20)
#define CHECK_BYTES_LEAST  (128u << 10)
#define CHECK_UNSET        UINT64_MAX

enum kind { COUNT, BYTES, REAL, INTEGER, TEXT, PROTOCOL, ADDRESS, MODE, SHARE, ACK, FLAG };

struct row {
    const char *name;
    enum kind kind;
    size_t at;
    double least, most;
    const char *value, *help;
};

#define AT(field) offsetof(struct options, field)

/* clang-format off */
static const struct row rows[] = {
    {"protocol", PROTOCOL, AT(protocol), 0, 0, "NAME",
     "native, nats, redis, mqtt, relay; jetstream or streams (of redis), which store"},
    {"address", ADDRESS, AT(address), 0, 0, "IP:PORT", "where the server listens"},
    {"mode", MODE, AT(mode), 0, 0, "NAME",
     "max: as fast as deliveries come back; paced: at a fixed rate, open loop; idle: only connected; acked: "
     "as fast as acknowledgements come back, nobody subscribes; replay: all that such a run has left, from "
     "the oldest event on; disk: no server, synced writes, or reads (max)"},
    {"publishers", COUNT, AT(publishers), 1, 1000, "N", "connections that publish (1)"},
    {"subscribers", COUNT, AT(subscribers), 1, 100000, "N", "connections that subscribe (1)"},
    {"topics", COUNT, AT(topics), 1, TOPICS_MAX, "N", "topics, published in turn (1)"},
    {"share", SHARE, AT(share), 0, 0, "NAME",
     "all: every subscriber gets every event; split: subscriber k gets every N-th topic (all)"},
    {"ack", ACK, AT(ack), 0, 0, "NAME",
     "what publishers want to be told, all of which must come: none; routed or disk (native); own "
     "(jetstream, streams) (none)"},
    {"outstanding", COUNT, AT(outstanding), 1, OUTSTANDING_MAX, "N",
     "acked: events of each publisher that are not acknowledged, at most (256)"},
    {"directory", TEXT, AT(directory), 0, 0, "DIR", "disk: where its file is made"},
    {"write", COUNT, AT(write_bytes), DISK_BLOCK_BYTES, DISK_FILE_BYTES, "BYTES",
     "disk: size of one write or read, whole blocks of 4096 (4096)"},
    {"read", FLAG, AT(read), 0, 0, NULL, "disk: reads, past the page cache, what it has written before"},
    {"events", BYTES, AT(events), 1, 1e12, "N", "replay: how many events there are, on all topics"},
    {"payload", COUNT, AT(payload), EVENT_BYTES_MIN, 1 << 20, "BYTES", "size of a whole CloudEvent (128)"},
    {"text", FLAG, AT(text), 0, 0, NULL, "the events' data is text"},
    {"rate", REAL, AT(rate), 1, 1e9, "N", "paced: events per second (50000)"},
    {"seconds", REAL, AT(seconds), 0, 3600, "S", "length of the measured stretch (1)"},
    {"warm-up", REAL, AT(warm_up_seconds), 0, 3600, "S", "before it (0.3)"},
    {"window", BYTES, AT(window_bytes), 1024, 1e12, "BYTES",
     "max: on their way to a subscriber at most (64 MiB over all, from 512 KiB to 4 MiB each)"},
    {"check", BYTES, AT(check_bytes), 0, 1e12, "BYTES",
     "compared at the beginning and the end for each subscriber (16 MiB over all, 128 KiB to 1 MiB each)"},
    {"server", INTEGER, AT(server), 0, 1 << 30, "PID", "the process whose CPU time and memory are measured"},
    {"server-cpu", INTEGER, AT(server_cpu), 0, 4095, "N", "the CPU whose busy time is measured"},
    {"filtered", COUNT, AT(filtered), 0, 100000, "N",
     "native: so many of the subscribers have a filter, which every event passes (0)"},
    {"filters-differ", FLAG, AT(filters_differ), 0, 0, NULL, "... each of them one of its own"},
    {"stopped", COUNT, AT(stopped), 0, 1000, "N", "further subscribers that never read (0)"},
    {"idle", COUNT, AT(idle), 0, 100000, "N", "further connections, each subscribed to a silent topic (0)"},
    {"pause", REAL, AT(pause_ms), 0, 60000, "MS", "paced: no subscriber reads for so long in the middle (0)"},
    {"churn", COUNT, AT(churn), 0, 1000000, "N",
     "subscribes, and as many unsubscribes, per second on one more connection (0)"},
    {"stall", REAL, AT(stall_seconds), 0.1, 3600, "S", "no progress for so long is a failure (10)"},
};
/* clang-format on */

#define ROWS (sizeof rows / sizeof rows[0])

static const struct protocol *const protocols[] = {&protocol_native, &protocol_nats,  &protocol_redis,
                                                   &protocol_mqtt,   &protocol_relay, &protocol_jetstream,
                                                   &protocol_streams};
static const char *const modes[] = {"max", "paced", "idle", "acked", "replay", "disk", NULL};
static const char *const acks[] = {"none", "routed", "disk", "own", NULL};
static const char *const shares[] = {"all", "split", NULL};

static _Noreturn void help(void) {
    printf("usage: load --protocol NAME --address IP:PORT [OPTION...]\n\n"
           "Publishes CloudEvents to a server, counts and verifies what comes back, prints one JSON "
           "object.\n\n");
    for (size_t i = 0; i < ROWS; i++)
        printf("  --%s%s%s\n        %s\n", rows[i].name, rows[i].value == NULL ? "" : " ",
               rows[i].value == NULL ? "" : rows[i].value, rows[i].help);
    printf("\nExit status: 0 everything arrived, once and unaltered; 64 usage; 65 it did not; 69 no "
           "connection.\n");
    exit(0);
}

static const struct protocol *protocol_find(const char *name) {
    for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++)
        if (strcmp(protocols[i]->name, name) == 0)
            return protocols[i];
    quit(QUIT_USAGE, "no protocol is called '%s'", name);
}

static double number(const char *name, const char *text, double least, double most) {
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (errno != 0 || end == text || *end != '\0' || !(value >= least && value <= most))
        quit(QUIT_USAGE, "--%s %s: must be a number from %.15g to %.15g", name, text, least, most);
    return value;
}

static double whole(const struct row *row, const char *text) {
    double value = number(row->name, text, row->least, row->most);
    if (floor(value) != value)
        quit(QUIT_USAGE, "--%s %s: must be a whole number", row->name, text);
    return value;
}

static struct sockaddr_in address_read(const char *text) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[64];
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof host)
        quit(QUIT_USAGE, "--address %s: must be IP:PORT", text);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    address.sin_port = htons((uint16_t)number("address", colon + 1, 1, 65535));
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        quit(QUIT_USAGE, "--address %s: must be IP:PORT", text);
    return address;
}

static uint32_t choice(const char *name, const char *text, const char *const *words) {
    for (uint32_t i = 0; words[i] != NULL; i++)
        if (strcmp(words[i], text) == 0)
            return i;
    quit(QUIT_USAGE, "--%s %s: no such choice", name, text);
}

static void value_set(struct options *options, const struct row *row, const char *text) {
    void *at = (char *)options + row->at;
    switch (row->kind) {
    case COUNT:
        *(uint32_t *)at = (uint32_t)whole(row, text);
        break;
    case BYTES:
        *(uint64_t *)at = (uint64_t)whole(row, text);
        break;
    case REAL:
        *(double *)at = number(row->name, text, row->least, row->most);
        break;
    case INTEGER:
        *(int *)at = (int)whole(row, text);
        break;
    case FLAG:
        *(bool *)at = true;
        break;
    case TEXT:
        *(const char **)at = text;
        break;
    case PROTOCOL:
        options->protocol = protocol_find(text);
        break;
    case ADDRESS:
        options->address = address_read(text);
        break;
    case MODE:
        options->mode = (enum mode)choice(row->name, text, modes);
        break;
    case ACK:
        options->ack = (enum ack)choice(row->name, text, acks);
        break;
    case SHARE:
        options->share = (enum share)choice(row->name, text, shares);
        break;
    }
}

static const struct row *row_find(const char *argument) {
    for (size_t i = 0; i < ROWS; i++)
        if (strncmp(argument, "--", 2) == 0 && strcmp(argument + 2, rows[i].name) == 0)
            return &rows[i];
    quit(QUIT_USAGE, "there is no option '%s'; see --help", argument);
}

/* What a protocol can acknowledge, and what is measured by it. */
static void acks_check(const struct options *o) {
    const struct protocol *protocol = o->protocol;
    if (protocol->ack_own && (o->ack != ACK_OWN || o->mode != MODE_ACKED))
        quit(QUIT_USAGE, "%s answers in its own way: --ack own --mode acked", protocol->name);
    if (!protocol->ack_own && o->ack == ACK_OWN)
        quit(QUIT_USAGE, "%s has no acknowledgement of its own", protocol->name);
    if (o->ack != ACK_NONE && protocol->acknowledged == NULL)
        quit(QUIT_USAGE, "%s acknowledges nothing", protocol->name);
    if (o->mode != MODE_ACKED)
        return;
    if (o->ack == ACK_NONE)
        quit(QUIT_USAGE, "--mode acked needs acknowledgements: --ack");
    if (o->topics != o->publishers)
        quit(QUIT_USAGE, "--mode acked: each publisher has one topic: --topics %u", o->publishers);
    if (o->stopped > 0 || o->idle > 0 || o->churn > 0)
        quit(QUIT_USAGE, "--mode acked: nobody subscribes");
}

static void replay_check(const struct options *o) {
    if (o->mode == MODE_REPLAY && o->protocol->subscribe_oldest == NULL)
        quit(QUIT_USAGE, "%s has no past to subscribe to", o->protocol->name);
    if (o->mode == MODE_REPLAY && (o->events == 0 || o->share != SHARE_ALL))
        quit(QUIT_USAGE, "--mode replay: every subscriber gets all --events");
}

static void disk_check(const struct options *o) {
    if (o->directory == NULL)
        quit(QUIT_USAGE, "--mode disk needs --directory");
    if (o->write_bytes % DISK_BLOCK_BYTES != 0)
        quit(QUIT_USAGE, "--write %u: must be whole blocks of %u bytes", o->write_bytes, DISK_BLOCK_BYTES);
}

/* What contradicts itself, or what a protocol can not do. */
static void options_check(const struct options *o) {
    if (o->mode == MODE_DISK) {
        disk_check(o);
        return;
    }
    if (o->protocol == NULL || o->address.sin_port == 0)
        quit(QUIT_USAGE, "--protocol and --address are needed");
    acks_check(o);
    replay_check(o);
    if (o->topics < o->publishers || o->topics % o->publishers != 0)
        quit(QUIT_USAGE, "each publisher needs as many topics as the others");
    if (o->share == SHARE_SPLIT && (o->topics < o->subscribers || o->topics % o->subscribers != 0))
        quit(QUIT_USAGE, "each subscriber needs as many topics as the others");
    if (o->filtered > 0 && (o->protocol != &protocol_native || o->filtered > o->subscribers ||
                            o->payload < EVENT_REALISTIC_BYTES))
        quit(QUIT_USAGE, "--filtered is for native subscribers, and for events of %u bytes or more",
             EVENT_REALISTIC_BYTES);
    bool relay = o->protocol == &protocol_relay;
    if (relay && (o->share == SHARE_ALL ? o->publishers != 1 : o->publishers != o->subscribers))
        quit(QUIT_USAGE, "the relay sends the bytes of one publisher to all, or of each to one subscriber");
    if (relay && (o->churn > 0 || o->idle > 0 || o->stopped > 0))
        quit(QUIT_USAGE, "the relay knows neither subscriptions nor who is slow");
    if (o->mode == MODE_PACED && (o->publishers != 1 || o->topics != 1 || o->share != SHARE_ALL))
        quit(QUIT_USAGE, "the paced mode has one publisher and one topic, so that deliveries have one order");
    if (o->mode == MODE_PACED && o->text)
        quit(QUIT_USAGE, "the stamps of the paced mode are no text");
}

/* Each one's part of a total, within bounds. */
static uint64_t shared(uint64_t total, uint32_t count, uint64_t least, uint64_t most) {
    uint64_t part = count == 0 ? most : total / count;
    return part > most ? most : part < least ? least : part;
}

void options_read(struct options *options, int argc, char **argv) {
    *options = (struct options){.publishers = 1,
                                .subscribers = 1,
                                .topics = 1,
                                .payload = 128,
                                .outstanding = 256,
                                .write_bytes = DISK_BLOCK_BYTES,
                                .rate = 50000,
                                .seconds = 1,
                                .warm_up_seconds = 0.3,
                                .check_bytes = CHECK_UNSET,
                                .server_cpu = -1,
                                .stall_seconds = 10};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0)
            help();
        const struct row *row = row_find(argv[i]);
        if (row->kind != FLAG && ++i == argc)
            quit(QUIT_USAGE, "--%s needs a value", row->name);
        value_set(options, row, argv[i]);
    }
    options_check(options);
    if (options->mode == MODE_ACKED) {
        options->subscribers = 0;
        options->check_bytes = 0;
    }
    if (options->window_bytes == 0)
        options->window_bytes =
            shared(WINDOW_BYTES_TOTAL, options->subscribers, WINDOW_BYTES_LEAST, WINDOW_BYTES_MOST);
    if (options->check_bytes == CHECK_UNSET)
        options->check_bytes =
            shared(CHECK_BYTES_TOTAL, options->subscribers, CHECK_BYTES_LEAST, CHECK_BYTES_MOST);
}
