/* Memory that is refused: what was made before is given back, and nothing is half made. */
#include "tests/unit/refuse.h"

#include "codecs/edi/edi.c"
#include "codecs/edi/envelope.c"
#include "codecs/edi/tokens.c"

#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(memory, a_reader_that_can_not_have_its_memory_has_none) {
    struct document_sink sink = {0};
    static struct edi edi;
    for (unsigned n = 1; n <= 2; n++) {
        refuse_at = n;
        cr_assert_eq(edi_init(&edi, &sink, NULL), -ENOMEM);
        cr_assert_eq(refuse_refused, n);
    }
    cr_assert_eq(edi_init(&edi, &sink, NULL), 0);
    edi_deinit(&edi);
    LEAKS_NONE();
}

/* It then knows only those since. */
Test(memory, references_are_forgotten_when_there_is_no_memory_for_more) {
    struct refs refs = {0};
    char text[16];
    for (unsigned i = 0; i < 200; i++) {
        (void)snprintf(text, sizeof text, "%u", i);
        struct value value = {.bytes = (const uint8_t *)text, .length = (uint32_t)strlen(text)};
        refuse_at = 1; /* if it asks for any */
        cr_assert_not(refs_seen(&refs, value));
    }
    cr_assert_eq(refs.size, 0);
    refuse_at = 0;
    cr_assert_not(refs_seen(&refs, (struct value){.bytes = (const uint8_t *)"1", .length = 1}));
    cr_assert(refs_seen(&refs, (struct value){.bytes = (const uint8_t *)"1", .length = 1}));
    refs_deinit(&refs);
    LEAKS_NONE();
}

/* With more than it keeps, the oldest go; those that follow each other are always found. */
Test(memory, references_take_so_much_and_no_more) {
    struct refs refs = {0};
    char text[16];
    for (unsigned i = 0; i < 3 * REFS_MAX; i++) {
        (void)snprintf(text, sizeof text, "%u", i);
        struct value value = {.bytes = (const uint8_t *)text, .length = (uint32_t)strlen(text)};
        cr_assert_not(refs_seen(&refs, value));
        cr_assert(refs_seen(&refs, value));
    }
    cr_assert_leq(refs.size, 2 * REFS_MAX);
    refs_clear(&refs);
    cr_assert_eq(refs.size, 0);
    LEAKS_NONE();
}
