/* The file whose allocations fail is compiled into this test. */
#include "tests/unit/refuse.h"

#include "codecs/table/csv.c" /* NOLINT */
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>

Test(csv_memory, gives_no_reader_wherever_it_is_missing) {
    struct dialect dialect = {
        .name = "d", .row = "ROW", .message_name = "M", .message = DIALECT_KEY, .delimiter = ','};
    struct document_sink sink = {0};
    unsigned refused = 0;
    for (unsigned at = 1;; at++) {
        refuse_at = at;
        struct csv *csv = csv_new(&dialect, NULL, &sink);
        bool all = refuse_at > 0;
        refuse_at = 0;
        cr_expect((csv != NULL) == all, "allocation %u", at);
        csv_free(csv);
        if (all)
            break;
        refused++;
    }
    cr_expect(refused == 9, "%u", refused);
    LEAKS_NONE();
}
