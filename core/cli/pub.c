#include "core/cli/pub.h"

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/cli/args.h"
#include "core/cli/cli.h"
#include "core/cli/places.h"
#include "core/cli/pub_options.h"
#include "core/cli/rate.h"
#include "core/cli/said.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PUB_BATCH          256u            /* events between two looks at the connection */
#define PUB_REFUSALS_SHOWN 20u             /* the others are counted; the same for duplicates */
#define PUB_STALL_NS       (30 * NS_PER_S) /* without any progress the server counts as gone */
#define PUB_PROGRESS_NS    (200 * NS_PER_MS)
#define PUB_SEND_BYTES_MIN (4 * MIB)
#define PUB_ASKED_EVENTS   MIB /* without acknowledgement: a refusal is of one of so many last events */

struct pub {
    struct pub_options options;
    rh_client *client;
    struct source_item item; /* topic NULL = none is waiting, for its time or for room */
    uint64_t published;
    uint64_t settled;
    uint64_t refused;
    uint64_t unknown;    /* of them: may be stored or not */
    uint64_t duplicates; /* acknowledged, and not stored again */
    uint64_t bad_lines;
    struct places places;
    struct rate rate;
    struct said said; /* why the connection is away */
    uint64_t start_ns;
    uint64_t progress_ns; /* when anything went on last */
    uint64_t shown_ns;    /* when the progress line was written last; 0 = never */
    bool terminal;
    bool connected_once;
    bool lost_unacknowledged;
    bool full; /* the waiting event waits for room */
    bool wake; /* the client has just become able to take events */
    bool source_waits;
    bool source_ended;
    int stopped; /* by this signal */
    int status;  /* CLI_OK, or why it ends early */
};

static volatile sig_atomic_t pub_signalled;

static void pub_on_signal(int number) {
    pub_signalled = number;
}

/* The second signal of a kind ends the program at once. */
static void pub_catch_signals(void) {
    struct sigaction action = {.sa_handler = pub_on_signal, .sa_flags = (int)SA_RESETHAND};
    CHECK(sigaction(SIGINT, &action, NULL) == 0 && sigaction(SIGTERM, &action, NULL) == 0);
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR); /* whoever reads our messages may go, the events stay */
}

static void pub_tell(const struct pub *pub, const char *text) {
    if (pub->shown_ns != 0)
        fputs("\r\033[K", stderr);
    fprintf(stderr, "roundhouse pub: %s\n", text);
}

/* ---- what the client library says ---- */

static void pub_tell_refusal(const struct pub *pub, const struct rh_refusal *refusal) {
    char text[600];
    const char *what = pub->options.source.kind == SOURCE_PARTS ? "event" : "line";
    bool field = refusal->field[0] != '\0';
    (void)snprintf(text, sizeof text, "%s %llu %s: %s (%s%s%s)", what,
                   (unsigned long long)places_line(&pub->places, refusal->ordinal),
                   refusal->code == RH_CODE_UNKNOWN_OUTCOME ? "is of unknown outcome" : "refused",
                   refusal->text, rh_code_name((enum rh_code)refusal->code), field ? ", field " : "",
                   refusal->field);
    pub_tell(pub, text);
}

static void pub_tell_duplicate(const struct pub *pub, const struct rh_duplicate *duplicate) {
    char text[200];
    const char *what = pub->options.source.kind == SOURCE_PARTS ? "event" : "line";
    (void)snprintf(text, sizeof text,
                   "%s %llu is a duplicate: not stored again, its first one has sequence %llu", what,
                   (unsigned long long)places_line(&pub->places, duplicate->ordinal),
                   (unsigned long long)duplicate->sequence);
    pub_tell(pub, text);
}

static void pub_on_ack(void *user, const rh_ack *ack) {
    struct pub *pub = user;
    pub->progress_ns = clock_mono_ns();
    if (ack->through > pub->settled)
        pub->settled = ack->through;
    for (size_t i = 0; i < ack->refused_count; i++) {
        pub->unknown += ack->refused[i].code == RH_CODE_UNKNOWN_OUTCOME;
        if (++pub->refused <= PUB_REFUSALS_SHOWN)
            pub_tell_refusal(pub, &ack->refused[i]);
    }
    for (size_t i = 0; i < ack->duplicates_count; i++)
        if (++pub->duplicates <= PUB_REFUSALS_SHOWN)
            pub_tell_duplicate(pub, &ack->duplicates[i]);
    places_settle(&pub->places, pub->settled);
}

static void pub_on_state(void *user, enum rh_state state, const char *why) {
    struct pub *pub = user;
    char text[400];
    if (state == RH_STATE_CONNECTED) {
        (void)snprintf(text, sizeof text, "connected again%s%s", why[0] != '\0' ? ", to " : "", why);
        if (pub->connected_once)
            pub_tell(pub, text);
        pub->connected_once = true;
        said_forget(&pub->said);
        pub->wake = true;
        pub->progress_ns = clock_mono_ns();
    }
    if (state != RH_STATE_WAITING)
        return;
    if (!pub->connected_once) {
        pub_tell(pub, why);
        pub->status = CLI_UNAVAILABLE;
        return;
    }
    pub->lost_unacknowledged =
        pub->lost_unacknowledged || (pub->options.ack == RH_ACK_NONE && pub->published > 0);
    (void)snprintf(text, sizeof text, "the connection is lost, trying again: %s", why);
    if (said_anew(&pub->said, why))
        pub_tell(pub, text);
}

static void pub_on_writable(void *user) {
    ((struct pub *)user)->wake = true;
}

static void pub_on_error(void *user, int code, const char *text, bool fatal, uint64_t subscription) {
    char line[400];
    (void)subscription;
    if (fatal)
        return; /* the end of the connection tells it, too */
    (void)snprintf(line, sizeof line, "the server says: %s (%s)", text, rh_code_name((enum rh_code)code));
    pub_tell(user, line);
}

/* ---- from the source to the client ---- */

/* This line holds no event: those that refusals name are counted without it. */
static void pub_skip_line(struct pub *pub) {
    if (pub->options.ack == RH_ACK_NONE && pub->published > PUB_ASKED_EVENTS)
        places_settle(&pub->places, pub->published - PUB_ASKED_EVENTS);
    if (places_skip(&pub->places, pub->published) != 0) {
        pub_tell(pub, "out of memory");
        pub->status = CLI_INTERNAL;
    }
}

/* The source has given something that can not be published. */
static void pub_bad(struct pub *pub, const char *why) {
    char text[400];
    const struct source *source = &pub->options.source;
    if (source->kind == SOURCE_PARTS)
        (void)snprintf(text, sizeof text, "%s", why);
    else
        (void)snprintf(text, sizeof text, "line %llu: %s", (unsigned long long)source->lines.number, why);
    pub_tell(pub, text);
    if (!pub->options.keep_going) {
        pub->status = CLI_DATA;
        return;
    }
    pub->bad_lines++;
    pub_skip_line(pub);
}

static void pub_source_failed(struct pub *pub) {
    char text[300];
    (void)snprintf(text, sizeof text, "%s, line %llu: %s", pub_file_name(&pub->options),
                   (unsigned long long)pub->options.source.lines.number + 1, pub->options.source.why);
    pub_tell(pub, text);
    pub->status = CLI_DATA;
}

/* Fetches the next event when none is waiting. false: this time there was none. */
static bool pub_fetch(struct pub *pub) {
    if (pub->item.topic != NULL)
        return true;
    enum source_result result = source_next(&pub->options.source, &pub->item);
    pub->source_waits = result == SOURCE_WAIT;
    pub->source_ended = result == SOURCE_END;
    if (result == SOURCE_BAD)
        pub_bad(pub, pub->options.source.why);
    else if (result == SOURCE_BLANK)
        pub_skip_line(pub);
    else if (result == SOURCE_FAILED)
        pub_source_failed(pub);
    return result == SOURCE_EVENT;
}

/* Hands the waiting event over, or passes over one that can not be sent. false: there is no room. */
static bool pub_hand_over(struct pub *pub) {
    const struct source_item *item = &pub->item;
    int64_t result =
        rh_publish(pub->client, item->topic, item->topic_length, item->event, item->event_length);
    if (result <= 0 && result != RH_INVALID)
        return false;
    pub->item.topic = NULL;
    if (result == RH_INVALID) {
        pub_bad(pub, rh_client_error(pub->client));
        return true;
    }
    pub->published++;
    if (pub->options.rate > 0)
        rate_spend(&pub->rate, clock_mono_ns());
    return true;
}

static bool pub_takes(const struct pub *pub) {
    return pub->status == CLI_OK && !pub->source_ended && pub->stopped == 0 && pub->connected_once;
}

/* Whether an event waits for its time. */
static bool pub_paced(const struct pub *pub) {
    return pub->options.rate > 0 && pub->item.topic != NULL && !pub->full && pub_takes(pub);
}

/* Hands over up to a batch of events. true: the client wants to work, or there may be more at once. */
static bool pub_feed(struct pub *pub) {
    pub->full = false;
    for (unsigned i = 0; i < PUB_BATCH; i++) {
        if (!pub_takes(pub))
            return false;
        bool fetched = pub_fetch(pub);
        if (pub_paced(pub) && rate_wait_ms(&pub->rate, clock_mono_ns()) > 0)
            return false;
        if (fetched && !pub_hand_over(pub)) {
            pub->full = true;
            return false;
        }
        if (pub->source_waits)
            return false;
    }
    return true;
}

/* ---- the loop ---- */

static void pub_show_progress(struct pub *pub, uint64_t now) {
    if (!pub->terminal || pub->options.quiet || now - pub->start_ns < NS_PER_S ||
        now - pub->shown_ns < PUB_PROGRESS_NS)
        return;
    pub->shown_ns = now;
    fprintf(stderr, "\r\033[K%llu", (unsigned long long)pub->published);
    if (pub->options.source.kind == SOURCE_PARTS)
        fprintf(stderr, " of %llu", (unsigned long long)pub->options.source.count);
    fputs(" published", stderr);
    if (pub->options.ack != RH_ACK_NONE)
        fprintf(stderr, ", %llu settled", (unsigned long long)pub->settled);
}

static int pub_wait_ms(const struct pub *pub, uint64_t now) {
    int wait = rh_timeout_ms(pub->client);
    int most = pub->terminal ? (int)(PUB_PROGRESS_NS / NS_PER_MS) : 1000;
    if (pub_paced(pub) && rate_wait_ms(&pub->rate, now) < most)
        most = rate_wait_ms(&pub->rate, now);
    return wait < 0 || wait > most ? most : wait;
}

static void pub_wait(struct pub *pub) {
    struct pollfd ready[2] = {{.fd = rh_fd(pub->client), .events = rh_events(pub->client)},
                              {.fd = pub->source_waits ? pub->options.file : -1, .events = POLLIN}};
    (void)poll(ready, 2, pub_wait_ms(pub, clock_mono_ns()));
}

/* A server that neither takes nor acknowledges anything for so long is not there. */
static void pub_look_for_stall(struct pub *pub, uint64_t now, uint64_t published_before) {
    bool unsettled = pub->options.ack != RH_ACK_NONE && pub->settled < pub->published;
    bool leaving = pub->source_ended || pub->stopped != 0;
    bool owed = unsettled || leaving || pub->full || rh_client_state(pub->client) != RH_STATE_CONNECTED;
    if (pub->published != published_before || !owed)
        pub->progress_ns = now;
    if (now - pub->progress_ns < PUB_STALL_NS)
        return;
    char text[400];
    (void)snprintf(text, sizeof text, "no progress for 30 s, giving up%s%s",
                   rh_client_error(pub->client)[0] != '\0' ? ": " : "", rh_client_error(pub->client));
    pub_tell(pub, text);
    pub->status = CLI_UNAVAILABLE;
}

static void pub_stop(struct pub *pub) {
    if (pub_signalled == 0 || pub->stopped != 0)
        return;
    pub->stopped = pub_signalled;
    pub_tell(pub, "stopped by a signal; what was handed over is still brought to its end");
}

/* Until all is said and the server has said Goodbye, or something is wrong. Returns what the client ended
 * with. */
static int pub_loop(struct pub *pub) {
    int result = RH_OK;
    while (pub->status == CLI_OK || pub->status == CLI_DATA) {
        uint64_t before = pub->published;
        pub_stop(pub);
        bool busy = pub_feed(pub);
        pub->wake = false;
        if (pub->source_ended || pub->stopped != 0 || pub->status == CLI_DATA)
            (void)rh_close(pub->client); /* what was handed over is still brought to its end */
        result = rh_process(pub->client);
        if (result != RH_OK)
            break;
        uint64_t now = clock_mono_ns();
        pub_look_for_stall(pub, now, before);
        pub_show_progress(pub, now);
        if (!busy && !pub->wake)
            pub_wait(pub);
    }
    return result;
}

static int pub_status(struct pub *pub, int result) {
    if (result == RH_REFUSED) {
        pub_tell(pub, rh_client_error(pub->client));
        return CLI_DATA;
    }
    if (pub->status != CLI_OK)
        return pub->status;
    if (pub->options.ack != RH_ACK_NONE && pub->settled < pub->published) {
        pub_tell(pub, rh_client_error(pub->client));
        return CLI_UNAVAILABLE;
    }
    if (pub->lost_unacknowledged) {
        pub_tell(pub, "the connection was lost on the way: without --ack routed nobody knows what arrived");
        return CLI_UNAVAILABLE;
    }
    if (pub->unknown > 0 && pub->unknown == pub->refused && pub->bad_lines == 0)
        return CLI_UNAVAILABLE;
    return pub->refused > 0 || pub->bad_lines > 0 ? CLI_DATA : CLI_OK;
}

static void pub_summary(const struct pub *pub) {
    if (pub->options.quiet || (!pub->connected_once && pub->published == 0))
        return;
    if (pub->shown_ns != 0)
        fputs("\r\033[K", stderr);
    fprintf(stderr, "published %llu event%s", (unsigned long long)pub->published,
            pub->published == 1 ? "" : "s");
    uint64_t refused = pub->refused < pub->settled ? pub->refused : pub->settled;
    if (pub->options.ack != RH_ACK_NONE)
        fprintf(stderr, ", %llu acknowledged as %s", (unsigned long long)(pub->settled - refused),
                pub->options.ack == RH_ACK_DISK ? "on disk" : "routed");
    if (pub->duplicates > 0)
        fprintf(stderr, ", %llu of them duplicate%s, not stored again", (unsigned long long)pub->duplicates,
                pub->duplicates == 1 ? "" : "s");
    if (pub->refused > pub->unknown)
        fprintf(stderr, ", %llu refused", (unsigned long long)(pub->refused - pub->unknown));
    if (pub->unknown > 0)
        fprintf(stderr, ", %llu of unknown outcome", (unsigned long long)pub->unknown);
    if (pub->bad_lines > 0)
        fprintf(stderr, ", %llu bad line%s passed over", (unsigned long long)pub->bad_lines,
                pub->bad_lines == 1 ? "" : "s");
    fprintf(stderr, ", in %.2f s\n", (double)(clock_mono_ns() - pub->start_ns) / (double)NS_PER_S);
}

static int pub_run(struct pub *pub) {
    const char *error;
    size_t data = pub->options.source.parts.data_length;
    rh_options options = {.server = pub->options.server,
                          .name = "roundhouse pub",
                          .ack = pub->options.ack,
                          .send_buffer_bytes = 2 * data + PUB_SEND_BYTES_MIN,
                          .callbacks = {.on_ack = pub_on_ack,
                                        .on_state = pub_on_state,
                                        .on_error = pub_on_error,
                                        .on_writable = pub_on_writable},
                          .user = pub};
    if (pub->options.source.kind != SOURCE_PARTS)
        options.send_buffer_bytes = 2 * FRAME_BYTES_MAX; /* address space; only what is used becomes memory */
    pub->client = rh_client_new(&options, &error);
    if (pub->client == NULL)
        return args_no_client("pub", pub->options.server, error);
    pub_catch_signals();
    pub->terminal = isatty(STDERR_FILENO) != 0;
    pub->start_ns = clock_mono_ns();
    pub->progress_ns = pub->start_ns;
    rate_init(&pub->rate, pub->options.rate, pub->start_ns);
    int status = pub_status(pub, pub_loop(pub));
    pub_summary(pub);
    rh_client_free(pub->client);
    return status;
}

int pub_command(int argc, char **argv) {
    struct pub pub = {0};
    int status = pub_options_read(&pub.options, argc, argv);
    if (status == CLI_OK && !pub.options.help)
        status = pub_run(&pub);
    pub_options_deinit(&pub.options);
    places_deinit(&pub.places);
    if (pub.stopped != 0) { /* as whoever has sent the signal expects */
        (void)signal(pub.stopped, SIG_DFL);
        (void)raise(pub.stopped);
    }
    return status;
}
