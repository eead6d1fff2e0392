#include "core/bridge/jq_worker.h"

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/bridge/jq_frame.h"

#include <errno.h>
#include <jq.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define WORKER_BYTES_KEPT (1u * MIB) /* a larger buffer is given back after its input */

struct bytes {
    char *data;
    size_t used;
    size_t capacity;
};

struct worker {
    jq_state *jq;
    uint64_t time_ns;
    struct bytes in;
    struct bytes out;
    struct bytes errors; /* of the compiler */
};

static void worker_memory(void *unused) {
    (void)unused;
    _exit(JQ_WORKER_MEMORY);
}

/* ---- bytes ---- */

static char *bytes_room(struct bytes *bytes, size_t wanted) {
    if (bytes->capacity - bytes->used < wanted) {
        size_t capacity = bytes->capacity + bytes->capacity / 2;
        if (capacity < bytes->used + wanted)
            capacity = bytes->used + wanted;
        char *data = realloc(bytes->data, capacity);
        if (data == NULL)
            worker_memory(NULL);
        bytes->data = data;
        bytes->capacity = capacity;
    }
    return bytes->data + bytes->used;
}

static void bytes_add(struct bytes *bytes, const void *data, size_t length) {
    if (length > 0)
        memcpy(bytes_room(bytes, length), data, length);
    bytes->used += length;
}

static void bytes_empty(struct bytes *bytes) {
    bytes->used = 0;
    if (bytes->capacity > WORKER_BYTES_KEPT) {
        free(bytes->data);
        *bytes = (struct bytes){0};
    }
}

/* ---- confinement ---- */

static bool limit(__rlimit_resource_t resource, rlim_t most) {
    struct rlimit both = {.rlim_cur = most, .rlim_max = most};
    return setrlimit(resource, &both) == 0;
}

/* What the process has mapped before it reads anything, in bytes; 0: not known. */
static uint64_t mapped(void) {
    char text[64] = "";
    FILE *file = fopen("/proc/self/statm", "re"); /* pages in all, then of several kinds */
    if (file != NULL) {
        if (fgets(text, sizeof text, file) == NULL)
            text[0] = '\0';
        (void)fclose(file);
    }
    return strtoull(text, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* From here on no file can be opened: what is open are the socket and /dev/null. */
static bool confine(void) {
    static char *nothing[] = {NULL}; /* jq does not expect the NULL of clearenv */
    environ = nothing;
    return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           chdir("/") == 0 && limit(RLIMIT_CORE, 0) && limit(RLIMIT_FSIZE, 0) && limit(RLIMIT_NPROC, 0) &&
           limit(RLIMIT_NOFILE, 0);
}

/* The process is ended by SIGPROF when it has used so much CPU time from now on. */
static void time_limit(uint64_t ns) {
    struct itimerval timer = {.it_value = {.tv_sec = (time_t)(ns / NS_PER_S),
                                           .tv_usec = (suseconds_t)(ns % NS_PER_S / NS_PER_US) + 1}};
    if (timer.it_value.tv_usec >= 1000000)
        timer.it_value.tv_usec = 999999;
    CHECK(setitimer(ITIMER_PROF, &timer, NULL) == 0);
}

/* ---- frames ---- */

/* Until so many bytes are there; they are at the beginning of `in`. False: the other end is gone. */
static bool receive(struct bytes *in, size_t wanted) {
    while (in->used < wanted) {
        size_t room = wanted - in->used > 64 * KIB ? wanted - in->used : 64 * KIB;
        ssize_t count = read(JQ_WORKER_SOCKET, bytes_room(in, room), room);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        in->used += (size_t)count;
    }
    return true;
}

static void answer_begin(struct bytes *out) {
    struct jq_frame_head head = {0};
    out->used = 0;
    bytes_add(out, &head, sizeof head);
}

static bool answer_send(struct bytes *out, enum jq_frame_kind kind) {
    struct jq_frame_head head = {.kind = kind, .length = (uint32_t)(out->used - sizeof head)};
    memcpy(out->data, &head, sizeof head);
    for (size_t sent = 0; sent < out->used;) {
        ssize_t count = send(JQ_WORKER_SOCKET, out->data + sent, out->used - sent, MSG_NOSIGNAL);
        if (count < 0 && errno != EINTR)
            return false;
        sent += count > 0 ? (size_t)count : 0;
    }
    bytes_empty(out);
    return true;
}

static bool answer_error(struct worker *worker, const char *text, size_t length) {
    answer_begin(&worker->out);
    bytes_add(&worker->out, text, length < JQ_ERROR_BYTES_MAX ? length : JQ_ERROR_BYTES_MAX);
    return answer_send(&worker->out, JQ_FRAME_ERROR);
}

/* ---- the program ---- */

/* "jq: error: foo/1 is not defined at <top-level>, line 1:\nPROGRAM": a line without what is always so. */
static void compile_error(void *user, jv message) {
    static const char prefix[] = "jq: error: ", quoting[] = " (Unix shell quoting issues?)",
                      place[] = " at <top-level>, line ";
    struct worker *worker = user;
    message = jq_format_error(message);
    const char *text = jv_string_value(message), *counted = strstr(text, " compile error");
    if (strncmp(text, prefix, sizeof prefix - 1) == 0)
        text += sizeof prefix - 1;
    else if (counted != NULL)
        text = ""; /* how many there were */
    if (*text != '\0' && worker->errors.used > 0)
        bytes_add(&worker->errors, "\n", 1);
    const char *at = strstr(text, place), *quote = strstr(text, quoting);
    if (at == NULL) {
        bytes_add(&worker->errors, text, strcspn(text, "\n"));
    } else if (*text != '\0') {
        bytes_add(&worker->errors, "line ", 5);
        bytes_add(&worker->errors, at + sizeof place - 1, strspn(at + sizeof place - 1, "0123456789"));
        bytes_add(&worker->errors, ": ", 2);
        bytes_add(&worker->errors, text, (size_t)((quote != NULL && quote < at ? quote : at) - text));
    }
    jv_free(message);
}

/* `debug` says nothing to anybody; jq 1.6 leaves who is told to chance. */
static void debug_message(void *unused, jv message) {
    (void)unused;
    jv_free(message);
}

/* One JSON text. Invalid with a message otherwise. */
static jv parse(const char *text, size_t length) {
    struct jv_parser *parser = jv_parser_new(0);
    jv_parser_set_buf(parser, text, (int)length, 0);
    jv value = jv_parser_next(parser);
    if (jv_is_valid(value)) {
        jv more = jv_parser_next(parser);
        if (jv_is_valid(more) || jv_invalid_has_msg(jv_copy(more))) {
            jv_free(value);
            value = jv_invalid_with_msg(jv_string("something stands behind the value"));
        }
        jv_free(more);
    } else if (!jv_invalid_has_msg(jv_copy(value))) {
        jv_free(value);
        value = jv_invalid_with_msg(jv_string("there is no value"));
    }
    jv_parser_free(parser);
    return value;
}

static void compile(struct worker *worker, const char *variables, size_t variables_length,
                    const char *program) {
    jv names = variables_length > 0 ? parse(variables, variables_length) : jv_object();
    if (jv_get_kind(names) != JV_KIND_OBJECT) {
        static const char text[] = "the variables are not a JSON object";
        bytes_add(&worker->errors, text, sizeof text - 1);
        jv_free(names);
        return;
    }
    worker->jq = jq_init();
    if (worker->jq == NULL)
        worker_memory(NULL);
    jq_util_input_state *inputs = jq_util_input_init(NULL, NULL); /* none: `input` is the end of them */
    jq_util_input_set_parser(inputs, jv_parser_new(0), 0);
    jq_set_nomem_handler(worker->jq, worker_memory, NULL);
    jq_set_error_cb(worker->jq, compile_error, worker);
    jq_set_debug_cb(worker->jq, debug_message, NULL);
    jq_set_input_cb(worker->jq, jq_util_input_next_input_cb, inputs);
    jq_set_attr(worker->jq, jv_string("JQ_LIBRARY_PATH"), jv_array());
    if (!jq_compile_args(worker->jq, program, names) && worker->errors.used == 0) {
        static const char text[] = "the program can not be compiled";
        bytes_add(&worker->errors, text, sizeof text - 1);
    }
}

/* The first frame, whole: 0, or the status to exit with. */
static int set_up(struct worker *worker, uint64_t mapped_before) {
    struct jq_frame_head head;
    struct jq_setup setup;
    if (!receive(&worker->in, sizeof head))
        return JQ_WORKER_USAGE;
    memcpy(&head, worker->in.data, sizeof head);
    if (head.kind != JQ_FRAME_SETUP || head.length < sizeof setup ||
        !receive(&worker->in, sizeof head + head.length))
        return JQ_WORKER_USAGE;
    memcpy(&setup, worker->in.data + sizeof head, sizeof setup);
    if (!limit(RLIMIT_AS, (rlim_t)(mapped_before + worker->in.capacity + setup.memory_bytes)))
        return JQ_WORKER_USAGE;
    worker->time_ns = setup.time_ns;
    const char *variables = worker->in.data + sizeof head + sizeof setup;
    time_limit(JQ_START_NS);
    compile(worker, variables, setup.variables_length, variables + setup.variables_length + 1);
    worker->in.used = 0; /* nothing is sent before the answer */
    bytes_empty(&worker->in);
    answer_begin(&worker->out);
    bytes_add(&worker->out, worker->errors.data, worker->errors.used);
    bool refused = worker->errors.used > 0;
    if (!answer_send(&worker->out, refused ? JQ_FRAME_REFUSED : JQ_FRAME_READY) || refused)
        return JQ_WORKER_USAGE;
    return 0;
}

/* ---- inputs ---- */

/* The sentence of an error: a string as it is, anything else as JSON. Consumes the value. */
static bool answer_failed(struct worker *worker, jv message) {
    if (jv_get_kind(message) == JV_KIND_INVALID)
        message = jv_string("the program has ended with an error that has no text");
    else if (jv_get_kind(message) != JV_KIND_STRING)
        message = jv_dump_string(message, 0);
    size_t length = (size_t)jv_string_length_bytes(jv_copy(message));
    bool good = answer_error(worker, jv_string_value(message), length);
    jv_free(message);
    return good;
}

/* Consumes the value. False: it is too much. */
static bool output_add(struct bytes *out, jv value) {
    value = jv_dump_string(value, 0);
    uint32_t length = (uint32_t)jv_string_length_bytes(jv_copy(value));
    bool good = out->used + length <= JQ_TEXT_BYTES_MAX;
    if (good) {
        bytes_add(out, &length, sizeof length);
        bytes_add(out, jv_string_value(value), length + 1);
    }
    jv_free(value);
    return good;
}

/* All outputs go into `out`; what stops them (invalid, perhaps with a message) is returned. */
static jv run(struct worker *worker, jv input, uint32_t *count) {
    jq_start(worker->jq, input, 0);
    for (;;) {
        jv value = jq_next(worker->jq);
        if (!jv_is_valid(value))
            return value;
        if (!output_add(&worker->out, value))
            return jv_invalid_with_msg(jv_string("the outputs of one input are more than 64 MiB"));
        if (++*count > JQ_OUTPUTS_MAX)
            return jv_invalid_with_msg(jv_string("the outputs of one input are more than 1048576"));
    }
}

static bool input_answer(struct worker *worker, const char *text, size_t length) {
    uint32_t count = 0;
    time_limit(worker->time_ns);
    jv input = parse(text, length);
    if (!jv_is_valid(input)) {
        jv message = jv_invalid_get_msg(input);
        message = jv_string_concat(jv_string("the input is not JSON: "), message);
        return answer_failed(worker, message);
    }
    answer_begin(&worker->out);
    bytes_add(&worker->out, &count, sizeof count);
    jv end = run(worker, input, &count);
    bool failed = jv_invalid_has_msg(jv_copy(end));
    jv message = jv_invalid_get_msg(end);
    if (jq_halted(worker->jq)) { /* `halt` is an end like any other, `halt_error` an error */
        jv code = jq_get_exit_code(worker->jq);
        failed = jv_get_kind(code) == JV_KIND_NUMBER && jv_number_value(code) != 0;
        jv_free(code);
        jv_free(message);
        message = failed ? jq_get_error_message(worker->jq) : jv_null();
    }
    if (failed)
        return answer_failed(worker, message);
    jv_free(message);
    memcpy(worker->out.data + sizeof(struct jq_frame_head), &count, sizeof count);
    return answer_send(&worker->out, JQ_FRAME_OUTPUTS);
}

/* False: the other end is gone, or speaks another language. */
static bool frame_answer(struct worker *worker, struct jq_frame_head head, char *payload) {
    static const char oversized[] = "the input is more than 64 MiB";
    if (head.kind == JQ_FRAME_OVERSIZED)
        return answer_error(worker, oversized, sizeof oversized - 1);
    return head.kind == JQ_FRAME_INPUT && input_answer(worker, payload, head.length);
}

/* Several frames may come with one read. */
static void serve(struct worker *worker) {
    struct jq_frame_head head;
    size_t done = 0;
    for (;;) {
        if (worker->in.used - done < sizeof head) {
            memmove(worker->in.data, worker->in.data + done, worker->in.used - done);
            worker->in.used -= done;
            done = 0;
            if (worker->in.used == 0)
                bytes_empty(&worker->in);
            if (!receive(&worker->in, sizeof head))
                return;
        }
        memcpy(&head, worker->in.data + done, sizeof head);
        if (worker->in.used - done - sizeof head < head.length) {
            memmove(worker->in.data, worker->in.data + done, worker->in.used - done);
            worker->in.used -= done;
            done = 0;
            if (!receive(&worker->in, sizeof head + head.length))
                return;
        }
        if (!frame_answer(worker, head, worker->in.data + done + sizeof head))
            return;
        done += sizeof head + head.length;
    }
}

int jq_worker_command(int argc, char **argv) {
    static struct worker worker;
    int type = 0;
    socklen_t size = sizeof type;
    (void)argc, (void)argv;
    if (getsockopt(JQ_WORKER_SOCKET, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
        fputs("roundhouse jq-worker: is started by roundhouse for each jq program, not by hand\n", stderr);
        return JQ_WORKER_USAGE;
    }
    uint64_t mapped_before = mapped();
    if (!confine())
        _exit(JQ_WORKER_USAGE);
    jv_nomem_handler(worker_memory, NULL);
    int status = set_up(&worker, mapped_before);
    if (status == 0)
        serve(&worker);
    _exit(status); /* what is allocated goes with the process */
}
