/* What the clients of the simulation say, and which answers they then have to get. */
#include "tests/unit/core/shard/sim.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *grown(void *memory, uint32_t count, uint32_t *capacity, size_t size) {
    if (count < *capacity)
        return memory;
    *capacity = *capacity == 0 ? 16 : 2 * *capacity;
    memory = realloc(memory, *capacity * size);
    cr_assert_not_null(memory);
    return memory;
}

/* ---- frames into the queue ---- */

static uint8_t *out_room(struct sim_client *client, size_t length) {
    if (client->out_begin == client->out_end)
        client->out_begin = client->out_end = 0;
    if (client->out_end + length > client->out_capacity) {
        client->out_capacity = 2 * (client->out_end + length);
        client->out = realloc(client->out, client->out_capacity);
        cr_assert_not_null(client->out);
    }
    uint8_t *at = client->out + client->out_end;
    client->out_end += length;
    client->queued += length;
    return at;
}

static void out_bytes(struct sim_client *client, const void *bytes, size_t length) {
    memcpy(out_room(client, length), bytes, length);
}

static void out_varint(struct sim_client *client, uint64_t value) {
    for (; value >= 0x80; value >>= 7)
        *out_room(client, 1) = (uint8_t)(value | 0x80);
    *out_room(client, 1) = (uint8_t)value;
}

static void out_frame(struct sim_client *client, const Roundhouse__V1__Frame *frame) {
    size_t length = roundhouse__v1__frame__get_packed_size(frame);
    out_varint(client, length);
    roundhouse__v1__frame__pack(frame, out_room(client, length));
}

#define FRAME(member, kind, message)                                                                         \
    {                                                                                                        \
        PROTOBUF_C_MESSAGE_INIT(&roundhouse__v1__frame__descriptor),                                         \
            .body_case = ROUNDHOUSE__V1__FRAME__BODY_##kind, .member = (message)                             \
    }

static struct sim_want *want(struct sim_client *client, enum sim_want_kind kind, uint64_t number) {
    client->wants = grown(client->wants, client->wants_count, &client->wants_capacity, sizeof *client->wants);
    struct sim_want *added = &client->wants[client->wants_count++];
    *added = (struct sim_want){.kind = kind, .end = client->queued, .number = number};
    return added;
}

/* ---- connecting ---- */

static struct sim_client *client_new(struct sim_world *world, bool acks) {
    cr_assert_lt(world->clients_count, SIM_CLIENTS_MAX);
    struct sim_client *client = calloc(1, sizeof *client);
    cr_assert_not_null(client);
    client->world = world;
    client->number = world->clients_count;
    client->acks = acks;
    client->opened_ns = client->spoke_ns = sim_now_ns();
    client->peer = io_sim_connect(world->shards->workers[0]->io);
    cr_assert_not_null(client->peer);
    world->clients[world->clients_count++] = client;
    sim_note(world, client, "connects", acks, 0, 0);
    return client;
}

static void out_connect(struct sim_client *client, uint32_t version) {
    Roundhouse__V1__Connect connect;
    roundhouse__v1__connect__init(&connect);
    connect.version = version;
    connect.ack = client->disk   ? ROUNDHOUSE__V1__ACK_LEVEL__ACK_LEVEL_DISK
                  : client->acks ? ROUNDHOUSE__V1__ACK_LEVEL__ACK_LEVEL_ROUTED
                                 : ROUNDHOUSE__V1__ACK_LEVEL__ACK_LEVEL_NONE;
    Roundhouse__V1__Frame frame = FRAME(connect, CONNECT, &connect);
    out_frame(client, &frame);
}

struct sim_client *sim_connect(struct sim_world *world, bool acks) {
    struct sim_client *client = client_new(world, acks);
    out_connect(client, 1);
    want(client, SIM_WANT_CONNECTED, 0);
    return client;
}

struct sim_client *sim_connect_disk(struct sim_world *world) {
    struct sim_client *client = client_new(world, true);
    client->disk = true;
    out_connect(client, 1);
    want(client, SIM_WANT_CONNECTED, 0);
    return client;
}

struct sim_client *sim_connect_bad(struct sim_world *world, uint32_t how) {
    struct sim_client *client = client_new(world, false);
    client->doomed = true;
    sim_note(world, client, "bad", how % 4, 0, 0);
    switch (how % 4) {
    case 0: /* says nothing */
        break;
    case 1: /* begins to */
        out_bytes(client, "\x06\x12", 2);
        break;
    case 2: /* in another version of the protocol */
        out_connect(client, 2);
        want(client, SIM_WANT_FATAL, 0)->code = RH_CODE_UNSUPPORTED;
        break;
    default: /* a Ping before anything */
        out_bytes(client, "\x02\x6a\0", 3);
        want(client, SIM_WANT_FATAL, 0)->code = RH_CODE_PROTOCOL;
    }
    return client;
}

/* ---- publishing ---- */

static struct sim_event *event_add(struct sim_client *client, uint32_t topic, bool valid) {
    client->events =
        grown(client->events, client->events_count, &client->events_capacity, sizeof *client->events);
    struct sim_event *event = &client->events[client->events_count++];
    *event = (struct sim_event){.topic = (uint8_t)topic, .valid = valid};
    if (valid)
        event->verdict = (uint8_t)sim_verdict_of(client, client->events_count);
    return event;
}

static uint32_t varint_size(uint64_t value) {
    uint32_t size = 1;
    for (; value >= 0x80; value >>= 7)
        size++;
    return size;
}

/* A fast publisher puts a sequence in front of every event, others of every third. */
static void out_event(struct sim_client *client, const char *topic, const uint8_t *event, uint32_t length) {
    bool sequence = client->mood.fast || client->events_count % 3 == 0;
    size_t topic_length = strlen(topic);
    size_t body = (sequence ? 9u : 0u) + 2u + topic_length + 1 + varint_size(length) + length;
    out_varint(client, 1 + varint_size(body) + body);
    out_bytes(client, "\x0a", 1);
    out_varint(client, body);
    if (sequence)
        out_bytes(client, "\x09sequence", 9);
    out_bytes(client, "\x12", 1);
    out_varint(client, topic_length);
    out_bytes(client, topic, topic_length);
    out_bytes(client, "\x1a", 1);
    out_varint(client, length);
    out_bytes(client, event, length);
}

void sim_publish(struct sim_client *client, uint32_t topic, uint32_t data_bytes) {
    struct sim_world *world = client->world;
    bool can = !client->disk || world->homes[topic] >= world->setup.workers;
    struct sim_event *event = event_add(client, topic, can);
    uint8_t *bytes = malloc(data_bytes + SIM_EVENT_EXTRA);
    cr_assert_not_null(bytes);
    uint32_t length = sim_event_build(bytes, client->number, client->events_count, data_bytes);
    out_event(client, sim_topics[topic], bytes, length);
    event->end = client->queued;
    free(bytes);
    sim_note(client->world, client, "publishes", client->events_count, topic, data_bytes);
}

void sim_publish_bad(struct sim_client *client, uint32_t how) {
    static const char *const topics[] = {"", "a..b", "a.*", "\xff", "a b"};
    struct sim_event *event = event_add(client, 0, false);
    uint8_t bytes[SIM_EVENT_EXTRA];
    uint32_t length = sim_event_build(bytes, client->number, client->events_count, 1);
    if (how % 6 == 5)
        out_event(client, "a", bytes + length - 3, 3); /* no id, no source, no type */
    else
        out_event(client, topics[how % 6], bytes, length);
    event->end = client->queued;
    if (!client->acks)
        want(client, SIM_WANT_EVENT_REFUSED, client->events_count);
    sim_note(client->world, client, "publishes bad", client->events_count, how % 6, 0);
}

/* ---- subscribing ---- */

static bool planned(const struct sim_client *client, uint64_t id) {
    for (uint32_t i = 0; i < client->planned_count; i++)
        if (client->planned[i] == id)
            return true;
    return false;
}

static struct sim_sub sub_of(struct sim_world *world, uint64_t id, uint32_t patterns) {
    struct sim_sub sub = {.id = id};
    for (uint32_t i = 0; i < SIM_PATTERNS; i++) {
        if (!(patterns & SIM_PATTERN(i)))
            continue;
        sub.topics |= sim_pattern_topics(i);
        sub.logs |=
            sim_pattern_literal(i) ? 1u << sim_log_of(world, sim_patterns[i]) : (1u << world->logs_count) - 1;
    }
    return sub;
}

static void start_say(Roundhouse__V1__Start *start, const struct sim_begin *begin) {
    static const Roundhouse__V1__Start__FromCase cases[] = {
        [START_OLDEST] = ROUNDHOUSE__V1__START__FROM_OLDEST,
        [START_SEQUENCE] = ROUNDHOUSE__V1__START__FROM_SEQUENCE,
        [START_TIME] = ROUNDHOUSE__V1__START__FROM_TIME_NS,
        [START_LAST] = ROUNDHOUSE__V1__START__FROM_LAST_PER_TOPIC,
    };
    roundhouse__v1__start__init(start);
    start->from_case = cases[begin->kind];
    if (begin->kind == START_OLDEST)
        start->oldest = 1;
    else if (begin->kind == START_SEQUENCE)
        start->sequence = begin->value;
    else if (begin->kind == START_TIME)
        start->time_ns = begin->value;
    else
        start->last_per_topic = 1;
}

/* An event's id begins with its ordinal. */
static Roundhouse__V1__Filters *digits_say(uint16_t digits) {
    char json[512] = "[{\"any\":[", *at = json + strlen(json);
    struct filter *filter;
    struct fault fault;
    size_t length;
    for (uint32_t digit = 0; digit < 10; digit++)
        if ((uint32_t)digits >> digit & 1u)
            at += sprintf(at, "%s{\"prefix\":{\"id\":\"%u\"}}", at[-1] == '[' ? "" : ",", digit);
    strcpy(at, "]}]");
    cr_assert(filter_from_json(json, strlen(json), &filter, &fault), "%s", json);
    const uint8_t *packed = filter_packed(filter, &length);
    Roundhouse__V1__Filters *said = roundhouse__v1__filters__unpack(NULL, length, packed);
    cr_assert_not_null(said);
    filter_free(filter);
    return said;
}

static void out_subscribe(struct sim_client *client, Roundhouse__V1__Subscribe *subscribe, uint32_t patterns,
                          const struct sim_begin *begin) {
    Roundhouse__V1__Filters *filters = client->digits == 0 ? NULL : digits_say(client->digits);
    char *list[SIM_PATTERNS];
    uint8_t packed[POSITION_BYTES_MAX];
    Roundhouse__V1__Start start;
    subscribe->patterns = list;
    for (uint32_t i = 0; i < SIM_PATTERNS; i++)
        if (patterns & SIM_PATTERN(i))
            list[subscribe->n_patterns++] = (char *)(uintptr_t)sim_patterns[i];
    if (begin->position != NULL)
        subscribe->position =
            (ProtobufCBinaryData){.data = packed, .len = position_pack(begin->position, packed)};
    if (begin->kind != START_LIVE) {
        start_say(&start, begin);
        subscribe->start = &start;
    }
    if (filters != NULL) {
        subscribe->n_filters = filters->n_filters;
        subscribe->filters = filters->filters;
    }
    Roundhouse__V1__Frame frame = FRAME(subscribe, SUBSCRIBE, subscribe);
    out_frame(client, &frame);
    if (filters != NULL)
        roundhouse__v1__filters__free_unpacked(filters, NULL);
}

/* What the router can not make use of. */
static void strangeness(const struct sim_world *world, struct sim_sub *sub, const struct position *resume) {
    sub->resume = *resume;
    sub->positioned = true;
    sub->stranger = memcmp(resume->instance, world->shards->facts.instance, sizeof resume->instance) != 0;
    sub->strange = sub->logs;
    for (uint32_t i = 0; i < resume->count && !sub->stranger; i++)
        for (uint32_t log = 0; log < world->logs_count; log++)
            if (resume->logs[i].number == world->logs[log].number &&
                sequence_epoch(resume->logs[i].next) == world->logs[log].epoch)
                sub->strange &= ~(1u << log);
    sub->resumes = sub->strange != sub->logs;
}

void sim_subscribe_from(struct sim_client *client, uint64_t id, uint32_t patterns, uint8_t policy,
                        const struct sim_begin *begin) {
    struct sim_world *world = client->world;
    Roundhouse__V1__Subscribe subscribe;
    roundhouse__v1__subscribe__init(&subscribe);
    subscribe.id = id;
    subscribe.policy = (Roundhouse__V1__SlowPolicy)policy;
    out_subscribe(client, &subscribe, patterns, begin);
    sim_note(world, client, begin->position != NULL ? "resumes" : "subscribes", id, patterns,
             (uint64_t)begin->kind * 10 + policy);
    bool valid = !planned(client, id) && client->planned_count < SIM_SUBS_MAX &&
                 (client->planned_count == 0 || client->planned_policy == (uint8_t)subscribe.policy);
    struct sim_want *added = want(client, valid ? SIM_WANT_SUBSCRIBED : SIM_WANT_REFUSED, id);
    if (!valid)
        return;
    client->planned_policy = (uint8_t)subscribe.policy;
    client->planned[client->planned_count++] = id;
    added->sub = sub_of(world, id, patterns);
    added->sub.policy = policy;
    added->sub.digits = client->digits;
    added->sub.begin = *begin;
    added->sub.begin.position = NULL;
    if (begin->position != NULL)
        strangeness(world, &added->sub, begin->position);
}

void sim_subscribe(struct sim_client *client, uint64_t id, uint32_t patterns, uint8_t policy,
                   const struct position *resume) {
    sim_subscribe_from(client, id, patterns, policy, &(struct sim_begin){.position = resume});
}

void sim_subscribe_bad(struct sim_client *client, uint32_t how) {
    static const char *const patterns[] = {"a..b", ">.a", "a*", "\x01"};
    Roundhouse__V1__Subscribe subscribe;
    roundhouse__v1__subscribe__init(&subscribe);
    char *pattern = (char *)(uintptr_t)patterns[how % 4];
    subscribe.id = 99;
    subscribe.policy = (Roundhouse__V1__SlowPolicy)client->planned_policy;
    subscribe.patterns = &pattern;
    subscribe.n_patterns = how % 5 == 4 ? 0 : 1;
    Roundhouse__V1__Frame frame = FRAME(subscribe, SUBSCRIBE, &subscribe);
    out_frame(client, &frame);
    want(client, SIM_WANT_REFUSED, 99);
    sim_note(client->world, client, "subscribes bad", how, 0, 0);
}

void sim_unsubscribe(struct sim_client *client, uint64_t id) {
    Roundhouse__V1__Unsubscribe unsubscribe;
    roundhouse__v1__unsubscribe__init(&unsubscribe);
    unsubscribe.id = id;
    Roundhouse__V1__Frame frame = FRAME(unsubscribe, UNSUBSCRIBE, &unsubscribe);
    out_frame(client, &frame);
    want(client, planned(client, id) ? SIM_WANT_UNSUBSCRIBED : SIM_WANT_REFUSED, id);
    for (uint32_t i = 0; i < client->planned_count; i++)
        if (client->planned[i] == id)
            client->planned[i] = client->planned[--client->planned_count];
    sim_note(client->world, client, "unsubscribes", id, 0, 0);
}

/* ---- the rest ---- */

void sim_ping(struct sim_client *client) {
    Roundhouse__V1__Ping ping;
    roundhouse__v1__ping__init(&ping);
    client->pings++;
    ping.data = (ProtobufCBinaryData){.len = sizeof client->pings, .data = (uint8_t *)&client->pings};
    Roundhouse__V1__Frame frame = FRAME(ping, PING, &ping);
    out_frame(client, &frame);
    want(client, SIM_WANT_PONG, client->pings);
    sim_note(client->world, client, "pings", client->pings, 0, 0);
}

void sim_goodbye(struct sim_client *client) {
    Roundhouse__V1__Goodbye goodbye;
    roundhouse__v1__goodbye__init(&goodbye);
    Roundhouse__V1__Frame frame = FRAME(goodbye, GOODBYE, &goodbye);
    out_frame(client, &frame);
    want(client, SIM_WANT_GOODBYE, 0);
    client->doomed = true;
    sim_note(client->world, client, "says goodbye", 0, 0, 0);
}

void sim_skipped(struct sim_client *client, uint32_t how) {
    static const char pong[] = "\x02\x72"; /* Pong */
    switch (how % 3) {
    case 0:
        out_bytes(client, "\0", 1);
        break;
    case 1:
        out_bytes(client, "\x06\x92\x03\x03xyz", 7); /* field 50: a kind of a newer version */
        break;
    default:
        out_bytes(client, pong, sizeof pong); /* with the zero behind: an empty one */
    }
}

void sim_fatal(struct sim_client *client, uint32_t how) {
    static const struct {
        const char *bytes;
        uint32_t length;
        enum rh_code code;
    } all[SIM_FATALS] = {
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", 11, RH_CODE_PROTOCOL}, /* an endless length */
        {"\xff\xff\xff\x7f", 4, RH_CODE_TOO_LARGE},
        {"\x04\x12\x02\x08\x01", 5, RH_CODE_PROTOCOL}, /* a second Connect */
        {"\x02\x1a\0", 3, RH_CODE_PROTOCOL},           /* Connected, which only servers send */
        {"\x02\x52\0", 3, RH_CODE_PROTOCOL},           /* Context, too */
        {"\x04\x6a\0\x72\0", 5, RH_CODE_PROTOCOL},     /* Ping and Pong in one frame */
        {"\x02\x68\x01", 3, RH_CODE_PROTOCOL},         /* a Ping that is a number */
        {"\x02\xff\xff", 3, RH_CODE_PROTOCOL},         /* no field */
    };
    uint64_t begin = client->queued;
    out_bytes(client, all[how % SIM_FATALS].bytes, all[how % SIM_FATALS].length);
    struct sim_want *fatal = want(client, SIM_WANT_FATAL, 0);
    fatal->code = all[how % SIM_FATALS].code;
    fatal->end = begin + 1; /* it may be noticed before its end */
    client->doomed = true;
    sim_note(client->world, client, "says nonsense", how % SIM_FATALS, 0, 0);
}

/* ---- its socket ---- */

/* What was in the logs when a Subscribe was wholly written: it can not begin before that. */
static void wants_floor(struct sim_client *client) {
    const struct sim_world *world = client->world;
    while (client->wants_floored < client->wants_count) {
        struct sim_want *wanted = &client->wants[client->wants_floored];
        if (wanted->end > client->written)
            return;
        for (uint32_t i = 0; i < world->logs_count; i++) {
            const struct sim_log *log = &world->logs[i];
            wanted->sub.floor[i] = i < world->setup.workers ? sim_log_end(log) : log_visible(log->log);
            if (wanted->sub.begin.kind == START_OLDEST)
                wanted->sub.floor[i] = sim_kept(world, i);
        }
        client->wants_floored++;
    }
}

size_t sim_write(struct sim_client *client, size_t most) {
    size_t length = client->out_end - client->out_begin;
    if (client->leaving != SIM_STAYS || client->peer == NULL || length == 0 || most == 0)
        return 0;
    length = length < most ? length : most;
    int64_t taken = io_sim_write(client->peer, client->out + client->out_begin, length);
    if (taken <= 0)
        return 0;
    client->out_begin += (size_t)taken;
    client->written += (uint64_t)taken;
    if (sim_now_ns() - client->spoke_ns > client->silent_ns)
        client->silent_ns = sim_now_ns() - client->spoke_ns;
    client->spoke_ns = sim_now_ns();
    wants_floor(client);
    return (size_t)taken;
}

size_t sim_read(struct sim_client *client, size_t most) {
    uint8_t bytes[16 * KIB];
    size_t sum = 0;
    if (client->leaving == SIM_CLOSED || client->leaving == SIM_RESET || client->peer == NULL)
        return 0;
    while (sum < most) {
        size_t length = most - sum < sizeof bytes ? most - sum : sizeof bytes;
        int64_t taken = io_sim_read(client->peer, bytes, length);
        if (taken <= 0)
            break;
        sum += (size_t)taken;
    }
    client->consumed += sum;
    return sum;
}

void sim_leave(struct sim_client *client, enum sim_leaving how) {
    if (client->peer == NULL || client->leaving >= how)
        return;
    sim_note(client->world, client, "leaves", (uint64_t)how, client->written, client->queued);
    client->leaving = how;
    client->doomed = true;
    if (how == SIM_SHUT)
        io_sim_shut(client->peer);
    else
        io_sim_end(client->peer, how == SIM_RESET);
    if (how != SIM_SHUT && !client->over)
        client->broken = true; /* the server may notice before it has read all */
}

bool sim_client_done(const struct sim_client *client) {
    if (client->gone)
        return true;
    if (client->doomed || client->over)
        return false;
    return client->written == client->queued && client->wants_first == client->wants_count &&
           (!client->acks || client->through == client->events_count);
}

void sim_client_free(struct sim_client *client) {
    io_sim_forget(client->peer);
    free(client->out);
    free(client->in);
    free(client->events);
    free(client->wants);
    free(client);
}
