#include "core/cli/serve_config.h"

#include "core/base/clock.h"
#include "core/base/logfmt.h"
#include "core/base/thread.h"
#include "core/cli/cli.h"
#include "core/client/dial.h"
#include "core/config/file.h"
#include "core/config/memory.h"
#include "core/config/mistakes.h"
#include "core/config/value.h"
#include "core/shard/change.h"
#include "core/transport/ingest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define REREAD_NS (100 * NS_PER_MS) /* from the end of one SIGHUP's work to the next one's */

/* One config that is wanted; also that of a SIGHUP. */
struct serve_wish {
    struct serve_wish *next;
    struct admin_wish wish; /* its texts are ours */
    void (*done)(void *answer, const struct config_outcome *outcome);
    void *answer;
    /* while it is looked at */
    struct serve_config *serve;
    struct config wanted, merged;
    struct config_outcome outcome;
    int listener; /* the new one; -1 = none */
    uint16_t port;
};

/* ---- what serve.c shares ---- */

void serve_descriptors(const struct config *config) {
    struct rlimit limit;
    rlim_t need = (rlim_t)config->limits.connections + 256 + 8 * (rlim_t)config->shards;
    if (strcmp(config->listen_ingest, "off") != 0)
        need += INGEST_CONNECTIONS_DEFAULT;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= need)
        return;
    limit.rlim_cur = limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= need ? need : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < need)
        logfmt(LOGFMT_WARN, "fewer descriptors than limits.connections needs: raise `ulimit -n`",
               "allowed=%llu needed=%llu", (unsigned long long)limit.rlim_cur, (unsigned long long)need);
}

void serve_native_address(const char *address, uint16_t port, char out[static CONFIG_ADDRESS_MAX + 8]) {
    const char *colon = strrchr(address, ':');
    int host = colon == NULL ? (int)strlen(address) : (int)(colon - address);
    if (strncmp(address, "0.0.0.0:", 8) == 0)
        (void)snprintf(out, CONFIG_ADDRESS_MAX + 8, "127.0.0.1:%u", port);
    else if (strncmp(address, "[::]:", 5) == 0)
        (void)snprintf(out, CONFIG_ADDRESS_MAX + 8, "[::1]:%u", port);
    else
        (void)snprintf(out, CONFIG_ADDRESS_MAX + 8, "%.*s:%u", host, address, port);
}

/* ---- what is wanted ---- */

/* At the place of a key in the text. */
static void refuse(struct serve_wish *wish, const char *key, const char *text) {
    struct config_origin origin = config_origin_of(&wish->wanted, config_row_find(key));
    config_mistake_add(&wish->outcome.mistakes, origin.line, origin.column, "%s: %s", key, text);
}

/* The command line wins, as it does at the start; what the text says otherwise is told. */
static bool options_take(struct serve_wish *wish) {
    const struct serve_asked *asked = &wish->serve->asked;
    struct config_outcome *outcome = &wish->outcome;
    const struct config *before = &wish->merged; /* not needed yet */
    struct config_mistake mistake;
    uint32_t wrong;
    if (asked->count == 0)
        return true;
    wish->merged = wish->wanted;
    if (!config_override(&wish->wanted, asked->overrides, asked->count, &mistake, &wrong)) {
        config_mistake_add(&outcome->mistakes, 0, 0, "with the option %s %s of the command line: %s",
                           asked->options[wrong], asked->overrides[wrong].value, mistake.text);
        return false;
    }
    for (uint32_t i = 0; i < config_rows_count; i++) {
        const struct config_row *row = &config_rows[i];
        if (!config_row_shown(row) || wish->wanted.origins[i].from != CONFIG_FROM_OPTION ||
            config_origin_of(before, row).line == 0)
            continue;
        char *said = config_text(before, row), *holds = config_text(&wish->wanted, row);
        if (said != NULL && holds != NULL && strcmp(said, holds) != 0)
            outcome->options[outcome->options_count++] = row;
        free(said);
        free(holds);
    }
    return true;
}

/* How many logs a journal has is a matter of the journal, once it is there. */
static void journal_keep_logs(struct config *wanted, const struct config *running) {
    bool same = config_journalled(running) && strcmp(wanted->journal_dir, running->journal_dir) == 0;
    bool none = !config_journalled(running) && !config_journalled(wanted);
    if (same || (none && wanted->journal_logs_auto))
        wanted->journal_logs = running->journal_logs;
}

static void origins_name(struct serve_wish *wish) {
    bool of_start = wish->wish.path != NULL && config_file_same(wish->wish.path, wish->serve->path);
    for (uint32_t i = 0; i < CONFIG_KEYS_MAX && !of_start; i++)
        if (wish->wanted.origins[i].line != 0)
            wish->wanted.origins[i].from = CONFIG_FROM_APPLIED;
    wish->outcome.lost = !of_start;
}

/* What of the logs would be more than there is: what runs has its part already. */
static void memory_look(struct serve_wish *wish) {
    char need[CONFIG_VALUE_BYTES], have[CONFIG_VALUE_BYTES], text[CONFIG_WHY_BYTES];
    const struct serve_config *serve = wish->serve;
    uint64_t wants = config_memory_logs(&wish->wanted), ours = config_memory_logs(&serve->running);
    uint32_t idle = shards_count(serve->parts.shards) - serve->running.shards; /* their logs stay */
    ours += idle * (serve->running.log_data_bytes + serve->running.log_records * sizeof(struct log_entry));
    uint64_t spare = config_memory_free();
    uint64_t most = spare > UINT64_MAX - ours ? UINT64_MAX : spare + ours;
    if (wants <= ours || wants <= most)
        return;
    snprintf(text, sizeof text,
             "the logs would need %s of memory, and %s can be had here: write fewer shards, or a smaller "
             "logs.data or logs.records",
             config_size_text(need, wants), config_size_text(have, most));
    bool data = wish->wanted.log_data_bytes > serve->running.log_data_bytes;
    bool records = wish->wanted.log_records > serve->running.log_records;
    refuse(wish, data ? "logs.data" : records ? "logs.records" : "shards", text);
}

/* What holds between keys when those that need a restart stay as they are. */
static void merged_look(struct serve_wish *wish) {
    const struct config *merged = &wish->merged;
    if (config_journalled(merged) && merged->shards > LOGS_MAX - DISK_LOGS_MAX)
        refuse(wish, "shards", "these are too many as long as the router runs with its journal");
    if (config_addresses_clash(merged->listen_native, merged->listen_admin) ||
        config_addresses_clash(merged->listen_native, merged->listen_ingest))
        refuse(wish, "listen.native", "another listener has this address until the restart");
}

static void strict_look(struct serve_wish *wish) {
    const struct config_changes *changes = &wish->outcome.changes;
    for (uint32_t i = 0; i < changes->count && wish->wish.strict; i++)
        if (!changes->list[i].live)
            refuse(wish, changes->list[i].row->path, "this needs a restart, and that was not to be");
}

/* Fills what is wanted, what of it can hold, and the changes; false: there are mistakes. */
static bool wish_look(struct serve_wish *wish) {
    struct serve_config *serve = wish->serve;
    struct config_outcome *outcome = &wish->outcome;
    const struct admin_wish *asked = &wish->wish;
    wish->wanted = serve->running;
    bool right = asked->partial
                     ? config_parse_over(&wish->wanted, asked->text, asked->length, &outcome->mistakes)
                     : config_parse(&wish->wanted, asked->text, asked->length, &outcome->mistakes);
    const char *path = asked->path != NULL ? asked->path : serve->path;
    if (!right || (path[0] != '\0' && !config_paths(&wish->wanted, path, &outcome->mistakes)))
        return false;
    origins_name(wish);
    if (!options_take(wish))
        return false;
    journal_keep_logs(&wish->wanted, &serve->running);
    if (config_changes_find(&outcome->changes, &serve->running, &wish->wanted) != 0) {
        config_mistake_add(&outcome->mistakes, 0, 0, "there is no memory left to look at it");
        return false;
    }
    config_take_live(&wish->merged, &serve->running, &wish->wanted);
    memory_look(wish);
    merged_look(wish);
    strict_look(wish);
    return outcome->mistakes.count == 0;
}

/* ---- carrying it out ---- */

/* Beside the one that there is. */
static bool listener_open(struct serve_wish *wish) {
    char text[CONFIG_WHY_BYTES];
    const char *address = wish->merged.listen_native;
    if (strcmp(address, wish->serve->running.listen_native) == 0)
        return true;
    wish->listener = io_listen_socket(address, &wish->port);
    if (wish->listener >= 0) {
        if (shards_listen(wish->serve->parts.shards, wish->listener) == 0)
            return true;
        close(wish->listener);
        wish->listener = -1;
        refuse(wish, "listen.native", "there is no memory left to listen there");
        return false;
    }
    snprintf(text, sizeof text, "%s can not be listened on: %s%s", address, strerror(-wish->listener),
             wish->listener == -EADDRINUSE ? "; it may be the router's own: choose another port" : "");
    wish->listener = -1;
    refuse(wish, "listen.native", text);
    return false;
}

static void listener_move(struct serve_wish *wish) {
    char address[CONFIG_ADDRESS_MAX + 8];
    if (wish->listener < 0)
        return;
    shards_listen_end(wish->serve->parts.shards, true);
    wish->serve->parts.moved(wish->serve->parts.user, wish->listener);
    serve_native_address(wish->merged.listen_native, wish->port, address);
    dial_moved(wish->serve->native, address); /* rules, spokes and HTTP in are clients, too */
    logfmt(LOGFMT_INFO, "the native listener has moved", "native=%s", address);
}

static struct shards_limits limits_of(const struct config *config) {
    return (struct shards_limits){.connections = config->limits.connections,
                                  .subscriptions = config->limits.subscriptions,
                                  .handshake_ns = config->limits.handshake_ns,
                                  .block_ns = config->limits.block_ns,
                                  .idle_ns = config->limits.idle_ns,
                                  .private_bytes = config->limits.private_bytes,
                                  .grace_ns = config->grace_ns};
}

static void limits_move(const struct serve_wish *wish) {
    const struct serve_config *serve = wish->serve;
    struct shards_limits limits = limits_of(&wish->merged), before = limits_of(&serve->running);
    if (memcmp(&limits, &before, sizeof limits) != 0) {
        serve_descriptors(&wish->merged);
        shards_limit(serve->parts.shards, &limits);
    }
    logfmt_level_set(LOGFMT_INFO + wish->merged.log_level);
    logfmt_format_set((enum logfmt_format)wish->merged.log_format);
    if (serve->parts.journal != NULL)
        journal_retain(serve->parts.journal, wish->merged.journal_retain_bytes,
                       wish->merged.journal_retain_ns);
}

static bool waits_for_restart(const struct serve_wish *wish, const struct config_row *row) {
    const struct config_changes *changes = &wish->outcome.changes;
    for (uint32_t i = 0; i < changes->count; i++)
        if (changes->list[i].row == row)
            return !changes->list[i].live;
    return false;
}

/* Where equal values are from now; those that need a restart, and what a part leaves out, keep their origin.
 */
static void running_set(struct serve_wish *wish) {
    struct serve_config *serve = wish->serve;
    for (uint32_t i = 0; i < config_rows_count; i++) {
        const struct config_row *row = &config_rows[i];
        bool left = wish->wish.partial && config_left_out(&wish->wanted, row);
        wish->merged.origins[i] =
            left || waits_for_restart(wish, row) ? serve->running.origins[i] : wish->wanted.origins[i];
    }
    pthread_mutex_lock(&serve->mutex);
    serve->running = wish->merged;
    pthread_mutex_unlock(&serve->mutex);
}

static void on_changed(void *user, int error, const char *why) {
    struct serve_config *serve = user;
    pthread_mutex_lock(&serve->mutex);
    serve->change_error = error;
    serve->change_why = why;
    serve->changing = false;
    pthread_cond_signal(&serve->work);
    pthread_mutex_unlock(&serve->mutex);
}

/* An earlier change may have told its end and not yet be over. */
static int change_begin(struct serve_config *serve, const struct config *config) {
    const struct shards_change change = {
        .count = config->shards, .slots = config->slots, .cpus = config->cpus_given ? config->cpus : NULL};
    int result;
    serve->changing = true;
    while ((result = shards_change(serve->parts.shards, &change, on_changed, serve)) == -EBUSY)
        nanosleep(&(struct timespec){.tv_nsec = (long)NS_PER_MS}, NULL);
    return result;
}

/* NULL: it is done. */
static const char *change_await(struct serve_config *serve) {
    pthread_mutex_lock(&serve->mutex);
    while (serve->changing && !serve->stopping)
        pthread_cond_wait(&serve->work, &serve->mutex);
    const char *why = serve->changing            ? "the router stops"
                      : serve->change_error != 0 ? serve->change_why
                                                 : NULL;
    pthread_mutex_unlock(&serve->mutex);
    return why;
}

static bool same_sharding(const struct config *one, const struct config *other) {
    return one->shards == other->shards && memcmp(one->slots, other->slots, sizeof one->slots) == 0 &&
           one->cpus_count == other->cpus_count &&
           memcmp(one->cpus, other->cpus, one->cpus_count * sizeof one->cpus[0]) == 0;
}

static bool sharding_move(struct serve_wish *wish) {
    struct serve_config *serve = wish->serve;
    if (same_sharding(&wish->merged, &serve->running))
        return true;
    serve_descriptors(&wish->merged);
    int result = change_begin(serve, &wish->merged);
    const char *why = result == 0 ? change_await(serve) : strerror(-result);
    if (why != NULL)
        refuse(wish, "shards", why);
    return why == NULL;
}

/* All or nothing: a listener beside the other one can be taken back, so it comes first; the sharding can not,
 * and nothing fails behind it. */
static bool wish_carry_out(struct serve_wish *wish) {
    if (!listener_open(wish))
        return false;
    if (!sharding_move(wish)) {
        if (wish->listener >= 0)
            shards_listen_end(wish->serve->parts.shards, false);
        return false;
    }
    listener_move(wish);
    limits_move(wish);
    running_set(wish);
    return true;
}

/* ---- what is told of it ---- */

static void mistakes_log(const struct serve_wish *wish) {
    const struct config_mistakes *mistakes = &wish->outcome.mistakes;
    const char *path = wish->wish.path != NULL ? wish->wish.path : "-";
    char file[1024], text[sizeof mistakes->list[0].text * 2];
    uint32_t shown = mistakes->count < 10 ? mistakes->count : 10;
    for (uint32_t i = 0; i < shown; i++)
        logfmt(LOGFMT_ERROR, "the config is wrong", "file=%s line=%u column=%u error=%s",
               logfmt_quote(file, sizeof file, path, strlen(path)), mistakes->list[i].line,
               mistakes->list[i].column,
               logfmt_quote(text, sizeof text, mistakes->list[i].text, strlen(mistakes->list[i].text)));
    logfmt(LOGFMT_ERROR, "the config stays as it was", "file=%s mistakes=%u",
           logfmt_quote(file, sizeof file, path, strlen(path)), mistakes->count);
}

static void changes_log(const struct serve_wish *wish, uint32_t left_out) {
    const struct config_changes *changes = &wish->outcome.changes;
    const char *path = wish->wish.path != NULL ? wish->wish.path : "-";
    char file[1024], from[200], to[200];
    for (uint32_t i = 0; i < changes->count; i++) {
        const struct config_change *change = &changes->list[i];
        logfmt_quote(from, sizeof from, change->from, strlen(change->from));
        logfmt_quote(to, sizeof to, change->to, strlen(change->to));
        if (change->live)
            logfmt(LOGFMT_INFO, "a key of the config has changed", "key=%s from=%s to=%s", change->row->path,
                   from, to);
        else
            logfmt(LOGFMT_WARN, "a key of the config needs a restart", "key=%s from=%s to=%s",
                   change->row->path, from, to);
    }
    for (uint32_t i = 0; i < wish->outcome.options_count; i++)
        logfmt(LOGFMT_WARN, "a key of the config has no effect: the command line wins", "key=%s",
               wish->outcome.options[i]->path);
    logfmt(LOGFMT_INFO, changes->count > 0 ? "config applied" : "config read: it is what runs",
           "file=%s changed=%u needs_restart=%u left_out=%u",
           logfmt_quote(file, sizeof file, path, strlen(path)), changes->live, changes->count - changes->live,
           left_out);
}

/* ---- the thread ---- */

static void wish_run(struct serve_wish *wish) {
    struct config_outcome *outcome = &wish->outcome;
    wish->listener = -1;
    outcome->fate = CONFIG_WRONG;
    if (wish_look(wish))
        outcome->fate = wish->wish.dry_run ? CONFIG_TRIED : CONFIG_APPLIED;
    if (outcome->fate == CONFIG_APPLIED && !wish_carry_out(wish))
        outcome->fate = CONFIG_WRONG;
    uint32_t left_out;
    if (outcome->fate == CONFIG_APPLIED &&
        logfmt_allowed(&wish->serve->said, clock_mono_ns(), &left_out)) /* it is asked for over HTTP, too */
        changes_log(wish, left_out);
    else if (outcome->fate == CONFIG_WRONG && wish->done == NULL) /* nobody else is told */
        mistakes_log(wish);
    outcome->lost = outcome->lost && outcome->changes.live > 0;
}

static void wish_free(struct serve_wish *wish) {
    config_changes_free(&wish->outcome.changes);
    free((char *)(uintptr_t)wish->wish.text);
    free((char *)(uintptr_t)wish->wish.path);
    free(wish);
}

/* Texts are copied; NULL: no memory. */
static struct serve_wish *wish_new(struct serve_config *serve, const struct admin_wish *asked) {
    struct serve_wish *wish = calloc(1, sizeof *wish);
    if (wish == NULL)
        return NULL;
    wish->serve = serve;
    wish->wish = *asked;
    char *text = malloc(asked->length + 1);
    wish->wish.text = text;
    wish->wish.path = asked->path != NULL ? strdup(asked->path) : NULL;
    if (text == NULL || (asked->path != NULL && wish->wish.path == NULL)) {
        wish_free(wish);
        return NULL;
    }
    memcpy(text, asked->text, asked->length);
    return wish;
}

/* What a SIGHUP asks for. */
static void file_reread(struct serve_config *serve) {
    struct admin_wish asked = {.path = serve->path};
    char *text = NULL;
    if (serve->path[0] == '\0')
        return;
    int result = config_file_text(serve->path, CONFIG_FILE_BYTES_MAX, &text, &asked.length);
    if (result < 0) {
        char file[1024];
        logfmt(LOGFMT_ERROR, "the config stays as it was: its file can not be read", "file=%s error=\"%s\"",
               logfmt_quote(file, sizeof file, serve->path, strlen(serve->path)), strerror(-result));
        return;
    }
    asked.text = text;
    struct serve_wish *wish = wish_new(serve, &asked);
    free(text);
    if (wish == NULL)
        return;
    wish_run(wish);
    wish_free(wish);
}

static struct serve_wish *wish_take(struct serve_config *serve) {
    struct serve_wish *wish = serve->first;
    serve->waiting--;
    serve->first = wish->next;
    if (serve->first == NULL)
        serve->last = NULL;
    return wish;
}

static void wish_answer(struct serve_config *serve, struct serve_wish *wish) {
    pthread_mutex_unlock(&serve->mutex);
    wish_run(wish);
    pthread_mutex_lock(&serve->mutex);
    serve->applying = serve->applying && wish->wish.dry_run; /* first: who is answered may want another one */
    pthread_mutex_unlock(&serve->mutex);
    wish->done(wish->answer, &wish->outcome);
    wish_free(wish);
    pthread_mutex_lock(&serve->mutex);
}

/* Until there is something to do. A storm of SIGHUP is one every REREAD_NS. */
static void work_wait(struct serve_config *serve) {
    while (!serve->stopping && serve->first == NULL) {
        uint64_t now_ns = clock_mono_ns(), at_ns = serve->reread_ns;
        if (serve->reread && now_ns >= at_ns)
            return;
        const struct timespec until = {.tv_sec = (time_t)(at_ns / NS_PER_S),
                                       .tv_nsec = (long)(at_ns % NS_PER_S)};
        if (serve->reread)
            pthread_cond_clockwait(&serve->work, &serve->mutex, CLOCK_MONOTONIC, &until);
        else
            pthread_cond_wait(&serve->work, &serve->mutex);
    }
}

static void *config_main(void *user) {
    struct serve_config *serve = user;
    pthread_mutex_lock(&serve->mutex);
    for (;;) {
        work_wait(serve);
        if (serve->first != NULL) {
            wish_answer(serve, wish_take(serve)); /* also when it stops: somebody waits for it */
            continue;
        }
        if (serve->stopping)
            break;
        serve->reread = false;
        pthread_mutex_unlock(&serve->mutex);
        file_reread(serve);
        serve->parts.files(serve->parts.user);
        pthread_mutex_lock(&serve->mutex);
        serve->reread_ns = clock_mono_ns() + REREAD_NS;
    }
    pthread_mutex_unlock(&serve->mutex);
    return NULL;
}

/* ---- what others ask for ---- */

static void on_show(void *user, struct config *config, char path[static PATH_MAX]) {
    struct serve_config *serve = user;
    pthread_mutex_lock(&serve->mutex);
    *config = serve->running;
    pthread_mutex_unlock(&serve->mutex);
    memcpy(path, serve->path, PATH_MAX);
}

/* One that changes something at a time; what is only looked at waits for its turn. */
static int on_want(void *user, const struct admin_wish *asked,
                   void (*done)(void *answer, const struct config_outcome *outcome), void *answer) {
    struct serve_config *serve = user;
    struct serve_wish *wish = wish_new(serve, asked);
    if (wish == NULL)
        return -ENOMEM;
    wish->done = done;
    wish->answer = answer;
    pthread_mutex_lock(&serve->mutex);
    bool busy = serve->waiting >= SERVE_WISHES_MAX || (serve->applying && !asked->dry_run);
    int result = serve->stopping ? -ESHUTDOWN : busy ? -EBUSY : 0;
    if (result == 0) {
        serve->waiting++;
        serve->applying |= !asked->dry_run;
        if (serve->last != NULL)
            serve->last->next = wish;
        else
            serve->first = wish;
        serve->last = wish;
        pthread_cond_signal(&serve->work);
    }
    pthread_mutex_unlock(&serve->mutex);
    if (result != 0)
        wish_free(wish);
    return result;
}

const struct admin_configs *serve_config_admin(struct serve_config *serve) {
    return &serve->admin;
}

void serve_config_reread(struct serve_config *serve) {
    pthread_mutex_lock(&serve->mutex);
    serve->reread = true;
    pthread_cond_signal(&serve->work);
    pthread_mutex_unlock(&serve->mutex);
}

/* ---- start and stop ---- */

/* It was read, and may be gone meanwhile: a pipe, or a file that was removed. */
static void path_keep(struct serve_config *serve, const char *path) {
    struct stat file;
    char *whole = path != NULL ? config_file_absolute(path) : NULL;
    if (whole != NULL && strlen(whole) < sizeof serve->path && stat(whole, &file) == 0 &&
        S_ISREG(file.st_mode))
        (void)snprintf(serve->path, sizeof serve->path, "%s", whole);
    free(whole);
}

int serve_config_start(struct serve_config *serve, const struct serve_config_parts *parts) {
    serve->parts = *parts;
    serve->asked = *parts->asked;
    serve->running = *parts->config;
    (void)snprintf(serve->native, sizeof serve->native, "%s", parts->native);
    path_keep(serve, parts->asked->path);
    serve->admin = (struct admin_configs){.user = serve, .show = on_show, .want = on_want};
    CHECK(pthread_mutex_init(&serve->mutex, NULL) == 0 && pthread_cond_init(&serve->work, NULL) == 0);
    int result = thread_start(&serve->thread, "rh-config", config_main, serve);
    serve->started = result == 0;
    if (serve->started)
        return CLI_OK;
    fprintf(stderr, "roundhouse serve: the thread for changes of the config can not be started: %s\n",
            strerror(-result));
    pthread_mutex_destroy(&serve->mutex);
    pthread_cond_destroy(&serve->work);
    return CLI_INTERNAL;
}

void serve_config_stop(struct serve_config *serve) {
    if (!serve->started)
        return;
    pthread_mutex_lock(&serve->mutex);
    serve->stopping = true;
    pthread_cond_signal(&serve->work);
    pthread_mutex_unlock(&serve->mutex);
    pthread_join(serve->thread, NULL);
    serve->started = false;
}
