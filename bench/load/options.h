/* options.h: what one measurement is: who publishes to whom, how much, how fast, how long.
 * Owner: main reads it once from the command line; read-only afterwards. One thread.
 * Every number has its unit in its name; `load --help` lists them.
 * Nothing blocks.
 * A wrong option ends the program with status 64. */
#pragma once

#include "bench/load/protocol.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum share {
    SHARE_ALL,   /* every subscriber gets every event */
    SHARE_SPLIT, /* subscriber k gets the topics whose number is k modulo the subscribers */
};

enum mode { MODE_MAX, MODE_PACED, MODE_IDLE, MODE_ACKED, MODE_REPLAY, MODE_DISK };

struct options {
    const struct protocol *protocol;
    struct sockaddr_in address;
    enum mode mode;
    enum share share;
    uint32_t publishers, subscribers, topics;
    uint32_t payload;      /* bytes of a whole CloudEvent */
    bool text;             /* its data is text */
    enum ack ack;          /* which acknowledgement the publishers want; they must all come */
    uint32_t outstanding;  /* acked: events of one publisher that are not acknowledged, at most */
    const char *directory; /* disk: where its file is made; borrowed from the command line */
    uint32_t write_bytes;  /* disk: of one write, or read */
    bool read;             /* disk: reads what was written before */
    uint64_t events;       /* replay: how many there are */
    double rate;           /* paced: events per second */
    double seconds, warm_up_seconds;
    uint64_t window_bytes; /* max: bytes on their way to one subscriber at most */
    uint64_t check_bytes;  /* compared byte for byte per subscriber, at the beginning and at the end */
    pid_t server;          /* whose CPU time and memory are measured, 0 = nobody's */
    int server_cpu;        /* whose busy time is measured, -1 = none */
    uint32_t filtered;     /* of the subscribers, have a filter that every event passes, */
    bool filters_differ;   /* ... each one of its own */
    uint32_t stopped;      /* further subscribers that never read */
    uint32_t idle;         /* further connections that subscribe to a silent topic */
    double pause_ms;       /* paced: all subscribers stop reading for so long in the middle */
    uint32_t churn;        /* subscribes, and as many unsubscribes, per second by one more connection */
    double stall_seconds;  /* no progress for so long is a failure */
};

#define OUTSTANDING_MAX  65536u
#define DISK_BLOCK_BYTES 4096u
#define DISK_FILE_BYTES  (64u << 20)  /* as long as a segment of the journal, then it begins anew */
#define DISK_READ_BYTES  (512u << 20) /* the same, of a file that is read */

void options_read(struct options *options, int argc, char **argv);
