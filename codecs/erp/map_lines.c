#include "codecs/erp/map_lines.h"

#include "core/base/heap.h"

#include <stdio.h>
#include <string.h>

bool map_fail(struct map_error *error, const char *file, uint32_t line, const char *format, ...) {
    int n = snprintf(error->text, sizeof error->text, "%s:%u: ", file, line);
    if (n > 0 && (size_t)n < sizeof error->text) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->text + n, sizeof error->text - (size_t)n, format, arguments);
        va_end(arguments);
    }
    return false;
}

bool map_fail_memory(struct map_error *error) {
    snprintf(error->text, sizeof error->text, "out of memory");
    return false;
}

bool map_word_is(const struct map_word *word, const char *text) {
    return word && word->length == strlen(text) &&
           (word->length == 0 || memcmp(word->text, text, word->length) == 0);
}

/* The length of the word at p; 0: something in it is not closed before the line's end. */
static size_t word_length(const char *p, const char *end) {
    const char *begin = p;
    bool quoted = false;
    char closer = 0;
    for (; p < end; p++) {
        if (quoted)
            quoted = *p != '"';
        else if (*p == '"')
            quoted = true;
        else if (closer)
            closer = *p == closer ? 0 : closer;
        else if (*p == '{' || *p == '[')
            closer = *p == '{' ? '}' : ']';
        else if (*p == ' ' || *p == '\t')
            break;
    }
    return quoted || closer ? 0 : (size_t)(p - begin);
}

static bool word_add(struct map_lines *lines, struct map_word word) {
    if (heap_grow((void **)&lines->words, &lines->word_capacity, lines->word_count + 1, sizeof word) < 0)
        return false;
    lines->words[lines->word_count++] = word;
    return true;
}

static bool line_read(struct map_lines *lines, uint32_t number, const char *p, const char *end,
                      struct map_error *error) {
    const char *begin = p;
    struct map_line line = {.number = number, .word = (uint32_t)lines->word_count};
    while (p < end && *p == ' ')
        p++;
    line.indent = (uint32_t)(p - begin);
    if (p < end && *p == '\t')
        return map_fail(error, lines->file, number, "indent by blanks, not by a TAB");
    while (p < end && *p != '#') {
        size_t n = word_length(p, end);
        if (!n)
            return map_fail(error, lines->file, number, "a quote or bracket is not closed");
        if (!word_add(lines, (struct map_word){p, n}))
            return map_fail_memory(error);
        line.words++;
        for (p += n; p < end && (*p == ' ' || *p == '\t');)
            p++;
    }
    if (!line.words)
        return true;
    if (heap_grow((void **)&lines->lines, &lines->line_capacity, lines->count + 1, sizeof line) < 0)
        return map_fail_memory(error);
    lines->lines[lines->count++] = line;
    return true;
}

bool map_lines_read(struct map_lines *lines, const char *file, const char *text, size_t length,
                    struct map_error *error) {
    *lines = (struct map_lines){.file = file};
    uint32_t number = 0;
    for (const char *p = text, *stop = text + length; p < stop;) {
        const char *newline = memchr(p, '\n', (size_t)(stop - p));
        const char *end = newline ? newline : stop;
        const char *next = newline ? newline + 1 : stop;
        if (end > p && end[-1] == '\r')
            end--;
        if (end > p && memchr(p, 0, (size_t)(end - p)))
            return map_fail(error, file, number + 1, "there is a zero byte");
        if (!line_read(lines, ++number, p, end, error))
            return false;
        p = next;
    }
    return true;
}

void map_lines_free(struct map_lines *lines) {
    heap_give(lines->lines);
    heap_give(lines->words);
    *lines = (struct map_lines){0};
}

size_t map_lines_below(const struct map_lines *lines, size_t at, size_t to) {
    size_t i = at + 1;
    while (i < to && lines->lines[i].indent > lines->lines[at].indent)
        i++;
    return i;
}
