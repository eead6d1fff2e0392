#include "codecs/edi/edifact.h"

#include "tests/unit/codecs/edi/feed.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define UNB       "UNB+UNOC:3+SENDER:14+RECEIVER:14+260901:0605+REF1'"
#define UNH       "UNH+1+ORDERS:D:96A:UN:EAN008'"
#define INNER     "BGM+220+PO1+9'"
#define UNT       "UNT+3+1'"
#define UNZ       "UNZ+1+REF1'"
#define WITH(all) UNB UNH all "UNT+3+1'" UNZ

/* "code@segment,code@segment": the findings of a text for the strict profile. */
static bool finds(const char *text, const char *wanted) {
    struct trace *trace = feed_text(FEED_EDIFACT, NULL, text);
    char found[1024] = "";
    for (unsigned i = 0; i < trace->count; i++)
        (void)snprintf(found + strlen(found), sizeof found - strlen(found), "%s%s@%u", i > 0 ? "," : "",
                       finding_kind(trace->findings[i].code)->name, trace->findings[i].place.in_file);
    bool same = strcmp(found, wanted) == 0;
    if (!same)
        fprintf(stderr, "%s\nfound  %s\nwanted %s\n", text, found, wanted);
    feed_free(trace);
    return same;
}

/* The lines of the trace that have this in them. */
static bool says(const struct profile *profile, const char *text, const char *line) {
    struct trace *trace = feed_text(FEED_EDIFACT, profile, text);
    bool there = trace->text && strstr(trace->text, line);
    if (!there)
        fprintf(stderr, "%s\n%s\nwanted %s\n", text, trace->text ? trace->text : "", line);
    feed_free(trace);
    return there;
}

/* ---- what is right ---- */

Test(edifact, hands_over_scopes_and_segments) {
    struct trace *trace = feed_text(FEED_EDIFACT, NULL,
                                    "UNA:+.? '" UNB UNH INNER "DTM+137:20260901:102'\r\n"
                                    "UNT+4+1'" UNZ "\r\n");
    cr_assert_str_eq(
        trace->text,
        "begin 0 @9 format=EDIFACT syntax=UNOC:3 sender=SENDER sender-qualifier=14 receiver=RECEIVER "
        "receiver-qualifier=14 interchange=REF1 date=20260901 time=0605\n"
        "begin 2 @59 format=EDIFACT syntax=UNOC:3 name=ORDERS version=D:96A:UN association=EAN008 "
        "sender=SENDER sender-qualifier=14 receiver=RECEIVER receiver-qualifier=14 interchange=REF1 "
        "message=1 date=20260901 time=0605\n"
        "segment BGM 2/3 @88+14 line 1 1[220] 2[PO1] 3[9]\n"
        "segment DTM 3/4 @102+21 line 1 1[137][20260901][102]\n"
        "end 2 +74 segments 4 messages 0 errors 0\n"
        "end 0 +135 segments 6 messages 1 errors 0\n");
    feed_free(trace);
    LEAKS_NONE();
}

Test(edifact, reads_the_flags_of_the_interchange) {
    cr_assert(says(NULL, "UNB+UNOY:4+A+B+20260901:0605+R++APP++1++1'UNZ+0+R'",
                   "date=20260901 time=0605 test acknowledge"));
    cr_assert(says(NULL, "UNB+UNOC:3+A+B+260901:0605+R'UNZ+0+R'", "date=20260901 time=0605\n"));
}

Test(edifact, makes_a_century_of_a_year_by_the_pivot) {
    struct profile profile = {.pivot = 20};
    cr_assert(says(NULL, "UNB+UNOC:3+A+B+700101:0000+R'", "date=20700101"));
    cr_assert(says(NULL, "UNB+UNOC:3+A+B+710101:0000+R'", "date=19710101"));
    cr_assert(says(&profile, "UNB+UNOC:3+A+B+210101:0000+R'", "date=19210101"));
    cr_assert(says(&profile, "UNB+UNOC:3+A+B+200229:0000+R'", "date=20200229"));
}

Test(edifact, believes_una_by_position) {
    cr_assert(says(
        NULL, "UNA*@,! #UNB@UNOC*3@A@B@260901*0605@R#UNH@1@ORDERS*D*96A*UN#BGM@a!#b@c+d:e'#UNT@3@1#UNZ@1@R#",
        "segment BGM 2/3 @60+16 line 1 1[a!#b~] 2[c+d:e']"));
    /* a blank is no release character */
    cr_assert(says(NULL, "UNA:+.  '" UNB UNH "FTX+a?+b'" UNT UNZ, "1[a?] 2[b]"));
    cr_assert(finds("UNA++.? '" UNB UNZ, "edifact.separators@0,edifact.count-differs@2,edifact.empty@2"));
    cr_assert(
        finds("UNA:+.?''" UNB UNH INNER UNT UNZ, "")); /* the reserved place is not looked at in syntax 3 */
}

Test(edifact, counts_release_characters) {
    cr_assert(says(NULL, WITH("FTX+a?+b?:c?'d'"), "1[a?+b?:c?'d~]\n"));
    cr_assert(says(NULL, WITH("FTX+a?\?'"), "1[a?\?~]\n"));
    cr_assert(says(NULL, WITH("FTX+a?\?\?'b+c?\?+d'"), "1[a?\?\?'b~] 2[c?\?~] 3[d]\n"));
    cr_assert(says(NULL, WITH("FTX+?'?+?:?\?+?A'"), "1[?'?+?:?\?~] 2[?A~]\n"));
}

Test(edifact, reads_level_b_by_the_fourth_byte) {
    const char *text = "UNB\x1dUNOB\x1f"
                       "1\x1d"
                       "A\x1d"
                       "B\x1d"
                       "260901\x1f"
                       "0605\x1dR\x1c"
                       "UNH\x1d"
                       "1\x1dORDERS\x1f"
                       "D\x1f"
                       "96A\x1fUN\x1c"
                       "FTX\x1d"
                       "1+1=2?'\x1c"
                       "UNT\x1d"
                       "3\x1d"
                       "1\x1cUNZ\x1d"
                       "1\x1dR\x1c";
    cr_assert(says(NULL, text, "1[1+1=2?']\n"));
    cr_assert(finds(text, ""));
    char both[512]; /* the next interchange has the usual ones */
    (void)snprintf(both, sizeof both, "%s%s", text, UNB UNH INNER UNT UNZ);
    cr_assert(finds(both, ""));
}

Test(edifact, repeats_in_syntax_4_only) {
    cr_assert(says(NULL, "UNB+UNOC:4+A+B+20260901:0605+R'" UNH "PIA+1*2:3*4+5'" UNT "UNZ+1+R'",
                   "1[1] 1[2][3] 1[4] 2[5]\n"));
    cr_assert(says(NULL, "UNA:+.?~'UNB+UNOC:4+A+B+20260901:0605+R'" UNH "PIA+1*2~3'" UNT "UNZ+1+R'",
                   "1[1*2] 1[3]\n"));
    cr_assert(
        says(NULL, "UNA:+.? 'UNB+UNOC:4+A+B+20260901:0605+R'" UNH "PIA+1*2 3'" UNT "UNZ+1+R'", "1[1*2 3]\n"));
    cr_assert(says(NULL, "UNA:+.?*'" UNB UNH "PIA+1*2'" UNT UNZ, "1[1*2]\n"));
}

Test(edifact, reads_groups) {
    const char *group = "UNG+ORDERS+A+B+260901:0605+G1+UN+D:96A'" UNH INNER UNT "UNE+1+G1'";
    char text[1024];
    (void)snprintf(text, sizeof text, UNB "%s%s" UNZ, group, "");
    cr_assert(finds(text, ""));
    cr_assert(says(NULL, text,
                   "begin 1 @50 format=EDIFACT syntax=UNOC:3 name=ORDERS version=D:96A sender=A receiver=B "
                   "interchange=REF1 group=G1 date=20260901 time=0605\n"));
    cr_assert(says(NULL, text, "group=G1 message=1"));
    cr_assert(finds(UNB "UNG+INVOIC+A+B+260901:0605+G1+UN+D:96A'" UNH INNER UNT "UNE+2+G2'" UNZ,
                    "edifact.group-type@3,edifact.count-differs@6,edifact.reference-differs@6"));
    (void)snprintf(text, sizeof text, UNB "%sUNH+2+ORDERS:D:96A:UN'" INNER "UNT+3+2'" UNZ, group);
    cr_assert(finds(text, "edifact.mixed@7"));
    (void)snprintf(text, sizeof text, UNB "UNH+2+ORDERS:D:96A:UN'" INNER "UNT+3+2'%s" UNZ, group);
    cr_assert(finds(text, "edifact.mixed@5"));
    cr_assert(finds(UNB "UNG+ORDERS+A+B+260901:0605+G1+UN+D:96A'UNE+0+G1'" UNZ, "edifact.empty@3"));
}

Test(edifact, reads_several_interchanges_each_with_its_own_separators) {
    cr_assert(finds(UNB UNH INNER UNT UNZ
                    "\r\n" UNB UNH INNER UNT UNZ
                    "UNA*@.? #UNB@UNOC*3@A@B@260901*0605@R#UNH@1@ORDERS*D*96A*UN#BGM#UNT@3@1#UNZ@1@R#" UNB UNH
                        INNER UNT UNZ,
                    ""));
}

Test(edifact, passes_over_an_object) {
    cr_assert(finds(UNB "UNO+1+++9'a'b+UNZ?'UNP+9+1'" UNZ, "edifact.object@2"));
    cr_assert(finds(UNB "UNO+1+++900'a'b", "edifact.object@2,document.truncated@2,edifact.unz-missing@2"));
}

/* ---- between segments ---- */

Test(edifact, passes_over_what_stands_between_segments) {
    cr_assert(
        finds("\xef\xbb\xbf\r\n" UNB "\n\n" UNH "\r\n\r\n" INNER "\n" UNT "\n" UNZ "\n\n", "document.bom@0"));
    cr_assert(finds(UNB "\n  " UNH "\t" INNER UNT UNZ, "document.indented@2"));
    cr_assert(finds(" " UNB UNH INNER UNT UNZ " \n ", "document.indented@1"));
    cr_assert(finds(UNB UNH INNER " \n" UNT UNZ, "")); /* at the end of a line */
    cr_assert(finds(UNB UNH INNER "'" UNT UNZ, "document.empty-segment@3"));
}

Test(edifact, takes_line_breaks_out_of_segments) {
    cr_assert(says(NULL, WITH("FT\r\nX+a\nb+c\r\n:d'"), "segment FTX 2/3 @79+16 line 1 1[ab] 2[c][d]\n"));
    cr_assert(finds(WITH("FT\r\nX+a\nb'"), "document.wrapped@3"));
    cr_assert(says(NULL, WITH("FTX+a?\r\n'b'"), "1[a?'b~]\n")); /* what is released stands in the next line */
    cr_assert(says(NULL, WITH("FTX+S\xfc\nd'"),
                   "1[S\xc3\xbc"
                   "d]\n"));
    cr_assert(says(NULL, UNB UNH "FTX+a\nb'\nUNT+3+1'\nUNZ+1+REF2'",
                   "@103+4 line 4 segment=UNZ found=REF2 expected=REF1\n"));
}

/* The text grows to three times its length in the memory where it was put together. */
Test(edifact, keeps_the_begin_of_a_long_segment_that_is_mended_at_its_end) {
    struct profile profile = {.segment_max = 3000, .charset = "WINDOWS-1252"};
    static char text[8000];
    static char wanted[10000];
    for (int ascii = 0; ascii < 2; ascii++) {
        size_t n = (size_t)sprintf(text, UNB UNH "FTX+BEGIN+a\nb");
        size_t m = (size_t)sprintf(wanted, " 1[BEGIN] 2[ab");
        for (int i = 0; i < 2900; i++)
            text[n++] = ascii && i < 1450 ? 'x' : '\x80';
        for (int i = 0; i < 2900; i++)
            m += (size_t)sprintf(wanted + m, "%s", ascii && i < 1450 ? "x" : "\xe2\x82\xac");
        (void)sprintf(text + n, "+END'" UNT UNZ);
        (void)sprintf(wanted + m, "] 3[END]\n");
        cr_assert(says(&profile, text, wanted));
    }
}

/* ---- envelopes ---- */

Test(edifact, compares_counts_as_numbers_and_references_as_text) {
    cr_assert(finds(UNB UNH INNER "UNT+003+1'" UNZ, ""));
    cr_assert(finds(UNB UNH INNER "UNT+4+1'" UNZ, "edifact.count-differs@4"));
    cr_assert(finds(UNB UNH INNER "UNT+3x+1'" UNZ, "edifact.count-differs@4"));
    cr_assert(finds(UNB UNH INNER "UNT+-3+1'" UNZ, "edifact.count-differs@4"));
    cr_assert(finds(UNB UNH INNER "UNT+18446744073709551619+1'" UNZ, "edifact.count-differs@4"));
    cr_assert(finds(UNB UNH INNER "UNT+3+01'" UNZ, "edifact.reference-zeros@4"));
    cr_assert(finds(UNB UNH INNER "UNT+3+2'" UNZ, "edifact.reference-differs@4"));
    cr_assert(finds(UNB UNH INNER "UNT+3'" UNZ, "edifact.missing@4"));
    cr_assert(finds(UNB UNH INNER "UNT++1'" UNZ, "edifact.missing@4"));
    cr_assert(finds(UNB UNH INNER UNT "UNZ+2+REF1'", "edifact.count-differs@5"));
    cr_assert(finds(UNB UNH INNER UNT "UNZ+1+ref1'", "edifact.reference-differs@5"));
    cr_assert(finds("UNB+UNOC:3+A+B+260901:0605+a?'b'" UNH INNER UNT "UNZ+1+a?'b'", ""));
}

Test(edifact, wants_what_the_envelope_must_have) {
    cr_assert(
        finds("UNB+UNOC:3++B+260901+R'UNZ+0+R'", "edifact.missing@1,edifact.missing@1,edifact.empty@2"));
    cr_assert(finds("UNB+UNOC:7+A+B+260901:0605+R'UNZ+0+R'", "edifact.syntax-version@1,edifact.empty@2"));
    cr_assert(finds("UNB+UNOC:3+A+B+260231:0605+R'UNZ+0+R'", "edifact.date@1,edifact.empty@2"));
    cr_assert(finds("UNB+UNOC:3+A+B+260901:2560+R'UNZ+0+R'", "edifact.date@1,edifact.empty@2"));
    cr_assert(finds("UNB+UNOC:3+A+B+260901:0605+123456789012345'UNZ+0+123456789012345'",
                    "edifact.too-long@1,edifact.empty@2"));
    cr_assert(finds(UNB "UNH+1'" INNER UNT UNZ,
                    "edifact.missing@2,edifact.missing@2,edifact.missing@2,edifact.missing@2"));
    cr_assert(finds(UNB UNH "UNT+2+1'" UNZ, "edifact.empty@3"));
    cr_assert(finds(UNB UNH INNER UNT UNH INNER UNT "UNZ+2+REF1'", "edifact.reference-twice@5"));
}

Test(edifact, tells_separators_that_separate_nothing) {
    cr_assert(finds(WITH("FTX+a+b+'"), "edifact.trailing-separator@3"));
    cr_assert(finds(WITH("FTX+a:b:+c'"), "edifact.trailing-separator@3"));
    cr_assert(finds(WITH("FTX+a:+'"), "edifact.trailing-separator@3,edifact.trailing-separator@3"));
    cr_assert(finds(WITH("FTX++:a+b'"), ""));
    cr_assert(says(NULL, WITH("FTX+a::+c+'"), "trailing-separator severity 2 scope 2 2/3 1:2 @84+1"));
    cr_assert(says(NULL, WITH("FTX+a::+c+'"), "trailing-separator severity 2 scope 2 2/3 3:0 @88+1"));
}

Test(edifact, refuses_names_that_no_segment_has) {
    cr_assert(finds(WITH("BBBB+a'"), "document.bad-tag@3"));
    cr_assert(finds(WITH("bgm+a'"), "document.bad-tag@3"));
    cr_assert(finds(WITH("+a'"), "document.bad-tag@3"));
    cr_assert(finds(WITH("A1B:1:2+a'"), "")); /* explicit nesting */
}

/* ---- after damage ---- */

Test(edifact, goes_on_at_the_next_header) {
    cr_assert(finds(UNB UNH INNER "UNH+2+ORDERS:D:96A:UN'" INNER "UNT+3+2'"
                                  "UNZ+2+REF1'",
                    "edifact.unt-missing@3"));
    cr_assert(finds(UNB UNH INNER UNB UNH INNER UNT UNZ, "edifact.unt-missing@3,edifact.unz-missing@3"));
    cr_assert(finds(UNB UNH INNER "UNA*@.? #UNB@UNOC*3@A@B@260901*0605@R#UNZ@0@R#",
                    "edifact.unt-missing@3,edifact.unz-missing@3,edifact.empty@5"));
    cr_assert(finds(UNB UNH INNER UNZ, "edifact.unt-missing@3"));
    cr_assert(finds(UNB "UNG+ORDERS+A+B+260901:0605+G1+UN+D:96A'" UNH INNER UNZ,
                    "edifact.unt-missing@4,edifact.une-missing@4"));
    cr_assert(finds(UNB "UNG+ORDERS+A+B+260901:0605+G1+UN+D:96A'" UNH INNER
                        "UNG+ORDERS+A+B+260901:0605+G2+UN+D:96A'"
                        "UNH+2+ORDERS:D:96A:UN'" INNER "UNT+3+2'UNE+1+G2'UNZ+2+REF1'",
                    "edifact.unt-missing@4,edifact.une-missing@4"));
}

Test(edifact, finds_a_header_in_the_line_after_a_segment_without_terminator) {
    cr_assert(finds(UNB UNH INNER UNT "UNZ+1+REF1\r\n" UNB UNH INNER UNT UNZ, "document.unterminated@5"));
    cr_assert(finds(UNB UNH "BGM+1\nUNH+2+ORDERS:D:96A:UN'" INNER "UNT+3+2'UNZ+2+REF1'",
                    "document.unterminated@3,edifact.unt-missing@3"));
    cr_assert(says(NULL, UNB UNH INNER UNT "UNZ+1+REF1\r\n" UNB UNH INNER UNT UNZ,
                   "end 0 +111 segments 5 messages 1 errors 1\nbegin 0 @113 "));
}

Test(edifact, tells_each_level_that_is_open_at_the_end) {
    cr_assert(finds(UNB UNH INNER, "edifact.unt-missing@3,edifact.unz-missing@3"));
    cr_assert(finds(UNB UNH INNER "BG", "document.truncated@4,edifact.unt-missing@3,edifact.unz-missing@3"));
    cr_assert(finds(UNB UNH INNER UNT "UNZ+1+REF1", "document.unterminated@5"));
    cr_assert(finds(UNB UNH INNER UNT "UNZ+1+REF1\r\n", "document.unterminated@5"));
    cr_assert(finds(UNB UNH INNER "UNT+3+1", "document.unterminated@4,edifact.unz-missing@4"));
    cr_assert(finds(UNB UNH INNER UNT "UNZ+1+REF1?", "edifact.release-at-end@5,edifact.unz-missing@4"));
    cr_assert(finds(UNB UNH INNER UNT "UNZ+1+REF1?'", "document.unterminated@5,edifact.reference-differs@5"));
    cr_assert(finds("UNB+UNOC:3+A\nUNH+1\nUNT+1\n", "document.truncated@1"));
}

Test(edifact, tells_what_stands_outside) {
    cr_assert(finds(UNH INNER UNT, "edifact.no-interchange@1"));
    cr_assert(finds(UNH INNER UNT UNH INNER UNT,
                    "edifact.no-interchange@1,edifact.no-interchange@4,edifact.reference-twice@4"));
    cr_assert(finds("BGM+220'DTM+1'LIN+1'", "edifact.outside-message@1"));
    cr_assert(finds(UNB INNER INNER UNH INNER UNT INNER UNZ,
                    "edifact.outside-message@2,edifact.outside-message@7"));
    cr_assert(finds(UNB UNT UNZ, "edifact.trailer-alone@2,edifact.count-differs@3,edifact.empty@3"));
    cr_assert(finds(UNZ UNB UNH INNER UNT UNZ, "edifact.trailer-alone@1"));
    cr_assert(finds(UNB UNH INNER "UNE+1+G'" UNZ, "edifact.unt-missing@3,edifact.trailer-alone@4"));
}

Test(edifact, tells_bytes_that_belong_to_nothing) {
    cr_assert(finds("", ""));
    cr_assert(finds(" \r\n", ""));
    cr_assert(finds("\xef\xbb\xbf", "document.bom@0"));
    cr_assert(says(NULL, "hello UNITED world\n" UNB UNH INNER UNT UNZ,
                   "garbage severity 2 scope 0 0/0 0:0 @0+19 line 1"));
    cr_assert(says(NULL, UNB UNH INNER UNT UNZ "\x1a", "garbage severity 2 scope 0 0/5 0:0 @112+1 line 1"));
    cr_assert(says(NULL, UNB UNH INNER UNT UNZ "\nUNA+ is what they say\n" UNB UNH INNER UNT UNZ,
                   "garbage severity 2 scope 0 0/5 0:0 @113+22 line 2"));
    cr_assert(finds("text UNH+1+ORDERS:D:96A:UN'" INNER UNT, "document.garbage@0,edifact.no-interchange@1"));
    cr_assert(finds("UNA:+", "document.garbage@0"));
    cr_assert(finds("UN", "document.garbage@0"));
}

/* ---- charsets ---- */

Test(edifact, makes_utf8_of_the_charset_that_is_declared) {
    const char *others = "+A+B+260901:0605+R'" UNH "FTX+\xe4'" UNT "UNZ+1+R'";
    static const struct {
        const char *identifier;
        const char *text; /* of byte e4 */
    } all[] = {{"UNOC:3", "\xc3\xa4"}, {"UNOD:3", "\xc3\xa4"}, {"UNOE:3", "\xd1\x84"}, {"UNOF:3", "\xce\xb4"},
               {"UNOG:3", "\xc3\xa4"}, {"UNOH:3", "\xc3\xa4"}, {"UNOI:3", "\xd9\x84"}, {"UNOJ:3", "\xd7\x94"},
               {"UNOK:3", "\xc3\xa4"}, {"UNOL:3", "\xc3\xa4"}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char text[256], wanted[32];
        (void)snprintf(text, sizeof text, "UNB+%s%s", all[i].identifier, others);
        (void)snprintf(wanted, sizeof wanted, "1[%s]\n", all[i].text);
        cr_assert(says(NULL, text, wanted), "%s", all[i].identifier);
        cr_assert(finds(text, ""), "%s", all[i].identifier);
    }
    cr_assert(finds("UNB+UNOY:4+A+B+20260901:0605+R'" UNH "FTX+\xe2\x82\xac'" UNT "UNZ+1+R'", ""));
    cr_assert(finds("UNB+UNOW:4+A+B+20260901:0605+R'" UNH "FTX+\xe2\x82'" UNT "UNZ+1+R'",
                    "document.charset-violated@3"));
}

Test(edifact, tells_the_first_byte_that_the_charset_does_not_have) {
    cr_assert(says(NULL,
                   "UNB+UNOA:3+A+B+260901:0605+R'" UNH "FTX+OK+AB:\xc3\xa4'FTX+\xc3\xa4'UNT+4+1'UNZ+1+R'",
                   "charset-violated severity 2 scope 2 2/3 2:2 @68+1"));
    cr_assert(finds("UNB+UNOA:3+A+B+260901:0605+R'" UNH "FTX+OK+AB:\xc3\xa4'FTX+\xc3\xa4'UNT+4+1'UNZ+1+R'",
                    "document.charset-violated@3")); /* once */
    cr_assert(finds(WITH("FTX+\x80'"), "document.charset-violated@3"));
    cr_assert(finds(WITH("FTX+\x07'"), "document.charset-violated@3"));
    cr_assert(
        finds("UNB+UNOC:3+A\x90+B+260901:0605+R'" UNH INNER UNT "UNZ+1+R'", "document.charset-violated@1"));
    /* what violates its charset is UTF-8, or else Windows-1252 */
    cr_assert(
        says(NULL, "UNB+UNOA:3+A+B+260901:0605+R'" UNH "FTX+\xc3\xa4'" UNT "UNZ+1+R'", "1[\xc3\xa4]\n"));
    cr_assert(says(NULL, WITH("FTX+\x80 5'"), "1[\xe2\x82\xac 5]\n"));
}

Test(edifact, knows_the_names_of_charsets_or_says_that_it_does_not) {
    struct profile profile = {.charset = "ISO-8859-7"};
    const char *text = "UNB+XXXX:3+A+B+260901:0605+R'" UNH "FTX+\xe4'" UNT "UNZ+1+R'";
    cr_assert(finds(text, "document.charset-unknown@1,document.charset-violated@3"));
    cr_assert(says(&profile, text, "1[\xce\xb4]\n"));
    struct trace *trace = feed_text(FEED_EDIFACT, &profile, text);
    cr_assert_eq(trace->count, 0);
    feed_free(trace);
}

Test(edifact, notes_what_level_a_does_not_have) {
    struct profile profile = {0};
    const char *text = "UNB+UNOA:3+A+B+260901:0605+R'" UNH "FTX+AB'FTX+ab'FTX+a#'UNT+5+1'UNZ+1+R'";
    cr_assert(finds(text, "edifact.level-a@4"));
    cr_assert(says(NULL, text, "level-a severity 0"));
    cr_assert(says(NULL, text, "end 2 +58 segments 5 messages 0 errors 0"));
    cr_assert(profile_refuse(&profile, FINDING_EDIFACT_LEVEL_A));
    cr_assert(says(&profile, text, "level-a severity 2"));
    cr_assert(finds("UNB+UNOA:3+A_B+B+260901:0605+R'UNZ+0+R'", "edifact.level-a@1,edifact.empty@2"));
    cr_assert(finds("UNB+UNOB:3+a_b+B+260901:0605+R'UNZ+0+R'", "edifact.empty@2"));
}

/* ---- limits ---- */

Test(edifact, passes_over_a_segment_that_is_too_long) {
    struct profile profile = {.segment_max = 100};
    char text[1000] = UNB UNH "FTX+";
    memset(text + strlen(text), 'x', 200);
    strcat(text, "?'yy'BGM+1'UNT+4+1'" UNZ);
    cr_assert(says(&profile, text, "too-large severity 2 scope 2 2/3 0:0 @79+100 line 1 segment=FTX"));
    cr_assert(says(&profile, text, "segment BGM 3/4 @"));
    cr_assert(says(&profile, text, "segments 4 messages 0 errors 1"));
    struct trace *whole = feed_text(FEED_EDIFACT, &profile, text);
    for (size_t at = 0; at < strlen(text); at++) {
        struct trace *split = feed_split(FEED_EDIFACT, &profile, (const uint8_t *)text, strlen(text), at);
        cr_assert(feed_same(whole, split), "split at %zu", at);
        feed_free(split);
    }
    for (size_t piece = 1; piece < 150; piece += 7) {
        struct trace *pieces =
            feed_pieces(FEED_EDIFACT, &profile, (const uint8_t *)text, strlen(text), piece);
        cr_assert(feed_same(whole, pieces), "pieces of %zu", piece);
        feed_free(pieces);
    }
    feed_free(whole);
}

static long resident_max(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

Test(edifact, needs_no_memory_for_100_mb_without_a_terminator, .timeout = 60) {
    static uint8_t block[1 << 20];
    struct trace trace = {.quiet = true};
    struct document_sink sink = trace_sink(&trace);
    struct edifact_reader *reader;
    memset(block, 'A', sizeof block);
    cr_assert_eq(edifact_create(&reader, &sink, NULL), 0);
    edifact_feed(reader, (const uint8_t *)UNB UNH, strlen(UNB UNH));
    edifact_feed(reader, block, sizeof block);
    long before = resident_max();
    for (int i = 0; i < 99; i++)
        edifact_feed(reader, block, sizeof block);
    cr_assert_lt(resident_max() - before, 1024, "KiB");
    edifact_end(reader);
    cr_assert_eq(trace.count, 3); /* too large, and both trailers are missing */
    cr_assert_eq(trace_found(&trace, FINDING_TOO_LARGE), 1);
    edifact_destroy(reader);
    LEAKS_NONE();
}

Test(edifact, keeps_so_many_elements_and_tells_the_rest) {
    char text[4000] = UNB UNH "FTX";
    for (int i = 0; i < 300; i++)
        strcat(text, "+a");
    strcat(text, "'FTX+a");
    for (int i = 0; i < 1100; i++)
        strcat(text, ":b");
    strcat(text, "'UNT+4+1'" UNZ);
    cr_assert(finds(text, "document.too-many-elements@3,document.too-many-elements@4"));
}

Test(edifact, holds_to_the_limits_of_the_profile) {
    struct profile profile = {.segments_max = 3, .messages_max = 2, .findings_max = 2};
    struct trace *trace = feed_text(FEED_EDIFACT, &profile,
                                    UNB UNH INNER INNER INNER INNER "UNT+6+1'"
                                                                    "UNZ+1+REF1'");
    cr_assert(trace_found(trace, FINDING_TOO_LARGE) == 1 && trace->segments == 2 && trace->count == 1);
    feed_free(trace);
    trace = feed_text(FEED_EDIFACT, &profile,
                      UNB UNH UNT
                      "UNH+2+A:D:1:UN'UNT+2+2'UNH+3+A:D:1:UN'UNT+2+3'UNH+4+A:D:1:UN'UNT+2+4'UNZ+4+REF1'");
    cr_assert(trace->begun[DOCUMENT_MESSAGE] == 2 && trace_found(trace, FINDING_TOO_LARGE) == 1);
    feed_free(trace);
    profile = (struct profile){.findings_max = 2};
    trace = feed_text(FEED_EDIFACT, &profile, WITH("a+b'b+c'c+d'"));
    cr_assert(trace->count == 2 && strstr(trace->text, "errors 4"));
    feed_free(trace);
}

Test(edifact, finds_a_reference_that_comes_again_among_many, .timeout = 60) {
    static char text[64 * 5000];
    size_t n = 0;
    n += (size_t)sprintf(text + n, UNB);
    for (int i = 0; i < 5000; i++)
        n += (size_t)sprintf(text + n, "UNH+%d+ORDERS:D:96A:UN'BGM'UNT+3+%d'", i == 4999 ? 77 : i,
                             i == 4999 ? 77 : i);
    (void)sprintf(text + n, "UNZ+5000+REF1'");
    cr_assert(finds(text, "edifact.reference-twice@14999"));
}

Test(edifact, reads_one_file_after_the_other) {
    struct trace trace = {0};
    struct document_sink sink = trace_sink(&trace);
    struct edifact_reader *reader;
    cr_assert_eq(edifact_create(&reader, &sink, NULL), 0);
    const char *first = "UNA*@.? #UNB@UNOC*4@A@B@260901*0605@R#UNH@1@X*D*96A*UN#FTX@a*b";
    edifact_feed(reader, (const uint8_t *)first, strlen(first));
    edifact_end(reader);
    size_t begun = trace.length;
    unsigned found = trace.count;
    edifact_feed(reader, (const uint8_t *)UNB UNH INNER UNT UNZ, strlen(UNB UNH INNER UNT UNZ));
    edifact_end(reader);
    cr_assert_eq(trace.count, found);
    cr_assert(strstr(trace.text + begun, "segment BGM 2/3 @79+14 line 1"));
    edifact_destroy(reader);
    edifact_destroy(NULL);
    trace_free(&trace);
    LEAKS_NONE();
}
