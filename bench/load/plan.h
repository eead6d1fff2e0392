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
    uint32_t *owner;  /* owns; split: the subscriber of each frame */
};

struct plan {
    const struct options *options;
    struct cycle *cycles; /* owns; one for each publisher */
    uint32_t frames;      /* of each cycle */
    size_t publish_size, deliver_size;
    size_t sequence_at;      /* in a delivery: 8 bytes that the server writes, or SEQUENCE_NONE */
    size_t stamp_publish_at; /* where the paced mode writes the intended time, or STAMP_NONE */
    size_t stamp_deliver_at;
    uint64_t check_frames; /* deliveries compared per subscriber at the beginning, and again at the end */
};

void plan_make(struct plan *plan, const struct options *options);

/* Frames among the first `sent` of a publisher that subscriber `subscriber` must get. */
uint64_t plan_expected(const struct plan *plan, uint32_t publisher, uint32_t subscriber, uint64_t sent);

/* Does `got` match frame `frame` of a publisher? The server's sequence and the stamp are left out. */
bool plan_matches(const struct plan *plan, uint32_t publisher, uint32_t frame, const uint8_t *got);

static inline bool plan_owns(const struct plan *plan, uint32_t publisher, uint32_t frame,
                             uint32_t subscriber) {
    return plan->options->share == SHARE_ALL || plan->cycles[publisher].owner[frame] == subscriber;
}
