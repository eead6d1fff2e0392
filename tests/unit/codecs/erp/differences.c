#include "tests/unit/codecs/erp/differences.h"

#include <stdio.h>
#include <stdlib.h>

void differences(const json_t *got, const json_t *wanted, const char *where, struct bytes *said) {
    char inner[512];
    if (json_is_object(wanted)) {
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)(uintptr_t)wanted, key, value) {
            snprintf(inner, sizeof inner, "%s.%s", where, key);
            differences(json_object_get(got, key), value, inner, said);
        }
    } else if (json_is_array(wanted) && json_is_array(got) &&
               json_array_size(got) == json_array_size(wanted)) {
        for (size_t i = 0; i < json_array_size(wanted); i++) {
            snprintf(inner, sizeof inner, "%s[%zu]", where, i);
            differences(json_array_get(got, i), json_array_get(wanted, i), inner, said);
        }
    } else if (!json_equal(got, wanted)) {
        char *is = got ? json_dumps(got, JSON_ENCODE_ANY) : NULL,
             *should = json_dumps(wanted, JSON_ENCODE_ANY);
        bytes_text(said, where);
        bytes_text(said, " is ");
        bytes_text(said, is ? is : "not there");
        bytes_text(said, ", not ");
        bytes_text(said, should);
        bytes_text(said, "\n");
        free(is);
        free(should);
    }
}
