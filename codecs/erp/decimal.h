/* decimal.h: exact decimal numbers: read as senders write them, added, compared, written.
 * Owner: pure functions over the caller's bytes. Any thread may call.
 * A number keeps the scale that its sender gave it: "1.50" is 150 with scale 2. Up to 18 digits.
 * Nothing blocks, nothing allocates.
 * What is no number, or too long a one, is an answer. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DECIMAL_DIGITS_MAX 18u
#define DECIMAL_TEXT_BYTES 24u /* sign, 18 digits, a zero and a mark, and a zero byte */

struct decimal {
    int64_t unscaled;
    uint32_t scale; /* 0 to DECIMAL_DIGITS_MAX */
};

enum decimal_result {
    DECIMAL_OK,
    DECIMAL_BARE, /* read, but there is no digit before the mark */
    DECIMAL_LONG, /* a number of more than 18 digits */
    DECIMAL_BAD,
};

/* How a format writes numbers. */
struct decimal_style {
    char mark;
    bool minus_behind; /* 14.53- */
    bool plus;         /* +14.53 */
    uint8_t implied;   /* decimals of a number without a mark */
};

/* Blanks at the ends do not count. */
enum decimal_result decimal_read(const uint8_t *text, size_t n, struct decimal_style style,
                                 struct decimal *out);

/* With '.', a zero before it and a leading minus. Returns the length without the zero byte. */
size_t decimal_write(struct decimal decimal, char out[DECIMAL_TEXT_BYTES]);

/* false: the sum has more than 18 digits. */
bool decimal_add(struct decimal a, struct decimal b, struct decimal *sum) MUST_USE;
struct decimal decimal_negate(struct decimal decimal);
/* Below, equal to or above 0 as a is to b. */
int decimal_compare(struct decimal a, struct decimal b);
