#include "tests/unit/core/client/fake.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FAKE_BYTES ((size_t)4 << 20)

static struct sockaddr_in fake_loopback(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return address;
}

void fake_start(struct fake *fake) {
    struct sockaddr_in address = fake_loopback();
    socklen_t length = sizeof address;
    *fake = (struct fake){.socket = -1, .instance = 1, .frame_bytes_max = 1 << 20};
    fake->bytes = malloc(FAKE_BYTES);
    fake->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    cr_assert(fake->bytes != NULL && fake->listener >= 0);
    cr_assert(bind(fake->listener, (const struct sockaddr *)&address, length) == 0);
    cr_assert(listen(fake->listener, 16) == 0);
    cr_assert(getsockname(fake->listener, (struct sockaddr *)&address, &length) == 0);
    (void)snprintf(fake->address, sizeof fake->address, "127.0.0.1:%u", ntohs(address.sin_port));
}

void fake_stop(struct fake *fake) {
    fake_hang_up(fake, false);
    (void)close(fake->listener);
    free(fake->bytes);
    fake->bytes = NULL;
}

bool fake_accept(struct fake *fake) {
    int made = accept4(fake->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (made < 0)
        return false;
    fake_hang_up(fake, false);
    fake->socket = made;
    fake->start = fake->end = 0;
    return true;
}

void fake_hang_up(struct fake *fake, bool reset) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    if (fake->socket < 0)
        return;
    if (reset)
        cr_assert(setsockopt(fake->socket, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
    (void)close(fake->socket);
    fake->socket = -1;
}

/* ---- in ---- */

static bool fake_take(struct fake *fake, struct wire_frame *frame) {
    struct fault fault = {.text = ""};
    enum wire_result result =
        wire_next(fake->bytes + fake->start, fake->end - fake->start, FAKE_BYTES, frame, &fault);
    cr_assert(result != WIRE_BAD, "the client sent what is not the protocol: %s", fault.text);
    if (result == WIRE_OK)
        fake->start += frame->size;
    return result == WIRE_OK;
}

static void fake_receive(struct fake *fake) {
    if (fake->socket < 0)
        return;
    memmove(fake->bytes, fake->bytes + fake->start, fake->end - fake->start);
    fake->end -= fake->start;
    fake->start = 0;
    ssize_t count = recv(fake->socket, fake->bytes + fake->end, FAKE_BYTES - fake->end, MSG_DONTWAIT);
    if (count > 0)
        fake->end += (size_t)count;
}

static void fake_step(rh_client *client) {
    (void)rh_process(client);
    int wait = rh_timeout_ms(client);
    struct pollfd ready = {.fd = rh_fd(client), .events = rh_events(client)};
    (void)poll(&ready, 1, wait == 0 ? 0 : 1);
}

static struct wire_frame fake_find(struct fake *fake, rh_client *client, enum wire_kind kind) {
    struct wire_frame frame;
    for (int step = 0; step < FAKE_STEPS_MAX; step++) {
        while (fake_take(fake, &frame)) {
            if (frame.kind == kind)
                return frame;
            cr_assert(frame.kind == WIRE_PING, "the client sent frame kind %d instead of %d", (int)frame.kind,
                      (int)kind);
        }
        fake_step(client);
        fake_receive(fake);
    }
    cr_assert(false, "the client sent no frame of kind %d; it says: %s", (int)kind, rh_client_error(client));
    return frame;
}

fake_frame *fake_expect(struct fake *fake, rh_client *client, enum wire_kind kind) {
    struct wire_frame frame = fake_find(fake, client, kind);
    struct fault fault = {.text = ""};
    fake_frame *unpacked = control_unpack(&frame, &fault);
    cr_assert(unpacked != NULL, "the client sent a bad frame: %s", fault.text);
    return unpacked;
}

struct wire_event fake_expect_event(struct fake *fake, rh_client *client) {
    struct wire_frame frame = fake_find(fake, client, WIRE_EVENT);
    struct wire_event event = {0};
    uint64_t sequence = 0;
    wire_record_read(frame.start, (uint32_t)frame.size, &sequence, &event);
    cr_assert(sequence != 0, "a publisher is asked to write some sequence");
    return event;
}

void fake_await(struct fake *fake, rh_client *client) {
    for (int step = 0; !fake_accept(fake); step++) {
        cr_assert(step < FAKE_STEPS_MAX, "the client does not connect; it says: %s", rh_client_error(client));
        fake_step(client);
    }
}

int fake_handshake(struct fake *fake, rh_client *client) {
    fake_await(fake, client);
    fake_frame *frame = fake_expect(fake, client, WIRE_CONNECT);
    cr_assert(frame->connect->version == 1);
    int ack = (int)frame->connect->ack;
    control_free(frame);
    fake_connected(fake);
    for (int step = 0; rh_client_state(client) != RH_STATE_CONNECTED; step++) {
        cr_assert(step < FAKE_STEPS_MAX);
        fake_step(client);
    }
    return ack;
}

/* ---- out ---- */

void fake_send_bytes(struct fake *fake, const void *bytes, size_t count) {
    cr_assert(send(fake->socket, bytes, count, MSG_NOSIGNAL) == (ssize_t)count);
}

void fake_send(struct fake *fake, const fake_frame *frame) {
    uint8_t *bytes = malloc(control_size(frame));
    cr_assert(bytes != NULL);
    fake_send_bytes(fake, bytes, control_pack(frame, bytes));
    free(bytes);
}

void fake_connected(struct fake *fake) {
    uint8_t instance[16];
    memset(instance, fake->instance, sizeof instance);
    Roundhouse__V1__Connected connected = ROUNDHOUSE__V1__CONNECTED__INIT;
    connected.version = 1;
    connected.instance = (ProtobufCBinaryData){sizeof instance, instance};
    connected.frame_bytes_max = fake->frame_bytes_max;
    fake_send(fake, &(fake_frame){.base = PROTOBUF_C_MESSAGE_INIT(&roundhouse__v1__frame__descriptor),
                                  .body_case = ROUNDHOUSE__V1__FRAME__BODY_CONNECTED,
                                  .connected = &connected});
}

static ProtobufCBinaryData fake_text(const char *text) {
    union {
        const char *in;
        uint8_t *out;
    } bytes = {.in = text};
    return (ProtobufCBinaryData){strlen(text), bytes.out};
}

void fake_subscribed(struct fake *fake, uint64_t id, const char *position) {
    Roundhouse__V1__Subscribed subscribed = ROUNDHOUSE__V1__SUBSCRIBED__INIT;
    subscribed.id = id;
    subscribed.position = fake_text(position);
    fake_frame frame = ROUNDHOUSE__V1__FRAME__INIT;
    frame.body_case = ROUNDHOUSE__V1__FRAME__BODY_SUBSCRIBED;
    frame.subscribed = &subscribed;
    fake_send(fake, &frame);
}

void fake_pong(struct fake *fake, const char *position) {
    Roundhouse__V1__Pong pong = ROUNDHOUSE__V1__PONG__INIT;
    pong.position = fake_text(position);
    fake_frame frame = ROUNDHOUSE__V1__FRAME__INIT;
    frame.body_case = ROUNDHOUSE__V1__FRAME__BODY_PONG;
    frame.pong = &pong;
    fake_send(fake, &frame);
}

void fake_event_of(struct fake *fake, const char *topic, uint64_t sequence, const void *event,
                   size_t length) {
    struct wire_event wire = {.topic = (const uint8_t *)topic,
                              .event = event,
                              .topic_length = (uint32_t)strlen(topic),
                              .event_length = (uint32_t)length};
    uint8_t record[2048];
    uint32_t size = wire_record_size(wire.topic_length, wire.event_length);
    cr_assert(size <= sizeof record);
    (void)wire_record_write(record, sequence, &wire);
    fake_send_bytes(fake, record, size);
}

void fake_event(struct fake *fake, const char *topic, uint64_t sequence) {
    fake_event_of(fake, topic, sequence, "event", 5);
}

void fake_context(struct fake *fake, uint64_t subscription, uint64_t delivery) {
    Roundhouse__V1__Context context = ROUNDHOUSE__V1__CONTEXT__INIT;
    context.subscription = subscription;
    context.delivery = delivery;
    context.attempt = subscription != 0;
    context.lease_ms = subscription != 0 ? 30000 : 0;
    fake_frame frame = ROUNDHOUSE__V1__FRAME__INIT;
    frame.body_case = ROUNDHOUSE__V1__FRAME__BODY_CONTEXT;
    frame.context = &context;
    fake_send(fake, &frame);
}

void fake_lease_expired(struct fake *fake, uint64_t subscription, uint64_t delivery) {
    Roundhouse__V1__LeaseExpired expired = ROUNDHOUSE__V1__LEASE_EXPIRED__INIT;
    expired.subscription = subscription;
    expired.delivery = delivery;
    fake_frame frame = ROUNDHOUSE__V1__FRAME__INIT;
    frame.body_case = ROUNDHOUSE__V1__FRAME__BODY_LEASE_EXPIRED;
    frame.lease_expired = &expired;
    fake_send(fake, &frame);
}

static Roundhouse__V1__Error fake_fault(int code) {
    static char text[] = "because", field[] = "topic";
    Roundhouse__V1__Error error = ROUNDHOUSE__V1__ERROR__INIT;
    error.code = (Roundhouse__V1__ErrorCode)code;
    error.text = text;
    error.field = field;
    return error;
}

static void ack_send(struct fake *fake, uint64_t through, Roundhouse__V1__AckException **exceptions,
                     size_t count) {
    Roundhouse__V1__PublishAck ack = ROUNDHOUSE__V1__PUBLISH_ACK__INIT;
    ack.through = through;
    ack.level = ROUNDHOUSE__V1__ACK_LEVEL__ACK_LEVEL_ROUTED;
    ack.n_exceptions = count;
    ack.exceptions = exceptions;
    fake_frame frame = ROUNDHOUSE__V1__FRAME__INIT;
    frame.body_case = ROUNDHOUSE__V1__FRAME__BODY_PUBLISH_ACK;
    frame.publish_ack = &ack;
    fake_send(fake, &frame);
}

void fake_ack(struct fake *fake, uint64_t through, uint64_t refused) {
    Roundhouse__V1__Error error = fake_fault(ROUNDHOUSE__V1__ERROR_CODE__ERROR_CODE_INVALID);
    Roundhouse__V1__AckException exception = ROUNDHOUSE__V1__ACK_EXCEPTION__INIT, *list[1] = {&exception};
    exception.ordinal = refused;
    exception.outcome_case = ROUNDHOUSE__V1__ACK_EXCEPTION__OUTCOME_ERROR;
    exception.error = &error;
    ack_send(fake, through, list, refused != 0);
}

void fake_ack_duplicate(struct fake *fake, uint64_t through, uint64_t sequence) {
    Roundhouse__V1__AckException exception = ROUNDHOUSE__V1__ACK_EXCEPTION__INIT, *list[1] = {&exception};
    exception.ordinal = through;
    exception.outcome_case = ROUNDHOUSE__V1__ACK_EXCEPTION__OUTCOME_DUPLICATE_OF;
    exception.duplicate_of = sequence;
    ack_send(fake, through, list, 1);
}

void fake_error(struct fake *fake, int code, bool fatal, uint64_t ordinal, uint64_t subscription) {
    Roundhouse__V1__Error error = fake_fault(code);
    error.fatal = fatal;
    error.ordinal = ordinal;
    error.subscription = subscription;
    fake_frame frame = ROUNDHOUSE__V1__FRAME__INIT;
    frame.body_case = ROUNDHOUSE__V1__FRAME__BODY_ERROR;
    frame.error = &error;
    fake_send(fake, &frame);
}

void fake_error_of(struct fake *fake, int code, const char *field, uint64_t subscription) {
    char copy[64];
    Roundhouse__V1__Error error = fake_fault(code);
    (void)snprintf(copy, sizeof copy, "%s", field);
    error.field = copy;
    error.subscription = subscription;
    fake_frame frame = ROUNDHOUSE__V1__FRAME__INIT;
    frame.body_case = ROUNDHOUSE__V1__FRAME__BODY_ERROR;
    frame.error = &error;
    fake_send(fake, &frame);
}

void fake_goodbye(struct fake *fake) {
    Roundhouse__V1__Goodbye goodbye = ROUNDHOUSE__V1__GOODBYE__INIT;
    fake_frame frame = ROUNDHOUSE__V1__FRAME__INIT;
    frame.body_case = ROUNDHOUSE__V1__FRAME__BODY_GOODBYE;
    frame.goodbye = &goodbye;
    fake_send(fake, &frame);
}

/* ---- time ---- */

void fake_until(rh_client *client, const int *done) {
    for (int step = 0; !*done; step++) {
        cr_assert(step < FAKE_STEPS_MAX, "it did not come; the client says: %s", rh_client_error(client));
        fake_step(client);
    }
}

void fake_settle(rh_client *client) {
    for (int step = 0; step < 20; step++)
        fake_step(client);
}
