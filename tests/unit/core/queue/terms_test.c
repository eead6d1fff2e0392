/* What may be asked for when a queue is made or joined. */
#include "core/queue/terms.h"
#include "core/base/limits.h"

#include <criterion/criterion.h>
#include <string.h>

static struct queue_text text_of(const char *text) {
    return (struct queue_text){(const uint8_t *)text, (uint32_t)strlen(text)};
}

static struct queue_terms terms_named(const char *name) {
    return (struct queue_terms){.name = text_of(name)};
}

static bool accepted(const struct queue_terms *terms, struct fault *fault) {
    *fault = (struct fault){0};
    bool valid = terms_valid(terms, fault);
    cr_assert(valid || (fault->code != RH_CODE_NONE && fault->text && fault->field));
    return valid;
}

static void refused(const struct queue_terms *terms, const char *field) {
    struct fault fault;
    cr_assert_not(accepted(terms, &fault), "not refused: %s", field);
    cr_assert_str_eq(fault.field, field);
}

Test(terms, accepts_names_and_mailboxes) {
    static const char *const names[] = {"a",
                                        "order-1_B.x",
                                        "0",
                                        "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o",
                                        "@crm",
                                        "@\xc3\xa9",
                                        "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff1234"};
    struct fault fault;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct queue_terms terms = terms_named(names[i]);
        cr_assert(accepted(&terms, &fault), "%s: %s", names[i], fault.text);
    }
}

Test(terms, refuses_other_names) {
    static const char *const names[] = {"",
                                        "a b",
                                        "a/b",
                                        "*",
                                        "a.",
                                        ".a",
                                        "a..b",
                                        "\xc3\xa9",
                                        "@",
                                        "@a.b",
                                        "@*",
                                        "$a",
                                        "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p",
                                        "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff12345"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct queue_terms terms = terms_named(names[i]);
        refused(&terms, "subscribe.queue.name");
    }
}

Test(terms, refuses_numbers_out_of_range) {
    struct fault fault;
    struct queue_terms terms = terms_named("a");
    terms.lease_ns = QUEUE_LEASE_NS_MAX;
    terms.backoff_ns = QUEUE_BACKOFF_NS_MAX;
    terms.attempts = QUEUE_ATTEMPTS_MAX;
    cr_assert(accepted(&terms, &fault), "%s", fault.text);
    terms.lease_ns++;
    refused(&terms, "subscribe.queue.lease_ms");
    terms.lease_ns = QUEUE_LEASE_NS_MIN - 1;
    refused(&terms, "subscribe.queue.lease_ms");
    terms = terms_named("a");
    terms.backoff_ns = QUEUE_BACKOFF_NS_MAX + 1;
    refused(&terms, "subscribe.queue.backoff_ms");
    terms = terms_named("a");
    terms.attempts = QUEUE_ATTEMPTS_MAX + 1;
    refused(&terms, "subscribe.queue.attempts");
    terms = terms_named("a");
    terms.capacity = 1;
    refused(&terms, "subscribe.queue.capacity");
    terms = terms_named("@a");
    terms.capacity = QUEUE_CAPACITY_MAX;
    cr_assert(accepted(&terms, &fault), "%s", fault.text);
    terms.capacity++;
    refused(&terms, "subscribe.queue.capacity");
}

Test(terms, refuses_what_does_not_go_together) {
    struct fault fault;
    struct queue_terms terms = terms_named("@a");
    terms.group = true;
    refused(&terms, "subscribe.queue.group");
    terms = terms_named("@a");
    terms.ephemeral = true;
    refused(&terms, "subscribe.queue.ephemeral");
    terms.is_volatile = true;
    cr_assert(accepted(&terms, &fault));
    terms = terms_named("@a");
    terms.patterns = text_of("\x01>");
    terms.pattern_count = 1;
    refused(&terms, "subscribe.patterns");
    terms = terms_named("a");
    terms.key = text_of("Customer");
    refused(&terms, "subscribe.queue.key");
    terms.key = text_of("abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghij12345");
    refused(&terms, "subscribe.queue.key");
}

Test(terms, refuses_patterns_that_are_not_whole) {
    static const struct {
        const char *patterns;
        uint32_t count;
    } bad[] = {{"\x02>", 1}, {"\x01>", 2}, {"\x01>\x01>", 1}, {"\x01", 1}, {"\x02>>", 1}};
    struct fault fault;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct queue_terms terms = terms_named("a");
        terms.patterns = text_of(bad[i].patterns);
        terms.pattern_count = bad[i].count;
        cr_assert_not(accepted(&terms, &fault), "%zu", i);
    }
    struct queue_terms terms = terms_named("a");
    cr_assert(accepted(&terms, &fault));
    cr_assert_not(terms_whole(&terms, &fault), "nothing is made without patterns");
    cr_assert_str_eq(fault.field, "subscribe.patterns");
    terms.patterns = text_of("\x01>\x07order.*");
    terms.pattern_count = 2;
    cr_assert(accepted(&terms, &fault) && terms_whole(&terms, &fault));
    terms = terms_named("@a");
    cr_assert(terms_whole(&terms, &fault), "a mailbox has none");
}

Test(terms, refuses_a_dead_letter_topic_that_leads_back_or_is_not_one) {
    static const char *const bad[] = {"order.dead", "$queue.a", "$dlq.", "$dlq.*", "a b", "*"};
    static const char *const good[] = {"dead.order", "$dlq.a", "$dlq.b.c", "@clerk"};
    struct fault fault;
    struct queue_terms terms = terms_named("a");
    terms.patterns = text_of("\x07order.>");
    terms.pattern_count = 1;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        terms.dead_letter = text_of(bad[i]);
        refused(&terms, "subscribe.queue.dead_letter");
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        terms.dead_letter = text_of(good[i]);
        cr_assert(accepted(&terms, &fault), "%s: %s", good[i], fault.text);
    }
    terms = terms_named("@clerk");
    terms.dead_letter = text_of("@clerk");
    refused(&terms, "subscribe.queue.dead_letter");
}

Test(terms, have_filters_within_bounds_and_not_for_mailboxes) {
    static uint8_t bytes[QUEUE_FILTERS_BYTES_MAX + 1];
    struct fault fault;
    struct queue_terms terms = terms_named("a");
    terms.filters = (struct queue_text){bytes, QUEUE_FILTERS_BYTES_MAX};
    cr_assert(accepted(&terms, &fault));
    terms.filters.n++;
    refused(&terms, "subscribe.filters");
    terms = terms_named("@a");
    terms.filters = (struct queue_text){bytes, 1};
    refused(&terms, "subscribe.filters");
}

Test(terms, agree_with_what_is_left_out_and_with_nothing_else) {
    struct fault fault;
    struct queue_terms have = terms_named("a");
    have.patterns = text_of("\x01>");
    have.pattern_count = 1;
    have.dead_letter = text_of("dead");
    terms_settle(&have);
    struct queue_terms want = terms_named("a");
    cr_assert(terms_agree(&have, &want, &fault));
    cr_assert(terms_agree(&have, &have, &fault));
#define DISAGREES(member, value)                                                                             \
    do {                                                                                                     \
        want = terms_named("a");                                                                             \
        want.member = value;                                                                                 \
        fault = (struct fault){0};                                                                           \
        cr_assert(!terms_agree(&have, &want, &fault) && fault.text && fault.field, #member);                 \
    } while (0)
    DISAGREES(group, true);
    DISAGREES(is_volatile, true);
    DISAGREES(ephemeral, true);
    DISAGREES(patterns, text_of("\x01*"));
    DISAGREES(filters, text_of("other"));
    DISAGREES(dead_letter, text_of("other"));
    DISAGREES(key, text_of("other"));
    DISAGREES(lease_ns, 1);
    DISAGREES(attempts, 1);
    DISAGREES(backoff_ns, 1);
    DISAGREES(capacity, 1);
    have.filters = text_of("some");
    DISAGREES(filters, text_of("other"));
    want.filters = (struct queue_text){0};
    cr_assert(terms_agree(&have, &want, &fault), "who joins may leave them out");
    have.group = true;
    want = terms_named("a");
    cr_assert_not(terms_agree(&have, &want, &fault), "a group is not joined by accident");
}
