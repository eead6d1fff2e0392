#include "codecs/erp/pack.h"

#include "codecs/proto/field.h"
#include "core/base/heap.h"

#include <string.h>

#define TYPES_MAX    64u
#define BUFFER_LEAST ((size_t)64 << 10)
#define TAG_MAX      2u

/* One field, in as few bytes as it takes: all of a message's lie side by side. */
struct part {
    uint16_t offset, count; /* of the value, of how many there are or which one of a oneof it is */
    uint8_t kind;           /* ProtobufCType */
    uint8_t tag[TAG_MAX], tag_length;
    bool repeated, oneof;
    uint32_t number;
    const struct type *type; /* of a message */
};

struct type {
    const ProtobufCMessageDescriptor *descriptor;
    struct part *parts;
    uint32_t count;
};

struct packer {
    struct type types[TYPES_MAX];
    uint32_t count;
    uint8_t *buffer, *at; /* owns; what is written lies from `at` to its end */
    size_t size;
    bool failed;
};

/* ---- The plan ----------------------------------------------------------------------------------------- */

static struct type *type_find(struct packer *packer, const ProtobufCMessageDescriptor *descriptor) {
    for (uint32_t i = 0; i < packer->count; i++)
        if (packer->types[i].descriptor == descriptor)
            return &packer->types[i];
    return NULL;
}

static uint8_t wire_type(ProtobufCType type) {
    return type == PROTOBUF_C_TYPE_STRING || type == PROTOBUF_C_TYPE_BYTES || type == PROTOBUF_C_TYPE_MESSAGE
               ? FIELD_BYTES
               : FIELD_VARINT;
}

static const struct type *type_add(struct packer *packer, const ProtobufCMessageDescriptor *descriptor);

static bool part_make(struct packer *packer, const ProtobufCFieldDescriptor *field, struct part *part) {
    *part = (struct part){.offset = (uint16_t)field->offset,
                          .count = (uint16_t)field->quantifier_offset,
                          .kind = (uint8_t)field->type,
                          .repeated = field->label == PROTOBUF_C_LABEL_REPEATED,
                          .oneof = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0,
                          .number = field->id};
    CHECK(field->id < 2048 && field->offset <= UINT16_MAX && field->quantifier_offset <= UINT16_MAX);
    part->tag_length =
        (uint8_t)(varint_write(part->tag, (uint64_t)field->id << 3 | wire_type(field->type)) - part->tag);
    if (field->type != PROTOBUF_C_TYPE_MESSAGE)
        return true;
    part->type = type_add(packer, field->descriptor);
    return part->type != NULL;
}

static const struct type *type_add(struct packer *packer, const ProtobufCMessageDescriptor *descriptor) {
    struct type *type = type_find(packer, descriptor);
    if (type)
        return type;
    CHECK(packer->count < TYPES_MAX);
    type = &packer->types[packer->count++];
    *type = (struct type){.descriptor = descriptor, .count = descriptor->n_fields};
    type->parts = heap_take(type->count * sizeof *type->parts);
    if (!type->parts)
        return NULL;
    for (uint32_t i = 0; i < type->count; i++)
        if (!part_make(packer, &descriptor->fields[i], &type->parts[i]))
            return NULL;
    return type;
}

struct packer *packer_new(const ProtobufCMessageDescriptor *const *messages, size_t count) {
    struct packer *packer = heap_take(sizeof *packer);
    bool good = packer != NULL;
    for (size_t i = 0; good && i < count; i++)
        good = type_add(packer, messages[i]) != NULL;
    if (good)
        return packer;
    packer_free(packer);
    return NULL;
}

void packer_free(struct packer *packer) {
    if (!packer)
        return;
    for (uint32_t i = 0; i < packer->count; i++)
        heap_give(packer->types[i].parts);
    heap_give(packer->buffer);
    heap_give(packer);
}

/* ---- The buffer --------------------------------------------------------------------------------------- */

void pack_begin(struct packer *packer) {
    packer->at = packer->buffer ? packer->buffer + packer->size : NULL;
    packer->failed = false;
}

size_t pack_length(const struct packer *packer) {
    return packer->buffer ? (size_t)(packer->buffer + packer->size - packer->at) : 0;
}

const uint8_t *pack_data(const struct packer *packer) {
    return packer->at;
}

bool pack_failed(const struct packer *packer) {
    return packer->failed;
}

/* Twice the room: what is written moves to its end. */
static bool grow(struct packer *packer, size_t more) {
    size_t length = pack_length(packer), size = packer->size ? packer->size * 2 : BUFFER_LEAST;
    while (size - length < more && size <= PACK_BYTES_MAX)
        size *= 2;
    uint8_t *buffer = packer->failed || size > PACK_BYTES_MAX ? NULL : heap_take_raw(size);
    if (!buffer) {
        packer->failed = true;
        return false;
    }
    if (length)
        memcpy(buffer + size - length, packer->at, length);
    heap_give(packer->buffer);
    packer->buffer = buffer;
    packer->size = size;
    packer->at = buffer + size - length;
    return true;
}

static inline bool room(struct packer *packer, size_t n) {
    return LIKELY((size_t)(packer->at - packer->buffer) >= n) || grow(packer, n);
}

void pack_bytes(struct packer *packer, const void *bytes, size_t n) {
    if (!room(packer, n))
        return;
    packer->at -= n;
    if (n)
        memcpy(packer->at, bytes, n);
}

void pack_varint(struct packer *packer, uint64_t value) {
    if (!room(packer, VARINT_BYTES_MAX))
        return;
    if (LIKELY(value < 0x80)) {
        *--packer->at = (uint8_t)value;
        return;
    }
    packer->at -= varint_size(value);
    varint_write(packer->at, value);
}

void pack_field(struct packer *packer, uint32_t number, size_t length) {
    pack_varint(packer, pack_length(packer) - length);
    pack_varint(packer, (uint64_t)number << 3 | FIELD_BYTES);
}

/* ---- Messages ----------------------------------------------------------------------------------------- */

/* What a field needs besides its bytes: a length or number, and a tag. */
#define HEAD_MAX (VARINT_BYTES_MAX + TAG_MAX)

static inline uint8_t *tag_put(uint8_t *p, const struct part *part) {
    if (part->tag_length == 1) {
        *--p = part->tag[0];
        return p;
    }
    p -= TAG_MAX;
    memcpy(p, part->tag, TAG_MAX);
    return p;
}

static inline uint8_t *number_put(uint8_t *p, const struct part *part, uint64_t number) {
    if (LIKELY(number < 0x80)) {
        *--p = (uint8_t)number;
    } else {
        p -= varint_size(number);
        varint_write(p, number);
    }
    return tag_put(p, part);
}

static uint8_t *message_put(const struct packer *packer, const struct type *type, const char *message,
                            uint8_t *p);

static inline uint8_t *bytes_put(const struct packer *packer, const struct part *part, const void *bytes,
                                 size_t n, uint8_t *p) {
    if (UNLIKELY((size_t)(p - packer->buffer) < n + HEAD_MAX))
        return NULL;
    p -= n;
    memcpy(p, bytes, n);
    return number_put(p, part, n);
}

static inline uint8_t *inner_put(const struct packer *packer, const struct part *part, const char *message,
                                 uint8_t *p) {
    uint8_t *end = p;
    p = message_put(packer, part->type, message, p);
    if (UNLIKELY(!p || (size_t)(p - packer->buffer) < HEAD_MAX))
        return NULL;
    return number_put(p, part, (uint64_t)(end - p));
}

static uint64_t zigzag(int64_t value) {
    return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}

static uint64_t number_of(const struct part *part, const char *at) {
    switch (part->kind) {
    case PROTOBUF_C_TYPE_SINT64:
        return zigzag(*(const int64_t *)(const void *)at);
    case PROTOBUF_C_TYPE_SINT32:
        return zigzag(*(const int32_t *)(const void *)at);
    case PROTOBUF_C_TYPE_INT32:
        return (uint64_t)(int64_t) * (const int32_t *)(const void *)at;
    case PROTOBUF_C_TYPE_UINT64:
        return *(const uint64_t *)(const void *)at;
    default: /* uint32 and bool */
        return *(const uint32_t *)(const void *)at;
    }
}

static uint8_t *list_put(const struct packer *packer, const struct part *part, const char *message,
                         uint8_t *p) {
    size_t count = *(const size_t *)(const void *)(message + part->count);
    const char *const *list = *(const char *const *const *)(const void *)(message + part->offset);
    for (size_t i = count; p && i-- > 0;)
        p = part->kind == PROTOBUF_C_TYPE_STRING ? bytes_put(packer, part, list[i], strlen(list[i]), p)
                                                 : inner_put(packer, part, list[i], p);
    return p;
}

static uint8_t *rest_put(const struct packer *packer, const struct part *part, const char *message,
                         uint8_t *p) {
    const char *at = message + part->offset;
    if (part->kind == PROTOBUF_C_TYPE_BYTES) {
        const ProtobufCBinaryData *data = (const void *)at;
        return data->len ? bytes_put(packer, part, data->data, data->len, p) : p;
    }
    uint64_t number = number_of(part, at);
    bool there =
        part->oneof ? *(const uint32_t *)(const void *)(message + part->count) == part->number : number;
    if (!there)
        return p;
    return (size_t)(p - packer->buffer) < HEAD_MAX ? NULL : number_put(p, part, number);
}

/* NULL: there is no room. */
static uint8_t *message_put(const struct packer *packer, const struct type *type, const char *message,
                            uint8_t *p) {
    for (uint32_t i = type->count; p && i-- > 0;) {
        const struct part *part = &type->parts[i];
        const char *at = message + part->offset;
        if (part->repeated) {
            p = list_put(packer, part, message, p);
        } else if (part->kind == PROTOBUF_C_TYPE_STRING) {
            const char *text = *(const char *const *)(const void *)at;
            if (*text)
                p = bytes_put(packer, part, text, strlen(text), p);
        } else if (part->kind == PROTOBUF_C_TYPE_MESSAGE) {
            const char *inner = *(const char *const *)(const void *)at;
            if (inner)
                p = inner_put(packer, part, inner, p);
        } else {
            p = rest_put(packer, part, message, p);
        }
    }
    return p;
}

void pack_message(struct packer *packer, const ProtobufCMessage *message) {
    const struct type *type = type_find(packer, message->descriptor);
    uint8_t *p;
    CHECK(type != NULL);
    if (!room(packer, HEAD_MAX))
        return;
    while (!(p = message_put(packer, type, (const char *)message, packer->at)))
        if (!grow(packer, packer->size))
            return;
    packer->at = p;
}
