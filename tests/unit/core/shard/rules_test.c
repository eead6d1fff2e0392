/* What the configuration says about topics: the first rule that matches, each time the same. */
#include "tests/unit/leaks.h"
#include "tests/unit/refuse.h"

#include "core/shard/rules.c"

#include <criterion/criterion.h>
#include <stdio.h>

#define RULE(name, kind)                                                                                     \
    { .class = (kind), .length = sizeof(name) - 1, .pattern = name }

static const struct topic_rule list[] = {RULE("erp.order.*", TOPIC_MEMORY), RULE("erp.>", TOPIC_DISK),
                                         RULE("*.order", TOPIC_MEMORY)};

static const struct topic_rule *rule_of(struct rules *rules, const char *topic) {
    const uint8_t *bytes = (const uint8_t *)topic;
    return rules_of(rules, bytes, (uint32_t)strlen(topic), topic_hash(bytes, strlen(topic), 0));
}

Test(rules, answer_the_first_that_matches_every_time_it_is_asked) {
    struct rules *rules;
    cr_assert_eq(rules_create(&rules, list, 3), 0);
    for (uint32_t again = 0; again < 3; again++) {
        cr_assert_eq(rule_of(rules, "erp.order.created"), &list[0]);
        cr_assert_eq(rule_of(rules, "erp.order.created.twice"), &list[1]);
        cr_assert_eq(rule_of(rules, "erp.invoice"), &list[1]);
        cr_assert_eq(rule_of(rules, "crm.order"), &list[2]);
        cr_assert_null(rule_of(rules, "crm.invoice"));
        cr_assert_null(rule_of(rules, "@box"), "no leading wildcard matches a mailbox");
    }
    rules_destroy(rules);
    LEAKS_NONE();
}

Test(rules, answer_without_a_memory_when_there_is_one_rule_or_none) {
    struct rules *rules;
    for (uint32_t count = 0; count < 2; count++) {
        cr_assert_eq(rules_create(&rules, list, count), 0);
        cr_assert_eq(rule_of(rules, "erp.order.created"), count == 0 ? NULL : &list[0]);
        cr_assert_null(rule_of(rules, "erp.invoice"));
        rules_destroy(rules);
    }
    LEAKS_NONE();
}

/* Whoever knows the seed can make two names with one hash. */
Test(rules, are_not_mistaken_between_names_of_one_hash) {
    struct rules *rules;
    cr_assert_eq(rules_create(&rules, list, 3), 0);
    for (uint32_t again = 0; again < 3; again++) {
        cr_assert_eq(rules_of(rules, (const uint8_t *)"erp.a", 5, 77), &list[1]);
        cr_assert_null(rules_of(rules, (const uint8_t *)"crm.a", 5, 77));
        cr_assert_null(rules_of(rules, (const uint8_t *)"erp", 3, 77));
    }
    rules_destroy(rules);
}

Test(rules, know_names_of_every_length_and_many_of_them) {
    struct rules *rules;
    char topic[TOPIC_BYTES_MAX + 1] = "erp.";
    cr_assert_eq(rules_create(&rules, list, 3), 0);
    memset(topic + 4, 'x', sizeof topic - 5);
    for (uint32_t again = 0; again < 2; again++)
        for (uint32_t length = 5; length <= TOPIC_BYTES_MAX; length++) {
            uint64_t hash = topic_hash((const uint8_t *)topic, length, 0);
            cr_assert_eq(rules_of(rules, (const uint8_t *)topic, length, hash), &list[1], "%u bytes", length);
            topic[0] = 'f';
            hash = topic_hash((const uint8_t *)topic, length, 0);
            cr_assert_null(rules_of(rules, (const uint8_t *)topic, length, hash), "%u bytes", length);
            topic[0] = 'e';
        }
    for (uint32_t i = 0; i < 3 * TOPIC_RULES_KEPT; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "%s.n%u", i % 2 == 0 ? "erp" : "crm", i / 2);
        cr_assert_eq(rule_of(rules, name), i % 2 == 0 ? &list[1] : NULL);
    }
    rules_destroy(rules);
    LEAKS_NONE();
}

Test(rules, take_no_for_an_answer_when_there_is_no_memory) {
    for (uint32_t at = 1; at <= 2; at++) {
        struct rules *rules = NULL;
        refuse_at = at;
        cr_assert_eq(rules_create(&rules, list, 3), -ENOMEM);
        refuse_at = 0;
    }
    LEAKS_NONE();
}
