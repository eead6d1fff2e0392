/* refuse.h: makes the n-th allocation of one file fail.
 * Owner: the test that includes it above the .c file it tests, whose malloc and its kin are then ours.
 * Only the test's thread calls.
 * Nothing blocks. The linker takes the test's copy of that file, not the library's.
 * Fails as it was told. */
#ifndef TESTS_UNIT_REFUSE_H
#define TESTS_UNIT_REFUSE_H

#include <stdbool.h>
#include <stdlib.h>

static unsigned refuse_at;      /* the next allocation but refuse_at - 1 fails; 0 = none does */
static unsigned refuse_refused; /* how many have failed */

static bool refuse_this(void) {
    if (refuse_at == 0 || --refuse_at > 0)
        return false;
    refuse_refused++;
    return true;
}

__attribute__((unused)) static void *refuse_malloc(size_t bytes) {
    return refuse_this() ? NULL : malloc(bytes);
}

__attribute__((unused)) static void *refuse_calloc(size_t count, size_t bytes) {
    return refuse_this() ? NULL : calloc(count, bytes);
}

__attribute__((unused)) static void *refuse_realloc(void *memory, size_t bytes) {
    return refuse_this() ? NULL : realloc(memory, bytes);
}

#define malloc  refuse_malloc
#define calloc  refuse_calloc
#define realloc refuse_realloc

#endif
