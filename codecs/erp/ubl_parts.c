#include "codecs/erp/ubl_parts.h"

#include "codecs/erp/decimal.h"

#include <stdio.h>
#include <string.h>

/* ---- elements ---- */

static void line_begin(struct ubl *ubl) {
    static const char blanks[] = "\n                                        ";
    size_t n = 1 + 2 * (size_t)ubl->depth;
    bytes_add(ubl->out, blanks, n < sizeof blanks ? n : sizeof blanks - 1);
}

struct ubl_mark ubl_begin(struct ubl *ubl, const char *name) {
    struct ubl_mark mark = {.name = name, .before = ubl->out->length};
    line_begin(ubl);
    bytes_text(ubl->out, "<");
    bytes_text(ubl->out, name);
    bytes_text(ubl->out, ">");
    ubl->depth++;
    mark.inside = ubl->out->length;
    return mark;
}

void ubl_end_kept(struct ubl *ubl, struct ubl_mark mark) {
    ubl->depth--;
    if (ubl->out->length > mark.inside)
        line_begin(ubl);
    bytes_text(ubl->out, "</");
    bytes_text(ubl->out, mark.name);
    bytes_text(ubl->out, ">");
}

void ubl_end(struct ubl *ubl, struct ubl_mark mark) {
    if (ubl->out->length == mark.inside) {
        ubl->depth--;
        ubl->out->length = mark.before;
        return;
    }
    ubl_end_kept(ubl, mark);
}

/* Text as XML; characters that XML has not are left out. */
static void escaped(struct bytes *out, const char *text, bool attribute) {
    for (const char *from = text;; text++) {
        unsigned char c = (unsigned char)*text;
        const char *with = NULL;
        if (c == '<' || c == '>' || c == '&')
            with = c == '<' ? "&lt;" : c == '>' ? "&gt;" : "&amp;";
        else if (c == '"' && attribute)
            with = "&quot;";
        else if (c == '\r' || (attribute && (c == '\n' || c == '\t')))
            with = c == '\r' ? "&#13;" : c == '\n' ? "&#10;" : "&#9;";
        else if (c < ' ' && c != '\n' && c != '\t')
            with = "";
        if (!with)
            continue;
        bytes_add(out, from, (size_t)(text - from));
        if (c == 0)
            return;
        bytes_text(out, with);
        from = text + 1;
    }
}

void ubl_text_with(struct ubl *ubl, const char *name, const char *text, ubl_attributes attributes) {
    if (!text || !*text)
        return;
    line_begin(ubl);
    bytes_text(ubl->out, "<");
    bytes_text(ubl->out, name);
    for (; attributes[0]; attributes += 2)
        if (attributes[1] && *attributes[1]) {
            bytes_text(ubl->out, " ");
            bytes_text(ubl->out, attributes[0]);
            bytes_text(ubl->out, "=\"");
            escaped(ubl->out, attributes[1], true);
            bytes_text(ubl->out, "\"");
        }
    bytes_text(ubl->out, ">");
    escaped(ubl->out, text, false);
    bytes_text(ubl->out, "</");
    bytes_text(ubl->out, name);
    bytes_text(ubl->out, ">");
}

void ubl_text(struct ubl *ubl, const char *name, const char *text) {
    ubl_text_with(ubl, name, text, (ubl_attributes){NULL});
}

void ubl_count(struct ubl *ubl, const char *name, uint32_t number) {
    char text[16];
    (void)snprintf(text, sizeof text, "%u", number);
    if (number > 0)
        ubl_text(ubl, name, text);
}

/* ---- values ---- */

/* "" for what is not there. */
static const char *decimal_text(const Roundhouse__Erp__V1__Decimal *decimal, char out[DECIMAL_TEXT_BYTES]) {
    if (!decimal)
        return "";
    if (*decimal->text)
        return decimal->text;
    uint32_t scale = decimal->scale < DECIMAL_DIGITS_MAX ? decimal->scale : DECIMAL_DIGITS_MAX;
    decimal_write((struct decimal){decimal->unscaled, scale}, out);
    return out;
}

void ubl_decimal(struct ubl *ubl, const char *name, const Roundhouse__Erp__V1__Decimal *decimal) {
    char text[DECIMAL_TEXT_BYTES];
    ubl_text(ubl, name, decimal_text(decimal, text));
}

void ubl_amount(struct ubl *ubl, const char *name, const Roundhouse__Erp__V1__Amount *amount) {
    char text[DECIMAL_TEXT_BYTES];
    if (amount)
        ubl_text_with(
            ubl, name, decimal_text(amount->value, text),
            (ubl_attributes){"currencyID", *amount->currency ? amount->currency : ubl->currency, NULL});
}

void ubl_quantity(struct ubl *ubl, const char *name, const Roundhouse__Erp__V1__Quantity *quantity) {
    char text[DECIMAL_TEXT_BYTES];
    if (quantity)
        ubl_text_with(
            ubl, name, decimal_text(quantity->value, text),
            (ubl_attributes){"unitCode", *quantity->unit ? quantity->unit : quantity->source_unit, NULL});
}

/* As the lists of EAS and ISO 6523 have it. */
static const char *scheme_code(const char *scheme) {
    static const char *const codes[][2] = {{"GLN", "0088"}, {"GTIN", "0160"}, {"DUNS", "0060"}};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(scheme, codes[i][0]) == 0)
            return codes[i][1];
    return scheme;
}

void ubl_id(struct ubl *ubl, const char *name, const Roundhouse__Erp__V1__Identifier *id) {
    if (id)
        ubl_text_with(
            ubl, name, id->value,
            (ubl_attributes){"schemeID", scheme_code(id->scheme), "schemeAgencyID", id->agency, NULL});
}

void ubl_notes(struct ubl *ubl, const char *name, Roundhouse__Erp__V1__Text **notes, size_t count) {
    for (size_t i = 0; i < count; i++)
        ubl_text_with(ubl, name, notes[i]->value, (ubl_attributes){"languageID", notes[i]->language, NULL});
}

void ubl_date(struct ubl *ubl, const char *name, const Roundhouse__Erp__V1__Moment *moment) {
    char text[32];
    if (!moment || moment->date <= 0)
        return;
    (void)snprintf(text, sizeof text, "%04d-%02d-%02d", moment->date / 10000, moment->date / 100 % 100,
                   moment->date % 100);
    ubl_text(ubl, name, text);
}

void ubl_time(struct ubl *ubl, const char *name, const Roundhouse__Erp__V1__Moment *moment) {
    char text[48], zone[16] = "";
    if (!moment || moment->clock_case != ROUNDHOUSE__ERP__V1__MOMENT__CLOCK_TIME)
        return;
    if (moment->zone_case == ROUNDHOUSE__ERP__V1__MOMENT__ZONE_UTC_OFFSET_MIN) {
        int32_t minutes = moment->utc_offset_min < 0 ? -moment->utc_offset_min : moment->utc_offset_min;
        (void)snprintf(zone, sizeof zone, "%c%02d:%02d", moment->utc_offset_min < 0 ? '-' : '+',
                       minutes / 60 % 100, minutes % 60);
        if (minutes == 0)
            (void)strcpy(zone, "Z");
    }
    (void)snprintf(text, sizeof text, "%02d:%02d:%02d%s", moment->time / 10000, moment->time / 100 % 100,
                   moment->time % 100, zone);
    ubl_text(ubl, name, text);
}

void ubl_period(struct ubl *ubl, const char *name, const Roundhouse__Erp__V1__Period *period) {
    if (!period)
        return;
    struct ubl_mark mark = ubl_begin(ubl, name);
    ubl_date(ubl, "cbc:StartDate", period->start);
    ubl_date(ubl, "cbc:EndDate", period->end);
    ubl_end(ubl, mark);
}

void ubl_document(struct ubl *ubl, const char *name, const Roundhouse__Erp__V1__Reference *reference,
                  const char *type) {
    struct ubl_mark mark = ubl_begin(ubl, name);
    ubl_text(ubl, "cbc:ID", reference->id);
    ubl_date(ubl, "cbc:IssueDate", reference->date);
    ubl_text(ubl, "cbc:DocumentTypeCode", type);
    ubl_end(ubl, mark);
}

void ubl_order_line(struct ubl *ubl, const Roundhouse__Erp__V1__Reference *reference) {
    struct ubl_mark mark = ubl_begin(ubl, "cac:OrderLineReference");
    ubl_text(ubl, "cbc:LineID", reference->line);
    if (*reference->id)
        ubl_document(ubl, "cac:OrderReference", reference, NULL);
    ubl_end(ubl, mark);
}

/* ---- parties ---- */

static void address_lines(struct ubl *ubl, const Roundhouse__Erp__V1__Address *address) {
    if (address->n_lines > 0)
        ubl_text(ubl, "cbc:StreetName", address->lines[0]);
    if (address->n_lines > 1)
        ubl_text(ubl, "cbc:AdditionalStreetName", address->lines[1]);
    ubl_text(ubl, "cbc:CityName", address->city);
    ubl_text(ubl, "cbc:PostalZone", address->postcode);
    ubl_text(ubl, "cbc:CountrySubentity", address->region);
    for (size_t i = 2; i < address->n_lines; i++) {
        struct ubl_mark mark = ubl_begin(ubl, "cac:AddressLine");
        ubl_text(ubl, "cbc:Line", address->lines[i]);
        ubl_end(ubl, mark);
    }
    struct ubl_mark country = ubl_begin(ubl, "cac:Country");
    ubl_text(ubl, "cbc:IdentificationCode", address->country);
    ubl_end(ubl, country);
}

static bool registered(const Roundhouse__Erp__V1__Identifier *id) {
    return strcmp(id->scheme, "COMPANY_REGISTRATION") == 0;
}

/* The first number is where messages go, if it says of which kind it is. */
static void party_ids(struct ubl *ubl, const Roundhouse__Erp__V1__Party *party) {
    for (size_t i = 0; i < party->n_ids; i++) {
        const Roundhouse__Erp__V1__Identifier *id = party->ids[i];
        if (registered(id))
            continue;
        if (i == 0 && *id->scheme) {
            ubl_id(ubl, "cbc:EndpointID", id);
            continue;
        }
        struct ubl_mark mark = ubl_begin(ubl, "cac:PartyIdentification");
        ubl_id(ubl, "cbc:ID", id);
        ubl_end(ubl, mark);
    }
    struct ubl_mark name = ubl_begin(ubl, "cac:PartyName");
    ubl_text(ubl, "cbc:Name", party->name);
    ubl_end(ubl, name);
}

static void party_taxes(struct ubl *ubl, const Roundhouse__Erp__V1__Party *party) {
    for (size_t i = 0; i < party->n_tax_ids; i++) {
        const Roundhouse__Erp__V1__Identifier *id = party->tax_ids[i];
        struct ubl_mark mark = ubl_begin(ubl, "cac:PartyTaxScheme");
        ubl_text_with(ubl, "cbc:CompanyID", id->value, (ubl_attributes){"schemeID", id->agency, NULL});
        struct ubl_mark scheme = ubl_begin(ubl, "cac:TaxScheme");
        ubl_text(ubl, "cbc:ID", id->scheme);
        ubl_end_kept(ubl, scheme);
        ubl_end(ubl, mark);
    }
}

/* The name stands here, too: EN 16931 asks for it. */
static void party_entities(struct ubl *ubl, const Roundhouse__Erp__V1__Party *party) {
    bool some = false;
    for (size_t i = 0; i < party->n_ids; i++) {
        const Roundhouse__Erp__V1__Identifier *id = party->ids[i];
        if (!registered(id))
            continue;
        some = true;
        struct ubl_mark mark = ubl_begin(ubl, "cac:PartyLegalEntity");
        ubl_text(ubl, "cbc:RegistrationName", party->name);
        ubl_text_with(ubl, "cbc:CompanyID", id->value, (ubl_attributes){"schemeID", id->agency, NULL});
        ubl_end(ubl, mark);
    }
    if (some)
        return;
    struct ubl_mark mark = ubl_begin(ubl, "cac:PartyLegalEntity");
    ubl_text(ubl, "cbc:RegistrationName", party->name);
    ubl_end(ubl, mark);
}

static void party_contact(struct ubl *ubl, const Roundhouse__Erp__V1__Party *party) {
    if (party->n_contacts == 0)
        return;
    const Roundhouse__Erp__V1__Contact *contact = party->contacts[0];
    struct ubl_mark mark = ubl_begin(ubl, "cac:Contact");
    ubl_text(ubl, "cbc:Name", contact->name);
    ubl_text(ubl, "cbc:Telephone", contact->phone);
    ubl_text(ubl, "cbc:ElectronicMail", contact->email);
    ubl_end(ubl, mark);
}

void ubl_party(struct ubl *ubl, const char *name, const Roundhouse__Erp__V1__Party *party) {
    if (!party)
        return;
    struct ubl_mark mark = ubl_begin(ubl, name);
    party_ids(ubl, party);
    if (party->address) {
        struct ubl_mark address = ubl_begin(ubl, "cac:PostalAddress");
        ubl_id(ubl, "cbc:ID", party->address->location);
        address_lines(ubl, party->address);
        ubl_end(ubl, address);
    }
    party_taxes(ubl, party);
    party_entities(ubl, party);
    party_contact(ubl, party);
    ubl_end(ubl, mark);
}

void ubl_party_in(struct ubl *ubl, const char *around, const Roundhouse__Erp__V1__Party *party) {
    struct ubl_mark mark = ubl_begin(ubl, around);
    ubl_party(ubl, "cac:Party", party);
    ubl_end(ubl, mark);
}

void ubl_ship_to_place(struct ubl *ubl, const Roundhouse__Erp__V1__Party *party) {
    if (!party || !party->address)
        return;
    struct ubl_mark mark = ubl_begin(ubl, "cac:DeliveryLocation");
    ubl_id(ubl, "cbc:ID", party->address->location);
    struct ubl_mark address = ubl_begin(ubl, "cac:Address");
    address_lines(ubl, party->address);
    ubl_end(ubl, address);
    ubl_end(ubl, mark);
}

void ubl_ship_to_party(struct ubl *ubl, const Roundhouse__Erp__V1__Party *party) {
    if (!party)
        return;
    struct ubl_mark mark = ubl_begin(ubl, "cac:DeliveryParty");
    party_ids(ubl, party);
    party_contact(ubl, party);
    ubl_end(ubl, mark);
}

/* ---- items ---- */

/* The elements for numbers of an article, in the order of the schema; the last one takes every other kind. */
static const struct {
    const char *scheme, *element;
    bool many;
} item_ids[] = {
    {"BUYER", "cac:BuyersItemIdentification", false},
    {"SELLER", "cac:SellersItemIdentification", false},
    {"MANUFACTURER", "cac:ManufacturersItemIdentification", true},
    {NULL, "cac:StandardItemIdentification", false},
};
#define ITEM_IDS (sizeof item_ids / sizeof *item_ids)

static size_t item_id_kind(const Roundhouse__Erp__V1__Identifier *id) {
    size_t kind = 0;
    while (kind < ITEM_IDS - 1 && strcmp(id->scheme, item_ids[kind].scheme) != 0)
        kind++;
    return kind;
}

static void item_id(struct ubl *ubl, const char *element, const Roundhouse__Erp__V1__Identifier *id,
                    bool kind) {
    struct ubl_mark mark = ubl_begin(ubl, element);
    if (kind)
        ubl_id(ubl, "cbc:ID", id);
    else
        ubl_text(ubl, "cbc:ID", id->value);
    ubl_end(ubl, mark);
}

/* What is there twice, where the schema has room for one, goes to the end. */
static void item_ids_write(struct ubl *ubl, const Roundhouse__Erp__V1__Item *item) {
    for (size_t kind = 0; kind <= ITEM_IDS; kind++) {
        size_t seen[ITEM_IDS] = {0};
        for (size_t i = 0; i < item->n_ids; i++) {
            size_t own = item_id_kind(item->ids[i]);
            bool fits = seen[own]++ == 0 || item_ids[own].many;
            if (fits && own == kind)
                item_id(ubl, item_ids[kind].element, item->ids[i], item_ids[kind].scheme == NULL);
            else if (!fits && kind == ITEM_IDS)
                item_id(ubl, "cac:AdditionalItemIdentification", item->ids[i], true);
        }
    }
}

static void properties(struct ubl *ubl, const Roundhouse__Erp__V1__Item *item, bool classes) {
    for (size_t i = 0; i < item->n_properties; i++) {
        const Roundhouse__Erp__V1__Property *property = item->properties[i];
        if ((strcmp(property->name, "CLASSIFICATION") == 0) != classes)
            continue;
        struct ubl_mark mark =
            ubl_begin(ubl, classes ? "cac:CommodityClassification" : "cac:AdditionalItemProperty");
        if (classes) {
            ubl_text_with(ubl, "cbc:ItemClassificationCode", property->value,
                          (ubl_attributes){"listID", property->unit, NULL});
        } else {
            ubl_text(ubl, "cbc:Name", property->name);
            if (*property->unit)
                ubl_text_with(ubl, "cbc:ValueQuantity", property->value,
                              (ubl_attributes){"unitCode", property->unit, NULL});
            else
                ubl_text(ubl, "cbc:Value", property->value);
        }
        ubl_end(ubl, mark);
    }
}

static void tax_category(struct ubl *ubl, const char *name, const Roundhouse__Erp__V1__Tax *tax) {
    struct ubl_mark mark = ubl_begin(ubl, name);
    ubl_text(ubl, "cbc:ID", tax->category);
    ubl_decimal(ubl, "cbc:Percent", tax->percent);
    ubl_text(ubl, "cbc:TaxExemptionReason", tax->exemption);
    struct ubl_mark scheme = ubl_begin(ubl, "cac:TaxScheme");
    ubl_text(ubl, "cbc:ID", tax->scheme);
    ubl_end_kept(ubl, scheme);
    ubl_end(ubl, mark);
}

/* Each serial number has an instance of its own; the lot is repeated. */
static void instance(struct ubl *ubl, const Roundhouse__Erp__V1__Lot *lot, const char *serial) {
    struct ubl_mark mark = ubl_begin(ubl, "cac:ItemInstance");
    ubl_date(ubl, "cbc:ManufactureDate", lot->produced);
    if (!*lot->batch)
        ubl_date(ubl, "cbc:BestBeforeDate", lot->best_before);
    ubl_text(ubl, "cbc:SerialID", serial);
    struct ubl_mark batch = ubl_begin(ubl, "cac:LotIdentification");
    ubl_text(ubl, "cbc:LotNumberID", lot->batch);
    if (*lot->batch)
        ubl_date(ubl, "cbc:ExpiryDate", lot->best_before);
    ubl_end(ubl, batch);
    ubl_end(ubl, mark);
}

void ubl_item(struct ubl *ubl, const struct ubl_item *item) {
    struct ubl_mark mark = ubl_begin(ubl, "cac:Item");
    const Roundhouse__Erp__V1__Item *of = item->item;
    if (of) {
        ubl_notes(ubl, "cbc:Description", of->descriptions, of->n_descriptions);
        ubl_text(ubl, "cbc:Name", of->name);
        item_ids_write(ubl, of);
        struct ubl_mark origin = ubl_begin(ubl, "cac:OriginCountry");
        ubl_text(ubl, "cbc:IdentificationCode", of->origin_country);
        ubl_end(ubl, origin);
        properties(ubl, of, true);
    }
    for (size_t i = 0; i < item->tax_count; i++)
        tax_category(ubl, "cac:ClassifiedTaxCategory", item->taxes[i]);
    if (of)
        properties(ubl, of, false);
    for (size_t i = 0; i < item->lot_count; i++) {
        const Roundhouse__Erp__V1__Lot *lot = item->lots[i];
        for (size_t k = 0; k < lot->n_serials || k == 0; k++)
            instance(ubl, lot, k < lot->n_serials ? lot->serials[k] : "");
    }
    ubl_end_kept(ubl, mark);
}

void ubl_price(struct ubl *ubl, const Roundhouse__Erp__V1__Price *price) {
    if (!price)
        return;
    struct ubl_mark mark = ubl_begin(ubl, "cac:Price");
    ubl_amount(ubl, "cbc:PriceAmount", price->amount);
    ubl_quantity(ubl, "cbc:BaseQuantity", price->basis);
    if (strcmp(price->type, "NET") != 0)
        ubl_text(ubl, "cbc:PriceTypeCode", strcmp(price->type, "GROSS") == 0 ? "AAB" : price->type);
    ubl_end(ubl, mark);
}

/* ---- money ---- */

void ubl_allowances(struct ubl *ubl, Roundhouse__Erp__V1__Allowance **allowances, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const Roundhouse__Erp__V1__Allowance *allowance = allowances[i];
        struct ubl_mark mark = ubl_begin(ubl, "cac:AllowanceCharge");
        ubl_text(ubl, "cbc:ChargeIndicator", allowance->charge ? "true" : "false");
        ubl_text(ubl, "cbc:AllowanceChargeReasonCode", allowance->code);
        ubl_text(ubl, "cbc:AllowanceChargeReason", allowance->reason);
        ubl_decimal(ubl, "cbc:MultiplierFactorNumeric", allowance->percent);
        ubl_amount(ubl, "cbc:Amount", allowance->amount);
        ubl_amount(ubl, "cbc:BaseAmount", allowance->basis);
        ubl_end(ubl, mark);
    }
}

void ubl_totals(struct ubl *ubl, const char *name, const Roundhouse__Erp__V1__Totals *totals) {
    if (!totals)
        return;
    struct ubl_mark mark = ubl_begin(ubl, name);
    ubl_amount(ubl, "cbc:LineExtensionAmount", totals->lines);
    ubl_amount(ubl, "cbc:TaxExclusiveAmount", totals->tax_exclusive);
    ubl_amount(ubl, "cbc:TaxInclusiveAmount", totals->tax_inclusive);
    ubl_amount(ubl, "cbc:AllowanceTotalAmount", totals->allowances);
    ubl_amount(ubl, "cbc:ChargeTotalAmount", totals->charges);
    ubl_amount(ubl, "cbc:PrepaidAmount", totals->prepaid);
    ubl_amount(ubl, "cbc:PayableRoundingAmount", totals->rounding);
    ubl_amount(ubl, "cbc:PayableAmount", totals->payable);
    ubl_end(ubl, mark);
}

/* The parts added up; false: there is none, or the sum is too long. */
static bool tax_sum(Roundhouse__Erp__V1__Tax **taxes, size_t count, struct decimal *sum,
                    const char **currency) {
    bool some = false;
    *sum = (struct decimal){0};
    for (size_t i = 0; i < count; i++) {
        const Roundhouse__Erp__V1__Amount *tax = taxes[i]->tax;
        if (!tax || !tax->value || *tax->value->text)
            continue;
        if (!decimal_add(*sum, (struct decimal){tax->value->unscaled, tax->value->scale}, sum))
            return false;
        *currency = tax->currency;
        some = true;
    }
    return some;
}

void ubl_tax_total(struct ubl *ubl, const Roundhouse__Erp__V1__Amount *sum, Roundhouse__Erp__V1__Tax **taxes,
                   size_t count) {
    struct ubl_mark mark = ubl_begin(ubl, "cac:TaxTotal");
    struct decimal added;
    const char *currency = "";
    ubl_amount(ubl, "cbc:TaxAmount", sum);
    if (!sum && tax_sum(taxes, count, &added, &currency)) {
        char text[DECIMAL_TEXT_BYTES];
        decimal_write(added, text);
        ubl_text_with(ubl, "cbc:TaxAmount", text,
                      (ubl_attributes){"currencyID", *currency ? currency : ubl->currency, NULL});
    }
    for (size_t i = 0; i < count; i++) {
        struct ubl_mark part = ubl_begin(ubl, "cac:TaxSubtotal");
        ubl_amount(ubl, "cbc:TaxableAmount", taxes[i]->taxable);
        ubl_amount(ubl, "cbc:TaxAmount", taxes[i]->tax);
        tax_category(ubl, "cac:TaxCategory", taxes[i]);
        ubl_end(ubl, part);
    }
    ubl_end(ubl, mark);
}
