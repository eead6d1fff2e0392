#include "codecs/erp/edi_parts.h"

#include "codecs/erp/decimal.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool edi_said(const char *text) {
    return text && *text;
}

static bool format_is(const struct edi_out *out, const char *format) {
    return strcmp(out->origin->format, format) == 0;
}

void edi_out_init(struct edi_out *out, const char *format, const Roundhouse__Erp__V1__Header *header,
                  const struct erp_edi_options *options) {
    static const struct erp_edi_options no_options;
    *out = (struct edi_out){.format = format,
                            .header = header ? header : &out->no_header,
                            .origin = header && header->origin ? header->origin : &out->no_origin,
                            .options = options ? options : &no_options};
    roundhouse__erp__v1__header__init(&out->no_header);
    roundhouse__erp__v1__origin__init(&out->no_origin);
    out->currency = out->header->currency;
    out->same = format_is(out, format);
    out->codes =
        out->same || !*out->origin->format || (format_is(out, "UBL") && strcmp(format, "EDIFACT") == 0);
}

void edi_out_free(struct edi_out *out) {
    draft_free(&out->draft);
    arena_free(&out->arena);
}

/* ---- texts ---- */

const char *edi_text(struct edi_out *out, const void *bytes, size_t n) {
    const char *text = arena_text(&out->arena, bytes, n);
    return text ? text : "";
}

const char *edi_format(struct edi_out *out, const char *format, ...) {
    char text[128];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return edi_text(out, text, n < 0 ? 0 : strlen(text));
}

const char *edi_decimal(struct edi_out *out, const Roundhouse__Erp__V1__Decimal *decimal) {
    char text[DECIMAL_TEXT_BYTES];
    if (!decimal)
        return "";
    if (*decimal->text || decimal->scale > DECIMAL_DIGITS_MAX)
        return decimal->text;
    return edi_text(out, text, decimal_write((struct decimal){decimal->unscaled, decimal->scale}, text));
}

const char *edi_amount(struct edi_out *out, const Roundhouse__Erp__V1__Amount *amount) {
    return amount ? edi_decimal(out, amount->value) : "";
}

const char *edi_quantity(struct edi_out *out, const Roundhouse__Erp__V1__Quantity *quantity) {
    return quantity ? edi_decimal(out, quantity->value) : "";
}

const char *edi_unit(struct edi_out *out, const Roundhouse__Erp__V1__Quantity *quantity) {
    char code[UNIT_NAME_BYTES];
    if (!quantity)
        return "";
    if (*quantity->source_unit && (out->same || !*quantity->unit))
        return quantity->source_unit;
    unit_name(strcmp(out->format, "X12") == 0 ? UNIT_X12 : UNIT_REC20, quantity->unit, code);
    return edi_text(out, code, strlen(code));
}

/* Bytes of the first `limit` characters. */
static size_t characters(const char *text, size_t limit) {
    size_t n = 0;
    while (text[n] && limit > 0) {
        do
            n++;
        while (((uint8_t)text[n] & 0xc0) == 0x80);
        limit--;
    }
    return n;
}

size_t edi_pieces(struct edi_out *out, const char *text, size_t limit, size_t most, const char **pieces) {
    size_t count = 0;
    while (*text && count < most) {
        size_t n = characters(text, limit), cut = n;
        while (text[n] && cut > 0 && text[cut] != ' ')
            cut--;
        n = cut > 0 ? cut : n;
        pieces[count++] = edi_text(out, text, n);
        text += n;
        text += *text == ' ';
    }
    return count;
}

/* ---- codes ---- */

bool edi_is_code(const char *text, size_t most) {
    size_t n = text ? strlen(text) : 0;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)text[i]))
            return false;
    return n > 0 && n <= most;
}

const char *edi_code(struct edi_out *out, struct edi_list list, const char *word, const char *fallback) {
    char code[CODE_BYTES];
    if (!edi_said(word))
        return "";
    if (list.list && code_for(list.map, list.list, word, code))
        return edi_text(out, code, strlen(code));
    if (out->same || (out->codes && edi_is_code(word, list.most)))
        return word;
    return fallback;
}

bool edi_is(const Roundhouse__Erp__V1__Identifier *id, const char *scheme) {
    return id && strcmp(id->scheme, scheme) == 0;
}

/* ---- what is written ---- */

static bool is_change(const Roundhouse__Erp__V1__Header *header, const char *format, const char *change) {
    bool same = header && header->origin && strcmp(header->origin->format, format) == 0;
    if (same && *header->origin->message_type)
        return strcmp(header->origin->message_type, change) == 0;
    return header && (strcmp(header->function, "CHANGE") == 0 || strcmp(header->function, "CANCEL") == 0);
}

bool edi_kind_of(const ProtobufCMessage *message, const char *format, const char *change,
                 struct edi_kind *kind) {
    const Roundhouse__Erp__V1__Order *order = (const void *)message;
    const Roundhouse__Erp__V1__OrderResponse *response = (const void *)message;
    const Roundhouse__Erp__V1__DespatchAdvice *advice = (const void *)message;
    const Roundhouse__Erp__V1__Invoice *invoice = (const void *)message;
    if (message->descriptor == &roundhouse__erp__v1__order__descriptor)
        *kind = (struct edi_kind){is_change(order->header, format, change) ? EDI_ORDER_CHANGE : EDI_ORDER,
                                  order->header, order->buyer, order->seller};
    else if (message->descriptor == &roundhouse__erp__v1__order_response__descriptor)
        *kind = (struct edi_kind){EDI_ORDER_RESPONSE, response->header, response->seller, response->buyer};
    else if (message->descriptor == &roundhouse__erp__v1__despatch_advice__descriptor)
        *kind = (struct edi_kind){EDI_DESPATCH_ADVICE, advice->header,
                                  advice->seller ? advice->seller : advice->ship_from,
                                  advice->buyer ? advice->buyer : advice->ship_to};
    else if (message->descriptor == &roundhouse__erp__v1__invoice__descriptor)
        *kind = (struct edi_kind){EDI_INVOICE, invoice->header, invoice->seller, invoice->buyer};
    else
        return false;
    return true;
}

/* ---- envelopes ---- */

/* Who gives out the numbers by which parties are addressed: in EDIFACT 0007, in X12 I05, ours. */
static const char *const qualifiers[][4] = {{"14", "07", "GLN", "0088"}, {"1", "01", "DUNS", "0060"}};

static const char *qualifier_of(const struct edi_out *out, const char *scheme) {
    bool x12 = strcmp(out->format, "X12") == 0;
    if (out->same)
        return scheme;
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < 4; k++)
            if (strcmp(scheme, qualifiers[i][k]) == 0)
                return qualifiers[i][x12 ? 1 : 0];
    return x12 ? "ZZ" : "";
}

/* Of several the number that all the world knows. */
static const Roundhouse__Erp__V1__Identifier *number_of(const Roundhouse__Erp__V1__Party *party) {
    for (size_t i = 0; party && i < party->n_ids; i++)
        if (edi_is(party->ids[i], "GLN"))
            return party->ids[i];
    return party && party->n_ids > 0 ? party->ids[0] : NULL;
}

/* Without the blanks of all kinds that some fill ISA up with, and as long as an envelope has room for. */
static const char *fitting(struct edi_out *out, const char *text, size_t most) {
    size_t n = strlen(text);
    for (;;) {
        if (n > 0 && text[n - 1] == ' ')
            n--;
        else if (n > 1 && memcmp(text + n - 2, "\xc2\xa0", 2) == 0)
            n -= 2;
        else
            break;
    }
    if (n > most)
        for (n = most; n > 0 && ((uint8_t)text[n] & 0xc0) == 0x80; n--)
            continue;
    return edi_text(out, text, n);
}

static void address(struct edi_out *out, const struct erp_edi_party *wanted,
                    const Roundhouse__Erp__V1__Identifier *read, const Roundhouse__Erp__V1__Party *own,
                    const char **id, const char **qualifier) {
    bool x12 = strcmp(out->format, "X12") == 0;
    const Roundhouse__Erp__V1__Identifier *known = read && *read->value ? read : number_of(own);
    const char *name = edi_said(wanted->id) ? wanted->id : known ? known->value : "";
    const char *kind = edi_said(wanted->qualifier) ? wanted->qualifier
                       : edi_said(wanted->id)      ? (x12 ? "ZZ" : "")
                                                   : qualifier_of(out, known ? known->scheme : "");
    name = fitting(out, name, x12 ? 15 : 35);
    *id = *name ? name : "UNKNOWN";
    *qualifier = fitting(out, kind, x12 ? 2 : 4);
}

static void prepared(const struct edi_out *out, struct edi_envelope *envelope) {
    const Roundhouse__Erp__V1__Moment *moment =
        out->origin->prepared ? out->origin->prepared : out->header->issued;
    envelope->date = 19700101;
    if (out->options->date != 0) {
        envelope->date = out->options->date;
        envelope->time = out->options->time;
    } else if (moment && moment->date > 0) {
        envelope->date = moment->date;
        envelope->time = moment->clock_case ? moment->time : 0;
    }
}

void edi_envelope(struct edi_out *out, const Roundhouse__Erp__V1__Party *from,
                  const Roundhouse__Erp__V1__Party *to, struct edi_envelope *envelope) {
    const struct erp_edi_options *options = out->options;
    *envelope = (struct edi_envelope){0};
    address(out, &options->sender, out->origin->sender, from, &envelope->sender, &envelope->sender_qualifier);
    address(out, &options->receiver, out->origin->receiver, to, &envelope->receiver,
            &envelope->receiver_qualifier);
    envelope->version = edi_said(options->version) ? options->version : out->same ? out->origin->version : "";
    const char *association = edi_said(options->association)             ? options->association
                              : out->same && !edi_said(options->version) ? out->origin->association
                                                                         : "";
    envelope->association = fitting(out, association, 6);
    envelope->test = options->use == ERP_EDI_AS_READ ? out->origin->test : options->use == ERP_EDI_TEST;
    prepared(out, envelope);
}

/* ---- a despatch advice ---- */

size_t edi_unit_named(const Roundhouse__Erp__V1__DespatchAdvice *advice, const char *id) {
    for (size_t i = 0; *id && i < advice->n_units; i++)
        if (advice->units[i]->id && strcmp(advice->units[i]->id->value, id) == 0)
            return i;
    return SIZE_MAX;
}

/* The unit that a line is in, by what the line says or by what the unit says. */
static size_t unit_of(const Roundhouse__Erp__V1__DespatchAdvice *advice,
                      const Roundhouse__Erp__V1__DespatchLine *line) {
    if (*line->handling_unit)
        return edi_unit_named(advice, line->handling_unit);
    for (size_t i = 0; *line->id && i < advice->n_units; i++)
        for (size_t k = 0; k < advice->units[i]->n_line_ids; k++)
            if (strcmp(advice->units[i]->line_ids[k], line->id) == 0)
                return i;
    return SIZE_MAX;
}

struct planning {
    const Roundhouse__Erp__V1__DespatchAdvice *advice;
    struct edi_plan plan;
    const size_t *in; /* unit of each line */
    bool *opened;     /* units */
    bool *written;    /* lines */
};

static void line_step(struct planning *planning, size_t line) {
    planning->written[line] = true;
    planning->plan.steps[planning->plan.count++] = (struct edi_step){.index = line, .in = planning->in[line]};
}

#define UNITS_DEEP 16u /* real ones are a carton on a pallet in a container */

/* With the units around it before it, which are not open yet, and all its lines behind it. */
static void unit_step(struct planning *planning, size_t unit, uint32_t depth) {
    if (planning->opened[unit])
        return;
    planning->opened[unit] = true;
    size_t parent = edi_unit_named(planning->advice, planning->advice->units[unit]->parent);
    if (parent != SIZE_MAX && depth < UNITS_DEEP)
        unit_step(planning, parent, depth + 1);
    planning->plan.steps[planning->plan.count++] = (struct edi_step){.unit = true, .index = unit};
    for (size_t i = 0; i < planning->advice->n_lines; i++)
        if (planning->in[i] == unit && !planning->written[i])
            line_step(planning, i);
}

struct edi_plan edi_plan(struct edi_out *out, const Roundhouse__Erp__V1__DespatchAdvice *advice) {
    size_t units = advice->n_units, lines = advice->n_lines, next = 0;
    struct planning planning = {.advice = advice};
    planning.plan.steps = arena_take(&out->arena, (units + lines + 1) * sizeof *planning.plan.steps);
    size_t *in = arena_take(&out->arena, (lines + 1) * sizeof *in);
    bool *flags = arena_take(&out->arena, units + lines + 1);
    if (!planning.plan.steps || !in || !flags) {
        out->draft.text.failed = true;
        return (struct edi_plan){0};
    }
    memset(flags, 0, units + lines + 1);
    planning.opened = flags;
    planning.written = flags + units;
    planning.in = in;
    for (size_t i = 0; i < lines; i++)
        in[i] = unit_of(advice, advice->lines[i]);
    for (size_t i = 0; i < lines; i++) {
        for (; in[i] != SIZE_MAX && next <= in[i]; next++)
            unit_step(&planning, next, 0);
        if (!planning.written[i])
            line_step(&planning, i);
    }
    for (; next < units; next++)
        unit_step(&planning, next, 0);
    return planning.plan;
}

/* ---- an item's name and descriptions ---- */

/* Whether the name is these descriptions, joined by blanks. */
static bool joined(const Roundhouse__Erp__V1__Item *item, size_t first, size_t count) {
    const char *name = item->name;
    const Roundhouse__Erp__V1__Text *one = item->descriptions[first];
    for (size_t i = first; i < first + count; i++) {
        const Roundhouse__Erp__V1__Text *text = item->descriptions[i];
        size_t n = strlen(text->value);
        if (i > first && *name++ != ' ')
            return false;
        if (n == 0 || strncmp(name, text->value, n) != 0 || strcmp(text->role, one->role) != 0 ||
            strcmp(text->language, one->language) != 0)
            return false;
        name += n;
    }
    return !*name;
}

struct edi_naming edi_naming(const Roundhouse__Erp__V1__Item *item, size_t together) {
    struct edi_naming naming = {.named = SIZE_MAX, .count = 1};
    for (size_t count = 1; *item->name && count <= together; count++)
        for (size_t end = item->n_descriptions; end >= count; end--)
            if (joined(item, end - count, count))
                return (struct edi_naming){.named = end - 1, .count = count};
    naming.alone = *item->name != 0;
    return naming;
}
