/* Stress of core/shard/survey.c: workers with threads of their own, three askers who never stop, and clients
 * that come and go. Every question is answered once, also those that are on their way when the router stops.
 */
#include "tests/stress/ring_stress.h"

#include "core/shard/survey.h"
#include "core/shard/shard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef RH_TSAN
/* It keeps the numbers of descriptors that are closed for a while, which looks like a race to who does not
 * know its locks. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void) {
    return "called_from_lib:libevent_core\n";
}
#endif

#define WORKERS 3u
#define ASKERS  2u

struct router {
    struct shards *shards;
    uint16_t port;
    uint64_t questions; /* of each asker */
    uint32_t askers;    /* next free number */
    uint64_t answers[ASKERS], cut[ASKERS];
    int listener;
    struct survey_desk *desks[ASKERS];
};

struct asker {
    struct router *router;
    uint32_t number;
    uint64_t answers;
};

static void on_answer(void *user, const struct survey_answer *answer) {
    struct asker *asker = user;
    struct router *router = asker->router;
    STRESS(answer != NULL, "dropped while the desk is there");
    STRESS(answer->count <= 100 && answer->count <= answer->looked_at, "more rows than things");
    for (uint32_t i = 0; i < answer->count; i++) {
        const struct survey_client *client = survey_row(answer, i);
        STRESS(client->shard < WORKERS, "a client of no worker");
    }
    asker->answers++;
    router->cut[asker->number] += answer->cut;
}

/* Those whose rows begin with a client. */
static const enum survey_kind kinds[] = {SURVEY_CONNECTIONS, SURVEY_SUBSCRIPTIONS, SURVEY_LAGGARDS};

static void ask_on(void *context) {
    struct router *router = context;
    uint32_t number =
        __atomic_fetch_add(&router->askers, 1, __ATOMIC_RELAXED); /* relaxed: only a number is wanted */
    struct asker *asker = calloc(1, sizeof *asker);
    struct survey_desk *desk = router->desks[number];
    STRESS(asker != NULL, "no memory");
    *asker = (struct asker){.router = router, .number = number};
    uint64_t asked = 0;
    while (asked < router->questions || asker->answers < asked) {
        const struct survey_question question = {.kind = kinds[asked % 3], .limit = 100};
        int result = asked < router->questions ? survey_ask(desk, &question, on_answer, asker) : -EBUSY;
        STRESS(result == 0 || result == -EBUSY, "refused: %d", result);
        asked += result == 0;
        struct pollfd bell = {.fd = survey_desk_fd(desk), .events = POLLIN};
        if (result != 0)
            STRESS(poll(&bell, 1, STRESS_PATIENCE_MS) == 1, "not answered in time");
        survey_desk_serve(desk);
    }
    router->answers[number] = asker->answers;
    free(asker);
}

/* A process of its own, as the sanitizer takes descriptors of one number for one thing. They say nothing:
 * their handshake is what the worker waits for. Until the other end of `life` is closed. */
static _Noreturn void come_and_go(uint16_t port, int life) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct pollfd end = {.fd = life, .events = POLLIN};
    int open[64];
    uint64_t random = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memset(open, -1, sizeof open);
    while (poll(&end, 1, 0) == 0) {
        int *fd = &open[stress_random(&random) % 64];
        if (*fd >= 0)
            close(*fd);
        *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const struct linger reset = {.l_onoff = 1};
        (void)setsockopt(*fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset); /* no port is kept behind */
        if (connect(*fd, (struct sockaddr *)&address, sizeof address) != 0)
            _exit(1);
    }
    _exit(0);
}

static void router_start(struct router *router, uint8_t slots[SLOT_COUNT]) {
    char error[200] = "";
    struct shards_config config = {.count = WORKERS,
                                   .slots = slots,
                                   .body = IO_BODY_EPOLL,
                                   .log_data_bytes = LOG_DATA_MIN,
                                   .log_records = LOG_RECORDS_MIN,
                                   .frame_bytes = FRAME_BYTES_MIN,
                                   .connections = 1000,
                                   .subscriptions = 1000,
                                   .topics = 1000,
                                   .handshake_ns = HANDSHAKE_NS_DEFAULT,
                                   .private_bytes = PRIVATE_BYTES_MAX,
                                   .server = "stress"};
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        slots[slot] = (uint8_t)(slot % WORKERS);
    STRESS(shards_create(&router->shards, &config, router->listener, error) == 0, "%s", error);
    for (uint32_t i = 0; i < ASKERS; i++)
        STRESS(survey_desk_create(&router->desks[i], router->shards) == 0, "no desk");
    STRESS(shards_start(router->shards, error) == 0, "%s", error);
}

static void count_cut(void *user, const struct survey_answer *answer) {
    uint64_t *answers = user;
    STRESS(answer != NULL, "dropped by a router that stops");
    ++*answers;
}

/* Before the first thread. */
static pid_t clients_start(struct router *router, int *life) {
    int ends[2];
    router->listener = io_listen_socket("127.0.0.1:0", &router->port);
    STRESS(router->listener >= 0 && pipe(ends) == 0, "no listener");
    pid_t clients = fork();
    STRESS(clients >= 0, "no process");
    if (clients == 0) {
        close(ends[1]);
        close(router->listener);
        come_and_go(router->port, ends[0]);
    }
    close(ends[0]);
    *life = ends[1];
    return clients;
}

static void clients_end(pid_t clients, int life) {
    int status;
    close(life);
    STRESS(waitpid(clients, &status, 0) == clients && status == 0, "the clients could not connect");
}

int main(int argc, char **argv) {
    static uint8_t slots[SLOT_COUNT];
    struct router router = {.questions = stress_count(argc, argv, 20000)};
    uint64_t last = 0;
    int life;
    pid_t clients = clients_start(&router, &life);
    router_start(&router, slots);
    uint64_t elapsed_ns = stress_run(&router, ASKERS, (void (*const[])(void *)){ask_on, ask_on});
    clients_end(clients, life);
    stress_report("surveys: 2 askers, 3 workers", ASKERS * router.questions, elapsed_ns);
    for (uint32_t i = 0; i < ASKERS; i++)
        STRESS(router.answers[i] == router.questions && router.cut[i] == 0, "not all are answered");
    const struct survey_question question = {.kind = SURVEY_CONNECTIONS, .limit = 1};
    for (uint32_t i = 0; i < SURVEYS_MAX; i++)
        STRESS(survey_ask(router.desks[0], &question, count_cut, &last) == 0, "refused");
    (void)shards_stop(router.shards);
    survey_desk_serve(router.desks[0]);
    STRESS(last == SURVEYS_MAX, "%lu of %u answers behind the stop", (unsigned long)last, SURVEYS_MAX);
    STRESS(survey_ask(router.desks[0], &question, count_cut, &last) == -ESHUTDOWN, "taken behind the stop");
    for (uint32_t i = 0; i < ASKERS; i++)
        survey_desk_destroy(router.desks[i]);
    shards_destroy(router.shards);
    return 0;
}
