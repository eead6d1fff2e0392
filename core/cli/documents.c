#include "core/cli/documents.h"

#include "codecs/document/sniff.h"
#include "codecs/erp/event.h"
#include "core/cli/args.h"
#include "core/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DOCUMENTS_PIECE    (256u * 1024u)        /* bytes read at a time */
#define DOCUMENTS_TEXT_MAX (16u * 1024u * 1024u) /* of a map or a layout */

/* ---- options ---- */

int documents_init(struct documents *documents, const char *command) {
    *documents = (struct documents){.command = command, .status = CLI_OK};
    documents->formats = formats_new();
    if (documents->formats != NULL)
        return CLI_OK;
    fprintf(stderr, "roundhouse %s: out of memory\n", command);
    return CLI_INTERNAL;
}

void documents_deinit(struct documents *documents) {
    formats_free(documents->formats);
}

static int tolerate(struct documents *documents, char *names) {
    char *rest = NULL;
    for (char *name = strtok_r(names, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest)) {
        enum finding_code code = finding_named(name);
        if (code == FINDING_CODES)
            return args_mistake(documents->command, "--tolerate: there is no rule '%s'; findings name them",
                                name);
        if (!profile_tolerate(&documents->profile, code) && finding_kind(code)->rule == FINDING_IS_ERROR)
            return args_mistake(documents->command, "--tolerate: nobody can go on from %s", name);
    }
    return CLI_OK;
}

char *documents_text(const struct documents *documents, const char *path, size_t *length) {
    FILE *file = fopen(path, "re");
    char *text = file != NULL ? malloc(DOCUMENTS_TEXT_MAX) : NULL;
    *length = text != NULL ? fread(text, 1, DOCUMENTS_TEXT_MAX, file) : 0;
    if (text == NULL || ferror(file) || *length == DOCUMENTS_TEXT_MAX) {
        const char *why =
            text != NULL && *length == DOCUMENTS_TEXT_MAX ? "more than 16 MiB" : strerror(errno);
        fprintf(stderr, "roundhouse %s: %s: %s\n", documents->command, path, why);
        free(text);
        text = NULL;
    }
    if (file != NULL)
        (void)fclose(file);
    return text;
}

static int own_file(struct documents *documents, int option, const char *path) {
    struct map_error error = {""};
    size_t length;
    char *text = documents_text(documents, path, &length);
    if (text == NULL)
        return CLI_CONFIG;
    static bool (*const adds[])(struct formats *, const char *, const char *, size_t, struct map_error *) = {
        formats_add_map, formats_add_layout, formats_add_dialect, formats_add_fixed};
    bool taken = adds[option - DOCUMENTS_MAP](documents->formats, path, text, length, &error);
    free(text);
    if (taken)
        return CLI_OK;
    fprintf(stderr, "roundhouse %s: %s\n", documents->command, error.text);
    return CLI_CONFIG;
}

int documents_option(struct documents *documents, int option, char *value) {
    if (option == DOCUMENTS_TOLERATE)
        return tolerate(documents, value);
    if (option == DOCUMENTS_LENIENT)
        profile_tolerate_all(&documents->profile);
    if (option == DOCUMENTS_CHARSET)
        documents->profile.charset = value;
    if (option < DOCUMENTS_MAP)
        return CLI_OK;
    return own_file(documents, option, value);
}

int documents_ready(struct documents *documents) {
    struct map_error error = {""};
    if (formats_ready(documents->formats, &error))
        return CLI_OK;
    fprintf(stderr, "roundhouse %s: %s\n", documents->command, error.text);
    return CLI_CONFIG;
}

/* ---- files ---- */

static void documents_failed(struct documents *documents, int error) {
    fprintf(stderr, "roundhouse %s: %s: %s\n", documents->command, documents->file, strerror(error));
    if (documents->status != CLI_INTERNAL)
        documents->status = error == ENOMEM ? CLI_INTERNAL : CLI_DATA;
}

static int documents_open(const char *path) {
    return strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
}

static ssize_t piece_read(int fd, uint8_t *bytes, size_t most) {
    ssize_t n;
    do
        n = read(fd, bytes, most);
    while (n < 0 && errno == EINTR);
    return n;
}

/* As many bytes as it takes to say what the file is. */
static ssize_t head_read(int fd, uint8_t *bytes) {
    size_t length = 0;
    ssize_t n = 1;
    while (length < SNIFF_BYTES && n > 0 &&
           (n = piece_read(fd, bytes + length, DOCUMENTS_PIECE - length)) > 0)
        length += (size_t)n;
    return n < 0 ? n : (ssize_t)length;
}

static bool is_json(const struct documents *documents, const uint8_t *bytes, ssize_t n) {
    enum document_format format = n > 0 ? sniff(bytes, (size_t)n) : FORMAT_UNKNOWN;
    return formats_tables(documents->formats) == NULL &&
           (format == FORMAT_JSON || format == FORMAT_CLOUDEVENT_JSON);
}

/* 0, or a positive errno. */
static int documents_pump(const struct documents *documents, int fd, struct intake *intake,
                          const char **format) {
    uint8_t *bytes = malloc(DOCUMENTS_PIECE);
    int error = bytes != NULL ? 0 : ENOMEM;
    ssize_t n = error == 0 ? head_read(fd, bytes) : 0;
    bool json = error == 0 && is_json(documents, bytes, n);
    for (; error == 0 && n > 0; n = error == 0 ? piece_read(fd, bytes, DOCUMENTS_PIECE) : 0)
        error =
            json ? -json_in_feed(documents->json, bytes, (size_t)n) : -intake_feed(intake, bytes, (size_t)n);
    if (error == 0 && n < 0)
        error = errno;
    if (error == 0)
        error = json ? -json_in_end(documents->json) : -intake_end(intake, format);
    if (json && format != NULL)
        *format = "json";
    free(bytes);
    return error;
}

bool documents_read(struct documents *documents, const char *path, const struct document_sink *sink,
                    const char **format) {
    documents->file = strcmp(path, "-") == 0 ? "standard input" : path;
    struct intake *intake = intake_new(documents->formats, &documents->profile, sink);
    int fd = intake != NULL ? documents_open(path) : -1;
    int error = intake == NULL ? ENOMEM : fd < 0 ? errno : documents_pump(documents, fd, intake, format);
    if (fd >= 0)
        (void)close(fd);
    intake_free(intake);
    if (error != 0)
        documents_failed(documents, error);
    return error == 0;
}

bool documents_digest(const char *path, uint8_t digest[32]) {
    struct stat about;
    int fd = strcmp(path, "-") != 0 && stat(path, &about) == 0 && S_ISREG(about.st_mode)
                 ? open(path, O_RDONLY | O_CLOEXEC)
                 : -1;
    uint8_t *bytes = fd >= 0 ? malloc(DOCUMENTS_PIECE) : NULL;
    struct erp_digest *made = bytes != NULL ? erp_digest_new() : NULL;
    ssize_t n = -1;
    while (made != NULL && (n = piece_read(fd, bytes, DOCUMENTS_PIECE)) > 0)
        erp_digest_add(made, bytes, (size_t)n);
    if (n == 0)
        erp_digest_take(made, digest);
    erp_digest_free(made);
    free(bytes);
    if (fd >= 0)
        (void)close(fd);
    return n == 0;
}

/* ---- findings ---- */

/* What stood there, as one can print it. */
static void value_put(FILE *out, const char *before, struct value value) {
    uint32_t length = value.length < FINDING_VALUE_MAX ? value.length : FINDING_VALUE_MAX;
    if (length == 0)
        return;
    fprintf(out, "%s'", before);
    for (uint32_t i = 0; i < length; i++) {
        uint8_t byte = value.bytes[i];
        if (byte < ' ' || byte == 0x7f)
            fprintf(out, "\\x%02x", byte);
        else
            (void)putc(byte, out);
    }
    fputs(length < value.length ? "...'" : "'", out);
}

static void place_put(FILE *out, const struct finding *finding) {
    const struct place *place = &finding->place;
    const char *between = " (";
    if (finding->segment.length > 0) {
        fprintf(out, "%ssegment %.*s", between, (int)finding->segment.length,
                (const char *)finding->segment.bytes);
        between = ", ";
    }
    const struct {
        const char *name;
        uint32_t number;
    } numbers[] = {{"number", place->segment}, {"element", place->element}, {"component", place->component}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].number != 0) {
            fprintf(out, "%s%s %" PRIu32, between, numbers[i].name, numbers[i].number);
            between = ", ";
        }
    fprintf(out, "%sbyte %" PRIu64 ")", between, place->offset);
}

void documents_finding(const struct documents *documents, const struct finding *finding, FILE *out) {
    static const char *const severities[] = {"note", "warning", "error"};
    const struct finding_kind *kind = finding_kind(finding->code);
    fprintf(out, "%s:", documents->file);
    if (finding->place.line != 0)
        fprintf(out, "%" PRIu32 ":", finding->place.line);
    fprintf(out, " %s %s: %s", severities[finding->severity], kind->name, kind->text);
    value_put(out, ": there is ", finding->found);
    value_put(out, ", not ", finding->expected);
    place_put(out, finding);
    if (kind->hint[0] != '\0')
        fprintf(out, "; %s", kind->hint);
    (void)putc('\n', out);
}
