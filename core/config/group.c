#include "core/config/group.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

bool group_file_read(const char *folder, const char *name, char *out, size_t size) {
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path)
        return false;
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t got = fread(out, 1, size - 1, file);
    out[got] = '\0';
    fclose(file);
    return got > 0;
}

const char *group_membership(char out[static GROUP_MEMBERSHIP_BYTES]) {
    if (!group_file_read("/proc/self", "cgroup", out, GROUP_MEMBERSHIP_BYTES))
        out[0] = '\0';
    return out;
}

/* The group of version 2 is the line "0::/PATH". */
static bool group_path(const char *membership, char *out, size_t size) {
    const char *line = strncmp(membership, "0::/", 4) == 0 ? membership : strstr(membership, "\n0::/");
    if (!line)
        return false;
    line += line[0] == '\n' ? 4 : 3;
    size_t length = strcspn(line, "\n");
    if (length >= size)
        return false;
    memcpy(out, line, length);
    out[length] = '\0';
    return true;
}

uint64_t group_least(const char *membership, const char *root, uint64_t (*limit_of)(const char *folder)) {
    char folder[PATH_MAX];
    size_t root_length = strlen(root);
    if (root_length >= sizeof folder)
        return GROUP_NO_LIMIT;
    memcpy(folder, root, root_length + 1);
    if (!group_path(membership, folder + root_length, sizeof folder - root_length))
        return GROUP_NO_LIMIT;
    uint64_t least = GROUP_NO_LIMIT;
    for (;;) {
        uint64_t here = limit_of(folder);
        least = here < least ? here : least;
        char *slash = strrchr(folder + root_length, '/');
        if (!slash)
            return least;
        *slash = '\0';
    }
}
