/* ubl_parts.h: what the documents of UBL have in common, as elements: texts, amounts, parties, items, taxes.
 * Owner: ubl_out.c, whose buffer it is. Thread: the caller's.
 * Nothing blocks.
 * An element that nothing was written into is taken back, so nobody asks beforehand.
 * Running out of memory is kept in the buffer. */
#pragma once

#include "codecs/event/bytes.h"
#include "roundhouse/erp/v1/erp.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ubl {
    struct bytes *out;
    uint32_t depth;
    const char *currency; /* of the document, where an amount has none of its own */
};

/* Attributes of one leaf: name, value, ..., NULL. Those with an empty value are left out. */
typedef const char *const ubl_attributes[];

/* An element with children. The mark goes to ubl_end. */
struct ubl_mark {
    const char *name; /* with its prefix */
    size_t before, inside;
};
struct ubl_mark ubl_begin(struct ubl *ubl, const char *name);
void ubl_end(struct ubl *ubl, struct ubl_mark mark);
/* Even if there is nothing inside. */
void ubl_end_kept(struct ubl *ubl, struct ubl_mark mark);

/* Leaves; nothing where the value is empty or NULL. */
void ubl_text(struct ubl *ubl, const char *name, const char *text);
void ubl_text_with(struct ubl *ubl, const char *name, const char *text, ubl_attributes attributes);
void ubl_count(struct ubl *ubl, const char *name, uint32_t number);
void ubl_decimal(struct ubl *ubl, const char *name, const Roundhouse__Erp__V1__Decimal *decimal);
void ubl_amount(struct ubl *ubl, const char *name, const Roundhouse__Erp__V1__Amount *amount);
void ubl_quantity(struct ubl *ubl, const char *name, const Roundhouse__Erp__V1__Quantity *quantity);
void ubl_id(struct ubl *ubl, const char *name, const Roundhouse__Erp__V1__Identifier *id);
void ubl_notes(struct ubl *ubl, const char *name, Roundhouse__Erp__V1__Text **notes, size_t count);
void ubl_date(struct ubl *ubl, const char *name, const Roundhouse__Erp__V1__Moment *moment);
void ubl_time(struct ubl *ubl, const char *name, const Roundhouse__Erp__V1__Moment *moment);

void ubl_period(struct ubl *ubl, const char *name, const Roundhouse__Erp__V1__Period *period);
/* ID, IssueDate, and the type where it is not NULL. */
void ubl_document(struct ubl *ubl, const char *name, const Roundhouse__Erp__V1__Reference *reference,
                  const char *type);
void ubl_party(struct ubl *ubl, const char *name, const Roundhouse__Erp__V1__Party *party);
/* As `around`/Party. */
void ubl_party_in(struct ubl *ubl, const char *around, const Roundhouse__Erp__V1__Party *party);
/* DeliveryLocation; DeliveryParty. */
void ubl_ship_to_place(struct ubl *ubl, const Roundhouse__Erp__V1__Party *party);
void ubl_ship_to_party(struct ubl *ubl, const Roundhouse__Erp__V1__Party *party);

struct ubl_item {
    const Roundhouse__Erp__V1__Item *item;
    Roundhouse__Erp__V1__Tax **taxes; /* of its line: those that go into the item */
    size_t tax_count;
    Roundhouse__Erp__V1__Lot **lots;
    size_t lot_count;
};
void ubl_item(struct ubl *ubl, const struct ubl_item *item);
void ubl_price(struct ubl *ubl, const Roundhouse__Erp__V1__Price *price);
void ubl_allowances(struct ubl *ubl, Roundhouse__Erp__V1__Allowance **allowances, size_t count);
void ubl_totals(struct ubl *ubl, const char *name, const Roundhouse__Erp__V1__Totals *totals);
/* TaxTotal with the sum and its parts; `sum` may be NULL: the parts are added. */
void ubl_tax_total(struct ubl *ubl, const Roundhouse__Erp__V1__Amount *sum, Roundhouse__Erp__V1__Tax **taxes,
                   size_t count);
/* OrderLineReference, for a reference to an order. */
void ubl_order_line(struct ubl *ubl, const Roundhouse__Erp__V1__Reference *reference);
