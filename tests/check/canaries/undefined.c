// Must fail in the ASan build, which includes UBSan: a signed addition overflows.
#include <limits.h>
#include <stdio.h>

int main(int argc, char **argv) {
    (void)argv;
    volatile int sum = INT_MAX;
    sum = sum + argc;
    printf("sum %d\n", sum);
    return 0;
}
