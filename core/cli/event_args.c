#include "core/cli/event_args.h"

#include "codecs/event/json_text.h"
#include "core/base/limits.h"
#include "core/base/topic.h"
#include "core/cli/args.h"
#include "core/cli/cli.h"
#include "core/cli/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

void event_args_id(char out[EVENT_ARGS_ID_BYTES]) {
    uint8_t r[16];
    CHECK(getrandom(r, sizeof r, 0) == (ssize_t)sizeof r);
    r[6] = (uint8_t)((r[6] & 0x0f) | 0x40);
    r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
    (void)snprintf(out, EVENT_ARGS_ID_BYTES,
                   "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1], r[2],
                   r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14], r[15]);
}

const char *event_args_type(const struct event_parts *parts) {
    if (parts->binary || parts->data_length == 0)
        return NULL;
    if (json_text_fault((const char *)parts->data, parts->data_length, false) == NULL)
        return "application/json";
    return utf8_valid(parts->data, parts->data_length) ? "text/plain" : NULL;
}

int event_args_read(const char *command, const char *name, uint8_t **data, size_t *length) {
    bool standard = strcmp(name, "-") == 0;
    int file = standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    int result = file >= 0 ? read_all(file, FRAME_BYTES_MAX, data, length) : -errno;
    if (!standard && file >= 0)
        (void)close(file);
    if (result == 0)
        return CLI_OK;
    const char *why = result == -EFBIG ? "more than 64 MiB, no server takes that" : strerror(-result);
    (void)args_mistake(command, "%s can not be read: %s", standard ? "standard input" : name, why);
    return result == -ENOMEM ? CLI_INTERNAL : CLI_DATA;
}
