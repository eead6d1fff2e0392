/* Sections: which of those that are open, or could be opened, a segment is for. */
#include "codecs/erp/engine_parts.h"

#include <string.h>

static const struct map_cell *cell_of(const struct frame *frame, uint16_t symbol) {
    return &frame->section->cells[symbol];
}

static void pop_to(struct erp_engine *engine, uint32_t frame) {
    engine->top = frame;
}

ProtobufCMessage *frame_message(struct erp_engine *engine, uint32_t at) {
    struct frame *frame = &engine->frames[at];
    if (LIKELY(frame->message != NULL))
        return frame->message;
    const struct map_section *section = frame->section;
    ProtobufCMessage *from = section->from_root || at == 0 ? engine->message : frame_message(engine, at - 1);
    if (from)
        frame->message = engine_walk(engine, from, section->steps, section->step_count);
    return frame->message;
}

/* Puts a section on top; a list gets its new entry at once, so that it has one for each time. */
static bool push(struct erp_engine *engine, const struct map_section *section, uint16_t symbol) {
    if (engine->top + 1 == ENGINE_FRAMES_MAX)
        return false;
    struct frame *frame = &engine->frames[++engine->top];
    *frame = (struct frame){.section = section, .symbol = symbol, .rank = section ? section->rank : 0};
    if (!section)
        return true;
    for (uint64_t clears = section->clears; clears; clears &= clears - 1)
        engine->variables[__builtin_ctzll(clears)] = (struct value){0};
    if (section->appends) {
        ProtobufCMessage *from =
            section->from_root ? engine->message : frame_message(engine, engine->top - 1);
        if (from)
            frame->message = engine_append(engine, from, section->steps, section->step_count);
    }
    return true;
}

/* The first section of a frame that the segment opens; without a segment only one without conditions. */
static const struct map_section *child_of(const struct erp_engine *engine, const struct frame *frame,
                                          uint16_t symbol, const struct segment *segment, uint32_t rank) {
    const struct map_cell *cell = cell_of(frame, symbol);
    for (uint32_t i = 0; i < cell->child_count; i++) {
        const struct map_section *child = &engine->map->sections[engine->map->children[cell->child + i]];
        if (child->rank >= rank &&
            (segment ? engine_conditions(engine, segment, child->conditions, child->condition_count)
                     : child->condition_count == 0))
            return child;
    }
    return NULL;
}

/* The rows of a frame that fit. Says whether there was one; the frame becomes the top one before the first.
 */
static bool rows_run(struct erp_engine *engine, const struct segment *segment, uint32_t at, uint16_t symbol,
                     uint32_t rank) {
    const struct map_cell *cell = cell_of(&engine->frames[at], symbol);
    bool some = false;
    for (uint32_t i = 0; i < cell->row_count; i++) {
        const struct map_row *row = &engine->map->rows[cell->row + i];
        if (row->rank < rank || !engine_conditions(engine, segment, row->conditions, row->condition_count))
            continue;
        if (!some)
            pop_to(engine, at);
        some = true;
        engine_row(engine, segment, row, at);
    }
    return some;
}

/* Opens the section and those inside it that the same segment opens, each with its rows. */
static void enter(struct erp_engine *engine, const struct segment *segment, const struct map_section *section,
                  uint16_t symbol) {
    while (section && push(engine, section, symbol)) {
        rows_run(engine, segment, engine->top, symbol, 0);
        section = child_of(engine, &engine->frames[engine->top], symbol, segment, 0);
    }
}

/* Whether a frame takes the segment. The one that opened a section begins another one, if it comes again: it
 * is not for its rows. Where sections are for a segment, and none of them fits, it begins a part that nobody
 * reads. */
static bool offer(struct erp_engine *engine, const struct segment *segment, uint32_t at, uint16_t symbol,
                  uint32_t rank) {
    const struct frame *frame = &engine->frames[at];
    const struct map_cell *cell = cell_of(frame, symbol);
    const struct map_section *child =
        cell->child_count ? child_of(engine, frame, symbol, segment, rank) : NULL;
    bool again = at > 0 && !frame->aggregate && frame->symbol == symbol;
    bool some = !again && cell->row_count && rows_run(engine, segment, at, symbol, rank);
    if (child) {
        pop_to(engine, at);
        enter(engine, segment, child, symbol);
        return true;
    }
    const struct map_section *first =
        cell->fills ? &engine->map->sections[engine->map->children[cell->child]] : NULL;
    if (some || !first || first->rank < rank)
        return some;
    pop_to(engine, at);
    if (push(engine, &engine->map->nobody, symbol))
        engine->frames[engine->top].rank = first->rank;
    return true;
}

/* An element's own segment: the rows around it are for it, too, and a section with conditions opens only now.
 */
static void own_segment(struct erp_engine *engine, const struct segment *segment, uint16_t symbol) {
    uint32_t at = engine->top;
    struct frame *frame = &engine->frames[at];
    const struct map_section *section = frame->section;
    frame->fresh = false;
    if (!engine->frames[at - 1].section)
        return;
    uint32_t nested = frame->nested;
    if (section) {
        rows_run(engine, segment, at - 1, symbol, 0);
        pop_to(engine, at);
        rows_run(engine, segment, at, symbol, 0);
        return;
    }
    pop_to(engine, at - 1);
    section = child_of(engine, &engine->frames[at - 1], symbol, segment, 0);
    rows_run(engine, segment, at - 1, symbol, 0);
    push(engine, section, symbol);
    engine->frames[at].aggregate = true;
    engine->frames[at].nested = nested;
    if (section)
        rows_run(engine, segment, at, symbol, 0);
}

void frame_segment(struct erp_engine *engine, const struct segment *segment) {
    engine_segment(engine, segment);
    uint16_t symbol =
        (uint16_t)map_index_find(&engine->map->symbols, segment->name.bytes, segment->name.length);
    if (symbol == MAP_SYMBOL_NONE || engine->beyond)
        return;
    struct frame *top = &engine->frames[engine->top];
    if (UNLIKELY(top->aggregate)) {
        if (top->nested == 0 && top->fresh && top->symbol == symbol) {
            own_segment(engine, segment, symbol);
            return;
        }
        if (!top->section || top->nested)
            return;
        top->fresh = false;
    }
    for (uint32_t at = engine->top, rank = 0;; at--) {
        const struct frame *frame = &engine->frames[at];
        if (offer(engine, segment, at, symbol, rank) || at == 0 || frame->aggregate)
            return;
        rank = frame->rank;
    }
}

void frame_outermost(struct erp_engine *engine, const struct segment *segment, uint16_t symbol) {
    engine_segment(engine, segment);
    rows_run(engine, segment, 0, symbol, 0);
}

void frame_begin(struct erp_engine *engine, struct value name) {
    uint16_t symbol = (uint16_t)map_index_find(&engine->map->symbols, name.bytes, name.length);
    struct frame *top = &engine->frames[engine->top];
    if (top->aggregate && (!top->section || top->nested)) {
        top->nested++;
        return;
    }
    const struct map_section *child = NULL;
    uint32_t at = engine->top;
    for (uint32_t rank = 0; symbol != MAP_SYMBOL_NONE; at--) {
        child = child_of(engine, &engine->frames[at], symbol, NULL, rank);
        if (child || at == 0 || engine->frames[at].aggregate)
            break;
        rank = engine->frames[at].rank;
    }
    if (child)
        pop_to(engine, at);
    /* What a segment has opened ends with the element that it stands in. */
    while (!child && engine->top > 0 && !engine->frames[engine->top].aggregate)
        engine->top--;
    if (engine->beyond || !push(engine, child, symbol)) {
        engine->beyond++;
        return;
    }
    engine->frames[engine->top].aggregate = true;
    engine->frames[engine->top].fresh = symbol != MAP_SYMBOL_NONE;
}

void frame_end(struct erp_engine *engine) {
    if (engine->beyond) {
        engine->beyond--;
        return;
    }
    while (engine->top > 0 && !engine->frames[engine->top].aggregate)
        engine->top--;
    if (engine->top == 0)
        return;
    struct frame *top = &engine->frames[engine->top];
    if (top->nested)
        top->nested--;
    else
        engine->top--;
}
