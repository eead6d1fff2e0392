/* The simulated router: workers that the test turns by hand, a clock that the test moves. */
#include "tests/unit/core/shard/sim.h"

#include "core/base/topic.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define SLOT_SEED 7u

static uint64_t now_ns;

uint64_t sim_now_ns(void) {
    return now_ns;
}

void sim_time(struct sim_world *world, uint64_t ns) {
    (void)world;
    now_ns += ns;
}

uint64_t sim_random(struct sim_world *world) { /* splitmix64 (Steele, Lea, Flood 2014) */
    uint64_t z = world->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint32_t sim_below(struct sim_world *world, uint32_t bound) {
    return bound == 0 ? 0 : (uint32_t)((sim_random(world) >> 32) % bound);
}

bool sim_chance(struct sim_world *world, uint32_t per_1024) {
    return sim_below(world, 1024) < per_1024;
}

struct sim_setup sim_setup_plain(uint32_t workers) {
    return (struct sim_setup){.seed = 1,
                              .workers = workers,
                              .log_bytes = 64 * KIB,
                              .log_records = 256,
                              .frame_bytes = 8 * KIB - 64,
                              .private_bytes = 4 * KIB,
                              .link_bytes = 64 * KIB,
                              .block_ns = BLOCK_NS_DEFAULT,
                              .slices = 1024,
                              .connections = SIM_CLIENTS_MAX,
                              .faults = {.socket_bytes = 64 * KIB}};
}

/* ---- making ---- */

static uint32_t slot_of(const char *topic) {
    return topic_slot(topic_hash((const uint8_t *)topic, strlen(topic), SLOT_SEED));
}

uint32_t sim_log_of(const struct sim_world *world, const char *topic) {
    const struct sim_setup *setup = &world->setup;
    if (setup->disks > 0 && sim_topic_disk(topic, setup->rules))
        return setup->workers + slot_of(topic) * setup->disks / SLOT_COUNT;
    return world->slots[slot_of(topic)];
}

static void slots_deal(struct sim_world *world) {
    for (uint32_t i = 0; i < SLOT_COUNT; i++)
        world->slots[i] = (uint8_t)sim_below(world, world->setup.workers);
    for (uint32_t i = 0; i < SIM_TOPICS;
         i++) /* one after the other, so that even few topics lie in all logs */
        world->slots[slot_of(sim_topics[i])] = (uint8_t)(i % world->setup.workers);
    for (uint32_t i = 0; i < SIM_TOPICS; i++)
        world->homes[i] = (uint8_t)sim_log_of(world, sim_topics[i]);
}

static struct shards *shards_of(struct sim_world *world) {
    const struct sim_setup *setup = &world->setup;
    struct shards *shards = calloc(1, sizeof *shards);
    static uint64_t firsts[SIM_DISKS_MAX];
    cr_assert_not_null(shards);
    for (uint32_t i = 0; i < setup->disks; i++)
        firsts[i] = world->logs_count > 0 ? sim_log_end(&world->logs[setup->workers + i])
                                          : (setup->first == 0 ? 1 : setup->first + i);
    shards->config = (struct shards_config){.count = setup->workers,
                                            .slots = world->slots,
                                            .slot_seed = SLOT_SEED,
                                            .disk_logs = setup->disks,
                                            .disk_first = firsts,
                                            .history = setup->history ? &world->history : NULL,
                                            .epoch = setup->epoch,
                                            .rules = sim_rules,
                                            .rules_count = setup->rules ? sim_rules_count : 0,
                                            .body = IO_BODY_SIM,
                                            .log_data_bytes = setup->log_bytes,
                                            .log_records = setup->log_records,
                                            .grace_ns = setup->grace_ns,
                                            .frame_bytes = setup->frame_bytes,
                                            .connections = setup->connections,
                                            .subscriptions = 10000,
                                            .topics = 64,
                                            .handshake_ns = HANDSHAKE_NS_DEFAULT,
                                            .block_ns = setup->block_ns,
                                            .search_work = setup->search_work,
                                            .idle_ns = setup->idle_ns,
                                            .private_bytes = setup->private_bytes,
                                            .slices = setup->slices,
                                            .link_bytes = setup->link_bytes,
                                            .landing_bytes = setup->landing_bytes,
                                            .server = "simulated"};
    shards->facts = (struct session_facts){.host = &peer_host,
                                           .server = "simulated",
                                           .instance = "simulated router",
                                           .shards = setup->workers,
                                           .frame_bytes = setup->frame_bytes,
                                           .idle_ns = setup->idle_ns,
                                           .disk = setup->disks > 0,
                                           .private_bytes = setup->private_bytes};
    shards->table_seed = setup->seed;
    shards->listener = -1;
    shards_lay_out(shards);
    return shards;
}

enum sim_verdict sim_verdict_of(const struct sim_client *client, uint32_t ordinal) {
    if (!client->world->setup.judged || !client->acks)
        return SIM_STORED;
    return ordinal % 7 == 3 ? SIM_NO_ROOM : ordinal % 5 == 4 ? SIM_DUPLICATE : SIM_STORED;
}

static bool judge(struct home *home, const struct wire_event *event, uint64_t hash, uint64_t sequence,
                  struct verdict *verdict) {
    static const struct fault no_room = {RH_CODE_EXHAUSTED, "there is no room for it", "topic"};
    const struct sim_world *world = home->judge_user;
    uint32_t client, ordinal, data_bytes;
    cr_assert(sim_event_read(event->event, event->event_length, &client, &ordinal, &data_bytes));
    cr_assert_eq(hash, topic_hash(event->topic, event->topic_length, SLOT_SEED));
    uint16_t epoch = home->journalled ? EPOCH_FIRST : world->shards->places[topic_slot(hash)].epoch;
    cr_assert_eq(sequence, sequence_make(epoch, log_writer_next(home->log)));
    enum sim_verdict says = sim_verdict_of(world->clients[client], ordinal);
    *verdict = says == SIM_NO_ROOM ? (struct verdict){.fault = &no_room}
                                   : (struct verdict){.duplicate_of = SIM_DUPLICATE_OF(ordinal)};
    return says != SIM_STORED;
}

static void homes_judge(struct sim_world *world, struct worker *worker) {
    for (uint32_t i = 0; i < worker->homes_count && world->setup.judged; i++) {
        struct home *home = &worker->homes[i];
        home->judge = judge;
        home->judge_user = world;
        world->shards->judged |= UINT64_C(1) << home->index;
    }
}

static void workers_make(struct sim_world *world) {
    struct shards *shards = world->shards;
    char error[200];
    for (uint32_t i = 0; i < world->setup.workers; i++)
        cr_assert_eq(worker_create(&shards->workers[i], shards, i, error), 0);
    for (uint32_t i = 0; i < world->setup.workers; i++)
        homes_judge(world, shards->workers[i]);
    for (uint32_t i = 0; i < world->setup.workers; i++) {
        struct worker *worker = shards->workers[i];
        worker->clock_ns = sim_now_ns;
        worker->clock_wall = sim_now_ns;
        worker->now_ns = now_ns;
        io_sim_share(worker->io, shards->workers[0]->io);
        io_sim_seed(worker->io, world->setup.seed * 8 + i, &world->setup.faults);
        cr_assert_eq(worker_attach(worker), 0);
    }
}

static void logs_watch(struct sim_world *world) {
    const struct sim_setup *setup = &world->setup;
    bool again = world->logs_count > 0;
    world->logs_count = setup->workers + setup->disks;
    for (uint32_t i = 0; i < world->logs_count; i++) {
        struct sim_log *seen = &world->logs[i];
        bool disk = i >= setup->workers;
        seen->log = world->shards->logs[i];
        if (!again)
            seen->first = seen->kept = log_oldest(seen->log);
        seen->number = (uint16_t)(disk ? 64 + i - setup->workers : i);
        seen->epoch = disk || setup->epoch == 0 ? 1 : setup->epoch;
        seen->gate = log_reader_attach(seen->log);
        cr_assert_geq(seen->gate, 0);
        cr_assert(log_reader_lower(seen->log, seen->gate, sim_log_end(seen)));
    }
}

struct sim_world *sim_world_new(const struct sim_setup *setup) {
    struct sim_world *world = calloc(1, sizeof *world);
    cr_assert_not_null(world);
    world->setup = *setup;
    world->random = setup->seed;
    now_ns = NS_PER_S;
    logfmt_level_set(LOGFMT_ERROR);
    sim_seed_watch(setup->seed);
    slots_deal(world);
    sim_history_make(world);
    world->shards = shards_of(world);
    workers_make(world);
    logs_watch(world);
    return world;
}

/* ---- turns ---- */

struct worker *sim_worker(struct sim_world *world, uint32_t number) {
    return world->shards->workers[number];
}

uint64_t sim_stat(const struct sim_world *world, size_t offset) {
    return workers_sum(world->shards, offset);
}

static void place_rest(struct sim_world *world, uint32_t number) {
    struct sim_place *place = &world->places[number];
    place->wait_ns = worker_rest(world->shards->workers[number]);
    place->asleep = place->wait_ns > 0;
    place->until_ns = now_ns + place->wait_ns;
}

static bool place_wakes(const struct sim_world *world, uint32_t number) {
    const struct sim_place *place = &world->places[number];
    return !place->asleep || now_ns >= place->until_ns || io_sim_due(world->shards->workers[number]->io);
}

/* News that nobody had rung for, when nobody is awake who could still ring. */
static void backstop_judge(struct sim_world *world, uint32_t number, uint64_t hits_before) {
    if (counter_get(&world->shards->workers[number]->stats.backstop_hits) == hits_before)
        return;
    for (uint32_t i = 0; i < world->setup.workers; i++)
        if (i != number && !world->places[i].asleep)
            return;
    sim_fail(world, NULL, "worker %u found news that nobody had rung for", number);
}

bool sim_turn(struct sim_world *world, uint32_t number) {
    struct sim_place *place = &world->places[number];
    struct worker *worker = world->shards->workers[number];
    uint64_t hits = counter_get(&worker->stats.backstop_hits);
    if (!place_wakes(world, number))
        return false;
    uint64_t wait_ns = place->asleep ? place->wait_ns : 0;
    place->asleep = false;
    cr_assert_eq(worker_wake(worker, wait_ns), 0);
    for (uint32_t i = 0; i < worker->homes_count; i++)
        log_check(worker->homes[i].log);
    sim_logs_look(world);
    sim_clients_look(world);
    backstop_judge(world, number, hits);
    place_rest(world, number);
    return true;
}

void sim_journal(struct sim_world *world, bool all) {
    for (uint32_t i = world->setup.workers; i < world->logs_count && !world->disk_stuck; i++) {
        struct log *log = world->logs[i].log;
        uint64_t waiting = log_produced(log) - log_visible(log);
        if (waiting == 0)
            continue;
        log_visible_set(log, log_visible(log) + (all ? waiting : 1 + sim_below(world, (uint32_t)waiting)));
        shards_log_moved(world->shards, i - world->setup.workers);
    }
}

void sim_turns(struct sim_world *world, uint32_t turns) {
    for (uint32_t i = 0; i < turns; i++) {
        sim_journal(world, true);
        sim_history(world, true);
        for (uint32_t number = 0; number < world->setup.workers; number++)
            (void)sim_turn(world, number);
        sim_time(world, NS_PER_US);
    }
}

/* ---- quiet ---- */

#define LOOKS             4u
#define LOOKS_LONG        12u /* longer than anybody lingers */
#define SETTLE_ROUNDS_MAX 50000u
#define SETTLE_NS_MAX     (60u * NS_PER_S) /* longer than the longest timeout */

static void clients_go_on(struct sim_world *world) {
    for (uint32_t i = 0; i < world->clients_count; i++) {
        struct sim_client *client = world->clients[i];
        if (client->peer == NULL)
            continue;
        (void)sim_write(client, SIZE_MAX);
        (void)sim_read(client, SIZE_MAX);
        if (client->over)
            sim_leave(client, SIM_CLOSED);
    }
}

static bool workers_go_on(struct sim_world *world) {
    bool any = false;
    for (uint32_t i = 0; i < world->setup.workers; i++)
        any |= sim_turn(world, i);
    return any;
}

static const struct sim_client *client_waiting(const struct sim_world *world) {
    for (uint32_t i = 0; i < world->clients_count; i++)
        if (!sim_client_done(world->clients[i]))
            return world->clients[i];
    return NULL;
}

/* Grows with everything that happens. */
static uint64_t progress(const struct sim_world *world) {
    uint64_t sum = world->lines_count;
    for (uint32_t i = 0; i < world->clients_count; i++)
        sum += world->clients[i]->written + world->clients[i]->decoded + world->clients[i]->consumed;
    for (uint32_t i = 0; i < world->logs_count; i++)
        sum += world->logs[i].count + log_visible(world->logs[i].log);
    return sum + world->answers;
}

/* Nobody has anything to do: the clock goes to where the next worker looks by itself. */
static void time_jump(struct sim_world *world) {
    uint64_t until = UINT64_MAX;
    for (uint32_t i = 0; i < world->setup.workers; i++)
        if (world->places[i].until_ns < until)
            until = world->places[i].until_ns;
    if (until > now_ns)
        sim_time(world, until - now_ns);
}

/* Quiet is: all workers sleep, and so many looks after a whole sleep find nothing. Unless it is told not to,
 * it waits for what clients are owed. */
static void quiet_await(struct sim_world *world, uint32_t looks, bool owed) {
    uint64_t before = 0;
    uint64_t since_ns = now_ns;
    for (uint32_t rounds = 0, still = 0; still < looks; rounds++) {
        clients_go_on(world);
        sim_journal(world, true);
        sim_history(world, true);
        bool turned = workers_go_on(world);
        const struct sim_client *waiting = owed ? client_waiting(world) : NULL;
        if (progress(world) != before) {
            since_ns = now_ns;
            still = 0;
        }
        before = progress(world);
        if (rounds > SETTLE_ROUNDS_MAX || now_ns - since_ns > SETTLE_NS_MAX)
            sim_fail(world, waiting,
                     waiting == NULL ? "the workers do not come to rest" : "it waits in vain");
        sim_time(world, NS_PER_US);
        if (turned)
            continue;
        still += waiting == NULL;
        time_jump(world);
    }
}

static void clients_judge(struct sim_world *world) {
    for (uint32_t i = 0; i < world->clients_count; i++) {
        struct sim_client *client = world->clients[i];
        if (client->broken)
            sim_judge_prefix(client);
        else
            sim_judge_settled(client);
        if (!client->gone && client->leaving == SIM_STAYS)
            sim_judge_complete(client);
    }
}

static void faults_end(struct sim_world *world) {
    struct io_sim_faults none = {.socket_bytes = world->setup.faults.socket_bytes};
    world->shards->config.idle_ns = 0; /* from here on clients are silent */
    for (uint32_t i = 0; i < world->setup.workers; i++) {
        world->places[i].stalled = 0;
        io_sim_seed(world->shards->workers[i]->io, world->setup.seed, &none);
    }
}

void sim_settle(struct sim_world *world) {
    sim_note(world, NULL, "settle", 0, 0, 0);
    faults_end(world);
    quiet_await(world, LOOKS, true);
    clients_judge(world);
    if (SIM_STAT(world, laggards) != 0)
        sim_fail(world, NULL, "%lu laggards at rest", SIM_STAT(world, laggards));
}

/* ---- the end ---- */

static void worker_is_empty(struct sim_world *world, struct worker *worker) {
    struct route_counts counts;
    route_counts(worker->routes, &counts);
    if (worker->pool.used != 0 || counts.patterns != 0 || !list_empty(&worker->all))
        sim_fail(world, NULL, "worker %u keeps %u slices, %lu patterns%s", worker->number, worker->pool.used,
                 counts.patterns, list_empty(&worker->all) ? "" : ", connections");
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        if (worker->held[slot] != 0 || counter_get(&world->shards->holders[slot]) != 0)
            sim_fail(world, NULL, "slot %u is still held", slot);
    if (worker->picks != 0)
        sim_fail(world, NULL, "worker %u still counts %u picks", worker->number, worker->picks);
    for (uint32_t i = 0; i < world->logs_count; i++) {
        const struct reader *reader = &worker->readers[i];
        if (reader->attached || reader->interest != 0 ||
            log_reader_gate(reader->log, reader->gate) != LOG_IDLE ||
            log_reader_gate(reader->log, reader->past) != LOG_IDLE)
            sim_fail(world, NULL, "worker %u still reads log %u", worker->number, i);
    }
}

static void router_free(struct sim_world *world) {
    for (uint32_t i = 0; i < world->setup.workers; i++)
        worker_detach(world->shards->workers[i]);
    for (uint32_t i = 0; i < world->logs_count; i++)
        log_reader_detach(world->logs[i].log, world->logs[i].gate);
    for (uint32_t i = world->setup.workers; i-- > 0;)
        worker_destroy(world->shards->workers[i]);
    changes_destroy(world->shards);
    free(world->shards);
    world->asked = NULL;
}

static void world_free(struct sim_world *world) {
    for (uint32_t i = 0; i < world->clients_count; i++)
        sim_client_free(world->clients[i]);
    router_free(world);
    for (uint32_t i = 0; i < world->logs_count; i++) {
        free(world->logs[i].records);
        free(world->logs[i].entries);
        free(world->logs[i].bytes);
    }
    free(world);
}

void sim_world_end(struct sim_world *world) {
    for (uint32_t i = 0; i < world->clients_count; i++)
        if (world->clients[i]->peer != NULL)
            sim_leave(world->clients[i], sim_chance(world, 512) ? SIM_CLOSED : SIM_RESET);
    quiet_await(world, LOOKS, true);
    if (SIM_STAT(world, connections) != 0 || SIM_STAT(world, subscriptions) != 0 ||
        SIM_STAT(world, laggards) != 0)
        sim_fail(world, NULL, "%lu connections, %lu subscriptions, %lu laggards are left",
                 SIM_STAT(world, connections), SIM_STAT(world, subscriptions), SIM_STAT(world, laggards));
    for (uint32_t i = 0; i < world->setup.workers; i++)
        worker_is_empty(world, world->shards->workers[i]);
    world_free(world);
}

void sim_restart(struct sim_world *world) {
    for (uint32_t i = 0; i < world->clients_count; i++)
        if (world->clients[i]->peer != NULL)
            sim_leave(world->clients[i], SIM_CLOSED);
    quiet_await(world, LOOKS, true);
    for (uint32_t i = 0; i < world->setup.workers; i++) {
        worker_is_empty(world, world->shards->workers[i]);
        cr_assert_eq(world->logs[i].count, 0);
    }
    router_free(world);
    sim_note(world, NULL, "reboot", 0, 0, 0);
    world->shards = shards_of(world);
    workers_make(world);
    logs_watch(world);
    for (uint32_t i = 0; i < world->setup.workers; i++)
        world->places[i] = (struct sim_place){0};
}

void sim_order(struct sim_world *world, enum command_kind kind) {
    struct mpsc_command command = {.kind = kind};
    for (uint32_t i = 0; i < world->setup.workers; i++) {
        struct worker *worker = world->shards->workers[i];
        cr_assert_eq(mpsc_push(worker->mailbox, &command), RING_OK);
        wake_signal(&worker->wake);
    }
}

/* Nothing is read from clients any more, so what they have said may end anywhere; but all that is in the logs
 * is delivered. */
static void stop_judge(struct sim_world *world) {
    for (uint32_t i = 0; i < world->clients_count; i++) {
        struct sim_client *client = world->clients[i];
        sim_judge_prefix(client);
        if (!client->gone && !client->over && client->leaving == SIM_STAYS && !client->doomed)
            sim_judge_complete(client);
    }
}

void sim_stop(struct sim_world *world) {
    sim_note(world, NULL, "stop", 0, 0, 0);
    faults_end(world);
    sim_turns(world, 20); /* everybody is let in */
    world->stopping = true;
    sim_order(world, COMMAND_DRAIN);
    quiet_await(world, LOOKS_LONG, false);
    stop_judge(world);
    sim_order(world, COMMAND_LEAVE);
    quiet_await(world, LOOKS_LONG, false);
    for (uint32_t i = 0; i < world->clients_count; i++) {
        struct sim_client *client = world->clients[i];
        if (!client->gone || (client->connected && !client->broken && !client->over && !client->doomed))
            sim_fail(world, client, "it got no Goodbye");
    }
    if (SIM_STAT(world, drain_cut_bytes) != 0)
        sim_fail(world, NULL, "the stop has cut %lu bytes", SIM_STAT(world, drain_cut_bytes));
}
