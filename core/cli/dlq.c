#include "core/cli/dlq.h"

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/base/topic.h"
#include "core/cli/args.h"
#include "core/cli/cli.h"
#include "core/cli/letters.h"
#include "core/cli/loop.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DLQ_QUIET_NS (500u * NS_PER_MS)         /* when no more has come for so long, these are all */
#define DLQ_LEASE_MS (5u * 60u * 1000u)         /* of the letters that are looked at */
#define DLQ_LETTERS  (QUEUE_WINDOW_MAX)         /* in one batch */
#define DLQ_NAME_MAX (QUEUE_NAME_BYTES_MAX + 8) /* dlq.NAME and $dlq.NAME */

static const char dlq_usage[] =
    "usage: roundhouse dlq ls [OPTION...] QUEUE      list the dead letters of a queue or a mailbox\n"
    "       roundhouse dlq show [OPTION...] QUEUE    print them as JSON, each with the event it was\n"
    "       roundhouse dlq retry [OPTION...] QUEUE   publish these events again\n"
    "       roundhouse dlq drop [OPTION...] QUEUE    forget them\n"
    "\n"
    "A dead letter is an event that a member refused, or that was delivered as often as --attempts allowed. "
    "It "
    "lies on\n"
    "the topic $dlq.QUEUE. What was sent again or dropped is not listed any more: the router keeps count in "
    "a "
    "queue\n"
    "dlq.QUEUE, which the first look makes.\n"
    "\n"
    "  --server HOST:PORT  default 127.0.0.1:4470\n"
    "  --id ID             only the letter with this id, as ls prints it\n"
    "  --to TOPIC|@NAME    retry: publish there; default the topic that it was on, where all its subscribers "
    "get it\n"
    "                      again. To reach only the one that failed, let that one be a mailbox\n"
    "\n"
    "Examples:\n"
    "  roundhouse dlq ls billing\n"
    "  roundhouse dlq retry billing --id billing:0001000000000007\n"
    "  roundhouse dlq retry billing --to @billing-by-hand\n"
    "\n"
    "Exit status: 0 done, 64 usage, 65 refused, or no letter has this id, 69 server unavailable, 70 "
    "internal.\n";

enum dlq_option { DLQ_SERVER = 256, DLQ_ID, DLQ_TO };

static const struct option dlq_long_options[] = {
    {"server", required_argument, NULL, DLQ_SERVER},
    {"id", required_argument, NULL, DLQ_ID},
    {"to", required_argument, NULL, DLQ_TO},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

enum dlq_verb { DLQ_LS, DLQ_SHOW, DLQ_RETRY, DLQ_DROP };
static const char *const dlq_verbs[] = {"ls", "show", "retry", "drop"};
#define DLQ_VERBS (sizeof dlq_verbs / sizeof dlq_verbs[0])

struct dlq {
    enum dlq_verb verb;
    const char *server, *id, *to;
    char topic[DLQ_NAME_MAX]; /* $dlq.NAME */
    bool help;

    rh_client *client;
    int64_t subscription;
    struct loop_link link;
    struct out out;
    sigset_t while_waiting;
    struct letter **letters; /* owns; of this batch */
    size_t count;
    uint64_t quiet_ns;  /* when it will have been quiet for long enough; 0 = not joined yet */
    uint64_t asked;     /* the ordinal of the event that was published again; 0 = none is on its way */
    bool asked_settled; /* and what became of it: */
    bool asked_refused;
    uint64_t chosen; /* letters that were meant */
    uint64_t failed; /* of them: could not be sent again */
    bool in_memory;  /* the server keeps queues in memory only */
    int status;
};

/* ---- arguments ---- */

static int dlq_option(struct dlq *dlq, int option, const char *text) {
    struct fault fault;
    switch (option) {
    case DLQ_SERVER:
        dlq->server = text;
        return CLI_OK;
    case DLQ_ID:
        dlq->id = text;
        return CLI_OK;
    case DLQ_TO:
        dlq->to = text;
        if (topic_valid((const uint8_t *)text, strlen(text), &fault))
            return CLI_OK;
        return args_mistake("dlq", "--to %s is no topic: %s", text, fault.text);
    default:
        dlq->help = true;
        fputs(dlq_usage, stdout);
        return CLI_OK;
    }
}

/* The topic of its dead letters; a mailbox leaves its '@' out. */
static int dlq_queue(struct dlq *dlq, const char *name) {
    struct fault fault;
    const char *bare = name[0] == '@' ? name + 1 : name;
    int length = snprintf(dlq->topic, sizeof dlq->topic, "$dlq.%s", bare);
    if (length < (int)sizeof dlq->topic && bare[0] != '\0' &&
        pattern_valid((const uint8_t *)dlq->topic, (size_t)length, &fault) &&
        !pattern_wild((const uint8_t *)dlq->topic, (size_t)length))
        return CLI_OK;
    return args_mistake("dlq", "'%s' is no name of a queue", name);
}

static int dlq_arguments(struct dlq *dlq, int count, char **arguments) {
    if (count < 2)
        return args_mistake("dlq", "%s; see roundhouse dlq --help",
                            count == 0 ? "ls, show, retry or drop is missing"
                                       : "the name of a QUEUE is missing");
    if (count > 2)
        return args_mistake("dlq", "'%s' is one argument too many", arguments[2]);
    size_t verb = 0;
    while (verb < DLQ_VERBS && strcmp(arguments[0], dlq_verbs[verb]) != 0)
        verb++;
    if (verb == DLQ_VERBS)
        return args_mistake("dlq", "it is ls, show, retry or drop, not '%s'", arguments[0]);
    dlq->verb = (enum dlq_verb)verb;
    if (dlq->to != NULL && dlq->verb != DLQ_RETRY)
        return args_mistake("dlq", "--to goes with retry");
    return dlq_queue(dlq, arguments[1]);
}

static int dlq_read(struct dlq *dlq, int argc, char **argv) {
    int option, status = CLI_OK;
    opterr = 0;
    optind = 1;
    while (status == CLI_OK && !dlq->help &&
           (option = getopt_long(argc, argv, ":h", dlq_long_options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return args_option_mistake("dlq", option, argv);
        status = dlq_option(dlq, option, optarg);
    }
    return status == CLI_OK && !dlq->help ? dlq_arguments(dlq, argc - optind, argv + optind) : status;
}

/* ---- what the client library says ---- */

static void dlq_quiet_anew(struct dlq *dlq) {
    dlq->quiet_ns = clock_mono_ns() + DLQ_QUIET_NS;
}

static void dlq_on_event(void *user, uint64_t subscription, const rh_event *event) {
    struct dlq *dlq = user;
    (void)subscription;
    struct letter *letter = dlq->count < DLQ_LETTERS ? letter_copy(event) : NULL;
    if (letter != NULL)
        dlq->letters[dlq->count++] = letter;
    dlq_quiet_anew(dlq);
}

static void dlq_on_subscribed(void *user, uint64_t subscription) {
    (void)subscription;
    dlq_quiet_anew(user);
}

static void dlq_on_ack(void *user, const rh_ack *ack) {
    struct dlq *dlq = user;
    if (dlq->asked == 0 || ack->through < dlq->asked)
        return;
    dlq->asked_settled = true;
    for (size_t i = 0; i < ack->refused_count; i++)
        if (ack->refused[i].ordinal == dlq->asked) {
            dlq->asked_refused = true;
            fprintf(stderr, "roundhouse dlq: refused: %s (%s)\n", ack->refused[i].text,
                    rh_code_name((enum rh_code)ack->refused[i].code));
        }
    for (size_t i = 0; i < ack->duplicates_count; i++)
        if (ack->duplicates[i].ordinal == dlq->asked) {
            dlq->asked_refused = true;
            fputs("roundhouse dlq: not stored again: the topic's rule for duplicates still remembers this "
                  "event; wait until its time is over, or send it elsewhere with --to\n",
                  stderr);
        }
}

static void dlq_on_state(void *user, enum rh_state state, const char *why) {
    loop_link_state(&((struct dlq *)user)->link, state, why);
}

static void dlq_on_error(void *user, int code, const char *text, bool fatal, uint64_t subscription) {
    struct dlq *dlq = user;
    if (fatal)
        return; /* the end of the connection tells it, too */
    if (code == RH_CODE_UNSUPPORTED && !dlq->in_memory) {
        dlq->in_memory = true; /* this router has no journal: asked again */
        return;
    }
    fprintf(stderr, "roundhouse dlq: %s (%s)\n", text, rh_code_name((enum rh_code)code));
    if (subscription != 0 && !rh_subscribed(dlq->client, (int64_t)subscription))
        dlq->status = CLI_DATA;
}

/* ---- the work ---- */

static bool dlq_good(const struct dlq *dlq) {
    return dlq->status == CLI_OK && dlq->link.status == CLI_OK && loop_signalled == 0;
}

/* Works and waits for `goal`, which tells what it waits for. False: it did not come about. */
static bool dlq_until(struct dlq *dlq, bool (*goal)(const struct dlq *, int *wait_ms)) {
    int wait_ms = -1;
    while (dlq_good(dlq)) {
        int result = rh_process(dlq->client);
        if (result != RH_OK) {
            fprintf(stderr, "roundhouse dlq: %s\n", rh_client_error(dlq->client));
            dlq->status = result == RH_REFUSED ? CLI_DATA : CLI_UNAVAILABLE;
            return false;
        }
        if (goal(dlq, &wait_ms))
            return dlq_good(dlq);
        if (dlq_good(dlq))
            loop_wait(dlq->client, NULL, 0, wait_ms, &dlq->while_waiting);
    }
    return false;
}

static bool goal_joined(const struct dlq *dlq, int *wait_ms) {
    *wait_ms = -1;
    return dlq->quiet_ns != 0 || !rh_subscribed(dlq->client, dlq->subscription);
}

static bool goal_quiet(const struct dlq *dlq, int *wait_ms) {
    uint64_t now = clock_mono_ns();
    *wait_ms = now < dlq->quiet_ns ? (int)((dlq->quiet_ns - now) / NS_PER_MS) + 1 : 0;
    return dlq->count == DLQ_LETTERS || now >= dlq->quiet_ns;
}

static bool goal_settled(const struct dlq *dlq, int *wait_ms) {
    *wait_ms = -1;
    return dlq->asked_settled;
}

static bool dlq_join(struct dlq *dlq) {
    const char *pattern = dlq->topic;
    do {
        rh_queue queue = {.name = dlq->topic + 1, /* without its '$' */
                          .oldest = true,
                          .is_volatile = dlq->in_memory,
                          .window = QUEUE_WINDOW_MAX,
                          .lease_ms = DLQ_LEASE_MS,
                          .attempts = QUEUE_ATTEMPTS_MAX};
        dlq->subscription = rh_join(dlq->client, &pattern, 1, &queue);
        if (dlq->subscription < 0) {
            (void)args_mistake("dlq", "%s", rh_client_error(dlq->client));
            dlq->status = CLI_INTERNAL;
            return false;
        }
        if (!dlq_until(dlq, goal_joined))
            return false;
    } while (dlq->quiet_ns == 0); /* refused for want of a journal: in memory then */
    return true;
}

/* Publishes the original again and waits until the router has it. */
static bool dlq_send(struct dlq *dlq, const struct letter *letter) {
    const char *topic = dlq->to != NULL ? dlq->to : (const char *)letter->topic;
    size_t length = dlq->to != NULL ? strlen(dlq->to) : letter->topic_length;
    if (letter->original == NULL || topic == NULL) {
        fputs("roundhouse dlq: a letter without the event that it was can not be sent again\n", stderr);
        return false;
    }
    dlq->asked_settled = dlq->asked_refused = false;
    int64_t ordinal = rh_publish(dlq->client, topic, length, letter->original, letter->original_length);
    if (ordinal < 0) {
        fprintf(stderr, "roundhouse dlq: %s\n", rh_client_error(dlq->client));
        return false;
    }
    dlq->asked = (uint64_t)ordinal;
    bool settled = dlq_until(dlq, goal_settled);
    dlq->asked = 0;
    return settled && !dlq->asked_refused;
}

static void dlq_handle(struct dlq *dlq, const struct letter *letter) {
    dlq->chosen++;
    if (dlq->verb == DLQ_LS)
        letter_list(dlq->out.stream, letter);
    else if (dlq->verb == DLQ_SHOW)
        letter_show(dlq->out.stream, letter);
    else if (dlq->verb == DLQ_RETRY && !dlq_send(dlq, letter))
        dlq->failed++;
    else
        (void)rh_ack_done(dlq->client, (uint64_t)dlq->subscription, letter->event.delivery);
}

static void dlq_work(struct dlq *dlq) {
    if (!dlq_join(dlq) || !dlq_until(dlq, goal_quiet))
        return;
    for (size_t i = 0; i < dlq->count && dlq_good(dlq); i++)
        if (letter_chosen(dlq->letters[i], dlq->id))
            dlq_handle(dlq, dlq->letters[i]);
    if (loop_flush(&dlq->out, "dlq", &dlq->while_waiting) == LOOP_FAILED)
        dlq->status = CLI_INTERNAL;
    if (dlq->count == DLQ_LETTERS)
        fprintf(stderr, "roundhouse dlq: these were the first %zu, there are more\n", dlq->count);
}

/* ---- the end ---- */

static int dlq_result(struct dlq *dlq) {
    static const char *const dones[] = {"listed", "shown", "sent again", "dropped"};
    if (dlq->link.status != CLI_OK || dlq->status != CLI_OK)
        return dlq->link.status != CLI_OK ? dlq->link.status : dlq->status;
    if (loop_signalled != 0)
        return CLI_OK;
    if (dlq->id != NULL && dlq->chosen == 0) {
        fprintf(stderr, "roundhouse dlq: no dead letter on %s has the id %s\n", dlq->topic, dlq->id);
        return CLI_DATA;
    }
    fprintf(stderr, "%" PRIu64 " of %zu dead letters on %s %s\n", dlq->chosen - dlq->failed, dlq->count,
            dlq->topic, dones[dlq->verb]);
    return dlq->failed > 0 ? CLI_DATA : CLI_OK;
}

static int dlq_run(struct dlq *dlq) {
    const char *error;
    rh_options options = {.server = dlq->server,
                          .name = "roundhouse dlq",
                          .ack = RH_ACK_ROUTED,
                          .send_buffer_bytes = 2 * FRAME_BYTES_MAX, /* address space; used as it is needed */
                          .callbacks = {.on_event = dlq_on_event,
                                        .on_ack = dlq_on_ack,
                                        .on_subscribed = dlq_on_subscribed,
                                        .on_state = dlq_on_state,
                                        .on_error = dlq_on_error},
                          .user = dlq};
    dlq->client = rh_client_new(&options, &error);
    if (dlq->client == NULL)
        return args_no_client("dlq", dlq->server, error);
    loop_catch_signals(&dlq->while_waiting);
    dlq_work(dlq);
    loop_farewell(dlq->client);
    rh_client_free(dlq->client);
    return dlq_result(dlq);
}

int dlq_command(int argc, char **argv) {
    struct dlq dlq = {.link.command = "dlq", .status = CLI_OK};
    int status = dlq_read(&dlq, argc, argv);
    if (status != CLI_OK || dlq.help)
        return status;
    dlq.letters = calloc(DLQ_LETTERS, sizeof(struct letter *));
    if (dlq.letters == NULL || out_init(&dlq.out, STDOUT_FILENO) != 0) {
        (void)args_mistake("dlq", "out of memory");
        free(dlq.letters);
        return CLI_INTERNAL;
    }
    status = dlq_run(&dlq);
    for (size_t i = 0; i < dlq.count; i++)
        free(dlq.letters[i]);
    free(dlq.letters);
    out_deinit(&dlq.out);
    loop_raise();
    return status;
}
