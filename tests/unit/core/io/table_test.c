#include "core/io/table.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>

struct thing {
    struct io_slot slot;
    uint64_t value;
};

Test(io_table, recognises_handles_of_an_earlier_life) {
    struct io_table table;
    io_table_init(&table, sizeof(struct thing));
    cr_assert_null(io_table_find(&table, 0));
    cr_assert_null(io_table_find(&table, UINT64_MAX));
    struct thing *thing = io_table_take(&table);
    io_handle first = io_slot_handle(&thing->slot);
    cr_assert_neq(first, 0);
    thing->value = 7;
    cr_assert_eq(io_table_find(&table, first), (void *)thing);
    io_table_give(&table, &thing->slot);
    cr_assert_null(io_table_find(&table, first));
    cr_assert_null(
        io_table_find(&table, io_slot_handle(&thing->slot))); /* free: the next handle is not out yet */
    struct thing *again = io_table_take(&table);
    cr_assert_eq(again, thing); /* the same slot, cleared */
    cr_assert_eq(again->value, 0);
    cr_assert_neq(io_slot_handle(&again->slot), first);
    again->slot.generation = UINT32_MAX;
    io_table_give(&table, &again->slot);
    cr_assert_eq(again->slot.generation, 1); /* 0 would make the handle of slot 0 the one that means none */
    io_table_check(&table);
    io_table_deinit(&table);
    LEAKS_NONE();
}

Test(io_table, grows_without_moving_what_is_there) {
    struct io_table table;
    io_table_init(&table, sizeof(struct thing));
    static struct thing *things[5000];
    for (uint64_t i = 0; i < 5000; i++) {
        things[i] = io_table_take(&table);
        cr_assert_not_null(things[i]);
        cr_assert_eq(things[i]->slot.index, i);
        things[i]->value = i;
    }
    io_table_check(&table);
    for (uint64_t i = 0; i < 5000; i++) {
        cr_assert_eq(things[i]->value, i);
        cr_assert_eq(io_table_find(&table, io_slot_handle(&things[i]->slot)), (void *)things[i]);
        io_table_give(&table, &things[i]->slot);
    }
    cr_assert_eq(table.live_count, 0);
    io_table_check(&table);
    io_table_deinit(&table);
    LEAKS_NONE();
}
