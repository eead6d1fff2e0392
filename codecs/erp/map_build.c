#include "codecs/erp/map_build.h"

#include "codecs/erp/codes.h"
#include "codecs/erp/model.h"
#include "core/base/heap.h"
#include "roundhouse/erp/v1/erp.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool build_fail(struct map_build *build, const char *format, ...) {
    char text[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return map_fail(build->error, build->lines->file, build->line->number, "%s", text);
}

void *build_take(struct map_build *build, size_t bytes) {
    void *taken = arena_take(&build->map->arena, bytes);
    if (!taken) {
        map_fail_memory(build->error);
        return NULL;
    }
    return memset(taken, 0, bytes);
}

bool build_text(struct map_build *build, const char *bytes, size_t n, struct map_text *out) {
    char *copy = build_take(build, n + 1);
    if (!copy)
        return false;
    memcpy(copy, bytes, n);
    *out = (struct map_text){copy, (uint32_t)n, map_word(copy, n)};
    return true;
}

struct map_name *build_named(struct map_names *names, struct map_word word) {
    for (size_t i = 0; i < names->count; i++) {
        const struct map_word *name = &names->names[i].word;
        if (name->length == word.length && memcmp(name->text, word.text, word.length) == 0)
            return &names->names[i];
    }
    return NULL;
}

uint32_t build_name(struct map_build *build, struct map_names *names, struct map_word word, size_t most,
                    const char *what) {
    struct map_name *found = build_named(names, word);
    if (found)
        return (uint32_t)(found - names->names);
    if (!word.length)
        return build_fail(build, "a name is missing") ? 0 : UINT32_MAX;
    if (names->count == most)
        return build_fail(build, "there are more than %zu %s", most, what) ? 0 : UINT32_MAX;
    if (heap_grow((void **)&names->names, &names->capacity, names->count + 1, sizeof *names->names) < 0)
        return map_fail_memory(build->error) ? 0 : UINT32_MAX;
    names->names[names->count] = (struct map_name){.word = word};
    return (uint32_t)names->count++;
}

bool build_index(struct map_build *build, const struct map_text *keys, size_t count, struct map_index *out) {
    uint32_t slots = 4;
    while (slots < 2 * count)
        slots *= 2;
    out->mask = slots - 1;
    out->keys = build_take(build, slots * sizeof *out->keys);
    out->values = build_take(build, slots * sizeof *out->values);
    if (!out->keys || !out->values)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (map_index_find(out, keys[i].bytes, keys[i].length))
            return build_fail(build, "`%s` stands there twice", keys[i].bytes);
        uint32_t at = (uint32_t)map_hash(keys[i].word, keys[i].length) & out->mask;
        while (out->values[at])
            at = (at + 1) & out->mask;
        out->keys[at] = keys[i];
        out->values[at] = (uint32_t)i + 1;
    }
    return true;
}

/* ---- Sections ----------------------------------------------------------------------------------------- */

/* UINT32_MAX: it can not be. */
static uint32_t section_add(struct map_build *build, struct map_section section) {
    if (build->section_count == MAP_SECTIONS_MAX)
        return build_fail(build, "there are more than %u sections", MAP_SECTIONS_MAX) ? 0 : UINT32_MAX;
    size_t wanted = build->section_count + 1;
    if (heap_grow((void **)&build->sections, &build->section_capacity, wanted, sizeof section) < 0 ||
        heap_grow((void **)&build->ranks, &build->rank_capacity, wanted, sizeof *build->ranks) < 0)
        return map_fail_memory(build->error) ? 0 : UINT32_MAX;
    build->ranks[build->section_count] = 0;
    build->sections[build->section_count] = section;
    return (uint32_t)build->section_count++;
}

static uint32_t depth_of(const struct map_build *build, uint32_t section) {
    uint32_t depth = 1;
    for (; section; section = build->sections[section].parent)
        depth++;
    return depth;
}

/* Sections for the same segment in one section have one place: that of the first of them. */
static struct map_section *sibling_of(struct map_build *build, uint32_t parent, uint16_t symbol) {
    for (size_t i = 1; i < build->section_count; i++)
        if (build->sections[i].parent == parent && build->sections[i].symbol == symbol)
            return &build->sections[i];
    return NULL;
}

static bool symbol_of(struct map_build *build, struct map_word word, uint16_t *out) {
    uint32_t number = build_name(build, &build->symbols, word, MAP_SYMBOLS_MAX, "names of segments");
    *out = (uint16_t)(number + 1);
    return number != UINT32_MAX;
}

/* The section of an XML element on the way, which has no target. */
static bool context_enter(struct map_build *build, struct map_word word, uint32_t *section) {
    uint16_t symbol;
    if (!symbol_of(build, word, &symbol))
        return false;
    struct map_section *found = sibling_of(build, *section, symbol);
    if (found && (found->targeted || found->condition_count))
        return build_fail(build, "`%.*s` is a section of line %u: what is below it stands there",
                          (int)word.length, word.text, found->line);
    if (found) {
        *section = (uint32_t)(found - build->sections);
        return true;
    }
    if (depth_of(build, *section) == MAP_DEPTH_MAX)
        return build_fail(build, "sections are at most %u deep", MAP_DEPTH_MAX);
    struct map_section context = {.parent = *section,
                                  .line = build->line->number,
                                  .rank = ++build->ranks[*section],
                                  .symbol = symbol,
                                  .in = build->sections[*section].in};
    *section = section_add(build, context);
    return *section != UINT32_MAX;
}

/* A segment's name with its path and conditions: enters what is on the way. */
struct head {
    struct map_word name, conditions;
    uint32_t section;
    uint16_t symbol;
};

static bool head_read(struct map_build *build, struct map_word word, uint32_t section, struct head *out) {
    const char *open = memchr(word.text, '[', word.length);
    *out = (struct head){.name = word, .section = section};
    if (open) {
        out->name.length = (size_t)(open - word.text);
        if (word.text[word.length - 1] != ']')
            return build_fail(build, "there is something behind the conditions");
        out->conditions = (struct map_word){open + 1, word.length - out->name.length - 2};
    }
    for (const char *slash; (slash = memchr(out->name.text, '/', out->name.length));) {
        size_t n = (size_t)(slash - out->name.text);
        if (!context_enter(build, (struct map_word){out->name.text, n}, &out->section))
            return false;
        out->name = (struct map_word){slash + 1, out->name.length - n - 1};
    }
    return symbol_of(build, out->name, &out->symbol);
}

/* 0: no line names such a segment. */
static uint16_t symbol_if(struct map_build *build, const char *name) {
    const struct map_name *found = build_named(&build->symbols, (struct map_word){name, strlen(name)});
    return (uint16_t)(found ? found - build->symbols.names + 1 : 0);
}

static bool conditions_of(struct map_build *build, const struct head *head, struct map_condition **out,
                          uint32_t *count) {
    char *name = build_take(build, head->name.length + 1);
    if (!name)
        return false;
    memcpy(name, head->name.text, head->name.length);
    build->segment = name;
    return !head->conditions.text || build_conditions(build, head->conditions, out, count);
}

static bool body_build(struct map_build *build, const struct map_lines *lines, size_t at, size_t to,
                       uint32_t section);

/* The lines of a block, as if they stood here. */
static bool use_build(struct map_build *build, const struct map_word *name, uint32_t section) {
    const struct map_lines *lines = build->lines;
    const struct map_line *line = build->line;
    if (++build->depth > MAP_DEPTH_MAX)
        return build_fail(build, "blocks use each other without end");
    for (uint32_t f = 0; f < build->file_count; f++) {
        const struct map_lines *file = build->files[f];
        for (size_t i = 0; i < file->count; i = map_lines_below(file, i, file->count)) {
            const struct map_word *own = map_line_word(file, &file->lines[i], 1);
            if (!map_word_is(map_line_word(file, &file->lines[i], 0), "block") || !own ||
                own->length != name->length || memcmp(own->text, name->text, own->length) != 0)
                continue;
            bool good = body_build(build, file, i + 1, map_lines_below(file, i, file->count), section);
            build->lines = lines;
            build->line = line;
            build->depth--;
            return good;
        }
    }
    return build_fail(build, "there is no block `%.*s`", (int)name->length, name->text);
}

/* The target with what it is within; not for what begins at the event, and for variables. */
static bool target_within(struct map_build *build, const struct map_word *word, struct map_word *out) {
    size_t n = strlen(build->within);
    *out = *word;
    if (!n || strchr("/$%", word->text[0]))
        return true;
    char *text = build_take(build, n + word->length);
    if (!text)
        return false;
    memcpy(text, build->within, n);
    memcpy(text + n, word->text, word->length);
    *out = (struct map_word){text, n + word->length};
    return true;
}

/* within PATH and the lines below it: their targets are in that message */
static bool within_build(struct map_build *build, size_t at, size_t to, uint32_t section) {
    const struct map_word *path = map_line_word(build->lines, build->line, 1);
    char outer[sizeof build->within];
    size_t n = strlen(build->within);
    memcpy(outer, build->within, sizeof outer);
    if (!path || build->line->words != 2 || n + path->length + 2 > sizeof outer)
        return build_fail(build, "`within` names one path to a message");
    memcpy(build->within + n, path->text, path->length);
    memcpy(build->within + n + path->length, ".", 2);
    bool good = body_build(build, build->lines, at + 1, to, section);
    memcpy(build->within, outer, sizeof outer);
    return good;
}

/* The blocks that the section's line uses, from word `i` on, and the lines below it. */
static bool section_body(struct map_build *build, const struct map_section *section, uint32_t i, size_t at,
                         size_t to) {
    const struct map_lines *lines = build->lines;
    const struct map_line *line = build->line;
    char outer[sizeof build->within];
    memcpy(outer, build->within, sizeof outer);
    if (section->targeted)
        build->within[0] = 0;
    uint32_t number = section_add(build, *section);
    bool good = number != UINT32_MAX;
    for (const struct map_word *word; good && (word = map_line_word(lines, line, ++i));)
        good = use_build(build, word, number);
    good = good && body_build(build, lines, at + 1, to, number);
    memcpy(build->within, outer, sizeof outer);
    return good;
}

/* section SEGMENT[CONDITIONS] [TARGET] [use BLOCK...] and the lines below it */
static bool section_build(struct map_build *build, size_t at, size_t to, uint32_t parent) {
    const struct map_lines *lines = build->lines;
    const struct map_line *line = build->line;
    const struct map_word *word = map_line_word(lines, line, 1);
    struct head head;
    if (!word)
        return build_fail(build, "a section has a segment");
    if (!head_read(build, *word, parent, &head))
        return false;
    struct map_section section = {.parent = head.section, .line = line->number, .symbol = head.symbol};
    if (!conditions_of(build, &head, &section.conditions, &section.condition_count))
        return false;
    struct map_section *sibling = sibling_of(build, head.section, head.symbol);
    for (size_t i = 1; i < build->section_count; i++) {
        const struct map_section *other = &build->sections[i];
        if (other->parent == head.section && other->symbol == head.symbol && !other->condition_count)
            return build_fail(build, "line %u opens a section for every %s already", other->line,
                              build->segment);
    }
    section.rank = sibling ? sibling->rank : ++build->ranks[head.section];
    section.in = build->sections[head.section].in;
    if (depth_of(build, head.section) == MAP_DEPTH_MAX)
        return build_fail(build, "sections are at most %u deep", MAP_DEPTH_MAX);
    uint32_t i = 2;
    word = map_line_word(lines, line, i);
    if (word && !map_word_is(word, "use")) {
        struct map_word target;
        if (!target_within(build, word, &target) ||
            !build_section_target(build, &section, target, section.in))
            return false;
        word = map_line_word(lines, line, ++i);
    }
    if (word && !map_word_is(word, "use"))
        return build_fail(build, "behind a section's target comes `use` or nothing");
    return section_body(build, &section, i, at, to);
}

/* ---- Rows --------------------------------------------------------------------------------------------- */

static bool row_add(struct map_build *build, struct map_draft draft) {
    if (heap_grow((void **)&build->rows, &build->row_capacity, build->row_count + 1, sizeof draft) < 0)
        return map_fail_memory(build->error);
    draft.row.rank = ++build->ranks[draft.section];
    if (draft.row.leaves[0].kind == KIND_VARIABLE)
        build->sections[draft.section].clears |= UINT64_C(1) << draft.row.leaves[0].variable;
    build->rows[build->row_count++] = draft;
    return true;
}

/* A range that is written to a list is one entry for each value. */
static bool row_each(const struct map_row *row) {
    const struct map_leaf *own = &row->leaves[0];
    bool list = row->appends || (own->field && own->field->label == PROTOBUF_C_LABEL_REPEATED);
    return list && own->source.count == 1 && own->source.values[0].part == PART_ELEMENT;
}

static bool relative(const struct map_source *source) {
    for (uint32_t i = 0; i < source->count; i++)
        if (source->values[i].part == PART_COMPONENT || source->values[i].part == PART_BEFORE)
            return true;
    return false;
}

static bool row_relative(const struct map_row *row) {
    for (uint32_t i = 0; i < row->leaf_count; i++) {
        const struct map_leaf *leaf = &row->leaves[i];
        const struct map_sides *sides = leaf->sides;
        if (relative(&leaf->source) ||
            (sides && (relative(&sides->format) || relative(&sides->time) || relative(&sides->zone))))
            return true;
    }
    return false;
}

/* The row's leaves in no more memory than they take, with what is read of plain ones. */
static bool leaves_settle(struct map_build *build, struct map_row *row) {
    struct map_leaf *leaves = build_take(build, row->leaf_count * sizeof *leaves);
    if (!leaves)
        return false;
    for (uint32_t i = 0; i < row->leaf_count; i++) {
        leaves[i] = row->leaves[i];
        leaves[i].plain = leaves[i].source.plain;
        leaves[i].element = leaves[i].source.values[0].element;
        leaves[i].component = leaves[i].source.values[0].component;
    }
    row->leaves = leaves;
    return true;
}

static bool row_build(struct map_build *build, uint32_t section) {
    const struct map_line *line = build->line;
    const struct map_word *segment = map_line_word(build->lines, line, 0);
    const struct map_word *source = map_line_word(build->lines, line, 1);
    const struct map_word *target = map_line_word(build->lines, line, 2);
    struct map_draft draft = {.row.line = line->number};
    struct head head;
    if (!source || !target)
        return build_fail(build, "a row is SEGMENT SOURCE TARGET");
    if (!head_read(build, *segment, section, &head) ||
        !conditions_of(build, &head, &draft.row.conditions, &draft.row.condition_count))
        return false;
    draft.section = head.section;
    draft.symbol = head.symbol;
    struct map_leaf leaves[MAP_LEAVES_MAX] = {{0}};
    struct map_word whole;
    draft.row.leaves = leaves;
    if (!target_within(build, target, &whole) ||
        !build_row_target(build, &draft.row, whole, build->sections[head.section].in) ||
        !build_source(build, *source, &draft.row.leaves[0].source))
        return false;
    for (uint32_t i = 3; i < line->words; i++)
        if (!build_row_field(build, &draft.row, *map_line_word(build->lines, line, i)))
            return false;
    if (!leaves_settle(build, &draft.row))
        return false;
    draft.row.each = row_each(&draft.row);
    if (!draft.row.each && row_relative(&draft.row))
        return build_fail(build, "`.N` and `-N` are for a range of elements that is written to a list");
    return row_add(build, draft);
}

static bool body_build(struct map_build *build, const struct map_lines *lines, size_t at, size_t to,
                       uint32_t section) {
    bool good = true;
    for (size_t i = at, next; good && i < to; i = next) {
        next = map_lines_below(lines, i, to);
        build->lines = lines;
        build->line = &lines->lines[i];
        const struct map_word *word = map_line_word(lines, build->line, 0);
        if (map_word_is(word, "section")) {
            good = section_build(build, i, next, section);
        } else if (map_word_is(word, "within")) {
            good = within_build(build, i, next, section);
        } else if (next > i + 1) {
            good = build_fail(build, "nothing but section, within, list and block has lines below it");
        } else if (map_word_is(word, "use")) {
            for (uint32_t k = 1; good && k < build->line->words; k++)
                good = use_build(build, map_line_word(lines, build->line, k), section);
        } else {
            good = row_build(build, section);
        }
    }
    return good;
}

/* ---- The whole ---------------------------------------------------------------------------------------- */

static const ProtobufCFieldDescriptor *field_of(const ProtobufCMessageDescriptor *in, const char *name) {
    return protobuf_c_message_descriptor_get_field_by_name(in, name);
}

/* What the event's verification looks at. */
static struct map_verified verified(const ProtobufCMessageDescriptor *event) {
    static const char *const quantities[] = {"received", "shipped", "quantity"};
    struct map_verified fields = {.lines = field_of(event, "lines"), .totals = field_of(event, "totals")};
    const ProtobufCMessageDescriptor *line = fields.lines ? fields.lines->descriptor : NULL;
    if (line == &roundhouse__erp__v1__order_response_line__descriptor)
        line = &roundhouse__erp__v1__order_line__descriptor;
    if (!line)
        return fields;
    fields.id = field_of(line, "id");
    fields.net = field_of(line, "net");
    for (size_t i = 0; i < sizeof quantities / sizeof *quantities; i++) {
        const ProtobufCFieldDescriptor *field = field_of(line, quantities[i]);
        if (field && field->descriptor == &roundhouse__erp__v1__quantity__descriptor)
            fields.quantity = field;
    }
    return fields;
}

static bool event_find(struct map_build *build) {
    const struct map_word *name = map_line_word(build->lines, build->line, 1);
    const ProtobufCMessageDescriptor *event = name ? model_event(name->text, name->length) : NULL;
    if (!event)
        return build_fail(build, "`event` names no document of erp.proto");
    build->map->event = event;
    build->map->header = field_of(event, "header");
    build->map->verified = verified(event);
    return true;
}

static bool include_read(struct map_build *build,
                         const struct map_lines *(*included)(void *context, struct map_word name),
                         void *context) {
    const struct map_word *name = map_line_word(build->lines, build->line, 1);
    const struct map_lines *file = name ? included(context, *name) : NULL;
    if (!file)
        return build_fail(build, "there is no file of that name to include");
    for (uint32_t i = 0; i < build->file_count; i++)
        if (build->files[i] == file)
            return true;
    if (build->file_count == MAP_FILES_MAX)
        return build_fail(build, "at most %u files", MAP_FILES_MAX);
    build->files[build->file_count++] = file;
    return true;
}

static bool at_top(const struct map_lines *lines, size_t i, const char *word) {
    return map_word_is(map_line_word(lines, &lines->lines[i], 0), word);
}

/* Includes, lists and the event: what rows rest on. */
static bool tops_read(struct map_build *build,
                      const struct map_lines *(*included)(void *context, struct map_word name),
                      void *context) {
    for (uint32_t f = 0; f < build->file_count; f++) {
        const struct map_lines *lines = build->files[f];
        for (size_t i = 0, next; i < lines->count; i = next) {
            next = map_lines_below(lines, i, lines->count);
            build->lines = lines;
            build->line = &lines->lines[i];
            if ((at_top(lines, i, "include") && !include_read(build, included, context)) ||
                (at_top(lines, i, "list") && !build_list(build, lines, i, next)) ||
                (f == 0 && at_top(lines, i, "event") && !event_find(build)))
                return false;
        }
    }
    build->lines = build->files[0];
    build->line = build->lines->lines;
    return build->map->event || build_fail(build, "the map has no `event`");
}

static bool rows_read(struct map_build *build) {
    const struct map_lines *lines = build->files[0];
    static const char *const tops[] = {"map", "event", "include", "list", "block"};
    for (size_t i = 0, next; i < lines->count; i = next) {
        next = map_lines_below(lines, i, lines->count);
        bool top = false;
        for (size_t k = 0; k < sizeof tops / sizeof *tops; k++)
            top |= at_top(lines, i, tops[k]);
        if (!top && !body_build(build, lines, i, next, 0))
            return false;
    }
    return true;
}

static int draft_order(const void *left, const void *right) {
    const struct map_draft *a = left, *b = right;
    if (a->section != b->section)
        return a->section < b->section ? -1 : 1;
    if (a->symbol != b->symbol)
        return a->symbol < b->symbol ? -1 : 1;
    return a->row.rank < b->row.rank ? -1 : a->row.rank > b->row.rank;
}

/* Rows in runs by section and symbol, and the cells that say where each run is. */
static bool rows_place(struct map_build *build) {
    struct map *map = build->map;
    if (build->row_count > UINT16_MAX)
        return build_fail(build, "there are more than %u rows", UINT16_MAX);
    map->row_count = (uint32_t)build->row_count;
    map->rows = build_take(build, build->row_count * sizeof *map->rows);
    if (!map->rows)
        return false;
    if (build->row_count)
        qsort(build->rows, build->row_count, sizeof *build->rows, draft_order);
    for (size_t i = 0; i < build->row_count; i++) {
        map->rows[i] = build->rows[i].row;
        struct map_cell *cell = &map->sections[build->rows[i].section].cells[build->rows[i].symbol];
        if (!cell->row_count++)
            cell->row = (uint16_t)i;
    }
    return true;
}

static bool children_place(struct map_build *build) {
    struct map *map = build->map;
    map->children = build_take(build, build->section_count * sizeof *map->children);
    if (!map->children)
        return false;
    for (uint32_t s = 0; s < build->section_count; s++)
        for (uint32_t symbol = 1; symbol <= map->symbol_count; symbol++) {
            struct map_cell *cell = &map->sections[s].cells[symbol];
            cell->child = (uint16_t)map->child_count;
            for (uint32_t c = s + 1; c < build->section_count; c++)
                if (map->sections[c].parent == s && map->sections[c].symbol == symbol) {
                    map->children[map->child_count++] = (uint16_t)c;
                    cell->child_count++;
                    cell->fills |= map->sections[c].targeted;
                }
        }
    return true;
}

static bool sections_place(struct map_build *build) {
    struct map *map = build->map;
    map->symbol_count = (uint32_t)build->symbols.count;
    map->section_count = (uint32_t)build->section_count;
    map->sections = build_take(build, build->section_count * sizeof *map->sections);
    struct map_text *keys = build_take(build, (build->symbols.count + 1) * sizeof *keys);
    if (!map->sections || !keys)
        return false;
    memcpy(map->sections, build->sections, build->section_count * sizeof *map->sections);
    for (size_t i = 0; i < build->section_count; i++) {
        map->sections[i].cells = build_take(build, (build->symbols.count + 1) * sizeof(struct map_cell));
        if (!map->sections[i].cells)
            return false;
    }
    map->nobody.cells = build_take(build, (build->symbols.count + 1) * sizeof(struct map_cell));
    if (!map->nobody.cells)
        return false;
    for (size_t i = 0; i < build->symbols.count; i++)
        if (!build_text(build, build->symbols.names[i].word.text, build->symbols.names[i].word.length,
                        &keys[i]))
            return false;
    if (!build_index(build, keys, build->symbols.count, &map->symbols))
        return false;
    map->begin = symbol_if(build, "*begin");
    map->end = symbol_if(build, "*end");
    return rows_place(build) && children_place(build);
}

static void format_apply(struct map *map, const char *format) {
    bool file = strcmp(format, "CSV") == 0 || strcmp(format, "FIXED") == 0;
    bool sap = strcmp(format, "IDOC") == 0;
    map->units = (uint8_t)(strcmp(format, "X12") == 0 ? UNIT_X12 : sap ? UNIT_SAP : UNIT_REC20);
    map->minus_behind = sap || file;
    map->plus = file;
    map->bare_allowed = strcmp(format, "EDIFACT") != 0;
}

static bool all_build(struct map_build *build,
                      const struct map_lines *(*included)(void *context, struct map_word name),
                      void *context) {
    struct map_section outermost = {0};
    if (!tops_read(build, included, context))
        return false;
    outermost.in = build->map->event;
    if (section_add(build, outermost) == UINT32_MAX || !rows_read(build) || !sections_place(build))
        return false;
    build->map->variable_count = (uint32_t)build->variables.count;
    return true;
}

struct map *map_build(const struct map_lines *lines, const char *format, const struct map_fields *fields,
                      const struct map_lines *(*included)(void *context, struct map_word name), void *context,
                      struct map_error *error) {
    struct map *map = heap_take(sizeof *map);
    if (!map) {
        map_fail_memory(error);
        return NULL;
    }
    struct map_build build = {
        .map = map, .error = error, .fields = fields, .files = {lines}, .file_count = 1};
    build.lines = lines;
    build.line = lines->lines;
    build.segment = "";
    map->file = lines->file;
    format_apply(map, format);
    bool good = all_build(&build, included, context);
    heap_give(build.lists.names);
    heap_give(build.variables.names);
    heap_give(build.symbols.names);
    heap_give(build.rows);
    heap_give(build.sections);
    heap_give(build.ranks);
    if (good)
        return map;
    map_free(map);
    return NULL;
}

void map_free(struct map *map) {
    if (!map)
        return;
    arena_free(&map->arena);
    heap_give(map);
}
