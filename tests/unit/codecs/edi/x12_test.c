#include "codecs/edi/x12.h"

#include "tests/unit/codecs/edi/feed.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ISA_FILL  "*00*          *00*          *ZZ*SENDER         *01*RECEIVER       *260901*0605*"
#define ISA       "ISA" ISA_FILL "U*00401*000000007*0*P*>~"
#define ISA_402   "ISA" ISA_FILL "^*00402*000000007*1*T*>~"
#define GS        "GS*PO*APPS*APPR*20260901*0605*9*X*004010VICS~"
#define ST        "ST*850*0001~"
#define INNER     "BEG*00*SA*PO1**20260901~"
#define SE        "SE*3*0001~"
#define GE        "GE*1*9~"
#define IEA       "IEA*1*000000007~"
#define WITH(all) ISA GS ST all SE GE IEA

/* "code@segment,code@segment": the findings of a text for the strict profile. */
static bool finds(const char *text, const char *wanted) {
    struct trace *trace = feed_text(FEED_X12, NULL, text);
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

static bool says_of(const struct profile *profile, const void *bytes, size_t n, const char *line) {
    struct trace *trace = feed_whole(FEED_X12, profile, bytes, n);
    bool there = trace->text && strstr(trace->text, line);
    if (!there)
        fprintf(stderr, "%.*s\n%s\nwanted %s\n", (int)n, (const char *)bytes, trace->text ? trace->text : "",
                line);
    feed_free(trace);
    return there;
}

static bool says(const struct profile *profile, const char *text, const char *line) {
    return says_of(profile, text, strlen(text), line);
}

/* The text with each of the bytes of `from` replaced by the one of `to` at its place. */
static char *replaced(const char *text, const char *from, const char *to) {
    static char out[2048];
    (void)snprintf(out, sizeof out, "%s", text);
    for (char *p = out; *p; p++) {
        const char *found = strchr(from, *p);
        if (found)
            *p = to[found - from];
    }
    return out;
}

/* ---- what is right ---- */

Test(x12, hands_over_scopes_and_segments) {
    struct trace *trace = feed_text(FEED_X12, NULL,
                                    ISA "\r\n" GS ST INNER "N1*ST*>a>*b~\r\n"
                                        "SE*4*0001~" GE IEA);
    cr_assert_str_eq(
        trace->text,
        "begin 0 @0 format=X12 syntax=00401 sender=SENDER sender-qualifier=ZZ receiver=RECEIVER "
        "receiver-qualifier=01 "
        "interchange=000000007 date=20260901 time=0605\n"
        "begin 1 @108 format=X12 syntax=00401 name=PO version=004010 association=VICS sender=APPS "
        "receiver=APPR "
        "interchange=000000007 group=9 date=20260901 time=0605\n"
        "begin 2 @153 format=X12 syntax=00401 name=850 version=004010 association=VICS sender=SENDER "
        "sender-qualifier=ZZ receiver=RECEIVER receiver-qualifier=01 interchange=000000007 group=9 "
        "message=0001 "
        "date=20260901 time=0605\n"
        "segment BEG 2/4 @165+24 line 2 1[00] 2[SA] 3[PO1] 4[] 5[20260901]\n"
        "segment N1 3/5 @189+12 line 2 1[ST] 2[][a][] 3[b]\n"
        "end 2 +60 segments 4 messages 0 errors 0\n"
        "end 1 +112 segments 6 messages 1 errors 0\n"
        "end 0 +236 segments 8 messages 1 errors 0\n");
    feed_free(trace);
    LEAKS_NONE();
}

Test(x12, takes_its_separators_from_isa) {
    static const char *const all[] = {"*>~", "|!~", "*:\n", "+:'", "\x1d\x1f\x1c", "^>|", ",;\r"};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        const char *text = replaced(WITH("N1*a>b~"), "*>~", all[i]);
        cr_assert(finds(text, ""), "%zu", i);
        cr_assert(says(NULL, text, "segment N1 2/4"), "%zu", i);
        cr_assert(says(NULL, text, " 1[a][b]\n"), "%zu", i);
    }
    cr_assert(finds(replaced(ISA "@" GS "@" ST "@" INNER SE "@" GE "@" IEA "@", "~@", "\r\n"),
                    "")); /* CR LF is the pair */
}

Test(x12, repeats_since_00402) {
    cr_assert(says(NULL, ISA_402 GS ST "N1*a^b>c*d~" SE GE IEA, " 1[a] 1[b][c] 2[d]\n"));
    cr_assert(says(NULL, ISA_402 GS ST "N1*a^b>c*d~" SE GE IEA, "test acknowledge\n"));
    cr_assert(says(NULL, WITH("N1*a^bUc~"), " 1[a^bUc]\n"));
    cr_assert(says(NULL, "ISA" ISA_FILL "U*00501*000000007*0*P*>~" GS ST "N1*aUb~" SE GE IEA, " 1[aUb]\n"));
}

Test(x12, hands_over_ta1_outside_of_groups) {
    cr_assert(finds(ISA "TA1*000000005*260901*0605*A*000~IEA*0*000000007~", ""));
    cr_assert(says(NULL, ISA "TA1*000000005*260901*0605*A*000~IEA*0*000000007~",
                   "segment TA1 0/2 @106+32 line 1 1[000000005] 2[260901] 3[0605] 4[A] 5[000]\n"));
    cr_assert(finds(ISA "TA1*1~" GS ST INNER SE GE IEA, ""));
    cr_assert(finds(ISA GS "TA1*1~" ST INNER SE GE IEA, "x12.outside-set@3"));
}

Test(x12, reads_several_groups_and_interchanges) {
    cr_assert(finds(WITH(INNER) WITH(INNER) "\n" WITH(INNER), ""));
    cr_assert(finds(ISA GS ST INNER SE GE GS ST INNER SE GE "IEA*2*000000007~", ""));
    char text[4096]; /* the next one has other separators */
    (void)snprintf(text, sizeof text, "%s%s", WITH(INNER), replaced(WITH(INNER), "*>~", "|:\n"));
    cr_assert(finds(text, ""));
}

Test(x12, releases_by_the_character_that_isx_names) {
    const char *isa = "ISA" ISA_FILL "^*00704*000000007*0*P*>~ISX*?~";
    char text[1024];
    (void)snprintf(text, sizeof text, "%s%s", isa, GS ST "N1*a?*b?~*c?>d>e^f?^?\?~" SE GE IEA);
    cr_assert(finds(text, ""));
    cr_assert(says(NULL, text, "segment N1 2/5 @169+23 line 1 1[a?*b?~~] 2[c?>d~][e] 2[f?^?\?~]\n"));
    cr_assert(finds(ISA "ISX*?~" GS ST "N1*a?~" SE GE IEA, "x12.outside-set@2")); /* there was none then */
    cr_assert(finds(ISA GS "ISX*?~" ST INNER SE GE IEA, "x12.outside-set@3"));
}

/* ---- binary data ---- */

Test(x12, counts_the_bytes_of_binary_data) {
    cr_assert(says(NULL, WITH("BIN*9*a~b*c>\nSE~"), "segment BIN 2/4 @163+16 line 1 1[9] 2[a~b*c>\nSE]\n"));
    cr_assert(finds(WITH("BIN*9*a~b*c>\nSE~"), ""));
    cr_assert(says(NULL,
                   ISA GS ST "BDS*ASC*4*~~~~~"
                             "SE*3*0001~" GE IEA,
                   " 1[ASC] 2[4] 3[~~~~]\n"));
    cr_assert(says(NULL, WITH("BIN*0*~"), " 1[0] 2[]\n"));
    static const char bytes[] = WITH("BIN*5*\0\xff~\0\x80~");
    cr_assert(says_of(NULL, bytes, sizeof bytes - 1, "segment BIN 2/4 @163+12 line 1 1[5] 2["));
    cr_assert(says_of(NULL, bytes, sizeof bytes - 1, "end 2 +34 segments 3 messages 0 errors 0"));
}

Test(x12, tells_binary_data_that_end_elsewhere) {
    cr_assert(finds(WITH("BIN*5*abc~"), "x12.binary-length@4"));
    cr_assert(finds(WITH("BIN*2*abc~"), "x12.binary-length@4"));
    cr_assert(finds(WITH("BIN*x*abc~"), "x12.binary-length@4"));
    cr_assert(finds(WITH("BIN*3~"), "x12.binary-length@4"));
    cr_assert(finds(WITH("BIN*-3*abc~"), "x12.binary-length@4"));
    cr_assert(finds(WITH("BIN*99999999999999999999*abc~"), "x12.binary-length@4"));
    cr_assert(finds(ISA GS ST "BIN*500*abc~" SE,
                    "document.truncated@4,x12.se-missing@3,x12.ge-missing@3,x12.iea-missing@3"));
    cr_assert(finds(
        ISA GS ST "BIN*99999999*abc~" SE,
        "document.too-large@4,document.truncated@4,x12.se-missing@4,x12.ge-missing@4,x12.iea-missing@4"));
}

static void splits(const struct profile *profile, const uint8_t *bytes, size_t n) {
    struct trace *whole = feed_whole(FEED_X12, profile, bytes, n);
    for (size_t at = 0; at <= n; at++) {
        struct trace *split = feed_split(FEED_X12, profile, bytes, n, at);
        cr_assert(feed_same(whole, split), "split at %zu:\n%s\n%s", at, whole->text, split->text);
        feed_free(split);
    }
    for (size_t piece = 1; piece < 60; piece += piece < 8 ? 1 : 11) {
        struct trace *pieces = feed_pieces(FEED_X12, profile, bytes, n, piece);
        cr_assert(feed_same(whole, pieces), "pieces of %zu", piece);
        feed_free(pieces);
    }
    feed_free(whole);
}

Test(x12, gives_the_same_however_it_is_split, .timeout = 60) {
    static const char all[] = WITH("BIN*9*a~b*c>\nSE~") "\r\n" ISA GS ST "BDS*a*2*\0~~" INNER "SE*9*2~" IEA;
    static const char wrong[] = ISA GS ST "BIN*8*a~b*c>\nSE~"
                                          "BIN*99*" SE "trash ISA*1" WITH(INNER);
    struct profile profile = {.segment_max = 120};
    static const char large[] =
        WITH("BIN*500*~~") INNER INNER INNER INNER INNER INNER INNER INNER INNER INNER INNER INNER INNER INNER
            INNER INNER INNER INNER INNER INNER "N1*" ISA_FILL ISA_FILL "~" INNER WITH(INNER);
    splits(NULL, (const uint8_t *)all, sizeof all - 1);
    splits(NULL, (const uint8_t *)wrong, sizeof wrong - 1);
    splits(&profile, (const uint8_t *)large, sizeof large - 1);
}

/* ---- ISA ---- */

Test(x12, reads_isa_by_its_separators_where_its_widths_are_wrong) {
    const char *text =
        "ISA*00**00**ZZ*SENDER*01*RECEIVER*260901*0605*U*00401*7*0*P*>~" GS ST INNER SE GE "IEA*1*7~";
    cr_assert(finds(text, "x12.isa-width@1,x12.isa-width@1,x12.isa-width@1,x12.isa-width@1,x12.isa-width@1"));
    cr_assert(
        says(NULL, text,
             "sender=SENDER sender-qualifier=ZZ receiver=RECEIVER receiver-qualifier=01 interchange=7"));
    cr_assert(says(NULL, text, "isa-width severity 2 scope 0 0/1 6:1 @15+6 line 1 segment=ISA found=SENDER"));
}

Test(x12, does_without_isa16_where_it_is_missing) {
    cr_assert(finds("ISA" ISA_FILL "U*00401*000000007*0*P*~\n" GS ST INNER SE GE IEA, "x12.isa16-missing@1"));
    cr_assert(finds(replaced("ISA" ISA_FILL "U*00401*000000007*0*P*~" GS ST INNER SE GE IEA, "~", "\n"),
                    "x12.isa16-missing@1"));
    cr_assert(says(NULL, "ISA" ISA_FILL "U*00401*000000007*0*P*~\n" GS ST "N1*a>b~" SE GE IEA, " 1[a>b]\n"));
}

Test(x12, tells_separators_that_are_none) {
    cr_assert(finds("ISA" ISA_FILL "U*00401*000000007*0*P**~" GS ST INNER SE GE IEA, "x12.separators@1"));
    cr_assert(finds("ISA" ISA_FILL "U*00401*000000007*0*P*A~" GS ST INNER SE GE IEA, "x12.separators@1"));
    cr_assert(finds("ISA" ISA_FILL "U*00401*000000007*0*P*~~" GS ST INNER SE GE IEA, "x12.separators@1"));
    cr_assert(finds("ISA" ISA_FILL "U*00401*000000007*0*P*>*" GS ST INNER SE GE IEA, "document.garbage@0"));
}

Test(x12, checks_what_isa_says) {
    cr_assert(finds("ISA" ISA_FILL "U*00199*000000007*0*P*>~IEA*0*000000007~", "x12.version@1,x12.empty@2"));
    cr_assert(finds("ISA" ISA_FILL "U*00899*000000007*0*P*>~IEA*0*000000007~", "x12.empty@2"));
    cr_assert(finds("ISA*00*          *00*          *ZZ*SENDER         *01*RECEIVER       "
                    "*261301*0660*U*00401*000000007*0*P*>~"
                    "IEA*0*000000007~",
                    "x12.date@1,x12.time@1,x12.empty@2"));
}

/* ---- envelopes ---- */

Test(x12, compares_counts_as_numbers_and_control_numbers_as_text) {
    cr_assert(finds(ISA GS ST INNER "SE*0003*0001~"
                                    "GE*01*9~"
                                    "IEA*00001*000000007~",
                    ""));
    cr_assert(finds(ISA GS ST INNER "SE*4*0001~" GE IEA, "x12.set-count-differs@5"));
    cr_assert(finds(ISA GS ST INNER "SE*3*0002~" GE IEA, "x12.set-reference-differs@5"));
    cr_assert(finds(ISA GS ST INNER "SE*3*1~" GE IEA, "x12.reference-zeros@5"));
    cr_assert(finds(ISA GS ST INNER SE "GE*2*9~" IEA, "x12.group-count-differs@6"));
    cr_assert(finds(ISA GS ST INNER SE "GE*1*8~" IEA, "x12.group-reference-differs@6"));
    cr_assert(finds(ISA GS ST INNER SE GE "IEA*2*000000007~", "x12.interchange-count-differs@7"));
    cr_assert(finds(ISA GS ST INNER SE GE "IEA*1*000000008~", "x12.interchange-reference-differs@7"));
    cr_assert(finds(ISA GS ST INNER SE GE "IEA*1*7~", "x12.reference-zeros@7"));
    cr_assert(finds(ISA GS ST INNER "SE~" GE IEA, "x12.missing@5,x12.missing@5"));
}

Test(x12, wants_groups_that_fit_and_sets_with_numbers_of_their_own) {
    cr_assert(finds(ISA GS "ST*810*0001~" INNER SE GE IEA, "x12.group-type@3"));
    cr_assert(finds(ISA "GS*FA*A*B*20260901*0605*9*X*005010X230A1~ST*999*0001~" INNER SE GE IEA, ""));
    cr_assert(finds(ISA "GS*XX*A*B*20260901*0605*9*X*004010~ST*123*0001~" INNER SE GE IEA, ""));
    cr_assert(finds(ISA GS ST INNER SE ST INNER SE "GE*2*9~" IEA, "x12.reference-twice@6"));
    cr_assert(finds(ISA "GS*PO**B*20260901*0605*9*X~" ST INNER SE GE IEA, "x12.missing@2,x12.missing@2"));
    cr_assert(finds(ISA GS "ST*850~" INNER "SE*3*0001~" GE IEA, "x12.missing@3,x12.set-reference-differs@5"));
    cr_assert(finds(ISA GS ST "SE*2*0001~" GE IEA, "x12.empty@4"));
    cr_assert(finds(ISA GS "GE*0*9~" IEA, "x12.empty@3"));
    cr_assert(finds(ISA "IEA*0*000000007~", "x12.empty@2"));
}

Test(x12, takes_the_convention_of_st03) {
    cr_assert(says(NULL, ISA GS "ST*850*0001*005010X223A2~" INNER SE GE IEA,
                   "name=850 version=004010 association=005010X223A2"));
}

/* ---- after damage ---- */

Test(x12, goes_on_at_the_next_header) {
    cr_assert(finds(ISA GS ST INNER "ST*850*0002~" INNER "SE*3*0002~"
                                    "GE*2*9~" IEA,
                    "x12.se-missing@4"));
    cr_assert(finds(ISA GS ST INNER SE GS ST INNER SE GE "IEA*2*000000007~", "x12.ge-missing@5"));
    cr_assert(finds(ISA GS ST INNER ISA GS ST INNER SE GE IEA,
                    "x12.se-missing@4,x12.ge-missing@4,x12.iea-missing@4"));
    cr_assert(finds(ISA GS ST INNER IEA, "x12.se-missing@4,x12.ge-missing@4"));
    cr_assert(finds(ISA GS ST INNER GE IEA, "x12.se-missing@4"));
    char text[4096];
    (void)snprintf(text, sizeof text, "%s%s", ISA GS ST INNER, replaced(WITH(INNER), "*>~", "|:\n"));
    cr_assert(finds(text, "x12.se-missing@4,x12.ge-missing@4,x12.iea-missing@4"));
    cr_assert(finds(ISA GS ST INNER SE GE "IEA*1*000000007\r\n" WITH(INNER), "document.unterminated@7"));
}

Test(x12, does_not_take_isa_in_a_text_for_a_header) {
    cr_assert(finds(WITH("ISA*1~"), ""));
    cr_assert(finds(WITH("MSG*ISA*00*a*00*b*ZZ*c*ZZ*d*e*f*g*h*i*j*k*>~"), ""));
    cr_assert(says(NULL, WITH("MSG*CALL ISA*x~"), " 1[CALL ISA] 2[x]\n"));
    cr_assert(
        says(NULL, "ISABELLA WAS HERE " WITH(INNER), "garbage severity 2 scope 0 0/0 0:0 @0+18 line 1"));
}

Test(x12, tells_each_level_that_is_open_at_the_end) {
    cr_assert(finds(ISA GS ST INNER, "x12.se-missing@4,x12.ge-missing@4,x12.iea-missing@4"));
    cr_assert(finds(ISA GS ST INNER SE GE "IEA*1*000000007", "document.unterminated@7"));
    cr_assert(finds(ISA GS ST INNER SE "GE*1", "document.unterminated@6,x12.missing@6,x12.iea-missing@6"));
    cr_assert(finds(ISA GS ST INNER "BE",
                    "document.truncated@5,x12.se-missing@4,x12.ge-missing@4,x12.iea-missing@4"));
    cr_assert(finds("ISA*00*", "document.garbage@0"));
}

Test(x12, tells_what_stands_outside) {
    cr_assert(finds(ST INNER SE, "x12.no-interchange@1"));
    cr_assert(finds(GS ST INNER SE GE, "x12.no-interchange@1"));
    cr_assert(finds(replaced(GS ST INNER SE GE, "~*", "\n|"), "x12.no-interchange@1"));
    cr_assert(finds(ISA ST INNER SE "IEA*0*000000007~", "x12.no-group@2"));
    cr_assert(finds(ISA GS INNER INNER ST INNER SE INNER GE IEA, "x12.outside-set@3,x12.outside-set@8"));
    cr_assert(finds(ISA SE GE "IEA*0*000000007~", "x12.trailer-alone@2,x12.trailer-alone@3,x12.empty@4"));
    cr_assert(finds(WITH(INNER) "\x1a", "document.garbage@7"));
    cr_assert(finds(WITH(INNER) "\n\n", ""));
}

/* ---- segments ---- */

Test(x12, tells_what_no_segment_is) {
    cr_assert(finds(ISA GS ST INNER "~" SE GE IEA, "document.empty-segment@4"));
    cr_assert(finds(replaced(ISA GS ST INNER "~" SE GE IEA, "~", "\n"), "document.empty-segment@4"));
    cr_assert(finds(WITH("LONG*a~"), "document.bad-tag@4"));
    cr_assert(finds(WITH("1A*a~"), "document.bad-tag@4"));
    cr_assert(finds(WITH("*a~"), "document.bad-tag@4"));
    cr_assert(finds(WITH("N1*a\nb~"), "document.wrapped@4"));
    cr_assert(says(NULL, WITH("N1*a\r\nb~"), " 1[ab]\n"));
    cr_assert(finds(ISA "\n  " GS "\t" ST INNER SE GE IEA, "document.indented@2"));
}

Test(x12, knows_ascii_unless_the_profile_names_a_charset) {
    struct profile profile = {.charset = "ISO-8859-1"};
    cr_assert(finds(WITH("N1*\xfc~"), "document.charset-violated@4"));
    cr_assert(says(NULL, WITH("N1*a>\xfc~"), "charset-violated severity 2 scope 2 2/4 1:2 @168+1"));
    cr_assert(says(NULL, WITH("N1*\xfc~"), " 1[\xc3\xbc]\n"));
    cr_assert(says(NULL, WITH("N1*\xc3\xbc~"), " 1[\xc3\xbc]\n"));
    struct trace *trace = feed_text(FEED_X12, &profile, WITH("N1*\xc3\xbc~"));
    cr_assert(trace->count == 0 && strstr(trace->text, "1[\xc3\x83\xc2\xbc]"));
    feed_free(trace);
}

/* ---- limits ---- */

Test(x12, holds_to_the_limits_of_the_profile) {
    struct profile profile = {.segment_max = 150, .segments_max = 3, .messages_max = 1};
    struct trace *trace = feed_text(FEED_X12, &profile,
                                    ISA GS ST INNER INNER INNER "SE*5*0001~"
                                                                "GE*1*9~" IEA);
    cr_assert(trace->segments == 2 && trace->count == 1 && trace_found(trace, FINDING_TOO_LARGE) == 1);
    feed_free(trace);
    trace = feed_text(FEED_X12, &profile,
                      ISA GS ST INNER SE "ST*850*0002~" INNER "SE*3*0002~"
                                         "GE*2*9~" IEA);
    cr_assert(trace->begun[DOCUMENT_MESSAGE] == 1 && trace->segments == 1 && trace->count == 1);
    feed_free(trace);
    trace = feed_text(FEED_X12, &profile, ISA GS ST "N1*" ISA_FILL ISA_FILL "~" SE GE IEA);
    cr_assert(trace->segments == 0 && trace->count == 1 && trace_found(trace, FINDING_TOO_LARGE) == 1);
    feed_free(trace);
}

Test(x12, tells_an_element_that_is_too_long_unless_it_is_binary) {
    static char text[20000];
    static char xs[9001];
    memset(xs, 'x', sizeof xs - 1);
    (void)snprintf(text, sizeof text, ISA GS ST "N1*a>%s*b~" SE GE IEA, xs);
    cr_assert(says(NULL, text, "too-large severity 2 scope 2 2/4 1:2 @168+9000"));
    (void)snprintf(text, sizeof text, ISA GS ST "BIN*9000*%s~" SE GE IEA, xs);
    cr_assert(finds(text, ""));
}

Test(x12, needs_no_memory_for_100_mb_of_binary_data, .timeout = 60) {
    static uint8_t block[1 << 20];
    const char *head = ISA GS ST "BIN*104857600*";
    struct trace trace = {.quiet = true};
    struct document_sink sink = trace_sink(&trace);
    struct x12_reader *reader;
    memset(block, '~', sizeof block);
    cr_assert_eq(x12_create(&reader, &sink, NULL), 0);
    x12_feed(reader, (const uint8_t *)head, strlen(head));
    for (int i = 0; i < 100; i++)
        x12_feed(reader, block, sizeof block);
    x12_feed(reader, (const uint8_t *)"~" SE GE IEA, strlen("~" SE GE IEA));
    x12_end(reader);
    cr_assert(trace.count == 1 && trace_found(&trace, FINDING_TOO_LARGE) == 1);
    cr_assert(trace.ended[DOCUMENT_MESSAGE] == 1 && trace.refused[DOCUMENT_INTERCHANGE] == 0);
    x12_destroy(reader);
    x12_destroy(NULL);
    LEAKS_NONE();
}
