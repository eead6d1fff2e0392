#include "core/base/logfmt.h"

#include "core/base/limits.h"
#include "core/base/utf8.h"
#include "ring/counter.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINES_PER_SECOND 10u
#define LINE_BYTES       1024u
#define JSON_BYTES       3072u /* less than a page with the line's end; three times what is escaped already */

/* All threads read them, one at a time writes. */
static struct counter level_least = {LOGFMT_INFO};
static struct counter line_format = {LOGFMT_TEXT};

/* Lines that this thread could not write since the last one that it could. */
static _Thread_local uint32_t lines_lost;

void logfmt_level_set(enum logfmt_level least) {
    counter_set(&level_least, least);
}

void logfmt_format_set(enum logfmt_format format) {
    counter_set(&line_format, format);
}

/* As vsnprintf behind what is there, but cut so that the line can still be ended. Returns the new length. */
__attribute__((format(printf, 3, 0))) static size_t line_add(char *line, size_t used, const char *format,
                                                             va_list arguments) {
    int more = vsnprintf(line + used, LINE_BYTES - 1 - used, format, arguments);
    used += more > 0 ? (size_t)more : 0;
    return used < LINE_BYTES - 2 ? used : LINE_BYTES - 2;
}

__attribute__((format(printf, 3, 4))) static size_t line_print(char *line, size_t used, const char *format,
                                                               ...) {
    va_list arguments;
    va_start(arguments, format);
    used = line_add(line, used, format, arguments);
    va_end(arguments);
    return used;
}

static size_t line_open(char *line, enum logfmt_level level, const char *message) {
    static const char *const names[] = {"debug", "info", "warn", "error"};
    struct timespec now;
    struct tm utc;
    char stamp[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    return line_print(line, 0, "time=%s.%03ldZ level=%s msg=\"%s\" ", stamp, now.tv_nsec / 1000000,
                      names[level], message);
}

/* A worker must not wait for a pipe that nobody reads. A line is shorter than a page, which is what a pipe
 * that takes anything takes at once. */
static bool stderr_takes_a_line(void) {
    struct pollfd error = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&error, 1, 0) != 0;
}

static void line_write(const char *line, size_t length) {
    char json[JSON_BYTES + 1];
    if (counter_get(&line_format) == LOGFMT_JSON) {
        length = logfmt_json(json, JSON_BYTES, line, length - 1);
        json[length++] = '\n';
        line = json;
    }
    if (!stderr_takes_a_line() || write(STDERR_FILENO, line, length) < 0)
        lines_lost++;
    else
        lines_lost = 0;
}

void logfmt(enum logfmt_level level, const char *message, const char *fields, ...) {
    char line[LINE_BYTES];
    if (level < counter_get(&level_least))
        return;
    size_t used = line_open(line, level, message);
    if (lines_lost > 0)
        used = line_print(line, used, "lost=%u ", lines_lost);
    va_list arguments;
    va_start(arguments, fields);
    used = line_add(line, used, fields, arguments);
    va_end(arguments);
    line[used] = '\n';
    line_write(line, used + 1);
}

/* Bytes of the character at `text` that may stand as it is; 0 = its first byte needs an escape. */
static size_t plain_size(const uint8_t *text, uint64_t length) {
    uint32_t code;
    size_t size = utf8_next(text, length, &code);
    return size == 0 || utf8_control_or_nonchar(code) || utf8_unseen(code) ? 0 : size;
}

static uint64_t escape(char *out, uint8_t byte) {
    static const char hex[] = "0123456789abcdef";
    out[0] = '\\';
    out[1] = 'x';
    out[2] = hex[byte >> 4];
    out[3] = hex[byte & 15];
    return 4;
}

const char *logfmt_quote(char *out, uint64_t out_size, const char *text, uint64_t length) {
    uint64_t used = 0;
    uint64_t i = 0;
    out[used++] = '"';
    while (i < length && used + 4 + 5 <= out_size) { /* a step writes 4 bytes, "..." and the end take 5 */
        size_t size = plain_size((const uint8_t *)text + i, length - i);
        if (size == 0) {
            used += escape(out + used, (uint8_t)text[i++]);
            continue;
        }
        if (text[i] == '"' || text[i] == '\\')
            out[used++] = '\\';
        memcpy(out + used, text + i, size);
        used += size;
        i += size;
    }
    for (int dot = 0; i < length && dot < 3; dot++)
        out[used++] = '.';
    out[used++] = '"';
    out[used] = '\0';
    return out;
}

bool logfmt_allowed(struct logfmt_limit *limit, uint64_t now_ns, uint32_t *suppressed) {
    if (now_ns - limit->window_start_ns >= NS_PER_S) {
        limit->window_start_ns = now_ns;
        limit->written = 0;
    }
    if (limit->written >= LINES_PER_SECOND) {
        limit->suppressed++;
        return false;
    }
    limit->written++;
    *suppressed = limit->suppressed;
    limit->suppressed = 0;
    return true;
}
