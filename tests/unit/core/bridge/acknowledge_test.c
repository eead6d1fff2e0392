/* What is kept of interchanges until the fate of their messages is known, and what is told of it then. */
#include "core/bridge/acknowledge.h"

#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An acknowledger, and what it has made. */
struct desk {
    struct acknowledger *acknowledger;
    struct document_sink sink;
    unsigned made, lost;
    char text[4096]; /* of the last one */
};

static void told_made(void *context, uint8_t *event, size_t length) {
    struct desk *desk = context;
    const uint8_t *at = memmem(event, length, "UNB+UNOC", 8);
    desk->made++;
    cr_assert(at != NULL);
    (void)snprintf(desk->text, sizeof desk->text, "%.*s", (int)(event + length - at), (const char *)at);
    free(event);
}

static void told_lost(void *context) {
    ((struct desk *)context)->lost++;
}

static void no_begin(void *context, enum document_scope scope, const struct document_head *head) {
    (void)context, (void)scope, (void)head;
}

static void no_segment(void *context, const struct segment *segment) {
    (void)context, (void)segment;
}

static void no_end(void *context, enum document_scope scope, const struct document_tail *tail) {
    (void)context, (void)scope, (void)tail;
}

static void no_finding(void *context, const struct finding *finding) {
    (void)context, (void)finding;
}

static void desk_open(struct desk *desk) {
    struct acknowledger_options options = {.name = "plant",
                                           .ask = {.edifact = ACKNOWLEDGE_ALWAYS},
                                           .context = desk,
                                           .made = told_made,
                                           .lost = told_lost};
    struct document_sink inner = {
        .begin = no_begin, .segment = no_segment, .end = no_end, .finding = no_finding};
    *desk = (struct desk){.acknowledger = acknowledger_new(&options)};
    cr_assert(desk->acknowledger != NULL && acknowledger_begin(desk->acknowledger, 1, NULL));
    desk->sink = acknowledger_sink(desk->acknowledger, inner);
}

static void desk_close(struct desk *desk) {
    acknowledger_free(desk->acknowledger);
    desk->acknowledger = NULL;
}

static struct value value(const char *text) {
    return (struct value){.bytes = (const uint8_t *)text, .length = (uint32_t)strlen(text)};
}

static void begin(struct desk *desk, enum document_scope scope, const char *name, const char *reference) {
    struct document_head head = {.format = value("EDIFACT"),
                                 .syntax = value("UNOC:3"),
                                 .name = value(name),
                                 .version = value("D:96A:UN"),
                                 .sender = {.id = value("S")},
                                 .receiver = {.id = value("R")},
                                 .interchange_ref = value("REF"),
                                 .message_ref = value(reference)};
    if (scope == DOCUMENT_INTERCHANGE)
        head.interchange_ref = value(reference);
    desk->sink.begin(desk->sink.context, scope, &head);
}

static void end(struct desk *desk, enum document_scope scope) {
    desk->sink.end(desk->sink.context, scope, &(struct document_tail){0});
}

/* An interchange of messages 1, 2, 3, of which the middle one is of another type. The number of the first. */
static uint32_t interchange(struct desk *desk, const char *reference) {
    static const char *const references[] = {"1", "2", "3"};
    uint32_t first = 0;
    begin(desk, DOCUMENT_INTERCHANGE, "", reference);
    for (unsigned i = 0; i < 3; i++) {
        begin(desk, DOCUMENT_MESSAGE, i == 1 ? "INVOIC" : "ORDERS", references[i]);
        if (i == 0)
            first = acknowledger_message(desk->acknowledger);
        cr_assert_eq(acknowledger_message(desk->acknowledger), first + i);
        end(desk, DOCUMENT_MESSAGE);
    }
    end(desk, DOCUMENT_INTERCHANGE);
    cr_assert_eq(acknowledger_message(desk->acknowledger), 0);
    return first;
}

static bool tells(const struct desk *desk, const char *text) {
    bool told = strstr(desk->text, text) != NULL;
    if (!told)
        fprintf(stderr, "no %s in %s\n", text, desk->text);
    return told;
}

Test(acknowledge, tells_of_each_message_its_own_verdict) {
    struct desk desk;
    desk_open(&desk);
    uint32_t first = interchange(&desk, "A");
    acknowledger_refuse(desk.acknowledger, first + 2, FINDING_PUBLISH_REFUSED);
    acknowledger_refuse(desk.acknowledger, first + 1, FINDING_MAPPING_FAILED);
    acknowledger_refuse(desk.acknowledger, first + 2, FINDING_PUBLISH_REFUSED);
    acknowledger_refuse(desk.acknowledger, 0, FINDING_PUBLISH_REFUSED);
    cr_assert(acknowledger_owed(desk.acknowledger) > 0);
    cr_assert_eq(desk.made, 0);
    acknowledger_settle(desk.acknowledger, true);
    cr_assert_eq(desk.made, 1);
    cr_assert(tells(&desk, "UCI+A+S+R+7'UCM+2+INVOIC:D:96A:UN+4+18'UCM+3+ORDERS:D:96A:UN+4+18'UNT+5+1'"));
    cr_assert_eq(acknowledger_owed(desk.acknowledger), 0);
    acknowledger_settle(desk.acknowledger, true);
    cr_assert_eq(desk.made, 1);
    desk_close(&desk);
    LEAKS_NONE();
}

/* Half of the document is settled, while its next interchange has begun. */
Test(acknowledge, goes_on_behind_what_is_settled) {
    struct desk desk;
    desk_open(&desk);
    (void)interchange(&desk, "A");
    begin(&desk, DOCUMENT_INTERCHANGE, "", "B");
    begin(&desk, DOCUMENT_MESSAGE, "ORDERS", "1");
    acknowledger_refuse(desk.acknowledger, acknowledger_message(desk.acknowledger), FINDING_PUBLISH_REFUSED);
    end(&desk, DOCUMENT_MESSAGE);
    acknowledger_settle(desk.acknowledger, true);
    cr_assert_eq(desk.made, 1);
    cr_assert(tells(&desk, "UCI+A+S+R+7'UNT+3+1'"));
    begin(&desk, DOCUMENT_MESSAGE, "ORDERS", "2");
    end(&desk, DOCUMENT_MESSAGE);
    end(&desk, DOCUMENT_INTERCHANGE);
    acknowledger_settle(desk.acknowledger, true);
    cr_assert_eq(desk.made, 2);
    cr_assert(tells(&desk, "UCI+B+S+R+7'UCM+1+ORDERS:D:96A:UN+4+18'UNT+4+1'"));
    desk_close(&desk);
    LEAKS_NONE();
}

Test(acknowledge, tells_nothing_of_what_is_to_be_given_again) {
    struct desk desk;
    desk_open(&desk);
    acknowledger_refuse(desk.acknowledger, interchange(&desk, "A"), FINDING_PUBLISH_REFUSED);
    acknowledger_settle(desk.acknowledger, false);
    cr_assert_eq(desk.made, 0);
    (void)interchange(&desk, "B");
    acknowledger_settle(desk.acknowledger, true);
    cr_assert_eq(desk.made, 1);
    cr_assert(tells(&desk, "UCI+B+S+R+7'UNT+3+1'"));
    (void)interchange(&desk, "C");
    cr_assert(acknowledger_begin(desk.acknowledger, 1, NULL));
    acknowledger_settle(desk.acknowledger, true);
    cr_assert_eq(desk.made, 1);
    cr_assert_eq(desk.lost, 0);
    desk_close(&desk);
    LEAKS_NONE();
}

/* More findings than anybody could be told: no acknowledgement, and the next one is right. */
Test(acknowledge, keeps_so_much_and_no_more) {
    struct desk desk;
    char found[255];
    memset(found, 'x', sizeof found);
    struct finding finding = {.code = FINDING_EDIFACT_COUNT_DIFFERS,
                              .severity = FINDING_ERROR,
                              .scope = DOCUMENT_MESSAGE,
                              .segment = value("UNT"),
                              .found = {.bytes = (const uint8_t *)found, .length = sizeof found}};
    desk_open(&desk);
    begin(&desk, DOCUMENT_INTERCHANGE, "", "A");
    begin(&desk, DOCUMENT_MESSAGE, "ORDERS", "1");
    uint32_t message = acknowledger_message(desk.acknowledger);
    cr_assert_eq(message, 1);
    for (unsigned i = 0; i < 300000; i++)
        acknowledger_finding(desk.acknowledger, &finding);
    cr_assert_eq(acknowledger_message(desk.acknowledger), 0);
    end(&desk, DOCUMENT_MESSAGE);
    end(&desk, DOCUMENT_INTERCHANGE);
    acknowledger_refuse(desk.acknowledger, message, FINDING_PUBLISH_REFUSED);
    acknowledger_refuse(desk.acknowledger, interchange(&desk, "B"), FINDING_PUBLISH_REFUSED);
    acknowledger_settle(desk.acknowledger, true);
    cr_assert_eq(desk.made, 1);
    cr_assert(tells(&desk, "UCI+B+S+R+7'UCM+1+ORDERS:D:96A:UN+4+18'UNT+4+1'"));
    desk_close(&desk);
    LEAKS_NONE();
}
