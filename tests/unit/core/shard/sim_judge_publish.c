/* The judge of publishing: acknowledgements, and what has to be in the logs of what a client has said. */
#include "tests/unit/core/shard/sim.h"

#include <inttypes.h>

static bool stored(const struct sim_event *event) {
    return event->valid && event->verdict == SIM_STORED;
}

/* Once the journal has failed, whoever waits for it is told that nobody knows. */
static bool unknown_right(const struct sim_client *client, const Roundhouse__V1__AckException *exception) {
    return client->world->disk_failed && client->disk &&
           exception->outcome_case == ROUNDHOUSE__V1__ACK_EXCEPTION__OUTCOME_ERROR &&
           ((int)exception->error->code == (int)RH_CODE_UNKNOWN_OUTCOME ||
            (int)exception->error->code == (int)RH_CODE_UNAVAILABLE);
}

static bool exception_right(const struct sim_event *event, const Roundhouse__V1__AckException *exception) {
    if (event->valid && event->verdict == SIM_DUPLICATE)
        return exception->outcome_case == ROUNDHOUSE__V1__ACK_EXCEPTION__OUTCOME_DUPLICATE_OF &&
               exception->duplicate_of == SIM_DUPLICATE_OF(exception->ordinal);
    return exception->outcome_case == ROUNDHOUSE__V1__ACK_EXCEPTION__OUTCOME_ERROR &&
           (!event->valid || ((int)exception->error->code == (int)RH_CODE_EXHAUSTED && !stored(event)));
}

static void exceptions_judge(struct sim_client *client, const Roundhouse__V1__PublishAck *ack) {
    uint64_t last = 0;
    for (size_t i = 0; i < ack->n_exceptions; i++) {
        uint64_t ordinal = ack->exceptions[i]->ordinal;
        struct sim_event *event = &client->events[ordinal - 1];
        if (ordinal <= last || ordinal > client->events_count || event->excepted || ordinal > ack->through ||
            !(exception_right(event, ack->exceptions[i]) || unknown_right(client, ack->exceptions[i])))
            sim_fail(client->world, client, "an exception about event %" PRIu64, ordinal);
        event->excepted = true;
        client->world->verdicts += event->valid;
        if (event->valid && !exception_right(event, ack->exceptions[i]))
            event->verdict = SIM_UNKNOWN;
        last = ordinal;
    }
}

void sim_judge_ack(struct sim_client *client, const Roundhouse__V1__PublishAck *ack) {
    sim_note(client->world, client, "ack", ack->through, ack->n_exceptions, 0);
    Roundhouse__V1__AckLevel level = client->disk ? ROUNDHOUSE__V1__ACK_LEVEL__ACK_LEVEL_DISK
                                                  : ROUNDHOUSE__V1__ACK_LEVEL__ACK_LEVEL_ROUTED;
    if (!client->acks || ack->level != level || ack->through <= client->through ||
        ack->through > client->events_count)
        sim_fail(client->world, client, "PublishAck through %" PRIu64 " after %" PRIu64 " of %u",
                 ack->through, client->through, client->events_count);
    exceptions_judge(client, ack);
    for (uint64_t ordinal = client->through + 1; ordinal <= ack->through; ordinal++) {
        const struct sim_event *event = &client->events[ordinal - 1];
        if (stored(event) ? event->position == 0 : !event->excepted)
            sim_fail(client->world, client, "event %" PRIu64 " is acknowledged and %s", ordinal,
                     stored(event) ? "in no log" : "was not refused");
        if (stored(event) && client->disk &&
            event->position >= log_visible(client->world->logs[client->world->homes[event->topic]].log))
            sim_fail(client->world, client, "event %" PRIu64 " is acknowledged and not on disk", ordinal);
    }
    client->through = ack->through;
}

/* All that the socket took has been handled. */
void sim_judge_settled(struct sim_client *client) {
    uint32_t said = 0;
    for (uint32_t i = 0; i < client->events_count && client->events[i].end <= client->written; i++) {
        said = i + 1;
        if (stored(&client->events[i]) && client->events[i].position == 0)
            sim_fail(client->world, client, "event %u is in no log", said);
    }
    if (client->acks && client->goodbye && client->through != said)
        sim_fail(client->world, client, "Goodbye, and events up to %" PRIu64 " of %u are settled",
                 client->through, said);
}

/* Events of one client are handled in its order, so what never arrived is the end of what it said. */
void sim_judge_prefix(struct sim_client *client) {
    uint32_t missing = 0;
    for (uint32_t i = 0; i < client->events_count; i++) {
        const struct sim_event *event = &client->events[i];
        if (!stored(event))
            continue;
        if (event->position == 0)
            missing = missing == 0 ? i + 1 : missing;
        else if (missing != 0)
            sim_fail(client->world, client, "event %u is in a log and event %u is not", i + 1, missing);
    }
}
