/* A config that is applied is applied as a whole: what can not be had changes nothing, wherever that shows.
 * limits.c is ours here, with an io_listen that can refuse; the linker takes this copy. */
#include "core/io/io.h"

static _Atomic bool listen_refused;

static io_handle listen_maybe(struct io *io, int fd, void *user) {
    return listen_refused ? 0 : io_listen(io, fd, user);
}

#define io_listen listen_maybe
#include "core/shard/limits.c" /* NOLINT */
#undef io_listen

#include "core/cli/serve_config.h"
#include "core/shard/change.h"

#include <criterion/criterion.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <unistd.h>

struct scene {
    struct shards *shards;
    struct serve_config serve;
    struct serve_asked asked;
    struct config config;
    struct config_mistakes mistakes;
    uint16_t port;
    /* of the last wish */
    sem_t done;
    enum config_fate fate;
    char mistake[sizeof((struct config_mistake *)NULL)->text];
    uint32_t listeners; /* that it was told of */
};

static void on_scene_files(void *user) {
    (void)user;
}

static void on_scene_moved(void *user, int listener) {
    struct scene *scene = user;
    scene->listeners += listener >= 0;
}

static void on_scene_done(void *answer, const struct config_outcome *outcome) {
    struct scene *scene = answer;
    scene->fate = outcome->fate;
    (void)snprintf(scene->mistake, sizeof scene->mistake, "%s",
                   outcome->mistakes.count > 0 ? outcome->mistakes.list[0].text : "");
    sem_post(&scene->done);
}

static struct scene *scene_new(void) {
    static const char text[] = "shards: 1\nlogs: { data: 1MiB, records: 1024 }\nlimits: { frame: 65KiB }\n"
                               "listen: { native: \"127.0.0.1:0\", admin: off, ingest: off }\n";
    struct scene *scene = calloc(1, sizeof *scene);
    char error[200] = "", native[CONFIG_ADDRESS_MAX];
    cr_assert(scene != NULL && sem_init(&scene->done, 0, 0) == 0);
    cr_assert(config_parse(&scene->config, text, strlen(text), &scene->mistakes), "%s",
              scene->mistakes.list[0].text);
    const struct config *config = &scene->config;
    int listener = io_listen_socket(config->listen_native, &scene->port);
    cr_assert_geq(listener, 0);
    const struct shards_config shards = {.count = 1,
                                         .slots = config->slots,
                                         .body = IO_BODY_EPOLL,
                                         .log_data_bytes = config->log_data_bytes,
                                         .log_records = config->log_records,
                                         .frame_bytes = config->limits.frame_bytes,
                                         .connections = config->limits.connections,
                                         .subscriptions = config->limits.subscriptions,
                                         .topics = config->limits.topics,
                                         .handshake_ns = config->limits.handshake_ns,
                                         .block_ns = config->limits.block_ns,
                                         .private_bytes = config->limits.private_bytes,
                                         .server = "test"};
    cr_assert_eq(shards_create(&scene->shards, &shards, listener, error), 0, "%s", error);
    cr_assert_eq(shards_start(scene->shards, error), 0, "%s", error);
    (void)snprintf(native, sizeof native, "127.0.0.1:%u", scene->port);
    const struct serve_config_parts parts = {.asked = &scene->asked,
                                             .config = config,
                                             .shards = scene->shards,
                                             .native = native,
                                             .files = on_scene_files,
                                             .moved = on_scene_moved,
                                             .user = scene};
    cr_assert_eq(serve_config_start(&scene->serve, &parts), 0);
    return scene;
}

static void scene_free(struct scene *scene) {
    serve_config_stop(&scene->serve);
    (void)shards_stop(scene->shards);
    shards_destroy(scene->shards);
    sem_destroy(&scene->done);
    free(scene);
}

/* What becomes of these keys over what runs. */
static enum config_fate want(struct scene *scene, const char *text) {
    const struct admin_configs *configs = serve_config_admin(&scene->serve);
    const struct admin_wish wish = {.text = text, .length = strlen(text), .partial = true};
    cr_assert_eq(configs->want(configs->user, &wish, on_scene_done, scene), 0,
                 "who has been answered may ask for the next one");
    while (sem_wait(&scene->done) != 0)
        continue;
    return scene->fate;
}

static bool reached(uint16_t port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool taken = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return taken;
}

/* A port that is free; nobody else is told of it, but it can be taken. */
static uint16_t port_free(void) {
    uint16_t port;
    int fd = io_listen_socket("127.0.0.1:0", &port);
    cr_assert_geq(fd, 0);
    close(fd);
    return port;
}

static void expect_as_it_was(const struct scene *scene) {
    uint8_t slots[SLOT_COUNT];
    shards_slots(scene->shards, slots);
    cr_expect(memcmp(slots, scene->config.slots, sizeof slots) == 0, "no slot has moved");
    cr_expect_eq(shards_active(scene->shards), 1);
    cr_expect(reached(scene->port));
    cr_expect_eq(scene->listeners, 0);
}

Test(serve_config, a_listener_that_can_not_be_had_leaves_the_sharding_as_it_was, .timeout = 60) {
    struct scene *scene = scene_new();
    char text[100];
    (void)snprintf(text, sizeof text, "shards: 2\nlisten: { native: \"127.0.0.1:%u\" }\n", port_free());
    listen_refused = true;
    cr_expect_eq(want(scene, text), CONFIG_WRONG);
    cr_expect(strstr(scene->mistake, "listen.native: there is no memory left") != NULL, "%s", scene->mistake);
    expect_as_it_was(scene);
    listen_refused = false;
    cr_expect_eq(want(scene, text), CONFIG_APPLIED, "%s", scene->mistake);
    cr_expect(shards_active(scene->shards) == 2 && scene->listeners == 1);
    scene_free(scene);
}

Test(serve_config, a_sharding_that_can_not_be_had_leaves_the_listener_as_it_was, .timeout = 60) {
    struct scene *scene = scene_new();
    uint16_t port = port_free();
    char text[100];
    (void)snprintf(text, sizeof text, "shards: 2\nlisten: { native: \"127.0.0.1:%u\" }\n", port);
    uint16_t epoch = scene->shards->epoch;
    scene->shards->epoch = UINT16_MAX; /* no more changes can be told by a sequence */
    cr_expect_eq(want(scene, text), CONFIG_WRONG);
    cr_expect(strstr(scene->mistake, "shards: ") != NULL, "%s", scene->mistake);
    expect_as_it_was(scene);
    while (reached(port)) /* it is closed in a turn of the worker */
        continue;
    scene->shards->epoch = epoch;
    cr_expect_eq(want(scene, text), CONFIG_APPLIED, "%s", scene->mistake);
    cr_expect(shards_active(scene->shards) == 2 && scene->listeners == 1 && reached(port));
    scene_free(scene);
}

Test(serve_config, where_keys_are_from_stays_as_it_was_for_those_that_a_part_leaves_out, .timeout = 60) {
    struct scene *scene = scene_new();
    const struct admin_configs *configs = serve_config_admin(&scene->serve);
    static struct config found;
    char path[PATH_MAX];
    cr_expect_eq(want(scene, "limits: { idle: 5m }\n\nshards: 2\n"), CONFIG_APPLIED);
    configs->show(configs->user, &found, path);
    const struct {
        const char *key;
        enum config_from from;
        uint32_t line;
    } wanted[] = {{"limits.idle", CONFIG_FROM_APPLIED, 1}, {"shards", CONFIG_FROM_APPLIED, 3},
                  {"limits.frame", CONFIG_FROM_FILE, 3},   {"listen.native", CONFIG_FROM_FILE, 4},
                  {"logs.data", CONFIG_FROM_FILE, 2},      {"limits.block", CONFIG_FROM_DEFAULT, 0}};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct config_origin origin = config_origin_of(&found, config_row_find(wanted[i].key));
        cr_expect(origin.from == wanted[i].from && origin.line == wanted[i].line, "%s: from %s, line %u",
                  wanted[i].key, config_from_name(origin.from), origin.line);
    }
    scene_free(scene);
}
