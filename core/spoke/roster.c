#include "core/spoke/roster.h"

#include "core/base/logfmt.h"
#include "core/config/mistakes.h"
#include "core/spoke/spokes.h"
#include "core/spoke/trial.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the directory ---- */

/* NAME.yaml; also NAME.yml, which is told to be wrong rather than overlooked. */
static int is_spoke(const struct dirent *entry) {
    const char *dot = strrchr(entry->d_name, '.');
    return entry->d_name[0] != '.' && dot != NULL && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

int spokes_files(const char *dir, char ***files) {
    struct dirent **entries;
    int count = scandir(dir, &entries, is_spoke, alphasort);
    if (count < 0)
        return -1;
    char **list = calloc((size_t)count + 1, sizeof *list);
    bool whole = list != NULL;
    for (int i = 0; i < count; i++) {
        if (whole && asprintf(&list[i], "%s/%s", dir, entries[i]->d_name) < 0) {
            list[i] = NULL;
            whole = false;
        }
        free(entries[i]);
    }
    free(entries);
    if (whole) {
        *files = list;
        return count;
    }
    for (int i = 0; list != NULL && i < count; i++)
        free(list[i]);
    free(list);
    errno = ENOMEM;
    return -1;
}

struct spoke_spec *spokes_try(const char *path, bool pairs, struct config_mistakes *mistakes) {
    struct spoke_spec *spec = spoke_spec_read(path, mistakes);
    if (spec != NULL)
        spoke_trial(spec, pairs, mistakes);
    if (mistakes->count == 0)
        return spec;
    spoke_spec_free(spec);
    return NULL;
}

/* ---- one file ---- */

static bool same_topics(const struct spoke_spec *a, const struct spoke_spec *b) {
    bool same = a->out.topics.count == b->out.topics.count && a->transport == b->transport;
    for (uint32_t i = 0; same && i < a->out.topics.count; i++)
        same = strcmp(a->out.topics.list[i], b->out.topics.list[i]) == 0;
    return same;
}

/* A queue keeps the topics that it was made with. */
static void queue_check(struct roster_file *file, const struct spoke_spec *running) {
    if (running == NULL || !spoke_goes_out(running) || !spoke_goes_out(file->spec) ||
        same_topics(running, file->spec))
        return;
    bool topics = running->transport == file->spec->transport;
    config_mistake_add(
        file->mistakes, 1, 1,
        "outbound.topics: %s changed while the queue spoke.%s exists; rename the spoke, or take its file "
        "away, apply, end the queue (roundhouse queue rm spoke.%s), and put it back",
        topics ? "they" : "they or the transport", running->name, running->name);
}

static void file_check(struct roster_file *file, bool ingest, const struct spoke_spec *running) {
    const struct spoke_spec *spec = file->spec;
    bool posted = spec->has_in && (spec->transport == SPOKE_HTTP || spec->transport == SPOKE_WEBHOOK);
    if (running != NULL && memcmp(running->digest, spec->digest, sizeof spec->digest) == 0) {
        file->unchanged = true;
        return;
    }
    if (posted && !ingest)
        config_mistake_add(
            file->mistakes, spec->in_at[0], spec->in_at[1],
            "inbound: nothing listens for it; set listen.ingest in the router's configuration");
    queue_check(file, running);
    if (file->mistakes->count == 0)
        spoke_trial(spec, true, file->mistakes);
}

/* Takes the path. False: no memory. */
static bool file_read(struct roster *roster, char *path, bool ingest, roster_running *running, void *user) {
    struct roster_file *file = &roster->files[roster->count++];
    file->path = path;
    file->mistakes = calloc(1, sizeof *file->mistakes);
    if (file->mistakes == NULL)
        return false;
    file->spec = spoke_spec_read(path, file->mistakes);
    if (file->spec != NULL)
        file_check(file, ingest, running(user, file->spec->name));
    if (file->mistakes->count > 0) {
        spoke_spec_free(file->spec);
        file->spec = NULL;
        roster->wrong++;
    }
    return true;
}

/* ---- all of them ---- */

bool roster_read(struct roster *roster, const char *dir, bool ingest, roster_running *running, void *user,
                 char *why, size_t why_bytes) {
    char **paths = NULL;
    int count = spokes_files(dir, &paths);
    *roster = (struct roster){0};
    if (count < 0) {
        (void)snprintf(why, why_bytes, "the directory %.100s can not be read: %s", dir, strerror(errno));
        return false;
    }
    roster->files = calloc((size_t)count + 1, sizeof *roster->files);
    bool done = roster->files != NULL;
    for (int i = 0; i < count; i++) {
        if (done)
            done = file_read(roster, paths[i], ingest, running, user);
        else
            free(paths[i]);
    }
    free(paths);
    if (!done) {
        (void)snprintf(why, why_bytes, "out of memory");
        roster_deinit(roster);
    }
    return done;
}

void roster_deinit(struct roster *roster) {
    for (uint32_t i = 0; roster->files != NULL && i < roster->count; i++) {
        free(roster->files[i].path);
        free(roster->files[i].mistakes);
        spoke_spec_free(roster->files[i].spec);
    }
    free(roster->files);
    *roster = (struct roster){0};
}

const struct roster_file *roster_find(const struct roster *roster, const char *name) {
    for (uint32_t i = 0; i < roster->count; i++)
        if (roster->files[i].spec != NULL && strcmp(roster->files[i].spec->name, name) == 0)
            return &roster->files[i];
    return NULL;
}

/* ---- mistakes ---- */

static uint32_t kept(const struct config_mistakes *mistakes) {
    return mistakes->count < CONFIG_MISTAKES_MAX ? mistakes->count : CONFIG_MISTAKES_MAX;
}

json_t *roster_mistakes(const struct roster *roster) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < roster->count; i++)
        for (uint32_t k = 0; k < kept(roster->files[i].mistakes); k++) {
            const struct config_mistake *mistake = &roster->files[i].mistakes->list[k];
            (void)json_array_append_new(
                list, json_pack("{s:s?, s:i, s:i, s:s?}", "file", roster->files[i].path, "line",
                                (int)mistake->line, "column", (int)mistake->column, "text", mistake->text));
        }
    return list;
}

void roster_log(const struct roster *roster) {
    char file[512], text[512];
    for (uint32_t i = 0; i < roster->count; i++)
        for (uint32_t k = 0; k < kept(roster->files[i].mistakes); k++) {
            const struct config_mistake *mistake = &roster->files[i].mistakes->list[k];
            logfmt(LOGFMT_ERROR, "a spoke's file is wrong", "file=%s line=%u column=%u error=%s",
                   logfmt_quote(file, sizeof file, roster->files[i].path, strlen(roster->files[i].path)),
                   mistake->line, mistake->column,
                   logfmt_quote(text, sizeof text, mistake->text, strlen(mistake->text)));
        }
}
