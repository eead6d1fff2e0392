/* The file whose allocations fail is compiled into this test. */
#include "tests/unit/refuse.h"

#include "codecs/idoc/idoc.c" /* NOLINT */
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>

Test(idoc_memory, gives_no_reader_wherever_it_is_missing) {
    struct layouts layouts = {0};
    struct layout_error error;
    struct document_sink sink = {0};
    unsigned refused = 0;
    cr_assert(idoc_layouts(&layouts, &error) == 0);
    for (unsigned at = 1;; at++) {
        refuse_at = at;
        struct idoc *idoc = idoc_new(&layouts, NULL, &sink);
        bool all = refuse_at > 0;
        refuse_at = 0;
        cr_expect((idoc != NULL) == all, "allocation %u", at);
        idoc_free(idoc);
        if (all)
            break;
        refused++;
    }
    cr_expect(refused == 2, "%u", refused);
    layouts_free(&layouts);
    LEAKS_NONE();
}
