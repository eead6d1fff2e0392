#include "core/routes/trial.h"

#include "codecs/event/json.h"
#include "core/config/file.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct trial {
    const struct ruleset *set;
    struct jq *jq;
    const uint8_t *event;
    size_t length;
    const char *topic;
    struct apply_result *result; /* of the last answer */
    trial_on_event *on_event;
    void *user;
    char *why;
    size_t why_bytes;
};

static bool fail(struct trial *trial, const char *text) {
    (void)snprintf(trial->why, trial->why_bytes, "%s", text);
    return false;
}

static void on_answer(void *user, const struct jq_answer *answer) {
    struct trial *trial = user;
    trial->result = NULL;
    if (answer->result == JQ_OK)
        trial->result = apply_result_read(trial->set, answer);
    if (trial->result == NULL)
        (void)fail(trial, answer->result == JQ_OK ? "the rules do not fit together" : answer->text);
}

/* Takes the input over. NULL: told. */
static struct apply_result *evaluate(struct trial *trial, struct bytes *input) {
    int result = jq_run_now(trial->jq, (const char *)input->data, input->length, on_answer, trial);
    bytes_free(input);
    if (result != 0)
        (void)fail(trial, "there is no memory left");
    return result == 0 ? trial->result : NULL;
}

static bool part_tell(struct trial *trial, const struct apply_part *part) {
    const struct rule *rule = &trial->set->rules[part->rule];
    for (uint32_t i = 0; i < rule->targets_count; i++) {
        size_t length;
        uint8_t *event = apply_event(trial->set, part, i, trial->event, trial->length, NULL, &length,
                                     trial->why, trial->why_bytes);
        if (event == NULL)
            return false;
        trial->on_event(trial->user,
                        &(struct trial_event){
                            .rule = part->rule, .topic = rule->targets[i], .event = event, .length = length});
        free(event);
    }
    return true;
}

static bool part_merge(struct trial *trial, const struct apply_part *part) {
    struct bytes parts = {0}, input = {0};
    bytes_text(&parts, "[");
    bytes_text(&parts, part->text);
    bytes_text(&parts, "]");
    bool right = apply_input_merged(trial->event, trial->length, trial->topic, strlen(trial->topic),
                                    part->rule, &parts, &input, trial->why, trial->why_bytes);
    bytes_free(&parts);
    if (!right) {
        bytes_free(&input);
        return false;
    }
    struct apply_result *result = evaluate(trial, &input);
    for (size_t i = 0; result != NULL && i < result->count && right; i++)
        right = part_tell(trial, &result->parts[i]);
    right &= result != NULL;
    apply_result_free(result);
    return right;
}

bool trial_run(const struct ruleset *set, struct jq *jq, const uint8_t *event, size_t length,
               const char *topic, enum apply_matched *matched, trial_on_event *on_event, void *user,
               char *why, size_t why_bytes) {
    struct bytes input = {0};
    struct trial trial = {.set = set,
                          .jq = jq,
                          .event = event,
                          .length = length,
                          .topic = topic,
                          .on_event = on_event,
                          .user = user,
                          .why = why,
                          .why_bytes = why_bytes};
    if (!apply_input(event, length, topic, strlen(topic), &input, why, why_bytes)) {
        bytes_free(&input);
        return false;
    }
    struct apply_result *result = evaluate(&trial, &input);
    bool right = result != NULL;
    for (size_t i = 0; right && i < result->count; i++)
        right = result->parts[i].key != NULL ? part_merge(&trial, &result->parts[i])
                                             : part_tell(&trial, &result->parts[i]);
    if (result != NULL && matched != NULL)
        memcpy(matched, result->matched, sizeof result->matched);
    apply_result_free(result);
    return right;
}

/* ---- golden pairs ---- */

static json_t *event_json(const uint8_t *event, size_t length) {
    struct bytes data = {0};
    struct fault fault;
    char *text = NULL, why[100];
    size_t text_length;
    json_t *root = NULL, *value = NULL;
    if (event_to_json(event, length, &text, &text_length, &fault))
        root = json_loadb(text, text_length, 0, NULL);
    if (apply_data(event, length, &data, why, sizeof why) && !data.failed)
        value = json_loadb((const char *)data.data, data.length, JSON_DECODE_ANY, NULL);
    if (root != NULL && value != NULL && !json_is_null(value)) {
        (void)json_object_del(root, "data_base64");
        (void)json_object_set(root, "data", value);
    }
    json_decref(value);
    bytes_free(&data);
    free(text);
    return root;
}

char *trial_text(const uint8_t *event, size_t length) {
    json_t *root = event_json(event, length);
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(root);
    return text;
}

static void on_golden(void *user, const struct trial_event *event) {
    json_t *root = event_json(event->event, event->length);
    if (root != NULL)
        (void)json_object_set_new(root, "topic", json_string(event->topic));
    (void)json_array_append_new(user, root != NULL ? root : json_null());
}

/* Each member that is expected, and no other, is compared. */
static bool event_compare(size_t number, json_t *expected, const json_t *got, char *why, size_t why_bytes) {
    const char *name;
    json_t *value;
    json_object_foreach(expected, name, value) {
        json_t *found = json_object_get(got, name);
        if (found != NULL && json_equal(found, value))
            continue;
        char *text = found != NULL
                         ? json_dumps(found, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15))
                         : NULL;
        (void)snprintf(why, why_bytes, "event %zu: %.30s is %.300s", number, name,
                       text != NULL ? text : "not there");
        free(text);
        return false;
    }
    return true;
}

static bool compare(json_t *expected, const json_t *got, char *why, size_t why_bytes) {
    if (!json_is_array(expected)) {
        (void)snprintf(why, why_bytes, "what is expected is no JSON array");
        return false;
    }
    for (size_t i = 0; i < json_array_size(expected) && i < json_array_size(got); i++)
        if (!event_compare(i + 1, json_array_get(expected, i), json_array_get(got, i), why, why_bytes))
            return false;
    if (json_array_size(expected) == json_array_size(got))
        return true;
    (void)snprintf(why, why_bytes, "%zu events come out, and %zu are expected", json_array_size(got),
                   json_array_size(expected));
    return false;
}

static char *file_read(const char *path, size_t *length, char *why, size_t why_bytes) {
    char *text;
    int result = config_file_text(path, RULESET_FILE_BYTES_MAX, &text, length);
    if (result == 0)
        return text;
    (void)snprintf(why, why_bytes, "%.100s can not be read: %s", path, strerror(-result));
    return NULL;
}

bool trial_golden(const struct ruleset *set, struct jq *jq, uint32_t index, char *why, size_t why_bytes) {
    const struct ruleset_test *test = &set->tests[index];
    struct fault fault;
    uint8_t *event = NULL;
    size_t text_length, event_length = 0;
    bool right = false;
    char *text = file_read(test->input, &text_length, why, why_bytes);
    if (text == NULL)
        return false;
    if (!event_from_json(text, text_length, &event, &event_length, &fault))
        (void)snprintf(why, why_bytes, "%.100s is no CloudEvent: %s", test->input, fault.text);
    free(text);
    text = event != NULL ? file_read(test->expect, &text_length, why, why_bytes) : NULL;
    json_t *expected = text != NULL ? json_loadb(text, text_length, 0, NULL) : NULL, *got = json_array();
    if (text != NULL && expected == NULL)
        (void)snprintf(why, why_bytes, "%.100s is not JSON", test->expect);
    else if (text != NULL)
        right = trial_run(set, jq, event, event_length, test->topic != NULL ? test->topic : "test", NULL,
                          on_golden, got, why, why_bytes) &&
                compare(expected, got, why, why_bytes);
    json_decref(expected);
    json_decref(got);
    free(text);
    free(event);
    return right;
}
