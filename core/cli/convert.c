#include "core/cli/convert.h"

#include "codecs/erp/csv_out.h"
#include "codecs/erp/event.h"
#include "codecs/erp/json.h"
#include "codecs/erp/model.h"
#include "codecs/erp/model.h"
#include "codecs/erp/pack.h"
#include "codecs/event/json.h"
#include "core/bridge/outlet.h"
#include "core/cli/args.h"
#include "core/cli/cli.h"
#include "core/cli/documents.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <time.h>

static const char convert_usage[] =
    "usage: roundhouse convert [OPTION...] FILE...\n"
    "\n"
    "Reads business documents (EDIFACT, X12, IDoc flat and XML, UBL, JSON), finds their format out by their "
    "content, "
    "and\n"
    "prints what is in them as canonical events; - is standard input. No server is needed.\n"
    "\n"
    "  --to FORMAT           json: each message as one line of JSON (the default)\n"
    "                        events: as a line for `roundhouse pub --format ndjson`: topic and CloudEvent\n"
    "                        proto: as protobuf, each message behind its length\n"
    "                        ubl: as documents of UBL 2.1, of orders, responses, despatch advices, "
    "invoices\n"
    "                        edifact: of the same, as ORDERS, ORDCHG, ORDRSP, DESADV, INVOIC\n"
    "                        x12: of the same, as 850, 860, 855, 856, 810\n"
    "                        csv: as rows of a table, by a template\n"
    "  --template FILE       for csv: which columns there are; see LAYOUTS.md\n"
    "  --sender [QUALIFIER:]ID, --receiver [QUALIFIER:]ID  of edifact and x12, where they are not to be "
    "those\n"
    "                        of the document that was read\n"
    "  --version VERSION     of edifact: D:96A:UN, of x12: 004010, where it was not read from the same "
    "format\n"
    "  --test                of edifact and x12: it is a test\n"
    "  --message NAME        of canonical JSON: Order, Invoice, ..., where neither a CloudEvent nor its "
    "origin\n"
    "                        says which it is\n" DOCUMENTS_USAGE
    "  -q, --quiet           errors only: no warnings, no notes\n"
    "  -v, --verbose         every warning and note; else 20 of a rule in one file, and how many more there "
    "are\n"
    "  -h, --help            this text\n"
    "\n"
    "A message that breaks a rule is refused: it is told on standard error and left out, and reading goes on "
    "at the\n"
    "next one. What the message says and the format that is written has no place for is told, too.\n"
    "\n"
    "Examples:\n"
    "  roundhouse convert orders.edi\n"
    "  roundhouse convert --to edifact order.xml > orders.edi\n"
    "  roundhouse convert --to events --tolerate edifact.count-differs in/*.edi | roundhouse pub --format "
    "ndjson\n"
    "\n"
    "Exit status: 0 all messages were converted, 64 usage, 65 a message was refused or a file can not be "
    "read,\n"
    "70 internal, 78 a map or a layout of your own is wrong.\n";

enum convert_to { TO_JSON, TO_EVENTS, TO_PROTO, TO_UBL, TO_EDIFACT, TO_X12, TO_CSV, TOS };
static const char *const convert_to_names[] = {"json", "events", "proto", "ubl", "edifact", "x12", "csv"};

enum {
    CONVERT_TO = DOCUMENTS_NEXT,
    CONVERT_TEMPLATE,
    CONVERT_SENDER,
    CONVERT_RECEIVER,
    CONVERT_VERSION,
    CONVERT_TEST,
    CONVERT_MESSAGE
};
static const struct option convert_long_options[] = {
    {"to", required_argument, NULL, CONVERT_TO},
    {"template", required_argument, NULL, CONVERT_TEMPLATE},
    {"sender", required_argument, NULL, CONVERT_SENDER},
    {"receiver", required_argument, NULL, CONVERT_RECEIVER},
    {"version", required_argument, NULL, CONVERT_VERSION},
    {"test", no_argument, NULL, CONVERT_TEST},
    {"message", required_argument, NULL, CONVERT_MESSAGE},
    DOCUMENTS_OPTIONS,
    {"quiet", no_argument, NULL, 'q'},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct convert_run {
    struct documents documents;
    enum convert_to to;
    bool quiet, verbose, help;
    struct erp_maker *maker;
    struct packer *packer; /* owns; made when it is wanted */
    struct outlet *outlet;
    struct json_in *json;
    const char *message; /* what canonical JSON is */
    struct erp_edi_options edi;
    const char *message_ref; /* of the message that is written, for what is told of it */
    struct erp_csv csv;
    bool csv_known;
    uint64_t written, refused;
    uint64_t met[FINDING_CODES]; /* warnings and notes of each rule in this file */
};

#define REFERENCE_BYTES  10u /* nine digits, which X12 has room for */
#define CONVERT_TOLD_MAX 20u /* of one rule, in one file */

/* ---- messages ---- */

static bool write_json(const ProtobufCMessage *message) {
    struct bytes text = {0};
    erp_json_write(message, &text);
    bytes_add(&text, "\n", 1);
    bool done = !text.failed;
    if (done)
        (void)fwrite(text.data, 1, text.length, stdout);
    bytes_free(&text);
    return done;
}

static bool write_event(struct convert_run *run, const struct erp_result *result) {
    struct erp_event event;
    struct fault fault = {0};
    char *text;
    size_t length;
    if (!erp_event_make(run->maker, result, &event, &fault))
        return false;
    bool done = event_to_json(event.event, event.length, &text, &length, &fault);
    if (done) {
        printf("{\"topic\":\"%s\",\"event\":", event.topic);
        (void)fwrite(text, 1, length, stdout);
        fputs("}\n", stdout);
        free(text);
    }
    return done;
}

static bool packed(struct convert_run *run, const ProtobufCMessage *message) {
    if (run->packer == NULL)
        run->packer = packer_new(model_events, MODEL_EVENTS);
    if (run->packer == NULL)
        return false;
    pack_begin(run->packer);
    pack_message(run->packer, message);
    return !pack_failed(run->packer);
}

static bool write_proto(struct convert_run *run, const ProtobufCMessage *message) {
    if (!packed(run, message))
        return false;
    pack_varint(run->packer, pack_length(run->packer));
    if (pack_failed(run->packer))
        return false;
    (void)fwrite(pack_data(run->packer), 1, pack_length(run->packer), stdout);
    return true;
}

/* The text that was made of it; or, as there is none for this kind of message, that is told. */
static bool write_text(struct convert_run *run, const struct erp_result *result, struct bytes *text, bool can,
                       const char *what) {
    if (!can) {
        fprintf(stderr, "%s: %s has nothing for this: %s\n", run->documents.file, what,
                result->message->descriptor->short_name);
        run->documents.status = CLI_DATA;
    }
    bool done = !text->failed;
    if (can && done)
        (void)fwrite(text->data, 1, text->length, stdout);
    bytes_free(text);
    return done;
}

static void on_lost(void *context, const char *path, const char *was, const char *is) {
    struct convert_run *run = context;
    fprintf(stderr, "%s: note: message %s: ", run->documents.file, run->message_ref);
    if (*is == '\0')
        fprintf(stderr, "%s '%.64s' has no place in %s\n", path, was, convert_to_names[run->to]);
    else
        fprintf(stderr, "%s '%.64s' became '%.64s' in %s\n", path, was, is, convert_to_names[run->to]);
}

/* What nobody has said when: now. */
static struct erp_edi_options edi_options(const struct convert_run *run, const struct erp_result *result) {
    struct erp_edi_options options = run->edi;
    time_t now = time(NULL);
    struct tm tm;
    if (result->header->origin->prepared == NULL && gmtime_r(&now, &tm) != NULL) {
        options.date = (tm.tm_year + 1900) * 10000 + (tm.tm_mon + 1) * 100 + tm.tm_mday;
        options.time = tm.tm_hour * 10000 + tm.tm_min * 100 + tm.tm_sec;
    }
    return options;
}

/* Of a document that has none of its own, by its content: other documents get others, and the same the same.
 */
static const char *reference_made(struct convert_run *run, const struct erp_result *result,
                                  char out[static REFERENCE_BYTES]) {
    const char *said = result->header->origin->interchange_ref;
    if ((said != NULL && said[0] != '\0') || !packed(run, result->message))
        return NULL;
    uint64_t hash = XXH3_64bits(pack_data(run->packer), pack_length(run->packer));
    (void)snprintf(out, REFERENCE_BYTES, "%09" PRIu64, hash % 999999999 + 1);
    return out;
}

static bool write_document(struct convert_run *run, const struct erp_result *result,
                           enum outlet_format format) {
    struct bytes text = {0};
    char reference[REFERENCE_BYTES];
    struct erp_edi_options options = edi_options(run, result);
    if (format != OUTLET_UBL && options.interchange_ref == NULL)
        options.interchange_ref = reference_made(run, result, reference);
    run->message_ref = result->header->origin->message_ref;
    enum outlet_result done =
        outlet_write(run->outlet, format, result->message, &options, &text, run->quiet ? NULL : on_lost, run);
    text.failed |= done == OUTLET_NO_MEMORY;
    return write_text(run, result, &text, done != OUTLET_NONE, outlet_format_name(format));
}

static bool write_csv(struct convert_run *run, const struct erp_result *result) {
    struct bytes text = {0};
    if (run->written == 0)
        erp_csv_header(&run->csv, &text);
    bool can = erp_csv_write(&run->csv, result->message, &text);
    return write_text(run, result, &text, can, "the template");
}

static bool convert_write(struct convert_run *run, const struct erp_result *result) {
    switch (run->to) {
    case TO_JSON:
        return write_json(result->message);
    case TO_EVENTS:
        return write_event(run, result);
    case TO_PROTO:
        return write_proto(run, result->message);
    case TO_UBL:
        return write_document(run, result, OUTLET_UBL);
    case TO_EDIFACT:
        return write_document(run, result, OUTLET_EDIFACT);
    case TO_X12:
        return write_document(run, result, OUTLET_X12);
    case TO_CSV:
        return write_csv(run, result);
    case TOS:
        break;
    }
    return false;
}

static void refuse(struct convert_run *run, const struct erp_result *result, const char *why) {
    const struct document_head *head = result->head;
    fprintf(stderr, "%s: message %.*s (%.*s) is refused: %s\n", run->documents.file,
            (int)head->message_ref.length, (const char *)head->message_ref.bytes, (int)head->name.length,
            (const char *)head->name.bytes, why);
    run->refused++;
    if (run->documents.status == CLI_OK)
        run->documents.status = CLI_DATA;
}

static void on_message(void *context, const struct erp_result *result) {
    struct convert_run *run = context;
    if (result->errors > 0)
        refuse(run, result, "it breaks rules, see above");
    else if (result->message == NULL)
        refuse(run, result, "there is no map for it");
    else if (convert_write(run, result))
        run->written++;
    else {
        fprintf(stderr, "roundhouse convert: out of memory\n");
        run->documents.status = CLI_INTERNAL;
    }
}

static void on_finding(void *context, const struct finding *finding) {
    struct convert_run *run = context;
    if (finding->severity == FINDING_ERROR && run->documents.status == CLI_OK)
        run->documents.status = CLI_DATA;
    bool error = finding->severity == FINDING_ERROR;
    if (!error && run->met[finding->code]++ >= CONVERT_TOLD_MAX && !run->verbose)
        return;
    if (!run->quiet || error)
        documents_finding(&run->documents, finding, stderr);
}

/* The file is over. */
static void findings_more(struct convert_run *run) {
    for (uint32_t i = 0; i < FINDING_CODES && !run->quiet && !run->verbose; i++)
        if (run->met[i] > CONVERT_TOLD_MAX)
            fprintf(stderr, "%s: %s: %" PRIu64 " more of these; --verbose tells them all\n",
                    run->documents.file, finding_kind((enum finding_code)i)->name,
                    run->met[i] - CONVERT_TOLD_MAX);
    memset(run->met, 0, sizeof run->met);
}

/* ---- the work ---- */

static int convert_to_of(const char *name, enum convert_to *to) {
    for (int i = 0; i < TOS; i++)
        if (strcmp(name, convert_to_names[i]) == 0) {
            *to = (enum convert_to)i;
            return CLI_OK;
        }
    return args_mistake("convert", "--to is json, events, proto, ubl, edifact, x12 or csv, not '%s'", name);
}

static int convert_template(struct convert_run *run, const char *path) {
    struct layout_error error = {0};
    size_t length;
    char *text = documents_text(&run->documents, path, &length);
    if (text == NULL)
        return CLI_CONFIG;
    erp_csv_free(&run->csv);
    int result = erp_csv_read(&run->csv, text, length, &error);
    free(text);
    run->csv_known = result == 0;
    if (result == 0)
        return CLI_OK;
    fprintf(stderr, "roundhouse convert: %s:%" PRIu32 ": %s\n", path, error.line,
            result == -ENOMEM ? "out of memory" : error.text);
    return CLI_CONFIG;
}

/* ID or QUALIFIER:ID. */
static void convert_party(struct erp_edi_party *party, char *text) {
    char *colon = strchr(text, ':');
    if (colon != NULL)
        *colon = '\0';
    *party = (struct erp_edi_party){.id = colon != NULL ? colon + 1 : text,
                                    .qualifier = colon != NULL ? text : NULL};
}

static void convert_edi(struct convert_run *run, int option, char *value) {
    if (option == CONVERT_SENDER)
        convert_party(&run->edi.sender, value);
    else if (option == CONVERT_RECEIVER)
        convert_party(&run->edi.receiver, value);
    else if (option == CONVERT_VERSION)
        run->edi.version = value;
    else if (option == CONVERT_MESSAGE)
        run->message = value;
    else
        run->edi.use = ERP_EDI_TEST;
}

static int convert_asked(const struct convert_run *run, bool files) {
    if (run->help)
        return CLI_OK;
    if (!files)
        return args_mistake("convert",
                            "a FILE is missing; - is standard input; see roundhouse convert --help");
    if (run->message != NULL && model_event(run->message, strlen(run->message)) == NULL)
        return args_mistake("convert", "--message is Order, OrderResponse, ..., not '%s'", run->message);
    if ((run->to == TO_CSV) != run->csv_known)
        return args_mistake("convert", "--to csv and --template FILE belong together");
    return CLI_OK;
}

static int convert_read(struct convert_run *run, int argc, char **argv) {
    int option;
    int status = CLI_OK;
    opterr = 0;
    while (status == CLI_OK && (option = getopt_long(argc, argv, ":qvh", convert_long_options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return args_option_mistake("convert", option, argv);
        if (option == CONVERT_TO)
            status = convert_to_of(optarg, &run->to);
        else if (option == CONVERT_TEMPLATE)
            status = convert_template(run, optarg);
        else if (option >= CONVERT_SENDER)
            convert_edi(run, option, optarg);
        else if (option == 'q' || option == 'v' || option == 'h')
            *(option == 'q' ? &run->quiet : option == 'v' ? &run->verbose : &run->help) = true;
        else
            status = documents_option(&run->documents, option, optarg);
    }
    return status == CLI_OK ? convert_asked(run, optind < argc) : status;
}

static int convert_files(struct convert_run *run, char **files, int count) {
    struct erp_engine_options options = {.library = formats_maps(run->documents.formats),
                                         .profile = &run->documents.profile,
                                         .context = run,
                                         .message = on_message,
                                         .finding = on_finding};
    struct erp_engine *engine = erp_engine_new(&options);
    run->maker = erp_maker_new();
    run->outlet = outlet_new();
    run->json = json_in_new(&(struct json_in_options){.maps = formats_maps(run->documents.formats),
                                                      .kind = run->message,
                                                      .context = run,
                                                      .message = on_message,
                                                      .finding = on_finding});
    run->documents.json = run->json;
    if (engine == NULL || run->maker == NULL || run->outlet == NULL || run->json == NULL) {
        fprintf(stderr, "roundhouse convert: out of memory\n");
        run->documents.status = CLI_INTERNAL;
        count = 0;
    }
    for (int i = 0; i < count; i++) {
        uint8_t digest[ERP_DIGEST_BYTES];
        erp_engine_file(engine, documents_digest(files[i], digest) ? digest : NULL);
        struct document_sink sink = erp_engine_sink(engine);
        (void)documents_read(&run->documents, files[i], &sink, NULL);
        findings_more(run);
    }
    if (run->refused > 0)
        fprintf(stderr, "roundhouse convert: %" PRIu64 " converted, %" PRIu64 " refused\n", run->written,
                run->refused);
    erp_engine_free(engine);
    erp_maker_free(run->maker);
    packer_free(run->packer);
    outlet_free(run->outlet);
    json_in_free(run->json);
    return run->documents.status;
}

int convert_command(int argc, char **argv) {
    struct convert_run run = {.edi.lines = true};
    int status = documents_init(&run.documents, "convert");
    if (status == CLI_OK)
        status = convert_read(&run, argc, argv);
    if (status == CLI_OK && run.help)
        fputs(convert_usage, stdout);
    else if (status == CLI_OK) {
        status = documents_ready(&run.documents);
        if (status == CLI_OK)
            status = convert_files(&run, argv + optind, argc - optind);
    }
    erp_csv_free(&run.csv);
    documents_deinit(&run.documents);
    return status;
}
