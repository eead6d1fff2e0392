#include "core/filter/program.h"

#include "codecs/event/base64.h"

#include <stdio.h>
#include <string.h>

/* An event whose values have been found. */
struct asked {
    const struct filter *filter;
    const struct attribute *values;
    uint32_t has;
    uint32_t path_length;
    struct filter_finding *out;
};

/* By the tree, as it is written down. */
static bool node_passes(const struct asked *asked, uint32_t at) {
    const struct filter_node *node = &asked->filter->nodes[at];
    if (node->dialect == FILTER_NOT)
        return !node_passes(asked, at + 1);
    bool any = node->dialect == FILTER_ANY;
    if (filter_compares(node->dialect)) {
        for (uint32_t i = node->first; i < node->last; i++)
            if (!filter_test_holds(&asked->filter->tests[i], asked->has, asked->values))
                return false;
        return true;
    }
    for (uint32_t child = at + 1; child < node->end; child = asked->filter->nodes[child].end)
        if (node_passes(asked, child) == any)
            return any;
    return !any;
}

/* ---- where ---- */

static void path_add(struct asked *asked, const char *text) {
    char *path = asked->out->path;
    uint32_t n = (uint32_t)strlen(text), room = FILTER_PATH_BYTES - asked->path_length;
    if (n < room) {
        memcpy(path + asked->path_length, text, n + 1);
        asked->path_length += n;
        return;
    }
    memcpy(path + FILTER_PATH_BYTES - 4, "...", 4);
    asked->path_length = FILTER_PATH_BYTES - 1;
}

static void path_index(struct asked *asked, uint32_t index) {
    char text[16];
    snprintf(text, sizeof text, "[%u]", index);
    path_add(asked, text);
}

static void path_dialect(struct asked *asked, const struct filter_node *node) {
    path_add(asked, ".");
    path_add(asked, filter_dialect_name(node->dialect));
}

/* ---- what decides ---- */

/* The only one in it that makes of it what it is, or 0: all of them do. */
static uint32_t node_decides(const struct asked *asked, uint32_t at, uint32_t *index) {
    const struct filter_node *nodes = asked->filter->nodes;
    bool any = nodes[at].dialect == FILTER_ANY;
    *index = 0;
    if (nodes[at + 1].end == nodes[at].end)
        return at + 1;
    for (uint32_t child = at + 1; child < nodes[at].end; child = nodes[child].end, ++*index)
        if (node_passes(asked, child) == any)
            return child;
    return 0;
}

static uint32_t node_smallest(struct asked *asked) {
    const struct filter_node *nodes = asked->filter->nodes;
    uint32_t at = 0, index;
    while (!filter_compares(nodes[at].dialect)) {
        if (nodes[at].dialect == FILTER_NOT) {
            at++;
        } else {
            uint32_t child = node_decides(asked, at, &index);
            if (child == 0)
                return at;
            path_index(asked, index);
            at = child;
        }
        path_dialect(asked, &nodes[at]);
    }
    return at;
}

/* The tests of a node that decide: of exact, prefix and suffix the first one that fails, if one does. */
static void tests_decide(const struct asked *asked, const struct filter_node *node, uint32_t *first,
                         uint32_t *last) {
    *first = node->first;
    *last = node->last;
    for (uint32_t i = node->first; filter_compares(node->dialect) && i < node->last; i++)
        if (!filter_test_holds(&asked->filter->tests[i], asked->has, asked->values)) {
            *first = i;
            *last = i + 1;
            return;
        }
}

static void value_show(const struct attribute *value, char out[FILTER_SHOWN_BYTES]) {
    char canonical[BASE64_LENGTH(FILTER_SHOWN_BYTES)];
    const char *text = (const char *)value->data;
    size_t n = value->length;
    if (value->kind == VALUE_BYTES) {
        size_t some = n < FILTER_SHOWN_BYTES ? n : FILTER_SHOWN_BYTES;
        base64_encode(value->data, some, canonical);
        n = some < n ? FILTER_SHOWN_BYTES : BASE64_LENGTH(some);
        text = canonical;
    } else if (text == NULL) {
        n = filter_canonical(value, canonical);
        text = canonical;
    }
    bool cut = n >= FILTER_SHOWN_BYTES;
    size_t shown = cut ? FILTER_SHOWN_BYTES - 4 : n;
    while (cut && shown > 0 && ((uint8_t)text[shown] & 0xc0) == 0x80)
        shown--; /* not within a character */
    memcpy(out, text, shown);
    memcpy(out + shown, cut ? "..." : "", cut ? 4 : 1);
}

static void attribute_tell(const struct asked *asked, uint32_t first, uint32_t last) {
    const struct filter_test *tests = asked->filter->tests;
    struct filter_finding *out = asked->out;
    uint8_t name = tests[first].name;
    for (uint32_t i = first; i < last; i++)
        if (tests[i].name != name)
            return;
    out->attribute = asked->filter->names[name].text.p;
    out->wanted = last - first == 1 ? tests[first].text.p : NULL;
    out->has = (asked->has >> name & 1u) != 0;
    if (out->has)
        value_show(&asked->values[name], out->value);
}

void filter_explain(const struct filter *filter, const uint8_t *event, size_t length,
                    struct filter_finding *out) {
    struct attribute values[FILTER_ATTRIBUTES_MAX];
    struct asked asked = {.filter = filter, .values = values, .out = out};
    uint32_t first, last;
    *out = (struct filter_finding){0};
    asked.has = filter_values(filter, event, length, values);
    out->passes = node_passes(&asked, 0);
    uint32_t at = node_smallest(&asked);
    out->dialect = filter->nodes[at].dialect;
    tests_decide(&asked, &filter->nodes[at], &first, &last);
    attribute_tell(&asked, first, last);
}
