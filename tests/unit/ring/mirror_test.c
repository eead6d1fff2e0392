#include "ring/mirror.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

Test(mirror, shows_each_byte_at_two_addresses) {
    uint64_t bytes = 2 * (uint64_t)sysconf(_SC_PAGESIZE);
    for (int prefault = 0; prefault < 2; prefault++) {
        uint8_t *base = NULL;
        cr_assert_eq(mirror_map(&base, bytes, prefault != 0), 0);
        for (uint64_t i = 0; i < 2 * bytes; i++)
            cr_assert_eq(base[i], 0);
        for (uint64_t i = 0; i < bytes; i++)
            base[i] = (uint8_t)(i * 31 % 251);
        cr_assert_eq(memcmp(base, base + bytes, bytes), 0);
        memset(base + bytes - 3, 0xee, 6); /* across the seam */
        cr_assert_eq(base[0] + base[1] + base[2], 3 * 0xee);
        mirror_unmap(base, bytes);
    }
}

Test(mirror, refuses_sizes_that_are_not_whole_pages) {
    uint8_t *base = NULL;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t wrong[] = {
        0, 1, page - 1, page + 1, page / 2, UINT64_MAX, UINT64_MAX - page + 1, UINT64_C(1) << 63};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_eq(mirror_map(&base, wrong[i], false), -EINVAL, "size %lu", (unsigned long)wrong[i]);
    cr_assert_null(base);
}

Test(mirror, answers_without_descriptors_and_without_address_space_and_leaves_nothing_open) {
    uint8_t *base = NULL;
    int free_before = dup(0);
    close(free_before);
    struct rlimit files, no_files = {0, 0};
    getrlimit(RLIMIT_NOFILE, &files);
    no_files.rlim_max = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &no_files);
    int result = mirror_map(&base, 65536, false);
    setrlimit(RLIMIT_NOFILE, &files);
    cr_assert_eq(result, -EMFILE);
    cr_assert_eq(mirror_map(&base, UINT64_C(1) << 61, false), -ENOMEM, "there is no such address space");
    int free_after = dup(0);
    close(free_after);
    cr_assert_eq(free_after, free_before, "the memfd of a failed mapping is closed");
}

Test(mirror, accepts_null_to_unmap) {
    mirror_unmap(NULL, 4096);
    LEAKS_NONE();
}
