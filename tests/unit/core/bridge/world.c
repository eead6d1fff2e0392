#include "tests/unit/core/bridge/world.h"

#include "codecs/event/json.h"
#include "core/bridge/port.h"

#include <criterion/criterion.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void world_event(void *user, const struct port_event *event) {
    struct bridge_world *world = user;
    struct fault fault;
    char *json, *line;
    size_t length;
    cr_assert(event_to_json(event->event, event->event_length, &json, &length, &fault));
    cr_assert(asprintf(&line, "%.*s %.*s", (int)event->topic_length, event->topic, (int)length, json) > 0);
    free(json);
    world->lines = realloc(world->lines, (world->count + 2) * sizeof *world->lines);
    cr_assert(world->lines != NULL);
    world->lines[world->count++] = line;
    world->lines[world->count] = NULL;
    port_done(world->port, event->delivery);
}

static void world_settled(void *user, int code, const char *text) {
    cr_assert_eq(code, 0, "%s", text);
    ++*(unsigned *)user;
}

void bridge_start(struct bridge_world *world) {
    static const char *const patterns[] = {"erp.>", "own.>", "spoke.>"};
    char why[256] = "";
    unsigned settled = 0;
    *world = (struct bridge_world){.base = event_base_new()};
    router_start(&world->router, "", false);
    struct port_options options = {.base = world->base,
                                   .server = world->router.address,
                                   .name = "world",
                                   .user = world,
                                   .on_event = world_event};
    world->port = port_new(&options, why, sizeof why);
    cr_assert(world->port != NULL, "%s", why);
    struct port_queue queue = {.name = "world",
                               .patterns = patterns,
                               .patterns_count = sizeof patterns / sizeof *patterns,
                               .is_volatile = true};
    cr_assert_eq(port_join(world->port, &queue), 0);
    /* What is settled after a round trip is behind the queue's beginning. */
    struct event_parts parts = {.id = "1", .source = "/test", .type = "t"};
    struct fault fault;
    uint8_t *event;
    size_t length;
    cr_assert(event_build(&parts, &event, &length, &fault));
    cr_assert_eq(port_publish(world->port, "none", 4, event, length, world_settled, &settled), 0);
    free(event);
    router_await(world->base, &settled, 1);
}

void bridge_stop(struct bridge_world *world) {
    port_free(world->port);
    event_base_free(world->base);
    for (unsigned i = 0; i < world->count; i++)
        free(world->lines[i]);
    free(world->lines);
    router_stop(&world->router);
    world->port = NULL;
    world->base = NULL;
    world->lines = NULL;
}

void bridge_await(struct bridge_world *world, unsigned count) {
    router_await(world->base, &world->count, count);
}

const char *bridge_line(const struct bridge_world *world, unsigned number) {
    cr_assert(number < world->count);
    return world->lines[number];
}

const char *bridge_executable(void) {
    static char path[4096];
    router_binary(path, sizeof path);
    return path;
}

void bridge_turn(struct event_base *base, unsigned ms) {
    struct timeval soon = {.tv_sec = ms / 1000, .tv_usec = (int)(ms % 1000 * 1000)};
    cr_assert(event_base_loopexit(base, &soon) == 0);
    cr_assert(event_base_loop(base, EVLOOP_ONCE) >= 0);
}
