#include "codecs/erp/x12_parts.h"

#include "codecs/erp/decimal.h"
#include "codecs/erp/moment.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COMMON(list_) ((struct edi_list){"x12/common", list_, 3})

/* ---- values ---- */

const char *x12_date(struct edi_out *out, const Roundhouse__Erp__V1__Moment *moment) {
    return moment && moment->date > 0 ? edi_format(out, "%08d", moment->date) : "";
}

const char *x12_time(struct edi_out *out, const Roundhouse__Erp__V1__Moment *moment) {
    if (!moment || !moment->clock_case)
        return "";
    return moment->time % 100 ? edi_format(out, "%06d", moment->time)
                              : edi_format(out, "%04d", moment->time / 100);
}

/* The first code of 623 that is this offset. */
const char *x12_zone(const Roundhouse__Erp__V1__Moment *moment) {
    static const char *const codes[] = {"UT", "ES", "CS", "MS", "PS", "ED",
                                        "AS", "AD", "HS", "NS", "ND", "TS"};
    if (!moment || !moment->clock_case || !moment->zone_case)
        return "";
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        int32_t minutes;
        if (moment_zone_read((const uint8_t *)codes[i], 2, &minutes) && minutes == moment->utc_offset_min)
            return codes[i];
    }
    return "";
}

void x12_moment(struct edi_out *out, const char *qualifier, const Roundhouse__Erp__V1__Moment *moment) {
    SEGMENT(&out->draft, "DTM", FIXED(1, 1, qualifier), VALUE(2, 1, x12_date(out, moment)));
}

bool x12_same_date(const Roundhouse__Erp__V1__Period *period) {
    return period && period->start && period->end && period->start->date == period->end->date;
}

void x12_period(struct edi_out *out, const Roundhouse__Erp__V1__Period *period) {
    if (x12_same_date(period)) {
        x12_moment(out, "002", period->start);
    } else if (period) {
        x12_moment(out, "064", period->start);
        x12_moment(out, "063", period->end);
    }
}

const char *x12_implied(struct edi_out *out, const Roundhouse__Erp__V1__Amount *amount) {
    const Roundhouse__Erp__V1__Decimal *value = amount ? amount->value : NULL;
    if (!value || *value->text || value->scale > DECIMAL_DIGITS_MAX)
        return "";
    int64_t cents = value->unscaled;
    uint32_t scale = value->scale;
    for (; scale > 2 && cents % 10 == 0; scale--)
        cents /= 10;
    for (; scale < 2 && cents < INT64_MAX / 10 && cents > INT64_MIN / 10; scale++)
        cents *= 10;
    return scale == 2 ? edi_format(out, "%" PRId64, cents) : "";
}

void x12_references(struct edi_out *out, Roundhouse__Erp__V1__Reference **references, size_t count,
                    size_t but) {
    for (size_t i = 0; i < count; i++)
        if (i != but)
            SEGMENT(&out->draft, "REF",
                    FIXED(1, 1, edi_code(out, COMMON("reference"), references[i]->type, "ZZ")),
                    VALUE(2, 1, references[i]->id));
}

void x12_messages(struct edi_out *out, Roundhouse__Erp__V1__Text **texts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const char *pieces[32];
        size_t parts = 1;
        pieces[0] = texts[i]->value;
        if (!out->same)
            parts = edi_pieces(out, texts[i]->value, 264, sizeof pieces / sizeof *pieces, pieces);
        SEGMENT(&out->draft, "N9", FIXED(1, 1, "L1"), VALUE(2, 1, *texts[i]->value ? "NOTE" : ""));
        for (size_t k = 0; k < parts; k++)
            SEGMENT(&out->draft, "MSG", VALUE(1, 1, pieces[k]));
    }
}

/* ---- parties ---- */

static const Roundhouse__Erp__V1__Identifier *first_id(const struct edi_out *out,
                                                       const Roundhouse__Erp__V1__Party *party) {
    for (size_t i = 0; !out->same && i < party->n_ids; i++)
        if (edi_is(party->ids[i], "GLN"))
            return party->ids[i];
    return party->n_ids > 0 ? party->ids[0] : NULL;
}

static void contact(struct edi_out *out, const Roundhouse__Erp__V1__Contact *contact) {
    const char *role = edi_code(out, (struct edi_list){.most = 2}, contact->role, "IC");
    uint32_t element = 3;
    if (!*role && !out->same)
        role = "IC";
    draft_begin(&out->draft, "PER");
    draft_put(&out->draft, 1, 1, role);
    draft_put(&out->draft, 2, 1, contact->name);
    if (*contact->phone) {
        draft_put(&out->draft, element, 1, "TE");
        draft_put(&out->draft, element + 1, 1, contact->phone);
        element += 2;
    }
    if (*contact->email) {
        draft_put(&out->draft, element, 1, "EM");
        draft_put(&out->draft, element + 1, 1, contact->email);
    }
    draft_end(&out->draft);
}

static void address(struct edi_out *out, const Roundhouse__Erp__V1__Address *address) {
    const char *lines[4] = {0};
    size_t count = 0;
    for (size_t i = 0; i < address->n_lines && count < 4; i++)
        count += edi_pieces(out, address->lines[i], out->same ? SIZE_MAX : 55, 4 - count, lines + count);
    SEGMENT(&out->draft, "N3", VALUE(1, 1, lines[0]), VALUE(2, 1, lines[1]));
    SEGMENT(&out->draft, "N3", VALUE(1, 1, lines[2]), VALUE(2, 1, lines[3]));
    SEGMENT(&out->draft, "N4", VALUE(1, 1, address->city), VALUE(2, 1, address->region),
            VALUE(3, 1, address->postcode), VALUE(4, 1, address->country));
}

void x12_party(struct edi_out *out, const char *qualifier, const Roundhouse__Erp__V1__Party *party) {
    const char *name[3] = {0};
    if (!party)
        return;
    const Roundhouse__Erp__V1__Identifier *id = first_id(out, party);
    (void)edi_pieces(out, party->name, out->same ? SIZE_MAX : 60, 3, name);
    SEGMENT(&out->draft, "N1", VALUE(1, 1, qualifier), VALUE(2, 1, name[0]),
            VALUE(3, 1,
                  id ? (*id->scheme ? edi_code(out, (struct edi_list){"x12/common", "party_scheme", 2},
                                               id->scheme, "ZZ")
                                    : "ZZ")
                     : ""),
            VALUE(4, 1, id ? id->value : ""));
    SEGMENT(&out->draft, "N2", VALUE(1, 1, name[1]), VALUE(2, 1, name[2]));
    if (party->address)
        address(out, party->address);
    for (size_t i = 0; i < party->n_tax_ids; i++)
        SEGMENT(&out->draft, "REF", FIXED(1, 1, "TJ"), VALUE(2, 1, party->tax_ids[i]->value));
    for (size_t i = 0; i < party->n_contacts; i++)
        contact(out, party->contacts[i]);
}

/* ---- items ---- */

/* Of a GTIN its length says which: UPC has 12 digits, EAN 13. */
static const char *item_code(struct edi_out *out, const Roundhouse__Erp__V1__Identifier *id) {
    size_t n = strlen(id->value);
    if (edi_is(id, "GTIN"))
        return n == 12 ? "UP" : n == 14 ? "UK" : "EN";
    if (edi_is(id, "UPC_CASE"))
        return "UA";
    return *id->scheme ? edi_code(out, (struct edi_list){"x12/common", "item_scheme", 2}, id->scheme, "ZZ")
                       : "ZZ";
}

void x12_item_ids(struct edi_out *out, const Roundhouse__Erp__V1__Item *item, uint32_t element, size_t most) {
    for (size_t i = 0; item && i < item->n_ids && i < most; i++) {
        if (!*item->ids[i]->value)
            continue;
        draft_put(&out->draft, element, 1, item_code(out, item->ids[i]));
        draft_put(&out->draft, element + 1, 1, item->ids[i]->value);
        element += 2;
    }
}

static void description(struct edi_out *out, bool free_form, const Roundhouse__Erp__V1__Text *text) {
    const char *pieces[1] = {text->value};
    if (!out->same) {
        pieces[0] = "";
        (void)edi_pieces(out, text->value, 80, 1, pieces);
    }
    SEGMENT(&out->draft, "PID", FIXED(1, 1, free_form ? "F" : "X"),
            FIXED(2, 1, edi_code(out, (struct edi_list){.most = 3}, text->role, "")), VALUE(5, 1, pieces[0]),
            FIXED(9, 1, text->language));
}

/* The last one in free form is the name. */
void x12_descriptions(struct edi_out *out, const Roundhouse__Erp__V1__Item *item) {
    if (!item)
        return;
    struct edi_naming naming = edi_naming(item, 1);
    for (size_t i = 0; i < item->n_descriptions; i++)
        description(out, naming.alone || (naming.named != SIZE_MAX ? i <= naming.named : !out->same),
                    item->descriptions[i]);
    if (naming.alone) {
        Roundhouse__Erp__V1__Text name;
        roundhouse__erp__v1__text__init(&name);
        name.value = item->name;
        description(out, true, &name);
    }
}

/* ---- money ---- */

const char *x12_price_type(struct edi_out *out, const Roundhouse__Erp__V1__Price *price) {
    return price ? edi_code(out, (struct edi_list){"x12/common", "unit_price", 2}, price->type, "") : "";
}

void x12_allowances(struct edi_out *out, Roundhouse__Erp__V1__Allowance **allowances, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const Roundhouse__Erp__V1__Allowance *one = allowances[i];
        const char *code = edi_code(out, (struct edi_list){.most = 0}, one->code, "ZZZZ"), *reason = "";
        const char *percent = edi_decimal(out, one->percent);
        if (!*code && !out->same)
            code = "ZZZZ"; /* mutually defined: the segment asks for one */
        if (out->same)
            reason = one->reason;
        else
            (void)edi_pieces(out, one->reason, 80, 1, &reason);
        SEGMENT(&out->draft, "SAC", VALUE(1, 1, one->charge ? "C" : "A"), VALUE(2, 1, code),
                VALUE(5, 1, x12_implied(out, one->amount)), FIXED(6, 1, *percent ? "Z" : ""),
                VALUE(7, 1, percent), VALUE(15, 1, reason));
    }
}

void x12_taxes(struct edi_out *out, Roundhouse__Erp__V1__Tax **taxes, size_t count) {
    for (size_t i = 0; i < count; i++)
        SEGMENT(&out->draft, "TXI",
                FIXED(1, 1, edi_code(out, (struct edi_list){"x12/common", "tax", 2}, taxes[i]->scheme, "ZZ")),
                VALUE(2, 1, edi_amount(out, taxes[i]->tax)), VALUE(3, 1, edi_decimal(out, taxes[i]->percent)),
                VALUE(8, 1, edi_amount(out, taxes[i]->taxable)));
}

/* ---- deliveries of a line ---- */

/* SDQ names places and quantities of one unit; SCH dates. */
static void places(struct edi_out *out, Roundhouse__Erp__V1__Schedule **schedules, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (schedules[i]->location && !schedules[i]->date)
            SEGMENT(&out->draft, "SDQ", FIXED(1, 1, edi_unit(out, schedules[i]->quantity)),
                    FIXED(2, 1, out->same ? "" : "92"), FIXED(3, 1, schedules[i]->location->value),
                    VALUE(4, 1, edi_quantity(out, schedules[i]->quantity)));
}

void x12_schedules(struct edi_out *out, Roundhouse__Erp__V1__Schedule **schedules, size_t count) {
    places(out, schedules, count);
    for (size_t i = 0; i < count; i++) {
        const Roundhouse__Erp__V1__Schedule *one = schedules[i];
        const char *date = x12_date(out, one->date);
        if (one->location && !one->date)
            continue;
        if (!one->quantity)
            x12_moment(out, "002", one->date);
        else
            SEGMENT(&out->draft, "SCH", VALUE(1, 1, edi_quantity(out, one->quantity)),
                    FIXED(2, 1, edi_unit(out, one->quantity)), FIXED(5, 1, *date ? "002" : ""),
                    VALUE(6, 1, date));
    }
}
