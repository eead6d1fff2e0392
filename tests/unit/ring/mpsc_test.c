#include "ring/mpsc.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stddef.h>

static struct mpsc *box_of(uint32_t commands) {
    struct mpsc *box = NULL;
    cr_assert_eq(mpsc_create(&box, commands), 0);
    return box;
}

static struct mpsc_command command_of(uint64_t i) {
    return (struct mpsc_command){
        .kind = (uint32_t)i, .small = (uint32_t)~i, .word = {i, i + 1, i + 2, i + 3, i + 4}};
}

static void expect(struct mpsc *box, uint64_t i) {
    struct mpsc_command got;
    cr_assert(mpsc_pop(box, &got));
    cr_assert_eq(got.kind, (uint32_t)i);
    cr_assert_eq(got.small, (uint32_t)~i);
    for (uint64_t w = 0; w < 5; w++)
        cr_assert_eq(got.word[w], i + w);
}

Test(mpsc, gives_commands_back_in_order_at_every_fill_and_around_the_end) {
    for (uint32_t commands = 2; commands <= 16; commands *= 2) {
        struct mpsc *box = box_of(commands);
        uint64_t pushed = 0, popped = 0;
        for (uint32_t round = 0; round < 200; round++) {
            for (uint32_t i = 0; i < round % commands + 1; i++, pushed++) {
                struct mpsc_command command = command_of(pushed);
                cr_assert_eq(mpsc_push(box, &command), RING_OK);
            }
            cr_assert(mpsc_pending(box));
            while (popped < pushed)
                expect(box, popped++);
            cr_assert_not(mpsc_pending(box));
        }
        mpsc_destroy(box);
    }
    LEAKS_NONE();
}

Test(mpsc, is_full_after_as_many_commands_as_it_was_made_for) {
    struct mpsc *box = box_of(8);
    struct mpsc_command command, got;
    cr_assert_not(mpsc_pop(box, &got));
    for (uint64_t start = 0; start < 40; start++) {
        for (uint64_t i = 0; i < 8; i++) {
            command = command_of(start + i);
            cr_assert_eq(mpsc_push(box, &command), RING_OK);
        }
        cr_assert_eq(mpsc_push(box, &command), RING_FULL);
        expect(box, start);
        command = command_of(start + 8);
        cr_assert_eq(mpsc_push(box, &command), RING_OK);
        cr_assert_eq(mpsc_push(box, &command), RING_FULL);
        for (uint64_t i = 1; i <= 8; i++)
            expect(box, start + i);
        cr_assert_not(mpsc_pop(box, &got));
    }
    mpsc_destroy(box);
}

Test(mpsc, refuses_sizes_that_are_no_power_of_two) {
    struct mpsc *box = NULL;
    uint32_t wrong[] = {0, 1, 3, 12, UINT32_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_eq(mpsc_create(&box, wrong[i]), -EINVAL);
    cr_assert_null(box);
    mpsc_destroy(NULL);
    LEAKS_NONE();
}
