#include "codecs/proto/field.h"

#include "tests/unit/codecs/golden.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static bool reads(const char *hex, struct field *field) {
    uint8_t bytes[64];
    size_t n = golden_hex(hex, bytes, sizeof bytes);
    uint8_t *alone = golden_alone(bytes, n);
    const uint8_t *behind = field_read(alone, alone + n, field);
    cr_assert(!behind || behind <= alone + n);
    bool all = behind == alone + n;
    free(alone);
    return all;
}

Test(field, reads_each_wire_type) {
    struct field field;
    cr_assert(reads("08 96 01", &field));
    cr_expect(field.number == 1 && field.type == FIELD_VARINT && field.value == 150);
    cr_assert(reads("11 0807060504030201", &field));
    cr_expect(field.number == 2 && field.type == FIELD_FIXED64 &&
              field.value == UINT64_C(0x0102030405060708));
    cr_assert(reads("1d 04030201", &field));
    cr_expect(field.number == 3 && field.type == FIELD_FIXED32 && field.value == 0x01020304);
    cr_assert(reads("22 03 616263", &field));
    cr_expect(field.number == 4 && field.type == FIELD_BYTES && field.length == 3);
    cr_assert(reads("22 00", &field));
    cr_expect(field.type == FIELD_BYTES && field.length == 0 && field.data);
    cr_assert(reads("f8ffffff0f 00", &field));
    cr_expect(field.number == (1u << 29) - 1);
}

Test(field, takes_longer_varints_than_needed) {
    struct field field;
    cr_assert(reads("8a8000 8100 61", &field));
    cr_expect(field.number == 1 && field.type == FIELD_BYTES && field.length == 1);
    cr_assert(reads("8a80808000 8180808000 61", &field));
    cr_expect(field.number == 1 && field.length == 1);
    cr_assert(reads("08 81808080808080808000", &field));
    cr_expect(field.value == 1);
    cr_assert(reads("08 ffffffffffffffffff01", &field));
    cr_expect(field.value == UINT64_MAX);
}

Test(field, refuses_what_libraries_refuse) {
    static const char *const bad[] = {
        "",      /* nothing */
        "00 00", /* field number 0 */
        "02 00", /* and as bytes */
        "0b 0c", /* a group */
        "0c",    /* the end of one */
        "0e 00", /* wire types 6 and 7 */
        "0f 00",
        "8080808000 00",   /* number 0 in five bytes */
        "888080808000 00", /* a tag of six bytes */
        "88808080 10 00",  /* a tag of more than 32 bits */
        "08",              /* cut off */
        "08 80",
        "08 ffffffffffffffffff02",   /* 65 bits */
        "08 8080808080808080808000", /* eleven bytes */
        "09 00000000000000",         /* seven of eight bytes */
        "0d 000000",                 /* three of four */
        "0a",                        /* no length */
        "0a 01",                     /* no byte of one */
        "0a 02 61",
        "0a 818080808000 61",      /* a length of six bytes */
        "0a ffffffffffffffffff01", /* a length that would wrap */
    };
    struct field field;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i)
        cr_expect_not(reads(bad[i], &field), "%s", bad[i]);
}

Test(varint, writes_the_shortest_form_and_reads_it_back) {
    uint8_t bytes[VARINT_BYTES_MAX];
    uint64_t back;
    for (unsigned bits = 0; bits < 64; ++bits)
        for (int step = -1; step <= 1; ++step) {
            uint64_t value = (UINT64_C(1) << bits) + (uint64_t)(int64_t)step;
            size_t n = (size_t)(varint_write(bytes, value) - bytes);
            cr_assert_eq(n, varint_size(value));
            uint8_t *alone = golden_alone(bytes, n);
            cr_assert(varint_read(alone, alone + n, &back) == alone + n && back == value);
            cr_assert_null(varint_read(alone, alone + n - 1, &back));
            free(alone);
        }
    cr_assert_eq(varint_size(0), 1);
    cr_assert_eq(varint_size(127), 1);
    cr_assert_eq(varint_size(128), 2);
    cr_assert_eq(varint_size(UINT64_MAX), VARINT_BYTES_MAX);
}
