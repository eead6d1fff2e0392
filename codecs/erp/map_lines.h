/* map_lines.h: the text of a map as lines of words, with their indentation.
 * Owner: map_lines_free gives back the arrays; words are borrowed from the text.
 * One thread at a time.
 * Nothing blocks. It allocates from the general heap.
 * Fails by a map_error: a quote that is not closed, a TAB in the indentation, no memory. */
#pragma once

#include "codecs/erp/map.h"

#include <stdarg.h>

/* Not terminated by a zero byte. */
struct map_word {
    const char *text;
    size_t length;
};

struct map_line {
    uint32_t number;      /* in the file, from 1 */
    uint32_t indent;      /* blanks before it */
    uint32_t word, words; /* a run of map_lines.words */
};

struct map_lines {
    const char *file; /* borrowed */
    struct map_line *lines;
    size_t count, line_capacity;
    struct map_word *words;
    size_t word_count, word_capacity;
};

/* Lines without a word are left out. What stands in "..." or {...} or [...] is part of its word, blanks and
 * all. */
bool map_lines_read(struct map_lines *lines, const char *file, const char *text, size_t length,
                    struct map_error *error) MUST_USE;
void map_lines_free(struct map_lines *lines);

static inline const struct map_word *map_line_word(const struct map_lines *lines, const struct map_line *line,
                                                   uint32_t i) {
    return i < line->words ? &lines->words[line->word + i] : NULL;
}

bool map_word_is(const struct map_word *word, const char *text);

/* The line behind `at` that is not indented deeper than it, at most `to`. */
size_t map_lines_below(const struct map_lines *lines, size_t at, size_t to);

/* FILE:LINE: and the text; false, so that one can return it. */
bool map_fail(struct map_error *error, const char *file, uint32_t line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
bool map_fail_memory(struct map_error *error);
