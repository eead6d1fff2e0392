#include "codecs/event/identity.h"

#include "codecs/event/json.h"
#include "core/base/error.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static uint64_t identity_of(const char *source, const char *id, const char *data) {
    struct event_parts parts = {
        .id = id, .source = source, .type = "t", .data = (const uint8_t *)data, .data_length = strlen(data)};
    struct fault fault;
    uint8_t *event;
    size_t length;
    cr_assert(event_build(&parts, &event, &length, &fault));
    uint64_t identity = event_identity(event, length);
    for (size_t cut = 0; cut < length;
         cut++) /* never more than is there; before both have come there is none */
        cr_assert(event_identity(event, cut) == 0 || event_identity(event, cut) == identity);
    free(event);
    return identity;
}

Test(event_identity, is_of_source_and_id_alone) {
    cr_assert_neq(identity_of("/a", "1", "x"), 0);
    cr_assert_eq(identity_of("/a", "1", "x"), identity_of("/a", "1", "other data"));
    cr_assert_neq(identity_of("/a", "1", "x"), identity_of("/a", "2", "x"));
    cr_assert_neq(identity_of("/a", "1", "x"), identity_of("/b", "1", "x"));
    cr_assert_neq(identity_of("/a1", "1", "x"), identity_of("/a", "11", "x"), "where one ends counts");
}

/* It is kept in journals, so it may never change. */
Test(event_identity, is_the_same_for_ever) {
    cr_assert_eq(identity_of("/shop", "4711", ""), UINT64_C(0x1e7a7aaf01bbc8c9));
}

Test(event_identity, of_what_is_no_event_is_none) {
    static const uint8_t bytes[] = {0xff, 0xff, 0x01};
    cr_assert_eq(event_identity(bytes, sizeof bytes), 0);
    cr_assert_eq(event_identity(NULL, 0), 0);
}
