#include "codecs/layout/words.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void words_begin(struct words *words, char *text) {
    *words = (struct words){.next = text};
}

int words_wrong(const struct words *words, struct layout_error *error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    error->line = words->line;
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One escape behind its backslash; how many characters it takes, 0 if it is none. */
static size_t escape_read(const char *text, char *value) {
    if (*text == '"' || *text == '\\') {
        *value = *text;
        return 1;
    }
    if (*text == 't') {
        *value = '\t';
        return 1;
    }
    int high = *text == 'x' ? hex_digit(text[1]) : -1, low = high < 0 ? -1 : hex_digit(text[2]);
    if (high < 0 || low < 0)
        return 0;
    *value = (char)(high * 16 + low);
    return 3;
}

static int quoted_read(struct words *words, struct word *word, struct layout_error *error) {
    char *from = words->next + 1, *to = from;
    *word = (struct word){.text = to, .quoted = true};
    while (*from != '"') {
        if (*from == 0 || *from == '\n')
            return words_wrong(words, error, "a quote is not closed");
        if (*from != '\\') {
            *to++ = *from++;
            continue;
        }
        word->bytes = word->bytes || from[1] == 'x';
        size_t taken = escape_read(from + 1, to++);
        if (taken == 0)
            return words_wrong(words, error,
                               "behind a backslash stands \", \\, t or x and two hexadecimal digits");
        from += 1 + taken;
    }
    word->length = (uint32_t)(to - word->text);
    words->next = from + 1;
    *to = 0;
    return 0;
}

static bool blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

static void plain_read(struct words *words, struct word *word) {
    *word = (struct word){.text = words->next};
    while (*words->next && *words->next != '\n' && !blank(*words->next))
        words->next++;
    word->length = (uint32_t)(words->next - word->text);
}

/* The words of the line that begins here. The NULs behind them are written when all is read. */
static int line_read(struct words *words, struct layout_error *error) {
    words->count = 0;
    words->line++;
    for (;;) {
        while (blank(*words->next))
            words->next++;
        if (*words->next == '#')
            words->next += strcspn(words->next, "\n");
        if (*words->next == 0 || *words->next == '\n')
            break;
        if (words->count == WORDS_MAX)
            return words_wrong(words, error, "more than %u words", WORDS_MAX);
        struct word *word = &words->word[words->count++];
        if (*words->next != '"')
            plain_read(words, word);
        else if (quoted_read(words, word, error) < 0)
            return -EINVAL;
        if (*words->next && *words->next != '\n' && !blank(*words->next))
            return words_wrong(words, error, "between two words stands a blank");
    }
    if (*words->next == '\n')
        words->next++;
    return 0;
}

int words_next(struct words *words, struct layout_error *error) {
    do {
        if (*words->next == 0)
            return 0;
        if (line_read(words, error) < 0)
            return -EINVAL;
    } while (words->count == 0);
    for (uint32_t i = 0; i < words->count; i++)
        words->word[i].text[words->word[i].length] = 0;
    return 1;
}

bool word_is(const struct words *words, uint32_t i, const char *text) {
    return i < words->count && !words->word[i].quoted && strcmp(words->word[i].text, text) == 0;
}

bool word_number(const struct words *words, uint32_t i, uint32_t most, uint32_t *number) {
    if (i >= words->count || words->word[i].quoted || words->word[i].length == 0)
        return false;
    uint64_t sum = 0;
    for (const char *c = words->word[i].text; *c; c++) {
        if (*c < '0' || *c > '9' || (sum = sum * 10 + (uint64_t)(*c - '0')) > most)
            return false;
    }
    *number = (uint32_t)sum;
    return true;
}
