#include "tests/unit/codecs/golden.h"
#include "tests/unit/codecs/xml/outline.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const char *const fields[] = {"TABNAM", "DOCNUM", "POSEX", "MENGE", "QUALF", "IDTNR", "/X/Y", NULL};

static char *said(const char *document) {
    struct outline outline = {0}, again = {0};
    struct document_sink sink = outline_sink(&outline), sink_again = outline_sink(&again);
    struct xml_options options = {.field = outline_field, .context = (void *)(uintptr_t)fields};
    struct xml_reader *reader = xml_open(&sink, &options), *second = xml_open(&sink_again, &options);
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
    char *got = said(document);
    cr_expect_str_eq(got, text);
    free(got);
}

#define CONTROL "<EDI_DC40 SEGMENT='1'><DOCNUM>1</DOCNUM><IDOCTYP>ORDERS05</IDOCTYP></EDI_DC40>"
#define BEGUN   "(interchange R IDOC\n(message ORDERS05 IDOC ref=1\nEDI_DC40 2=1\n"

Test(idoc_xml, the_control_record_is_the_head) {
    expect("<R><IDOC BEGIN='1'><EDI_DC40 SEGMENT='1'><TABNAM>EDI_DC40  </TABNAM><MANDT>400</MANDT>"
           "<DOCNUM>0000000000000017</DOCNUM><DOCREL>755 </DOCREL><TEST>X</TEST><IDOCTYP>ORDERS05   "
           "</IDOCTYP><CIMTYP>ZORD</CIMTYP><MESTYP>ORDRSP</MESTYP><SNDPRT>LS</SNDPRT><SNDPRN>A</SNDPRN>"
           "<RCVPRT>KU</RCVPRT><RCVPRN>B</RCVPRN><CREDAT>20240424</CREDAT><CRETIM>000000</CRETIM>"
           "<ARCKEY>K</ARCKEY></EDI_DC40></IDOC></R>",
           "(interchange R IDOC\n(message ORDERS05 IDOC version=755 association=ZORD variant=ORDRSP sender=A "
           "by=LS receiver=B by=KU interchange=K group=400 ref=0000000000000017 date=20240424 time=000000 "
           "test\nEDI_DC40 1=EDI_DC40 2=0000000000000017\n)2 segments=1\n)0 segments=1 messages=1\n");
    expect("<R><IDOC><EDI_DC40><CREDAT>00000000</CREDAT><CRETIM>1200</CRETIM></EDI_DC40></IDOC></R>",
           "(interchange R IDOC\n(message R IDOC\nEDI_DC40\n)2 segments=1\n)0 segments=1 messages=1\n");
}

Test(idoc_xml, a_segment_with_segments_beneath_it_is_an_aggregate_that_begins_with_it) {
    expect("<R><IDOC>" CONTROL "<E1EDP01 SEGMENT='1'>\n<MENGE>5 </MENGE><POSEX> 10</POSEX>"
           "<E1EDP19 SEGMENT='1'><QUALF>001</QUALF></E1EDP19><E1EDP19 SEGMENT='1'/>"
           "</E1EDP01><E1EDS01 SEGMENT='1'/></IDOC></R>",
           BEGUN "(aggregate E1EDP01\nE1EDP01 3= 10 4=5\nE1EDP19 5=001\nE1EDP19\n)3 segments=3\nE1EDS01\n"
                 ")2 segments=5\n)0 segments=5 messages=1\n");
}

/* Some middleware drops the attribute. */
Test(idoc_xml, what_has_children_is_a_segment_without_the_attribute_too) {
    expect("<R><IDOC>" CONTROL "<E1EDP01><POSEX>1</POSEX><E1EDP19><QUALF>001</QUALF><IDTNR>x</IDTNR>"
           "</E1EDP19></E1EDP01></IDOC></R>",
           BEGUN "(aggregate E1EDP01\nE1EDP01 3=1\nE1EDP19 5=001 6=x\n)3 segments=2\n"
                 ")2 segments=3\n)0 segments=3 messages=1\n");
}

Test(idoc_xml, a_file_has_several_idocs) {
    expect("<R><IDOC>" CONTROL "</IDOC><IDOC>" CONTROL "<E1EDS01 SEGMENT='1'/></IDOC></R>",
           BEGUN ")2 segments=1\n(message ORDERS05 IDOC ref=1\nEDI_DC40 2=1\nE1EDS01\n)2 segments=2\n"
                 ")0 segments=3 messages=2\n");
}

Test(idoc_xml, names_with_slashes) {
    expect("<R><IDOC>" CONTROL "<_-LUMB_-E1 SEGMENT='1'><_-X_-Y>z</_-X_-Y></_-LUMB_-E1></IDOC></R>",
           BEGUN "/LUMB/E1 7=z\n)2 segments=2\n)0 segments=2 messages=1\n");
}

Test(idoc_xml, fields_that_no_layout_has_are_told_once) {
    expect("<R><IDOC>" CONTROL "<E1EDP01 SEGMENT='1'><AAA>1</AAA><BBB>1</BBB></E1EDP01></IDOC></R>",
           BEGUN "!idoc-xml.field-unknown note in=E1EDP01 found=AAA\nE1EDP01\n)2 segments=2\n"
                 ")0 segments=2 messages=1\n");
}

Test(idoc_xml, fields_behind_segments_are_an_error) {
    expect("<R><IDOC>" CONTROL "<E1EDP01 SEGMENT='1'><E1EDP19 SEGMENT='1'/><POSEX>1</POSEX></E1EDP01></IDOC>"
           "</R>",
           BEGUN "(aggregate E1EDP01\nE1EDP01\nE1EDP19\n!idoc-xml.field-late error in=E1EDP01 found=POSEX\n"
                 ")3 segments=2\n)2 segments=3 errors=1\n)0 segments=3 messages=1\n");
}

Test(idoc_xml, an_idoc_without_a_control_record_is_refused_and_the_next_one_read) {
    expect("<R><IDOC><E1EDK01 SEGMENT='1'><POSEX>1</POSEX></E1EDK01></IDOC><IDOC/><IDOC>" CONTROL
           "</IDOC></R>",
           "(interchange R IDOC\n(message R IDOC\n!idoc-xml.control-missing error in=E1EDK01\n"
           "E1EDK01 3=1\n)2 segments=1 errors=1\n(message R IDOC\n!idoc-xml.control-missing error\n"
           ")2 segments=0 errors=1\n(message ORDERS05 IDOC ref=1\nEDI_DC40 2=1\n)2 segments=1\n"
           ")0 segments=2 messages=3\n");
}

Test(idoc_xml, what_breaks_inside_closes_everything) {
    expect("<R><IDOC>" CONTROL "<E1EDP01 SEGMENT='1'><E1EDP19 SEGMENT='1'></E1EDP01>",
           BEGUN "(aggregate E1EDP01\nE1EDP01\n!xml.tag-differs error in=E1EDP19\n)3 segments=1\n"
                 ")2 segments=2 errors=1\n)0 segments=2 messages=1 errors=1\n");
    expect("<R><IDOC>" CONTROL "</IDOC><X/></R>",
           BEGUN ")2 segments=1\n!xml.unknown-root error in=X\n)0 segments=1 messages=1 errors=1\n");
    LEAKS_NONE();
}
