// Must fail in the ASan build: one byte is written behind a heap block.
#include <stdlib.h>

int main(int argc, char **argv) {
    (void)argv;
    volatile char *block = malloc(16);
    if (block == NULL) {
        return 0;
    }
    block[15 + argc] = 1;
    free((void *)(size_t)block);
    return 0;
}
