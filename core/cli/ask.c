#include "core/cli/ask.h"

#include "core/admin/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool ask_option(struct ask *ask, int option, const char *value) {
    if (option == ASK_ADMIN)
        ask->address = value;
    else if (option == ASK_TOKEN_FILE)
        ask->token_file = value;
    else if (option == ASK_JSON)
        ask->json = true;
    else
        return false;
    return true;
}

void ask_query_add(char *path, size_t size, const char *name, const char *value) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
    size_t begin = strlen(path);
    size_t used = begin + (size_t)snprintf(path + begin, size - begin, "%s", name);
    for (; *value != '\0' && used < size; value++)
        used += (size_t)snprintf(path + used, size - used, strchr(plain, *value) != NULL ? "%c" : "%%%02X",
                                 (unsigned char)*value);
    if (used >= size)
        path[begin] = '\0';
}

/* What is about the asking, and not about what was asked for. */
static bool refused(int status) {
    return status == 401 || status == 403 || status == 404 || status == 405 || status == 413 ||
           status == 415 || status == 503;
}

static json_t *said(const struct ask *ask, const struct admin_answer *answer) {
    json_error_t error;
    json_t *value = json_loadb(answer->body, answer->length, 0, &error);
    const char *message = json_string_value(json_object_get(value, "message"));
    if (value != NULL && !(refused(answer->status) && message != NULL)) {
        if (ask->json)
            (void)fwrite(answer->body, 1, answer->length, stdout);
        return value;
    }
    if (message != NULL)
        fprintf(stderr, "roundhouse %s: the router says: %s\n", ask->command, message);
    else
        fprintf(stderr, "roundhouse %s: the router says: %s", ask->command, answer->body);
    if (answer->status == 401)
        fprintf(stderr, "roundhouse %s: --token-file names the file with its token\n", ask->command);
    json_decref(value);
    return NULL;
}

static json_t *asked(const struct ask *ask, struct admin_request *request, int *status) {
    struct admin_answer answer;
    char why[600];
    *status = 0;
    request->address = ask->address;
    request->token_file = ask->token_file;
    if (!admin_ask(request, &answer, why, sizeof why)) {
        fprintf(stderr, "roundhouse %s: %s; --admin names another address\n", ask->command, why);
        return NULL;
    }
    *status = answer.status;
    json_t *value = said(ask, &answer);
    free(answer.body);
    return value;
}

json_t *ask_get(const struct ask *ask, const char *path, int *status) {
    return asked(ask, &(struct admin_request){.path = path}, status);
}

json_t *ask_post(const struct ask *ask, const char *path, const char *content_type, const void *body,
                 size_t length, int *status) {
    struct admin_request request = {
        .post = true, .path = path, .content_type = content_type, .body = body, .body_length = length};
    return asked(ask, &request, status);
}

const char *ask_text(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

long long ask_number(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}
