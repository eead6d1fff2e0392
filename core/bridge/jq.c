#include "core/bridge/jq.h"

#include "core/base/clock.h"
#include "core/base/heap.h"
#include "core/base/limits.h"
#include "core/base/list.h"
#include "core/base/logfmt.h"
#include "core/bridge/jq_frame.h"
#include "core/bridge/jq_process.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define SEND_FRAMES_MAX  64         /* frames in one system call */
#define RECEIVE_TURN_MAX (1u * MIB) /* read in one turn of the loop, then others have theirs */
#define RECEIVE_LEAST    (64u * KIB)

/* An input, with its frame. */
struct job {
    struct list place;
    jq_on_answer *on_answer;
    void *user;
    size_t frame_length;
    bool again; /* a process has ended while it had this input */
    char frame[];
};

enum state {
    STATE_PAUSE,    /* no process until the deadline */
    STATE_STARTING, /* it compiles; the deadline is for that */
    STATE_READY,    /* the deadline is for the first input, if there is one */
};

struct jq {
    struct event_base *base; /* NULL: nobody but jq_run_now works */
    struct event *readable;  /* of the process's socket */
    struct event *writable;
    struct event *timer;
    uint64_t timer_ns; /* when the timer is set for; 0: it is not */
    char *name;
    char quoted[128]; /* the name, for log lines */
    struct logfmt_limit said;
    char *executable;
    uint64_t memory_bytes;
    uint64_t time_ns;
    char *setup; /* the first frame */
    size_t setup_length;
    struct jq_process process;
    enum state state;
    bool first_start; /* within jq_new: what goes wrong is told there */
    bool calling;     /* within on_answer ... */
    bool freed;       /* ... which has called jq_free */
    char *refused;    /* what the compiler has said */
    size_t setup_sent;
    struct list jobs; /* not answered; those before `unsent` have been sent */
    struct job *unsent;
    size_t unsent_done; /* bytes of its frame that were sent */
    uint32_t waiting;
    uint32_t waiting_max;
    uint64_t waiting_bytes;
    uint64_t answered; /* by this process */
    uint64_t deadline_ns;
    uint64_t pause_ns;
    uint64_t restarts;
    char *in;
    size_t in_used;
    size_t in_capacity;
    struct jq_output *outputs;
    size_t outputs_capacity;
};

/* What a step leaves behind. */
enum turn {
    TURN_ON,    /* go on */
    TURN_ANEW,  /* the process is not what it was: what was read from it, or waits for it, is void */
    TURN_FREED, /* a callback has freed us */
};

static struct job *job_of(struct list *place) {
    return LIST_OF(place, struct job, place);
}

static struct job *job_first(struct jq *jq) {
    return list_empty(&jq->jobs) ? NULL : job_of(jq->jobs.next);
}

static uint64_t input_deadline(const struct jq *jq) {
    return clock_mono_ns() + JQ_CLOCK_FACTOR * jq->time_ns + NS_PER_S;
}

static void events_free(struct jq *jq) {
    if (jq->readable != NULL)
        event_free(jq->readable);
    if (jq->writable != NULL)
        event_free(jq->writable);
    jq->readable = jq->writable = NULL;
}

static void jq_destroy(struct jq *jq) {
    events_free(jq);
    (void)jq_process_end(&jq->process);
    for (struct list *place; (place = list_take(&jq->jobs)) != NULL;)
        free(job_of(place));
    if (jq->timer != NULL)
        event_free(jq->timer);
    free(jq->name);
    free(jq->executable);
    free(jq->setup);
    free(jq->refused);
    free(jq->in);
    heap_give(jq->outputs);
    free(jq);
}

/* ---- answers ---- */

static enum turn job_answer(struct jq *jq, struct job *job, const struct jq_answer *answer) {
    list_remove(&job->place);
    jq->waiting--;
    jq->waiting_bytes -= job->frame_length;
    jq->calling = true;
    job->on_answer(job->user, answer);
    jq->calling = false;
    free(job);
    if (!jq->freed)
        return TURN_ON;
    jq_destroy(jq);
    return TURN_FREED;
}

/* `payload` as JQ_FRAME_OUTPUTS has it. False: it is not. */
static bool outputs_read(struct jq *jq, const char *payload, size_t length, size_t *count) {
    uint32_t number, bytes;
    if (length < sizeof number)
        return false;
    memcpy(&number, payload, sizeof number);
    size_t at = sizeof number;
    void *outputs = jq->outputs;
    if (number > JQ_OUTPUTS_MAX ||
        heap_grow(&outputs, &jq->outputs_capacity, number, sizeof *jq->outputs) != 0)
        return false;
    jq->outputs = outputs;
    for (uint32_t i = 0; i < number; i++) {
        if (length - at < sizeof bytes)
            return false;
        memcpy(&bytes, payload + at, sizeof bytes);
        at += sizeof bytes;
        if (length - at <= bytes || payload[at + bytes] != '\0')
            return false;
        jq->outputs[i] = (struct jq_output){.json = payload + at, .length = bytes};
        at += bytes + 1;
    }
    *count = number;
    return at == length;
}

/* ---- the process: its beginning and its end ---- */

static void on_readable(evutil_socket_t socket, short what, void *user);
static void on_writable(evutil_socket_t socket, short what, void *user);

static int events_make(struct jq *jq) {
    if (jq->base == NULL)
        return 0;
    jq->readable = event_new(jq->base, jq->process.socket, EV_READ | EV_PERSIST, on_readable, jq);
    jq->writable = event_new(jq->base, jq->process.socket, EV_WRITE, on_writable, jq);
    if (jq->readable == NULL || jq->writable == NULL || event_add(jq->readable, NULL) != 0)
        return -ENOMEM;
    return 0;
}

/* A process, or a pause before the next try. */
static int start(struct jq *jq) {
    int result = jq_process_start(&jq->process, jq->executable, jq->name);
    jq->setup_sent = jq->in_used = jq->unsent_done = 0;
    jq->answered = 0;
    jq->unsent = job_first(jq);
    jq->state = STATE_STARTING;
    jq->deadline_ns = clock_mono_ns() + JQ_START_NS;
    if (result == 0)
        result = events_make(jq);
    if (result == 0)
        return 0;
    events_free(jq);
    (void)jq_process_end(&jq->process);
    jq->state = STATE_PAUSE;
    jq->deadline_ns = clock_mono_ns() + JQ_PAUSE_NS_MAX;
    if (!jq->first_start)
        logfmt(LOGFMT_WARN, "a jq process can not be started", "mapping=%s error=\"%s\"", jq->quoted,
               strerror(-result));
    return result;
}

/* After an end: at once when it was good for something, else after a growing pause. */
static void start_again(struct jq *jq, bool pause) {
    jq->restarts++;
    if (!pause) {
        jq->pause_ns = 0;
        (void)start(jq);
        return;
    }
    jq->pause_ns = jq->pause_ns == 0 ? JQ_PAUSE_NS_MIN : 2 * jq->pause_ns;
    if (jq->pause_ns > JQ_PAUSE_NS_MAX)
        jq->pause_ns = JQ_PAUSE_NS_MAX;
    jq->state = STATE_PAUSE;
    jq->deadline_ns = clock_mono_ns() + jq->pause_ns;
}

/* Why it has ended, for people. */
static enum jq_result end_reason(const struct jq *jq, int status, char *text, size_t text_bytes) {
    if (status >= 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF) {
        (void)snprintf(text, text_bytes, "it took more than %" PRIu64 " ms",
                       (jq->state == STATE_STARTING ? JQ_START_NS : jq->time_ns) / NS_PER_MS);
        return JQ_TIMEOUT;
    }
    if (status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == JQ_WORKER_MEMORY) {
        (void)snprintf(text, text_bytes, "it needs more than %" PRIu64 " MiB of memory",
                       jq->memory_bytes / MIB);
        return JQ_MEMORY;
    }
    if (status >= 0 && WIFSIGNALED(status))
        (void)snprintf(text, text_bytes, "its process was ended by signal %d", WTERMSIG(status));
    else if (status >= 0)
        (void)snprintf(text, text_bytes, "its process ended with status %d", WEXITSTATUS(status));
    else
        (void)snprintf(text, text_bytes, "its process ended");
    return JQ_DIED;
}

/* The input that the process had when it ended; NULL: none. */
static struct job *job_running(struct jq *jq) {
    struct job *job = job_first(jq);
    if (jq->state != STATE_READY || job == NULL || (job == jq->unsent && jq->unsent_done == 0))
        return NULL;
    return job;
}

/* Whoever sends documents can make this happen. */
static void say_again(struct jq *jq, const char *reason) {
    uint32_t left_out;
    if (logfmt_allowed(&jq->said, clock_mono_ns(), &left_out))
        logfmt(LOGFMT_WARN, "a jq process is started again",
               "mapping=%s reason=\"%s\" waiting=%" PRIu32 " left_out=%" PRIu32, jq->quoted, reason,
               jq->waiting, left_out);
}

/* The process has ended, or is to (`overdue`): whose fault it was, who is answered, and another process. */
static enum turn breach(struct jq *jq, bool overdue) {
    char text[128];
    struct job *job = job_running(jq);
    events_free(jq);
    enum jq_result result = end_reason(jq, jq_process_end(&jq->process), text, sizeof text);
    if (overdue) {
        uint64_t ns = jq->state == STATE_STARTING ? JQ_START_NS : JQ_CLOCK_FACTOR * jq->time_ns + NS_PER_S;
        result = JQ_TIMEOUT;
        (void)snprintf(text, sizeof text, "it has given no answer for %" PRIu64 " ms", ns / NS_PER_MS);
    }
    if (jq->first_start) {
        jq->state = STATE_PAUSE;
        if (jq->refused == NULL)
            jq->refused = strdup(text);
        return TURN_ANEW;
    }
    say_again(jq, text);
    /* What inputs before it have left behind, or who has killed the process, may be at fault: that is seen
     * when it ends a second time. */
    bool again = job != NULL && !job->again && result != JQ_TIMEOUT;
    bool pause = jq->state == STATE_STARTING || (result == JQ_DIED && jq->answered == 0 && !again);
    if (again)
        job->again = true;
    else if (job != NULL)
        list_remove(&job->place); /* it is not sent again */
    start_again(jq, pause);
    if (job != NULL && !again)
        if (job_answer(jq, job, &(struct jq_answer){.result = result, .text = text}) == TURN_FREED)
            return TURN_FREED;
    return TURN_ANEW;
}

/* ---- what comes ---- */

static enum turn frame_take_first(struct jq *jq, struct jq_frame_head head, const char *payload) {
    if (head.kind == JQ_FRAME_REFUSED && jq->refused == NULL)
        jq->refused = heap_text(payload, head.length);
    if (head.kind != JQ_FRAME_READY)
        return breach(jq, false);
    jq->state = STATE_READY;
    jq->deadline_ns = input_deadline(jq);
    return TURN_ON;
}

static enum turn frame_take(struct jq *jq, struct jq_frame_head head, char *payload) {
    struct jq_answer answer = {.text = ""};
    struct job *job = job_first(jq);
    if (jq->state == STATE_STARTING)
        return frame_take_first(jq, head, payload);
    if (job == NULL || job == jq->unsent) /* an answer to nothing that was asked */
        return breach(jq, false);
    if (head.kind == JQ_FRAME_OUTPUTS && outputs_read(jq, payload, head.length, &answer.count)) {
        answer.outputs = jq->outputs;
    } else if (head.kind == JQ_FRAME_ERROR) {
        answer.result = JQ_FAILED;
        answer.text = payload;
    } else {
        return breach(jq, false);
    }
    jq->answered++;
    jq->deadline_ns = input_deadline(jq);
    char behind = payload[head.length]; /* the next frame's first byte gives way to a NUL meanwhile */
    payload[head.length] = '\0';
    enum turn turn = job_answer(jq, job, &answer);
    if (turn != TURN_FREED)
        payload[head.length] = behind;
    return turn;
}

static enum turn frames_take(struct jq *jq) {
    struct jq_frame_head head;
    enum turn turn = TURN_ON;
    size_t at = 0;
    while (turn == TURN_ON && jq->in_used - at >= sizeof head) {
        memcpy(&head, jq->in + at, sizeof head);
        if (jq->in_used - at - sizeof head < head.length)
            break;
        at += sizeof head;
        turn = frame_take(jq, head, jq->in + at);
        at += head.length;
    }
    if (turn != TURN_ON)
        return turn;
    jq->in_used -= at;
    if (at > 0 && jq->in_used > 0)
        memmove(jq->in, jq->in + at, jq->in_used);
    return TURN_ON;
}

/* Room for the frame that is on its way, and a NUL. */
static int in_room(struct jq *jq) {
    struct jq_frame_head head = {0};
    if (jq->in_used >= sizeof head)
        memcpy(&head, jq->in, sizeof head);
    if (head.length > JQ_TEXT_BYTES_MAX + (uint64_t)JQ_OUTPUTS_MAX * (sizeof(uint32_t) + 1) + KIB)
        return -EPROTO;
    size_t wanted = sizeof head + head.length + 1;
    if (wanted < jq->in_used + RECEIVE_LEAST)
        wanted = jq->in_used + RECEIVE_LEAST;
    if (wanted <= jq->in_capacity)
        return 0;
    char *in = realloc(jq->in, wanted);
    if (in == NULL)
        return -ENOMEM;
    jq->in = in;
    jq->in_capacity = wanted;
    return 0;
}

/* What is there, within reason. */
static enum turn receive(struct jq *jq) {
    enum turn turn = TURN_ON;
    for (size_t taken = 0; turn == TURN_ON && taken < RECEIVE_TURN_MAX;) {
        if (in_room(jq) != 0)
            return breach(jq, false);
        ssize_t count =
            recv(jq->process.socket, jq->in + jq->in_used, jq->in_capacity - 1 - jq->in_used, MSG_DONTWAIT);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0 && errno == EAGAIN)
            return TURN_ON;
        if (count <= 0)
            return breach(jq, false);
        jq->in_used += (size_t)count;
        taken += (size_t)count;
        turn = frames_take(jq);
    }
    return turn;
}

/* ---- what goes ---- */

/* The frames that wait, without copying them. */
static size_t frames_collect(struct jq *jq, struct iovec *parts) {
    size_t count = 0, skip = jq->unsent_done;
    if (jq->setup_sent < jq->setup_length) {
        parts[0] = (struct iovec){jq->setup + jq->setup_sent, jq->setup_length - jq->setup_sent};
        return 1;
    }
    if (jq->state != STATE_READY || jq->unsent == NULL)
        return 0;
    for (struct list *place = &jq->unsent->place; place != &jq->jobs && count < SEND_FRAMES_MAX;
         place = place->next, skip = 0) {
        struct job *job = job_of(place);
        parts[count++] = (struct iovec){job->frame + skip, job->frame_length - skip};
    }
    return count;
}

static void frames_sent(struct jq *jq, size_t sent) {
    if (jq->setup_sent < jq->setup_length) {
        jq->setup_sent += sent;
        return;
    }
    if (jq->unsent != NULL && &jq->unsent->place == jq->jobs.next && jq->unsent_done == 0)
        jq->deadline_ns = input_deadline(jq); /* it was idle */
    while (sent > 0 && jq->unsent != NULL) {
        size_t left = jq->unsent->frame_length - jq->unsent_done;
        if (sent < left) {
            jq->unsent_done += sent;
            return;
        }
        sent -= left;
        struct list *next = jq->unsent->place.next;
        jq->unsent = next != &jq->jobs ? job_of(next) : NULL;
        jq->unsent_done = 0;
    }
}

/* True: the socket is full. That the process has gone is found when reading. */
static bool send_waiting(struct jq *jq) {
    struct iovec parts[SEND_FRAMES_MAX];
    for (size_t count; (count = frames_collect(jq, parts)) > 0;) {
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
        ssize_t sent = sendmsg(jq->process.socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EINTR)
            return errno == EAGAIN;
        frames_sent(jq, sent > 0 ? (size_t)sent : 0);
    }
    return false;
}

/* ---- turns ---- */

static bool deadline_counts(const struct jq *jq) {
    return jq->state != STATE_READY || !list_empty(&jq->jobs);
}

/* When the deadline is over. What has come meanwhile, while others kept the thread busy, counts. */
static enum turn deadline_keep(struct jq *jq) {
    if (!deadline_counts(jq) || clock_mono_ns() < jq->deadline_ns)
        return TURN_ON;
    if (jq->state == STATE_PAUSE) {
        (void)start(jq);
        return TURN_ANEW;
    }
    enum turn turn = receive(jq);
    if (turn != TURN_ON || !deadline_counts(jq) || clock_mono_ns() < jq->deadline_ns)
        return turn;
    return breach(jq, true);
}

/* After anything that may have changed what is to be sent or waited for. */
static void settle(struct jq *jq) {
    if (jq->state != STATE_PAUSE && send_waiting(jq))
        (void)event_add(jq->writable, NULL);
    if (!deadline_counts(jq) || (jq->timer_ns != 0 && jq->timer_ns <= jq->deadline_ns))
        return;
    uint64_t now = clock_mono_ns(), ns = jq->deadline_ns > now ? jq->deadline_ns - now : 0;
    struct timeval wait = {.tv_sec = (time_t)(ns / NS_PER_S),
                           .tv_usec = (suseconds_t)(ns % NS_PER_S / NS_PER_US)};
    jq->timer_ns = jq->deadline_ns;
    (void)event_add(jq->timer, &wait);
}

static void on_readable(evutil_socket_t socket, short what, void *user) {
    struct jq *jq = user;
    (void)socket, (void)what;
    if (receive(jq) != TURN_FREED)
        settle(jq);
}

static void on_writable(evutil_socket_t socket, short what, void *user) {
    (void)socket, (void)what;
    settle(user);
}

static void on_timer(evutil_socket_t socket, short what, void *user) {
    struct jq *jq = user;
    (void)socket, (void)what;
    jq->timer_ns = 0;
    if (deadline_keep(jq) != TURN_FREED)
        settle(jq);
}

/* One turn without the base: waits for the process. */
static enum turn wait_turn(struct jq *jq) {
    bool full = jq->state != STATE_PAUSE && send_waiting(jq);
    struct pollfd ready = {.fd = jq->process.socket, .events = (short)(full ? POLLIN | POLLOUT : POLLIN)};
    uint64_t now = clock_mono_ns();
    int ms = jq->deadline_ns > now ? (int)((jq->deadline_ns - now) / NS_PER_MS) + 1 : 0;
    if (poll(&ready, 1, deadline_counts(jq) ? ms : -1) > 0 && (ready.revents & ~POLLOUT) != 0) {
        enum turn turn = receive(jq);
        if (turn != TURN_ON)
            return turn;
    }
    return deadline_keep(jq);
}

/* ---- the interface ---- */

static bool setup_make(struct jq *jq, const struct jq_options *options) {
    size_t variables = options->variables != NULL ? strlen(options->variables) : 0,
           program = strlen(options->program);
    struct jq_setup setup = {.memory_bytes = jq->memory_bytes,
                             .time_ns = jq->time_ns,
                             .variables_length = (uint32_t)variables,
                             .program_length = (uint32_t)program};
    struct jq_frame_head head = {.kind = JQ_FRAME_SETUP,
                                 .length = (uint32_t)(sizeof setup + variables + 1 + program + 1)};
    jq->setup_length = sizeof head + head.length;
    jq->setup = calloc(1, jq->setup_length);
    if (jq->setup == NULL)
        return false;
    char *at = jq->setup;
    memcpy(at, &head, sizeof head);
    memcpy(at += sizeof head, &setup, sizeof setup);
    if (variables > 0)
        memcpy(at + sizeof setup, options->variables, variables);
    memcpy(at + sizeof setup + variables + 1, options->program, program);
    return true;
}

static bool jq_init_texts(struct jq *jq, const struct jq_options *options) {
    const char *name = options->name != NULL ? options->name : "jq";
    jq->name = strdup(name);
    (void)logfmt_quote(jq->quoted, sizeof jq->quoted, name, strlen(name));
    if (options->executable != NULL && (jq->executable = strdup(options->executable)) == NULL)
        return false;
    return jq->name != NULL && setup_make(jq, options);
}

static struct jq *jq_make(struct event_base *base, const struct jq_options *options) {
    struct jq *jq = calloc(1, sizeof *jq);
    if (jq == NULL)
        return NULL;
    list_init(&jq->jobs);
    jq->base = base;
    jq->process.socket = -1;
    jq->memory_bytes = options->memory_bytes > 0 ? options->memory_bytes : JQ_MEMORY_DEFAULT;
    jq->time_ns = options->time_ns > 0 ? options->time_ns : JQ_TIME_DEFAULT;
    jq->waiting_max = options->waiting_max > 0 ? options->waiting_max : JQ_WAITING_DEFAULT;
    if (base != NULL && (jq->timer = evtimer_new(base, on_timer, jq)) == NULL) {
        jq_destroy(jq);
        return NULL;
    }
    if (!jq_init_texts(jq, options)) {
        jq_destroy(jq);
        return NULL;
    }
    return jq;
}

struct jq *jq_new(struct event_base *base, const struct jq_options *options, char *why, size_t why_bytes) {
    if (strlen(options->program) > JQ_TEXT_BYTES_MAX ||
        (options->variables != NULL && strlen(options->variables) > JQ_TEXT_BYTES_MAX)) {
        (void)snprintf(why, why_bytes, "the program, or its variables, are more than 64 MiB");
        return NULL;
    }
    struct jq *jq = jq_make(base, options);
    if (jq == NULL) {
        (void)snprintf(why, why_bytes, "there is no memory");
        return NULL;
    }
    jq->first_start = true;
    int result = start(jq);
    if (result != 0)
        (void)snprintf(why, why_bytes, "its process can not be started: %s", strerror(-result));
    while (jq->state == STATE_STARTING)
        (void)wait_turn(jq);
    jq->first_start = false;
    if (jq->state == STATE_READY)
        return jq;
    if (result == 0)
        (void)snprintf(why, why_bytes, "%s", jq->refused != NULL ? jq->refused : "there is no memory");
    jq_destroy(jq);
    return NULL;
}

void jq_free(struct jq *jq) {
    if (jq == NULL)
        return;
    if (jq->calling)
        jq->freed = true;
    else
        jq_destroy(jq);
}

static struct job *job_make(const char *json, size_t length, jq_on_answer *on_answer, void *user) {
    bool oversized = length > JQ_TEXT_BYTES_MAX;
    struct jq_frame_head head = {.kind = oversized ? JQ_FRAME_OVERSIZED : JQ_FRAME_INPUT,
                                 .length = oversized ? 0 : (uint32_t)length};
    struct job *job = malloc(sizeof *job + sizeof head + head.length);
    if (job == NULL)
        return NULL;
    *job = (struct job){.on_answer = on_answer, .user = user, .frame_length = sizeof head + head.length};
    list_init(&job->place);
    memcpy(job->frame, &head, sizeof head);
    if (head.length > 0)
        memcpy(job->frame + sizeof head, json, head.length);
    return job;
}

int jq_run(struct jq *jq, const char *json, size_t length, jq_on_answer *on_answer, void *user) {
    if (jq->waiting >= jq->waiting_max ||
        (jq->waiting > 0 && jq->waiting_bytes + length > JQ_WAITING_BYTES_MAX))
        return -EAGAIN;
    struct job *job = job_make(json, length, on_answer, user);
    if (job == NULL)
        return -ENOMEM;
    list_add(&jq->jobs, &job->place);
    jq->waiting++;
    jq->waiting_bytes += job->frame_length;
    if (jq->unsent == NULL)
        jq->unsent = job;
    if (jq->writable != NULL) /* all of this turn's inputs go with one system call */
        event_active(jq->writable, EV_WRITE, 0);
    return 0;
}

struct now {
    jq_on_answer *on_answer;
    void *user;
    bool done;
};

static void on_now(void *user, const struct jq_answer *answer) {
    struct now *now = user;
    now->done = true;
    now->on_answer(now->user, answer);
}

int jq_run_now(struct jq *jq, const char *json, size_t length, jq_on_answer *on_answer, void *user) {
    struct now now = {.on_answer = on_answer, .user = user};
    CHECK(!jq->calling);
    int result = jq_run(jq, json, length, on_now, &now);
    while (result == 0 && !now.done)
        if (wait_turn(jq) == TURN_FREED)
            return 0;
    return result;
}

uint64_t jq_restarts(const struct jq *jq) {
    return jq->restarts;
}

uint32_t jq_waiting(const struct jq *jq) {
    return jq->waiting;
}
