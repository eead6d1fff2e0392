/* check.h: assertions graded by price.
 * Owner: core/base. Any thread may call.
 * Nothing blocks; a failed check prints one line and aborts.
 * CHECK is always on; CHECK_HOT only where RH_CHECK_HOT is defined (debug and sanitizer builds).
 * A disabled check is not evaluated and never becomes an assumption of the optimiser. */
#pragma once

_Noreturn void check_failed(const char *condition, const char *file, int line);

#define CHECK(cond)                                                                                          \
    do {                                                                                                     \
        if (__builtin_expect(!(cond), 0))                                                                    \
            check_failed(#cond, __FILE__, __LINE__);                                                         \
    } while (0)

#ifdef RH_CHECK_HOT
#define CHECK_HOT(cond) CHECK(cond)
#else
#define CHECK_HOT(cond)                                                                                      \
    do {                                                                                                     \
        (void)sizeof(cond);                                                                                  \
    } while (0)
#endif

#define LIKELY(cond)   __builtin_expect(!!(cond), 1)
#define UNLIKELY(cond) __builtin_expect(!!(cond), 0)
#define MUST_USE       __attribute__((warn_unused_result))
