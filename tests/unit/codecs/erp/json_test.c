#include "codecs/erp/json.h"
#include "codecs/erp/model.h"
#include "codecs/erp/pack.h"

#include "roundhouse/erp/v1/erp.pb-c.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A JSON object with every field of the message set; lists have two entries. */
static void full_add(const ProtobufCMessageDescriptor *message, struct bytes *out) {
    static unsigned number;
    bytes_text(out, "{");
    for (unsigned i = 0; i < message->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->fields[i];
        bool list = field->label == PROTOBUF_C_LABEL_REPEATED;
        bytes_text(out, i ? ",\"" : "\"");
        bytes_text(out, field->name);
        bytes_text(out, list ? "\":[" : "\":");
        for (int k = 0; k < 1 + list; k++) {
            char text[64];
            bytes_text(out, k ? "," : "");
            if (field->descriptor == &roundhouse__erp__v1__decimal__descriptor)
                snprintf(text, sizeof text, "\"-%u.50\"", ++number);
            else if (field->descriptor == &roundhouse__erp__v1__moment__descriptor)
                snprintf(text, sizeof text, "\"2026-09-02T14:05:%02u+05:30\"", ++number % 60);
            else if (field->type == PROTOBUF_C_TYPE_STRING)
                snprintf(text, sizeof text, "\"text \\\"%u\\\" \\u00e4\"", ++number);
            else if (field->type == PROTOBUF_C_TYPE_BYTES)
                snprintf(text, sizeof text, "\"AP8=\"");
            else if (field->type == PROTOBUF_C_TYPE_BOOL)
                snprintf(text, sizeof text, "true");
            else if (field->type == PROTOBUF_C_TYPE_UINT64)
                snprintf(text, sizeof text, "\"18446744073709551615\"");
            else if (field->type == PROTOBUF_C_TYPE_UINT32)
                snprintf(text, sizeof text, "4294967295");
            else {
                cr_assert(field->type == PROTOBUF_C_TYPE_MESSAGE, "%s has a type that JSON does not know",
                          field->name);
                full_add(field->descriptor, out);
                continue;
            }
            bytes_text(out, text);
        }
        bytes_text(out, list ? "]" : "");
    }
    bytes_text(out, "}");
}

Test(erp_json, comes_back_as_it_was_with_every_field_of_every_document) {
    struct packer *packer = packer_new(model_events, MODEL_EVENTS);
    cr_assert_not_null(packer);
    for (size_t i = 0; i < MODEL_EVENTS; i++) {
        struct bytes full = {0}, first = {0}, second = {0};
        struct arena arena = {0};
        char error[ERP_JSON_ERROR_BYTES] = "";
        full_add(model_events[i], &full);
        ProtobufCMessage *message =
            erp_json_read(model_events[i], (char *)full.data, full.length, &arena, error);
        cr_assert_not_null(message, "%s: %s", model_events[i]->short_name, error);
        /* Over the wire and back: nothing is in JSON that is not in protobuf. */
        size_t size = protobuf_c_message_get_packed_size(message);
        uint8_t *packed = malloc(size);
        protobuf_c_message_pack(message, packed);
        pack_begin(packer);
        pack_message(packer, message);
        cr_expect(!pack_failed(packer) && pack_length(packer) == size &&
                      memcmp(pack_data(packer), packed, size) == 0,
                  "%s is packed in another way than protobuf-c does it", model_events[i]->short_name);
        ProtobufCMessage *again = protobuf_c_message_unpack(model_events[i], NULL, size, packed);
        cr_assert_not_null(again);
        erp_json_write(message, &first);
        erp_json_write(again, &second);
        cr_expect(first.length == second.length && memcmp(first.data, second.data, first.length) == 0);
        cr_expect(first.length > 100 && !first.failed);
        message = erp_json_read(model_events[i], (char *)first.data, first.length, &arena, error);
        cr_assert_not_null(message, "%s", error);
        second.length = 0;
        erp_json_write(message, &second);
        cr_expect(first.length == second.length && memcmp(first.data, second.data, first.length) == 0);
        protobuf_c_message_free_unpacked(again, NULL);
        free(packed);
        bytes_free(&full);
        bytes_free(&first);
        bytes_free(&second);
        arena_free(&arena);
    }
    packer_free(packer);
    LEAKS_NONE();
}

/* What an order's JSON becomes when it is read and written. */
static void expect(const char *text, const char *json) {
    struct arena arena = {0};
    struct bytes out = {0};
    char error[ERP_JSON_ERROR_BYTES] = "";
    ProtobufCMessage *message =
        erp_json_read(&roundhouse__erp__v1__order__descriptor, text, strlen(text), &arena, error);
    if (message)
        erp_json_write(message, &out);
    else
        bytes_text(&out, error);
    bytes_add(&out, "", 1);
    cr_expect(strcmp((char *)out.data, json) == 0, "%s\n  is    %s\n  not   %s", text, (char *)out.data,
              json);
    bytes_free(&out);
    arena_free(&arena);
}

Test(erp_json, leaves_out_what_is_not_set_and_orders_fields) {
    expect("{}", "{}");
    expect("{\"buyer\":null,\"lines\":[],\"incoterms\":\"\"}", "{}");
    expect("{\"buyer\":{},\"header\":{\"id\":\"1\"}}", "{\"header\":{\"id\":\"1\"},\"buyer\":{}}");
    expect("{\"payment_terms\":\"a\",\"shipTo\":{\"tax_ids\":[]}}", "{\"shipTo\":{},\"paymentTerms\":\"a\"}");
    expect("{\"totals\":{\"line_count\":\"7\"}}", "{\"totals\":{\"lineCount\":7}}");
}

#define DECIMAL(text) "{\"totals\":{\"payable\":{\"value\":" text "}}}"
#define MOMENT(text)  "{\"header\":{\"issued\":" text "}}"

Test(erp_json, writes_decimals_and_moments_as_they_are) {
    expect(DECIMAL("\"1234.50\""), DECIMAL("\"1234.50\""));
    expect(DECIMAL("\"-0.05\""), DECIMAL("\"-0.05\""));
    expect(DECIMAL("\"0\""), DECIMAL("\"0\""));
    expect(DECIMAL("\"1234567890123456789.5\""), DECIMAL("\"1234567890123456789.5\""));
    expect(MOMENT("\"2026-09-02\""), MOMENT("\"2026-09-02\""));
    expect(MOMENT("\"2026-09-02T00:00:00\""), MOMENT("\"2026-09-02T00:00:00\""));
    expect(MOMENT("\"2026-09-02T14:05:00Z\""), MOMENT("\"2026-09-02T14:05:00Z\""));
    expect(MOMENT("\"2026-09-02T14:05:00-03:30\""), MOMENT("\"2026-09-02T14:05:00-03:30\""));
}

/* What a document says piece by piece may come without its date. */
Test(erp_json, holds_moments_without_a_date) {
    expect(MOMENT("\"14:05:00\""), MOMENT("\"14:05:00\""));
    expect(MOMENT("\"14:05:00Z\""), MOMENT("\"14:05:00Z\""));
    expect(MOMENT("\"+02:00\""), MOMENT("\"+02:00\""));
    expect(MOMENT("\"\""), MOMENT("\"\""));
}

Test(erp_json, refuses_what_it_is_not) {
    expect(DECIMAL("1234.5"), "a decimal is a string: `value`");
    expect(DECIMAL("\"1,5\""), "this is no decimal: `value`");
    expect(MOMENT("\"02.09.2026\""), "this is no moment: `issued`");
    expect(MOMENT("\"20260902\""), "this is no moment: `issued`");
    expect("{\"buyr\":{}}", "there is no such field: `buyr`");
    expect("{\"buyer\":[]}", "this is no object: `Party`");
    expect("{\"lines\":{}}", "this is no list: `lines`");
    expect("{\"incoterms\":5}", "this is no string: `incoterms`");
    expect("{\"totals\":{\"lineCount\":-1}}", "this is no whole number: `line_count`");
    expect("{\"totals\":{\"lineCount\":4294967296}}", "the number is too large: `line_count`");
    expect("{\"header\":{\"origin\":{\"test\":1}}}", "this is neither true nor false: `test`");
    expect("{\"header\":{\"origin\":{\"sha256\":\"x\"}}}", "this is no base64: `sha256`");
    expect("{\"buyer\":{},\"buyer\":{}}", "line 1: duplicate object key near '\"buyer\"'");
    expect("[]", "this is no object: `Order`");
    expect("", "line 1: '[' or '{' expected near end of file");
}
