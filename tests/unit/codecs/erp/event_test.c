#include "codecs/erp/event.h"

#include "codecs/erp/json.h"
#include "codecs/event/check.h"
#include "codecs/event/json.h"
#include "tests/unit/codecs/golden.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena;

/* A message made of its JSON, and the event that it becomes, as JSON without its data. */
static json_t *event_of(const ProtobufCMessageDescriptor *descriptor, const char *text, const char **topic) {
    char error[ERP_JSON_ERROR_BYTES];
    struct fault fault = {0};
    struct erp_maker *maker = erp_maker_new();
    cr_assert_not_null(maker);
    ProtobufCMessage *message = erp_json_read(descriptor, text, strlen(text), &arena, error);
    cr_assert_not_null(message, "%s", error);
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(descriptor, "header");
    struct document_head head = {0};
    struct erp_result result = {.head = &head, .message = message};
    memcpy(&result.header, (char *)message + field->offset, sizeof result.header);
    struct erp_event event;
    cr_assert(erp_event_make(maker, &result, &event, &fault), "%s %s", fault.text, fault.field);
    *topic = event.topic;
    cr_expect(event_check(event.event, event.length, &fault), "%s", fault.text);
    /* The data is the message, byte for byte. */
    const uint8_t *data = NULL;
    size_t length = 0;
    uint32_t kind = 0;
    cr_assert(event_data(event.event, event.length, &data, &length, &kind));
    uint8_t *packed = malloc(protobuf_c_message_get_packed_size(message) + 1);
    size_t size = protobuf_c_message_pack(message, packed);
    cr_expect(kind == 8 && size == length && memcmp(packed, data, size) == 0);
    free(packed);
    char *json;
    size_t json_length;
    cr_assert(event_to_json(event.event, event.length, &json, &json_length, &fault));
    json_t *tree = json_loadb(json, json_length, 0, NULL);
    cr_assert_not_null(tree);
    json_object_del(tree, "data_base64");
    free(json);
    erp_maker_free(maker);
    return tree;
}

static void expect_text(const json_t *event, const char *name, const char *value) {
    const char *got = json_string_value(json_object_get(event, name));
    cr_expect(got ? value && strcmp(got, value) == 0 : !value, "%s is %s, not %s", name, got, value);
}

#define ORIGIN                                                                                               \
    "\"origin\":{\"format\":\"EDIFACT\",\"messageType\":\"DESADV\",\"interchangeRef\":\"I1\","               \
    "\"messageRef\":\"1\","                                                                                  \
    "\"sender\":{\"value\":\"40 12/3\"},\"receiver\":{\"value\":\"4098765000009\"},\"test\":true,"           \
    "\"prepared\":\"2026-09-02T14:10:00\","                                                                  \
    "\"sha256\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"}"

Test(erp_event, says_what_it_is_and_where_it_came_from) {
    const char *topic;
    json_t *event = event_of(&roundhouse__erp__v1__despatch_advice__descriptor,
                             "{\"header\":{\"id\":\"DA-1\",\"issued\":\"2026-09-01\",\"references\":"
                             "[{\"type\":\"ORDER\",\"id\":\"PO-7\"}]," ORIGIN "}}",
                             &topic);
    cr_expect_str_eq(topic, "erp.despatchadvice.created");
    expect_text(event, "type", "erp.despatchadvice.created.v1");
    expect_text(event, "source", "/edi/4098765000009/40%2012%2F3");
    expect_text(event, "subject", "DA-1");
    expect_text(event, "time", "2026-09-02T14:10:00Z");
    expect_text(event, "datacontenttype", "application/protobuf");
    expect_text(event, "dataschema", "type.googleapis.com/roundhouse.erp.v1.DespatchAdvice");
    expect_text(event, "docformat", "EDIFACT");
    expect_text(event, "interchangeref", "I1");
    expect_text(event, "partner", "40 12/3");
    expect_text(event, "partitionkey", "40 12/3/PO-7");
    expect_text(event, "originsha256", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
    cr_expect(json_is_true(json_object_get(event, "testflag")));
    /* The first 16 bytes of SHA-256 over 00000007"EDIFACT" 00000007"40 12/3" 0000000d"4098765000009"
     * 00000002"I1" 00000000 00000001"1", told by sha256sum. */
    expect_text(event, "id", "824907a0c95fcf140a8eb4da61f6eeaf");
    json_decref(event);
    arena_free(&arena);
    LEAKS_NONE();
}

static char *id_of(const char *format, const char *message_ref, const char *sha256) {
    char text[512];
    const char *topic;
    snprintf(
        text, sizeof text,
        "{\"header\":{\"id\":\"1\",\"origin\":{\"format\":\"%s\",\"messageType\":\"m\",\"messageRef\":\"%s\","
        "\"sha256\":\"%s\"}}}",
        format, message_ref, sha256);
    json_t *event = event_of(&roundhouse__erp__v1__order__descriptor, text, &topic);
    char *id = strdup(json_string_value(json_object_get(event, "id")));
    json_decref(event);
    return id;
}

Test(erp_event, has_the_same_id_whenever_the_same_document_is_read) {
    char *first = id_of("EDIFACT", "1", ""), *again = id_of("EDIFACT", "1", "AAEC");
    char *other = id_of("EDIFACT", "2", ""), *format = id_of("X12", "1", "");
    char *table = id_of("CSV", "", "AAEC"), *second = id_of("CSV", "", "AAED");
    cr_expect_str_eq(first, again); /* its references name it, in whatever file it comes */
    cr_expect_str_neq(first, other);
    cr_expect_str_neq(first, format);
    cr_expect_str_neq(table, second); /* without references, the file */
    char *all[] = {first, again, other, format, table, second};
    for (size_t i = 0; i < 6; i++) {
        cr_expect(strlen(all[i]) == 32 && strspn(all[i], "0123456789abcdef") == 32);
        free(all[i]);
    }
    arena_free(&arena);
    LEAKS_NONE();
}

Test(erp_event, has_a_topic_by_what_the_document_does) {
    static const struct {
        const ProtobufCMessageDescriptor *descriptor;
        const char *text, *topic, *type;
    } examples[] = {
        {&roundhouse__erp__v1__order__descriptor, "ORIGINAL", "erp.order.created", "erp.order.created.v1"},
        {&roundhouse__erp__v1__order__descriptor, "CHANGE", "erp.order.changed", "erp.order.changed.v1"},
        {&roundhouse__erp__v1__order__descriptor, "CANCEL", "erp.order.cancelled", "erp.order.cancelled.v1"},
        {&roundhouse__erp__v1__order_response__descriptor, "", "erp.orderresponse.created",
         "erp.orderresponse.created.v1"},
        {&roundhouse__erp__v1__invoice__descriptor, "", "erp.invoice.created", "erp.invoice.created.v1"},
        {&roundhouse__erp__v1__acknowledgement__descriptor, "", "erp.acknowledgement.received",
         "erp.acknowledgement.received.v1"},
        {&roundhouse__erp__v1__despatch_order__descriptor, "", "erp.despatchorder.created",
         "erp.despatchorder.created.v1"},
        {&roundhouse__erp__v1__despatch_advice__descriptor, "", "erp.despatchadvice.created",
         "erp.despatchadvice.created.v1"},
        {&roundhouse__erp__v1__receipt_advice__descriptor, "", "erp.receiptadvice.created",
         "erp.receiptadvice.created.v1"},
        {&roundhouse__erp__v1__inventory_report__descriptor, "", "erp.inventoryreport.created",
         "erp.inventoryreport.created.v1"},
        {&roundhouse__erp__v1__catalogue__descriptor, "", "erp.catalogue.created",
         "erp.catalogue.created.v1"},
        {&roundhouse__erp__v1__remittance_advice__descriptor, "", "erp.remittanceadvice.created",
         "erp.remittanceadvice.created.v1"},
        {&roundhouse__erp__v1__party_master__descriptor, "", "erp.party.changed", "erp.party.changed.v1"},
        {&roundhouse__erp__v1__item_master__descriptor, "", "erp.item.changed", "erp.item.changed.v1"},
    };
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        char text[128];
        const char *topic;
        snprintf(text, sizeof text, "{\"header\":{\"id\":\"1\",\"function\":\"%s\",\"origin\":{}}}",
                 examples[i].text);
        json_t *event = event_of(examples[i].descriptor, text, &topic);
        cr_expect_str_eq(topic, examples[i].topic);
        expect_text(event, "type", examples[i].type);
        expect_text(event, "time", NULL);
        expect_text(event, "source", "/edi/-/-");
        json_decref(event);
    }
    /* docs/MAPPING.md lists the same topics. */
    size_t n;
    char *page = (char *)golden_file("docs/MAPPING.md", &n);
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        cr_expect_not_null(memmem(page, n, examples[i].topic, strlen(examples[i].topic)), "%s",
                           examples[i].topic);
    free(page);
    const char *topic;
    json_t *event = event_of(&roundhouse__erp__v1__invoice__descriptor,
                             "{\"credit\":true,\"header\":{\"id\":\"1\",\"origin\":{}}}", &topic);
    cr_expect_str_eq(topic, "erp.creditnote.created");
    expect_text(event, "type", "erp.invoice.created.v1");
    json_decref(event);
    arena_free(&arena);
}

Test(erp_digest, is_what_sha256sum_says) {
    uint8_t out[ERP_DIGEST_BYTES];
    static const uint8_t abc[] = {0xba, 0x78, 0x16, 0xbf}, nothing[] = {0xe3, 0xb0, 0xc4, 0x42};
    struct erp_digest *digest = erp_digest_new();
    cr_assert_not_null(digest);
    erp_digest_add(digest, "a", 1);
    erp_digest_add(digest, "bc", 2);
    erp_digest_take(digest, out);
    cr_expect(memcmp(out, abc, sizeof abc) == 0);
    erp_digest_take(digest, out);
    cr_expect(memcmp(out, nothing, sizeof nothing) == 0);
    erp_digest_free(digest);
    LEAKS_NONE();
}
