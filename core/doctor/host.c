#include "core/doctor/host.h"

#include "core/base/number.h"
#include "core/config/group.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TCP_LISTEN 0x0A

bool host_text(const struct doctor *doctor, const char *name, char *out, size_t size) {
    if (!group_file_read(doctor->root, name, out, size))
        return false;
    out[strcspn(out, "\n")] = '\0';
    return true;
}

bool host_numbers(const struct doctor *doctor, const char *name, uint64_t *numbers, uint32_t count) {
    char text[256];
    uint64_t read[8];
    if (count > sizeof read / sizeof read[0] || !host_text(doctor, name, text, sizeof text))
        return false;
    const char *at = text;
    for (uint32_t i = 0; i < count; i++) {
        at += strspn(at, " \t");
        size_t size = number_read(at, strlen(at), &read[i]);
        if (size == 0)
            return false;
        at += size;
    }
    memcpy(numbers, read, count * sizeof *numbers);
    return true;
}

bool host_number(const struct doctor *doctor, const char *name, uint64_t *number) {
    return host_numbers(doctor, name, number, 1);
}

bool host_line(const struct doctor *doctor, const char *name, const char *key, int base, uint64_t *number) {
    char text[8192];
    size_t length = strlen(key);
    if (!group_file_read(doctor->root, name, text, sizeof text))
        return false;
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += line[0] == '\n';
        if (strncmp(line, key, length) != 0 || line[length] != ':')
            continue;
        const char *at = line + length + 1 + strspn(line + length + 1, " \t");
        if (!isxdigit((unsigned char)*at))
            return false;
        *number = strtoull(at, NULL, base);
        return true;
    }
    return false;
}

/* ---- who has a port ---- */

/* The words of a line of /proc/net/tcp: "0: 0100007F:1176 00000000:0000 0A 0:0 0:0 0 UID TIMEOUT INODE ..."
 */
enum { WORD_LOCAL = 1, WORD_STATE = 3, WORD_INODE = 9 };

static const char *word_at(const char *line, uint32_t number) {
    line += strspn(line, " ");
    while (number-- > 0) {
        line += strcspn(line, " ");
        line += strspn(line, " ");
    }
    return line;
}

static bool line_listens(const char *line, uint16_t port, uint64_t *inode) {
    const char *local = word_at(line, WORD_LOCAL);
    const char *colon = memchr(local, ':', strcspn(local, " "));
    if (colon == NULL || strtoul(colon + 1, NULL, 16) != port ||
        strtoul(word_at(line, WORD_STATE), NULL, 16) != TCP_LISTEN)
        return false;
    const char *word = word_at(line, WORD_INODE);
    return number_read(word, strlen(word), inode) > 0;
}

static bool inode_in(const struct doctor *doctor, const char *name, uint16_t port, uint64_t *inode) {
    char path[PATH_MAX], line[512];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", doctor->root, name) >= sizeof path)
        return false;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    bool found = false;
    while (!found && fgets(line, sizeof line, file) != NULL)
        found = line_listens(line, port, inode);
    fclose(file);
    return found;
}

/* Whether one of the descriptors in /proc/PID/fd is that socket. */
static bool process_has(const char *folder, uint64_t inode) {
    char wanted[48], target[64];
    DIR *files = opendir(folder);
    bool has = false;
    if (files == NULL)
        return false;
    (void)snprintf(wanted, sizeof wanted, "socket:[%" PRIu64 "]", inode);
    for (const struct dirent *file; !has && (file = readdir(files)) != NULL;) {
        ssize_t length = readlinkat(dirfd(files), file->d_name, target, sizeof target - 1);
        target[length > 0 ? length : 0] = '\0';
        has = strcmp(target, wanted) == 0;
    }
    closedir(files);
    return has;
}

bool host_listener(const struct doctor *doctor, uint16_t port, char *out, size_t size) {
    char folder[PATH_MAX], name[64];
    uint64_t inode;
    if (!inode_in(doctor, "proc/net/tcp", port, &inode) && !inode_in(doctor, "proc/net/tcp6", port, &inode))
        return false;
    (void)snprintf(folder, sizeof folder, "%s/proc", doctor->root);
    DIR *processes = opendir(folder);
    bool found = false;
    if (processes == NULL)
        return false;
    for (const struct dirent *process; !found && (process = readdir(processes)) != NULL;) {
        if (!isdigit((unsigned char)process->d_name[0]))
            continue;
        (void)snprintf(folder, sizeof folder, "%s/proc/%.20s/fd", doctor->root, process->d_name);
        if (!process_has(folder, inode))
            continue;
        (void)snprintf(folder, sizeof folder, "proc/%.20s/comm", process->d_name);
        if (!host_text(doctor, folder, name, sizeof name))
            (void)snprintf(name, sizeof name, "a program");
        (void)snprintf(out, size, "%s (process %.20s)", name, process->d_name);
        found = true;
    }
    closedir(processes);
    return found;
}
