/* program.h: what a filter is compiled to, and how one is put together.
 * Owner: one struct filter. Private to core/filter.
 * The comparisons lie in a row, in the order in which they are written down; each says which one comes next
 * when it holds, and when it does not. So all, any and not cost nothing: they are where the row goes on. It
 * only goes forward. Beside the row is the tree that it came from, for those who want to be told about it.
 * Nothing blocks. Building fails by its fault, which stays with the first mistake. */
#pragma once

#include "codecs/event/attributes.h"
#include "core/base/limits.h"
#include "core/filter/filter.h"

#define FILTER_PASS UINT16_MAX       /* the event passes, */
#define FILTER_STOP (UINT16_MAX - 1) /* ... or does not */
static_assert(FILTER_PARTS_MAX < FILTER_STOP, "places in the row");

struct filter_text {
    const char *p; /* a NUL follows it in a filter, not while it is built */
    uint32_t n;
};

struct filter_name {
    struct filter_text text;
    uint32_t field; /* of CloudEvent */
};

struct filter_test {
    struct filter_text text;
    uint16_t yes, no; /* the next test, or FILTER_PASS or FILTER_STOP */
    uint8_t name;     /* index of names */
    uint8_t dialect;
};

/* Of the tree, each in front of those in it. The outermost one is the array of all filters, a FILTER_ALL. */
struct filter_node {
    uint16_t end;         /* behind the last one in it */
    uint16_t first, last; /* its tests: [first, last) */
    uint8_t dialect;
};
#define FILTER_NODES_MAX (FILTER_PARTS_MAX + 1)

#define FILTER_OWN_FIELDS 5u /* id, source, spec_version and type are fields 1 to 4 of an event */
#define FILTER_NO_NAME    UINT8_MAX

struct filter {
    const struct filter_name *names;
    const struct filter_test *tests;
    const struct filter_node *nodes;
    uint8_t *packed;
    uint32_t packed_length;
    uint16_t name_count, test_count, node_count;
    uint8_t own[FILTER_OWN_FIELDS]; /* by field: index of names, or FILTER_NO_NAME */
    uint8_t others;                 /* the names that are none of these begin here */
};

static inline bool filter_compares(enum filter_dialect dialect) {
    return dialect <= FILTER_SUFFIX;
}

/* ---- evaluate.c ---- */

/* The values of an event by index of names; one bit for each that it has. */
uint32_t filter_values(const struct filter *filter, const uint8_t *event, size_t length,
                       struct attribute values[FILTER_ATTRIBUTES_MAX]);
bool filter_test_holds(const struct filter_test *test, uint32_t has, const struct attribute *values);
#define FILTER_CANONICAL_BYTES 32u
/* Of a value that is neither text nor bytes; its length. */
size_t filter_canonical(const struct attribute *value, char out[FILTER_CANONICAL_BYTES]);

/* ---- build.c ---- */

struct filter_build {
    struct fault *fault;
    uint32_t depth, parts, bytes;
    uint32_t name_count, test_count, node_count;
    bool failed;
    uint16_t open[FILTER_DEPTH_MAX + 1]; /* nodes that are not closed, the outermost first */
    struct filter_name names[FILTER_ATTRIBUTES_MAX];
    struct filter_test tests[FILTER_PARTS_MAX];
    struct filter_node nodes[FILTER_NODES_MAX];
};

/* With the outermost node open. NULL: no memory, as the fault says. */
struct filter_build *build_new(struct fault *fault) MUST_USE;
bool build_fails(struct filter_build *build, enum rh_code code, const char *text); /* false */
/* Everything behind build_open, up to build_close, is in it. */
bool build_open(struct filter_build *build, enum filter_dialect dialect) MUST_USE;
bool build_close(struct filter_build *build) MUST_USE;
/* In an open exact, prefix or suffix. The texts are borrowed until build_done. */
bool build_test(struct filter_build *build, struct filter_text name, struct filter_text text) MUST_USE;
/* Closes the outermost one and gives the filter, or NULL. Frees the build; all that were open are closed. */
struct filter *build_done(struct filter_build *build) MUST_USE;

/* ---- pack.c ---- */

size_t filter_pack_size(const struct filter *filter);
void filter_pack(const struct filter *filter, uint8_t *out);
