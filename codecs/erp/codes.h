/* codes.h: codes that everybody must agree on: units of measure, currencies, and check digits.
 * Owner: pure functions over the caller's bytes and constant tables. Any thread may call.
 * Units are those of UN/ECE Recommendation 20; packages are X and their code of Recommendation 21.
 * Nothing blocks, nothing allocates.
 * What is not known is an answer. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who writes the unit: several mean another thing by the same letters. */
enum unit_system {
    UNIT_REC20, /* EDIFACT, UBL, and all that is not below */
    UNIT_X12,   /* data element 355 */
    UNIT_SAP,   /* MSEHI, in its English and German forms */
};

#define UNIT_BYTES 4u

/* The unit's code in Recommendation 20, with a zero byte; false: not known. */
bool unit_code(enum unit_system system, const uint8_t *text, size_t n, char out[UNIT_BYTES]);

#define UNIT_NAME_BYTES 8u

/* The other way: what is written in that system for a code of Recommendation 20; the code itself where it has
 * no name of its own. SAP is not written. */
void unit_name(enum unit_system system, const char *unit, char out[UNIT_NAME_BYTES]);

/* Whether it is an alphabetic code of ISO 4217. */
bool currency_known(const uint8_t *text, size_t n);
/* Decimals of the currency's smallest coin: 2, 0 for JPY, 3 for KWD; 2 if it is not known. */
uint32_t currency_decimals(const char *currency);

/* GLN, GTIN (8, 12, 13, 14 digits), SSCC (18, or 20 with 00 in front): whether the last digit is the one that
 * belongs to the others. Other schemes, and identifiers that are not digits of such a length: see *asked. */
bool check_digit_right(const char *scheme, const uint8_t *text, size_t n, bool *asked);
