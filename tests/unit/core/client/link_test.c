/* Connections of the client library that do not come about as they should, and a send buffer that is full. */
#include "core/client/link.h"
#include "tests/unit/core/client/fake.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- what the C library and the kernel answer, where a test wants it ---- */

static struct sockaddr_in addresses[2];
static struct addrinfo infos[2];
static unsigned infos_count; /* 0: no name is known */
static int epoll_error;      /* what adding to an epoll fails with; 0 = it works */

int getaddrinfo(const char *host, const char *port, const struct addrinfo *wanted, struct addrinfo **list) {
    (void)host;
    (void)port;
    if (infos_count == 0 || (wanted->ai_flags & AI_NUMERICHOST) != 0)
        return EAI_NONAME;
    for (unsigned i = 0; i < infos_count && i < 2; i++)
        infos[i] = (struct addrinfo){.ai_family = AF_INET,
                                     .ai_socktype = SOCK_STREAM,
                                     .ai_addr = (struct sockaddr *)&addresses[i],
                                     .ai_addrlen = sizeof addresses[i],
                                     .ai_next = i == 0 && infos_count == 2 ? &infos[1] : NULL};
    *list = infos;
    return 0;
}

void freeaddrinfo(struct addrinfo *list) {
    (void)list;
}

int epoll_ctl(int poller, int operation, int file, struct epoll_event *event) {
    if (operation == EPOLL_CTL_ADD && epoll_error != 0) {
        errno = epoll_error;
        return -1;
    }
    return (int)syscall(SYS_epoll_ctl, poller, operation, file, event);
}

static void address_of(int listener, struct sockaddr_in *address) {
    socklen_t length = sizeof *address;
    cr_assert(getsockname(listener, (struct sockaddr *)address, &length) == 0);
}

/* A listener whose queue is full, so that the kernel leaves further connections without an answer. */
struct deaf {
    int listener;
    int filler[16];
    int count;
};

static void deaf_start(struct deaf *deaf, struct sockaddr_in *address) {
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *deaf = (struct deaf){.listener = socket(AF_INET, SOCK_STREAM, 0)};
    cr_assert(bind(deaf->listener, (struct sockaddr *)address, sizeof *address) == 0);
    cr_assert(listen(deaf->listener, 0) == 0);
    address_of(deaf->listener, address);
    for (;;) {
        cr_assert(deaf->count < 16, "the queue does not become full");
        int made = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        deaf->filler[deaf->count++] = made;
        struct pollfd ready = {.fd = made, .events = POLLOUT};
        (void)connect(made, (struct sockaddr *)address, sizeof *address);
        if (poll(&ready, 1, 100) == 0)
            return;
    }
}

static void deaf_stop(struct deaf *deaf) {
    while (deaf->count > 0)
        (void)close(deaf->filler[--deaf->count]);
    (void)close(deaf->listener);
}

static rh_client *client_new(rh_options options) {
    const char *error = "";
    rh_client *client = rh_client_new(&options, &error);
    cr_assert(client != NULL, "%s", error);
    return client;
}

static char connected_why[128]; /* what was said with the last RH_STATE_CONNECTED */
static int waited;              /* how often a client had to wait before it connects again */

static void on_state(void *user, enum rh_state state, const char *why) {
    (void)user;
    waited += state == RH_STATE_WAITING;
    if (state == RH_STATE_CONNECTED)
        (void)snprintf(connected_why, sizeof connected_why, "%s", why);
}

/* ---- addresses ---- */

Test(link, goes_on_to_the_next_address_when_one_does_not_answer) {
    struct fake fake;
    struct deaf deaf;
    fake_start(&fake);
    deaf_start(&deaf, &addresses[0]);
    address_of(fake.listener, &addresses[1]);
    infos_count = 2;
    rh_client *client = client_new((rh_options){
        .server = "two.example:1", .connect_timeout_ms = 600, .callbacks = {.on_state = on_state}});
    fake_handshake(&fake, client);
    cr_assert(waited == 0, "one try tries both");
    rh_client_free(client);
    deaf_stop(&deaf);
    fake_stop(&fake);
}

Test(link, says_when_it_has_come_to_another_run_of_the_server) {
    struct fake fake;
    fake_start(&fake);
    address_of(fake.listener, &addresses[0]);
    infos_count = 1;
    rh_client *client =
        client_new((rh_options){.server = "one.example:1", .callbacks = {.on_state = on_state}});
    for (int i = 0; i < 2; i++) {
        (void)snprintf(connected_why, sizeof connected_why, "nothing was said");
        fake_handshake(&fake, client);
        cr_expect_str_eq(connected_why, "", "the first run, and the same again");
        fake_hang_up(&fake, false);
    }
    fake.instance = 2;
    fake_handshake(&fake, client);
    cr_expect(strstr(connected_why, "another run of the server") != NULL, "%s", connected_why);
    rh_client_free(client);
    fake_stop(&fake);
}

Test(link, gives_up_when_no_address_answers) {
    struct deaf deaf;
    deaf_start(&deaf, &addresses[0]);
    addresses[1] = addresses[0];
    infos_count = 2;
    rh_client *client =
        client_new((rh_options){.server = "two.example:1", .connect_timeout_ms = 40, .reconnect_off = true});
    cr_assert(rh_wait_connected(client, 5000) == RH_UNREACHABLE);
    cr_assert(strstr(rh_client_error(client), "no connection to two.example port 1: ") != NULL);
    rh_client_free(client);
    deaf_stop(&deaf);
}

Test(link, says_when_a_name_is_not_known) {
    rh_client *client = client_new((rh_options){.server = "nobody.example:1", .reconnect_off = true});
    cr_assert(rh_wait_connected(client, 5000) == RH_UNREACHABLE);
    cr_assert(strstr(rh_client_error(client), "nobody.example") != NULL);
    rh_client_free(client);
    LEAKS_NONE();
}

Test(link, says_which_port_does_not_answer_as_a_router) {
    struct fake fake;
    fake_start(&fake);
    address_of(fake.listener, &addresses[0]);
    infos_count = 1;
    rh_client *client =
        client_new((rh_options){.server = "web.example:80", .connect_timeout_ms = 20, .reconnect_off = true});
    cr_assert(rh_wait_connected(client, 5000) == RH_UNREACHABLE);
    cr_assert(strstr(rh_client_error(client), "web.example port 80 took the connection") != NULL, "%s",
              rh_client_error(client));
    rh_client_free(client);
    fake_stop(&fake);
}

Test(link, tries_again_when_the_kernel_has_no_room_for_a_watch) {
    struct fake fake;
    fake_start(&fake);
    address_of(fake.listener, &addresses[0]);
    infos_count = 1;
    rh_client *client = client_new((rh_options){.server = "one.example:1"});
    epoll_error = ENOSPC;
    cr_assert(rh_wait_connected(client, 0) == RH_TIMEOUT);
    cr_assert(rh_client_state(client) == RH_STATE_WAITING);
    epoll_error = 0;
    cr_assert(fake_accept(&fake), "the first connection has been made, and given up");
    fake_handshake(&fake, client);
    rh_client_free(client);
    fake_stop(&fake);
    LEAKS_NONE();
}

/* ---- a server that is wrong ---- */

static bool refuse_resend(void *user, uint64_t unacknowledged) {
    (void)user;
    (void)unacknowledged;
    return false;
}

Test(link, takes_no_answer_to_a_connect_that_it_has_not_sent) {
    struct fake fake;
    fake_start(&fake);
    rh_client *client = client_new(
        (rh_options){.server = fake.address, .ack = RH_ACK_ROUTED, .callbacks.on_resend = refuse_resend});
    address_of(fake.listener, &addresses[0]);
    infos_count = 1;
    fake_handshake(&fake, client);
    cr_assert(rh_publish(client, "a", 1, (const uint8_t *)"event", 5) == 1);
    (void)fake_expect_event(&fake, client);
    fake_hang_up(&fake, false);
    fake_await(&fake, client);
    fake_connected(&fake); /* the client has not even looked whether its connection stands */
    cr_assert(rh_client_state(client) == RH_STATE_CONNECTING);
    cr_assert(rh_process(client) == RH_OK);
    cr_assert(rh_client_state(client) == RH_STATE_WAITING);
    cr_assert(strstr(rh_client_error(client), "Connected before it had our Connect") != NULL);
    fake_handshake(&fake, client);
    rh_client_free(client);
    fake_stop(&fake);
    LEAKS_NONE();
}

static void on_event(void *user, uint64_t subscription, const rh_event *event) {
    (void)user;
    (void)subscription;
    cr_assert(event->topic_length > 0 && event->event_length > 0);
}

Test(link, takes_no_event_with_an_empty_topic) {
    struct fake fake;
    const char *patterns[] = {"a", "b"};
    fake_start(&fake);
    address_of(fake.listener, &addresses[0]);
    infos_count = 1;
    rh_client *client = client_new((rh_options){.server = fake.address, .callbacks.on_event = on_event});
    cr_assert(rh_subscribe(client, &patterns[0], 1, RH_SLOW_SKIP) == 1);
    cr_assert(rh_subscribe(client, &patterns[1], 1, RH_SLOW_SKIP) == 2);
    fake_handshake(&fake, client);
    fake_event(&fake, "", 1);
    while (rh_client_state(client) == RH_STATE_CONNECTED)
        cr_assert(rh_run(client, 1) == RH_OK);
    cr_assert(strstr(rh_client_error(client), "an event without topic") != NULL);
    rh_client_free(client);
    fake_stop(&fake);
}

/* ---- a full buffer ---- */

static int writable;

static void on_writable(void *user) {
    (void)user;
    writable++;
}

Test(link, tells_of_room_only_when_the_event_that_had_none_fits) {
    struct fake fake;
    uint8_t event[1400] = {1};
    fake_start(&fake);
    address_of(fake.listener, &addresses[0]);
    infos_count = 1;
    rh_client *client = client_new((rh_options){.server = fake.address,
                                                .ack = RH_ACK_ROUTED,
                                                .send_buffer_bytes = 4096,
                                                .callbacks.on_writable = on_writable});
    fake_handshake(&fake, client);
    cr_assert(rh_publish(client, "a", 1, event, sizeof event) == 1);
    cr_assert(rh_publish(client, "a", 1, event, sizeof event) == 2);
    cr_assert(rh_publish(client, "a", 1, event, sizeof event) == RH_FULL, "a quarter is free, no more");
    fake_settle(client);
    cr_assert(writable == 0);
    fake_ack(&fake, 1, 0);
    fake_until(client, &writable);
    cr_assert(rh_publish(client, "a", 1, event, sizeof event) == 3);
    rh_client_free(client);
    fake_stop(&fake);
}

Test(link, watches_for_room_as_soon_as_a_publish_has_filled_the_socket) {
    struct fake fake;
    static uint8_t event[64 << 10];
    fake_start(&fake);
    address_of(fake.listener, &addresses[0]);
    infos_count = 1;
    rh_client *client = client_new(
        (rh_options){.server = fake.address, .send_buffer_bytes = 64 << 20, .ping_interval_ms = 1000000});
    fake_handshake(&fake, client);
    while (!client->blocked)
        cr_assert(rh_publish(client, "a", 1, event, sizeof event) > 0, "the socket takes all of it");
    struct pollfd ready = {.fd = rh_fd(client), .events = rh_events(client)};
    cr_assert(poll(&ready, 1, 0) == 0);
    static uint8_t sink[1 << 20];
    for (int quiet = 0; quiet < 3;) /* until the kernel's buffers are empty */
        quiet = recv(fake.socket, sink, sizeof sink, MSG_DONTWAIT) > 0 || usleep(10000) != 0 ? 0 : quiet + 1;
    cr_assert(poll(&ready, 1, 10000) == 1, "the program's own loop is woken");
    rh_client_free(client);
    fake_stop(&fake);
}
