#include "core/spoke/awaited.h"

#include "core/base/list.h"
#include "core/transport/state_file.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define AWAITED_HEADS (1u << 14)
#define AWAITED_SLACK 1024u /* lines more than needed until the file is written anew */
#define NO_DELIVERY   UINT64_MAX

enum { BY_INTERCHANGE, BY_GROUP, CHAINS };

struct item {
    struct awaited_entry entry; /* the first: an entry leads to its item */
    struct list place;          /* in the list of its state */
    struct item *next[CHAINS];  /* older ones with the same head */
    uint64_t delivery;          /* HANDED: of the transport, or NO_DELIVERY */
    bool telling;               /* awaited_late has given it out */
    char texts[];               /* that the document points to */
};

struct awaited {
    struct folder place;
    bool keeps; /* there is a place */
    struct state_file file;
    uint64_t period_ms;
    uint32_t most, count, in_state[AWAITED_STATES];
    struct list states[AWAITED_STATES]; /* each in the order of at_ms, but for LATE */
    struct item *heads[CHAINS][AWAITED_HEADS];
};

static const char *const state_names[] = {"handed", "sent", "late", "told", "answered"};

static struct item *item_at(const struct list *node) {
    return LIST_OF((struct list *)(uintptr_t)node, struct item, place);
}

/* ---- finding ---- */

/* Control numbers of X12 are numbers: partners drop their leading zeros. */
static const char *plain(bool x12, const char *reference) {
    while (x12 && reference[0] == '0' && reference[1] != '\0')
        reference++;
    return reference;
}

static struct item **head_of(struct awaited *awaited, int chain, bool x12, const char *reference) {
    const char *text = plain(x12, reference);
    return &awaited->heads[chain][XXH3_64bits(text, strlen(text)) & (AWAITED_HEADS - 1)];
}

static const char *reference_of(const struct item *item, int chain) {
    const struct awaited_document *document = &item->entry.document;
    return chain == BY_GROUP ? document->group : document->interchange;
}

static bool same_reference(bool x12, const char *a, const char *b) {
    return strcmp(plain(x12, a), plain(x12, b)) == 0;
}

static struct item *item_find(struct awaited *awaited, const struct awaited_document *document) {
    struct item *item = *head_of(awaited, BY_INTERCHANGE, document->x12, document->interchange);
    for (; item != NULL; item = item->next[BY_INTERCHANGE]) {
        const struct awaited_document *known = &item->entry.document;
        if (known->x12 == document->x12 && strcmp(known->interchange, document->interchange) == 0 &&
            strcmp(known->group, document->group) == 0 && strcmp(known->sender, document->sender) == 0 &&
            strcmp(known->receiver, document->receiver) == 0)
            return item;
    }
    return NULL;
}

static bool party_fits(const char *said, const char *known) {
    return *said == '\0' || strcmp(said, known) == 0;
}

static bool answers(const struct awaited_answer *answer, const struct item *item, int chain) {
    const struct awaited_document *document = &item->entry.document;
    return document->x12 == answer->x12 && party_fits(answer->sender, document->sender) &&
           party_fits(answer->receiver, document->receiver) &&
           same_reference(document->x12, reference_of(item, chain), answer->reference);
}

/* ---- the table ---- */

static void chain_add(struct awaited *awaited, struct item *item) {
    for (int chain = 0; chain < CHAINS; chain++) {
        struct item **head = head_of(awaited, chain, item->entry.document.x12, reference_of(item, chain));
        item->next[chain] = *head;
        *head = item;
    }
}

static void chain_remove(struct awaited *awaited, struct item *item) {
    for (int chain = 0; chain < CHAINS; chain++) {
        struct item **link = head_of(awaited, chain, item->entry.document.x12, reference_of(item, chain));
        while (*link != item)
            link = &(*link)->next[chain];
        *link = item->next[chain];
    }
}

static void state_set(struct awaited *awaited, struct item *item, enum awaited_state state, uint64_t at_ms) {
    list_remove(&item->place);
    awaited->in_state[item->entry.state]--;
    item->entry.state = state;
    item->entry.at_ms = at_ms;
    awaited->in_state[state]++;
    list_add(&awaited->states[state], &item->place);
}

static void item_drop(struct awaited *awaited, struct item *item) {
    chain_remove(awaited, item);
    list_remove(&item->place);
    awaited->in_state[item->entry.state]--;
    awaited->count--;
    free(item);
}

/* The oldest of what is over makes room for what is not. */
static bool room_make(struct awaited *awaited) {
    static const enum awaited_state over[] = {AWAITED_ANSWERED, AWAITED_TOLD};
    for (size_t i = 0; awaited->count >= awaited->most && i < sizeof over / sizeof *over; i++) {
        struct list *list = &awaited->states[over[i]];
        struct item *oldest = list_empty(list) ? NULL : item_at(list->next);
        if (oldest != NULL && !oldest->telling)
            item_drop(awaited, oldest);
    }
    return awaited->count < awaited->most;
}

static const char *text_put(char **at, const char *text) {
    const char *put = *at;
    size_t n = strlen(text) + 1;
    memcpy(*at, text, n);
    *at += n;
    return put;
}

static struct item *item_add(struct awaited *awaited, const struct awaited_document *document,
                             enum awaited_state state, uint64_t at_ms) {
    size_t room = strlen(document->sender) + strlen(document->receiver) + strlen(document->interchange) +
                  strlen(document->group) + strlen(document->id) + strlen(document->source) +
                  strlen(document->subject) + 7;
    struct item *item = room_make(awaited) ? calloc(1, sizeof *item + room) : NULL;
    if (item == NULL)
        return NULL;
    char *at = item->texts;
    item->delivery = NO_DELIVERY;
    item->entry = (struct awaited_entry){.state = state, .at_ms = at_ms};
    item->entry.document = (struct awaited_document){.x12 = document->x12,
                                                     .sender = text_put(&at, document->sender),
                                                     .receiver = text_put(&at, document->receiver),
                                                     .interchange = text_put(&at, document->interchange),
                                                     .group = text_put(&at, document->group),
                                                     .id = text_put(&at, document->id),
                                                     .source = text_put(&at, document->source),
                                                     .subject = text_put(&at, document->subject)};
    list_init(&item->place);
    list_add(&awaited->states[state], &item->place);
    awaited->in_state[state]++;
    awaited->count++;
    chain_add(awaited, item);
    return item;
}

static void heads_expire(struct awaited *awaited, enum awaited_state state, uint64_t age_ms,
                         uint64_t now_ms) {
    struct list *list = &awaited->states[state];
    for (struct list *node; (node = list_take(list)) != NULL;) {
        struct item *oldest = item_at(node);
        if (oldest->telling || now_ms < oldest->entry.at_ms || now_ms - oldest->entry.at_ms < age_ms) {
            list_add(list->next, node); /* to the front again */
            return;
        }
        item_drop(awaited, oldest);
    }
}

/* Whether it was answered is known as long as it could have been late: the event may be delivered again. */
static void expire(struct awaited *awaited, uint64_t now_ms) {
    heads_expire(awaited, AWAITED_HANDED, AWAITED_REMEMBER_MS, now_ms);
    heads_expire(awaited, AWAITED_TOLD, AWAITED_REMEMBER_MS, now_ms);
    heads_expire(awaited, AWAITED_ANSWERED, awaited->period_ms, now_ms);
}

/* ---- the file ---- */

/* The caller's to free; NULL: no memory. */
static char *line_of(const struct item *item) {
    const struct awaited_document *document = &item->entry.document;
    enum awaited_state state = item->entry.state == AWAITED_LATE ? AWAITED_SENT : item->entry.state;
    json_t *json = json_pack(
        "{s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "state", state_names[state], "at",
        (json_int_t)item->entry.at_ms, "format", document->x12 ? "X12" : "EDIFACT", "sender",
        document->sender, "receiver", document->receiver, "interchange", document->interchange, "group",
        document->group, "id", document->id, "source", document->source, "subject", document->subject);
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return text;
}

static bool lines_put(const void *user, FILE *out) {
    const struct awaited *awaited = user;
    for (int state = 0; state < AWAITED_STATES; state++)
        for (const struct list *node = awaited->states[state].next; node != &awaited->states[state];
             node = node->next) {
            char *line = line_of(item_at(node));
            if (line == NULL)
                return false;
            state_line_put(out, line, strlen(line));
            free(line);
        }
    return true;
}

static int write_anew(struct awaited *awaited) {
    int result = folder_open(&awaited->place);
    awaited->file.broken = true;
    return result < 0 ? result : state_file_renew(&awaited->file, lines_put, awaited);
}

static int line_add(struct awaited *awaited, const struct item *item) {
    if (state_file_worn(&awaited->file, 3 * (uint64_t)awaited->count + AWAITED_SLACK))
        return write_anew(awaited);
    char *line = line_of(item);
    int result = line != NULL ? state_file_add(&awaited->file, line, strlen(line)) : -ENOMEM;
    awaited->file.broken |= result != 0;
    free(line);
    return result;
}

int awaited_sync(struct awaited *awaited) {
    if (!awaited->keeps)
        return -EBADF;
    bool whole = awaited->file.fd >= 0 && !awaited->file.broken;
    int result = whole ? state_file_sync(&awaited->file) : write_anew(awaited);
    return folder_result(&awaited->place, result);
}

/* Memory has it already. */
static void note(struct awaited *awaited, const struct item *item) {
    if (awaited->keeps)
        (void)folder_result(&awaited->place, line_add(awaited, item));
}

static enum awaited_state state_named(const char *name) {
    enum awaited_state state = AWAITED_HANDED;
    while (state < AWAITED_STATES && strcmp(state_names[state], name) != 0)
        state++;
    return state;
}

static bool take_json(struct awaited *awaited, json_t *json) {
    struct awaited_document document = {0};
    const char *state_name, *format;
    json_int_t at;
    if (json_unpack(json, "{s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "state", &state_name, "at",
                    &at, "format", &format, "sender", &document.sender, "receiver", &document.receiver,
                    "interchange", &document.interchange, "group", &document.group, "id", &document.id,
                    "source", &document.source, "subject", &document.subject) != 0)
        return false;
    enum awaited_state state = state_named(state_name);
    document.x12 = strcmp(format, "X12") == 0;
    if (state == AWAITED_STATES || at < 0)
        return false;
    struct item *item = item_find(awaited, &document);
    if (item != NULL)
        state_set(awaited, item, state, (uint64_t)at);
    else
        item = item_add(awaited, &document, state, (uint64_t)at);
    return item != NULL;
}

static bool take_line(void *user, char *text, size_t length) {
    json_t *json = json_loadb(text, length, 0, NULL);
    bool good = json != NULL && take_json(user, json);
    json_decref(json);
    return good;
}

static int load(struct awaited *awaited, uint64_t now_ms) {
    int result = folder_open(&awaited->place);
    if (result >= 0)
        result = state_file_load(&awaited->file, take_line, awaited);
    if (result != 0 && result != -ENOENT)
        return result;
    expire(awaited, now_ms);
    return result == -ENOENT || awaited->file.broken ? write_anew(awaited) : 0;
}

/* ---- making and freeing ---- */

struct awaited *awaited_new(const char *spoke, const char *state_dir, uint64_t period_ms, uint32_t most,
                            uint64_t now_ms) {
    struct awaited *awaited = calloc(1, sizeof *awaited);
    if (awaited == NULL)
        return NULL;
    awaited->period_ms = period_ms;
    awaited->most = most != 0 ? most : AWAITED_MOST;
    awaited->keeps = state_dir != NULL;
    for (int state = 0; state < AWAITED_STATES; state++)
        list_init(&awaited->states[state]);
    folder_init(&awaited->place, spoke, state_dir);
    state_file_init(&awaited->file, &awaited->place, AWAITED_FILE);
    if (awaited->keeps)
        (void)folder_result(&awaited->place, load(awaited, now_ms));
    return awaited;
}

void awaited_free(struct awaited *awaited) {
    if (awaited == NULL)
        return;
    for (int state = 0; state < AWAITED_STATES; state++)
        for (struct list *node; (node = list_take(&awaited->states[state])) != NULL;)
            free(item_at(node));
    state_file_close(&awaited->file);
    folder_close(&awaited->place);
    free(awaited);
}

/* ---- what goes out ---- */

/* Deliveries end about in the order in which they began. */
static struct item *item_of_delivery(struct awaited *awaited, uint64_t delivery) {
    const struct list *list = &awaited->states[AWAITED_HANDED];
    for (const struct list *node = list->next; node != list; node = node->next)
        if (item_at(node)->delivery == delivery)
            return item_at(node);
    return NULL;
}

bool awaited_hand(struct awaited *awaited, const struct awaited_document *document, uint64_t delivery,
                  uint64_t now_ms) {
    expire(awaited, now_ms);
    struct item *item = item_find(awaited, document);
    if (item == NULL) {
        item = item_add(awaited, document, AWAITED_HANDED, now_ms);
        if (item == NULL)
            return false;
        note(awaited, item); /* an answer may be here before the transport knows that it is sent */
    }
    if (item->entry.state == AWAITED_HANDED)
        item->delivery = delivery;
    return true;
}

void awaited_sent(struct awaited *awaited, uint64_t delivery, uint64_t now_ms) {
    struct item *item = item_of_delivery(awaited, delivery);
    if (item == NULL)
        return;
    item->delivery = NO_DELIVERY;
    state_set(awaited, item, AWAITED_SENT, now_ms);
    note(awaited, item);
}

void awaited_unsent(struct awaited *awaited, uint64_t delivery) {
    struct item *item = item_of_delivery(awaited, delivery);
    if (item != NULL)
        item->delivery = NO_DELIVERY;
}

/* ---- what comes back ---- */

enum awaited_found awaited_answered(struct awaited *awaited, const struct awaited_answer *answer,
                                    uint64_t now_ms, const struct awaited_entry **entry) {
    int chain = answer->group ? BY_GROUP : BY_INTERCHANGE;
    struct item *open = NULL, *over = NULL;
    for (struct item *item = *head_of(awaited, chain, answer->x12, answer->reference); item != NULL;
         item = item->next[chain]) {
        if (!answers(answer, item, chain))
            continue;
        if (item->entry.state == AWAITED_ANSWERED)
            over = item;
        else
            open = item; /* of several with one reference the oldest is answered first */
    }
    *entry = open != NULL ? &open->entry : over != NULL ? &over->entry : NULL;
    if (open == NULL)
        return over != NULL ? AWAITED_AGAIN : AWAITED_UNKNOWN;
    bool late = open->entry.state == AWAITED_TOLD;
    open->delivery = NO_DELIVERY;
    state_set(awaited, open, AWAITED_ANSWERED, now_ms);
    note(awaited, open);
    return late ? AWAITED_TOO_LATE : AWAITED_IN_TIME;
}

/* ---- what does not ---- */

struct awaited_entry *awaited_late(struct awaited *awaited, uint64_t now_ms) {
    expire(awaited, now_ms);
    if (awaited_due_ms(awaited) > now_ms)
        return NULL;
    struct item *item = item_at(awaited->states[AWAITED_SENT].next);
    item->telling = true;
    state_set(awaited, item, AWAITED_LATE, item->entry.at_ms);
    return &item->entry;
}

bool awaited_told(struct awaited *awaited, struct awaited_entry *entry, bool told, uint64_t now_ms) {
    struct item *item = (struct item *)(void *)entry;
    item->telling = false;
    if (entry->state != AWAITED_LATE)
        return false;
    if (told) {
        state_set(awaited, item, AWAITED_TOLD, now_ms);
        note(awaited, item);
        return true;
    }
    /* Back to the front: it is the oldest. */
    state_set(awaited, item, AWAITED_SENT, entry->at_ms);
    list_remove(&item->place);
    list_add(awaited->states[AWAITED_SENT].next, &item->place);
    return false;
}

uint64_t awaited_due_ms(const struct awaited *awaited) {
    const struct list *sent = &awaited->states[AWAITED_SENT];
    return list_empty(sent) ? AWAITED_NEVER : item_at(sent->next)->entry.at_ms + awaited->period_ms;
}

uint32_t awaited_count(const struct awaited *awaited) {
    return awaited->in_state[AWAITED_SENT] + awaited->in_state[AWAITED_LATE] +
           awaited->in_state[AWAITED_TOLD];
}
