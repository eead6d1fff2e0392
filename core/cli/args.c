#include "core/cli/args.h"

#include "core/cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RATE_MAX 1e9 /* one event per nanosecond: the clock's step */

int args_mistake(const char *command, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "roundhouse %s: ", command);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return CLI_USAGE;
}

int args_option_mistake(const char *command, int result, char *const *argv) {
    const char *option = argv[optind - 1];
    if (result == ':')
        return args_mistake(command, "the option '%s' needs a value; see roundhouse %s --help", option,
                            command);
    /* optopt is a letter that is no option, or what a long option that takes no value stands for: a number
     * above all letters, or the letter of a short one. */
    bool letter = optopt != 0 && optopt <= UCHAR_MAX && strchr("hq", optopt) == NULL;
    if (letter)
        return args_mistake(command,
                            "there is no option '-%c'; see roundhouse %s --help (what begins with '-' and is "
                            "no option goes behind '--')",
                            optopt, command);
    if (optopt != 0)
        return args_mistake(command, "'%s': this option takes no value; see roundhouse %s --help", option,
                            command);
    return args_mistake(command,
                        "'%s' is no option, or is cut short for more than one; see roundhouse %s --help",
                        option, command);
}

int args_options(const char *command, const char *usage, const struct option *options, int argc, char **argv,
                 args_take *take, void *run) {
    int option, status = CLI_OK;
    opterr = 0;
    optind = 1;
    while (status == CLI_OK && (option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return args_option_mistake(command, option, argv);
        if (option == 'h') {
            fputs(usage, stdout);
            return -1;
        }
        status = take(run, option, optarg);
    }
    return status;
}

int args_no_client(const char *command, const char *server, const char *error) {
    if (errno != EINVAL) {
        (void)args_mistake(command, "%s", error);
        return CLI_INTERNAL;
    }
    return args_mistake(command, "--server %s: %s", server != NULL ? server : "", error);
}

bool args_number(const char *text, uint64_t least, uint64_t most, uint64_t *number) {
    if (!isdigit((unsigned char)*text))
        return false;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || value < least || value > most)
        return false;
    *number = value;
    return true;
}

bool args_rate(const char *text, double *rate) {
    if (!isdigit((unsigned char)*text))
        return false;
    char *end;
    double value = strtod(text, &end);
    if (*end != '\0' && strcmp(end, "/s") != 0)
        return false;
    if (!(value > 0) || value > RATE_MAX)
        return false;
    *rate = value;
    return true;
}

bool args_duration(const char *text, uint64_t *ns) {
    static const struct {
        const char *name;
        double ns;
    } units[] = {{"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 6e10}, {"h", 3.6e12}};
    if (!isdigit((unsigned char)*text))
        return false;
    char *end;
    double value = strtod(text, &end);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(end, units[i].name) == 0) {
            value *= units[i].ns;
            *ns = value < 9e18 ? (uint64_t)value : 0;
            return *ns > 0;
        }
    return false;
}
