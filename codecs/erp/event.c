#include "codecs/erp/event.h"

#include "codecs/erp/moment.h"
#include "codecs/erp/pack.h"
#include "codecs/event/check.h"
#include "codecs/event/fields.h"
#include "codecs/proto/field.h"
#include "core/base/heap.h"
#include "core/base/utf8.h"

#include <openssl/evp.h>
#include <string.h>

#define ID_BYTES       16u /* of the digest */
#define SOURCE_BYTES   400u
#define TYPE_URL_BASE  "type.googleapis.com/"
#define PARTITION_MAX  200u
#define TYPE_BYTES_MAX 64u

static const struct kind {
    const ProtobufCMessageDescriptor *descriptor;
    const char *topic;
} kinds[] = {
    {&roundhouse__erp__v1__order__descriptor, "erp.order.created"},
    {&roundhouse__erp__v1__order_response__descriptor, "erp.orderresponse.created"},
    {&roundhouse__erp__v1__despatch_order__descriptor, "erp.despatchorder.created"},
    {&roundhouse__erp__v1__despatch_advice__descriptor, "erp.despatchadvice.created"},
    {&roundhouse__erp__v1__receipt_advice__descriptor, "erp.receiptadvice.created"},
    {&roundhouse__erp__v1__invoice__descriptor, "erp.invoice.created"},
    {&roundhouse__erp__v1__inventory_report__descriptor, "erp.inventoryreport.created"},
    {&roundhouse__erp__v1__catalogue__descriptor, "erp.catalogue.created"},
    {&roundhouse__erp__v1__remittance_advice__descriptor, "erp.remittanceadvice.created"},
    {&roundhouse__erp__v1__party_master__descriptor, "erp.party.changed"},
    {&roundhouse__erp__v1__item_master__descriptor, "erp.item.changed"},
    {&roundhouse__erp__v1__acknowledgement__descriptor, "erp.acknowledgement.received"},
};

/* ---- Digests ------------------------------------------------------------------------------------------ */

struct erp_digest {
    EVP_MD *kind;
    EVP_MD_CTX *context;
};

static bool digest_open(struct erp_digest *digest) {
    digest->kind = EVP_MD_fetch(NULL, "SHA256", NULL);
    digest->context = EVP_MD_CTX_new();
    return digest->kind && digest->context && EVP_DigestInit_ex2(digest->context, digest->kind, NULL) == 1;
}

static void digest_close(struct erp_digest *digest) {
    EVP_MD_CTX_free(digest->context);
    EVP_MD_free(digest->kind);
}

struct erp_digest *erp_digest_new(void) {
    struct erp_digest *digest = heap_take(sizeof *digest);
    if (!digest || digest_open(digest))
        return digest;
    erp_digest_free(digest);
    return NULL;
}

void erp_digest_free(struct erp_digest *digest) {
    if (!digest)
        return;
    digest_close(digest);
    heap_give(digest);
}

void erp_digest_add(struct erp_digest *digest, const void *bytes, size_t n) {
    CHECK(EVP_DigestUpdate(digest->context, bytes, n) == 1);
}

void erp_digest_take(struct erp_digest *digest, uint8_t out[ERP_DIGEST_BYTES]) {
    unsigned length = ERP_DIGEST_BYTES;
    CHECK(EVP_DigestFinal_ex(digest->context, out, &length) == 1 && length == ERP_DIGEST_BYTES);
    CHECK(EVP_DigestInit_ex2(digest->context, NULL, NULL) == 1);
}

/* ---- Attributes --------------------------------------------------------------------------------------- */

#define KINDS (sizeof kinds / sizeof *kinds)

struct erp_maker {
    struct erp_digest digest;
    struct packer *packer;
};

struct erp_maker *erp_maker_new(void) {
    const ProtobufCMessageDescriptor *messages[KINDS];
    for (size_t i = 0; i < KINDS; i++)
        messages[i] = kinds[i].descriptor;
    struct erp_maker *maker = heap_take(sizeof *maker);
    if (!maker)
        return NULL;
    maker->packer = packer_new(messages, KINDS);
    if (digest_open(&maker->digest) && maker->packer)
        return maker;
    erp_maker_free(maker);
    return NULL;
}

void erp_maker_free(struct erp_maker *maker) {
    if (!maker)
        return;
    digest_close(&maker->digest);
    packer_free(maker->packer);
    heap_give(maker);
}

static const char *plain_topic(const ProtobufCMessage *message) {
    for (size_t i = 0; i < KINDS; i++)
        if (kinds[i].descriptor == message->descriptor)
            return kinds[i].topic;
    return NULL;
}

/* The type says the same as the topic, but that a credit note is an invoice. */
const char *erp_type(const ProtobufCMessage *message) {
    if (message->descriptor == &roundhouse__erp__v1__order__descriptor) {
        const Roundhouse__Erp__V1__Order *order = (const void *)message;
        const char *function = order->header ? order->header->function : "";
        if (strcmp(function, "CHANGE") == 0 || strcmp(function, "REPLACE") == 0)
            return "erp.order.changed";
        if (strcmp(function, "CANCEL") == 0)
            return "erp.order.cancelled";
    }
    return plain_topic(message);
}

const Roundhouse__Erp__V1__Header *erp_header(const ProtobufCMessage *message) {
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(message->descriptor, "header");
    const Roundhouse__Erp__V1__Header *header = NULL;
    if (field)
        memcpy(&header, (const char *)message + field->offset, sizeof header);
    return header;
}

const char *erp_topic(const ProtobufCMessage *message) {
    if (message->descriptor == &roundhouse__erp__v1__invoice__descriptor &&
        ((const Roundhouse__Erp__V1__Invoice *)(const void *)message)->credit)
        return "erp.creditnote.created";
    return erp_type(message);
}

static const char *id_value(const Roundhouse__Erp__V1__Identifier *id) {
    return id ? id->value : "";
}

static void id_field(struct erp_maker *maker, const void *bytes, size_t n) {
    uint8_t length[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
    erp_digest_add(&maker->digest, length, sizeof length);
    erp_digest_add(&maker->digest, bytes, n);
}

static void id_text(struct erp_maker *maker, const char *text) {
    id_field(maker, text, strlen(text));
}

/* What names a document in the world: who sent it to whom, and its references. Files without an envelope have
 * the document's number and the file itself. */
static void id_make(struct erp_maker *maker, const struct erp_result *result, char out[2 * ID_BYTES + 1]) {
    static const char digits[] = "0123456789abcdef";
    const Roundhouse__Erp__V1__Origin *origin = result->header->origin;
    uint8_t digest[ERP_DIGEST_BYTES];
    id_text(maker, origin->format);
    id_text(maker, id_value(origin->sender));
    id_text(maker, id_value(origin->receiver));
    id_text(maker, origin->interchange_ref);
    id_text(maker, origin->group_ref);
    id_text(maker, origin->message_ref);
    if (!*origin->message_ref) {
        id_text(maker, origin->message_type);
        id_text(maker, result->header->id);
        id_field(maker, origin->sha256.data, origin->sha256.len);
    }
    erp_digest_take(&maker->digest, digest);
    for (size_t i = 0; i < ID_BYTES; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[2 * ID_BYTES] = 0;
}

/* A segment of a path: what is no letter, digit or one of -._~ is written as %XX. */
static char *segment_add(char *p, const char *end, const char *text) {
    static const char digits[] = "0123456789ABCDEF";
    if (!*text)
        text = "-";
    for (; *text && end - p > 3; text++) {
        uint8_t c = (uint8_t)*text;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c && strchr("-._~", c));
        if (plain) {
            *p++ = (char)c;
        } else {
            *p++ = '%';
            *p++ = digits[c >> 4];
            *p++ = digits[c & 15];
        }
    }
    return p;
}

static size_t source_make(const Roundhouse__Erp__V1__Origin *origin, char out[SOURCE_BYTES]) {
    char *p = out, *middle = out + SOURCE_BYTES / 2;
    p = segment_add(stpcpy(p, "/edi/"), middle, id_value(origin->receiver));
    *p++ = '/';
    p = segment_add(p, out + SOURCE_BYTES, id_value(origin->sender));
    return (size_t)(p - out);
}

/* ---- The event, from its end to its beginning --------------------------------------------------------- */

/* An entry of the attributes around a value that has just been written. */
static void entry_add(struct packer *event, const char *name, size_t before, uint32_t arm, bool number) {
    if (!number)
        pack_field(event, arm, before);
    pack_field(event, ENTRY_VALUE, before);
    size_t n = strlen(name), value = pack_length(event);
    pack_bytes(event, name, n);
    pack_field(event, ENTRY_NAME, value);
    pack_field(event, EVENT_ATTRIBUTE, before);
}

static void attribute_add(struct packer *event, const char *name, uint32_t arm, const char *text, size_t n) {
    size_t before = pack_length(event);
    pack_bytes(event, text, n);
    entry_add(event, name, before, arm, false);
}

/* A text attribute, unless it is empty or nobody could print it. */
static void text_attribute(struct packer *event, const char *name, const char *text) {
    size_t n = strlen(text);
    if (n && utf8_clean((const uint8_t *)text, n))
        attribute_add(event, name, VALUE_STRING, text, n);
}

static const char *reference_of(const Roundhouse__Erp__V1__Header *header, const char *type) {
    for (size_t i = 0; i < header->n_references; i++)
        if (strcmp(header->references[i]->type, type) == 0 && *header->references[i]->id)
            return header->references[i]->id;
    return NULL;
}

/* The order that a document belongs to; else its own number. */
static const char *chain_of(const struct erp_result *result) {
    const ProtobufCMessage *message = result->message;
    const char *order = reference_of(result->header, "ORDER");
    if (message->descriptor == &roundhouse__erp__v1__order_response__descriptor) {
        const Roundhouse__Erp__V1__OrderResponse *response = (const void *)message;
        if (response->order && *response->order->id)
            order = response->order->id;
    }
    if (message->descriptor == &roundhouse__erp__v1__despatch_advice__descriptor) {
        const Roundhouse__Erp__V1__DespatchAdvice *advice = (const void *)message;
        if (!order && advice->n_lines && advice->lines[0]->order_line)
            order = advice->lines[0]->order_line->id;
    }
    return order && *order ? order : result->header->id;
}

static void time_attribute(struct packer *event, const Roundhouse__Erp__V1__Header *header) {
    const Roundhouse__Erp__V1__Moment *moment =
        header->origin->prepared ? header->origin->prepared : header->issued;
    if (!moment || !moment->date)
        return;
    struct moment plain = {.date = moment->date,
                           .timed = moment->clock_case == ROUNDHOUSE__ERP__V1__MOMENT__CLOCK_TIME,
                           .zoned = moment->zone_case == ROUNDHOUSE__ERP__V1__MOMENT__ZONE_UTC_OFFSET_MIN};
    plain.time = plain.timed ? moment->time : 0;
    plain.zone = plain.zoned ? moment->utc_offset_min : 0;
    int64_t seconds = moment_seconds(plain);
    size_t before = pack_length(event);
    if (seconds) {
        pack_varint(event, (uint64_t)seconds);
        pack_varint(event, FIELD_TAG(TIME_SECONDS, FIELD_VARINT));
    }
    entry_add(event, "time", before, VALUE_TIME, false);
}

static void test_attribute(struct packer *event) {
    size_t before = pack_length(event);
    pack_varint(event, 1);
    pack_varint(event, FIELD_TAG(VALUE_BOOLEAN, FIELD_VARINT));
    entry_add(event, "testflag", before, VALUE_BOOLEAN, true);
}

static void digest_attribute(struct packer *event, const ProtobufCBinaryData *digest) {
    static const char digits[] = "0123456789abcdef";
    char text[2 * ERP_DIGEST_BYTES];
    if (digest->len != ERP_DIGEST_BYTES)
        return;
    for (size_t i = 0; i < ERP_DIGEST_BYTES; i++) {
        text[2 * i] = digits[digest->data[i] >> 4];
        text[2 * i + 1] = digits[digest->data[i] & 15];
    }
    attribute_add(event, "originsha256", VALUE_STRING, text, sizeof text);
}

/* At most so many bytes of a text, and no part of a character. */
static size_t part_of(const char *text, size_t most) {
    size_t n = strnlen(text, most + 1);
    if (n > most)
        for (n = most; n && ((uint8_t)text[n] & 0xc0) == 0x80;)
            n--;
    return n;
}

static void partition_attribute(struct packer *event, const struct erp_result *result) {
    char text[PARTITION_MAX];
    const char *partner = id_value(result->header->origin->sender), *chain = chain_of(result);
    size_t n = part_of(partner, PARTITION_MAX / 2 - 1), more = part_of(chain, PARTITION_MAX / 2 - 1);
    memcpy(text, partner, n);
    text[n] = '/';
    memcpy(text + n + 1, chain, more);
    text[n + 1 + more] = 0;
    text_attribute(event, "partitionkey", text);
}

static void attributes_add(struct packer *event, const struct erp_result *result, const char *type_url) {
    const Roundhouse__Erp__V1__Header *header = result->header;
    const Roundhouse__Erp__V1__Origin *origin = header->origin;
    time_attribute(event, header);
    if (origin->test)
        test_attribute(event);
    text_attribute(event, "subject", header->id);
    text_attribute(event, "partner", id_value(origin->sender));
    partition_attribute(event, result);
    digest_attribute(event, &origin->sha256);
    text_attribute(event, "interchangeref", origin->interchange_ref);
    text_attribute(event, "docformat", origin->format);
    attribute_add(event, "dataschema", VALUE_URI, type_url, strlen(type_url));
    attribute_add(event, "datacontenttype", VALUE_STRING, "application/protobuf", 20);
}

static void required_add(struct packer *event, uint32_t number, const char *text, size_t n) {
    size_t before = pack_length(event);
    pack_bytes(event, text, n);
    pack_field(event, number, before);
}

/* The message inside a google.protobuf.Any. */
static void data_add(struct packer *event, const ProtobufCMessage *message, const char *type_url) {
    pack_message(event, message);
    pack_field(event, ANY_VALUE, 0);
    required_add(event, ANY_TYPE_URL, type_url, strlen(type_url));
    pack_field(event, EVENT_PROTO, 0);
}

bool erp_event_make(struct erp_maker *maker, const struct erp_result *result, struct erp_event *out,
                    struct fault *fault) {
    char id[2 * ID_BYTES + 1], source[SOURCE_BYTES], type[TYPE_BYTES_MAX], url[TYPE_BYTES_MAX + 32];
    struct packer *event = maker->packer;
    id_make(maker, result, id);
    size_t type_n = (size_t)(stpcpy(stpcpy(type, erp_type(result->message)), ".v1") - type);
    stpcpy(stpcpy(url, TYPE_URL_BASE), result->message->descriptor->name);
    pack_begin(event);
    data_add(event, result->message, url);
    attributes_add(event, result, url);
    required_add(event, EVENT_TYPE, type, type_n);
    required_add(event, EVENT_SPEC_VERSION, "1.0", 3);
    required_add(event, EVENT_SOURCE, source, source_make(result->header->origin, source));
    required_add(event, EVENT_ID, id, 2 * (size_t)ID_BYTES);
    if (pack_failed(event)) {
        *fault = (struct fault){.code = RH_CODE_INTERNAL, .text = "out of memory"};
        return false;
    }
    *out = (struct erp_event){pack_data(event), pack_length(event), erp_topic(result->message)};
    return event_check(out->event, out->length, fault);
}
