#include "tests/unit/core/config/files.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[] = "/tmp/rh-files-XXXXXX";

void files_begin(void) {
    cr_assert(mkdtemp(folder) != NULL);
}

void files_end(void) {
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    cr_assert(system(command) == 0);
}

const char *files_path(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

void files_write(const char *name, const char *text) {
    FILE *file = fopen(files_path(name), "w");
    cr_assert(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

void files_mistakes(const struct config_mistakes *mistakes, const char *text, const char *const *wanted) {
    uint32_t count = 0;
    for (; wanted[count] != NULL; count++) {
        uint32_t line = 0, column = 0;
        int skip = 0;
        cr_assert(sscanf(wanted[count], "%u:%u %n", &line, &column, &skip) == 2);
        const struct config_mistake *got = &mistakes->list[count];
        cr_expect(count < mistakes->count && got->line == line && got->column == column &&
                      strstr(got->text, wanted[count] + skip) != NULL,
                  "wanted %s\ngot    %u:%u %s", wanted[count], got->line, got->column,
                  count < mistakes->count ? got->text : "nothing");
    }
    cr_expect(mistakes->count == count, "%u mistakes instead of %u in %s; the last: %s", mistakes->count,
              count, text, mistakes->list[mistakes->count > 0 ? mistakes->count - 1 : 0].text);
}

/* ---- the manual ---- */

static const char *values_of(const struct config_row *row, char out[static CONFIG_WHY_BYTES]) {
    size_t used = 0;
    switch (row->type) {
    case CONFIG_BOOL:
        return "true, false";
    case CONFIG_LIST:
        return "list";
    case CONFIG_TEXT:
        return "text";
    case CONFIG_FILE:
        return "path";
    case CONFIG_TEXTS:
        return "texts";
    case CONFIG_PAIRS:
        return "mapping";
    case CONFIG_WORD:
        for (uint32_t i = 0; row->words[i] != NULL; i++)
            used += (size_t)snprintf(out + used, CONFIG_WHY_BYTES - used, "%s%s", i > 0 ? ", " : "",
                                     row->words[i]);
        return out;
    default:
        return config_row_range(row, out);
    }
}

/* The caller frees. */
static char *manual_read(const char *name) {
    char path[1024];
    const char *here = strstr(__FILE__, "tests/unit/");
    cr_assert(here != NULL);
    snprintf(path, sizeof path, "%.*sdocs/%s", (int)(here - __FILE__), __FILE__, name);
    FILE *file = fopen(path, "r");
    char *manual = calloc(1, 1u << 20);
    cr_assert(file != NULL && manual != NULL && fread(manual, 1, (1u << 20) - 1, file) > 0);
    (void)fclose(file);
    return manual;
}

static const char *line_behind(const char *at) {
    const char *end = strchr(at, '\n');
    return end != NULL ? end + 1 : "";
}

void files_manual(const struct config_schema *schema, const char *name) {
    char wanted[700], range[CONFIG_WHY_BYTES];
    char *manual = manual_read(name);
    const char *at = strstr(manual, "| key | values |");
    cr_assert(at != NULL, "no table of keys");
    at = line_behind(line_behind(at));
    for (uint32_t i = 0; i < schema->count; i++, at = line_behind(at)) {
        const struct config_row *row = &schema->rows[i];
        const char *quote = row->fallback[0] != '\0' ? "`" : "";
        snprintf(wanted, sizeof wanted, "| `%s` | %s | %s%s%s | %s |\n", row->path, values_of(row, range),
                 quote, row->fallback, quote, row->help);
        cr_expect(strncmp(at, wanted, strlen(wanted)) == 0, "the manual needs this line:\n%s", wanted);
    }
    cr_expect(at[0] != '|', "the manual has more keys: %.80s", at);
    free(manual);
}
