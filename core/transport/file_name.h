/* file_name.h: the name of a file that an event becomes, from a template.
 * Owner: pure functions over the caller's bytes. Any thread may call.
 * The same event has the same name: nothing of it depends on when or how often it is written.
 * Nothing blocks, nothing is allocated.
 * A template that can not be one is refused with a sentence; making a name does not fail. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FILE_NAME_BYTES   201u /* with the zero byte */
#define FILE_NAME_DEFAULT "{type}-{hash}.{ext}"

bool file_name_check(const char *template, char *why, size_t why_bytes) MUST_USE;

/* directory.h says what {...} there are. `hash` stands for the event's source and id. */
void file_name_make(const char *template, const uint8_t *event, size_t event_length, const char *topic,
                    size_t topic_length, uint64_t hash, char out[FILE_NAME_BYTES]);
