/* What an inbox's ledger gives back: after any cut, with any names, and no more than it may keep. */
#include "core/transport/ledger.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct scene {
    char root[64], path[96];
    struct folder place;
    struct ledger *ledger;
    uint32_t found;
    struct ledger_file last;
};

static void on_found(void *user, const struct ledger_file *file) {
    struct scene *scene = user;
    scene->found++;
    scene->last = *file;
}

static void load(struct scene *scene, uint32_t contents) {
    ledger_free(scene->ledger);
    scene->found = 0;
    scene->ledger = ledger_new(contents, 1000);
    cr_assert_not_null(scene->ledger);
    cr_assert(ledger_load(scene->ledger, &scene->place, "state", on_found, scene) == 0);
}

static void scene_make(struct scene *scene) {
    *scene = (struct scene){.found = 0};
    (void)snprintf(scene->root, sizeof scene->root, "/tmp/rh-ledger-XXXXXX");
    cr_assert_not_null(mkdtemp(scene->root));
    (void)snprintf(scene->path, sizeof scene->path, "%s/state", scene->root);
    folder_init(&scene->place, "spoke", scene->root);
    cr_assert(folder_open(&scene->place) >= 0);
    load(scene, 4);
}

static void scene_end(struct scene *scene) {
    char command[96];
    ledger_free(scene->ledger);
    folder_close(&scene->place);
    (void)snprintf(command, sizeof command, "rm -rf %s", scene->root);
    cr_assert(system(command) == 0);
    LEAKS_NONE();
}

static const uint8_t *digest(uint8_t number) {
    static uint8_t digests[4][LEDGER_DIGEST_BYTES];
    static uint32_t next;
    uint8_t *made = digests[next++ % 4];
    memset(made, 7, LEDGER_DIGEST_BYTES);
    made[31] = number; /* the first bytes are the same: they share a chain */
    return made;
}

static struct ledger_file file_of(const char *name, enum ledger_outcome outcome) {
    struct ledger_file file = {.outcome = outcome, .inode = 12, .size = 345, .modified_ns = -6};
    memcpy(file.digest, digest(9), sizeof file.digest);
    (void)snprintf(file.name, sizeof file.name, "%s", name);
    (void)snprintf(file.target, sizeof file.target, "%s.2", name);
    return file;
}

Test(ledger, a_file_that_is_settled_and_not_moved_is_found_again_as_it_was) {
    struct scene scene;
    const char *names[] = {"orders.edi", "two words", "100%", "line\nbreak\x7f\x01", "\xc3\xa9\xff", "%41"};
    scene_make(&scene);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct ledger_file file = file_of(names[i], i % 2 == 0 ? LEDGER_DONE : LEDGER_REJECTED);
        cr_assert(ledger_settled(scene.ledger, &file) == 0);
        load(&scene, 4);
        cr_assert(scene.found == 1, "%zu", i);
        cr_assert(memcmp(&scene.last, &file, sizeof file) == 0, "%zu: %s", i, scene.last.name);
        cr_assert(ledger_moved(scene.ledger, &file) == 0);
        load(&scene, 4);
        cr_assert(scene.found == 0, "%zu", i);
    }
    scene_end(&scene);
}

Test(ledger, another_file_of_the_same_name_is_another_one) {
    struct scene scene;
    struct ledger_file file = file_of("a", LEDGER_DONE), other = file;
    scene_make(&scene);
    other.inode++;
    cr_assert(ledger_settled(scene.ledger, &file) == 0 && ledger_settled(scene.ledger, &other) == 0);
    cr_assert(ledger_moved(scene.ledger, &file) == 0);
    load(&scene, 4);
    cr_assert(scene.found == 1 && scene.last.inode == other.inode);
    scene_end(&scene);
}

Test(ledger, so_many_contents_are_remembered_the_latest_of_them_and_for_so_long) {
    struct scene scene;
    scene_make(&scene);
    for (uint8_t i = 0; i < 10; i++)
        cr_assert(ledger_remember(scene.ledger, digest(i), 5000 + i) == 0);
    for (int again = 0; again < 2; again++) {
        for (uint8_t i = 0; i < 10; i++)
            cr_assert(ledger_remembers(scene.ledger, digest(i), 5020) == (i >= 6), "%d: %u", again, i);
        load(&scene, 4);
    }
    cr_assert(ledger_remembers(scene.ledger, digest(9), 5009 + 1000));
    cr_assert_not(ledger_remembers(scene.ledger, digest(9), 5009 + 1001));
    cr_assert(ledger_remember(scene.ledger, digest(9), 9000) == 0);
    load(&scene, 4);
    cr_assert(ledger_remembers(scene.ledger, digest(9), 9500));
    scene_end(&scene);
}

Test(ledger, stays_small_however_much_it_is_told) {
    struct scene scene;
    scene_make(&scene);
    for (uint32_t i = 0; i < 20000; i++) {
        struct ledger_file file = file_of("a", LEDGER_DONE);
        file.inode = i;
        cr_assert(ledger_settled(scene.ledger, &file) == 0 && ledger_moved(scene.ledger, &file) == 0);
    }
    int fd = open(scene.path, O_RDONLY);
    cr_assert(lseek(fd, 0, SEEK_END) < 400000);
    (void)close(fd);
    scene_end(&scene);
}

static size_t slurp(const char *path, char *out, size_t room) {
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, out, room);
    cr_assert(n >= 0 && close(fd) == 0);
    return (size_t)n;
}

static void spit(const char *path, const char *text, size_t length) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert(write(fd, text, length) == (ssize_t)length && close(fd) == 0);
}

/* Both lines are whole, or only the first one, or none: never something else. */
Test(ledger, whatever_a_crash_leaves_of_it_is_whole_lines) {
    struct scene scene;
    char text[4096], bad[4096];
    struct ledger_file first = file_of("first", LEDGER_DONE), second = file_of("second", LEDGER_REJECTED);
    scene_make(&scene);
    cr_assert(ledger_settled(scene.ledger, &first) == 0);
    size_t one = slurp(scene.path, text, sizeof text);
    cr_assert(ledger_settled(scene.ledger, &second) == 0);
    size_t length = slurp(scene.path, text, sizeof text);
    for (size_t cut = 0; cut <= length; cut++) {
        spit(scene.path, text, cut);
        load(&scene, 4);
        cr_assert(scene.found == (cut >= one ? 1u : 0u) + (cut >= length ? 1u : 0u), "cut at %zu of %zu", cut,
                  length);
        if (cut % 8 != 0)
            continue;
        cr_assert(ledger_settled(scene.ledger, &second) == 0); /* and it goes on */
        load(&scene, 4);
        cr_assert(scene.found == (cut >= one ? 2u : 1u), "cut at %zu of %zu", cut, length);
    }
    for (size_t i = 0; i + 1 < one; i++) { /* no byte of a line can change unnoticed */
        memcpy(bad, text, length);
        bad[i] ^= 1;
        spit(scene.path, bad, length);
        load(&scene, 4);
        cr_assert(scene.found == 1, "byte %zu", i);
    }
    scene_end(&scene);
}

Test(ledger, what_could_not_be_written_is_written_with_the_next_line) {
    struct scene scene;
    struct ledger_file first = file_of("first", LEDGER_DONE), second = file_of("second", LEDGER_DONE);
    scene_make(&scene);
    int fd = scene.place.fd;
    scene.place.fd = -1; /* as when the directory is gone */
    cr_assert(ledger_settled(scene.ledger, &first) < 0);
    scene.place.fd = fd;
    cr_assert(ledger_settled(scene.ledger, &second) == 0);
    load(&scene, 4);
    cr_assert(scene.found == 2);
    scene_end(&scene);
}
