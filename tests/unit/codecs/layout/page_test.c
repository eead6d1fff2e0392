#include "codecs/erp/csv_out.h"
#include "codecs/table/csv.h"
#include "codecs/table/fixed.h"

#include "tests/unit/codecs/calls.h"
#include "tests/unit/codecs/golden.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Reads each block of docs/LAYOUTS.md that is marked so. Returns how many there are. */
static unsigned blocks(const char *mark, void (*read)(const char *text, size_t length)) {
    size_t length;
    uint8_t *bytes = golden_file("docs/LAYOUTS.md", &length);
    char *page = strndup((char *)bytes, length);
    unsigned count = 0;
    for (const char *at = page; (at = strstr(at, mark)) != NULL; count++) {
        at += strlen(mark);
        const char *end = strstr(at, "\n```");
        cr_assert(end);
        read(at, (size_t)(end + 1 - at));
        at = end;
    }
    free(page);
    free(bytes);
    return count;
}

static void layout_read(const char *text, size_t length) {
    struct layouts layouts = {0};
    struct layout_error error;
    struct calls calls;
    calls_init(&calls);
    cr_expect(layouts_add(&layouts, text, length, &error) == 0, "%.*s: %u: %s", (int)length, text, error.line,
              error.text);
    struct fixed *fixed = fixed_new(&layouts, NULL, &calls.sink);
    cr_expect(fixed);
    fixed_free(fixed);
    calls_free(&calls);
    layouts_free(&layouts);
}

static void dialect_block(const char *text, size_t length) {
    struct dialect dialect;
    struct layout_error error;
    cr_expect(dialect_read(&dialect, text, length, &error) == 0, "%.*s: %u: %s", (int)length, text,
              error.line, error.text);
    dialect_free(&dialect);
}

static void template_block(const char *text, size_t length) {
    struct erp_csv csv;
    struct layout_error error;
    cr_expect(erp_csv_read(&csv, text, length, &error) == 0, "%.*s: %u: %s", (int)length, text, error.line,
              error.text);
    erp_csv_free(&csv);
}

Test(page, of_layouts_and_dialects_has_examples_that_can_be_read) {
    cr_expect(blocks("\n```layout\n", layout_read) == 3);
    cr_expect(blocks("\n```dialect\n", dialect_block) == 1);
    cr_expect(blocks("\n```template\n", template_block) == 1);
    LEAKS_NONE();
}
