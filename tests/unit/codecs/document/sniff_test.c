#include "codecs/document/sniff.h"

#include "tests/unit/codecs/golden.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ISA                                                                                                  \
    "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       "                                  \
    "*260101*1200*U*00401*000000001*0*P*>~"

static enum document_format of(const char *text) {
    return sniff((const uint8_t *)text, strlen(text));
}

Test(sniff, knows_each_format_by_its_first_bytes) {
    cr_assert_eq(of("UNA:+.? 'UNB+UNOC:3"), FORMAT_EDIFACT);
    cr_assert_eq(of("UNB\x1dUNOB\x1f"
                    "1"),
                 FORMAT_EDIFACT);
    cr_assert_eq(of("\xef\xbb\xbf\r\n \tUNB+UNOC:3"), FORMAT_EDIFACT);
    cr_assert_eq(of("UNH+1+ORDERS:D:96A:UN'"), FORMAT_EDIFACT_FRAGMENT);
    cr_assert_eq(of(ISA), FORMAT_X12);
    cr_assert_eq(of("ISA*00**00**ZZ*A*ZZ*B*260101*1200*U*00401*1*0*P*>~"), FORMAT_X12);
    cr_assert_eq(of("GS*PO*A*B*20260101*1200*1*X*004010~"), FORMAT_X12_FRAGMENT);
    cr_assert_eq(of("ST*850*0001~"), FORMAT_X12_FRAGMENT);
    cr_assert_eq(of("STX=ANA:1+5000000000000'"), FORMAT_TRADACOMS);
    cr_assert_eq(of("EDI_DC40  800"), FORMAT_IDOC_FLAT);
    cr_assert_eq(of("EDI_DC    800"), FORMAT_IDOC_FLAT_OLD);
    cr_assert_eq(of("{\"specversion\":\"1.0\"}"), FORMAT_CLOUDEVENT_JSON);
    cr_assert_eq(of(" [1]"), FORMAT_JSON);
    cr_assert_eq(of("<a/>"), FORMAT_XML);
    cr_assert_eq(of("\xff\xfe<"), FORMAT_UTF16);
}

Test(sniff, does_not_take_a_word_for_a_format) {
    cr_assert_eq(of(""), FORMAT_UNKNOWN);
    cr_assert_eq(of("UN"), FORMAT_UNKNOWN);
    cr_assert_eq(of("UNA"), FORMAT_UNKNOWN);
    cr_assert_eq(of("UNBELIEVABLE"), FORMAT_UNKNOWN);
    cr_assert_eq(of("UNH 1"), FORMAT_UNKNOWN);
    cr_assert_eq(of("ISABELLA*1*2"), FORMAT_UNKNOWN);
    cr_assert_eq(of("ISA*1*2"), FORMAT_UNKNOWN);
    cr_assert_eq(of("STREET;CITY\n"), FORMAT_UNKNOWN);
    cr_assert_eq(of("id;name\n1;x\n"), FORMAT_UNKNOWN);
}

Test(sniff, finds_the_root_of_xml_behind_what_stands_before_it) {
    cr_assert_eq(of("<?xml version=\"1.0\"?><!-- <Order> --><!DOCTYPE x>\n"
                    "<o:Order xmlns:o='urn:oasis:names:specification:ubl:schema:xsd:Order-2'>"),
                 FORMAT_UBL);
    cr_assert_eq(of("<x xmlns='urn:gs1:ecom:a'>"), FORMAT_GS1_XML);
    cr_assert_eq(of("<?xml version=\"1.0\"?><ORDERS05><IDOC BEGIN=\"1\"><EDI_DC40 SEGMENT=\"1\">"),
                 FORMAT_IDOC_XML);
    cr_assert_eq(of("<a><b xmlns='urn:gs1:x'/></a>"), FORMAT_XML);
    cr_assert_eq(of("<!--"), FORMAT_XML);
}

Test(sniff, names_every_format) {
    for (enum document_format format = 0; format < FORMATS; format++)
        cr_assert(format_name(format) && *format_name(format));
    cr_assert_str_eq(format_name(FORMATS), "unknown");
}

/* By the folder, and what somebody has found by reading those that are different. */
static enum document_format expected(const char *file) {
    static const struct {
        const char *begin;
        enum document_format format;
    } all[] = {
        {"edifact/smooks__d93a-invoic-fragment.edi", FORMAT_UNKNOWN},         /* begins with BGM */
        {"edifact/ballerina__invoic-body-decimal-comma.edi", FORMAT_UNKNOWN}, /* as well */
        {"edifact/edinet__edifact.D95B.Issue137.EDI", FORMAT_EDIFACT_FRAGMENT},
        {"x12/x12types__945_004010_body.x12", FORMAT_X12_FRAGMENT},
        {"x12/ediengine__NonEdi.edi", FORMAT_UNKNOWN}, /* base64 */
        {"idoc/saprecipes__ORDERS05.flat.idoc", FORMAT_IDOC_FLAT},
        {"idoc/saprecipes__INVOIC01.flat.idoc", FORMAT_IDOC_FLAT},
        {"edifact/", FORMAT_EDIFACT},
        {"x12/", FORMAT_X12},
        {"tradacoms/", FORMAT_TRADACOMS},
        {"idoc/", FORMAT_IDOC_XML},
        {"ubl/", FORMAT_UBL},
        {"gs1xml/", FORMAT_GS1_XML},
        {"json-events/", FORMAT_CLOUDEVENT_JSON},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strncmp(file, all[i].begin, strlen(all[i].begin)) == 0)
            return all[i].format;
    return FORMAT_UNKNOWN;
}

Test(sniff, knows_the_samples) {
    FILE *manifest = golden_open("tests/data/MANIFEST.tsv");
    char line[512], file[256], path[300];
    unsigned files = 0;
    cr_assert(fgets(line, sizeof line, manifest));
    while (fgets(line, sizeof line, manifest)) {
        cr_assert_eq(sscanf(line, "%255[^\t]", file), 1);
        (void)snprintf(path, sizeof path, "tests/data/%s", file);
        size_t n;
        uint8_t *bytes = golden_file(path, &n);
        enum document_format format = sniff(bytes, n);
        cr_assert_eq(format, expected(file), "%s is taken for %s", file, format_name(format));
        free(bytes);
        files++;
    }
    (void)fclose(manifest);
    cr_assert_gt(files, 70);
}
