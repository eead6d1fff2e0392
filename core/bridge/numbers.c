#include "core/bridge/numbers.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_LINE    "roundhouse interchange numbers 1\n"
#define NEW_FILE      NUMBERS_FILE ".new"
#define RESERVE       100u                 /* numbers that one sync pays for */
#define LINES_MOST    (2 * NUMBERS_RECENT) /* then the file is written anew */
#define LINE_BYTES    64u
#define DOCUMENT_LINE "%09" PRIu32 " %016" PRIx64 "%016" PRIx64 "\n"
#define DOCUMENT_SIZE 43u

struct numbers {
    int dir, fd; /* fd < 0: what is in the file is not what is here */
    uint32_t last, spare, lines;
    uint32_t count, next; /* of the ring: in use, and the place that is taken next */
    uint32_t number[NUMBERS_RECENT];
    uint64_t low[NUMBERS_RECENT], high[NUMBERS_RECENT];
};

static uint32_t number_after(uint32_t number, uint32_t step) {
    return (number + step - 1) % NUMBERS_MOST + 1;
}

static void ring_add(struct numbers *numbers, struct numbers_key key, uint32_t number) {
    uint32_t at = numbers->next;
    numbers->number[at] = number;
    numbers->low[at] = key.low;
    numbers->high[at] = key.high;
    numbers->next = (at + 1) % NUMBERS_RECENT;
    numbers->count += numbers->count < NUMBERS_RECENT;
}

/* ---- reading ---- */

static bool number_read(const char *text, int digits, int base, uint64_t *value) {
    char copy[20], *end;
    (void)snprintf(copy, sizeof copy, "%.*s", digits, text);
    *value = strtoull(copy, &end, base);
    return strlen(copy) == (size_t)digits && *end == '\0';
}

/* What a crash has left of a line is passed over. */
static void line_read(struct numbers *numbers, const char *line, size_t length, uint32_t *reserved) {
    static const char reserve[] = "reserve ", end[] = "end ";
    uint64_t number, low, high;
    if (length == 0 || line[length - 1] != '\n')
        return;
    size_t word = strncmp(line, reserve, sizeof reserve - 1) == 0 ? sizeof reserve - 1
                  : strncmp(line, end, sizeof end - 1) == 0       ? sizeof end - 1
                                                                  : 0;
    if (word > 0 && number_read(line + word, 9, 10, &number))
        *reserved = (uint32_t)number;
    if (word == 0 && length == DOCUMENT_SIZE && number_read(line, 9, 10, &number) &&
        number_read(line + 10, 16, 16, &high) && number_read(line + 26, 16, 16, &low))
        ring_add(numbers, (struct numbers_key){.low = low, .high = high}, (uint32_t)number);
}

/* Nobody knows which of the numbers that were reserved went out, so none of them does again. */
static bool file_read(struct numbers *numbers, FILE *file) {
    char *line = NULL;
    size_t room = 0;
    ssize_t length = getline(&line, &room, file);
    uint32_t reserved = 0;
    bool ours = length > 0 && strcmp(line, FIRST_LINE) == 0;
    while (ours && (length = getline(&line, &room, file)) > 0)
        line_read(numbers, line, (size_t)length, &reserved);
    numbers->last = reserved;
    free(line);
    return ours && feof(file) != 0;
}

/* ---- writing ---- */

static int line_add(struct numbers *numbers, const char *line, size_t length, bool sync) {
    ssize_t n = write(numbers->fd, line, length);
    int error = n == (ssize_t)length ? 0 : n < 0 ? errno : ENOSPC;
    if (error == 0 && sync && fdatasync(numbers->fd) != 0)
        error = errno;
    numbers->lines++;
    if (error == 0)
        return 0;
    (void)close(numbers->fd); /* all of it is written anew */
    numbers->fd = -1;
    return -error;
}

static bool file_write(const struct numbers *numbers, FILE *file) {
    uint32_t at = numbers->count < NUMBERS_RECENT ? 0 : numbers->next;
    bool good = fputs(FIRST_LINE, file) >= 0;
    for (uint32_t i = 0; good && i < numbers->count; i++, at = (at + 1) % NUMBERS_RECENT)
        good = fprintf(file, DOCUMENT_LINE, numbers->number[at], numbers->high[at], numbers->low[at]) > 0;
    good = good && fprintf(file, "end %09" PRIu32 "\n", numbers->last) > 0;
    return good && fflush(file) == 0 && fsync(fileno(file)) == 0;
}

/* The next number is reserved anew. */
static int file_renew(struct numbers *numbers) {
    int fd = openat(numbers->dir, NEW_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (numbers->fd >= 0)
        (void)close(numbers->fd);
    numbers->fd = -1;
    numbers->spare = 0;
    bool good = file != NULL && file_write(numbers, file);
    int error = good ? 0 : errno;
    if (file != NULL && fclose(file) != 0 && error == 0)
        error = errno;
    else if (file == NULL && fd >= 0)
        (void)close(fd);
    if (error == 0 &&
        (renameat(numbers->dir, NEW_FILE, numbers->dir, NUMBERS_FILE) != 0 || fsync(numbers->dir) != 0))
        error = errno;
    if (error == 0 && (numbers->fd = openat(numbers->dir, NUMBERS_FILE, O_WRONLY | O_APPEND | O_CLOEXEC)) < 0)
        error = errno;
    numbers->lines = numbers->count;
    return -error;
}

static int reserve(struct numbers *numbers) {
    char line[LINE_BYTES];
    int n = snprintf(line, sizeof line, "reserve %09" PRIu32 "\n", number_after(numbers->last, RESERVE));
    int result = line_add(numbers, line, (size_t)n, true);
    numbers->spare = result == 0 ? RESERVE : 0;
    return result;
}

int numbers_take(struct numbers *numbers, struct numbers_key key, uint32_t *number) {
    char line[LINE_BYTES];
    for (uint32_t i = 0; i < numbers->count; i++)
        if (numbers->low[i] == key.low && numbers->high[i] == key.high) {
            *number = numbers->number[i];
            return 0;
        }
    int result = numbers->fd < 0 || numbers->lines >= LINES_MOST ? file_renew(numbers) : 0;
    if (result == 0 && numbers->spare == 0)
        result = reserve(numbers);
    if (result != 0)
        return result;
    uint32_t next = number_after(numbers->last, 1);
    int n = snprintf(line, sizeof line, DOCUMENT_LINE, next, key.high, key.low);
    result = line_add(numbers, line, (size_t)n, false);
    if (result != 0)
        return result;
    numbers->last = next;
    numbers->spare--;
    ring_add(numbers, key, next);
    *number = next;
    return 0;
}

/* ---- making and freeing ---- */

static bool numbers_load(struct numbers *numbers, const char *dir, char *why, size_t why_bytes) {
    int fd = openat(numbers->dir, NUMBERS_FILE, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return true;
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
    const char *wrong = file == NULL ? strerror(errno) : "it is no file of interchange numbers";
    bool good = file != NULL && file_read(numbers, file);
    if (!good)
        (void)snprintf(why, why_bytes, "%s/%s can not be read: %s", dir, NUMBERS_FILE, wrong);
    if (file != NULL)
        (void)fclose(file);
    else if (fd >= 0)
        (void)close(fd);
    return good;
}

struct numbers *numbers_open(const char *dir, char *why, size_t why_bytes) {
    struct numbers *numbers = calloc(1, sizeof *numbers);
    if (numbers == NULL) {
        (void)snprintf(why, why_bytes, "out of memory");
        return NULL;
    }
    numbers->fd = -1;
    numbers->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = numbers->dir < 0 ? -errno : 0;
    if (result == 0 && numbers_load(numbers, dir, why, why_bytes)) {
        result = file_renew(numbers);
        if (result == 0)
            return numbers;
    }
    if (result != 0)
        (void)snprintf(why, why_bytes, "%s/%s can not be written: %s", dir, NUMBERS_FILE, strerror(-result));
    if (numbers->fd >= 0)
        (void)close(numbers->fd);
    if (numbers->dir >= 0)
        (void)close(numbers->dir);
    free(numbers);
    return NULL;
}

void numbers_close(struct numbers *numbers) {
    char line[LINE_BYTES];
    if (numbers == NULL)
        return;
    int n = snprintf(line, sizeof line, "end %09" PRIu32 "\n", numbers->last);
    if (numbers->fd >= 0)
        (void)line_add(numbers, line, (size_t)n, true); /* else some are left out the next time */
    if (numbers->fd >= 0)
        (void)close(numbers->fd);
    (void)close(numbers->dir);
    free(numbers);
}
