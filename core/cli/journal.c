#include "core/cli/journal.h"

#include "codecs/wire/scan.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/cli/args.h"
#include "core/cli/cli.h"
#include "core/cli/show.h"
#include "core/journal/salvage.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const char journal_usage[] =
    "usage: roundhouse journal verify DIR\n"
    "       roundhouse journal export [--log N] [--from SEQUENCE] DIR\n"
    "       roundhouse journal cut DIR --accept-loss\n"
    "\n"
    "For a journal that no router has open.\n"
    "\n"
    "  verify   reads all of it and says for each log whether it is good; changes nothing\n"
    "  export   prints every event that can be read, one line each as `roundhouse sub` does:\n"
    "           {\"topic\": ..., \"sequence\": \"...\", \"event\": {...}}; what can not be read is told on "
    "standard\n"
    "           error; works without MANIFEST, too; changes nothing\n"
    "  cut      gives up, in each damaged log, what lies from the damage on: the last resort when the "
    "router\n"
    "           refuses to start. Segments that are changed or taken away are kept as *.cut-TIME, what is "
    "lost\n"
    "           stands in DIR/loss-TIME.txt. Sequences go on far behind those that are lost\n"
    "\n"
    "  --log N            export only disk log N (default: all, one after the other)\n"
    "  --from SEQUENCE    export from this sequence on, or from this position of each log\n"
    "  --accept-loss      says that events which were acknowledged may be lost by the cut\n"
    "\n"
    "Examples:\n"
    "  roundhouse journal verify /var/lib/roundhouse/journal\n"
    "  roundhouse journal export /var/lib/roundhouse/journal | jq -r .event.id\n"
    "\n"
    "Exit status: 0 good, or done; 64 usage; 65 damaged, or not all could be read (after `cut`: it was "
    "cut);\n"
    "69 a router has it open; 70 the disk failed.\n";

enum journal_option { JOURNAL_LOG = 256, JOURNAL_FROM, JOURNAL_ACCEPT_LOSS };

static const struct option journal_long_options[] = {
    {"log", required_argument, NULL, JOURNAL_LOG},
    {"from", required_argument, NULL, JOURNAL_FROM},
    {"accept-loss", no_argument, NULL, JOURNAL_ACCEPT_LOSS},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct journal_options {
    const char *verb; /* borrows from argv, as all of them */
    const char *directory;
    uint64_t log; /* UINT64_MAX = all */
    uint64_t from;
    bool from_given, accept_loss, help;
};

/* ---- arguments ---- */

static int journal_option(struct journal_options *options, int option, const char *text) {
    switch (option) {
    case JOURNAL_LOG:
        if (args_number(text, 0, JOURNAL_LOGS_MAX - 1, &options->log))
            return CLI_OK;
        return args_mistake("journal", "--log is the number of a disk log, 0 to %u, not '%s'",
                            JOURNAL_LOGS_MAX - 1, text);
    case JOURNAL_FROM:
        options->from_given = true;
        if (args_number(text, 0, UINT64_MAX, &options->from))
            return CLI_OK;
        return args_mistake("journal", "--from is a sequence or a position, a whole number, not '%s'", text);
    case JOURNAL_ACCEPT_LOSS:
        options->accept_loss = true;
        return CLI_OK;
    default:
        options->help = true;
        fputs(journal_usage, stdout);
        return CLI_OK;
    }
}

static int journal_words(struct journal_options *options, int count, char **words) {
    if (count < 1)
        return args_mistake("journal", "say verify, export or cut; see roundhouse journal --help");
    options->verb = words[0];
    bool export = strcmp(words[0], "export") == 0, cut = strcmp(words[0], "cut") == 0;
    if (!export && !cut && strcmp(words[0], "verify") != 0)
        return args_mistake("journal", "there is no '%s': say verify, export or cut", words[0]);
    if (count != 2)
        return args_mistake(
            "journal", count < 2 ? "%s: name the directory of the journal" : "%s: one directory at a time",
            words[0]);
    options->directory = words[1];
    if (!export && (options->log != UINT64_MAX || options->from_given))
        return args_mistake("journal", "--log and --from are for export");
    if (!cut && options->accept_loss)
        return args_mistake("journal", "--accept-loss is for cut");
    if (cut && !options->accept_loss)
        return args_mistake("journal",
                            "cut gives up events that were acknowledged: look with `roundhouse journal "
                            "verify %s` and save what can be read with `roundhouse journal export %s` "
                            "first; then say --accept-loss",
                            words[1], words[1]);
    return CLI_OK;
}

static int journal_options_read(struct journal_options *options, int argc, char **argv) {
    int option, status = CLI_OK;
    *options = (struct journal_options){.verb = "", .log = UINT64_MAX};
    opterr = 0;
    while (status == CLI_OK && !options->help &&
           (option = getopt_long(argc, argv, ":h", journal_long_options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return args_option_mistake("journal", option, argv);
        status = journal_option(options, option, optarg);
    }
    if (status != CLI_OK || options->help)
        return status;
    return journal_words(options, argc - optind, argv + optind);
}

/* ---- lines ---- */

static void line_out(void *user, const char *text) {
    (void)user;
    puts(text);
}

static void line_error(void *user, const char *text) {
    (void)user;
    fprintf(stderr, "%s\n", text);
}

static int journal_refused(const struct journal_trouble *trouble) {
    fprintf(stderr, "roundhouse journal: %s\n", trouble->text);
    return trouble->status;
}

/* ---- the three ---- */

static int journal_verify(struct salvage *salvage, struct journal_trouble *trouble) {
    struct salvage_lines lines = {line_out, NULL};
    int result = salvage_verify(salvage, &lines, trouble);
    if (result < 0)
        return journal_refused(trouble);
    if (result == 0)
        return CLI_OK;
    fprintf(
        stderr,
        "roundhouse journal: damaged. `roundhouse journal export %s` prints what can be read, `roundhouse "
        "journal cut %s --accept-loss` keeps the original and gives up the rest\n",
        salvage->directory, salvage->directory);
    return CLI_DATA;
}

static int journal_cut(struct salvage *salvage, struct journal_trouble *trouble) {
    struct salvage_lines lines = {line_out, NULL};
    int result = salvage_cut(salvage, clock_wall_ns(), &lines, trouble);
    if (result < 0)
        return journal_refused(trouble);
    if (result == 0)
        puts("nothing is damaged, nothing was changed");
    return result == 0 ? CLI_OK : CLI_DATA;
}

struct exported {
    uint64_t unshown; /* records that are no event, or can not be written as JSON */
};

/* Only events; what the router keeps for itself is skipped. */
static bool export_record(void *user, uint32_t log, const struct format_record *record,
                          const uint8_t *bytes) {
    struct exported *exported = user;
    struct wire_frame frame;
    struct wire_event event;
    struct fault fault = {.text = "it is not whole"};
    enum log_type type = log_flags_type(record->flags);
    if (type != LOG_EVENT && type != (enum log_type)JOURNAL_TYPE_EXPIRING)
        return true;
    bool good = wire_next(bytes, record->bytes, record->bytes, &frame, &fault) == WIRE_OK &&
                frame.kind == WIRE_EVENT && wire_event_scan(&frame, &event, &fault);
    if (good) {
        rh_event shown = {.topic = (const char *)event.topic,
                          .topic_length = event.topic_length,
                          .event = event.event,
                          .event_length = event.event_length,
                          .sequence = record->sequence};
        good = show_event(stdout, SHOW_JSON, &shown, &fault);
    }
    if (!good) {
        exported->unshown++;
        fprintf(stderr, "log %u: record %" PRIu64 " can not be shown: %s\n", log, record->number, fault.text);
    }
    return ferror(stdout) == 0;
}

static int journal_export(struct salvage *salvage, const struct journal_options *options,
                          struct journal_trouble *trouble) {
    struct exported exported = {0};
    struct salvage_sink sink = {export_record, &exported};
    struct salvage_lines lines = {line_error, NULL};
    uint64_t from = options->from & ((UINT64_C(1) << 48) - 1);
    bool all = options->log == UINT64_MAX, incomplete = !salvage->manifest_good;
    if (incomplete)
        fprintf(stderr, "%s\n", salvage->reason.text);
    if (!all && salvage->manifest_good && options->log >= salvage->manifest.logs)
        return args_mistake("journal", "there is no disk log %" PRIu64 " in %s, it has %u", options->log,
                            salvage->directory, salvage->manifest.logs);
    for (uint32_t log = 0; log < JOURNAL_LOGS_MAX && ferror(stdout) == 0; log++) {
        if (!all && log != options->log)
            continue;
        int result = salvage_export(salvage, log, from, &sink, &lines, trouble);
        if (result < 0)
            return journal_refused(trouble);
        incomplete = incomplete || result > 0;
    }
    return incomplete || exported.unshown > 0 ? CLI_DATA : CLI_OK;
}

int journal_command(int argc, char **argv) {
    struct journal_options options;
    struct salvage salvage;
    struct journal_trouble trouble;
    int status = journal_options_read(&options, argc, argv);
    if (status != CLI_OK || options.help)
        return status;
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    bool cut = strcmp(options.verb, "cut") == 0;
    if (salvage_open(&salvage, options.directory, NULL, cut, &trouble) != 0)
        return journal_refused(&trouble);
    if (cut)
        status = journal_cut(&salvage, &trouble);
    else if (strcmp(options.verb, "export") == 0)
        status = journal_export(&salvage, &options, &trouble);
    else
        status = journal_verify(&salvage, &trouble);
    salvage_close(&salvage);
    return status;
}
