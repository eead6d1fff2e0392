#include "codecs/erp/ubl.h"
#include "tests/unit/codecs/erp/canonical.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void on_message(void *context, const struct erp_result *result) {
    struct bytes *out = context;
    bytes_free(out);
    cr_assert(erp_ubl_write(result->message, out));
    cr_assert(!out->failed);
}

/* Reads a document, writes it, reads what was written: it is the same. */
static void round_trip(struct canonical *canonical, const char *file) {
    struct bytes written = {0};
    canonical->message = on_message;
    canonical->context = &written;
    canonical_read_file(canonical, file);
    json_t *first = json_incref(canonical->json);
    canonical->message = NULL;
    cr_assert(first, "%s", file);
    canonical_read(canonical, written.data, written.length);
    if (getenv("SHOW"))
        fprintf(stderr, "%.*s\n", (int)written.length, (char *)written.data);
    if (!canonical->json || !json_equal(canonical->json, first)) {
        fprintf(stderr, "F%s\n", file);
        fprintf(stderr, "Q%s\n", json_dumps(first, JSON_COMPACT));
        fprintf(stderr, "Q%s\n", canonical->json ? json_dumps(canonical->json, JSON_COMPACT) : "null");
        cr_expect(false, "%s", file);
    }
    json_decref(first);
    bytes_free(&written);
}

Test(ubl_out, what_is_written_is_what_was_read) {
    static const char *const files[] = {
        "ubl/gobl__custom-namespace-prefixes.xml",
        "ubl/gobl__discount-taxes.xml",
        "ubl/gobl__example-encoding.xml",
        "ubl/gobl__vat-category-O-invalid-bytes.xml",
        "ubl/kosit__01.01a-INVOICE_ubl.xml",
        "ubl/kosit__01.04a-INVOICE_ubl.xml",
        "ubl/kosit__01.05a-INVOICE_ubl.xml",
        "ubl/kosit__01.06a-INVOICE_ubl.xml",
        "ubl/kosit__01.13a-INVOICE_ubl.xml",
        "ubl/kosit__03.03a-INVOICE_ubl.xml",
        "ubl/kosit__04.01a-INVOICE_ubl.xml",
        "ubl/oasis__UBL-CreditNote-2.1-Example.xml",
        "ubl/oasis__UBL-DespatchAdvice-2.0-Example.xml",
        "ubl/oasis__UBL-Invoice-2.0-Example-NS1.xml",
        "ubl/oasis__UBL-Invoice-2.1-Example-Trivial.xml",
        "ubl/oasis__UBL-Invoice-2.1-Example.xml",
        "ubl/oasis__UBL-Order-2.1-Example.xml",
        "ubl/oasis__UBL-OrderCancellation-2.1-Example.xml",
        "ubl/oasis__UBL-OrderChange-2.1-Example.xml",
        "ubl/oasis__UBL-OrderResponse-2.1-Example.xml",
        "ubl/oasis__UBL-OrderResponseSimple-2.1-Example.xml",
    };
    struct canonical canonical;
    canonical_new(&canonical);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        round_trip(&canonical, files[i]);
    canonical_free(&canonical);
    LEAKS_NONE();
}
