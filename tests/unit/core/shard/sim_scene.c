#include "tests/unit/core/shard/sim_scene.h"

#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdlib.h>

struct sim_world *scene_world(struct sim_setup setup) {
    setup.faults.socket_bytes = 600;
    struct sim_world *world = sim_world_new(&setup);
    world->loud = getenv("RH_SIM_LOUD") != NULL;
    return world;
}

void scene_pours(struct sim_client *client) {
    while (sim_write(client, SIZE_MAX) > 0)
        sim_turns(client->world, 1);
}

void scene_says(struct sim_client *client) {
    while (sim_write(client, SIZE_MAX) > 0)
        sim_turns(client->world, 2);
    sim_turns(client->world, 2);
}

void scene_reads(struct sim_client *client) {
    do
        sim_turns(client->world, 1);
    while (sim_read(client, SIZE_MAX) > 0);
}

struct sim_client *scene_subscriber(struct sim_world *world, uint32_t patterns, uint8_t policy) {
    struct sim_client *client = sim_connect(world, true);
    sim_subscribe(client, 1, patterns, policy, NULL);
    scene_says(client);
    scene_reads(client);
    return client;
}

struct sim_client *scene_publisher(struct sim_world *world) {
    struct sim_client *client = sim_connect(world, true);
    scene_says(client);
    scene_reads(client);
    return client;
}

void scene_published(struct sim_client *client, uint32_t topic, uint32_t count, uint32_t data_bytes) {
    for (uint32_t i = 0; i < count; i++) {
        sim_publish(client, topic, data_bytes);
        scene_says(client);
        scene_reads(client);
    }
}

void scene_passes(struct sim_world *world, uint64_t ns) {
    for (uint64_t step = 0; step < ns; step += 50 * NS_PER_MS) {
        sim_time(world, 50 * NS_PER_MS);
        sim_turns(world, 1);
    }
}

void scene_end(struct sim_world *world) {
    sim_settle(world);
    sim_world_end(world);
    LEAKS_NONE();
}
