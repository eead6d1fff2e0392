/* Stress of ring/mpsc.c: three senders and the owner; contents, order of each sender, nothing lost, nothing
 * twice. The mailbox is so small that it is full most of the time in the first run, and empty most of the
 * time in the second. */
#include "tests/stress/ring_stress.h"

#include "ring/mpsc.h"

#define SENDERS 3u

struct post {
    struct mpsc *box;
    uint64_t commands; /* of each sender */
    uint32_t senders;  /* next free sender number */
    bool pauses;
    struct wake owner;
    uint64_t full[SENDERS];
};

static struct mpsc_command post_command(uint32_t sender, uint64_t number) {
    struct mpsc_command command = {.kind = sender, .small = (uint32_t)stress_mix(number)};
    command.word[0] = number;
    for (uint64_t i = 1; i < 5; i++)
        command.word[i] = stress_mix(number * 16 + i + ((uint64_t)sender << 60));
    return command;
}

static void send_commands(void *context) {
    struct post *post = context;
    uint32_t sender =
        __atomic_fetch_add(&post->senders, 1, __ATOMIC_RELAXED); /* relaxed: only a number is wanted */
    uint64_t random = sender;
    for (uint64_t number = 1; number <= post->commands; number++) {
        struct mpsc_command command = post_command(sender, number);
        uint32_t turns = 0;
        while (mpsc_push(post->box, &command) == RING_FULL) {
            post->full[sender]++;
            wake_signal(&post->owner);
            turns |= 255; /* only the owner can help: give the processor away at once */
            stress_pause(&turns);
        }
        wake_signal(&post->owner);
        if (post->pauses)
            stress_delay(stress_random(&random) % 128);
    }
}

static void receive_commands(void *context) {
    struct post *post = context;
    uint64_t got[SENDERS] = {0};
    for (uint64_t left = SENDERS * post->commands; left != 0;) {
        struct mpsc_command command;
        if (!mpsc_pop(post->box, &command)) {
            wake_announce(&post->owner);
            if (mpsc_pending(post->box))
                wake_resume(&post->owner);
            else
                stress_sleep(&post->owner);
            continue;
        }
        STRESS(command.kind < SENDERS, "a command of nobody");
        STRESS(command.word[0] == ++got[command.kind], "sender %u: %lu instead of %lu", command.kind,
               (unsigned long)command.word[0], (unsigned long)got[command.kind]);
        struct mpsc_command expected = post_command(command.kind, command.word[0]);
        STRESS(memcmp(&expected, &command, sizeof command) == 0, "a torn command");
        left--;
    }
    STRESS(!mpsc_pending(post->box), "a command too many");
}

static void run(const char *name, uint32_t cells, uint64_t commands, bool pauses) {
    struct post *post = aligned_alloc(64, sizeof *post);
    STRESS(post != NULL, "no memory");
    *post = (struct post){.commands = commands, .pauses = pauses};
    STRESS(mpsc_create(&post->box, cells) == 0 && wake_init(&post->owner) == 0, "no mailbox");
    uint64_t elapsed_ns =
        stress_run(post, 1 + SENDERS,
                   (void (*const[])(void *)){receive_commands, send_commands, send_commands, send_commands});
    stress_report(name, SENDERS * commands, elapsed_ns);
    printf("  full %lu times, bells %lu\n", (unsigned long)(post->full[0] + post->full[1] + post->full[2]),
           (unsigned long)post->owner.sent);
    wake_deinit(&post->owner);
    mpsc_destroy(post->box);
    free(post);
}

int main(int argc, char **argv) {
    uint64_t commands = stress_count(argc, argv, 200000);
    run("mpsc: 3 senders, 8 cells, always full", 8, commands, false);
    run("mpsc: 3 senders, 4096 cells, mostly empty", MAILBOX_COMMANDS, commands, true);
    return 0;
}
