#include "codecs/wire/scan.h"

#include "core/base/limits.h"
#include "tests/unit/codecs/golden.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_MAX 4096u
#define SMALL     "0a013112022f731a03312e30220174" /* GOLDEN_SMALL: 15 bytes */

/* topic "a.b" and the small event */
#define TOPIC "1203612e62"
#define EVENT "1a0f" SMALL

static enum wire_result next(const char *hex, struct wire_frame *frame, struct fault *fault) {
    static uint8_t bytes[1024];
    size_t n = golden_hex(hex, bytes, sizeof bytes);
    uint8_t *alone = golden_alone(bytes, n);
    struct wire_frame seen = {0};
    enum wire_result result = wire_next(alone, n, FRAME_MAX, &seen, fault);
    if (result == WIRE_OK) {
        *frame = seen; /* the same place in bytes that live on */
        frame->start = bytes;
        frame->frame = bytes + (seen.frame - alone);
        frame->body = seen.body ? bytes + (seen.body - alone) : NULL;
    }
    free(alone);
    return result;
}

static void expect_kind(const char *hex, enum wire_kind kind, size_t size, size_t body_length) {
    struct wire_frame frame;
    struct fault fault = {0};
    cr_assert_eq(next(hex, &frame, &fault), WIRE_OK, "%s: %s", hex, fault.text ? fault.text : "");
    cr_expect(frame.kind == kind && frame.size == size && frame.body_length == body_length, "%s: %d %zu %zu",
              hex, (int)frame.kind, frame.size, frame.body_length);
    cr_expect((frame.body != NULL) == (kind != WIRE_EMPTY && kind != WIRE_UNKNOWN), "%s", hex);
}

static void expect_bad(const char *hex, enum rh_code code) {
    struct wire_frame frame;
    struct fault fault = {0};
    cr_expect_eq(next(hex, &frame, &fault), WIRE_BAD, "%s", hex);
    cr_expect(golden_fault(&fault, code, NULL), "%s", hex);
}

Test(wire_next, names_each_kind_of_frame) {
    for (unsigned kind = WIRE_EVENT; kind <= WIRE_GOODBYE; ++kind) {
        uint8_t bytes[] = {3, (uint8_t)(kind << 3 | 2), 1, 0x78, 0xff};
        struct wire_frame frame;
        struct fault fault;
        cr_assert_eq(wire_next(bytes, sizeof bytes, FRAME_MAX, &frame, &fault), WIRE_OK);
        cr_expect(frame.kind == (enum wire_kind)kind && frame.start == bytes && frame.size == 4);
        cr_expect(frame.frame == bytes + 1 && frame.frame_length == 3);
        cr_expect(frame.body == bytes + 3 && frame.body_length == 1);
    }
}

Test(wire_next, tells_empty_and_unknown_frames_from_known_ones) {
    expect_kind("00", WIRE_EMPTY, 1, 0);
    expect_kind("00 02 1200", WIRE_EMPTY, 1, 0);
    expect_kind("02 1200", WIRE_CONNECT, 3, 0);
    expect_kind("03 820100", WIRE_LEASE_EXPIRED, 4, 0);
    expect_kind("03 8a0100", WIRE_REPLAY, 4, 0);
    expect_kind("03 920100", WIRE_REPLAYED, 4, 0);
    expect_kind("03 9a0100", WIRE_UNKNOWN, 4, 0);   /* field 19 */
    expect_kind("04 9a060161", WIRE_UNKNOWN, 5, 0); /* field 99 */
    expect_kind("03 900601", WIRE_EMPTY, 4, 0);     /* only a number: no body of any version */
    expect_kind("06 900601 9a0100", WIRE_UNKNOWN, 7, 0);
    expect_kind("05 6a00 900601", WIRE_PING, 6, 0); /* unknown fields behind ... */
    expect_kind("05 900601 6a00", WIRE_PING, 6, 0); /* ... before ... */
    expect_kind("09 9a0100 6a0161 9a0600", WIRE_PING, 10, 1);
}

Test(wire_next, takes_longer_lengths_than_needed) {
    expect_kind("8200 6a00", WIRE_PING, 4, 0);
    expect_kind("82808080808080808000 6a00", WIRE_PING, 12, 0);
    expect_kind("8000", WIRE_EMPTY, 2, 0);
    expect_kind("03 6a8000", WIRE_PING, 4, 0);
    expect_kind("04 ea8000 00", WIRE_PING, 5, 0);
    expect_kind("04 8a00 0161", WIRE_EVENT, 5, 1);
}

Test(wire_next, refuses_what_is_no_frame) {
    expect_bad("02 0801", RH_CODE_PROTOCOL);       /* a body of wire type varint */
    expect_bad("05 0d01020304", RH_CODE_PROTOCOL); /* ... fixed32 */
    expect_bad("09 090102030405060708", RH_CODE_PROTOCOL);
    expect_bad("02 0b0c", RH_CODE_PROTOCOL); /* groups */
    expect_bad("03 830184", RH_CODE_PROTOCOL);
    expect_bad("04 6a00 6a00", RH_CODE_PROTOCOL); /* two bodies, the same and others */
    expect_bad("04 6a00 7200", RH_CODE_PROTOCOL);
    expect_bad("04 0a00 0a00", RH_CODE_PROTOCOL);
    expect_bad("04 0a00 1200", RH_CODE_PROTOCOL);
    expect_bad("04 6a00 6800", RH_CODE_PROTOCOL);
    expect_bad("02 0200", RH_CODE_PROTOCOL); /* field number 0 */
    expect_bad("02 0000", RH_CODE_PROTOCOL);
    expect_bad("01 0a", RH_CODE_PROTOCOL); /* cut off within */
    expect_bad("02 0a01", RH_CODE_PROTOCOL);
    expect_bad("03 0a0261", RH_CODE_PROTOCOL);
    expect_bad("02 9006", RH_CODE_PROTOCOL);
    expect_bad("0d 9006 ffffffffffffffffffff01", RH_CODE_PROTOCOL); /* a varint of eleven bytes */
}

Test(wire_next, refuses_lengths_that_can_not_be) {
    expect_bad("ffffffffffffffffffff", RH_CODE_PROTOCOL); /* no end after ten bytes */
    expect_bad("ffffffffffffffffff02", RH_CODE_PROTOCOL); /* 65 bits */
    expect_bad("ffffffffffffffffff01", RH_CODE_TOO_LARGE);
    expect_bad("8120", RH_CODE_TOO_LARGE); /* 4097 */
}

Test(wire_next, refuses_other_protocols_at_their_first_bytes) {
    static const char *const strangers[] = {
        "GET / HTTP/1.1\r\nHost: localhost:4470\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 tls client hello goes on",
        "CONNECT {\"verbose\":false,\"pedantic\":false,\"name\":\"x\"}\r\nPING\r\n0123456789012"};
    struct wire_frame frame;
    struct fault fault;
    for (size_t i = 0; i < 3; ++i) {
        const uint8_t *p = (const uint8_t *)strangers[i];
        cr_expect_eq(wire_next(p, 90, FRAME_MAX, &frame, &fault), WIRE_BAD, "%zu", i);
    }
}

Test(wire_next, waits_at_every_truncation) {
    uint8_t bytes[256];
    struct wire_frame frame;
    struct fault fault;
    uint64_t total;
    size_t n = golden_hex("9900 0a17 " TOPIC EVENT "", bytes, sizeof bytes);
    bytes[0] = (uint8_t)(0x80 | (n - 2));
    bytes[3] = (uint8_t)(n - 4);
    for (size_t cut = 0; cut <= n; ++cut) {
        uint8_t *alone = golden_alone(bytes, cut);
        cr_assert_eq(wire_next(alone, cut, FRAME_MAX, &frame, &fault), cut < n ? WIRE_INCOMPLETE : WIRE_OK);
        enum wire_result length = wire_length(alone, cut, FRAME_MAX, &total, &fault);
        cr_assert_eq(length, cut < 2 ? WIRE_INCOMPLETE : WIRE_OK);
        cr_assert(cut < 2 || total == n);
        free(alone);
    }
}

Test(wire_length, tells_too_large_before_the_bytes_come) {
    uint8_t bytes[16];
    uint64_t total;
    struct fault fault;
    size_t n = golden_hex("8020", bytes, sizeof bytes);
    cr_expect_eq(wire_length(bytes, n, FRAME_MAX, &total, &fault), WIRE_OK);
    cr_expect_eq(total, FRAME_MAX + 2);
    n = golden_hex("8120", bytes, sizeof bytes);
    cr_expect_eq(wire_length(bytes, n, FRAME_MAX, &total, &fault), WIRE_BAD);
    cr_expect(golden_fault(&fault, RH_CODE_TOO_LARGE, NULL));
    n = golden_hex("80808080808080808080", bytes, sizeof bytes);
    cr_expect_eq(wire_length(bytes, n - 1, FRAME_MAX, &total, &fault), WIRE_INCOMPLETE);
    cr_expect_eq(wire_length(bytes, n, FRAME_MAX, &total, &fault), WIRE_BAD);
    cr_expect(golden_fault(&fault, RH_CODE_PROTOCOL, NULL));
    cr_expect_eq(wire_length(NULL, 0, FRAME_MAX, &total, &fault), WIRE_INCOMPLETE);
}

/* ---- events ---- */

/* Scans an Event message given as hex. */
static bool scan(const char *hex, struct wire_event *event, struct fault *fault) {
    static uint8_t bytes[1024];
    size_t n = golden_hex(hex, bytes, sizeof bytes);
    uint8_t *alone = golden_alone(bytes, n);
    struct wire_frame frame = {.kind = WIRE_EVENT, .body = alone, .body_length = n};
    bool good = wire_event_scan(&frame, event, fault);
    if (good) {
        event->topic = bytes + (event->topic - alone);
        event->event = bytes + (event->event - alone);
    }
    free(alone);
    return good;
}

static void expect_event(const char *hex) {
    struct wire_event event;
    struct fault fault = {0};
    uint8_t small[16];
    golden_hex(SMALL, small, sizeof small);
    cr_assert(scan(hex, &event, &fault), "%s: %s", hex, fault.text ? fault.text : "");
    cr_expect(event.topic_length == 3 && memcmp(event.topic, "a.b", 3) == 0, "%s", hex);
    cr_expect(event.event_length == 15 && memcmp(event.event, small, 15) == 0, "%s", hex);
}

static void expect_refused(const char *hex, const char *field) {
    struct wire_event event;
    struct fault fault = {0};
    cr_expect_not(scan(hex, &event, &fault), "%s", hex);
    cr_expect(golden_fault(&fault, RH_CODE_INVALID, field), "%s", hex);
}

#define SEQUENCE "090102030405060708"

Test(wire_event, is_scanned_with_and_without_sequence) {
    expect_event(TOPIC EVENT);
    expect_event(SEQUENCE TOPIC EVENT);
    expect_event("090000000000000000" TOPIC EVENT);
    expect_event(EVENT TOPIC);
    expect_event(SEQUENCE EVENT TOPIC);
    expect_event("128300612e62" EVENT); /* a longer length than needed */
}

Test(wire_event, passes_over_unknown_fields) {
    expect_event(SEQUENCE "2001" TOPIC "2a0161" EVENT "320161");
    expect_event("2001" TOPIC EVENT);
    expect_event(TOPIC EVENT "c23e0161");
}

Test(wire_event, wants_the_sequence_in_front_and_nowhere_else) {
    expect_refused(TOPIC SEQUENCE EVENT, "sequence");
    expect_refused(TOPIC EVENT SEQUENCE, "sequence");
    expect_refused(SEQUENCE SEQUENCE TOPIC EVENT, "sequence");
    expect_refused("2001" SEQUENCE TOPIC EVENT, "sequence");
    expect_refused("0801" TOPIC EVENT, "sequence"); /* as varint */
    expect_refused("0a0f" SMALL TOPIC, "sequence"); /* as bytes */
    expect_refused(TOPIC "0a0f" SMALL, "sequence");
    expect_refused("890001020304050607 08" TOPIC EVENT, "sequence"); /* the tag in two bytes */
}

Test(wire_event, wants_one_topic_and_one_event) {
    expect_refused("", "topic");
    expect_refused(SEQUENCE, "topic");
    expect_refused(EVENT, "topic");
    expect_refused("1200" EVENT, "topic");
    expect_refused(TOPIC, "event");
    expect_refused(TOPIC TOPIC EVENT, "topic");
    expect_refused(TOPIC EVENT TOPIC, "topic");
    expect_refused(TOPIC EVENT EVENT, "event");
    expect_refused("1001" EVENT, "topic");
    expect_refused(TOPIC "1801", "event");
    expect_refused(TOPIC "1a00", "event.id");
    expect_refused("0908", "event"); /* a sequence that is cut off */
    expect_refused(TOPIC "1a10" SMALL, "event");
    expect_refused(TOPIC EVENT "0b0c", "event");
    expect_refused(TOPIC EVENT "00", "event");
}

Test(wire_event, tells_what_is_wrong_inside) {
    expect_refused("1204612e2e62" EVENT, "topic");
    expect_refused("120161"
                   "1a0e"
                   "0a013112022f731a03312e302200",
                   "event.type");
    expect_refused("1201ff" EVENT, "topic");
}

Test(wire_event, survives_every_corrupt_byte_and_truncation) {
    uint8_t bytes[256];
    struct wire_frame frame;
    struct wire_event event;
    struct fault fault;
    size_t n = golden_hex("2300 0a21" SEQUENCE TOPIC EVENT, bytes, sizeof bytes);
    bytes[0] = 0xa1; /* 33 in two bytes */
    bytes[1] = 0;
    bytes[3] = 31;
    cr_assert_eq(wire_next(bytes, n, FRAME_MAX, &frame, &fault), WIRE_OK);
    cr_assert(frame.size == n && wire_event_scan(&frame, &event, &fault));
    unsigned accepted = 0;
    for (size_t at = 0; at < n; ++at)
        for (unsigned flip = 1; flip < 256; ++flip) {
            bytes[at] ^= (uint8_t)flip;
            for (size_t cut = n; cut + 2 > n; --cut) {
                uint8_t *alone = golden_alone(bytes, cut);
                if (wire_next(alone, cut, FRAME_MAX, &frame, &fault) == WIRE_OK && frame.kind == WIRE_EVENT)
                    accepted += wire_event_scan(&frame, &event, &fault);
                free(alone);
            }
            bytes[at] ^= (uint8_t)flip;
        }
    cr_assert(accepted > 100);
}

/* ---- records ---- */

Test(wire_record, has_the_golden_bytes) {
    static const char golden[] = "22 0a20 09efcdab8967452301 1203612e62 1a0f" SMALL;
    uint8_t expected[64], record[64], event[16];
    size_t n = golden_hex(golden, expected, sizeof expected);
    golden_hex(SMALL, event, sizeof event);
    struct wire_event in = {
        .topic = (const uint8_t *)"a.b", .event = event, .topic_length = 3, .event_length = 15};
    expected[0] = (uint8_t)(n - 1);
    expected[2] = (uint8_t)(n - 3);
    cr_assert_eq(wire_record_size(3, 15), n);
    cr_assert_eq(wire_record_write(record, UINT64_C(0x0123456789abcdef), &in), 14);
    cr_assert_arr_eq(record, expected, n);
}

/* Writes, reads, numbers anew and scans one record of these sizes. The topic is `a`s, the event no
 * CloudEvent. */
static void sweep(uint32_t topic_length, uint32_t event_length, uint8_t *payload, uint8_t *record) {
    struct wire_event in = {
        .topic = payload, .event = payload + 256, .topic_length = topic_length, .event_length = event_length};
    struct wire_event out;
    struct wire_frame frame;
    struct fault fault;
    uint64_t sequence;
    uint32_t size = wire_record_size(topic_length, event_length);
    record[size] = 0xa5;
    uint32_t topic_at = wire_record_write(record, 7, &in);
    cr_assert(record[size] == 0xa5 && size <= topic_length + event_length + FRAME_OVERHEAD_MAX);
    cr_assert(topic_at <= 255 && memcmp(record + topic_at, payload, topic_length) == 0);
    wire_record_sequence(record, UINT64_MAX - 1);
    wire_record_read(record, size, &sequence, &out);
    cr_assert(sequence == UINT64_MAX - 1 && out.topic == record + topic_at);
    cr_assert(out.topic_length == topic_length && out.event_length == event_length);
    cr_assert(memcmp(out.event, in.event, event_length) == 0 && out.event + event_length == record + size);
    cr_assert_eq(wire_next(record, size, FRAME_BYTES_MAX, &frame, &fault), WIRE_OK);
    cr_assert(frame.kind == WIRE_EVENT && frame.size == size);
}

Test(wire_record, comes_back_over_all_boundaries_of_its_lengths) {
    uint8_t *payload = malloc(256 + 2200000), *record = malloc(2200400);
    for (size_t i = 0; i < 256 + 2200000; ++i)
        payload[i] = (uint8_t)(i < 256 ? 'a' : i * 7);
    static const uint32_t topics[] = {1, 2, 100, 126, 127, 128, 129, 254, 255};
    static const uint32_t edges[] = {1, 127, 128, 16383, 16384, 2097151, 2097152};
    for (size_t t = 0; t < sizeof topics / sizeof topics[0]; ++t)
        for (size_t e = 0; e < sizeof edges / sizeof edges[0]; ++e)
            for (uint32_t back = 0; back <= (edges[e] < 100000 ? 300u : 6u); ++back)
                if (edges[e] + 4 > back)
                    sweep(topics[t], edges[e] + 4 - back, payload, record);
    /* every frame length around its own boundaries, where prefix and body change their size */
    for (uint32_t e = 1; e < 400; ++e)
        sweep(20, e, payload, record);
    for (uint32_t e = 16300; e < 16420; ++e)
        sweep(20, e, payload, record);
    for (uint32_t e = 2097152 - 60; e < 2097152 + 4; ++e)
        sweep(20, e, payload, record);
    free(payload);
    free(record);
}

Test(wire_record, is_the_canonical_form_of_any_accepted_event) {
    uint8_t record[512], again[512];
    static const char long_lengths[] = "928000 8300 612e62 9a00 8f00" SMALL;
    const char *const forms[] = {TOPIC EVENT, EVENT TOPIC, SEQUENCE TOPIC EVENT, "2001" EVENT "2a0161" TOPIC,
                                 long_lengths};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; ++i) {
        struct wire_event event;
        struct fault fault;
        cr_assert(scan(forms[i], &event, &fault), "%zu", i);
        wire_record_write(record, 1, &event);
        if (i == 0)
            memcpy(again, record, sizeof record);
        cr_assert_eq(memcmp(again, record, wire_record_size(3, 15)), 0);
    }
}
