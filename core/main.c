/* main.c: the executable `roundhouse`. Everything it can do is a command: see core/cli/cli.h. */
#include "core/cli/cli.h"

int main(int argc, char **argv) {
    return cli_main(argc, argv);
}
