#include "core/bridge/outlet.h"

#include "codecs/erp/engine.h"
#include "codecs/erp/ubl.h"
#include "core/bridge/formats.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct outlet {
    struct formats *formats; /* own: those of the user may read tables only */
    struct erp_engine *engine;
    struct profile profile;
    /* of the document that is read again */
    const ProtobufCMessage *message;
    erp_loss_told lost;
    void *context;
    bool read, failed;
    bool same_sender, same_receiver; /* they are not to be others */
};

/* An address that an envelope has no room for was cut. */
static void address_compare(const struct outlet *outlet, const char *path,
                            const Roundhouse__Erp__V1__Identifier *was,
                            const Roundhouse__Erp__V1__Identifier *is) {
    if (was == NULL || is == NULL || strncmp(was->value, is->value, strlen(is->value)) != 0)
        return;
    const char *rest = was->value + strlen(is->value);
    if (rest[strspn(rest, " \xc2\xa0")] != '\0')
        outlet->lost(outlet->context, path, was->value, is->value);
}

/* Every message that can be written begins with its header. */
#define HEADER(message) offsetof(message, header)
static_assert(HEADER(Roundhouse__Erp__V1__Order) == HEADER(Roundhouse__Erp__V1__OrderResponse) &&
                  HEADER(Roundhouse__Erp__V1__Order) == HEADER(Roundhouse__Erp__V1__DespatchAdvice) &&
                  HEADER(Roundhouse__Erp__V1__Order) == HEADER(Roundhouse__Erp__V1__Invoice),
              "one place");

static const Roundhouse__Erp__V1__Origin *origin_of(const ProtobufCMessage *message) {
    const Roundhouse__Erp__V1__Header *header =
        ((const Roundhouse__Erp__V1__Order *)(const void *)message)->header;
    return header != NULL ? header->origin : NULL;
}

static void on_message(void *context, const struct erp_result *result) {
    struct outlet *outlet = context;
    if (outlet->read || !result->message || result->message->descriptor != outlet->message->descriptor)
        return;
    outlet->read = true;
    outlet->failed = !erp_loss(outlet->message, result->message, outlet->lost, outlet->context);
    const Roundhouse__Erp__V1__Origin *was = origin_of(outlet->message), *is = result->header->origin;
    if (was != NULL && outlet->same_sender)
        address_compare(outlet, "header.origin.sender.value", was->sender, is->sender);
    if (was != NULL && outlet->same_receiver)
        address_compare(outlet, "header.origin.receiver.value", was->receiver, is->receiver);
}

struct outlet *outlet_new(void) {
    struct outlet *outlet = calloc(1, sizeof *outlet);
    struct map_error error;
    if (!outlet)
        return NULL;
    profile_tolerate_all(&outlet->profile);
    outlet->formats = formats_new();
    if (outlet->formats && formats_ready(outlet->formats, &error)) {
        const struct erp_engine_options options = {.library = formats_maps(outlet->formats),
                                                   .profile = &outlet->profile,
                                                   .context = outlet,
                                                   .message = on_message};
        outlet->engine = erp_engine_new(&options);
    }
    if (outlet->engine)
        return outlet;
    outlet_free(outlet);
    return NULL;
}

void outlet_free(struct outlet *outlet) {
    if (!outlet)
        return;
    erp_engine_free(outlet->engine);
    formats_free(outlet->formats);
    free(outlet);
}

const char *outlet_format_name(enum outlet_format format) {
    static const char *const names[] = {"UBL", "EDIFACT", "X12"};
    return format < OUTLET_FORMATS ? names[format] : "";
}

static bool document_write(enum outlet_format format, const ProtobufCMessage *message,
                           const struct erp_edi_options *options, struct bytes *out) {
    if (format == OUTLET_UBL)
        return erp_ubl_write(message, out);
    return format == OUTLET_EDIFACT ? erp_edifact_write(message, options, out)
                                    : erp_x12_write(message, options, out);
}

static enum outlet_result read_again(struct outlet *outlet, const uint8_t *bytes, size_t length) {
    struct document_sink sink = erp_engine_sink(outlet->engine);
    struct intake *intake = intake_new(outlet->formats, &outlet->profile, &sink);
    outlet->read = false;
    outlet->failed = !intake || intake_feed(intake, bytes, length) != 0 || intake_end(intake, NULL) != 0;
    intake_free(intake);
    if (!outlet->failed && !outlet->read)
        outlet->failed = !erp_loss(outlet->message, NULL, outlet->lost, outlet->context);
    return outlet->failed ? OUTLET_NO_MEMORY : outlet->read ? OUTLET_DONE : OUTLET_UNREAD;
}

enum outlet_result outlet_write(struct outlet *outlet, enum outlet_format format,
                                const ProtobufCMessage *message, const struct erp_edi_options *options,
                                struct bytes *out, erp_loss_told lost, void *context) {
    size_t before = out->length;
    if (!document_write(format, message, options, out))
        return OUTLET_NONE;
    if (out->failed)
        return OUTLET_NO_MEMORY;
    if (!lost)
        return OUTLET_DONE;
    outlet->message = message;
    outlet->lost = lost;
    outlet->context = context;
    outlet->same_sender = format != OUTLET_UBL && (!options || !options->sender.id);
    outlet->same_receiver = format != OUTLET_UBL && (!options || !options->receiver.id);
    outlet->profile.charset = format == OUTLET_X12 && options ? options->charset : NULL;
    return read_again(outlet, out->data + before, out->length - before);
}
