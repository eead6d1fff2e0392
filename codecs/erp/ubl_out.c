/* The documents, element by element as UBL 2.1 has them. */
#include "codecs/erp/ubl.h"

#include "codecs/erp/ubl_parts.h"

#include <string.h>

#define SCHEMA "urn:oasis:names:specification:ubl:schema:xsd:"

/* ---- beginning and end ---- */

static void document_begin(struct ubl *ubl, const char *name, const Roundhouse__Erp__V1__Header *header) {
    bytes_text(ubl->out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<");
    bytes_text(ubl->out, name);
    bytes_text(ubl->out, " xmlns=\"" SCHEMA);
    bytes_text(ubl->out, name);
    bytes_text(ubl->out, "-2\" xmlns:cac=\"" SCHEMA "CommonAggregateComponents-2\" xmlns:cbc=\"" SCHEMA
                         "CommonBasicComponents-2\">");
    ubl->depth = 1;
    ubl->currency = header ? header->currency : "";
    ubl_text(ubl, "cbc:UBLVersionID", "2.1");
    if (header)
        ubl_text(ubl, "cbc:ID", header->id);
}

static void document_end(struct ubl *ubl, const char *name) {
    bytes_text(ubl->out, "\n</");
    bytes_text(ubl->out, name);
    bytes_text(ubl->out, ">\n");
}

static void issued(struct ubl *ubl, const Roundhouse__Erp__V1__Header *header) {
    if (!header)
        return;
    if (strcmp(header->function, "COPY") == 0)
        ubl_text(ubl, "cbc:CopyIndicator", "true");
    ubl_date(ubl, "cbc:IssueDate", header->issued);
    ubl_time(ubl, "cbc:IssueTime", header->issued);
}

static void notes(struct ubl *ubl, const Roundhouse__Erp__V1__Header *header) {
    if (header)
        ubl_notes(ubl, "cbc:Note", header->notes, header->n_notes);
}

static void currency(struct ubl *ubl, const Roundhouse__Erp__V1__Header *header) {
    if (header)
        ubl_text(ubl, "cbc:DocumentCurrencyCode", header->currency);
}

static void line_count(struct ubl *ubl, const Roundhouse__Erp__V1__Totals *totals) {
    if (totals)
        ubl_count(ubl, "cbc:LineCountNumeric", totals->line_count);
}

/* ---- references ---- */

/* Where a document has which references, in the order of its schema. `most` is how many have room. */
struct place_of {
    const char *type;
    const char *element;
    size_t most; /* 0: any number */
    const char *around;
};

static const struct place_of order_places[] = {
    {"QUOTATION", "cac:QuotationDocumentReference", 1, NULL},
    {"ORDER", "cac:OrderDocumentReference", 0, NULL},
    {"ORIGINATOR", "cac:OriginatorDocumentReference", 1, NULL},
    {NULL, "cac:AdditionalDocumentReference", 0, NULL},
    {"CONTRACT", "cac:Contract", 0, NULL},
    {"PROJECT", "cac:ProjectReference", 0, NULL},
    {NULL, NULL, 0, NULL},
};
static const struct place_of change_places[] = {
    {"ORDER", "cac:OrderReference", 1, NULL},
    {"QUOTATION", "cac:QuotationDocumentReference", 1, NULL},
    {"ORIGINATOR", "cac:OriginatorDocumentReference", 1, NULL},
    {NULL, "cac:AdditionalDocumentReference", 0, NULL},
    {"CONTRACT", "cac:Contract", 0, NULL},
    {NULL, NULL, 0, NULL},
};
static const struct place_of despatch_places[] = {
    {"ORDER", "cac:OrderReference", 0, NULL},
    {NULL, "cac:AdditionalDocumentReference", 0, NULL},
    {NULL, NULL, 0, NULL},
};
static const struct place_of invoice_places[] = {
    {"ORDER", "cac:OrderReference", 1, NULL},
    {"INVOICE", "cac:InvoiceDocumentReference", 0, "cac:BillingReference"},
    {"CREDIT_NOTE", "cac:CreditNoteDocumentReference", 0, "cac:BillingReference"},
    {"DESPATCH", "cac:DespatchDocumentReference", 0, NULL},
    {"RECEIPT", "cac:ReceiptDocumentReference", 0, NULL},
    {"ORIGINATOR", "cac:OriginatorDocumentReference", 0, NULL},
    {"CONTRACT", "cac:ContractDocumentReference", 0, NULL},
    {NULL, "cac:AdditionalDocumentReference", 0, NULL},
    {"PROJECT", "cac:ProjectReference", 0, NULL},
    {NULL, NULL, 0, NULL},
};
static const struct place_of credit_places[] = {
    {"ORDER", "cac:OrderReference", 1, NULL},
    {"INVOICE", "cac:InvoiceDocumentReference", 0, "cac:BillingReference"},
    {"CREDIT_NOTE", "cac:CreditNoteDocumentReference", 0, "cac:BillingReference"},
    {"DESPATCH", "cac:DespatchDocumentReference", 0, NULL},
    {"RECEIPT", "cac:ReceiptDocumentReference", 0, NULL},
    {"CONTRACT", "cac:ContractDocumentReference", 0, NULL},
    {NULL, "cac:AdditionalDocumentReference", 0, NULL},
    {"ORIGINATOR", "cac:OriginatorDocumentReference", 0, NULL},
    {NULL, NULL, 0, NULL},
};

/* A leaf of the document that is a reference, too. */
static const char *const leaf_types[] = {"BUYER_REFERENCE", "CUSTOMER_REFERENCE"};

static bool leaf_type(const char *type) {
    for (size_t i = 0; i < sizeof leaf_types / sizeof *leaf_types; i++)
        if (strcmp(type, leaf_types[i]) == 0)
            return true;
    return false;
}

static void reference_leaf(struct ubl *ubl, const char *name, const Roundhouse__Erp__V1__Header *header,
                           const char *type) {
    for (size_t i = 0; header && i < header->n_references; i++)
        if (strcmp(header->references[i]->type, type) == 0) {
            ubl_text(ubl, name, header->references[i]->id);
            return;
        }
}

static const struct place_of *place_for(const struct place_of *places, const char *type) {
    for (; places->element; places++)
        if (places->type && strcmp(places->type, type) == 0)
            return places;
    return NULL;
}

/* Whether the seller's number of an order stands behind the buyer's: then both go into one OrderReference. */
static bool seller_order_behind(const Roundhouse__Erp__V1__Header *header, size_t i) {
    return i + 1 < header->n_references && strcmp(header->references[i]->type, "ORDER") == 0 &&
           strcmp(header->references[i + 1]->type, "SELLER_ORDER") == 0 && !header->references[i + 1]->date;
}

static void order_reference(struct ubl *ubl, const Roundhouse__Erp__V1__Reference *order,
                            const Roundhouse__Erp__V1__Reference *seller) {
    struct ubl_mark mark = ubl_begin(ubl, "cac:OrderReference");
    ubl_text(ubl, "cbc:ID", order->id);
    if (seller)
        ubl_text(ubl, "cbc:SalesOrderID", seller->id);
    ubl_date(ubl, "cbc:IssueDate", order->date);
    ubl_end(ubl, mark);
}

/* How many references before this one have the same place. */
static size_t taken(const Roundhouse__Erp__V1__Header *header, size_t i) {
    size_t n = 0;
    for (size_t k = 0; k < i; k++)
        n += strcmp(header->references[k]->type, header->references[i]->type) == 0;
    return n;
}

static void reference_write(struct ubl *ubl, const Roundhouse__Erp__V1__Header *header, size_t i,
                            const struct place_of *place) {
    const Roundhouse__Erp__V1__Reference *reference = header->references[i];
    if (strcmp(place->element, "cac:OrderReference") == 0) {
        order_reference(ubl, reference, seller_order_behind(header, i) ? header->references[i + 1] : NULL);
    } else if (place->around) {
        struct ubl_mark mark = ubl_begin(ubl, place->around);
        ubl_document(ubl, place->element, reference, NULL);
        ubl_end(ubl, mark);
    } else {
        bool plain = place->type || strcmp(reference->type, "DOCUMENT") == 0;
        ubl_document(ubl, place->element, reference, plain ? NULL : reference->type);
    }
}

static void references(struct ubl *ubl, const Roundhouse__Erp__V1__Header *header,
                       const struct place_of *places) {
    for (const struct place_of *place = places; header && place->element; place++)
        for (size_t i = 0; i < header->n_references; i++) {
            const char *type = header->references[i]->type;
            const struct place_of *own = place_for(places, type);
            bool fits = own && (own->most == 0 || taken(header, i) < own->most);
            bool with = i > 0 && seller_order_behind(header, i - 1) && place_for(places, "ORDER") &&
                        strcmp(place_for(places, "ORDER")->element, "cac:OrderReference") == 0 &&
                        (place_for(places, "ORDER")->most == 0 || taken(header, i - 1) == 0);
            if (leaf_type(type) || with)
                continue;
            if (place->type ? fits && own == place : !fits)
                reference_write(ubl, header, i, place);
        }
}

/* ---- orders ---- */

static const char *line_status(const char *action) {
    static const char *const words[][2] = {
        {"ADDED", "Added"}, {"CHANGED", "Revised"}, {"DELETED", "Cancelled"}, {"UNCHANGED", "NoStatus"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(action, words[i][0]) == 0)
            return words[i][1];
    return action;
}

static void schedule(struct ubl *ubl, const Roundhouse__Erp__V1__Schedule *schedule) {
    struct ubl_mark mark = ubl_begin(ubl, "cac:Delivery");
    ubl_quantity(ubl, "cbc:Quantity", schedule->quantity);
    struct ubl_mark location = ubl_begin(ubl, "cac:DeliveryLocation");
    ubl_id(ubl, "cbc:ID", schedule->location);
    ubl_end(ubl, location);
    struct ubl_mark period = ubl_begin(ubl, "cac:RequestedDeliveryPeriod");
    ubl_date(ubl, "cbc:EndDate", schedule->date);
    ubl_end(ubl, period);
    ubl_end(ubl, mark);
}

static bool of_order(const Roundhouse__Erp__V1__Reference *reference) {
    return strcmp(reference->type, "ORDER") == 0 && *reference->line;
}

static void order_line_references(struct ubl *ubl, Roundhouse__Erp__V1__Reference **list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (of_order(list[i]))
            ubl_order_line(ubl, list[i]);
}

static void other_documents(struct ubl *ubl, Roundhouse__Erp__V1__Reference **list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!of_order(list[i]))
            ubl_document(ubl, "cac:DocumentReference", list[i],
                         strcmp(list[i]->type, "DOCUMENT") == 0 ? NULL : list[i]->type);
}

static void order_line(struct ubl *ubl, const Roundhouse__Erp__V1__OrderLine *line) {
    struct ubl_mark mark = ubl_begin(ubl, "cac:OrderLine");
    ubl_notes(ubl, "cbc:Note", line->notes, line->n_notes);
    struct ubl_mark item = ubl_begin(ubl, "cac:LineItem");
    ubl_text(ubl, "cbc:ID", line->id);
    ubl_text(ubl, "cbc:LineStatusCode", line_status(line->action));
    ubl_quantity(ubl, "cbc:Quantity", line->quantity);
    ubl_amount(ubl, "cbc:LineExtensionAmount", line->net);
    for (size_t i = 0; i < line->n_schedules; i++)
        schedule(ubl, line->schedules[i]);
    ubl_allowances(ubl, line->allowances, line->n_allowances);
    ubl_price(ubl, line->price);
    ubl_item(ubl, &(struct ubl_item){.item = line->item, .taxes = line->taxes, .tax_count = line->n_taxes});
    ubl_end(ubl, item);
    order_line_references(ubl, line->references, line->n_references);
    other_documents(ubl, line->references, line->n_references);
    ubl_end(ubl, mark);
}

static void order_delivery(struct ubl *ubl, const Roundhouse__Erp__V1__Order *order) {
    struct ubl_mark mark = ubl_begin(ubl, "cac:Delivery");
    ubl_ship_to_place(ubl, order->ship_to);
    ubl_period(ubl, "cac:RequestedDeliveryPeriod", order->delivery);
    ubl_ship_to_party(ubl, order->ship_to);
    ubl_end(ubl, mark);
}

static void order_body(struct ubl *ubl, const Roundhouse__Erp__V1__Order *order) {
    ubl_party_in(ubl, "cac:BuyerCustomerParty", order->buyer);
    ubl_party_in(ubl, "cac:SellerSupplierParty", order->seller);
    ubl_party_in(ubl, "cac:AccountingCustomerParty", order->invoice_to);
    order_delivery(ubl, order);
    struct ubl_mark terms = ubl_begin(ubl, "cac:DeliveryTerms");
    ubl_text(ubl, "cbc:ID", order->incoterms);
    ubl_end(ubl, terms);
    struct ubl_mark payment = ubl_begin(ubl, "cac:PaymentTerms");
    ubl_text(ubl, "cbc:Note", order->payment_terms);
    ubl_end(ubl, payment);
    if (order->totals)
        ubl_tax_total(ubl, order->totals->tax, NULL, 0);
    ubl_totals(ubl, "cac:AnticipatedMonetaryTotal", order->totals);
    for (size_t i = 0; i < order->n_lines; i++)
        order_line(ubl, order->lines[i]);
}

static void order_change(struct ubl *ubl, const Roundhouse__Erp__V1__Order *order) {
    const Roundhouse__Erp__V1__Header *header = order->header;
    document_begin(ubl, "OrderChange", header);
    issued(ubl, header);
    ubl_text(ubl, "cbc:SequenceNumberID", "1");
    notes(ubl, header);
    currency(ubl, header);
    reference_leaf(ubl, "cbc:CustomerReference", header, "CUSTOMER_REFERENCE");
    line_count(ubl, order->totals);
    references(ubl, header, change_places);
    order_body(ubl, order);
    document_end(ubl, "OrderChange");
}

static void order_cancellation(struct ubl *ubl, const Roundhouse__Erp__V1__Order *order) {
    const Roundhouse__Erp__V1__Header *header = order->header;
    size_t last = header->n_notes ? header->n_notes - 1 : 0;
    document_begin(ubl, "OrderCancellation", header);
    issued(ubl, header);
    ubl_notes(ubl, "cbc:Note", header->notes, last);
    ubl_notes(ubl, "cbc:CancellationNote", header->notes + last, header->n_notes - last);
    references(ubl, header, change_places);
    ubl_party_in(ubl, "cac:BuyerCustomerParty", order->buyer);
    ubl_party_in(ubl, "cac:SellerSupplierParty", order->seller);
    document_end(ubl, "OrderCancellation");
}

static void order_write(struct ubl *ubl, const Roundhouse__Erp__V1__Order *order) {
    const Roundhouse__Erp__V1__Header *header = order->header;
    if (header && strcmp(header->function, "CHANGE") == 0) {
        order_change(ubl, order);
        return;
    }
    if (header && strcmp(header->function, "CANCEL") == 0) {
        order_cancellation(ubl, order);
        return;
    }
    document_begin(ubl, "Order", header);
    issued(ubl, header);
    if (header)
        ubl_text(ubl, "cbc:OrderTypeCode", header->type_code);
    notes(ubl, header);
    currency(ubl, header);
    reference_leaf(ubl, "cbc:CustomerReference", header, "CUSTOMER_REFERENCE");
    line_count(ubl, order->totals);
    references(ubl, header, order_places);
    order_body(ubl, order);
    document_end(ubl, "Order");
}

/* ---- responses ---- */

/* UN/EDIFACT 4343 and 1229, as Peppol has them. */
static const char *response_code(const char *status) {
    static const char *const codes[][2] = {
        {"RECEIVED", "AB"}, {"ACCEPTED", "AP"}, {"CHANGED", "CA"}, {"REJECTED", "RE"}};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(status, codes[i][0]) == 0)
            return codes[i][1];
    return status;
}

static const char *line_response(const char *status) {
    static const char *const codes[][2] = {{"ACCEPTED", "5"}, {"CHANGED", "3"}, {"REJECTED", "7"}};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(status, codes[i][0]) == 0)
            return codes[i][1];
    return status;
}

static void promise(struct ubl *ubl, const Roundhouse__Erp__V1__Moment *promised) {
    struct ubl_mark mark = ubl_begin(ubl, "cac:Delivery");
    struct ubl_mark period = ubl_begin(ubl, "cac:PromisedDeliveryPeriod");
    ubl_date(ubl, "cbc:EndDate", promised);
    ubl_end(ubl, period);
    ubl_end(ubl, mark);
}

static void response_line(struct ubl *ubl, const Roundhouse__Erp__V1__OrderResponseLine *response) {
    const Roundhouse__Erp__V1__OrderLine *line = response->line;
    struct ubl_mark mark = ubl_begin(ubl, "cac:OrderLine");
    if (line) {
        struct ubl_mark item = ubl_begin(ubl, "cac:LineItem");
        ubl_text(ubl, "cbc:ID", line->id);
        ubl_notes(ubl, "cbc:Note", line->notes, line->n_notes);
        ubl_text(ubl, "cbc:LineStatusCode", line_response(response->status));
        ubl_quantity(ubl, "cbc:Quantity", line->quantity);
        ubl_amount(ubl, "cbc:LineExtensionAmount", line->net);
        promise(ubl, response->promised);
        ubl_price(ubl, line->price);
        ubl_item(ubl, &(struct ubl_item){.item = line->item});
        ubl_end(ubl, item);
    }
    if (response->substitute) {
        struct ubl_mark substitute = ubl_begin(ubl, "cac:SellerSubstitutedLineItem");
        if (line)
            ubl_text(ubl, "cbc:ID", line->id);
        ubl_item(ubl, &(struct ubl_item){.item = response->substitute});
        ubl_end(ubl, substitute);
    }
    if (line)
        order_line_references(ubl, line->references, line->n_references);
    ubl_end(ubl, mark);
}

static void response_write(struct ubl *ubl, const Roundhouse__Erp__V1__OrderResponse *response) {
    const Roundhouse__Erp__V1__Header *header = response->header;
    document_begin(ubl, "OrderResponse", header);
    issued(ubl, header);
    ubl_text(ubl, "cbc:OrderResponseCode", response_code(response->status));
    notes(ubl, header);
    currency(ubl, header);
    line_count(ubl, response->totals);
    if (response->order)
        order_reference(ubl, response->order, NULL);
    ubl_party_in(ubl, "cac:SellerSupplierParty", response->seller);
    ubl_party_in(ubl, "cac:BuyerCustomerParty", response->buyer);
    if (response->totals)
        ubl_tax_total(ubl, response->totals->tax, NULL, 0);
    ubl_totals(ubl, "cac:LegalMonetaryTotal", response->totals);
    for (size_t i = 0; i < response->n_lines; i++)
        response_line(ubl, response->lines[i]);
    document_end(ubl, "OrderResponse");
}

/* ---- despatch advices ---- */

/* A line of the advice that is in a unit; the schema asks for its order and for an item. */
static void unit_line(struct ubl *ubl, const Roundhouse__Erp__V1__DespatchAdvice *advice, const char *id) {
    struct ubl_mark mark = ubl_begin(ubl, "cac:HandlingUnitDespatchLine");
    ubl_text(ubl, "cbc:ID", id);
    for (size_t i = 0; i < advice->n_lines; i++)
        if (strcmp(advice->lines[i]->id, id) == 0 && advice->lines[i]->order_line)
            ubl_order_line(ubl, advice->lines[i]->order_line);
    ubl_item(ubl, &(struct ubl_item){0});
    ubl_end(ubl, mark);
}

static void handling_unit(struct ubl *ubl, const Roundhouse__Erp__V1__DespatchAdvice *advice,
                          const Roundhouse__Erp__V1__HandlingUnit *unit) {
    struct ubl_mark mark = ubl_begin(ubl, "cac:TransportHandlingUnit");
    ubl_id(ubl, "cbc:ID", unit->id);
    ubl_text(ubl, "cbc:TransportHandlingUnitTypeCode", unit->package_type);
    for (size_t i = 0; i < unit->n_line_ids; i++)
        unit_line(ubl, advice, unit->line_ids[i]);
    if (unit->gross_weight) {
        struct ubl_mark weight = ubl_begin(ubl, "cac:MeasurementDimension");
        ubl_text(ubl, "cbc:AttributeID", "AAB");
        ubl_quantity(ubl, "cbc:Measure", unit->gross_weight);
        ubl_end(ubl, weight);
    }
    ubl_end(ubl, mark);
}

static void shipment_delivery(struct ubl *ubl, const Roundhouse__Erp__V1__DespatchAdvice *advice) {
    struct ubl_mark mark = ubl_begin(ubl, "cac:Delivery");
    ubl_text(ubl, "cbc:TrackingID", advice->tracking);
    ubl_period(ubl, "cac:EstimatedDeliveryPeriod", advice->delivery);
    ubl_party(ubl, "cac:CarrierParty", advice->carrier);
    struct ubl_mark despatch = ubl_begin(ubl, "cac:Despatch");
    ubl_date(ubl, "cbc:ActualDespatchDate", advice->shipped);
    ubl_time(ubl, "cbc:ActualDespatchTime", advice->shipped);
    ubl_end(ubl, despatch);
    ubl_end(ubl, mark);
}

static void shipment(struct ubl *ubl, const Roundhouse__Erp__V1__DespatchAdvice *advice) {
    struct ubl_mark mark = ubl_begin(ubl, "cac:Shipment");
    ubl_text(ubl, "cbc:ID", "1");
    struct ubl_mark stage = ubl_begin(ubl, "cac:ShipmentStage");
    ubl_text(ubl, "cbc:TransportModeCode", advice->transport_mode);
    ubl_end(ubl, stage);
    shipment_delivery(ubl, advice);
    for (size_t i = 0; i < advice->n_units; i++)
        handling_unit(ubl, advice, advice->units[i]);
    ubl_end(ubl, mark);
}

static void despatch_line(struct ubl *ubl, const Roundhouse__Erp__V1__DespatchLine *line) {
    struct ubl_mark mark = ubl_begin(ubl, "cac:DespatchLine");
    ubl_text(ubl, "cbc:ID", line->id);
    ubl_quantity(ubl, "cbc:DeliveredQuantity", line->shipped);
    ubl_quantity(ubl, "cbc:OutstandingQuantity", line->outstanding);
    if (line->order_line)
        ubl_order_line(ubl, line->order_line);
    ubl_item(ubl, &(struct ubl_item){.item = line->item, .lots = line->lots, .lot_count = line->n_lots});
    if (*line->handling_unit) {
        struct ubl_mark place = ubl_begin(ubl, "cac:Shipment");
        ubl_text(ubl, "cbc:ID", "1");
        struct ubl_mark unit = ubl_begin(ubl, "cac:TransportHandlingUnit");
        ubl_text(ubl, "cbc:ID", line->handling_unit);
        ubl_end(ubl, unit);
        ubl_end(ubl, place);
    }
    ubl_end(ubl, mark);
}

/* A party that the schema asks for, even if nobody knows who it is. */
static void party_kept(struct ubl *ubl, const char *around, const Roundhouse__Erp__V1__Party *party) {
    struct ubl_mark mark = ubl_begin(ubl, around);
    ubl_party(ubl, "cac:Party", party);
    ubl_end_kept(ubl, mark);
}

static void despatch_write(struct ubl *ubl, const Roundhouse__Erp__V1__DespatchAdvice *advice) {
    const Roundhouse__Erp__V1__Header *header = advice->header;
    document_begin(ubl, "DespatchAdvice", header);
    issued(ubl, header);
    if (header)
        ubl_text(ubl, "cbc:DespatchAdviceTypeCode", header->type_code);
    notes(ubl, header);
    references(ubl, header, despatch_places);
    party_kept(ubl, "cac:DespatchSupplierParty", advice->ship_from);
    party_kept(ubl, "cac:DeliveryCustomerParty", advice->ship_to);
    ubl_party_in(ubl, "cac:BuyerCustomerParty", advice->buyer);
    ubl_party_in(ubl, "cac:SellerSupplierParty", advice->seller);
    shipment(ubl, advice);
    for (size_t i = 0; i < advice->n_lines; i++)
        despatch_line(ubl, advice->lines[i]);
    document_end(ubl, "DespatchAdvice");
}

/* ---- invoices ---- */

static void account(struct ubl *ubl, const Roundhouse__Erp__V1__Identifier *number,
                    const Roundhouse__Erp__V1__Identifier *bank) {
    struct ubl_mark mark = ubl_begin(ubl, "cac:PayeeFinancialAccount");
    if (number)
        ubl_text(ubl, "cbc:ID", number->value);
    struct ubl_mark branch = ubl_begin(ubl, "cac:FinancialInstitutionBranch");
    if (bank)
        ubl_text(ubl, "cbc:ID", bank->value);
    ubl_end(ubl, branch);
    ubl_end(ubl, mark);
}

static bool is_bank(const Roundhouse__Erp__V1__Identifier *id) {
    return strcmp(id->scheme, "BIC") == 0;
}

/* One for each account, and the bank behind it. */
static void payment_means(struct ubl *ubl, const Roundhouse__Erp__V1__Invoice *invoice) {
    size_t i = 0;
    do {
        struct ubl_mark mark = ubl_begin(ubl, "cac:PaymentMeans");
        const Roundhouse__Erp__V1__Identifier *number = NULL, *bank = NULL;
        if (i < invoice->n_accounts && !is_bank(invoice->accounts[i]))
            number = invoice->accounts[i++];
        if (i < invoice->n_accounts && is_bank(invoice->accounts[i]))
            bank = invoice->accounts[i++];
        bool needed = number || bank || *invoice->payment_reference || invoice->credit;
        ubl_text(ubl, "cbc:PaymentMeansCode",
                 *invoice->payment_means      ? invoice->payment_means
                 : needed && (number || bank) ? "1"
                                              : "");
        if (invoice->credit)
            ubl_date(ubl, "cbc:PaymentDueDate", invoice->due);
        if (number && strcmp(number->scheme, "IBAN") == 0)
            ubl_text(ubl, "cbc:PaymentChannelCode", "IBAN");
        ubl_text(ubl, "cbc:PaymentID", invoice->payment_reference);
        account(ubl, number, bank);
        ubl_end(ubl, mark);
    } while (i < invoice->n_accounts);
}

/* A tax of a line that says what of the amount it is of: a part of TaxTotal. Others go into the item. */
static bool part_of_total(const Roundhouse__Erp__V1__Tax *tax, size_t count) {
    return tax->taxable || (tax->tax && count > 1) || (tax->tax && !*tax->category && !tax->percent);
}

static size_t parts(const Roundhouse__Erp__V1__InvoiceLine *line) {
    size_t n = 0;
    while (n < line->n_taxes && part_of_total(line->taxes[n], line->n_taxes))
        n++;
    return n;
}

static void line_tax_total(struct ubl *ubl, const Roundhouse__Erp__V1__InvoiceLine *line, size_t split) {
    if (split > 0)
        ubl_tax_total(ubl, NULL, line->taxes, split);
    else if (line->n_taxes == 1)
        ubl_tax_total(ubl, line->taxes[0]->tax, NULL, 0);
}

static void line_documents(struct ubl *ubl, const Roundhouse__Erp__V1__InvoiceLine *line) {
    static const struct place_of places[] = {{"DESPATCH", "cac:DespatchLineReference", 0, NULL},
                                             {"RECEIPT", "cac:ReceiptLineReference", 0, NULL}};
    order_line_references(ubl, line->references, line->n_references);
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < line->n_references; i++) {
            const Roundhouse__Erp__V1__Reference *reference = line->references[i];
            if (strcmp(reference->type, places[k].type) != 0 || !*reference->line)
                continue;
            struct ubl_mark mark = ubl_begin(ubl, places[k].element);
            ubl_text(ubl, "cbc:LineID", reference->line);
            if (*reference->id)
                ubl_document(ubl, "cac:DocumentReference", reference, NULL);
            ubl_end(ubl, mark);
        }
    for (size_t i = 0; i < line->n_references; i++) {
        const Roundhouse__Erp__V1__Reference *reference = line->references[i];
        bool placed = *reference->line && (of_order(reference) || strcmp(reference->type, "DESPATCH") == 0 ||
                                           strcmp(reference->type, "RECEIPT") == 0);
        if (!placed)
            ubl_document(ubl, "cac:DocumentReference", reference, reference->type);
    }
}

static void invoice_line(struct ubl *ubl, const Roundhouse__Erp__V1__InvoiceLine *line, bool credit) {
    struct ubl_mark mark = ubl_begin(ubl, credit ? "cac:CreditNoteLine" : "cac:InvoiceLine");
    size_t split = parts(line);
    ubl_text(ubl, "cbc:ID", line->id);
    ubl_quantity(ubl, credit ? "cbc:CreditedQuantity" : "cbc:InvoicedQuantity", line->quantity);
    ubl_amount(ubl, "cbc:LineExtensionAmount", line->net);
    line_documents(ubl, line);
    if (credit)
        line_tax_total(ubl, line, split);
    ubl_allowances(ubl, line->allowances, line->n_allowances);
    if (!credit)
        line_tax_total(ubl, line, split);
    ubl_item(ubl, &(struct ubl_item){
                      .item = line->item, .taxes = line->taxes + split, .tax_count = line->n_taxes - split});
    ubl_price(ubl, line->price);
    ubl_end(ubl, mark);
}

static void invoice_head(struct ubl *ubl, const Roundhouse__Erp__V1__Invoice *invoice) {
    const Roundhouse__Erp__V1__Header *header = invoice->header;
    issued(ubl, header);
    if (invoice->credit) {
        ubl_date(ubl, "cbc:TaxPointDate", invoice->tax_point);
        ubl_text(ubl, "cbc:CreditNoteTypeCode", header ? header->type_code : "");
        notes(ubl, header);
    } else {
        ubl_date(ubl, "cbc:DueDate", invoice->due);
        ubl_text(ubl, "cbc:InvoiceTypeCode", header ? header->type_code : "");
        notes(ubl, header);
        ubl_date(ubl, "cbc:TaxPointDate", invoice->tax_point);
    }
    currency(ubl, header);
    line_count(ubl, invoice->totals);
    reference_leaf(ubl, "cbc:BuyerReference", header, "BUYER_REFERENCE");
    references(ubl, header, invoice->credit ? credit_places : invoice_places);
}

static void invoice_delivery(struct ubl *ubl, const Roundhouse__Erp__V1__Invoice *invoice) {
    struct ubl_mark mark = ubl_begin(ubl, "cac:Delivery");
    ubl_ship_to_place(ubl, invoice->ship_to);
    ubl_ship_to_party(ubl, invoice->ship_to);
    ubl_end(ubl, mark);
}

static void invoice_write(struct ubl *ubl, const Roundhouse__Erp__V1__Invoice *invoice) {
    const char *name = invoice->credit ? "CreditNote" : "Invoice";
    document_begin(ubl, name, invoice->header);
    invoice_head(ubl, invoice);
    ubl_party_in(ubl, "cac:AccountingSupplierParty", invoice->seller);
    ubl_party_in(ubl, "cac:AccountingCustomerParty", invoice->buyer);
    ubl_party(ubl, "cac:PayeeParty", invoice->payee);
    invoice_delivery(ubl, invoice);
    payment_means(ubl, invoice);
    ubl_allowances(ubl, invoice->allowances, invoice->n_allowances);
    if (invoice->totals || invoice->n_taxes > 0)
        ubl_tax_total(ubl, invoice->totals ? invoice->totals->tax : NULL, invoice->taxes, invoice->n_taxes);
    ubl_totals(ubl, "cac:LegalMonetaryTotal", invoice->totals);
    for (size_t i = 0; i < invoice->n_lines; i++)
        invoice_line(ubl, invoice->lines[i], invoice->credit);
    document_end(ubl, name);
}

bool erp_ubl_write(const ProtobufCMessage *message, struct bytes *out) {
    struct ubl ubl = {.out = out};
    if (message->descriptor == &roundhouse__erp__v1__order__descriptor)
        order_write(&ubl, (const void *)message);
    else if (message->descriptor == &roundhouse__erp__v1__order_response__descriptor)
        response_write(&ubl, (const void *)message);
    else if (message->descriptor == &roundhouse__erp__v1__despatch_advice__descriptor)
        despatch_write(&ubl, (const void *)message);
    else if (message->descriptor == &roundhouse__erp__v1__invoice__descriptor)
        invoice_write(&ubl, (const void *)message);
    else
        return false;
    return true;
}
