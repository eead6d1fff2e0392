/* plan.h: everything that will be sent and everything that must arrive, as bytes, made before the first send.
 * Owner: main, from the options; read-only while it is measured, but for the stamps of the paced mode. One
 * thread.
 * All frames of a run have one size, as published and as delivered: so bytes count events.
 * Nothing blocks.
 * Running out of memory ends the program. */
#pragma once

#include "bench/load/options.h"

/* What one publisher sends, again and again. Publisher p has the topics whose number is p modulo the
 * publishers; frame i has the i-th of them, and begins anew after the last. */
struct cycle {
    uint8_t *publish; /* owns; frames * publish_size */
    uint8_t *deliver; /* owns; frames * deliver_size */
};

struct plan {
    const struct options *options;
    struct cycle *cycles; /* owns; one for each publisher */
    uint32_t frames;      /* of each cycle: rounds over the publisher's topics */
    uint32_t round;       /* frames of one round */
    size_t publish_size, deliver_size;
    size_t topic_at;         /* in a delivery: the topic's name */
    size_t sequence_at;      /* in a delivery: 8 bytes that the server writes, or SEQUENCE_NONE */
    size_t stamp_publish_at; /* where the paced mode writes the intended time, or STAMP_NONE */
    size_t stamp_deliver_at;
    uint64_t check_frames; /* deliveries compared per subscriber at the beginning, and again at the end */
};

void plan_make(struct plan *plan, const struct options *options);

/* Frames among the first `sent` of a publisher that subscriber `subscriber` must get. */
uint64_t plan_expected(const struct plan *plan, uint32_t publisher, uint32_t subscriber, uint64_t sent);

/* The topic's number in a delivery; TOPICS_MAX when there is none. */
uint32_t plan_topic(const struct plan *plan, const uint8_t *got);

/* Frames on one topic among the first `sent` of its publisher. */
uint64_t plan_topic_count(const struct plan *plan, uint32_t topic, uint64_t sent);

/* Does `got` match the `count`-th (from 0) frame on a topic? The server's sequence and the stamp are left
 * out. */
bool plan_matches(const struct plan *plan, uint32_t topic, uint64_t count, const uint8_t *got);

static inline bool plan_owns(const struct plan *plan, uint32_t topic, uint32_t subscriber) {
    return plan->options->share == SHARE_ALL || topic % plan->options->subscribers == subscriber;
}
