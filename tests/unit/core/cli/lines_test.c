/* Lines of a descriptor: the same whatever pieces they come in, with bounded memory. */
#include "tests/unit/leaks.h"
#include "tests/unit/refuse.h"

#include "core/cli/lines.c"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

static void expect_line(struct lines *lines, const char *wanted, uint64_t number) {
    const char *line;
    size_t length;
    cr_assert(lines_next(lines, &line, &length) == LINES_LINE);
    cr_assert(length == strlen(wanted) && memcmp(line, wanted, length) == 0, "%.*s", (int)length, line);
    cr_assert(lines->number == number);
}

static void expect_none(struct lines *lines, int result) {
    const char *line;
    size_t length;
    cr_assert(lines_next(lines, &line, &length) == result);
}

/* A file in memory with these bytes, at its beginning. */
static int file_of(const void *bytes, size_t length) {
    int file = memfd_create("lines", MFD_CLOEXEC);
    cr_assert(file >= 0 && write(file, bytes, length) == (ssize_t)length && lseek(file, 0, SEEK_SET) == 0);
    return file;
}

Test(lines, are_the_same_in_every_split_and_never_wait_for_more) {
    static const char text[] = "one\n\ntwo\r\nthree, which is longer\nend";
    for (size_t split = 0; split < sizeof text; split++) {
        int ends[2];
        struct lines lines;
        cr_assert(pipe2(ends, O_CLOEXEC) == 0);
        lines_init(&lines, ends[0], 1000);
        expect_none(&lines, LINES_WAIT);
        cr_assert(write(ends[1], text, split) == (ssize_t)split);
        const char *line;
        size_t length, seen = 0;
        int result;
        while ((result = lines_next(&lines, &line, &length)) == LINES_LINE)
            seen += length + 1;
        cr_assert(result == LINES_WAIT && seen <= split);
        cr_assert(memchr(text + seen, '\n', split - seen) == NULL, "every whole line has been given");
        size_t rest = sizeof text - 1 - split;
        cr_assert(write(ends[1], text + split, rest) == (ssize_t)rest);
        (void)close(ends[1]);
        while ((result = lines_next(&lines, &line, &length)) == LINES_LINE)
            seen += length + 1;
        cr_assert(result == LINES_END && seen == sizeof text && lines.number == 5);
        expect_none(&lines, LINES_END);
        (void)close(ends[0]);
        lines_deinit(&lines);
    }
    LEAKS_NONE();
}

Test(lines, come_without_their_end_and_are_counted) {
    int file = file_of("one\n\ntwo\r\n\nthree", 16);
    struct lines lines;
    lines_init(&lines, file, 1000);
    expect_line(&lines, "one", 1);
    expect_line(&lines, "", 2);
    expect_line(&lines, "two\r", 3);
    expect_line(&lines, "", 4);
    expect_line(&lines, "three", 5);
    expect_none(&lines, LINES_END);
    (void)close(file);
    lines_deinit(&lines);
    lines_deinit(&lines);
}

Test(lines, of_nothing_are_none) {
    int file = file_of("", 0);
    struct lines lines;
    lines_init(&lines, file, 1000);
    expect_none(&lines, LINES_END);
    (void)close(file);
    lines_deinit(&lines);
    LEAKS_NONE();
}

Test(lines, may_be_as_long_as_the_limit_and_cost_no_more) {
    enum { LIMIT = 300000 };
    char *text = malloc(2 * LIMIT);
    cr_assert(text != NULL);
    memset(text, 'x', 2 * LIMIT);
    text[LIMIT] = '\n';
    int file = file_of(text, LIMIT + 1);
    struct lines lines;
    const char *line;
    size_t length;
    lines_init(&lines, file, LIMIT);
    cr_assert(lines_next(&lines, &line, &length) == LINES_LINE && length == LIMIT);
    expect_none(&lines, LINES_END);
    (void)close(file);
    lines_deinit(&lines);
    text[LIMIT] = 'x';
    file = file_of(text, 2 * LIMIT);
    lines_init(&lines, file, LIMIT);
    expect_none(&lines, -EFBIG);
    cr_assert(lines.capacity <= 4 * LIMIT);
    (void)close(file);
    lines_deinit(&lines);
    free(text);
    LEAKS_NONE();
}

Test(lines, tell_a_failed_read_and_want_of_memory) {
    struct lines lines;
    int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    lines_init(&lines, folder, 1000);
    expect_none(&lines, -EISDIR);
    (void)close(folder);
    lines_deinit(&lines);
    int file = file_of("one\n", 4);
    lines_init(&lines, file, 1000);
    refuse_at = 1;
    expect_none(&lines, -ENOMEM);
    expect_line(&lines, "one", 1);
    (void)close(file);
    lines_deinit(&lines);
    LEAKS_NONE();
}

Test(read_all, reads_to_the_end_and_no_more_than_allowed) {
    static uint8_t bytes[200000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 251);
    static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 131072, sizeof bytes};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        int file = file_of(bytes, sizes[i]);
        uint8_t *all = NULL;
        size_t length = 7;
        cr_assert(read_all(file, sizes[i], &all, &length) == 0 && all != NULL && length == sizes[i]);
        cr_assert(memcmp(all, bytes, length) == 0);
        free(all);
        if (sizes[i] > 0) {
            cr_assert(lseek(file, 0, SEEK_SET) == 0);
            cr_assert(read_all(file, sizes[i] - 1, &all, &length) == -EFBIG && all == NULL);
        }
        for (unsigned at = 1; at <= 2 && sizes[i] > 65536; at++) {
            cr_assert(lseek(file, 0, SEEK_SET) == 0);
            refuse_at = at;
            cr_assert(read_all(file, sizes[i], &all, &length) == -ENOMEM && all == NULL);
        }
        (void)close(file);
    }
    LEAKS_NONE();
}
