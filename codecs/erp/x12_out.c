/* The transaction sets, segment by segment as the standard has them. */
#include "codecs/erp/x12_parts.h"

#include "codecs/erp/decimal.h"

#include <stdlib.h>
#include <string.h>

static const char *function_of(struct edi_out *out) {
    const struct edi_list list = {"x12/common", "function", 2};
    if (!*out->header->function && !out->same)
        return "00";
    return edi_code(out, list, out->header->function, "00");
}

/* The sender's code, if it was one of this standard. */
static const char *type_of(const struct edi_out *out, const char *usual) {
    return out->same ? out->header->type_code : usual;
}

static const char *issued(struct edi_out *out) {
    return x12_date(out, out->header->issued);
}

static void currency(struct edi_out *out, const char *whose) {
    SEGMENT(&out->draft, "CUR", FIXED(1, 1, whose), VALUE(2, 1, out->currency));
}

static void references(struct edi_out *out, size_t but) {
    x12_references(out, out->header->references, out->header->n_references, but);
}

static const char *count_text(struct edi_out *out, size_t count) {
    return edi_format(out, "%zu", count);
}

/* CTT; where a set of X12 did not count its lines, nothing. */
static bool count_write(struct edi_out *out, size_t lines, bool counted) {
    return (counted || !out->same) && SEGMENT(&out->draft, "CTT", VALUE(1, 1, count_text(out, lines)));
}

/* ---- orders ---- */

static void order_head(struct edi_out *out, bool change) {
    const Roundhouse__Erp__V1__Header *header = out->header;
    if (change) {
        const char *function = "04";
        char code[CODE_BYTES];
        if (code_for("x12/860", "change_function", header->function, code))
            function = code;
        SEGMENT(&out->draft, "BCH", FIXED(1, 1, function), FIXED(2, 1, type_of(out, "SA")),
                VALUE(3, 1, header->id), VALUE(6, 1, issued(out)));
    } else {
        SEGMENT(&out->draft, "BEG", FIXED(1, 1, function_of(out)), FIXED(2, 1, type_of(out, "SA")),
                VALUE(3, 1, header->id), VALUE(5, 1, issued(out)));
    }
}

/* NTE has a role, and is of old releases; MSG has none. */
static void order_notes(struct edi_out *out, bool old) {
    for (size_t i = 0; i < out->header->n_notes; i++) {
        Roundhouse__Erp__V1__Text *note = out->header->notes[i];
        bool has_role = out->same && *note->role;
        if (has_role == old && old)
            SEGMENT(&out->draft, "NTE", FIXED(1, 1, note->role), VALUE(2, 1, note->value));
        else if (has_role == old)
            x12_messages(out, &note, 1);
    }
}

static void order_line_head(struct edi_out *out, const Roundhouse__Erp__V1__OrderLine *line, bool change) {
    const char *quantity = edi_quantity(out, line->quantity), *unit = edi_unit(out, line->quantity);
    const char *price = line->price ? edi_amount(out, line->price->amount) : "";
    uint32_t at = change ? 3 : 2;
    draft_begin(&out->draft, change ? "POC" : "PO1");
    draft_put(&out->draft, 1, 1, line->id);
    if (change)
        draft_put(&out->draft, 2, 1,
                  edi_code(out, (struct edi_list){"x12/860", "change", 2},
                           *line->action ? line->action : "CHANGED", "CA"));
    draft_put(&out->draft, at, 1, quantity);
    draft_put(&out->draft, change ? 5 : 3, 1, unit);
    draft_put(&out->draft, change ? 6 : 4, 1, price);
    draft_put(&out->draft, change ? 7 : 5, 1, x12_price_type(out, line->price));
    x12_item_ids(out, line->item, change ? 8 : 6, 10);
    draft_end(&out->draft);
}

static void order_line(struct edi_out *out, const Roundhouse__Erp__V1__OrderLine *line, bool change) {
    order_line_head(out, line, change);
    x12_descriptions(out, line->item);
    x12_references(out, line->references, line->n_references, SIZE_MAX);
    x12_allowances(out, line->allowances, line->n_allowances);
    x12_schedules(out, line->schedules, line->n_schedules);
    x12_taxes(out, line->taxes, line->n_taxes);
    if (!change)
        x12_messages(out, line->notes, line->n_notes);
}

static void order_write(struct edi_out *out, const Roundhouse__Erp__V1__Order *order, bool change) {
    order_head(out, change);
    if (!change)
        order_notes(out, true);
    currency(out, "BY");
    references(out, SIZE_MAX);
    SEGMENT(&out->draft, "FOB", FIXED(1, 1, "DF"), FIXED(4, 1, "01"), VALUE(5, 1, order->incoterms));
    const char *terms[1] = {0};
    (void)edi_pieces(out, order->payment_terms, out->same ? SIZE_MAX : 80, 1, terms);
    SEGMENT(&out->draft, "ITD", VALUE(12, 1, terms[0]));
    x12_period(out, order->delivery);
    if (!change)
        order_notes(out, false);
    x12_party(out, "BY", order->buyer);
    x12_party(out, "SE", order->seller);
    x12_party(out, "ST", order->ship_to);
    x12_party(out, "BT", order->invoice_to);
    for (size_t i = 0; i < order->n_lines; i++)
        order_line(out, order->lines[i], change);
    const char *payable = order->totals ? edi_amount(out, order->totals->payable) : "";
    bool counted = (order->totals && order->totals->line_count > 0) || *payable;
    (void)count_write(out, order->n_lines, counted);
    SEGMENT(&out->draft, "AMT", FIXED(1, 1, "TT"), VALUE(2, 1, payable));
}

/* ---- responses ---- */

static void line_status(struct edi_out *out, const Roundhouse__Erp__V1__OrderResponseLine *response,
                        const Roundhouse__Erp__V1__OrderLine *line) {
    const char *promised = x12_date(out, response->promised);
    const Roundhouse__Erp__V1__Item *substitute = response->substitute;
    const char *status =
        edi_code(out, (struct edi_list){"x12/855", "line_response", 2}, response->status, "IC");
    if (!*status && !*promised && !substitute)
        return;
    draft_begin(&out->draft, "ACK");
    draft_put(&out->draft, 1, 1, status);
    if (!out->same) {
        draft_put(&out->draft, 2, 1, edi_quantity(out, line->quantity));
        draft_put(&out->draft, 3, 1, edi_unit(out, line->quantity));
    }
    draft_put(&out->draft, 4, 1, *promised ? "068" : "");
    draft_put(&out->draft, 5, 1, promised);
    x12_item_ids(out, substitute, 7, 10);
    draft_end(&out->draft);
}

static void response_line(struct edi_out *out, const Roundhouse__Erp__V1__OrderResponseLine *response) {
    Roundhouse__Erp__V1__OrderLine nothing;
    roundhouse__erp__v1__order_line__init(&nothing);
    const Roundhouse__Erp__V1__OrderLine *line = response->line ? response->line : &nothing;
    order_line_head(out, line, false);
    x12_descriptions(out, line->item);
    x12_references(out, line->references, line->n_references, SIZE_MAX);
    x12_allowances(out, line->allowances, line->n_allowances);
    x12_schedules(out, line->schedules, line->n_schedules);
    x12_taxes(out, line->taxes, line->n_taxes);
    line_status(out, response, line);
}

static void response_write(struct edi_out *out, const Roundhouse__Erp__V1__OrderResponse *response) {
    const Roundhouse__Erp__V1__Header *header = out->header;
    const char *order = response->order ? response->order->id : "";
    SEGMENT(&out->draft, "BAK", FIXED(1, 1, function_of(out)),
            FIXED(2, 1, edi_code(out, (struct edi_list){"x12/855", "response", 2}, response->status, "AC")),
            VALUE(3, 1, order), VALUE(4, 1, response->order ? x12_date(out, response->order->date) : ""),
            VALUE(8, 1, strcmp(order, header->id) == 0 ? "" : header->id), VALUE(9, 1, issued(out)));
    currency(out, "SE");
    references(out, SIZE_MAX);
    x12_party(out, "BY", response->buyer);
    x12_party(out, "SE", response->seller);
    for (size_t i = 0; i < response->n_lines; i++)
        response_line(out, response->lines[i]);
    (void)count_write(out, response->n_lines, response->totals && response->totals->line_count > 0);
}

/* ---- ship notices ---- */

/* The levels that are open. */
struct levels {
    const Roundhouse__Erp__V1__DespatchAdvice *advice;
    size_t number; /* of the last HL */
    size_t shipment, order, tare, unit;
    const char *order_id; /* of the open order */
    size_t open;          /* the unit that lines go into; SIZE_MAX: none */
    size_t open_tare;
};

static size_t level(struct edi_out *out, struct levels *levels, size_t parent, const char *code) {
    levels->number++;
    SEGMENT(&out->draft, "HL", VALUE(1, 1, count_text(out, levels->number)),
            VALUE(2, 1, parent > 0 ? count_text(out, parent) : ""), VALUE(3, 1, code));
    return levels->number;
}

static const char *order_of(const Roundhouse__Erp__V1__DespatchLine *line) {
    return line->order_line ? line->order_line->id : "";
}

static void order_open(struct edi_out *out, struct levels *levels, const char *order) {
    levels->order = level(out, levels, levels->shipment, "O");
    levels->order_id = order;
    levels->tare = levels->unit = 0;
    levels->open = levels->open_tare = SIZE_MAX;
    SEGMENT(&out->draft, "PRF", VALUE(1, 1, order));
}

static bool holds_units(const Roundhouse__Erp__V1__DespatchAdvice *advice, size_t unit) {
    const Roundhouse__Erp__V1__Identifier *id = advice->units[unit]->id;
    for (size_t i = 0; id && *id->value && i < advice->n_units; i++)
        if (strcmp(advice->units[i]->parent, id->value) == 0)
            return true;
    return false;
}

/* The order of the first line that is in the unit, or in one that it holds: all that comes before the next
 * unit that is in none. */
static const char *order_in(const struct levels *levels, const struct edi_plan *plan, size_t step) {
    for (size_t i = step + 1; i < plan->count; i++) {
        const struct edi_step *next = &plan->steps[i];
        if (!next->unit)
            return order_of(levels->advice->lines[next->index]);
        if (!*levels->advice->units[next->index]->parent)
            break;
    }
    return levels->order_id ? levels->order_id : "";
}

static void unit_write(struct edi_out *out, const Roundhouse__Erp__V1__HandlingUnit *unit, bool tare) {
    const char *weight = edi_quantity(out, unit->gross_weight);
    bool sscc = tare || edi_is(unit->id, "SSCC");
    if (!tare)
        SEGMENT(&out->draft, "PO4", VALUE(6, 1, weight), FIXED(7, 1, edi_unit(out, unit->gross_weight)));
    SEGMENT(&out->draft, "MAN", FIXED(1, 1, sscc ? "GM" : "CP"),
            VALUE(2, 1, unit->id ? unit->id->value : ""));
}

/* A pallet is a tare, a carton a pack, on the pallet that is open or on none. */
static void unit_open(struct edi_out *out, struct levels *levels, const struct edi_plan *plan, size_t step) {
    const Roundhouse__Erp__V1__DespatchAdvice *advice = levels->advice;
    size_t index = plan->steps[step].index;
    const Roundhouse__Erp__V1__HandlingUnit *unit = advice->units[index];
    const char *order = order_in(levels, plan, step);
    bool tare = holds_units(advice, index);
    bool other_tare = !tare && levels->open_tare != edi_unit_named(advice, unit->parent);
    if (!levels->order_id || strcmp(levels->order_id, order) != 0 || other_tare)
        order_open(out, levels, order);
    if (tare) {
        levels->tare = level(out, levels, levels->order, "T");
        levels->unit = levels->tare;
        levels->open_tare = index;
    } else {
        levels->unit = level(out, levels, levels->tare > 0 ? levels->tare : levels->order, "P");
    }
    levels->open = index;
    unit_write(out, unit, tare);
}

static void lots(struct edi_out *out, const Roundhouse__Erp__V1__DespatchLine *line) {
    const Roundhouse__Erp__V1__Lot *lot = line->n_lots > 0 ? line->lots[0] : NULL;
    if (!lot)
        return;
    SEGMENT(&out->draft, "REF", FIXED(1, 1, "LT"), VALUE(2, 1, lot->batch));
    for (size_t i = 0; i < lot->n_serials; i++)
        SEGMENT(&out->draft, "REF", FIXED(1, 1, "SE"), VALUE(2, 1, lot->serials[i]));
    x12_moment(out, "036", lot->best_before);
    x12_moment(out, "094", lot->produced);
}

static void despatch_line(struct edi_out *out, struct levels *levels, const struct edi_step *step) {
    const Roundhouse__Erp__V1__DespatchLine *line = levels->advice->lines[step->index];
    const char *order = order_of(line);
    bool inside = step->in != SIZE_MAX && step->in == levels->open;
    if (!inside && (!levels->order_id || strcmp(levels->order_id, order) != 0 || levels->open != SIZE_MAX))
        order_open(out, levels, order);
    (void)level(out, levels, inside ? levels->unit : levels->order, "I");
    draft_begin(&out->draft, "LIN");
    draft_put(&out->draft, 1, 1, line->id);
    x12_item_ids(out, line->item, 2, 15);
    draft_end(&out->draft);
    SEGMENT(&out->draft, "SN1", VALUE(2, 1, edi_quantity(out, line->shipped)),
            FIXED(3, 1, edi_unit(out, line->shipped)));
    if (strcmp(order, levels->order_id) != 0)
        SEGMENT(&out->draft, "PRF", VALUE(1, 1, order));
    x12_descriptions(out, line->item);
    lots(out, line);
}

/* X12 91 for a code of UN/ECE Recommendation 19. */
static const char *mode_of(const struct edi_out *out, const char *mode) {
    static const char modes[][4] = {"1S", "2R", "3M", "4A"};
    for (size_t i = 0; !out->same && i < 4; i++)
        if (*mode == modes[i][0])
            return modes[i] + 1;
    return mode;
}

static void shipment(struct edi_out *out, struct levels *levels) {
    const Roundhouse__Erp__V1__DespatchAdvice *advice = levels->advice;
    const Roundhouse__Erp__V1__Party *carrier = advice->carrier;
    const char *scac = carrier && carrier->n_ids > 0 ? carrier->ids[0]->value : "";
    const char *tracking = advice->tracking;
    levels->shipment = level(out, levels, 0, "S");
    SEGMENT(&out->draft, "TD5", FIXED(2, 1, *scac ? "2" : ""), VALUE(3, 1, scac),
            VALUE(4, 1, mode_of(out, advice->transport_mode)), VALUE(5, 1, carrier ? carrier->name : ""));
    for (size_t i = 0; i < out->header->n_references; i++)
        if (strcmp(out->header->references[i]->type, "TRACKING") == 0 &&
            strcmp(out->header->references[i]->id, tracking) == 0)
            tracking = "";
    references(out, SIZE_MAX);
    SEGMENT(&out->draft, "REF", FIXED(1, 1, "CN"), VALUE(2, 1, tracking));
    SEGMENT(&out->draft, "DTM", FIXED(1, 1, "011"), VALUE(2, 1, x12_date(out, advice->shipped)),
            FIXED(3, 1, x12_time(out, advice->shipped)), FIXED(4, 1, x12_zone(advice->shipped)));
    if (advice->delivery)
        x12_moment(out, "017", advice->delivery->end ? advice->delivery->end : advice->delivery->start);
    x12_party(out, "BY", advice->buyer);
    x12_party(out, "SE", advice->seller);
    x12_party(out, "SF", advice->ship_from);
    x12_party(out, "ST", advice->ship_to);
}

static void despatch_write(struct edi_out *out, const Roundhouse__Erp__V1__DespatchAdvice *advice) {
    struct levels levels = {.advice = advice, .open = SIZE_MAX, .open_tare = SIZE_MAX};
    SEGMENT(&out->draft, "BSN", FIXED(1, 1, function_of(out)), VALUE(2, 1, out->header->id),
            VALUE(3, 1, issued(out)), VALUE(4, 1, x12_time(out, out->header->issued)), FIXED(5, 1, "0001"));
    shipment(out, &levels);
    struct edi_plan plan = edi_plan(out, advice);
    for (size_t i = 0; i < plan.count; i++) {
        if (plan.steps[i].unit)
            unit_open(out, &levels, &plan, i);
        else
            despatch_line(out, &levels, &plan.steps[i]);
    }
    (void)count_write(out, levels.number, true);
}

/* ---- invoices ---- */

static size_t order_reference(const struct edi_out *out) {
    const Roundhouse__Erp__V1__Header *header = out->header;
    size_t most = out->same && header->n_references > 1 ? 1 : header->n_references;
    for (size_t i = 0; i < most; i++)
        if (strcmp(header->references[i]->type, "ORDER") == 0)
            return i;
    return SIZE_MAX;
}

static void invoice_line(struct edi_out *out, const Roundhouse__Erp__V1__InvoiceLine *line) {
    draft_begin(&out->draft, "IT1");
    draft_put(&out->draft, 1, 1, line->id);
    draft_put(&out->draft, 2, 1, edi_quantity(out, line->quantity));
    draft_put(&out->draft, 3, 1, edi_unit(out, line->quantity));
    draft_put(&out->draft, 4, 1, line->price ? edi_amount(out, line->price->amount) : "");
    draft_put(&out->draft, 5, 1, x12_price_type(out, line->price));
    x12_item_ids(out, line->item, 6, 10);
    draft_end(&out->draft);
    x12_taxes(out, line->taxes, line->n_taxes);
    x12_descriptions(out, line->item);
    x12_references(out, line->references, line->n_references, SIZE_MAX);
    x12_allowances(out, line->allowances, line->n_allowances);
}

static void invoice_total(struct edi_out *out, const Roundhouse__Erp__V1__Invoice *invoice) {
    const char *payable = invoice->totals ? x12_implied(out, invoice->totals->payable) : "";
    if (*payable || invoice->n_taxes > 0 || invoice->n_allowances > 0) {
        draft_begin(&out->draft, "TDS");
        draft_put(&out->draft, 1, 1, payable);
        draft_end(&out->draft);
    }
    x12_taxes(out, invoice->taxes, invoice->n_taxes);
    x12_allowances(out, invoice->allowances, invoice->n_allowances);
    (void)count_write(out, invoice->n_lines, invoice->totals && invoice->totals->line_count > 0);
}

static void invoice_write(struct edi_out *out, const Roundhouse__Erp__V1__Invoice *invoice) {
    size_t order = order_reference(out);
    const Roundhouse__Erp__V1__Reference *of = order != SIZE_MAX ? out->header->references[order] : NULL;
    SEGMENT(&out->draft, "BIG", VALUE(1, 1, issued(out)), VALUE(2, 1, out->header->id),
            VALUE(3, 1, of ? x12_date(out, of->date) : ""), VALUE(4, 1, of ? of->id : ""),
            VALUE(7, 1, type_of(out, invoice->credit ? "CR" : "")));
    currency(out, "SE");
    references(out, order);
    x12_party(out, "BY", invoice->buyer);
    x12_party(out, "SE", invoice->seller);
    x12_party(out, "RE", invoice->payee);
    x12_party(out, "ST", invoice->ship_to);
    SEGMENT(&out->draft, "ITD", VALUE(6, 1, x12_date(out, invoice->due)));
    for (size_t i = 0; i < invoice->n_lines; i++)
        invoice_line(out, invoice->lines[i]);
    invoice_total(out, invoice);
}

/* ---- envelopes ---- */

/* Sets and their groups. */
static const char *const sets[] = {"850", "860", "855", "856", "810"};
static const char *const groups[] = {"PO", "PC", "PR", "SH", "IN"};

static void body(struct edi_out *out, const ProtobufCMessage *message, enum edi_document document) {
    if (document == EDI_ORDER_RESPONSE)
        response_write(out, (const void *)message);
    else if (document == EDI_DESPATCH_ADVICE)
        despatch_write(out, (const void *)message);
    else if (document == EDI_INVOICE)
        invoice_write(out, (const void *)message);
    else
        order_write(out, (const void *)message, document == EDI_ORDER_CHANGE);
}

/* Digits, of this many at most; "1" where there are none. */
static const char *control_number(const char *wanted, const char *read, size_t most) {
    const char *text = edi_said(wanted) ? wanted : read;
    bool digits = edi_said(text) && strlen(text) <= most && strspn(text, "0123456789") == strlen(text);
    return digits ? text : "1";
}

static const char *set_number(struct edi_out *out) {
    const char *text =
        edi_said(out->options->message_ref) ? out->options->message_ref : out->origin->message_ref;
    if (edi_is_code(text, 9) && strlen(text) >= 4)
        return text;
    return edi_format(out, "%04ld", strtol(control_number(text, "", 4), NULL, 10));
}

struct envelope {
    struct edi_envelope edi;
    const char *version, *interchange, *group;
    bool repetition; /* from 00402 on */
};

static void isa(struct edi_out *out, const struct envelope *envelope) {
    struct draft *draft = &out->draft;
    draft_begin(draft, "ISA");
    draft_padded(draft, 1, "00", 2);
    draft_padded(draft, 2, "", 10);
    draft_padded(draft, 3, "00", 2);
    draft_padded(draft, 4, "", 10);
    draft_padded(draft, 5, envelope->edi.sender_qualifier, 2);
    draft_padded(draft, 6, envelope->edi.sender, 15);
    draft_padded(draft, 7, envelope->edi.receiver_qualifier, 2);
    draft_padded(draft, 8, envelope->edi.receiver, 15);
    draft_put(draft, 9, 1, edi_format(out, "%06d", envelope->edi.date % 1000000));
    draft_put(draft, 10, 1, edi_format(out, "%04d", envelope->edi.time / 100));
    draft_mark(draft, 11, DRAFT_REPETITION);
    draft_put(draft, 12, 1, edi_format(out, "%.5s", envelope->version));
    draft_put(draft, 13, 1, edi_format(out, "%09ld", strtol(envelope->interchange, NULL, 10)));
    draft_put(draft, 14, 1, "0");
    draft_put(draft, 15, 1, envelope->edi.test ? "T" : "P");
    draft_mark(draft, 16, DRAFT_COMPONENT);
    draft_end(draft);
}

static void gs(struct edi_out *out, const struct envelope *envelope, const char *group) {
    SEGMENT(&out->draft, "GS", VALUE(1, 1, group), VALUE(2, 1, envelope->edi.sender),
            VALUE(3, 1, envelope->edi.receiver), VALUE(4, 1, edi_format(out, "%08d", envelope->edi.date)),
            VALUE(5, 1, edi_format(out, "%04d", envelope->edi.time / 100)), VALUE(6, 1, envelope->group),
            VALUE(7, 1, "X"),
            VALUE(8, 1, edi_format(out, "%s%s", envelope->version, envelope->edi.association)));
}

static struct envelope envelope_of(struct edi_out *out, const struct edi_kind *kind) {
    struct envelope envelope = {.version = "004010"};
    edi_envelope(out, kind->from, kind->to, &envelope.edi);
    const char *version = envelope.edi.version;
    if (strlen(version) == 6 && strspn(version, "0123456789") == 6 && strcmp(version, "002000") >= 0 &&
        strcmp(version, "009000") < 0)
        envelope.version = version;
    envelope.repetition = strncmp(envelope.version, "00402", 5) >= 0;
    envelope.interchange = control_number(out->options->interchange_ref, out->origin->interchange_ref, 9);
    envelope.group = control_number(out->options->group_ref, out->same ? out->origin->group_ref : "", 9);
    return envelope;
}

static enum draft_charset charset_of(const char *name) {
    return edi_said(name) && strcmp(name, "UTF-8") == 0        ? DRAFT_UTF_8
           : edi_said(name) && strcmp(name, "ISO-8859-1") == 0 ? DRAFT_LATIN_1
                                                               : DRAFT_ASCII;
}

bool erp_x12_write(const ProtobufCMessage *message, const struct erp_edi_options *options, struct bytes *to) {
    struct edi_kind kind;
    struct edi_out out;
    if (!edi_kind_of(message, "X12", sets[EDI_ORDER_CHANGE], &kind))
        return false;
    edi_out_init(&out, "X12", kind.header, options);
    struct envelope envelope = envelope_of(&out, &kind);
    const char *set = set_number(&out);
    isa(&out, &envelope);
    gs(&out, &envelope, groups[kind.document]);
    uint32_t before = out.draft.segments;
    SEGMENT(&out.draft, "ST", VALUE(1, 1, sets[kind.document]), VALUE(2, 1, set));
    body(&out, message, kind.document);
    SEGMENT(&out.draft, "SE", VALUE(1, 1, count_text(&out, out.draft.segments - before + 1)),
            VALUE(2, 1, set));
    SEGMENT(&out.draft, "GE", VALUE(1, 1, "1"), VALUE(2, 1, envelope.group));
    SEGMENT(&out.draft, "IEA", VALUE(1, 1, "1"),
            VALUE(2, 1, edi_format(&out, "%09ld", strtol(envelope.interchange, NULL, 10))));
    out.draft.text.failed |= out.arena.failed;
    draft_x12(&out.draft, charset_of(out.options->charset), envelope.repetition, out.options->lines, to);
    edi_out_free(&out);
    return true;
}
