/* classes.h: what a port has learned of topics: whether the router keeps them in memory or on disk.
 * Owner: the port that has it inside. Thread: the port's.
 * Nothing blocks. Names are copied.
 * Zeroed is empty. It holds CLASSES_MAX topics; then it forgets them all and learns anew.
 * Fails by forgetting: without memory a topic stays unknown, which costs time and nothing else. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define CLASSES_MAX 4096u /* topics of up to 255 bytes: 1 MiB at the most */

enum class { CLASS_UNKNOWN, CLASS_MEMORY, CLASS_DISK };

struct classes {
    struct class_entry **slots; /* owns, and what they point to; 2 * CLASSES_MAX, or NULL */
    size_t count;
};

enum class classes_find(const struct classes *classes, const char *topic, size_t length);
void classes_learn(struct classes *classes, const char *topic, size_t length, enum class of);
/* Gives the memory back. */
void classes_forget(struct classes *classes);
