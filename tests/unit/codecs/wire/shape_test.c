#include "codecs/wire/shape.h"

#include "codecs/proto/field.h"

#include "core/base/limits.h"
#include "tests/unit/codecs/golden.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define SMALL    "0a013112022f731a03312e30220174" /* GOLDEN_SMALL: 15 bytes */
#define SEQUENCE "090100000000000000"
#define TOPIC    "1203612e62"                                                       /* a.b */
#define EXPIRES  SMALL "2a1b0a0a65787069727974696d65120d3a0b0898eb8acd061080e59a77" /* with an expirytime */

struct bytes {
    uint8_t data[2048];
    size_t n;
};

/* A frame with one Event, its lengths of one or two bytes put in front. */
static struct bytes frame_of(const char *before, const char *event_hex) {
    struct bytes event = {.n = 0}, body = {.n = 0}, out = {.n = 0};
    event.n = golden_hex(event_hex, event.data, sizeof event.data);
    body.n = golden_hex(before, body.data, sizeof body.data);
    body.data[body.n++] = 0x1a;
    uint8_t *p = varint_write(body.data + body.n, event.n);
    memcpy(p, event.data, event.n);
    body.n = (size_t)(p - body.data) + event.n;
    p = varint_write(out.data, 1 + varint_size(body.n) + body.n);
    *p++ = 0x0a;
    p = varint_write(p, body.n);
    memcpy(p, body.data, body.n);
    out.n = (size_t)(p - out.data) + body.n;
    return out;
}

static bool scan(const uint8_t *p, size_t n, struct wire_frame *frame, struct wire_event *event) {
    struct fault fault;
    return wire_next(p, n, FRAME_BYTES_DEFAULT, frame, &fault) == WIRE_OK && frame->kind == WIRE_EVENT &&
           wire_event_scan(frame, event, &fault);
}

static bool learn(struct wire_shape *shape, const struct bytes *bytes) {
    struct wire_frame frame;
    struct wire_event event;
    cr_assert(scan(bytes->data, bytes->n, &frame, &event));
    cr_assert_eq(event.known, WIRE_TOPIC_ANY);
    wire_shape_learn(shape, &frame, &event);
    return event.known == WIRE_TOPIC_LEARNT;
}

/* Bytes that fit are an event that the scan accepts, and both make the same of it. */
static bool fits(struct wire_shape *shape, const uint8_t *bytes, size_t n) {
    struct wire_event glanced;
    struct wire_event scanned;
    struct wire_frame frame;
    size_t size = 0;
    uint8_t *p = golden_alone(bytes, n);
    uint8_t topic[TOPIC_BYTES_MAX] = {0};
    memcpy(topic, shape->bytes + shape->topic_at, shape->topic_length); /* it may learn another one */
    bool fit = wire_shape_fits(shape, p, n, &glanced, &size);
    if (fit) {
        cr_assert(scan(p, n, &frame, &scanned), "what fits is refused by the scan");
        cr_assert(frame.size == size && glanced.topic == scanned.topic && glanced.event == scanned.event);
        cr_assert(glanced.topic_length == scanned.topic_length &&
                  glanced.event_length == scanned.event_length);
        cr_assert_eq(glanced.known == WIRE_TOPIC_AGAIN,
                     memcmp(topic, scanned.topic, scanned.topic_length) == 0);
        cr_assert_eq(glanced.record, scanned.record);
        cr_assert_eq(glanced.expiring, scanned.expiring);
        scanned.record = NULL; /* composed anew it must be the same */
        static uint8_t taken[4096];
        static uint8_t composed[4096];
        uint32_t record = wire_record_size(scanned.topic_length, scanned.event_length);
        cr_assert_eq(wire_record_write(taken, 42, &glanced), wire_record_write(composed, 42, &scanned));
        cr_assert_arr_eq(taken, composed, record);
    }
    free(p);
    return fit;
}

static const char *const events[] = {SMALL,
                                     SMALL "3203000102",
                                     SMALL "3a03616263",
                                     GOLDEN_HEAD,
                                     GOLDEN_HEAD GOLDEN_BINARY,
                                     GOLDEN_HEAD GOLDEN_TEXT,
                                     GOLDEN_HEAD GOLDEN_PROTO,
                                     SMALL "3200",
                                     SMALL "4200",
                                     EXPIRES,
                                     EXPIRES "3203000102"};
#define EVENTS (sizeof events / sizeof events[0])

Test(wire_shape, nothing_fits_before_anything_is_learnt) {
    struct wire_shape shape = {0};
    struct bytes bytes = frame_of(SEQUENCE TOPIC, SMALL);
    cr_assert(!fits(&shape, bytes.data, bytes.n));
    cr_assert(!fits(&shape, bytes.data, 0));
}

/* Blocks may reach beyond a short frame, so more bytes must have come than the frame itself. */
Test(wire_shape, an_event_fits_its_own_shape_with_and_without_a_sequence) {
    for (size_t i = 0; i < EVENTS; i++)
        for (int with = 0; with < 2; with++) {
            struct wire_shape shape = {0};
            struct bytes bytes = frame_of(with ? SEQUENCE TOPIC : TOPIC, events[i]);
            cr_assert(learn(&shape, &bytes));
            cr_assert_eq(shape.record, with == 1);
            cr_assert(fits(&shape, bytes.data, shape.reach), "event %zu", i);
            cr_assert(!fits(&shape, bytes.data, shape.reach - 1));
            cr_assert(!fits(&shape, bytes.data, bytes.n - 1));
        }
}

/* Every value of every byte: what fits is right (see fits), and something other than the event itself fits.
 */
Test(wire_shape, whatever_fits_is_what_the_scan_accepts) {
    for (size_t i = 0; i < EVENTS; i++) {
        struct wire_shape shape = {0};
        struct bytes bytes = frame_of(SEQUENCE TOPIC, events[i]);
        unsigned fit = 0;
        cr_assert(learn(&shape, &bytes));
        for (size_t at = 0; at < bytes.n; at++)
            for (unsigned flip = 1; flip < 256; flip++) {
                bytes.data[at] ^= (uint8_t)flip;
                fit += fits(&shape, bytes.data, shape.reach);
                bytes.data[at] ^= (uint8_t)flip;
            }
        cr_assert_gt(fit, 8 * 255u, "sequence, id and payload may differ");
    }
}

/* Of the shape but for the topic: known to be valid all the same, and learnt when its own does not come back.
 */
Test(wire_shape, another_topic_of_the_same_length_fits_and_is_learnt_in_the_end) {
    struct wire_shape shape = {0};
    struct wire_event event;
    size_t size;
    struct bytes own = frame_of(SEQUENCE TOPIC, SMALL), other = frame_of(SEQUENCE "1203612e63", SMALL);
    struct bytes bad = frame_of(SEQUENCE "1203612e2e", SMALL);
    cr_assert(learn(&shape, &own));
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 1; i < SHAPE_STRAYS_MAX; i++) {
            cr_assert(!wire_shape_fits(&shape, bad.data, shape.reach, &event, &size));
            cr_assert(wire_shape_fits(&shape, other.data, shape.reach, &event, &size));
            cr_assert(event.known == WIRE_TOPIC_ANY && size == other.n && event.record == other.data);
            cr_assert(event.topic_length == 3 && memcmp(event.topic, "a.c", 3) == 0);
        }
        cr_assert(wire_shape_fits(&shape, own.data, shape.reach, &event, &size));
        cr_assert_eq(event.known, WIRE_TOPIC_AGAIN);
    }
    for (uint32_t i = 1; i <= SHAPE_STRAYS_MAX; i++)
        cr_assert(wire_shape_fits(&shape, other.data, shape.reach, &event, &size));
    cr_assert_eq(event.known, WIRE_TOPIC_LEARNT);
    cr_assert(wire_shape_fits(&shape, other.data, shape.reach, &event, &size));
    cr_assert_eq(event.known, WIRE_TOPIC_AGAIN);
    cr_assert(wire_shape_fits(&shape, own.data, shape.reach, &event, &size));
    cr_assert_eq(event.known, WIRE_TOPIC_ANY);
}

/* Three that are alike, then one of another source. */
Test(wire_shape, a_run_ends_with_the_last_frame_that_fits_and_is_all_there) {
    struct wire_shape shape = {0};
    struct bytes one = frame_of(SEQUENCE TOPIC, SMALL);
    struct bytes other = frame_of(SEQUENCE TOPIC, "0a013112022f781a03312e30220174");
    cr_assert(learn(&shape, &one));
    cr_assert_eq(one.n, other.n);
    size_t size = 4 * one.n + shape.reach;
    uint8_t *all = calloc(1, size);
    cr_assert_not_null(all);
    for (size_t i = 0; i < 4; i++)
        memcpy(all + i * one.n, i < 3 ? one.data : other.data, one.n);
    all[one.n + shape.id_at] = '9';
    cr_assert_eq(wire_shape_run(&shape, all, size, 100), 3);
    cr_assert_eq(wire_shape_run(&shape, all, size, 2), 2);
    cr_assert_eq(wire_shape_run(&shape, all, one.n + shape.reach, 100), 2);
    cr_assert_eq(wire_shape_run(&shape, all, one.n + shape.reach - 1, 100), 1);
    cr_assert_eq(wire_shape_run(&shape, all + 3 * one.n, size - 3 * one.n, 100), 0);
    cr_assert_eq(shape.hits, 8);
    free(all);
    struct wire_shape nothing = {0};
    cr_assert_eq(wire_shape_run(&nothing, one.data, one.n, 100), 0);
}

Test(wire_shape, text_that_is_none_and_an_id_with_a_control_do_not_fit) {
    struct wire_shape shape = {0};
    struct bytes bytes = frame_of(SEQUENCE TOPIC, SMALL "3a03616263");
    cr_assert(learn(&shape, &bytes));
    bytes.data[bytes.n - 1] = 0xff;
    cr_assert(!fits(&shape, bytes.data, shape.reach));
    bytes.data[bytes.n - 1] = 'x';
    cr_assert(fits(&shape, bytes.data, shape.reach));
    bytes.data[shape.id_at] = 7;
    cr_assert(!fits(&shape, bytes.data, shape.reach));
}

/* A length that could be written shorter: the frame is not the record. */
Test(wire_shape, a_frame_with_a_longer_form_of_a_length_is_not_taken_as_a_record) {
    struct wire_shape shape = {0};
    struct bytes bytes = {.n = 0};
    bytes.n = golden_hex("a300 0a20" SEQUENCE TOPIC "1a0f" SMALL, bytes.data, sizeof bytes.data);
    bytes.data[0] = (uint8_t)(0x80 | (bytes.n - 2));
    bytes.data[3] = (uint8_t)(bytes.n - 4);
    cr_assert(learn(&shape, &bytes));
    cr_assert(!shape.record);
    cr_assert(fits(&shape, bytes.data, shape.reach));
}

Test(wire_shape, other_forms_are_not_learnt) {
    struct wire_shape shape = {0};
    struct bytes unknown = frame_of(SEQUENCE TOPIC "3801", SMALL);
    cr_assert(!learn(&shape, &unknown));
    struct bytes reversed = frame_of(TOPIC, "12022f730a01311a03312e30220174");
    cr_assert(!learn(&shape, &reversed));
    cr_assert_eq(shape.reach, 0);
}

Test(wire_shape, an_event_with_more_in_front_of_its_payload_than_is_compared_is_not_learnt) {
    static char hex[2048];
    struct wire_shape shape = {0};
    strcpy(hex, "0a013112d804"); /* a source of 600 bytes */
    for (int i = 0; i < 600; i++)
        strcat(hex, "73");
    strcat(hex, "1a03312e30220174");
    struct bytes bytes = frame_of(TOPIC, hex);
    cr_assert(!learn(&shape, &bytes));
}

/* Two kinds of events in turn never fit each other's shape: learning stops being tried at every one. */
Test(wire_shape, shapes_that_never_fit_are_learnt_ever_more_rarely) {
    struct wire_shape shape = {0};
    struct bytes a = frame_of(SEQUENCE TOPIC, SMALL);
    struct bytes b = frame_of(SEQUENCE TOPIC, "0a013112022f781a03312e30220174");
    unsigned learnt = 0;
    for (unsigned i = 0; i < 10000; i++)
        if (!fits(&shape, i % 2 ? a.data : b.data, shape.reach < a.n ? a.n : shape.reach))
            learnt += learn(&shape, i % 2 ? &a : &b);
    cr_assert_gt(learnt, 1);
    cr_assert_lt(learnt, 10000 / 20);
    /* one that goes on is found again, at the latest after the longest pause */
    unsigned before = 0;
    while (!fits(&shape, a.data, shape.reach < a.n ? a.n : shape.reach)) {
        learn(&shape, &a);
        cr_assert_lt(before++, 2 * SHAPE_PAUSE_MAX);
    }
}

Test(wire_shape, knows_whether_its_events_expire) {
    static const char *const hex[] = {SMALL "3203000102", EXPIRES "3203000102"};
    for (int expires = 0; expires < 2; expires++) {
        struct wire_shape shape = {0};
        struct wire_event event;
        size_t size;
        struct bytes bytes = frame_of(SEQUENCE TOPIC, hex[expires]);
        cr_assert(learn(&shape, &bytes));
        cr_assert(wire_shape_fits(&shape, bytes.data, sizeof bytes.data, &event, &size));
        cr_assert_eq(event.expiring, expires == 1);
        bytes = frame_of(SEQUENCE TOPIC, hex[1 - expires]);
        cr_assert_not(wire_shape_fits(&shape, bytes.data, sizeof bytes.data, &event, &size));
    }
}
