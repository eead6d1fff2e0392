/* A session: every kind of frame, every refusal, its bounds, and what a host has to say. */
#include "tests/unit/leaks.h"
#include "tests/unit/refuse.h"

#include "core/conn/input.c"
#include "core/conn/output.c"
#include "core/session/session.c"

#include "codecs/proto/field.h"
#include "tests/unit/core/session/session_world.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* ---- the beginning ---- */

Test(session, answers_a_connect_with_what_the_client_has_to_know) {
    struct world world;
    struct stream stream = {.length = 0};
    world_start(&world);
    stream_connect(&stream);
    world_receive_all(&world, &stream);
    Roundhouse__V1__Frame *frame = world_told(&world);
    cr_assert(frame != NULL && frame->body_case == ROUNDHOUSE__V1__FRAME__BODY_CONNECTED);
    const Roundhouse__V1__Connected *connected = frame->connected;
    cr_expect(connected->version == 1 && connected->slots == 4096 && connected->shards == 2);
    cr_expect(connected->instance.len == 16 && connected->instance.data[2] == 3);
    cr_expect(connected->frame_bytes_max == WORLD_FRAME_BYTES && connected->idle_ms == 90000);
    cr_expect(connected->topic_bytes_max == 255 && connected->topic_tokens_max == 16);
    cr_expect(connected->patterns_max == 1024 && strcmp(connected->server, "roundhouse test") == 0);
    cr_expect(world.session.acks && strcmp(world.session.name, "erp") == 0);
    cr_expect(world.session.state == SESSION_OPEN && world.session.frames == 1);
    control_free(frame);
    world_stop(&world);
    LEAKS_NONE();
}

Test(session, wants_a_connect_first_whatever_comes) {
    static const char *const firsts[] = {"",                  /* a length of 0 */
                                         "a2060100",          /* a kind of a newer version */
                                         "0a00",              /* Event */
                                         "2205 0801 1201 61", /* Subscribe */
                                         "3200",
                                         "4a00",
                                         "6a00",
                                         "7200",
                                         "7a00", /* Unsubscribe, Ack, Ping, Pong, Goodbye */
                                         "1a00",
                                         "2a00",
                                         "3a00",
                                         "4200",
                                         "5200",
                                         "5a00", /* what only servers say */
                                         "6200",
                                         "820100"};
    for (size_t i = 0; i < sizeof firsts / sizeof firsts[0]; i++) {
        struct world world;
        struct stream stream = {.length = 0};
        world_start(&world);
        stream_hex(&stream, firsts[i]);
        stream_connect(&stream);
        world_receive_all(&world, &stream);
        world_receive_all(&world, &stream);
        world_expect(&world, "failed protocol\n< error protocol fatal  ordinal 0 subscription 0\n");
        cr_assert(world.session.state == SESSION_OVER && world.conn.in.bytes == NULL);
        world_stop(&world);
    }
    LEAKS_NONE();
}

Test(session, knows_nothing_at_a_glance_before_the_connect) {
    struct world world;
    struct stream stream = {.length = 0};
    world_open(&world);
    stream_event(&stream, "a", WORLD_EVENT);
    world_receive_all(&world, &stream);
    world_receive_all(&world, &stream);
    world_expect(&world, "publish 1 a 15\npublish 2 a 15\n");
    cr_assert(world.shape.hits == 1);
    session_deinit(&world.session); /* the next connection of the same worker */
    session_init(&world.session, &world.facts, &world.conn, &world.shape, &world);
    world_receive_all(&world, &stream);
    world_expect(&world, "failed protocol\n< error protocol fatal  ordinal 0 subscription 0\n");
    world_stop(&world);
    LEAKS_NONE();
}

Test(session, refuses_a_connect_that_it_can_not_keep) {
    static const struct {
        const char *hex, *what;
    } refused[] = {
        {"1202 0800", "unsupported fatal connect.version"},
        {"1202 0802", "unsupported fatal connect.version"},
        {"1204 0801 1802", "unsupported fatal connect.ack"},
        {"1204 0801 1807", "invalid fatal connect.ack"},
        {"1206 0801 1202 610a", "invalid fatal connect.client"},
        {"1206 0801 1202 617f", "invalid fatal connect.client"},
        {"1206 0801 1202 c285", "invalid fatal connect.client"},   /* U+0085 */
        {"1207 0801 1203 efbfbf", "invalid fatal connect.client"}, /* U+FFFF */
        {"1205 0801 1201 ff", "invalid fatal connect.client"},
        {"1206 0801 1202 6100", "invalid fatal connect.client"},
        {"1204 0801 1205", "protocol fatal "},
        {"1000", "protocol fatal "},
        {"1200 1200", "protocol fatal "},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct world world;
        struct stream stream = {.length = 0};
        char wanted[200], code[20];
        world_start(&world);
        stream_hex(&stream, refused[i].hex);
        world_receive_all(&world, &stream);
        cr_assert(sscanf(refused[i].what, "%19s", code) == 1);
        (void)snprintf(wanted, sizeof wanted, "failed %s\n< error %s ordinal 0 subscription 0\n", code,
                       refused[i].what);
        world_expect(&world, wanted);
        world_stop(&world);
    }
    LEAKS_NONE();
}

Test(session, tells_a_client_that_is_not_admitted_when_to_come_again) {
    struct world world;
    struct stream stream = {.length = 0};
    world_start(&world);
    world.admits = false;
    stream_connect(&stream);
    stream_ping(&stream, "x");
    world_receive_all(&world, &stream);
    Roundhouse__V1__Frame *frame = world_told(&world);
    cr_assert(frame->error->fatal && frame->error->retry_after_ms == 1000);
    cr_assert(strcmp(frame->error->text, "not now") == 0);
    control_free(frame);
    world_expect(&world, "failed unavailable\n");
    world_stop(&world);
}

Test(session, takes_names_of_128_bytes_and_no_longer) {
    for (size_t length = 127; length <= 129; length++) {
        struct world world;
        struct stream stream = {.length = 0};
        char name[130] = {0};
        memset(name, 'n', length);
        Roundhouse__V1__Connect connect;
        roundhouse__v1__connect__init(&connect);
        connect.version = 1;
        connect.client = name;
        Roundhouse__V1__Frame frame = FRAME(connect, CONNECT, &connect);
        world_start(&world);
        stream_add(&stream, &frame);
        world_receive_all(&world, &stream);
        world_expect(&world, length <= 128
                                 ? "< connected\n"
                                 : "failed invalid\n"
                                   "< error invalid fatal connect.client ordinal 0 subscription 0\n");
        world_stop(&world);
    }
}

Test(session, costs_a_stranger_no_more_than_4_kib_before_the_connect) {
    static const char too_large[] = "failed too_large\n< error too_large fatal  ordinal 0 subscription 0\n";
    struct world world;
    uint8_t prefix[4];
    world_start(&world);
    world_receive(&world, prefix, (size_t)(varint_write(prefix, CONNECT_BYTES_MAX + 1) - prefix));
    world_expect(&world, too_large); /* at the length: nothing of it is waited for */
    world_stop(&world);
    world_start(&world);
    for (size_t i = 0; i < 2; i++) { /* the same when the length itself comes in two pieces */
        (void)varint_write(prefix, CONNECT_BYTES_MAX + 1);
        world_receive(&world, prefix + i, 1);
    }
    world_expect(&world, too_large);
    world_stop(&world);
    struct stream stream = {.length = 0};
    world_start(&world);
    stream.length = (size_t)(varint_write(stream.bytes, CONNECT_BYTES_MAX) - stream.bytes);
    stream.bytes[stream.length++] = 0x12; /* Connect, in just the 4 KiB: version 1, and an unknown field */
    stream.length =
        (size_t)(varint_write(stream.bytes + stream.length, CONNECT_BYTES_MAX - 3) - stream.bytes);
    stream.bytes[stream.length++] = 0x08;
    stream.bytes[stream.length++] = 0x01;
    stream.bytes[stream.length++] = 0x7a;
    stream.length =
        (size_t)(varint_write(stream.bytes + stream.length, CONNECT_BYTES_MAX - 8) - stream.bytes);
    stream.length += CONNECT_BYTES_MAX - 8;
    world_receive_all(&world, &stream);
    world_expect(&world, "< connected\n");
    world_stop(&world);
    LEAKS_NONE();
}

/* ---- each kind of frame ---- */

Test(session, does_what_each_kind_of_frame_asks_for) {
    static const struct {
        const char *hex, *what;
    } kinds[] = {
        {"0a14 1201 61 1a0f" WORLD_EVENT, "publish 1 a 15\n"},
        {"0a1d 09 0700000000000000 1201 61 1a0f" WORLD_EVENT, "publish 1 a 15\n"},
        {"0a14 1201 2a 1a0f" WORLD_EVENT, "refused 1 invalid topic\n"},
        {"0a08 1201 61 1a03" WORLD_NO_EVENT, "refused 1 invalid event.source\n"},
        {"0a00", "refused 1 invalid topic\n"},
        {"1202 0801", "failed protocol\n< error protocol fatal  ordinal 0 subscription 0\n"},
        {"2205 0807 1201 61", "subscribe 7 a\n"},
        {"3202 0807", "unsubscribe 7\n"},
        {"3207 0807 1201 71 1801", "unsubscribe 7 q\n"},
        {"3203 1201 ff",
         "failed invalid\n< error invalid fatal unsubscribe.remove ordinal 0 subscription 0\n"},
        {"4a06 0807 1803 2002", "acked 7 3 kind 2\n"},
        {"4a00", "acked 0 0 kind 0\n"},
        {"4a02 2a00", "acked 0 0 kind 0\n"},
        {"4a03 2a01 ff", "failed invalid\n< error invalid fatal ack.reason ordinal 0 subscription 0\n"},
        {"6a04 0a02 6869", "< pong hi\n"},
        {"6a00", "< pong \n"},
        {"7204 0a02 6869", ""},
        {"7a00", "goodbye\n"},
        {"", ""},
        {"a20600", ""},
        {"a8060a", ""},
        {"1a00", "failed protocol\n< error protocol fatal  ordinal 0 subscription 0\n"},
        {"2a00", "failed protocol\n< error protocol fatal  ordinal 0 subscription 0\n"},
        {"3a00", "failed protocol\n< error protocol fatal  ordinal 0 subscription 0\n"},
        {"4200", "failed protocol\n< error protocol fatal  ordinal 0 subscription 0\n"},
        {"5200", "failed protocol\n< error protocol fatal  ordinal 0 subscription 0\n"},
        {"5a00", "failed protocol\n< error protocol fatal  ordinal 0 subscription 0\n"},
        {"6200", "failed protocol\n< error protocol fatal  ordinal 0 subscription 0\n"},
        {"0a00 0a00", "failed protocol\n< error protocol fatal  ordinal 0 subscription 0\n"},
        {"2204 0807 1205", "failed protocol\n< error protocol fatal  ordinal 0 subscription 0\n"},
        {"2205 0807 1201 ff",
         "failed invalid\n< error invalid fatal subscribe.patterns ordinal 0 subscription 0\n"},
        {"07", "failed protocol\n< error protocol fatal  ordinal 0 subscription 0\n"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct world world;
        struct stream stream = {.length = 0};
        world_open(&world);
        stream_hex(&stream, kinds[i].hex);
        world_receive_all(&world, &stream);
        world_expect(&world, kinds[i].what);
        world_stop(&world);
    }
    LEAKS_NONE();
}

Test(session, answers_a_ping_with_where_delivery_stands) {
    struct world world;
    struct stream stream = {.length = 0};
    char long_text[66] = {0};
    world_open(&world);
    memset(long_text, 'p', 64);
    stream_ping(&stream, long_text);
    world_receive_all(&world, &stream);
    Roundhouse__V1__Frame *frame = world_told(&world);
    struct position position;
    struct fault fault;
    cr_assert(frame->pong->data.len == 64);
    cr_assert(position_unpack(frame->pong->position.data, frame->pong->position.len, &position, &fault));
    cr_assert(position.count == 2 && position.logs[0].next == 5 && position.logs[1].next == 6);
    control_free(frame);
    memset(long_text, 'p', 65);
    stream.length = 0;
    stream_ping(&stream, long_text);
    world_receive_all(&world, &stream);
    world_expect(&world, "failed invalid\n< error invalid fatal ping.data ordinal 0 subscription 0\n");
    world_stop(&world);
}

Test(session, counts_frames_and_those_it_does_not_know) {
    struct world world;
    struct stream stream = {.length = 0};
    world_open(&world);
    cr_assert(world.session.frames == 1);
    stream_hex(&stream, "");
    stream_hex(&stream, "a20600");
    stream_event(&stream, "a", WORLD_EVENT);
    stream_event(&stream, "a..b", WORLD_EVENT);
    stream_event(&stream, "a", WORLD_EVENT);
    world_receive_all(&world, &stream);
    world_expect(&world, "publish 1 a 15\nrefused 2 invalid topic\npublish 3 a 15\n");
    cr_assert(world.session.frames == 6 && world.session.frames_unknown == 2 && world.session.ordinal == 3);
    world_stop(&world);
}

Test(session, tells_too_large_at_the_length) {
    struct world world;
    uint8_t prefix[10];
    world_open(&world);
    world_receive(&world, prefix, (size_t)(varint_write(prefix, WORLD_FRAME_BYTES + 1) - prefix));
    world_expect(&world, "failed too_large\n< error too_large fatal  ordinal 0 subscription 0\n");
    world_stop(&world);
    world_open(&world);
    memset(prefix, 0xff, sizeof prefix);
    world_receive(&world, prefix, sizeof prefix);
    world_expect(&world, "failed protocol\n< error protocol fatal  ordinal 0 subscription 0\n");
    world_stop(&world);
    LEAKS_NONE();
}

Test(session, assembles_the_largest_frame_with_no_more_memory_than_has_come) {
    struct world world;
    world_open(&world);
    uint8_t *frame = calloc(1, WORLD_FRAME_BYTES + 8);
    cr_assert(frame != NULL);
    uint8_t *end = varint_write(frame, WORLD_FRAME_BYTES);
    *end++ = 0x6a; /* Ping, with one unknown field */
    end = varint_write(end, WORLD_FRAME_BYTES - 4);
    *end++ = 0x7a;
    end = varint_write(end, WORLD_FRAME_BYTES - 4 - 4);
    size_t total = (size_t)(end - frame) + WORLD_FRAME_BYTES - 8;
    for (size_t at = 0; at < total; at += 1000) {
        world_receive(&world, frame + at, total - at < 1000 ? total - at : 1000);
        cr_assert(world.conn.in.capacity <= 2 * at + 2048);
    }
    world_expect(&world, "< pong \n");
    cr_assert(input_length(&world.conn.in) == 0);
    free(frame);
    world_stop(&world);
    LEAKS_NONE();
}

/* ---- bounds ---- */

Test(session, stops_when_the_client_does_not_read_its_replies) {
    enum { PINGS = 400, BOUND = 1000 };
    struct world world;
    struct stream stream = {.length = 0};
    world_open(&world);
    world.facts.private_bytes = BOUND;
    for (unsigned i = 0; i < PINGS; i++)
        stream_ping(&stream, "0123456789");
    for (size_t piece = 1; piece <= stream.length; piece = piece * 7 + 1) {
        unsigned pongs = 0;
        for (size_t at = 0; at < stream.length; at += piece) {
            world_receive(&world, stream.bytes + at, stream.length - at < piece ? stream.length - at : piece);
            cr_assert(world.conn.out.private_length <= BOUND + 100, "one reply above the bound, no more");
            if (world.conn.out.private_length > BOUND)
                world.conn.paused = CONN_PAUSE_PRIVATE;
        }
        for (;;) {
            Roundhouse__V1__Frame *frame = world_told(&world);
            if (frame != NULL) {
                pongs += frame->body_case == ROUNDHOUSE__V1__FRAME__BODY_PONG;
                control_free(frame);
            } else if (input_length(&world.conn.in) > 0) {
                world_resume(&world);
                cr_assert(world.conn.out.private_length <= BOUND + 100);
            } else {
                break;
            }
        }
        cr_assert(pongs == PINGS, "%u in pieces of %zu", pongs, piece);
    }
    world_stop(&world);
    LEAKS_NONE();
}

Test(session, tells_a_client_whose_frame_finds_no_memory) {
    struct world world;
    struct stream stream = {.length = 0};
    world_open(&world);
    stream_event(&stream, "a", WORLD_EVENT);
    refuse_at = 1;
    world_receive(&world, stream.bytes, stream.length - 1);
    cr_assert(refuse_refused == 1);
    world_receive(&world, stream.bytes + stream.length - 1, 1);
    world_expect(&world, "failed exhausted\n< error exhausted fatal  ordinal 0 subscription 0\n");
    world_stop(&world);
    LEAKS_NONE();
}

Test(session, breaks_a_connection_whose_reply_finds_no_room) {
    struct world world;
    struct stream stream = {.length = 0};
    world_open(&world);
    stream_ping(&stream, "x");
    refuse_at = 1;
    world_receive_all(&world, &stream);
    cr_assert(refuse_refused == 1 && world.conn.broken && world.conn.out.bytes == 0);
    world_stop(&world);
    LEAKS_NONE();
}

/* ---- the end ---- */

Test(session, is_deaf_when_it_is_over) {
    struct world world;
    struct stream stream = {.length = 0};
    world_open(&world);
    stream_event(&stream, "a", WORLD_EVENT);
    world.stop_at = 1;
    world.stops_by_park = true;
    world_receive_all(&world, &stream);
    cr_assert(input_length(&world.conn.in) > 0);
    session_fail(&world.session, &(struct fault){.code = RH_CODE_TIMEOUT, .text = "too late"});
    session_fail(&world.session, &(struct fault){.code = RH_CODE_INTERNAL, .text = "twice"});
    world_resume(&world);
    cr_assert(world.conn.in.bytes == NULL, "what it had sent is given back");
    world_receive_all(&world, &stream);
    world_expect(&world, "failed timeout\n< error timeout fatal  ordinal 0 subscription 0\n");
    cr_assert(world.session.last_code == RH_CODE_TIMEOUT && world.conn.in.bytes == NULL);
    world_stop(&world);
    LEAKS_NONE();
}

static void receive_noise(const uint8_t *bytes, size_t length, const char *what) {
    struct world world;
    world_start(&world);
    world_receive(&world, bytes, length / 2);
    world_receive(&world, bytes + length / 2, length - length / 2);
    world_take(&world);
    cr_assert(world.calls == 0, "%s: no host is asked anything", what);
    cr_assert(world.session.state == SESSION_OVER || input_length(&world.conn.in) < CONNECT_BYTES_MAX + 10,
              "%s", what);
    world_stop(&world);
}

Test(session, ends_with_an_error_or_waits_when_the_bytes_are_not_its_protocol) {
    static const char http[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    static const uint8_t tls[] = {0x16, 3, 1, 0, 0xa5, 1, 0, 0, 0xa1, 3, 3, 7, 7, 7, 7, 7, 7, 7};
    receive_noise((const uint8_t *)http, sizeof http - 1, "HTTP");
    receive_noise(tls, sizeof tls, "TLS");
    uint64_t seed = 4470;
    for (unsigned round = 0; round < 3000; round++) {
        uint8_t noise[200];
        for (size_t i = 0; i < sizeof noise; i++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
            noise[i] = (uint8_t)(seed >> 56);
        }
        receive_noise(noise, 1 + seed % sizeof noise, "noise");
    }
    LEAKS_NONE();
}

/* ---- what a host has to say ---- */

Test(session, tells_acknowledgements_in_frames_of_a_modest_size) {
    enum { MANY = 130 };
    struct world world;
    struct session_exception exceptions[MANY];
    world_open(&world);
    session_ack(&world.session, 7, NULL, 0);
    world_expect(&world, "< ack 7\n");
    for (uint32_t i = 0; i < MANY; i++)
        exceptions[i] =
            (struct session_exception){.ordinal = 10 + 2 * i, .fault = {RH_CODE_INVALID, "no", "f"}};
    session_ack(&world.session, 20, exceptions, 2);
    world_expect(&world, "< ack 20 10:no 12:no\n");
    session_ack(&world.session, 999, exceptions, MANY);
    uint64_t through = 0, told = 0;
    for (Roundhouse__V1__Frame *frame; (frame = world_told(&world)) != NULL; control_free(frame)) {
        const Roundhouse__V1__PublishAck *ack = frame->publish_ack;
        cr_assert(ack->n_exceptions <= 64 && ack->through > through);
        cr_assert(ack->level == ROUNDHOUSE__V1__ACK_LEVEL__ACK_LEVEL_ROUTED);
        for (size_t i = 0; i < ack->n_exceptions; i++, told++) {
            cr_assert(ack->exceptions[i]->ordinal == 10 + 2 * told);
            cr_assert(ack->exceptions[i]->ordinal > through, "not later than what covers it");
            cr_assert(ack->exceptions[i]->ordinal <= ack->through || ack->n_exceptions < 64);
        }
        through = ack->through;
    }
    cr_assert(through == 999 && told == MANY);
    world_stop(&world);
    LEAKS_NONE();
}

/* The Position of the next frame after all have been lowered to `next`. */
static struct position lowered(struct world *world, uint64_t next) {
    struct position position = {.count = 0};
    struct fault fault;
    uint64_t lowest[2] = {next, next};
    uint8_t *bytes = world->conn.out.private_bytes + world->conn.out.private_begin;
    for (const struct output_item *item = world->conn.out.first; item != NULL; item = item->next) {
        if (item->position_at != 0)
            position_lower(bytes + item->position_at, item->length - item->position_at, lowest);
        bytes += item->length;
    }
    Roundhouse__V1__Frame *frame = world_told(world);
    ProtobufCBinaryData packed = {0};
    if (frame->body_case == ROUNDHOUSE__V1__FRAME__BODY_SUBSCRIBED)
        packed = frame->subscribed->position;
    else if (frame->body_case == ROUNDHOUSE__V1__FRAME__BODY_GAP)
        packed = frame->gap->position;
    else if (frame->body_case == ROUNDHOUSE__V1__FRAME__BODY_PONG)
        packed = frame->pong->position;
    cr_assert(position_unpack(packed.data, packed.len, &position, &fault), "%s", fault.text);
    control_free(frame);
    return position;
}

Test(session, gives_positions_that_can_be_lowered_while_they_wait_but_for_a_beginning) {
    struct world world;
    struct stream stream = {.length = 0};
    struct position position = {.count = 2, .logs = {{.next = 50}, {.next = 60, .number = 1}}};
    struct session_gap gap = {
        .log = 1, .from = 3, .to = 9, .reason = ROUNDHOUSE__V1__GAP__REASON__REASON_SLOW};
    world_open(&world);
    session_gap(&world.session, &gap, &position);
    cr_expect(lowered(&world, 55).logs[0].next == 50);
    session_gap(&world.session, &gap, &position);
    cr_expect(lowered(&world, 55).logs[1].next == 55);
    session_subscribed(&world.session, 4, &position);
    cr_expect(lowered(&world, 1).logs[1].next == 60, "a subscription begins where it begins");
    stream_ping(&stream, "where");
    world_receive_all(&world, &stream);
    struct position pong = lowered(&world, 2);
    cr_expect(pong.logs[0].next == 2 && pong.logs[1].next == 2);
    world_stop(&world);
}

Test(session, acknowledges_at_the_level_that_was_asked_for) {
    for (unsigned level = 1; level <= 2; level++) {
        struct world world;
        struct stream stream = {.length = 0};
        world_start(&world);
        world.facts.disk = true;
        stream_hex(&stream, level == 1 ? "1204 0801 1801" : "1204 0801 1802");
        world_receive_all(&world, &stream);
        world_expect(&world, "< connected\n");
        cr_assert(world.session.acks && world.session.disk == (level == 2));
        struct session_exception exceptions[] = {
            {.ordinal = 3, .duplicate_of = 4711},
            {.ordinal = 4, .fault = {RH_CODE_UNKNOWN_OUTCOME, "?", NULL}}};
        session_ack(&world.session, 5, exceptions, 2);
        Roundhouse__V1__Frame *frame = world_told(&world);
        const Roundhouse__V1__PublishAck *ack = frame->publish_ack;
        cr_assert(ack->through == 5 && ack->level == level && ack->n_exceptions == 2);
        cr_assert(ack->exceptions[0]->ordinal == 3 &&
                  ack->exceptions[0]->outcome_case == ROUNDHOUSE__V1__ACK_EXCEPTION__OUTCOME_DUPLICATE_OF &&
                  ack->exceptions[0]->duplicate_of == 4711);
        cr_assert(ack->exceptions[1]->ordinal == 4 &&
                  ack->exceptions[1]->error->code == ROUNDHOUSE__V1__ERROR_CODE__ERROR_CODE_UNKNOWN_OUTCOME);
        control_free(frame);
        world_stop(&world);
    }
    LEAKS_NONE();
}

Test(session, tells_of_gaps_errors_and_ends) {
    struct world world;
    struct position position = {.count = 1, .logs = {{.next = 10}}};
    struct session_gap gap = {
        .log = 1, .from = 3, .to = 9, .reason = ROUNDHOUSE__V1__GAP__REASON__REASON_SLOW};
    world_open(&world);
    session_gap(&world.session, &gap, &position);
    Roundhouse__V1__Frame *frame = world_told(&world);
    cr_expect(frame->gap->log == 1 && frame->gap->from == 3 && frame->gap->to == 9);
    cr_expect(frame->gap->at_most == 7 && frame->gap->reason == gap.reason);
    control_free(frame);
    session_error(&world.session, &(struct fault){RH_CODE_INVALID, "no", NULL}, 3, 4);
    session_error(&world.session, &(struct fault){RH_CODE_EXHAUSTED, "full", "patterns"}, 0, 4);
    world_expect(
        &world,
        "< error invalid  ordinal 3 subscription 4\n< error exhausted patterns ordinal 0 subscription 4\n");
    session_unsubscribed(&world.session, 9);
    frame = world_told(&world);
    cr_expect(frame->unsubscribed->id == 9);
    control_free(frame);
    session_goodbye(&world.session, "done", true);
    frame = world_told(&world);
    cr_expect(strcmp(frame->goodbye->reason, "done") == 0 && frame->goodbye->settled);
    control_free(frame);
    world_stop(&world);
    LEAKS_NONE();
}
