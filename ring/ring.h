/* ring.h: the two answers of every ring.
 * Owner: ring/. Any thread may use them.
 * Full is an answer, never a wait.
 * Nothing blocks.
 * The caller keeps what did not fit and tries again after its wake. */
#pragma once

enum ring_result { RING_OK = 0, RING_FULL = 1 };
