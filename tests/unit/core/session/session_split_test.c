/* A session does the same in every split, and when its host stops it at any call. */
#include "tests/unit/core/session/session_world.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>

/* A conversation with everything in it. */
static void add_conversation(struct stream *stream) {
    stream_connect(stream);
    stream_event(stream, "a.b", WORLD_EVENT);
    stream_subscribe(stream, 5);
    stream_ping(stream, "1");
    stream_event(stream, "a..b", WORLD_EVENT);
    stream_hex(stream, "");
    stream_event(stream, "c", WORLD_EVENT);
    stream_hex(stream, "a20600");
    stream_event(stream, "d", WORLD_NO_EVENT);
    stream_hex(stream, "3202 0805");
    stream_event(stream, "e", WORLD_EVENT "3208 3031323334353637");
    for (unsigned i = 0; i < 3; i++) /* of the same shape as the one before */
        stream_event(stream, "same.shape", i == 1 ? "0a0132 12022f73 1a03312e30 220174" : WORLD_EVENT);
    stream_ping(stream, "2");
    stream_hex(stream, "7a00");
    stream_event(stream, "never", WORLD_EVENT); /* behind the Goodbye */
}

static const char conversation[] = "publish 1 a.b 15\n"
                                   "subscribe 5 a.>\n"
                                   "refused 2 invalid topic\n"
                                   "publish 3 c 15\n"
                                   "refused 4 invalid event.source\n"
                                   "unsubscribe 5\n"
                                   "publish 5 e 25\n"
                                   "publish 6 same.shape 15\n"
                                   "publish 7 same.shape 15\n"
                                   "publish 8 same.shape 15\n"
                                   "goodbye\n"
                                   "< connected\n"
                                   "< pong 1\n"
                                   "< pong 2\n";

Test(session, does_the_same_in_every_split) {
    struct stream stream = {.length = 0};
    add_conversation(&stream);
    for (size_t split = 0; split <= stream.length; split++)
        for (size_t second = split; second <= stream.length; second += 1 + second % 5) {
            struct world world;
            world_start(&world);
            world_receive(&world, stream.bytes, split);
            world_receive(&world, stream.bytes + split, second - split);
            world_receive(&world, stream.bytes + second, stream.length - second);
            world_expect(&world, conversation);
            cr_assert(world.session.state == SESSION_LEAVING && world.conn.in.bytes == NULL);
            world_stop(&world);
        }
    LEAKS_NONE();
}

Test(session, does_the_same_in_pieces_of_any_size) {
    struct stream stream = {.length = 0};
    add_conversation(&stream);
    for (size_t size = 1; size <= stream.length; size++)
        for (uint32_t train = 0; train <= 3; train++) {
            struct world world;
            world_start(&world);
            world.train = train;
            for (size_t at = 0; at < stream.length; at += size)
                world_receive(&world, stream.bytes + at,
                              stream.length - at < size ? stream.length - at : size);
            world_expect(&world, conversation);
            cr_assert(size < stream.length || world.shape.hits == 2, "some were known at a glance");
            cr_assert(size < stream.length || world.trains == (train >= 2 ? 1 : 0));
            cr_assert(world.session.ordinal == 8 && world.session.frames == 16);
            world_stop(&world);
        }
    LEAKS_NONE();
}

/* The host stops at any of its calls; what comes meanwhile is kept; then it goes on. */
static void stop_and_resume(const struct stream *stream, unsigned stop_at, bool park, size_t split,
                            size_t wait) {
    struct world world;
    world_start(&world);
    world.stop_at = stop_at;
    world.stops_by_park = park;
    world_receive(&world, stream->bytes, split);
    if (wait > split) { /* the host goes on while something is still to come */
        world_receive(&world, stream->bytes + split, wait - split);
        if (world.conn.paused != 0)
            world_resume(&world);
        world_receive(&world, stream->bytes + wait, stream->length - wait);
    } else {
        world_receive(&world, stream->bytes + split, stream->length - split);
    }
    if (world.conn.paused != 0)
        world_resume(&world);
    cr_assert(world.host_stops == 1, "it has stopped at call %u", stop_at);
    world_expect(&world, conversation);
    cr_assert(world.session.ordinal == 8 && world.session.frames == 16, "%zu frames",
              (size_t)world.session.frames);
    world_stop(&world);
}

Test(session, loses_and_repeats_nothing_when_it_is_stopped_at_any_call_in_any_split) {
    struct stream stream = {.length = 0};
    add_conversation(&stream);
    for (unsigned stop_at = 1; stop_at <= 10; stop_at++)
        for (unsigned park = 0; park < 2; park++)
            for (size_t split = 0; split <= stream.length; split++) {
                stop_and_resume(&stream, stop_at, park != 0, split, 0);
                stop_and_resume(&stream, stop_at, park != 0, split, split + (stream.length - split) / 2);
            }
    LEAKS_NONE();
}

Test(session, gives_a_parked_event_again_with_the_same_ordinal) {
    struct world world;
    struct stream stream = {.length = 0};
    world_open(&world);
    stream_event(&stream, "a", WORLD_EVENT);
    stream_event(&stream, "b", WORLD_EVENT);
    world.stop_at = 1;
    world.stops_by_park = true;
    world_receive_all(&world, &stream);
    cr_assert(world.session.ordinal == 0 && world.session.frames == 1);
    cr_assert(input_length(&world.conn.in) == stream.length, "all of it waits");
    world_receive_all(&world, &stream);
    cr_assert(input_length(&world.conn.in) == 2 * stream.length);
    world_expect(&world, "");
    world.stop_at = 3; /* it is parked once more, at the second event */
    world_resume(&world);
    world_expect(&world, "publish 1 a 15\n");
    cr_assert(input_length(&world.conn.in) == 2 * stream.length - stream.length / 2);
    world_resume(&world);
    world_expect(&world, "publish 2 b 15\npublish 3 a 15\npublish 4 b 15\n");
    cr_assert(input_length(&world.conn.in) == 0);
    world_resume(&world);
    world_stop(&world);
}

Test(session, survives_every_corrupt_byte_of_a_conversation) {
    struct stream stream = {.length = 0};
    add_conversation(&stream);
    for (size_t at = 0; at < stream.length; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            struct world world;
            world_start(&world);
            stream.bytes[at] ^= (uint8_t)(1u << bit);
            world_receive_all(&world, &stream);
            stream.bytes[at] ^= (uint8_t)(1u << bit);
            world_take(&world);
            world_stop(&world);
        }
    LEAKS_NONE();
}
