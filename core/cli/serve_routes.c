#include "core/cli/serve_routes.h"

#include "core/base/logfmt.h"

#include <stdio.h>
#include <string.h>

static void on_mistake(void *user, const char *path, const struct config_mistake *mistake) {
    char file[1024], text[sizeof mistake->text * 2];
    (void)user;
    logfmt(LOGFMT_ERROR, "a file of rules is wrong", "file=%s line=%u column=%u error=%s",
           logfmt_quote(file, sizeof file, path, strlen(path)), mistake->line, mistake->column,
           logfmt_quote(text, sizeof text, mistake->text, strlen(mistake->text)));
}

void serve_routes_apply(struct serve_routes *serve) {
    if (serve->config == NULL || strcmp(serve->config->routes_dir, "off") == 0)
        return;
    struct routes *routes = routes_read(serve->config->routes_dir, on_mistake, NULL);
    if (routes == NULL) {
        char dir[2 * JOURNAL_DIR_BYTES_MAX];
        logfmt(LOGFMT_ERROR, "rules stay as they were: a file is wrong", "dir=%s",
               logfmt_quote(dir, sizeof dir, serve->config->routes_dir, strlen(serve->config->routes_dir)));
        return;
    }
    serve_routes_stop(serve);
    int result = routes_start(routes, serve->server, config_journalled(serve->config),
                              serve->config->limits.frame_bytes);
    if (result != 0) {
        logfmt(LOGFMT_ERROR, "rules can not be started", "error=\"%s\"", strerror(-result));
        routes_free(routes);
        return;
    }
    (void)pthread_mutex_lock(&serve->mutex);
    serve->routes = routes;
    (void)pthread_mutex_unlock(&serve->mutex);
    logfmt(LOGFMT_INFO, "rules applied", "files=%zu", routes_count(routes));
}

void serve_routes_start(struct serve_routes *serve, const struct config *config, const char *server) {
    serve->config = config;
    (void)pthread_mutex_init(&serve->mutex, NULL);
    (void)pthread_cond_init(&serve->let_go, NULL);
    (void)snprintf(serve->server, sizeof serve->server, "%s", server);
    serve_routes_apply(serve);
}

const struct routes *serve_routes_look(struct serve_routes *serve) {
    (void)pthread_mutex_lock(&serve->mutex);
    const struct routes *routes = serve->routes;
    serve->lookers += routes != NULL;
    (void)pthread_mutex_unlock(&serve->mutex);
    return routes;
}

void serve_routes_look_away(struct serve_routes *serve) {
    (void)pthread_mutex_lock(&serve->mutex);
    if (--serve->lookers == 0)
        (void)pthread_cond_signal(&serve->let_go);
    (void)pthread_mutex_unlock(&serve->mutex);
}

void serve_routes_stop(struct serve_routes *serve) {
    struct routes *routes = serve->routes;
    if (routes == NULL)
        return;
    routes_stop(routes);
    (void)pthread_mutex_lock(&serve->mutex);
    serve->routes = NULL;
    while (serve->lookers > 0)
        (void)pthread_cond_wait(&serve->let_go, &serve->mutex);
    (void)pthread_mutex_unlock(&serve->mutex);
    routes_free(routes);
}
