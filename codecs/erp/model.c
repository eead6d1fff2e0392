#include "codecs/erp/model.h"

#include "roundhouse/erp/v1/erp.pb-c.h"

#include <string.h>

const ProtobufCMessageDescriptor *const model_events[MODEL_EVENTS] = {
    &roundhouse__erp__v1__order__descriptor,
    &roundhouse__erp__v1__order_response__descriptor,
    &roundhouse__erp__v1__despatch_order__descriptor,
    &roundhouse__erp__v1__despatch_advice__descriptor,
    &roundhouse__erp__v1__receipt_advice__descriptor,
    &roundhouse__erp__v1__invoice__descriptor,
    &roundhouse__erp__v1__inventory_report__descriptor,
    &roundhouse__erp__v1__catalogue__descriptor,
    &roundhouse__erp__v1__remittance_advice__descriptor,
    &roundhouse__erp__v1__party_master__descriptor,
    &roundhouse__erp__v1__item_master__descriptor,
    &roundhouse__erp__v1__acknowledgement__descriptor,
};

static const struct {
    const char *message, *field;
} principals[] = {
    {"Amount", "value"},      {"Quantity", "value"},       {"Identifier", "value"},
    {"Text", "value"},        {"Property", "value"},       {"Reference", "id"},
    {"Contact", "name"},      {"Party", "name"},           {"Item", "name"},
    {"Lot", "batch"},         {"Price", "amount"},         {"HandlingUnit", "id"},
    {"Schedule", "quantity"}, {"UnitFactor", "numerator"}, {"Allowance", "amount"},
    {"Tax", "tax"},           {"Finding", "code"},
};

const ProtobufCMessageDescriptor *model_event(const char *name, size_t length) {
    for (size_t i = 0; i < MODEL_EVENTS; i++) {
        const char *event = model_events[i]->short_name;
        if (strlen(event) == length && memcmp(event, name, length) == 0)
            return model_events[i];
    }
    return NULL;
}

const ProtobufCFieldDescriptor *model_principal(const ProtobufCMessageDescriptor *message) {
    for (size_t i = 0; i < sizeof principals / sizeof *principals; i++)
        if (strcmp(principals[i].message, message->short_name) == 0)
            return protobuf_c_message_descriptor_get_field_by_name(message, principals[i].field);
    return NULL;
}
