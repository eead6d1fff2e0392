#include "core/admin/token.h"

#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/logfmt.h"
#include "core/base/read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *file_wrong(const struct stat *seen) {
    if (!S_ISREG(seen->st_mode))
        return "it is not a file";
    if (seen->st_uid != geteuid() && seen->st_uid != 0)
        return "it belongs to another user; chown it to the one that the router runs as";
    if ((seen->st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return "others can read or write it; chmod 600 it";
    return NULL;
}

/* NULL, or what is wrong with it. */
static const char *text_wrong(const char *text, size_t *length) {
    if (*length > 0 && text[*length - 1] == '\n')
        --*length;
    if (*length > 0 && text[*length - 1] == '\r')
        --*length;
    if (*length < TOKEN_BYTES_MIN)
        return "a token has at least 16 characters; openssl rand -hex 32 makes one";
    if (*length > TOKEN_BYTES_MAX)
        return "a token has at most 256 characters";
    for (size_t i = 0; i < *length; i++)
        if (text[i] < '!' || text[i] > '~')
            return "a token is one line of printable ASCII without blanks";
    return NULL;
}

/* NULL, or what is wrong; the token is replaced only where nothing is. */
static const char *reread(struct token *token, const char *path) {
    char text[TOKEN_BYTES_MAX + 4];
    struct stat seen;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return strerror(errno);
    const char *wrong = fstat(fd, &seen) != 0 ? strerror(errno) : file_wrong(&seen);
    ssize_t n = wrong == NULL ? read_to_end(fd, text, sizeof text) : 0;
    size_t length = n > 0 ? (size_t)n : 0;
    if (n < 0)
        wrong = strerror((int)-n);
    if (wrong == NULL)
        wrong = text_wrong(text, &length);
    if (wrong == NULL) {
        explicit_bzero(token->text, sizeof token->text);
        memcpy(token->text, text, length);
        token->length = length;
        token->seen = seen;
    }
    explicit_bzero(text, sizeof text);
    close(fd);
    return wrong;
}

bool token_read(struct token *token, const char *path, char *why, size_t why_bytes) {
    *token = (struct token){.looked_ns = clock_mono_ns()};
    const char *wrong = reread(token, path);
    if (wrong != NULL)
        (void)snprintf(why, why_bytes, "the token in %s can not be used: %s", path, wrong);
    return wrong == NULL;
}

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_mode == b->st_mode && a->st_uid == b->st_uid;
}

void token_look(struct token *token, const char *path, uint64_t now_ns) {
    struct stat now;
    if (now_ns - token->looked_ns < NS_PER_S)
        return;
    token->looked_ns = now_ns;
    const char *wrong = NULL;
    if (stat(path, &now) != 0)
        wrong = strerror(errno);
    else if (!same_file(&now, &token->seen))
        wrong = reread(token, path);
    if (wrong != NULL && !token->lost) {
        char file[512], reason[256];
        logfmt(LOGFMT_WARN, "admin token not readable, the old one stays", "file=%s reason=%s",
               logfmt_quote(file, sizeof file, path, strlen(path)),
               logfmt_quote(reason, sizeof reason, wrong, strlen(wrong)));
    }
    token->lost = wrong != NULL;
}

bool token_same(const struct token *token, const char *text, size_t length) {
    /* The sum must be looked at once only, or the compiler may leave the loop early. */
    volatile unsigned char other = length != token->length;
    for (size_t i = 0; i < length; i++)
        other |= (unsigned char)(text[i] ^ token->text[i % sizeof token->text]);
    return other == 0;
}

void token_wipe(struct token *token) {
    explicit_bzero(token, sizeof *token);
}
