/* What has to be looked for in a log before a subscription can begin, in steps that never stall the worker.
 *
 * TIME. From the oldest record on, the first one that was received then or later. Every entry is looked at
 * and nothing is skipped, because the wall clock may have stepped back in between: so the answer is exact
 * whatever the clock did.
 *
 * LAST PER TOPIC. From the live end back to the oldest record, the first sight of a topic is its last event.
 * What is appended meanwhile is looked at in the turn in which it comes (the turn routes it, too), so that at
 * the end everything below the cursors is known, and the subscription begins exactly there. A topic is
 * compared by its name: one that the log's writer has forgotten has a new id when it comes again. What was
 * learnt of the last ids is remembered, so that the name is read once per topic and not per record. A topic
 * that has moved with its slot is met in several logs: its last event is the one with the highest sequence,
 * which grows with each move.
 *
 * The step works under the gate of catch-up steps, for its own time only. Whatever the writer overtakes
 * meanwhile is gone, for a search as for everybody: it goes on with what is left.
 *
 * A disk log with a journal is searched from the oldest record that the journal keeps. A time is looked for
 * by who answers for the journal, which knows where to begin. For the last events all of it is read, forward,
 * by stretches, and the ring behind it: that costs as long as the disk takes, and no more memory. */
#include "core/shard/moves.h"

#include "codecs/wire/scan.h"
#include "core/base/topic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define IDS_REMEMBERED 4096u /* a power of two */
#define FIRST_TOPICS   256u
#define FILTER_WORK    8u /* that one evaluation of a filter costs, in entries looked at */

struct last {
    uint64_t position;
    uint64_t sequence; /* by which events of one topic in several logs are told apart */
    uint64_t hash;
    uint32_t name; /* where it begins in `names` */
    uint8_t length;
    uint8_t log;
};

struct remembered {
    uint64_t id;
    uint32_t last; /* of `lasts`, from 1 on; 0: no pattern matches */
};

struct walk {
    uint64_t low;  /* TIME: the next one to look at; LAST: the lowest one that was */
    uint64_t high; /* LAST: all from `low` to below it is known */
    uint64_t found;
    uint64_t lost;  /* TIME: what may be missing in front of what was found begins here; 0 = nothing */
    uint64_t first; /* TIME: all from here to below `low` was looked at */
    bool begun;
    bool done;
    bool behind; /* TIME: the journal has answered, and it goes on in the ring; LAST: it is not yet in the
                    ring */
};

struct search {
    struct walk walks[LOGS_MAX];
    struct behind *stretch; /* of a log behind its ring, NULL = none; its `search` is this one */
    uint32_t asking;        /* 1 + the log whose answer it has or will have; 0 = none that is wanted */
    bool waits;             /* for the journal; reset by each step */
    struct last *lasts;     /* owns */
    uint32_t *places;       /* owns; of `capacity`, by hash: an index of `lasts` from 1 on, 0 = free */
    uint8_t *names;         /* owns */
    struct remembered *ids; /* owns */
    uint32_t count, capacity;
    uint32_t names_length, names_capacity;
    enum search_result failed;
};

void search_free(struct search *search) {
    if (search == NULL)
        return;
    history_search_end(search->stretch);
    free(search->lasts);
    free(search->places);
    free(search->names);
    free(search->ids);
    free(search);
}

uint64_t search_logs(const struct subscription *sub) {
    const struct start *start = sub->begin;
    if (start == NULL || (start->kind != START_LAST && start->kind != START_TIME))
        return 0;
    if (!start->resumes)
        return sub->logs;
    return start->kind == START_LAST ? sub->strange | (sub->logs & start->undone) : sub->strange;
}

/* ---- the last event of each topic ---- */

static uint32_t *place_of(struct search *search, const struct last *last, const uint8_t *name) {
    uint32_t mask = search->capacity - 1;
    for (uint32_t i = (uint32_t)last->hash & mask;; i = (i + 1) & mask) {
        uint32_t at = search->places[i];
        const struct last *other = at == 0 ? NULL : &search->lasts[at - 1];
        if (other == NULL || (other->hash == last->hash && other->length == last->length &&
                              memcmp(search->names + other->name, name, last->length) == 0))
            return &search->places[i];
    }
}

static bool topics_grow(struct search *search) {
    uint32_t capacity = search->capacity == 0 ? 2 * FIRST_TOPICS : 2 * search->capacity;
    struct last *lasts = calloc(capacity / 2, sizeof *lasts);
    uint32_t *places = calloc(capacity, sizeof *places);
    if (lasts == NULL || places == NULL) {
        free(lasts);
        free(places);
        return false;
    }
    if (search->count > 0)
        memcpy(lasts, search->lasts, search->count * sizeof *lasts);
    free(search->lasts);
    free(search->places);
    search->lasts = lasts;
    search->places = places;
    search->capacity = capacity;
    for (uint32_t i = 0; i < search->count; i++)
        *place_of(search, &lasts[i], search->names + lasts[i].name) = i + 1;
    return true;
}

static bool names_room(struct search *search, uint32_t length) {
    if (search->names_length + length <= search->names_capacity)
        return true;
    uint32_t capacity = search->names_capacity == 0 ? FIRST_TOPICS * 32 : 2 * search->names_capacity;
    uint8_t *names = realloc(search->names, capacity);
    if (names == NULL)
        return false;
    search->names = names;
    search->names_capacity = capacity;
    return true;
}

/* Index from 1 on; 0 = there is no room for another topic, and the search has failed. */
static uint32_t topic_add(struct search *search, struct last last, const uint8_t *name) {
    if (search->count == LAST_TOPICS_MAX) {
        search->failed = SEARCH_TOO_MANY;
        return 0;
    }
    if ((search->count == search->capacity / 2 && !topics_grow(search)) || !names_room(search, last.length)) {
        search->failed = SEARCH_NO_ROOM;
        return 0;
    }
    last.name = search->names_length;
    memcpy(search->names + last.name, name, last.length);
    search->names_length += last.length;
    search->lasts[search->count++] = last;
    *place_of(search, &last, name) = search->count;
    return search->count;
}

/* Index from 1 on, of a topic that is known now; 0 = the search has failed. */
static uint32_t topic_find(const struct worker *worker, struct search *search, struct last last,
                           const uint8_t *name) {
    last.hash = topic_hash(name, last.length, worker->shards->table_seed);
    uint32_t known = search->capacity == 0 ? 0 : *place_of(search, &last, name);
    return known != 0 ? known : topic_add(search, last, name);
}

/* A topic that is kept on disk stays in its log, where nothing more has to be read for it. */
static uint64_t sequence_of(const struct worker *worker, uint32_t log, const struct log_view *view,
                            uint64_t position) {
    uint64_t sequence = position;
    if (log_is_disk(worker->shards, log))
        return sequence;
    const uint8_t *record = log_view_bytes(view, log_view_entry(view, position)->offset);
    memcpy(&sequence, record + wire_record_sequence_at(record), sizeof sequence);
    return sequence;
}

static bool passes(struct worker *worker, const struct subscription *sub, uint32_t log,
                   const struct log_view *view, uint64_t position, uint32_t *work) {
    if (sub->filter == NULL)
        return true;
    *work -= *work < FILTER_WORK ? *work : FILTER_WORK;
    return filters_pass(worker, sub->filter, log, view, position);
}

/* Index from 1 on, of the topic of a record that may be its last one; 0 = it is not, or the search has
 * failed. A topic is known when one of its events has passed. */
static uint32_t topic_of(struct worker *worker, const struct subscription *sub, uint32_t log,
                         const struct log_view *view, uint64_t position, uint32_t *work) {
    struct search *search = sub->begin->search;
    const struct log_entry *entry = log_view_entry(view, position);
    struct remembered *remembered =
        &search->ids[entry->topic * UINT64_C(0x9e3779b97f4a7c15) >> 32 & (IDS_REMEMBERED - 1)];
    if (remembered->id == entry->topic) {
        const struct last *known = remembered->last != 0 ? &search->lasts[remembered->last - 1] : NULL;
        bool later = known != NULL && (known->log != log || known->position < position);
        return later && passes(worker, sub, log, view, position, work) ? remembered->last : 0;
    }
    const uint8_t *record = log_view_bytes(view, entry->offset);
    struct last last = {.position = position,
                        .sequence = sequence_of(worker, log, view, position),
                        .length = (uint8_t)log_flags_topic_length(entry->flags),
                        .log = (uint8_t)log};
    const uint8_t *name = record + log_flags_topic_at(entry->flags);
    uint32_t found = 0;
    *work -= *work < sub->patterns ? *work : sub->patterns;
    if (subscription_matches(sub, name, last.length)) {
        if (!passes(worker, sub, log, view, position, work))
            return 0;
        found = topic_find(worker, search, last, name);
    }
    *remembered = (struct remembered){.id = entry->topic, .last = found};
    return found;
}

static void last_look(struct worker *worker, const struct subscription *sub, uint32_t log,
                      const struct log_view *view, uint64_t position, uint32_t *work) {
    struct search *search = sub->begin->search;
    if (!log_flags_event(log_view_entry(view, position)->flags))
        return;
    uint32_t found = topic_of(worker, sub, log, view, position, work);
    struct last *last = found != 0 ? &search->lasts[found - 1] : NULL;
    uint64_t sequence = last != NULL ? sequence_of(worker, log, view, position) : 0;
    if (last == NULL || sequence <= last->sequence)
        return;
    last->sequence = sequence;
    last->position = position;
    last->log = (uint8_t)log;
}

/* What has come since. Not bounded by `work`: it is no more than what this turn has routed. */
static void last_forward(struct worker *worker, const struct subscription *sub, uint32_t log,
                         uint32_t *work) {
    struct reader *reader = &worker->readers[log];
    struct walk *walk = &sub->begin->search->walks[log];
    uint64_t end = delivery_live_end(reader);
    while (walk->high < end && !log_reader_lower(reader->log, reader->past, walk->high))
        walk->high = log_oldest(reader->log); /* what lay below is gone */
    for (; walk->high < end && sub->begin->search->failed == SEARCH_DONE; walk->high++) {
        last_look(worker, sub, log, worker->views[log], walk->high, work);
        *work -= *work > 0;
    }
    log_reader_idle(reader->log, reader->past);
}

static void last_backward(struct worker *worker, const struct subscription *sub, uint32_t log,
                          uint32_t *work) {
    struct reader *reader = &worker->readers[log];
    struct walk *walk = &sub->begin->search->walks[log];
    uint64_t oldest = log_oldest(reader->log);
    uint64_t to = walk->low > oldest && walk->low - oldest > *work ? walk->low - *work : oldest;
    walk->done = walk->low <= oldest || !log_reader_lower(reader->log, reader->past, to);
    while (!walk->done && *work > 0 && sub->begin->search->failed == SEARCH_DONE) {
        last_look(worker, sub, log, worker->views[log], --walk->low, work);
        *work -= *work > 0;
        walk->done = walk->low <= oldest;
    }
    log_reader_idle(reader->log, reader->past);
}

/* ---- behind the ring ---- */

/* The answer to what was asked for, or NULL: not yet. Who can not even ask waits for others, who will go on.
 */
static const struct history_request *behind_answer(struct worker *worker, struct search *search, uint32_t log,
                                                   enum history_kind kind, uint64_t from) {
    struct behind *stretch = search->stretch;
    if (stretch == NULL && (stretch = search->stretch = history_search(worker, search)) == NULL) {
        search->waits = true;
        return NULL;
    }
    if (search->asking != 0 && search->asking != log + 1)
        return NULL; /* one log behind the other */
    if (search->asking == 0 && stretch->state != BEHIND_ASKED) {
        search->asking = log + 1;
        history_ask(worker, stretch, log, kind, from, HISTORY_BYTES);
    }
    search->waits = stretch->state == BEHIND_ASKED;
    return search->waits ? NULL : &stretch->request;
}

/* Its answer is of no use any more. */
static void behind_done(struct search *search, uint32_t log) {
    if (search->asking == log + 1)
        search->asking = 0;
}

/* From a stretch that the journal has given: as far as it goes. */
static void last_behind(struct worker *worker, const struct subscription *sub, uint32_t log, uint64_t end,
                        uint32_t *work) {
    struct search *search = sub->begin->search;
    struct walk *walk = &search->walks[log];
    const struct history_request *answer = behind_answer(worker, search, log, HISTORY_READ, walk->low);
    if (answer == NULL)
        return;
    if (answer->result != 0) {
        bool gone = answer->result == -ERANGE && answer->oldest > walk->low;
        if (gone)
            walk->low = walk->high = answer->oldest;
        else
            search->failed = SEARCH_UNREAD;
        behind_done(search, log);
        return;
    }
    if (walk->high < answer->first)
        walk->high = answer->first;
    end = answer->end < end ? answer->end : end;
    for (; *work > 0 && walk->high < end && search->failed == SEARCH_DONE; walk->high++) {
        last_look(worker, sub, log, &search->stretch->view, walk->high, work);
        *work -= *work > 0;
    }
    if (walk->high < end)
        return;
    walk->low = walk->high;
    behind_done(search, log);
}

/* Forward from the oldest record that is kept: in the ring as soon as it has what comes next. */
static void last_kept_step(struct worker *worker, const struct subscription *sub, uint32_t log,
                           uint32_t *work) {
    struct reader *reader = &worker->readers[log];
    struct walk *walk = &sub->begin->search->walks[log];
    if (!walk->begun)
        walk->low = walk->high = log_kept(worker, log);
    walk->begun = true;
    uint64_t end = delivery_live_end(reader);
    if (walk->high < end && !log_reader_lower(reader->log, reader->past, walk->high)) {
        walk->done = false;
        if (!walk->behind)
            walk->low = walk->high; /* where it asks from */
        walk->behind = true;
        last_behind(worker, sub, log, end, work);
        return;
    }
    walk->behind = false;
    behind_done(sub->begin->search, log);
    for (; *work > 0 && walk->high < end && sub->begin->search->failed == SEARCH_DONE; walk->high++) {
        last_look(worker, sub, log, worker->views[log], walk->high, work);
        *work -= *work > 0;
    }
    log_reader_idle(reader->log, reader->past);
    walk->done = walk->high >= end;
}

/* ---- the last events, from the ring ---- */

static void last_step(struct worker *worker, const struct subscription *sub, uint32_t log, uint32_t *work) {
    struct walk *walk = &sub->begin->search->walks[log];
    if (history_has(worker, log)) {
        last_kept_step(worker, sub, log, work);
        return;
    }
    if (!walk->begun)
        walk->low = walk->high = delivery_live_end(&worker->readers[log]);
    walk->begun = true;
    last_forward(worker, sub, log, work);
    if (!walk->done)
        last_backward(worker, sub, log, work);
}

/* ---- the first record of a time ---- */

static void time_begin(struct walk *walk, const struct log *log, uint64_t from) {
    walk->low = walk->first = log_oldest(log);
    walk->lost = walk->first > from ? from : 0;
    walk->begun = true;
}

/* What the journal keeps. When all of it is older the search goes on in the ring. */
static void time_behind(struct worker *worker, const struct subscription *sub, uint32_t log) {
    struct search *search = sub->begin->search;
    struct walk *walk = &search->walks[log];
    const struct history_request *answer =
        behind_answer(worker, search, log, HISTORY_SINCE, sub->begin->value);
    if (answer == NULL)
        return;
    const struct log *ring = worker->readers[log].log;
    bool all = answer->result == 0 && answer->first <= answer->oldest; /* below it: trimmed meanwhile */
    walk->behind = walk->begun = answer->result == -ENODATA;
    if (all && log_oldest(ring) < answer->first) {
        time_begin(walk, ring, 1); /* the ring has more than is kept on disk */
        walk->behind = true;
    } else if (answer->result == 0) {
        walk->found = answer->first;
        walk->lost = all && answer->first > 1 ? 1 : 0;
        walk->done = true;
    } else if (walk->begun) {
        walk->low = answer->first;
        walk->first = 0;
    } else if (answer->result != -ERANGE) { /* else trimmed meanwhile: it is asked again */
        search->failed = SEARCH_UNREAD;
    }
    behind_done(search, log);
}

static void time_step(struct worker *worker, const struct subscription *sub, uint32_t log, uint32_t *work) {
    struct reader *reader = &worker->readers[log];
    struct walk *walk = &sub->begin->search->walks[log];
    uint64_t end = delivery_live_end(reader);
    if (history_has(worker, log) &&
        (!walk->behind || (walk->low < end && !log_reader_lower(reader->log, reader->past, walk->low)))) {
        walk->behind = false;
        time_behind(worker, sub, log);
        return;
    }
    if (!walk->begun)
        time_begin(walk, reader->log, 1);
    while (walk->low < end && !log_reader_lower(reader->log, reader->past, walk->low))
        time_begin(walk, reader->log, walk->low);
    while (walk->low < end && walk->found == 0 && *work > 0) {
        if (log_entry_at(reader->log, walk->low)->time >= sub->begin->value)
            walk->found = walk->low;
        else
            walk->low++;
        --*work;
    }
    log_reader_idle(reader->log, reader->past);
    walk->done = walk->found != 0 || walk->low >= end;
    if (walk->found == 0 || walk->found != walk->first)
        walk->lost = 0; /* something earlier is still kept: nothing of that time is gone */
}

/* ---- steps ---- */

static struct search *search_new(enum start_kind kind) {
    struct search *search = calloc(1, sizeof *search);
    if (search == NULL || kind != START_LAST)
        return search;
    search->ids = calloc(IDS_REMEMBERED, sizeof *search->ids);
    if (search->ids != NULL)
        return search;
    free(search);
    return NULL;
}

enum search_result search_step(struct worker *worker, struct subscription *sub, uint32_t *work) {
    uint64_t logs = search_logs(sub);
    bool done = true;
    if (logs == 0)
        return SEARCH_DONE;
    if (sub->begin->search == NULL && (sub->begin->search = search_new(sub->begin->kind)) == NULL)
        return SEARCH_NO_ROOM;
    struct search *search = sub->begin->search;
    search->waits = false;
    for (uint32_t i = 0; i < worker->log_count && search->failed == SEARCH_DONE; i++) {
        if (!(logs >> i & 1u))
            continue;
        if (sub->begin->kind == START_LAST)
            last_step(worker, sub, i, work);
        else if (search->walks[i].found == 0) /* also when it is done: something may have come since */
            time_step(worker, sub, i, work);
        done = done && search->walks[i].done;
    }
    if (search->failed != SEARCH_DONE)
        return search->failed;
    if (!done && !search->waits)
        worker->worked = true; /* no sleep before it goes on */
    return done ? SEARCH_DONE : SEARCH_GOES_ON;
}

/* ---- what was found ---- */

uint64_t search_found(const struct subscription *sub, uint32_t log) {
    const struct walk *walk = &sub->begin->search->walks[log];
    return walk->found != 0 ? walk->found : walk->low; /* whatever comes from there on is of that time */
}

uint64_t search_lost(const struct subscription *sub, uint32_t log) {
    return sub->begin->search == NULL || sub->begin->kind != START_TIME ? 0
                                                                        : sub->begin->search->walks[log].lost;
}

static bool last_kept(const struct worker *worker, const struct last *last) {
    return last->position >= log_kept(worker, last->log);
}

/* One log behind the other, each in order. */
static void picks_fill(const struct worker *worker, const struct search *search, struct picks *picks,
                       uint64_t *spare) {
    uint32_t logs = worker->log_count;
    uint32_t begin = 0;
    for (uint32_t i = 0; i < search->count; i++)
        picks->end[search->lasts[i].log] += last_kept(worker, &search->lasts[i]);
    for (uint32_t log = 0; log < logs; log++) {
        picks->next[log] = begin;
        begin += picks->end[log];
        picks->end[log] = picks->next[log];
    }
    for (uint32_t i = 0; i < search->count; i++)
        if (last_kept(worker, &search->lasts[i]))
            picks->positions[picks->end[search->lasts[i].log]++] = search->lasts[i].position;
    for (uint32_t log = 0; log < logs; log++)
        picks_sort(picks->positions + picks->next[log], spare, picks->end[log] - picks->next[log]);
}

/* What has come within this turn. False: the ring has lapped meanwhile, and what is behind it is not known.
 */
static bool last_end(struct worker *worker, const struct subscription *sub, uint32_t log, uint32_t *work) {
    struct reader *reader = &worker->readers[log];
    const struct walk *walk = &sub->begin->search->walks[log];
    if (history_has(worker, log) && walk->high < delivery_live_end(reader)) {
        if (!log_reader_lower(reader->log, reader->past, walk->high))
            return false;
        log_reader_idle(reader->log, reader->past);
    }
    last_forward(worker, sub, log, work);
    return true;
}

enum search_result search_picks(struct worker *worker, struct subscription *sub) {
    struct search *search = sub->begin->search;
    uint64_t logs = search_logs(sub);
    uint32_t work = 0;
    for (uint32_t i = 0; i < worker->log_count; i++)
        if ((logs >> i & 1u) && !last_end(worker, sub, i, &work))
            return SEARCH_NO_ROOM;
    if (search->failed != SEARCH_DONE)
        return search->failed;
    if (worker->picks + search->count > LAST_PICKS_MAX)
        return SEARCH_NO_ROOM;
    uint64_t *spare = malloc((search->count + 1) * sizeof *spare);
    sub->picks = picks_new(search->count);
    if (sub->picks != NULL && spare != NULL) {
        worker->picks += search->count;
        picks_fill(worker, search, sub->picks, spare);
    } else {
        free(sub->picks);
        sub->picks = NULL;
    }
    free(spare);
    return sub->picks == NULL ? SEARCH_NO_ROOM : SEARCH_DONE;
}
