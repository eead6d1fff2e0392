#include "core/config/tree.h"

#include "core/base/utf8.h"
#include "core/config/mistakes.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* A place in the file, counted as libyaml does: lines end with LF, CR or CR LF, columns are characters. */
struct place {
    uint32_t line;
    uint32_t column;
};

static void place_step(struct place *place, uint32_t code, const char *next, const char *end) {
    bool half = code == '\r' && next < end && *next == '\n';
    if ((code == '\n' || code == '\r') && !half) {
        place->line++;
        place->column = 1;
    } else if (!half) {
        place->column++;
    }
}

/* The character at a place of the text, or 0. */
static char place_character(const char *text, size_t length, uint32_t line, uint32_t column) {
    struct place at = {1, 1};
    const char *end = text + length;
    for (const char *p = text; p < end;) {
        if (at.line == line && at.column == column)
            return *p;
        uint32_t code = 0;
        size_t size = utf8_next((const uint8_t *)p, (size_t)(end - p), &code);
        p += size ? size : 1;
        place_step(&at, code, p, end);
    }
    return 0;
}

/* ---- before YAML: bytes that are not text ---- */

/* Line breaks of YAML 1.1 that no editor shows as such would put every later mistake on a wrong line. */
static const char *character_fault(size_t size, uint32_t code) {
    if (size == 0)
        return "this byte is not UTF-8; save the file as UTF-8";
    if (code == 0)
        return "there is a NUL byte here; take it out";
    if (code == 0x2028 || code == 0x2029)
        return "there is an invisible line separator here; take it out";
    if (code != '\t' && code != '\n' && code != '\r' && utf8_control_or_nonchar(code))
        return "there is a control character here; take it out";
    return NULL;
}

/* Names the first such byte of each line. Returns how many bytes of the text can be read as YAML: the lines
 * before the first one that is named. */
static size_t characters_check(const char *text, size_t length, struct config_mistakes *mistakes) {
    struct place at = {1, 1};
    uint32_t line_named = 0;
    size_t clean = length;
    const char *end = text + length;
    const char *line = text;
    for (const char *p = text; p < end;) {
        uint32_t code = 0;
        size_t size = utf8_next((const uint8_t *)p, (size_t)(end - p), &code);
        const char *fault = character_fault(size, code);
        if (fault && line_named != at.line) {
            config_mistake_add(mistakes, at.line, at.column, "%s", fault);
            line_named = at.line;
            if (clean == length)
                clean = (size_t)(line - text);
        }
        p += size ? size : 1;
        place_step(&at, code, p, end);
        if (at.column == 1)
            line = p;
    }
    return clean;
}

/* ---- building ---- */

struct builder {
    struct config_tree *tree;
    struct config_mistakes *mistakes;
    const char *text;
    size_t length;
    bool cut; /* the text was cut at a byte that has been named: what libyaml says of the end is no news */
    uint32_t open[CONFIG_DEPTH_MAX];
    uint32_t depth;
    yaml_parser_t parser;
};

static bool builder_refuse(struct builder *builder, yaml_mark_t mark, const char *text) {
    config_mistake_add(builder->mistakes, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1, "%s", text);
    return false;
}

static bool nodes_grow(struct config_tree *tree) {
    uint32_t size = tree->size ? tree->size * 2 : 64;
    struct config_node *nodes = realloc(tree->nodes, size * sizeof *nodes);
    if (!nodes)
        return false;
    if (tree->size == 0)
        nodes[0] = (struct config_node){0};
    tree->nodes = nodes;
    tree->size = size;
    tree->count = tree->count ? tree->count : 1;
    return true;
}

static void node_link(struct builder *builder, uint32_t index) {
    struct config_tree *tree = builder->tree;
    if (builder->depth == 0) {
        tree->root = index;
        return;
    }
    struct config_node *parent = &tree->nodes[builder->open[builder->depth - 1]];
    if (parent->last)
        tree->nodes[parent->last].next = index;
    else
        parent->first = index;
    parent->last = index;
}

/* A new node as the last child of the open one; 0 after a refusal. */
static uint32_t node_add(struct builder *builder, enum config_kind kind, const yaml_event_t *event) {
    struct config_tree *tree = builder->tree;
    if (tree->count >= CONFIG_VALUES_MAX) {
        builder_refuse(builder, event->start_mark, "the file holds too many values; 65536 are the most");
        return 0;
    }
    if (tree->count == tree->size && !nodes_grow(tree)) {
        builder_refuse(builder, event->start_mark, "there is no memory left to read the file");
        return 0;
    }
    uint32_t index = tree->count++;
    tree->nodes[index] = (struct config_node){.kind = kind,
                                              .line = (uint32_t)event->start_mark.line + 1,
                                              .column = (uint32_t)event->start_mark.column + 1};
    node_link(builder, index);
    return index;
}
static_assert(CONFIG_VALUES_MAX == 65536, "the sentence above names it");

/* Anchors and tags are named and then overlooked, so that the rest of the file is checked too. */
static void extras_check(struct builder *builder, const yaml_char_t *anchor, const yaml_char_t *tag,
                         yaml_mark_t mark) {
    if (anchor)
        builder_refuse(builder, mark, "anchors (&name) are not used here; write the value where it is meant");
    if (tag)
        builder_refuse(builder, mark, "tags (!name) are not used here; leave the tag out");
}

static bool on_scalar(struct builder *builder, const yaml_event_t *event) {
    struct config_tree *tree = builder->tree;
    size_t length = event->data.scalar.length;
    extras_check(builder, event->data.scalar.anchor, event->data.scalar.tag, event->start_mark);
    uint32_t index = node_add(builder, CONFIG_SCALAR, event);
    if (index == 0)
        return false;
    if (length > tree->texts_size - tree->texts_used)
        return builder_refuse(builder, event->start_mark, "this value is too long");
    char *text = tree->texts + tree->texts_used;
    memcpy(text, event->data.scalar.value, length);
    tree->texts_used += length;
    tree->nodes[index].text = text;
    tree->nodes[index].text_length = (uint32_t)length;
    return true;
}

static bool on_alias(struct builder *builder, const yaml_event_t *event) {
    builder_refuse(builder, event->start_mark, "aliases (*name) are not used here; write the value itself");
    return node_add(builder, CONFIG_ALIAS, event) != 0;
}

static bool on_start(struct builder *builder, enum config_kind kind, const yaml_event_t *event) {
    uint32_t index = node_add(builder, kind, event);
    if (index == 0)
        return false;
    if (builder->depth == CONFIG_DEPTH_MAX)
        return builder_refuse(builder, event->start_mark, "lists and mappings are nested too deeply here");
    builder->open[builder->depth++] = index;
    return true;
}

/* libyaml has opened a second document: one file is one configuration. */
static bool on_document(struct builder *builder, const yaml_event_t *event) {
    if (builder->tree->root == 0)
        return true;
    return builder_refuse(builder, event->start_mark,
                          "a second document begins here (---); one file holds one");
}

static bool on_event(struct builder *builder, const yaml_event_t *event) {
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return on_document(builder, event);
    case YAML_SCALAR_EVENT:
        return on_scalar(builder, event);
    case YAML_ALIAS_EVENT:
        return on_alias(builder, event);
    case YAML_SEQUENCE_START_EVENT:
        extras_check(builder, event->data.sequence_start.anchor, event->data.sequence_start.tag,
                     event->start_mark);
        return on_start(builder, CONFIG_SEQUENCE, event);
    case YAML_MAPPING_START_EVENT:
        extras_check(builder, event->data.mapping_start.anchor, event->data.mapping_start.tag,
                     event->start_mark);
        return on_start(builder, CONFIG_MAPPING, event);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        builder->depth--;
        return true;
    default:
        return true;
    }
}

/* ---- what libyaml can not read ---- */

/* What to write instead, for the errors that people make; libyaml only says what it did not find. */
static const char *syntax_hint(const char *problem, char character) {
    if (character == '\t' && strstr(problem, "cannot start any token"))
        return "there is a tab here; indent with blanks";
    if (strstr(problem, "cannot start any token"))
        return "no value can begin with this character; put the value in quotes";
    if (strstr(problem, "mapping values are not allowed"))
        return "a colon is not expected here; check the indentation, and put text with a colon in quotes";
    if (strstr(problem, "did not find expected key"))
        return "a key was expected here; check the indentation";
    if (strstr(problem, "could not find expected ':'"))
        return "the key before this has no colon; write KEY: VALUE";
    if (strstr(problem, "expected ',' or '}'"))
        return "a comma or the closing } is missing before this";
    if (strstr(problem, "expected ',' or ']'"))
        return "a comma or the closing ] is missing before this";
    return NULL;
}

static void syntax_mistake(struct builder *builder) {
    const yaml_parser_t *parser = &builder->parser;
    const char *problem = parser->problem ? parser->problem : "it can not be read";
    uint32_t line = (uint32_t)parser->problem_mark.line + 1;
    uint32_t column = (uint32_t)parser->problem_mark.column + 1;
    char character = place_character(builder->text, builder->length, line, column);
    const char *hint = syntax_hint(problem, character);
    if (parser->error == YAML_MEMORY_ERROR)
        config_mistake_add(builder->mistakes, line, column, "there is no memory left to read the file");
    else if (parser->context)
        config_mistake_add(builder->mistakes, line, column, "%s (YAML: %s, %s from line %zu)",
                           hint ? hint : "this is not YAML", problem, parser->context,
                           parser->context_mark.line + 1);
    else
        config_mistake_add(builder->mistakes, line, column, "%s (YAML: %s)", hint ? hint : "this is not YAML",
                           problem);
}

static void builder_run(struct builder *builder) {
    yaml_event_t event;
    for (bool more = true; more;) {
        if (!yaml_parser_parse(&builder->parser, &event)) {
            if (!builder->cut)
                syntax_mistake(builder);
            return;
        }
        more = on_event(builder, &event);
        if (event.type == YAML_STREAM_END_EVENT) {
            builder->tree->whole = !builder->cut;
            more = false;
        }
        yaml_event_delete(&event);
    }
}

void config_tree_read(struct config_tree *tree, const char *text, size_t length,
                      struct config_mistakes *mistakes) {
    static const char mark[3] = "\xef\xbb\xbf";
    if (length >= sizeof mark && memcmp(text, mark, sizeof mark) == 0) {
        text += sizeof mark;
        length -= sizeof mark;
    }
    size_t clean = characters_check(text, length, mistakes);
    struct builder builder = {.tree = tree, .mistakes = mistakes, .text = text, .length = clean};
    builder.cut = clean < length;
    /* An escape such as \L makes three bytes of two: never more than twice the file. */
    tree->texts_size = 2 * clean + 1;
    tree->texts = malloc(tree->texts_size);
    if (!tree->texts || !yaml_parser_initialize(&builder.parser)) {
        config_mistake_add(mistakes, 1, 1, "there is no memory left to read the file");
        return;
    }
    yaml_parser_set_encoding(&builder.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&builder.parser, (const unsigned char *)text, clean);
    builder_run(&builder);
    yaml_parser_delete(&builder.parser);
}

void config_tree_deinit(struct config_tree *tree) {
    free(tree->nodes);
    free(tree->texts);
    *tree = (struct config_tree){0};
}
