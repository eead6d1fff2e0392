/* map_table.h: a map as the engine follows it: arrays of sections, rows, conditions and values.
 * Owner: its library; all of it lies in the map's arena. Fields are written by map_compile.c only.
 * Thread: never changes once compiled; any number may read it.
 * Nothing blocks, nothing fails.
 * docs/MAPPING.md describes the language; the words here are those of that page. */
#pragma once

#include "codecs/document/segment.h"
#include "codecs/erp/arena.h"
#include "codecs/erp/map.h"
#include "core/base/utf8.h"

#include <protobuf-c/protobuf-c.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MAP_DEPTH_MAX     24u /* sections inside each other, and levels of aggregates */
#define MAP_STEPS_MAX     8u
#define MAP_LEAVES_MAX    8u   /* fields that one row sets */
#define MAP_VALUES_MAX    8u   /* that one source joins */
#define MAP_VARIABLES_MAX 64u  /* a bit each in map_section.clears */
#define MAP_SYMBOLS_MAX   512u /* names of segments in one map */
#define MAP_SECTIONS_MAX  1024u
#define MAP_ELEMENT_MAX   4096u
#define MAP_SYMBOL_NONE   0u /* of segments that the map does not name */

/* A short text that is compared often. */
struct map_text {
    const char *bytes;
    uint32_t length;
    uint64_t word; /* its first eight bytes, the rest 0 */
};

static inline uint64_t map_word(const void *bytes, size_t n) {
    return n >= 8 ? word_load(bytes) : word_load_short(bytes, n);
}

static inline bool map_text_is(const struct map_text *text, uint64_t word, const void *bytes, size_t n) {
    return text->word == word && text->length == n && (n <= 8 || memcmp(text->bytes, bytes, n) == 0);
}

/* A hash table from texts to numbers, of a power of two slots; slot 0 of `numbers` means empty. */
struct map_index {
    struct map_text *keys;
    uint32_t *values;
    uint32_t mask; /* slots - 1 */
};

static inline uint64_t map_hash(uint64_t word, size_t n) {
    uint64_t x = (word ^ n) * UINT64_C(0x9e3779b97f4a7c15);
    return x ^ x >> 32;
}

/* 0: it is not there. */
static inline uint32_t map_index_find(const struct map_index *index, const void *bytes, size_t n) {
    if (!index->keys)
        return 0;
    uint64_t word = map_word(bytes, n);
    for (uint32_t i = (uint32_t)map_hash(word, n) & index->mask; index->values[i]; i = (i + 1) & index->mask)
        if (map_text_is(&index->keys[i], word, bytes, n))
            return index->values[i];
    return 0;
}

/* What becomes of a code. */
enum map_outcome {
    OUTCOME_TEXT, /* another text */
    OUTCOME_SAME, /* itself */
    OUTCOME_SKIP, /* the row does nothing */
    OUTCOME_NONE, /* nothing, and a note: the list has no line for it */
};

struct map_list {
    const char *name;
    struct map_index index;    /* of codes: numbers in `results`, from 1 */
    struct map_text *results;  /* [0]: of all other codes */
    enum map_outcome *outcome; /* of each result */
    uint32_t result_count;
};

enum map_part {
    PART_ELEMENT,   /* `element`.`component`, both perhaps a range */
    PART_LITERAL,   /* `text` */
    PART_VARIABLE,  /* `variable` */
    PART_COMPONENT, /* `component` of the element that a range is at */
    PART_BEFORE,    /* the element `element` places before the one that a range is at */
};

struct map_value {
    enum map_part part;
    uint16_t element, element_last, step;
    uint16_t component, component_last;
    uint16_t variable;
    uint8_t decimals; /* implied */
    bool zeros;       /* leading zeros go */
    struct map_text text;
};

struct map_source {
    struct map_value *values;
    uint32_t count;
    bool plain;                  /* one component, as it is but for the list */
    const struct map_list *list; /* NULL: none */
};

struct map_condition {
    bool first;  /* `left` is 1.1, which nearly all conditions are about */
    bool wanted; /* whether one of them must be it; whether it must be there */
    uint32_t choice_count;
    struct map_text *choices; /* none: it is about being there */
    struct map_value left;
};

/* How a text becomes a field. */
enum map_kind {
    KIND_TEXT,
    KIND_BOOL,
    KIND_NUMBER,
    KIND_DECIMAL,
    KIND_MOMENT,
    KIND_PERIOD,
    KIND_CLOCK,    /* the time of a Moment */
    KIND_ZONE,     /* its zone */
    KIND_CURRENCY, /* checked */
    KIND_UNIT,     /* translated, and kept as it was written */
    KIND_VARIABLE, /* into a variable */
    KIND_LINES,    /* a control count */
    KIND_HASH,     /* a control sum */
};

/* What stands beside a moment or period; count 0: nothing. */
struct map_sides {
    struct map_source format, time, zone;
};

/* Fields that each segment asks for come first: a leaf is little more than one line of the cache. */
struct map_leaf {
    uint8_t kind; /* enum map_kind */
    bool plain;   /* its source is one component, but for the list: this one */
    uint16_t element, component;
    uint16_t variable;
    uint32_t step_count;
    const ProtobufCFieldDescriptor *field;
    const ProtobufCMessageDescriptor *in; /* of the message that has the field */
    struct map_source source;
    const ProtobufCFieldDescriptor *const *steps; /* to that message */
    struct map_sides *sides;                      /* NULL: none */
};

struct map_row {
    uint32_t rank;  /* place in its section */
    bool from_root; /* begins at the event, not at the section's message */
    bool appends;   /* the last step is a list that gets a new entry */
    bool each;      /* once for each value of a range */
    uint32_t condition_count, leaf_count, step_count;
    struct map_condition *conditions;
    struct map_leaf *leaves; /* [0]: the row's own */
    const ProtobufCFieldDescriptor *const *steps;
    const ProtobufCMessageDescriptor *in; /* the message that the leaves begin at */
    uint32_t line;                        /* in its file, for errors */
};

/* What a section has for one symbol: rows and sections, each a run. */
struct map_cell {
    uint16_t row, row_count;
    uint16_t child, child_count;
    bool fills; /* one of these sections has a target */
};

struct map_section {
    uint32_t parent; /* 0 of the outermost section, which is number 0 */
    uint32_t line, rank;
    uint16_t symbol;
    bool from_root, appends, targeted;
    const ProtobufCFieldDescriptor *steps[MAP_STEPS_MAX];
    uint32_t step_count;
    const ProtobufCMessageDescriptor *in; /* of its message */
    struct map_condition *conditions;
    uint32_t condition_count;
    uint64_t clears;        /* variables that its rows write */
    struct map_cell *cells; /* by symbol */
};

/* A segment that is made up, and its fields. */
enum map_head_field {
    HEAD_FORMAT = 1,
    HEAD_NAME,
    HEAD_VERSION,
    HEAD_ASSOCIATION,
    HEAD_VARIANT,
    HEAD_SENDER,
    HEAD_SENDER_QUALIFIER,
    HEAD_RECEIVER,
    HEAD_RECEIVER_QUALIFIER,
    HEAD_INTERCHANGE_REF,
    HEAD_GROUP_REF,
    HEAD_MESSAGE_REF,
    HEAD_DATE,
    HEAD_TIME,
    HEAD_FIELDS,
};

/* Fields of an event that its verification looks at; NULL: it has none. */
struct map_verified {
    const ProtobufCFieldDescriptor *lines, *totals;
    const ProtobufCFieldDescriptor *id, *quantity, *net; /* of a line, or of the line inside it */
};

struct map {
    struct arena arena; /* owns all that is below */
    const char *file;
    const ProtobufCMessageDescriptor *event;
    const ProtobufCFieldDescriptor *header; /* of the event */
    struct map_verified verified;
    struct map_index symbols; /* of segments; numbers from 1 */
    uint32_t symbol_count;
    uint16_t begin, end; /* symbols of *begin and *end; 0: no row asks */
    struct map_section *sections;
    uint32_t section_count;
    struct map_section nobody; /* what a segment opens that is for sections, none of which fits */
    struct map_row *rows;      /* those of a section for a symbol are a run */
    uint16_t *children;        /* section numbers, in runs */
    uint32_t row_count, child_count;
    uint32_t variable_count;
    uint8_t units; /* enum unit_system */
    bool minus_behind, plus;
    bool bare_allowed; /* .5 is a number in this format */
};
