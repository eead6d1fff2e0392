/* The router in the foreground: config, listeners, shards, admin plane; then it waits for a signal and stops
 * in order. */
#include "core/cli/serve.h"

#include "core/admin/admin.h"
#include "core/admin/api.h"
#include "core/admin/token.h"
#include "core/base/clock.h"
#include "core/base/logfmt.h"
#include "core/base/notify.h"
#include "core/cli/args.h"
#include "core/cli/cli.h"
#include "core/cli/handover.h"
#include "core/cli/serve_config.h"
#include "core/cli/serve_journal.h"
#include "core/cli/serve_restart.h"
#include "core/cli/serve_routes.h"
#include "core/cli/serve_spokes.h"
#include "core/cli/serve_takers.h"
#include "core/cli/watchdog.h"
#include "core/config/config.h"
#include "core/config/file.h"
#include "core/config/memory.h"
#include "core/config/value.h"
#include "core/shard/shard.h"
#include "core/shard/survey.h"
#include "core/transport/ingest.h"
#include "rh_build.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_BYTES 256u

static const char help_text[] =
    "usage: roundhouse serve [OPTION]...\n"
    "\n"
    "Runs the router in the foreground; with a journal, events are kept on disk, else in memory. Prints one "
    "line on standard output when it is ready, and "
    "log lines on standard error.\n"
    "Ctrl-C, SIGTERM or the end of its terminal stops it: what is owed to subscribers is delivered first, "
    "for "
    "at most 5 seconds.\n"
    "SIGUSR2 restarts it in place: it stops, and the program that is installed now goes on in its process, "
    "with its\n"
    "options and its listening sockets, so that nobody who connects meanwhile is refused.\n"
    "\n"
    "  -c, --config FILE       the sharding config (YAML), which SIGHUP reads again; check one with: "
    "roundhouse config "
    "check FILE\n"
    "      --listen HOST:PORT  where clients connect (default 127.0.0.1:4470; port 0 = any free port)\n"
    "      --admin HOST:PORT   health and metrics over HTTP (default 127.0.0.1:4480; off = none)\n"
    "      --ingest HOST:PORT  events and documents in over HTTP (default 127.0.0.1:4481; off = none)\n"
    "      --routes DIR        rules: what becomes of events; SIGHUP reads them again (default off)\n"
    "      --spokes DIR        what is connected: a file for each system; SIGHUP reads them again (default "
    "off)\n"
    "      --shards N|auto     worker threads, each with its log (default auto: one per CPU)\n"
    "      --journal DIR       keep events in a journal in this directory, which is made if need be; off = "
    "none\n"
    "      --io auto|uring|epoll  how the network is reached (default auto)\n"
    "      --log-format logfmt|json  how log lines are written (default logfmt: key=value)\n"
    "      --check             say what is wrong with the options and the config, and start nothing\n"
    "  -q, --quiet             only warnings and errors in the log\n"
    "  -h, --help              this text\n"
    "\n"
    "Options win over the file. Exit status: 0 stopped, 64 usage, 65 the journal is damaged or not ours, 69 "
    "a "
    "port can\n"
    "not be had or the journal is in use, 70 internal or the journal's disk has failed, 78 configuration.\n"
    "\n"
    "Examples:\n"
    "  roundhouse serve\n"
    "  roundhouse serve --config /etc/roundhouse/roundhouse.yaml\n"
    "  roundhouse serve --shards 2 --listen 127.0.0.1:0\n"
    "  roundhouse serve --journal /var/lib/roundhouse\n";

struct serve {
    struct config config;
    struct handover handover;
    struct serve_restart restart;
    enum io_body body;
    char io_reason[TEXT_BYTES];
    int native_fd;
    int admin_fd;
    int ingest_fd; /* -1: none, or it is the ingest's */
    uint16_t native_port;
    uint16_t admin_port;
    uint16_t ingest_port; /* 0: off */
    struct serve_journal journal;
    struct serve_routes routes;
    struct serve_spokes spokes;
    struct serve_takers takers;
    struct serve_asked asked;
    struct serve_config changes;
    struct shards *shards;
    struct admin *admin;
    struct survey_desk *desk; /* of the admin plane */
    struct admin_watch watch;
    struct ingest *ingest; /* NULL: off */
    struct ingest_counters ingest_counters;
    struct watchdog *watchdog;           /* NULL: nobody asks for it */
    char native[CONFIG_ADDRESS_MAX + 8]; /* where the admin plane reaches the native listener */
    uint64_t started_wall_ns;
    pthread_mutex_t telling; /* held while the service manager is told of our state, */
    bool ending;             /* ... which is not READY any more; under it */
};

/* ---- options ---- */

static int mistakes_print(const char *path, const struct config_mistakes *mistakes) {
    uint32_t shown = mistakes->count < CONFIG_MISTAKES_MAX ? mistakes->count : CONFIG_MISTAKES_MAX;
    for (uint32_t i = 0; i < shown; i++)
        fprintf(stderr, "%s:%u:%u: %s\n", path, mistakes->list[i].line, mistakes->list[i].column,
                mistakes->list[i].text);
    fprintf(stderr, "roundhouse serve: the config has %u mistake%s, nothing was started\n", mistakes->count,
            mistakes->count == 1 ? "" : "s");
    return CLI_CONFIG;
}

static int config_file(struct config *config, const char *path) {
    struct config_mistakes *mistakes = calloc(1, sizeof *mistakes);
    char *whole = config_file_absolute(path); /* as SIGHUP will see it */
    int result = mistakes != NULL && whole != NULL ? config_load(config, whole, mistakes) : -ENOMEM;
    int status = CLI_OK;
    if (result != 0) {
        fprintf(stderr, "roundhouse serve: %s can not be read: %s\n", path, strerror(-result));
        status = CLI_CONFIG;
    } else if (mistakes->count > 0) {
        status = mistakes_print(path, mistakes);
    }
    free(whole);
    free(mistakes);
    return status;
}

static int overrides_apply(struct config *config, const struct serve_asked *asked) {
    struct config_mistake mistake;
    uint32_t wrong;
    if (asked->count == 0 || config_override(config, asked->overrides, asked->count, &mistake, &wrong))
        return CLI_OK;
    return args_mistake("serve", "%s %s: %s", asked->options[wrong], asked->overrides[wrong].value,
                        mistake.text);
}

/* From here on in the order of `names`. */
enum {
    SERVE_LISTEN = 256,
    SERVE_ADMIN,
    SERVE_INGEST,
    SERVE_SHARDS,
    SERVE_IO,
    SERVE_JOURNAL,
    SERVE_ROUTES,
    SERVE_SPOKES,
    SERVE_LOG_FORMAT,
    SERVE_QUIET,
    SERVE_CHECK
};

static int option_take(struct serve_asked *asked, int option, const char *value) {
    static const char *const names[][2] = {{"--listen", "listen.native"},
                                           {"--admin", "listen.admin"},
                                           {"--ingest", "listen.ingest"},
                                           {"--shards", "shards"},
                                           {"--io", "io"},
                                           {"--journal", "journal.dir"},
                                           {"--routes", "routes"},
                                           {"--spokes", "spokes"},
                                           {"--log-format", "log.format"},
                                           {"--quiet", "log.level"}};
    switch (option) {
    case 'q':
        return option_take(asked, SERVE_QUIET, "warn");
    case 'c':
        asked->path = value;
        return CLI_OK;
    case SERVE_CHECK:
        asked->check = true;
        return CLI_OK;
    default:
        if (asked->count == SERVE_OVERRIDES_MAX)
            return args_mistake("serve", "more than %u options", SERVE_OVERRIDES_MAX);
        asked->options[asked->count] = names[option - SERVE_LISTEN][0];
        asked->overrides[asked->count++] = (struct config_override){names[option - SERVE_LISTEN][1], value};
        return CLI_OK;
    }
}

/* CLI_OK: go on. Otherwise the exit status; help, and a check that finds nothing, give -1. */
static int options_read(int argc, char **argv, struct config *config, struct serve_asked *asked) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"listen", required_argument, NULL, SERVE_LISTEN},
                                            {"admin", required_argument, NULL, SERVE_ADMIN},
                                            {"ingest", required_argument, NULL, SERVE_INGEST},
                                            {"shards", required_argument, NULL, SERVE_SHARDS},
                                            {"io", required_argument, NULL, SERVE_IO},
                                            {"journal", required_argument, NULL, SERVE_JOURNAL},
                                            {"routes", required_argument, NULL, SERVE_ROUTES},
                                            {"spokes", required_argument, NULL, SERVE_SPOKES},
                                            {"log-format", required_argument, NULL, SERVE_LOG_FORMAT},
                                            {"check", no_argument, NULL, SERVE_CHECK},
                                            {"quiet", no_argument, NULL, 'q'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option, status = CLI_OK;
    opterr = 0;
    optind = 1;
    while (status == CLI_OK && (option = getopt_long(argc, argv, ":c:qh", options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return args_option_mistake("serve", option, argv);
        if (option == 'h') {
            fputs(help_text, stdout);
            return -1;
        }
        status = option_take(asked, option, optarg);
    }
    if (status == CLI_OK && optind < argc)
        return args_mistake("serve", "'%s' is one argument too many; see roundhouse serve --help",
                            argv[optind]);
    config_defaults(config);
    if (status == CLI_OK && asked->path != NULL)
        status = config_file(config, asked->path);
    if (status == CLI_OK)
        status = overrides_apply(config, asked);
    return status == CLI_OK && asked->check ? -1 : status;
}

/* ---- starting ---- */

static int listen_on(struct serve *serve, const char *name, const char *what, const char *address,
                     uint16_t *port, int *fd) {
    *fd = handover_listen(&serve->handover, name, address, port);
    if (*fd >= 0)
        return CLI_OK;
    fprintf(stderr, "roundhouse serve: %s can not listen on %s: %s%s\n", what, address, strerror(-*fd),
            *fd == -EADDRINUSE ? ". Is another router running? Choose another port, or stop that one" : "");
    return CLI_UNAVAILABLE;
}

/* The kernel would not refuse the memory, but end us, or somebody else, while the logs are filled. */
static int memory_look(const struct config *config) {
    char need[CONFIG_VALUE_BYTES], have[CONFIG_VALUE_BYTES];
    uint64_t free_bytes = config_memory_free();
    if (config_memory_logs(config) <= free_bytes)
        return CLI_OK;
    fprintf(stderr,
            "roundhouse serve: the logs need %s of memory, and %s can be had here: write fewer shards, or a "
            "smaller logs.data or logs.records\n",
            config_size_text(need, config_memory_logs(config)), config_size_text(have, free_bytes));
    return CLI_INTERNAL;
}

static int shards_begin(struct serve *serve) {
    const struct config *config = &serve->config;
    char error[TEXT_BYTES];
    struct shards_config shards = {.count = config->shards,
                                   .cpus = config->cpus_given ? config->cpus : NULL,
                                   .slots = config->slots,
                                   .slot_seed = config->slot_seed,
                                   .rules = config->topics,
                                   .rules_count = config->topics_count,
                                   .body = serve->body,
                                   .oneshot = config->io == IO_URING_ONESHOT,
                                   .log_data_bytes = config->log_data_bytes,
                                   .log_records = config->log_records,
                                   .grace_ns = config->grace_ns,
                                   .frame_bytes = config->limits.frame_bytes,
                                   .connections = config->limits.connections,
                                   .subscriptions = config->limits.subscriptions,
                                   .topics = config->limits.topics,
                                   .handshake_ns = config->limits.handshake_ns,
                                   .block_ns = config->limits.block_ns,
                                   .idle_ns = config->limits.idle_ns,
                                   .private_bytes = config->limits.private_bytes,
                                   .server = "roundhouse " RH_VERSION};
    int status = serve_journal_shards(&serve->journal, &shards);
    if (status != CLI_OK)
        return status;
    snprintf(error, sizeof error, "out of memory");
    if (shards_create(&serve->shards, &shards, serve->native_fd, error) == 0) {
        status = serve_journal_start(&serve->journal, serve->shards);
        if (status != CLI_OK || shards_start(serve->shards, error) == 0)
            return status;
    }
    fprintf(stderr, "roundhouse serve: %s\n", error);
    return CLI_INTERNAL;
}

/* HOST of "HOST:PORT". */
static int host_length(const char *address) {
    const char *colon = strrchr(address, ':');
    return colon == NULL ? (int)strlen(address) : (int)(colon - address);
}

/* Where bridges reach the native listener. */
static void native_address(const struct serve *serve, char out[static CONFIG_ADDRESS_MAX + 8]) {
    serve_native_address(serve->config.listen_native, serve->native_port, out);
}

static void desk_ready(void *user) {
    survey_desk_serve(user);
}

static int admin_begin(struct serve *serve) {
    if (serve->admin_fd < 0)
        return CLI_OK;
    int result = survey_desk_create(&serve->desk, serve->shards);
    if (result == 0)
        serve->watch =
            (struct admin_watch){.fd = survey_desk_fd(serve->desk), .ready = desk_ready, .user = serve->desk};
    struct admin_config admin = {.shards = serve->shards,
                                 .journal = serve->journal.journal,
                                 .body = serve->body,
                                 .io_reason = serve->io_reason,
                                 .ingest = serve->ingest != NULL ? &serve->ingest_counters : NULL,
                                 .journal_dir = serve->config.journal_dir,
                                 .spokes = serve_spokes_admin(&serve->spokes),
                                 .takers = serve_takers_start(&serve->takers, &serve->spokes, &serve->routes),
                                 .desk = serve->desk,
                                 .watch = &serve->watch,
                                 .endpoints = api_table,
                                 .files = dashboard_files,
                                 .configs = serve_config_admin(&serve->changes),
                                 .started_wall_ns = serve->started_wall_ns};
    native_address(serve, serve->native);
    admin.server = serve->native;
    if (strcmp(serve->config.admin_token_file, "off") != 0)
        admin.token_file = serve->config.admin_token_file;
    if (result == 0)
        result = admin_start(&serve->admin, &admin, serve->admin_fd);
    if (result == 0)
        return CLI_OK;
    fprintf(stderr, "roundhouse serve: the admin plane can not start: %s\n", strerror(-result));
    return CLI_INTERNAL;
}

static int ingest_begin(struct serve *serve) {
    char native[CONFIG_ADDRESS_MAX + 8], why[TEXT_BYTES];
    if (serve->ingest_fd < 0)
        return CLI_OK;
    native_address(serve, native);
    struct ingest_options options = {.listener = serve->ingest_fd,
                                     .server = native,
                                     .journal = config_journalled(&serve->config),
                                     .counters = &serve->ingest_counters,
                                     .event_bytes = serve->config.limits.frame_bytes};
    serve->ingest_fd = -1;
    serve->ingest = ingest_start(&options, why, sizeof why);
    if (serve->ingest != NULL)
        return CLI_OK;
    fprintf(stderr, "roundhouse serve: HTTP in can not start: %s\n", why);
    return CLI_INTERNAL;
}

static int spokes_begin(struct serve *serve) {
    char native[CONFIG_ADDRESS_MAX + 8];
    native_address(serve, native);
    serve_routes_start(&serve->routes, &serve->config, native);
    return serve_spokes_start(&serve->spokes, &serve->config, native, serve->ingest);
}

/* Before anything is made for nothing. */
static int token_try(const struct config *config) {
    struct token token;
    char why[TEXT_BYTES + JOURNAL_DIR_BYTES_MAX];
    if (strcmp(config->listen_admin, "off") == 0 || strcmp(config->admin_token_file, "off") == 0)
        return CLI_OK;
    bool right = token_read(&token, config->admin_token_file, why, sizeof why);
    token_wipe(&token);
    if (!right)
        fprintf(stderr, "roundhouse serve: listen.admin_token_file: %s\n", why);
    return right ? CLI_OK : CLI_CONFIG;
}

/* Until ready_notify. It wants to know when that was, so that it takes nothing older for its end. */
static void reloading_notify(const char *status) {
    (void)notify_send("RELOADING=1\nMONOTONIC_USEC=%llu\nWATCHDOG=1\nSTATUS=%s",
                      (unsigned long long)(clock_mono_ns() / NS_PER_US), status);
}

/* Not once it was told that we stop: the files of a SIGHUP may take longer than that. */
static void ready_notify(struct serve *serve) {
    pthread_mutex_lock(&serve->telling);
    if (!serve->ending)
        (void)notify_send("READY=1\nSTATUS=ready");
    pthread_mutex_unlock(&serve->telling);
}

static void ending_notify(struct serve *serve, int signal_number) {
    pthread_mutex_lock(&serve->telling);
    serve->ending = true;
    if (signal_number == SIGUSR2)
        reloading_notify("restarting in place");
    else
        (void)notify_send("STOPPING=1\nSTATUS=delivering what is owed");
    pthread_mutex_unlock(&serve->telling);
}

/* On the thread for changes of the config. */
static void on_files(void *user) {
    struct serve *serve = user;
    serve_routes_apply(&serve->routes);
    if (serve_spokes_admin(&serve->spokes) != NULL)
        serve_spokes_apply(&serve->spokes);
    ready_notify(serve);
}

static void on_moved(void *user, int listener) {
    handover_replace(&((struct serve *)user)->handover, "native", listener);
}

static int config_begin(struct serve *serve) {
    char native[CONFIG_ADDRESS_MAX + 8];
    native_address(serve, native);
    const struct serve_config_parts parts = {.asked = &serve->asked,
                                             .config = &serve->config,
                                             .shards = serve->shards,
                                             .journal = serve->journal.journal,
                                             .native = native,
                                             .files = on_files,
                                             .moved = on_moved,
                                             .user = serve};
    return serve_config_start(&serve->changes, &parts);
}

static int listeners_open(struct serve *serve) {
    const struct config *config = &serve->config;
    serve->admin_fd = -1;
    int status = listen_on(serve, "native", "native protocol", config->listen_native, &serve->native_port,
                           &serve->native_fd);
    if (status == CLI_OK && strcmp(config->listen_admin, "off") != 0)
        status =
            listen_on(serve, "admin", "admin", config->listen_admin, &serve->admin_port, &serve->admin_fd);
    if (status == CLI_OK && strcmp(config->listen_ingest, "off") != 0)
        status = listen_on(serve, "ingest", "HTTP in", config->listen_ingest, &serve->ingest_port,
                           &serve->ingest_fd);
    if (status == CLI_OK)
        handover_settle(&serve->handover);
    return status;
}

static int io_choose_body(struct serve *serve) {
    int result = io_choose(serve->config.io, &serve->body, serve->io_reason, sizeof serve->io_reason);
    if (result == 0)
        return CLI_OK;
    fprintf(stderr, "roundhouse serve: io_uring can not be had (%s). Use --io auto or --io epoll\n",
            serve->io_reason);
    return CLI_UNAVAILABLE;
}

static void size_print(char *out, size_t size, uint64_t bytes) {
    if (bytes % GIB == 0)
        snprintf(out, size, "%lluGiB", (unsigned long long)(bytes / GIB));
    else if (bytes % MIB == 0)
        snprintf(out, size, "%lluMiB", (unsigned long long)(bytes / MIB));
    else
        snprintf(out, size, "%lluKiB", (unsigned long long)(bytes / KIB));
}

static void ready_print(const struct serve *serve) {
    const struct config *config = &serve->config;
    char admin[CONFIG_ADDRESS_MAX + 8] = "off";
    char log[32];
    if (serve->admin_fd >= 0)
        snprintf(admin, sizeof admin, "%.*s:%u", host_length(config->listen_admin), config->listen_admin,
                 serve->admin_port);
    char disk[32] = "", ingest[CONFIG_ADDRESS_MAX + 16] = "";
    size_print(log, sizeof log, config->log_data_bytes);
    if (config_journalled(config))
        snprintf(disk, sizeof disk, " disk_logs=%u", config->journal_logs);
    if (serve->ingest != NULL)
        snprintf(ingest, sizeof ingest, " ingest=%.*s:%u", host_length(config->listen_ingest),
                 config->listen_ingest, serve->ingest_port);
    int written =
        dprintf(STDOUT_FILENO, "ready native=%.*s:%u admin=%s shards=%u io=%s log=%s%s%s (%s)\n",
                host_length(config->listen_native), config->listen_native, serve->native_port, admin,
                config->shards, io_body_name(serve->body), log, disk, ingest, serve->io_reason);
    if (written < 0) /* nobody waits for it any more; the router serves others */
        logfmt(LOGFMT_WARN, "the ready line could not be written to standard output", "error=\"%s\"",
               strerror(errno));
}

/* ---- the service manager ---- */

static int watchdog_begin(struct serve *serve) {
    int result = watchdog_start(&serve->watchdog, serve->shards);
    if (result == 0)
        return CLI_OK;
    fprintf(stderr, "roundhouse serve: the watchdog's thread can not be started: %s\n", strerror(-result));
    return CLI_INTERNAL;
}

/* ---- running ---- */

static int serve_start(struct serve *serve) {
    int status = token_try(&serve->config);
    if (status == CLI_OK)
        status = io_choose_body(serve);
    if (status == CLI_OK)
        status = serve_journal_open(&serve->journal, &serve->config);
    (void)notify_send("WATCHDOG=1"); /* of a restart in place: the journal may have taken its time */
    if (status == CLI_OK)
        status = memory_look(&serve->config);
    if (status == CLI_OK)
        status = listeners_open(serve);
    if (status == CLI_OK)
        status = shards_begin(serve);
    if (status == CLI_OK)
        status = ingest_begin(serve);
    if (status == CLI_OK)
        status = spokes_begin(serve);
    if (status == CLI_OK)
        status = config_begin(serve);
    if (status == CLI_OK)
        status = admin_begin(serve);
    if (status == CLI_OK)
        status = watchdog_begin(serve);
    return status;
}

/* Also what a start that failed has made. */
static int serve_end(struct serve *serve, uint64_t *cut) {
    serve_takers_stop(&serve->takers); /* nobody looks at what ends now */
    serve_config_stop(&serve->changes);
    serve_spokes_stop(&serve->spokes); /* clients of the shards, as is what follows */
    serve_routes_stop(&serve->routes);
    ingest_stop(serve->ingest);
    if (serve->ingest_fd >= 0)
        close(serve->ingest_fd);
    watchdog_stop(serve->watchdog);
    *cut = serve->shards != NULL ? shards_stop(serve->shards) : 0;
    if (serve->admin != NULL)
        admin_stop(serve->admin);
    survey_desk_destroy(serve->desk);
    serve_spokes_free(&serve->spokes);
    int status = serve_journal_stop(&serve->journal);
    shards_destroy(serve->shards);
    serve_journal_close(&serve->journal);
    return status;
}

static int serve_stop(struct serve *serve, int signal_number) {
    uint64_t begin_ns = clock_mono_ns();
    uint64_t cut;
    const char *name = sigabbrev_np(signal_number);
    ending_notify(serve, signal_number);
    logfmt(LOGFMT_INFO, "stopping", "signal=%s drain_max=5s", name != NULL ? name : "none");
    int status = serve_end(serve, &cut);
    logfmt(cut == 0 ? LOGFMT_INFO : LOGFMT_WARN,
           cut == 0 ? "stopped" : "stopped, and cut what slow subscribers were still owed",
           "ms=%llu bytes_cut=%llu", (unsigned long long)((clock_mono_ns() - begin_ns) / NS_PER_MS),
           (unsigned long long)cut);
    return status;
}

/* Whether there are files that a SIGHUP reads again. */
static bool has_files(const struct serve *serve) {
    return serve->asked.path != NULL || strcmp(serve->config.spokes_dir, "off") != 0 ||
           strcmp(serve->config.routes_dir, "off") != 0;
}

/* Until it is told to stop or to restart, or the journal has failed. With files, SIGHUP that somebody sends
 * reads them again; the kernel sends it at the end of a terminal, and that stops. */
static int serve_wait(struct serve *serve, const sigset_t *signals, bool outlive) {
    for (;;) {
        siginfo_t info = {0};
        int signal_number = sigwaitinfo(signals, &info);
        bool hangup = signal_number == SIGHUP && has_files(serve);
        if (signal_number < 0 ||
            (signal_number == serve_journal_signal() && !serve_journal_failed(&serve->journal)) ||
            (signal_number == SIGUSR2 && !serve_restart_check(&serve->restart)))
            continue;
        if (hangup && info.si_code <= 0) {
            reloading_notify("reading the files again");
            serve_config_reread(&serve->changes);
        } else if (!hangup || !outlive)
            return signal_number;
    }
}

/* The signals that are waited for. Who ignores SIGHUP for us, as nohup does, wants it to outlive its
 * terminal: true. */
static bool signals_wanted(sigset_t *signals, bool files) {
    struct sigaction hangup;
    sigemptyset(signals);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGUSR2);
    sigaddset(signals, serve_journal_signal());
    bool ignored = sigaction(SIGHUP, NULL, &hangup) != 0 || hangup.sa_handler == SIG_IGN;
    if (!ignored || files)
        sigaddset(signals, SIGHUP);
    return ignored;
}

/* Before the threads: they inherit it. */
static bool signals_block(sigset_t *signals, const struct serve *serve) {
    bool files = has_files(serve);
    bool outlive = signals_wanted(signals, files);
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
    if (files)
        signal(SIGHUP, SIG_DFL); /* what is ignored can not be waited for */
    return outlive;
}

/* From ready to stopped. SIGUSR2: then the program begins anew, and this returns only when it can not. */
static int serve_run(struct serve *serve, const sigset_t *signals, bool outlive) {
    logfmt(LOGFMT_INFO, "ready",
           "version=%s io=%s reason=\"%s\" acks=\"routed means in memory: a crash loses it%s\"", RH_VERSION,
           io_body_name(serve->body), serve->io_reason,
           config_journalled(&serve->config) ? "; disk means synced in the journal" : "");
    ready_print(serve);
    ready_notify(serve);
    int signal_number = serve_wait(serve, signals, outlive);
    int status = serve_stop(serve, signal_number);
    if (signal_number != SIGUSR2 || status != CLI_OK)
        return status;
    if (outlive)
        signal(SIGHUP, SIG_IGN); /* as it was found */
    return serve_restart_go(&serve->restart, &serve->handover);
}

int serve_command(int argc, char **argv) {
    struct serve *serve = calloc(1, sizeof *serve);
    sigset_t signals;
    if (serve == NULL)
        return CLI_INTERNAL;
    serve->started_wall_ns = clock_wall_ns();
    serve->ingest_fd = -1;
    CHECK(pthread_mutex_init(&serve->telling, NULL) == 0);
    serve_restart_init(&serve->restart, argc, argv);
    int status = options_read(argc, argv, &serve->config, &serve->asked);
    if (status != CLI_OK) {
        free(serve);
        return status < 0 ? CLI_OK : status;
    }
    logfmt_level_set(LOGFMT_INFO + serve->config.log_level);
    logfmt_format_set((enum logfmt_format)serve->config.log_format);
    bool outlive = signals_block(&signals, serve);
    handover_inherit(&serve->handover);
    serve_descriptors(&serve->config);
    status = serve_start(serve);
    if (status == CLI_OK) {
        status = serve_run(serve, &signals, outlive);
    } else {
        uint64_t cut;
        (void)serve_end(serve, &cut);
    }
    handover_close(&serve->handover);
    free(serve);
    return status;
}
