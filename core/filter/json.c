#include "core/filter/program.h"

#include <jansson.h>
#include <string.h>

/* ---- in ---- */

static bool attributes_take(struct filter_build *build, enum filter_dialect dialect, json_t *attributes) {
    const char *name;
    json_t *value;
    if (!json_is_object(attributes))
        return build_fails(build, RH_CODE_INVALID,
                           "exact, prefix and suffix have an object of attributes and their values");
    if (!build_open(build, dialect))
        return false;
    json_object_foreach(attributes, name, value) {
        if (!json_is_string(value))
            return build_fails(build, RH_CODE_INVALID,
                               "a value in a filter is a string, also that of a number or a flag: \"5\"");
        if (!build_test(build, (struct filter_text){name, (uint32_t)strlen(name)},
                        (struct filter_text){json_string_value(value), (uint32_t)json_string_length(value)}))
            return false;
    }
    return build_close(build);
}

static bool filter_take(struct filter_build *build, json_t *filter);

static bool list_take(struct filter_build *build, enum filter_dialect dialect, json_t *list) {
    size_t i;
    json_t *filter;
    if (!json_is_array(list))
        return build_fails(build, RH_CODE_INVALID, "all and any have an array of filters");
    if (!build_open(build, dialect))
        return false;
    json_array_foreach(list, i, filter) if (!filter_take(build, filter)) return false;
    return build_close(build);
}

static bool dialect_take(struct filter_build *build, const char *name, json_t *value) {
    for (int i = FILTER_EXACT; i <= FILTER_NOT; i++) {
        enum filter_dialect dialect = (enum filter_dialect)i;
        if (strcmp(name, filter_dialect_name(dialect)) != 0)
            continue;
        if (filter_compares(dialect))
            return attributes_take(build, dialect, value);
        if (dialect != FILTER_NOT)
            return list_take(build, dialect, value);
        return build_open(build, dialect) && filter_take(build, value) && build_close(build);
    }
    return build_fails(build, RH_CODE_UNSUPPORTED,
                       "a filter has one of the dialects exact, prefix, suffix, all, any and not: others are "
                       "not known here");
}

static bool filter_take(struct filter_build *build, json_t *filter) {
    void *member = json_object_iter(filter);
    if (member == NULL || json_object_size(filter) != 1)
        return build_fails(build, RH_CODE_INVALID,
                           "a filter is an object with one member, its dialect: {\"exact\": {\"type\": "
                           "\"com.example.created\"}}");
    return dialect_take(build, json_object_iter_key(member), json_object_iter_value(member));
}

static void all_take(struct filter_build *build, json_t *filters) {
    size_t i;
    json_t *filter;
    if (json_is_object(filters)) {
        (void)filter_take(build, filters);
        return;
    }
    json_array_foreach(filters, i, filter) if (!filter_take(build, filter)) return;
}

bool filter_from_json(const char *text, size_t length, struct filter **out, struct fault *fault) {
    struct filter_build *build = build_new(fault);
    *out = NULL;
    if (build == NULL)
        return false;
    json_error_t error;
    json_t *filters = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (filters == NULL && json_error_code(&error) == json_error_duplicate_key)
        build_fails(build, RH_CODE_INVALID, "a filter names a member twice");
    else if (filters == NULL)
        build_fails(build, RH_CODE_INVALID,
                    "filters are a JSON array, such as [{\"prefix\": {\"type\": \"com.example.\"}}]");
    else
        all_take(build, filters);
    bool none = json_is_array(filters) && json_array_size(filters) == 0;
    *out = build_done(build);
    json_decref(filters);
    return *out != NULL || none;
}

/* ---- out ---- */

static json_t *node_give(const struct filter *filter, uint32_t at);

static json_t *attributes_give(const struct filter *filter, const struct filter_node *node) {
    json_t *attributes = json_object();
    for (uint32_t i = node->first; i < node->last; i++) {
        const struct filter_test *test = &filter->tests[i];
        json_t *value = json_stringn(test->text.p, test->text.n);
        if (json_object_set_new(attributes, filter->names[test->name].text.p, value) != 0) {
            json_decref(attributes);
            return NULL;
        }
    }
    return attributes;
}

static json_t *list_give(const struct filter *filter, uint32_t at) {
    json_t *list = json_array();
    for (uint32_t child = at + 1; child < filter->nodes[at].end; child = filter->nodes[child].end)
        if (json_array_append_new(list, node_give(filter, child)) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

/* Without memory nothing: what is given to jansson as nothing it refuses. */
static json_t *node_give(const struct filter *filter, uint32_t at) {
    const struct filter_node *node = &filter->nodes[at];
    json_t *value;
    if (filter_compares(node->dialect))
        value = attributes_give(filter, node);
    else if (node->dialect == FILTER_NOT)
        value = node_give(filter, at + 1);
    else
        value = list_give(filter, at);
    json_t *one = json_object();
    if (json_object_set_new(one, filter_dialect_name(node->dialect), value) == 0)
        return one;
    json_decref(one);
    return NULL;
}

char *filter_to_json(const struct filter *filter) {
    json_t *filters = list_give(filter, 0);
    char *text = filters == NULL ? NULL : json_dumps(filters, JSON_COMPACT);
    json_decref(filters);
    return text;
}
