#include "codecs/event/identity.h"

#include "codecs/event/fields.h"
#include "codecs/proto/field.h"

#include <xxhash.h>

/* The source's hash seeds that of the id: so it counts where one ends and the other begins. */
static uint64_t identity_of(const struct field *source, const struct field *id) {
    uint64_t hash = XXH3_64bits_withSeed(id->data, id->length, XXH3_64bits(source->data, source->length));
    return hash != 0 ? hash : 1;
}

uint64_t event_identity(const uint8_t *event, size_t length) {
    struct field field, source = {.data = NULL}, id = {.data = NULL};
    for (const uint8_t *p = event, *end = event + length; p < end;) {
        p = field_read(p, end, &field);
        if (p == NULL)
            return 0;
        if (field.type == FIELD_BYTES && field.number == EVENT_SOURCE)
            source = field;
        if (field.type == FIELD_BYTES && field.number == EVENT_ID)
            id = field;
        if (source.data != NULL && id.data != NULL)
            return identity_of(&source, &id);
    }
    return 0;
}
