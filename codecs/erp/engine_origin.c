/* Where a message came from, and what was found about it. */
#include "codecs/erp/engine_parts.h"
#include "core/base/utf8.h"

#include <string.h>

static struct value value_copy(struct arena *arena, struct value value) {
    if (!value.length)
        return (struct value){.bytes = (const uint8_t *)""};
    char *copy = arena_text(arena, value.bytes, value.length);
    return copy ? (struct value){.bytes = (const uint8_t *)copy, .length = value.length} : (struct value){0};
}

void origin_head_copy(struct arena *arena, struct document_head *own, const struct document_head *head) {
    *own = *head;
    struct value *const values[] = {&own->format,
                                    &own->syntax,
                                    &own->name,
                                    &own->version,
                                    &own->association,
                                    &own->variant,
                                    &own->sender.id,
                                    &own->sender.qualifier,
                                    &own->receiver.id,
                                    &own->receiver.qualifier,
                                    &own->interchange_ref,
                                    &own->group_ref,
                                    &own->message_ref,
                                    &own->date,
                                    &own->time};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        *values[i] = value_copy(arena, *values[i]);
}

/* As a field of a message. The head's copies end with a zero byte: mostly they are strings already. */
static void string_set(struct erp_engine *engine, char **field, struct value value) {
    static const struct spot nowhere = {0};
    if (!value.length)
        return;
    char *string = (char *)(uintptr_t)value.bytes;
    if (UNLIKELY(!utf8_text(value.bytes, value.length) || strlen(string) != value.length))
        string = engine_string(engine, value, &nowhere);
    if (string)
        *field = string;
}

static Roundhouse__Erp__V1__Identifier *party_identifier(struct erp_engine *engine,
                                                         const struct document_party *party) {
    if (!party->id.length)
        return NULL;
    Roundhouse__Erp__V1__Identifier *id =
        (void *)engine_message(engine, &roundhouse__erp__v1__identifier__descriptor);
    if (id) {
        string_set(engine, &id->value, party->id);
        string_set(engine, &id->scheme, party->qualifier);
    }
    return id;
}

static Roundhouse__Erp__V1__Moment *prepared(struct erp_engine *engine) {
    const struct document_head *head = &engine->head;
    struct moment date, clock;
    if (moment_read(head->date.bytes, head->date.length, NULL, 0, engine->profile->pivot, &date, &clock) !=
        MOMENT_OK)
        return NULL;
    Roundhouse__Erp__V1__Moment *made =
        (void *)engine_message(engine, &roundhouse__erp__v1__moment__descriptor);
    if (!made)
        return NULL;
    made->date = date.date;
    bool timed = head->time.length && moment_time_read(head->time.bytes, head->time.length, &clock);
    if (timed || date.timed) {
        made->clock_case = ROUNDHOUSE__ERP__V1__MOMENT__CLOCK_TIME;
        made->time = timed ? clock.time : date.time;
    }
    return made;
}

void origin_begin(struct erp_engine *engine) {
    const struct document_head *head = &engine->head;
    Roundhouse__Erp__V1__Origin *origin = engine->header->origin;
    string_set(engine, &origin->format, head->format);
    string_set(engine, &origin->version, head->version);
    string_set(engine, &origin->association, head->association);
    string_set(engine, &origin->message_type, head->name);
    string_set(engine, &origin->interchange_ref, head->interchange_ref);
    string_set(engine, &origin->group_ref, head->group_ref);
    string_set(engine, &origin->message_ref, head->message_ref);
    origin->sender = party_identifier(engine, &head->sender);
    origin->receiver = party_identifier(engine, &head->receiver);
    origin->test = head->test;
    origin->prepared = prepared(engine);
    origin->offset = head->offset;
    if (engine->digest_known)
        origin->sha256 = (ProtobufCBinaryData){ERP_DIGEST_BYTES, engine->digest};
}

void origin_end(struct erp_engine *engine, const struct document_tail *tail) {
    engine->header->origin->length = tail->length;
}

/* At most FINDING_VALUE_MAX bytes, and no part of a character. */
static struct value cut(struct value value) {
    if (value.length <= FINDING_VALUE_MAX)
        return value;
    value.length = FINDING_VALUE_MAX;
    while (value.length && (value.bytes[value.length] & 0xc0) == 0x80)
        value.length--;
    return value;
}

static void text_set(struct erp_engine *engine, char **field, struct value value) {
    char *text = value.length ? engine_repaired(engine, value) : NULL;
    if (text)
        *field = text;
}

/* The finding as a part of the message. */
static void finding_keep(struct erp_engine *engine, const struct finding *finding) {
    static const ProtobufCFieldDescriptor *list;
    Roundhouse__Erp__V1__Origin *origin = engine->header->origin;
    uint32_t most = engine->profile->findings_max ? engine->profile->findings_max : ENGINE_FINDINGS_MAX;
    if (engine->findings++ >= most)
        return;
    if (!list)
        list = protobuf_c_message_descriptor_get_field_by_name(&roundhouse__erp__v1__origin__descriptor,
                                                               "findings");
    Roundhouse__Erp__V1__Finding *kept =
        (void *)engine_message(engine, &roundhouse__erp__v1__finding__descriptor);
    Roundhouse__Erp__V1__Position *at =
        (void *)engine_message(engine, &roundhouse__erp__v1__position__descriptor);
    if (!kept || !at)
        return;
    const struct finding_kind *kind = finding_kind(finding->code);
    kept->code = (char *)(uintptr_t)kind->name;
    kept->severity = (uint32_t)finding->severity;
    kept->text = (char *)(uintptr_t)kind->text;
    bool x12 = value_is(engine->head.format, "X12");
    kept->standard_code = (char *)(uintptr_t)(x12 ? kind->x12 : kind->edifact);
    text_set(engine, &kept->value, cut(finding->found));
    at->segment = finding->place.segment;
    at->element = finding->place.element;
    at->component = finding->place.component;
    at->offset = finding->place.offset;
    at->line = finding->place.line;
    kept->at = at;
    void **slot = engine_slot(engine, &origin->base, list);
    if (slot)
        *slot = kept;
}

void origin_finding(struct erp_engine *engine, const struct finding *finding) {
    if (engine->header)
        finding_keep(engine, finding);
    if (engine->options.finding)
        engine->options.finding(engine->options.context, finding);
}

void origin_find(struct erp_engine *engine, enum finding_code code, const struct spot *spot) {
    struct finding finding = {.code = code,
                              .severity = finding_severity(engine->profile, code),
                              .place = engine->place,
                              .scope = DOCUMENT_MESSAGE,
                              .segment = engine->name,
                              .found = spot->found};
    finding.place.element = spot->element;
    finding.place.component = spot->component;
    engine->errors += finding.severity == FINDING_ERROR;
    origin_finding(engine, &finding);
}
