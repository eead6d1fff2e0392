// Built with ASan. ./check must count three passed and six failed here: if not, it does not see what
// Criterion reports.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/leaks.h"

static void *volatile lost;

Test(counted, passes) {
    cr_assert(1 + 1 == 2);
}

Test(counted, passes_after_freeing) {
    lost = malloc(100);
    free(lost);
    lost = NULL;
    LEAKS_NONE();
}

Test(counted, passes_in_the_expected_way, .exit_code = 3) {
    _exit(3);
}

Test(counted, fails_an_assertion) {
    cr_assert(1 + 1 == 3);
}

Test(counted, fails_an_expectation) {
    cr_expect(1 + 1 == 3);
}

Test(counted, aborts) {
    abort();
}

Test(counted, leaves_early_with_an_error) {
    _exit(1);
}

Test(counted, loses_memory) {
    lost = malloc(100);
    memset(lost, 1, 100);
    lost = NULL;
    LEAKS_NONE();
}

Test(counted, hangs, .timeout = 2) {
    for (;;) {
        pause();
    }
}
