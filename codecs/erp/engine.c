#include "codecs/erp/engine.h"

#include "codecs/erp/engine_parts.h"
#include "core/base/heap.h"

#include <string.h>

/* Format, name and variant, a zero byte behind each, at `out`. */
static void names_write(const struct document_head *head, char *out) {
    const struct value values[] = {head->format, head->name, head->variant};
    for (size_t i = 0; i < 3; i++) {
        if (values[i].length)
            memcpy(out, values[i].bytes, values[i].length);
        out[values[i].length] = 0;
        out += values[i].length + 1;
    }
}

static const struct map *names_find(struct erp_engine *engine, const char *names) {
    struct map_error error;
    const char *name = names + strlen(names) + 1;
    return map_find(engine->options.library, names, name, name + strlen(name) + 1, &error);
}

static const struct map *map_of(struct erp_engine *engine, const struct document_head *head) {
    char names[LAST_NAME_BYTES] = {0};
    size_t n = (size_t)head->format.length + head->name.length + head->variant.length + 3;
    if (n > LAST_NAME_BYTES) {
        char *longer = arena_take(&engine->arena, n);
        if (longer)
            names_write(head, longer);
        return longer ? names_find(engine, longer) : NULL;
    }
    names_write(head, names);
    if (memcmp(names, engine->last_name, LAST_NAME_BYTES) != 0) {
        memcpy(engine->last_name, names, LAST_NAME_BYTES);
        engine->last_map = names_find(engine, names);
    }
    return engine->last_map;
}

static void spot_whole(struct erp_engine *engine, struct value found, struct spot *spot) {
    engine->place = (struct place){.offset = engine->head.offset};
    engine->name = (struct value){0};
    *spot = (struct spot){.found = found};
}

/* The fields of *begin and *end, as a segment. */
static void head_segment(struct erp_engine *engine, const char *name, uint16_t symbol) {
    const struct document_head *head = &engine->head;
    struct element elements[HEAD_FIELDS - 1];
    const struct value values[HEAD_FIELDS - 1] = {[HEAD_FORMAT - 1] = head->format,
                                                  [HEAD_NAME - 1] = head->name,
                                                  [HEAD_VERSION - 1] = head->version,
                                                  [HEAD_ASSOCIATION - 1] = head->association,
                                                  [HEAD_VARIANT - 1] = head->variant,
                                                  [HEAD_SENDER - 1] = head->sender.id,
                                                  [HEAD_SENDER_QUALIFIER - 1] = head->sender.qualifier,
                                                  [HEAD_RECEIVER - 1] = head->receiver.id,
                                                  [HEAD_RECEIVER_QUALIFIER - 1] = head->receiver.qualifier,
                                                  [HEAD_INTERCHANGE_REF - 1] = head->interchange_ref,
                                                  [HEAD_GROUP_REF - 1] = head->group_ref,
                                                  [HEAD_MESSAGE_REF - 1] = head->message_ref,
                                                  [HEAD_DATE - 1] = head->date,
                                                  [HEAD_TIME - 1] = head->time};
    if (!symbol)
        return;
    for (uint32_t i = 0; i < HEAD_FIELDS - 1; i++)
        elements[i] = (struct element){.number = i + 1, .first = i, .count = 1};
    struct segment segment = {.name = {.bytes = (const uint8_t *)name, .length = (uint32_t)strlen(name)},
                              .place = {.offset = head->offset},
                              .elements = elements,
                              .element_count = HEAD_FIELDS - 1,
                              .components = values,
                              .component_count = HEAD_FIELDS - 1,
                              .decimal = '.'};
    frame_outermost(engine, &segment, symbol);
}

/* The event with its header and origin. false: no memory. */
static bool message_make(struct erp_engine *engine) {
    const struct map *map = engine->map;
    engine->message = engine_message(engine, map->event);
    if (engine->message)
        engine->header = (void *)engine_walk(engine, engine->message, &map->header, 1);
    if (!engine->header)
        return false;
    engine->header->origin = (void *)engine_message(engine, &roundhouse__erp__v1__origin__descriptor);
    return engine->header->origin != NULL;
}

static void message_begin(struct erp_engine *engine, const struct document_head *head) {
    arena_reset(&engine->arena);
    engine->open = true;
    engine->message = NULL;
    engine->header = NULL;
    engine->errors = engine->findings = engine->beyond = engine->top = 0;
    engine->pending = NULL;
    engine->controls = (struct controls){0};
    origin_head_copy(&engine->arena, &engine->head, head);
    head = &engine->head;
    engine->map = map_of(engine, head);
    if (!engine->map)
        return;
    memset(engine->variables, 0, engine->map->variable_count * sizeof *engine->variables);
    engine->frames[0] = (struct frame){.section = &engine->map->sections[0]};
    if (!message_make(engine)) {
        engine->map = NULL;
        return;
    }
    engine->frames[0].message = engine->message;
    origin_begin(engine);
    head_segment(engine, "*begin", engine->map->begin);
}

/* Amounts that named no currency have the document's. */
static void currencies_settle(struct erp_engine *engine) {
    if (*engine->header->currency)
        for (struct pending *pending = engine->pending; pending; pending = pending->next)
            if (!*pending->amount->currency)
                pending->amount->currency = engine->header->currency;
}

static void message_settle(struct erp_engine *engine, const struct document_tail *tail) {
    struct spot spot;
    if (engine->map) {
        engine->top = 0;
        head_segment(engine, "*end", engine->map->end);
        currencies_settle(engine);
        spot_whole(engine, (struct value){0}, &spot);
        engine_verify(engine);
        origin_end(engine, tail);
    }
    spot_whole(engine, engine->head.name, &spot);
    if (engine->arena.failed) {
        engine->message = NULL;
        engine->header = NULL;
        origin_find(engine, FINDING_MAP_TOO_LARGE, &spot);
    } else if (!engine->map) {
        origin_find(engine, FINDING_MAP_NONE, &spot);
    }
}

static void message_end(struct erp_engine *engine, const struct document_tail *tail) {
    if (!engine->open)
        return;
    message_settle(engine, tail);
    engine->open = false;
    struct erp_result result = {.head = &engine->head,
                                .message = engine->message,
                                .header = engine->header,
                                .errors = tail->errors + engine->errors};
    engine->options.message(engine->options.context, &result);
    engine->map = NULL;
}

/* ---- The sink ----------------------------------------------------------------------------------------- */

static void on_begin(void *context, enum document_scope scope, const struct document_head *head) {
    struct erp_engine *engine = context;
    if (scope == DOCUMENT_INTERCHANGE) {
        arena_reset(&engine->around_arena);
        origin_head_copy(&engine->around_arena, &engine->around, head);
    }
    if (scope == DOCUMENT_MESSAGE)
        message_begin(engine, head);
    else if (scope == DOCUMENT_AGGREGATE && engine->map)
        frame_begin(engine, head->name);
}

/* A segment outside of a message (TA1) is a message of its own, named as it is. */
static void segment_alone(struct erp_engine *engine, const struct segment *segment) {
    struct document_head head = engine->around;
    struct document_tail tail = {.length = segment->place.length, .segments = 1};
    head.name = segment->name;
    head.offset = segment->place.offset;
    message_begin(engine, &head);
    if (engine->map)
        frame_segment(engine, segment);
    message_end(engine, &tail);
}

static void on_segment(void *context, const struct segment *segment) {
    struct erp_engine *engine = context;
    if (!engine->open)
        segment_alone(engine, segment);
    if (engine->map)
        frame_segment(engine, segment);
}

static void on_end(void *context, enum document_scope scope, const struct document_tail *tail) {
    struct erp_engine *engine = context;
    if (scope == DOCUMENT_MESSAGE)
        message_end(engine, tail);
    else if (scope == DOCUMENT_AGGREGATE && engine->map)
        frame_end(engine);
}

/* Findings about an interchange or group belong to no message. */
static void on_finding(void *context, const struct finding *finding) {
    struct erp_engine *engine = context;
    if (engine->open && finding->scope >= DOCUMENT_MESSAGE)
        origin_finding(engine, finding);
    else if (engine->options.finding)
        engine->options.finding(engine->options.context, finding);
}

struct erp_engine *erp_engine_new(const struct erp_engine_options *options) {
    struct erp_engine *engine = heap_take(sizeof *engine);
    if (!engine)
        return NULL;
    engine->options = *options;
    engine->profile = options->profile ? options->profile : &engine->strict;
    engine->arena.limit = ERP_MESSAGE_BYTES_MAX;
    return engine;
}

void erp_engine_free(struct erp_engine *engine) {
    if (!engine)
        return;
    arena_free(&engine->arena);
    arena_free(&engine->around_arena);
    heap_give(engine);
}

struct document_sink erp_engine_sink(struct erp_engine *engine) {
    return (struct document_sink){
        .context = engine, .begin = on_begin, .segment = on_segment, .end = on_end, .finding = on_finding};
}

void erp_engine_file(struct erp_engine *engine, const uint8_t digest[ERP_DIGEST_BYTES]) {
    engine->digest_known = digest != NULL;
    if (digest)
        memcpy(engine->digest, digest, ERP_DIGEST_BYTES);
}
