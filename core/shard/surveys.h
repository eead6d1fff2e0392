/* surveys.h: a question on its way through the workers, and what a kind of question has to bring along.
 * Owner: whoever has it: the asker's desk, then one worker after the other, by their mailboxes; one at a
 * time. Thread: the owner's. Private to core/shard. Nothing blocks. A visit does what SURVEY_ITEMS_TURN
 * allows, keeps its place in the survey, and is called again in the next turn. Fails nowhere: all memory is
 * there before the question leaves. */
#pragma once

#include "core/base/list.h"
#include "core/shard/survey.h"

struct worker;
struct peer;
struct subscription;

/* Where a visit stands. What it points to may go: then survey_passes moves it on. */
struct survey_place {
    uint32_t index; /* of peers, of homes, ... */
    uint32_t serial;
    bool inside;       /* among the things of peer `index`, with that serial: */
    bool memberships;  /* ... these, not its subscriptions */
    struct list *node; /* the next one; the list's head at the end */
    bool queues;       /* `index` is of the keeper's queues: peers are over */
};

struct survey {
    struct list node;  /* at the worker that has it */
    struct list asked; /* at the desk; its thread only */
    struct survey_desk *desk;
    survey_done *done;
    void *user;
    struct survey_question question;
    struct survey_answer answer;
    struct survey_place place;
    struct survey_tallies *tallies; /* owns; TOPICS */
    uint32_t shard;                 /* who has it */
    bool answered;                  /* by this worker; it goes on as soon as the next one takes it */
};

/* A step. True: this worker has nothing more to say. */
typedef bool survey_visit(struct worker *worker, struct survey *survey);
survey_visit survey_connections, survey_subscriptions, survey_laggards, survey_topics, survey_queues,
    survey_explain, survey_unmatched;

/* Where a thing of this key is to be written, zeroed; NULL: the answer is full of worse ones. */
void *survey_offer(struct survey *survey, uint64_t key);
/* A row that is there is worse than it was. */
void survey_raise(struct survey *survey, uint32_t row, uint64_t key);

/* What the visits of peers have in common (survey_peers.c). */
void survey_client_fill(const struct peer *peer, struct survey_client *client);
/* The first of them, as many as there is room for, into zeroed memory; a NUL stands behind each. How many
 * bytes that are. */
uint16_t survey_patterns_fill(const uint8_t *pattern, uint32_t count, char text[static SURVEY_TEXT_BYTES]);
/* As JSON, "" when it is longer; NULL = none. Returns whether there is one. */
bool survey_filter_fill(const struct shared_filter *filter, char out[static SURVEY_FILTER_BYTES]);
/* A step through all that peers have. True: it is over. Each says whether it was written down. */
struct membership;
typedef bool survey_of_sub(struct survey *survey, const struct peer *peer, const struct subscription *sub);
typedef bool survey_of_membership(struct survey *survey, const struct peer *peer,
                                  const struct membership *membership);
bool survey_each(struct worker *worker, struct survey *survey, survey_of_sub *sub,
                 survey_of_membership *membership);
/* Its first subscription or membership, with its kind and its text. */
void survey_first_fill(const struct peer *peer, struct survey_laggard *row);

/* survey_topics.c: 4 MiB to count in, used as far as there are topics. NULL: no memory. */
struct survey_tallies *survey_tallies_new(void) MUST_USE;
void survey_tallies_free(struct survey_tallies *tallies);

/* Once a turn. */
void surveys_turn(struct worker *worker);
void surveys_take(struct worker *worker, struct survey *survey); /* it has come by the mailbox */
/* Before a node of a peer's list is taken out: no visit stands there any more. */
void survey_passes(const struct worker *worker, const struct list *node);
/* No worker runs any more: what is on its way goes back as it is. */
void surveys_end(const struct shards *shards);
