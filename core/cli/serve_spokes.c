#include "core/cli/serve_spokes.h"

#include "core/admin/metrics.h"
#include "core/cli/cli.h"
#include "core/transport/ingest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what the admin plane may ask ---- */

static char *on_list(void *user) {
    return spokes_list(((struct serve_spokes *)user)->spokes);
}

static bool on_apply(void *user, void (*done)(void *answer, bool applied, const char *json), void *answer) {
    return spokes_apply(((struct serve_spokes *)user)->spokes, done, answer);
}

struct numbers {
    struct metrics_spoke *list;
    uint32_t count;
};

/* Counters are read one by one: they move. */
static void counters_copy(struct counter *to, const struct counter *from, size_t count) {
    for (size_t i = 0; i < count; i++)
        counter_set(&to[i], counter_get(&from[i]));
}

static void on_numbers_of(void *user, const char *name, const struct spoke_counters *out,
                          const struct inbound_counters *in) {
    struct numbers *numbers = user;
    struct metrics_spoke *list = realloc(numbers->list, (numbers->count + 1) * sizeof *list);
    if (list == NULL)
        return;
    numbers->list = list;
    struct metrics_spoke *spoke = &list[numbers->count++];
    *spoke = (struct metrics_spoke){0};
    (void)snprintf(spoke->name, sizeof spoke->name, "%s", name);
    counters_copy((struct counter *)&spoke->out, (const struct counter *)out,
                  sizeof *out / sizeof(struct counter));
    counters_copy((struct counter *)&spoke->in, (const struct counter *)in,
                  sizeof *in / sizeof(struct counter));
}

static uint32_t on_numbers(void *user, struct metrics_spoke **list) {
    struct numbers numbers = {0};
    spokes_numbers(((struct serve_spokes *)user)->spokes, on_numbers_of, &numbers);
    *list = numbers.list;
    return numbers.count;
}

/* ---- start and stop ---- */

int serve_spokes_start(struct serve_spokes *serve, const struct config *config, const char *server,
                       struct ingest *ingest) {
    char why[SPOKE_ERROR_BYTES] = "";
    if (strcmp(config->spokes_dir, "off") == 0) {
        if (ingest != NULL)
            ingest_expect(ingest, NULL, 0);
        return CLI_OK;
    }
    (void)snprintf(serve->server, sizeof serve->server, "%s", server);
    if (config->spokes_state_auto)
        (void)snprintf(serve->state_dir, sizeof serve->state_dir, "%s/.state", config->spokes_dir);
    else
        (void)snprintf(serve->state_dir, sizeof serve->state_dir, "%s", config->spokes_state);
    struct spokes_options options = {.dir = config->spokes_dir,
                                     .world = {.server = serve->server,
                                               .journal = config_journalled(config),
                                               .frame_bytes = config->limits.frame_bytes,
                                               .state_dir = serve->state_dir},
                                     .ingest = ingest};
    serve->admin =
        (struct admin_spokes){.user = serve, .list = on_list, .apply = on_apply, .numbers = on_numbers};
    serve->spokes = spokes_start(&options, why, sizeof why);
    if (serve->spokes != NULL)
        return CLI_OK;
    fprintf(stderr, "roundhouse serve: spokes: %s\n", why);
    return CLI_CONFIG;
}

void serve_spokes_stop(struct serve_spokes *serve) {
    spokes_stop(serve->spokes);
}

void serve_spokes_free(struct serve_spokes *serve) {
    spokes_free(serve->spokes);
    serve->spokes = NULL;
}

void serve_spokes_apply(struct serve_spokes *serve) {
    (void)spokes_apply(serve->spokes, NULL, NULL);
}

const struct admin_spokes *serve_spokes_admin(const struct serve_spokes *serve) {
    return serve->spokes != NULL ? &serve->admin : NULL;
}
