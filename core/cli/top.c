#include "core/cli/top.h"

#include "core/admin/ask.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/cli/args.h"
#include "core/cli/ask.h"
#include "core/cli/cli.h"
#include "core/cli/top_screen.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "usage: roundhouse top [OPTION...]\n"
    "\n"
    "Shows a running router once a second: its shards, the busiest topics, and the slowest subscribers. A "
    "`!` "
    "stands\n"
    "before those that lag: their oldest event has waited for a second or longer.\n"
    "\n"
    "  --admin HOST:PORT  of the router (default 127.0.0.1:4480)\n"
    "  --token-file FILE  whose line is the token that it asks for (default: what "
    "ROUNDHOUSE_ADMIN_TOKEN_FILE\n"
    "                     names)\n"
    "  --sort WHAT        lag (default), rate or name\n"
    "  --once             look for a second, print it and end: for scripts\n"
    "\n"
    "Keys: q ends it, s sorts by the next of lag, rate and name. NO_COLOR in the environment: no colours.\n"
    "\n"
    "Exit status: 0 done, 64 usage, 69 the router can not be reached, 70 internal.\n";

#define LOOK_NS      NS_PER_S
#define WAIT_NS      (5 * NS_PER_S) /* for an answer */
#define TOPICS_ASKED "/v1/topics?limit=200&sort=rate"
#define SUBS_ASKED   "/v1/subscriptions?limit=200"

/* Back from the alternate screen, with a cursor and without a style. */
#define SCREEN_BEGIN "\033[?1049h\033[?25l\033[2J"
#define SCREEN_END   "\033[0m\033[?25h\033[?1049l"

enum { TOP_ONCE = 256, TOP_SORT };

struct top {
    struct ask ask;
    struct top_screen screen;
    bool once;
    struct top_look before, now;
    char why[600];
};

/* ---- looking ---- */

/* NULL: `why` says it. */
static json_t *answer_of(struct top *top, const char *path) {
    struct admin_request request = {
        .address = top->ask.address, .token_file = top->ask.token_file, .path = path, .wait_ns = WAIT_NS};
    struct admin_answer answer;
    json_error_t error;
    if (!admin_ask(&request, &answer, top->why, sizeof top->why))
        return NULL;
    json_t *value = json_loadb(answer.body, answer.length, 0, &error);
    if (value == NULL || answer.status != 200) {
        const char *message = json_string_value(json_object_get(value, "message"));
        (void)snprintf(top->why, sizeof top->why, "the router answers %d%s%.500s", answer.status,
                       message != NULL ? ": " : "", message != NULL ? message : "");
        json_decref(value);
        value = NULL;
    }
    free(answer.body);
    return value;
}

static void look_free(struct top_look *look) {
    json_decref(look->shards);
    json_decref(look->topics);
    json_decref(look->subscriptions);
    *look = (struct top_look){0};
}

/* False: it stays at what was seen last. */
static bool look(struct top *top) {
    struct top_look next = {.shards = answer_of(top, "/v1/shards")};
    next.mono_ns = clock_mono_ns();
    if (next.shards != NULL)
        next.topics = answer_of(top, TOPICS_ASKED);
    if (next.topics != NULL)
        next.subscriptions = answer_of(top, SUBS_ASKED);
    if (next.subscriptions == NULL) {
        look_free(&next);
        return false;
    }
    look_free(&top->before);
    top->before = top->now;
    top->now = next;
    return true;
}

static int unreachable(const struct top *top) {
    fprintf(stderr, "roundhouse top: %s; --admin names another address\n", top->why);
    return CLI_UNAVAILABLE;
}

/* ---- the terminal ---- */

static struct termios terminal_before;

/* Whoever kills it gets a terminal that works; the signal then does what it does. */
static void on_end(int number) {
    const char *text = SCREEN_END;
    ssize_t written = write(STDOUT_FILENO, text, strlen(text));
    (void)written;
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static void on_resize(int number) {
    (void)number; /* the wait for a key ends, and the screen is drawn anew */
}

static bool terminal_begin(void) {
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
    if (tcgetattr(STDIN_FILENO, &terminal_before) != 0)
        return false;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        (void)sigaction(ends[i], &(struct sigaction){.sa_handler = on_end}, NULL);
    (void)sigaction(SIGWINCH, &(struct sigaction){.sa_handler = on_resize}, NULL);
    struct termios raw = terminal_before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    raw.c_cc[VSUSP] = _POSIX_VDISABLE; /* a stopped one would leave the terminal as it is */
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    fputs(SCREEN_BEGIN, stdout);
    return true;
}

static void terminal_end(void) {
    fputs(SCREEN_END, stdout);
    (void)fflush(stdout);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
}

static void size_read(struct top_screen *screen) {
    struct winsize size;
    screen->columns = 80;
    screen->rows = 24;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        screen->columns = size.ws_col;
        screen->rows = size.ws_row;
    }
}

static void show(struct top *top) {
    size_read(&top->screen);
    fputs("\033[H", stdout);
    top_draw(stdout, &top->screen, &top->before, &top->now);
    (void)fflush(stdout);
}

/* ---- running ---- */

/* Keys until it is time for the next look. False: the user leaves. */
static bool keys(struct top *top, uint64_t until_ns) {
    for (;;) {
        uint64_t now_ns = clock_mono_ns();
        int wait = now_ns >= until_ns ? 0 : (int)((until_ns - now_ns) / NS_PER_MS) + 1;
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
        int ready = poll(&input, 1, wait);
        char key;
        if (ready == 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return false;
        ssize_t count = ready > 0 ? read(STDIN_FILENO, &key, 1) : 0;
        if (count == 1 && (key == 'q' || key == 'Q'))
            return false;
        if (count == 1 && (key == 's' || key == 'S'))
            top->screen.sort = (top->screen.sort + 1) % TOP_SORTS;
        if (ready > 0 && count <= 0)
            return false; /* the terminal is gone */
        show(top);
    }
}

static int live_run(struct top *top) {
    const char *no_colour = getenv("NO_COLOR");
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return args_mistake("top", "this is no terminal; use --once for scripts");
    if (!look(top))
        return unreachable(top);
    if (!terminal_begin())
        return args_mistake("top", "this is no terminal; use --once for scripts");
    top->screen.colour = no_colour == NULL || no_colour[0] == '\0';
    uint64_t next_ns = clock_mono_ns();
    do {
        show(top);
        next_ns += LOOK_NS;
        if (next_ns < clock_mono_ns())
            next_ns = clock_mono_ns();
        if (!keys(top, next_ns))
            break;
        top->screen.trouble = look(top) ? NULL : top->why;
    } while (!ferror(stdout));
    terminal_end();
    return CLI_OK;
}

static int once_run(struct top *top) {
    if (!look(top))
        return unreachable(top);
    struct timespec left = {.tv_sec = LOOK_NS / NS_PER_S};
    while (nanosleep(&left, &left) != 0)
        continue;
    if (!look(top))
        return unreachable(top);
    top_draw(stdout, &top->screen, &top->before, &top->now);
    return fflush(stdout) == 0 ? CLI_OK : CLI_INTERNAL;
}

/* ---- the command ---- */

static int option_take(void *of, int option, const char *value) {
    struct top *top = of;
    if (ask_option(&top->ask, option, value))
        return CLI_OK;
    top->once |= option == TOP_ONCE;
    if (option != TOP_SORT)
        return CLI_OK;
    for (enum top_sort sort = TOP_LAG; sort < TOP_SORTS; sort++) {
        if (strcmp(value, top_sort_name(sort)) != 0)
            continue;
        top->screen.sort = sort;
        return CLI_OK;
    }
    return args_mistake("top", "--sort '%s' is not known; write lag, rate or name", value);
}

static int options_read(struct top *top, int argc, char **argv) {
    static const struct option options[] = {{"admin", required_argument, NULL, ASK_ADMIN},
                                            {"token-file", required_argument, NULL, ASK_TOKEN_FILE},
                                            {"once", no_argument, NULL, TOP_ONCE},
                                            {"sort", required_argument, NULL, TOP_SORT},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int status = args_options("top", usage, options, argc, argv, option_take, top);
    if (status == CLI_OK && optind < argc)
        return args_mistake("top", "'%s' is not expected here; see roundhouse top --help", argv[optind]);
    return status;
}

int top_command(int argc, char **argv) {
    struct top top = {.ask = {.command = "top", .address = ASK_ADDRESS}};
    int status = options_read(&top, argc, argv);
    if (status != CLI_OK)
        return status < 0 ? CLI_OK : status;
    top.screen.address = top.ask.address;
    status = top.once ? once_run(&top) : live_run(&top);
    look_free(&top.before);
    look_free(&top.now);
    return status;
}
