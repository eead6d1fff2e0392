/* What is answered: each answer is compared, and must be right to the strict reader. */
#include "codecs/edi/control.h"
#include "codecs/edi/edifact.h"
#include "codecs/edi/functional_ack.h"
#include "codecs/edi/x12.h"

#include "tests/unit/codecs/edi/feed.h"
#include "tests/unit/codecs/golden.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct answers {
    char text[65536];
    unsigned count;
};

static void answered(void *context, const char *text, size_t length) {
    struct answers *answers = context;
    cr_assert_lt(strlen(answers->text) + length, sizeof answers->text);
    (void)strncat(answers->text, text, length);
    answers->count++;
}

static bool is(const struct answers *answers, enum feed_format format, const char *wanted) {
    struct trace *trace = feed_text(format, NULL, answers->text);
    bool right = trace->count == 0 && strcmp(answers->text, wanted) == 0;
    if (!right)
        fprintf(stderr, "%s\nwanted\n%s\n%s\n", answers->text, wanted, trace->text ? trace->text : "");
    feed_free(trace);
    return right;
}

/* ---- CONTRL ---- */

static void control_answers(const char *text, bool receipt, struct answers *answers) {
    struct control_options options = {.date = "20260902",
                                      .time = "1412",
                                      .number = 41,
                                      .receipt = receipt,
                                      .context = answers,
                                      .done = answered};
    struct control *control;
    struct edifact_reader *reader;
    *answers = (struct answers){0};
    cr_assert_eq(control_create(&control, &options), 0);
    struct document_sink sink = control_sink(control);
    cr_assert_eq(edifact_create(&reader, &sink, NULL), 0);
    edifact_feed(reader, (const uint8_t *)text, strlen(text));
    edifact_end(reader);
    edifact_destroy(reader);
    control_destroy(control);
}

static bool controls(const char *text, const char *wanted) {
    static struct answers answers;
    control_answers(text, false, &answers);
    return is(&answers, FEED_EDIFACT, wanted);
}

#define UNB    "UNB+UNOC:3+S?+1:14+R:14+260901:0605+REF1'"
#define UNH    "UNH+1+ORDERS:D:96A:UN:EAN008'"
#define CONTRL "UNB+UNOC:3+R:14+S?+1:14+260902:1412+41'UNH+1+CONTRL:D:3:UN'UCI+REF1+S?+1:14+R:14+"
#define END(n) "UNT+" #n "+1'UNZ+1+41'"

Test(control, says_that_all_is_accepted) {
    cr_assert(controls(UNB UNH "BGM+1'UNT+3+1'UNZ+1+REF1'", CONTRL "7'" END(3)));
    cr_assert(controls("UNB+UNOY:4+S+R+20260901:0605+REF1'" UNH "BGM+1'UNT+3+1'UNZ+1+REF1'",
                       "UNB+UNOC:4+R+S+20260902:1412+41'UNH+1+CONTRL:4:1:UN'UCI+REF1+S+R+7'" END(3)));
    LEAKS_NONE();
}

Test(control, says_which_message_is_refused_and_where) {
    cr_assert(controls(UNB UNH "BGM+1'UNT+4+1'UNH+2+ORDERS:D:96A:UN'BGM+1'UNT+3+2'UNZ+2+REF1'",
                       CONTRL "7'UCM+1+ORDERS:D:96A:UN:EAN008+4+29+UNT'" END(4)));
    cr_assert(controls(UNB UNH "BGM+1+'FTX+a:'BBBB+a'UNT+5+1'UNZ+1+REF1'", CONTRL
                       "7'UCM+1+ORDERS:D:96A:UN:EAN008+4'UCS+2'UCD+45+3'UCS+3'UCD+45+2:2'UCS+4+12'" END(9)));
    cr_assert(
        controls(UNB UNH "BGM+1'UNZ+1+REF1'", CONTRL "7'UCM+1+ORDERS:D:96A:UN:EAN008+4+13+UNT'" END(4)));
}

Test(control, says_that_the_interchange_is_refused) {
    cr_assert(controls(UNB UNH "BGM+1'UNT+3+1'UNZ+1+REF2'", CONTRL "4+28+UNZ'" END(3)));
    cr_assert(controls(UNB UNH "BGM+1'UNT+3+1'", CONTRL "4+13+UNZ'" END(3)));
}

Test(control, tells_of_groups_between) {
    cr_assert(
        controls(UNB "UNG+ORDERS+A+B+260901:0605+G1+UN+D:96A'" UNH "BGM+1'UNT+4+1'UNE+1+G1'"
                     "UNG+ORDERS+A+B+260901:0605+G2+UN+D:96A'UNH+2+ORDERS:D:96A:UN'BGM+1'UNT+3+2'UNE+2+G2'"
                     "UNG+ORDERS+A+B+260901:0605+G3+UN+D:96A'UNH+3+ORDERS:D:96A:UN'BGM+1'UNT+3+3'UNE+1+G3'"
                     "UNZ+3+REF1'",
                 CONTRL "7'UCF+G1+A+B+7'UCM+1+ORDERS:D:96A:UN:EAN008+4+29+UNT'UCF+G2+A+B+4+29+UNE'" END(6)));
}

Test(control, never_answers_an_answer) {
    static struct answers answers;
    size_t n;
    uint8_t *bytes = golden_file("tests/data/edifact/own__CONTRL_D3_reject_synthetic.edi", &n);
    char *text = strndup((const char *)bytes, n);
    cr_assert(controls(text, ""));
    control_answers(text, true, &answers);
    cr_assert_eq(answers.count, 0);
    free(text);
    free(bytes);
    cr_assert(controls(UNB
                       "UNH+1+CONTRL:D:3:UN'UCI+1'UNT+9+1'UNH+2+ORDERS:D:96A:UN'BGM+1'UNT+3+2'UNZ+2+REF1'",
                       CONTRL "7'" END(3))); /* but the order beside it */
}

Test(control, says_only_that_it_came_if_that_is_all_that_is_wanted) {
    static struct answers answers;
    control_answers(UNB UNH "BGM+1'UNT+4+1'UNZ+1+REF1'", true, &answers);
    cr_assert(is(&answers, FEED_EDIFACT, CONTRL "8'" END(3)));
}

Test(control, answers_each_interchange_with_a_number_of_its_own) {
    static struct answers answers;
    control_answers(UNB UNH "BGM+1'UNT+3+1'UNZ+1+REF1'" UNB UNH "BGM+1'UNT+3+1'UNZ+1+REF1'", false, &answers);
    cr_assert_eq(answers.count, 2);
    cr_assert(strstr(answers.text, ":1412+42'") && strstr(answers.text, "UNZ+1+42'"));
}

Test(control, keeps_to_latin_1) {
    cr_assert(
        controls("UNB+UNOY:4+S\xc3\xbc\xe2\x82\xac+R+20260901:0605+REF1'" UNH "BGM+1'UNT+3+1'UNZ+1+REF1'",
                 "UNB+UNOC:4+R+S\xfc +20260902:1412+41'UNH+1+CONTRL:4:1:UN'UCI+REF1+S\xfc +R+7'" END(3)));
}

/* ---- TA1, 997, 999 ---- */

static void ack_answers(const char *text, enum functional_ack_kind kind, const struct profile *profile,
                        struct answers *answers) {
    struct functional_ack_options options = {
        .date = "20260902", .time = "1412", .number = 5, .kind = kind, .context = answers, .done = answered};
    struct functional_ack *ack;
    struct x12_reader *reader;
    *answers = (struct answers){0};
    cr_assert_eq(functional_ack_create(&ack, &options), 0);
    struct document_sink sink = functional_ack_sink(ack);
    cr_assert_eq(x12_create(&reader, &sink, profile), 0);
    x12_feed(reader, (const uint8_t *)text, strlen(text));
    x12_end(reader);
    x12_destroy(reader);
    functional_ack_destroy(ack);
}

static bool acks(const char *text, enum functional_ack_kind kind, const char *wanted) {
    static struct answers answers;
    ack_answers(text, kind, NULL, &answers);
    return is(&answers, FEED_X12, wanted);
}

#define ISA_OF(ask)                                                                                          \
    "ISA*00*          *00*          *ZZ*SENDER         *01*RECEIVER       "                                  \
    "*260901*0605*U*00401*000000007*" ask "*P*>~"
#define ISA ISA_OF("0")
#define GS  "GS*PO*APPS*APPR*20260901*0605*9*X*004010~"
#define OUR                                                                                                  \
    "ISA*00*          *00*          *01*RECEIVER       *ZZ*SENDER         "                                  \
    "*260902*1412*U*00401*000000005*0*P*>~"
#define OUR_NEW                                                                                              \
    "ISA*00*          *00*          *01*RECEIVER       *ZZ*SENDER         "                                  \
    "*260902*1412*^*00501*000000005*0*P*>~"
#define OUR_GS   "GS*FA*APPR*APPS*20260902*1412*501*X*004010~"
#define ORDER(n) "ST*850*000" #n "~BEG*00~SE*3*000" #n "~"

Test(functional_ack, accepts_what_is_right) {
    cr_assert(acks(ISA GS ORDER(1) ORDER(2) "GE*2*9~IEA*1*000000007~", FUNCTIONAL_ACK_997,
                   OUR OUR_GS
                   "ST*997*0001~AK1*PO*9~AK2*850*0001~AK5*A~AK2*850*0002~AK5*A~AK9*A*2*2*2~SE*8*0001~"
                   "GE*1*501~IEA*1*000000005~"));
    cr_assert(acks(
        ISA GS ORDER(1) "GE*1*9~IEA*1*000000007~", FUNCTIONAL_ACK_999,
        OUR_NEW "GS*FA*APPR*APPS*20260902*1412*501*X*005010X231A1~ST*999*0001*005010X231A1~AK1*PO*9*004010~"
                "AK2*850*0001~IK5*A~AK9*A*1*1*1~SE*6*0001~GE*1*501~IEA*1*000000005~"));
    LEAKS_NONE();
}

Test(functional_ack, says_which_set_is_refused_and_where) {
    cr_assert(
        acks(ISA GS "ST*850*0001~BEG*00~SE*4*0001~" ORDER(2) "GE*2*9~IEA*1*000000007~", FUNCTIONAL_ACK_997,
             OUR OUR_GS "ST*997*0001~AK1*PO*9~AK2*850*0001~AK5*R*4~AK2*850*0002~AK5*A~AK9*P*2*2*1~SE*8*0001~"
                        "GE*1*501~IEA*1*000000005~"));
    cr_assert(acks(ISA GS "ST*850*0001~LONG*a~BEG*a\nb~SE*4*0002~GE*1*9~IEA*1*000000007~", FUNCTIONAL_ACK_997,
                   OUR OUR_GS
                   "ST*997*0001~AK1*PO*9~AK2*850*0001~AK3*LONG*2**1~AK3*BEG*3**6~AK5*R*5*3~AK9*R*1*1*0~"
                   "SE*8*0001~GE*1*501~IEA*1*000000005~"));
    cr_assert(acks(
        ISA GS "ST*850*0001~BEG*a>\xfc~SE*3*0001~GE*1*9~IEA*1*000000007~", FUNCTIONAL_ACK_999,
        OUR_NEW "GS*FA*APPR*APPS*20260902*1412*501*X*005010X231A1~ST*999*0001*005010X231A1~AK1*PO*9*004010~"
                "AK2*850*0001~IK3*BEG*2**8~IK4*1>2**6* ~IK5*R*5~AK9*R*1*1*0~SE*8*0001~GE*1*501~"
                "IEA*1*000000005~"));
}

Test(functional_ack, says_what_is_tolerated_as_well) {
    static struct answers answers;
    struct profile profile = {0};
    cr_assert(profile_tolerate(&profile, FINDING_X12_SET_COUNT_DIFFERS));
    ack_answers(ISA GS "ST*850*0001~BEG*00~SE*4*0001~GE*1*9~IEA*1*000000007~", FUNCTIONAL_ACK_997, &profile,
                &answers);
    cr_assert(is(&answers, FEED_X12,
                 OUR OUR_GS "ST*997*0001~AK1*PO*9~AK2*850*0001~AK5*E*4~AK9*E*1*1*1~SE*6*0001~GE*1*501~"
                            "IEA*1*000000005~"));
}

Test(functional_ack, refuses_groups_and_interchanges) {
    cr_assert(acks(ISA GS ORDER(1) "GE*2*8~IEA*1*000000007~", FUNCTIONAL_ACK_997,
                   OUR OUR_GS "ST*997*0001~AK1*PO*9~AK2*850*0001~AK5*A~AK9*R*1*1*0*5*4~SE*6*0001~GE*1*501~"
                              "IEA*1*000000005~"));
    cr_assert(acks(ISA GS ORDER(1) "GE*1*9~IEA*2*000000008~", FUNCTIONAL_ACK_997,
                   OUR "TA1*000000007*260901*0605*R*021~IEA*0*000000005~"));
    cr_assert(
        acks(ISA GS ORDER(1), FUNCTIONAL_ACK_997, OUR "TA1*000000007*260901*0605*R*023~IEA*0*000000005~"));
}

Test(functional_ack, answers_with_ta1_when_it_is_asked_to) {
    cr_assert(acks(ISA_OF("1") GS ORDER(1) "GE*1*9~IEA*1*000000007~", FUNCTIONAL_ACK_NONE,
                   OUR "TA1*000000007*260901*0605*A*000~IEA*0*000000005~"));
    cr_assert(acks(ISA GS ORDER(1) "GE*1*9~IEA*1*000000007~", FUNCTIONAL_ACK_NONE, ""));
}

Test(functional_ack, never_answers_an_answer) {
    size_t n;
    uint8_t *bytes = golden_file("tests/data/x12/staedi__simple997.edi", &n);
    char *text = strndup((const char *)bytes, n);
    cr_assert(acks(text, FUNCTIONAL_ACK_997, ""));
    free(text);
    free(bytes);
    cr_assert(acks(ISA_OF("1") "TA1*000000001*260901*0605*R*024~IEA*0*000000007~", FUNCTIONAL_ACK_997, ""));
    cr_assert(acks(
        ISA_OF("1") "GS*FA*A*B*20260901*0605*9*X*004010~ST*997*0001~AK1~SE*9*0001~GE*1*9~IEA*1*000000007~",
        FUNCTIONAL_ACK_997, ""));
}

/* ---- samples: whatever is read, the answer is right ---- */

Test(acknowledge, is_right_for_every_set_of_a_large_file) {
    static struct answers answers;
    size_t n;
    uint8_t *bytes = golden_file("tests/data/x12/omniparser__1_canadapost_edi_214.input.txt", &n);
    char *text = strndup((const char *)bytes, n);
    ack_answers(text, FUNCTIONAL_ACK_997, NULL, &answers);
    struct trace *trace = feed_text(FEED_X12, NULL, answers.text);
    cr_assert(trace->count == 0 && strstr(answers.text, "AK9*A*19*19*19~SE*42*"), "%s", answers.text);
    feed_free(trace);
    free(text);
    free(bytes);
}
