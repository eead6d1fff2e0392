/* Events that match nobody.
 *
 * Every worker passes over the records of the logs where some pattern of its own can match, and routes them.
 * So of each log the reader with the lowest number is its judge: of the records that nobody at that worker
 * wants it finds out, topic by topic, whether anybody else does. If no other worker reads the log, and no
 * queue without members waits anywhere, nobody does. Else the topic goes as a question from worker to worker,
 * and the answer holds until any worker's patterns change. A log that nobody reads is judged by its home.
 * A record that somebody at the judge wants costs nothing of this.
 *
 * What others read, and how often their patterns have changed, is read from their counters without any
 * order: who has been told that it is subscribed is seen by whoever gets an event afterwards, as both went
 * through sockets. Events that pass while a subscription begins or ends may be counted although it got
 * them, or not counted although it did not. */
#include "core/shard/unmatched.h"

#include "codecs/event/attributes.h"
#include "core/base/topic.h"
#include "core/shard/worker.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define BUCKETS         (UNMATCHED_TOPICS / UNMATCHED_BUCKET)
#define BUCKETS_BYTES   (BUCKETS * sizeof(struct unmatched_bucket))
#define SAMPLE_EVERY_NS (100u * NS_PER_MS)
#define LINE_EVERY_NS   (10u * NS_PER_S)

int unmatched_init(struct unmatched *unmatched) {
    list_init(&unmatched->held);
    for (uint32_t i = 0; i < UNMATCHED_QUESTIONS; i++)
        list_init(&unmatched->questions[i].held);
    void *memory = mmap(NULL, BUCKETS_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unmatched->buckets = memory == MAP_FAILED ? NULL : memory;
    return memory == MAP_FAILED ? -ENOMEM : 0;
}

void unmatched_deinit(struct unmatched *unmatched) {
    if (unmatched->buckets != NULL)
        munmap(unmatched->buckets, BUCKETS_BYTES);
}

/* ---- what others know of a worker ---- */

void audience_changed(struct worker *worker) {
    counter_add(&worker->audience.changes, 1);
}

void audience_reads(struct worker *worker, uint32_t log, bool reads) {
    uint64_t bit = UINT64_C(1) << log, now = counter_get(&worker->audience.reading);
    counter_set(&worker->audience.reading, reads ? now | bit : now & ~bit);
}

void audience_waits(struct worker *worker, struct kept *kept, bool waits) {
    bool waited = list_in(&kept->waiting);
    if (terms_mailbox(queue_terms(kept->queue)) || waited == waits)
        return;
    if (waits)
        list_add(&worker->keeper.waiting, &kept->waiting);
    else
        list_remove(&kept->waiting);
    counter_add(&worker->audience.waiting, waits ? 1 : UINT64_MAX);
    audience_changed(worker);
}

/* Once a turn, and only in one with something that nobody here wants. */
static const struct unmatched *others_look(struct worker *worker) {
    struct unmatched *own = &worker->unmatched;
    const struct shards *shards = worker->shards;
    if (own->turn == counter_get(&worker->stats.turns))
        return own;
    own->turn = counter_get(&worker->stats.turns);
    own->lower = own->reading = own->changes = 0;
    own->waiting = false;
    for (uint32_t i = 0; i < worker->worker_count; i++) {
        const struct audience *audience = &shards->workers[i]->audience;
        own->changes += counter_get(&audience->changes);
        if (i == worker->number)
            own->lower = own->reading;
        else
            own->reading |= counter_get(&audience->reading),
                own->waiting |= counter_get(&audience->waiting) != 0;
    }
    return own;
}

/* ---- whether this worker has somebody for a topic ---- */

static bool kept_wants(const struct kept *kept, const uint8_t *topic, uint32_t length) {
    uint8_t room[1 + TOPIC_BYTES_MAX];
    const uint8_t *pattern;
    uint32_t count = keeper_patterns(kept, room, &pattern);
    for (uint32_t i = 0; i < count; i++, pattern = pattern_next(pattern))
        if (pattern_matches(pattern + 1, pattern[0], topic, length))
            return true;
    return false;
}

/* Of too many queues it is taken for granted. */
static bool queues_want(struct worker *worker, const uint8_t *topic, uint32_t length) {
    struct list *head = &worker->keeper.waiting;
    uint32_t looked = 0;
    for (struct list *node = head->next; node != head; node = node->next, looked++)
        if (looked == UNMATCHED_QUEUES_MAX || kept_wants(LIST_OF(node, struct kept, waiting), topic, length))
            return true;
    return false;
}

static bool here_wanted(struct worker *worker, const uint8_t *topic, uint32_t length) {
    return route_wanted(worker->routes, topic, length) || queues_want(worker, topic, length);
}

/* ---- counting ---- */

static uint8_t text_take(uint8_t out[UNMATCHED_SOURCE_BYTES], const struct wire_event *event,
                         const char *name) {
    return (uint8_t)attribute_copy(event->event, event->event_length, name, out, UNMATCHED_SOURCE_BYTES);
}

static void sample_take(struct unmatched_sample *sample, uint32_t log, const struct log_view *view,
                        const struct log_entry *entry) {
    struct wire_event event;
    uint64_t sequence;
    wire_record_read(log_view_bytes(view, entry->offset), entry->length, &sequence, &event);
    *sample = (struct unmatched_sample){.topic_id = entry->topic,
                                        .first_ns = entry->time,
                                        .last_ns = entry->time,
                                        .sequence = sequence,
                                        .log = log,
                                        .topic_length = (uint8_t)event.topic_length};
    memcpy(sample->topic, event.topic, event.topic_length);
    sample->source_length = text_take(sample->source, &event, "source");
    sample->id_length = text_take(sample->id, &event, "id");
}

/* The sample of a topic; else the one to be given up for it, with another topic's id. */
static struct unmatched_sample *sample_of(struct unmatched *own, uint64_t topic_id) {
    struct unmatched_sample *oldest = own->samples;
    for (struct unmatched_sample *sample = own->samples; sample < own->samples + UNMATCHED_SAMPLES;
         sample++) {
        if (sample->topic_id == topic_id)
            return sample;
        if (sample->last_ns < oldest->last_ns)
            oldest = sample;
    }
    return oldest;
}

static void line_write(struct worker *worker, const struct unmatched_sample *sample) {
    struct unmatched *own = &worker->unmatched;
    char topic[2 * TOPIC_BYTES_MAX], source[2 * UNMATCHED_SOURCE_BYTES];
    if (worker->now_ns < own->line_ns)
        return;
    logfmt(LOGFMT_INFO, "events match no subscription and no queue: nobody gets them",
           "shard=%u events=%llu topic=%s source=%s", worker->number, (unsigned long long)own->since_line,
           logfmt_quote(topic, sizeof topic, (const char *)sample->topic, sample->topic_length),
           logfmt_quote(source, sizeof source, (const char *)sample->source, sample->source_length));
    own->line_ns = worker->now_ns + LINE_EVERY_NS;
    own->since_line = 0;
}

/* The sample of a topic; NULL: it has none, and it is too soon for another one. `fresh`: it is to be taken.
 */
static struct unmatched_sample *sample_place(struct worker *worker, uint64_t topic_id, bool *fresh) {
    struct unmatched *own = &worker->unmatched;
    struct unmatched_sample *sample = sample_of(own, topic_id);
    *fresh = sample->topic_id != topic_id;
    if (!*fresh)
        return sample;
    if (worker->now_ns < own->sample_ns)
        return NULL;
    own->sample_ns = worker->now_ns + SAMPLE_EVERY_NS;
    return sample;
}

static void unmatched_count(struct worker *worker, uint64_t count, struct unmatched_sample *sample) {
    counter_add(&worker->stats.events_unmatched, count);
    worker->unmatched.since_line += count;
    if (sample == NULL)
        return;
    sample->count += count;
    sample->last_ns = worker->wall_ns;
    line_write(worker, sample);
}

static void record_count(struct worker *worker, uint32_t log, const struct log_entry *entry, uint64_t count) {
    bool fresh;
    struct unmatched_sample *sample = sample_place(worker, entry->topic, &fresh);
    if (sample != NULL && fresh)
        sample_take(sample, log, worker->views[log], entry);
    unmatched_count(worker, count, sample);
}

static void question_count(struct worker *worker, const struct unmatched_question *question, uint64_t count) {
    bool fresh;
    struct unmatched_sample *sample = sample_place(worker, question->sample.topic_id, &fresh);
    if (sample != NULL && fresh)
        *sample = question->sample;
    unmatched_count(worker, count, sample);
}

/* ---- asking ---- */

/* To the next worker that it asks, or back to the one who asks. False: its mailbox is full. */
static bool question_send(struct worker *worker, struct unmatched_question *question) {
    struct worker *to = question->asker;
    if (!question->answered)
        to = worker->shards->workers[__builtin_ctzll(question->left)];
    struct mpsc_command command = {.kind = COMMAND_WANTED};
    command.word[0] = (uint64_t)(uintptr_t)question;
    if (mpsc_push(to->mailbox, &command) != RING_OK)
        return false;
    wake_signal(&to->wake);
    return true;
}

static void question_pass(struct worker *worker, struct unmatched_question *question) {
    if (!question_send(worker, question)) {
        list_add(&worker->unmatched.held, &question->held);
        worker->worked = true; /* again in the next turn */
    }
}

void unmatched_turn(struct worker *worker) {
    struct list now;
    struct list *node;
    if (LIKELY(list_empty(&worker->unmatched.held)))
        return;
    list_move(&worker->unmatched.held, &now);
    while ((node = list_take(&now)) != NULL)
        question_pass(worker, LIST_OF(node, struct unmatched_question, held));
}

static struct unmatched_bucket *bucket_of(const struct unmatched *own, uint64_t id) {
    return &own->buckets[(id * UINT64_C(0x9e3779b97f4a7c15)) >> 32 & (BUCKETS - 1)];
}

/* NULL: it is not there. With id 0: a free place. */
static struct unmatched_topic *topic_find(struct unmatched_bucket *bucket, uint64_t id) {
    for (uint32_t i = 0; i < UNMATCHED_BUCKET; i++)
        if (bucket->topics[i].id == id)
            return &bucket->topics[i];
    return NULL;
}

/* A free place, or one to be given up: the next in turn that does not wait for an answer. NULL: all do. */
static struct unmatched_topic *topic_room(struct unmatched *own, struct unmatched_bucket *bucket) {
    struct unmatched_topic *free_place = topic_find(bucket, 0);
    if (free_place != NULL)
        return free_place;
    for (uint32_t i = 0; i < UNMATCHED_BUCKET; i++) {
        struct unmatched_topic *topic = &bucket->topics[own->given_up++ % UNMATCHED_BUCKET];
        if (topic->verdict != UNMATCHED_ASKED)
            return topic;
    }
    return NULL;
}

static void question_settle(struct worker *worker, struct unmatched_question *question) {
    uint64_t id = question->sample.topic_id;
    struct unmatched_topic *topic = topic_find(bucket_of(&worker->unmatched, id), id);
    CHECK(topic != NULL && topic->verdict == UNMATCHED_ASKED);
    topic->verdict = question->wanted ? UNMATCHED_WANTED : UNMATCHED_NOBODY;
    question->asker = NULL;
    if (!question->wanted)
        question_count(worker, question, question->count);
}

void unmatched_question(struct worker *worker, struct unmatched_question *question) {
    if (question->answered) {
        question_settle(worker, question);
        return;
    }
    question->left &= ~(UINT64_C(1) << worker->number);
    question->wanted = here_wanted(worker, question->sample.topic, question->sample.topic_length);
    question->answered = question->wanted || question->left == 0;
    question_pass(worker, question);
}

/* Whom else to ask about a log: who reads it, and who has queues that wait. */
static uint64_t to_be_asked(const struct worker *worker, uint32_t log) {
    const struct shards *shards = worker->shards;
    uint64_t asked = 0;
    for (uint32_t i = 0; i < worker->worker_count; i++) {
        const struct audience *audience = &shards->workers[i]->audience;
        if (i != worker->number &&
            ((counter_get(&audience->reading) >> log & 1u) != 0 || counter_get(&audience->waiting) != 0))
            asked |= UINT64_C(1) << i;
    }
    return asked;
}

static enum unmatched_verdict ask(struct worker *worker, uint32_t log, const struct log_entry *entry,
                                  uint8_t *number) {
    struct unmatched *own = &worker->unmatched;
    const struct log_view *view = worker->views[log];
    const uint8_t *topic = log_view_bytes(view, entry->offset) + log_flags_topic_at(entry->flags);
    if (topic[0] == '$' || topic[0] == '@') /* of the router itself; and no mailbox, no event */
        return UNMATCHED_WANTED;
    if (queues_want(worker, topic, log_flags_topic_length(entry->flags)))
        return UNMATCHED_WANTED;
    uint64_t left = (own->reading >> log & 1u) != 0 || own->waiting ? to_be_asked(worker, log) : 0;
    if (left == 0)
        return UNMATCHED_NOBODY;
    struct unmatched_question *question = own->questions;
    while (question < own->questions + UNMATCHED_QUESTIONS && question->asker != NULL)
        question++;
    if (question == own->questions + UNMATCHED_QUESTIONS)
        return UNMATCHED_OPEN;
    question->asker = worker;
    question->left = left;
    question->answered = question->wanted = false;
    question->count = 0;
    sample_take(&question->sample, log, view, entry);
    *number = (uint8_t)(question - own->questions);
    question_pass(worker, question);
    return UNMATCHED_ASKED;
}

/* ---- judging ---- */

/* `count` records of one topic, the last of which is at `entry`. The record itself is only looked at when
 * nothing is known of its topic: it lies in another worker's memory. */
static void topic_judge(struct worker *worker, uint32_t log, const struct log_entry *entry, uint64_t count) {
    struct unmatched *own = &worker->unmatched;
    uint32_t changes = (uint32_t)own->changes;
    struct unmatched_bucket *bucket = bucket_of(own, entry->topic);
    struct unmatched_topic *topic = topic_find(bucket, entry->topic);
    if (topic == NULL && (topic = topic_room(own, bucket)) != NULL)
        *topic = (struct unmatched_topic){.id = entry->topic};
    if (topic != NULL && topic->verdict != UNMATCHED_ASKED &&
        (topic->changes != changes || topic->verdict == UNMATCHED_OPEN)) {
        topic->changes = changes;
        topic->verdict = (uint8_t)ask(worker, log, entry, &topic->question);
    }
    if (topic == NULL || topic->verdict == UNMATCHED_OPEN)
        counter_add(&worker->stats.events_unjudged, count);
    else if (topic->verdict == UNMATCHED_ASKED)
        own->questions[topic->question].count += count;
    else if (topic->verdict == UNMATCHED_NOBODY)
        record_count(worker, log, entry, count);
}

static void stretch_judge(struct worker *worker, uint32_t log, uint64_t from, uint64_t to) {
    const struct log_view *view = worker->views[log];
    const struct log_entry *last = NULL; /* of the topic that the records so far have */
    uint64_t count = 0;
    for (uint64_t position = from; position < to; position++) {
        const struct log_entry *entry = log_view_entry(view, position);
        if (!log_flags_event(entry->flags))
            continue;
        if (last != NULL && last->topic != entry->topic) {
            topic_judge(worker, log, last, count);
            count = 0;
        }
        last = entry;
        count++;
    }
    if (last != NULL)
        topic_judge(worker, log, last, count);
}

void unmatched_run(struct worker *worker, uint32_t log, const struct run *run) {
    if ((others_look(worker)->lower >> log & 1u) != 0)
        return;
    stretch_judge(worker, log, run->first, run->first + run->records);
}

/* Its home writes the log, so nothing is overwritten meanwhile; but it may have been since the last look. */
void unmatched_look(struct worker *worker, uint32_t log, uint64_t to) {
    struct reader *reader = &worker->readers[log];
    uint64_t from = reader->judged, oldest = log_oldest(reader->log);
    if (from >= to)
        return;
    reader->judged = to;
    if ((others_look(worker)->reading >> log & 1u) != 0)
        return;
    if (from < oldest) {
        counter_add(&worker->stats.events_unjudged, oldest - from);
        from = oldest;
    }
    stretch_judge(worker, log, from, to);
}
