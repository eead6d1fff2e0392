#include "core/cli/queue_args.h"

#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/cli/args.h"
#include "core/cli/cli.h"

#include <string.h>

const char queue_args_usage[] =
    "  --queue NAME      as a member of this queue: what is not acknowledged is delivered again. The first "
    "one makes\n"
    "                    it, with the patterns given; who joins it later may leave them out\n"
    "  --group           members share the events; else one connection holds the name\n"
    "  --volatile        the queue is kept in memory only: it ends with the router\n"
    "  --take-over       whoever holds the name loses it\n"
    "  --window N        events out at a time, 1 to 8192; default 256\n"
    "  --lease T         how long one may take, such as 30s (default); then it is delivered again\n"
    "  --attempts N      deliveries before it becomes a dead letter; default 5\n"
    "  --backoff T       pause before the second delivery, doubled each time; default 1s\n"
    "  --dead-letter T   topic of dead letters; default $dlq.NAME, which `roundhouse dlq` looks at\n"
    "  --key ATTRIBUTE   events with equal values come one after the other; default partitionkey\n"
    "  --capacity N      of a mailbox: events it holds before senders are refused; default 10000\n";

static int number(const char *command, const char *name, const char *text, uint64_t most, uint64_t *out) {
    if (args_number(text, 1, most, out))
        return CLI_OK;
    return args_mistake(command, "--%s is a whole number from 1 to %llu, not '%s'", name,
                        (unsigned long long)most, text);
}

static int duration(const char *command, const char *name, const char *text, uint64_t least_ns,
                    uint64_t most_ns, uint64_t *ms) {
    uint64_t ns;
    if (args_duration(text, &ns) && ns >= least_ns && ns <= most_ns) {
        *ms = ns / NS_PER_MS;
        return CLI_OK;
    }
    return args_mistake(command, "--%s is a time from %llums to %llum, such as 500ms, 30s or 5m, not '%s'",
                        name, (unsigned long long)(least_ns / NS_PER_MS),
                        (unsigned long long)(most_ns / NS_PER_S / 60), text);
}

static int take_number(rh_queue *queue, const char *command, int option, const char *text) {
    uint64_t value = 0;
    int status;
    switch (option) {
    case QUEUE_ARG_WINDOW:
        status = number(command, "window", text, QUEUE_WINDOW_MAX, &value);
        queue->window = (uint32_t)value;
        return status;
    case QUEUE_ARG_ATTEMPTS:
        status = number(command, "attempts", text, QUEUE_ATTEMPTS_MAX, &value);
        queue->attempts = (uint32_t)value;
        return status;
    case QUEUE_ARG_LEASE:
        return duration(command, "lease", text, QUEUE_LEASE_NS_MIN, QUEUE_LEASE_NS_MAX, &queue->lease_ms);
    case QUEUE_ARG_BACKOFF:
        return duration(command, "backoff", text, NS_PER_MS, QUEUE_BACKOFF_NS_MAX, &queue->backoff_ms);
    default:
        return number(command, "capacity", text, QUEUE_CAPACITY_MAX, &queue->capacity);
    }
}

int queue_args_take(struct queue_args *args, const char *command, int option, const char *text) {
    rh_queue *queue = &args->queue;
    args->terms = args->terms || option != QUEUE_ARG_NAME;
    switch (option) {
    case QUEUE_ARG_NAME:
        queue->name = text;
        return text[0] != '\0' ? CLI_OK : args_mistake(command, "--queue needs a name, such as billing");
    case QUEUE_ARG_GROUP:
        queue->group = true;
        return CLI_OK;
    case QUEUE_ARG_VOLATILE:
        queue->is_volatile = true;
        return CLI_OK;
    case QUEUE_ARG_TAKE_OVER:
        queue->take_over = true;
        return CLI_OK;
    case QUEUE_ARG_DEAD_LETTER:
        queue->dead_letter = text;
        return CLI_OK;
    case QUEUE_ARG_KEY:
        queue->key = text;
        return CLI_OK;
    default:
        return take_number(queue, command, option, text);
    }
}

int queue_args_settle(struct queue_args *args, const char *command, char **patterns, size_t *count) {
    rh_queue *queue = &args->queue;
    for (size_t i = 0; i < *count; i++)
        if (patterns[i][0] == '@' && (*count > 1 || queue->name != NULL))
            return args_mistake(command, "'%s' is a mailbox: give it alone, without patterns and --queue",
                                patterns[i]);
    if (*count == 1 && patterns[0][0] == '@') {
        queue->name = patterns[0];
        *count = 0;
    }
    if (queue->name == NULL && args->terms)
        return args_mistake(
            command, "there is an option that only queues have: --queue NAME or a mailbox @NAME is missing");
    return CLI_OK;
}

const char *queue_args_hint(const struct queue_args *args, int code) {
    const rh_queue *queue = &args->queue;
    if (queue->name == NULL)
        return NULL;
    if (code == RH_CODE_UNSUPPORTED && !queue->is_volatile)
        return "this router has no journal: --volatile asks for a queue in memory, and `serve --journal DIR` "
               "keeps them on disk";
    if (code == RH_CODE_UNAVAILABLE)
        return queue->name[0] == '@' ? "--take-over puts the other one out"
                                     : "--take-over puts the other one out, and with --group both share it";
    return NULL;
}
