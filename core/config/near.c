/* near.c: which key was meant by one that does not exist. */
#include "core/config/walk.h"

#include <stdio.h>
#include <string.h>

#define WORD_MAX 24u

/* Levenshtein's distance: insertions, deletions and replacements. Both words are shorter than WORD_MAX. */
static size_t distance(const char *a, size_t a_n, const char *b, size_t b_n) {
    size_t row[WORD_MAX + 1];
    for (size_t j = 0; j <= b_n; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_n; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_n; j++) {
            size_t replaced = corner + (a[i - 1] != b[j - 1]);
            size_t shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            corner = row[j];
            row[j] = replaced < shorter ? replaced : shorter;
        }
    }
    return row[b_n];
}

/* The word that follows `prefix` in a row's path; 0 = the row is not in that section. */
static size_t row_word(const struct config_row *row, const char *prefix, const char **word) {
    size_t skip = strlen(prefix);
    if (strncmp(row->path, prefix, skip) != 0)
        return 0;
    *word = row->path + skip;
    return strcspn(*word, ".[");
}

/* Every key of a section, "a, b, c"; each once. */
static void list_words(const struct config_schema *schema, const char *prefix, char *out) {
    const char *before = "";
    size_t before_n = 0;
    size_t used = (size_t)snprintf(out, CONFIG_WHY_BYTES, "the keys here are");
    for (uint32_t i = 0; i < schema->count; i++) {
        const char *word = NULL;
        size_t n = row_word(&schema->rows[i], prefix, &word);
        if (n == 0 || (n == before_n && memcmp(word, before, n) == 0))
            continue;
        if (used + n + 3 < CONFIG_WHY_BYTES)
            used += (size_t)snprintf(out + used, CONFIG_WHY_BYTES - used, "%s %.*s", before_n ? "," : "",
                                     (int)n, word);
        before = word;
        before_n = n;
    }
}

/* A key that exists in another section: people put `frame` at the top. */
static const struct config_row *other_section(const struct config_schema *schema, const char *key) {
    for (uint32_t i = 0; i < schema->count; i++) {
        const char *dot = strrchr(schema->rows[i].path, '.');
        if (strchr(schema->rows[i].path, '['))
            continue;
        if (strcmp(schema->rows[i].path, key) == 0 || (dot && strcmp(dot + 1, key) == 0))
            return &schema->rows[i];
    }
    return NULL;
}

const char *config_near(const struct config_schema *schema, const char *prefix, const char *key,
                        char out[static CONFIG_WHY_BYTES]) {
    size_t key_n = strlen(key);
    size_t best = SIZE_MAX;
    for (uint32_t i = 0; key_n < WORD_MAX && i < schema->count; i++) {
        const char *word = NULL;
        size_t n = row_word(&schema->rows[i], prefix, &word);
        size_t d = n == 0 || n >= WORD_MAX ? SIZE_MAX : distance(key, key_n, word, n);
        if (d < best && d <= 1 + n / 3 && d < n) {
            best = d;
            snprintf(out, CONFIG_WHY_BYTES, "did you mean %.*s?", (int)n, word);
        }
    }
    const struct config_row *other = other_section(schema, key);
    if (other && best > 1)
        snprintf(out, CONFIG_WHY_BYTES, "write it as %.*s: { %s: ... }", (int)strcspn(other->path, ".["),
                 other->path, strchr(other->path, '.') ? strrchr(other->path, '.') + 1 : "KEY");
    else if (best == SIZE_MAX)
        list_words(schema, prefix, out);
    return out;
}
