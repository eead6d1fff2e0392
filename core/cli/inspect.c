#include "core/cli/inspect.h"

#include "codecs/erp/engine.h"
#include "codecs/erp/model.h"
#include "codecs/event/attributes.h"
#include "core/cli/args.h"
#include "core/cli/cli.h"
#include "core/cli/documents.h"

#include <inttypes.h>
#include <string.h>

static const char inspect_usage[] =
    "usage: roundhouse inspect [OPTION...] FILE...\n"
    "\n"
    "Shows what is in business documents (EDIFACT, X12, IDoc flat and XML, UBL; CSV and fixed width with a "
    "description\n"
    "of yours; JSON: CloudEvents and canonical messages): interchanges, groups, messages and events as an "
    "outline, and\n"
    "every finding where it belongs; - is standard input. No server is needed.\n"
    "\n"
    "  --segments            also each segment, with its elements numbered as maps name them\n"
    "  --message NAME        of canonical JSON: Order, Invoice, ..., where neither a CloudEvent nor its "
    "origin says it\n" DOCUMENTS_USAGE "  -h, --help            this text\n"
    "\n"
    "Examples:\n"
    "  roundhouse inspect orders.edi\n"
    "  roundhouse inspect --segments delivery.idoc | less\n"
    "\n"
    "Exit status: 0 no rule is broken, 64 usage, 65 one is, or a file can not be read, 70 internal, 78 a map "
    "or a\n"
    "layout of your own is wrong.\n";

enum { INSPECT_SEGMENTS = DOCUMENTS_NEXT, INSPECT_MESSAGE };
static const struct option inspect_long_options[] = {
    {"segments", no_argument, NULL, INSPECT_SEGMENTS},
    {"message", required_argument, NULL, INSPECT_MESSAGE},
    DOCUMENTS_OPTIONS,
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct inspect_run {
    struct documents documents;
    bool segments, help;
    const char *message; /* what canonical JSON is; NULL: what it says itself */
    struct erp_engine *engine;
    struct json_in *json;
    struct document_sink mapping; /* of the engine, which is told all that is shown */
    int depth;
};

/* ---- the outline ---- */

static void indent(const struct inspect_run *run) {
    printf("%*s", 2 * (run->depth + 1), "");
}

static void value_show(const char *before, struct value value, const char *behind) {
    if (value.length > 0)
        printf("%s%.*s%s", before, (int)value.length, (const char *)value.bytes, behind);
}

static void parties_show(const struct document_head *head) {
    value_show(" from ", head->sender.id, "");
    value_show(" to ", head->receiver.id, "");
    value_show(", ", head->date, "");
    value_show(" ", head->time, "");
    fputs(head->test ? ", test" : "", stdout);
    fputs(head->acknowledge ? ", to be acknowledged" : "", stdout);
}

static void on_begin(void *context, enum document_scope scope, const struct document_head *head) {
    struct inspect_run *run = context;
    indent(run);
    value_show("", scope == DOCUMENT_INTERCHANGE ? head->format : head->name, "");
    switch (scope) {
    case DOCUMENT_INTERCHANGE:
        value_show(" ", head->syntax, "");
        value_show(" ", head->interchange_ref, "");
        parties_show(head);
        break;
    case DOCUMENT_GROUP:
        fputs(" group", stdout);
        value_show(" ", head->group_ref, "");
        break;
    case DOCUMENT_MESSAGE:
        value_show(" ", head->variant, "");
        value_show(" ", head->version, "");
        value_show(" ", head->association, "");
        value_show(", reference ", head->message_ref, "");
        if (run->depth == 0)
            parties_show(head);
        break;
    case DOCUMENT_AGGREGATE:
        break;
    }
    printf(", byte %" PRIu64 "\n", head->offset);
    run->depth++;
    run->mapping.begin(run->mapping.context, scope, head);
}

static void on_segment(void *context, const struct segment *segment) {
    struct inspect_run *run = context;
    if (run->segments) {
        indent(run);
        printf("%.*s", (int)segment->name.length, (const char *)segment->name.bytes);
        for (uint32_t i = 0; i < segment->element_count; i++) {
            const struct element *element = &segment->elements[i];
            for (uint32_t c = 0; c < element->count; c++) {
                struct value value = segment->components[element->first + c];
                if (value.length == 0)
                    continue;
                printf("  %" PRIu32, element->number);
                if (c > 0)
                    printf(".%" PRIu32, c + 1);
                value_show("=", value, "");
            }
        }
        (void)putchar('\n');
    }
    run->mapping.segment(run->mapping.context, segment);
}

static void on_end(void *context, enum document_scope scope, const struct document_tail *tail) {
    struct inspect_run *run = context;
    run->mapping.end(run->mapping.context, scope, tail);
    if (scope == DOCUMENT_INTERCHANGE || scope == DOCUMENT_GROUP) {
        indent(run);
        printf("%" PRIu32 " %s, %" PRIu64 " bytes\n", tail->messages,
               tail->messages == 1 ? "message" : "messages", tail->length);
    }
    run->depth--;
}

/* The reader's findings go through the engine, which adds its own. */
static void on_reading(void *context, const struct finding *finding) {
    struct inspect_run *run = context;
    run->mapping.finding(run->mapping.context, finding);
}

static void on_finding(void *context, const struct finding *finding) {
    struct inspect_run *run = context;
    if (finding->severity == FINDING_ERROR && run->documents.status == CLI_OK)
        run->documents.status = CLI_DATA;
    indent(run);
    documents_finding(&run->documents, finding, stdout);
}

static void on_message(void *context, const struct erp_result *result) {
    struct inspect_run *run = context;
    if (result->message == NULL)
        return; /* a finding has said why */
    indent(run);
    printf("%s %s: %s\n", result->message->descriptor->short_name,
           result->header != NULL ? result->header->id : "", result->errors > 0 ? "refused" : "accepted");
}

/* ---- JSON ---- */

static void attribute_show(const struct json_in_value *value, const char *before, const char *name) {
    struct attribute found;
    if (attribute_find(value->event, value->event_length, name, &found) && found.data != NULL)
        value_show(before, (struct value){.bytes = found.data, .length = (uint32_t)found.length}, "");
}

static void on_json_value(void *context, const struct json_in_value *value) {
    struct inspect_run *run = context;
    run->depth = 0;
    indent(run);
    if (value->event != NULL) {
        attribute_show(value, "event ", "id");
        attribute_show(value, " ", "type");
        attribute_show(value, " from ", "source");
        attribute_show(value, ", subject ", "subject");
        attribute_show(value, ", ", "datacontenttype");
    } else {
        fputs("message", stdout);
    }
    printf(", byte %" PRIu64 "\n", value->offset);
    run->depth = 1;
}

/* What is told of JSON is about one value, and the last of it. */
static void on_json_message(void *context, const struct erp_result *result) {
    struct inspect_run *run = context;
    indent(run);
    printf("%s %s", result->message->descriptor->short_name, result->header->id);
    value_show(", of ", result->head->format, "");
    value_show(" ", result->head->name, "");
    value_show(", reference ", result->head->message_ref, "");
    (void)putchar('\n');
    run->depth = 0;
}

static void on_json_finding(void *context, const struct finding *finding) {
    struct inspect_run *run = context;
    on_finding(context, finding);
    run->depth = 0;
}

/* ---- the work ---- */

static int inspect_read(struct inspect_run *run, int argc, char **argv) {
    int option;
    int status = CLI_OK;
    opterr = 0;
    while (status == CLI_OK && (option = getopt_long(argc, argv, ":h", inspect_long_options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return args_option_mistake("inspect", option, argv);
        if (option == INSPECT_MESSAGE)
            run->message = optarg;
        else if (option == INSPECT_SEGMENTS || option == 'h')
            *(option == 'h' ? &run->help : &run->segments) = true;
        else
            status = documents_option(&run->documents, option, optarg);
    }
    if (status == CLI_OK && run->message != NULL && model_event(run->message, strlen(run->message)) == NULL)
        return args_mistake("inspect", "--message is Order, OrderResponse, ..., not '%s'", run->message);
    if (status == CLI_OK && !run->help && optind == argc)
        return args_mistake("inspect",
                            "a FILE is missing; - is standard input; see roundhouse inspect --help");
    return status;
}

static int inspect_files(struct inspect_run *run, char **files, int count) {
    struct erp_engine_options options = {.library = formats_maps(run->documents.formats),
                                         .profile = &run->documents.profile,
                                         .context = run,
                                         .message = on_message,
                                         .finding = on_finding};
    const struct document_sink sink = {
        .context = run, .begin = on_begin, .segment = on_segment, .end = on_end, .finding = on_reading};
    run->engine = erp_engine_new(&options);
    run->json = json_in_new(&(struct json_in_options){.maps = options.library,
                                                      .kind = run->message,
                                                      .context = run,
                                                      .value = on_json_value,
                                                      .message = on_json_message,
                                                      .finding = on_json_finding});
    run->documents.json = run->json;
    if (run->engine == NULL || run->json == NULL) {
        fprintf(stderr, "roundhouse inspect: out of memory\n");
        run->documents.status = CLI_INTERNAL;
        count = 0;
    }
    run->mapping = run->engine != NULL ? erp_engine_sink(run->engine) : run->mapping;
    for (int i = 0; i < count; i++) {
        const char *format = "";
        printf("%s\n", strcmp(files[i], "-") == 0 ? "standard input" : files[i]);
        run->depth = 0;
        if (documents_read(&run->documents, files[i], &sink, &format))
            printf("  read as %s\n", format);
    }
    erp_engine_free(run->engine);
    json_in_free(run->json);
    return run->documents.status;
}

int inspect_command(int argc, char **argv) {
    struct inspect_run run = {0};
    int status = documents_init(&run.documents, "inspect");
    if (status == CLI_OK)
        status = inspect_read(&run, argc, argv);
    if (status == CLI_OK && run.help)
        fputs(inspect_usage, stdout);
    else if (status == CLI_OK) {
        status = documents_ready(&run.documents);
        if (status == CLI_OK)
            status = inspect_files(&run, argv + optind, argc - optind);
    }
    documents_deinit(&run.documents);
    return status;
}
