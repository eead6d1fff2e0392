#include "core/journal/trouble.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int trouble_set(struct journal_trouble *trouble, enum trouble_status status, const char *format, ...) {
    va_list arguments;
    trouble->status = (int)status;
    va_start(arguments, format);
    (void)vsnprintf(trouble->text, sizeof trouble->text, format, arguments);
    va_end(arguments);
    return -1;
}

static const char *trouble_advice(int error) {
    switch (error) {
    case -EACCES:
    case -EPERM:
        return "; the directory and its files must be readable and writable for this user";
    case -EROFS:
        return "; a journal needs a file system that can be written";
    case -ENOSPC:
    case -EDQUOT:
        return "; make room, a new journal needs two segments for each log";
    case -ENOENT:
        return "; the directory above it must be there";
    default:
        return "";
    }
}

int trouble_disk(struct journal_trouble *trouble, int error, const char *what, const char *name) {
    return trouble_set(trouble, TROUBLE_DISK, "%s %s: %s%s", what, name, strerror(-error),
                       trouble_advice(error));
}
