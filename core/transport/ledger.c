#include "core/transport/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#define LEDGER_LINE_BYTES 2048u /* two names of 255 bytes, each byte as %XX, and what else a line has */
#define LEDGER_SLACK      1024u /* lines more than needed until it is written anew */
#define LEDGER_NONE       UINT32_MAX

/* Contents are a ring, the oldest is overwritten; `heads` leads to them by their first bytes. */
struct content {
    uint8_t digest[LEDGER_DIGEST_BYTES];
    uint64_t at_ms;
    uint32_t next; /* older one with the same head, or LEDGER_NONE */
};

struct pending {
    struct pending *next;
    struct ledger_file file;
};

struct ledger {
    const struct folder *place; /* borrowed; NULL: not loaded */
    char name[FOLDER_NAME_BYTES];
    int fd;      /* owns; -1: none */
    bool broken; /* the file does not say all: it is written anew first */
    uint64_t length, lines;
    uint64_t age_ms;
    uint32_t capacity, count, oldest;
    uint32_t mask;
    struct content *contents; /* owns */
    uint32_t *heads;          /* owns */
    struct pending *pending;  /* owns; few: files that could not be moved */
};

struct ledger *ledger_new(uint32_t contents, uint64_t age_ms) {
    struct ledger *ledger = calloc(1, sizeof *ledger);
    if (ledger == NULL)
        return NULL;
    uint32_t heads = 16;
    while (heads < contents)
        heads *= 2;
    ledger->fd = -1;
    ledger->capacity = contents;
    ledger->age_ms = age_ms;
    ledger->mask = heads - 1;
    ledger->contents = calloc(contents, sizeof *ledger->contents);
    ledger->heads = malloc(heads * sizeof *ledger->heads);
    if (ledger->contents == NULL || ledger->heads == NULL) {
        ledger_free(ledger);
        return NULL;
    }
    memset(ledger->heads, 0xff, heads * sizeof *ledger->heads);
    return ledger;
}

static void pending_clear(struct ledger *ledger) {
    while (ledger->pending != NULL) {
        struct pending *next = ledger->pending->next;
        free(ledger->pending);
        ledger->pending = next;
    }
}

void ledger_free(struct ledger *ledger) {
    if (ledger == NULL)
        return;
    if (ledger->fd >= 0)
        (void)close(ledger->fd);
    pending_clear(ledger);
    free(ledger->contents);
    free(ledger->heads);
    free(ledger);
}

/* ---- contents ---- */

static uint32_t *head_of(const struct ledger *ledger, const uint8_t *digest) {
    uint32_t first;
    memcpy(&first, digest, sizeof first);
    return &ledger->heads[first & ledger->mask];
}

static struct content *content_find(const struct ledger *ledger, const uint8_t *digest) {
    for (uint32_t at = *head_of(ledger, digest); at != LEDGER_NONE; at = ledger->contents[at].next)
        if (memcmp(ledger->contents[at].digest, digest, LEDGER_DIGEST_BYTES) == 0)
            return &ledger->contents[at];
    return NULL;
}

/* The oldest is the last one behind its head: those that came later stand before it. */
static uint32_t content_drop_oldest(struct ledger *ledger) {
    uint32_t slot = ledger->oldest;
    uint32_t *link = head_of(ledger, ledger->contents[slot].digest);
    while (*link != slot)
        link = &ledger->contents[*link].next;
    *link = ledger->contents[slot].next;
    ledger->oldest = (slot + 1) % ledger->capacity;
    return slot;
}

/* True: it is new. */
static bool content_add(struct ledger *ledger, const uint8_t *digest, uint64_t at_ms) {
    struct content *known = content_find(ledger, digest);
    if (known != NULL) {
        known->at_ms = at_ms;
        return false;
    }
    uint32_t slot = ledger->count < ledger->capacity ? ledger->count++ : content_drop_oldest(ledger);
    struct content *content = &ledger->contents[slot];
    uint32_t *head = head_of(ledger, digest);
    memcpy(content->digest, digest, LEDGER_DIGEST_BYTES);
    content->at_ms = at_ms;
    content->next = *head;
    *head = slot;
    return true;
}

bool ledger_remembers(const struct ledger *ledger, const uint8_t digest[LEDGER_DIGEST_BYTES],
                      uint64_t now_ms) {
    const struct content *content = content_find(ledger, digest);
    return content != NULL && (now_ms <= content->at_ms || now_ms - content->at_ms <= ledger->age_ms);
}

/* ---- lines: CHECKSUM KIND FIELDS ---- */

static void hex_write(char *out, const uint8_t *bytes, size_t n) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = '\0';
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex_read(const char *text, uint8_t *out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int high = hex_digit(text[2 * i]), low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);
        if (low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return text[2 * n] == '\0';
}

/* A name is any bytes: those that would break a line are %XX. */
static void name_write(char *out, const char *name) {
    for (; *name != '\0'; name++) {
        const uint8_t byte = (uint8_t)*name;
        if (byte <= ' ' || byte == '%' || byte == 0x7f) {
            *out++ = '%';
            hex_write(out, &byte, 1);
            out += 2;
        } else {
            *out++ = *name;
        }
    }
    *out = '\0';
}

static bool name_read(const char *text, char out[FOLDER_NAME_BYTES]) {
    size_t n = 0;
    for (; *text != '\0' && n < FOLDER_NAME_BYTES - 1; n++) {
        if (*text != '%') {
            out[n] = *text++;
            continue;
        }
        int high = hex_digit(text[1]), low = high < 0 ? -1 : hex_digit(text[2]);
        if (low < 0)
            return false;
        out[n] = (char)(high << 4 | low);
        text += 3;
    }
    out[n] = '\0';
    return *text == '\0' && n > 0;
}

/* Puts the checksum in front and the line's end behind. Returns the length. */
static size_t line_close(char line[LEDGER_LINE_BYTES], int length) {
    char sum[17];
    CHECK(length > 17 && (size_t)length + 1 < LEDGER_LINE_BYTES);
    (void)snprintf(sum, sizeof sum, "%016" PRIx64, XXH3_64bits(line + 17, (size_t)length - 17));
    memcpy(line, sum, 16);
    line[16] = ' ';
    line[length] = '\n';
    return (size_t)length + 1;
}

#define LINE_ROOM "................ " /* where the checksum goes */

static size_t line_settled(char line[LEDGER_LINE_BYTES], const struct ledger_file *file) {
    char digest[2 * LEDGER_DIGEST_BYTES + 1], name[3 * FOLDER_NAME_BYTES], target[3 * FOLDER_NAME_BYTES];
    hex_write(digest, file->digest, LEDGER_DIGEST_BYTES);
    name_write(name, file->name);
    name_write(target, file->target);
    return line_close(line, snprintf(line, LEDGER_LINE_BYTES,
                                     LINE_ROOM "%s %s %" PRIu64 " %" PRIu64 " %" PRId64 " %s %s",
                                     file->outcome == LEDGER_DONE ? "done" : "rejected", digest, file->inode,
                                     file->size, file->modified_ns, name, target));
}

static size_t line_moved(char line[LEDGER_LINE_BYTES], const struct ledger_file *file) {
    char name[3 * FOLDER_NAME_BYTES];
    name_write(name, file->name);
    return line_close(line,
                      snprintf(line, LEDGER_LINE_BYTES, LINE_ROOM "moved %" PRIu64 " %s", file->inode, name));
}

static size_t line_content(char line[LEDGER_LINE_BYTES], const uint8_t *digest, uint64_t at_ms) {
    char text[2 * LEDGER_DIGEST_BYTES + 1];
    hex_write(text, digest, LEDGER_DIGEST_BYTES);
    return line_close(line, snprintf(line, LEDGER_LINE_BYTES, LINE_ROOM "content %s %" PRIu64, text, at_ms));
}

/* ---- writing ---- */

/* All that is known, as a text of its own; NULL: no memory. */
static char *ledger_text(const struct ledger *ledger, size_t *length, uint64_t *lines) {
    char *text = NULL, line[LEDGER_LINE_BYTES];
    FILE *out = open_memstream(&text, length);
    if (out == NULL)
        return NULL;
    *lines = 0;
    for (uint32_t i = 0; i < ledger->count; i++, ++*lines) {
        const struct content *content = &ledger->contents[(ledger->oldest + i) % ledger->capacity];
        size_t n = line_content(line, content->digest, content->at_ms);
        (void)fwrite(line, 1, n, out);
    }
    for (const struct pending *pending = ledger->pending; pending != NULL;
         pending = pending->next, ++*lines) {
        size_t n = line_settled(line, &pending->file);
        (void)fwrite(line, 1, n, out);
    }
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}

static int ledger_open(struct ledger *ledger) {
    if (ledger->fd >= 0)
        (void)close(ledger->fd);
    ledger->fd = openat(ledger->place->fd, ledger->name, O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
    return ledger->fd >= 0 ? 0 : -errno;
}

static int ledger_write_anew(struct ledger *ledger) {
    char temporary[FOLDER_NAME_BYTES + 8];
    size_t length = 0;
    uint64_t lines = 0;
    char *text = ledger_text(ledger, &length, &lines);
    if (text == NULL)
        return -ENOMEM;
    ledger->broken = true;
    (void)snprintf(temporary, sizeof temporary, "%s.tmp", ledger->name);
    int result = folder_write(ledger->place, temporary, ledger->name, text, length, true);
    free(text);
    if (result == 0)
        result = ledger_open(ledger);
    if (result != 0)
        return result;
    ledger->broken = false;
    ledger->length = length;
    ledger->lines = lines;
    return 0;
}

/* One more line, or all of them anew: memory has been changed before, so that has the line, too. A line that
 * was cut is taken away again, or closed by what is written anew. */
static int ledger_add(struct ledger *ledger, const char *line, size_t length) {
    if (ledger->place == NULL || ledger->place->fd < 0) {
        ledger->broken = true;
        return -EBADF;
    }
    if (ledger->broken || ledger->fd < 0 || ledger->lines > 2 * (uint64_t)ledger->count + LEDGER_SLACK)
        return ledger_write_anew(ledger);
    int result = folder_write_all(ledger->fd, line, length);
    if (result != 0) {
        ledger->broken = true;
        (void)!ftruncate(ledger->fd, (off_t)ledger->length);
        return result;
    }
    ledger->length += length;
    ledger->lines++;
    return 0;
}

static struct pending **pending_find(struct ledger *ledger, const char *name, uint64_t inode) {
    struct pending **link = &ledger->pending;
    while (*link != NULL && ((*link)->file.inode != inode || strcmp((*link)->file.name, name) != 0))
        link = &(*link)->next;
    return link;
}

static int pending_add(struct ledger *ledger, const struct ledger_file *file) {
    struct pending **link = pending_find(ledger, file->name, file->inode);
    if (*link == NULL) {
        *link = calloc(1, sizeof **link);
        if (*link == NULL)
            return -ENOMEM;
    }
    (*link)->file = *file;
    return 0;
}

static void pending_remove(struct ledger *ledger, const char *name, uint64_t inode) {
    struct pending **link = pending_find(ledger, name, inode), *gone = *link;
    if (gone != NULL) {
        *link = gone->next;
        free(gone);
    }
}

int ledger_settled(struct ledger *ledger, const struct ledger_file *file) {
    char line[LEDGER_LINE_BYTES];
    int result = pending_add(ledger, file);
    return result != 0 ? result : ledger_add(ledger, line, line_settled(line, file));
}

int ledger_moved(struct ledger *ledger, const struct ledger_file *file) {
    char line[LEDGER_LINE_BYTES];
    pending_remove(ledger, file->name, file->inode);
    return ledger_add(ledger, line, line_moved(line, file));
}

int ledger_remember(struct ledger *ledger, const uint8_t digest[LEDGER_DIGEST_BYTES], uint64_t now_ms) {
    char line[LEDGER_LINE_BYTES];
    (void)content_add(ledger, digest, now_ms);
    return ledger_add(ledger, line, line_content(line, digest, now_ms));
}

int ledger_sync(struct ledger *ledger) {
    if (ledger->fd < 0 || ledger->broken)
        return ledger->place != NULL && ledger->place->fd >= 0 ? ledger_write_anew(ledger) : -EBADF;
    return fdatasync(ledger->fd) == 0 ? 0 : -errno;
}

/* ---- reading ---- */

static bool take_file(struct ledger *ledger, char *rest, enum ledger_outcome outcome) {
    struct ledger_file file = {.outcome = outcome};
    char *words[6], *save = NULL;
    for (size_t i = 0; i < 6; i++) {
        words[i] = strtok_r(i == 0 ? rest : NULL, " ", &save);
        if (words[i] == NULL)
            return false;
    }
    file.inode = strtoull(words[1], NULL, 10);
    file.size = strtoull(words[2], NULL, 10);
    file.modified_ns = strtoll(words[3], NULL, 10);
    return hex_read(words[0], file.digest, LEDGER_DIGEST_BYTES) && name_read(words[4], file.name) &&
           name_read(words[5], file.target) && pending_add(ledger, &file) == 0;
}

static bool take_moved(struct ledger *ledger, char *rest) {
    char name[FOLDER_NAME_BYTES], *end = rest;
    uint64_t inode = strtoull(rest, &end, 10);
    if (*end != ' ' || !name_read(end + 1, name))
        return false;
    pending_remove(ledger, name, inode);
    return true;
}

static bool take_content(struct ledger *ledger, char *rest) {
    uint8_t digest[LEDGER_DIGEST_BYTES];
    char *at = strchr(rest, ' ');
    if (at == NULL)
        return false;
    *at = '\0';
    if (!hex_read(rest, digest, sizeof digest))
        return false;
    (void)content_add(ledger, digest, strtoull(at + 1, NULL, 10));
    return true;
}

/* `line` ends in a zero byte instead of its newline. */
static bool take_line(struct ledger *ledger, char *line, size_t length) {
    char sum[17];
    if (length < 18 || line[16] != ' ')
        return false;
    (void)snprintf(sum, sizeof sum, "%016" PRIx64, XXH3_64bits(line + 17, length - 17));
    if (memcmp(sum, line, 16) != 0)
        return false;
    char *rest = strchr(line + 17, ' ');
    if (rest == NULL)
        return false;
    *rest++ = '\0';
    const char *kind = line + 17;
    if (strcmp(kind, "content") == 0)
        return take_content(ledger, rest);
    if (strcmp(kind, "moved") == 0)
        return take_moved(ledger, rest);
    if (strcmp(kind, "done") == 0)
        return take_file(ledger, rest, LEDGER_DONE);
    return strcmp(kind, "rejected") == 0 && take_file(ledger, rest, LEDGER_REJECTED);
}

/* What is not whole, or not ours, makes the file be written anew. */
static int ledger_read(struct ledger *ledger) {
    int copy = fcntl(ledger->fd, F_DUPFD_CLOEXEC, 0);
    FILE *in = copy < 0 ? NULL : fdopen(copy, "r");
    if (in == NULL) {
        int result = -errno;
        if (copy >= 0)
            (void)close(copy);
        return result;
    }
    char *line = NULL;
    size_t room = 0;
    for (ssize_t n; (n = getline(&line, &room, in)) > 0;) {
        bool whole = line[n - 1] == '\n';
        if (whole)
            line[n - 1] = '\0';
        if (!whole || !take_line(ledger, line, (size_t)n - 1))
            ledger->broken = true;
        ledger->length += (uint64_t)n;
        ledger->lines++;
    }
    int result = ferror(in) ? -EIO : 0;
    free(line);
    (void)fclose(in);
    return result;
}

int ledger_load(struct ledger *ledger, const struct folder *place, const char *name,
                void (*found)(void *user, const struct ledger_file *file), void *user) {
    ledger->place = place;
    ledger->length = ledger->lines = 0;
    (void)snprintf(ledger->name, sizeof ledger->name, "%s", name);
    int result = ledger_open(ledger);
    if (result == 0)
        result = ledger_read(ledger);
    else if (result == -ENOENT)
        result = ledger_write_anew(ledger);
    if (result == 0 && ledger->broken)
        result = ledger_write_anew(ledger);
    for (struct pending *pending = ledger->pending, *next; pending != NULL; pending = next) {
        next = pending->next; /* the callback may say that it was moved */
        found(user, &pending->file);
    }
    return result;
}
