/* The samples of tests/data against tests/data/expect.tsv, and each of them split at every byte. */
#include "codecs/edi/edifact.h"
#include "codecs/edi/x12.h"

#include "codecs/document/sniff.h"
#include "tests/unit/codecs/edi/feed.h"
#include "tests/unit/codecs/golden.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MAX 2000u
#define FILES_MAX 200u

/* ---- expect.tsv ---- */

struct expected {
    char file[128];
    char code[64];
    unsigned segment;
    unsigned long long offset;
    char element[16];
    bool found;
};

static struct expected expected[LINES_MAX];
static unsigned expected_count;

static void expected_read(void) {
    char line[512];
    FILE *file = golden_open("tests/data/expect.tsv");
    while (fgets(line, sizeof line, file)) {
        struct expected *row = &expected[expected_count];
        if (line[0] == '#' || strncmp(line, "file\t", 5) == 0)
            continue;
        cr_assert_lt(expected_count, LINES_MAX);
        cr_assert_eq(sscanf(line, "%127[^\t]\t%63s\t%u\t%llu\t%15s", row->file, row->code, &row->segment,
                            &row->offset, row->element),
                     5, "%s", line);
        cr_assert_neq(finding_named(row->code), FINDING_CODES, "%s", line);
        expected_count++;
    }
    (void)fclose(file);
}

/* Takes one that is still there. */
static bool expected_take(const char *file, const struct trace_finding *finding) {
    char element[16] = "-";
    if (finding->place.element > 0)
        (void)snprintf(element, sizeof element, "%u:%u", finding->place.element, finding->place.component);
    for (unsigned i = 0; i < expected_count; i++) {
        struct expected *row = &expected[i];
        if (row->found || strcmp(row->file, file) != 0 || finding_named(row->code) != finding->code ||
            row->segment != finding->place.in_file || row->offset != finding->place.offset ||
            strcmp(row->element, element) != 0)
            continue;
        row->found = true;
        return true;
    }
    return false;
}

/* ---- the files ---- */

static char files[FILES_MAX][128];
static unsigned file_count;

static int by_name(const void *a, const void *b) {
    return strcmp(a, b);
}

static void files_of(const char *folder) {
    char path[64], full[1024];
    (void)snprintf(path, sizeof path, "tests/data/%s", folder);
    golden_path(path, full, sizeof full);
    DIR *dir = opendir(full);
    cr_assert(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        cr_assert_lt(file_count, FILES_MAX);
        (void)snprintf(files[file_count++], sizeof files[0], "%s/%.100s", folder, entry->d_name);
    }
    (void)closedir(dir);
    qsort(files, file_count, sizeof files[0], by_name);
}

static uint8_t *file_read(const char *file, size_t *n) {
    char path[160];
    (void)snprintf(path, sizeof path, "tests/data/%s", file);
    return golden_file(path, n);
}

static enum feed_format format_of(const char *file) {
    return strncmp(file, "x12/", 4) == 0 ? FEED_X12 : FEED_EDIFACT;
}

/* ---- what is found ---- */

static unsigned unexpected(const char *file, const struct trace *trace) {
    unsigned wrong = 0;
    for (unsigned i = 0; i < trace->count; i++) {
        const struct trace_finding *finding = &trace->findings[i];
        if (expected_take(file, finding))
            continue;
        fprintf(stderr, "%s: %s at segment %u, %u:%u, byte %llu was not expected\n", file,
                finding_kind(finding->code)->name, finding->place.in_file, finding->place.element,
                finding->place.component, (unsigned long long)finding->place.offset);
        wrong++;
    }
    return wrong;
}

static unsigned missing(void) {
    unsigned wrong = 0;
    for (unsigned i = 0; i < expected_count; i++) {
        const struct expected *row = &expected[i];
        if (row->found)
            continue;
        fprintf(stderr, "%s: %s at segment %u, byte %llu was not found\n", row->file, row->code, row->segment,
                row->offset);
        wrong++;
    }
    return wrong;
}

/* Formats that are refused by their first bytes have no reader. */
static unsigned refused(const char *file) {
    size_t n;
    uint8_t *bytes = file_read(file, &n);
    struct trace_finding finding = {.code = FINDING_TRADACOMS};
    bool right = sniff(bytes, n) == FORMAT_TRADACOMS && expected_take(file, &finding);
    free(bytes);
    return right ? 0 : 1;
}

Test(samples, have_exactly_the_findings_that_somebody_else_has_found) {
    unsigned wrong = 0;
    expected_read();
    files_of("edifact");
    files_of("x12");
    cr_assert(file_count >= 86 + 51 && expected_count > 400);
    for (unsigned i = 0; i < file_count; i++) {
        size_t n;
        uint8_t *bytes = file_read(files[i], &n);
        struct trace *trace = feed_whole(format_of(files[i]), NULL, bytes, n);
        wrong += unexpected(files[i], trace);
        feed_free(trace);
        free(bytes);
    }
    wrong += refused("tradacoms/edinet__tradacoms.order9.edi");
    wrong += refused("tradacoms/saprecipes__ORDHDR.edi");
    wrong += missing();
    cr_assert_eq(wrong, 0, "%u findings are unknown, missing or too many", wrong);
}

Test(samples, are_refused_by_the_strict_profile_and_read_by_one_that_tolerates_all) {
    struct profile lenient = {0};
    unsigned strict_refused = 0, messages = 0;
    profile_tolerate_all(&lenient);
    files_of("edifact");
    files_of("x12");
    for (unsigned i = 0; i < file_count; i++) {
        size_t n;
        uint8_t *bytes = file_read(files[i], &n);
        struct trace *strict = feed_whole(format_of(files[i]), NULL, bytes, n);
        struct trace *tolerant = feed_whole(format_of(files[i]), &lenient, bytes, n);
        cr_assert_eq(strict->count, tolerant->count, "%s", files[i]);
        cr_assert_eq(strict->segments, tolerant->segments, "%s", files[i]);
        for (unsigned scope = 0; scope <= DOCUMENT_MESSAGE; scope++)
            cr_assert_eq(tolerant->refused[scope], 0, "%s", files[i]);
        strict_refused += strict->refused[0] + strict->refused[1] + strict->refused[2] > 0;
        messages += strict->ended[DOCUMENT_MESSAGE];
        feed_free(strict);
        feed_free(tolerant);
        free(bytes);
    }
    cr_assert(strict_refused > 60 && strict_refused < file_count - 40, "%u", strict_refused);
    /* SOURCES.md counts 180, and not those two of which it read no header: a body and a file with a broken
     * ISA. */
    cr_assert_eq(messages, 182, "%u", messages);
}

/* ---- any split gives the same ---- */

static void splits(const char *file, size_t step) {
    size_t n;
    uint8_t *bytes = file_read(file, &n);
    enum feed_format format = format_of(file);
    struct trace *whole = feed_whole(format, NULL, bytes, n);
    for (size_t at = 0; at <= n; at += step) {
        struct trace *split = feed_split(format, NULL, bytes, n, at);
        cr_assert(feed_same(whole, split), "%s: another result when it is split at byte %zu", file, at);
        feed_free(split);
    }
    for (size_t piece = 1; piece < 40; piece += piece < 8 ? 1 : 9) {
        struct trace *pieces = feed_pieces(format, NULL, bytes, n, piece);
        cr_assert(feed_same(whole, pieces), "%s: another result in pieces of %zu bytes", file, piece);
        feed_free(pieces);
    }
    feed_free(whole);
    free(bytes);
}

Test(samples, give_the_same_calls_however_they_are_split, .timeout = 120) {
    static const char *const every[] = {
        "edifact/edinet__Apperak-edi_out_issue235.edi",
        "edifact/smooks__recadv.txt",
        "edifact/own__UNOB_level-B-separators_synthetic.edi",
        "edifact/own__INVRPT_D96A_synthetic.edi",
        "edifact/vscedifact__sample_line_break.edi",
        "edifact/smooks__ung-case-02.edi",
        "edifact/edinet__edifact.Issue188.edi",
        "edifact/edinet__edifact.Issue98.edi",
        "x12/edinet__x12.Issue101.edi",
        "x12/edinet__x12.214.edi",
        "x12/ediengine__MultipleInterchangesAndGroups.edi",
        "x12/coedition__846-sample2.edi",
        "x12/ediengine__NonEdi.edi",
    };
    for (size_t i = 0; i < sizeof every / sizeof every[0]; i++)
        splits(every[i], 1);
    files_of("edifact");
    files_of("x12");
    for (unsigned i = 0; i < file_count; i++)
        splits(files[i], 211);
}
