/* value.h: single values as an operator writes them: numbers, sizes, times, addresses; and written back.
 * Owner: core/config (pure functions). Any thread may call.
 * config_size_parse and config_time_parse are declared in config.h.
 * Nothing blocks.
 * Reading is strict and answers true or false; `text` need not end with a NUL. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_VALUE_BYTES 32u /* room for any number written back, with its unit */

/* Decimal digits only, no sign, no leading zeros; Ki and Mi (times 1024, 1024 * 1024) when `suffixes`. */
bool config_count_parse(const char *text, size_t length, bool suffixes, uint64_t *count);
/* Whether digits, alone or with one of the units, are more than 64 bits hold; all readers refuse that. */
bool config_number_huge(const char *text, size_t length);

/* In the largest unit that divides the value: 66560 is "65KiB". Return out. */
const char *config_size_text(char out[static CONFIG_VALUE_BYTES], uint64_t bytes);
const char *config_time_text(char out[static CONFIG_VALUE_BYTES], uint64_t ns);
const char *config_count_text(char out[static CONFIG_VALUE_BYTES], uint64_t count);

/* "HOST:PORT" or "[V6]:PORT", numeric, port 0 to 65535. */
struct config_address {
    bool v6;
    uint8_t host[16]; /* network order; the first 4 bytes for IPv4 */
    uint16_t port;
};
bool config_address_parse(const char *text, size_t length, struct config_address *address);
/* 127.0.0.0/8 and ::1. */
bool config_address_loopback(const struct config_address *address);
