/* The file of a spoke: what it may say, every mistake with its place, and the manual's table of keys. */
#include "core/spoke/spec.h"
#include "tests/unit/core/config/files.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct config_mistakes mistakes;

TestSuite(spec, .init = files_begin, .fini = files_end);

static struct spoke_spec *read_named(const char *name, const char *text) {
    files_write(name, text);
    return spoke_spec_read(files_path(name), &mistakes);
}

static struct spoke_spec *accepts(const char *text) {
    struct spoke_spec *spec = read_named("shop.yaml", text);
    cr_assert(spec != NULL, "refused: %s\n%u:%u: %s", text, mistakes.list[0].line, mistakes.list[0].column,
              mistakes.list[0].text);
    return spec;
}

static void refuses(const char *text, const char *const *wanted) {
    struct spoke_spec *spec = read_named("shop.yaml", text);
    cr_expect(spec == NULL, "accepted: %s", text);
    spoke_spec_free(spec);
    files_mistakes(&mistakes, text, wanted);
}
#define REFUSES(text, ...) refuses(text, (const char *const[]){__VA_ARGS__, NULL})

static const char webhook[] = "transport: webhook\n"
                              "webhook: { url: \"http://127.0.0.1:9/orders\" }\n";

/* `webhook`, and more lines: theirs begin with line 3. */
static const char *more(const char *text) {
    static char whole[4096];
    snprintf(whole, sizeof whole, "%s%s", webhook, text);
    return whole;
}

/* ---- what is right ---- */

Test(spec, a_directory_with_both_ways_becomes_the_options_of_its_parts) {
    files_write("map.jq", ".order | {number: .id}\n");
    struct spoke_spec *spec = accepts("transport: directory\n"
                                      "directory: { inbox: in, outbox: /var/out, complete: rename,\n"
                                      "             stable_for: 500ms }\n"
                                      "inbound:\n"
                                      "  format: edifact\n"
                                      "  profile: { tolerate: [edifact.count-differs], charset: UNOC }\n"
                                      "  topic: erp.from.shop\n"
                                      "outbound:\n"
                                      "  topics: [erp.order.>, erp.invoice.*]\n"
                                      "  mapping_file: map.jq\n"
                                      "  sender: \"14:4000001000005\"\n"
                                      "  format: x12\n"
                                      "  losses: refuse\n"
                                      "  key: subject\n"
                                      "  window: 16\n");
    cr_expect_str_eq(spec->name, "shop");
    struct directory_options directory;
    spoke_directory_options(spec, &directory);
    cr_expect_str_eq(directory.inbox, files_path("in"), "relative to the file");
    cr_expect_str_eq(directory.outbox, "/var/out");
    cr_expect(directory.complete == DIRECTORY_RENAME && directory.stable_ms == 500 &&
              directory.repeats_count == 10000);
    struct inbound_options in;
    spoke_inbound_options(spec, &in);
    cr_expect_str_eq(in.format, "edifact");
    cr_expect_str_eq(in.topic, "erp.from.shop");
    cr_expect(in.mapping == NULL && in.formats != NULL);
    cr_expect(finding_severity(in.profile, finding_named("edifact.count-differs")) == FINDING_WARNING);
    cr_expect_str_eq(in.profile->charset, "UNOC");
    struct outbound_options out;
    spoke_outbound_options(spec, &out);
    cr_expect_str_eq(out.mapping, ".order | {number: .id}\n");
    cr_expect_str_eq(out.format, "x12");
    cr_expect(out.losses == LOSSES_REFUSE && out.filter == NULL && out.receiver == NULL);
    cr_expect_str_eq(spec->out.key, "subject");
    cr_expect_str_eq(out.sender, "14:4000001000005");
    cr_expect(spec->out.topics.count == 2 && spec->out.window == 16);
    cr_expect_str_eq(spec->out.topics.list[1], "erp.invoice.*");
    spoke_spec_free(spec);
    spec = NULL;
    LEAKS_NONE();
}

Test(spec, a_webhook_becomes_its_options) {
    struct spoke_spec *spec = accepts("transport: webhook\n"
                                      "webhook:\n"
                                      "  url: https://shop.example/hook\n"
                                      "  mode: plain\n"
                                      "  method: PUT\n"
                                      "  headers: [\"X-A: 1\", \"X-B: 2\"]\n"
                                      "  secret: secrets/shop\n"
                                      "outbound: { topics: erp.>, lease: 60s }\n");
    struct webhook_options options;
    spoke_webhook_options(spec, &options);
    cr_expect_str_eq(options.url, "https://shop.example/hook");
    cr_expect(options.mode == WEBHOOK_PLAIN && options.put && options.headers_count == 2);
    cr_expect_str_eq(options.headers[1], "X-B: 2");
    cr_expect_str_eq(options.secret_file, files_path("secrets/shop"));
    cr_expect(options.concurrency == 32 && options.answer_ms == 30000 && options.extend_ms == 20000,
              "a lease is extended three times before it is over");
    cr_expect(!spec->has_in && spec->formats == NULL);
    spoke_spec_free(spec);
    spec = NULL;
    LEAKS_NONE();
}

Test(spec, what_a_file_names_is_part_of_what_the_spoke_is) {
    static const char text[] = "outbound: { topics: erp.>, mapping_file: map.jq }\n";
    files_write("map.jq", ".a");
    struct spoke_spec *first = accepts(more(text));
    struct spoke_spec *same = accepts(more(text));
    files_write("map.jq", ".b");
    struct spoke_spec *other = accepts(more(text));
    cr_expect_arr_eq(first->digest, same->digest, sizeof first->digest);
    cr_expect(memcmp(first->digest, other->digest, sizeof first->digest) != 0);
    spoke_spec_free(first);
    spoke_spec_free(same);
    spoke_spec_free(other);
}

/* ---- names ---- */

Test(spec, the_name_is_that_of_the_file) {
    static const char *const wrong[] = {
        "shop.yml", ".yaml", "a.b.yaml",
        "a b.yaml", "shop",  "n23456789012345678901234567890123456789012345678901.yaml"};
    char name[SPOKE_NAME_BYTES_MAX + 1];
    cr_expect(spoke_name("/etc/spokes.d/ware_house-2.yaml", name));
    cr_expect_str_eq(name, "ware_house-2");
    cr_expect(spoke_name("n2345678901234567890123456789012345678901234567890.yaml", name));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect(!spoke_name(wrong[i], name), "%s", wrong[i]);
    struct spoke_spec *spec = read_named("a.b.yaml", webhook);
    cr_expect(spec == NULL && mistakes.count == 1 && mistakes.list[0].line == 0 &&
              strstr(mistakes.list[0].text, "the file's name is the spoke's") != NULL);
}

Test(spec, a_file_that_is_not_there_is_a_mistake) {
    cr_expect(spoke_spec_read(files_path("none.yaml"), &mistakes) == NULL);
    cr_expect(mistakes.count == 1 && mistakes.list[0].line == 0 &&
              strstr(mistakes.list[0].text, "can not be read: No such file") != NULL);
}

/* ---- mistakes ---- */

Test(spec, all_mistakes_are_told_with_their_places) {
    REFUSES("transport: webhok\n"
            "webhook: { urll: x, concurrency: 0, timeout: 5 }\n"
            "inbund: {}\n"
            "outbound: { topics: [erp.>], format: jsn, window: 9000 }\n",
            "1:12 transport: \"webhok\" is not one of the words here; write directory, webhook, tcp or http",
            "2:12 \"urll\" is not a key of webhook; did you mean url?",
            "2:34 webhook.concurrency: 0 is too small; write 1 to 1Ki",
            "2:46 webhook.timeout: \"5\" is not a time", "3:1 \"inbund\" is not a key; did you mean inbound?",
            "4:38 outbound.format: \"jsn\"", "4:51 outbound.window: 9000 is too large");
}

Test(spec, what_the_transport_needs_must_be_there) {
    REFUSES("{}", "1:1 transport: this is missing");
    REFUSES("transport: webhook\noutbound: { topics: a }\n", "1:1 webhook.url: this is missing");
    REFUSES("transport: directory\noutbound: { topics: a }\n", "1:1 directory.outbox: this is missing");
    REFUSES("transport: directory\ninbound: { format: any }\n", "1:1 directory.inbox: this is missing");
    REFUSES("transport: tcp\n", "1:12 transport: a spoke has a section inbound, or outbound, or both");
    REFUSES("transport: http\noutbound: { topics: a }\n", "1:12 transport: nothing goes out by http");
    REFUSES(more("inbound: { format: any }\n"), "1:12 transport: a webhook has a section outbound");
    REFUSES("transport: directory\ndirectory: { inbox: a, outbox: b }\noutbound: { topics: a }\n",
            "2:21 directory.inbox: nothing comes in without a section inbound");
}

Test(spec, a_section_of_another_transport_is_refused) {
    REFUSES("transport: tcp\nwebhook: { url: a }\noutbound: { topics: a }\n",
            "2:1 webhook: the transport is tcp; take this section out");
    spoke_spec_free(accepts(more("http: { bearer: token }\noutbound: { topics: a }\n")));
}

Test(spec, topics_are_patterns_and_do_not_come_back_to_the_spoke) {
    REFUSES(more("outbound: { format: json }\n"), "1:1 outbound.topics: this is missing");
    REFUSES(more("outbound: { topics: [a..b, \"a.b>\"] }\n"), "3:21 outbound.topics: \"a..b\" is no pattern",
            "3:21 outbound.topics: \"a.b>\" is no pattern");
    REFUSES(more("outbound: { topics: [\">\", \"spoke.*.a\", \"*.shop.b\"] }\n"),
            "3:21 outbound.topics: \">\" matches spoke.shop.>, too", "3:21 outbound.topics: \"spoke.*.a\"",
            "3:21 outbound.topics: \"*.shop.b\"");
    spoke_spec_free(accepts(more("outbound: { topics: [spoke.crm.>, erp.>] }\n")));
    REFUSES(more("outbound: { topics: a, key: order-id }\n"),
            "3:29 outbound.key: \"order-id\" is no attribute's name: small letters and digits, at most 64");
    REFUSES(more("outbound: { topics: [] }\n"), "3:21 outbound.topics: the list is empty");
    REFUSES(more("outbound: { topics: [[a]] }\n"), "3:22 outbound.topics: this must be a text");
}

Test(spec, a_mapping_is_in_the_file_or_in_one_of_its_own) {
    files_write("map.jq", ".");
    REFUSES(more("outbound: { topics: a, mapping: ., mapping_file: map.jq }\n"),
            "3:50 outbound.mapping_file: outbound.mapping is there, too; keep one of them");
    REFUSES(more("outbound: { topics: a, filter_file: none.jq }\n"),
            "3:37 outbound.filter_file: /tmp/rh-files-");
}

Test(spec, tables_need_their_descriptions_and_nobody_else_has_one) {
    REFUSES("transport: http\ninbound: { format: csv }\n",
            "1:1 inbound.dialect: this is missing: with format: csv");
    REFUSES("transport: http\ninbound: { format: fixed }\n", "1:1 inbound.fixed: this is missing");
    files_write("a.dialect", "dialekt\n");
    REFUSES("transport: http\ninbound: { format: edifact, dialect: a.dialect }\n",
            "2:38 inbound.dialect: this is for format: csv", "2:38 inbound.dialect: /tmp/rh-files-");
    REFUSES(more("outbound: { topics: a, format: csv }\n"), "1:1 outbound.template: this is missing");
}

Test(spec, acknowledgements_are_awaited_of_documents_that_have_them) {
    REFUSES(more("outbound: { topics: a, await_acknowledgement: 1h }\n"),
            "3:47 outbound.await_acknowledgement: documents of EDIFACT and X12 are acknowledged");
    REFUSES(more("outbound: { topics: a, format: ubl, await_acknowledgement: 1h }\n"),
            "3:60 outbound.await_acknowledgement: documents of EDIFACT and X12 are acknowledged");
    struct spoke_spec *spec =
        accepts(more("outbound: { topics: a, format: x12, await_acknowledgement: 1h }\n"));
    cr_expect(spoke_awaits(spec) && spoke_writes_x12(spec));
    spoke_spec_free(spec);
    spec = accepts(more("outbound: { topics: a, format: edifact, await_acknowledgement: 1s }\n"));
    cr_expect(spoke_awaits(spec) && !spoke_writes_x12(spec));
    spoke_spec_free(spec);
    spec = accepts(more("outbound: { topics: a, format: edifact }\n"));
    cr_expect(!spoke_awaits(spec));
    spoke_spec_free(spec);
}

Test(spec, profile_message_and_topic_name_what_there_is) {
    REFUSES("transport: http\n"
            "inbound:\n"
            "  profile: { tolerate: [edifact.count-difers, document.unknown-format], refuse: nothing }\n"
            "  message: Ordr\n"
            "  topic: a.*\n",
            "3:24 inbound.profile.tolerate: there is no rule \"edifact.count-difers\"",
            "3:24 inbound.profile.tolerate: document.unknown-format is always an error",
            "3:81 inbound.profile.refuse: there is no rule",
            "4:12 inbound.message: there is no canonical message", "5:10 inbound.topic: \"a.*\" is no topic");
    REFUSES("transport: http\ninbound: { format: json }\n", "1:1 inbound.type: this is missing",
            "1:1 inbound.topic: this is missing");
    spoke_spec_free(accepts("transport: http\ninbound: { format: json, mapping: ., message: Order }\n"));
}

Test(spec, tables_are_read_with_the_file_and_are_part_of_the_spoke) {
    static const char text[] =
        "outbound: { topics: a }\n"
        "tables: [ { name: customers, file: customers.csv, key: gln, value: number } ]\n";
    files_write("customers.csv", "gln,number,city\n4012345500004,4711,Bremen\n");
    struct spoke_spec *spec = accepts(more(text));
    struct outbound_options out;
    spoke_outbound_options(spec, &out);
    cr_expect_str_eq(out.variables, "{\"tables\":{\"customers\":{\"4012345500004\":\"4711\"}}}");
    files_write("customers.csv", "gln,number,city\n4012345500004,4712,Bremen\n");
    struct spoke_spec *other = accepts(more(text));
    cr_expect(memcmp(spec->digest, other->digest, sizeof spec->digest) != 0);
    spoke_spec_free(spec);
    spoke_spec_free(other);
    spec = other = NULL;
    REFUSES(more("outbound: { topics: a }\n"
                 "tables:\n"
                 "  - { name: customers, file: customers.csv, key: gnl }\n"
                 "  - { name: a-b, file: customers.csv, key: gln }\n"
                 "  - { name: c, file: customers.csv }\n"
                 "  - { name: d, file: none.csv, key: gln }\n"),
            "5:3 tables: /tmp/rh-files-", "5:5 there is no column gnl", "6:5 a table's name has letters",
            "7:5 this item has no key");
    LEAKS_NONE();
}

Test(spec, golden_pairs_are_whole_and_their_files_are_there) {
    files_write("in.json", "{}");
    REFUSES(more("outbound: { topics: a }\n"
                 "tests:\n"
                 "  - { direction: outbound, input: in.json }\n"
                 "  - { direction: inbound, input: in.json, expect: in.json }\n"
                 "  - { direction: sideways, input: in.json, expect: in.json }\n"
                 "  - { direction: outbound, input: in.json, expect: out.json }\n"),
            "5:3 tests: /tmp/rh-files-", "5:5 this item has no expect",
            "6:5 this tests what the spoke does not have", "7:18 tests[].direction: \"sideways\"");
    struct spoke_spec *spec =
        accepts(more("outbound: { topics: a }\n"
                     "tests: [ { direction: outbound, input: in.json, expect: in.json } ]\n"));
    cr_expect(spec->tests_count == 1 && spec->tests[0].direction == SPOKE_OUT && spec->tests[0].line == 4);
    cr_expect_str_eq(spec->tests[0].input, files_path("in.json"));
    spoke_spec_free(spec);
    spec = NULL;
    LEAKS_NONE();
}

/* ---- the manual ---- */

Test(spec_docs, the_manual_has_the_table_of_keys) {
    files_manual(&spoke_schema, "SPOKES.md");
}
