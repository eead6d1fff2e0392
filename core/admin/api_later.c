/* api_later.c: answers that other threads give. */
#include "core/admin/admin_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct api_later {
    struct api_answers *answers;
    struct api_later *next;         /* once it has come */
    struct admin *admin;            /* of the admin plane's thread */
    struct evhttp_request *request; /* the same; NULL: its connection is gone */
    int code;
    char *json; /* owns; NULL: no memory */
};

static void later_free(struct api_later *later) {
    free(later->json);
    free(later);
}

struct api_answers *api_answers_new(void) {
    struct api_answers *answers = calloc(1, sizeof *answers);
    if (answers == NULL)
        return NULL;
    answers->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (answers->fd < 0) {
        int error = errno;
        free(answers);
        errno = error;
        return NULL;
    }
    answers->owners = 1;
    pthread_mutex_init(&answers->mutex, NULL);
    return answers;
}

/* Called with the mutex, which it gives back. */
static void answers_leave(struct api_answers *answers) {
    bool last = --answers->owners == 0;
    pthread_mutex_unlock(&answers->mutex);
    if (!last)
        return;
    close(answers->fd);
    pthread_mutex_destroy(&answers->mutex);
    free(answers);
}

static struct api_later *answers_take(struct api_answers *answers) {
    pthread_mutex_lock(&answers->mutex);
    struct api_later *come = answers->come;
    answers->come = NULL;
    pthread_mutex_unlock(&answers->mutex);
    return come;
}

void api_answers_close(struct api_answers *answers) {
    if (answers == NULL)
        return;
    pthread_mutex_lock(&answers->mutex);
    answers->closed = true;
    pthread_mutex_unlock(&answers->mutex);
    for (struct api_later *later = answers_take(answers), *next; later != NULL; later = next) {
        next = later->next;
        later_free(later);
    }
    pthread_mutex_lock(&answers->mutex);
    answers_leave(answers);
}

static void on_asker_gone(struct evhttp_connection *connection, void *arg) {
    struct api_later *later = arg;
    struct evhttp_request *request = later->request;
    (void)connection;
    later->request = NULL;
    if (evhttp_request_get_connection(request) == NULL) /* evhttp has left it to us */
        evhttp_send_reply_end(request);
}

struct api_later *api_later(struct api_call *call) {
    struct admin *admin = call->admin;
    struct api_later *later = calloc(1, sizeof *later);
    if (later == NULL) {
        api_reply_json(call, HTTP_OK, NULL);
        return NULL;
    }
    *later = (struct api_later){.answers = admin->answers, .admin = admin, .request = call->request};
    struct evhttp_connection *connection = evhttp_request_get_connection(call->request);
    evhttp_connection_set_closecb(connection, on_asker_gone, later);
    clients_patient(admin, connection, ADMIN_APPLY_NS_MAX);
    pthread_mutex_lock(&admin->answers->mutex);
    admin->answers->owners++;
    pthread_mutex_unlock(&admin->answers->mutex);
    call->put_off = true;
    return later;
}

void api_later_json(struct api_later *later, int code, char *json) {
    struct api_answers *answers = later->answers;
    uint64_t one = 1;
    later->code = code;
    later->json = json;
    pthread_mutex_lock(&answers->mutex);
    if (answers->closed) {
        later_free(later);
    } else {
        later->next = answers->come;
        answers->come = later;
        while (write(answers->fd, &one, sizeof one) < 0 && errno == EINTR)
            continue;
    }
    answers_leave(answers);
}

void api_later_error(struct api_later *later, int code, const char *error, const char *text) {
    json_t *value = json_pack("{s:s, s:s}", "error", error, "message", text);
    api_later_json(later, code, value != NULL ? json_dumps(value, JSON_COMPACT) : NULL);
    json_decref(value);
}

void api_answers_come(evutil_socket_t fd, short what, void *arg) {
    struct admin *admin = arg;
    uint64_t count;
    (void)what;
    while (read(fd, &count, sizeof count) < 0 && errno == EINTR)
        continue;
    for (struct api_later *later = answers_take(admin->answers), *next; later != NULL; later = next) {
        next = later->next;
        if (later->request != NULL) {
            struct api_call call = {.admin = admin, .request = later->request};
            evhttp_connection_set_closecb(evhttp_request_get_connection(later->request), NULL, NULL);
            api_reply_json_text(&call, later->code, later->json);
        }
        later_free(later);
    }
}
