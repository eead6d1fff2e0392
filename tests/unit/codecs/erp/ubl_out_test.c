#include "codecs/erp/json.h"
#include "codecs/erp/ubl.h"
#include "tests/unit/codecs/erp/canonical.h"
#include "tests/unit/codecs/erp/differences.h"
#include "tests/unit/codecs/erp/round_trip.h"
#include "tests/unit/codecs/golden.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the schemas' order ---- */

#define ELEMENTS_MAX 128u
#define DEPTH_MAX    40u

static struct {
    char name[64];
    char children[4096]; /* " !ID Note* " */
} sequences[ELEMENTS_MAX];
static size_t sequence_count;

static void sequences_read(void) {
    FILE *file = golden_open("tests/data/ubl_sequences.tsv");
    static char line[4600];
    sequence_count = 0;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        char *tab = strchr(line, '\t');
        if (*line == '#')
            continue;
        cr_assert(tab && sequence_count < ELEMENTS_MAX);
        (void)snprintf(sequences[sequence_count].name, sizeof sequences->name, "%.*s", (int)(tab - line),
                       line);
        (void)snprintf(sequences[sequence_count++].children, sizeof sequences->children, " %.4000s ",
                       tab + 1);
    }
    (void)fclose(file);
    cr_assert(sequence_count > 40);
}

/* The elements that are open, and how far in its list each is. */
struct order {
    uint32_t depth;
    const char *lists[DEPTH_MAX], *at[DEPTH_MAX];
    uint32_t wrong;
    char what[128];
};

static void order_wrong(struct order *order, struct value name, const char *why) {
    if (order->wrong++ == 0)
        (void)snprintf(order->what, sizeof order->what, "%.*s %s", (int)name.length, (const char *)name.bytes,
                       why);
}

/* A child comes: it must stand at or behind the one before. */
static void order_child(struct order *order, struct value name) {
    if (order->depth == 0)
        return;
    const char **at = &order->at[order->depth - 1];
    for (const char *word = *at; *word;) {
        const char *from = word + strspn(word, " !");
        size_t n = strcspn(from, " *");
        if (n == 0)
            break;
        if (n == name.length && memcmp(from, name.bytes, n) == 0) {
            *at = from[n] == '*' ? word : from + n;
            return;
        }
        word = from + n + (from[n] == '*');
    }
    order_wrong(order, name, "stands where it may not");
}

static void on_begin(void *context, enum document_scope scope, const struct document_head *head) {
    struct order *order = context;
    (void)scope;
    order_child(order, head->name);
    cr_assert(order->depth < DEPTH_MAX);
    order->lists[order->depth] = "";
    for (size_t i = 0; i < sequence_count; i++)
        if (value_is(head->name, sequences[i].name))
            order->lists[order->depth] = sequences[i].children;
    if (!*order->lists[order->depth])
        order_wrong(order, head->name, "is not in ubl_sequences.tsv");
    order->at[order->depth] = order->lists[order->depth];
    order->depth++;
}

static void on_segment(void *context, const struct segment *segment) {
    order_child(context, segment->name);
}

static void on_end(void *context, enum document_scope scope, const struct document_tail *tail) {
    struct order *order = context;
    (void)scope;
    (void)tail;
    order->depth--;
}

static void on_finding(void *context, const struct finding *finding) {
    if (finding->severity != FINDING_NOTE)
        order_wrong(context, finding->segment, finding_kind(finding->code)->name);
}

static void expect_order(const char *what, const struct bytes *document) {
    struct order order = {0};
    struct document_sink sink = {&order, on_begin, on_segment, on_end, on_finding};
    struct xml_reader *reader = xml_open(&sink, NULL);
    cr_assert(reader && xml_feed(reader, document->data, document->length) == 0 && xml_end(reader) == 0);
    xml_close(reader);
    cr_expect(order.wrong == 0, "%s: %s", what, order.what);
}

Test(ubl_out, an_order_that_is_wrong_is_noticed) {
    sequences_read();
    struct bytes document = {0};
    struct order order = {.depth = 1, .at = {" !ID Note* Name "}};
    static const char *const names[] = {"ID", "Note", "Note", "Name"};
    for (size_t i = 0; i < 4; i++)
        order_child(&order, (struct value){(const uint8_t *)names[i], (uint32_t)strlen(names[i]), false});
    cr_expect(order.wrong == 0);
    order_child(&order, (struct value){(const uint8_t *)"Note", 4, false});
    cr_expect(order.wrong == 1, "Note stands before Name");
    order = (struct order){.depth = 1, .at = {" !ID Note* Name "}};
    order_child(&order, (struct value){(const uint8_t *)"ID", 2, false});
    order_child(&order, (struct value){(const uint8_t *)"ID", 2, false});
    cr_expect(order.wrong == 1, "there is one ID");
    bytes_free(&document);
}

/* ---- there and back ---- */

static void expect_same(struct canonical *canonical, const char *what, const struct bytes *written,
                        json_t *first) {
    expect_order(what, written);
    canonical->message = NULL;
    canonical_read(canonical, written->data, written->length);
    cr_assert(canonical->json, "%s", what);
    if (json_equal(canonical->json, first))
        return;
    char *was = json_dumps(first, JSON_COMPACT | JSON_SORT_KEYS),
         *is = json_dumps(canonical->json, JSON_COMPACT | JSON_SORT_KEYS);
    size_t same = 0;
    while (was[same] && was[same] == is[same])
        same++;
    cr_expect(false, "%s: from here on it was %.200s and is %.200s", what, was + same, is + same);
    free(was);
    free(is);
}

static void come_back(void *context, const struct round_trip_message *message) {
    struct bytes said = {0};
    (void)context;
    expect_order(message->file, message->document);
    (void)json_object_del(json_object_get(message->first, "header"), "origin");
    (void)json_object_del(json_object_get(message->again, "header"), "origin");
    differences(message->again, message->first, message->file, &said);
    differences(message->first, message->again, message->file, &said);
    bytes_add(&said, "", 1);
    cr_expect(said.length == 1, "%s", (char *)said.data);
    bytes_free(&said);
}

Test(ubl_out, what_is_written_of_a_sample_is_what_was_read) {
    static const char *const files[] = {
        "ubl/gobl__custom-namespace-prefixes.xml",
        "ubl/gobl__discount-taxes.xml",
        "ubl/gobl__example-encoding.xml",
        "ubl/gobl__vat-category-O-invalid-bytes.xml",
        "ubl/kosit__01.01a-INVOICE_ubl.xml",
        "ubl/kosit__01.04a-INVOICE_ubl.xml",
        "ubl/kosit__01.05a-INVOICE_ubl.xml",
        "ubl/kosit__01.06a-INVOICE_ubl.xml",
        "ubl/kosit__01.13a-INVOICE_ubl.xml",
        "ubl/kosit__03.03a-INVOICE_ubl.xml",
        "ubl/kosit__04.01a-INVOICE_ubl.xml",
        "ubl/oasis__UBL-CreditNote-2.1-Example.xml",
        "ubl/oasis__UBL-DespatchAdvice-2.0-Example.xml",
        "ubl/oasis__UBL-Invoice-2.0-Example-NS1.xml",
        "ubl/oasis__UBL-Invoice-2.1-Example-Trivial.xml",
        "ubl/oasis__UBL-Invoice-2.1-Example.xml",
        "ubl/oasis__UBL-Order-2.1-Example.xml",
        "ubl/oasis__UBL-OrderCancellation-2.1-Example.xml",
        "ubl/oasis__UBL-OrderChange-2.1-Example.xml",
        "ubl/oasis__UBL-OrderResponse-2.1-Example.xml",
        "ubl/oasis__UBL-OrderResponseSimple-2.1-Example.xml",
    };
    struct round_trip trip;
    sequences_read();
    round_trip_new(&trip);
    trip.each = come_back;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        round_trip_file(&trip, files[i], OUTLET_UBL);
    cr_expect(trip.messages == sizeof files / sizeof *files);
    round_trip_free(&trip);
    LEAKS_NONE();
}

/* ---- messages made up: tests/data/canonical/made.tsv ---- */

static const ProtobufCMessageDescriptor *descriptor_of(const char *name) {
    static const ProtobufCMessageDescriptor *const all[] = {
        &roundhouse__erp__v1__order__descriptor, &roundhouse__erp__v1__order_response__descriptor,
        &roundhouse__erp__v1__despatch_advice__descriptor, &roundhouse__erp__v1__invoice__descriptor};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i]->short_name, name) == 0)
            return all[i];
    return NULL;
}

static void made(struct canonical *canonical, const char *what, const char *kind, const char *text) {
    char error[ERP_JSON_ERROR_BYTES];
    struct arena arena = {0};
    struct bytes written = {0};
    cr_assert(descriptor_of(kind), "%s", kind);
    ProtobufCMessage *message = erp_json_read(descriptor_of(kind), text, strlen(text), &arena, error);
    cr_assert(message, "%s: %s", what, error);
    cr_assert(erp_ubl_write(message, &written));
    json_t *first = json_loads(text, 0, NULL);
    expect_same(canonical, what, &written, first);
    json_decref(first);
    bytes_free(&written);
    arena_free(&arena);
}

Test(ubl_out, everything_that_ubl_has_a_place_for_comes_back) {
    static char line[32768];
    char what[32];
    unsigned messages = 0;
    struct canonical canonical;
    FILE *file = golden_open("tests/data/canonical/made.tsv");
    sequences_read();
    canonical_new(&canonical);
    while (fgets(line, sizeof line, file)) {
        char *tab = strchr(line, '\t');
        if (*line == '#')
            continue;
        cr_assert(tab);
        *tab = 0;
        (void)snprintf(what, sizeof what, "message %u", ++messages);
        made(&canonical, what, line, tab + 1);
    }
    (void)fclose(file);
    cr_expect(messages == 7);
    canonical_free(&canonical);
    LEAKS_NONE();
}

Test(ubl_out, what_is_no_document_of_ubl_is_not_written) {
    Roundhouse__Erp__V1__PartyMaster master = ROUNDHOUSE__ERP__V1__PARTY_MASTER__INIT;
    Roundhouse__Erp__V1__Order order = ROUNDHOUSE__ERP__V1__ORDER__INIT;
    struct bytes out = {0};
    cr_expect(!erp_ubl_write(&master.base, &out));
    cr_expect(out.length == 0);
    cr_expect(erp_ubl_write(&order.base, &out), "empty, but an order");
    bytes_free(&out);
}

/* What XML can not carry goes, all else is escaped. */
Test(ubl_out, text_is_escaped) {
    Roundhouse__Erp__V1__Header header = ROUNDHOUSE__ERP__V1__HEADER__INIT;
    Roundhouse__Erp__V1__Order order = ROUNDHOUSE__ERP__V1__ORDER__INIT;
    struct bytes out = {0};
    char id[] = "]]>\x01&\r\"";
    header.id = id;
    order.header = &header;
    cr_assert(erp_ubl_write(&order.base, &out));
    bytes_add(&out, "", 1);
    cr_expect(strstr((const char *)out.data, "<cbc:ID>]]&gt;&amp;&#13;\"</cbc:ID>"), "%s", (char *)out.data);
    bytes_free(&out);
}
