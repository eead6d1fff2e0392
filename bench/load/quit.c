#include "bench/load/quit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void json_string(FILE *out, const char *text) {
    fputc('"', out);
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\')
            fprintf(out, "\\%c", byte);
        else if (byte < 0x20 || byte > 0x7e)
            fprintf(out, "\\u%04x", byte);
        else
            fputc(byte, out);
    }
    fputc('"', out);
}

void quit(enum quit_status status, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "load: %s\n", text);
    printf("{\"ok\": false, \"error\": ");
    json_string(stdout, text);
    printf("}\n");
    fflush(stdout);
    exit((int)status);
}
