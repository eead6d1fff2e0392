/* fence.h: the full fence of the two-sided protocols: I write mine, then look at yours.
 * Owner: ring/. Nothing outside ring/ may include it.
 * Any thread may call; `word` is the atomic word that both sides of the protocol touch.
 * Nothing blocks.
 * Nothing fails. */
#pragma once

#include <stdint.h>

/* Orders every earlier store of this thread before every later load of it, against the same fence in another
 * thread. ThreadSanitizer does not know stand-alone fences (gcc refuses to build one), so its build uses a
 * read-modify-write of the shared word instead. That is as strong: of two such operations on one word the
 * later reads from the earlier and synchronises with it, so at least one side sees what the other wrote
 * before. It costs ownership of the word's cache line, which is why the product does not do it. */
static inline void ring_fence(uint32_t *word) {
#ifdef RH_TSAN
    __atomic_fetch_add(word, 0, __ATOMIC_SEQ_CST);
#else
    (void)word;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}
