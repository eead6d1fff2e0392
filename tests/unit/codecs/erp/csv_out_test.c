#include "codecs/erp/csv_out.h"

#include "codecs/erp/json.h"
#include "codecs/erp/engine.h"
#include "codecs/table/csv.h"
#include "roundhouse/erp/v1/erp.pb-c.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct erp_csv csv;
static struct layout_error error;

static void template_set(const char *text) {
    cr_assert(erp_csv_read(&csv, text, strlen(text), &error) == 0, "%u: %s", error.line, error.text);
}

/* Header and rows of a message that is told in JSON. Freed by the caller. */
static char *write_json(const ProtobufCMessageDescriptor *event, const char *json) {
    struct arena arena = {0};
    char wrong[ERP_JSON_ERROR_BYTES];
    ProtobufCMessage *message = erp_json_read(event, json, strlen(json), &arena, wrong);
    cr_assert(message, "%s", wrong);
    struct bytes out = {0};
    erp_csv_header(&csv, &out);
    cr_expect(erp_csv_write(&csv, message, &out) == (event == csv.event));
    bytes_add(&out, "", 1);
    arena_free(&arena);
    size_t length;
    return (char *)bytes_take(&out, &length);
}

#define ORDER                                                                                                \
    "{\"header\":{\"id\":\"PO "                                                                              \
    "1\",\"issued\":\"2026-09-02\",\"currency\":\"EUR\",\"notes\":[{\"value\":\"say \\\"hi\\\"\"}]},"        \
    "\"buyer\":{\"ids\":[{\"value\":\"7\",\"scheme\":\"BUYER\"},{\"value\":\"4012345000009\",\"scheme\":"    \
    "\"GLN\"}],\"name\":"                                                                                    \
    "\"Ada; "                                                                                                \
    "Co\",\"address\":{\"lines\":[\"one\",\"two\"]}},\"lines\":[{\"id\":\"1\",\"item\":{\"ids\":[{"          \
    "\"value\":"                                                                                             \
    "\"4012345600001\",\"scheme\":\"GTIN\"}]},\"quantity\":{\"value\":\"1250.5\",\"unit\":\"KGM\"},"         \
    "\"price\":{\"amount\":{"                                                                                \
    "\"value\":\"-0.50\",\"currency\":\"EUR\"}}},{\"id\":\"2\",\"quantity\":{\"value\":\"3\"}}]}"

Test(csv_out, writes_a_row_for_each_entry_of_a_list) {
    template_set(
        "event Order\nrows lines\ndelimiter ;\ndecimal ,\nend crlf\n"
        "column Order header.id\ncolumn Date header.issued date d.m.yy\ncolumn Buyer buyer.ids[GLN]\n"
        "column Name buyer\ncolumn Line lines.id\ncolumn GTIN lines.item.ids[GTIN]\ncolumn Qty "
        "lines.quantity\n"
        "column Unit lines.quantity.unit\ncolumn Price lines.price\ncolumn \"From us\" \"x\"\n"
        "column Note header.notes\ncolumn Street buyer.address.lines[2]\n");
    char *text = write_json(&roundhouse__erp__v1__order__descriptor, ORDER);
    cr_expect_str_eq(
        text,
        "Order;Date;Buyer;Name;Line;GTIN;Qty;Unit;Price;From us;Note;Street\r\n"
        "PO 1;2.9.26;4012345000009;\"Ada; Co\";1;4012345600001;1250,5;KGM;-0,50;x;\"say \"\"hi\"\"\";two\r\n"
        "PO 1;2.9.26;4012345000009;\"Ada; Co\";2;;3;;;x;\"say \"\"hi\"\"\";two\r\n");
    free(text);
    erp_csv_free(&csv);
    LEAKS_NONE();
}

Test(csv_out, writes_one_row_for_a_message_and_nothing_of_another_kind) {
    template_set(
        "event Order\nheader none\nquote \"'\"\ndelimiter tab\ncolumn Id header.id\ncolumn Name buyer.name\n"
        "column Date header.issued\ncolumn None seller.name\n");
    char *text = write_json(&roundhouse__erp__v1__order__descriptor, ORDER);
    cr_expect_str_eq(text, "PO 1\tAda; Co\t2026-09-02\t\n");
    free(text);
    text = write_json(&roundhouse__erp__v1__invoice__descriptor, "{\"header\":{\"id\":\"1\"}}");
    cr_expect_str_eq(text, "");
    free(text);
    erp_csv_free(&csv);
}

/* ---- there and back ---- */

struct kept {
    char *json;
    unsigned count;
};

static void keep(void *context, const struct erp_result *result) {
    struct kept *kept = context;
    struct bytes out = {0};
    cr_assert(result->message && result->errors == 0);
    erp_json_write(result->message, &out);
    bytes_add(&out, "", 1); /* a NUL, for what reads it as a string */
    out.length--;
    char *origin = memmem(out.data, out.length, ",\"origin\"", 9);
    free(kept->json);
    kept->json = strndup((char *)out.data, origin ? (size_t)(origin - (char *)out.data) : out.length);
    char *lines = memmem(out.data, out.length, "\"lines\":", 8);
    cr_assert(lines);
    kept->json = realloc(kept->json, out.length + 1);
    strncat(kept->json, lines, out.length - (size_t)(lines - (char *)out.data));
    kept->count++;
    bytes_free(&out);
}

Test(csv_out, is_read_again_as_the_same_message) {
    static const char dialect_text[] =
        "delimiter ;\ndecimal ,\nmessage ORDER key Order\nhead ORDER\nrow LINE\n"
        "column Order\ncolumn Line\ncolumn GTIN gtin\ncolumn Qty number\ncolumn Unit\n"
        "column Name\n";
    static const char map[] =
        "map CSV ORDER\nevent Order\nORDER  Order  header.id\nsection LINE  lines\n"
        "    LINE  Line  id\n    LINE  GTIN  item.ids  scheme=\"GTIN\"\n    LINE  Name  item\n"
        "    LINE  Qty   quantity  unit=Unit\n";
    static const char order[] =
        "{\"header\":{\"id\":\"47;11\"},\"lines\":[{\"id\":\"1\",\"item\":{\"ids\":[{\"value\":"
        "\"4012345600008\",\"scheme\":\"GTIN\"}],\"name\":\"two\\nlines \\\"x\\\"\"},\"quantity\":{"
        "\"value\":\"1250.5\",\"unit\":\"KGM\",\"sourceUnit\":\"KGM\"}},{\"id\":\"2\",\"quantity\":{"
        "\"value\":\"-3\"}}]}";
    struct dialect dialect;
    struct kept kept = {0};
    template_set(
        "event Order\nrows lines\ndelimiter ;\ndecimal ,\ncolumn Order header.id\ncolumn Line lines.id\n"
        "column GTIN lines.item.ids[GTIN]\ncolumn Qty lines.quantity\ncolumn Unit lines.quantity.unit\n"
        "column Name lines.item.name\n");
    char *text = write_json(&roundhouse__erp__v1__order__descriptor, order);
    cr_assert(dialect_read(&dialect, dialect_text, sizeof dialect_text - 1, &error) == 0, "%s", error.text);
    struct map_fields fields = {.format = "CSV", .number = dialect_number, .context = &dialect};
    struct map_library *library = map_library_new(&fields, 1);
    struct map_error wrong;
    cr_assert(map_library_add(library, "own", map, sizeof map - 1, &wrong), "%s", wrong.text);
    struct erp_engine_options options = {.library = library, .context = &kept, .message = keep};
    struct erp_engine *engine = erp_engine_new(&options);
    struct document_sink sink = erp_engine_sink(engine);
    struct csv *reader = csv_new(&dialect, NULL, &sink);
    csv_feed(reader, (const uint8_t *)text, strlen(text));
    csv_end(reader);
    cr_expect(kept.count == 1);
    const char *lines = kept.json ? strstr(kept.json, "\"lines\":") : NULL;
    cr_assert(lines, "%s", text);
    cr_expect_str_eq(lines, strstr(order, "\"lines\":"));
    cr_expect(strncmp(kept.json, "{\"header\":{\"id\":\"47;11\"", 23) == 0, "%s", kept.json);
    csv_free(reader);
    erp_engine_free(engine);
    map_library_free(library);
    dialect_free(&dialect);
    erp_csv_free(&csv);
    free(kept.json);
    free(text);
    LEAKS_NONE();
}

Test(csv_out, says_what_is_wrong_with_a_template_and_in_which_line) {
    static const struct {
        const char *text, *says;
        unsigned line;
    } wrong[] = {
        {"", "no column in it", 0},
        {"nonsense\n", "no such line", 1},
        {"event Nothing\n", "a message of erp.proto", 1},
        {"rows lines\n", "behind the event", 1},
        {"event Order\nrows header\n", "one of its lists", 2},
        {"column A header.id\n", "behind the event", 1},
        {"event Order\ncolumn A header.nothing\n", "no field nothing in Header", 2},
        {"event Order\ncolumn A header.id.x\n", "nothing in the field before x", 2},
        {"event Order\ncolumn A header.id[2]\n", "an entry of a list", 2},
        {"event Order\ncolumn A buyer.address.lines[GLN]\n", "only be chosen by number", 2},
        {"event Order\ncolumn A totals\n", "name a field of Totals", 2},
        {"event Order\ncolumn A header.id date dd.mm.yyyy\n", "this is no date", 2},
        {"event Order\ncolumn A header.issued date x\n", "a title and a path", 2},
        {"event Order\ndelimiter ab\n", "one character", 2},
        {"event Order\ndelimiter ,\ndecimal ,\ncolumn A header.id\n", "two marks", 0},
        {"event Order\ncolumn A \"\\x41\"\n", "without \\x", 2},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_expect(erp_csv_read(&csv, wrong[i].text, strlen(wrong[i].text), &error) < 0, "%s", wrong[i].text);
        cr_expect(strstr(error.text, wrong[i].says) && error.line == wrong[i].line, "%s: %u: %s",
                  wrong[i].text, error.line, error.text);
        erp_csv_free(&csv);
    }
    LEAKS_NONE();
}
