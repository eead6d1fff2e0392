/* Files of JSON cut into values, the same however they come. */
#include "core/bridge/json_split.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cut {
    char text[1024];
    size_t length;
};

static void cut_value(void *context, const char *text, size_t length, uint64_t offset) {
    struct cut *cut = context;
    cut->length += (size_t)snprintf(cut->text + cut->length, sizeof cut->text - cut->length, "%u<%.*s>",
                                    (unsigned)offset, (int)length, text);
}

static void cut_wrong(void *context, const char *sentence, uint64_t offset) {
    struct cut *cut = context;
    cut->length += (size_t)snprintf(cut->text + cut->length, sizeof cut->text - cut->length, "%u!%c",
                                    (unsigned)offset, *sentence);
}

static bool cuts(const char *text, const char *wanted) {
    size_t length = strlen(text);
    for (size_t at = 0; at <= length; at++) {
        struct cut cut = {.text = ""};
        struct json_split split = {.value_max = 40, .context = &cut, .value = cut_value, .wrong = cut_wrong};
        char *first = malloc(at + 1), *second = malloc(length - at + 1);
        memcpy(first, text, at);
        memcpy(second, text + at, length - at);
        bool good = json_split_feed(&split, (uint8_t *)first, at) == 0 &&
                    json_split_feed(&split, (uint8_t *)second, length - at) == 0 &&
                    json_split_end(&split) == 0;
        free(first);
        free(second);
        if (!good || strcmp(cut.text, wanted) != 0) {
            fprintf(stderr, "%s\ncut at %zu: %s\nwanted: %s\n", text, at, cut.text, wanted);
            return false;
        }
    }
    return true;
}

Test(json_split, gives_one_value_or_several) {
    cr_assert(cuts("{\"a\":1}", "0<{\"a\":1}>"));
    cr_assert(
        cuts(" {\"a\":[1,{}]}\n{\"b\":\"}\\\"]\\\\\"}\r\n", "1<{\"a\":[1,{}]}>14<{\"b\":\"}\\\"]\\\\\"}>"));
    cr_assert(cuts("{}{}", "0<{}>2<{}>"));
    cr_assert(cuts("\xef\xbb\xbf{}", "3<{}>"));
    cr_assert(cuts("1 \"a b\"null", "0<1>2<\"a b\">7<null>"));
    LEAKS_NONE();
}

Test(json_split, gives_the_elements_of_an_array) {
    cr_assert(cuts("[{\"a\":1}, [2], 3,\"x\"]", "1<{\"a\":1}>10<[2]>15<3>17<\"x\">"));
    cr_assert(cuts("[]", ""));
    cr_assert(cuts(" [ 1 ] [2]", "3<1>8<2>"));
}

Test(json_split, tells_what_is_wrong_once) {
    cr_assert(cuts("", "0!t"));
    cr_assert(cuts(" \n", "2!t"));
    cr_assert(cuts("{\"a\":1", "0!i"));
    cr_assert(cuts("[1,2", "1<1>3!i"));
    cr_assert(cuts("[1,]", "1<1>3!t"));
    cr_assert(cuts("[1 2]", "1<1>3!t"));
    cr_assert(cuts("[,1]", "1!t"));
    cr_assert(cuts("{},{}", "0<{}>2!t"));
    cr_assert(cuts("]", "0!t"));
    cr_assert(cuts("{}}{}", "0<{}>2!t"));
    LEAKS_NONE();
}

Test(json_split, bounds_a_value) {
    cr_assert(cuts("[\"12345678901234567890123456789012345678\"]",
                   "1<\"12345678901234567890123456789012345678\">"));
    cr_assert(cuts("[\"123456789012345678901234567890123456789\",2]", "1!a"));
    LEAKS_NONE();
}
