#include "codecs/erp/engine.h"
#include "codecs/erp/json.h"
#include "codecs/table/csv.h"
#include "codecs/table/fixed.h"

#include "tests/unit/codecs/golden.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Canonical messages without their origin, one a line. */
struct events {
    char text[16384];
    size_t length;
    unsigned count, refused;
};

static void message(void *context, const struct erp_result *result) {
    struct events *events = context;
    struct bytes out = {0};
    json_error_t error;
    cr_assert(result->message, "%.*s", (int)result->head->name.length,
              (const char *)result->head->name.bytes);
    erp_json_write(result->message, &out);
    json_t *json = json_loadb((const char *)out.data, out.length, 0, &error);
    cr_assert(json, "%s", error.text);
    (void)json_object_del(json_object_get(json, "header"), "origin");
    char *text = json_dumps(json, JSON_COMPACT);
    events->length +=
        (size_t)snprintf(events->text + events->length, sizeof events->text - events->length, "%s\n", text);
    events->count++;
    events->refused += result->errors > 0;
    free(text);
    json_decref(json);
    bytes_free(&out);
}

static struct map_library *library_of(const char *format,
                                      uint32_t (*number)(void *, const char *, const char *), void *context,
                                      const char *map) {
    struct map_error error = {""};
    struct map_fields fields = {.format = format, .number = number, .context = context};
    struct map_library *library = map_library_new(&fields, 1);
    cr_assert(library && map_library_add(library, "own", map, strlen(map), &error), "%s", error.text);
    return library;
}

static struct erp_engine *engine_of(struct map_library *library, struct events *events) {
    struct erp_engine_options options = {.library = library, .context = events, .message = message};
    struct erp_engine *engine = erp_engine_new(&options);
    cr_assert(engine);
    *events = (struct events){0};
    return engine;
}

static uint8_t *data(const char *name, size_t *length) {
    char path[128];
    snprintf(path, sizeof path, "tests/data/%s", name);
    return golden_file(path, length);
}

static void read_csv(struct events *events, const char *dialect_name, const char *file, const char *map) {
    struct dialect dialect;
    struct layout_error error;
    size_t text_length, length;
    uint8_t *text = data(dialect_name, &text_length), *bytes = data(file, &length);
    cr_assert(dialect_read(&dialect, (char *)text, text_length, &error) == 0);
    struct map_library *library = library_of("CSV", dialect_number, &dialect, map);
    struct erp_engine *engine = engine_of(library, events);
    struct document_sink sink = erp_engine_sink(engine);
    struct csv *csv = csv_new(&dialect, NULL, &sink);
    csv_feed(csv, bytes, length);
    csv_end(csv);
    csv_free(csv);
    erp_engine_free(engine);
    map_library_free(library);
    dialect_free(&dialect);
    free(bytes);
    free(text);
}

static void expect_line(const struct events *events, unsigned line, const char *want) {
    const char *at = events->text;
    for (; line > 0 && at; line--)
        at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL;
    size_t length = at ? strcspn(at, "\n") : 0;
    cr_expect(length == strlen(want) && memcmp(at, want, length) == 0, "%.*s", (int)length, at);
}

Test(table_maps, make_orders_of_a_shops_rows) {
    static const char map[] = "map CSV ORDER\n"
                              "event Order\n"
                              "ORDER  Name      header.id\n"
                              "ORDER  Currency  header.currency\n"
                              "ORDER  Total     totals.payable\n"
                              "ORDER  Email     buyer.contacts.email\n"
                              "section LINE  lines\n"
                              "    LINE  {Lineitem sku}       item.ids  scheme=\"SELLER\"\n"
                              "    LINE  {Lineitem name}      item\n"
                              "    LINE  {Lineitem quantity}  quantity\n"
                              "    LINE  {Lineitem price}     price  type=\"GROSS\"\n";
    struct events events;
    read_csv(&events, "dialects/shopify.dialect", "csv/own__shopify_orders_layout_synthetic.csv", map);
    cr_expect(events.count == 2 && events.refused == 0);
    expect_line(
        &events, 0,
        "{\"header\":{\"id\":\"#1001\",\"currency\":\"EUR\"},\"buyer\":{\"contacts\":[{\"email\":"
        "\"a@example.com\"}]},\"lines\":[{\"item\":{\"ids\":[{\"value\":\"MUG-B\",\"scheme\":\"SELLER\"}],"
        "\"name\":\"Mug, blue\"},\"quantity\":{\"value\":\"2\"},\"price\":{\"amount\":{\"value\":\"14.95\","
        "\"currency\":\"EUR\"},\"type\":\"GROSS\"}},{\"item\":{\"ids\":[{\"value\":\"TOW-1\",\"scheme\":"
        "\"SELLER\"}],\"name\":\"Tea towel\"},\"quantity\":{\"value\":\"1\"},\"price\":{\"amount\":{"
        "\"value\":\"19.90\",\"currency\":\"EUR\"},\"type\":\"GROSS\"}}],\"totals\":{\"payable\":{\"value\":"
        "\"54.70\",\"currency\":\"EUR\"}}}");
    LEAKS_NONE();
}

Test(table_maps, understand_the_marks_of_a_german_spreadsheet_and_refuse_its_ruined_row) {
    static const char map[] = "map CSV ORDER\n"
                              "event Order\n"
                              "LINE  Bestellnr  header.id\n"
                              "LINE  Datum      header.issued\n"
                              "section LINE  lines\n"
                              "    LINE  GTIN     item.ids  scheme=\"GTIN\"\n"
                              "    LINE  Artikel  item\n"
                              "    LINE  Menge    quantity  unit=ME\n"
                              "    LINE  Preis    price     amount.currency=Währung\n";
    struct events events;
    read_csv(&events, "dialects/excel_de.dialect", "csv/own__excel_de_latin1_synthetic.csv", map);
    cr_expect(events.count == 2 && events.refused == 1);
    cr_expect(strstr(events.text, "\"id\":\"4711\",\"issued\":\"2026-09-01\"") &&
                  strstr(events.text, "\"value\":\"1250.5\"") &&
                  strstr(events.text, "\"value\":\"1234.56\"") &&
                  strstr(events.text, "M\\u00fcsli") == NULL && strstr(events.text, "Müsli"),
              "%s", events.text);
}

Test(table_maps, make_a_remittance_of_records_of_fixed_width) {
    static const char layout[] =
        "layout payments\nmessage REMITTANCE from HEAD\n"
        "record HEAD when 1 1 \"H\"\n field NUMBER 2 8\n field DATE 10 8 D ddmmyyyy\n"
        " field TOTAL 18 9 S9V2\n"
        "record PAID under HEAD when 1 1 \"P\"\n field INVOICE 2 8\n field PAID 10 9 S9V2\n";
    static const char map[] = "map FIXED REMITTANCE\n"
                              "event RemittanceAdvice\n"
                              "section HEAD\n"
                              "    HEAD  NUMBER  header.id\n"
                              "    HEAD  DATE    paid\n"
                              "    HEAD  TOTAL   total\n"
                              "    section PAID  lines\n"
                              "        PAID  INVOICE  invoice  type=\"INVOICE\"\n"
                              "        PAID  PAID     paid\n";
    static const char file[] = "HR00000010109202600000150{\nPI000000100000200{\nPI000000200000050}\n";
    struct layouts layouts = {0};
    struct layout_error error;
    struct events events;
    cr_assert(layouts_add(&layouts, layout, sizeof layout - 1, &error) == 0, "%u: %s", error.line,
              error.text);
    struct map_library *library = library_of("FIXED", layouts_number, &layouts, map);
    struct erp_engine *engine = engine_of(library, &events);
    struct document_sink sink = erp_engine_sink(engine);
    struct fixed *fixed = fixed_new(&layouts, NULL, &sink);
    fixed_feed(fixed, (const uint8_t *)file, sizeof file - 1);
    fixed_end(fixed);
    fixed_free(fixed);
    cr_expect(events.count == 1 && events.refused == 0);
    expect_line(&events, 0,
                "{\"header\":{\"id\":\"R0000001\"},\"paid\":\"2026-09-01\",\"total\":{\"value\":\"15.00\"},"
                "\"lines\":[{"
                "\"invoice\":{\"type\":\"INVOICE\",\"id\":\"I0000001\"},\"paid\":{\"value\":\"20.00\"}},{"
                "\"invoice\":{"
                "\"type\":\"INVOICE\",\"id\":\"I0000002\"},\"paid\":{\"value\":\"-5.00\"}}]}");
    erp_engine_free(engine);
    map_library_free(library);
    layouts_free(&layouts);
    LEAKS_NONE();
}
