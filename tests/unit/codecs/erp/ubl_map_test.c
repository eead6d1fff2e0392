#include "tests/unit/codecs/erp/canonical.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(ubl_maps, say_what_stands_in_the_documents) {
    struct canonical canonical;
    canonical_new(&canonical);
    cr_expect(canonical_expect(&canonical, "ubl.tsv") > 150);
    canonical_free(&canonical);
    LEAKS_NONE();
}

Test(ubl_maps, are_there_for_every_document_that_is_read) {
    static const char *const names[] = {
        "Order",          "OrderChange",         "OrderCancellation", "OrderResponse", "OrderResponseSimple",
        "DespatchAdvice", "ReceiptAdvice",       "Invoice",           "CreditNote",    "InventoryReport",
        "Catalogue",      "ApplicationResponse", "RemittanceAdvice"};
    struct canonical canonical;
    canonical_new(&canonical);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct map_error error = {""};
        cr_expect(map_find(canonical.library, "UBL", names[i], "", &error), "%s: %s", names[i], error.text);
    }
    canonical_free(&canonical);
}

/* Sums that do not add up in the document itself: OASIS' invoice counts its rounding twice, and a credit note
 * leaves an allowance out. */
Test(ubl_maps, find_what_does_not_add_up) {
    static const struct {
        const char *file;
        uint32_t sums;
    } samples[] = {{"ubl/oasis__UBL-Invoice-2.1-Example.xml", 2},
                   {"ubl/oasis__UBL-CreditNote-2.1-Example.xml", 2},
                   {"ubl/gobl__custom-namespace-prefixes.xml", 1},
                   {"ubl/kosit__01.01a-INVOICE_ubl.xml", 0},
                   {"ubl/gobl__discount-taxes.xml", 0},
                   {"ubl/oasis__UBL-Order-2.1-Example.xml", 0}};
    struct canonical canonical;
    canonical_new(&canonical);
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        canonical_read_file(&canonical, samples[i].file);
        cr_expect(canonical.findings[FINDING_MAP_SUM] == samples[i].sums, "%s: %u", samples[i].file,
                  canonical.findings[FINDING_MAP_SUM]);
        cr_expect(canonical.errors == samples[i].sums, "%s: %u", samples[i].file, canonical.errors);
    }
    canonical_free(&canonical);
}

/* A party without a name of its own has that of its legal entity, whatever the party before it had. */
Test(ubl_maps, forget_what_the_party_before_had) {
    static const char document[] =
        "<Invoice xmlns='urn:oasis:names:specification:ubl:schema:xsd:Invoice-2' "
        "xmlns:c='urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2' "
        "xmlns:b='urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2'><b:ID>1</b:ID>"
        "<c:AccountingSupplierParty><c:Party><c:PartyName><b:Name>S</b:Name></c:PartyName>"
        "<c:PartyLegalEntity><b:RegistrationName>no</b:RegistrationName></c:PartyLegalEntity></c:Party>"
        "</c:AccountingSupplierParty><c:AccountingCustomerParty><c:Party>"
        "<c:PartyTaxScheme><c:TaxScheme><b:ID>VAT</b:ID></c:TaxScheme></c:PartyTaxScheme>"
        "<c:PartyLegalEntity><b:RegistrationName>B</b:RegistrationName></c:PartyLegalEntity></c:Party>"
        "</c:AccountingCustomerParty>"
        "<c:TaxTotal><b:TaxAmount currencyID='EUR'>19</b:TaxAmount><c:TaxSubtotal>"
        "<b:TaxAmount currencyID='EUR'>19</b:TaxAmount></c:TaxSubtotal></c:TaxTotal>"
        "<c:TaxTotal><b:TaxAmount currencyID='SEK'>200</b:TaxAmount></c:TaxTotal>"
        "<c:InvoiceLine><b:ID>1</b:ID><c:TaxTotal><b:TaxAmount currencyID='EUR'>19</b:TaxAmount></c:TaxTotal>"
        "<c:Item><c:ClassifiedTaxCategory><b:ID>S</b:ID></c:ClassifiedTaxCategory></c:Item></c:InvoiceLine>"
        "<c:InvoiceLine><b:ID>2</b:ID><c:Item><c:ClassifiedTaxCategory><b:ID>E</b:ID>"
        "</c:ClassifiedTaxCategory></c:Item></c:InvoiceLine></Invoice>";
    struct canonical canonical;
    canonical_new(&canonical);
    canonical_read(&canonical, document, sizeof document - 1);
    char *text = json_dumps(canonical.json, JSON_COMPACT | JSON_SORT_KEYS);
    cr_expect_str_eq(text,
                     "{\"buyer\":{\"name\":\"B\"},\"header\":{\"function\":\"ORIGINAL\",\"id\":\"1\"},"
                     "\"lines\":[{\"id\":\"1\",\"taxes\":[{\"category\":\"S\",\"tax\":"
                     "{\"currency\":\"EUR\",\"value\":\"19\"}}]},{\"id\":\"2\","
                     "\"taxes\":[{\"category\":\"E\"}]}],\"seller\":{\"name\":\"S\"},\"taxes\":[{\"tax\":"
                     "{\"currency\":\"EUR\",\"value\":\"19\"}}],\"totals\":{\"tax\":"
                     "{\"currency\":\"EUR\",\"value\":\"19\"}}}");
    free(text);
    canonical_free(&canonical);
}

#define UBL(name)                                                                                            \
    "<" name " xmlns='urn:oasis:names:specification:ubl:schema:xsd:" name                                    \
    "-2' xmlns:c='urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2' "                \
    "xmlns:b='urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2'>"

static void expect_json(const char *document, const char *json) {
    struct canonical canonical;
    canonical_new(&canonical);
    canonical_read(&canonical, document, strlen(document));
    cr_assert(canonical.json);
    char *text = json_dumps(canonical.json, JSON_COMPACT | JSON_SORT_KEYS);
    cr_expect_str_eq(text, json);
    free(text);
    canonical_free(&canonical);
}

/* No sample of these is public: they are made up, by the schemas. */
Test(ubl_maps, read_a_catalogue) {
    expect_json(
        UBL("Catalogue") "<b:ID>7</b:ID><b:IssueDate>2026-01-02</b:IssueDate><c:ValidityPeriod>"
                         "<b:StartDate>2026-02-01</b:StartDate></"
                         "c:ValidityPeriod><c:ProviderParty><c:PartyName>"
                         "<b:Name>P</b:Name></c:PartyName></c:ProviderParty><c:ReceiverParty><c:PartyName>"
                         "<b:Name>R</b:Name></c:PartyName></c:ReceiverParty><c:CatalogueLine><b:ID>1</b:ID>"
                         "<b:ActionCode>Add</b:ActionCode><b:MinimumOrderQuantity unitCode='C62'>10"
                         "</b:MinimumOrderQuantity><c:RequiredItemLocationQuantity><c:Price><b:PriceAmount "
                         "currencyID='EUR'>1.50</b:PriceAmount><b:BaseQuantity "
                         "unitCode='C62'>1</b:BaseQuantity>"
                         "</c:Price></c:RequiredItemLocationQuantity><c:Item><b:Name>I</b:Name></c:Item>"
                         "</c:CatalogueLine></Catalogue>",
        "{\"buyer\":{\"name\":\"R\"},\"header\":{\"function\":\"ORIGINAL\",\"id\":\"7\",\"issued\":"
        "\"2026-01-02\"},\"lines\":[{\"action\":\"ADDED\",\"id\":\"1\",\"item\":{\"name\":\"I\"},"
        "\"orderUnit\":{\"sourceUnit\":\"C62\",\"unit\":\"C62\",\"value\":\"10\"},\"prices\":[{\"amount\":"
        "{\"currency\":\"EUR\",\"value\":\"1.50\"},\"basis\":{\"sourceUnit\":\"C62\",\"unit\":\"C62\","
        "\"value\":\"1\"},\"type\":\"NET\"}]}],\"seller\":{\"name\":\"P\"},\"valid\":{\"start\":"
        "\"2026-02-01\"}}");
}

Test(ubl_maps, read_an_application_response) {
    expect_json(
        UBL("ApplicationResponse") "<b:ID>9</b:ID><b:IssueDate>2026-01-02</b:IssueDate><c:DocumentResponse>"
                                   "<c:Response><b:ResponseCode>RE</b:ResponseCode><b:Description>no</"
                                   "b:Description>"
                                   "<c:Status><b:StatusReasonCode>SV</b:StatusReasonCode><b:StatusReason>sums"
                                   "</b:StatusReason></c:Status></c:Response><c:DocumentReference><b:ID>R1</"
                                   "b:ID>"
                                   "<b:DocumentTypeCode>380</b:DocumentTypeCode></c:DocumentReference>"
                                   "<c:LineResponse><c:LineReference><b:LineID>3</b:LineID></c:LineReference>"
                                   "<c:Response><b:ResponseCode>RE</b:ResponseCode><b:Description>price"
                                   "</b:Description></c:Response></c:LineResponse></c:DocumentResponse>"
                                   "</ApplicationResponse>",
        "{\"findings\":[{\"code\":\"ubl.document-refused\",\"severity\":2,\"standardCode\":\"SV\",\"text\":"
        "\"sums\"},{\"code\":\"ubl.line-refused\",\"severity\":2,\"standardCode\":\"RE\",\"text\":\"price\","
        "\"value\":\"3\"}],\"header\":{\"function\":\"ORIGINAL\",\"id\":\"9\",\"issued\":\"2026-01-02\","
        "\"notes\":[{\"value\":\"no\"}]},\"scope\":\"DOCUMENT\",\"status\":\"REJECTED\",\"subject\":"
        "{\"messageRef\":\"R1\",\"messageType\":\"380\"}}");
}
