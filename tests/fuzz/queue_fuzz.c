/* fuzz: queue_restore */
// check: runs=500000 max_len=1024 timeout=5

/* The bytes of a queue's state. What is accepted must be written again byte for byte, and be a queue that
 * works: a member gets what was outstanding, acknowledges it, and nothing is left. */
#include "core/queue/queue.h"

#include "core/base/heap.h"
#include "core/base/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OFFERS_MAX 40u /* of one log: a state may tell of positions far apart */

static void same_bytes(const struct queue *queue, const uint8_t *data, size_t size) {
    size_t bound = queue_save_bound(queue);
    CHECK(bound >= size);
    uint8_t *again = malloc(bound);
    CHECK(again);
    CHECK(queue_save(queue, again, SIZE_MAX) == size && memcmp(again, data, size) == 0);
    free(again);
}

/* From the cursor on everything is offered, as the keeper does after a start. */
static void go_on(struct queue *queue, uint32_t log, uint64_t *given) {
    struct queue_time now = {1, 1};
    struct queue_delivery delivery;
    for (uint32_t i = 0; i < OFFERS_MAX; i++) {
        struct queue_event event = {
            .position = queue_cursor(queue, log), .key = i % 3, .log = log, .size = 1};
        if (event.position >= UINT64_MAX - 1)
            return;
        enum queue_offer offer = queue_offer(queue, &event, now, &delivery);
        CHECK(offer != OFFER_WAIT && (offer != OFFER_GIVEN || delivery.position == event.position));
        *given += offer == OFFER_GIVEN;
    }
}

static void works(struct queue *queue) {
    uint64_t lost, given = 0;
    struct queue_time now = {1, 1};
    struct queue_delivery delivery;
    CHECK(queue_join(queue, 1, QUEUE_WINDOW_MAX, false, &lost) == QUEUE_OK);
    for (uint32_t log = 0; log < 4; log++)
        if (queue_begin(queue, log, 1) == 0)
            go_on(queue, log, &given);
    queue_check(queue);
    struct queue_ack ack = {.owner = 1, .delivery = given, .kind = QUEUE_ACK_DONE_THROUGH};
    while (given && queue_ack(queue, &ack, now) == QUEUE_OK)
        while (queue_take(queue, now, &delivery))
            ack.delivery = delivery.delivery;
    struct queue_counts counts = queue_counts(queue);
    CHECK(counts.out == 0 && counts.parked == 0);
    queue_check(queue);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct queue *queue = NULL;
    struct fault fault = {0};
    int error = queue_restore(&queue, data, size, &fault);
    CHECK(error == 0 || (error == -EBADMSG && fault.text && fault.field));
    if (error)
        return 0;
    queue_check(queue);
    same_bytes(queue, data, size);
    works(queue);
    queue_destroy(queue);
    return 0;
}
