// Must fail in the ASan build: one byte is written behind a heap block.
#include <stdlib.h>

static char *volatile block; // volatile: the compiler must not know its size, or UBSan is the first to see it

int main(void) {
    block = malloc(16);
    if (block == NULL) {
        return 0;
    }
    block[16] = 1;
    free(block);
    return 0;
}
