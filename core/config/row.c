/* row.c: reading one value as its row of the schema says. */
#include "core/base/heap.h"
#include "core/base/topic.h"
#include "core/config/mistakes.h"
#include "core/config/schema.h"
#include "core/config/value.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is being read. */
struct reading {
    const struct config_row *row;
    char *base;
    const char *text;
    size_t length;
    char *why; /* CONFIG_WHY_BYTES */
    char quoted[CONFIG_QUOTE_BYTES];
};

static bool word_is(const struct reading *reading, const char *word) {
    return reading->length == strlen(word) && memcmp(reading->text, word, reading->length) == 0;
}

__attribute__((format(printf, 2, 3))) static bool refuse(struct reading *reading, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reading->why, CONFIG_WHY_BYTES, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- numbers ---- */

static const char *number_text(const struct config_row *row, char *out, uint64_t value) {
    if (row->type == CONFIG_SIZE)
        return config_size_text(out, value);
    if (row->type == CONFIG_TIME)
        return config_time_text(out, value);
    return config_count_text(out, value);
}

const char *config_row_range(const struct config_row *row, char out[static CONFIG_WHY_BYTES]) {
    char least[CONFIG_VALUE_BYTES], most[CONFIG_VALUE_BYTES];
    bool powers = (row->flags & CONFIG_POWER2) != 0;
    number_text(row, least, row->min);
    number_text(row, most, row->max);
    snprintf(out, CONFIG_WHY_BYTES, "%s%s%s to %s%s", row->auto_at != CONFIG_NO_AUTO ? "auto, or " : "",
             row->flags & CONFIG_ZERO ? "0, or " : "", least, most, powers ? ", a power of two" : "");
    return out;
}

static bool number_refuse_range(struct reading *reading, uint64_t value) {
    char range[CONFIG_WHY_BYTES], text[CONFIG_VALUE_BYTES];
    config_row_range(reading->row, range);
    number_text(reading->row, text, value);
    return refuse(reading, "%s is too %s; write %.100s", text, value < reading->row->min ? "small" : "large",
                  range);
}

static bool number_refuse_power(struct reading *reading, uint64_t value) {
    char below[CONFIG_VALUE_BYTES], above[CONFIG_VALUE_BYTES], text[CONFIG_VALUE_BYTES];
    uint64_t power = UINT64_C(1) << (63 - __builtin_clzll(value));
    number_text(reading->row, text, value);
    number_text(reading->row, below, power);
    number_text(reading->row, above, power * 2);
    return refuse(reading, "%s is not a power of two; write %s or %s", text, below, above);
}

static void number_store(const struct reading *reading, uint64_t value) {
    char *at = reading->base + reading->row->at;
    uint32_t narrow = (uint32_t)value;
    if (reading->row->type == CONFIG_COUNT)
        memcpy(at, &narrow, sizeof narrow);
    else
        memcpy(at, &value, sizeof value);
}

static bool number_take(struct reading *reading, uint64_t value) {
    const struct config_row *row = reading->row;
    bool zero = value == 0 && (row->flags & CONFIG_ZERO);
    if (!zero && (value < row->min || value > row->max))
        return number_refuse_range(reading, value);
    if ((row->flags & CONFIG_POWER2) && (value & (value - 1)) != 0)
        return number_refuse_power(reading, value);
    number_store(reading, value);
    return true;
}

/* More than 64 bits hold: the value itself can only be quoted. False when it is not that. */
static bool number_is_huge(struct reading *reading) {
    char range[CONFIG_WHY_BYTES];
    if (!config_number_huge(reading->text, reading->length))
        return false;
    refuse(reading, "%s is too large; write %.100s", reading->quoted, config_row_range(reading->row, range));
    return true;
}

/* `64MB`, `64 MiB`, `64M`: what was meant can be said. False when it can not. */
static bool size_meant(const struct reading *reading, char *out) {
    static const char letters[] = "kKmMgG";
    static const char *const units[] = {"KiB", "MiB", "GiB"};
    uint64_t value = 0;
    size_t zeros = 0;
    while (zeros < reading->length && reading->text[zeros] == '0')
        zeros++;
    size_t digits = zeros;
    while (digits < reading->length && isdigit((unsigned char)reading->text[digits]))
        digits++;
    size_t unit = digits;
    while (unit < reading->length && reading->text[unit] == ' ')
        unit++;
    const char *letter =
        unit < reading->length ? memchr(letters, reading->text[unit], sizeof letters - 1) : NULL;
    if (digits == zeros || digits - zeros > 12 || !letter || reading->length - unit > 3)
        return false;
    snprintf(out, CONFIG_VALUE_BYTES, "%.*s%s", (int)(digits - zeros), reading->text + zeros,
             units[(letter - letters) / 2]);
    return config_size_parse(out, strlen(out), &value);
}

static bool read_size(struct reading *reading) {
    uint64_t value = 0;
    char meant[CONFIG_VALUE_BYTES];
    if (config_size_parse(reading->text, reading->length, &value))
        return number_take(reading, value);
    if (number_is_huge(reading))
        return false;
    if (size_meant(reading, meant))
        return refuse(reading,
                      "%s is not a size; the units are B, KiB, MiB and GiB, without a blank: write %s",
                      reading->quoted, meant);
    return refuse(reading, "%s is not a size; write a whole number with B, KiB, MiB or GiB, such as 64MiB",
                  reading->quoted);
}

static bool read_time(struct reading *reading) {
    uint64_t value = 0;
    if (config_time_parse(reading->text, reading->length, &value))
        return number_take(reading, value);
    if (number_is_huge(reading))
        return false;
    return refuse(reading, "%s is not a time; write a whole number with us, ms, s, m or h, such as 200ms",
                  reading->quoted);
}

static bool read_count(struct reading *reading) {
    uint64_t value = 0;
    if (config_count_parse(reading->text, reading->length, true, &value))
        return number_take(reading, value);
    if (number_is_huge(reading))
        return false;
    return refuse(reading,
                  "%s is not a whole number%s; write digits only, or with Ki or Mi, such as 10000 or 1Mi",
                  reading->quoted, reading->row->auto_at == CONFIG_NO_AUTO ? "" : " and not auto");
}

/* ---- words ---- */

static bool read_bool(struct reading *reading) {
    bool yes = word_is(reading, "true");
    if (!yes && !word_is(reading, "false"))
        return refuse(reading, "%s is neither true nor false; write one of these words", reading->quoted);
    memcpy(reading->base + reading->row->at, &yes, sizeof yes);
    return true;
}

static bool read_io(struct reading *reading) {
    char word[16] = "";
    enum io_choice choice = IO_AUTO;
    if (reading->length < sizeof word && !memchr(reading->text, '\0', reading->length))
        memcpy(word, reading->text, reading->length);
    if (!io_choice_parse(word, &choice))
        return refuse(reading, "%s is not a way to do I/O; write auto, uring or epoll", reading->quoted);
    memcpy(reading->base + reading->row->at, &choice, sizeof choice);
    return true;
}

static bool read_class(struct reading *reading) {
    if (!word_is(reading, "disk") && !word_is(reading, "memory"))
        return refuse(reading, "%s is not a class; write memory or disk", reading->quoted);
    enum topic_class class = word_is(reading, "disk") ? TOPIC_DISK : TOPIC_MEMORY;
    memcpy(reading->base + reading->row->at, &class, sizeof class);
    return true;
}

static bool read_pattern(struct reading *reading) {
    struct fault fault = {0};
    if (!pattern_valid((const uint8_t *)reading->text, reading->length, &fault))
        return refuse(reading, "%s is not a pattern: %s", reading->quoted, fault.text);
    char *at = reading->base + reading->row->at;
    *at = (char)reading->length;
    memcpy(at + 1, reading->text, reading->length);
    return true;
}
static_assert(offsetof(struct topic_rule, pattern) == offsetof(struct topic_rule, length) + 1,
              "both are stored at once");

static bool read_path(struct reading *reading) {
    if (memchr(reading->text, '\0', reading->length))
        return refuse(reading, "%s has a byte 0 in it; write the path of a directory", reading->quoted);
    if (reading->length >= JOURNAL_DIR_BYTES_MAX)
        return refuse(reading, "a path of %zu bytes is too long; %u are the most", reading->length,
                      JOURNAL_DIR_BYTES_MAX - 1);
    char *at = reading->base + reading->row->at;
    memset(at, 0, JOURNAL_DIR_BYTES_MAX);
    memcpy(at, reading->text, reading->length);
    return true;
}

static bool read_address(struct reading *reading) {
    struct config_address address;
    bool off = (reading->row->flags & CONFIG_OFF) != 0;
    if (reading->length >= CONFIG_ADDRESS_MAX ||
        !((off && word_is(reading, "off")) || config_address_parse(reading->text, reading->length, &address)))
        return refuse(reading,
                      "%s is not an address; write numbers, such as 127.0.0.1:%s or \"[::1]:4470\"%s",
                      reading->quoted, strrchr(reading->row->fallback, ':') + 1, off ? ", or off" : "");
    char *at = reading->base + reading->row->at;
    memcpy(at, reading->text, reading->length);
    at[reading->length] = '\0';
    return true;
}

/* ---- slots ---- */

static bool read_range(struct reading *reading) {
    const char *dash = memchr(reading->text, '-', reading->length);
    const char *end = reading->text + reading->length;
    uint64_t first = 0, last = 0;
    bool right =
        config_count_parse(reading->text, (size_t)((dash ? dash : end) - reading->text), false, &first);
    last = first;
    if (dash)
        right = right && config_count_parse(dash + 1, (size_t)(end - dash - 1), false, &last);
    if (!right)
        return refuse(reading, "%s is not a range of slots; write FIRST-LAST, such as 0-2047",
                      reading->quoted);
    if (first > last)
        return refuse(reading, "%s runs backwards; write the smaller slot first", reading->quoted);
    if (last > reading->row->max)
        return refuse(reading, "there is no slot %llu; slots are 0 to 4095", (unsigned long long)last);
    uint32_t slots[2] = {(uint32_t)first, (uint32_t)last};
    memcpy(reading->base + reading->row->at, slots, sizeof slots);
    return true;
}
static_assert(offsetof(struct config_slots_item, last) ==
                  offsetof(struct config_slots_item, first) + sizeof(uint32_t),
              "both are stored at once");

static bool read_list(struct reading *reading) {
    return refuse(reading, "%s is not a list", reading->quoted);
}

/* ---- texts ---- */

/* A copy with a NUL; NULL after a refusal. */
static char *text_copy(struct reading *reading) {
    if (memchr(reading->text, '\0', reading->length)) {
        refuse(reading, "%s has a byte 0 in it; take it out", reading->quoted);
        return NULL;
    }
    char *copy = heap_text(reading->text, reading->length);
    if (!copy)
        refuse(reading, "there is no memory left for it");
    return copy;
}

static bool read_text(struct reading *reading) {
    char **at = (void *)(reading->base + reading->row->at);
    char *copy = text_copy(reading);
    if (!copy)
        return false;
    free(*at); /* the default */
    *at = copy;
    return true;
}

static bool read_texts(struct reading *reading) {
    struct config_texts *texts = (void *)(reading->base + reading->row->at);
    char *copy = text_copy(reading);
    char **list = copy ? realloc(texts->list, (texts->count + 1) * sizeof *list) : NULL;
    if (!list) {
        free(copy);
        return copy ? refuse(reading, "there is no memory left for it") : false;
    }
    texts->list = list;
    list[texts->count++] = copy;
    return true;
}

static bool read_pairs(struct reading *reading) {
    return refuse(reading, "%s is not a mapping", reading->quoted);
}

/* "a, b or c". */
static const char *words_list(const struct config_row *row, char out[static CONFIG_WHY_BYTES]) {
    size_t used = 0;
    out[0] = '\0';
    for (uint32_t i = 0; row->words[i] && used < CONFIG_WHY_BYTES; i++)
        used += (size_t)snprintf(out + used, CONFIG_WHY_BYTES - used, "%s%s",
                                 i == 0              ? ""
                                 : row->words[i + 1] ? ", "
                                                     : " or ",
                                 row->words[i]);
    return out;
}

static bool read_word(struct reading *reading) {
    char words[CONFIG_WHY_BYTES];
    for (uint32_t i = 0; reading->row->words[i]; i++)
        if (word_is(reading, reading->row->words[i])) {
            memcpy(reading->base + reading->row->at, &i, sizeof i);
            return true;
        }
    return refuse(reading, "%s is not one of the words here; write %.100s", reading->quoted,
                  words_list(reading->row, words));
}

static bool (*const readers[])(struct reading *) = {
    [CONFIG_ADDRESS] = read_address, [CONFIG_BOOL] = read_bool,    [CONFIG_IO] = read_io,
    [CONFIG_COUNT] = read_count,     [CONFIG_NUMBER] = read_count, [CONFIG_SIZE] = read_size,
    [CONFIG_TIME] = read_time,       [CONFIG_CLASS] = read_class,  [CONFIG_PATTERN] = read_pattern,
    [CONFIG_RANGE] = read_range,     [CONFIG_LIST] = read_list,    [CONFIG_PATH] = read_path,
    [CONFIG_TEXT] = read_text,       [CONFIG_FILE] = read_text,    [CONFIG_WORD] = read_word,
    [CONFIG_TEXTS] = read_texts,     [CONFIG_PAIRS] = read_pairs,
};

bool config_row_set(const struct config_row *row, void *base, const char *text, size_t length,
                    char why[static CONFIG_WHY_BYTES]) {
    struct reading reading = {.row = row, .base = base, .text = text, .length = length, .why = why};
    bool can_auto = row->auto_at != CONFIG_NO_AUTO;
    bool is_auto = can_auto && word_is(&reading, "auto");
    config_quote(reading.quoted, text, length);
    if (length == 0)
        return refuse(&reading, "the value is empty; write one, or leave the key out");
    if (!is_auto && !readers[row->type](&reading))
        return false;
    if (can_auto)
        memcpy(reading.base + row->auto_at, &is_auto, sizeof is_auto);
    return true;
}

/* ---- what a base owns ---- */

bool config_pair_add(struct config_pairs *pairs, const char *name, size_t name_length, const char *value,
                     size_t value_length, char why[static CONFIG_WHY_BYTES]) {
    char quoted[CONFIG_QUOTE_BYTES];
    config_quote(quoted, name, name_length);
    for (uint32_t i = 0; i < pairs->count; i++)
        if (strlen(pairs->names[i]) == name_length && memcmp(pairs->names[i], name, name_length) == 0) {
            snprintf(why, CONFIG_WHY_BYTES, "%s is given twice; keep one of them", quoted);
            return false;
        }
    if (memchr(name, '\0', name_length) || memchr(value, '\0', value_length)) {
        snprintf(why, CONFIG_WHY_BYTES, "%s has a byte 0 in it; take it out", quoted);
        return false;
    }
    char **names = realloc(pairs->names, (pairs->count + 1) * sizeof *names);
    pairs->names = names ? names : pairs->names;
    char **values = names ? realloc(pairs->values, (pairs->count + 1) * sizeof *values) : NULL;
    pairs->values = values ? values : pairs->values;
    char *name_copy = values ? heap_text(name, name_length) : NULL;
    char *value_copy = name_copy ? heap_text(value, value_length) : NULL;
    if (!value_copy) {
        free(name_copy);
        snprintf(why, CONFIG_WHY_BYTES, "there is no memory left for it");
        return false;
    }
    pairs->names[pairs->count] = name_copy;
    pairs->values[pairs->count++] = value_copy;
    return true;
}

static void texts_free(char **list, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        free(list[i]);
    free(list);
}

static void row_release(const struct config_row *row, void *base) {
    void *at = (char *)base + row->at;
    if (row->type == CONFIG_TEXT || row->type == CONFIG_FILE) {
        free(*(char **)at);
        *(char **)at = NULL;
    } else if (row->type == CONFIG_TEXTS) {
        struct config_texts *texts = at;
        texts_free(texts->list, texts->count);
        *texts = (struct config_texts){0};
    } else if (row->type == CONFIG_PAIRS) {
        struct config_pairs *pairs = at;
        texts_free(pairs->names, pairs->count);
        texts_free(pairs->values, pairs->count);
        *pairs = (struct config_pairs){0};
    }
}

void config_release(const struct config_schema *schema, const char *prefix, void *base) {
    size_t skip = strlen(prefix);
    for (uint32_t i = 0; i < schema->count; i++)
        if (strncmp(schema->rows[i].path, prefix, skip) == 0 && !strchr(schema->rows[i].path + skip, '['))
            row_release(&schema->rows[i], base);
}
