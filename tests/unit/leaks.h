/*
 * Leak check inside a unit test.
 * Owner: the test that calls it; it keeps no state.
 * Thread: the one that runs the test, once, at its end: the process stands still for some milliseconds.
 * Blocks: only while the address space is searched.
 * Fails: by failing the test. Without AddressSanitizer it does nothing, and costs nothing.
 *
 * Criterion's children leave without the check at exit, so a test that allocates asks for it by itself, with
 * LEAKS_NONE() as its last statement, when everything it made has been freed. A pointer that is still in a
 * local variable or a register counts as reachable: set it to NULL after freeing, if that hides nothing.
 */
#ifndef TESTS_UNIT_LEAKS_H
#define TESTS_UNIT_LEAKS_H

#if defined(__SANITIZE_ADDRESS__)
#define LEAKS_WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEAKS_WATCHED 1
#endif
#endif

#ifdef LEAKS_WATCHED
#include <sanitizer/lsan_interface.h>
/* Zero if nothing has been lost since the process began; a report goes to standard error otherwise. */
#define LEAKS_COUNT() __lsan_do_recoverable_leak_check()
#else
#define LEAKS_COUNT() 0
#endif

/* Fails the running Criterion test when memory has been lost. The test includes <criterion/criterion.h>. */
#define LEAKS_NONE() cr_assert(LEAKS_COUNT() == 0, "memory has been lost: the report is on standard error")

#endif
