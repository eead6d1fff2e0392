/* What a home knows of the events that it got lately: where a rule asks for that, it judges that one which
 * comes again is not stored again. */
#include "core/shard/moves.h"

#include "codecs/event/attributes.h"
#include "core/base/clock.h"
#include "core/base/topic.h"

#include <errno.h>
#include <stdlib.h>

struct known {
    const struct worker *worker;
    uint32_t rules;
    struct duplicates *memory[]; /* owns; by rule, NULL = it does not ask for one */
};

/* ---- judging ---- */

/* The memory for events of a topic, or NULL. */
static struct duplicates *memory_of(const struct known *known, const struct wire_event *event,
                                    uint64_t hash) {
    const struct topic_rule *rule = topic_rule_of(known->worker, event->topic, event->topic_length, hash);
    return rule == NULL ? NULL : known->memory[rule - known->worker->shards->config.rules];
}

/* Its highest bits are the slot, so that what is known goes with it when it moves; the other 116 are a hash.
 */
#define KEY_SLOT_SHIFT 52u

static struct duplicates_key key_of(const struct known *known, const struct wire_event *event,
                                    uint64_t hash) {
    struct attribute source, id;
    CHECK(attribute_find(event->event, event->event_length, "source", &source) &&
          attribute_find(event->event, event->event_length, "id", &id)); /* it has been checked */
    struct duplicates_name name = {.topic = event->topic,
                                   .source = source.data,
                                   .id = id.data,
                                   .topic_length = event->topic_length,
                                   .source_length = source.length,
                                   .id_length = id.length};
    struct duplicates_key key = duplicates_key(&name, known->worker->shards->table_seed);
    key.high = (uint64_t)topic_slot(hash) << KEY_SLOT_SHIFT | key.high >> (64 - KEY_SLOT_SHIFT);
    return key;
}

/* What is not judged to be a duplicate is stored, so it is known from now on. */
static bool known_judge(struct home *home, const struct wire_event *event, uint64_t hash, uint64_t sequence,
                        struct verdict *verdict) {
    const struct known *known = home->known;
    struct duplicates *memory = memory_of(known, event, hash);
    if (memory == NULL)
        return false;
    struct duplicates_key key = key_of(known, event, hash);
    uint64_t now_ns = known->worker->wall_ns;
    uint64_t first = duplicates_find(memory, key, now_ns);
    if (first == 0)
        duplicates_add(memory, key, sequence, now_ns);
    *verdict = (struct verdict){.duplicate_of = first};
    return first != 0;
}

uint64_t known_sequence(const struct home *home, const struct wire_event *event, uint64_t hash) {
    const struct known *known = home->known;
    const struct duplicates *memory = known != NULL ? memory_of(known, event, hash) : NULL;
    return memory == NULL ? 0 : duplicates_find(memory, key_of(known, event, hash), known->worker->wall_ns);
}

/* ---- making ---- */

/* Whether topics with this rule can be in this log: mailboxes are on disk whatever the rule says. */
static bool rule_concerns(const struct shards *shards, const struct topic_rule *rule,
                          const struct home *home) {
    bool disk = rule->class == TOPIC_DISK || rule->pattern[0] == '@';
    return rule->duplicates_window_ns != 0 && (shards->config.disk_logs == 0 || disk == home->journalled);
}

static int memories_make(struct known *known, const struct home *home) {
    const struct shards *shards = known->worker->shards;
    for (uint32_t i = 0; i < known->rules; i++) {
        const struct topic_rule *rule = &shards->config.rules[i];
        if (!rule_concerns(shards, rule, home))
            continue;
        int result = duplicates_create(&known->memory[i], rule->duplicates_window_ns, rule->duplicates_count);
        if (result != 0)
            return result;
    }
    return 0;
}

static bool asked_for(const struct shards *shards, const struct home *home) {
    for (uint32_t i = 0; i < shards->config.rules_count; i++)
        if (rule_concerns(shards, &shards->config.rules[i], home))
            return true;
    return false;
}

int known_make(struct shards *shards, const struct worker *worker, struct home *home) {
    uint32_t rules = shards->config.rules_count;
    if (!asked_for(shards, home))
        return 0;
    home->known = calloc(1, sizeof *home->known + rules * sizeof(struct duplicates *));
    if (home->known == NULL)
        return -ENOMEM;
    home->known->worker = worker;
    home->known->rules = rules;
    home->judge = known_judge;
    shards->judged |= UINT64_C(1) << home->index;
    return memories_make(home->known, home);
}

void known_destroy(struct home *home) {
    for (uint32_t i = 0; home->known != NULL && i < home->known->rules; i++)
        duplicates_destroy(home->known->memory[i]);
    free(home->known);
}

/* ---- slots that move ---- */

struct known_carried {
    struct known_carried *next;
    uint64_t count;
    uint32_t rule;
    struct duplicates_known all[];
};

static uint32_t slot_of(const struct duplicates_known *one) {
    return (uint32_t)(one->key.high >> KEY_SLOT_SHIFT);
}

static struct known_carried *rule_carry(const struct duplicates *memory, uint32_t rule,
                                        const uint64_t *slots) {
    uint64_t held = duplicates_held(memory), count = 0;
    for (uint64_t i = 0; i < held; i++)
        count += slots_have(slots, slot_of(duplicates_at(memory, i)));
    struct known_carried *carried = malloc(sizeof *carried + count * sizeof *carried->all);
    if (carried == NULL)
        return NULL;
    *carried = (struct known_carried){.rule = rule};
    for (uint64_t i = 0; i < held; i++)
        if (slots_have(slots, slot_of(duplicates_at(memory, i))))
            carried->all[carried->count++] = *duplicates_at(memory, i);
    return carried;
}

bool known_carry(const struct home *home, const uint64_t *slots, struct known_carried **out) {
    const struct known *known = home->known;
    for (uint32_t i = 0; known != NULL && i < known->rules; i++) {
        if (known->memory[i] == NULL)
            continue;
        struct known_carried *carried = rule_carry(known->memory[i], i, slots);
        if (carried == NULL)
            return false;
        carried->next = *out;
        *out = carried;
    }
    return true;
}

void known_take_over(const struct home *home, const struct known_carried *carried,
                     const struct slot_place *places) {
    for (; carried != NULL && home->known != NULL; carried = carried->next)
        for (uint64_t i = 0; i < carried->count; i++) {
            const struct duplicates_known *one = &carried->all[i];
            if (places[slot_of(one)].log == home->index)
                duplicates_add(home->known->memory[carried->rule], one->key, one->sequence, one->time_ns);
        }
}

void known_carried_free(struct known_carried *carried) {
    while (carried != NULL) {
        struct known_carried *next = carried->next;
        free(carried);
        carried = next;
    }
}

/* ---- from before the start ---- */

static void recall_take(void *context, const uint8_t *record, uint32_t length, uint64_t time_ns) {
    const struct known *known = context;
    struct wire_event event;
    uint64_t sequence;
    wire_record_read(record, length, &sequence, &event);
    uint64_t seed = known->worker->shards->config.slot_seed;
    uint64_t hash = topic_hash(event.topic, event.topic_length, seed);
    struct duplicates *memory = memory_of(known, &event, hash);
    if (memory != NULL)
        duplicates_add(memory, key_of(known, &event, hash), sequence, time_ns);
}

static uint64_t longest_window(const struct shards_config *config) {
    uint64_t longest = 0;
    for (uint32_t i = 0; i < config->rules_count; i++)
        if (config->rules[i].duplicates_window_ns > longest)
            longest = config->rules[i].duplicates_window_ns;
    return longest;
}

void known_recall(const struct shards *shards) {
    const struct shards_config *config = &shards->config;
    uint64_t since_ns = clock_wall_ns() - longest_window(config);
    CHECK(config->count > 0);
    for (uint32_t log = config->count; config->recall != NULL && log < config->count + config->disk_logs;
         log++) {
        struct known *known = shards->workers[log_home(shards, log)]->home_of[log]->known;
        if (known != NULL)
            config->recall(config->recall_user, log - config->count, since_ns, recall_take, known);
    }
}
