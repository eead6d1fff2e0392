/* map_build.h: what the parts of the map compiler share: the map that is being built, and how it says what is
 * wrong.
 * Owner: map_build.c makes and frees it; nothing of it outlives the compilation but the map.
 * One thread at a time.
 * Nothing blocks. It allocates from the general heap and from the map's arena.
 * Every function that can fail gives false (or NULL) and has filled the error. */
#pragma once

#include "codecs/erp/map_lines.h"
#include "codecs/erp/map_table.h"

#define MAP_FILES_MAX 16u /* a map and what it includes */

/* A name that the map gives or uses: a list, a variable, a segment. */
struct map_name {
    struct map_word word;
    struct map_list *list;
};

struct map_names {
    struct map_name *names;
    size_t count, capacity;
};

struct map_draft {
    struct map_row row;
    uint32_t section;
    uint16_t symbol;
};

struct map_build {
    struct map *map;
    struct map_error *error;
    const struct map_fields *fields; /* of the format; NULL: it has none */
    const struct map_lines *files[MAP_FILES_MAX];
    uint32_t file_count;
    struct map_names lists, variables, symbols;
    struct map_draft *rows;
    size_t row_count, row_capacity;
    struct map_section *sections;
    uint32_t *ranks; /* of each section: the last place that was given out in it */
    size_t section_count, section_capacity, rank_capacity;
    /* where we are */
    const struct map_lines *lines;
    const struct map_line *line;
    const char *segment; /* of the row, for the names of fields */
    uint32_t depth;      /* of blocks that use blocks */
    char within[64];     /* goes before targets: `line.` inside of `within line` */
};

/* ---- map_build.c ---- */

bool build_fail(struct map_build *build, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Zeroed memory of the map; NULL is told. */
void *build_take(struct map_build *build, size_t bytes);
bool build_text(struct map_build *build, const char *bytes, size_t n, struct map_text *out);
/* The number of a name, which is added if it is not there; UINT32_MAX: no memory, or more than `most`. */
uint32_t build_name(struct map_build *build, struct map_names *names, struct map_word word, size_t most,
                    const char *what);
struct map_name *build_named(struct map_names *names, struct map_word word);
bool build_index(struct map_build *build, const struct map_text *keys, size_t count, struct map_index *out);

/* ---- map_value.c: sources and conditions ---- */

bool build_source(struct map_build *build, struct map_word word, struct map_source *out);
bool build_conditions(struct map_build *build, struct map_word word, struct map_condition **out,
                      uint32_t *count);
/* The lines of a list. */
bool build_list(struct map_build *build, const struct map_lines *lines, size_t at, size_t to);

/* ---- map_target.c: paths into messages ---- */

/* The target of a section: a message, or a list of them. */
bool build_section_target(struct map_build *build, struct map_section *section, struct map_word word,
                          const ProtobufCMessageDescriptor *in);
bool build_row_target(struct map_build *build, struct map_row *row, struct map_word word,
                      const ProtobufCMessageDescriptor *in);
/* FIELD=SOURCE of a row whose target is there. */
bool build_row_field(struct map_build *build, struct map_row *row, struct map_word word);

/* ---- the whole ---- */

/* The map of `lines`; `included` is asked for other files by name. NULL: the error says why. */
struct map *map_build(const struct map_lines *lines, const char *format, const struct map_fields *fields,
                      const struct map_lines *(*included)(void *context, struct map_word name), void *context,
                      struct map_error *error);
void map_free(struct map *map);
