#include "codecs/idoc/idoc.h"
#include "tests/unit/codecs/erp/canonical.h"
#include "tests/unit/codecs/golden.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(idoc_maps, say_what_stands_in_the_documents) {
    struct canonical canonical;
    canonical_new(&canonical);
    cr_expect(canonical_expect(&canonical, "idoc.tsv") > 80);
    canonical_free(&canonical);
    LEAKS_NONE();
}

Test(idoc_maps, are_there_for_every_document_that_is_read) {
    static const char *const names[][2] = {
        {"ORDERS05", "ORDERS"}, {"ORDERS05", "ORDCHG"}, {"ORDERS05", "ORDRSP"}, {"DELVRY07", "DESADV"},
        {"INVOIC02", "INVOIC"}, {"INVOIC01", "INVOIC"}, {"MATMAS05", "MATMAS"}, {"DEBMAS06", "DEBMAS"}};
    struct canonical canonical;
    canonical_new(&canonical);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct map_error error = {""};
        cr_expect(map_find(canonical.library, "IDOC", names[i][0], names[i][1], &error), "%s %s: %s",
                  names[i][0], names[i][1], error.text);
    }
    canonical_free(&canonical);
}

/* The flat IDoc and its twin in XML are the same document. */
static void same(const char *flat, const char *xml) {
    struct canonical canonical;
    size_t n;
    canonical_new(&canonical);
    canonical_read_file(&canonical, xml);
    json_t *from_xml = json_incref(canonical.json);
    uint8_t *bytes = golden_file(flat, &n);
    struct idoc *idoc = idoc_new(&canonical.layouts, NULL, &canonical.sink);
    cr_assert(idoc && from_xml);
    idoc_feed(idoc, bytes, n);
    idoc_end(idoc);
    /* Where E1EDP28 has the country of origin in a flat record nothing public says. */
    json_t *item = json_object_get(json_array_get(json_object_get(from_xml, "lines"), 0), "item");
    (void)json_object_del(item, "originCountry");
    cr_expect(json_equal(canonical.json, from_xml), "%s", xml);
    idoc_free(idoc);
    free(bytes);
    json_decref(from_xml);
    canonical_free(&canonical);
}

Test(idoc_maps, make_the_same_of_a_flat_idoc_and_of_its_twin_in_xml) {
    same("tests/data/idoc/saprecipes__ORDERS05.flat.idoc", "idoc/saprecipes__ORDERS05.pair.xml");
    same("tests/data/idoc/saprecipes__INVOIC01.flat.idoc", "idoc/saprecipes__INVOIC01.pair.xml");
}

/* S/4HANA writes numbers of more than 18 places into another field, and leaves the old one empty. */
Test(idoc_maps, read_long_material_numbers) {
    static const char document[] =
        "<ORDERS05><IDOC BEGIN='1'><EDI_DC40 SEGMENT='1'><DOCNUM>1</DOCNUM><IDOCTYP>ORDERS05</IDOCTYP>"
        "<MESTYP>ORDERS</MESTYP></EDI_DC40><E1EDK01 SEGMENT='1'><BELNR>4711</BELNR></E1EDK01>"
        "<E1EDP01 SEGMENT='1'><POSEX>1</POSEX><E1EDP19 SEGMENT='1'><QUALF>002</QUALF>"
        "<IDTNR_LONG>0123456789012345678901234</IDTNR_LONG></E1EDP19><E1EDP19 SEGMENT='1'><QUALF>001</QUALF>"
        "<IDTNR>A</IDTNR><IDTNR_LONG>A</IDTNR_LONG></E1EDP19></E1EDP01></IDOC></ORDERS05>";
    struct canonical canonical;
    canonical_new(&canonical);
    canonical_read(&canonical, document, sizeof document - 1);
    json_t *line = json_array_get(json_object_get(canonical.json, "lines"), 0);
    char *text = json_dumps(json_object_get(line, "item"), JSON_COMPACT | JSON_SORT_KEYS);
    cr_expect_str_eq(text, "{\"ids\":[{\"scheme\":\"SELLER\",\"value\":\"0123456789012345678901234\"},"
                           "{\"scheme\":\"BUYER\",\"value\":\"A\"}]}");
    free(text);
    canonical_free(&canonical);
}

/* No sample of a customer master is public: this one is made up, by what SAP documents of DEBMAS. */
Test(idoc_maps, read_a_customer_master) {
    static const char document[] =
        "<DEBMAS06><IDOC BEGIN='1'><EDI_DC40 SEGMENT='1'><DOCNUM>0000000000000042</DOCNUM>"
        "<IDOCTYP>DEBMAS06</IDOCTYP><MESTYP>DEBMAS</MESTYP><CREDAT>20260102</CREDAT><CRETIM>030405</CRETIM>"
        "</EDI_DC40><E1KNA1M SEGMENT='1'><MSGFN>005</MSGFN><KUNNR>0000100001</KUNNR><LAND1>DE</LAND1>"
        "<NAME1>Muster AG</NAME1><NAME2>/</NAME2><ORT01>Ulm</ORT01><PSTLZ>89073</PSTLZ><STRAS>Gasse 1</STRAS>"
        "<STCEG>DE136695976</STCEG><E1KNVVM SEGMENT='1'><VKORG>1000</VKORG><ZTERM>0001</ZTERM></E1KNVVM>"
        "<E1KNB1M SEGMENT='1'><BUKRS>1000</BUKRS></E1KNB1M><E1KNBKM SEGMENT='1'><BANKN>123</BANKN></E1KNBKM>"
        "</E1KNA1M></IDOC></DEBMAS06>";
    struct canonical canonical;
    canonical_new(&canonical);
    canonical_read(&canonical, document, sizeof document - 1);
    char *text = json_dumps(canonical.json, JSON_COMPACT | JSON_SORT_KEYS);
    cr_expect_str_eq(text,
                     "{\"accounts\":[{\"value\":\"123\"}],\"action\":\"CHANGED\",\"header\":{\"function\":"
                     "\"ORIGINAL\",\"id\":\"0000000000000042\",\"issued\":\"2026-01-02T03:04:05\"},"
                     "\"party\":{\"address\":{\"city\":\"Ulm\",\"country\":\"DE\",\"lines\":[\"Gasse 1\"],"
                     "\"postcode\":\"89073\"},\"ids\":[{\"value\":\"0000100001\"}],\"name\":\"Muster AG\","
                     "\"taxIds\":[{\"scheme\":\"VAT\",\"value\":\"DE136695976\"}]},"
                     "\"paymentTerms\":\"0001\"}");
    free(text);
    canonical_free(&canonical);
}

Test(idoc_maps, name_fields_that_no_layout_has) {
    cr_expect(xml_idoc_field("E1MARMM", 7, "UMREZ", 5) == 1003);
    cr_expect(xml_idoc_field("E1MARMM", 7, "UMRE", 4) == 0);
    cr_expect(xml_idoc_field("E1MARMM", 7, "MSGFN", 5) == 1001);
    cr_expect(xml_idoc_field("E1MARM", 6, "MSGFN", 5) == 0);
}
