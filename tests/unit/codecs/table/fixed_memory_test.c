/* The file whose allocations fail is compiled into this test. */
#include "tests/unit/refuse.h"

#include "codecs/table/fixed.c" /* NOLINT */
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>

Test(fixed_memory, gives_no_reader_wherever_it_is_missing) {
    static const char text[] = "record A\n field X 1 1\n";
    struct layouts layouts = {0};
    struct layout_error error;
    struct document_sink sink = {0};
    unsigned refused = 0;
    cr_assert(layouts_add(&layouts, text, sizeof text - 1, &error) == 0);
    for (unsigned at = 1;; at++) {
        refuse_at = at;
        struct fixed *fixed = fixed_new(&layouts, NULL, &sink);
        bool all = refuse_at > 0;
        refuse_at = 0;
        cr_expect((fixed != NULL) == all, "allocation %u", at);
        fixed_free(fixed);
        if (all)
            break;
        refused++;
    }
    cr_expect(refused == 7, "%u", refused);
    layouts_free(&layouts);
    LEAKS_NONE();
}
