/* What a worker tells of topics: it walks the index of its logs from the newest entry back, and counts by
 * topic. So nothing is counted while events pass; what is told is what the log still has of the last
 * SURVEY_WALK_MAX. Who has many events is met early: where there are more topics than places, those that are
 * left out are the rare ones. docs/decisions/0034-topics-are-counted-when-asked.md
 *
 * A topic that has moved with its slot may be in several logs. Then it has one row, which is found by its
 * name and grows with each log that has something of it. What fell out of a full answer before that is not in
 * it.
 *
 * The worker is the only writer of its logs, so what it reads stays for the length of a turn; between two
 * turns the old end may have gone. Names are copied when a topic is met: later its records may be gone, too.
 */
#include "core/shard/worker.h"

#include "core/base/topic.h"

#include <stdlib.h>
#include <string.h>

#define TABLE_SIZE   (2u * SURVEY_TOPICS_MAX)
#define ROWS_OF_COST 64u /* so many rows are looked through for the cost of an entry */
#define TOPIC_COST   (SURVEY_ENTRIES / SURVEY_ITEMS_TURN) /* entries that a new topic counts for */
static_assert((TABLE_SIZE & (TABLE_SIZE - 1)) == 0, "a power of two");
static_assert(SURVEY_TOPICS_MAX <= 1u << 16 && LOGS_MAX < 1u << 16, "a round and a place are one word");

struct tally {
    uint64_t id;
    uint64_t last_ns;
    uint64_t bytes;  /* of those within the rate's time, */
    uint32_t recent; /* ... and how many */
    uint32_t kept;
    uint32_t name_at;
    uint16_t slot;
    uint8_t name_length;
    bool wanted; /* it matches */
};

/* Rows of topics that have moved, by the hash of the name: index from 1 on. */
#define MOVED_BUCKETS 16384u
static_assert(SURVEY_ROWS_MAX < UINT16_MAX && (MOVED_BUCKETS & (MOVED_BUCKETS - 1)) == 0, "they fit");
struct moved_rows {
    uint16_t first[MOVED_BUCKETS];
    uint16_t next[SURVEY_ROWS_MAX];
    uint16_t bucket[SURVEY_ROWS_MAX]; /* of a row, from 1 on; 0 = its topic has not moved */
};

struct survey_tallies {
    uint32_t table[TABLE_SIZE]; /* round:16 | place:16; of an earlier round = free */
    struct tally tallies[SURVEY_TOPICS_MAX];
    uint8_t names[SURVEY_NAMES_BYTES];
    uint32_t round; /* counts the logs, from 1 */
    uint32_t count, names_used;
    uint32_t offered;
    uint64_t next, low; /* positions: the walk goes down from `next` */
    uint64_t begun_ns;  /* wall clock */
    uint64_t oldest_ns; /* time of the last entry looked at */
    bool whole;         /* nothing that the log ever had lies below `low` */
    struct moved_rows moved;
};

struct survey_tallies *survey_tallies_new(void) {
    return calloc(1, sizeof(struct survey_tallies));
}

void survey_tallies_free(struct survey_tallies *tallies) {
    free(tallies);
}

/* ---- counting ---- */

static uint32_t place_of(uint64_t id) {
    return (uint32_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (TABLE_SIZE - 1);
}

static bool matches(const struct survey_question *question, const uint8_t *name, uint32_t length) {
    return question->match_length == 0 ||
           pattern_matches((const uint8_t *)question->match, question->match_length, name, length);
}

/* NULL: there is no place for another one. */
static struct tally *tally_new(struct survey *survey, const struct log *log, const struct log_entry *entry) {
    struct survey_tallies *all = survey->tallies;
    uint32_t length = log_flags_topic_length(entry->flags);
    const uint8_t *name = log_bytes_at(log, entry->offset) + log_flags_topic_at(entry->flags);
    if (all->count == SURVEY_TOPICS_MAX || SURVEY_NAMES_BYTES - all->names_used < length)
        return NULL;
    struct tally *tally = &all->tallies[all->count++];
    *tally = (struct tally){.id = entry->topic,
                            .last_ns = entry->time,
                            .name_at = all->names_used,
                            .name_length = (uint8_t)length,
                            .slot = (uint16_t)log_flags_slot(entry->flags),
                            .wanted = matches(&survey->question, name, length)};
    memcpy(all->names + all->names_used, name, length);
    all->names_used += length;
    return tally;
}

/* What it costs. */
static uint32_t count(struct survey *survey, const struct log *log, const struct log_entry *entry) {
    struct survey_tallies *all = survey->tallies;
    uint32_t at = place_of(entry->topic), cost = 1;
    struct tally *tally = NULL;
    for (; all->table[at] >> 16 == all->round; at = (at + 1) & (TABLE_SIZE - 1)) {
        tally = &all->tallies[all->table[at] & 0xffffu];
        if (tally->id == entry->topic)
            break;
        tally = NULL;
    }
    if (tally == NULL) {
        uint32_t place = all->count;
        cost = TOPIC_COST;
        tally = tally_new(survey, log, entry);
        if (tally == NULL) {
            survey->answer.more = true;
            return cost;
        }
        all->table[at] = all->round << 16 | place;
    }
    tally->kept++;
    if (all->begun_ns < entry->time + SURVEY_RATE_NS) {
        tally->recent++;
        tally->bytes += entry->length;
    }
    return cost;
}

static void walk_begin(const struct worker *worker, struct survey_tallies *all, const struct log *log) {
    uint64_t oldest = log_oldest(log);
    all->round++;
    all->count = all->names_used = all->offered = 0;
    all->next = log_produced(log);
    all->low = all->next - oldest > SURVEY_WALK_MAX ? all->next - SURVEY_WALK_MAX : oldest;
    all->whole = all->low == oldest && counter_get(&log_counters(log)->claims) == 0;
    all->begun_ns = all->oldest_ns = worker->wall_ns;
}

static void walk(struct survey *survey, const struct log *log, uint32_t *work) {
    struct survey_tallies *all = survey->tallies;
    if (all->low < log_oldest(log))
        all->low = log_oldest(log);
    while (all->next > all->low && *work < SURVEY_ENTRIES) {
        const struct log_entry *entry = log_entry_at(log, --all->next);
        all->oldest_ns = entry->time;
        *work += log_flags_event(entry->flags) ? count(survey, log, entry) : 1;
    }
}

/* ---- telling ---- */

/* How long the time is that the recent ones came in. */
static double rate_seconds(const struct survey_tallies *all) {
    uint64_t seen_ns = all->begun_ns > all->oldest_ns ? all->begun_ns - all->oldest_ns : 0;
    if (all->whole || seen_ns > SURVEY_RATE_NS)
        seen_ns = SURVEY_RATE_NS;
    return seen_ns < NS_PER_MS ? 0.001 : (double)seen_ns / (double)NS_PER_S;
}

/* ---- topics that have moved ---- */

static bool has_moved(const struct worker *worker, const struct home *home, const struct tally *tally,
                      const uint8_t *name) {
    const struct shards *shards = worker->shards;
    return !home->journalled && name[0] != '@' && /* mailboxes stay where they are */
           worker->places[tally->slot].epoch != log_epoch(shards, shards->slots[tally->slot]);
}

static uint32_t moved_bucket(const struct worker *worker, const struct tally *tally, const uint8_t *name) {
    return (uint32_t)topic_hash(name, tally->name_length, worker->shards->table_seed) & (MOVED_BUCKETS - 1);
}

/* Its row, or NULL. */
static struct survey_topic *moved_find(const struct survey *survey, uint32_t bucket,
                                       const struct tally *tally, const uint8_t *name) {
    const struct moved_rows *moved = &survey->tallies->moved;
    struct survey_topic *rows = survey->answer.rows;
    for (uint32_t at = moved->first[bucket]; at != 0; at = moved->next[at - 1]) {
        struct survey_topic *row = &rows[at - 1];
        if (memcmp(row->name, name, tally->name_length) == 0 && row->name[tally->name_length] == '\0')
            return row;
    }
    return NULL;
}

static void moved_remove(struct moved_rows *moved, uint32_t row) {
    if (moved->bucket[row] == 0)
        return;
    uint16_t *at = &moved->first[moved->bucket[row] - 1];
    while (*at != row + 1)
        at = &moved->next[*at - 1];
    *at = moved->next[row];
    moved->bucket[row] = 0;
}

static void moved_add(struct moved_rows *moved, uint32_t row, uint32_t bucket) {
    moved->next[row] = moved->first[bucket];
    moved->first[bucket] = (uint16_t)(row + 1);
    moved->bucket[row] = (uint16_t)(bucket + 1);
}

/* ---- rows ---- */

static uint64_t row_key(double rate, uint64_t kept) {
    return (uint64_t)(rate * 1000) << 20 | (kept & 0xfffffu);
}

static void row_fill(const struct survey *survey, struct survey_topic *row, const struct tally *tally,
                     double rate) {
    const struct survey_tallies *all = survey->tallies;
    row->kept += tally->kept;
    row->rate += rate;
    row->bytes += (double)tally->bytes / rate_seconds(all);
    row->last_ns = tally->last_ns > row->last_ns ? tally->last_ns : row->last_ns;
}

static uint32_t row_number(const struct survey *survey, const struct survey_topic *row) {
    return (uint32_t)(row - (const struct survey_topic *)survey->answer.rows);
}

/* What that costs more than others. */
static uint32_t tally_offer(const struct worker *worker, struct survey *survey, const struct home *home,
                            const struct tally *tally) {
    struct survey_tallies *all = survey->tallies;
    const uint8_t *name = all->names + tally->name_at;
    double rate = tally->recent / rate_seconds(all);
    bool moved = has_moved(worker, home, tally, name);
    uint32_t bucket = moved ? moved_bucket(worker, tally, name) : 0;
    struct survey_topic *row = moved ? moved_find(survey, bucket, tally, name) : NULL;
    if (row != NULL) {
        row_fill(survey, row, tally, rate);
        survey_raise(survey, row_number(survey, row), row_key(row->rate, row->kept));
        return survey->answer.count / ROWS_OF_COST;
    }
    survey->answer.looked_at++;
    row = survey_offer(survey, row_key(rate, tally->kept));
    if (row == NULL)
        return 0;
    moved_remove(&all->moved, row_number(survey, row)); /* whose place it has got */
    if (moved)
        moved_add(&all->moved, row_number(survey, row), bucket);
    memcpy(row->name, name, tally->name_length);
    row->slot = tally->slot;
    row->shard = moved ? log_home(worker->shards, worker->places[tally->slot].log) : survey->shard;
    row->disk = home->journalled;
    row_fill(survey, row, tally, rate);
    return 0;
}

static void tell(const struct worker *worker, struct survey *survey, const struct home *home,
                 uint32_t *work) {
    struct survey_tallies *all = survey->tallies;
    for (; all->offered < all->count && *work < SURVEY_ENTRIES; *work += TOPIC_COST) {
        const struct tally *tally = &all->tallies[all->offered++];
        if (tally->wanted)
            *work += tally_offer(worker, survey, home, tally);
    }
}

/* One log after the other: first it is walked, then told of. */
bool survey_topics(struct worker *worker, struct survey *survey) {
    struct survey_tallies *all = survey->tallies;
    struct survey_place *place = &survey->place;
    uint32_t work = 0;
    while (place->index < worker->homes_count && work < SURVEY_ENTRIES) {
        const struct home *home = &worker->homes[place->index];
        if (!place->inside)
            walk_begin(worker, all, home->log);
        place->inside = true;
        walk(survey, home->log, &work);
        if (all->next <= all->low)
            tell(worker, survey, home, &work);
        if (all->next > all->low || all->offered < all->count)
            continue;
        place->inside = false;
        place->index++;
    }
    return place->index >= worker->homes_count;
}
