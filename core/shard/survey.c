/* The way of a question: from the desk to worker 0, from each worker to the next one, back to the desk.
 *
 * It is one struct that belongs to whoever has it, and goes by mailboxes: nothing is shared, nothing is
 * locked. A worker works on one question at a time, the oldest, so that several cost no more in a turn than
 * one. A mailbox that is full is tried again in the next turn. */
#include "core/shard/explain.h"
#include "core/shard/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct survey_desk {
    const struct shards *shards; /* borrows */
    struct mpsc *answers;        /* owns */
    struct list asked;           /* owns, also what is on its way */
    uint32_t count;              /* of these */
    int bell;                    /* eventfd; owns */
};
static_assert((SURVEYS_MAX & (SURVEYS_MAX - 1)) == 0, "an mpsc has a power of two places: one for each");

static const struct {
    survey_visit *visit;
    size_t row;
} kinds[SURVEY_KINDS] = {
    [SURVEY_CONNECTIONS] = {survey_connections, sizeof(struct survey_connection)},
    [SURVEY_SUBSCRIPTIONS] = {survey_subscriptions, sizeof(struct survey_subscription)},
    [SURVEY_QUEUES] = {survey_queues, sizeof(struct survey_queue)},
    [SURVEY_TOPICS] = {survey_topics, sizeof(struct survey_topic)},
    [SURVEY_EXPLAIN] = {survey_explain, sizeof(struct explain_row)},
    [SURVEY_UNMATCHED] = {survey_unmatched, sizeof(struct survey_unmatched)},
    [SURVEY_LAGGARDS] = {survey_laggards, sizeof(struct survey_laggard)},
};

/* ---- the worst ones: a heap with the least of them on top ---- */

static void sift_up(struct survey_kept *kept, uint32_t at) {
    while (at > 0 && kept[(at - 1) / 2].key > kept[at].key) {
        struct survey_kept above = kept[(at - 1) / 2];
        kept[(at - 1) / 2] = kept[at];
        kept[at] = above;
        at = (at - 1) / 2;
    }
}

static void sift_down(struct survey_kept *kept, uint32_t at, uint32_t count) {
    for (uint32_t below = 2 * at + 1; below < count; at = below, below = 2 * at + 1) {
        if (below + 1 < count && kept[below + 1].key < kept[below].key)
            below++;
        if (kept[at].key <= kept[below].key)
            return;
        struct survey_kept least = kept[below];
        kept[below] = kept[at];
        kept[at] = least;
    }
}

void *survey_offer(struct survey *survey, uint64_t key) {
    struct survey_answer *answer = &survey->answer;
    struct survey_kept *kept = answer->kept;
    uint32_t row = answer->count;
    if (answer->count < survey->question.limit) {
        kept[answer->count] = (struct survey_kept){.key = key, .row = row};
        sift_up(kept, answer->count++);
    } else {
        answer->more = true;
        if (key <= kept[0].key)
            return NULL;
        row = kept[0].row;
        kept[0].key = key;
        sift_down(kept, 0, answer->count);
    }
    void *place = (char *)answer->rows + row * answer->row_size;
    memset(place, 0, answer->row_size);
    return place;
}

void survey_raise(struct survey *survey, uint32_t row, uint64_t key) {
    struct survey_kept *kept = survey->answer.kept;
    uint32_t at = 0;
    while (kept[at].row != row)
        at++;
    kept[at].key = key;
    sift_down(kept, at, survey->answer.count);
}

/* The worst first; those with one key as they came. */
static int kept_order(const void *a, const void *b) {
    const struct survey_kept *left = a, *right = b;
    if (left->key != right->key)
        return left->key > right->key ? -1 : 1;
    return left->row < right->row ? -1 : left->row > right->row;
}

/* ---- workers ---- */

static void desk_give(struct survey *survey) {
    const struct survey_desk *desk = survey->desk;
    int bell = desk->bell;
    uint64_t one = 1;
    struct mpsc_command command = {0};
    command.word[0] = (uint64_t)(uintptr_t)survey;
    CHECK(mpsc_push(desk->answers, &command) == RING_OK); /* SURVEYS_MAX: a place for each */
    while (write(bell, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

static bool worker_give(const struct shards *shards, struct survey *survey, uint32_t shard) {
    struct worker *worker = shards->workers[shard];
    struct mpsc_command command = {.kind = COMMAND_SURVEY};
    command.word[0] = (uint64_t)(uintptr_t)survey;
    survey->shard = shard;
    if (mpsc_push(worker->mailbox, &command) != RING_OK)
        return false;
    wake_signal(&worker->wake);
    return true;
}

void surveys_take(struct worker *worker, struct survey *survey) {
    survey->place = (struct survey_place){0};
    survey->answered = false;
    list_add(&worker->surveys, &survey->node);
}

void surveys_turn(struct worker *worker) {
    if (LIKELY(list_empty(&worker->surveys)))
        return;
    struct survey *survey = LIST_OF(worker->surveys.next, struct survey, node);
    worker->worked = true;
    if (!survey->answered)
        survey->answered = kinds[survey->question.kind].visit(worker, survey);
    if (!survey->answered)
        return;
    uint32_t next = worker->number + 1;
    list_remove(&survey->node); /* in front: behind it, it is somebody else's */
    if (next >= shards_count(worker->shards))
        desk_give(survey);
    else if (!worker_give(worker->shards, survey, next))
        list_add(&worker->surveys, &survey->node);
}

void survey_passes(const struct worker *worker, const struct list *node) {
    for (struct list *at = worker->surveys.next; at != &worker->surveys; at = at->next) {
        struct survey *survey = LIST_OF(at, struct survey, node);
        if (survey->place.inside && survey->place.node == node)
            survey->place.node = node->next;
    }
}

static void survey_cut(struct survey *survey) {
    list_remove(&survey->node);
    survey->answer.cut = true;
    desk_give(survey);
}

void surveys_end(const struct shards *shards) {
    for (uint32_t i = 0; i < shards_count(shards); i++) {
        struct worker *worker = shards->workers[i];
        struct mpsc_command command;
        while (worker != NULL && worker->mailbox != NULL && mpsc_pop(worker->mailbox, &command)) {
            if (command.kind == COMMAND_SURVEY)
                survey_cut((struct survey *)(uintptr_t)command.word[0]);
            else if (command.kind == COMMAND_NOTES)
                talk_free((struct note *)(uintptr_t)command.word[0]);
        }
        while (worker != NULL && !list_empty(&worker->surveys))
            survey_cut(LIST_OF(worker->surveys.next, struct survey, node));
    }
}

/* ---- desks ---- */

static void desk_free(struct survey_desk *desk) {
    mpsc_destroy(desk->answers);
    if (desk->bell >= 0)
        close(desk->bell);
    free(desk);
}

int survey_desk_create(struct survey_desk **out, const struct shards *shards) {
    struct survey_desk *desk = calloc(1, sizeof *desk);
    if (desk == NULL)
        return -ENOMEM;
    desk->shards = shards;
    list_init(&desk->asked);
    desk->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int result = desk->bell < 0 ? -errno : mpsc_create(&desk->answers, SURVEYS_MAX);
    if (result == 0)
        *out = desk;
    else
        desk_free(desk);
    return result;
}

static void survey_free(struct survey *survey) {
    free(survey->answer.rows);
    free(survey->answer.kept);
    survey_tallies_free(survey->tallies);
    free(survey);
}

static void survey_end(struct survey_desk *desk, struct survey *survey, const struct survey_answer *answer) {
    list_remove(&survey->asked);
    desk->count--;
    survey->done(survey->user, answer);
    survey_free(survey);
}

void survey_desk_destroy(struct survey_desk *desk) {
    struct list *node;
    if (desk == NULL)
        return;
    while ((node = list_take(&desk->asked)) != NULL)
        survey_end(desk, LIST_OF(node, struct survey, asked), NULL);
    desk_free(desk);
}

int survey_desk_fd(const struct survey_desk *desk) {
    return desk->bell;
}

void survey_desk_serve(struct survey_desk *desk) {
    struct mpsc_command command;
    uint64_t count;
    while (read(desk->bell, &count, sizeof count) < 0 && errno == EINTR)
        continue;
    while (mpsc_pop(desk->answers, &command)) {
        struct survey *survey = (struct survey *)(uintptr_t)command.word[0];
        struct survey_answer *answer = &survey->answer;
        qsort(answer->kept, answer->count, sizeof *answer->kept, kept_order);
        survey_end(desk, survey, answer);
    }
}

static struct survey *survey_new(struct survey_desk *desk, const struct survey_question *question) {
    struct survey *survey = calloc(1, sizeof *survey);
    if (survey == NULL)
        return NULL;
    survey->desk = desk;
    survey->question = *question;
    survey->answer.kind = question->kind;
    survey->answer.row_size = kinds[question->kind].row;
    survey->answer.rows = calloc(question->limit, survey->answer.row_size);
    survey->answer.kept = calloc(question->limit, sizeof *survey->answer.kept);
    list_init(&survey->node);
    list_init(&survey->asked);
    bool counts = question->kind == SURVEY_TOPICS;
    survey->tallies = counts ? survey_tallies_new() : NULL;
    if (survey->answer.rows != NULL && survey->answer.kept != NULL && (!counts || survey->tallies != NULL))
        return survey;
    survey_free(survey);
    return NULL;
}

int survey_ask(struct survey_desk *desk, const struct survey_question *question, survey_done *done,
               void *user) {
    if ((unsigned)question->kind >= SURVEY_KINDS || question->limit == 0 || question->limit > SURVEY_ROWS_MAX)
        return -EINVAL;
    if (shards_stopping(desk->shards))
        return -ESHUTDOWN;
    if (desk->count == SURVEYS_MAX)
        return -EBUSY;
    struct survey *survey = survey_new(desk, question);
    if (survey == NULL)
        return -ENOMEM;
    survey->done = done;
    survey->user = user;
    if (!worker_give(desk->shards, survey, 0)) {
        survey_free(survey);
        return -EBUSY;
    }
    list_add(&desk->asked, &survey->asked);
    desk->count++;
    return 0;
}
