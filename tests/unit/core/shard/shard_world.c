#include "tests/unit/core/shard/shard_world.h"

#include "codecs/proto/field.h"
#include "codecs/wire/control.h"
#include "codecs/wire/scan.h"
#include "core/base/clock.h"
#include "core/base/topic.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TURNS_MAX 10000u

/* --- The world ------------------------------------------------------------------------------------------ */

static const struct topic_rule rules[] = {
    {.class = TOPIC_DISK, .length = 3, .pattern = "d.>"},
    {.class = TOPIC_MEMORY, .length = 1, .pattern = ">"},
};

static struct shards *shards_make(struct world *world, const struct world_config *config) {
    struct shards *shards = calloc(1, sizeof *shards);
    cr_assert_not_null(shards);
    shards->config = (struct shards_config){
        .count = config->shards ? config->shards : 1,
        .slots = world->slots,
        .rules = config->rules != NULL ? config->rules : rules,
        .rules_count = config->rules != NULL ? config->rules_count : 2,
        .disk_logs = config->disks,
        .body = IO_BODY_SIM,
        .log_data_bytes = config->log_data ? config->log_data : 64 * KIB,
        .log_records = config->log_records ? config->log_records : 1024,
        .grace_ns = config->grace_ns,
        .landing_bytes = config->landing_bytes,
        .frame_bytes = FRAME_BYTES_DEFAULT,
        .connections = CONNECTIONS_DEFAULT,
        .subscriptions = SUBSCRIPTIONS_DEFAULT,
        .topics = config->topics ? config->topics : TOPICS_MIN,
        .handshake_ns = HANDSHAKE_NS_DEFAULT,
        .block_ns = BLOCK_NS_DEFAULT,
        .private_bytes = PRIVATE_BYTES_MAX,
        .server = "test",
    };
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        world->slots[slot] = (uint8_t)(slot % shards->config.count);
    shards_lay_out(shards);
    shards->facts = (struct session_facts){.host = &peer_host,
                                           .server = "test",
                                           .shards = shards->config.count,
                                           .frame_bytes = shards->config.frame_bytes,
                                           .private_bytes = shards->config.private_bytes};
    return shards;
}

struct worker *world_worker(const struct world *world, uint32_t shard) {
    return world->shards->workers[shard];
}

static void worker_begin(struct world *world, uint32_t shard, const struct world_config *config) {
    struct worker *worker = world_worker(world, shard);
    const struct io_sim_faults faults = {.socket_bytes = config->socket_bytes ? config->socket_bytes : 4096,
                                         .early = config->early ? 1024 : 0};
    cr_assert_eq(worker_attach(worker), 0);
    io_sim_seed(worker->io, 1, &faults);
    if (shard != 0) /* each simulation has its own clients, so each worker listens */
        worker->listener = io_listen(worker->io, -1, NULL);
    worker->now_ns = clock_mono_ns();
}

/* --- What is on disk ------------------------------------------------------------------------------------ */

void world_disk_free(struct world_disk *disk) {
    for (uint32_t i = 0; i < DISK_LOGS_MAX; i++) {
        free(disk->logs[i].entries);
        free(disk->logs[i].bytes);
    }
}

static void disk_keep(struct world_disk_log *kept, const struct log *log) {
    for (uint64_t at = kept->count + 1; at < log_produced(log); at++) {
        struct log_entry entry = *log_entry_at(log, at);
        kept->entries = realloc(kept->entries, (kept->count + 1) * sizeof entry);
        kept->bytes = realloc(kept->bytes, kept->length + entry.length);
        cr_assert(kept->entries != NULL && kept->bytes != NULL);
        memcpy(kept->bytes + kept->length, log_bytes_at(log, entry.offset), entry.length);
        entry.offset = kept->length;
        entry.topic = 0;
        kept->length += entry.length;
        kept->entries[kept->count++] = entry;
    }
}

static int disk_recall(void *user, uint32_t disk, shards_take_queue *take, void *context) {
    const struct world_disk_log *kept = &((struct world_disk *)user)->logs[disk];
    for (uint64_t i = 0; i < kept->count; i++) {
        const struct log_entry *entry = &kept->entries[i];
        const uint8_t *record = kept->bytes + entry->offset;
        bool state = log_flags_type(entry->flags) == LOG_STATE;
        if (state || (log_flags_event(entry->flags) && record[log_flags_topic_at(entry->flags)] == '@'))
            cr_assert(take(context, record, entry->length, state));
    }
    return 0;
}

static uint64_t disk_segment(void *user, uint32_t disk) {
    (void)disk;
    return ((struct world_disk *)user)->segment;
}

static void disk_ask(void *user, struct history_request *request) {
    const struct world_disk_log *kept = &((struct world_disk *)user)->logs[request->disk];
    uint64_t from = request->from;
    request->oldest = 1;
    request->result = -ENODATA;
    if (from <= kept->count)
        request->result = history_fill(request, from, kept->entries + (from - 1),
                                       (uint32_t)(kept->count - (from - 1)), kept->bytes);
    cr_assert(request->answered(request));
}

static uint64_t disk_oldest(void *user, uint32_t disk) {
    (void)user;
    (void)disk;
    return 1;
}

static void disk_connect(struct world_disk *disk, struct shards_config *config) {
    for (uint32_t i = 0; i < config->disk_logs; i++)
        disk->next[i] = disk->logs[i].count + 1;
    disk->history = (struct history){.user = disk, .ask = disk_ask, .oldest = disk_oldest};
    config->disk_first = disk->next;
    config->recall_queues = disk_recall;
    config->segment = disk_segment;
    config->recall_user = disk;
    config->history = &disk->history;
}

static int worker_comes(void *user, struct worker *worker) {
    struct world *world = user;
    worker->clock_ns = world_worker(world, 0)->clock_ns;
    worker_begin(world, worker->number, &world->config);
    return 0;
}

struct world *world_new(const struct world_config *config) {
    struct world *world = calloc(1, sizeof *world);
    char error[200];
    cr_assert_not_null(world);
    world->config = *config;
    world->shards = shards_make(world, config);
    world->disk = config->disk;
    if (world->disk != NULL)
        disk_connect(world->disk, &world->shards->config);
    for (uint32_t i = 0; i < world->shards->config.count; i++)
        cr_assert_eq(worker_create(&world->shards->workers[i], world->shards, i, error), 0, "%s", error);
    cr_assert_eq(states_recall(world->shards, error), 0, "%s", error);
    for (uint32_t i = 0; i < world->shards->config.count; i++)
        worker_begin(world, i, config);
    world->shards->begin = worker_comes;
    world->shards->begin_user = world;
    return world;
}

static void client_free(struct world_client *client) {
    client_leave(client, true);
    free(client->out);
    free(client->in);
    free(client);
}

static bool connections_left(const struct world *world) {
    for (uint32_t i = 0; i < shards_count(world->shards); i++)
        if (!list_empty(&world_worker(world, i)->all))
            return true;
    return false;
}

/* All workers take turns, and some more when the last connection is gone: their queues hear of it by notes.
 */
static void everybody_leaves(struct world *world) {
    uint32_t more = 3;
    for (uint32_t turns = 0; connections_left(world) || more-- > 0; turns++) {
        cr_assert_lt(turns, TURNS_MAX, "a connection is never given back");
        for (uint32_t i = 0; i < shards_count(world->shards); i++)
            cr_assert_eq(worker_turn(world_worker(world, i)), 0);
    }
}

static void worker_end(struct worker *worker) {
    cr_assert_eq(counter_get(&worker->stats.subscriptions), 0);
    cr_assert_eq(counter_get(&worker->stats.laggards), 0);
    cr_assert_eq(worker->pool.used, 0);
    cr_assert_eq(worker_turn(worker), 0);
    for (uint32_t i = 0; i < worker->log_count; i++) {
        const struct reader *reader = &worker->readers[i];
        cr_assert(!reader->attached && reader->interest == 0);
        cr_assert_eq(log_reader_gate(reader->log, reader->gate), LOG_IDLE);
    }
    io_close(worker->io, worker->listener, false);
    cr_assert_eq(worker_turn(worker), 0);
}

void world_free(struct world *world) {
    for (uint32_t i = 0; i < world->clients_count; i++)
        client_free(world->clients[i]);
    everybody_leaves(world);
    for (uint32_t i = 0; i < shards_count(world->shards); i++)
        worker_end(world_worker(world, i));
    for (uint32_t i = 0; i < shards_count(world->shards); i++)
        worker_detach(world_worker(world, i));
    shards_destroy(world->shards);
    free(world);
}

static void client_flush(struct world_client *client) {
    if (client->peer == NULL || client->out_length == 0)
        return;
    int64_t taken = io_sim_write(client->peer, client->out, client->out_length);
    if (taken <= 0)
        return;
    client->out_length -= (size_t)taken;
    memmove(client->out, client->out + taken, client->out_length);
}

void world_turn(struct world *world, uint32_t shard) {
    for (uint32_t i = 0; i < world->clients_count; i++)
        if (world->clients[i]->shard == shard)
            client_flush(world->clients[i]);
    cr_assert_eq(worker_turn(world_worker(world, shard)), 0);
}

void world_turns(struct world *world, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t shard = 0; shard < shards_count(world->shards); shard++)
            world_turn(world, shard);
}

uint64_t world_sleeps(const struct world *world, uint32_t shard) {
    return counter_get(&world_worker(world, shard)->stats.sleeps);
}

void world_sleep(struct world *world, uint32_t shard, uint64_t count) {
    uint64_t until = world_sleeps(world, shard) + count;
    for (uint32_t turns = 0; world_sleeps(world, shard) < until; turns++) {
        cr_assert_lt(turns, TURNS_MAX, "the worker never sleeps");
        world_turn(world, shard);
    }
}

struct change *world_change(struct world *world, uint32_t count, const uint8_t *slots) {
    const struct shards_change asked = {.count = count, .slots = slots};
    struct change *change;
    cr_assert_eq(change_make(&change, world->shards, &asked), 0);
    return change;
}

bool world_changed(struct world *world, struct change *change) {
    if (!change_go_on(change, &world->steps))
        return false;
    cr_assert_eq(change->error, 0, "%s", change->why);
    change_free(change);
    return true;
}

const char *world_topic(const struct world *world, uint32_t log, char topic[16]) {
    const struct shards *shards = world->shards;
    for (uint32_t i = 0;; i++) {
        int n = snprintf(topic, 16, log_is_disk(shards, log) ? "d.%u" : "t%u", i);
        uint32_t slot = topic_slot(topic_hash((const uint8_t *)topic, (size_t)n, 0));
        if ((log_is_disk(shards, log) ? shards->disk_slots : shards->slots)[slot] == log)
            return topic;
    }
}

void world_journal(struct world *world) {
    const struct shards *shards = world->shards;
    for (uint32_t i = shards->config.count;
         world->disk != NULL && i < shards->config.count + shards->config.disk_logs; i++)
        disk_keep(&world->disk->logs[i - shards->config.count], shards->logs[i]);
    for (uint32_t i = shards->config.count; i < shards->config.count + shards->config.disk_logs; i++) {
        log_visible_set(shards->logs[i], log_produced(shards->logs[i]));
        shards_log_moved(world->shards, i - shards->config.count);
    }
}

void world_crash(struct world *world) {
    world->disk = NULL;
    world_journal(world);
}

/* --- What clients send ---------------------------------------------------------------------------------- */

static uint8_t *client_room(struct world_client *client, size_t length) {
    client->out = realloc(client->out, client->out_length + length);
    cr_assert_not_null(client->out);
    client->out_length += length;
    return client->out + client->out_length - length;
}

static void client_send(struct world_client *client, const Roundhouse__V1__Frame *frame) {
    size_t size = control_size(frame);
    cr_assert_eq(control_pack(frame, client_room(client, size)), size);
}

#define FRAME_MAKE(frame, message, member, KIND)                                                             \
    Roundhouse__V1__Frame frame;                                                                             \
    roundhouse__v1__frame__init(&(frame));                                                                   \
    (frame).body_case = ROUNDHOUSE__V1__FRAME__BODY_##KIND;                                                  \
    (frame).member = &(message)

static void client_connect(struct world_client *client, bool ack) {
    Roundhouse__V1__Connect connect;
    struct world_frame frame;
    roundhouse__v1__connect__init(&connect);
    connect.version = 1;
    connect.ack =
        ack ? ROUNDHOUSE__V1__ACK_LEVEL__ACK_LEVEL_ROUTED : ROUNDHOUSE__V1__ACK_LEVEL__ACK_LEVEL_NONE;
    FRAME_MAKE(made, connect, connect, CONNECT);
    client_send(client, &made);
    client_expect(client, WIRE_CONNECTED, &frame);
}

struct world_client *client_new(struct world *world, uint32_t shard, bool ack) {
    struct world_client *client = calloc(1, sizeof *client);
    struct worker *worker = world_worker(world, shard);
    cr_assert(client != NULL && world->clients_count < WORLD_CLIENTS_MAX);
    client->world = world;
    client->shard = shard;
    client->error = -EAGAIN;
    client->peer = io_sim_connect(worker->io);
    cr_assert_not_null(client->peer);
    world->clients[world->clients_count++] = client;
    for (uint32_t i = 0; i < shards_count(world->shards); i++) /* it is to stay at this worker */
        worker->placed[i] = counter_get(&world_worker(world, i)->stats.connections_closed) + (i != shard);
    client_connect(client, ack);
    return client;
}

void client_leave(struct world_client *client, bool reset) {
    if (client->peer == NULL)
        return;
    io_sim_end(client->peer, reset);
    io_sim_forget(client->peer);
    client->peer = NULL;
}

void client_subscribe(struct world_client *client, uint64_t id, const char *pattern, bool skip) {
    Roundhouse__V1__Subscribe subscribe;
    char copy[TOPIC_BYTES_MAX + 1];
    char *patterns[] = {copy};
    (void)snprintf(copy, sizeof copy, "%s", pattern);
    roundhouse__v1__subscribe__init(&subscribe);
    subscribe.id = id;
    subscribe.n_patterns = 1;
    subscribe.patterns = patterns;
    subscribe.policy = skip ? ROUNDHOUSE__V1__SLOW_POLICY__SLOW_POLICY_SKIP
                            : ROUNDHOUSE__V1__SLOW_POLICY__SLOW_POLICY_DISCONNECT;
    FRAME_MAKE(made, subscribe, subscribe, SUBSCRIBE);
    client_send(client, &made);
}

static Roundhouse__V1__Filters *filters_of(const char *json) {
    struct filter *filter;
    struct fault fault;
    size_t length;
    cr_assert(filter_from_json(json, strlen(json), &filter, &fault), "%s", fault.text);
    const uint8_t *packed = filter_packed(filter, &length);
    Roundhouse__V1__Filters *filters = roundhouse__v1__filters__unpack(NULL, length, packed);
    cr_assert_not_null(filters);
    filter_free(filter);
    return filters;
}

void client_subscribe_from(struct world_client *client, Roundhouse__V1__Subscribe *subscribe,
                           const char *pattern) {
    char copy[TOPIC_BYTES_MAX + 1];
    char *patterns[] = {copy};
    (void)snprintf(copy, sizeof copy, "%s", pattern);
    subscribe->n_patterns = 1;
    subscribe->patterns = patterns;
    Roundhouse__V1__Filters *filters = client->filters == NULL ? NULL : filters_of(client->filters);
    subscribe->n_filters = filters == NULL ? 0 : filters->n_filters;
    subscribe->filters = filters == NULL ? NULL : filters->filters;
    FRAME_MAKE(made, *subscribe, subscribe, SUBSCRIBE);
    client_send(client, &made);
    if (filters != NULL)
        roundhouse__v1__filters__free_unpacked(filters, NULL);
}

static void join(struct world_client *client, uint64_t id, const char *name, const char *pattern,
                 uint32_t window, bool is_volatile) {
    Roundhouse__V1__Subscribe subscribe;
    Roundhouse__V1__Queue queue;
    char copies[2][TOPIC_BYTES_MAX + 1];
    char *patterns[] = {copies[1]};
    (void)snprintf(copies[0], sizeof copies[0], "%s", name);
    (void)snprintf(copies[1], sizeof copies[1], "%s", pattern == NULL ? "" : pattern);
    roundhouse__v1__queue__init(&queue);
    queue.name = copies[0];
    queue.volatile_ = is_volatile;
    queue.group = name[0] != '@';
    queue.window = window;
    queue.backoff_ms = 1;
    queue.attempts = 1000;
    roundhouse__v1__subscribe__init(&subscribe);
    subscribe.id = id;
    subscribe.n_patterns = pattern != NULL;
    subscribe.patterns = patterns;
    subscribe.queue = &queue;
    Roundhouse__V1__Filters *filters = client->filters == NULL ? NULL : filters_of(client->filters);
    subscribe.n_filters = filters == NULL ? 0 : filters->n_filters;
    subscribe.filters = filters == NULL ? NULL : filters->filters;
    FRAME_MAKE(made, subscribe, subscribe, SUBSCRIBE);
    client_send(client, &made);
    if (filters != NULL)
        roundhouse__v1__filters__free_unpacked(filters, NULL);
}

void client_join(struct world_client *client, uint64_t id, const char *name, const char *pattern,
                 uint32_t window) {
    join(client, id, name, pattern, window, true);
}

void client_join_durable(struct world_client *client, uint64_t id, const char *name, const char *pattern,
                         uint32_t window) {
    join(client, id, name, pattern, window, false);
}

void client_replay(struct world_client *client, uint64_t id, const char *queue, double rate) {
    Roundhouse__V1__Replay replay;
    char copy[TOPIC_BYTES_MAX + 1];
    (void)snprintf(copy, sizeof copy, "%s", queue);
    roundhouse__v1__replay__init(&replay);
    replay.id = id;
    replay.queue = copy;
    replay.rate = rate;
    FRAME_MAKE(made, replay, replay, REPLAY);
    client_send(client, &made);
}

void client_ack(struct world_client *client, uint64_t id, uint64_t delivery, uint32_t kind) {
    Roundhouse__V1__Ack ack;
    roundhouse__v1__ack__init(&ack);
    ack.subscription = id;
    ack.delivery = delivery;
    ack.kind = (Roundhouse__V1__Ack__Kind)kind;
    FRAME_MAKE(made, ack, ack, ACK);
    client_send(client, &made);
}

void client_unsubscribe(struct world_client *client, uint64_t id) {
    Roundhouse__V1__Unsubscribe unsubscribe;
    roundhouse__v1__unsubscribe__init(&unsubscribe);
    unsubscribe.id = id;
    FRAME_MAKE(made, unsubscribe, unsubscribe, UNSUBSCRIBE);
    client_send(client, &made);
}

void client_remove_queue(struct world_client *client, uint64_t id, const char *name) {
    Roundhouse__V1__Unsubscribe unsubscribe;
    roundhouse__v1__unsubscribe__init(&unsubscribe);
    unsubscribe.id = id;
    unsubscribe.remove = (char *)(uintptr_t)name;
    unsubscribe.take_over = 1;
    FRAME_MAKE(made, unsubscribe, unsubscribe, UNSUBSCRIBE);
    client_send(client, &made);
}

void client_goodbye(struct world_client *client) {
    Roundhouse__V1__Goodbye goodbye;
    roundhouse__v1__goodbye__init(&goodbye);
    FRAME_MAKE(made, goodbye, goodbye, GOODBYE);
    client_send(client, &made);
}

void client_ping(struct world_client *client) {
    Roundhouse__V1__Ping ping;
    roundhouse__v1__ping__init(&ping);
    FRAME_MAKE(made, ping, ping, PING);
    client_send(client, &made);
}

void client_noise(struct world_client *client) {
    memset(client_room(client, 16), 0xff, 16);
}

void client_shut(struct world_client *client) {
    client_flush(client);
    cr_assert_eq(client->out_length, 0);
    io_sim_shut(client->peer);
}

/* --- Events --------------------------------------------------------------------------------------------- */

static uint8_t *text_put(uint8_t *out, uint32_t field, const char *text) {
    *out++ = FIELD_TAG(field, FIELD_BYTES);
    out = varint_write(out, strlen(text));
    while (*text != '\0')
        *out++ = (uint8_t)*text++;
    return out;
}

static uint8_t *expiry_put(uint8_t *out, const char *time) {
    size_t n = strlen(time);
    *out++ = FIELD_TAG(5, FIELD_BYTES);
    out = varint_write(out, 2 + 10 + 2 + 2 + n);
    out = text_put(out, 1, "expirytime");
    *out++ = FIELD_TAG(2, FIELD_BYTES);
    out = varint_write(out, 2 + n);
    return text_put(out, 3, time);
}

/* A CloudEvent whose id is the number and whose data nobody else has; returns its length. */
static uint32_t event_make(uint8_t *out, uint64_t number, uint32_t size) {
    char id[24];
    uint8_t *p = out;
    (void)snprintf(id, sizeof id, "%lu", (unsigned long)number);
    p = text_put(p, 1, id);
    p = text_put(p, 2, "/test");
    p = text_put(p, 3, "1.0");
    p = text_put(p, 4, "test");
    if (number & (WORLD_PAST | WORLD_FUTURE))
        p = expiry_put(p, number & WORLD_PAST ? "2001-02-03T04:05:06Z" : "2201-02-03T04:05:06.789+01:00");
    *p++ = FIELD_TAG(6, FIELD_BYTES);
    p = varint_write(p, size);
    for (uint32_t i = 0; i < size; i++)
        *p++ = (uint8_t)((number * 0x9e3779b97f4a7c15u + i * 0xbf58476d1ce4e5b9u) >> 40);
    return (uint32_t)(p - out);
}

void client_publish(struct world_client *client, const char *topic, uint64_t number, uint32_t size) {
    uint8_t *bytes = malloc(size + 256);
    cr_assert_not_null(bytes);
    struct wire_event event = {.topic = (const uint8_t *)topic,
                               .event = bytes,
                               .topic_length = (uint32_t)strlen(topic),
                               .event_length = event_make(bytes, number, size)};
    uint32_t length = wire_record_size(event.topic_length, event.event_length);
    (void)wire_record_write(client_room(client, length), 1, &event);
    free(bytes);
}

/* The number of a delivered event, after comparing all of its bytes. */
static void event_read(const struct wire_frame *wire, struct world_frame *out) {
    struct wire_event event;
    struct wire_event again;
    struct fault fault;
    cr_assert(wire_event_scan(wire, &event, &fault), "a delivered frame is broken: %s", fault.text);
    wire_record_read(wire->start, (uint32_t)wire->size, &out->sequence, &again);
    cr_assert(event.event_length > 2 && event.event[0] == FIELD_TAG(1, FIELD_BYTES));
    out->number = strtoul((const char *)event.event + 2, NULL, 10);
    uint8_t *expected = malloc(event.event_length + 256);
    cr_assert_not_null(expected);
    uint32_t empty = event_make(expected, out->number, 0);
    uint32_t size = event.event_length - empty;
    for (uint32_t less = 0; less < 4 && event_make(expected, out->number, size) != event.event_length; less++)
        size--; /* the data's own length takes more bytes, too */
    cr_assert_eq(memcmp(expected, event.event, event.event_length), 0, "event %lu has other bytes",
                 (unsigned long)out->number);
    free(expected);
}

/* --- What clients read ---------------------------------------------------------------------------------- */

size_t client_pull(struct world_client *client, size_t bytes) {
    if (client->peer == NULL || client->error != -EAGAIN)
        return 0;
    if (client->in_begin > 0)
        memmove(client->in, client->in + client->in_begin, client->in_length);
    client->in_begin = 0;
    client->in = realloc(client->in, client->in_length + bytes);
    cr_assert_not_null(client->in);
    int64_t n = io_sim_read(client->peer, client->in + client->in_length, bytes);
    if (n <= 0) {
        client->error = n;
        return 0;
    }
    client->in_length += (size_t)n;
    return (size_t)n;
}

bool client_next(struct world_client *client, struct world_frame *out) {
    struct fault fault;
    if (client->in_length == 0)
        return false;
    enum wire_result result = wire_next(client->in + client->in_begin, client->in_length,
                                        FRAME_BYTES_DEFAULT + FRAME_OVERHEAD_MAX, &out->wire, &fault);
    cr_assert_neq(result, WIRE_BAD, "what was delivered is no frame: %s", fault.text);
    if (result != WIRE_OK)
        return false;
    out->kind = out->wire.kind;
    client->in_begin += out->wire.size;
    client->in_length -= out->wire.size;
    if (out->kind == WIRE_EVENT)
        event_read(&out->wire, out);
    return true;
}

uint64_t client_delivery(const struct world_frame *context) {
    struct fault fault;
    Roundhouse__V1__Frame *read = control_unpack(&context->wire, &fault);
    cr_assert_not_null(read);
    uint64_t delivery = read->context->delivery;
    control_free(read);
    return delivery;
}

void client_expect(struct world_client *client, enum wire_kind kind, struct world_frame *out) {
    for (uint32_t turns = 0; turns < TURNS_MAX; turns++) {
        while (client_next(client, out))
            if (out->kind == kind)
                return;
        if (client_pull(client, 64 * KIB) > 0)
            continue;
        world_turn(client->world, client->shard);
        cr_assert_eq(client->error, -EAGAIN, "the connection ended");
    }
    cr_assert_fail("no frame of kind %d comes", (int)kind);
}
