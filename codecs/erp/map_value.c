/* The right to read a document's values: sources, conditions and lists of a map. */
#include "codecs/erp/map_build.h"

#include <string.h>

/* What is left of a word. */
struct scan {
    const char *p, *end;
};

static bool take(struct scan *scan, char c) {
    if (scan->p < scan->end && *scan->p == c) {
        scan->p++;
        return true;
    }
    return false;
}

static bool take_range(struct scan *scan) {
    if (scan->end - scan->p >= 2 && scan->p[0] == '.' && scan->p[1] == '.') {
        scan->p += 2;
        return true;
    }
    return false;
}

static bool digit(const struct scan *scan) {
    return scan->p < scan->end && *scan->p >= '0' && *scan->p <= '9';
}

static bool take_number(struct map_build *build, struct scan *scan, uint16_t *out) {
    uint32_t number = 0;
    if (!digit(scan))
        return build_fail(build, "a number is missing");
    for (; digit(scan); scan->p++)
        if ((number = number * 10 + (uint32_t)(*scan->p - '0')) > MAP_ELEMENT_MAX)
            return build_fail(build, "elements and components end at %u", MAP_ELEMENT_MAX);
    if (!number)
        return build_fail(build, "elements and components count from 1");
    *out = (uint16_t)number;
    return true;
}

/* Up to a character that is not part of a name. */
static struct map_word take_name(struct scan *scan) {
    const char *begin = scan->p;
    while (scan->p < scan->end && !strchr("+~:=!|,./\"$%[]{} ", *scan->p))
        scan->p++;
    return (struct map_word){begin, (size_t)(scan->p - begin)};
}

/* 2, 2.3, 4.1..5, 2..6, 7..25/2 */
static bool element_read(struct map_build *build, struct scan *scan, struct map_value *out) {
    if (!take_number(build, scan, &out->element))
        return false;
    out->element_last = out->element;
    if (take_range(scan)) {
        if (!take_number(build, scan, &out->element_last) ||
            (take(scan, '/') && !take_number(build, scan, &out->step)))
            return false;
    } else if (take(scan, '.')) {
        if (!take_number(build, scan, &out->component))
            return false;
        out->component_last = out->component;
        if (take_range(scan) && !take_number(build, scan, &out->component_last))
            return false;
    }
    if (out->element_last < out->element || out->component_last < out->component)
        return build_fail(build, "a range ends before it begins");
    return true;
}

static uint32_t head_field(const char *name) {
    static const char *const names[HEAD_FIELDS] = {[HEAD_FORMAT] = "format",
                                                   [HEAD_NAME] = "name",
                                                   [HEAD_VERSION] = "version",
                                                   [HEAD_ASSOCIATION] = "association",
                                                   [HEAD_VARIANT] = "variant",
                                                   [HEAD_SENDER] = "sender",
                                                   [HEAD_SENDER_QUALIFIER] = "sender_qualifier",
                                                   [HEAD_RECEIVER] = "receiver",
                                                   [HEAD_RECEIVER_QUALIFIER] = "receiver_qualifier",
                                                   [HEAD_INTERCHANGE_REF] = "interchange_ref",
                                                   [HEAD_GROUP_REF] = "group_ref",
                                                   [HEAD_MESSAGE_REF] = "message_ref",
                                                   [HEAD_DATE] = "date",
                                                   [HEAD_TIME] = "time"};
    for (uint32_t i = 1; i < HEAD_FIELDS; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return 0;
}

static bool named_read(struct map_build *build, struct scan *scan, struct map_value *out) {
    struct map_word word;
    if (take(scan, '{')) {
        const char *close = memchr(scan->p, '}', (size_t)(scan->end - scan->p));
        if (!close)
            return build_fail(build, "a brace is not closed");
        word = (struct map_word){scan->p, (size_t)(close - scan->p)};
        scan->p = close + 1;
    } else {
        word = take_name(scan);
    }
    char *name = build_take(build, word.length + 1);
    if (!name)
        return false;
    memcpy(name, word.text, word.length);
    if (!word.length)
        return build_fail(build, "a value is missing");
    bool head = build->segment[0] == '*';
    uint32_t number = head            ? head_field(name)
                      : build->fields ? build->fields->number(build->fields->context, build->segment, name)
                                      : 0;
    if (!number || number > MAP_ELEMENT_MAX)
        return build_fail(build, "no field `%s` in %s", name, build->segment);
    out->element = out->element_last = (uint16_t)number;
    return true;
}

static bool literal_read(struct map_build *build, struct scan *scan, struct map_value *out) {
    const char *close = memchr(scan->p, '"', (size_t)(scan->end - scan->p));
    if (!close)
        return build_fail(build, "a quote is not closed");
    out->part = PART_LITERAL;
    bool good = build_text(build, scan->p, (size_t)(close - scan->p), &out->text);
    scan->p = close + 1;
    return good;
}

static bool modifier_read(struct map_build *build, struct scan *scan, struct map_value *out) {
    struct map_word word = take_name(scan);
    if (word.length == 2 && word.text[0] == 'N' && word.text[1] >= '0' && word.text[1] <= '9')
        out->decimals = (uint8_t)(word.text[1] - '0');
    else if (map_word_is(&word, "zeros"))
        out->zeros = true;
    else
        return build_fail(build, "`~%.*s` is neither ~N0 to ~N9 nor ~zeros", (int)word.length, word.text);
    return true;
}

static bool value_read(struct map_build *build, struct scan *scan, struct map_value *out) {
    *out = (struct map_value){.part = PART_ELEMENT, .step = 1, .component = 1, .component_last = 1};
    bool good;
    if (digit(scan)) {
        good = element_read(build, scan, out);
    } else if (take(scan, '"')) {
        good = literal_read(build, scan, out);
    } else if (take(scan, '$')) {
        out->part = PART_VARIABLE;
        uint32_t number =
            build_name(build, &build->variables, take_name(scan), MAP_VARIABLES_MAX, "variables");
        out->variable = (uint16_t)number;
        good = number != UINT32_MAX;
    } else if (take(scan, '.')) {
        out->part = PART_COMPONENT;
        good = take_number(build, scan, &out->component);
    } else if (take(scan, '-')) {
        out->part = PART_BEFORE;
        good = take_number(build, scan, &out->element);
    } else {
        good = named_read(build, scan, out);
    }
    while (good && take(scan, '~'))
        good = modifier_read(build, scan, out);
    return good;
}

static bool plain(const struct map_source *source) {
    const struct map_value *value = &source->values[0];
    return source->count == 1 && value->part == PART_ELEMENT && !value->decimals && !value->zeros &&
           value->element == value->element_last && value->component == value->component_last;
}

bool build_source(struct map_build *build, struct map_word word, struct map_source *out) {
    struct scan scan = {word.text, word.text + word.length};
    struct map_value values[MAP_VALUES_MAX];
    *out = (struct map_source){0};
    do {
        if (out->count == MAP_VALUES_MAX)
            return build_fail(build, "a source joins at most %u values", MAP_VALUES_MAX);
        if (!value_read(build, &scan, &values[out->count]))
            return false;
        out->count++;
    } while (take(&scan, '+'));
    if (take(&scan, ':')) {
        struct map_word name = take_name(&scan);
        struct map_name *list = build_named(&build->lists, name);
        if (!list)
            return build_fail(build, "there is no list `%.*s`", (int)name.length, name.text);
        out->list = list->list;
    }
    if (scan.p != scan.end)
        return build_fail(build, "`%.*s` is more than a source", (int)word.length, word.text);
    out->values = build_take(build, out->count * sizeof *out->values);
    if (!out->values)
        return false;
    memcpy(out->values, values, out->count * sizeof *values);
    out->plain = plain(out);
    return true;
}

/* A word of a condition or list, perhaps in quotes. */
static bool plain_text(struct map_build *build, struct map_word word, struct map_text *out) {
    if (word.length >= 2 && word.text[0] == '"' && word.text[word.length - 1] == '"')
        word = (struct map_word){word.text + 1, word.length - 2};
    return build_text(build, word.text, word.length, out);
}

/* Up to one of the characters, outside quotes. */
static struct map_word take_until(struct scan *scan, const char *stops) {
    const char *begin = scan->p;
    for (bool quoted = false; scan->p < scan->end && (quoted || !strchr(stops, *scan->p)); scan->p++)
        quoted ^= *scan->p == '"';
    return (struct map_word){begin, (size_t)(scan->p - begin)};
}

#define CHOICES_MAX 64u

static bool choices_read(struct map_build *build, struct scan *scan, struct map_condition *out) {
    struct map_text choices[CHOICES_MAX];
    do {
        if (out->choice_count == CHOICES_MAX)
            return build_fail(build, "a condition has at most %u values", CHOICES_MAX);
        if (!plain_text(build, take_until(scan, "|,"), &choices[out->choice_count++]))
            return false;
    } while (take(scan, '|'));
    out->choices = build_take(build, out->choice_count * sizeof *choices);
    if (out->choices)
        memcpy(out->choices, choices, out->choice_count * sizeof *choices);
    return out->choices != NULL;
}

static bool condition_read(struct map_build *build, struct scan *scan, struct map_condition *out) {
    *out = (struct map_condition){.wanted = !take(scan, '!')};
    if (!value_read(build, scan, &out->left))
        return false;
    if (out->left.part != PART_ELEMENT && out->left.part != PART_VARIABLE)
        return build_fail(build, "a condition is about a value or a variable");
    out->first = out->left.part == PART_ELEMENT && out->left.element == 1 && out->left.component == 1;
    bool differs = take(scan, '!');
    if (!take(scan, '='))
        return !differs || build_fail(build, "`!` without `=`");
    if (!out->wanted)
        return build_fail(build, "`!` before a comparison: write !=");
    out->wanted = !differs;
    return choices_read(build, scan, out);
}

#define CONDITIONS_MAX 8u

bool build_conditions(struct map_build *build, struct map_word word, struct map_condition **out,
                      uint32_t *count) {
    struct scan scan = {word.text, word.text + word.length};
    struct map_condition conditions[CONDITIONS_MAX];
    *count = 0;
    do {
        if (*count == CONDITIONS_MAX)
            return build_fail(build, "at most %u conditions", CONDITIONS_MAX);
        if (!condition_read(build, &scan, &conditions[*count]))
            return false;
        ++*count;
    } while (take(&scan, ','));
    if (scan.p != scan.end)
        return build_fail(build, "`%.*s` are no conditions", (int)word.length, word.text);
    *out = build_take(build, *count * sizeof **out);
    if (*out)
        memcpy(*out, conditions, *count * sizeof *conditions);
    return *out != NULL;
}

/* ---- Lists -------------------------------------------------------------------------------------------- */

/* The result of a line, and its number. */
static bool result_read(struct map_build *build, const struct map_word *word, struct map_list *list,
                        uint32_t number) {
    list->outcome[number] = map_word_is(word, "-")   ? OUTCOME_SKIP
                            : map_word_is(word, "*") ? OUTCOME_SAME
                                                     : OUTCOME_TEXT;
    return plain_text(build, *word, &list->results[number]);
}

/* CODE... = RESULT; the codes go into `keys`, all with the result's number. */
static bool list_line(struct map_build *build, struct map_list *list, struct map_text *keys,
                      uint32_t *numbers, size_t *count) {
    const struct map_lines *lines = build->lines;
    uint32_t words = build->line->words;
    if (words < 3 || !map_word_is(map_line_word(lines, build->line, words - 2), "="))
        return build_fail(build, "a line of a list is CODE... = VALUE");
    bool other = map_word_is(map_line_word(lines, build->line, 0), "*");
    uint32_t number = other ? 0 : ++list->result_count;
    if (!result_read(build, map_line_word(lines, build->line, words - 1), list, number))
        return false;
    if (other)
        return words == 3 || build_fail(build, "`*` is every other code, and stands alone");
    for (uint32_t i = 0; i < words - 2; i++) {
        if (!plain_text(build, *map_line_word(lines, build->line, i), &keys[*count]))
            return false;
        numbers[(*count)++] = number;
    }
    return true;
}

bool build_list(struct map_build *build, const struct map_lines *lines, size_t at, size_t to) {
    size_t most = 0, count = 0;
    for (size_t i = at + 1; i < to; i++)
        most += lines->lines[i].words;
    build->lines = lines;
    build->line = &lines->lines[at];
    const struct map_word *name = map_line_word(lines, build->line, 1);
    if (!name || build->line->words != 2)
        return build_fail(build, "a list has a name, and its lines below it");
    if (build_named(&build->lists, *name))
        return true; /* the first one of this name holds: a map's own goes before what it includes */
    uint32_t number = build_name(build, &build->lists, *name, 1024, "lists");
    struct map_list *list = build_take(build, sizeof *list);
    struct map_text *keys = build_take(build, (most + 1) * sizeof *keys);
    uint32_t *numbers = build_take(build, (most + 1) * sizeof *numbers);
    if (number == UINT32_MAX || !list || !keys || !numbers)
        return false;
    list->results = build_take(build, (to - at + 1) * sizeof *list->results);
    list->outcome = build_take(build, (to - at + 1) * sizeof *list->outcome);
    if (!list->results || !list->outcome)
        return false;
    list->outcome[0] = OUTCOME_NONE;
    build->lists.names[number].list = list;
    for (size_t i = at + 1; i < to; i++) {
        build->line = &lines->lines[i];
        if (!list_line(build, list, keys, numbers, &count))
            return false;
    }
    struct map_text text;
    if (!build_text(build, name->text, name->length, &text) || !build_index(build, keys, count, &list->index))
        return false;
    list->name = text.bytes;
    /* build_index has numbered the keys; what is asked for is the result. */
    for (uint32_t i = 0; list->index.keys && i <= list->index.mask; i++)
        if (list->index.values[i])
            list->index.values[i] = numbers[list->index.values[i] - 1];
    return true;
}
