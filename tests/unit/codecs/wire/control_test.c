#include "codecs/wire/control.h"

#include "core/base/limits.h"
#include "tests/unit/codecs/golden.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define FRAME_MAX (64u * 1024u)

/* Finds and unpacks one frame. The fault's code is NONE if it was unpacked. */
static Roundhouse__V1__Frame *unpack_bytes(const uint8_t *bytes, size_t n, struct fault *fault) {
    struct wire_frame frame;
    *fault = (struct fault){0};
    uint8_t *alone = golden_alone(bytes, n);
    Roundhouse__V1__Frame *unpacked = NULL;
    if (wire_next(alone, n, FRAME_MAX, &frame, fault) == WIRE_OK && frame.body)
        unpacked = control_unpack(&frame, fault);
    free(alone);
    return unpacked;
}

static Roundhouse__V1__Frame *unpack(const char *hex, struct fault *fault) {
    uint8_t bytes[1024];
    return unpack_bytes(bytes, golden_hex(hex, bytes, sizeof bytes), fault);
}

static void expect_bad(const char *hex, enum rh_code code, const char *field) {
    struct fault fault;
    cr_expect_null(unpack(hex, &fault), "%s", hex);
    cr_expect(golden_fault(&fault, code, field), "%s", hex);
}

Test(control, unpacks_a_golden_connect) {
    struct fault fault;
    Roundhouse__V1__Frame *frame = unpack("0b 1209 0801 1203657270 1801", &fault);
    cr_assert(frame && frame->body_case == ROUNDHOUSE__V1__FRAME__BODY_CONNECT);
    cr_expect(frame->connect->version == 1 &&
              frame->connect->ack == ROUNDHOUSE__V1__ACK_LEVEL__ACK_LEVEL_ROUTED);
    cr_expect_str_eq(frame->connect->client, "erp");
    control_free(frame);
    frame = unpack("0e 1209 0801 1203657270 1801 900601", &fault); /* a field of the future beside it */
    cr_assert(frame && frame->body_case == ROUNDHOUSE__V1__FRAME__BODY_CONNECT);
    control_free(frame);
    LEAKS_NONE();
}

Test(control, refuses_strings_that_are_no_text) {
    expect_bad("06 1204 1202 c328", RH_CODE_INVALID, "connect.client");
    expect_bad("06 1204 1202 6100", RH_CODE_INVALID, "connect.client");
    expect_bad("05 1203 2201ff", RH_CODE_INVALID, "connect.features");
    expect_bad("08 2206 120161 1201ff", RH_CODE_INVALID, "subscribe.patterns");
    expect_bad("05 7a03 0a01ff", RH_CODE_INVALID, "goodbye.reason");
    expect_bad("09 4207 1a05 1203 1201ff", RH_CODE_INVALID,
               "error.text"); /* in PublishAck, in an exception, in its Error */
}

Test(control, names_every_string_by_its_message_and_field) {
    const ProtobufCMessageDescriptor *frame = &roundhouse__v1__frame__descriptor;
    unsigned strings = 0;
    for (unsigned body = 0; body < frame->n_fields; body++) {
        const ProtobufCMessageDescriptor *message = frame->fields[body].descriptor;
        for (unsigned i = 0; frame->fields[body].id != WIRE_EVENT && i < message->n_fields; i++) {
            if (message->fields[i].type != PROTOBUF_C_TYPE_STRING)
                continue;
            char hex[64], name[64];
            uint32_t tag = frame->fields[body].id << 3 | 2;
            if (tag < 0x80)
                snprintf(hex, sizeof hex, "05 %02x03 %02x01ff", tag, message->fields[i].id << 3 | 2);
            else /* a tag of two bytes */
                snprintf(hex, sizeof hex, "06 %02x%02x03 %02x01ff", (tag & 0x7f) | 0x80, tag >> 7,
                         message->fields[i].id << 3 | 2);
            snprintf(name, sizeof name, "%s.%s", frame->fields[body].name, message->fields[i].name);
            expect_bad(hex, RH_CODE_INVALID, name);
            strings++;
        }
    }
    cr_expect(strings >= 8);
}

Test(control, refuses_what_is_not_well_formed) {
    expect_bad("04 1202 1205", RH_CODE_PROTOCOL, NULL);
    expect_bad("04 1202 0b0c", RH_CODE_PROTOCOL, NULL);
    expect_bad("04 1202 0080", RH_CODE_PROTOCOL, NULL);
    expect_bad("05 1203 08ffff", RH_CODE_PROTOCOL, NULL);
    expect_bad("04 1202 1001", RH_CODE_PROTOCOL, NULL); /* the client's name as a number */
}

Test(control, takes_bytes_fields_of_any_content) {
    struct fault fault;
    Roundhouse__V1__Frame *frame = unpack("06 6a04 0a02 00ff", &fault);
    cr_assert(frame && frame->ping->data.len == 2 && frame->ping->data.data[1] == 0xff);
    control_free(frame);
}

/* A Subscribe with `count` empty patterns. */
static size_t subscribe_write(uint8_t *out, uint32_t count) {
    uint32_t body = 2 * count;
    size_t prefix = body < 127 ? 1 : body < 16384 ? 2 : 3;
    size_t frame = 1 + prefix + body, n = 0;
    for (size_t left = frame;; left >>= 7) {
        out[n++] = (uint8_t)(left >= 128 ? left | 128 : left);
        if (left < 128)
            break;
    }
    out[n++] = 0x22;
    for (size_t left = body;; left >>= 7) {
        out[n++] = (uint8_t)(left >= 128 ? left | 128 : left);
        if (left < 128)
            break;
    }
    for (uint32_t i = 0; i < count; ++i) {
        out[n++] = 0x12;
        out[n++] = 0;
    }
    return n;
}

Test(control, bounds_what_a_small_frame_unpacks_to) {
    static uint8_t bytes[2 * CONTROL_LIST_MAX + 64];
    struct fault fault;
    Roundhouse__V1__Frame *frame = unpack_bytes(bytes, subscribe_write(bytes, CONTROL_LIST_MAX), &fault);
    cr_assert(frame && frame->subscribe->n_patterns == CONTROL_LIST_MAX);
    control_free(frame);
    cr_assert_null(unpack_bytes(bytes, subscribe_write(bytes, CONTROL_LIST_MAX + 1), &fault));
    cr_assert(golden_fault(&fault, RH_CODE_TOO_LARGE, "subscribe.patterns"));
    for (uint32_t count = CONTROL_UNKNOWN_MAX; count <= CONTROL_UNKNOWN_MAX + 1; ++count) {
        size_t n = subscribe_write(bytes, count);
        for (size_t i = n - 2 * count; i < n; i += 2)
            bytes[i] = 0x7a; /* field 15 */
        frame = unpack_bytes(bytes, n, &fault);
        cr_assert_eq(frame != NULL, count == CONTROL_UNKNOWN_MAX);
        cr_assert(frame || golden_fault(&fault, RH_CODE_TOO_LARGE, NULL));
        if (frame)
            control_free(frame);
    }
    LEAKS_NONE();
}

Test(control, packs_what_it_unpacks_to) {
    static const char *const frames[] = {
        "0b 1209 0801 1203657270 1801",               /* Connect */
        "11 220f 0807 1203612e3e 12012a 1801 2201aa", /* Subscribe */
        "04 3202 0807",                               /* Unsubscribe */
        "09 3207 0807 1201 71 1801",                  /* ... that removes a queue */
        "0e 420c 0805 1001 1a06 0803 1202 0802",      /* PublishAck with an exception */
        "02 6a00",                                    /* Ping */
        "05 7a03 0a0162",                             /* Goodbye */
    };
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; ++i) {
        uint8_t bytes[64], again[64];
        struct fault fault;
        size_t n = golden_hex(frames[i], bytes, sizeof bytes);
        Roundhouse__V1__Frame *frame = unpack_bytes(bytes, n, &fault);
        cr_assert(frame, "%s: %s", frames[i], fault.text ? fault.text : "incomplete");
        cr_assert_eq(control_size(frame), n, "%s", frames[i]);
        cr_assert_eq(control_pack(frame, again), n);
        cr_assert_arr_eq(bytes, again, n);
        control_free(frame);
    }
    LEAKS_NONE();
}

Test(control, writes_prefixes_of_every_size) {
    static const size_t lengths[] = {0,     1,     100,   119,   120,   121,   122,   123,
                                     124,   125,   126,   127,   128,   129,   16370, 16375,
                                     16376, 16377, 16378, 16379, 16380, 16384, 40000};
    uint8_t *data = calloc(1, 40000), *out = malloc(40064);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; ++i) {
        Roundhouse__V1__Frame frame = ROUNDHOUSE__V1__FRAME__INIT;
        Roundhouse__V1__Pong pong = ROUNDHOUSE__V1__PONG__INIT;
        struct wire_frame found;
        struct fault fault;
        pong.data.data = data;
        pong.data.len = lengths[i];
        frame.body_case = ROUNDHOUSE__V1__FRAME__BODY_PONG;
        frame.pong = &pong;
        size_t n = control_size(&frame);
        cr_assert_eq(control_pack(&frame, out), n);
        cr_assert_eq(wire_next(out, n, FRAME_MAX, &found, &fault), WIRE_OK);
        cr_assert(found.size == n && found.kind == WIRE_PONG);
    }
    free(data);
    free(out);
}

Test(control, survives_every_corrupt_byte) {
    uint8_t bytes[64];
    struct fault fault;
    size_t n = golden_hex("11 220f 0807 1203612e3e 12012a 1801 2201aa", bytes, sizeof bytes);
    unsigned accepted = 0;
    for (size_t at = 0; at < n; ++at)
        for (unsigned flip = 1; flip < 256; ++flip) {
            bytes[at] ^= (uint8_t)flip;
            Roundhouse__V1__Frame *frame = unpack_bytes(bytes, n, &fault);
            if (frame)
                control_free(frame);
            accepted += frame != NULL;
            bytes[at] ^= (uint8_t)flip;
        }
    cr_assert(accepted > 100);
    LEAKS_NONE();
}

/* ---- positions ---- */

static struct position position_of(uint32_t count, uint64_t first) {
    struct position position = {.count = count};
    for (size_t i = 0; i < sizeof position.instance; ++i)
        position.instance[i] = (uint8_t)(0xf0 + i);
    for (uint32_t i = 0; i < count; ++i)
        position.logs[i] = (struct position_log){.next = first + i, .number = (uint16_t)(i * 2)};
    return position;
}

static bool unpack_position(const uint8_t *p, size_t n, struct position *out, struct fault *fault) {
    uint8_t *alone = golden_alone(p, n);
    bool good = position_unpack(alone, n, out, fault);
    free(alone);
    return good;
}

Test(position, comes_back_for_any_number_of_logs) {
    static const uint64_t firsts[] = {0, 1, 127, 128, 16383, 16384, UINT64_C(1) << 48, UINT64_MAX - 64};
    uint8_t bytes[POSITION_BYTES_MAX];
    struct fault fault;
    for (uint32_t count = 0; count <= POSITION_LOGS_MAX; ++count)
        for (size_t i = 0; i < sizeof firsts / sizeof firsts[0]; ++i) {
            struct position in = position_of(count, firsts[i]), out;
            size_t n = position_pack(&in, bytes);
            cr_assert(n <= POSITION_BYTES_MAX && unpack_position(bytes, n, &out, &fault));
            cr_assert(out.count == count && memcmp(out.instance, in.instance, sizeof in.instance) == 0);
            for (uint32_t log = 0; log < count; ++log)
                cr_assert(out.logs[log].next == in.logs[log].next &&
                          out.logs[log].number == in.logs[log].number);
        }
}

Test(position, comes_back_with_the_logs_whose_last_events_are_undone) {
    uint8_t bytes[POSITION_BYTES_MAX];
    struct fault fault;
    for (uint32_t count = 0; count <= POSITION_LOGS_MAX; ++count) {
        struct position in = position_of(count, 7), out = {.undone = 3};
        size_t plain = position_pack(&in, bytes);
        cr_assert(unpack_position(bytes, plain, &out, &fault) && out.undone == 0);
        in.undone = UINT64_C(1) << 63 | 5;
        size_t n = position_pack(&in, bytes);
        cr_assert(n == plain + 8 && n <= POSITION_BYTES_MAX && unpack_position(bytes, n, &out, &fault));
        cr_assert(out.count == count && out.undone == in.undone);
        for (uint32_t i = 0; i < count; i++)
            cr_assert(out.logs[i].number == in.logs[i].number && out.logs[i].next == in.logs[i].next);
    }
}

static void refused_if_changed(struct position in) {
    uint8_t bytes[POSITION_BYTES_MAX + 1];
    struct position out;
    struct fault fault;
    size_t n = position_pack(&in, bytes);
    for (size_t cut = 0; cut <= n + 1; ++cut) {
        cr_assert_eq(unpack_position(bytes, cut, &out, &fault), cut == n, "%zu", cut);
        cr_assert(cut == n || golden_fault(&fault, RH_CODE_INVALID, "subscribe.position"));
    }
    for (size_t at = 0; at < n; ++at)
        for (unsigned flip = 1; flip < 256; ++flip) {
            bytes[at] ^= (uint8_t)flip;
            cr_assert_not(unpack_position(bytes, n, &out, &fault), "%zu", at);
            bytes[at] ^= (uint8_t)flip;
        }
}

Test(position, is_refused_if_a_byte_is_missing_added_or_changed) {
    struct position undone = position_of(2, 1000);
    undone.undone = 2;
    refused_if_changed(position_of(3, 1000));
    refused_if_changed(undone);
}

/* A Position with a right checksum over whatever its numbers say. */
static bool unpack_version(uint8_t version, const char *hex, struct fault *fault) {
    uint8_t bytes[POSITION_BYTES_MAX] = {version};
    struct position out;
    size_t n = 17 + golden_hex(hex, bytes + 17, sizeof bytes - 21);
    uint32_t sum = (uint32_t)XXH3_64bits(bytes, n);
    memcpy(bytes + n, &sum, sizeof sum);
    return unpack_position(bytes, n + sizeof sum, &out, fault);
}

static bool unpack_numbers(const char *hex, struct fault *fault) {
    return unpack_version(2, hex, fault);
}

Test(position, is_refused_if_its_numbers_are_not_as_written_here) {
    struct fault fault;
    cr_expect(unpack_version(3, "00 0100000000000000", &fault));
    cr_expect_not(unpack_version(3, "00 0000000000000000", &fault)); /* undone, and nothing is */
    cr_expect_not(unpack_version(3, "00", &fault));
    cr_expect_not(unpack_version(1, "00", &fault));
    cr_expect_not(unpack_version(4, "00", &fault));
    cr_expect(unpack_numbers("00", &fault));
    cr_expect(unpack_numbers("01 4000 0102030405060708", &fault));
    cr_expect(unpack_numbers("02 0000 0102030405060708 ffff ffffffffffffffff", &fault));
    cr_expect_not(unpack_numbers("02 4000 0102030405060708 4000 ffffffffffffffff", &fault)); /* a log twice */
    cr_expect_not(
        unpack_numbers("02 0001 0102030405060708 ff00 ffffffffffffffff", &fault)); /* not in order */
    cr_expect_not(unpack_numbers("01", &fault));                         /* one announced, none there */
    cr_expect_not(unpack_numbers("01 4000 01020304050607", &fault));     /* cut off */
    cr_expect_not(unpack_numbers("01 4000 010203040506070809", &fault)); /* one byte more */
    cr_expect_not(unpack_numbers("00 4000 0102030405060708", &fault));   /* one more than announced */
    cr_expect_not(unpack_numbers("8100 4000 0102030405060708", &fault)); /* a longer form than needed */
    cr_expect_not(unpack_numbers("41", &fault));                         /* 65 logs */
    cr_expect_not(unpack_numbers("ffffffff0f", &fault));
}

Test(position, keeps_its_size_when_it_is_lowered) {
    static const uint64_t next[] = {7, UINT64_MAX, 0};
    uint8_t bytes[POSITION_BYTES_MAX];
    struct position in = position_of(3, sequence_make(9, 1000)), out;
    struct fault fault;
    size_t n = position_pack(&in, bytes);
    position_lower(bytes, n, next);
    cr_assert(unpack_position(bytes, n, &out, &fault));
    cr_expect(out.count == 3 && memcmp(out.instance, in.instance, sizeof in.instance) == 0);
    cr_expect(out.logs[0].next == sequence_make(9, 7) && out.logs[1].next == sequence_make(9, 1001) &&
                  out.logs[2].next == sequence_make(9, 0),
              "the epochs stay");
}
