/* map_files.h: the maps that come with Roundhouse, as text inside the executable.
 * Owner: constant; made from codecs/erp/maps when the project is built (cmake/embed_maps.cmake).
 * Any thread may read it.
 * Nothing blocks.
 * Nothing fails. */
#pragma once

#include <stddef.h>

struct map_file {
    const char *name; /* edifact/orders.map */
    const char *text;
    size_t length;
};

extern const struct map_file map_files[];
extern const size_t map_file_count;
