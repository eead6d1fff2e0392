/* Which line an event came from. */
#include "core/cli/places.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>

Test(places, count_lines_with_an_event_only_when_there_are_no_others) {
    struct places places = {0};
    cr_assert(places_line(&places, 1) == 1 && places_line(&places, 1000) == 1000);
    places_settle(&places, 500);
    cr_assert(places_line(&places, 1000) == 1000);
    places_deinit(&places);
}

/* The nth line has an event unless n is divisible by 3 or 7; the answer is compared with a plain list. */
Test(places, agree_with_a_list_of_all_lines_while_events_are_settled) {
    enum { LINES = 3000 };
    static uint64_t line_of[LINES];
    for (unsigned lag = 1; lag <= 1000; lag *= 10) {
        struct places places = {0};
        uint64_t events = 0, settled = 0;
        for (uint64_t line = 1; line <= LINES; line++) {
            if (line % 3 != 0 && line % 7 != 0)
                line_of[++events] = line;
            else
                cr_assert(places_skip(&places, events) == 0);
            if (events > settled + lag)
                places_settle(&places, ++settled);
            for (uint64_t event = settled + 1; event <= events; event++)
                cr_assert(places_line(&places, event) == line_of[event], "event %zu", (size_t)event);
        }
        cr_assert(places.capacity <= 2 * (lag + 16), "what is settled is dropped");
        places_deinit(&places);
    }
    LEAKS_NONE();
}

Test(places, keep_lines_in_a_row_as_one) {
    struct places places = {0};
    for (unsigned i = 0; i < 100000; i++)
        cr_assert(places_skip(&places, 5) == 0);
    cr_assert(places.end - places.begin == 1);
    cr_assert(places_line(&places, 5) == 5 && places_line(&places, 6) == 100006);
    places_settle(&places, 5);
    cr_assert(places.end == places.begin && places_line(&places, 6) == 100006);
    places_deinit(&places);
    LEAKS_NONE();
}
