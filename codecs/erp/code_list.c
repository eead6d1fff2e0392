#include "codecs/erp/code_list.h"

#include "core/base/embedded.h"

#include <stdio.h>
#include <string.h>

extern const struct embedded_file erp_map_files[];

/* The line behind `list NAME`; NULL: there is no such list. */
static const char *list_find(const char *map, const char *list) {
    char file[64], head[64];
    (void)snprintf(file, sizeof file, "%s.map", map);
    int n = snprintf(head, sizeof head, "\nlist %s", list);
    for (const struct embedded_file *from = erp_map_files; from->name; from++) {
        if (strcmp(from->name, file) != 0)
            continue;
        for (const char *at = from->text; (at = strstr(at, head)); at += n)
            if (strchr(" \n", at[n]))
                return strchr(at + n, '\n');
    }
    return NULL;
}

/* One word of a line, without its quotes; false: the line ends. */
static bool word_next(const char **at, char word[CODE_BYTES * 2]) {
    *at += strspn(*at, " ");
    size_t n = strcspn(*at, " \n");
    if (n == 0 || **at == '#')
        return false;
    bool quoted = **at == '"';
    (void)snprintf(word, CODE_BYTES * 2, "%.*s", (int)(quoted ? n - 2 : n), *at + quoted);
    *at += n;
    return true;
}

/* What the codes of a line mean. */
static bool meaning(const char *line, char word[CODE_BYTES * 2]) {
    while (word_next(&line, word))
        if (strcmp(word, "=") == 0)
            return word_next(&line, word);
    return false;
}

/* The first code of the line, or the one asked for. */
static bool line_has(const char *line, const char *code, char found[CODE_BYTES]) {
    char word[CODE_BYTES * 2];
    while (word_next(&line, word) && strcmp(word, "=") != 0)
        if (strcmp(word, "*") != 0 && (!code || strcmp(word, code) == 0)) {
            (void)snprintf(found, CODE_BYTES, "%.15s", word);
            return true;
        }
    return false;
}

/* Lines of a list are indented; the first that is not ends it. */
static bool search(const char *map, const char *list, const char *code, const char *wanted,
                   char found[CODE_BYTES]) {
    char word[CODE_BYTES * 2];
    for (const char *line = list_find(map, list); line && line[1] == ' '; line = strchr(line + 1, '\n'))
        if (meaning(line + 1, word) && strcmp(word, wanted) == 0 && line_has(line + 1, code, found))
            return true;
    return false;
}

bool code_for(const char *map, const char *list, const char *word, char code[CODE_BYTES]) {
    return search(map, list, NULL, word, code);
}

bool code_means(const char *map, const char *list, const char *code, const char *word) {
    char found[CODE_BYTES];
    return search(map, list, code, word, found);
}
