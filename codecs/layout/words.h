/* words.h: the lines of a layout or a dialect, cut into words.
 * Owner: the parser that reads such a file; the words lie in a copy of the text, which the caller owns and
 * keeps. Thread: any, one at a time for each reader. Nothing blocks, nothing allocates. Fails by a sentence
 * and a line. A word stands between blanks, or in double quotes with \" \\ \t and \xHH inside; # begins a
 * comment where a word could begin; lines without a word are passed over. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WORDS_MAX 64u /* on one line */

/* What is wrong with a file that somebody wrote; also that memory is missing. */
struct layout_error {
    uint32_t line; /* 0: of no line */
    char text[120];
};

struct words {
    char *next; /* NUL-terminated text that is cut up in place */
    uint32_t line, count;
    struct word {
        char *text; /* NUL behind it; a quoted word may hold NULs of its own */
        uint32_t length;
        bool quoted;
        bool bytes; /* has \xHH: it may be no text */
    } word[WORDS_MAX];
};

/* Whether a name of a file is this text, which may have any bytes. */
static inline bool name_is(const char *name, const void *text, size_t length) {
    return strlen(name) == length && memcmp(name, text, length) == 0;
}

void words_begin(struct words *words, char *text);
/* 1: the next line's words; 0: no more; -EINVAL. */
int words_next(struct words *words, struct layout_error *error);
bool word_is(const struct words *words, uint32_t i, const char *text); /* false also if there is no word i */
/* Whether word i is a decimal number of at most `most`. */
bool word_number(const struct words *words, uint32_t i, uint32_t most, uint32_t *number);
/* Writes the sentence; returns -EINVAL. */
int words_wrong(const struct words *words, struct layout_error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
