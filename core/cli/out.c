#include "core/cli/out.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* When poll says that there is room in a pipe, so much is taken without waiting. */
#define OUT_PIECE_BYTES ((size_t)PIPE_BUF)
#define OUT_PARTING_MS  200 /* after a signal, for a reader that is about to read on */

int out_init(struct out *out, int file) {
    *out = (struct out){.file = file};
    out->stream = open_memstream(&out->bytes, &out->size);
    return out->stream != NULL ? 0 : -errno;
}

void out_deinit(struct out *out) {
    if (out->stream != NULL)
        (void)fclose(out->stream);
    free(out->bytes);
    *out = (struct out){0};
}

/* 0: there is room, or an error that the write will tell. */
static int out_wait(const struct out *out, const sigset_t *while_waiting,
                    const volatile sig_atomic_t *signalled) {
    static const struct timespec parting = {.tv_nsec = OUT_PARTING_MS * 1000000L};
    struct pollfd ready = {.fd = out->file, .events = POLLOUT};
    for (;;) {
        bool leaving = *signalled != 0;
        int found = ppoll(&ready, 1, leaving ? &parting : NULL, while_waiting);
        if (found > 0)
            return (ready.revents & POLLNVAL) != 0 ? -EBADF : 0;
        if (found < 0 && errno != EINTR)
            return -errno;
        if (leaving)
            return -EINTR;
    }
}

int out_flush(struct out *out, const sigset_t *while_waiting, const volatile sig_atomic_t *signalled) {
    if (fflush(out->stream) != 0 || ferror(out->stream))
        return -ENOMEM;
    for (size_t done = 0; done < out->size;) {
        size_t piece = out->size - done < OUT_PIECE_BYTES ? out->size - done : OUT_PIECE_BYTES;
        int result = out_wait(out, while_waiting, signalled);
        if (result != 0)
            return result;
        ssize_t taken = write(out->file, out->bytes + done, piece);
        if (taken < 0 && errno != EINTR && errno != EAGAIN)
            return -errno;
        done += taken > 0 ? (size_t)taken : 0;
    }
    return fseeko(out->stream, 0, SEEK_SET) == 0 ? 0 : -errno;
}
