#include "core/base/error.h"

const char *rh_code_name(enum rh_code code) {
    static const char *const names[] = {
        "none",          "protocol",    "invalid",  "too_large",   "exhausted", "unavailable",    "timeout",
        "slow_consumer", "unsupported", "internal", "not_allowed", "deadline",  "unknown_outcome"};
    return (unsigned)code < sizeof names / sizeof names[0] ? names[code] : "unknown";
}
