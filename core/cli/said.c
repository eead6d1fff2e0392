#include "core/cli/said.h"

#include <stdio.h>
#include <string.h>

bool said_anew(struct said *said, const char *text) {
    if (strncmp(said->text, text, sizeof said->text - 1) == 0)
        return false;
    (void)snprintf(said->text, sizeof said->text, "%s", text);
    return true;
}

void said_forget(struct said *said) {
    said->text[0] = '\0';
}
