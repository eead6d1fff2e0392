/* Explaining an event: each worker says what its subscriptions and queues would do with it; the home of the
 * topic's log what it would. */
#include "core/shard/explain.h"

#include "codecs/event/attributes.h"
#include "core/base/topic.h"
#include "core/shard/worker.h"

#include <stdio.h>
#include <string.h>

/* ---- where it would go ---- */

static struct wire_event explain_event(const struct explain *explain) {
    return (struct wire_event){.topic = explain->topic,
                               .event = explain->event,
                               .topic_length = explain->topic_length,
                               .event_length = explain->event_length};
}

static void rule_note(const struct worker *worker, struct explain *explain) {
    const struct topic_rule *rule =
        topic_rule_of(worker, explain->topic, explain->topic_length, explain->hash);
    if (rule == NULL)
        return;
    explain->rule = (int32_t)(rule - worker->shards->config.rules) + 1;
    explain->rule_length = rule->length;
    memcpy(explain->rule_pattern, rule->pattern, rule->length);
    explain->rule_expiry_ns = rule->expiry_ns;
    explain->window_ns = rule->duplicates_window_ns;
}

static void locate(const struct worker *worker, struct explain *explain) {
    const struct shards *shards = worker->shards;
    explain->hash = topic_hash(explain->topic, explain->topic_length, shards->config.slot_seed);
    explain->slot = topic_slot(explain->hash);
    explain->log = topic_place(worker, explain->topic, explain->topic_length, explain->hash).log;
    explain->log_number = log_number(shards->logs[explain->log]);
    explain->shard = log_home(shards, explain->log);
    explain->disk = log_is_disk(shards, explain->log);
    explain->held = counter_get(&shards->holders[explain->slot]) > 0;
    rule_note(worker, explain);
    explain->located = true;
}

/* ---- what becomes of it there ---- */

static void expiry_note(const struct worker *worker, struct explain *explain) {
    explain->expires = attribute_expiry(explain->event, explain->event_length, &explain->expires_ns);
    if (explain->expires && explain->expires_ns <= worker->wall_ns)
        explain->outcome = EXPLAIN_EXPIRED;
    else if (!explain->expires && explain->rule_expiry_ns != 0)
        explain->expires_ns = worker->wall_ns + explain->rule_expiry_ns;
}

static bool refused(const struct worker *worker, struct explain *explain) {
    static const struct fault large = {.code = RH_CODE_TOO_LARGE,
                                       .text = "the event is longer than a frame may be here (limits.frame)",
                                       .field = "event"};
    if (wire_record_size(explain->topic_length, explain->event_length) <= worker->shards->config.frame_bytes)
        return false;
    explain->fault = large;
    return true;
}

/* The order is that of the data path: what is refused is not compared with others. */
static void judge(struct worker *worker, const struct home *home, struct explain *explain) {
    struct wire_event event = explain_event(explain);
    struct verdict verdict = {0};
    explain->judged = true;
    expiry_note(worker, explain);
    if (refused(worker, explain)) {
        explain->outcome = EXPLAIN_REFUSED;
    } else if (event.topic[0] == '@' && keeper_refuses(worker, &event, &verdict)) {
        explain->outcome = EXPLAIN_REFUSED;
        explain->fault = *verdict.fault;
    } else if ((explain->duplicate_of = known_sequence(home, &event, explain->hash)) != 0) {
        explain->outcome = EXPLAIN_DUPLICATE;
    }
}

/* ---- who it is for ---- */

/* The pattern that matches, or the first one, and how many there are. */
static bool patterns_look(const struct explain *explain, const uint8_t *pattern, uint32_t count,
                          const uint8_t **found) {
    *found = pattern;
    for (uint32_t i = 0; i < count; i++, pattern = pattern_next(pattern)) {
        if (!pattern_matches(pattern + 1, pattern[0], explain->topic, explain->topic_length))
            continue;
        *found = pattern;
        return true;
    }
    return false;
}

/* The row for one more of a group, or NULL: so many are listed already. */
static struct explain_row *row_make(struct survey *survey, enum explain_group group,
                                    enum survey_subscribed kind, const uint8_t *pattern, uint32_t patterns) {
    struct explain *explain = survey->question.explain;
    explain->totals[group][kind]++;
    if (explain->listed[group] == explain->list)
        return NULL;
    uint64_t key = ((uint64_t)(EXPLAIN_GROUPS - group) << 32) - ++explain->listed[group];
    struct explain_row *row = survey_offer(survey, key);
    CHECK(row != NULL); /* the survey's limit is the list's, for each group */
    row->group = group;
    row->kind = kind;
    row->patterns = patterns;
    if (patterns > 0)
        memcpy(row->pattern, pattern + 1, pattern[0]);
    return row;
}

/* What of a filter turns the event away. */
static void finding_print(const struct filter_finding *finding, char *out, size_t size) {
    if (finding->attribute == NULL)
        (void)snprintf(out, size, "%s", finding->path);
    else if (!finding->has)
        (void)snprintf(out, size, "%s: the event has no %s", finding->path, finding->attribute);
    else
        (void)snprintf(out, size, "%s: %s is \"%s\"%s%s%s", finding->path, finding->attribute, finding->value,
                       finding->wanted != NULL ? ", asked for is \"" : "",
                       finding->wanted != NULL ? finding->wanted : "", finding->wanted != NULL ? "\"" : "");
}

static enum explain_group group_of(const struct explain *explain, bool matches,
                                   const struct shared_filter *filter, struct filter_finding *finding) {
    if (!matches)
        return EXPLAIN_OTHER;
    if (filter == NULL)
        return EXPLAIN_GETS;
    filter_explain(filter->filter, explain->event, explain->event_length, finding);
    return finding->passes ? EXPLAIN_GETS : EXPLAIN_FILTERED;
}

static bool subscription_explain(struct survey *survey, const struct peer *peer,
                                 const struct subscription *sub) {
    const uint8_t *pattern;
    const struct explain *explain = survey->question.explain;
    struct filter_finding finding;
    bool matches = patterns_look(explain, sub->pattern, sub->patterns, &pattern);
    enum explain_group group = group_of(explain, matches, sub->filter, &finding);
    struct explain_row *row = row_make(survey, group, SURVEY_LIVE, pattern, sub->patterns);
    if (row == NULL)
        return false;
    survey_client_fill(peer, &row->client);
    if (group == EXPLAIN_FILTERED)
        finding_print(&finding, row->filter, sizeof row->filter);
    row->id = sub->id;
    row->behind = peer->at != NULL;
    return true;
}

/* A queue is told of by its keeper. */
static bool membership_explain(struct survey *survey, const struct peer *peer,
                               const struct membership *membership) {
    (void)survey;
    (void)peer;
    (void)membership;
    return false;
}

static bool kept_explain(struct survey *survey, const struct kept *kept) {
    uint8_t room[1 + TOPIC_BYTES_MAX];
    const uint8_t *pattern;
    const struct queue_terms *terms = queue_terms(kept->queue);
    uint32_t count = keeper_patterns(kept, room, &pattern);
    const struct explain *explain = survey->question.explain;
    struct filter_finding finding;
    bool matches = kept->remover == 0 && patterns_look(explain, pattern, count, &pattern);
    enum explain_group group = group_of(explain, matches, kept->filter, &finding);
    enum survey_subscribed kind = terms_mailbox(terms) ? SURVEY_MAILBOX : SURVEY_QUEUE;
    struct explain_row *row = row_make(survey, group, kind, pattern, count);
    if (row == NULL)
        return false;
    if (group == EXPLAIN_FILTERED)
        finding_print(&finding, row->filter, sizeof row->filter);
    uint32_t length = terms->name.n < sizeof row->queue ? terms->name.n : (uint32_t)sizeof row->queue - 1;
    memcpy(row->queue, terms->name.p, length);
    row->members = queue_members(kept->queue);
    return true;
}

/* ---- the visit ---- */

static void queues_explain(struct worker *worker, struct survey *survey) {
    struct survey_place *place = &survey->place;
    const struct keeper *keeper = &worker->keeper;
    for (uint32_t work = 0; place->index < keeper->capacity && work < SURVEY_ITEMS_TURN; work++) {
        const struct kept *kept = keeper->slots[place->index++];
        if (kept == NULL)
            continue;
        survey->answer.looked_at++;
        (void)kept_explain(survey, kept);
    }
}

bool survey_explain(struct worker *worker, struct survey *survey) {
    struct explain *explain = survey->question.explain;
    struct survey_place *place = &survey->place;
    if (!explain->located)
        locate(worker, explain);
    if (!explain->judged && worker->home_of[explain->log] != NULL)
        judge(worker, worker->home_of[explain->log], explain);
    if (!place->queues) {
        if (!survey_each(worker, survey, subscription_explain, membership_explain))
            return false;
        *place = (struct survey_place){.queues = true};
        return false;
    }
    queues_explain(worker, survey);
    return place->index >= worker->keeper.capacity;
}

/* ---- what matched nobody ---- */

bool survey_unmatched(struct worker *worker, struct survey *survey) {
    for (const struct unmatched_sample *sample = worker->unmatched.samples;
         sample < worker->unmatched.samples + UNMATCHED_SAMPLES; sample++) {
        struct survey_unmatched *row = sample->topic_id != 0 ? survey_offer(survey, sample->last_ns) : NULL;
        if (row == NULL)
            continue;
        survey->answer.looked_at++;
        row->count = sample->count;
        row->first_ns = sample->first_ns;
        row->last_ns = sample->last_ns;
        row->sequence = sample->sequence;
        row->log = log_number(worker->shards->logs[sample->log]);
        memcpy(row->topic, sample->topic, sample->topic_length);
        memcpy(row->source, sample->source, sample->source_length);
        memcpy(row->id, sample->id, sample->id_length);
    }
    return true;
}
