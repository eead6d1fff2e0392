#include "tests/unit/codecs/golden.h"
#include "tests/unit/codecs/xml/outline.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA "urn:oasis:names:specification:ubl:schema:xsd:"
#define INVOICE                                                                                              \
    "<Invoice xmlns='" SCHEMA "Invoice-2' xmlns:c='" SCHEMA "CommonAggregateComponents-2' xmlns:b='" SCHEMA  \
    "CommonBasicComponents-2' xmlns:e='" SCHEMA "CommonExtensionComponents-2'>"
#define HEAD "(message Invoice UBL syntax=" SCHEMA "Invoice-2"

/* What the reader says of a document, at once and byte by byte. To be freed. */
static char *said(const char *document, const struct xml_options *options) {
    struct outline outline = {0}, again = {0};
    struct document_sink sink = outline_sink(&outline), sink_again = outline_sink(&again);
    struct xml_reader *reader = xml_open(&sink, options), *second = xml_open(&sink_again, options);
    cr_assert(reader && second);
    outline_read(reader, document, strlen(document), 0, 0);
    outline_read(second, document, strlen(document), 0, 1);
    cr_assert_str_eq(outline.text, again.text);
    cr_assert(outline.depth == 0, "everything that began has ended");
    xml_close(reader);
    xml_close(second);
    outline_free(&again);
    return outline.text;
}

static void expect(const char *document, const char *text) {
    char *got = said(document, NULL);
    cr_expect_str_eq(got, text);
    free(got);
}

Test(ubl, a_leaf_is_a_segment_with_its_text_and_its_attributes) {
    expect(INVOICE "<b:ID schemeID='X' other='no' schemeAgencyID=''>\n 7 8\t</b:ID><b:Note/>"
                   "<b:PayableAmount currencyID='EUR'>1<![CDATA[0]]>.<!-- -->5</b:PayableAmount></Invoice>",
           HEAD " ref=7 8\nID 1=7 8 4=X\nNote\nPayableAmount 1=10.5 2=EUR\n)2 segments=3\n");
}

Test(ubl, an_element_with_children_is_an_aggregate_and_so_is_one_that_may_have_some) {
    expect(INVOICE "<b:ID>1</b:ID><c:Delivery> <c:Address><b:Line>x</b:Line></c:Address> </c:Delivery>"
                   "<c:Signature/></Invoice>",
           HEAD " ref=1\nID 1=1\n(aggregate Delivery\n(aggregate Address\nLine 1=x\n)3 segments=1\n"
                ")3 segments=1\n(aggregate Signature\n)3 segments=0\n)2 segments=2\n");
}

Test(ubl, the_head_has_what_stands_inside) {
    expect("\n<?xml-stylesheet href='x'?>" INVOICE
           "<b:UBLVersionID>2.1</b:UBLVersionID><b:CustomizationID>urn:c</b:CustomizationID>"
           "<b:ProfileID>urn:p</b:ProfileID><b:ID>R 1</b:ID><b:IssueDate>2024-02-29+01:00</b:IssueDate>"
           "<b:IssueTime>09:30:00.5Z</b:IssueTime>"
           "<c:AccountingSupplierParty><c:Party><b:EndpointID schemeID='0088'>4012345000009</b:EndpointID>"
           "<c:PartyIdentification><b:ID>no</b:ID></c:PartyIdentification></c:Party>"
           "</c:AccountingSupplierParty><c:AccountingCustomerParty><c:Party><c:AgentParty>"
           "<b:EndpointID>no</b:EndpointID></c:AgentParty><c:PartyName><b:Name>B</b:Name></c:PartyName>"
           "<c:PartyLegalEntity><b:CompanyID schemeID='x'>HRB 1</b:CompanyID></c:PartyLegalEntity></c:Party>"
           "</c:AccountingCustomerParty></Invoice>",
           HEAD
           " version=2.1 association=urn:c variant=urn:p sender=4012345000009 by=0088 receiver=HRB 1 by=x"
           " ref=R 1 date=20240229 time=093000\n"
           "UBLVersionID 1=2.1\nCustomizationID 1=urn:c\nProfileID 1=urn:p\nID 1=R 1\n"
           "IssueDate 1=2024-02-29+01:00\nIssueTime 1=09:30:00.5Z\n"
           "(aggregate AccountingSupplierParty\n(aggregate Party\nEndpointID 1=4012345000009 4=0088\n"
           "(aggregate PartyIdentification\nID 1=no\n)3 segments=1\n)3 segments=2\n)3 segments=2\n"
           "(aggregate AccountingCustomerParty\n(aggregate Party\n(aggregate AgentParty\n"
           "EndpointID 1=no\n)3 segments=1\n(aggregate PartyName\nName 1=B\n)3 segments=1\n"
           "(aggregate PartyLegalEntity\nCompanyID 1=HRB 1 4=x\n)3 segments=1\n)3 segments=3\n"
           ")3 segments=3\n)2 segments=11\n");
}

/* The catalogue's parties are themselves what in other documents is inside of them. */
Test(ubl, parties_of_a_catalogue_have_no_element_around_them) {
    char *got = said("<k:Catalogue xmlns:k='" SCHEMA "Catalogue-2' xmlns='" SCHEMA
                     "CommonAggregateComponents-2' xmlns:b='" SCHEMA "CommonBasicComponents-2'>"
                     "<b:ID>9</b:ID><ProviderParty><b:EndpointID>P</b:EndpointID></ProviderParty>"
                     "<ReceiverParty><PartyIdentification><b:ID schemeID='GLN'>R</b:ID></PartyIdentification>"
                     "</ReceiverParty></k:Catalogue>",
                     NULL);
    const char *head =
        "(message Catalogue UBL syntax=" SCHEMA "Catalogue-2 sender=P receiver=R by=GLN ref=9\n";
    cr_expect(strncmp(got, head, strlen(head)) == 0, "%s", got);
    free(got);
}

Test(ubl, the_document_begins_at_the_latest_with_a_line) {
    expect(INVOICE "<b:ID>1</b:ID><c:InvoiceLine><b:ID>2</b:ID></c:InvoiceLine>"
                   "<c:AccountingSupplierParty><c:Party><b:EndpointID>late</b:EndpointID></c:Party>"
                   "</c:AccountingSupplierParty></Invoice>",
           HEAD " ref=1\nID 1=1\n(aggregate InvoiceLine\nID 1=2\n)3 segments=1\n"
                "(aggregate AccountingSupplierParty\n(aggregate Party\nEndpointID 1=late\n)3 segments=1\n"
                ")3 segments=1\n)2 segments=3\n");
}

Test(ubl, the_document_begins_when_too_much_would_be_held) {
    size_t n = 0, room = 1u << 20;
    char *document = malloc(room);
    n += (size_t)snprintf(document, room, "%s", INVOICE "<b:ID>1</b:ID>");
    for (int i = 0; i < 2000; i++)
        n += (size_t)snprintf(document + n, room - n, "<b:Note>%080d</b:Note>", i);
    (void)snprintf(document + n, room - n, "%s",
                   "<c:AccountingSupplierParty><c:Party><b:EndpointID>late</b:EndpointID></c:Party>"
                   "</c:AccountingSupplierParty></Invoice>");
    char *got = said(document, NULL);
    cr_expect(strncmp(got, HEAD " ref=1\nID", sizeof HEAD + 8) == 0);
    cr_expect(strstr(got, ")2 segments=2002\n"));
    free(got);
    free(document);
}

Test(ubl, elements_are_told_apart_by_namespace) {
    /* The same prefix stands for another namespace further in. */
    expect(INVOICE "<b:ID>1</b:ID><c:Item xmlns:b='" SCHEMA "CommonAggregateComponents-2' xmlns:c='" SCHEMA
                   "CommonBasicComponents-2'><c:Name>n</c:Name><b:Party><c:ID>2</c:ID></b:Party></c:Item>"
                   "</Invoice>",
           HEAD " ref=1\nID 1=1\n(aggregate Item\nName 1=n\n(aggregate Party\nID 1=2\n)3 segments=1\n"
                ")3 segments=2\n)2 segments=3\n");
    expect(INVOICE "<b:ID>1</b:ID><c:Item><Name xmlns='" SCHEMA "CommonBasicComponents-2'>n</Name>"
                   "<Name>other</Name><Name xmlns=''>no</Name></c:Item></Invoice>",
           HEAD " ref=1\nID 1=1\n(aggregate Item\nName 1=n\n!ubl.foreign error in=Name\n"
                "!ubl.foreign error in=Name\n)3 segments=1\n)2 segments=2 errors=2\n");
}

Test(ubl, extensions_are_passed_over_with_a_note) {
    expect(INVOICE "<e:UBLExtensions><e:UBLExtension><a xmlns='urn:x'>t<b/></a></e:UBLExtension>"
                   "</e:UBLExtensions><b:ID>1</b:ID></Invoice>",
           HEAD " ref=1\n!ubl.extensions note in=UBLExtensions\nID 1=1\n)2 segments=1\n");
}

Test(ubl, an_attachment_is_dropped_unless_it_is_asked_for) {
    const char *document = INVOICE "<b:ID>1</b:ID><c:Attachment><b:EmbeddedDocumentBinaryObject "
                                   "mimeCode='a/b'>AAAA</b:EmbeddedDocumentBinaryObject></c:Attachment>"
                                   "</Invoice>";
    expect(document, HEAD " ref=1\nID 1=1\n(aggregate Attachment\nEmbeddedDocumentBinaryObject 25=a/b\n"
                          "!ubl.attachment note in=EmbeddedDocumentBinaryObject\n)3 segments=1\n"
                          ")2 segments=2\n");
    struct xml_options options = {.attachment_max = 16};
    char *got = said(document, &options);
    cr_expect(strstr(got, "EmbeddedDocumentBinaryObject 1=AAAA 25=a/b\n)3"), "%s", got);
    free(got);
    options.attachment_max = 3;
    got = said(document, &options);
    cr_expect(strstr(got, "!document.too-large error in=EmbeddedDocumentBinaryObject\n)3"), "%s", got);
    free(got);
}

/* 200 KiB go through a reader that allows 64 KiB for a leaf. */
Test(ubl, an_attachment_of_any_size_is_passed_over) {
    size_t room = 1u << 18;
    char *document = malloc(room), *end = document;
    end += sprintf(end, "%s", INVOICE "<b:ID>1</b:ID><c:Attachment><b:EmbeddedDocumentBinaryObject>");
    memset(end, 'A', 200000);
    end += 200000;
    (void)sprintf(end, "%s", "</b:EmbeddedDocumentBinaryObject></c:Attachment></Invoice>");
    char *got = said(document, NULL);
    cr_expect_str_eq(got, HEAD " ref=1\nID 1=1\n(aggregate Attachment\nEmbeddedDocumentBinaryObject\n"
                               "!ubl.attachment note in=EmbeddedDocumentBinaryObject\n)3 segments=1\n"
                               ")2 segments=2\n");
    free(got);
    free(document);
}

Test(ubl, text_between_elements_is_told_once_for_each_element) {
    expect(INVOICE "<b:ID>1</b:ID>a<b:Note/>b<c:Item>c<b:Name/>d</c:Item></Invoice>",
           HEAD " ref=1\nID 1=1\n!xml.mixed error in=Invoice\nNote\n(aggregate Item\n"
                "!xml.mixed error in=Item\nName\n)3 segments=1\n)2 segments=3 errors=2\n");
    struct profile profile = {0};
    cr_assert(profile_tolerate(&profile, FINDING_XML_MIXED));
    struct xml_options options = {.profile = &profile};
    char *got = said(INVOICE "<b:ID>1</b:ID>a</Invoice>", &options);
    cr_expect_str_eq(got, HEAD " ref=1\nID 1=1\n!xml.mixed warning in=Invoice\n)2 segments=1\n");
    free(got);
}

Test(ubl, a_character_that_was_lost_is_worth_a_note) {
    expect(INVOICE "<b:ID>1</b:ID><b:Note>K\xef\xbf\xbdln \xef\xbf</b:Note></Invoice>",
           HEAD " ref=1\nID 1=1\n!xml.charset error in=Note\n)2 segments=1 errors=1\n");
    expect(INVOICE "<b:ID>1</b:ID><b:Note>K\xef\xbf\xbdln</b:Note></Invoice>",
           HEAD " ref=1\nID 1=1\nNote 1=K\xef\xbf\xbdln\n"
                "!xml.replacement-character note in=Note found=K\xef\xbf\xbdln\n)2 segments=2\n");
}

Test(ubl, windows_1252_under_the_name_of_iso_8859_1_is_worth_a_note) {
    expect("<?xml version='1.0' encoding='iso-8859-1'?>" INVOICE
           "<b:ID>1</b:ID><b:Note>\xa7 5 \x80</b:Note></Invoice>",
           HEAD " ref=1\nID 1=1\nNote 1=\xc2\xa7 5 \xc2\x80\n"
                "!xml.control-character note in=Note found=\xc2\xa7 5 \xc2\x80\n)2 segments=2\n");
    expect("<?xml version='1.0' encoding='iso-8859-1'?>" INVOICE
           "<b:ID>1</b:ID><b:Note>\xa7\xa7 \xa0</b:Note></Invoice>",
           HEAD " ref=1\nID 1=1\nNote 1=\xc2\xa7\xc2\xa7 \xc2\xa0\n)2 segments=2\n");
}

Test(ubl, a_document_has_an_id) {
    expect(INVOICE "<b:Note>x</b:Note></Invoice>",
           HEAD "\nNote 1=x\n!ubl.id-missing error in=Invoice\n)2 segments=1 errors=1\n");
}

Test(ubl, documents_that_are_not_read_are_named) {
    static const char *const roots[] = {"StockAvailabilityReport", "Invoice2", "invoice"};
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        char document[256], text[128];
        (void)snprintf(document, sizeof document, "<%s xmlns='" SCHEMA "%s-2'/>", roots[i], roots[i]);
        (void)snprintf(text, sizeof text, "!ubl.document error in=%s\n", roots[i]);
        expect(document, text);
    }
    expect("<Order xmlns='" SCHEMA "Invoice-2'/>", "!ubl.document error in=Order\n");
    expect("<Order xmlns='" SCHEMA "Order-3'/>", "!ubl.document error in=Order\n");
    expect("<Order xmlns='urn:oasis:names:tc:ubl:Order:1:0'/>", "!ubl.document error in=Order\n");
}

Test(ubl, every_attribute_has_a_number_of_its_own) {
    cr_expect(xml_attribute_named("currencyID", 10) == XML_ATTRIBUTE_CURRENCY_ID);
    cr_expect(xml_attribute_named("@unitCode", 9) == XML_ATTRIBUTE_UNIT_CODE);
    cr_expect(XML_ATTRIBUTE_CURRENCY_ID == 2, "behind the text");
    for (enum xml_attribute i = 2; i < XML_ATTRIBUTES_END; i++) {
        const char *name = xml_attribute_name(i);
        cr_assert(name);
        cr_expect(xml_attribute_named(name, strlen(name)) == i, "%s", name);
        cr_expect(xml_attribute_named(name, strlen(name) - 1) != i, "%s", name);
    }
    cr_expect(xml_attribute_named("currencyIDs", 11) == XML_NO_ATTRIBUTE);
    cr_expect(xml_attribute_named("", 0) == XML_NO_ATTRIBUTE &&
              xml_attribute_named("@", 1) == XML_NO_ATTRIBUTE);
    cr_expect(!xml_attribute_name(XML_NO_ATTRIBUTE) && !xml_attribute_name(XML_ATTRIBUTES_END));
    cr_expect(!xml_attribute_name((enum xml_attribute)1));
    LEAKS_NONE();
}
