/* What a seed makes of it: sizes, faults, who connects, what he says and when he reads. */
#include "tests/unit/core/shard/sim.h"

#include <criterion/criterion.h>

#define PICK(world, ...)                                                                                     \
    (((const uint64_t[]){__VA_ARGS__})[sim_below(                                                            \
        world, (uint32_t)(sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t)))])

/* ---- the setup ---- */

static struct io_sim_faults faults_of(struct sim_world *dice) {
    struct io_sim_faults faults = {.socket_bytes = (uint32_t)PICK(dice, 300, 2000, 16000, 256 * KIB)};
    uint32_t most = (uint32_t)PICK(dice, 0, 20, 100, 400);
    faults.short_receive = sim_below(dice, most + 1);
    faults.short_send = sim_below(dice, most + 1);
    faults.refuse_send = sim_below(dice, most + 1);
    faults.delay = sim_below(dice, most + 1);
    faults.early = sim_below(dice, most + 1);
    faults.reset = sim_chance(dice, 256) ? 1 + sim_below(dice, 3) : 0;
    return faults;
}

static uint64_t link_bytes_of(uint64_t frame_bytes) {
    uint64_t most = frame_bytes < SPSC_INLINE_MAX ? frame_bytes : SPSC_INLINE_MAX;
    uint64_t bytes = 4 * KIB;
    while (bytes < 4 * (most + 256))
        bytes *= 2;
    return bytes;
}

struct sim_setup sim_setup_of(uint64_t seed) {
    struct sim_world dice = {.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1};
    struct sim_setup setup = {.seed = seed};
    setup.workers = (uint32_t)PICK(&dice, 1, 1, 2, 2, 3, 4);
    setup.disks = (uint32_t)PICK(&dice, 0, 0, 1, 2, 3, SIM_DISKS_MAX);
    setup.rules = sim_chance(&dice, 700);
    setup.judged = sim_chance(&dice, 300);
    setup.epoch = (uint16_t)PICK(&dice, 0, 7);
    setup.first = PICK(&dice, 1, 1, 1000, 1000003);
    setup.history = sim_chance(&dice, 800);
    setup.retain = (uint32_t)PICK(&dice, 0, 0, 300, 2000);
    setup.log_bytes = PICK(&dice, 64 * KIB, 64 * KIB, 64 * KIB, 128 * KIB, 256 * KIB, 512 * KIB);
    setup.log_records = PICK(&dice, 64, 128, 256, 1024, 4096);
    setup.grace_ns = PICK(&dice, 0, 50 * NS_PER_US, NS_PER_MS, 20 * NS_PER_MS, 200 * NS_PER_MS);
    uint64_t most = setup.log_bytes / LOG_FRAMES_MIN - FRAME_OVERHEAD_MAX - 16;
    setup.frame_bytes = PICK(&dice, 1000, 4000, most, most);
    setup.private_bytes = PICK(&dice, 4 * KIB, 4 * KIB, 64 * KIB);
    setup.link_bytes = link_bytes_of(setup.frame_bytes) * PICK(&dice, 1, 1, 8);
    setup.landing_bytes = (uint32_t)PICK(&dice, 0, 200, 500, 2000);
    setup.idle_ns = PICK(&dice, 0, 0, 0, 0, 0, 10 * NS_PER_MS, 100 * NS_PER_MS);
    setup.block_ns = PICK(&dice, 10 * NS_PER_MS, 200 * NS_PER_MS, BLOCK_NS_DEFAULT);
    setup.search_work = (uint32_t)PICK(&dice, 3, 30, 0);
    setup.slices = (uint32_t)PICK(&dice, 6, 24, 200, 5000);
    setup.connections = (uint32_t)PICK(&dice, 5, SIM_CLIENTS_MAX, SIM_CLIENTS_MAX);
    setup.faults = faults_of(&dice);
    return setup;
}

/* ---- the clients ---- */

static struct sim_mood mood_of(struct sim_world *world) {
    struct sim_mood mood = {.reads = (uint32_t)PICK(world, 30, 300, 700),
                            .read_most = (uint32_t)PICK(world, 50, 1000, 100000),
                            .policy = (uint8_t)sim_below(world, 3),
                            .breaks = 2,
                            .leaves = (uint32_t)PICK(world, 0, 1, 5),
                            .asks = (uint32_t)PICK(world, 5, 30, 100)};
    if (sim_chance(world, 500))
        mood.publishes = (uint32_t)PICK(world, 100, 300, 700);
    mood.fast = mood.publishes != 0 && sim_chance(world, 500);
    if (mood.publishes == 0 || sim_chance(world, 400))
        mood.subscribes = (uint32_t)PICK(world, 10, 40, 150);
    return mood;
}

static uint32_t size_of(struct sim_world *world) {
    uint32_t most = (uint32_t)world->setup.frame_bytes - 100;
    if (sim_chance(world, 20))
        return most - sim_below(world, 10);
    return sim_chance(world, 100) ? sim_below(world, most) : sim_below(world, 300);
}

static void publishes(struct sim_client *client) {
    struct sim_world *world = client->world;
    uint32_t count = 1 + sim_below(world, sim_chance(world, 50) ? 60 : 8);
    uint32_t topic = sim_below(world, SIM_TOPICS);
    for (uint32_t i = 0; i < count; i++) {
        if (sim_chance(world, 300))
            topic = sim_below(world, SIM_TOPICS);
        sim_publish(client, topic, size_of(world));
    }
    if (sim_chance(world, 60))
        sim_publish_bad(client, sim_below(world, 6));
}

static uint32_t patterns_pick(struct sim_world *world) {
    uint32_t mask = 0;
    if (sim_chance(world, 200))
        return SIM_MASK_ALL;
    for (uint32_t count = 1 + sim_below(world, 3); count > 0; count--)
        mask |= SIM_PATTERN(sim_below(world, SIM_PATTERNS));
    return mask;
}

static const struct position *position_pick(struct sim_world *world, struct position *own) {
    uint32_t kept = world->positions_count < SIM_POSITIONS ? world->positions_count : SIM_POSITIONS;
    if (kept == 0 || sim_chance(world, 600))
        return NULL;
    *own = world->positions[sim_below(world, kept)];
    if (sim_chance(world, 50))
        own->instance[3] ^= 1; /* of another router */
    else if (sim_chance(world, 50))
        own->count = sim_below(world, own->count + 1); /* of one that had fewer logs */
    else if (sim_chance(world, 50))                    /* of an earlier run of a log */
        own->logs[sim_below(world, own->count)].next ^= UINT64_C(8) << SEQUENCE_POSITION_BITS;
    return own;
}

/* Of a record that some log has, or has had. */
static void begin_pick(struct sim_world *world, struct sim_begin *begin, uint32_t *patterns) {
    uint32_t topic = sim_below(world, SIM_TOPICS);
    const struct sim_log *log = &world->logs[world->homes[topic]];
    uint64_t visible = log_visible(log->log) - log->first;
    begin->kind = (enum start_kind)sim_below(world, START_LAST + 1);
    if (begin->kind != START_SEQUENCE && begin->kind != START_TIME)
        return;
    if (visible == 0) {
        begin->kind = START_LIVE;
        return;
    }
    uint64_t index = sim_random(world) % visible;
    begin->value =
        begin->kind == START_TIME ? log->records[index].time : sequence_make(log->epoch, log->first + index);
    for (uint32_t i = 0; i < SIM_PATTERNS; i++)
        if (begin->kind == START_SEQUENCE && sim_pattern_literal(i) && sim_pattern_topics(i) == 1u << topic) {
            *patterns = SIM_PATTERN(i);
            return;
        }
    begin->kind =
        begin->kind == START_SEQUENCE ? START_LIVE : begin->kind; /* nobody asks for this topic alone */
}

static void subscribes(struct sim_client *client) {
    struct sim_world *world = client->world;
    struct position own;
    uint64_t id = 1 + sim_below(world, SIM_SUBS_MAX);
    if (client->planned_count > 0 && sim_chance(world, 350)) {
        sim_unsubscribe(client, sim_chance(world, 950) ? client->planned[0] : id);
        return;
    }
    if (sim_chance(world, 30)) {
        sim_subscribe_bad(client, sim_below(world, 20));
        return;
    }
    uint8_t policy = sim_chance(world, 1000) ? client->mood.policy : (uint8_t)sim_below(world, 3);
    uint32_t patterns = patterns_pick(world);
    struct sim_begin begin = {.position = position_pick(world, &own)};
    if (sim_chance(world, 400))
        begin_pick(world, &begin, &patterns);
    client->digits = sim_chance(world, 300) ? (uint16_t)sim_below(world, 1024) : 0;
    sim_subscribe_from(client, id, patterns, policy, &begin);
}

static void asks(struct sim_client *client) {
    struct sim_world *world = client->world;
    if (sim_chance(world, 200))
        sim_skipped(client, sim_below(world, 3));
    for (uint32_t count = sim_chance(world, 30) ? 300 : 1; count > 0; count--)
        sim_ping(client);
}

static void leaves(struct sim_client *client) {
    switch (sim_below(client->world, 5)) {
    case 0:
        sim_leave(client, SIM_RESET);
        break;
    case 1:
        sim_leave(client, SIM_CLOSED);
        break;
    case 2:
        sim_leave(client, SIM_SHUT);
        break;
    default:
        sim_goodbye(client);
    }
}

static void says(struct sim_client *client) {
    struct sim_world *world = client->world;
    const struct sim_mood *mood = &client->mood;
    if (client->doomed || client->queued - client->written > 128 * KIB)
        return;
    if (sim_chance(world, mood->publishes))
        publishes(client);
    if (sim_chance(world, mood->subscribes))
        subscribes(client);
    if (sim_chance(world, mood->asks))
        asks(client);
    if (sim_chance(world, mood->breaks) && sim_chance(world, 256))
        sim_fatal(client, sim_below(world, SIM_FATALS));
    else if (sim_chance(world, mood->leaves))
        leaves(client);
}

static void client_step(struct sim_client *client) {
    struct sim_world *world = client->world;
    struct sim_mood *mood = &client->mood;
    if (client->peer == NULL)
        return;
    says(client);
    if (sim_chance(world, 600))
        sim_write(client, sim_chance(world, 400) ? 1 + sim_below(world, 200) : SIZE_MAX);
    if (mood->paused > 0)
        mood->paused--;
    else if (sim_chance(world, mood->reads))
        sim_read(client, 1 + sim_below(world, mood->read_most));
    if (sim_chance(world, 3))
        mood->paused = sim_below(world, 600);
    if (client->over && sim_chance(world, 200))
        sim_leave(client, SIM_CLOSED);
}

static void clients_step(struct sim_world *world) {
    uint32_t alive = 0;
    for (uint32_t i = 0; i < world->clients_count; i++)
        alive += world->clients[i]->peer != NULL;
    if (alive < 8 && world->clients_count < 48 && sim_chance(world, alive < 3 ? 500 : 30)) {
        bool bad = sim_chance(world, 30);
        struct sim_client *client = bad ? sim_connect_bad(world, sim_below(world, 4))
                                    : world->setup.disks > 0 && sim_chance(world, 300)
                                        ? sim_connect_disk(world)
                                        : sim_connect(world, sim_chance(world, 512));
        client->mood = mood_of(world);
    }
    for (uint32_t i = 0; i < world->clients_count; i++)
        if (sim_chance(world, 400))
            client_step(world->clients[i]);
}

/* ---- steps ---- */

static void time_step(struct sim_world *world) {
    if (sim_chance(world, 4))
        sim_time(world, sim_below(world, 200) * NS_PER_MS);
    else
        sim_time(world, sim_below(world, sim_chance(world, 50) ? 2000000 : 20000));
}

static void workers_step(struct sim_world *world) {
    for (uint32_t count = 1 + sim_below(world, world->setup.workers); count > 0; count--) {
        uint32_t number = sim_below(world, world->setup.workers);
        struct sim_place *place = &world->places[number];
        if (place->stalled > 0)
            place->stalled--;
        else
            (void)sim_turn(world, number);
        if (sim_chance(world, 3))
            place->stalled = sim_below(world, 100);
    }
}

void sim_chaos(struct sim_world *world, uint32_t steps) {
    uint32_t disk = (uint32_t)PICK(world, 20, 200, 800); /* how fast it is */
    for (uint32_t i = 0; i < steps; i++) {
        if (sim_chance(world, disk))
            sim_journal(world, sim_chance(world, 300));
        if (sim_chance(world, disk))
            sim_history(world, sim_chance(world, 300));
        clients_step(world);
        workers_step(world);
        time_step(world);
    }
}
