#include "core/routes/flow.h"

#include "codecs/event/attributes.h"
#include "codecs/event/identity.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/base/list.h"
#include "core/base/logfmt.h"
#include "core/bridge/port.h"
#include "core/routes/apply.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define FLOW_AGAIN_MS 100u  /* until what the router could not take is sent again */
#define FLOW_STOP_MS  1000u /* what is on its way has so long to be settled */
#define FLOW_WHY      300u

/* An event that is not answered. */
struct open {
    struct list place; /* in flow->opens */
    struct flow *flow;
    uint64_t delivery;
    uint32_t owed;     /* what must be settled before it is */
    bool again;        /* it failed, and is to come again */
    char *failed;      /* owns; NULL: nothing did */
    uint64_t identity; /* of the event, by source and id */
    size_t topic_length;
    size_t event_length;
    uint8_t *event; /* behind the topic */
    char topic[];
};

/* An event to be published, and those that it came of. */
struct sending {
    struct list place; /* in flow->waiting, or flow->flying */
    struct flow *flow;
    const char *topic;
    bool quarantine;
    uint8_t *event; /* owns */
    size_t length;
    size_t causes_count;
    struct open *causes[];
};

/* What belongs together, and waits for more. */
struct group {
    struct list place; /* in flow->groups */
    struct flow *flow;
    uint32_t rule;
    char *key;          /* owns */
    struct bytes parts; /* "[1,2" */
    struct event *timer;
    size_t count, capacity;
    struct open **members; /* owns the array, and the next one */
    uint32_t *numbers;     /* which part of its event each of them is */
    bool closed;           /* its parts are being merged */
};

struct flow {
    const struct ruleset *set;
    struct port *port;
    struct jq *jq;
    struct event *extend; /* keeps the leases of what waits */
    struct event *again;
    struct list opens, waiting, flying, groups;
    struct flow_counters *counters; /* borrowed */
    uint64_t restarts;              /* of jq, counted */
    bool ended;                     /* the router gives it nothing any more, and that was told */
};

/* ---- deliveries ---- */

static struct open *open_make(struct flow *flow, const struct port_event *event) {
    struct open *open = malloc(sizeof *open + event->topic_length + event->event_length);
    if (open == NULL)
        return NULL;
    *open = (struct open){.flow = flow,
                          .delivery = event->delivery,
                          .owed = 1,
                          .topic_length = event->topic_length,
                          .event_length = event->event_length};
    open->event = (uint8_t *)open->topic + event->topic_length;
    memcpy(open->topic, event->topic, event->topic_length);
    memcpy(open->event, event->event, event->event_length);
    open->identity = event_identity(open->event, open->event_length);
    list_init(&open->place);
    list_add(&flow->opens, &open->place);
    return open;
}

static void open_free(struct open *open) {
    list_remove(&open->place);
    free(open->failed);
    free(open);
}

/* The first failure is what is told; one that is for good counts more than one that may pass. */
static void open_fail(struct open *open, bool again, const char *text) {
    if (open->failed != NULL && (again || !open->again))
        return;
    free(open->failed);
    open->failed = strdup(text);
    open->again = again || open->failed == NULL;
}

/* One thing less is owed; the last one answers the delivery. */
static void open_settle(struct open *open) {
    struct flow *flow = open->flow;
    if (--open->owed > 0)
        return;
    if (open->failed == NULL && !open->again) {
        port_done(flow->port, open->delivery);
    } else if (open->again) {
        counter_add(&flow->counters->retried, 1);
        port_retry(flow->port, open->delivery, 0, open->failed);
    } else {
        counter_add(&flow->counters->refused, 1);
        port_refuse(flow->port, open->delivery, open->failed);
    }
    open_free(open);
}

/* ---- what is published ---- */

static void again_later(struct flow *flow) {
    struct timeval wait = {.tv_usec = FLOW_AGAIN_MS * 1000};
    if (!event_pending(flow->again, EV_TIMEOUT, NULL))
        (void)event_add(flow->again, &wait);
}

static void sending_end(struct sending *sending, bool again, const char *failed) {
    list_remove(&sending->place);
    for (size_t i = 0; i < sending->causes_count; i++) {
        if (failed != NULL)
            open_fail(sending->causes[i], again, failed);
        open_settle(sending->causes[i]);
    }
    free(sending->event);
    free(sending);
}

static void on_settled(void *user, int code, const char *text) {
    struct sending *sending = user;
    struct flow *flow = sending->flow;
    char why[FLOW_WHY];
    if (code == RH_CODE_UNAVAILABLE || code == RH_CODE_UNKNOWN_OUTCOME) {
        list_remove(&sending->place);
        list_add(&flow->waiting, &sending->place);
        again_later(flow);
        return;
    }
    if (code == RH_CODE_NONE) {
        counter_add(&flow->counters->published, 1);
        counter_add(&flow->counters->quarantined, sending->quarantine);
        sending_end(sending, false, NULL);
        return;
    }
    (void)snprintf(why, sizeof why, "%.60s: %.200s", sending->topic, text);
    sending_end(sending, code == RH_CODE_EXHAUSTED, why);
}

static void pump(void *user) {
    struct flow *flow = user;
    for (struct list *place; (place = list_take(&flow->waiting)) != NULL;) {
        struct sending *sending = LIST_OF(place, struct sending, place);
        int result = port_publish(flow->port, sending->topic, strlen(sending->topic), sending->event,
                                  sending->length, on_settled, sending);
        if (result == 0) {
            list_add(&flow->flying, place);
        } else if (result == -EAGAIN || result == -ENOMEM) {
            list_add(flow->waiting.next, place); /* as the first one again */
            if (result == -EAGAIN)
                port_on_room(flow->port, pump, flow);
            else
                again_later(flow);
            return;
        } else {
            sending_end(sending, false, port_error(flow->port));
        }
    }
}

static void on_again(evutil_socket_t socket, short what, void *user) {
    (void)socket, (void)what;
    pump(user);
}

/* One event for each target. Each cause owes one thing more for each. */
static void part_send(struct flow *flow, const struct apply_part *part, struct open *const *causes,
                      size_t count, const char *id) {
    const struct rule *rule = &flow->set->rules[part->rule];
    char why[FLOW_WHY] = "there is no memory left";
    for (uint32_t target = 0; target < rule->targets_count; target++) {
        struct sending *sending = calloc(1, sizeof *sending + count * sizeof *causes);
        if (sending != NULL)
            sending->event = apply_event(flow->set, part, target, causes[0]->event, causes[0]->event_length,
                                         id, &sending->length, why, sizeof why);
        if (sending == NULL || sending->event == NULL) {
            for (size_t i = 0; i < count; i++)
                open_fail(causes[i], sending == NULL, why);
            free(sending);
            continue;
        }
        sending->flow = flow;
        sending->topic = rule->targets[target];
        sending->quarantine = rule->quarantine != NULL && target == rule->targets_count - 1;
        sending->causes_count = count;
        memcpy(sending->causes, causes, count * sizeof *causes);
        for (size_t i = 0; i < count; i++)
            causes[i]->owed++;
        list_init(&sending->place);
        list_add(&flow->waiting, &sending->place);
    }
}

/* ---- what is merged ---- */

static void group_free(struct group *group) {
    list_remove(&group->place);
    if (group->timer != NULL)
        event_free(group->timer);
    bytes_free(&group->parts);
    free(group->members);
    free(group->numbers);
    free(group->key);
    free(group);
}

/* Of the same events, in whatever order they came, the same id. */
static void group_id(const struct group *group, char id[64]) {
    uint64_t low = 0, high = 0;
    for (size_t i = 0; i < group->count; i++) {
        struct attribute own = {0};
        if (!attribute_find(group->members[i]->event, group->members[i]->event_length, "id", &own))
            continue;
        XXH128_hash_t hash = XXH3_128bits(own.data, own.length);
        low += hash.low64;
        high += hash.high64;
    }
    (void)snprintf(id, 64, "merged-%016llx%016llx", (unsigned long long)high, (unsigned long long)low);
}

static void on_merged(void *user, const struct jq_answer *answer) {
    struct group *group = user;
    struct flow *flow = group->flow;
    struct apply_result *result = answer->result == JQ_OK ? apply_result_read(flow->set, answer) : NULL;
    char id[64], rule_id[128];
    group_id(group, id);
    (void)snprintf(rule_id, sizeof rule_id, "%s/%s", id, flow->set->rules[group->rule].name);
    counter_add(&flow->counters->merged, result != NULL);
    for (size_t i = 0; result == NULL && i < group->count; i++)
        open_fail(group->members[i], answer->result == JQ_DIED || answer->result == JQ_OK,
                  answer->result == JQ_OK ? "there is no memory left" : answer->text);
    for (size_t i = 0; result != NULL && i < result->count; i++)
        part_send(flow, &result->parts[i], group->members, group->count, rule_id);
    for (size_t i = 0; i < group->count; i++)
        open_settle(group->members[i]);
    apply_result_free(result);
    group_free(group);
    pump(flow);
}

/* Its window is over, or it is whole. */
static void group_close(struct group *group) {
    struct flow *flow = group->flow;
    const struct open *first = group->members[0];
    struct bytes input = {0}, parts = {0};
    char why[FLOW_WHY];
    group->closed = true;
    bytes_add(&parts, group->parts.data, group->parts.length);
    bytes_text(&parts, "]");
    bool right = apply_input_merged(first->event, first->event_length, first->topic, first->topic_length,
                                    group->rule, &parts, &input, why, sizeof why);
    int result = right ? jq_run(flow->jq, (const char *)input.data, input.length, on_merged, group) : 0;
    bytes_free(&parts);
    bytes_free(&input);
    if (right && result == 0)
        return;
    if (right) { /* the process is behind */
        struct timeval wait = {.tv_usec = FLOW_AGAIN_MS * 1000};
        (void)event_add(group->timer, &wait);
        return;
    }
    for (size_t i = 0; i < group->count; i++) {
        open_fail(group->members[i], false, why);
        open_settle(group->members[i]);
    }
    group_free(group);
}

static void on_window(evutil_socket_t socket, short what, void *user) {
    (void)socket, (void)what;
    group_close(user);
}

static struct group *group_find(struct flow *flow, const struct apply_part *part) {
    for (struct list *place = flow->groups.next; place != &flow->groups; place = place->next) {
        struct group *group = LIST_OF(place, struct group, place);
        if (!group->closed && group->rule == part->rule && strcmp(group->key, part->key) == 0)
            return group;
    }
    return NULL;
}

static struct group *group_make(struct flow *flow, const struct apply_part *part) {
    uint64_t ns = flow->set->rules[part->rule].merge_ns;
    struct timeval window = {.tv_sec = (time_t)(ns / NS_PER_S),
                             .tv_usec = (suseconds_t)(ns % NS_PER_S / NS_PER_US)};
    struct group *group = calloc(1, sizeof *group);
    if (group == NULL)
        return NULL;
    *group = (struct group){.flow = flow, .rule = part->rule, .key = strdup(part->key)};
    list_init(&group->place);
    group->timer = evtimer_new(event_get_base(flow->again), on_window, group);
    if (group->key == NULL || group->timer == NULL || evtimer_add(group->timer, &window) != 0) {
        group_free(group);
        return NULL;
    }
    bytes_text(&group->parts, "[");
    list_add(&flow->groups, &group->place);
    return group;
}

/* An event that comes again, because its delivery is no longer ours, takes the place of the one before. */
static bool group_again(struct group *group, const struct apply_part *part, struct open *open) {
    for (size_t i = 0; i < group->count; i++) {
        struct open *before = group->members[i];
        if (before == open || before->identity != open->identity || group->numbers[i] != part->number)
            continue;
        group->members[i] = open;
        open->owed++;
        open_settle(before);
        return true;
    }
    return false;
}

static bool group_room(struct group *group) {
    if (group->count < group->capacity)
        return true;
    size_t capacity = group->capacity != 0 ? 2 * group->capacity : 8;
    struct open **members = realloc(group->members, capacity * sizeof *members);
    if (members == NULL)
        return false;
    group->members = members;
    uint32_t *numbers = realloc(group->numbers, capacity * sizeof *numbers);
    if (numbers == NULL)
        return false;
    group->numbers = numbers;
    group->capacity = capacity;
    return true;
}

static bool group_add(struct group *group, const struct apply_part *part, struct open *open) {
    if (group_again(group, part, open))
        return true;
    if (!group_room(group))
        return false;
    if (group->count > 0)
        bytes_text(&group->parts, ",");
    bytes_text(&group->parts, part->text);
    group->members[group->count] = open;
    group->numbers[group->count++] = part->number;
    open->owed++;
    return true;
}

static void part_group(struct flow *flow, const struct apply_part *part, struct open *open) {
    struct group *group = group_find(flow, part);
    uint32_t whole = flow->set->rules[part->rule].merge_count;
    if (group == NULL)
        group = group_make(flow, part);
    if (group == NULL || !group_add(group, part, open)) {
        open_fail(open, true, "there is no memory left");
        return;
    }
    if (whole > 0 && group->count >= whole) {
        (void)event_del(group->timer);
        group_close(group);
    }
}

/* ---- events ---- */

static void restarts_count(struct flow *flow) {
    counter_add(&flow->counters->restarts, jq_restarts(flow->jq) - flow->restarts);
    flow->restarts = jq_restarts(flow->jq);
}

static void on_answer(void *user, const struct jq_answer *answer) {
    struct open *open = user;
    struct flow *flow = open->flow;
    struct apply_result *result = NULL;
    restarts_count(flow);
    if (answer->result != JQ_OK)
        open_fail(open, answer->result == JQ_DIED, answer->text);
    else if ((result = apply_result_read(flow->set, answer)) == NULL)
        open_fail(open, true, "there is no memory left");
    for (size_t i = 0; result != NULL && i < result->count; i++) {
        if (result->parts[i].key != NULL)
            part_group(flow, &result->parts[i], open);
        else
            part_send(flow, &result->parts[i], &open, 1, NULL);
    }
    apply_result_free(result);
    open_settle(open);
    pump(flow);
}

static void on_event(void *user, const struct port_event *event) {
    struct flow *flow = user;
    struct bytes input = {0};
    char why[FLOW_WHY];
    if (flow->jq == NULL)
        return; /* it ends: this comes again */
    counter_add(&flow->counters->received, 1);
    struct open *open = open_make(flow, event);
    if (open == NULL) {
        port_retry(flow->port, event->delivery, 0, "there is no memory left");
        return;
    }
    if (apply_hops(event->event, event->event_length) >= APPLY_HOPS_MAX) {
        (void)snprintf(why, sizeof why, "it has gone through %d rules: they send it in circles",
                       APPLY_HOPS_MAX);
        open_fail(open, false, why);
    } else if (!apply_input(event->event, event->event_length, event->topic, event->topic_length, &input, why,
                            sizeof why)) {
        open_fail(open, false, why);
    } else if (jq_run(flow->jq, (const char *)input.data, input.length, on_answer, open) != 0) {
        open_fail(open, true, "the rules are behind");
    } else {
        bytes_free(&input);
        return; /* on_answer goes on */
    }
    bytes_free(&input);
    open_settle(open);
}

static void on_refused(void *user, const char *text) {
    struct flow *flow = user;
    char quoted[FLOW_WHY];
    flow->ended = true;
    logfmt(LOGFMT_ERROR, "rules get no events any more", "routes=%s reason=%s", flow->set->name,
           logfmt_quote(quoted, sizeof quoted, text, strlen(text)));
}

/* What waits, for a window or for the router, is not to come again meanwhile. */
static void on_extend(evutil_socket_t socket, short what, void *user) {
    struct flow *flow = user;
    (void)socket, (void)what;
    for (struct list *place = flow->opens.next; place != &flow->opens; place = place->next)
        port_extend(flow->port, LIST_OF(place, struct open, place)->delivery);
}

/* ---- the whole ---- */

static bool timers_make(struct flow *flow, struct event_base *base) {
    uint64_t ns = (flow->set->lease_ns != 0 ? flow->set->lease_ns : QUEUE_LEASE_NS_DEFAULT) / 3;
    struct timeval third = {.tv_sec = (time_t)(ns / NS_PER_S),
                            .tv_usec = (suseconds_t)(ns % NS_PER_S / NS_PER_US)};
    flow->extend = event_new(base, -1, EV_PERSIST, on_extend, flow);
    flow->again = evtimer_new(base, on_again, flow);
    return flow->extend != NULL && flow->again != NULL && event_add(flow->extend, &third) == 0;
}

static bool port_make(struct flow *flow, const struct flow_options *options, char *why, size_t why_bytes) {
    const struct ruleset *set = flow->set;
    char name[RULESET_NAME_BYTES_MAX + 8];
    (void)snprintf(name, sizeof name, "route.%s", set->name);
    struct port_options port = {.base = options->base,
                                .server = options->server,
                                .name = name,
                                .disk = options->journal,
                                .send_bytes = port_send_bytes(options->frame_bytes),
                                .user = flow,
                                .on_event = on_event,
                                .on_refused = on_refused};
    struct port_queue queue = {.name = name,
                               .patterns = (const char *const *)set->on.list,
                               .patterns_count = set->on.count,
                               .is_volatile = !options->journal,
                               .window = set->window,
                               .attempts = set->attempts,
                               .lease_ms = set->lease_ns / NS_PER_MS};
    flow->port = port_new(&port, why, why_bytes);
    if (flow->port == NULL)
        return false;
    if (port_join(flow->port, &queue) == 0)
        return true;
    (void)snprintf(why, why_bytes, "%s", port_error(flow->port));
    return false;
}

struct flow *flow_new(const struct ruleset *set, const struct flow_options *options, char *why,
                      size_t why_bytes) {
    struct flow *flow = calloc(1, sizeof *flow);
    if (flow == NULL) {
        (void)snprintf(why, why_bytes, "there is no memory left");
        return NULL;
    }
    flow->set = set;
    flow->counters = options->counters;
    list_init(&flow->opens);
    list_init(&flow->waiting);
    list_init(&flow->flying);
    list_init(&flow->groups);
    (void)snprintf(why, why_bytes, "there is no memory left");
    if (timers_make(flow, options->base) &&
        (flow->jq = ruleset_jq(set, options->base, why, why_bytes)) != NULL &&
        port_make(flow, options, why, why_bytes))
        return flow;
    flow_free(flow);
    return NULL;
}

static void sendings_free(struct list *sendings) {
    for (struct list *place; (place = list_take(sendings)) != NULL;) {
        struct sending *sending = LIST_OF(place, struct sending, place);
        free(sending->event);
        free(sending);
    }
}

void flow_free(struct flow *flow) {
    if (flow == NULL)
        return;
    jq_free(flow->jq); /* nothing new is made */
    flow->jq = NULL;
    if (flow->port != NULL && !flow->ended)
        (void)port_flush(flow->port, FLOW_STOP_MS);
    port_free(flow->port);
    sendings_free(&flow->waiting);
    sendings_free(&flow->flying);
    for (struct list *place; (place = list_take(&flow->groups)) != NULL;)
        group_free(LIST_OF(place, struct group, place));
    for (struct list *place; (place = list_take(&flow->opens)) != NULL;)
        open_free(LIST_OF(place, struct open, place));
    if (flow->extend != NULL)
        event_free(flow->extend);
    if (flow->again != NULL)
        event_free(flow->again);
    free(flow);
}
