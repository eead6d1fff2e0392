#include "core/cli/ask.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

Test(ask, a_parameter_stands_in_a_path_with_what_means_something_there_escaped) {
    char path[100] = "/v1/trace";
    ask_query_add(path, sizeof path, "?topic=", "a.*.> &b=%+#\xc3\xa4");
    cr_expect_str_eq(path, "/v1/trace?topic=a.%2A.%3E%20%26b%3D%25%2B%23%C3%A4");
    ask_query_add(path, sizeof path, "&file=", "/etc/x-y_z~1.yaml");
    cr_expect_str_eq(path, "/v1/trace?topic=a.%2A.%3E%20%26b%3D%25%2B%23%C3%A4&file=/etc/x-y_z~1.yaml");
}

Test(ask, a_parameter_that_has_no_room_is_left_out_as_a_whole) {
    static const char whole[] = "/v1?file=a%2Ab%2A";
    for (size_t size = sizeof "/v1"; size <= sizeof whole; size++) {
        char path[sizeof whole + 1] = "/v1";
        memset(path + size, '!', sizeof path - size);
        ask_query_add(path, size, "?file=", "a*b*");
        cr_expect_str_eq(path, size == sizeof whole ? whole : "/v1", "%zu bytes", size);
        cr_expect(size == sizeof path || path[size] == '!', "%zu bytes", size);
    }
}

Test(ask, what_an_object_has_not_is_nothing) {
    json_t *object = json_pack("{s:s, s:i, s:n}", "text", "a", "number", 7, "null");
    cr_expect_str_eq(ask_text(object, "text"), "a");
    cr_expect_str_eq(ask_text(object, "number"), "");
    cr_expect_str_eq(ask_text(object, "null"), "");
    cr_expect_str_eq(ask_text(NULL, "text"), "");
    cr_expect(ask_number(object, "number") == 7 && ask_number(object, "text") == 0 &&
              ask_number(NULL, "number") == 0);
    json_decref(object);
}
