/* Values into fields: what a text means there, and where the field is. */
#include "codecs/erp/codes.h"
#include "codecs/erp/engine_parts.h"
#include "core/base/utf8.h"

#include <string.h>

/* Where a field's value is. */
static void *field_at(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field) {
    return (char *)message + field->offset;
}

static size_t *count_at(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field) {
    return (size_t *)(void *)((char *)message + field->quantifier_offset);
}

ProtobufCMessage *engine_message(struct erp_engine *engine, const ProtobufCMessageDescriptor *descriptor) {
    ProtobufCMessage *message = arena_take(&engine->arena, descriptor->sizeof_message);
    if (message)
        descriptor->message_init(message);
    return message;
}

void **engine_slot(struct erp_engine *engine, ProtobufCMessage *message,
                   const ProtobufCFieldDescriptor *field) {
    size_t *count = count_at(message, field);
    void ***list = field_at(message, field);
    /* The room is the next power of two, 4 at least: it is full when the count is one. */
    if (*count == 0 || (*count >= 4 && (*count & (*count - 1)) == 0)) {
        size_t room = *count ? *count * 2 : 4;
        void **larger = arena_take(&engine->arena, room * sizeof *larger);
        if (!larger)
            return NULL;
        if (*count)
            memcpy(larger, *list, *count * sizeof *larger);
        *list = larger;
    }
    return &(*list)[(*count)++];
}

ProtobufCMessage *engine_append(struct erp_engine *engine, ProtobufCMessage *message,
                                const ProtobufCFieldDescriptor *const *steps, uint32_t count) {
    message = engine_walk(engine, message, steps, count - 1);
    ProtobufCMessage *entry = message ? engine_message(engine, steps[count - 1]->descriptor) : NULL;
    void **slot = entry ? engine_slot(engine, message, steps[count - 1]) : NULL;
    if (!slot)
        return NULL;
    *slot = entry;
    return entry;
}

ProtobufCMessage *engine_walk(struct erp_engine *engine, ProtobufCMessage *message,
                              const ProtobufCFieldDescriptor *const *steps, uint32_t count) {
    for (uint32_t i = 0; message && i < count; i++) {
        const ProtobufCFieldDescriptor *field = steps[i];
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t n = *count_at(message, field);
            message = n ? (*(ProtobufCMessage ***)field_at(message, field))[n - 1]
                        : engine_append(engine, message, &steps[i], 1);
            continue;
        }
        ProtobufCMessage **next = field_at(message, field);
        if (!*next)
            *next = engine_message(engine, field->descriptor);
        message = *next;
    }
    return message;
}

/* ---- Texts -------------------------------------------------------------------------------------------- */

char *engine_repaired(struct erp_engine *engine, struct value text) {
    char *copy = arena_take(&engine->arena, (size_t)text.length + 1);
    size_t n = 0;
    for (uint32_t i = 0; copy && i < text.length;) {
        uint32_t code;
        size_t size = utf8_next(text.bytes + i, text.length - i, &code);
        if (size && code) {
            memcpy(copy + n, text.bytes + i, size);
            n += size;
        }
        i += size ? (uint32_t)size : 1;
    }
    if (copy)
        copy[n] = 0;
    return copy;
}

/* Copies and looks at eight bytes at a time: most texts are one or two words. */
char *engine_string(struct erp_engine *engine, struct value text, const struct spot *spot) {
    size_t n = text.length, i = 0;
    char *copy = arena_take(&engine->arena, n + 1);
    uint64_t odd = 0; /* high bits of bytes that are zero or not ASCII */
    if (!copy)
        return NULL;
    for (; i + 8 <= n; i += 8) {
        uint64_t word = word_load(text.bytes + i);
        odd |= (word | (word - WORD_ONES)) & WORD_HIGHS;
        memcpy(copy + i, &word, 8);
    }
    /* What is behind the last byte becomes the zero byte: the arena gives whole words. */
    uint64_t word = word_load_short(text.bytes + i, n - i), filled = word | WORD_ONES << (8 * (n - i));
    odd |= (filled | (filled - WORD_ONES)) & WORD_HIGHS;
    memcpy(copy + i, &word, 8);
    if (LIKELY(!odd) || (utf8_valid(text.bytes, n) && !memchr(text.bytes, 0, n)))
        return copy;
    origin_find(engine, FINDING_MAP_TEXT, spot);
    return engine_repaired(engine, text);
}

static void text_write(struct erp_engine *engine, ProtobufCMessage *message,
                       const ProtobufCFieldDescriptor *field, struct value text, const struct spot *spot) {
    char *string = LIKELY(text.length > 0) ? engine_string(engine, text, spot) : NULL;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        void **slot = string ? engine_slot(engine, message, field) : NULL;
        if (slot)
            *slot = string;
    } else if (string || !text.length) {
        *(const char **)field_at(message, field) = string ? string : protobuf_c_empty_string;
    }
}

static void identifier_check(struct erp_engine *engine, const Roundhouse__Erp__V1__Identifier *id,
                             const struct spot *spot) {
    bool asked;
    if (!*id->scheme || check_digit_right(id->scheme, (const uint8_t *)id->value, strlen(id->value), &asked))
        return;
    origin_find(engine, FINDING_MAP_CHECK_DIGIT, spot);
}

static bool text_true(struct value text) {
    static const char *const words[] = {"true", "1", "X", "Y", "YES"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (value_is(text, words[i]))
            return true;
    return false;
}

static void number_write(struct erp_engine *engine, uint32_t *to, const struct texts *texts) {
    uint64_t number = 0;
    for (uint32_t i = 0; i < texts->text.length; i++) {
        uint8_t digit = (uint8_t)(texts->text.bytes[i] - '0');
        if (digit > 9 || (number = number * 10 + digit) > UINT32_MAX) {
            origin_find(engine, FINDING_MAP_NUMBER, &texts->spot);
            return;
        }
    }
    *to = (uint32_t)number;
}

/* ---- Numbers ------------------------------------------------------------------------------------------ */

/* A number with the file's mark, or with the other one, which is told. */
static enum decimal_result decimal_of(struct erp_engine *engine, const struct segment *segment,
                                      const struct texts *texts, struct decimal *out) {
    struct decimal_style style = {.mark = segment->decimal ? segment->decimal : '.',
                                  .minus_behind = engine->map->minus_behind,
                                  .plus = engine->map->plus};
    enum decimal_result result = decimal_read(texts->text.bytes, texts->text.length, style, out);
    if (result == DECIMAL_BAD) {
        style.mark = style.mark == '.' ? ',' : '.';
        result = decimal_read(texts->text.bytes, texts->text.length, style, out);
        if (result != DECIMAL_BAD)
            origin_find(engine, FINDING_MAP_NUMBER_MARK, &texts->spot);
    }
    if (result == DECIMAL_BAD)
        origin_find(engine, FINDING_MAP_NUMBER, &texts->spot);
    else if (result == DECIMAL_BARE && !engine->map->bare_allowed)
        origin_find(engine, FINDING_MAP_NUMBER_BARE, &texts->spot);
    return result;
}

/* As text: with a leading minus and '.'. */
static char *long_text(struct erp_engine *engine, struct value text) {
    char *copy = arena_take(&engine->arena, (size_t)text.length + 2);
    bool minus = text.length && (text.bytes[0] == '-' || text.bytes[text.length - 1] == '-');
    size_t n = 0;
    if (!copy)
        return NULL;
    if (minus)
        copy[n++] = '-';
    for (uint32_t i = 0; i < text.length; i++) {
        char c = (char)text.bytes[i];
        if (c >= '0' && c <= '9')
            copy[n++] = c;
        else if (c == '.' || c == ',')
            copy[n++] = '.';
    }
    copy[n] = 0;
    return copy;
}

static void decimal_write_to(struct erp_engine *engine, const struct segment *segment,
                             ProtobufCMessage *message, const struct map_leaf *leaf,
                             const struct texts *texts) {
    struct decimal number = {0};
    enum decimal_result result = decimal_of(engine, segment, texts, &number);
    if (result == DECIMAL_BAD)
        return;
    Roundhouse__Erp__V1__Decimal *decimal =
        (void *)engine_message(engine, &roundhouse__erp__v1__decimal__descriptor);
    if (!decimal)
        return;
    decimal->unscaled = number.unscaled;
    decimal->scale = number.scale;
    if (result == DECIMAL_LONG) {
        char *text = long_text(engine, texts->text);
        decimal->text = text ? text : decimal->text;
    }
    *(Roundhouse__Erp__V1__Decimal **)field_at(message, leaf->field) = decimal;
    if (leaf->in != &roundhouse__erp__v1__amount__descriptor)
        return;
    Roundhouse__Erp__V1__Amount *amount = (void *)message;
    if (*amount->currency)
        return;
    if (engine->header && *engine->header->currency) {
        amount->currency = engine->header->currency;
        return;
    }
    struct pending *pending = arena_take(&engine->arena, sizeof *pending);
    if (pending) {
        *pending = (struct pending){engine->pending, amount};
        engine->pending = pending;
    }
}

static void unit_write(struct erp_engine *engine, Roundhouse__Erp__V1__Quantity *quantity,
                       const struct texts *texts) {
    char unit[UNIT_BYTES];
    char *source = engine_string(engine, texts->text, &texts->spot);
    if (!source)
        return;
    quantity->source_unit = source;
    if (!unit_code((enum unit_system)engine->map->units, texts->text.bytes, texts->text.length, unit)) {
        origin_find(engine, FINDING_MAP_UNKNOWN_UNIT, &texts->spot);
        return;
    }
    char *copy = strcmp(unit, source) == 0 ? source : arena_text(&engine->arena, unit, strlen(unit));
    quantity->unit = copy ? copy : quantity->unit;
}

/* ---- Moments ------------------------------------------------------------------------------------------ */

static Roundhouse__Erp__V1__Moment *moment_message(struct erp_engine *engine, struct moment moment) {
    Roundhouse__Erp__V1__Moment *made =
        (void *)engine_message(engine, &roundhouse__erp__v1__moment__descriptor);
    if (!made)
        return NULL;
    made->date = moment.date;
    if (moment.timed) {
        made->clock_case = ROUNDHOUSE__ERP__V1__MOMENT__CLOCK_TIME;
        made->time = moment.time;
    }
    if (moment.zoned) {
        made->zone_case = ROUNDHOUSE__ERP__V1__MOMENT__ZONE_UTC_OFFSET_MIN;
        made->utc_offset_min = moment.zone;
    }
    return made;
}

/* Time and zone that stand beside the date. */
static void sides_read(struct erp_engine *engine, struct reach reach, const struct map_leaf *leaf,
                       const struct texts *texts, struct moment *moment) {
    struct moment clock;
    const struct map_sides *sides = leaf->sides;
    if (!sides)
        return;
    struct value time = sides->time.count ? engine_text(engine, reach, &sides->time) : (struct value){0};
    struct value zone = sides->zone.count ? engine_text(engine, reach, &sides->zone) : (struct value){0};
    if (time.length && !moment->timed) {
        if (moment_time_read(time.bytes, time.length, &clock)) {
            moment->timed = true;
            moment->time = clock.time;
            moment->zoned |= clock.zoned;
            moment->zone = clock.zoned ? clock.zone : moment->zone;
        } else {
            origin_find(engine, FINDING_MAP_DATE, &texts->spot);
        }
    }
    if (zone.length && moment_zone_read(zone.bytes, zone.length, &moment->zone))
        moment->zoned = true;
}

static bool moments_read(struct erp_engine *engine, struct reach reach, const struct map_leaf *leaf,
                         const struct texts *texts, struct moment *start, struct moment *end) {
    bool named = leaf->sides && leaf->sides->format.count;
    struct value format = named ? engine_text(engine, reach, &leaf->sides->format) : (struct value){0};
    enum moment_result result = moment_read(texts->text.bytes, texts->text.length, (const char *)format.bytes,
                                            format.length, engine->profile->pivot, start, end);
    if (result == MOMENT_BAD)
        origin_find(engine, FINDING_MAP_DATE, &texts->spot);
    else if (result == MOMENT_OTHER)
        origin_find(engine, FINDING_MAP_DATE_FORMAT, &texts->spot);
    return result == MOMENT_OK || result == MOMENT_OTHER;
}

static void moment_write_to(struct erp_engine *engine, struct reach reach, ProtobufCMessage *message,
                            const struct map_leaf *leaf, const struct texts *texts) {
    struct moment start, end;
    if (!moments_read(engine, reach, leaf, texts, &start, &end))
        return;
    if (leaf->kind == KIND_MOMENT) {
        sides_read(engine, reach, leaf, texts, &start);
        Roundhouse__Erp__V1__Moment *made = moment_message(engine, start);
        if (made)
            *(Roundhouse__Erp__V1__Moment **)field_at(message, leaf->field) = made;
        return;
    }
    Roundhouse__Erp__V1__Period **period = field_at(message, leaf->field);
    if (!*period)
        *period = (void *)engine_message(engine, &roundhouse__erp__v1__period__descriptor);
    if (*period) {
        (*period)->start = moment_message(engine, start);
        (*period)->end = moment_message(engine, end);
    }
}

/* A time or a zone of a moment whose date comes with another row. */
static void clock_write(struct erp_engine *engine, Roundhouse__Erp__V1__Moment *moment, enum map_kind kind,
                        const struct texts *texts) {
    struct moment read = {0};
    bool good = kind == KIND_CLOCK ? moment_time_read(texts->text.bytes, texts->text.length, &read)
                                   : moment_zone_read(texts->text.bytes, texts->text.length, &read.zone);
    if (!good) {
        origin_find(engine, FINDING_MAP_DATE, &texts->spot);
        return;
    }
    if (kind == KIND_CLOCK) {
        moment->clock_case = ROUNDHOUSE__ERP__V1__MOMENT__CLOCK_TIME;
        moment->time = read.time;
    }
    if (kind == KIND_ZONE || read.zoned) {
        moment->zone_case = ROUNDHOUSE__ERP__V1__MOMENT__ZONE_UTC_OFFSET_MIN;
        moment->utc_offset_min = read.zone;
    }
}

/* ---- All ---------------------------------------------------------------------------------------------- */

static void control_write(struct erp_engine *engine, const struct segment *segment, enum map_kind kind,
                          const struct texts *texts) {
    struct controls *controls = &engine->controls;
    if (kind == KIND_LINES) {
        uint32_t lines = UINT32_MAX;
        number_write(engine, &lines, texts);
        controls->lines_said = lines != UINT32_MAX;
        controls->lines = lines;
        controls->lines_place = segment->place;
    } else {
        controls->hash_said = decimal_of(engine, segment, texts, &controls->hash) <= DECIMAL_BARE;
        controls->hash_place = segment->place;
    }
}

void engine_write(struct erp_engine *engine, struct reach reach, ProtobufCMessage *message,
                  const struct map_leaf *leaf, const struct texts *texts) {
    const struct segment *segment = reach.segment;
    if (leaf->kind == KIND_LINES || leaf->kind == KIND_HASH) {
        control_write(engine, segment, leaf->kind, texts);
        return;
    }
    if (leaf->step_count)
        message = engine_walk(engine, message, leaf->steps, leaf->step_count);
    if (!message)
        return;
    switch (leaf->kind) {
    case KIND_CURRENCY:
        if (!currency_known(texts->text.bytes, texts->text.length))
            origin_find(engine, FINDING_MAP_CURRENCY, &texts->spot);
        text_write(engine, message, leaf->field, texts->text, &texts->spot);
        break;
    case KIND_TEXT:
        text_write(engine, message, leaf->field, texts->text, &texts->spot);
        if (leaf->in == &roundhouse__erp__v1__identifier__descriptor && leaf->field->id == 1)
            identifier_check(engine, (void *)message, &texts->spot);
        break;
    case KIND_BOOL:
        *(protobuf_c_boolean *)field_at(message, leaf->field) = text_true(texts->text);
        break;
    case KIND_NUMBER:
        number_write(engine, field_at(message, leaf->field), texts);
        break;
    case KIND_DECIMAL:
        decimal_write_to(engine, segment, message, leaf, texts);
        break;
    case KIND_UNIT:
        unit_write(engine, (void *)message, texts);
        break;
    case KIND_MOMENT:
    case KIND_PERIOD:
        moment_write_to(engine, reach, message, leaf, texts);
        break;
    case KIND_CLOCK:
    case KIND_ZONE:
        clock_write(engine, (void *)message, leaf->kind, texts);
        break;
    case KIND_VARIABLE:
    case KIND_LINES:
    case KIND_HASH:
        break;
    }
}
