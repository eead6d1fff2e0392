#include "core/route/route.h"

#include "core/base/heap.h"
#include "core/route/route_table.h"

#include <errno.h>

int route_create(struct route_table **out, const struct route_config *config) {
    struct route_table *table = heap_take(sizeof *table);
    if (!table)
        return -ENOMEM;
    table->pairs_max = config->subscriptions;
    table->memo.epoch = 1;
    if (sets_init(&table->sets, config->seed, ROUTE_SETS_BYTES_MAX) ||
        patterns_init(&table->patterns, config->seed) ||
        remembered_init(&table->remembered, &table->sets, config->topics)) {
        route_destroy(table);
        return -ENOMEM;
    }
    *out = table;
    return 0;
}

void route_limit(struct route_table *table, uint32_t subscriptions) {
    table->pairs_max = subscriptions;
}

void route_destroy(struct route_table *table) {
    if (!table)
        return;
    remembered_deinit(&table->remembered);
    patterns_deinit(&table->patterns);
    scratch_deinit(&table->scratch);
    sets_deinit(&table->sets);
    heap_give(table);
}

/* --- Changes
 * ------------------------------------------------------------------------------------------------------ */

void route_end_generation(struct route_table *table) {
    if (!table->sets.limbo)
        return;
    memo_forget(&table->memo);
    sets_release(&table->sets);
}

/* The members of a pattern have changed: whatever was derived from them is out of date. */
static void route_changed(struct route_table *table, struct pattern *pattern) {
    memo_forget(&table->memo);
    sets_let_go(&table->sets, pattern->route);
    pattern->route = NULL;
    if (!pattern->wild)
        remembered_outdate(&table->remembered, pattern->key);
    else if (patterns_changed(&table->patterns, pattern))
        remembered_outdate_all(&table->remembered);
}

/* Room first, so that a refused subscription has changed nothing and an accepted one can always be matched.
 */
static int route_make_room(struct route_table *table) {
    if (table->pairs >= table->pairs_max)
        return -ENOSPC;
    return scratch_grow(&table->scratch, table->patterns.count + 1, table->pairs + 1);
}

static int route_add_member(struct route_table *table, struct pattern *pattern, route_member member) {
    int added = members_add(&pattern->members, member);
    if (added <= 0)
        return added;
    table->pairs++;
    route_changed(table, pattern);
    return 0;
}

int route_subscribe(struct route_table *table, const uint8_t *text, uint32_t length, route_member member) {
    route_end_generation(table);
    struct pattern *pattern = patterns_get(&table->patterns, text, length);
    if (pattern && members_has(&pattern->members, member))
        return route_add_member(table, pattern, member);
    int failed = route_make_room(table);
    if (failed)
        return failed;
    if (!pattern)
        pattern = patterns_add(&table->patterns, text, length);
    if (!pattern)
        return -ENOMEM;
    failed = route_add_member(table, pattern, member);
    if (failed && !pattern->members.count)
        patterns_drop(&table->patterns, pattern);
    return failed;
}

void route_unsubscribe(struct route_table *table, const uint8_t *text, uint32_t length, route_member member) {
    route_end_generation(table);
    struct pattern *pattern = patterns_get(&table->patterns, text, length);
    CHECK(pattern);
    if (!members_drop(&pattern->members, member))
        return;
    table->pairs--;
    route_changed(table, pattern);
    if (!pattern->members.count)
        patterns_drop(&table->patterns, pattern);
}

/* --- Matching
 * ----------------------------------------------------------------------------------------------------- */

/* The set of one pattern is made once and stays with it. */
static struct route *route_of_pattern(struct route_table *table, struct pattern *pattern) {
    if (!pattern->route) {
        pattern->route = sets_make(&table->sets, members_numbers(&pattern->members), pattern->members.count);
        if (pattern->route)
            sets_hold(pattern->route);
    }
    return pattern->route;
}

static struct route *route_of_merged(struct route_table *table, uint32_t count) {
    uint32_t members;
    const route_member *merged = scratch_merge(&table->scratch, count, &members);
    return sets_make(&table->sets, merged, members);
}

static struct route *route_of_several(struct route_table *table, uint32_t count) {
    void *const *found = table->scratch.found;
    if (count > ROUTE_MEMO_PATTERNS)
        return route_of_merged(table, count);
    bool known;
    struct memo_slot *slot = memo_find(&table->memo, found, count, &known);
    if (known)
        return slot->route;
    struct route *route = route_of_merged(table, count);
    if (route)
        memo_learn(&table->memo, slot, found, count, route);
    return route;
}

/* The set of a topic, or NULL if it can not be kept; `found` then holds *count patterns. */
static struct route *route_match(struct route_table *table, uint64_t key, const uint8_t *name,
                                 uint32_t length, uint32_t *count) {
    table->matches++;
    *count = patterns_match(&table->patterns, key, name, length, table->scratch.found);
    if (*count == 0)
        return sets_empty(&table->sets);
    if (*count == 1)
        return route_of_pattern(table, table->scratch.found[0]);
    return route_of_several(table, *count);
}

/* A set that can not be kept is answered all the same. Some topics are forgotten, so that the next end of a
 * generation can free sets. */
static const struct route *route_unkept(struct route_table *table, uint32_t count) {
    uint32_t members;
    const route_member *merged = scratch_merge(&table->scratch, count, &members);
    table->unkept++;
    remembered_sweep(&table->remembered);
    return scratch_reserve(&table->scratch, merged, members);
}

static const struct route *route_learn(struct route_table *table, uint64_t id_key, const uint8_t *name,
                                       uint32_t length) {
    uint32_t count;
    uint64_t name_key = patterns_key(&table->patterns, name, length);
    struct route *route = route_match(table, name_key, name, length, &count);
    if (!route)
        return route_unkept(table, count);
    struct remembered_slot *slot = remembered_add(&table->remembered, id_key, name_key, route);
    if (slot)
        slot->stamp = table->patterns.stamp;
    return route;
}

/* A remembered route that is behind: no change since concerns the topic, or it is matched again. */
static const struct route *route_mend(struct route_table *table, struct remembered_slot *slot,
                                      const uint8_t *name, uint32_t length) {
    if (slot->stamp && patterns_unconcerned(&table->patterns, slot->stamp, name, length)) {
        slot->stamp = table->patterns.stamp;
        table->catch_ups++;
        return slot->route;
    }
    uint32_t count;
    struct route *route =
        route_match(table, patterns_key(&table->patterns, name, length), name, length, &count);
    if (!route) {
        slot->stamp = 0;
        return route_unkept(table, count);
    }
    sets_hold(route);
    sets_let_go(&table->sets, slot->route);
    slot->route = route;
    slot->stamp = table->patterns.stamp;
    return route;
}

const struct route *route_of(struct route_table *table, uint64_t id, const uint8_t *name, uint32_t length) {
    CHECK(id);
    uint64_t key = remembered_key(id);
    struct remembered_slot *slot = remembered_find(&table->remembered, key);
    if (UNLIKELY(!slot))
        return route_learn(table, key, name, length);
    if (!(slot->name & REMEMBERED_USED))
        slot->name |= REMEMBERED_USED;
    return LIKELY(slot->stamp == table->patterns.stamp) ? slot->route : route_mend(table, slot, name, length);
}

/* --- Looking
 * ------------------------------------------------------------------------------------------------------- */

static uint32_t route_find(struct route_table *table, const uint8_t *name, uint32_t length) {
    if (table->patterns.count == 0)
        return 0; /* and perhaps no room to put them */
    return patterns_match(&table->patterns, patterns_key(&table->patterns, name, length), name, length,
                          table->scratch.found);
}

bool route_wanted(struct route_table *table, const uint8_t *name, uint32_t length) {
    return route_find(table, name, length) > 0;
}

void route_matches(struct route_table *table, const uint8_t *name, uint32_t length, route_visit *visit,
                   void *context) {
    uint32_t count = route_find(table, name, length);
    for (uint32_t i = 0; i < count; i++) {
        const struct pattern *pattern = table->scratch.found[i];
        visit(context, pattern->text, pattern->length, members_numbers(&pattern->members),
              pattern->members.count);
    }
}

/* --- Counts
 * ------------------------------------------------------------------------------------------------------- */

void route_counts(const struct route_table *table, struct route_counts *out) {
    *out = (struct route_counts){
        .patterns = table->pairs,
        .routes = table->sets.pages.count,
        .topics = table->remembered.pages.count,
        .evicted = table->remembered.evicted,
        .matches = table->matches,
        .catch_ups = table->catch_ups,
    };
}

void route_check(const struct route_table *table) {
    sets_check(&table->sets);
    patterns_check(&table->patterns);
    remembered_check(&table->remembered);
    uint64_t held = sets_references(&table->sets);
    CHECK(held == 1 + table->remembered.pages.count + patterns_routes(&table->patterns));
}
