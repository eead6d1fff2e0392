/* Bytes that wait: kept in order, with memory for what has come and not for what was announced. */
#include "tests/unit/leaks.h"
#include "tests/unit/refuse.h"

#include "core/conn/input.c"

#include <criterion/criterion.h>
#include <signal.h>

/* The n-th byte of a stream that has no short period. */
static uint8_t byte_at(uint64_t n) {
    return (uint8_t)(n * 2654435761u >> 13);
}

static uint8_t bytes[4096];

static int keep(struct input *input, uint64_t from, size_t length) {
    for (size_t i = 0; i < length; i++)
        bytes[i] = byte_at(from + i);
    return input_keep(input, bytes, length);
}

static void expect(const struct input *input, uint64_t from, size_t length) {
    cr_assert(input_length(input) == length);
    for (size_t i = 0; i < length; i++)
        cr_assert(input_at(input)[i] == byte_at(from + i), "byte %zu of %zu", i, length);
}

Test(input, keeps_the_order_whatever_is_taken_out_meanwhile) {
    struct input input = {0};
    uint64_t seed = 1, produced = 0, consumed = 0;
    size_t most = 0;
    for (unsigned step = 0; step < 20000; step++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        size_t want = (seed >> 33) % (step % 100 == 0 ? sizeof bytes : 300);
        size_t waiting = (size_t)(produced - consumed);
        if (seed >> 63 || waiting > 3000) {
            want = want < waiting ? want : waiting;
            input_drop(&input, want);
            consumed += want;
        } else {
            cr_assert(keep(&input, produced, want) == 0);
            produced += want;
        }
        waiting = (size_t)(produced - consumed);
        most = most > waiting ? most : waiting;
        if (step % 97 == 0)
            expect(&input, consumed, waiting);
        cr_assert(input.capacity <= 2 * most + INPUT_BYTES_MIN, "it holds %u for %zu", input.capacity, most);
    }
    expect(&input, consumed, (size_t)(produced - consumed));
    input_deinit(&input);
    LEAKS_NONE();
}

Test(input, moves_to_the_front_before_it_grows) {
    struct input input = {0};
    cr_assert(keep(&input, 0, 1) == 0 && input.capacity == INPUT_BYTES_MIN);
    cr_assert(keep(&input, 1, INPUT_BYTES_MIN - 1) == 0 && input.capacity == INPUT_BYTES_MIN);
    for (uint64_t taken = 0; taken < 2000; taken += 7) {
        input_drop(&input, 7);
        cr_assert(keep(&input, taken + INPUT_BYTES_MIN, 7) == 0);
        cr_assert(input.capacity == INPUT_BYTES_MIN);
        expect(&input, taken + 7, INPUT_BYTES_MIN);
    }
    cr_assert(keep(&input, 0, 1) == 0 && input.capacity == 2 * INPUT_BYTES_MIN);
    input_deinit(&input);
}

Test(input, begins_anew_when_it_is_empty) {
    struct input input = {0};
    cr_assert(keep(&input, 0, INPUT_BYTES_CHEAP + 1) == 0);
    input_drop(&input, INPUT_BYTES_CHEAP + 1);
    cr_assert(input.begin == 0 && input.end == 0 && input.bytes != NULL);
    input_rest(&input);
    cr_assert(input.bytes == NULL && input.capacity == 0);
    cr_assert(keep(&input, 0, 100) == 0);
    input_rest(&input);
    expect(&input, 0, 100);
    cr_assert(input_keep(&input, NULL, 0) == 0);
    expect(&input, 0, 100);
    input_deinit(&input);
    input_deinit(&input);
    LEAKS_NONE();
}

Test(input, holds_no_small_buffer_while_it_is_empty) {
    struct input input = {0};
    for (uint64_t from = 0; from < 3000; from += 100) {
        cr_assert(keep(&input, from, 100) == 0);
        input_drop(&input, 60);
        expect(&input, from + 60, 40);
        input_drop(&input, 40);
        cr_assert(input.bytes == NULL && input.capacity == 0);
    }
    LEAKS_NONE();
}

Test(input, is_bounded_by_the_largest_frame_and_what_may_come_behind_it) {
    enum { PIECE = 4 << 20 };
    struct input input = {0};
    uint8_t *piece = calloc(1, PIECE);
    cr_assert(piece != NULL);
    size_t kept = 0;
    for (; kept + PIECE <= INPUT_BYTES_MAX; kept += PIECE)
        cr_assert(input_keep(&input, piece, PIECE) == 0);
    cr_assert(input_keep(&input, piece, INPUT_BYTES_MAX - kept) == 0);
    cr_assert(input_length(&input) == INPUT_BYTES_MAX);
    uint32_t capacity = input.capacity;
    cr_assert(input_keep(&input, piece, 1) == -ENOMEM, "although its buffer has room");
    cr_assert(input_length(&input) == INPUT_BYTES_MAX && input.capacity == capacity);
    free(piece);
    input_deinit(&input);
    LEAKS_NONE();
}

Test(input, keeps_what_is_there_when_there_is_no_memory) {
    struct input input = {0};
    refuse_at = 1;
    cr_assert(keep(&input, 0, 10) == -ENOMEM && input_length(&input) == 0);
    cr_assert(keep(&input, 0, INPUT_BYTES_MIN) == 0);
    refuse_at = 1;
    cr_assert(keep(&input, INPUT_BYTES_MIN, 1) == -ENOMEM && refuse_refused == 2);
    expect(&input, 0, INPUT_BYTES_MIN);
    cr_assert(keep(&input, INPUT_BYTES_MIN, 1) == 0);
    expect(&input, 0, INPUT_BYTES_MIN + 1);
    input_deinit(&input);
    LEAKS_NONE();
}

Test(input, does_not_drop_more_than_there_is, .signal = SIGABRT) {
    struct input input = {0};
    cr_assert(keep(&input, 0, 10) == 0);
    input_drop(&input, 11);
}

/* Bytes that lie in a row somewhere else, as they were received. */
static uint8_t *elsewhere(size_t length) {
    uint8_t *lent = malloc(length);
    cr_assert_not_null(lent);
    for (size_t i = 0; i < length; i++)
        lent[i] = byte_at(i);
    return lent;
}

Test(input, borrows_what_lies_in_a_row_and_owns_it_when_told) {
    struct input input = {0};
    uint8_t *lent = elsewhere(1000);
    input_borrow(&input, lent, 100);
    cr_assert(input.borrowed && input_at(&input) == lent);
    cr_assert(input_keep(&input, lent + 100, 50) == 0);
    cr_assert(input.borrowed && input_length(&input) == 150, "what lies behind is borrowed, too");
    input_drop(&input, 30);
    cr_assert(input_at(&input) == lent + 30);
    cr_assert(input_own(&input) == 0 && !input.borrowed);
    memset(lent, 0, 1000);
    expect(&input, 30, 120);
    cr_assert(input_own(&input) == 0);
    expect(&input, 30, 120);
    input_deinit(&input);
    free(lent);
    LEAKS_NONE();
}

Test(input, owns_what_it_borrowed_when_other_bytes_follow) {
    struct input input = {0};
    uint8_t *lent = elsewhere(100);
    input_borrow(&input, lent, 100);
    cr_assert(keep(&input, 100, 20) == 0 && !input.borrowed);
    free(lent);
    expect(&input, 0, 120);
    input_deinit(&input);
    LEAKS_NONE();
}

Test(input, forgets_what_it_borrowed_when_all_is_handled) {
    struct input input = {0};
    uint8_t *lent = elsewhere(100);
    input_borrow(&input, lent, 100);
    input_drop(&input, 100);
    cr_assert(!input.borrowed && input.bytes == NULL);
    input_borrow(&input, lent, 0);
    cr_assert(!input.borrowed && input.bytes == NULL);
    input_borrow(&input, lent, 10);
    input_deinit(&input);
    free(lent);
    LEAKS_NONE();
}

Test(input, moves_what_it_keeps_to_another_place) {
    struct input input = {0};
    uint8_t *place = malloc(200);
    cr_assert(keep(&input, 0, 150) == 0);
    input_drop(&input, 50);
    input_move(&input, place);
    cr_assert(input.borrowed && input_at(&input) == place);
    expect(&input, 50, 100);
    input_drop(&input, 100);
    input_move(&input, place);
    cr_assert(!input.borrowed && input_length(&input) == 0);
    free(place);
    LEAKS_NONE();
}

Test(input, has_nothing_when_there_is_no_memory_to_own_it) {
    struct input input = {0};
    uint8_t *lent = elsewhere(100);
    input_borrow(&input, lent, 100);
    refuse_at = 1;
    cr_assert(input_own(&input) == -ENOMEM);
    cr_assert(refuse_at == 0);
    cr_assert(input_length(&input) == 0 && !input.borrowed);
    free(lent);
    LEAKS_NONE();
}
