/* What is written as EDIFACT and X12: read again it is the same. */
#include "codecs/erp/code_list.h"
#include "codecs/erp/codes.h"
#include "codecs/erp/json.h"
#include "roundhouse/erp/v1/erp.pb-c.h"
#include "tests/unit/codecs/erp/differences.h"
#include "tests/unit/codecs/erp/round_trip.h"
#include "tests/unit/codecs/golden.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a format's own documents: everything comes back ---- */

/* What no message says: objects without a member, which a broken number leaves behind. */
static bool empty(json_t *json) {
    const char *key;
    json_t *value;
    void *next;
    if (!json_is_object(json))
        return false;
    json_object_foreach_safe(json, next, key, value) if (empty(value))(void) json_object_del(json, key);
    return json_object_size(json) == 0;
}

static void emptied(json_t *json) {
    const char *key;
    json_t *value;
    size_t i;
    json_array_foreach(json, i, value) emptied(value);
    json_object_foreach(json, key, value) emptied(value);
    (void)empty(json);
}

/* Of what the documents say of themselves: who, to whom, by which references. Not in them: where they are. */
static void origins_compare(const struct round_trip_message *message) {
    static const char *const members[] = {"format",         "version", "association", "messageType",
                                          "interchangeRef", "sender",  "messageRef",  "receiver",
                                          "test",           "prepared"};
    json_t *first = json_object_get(json_object_get(message->first, "header"), "origin"),
           *again = json_object_get(json_object_get(message->again, "header"), "origin");
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        json_t *was = json_object_get(first, members[i]), *is = json_object_get(again, members[i]);
        char *texts[2] = {json_dumps(was, JSON_ENCODE_ANY), json_dumps(is, JSON_ENCODE_ANY)};
        if (was)
            cr_expect(json_equal(was, is), "%s: %s was %s and is %s", message->file, members[i], texts[0],
                      texts[1]);
        free(texts[0]);
        free(texts[1]);
    }
}

static void forget(json_t *json, const char *object, const char *member) {
    (void)json_object_del(json_object_get(json, object), member);
}

static void compare_whole(void *context, const struct round_trip_message *message) {
    struct bytes said = {0};
    (void)context;
    /* A wrong count is put right; a 945 becomes an 856, which has no type. */
    if (message->found[FINDING_MAP_LINE_COUNT] > 0) {
        forget(message->first, "totals", "lineCount");
        forget(message->again, "totals", "lineCount");
    }
    if (strstr(message->file, "x12types__945"))
        forget(message->first, "header", "typeCode");
    else if (message->found[FINDING_X12_ISA_WIDTH] == 0)
        origins_compare(message);
    forget(message->first, "header", "origin");
    forget(message->again, "header", "origin");
    emptied(message->first);
    emptied(message->again);
    differences(message->again, message->first, message->file, &said);
    differences(message->first, message->again, message->file, &said);
    bytes_add(&said, "", 1);
    cr_expect(said.length == 1, "%s%.*s", (char *)said.data, (int)message->document->length,
              (const char *)message->document->data);
    bytes_free(&said);
    for (unsigned i = 0; i < FINDING_CODES; i++)
        cr_expect(message->errors[i] == 0 || message->found[i] > 0, "%s: now there is %s", message->file,
                  finding_kind((enum finding_code)i)->name);
}

Test(edi_out, what_was_edifact_is_the_same_as_edifact) {
    struct round_trip trip;
    round_trip_new(&trip);
    trip.each = compare_whole;
    round_trip_folder(&trip, "edifact", OUTLET_EDIFACT);
    cr_expect(trip.messages == 41, "%u", trip.messages);
    round_trip_free(&trip);
    LEAKS_NONE();
}

Test(edi_out, what_was_x12_is_the_same_as_x12) {
    struct round_trip trip;
    round_trip_new(&trip);
    trip.each = compare_whole;
    round_trip_folder(&trip, "x12", OUTLET_X12);
    cr_expect(trip.messages == 22, "%u", trip.messages);
    round_trip_free(&trip);
    LEAKS_NONE();
}

/* ---- what was written about the samples by hand holds for what is written, too ---- */

struct held {
    json_t *wanted; /* of the file */
    size_t next;    /* message of it */
    unsigned values;
};

static void hold(void *context, const struct round_trip_message *message) {
    struct held *held = context;
    struct bytes said = {0};
    const char *name = message->was->descriptor->short_name;
    json_t *wanted = NULL;
    while (held->next < json_array_size(held->wanted)) {
        wanted = json_array_get(held->wanted, held->next++);
        if (strcmp(json_string_value(json_object_get(wanted, "event")), name) == 0)
            break;
    }
    json_t *has = json_object_get(wanted, "has");
    cr_assert(has, "%s", message->file);
    forget(has, "header", "origin");
    differences(message->again, has, message->file, &said);
    bytes_add(&said, "", 1);
    cr_expect(said.length == 1, "%s", (char *)said.data);
    bytes_free(&said);
    held->values++;
}

static unsigned hold_file(struct round_trip *trip, const char *file, enum outlet_format format) {
    char path[512], full[1024];
    struct held held = {0};
    (void)snprintf(path, sizeof path, "tests/data/canonical/%s.json", file);
    golden_path(path, full, sizeof full);
    held.wanted = json_load_file(full, 0, NULL);
    cr_assert(held.wanted, "%s", full);
    trip->each = hold;
    trip->context = &held;
    round_trip_file(trip, file, format);
    json_decref(held.wanted);
    return held.values;
}

Test(edi_out, what_was_written_by_hand_about_the_samples_holds_for_what_is_written) {
    static const char *const edifact[] = {"edifact/ballerina__order-batch-3msg.edi",
                                          "edifact/edinet__edifact.ORDRSP.edi",
                                          "edifact/own__DESADV_D96A_EAN005_synthetic.edi",
                                          "edifact/pydifact__invoice1.edi",
                                          "edifact/saprecipes__ORDERS_D.96A.edi",
                                          "edifact/smooks__invoic.txt",
                                          "edifact/smooksex__orders-d96a.txt"};
    static const char *const x12[] = {"x12/ediengine__850.OK.edi", "x12/ediengine__856.Crossdock.OK.edi",
                                      "x12/staedi__simple810.edi", "x12/stedi__855_inbound.edi"};
    struct round_trip trip;
    unsigned messages = 0;
    round_trip_new(&trip);
    for (size_t i = 0; i < sizeof edifact / sizeof *edifact; i++)
        messages += hold_file(&trip, edifact[i], OUTLET_EDIFACT);
    for (size_t i = 0; i < sizeof x12 / sizeof *x12; i++)
        messages += hold_file(&trip, x12[i], OUTLET_X12);
    cr_expect(messages >= 13, "%u", messages);
    round_trip_free(&trip);
    LEAKS_NONE();
}

/* ---- from one format to another: what is lost is listed ---- */

#define LINES_MAX 1024u

/* tests/data/lost.tsv: from, to, path; a line that no document needs is wrong, too. */
static struct {
    char text[160];
    bool needed;
} lines[LINES_MAX];
static unsigned line_count;

struct crossing {
    const char *from, *to, *file;
    char sign;
};

static void lines_read(void) {
    FILE *file = golden_open("tests/data/lost.tsv");
    char line[256];
    line_count = 0;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (*line == '#')
            continue;
        cr_assert(line_count < LINES_MAX && strlen(line) < sizeof lines->text, "%s", line);
        memcpy(lines[line_count].text, line, strlen(line) + 1);
        lines[line_count++].needed = false;
    }
    (void)fclose(file);
}

/* Paths without the numbers of entries. */
static void on_lost(void *context, const char *path, const char *was, const char *is) {
    const struct crossing *crossing = context;
    char line[256];
    int n = snprintf(line, sizeof line, "%s\t%s\t%c", crossing->from, crossing->to, crossing->sign);
    for (; *path && n < 250; path++) {
        if (*path == '[')
            path += strcspn(path, "]");
        else
            line[n++] = *path;
    }
    line[n] = 0;
    for (unsigned i = 0; i < line_count; i++)
        if (strcmp(lines[i].text, line) == 0) {
            lines[i].needed = true;
            return;
        }
    cr_expect(false, "%s: not in lost.tsv: %s ('%.60s' and '%.60s')", crossing->file, line, was, is);
}

static void compare_listed(void *context, const struct round_trip_message *message) {
    struct crossing *crossing = context;
    crossing->file = message->file;
    crossing->sign = '-';
    cr_assert(erp_loss(message->was, message->is, on_lost, crossing));
    crossing->sign = '+';
    cr_assert(erp_loss(message->is, message->was, on_lost, crossing));
}

Test(edi_out, what_another_format_can_not_carry_is_listed) {
    static const char *const folders[] = {"edifact", "x12", "ubl", "idoc"};
    static const unsigned counts[4][OUTLET_FORMATS] = {
        {41, 41, 41}, {22, 22, 22}, {24, 24, 24}, {13, 13, 13}};
    struct round_trip trip;
    lines_read();
    round_trip_new(&trip);
    trip.each = compare_listed;
    for (size_t i = 0; i < 4; i++)
        for (enum outlet_format to = 0; to < OUTLET_FORMATS; to++) {
            struct crossing crossing = {.from = folders[i], .to = outlet_format_name(to)};
            if (strcasecmp(crossing.from, crossing.to) == 0)
                continue;
            trip.context = &crossing;
            trip.messages = 0;
            round_trip_folder(&trip, folders[i], to);
            cr_expect(trip.messages == counts[i][to], "%s to %s: %u", crossing.from, crossing.to,
                      trip.messages);
        }
    for (unsigned i = 0; i < line_count; i++)
        cr_expect(lines[i].needed, "lost.tsv: no document needs this: %s", lines[i].text);
    round_trip_free(&trip);
    LEAKS_NONE();
}

/* ---- whole documents ---- */

static const char order_json[] =
    "{\"header\":{\"id\":\"PO'7\",\"issued\":\"2026-09-02T14:05:00+02:00\",\"function\":\"ORIGINAL\","
    "\"typeCode\":"
    "\"220\",\"currency\":\"EUR\",\"references\":[{\"type\":\"CONTRACT\",\"id\":\"K:1\",\"date\":\"2026-01-"
    "01\"}],"
    "\"notes\":[{\"value\":\"who? "
    "me+you\",\"language\":\"en\"}],\"origin\":{\"format\":\"JSON\"}},\"buyer\":{\"ids\":"
    "[{\"value\":\"4012345000009\",\"scheme\":\"GLN\"},{\"value\":\"77\",\"scheme\":\"SELLER\"}],\"name\":"
    "\"A company with a name of more than thirty-five characters\",\"address\":{\"lines\":[\"Street "
    "1\"],\"city\":"
    "\"Town\",\"postcode\":\"12345\",\"country\":\"DE\"}},\"seller\":{\"ids\":[{\"value\":\"4098765000009\","
    "\"scheme\":"
    "\"GLN\"}]},\"delivery\":{\"start\":\"2026-09-10\",\"end\":\"2026-09-12\"},\"lines\":[{\"id\":\"1\","
    "\"item\":{"
    "\"ids\":[{\"value\":\"A*1~\",\"scheme\":\"BUYER\"},{\"value\":\"4012345600001\",\"scheme\":\"GTIN\"}],"
    "\"name\":"
    "\"Bolt\"},\"quantity\":{\"value\":\"12\",\"unit\":\"H87\"},\"price\":{\"amount\":{\"value\":\"1.50\","
    "\"currency\":"
    "\"EUR\"},\"type\":\"NET\",\"basis\":{\"value\":\"10\",\"unit\":\"H87\"}},\"net\":{\"value\":\"1.80\","
    "\"currency\":"
    "\"EUR\"}}],\"totals\":{\"payable\":{\"value\":\"1.80\",\"currency\":\"EUR\"}}}";

static const struct erp_edi_options fixed_options = {.date = 20260903,
                                                     .time = 91500,
                                                     .interchange_ref = "17",
                                                     .group_ref = "5",
                                                     .message_ref = "42",
                                                     .use = ERP_EDI_TEST,
                                                     .lines = true};

static ProtobufCMessage *message_of(const ProtobufCMessageDescriptor *descriptor, const char *text,
                                    struct arena *arena) {
    char error[ERP_JSON_ERROR_BYTES];
    ProtobufCMessage *message = erp_json_read(descriptor, text, strlen(text), arena, error);
    cr_assert(message, "%s", error);
    return message;
}

static void expect_text(const struct bytes *out, const char *wanted) {
    cr_expect(out->length == strlen(wanted) && memcmp(out->data, wanted, out->length) == 0,
              "it is\n%.*s\nnot\n%s", (int)out->length, (const char *)out->data, wanted);
}

Test(edi_out, an_order_of_edifact_is_what_the_standard_says) {
    struct arena arena = {0};
    struct bytes out = {0};
    ProtobufCMessage *order = message_of(&roundhouse__erp__v1__order__descriptor, order_json, &arena);
    cr_assert(erp_edifact_write(order, &fixed_options, &out));
    expect_text(&out,
                "UNA:+.? '\n"
                "UNB+UNOC:3+4012345000009:14+4098765000009:14+260903:0915+17++++++1'\n"
                "UNH+42+ORDERS:D:96A:UN'\n"
                "BGM+220+PO?'7+9'\n"
                "DTM+137:202609021405?+02:303'\n"
                "DTM+64:20260910:102'\n"
                "DTM+63:20260912:102'\n"
                "FTX+AAI+++who?? me?+you+en'\n"
                "RFF+CT:K?:1'\n"
                "DTM+171:20260101:102'\n"
                "NAD+BY+4012345000009::9++A company with a name of more than:thirty-five characters+Street 1+"
                "Town++12345+DE'\n"
                "RFF+API:77'\n"
                "NAD+SU+4098765000009::9'\n"
                "CUX+2:EUR:9'\n"
                "LIN+1++4012345600001:EN'\n"
                "PIA+1+A*1~:IN'\n"
                "IMD+F++:::Bolt'\n"
                "QTY+21:12:PCE'\n"
                "MOA+203:1.80'\n"
                "PRI+AAA:1.50:::10:PCE'\n"
                "UNS+S'\n"
                "MOA+86:1.80'\n"
                "CNT+2:1'\n"
                "UNT+22+42'\n"
                "UNZ+1+17'\n");
    bytes_free(&out);
    arena_free(&arena);
    LEAKS_NONE();
}

/* No value has the separators that are chosen. */
Test(edi_out, an_order_of_x12_is_what_the_standard_says) {
    struct arena arena = {0};
    struct bytes out = {0};
    ProtobufCMessage *order = message_of(&roundhouse__erp__v1__order__descriptor, order_json, &arena);
    cr_assert(erp_x12_write(order, &fixed_options, &out));
    expect_text(&out,
                "ISA|00|          |00|          |07|4012345000009  |07|4098765000009  |260903|0915|U|00401|"
                "000000017|0|T|>`\n"
                "GS|PO|4012345000009|4098765000009|20260903|0915|5|X|004010`\n"
                "ST|850|0042`\n"
                "BEG|00|SA|PO'7||20260902`\n"
                "CUR|BY|EUR`\n"
                "REF|CT|K:1`\n"
                "DTM|064|20260910`\n"
                "DTM|063|20260912`\n"
                "N9|L1|NOTE`\n"
                "MSG|who? me+you`\n"
                "N1|BY|A company with a name of more than thirty-five characters|UL|4012345000009`\n"
                "N3|Street 1`\n"
                "N4|Town||12345|DE`\n"
                "N1|SE||UL|4098765000009`\n"
                "PO1|1|12|PC|1.50|NT|BP|A*1~|EN|4012345600001`\n"
                "PID|F||||Bolt`\n"
                "CTT|1`\n"
                "AMT|TT|1.80`\n"
                "SE|17|0042`\n"
                "GE|1|5`\n"
                "IEA|1|000000017`\n");
    bytes_free(&out);
    arena_free(&arena);
    LEAKS_NONE();
}

static void expect_back(void *context, const struct round_trip_message *message) {
    const char *id = context;
    cr_expect_str_eq(json_string_value(json_object_get(json_object_get(message->again, "header"), "id")), id,
                     "%.*s", (int)message->document->length, (const char *)message->document->data);
}

/* Every separator there is in a value: EDIFACT releases them, X12 takes others, until there are none left. */
Test(edi_out, values_may_have_separators) {
    Roundhouse__Erp__V1__Header header = ROUNDHOUSE__ERP__V1__HEADER__INIT;
    Roundhouse__Erp__V1__Order order = ROUNDHOUSE__ERP__V1__ORDER__INIT;
    char id[64];
    struct round_trip trip;
    round_trip_new(&trip);
    trip.each = expect_back;
    order.header = &header;
    header.id = id;
    static const char *const ids[] = {"a+b:c'd?e?+?'*", "?", "'", "+:", "*~>^", "*|~'>:^", "x\x1dy\x1cz"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        (void)snprintf(id, sizeof id, "%s", ids[i]);
        trip.context = id;
        char wanted[64];
        for (size_t k = 0; k <= strlen(id); k++)
            wanted[k] = id[k] && id[k] < ' ' ? ' ' : id[k];
        trip.context = wanted;
        round_trip_message(&trip, &order.base, OUTLET_EDIFACT);
        round_trip_message(&trip, &order.base, OUTLET_X12);
    }
    (void)snprintf(id, sizeof id, "x*|+^#>:<\\#~'`;");
    trip.context = (char[]){"x |+^# :<\\# '`;"};
    round_trip_message(&trip, &order.base, OUTLET_X12);
    round_trip_free(&trip);
    LEAKS_NONE();
}

Test(edi_out, characters_are_those_of_the_charset) {
    Roundhouse__Erp__V1__Header header = ROUNDHOUSE__ERP__V1__HEADER__INIT;
    Roundhouse__Erp__V1__Order order = ROUNDHOUSE__ERP__V1__ORDER__INIT;
    struct erp_edi_options options = {0};
    struct bytes out = {0};
    char id[] = "L\u00e4ger", other[] = "\u017b*";
    order.header = &header;
    header.id = id;
    cr_assert(erp_edifact_write(&order.base, NULL, &out));
    cr_expect(memmem(out.data, out.length, "UNOC:3", 6) && memmem(out.data, out.length, "+L\xe4ger+", 7));
    out.length = 0;
    header.id = other;
    cr_assert(erp_edifact_write(&order.base, NULL, &out));
    cr_expect(memmem(out.data, out.length, "UNA:+.?*'", 9) && memmem(out.data, out.length, "UNOY:4", 6) &&
                  memmem(out.data, out.length, "+\xc5\xbb?*+", 6),
              "%.*s", (int)out.length, (char *)out.data);
    out.length = 0;
    cr_assert(erp_x12_write(&order.base, NULL, &out));
    cr_expect(memmem(out.data, out.length, "|?*~", 4), "%.*s", (int)out.length, (char *)out.data);
    out.length = 0;
    options.charset = "UTF-8";
    cr_assert(erp_x12_write(&order.base, &options, &out));
    cr_expect(memmem(out.data, out.length, "|\xc5\xbb*~", 5));
    bytes_free(&out);
    LEAKS_NONE();
}

/* ---- hierarchies ---- */

static const char despatch_json[] =
    "{\"header\":{\"id\":\"D1\",\"issued\":\"2026-09-02\",\"function\":\"ORIGINAL\"},\"units\":[{\"id\":{"
    "\"value\":"
    "\"340123450000000014\",\"scheme\":\"SSCC\"}},{\"id\":{\"value\":\"340123450000000021\",\"scheme\":"
    "\"SSCC\"},"
    "\"parent\":\"340123450000000014\",\"grossWeight\":{\"value\":\"6\",\"unit\":\"LBR\",\"sourceUnit\":"
    "\"LB\"}},{"
    "\"id\":{\"value\":\"C9\"},\"parent\":\"340123450000000014\"},{\"id\":{\"value\":\"340123450000000038\","
    "\"scheme\":\"SSCC\"}}],\"lines\":[{\"id\":\"1\",\"orderLine\":{\"type\":\"ORDER\",\"id\":\"PO1\"},"
    "\"handlingUnit\":\"340123450000000021\"},{\"id\":\"2\",\"orderLine\":{\"type\":\"ORDER\",\"id\":\"PO2\"}"
    ","
    "\"handlingUnit\":\"340123450000000021\"},{\"id\":\"3\",\"orderLine\":{\"type\":\"ORDER\",\"id\":\"PO1\"}"
    ","
    "\"handlingUnit\":\"C9\",\"lots\":[{\"batch\":\"B\",\"serials\":[\"s1\",\"s2\"],\"bestBefore\":\"2027-01-"
    "01\"}]},"
    "{\"id\":\"4\",\"orderLine\":{\"type\":\"ORDER\",\"id\":\"PO1\"},\"handlingUnit\":\"340123450000000038\"}"
    ",{"
    "\"id\":\"5\",\"orderLine\":{\"type\":\"ORDER\",\"id\":\"PO3\"}}]}";

static void expect_whole(void *context, const struct round_trip_message *message) {
    struct bytes said = {0};
    (void)context;
    forget(message->again, "header", "origin");
    differences(message->again, message->first, "x", &said);
    differences(message->first, message->again, "x", &said);
    bytes_add(&said, "", 1);
    cr_expect(said.length == 1, "%s\n%.*s", (char *)said.data, (int)message->document->length,
              (const char *)message->document->data);
    bytes_free(&said);
}

/* A pallet with two cartons, one of which has lines of two orders; a carton by itself; a line in none. */
Test(edi_out, a_ship_notice_has_levels_as_the_goods_are_packed) {
    struct arena arena = {0};
    struct bytes out = {0};
    struct round_trip trip;
    ProtobufCMessage *advice =
        message_of(&roundhouse__erp__v1__despatch_advice__descriptor, despatch_json, &arena);
    struct erp_edi_options options = fixed_options;
    cr_assert(erp_x12_write(advice, &options, &out));
    bytes_add(&out, "", 1);
    const char *levels = strstr((char *)out.data, "HL*1");
    cr_assert(levels);
    static const char wanted[] = "HL*1**S~\n"
                                 "HL*2*1*O~\n"
                                 "PRF*PO1~\n"
                                 "HL*3*2*T~\n"
                                 "MAN*GM*340123450000000014~\n"
                                 "HL*4*3*P~\n"
                                 "PO4******6*LB~\n"
                                 "MAN*GM*340123450000000021~\n"
                                 "HL*5*4*I~\n"
                                 "LIN*1~\n"
                                 "HL*6*4*I~\n"
                                 "LIN*2~\n"
                                 "PRF*PO2~\n"
                                 "HL*7*3*P~\n"
                                 "MAN*CP*C9~\n"
                                 "HL*8*7*I~\n"
                                 "LIN*3~\n"
                                 "REF*LT*B~\n"
                                 "REF*SE*s1~\n"
                                 "REF*SE*s2~\n"
                                 "DTM*036*20270101~\n"
                                 "HL*9*1*O~\n"
                                 "PRF*PO1~\n"
                                 "HL*10*9*P~\n"
                                 "MAN*GM*340123450000000038~\n"
                                 "HL*11*10*I~\n"
                                 "LIN*4~\n"
                                 "HL*12*1*O~\n"
                                 "PRF*PO3~\n"
                                 "HL*13*12*I~\n"
                                 "LIN*5~\n"
                                 "CTT*13~\n"
                                 "SE*";
    cr_expect(strncmp(levels, wanted, strlen(wanted)) == 0, "%s", levels);
    round_trip_new(&trip);
    trip.each = expect_whole;
    round_trip_message(&trip, advice, OUTLET_X12);
    cr_expect(trip.messages == 1);
    round_trip_free(&trip);
    bytes_free(&out);
    arena_free(&arena);
    LEAKS_NONE();
}

/* Units around each other, and a line that comes back to a unit: written once, and never without end. */
Test(edi_out, units_that_hold_each_other_are_written_once) {
    static const char json[] =
        "{\"header\":{\"id\":\"D\"},\"units\":[{\"id\":{\"value\":\"A\"},\"parent\":\"B\"},{\"id\":{"
        "\"value\":\"B\"},"
        "\"parent\":\"A\"}],\"lines\":[{\"id\":\"1\",\"handlingUnit\":\"A\"},{\"id\":\"2\",\"handlingUnit\":"
        "\"B\"},{"
        "\"id\":\"3\",\"handlingUnit\":\"A\"},{\"id\":\"4\",\"handlingUnit\":\"nobody\"}]}";
    struct arena arena = {0};
    struct bytes out = {0};
    ProtobufCMessage *advice = message_of(&roundhouse__erp__v1__despatch_advice__descriptor, json, &arena);
    cr_assert(erp_edifact_write(advice, NULL, &out) && erp_x12_write(advice, NULL, &out));
    bytes_add(&out, "", 1);
    unsigned lines_written = 0;
    for (const char *at = (char *)out.data; (at = strstr(at, "LIN")); at++)
        lines_written++;
    cr_expect(lines_written == 8, "%s", (char *)out.data);
    bytes_free(&out);
    arena_free(&arena);
    LEAKS_NONE();
}

/* ---- parts ---- */

Test(edi_out, what_no_format_has_a_document_for_is_not_written) {
    Roundhouse__Erp__V1__PartyMaster master = ROUNDHOUSE__ERP__V1__PARTY_MASTER__INIT;
    struct bytes out = {0};
    cr_expect(!erp_edifact_write(&master.base, NULL, &out) && !erp_x12_write(&master.base, NULL, &out));
    cr_expect(out.length == 0);
}

static void write_empty(const ProtobufCMessage *message) {
    struct bytes out = {0};
    cr_expect(erp_edifact_write(message, NULL, &out) && erp_x12_write(message, NULL, &out) && !out.failed);
    bytes_free(&out);
}

Test(edi_out, messages_may_say_nothing) {
    Roundhouse__Erp__V1__Order order = ROUNDHOUSE__ERP__V1__ORDER__INIT;
    Roundhouse__Erp__V1__OrderResponse response = ROUNDHOUSE__ERP__V1__ORDER_RESPONSE__INIT;
    Roundhouse__Erp__V1__DespatchAdvice advice = ROUNDHOUSE__ERP__V1__DESPATCH_ADVICE__INIT;
    Roundhouse__Erp__V1__Invoice invoice = ROUNDHOUSE__ERP__V1__INVOICE__INIT;
    write_empty(&order.base);
    write_empty(&response.base);
    write_empty(&advice.base);
    write_empty(&invoice.base);
    LEAKS_NONE();
}

Test(code_list, is_read_from_right_to_left) {
    char code[CODE_BYTES];
    cr_expect(code_for("edifact/common", "reference", "ORDER", code) && strcmp(code, "ON") == 0);
    cr_expect(code_for("x12/common", "function", "ORIGINAL", code) && strcmp(code, "00") == 0);
    cr_expect(code_for("edifact/ordrsp", "line_response", "REJECTED", code) && strcmp(code, "7") == 0);
    cr_expect(!code_for("edifact/common", "reference", "NOTHING", code), "a word that is in no list");
    cr_expect(!code_for("edifact/common", "nothing", "ORDER", code), "a list that is not there");
    cr_expect(!code_for("nothing", "reference", "ORDER", code), "a file that is not there");
    cr_expect(!code_for("x12/860", "change", "CHANGED", code), "every other code is no code");
    cr_expect(code_means("edifact/common", "party_scheme", "9", "GLN"));
    cr_expect(!code_means("edifact/common", "party_scheme", "9", "DUNS"));
    cr_expect(code_means("edifact/invoic", "credit", "381", "true"));
    cr_expect(!code_means("edifact/invoic", "credit", "380", "true"));
    cr_expect(code_means("edifact/ordrsp", "response", "29", "ACCEPTED"));
}

Test(codes, units_have_names_in_other_systems) {
    static const struct {
        enum unit_system system;
        const char *unit, *name;
    } all[] = {{UNIT_REC20, "H87", "PCE"}, {UNIT_REC20, "XCT", "CT"}, {UNIT_REC20, "KGM", "KGM"},
               {UNIT_REC20, "EA", "EA"},   {UNIT_X12, "KGM", "KG"},   {UNIT_X12, "H87", "PC"},
               {UNIT_X12, "EA", "EA"},     {UNIT_X12, "XCS", "CA"},   {UNIT_X12, "", ""}};
    char name[UNIT_NAME_BYTES], back[UNIT_BYTES];
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        unit_name(all[i].system, all[i].unit, name);
        cr_expect_str_eq(name, all[i].name);
        if (*name)
            cr_expect(unit_code(all[i].system, (const uint8_t *)name, strlen(name), back) &&
                          strcmp(back, all[i].unit) == 0,
                      "%s", name);
    }
}

/* ---- losses ---- */

static void on_told(void *context, const char *path, const char *was, const char *is) {
    struct bytes *said = context;
    bytes_text(said, path);
    bytes_text(said, "=");
    bytes_text(said, was);
    bytes_text(said, ">");
    bytes_text(said, is);
    bytes_text(said, ";");
}

static void expect_loss(const char *was, const char *is, const char *wanted) {
    struct arena arena = {0};
    struct bytes said = {0};
    const ProtobufCMessageDescriptor *type = &roundhouse__erp__v1__order__descriptor;
    ProtobufCMessage *a = message_of(type, was, &arena), *b = is ? message_of(type, is, &arena) : NULL;
    cr_assert(erp_loss(a, b, on_told, &said));
    bytes_add(&said, "", 1);
    cr_expect_str_eq((char *)said.data, wanted);
    bytes_free(&said);
    arena_free(&arena);
}

Test(loss, tells_every_value_that_is_not_there_any_more) {
    expect_loss("{\"header\":{\"id\":\"1\"}}", "{\"header\":{\"id\":\"1\"}}", "");
    expect_loss("{\"header\":{\"id\":\"1\"}}", "{\"header\":{\"id\":\"2\"}}", "header.id=1>2;");
    expect_loss("{\"header\":{\"id\":\"1\"}}", "{}", "header.id=1>;");
    expect_loss("{\"header\":{\"id\":\"1\"}}", NULL, "header.id=1>;");
    expect_loss("{}", "{\"header\":{\"id\":\"1\"}}", "");
    expect_loss("{\"lines\":[{\"id\":\"1\"},{\"id\":\"2\",\"quantity\":{\"value\":\"1.0\"}}]}",
                "{\"lines\":[{\"id\":\"1\"}]}", "lines[1].id=2>;lines[1].quantity.value=1.0>;");
    expect_loss("{\"totals\":{\"lineCount\":3,\"tax\":{\"value\":\"1.50\"}}}",
                "{\"totals\":{\"lineCount\":2,\"tax\":{\"value\":\"1.5\"}}}", "totals.lineCount=3>2;");
    expect_loss(
        "{\"buyer\":{\"ids\":[{\"value\":\"01\"},{\"value\":\"2\",\"scheme\":\"GLN\"}]}}",
        "{\"buyer\":{\"ids\":[{\"value\":\"2\",\"scheme\":\"GLN\",\"agency\":\"9\"},{\"value\":\"1\"}]}}",
        "buyer.ids[0].value=01>2;");
    expect_loss("{\"delivery\":{\"start\":\"2026-09-02T10:00:00\"}}",
                "{\"delivery\":{\"start\":\"2026-09-02\"}}",
                "delivery.start=2026-09-02T10:00:00>2026-09-02;");
    expect_loss("{\"lines\":[{\"quantity\":{\"unit\":\"H87\",\"sourceUnit\":\"PC\"}}]}",
                "{\"lines\":[{\"quantity\":{\"unit\":\"H87\",\"sourceUnit\":\"PCE\"}}]}", "");
    expect_loss("{\"lines\":[{\"quantity\":{\"unit\":\"H87\",\"sourceUnit\":\"PC\"}}]}",
                "{\"lines\":[{\"quantity\":{\"sourceUnit\":\"PCE\"}}]}",
                "lines[0].quantity.unit=H87>;lines[0].quantity.sourceUnit=PC>PCE;");
    LEAKS_NONE();
}
