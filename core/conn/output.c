#include "core/conn/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PRIVATE_BYTES_FIRST 256u
#define SLICE_LENGTH_MAX                                                                                     \
    (1u << 30) /* the length field has 32 bits; a longer stretch becomes several items                       \
                */

int output_pool_init(struct output_pool *pool, uint32_t items) {
    *pool = (struct output_pool){.items = calloc(items, sizeof *pool->items)};
    if (pool->items == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < items; i++) {
        pool->items[i].next = pool->spare;
        pool->spare = &pool->items[i];
    }
    return 0;
}

void output_pool_deinit(struct output_pool *pool) {
    CHECK(pool->used == 0);
    free(pool->items);
    *pool = (struct output_pool){0};
}

static struct output_item *item_take(struct output_pool *pool) {
    struct output_item *item = pool->spare;
    if (item == NULL)
        return NULL;
    pool->spare = item->next;
    pool->used++;
    if (pool->used > pool->used_most)
        pool->used_most = pool->used;
    return item;
}

/* Private items come from the heap: what a client owes us to read must not use up what slices need. */
static void item_give(struct output_pool *pool, struct output_item *item) {
    if (item->log == OUTPUT_PRIVATE) {
        free(item);
        return;
    }
    item->next = pool->spare;
    pool->spare = item;
    pool->used--;
}

static void item_append(struct output *output, struct output_item *item) {
    item->next = NULL;
    if (output->last == NULL)
        output->first = item;
    else
        output->last->next = item;
    output->last = item;
    output->bytes += item->length;
    output->slices += item->log != OUTPUT_PRIVATE;
}

static void item_pop(struct output *output, struct output_pool *pool) {
    struct output_item *item = output->first;
    output->first = item->next;
    if (output->first == NULL)
        output->last = NULL;
    output->slices -= item->log != OUTPUT_PRIVATE;
    item_give(pool, item);
}

int output_slice(struct output *output, struct output_pool *pool, uint16_t log, uint64_t first,
                 uint64_t offset, uint32_t length) {
    struct output_item *last = output->last;
    if (last != NULL && last->log == log && last->offset + last->length == offset &&
        last->length < SLICE_LENGTH_MAX) {
        last->length += length;
        output->bytes += length;
        return 0;
    }
    struct output_item *item = item_take(pool);
    if (item == NULL)
        return -ENOBUFS;
    *item = (struct output_item){.first = first, .offset = offset, .length = length, .log = log};
    item_append(output, item);
    return 0;
}

/* ---- private bytes ---- */

static int private_room(struct output *output, uint32_t length) {
    uint32_t used = output->private_length;
    if (output->private_begin + used + length <= output->private_capacity)
        return 0;
    uint32_t capacity =
        output->private_capacity < PRIVATE_BYTES_FIRST ? PRIVATE_BYTES_FIRST : output->private_capacity;
    while (capacity < used + length)
        capacity *= 2;
    uint8_t *bytes = malloc(capacity);
    if (bytes == NULL)
        return -ENOMEM;
    if (used > 0)
        memcpy(bytes, output->private_bytes + output->private_begin, used);
    free(output->private_bytes);
    output->private_bytes = bytes;
    output->private_begin = 0;
    output->private_capacity = capacity;
    return 0;
}

uint8_t *output_private(struct output *output, uint32_t length, uint16_t position_at) {
    if (private_room(output, length) != 0)
        return NULL;
    struct output_item *item = malloc(sizeof *item);
    if (item == NULL)
        return NULL;
    *item = (struct output_item){.length = length, .log = OUTPUT_PRIVATE, .position_at = position_at};
    item_append(output, item);
    uint8_t *bytes = output->private_bytes + output->private_begin + output->private_length;
    output->private_length += length;
    return bytes;
}

uint8_t *output_carried(struct output *output, uint32_t length) {
    uint8_t *bytes = output_private(output, length, 0);
    if (bytes == NULL)
        return NULL;
    output->last->first = OUTPUT_CARRIED;
    output->carried += length;
    return bytes;
}

static void private_drop(struct output *output, uint32_t length) {
    output->private_begin += length;
    output->private_length -= length;
    output->rest -= length < output->rest ? length : output->rest;
    if (output->private_length == 0) {
        free(output->private_bytes);
        output->private_bytes = NULL;
        output->private_begin = output->private_capacity = 0;
    }
}

/* ---- sending ---- */

/* What output_gather has put together so far. */
struct gather {
    struct iovec *iov;
    struct staging *staging;
    uint32_t pieces;
    uint32_t bytes;
    bool staged; /* the last piece lies in staging and can grow */
};

static bool gather_copy(struct gather *gather, const uint8_t *bytes, uint32_t length) {
    struct staging *staging = gather->staging;
    if (STAGING_BYTES - staging->used < length || (!gather->staged && gather->pieces == SEND_IOV_MAX))
        return false;
    uint8_t *to = staging->bytes + staging->used;
    memcpy(to, bytes, length);
    staging->used += length;
    if (gather->staged)
        gather->iov[gather->pieces - 1].iov_len += length;
    else
        gather->iov[gather->pieces++] = (struct iovec){.iov_base = to, .iov_len = length};
    gather->staged = true;
    return true;
}

static bool gather_point(struct gather *gather, const uint8_t *bytes, uint32_t length) {
    if (gather->pieces == SEND_IOV_MAX)
        return false;
    /* the kernel only reads what an iovec of a send names */
    gather->iov[gather->pieces++] = (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
    gather->staged = false;
    return true;
}

static bool gather_add(struct gather *gather, const uint8_t *bytes, uint32_t length) {
    uint32_t room = (uint32_t)SEND_BYTES_MAX - gather->bytes;
    uint32_t take = length < room ? length : room;
    if (take == 0)
        return false;
    bool added = take < SEND_COPY_MAX ? gather_copy(gather, bytes, take) : gather_point(gather, bytes, take);
    if (added)
        gather->bytes += take;
    return added && take == length;
}

uint32_t output_gather(const struct output *output, const struct log_view *const *views,
                       struct staging *staging, struct iovec iov[SEND_IOV_MAX]) {
    struct gather gather = {.iov = iov, .staging = staging};
    const uint8_t *private_next = output->private_bytes + output->private_begin;
    for (const struct output_item *item = output->first; item != NULL; item = item->next) {
        bool private = item->log == OUTPUT_PRIVATE;
        const uint8_t *bytes = private ? private_next : log_view_bytes(views[item->log], item->offset);
        if (private)
            private_next += item->length;
        if (!gather_add(&gather, bytes, item->length))
            break;
    }
    if (staging->used > staging->used_most)
        staging->used_most = staging->used;
    return gather.pieces;
}

void output_sent(struct output *output, struct output_pool *pool, uint64_t bytes) {
    CHECK(bytes <= output->bytes);
    output->bytes -= bytes;
    while (bytes > 0) {
        struct output_item *item = output->first;
        uint32_t part = item->length < bytes ? item->length : (uint32_t)bytes;
        if (item->log == OUTPUT_PRIVATE) {
            output->carried -= (item->first & OUTPUT_CARRIED) != 0 ? part : 0;
            private_drop(output, part);
            item->position_at = 0; /* once begun it can not be mended any more */
        }
        item->offset += part;
        item->length -= part;
        bytes -= part;
        if (item->length == 0)
            item_pop(output, pool);
    }
}

/* ---- going back ---- */

/* The record of `log` that holds the byte at `offset`, from position `from` on: offsets grow with positions.
 */
static uint64_t position_holding(const struct log_view *view, uint64_t from, uint64_t offset) {
    uint64_t low = from;
    uint64_t high = log_view_end(view);
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (log_view_entry(view, middle)->offset <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}

uint64_t output_lowest(struct output *output, const struct log_view *view, uint16_t index) {
    for (struct output_item *item = output->first; item != NULL; item = item->next) {
        if (item->log != index)
            continue;
        item->first = position_holding(view, item->first, item->offset);
        return item->first;
    }
    return UINT64_MAX;
}

/* A slice whose first record has been begun: the rest of that record moves into `rest`; returns the position
 * behind it. */
static uint64_t slice_rest(const struct output_item *slice, const struct log_view *view, const uint8_t **rest,
                           uint32_t *rest_length) {
    uint64_t position = position_holding(view, slice->first, slice->offset);
    const struct log_entry *entry = log_view_entry(view, position);
    if (entry->offset == slice->offset)
        return position;
    *rest = log_view_bytes(view, slice->offset);
    *rest_length = (uint32_t)(entry->offset + entry->length - slice->offset);
    return position + 1;
}

static void slices_drop(struct output *output, struct output_pool *pool) {
    struct output_item *item = output->first;
    output->first = output->last = NULL;
    output->bytes = 0;
    output->slices = 0;
    while (item != NULL) {
        struct output_item *next = item->next;
        if (item->log == OUTPUT_PRIVATE)
            item_append(output, item);
        else
            item_give(pool, item);
        item = next;
    }
}

/* Puts the rest of a begun record in front of everything: only the front of the list can have been begun. */
static int rest_keep(struct output *output, const uint8_t *rest, uint32_t length) {
    if (private_room(output, length) != 0)
        return -ENOMEM;
    struct output_item *item = malloc(sizeof *item);
    if (item == NULL)
        return -ENOMEM;
    uint8_t *front = output->private_bytes + output->private_begin;
    memmove(front + length, front, output->private_length);
    memcpy(front, rest, length);
    output->private_length += length;
    output->rest = length;
    output->bytes += length;
    *item = (struct output_item){.next = output->first, .length = length, .log = OUTPUT_PRIVATE};
    output->first = item;
    if (output->last == NULL)
        output->last = item;
    return 0;
}

void output_ended(struct output *output) {
    if (output->last != NULL && output->last->log == OUTPUT_PRIVATE)
        output->last->first |= OUTPUT_ENDED;
}

static const struct output_item *ended_last(const struct output *output) {
    const struct output_item *found = NULL;
    for (const struct output_item *item = output->first; item != NULL; item = item->next)
        if (item->log == OUTPUT_PRIVATE && (item->first & OUTPUT_ENDED) != 0)
            found = item;
    return found;
}

bool output_has_ended(const struct output *output) {
    return ended_last(output) != NULL;
}

/* What has been found on the way along the list: where the slices so far begin, and the rest of the first. */
struct retreat {
    const struct output_retreat *how;
    uint64_t lowest[LOGS_MAX]; /* by log; UINT64_MAX: none so far */
    const uint8_t *rest;
    uint32_t rest_length;
};

static void retreat_slice(struct retreat *retreat, const struct output *output,
                          const struct output_item *item) {
    const struct log_view *view = retreat->how->views[item->log];
    uint32_t log = item->log % LOGS_MAX;
    uint64_t position =
        item == output->first ? slice_rest(item, view, &retreat->rest, &retreat->rest_length) : item->first;
    if (position < retreat->lowest[log])
        retreat->lowest[log] = position;
    if (position < retreat->how->next[log])
        retreat->how->next[log] = position;
}

/* Behind the end of a subscription slices are given up only as far as others want them. */
static void retreat_raise(struct retreat *retreat) {
    for (uint32_t i = 0; i < retreat->how->count; i++)
        if (retreat->lowest[i] < retreat->how->ended[i])
            retreat->lowest[i] = retreat->how->ended[i];
}

/* A frame overtakes the slices in front of it, so its Position must not lie behind them. */
static void retreat_walk(struct retreat *retreat, const struct output *output) {
    uint8_t *bytes = output->private_bytes + output->private_begin;
    const struct output_item *ended = ended_last(output);
    for (const struct output_item *item = output->first; item != NULL; item = item->next) {
        if (item->log != OUTPUT_PRIVATE) {
            retreat_slice(retreat, output, item);
            continue;
        }
        if (item->position_at != 0)
            retreat->how->mend(bytes + item->position_at, item->length - item->position_at, retreat->lowest);
        bytes += item->length;
        if (item == ended && retreat->how->ended != NULL)
            retreat_raise(retreat);
    }
}

int output_retreat(struct output *output, struct output_pool *pool, const struct output_retreat *how) {
    struct retreat retreat = {.how = how};
    CHECK(how->count <= LOGS_MAX);
    if (output->slices == 0)
        return 0;
    for (uint32_t i = 0; i < how->count; i++)
        retreat.lowest[i] = UINT64_MAX;
    retreat_walk(&retreat, output);
    slices_drop(output, pool);
    return retreat.rest_length > 0 ? rest_keep(output, retreat.rest, retreat.rest_length) : 0;
}

void output_deinit(struct output *output, struct output_pool *pool) {
    while (output->first != NULL)
        item_pop(output, pool);
    free(output->private_bytes);
    *output = (struct output){0};
}
