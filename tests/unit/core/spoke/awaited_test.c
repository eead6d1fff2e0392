/* Documents whose acknowledgement is awaited: what answers them, what is late, and what is left after a kill.
 */
#include "core/spoke/awaited.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PERIOD 1000u

struct scene {
    char root[64], path[128];
    struct awaited *awaited;
};

static void load(struct scene *scene, uint32_t most, uint64_t now) {
    awaited_free(scene->awaited);
    scene->awaited = awaited_new("shop", scene->root, PERIOD, most, now);
    cr_assert_not_null(scene->awaited);
}

static void scene_make(struct scene *scene, uint32_t most) {
    *scene = (struct scene){.awaited = NULL};
    (void)snprintf(scene->root, sizeof scene->root, "/tmp/rh-awaited-XXXXXX");
    cr_assert_not_null(mkdtemp(scene->root));
    (void)snprintf(scene->path, sizeof scene->path, "%s/" AWAITED_FILE, scene->root);
    load(scene, most, 0);
}

static void scene_remove(struct scene *scene) {
    char command[96];
    (void)snprintf(command, sizeof command, "rm -rf %s", scene->root);
    cr_assert(system(command) == 0);
    awaited_free(scene->awaited);
    scene->awaited = NULL;
    LEAKS_NONE();
}

static struct awaited_document document(const char *interchange) {
    return (struct awaited_document){.sender = "US",
                                     .receiver = "PARTNER",
                                     .interchange = interchange,
                                     .group = "",
                                     .id = "e-1",
                                     .source = "/erp \"\n",
                                     .subject = "PO1"};
}

static struct awaited_document group(const char *interchange, const char *reference) {
    struct awaited_document made = document(interchange);
    made.x12 = true;
    made.group = reference;
    return made;
}

static void hand(struct scene *scene, struct awaited_document made, uint64_t delivery, uint64_t now) {
    cr_assert(awaited_hand(scene->awaited, &made, delivery, now), "%s", made.interchange);
}

static void send(struct scene *scene, struct awaited_document made, uint64_t now) {
    hand(scene, made, 7, now);
    awaited_sent(scene->awaited, 7, now);
}

static enum awaited_found answer(struct scene *scene, struct awaited_answer answer, uint64_t now) {
    const struct awaited_entry *entry;
    answer.sender = answer.sender != NULL ? answer.sender : "US";
    answer.receiver = answer.receiver != NULL ? answer.receiver : "PARTNER";
    return awaited_answered(scene->awaited, &answer, now, &entry);
}
#define ANSWER(scene, now, ...) answer(scene, (struct awaited_answer){__VA_ARGS__}, now)

/* What is late now, as references with blanks; all of it is told. */
static const char *late(struct scene *scene, uint64_t now) {
    static char told[256];
    struct awaited_entry *entry;
    told[0] = '\0';
    while ((entry = awaited_late(scene->awaited, now)) != NULL) {
        size_t n = strlen(told);
        (void)snprintf(told + n, sizeof told - n, "%s ", entry->document.interchange);
        cr_assert(awaited_told(scene->awaited, entry, true, now));
    }
    return told;
}

/* ---- what is late ---- */

Test(awaited, what_is_sent_and_not_answered_in_time_is_late_once) {
    struct scene scene;
    scene_make(&scene, 0);
    cr_assert(awaited_due_ms(scene.awaited) == AWAITED_NEVER);
    send(&scene, document("A"), 10);
    send(&scene, document("B"), 20);
    send(&scene, document("C"), 30);
    cr_assert(awaited_due_ms(scene.awaited) == 10 + PERIOD && awaited_count(scene.awaited) == 3);
    cr_assert(ANSWER(&scene, 40, .reference = "B") == AWAITED_IN_TIME);
    cr_assert(ANSWER(&scene, 50, .reference = "B") == AWAITED_AGAIN);
    cr_assert(ANSWER(&scene, 50, .reference = "D") == AWAITED_UNKNOWN);
    cr_assert_str_eq(late(&scene, 9 + PERIOD), "");
    cr_assert_str_eq(late(&scene, 10 + PERIOD), "A ");
    cr_assert_str_eq(late(&scene, 500 + PERIOD), "C ");
    cr_assert_str_eq(late(&scene, 9 * PERIOD), "");
    cr_assert(awaited_count(scene.awaited) == 2);
    cr_assert(ANSWER(&scene, 10 * PERIOD, .reference = "A") == AWAITED_TOO_LATE);
    cr_assert(awaited_count(scene.awaited) == 1);
    scene_remove(&scene);
}

Test(awaited, what_could_not_be_told_is_late_again_before_what_came_after_it) {
    struct scene scene;
    scene_make(&scene, 0);
    send(&scene, document("A"), 1);
    send(&scene, document("B"), 2);
    struct awaited_entry *entry = awaited_late(scene.awaited, 5000);
    cr_assert(!awaited_told(scene.awaited, entry, false, 5000));
    cr_assert_str_eq(late(&scene, 5001), "A B ");
    scene_remove(&scene);
}

Test(awaited, what_is_answered_while_it_is_told_was_not_overdue) {
    struct scene scene;
    scene_make(&scene, 0);
    send(&scene, document("A"), 1);
    struct awaited_entry *entry = awaited_late(scene.awaited, 5000);
    cr_assert_null(awaited_late(scene.awaited, 5000), "it is being told");
    cr_assert(ANSWER(&scene, 5001, .reference = "A") == AWAITED_IN_TIME);
    cr_assert_null(awaited_late(scene.awaited, 9 * PERIOD), "nor is it dropped while it is");
    cr_assert(!awaited_told(scene.awaited, entry, true, 9 * PERIOD));
    cr_assert(awaited_count(scene.awaited) == 0);
    scene_remove(&scene);
}

Test(awaited, an_answer_may_come_before_the_transport_knows_that_it_is_sent) {
    struct scene scene;
    scene_make(&scene, 0);
    hand(&scene, document("A"), 1, 5);
    cr_assert(awaited_count(scene.awaited) == 0);
    cr_assert(ANSWER(&scene, 6, .reference = "A") == AWAITED_IN_TIME);
    awaited_sent(scene.awaited, 1, 7);
    cr_assert_str_eq(late(&scene, 9 * PERIOD), "");
    scene_remove(&scene);
}

Test(awaited, what_is_sent_again_is_awaited_once) {
    struct scene scene;
    scene_make(&scene, 0);
    hand(&scene, document("A"), 1, 5);
    awaited_unsent(scene.awaited, 1);
    hand(&scene, document("B"), 1, 6); /* the number has another one now */
    hand(&scene, document("A"), 2, 7);
    awaited_sent(scene.awaited, 1, 8);
    cr_assert(awaited_count(scene.awaited) == 1);
    cr_assert_str_eq(late(&scene, 8 + PERIOD), "B ");
    awaited_sent(scene.awaited, 2, 5000);
    hand(&scene, document("A"), 3, 5001);
    awaited_sent(scene.awaited, 3, 5002);
    cr_assert_str_eq(late(&scene, 5000 + PERIOD), "A ");
    send(&scene, document("A"), 5000 + PERIOD);
    cr_assert_str_eq(late(&scene, 9000 + PERIOD), "");
    scene_remove(&scene);
}

/* ---- what an acknowledgement is about ---- */

Test(awaited, an_acknowledgement_is_of_the_two_parties_whose_document_it_is) {
    struct scene scene;
    scene_make(&scene, 0);
    send(&scene, document("A"), 1);
    cr_assert(ANSWER(&scene, 2, .reference = "A", .receiver = "OTHER") == AWAITED_UNKNOWN);
    cr_assert(ANSWER(&scene, 2, .reference = "A", .sender = "PARTNER", .receiver = "US") == AWAITED_UNKNOWN);
    cr_assert(ANSWER(&scene, 2, .reference = "A", .x12 = true) == AWAITED_UNKNOWN);
    cr_assert(ANSWER(&scene, 2, .reference = "0A") == AWAITED_UNKNOWN);
    cr_assert(ANSWER(&scene, 2, .reference = "A", .group = true) == AWAITED_UNKNOWN);
    cr_assert(ANSWER(&scene, 2, .reference = "A", .sender = "", .receiver = "") == AWAITED_IN_TIME);
    scene_remove(&scene);
}

Test(awaited, groups_of_x12_are_answered_by_their_number_the_oldest_first) {
    struct scene scene;
    scene_make(&scene, 0);
    send(&scene, group("000000017", "5"), 1);
    send(&scene, group("000000018", "5"), 2);
    send(&scene, group("000000019", "6"), 3);
    cr_assert(ANSWER(&scene, 4, .x12 = true, .group = true, .reference = "0005") == AWAITED_IN_TIME);
    cr_assert(ANSWER(&scene, 4, .x12 = true, .reference = "19") == AWAITED_IN_TIME);
    cr_assert_str_eq(late(&scene, 9 * PERIOD), "000000018 ");
    scene_remove(&scene);
}

/* ---- how much is kept ---- */

Test(awaited, what_is_over_makes_room_and_what_is_not_keeps_its_own) {
    struct scene scene;
    scene_make(&scene, 3);
    send(&scene, document("A"), 1);
    send(&scene, document("B"), 2);
    send(&scene, document("C"), 3);
    struct awaited_document more = document("D");
    cr_assert(!awaited_hand(scene.awaited, &more, 1, 4), "there is no room");
    cr_assert(ANSWER(&scene, 5, .reference = "B") == AWAITED_IN_TIME);
    send(&scene, document("D"), 6);
    cr_assert(ANSWER(&scene, 7, .reference = "B") == AWAITED_UNKNOWN);
    cr_assert_str_eq(late(&scene, 9 * PERIOD), "A C D ");
    send(&scene, document("E"), 9 * PERIOD);
    cr_assert(ANSWER(&scene, 9 * PERIOD, .reference = "A") == AWAITED_UNKNOWN);
    cr_assert(ANSWER(&scene, 9 * PERIOD, .reference = "C") == AWAITED_TOO_LATE);
    scene_remove(&scene);
}

Test(awaited, what_is_over_is_forgotten_in_the_end) {
    struct scene scene;
    scene_make(&scene, 0);
    send(&scene, document("A"), 1);
    send(&scene, document("B"), 1);
    cr_assert(ANSWER(&scene, 2, .reference = "A") == AWAITED_IN_TIME);
    cr_assert_str_eq(late(&scene, 1 + PERIOD), "B ");
    cr_assert_null(awaited_late(scene.awaited, 3 + PERIOD));
    cr_assert(ANSWER(&scene, 3 + PERIOD, .reference = "A") == AWAITED_UNKNOWN);
    cr_assert_null(awaited_late(scene.awaited, 3 + PERIOD + AWAITED_REMEMBER_MS));
    cr_assert(ANSWER(&scene, 3 + PERIOD, .reference = "B") == AWAITED_UNKNOWN);
    cr_assert(awaited_count(scene.awaited) == 0);
    scene_remove(&scene);
}

/* ---- its file ---- */

Test(awaited, a_kill_changes_nothing) {
    struct scene scene;
    scene_make(&scene, 0);
    send(&scene, document("A"), 1);
    send(&scene, document("B"), 2);
    send(&scene, group("7", "8"), 3);
    hand(&scene, document("D"), 9, 4);
    cr_assert(ANSWER(&scene, 5, .reference = "A") == AWAITED_IN_TIME);
    load(&scene, 0, 6);
    cr_assert(awaited_count(scene.awaited) == 2);
    cr_assert(ANSWER(&scene, 6, .reference = "A") == AWAITED_AGAIN);
    cr_assert_str_eq(late(&scene, 2 + PERIOD), "B ");
    load(&scene, 0, 3 + PERIOD);
    struct awaited_entry *entry = awaited_late(scene.awaited, 3 + PERIOD);
    cr_assert(entry != NULL && entry->document.x12 && strcmp(entry->document.group, "8") == 0);
    cr_assert_str_eq(entry->document.source, "/erp \"\n");
    cr_assert_str_eq(entry->document.id, "e-1");
    load(&scene, 0, 3 + PERIOD); /* before it was told */
    cr_assert_str_eq(late(&scene, 3 + PERIOD), "7 ");
    load(&scene, 0, 9 * PERIOD);
    cr_assert_str_eq(late(&scene, 9 * PERIOD), "", "what was told is not told again");
    cr_assert(ANSWER(&scene, 9 * PERIOD, .reference = "D") == AWAITED_IN_TIME, "perhaps it was sent");
    scene_remove(&scene);
}

/* All but the last line, of which so many bytes are left. */
static void cut(const struct scene *scene, long left) {
    char text[8192];
    FILE *file = fopen(scene->path, "r");
    cr_assert_not_null(file);
    size_t n = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[n - 1] = '\0';
    char *last = strrchr(text, '\n');
    cr_assert(last != NULL && truncate(scene->path, last + 1 - text + left) == 0);
}

Test(awaited, a_line_that_is_not_whole_is_left_out_and_those_before_it_stay) {
    for (long left = 0; left < 60; left += 7) {
        struct scene scene;
        scene_make(&scene, 0);
        send(&scene, document("A"), 1);
        send(&scene, document("B"), 2);
        cut(&scene, left);
        load(&scene, 0, 3);
        send(&scene, document("C"), 3);
        load(&scene, 0, 4);
        cr_assert_str_eq(late(&scene, 9 * PERIOD), "A C ", "%ld", left);
        cr_assert(ANSWER(&scene, 9 * PERIOD, .reference = "B") == AWAITED_IN_TIME, "it was handed over");
        scene_remove(&scene);
    }
}

Test(awaited, a_byte_that_has_changed_is_seen) {
    struct scene scene;
    scene_make(&scene, 0);
    send(&scene, document("A"), 1);
    send(&scene, document("B"), 2);
    FILE *file = fopen(scene.path, "r+");
    cr_assert(file != NULL && fseek(file, -20, SEEK_END) == 0 && fputc('#', file) == '#');
    (void)fclose(file);
    load(&scene, 0, 3);
    cr_assert(awaited_count(scene.awaited) == 1);
    scene_remove(&scene);
}

Test(awaited, the_file_is_written_anew_before_it_grows_without_end) {
    struct scene scene;
    char reference[16];
    scene_make(&scene, 4);
    for (unsigned i = 0; i < 3000; i++) {
        (void)snprintf(reference, sizeof reference, "%u", i);
        send(&scene, document(reference), i);
        cr_assert(ANSWER(&scene, i, .reference = reference) == AWAITED_IN_TIME);
    }
    FILE *file = fopen(scene.path, "r");
    cr_assert(file != NULL && fseek(file, 0, SEEK_END) == 0);
    cr_assert(ftell(file) < 1100l * 256);
    (void)fclose(file);
    load(&scene, 4, 3000);
    cr_assert(ANSWER(&scene, 3000, .reference = "2999") == AWAITED_AGAIN);
    scene_remove(&scene);
}

Test(awaited, without_a_file_that_can_be_written_it_goes_on_in_memory) {
    struct scene scene;
    scene_make(&scene, 0);
    char missing[128];
    (void)snprintf(missing, sizeof missing, "%s/" AWAITED_FILE "/under", scene.root);
    struct awaited *awaited = awaited_new("shop", missing, PERIOD, 0, 0);
    struct awaited_document one = document("A");
    cr_assert_not_null(awaited);
    cr_assert(awaited_hand(awaited, &one, 1, 1));
    awaited_sent(awaited, 1, 1);
    cr_assert(awaited_count(awaited) == 1 && awaited_sync(awaited) != 0);
    awaited_free(awaited);
    cr_assert(awaited_sync(scene.awaited) == 0);
    scene_remove(&scene);
}
