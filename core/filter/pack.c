/* A filter as a serialized roundhouse.v1.Filters. Each function gives the bytes it has written, or would have
 * written where `out` is NULL. The length of a message stands in front of it, so what is in one is counted
 * first, and only once: counting and writing it are two calls, counting alone is one. */
#include "core/filter/program.h"

#include "codecs/proto/field.h"

#include <string.h>

enum { FILTERS_FILTER = 1, ATTRIBUTES_VALUE = 1 };

static size_t head(uint8_t *out, uint32_t number, size_t length) {
    if (out != NULL) {
        *out = FIELD_TAG(number, FIELD_BYTES);
        varint_write(out + 1, length);
    }
    return 1 + varint_size(length);
}

static size_t text(uint8_t *out, uint32_t number, struct filter_text text) {
    size_t n = head(out, number, text.n);
    if (out != NULL)
        memcpy(out + n, text.p, text.n);
    return n + text.n;
}

static uint8_t *after(uint8_t *out, size_t n) {
    return out == NULL ? NULL : out + n;
}

static size_t entry(uint8_t *out, const struct filter *filter, const struct filter_test *test) {
    struct filter_text name = filter->names[test->name].text;
    size_t n =
        head(out, ATTRIBUTES_VALUE, text(NULL, ENTRY_NAME, name) + text(NULL, ENTRY_VALUE, test->text));
    n += text(after(out, n), ENTRY_NAME, name);
    return n + text(after(out, n), ENTRY_VALUE, test->text);
}

static size_t node(uint8_t *out, const struct filter *filter, uint32_t at);

/* Those in it, as a list of Filter. */
static size_t children(uint8_t *out, const struct filter *filter, uint32_t at) {
    size_t n = 0;
    for (uint32_t child = at + 1; child < filter->nodes[at].end; child = filter->nodes[child].end) {
        size_t length = node(NULL, filter, child);
        n += head(after(out, n), FILTERS_FILTER, length);
        if (out != NULL)
            (void)node(out + n, filter, child);
        n += length;
    }
    return n;
}

/* What is in the arm of its dialect. */
static size_t body(uint8_t *out, const struct filter *filter, uint32_t at) {
    const struct filter_node *one = &filter->nodes[at];
    size_t n = 0;
    if (one->dialect == FILTER_NOT)
        return node(out, filter, at + 1);
    if (!filter_compares(one->dialect))
        return children(out, filter, at);
    for (uint32_t i = one->first; i < one->last; i++)
        n += entry(after(out, n), filter, &filter->tests[i]);
    return n;
}

/* A Filter. */
static size_t node(uint8_t *out, const struct filter *filter, uint32_t at) {
    size_t length = body(NULL, filter, at), n = head(out, filter->nodes[at].dialect + 1u, length);
    if (out != NULL)
        (void)body(out + n, filter, at);
    return n + length;
}
static_assert((int)FILTER_EXACT + 1 == (int)ROUNDHOUSE__V1__FILTER__DIALECT_EXACT &&
                  (int)FILTER_PREFIX + 1 == (int)ROUNDHOUSE__V1__FILTER__DIALECT_PREFIX &&
                  (int)FILTER_SUFFIX + 1 == (int)ROUNDHOUSE__V1__FILTER__DIALECT_SUFFIX &&
                  (int)FILTER_ALL + 1 == (int)ROUNDHOUSE__V1__FILTER__DIALECT_ALL &&
                  (int)FILTER_ANY + 1 == (int)ROUNDHOUSE__V1__FILTER__DIALECT_ANY &&
                  (int)FILTER_NOT + 1 == (int)ROUNDHOUSE__V1__FILTER__DIALECT_NEGATION,
              "the arms are the dialects");

size_t filter_pack_size(const struct filter *filter) {
    return children(NULL, filter, 0);
}

void filter_pack(const struct filter *filter, uint8_t *out) {
    CHECK(children(out, filter, 0) == filter->packed_length);
}
