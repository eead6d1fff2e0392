#include "core/filter/program.h"

#include "codecs/event/fields.h"
#include "core/base/heap.h"

#include <string.h>

bool build_fails(struct filter_build *build, enum rh_code code, const char *text) {
    if (!build->failed)
        *build->fault = (struct fault){.code = code, .text = text, .field = "subscribe.filters"};
    build->failed = true;
    return false;
}

static void node_begin(struct filter_build *build, enum filter_dialect dialect) {
    build->open[build->depth++] = (uint16_t)build->node_count;
    build->nodes[build->node_count++] =
        (struct filter_node){.dialect = (uint8_t)dialect, .first = (uint16_t)build->test_count};
}

struct filter_build *build_new(struct fault *fault) {
    struct filter_build *build = heap_take_raw(sizeof *build);
    if (build == NULL) {
        *fault = (struct fault){.code = RH_CODE_EXHAUSTED,
                                .text = "the server has no memory for this subscription now",
                                .field = "subscribe.filters"};
        return NULL;
    }
    build->fault = fault;
    build->depth = build->parts = build->bytes = 0;
    build->name_count = build->test_count = build->node_count = 0;
    build->failed = false;
    node_begin(build, FILTER_ALL);
    return build;
}

static bool parts_too_many(struct filter_build *build) {
    return build_fails(build, RH_CODE_TOO_LARGE,
                       "the filters of a subscription have at most 256 parts: each attribute that is "
                       "compared, and each all, any and not");
}
static_assert(FILTER_PARTS_MAX == 256, "the text names the limit");

static bool part_count(struct filter_build *build) {
    return ++build->parts <= FILTER_PARTS_MAX || parts_too_many(build);
}

bool build_open(struct filter_build *build, enum filter_dialect dialect) {
    if (build->failed)
        return false;
    if (build->depth == FILTER_DEPTH_MAX + 1)
        return build_fails(build, RH_CODE_TOO_LARGE, "filters stand in one another at most 16 deep");
    if (!filter_compares(dialect) && !part_count(build))
        return false;
    if (build->node_count == FILTER_NODES_MAX) /* each that is closed has a part of its own */
        return parts_too_many(build);
    node_begin(build, dialect);
    return true;
}
static_assert(FILTER_DEPTH_MAX == 16, "the text names the limit");

bool build_close(struct filter_build *build) {
    if (build->failed)
        return false;
    struct filter_node *node = &build->nodes[build->open[--build->depth]];
    node->end = (uint16_t)build->node_count;
    node->last = (uint16_t)build->test_count;
    if (node->first < node->last)
        return true;
    return build_fails(build, RH_CODE_INVALID,
                       filter_compares(node->dialect) ? "exact, prefix and suffix name at least one attribute"
                                                      : "all and any have at least one filter in them");
}

/* ---- comparisons ---- */

static bool name_valid(struct filter_build *build, struct filter_text name) {
    if (name.n == 0)
        return build_fails(build, RH_CODE_INVALID, "a filter has an attribute without a name");
    if (name.n > FILTER_NAME_BYTES_MAX)
        return build_fails(build, RH_CODE_TOO_LARGE,
                           "the name of an attribute in a filter has at most 64 bytes");
    for (uint32_t i = 0; i < name.n; i++)
        if (!(name.p[i] >= 'a' && name.p[i] <= 'z') && !(name.p[i] >= '0' && name.p[i] <= '9'))
            return build_fails(build, RH_CODE_INVALID,
                               "the name of an attribute in a filter is made of small letters and digits");
    if (name.n == 4 && memcmp(name.p, "data", 4) == 0)
        return build_fails(build, RH_CODE_INVALID,
                           "filters look at attributes: the data of an event is not looked at");
    return true;
}
static_assert(FILTER_NAME_BYTES_MAX == 64, "the text names the limit");

static bool text_is(struct filter_text a, struct filter_text b) {
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

static int text_order(struct filter_text a, struct filter_text b) {
    uint32_t n = a.n < b.n ? a.n : b.n;
    int order = memcmp(a.p, b.p, n);
    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

/* Index of names; FILTER_NO_NAME = there is no room for another one. */
static uint8_t name_index(struct filter_build *build, struct filter_text name) {
    static const char *const own[FILTER_OWN_FIELDS] = {[EVENT_ID] = "id",
                                                       [EVENT_SOURCE] = "source",
                                                       [EVENT_SPEC_VERSION] = "specversion",
                                                       [EVENT_TYPE] = "type"};
    for (uint32_t i = 0; i < build->name_count; i++)
        if (text_is(build->names[i].text, name))
            return (uint8_t)i;
    if (build->name_count == FILTER_ATTRIBUTES_MAX)
        return FILTER_NO_NAME;
    struct filter_name made = {.text = name, .field = EVENT_ATTRIBUTE};
    for (uint32_t i = EVENT_ID; i < FILTER_OWN_FIELDS; i++)
        if (text_is(name, (struct filter_text){own[i], (uint32_t)strlen(own[i])}))
            made.field = i;
    build->names[build->name_count] = made;
    return (uint8_t)build->name_count++;
}
static_assert(FILTER_ATTRIBUTES_MAX <= 32, "a bit for each");

/* Where it belongs among those of its filter, by name. */
static bool test_place(struct filter_build *build, const struct filter_test *test) {
    const struct filter_node *node = &build->nodes[build->open[build->depth - 1]];
    uint32_t at = build->test_count;
    while (at > node->first) {
        const struct filter_test *before = &build->tests[at - 1];
        int order = text_order(build->names[before->name].text, build->names[test->name].text);
        if (order == 0)
            return build_fails(build, RH_CODE_INVALID,
                               "a filter names an attribute twice: put one of them into a filter of its own");
        if (order < 0)
            break;
        at--;
    }
    memmove(&build->tests[at + 1], &build->tests[at], (build->test_count - at) * sizeof *test);
    build->tests[at] = *test;
    build->test_count++;
    return true;
}

bool build_test(struct filter_build *build, struct filter_text name, struct filter_text text) {
    if (build->failed || !name_valid(build, name) || !part_count(build))
        return false;
    if (text.n == 0)
        return build_fails(build, RH_CODE_INVALID, "a value in a filter is not empty");
    if (text.n > FILTER_BYTES_MAX || (build->bytes += name.n + text.n) > FILTER_BYTES_MAX)
        return build_fails(build, RH_CODE_TOO_LARGE,
                           "names and values in the filters of a subscription have at most 16384 bytes");
    struct filter_test test = {.text = text, .name = name_index(build, name)};
    test.dialect = build->nodes[build->open[build->depth - 1]].dialect;
    if (test.name == FILTER_NO_NAME)
        return build_fails(build, RH_CODE_TOO_LARGE,
                           "the filters of a subscription name at most 32 different attributes");
    return test_place(build, &test);
}
static_assert(FILTER_BYTES_MAX == 16384 && FILTER_ATTRIBUTES_MAX == 32, "the texts name the limits");

/* ---- where the row goes on ---- */

static uint16_t tests_link(struct filter_build *build, const struct filter_node *node, uint16_t yes,
                           uint16_t no) {
    for (uint16_t i = node->first; i < node->last; i++) {
        build->tests[i].yes = i + 1 < node->last ? (uint16_t)(i + 1) : yes;
        build->tests[i].no = no;
    }
    return node->end;
}

/* A node is entered at its first test. Gives the node behind it. */
static uint16_t node_link(struct filter_build *build, uint16_t at, uint16_t yes, uint16_t no) {
    const struct filter_node *node = &build->nodes[at];
    if (filter_compares(node->dialect))
        return tests_link(build, node, yes, no);
    if (node->dialect == FILTER_NOT)
        return node_link(build, at + 1, no, yes);
    for (uint16_t child = at + 1; child < node->end;) {
        const struct filter_node *one = &build->nodes[child];
        uint16_t next = one->last; /* the first test of the one that follows */
        bool last = one->end == node->end, all = node->dialect == FILTER_ALL;
        child = node_link(build, child, last || !all ? yes : next, last || all ? no : next);
    }
    return node->end;
}

/* ---- all in one piece ---- */

/* Names that are fields of their own come first, so that only the others are held against the map's. */
static void names_sort(struct filter_build *build) {
    uint8_t to[FILTER_ATTRIBUTES_MAX] = {0};
    struct filter_name sorted[FILTER_ATTRIBUTES_MAX] = {0};
    uint32_t count = 0;
    for (int others = 0; others <= 1; others++)
        for (uint32_t i = 0; i < build->name_count; i++)
            if ((build->names[i].field == EVENT_ATTRIBUTE) == (others == 1)) {
                to[i] = (uint8_t)count;
                sorted[count++] = build->names[i];
            }
    memcpy(build->names, sorted, count * sizeof *sorted);
    for (uint32_t i = 0; i < build->test_count; i++)
        build->tests[i].name = to[build->tests[i].name];
}

static void text_keep(struct filter_text *text, char **room) {
    memcpy(*room, text->p, text->n);
    text->p = *room;
    (*room)[text->n] = '\0';
    *room += text->n + 1;
}

static void names_set(struct filter *filter) {
    memset(filter->own, FILTER_NO_NAME, sizeof filter->own);
    filter->others = (uint8_t)filter->name_count;
    for (uint8_t i = (uint8_t)filter->name_count; i-- > 0;) {
        if (filter->names[i].field == EVENT_ATTRIBUTE)
            filter->others = i;
        else
            filter->own[filter->names[i].field] = i;
    }
}

static struct filter *filter_assemble(struct filter_build *build) {
    size_t tests = build->test_count * sizeof(struct filter_test);
    size_t names = build->name_count * sizeof(struct filter_name);
    size_t nodes = build->node_count * sizeof(struct filter_node);
    size_t texts = build->bytes + build->name_count + build->test_count;
    struct filter *filter = heap_take(sizeof *filter + tests + names + nodes + texts);
    if (filter == NULL)
        return NULL;
    struct filter_test *test = (struct filter_test *)(filter + 1);
    struct filter_name *name = (struct filter_name *)(test + build->test_count);
    struct filter_node *node = (struct filter_node *)(name + build->name_count);
    char *room = (char *)(node + build->node_count);
    memcpy(test, build->tests, tests);
    memcpy(name, build->names, names);
    memcpy(node, build->nodes, nodes);
    for (uint32_t i = 0; i < build->test_count; i++)
        text_keep(&test[i].text, &room);
    for (uint32_t i = 0; i < build->name_count; i++)
        text_keep(&name[i].text, &room);
    *filter = (struct filter){.names = name,
                              .tests = test,
                              .nodes = node,
                              .name_count = (uint16_t)build->name_count,
                              .test_count = (uint16_t)build->test_count,
                              .node_count = (uint16_t)build->node_count};
    names_set(filter);
    filter->packed_length = (uint32_t)filter_pack_size(filter);
    filter->packed = heap_take_raw(filter->packed_length);
    if (filter->packed != NULL)
        filter_pack(filter, filter->packed);
    return filter;
}
static_assert(_Alignof(struct filter) >= _Alignof(struct filter_test) &&
                  _Alignof(struct filter_test) >= _Alignof(struct filter_name) &&
                  _Alignof(struct filter_name) >= _Alignof(struct filter_node),
              "one behind the other");

struct filter *build_done(struct filter_build *build) {
    struct filter *filter = NULL;
    if (build_close(build)) {
        CHECK(build->depth == 0);
        names_sort(build);
        (void)node_link(build, 0, FILTER_PASS, FILTER_STOP);
        filter = filter_assemble(build);
        if (filter != NULL && filter->packed == NULL) {
            filter_free(filter);
            filter = NULL;
        }
        if (filter == NULL)
            build_fails(build, RH_CODE_EXHAUSTED, "the server has no memory for this subscription now");
    }
    heap_give(build);
    return filter;
}

void filter_free(struct filter *filter) {
    if (filter == NULL)
        return;
    heap_give(filter->packed);
    heap_give(filter);
}

const uint8_t *filter_packed(const struct filter *filter, size_t *length) {
    *length = filter->packed_length;
    return filter->packed;
}

const char *filter_dialect_name(enum filter_dialect dialect) {
    static const char *const names[] = {
        [FILTER_EXACT] = "exact", [FILTER_PREFIX] = "prefix", [FILTER_SUFFIX] = "suffix",
        [FILTER_ALL] = "all",     [FILTER_ANY] = "any",       [FILTER_NOT] = "not"};
    return names[dialect];
}
