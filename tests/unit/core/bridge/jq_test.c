#include "core/bridge/jq.h"

#include "core/base/limits.h"
#include "core/bridge/jq_frame.h"
#include "core/bridge/jq_worker.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* This program is its own worker: it is what /proc/self/exe names. */
__attribute__((constructor)) static void be_the_worker(int argc, char **argv) {
    if (argc >= 2 && strcmp(argv[1], JQ_WORKER_COMMAND) == 0)
        _exit(jq_worker_command(argc - 1, argv + 1));
}

/* ---- what was answered ---- */

#define ANSWERS_MAX 4096

struct heard {
    struct event_base *base;
    unsigned wanted; /* the loop ends then */
    unsigned count;
    enum jq_result results[ANSWERS_MAX];
    char texts[ANSWERS_MAX][200]; /* the error, or the outputs with a blank between them */
    size_t bytes;                 /* of all outputs */
    size_t outputs;
};

static void on_answer(void *user, const struct jq_answer *answer) {
    struct heard *heard = user;
    char *text = heard->texts[heard->count], *end = text + sizeof heard->texts[0];
    heard->results[heard->count] = answer->result;
    cr_assert((answer->result == JQ_OK) == (answer->text[0] == '\0'));
    *text = '\0';
    if (answer->result != JQ_OK)
        (void)snprintf(text, (size_t)(end - text), "%s", answer->text);
    for (size_t i = 0; i < answer->count; i++) {
        cr_assert(strlen(answer->outputs[i].json) == answer->outputs[i].length);
        heard->bytes += answer->outputs[i].length;
        heard->outputs++;
        if (end - text > 1)
            text += snprintf(text, (size_t)(end - text), "%s%s", i > 0 ? " " : "", answer->outputs[i].json);
        if (text >= end)
            text = end - 1;
    }
    heard->count++;
    if (heard->base != NULL && heard->count == heard->wanted)
        (void)event_base_loopbreak(heard->base);
}

static struct jq *make(struct event_base *base, const struct jq_options *options) {
    char why[1024] = "";
    struct jq *jq = jq_new(base, options, why, sizeof why);
    cr_assert(jq != NULL, "%s", why);
    return jq;
}

/* One input to a new process; the text that on_answer makes. */
static enum jq_result answer_of(const char *program, const char *input, char text[200]) {
    static struct heard heard;
    memset(&heard, 0, sizeof heard);
    struct jq *jq = make(NULL, &(struct jq_options){.program = program, .name = "t"});
    cr_assert(jq_run_now(jq, input, strlen(input), on_answer, &heard) == 0);
    cr_assert(heard.count == 1);
    (void)snprintf(text, 200, "%s", heard.texts[0]);
    jq_free(jq);
    return heard.results[0];
}

static void expect(const char *program, const char *input, enum jq_result result, const char *text) {
    char got[200];
    enum jq_result found = answer_of(program, input, got);
    cr_expect(found == result && strcmp(got, text) == 0, "%s of %s: %d %s, not %d %s", program, input, found,
              got, result, text);
}

static void expect_refused(const char *program, const char *variables, const char *text) {
    char why[1024] = "";
    struct jq_options options = {.program = program, .name = "t", .variables = variables};
    cr_expect(jq_new(NULL, &options, why, sizeof why) == NULL, "%s", program);
    cr_expect_str_eq(why, text);
}

/* ---- answers ---- */

Test(jq, jq_run__answers_with_all_outputs_of_an_input) {
    expect(".", "{\"a\": [1, 2.50, \"\\u00e4\"]}", JQ_OK, "{\"a\":[1,2.5,\"ä\"]}");
    expect(".[] | {n: .}", "[1,2]", JQ_OK, "{\"n\":1} {\"n\":2}");
    expect("empty", "1", JQ_OK, "");
    expect("1, halt, 2", "1", JQ_OK, "1");
    expect("\"x\" | test(\"^X$\"; \"i\")", "1", JQ_OK, "true");
    LEAKS_NONE();
}

Test(jq, jq_run__tells_an_error_of_the_program_and_goes_on) {
    static struct heard heard;
    expect(".a", "[]", JQ_FAILED, "Cannot index array with string \"a\"");
    expect("1, error(\"no customer\")", "1", JQ_FAILED, "no customer");
    expect("error({code: 7})", "1", JQ_FAILED, "{\"code\":7}");
    expect("\"wrong\" | halt_error", "1", JQ_FAILED, "wrong");
    struct jq *jq = make(NULL, &(struct jq_options){.program = "if . == 2 then error(\"two\") else . end"});
    for (const char *input = "1\0"
                             "2\0"
                             "3\0";
         *input != '\0'; input += 2)
        cr_assert(jq_run_now(jq, input, 1, on_answer, &heard) == 0);
    cr_assert(heard.count == 3);
    cr_expect_str_eq(heard.texts[0], "1");
    cr_expect_str_eq(heard.texts[1], "two");
    cr_expect_str_eq(heard.texts[2], "3");
    cr_expect(jq_restarts(jq) == 0);
    jq_free(jq);
    jq = NULL;
    LEAKS_NONE();
}

Test(jq, jq_run__refuses_what_is_not_one_json_text) {
    static const char *const inputs[] = {"", "  ", "{", "{\"a\":1", "1 2", "[1] x", "nope", "\"\\x\""};
    char text[200];
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        cr_expect(answer_of(".", inputs[i], text) == JQ_FAILED, "'%s'", inputs[i]);
        cr_expect(strncmp(text, "the input is not JSON: ", 23) == 0, "'%s': %s", inputs[i], text);
    }
}

Test(jq, jq_run__knows_the_variables) {
    static struct heard heard;
    struct jq_options options = {.program = "$tables.customers[.] // $none, $limit",
                                 .variables =
                                     "{\"tables\": {\"customers\": {\"4012\": \"C7\"}}, \"limit\": 3, "
                                     "\"none\": null}"};
    struct jq *jq = make(NULL, &options);
    cr_assert(jq_run_now(jq, "\"4012\"", 6, on_answer, &heard) == 0);
    cr_assert(jq_run_now(jq, "\"x\"", 3, on_answer, &heard) == 0);
    cr_expect_str_eq(heard.texts[0], "\"C7\" 3");
    cr_expect_str_eq(heard.texts[1], "null 3");
    jq_free(jq);
}

Test(jq, jq_new__says_what_is_wrong_with_a_program) {
    expect_refused(".a |", NULL, "line 1: syntax error, unexpected $end");
    expect_refused("1,\n2,\nnope(3)", NULL, "line 3: nope/1 is not defined");
    expect_refused("a, b", NULL, "line 1: a/0 is not defined\nline 1: b/0 is not defined");
    expect_refused("$tables", NULL, "line 1: $tables is not defined");
    expect_refused(".", "[1]", "the variables are not a JSON object");
    expect_refused(".", "{", "the variables are not a JSON object");
    LEAKS_NONE();
}

Test(jq, jq_new__says_when_there_is_no_such_executable) {
    char why[200];
    struct jq_options options = {.program = ".", .executable = "/nonexistent/roundhouse"};
    cr_assert(jq_new(NULL, &options, why, sizeof why) == NULL);
    cr_expect_str_eq(why, "its process can not be started: No such file or directory");
    options.executable = "/bin/true"; /* it runs, and is something else */
    cr_assert(jq_new(NULL, &options, why, sizeof why) == NULL);
    cr_expect_str_eq(why, "its process ended with status 0");
    LEAKS_NONE();
}

/* ---- confinement ---- */

Test(jq, worker__has_no_environment_and_reaches_no_file) {
    cr_assert(setenv("SECRET", "1", 1) == 0);
    expect("env, $ENV", "1", JQ_OK, "{} {}");
    expect("input_filename, [inputs], input_line_number, get_search_list", "1", JQ_OK, "null [] 0 []");
    expect("input", "1", JQ_FAILED, "break");
    expect("debug, stderr", "1", JQ_OK, "1 1");
    expect("0 | localtime | mktime", "1", JQ_OK, "0");
    expect_refused("include \"a\"; .", NULL, "module not found: a");
    expect_refused("import \"/etc/a\" as a; .", NULL, "module not found: /etc/a");
}

Test(jq, worker__can_not_read_a_module_that_is_there) {
    char folder[] = "/tmp/jq_test_XXXXXX", file[64], program[200], why[1024] = "";
    cr_assert(mkdtemp(folder) != NULL);
    (void)snprintf(file, sizeof file, "%s/a.jq", folder);
    FILE *module = fopen(file, "w");
    cr_assert(module != NULL && fputs("def secret: 42;", module) >= 0 && fclose(module) == 0);
    (void)snprintf(program, sizeof program, "include \"a\" {search: \"%s\"}; secret", folder);
    struct jq_options options = {.program = program};
    cr_expect(jq_new(NULL, &options, why, sizeof why) == NULL);
    cr_expect(unlink(file) == 0 && rmdir(folder) == 0);
}

/* ---- breaches ---- */

Test(jq, jq_run__answers_an_endless_program_and_goes_on) {
    static struct heard heard;
    static const char *const programs[] = {"if . == 2 then def f: f; f else . end",
                                           "if . == 2 then last(range(1e12)) else . end"};
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        memset(&heard, 0, sizeof heard);
        struct jq_options options = {.program = programs[i], .name = "t", .time_ns = 50 * NS_PER_MS};
        struct jq *jq = make(NULL, &options);
        for (const char *input = "1\0"
                                 "2\0"
                                 "3\0";
             *input != '\0'; input += 2)
            cr_assert(jq_run_now(jq, input, 1, on_answer, &heard) == 0);
        cr_expect(heard.results[0] == JQ_OK && heard.results[1] == JQ_TIMEOUT && heard.results[2] == JQ_OK);
        cr_expect_str_eq(heard.texts[1], "it took more than 50 ms");
        cr_expect_str_eq(heard.texts[2], "3");
        cr_expect(jq_restarts(jq) == 1);
        jq_free(jq);
    }
    LEAKS_NONE();
}

Test(jq, jq_run__answers_a_program_that_wants_too_much_memory_and_goes_on) {
    static struct heard heard;
    struct jq_options options = {.program = "if . == 2 then [range(1e12)] else . end",
                                 .memory_bytes = 32 * MIB,
                                 .time_ns = 60 * NS_PER_S};
    struct jq *jq = make(NULL, &options);
    for (const char *input = "1\0"
                             "2\0"
                             "3\0";
         *input != '\0'; input += 2)
        cr_assert(jq_run_now(jq, input, 1, on_answer, &heard) == 0);
    cr_expect(heard.results[0] == JQ_OK && heard.results[1] == JQ_MEMORY && heard.results[2] == JQ_OK, "%s",
              heard.texts[1]);
    cr_expect_str_eq(heard.texts[1], "it needs more than 32 MiB of memory");
    cr_expect(jq_restarts(jq) == 2, "it had another try in a new process");
    jq_free(jq);
    LEAKS_NONE();
}

Test(jq, jq_run__has_a_bound_for_inputs_and_outputs) {
    static struct heard heard;
    struct jq_options options = {.program = "if type == \"number\" then range(.) | \"0123456789\" * 100000 "
                                            "else length end",
                                 .memory_bytes = 1 * GIB,
                                 .time_ns = 60 * NS_PER_S};
    size_t length = JQ_TEXT_BYTES_MAX;
    char *input = malloc(length + 1);
    cr_assert(input != NULL);
    memset(input, 'x', length);
    input[0] = input[length - 1] = '"';
    struct jq *jq = make(NULL, &options);
    cr_assert(jq_run_now(jq, input, length, on_answer, &heard) == 0);
    cr_expect_str_eq(heard.texts[0], "67108862");
    cr_assert(jq_run_now(jq, input, length + 1, on_answer, &heard) == 0);
    cr_expect(heard.results[1] == JQ_FAILED);
    cr_expect_str_eq(heard.texts[1], "the input is more than 64 MiB");
    heard.bytes = 0;
    cr_assert(jq_run_now(jq, "60", 2, on_answer, &heard) == 0);
    cr_expect(heard.results[2] == JQ_OK && heard.bytes == 60 * 1000002);
    cr_assert(jq_run_now(jq, "70", 2, on_answer, &heard) == 0);
    cr_expect_str_eq(heard.texts[3], "the outputs of one input are more than 64 MiB");
    cr_expect(jq_restarts(jq) == 0);
    free(input);
    jq_free(jq);
    LEAKS_NONE();
}

Test(jq, jq_run__has_a_bound_for_the_number_of_outputs) {
    static struct heard heard;
    struct jq *jq = make(NULL, &(struct jq_options){.program = "range(.)", .time_ns = 60 * NS_PER_S});
    cr_assert(jq_run_now(jq, "1048576", 7, on_answer, &heard) == 0);
    cr_expect(heard.results[0] == JQ_OK && heard.outputs == 1048576);
    cr_assert(jq_run_now(jq, "1048577", 7, on_answer, &heard) == 0);
    cr_expect_str_eq(heard.texts[1], "the outputs of one input are more than 1048576");
    jq_free(jq);
}

/* The one child that this process has. */
static pid_t child(void) {
    char path[64];
    int pid = 0;
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "r");
    cr_assert(file != NULL && fscanf(file, "%d", &pid) == 1);
    (void)fclose(file);
    return (pid_t)pid;
}

Test(jq, jq_run__tries_again_after_somebody_has_killed_the_process) {
    static struct heard heard;
    struct jq *jq = make(NULL, &(struct jq_options){.program = ". + 1", .time_ns = 500 * NS_PER_MS});
    for (int i = 0; i < 3; i++) {
        cr_assert(kill(child(), SIGKILL) == 0);
        cr_assert(jq_run_now(jq, "1", 1, on_answer, &heard) == 0);
        cr_expect_str_eq(heard.texts[i], "2");
    }
    cr_expect(jq_restarts(jq) == 3);
    jq_free(jq);
    LEAKS_NONE();
}

Test(jq, jq_run__answers_an_input_that_ends_the_process_twice) {
    static struct heard heard;
    /* jq frees nested values by recursion: so deep a one overflows its stack. */
    struct jq_options options = {.program =
                                     "if . == 2 then reduce range(3000000) as $i (0; [.]) | 1 else . end",
                                 .memory_bytes = 4 * GIB,
                                 .time_ns = 60 * NS_PER_S};
    struct jq *jq = make(NULL, &options);
    for (const char *input = "2\0"
                             "3\0";
         *input != '\0'; input += 2)
        cr_assert(jq_run_now(jq, input, 1, on_answer, &heard) == 0);
    cr_expect(heard.results[0] == JQ_DIED && heard.results[1] == JQ_OK, "%s", heard.texts[0]);
    cr_expect(jq_restarts(jq) == 2);
    jq_free(jq);
}

Test(jq, jq_run__ends_a_process_that_stands_still) {
    static struct heard heard;
    struct jq *jq = make(NULL, &(struct jq_options){.program = ".", .time_ns = 1000});
    cr_assert(kill(child(), SIGSTOP) == 0);
    cr_assert(jq_run_now(jq, "1", 1, on_answer, &heard) == 0);
    cr_expect(heard.results[0] == JQ_TIMEOUT);
    cr_expect_str_eq(heard.texts[0], "it has given no answer for 1000 ms");
    jq_free(jq);
}

/* ---- on a loop ---- */

static void loop(struct heard *heard, unsigned wanted) {
    heard->wanted = wanted;
    if (heard->count < wanted)
        cr_assert(event_base_dispatch(heard->base) == 0);
}

Test(jq, jq_run__answers_in_order_on_a_loop) {
    static struct heard heard;
    char input[32];
    heard.base = event_base_new();
    struct jq *jq = make(heard.base, &(struct jq_options){.program = ". * 2", .waiting_max = 1000});
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < 1000; i++) {
            int length = snprintf(input, sizeof input, "%u", round * 1000 + i);
            cr_assert(jq_run(jq, input, (size_t)length, on_answer, &heard) == 0);
        }
        cr_expect(jq_run(jq, "1", 1, on_answer, &heard) == -EAGAIN && jq_waiting(jq) == 1000);
        cr_expect(heard.count == round * 1000, "nothing is answered before the loop runs");
        loop(&heard, (round + 1) * 1000);
    }
    for (unsigned i = 0; i < 4000; i++) {
        (void)snprintf(input, sizeof input, "%u", 2 * i);
        cr_assert_str_eq(heard.texts[i], input);
    }
    jq_free(jq);
    event_base_free(heard.base);
}

Test(jq, jq_run__blames_only_the_input_at_fault_of_many_on_their_way) {
    static struct heard heard;
    heard.base = event_base_new();
    struct jq_options options = {.program = "if . % 100 == 50 then last(range(1e12)) elif . % 100 == 75 then "
                                            "[range(1e12)] else . end",
                                 .memory_bytes = 32 * MIB,
                                 .time_ns = 200 * NS_PER_MS};
    struct jq *jq = make(heard.base, &options);
    char input[32];
    for (unsigned i = 0; i < 300; i++) {
        int length = snprintf(input, sizeof input, "%u", i);
        cr_assert(jq_run(jq, input, (size_t)length, on_answer, &heard) == 0);
    }
    loop(&heard, 300);
    for (unsigned i = 0; i < 300; i++) {
        (void)snprintf(input, sizeof input, "%u", i);
        if (i % 100 == 50)
            cr_expect(heard.results[i] == JQ_TIMEOUT, "%u: %d", i, heard.results[i]);
        else if (i % 100 == 75) /* on a slow machine it may not get so far */
            cr_expect(heard.results[i] == JQ_MEMORY || heard.results[i] == JQ_TIMEOUT);
        else
            cr_expect(heard.results[i] == JQ_OK && strcmp(heard.texts[i], input) == 0, "%s", heard.texts[i]);
    }
    cr_expect(jq_restarts(jq) >= 6);
    jq_free(jq);
    event_base_free(heard.base);
    LEAKS_NONE();
}

Test(jq, jq_run__sends_more_than_a_socket_holds) {
    static struct heard heard;
    size_t length = 3 * MIB;
    char *input = malloc(length);
    cr_assert(input != NULL);
    heard.base = event_base_new();
    memset(input, 'x', length);
    input[0] = input[length - 1] = '"';
    struct jq *jq = make(heard.base, &(struct jq_options){.program = "., length", .time_ns = 60 * NS_PER_S});
    for (int i = 0; i < 20; i++)
        cr_assert(jq_run(jq, input, length, on_answer, &heard) == 0);
    loop(&heard, 20);
    cr_expect(heard.outputs == 40 && heard.bytes == 20 * (length + 7));
    while (jq_run(jq, input, length, on_answer, &heard) == 0)
        cr_assert(jq_waiting(jq) < 100);
    cr_expect(jq_waiting(jq) == JQ_WAITING_BYTES_MAX / (length + 8), "what waits is bounded in bytes");
    free(input);
    jq_free(jq);
    event_base_free(heard.base);
    LEAKS_NONE();
}

static void on_answer_free(void *user, const struct jq_answer *answer) {
    struct jq **jq = user;
    cr_expect(answer->count == 1);
    jq_free(*jq);
    *jq = NULL;
}

Test(jq, jq_free__is_allowed_at_any_time) {
    static struct heard heard;
    heard.base = event_base_new();
    struct jq_options options = {.program = "if . == 0 then last(range(1e12)) else . end"};
    struct jq *jq = make(heard.base, &options);
    for (int i = 0; i < 10; i++)
        cr_assert(jq_run(jq, "0", 1, on_answer, &heard) == 0);
    cr_assert(event_base_loop(heard.base, EVLOOP_ONCE) == 0);
    jq_free(jq);
    cr_expect(event_base_dispatch(heard.base) == 1, "nothing is left to wait for");
    cr_expect(heard.count == 0, "what waits is not answered");
    jq = make(heard.base, &options);
    for (int i = 0; i < 10; i++)
        cr_assert(jq_run(jq, "1", 1, on_answer_free, &jq) == 0);
    cr_expect(event_base_dispatch(heard.base) == 1);
    cr_expect(jq == NULL, "freed by the first answer, and not called any more");
    jq_free(NULL);
    event_base_free(heard.base);
    LEAKS_NONE();
}

Test(jq, worker__says_that_it_is_not_for_people) {
    char *arguments[] = {NULL};
    int saved = dup(JQ_WORKER_SOCKET); /* it is Criterion's */
    cr_assert(saved >= 0 && close(JQ_WORKER_SOCKET) == 0);
    int status = jq_worker_command(0, arguments);
    cr_assert(dup2(saved, JQ_WORKER_SOCKET) == JQ_WORKER_SOCKET);
    cr_expect(status == JQ_WORKER_USAGE);
}
