#include "core/cli/explain.h"

#include "core/cli/args.h"
#include "core/cli/ask.h"
#include "core/cli/cli.h"
#include "core/cli/event_args.h"

#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char explain_usage[] =
    "usage: roundhouse explain [OPTION...] FILE|-\n"
    "\n"
    "Says what a running router would do with an event, and delivers it to nobody: where it goes, what is "
    "against\n"
    "it, which subscriptions, queues and mailboxes would get it and by which pattern, and which would not, "
    "and why;\n"
    "and what the filters, mappings and rules of spokes and files of rules make of it.\n"
    "FILE has one event as CloudEvents JSON, or a line as `sub` prints it: {\"topic\": ..., \"event\": "
    "{...}}.\n"
    "\n"
    "  --topic TOPIC      on which it would be published (default: that of the line)\n"
    "  --limit N          how many are listed of each kind; all are counted (default 20)\n"
    "  -q, --quiet        print only how many would get it\n" ASK_HELP "\n"
    "Examples:\n"
    "  roundhouse explain --topic erp.order.created order.json\n"
    "  roundhouse sub --count 1 'erp.>' | roundhouse explain -\n"
    "\n"
    "Exit status: 0 done, also when nobody would get it, 64 usage, 65 the file has no event, 69 the router "
    "can not be\n"
    "reached.\n";

struct explain_run {
    struct ask ask;
    const char *topic; /* NULL: of the line */
    uint64_t limit;    /* 0: the router's own */
    bool quiet, help;
};

enum { EXPLAIN_TOPIC = 256, EXPLAIN_LIMIT };

/* ---- the answer ---- */

static void where_print(const json_t *answer) {
    const json_t *rule = json_object_get(answer, "rule"), *expiry = json_object_get(answer, "expiry");
    printf("%s  source=%s id=%s type=%s\n", ask_text(answer, "topic"), ask_text(answer, "source"),
           ask_text(answer, "id"), ask_text(answer, "type"));
    printf("  goes to      slot %lld (hash %s) of shard %lld, log %lld, kept %s\n",
           ask_number(answer, "slot"), ask_text(answer, "hash"), ask_number(answer, "shard"),
           ask_number(answer, "log"),
           strcmp(ask_text(answer, "class"), "disk") == 0 ? "on disk" : "in memory");
    if (json_is_object(rule))
        printf("  rule         item %lld of topics: %s\n", ask_number(rule, "number"),
               ask_text(rule, "match"));
    else
        printf("  rule         no item of topics matches: the default\n");
    if (json_is_string(json_object_get(expiry, "by")))
        printf("  expires      %s, by the %s%s\n", ask_text(expiry, "at"),
               strcmp(ask_text(expiry, "by"), "rule") == 0 ? "rule, if it came now" : "event's expirytime",
               json_is_true(json_object_get(expiry, "over")) ? ": that is over" : "");
    else
        printf("  expires      never\n");
    if (ask_number(rule, "duplicates_window_ms") == 0)
        printf("  duplicates   are not looked for\n");
    else if (json_is_string(json_object_get(answer, "duplicate_of")))
        printf("  duplicates   it is one of the event with sequence %s\n", ask_text(answer, "duplicate_of"));
    else
        printf("  duplicates   none known in a window of %lld s\n",
               ask_number(rule, "duplicates_window_ms") / 1000);
    printf("  outcome      %s: %s\n", ask_text(answer, "outcome"), ask_text(answer, "message"));
}

static void why_print(const json_t *row) {
    const char *why = ask_text(row, "why"), *pattern = ask_text(row, "pattern");
    long long more = ask_number(row, "patterns_total") - 1;
    if (strcmp(why, "matches") == 0)
        printf("%s matches", pattern);
    else if (strcmp(why, "filter") == 0)
        printf("%s matches, and its filter turns it away: %s", pattern, ask_text(row, "filter"));
    else if (strcmp(why, "pattern") == 0 && more > 0)
        printf("no pattern matches: %s and %lld more", pattern, more);
    else if (strcmp(why, "pattern") == 0)
        printf("the pattern does not match: %s", pattern);
    else
        printf("%s matches, but the event is %s", pattern, why);
}

static void row_print(const json_t *row) {
    bool live = strcmp(ask_text(row, "kind"), "live") == 0;
    printf("  %-7s ", ask_text(row, "kind"));
    if (live)
        printf("%s %s (connection %s, subscription %lld): ", ask_text(row, "client"),
               ask_text(row, "address"), ask_text(row, "connection"), ask_number(row, "id"));
    else
        printf("%s: ", ask_text(row, "queue"));
    why_print(row);
    if (live && json_is_true(json_object_get(row, "behind")))
        printf("; it is behind, and comes to it later");
    if (!live && strcmp(ask_text(row, "why"), "matches") == 0) {
        if (ask_number(row, "members") == 0)
            printf("; it has no member now: it waits there");
        else
            printf("; one of its %lld member%s", ask_number(row, "members"),
                   ask_number(row, "members") == 1 ? "" : "s");
    }
    printf("\n");
}

static void rows_print(const json_t *answer, const char *key, long long total) {
    const json_t *rows = json_object_get(answer, key);
    for (size_t i = 0; i < json_array_size(rows); i++)
        row_print(json_array_get(rows, i));
    if (total > (long long)json_array_size(rows))
        printf("  ... and %lld more; --limit lists more of them\n", total - (long long)json_array_size(rows));
}

/* ---- spokes and rules ---- */

static void taker_print(const json_t *row, const char *kind, const char *name) {
    const char *why = ask_text(row, "why"), *pattern = ask_text(row, "pattern");
    printf("  %-7s %s: ", kind, ask_text(row, name));
    if (strcmp(why, "only_in") == 0)
        printf("nothing goes out to it");
    else if (strcmp(why, "pattern") == 0 && ask_number(row, "patterns_total") > 1)
        printf("no pattern matches: %s and %lld more", pattern, ask_number(row, "patterns_total") - 1);
    else if (strcmp(why, "pattern") == 0)
        printf("the pattern does not match: %s", pattern);
    else if (strcmp(why, "filter") == 0)
        printf("%s matches, and its filter turns it away", pattern);
    else if (strcmp(why, "mapping") == 0)
        printf("%s matches, and its mapping makes nothing of it", pattern);
    else if (strcmp(why, "no_rule") == 0)
        printf("%s matches, and no rule does", pattern);
    else if (strcmp(why, "fails") == 0)
        printf("%s matches, and it would become a dead letter: %s", pattern, ask_text(row, "message"));
    else if (strcmp(why, "not_tried") == 0)
        printf("%s matches; whether it is taken could not be tried", pattern);
    else if (strcmp(why, "taken") != 0)
        printf("%s matches, but the event is %s", pattern, why);
    else if (json_is_array(json_object_get(row, "rules")))
        printf("takes it by %s", pattern);
    else
        printf("takes it by %s, as %lld document%s", pattern, ask_number(row, "documents"),
               ask_number(row, "documents") == 1 ? "" : "s");
    printf("\n");
}

static void rule_print(const json_t *rule) {
    const char *matched = ask_text(rule, "matched");
    const json_t *topics = json_object_get(rule, "topics");
    printf("            %s: %s", ask_text(rule, "rule"),
           strcmp(matched, "yes") == 0  ? "matches, on"
           : strcmp(matched, "no") == 0 ? "does not match"
                                        : "is not asked");
    for (size_t i = 0; strcmp(matched, "yes") == 0 && i < json_array_size(topics); i++)
        printf(" %s", json_string_value(json_array_get(topics, i)));
    printf("\n");
}

static void takers_print(const json_t *answer) {
    const json_t *spokes = json_object_get(answer, "spokes"), *files = json_object_get(answer, "rules");
    if (json_array_size(spokes) + json_array_size(files) == 0)
        return;
    printf("\nWhat spokes and rules make of it:\n");
    for (size_t i = 0; i < json_array_size(spokes); i++)
        taker_print(json_array_get(spokes, i), "spoke", "spoke");
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *rules = json_object_get(json_array_get(files, i), "rules");
        taker_print(json_array_get(files, i), "rules", "file");
        for (size_t k = 0; k < json_array_size(rules); k++)
            rule_print(json_array_get(rules, k));
    }
}

static void answer_print(const struct explain_run *run, const json_t *answer) {
    const json_t *totals = json_object_get(answer, "totals");
    long long gets = ask_number(totals, "gets");
    long long not =
        ask_number(totals, "stopped") + ask_number(totals, "filter") + ask_number(totals, "pattern");
    if (run->quiet) {
        printf("%lld\n", gets);
        return;
    }
    where_print(answer);
    printf("\n%lld would get it%s\n", gets, gets > 0 ? ":" : ".");
    rows_print(answer, "gets", gets);
    printf("\n%lld would not%s\n", not, not > 0 ? ":" : ".");
    rows_print(answer, "not", not );
    takers_print(answer);
    if (!json_is_true(json_object_get(answer, "complete")))
        printf("\nThe router is stopping: not all of its shards have answered.\n");
}

/* ---- the question ---- */

/* {"topic": ..., "event": ...}; NULL: told. */
static char *question_make(const struct explain_run *run, const uint8_t *text, size_t length) {
    json_error_t error;
    json_t *read = json_loadb((const char *)text, length, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(read)) {
        json_decref(read);
        fprintf(stderr, "roundhouse explain: this is no event in JSON: %s\n",
                read != NULL ? "it is not an object" : error.text);
        return NULL;
    }
    json_t *event = json_object_get(read, "event");
    bool line = json_is_object(event) && json_object_get(read, "specversion") == NULL;
    const char *topic = run->topic;
    if (topic == NULL && line)
        topic = json_string_value(json_object_get(read, "topic"));
    json_t *question = topic != NULL ? json_pack("{s:s, s:O}", "topic", topic, "event", line ? event : read)
                                     : json_pack("{s:O}", "event", line ? event : read);
    char *body = question != NULL ? json_dumps(question, JSON_COMPACT) : NULL;
    json_decref(question);
    json_decref(read);
    if (topic == NULL) {
        fprintf(stderr, "roundhouse explain: --topic is missing: on which topic would it be published?\n");
        free(body);
        return NULL;
    }
    if (body == NULL)
        fprintf(stderr, "roundhouse explain: the event can not be asked about: is it all UTF-8?\n");
    return body;
}

static int explain_ask(const struct explain_run *run, const char *body) {
    char path[64];
    int status;
    (void)snprintf(path, sizeof path, "/v1/explain");
    if (run->limit != 0)
        (void)snprintf(path, sizeof path, "/v1/explain?limit=%" PRIu64, run->limit);
    json_t *answer = ask_post(&run->ask, path, "application/json", body, strlen(body), &status);
    if (answer == NULL)
        return CLI_UNAVAILABLE;
    if (status != 200)
        fprintf(stderr, "roundhouse explain: %s\n", ask_text(answer, "message"));
    else if (!run->ask.json)
        answer_print(run, answer);
    else
        printf("\n");
    json_decref(answer);
    return status == 200 ? CLI_OK : CLI_DATA;
}

/* ---- the command ---- */

static int explain_options(struct explain_run *run, int argc, char **argv) {
    static const struct option options[] = {ASK_OPTIONS,
                                            {"topic", required_argument, NULL, EXPLAIN_TOPIC},
                                            {"limit", required_argument, NULL, EXPLAIN_LIMIT},
                                            {"quiet", no_argument, NULL, 'q'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    opterr = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, ":qh", options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return args_option_mistake("explain", option, argv);
        if (option == EXPLAIN_TOPIC)
            run->topic = optarg;
        else if (option == EXPLAIN_LIMIT && !args_number(optarg, 1, 1000, &run->limit))
            return args_mistake("explain", "--limit is a number from 1 to 1000, not '%s'", optarg);
        run->quiet |= option == 'q';
        run->help |= option == 'h';
        (void)ask_option(&run->ask, option, optarg);
    }
    if (run->help)
        return CLI_OK;
    if (optind == argc)
        return args_mistake("explain", "the name of a FILE is missing; - is standard input");
    if (optind + 1 < argc)
        return args_mistake("explain", "'%s' is one argument too many; see roundhouse explain --help",
                            argv[optind + 1]);
    return CLI_OK;
}

int explain_command(int argc, char **argv) {
    struct explain_run run = {.ask = {.command = "explain", .address = ASK_ADDRESS}};
    uint8_t *text = NULL;
    size_t length;
    int status = explain_options(&run, argc, argv);
    if (status != CLI_OK)
        return status;
    if (run.help) {
        fputs(explain_usage, stdout);
        return CLI_OK;
    }
    status = event_args_read("explain", argv[optind], &text, &length);
    if (status != CLI_OK)
        return status;
    char *body = question_make(&run, text, length);
    status = body != NULL ? explain_ask(&run, body) : CLI_DATA;
    free(body);
    free(text);
    return status;
}
