/* Events on their way out: whatever becomes of their documents, the port is told once. */
#include "core/spoke/jobs.h"

#include "codecs/event/json.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what jobs call: a port and an outbound that do as they are told ---- */

static char told[1024];            /* what the port was told, as "done 1;" */
static unsigned makes;             /* documents of each event */
static const char *failed;         /* NULL, or why none can be made */
static bool failed_later, full;    /* ... now; the outbound takes nothing */
static unsigned delivered, idle;   /* documents that the transport has got; times nothing was in hand */
static uint64_t documents[64];     /* their numbers */
static char delivered_topics[256]; /* their topics */

__attribute__((format(printf, 1, 2))) static void tell(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(told + strlen(told), sizeof told - strlen(told), format, arguments);
    va_end(arguments);
}

void port_done(struct port *port, uint64_t delivery) {
    (void)port;
    tell("done %llu;", (unsigned long long)delivery);
}

void port_retry(struct port *port, uint64_t delivery, uint64_t after_ms, const char *reason) {
    (void)port;
    tell("retry %llu after %llu: %s;", (unsigned long long)delivery, (unsigned long long)after_ms, reason);
}

void port_refuse(struct port *port, uint64_t delivery, const char *reason) {
    (void)port;
    tell("refuse %llu: %s;", (unsigned long long)delivery, reason);
}

void port_extend(struct port *port, uint64_t delivery) {
    (void)port;
    tell("extend %llu;", (unsigned long long)delivery);
}

int outbound_run_on(struct outbound *outbound, const char *topic, size_t topic_length, const uint8_t *event,
                    size_t event_length, outbound_on_result *on_result, void *user) {
    (void)outbound, (void)topic, (void)topic_length;
    struct outbound_document made[8];
    for (unsigned i = 0; i < makes; i++)
        made[i] = (struct outbound_document){event, event_length, event, event_length};
    struct outbound_result result = {
        .failed = failed, .later = failed_later, .documents = made, .count = failed != NULL ? 0 : makes};
    if (full)
        return -EAGAIN;
    on_result(user, &result);
    return 0;
}

static void deliver(void *user, const struct outgoing *out) {
    (void)user;
    documents[delivered++] = out->delivery;
    (void)snprintf(delivered_topics + strlen(delivered_topics),
                   sizeof delivered_topics - strlen(delivered_topics), "%.*s;", (int)out->topic_length,
                   out->topic);
}

static void on_idle(void *user) {
    (void)user;
    idle++;
}

static struct spoke_counters counters;
static struct jobs *jobs;

static void begin(void) {
    static int there; /* stands for an outbound */
    struct jobs_options options = {.name = "shop",
                                   .outbound = (struct outbound *)(void *)&there,
                                   .counters = &counters,
                                   .attempts = 3,
                                   .deliver = deliver,
                                   .on_idle = on_idle};
    makes = 1;
    jobs = jobs_new(&options);
    cr_assert(jobs != NULL);
}

static void end(void) {
    jobs_free(jobs);
    jobs = NULL;
    LEAKS_NONE();
}

TestSuite(jobs, .init = begin, .fini = end);

static void event_again(uint64_t delivery, uint32_t attempt, const char *topic) {
    struct event_parts parts = {
        .id = "1", .source = "/s", .type = "t", .data = (const uint8_t *)"x", .data_length = 1};
    struct fault fault;
    uint8_t *made;
    size_t length;
    cr_assert(event_build(&parts, &made, &length, &fault));
    struct port_event given = {.delivery = delivery,
                               .attempt = attempt,
                               .topic = topic,
                               .topic_length = strlen(topic),
                               .event = made,
                               .event_length = length};
    jobs_event(jobs, &given);
    free(made);
}

static void event(uint64_t delivery, const char *topic) {
    event_again(delivery, 1, topic);
}

/* ---- tests ---- */

Test(jobs, an_event_is_done_when_its_system_has_all_its_documents) {
    makes = 3;
    event(7, "a");
    cr_expect(delivered == 3 && jobs_in_hand(jobs) == 1);
    jobs_done(jobs, documents[1]);
    jobs_done(jobs, documents[0]);
    jobs_extend(jobs, documents[2]);
    cr_expect_str_eq(told, "extend 7;");
    jobs_done(jobs, documents[2]);
    cr_expect_str_eq(told, "extend 7;done 7;");
    cr_expect(jobs_in_hand(jobs) == 0 && idle == 1 && counter_get(&counters.delivered) == 1);
}

Test(jobs, the_worst_answer_of_its_documents_is_that_of_the_event) {
    makes = 4;
    event(7, "a");
    jobs_retry(jobs, documents[0], 500, "not now");
    jobs_retry(jobs, documents[1], 100, "busy");
    jobs_done(jobs, documents[2]);
    jobs_done(jobs, documents[3]);
    cr_expect_str_eq(told, "retry 7 after 500: busy;");
    told[0] = '\0';
    event(8, "a");
    jobs_refuse(jobs, documents[4], "never");
    jobs_retry(jobs, documents[5], 100, "busy");
    jobs_done(jobs, documents[6]);
    jobs_done(jobs, documents[7]);
    cr_expect_str_eq(told, "refuse 8: never;");
    cr_expect(counter_get(&counters.retried) == 1 && counter_get(&counters.refused) == 1);
}

Test(jobs, a_last_attempt_that_fails_is_counted_as_the_dead_letter_that_it_makes) {
    for (uint32_t attempt = 1; attempt <= 3; attempt++) {
        event_again(attempt, attempt, "a");
        jobs_retry(jobs, documents[attempt - 1], 0, "busy");
    }
    cr_expect_str_eq(told, "retry 1 after 0: busy;retry 2 after 0: busy;retry 3 after 0: busy;");
    cr_expect(counter_get(&counters.retried) == 2 && counter_get(&counters.refused) == 1);
}

Test(jobs, what_can_not_be_made_is_refused_or_comes_again) {
    failed = "mapping: it has no number";
    event(1, "a");
    failed_later = true;
    event(2, "a");
    cr_expect_str_eq(told, "refuse 1: mapping: it has no number;retry 2 after 0: mapping: it has no number;");
    cr_expect(delivered == 0 && idle == 2);
}

Test(jobs, what_the_filter_leaves_out_is_done) {
    makes = 0;
    event(1, "a");
    cr_expect_str_eq(told, "done 1;");
    cr_expect(counter_get(&counters.filtered) == 1 && counter_get(&counters.delivered) == 1);
}

Test(jobs, acknowledgements_go_as_they_are) {
    failed = "nobody asks for it";
    event(1, "spoke.shop.acknowledgement");
    cr_expect(delivered == 1);
    jobs_done(jobs, documents[0]);
    cr_expect_str_eq(told, "done 1;");
    event(2, "spoke.shop.acknowledgements");
    cr_expect_str_eq(told, "done 1;refuse 2: nobody asks for it;");
}

Test(jobs, what_has_to_wait_keeps_its_order) {
    full = true;
    event(1, "a");
    event(2, "b");
    full = false;
    event(3, "c");
    cr_expect(delivered == 0, "others wait before it");
    full = true;
    event(4, "spoke.shop.acknowledgement");
    full = false;
    jobs_done(jobs, documents[0]);
    makes = 1;
    event(5, "d");
    cr_expect(jobs_in_hand(jobs) == 4);
    failed = NULL;
    jobs_go_on(jobs);
    cr_expect_str_eq(delivered_topics, "spoke.shop.acknowledgement;a;b;c;d;");
    for (unsigned i = 1; i < delivered; i++)
        jobs_done(jobs, documents[i]);
    cr_expect_str_eq(told, "done 4;done 1;done 2;done 3;done 5;");
}

Test(jobs, what_waits_for_its_documents_is_held_and_what_the_transport_has_is_not) {
    makes = 1;
    event(1, "a");
    full = true;
    event(2, "b");
    event(3, "c");
    jobs_hold(jobs);
    cr_expect_str_eq(told, "extend 3;extend 2;"); /* each once */
    full = false;
    jobs_go_on(jobs);
    jobs_hold(jobs);
    cr_expect_str_eq(told, "extend 3;extend 2;"); /* each once */
    for (unsigned i = 0; i < delivered; i++)
        jobs_done(jobs, documents[i]);
}

Test(jobs, hundreds_are_in_hand_and_end_in_any_order) {
    for (unsigned round = 0; round < 3; round++) {
        uint64_t of[60];
        for (unsigned i = 0; i < 60; i++)
            event(i, "a");
        memcpy(of, documents, sizeof of);
        delivered = 0;
        for (unsigned i = 0; i < 60; i++)
            jobs_done(jobs, of[(i * 7 + round) % 60]);
        told[0] = delivered_topics[0] = '\0';
        cr_expect(jobs_in_hand(jobs) == 0);
    }
    cr_expect(counter_get(&counters.delivered) == 180 && counter_get(&counters.in_hand) == 0);
    event(1, "a"); /* is not answered: it comes again */
}
