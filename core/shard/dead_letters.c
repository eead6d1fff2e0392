/* Events that nobody could handle, on their way to the queue's dead-letter topic: a CloudEvent of type
 * roundhouse.deadletter.v1 whose data is the event as it was published, and whose attributes say why. */
#include "core/shard/worker.h"

#include "codecs/event/bytes.h"
#include "codecs/event/compose.h"
#include "codecs/event/fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEAD_TYPE   "roundhouse.deadletter.v1"
#define DEAD_PREFIX "$dlq."

static void text_add(struct bytes *out, const char *name, struct queue_text text) {
    if (text.n > 0)
        compose_attribute(out, name, VALUE_STRING, text.p, text.n);
}

static void word_add(struct bytes *out, const char *name, const char *word) {
    compose_attribute(out, name, VALUE_STRING, word, strlen(word));
}

static void time_add(struct bytes *out, const char *name, uint64_t ns) {
    compose_time(out, name, (int64_t)(ns / NS_PER_S), (uint32_t)(ns % NS_PER_S));
}

/* The same event has the same id, should it be sent twice. */
static void id_add(struct bytes *out, const struct queue_terms *terms, uint64_t sequence) {
    char id[TOPIC_BYTES_MAX + 24];
    int length = snprintf(id, sizeof id, "%.*s:%016llx", (int)terms->name.n, (const char *)terms->name.p,
                          (unsigned long long)sequence);
    bytes_field(out, EVENT_ID, id, (size_t)length);
}

/* `event`: NULL when its bytes are gone or do not fit. */
static bool compose(struct worker *worker, const struct kept *kept, const struct queue_dead *dead,
                    uint64_t sequence, const struct wire_event *event, uint8_t **out, size_t *length) {
    static const char source[] = "/roundhouse";
    const struct queue_terms *terms = queue_terms(kept->queue);
    char number[24];
    struct bytes bytes = {0};
    struct fault fault;
    id_add(&bytes, terms, sequence);
    bytes_field(&bytes, EVENT_SOURCE, source, sizeof source - 1);
    bytes_field(&bytes, EVENT_SPEC_VERSION, "1.0", 3);
    bytes_field(&bytes, EVENT_TYPE, DEAD_TYPE, sizeof DEAD_TYPE - 1);
    time_add(&bytes, "time", worker->wall_ns);
    text_add(&bytes, "queue", terms->name);
    text_add(&bytes, "reason", dead->reason);
    word_add(&bytes, "stage", dead->refused ? "refused" : "attempts");
    compose_number(&bytes, "attempts", VALUE_INTEGER, (int32_t)dead->attempts);
    time_add(&bytes, "firsttime", dead->first_ns);
    time_add(&bytes, "lasttime", dead->last_ns);
    snprintf(number, sizeof number, "%llu", (unsigned long long)sequence);
    word_add(&bytes, "sequence", number);
    if (event != NULL) {
        text_add(&bytes, "topic", (struct queue_text){event->topic, event->topic_length});
        bytes_field(&bytes, EVENT_BINARY, event->event, event->event_length);
    }
    return compose_done(&bytes, out, length, &fault);
}

static void topic_of(const struct kept *kept, uint8_t topic[TOPIC_BYTES_MAX], uint32_t *length) {
    const struct queue_terms *terms = queue_terms(kept->queue);
    struct queue_text name = terms->dead_letter;
    uint32_t at = 0;
    if (name.n == 0) {
        name = terms->name;
        if (terms_mailbox(terms))
            name = (struct queue_text){name.p + 1, name.n - 1}; /* no '@' inside of a topic of ours */
        memcpy(topic, DEAD_PREFIX, at = sizeof DEAD_PREFIX - 1);
    }
    *length = name.n < TOPIC_BYTES_MAX - at ? at + name.n : TOPIC_BYTES_MAX;
    memcpy(topic + at, name.p, *length - at);
}

/* False: there is no room for it now. */
static bool send(struct worker *worker, struct kept *kept, const struct queue_dead *dead, uint64_t sequence,
                 const struct wire_event *event) {
    uint8_t topic[TOPIC_BYTES_MAX];
    struct wire_event letter = {.topic = topic};
    uint8_t *bytes;
    size_t length;
    topic_of(kept, topic, &letter.topic_length);
    if (!compose(worker, kept, dead, sequence, event, &bytes, &length))
        return false;
    letter.event = bytes;
    letter.event_length = (uint32_t)length;
    bool fits = wire_record_size_of(&letter) <= log_record_max(worker->homes[0].log);
    bool sent = fits && ingress_own(worker, &letter, &kept->letter);
    free(bytes);
    return sent || (!fits && event != NULL && send(worker, kept, dead, sequence, NULL));
}

static bool send_one(struct worker *worker, struct kept *kept, const struct queue_dead *dead) {
    struct look_at look;
    struct wire_event event;
    struct reader *reader = reader_of_number(worker, dead->log);
    /* without the record that of one whose slot has not moved; it is the same when it is sent again */
    uint64_t sequence = sequence_make(log_epoch(worker->shards, reader->index), dead->position);
    enum look found = look_begin(worker, reader, dead->position, &look);
    if (found == LOOK_LATER)
        return false;
    bool there = found == LOOK_THERE && look.first == dead->position;
    if (there) {
        const struct log_entry *entry = log_view_entry(look.view, dead->position);
        wire_record_read(log_view_bytes(look.view, entry->offset), entry->length, &sequence, &event);
    }
    bool sent = send(worker, kept, dead, sequence, there ? &event : NULL);
    look_end(&look);
    return sent;
}

/* The state of a durable queue must not say that it is done before its letter is where nothing gets lost. */
static bool settled(const struct worker *worker, const struct kept *kept) {
    return kept->home == NULL || ingress_own_settled(worker, &kept->letter);
}

bool dead_letters_send(struct worker *worker, struct kept *kept) {
    struct queue_dead dead;
    while (queue_dead(kept->queue, &dead)) {
        if (!kept->burying && !send_one(worker, kept, &dead))
            return false;
        kept->burying = !settled(worker, kept);
        if (kept->burying)
            return false;
        queue_buried(kept->queue);
        counter_add(&worker->stats.dead_letters, 1);
        states_changed(worker, kept);
    }
    return true;
}
