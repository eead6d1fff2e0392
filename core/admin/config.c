#include "core/admin/config.h"

#include "core/admin/admin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool none(struct api_call *call, const struct admin_configs *configs) {
    if (configs == NULL)
        api_reply_error(call, 404, "no_config", "This admin plane has no config to show or to change.");
    return configs == NULL;
}

/* ---- what runs ---- */

static json_t *key_json(const struct config *config, const struct config_row *row) {
    struct config_origin origin = config_origin_of(config, row);
    char *value = config_text(config, row);
    json_t *key = value != NULL
                      ? json_pack("{s:s, s:s, s:s, s:s, s:s}", "key", row->path, "value", value, "from",
                                  config_from_name(origin.from), "change", row->change, "help", row->help)
                      : NULL;
    free(value);
    if (key != NULL && origin.line != 0)
        (void)json_object_set_new(key, "line", json_integer(origin.line));
    return key;
}

static json_t *keys_json(const struct config *config) {
    json_t *keys = json_array();
    for (uint32_t i = 0; i < config_rows_count; i++)
        if (config_row_shown(&config_rows[i]) &&
            json_array_append_new(keys, key_json(config, &config_rows[i])) != 0) {
            json_decref(keys);
            return NULL;
        }
    return keys;
}

void config_show_run(struct admin *admin, struct api_call *call) {
    const struct admin_configs *configs = api_config(admin)->configs;
    char path[PATH_MAX];
    if (none(call, configs))
        return;
    struct config *config = malloc(sizeof *config);
    json_t *answer = NULL;
    if (config != NULL) {
        configs->show(configs->user, config, path);
        answer = json_pack("{s:o, s:o}", "file", path[0] != '\0' ? json_string(path) : json_null(), "keys",
                           keys_json(config));
    }
    free(config);
    api_reply_json(call, 200, answer);
}

/* ---- what somebody wants ---- */

/* A sentence that was cut may end within a character. */
static json_t *sentence_json(const char *text) {
    size_t length = strlen(text);
    json_t *value = json_stringn(text, length);
    for (uint32_t cut = 1; value == NULL && cut < 4 && cut <= length; cut++)
        value = json_stringn(text, length - cut);
    return value;
}

static json_t *mistakes_json(const struct config_mistakes *mistakes) {
    uint32_t kept = mistakes->count < CONFIG_MISTAKES_MAX ? mistakes->count : CONFIG_MISTAKES_MAX;
    json_t *list = json_array();
    for (uint32_t i = 0; i < kept; i++) {
        const struct config_mistake *mistake = &mistakes->list[i];
        (void)json_array_append_new(list,
                                    json_pack("{s:i, s:i, s:o}", "line", (int)mistake->line, "column",
                                              (int)mistake->column, "text", sentence_json(mistake->text)));
    }
    return list;
}

static json_t *wrong_json(const struct config_outcome *outcome) {
    return json_pack("{s:s, s:s, s:i, s:o}", "error", "config", "message",
                     "Nothing was changed: correct what the mistakes name, and send it again.",
                     "mistakes_total", (int)outcome->mistakes.count, "mistakes",
                     mistakes_json(&outcome->mistakes));
}

static json_t *changes_json(const struct config_changes *changes) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < changes->count; i++) {
        const struct config_change *change = &changes->list[i];
        (void)json_array_append_new(list,
                                    json_pack("{s:s, s:s, s:s, s:b}", "key", change->row->path, "from",
                                              change->from, "to", change->to, "live", (int)change->live));
    }
    return list;
}

static json_t *right_json(const struct config_outcome *outcome) {
    json_t *options = json_array();
    for (uint32_t i = 0; i < outcome->options_count; i++)
        (void)json_array_append_new(options, json_string(outcome->options[i]->path));
    return json_pack("{s:b, s:o, s:i, s:i, s:o, s:b}", "applied", outcome->fate == CONFIG_APPLIED, "changes",
                     changes_json(&outcome->changes), "slots_moved", (int)outcome->changes.slots_moved,
                     "needs_restart", (int)(outcome->changes.count - outcome->changes.live), "options",
                     options, "lost_at_restart", (int)outcome->lost);
}

static void on_done(void *answer, const struct config_outcome *outcome) {
    bool wrong = outcome->fate == CONFIG_WRONG;
    json_t *value = wrong ? wrong_json(outcome) : right_json(outcome);
    api_later_json(answer, wrong ? 422 : 200, value != NULL ? json_dumps(value, JSON_COMPACT) : NULL);
    json_decref(value);
}

/* False: it was answered. */
static bool wish_read(struct api_call *call, struct admin_wish *wish) {
    wish->path = api_query(call, "file");
    if (!api_query_bool(call, "partial", &wish->partial) ||
        !api_query_bool(call, "dry_run", &wish->dry_run) || !api_query_bool(call, "strict", &wish->strict))
        return false;
    if (wish->path != NULL && wish->path[0] != '/') {
        api_reply_error(call, 400, "bad_parameter", "The parameter file is an absolute path.");
        return false;
    }
    wish->text = api_body(call, &wish->length);
    if (wish->text == NULL)
        api_reply_error(call, 503, "no_memory", "There is no memory left: try again later.");
    return wish->text != NULL;
}

void config_want_run(struct admin *admin, struct api_call *call) {
    const struct admin_configs *configs = api_config(admin)->configs;
    struct admin_wish wish = {0};
    if (none(call, configs) || !wish_read(call, &wish))
        return;
    struct api_later *later = api_later(call);
    if (later == NULL)
        return;
    int result = configs->want(configs->user, &wish, on_done, later);
    if (result == -EBUSY)
        api_later_error(later, 409, "busy", "Another config is being applied: try again when it is done.");
    else if (result == -ESHUTDOWN)
        api_later_error(later, 503, "stopping", "The router is stopping: nothing is changed any more.");
    else if (result != 0)
        api_later_error(later, 503, "no_memory", "There is no memory left: try again later.");
}
