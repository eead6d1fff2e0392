#include "core/base/topic.h"
#include "core/base/heap.h"
#include "core/route/intern.h"
#include "tests/unit/core/route/random.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_NUMBER 7

static struct intern *make(uint32_t topics) {
    struct intern *intern;
    cr_assert_eq(intern_create(&intern, LOG_NUMBER, topics, 99), 0);
    return intern;
}

static uint64_t id_of(struct intern *intern, const char *name) {
    const uint8_t *bytes = (const uint8_t *)name;
    return intern_id(intern, bytes, (uint32_t)strlen(name), topic_hash(bytes, strlen(name), 5));
}

static uint64_t id_of_number(struct intern *intern, uint64_t number) {
    char name[48];
    snprintf(name, sizeof name, "erp.order.%llu", (unsigned long long)number);
    return id_of(intern, name);
}

Test(intern, gives_a_name_the_same_id_as_long_as_it_remembers_it) {
    struct intern *intern = make(4096);
    uint64_t ids[2000];
    for (uint64_t i = 0; i < 2000; i++)
        ids[i] = id_of_number(intern, i);
    cr_assert_eq(ids[0], (uint64_t)LOG_NUMBER << 48 | 1);
    for (uint64_t i = 0; i < 2000; i++)
        cr_assert_eq(id_of_number(intern, i), ids[i]);
    cr_assert_eq(intern_count(intern), 2000);
    cr_assert_eq(intern_evicted(intern), 0);
    intern_destroy(intern);
    LEAKS_NONE();
}

Test(intern, keeps_names_apart_whose_hashes_are_equal) {
    struct intern *intern = make(1024);
    uint64_t ids[100];
    for (int round = 0; round < 2; round++)
        for (uint32_t i = 0; i < 100; i++) {
            char name[8];
            uint32_t length = (uint32_t)snprintf(name, sizeof name, "t%u", i);
            uint64_t id = intern_id(intern, (uint8_t *)name, length, 42);
            cr_assert(round == 0 || id == ids[i]);
            ids[i] = id;
        }
    for (uint32_t i = 1; i < 100; i++)
        cr_assert_gt(ids[i], ids[i - 1]);
    intern_destroy(intern);
}

Test(intern, survives_a_flood_of_equal_hashes) {
    struct intern *intern = make(1u << 16);
    uint64_t last = 0;
    for (uint32_t i = 0; i < 20000; i++) {
        char name[16];
        uint32_t length = (uint32_t)snprintf(name, sizeof name, "t%u", i);
        uint64_t id = intern_id(intern, (uint8_t *)name, length, 42);
        cr_assert_gt(id, last, "a new name has a new id");
        last = id;
    }
    cr_assert_leq(intern_count(intern), 512, "one hash fills a page in each generation, no more");
    intern_destroy(intern);
}

Test(intern, never_forgets_a_name_that_is_in_use) {
    struct intern *intern = make(1000);
    uint64_t hot[10];
    for (uint64_t i = 0; i < 10; i++)
        hot[i] = id_of_number(intern, i);
    for (uint64_t i = 10; i < 100000; i++) {
        id_of_number(intern, i);
        if (i % 100 == 0)
            for (uint64_t j = 0; j < 10; j++)
                cr_assert_eq(id_of_number(intern, j), hot[j]);
    }
    intern_destroy(intern);
}

Test(intern, holds_bounded_memory_while_ten_million_names_pass_and_reuses_no_id) {
#ifdef LEAKS_WATCHED
    const uint64_t names = 1000000;
#else
    const uint64_t names = 10000000;
#endif
    struct intern *intern = make(4096);
    uint64_t last = 0, bytes_max = 0;
    for (uint64_t i = 0; i < names; i++) {
        uint64_t hash = i * UINT64_C(0x9e3779b97f4a7c15), name[2] = {i | UINT64_C(0x0101010101010101), i};
        uint64_t id = intern_id(intern, (uint8_t *)name, sizeof name, hash);
        cr_assert(id > last, "ids rise, so that none comes twice");
        last = id;
        bytes_max = intern_bytes(intern) > bytes_max ? intern_bytes(intern) : bytes_max;
    }
    cr_assert_leq(intern_count(intern), 4096);
    cr_assert_geq(intern_count(intern), 2048);
    cr_assert_eq(intern_count(intern) + intern_evicted(intern), names);
    cr_assert_lt(bytes_max, 1u << 20);
    intern_destroy(intern);
    LEAKS_NONE();
}

Test(intern, bounds_the_memory_of_long_names_too) {
    struct intern *intern = make(8192);
    char name[256];
    memset(name, 'x', 255);
    name[255] = 0;
    for (uint32_t i = 0; i < 50000; i++) {
        char digits[8];
        memcpy(name, digits, (size_t)snprintf(digits, sizeof digits, "%u", i));
        id_of(intern, name);
    }
    cr_assert_lt(intern_bytes(intern), 8192u * 128u + (1u << 18));
    cr_assert_gt(intern_count(intern), 1500, "a third of the names at four times the usual length");
    intern_destroy(intern);
}

Test(intern, costs_little_while_there_are_few_topics) {
    struct intern *intern = make(1u << 20);
    for (uint64_t i = 0; i < 10; i++)
        id_of_number(intern, i);
    cr_assert_lt(intern_bytes(intern), 160u << 10);
    intern_destroy(intern);
}

/* A name's id is what a plain list of the names not yet forgotten says, or a new one. */
Test(intern, agrees_with_a_list_of_all_names_ever_seen) {
    enum { NAMES = 3000 };
    static uint64_t latest[NAMES];
    struct intern *intern = make(512);
    struct random random = {3};
    uint64_t issued = 0;
    for (uint32_t round = 0; round < 200000; round++) {
        size_t number = random_below(&random, random_below(&random, 2) ? 100 : NAMES);
        uint64_t id = id_of_number(intern, number), low = id & (~UINT64_C(0) >> 16);
        cr_assert_eq(id >> 48, LOG_NUMBER);
        cr_assert(id == latest[number] || low == issued + 1);
        issued = low > issued ? low : issued;
        latest[number] = id;
    }
    cr_assert_leq(intern_count(intern), 512);
    cr_assert_eq(intern_count(intern) + intern_evicted(intern), issued);
    intern_destroy(intern);
}

/* --- Without memory --- */

static size_t heap_left;

static bool refuse_after(size_t bytes) {
    (void)bytes;
    if (heap_left == 0)
        return true;
    heap_left--;
    return false;
}

Test(intern, creates_all_of_it_or_nothing_at_each_failed_allocation) {
    heap_refuse = refuse_after;
    struct intern *intern = NULL;
    size_t allowed = 0;
    for (;; allowed++) {
        heap_left = allowed;
        if (intern_create(&intern, LOG_NUMBER, 1024, 1) == 0)
            break;
        cr_assert_null(intern);
    }
    cr_assert_gt(allowed, 6);
    heap_refuse = NULL;
    intern_destroy(intern);
    LEAKS_NONE();
}

Test(intern, goes_on_with_what_it_has_at_each_failed_allocation) {
    for (size_t allowed = 0; allowed < 60; allowed++) {
        struct intern *intern = make(1u << 16);
        heap_left = allowed;
        heap_refuse = refuse_after;
        uint64_t last = 0;
        for (uint64_t i = 0; i < 5000; i++) {
            uint64_t id = id_of_number(intern, i);
            cr_assert_gt(id, last);
            cr_assert_eq(id_of_number(intern, i), id, "the newest name is always known");
            last = id;
        }
        heap_refuse = NULL;
        intern_destroy(intern);
    }
    LEAKS_NONE();
}

Test(intern, accepts_null_to_destroy) {
    intern_destroy(NULL);
}
