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
static uint32_t frames_choose(const struct options *o, uint32_t round) {
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
        plan->topic_at = deliver.topic;
        plan->sequence_at = deliver.sequence;
        plan->stamp_publish_at = stamp == STAMP_NONE ? STAMP_NONE : publish.event + stamp;
        plan->stamp_deliver_at = stamp == STAMP_NONE ? STAMP_NONE : deliver.event + stamp;
    }
    if (sent != plan->publish_size || got != plan->deliver_size)
        quit(QUIT_INTERNAL, "frame %u of publisher %u has another size than the first", frame, publisher);
}

static void cycle_make(struct plan *plan, uint32_t publisher) {
    struct cycle *cycle = &plan->cycles[publisher];
    struct made made = {0};
    for (uint32_t frame = 0; frame < plan->frames; frame++)
        frame_make(plan, &made, publisher, frame);
    cycle->publish = made.publish.data;
    cycle->deliver = made.deliver.data;
    buffer_free(&made.event);
}

void plan_make(struct plan *plan, const struct options *options) {
    *plan = (struct plan){.options = options, .round = options->topics / options->publishers};
    plan->frames = frames_choose(options, plan->round);
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

/* Which frame of a round is on this topic. */
static uint32_t place_of(const struct plan *plan, uint32_t topic) {
    return topic / plan->options->publishers;
}

uint64_t plan_topic_count(const struct plan *plan, uint32_t topic, uint64_t sent) {
    return sent / plan->round + (place_of(plan, topic) < sent % plan->round ? 1 : 0);
}

uint64_t plan_expected(const struct plan *plan, uint32_t publisher, uint32_t subscriber, uint64_t sent) {
    const struct options *o = plan->options;
    uint64_t expected = 0;
    if (o->share == SHARE_ALL)
        return sent;
    for (uint32_t topic = publisher; topic < o->topics; topic += o->publishers)
        if (plan_owns(plan, topic, subscriber))
            expected += plan_topic_count(plan, topic, sent);
    return expected;
}

uint32_t plan_topic(const struct plan *plan, const uint8_t *got) {
    const uint8_t *digits = got + plan->topic_at + TOPIC_DIGITS_AT;
    uint32_t topic = 0;
    for (uint32_t i = 0; i < TOPIC_DIGITS; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return TOPICS_MAX;
        topic = 10 * topic + (uint32_t)(digits[i] - '0');
    }
    return topic < plan->options->topics ? topic : TOPICS_MAX;
}

/* Compares [from, to) of two frames. */
static bool same(const uint8_t *a, const uint8_t *b, size_t from, size_t to) {
    return to <= from || memcmp(a + from, b + from, to - from) == 0;
}

bool plan_matches(const struct plan *plan, uint32_t topic, uint64_t count, const uint8_t *got) {
    uint32_t publisher = topic % plan->options->publishers;
    uint64_t frame = count % (plan->frames / plan->round) * plan->round + place_of(plan, topic);
    const uint8_t *wanted = plan->cycles[publisher].deliver + frame * plan->deliver_size;
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
