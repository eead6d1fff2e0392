#include "core/base/thread.h"

#include <signal.h>
#include <stdio.h>

int thread_start(pthread_t *thread, const char *name, void *(*run)(void *user), void *user) {
    sigset_t all, before;
    char kept[16]; /* as the kernel has it */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread, NULL, run, user);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)snprintf(kept, sizeof kept, "%.15s", name);
    if (error == 0)
        (void)pthread_setname_np(*thread, kept);
    return -error;
}
