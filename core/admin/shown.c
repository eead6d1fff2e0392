#include "core/admin/shown.h"

#include "codecs/erp/json.h"
#include "codecs/event/json.h"
#include "codecs/event/json_text.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/bridge/remake.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* For people: in the event it is protobuf. */
static void message_write(struct bytes *out, const struct shown *shown) {
    ProtobufCMessage *message = remake_message(shown->event, shown->event_length);
    if (message == NULL)
        return;
    bytes_text(out, ",\"message\":");
    erp_json_write(message, out);
    protobuf_c_message_free_unpacked(message, NULL);
}

void shown_write(struct bytes *out, const struct shown *shown) {
    char *text = NULL, number[64];
    size_t length = 0;
    struct fault fault;
    bool right = shown->event_length <= ADMIN_STREAM_EVENT_BYTES_MAX &&
                 event_to_json(shown->event, shown->event_length, &text, &length, &fault);
    bytes_text(out, "\"topic\":");
    json_string_add(out, shown->topic, shown->topic_length);
    (void)snprintf(number, sizeof number, ",\"sequence\":\"%" PRIu64 "\",\"event\":", shown->sequence);
    bytes_text(out, number);
    if (right)
        bytes_add(out, text, length);
    else
        bytes_text(out, "null");
    (void)snprintf(number, sizeof number, ",\"bytes\":%zu", shown->event_length);
    bytes_text(out, number);
    if (right)
        message_write(out, shown);
    free(text);
}
