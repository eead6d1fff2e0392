/* map.h: which value of a document goes into which field of a canonical message: the maps, compiled.
 * Owner: a library owns its maps; they live until map_library_free. docs/MAPPING.md describes the language.
 * Thread: one at a time while a library is being made or may still compile (map_find); after
 * map_library_compile it never changes and any number may read it.
 * Nothing blocks: the maps that come with Roundhouse are in the executable. It allocates, never for a
 * document. Fails by a map_error: file, line, and what is wrong. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map;
struct map_library;

struct map_error {
    char text[256]; /* "edifact/orders.map:12: no field `lines.itm` in Order" */
};

/* How the fields of a format that have names are numbered. `segment` is as in the map, without a path. 0:
 * there is no such field. A format without fields that have names gives none. */
struct map_fields {
    const char *format; /* as in document_head: IDOC, UBL, CSV */
    uint32_t (*number)(void *context, const char *segment, const char *field);
    void *context;
};

/* All maps that come with Roundhouse. `fields` is copied, what it points to is borrowed. NULL: no memory. */
struct map_library *map_library_new(const struct map_fields *fields, size_t count) MUST_USE;
void map_library_free(struct map_library *library);

/* A map of the user's own, `file` is for errors. It goes before one for the same message that is there
 * already. The text is copied. A file without a `map` line is lists and blocks for others to include by the
 * file's name. */
bool map_library_add(struct map_library *library, const char *file, const char *text, size_t length,
                     struct map_error *error) MUST_USE;

/* Compiles every map that is not compiled yet. */
bool map_library_compile(struct map_library *library, struct map_error *error) MUST_USE;

/* The map for a message: with its variant, else without one. NULL: there is none; or it can not be compiled:
 * then the error has a text, which is empty otherwise. */
const struct map *map_find(struct map_library *library, const char *format, const char *name,
                           const char *variant, struct map_error *error);

/* The short name of the message that it makes: "Order". */
const char *map_event(const struct map *map);
