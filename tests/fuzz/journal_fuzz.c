/* fuzz: journal_open, journal_read, salvage_verify, salvage_export, salvage_cut */
// check: runs=6000 max_len=2048 timeout=10

/* A directory with one log of one segment. The input describes its groups and records, which are then changed
 * at places that it names: before the checksums are made, so that what is inside is looked at, or after.
 * Whatever it is: it is taken as it is and can be read to its end, also when it is opened again, or it is
 * refused with a sentence; and after a cut it is taken. */
#include "core/base/logfmt.h"
#include "core/journal/format.h"
#include "core/journal/journal.h"
#include "core/journal/salvage.h"
#include "tests/unit/core/journal/sim_disk.c"

#include <stdio.h>

#define SEGMENT  (16u * JOURNAL_BLOCK_BYTES)
#define SALT     UINT64_C(0x1234567890abcdef)
#define NAME     "0/000000000001.jnl"
#define RECORD   100u /* the longest that is made */
#define MANIFEST (2u * JOURNAL_BLOCK_BYTES)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t size;
};

static uint8_t take(struct input *input) {
    if (input->size == 0)
        return 0;
    input->size--;
    return *input->data++;
}

struct made {
    _Alignas(8) uint8_t segment[SEGMENT];
    _Alignas(8) uint8_t manifest[MANIFEST];
    _Alignas(8) uint8_t mark[sizeof(struct format_mark)];
    bool marked;
};

static struct format_group *group_in(struct made *made, uint32_t block) {
    return (struct format_group *)(void *)(made->segment + block * JOURNAL_BLOCK_BYTES);
}

/* ---- making ---- */

static void record_make(struct input *input, struct format_group *group, uint64_t position) {
    uint8_t bytes[RECORD];
    struct log_entry entry = {.length = take(input) % RECORD, .time = take(input)};
    uint8_t kind = take(input), slot = take(input);
    entry.flags = log_flags((enum log_type)(kind % 5), slot, 0, kind / 16u < entry.length ? kind / 16u : 0);
    for (uint32_t i = 0; i < entry.length; i++)
        bytes[i] = (uint8_t)(slot + i);
    format_record_write((uint8_t *)(group + 1) + group->body, &entry, position, JOURNAL_SEQUENCE(position),
                        kind, bytes);
    group->body += (uint32_t)format_record_length(entry.length);
    group->count++;
}

static void groups_make(struct input *input, struct made *made) {
    uint32_t groups = take(input) % 15;
    uint64_t position = 1;
    for (uint32_t i = 0; i < groups; i++) {
        uint32_t count = take(input) % 8;
        struct format_group *group = group_in(made, 1 + i);
        *group = (struct format_group){.flags = count == 0 ? FORMAT_SEAL : 0,
                                       .number = 1 + i,
                                       .salt = SALT,
                                       .first = position,
                                       .proven = position - 1};
        for (uint32_t k = 0; k < count; k++)
            record_make(input, group, position + k);
        position += count;
    }
}

/* The chain of checksums, over whatever lies there by now. */
static void groups_close(struct made *made) {
    uint64_t previous = 0;
    for (uint32_t block = 1; block < 16; block++) {
        struct format_group *group = group_in(made, block);
        uint64_t room = SEGMENT - block * JOURNAL_BLOCK_BYTES;
        if (group->salt == 0 || format_group_bytes(group->body) > room)
            continue;
        group->previous = previous;
        format_group_close(group);
        previous = group->check;
    }
}

static void headers_make(struct input *input, struct made *made) {
    struct format_segment *header = (struct format_segment *)(void *)made->segment;
    struct format_manifest *manifest = (struct format_manifest *)(void *)made->manifest;
    struct format_mark *mark = (struct format_mark *)(void *)made->mark;
    *header =
        (struct format_segment){.number = 1, .salt = SALT, .bytes = SEGMENT, .first_group = 1, .first = 1};
    for (uint32_t i = 0; i < 2; i++) {
        manifest[i] = (struct format_manifest){.logs = 1, .generation = 2 - i, .slot_epoch = 1};
        manifest[i].oldest[0] = 1;
    }
    uint8_t marked = take(input);
    made->marked = marked > 0;
    *mark = (struct format_mark){.segment = 1, .group = marked, .next = marked};
}

/* Bytes at places: four of the input for each. */
static void places_change(struct input *input, struct made *made, uint32_t count) {
    for (uint32_t i = 0; i < count && input->size >= 4; i++) {
        uint32_t at = (uint32_t)take(input) << 16 | (uint32_t)take(input) << 8;
        at |= take(input);
        uint8_t with = take(input);
        if (at < SEGMENT)
            made->segment[at] ^= with;
        else if (at - SEGMENT < MANIFEST)
            made->manifest[at - SEGMENT] ^= with;
        else
            made->mark[at % sizeof made->mark] ^= with;
    }
}

static void all_close(struct made *made) {
    groups_close(made);
    format_segment_close((struct format_segment *)(void *)made->segment);
    for (uint32_t i = 0; i < 2; i++)
        format_manifest_close((struct format_manifest *)(void *)made->manifest + i);
    format_mark_close((struct format_mark *)(void *)made->mark);
}

static struct sim_disk *disk_make(struct input *input) {
    static struct made made;
    memset(&made, 0, sizeof made);
    groups_make(input, &made);
    headers_make(input, &made);
    places_change(input, &made, take(input) % 16);
    all_close(&made);
    places_change(input, &made, take(input) % 16);
    struct sim_disk *sim = sim_make(1);
    sim_put(sim, MANIFEST_NAME, made.manifest, sizeof made.manifest);
    sim_put(sim, NAME, made.segment, SEGMENT - take(input));
    if (made.marked)
        sim_put(sim, "0/mark", made.mark, sizeof made.mark);
    return sim;
}

/* ---- looking ---- */

static void stretch_check(const struct journal_stretch *stretch, uint64_t from) {
    CHECK(stretch->first >= from && stretch->next == stretch->first + stretch->count);
    for (uint32_t i = 0; i < stretch->count; i++) {
        const struct log_entry *entry = &stretch->entries[i];
        CHECK(entry->offset + entry->length <= stretch->frames_bytes);
        CHECK(log_flags_topic_at(entry->flags) + log_flags_topic_length(entry->flags) <= entry->length);
    }
}

static void read_all(struct journal *journal) {
    struct journal_stretch stretch = {.bytes_max = 300};
    for (uint32_t log = 0; log < journal_facts(journal)->logs; log++) {
        uint64_t from = journal_oldest(journal, log), next = journal_next(journal, log);
        CHECK(from <= next);
        while (from < next) {
            int result = journal_read(journal, log, from, &stretch);
            CHECK(result == 0 && stretch.next > from && stretch.next <= next);
            stretch_check(&stretch, from);
            from = stretch.next;
        }
        CHECK(journal_read(journal, log, next, &stretch) == -ENODATA);
    }
    journal_stretch_free(&stretch);
}

/* 0, or the status of the refusal; *next of the first log. */
static int open_and_read(struct sim_disk *sim, uint64_t *next) {
    struct journal *journal = NULL;
    struct journal_trouble trouble = {0};
    struct journal_config config = {.directory = "fuzz",
                                    .disk = sim_disk(sim),
                                    .logs = 1,
                                    .segment_bytes = JOURNAL_SEGMENT_MIN,
                                    .record_max = RECORD};
    if (journal_open(&journal, &config, &trouble) != 0) {
        CHECK(trouble.status == 65 && strnlen(trouble.text, sizeof trouble.text) > 20);
        return trouble.status;
    }
    read_all(journal);
    *next = journal_next(journal, 0);
    journal_close(journal);
    return 0;
}

static void line_count(void *user, const char *text) {
    CHECK(text[0] != '\0');
    ++*(uint32_t *)user;
}

static bool record_sum(void *user, uint32_t log, const struct format_record *record, const uint8_t *bytes) {
    uint32_t *sum = user;
    CHECK(log == 0);
    for (uint32_t i = 0; i < record->bytes; i++)
        *sum += bytes[i];
    return true;
}

/* Looks, which changes nothing; then gives up what is damaged. */
static int salvage(struct sim_disk *sim, int opened) {
    struct salvage salvage;
    struct journal_trouble trouble;
    uint32_t lines = 0, records = 0;
    struct salvage_lines told = {line_count, &lines};
    struct salvage_sink sink = {record_sum, &records};
    CHECK(salvage_open(&salvage, "fuzz", sim_disk(sim), true, &trouble) == 0);
    uint64_t before = sim_operations(sim);
    int state = salvage_verify(&salvage, &told, &trouble);
    CHECK(opened != 0 ? state != 0 || salvage.manifest.boot_epoch >= JOURNAL_BOOT_EPOCH_MAX : state == 0);
    CHECK(salvage_export(&salvage, 0, 0, &sink, &told, &trouble) >= 0 && sim_operations(sim) == before);
    int cut = salvage_cut(&salvage, 0, &told, &trouble);
    CHECK(cut == state && (cut != 0 || sim_operations(sim) > 0));
    salvage_close(&salvage);
    return state;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {data, size};
    uint64_t next = 0, again = 0, after = 0;
    logfmt_level_set((enum logfmt_level)(LOGFMT_ERROR + 1));
    struct sim_disk *sim = disk_make(&input);
    struct sim_disk *copy = sim_copy(sim);
    int opened = open_and_read(sim, &next);
    if (opened == 0)
        CHECK(open_and_read(sim, &again) == 0 && again == next);
    if (salvage(copy, opened) >= 0 && open_and_read(copy, &after) == 0)
        CHECK(after >= next);
    sim_free(sim);
    sim_free(copy);
    return 0;
}
