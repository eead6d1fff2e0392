#include "bench/load/plan.h"

#include "bench/load/event.h"
#include "bench/load/quit.h"

#include <stdlib.h>
#include <string.h>

#define CYCLE_BYTES_LEAST (1u << 20) /* several of the largest sends */
#define CYCLE_FRAMES_MOST 65536u     /* of a single topic: frames that differ */
#define CHECK_FRAMES_MIN  16u

static uint32_t topic_of(const struct options *o, uint32_t publisher, uint32_t frame) {
    return (uint32_t)(((uint64_t)frame * o->publishers + publisher) % o->topics);
}

/* Whole rounds over the publisher's topics, of about CYCLE_BYTES_LEAST. */
static uint32_t frames_choose(const struct options *o) {
    uint32_t round = o->topics / o->publishers;
    uint32_t wanted = CYCLE_BYTES_LEAST / o->payload + 1;
    if (wanted > CYCLE_FRAMES_MOST)
        wanted = CYCLE_FRAMES_MOST;
    uint32_t rounds = (wanted + round - 1) / round;
    return round * (rounds < 1 ? 1 : rounds);
}

struct made {
    struct buffer publish, deliver, event;
};

/* One frame as published and as delivered; all must have the sizes and places of the first. */
static void frame_make(struct plan *plan, struct made *made, uint32_t publisher, uint32_t frame) {
    const struct options *o = plan->options;
    const struct protocol *protocol = o->protocol;
    uint32_t topic = topic_of(o, publisher, frame);
    size_t sent = made->publish.length, got = made->deliver.length;
    made->event.length = 0;
    size_t stamp = event_add(&made->event, o->payload, ((uint64_t)publisher << 32) + frame + 1, o->text);
    struct frame_places publish = protocol->publish(&made->publish, topic, &made->event);
    struct frame_places deliver =
        protocol->deliver(&made->deliver, topic, &made->event, o->share == SHARE_ALL && o->topics > 1);
    sent = made->publish.length - sent;
    got = made->deliver.length - got;
    if (plan->publish_size == 0) {
        plan->publish_size = sent;
        plan->deliver_size = got;
        plan->sequence_at = deliver.sequence;
        plan->stamp_publish_at = stamp == STAMP_NONE ? STAMP_NONE : publish.event + stamp;
        plan->stamp_deliver_at = stamp == STAMP_NONE ? STAMP_NONE : deliver.event + stamp;
    }
    if (sent != plan->publish_size || got != plan->deliver_size)
        quit(QUIT_INTERNAL, "frame %u of publisher %u has another size than the first", frame, publisher);
}

static void cycle_make(struct plan *plan, uint32_t publisher) {
    const struct options *o = plan->options;
    struct cycle *cycle = &plan->cycles[publisher];
    struct made made = {0};
    cycle->owner = calloc(plan->frames, sizeof *cycle->owner);
    if (cycle->owner == NULL)
        quit(QUIT_INTERNAL, "out of memory");
    for (uint32_t frame = 0; frame < plan->frames; frame++) {
        cycle->owner[frame] = topic_of(o, publisher, frame) % o->subscribers;
        frame_make(plan, &made, publisher, frame);
    }
    cycle->publish = made.publish.data;
    cycle->deliver = made.deliver.data;
    buffer_free(&made.event);
}

void plan_make(struct plan *plan, const struct options *options) {
    *plan = (struct plan){.options = options, .frames = frames_choose(options)};
    plan->cycles = calloc(options->publishers, sizeof *plan->cycles);
    if (plan->cycles == NULL)
        quit(QUIT_INTERNAL, "out of memory");
    for (uint32_t publisher = 0; publisher < options->publishers; publisher++)
        cycle_make(plan, publisher);
    if (options->mode == MODE_PACED && plan->stamp_publish_at == STAMP_NONE)
        quit(QUIT_USAGE, "a payload of %u bytes has no room for a stamp", options->payload);
    plan->check_frames = options->check_bytes / plan->deliver_size;
    if (plan->check_frames < CHECK_FRAMES_MIN && options->check_bytes > 0)
        plan->check_frames = CHECK_FRAMES_MIN;
}

uint64_t plan_expected(const struct plan *plan, uint32_t publisher, uint32_t subscriber, uint64_t sent) {
    if (plan->options->share == SHARE_ALL)
        return sent;
    uint64_t in_cycle = 0, in_rest = 0, rest = sent % plan->frames;
    for (uint32_t frame = 0; frame < plan->frames; frame++) {
        if (plan->cycles[publisher].owner[frame] != subscriber)
            continue;
        in_cycle++;
        if (frame < rest)
            in_rest++;
    }
    return sent / plan->frames * in_cycle + in_rest;
}

/* Compares [from, to) of two frames. */
static bool same(const uint8_t *a, const uint8_t *b, size_t from, size_t to) {
    return to <= from || memcmp(a + from, b + from, to - from) == 0;
}

bool plan_matches(const struct plan *plan, uint32_t publisher, uint32_t frame, const uint8_t *got) {
    const uint8_t *wanted = plan->cycles[publisher].deliver + (size_t)frame * plan->deliver_size;
    size_t at = 0;
    if (plan->sequence_at != SEQUENCE_NONE) {
        if (!same(got, wanted, 0, plan->sequence_at))
            return false;
        at = plan->sequence_at + 8;
    }
    if (plan->options->mode == MODE_PACED) {
        if (!same(got, wanted, at, plan->stamp_deliver_at))
            return false;
        at = plan->stamp_deliver_at + STAMP_BYTES;
    }
    return same(got, wanted, at, plan->deliver_size);
}
