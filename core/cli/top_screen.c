#include "core/cli/top_screen.h"

#include "core/base/limits.h"
#include "core/base/utf8.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define NARROW    70u /* columns; below it tables have fewer of them */
#define ROWS_ONCE 20u /* of a table, where there is no screen */
#define ROWS_MAX  1000u
#define NAME_ROOM 400u

const char *top_sort_name(enum top_sort sort) {
    static const char *const names[] = {[TOP_LAG] = "lag", [TOP_RATE] = "rate", [TOP_NAME] = "name"};
    return names[sort];
}

/* ---- lines ---- */

enum style { PLAIN, HEAD, ALERT };

struct page {
    FILE *out;
    const struct top_screen *screen;
    uint32_t left; /* lines that still fit */
    bool narrow;
};

/* As much of the text as fits: characters, not bytes. */
static size_t fitting(const char *text, uint32_t columns) {
    size_t length = strlen(text), at = 0;
    uint32_t code;
    if (columns == 0)
        return length;
    for (uint32_t i = 0; i < columns && at < length; i++) {
        size_t bytes = utf8_next((const uint8_t *)text + at, length - at, &code);
        at += bytes == 0 ? 1 : bytes;
    }
    return at;
}

__attribute__((format(printf, 3, 4))) static void line(struct page *page, enum style style,
                                                       const char *format, ...) {
    static const char *const begin[] = {[PLAIN] = "", [HEAD] = "\033[1m", [ALERT] = "\033[31m"};
    char text[1200];
    va_list arguments;
    if (page->left == 0)
        return;
    page->left--;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    bool styled = page->screen->colour && style != PLAIN;
    fprintf(page->out, "%s%.*s%s%s\n", styled ? begin[style] : "", (int)fitting(text, page->screen->columns),
            text, styled ? "\033[0m" : "", page->screen->rows > 0 ? "\033[K" : "");
}

/* A name from the network: what a terminal would obey, or nobody sees, becomes '?'. */
static const char *clean(char *out, size_t size, const char *text) {
    size_t length = text == NULL ? 0 : strlen(text), used = 0;
    for (size_t at = 0; at < length;) {
        uint32_t code;
        size_t bytes = utf8_next((const uint8_t *)text + at, length - at, &code);
        bool good = bytes > 0 && !utf8_control_or_nonchar(code) && !utf8_unseen(code);
        if (used + (good ? bytes : 1) >= size)
            break;
        if (good)
            memcpy(out + used, text + at, bytes);
        else
            out[used] = '?';
        used += good ? bytes : 1;
        at += bytes == 0 ? 1 : bytes;
    }
    out[used] = '\0';
    return out;
}

/* ---- values ---- */

static double number(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

static const char *string(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

/* 999, 1.2k, 3.4M. */
static const char *brief(char out[16], double value) {
    static const char units[] = " kMGT";
    size_t unit = 0;
    for (; value >= 999.5 && units[unit + 1] != '\0'; unit++)
        value /= 1000;
    if (unit == 0)
        (void)snprintf(out, 16, value < 9.95 && value != floor(value) ? "%.1f" : "%.0f", value);
    else
        (void)snprintf(out, 16, value < 9.95 ? "%.1f%c" : "%.0f%c", value, units[unit]);
    return out;
}

/* 250ms, 1.5s, 12m, 3h. */
static const char *age(char out[16], double ms) {
    if (ms < 1000)
        (void)snprintf(out, 16, "%.0fms", ms);
    else if (ms < 60000)
        (void)snprintf(out, 16, "%.1fs", ms / 1000);
    else if (ms < 3600000)
        (void)snprintf(out, 16, "%.0fm", ms / 60000);
    else
        (void)snprintf(out, 16, "%.0fh", ms / 3600000);
    return out;
}

static double seconds(const struct top_look *before, const struct top_look *now) {
    return now->mono_ns > before->mono_ns && before->shards != NULL
               ? (double)(now->mono_ns - before->mono_ns) / (double)NS_PER_S
               : 0;
}

static const json_t *shard_of(const struct top_look *look, double wanted) {
    const json_t *list = json_object_get(look->shards, "shards");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (number(json_array_get(list, i), "shard") == wanted)
            return json_array_get(list, i);
    return NULL;
}

/* Of a total of one shard, per second; 0 where there is nothing to compare with. */
static double rate(const struct top_look *before, const struct top_look *now, const json_t *shard,
                   const char *key) {
    double time = seconds(before, now);
    const json_t *earlier = shard_of(before, number(shard, "shard"));
    double more = number(shard, key) - number(earlier, key);
    return time > 0 && earlier != NULL && more > 0 ? more / time : 0;
}

/* ---- the head and the shards ---- */

static void head_draw(struct page *page, const struct top_look *before, const struct top_look *now) {
    const json_t *list = json_object_get(now->shards, "shards");
    const struct top_screen *screen = page->screen;
    double connections = 0, in = 0, out = 0, laggards = 0;
    char room[3][16], address[NAME_ROOM];
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *shard = json_array_get(list, i);
        connections += number(shard, "connections");
        laggards += number(shard, "lagging");
        in += rate(before, now, shard, "events_in_total");
        out += rate(before, now, shard, "deliveries_total");
    }
    line(page, HEAD, "%s  shards %zu  connections %s  in %s/s  out %s/s  lagging %.0f",
         clean(address, sizeof address, screen->address), json_array_size(list), brief(room[0], connections),
         brief(room[1], in), brief(room[2], out), laggards);
    if (screen->trouble != NULL)
        line(page, ALERT, "! no answer: %s", screen->trouble);
    else if (screen->rows > 0)
        line(page, PLAIN, "q quit  s sort: %s", top_sort_name(screen->sort));
}

static void shard_draw(struct page *page, const struct top_look *before, const struct top_look *now,
                       const json_t *shard) {
    const json_t *log = json_object_get(shard, "log");
    double records = number(log, "records");
    double fill = records > 0 ? 100 * (number(log, "produced") - number(log, "oldest")) / records : 0;
    char room[6][16];
    const char *in = brief(room[0], rate(before, now, shard, "events_appended_total"));
    const char *out = brief(room[1], rate(before, now, shard, "deliveries_total"));
    const char *connections = brief(room[2], number(shard, "connections"));
    double busy = 100 * number(shard, "busy_ratio");
    if (page->narrow) {
        line(page, PLAIN, "%5.0f %4.0f%% %8s %9s %5s %4.0f", number(shard, "shard"), busy, in, out,
             connections, number(shard, "lagging"));
        return;
    }
    line(page, PLAIN, "%5.0f %4.0f%% %8s %9s %9s %11s %8s %7.0f %4.0f%%", number(shard, "shard"), busy, in,
         out, brief(room[3], rate(before, now, shard, "deliveries_bytes_total")), connections,
         brief(room[4], number(shard, "subscriptions")), number(shard, "lagging"), fill);
}

static void shards_draw(struct page *page, const struct top_look *before, const struct top_look *now,
                        uint32_t most) {
    const json_t *list = json_object_get(now->shards, "shards");
    line(page, PLAIN, "%s", "");
    line(page, HEAD, "%s",
         page->narrow ? "SHARD  BUSY EVENTS/S DELIVER/S CONNS LAGS"
                      : "SHARD  BUSY EVENTS/S DELIVER/S   BYTES/S CONNECTIONS PATTERNS LAGGING  LOG");
    for (size_t i = 0; i < json_array_size(list) && i < most; i++)
        shard_draw(page, before, now, json_array_get(list, i));
}

/* ---- topics and subscribers ---- */

static int compare_numbers(const json_t *a, const json_t *b, const char *key) {
    double left = number(a, key), right = number(b, key);
    return left > right ? -1 : left < right;
}

/* One screen at a time is drawn, by one thread. */
static enum top_sort sorting;

static int topic_order(const void *a, const void *b) {
    const json_t *left = *(json_t *const *)a, *right = *(json_t *const *)b;
    int order = sorting == TOP_NAME ? 0 : compare_numbers(left, right, "rate_per_s");
    return order != 0 ? order : strcmp(string(left, "topic"), string(right, "topic"));
}

static int subscriber_order(const void *a, const void *b) {
    const json_t *left = *(json_t *const *)a, *right = *(json_t *const *)b;
    int order = sorting == TOP_NAME  ? strcmp(string(left, "client"), string(right, "client"))
                : sorting == TOP_LAG ? compare_numbers(left, right, "lag_ms")
                                     : compare_numbers(left, right, "drain_per_s");
    return order != 0 ? order : compare_numbers(left, right, "lag_events");
}

/* The list's items in their order, at most ROWS_MAX; the caller frees the array. */
static size_t ordered(const json_t *list, int (*order)(const void *, const void *), json_t ***out) {
    size_t count = json_array_size(list) < ROWS_MAX ? json_array_size(list) : ROWS_MAX;
    *out = calloc(count + 1, sizeof **out);
    if (*out == NULL)
        return 0;
    for (size_t i = 0; i < count; i++)
        (*out)[i] = json_array_get(list, i);
    qsort(*out, count, sizeof **out, order);
    return count;
}

static void topics_draw(struct page *page, const struct top_look *now, uint32_t most) {
    json_t **rows;
    size_t count = ordered(json_object_get(now->topics, "topics"), topic_order, &rows);
    line(page, PLAIN, "%s", "");
    line(page, HEAD, "%s",
         page->narrow ? "EVENTS/S TOPIC" : "EVENTS/S   BYTES/S     KEPT SHARD CLASS  TOPIC");
    for (size_t i = 0; i < count && i < most; i++) {
        char room[3][16], name[NAME_ROOM];
        const char *events = brief(room[0], number(rows[i], "rate_per_s"));
        const char *topic = clean(name, sizeof name, string(rows[i], "topic"));
        if (page->narrow)
            line(page, PLAIN, "%8s %s", events, topic);
        else
            line(page, PLAIN, "%8s %9s %8s %5.0f %-6.6s %s", events,
                 brief(room[1], number(rows[i], "bytes_per_s")),
                 brief(room[2], number(rows[i], "events_kept")), number(rows[i], "shard"),
                 string(rows[i], "class"), topic);
    }
    free(rows);
}

/* Its queue, or its patterns one behind the other. */
static const char *wants(char *out, size_t size, const json_t *row) {
    const json_t *patterns = json_object_get(row, "patterns");
    const char *queue = string(row, "queue");
    size_t used = 0;
    if (queue[0] != '\0')
        return clean(out, size, queue);
    out[0] = '\0';
    for (size_t i = 0; i < json_array_size(patterns) && used + 2 < size; i++) {
        if (i > 0)
            out[used++] = ' ';
        (void)clean(out + used, size - used, json_string_value(json_array_get(patterns, i)));
        used += strlen(out + used);
    }
    return out;
}

static void subscriber_draw(struct page *page, const json_t *row) {
    char room[5][16], client[NAME_ROOM], text[NAME_ROOM];
    bool lags = json_is_true(json_object_get(row, "lagging"));
    enum style style = lags ? ALERT : PLAIN;
    const char *mark = lags ? "!" : " "; /* not by colour alone */
    const char *lag = age(room[0], number(row, "lag_ms"));
    (void)clean(client, sizeof client, string(row, "client"));
    if (page->narrow) {
        line(page, style, "%s%7s %8s %s", mark, lag, brief(room[1], number(row, "lag_events")), client);
        return;
    }
    line(page, style, "%s%7s %8s %8s %8s %7s %-8.8s %-20s %s", mark, lag,
         brief(room[1], number(row, "lag_events")), brief(room[2], number(row, "lag_bytes")),
         brief(room[3], number(row, "drain_per_s")), age(room[4], number(row, "last_write_ms")),
         string(row, "connection"), client, wants(text, sizeof text, row));
}

static void subscribers_draw(struct page *page, const struct top_look *now, uint32_t most) {
    json_t **rows;
    size_t count = ordered(json_object_get(now->subscriptions, "subscriptions"), subscriber_order, &rows);
    line(page, PLAIN, "%s", "");
    line(page, HEAD, "%s",
         page->narrow
             ? "     LAG   EVENTS CLIENT"
             : "     LAG   EVENTS    BYTES  DRAIN/S    LAST CONN     CLIENT               SUBSCRIBES TO");
    for (size_t i = 0; i < count && i < most; i++)
        subscriber_draw(page, rows[i]);
    free(rows);
}

void top_draw(FILE *out, const struct top_screen *screen, const struct top_look *before,
              const struct top_look *now) {
    uint32_t rows = screen->rows == 0 ? UINT32_MAX : screen->rows - 1; /* the cursor stands behind the last */
    struct page page = {.out = out,
                        .screen = screen,
                        .left = rows,
                        .narrow = screen->columns != 0 && screen->columns < NARROW};
    size_t shards = json_array_size(json_object_get(now->shards, "shards"));
    sorting = screen->sort;
    head_draw(&page, before, now);
    shards_draw(&page, before, now, screen->rows == 0 ? ROWS_MAX : rows / 3);
    uint32_t used = 4 + (uint32_t)(shards < rows / 3 ? shards : rows / 3);
    uint32_t half = rows > used + 4 ? (rows - used - 4) / 2 : 0;
    topics_draw(&page, now, screen->rows == 0 ? ROWS_ONCE : half);
    subscribers_draw(&page, now, screen->rows == 0 ? ROWS_ONCE : half + 1);
    if (screen->rows > 0)
        fputs("\033[J", out);
}
