/* logfmt.h: log lines for people and machines, on standard error, as key=value or as JSON.
 * Owner: core/base. Any thread may call; one line is one write, so lines never mix.
 * Not for the data path: callers rate-limit what can repeat (logfmt_allowed).
 * Blocks on a slow disk or terminal; never on a pipe or socket that nobody reads.
 * Never fails the caller; a line that can not be written is dropped, and the thread's next one says `lost=N`.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum logfmt_level { LOGFMT_DEBUG, LOGFMT_INFO, LOGFMT_WARN, LOGFMT_ERROR };

enum logfmt_format { LOGFMT_TEXT, LOGFMT_JSON };

/* Lines below this level are not written. Default LOGFMT_INFO. At any time, one thread at a time. */
void logfmt_level_set(enum logfmt_level least);
/* How lines are written from now on. Default LOGFMT_TEXT. The same. */
void logfmt_format_set(enum logfmt_format format);

/* Writes `time=... level=... msg="MESSAGE" FIELDS`. `fields` is a printf format of ready key=value pairs, may
 * be "". A value that can hold blanks is written with %s of logfmt_quote. */
void logfmt(enum logfmt_level level, const char *message, const char *fields, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes `text` (length bytes) quoted, with quotes, control characters, those that nobody sees and bytes that
 * are not UTF-8 escaped, into `out` (at least 8 bytes); cut with "..." when it does not fit. Returns out. */
const char *logfmt_quote(char *out, uint64_t out_size, const char *text, uint64_t length);

/* A line of key=value as one JSON object, without the line's end, into `out` (at least 64 bytes); returns its
 * length. Valid JSON whatever the line's bytes are: what is no UTF-8 stands as \xNN in the text; whole
 * numbers that every reader holds are numbers, all else is text. What does not fit is left out at the end. */
uint64_t logfmt_json(char *out, uint64_t out_size, const char *line, uint64_t length);

/* A budget of lines of one kind: at most 10 per second, the rest counted and told with the next one.
 * Zero-initialised; owned by one thread. Returns true when a line may be written, and then sets *suppressed
 * to those left out before. */
struct logfmt_limit {
    uint64_t window_start_ns;
    uint32_t written;
    uint32_t suppressed;
};
bool logfmt_allowed(struct logfmt_limit *limit, uint64_t now_ns, uint32_t *suppressed);
