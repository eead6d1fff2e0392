#include "core/spoke/spokes.h"

#include "core/base/clock.h"
#include "core/base/logfmt.h"
#include "core/base/thread.h"
#include "core/spoke/roster.h"
#include "core/transport/ingest.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SPOKES_AWAIT_NS (3u * NS_PER_S) /* for a spoke to have its queue; it goes on trying behind that */

/* A spoke that was applied. */
struct member {
    struct spoke_spec *spec;     /* owns */
    struct spoke *spoke;         /* owns; NULL: everything of it comes in by HTTP */
    bool posted;                 /* it is at the ingest */
    struct inbound_counters *in; /* owns */
    uint32_t pause_s;            /* 0: it has not failed */
    uint64_t again_ns;           /* when it is tried again, of the monotonic clock; 0: it is whole */
    char error[SPOKE_ERROR_BYTES];
};

struct request {
    struct request *next;
    spokes_on_applied *on_applied;
    void *user;
};

struct spokes {
    char *dir; /* owns */
    struct spoke_world world;
    struct ingest *ingest;
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t wake;
    pthread_cond_t let_go; /* nobody looks at specs any more */
    uint32_t lookers;
    struct request *first, **last;
    bool stopping;
    struct logfmt_limit said; /* of the manager's thread: applying is asked for over HTTP, too */
    struct member *members;   /* owns; changed by the manager's thread only */
    uint32_t count;
};

/* ---- one member ---- */

static bool needs_spoke(const struct spoke_spec *spec) {
    return spec->transport != SPOKE_HTTP;
}

static bool needs_ingest(const struct spoke_spec *spec) {
    return spec->has_in && (spec->transport == SPOKE_HTTP || spec->transport == SPOKE_WEBHOOK);
}

/* All of it that this process can have: what else it needs is the spoke's own matter. */
static bool member_whole(const struct member *member) {
    return (member->spoke != NULL || !needs_spoke(member->spec)) &&
           (member->posted || !needs_ingest(member->spec));
}

static bool member_post(struct spokes *spokes, struct member *member, char *why, size_t why_bytes) {
    const struct spoke_http *from = &member->spec->http;
    struct inbound_options options;
    struct ingest_auth auth = {.bearer_file = from->bearer,
                               .hmac_file = from->hmac,
                               .hmac_header = from->hmac_header,
                               .hmac_prefix = from->hmac_prefix};
    spoke_inbound_options(member->spec, &options);
    options.counters = member->in;
    return ingest_put(spokes->ingest, &options, spokes->world.journal, &auth, why, why_bytes);
}

/* Told once, until it works. */
static void member_failed(struct member *member, const char *why) {
    char quoted[2 * SPOKE_ERROR_BYTES];
    if (member->pause_s == 0)
        logfmt(LOGFMT_ERROR, "a spoke can not run, and is tried again", "spoke=%s error=%s",
               member->spec->name, logfmt_quote(quoted, sizeof quoted, why, strlen(why)));
    member->pause_s = member->pause_s == 0                     ? SPOKE_PAUSE_FIRST
                      : member->pause_s < SPOKE_PAUSE_MOST / 2 ? 2 * member->pause_s
                                                               : SPOKE_PAUSE_MOST;
    member->again_ns = clock_mono_ns() + member->pause_s * NS_PER_S;
}

/* What it has not got yet. What others read is changed under the mutex, which nothing that blocks holds. */
static void member_try(struct spokes *spokes, struct member *member) {
    char why[SPOKE_ERROR_BYTES] = "";
    struct spoke *spoke = NULL;
    bool post = needs_ingest(member->spec) && !member->posted;
    bool start = needs_spoke(member->spec) && member->spoke == NULL;
    bool posted = post && member_post(spokes, member, why, sizeof why);
    if (posted)
        why[0] = '\0';
    if (start && (spoke = spoke_start(member->spec, &spokes->world, member->in)) == NULL)
        (void)snprintf(why, sizeof why, "%s", strerror(errno));
    (void)pthread_mutex_lock(&spokes->mutex);
    member->posted |= posted;
    member->spoke = start ? spoke : member->spoke;
    memcpy(member->error, why, sizeof why);
    (void)pthread_mutex_unlock(&spokes->mutex);
    if (!member_whole(member)) {
        member_failed(member, why);
        return;
    }
    if (member->pause_s != 0)
        logfmt(LOGFMT_INFO, "a spoke runs again", "spoke=%s", member->spec->name);
    member->pause_s = 0;
    member->again_ns = 0;
}

/* Takes the spec. What was at the ingest by this name has a spec that ends now. */
static void member_start(struct spokes *spokes, struct member *member, struct spoke_spec *spec) {
    *member = (struct member){.spec = spec, .in = calloc(1, sizeof *member->in)};
    CHECK(member->in != NULL);
    member_try(spokes, member);
    if (needs_ingest(spec) && !member->posted)
        ingest_remove(spokes->ingest, spec->name);
}

/* "waiting" is also one that its thread runs, and that gets no documents. */
static uint64_t member_state(const struct member *member) {
    if (!member_whole(member))
        return SPOKE_WAITING;
    return member->spoke != NULL ? counter_get(&spoke_counters(member->spoke)->state) : SPOKE_RUNNING;
}

/* Counters are read one by one: they move. */
static void member_counters(const struct member *member, struct spoke_counters *out) {
    *out = (struct spoke_counters){0};
#define SPOKE_COPY(name, kind, help)                                                                         \
    if (member->spoke != NULL)                                                                               \
        counter_set(&out->name, counter_get(&spoke_counters(member->spoke)->name));
    SPOKE_COUNTERS(SPOKE_COPY)
#undef SPOKE_COPY
    counter_set(&out->state, member_state(member));
}

static void member_free(struct member *member) {
    if (member->spoke != NULL)
        spoke_free(member->spoke);
    spoke_spec_free(member->spec);
    free(member->in);
}

/* ---- applying ---- */

static const struct member *member_find(const struct spokes *spokes, const char *name) {
    for (uint32_t i = 0; i < spokes->count; i++)
        if (strcmp(spokes->members[i].spec->name, name) == 0)
            return &spokes->members[i];
    return NULL;
}

/* One that could not be started is none: the next apply tries it at once. */
static const struct spoke_spec *running(void *user, const char *name) {
    const struct member *member = member_find(user, name);
    return member != NULL && member_whole(member) ? member->spec : NULL;
}

/* Ends those that are gone or changed, all at once. */
static void leavers_stop(struct spokes *spokes, const struct roster *roster) {
    for (int step = 0; step < 2; step++)
        for (uint32_t i = 0; i < spokes->count; i++) {
            struct member *member = &spokes->members[i];
            const struct roster_file *file = roster_find(roster, member->spec->name);
            if (file != NULL && file->unchanged)
                continue;
            if (member->spoke != NULL)
                (step == 0 ? spoke_stop : spoke_join)(member->spoke);
            if (member->posted && step == 0 && (file == NULL || !needs_ingest(file->spec)))
                ingest_remove(spokes->ingest, member->spec->name);
        }
}

/* A file that is unchanged keeps its member; the others' specs become members. */
static struct member *members_make(struct spokes *spokes, struct roster *roster, uint32_t *count) {
    struct member *members = calloc(roster->count + 1, sizeof *members);
    *count = 0;
    for (uint32_t i = 0; members != NULL && i < roster->count; i++) {
        struct roster_file *file = &roster->files[i];
        const struct member *before = file->spec != NULL ? member_find(spokes, file->spec->name) : NULL;
        if (file->spec == NULL)
            continue;
        if (file->unchanged) {
            members[(*count)++] = *before;
            continue;
        }
        member_start(spokes, &members[(*count)++], file->spec);
        file->spec = NULL;
    }
    return members;
}

/* What is told: names of those that `wanted` says. */
enum fate { FATE_ADDED, FATE_CHANGED, FATE_UNCHANGED };

static json_t *names_of(const struct spokes *spokes, const struct roster *roster, enum fate wanted) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < roster->count; i++) {
        const struct roster_file *file = &roster->files[i];
        if (file->spec == NULL)
            continue;
        enum fate fate = file->unchanged                                 ? FATE_UNCHANGED
                         : member_find(spokes, file->spec->name) != NULL ? FATE_CHANGED
                                                                         : FATE_ADDED;
        if (fate == wanted)
            (void)json_array_append_new(list, json_string(file->spec->name));
    }
    return list;
}

static json_t *names_removed(const struct spokes *spokes, const struct roster *roster) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < spokes->count; i++)
        if (roster_find(roster, spokes->members[i].spec->name) == NULL)
            (void)json_array_append_new(list, json_string(spokes->members[i].spec->name));
    return list;
}

static void log_removed(const struct spokes *spokes, const struct roster *roster) {
    for (uint32_t i = 0; i < spokes->count; i++) {
        const struct spoke_spec *spec = spokes->members[i].spec;
        if (roster_find(roster, spec->name) == NULL && needs_spoke(spec))
            logfmt(LOGFMT_INFO, "a spoke is gone, and its queue stays until it is ended",
                   "spoke=%s with=\"roundhouse queue rm spoke.%s\"", spec->name, spec->name);
    }
}

/* Until each has its queue, or has failed: what is published from now on reaches it. */
static void members_await(const struct member *members, uint32_t count) {
    const struct timespec pause = {.tv_nsec = 2 * 1000000};
    uint64_t end = clock_mono_ns() + SPOKES_AWAIT_NS;
    for (uint32_t i = 0; i < count; i++)
        while (members[i].spoke != NULL && clock_mono_ns() < end &&
               counter_get(&spoke_counters(members[i].spoke)->state) == SPOKE_STARTING)
            (void)nanosleep(&pause, NULL);
}

/* A file's name without its end. NULL: no memory. */
static char *stem_of(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    return strndup(name, dot != NULL ? (size_t)(dot - name) : strlen(name));
}

/* Documents for a spoke that does not run are to come again, also when that is for a mistake in its file. */
static void doors_name(struct spokes *spokes, const struct roster *roster) {
    size_t count = 0;
    char **names = calloc(roster->count + 1, sizeof *names);
    CHECK(names != NULL);
    for (uint32_t i = 0; i < roster->count; i++) {
        const struct roster_file *file = &roster->files[i];
        if (file->spec != NULL && !needs_ingest(file->spec))
            continue;
        names[count] = stem_of(file->path);
        CHECK(names[count++] != NULL);
    }
    if (spokes->ingest != NULL)
        ingest_expect(spokes->ingest, (const char *const *)names, count);
    while (count > 0)
        free(names[--count]);
    free(names);
}

/* With the mutex. Who comes now looks at what is there now. */
static void lookers_await(struct spokes *spokes) {
    while (spokes->lookers > 0)
        (void)pthread_cond_wait(&spokes->let_go, &spokes->mutex);
}

static void roster_apply(struct spokes *spokes, struct roster *roster) {
    uint32_t count;
    struct member *gone = calloc(spokes->count + 1, sizeof *gone);
    uint32_t gone_count = 0;
    log_removed(spokes, roster);
    doors_name(spokes, roster);
    leavers_stop(spokes, roster);
    for (uint32_t i = 0; gone != NULL && i < spokes->count; i++) {
        const struct roster_file *file = roster_find(roster, spokes->members[i].spec->name);
        if (file == NULL || !file->unchanged)
            gone[gone_count++] = spokes->members[i];
    }
    struct member *members = members_make(spokes, roster, &count);
    CHECK(gone != NULL && members != NULL);
    members_await(members, count);
    (void)pthread_mutex_lock(&spokes->mutex);
    struct member *before = spokes->members;
    spokes->members = members;
    spokes->count = count;
    lookers_await(spokes);
    (void)pthread_mutex_unlock(&spokes->mutex);
    for (uint32_t i = 0; i < gone_count; i++)
        member_free(&gone[i]);
    free(gone);
    free(before);
}

static void log_applied(const json_t *told, uint32_t wrong, uint32_t left_out) {
    size_t added = json_array_size(json_object_get(told, "added"));
    size_t changed = json_array_size(json_object_get(told, "changed"));
    size_t removed = json_array_size(json_object_get(told, "removed"));
    size_t unchanged = json_array_size(json_object_get(told, "unchanged"));
    logfmt(LOGFMT_INFO, "spokes applied",
           "added=%zu changed=%zu removed=%zu unchanged=%zu wrong=%u left_out=%u", added, changed, removed,
           unchanged, wrong, left_out);
}

/* `all`: a wrong file leaves everything as it is. Returns what is told; NULL: no memory. */
static json_t *spokes_read(struct spokes *spokes, bool all, bool *applied) {
    struct roster roster;
    char why[SPOKE_ERROR_BYTES];
    *applied = false;
    uint32_t left_out;
    bool say = logfmt_allowed(&spokes->said, clock_mono_ns(), &left_out);
    if (!roster_read(&roster, spokes->dir, spokes->ingest != NULL, running, spokes, why, sizeof why)) {
        char quoted[2 * SPOKE_ERROR_BYTES];
        if (say)
            logfmt(LOGFMT_ERROR, "the spokes can not be read, and stay as they are", "error=%s left_out=%u",
                   logfmt_quote(quoted, sizeof quoted, why, strlen(why)), left_out);
        return json_pack("{s:b, s:[{s:s, s:i, s:i, s:s}]}", "applied", 0, "mistakes", "file", spokes->dir,
                         "line", 0, "column", 0, "text", why);
    }
    *applied = !all || roster.wrong == 0;
    json_t *told = json_pack(
        "{s:b, s:o, s:o, s:o, s:o, s:o}", "applied", *applied, "added", names_of(spokes, &roster, FATE_ADDED),
        "changed", names_of(spokes, &roster, FATE_CHANGED), "removed", names_removed(spokes, &roster),
        "unchanged", names_of(spokes, &roster, FATE_UNCHANGED), "mistakes", roster_mistakes(&roster));
    if (say)
        roster_log(&roster);
    if (say && *applied)
        log_applied(told, roster.wrong, left_out);
    else if (say)
        logfmt(LOGFMT_ERROR, "spokes stay as they were: a file is wrong", "wrong=%u left_out=%u",
               roster.wrong, left_out);
    if (*applied)
        roster_apply(spokes, &roster);
    roster_deinit(&roster);
    return told;
}

/* ---- the manager's thread ---- */

static void request_answer(const struct request *request, bool applied, const json_t *told) {
    char *json = told != NULL ? json_dumps(told, JSON_PRESERVE_ORDER) : NULL;
    if (request->on_applied != NULL)
        request->on_applied(request->user, applied, json != NULL ? json : "{\"applied\": false}");
    free(json);
}

static void request_run(struct spokes *spokes, struct request *request) {
    bool applied;
    json_t *told = spokes_read(spokes, true, &applied);
    request_answer(request, applied, told);
    json_decref(told);
    free(request);
}

/* When the first of those that wait is tried again; 0: none waits. */
static uint64_t next_try_ns(const struct spokes *spokes) {
    uint64_t first = 0;
    for (uint32_t i = 0; i < spokes->count; i++) {
        uint64_t again = spokes->members[i].again_ns;
        if (again != 0 && (first == 0 || again < first))
            first = again;
    }
    return first;
}

static void members_try(struct spokes *spokes) {
    uint64_t now = clock_mono_ns();
    for (uint32_t i = 0; i < spokes->count; i++)
        if (spokes->members[i].again_ns != 0 && spokes->members[i].again_ns <= now)
            member_try(spokes, &spokes->members[i]);
}

/* The next request; NULL: it is stopping, or somebody is to be tried again. */
static struct request *request_take(struct spokes *spokes, bool *stopping) {
    uint64_t until = next_try_ns(spokes);
    const struct timespec end = {.tv_sec = (time_t)(until / NS_PER_S), .tv_nsec = (long)(until % NS_PER_S)};
    (void)pthread_mutex_lock(&spokes->mutex);
    int late = 0;
    while (spokes->first == NULL && !spokes->stopping && late == 0)
        late = until == 0 ? pthread_cond_wait(&spokes->wake, &spokes->mutex)
                          : pthread_cond_timedwait(&spokes->wake, &spokes->mutex, &end);
    *stopping = spokes->stopping;
    struct request *request = spokes->stopping ? NULL : spokes->first;
    if (request != NULL) {
        spokes->first = request->next;
        if (spokes->first == NULL)
            spokes->last = &spokes->first;
    }
    (void)pthread_mutex_unlock(&spokes->mutex);
    return request;
}

static void *spokes_run(void *user) {
    struct spokes *spokes = user;
    bool stopping = false;
    while (!stopping) {
        struct request *request = request_take(spokes, &stopping);
        if (request != NULL)
            request_run(spokes, request);
        else if (!stopping)
            members_try(spokes);
    }
    return NULL;
}

bool spokes_apply(struct spokes *spokes, spokes_on_applied *on_applied, void *user) {
    struct request *request = calloc(1, sizeof *request);
    if (request == NULL)
        return false;
    request->on_applied = on_applied;
    request->user = user;
    (void)pthread_mutex_lock(&spokes->mutex);
    bool taken = !spokes->stopping;
    if (taken) {
        *spokes->last = request;
        spokes->last = &request->next;
        (void)pthread_cond_signal(&spokes->wake);
    }
    (void)pthread_mutex_unlock(&spokes->mutex);
    if (!taken)
        free(request);
    return taken;
}

/* ---- looking ---- */

static json_t *member_json(const struct member *member) {
    char error[SPOKE_ERROR_BYTES];
    struct spoke_counters out;
    member_counters(member, &out);
    memcpy(error, member->error, sizeof error);
    if (error[0] == '\0' && member->spoke != NULL)
        (void)spoke_error(member->spoke, error);
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", member->spec->name, "transport",
                  spoke_transport_name(member->spec->transport), "state",
                  spoke_state_name(counter_get(&out.state)), "error", error, "file", member->spec->path);
#define SPOKE_JSON(name, kind, help)                                                                         \
    if (strcmp(#name, "state") != 0)                                                                         \
        (void)json_object_set_new(json, #name, json_integer((json_int_t)counter_get(&out.name)));
    SPOKE_COUNTERS(SPOKE_JSON)
#undef SPOKE_JSON
    (void)json_object_set_new(json, "documents",
                              json_integer((json_int_t)counter_get(&member->in->documents)));
    (void)json_object_set_new(json, "published",
                              json_integer((json_int_t)counter_get(&member->in->published)));
    (void)json_object_set_new(json, "rejected", json_integer((json_int_t)counter_get(&member->in->refused)));
    (void)json_object_set_new(json, "tolerated",
                              json_integer((json_int_t)counter_get(&member->in->tolerated)));
    return json;
}

char *spokes_list(struct spokes *spokes) {
    json_t *list = json_array();
    (void)pthread_mutex_lock(&spokes->mutex);
    for (uint32_t i = 0; i < spokes->count; i++)
        (void)json_array_append_new(list, member_json(&spokes->members[i]));
    (void)pthread_mutex_unlock(&spokes->mutex);
    json_t *whole = json_pack("{s:o}", "spokes", list);
    char *text = whole != NULL ? json_dumps(whole, JSON_PRESERVE_ORDER) : NULL;
    json_decref(whole);
    return text;
}

void spokes_numbers(struct spokes *spokes, spokes_on_numbers *on_numbers, void *user) {
    struct spoke_counters out;
    (void)pthread_mutex_lock(&spokes->mutex);
    for (uint32_t i = 0; i < spokes->count; i++) {
        const struct member *member = &spokes->members[i];
        member_counters(member, &out);
        on_numbers(user, member->spec->name, &out, member->in);
    }
    (void)pthread_mutex_unlock(&spokes->mutex);
}

void spokes_specs(struct spokes *spokes, spokes_on_spec *on_spec, void *user) {
    (void)pthread_mutex_lock(&spokes->mutex);
    uint32_t count = spokes->count;
    const struct spoke_spec **specs = calloc(count + 1, sizeof *specs);
    for (uint32_t i = 0; specs != NULL && i < count; i++)
        specs[i] = spokes->members[i].spec;
    spokes->lookers++;
    (void)pthread_mutex_unlock(&spokes->mutex);
    for (uint32_t i = 0; specs != NULL && i < count; i++)
        on_spec(user, specs[i]);
    (void)pthread_mutex_lock(&spokes->mutex);
    if (--spokes->lookers == 0)
        (void)pthread_cond_signal(&spokes->let_go);
    (void)pthread_mutex_unlock(&spokes->mutex);
    free(specs);
}

/* ---- start and stop ---- */

/* It is waited for by the monotonic clock. */
static void wake_init(pthread_cond_t *wake) {
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

struct spokes *spokes_start(const struct spokes_options *options, char *why, size_t why_bytes) {
    struct spokes *spokes = calloc(1, sizeof *spokes);
    bool read = false;
    if (spokes != NULL) {
        spokes->world = options->world;
        spokes->ingest = options->ingest;
        spokes->last = &spokes->first;
        (void)pthread_mutex_init(&spokes->mutex, NULL);
        wake_init(&spokes->wake);
        (void)pthread_cond_init(&spokes->let_go, NULL);
        spokes->dir = strdup(options->dir);
        json_t *told = spokes->dir != NULL ? spokes_read(spokes, false, &read) : NULL;
        const json_t *text = json_object_get(json_array_get(json_object_get(told, "mistakes"), 0), "text");
        (void)snprintf(why, why_bytes, "%s",
                       json_is_string(text) ? json_string_value(text) : "out of memory");
        json_decref(told);
    }
    if (read && thread_start(&spokes->thread, "rh-spokes", spokes_run, spokes) == 0) {
        spokes->started = true;
        return spokes;
    }
    if (read)
        (void)snprintf(why, why_bytes, "no thread can be started");
    spokes_stop(spokes);
    spokes_free(spokes);
    return NULL;
}

void spokes_stop(struct spokes *spokes) {
    if (spokes == NULL)
        return;
    (void)pthread_mutex_lock(&spokes->mutex);
    spokes->stopping = true;
    (void)pthread_cond_signal(&spokes->wake);
    (void)pthread_mutex_unlock(&spokes->mutex);
    if (spokes->started)
        (void)pthread_join(spokes->thread, NULL);
    while (spokes->first != NULL) {
        struct request *request = spokes->first;
        spokes->first = request->next;
        request_answer(request, false, NULL);
        free(request);
    }
    struct roster nobody = {0};
    leavers_stop(spokes, &nobody);
    (void)pthread_mutex_lock(&spokes->mutex);
    lookers_await(spokes);
    for (uint32_t i = 0; i < spokes->count; i++)
        member_free(&spokes->members[i]);
    spokes->count = 0;
    (void)pthread_mutex_unlock(&spokes->mutex);
}

void spokes_free(struct spokes *spokes) {
    if (spokes == NULL)
        return;
    free(spokes->members);
    (void)pthread_cond_destroy(&spokes->let_go);
    (void)pthread_cond_destroy(&spokes->wake);
    (void)pthread_mutex_destroy(&spokes->mutex);
    free(spokes->dir);
    free(spokes);
}
