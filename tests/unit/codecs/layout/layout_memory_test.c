/* The file whose allocations fail is compiled into this test. */
#include "tests/unit/refuse.h"

#include "codecs/layout/layout.c" /* NOLINT */
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>

Test(layout_memory, says_that_it_is_missing_wherever_it_is) {
    static const char text[] =
        "record A\n field X 1 1\n table T 2 2 occurs 3\n  column C 1 2\n also B C\nrecord D\n";
    unsigned refused = 0;
    for (unsigned at = 1;; at++) {
        struct layouts layouts = {0};
        struct layout_error error;
        refuse_at = at;
        int result = layouts_add(&layouts, text, sizeof text - 1, &error);
        bool all = refuse_at > 0;
        refuse_at = 0;
        layouts_free(&layouts);
        if (all) {
            cr_expect(result == 0, "%s", error.text);
            break;
        }
        refused++;
        cr_expect(result == -ENOMEM && strcmp(error.text, "out of memory") == 0, "allocation %u", at);
    }
    cr_expect(refused >= 6, "%u", refused);
    LEAKS_NONE();
}
