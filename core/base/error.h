/* error.h: the closed list of reasons for which a client is refused, and how one gets to its frame.
 * Owner: core/base. Any thread may call.
 * The values are those of roundhouse.v1.ErrorCode on the wire; static asserts in codecs/wire hold them.
 * Nothing blocks.
 * Nothing fails. */
#pragma once

#include <stdint.h>

enum rh_code {
    RH_CODE_NONE = 0,
    RH_CODE_PROTOCOL = 1,         /* the bytes are not this protocol, or frames come in a wrong order */
    RH_CODE_INVALID = 2,          /* a field's value is not allowed; `field` names it */
    RH_CODE_TOO_LARGE = 3,        /* a frame, topic, event or list above its limit */
    RH_CODE_EXHAUSTED = 4,        /* a limit of the server is reached; the text names which */
    RH_CODE_UNAVAILABLE = 5,      /* not now: stopping or starting; try again later */
    RH_CODE_TIMEOUT = 6,          /* handshake or idle time is over */
    RH_CODE_SLOW_CONSUMER = 7,    /* the subscriber fell off the ring and its policy is disconnect */
    RH_CODE_UNSUPPORTED = 8,      /* a known thing that this server does not do, such as ack level disk */
    RH_CODE_INTERNAL = 9,         /* our fault */
    RH_CODE_NOT_ALLOWED = 10,     /* this client may not do that; mostly reserved, for access control */
    RH_CODE_DEADLINE = 11,        /* no reply in time; no server sends it */
    RH_CODE_UNKNOWN_OUTCOME = 12, /* an event may be stored or not: send it again, with its source and id */
};

/* What is wrong with some bytes. `text` and `field` are static strings; `field` may be NULL. */
struct fault {
    enum rh_code code;
    const char *text;
    const char *field;
};

/* The lower-case name of a code, as written in metrics, log lines and command output. */
const char *rh_code_name(enum rh_code code);
