/* Traces: what is seen of an event on its way, and that nothing of it stays behind. */
#include "core/shard/trace.h"
#include "tests/unit/core/shard/shard_world.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct trace *begin(struct world *world, const char *pattern, uint32_t count) {
    struct trace *trace;
    cr_assert_eq(trace_begin(&trace, world->shards, pattern, count), 0);
    world_turns(world, 1);
    return trace;
}

static void end(struct world *world, struct trace *trace) {
    trace_end(trace);
    world_turns(world, 2);
    (void)trace_serve(trace);
    cr_assert(trace_gone(trace));
    trace_destroy(trace);
}

static void over(struct world *world) {
    for (uint32_t i = 0; i < world->shards->config.count; i++)
        cr_assert_eq(world_worker(world, i)->traces.count, 0);
    world_free(world);
    LEAKS_NONE();
}

static struct world_client *subscriber(struct world *world, uint32_t shard, const char *pattern) {
    struct world_client *client = client_new(world, shard, false);
    struct world_frame frame;
    client_subscribe(client, 1, pattern, true);
    client_expect(client, WIRE_SUBSCRIBED, &frame);
    return client;
}

static struct trace_seen seen(struct trace *trace, uint32_t number) {
    struct trace_seen found;
    cr_assert_gt(trace_serve(trace), number);
    trace_read(trace, number, &found);
    return found;
}

Test(trace, sees_an_event_from_its_receipt_to_the_last_socket) {
    struct world *world = world_new(&(struct world_config){.shards = 2});
    struct world_client *publisher = client_new(world, 0, false);
    char topic[16];
    (void)world_topic(world, 1, topic); /* goes by a link */
    for (uint32_t i = 0; i < 3; i++)
        subscriber(world, i % 2, i == 0 ? ">" : topic);
    struct trace *trace = begin(world, topic, 5);
    client_publish(publisher, topic, 7, 10);
    client_publish(publisher, "other", 8, 10);
    world_turns(world, 6);
    cr_assert_eq(trace_serve(trace), 1);
    struct trace_seen event = seen(trace, 0);
    cr_assert_str_eq(event.topic, topic);
    cr_assert_str_eq(event.source, "/test");
    cr_assert(event.id[0] != '\0' && event.type[0] != '\0' && event.sequence != 0 && event.bytes > 10);
    cr_assert_eq(event.log, 1);
    cr_assert_eq(event.shard, 1);
    cr_assert(event.over && !event.disk);
    cr_assert_eq(event.fate.connections, 3);
    cr_assert_eq(event.fate.sent, 3);
    cr_assert(event.received_ns <= event.appended_ns && event.appended_ns <= event.fate.routed_ns);
    cr_assert(event.appended_ns <= event.fate.first_ns && event.fate.first_ns <= event.fate.last_ns);
    end(world, trace);
    over(world);
}

Test(trace, takes_no_more_than_it_was_asked_for) {
    struct world *world = world_new(&(struct world_config){.shards = 2});
    struct world_client *publisher = client_new(world, 0, false);
    struct trace *trace = begin(world, "a.>", 3);
    char topic[16];
    for (uint32_t i = 0; i < 20; i++) {
        (void)snprintf(topic, sizeof topic, "a.%u", i);
        client_publish(publisher, topic, i, 10);
    }
    world_turns(world, 6);
    cr_assert_eq(trace_serve(trace), 3);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert(seen(trace, i).over, "nobody reads these logs");
    end(world, trace);
    over(world);
}

/* Events of one shape on one topic come as trains. */
Test(trace, finds_events_of_a_train_one_by_one) {
    struct world *world = world_new(&(struct world_config){.socket_bytes = 64 * KIB, .log_data = MIB});
    struct world_client *publisher = client_new(world, 0, false);
    struct trace *trace = begin(world, "t", 50);
    for (uint32_t i = 0; i < 300; i++)
        client_publish(publisher, "t", 1000 + i, 100);
    world_turns(world, 6);
    cr_assert_eq(trace_serve(trace), 50);
    for (uint32_t i = 1; i < 50; i++)
        cr_assert_eq(seen(trace, i).sequence, seen(trace, i - 1).sequence + 1);
    end(world, trace);
    over(world);
}

/* A subscriber whose socket is full, and an event that waits for it; the worker has not slept since. */
static struct trace *unsent(struct world *world, struct world_client **reader) {
    struct world_client *publisher = client_new(world, 0, false);
    *reader = subscriber(world, 0, "t");
    for (uint32_t i = 0; i < 3; i++)
        client_publish(publisher, "t", i, 1000);
    world_turn(world, 0);
    struct trace *trace = begin(world, "t", 4);
    client_publish(publisher, "t", 10, 10);
    world_turn(world, 0);
    struct trace_seen event = seen(trace, 0);
    cr_assert_eq(event.fate.connections, 1);
    cr_assert(event.fate.sent == 0 && !event.over);
    return trace;
}

Test(trace, says_who_has_fallen_behind) {
    struct world *world = world_new(&(struct world_config){.socket_bytes = 2000, .log_data = 256 * KIB});
    struct world_client *reader;
    struct trace *trace = unsent(world, &reader);
    world_sleep(world, 0, 2);
    struct trace_seen event = seen(trace, 0);
    cr_assert(event.over && event.fate.behind == 1);
    client_publish(world->clients[0], "t", 11, 10);
    world_sleep(world, 0, 2);
    event = seen(trace, 1);
    cr_assert(event.over && event.fate.connections == 0 && event.fate.lagging == 1);
    end(world, trace);
    over(world);
}

Test(trace, says_who_was_closed) {
    struct world *world = world_new(&(struct world_config){.socket_bytes = 2000, .log_data = 256 * KIB});
    struct world_client *reader;
    struct trace *trace = unsent(world, &reader);
    client_leave(reader, true);
    world_turn(world, 0);
    world_turn(world, 0);
    struct trace_seen event = seen(trace, 0);
    cr_assert(event.over && event.fate.lost == 1);
    end(world, trace);
    over(world);
}

Test(trace, waits_for_the_disk) {
    struct world *world = world_new(&(struct world_config){.disks = 1});
    struct world_client *publisher = client_new(world, 0, false);
    struct world_frame frame;
    struct world_client *reader = subscriber(world, 0, "d.>");
    struct trace *trace = begin(world, "d.*", 4);
    client_publish(publisher, "d.1", 1, 10);
    world_turns(world, 4);
    struct trace_seen event = seen(trace, 0);
    cr_assert(event.disk && event.synced_ns == 0 && !event.over);
    world_journal(world);
    client_expect(reader, WIRE_EVENT, &frame);
    world_turns(world, 2);
    event = seen(trace, 0);
    cr_assert(event.over && event.fate.sent == 1 && event.synced_ns >= event.appended_ns);
    end(world, trace);
    over(world);
}

/* Who comes later begins behind the event, and does not keep it waiting. */
Test(trace, is_over_also_when_a_reader_comes_later) {
    struct world *world = world_new(&(struct world_config){.shards = 2});
    struct world_client *publisher = client_new(world, 0, false);
    char topic[16];
    (void)world_topic(world, 1, topic);
    struct world_client *reader = subscriber(world, 0, topic);
    struct trace *trace = begin(world, topic, 2);
    client_publish(publisher, topic, 7, 10);
    world_turns(world, 6);
    subscriber(world, 1, topic);
    cr_assert(seen(trace, 0).over && seen(trace, 0).fate.sent == 1);
    struct world_frame frame;
    client_unsubscribe(reader, 1);
    client_expect(reader, WIRE_UNSUBSCRIBED, &frame);
    client_publish(publisher, topic, 8, 10);
    world_turns(world, 6);
    client_subscribe(reader, 2, topic, true);
    client_expect(reader, WIRE_SUBSCRIBED, &frame);
    for (uint32_t i = 0; i < 2; i++)
        cr_assert(seen(trace, i).over && seen(trace, i).fate.sent == 1);
    end(world, trace);
    over(world);
}

/* One of the workers has not heard of it yet: what it does with an event could not be told. */
Test(trace, takes_no_event_before_all_workers_know) {
    struct world *world = world_new(&(struct world_config){.shards = 2});
    struct world_client *publisher = client_new(world, 0, false);
    char topic[16];
    (void)world_topic(world, 0, topic);
    subscriber(world, 1, topic);
    const struct mpsc_command filler = {.kind = COMMAND_NOTES}; /* none: it says nothing */
    uint32_t fillers = 0;
    while (mpsc_push(world_worker(world, 1)->mailbox, &filler) == RING_OK)
        fillers++;
    cr_assert_gt(fillers, 0);
    struct trace *trace;
    cr_assert_eq(trace_begin(&trace, world->shards, topic, 4), 0);
    world_turn(world, 0);
    client_publish(publisher, topic, 1, 10);
    world_turn(world, 0);
    world_turns(world, 4);
    cr_assert_eq(trace_serve(trace), 0); /* tells the other one */
    world_turns(world, 1);
    client_publish(publisher, topic, 2, 10);
    world_turns(world, 4);
    cr_assert(seen(trace, 0).over && seen(trace, 0).fate.sent == 1);
    end(world, trace);
    over(world);
}

Test(trace, can_be_one_of_several) {
    struct world *world = world_new(&(struct world_config){.shards = 2});
    struct world_client *publisher = client_new(world, 1, false);
    struct trace *traces[TRACES_MAX];
    for (uint32_t i = 0; i < TRACES_MAX; i++)
        traces[i] = begin(world, i % 2 == 0 ? "a" : ">", 2);
    client_publish(publisher, "a", 1, 10);
    client_publish(publisher, "b", 2, 10);
    world_turns(world, 6);
    for (uint32_t i = 0; i < TRACES_MAX; i++)
        cr_assert_eq(trace_serve(traces[i]), i % 2 == 0 ? 1 : 2);
    end(world, traces[1]);
    struct trace *again = begin(world, "b", 1);
    client_publish(publisher, "b", 3, 10);
    world_turns(world, 6);
    cr_assert_eq(trace_serve(again), 1);
    end(world, again);
    end(world, traces[0]);
    end(world, traces[2]);
    end(world, traces[3]);
    over(world);
}

Test(trace, refuses_what_it_can_not_do) {
    struct world *world = world_new(&(struct world_config){0});
    struct trace *trace;
    char longest[300];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    cr_assert_eq(trace_begin(&trace, world->shards, "a", 0), -EINVAL);
    cr_assert_eq(trace_begin(&trace, world->shards, "a", TRACE_EVENTS_MAX + 1), -EINVAL);
    cr_assert_eq(trace_begin(&trace, world->shards, longest, 1), -EINVAL);
    trace_destroy(NULL);
    world_free(world);
    LEAKS_NONE();
}
