/* The outbox of a directory: names, whole files, the same event once, and directories that can not be used.
 */
#include "codecs/event/compose.h"
#include "codecs/event/fields.h"
#include "codecs/event/identity.h"
#include "core/base/logfmt.h"
#include "core/transport/directory.h"
#include "core/transport/file_name.h"
#include "tests/unit/core/transport/inbound_double.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HASH UINT64_C(0x0123456789abcdef)

struct event_of {
    const char *id, *type, *subject, *contenttype, *sequence;
};

/* A serialized event. */
static uint8_t *event_make(const struct event_of *of, size_t *length) {
    struct bytes event = {0};
    struct fault fault;
    uint8_t *out;
    bytes_field(&event, EVENT_ID, of->id, strlen(of->id));
    bytes_field(&event, EVENT_SOURCE, "/shop", 5);
    bytes_field(&event, EVENT_SPEC_VERSION, "1.0", 3);
    bytes_field(&event, EVENT_TYPE, of->type, strlen(of->type));
    if (of->subject != NULL)
        compose_attribute(&event, "subject", VALUE_STRING, of->subject, strlen(of->subject));
    if (of->contenttype != NULL)
        compose_attribute(&event, "datacontenttype", VALUE_STRING, of->contenttype, strlen(of->contenttype));
    if (of->sequence != NULL)
        compose_attribute(&event, "sequence", VALUE_STRING, of->sequence, strlen(of->sequence));
    compose_time(&event, "time", 1795811400, 0);
    cr_assert(compose_done(&event, &out, length, &fault));
    return out;
}

/* ---- names ---- */

static const char *name_of(const char *template, const struct event_of *of) {
    static char name[FILE_NAME_BYTES];
    size_t length;
    char why[256];
    uint8_t *event = event_make(of, &length);
    cr_assert(file_name_check(template, why, sizeof why), "%s", why);
    file_name_make(template, event, length, "erp.order", 9, HASH, name);
    free(event);
    return name;
}

Test(outbox, names_are_made_from_what_the_event_says) {
    const struct event_of of = {"id-1", "order.created", "4711", "application/json; charset=utf-8", "42"};
    cr_assert_str_eq(name_of("{type}-{hash}.{ext}", &of), "order.created-0123456789abcdef.json");
    cr_assert_str_eq(name_of("{subject}_{seq}.edi", &of), "4711_42-0123456789abcdef.edi");
    cr_assert_str_eq(name_of("{time}{hash}", &of), "20261127T203000Z0123456789abcdef");
    cr_assert_str_eq(name_of("{topic} {id} {source}", &of), "erp.order id-1 _shop-0123456789abcdef");
    cr_assert_str_eq(name_of("{hash}", &of), "0123456789abcdef");
}

Test(outbox, extensions_are_by_content_type) {
    const char *const types[][2] = {{"application/json", "json"},
                                    {"application/cloudevents+json", "json"},
                                    {"application/edifact", "edi"},
                                    {"application/EDI-X12", "x12"},
                                    {"application/xml", "xml"},
                                    {"application/vnd.ubl+xml", "xml"},
                                    {"text/csv;header=true", "csv"},
                                    {"text/plain", "txt"},
                                    {"application/protobuf", "pb"},
                                    {"image/png", "bin"},
                                    {"application/octet-stream;name=csv", "bin"}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const struct event_of of = {.id = "1", .type = "t", .contenttype = types[i][0]};
        cr_assert_str_eq(name_of("{hash}.{ext}", &of) + 17, types[i][1], "%s", types[i][0]);
    }
    const struct event_of none = {.id = "1", .type = "t"};
    cr_assert_str_eq(name_of("{hash}.{ext}", &none) + 17, "bin");
    cr_assert_str_eq(name_of("{subject}-{seq}-{hash}", &none), "none-none-0123456789abcdef");
}

Test(outbox, no_value_can_break_out_of_its_name) {
    char long_id[1000];
    memset(long_id, 'x', sizeof long_id);
    long_id[999] = '\0';
    const struct event_of nasty = {
        .id = "../../etc/passwd", .type = "...", .subject = "a/b\\c:d*e?\"<>|\xc3\xa9 "};
    cr_assert_str_eq(name_of("{type}{id}-{hash}", &nasty), "_...._.._etc_passwd-0123456789abcdef");
    cr_assert_str_eq(name_of("{subject}{hash}", &nasty), "a_b_c_d_e________0123456789abcdef");
    const struct event_of longest = {.id = long_id, .type = long_id, .subject = long_id};
    const char *name = name_of("{hash}{id}{type}{subject}", &longest);
    cr_assert(strlen(name) < FILE_NAME_BYTES && strncmp(name, "0123456789abcdef", 16) == 0);
}

Test(outbox, what_tells_two_names_apart_is_never_cut) {
    static const char *const templates[] = {
        "{type}-{subject}-{id}-{hash}.edi", "{type}-{subject}-{id}.edi",
        "{time}{time}{time}{time}{time}{time}{time}{time}{time}{time}{time}{time}{time}"};
    char text[200];
    memset(text, 'x', sizeof text);
    text[199] = '\0';
    const struct event_of longest = {.id = text, .type = text, .subject = text};
    for (size_t i = 0; i < sizeof templates / sizeof *templates; i++) {
        const char *name = name_of(templates[i], &longest);
        cr_assert(strlen(name) < FILE_NAME_BYTES);
        cr_assert_not_null(strstr(name, i < 2 ? "-0123456789abcdef.edi" : "-0123456789abcdef"), "%s", name);
    }
}

/* ---- files ---- */

struct world {
    char root[64], outbox[96];
    struct transport_host host;
    struct directory_options options;
    void *transport;
    uint32_t done, retried;
    uint64_t last_done, last_pause;
    char reason[512];
};

static void on_done(void *user, uint64_t delivery) {
    struct world *world = user;
    world->done++;
    world->last_done = delivery;
}

static void on_retry(void *user, uint64_t delivery, uint64_t after_ms, const char *reason) {
    struct world *world = user;
    (void)delivery;
    world->retried++;
    world->last_pause = after_ms;
    (void)snprintf(world->reason, sizeof world->reason, "%s", reason);
}

static struct world *world_new(void) {
    struct world *world = calloc(1, sizeof *world);
    char why[256];
    logfmt_level_set((enum logfmt_level)(LOGFMT_ERROR + 1));
    (void)snprintf(world->root, sizeof world->root, "/tmp/rh-outbox-XXXXXX");
    cr_assert_not_null(mkdtemp(world->root));
    (void)snprintf(world->outbox, sizeof world->outbox, "%s/a/out", world->root);
    world->host = (struct transport_host){
        .base = event_base_new(), .name = "ware/house", .user = world, .done = on_done, .retry = on_retry};
    world->host.inbound = double_new(world->host.base);
    world->options = (struct directory_options){
        .outbox = world->outbox, .file_name = "{type}.edi", .retry_ms = 10, .retry_most_ms = 25};
    world->transport = directory_transport.start(&world->host, &world->options, why, sizeof why);
    cr_assert_not_null(world->transport, "%s", why);
    return world;
}

static void world_free(struct world *world) {
    char command[96];
    directory_transport.stop(world->transport);
    double_free(world->host.inbound);
    event_base_free(world->host.base);
    (void)snprintf(command, sizeof command, "rm -rf %s", world->root);
    cr_assert(system(command) == 0);
    free(world);
    LEAKS_NONE();
}

static void deliver(struct world *world, uint64_t delivery, const char *id, const char *data) {
    const struct event_of of = {.id = id, .type = "order"};
    struct outgoing out = {.delivery = delivery, .attempt = 1, .topic = "t", .topic_length = 1};
    uint8_t *event = event_make(&of, &out.event_length);
    out.event = event;
    out.data = (const uint8_t *)data;
    out.data_length = strlen(data);
    directory_transport.deliver(world->transport, &out);
    free(event);
}

static void turn(struct world *world) {
    for (int i = 0; i < 5; i++)
        cr_assert(event_base_loop(world->host.base, EVLOOP_NONBLOCK) >= 0);
}

/* Files whose names are whole, and hidden ones. */
static uint32_t files(const struct world *world, bool hidden) {
    uint32_t count = 0;
    DIR *entries = opendir(world->outbox);
    if (entries == NULL)
        return 0;
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;)
        count += entry->d_type == DT_REG && (entry->d_name[0] == '.') == hidden;
    (void)closedir(entries);
    return count;
}

Test(outbox, a_delivery_is_done_when_its_file_is_there) {
    struct world *world = world_new();
    deliver(world, 1, "one", "first");
    cr_assert(world->done == 0 && files(world, false) == 0 && files(world, true) == 1);
    turn(world);
    cr_assert(world->done == 1 && files(world, false) == 1 && files(world, true) == 0);
    deliver(world, 2, "one", "first"); /* after a crash that lost the answer */
    turn(world);
    cr_assert(world->done == 2 && files(world, false) == 1, "the same event is the same file");
    deliver(world, 3, "two", "first");
    turn(world);
    cr_assert(world->done == 3 && files(world, false) == 2, "another event is another file");
    deliver(world, 4, "one", "of another document with the same references");
    turn(world);
    cr_assert(world->done == 4 && files(world, false) == 3, "another content never takes its place");
    world_free(world);
}

Test(outbox, many_at_once_are_all_written) {
    struct world *world = world_new();
    char id[16];
    for (uint64_t i = 0; i < 300; i++) {
        (void)snprintf(id, sizeof id, "%u", (unsigned)i % 200);
        deliver(world, i, id, id);
    }
    turn(world);
    cr_assert(world->done == 300 && world->retried == 0 && files(world, false) == 200);
    cr_assert(files(world, true) == 0 && world->last_done == 299);
    world_free(world);
}

static void put(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT, 0666);
    cr_assert(fd >= 0 && close(fd) == 0);
}

Test(outbox, a_directory_that_can_not_be_used_is_a_retry_with_a_reason_and_a_growing_pause) {
    struct world *world = world_new();
    char blocked[96];
    (void)snprintf(blocked, sizeof blocked, "%s/a", world->root);
    put(blocked);
    deliver(world, 1, "one", "data");
    cr_assert(world->retried == 1 && world->last_pause == 10);
    cr_assert_not_null(strstr(world->reason, "Not a directory"), "%s", world->reason);
    deliver(world, 2, "two", "data");
    cr_assert(world->last_pause == 10, "those that fail together do not make it longer");
    for (int i = 0; i < 5; i++) {
        const struct timespec pause = {.tv_nsec = 30000000};
        (void)nanosleep(&pause, NULL);
        deliver(world, 3, "three", "data");
    }
    cr_assert(world->retried == 7 && world->last_pause == 25 && world->done == 0);
    cr_assert(unlink(blocked) == 0);
    deliver(world, 4, "one", "data");
    turn(world);
    cr_assert(world->done == 1 && files(world, false) == 1);
    world_free(world);
}

Test(outbox, what_is_waiting_when_one_fails_is_answered_too) {
    struct world *world = world_new();
    char name[256];
    deliver(world, 1, "one", "data");
    turn(world);
    /* Somebody takes the second one's file away before it has its name. */
    const struct event_of of = {.id = "two", .type = "order"};
    size_t length;
    uint8_t *event = event_make(&of, &length);
    (void)snprintf(name, sizeof name, "%s/.ware_house-%016llx.part", world->outbox,
                   (unsigned long long)event_identity(event, length));
    free(event);
    deliver(world, 2, "two", "data");
    cr_assert(unlink(name) == 0);
    deliver(world, 3, "three", "data");
    turn(world);
    cr_assert(world->done == 2 && world->retried == 1 && files(world, true) == 0, "%s", world->reason);
    world_free(world);
}

Test(outbox, what_a_crash_left_half_written_is_taken_away_and_nothing_else) {
    struct world *world = world_new();
    char path[256];
    const char *names[] = {".ware_house-0123456789abcdef.part", ".other-0123456789abcdef.part",
                           ".ware_house-1.part"};
    deliver(world, 1, "one", "data");
    turn(world);
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", world->outbox, names[i]);
        put(path);
    }
    directory_transport.stop(world->transport);
    world->transport = directory_transport.start(&world->host, &world->options, path, sizeof path);
    deliver(world, 2, "two", "data");
    turn(world);
    cr_assert(files(world, true) == 2 && files(world, false) == 2);
    deliver(world, 3, "three", "data"); /* and a stop leaves nothing of its own */
    directory_transport.stop(world->transport);
    cr_assert(files(world, true) == 2 && files(world, false) == 2 && world->done == 2);
    world->transport = directory_transport.start(&world->host, &world->options, path, sizeof path);
    world_free(world);
}

Test(outbox, a_directory_that_is_taken_away_is_made_again) {
    struct world *world = world_new();
    char old[128];
    (void)snprintf(old, sizeof old, "%s.old", world->outbox);
    deliver(world, 1, "one", "data");
    turn(world);
    cr_assert(rename(world->outbox, old) == 0);
    deliver(world, 2, "two", "data");
    turn(world);
    cr_assert(world->done == 2 && world->retried == 0 && files(world, false) == 1);
    world_free(world);
}
