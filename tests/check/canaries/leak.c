// Must fail in the ASan build: a block is lost before the program ends.
#include <stdio.h>
#include <stdlib.h>

static char *volatile block;

int main(void) {
    block = malloc(1000);
    printf("got %p\n", (void *)block);
    block = NULL;
    return 0;
}
