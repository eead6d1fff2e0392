/* quit.h: how the load generator ends when a measurement can not stand: it says why and gives no number.
 * Owner: bench/load.
 * One process, one thread: ending at once is the safest way to report.
 * Writes one JSON object {"ok": false, "error": "..."} to standard output, and the sentence to standard
 * error. Nothing blocks. Never returns. */
#pragma once

/* QUIT_WRONG also when the server ends a connection in the middle, whosever: which one is missed first is
 * chance.
 */
enum quit_status {
    QUIT_USAGE = 64,       /* an option is wrong, or options contradict each other */
    QUIT_WRONG = 65,       /* events were lost, altered or repeated, or an answer was not what it must be */
    QUIT_UNAVAILABLE = 69, /* no connection, or it was closed before the measurement */
    QUIT_INTERNAL = 70,    /* memory, or a system call that can not fail */
};

_Noreturn void quit(enum quit_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
