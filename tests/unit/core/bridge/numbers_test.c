/* Numbers of interchanges: each once, over restarts and crashes, and the same for the same document. */
#include "core/bridge/numbers.h"

#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/rh-numbers-XXXXXX";
static char file[sizeof dir + sizeof NUMBERS_FILE];

static void place_make(void) {
    cr_assert(mkdtemp(dir) != NULL);
    (void)snprintf(file, sizeof file, "%s/%s", dir, NUMBERS_FILE);
}

static void place_remove(void) {
    char other[sizeof file + 8];
    (void)snprintf(other, sizeof other, "%s.new", file);
    (void)chmod(dir, 0700);
    (void)rmdir(other);
    (void)unlink(other);
    (void)unlink(file);
    (void)rmdir(dir);
}

TestSuite(numbers, .init = place_make, .fini = place_remove);

static struct numbers *opened(void) {
    char why[256] = "";
    struct numbers *numbers = numbers_open(dir, why, sizeof why);
    cr_assert(numbers != NULL, "%s", why);
    return numbers;
}

static uint32_t take(struct numbers *numbers, uint64_t document) {
    uint32_t number = 0;
    cr_assert_eq(numbers_take(numbers, (struct numbers_key){.low = document, .high = 7}, &number), 0);
    return number;
}

static size_t file_read(char *text, size_t room) {
    FILE *in = fopen(file, "r");
    cr_assert(in != NULL);
    size_t length = fread(text, 1, room, in);
    (void)fclose(in);
    return length;
}

static void file_write(const char *text, size_t length) {
    FILE *out = fopen(file, "w");
    cr_assert(out != NULL && fwrite(text, 1, length, out) == length);
    (void)fclose(out);
}

Test(numbers, count_and_are_the_same_for_the_same_document) {
    struct numbers *numbers = opened();
    for (uint32_t i = 1; i <= 250; i++)
        cr_assert_eq(take(numbers, i), i);
    cr_assert_eq(take(numbers, 3), 3);
    numbers_close(numbers);
    numbers = opened();
    cr_assert_eq(take(numbers, 250), 250);
    cr_assert_eq(take(numbers, 1), 1);
    cr_assert_eq(take(numbers, 251), 251);
    numbers_close(numbers);
    LEAKS_NONE();
}

/* Cut anywhere, as a crash of the machine may: what went out never goes out with another document. */
Test(numbers, none_comes_again_after_a_crash) {
    static char whole[32768];
    struct numbers *numbers = opened();
    for (uint32_t i = 1; i <= 150; i++)
        (void)take(numbers, i);
    size_t length = file_read(whole, sizeof whole), synced = 0;
    numbers_close(numbers);
    for (size_t i = 0; i < length; i++) /* what was synced is there: up to the last reserve */
        if (memcmp(whole + i, "reserve", 7) == 0)
            synced = i + strlen("reserve 000000200\n");
    cr_assert(synced > 0 && length < sizeof whole);
    for (size_t cut = synced; cut <= length; cut += 29) {
        file_write(whole, cut);
        numbers = opened();
        size_t kept = 100 + (cut - synced) / 43;
        for (uint32_t i = 1; i <= kept; i++)
            cr_assert_eq(take(numbers, i), i);
        uint32_t next = take(numbers, 1000);
        cr_assert_eq(next, 201, "%u", next);
        numbers_close(numbers);
    }
    LEAKS_NONE();
}

Test(numbers, go_on_with_one_behind_the_largest) {
    static const char text[] = "roundhouse interchange numbers 1\nend 999999998\n";
    file_write(text, sizeof text - 1);
    struct numbers *numbers = opened();
    cr_assert_eq(take(numbers, 1), NUMBERS_MOST);
    cr_assert_eq(take(numbers, 2), 1);
    numbers_close(numbers);
    LEAKS_NONE();
}

Test(numbers, keep_the_file_small_and_what_is_recent) {
    struct numbers *numbers = opened();
    struct stat stat_of;
    uint32_t count = 2 * NUMBERS_RECENT + 100;
    for (uint32_t i = 1; i <= count; i++)
        cr_assert_eq(take(numbers, i), i);
    cr_assert(stat(file, &stat_of) == 0 && stat_of.st_size < (off_t)(2 * NUMBERS_RECENT * 43));
    numbers_close(numbers);
    numbers = opened();
    cr_assert_eq(take(numbers, count), count);
    cr_assert_eq(take(numbers, count - NUMBERS_RECENT + 1), count - NUMBERS_RECENT + 1);
    cr_assert_eq(take(numbers, count - NUMBERS_RECENT), count + 1); /* forgotten */
    numbers_close(numbers);
    LEAKS_NONE();
}

Test(numbers, are_refused_where_they_can_not_be_kept) {
    char why[256], other[sizeof file + 8];
    file_write("something else\n", 15);
    cr_assert(numbers_open(dir, why, sizeof why) == NULL);
    cr_assert(strstr(why, "it is no file of interchange numbers") != NULL, "%s", why);
    cr_assert(numbers_open("/nonexistent", why, sizeof why) == NULL);
    cr_assert(strstr(why, "can not be written: No such file") != NULL, "%s", why);
    (void)unlink(file);
    (void)snprintf(other, sizeof other, "%s.new", file);
    cr_assert_eq(mkdir(other, 0700), 0); /* in the way of the new file, for root, too */
    cr_assert(numbers_open(dir, why, sizeof why) == NULL);
    cr_assert(strstr(why, "can not be written: ") != NULL, "%s", why);
    LEAKS_NONE();
}
