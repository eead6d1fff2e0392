/* jq_frame.h: what jq.c and the process that it starts say to each other over a socket pair.
 * A frame is a head and so many bytes. The first one in is the set-up, answered by JQ_FRAME_READY or
 * JQ_FRAME_REFUSED; then each JQ_FRAME_INPUT or JQ_FRAME_OVERSIZED is answered by JQ_FRAME_OUTPUTS or
 * JQ_FRAME_ERROR, in order. Both ends are of one build on one machine: numbers are as the CPU has them.
 * Owner: whoever holds the bytes. Thread: any. Nothing blocks.
 * A frame that breaks this is a breach: the process is ended. */
#pragma once

#include <stdint.h>

enum jq_frame_kind {
    JQ_FRAME_SETUP = 1, /* struct jq_setup, the variables' JSON, a NUL, the program, a NUL */
    JQ_FRAME_INPUT,     /* a JSON text */
    JQ_FRAME_OVERSIZED, /* nothing: it stands for an input that was too long, and keeps its place */
    JQ_FRAME_READY,     /* nothing */
    JQ_FRAME_REFUSED,   /* what is wrong with the program or the variables */
    JQ_FRAME_OUTPUTS,   /* uint32_t count; for each: uint32_t length, the bytes, a NUL */
    JQ_FRAME_ERROR,     /* the program's error on this input, or what is wrong with the input */
};

struct jq_frame_head {
    uint32_t kind;
    uint32_t length; /* of what follows */
};

struct jq_setup {
    uint64_t memory_bytes;
    uint64_t time_ns;
    uint32_t variables_length; /* 0: there are none */
    uint32_t program_length;
};

#define JQ_WORKER_SOCKET  3  /* the process's end of the socket pair */
#define JQ_WORKER_MEMORY  81 /* exit status: there was no memory */
#define JQ_WORKER_USAGE   64 /* ... nobody is at the other end */
#define JQ_WORKER_COMMAND "jq-worker"
