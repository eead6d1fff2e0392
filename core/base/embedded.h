/* embedded.h: text files that are part of the executable: layouts of IDocs, maps.
 * Owner: constant data, made by embed() in CMakeLists.txt.
 * Thread: any.
 * Nothing blocks, nothing allocates.
 * It can not fail: the build does. A list ends with an entry without a name. */
#pragma once

#include <stddef.h>

struct embedded_file {
    const char *name; /* relative to the folder that they were taken from */
    const char *text; /* a NUL stands behind it */
    size_t length;
};
