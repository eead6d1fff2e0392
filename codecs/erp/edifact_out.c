/* The messages, segment by segment as the directories have them. */
#include "codecs/erp/edifact_parts.h"

#include <stdlib.h>
#include <string.h>

/* ---- header and trailer of a message ---- */

/* BGM and DTM+137. */
static void beginning(struct edi_out *out, const char *type, const char *function, const char *response) {
    const Roundhouse__Erp__V1__Header *header = out->header;
    SEGMENT(&out->draft, "BGM", VALUE(1, 1, type), VALUE(2, 1, header->id), FIXED(3, 1, function),
            FIXED(4, 1, response));
    edifact_moment(out, "137", header->issued);
}

static void notes(struct edi_out *out, Roundhouse__Erp__V1__Text **texts, size_t count) {
    for (size_t i = 0; i < count; i++)
        edifact_text(out, texts[i]);
}

static void header_notes(struct edi_out *out) {
    notes(out, out->header->notes, out->header->n_notes);
}

static void header_references(struct edi_out *out) {
    edifact_references(out, out->header->references, out->header->n_references);
}

/* 1001: the sender's code, if it is one of this standard. */
static const char *type_of(const struct edi_out *out, const char *usual) {
    const char *type = out->header->type_code;
    bool code = *type && strlen(type) <= 3 && strspn(type, "0123456789") == strlen(type);
    return out->same || (out->codes && code) ? type : usual;
}

static const char *function_of(struct edi_out *out) {
    const struct edi_list list = {"edifact/common", "function", 3};
    if (!*out->header->function && !out->same)
        return "9";
    return edi_code(out, list, out->header->function, "9");
}

static void section_end(struct edi_out *out) {
    draft_begin(&out->draft, "UNS");
    draft_put(&out->draft, 1, 1, "S");
    draft_end(&out->draft);
}

static void party(struct edi_out *out, const char *qualifier, const Roundhouse__Erp__V1__Party *party) {
    edifact_party(out, qualifier, party, NULL, 0);
}

/* ---- orders ---- */

static void order_line(struct edi_out *out, const Roundhouse__Erp__V1__OrderLine *line) {
    edifact_item(out, line->id,
                 edi_code(out, (struct edi_list){"edifact/common", "action", 3}, line->action, ""),
                 line->item, NULL);
    edifact_quantity(out, "21", line->quantity);
    edifact_origin(out, line->item);
    edifact_amount(out, "203", line->net);
    notes(out, line->notes, line->n_notes);
    edifact_price(out, line->price);
    edifact_references(out, line->references, line->n_references);
    edifact_places(out, line->schedules, line->n_schedules);
    edifact_taxes(out, line->taxes, line->n_taxes);
    edifact_allowances(out, line->allowances, line->n_allowances);
    edifact_schedules(out, line->schedules, line->n_schedules);
}

static void payment_terms(struct edi_out *out, const char *terms) {
    const char *pieces[2] = {0};
    (void)edi_pieces(out, terms, 35, 2, pieces);
    SEGMENT(&out->draft, "PAT", FIXED(1, 1, "1"), VALUE(2, 4, pieces[0]), VALUE(2, 5, pieces[1]));
}

static void order_write(struct edi_out *out, const Roundhouse__Erp__V1__Order *order) {
    beginning(out, type_of(out, "220"), function_of(out), "");
    edifact_period(out, "2", order->delivery);
    header_notes(out);
    header_references(out);
    party(out, "BY", order->buyer);
    party(out, "SU", order->seller);
    party(out, "DP", order->ship_to);
    party(out, "IV", order->invoice_to);
    edifact_currency(out, "9");
    payment_terms(out, order->payment_terms);
    SEGMENT(&out->draft, "TOD", FIXED(1, 1, "6"), VALUE(3, 1, order->incoterms));
    for (size_t i = 0; i < order->n_lines; i++)
        order_line(out, order->lines[i]);
    section_end(out);
    edifact_totals(out, "86", order->totals);
    edifact_count(out, order->n_lines, order->totals && order->totals->line_count > 0);
}

/* ---- responses ---- */

/* 4343, where 1225 does not say it already. */
static const char *response_of(struct edi_out *out, const char *function, const char *status) {
    static const char *const codes[][2] = {
        {"ACCEPTED", "AP"}, {"CHANGED", "AI"}, {"REJECTED", "RE"}, {"RECEIVED", "AB"}};
    if (code_means("edifact/ordrsp", "response", function, status))
        return "";
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(status, codes[i][0]) == 0)
            return codes[i][1];
    return out->same ? status : "";
}

static void reason(struct edi_out *out, const char *text) {
    const char *pieces[5] = {0};
    (void)edi_pieces(out, text, out->later ? 512 : 70, 5, pieces);
    SEGMENT(&out->draft, "FTX", FIXED(1, 1, "AAI"), VALUE(4, 1, pieces[0]), VALUE(4, 2, pieces[1]),
            VALUE(4, 3, pieces[2]), VALUE(4, 4, pieces[3]), VALUE(4, 5, pieces[4]));
}

static void response_line(struct edi_out *out, const Roundhouse__Erp__V1__OrderResponseLine *response) {
    Roundhouse__Erp__V1__OrderLine nothing;
    roundhouse__erp__v1__order_line__init(&nothing);
    const Roundhouse__Erp__V1__OrderLine *line = response->line ? response->line : &nothing;
    edifact_item(
        out, line->id,
        edi_code(out, (struct edi_list){"edifact/ordrsp", "line_response", 3}, response->status, "3"),
        line->item, response->substitute);
    edifact_quantity(out, "21", line->quantity);
    edifact_origin(out, line->item);
    edifact_moment(out, "69", response->promised);
    edifact_amount(out, "203", line->net);
    reason(out, response->reason);
    edifact_price(out, line->price);
    edifact_references(out, line->references, line->n_references);
    edifact_places(out, line->schedules, line->n_schedules);
    edifact_taxes(out, line->taxes, line->n_taxes);
    edifact_allowances(out, line->allowances, line->n_allowances);
    edifact_schedules(out, line->schedules, line->n_schedules);
}

static void response_write(struct edi_out *out, const Roundhouse__Erp__V1__OrderResponse *response) {
    const char *function = function_of(out);
    beginning(out, type_of(out, "231"), function, response_of(out, function, response->status));
    header_notes(out);
    if (response->order && SEGMENT(&out->draft, "RFF", FIXED(1, 1, "ON"), VALUE(1, 2, response->order->id)))
        edifact_moment(out, "171", response->order->date);
    header_references(out);
    party(out, "BY", response->buyer);
    party(out, "SU", response->seller);
    edifact_currency(out, "9");
    for (size_t i = 0; i < response->n_lines; i++)
        response_line(out, response->lines[i]);
    section_end(out);
    edifact_totals(out, "86", response->totals);
    edifact_count(out, response->n_lines, response->totals && response->totals->line_count > 0);
}

/* ---- despatch advices ---- */

/* What TDT says of a carrier: a number of which nobody knows more than who gave it out, and a name. */
static bool carrier_of_transport(const struct edi_out *out, const Roundhouse__Erp__V1__Party *carrier) {
    if (!carrier || carrier->address || carrier->n_tax_ids > 0 || carrier->n_contacts > 0 ||
        carrier->n_ids > 1)
        return false;
    return carrier->n_ids == 0 ? out->same
                               : edi_is(carrier->ids[0], "SCAC") || (out->same && !*carrier->ids[0]->scheme);
}

/* UN/ECE Recommendation 19 for a code of X12 91. */
static const char *mode_of(const struct edi_out *out, const char *mode) {
    static const char *const modes[][2] = {{"S", "10"}, {"R", "20"}, {"M", "30"}, {"A", "40"}};
    for (size_t i = 0; !out->codes && i < 4; i++)
        if (strcmp(mode, modes[i][0]) == 0)
            return modes[i][1];
    return mode;
}

static void transport(struct edi_out *out, const Roundhouse__Erp__V1__DespatchAdvice *advice,
                      bool with_carrier) {
    const Roundhouse__Erp__V1__Party *carrier = with_carrier ? advice->carrier : NULL;
    const Roundhouse__Erp__V1__Identifier *id = carrier && carrier->n_ids > 0 ? carrier->ids[0] : NULL;
    const char *agency = id ? id->agency : "";
    if (id && edi_is(id, "SCAC") && !*agency)
        agency = "182"; /* Standard Carrier Alpha Code */
    SEGMENT(&out->draft, "TDT", FIXED(1, 1, "20"), VALUE(2, 1, advice->tracking),
            VALUE(3, 1, mode_of(out, advice->transport_mode)), VALUE(5, 1, id ? id->value : ""),
            FIXED(5, 3, agency), VALUE(5, 4, carrier ? carrier->name : ""));
}

static void serials(struct edi_out *out, const Roundhouse__Erp__V1__Lot *lot) {
    for (size_t i = 0; i < lot->n_serials; i += 5) {
        draft_begin(&out->draft, "GIN");
        draft_put(&out->draft, 1, 1, "BN");
        for (size_t k = 0; k < 5 && i + k < lot->n_serials; k++)
            draft_put(&out->draft, (uint32_t)(2 + k), 1, lot->serials[i + k]);
        draft_end(&out->draft);
    }
}

static void lot_numbers(struct edi_out *out, const Roundhouse__Erp__V1__Lot *lot) {
    SEGMENT(&out->draft, "GIN", FIXED(1, 1, "BX"), VALUE(2, 1, lot->batch));
    serials(out, lot);
}

static void lot_dates(struct edi_out *out, const Roundhouse__Erp__V1__Lot *lot) {
    edifact_moment(out, "361", lot->best_before);
    edifact_moment(out, "94", lot->produced);
}

static void despatch_line(struct edi_out *out, const Roundhouse__Erp__V1__DespatchLine *line) {
    const Roundhouse__Erp__V1__Reference *order = line->order_line;
    edifact_item(out, line->id, "", line->item, NULL);
    edifact_quantity(out, "12", line->shipped);
    edifact_quantity(out, "83", line->outstanding);
    edifact_origin(out, line->item);
    if (line->n_lots == 1) {
        lot_numbers(out, line->lots[0]);
        lot_dates(out, line->lots[0]);
    }
    if (order && *order->id)
        SEGMENT(&out->draft, "RFF", FIXED(1, 1, "ON"), VALUE(1, 2, order->id), VALUE(1, 3, order->line));
    else if (order)
        SEGMENT(&out->draft, "RFF", FIXED(1, 1, "LI"), VALUE(1, 2, order->line));
    for (size_t i = 0; line->n_lots > 1 && i < line->n_lots; i++) {
        SEGMENT(&out->draft, "PCI", VALUE(1, 1, "36E"));
        lot_dates(out, line->lots[i]);
        lot_numbers(out, line->lots[i]);
    }
}

/* CPS, with the number of the group around it. */
static void packing(struct edi_out *out, size_t number, size_t parent) {
    SEGMENT(&out->draft, "CPS", VALUE(1, 1, edi_format(out, "%zu", number)),
            VALUE(2, 1, parent > 0 ? edi_format(out, "%zu", parent) : ""));
}

static void unit_write(struct edi_out *out, const Roundhouse__Erp__V1__HandlingUnit *unit) {
    draft_begin(&out->draft, "PAC");
    draft_put(&out->draft, 1, 1, "1");
    draft_put(&out->draft, 3, 1, unit->package_type);
    draft_end(&out->draft);
    SEGMENT(&out->draft, "MEA", FIXED(1, 1, "PD"), FIXED(2, 1, "AAB"),
            FIXED(3, 1, edi_unit(out, unit->gross_weight)),
            VALUE(3, 2, edi_quantity(out, unit->gross_weight)));
    SEGMENT(&out->draft, "PCI", VALUE(1, 1, "33E"));
    SEGMENT(&out->draft, "GIN", FIXED(1, 1, "BJ"), VALUE(2, 1, unit->id ? unit->id->value : ""));
}

/* Each unit is a CPS; lines in none are in one of their own. */
static void packages(struct edi_out *out, const Roundhouse__Erp__V1__DespatchAdvice *advice) {
    struct edi_plan plan = edi_plan(out, advice);
    size_t *numbers = arena_take(&out->arena, (advice->n_units + 1) * sizeof *numbers);
    size_t open = SIZE_MAX - 1, number = 0;
    if (!numbers)
        out->draft.text.failed = true;
    memset(numbers ? numbers : &number, 0, numbers ? (advice->n_units + 1) * sizeof *numbers : sizeof number);
    for (size_t i = 0; numbers && i < plan.count; i++) {
        const struct edi_step *step = &plan.steps[i];
        const Roundhouse__Erp__V1__HandlingUnit *unit = step->unit ? advice->units[step->index] : NULL;
        size_t parent = unit ? edi_unit_named(advice, unit->parent) : SIZE_MAX;
        if (unit) {
            open = step->index;
            numbers[open] = ++number;
            packing(out, number, parent != SIZE_MAX ? numbers[parent] : 0);
            unit_write(out, unit);
        } else if (step->in != open) {
            open = step->in;
            packing(out, ++number, 0);
        }
        if (!unit)
            despatch_line(out, advice->lines[step->index]);
    }
}

static void despatch_write(struct edi_out *out, const Roundhouse__Erp__V1__DespatchAdvice *advice) {
    bool with_transport = carrier_of_transport(out, advice->carrier);
    beginning(out, type_of(out, "351"), function_of(out), "");
    edifact_moment(out, "11", advice->shipped);
    edifact_period(out, "17", advice->delivery);
    if (out->same)
        header_notes(out); /* the directories have no place for them */
    header_references(out);
    party(out, "BY", advice->buyer);
    party(out, "SU", advice->seller);
    party(out, "SF", advice->ship_from);
    party(out, "DP", advice->ship_to);
    party(out, "CA", with_transport ? NULL : advice->carrier);
    transport(out, advice, with_transport);
    packages(out, advice);
    edifact_count(out, advice->n_lines, true);
}

/* ---- invoices ---- */

static const char *invoice_type(const struct edi_out *out, bool credit) {
    const char *type = type_of(out, credit ? "381" : "380");
    if (code_means("edifact/invoic", "credit", type, "true") == credit)
        return type;
    return credit ? "381" : "380";
}

static void invoice_line(struct edi_out *out, const Roundhouse__Erp__V1__InvoiceLine *line) {
    edifact_item(out, line->id, "", line->item, NULL);
    edifact_quantity(out, "47", line->quantity);
    edifact_origin(out, line->item);
    edifact_amount(out, "203", line->net);
    edifact_price(out, line->price);
    edifact_references(out, line->references, line->n_references);
    edifact_taxes(out, line->taxes, line->n_taxes);
    edifact_allowances(out, line->allowances, line->n_allowances);
}

static void invoice_parties(struct edi_out *out, const Roundhouse__Erp__V1__Invoice *invoice) {
    bool paid = invoice->payee != NULL;
    edifact_party(out, "SU", invoice->seller, invoice->accounts, paid ? 0 : invoice->n_accounts);
    party(out, "BY", invoice->buyer);
    edifact_party(out, "PE", invoice->payee, invoice->accounts, paid ? invoice->n_accounts : 0);
    party(out, "DP", invoice->ship_to);
}

/* Also as a reference, where it is not there already. */
static void payment_reference(struct edi_out *out, const char *id) {
    for (size_t i = 0; i < out->header->n_references; i++)
        if (strcmp(out->header->references[i]->type, "PAYMENT") == 0 &&
            strcmp(out->header->references[i]->id, id) == 0)
            return;
    SEGMENT(&out->draft, "RFF", FIXED(1, 1, "PQ"), VALUE(1, 2, id));
}

static void invoice_write(struct edi_out *out, const Roundhouse__Erp__V1__Invoice *invoice) {
    beginning(out, invoice_type(out, invoice->credit), function_of(out), "");
    edifact_moment(out, "131", invoice->tax_point);
    SEGMENT(&out->draft, "PAI", VALUE(1, 3, invoice->payment_means));
    header_notes(out);
    header_references(out);
    payment_reference(out, invoice->payment_reference);
    invoice_parties(out, invoice);
    edifact_currency(out, "4");
    if (invoice->due && invoice->due->date > 0) {
        SEGMENT(&out->draft, "PAT", VALUE(1, 1, "3")); /* a fixed date */
        edifact_moment(out, "13", invoice->due);
    }
    edifact_allowances(out, invoice->allowances, invoice->n_allowances);
    for (size_t i = 0; i < invoice->n_lines; i++)
        invoice_line(out, invoice->lines[i]);
    section_end(out);
    edifact_count(out, invoice->n_lines, invoice->totals && invoice->totals->line_count > 0);
    edifact_totals(out, "9", invoice->totals);
    edifact_taxes(out, invoice->taxes, invoice->n_taxes);
}

/* ---- envelopes ---- */

static const char *const types[] = {"ORDERS", "ORDCHG", "ORDRSP", "DESADV", "INVOIC"};

static void body(struct edi_out *out, const ProtobufCMessage *message, enum edi_document document) {
    if (document == EDI_ORDER_RESPONSE)
        response_write(out, (const void *)message);
    else if (document == EDI_DESPATCH_ADVICE)
        despatch_write(out, (const void *)message);
    else if (document == EDI_INVOICE)
        invoice_write(out, (const void *)message);
    else
        order_write(out, (const void *)message);
}

/* D:96A:UN, or the parts of it that are there. */
struct directory {
    const char *version, *release, *agency;
};

static struct directory directory_of(struct edi_out *out, const char *text) {
    struct directory directory = {"D", "96A", "UN"};
    const char **const parts[] = {&directory.version, &directory.release, &directory.agency};
    for (size_t i = 0; i < 3 && *text; i++) {
        size_t n = strcspn(text, ":");
        if (n > 0 && n <= 3)
            *parts[i] = edi_text(out, text, n);
        text += n + (text[n] == ':');
    }
    return directory;
}

/* 00A to 2xB: directories are named by years. */
static bool is_later(const struct directory *directory) {
    const char *year = directory->release;
    return strcmp(directory->version, "D") == 0 && strlen(year) == 3 && *year >= '0' && *year <= '6';
}

/* Fourteen printable characters, without blanks. */
static const char *reference(const char *wanted, const char *read) {
    const char *text = edi_said(wanted) ? wanted : read;
    size_t n = 0;
    while (text[n] > ' ' && text[n] < 0x7f)
        n++;
    return n > 0 && n <= 14 && !text[n] ? text : "1";
}

/* What of ISO 8859-1 is not enough for becomes UTF-8, which is syntax version 4. */
struct syntax {
    const char *identifier, *version;
    enum draft_charset charset;
};

static struct syntax syntax_of(const struct edi_out *out, bool latin) {
    const char *wanted = out->options->charset;
    if (edi_said(wanted) && (strcmp(wanted, "UNOW") == 0 || strcmp(wanted, "UNOY") == 0))
        return (struct syntax){wanted, "4", DRAFT_UTF_8};
    if (edi_said(wanted) && strcmp(wanted, "UNOC") != 0)
        return (struct syntax){wanted, "3", DRAFT_ASCII};
    if (edi_said(wanted) || latin)
        return (struct syntax){"UNOC", "3", DRAFT_LATIN_1};
    return (struct syntax){"UNOY", "4", DRAFT_UTF_8};
}

static void unb(struct edi_out *out, const struct edi_envelope *envelope, const struct syntax *syntax,
                const char *ref) {
    bool four = *syntax->version == '4';
    SEGMENT(&out->draft, "UNB", VALUE(1, 1, syntax->identifier), VALUE(1, 2, syntax->version),
            VALUE(2, 1, envelope->sender), VALUE(2, 2, envelope->sender_qualifier),
            VALUE(3, 1, envelope->receiver), VALUE(3, 2, envelope->receiver_qualifier),
            VALUE(4, 1,
                  four ? edi_format(out, "%08d", envelope->date)
                       : edi_format(out, "%06d", envelope->date % 1000000)),
            VALUE(4, 2, edi_format(out, "%04d", envelope->time / 100)), VALUE(5, 1, ref),
            VALUE(11, 1, envelope->test ? "1" : ""));
}

bool erp_edifact_write(const ProtobufCMessage *message, const struct erp_edi_options *options,
                       struct bytes *to) {
    struct edi_kind kind;
    struct edi_envelope envelope;
    struct edi_out out;
    if (!edi_kind_of(message, "EDIFACT", types[EDI_ORDER_CHANGE], &kind))
        return false;
    edi_out_init(&out, "EDIFACT", kind.header, options);
    edi_envelope(&out, kind.from, kind.to, &envelope);
    struct directory directory = directory_of(&out, envelope.version);
    out.later = is_later(&directory);
    const char *interchange = reference(out.options->interchange_ref, out.origin->interchange_ref);
    const char *ref = reference(out.options->message_ref, out.origin->message_ref);
    /* Whether the text is of ISO 8859-1 is known when it is there: the message is written before its
     * envelope. */
    struct draft message_draft;
    SEGMENT(&out.draft, "UNH", VALUE(1, 1, ref), VALUE(2, 1, types[kind.document]),
            VALUE(2, 2, directory.version), VALUE(2, 3, directory.release), VALUE(2, 4, directory.agency),
            VALUE(2, 5, envelope.association));
    body(&out, message, kind.document);
    SEGMENT(&out.draft, "UNT", VALUE(1, 1, edi_format(&out, "%u", (unsigned)out.draft.segments + 1)),
            VALUE(2, 1, ref));
    message_draft = out.draft;
    out.draft = (struct draft){0};
    struct syntax syntax = syntax_of(&out, draft_is_latin_1(&message_draft));
    unb(&out, &envelope, &syntax, interchange);
    bytes_add(&out.draft.text, message_draft.text.data, message_draft.text.length);
    SEGMENT(&out.draft, "UNZ", VALUE(1, 1, "1"), VALUE(2, 1, interchange));
    out.draft.text.failed |= message_draft.text.failed || out.arena.failed;
    draft_edifact(&out.draft, syntax.charset, *syntax.version == '4', out.options->lines, to);
    draft_free(&message_draft);
    edi_out_free(&out);
    return true;
}
