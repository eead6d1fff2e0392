#include "core/transport/ledger.h"

#include "core/transport/state_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    struct state_file file;
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
    state_file_init(&ledger->file, NULL, "");
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
    state_file_close(&ledger->file);
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

/* ---- lines: KIND FIELDS ---- */

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

static size_t line_settled(char line[LEDGER_LINE_BYTES], const struct ledger_file *file) {
    char digest[2 * LEDGER_DIGEST_BYTES + 1], name[3 * FOLDER_NAME_BYTES], target[3 * FOLDER_NAME_BYTES];
    hex_write(digest, file->digest, LEDGER_DIGEST_BYTES);
    name_write(name, file->name);
    name_write(target, file->target);
    return (size_t)snprintf(line, LEDGER_LINE_BYTES, "%s %s %" PRIu64 " %" PRIu64 " %" PRId64 " %s %s",
                            file->outcome == LEDGER_DONE ? "done" : "rejected", digest, file->inode,
                            file->size, file->modified_ns, name, target);
}

static size_t line_moved(char line[LEDGER_LINE_BYTES], const struct ledger_file *file) {
    char name[3 * FOLDER_NAME_BYTES];
    name_write(name, file->name);
    return (size_t)snprintf(line, LEDGER_LINE_BYTES, "moved %" PRIu64 " %s", file->inode, name);
}

static size_t line_content(char line[LEDGER_LINE_BYTES], const uint8_t *digest, uint64_t at_ms) {
    char text[2 * LEDGER_DIGEST_BYTES + 1];
    hex_write(text, digest, LEDGER_DIGEST_BYTES);
    return (size_t)snprintf(line, LEDGER_LINE_BYTES, "content %s %" PRIu64, text, at_ms);
}

/* ---- writing ---- */

/* All that is known. */
static bool lines_put(const void *user, FILE *out) {
    const struct ledger *ledger = user;
    char line[LEDGER_LINE_BYTES];
    for (uint32_t i = 0; i < ledger->count; i++) {
        const struct content *content = &ledger->contents[(ledger->oldest + i) % ledger->capacity];
        state_line_put(out, line, line_content(line, content->digest, content->at_ms));
    }
    for (const struct pending *pending = ledger->pending; pending != NULL; pending = pending->next)
        state_line_put(out, line, line_settled(line, &pending->file));
    return true;
}

/* One more line, or all of them anew: memory has been changed before, so that has the line, too. */
static int ledger_add(struct ledger *ledger, const char *line, size_t length) {
    if (ledger->file.place == NULL || ledger->file.place->fd < 0) {
        ledger->file.broken = true;
        return -EBADF;
    }
    return state_file_worn(&ledger->file, 2 * (uint64_t)ledger->count + LEDGER_SLACK)
               ? state_file_renew(&ledger->file, lines_put, ledger)
               : state_file_add(&ledger->file, line, length);
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
    const struct folder *place = ledger->file.place;
    if (ledger->file.fd >= 0 && !ledger->file.broken)
        return state_file_sync(&ledger->file);
    return place != NULL && place->fd >= 0 ? state_file_renew(&ledger->file, lines_put, ledger) : -EBADF;
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

static bool take_line(void *user, char *text, size_t length) {
    struct ledger *ledger = user;
    (void)length;
    char *rest = strchr(text, ' ');
    if (rest == NULL)
        return false;
    *rest++ = '\0';
    if (strcmp(text, "content") == 0)
        return take_content(ledger, rest);
    if (strcmp(text, "moved") == 0)
        return take_moved(ledger, rest);
    if (strcmp(text, "done") == 0)
        return take_file(ledger, rest, LEDGER_DONE);
    return strcmp(text, "rejected") == 0 && take_file(ledger, rest, LEDGER_REJECTED);
}

int ledger_load(struct ledger *ledger, const struct folder *place, const char *name,
                void (*found)(void *user, const struct ledger_file *file), void *user) {
    bool broken = ledger->file.broken;
    state_file_close(&ledger->file);
    state_file_init(&ledger->file, place, name);
    ledger->file.broken = broken;
    /* What is not whole, or not ours, makes the file be written anew. */
    int result = state_file_load(&ledger->file, take_line, ledger);
    if (result == -ENOENT || (result == 0 && ledger->file.broken))
        result = state_file_renew(&ledger->file, lines_put, ledger);
    for (struct pending *pending = ledger->pending, *next; pending != NULL; pending = next) {
        next = pending->next; /* the callback may say that it was moved */
        found(user, &pending->file);
    }
    return result;
}
