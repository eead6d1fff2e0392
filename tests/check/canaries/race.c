// Must fail in the TSan build: two threads count in one plain variable.
#include <pthread.h>
#include <stdio.h>

static long shared_count;

static void *count_up(void *unused) {
    (void)unused;
    for (int i = 0; i < 100000; i++) {
        shared_count++;
    }
    return NULL;
}

int main(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, count_up, NULL) != 0) {
        return 0; // Ending well is what the check refuses, so this can not hide the missing report.
    }
    count_up(NULL);
    pthread_join(thread, NULL);
    printf("counted %ld\n", shared_count);
    return 0;
}
