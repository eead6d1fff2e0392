#include "core/spoke/jobs.h"

#include "codecs/event/json.h"
#include "core/base/topic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REASON_BYTES (QUEUE_REASON_BYTES_MAX + 1u)

/* How it ends: the worst that was said of one of its documents. */
enum job_end { JOB_DONE, JOB_RETRY, JOB_REFUSE };

struct job {
    struct jobs *jobs;
    struct job *next; /* while it waits for the outbound */
    uint64_t delivery, after_ms;
    uint32_t attempt;
    uint32_t slot;
    uint32_t
        left; /* documents without an answer, and one for whoever still hands them out; 0: not made yet */
    enum job_end end;
    uint8_t *event; /* owns; NULL: the outbound has it */
    size_t event_length;
    char reason[REASON_BYTES];
    size_t topic_length;
    char topic[TOPIC_BYTES_MAX];
};

struct jobs {
    struct jobs_options options;
    struct job **slots; /* owns, and what is in them */
    uint32_t size, in_hand;
    uint32_t *free;            /* stack of the free slots */
    struct job *first, **last; /* that wait for the outbound */
    bool going_on;             /* these are given to it */
    size_t own_length;
    char own[TOPIC_BYTES_MAX]; /* topic of acknowledgements */
};

struct jobs *jobs_new(const struct jobs_options *options) {
    struct jobs *jobs = calloc(1, sizeof *jobs);
    if (jobs == NULL)
        return NULL;
    jobs->options = *options;
    jobs->last = &jobs->first;
    jobs->own_length =
        (size_t)snprintf(jobs->own, sizeof jobs->own, "spoke.%s.acknowledgement", options->name);
    return jobs;
}

void jobs_free(struct jobs *jobs) {
    if (jobs == NULL)
        return;
    for (uint32_t i = 0; i < jobs->size; i++)
        if (jobs->slots[i] != NULL) {
            free(jobs->slots[i]->event);
            free(jobs->slots[i]);
        }
    counter_set(&jobs->options.counters->in_hand, 0);
    free(jobs->slots);
    free(jobs->free);
    free(jobs);
}

uint32_t jobs_in_hand(const struct jobs *jobs) {
    return jobs->in_hand;
}

/* ---- slots: where the number of a document leads to ---- */

static bool slots_grow(struct jobs *jobs) {
    uint32_t size = jobs->size != 0 ? 2 * jobs->size : 64;
    struct job **slots = realloc(jobs->slots, size * sizeof(struct job *));
    if (slots == NULL)
        return false;
    jobs->slots = slots;
    uint32_t *unused = realloc(jobs->free, size * sizeof *unused);
    if (unused == NULL)
        return false;
    jobs->free = unused;
    for (uint32_t i = jobs->size; i < size; i++) {
        slots[i] = NULL;
        unused[i - jobs->in_hand] = i;
    }
    jobs->size = size;
    return true;
}

/* NULL: no memory. */
static struct job *job_new(struct jobs *jobs, const struct port_event *event) {
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL || (jobs->in_hand == jobs->size && !slots_grow(jobs))) {
        free(job);
        return NULL;
    }
    job->jobs = jobs;
    job->delivery = event->delivery;
    job->attempt = event->attempt;
    job->topic_length = event->topic_length;
    memcpy(job->topic, event->topic, event->topic_length);
    job->slot = jobs->free[jobs->size - jobs->in_hand - 1];
    jobs->slots[job->slot] = job;
    counter_set(&jobs->options.counters->in_hand, ++jobs->in_hand);
    return job;
}

static struct job *job_of(const struct jobs *jobs, uint64_t document) {
    uint64_t slot = document >> 32;
    CHECK(slot < jobs->size && jobs->slots[slot] != NULL);
    return jobs->slots[slot];
}

/* ---- the end of an event ---- */

static void job_say(struct job *job, enum job_end end, uint64_t after_ms, const char *reason) {
    if (end < job->end)
        return;
    job->end = end;
    job->after_ms = after_ms > job->after_ms ? after_ms : job->after_ms;
    (void)snprintf(job->reason, sizeof job->reason, "%s", reason != NULL ? reason : "");
}

static void job_answer(const struct job *job) {
    const struct jobs_options *options = &job->jobs->options;
    switch (job->end) {
    case JOB_DONE:
        counter_add(&options->counters->delivered, 1);
        port_done(options->port, job->delivery);
        break;
    case JOB_RETRY:
        counter_add(
            job->attempt < options->attempts ? &options->counters->retried : &options->counters->refused, 1);
        port_retry(options->port, job->delivery, job->after_ms, job->reason);
        break;
    case JOB_REFUSE:
        counter_add(&options->counters->refused, 1);
        port_refuse(options->port, job->delivery, job->reason);
        break;
    }
}

/* One of its documents, or whoever hands them out, is done with it. */
static void job_less(struct job *job) {
    struct jobs *jobs = job->jobs;
    if (--job->left > 0)
        return;
    job_answer(job);
    jobs->slots[job->slot] = NULL;
    counter_set(&jobs->options.counters->in_hand, --jobs->in_hand);
    jobs->free[jobs->size - jobs->in_hand - 1] = job->slot;
    free(job->event);
    free(job);
    if (jobs->in_hand == 0)
        jobs->options.on_idle(jobs->options.user);
}

static void job_over(struct job *job, enum job_end end, const char *reason) {
    job_say(job, end, 0, reason);
    job->left = 1;
    job_less(job);
}

/* ---- documents ---- */

static void documents_deliver(struct job *job, const struct outbound_document *documents, size_t count) {
    const struct jobs *jobs = job->jobs;
    struct outgoing out = {.delivery = (uint64_t)job->slot << 32,
                           .attempt = job->attempt,
                           .topic = job->topic,
                           .topic_length = job->topic_length};
    job->left = (uint32_t)count + 1;
    for (size_t i = 0; i < count; i++, out.delivery++) {
        out.event = documents[i].event;
        out.event_length = documents[i].event_length;
        out.data = documents[i].data;
        out.data_length = documents[i].data_length;
        jobs->options.deliver(jobs->options.user, &out);
    }
    job_less(job);
}

/* Perhaps from within outbound_run. */
static void on_result(void *user, const struct outbound_result *result) {
    struct job *job = user;
    struct jobs *jobs = job->jobs;
    if (result->failed != NULL) {
        job_over(job, result->later ? JOB_RETRY : JOB_REFUSE, result->failed);
    } else {
        if (result->count == 0)
            counter_add(&jobs->options.counters->filtered, 1);
        documents_deliver(job, result->documents, result->count);
    }
    jobs_go_on(jobs);
}

/* 0: it is on its way, or over; -EAGAIN: it must wait. */
static int job_run(struct job *job, const uint8_t *event, size_t event_length) {
    int result = outbound_run_on(job->jobs->options.outbound, job->topic, job->topic_length, event,
                                 event_length, on_result, job);
    if (result != 0 && result != -EAGAIN) {
        job_over(job, JOB_RETRY, "out of memory");
        return 0;
    }
    return result;
}

void jobs_go_on(struct jobs *jobs) {
    if (jobs->going_on)
        return;
    jobs->going_on = true;
    while (jobs->first != NULL) {
        struct job *job = jobs->first, *next = job->next;
        uint8_t *event = job->event;
        job->event = NULL; /* the job may be over when it has run */
        if (job_run(job, event, job->event_length) == -EAGAIN) {
            job->event = event;
            break;
        }
        free(event);
        jobs->first = next;
        if (next == NULL)
            jobs->last = &jobs->first;
    }
    jobs->going_on = false;
}

void jobs_hold(struct jobs *jobs) {
    for (uint32_t i = 0; i < jobs->size; i++)
        if (jobs->slots[i] != NULL && jobs->slots[i]->left == 0)
            port_extend(jobs->options.port, jobs->slots[i]->delivery);
}

/* Keeps the event until the outbound has room; events keep their order. */
static void job_wait(struct jobs *jobs, struct job *job, const struct port_event *event) {
    job->event = malloc(event->event_length);
    if (job->event == NULL) {
        job_over(job, JOB_RETRY, "out of memory");
        return;
    }
    job->event_length = event->event_length;
    memcpy(job->event, event->event, event->event_length);
    *jobs->last = job;
    jobs->last = &job->next;
}

/* A document that comes as it is. */
static void job_pass(struct job *job, const struct port_event *event) {
    uint32_t kind;
    struct outbound_document document = {.event = event->event, .event_length = event->event_length};
    if (event_data(event->event, event->event_length, &document.data, &document.data_length, &kind))
        documents_deliver(job, &document, 1);
    else
        job_over(job, JOB_REFUSE, "the event has no data");
}

void jobs_event(struct jobs *jobs, const struct port_event *event) {
    bool own =
        event->topic_length == jobs->own_length && memcmp(event->topic, jobs->own, jobs->own_length) == 0;
    struct job *job = event->topic_length <= TOPIC_BYTES_MAX ? job_new(jobs, event) : NULL;
    counter_add(&jobs->options.counters->received, 1);
    if (job == NULL)
        port_retry(jobs->options.port, event->delivery, 0, "out of memory");
    else if (own || jobs->options.outbound == NULL)
        job_pass(job, event);
    else if (jobs->first != NULL || job_run(job, event->event, event->event_length) == -EAGAIN)
        job_wait(jobs, job, event);
}

/* ---- answers ---- */

void jobs_done(struct jobs *jobs, uint64_t document) {
    job_less(job_of(jobs, document));
}

void jobs_retry(struct jobs *jobs, uint64_t document, uint64_t after_ms, const char *reason) {
    struct job *job = job_of(jobs, document);
    job_say(job, JOB_RETRY, after_ms, reason);
    job_less(job);
}

void jobs_refuse(struct jobs *jobs, uint64_t document, const char *reason) {
    struct job *job = job_of(jobs, document);
    job_say(job, JOB_REFUSE, 0, reason);
    job_less(job);
}

void jobs_extend(struct jobs *jobs, uint64_t document) {
    port_extend(jobs->options.port, job_of(jobs, document)->delivery);
}
