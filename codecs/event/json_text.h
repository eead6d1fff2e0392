/* json_text.h: JSON as the text it is: where a member's value begins and ends, and how to put it on one line.
 * Owner: pure functions over the caller's bytes. Any thread may call.
 * Needed because a parser rounds numbers: data has to leave with the digits with which it came.
 * Nothing blocks.
 * json_text_fault decides whether a text is JSON at all; all else here trusts that it has been asked. */
#pragma once

#include "codecs/event/bytes.h"

#include <stdbool.h>
#include <stddef.h>

struct json_member {
    const char *key; /* with its quotes */
    size_t key_length;
    const char *value;
    size_t value_length;
};

/* NULL if the text is one JSON value (any type), or what is wrong with it. `unique`: a member that occurs
 * twice in an object is wrong too. */
const char *json_text_fault(const char *text, size_t n, bool unique);

/* Where the first character that is no white space stands, or end. */
const char *json_text_begin(const char *p, const char *end);

/* The next member of an object. *at is the object's '{' at first, and is moved on. False at its end. */
bool json_member_next(const char **at, const char *end, struct json_member *member);

/* The next value of an array, of text that need not be JSON as long as each value is asked about by itself.
 * *at is the array's '[' at first, and is moved on: to its ']' behind the last value. False at its end, or
 * where no value stands. */
bool json_element_next(const char **at, const char *end, const char **value, size_t *length);

/* Adds the text without white space between its parts, so without line breaks. */
void json_text_add(struct bytes *out, const char *text, size_t n);

/* Adds a JSON string, quotes and escapes included, for UTF-8 text. */
void json_string_add(struct bytes *out, const char *text, size_t n);
