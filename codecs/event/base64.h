/* base64.h: base64 with padding (RFC 4648 section 4), as JSON carries binary data.
 * Owner: pure functions. Any thread may call.
 * Strict on reading: no line breaks, no missing padding, no stray bits in the last character.
 * Nothing blocks.
 * Decoding fails with false, and out then holds garbage. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BASE64_LENGTH(n)      (((n) + 2) / 3 * 4)
#define BASE64_DECODED_MAX(n) ((n) / 4 * 3)

/* Writes BASE64_LENGTH(n) characters; no zero byte behind them. */
void base64_encode(const uint8_t *data, size_t n, char *out);

/* Writes at most BASE64_DECODED_MAX(n) bytes, *length says how many. */
bool base64_decode(const char *text, size_t n, uint8_t *out, size_t *length);
