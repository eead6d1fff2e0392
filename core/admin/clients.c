/* clients.c: the connections of the admin plane: how many, for how long, and how much they may send ahead. */
#include "core/admin/admin_private.h"
#include "core/base/clock.h"

#include <sys/socket.h>

/* How often open connections are looked at; only while there are some. */
#define TICK_MS 50

/* The listener's own argument belongs to evhttp, so its error callback finds the admin plane by the thread.
 */
static _Thread_local struct admin *admin_of_thread;

void clients_thread(struct admin *admin) {
    admin_of_thread = admin;
}

static void tick_arm(struct admin *admin) {
    const struct timeval time = {.tv_usec = TICK_MS * 1000};
    if (!evtimer_pending(admin->tick, NULL))
        evtimer_add(admin->tick, &time);
}

static bool client_gone(const struct admin_client *client) {
    bufferevent_data_cb read = NULL, write = NULL;
    bufferevent_event_cb event = NULL;
    void *owner = NULL;
    bufferevent_getcb(client->bev, &read, &write, &event, &owner);
    return !read && !write && !event && !owner;
}

static void client_release(struct admin *admin, struct admin_client *client) {
    bufferevent_decref(client->bev);
    admin->input_bytes -= client->input_bytes;
    *client = (struct admin_client){0};
    admin->counters.connections--;
}

/* evhttp sees the end of its stream and frees the connection. The peer is reset: one that still sends would
 * otherwise wait for room in a window that nobody opens again. */
static void client_cut(struct admin *admin, struct admin_client *client) {
    const struct linger reset = {.l_onoff = 1};
    int fd = bufferevent_getfd(client->bev);
    client->cut = true;
    admin->counters.timeouts++;
    if (fd < 0)
        return;
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    (void)shutdown(fd, SHUT_RDWR);
}

/* evhttp bounds headers and bodies, but keeps what comes while it looks for the end of a chunk's length, and
 * what follows a request; and it bounds each alone. (A high water mark is no way out: evhttp would be called
 * for it without end.) */
static void on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg) {
    struct admin *admin = admin_of_thread;
    struct admin_client *client = arg;
    size_t length = evbuffer_get_length(input);
    (void)info;
    admin->input_bytes += length - client->input_bytes;
    client->input_bytes = length;
    if (length <= ADMIN_INPUT_BYTES_MAX &&
        (admin->input_bytes <= ADMIN_INPUT_BYTES_ALL_MAX || length <= 2 * ADMIN_HEADER_BYTES_MAX))
        return;
    if (!client->cut)
        client_cut(admin, client);
    evbuffer_drain(input, length);
}

/* Those that evhttp has let go are released, those whose time is over are cut. */
static void clients_sweep(struct admin *admin) {
    uint64_t now = clock_mono_ns();
    for (uint32_t i = 0; i < ADMIN_CONNECTIONS_MAX; i++) {
        struct admin_client *client = &admin->clients[i];
        if (client->bev && client_gone(client))
            client_release(admin, client);
        else if (client->bev && !client->cut && now >= client->deadline_ns)
            client_cut(admin, client);
    }
}

void clients_tick(evutil_socket_t fd, short what, void *arg) {
    struct admin *admin = arg;
    (void)fd;
    (void)what;
    clients_sweep(admin);
    if (admin->counters.connections < ADMIN_CONNECTIONS_MAX)
        evconnlistener_enable(admin->listener);
    if (admin->counters.connections > 0)
        tick_arm(admin);
}

/* evhttp asks for the bufferevent of a connection that it has just accepted, and gives it the descriptor
 * after this. */
struct bufferevent *clients_connection(struct event_base *base, void *arg) {
    struct admin *admin = arg;
    struct admin_client *client = admin->clients;
    clients_sweep(admin);
    while (client->bev)
        client++;
    struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);
    if (!bev || !evbuffer_add_cb(bufferevent_get_input(bev), on_input, client)) {
        if (bev)
            bufferevent_free(bev);
        return NULL;
    }
    bufferevent_incref(bev);
    *client = (struct admin_client){.bev = bev, .deadline_ns = clock_mono_ns() + ADMIN_REQUEST_NS_MAX};
    if (++admin->counters.connections == ADMIN_CONNECTIONS_MAX)
        evconnlistener_disable(admin->listener);
    tick_arm(admin);
    return bev;
}

/* Mostly EMFILE: the listener stays readable, so it rests until the next tick. */
void clients_accept_error(struct evconnlistener *listener, void *evhttp) {
    struct admin *admin = admin_of_thread;
    (void)evhttp;
    admin->counters.accept_errors++;
    evconnlistener_disable(listener);
    tick_arm(admin);
}

static struct admin_client *client_of(struct admin *admin, struct evhttp_connection *connection) {
    const struct bufferevent *bev = evhttp_connection_get_bufferevent(connection);
    for (uint32_t i = 0; i < ADMIN_CONNECTIONS_MAX; i++)
        if (bev && admin->clients[i].bev == bev)
            return &admin->clients[i];
    return NULL;
}

void clients_patient(struct admin *admin, struct evhttp_connection *connection, uint64_t ns) {
    struct admin_client *client = client_of(admin, connection);
    if (client)
        client->deadline_ns = clock_mono_ns() + ns;
}

void clients_cut(struct admin *admin, struct evhttp_connection *connection) {
    struct admin_client *client = client_of(admin, connection);
    if (client && !client->cut)
        client_cut(admin, client);
}

void clients_free(struct admin *admin) {
    for (uint32_t i = 0; i < ADMIN_CONNECTIONS_MAX; i++)
        if (admin->clients[i].bev)
            client_release(admin, &admin->clients[i]);
}
