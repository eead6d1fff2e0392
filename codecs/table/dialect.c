#include "codecs/table/dialect.h"

#include "codecs/layout/date.h"
#include "core/base/topic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct file {
    struct dialect *dialect;
    struct words words;
    struct layout_error *error;
};

static int wrong(struct file *file, const char *expected) {
    return words_wrong(&file->words, file->error, "expected %s", expected);
}

/* ---- single characters ---- */

/* One ASCII character, or `none` where 0 may be. */
static int character_read(struct file *file, char *character, bool may_be_none, const char *expected) {
    const struct word *word = &file->words.word[1];
    if (file->words.count != 2)
        return wrong(file, expected);
    if (may_be_none && word_is(&file->words, 1, "none")) {
        *character = 0;
        return 0;
    }
    if (word->length != 1 || (uint8_t)*word->text >= 0x80 || *word->text == 0 || *word->text == '\n' ||
        *word->text == '\r')
        return wrong(file, expected);
    *character = *word->text;
    return 0;
}

static int delimiter_line(struct file *file) {
    if (word_is(&file->words, 1, "tab") && file->words.count == 2) {
        file->dialect->delimiter = '\t';
        return 0;
    }
    return character_read(file, &file->dialect->delimiter, false, "one character, or tab");
}

static int quote_line(struct file *file) {
    return character_read(file, &file->dialect->quote, true, "one character, or none");
}

static int thousands_line(struct file *file) {
    return character_read(file, &file->dialect->thousands, true, "one character, or none");
}

static int comment_line(struct file *file) {
    return character_read(file, &file->dialect->comment, true, "the character that comments begin with");
}

static int rule_line(struct file *file) {
    return character_read(file, &file->dialect->rule, true, "the character that rules are made of");
}

static int decimal_line(struct file *file) {
    if (!word_is(&file->words, 1, ".") && !word_is(&file->words, 1, ","))
        return wrong(file, ". or ,");
    file->dialect->decimal = *file->words.word[1].text;
    return 0;
}

/* ---- choices ---- */

static int escape_line(struct file *file) {
    if (word_is(&file->words, 1, "doubled"))
        file->dialect->escape = 0;
    else if (word_is(&file->words, 1, "backslash"))
        file->dialect->escape = '\\';
    else
        return wrong(file, "doubled or backslash");
    return 0;
}

static int end_line(struct file *file) {
    if (word_is(&file->words, 1, "lf") || word_is(&file->words, 1, "crlf"))
        file->dialect->newline = '\n';
    else if (word_is(&file->words, 1, "cr"))
        file->dialect->newline = '\r';
    else
        return wrong(file, "lf, crlf or cr");
    return 0;
}

static int header_line(struct file *file) {
    if (word_is(&file->words, 1, "none"))
        file->dialect->header = 0;
    else if (!word_number(&file->words, 1, 1000, &file->dialect->header) || file->dialect->header == 0)
        return wrong(file, "none, or which row it is");
    file->dialect->header_repeats = word_is(&file->words, 2, "repeats");
    return 0;
}

static int charset_line(struct file *file) {
    if (file->words.count == 2)
        file->dialect->codepage = codepage_named(file->words.word[1].text);
    if (file->words.count != 2 || codepage_ebcdic(file->dialect->codepage) ||
        file->dialect->codepage == CODEPAGES)
        return wrong(file, "utf-8, utf-16le, iso-8859-1 or windows-1252");
    return 0;
}

static int ragged_line(struct file *file) {
    if (!word_is(&file->words, 1, "pad") && !word_is(&file->words, 1, "refuse"))
        return wrong(file, "pad or refuse");
    file->dialect->pad = word_is(&file->words, 1, "pad");
    return 0;
}

static int null_line(struct file *file) {
    if (file->words.count != 2)
        return wrong(file, "what stands in a cell that is not assigned");
    file->dialect->null = file->words.word[1].text;
    return 0;
}

static int flag_line(struct file *file) {
    static const struct {
        const char *name;
        size_t flag;
    } flags[] = {{"separator-line", offsetof(struct dialect, separator_line)},
                 {"bordered", offsetof(struct dialect, bordered)},
                 {"trim", offsetof(struct dialect, trim)},
                 {"unsorted", offsetof(struct dialect, unsorted)},
                 {"open", offsetof(struct dialect, open)}};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (word_is(&file->words, 0, flags[i].name))
            *(bool *)((char *)file->dialect + flags[i].flag) = true;
    }
    return file->words.count == 1 ? 0 : wrong(file, "no word behind this");
}

/* ---- names ---- */

static int dialect_line(struct file *file) {
    if (file->words.count != 2)
        return wrong(file, "one name");
    file->dialect->name = file->words.word[1].text;
    return 0;
}

/* message NAME row | file | key COLUMN... */
static int message_line(struct file *file) {
    struct words *words = &file->words;
    struct dialect *dialect = file->dialect;
    if (word_is(words, 2, "row") && words->count == 3)
        dialect->message = DIALECT_ROW;
    else if (word_is(words, 2, "file") && words->count == 3)
        dialect->message = DIALECT_FILE;
    else if (word_is(words, 2, "key") && words->count > 3 && words->count <= 3 + DIALECT_KEYS_MAX)
        dialect->message = DIALECT_KEY;
    else
        return wrong(file, "a name, then row, file, or key with up to four columns");
    dialect->message_name = words->word[1].text;
    for (uint32_t i = 3; i < words->count; i++)
        dialect->keys[dialect->key_count++] = words->word[i].text;
    return 0;
}

static int row_line(struct file *file) {
    if (file->words.count != 2)
        return wrong(file, "one name");
    if (word_is(&file->words, 0, "row"))
        file->dialect->row = file->words.word[1].text;
    else
        file->dialect->head = file->words.word[1].text;
    return 0;
}

static int column_type(struct file *file, struct dialect_column *column) {
    struct words *words = &file->words;
    uint32_t i = 2;
    if (word_is(words, i, "number") || word_is(words, i, "gtin") || word_is(words, i, "text")) {
        column->type = word_is(words, i, "number") ? DIALECT_NUMBER
                       : word_is(words, i, "gtin") ? DIALECT_GTIN
                                                   : DIALECT_TEXT;
        i++;
    } else if (word_is(words, i, "date") && i + 1 < words->count) {
        const struct word *pattern = &words->word[i + 1];
        if (!date_pattern(pattern->text))
            return wrong(file, "a date's pattern, made of d, m, y, and . - / or blanks");
        memcpy(column->pattern, pattern->text, pattern->length);
        column->type = DIALECT_DATE;
        i += 2;
    }
    column->optional = word_is(words, i, "optional");
    i += column->optional;
    return i == words->count ? 0
                             : wrong(file, "text, number, gtin or date PATTERN, and then perhaps optional");
}

/* column NAME [TYPE] [optional] */
static int column_line(struct file *file) {
    struct dialect *dialect = file->dialect;
    struct dialect_column column = {0};
    if (file->words.count < 2)
        return wrong(file, "a column's name");
    column.name = file->words.word[1].text;
    if (dialect_column(dialect, column.name, file->words.word[1].length))
        return words_wrong(&file->words, file->error, "there is a column %.60s already", column.name);
    if (dialect->column_count == DIALECT_COLUMNS_MAX)
        return words_wrong(&file->words, file->error, "more than %u columns", DIALECT_COLUMNS_MAX);
    int result = column_type(file, &column);
    if (result < 0)
        return result;
    if (dialect->column_count % 64 == 0) {
        struct dialect_column *columns =
            realloc(dialect->columns, (dialect->column_count + 64) * sizeof *columns);
        if (columns == NULL) {
            *file->error = (struct layout_error){.text = "out of memory"};
            return -ENOMEM;
        }
        dialect->columns = columns;
    }
    dialect->columns[dialect->column_count++] = column;
    return 0;
}

/* ---- the file ---- */

static const struct {
    const char *word;
    int (*read)(struct file *file);
} lines[] = {{"column", column_line},
             {"dialect", dialect_line},
             {"delimiter", delimiter_line},
             {"quote", quote_line},
             {"escape", escape_line},
             {"end", end_line},
             {"header", header_line},
             {"charset", charset_line},
             {"decimal", decimal_line},
             {"thousands", thousands_line},
             {"ragged", ragged_line},
             {"comment", comment_line},
             {"rule", rule_line},
             {"null", null_line},
             {"message", message_line},
             {"row", row_line},
             {"head", row_line},
             {"separator-line", flag_line},
             {"bordered", flag_line},
             {"trim", flag_line},
             {"unsorted", flag_line},
             {"open", flag_line}};

static int line_read(struct file *file) {
    for (uint32_t i = 0; i < file->words.count; i++) {
        if (file->words.word[i].bytes)
            return wrong(file, "text, without \\x");
    }
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        if (word_is(&file->words, 0, lines[i].word))
            return lines[i].read(file);
    }
    return words_wrong(&file->words, file->error, "no line begins with %.40s", file->words.word[0].text);
}

/* What does not go together. */
static int dialect_judge(struct file *file) {
    const struct dialect *dialect = file->dialect;
    file->words.line = 0;
    if (dialect->delimiter == dialect->quote || dialect->delimiter == dialect->escape ||
        dialect->thousands == dialect->decimal)
        return words_wrong(&file->words, file->error, "two marks are the same character");
    for (uint32_t i = 0; i < dialect->key_count; i++) {
        if ((dialect->column_count > 0 || dialect->header == 0) &&
            dialect_column(dialect, dialect->keys[i], strlen(dialect->keys[i])) == 0)
            return words_wrong(&file->words, file->error, "the key %.40s is no column", dialect->keys[i]);
    }
    return 0;
}

int dialect_read(struct dialect *dialect, const char *text, size_t length, struct layout_error *error) {
    struct file file = {.dialect = dialect, .error = error};
    *error = (struct layout_error){0};
    *dialect = (struct dialect){.name = "csv",
                                .delimiter = ',',
                                .quote = '"',
                                .newline = '\n',
                                .decimal = '.',
                                .header = 1,
                                .message_name = "TABLE",
                                .row = "ROW",
                                .text = malloc(length + 1)};
    if (dialect->text == NULL) {
        error->line = 0;
        memcpy(error->text, "out of memory", 14);
        return -ENOMEM;
    }
    memcpy(dialect->text, text, length);
    dialect->text[length] = 0;
    words_begin(&file.words, dialect->text);
    if (memchr(text, 0, length) || !utf8_valid((const uint8_t *)text, length))
        return words_wrong(&file.words, error, "it is no text in UTF-8");
    int result;
    while ((result = words_next(&file.words, error)) > 0) {
        result = line_read(&file);
        if (result < 0)
            return result;
    }
    return result < 0 ? result : dialect_judge(&file);
}

void dialect_free(struct dialect *dialect) {
    free(dialect->columns);
    free(dialect->text);
    *dialect = (struct dialect){0};
}

uint32_t dialect_column(const struct dialect *dialect, const char *name, size_t length) {
    for (uint32_t i = 0; i < dialect->column_count; i++) {
        if (name_is(dialect->columns[i].name, name, length))
            return i + 1;
    }
    return 0;
}

uint32_t dialect_number(void *dialect, const char *segment, const char *column) {
    (void)segment;
    return dialect_column(dialect, column, strlen(column));
}
