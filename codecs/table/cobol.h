/* cobol.h: numbers as COBOL keeps them, as text: zoned with the sign over a digit, packed, binary.
 * Owner: nobody (pure functions).
 * Thread: any.
 * Nothing blocks, nothing allocates.
 * Fails by 0 for bytes that are no such number.
 *
 * Zoned, in ASCII: { and A to I are +0 to +9, } and J to R are -0 to -9; p to y are -0 to -9 of other
 * compilers. In EBCDIC: the zone C, A, E or F is plus, D and B minus. Packed: a digit in each half byte, then
 * C, A, E or F for plus, D or B for minus. */
#pragma once

#include "codecs/layout/layout.h"

#include <stddef.h>
#include <stdint.h>

#define COBOL_TEXT_MAX (LAYOUT_DIGITS_MAX + 24u) /* zeros before the point, the point, the sign */

/* The number in `length` bytes, by the field's type, charset, sign and scale; COBOL_TEXT_MAX bytes at most.
 * Without leading zeros; never -0. */
size_t cobol_text(const struct layout_field *field, const uint8_t *bytes, char decimal, uint8_t *out);
