#include "core/cli/filter_args.h"

#include "core/cli/args.h"
#include "core/cli/cli.h"
#include "core/filter/filter.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

const char filter_args_usage[] =
    "  --filter ATTRIBUTE=VALUE     only events whose attribute is VALUE; ATTRIBUTE=prefix:TEXT or "
    "suffix:TEXT: "
    "begins or\n"
    "                               ends so. Or JSON with the filters of the CloudEvents Subscriptions API: "
    "exact,\n"
    "                               prefix, suffix, all, any and not. Given several times, all of them hold\n"
    "\n";

/* The array of filters that a text is, or NULL. */
static json_t *json_read(const char *text) {
    json_t *read = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(read))
        return read;
    json_t *list = json_array();
    if (json_array_append_new(list, read) == 0)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *short_read(const char *text, const char *equals) {
    static const char *const dialects[] = {"exact", "prefix", "suffix"};
    const char *dialect = dialects[0], *value = equals + 1;
    for (size_t i = 0; i < sizeof dialects / sizeof dialects[0]; i++) {
        size_t n = strlen(dialects[i]);
        if (strncmp(equals + 1, dialects[i], n) == 0 && equals[1 + n] == ':') {
            dialect = dialects[i];
            value = equals + 1 + n + 1;
        }
    }
    char *name = strndup(text, (size_t)(equals - text));
    json_t *list = name == NULL ? NULL : json_pack("[{s:{s:s}}]", dialect, name, value);
    free(name);
    return list;
}

/* Behind those that there are. */
static bool list_add(struct filter_args *args, json_t *list) {
    json_t *all = args->json == NULL ? json_array() : json_loads(args->json, 0, NULL);
    char *json = json_array_extend(all, list) == 0 ? json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    if (json == NULL)
        return false;
    free(args->json);
    args->json = json;
    return true;
}

int filter_args_take(struct filter_args *args, const char *command, const char *text) {
    const char *equals = strchr(text, '=');
    bool json = text[0] == '[' || text[0] == '{';
    struct filter *filter = NULL;
    struct fault fault;
    if (!json && equals == NULL)
        return args_mistake(command, "--filter is ATTRIBUTE=VALUE or JSON, not '%s'", text);
    json_t *list = json ? json_read(text) : short_read(text, equals);
    if (list == NULL)
        return args_mistake(command, "--filter '%s': this is neither JSON nor UTF-8 text that could be",
                            text);
    bool added = list_add(args, list);
    json_decref(list);
    if (!added)
        return args_mistake(command, "out of memory");
    if (!filter_from_json(args->json, strlen(args->json), &filter, &fault))
        return args_mistake(command, "--filter '%s': %s", text, fault.text);
    filter_free(filter);
    return CLI_OK;
}

void filter_args_deinit(struct filter_args *args) {
    free(args->json);
    args->json = NULL;
}
