#include "core/spoke/takes.h"

#include "core/base/clock.h"
#include "core/base/topic.h"
#include "core/bridge/inbound.h"
#include "core/bridge/outbound.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#define OWN_BYTES (SPOKE_NAME_BYTES_MAX + sizeof INBOUND_ACKNOWLEDGEMENT_TOPIC)

/* ---- patterns ---- */

/* Its acknowledgements go to it by the same queue; who speaks TCP subscribes to them itself. */
static bool own_topic(const struct spoke_spec *spec, char own[OWN_BYTES]) {
    (void)snprintf(own, OWN_BYTES, INBOUND_ACKNOWLEDGEMENT_TOPIC, spec->name);
    return spec->transport != SPOKE_TCP;
}

static bool matches(const char *pattern, const char *topic) {
    return pattern_matches((const uint8_t *)pattern, strlen(pattern), (const uint8_t *)topic, strlen(topic));
}

/* Whether a pattern of its queue matches; which one is in the taking. */
static bool patterns_look(const struct spoke_spec *spec, const char *topic, struct spoke_taking *taking) {
    char own[OWN_BYTES];
    bool has_own = own_topic(spec, own);
    const struct config_texts *topics = &spec->out.topics;
    taking->patterns = (uint32_t)topics->count + has_own;
    taking->pattern = topics->count > 0 ? topics->list[0] : NULL;
    for (size_t i = 0; i < topics->count; i++)
        if (matches(topics->list[i], topic)) {
            taking->pattern = topics->list[i];
            return true;
        }
    return has_own && strcmp(own, topic) == 0;
}

/* ---- filter and mapping ---- */

struct attempt {
    struct event_base *base;
    struct spoke_taking *taking;
    bool over;
};

static void on_result(void *user, const struct outbound_result *result) {
    struct attempt *attempt = user;
    struct spoke_taking *taking = attempt->taking;
    taking->documents = (uint32_t)result->count;
    taking->takes = result->failed != NULL ? SPOKE_FAILS : result->count > 0 ? SPOKE_TAKEN : SPOKE_FILTER;
    (void)snprintf(taking->text, sizeof taking->text, "%s", result->failed != NULL ? result->failed : "");
    attempt->over = true;
}

static void on_late(evutil_socket_t fd, short what, void *user) {
    (void)fd;
    (void)what;
    (void)event_base_loopbreak(((struct attempt *)user)->base);
}

static void attempt_wait(struct attempt *attempt, uint64_t until_ns) {
    uint64_t now = clock_mono_ns(), left = until_ns > now ? until_ns - now : 0;
    const struct timeval time = {.tv_sec = (time_t)(left / NS_PER_S),
                                 .tv_usec = (suseconds_t)(left % NS_PER_S / NS_PER_US)};
    struct event *late = evtimer_new(attempt->base, on_late, attempt);
    if (late != NULL && event_add(late, &time) == 0)
        while (!attempt->over && clock_mono_ns() < until_ns)
            (void)event_base_loop(attempt->base, EVLOOP_ONCE);
    if (late != NULL)
        event_free(late);
}

/* What comes of it with these options, in the taking. */
static void options_try(const struct outbound_options *options, const struct spoke_offer *offer,
                        struct spoke_taking *taking) {
    struct attempt attempt = {.base = options->base, .taking = taking};
    taking->takes = SPOKE_NOT_TRIED;
    struct outbound *outbound = outbound_new(options, taking->text, sizeof taking->text);
    if (outbound == NULL) {
        taking->takes = SPOKE_FAILS;
        return;
    }
    if (outbound_run_on(outbound, offer->topic, strlen(offer->topic), offer->event, offer->length, on_result,
                        &attempt) == 0 &&
        !attempt.over)
        attempt_wait(&attempt, offer->until_ns);
    outbound_free(outbound);
}

static void parts_try(const struct spoke_spec *spec, struct event_base *base, const struct spoke_offer *offer,
                      struct spoke_taking *taking) {
    struct outbound_options options;
    spoke_outbound_options(spec, &options);
    options.base = base;
    if (options.losses != LOSSES_REFUSE)
        options.losses = LOSSES_IGNORE; /* else it tells the log */
    options_try(&options, offer, taking);
    if (taking->takes != SPOKE_FILTER || options.mapping == NULL)
        return;
    taking->takes = SPOKE_MAPPING;
    if (options.filter == NULL)
        return;
    struct spoke_taking passing = {0}; /* nothing came of it: is it for the filter alone? */
    options.mapping = options.csv = NULL;
    options.format = "event";
    options_try(&options, offer, &passing);
    if (passing.takes == SPOKE_FILTER)
        taking->takes = SPOKE_FILTER;
}

void spoke_takes(const struct spoke_spec *spec, const struct spoke_offer *offer,
                 struct spoke_taking *taking) {
    *taking = (struct spoke_taking){.takes = SPOKE_ONLY_IN};
    if (!spoke_goes_out(spec))
        return;
    taking->takes = patterns_look(spec, offer->topic, taking) ? SPOKE_NOT_TRIED : SPOKE_PATTERN;
    if (taking->takes == SPOKE_PATTERN || clock_mono_ns() >= offer->until_ns)
        return;
    struct event_base *base = event_base_new();
    if (base == NULL)
        return;
    parts_try(spec, base, offer, taking);
    event_base_free(base);
}

/* ---- as JSON ---- */

static const char *const words[] = {
    [SPOKE_TAKEN] = "taken",        [SPOKE_ONLY_IN] = "only_in", [SPOKE_PATTERN] = "pattern",
    [SPOKE_FILTER] = "filter",      [SPOKE_MAPPING] = "mapping", [SPOKE_FAILS] = "fails",
    [SPOKE_NOT_TRIED] = "not_tried"};

static json_t *queue_name(const struct spoke_spec *spec) {
    return spoke_goes_out(spec) ? json_sprintf("spoke.%s", spec->name) : json_null();
}

json_t *spoke_takes_json(const struct spoke_spec *spec, const struct spoke_offer *offer) {
    struct spoke_taking taking;
    char own[OWN_BYTES];
    spoke_takes(spec, offer, &taking);
    if (taking.pattern == NULL && taking.patterns > 0 && own_topic(spec, own))
        taking.pattern = own;
    return json_pack("{s:s, s:o, s:s, s:s?, s:i, s:i, s:s}", "spoke", spec->name, "queue", queue_name(spec),
                     "why", words[taking.takes], "pattern", taking.pattern, "patterns_total",
                     (int)taking.patterns, "documents", (int)taking.documents, "message", taking.text);
}

json_t *spoke_routing_json(const struct spoke_spec *spec) {
    char own[OWN_BYTES];
    json_t *patterns = json_array();
    bool goes_out = spoke_goes_out(spec);
    for (size_t i = 0; goes_out && i < spec->out.topics.count; i++)
        (void)json_array_append_new(patterns, json_string(spec->out.topics.list[i]));
    if (goes_out && own_topic(spec, own))
        (void)json_array_append_new(patterns, json_string(own));
    return json_pack("{s:s, s:s, s:o, s:o, s:s?, s:o}", "spoke", spec->name, "transport",
                     spoke_transport_name(spec->transport), "queue", queue_name(spec), "patterns", patterns,
                     "topic", spec->has_in ? spec->in.topic : NULL, "source",
                     spec->has_in ? json_sprintf("/spoke/%s", spec->name) : json_null());
}
