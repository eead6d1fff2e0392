#include "tests/unit/codecs/erp/canonical.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
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
        "Order",          "OrderChange",     "OrderCancellation", "OrderResponse", "OrderResponseSimple",
        "DespatchAdvice", "ReceiptAdvice",   "Invoice",           "CreditNote",    "InventoryReport",
        "Catalogue",      "RemittanceAdvice"};
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
