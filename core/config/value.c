#include "core/config/value.h"

#include "core/base/number.h"
#include "core/config/config.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct config_unit {
    const char *name;
    uint64_t factor;
};

/* Largest first: writing back takes the first that divides. */
static const struct config_unit size_units[] = {
    {"GiB", GIB}, {"MiB", MIB}, {"KiB", KIB}, {"B", 1}, {NULL, 0}};
static const struct config_unit time_units[] = {{"h", 3600 * NS_PER_S}, {"m", 60 * NS_PER_S}, {"s", NS_PER_S},
                                                {"ms", NS_PER_MS},      {"us", NS_PER_US},    {NULL, 0}};
static const struct config_unit count_units[] = {{"Mi", MIB}, {"Ki", KIB}, {"", 1}, {NULL, 0}};

/* How many bytes of `text` are a number without leading zeros that fits; 0 = none. */
static size_t number_parse(const char *text, size_t length, uint64_t *number) {
    size_t digits = number_read(text, length, number);
    return digits > 1 && text[0] == '0' ? 0 : digits;
}

/* The unit with this name, or NULL. */
static const struct config_unit *unit_find(const struct config_unit *units, const char *name, size_t length) {
    for (const struct config_unit *unit = units; unit->name; unit++)
        if (strlen(unit->name) == length && memcmp(unit->name, name, length) == 0)
            return unit;
    return NULL;
}

/* A number with one of the units; 0 needs none. */
static bool unit_parse(const char *text, size_t length, const struct config_unit *units, uint64_t *value) {
    uint64_t number = 0;
    size_t digits = number_parse(text, length, &number);
    if (digits == 0)
        return false;
    const struct config_unit *unit = unit_find(units, text + digits, length - digits);
    if (unit)
        return !__builtin_mul_overflow(number, unit->factor, value);
    *value = 0;
    return length == digits && number == 0;
}

bool config_size_parse(const char *text, size_t length, uint64_t *bytes) {
    return unit_parse(text, length, size_units, bytes);
}

bool config_time_parse(const char *text, size_t length, uint64_t *ns) {
    return unit_parse(text, length, time_units, ns);
}

bool config_count_parse(const char *text, size_t length, bool suffixes, uint64_t *count) {
    if (suffixes)
        return unit_parse(text, length, count_units, count);
    return length > 0 && number_parse(text, length, count) == length;
}

bool config_number_huge(const char *text, size_t length) {
    static const struct config_unit *const all[] = {size_units, time_units, count_units};
    uint64_t number = 0;
    size_t digits = 0;
    while (digits < length && text[digits] >= '0' && text[digits] <= '9')
        digits++;
    if (digits == 0 || text[0] == '0')
        return false;
    bool fits = number_parse(text, length, &number) == digits;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        const struct config_unit *unit = unit_find(all[i], text + digits, length - digits);
        if (unit)
            return !fits || __builtin_mul_overflow(number, unit->factor, &number);
    }
    return false;
}

static const char *unit_text(char *out, const struct config_unit *units, uint64_t value) {
    const struct config_unit *unit = units;
    while (unit[1].name && value % unit->factor != 0)
        unit++;
    if (value == 0)
        snprintf(out, CONFIG_VALUE_BYTES, "0");
    else
        snprintf(out, CONFIG_VALUE_BYTES, "%" PRIu64 "%s", value / unit->factor, unit->name);
    return out;
}

const char *config_size_text(char out[static CONFIG_VALUE_BYTES], uint64_t bytes) {
    return unit_text(out, size_units, bytes);
}

const char *config_time_text(char out[static CONFIG_VALUE_BYTES], uint64_t ns) {
    return unit_text(out, time_units, ns);
}

const char *config_count_text(char out[static CONFIG_VALUE_BYTES], uint64_t count) {
    return unit_text(out, count_units, count);
}

static bool port_parse(const char *text, size_t length, uint16_t *port) {
    uint64_t number = 0;
    if (!config_count_parse(text, length, false, &number) || number > UINT16_MAX)
        return false;
    *port = (uint16_t)number;
    return true;
}

bool config_address_parse(const char *text, size_t length, struct config_address *address) {
    char host[INET6_ADDRSTRLEN];
    const char *colon = memrchr(text, ':', length);
    if (!colon || memchr(text, '\0', length))
        return false;
    size_t host_length = (size_t)(colon - text);
    *address = (struct config_address){0};
    address->v6 = host_length >= 2 && text[0] == '[' && colon[-1] == ']';
    const char *from = text;
    if (address->v6) {
        from++;
        host_length -= 2;
    }
    if (host_length >= sizeof host)
        return false;
    memcpy(host, from, host_length);
    host[host_length] = '\0';
    return inet_pton(address->v6 ? AF_INET6 : AF_INET, host, address->host) == 1 &&
           port_parse(colon + 1, length - (size_t)(colon + 1 - text), &address->port);
}

bool config_address_loopback(const struct config_address *address) {
    static const uint8_t one[16] = {[15] = 1};
    return address->v6 ? memcmp(address->host, one, sizeof one) == 0 : address->host[0] == 127;
}
