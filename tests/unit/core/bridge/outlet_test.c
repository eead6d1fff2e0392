/* Documents for others, and what is told of them. */
#include "core/bridge/outlet.h"

#include "roundhouse/erp/v1/erp.pb-c.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <string.h>

static void on_lost(void *context, const char *path, const char *was, const char *is) {
    struct bytes *said = context;
    bytes_text(said, path);
    bytes_text(said, "=");
    bytes_text(said, was);
    bytes_text(said, ">");
    bytes_text(said, is);
    bytes_text(said, ";");
}

static void expect(struct outlet *outlet, enum outlet_format format, const ProtobufCMessage *message,
                   const struct erp_edi_options *options, const char *lost) {
    struct bytes document = {0}, said = {0};
    bytes_text(&document, "before");
    cr_expect(outlet_write(outlet, format, message, options, &document, on_lost, &said) == OUTLET_DONE);
    cr_expect(memcmp(document.data, "before", 6) == 0 && document.length > 6);
    bytes_add(&said, "", 1);
    cr_expect_str_eq((char *)said.data, lost, "%s: %s", outlet_format_name(format), (char *)said.data);
    bytes_free(&document);
    bytes_free(&said);
}

/* Of the same message every format loses something else. */
Test(outlet, tells_what_a_document_does_not_say) {
    Roundhouse__Erp__V1__Header header = ROUNDHOUSE__ERP__V1__HEADER__INIT;
    Roundhouse__Erp__V1__Text note = ROUNDHOUSE__ERP__V1__TEXT__INIT, *notes[] = {&note};
    Roundhouse__Erp__V1__Order order = ROUNDHOUSE__ERP__V1__ORDER__INIT;
    struct outlet *outlet = outlet_new();
    cr_assert(outlet);
    order.header = &header;
    header.id = (char[]){"7"};
    header.function = (char[]){"ORIGINAL"};
    header.type_code = (char[]){"220"};
    header.notes = notes;
    header.n_notes = 1;
    note.value = (char[]){"text"};
    note.role = (char[]){"AAI"};
    note.language = (char[]){"en"};
    expect(outlet, OUTLET_UBL, &order.base, NULL, "header.notes[0].role=AAI>;");
    expect(outlet, OUTLET_EDIFACT, &order.base, NULL, "");
    expect(outlet, OUTLET_X12, &order.base, NULL,
           "header.typeCode=220>SA;header.notes[0].language=en>;header.notes[0].role=AAI>;");
    outlet_free(outlet);
    LEAKS_NONE();
}

Test(outlet, tells_of_an_address_that_was_cut) {
    Roundhouse__Erp__V1__Identifier sender = ROUNDHOUSE__ERP__V1__IDENTIFIER__INIT;
    Roundhouse__Erp__V1__Origin origin = ROUNDHOUSE__ERP__V1__ORIGIN__INIT;
    Roundhouse__Erp__V1__Header header = ROUNDHOUSE__ERP__V1__HEADER__INIT;
    Roundhouse__Erp__V1__Order order = ROUNDHOUSE__ERP__V1__ORDER__INIT;
    struct erp_edi_options options = {.sender = {.id = "OTHER"}};
    struct outlet *outlet = outlet_new();
    cr_assert(outlet);
    order.header = &header;
    header.id = (char[]){"7"};
    header.origin = &origin;
    origin.sender = &sender;
    sender.value = (char[]){"a sender with a long name"};
    expect(outlet, OUTLET_EDIFACT, &order.base, NULL, "");
    expect(outlet, OUTLET_X12, &order.base, NULL,
           "header.origin.sender.value=a sender with a long name>a sender with a;");
    expect(outlet, OUTLET_X12, &order.base, &options, "");
    sender.value = (char[]){"filled up  \xc2\xa0 \xc2\xa0"};
    expect(outlet, OUTLET_X12, &order.base, NULL, "");
    outlet_free(outlet);
    LEAKS_NONE();
}

Test(outlet, has_nothing_for_other_messages) {
    Roundhouse__Erp__V1__PartyMaster master = ROUNDHOUSE__ERP__V1__PARTY_MASTER__INIT;
    struct bytes document = {0}, said = {0};
    struct outlet *outlet = outlet_new();
    cr_assert(outlet);
    for (enum outlet_format format = 0; format < OUTLET_FORMATS; format++)
        cr_expect(outlet_write(outlet, format, &master.base, NULL, &document, on_lost, &said) == OUTLET_NONE);
    cr_expect(document.length == 0 && said.length == 0);
    outlet_free(outlet);
    LEAKS_NONE();
}
