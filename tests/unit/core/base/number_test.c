/* Decimal numbers, read strictly. */
#include "core/base/number.h"

#include <criterion/criterion.h>
#include <string.h>

static size_t read_text(const char *text, uint64_t *number) {
    return number_read(text, strlen(text), number);
}

Test(number, is_read_up_to_the_first_other_character) {
    uint64_t number = 0;
    cr_expect(read_text("0", &number) == 1 && number == 0);
    cr_expect(read_text("4470", &number) == 4 && number == 4470);
    cr_expect(read_text("007", &number) == 3 && number == 7);
    cr_expect(read_text("12 34", &number) == 2 && number == 12);
    cr_expect(read_text("5x", &number) == 1 && number == 5);
    cr_expect(number_read("123", 2, &number) == 2 && number == 12);
    cr_expect(read_text("18446744073709551615", &number) == 20 && number == UINT64_MAX);
}

Test(number, that_is_none_or_too_large_writes_nothing) {
    static const char *const texts[] = {
        "", "-1", "+1", " 1", "x", ".5", "\t1", "18446744073709551616", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        uint64_t number = 42;
        cr_expect(read_text(texts[i], &number) == 0, "'%s'", texts[i]);
        cr_expect(number == 42, "'%s'", texts[i]);
    }
    uint64_t number = 42;
    cr_expect(number_read("1", 0, &number) == 0 && number == 42);
}

Test(numbers, are_two_with_one_blank_between) {
    uint64_t first = 0, second = 0;
    cr_expect(numbers_read("300000 100000\n", &first, &second) && first == 300000 && second == 100000);
    cr_expect(numbers_read("1 2 3 4", &first, &second) && first == 1 && second == 2);
    static const char *const texts[] = {"", "1", "1 ", "1  2", "max 100000", "1\t2", "1 -2", "1 x", " 1 2"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        cr_expect(!numbers_read(texts[i], &first, &second) && first == 1 && second == 2, "'%s'", texts[i]);
}
