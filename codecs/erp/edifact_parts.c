#include "codecs/erp/edifact_parts.h"

#include <string.h>

#define COMMON(list_) ((struct edi_list){"edifact/common", list_, 3})

/* Characters of texts, in directories before D.00A and from then on. */
static size_t limit(const struct edi_out *out, size_t before, size_t later) {
    return out->later ? later : before;
}

/* ---- values ---- */

void edifact_moment(struct edi_out *out, const char *qualifier, const Roundhouse__Erp__V1__Moment *moment) {
    if (!moment || moment->date <= 0)
        return;
    int time = moment->clock_case ? moment->time : 0, zone = moment->zone_case ? moment->utc_offset_min : 0;
    bool seconds = time % 100 != 0;
    const char *zoned = "", *format = "102", *text = edi_format(out, "%08d", moment->date);
    if (moment->clock_case && moment->zone_case) {
        int distance = zone < 0 ? -zone : zone;
        zoned = zone == 0 ? "UTC"
                : distance % 60 == 0
                    ? edi_format(out, "%c%02d", zone < 0 ? '-' : '+', distance / 60)
                    : edi_format(out, "%c%02d%02d", zone < 0 ? '-' : '+', distance / 60, distance % 60);
    }
    if (moment->clock_case) {
        text = seconds ? edi_format(out, "%s%06d%s", text, time, zoned)
                       : edi_format(out, "%s%04d%s", text, time / 100, zoned);
        format = *zoned ? (seconds ? "304" : "303") : seconds ? "204" : "203";
    }
    SEGMENT(&out->draft, "DTM", FIXED(1, 1, qualifier), VALUE(1, 2, text), FIXED(1, 3, format));
}

static bool same_moment(const Roundhouse__Erp__V1__Moment *a, const Roundhouse__Erp__V1__Moment *b) {
    return a && b && a->date == b->date && a->clock_case == b->clock_case && a->zone_case == b->zone_case &&
           (!a->clock_case || a->time == b->time) &&
           (!a->zone_case || a->utc_offset_min == b->utc_offset_min);
}

void edifact_period(struct edi_out *out, const char *both, const Roundhouse__Erp__V1__Period *period) {
    if (period && same_moment(period->start, period->end)) {
        edifact_moment(out, both, period->start);
    } else if (period) {
        edifact_moment(out, "64", period->start);
        edifact_moment(out, "63", period->end);
    }
}

void edifact_text(struct edi_out *out, const Roundhouse__Erp__V1__Text *text) {
    const char *pieces[99];
    size_t most = sizeof pieces / sizeof *pieces, count = 1;
    const char *role = edi_code(out, (struct edi_list){.most = 3}, text->role, "ZZZ");
    if (!*role && !out->same)
        role = "AAI"; /* general information: the segment asks for something */
    if (out->same)
        pieces[0] = text->value;
    else
        count = edi_pieces(out, text->value, limit(out, 70, 512), most, pieces);
    for (size_t i = 0; i < count; i++)
        SEGMENT(&out->draft, "FTX", FIXED(1, 1, role), VALUE(4, 1, pieces[i]), FIXED(5, 1, text->language));
}

void edifact_references(struct edi_out *out, Roundhouse__Erp__V1__Reference **references, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const Roundhouse__Erp__V1__Reference *one = references[i];
        const char *type = edi_code(out, COMMON("reference"), one->type, "ZZZ");
        if (SEGMENT(&out->draft, "RFF", FIXED(1, 1, type), VALUE(1, 2, one->id), VALUE(1, 3, one->line)))
            edifact_moment(out, "171", one->date);
    }
}

void edifact_quantity(struct edi_out *out, const char *qualifier,
                      const Roundhouse__Erp__V1__Quantity *quantity) {
    SEGMENT(&out->draft, "QTY", FIXED(1, 1, qualifier), VALUE(1, 2, edi_quantity(out, quantity)),
            FIXED(1, 3, edi_unit(out, quantity)));
}

void edifact_amount(struct edi_out *out, const char *qualifier, const Roundhouse__Erp__V1__Amount *amount) {
    bool own = amount && strcmp(amount->currency, out->currency) != 0;
    SEGMENT(&out->draft, "MOA", FIXED(1, 1, qualifier), VALUE(1, 2, edi_amount(out, amount)),
            FIXED(1, 3, own ? amount->currency : ""));
}

void edifact_currency(struct edi_out *out, const char *use) {
    SEGMENT(&out->draft, "CUX", FIXED(1, 1, "2"), VALUE(1, 2, out->currency), FIXED(1, 3, use));
}

/* ---- parties ---- */

/* Who gives out the number, as 3055 says it. */
static const char *agency(struct edi_out *out, const Roundhouse__Erp__V1__Identifier *id) {
    if (out->same || (*id->agency && code_means("edifact/common", "party_scheme", id->agency, id->scheme)))
        return id->agency;
    return edi_code(out, (struct edi_list){"edifact/common", "party_scheme", 0}, id->scheme, "");
}

/* The number that NAD has; the others go into RFF. */
static const Roundhouse__Erp__V1__Identifier *first_id(const struct edi_out *out,
                                                       const Roundhouse__Erp__V1__Party *party) {
    const Roundhouse__Erp__V1__Identifier *first = party->n_ids > 0 ? party->ids[0] : NULL;
    if (out->same)
        return first && (*first->agency || !*first->scheme) ? first : NULL;
    for (size_t i = 0; i < party->n_ids; i++)
        if (edi_is(party->ids[i], "GLN"))
            return party->ids[i];
    return first;
}

static void name_and_address(struct edi_out *out, const char *qualifier,
                             const Roundhouse__Erp__V1__Party *party,
                             const Roundhouse__Erp__V1__Identifier *id) {
    Roundhouse__Erp__V1__Address nowhere;
    roundhouse__erp__v1__address__init(&nowhere);
    const Roundhouse__Erp__V1__Address *address = party->address ? party->address : &nowhere;
    const char *name[5] = {0}, *lines[4] = {0};
    size_t count = 0;
    (void)edi_pieces(out, party->name, 35, 5, name);
    for (size_t i = 0; i < address->n_lines && count < 4; i++)
        count += edi_pieces(out, address->lines[i], out->same ? SIZE_MAX : 35, 4 - count, lines + count);
    SEGMENT(&out->draft, "NAD", VALUE(1, 1, qualifier), VALUE(2, 1, id ? id->value : ""),
            VALUE(2, 3, id ? agency(out, id) : ""), VALUE(4, 1, name[0]), VALUE(4, 2, name[1]),
            VALUE(4, 3, name[2]), VALUE(4, 4, name[3]), VALUE(4, 5, name[4]), VALUE(5, 1, lines[0]),
            VALUE(5, 2, lines[1]), VALUE(5, 3, lines[2]), VALUE(5, 4, lines[3]), VALUE(6, 1, address->city),
            VALUE(7, 1, address->region), VALUE(8, 1, address->postcode), VALUE(9, 1, address->country));
    if (address->location)
        SEGMENT(&out->draft, "LOC", FIXED(1, 1, "7"), VALUE(2, 1, address->location->value),
                FIXED(2, 3, address->location->agency));
}

/* A bank behind a number is the bank of that account. */
static void accounts_write(struct edi_out *out, Roundhouse__Erp__V1__Identifier **accounts, size_t count) {
    for (size_t i = 0; i < count;) {
        const Roundhouse__Erp__V1__Identifier *number = edi_is(accounts[i], "BIC") ? NULL : accounts[i++];
        const Roundhouse__Erp__V1__Identifier *bank =
            i < count && edi_is(accounts[i], "BIC") ? accounts[i++] : NULL;
        SEGMENT(&out->draft, "FII", FIXED(1, 1, "RB"), VALUE(2, 1, number ? number->value : ""),
                VALUE(3, 1, bank ? bank->value : ""), FIXED(3, 2, bank ? "25" : ""),
                FIXED(3, 3, bank ? "5" : ""));
    }
}

static void numbers(struct edi_out *out, const Roundhouse__Erp__V1__Party *party,
                    const Roundhouse__Erp__V1__Identifier *first) {
    for (size_t i = 0; i < party->n_ids; i++)
        if (party->ids[i] != first)
            SEGMENT(&out->draft, "RFF",
                    FIXED(1, 1, edi_code(out, COMMON("party_reference"), party->ids[i]->scheme, "ZZZ")),
                    VALUE(1, 2, party->ids[i]->value));
    for (size_t i = 0; i < party->n_tax_ids; i++)
        SEGMENT(&out->draft, "RFF", FIXED(1, 1, edi_is(party->tax_ids[i], "VAT") ? "VA" : "FC"),
                VALUE(1, 2, party->tax_ids[i]->value));
}

void edifact_party(struct edi_out *out, const char *qualifier, const Roundhouse__Erp__V1__Party *party,
                   Roundhouse__Erp__V1__Identifier **accounts, size_t account_count) {
    if (!party)
        return;
    const Roundhouse__Erp__V1__Identifier *first = first_id(out, party);
    name_and_address(out, qualifier, party, first);
    accounts_write(out, accounts, account_count);
    numbers(out, party, first);
    for (size_t i = 0; i < party->n_contacts; i++) {
        const Roundhouse__Erp__V1__Contact *contact = party->contacts[i];
        const char *role = edi_code(out, (struct edi_list){.most = 3}, contact->role, "ZZZ");
        if (!*role && (!out->same || !*contact->name))
            role = "IC"; /* information contact */
        SEGMENT(&out->draft, "CTA", VALUE(1, 1, role), VALUE(2, 2, contact->name));
        SEGMENT(&out->draft, "COM", VALUE(1, 1, contact->phone), FIXED(1, 2, "TE"));
        SEGMENT(&out->draft, "COM", VALUE(1, 1, contact->email), FIXED(1, 2, "EM"));
    }
}

/* ---- items ---- */

static const char *item_code(struct edi_out *out, const Roundhouse__Erp__V1__Identifier *id) {
    if (out->later && edi_is(id, "GTIN"))
        return "SRV";
    return edi_code(out, COMMON("item_scheme"), id->scheme, "ZZZ");
}

static bool is_substitute(const Roundhouse__Erp__V1__Item *substitute,
                          const Roundhouse__Erp__V1__Identifier *id) {
    for (size_t i = 0; substitute && i < substitute->n_ids; i++)
        if (strcmp(substitute->ids[i]->value, id->value) == 0 &&
            strcmp(substitute->ids[i]->scheme, id->scheme) == 0)
            return true;
    return false;
}

/* Five numbers in each PIA. */
static void numbers_more(struct edi_out *out, const char *function, const Roundhouse__Erp__V1__Item *item,
                         const Roundhouse__Erp__V1__Identifier *but,
                         const Roundhouse__Erp__V1__Item *substitute) {
    uint32_t place = 0;
    for (size_t i = 0; item && i < item->n_ids; i++) {
        const Roundhouse__Erp__V1__Identifier *id = item->ids[i];
        if (id == but || !*id->value || is_substitute(substitute, id))
            continue;
        if (place == 0) {
            draft_begin(&out->draft, "PIA");
            draft_put(&out->draft, 1, 1, function);
            place = 2;
        }
        draft_put(&out->draft, place, 1, id->value);
        draft_put(&out->draft, place, 2, item_code(out, id));
        if (++place > 6) {
            draft_end(&out->draft);
            place = 0;
        }
    }
    if (place > 0)
        draft_end(&out->draft);
}

/* A name is a description in free form; the others are marked as long ones, so that they are no names. */
static void description(struct edi_out *out, bool name, const Roundhouse__Erp__V1__Text *text,
                        const char *more) {
    const char *pieces[2] = {text->value, more};
    size_t width = limit(out, 35, 256);
    if (!out->same && !more) {
        pieces[0] = "";
        (void)edi_pieces(out, text->value, width, 2, pieces);
    }
    SEGMENT(&out->draft, "IMD", FIXED(1, 1, name ? "F" : "A"),
            FIXED(2, 1, edi_code(out, (struct edi_list){.most = 3}, text->role, "ZZZ")),
            VALUE(3, 4, pieces[0]), VALUE(3, 5, pieces[1]), FIXED(3, 6, text->language));
}

static void descriptions(struct edi_out *out, const Roundhouse__Erp__V1__Item *item) {
    struct edi_naming naming = edi_naming(item, 2);
    for (size_t i = 0; i < item->n_descriptions; i++) {
        bool pair = naming.named != SIZE_MAX && naming.count == 2 && i + 1 == naming.named;
        description(out, pair || i == naming.named, item->descriptions[i],
                    pair ? item->descriptions[i + 1]->value : NULL);
        i += pair;
    }
    if (naming.alone) {
        Roundhouse__Erp__V1__Text name;
        roundhouse__erp__v1__text__init(&name);
        name.value = item->name;
        description(out, true, &name, NULL);
    }
}

/* What is measured has a code and a number; anything else is no MEA. */
static void property(struct edi_out *out, const Roundhouse__Erp__V1__Property *property) {
    bool measured = strlen(property->name) <= 3 && *property->value &&
                    strspn(property->value, "0123456789.-") == strlen(property->value);
    if (measured || out->same)
        SEGMENT(&out->draft, "MEA", FIXED(1, 1, "AAE"), FIXED(2, 1, property->name),
                FIXED(3, 1, property->unit), VALUE(3, 2, property->value));
}

void edifact_item(struct edi_out *out, const char *line, const char *action,
                  const Roundhouse__Erp__V1__Item *item, const Roundhouse__Erp__V1__Item *substitute) {
    const Roundhouse__Erp__V1__Identifier *gtin = NULL;
    for (size_t i = 0; item && i < item->n_ids && !gtin && !(out->same && i > 0); i++)
        if (edi_is(item->ids[i], "GTIN") && !is_substitute(substitute, item->ids[i]))
            gtin = item->ids[i];
    draft_begin(&out->draft, "LIN");
    draft_put(&out->draft, 1, 1, line);
    draft_put(&out->draft, 2, 1, action);
    if (gtin) {
        draft_put(&out->draft, 3, 1, gtin->value);
        draft_put(&out->draft, 3, 2, item_code(out, gtin));
    }
    draft_end(&out->draft);
    numbers_more(out, gtin ? "1" : "5", item, gtin, substitute);
    numbers_more(out, "3", substitute, NULL, NULL);
    if (!item)
        return;
    descriptions(out, item);
    for (size_t i = 0; i < item->n_properties; i++)
        property(out, item->properties[i]);
}

void edifact_origin(struct edi_out *out, const Roundhouse__Erp__V1__Item *item) {
    if (item)
        SEGMENT(&out->draft, "ALI", VALUE(1, 1, item->origin_country));
}

/* ---- money ---- */

void edifact_price(struct edi_out *out, const Roundhouse__Erp__V1__Price *price) {
    if (!price)
        return;
    const char *type = strcmp(price->type, "NET") == 0     ? "AAA"
                       : strcmp(price->type, "GROSS") == 0 ? "AAB"
                       : *price->type ? edi_code(out, (struct edi_list){.most = 3}, price->type, "AAA")
                                      : "AAA";
    const char *basis = edi_quantity(out, price->basis);
    SEGMENT(&out->draft, "PRI", FIXED(1, 1, type), VALUE(1, 2, edi_amount(out, price->amount)),
            FIXED(1, 5, basis), FIXED(1, 6, *basis ? edi_unit(out, price->basis) : ""));
}

void edifact_taxes(struct edi_out *out, Roundhouse__Erp__V1__Tax **taxes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const Roundhouse__Erp__V1__Tax *tax = taxes[i];
        SEGMENT(&out->draft, "TAX", VALUE(1, 1, "7"), VALUE(2, 1, tax->scheme),
                VALUE(5, 4, edi_decimal(out, tax->percent)), VALUE(6, 1, tax->category),
                VALUE(7, 1, out->same ? tax->exemption : ""));
        edifact_amount(out, "124", tax->tax);
        edifact_amount(out, "125", tax->taxable);
    }
}

void edifact_allowances(struct edi_out *out, Roundhouse__Erp__V1__Allowance **allowances, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const Roundhouse__Erp__V1__Allowance *one = allowances[i];
        const char *reason = "";
        if (out->same)
            reason = one->reason;
        else
            (void)edi_pieces(out, one->reason, 35, 1, &reason);
        SEGMENT(&out->draft, "ALC", VALUE(1, 1, one->charge ? "C" : "A"),
                VALUE(5, 1, edi_code(out, (struct edi_list){.most = 3}, one->code, "")), VALUE(5, 4, reason));
        SEGMENT(&out->draft, "PCD", FIXED(1, 1, one->charge ? "2" : "1"),
                VALUE(1, 2, edi_decimal(out, one->percent)));
        edifact_amount(out, "8", one->amount);
        edifact_amount(out, "25", one->basis);
    }
}

void edifact_totals(struct edi_out *out, const char *payable, const Roundhouse__Erp__V1__Totals *totals) {
    if (!totals)
        return;
    edifact_amount(out, payable, totals->payable);
    edifact_amount(out, "79", totals->lines);
    edifact_amount(out, "260", totals->allowances);
    edifact_amount(out, "259", totals->charges);
    edifact_amount(out, "125", totals->tax_exclusive);
    edifact_amount(out, "176", totals->tax);
    edifact_amount(out, "77", totals->tax_inclusive);
    edifact_amount(out, "113", totals->prepaid);
    edifact_amount(out, "165", totals->rounding);
}

void edifact_count(struct edi_out *out, size_t lines, bool counted) {
    if (counted || !out->same)
        SEGMENT(&out->draft, "CNT", FIXED(1, 1, "2"), VALUE(1, 2, edi_format(out, "%zu", lines)));
}

/* ---- deliveries of a line ---- */

static void delivery(struct edi_out *out, const Roundhouse__Erp__V1__Schedule *schedule) {
    edifact_quantity(out, "21", schedule->quantity);
    edifact_moment(out, "2", schedule->date);
}

void edifact_places(struct edi_out *out, Roundhouse__Erp__V1__Schedule **schedules, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (schedules[i]->location) {
            SEGMENT(&out->draft, "LOC", VALUE(1, 1, "7"), VALUE(2, 1, schedules[i]->location->value),
                    VALUE(2, 3, schedules[i]->location->agency));
            delivery(out, schedules[i]);
        }
}

void edifact_schedules(struct edi_out *out, Roundhouse__Erp__V1__Schedule **schedules, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!schedules[i]->location) {
            SEGMENT(&out->draft, "SCC", VALUE(1, 1, "1")); /* firm */
            delivery(out, schedules[i]);
        }
}
