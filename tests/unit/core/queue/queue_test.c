/* What one queue does with members, credit, acknowledgements, leases and keys. */
#include "tests/unit/core/queue/queue_fixture.h"
#include "core/base/heap.h"
#include "core/base/limits.h"
#include "tests/unit/leaks.h"

#include <errno.h>

enum { ANNA = 11, BERT = 22, CARL = 33 };

Test(queue, gives_events_to_its_members_in_turn) {
    struct world world = world_make();
    world_join(&world, ANNA, 2);
    world_join(&world, BERT, 2);
    uint64_t owners[] = {ANNA, BERT, ANNA, BERT};
    for (uint64_t i = 0; i < 4; i++) {
        cr_assert_eq(world_offer(&world, i + 1, 0), OFFER_GIVEN);
        cr_assert_eq(world.last.owner, owners[i]);
        cr_assert_eq(world.last.delivery, i / 2 + 1);
        cr_assert(world.last.attempt == 1 && world.last.position == i + 1 && !world.last.replay);
    }
    cr_assert_eq(world_offer(&world, 5, 0), OFFER_WAIT);
    cr_assert_eq(queue_cursor(world.queue, 0), 5, "the cursor waits");
    cr_assert_eq(world_ack(&world, BERT, 1, QUEUE_ACK_DONE), QUEUE_OK);
    cr_assert_eq(world_offer(&world, 5, 0), OFFER_GIVEN);
    cr_assert(world.last.owner == BERT && world.last.delivery == 3);
    world_end(&world);
    LEAKS_NONE();
}

Test(queue, gives_nothing_without_members) {
    struct world world = world_make();
    cr_assert_eq(world_offer(&world, 1, 0), OFFER_WAIT);
    cr_assert_eq(world_offer(&world, 1, 7), OFFER_WAIT);
    world_end(&world);
}

Test(queue, refuses_a_window_of_zero_and_one_above_the_limit) {
    struct world world = world_make();
    uint64_t lost;
    cr_assert_eq(queue_join(world.queue, ANNA, 0, false, &lost), QUEUE_NO_WINDOW);
    cr_assert_eq(queue_join(world.queue, ANNA, QUEUE_WINDOW_MAX + 1, false, &lost), QUEUE_NO_WINDOW);
    cr_assert_eq(queue_join(world.queue, ANNA, QUEUE_WINDOW_MAX, false, &lost), QUEUE_OK);
    cr_assert_eq(queue_join(world.queue, ANNA, 1, false, &lost), QUEUE_TWICE);
    world_end(&world);
}

Test(queue, refuses_members_above_the_limit) {
    struct world world = world_make();
    uint64_t lost;
    for (uint64_t owner = 1; owner <= QUEUE_MEMBERS_MAX; owner++)
        world_join(&world, owner, 1);
    cr_assert_eq(queue_join(world.queue, QUEUE_MEMBERS_MAX + 1, 1, false, &lost), QUEUE_MEMBERS_FULL);
    queue_leave(world.queue, 500);
    cr_assert_eq(queue_join(world.queue, QUEUE_MEMBERS_MAX + 1, 1, false, &lost), QUEUE_OK);
    world_end(&world);
}

Test(queue, without_a_group_has_one_holder_who_can_be_put_out) {
    struct queue_terms terms = world_terms();
    terms.group = false;
    struct world world = world_with(&terms);
    uint64_t lost;
    world_join(&world, ANNA, 10);
    cr_assert_eq(world_offer(&world, 1, 0), OFFER_GIVEN);
    cr_assert_eq(queue_join(world.queue, BERT, 10, false, &lost), QUEUE_TAKEN);
    cr_assert_eq(queue_join(world.queue, BERT, 10, true, &lost), QUEUE_OK);
    cr_assert_eq(lost, ANNA);
    cr_assert_eq(world_ack(&world, ANNA, 1, QUEUE_ACK_DONE), QUEUE_STRANGER);
    cr_assert_eq(world_take(&world), BERT, "what the other held comes again");
    cr_assert(world.last.position == 1 && world.last.attempt == 2);
    world_end(&world);
}

Test(queue, tells_apart_what_can_not_be_acknowledged) {
    struct world world = world_make();
    world_join(&world, ANNA, 10);
    world_join(&world, BERT, 10);
    cr_assert_eq(world_offer(&world, 1, 0), OFFER_GIVEN);
    cr_assert_eq(world_ack(&world, ANNA, 0, QUEUE_ACK_DONE), QUEUE_NEVER);
    cr_assert_eq(world_ack(&world, ANNA, 2, QUEUE_ACK_DONE), QUEUE_NEVER);
    cr_assert_eq(world_ack(&world, ANNA, 2, QUEUE_ACK_DONE_THROUGH), QUEUE_NEVER);
    cr_assert_eq(world_ack(&world, BERT, 1, QUEUE_ACK_DONE), QUEUE_NEVER, "it went to another member");
    cr_assert_eq(world_ack(&world, CARL, 1, QUEUE_ACK_DONE), QUEUE_STRANGER);
    cr_assert_eq(world_ack(&world, ANNA, 1, QUEUE_ACK_EXTEND + 1), QUEUE_KIND);
    cr_assert_eq(world_ack(&world, ANNA, 1, QUEUE_ACK_DONE), QUEUE_OK);
    for (uint32_t kind = QUEUE_ACK_DONE; kind <= QUEUE_ACK_EXTEND; kind++)
        cr_assert_eq(world_ack(&world, ANNA, 1, kind), QUEUE_OVER);
    cr_assert_eq(queue_floor(world.queue, 0), 2);
    world_end(&world);
}

Test(queue, has_a_text_of_its_own_for_each_refusal) {
    for (int i = QUEUE_OK + 1; i < QUEUE_ANSWERS; i++) {
        struct fault fault = queue_fault((enum queue_answer)i);
        cr_assert(fault.code != RH_CODE_NONE && fault.text && fault.field);
        for (int j = QUEUE_OK + 1; j < i; j++)
            cr_assert_str_neq(fault.text, queue_fault((enum queue_answer)j).text);
    }
}

Test(queue, acknowledges_all_up_to_a_delivery) {
    struct world world = world_make();
    world_join(&world, ANNA, 10);
    for (uint64_t i = 1; i <= 5; i++)
        cr_assert_eq(world_offer(&world, i, 0), OFFER_GIVEN);
    cr_assert_eq(world_ack(&world, ANNA, 2, QUEUE_ACK_DONE), QUEUE_OK);
    cr_assert_eq(queue_floor(world.queue, 0), 1);
    cr_assert_eq(world_ack(&world, ANNA, 4, QUEUE_ACK_DONE_THROUGH), QUEUE_OK);
    cr_assert_eq(queue_floor(world.queue, 0), 5);
    cr_assert_eq(world_ack(&world, ANNA, 4, QUEUE_ACK_DONE_THROUGH), QUEUE_OVER);
    cr_assert_eq(queue_counts(world.queue).totals.done, 4);
    cr_assert_eq(world_ack(&world, ANNA, 5, QUEUE_ACK_DONE_THROUGH), QUEUE_OK);
    cr_assert_eq(queue_floor(world.queue, 0), 6);
    world_end(&world);
}

Test(queue, tells_a_member_that_its_lease_has_ended_and_gives_the_event_to_another) {
    struct world world = world_make();
    world_join(&world, ANNA, 10);
    cr_assert_eq(world_offer(&world, 1, 0), OFFER_GIVEN);
    world_join(&world, BERT, 10);
    struct queue_expired expired;
    cr_assert_eq(queue_due(world.queue), 1 + WORLD_LEASE_NS);
    world.now_ns = WORLD_LEASE_NS;
    cr_assert_not(world_expire(&world, &expired));
    world.now_ns++;
    cr_assert(world_expire(&world, &expired));
    cr_assert(expired.owner == ANNA && expired.delivery == 1);
    cr_assert_not(world_expire(&world, &expired));
    cr_assert_eq(world_ack(&world, ANNA, 1, QUEUE_ACK_DONE), QUEUE_OVER);
    cr_assert_eq(world_take(&world), 0, "not before the pause is over");
    world.now_ns += WORLD_BACKOFF_NS;
    cr_assert_eq(queue_due(world.queue), world.now_ns);
    cr_assert_not(world_expire(&world, &expired), "a pause is nobody's lease");
    cr_assert_eq(world_take(&world), BERT);
    cr_assert_eq(world.last.attempt, 2);
    world_end(&world);
}

Test(queue, gives_an_event_to_the_same_member_again_when_nobody_else_has_credit) {
    struct world world = world_make();
    world_join(&world, ANNA, 1);
    cr_assert_eq(world_offer(&world, 1, 0), OFFER_GIVEN);
    cr_assert_eq(world_ack(&world, ANNA, 1, QUEUE_ACK_RETRY), QUEUE_OK);
    struct queue_expired expired;
    world.now_ns += WORLD_BACKOFF_NS;
    cr_assert_not(world_expire(&world, &expired));
    cr_assert_eq(world_take(&world), ANNA);
    cr_assert_eq(world.last.delivery, 2);
    world_end(&world);
}

Test(queue, begins_a_lease_anew_when_asked) {
    struct world world = world_make();
    world_join(&world, ANNA, 10);
    cr_assert_eq(world_offer(&world, 1, 0), OFFER_GIVEN);
    struct queue_expired expired;
    for (int i = 0; i < 5; i++) {
        world.now_ns += WORLD_LEASE_NS - 1;
        cr_assert_not(world_expire(&world, &expired));
        cr_assert_eq(world_ack(&world, ANNA, 1, QUEUE_ACK_EXTEND), QUEUE_OK);
    }
    world.now_ns += WORLD_LEASE_NS;
    cr_assert(world_expire(&world, &expired));
    world_end(&world);
}

Test(queue, doubles_the_pause_up_to_an_end_and_lets_a_consumer_name_its_own) {
    struct queue_terms terms = world_terms();
    terms.attempts = 100;
    struct world world = world_with(&terms);
    world_join(&world, ANNA, 10);
    cr_assert_eq(world_offer(&world, 1, 0), OFFER_GIVEN);
    uint64_t pause_ns = WORLD_BACKOFF_NS, delivery = 1;
    struct queue_expired expired;
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(world_ack(&world, ANNA, delivery++, QUEUE_ACK_RETRY), QUEUE_OK);
        cr_assert_eq(queue_due(world.queue), world.now_ns + pause_ns);
        world.now_ns += pause_ns;
        cr_assert_not(world_expire(&world, &expired));
        cr_assert_eq(world_take(&world), ANNA);
        pause_ns = 2 * pause_ns < QUEUE_BACKOFF_NS_MAX ? 2 * pause_ns : QUEUE_BACKOFF_NS_MAX;
    }
    cr_assert_eq(pause_ns, QUEUE_BACKOFF_NS_MAX);
    struct queue_ack ack = {.owner = ANNA, .delivery = delivery, .kind = QUEUE_ACK_RETRY, .after_ns = 5};
    cr_assert_eq(queue_ack(world.queue, &ack, world_now(&world)), QUEUE_OK);
    cr_assert_eq(queue_due(world.queue), world.now_ns + 5);
    ack.after_ns = QUEUE_BACKOFF_NS_MAX + 1;
    world.now_ns += 5;
    cr_assert_not(world_expire(&world, &expired));
    cr_assert_eq(world_take(&world), ANNA);
    ack.delivery = world.last.delivery;
    cr_assert_eq(queue_ack(world.queue, &ack, world_now(&world)), QUEUE_PAUSE);
    world_end(&world);
}

Test(queue, says_after_the_last_attempt_that_an_event_is_dead) {
    struct queue_terms terms = world_terms();
    terms.attempts = 2;
    struct world world = world_with(&terms);
    world_join(&world, ANNA, 10);
    struct queue_dead dead;
    struct queue_expired expired;
    cr_assert_eq(world_offer(&world, 1, 0), OFFER_GIVEN);
    cr_assert_eq(world_ack(&world, ANNA, 1, QUEUE_ACK_RETRY), QUEUE_OK);
    cr_assert_not(queue_dead(world.queue, &dead));
    world.now_ns += WORLD_BACKOFF_NS;
    cr_assert_not(world_expire(&world, &expired));
    cr_assert_eq(world_take(&world), ANNA);
    world.now_ns += WORLD_LEASE_NS;
    cr_assert(world_expire(&world, &expired));
    cr_assert(queue_dead(world.queue, &dead));
    cr_assert(dead.position == 1 && dead.attempts == 2 && !dead.refused);
    cr_assert(dead.first_ns == WORLD_WALL_NS + 1 && dead.last_ns == WORLD_WALL_NS + 1 + WORLD_BACKOFF_NS);
    cr_assert(dead.reason.n && memmem(dead.reason.p, dead.reason.n, "lease", 5));
    cr_assert_eq(queue_floor(world.queue, 0), 1, "it is outstanding until it is buried");
    queue_buried(world.queue);
    cr_assert_not(queue_dead(world.queue, &dead));
    cr_assert_eq(queue_floor(world.queue, 0), 2);
    cr_assert_eq(queue_counts(world.queue).totals.buried, 1);
    world_end(&world);
    LEAKS_NONE();
}

Test(queue, keeps_why_an_event_was_refused_cut_between_characters) {
    struct world world = world_make();
    world_join(&world, ANNA, 10);
    char reason[QUEUE_REASON_BYTES_MAX + 10];
    memset(reason, 'x', sizeof reason);
    memcpy(reason + QUEUE_REASON_BYTES_MAX - 1, "\xc3\xa9", 2); /* two bytes across the limit */
    struct queue_dead dead;
    for (uint64_t i = 1; i <= 3; i++) {
        cr_assert_eq(world_offer(&world, i, 0), OFFER_GIVEN);
        struct queue_text text = {(const uint8_t *)reason, i == 1 ? 4 : i == 2 ? sizeof reason : 0};
        struct queue_ack ack = {.owner = ANNA, .delivery = i, .kind = QUEUE_ACK_REFUSE, .reason = text};
        cr_assert_eq(queue_ack(world.queue, &ack, world_now(&world)), QUEUE_OK);
    }
    uint32_t lengths[] = {4, QUEUE_REASON_BYTES_MAX - 1, 0};
    for (uint64_t i = 1; i <= 3; i++) {
        cr_assert(queue_dead(world.queue, &dead));
        cr_assert(dead.refused && dead.position == i && dead.reason.n == lengths[i - 1]);
        queue_buried(world.queue);
    }
    world_end(&world);
    LEAKS_NONE();
}

Test(queue, gives_what_a_leaving_member_held_to_the_others_in_order) {
    struct world world = world_make();
    world_join(&world, ANNA, 10);
    for (uint64_t i = 1; i <= 4; i++)
        cr_assert_eq(world_offer(&world, i, 0), OFFER_GIVEN);
    cr_assert_eq(world_ack(&world, ANNA, 2, QUEUE_ACK_DONE), QUEUE_OK);
    queue_leave(world.queue, ANNA);
    queue_leave(world.queue, ANNA);
    queue_check(world.queue);
    cr_assert_eq(queue_due(world.queue), UINT64_MAX, "nobody holds anything");
    world_join(&world, BERT, 2);
    cr_assert_eq(world_offer(&world, 5, 0), OFFER_WAIT, "what is old comes first");
    cr_assert_eq(world_take(&world), BERT);
    cr_assert(world.last.position == 1 && world.last.attempt == 2);
    cr_assert_eq(world_take(&world), BERT);
    cr_assert_eq(world.last.position, 3);
    cr_assert_eq(world_take(&world), 0);
    world_join(&world, CARL, 2);
    cr_assert_eq(world_take(&world), CARL);
    cr_assert_eq(world.last.position, 4);
    cr_assert_eq(world_offer(&world, 5, 0), OFFER_GIVEN);
    world_end(&world);
}

Test(queue, does_not_count_a_member_that_leaves_as_a_failure) {
    struct queue_terms terms = world_terms();
    terms.attempts = 1;
    struct world world = world_with(&terms);
    struct queue_dead dead;
    world_join(&world, ANNA, 1);
    cr_assert_eq(world_offer(&world, 1, 0), OFFER_GIVEN);
    for (uint32_t i = 2; i < 6; i++) {
        queue_leave(world.queue, ANNA);
        cr_assert_not(queue_dead(world.queue, &dead));
        world_join(&world, ANNA, 1);
        cr_assert_eq(world_take(&world), ANNA);
        cr_assert(world.last.attempt == i && world.last.delivery == 1, "it counts from 1 again");
    }
    cr_assert_eq(world_ack(&world, ANNA, 1, QUEUE_ACK_RETRY), QUEUE_OK);
    cr_assert(queue_dead(world.queue, &dead));
    world_end(&world);
}

Test(queue, keeps_the_order_of_a_key_while_others_go_on) {
    struct world world = world_make();
    world_join(&world, ANNA, 10);
    cr_assert_eq(world_offer(&world, 1, 7), OFFER_GIVEN);
    cr_assert_eq(world_offer(&world, 2, 7), OFFER_PARKED);
    cr_assert_eq(world_offer(&world, 3, 8), OFFER_GIVEN);
    cr_assert_eq(world_offer(&world, 4, 7), OFFER_PARKED);
    cr_assert_eq(world_offer(&world, 5, 0), OFFER_GIVEN);
    cr_assert_eq(world_take(&world), 0);
    cr_assert_eq(world_ack(&world, ANNA, 1, QUEUE_ACK_RETRY), QUEUE_OK);
    cr_assert_eq(world_take(&world), 0, "a failing key parks what follows of it");
    cr_assert_eq(world_offer(&world, 6, 9), OFFER_GIVEN, "... and nothing else");
    struct queue_expired expired;
    world.now_ns += WORLD_BACKOFF_NS;
    cr_assert_not(world_expire(&world, &expired));
    uint64_t positions[] = {1, 2, 4};
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(world_take(&world), ANNA);
        cr_assert_eq(world.last.position, positions[i]);
        cr_assert_eq(world_take(&world), 0);
        cr_assert_eq(world_ack(&world, ANNA, 5 + (uint64_t)i, QUEUE_ACK_DONE), QUEUE_OK);
    }
    cr_assert_eq(queue_floor(world.queue, 0), 3);
    cr_assert_eq(queue_counts(world.queue).parked, 0);
    world_end(&world);
}

Test(queue, lets_the_cursor_wait_when_enough_is_parked) {
    struct world world = world_make();
    world_join(&world, ANNA, 2);
    cr_assert_eq(world_offer(&world, 1, 7), OFFER_GIVEN);
    struct queue_event event = {.position = 2, .key = 7, .size = 1};
    struct queue_delivery delivery;
    for (; event.position < 2 + QUEUE_PARKED_MAX; event.position++)
        cr_assert_eq(queue_offer(world.queue, &event, world_now(&world), &delivery), OFFER_PARKED);
    cr_assert_eq(queue_offer(world.queue, &event, world_now(&world), &delivery), OFFER_WAIT);
    cr_assert_eq(queue_cursor(world.queue, 0), event.position);
    cr_assert_eq(world_ack(&world, ANNA, 1, QUEUE_ACK_DONE), QUEUE_OK);
    cr_assert_eq(world_take(&world), ANNA);
    cr_assert_eq(queue_offer(world.queue, &event, world_now(&world), &delivery), OFFER_PARKED);
    world_end(&world);
    LEAKS_NONE();
}

Test(queue, holds_no_more_than_the_limit_however_many_members_it_has) {
    struct world world = world_make();
    for (uint64_t owner = 1; owner <= 4; owner++)
        world_join(&world, owner, QUEUE_WINDOW_MAX);
    struct queue_event event = {.position = 1, .size = 1};
    struct queue_delivery delivery;
    for (; event.position <= QUEUE_OUTSTANDING_MAX; event.position++)
        cr_assert_eq(queue_offer(world.queue, &event, world_now(&world), &delivery), OFFER_GIVEN);
    cr_assert_eq(queue_offer(world.queue, &event, world_now(&world), &delivery), OFFER_WAIT);
    cr_assert_leq(queue_save_bound(world.queue), QUEUE_STATE_BYTES_MAX);
    world_end(&world);
}

Test(queue, gives_a_member_that_holds_many_bytes_no_more) {
    struct world world = world_make();
    world_join(&world, ANNA, 100);
    struct queue_event event = {.position = 1, .size = QUEUE_MEMBER_BYTES_MAX + 1};
    struct queue_delivery delivery;
    cr_assert_eq(queue_offer(world.queue, &event, world_now(&world), &delivery), OFFER_GIVEN, "one always");
    cr_assert_eq(world_offer(&world, 2, 0), OFFER_WAIT);
    cr_assert_eq(world_ack(&world, ANNA, 1, QUEUE_ACK_DONE), QUEUE_OK);
    cr_assert_eq(world_offer(&world, 2, 0), OFFER_GIVEN);
    world_end(&world);
}

Test(queue, replays_beside_what_is_new_and_does_not_hold_it_up) {
    struct world world = world_make();
    world_join(&world, ANNA, 4);
    cr_assert_eq(world_offer(&world, 1, 7), OFFER_GIVEN);
    cr_assert_eq(world_ack(&world, ANNA, 1, QUEUE_ACK_DONE), QUEUE_OK);
    struct queue_event event = {.position = 1, .key = 7, .size = 1, .replay = true};
    struct queue_delivery delivery;
    cr_assert_eq(queue_offer(world.queue, &event, world_now(&world), &delivery), OFFER_GIVEN);
    cr_assert(delivery.replay && delivery.position == 1 && delivery.delivery == 2 && delivery.attempt == 1);
    cr_assert_eq(queue_offer(world.queue, &event, world_now(&world), &delivery), OFFER_PARKED);
    event.key = 0;
    cr_assert_eq(queue_offer(world.queue, &event, world_now(&world), &delivery), OFFER_GIVEN);
    cr_assert_eq(queue_offer(world.queue, &event, world_now(&world), &delivery), OFFER_WAIT, "half a window");
    cr_assert_eq(queue_floor(world.queue, 0), 2);
    cr_assert_eq(queue_cursor(world.queue, 0), 2);
    cr_assert_eq(world_offer(&world, 2, 7), OFFER_GIVEN, "a key is not held up by its past");
    cr_assert_not(world.last.replay);
    cr_assert_eq(world_ack(&world, ANNA, 2, QUEUE_ACK_DONE), QUEUE_OK);
    cr_assert_eq(world_offer(&world, 3, 0), OFFER_GIVEN, "a parked replay waits behind what is new");
    cr_assert_eq(world_take(&world), ANNA);
    cr_assert(world.last.replay);
    world_end(&world);
}

static enum queue_offer replayed(struct world *world, uint64_t position, uint64_t key) {
    struct queue_event event = {.position = position, .key = key, .size = 1, .replay = true};
    enum queue_offer offer = queue_offer(world->queue, &event, world_now(world), &world->last);
    queue_check(world->queue);
    return offer;
}

Test(queue, forgets_what_waits_when_a_replay_ends_and_leaves_what_is_out_to_its_member) {
    struct world world = world_make();
    world_join(&world, ANNA, 8);
    cr_assert_eq(world_offer(&world, 1, 7), OFFER_GIVEN);
    for (uint64_t i = 2; i < 6; i++)
        cr_assert_eq(replayed(&world, i, 7), i == 2 ? OFFER_GIVEN : OFFER_PARKED);
    cr_assert_eq(replayed(&world, 6, 0), OFFER_GIVEN);
    cr_assert_eq(replayed(&world, 7, 0), OFFER_GIVEN);
    cr_assert_eq(world_ack(&world, ANNA, 3, QUEUE_ACK_RETRY), QUEUE_OK, "it is in its pause");
    cr_assert_eq(world_ack(&world, ANNA, 4, QUEUE_ACK_DONE), QUEUE_OK);
    struct queue_replay replay = queue_replay(world.queue);
    cr_assert(replay.delivered == 3 && replay.done == 1 && replay.outstanding == 5);
    queue_replay_end(world.queue);
    queue_check(world.queue);
    replay = queue_replay(world.queue);
    cr_assert(replay.delivered == 0 && replay.done == 0 && replay.outstanding == 0);
    struct queue_counts counts = queue_counts(world.queue);
    cr_assert(counts.out == 2 && counts.parked == 0 && counts.replays == 1);
    cr_assert_eq(replayed(&world, 2, 7), OFFER_PARKED, "the next replay waits for what is left of the first");
    cr_assert_eq(world_ack(&world, ANNA, 2, QUEUE_ACK_RETRY), QUEUE_OK, "taken, and not put back");
    cr_assert_eq(world_take(&world), ANNA);
    cr_assert(world.last.replay && world.last.position == 2 && world.last.attempt == 1);
    replay = queue_replay(world.queue);
    cr_assert(replay.delivered == 1 && replay.outstanding == 1);
    cr_assert_eq(queue_floor(world.queue, 0), 1, "nothing of all that is the queue's own");
    queue_replay_end(world.queue);
    queue_leave(world.queue, ANNA);
    counts = queue_counts(world.queue);
    cr_assert(counts.parked == 1 && counts.replays == 0, "only what is live goes to the next member");
    world_end(&world);
}

Test(queue, leaves_what_is_live_room_beside_a_replay) {
    struct world world = world_make();
    world_join(&world, ANNA, QUEUE_WINDOW_MAX);
    cr_assert_eq(replayed(&world, 1, 7), OFFER_GIVEN);
    uint64_t parked = 0;
    struct queue_event event = {.position = 2, .key = 7, .size = 1, .replay = true};
    while (queue_offer(world.queue, &event, world_now(&world), &world.last) == OFFER_PARKED)
        parked++;
    cr_assert_eq(parked, QUEUE_PARKED_MAX / 2);
    event.key = 0;
    uint64_t out = 1;
    while (queue_offer(world.queue, &event, world_now(&world), &world.last) == OFFER_GIVEN)
        out++;
    cr_assert(out == QUEUE_WINDOW_MAX / 2 && parked + out <= QUEUE_REPLAYS_MAX);
    cr_assert_eq(world_offer(&world, 1, 9), OFFER_GIVEN);
    for (uint64_t i = 2; i < 1000; i++)
        cr_assert_eq(world_offer(&world, i, 9), OFFER_PARKED);
    world_end(&world);
}

Test(queue, tells_up_to_where_it_has_been_offered_a_log) {
    struct world world = world_make();
    world_join(&world, ANNA, 8);
    cr_assert_eq(queue_reached(world.queue, 5), 0);
    cr_assert(world_offer(&world, 1, 0) == OFFER_GIVEN && world_offer(&world, 2, 0) == OFFER_GIVEN);
    queue_pass(world.queue, 0, 9);
    cr_assert_eq(queue_reached(world.queue, 0), 9);
    uint8_t bytes[1000];
    size_t length = queue_save(world.queue, bytes, sizeof bytes);
    struct fault fault;
    struct queue *restored;
    cr_assert_eq(queue_restore(&restored, bytes, length, &fault), 0);
    cr_assert_eq(queue_cursor(restored, 0), 1);
    cr_assert_eq(queue_reached(restored, 0), 9, "as before the restart");
    queue_destroy(restored);
    world_end(&world);
}

Test(queue, passes_over_what_is_not_for_it) {
    struct world world = world_make();
    world_join(&world, ANNA, 4);
    cr_assert_eq(world_offer(&world, 10, 0), OFFER_GIVEN);
    queue_pass(world.queue, 0, 50);
    queue_pass(world.queue, 0, 40);
    cr_assert_eq(queue_cursor(world.queue, 0), 50);
    cr_assert_eq(queue_floor(world.queue, 0), 10);
    cr_assert_eq(world_ack(&world, ANNA, 1, QUEUE_ACK_DONE), QUEUE_OK);
    cr_assert_eq(queue_floor(world.queue, 0), 50);
    cr_assert_eq(queue_begin(world.queue, 0, 60), 0);
    cr_assert_eq(queue_cursor(world.queue, 0), 50, "it has begun there");
    cr_assert(queue_places(world.queue) == 1 && queue_owner(world.queue, 0) == ANNA);
    world_end(&world);
}

Test(queue, has_a_cursor_in_each_of_many_logs) {
    struct world world = world_make();
    for (uint32_t log = QUEUE_LOGS_MAX - 1; log > 0; log--)
        cr_assert_eq(queue_begin(world.queue, 10 * log, log), 0);
    cr_assert_eq(queue_begin(world.queue, 5, 1), -ENOSPC);
    for (uint32_t log = 1; log < QUEUE_LOGS_MAX; log++)
        cr_assert_eq(queue_cursor(world.queue, 10 * log), log);
    world_end(&world);
}

Test(queue, counts_what_it_has_lost_as_done) {
    struct world world = world_make();
    world_join(&world, ANNA, 4);
    cr_assert_eq(world_offer(&world, 1, 7), OFFER_GIVEN);
    cr_assert_eq(world_offer(&world, 2, 7), OFFER_PARKED);
    queue_lost(world.queue, ANNA, 1);
    cr_assert_eq(queue_floor(world.queue, 0), 2);
    cr_assert_eq(world_take(&world), ANNA);
    cr_assert_eq(queue_counts(world.queue).totals.lost, 1);
    world_end(&world);
}

Test(queue, tells_a_mailbox_that_it_is_full_until_something_is_done) {
    struct queue_terms terms = {.name = world_text("@crm"), .capacity = 3};
    terms_settle(&terms);
    struct world world = world_with(&terms);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(queue_admit(world.queue), QUEUE_OK);
    cr_assert_eq(queue_admit(world.queue), QUEUE_CAPACITY);
    world_join(&world, ANNA, 4);
    for (uint64_t i = 1; i <= 3; i++)
        cr_assert_eq(world_offer(&world, i, 0), OFFER_GIVEN);
    cr_assert_eq(queue_admit(world.queue), QUEUE_CAPACITY, "it holds what is not acknowledged");
    cr_assert_eq(world_ack(&world, ANNA, 1, QUEUE_ACK_DONE), QUEUE_OK);
    cr_assert_eq(queue_admit(world.queue), QUEUE_OK);
    cr_assert_eq(queue_admit(world.queue), QUEUE_CAPACITY);
    queue_hold(world.queue, 1);
    cr_assert_eq(queue_counts(world.queue).held, 1);
    cr_assert_eq(queue_admit(world.queue), QUEUE_OK);
    world_end(&world);
}

Test(queue, tells_how_much_is_outstanding_and_since_when) {
    struct world world = world_make();
    world_join(&world, ANNA, 2);
    cr_assert_eq(queue_counts(world.queue).oldest_ns, 0);
    cr_assert_eq(world_offer(&world, 5, 7), OFFER_GIVEN);
    cr_assert_eq(world_offer(&world, 6, 7), OFFER_PARKED);
    cr_assert_eq(world_offer(&world, 7, 0), OFFER_GIVEN);
    struct queue_counts counts = queue_counts(world.queue);
    cr_assert(counts.out == 2 && counts.parked == 1 && counts.dead == 0 && counts.bytes == 200);
    cr_assert(counts.oldest_ns == WORLD_WALL_NS + 5 && counts.totals.delivered == 2);
    cr_assert_eq(world_ack(&world, ANNA, 1, QUEUE_ACK_DONE), QUEUE_OK);
    cr_assert_eq(queue_counts(world.queue).oldest_ns, WORLD_WALL_NS + 6);
    world_end(&world);
}

/* ---- memory ---- */

static size_t taken, refuse_from, calls;

static bool count_bytes(size_t bytes) {
    taken += bytes;
    return ++calls >= refuse_from;
}

Test(queue, costs_a_few_hundred_bytes_while_it_is_empty) {
    struct queue_terms terms = {.name = world_text("@crm")};
    terms_settle(&terms);
    refuse_from = SIZE_MAX;
    heap_refuse = count_bytes;
    struct world world = world_with(&terms);
    heap_refuse = NULL;
    cr_assert_lt(taken, 300, "%zu bytes", taken);
    world_end(&world);
}

Test(queue, gives_back_what_it_has_grown_once_it_is_empty) {
    struct world world = world_make();
    world_join(&world, ANNA, 100);
    for (uint64_t i = 1; i <= 100; i++)
        cr_assert_eq(world_offer(&world, i, i), OFFER_GIVEN);
    queue_trim(world.queue);
    cr_assert_eq(queue_counts(world.queue).out, 100, "nothing is taken from one that is not empty");
    cr_assert_eq(world_ack(&world, ANNA, 100, QUEUE_ACK_DONE_THROUGH), QUEUE_OK);
    queue_leave(world.queue, ANNA);
    queue_trim(world.queue);
    queue_check(world.queue);
    world_join(&world, BERT, 100);
    cr_assert_eq(world_offer(&world, 101, 5), OFFER_GIVEN);
    world_end(&world);
    LEAKS_NONE();
}

Test(queue, is_idle_again_when_all_have_left_and_still_knows_what_it_has_done) {
    struct world world = world_make();
    for (uint64_t i = 1; i <= 3; i++) {
        world_join(&world, ANNA, 100);
        cr_assert_eq(world_offer(&world, i, i), OFFER_GIVEN);
        cr_assert_eq(world_ack(&world, ANNA, 1, QUEUE_ACK_DONE), QUEUE_OK);
        queue_leave(world.queue, ANNA);
        queue_trim(world.queue);
        queue_check(world.queue);
        cr_assert(queue_members(world.queue) == 0 && queue_places(world.queue) == 0);
        cr_assert_eq(queue_due(world.queue), UINT64_MAX);
        cr_assert_not(world_take(&world));
        cr_assert_eq(world_offer(&world, i + 1, 0), OFFER_WAIT);
        cr_assert_eq(world_ack(&world, ANNA, 1, QUEUE_ACK_DONE), QUEUE_STRANGER);
        cr_assert(queue_counts(world.queue).totals.done == i && queue_cursor(world.queue, 0) == i + 1);
    }
    world_end(&world);
    LEAKS_NONE();
}

Test(queue, keeps_what_became_of_a_replay_while_nobody_is_a_member) {
    struct world world = world_make();
    world_join(&world, ANNA, 100);
    struct queue_event event = {.position = 1, .size = 1, .replay = true};
    cr_assert_eq(queue_offer(world.queue, &event, world_now(&world), &world.last), OFFER_GIVEN);
    cr_assert_eq(world_ack(&world, ANNA, 1, QUEUE_ACK_DONE), QUEUE_OK);
    queue_leave(world.queue, ANNA);
    queue_trim(world.queue);
    cr_assert(queue_replay(world.queue).delivered == 1 && queue_replay(world.queue).done == 1);
    queue_replay_end(world.queue);
    cr_assert_eq(queue_replay(world.queue).delivered, 0);
    queue_replay_end(world.queue); /* of one that is idle */
    world_end(&world);
    LEAKS_NONE();
}

/* One round of everything that allocates. True when nothing was refused. */
static bool round_without(size_t nth) {
    struct queue_terms terms = world_terms();
    struct queue *queue = NULL;
    struct queue_delivery delivery;
    uint64_t lost;
    calls = 0;
    refuse_from = nth;
    heap_refuse = count_bytes;
    bool whole = queue_create(&queue, &terms) == 0;
    if (whole)
        whole = queue_begin(queue, 0, 1) == 0 && queue_join(queue, ANNA, 50, false, &lost) == QUEUE_OK &&
                queue_join(queue, BERT, 50, false, &lost) == QUEUE_OK;
    for (uint64_t i = 1; whole && i <= 40; i++) {
        struct queue_event event = {.position = i, .key = i % 3 ? i : 0, .size = 1};
        whole = queue_offer(queue, &event, (struct queue_time){1, 1}, &delivery) == OFFER_GIVEN;
        cr_assert_eq(queue_cursor(queue, 0), whole ? i + 1 : i, "what was refused can be offered again");
    }
    heap_refuse = NULL;
    if (queue)
        queue_check(queue);
    queue_destroy(queue);
    return whole;
}

Test(queue, survives_the_lack_of_memory_wherever_it_comes) {
    size_t nth = 1;
    while (!round_without(nth))
        nth++;
    cr_assert_gt(nth, 15);
    LEAKS_NONE();
}
