#include "core/base/logfmt.h"

#include "core/base/limits.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINES_PER_SECOND 10u

static enum logfmt_level level_least = LOGFMT_INFO;

void logfmt_level_set(enum logfmt_level least) {
    level_least = least;
}

static int line_open(char *line, size_t size, enum logfmt_level level, const char *message) {
    static const char *const names[] = {"debug", "info", "warn", "error"};
    struct timespec now;
    struct tm utc;
    char stamp[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    return snprintf(line, size, "time=%s.%03ldZ level=%s msg=\"%s\" ", stamp, now.tv_nsec / 1000000,
                    names[level], message);
}

void logfmt(enum logfmt_level level, const char *message, const char *fields, ...) {
    char line[1024];
    if (level < level_least)
        return;
    int used = line_open(line, sizeof line, level, message);
    if (used < 0 || (size_t)used >= sizeof line - 2)
        used = (int)sizeof line - 2;
    va_list args;
    va_start(args, fields);
    int more = vsnprintf(line + used, sizeof line - 1 - (size_t)used, fields, args);
    va_end(args);
    size_t length = (size_t)used + (more > 0 ? (size_t)more : 0);
    if (length > sizeof line - 2)
        length = sizeof line - 2;
    line[length] = '\n';
    ssize_t written = write(STDERR_FILENO, line, length + 1);
    (void)written; /* nobody is left to tell */
}

static uint64_t quote_one(char *out, unsigned char byte) {
    static const char hex[] = "0123456789abcdef";
    if (byte == '"' || byte == '\\') {
        out[0] = '\\';
        out[1] = (char)byte;
        return 2;
    }
    if (byte >= 0x20 && byte < 0x7f) {
        out[0] = (char)byte;
        return 1;
    }
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
    for (; i < length && used + 4 + 5 <= out_size; i++)
        used += quote_one(out + used, (unsigned char)text[i]);
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
