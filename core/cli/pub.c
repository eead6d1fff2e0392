#include "core/cli/pub.h"

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/cli/args.h"
#include "core/cli/cli.h"
#include "core/cli/pub_options.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PUB_BATCH          256u            /* events between two looks at the connection */
#define PUB_REFUSALS_SHOWN 20u             /* the others are counted */
#define PUB_STALL_NS       (30 * NS_PER_S) /* without any progress the server counts as gone */
#define PUB_PROGRESS_NS    (200 * NS_PER_MS)
#define PUB_SEND_BYTES_MIN (4 * MIB)

struct pub {
    struct pub_options options;
    rh_client *client;
    struct source_item item; /* topic NULL = none is waiting for room */
    uint64_t published;
    uint64_t settled;
    uint64_t refused;
    uint64_t bad_lines;
    uint64_t *bad_after; /* owns; for each bad line, how many events came before it */
    uint64_t start_ns;
    uint64_t progress_ns; /* when anything went on last */
    uint64_t shown_ns;    /* when the progress line was written last; 0 = never */
    bool terminal;
    bool connected_once;
    bool lost_unacknowledged;
    bool wake; /* the client has just become able to take events */
    bool source_waits;
    bool source_ended;
    int status; /* CLI_OK, or why it ends early */
};

static void pub_tell(const struct pub *pub, const char *text) {
    if (pub->shown_ns != 0)
        fputs("\r\033[K", stderr);
    fprintf(stderr, "roundhouse pub: %s\n", text);
}

/* ---- what the client library says ---- */

/* The line that an event came from: bad lines before it count as lines and not as events. */
static uint64_t pub_line_of(const struct pub *pub, uint64_t ordinal) {
    uint64_t line = ordinal;
    for (uint64_t i = 0; i < pub->bad_lines && pub->bad_after[i] < ordinal; i++)
        line++;
    return line;
}

static void pub_tell_refusal(const struct pub *pub, const struct rh_refusal *refusal) {
    char text[600], where[64];
    const char *what = pub->options.source.kind == SOURCE_PARTS ? "event" : "line";
    (void)snprintf(where, sizeof where, "%s %llu", what,
                   (unsigned long long)pub_line_of(pub, refusal->ordinal));
    bool field = refusal->field[0] != '\0';
    (void)snprintf(text, sizeof text, "%s refused: %s (%s%s%s)", where, refusal->text,
                   rh_code_name((enum rh_code)refusal->code), field ? ", field " : "", refusal->field);
    pub_tell(pub, text);
}

static void pub_on_ack(void *user, const rh_ack *ack) {
    struct pub *pub = user;
    pub->progress_ns = clock_mono_ns();
    if (ack->through > pub->settled)
        pub->settled = ack->through;
    for (size_t i = 0; i < ack->refused_count; i++)
        if (++pub->refused <= PUB_REFUSALS_SHOWN)
            pub_tell_refusal(pub, &ack->refused[i]);
}

static void pub_on_state(void *user, enum rh_state state, const char *why) {
    struct pub *pub = user;
    char text[400];
    if (state == RH_STATE_CONNECTED) {
        if (pub->connected_once)
            pub_tell(pub, "connected again");
        pub->connected_once = true;
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
    pub_tell(pub, text);
}

static void pub_on_writable(void *user) {
    ((struct pub *)user)->wake = true;
}

static void pub_on_error(void *user, int code, const char *text, bool fatal, uint64_t subscription) {
    char line[400];
    (void)fatal;
    (void)subscription;
    (void)snprintf(line, sizeof line, "the server says: %s (%s)", text, rh_code_name((enum rh_code)code));
    pub_tell(user, line);
}

/* ---- from the source to the client ---- */

static void pub_bad(struct pub *pub) {
    char text[300];
    const struct source *source = &pub->options.source;
    if (source->kind == SOURCE_PARTS) {
        pub_tell(pub, source->why);
        pub->status = CLI_DATA;
        return;
    }
    (void)snprintf(text, sizeof text, "line %llu: %s", (unsigned long long)source->lines.number, source->why);
    pub_tell(pub, text);
    if (!pub->options.keep_going) {
        pub->status = CLI_DATA;
        return;
    }
    /* Grown by doubling: at each power of two. */
    if ((pub->bad_lines & (pub->bad_lines - 1)) == 0) {
        size_t room = pub->bad_lines > 0 ? 2 * (size_t)pub->bad_lines : 1;
        uint64_t *grown = realloc(pub->bad_after, room * sizeof *grown);
        if (grown == NULL) {
            pub->status = CLI_INTERNAL;
            return;
        }
        pub->bad_after = grown;
    }
    pub->bad_after[pub->bad_lines++] = source->made;
}

static void pub_source_failed(struct pub *pub) {
    char text[300];
    (void)snprintf(text, sizeof text, "%s, after line %llu: %s", pub->options.file_name,
                   (unsigned long long)pub->options.source.lines.number, pub->options.source.why);
    pub_tell(pub, text);
    pub->status = CLI_DATA;
}

/* Fetches the next event when none is waiting. false: there is none now. */
static bool pub_fetch(struct pub *pub) {
    enum source_result result = SOURCE_EVENT;
    while (pub->item.topic == NULL && pub->status == CLI_OK) {
        result = source_next(&pub->options.source, &pub->item);
        if (result == SOURCE_BAD)
            pub_bad(pub);
        else if (result != SOURCE_EVENT)
            break;
    }
    pub->source_waits = result == SOURCE_WAIT;
    pub->source_ended = result == SOURCE_END;
    if (result == SOURCE_FAILED)
        pub_source_failed(pub);
    return pub->item.topic != NULL;
}

/* Hands the waiting event over. false: there is no room, or it can not be taken at all. */
static bool pub_hand_over(struct pub *pub) {
    const struct source_item *item = &pub->item;
    int64_t result =
        rh_publish(pub->client, item->topic, item->topic_length, item->event, item->event_length);
    if (result == RH_INVALID) {
        char text[400];
        (void)snprintf(text, sizeof text, "%s %llu can not be sent: %s",
                       pub->options.source.kind == SOURCE_PARTS ? "event" : "line",
                       (unsigned long long)pub_line_of(pub, pub->options.source.made),
                       rh_client_error(pub->client));
        pub_tell(pub, text);
        pub->status = CLI_DATA;
    }
    if (result <= 0)
        return false;
    pub->item.topic = NULL;
    pub->published++;
    return true;
}

/* When the next event may go; 0 = now. */
static uint64_t pub_due_ns(const struct pub *pub) {
    if (pub->options.rate <= 0)
        return 0;
    return pub->start_ns + (uint64_t)((double)pub->published / pub->options.rate * (double)NS_PER_S);
}

/* Hands over up to a batch of events. true: the client wants to work, or there may be more at once. */
static bool pub_feed(struct pub *pub) {
    for (unsigned i = 0; i < PUB_BATCH; i++) {
        if (pub->status != CLI_OK || pub->source_ended || !pub->connected_once)
            return false;
        if (pub->options.rate > 0 && clock_mono_ns() < pub_due_ns(pub))
            return false;
        if (!pub_fetch(pub) || !pub_hand_over(pub))
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
    fprintf(stderr, "\r\033[K%llu published, %llu settled", (unsigned long long)pub->published,
            (unsigned long long)pub->settled);
}

static int pub_wait_ms(const struct pub *pub, uint64_t now) {
    int wait = rh_timeout_ms(pub->client);
    uint64_t due = pub->source_ended || pub->source_waits ? 0 : pub_due_ns(pub);
    int most = pub->terminal ? (int)(PUB_PROGRESS_NS / NS_PER_MS) : 1000;
    if (due > now && (due - now) / NS_PER_MS < (uint64_t)most)
        most = (int)((due - now + NS_PER_MS - 1) / NS_PER_MS);
    return wait < 0 || wait > most ? most : wait;
}

static void pub_wait(struct pub *pub) {
    struct pollfd ready[2] = {{.fd = rh_fd(pub->client), .events = rh_events(pub->client)},
                              {.fd = pub->source_waits ? pub->options.file : -1, .events = POLLIN}};
    (void)poll(ready, 2, pub_wait_ms(pub, clock_mono_ns()));
}

/* A server that neither takes nor acknowledges anything for so long is not there. */
static void pub_look_for_stall(struct pub *pub, uint64_t now, uint64_t published_before) {
    bool owed = pub->settled < pub->published || pub->source_ended || pub->item.topic != NULL ||
                rh_client_state(pub->client) != RH_STATE_CONNECTED;
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

/* Until all is said and the server has said Goodbye, or something is wrong. Returns what the client ended
 * with. */
static int pub_loop(struct pub *pub) {
    int result = RH_OK;
    while (pub->status == CLI_OK || pub->status == CLI_DATA) {
        uint64_t before = pub->published;
        bool busy = pub_feed(pub);
        pub->wake = false;
        if (pub->source_ended || pub->status == CLI_DATA)
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
    if (pub->options.ack == RH_ACK_ROUTED && pub->settled < pub->published) {
        pub_tell(pub, rh_client_error(pub->client));
        return CLI_UNAVAILABLE;
    }
    if (pub->lost_unacknowledged) {
        pub_tell(pub, "the connection was lost on the way: without --ack routed nobody knows what arrived");
        return CLI_UNAVAILABLE;
    }
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
    if (pub->options.ack == RH_ACK_ROUTED)
        fprintf(stderr, ", %llu acknowledged as routed", (unsigned long long)(pub->settled - refused));
    if (pub->refused > 0)
        fprintf(stderr, ", %llu refused", (unsigned long long)pub->refused);
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
        return args_mistake("pub", "--server %s: %s", pub->options.server, error);
    pub->terminal = isatty(STDERR_FILENO) != 0;
    pub->start_ns = clock_mono_ns();
    pub->progress_ns = pub->start_ns;
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
    free(pub.bad_after);
    return status;
}
