#include "core/filter/program.h"

#include "codecs/wire/control.h"

#include <string.h>

static struct filter_text text_of(const char *text) {
    return (struct filter_text){text, (uint32_t)strlen(text)};
}

static bool attributes_take(struct filter_build *build, enum filter_dialect dialect,
                            const Roundhouse__V1__Filter__Attributes *attributes) {
    if (!build_open(build, dialect))
        return false;
    for (size_t i = 0; i < attributes->n_values; i++)
        if (!build_test(build, text_of(attributes->values[i]->key), text_of(attributes->values[i]->value)))
            return false;
    return build_close(build);
}

static bool filter_take(struct filter_build *build, const Roundhouse__V1__Filter *filter);

static bool list_take(struct filter_build *build, enum filter_dialect dialect,
                      const Roundhouse__V1__Filters *list) {
    if (!build_open(build, dialect))
        return false;
    for (size_t i = 0; i < list->n_filters; i++)
        if (!filter_take(build, list->filters[i]))
            return false;
    return build_close(build);
}

static bool filter_take(struct filter_build *build, const Roundhouse__V1__Filter *filter) {
    switch (filter->dialect_case) {
    case ROUNDHOUSE__V1__FILTER__DIALECT_EXACT:
        return attributes_take(build, FILTER_EXACT, filter->exact);
    case ROUNDHOUSE__V1__FILTER__DIALECT_PREFIX:
        return attributes_take(build, FILTER_PREFIX, filter->prefix);
    case ROUNDHOUSE__V1__FILTER__DIALECT_SUFFIX:
        return attributes_take(build, FILTER_SUFFIX, filter->suffix);
    case ROUNDHOUSE__V1__FILTER__DIALECT_ALL:
        return list_take(build, FILTER_ALL, filter->all);
    case ROUNDHOUSE__V1__FILTER__DIALECT_ANY:
        return list_take(build, FILTER_ANY, filter->any);
    case ROUNDHOUSE__V1__FILTER__DIALECT_NEGATION:
        return build_open(build, FILTER_NOT) && filter_take(build, filter->negation) && build_close(build);
    default:
        return build_fails(build, RH_CODE_UNSUPPORTED,
                           "a filter has one of the dialects exact, prefix, suffix, all, any and not: others "
                           "are not known here");
    }
}

bool filter_compile(Roundhouse__V1__Filter *const *filters, size_t count, struct filter **out,
                    struct fault *fault) {
    struct filter_build *build = build_new(fault);
    if (build == NULL)
        return false;
    for (size_t i = 0; i < count && filter_take(build, filters[i]); i++)
        ;
    *out = build_done(build);
    return *out != NULL;
}

bool filter_unpack(const uint8_t *packed, size_t length, struct filter **out, struct fault *fault) {
    if (!control_message_check(&roundhouse__v1__filters__descriptor, packed, length, fault))
        return false;
    Roundhouse__V1__Filters *filters = roundhouse__v1__filters__unpack(NULL, length, packed);
    if (filters == NULL) {
        *fault = (struct fault){
            .code = RH_CODE_INVALID, .text = "no serialized filters", .field = "subscribe.filters"};
        return false;
    }
    bool compiled = filter_compile(filters->filters, filters->n_filters, out, fault);
    roundhouse__v1__filters__free_unpacked(filters, NULL);
    return compiled;
}
