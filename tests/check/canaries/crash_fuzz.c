// LLVMFuzzerTestOneInput of nothing in the project: it must be made to crash within the runs that ./check
// grants a target.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size >= 2 && data[0] == 'R' && data[1] == 'H') {
        abort();
    }
    return 0;
}
