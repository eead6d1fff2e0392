#include "core/config/mistakes.h"

#include "core/base/logfmt.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void config_mistake_add(struct config_mistakes *mistakes, uint32_t line, uint32_t column, const char *format,
                        ...) {
    uint32_t index = mistakes->count++;
    if (index >= CONFIG_MISTAKES_MAX)
        return;
    struct config_mistake *mistake = &mistakes->list[index];
    mistake->line = line;
    mistake->column = column;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(mistake->text, sizeof mistake->text, format, arguments);
    va_end(arguments);
}

bool config_mistake_kept(const struct config_mistakes *mistakes) {
    return mistakes->count < CONFIG_MISTAKES_MAX;
}

static int config_mistake_order(const void *a, const void *b) {
    const struct config_mistake *x = a;
    const struct config_mistake *y = b;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return (x->column > y->column) - (x->column < y->column);
}

void config_mistakes_sort(struct config_mistakes *mistakes) {
    uint32_t kept = mistakes->count < CONFIG_MISTAKES_MAX ? mistakes->count : CONFIG_MISTAKES_MAX;
    qsort(mistakes->list, kept, sizeof mistakes->list[0], config_mistake_order);
}

const char *config_quote(char out[static CONFIG_QUOTE_BYTES], const char *text, size_t length) {
    return logfmt_quote(out, CONFIG_QUOTE_BYTES, text, length);
}
