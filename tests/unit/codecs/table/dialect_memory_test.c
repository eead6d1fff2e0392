/* The file whose allocations fail is compiled into this test. */
#include "tests/unit/refuse.h"

#include "codecs/table/dialect.c" /* NOLINT */
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>

Test(dialect_memory, says_that_it_is_missing_wherever_it_is) {
    for (unsigned at = 1; at < 3; at++) {
        struct dialect dialect;
        struct layout_error error;
        refuse_at = at;
        cr_expect(dialect_read(&dialect, "column a\n", 9, &error) == -ENOMEM, "allocation %u", at);
        cr_expect_str_eq(error.text, "out of memory");
        refuse_at = 0;
        dialect_free(&dialect);
    }
    LEAKS_NONE();
}
