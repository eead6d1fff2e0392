/* What a document must be in itself: as many lines as it says, sums that add up, no line twice. */
#include "codecs/erp/codes.h"
#include "codecs/erp/engine_parts.h"

#include <string.h>
#include <xxhash.h>

/* The lines of a message, whatever they are. */
struct lines {
    ProtobufCMessage **lines;
    size_t count;
    const struct map_verified *fields;
};

static struct lines lines_of(const struct map_verified *fields, const ProtobufCMessage *message) {
    const char *at = (const char *)message;
    struct lines lines = {.fields = fields};
    if (!fields->lines)
        return lines;
    memcpy(&lines.lines, at + fields->lines->offset, sizeof lines.lines);
    memcpy(&lines.count, at + fields->lines->quantifier_offset, sizeof lines.count);
    return lines;
}

/* A field that is a pointer: a message or a string. NULL: there is none of that name. */
static void *pointer_of(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field) {
    void *pointer;
    memcpy(&pointer, (const char *)message + field->offset, sizeof pointer);
    return pointer;
}

static void spot_of(struct erp_engine *engine, const struct place *place, struct spot *spot) {
    engine->place = *place;
    *spot = (struct spot){0};
}

/* ---- Counts ------------------------------------------------------------------------------------------- */

static void line_count_verify(struct erp_engine *engine, const struct lines *lines) {
    struct spot spot;
    if (!engine->controls.lines_said || !lines->fields->lines)
        return;
    const ProtobufCFieldDescriptor *field = lines->fields->totals;
    Roundhouse__Erp__V1__Totals *totals =
        field ? (void *)engine_walk(engine, engine->message, &field, 1) : NULL;
    if (totals)
        totals->line_count = (uint32_t)engine->controls.lines;
    spot_of(engine, &engine->controls.lines_place, &spot);
    if (engine->controls.lines != lines->count)
        origin_find(engine, FINDING_MAP_LINE_COUNT, &spot);
}

static bool decimal_of(const Roundhouse__Erp__V1__Decimal *from, struct decimal *to) {
    if (!from || *from->text)
        return false;
    *to = (struct decimal){from->unscaled, from->scale};
    return true;
}

/* A line of a response has the line of the order inside. */
static const ProtobufCMessage *line_inside(const ProtobufCMessage *line) {
    if (line->descriptor != &roundhouse__erp__v1__order_response_line__descriptor)
        return line;
    const Roundhouse__Erp__V1__OrderResponseLine *response = (const void *)line;
    return response->line ? &response->line->base : NULL;
}

static void hash_verify(struct erp_engine *engine, const struct lines *lines) {
    struct decimal sum = {0}, value;
    struct spot spot;
    if (!engine->controls.hash_said || !lines->fields->quantity)
        return;
    for (size_t i = 0; i < lines->count; i++) {
        const ProtobufCMessage *line = line_inside(lines->lines[i]);
        const Roundhouse__Erp__V1__Quantity *quantity =
            line ? pointer_of(line, lines->fields->quantity) : NULL;
        if (quantity && decimal_of(quantity->value, &value) && !decimal_add(sum, value, &sum))
            return;
    }
    spot_of(engine, &engine->controls.hash_place, &spot);
    if (decimal_compare(sum, engine->controls.hash) != 0)
        origin_find(engine, FINDING_MAP_HASH_TOTAL, &spot);
}

/* ---- Lines twice -------------------------------------------------------------------------------------- */

static const char *line_id(const struct lines *lines, size_t i) {
    const ProtobufCMessage *line = line_inside(lines->lines[i]);
    return line ? pointer_of(line, lines->fields->id) : "";
}

/* A hash table of the lines' numbers in the arena, half empty. The seed is not known to who sends them. */
static void twice_verify(struct erp_engine *engine, const struct lines *lines) {
    size_t slots = 8;
    while (slots < 2 * lines->count)
        slots *= 2;
    if (!lines->fields->id || lines->count < 2)
        return;
    const char **table = arena_take(&engine->arena, slots * sizeof *table);
    if (!table)
        return;
    memset(table, 0, slots * sizeof *table);
    for (size_t i = 0; i < lines->count; i++) {
        const char *id = line_id(lines, i);
        size_t n = strlen(id);
        size_t at = XXH3_64bits_withSeed(id, n, (uintptr_t)table) & (slots - 1);
        while (table[at] && strcmp(table[at], id) != 0)
            at = (at + 1) & (slots - 1);
        if (table[at] && n) {
            struct spot spot = {.found = {.bytes = (const uint8_t *)id, .length = (uint32_t)n}};
            origin_find(engine, FINDING_MAP_LINE_TWICE, &spot);
            return;
        }
        table[at] = id;
    }
}

/* ---- Sums --------------------------------------------------------------------------------------------- */

/* Terms of an equation, and how far its sides may be apart. */
struct sum {
    struct decimal value;
    bool known;
};

static struct sum sum_of(const Roundhouse__Erp__V1__Amount *amount) {
    struct sum sum = {.known = false};
    sum.known = amount && decimal_of(amount->value, &sum.value);
    return sum;
}

/* What is not there counts as 0, if some other thing says so. */
static struct sum sum_or_zero(const Roundhouse__Erp__V1__Amount *amount) {
    struct sum sum = sum_of(amount);
    sum.known = true;
    return sum;
}

static struct sum sum_add(struct sum a, struct sum b, bool minus) {
    struct sum sum = {.known = a.known && b.known};
    if (sum.known)
        sum.known = decimal_add(a.value, minus ? decimal_negate(b.value) : b.value, &sum.value);
    return sum;
}

/* Whether two sums differ by no more than so many of the smallest coins. */
static void sums_equal(struct erp_engine *engine, struct sum a, struct sum b, size_t coins) {
    struct sum difference = sum_add(a, b, true);
    if (!difference.known)
        return;
    struct decimal most = {(int64_t)(coins < 1000000 ? coins : 1000000),
                           currency_decimals(engine->header->currency)};
    struct spot spot = {0};
    if (decimal_compare(difference.value, most) > 0 ||
        decimal_compare(difference.value, decimal_negate(most)) < 0)
        origin_find(engine, FINDING_MAP_SUM, &spot);
}

/* The sum of the lines' net amounts, if every line has one. */
static struct sum lines_sum(const struct lines *lines) {
    struct sum sum = {.known = lines->count > 0 && lines->fields->net};
    for (size_t i = 0; sum.known && i < lines->count; i++) {
        const ProtobufCMessage *line = line_inside(lines->lines[i]);
        sum = sum_add(sum, sum_of(line ? pointer_of(line, lines->fields->net) : NULL), false);
    }
    return sum;
}

static void totals_verify(struct erp_engine *engine, const struct lines *lines, size_t allowances,
                          size_t taxes) {
    const ProtobufCFieldDescriptor *field = lines->fields->totals;
    const Roundhouse__Erp__V1__Totals *totals = field ? pointer_of(engine->message, field) : NULL;
    if (!totals)
        return;
    sums_equal(engine, lines_sum(lines), sum_of(totals->lines), lines->count + 1);
    struct sum net = sum_add(sum_add(sum_of(totals->lines), sum_or_zero(totals->allowances), true),
                             sum_or_zero(totals->charges), false);
    if (totals->allowances || totals->charges || allowances == 0)
        sums_equal(engine, net, sum_of(totals->tax_exclusive), 1);
    struct sum gross = sum_add(sum_of(totals->tax_exclusive), sum_of(totals->tax), false);
    sums_equal(engine, gross, sum_of(totals->tax_inclusive), taxes + 1);
    struct sum payable = sum_add(sum_add(sum_of(totals->tax_inclusive), sum_or_zero(totals->prepaid), true),
                                 sum_or_zero(totals->rounding), false);
    sums_equal(engine, payable, sum_of(totals->payable), 1);
}

/* ---- All ---------------------------------------------------------------------------------------------- */

static bool needs_number(const ProtobufCMessageDescriptor *event) {
    return event != &roundhouse__erp__v1__acknowledgement__descriptor &&
           event != &roundhouse__erp__v1__party_master__descriptor &&
           event != &roundhouse__erp__v1__item_master__descriptor;
}

void engine_verify(struct erp_engine *engine) {
    struct place whole = engine->place;
    struct spot spot = {0};
    struct lines lines = lines_of(&engine->map->verified, engine->message);
    size_t allowances = 0, taxes = 0;
    if (engine->message->descriptor == &roundhouse__erp__v1__invoice__descriptor) {
        const Roundhouse__Erp__V1__Invoice *invoice = (const void *)engine->message;
        allowances = invoice->n_allowances;
        taxes = invoice->n_taxes;
    }
    if (!*engine->header->id && needs_number(engine->message->descriptor))
        origin_find(engine, FINDING_MAP_MISSING, &spot);
    line_count_verify(engine, &lines);
    hash_verify(engine, &lines);
    engine->place = whole;
    if (lines.fields->lines)
        twice_verify(engine, &lines);
    totals_verify(engine, &lines, allowances, taxes);
}
