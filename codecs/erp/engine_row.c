/* Rows: reads the values that a row names out of a segment and hands them to its fields. */
#include "codecs/erp/engine_parts.h"

#include <string.h>

static inline const struct element *element_find(const struct segment *segment, uint32_t number) {
    if (number <= segment->element_count && segment->elements[number - 1].number == number) {
        const struct element *found = &segment->elements[number - 1];
        while (found > segment->elements && found[-1].number == number)
            found--;
        return found;
    }
    for (uint32_t i = 0; i < segment->element_count && segment->elements[i].number <= number; i++)
        if (segment->elements[i].number == number)
            return &segment->elements[i];
    return NULL;
}

static inline struct value component_of(const struct segment *segment, const struct element *element,
                                        uint32_t number) {
    return element && number >= 1 && number <= element->count
               ? segment->components[element->first + number - 1]
               : (struct value){0};
}

static __attribute__((noinline)) struct value unreleased(struct erp_engine *engine,
                                                         const struct segment *segment, struct value value) {
    char *text = arena_take(&engine->arena, value.length);
    if (!text)
        return (struct value){0};
    size_t n = value_text(value, segment->release, text, value.length);
    return (struct value){.bytes = (const uint8_t *)text, .length = (uint32_t)n};
}

/* The text without release characters. */
static inline struct value plain(struct erp_engine *engine, const struct segment *segment,
                                 struct value value) {
    return LIKELY(!value.released) ? value : unreleased(engine, segment, value);
}

static struct value first_of(const struct erp_engine *engine, const struct segment *segment,
                             const struct map_value *value) {
    if (value->part == PART_VARIABLE)
        return engine->variables[value->variable];
    return component_of(segment, element_find(segment, value->element), value->component);
}

static struct value blanks_gone(struct value value) {
    while (value.length && value.bytes[value.length - 1] == ' ')
        value.length--;
    return value;
}

void engine_segment(struct erp_engine *engine, const struct segment *segment) {
    engine->place = segment->place;
    engine->name = segment->name;
    bool there = segment->element_count && segment->elements[0].number == 1 && segment->elements[0].count;
    engine->first = there ? blanks_gone(segment->components[segment->elements[0].first]) : (struct value){0};
    engine->first_word = map_word(engine->first.bytes, engine->first.length);
}

static inline bool condition_holds(const struct erp_engine *engine, const struct segment *segment,
                                   const struct map_condition *condition) {
    struct value value = engine->first;
    uint64_t word = engine->first_word;
    if (!condition->first) {
        value = blanks_gone(first_of(engine, segment, &condition->left));
        word = map_word(value.bytes, value.length);
    }
    if (!condition->choice_count)
        return (value.length > 0) == condition->wanted;
    for (uint32_t i = 0; i < condition->choice_count; i++)
        if (map_text_is(&condition->choices[i], word, value.bytes, value.length))
            return condition->wanted;
    return !condition->wanted;
}

bool engine_conditions(const struct erp_engine *engine, const struct segment *segment,
                       const struct map_condition *conditions, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (!condition_holds(engine, segment, &conditions[i]))
            return false;
    return true;
}

/* ---- Sources ------------------------------------------------------------------------------------------ */

/* Texts that are put together: mostly there is only one, which stays where it is. */
struct joint {
    struct value text;
    char *own; /* room of the arena, once there is more than one */
    uint32_t room;
};

static void joint_room(struct erp_engine *engine, struct joint *joint, uint32_t more) {
    uint32_t wanted = joint->text.length + more;
    if (joint->own && wanted <= joint->room)
        return;
    uint32_t room = wanted < 64 ? 128 : wanted * 2;
    char *own = arena_take(&engine->arena, room);
    if (own && joint->text.length)
        memcpy(own, joint->text.bytes, joint->text.length);
    joint->own = own;
    joint->room = own ? room : 0;
    joint->text = (struct value){.bytes = (const uint8_t *)own, .length = own ? joint->text.length : 0};
}

static void joint_add(struct erp_engine *engine, struct joint *joint, struct value value, bool blank) {
    if (!value.length)
        return;
    if (!joint->text.length) {
        joint->text = value;
        joint->own = NULL;
        return;
    }
    joint_room(engine, joint, value.length + 1);
    if (!joint->own)
        return;
    if (blank)
        joint->own[joint->text.length++] = ' ';
    memcpy(joint->own + joint->text.length, value.bytes, value.length);
    joint->text.length += value.length;
}

/* Components of one element, or the first ones of several. */
static void element_add(struct erp_engine *engine, const struct segment *segment,
                        const struct map_value *part, struct joint *joint) {
    if (LIKELY(part->element == part->element_last && part->component == part->component_last)) {
        struct value value = component_of(segment, element_find(segment, part->element), part->component);
        joint_add(engine, joint, plain(engine, segment, value), false);
        return;
    }
    for (uint32_t i = 0; i < segment->element_count; i++) {
        const struct element *element = &segment->elements[i];
        if (element->number < part->element || (element->number - part->element) % part->step)
            continue;
        if (element->number > part->element_last)
            break;
        for (uint32_t c = part->component; c <= part->component_last && c <= element->count; c++)
            joint_add(engine, joint, plain(engine, segment, component_of(segment, element, c)), true);
    }
}

static struct value literal_of(const struct map_text *text) {
    return (struct value){.bytes = (const uint8_t *)text->bytes, .length = text->length};
}

static struct value zeros_gone(struct value value) {
    while (value.length > 1 && value.bytes[0] == '0') {
        value.bytes++;
        value.length--;
    }
    return value;
}

/* 255438 with two decimals implied: 2554.38. What has a mark already stays. */
static struct value decimals_given(struct erp_engine *engine, struct value value, uint32_t decimals,
                                   char mark) {
    uint32_t digits = 0, sign = value.length && value.bytes[0] == '-';
    for (uint32_t i = sign; i < value.length; i++)
        digits += value.bytes[i] >= '0' && value.bytes[i] <= '9';
    if (!value.length || digits + sign != value.length)
        return value;
    uint32_t zeros = digits > decimals ? 0 : decimals + 1 - digits;
    char *text = arena_take(&engine->arena, value.length + zeros + 1);
    if (!text)
        return (struct value){0};
    char *p = text;
    if (sign)
        *p++ = '-';
    memset(p, '0', zeros);
    memcpy(p + zeros, value.bytes + sign, digits);
    uint32_t whole = digits + zeros - decimals;
    memmove(p + whole + 1, p + whole, decimals);
    p[whole] = mark;
    return (struct value){.bytes = (const uint8_t *)text, .length = value.length + zeros + 1};
}

static void part_add(struct erp_engine *engine, struct reach reach, const struct map_value *part,
                     struct joint *joint) {
    const struct segment *segment = reach.segment;
    struct joint one = {0};
    struct joint *to = part->zeros || part->decimals ? &one : joint;
    if (part->part == PART_LITERAL) {
        joint_add(engine, to, literal_of(&part->text), false);
    } else if (part->part == PART_VARIABLE) {
        joint_add(engine, to, engine->variables[part->variable], false);
    } else if (part->part == PART_ELEMENT) {
        element_add(engine, segment, part, to);
    } else {
        const struct element *element = reach.element;
        if (part->part == PART_BEFORE && element)
            element = element->number > part->element ? element_find(segment, element->number - part->element)
                                                      : NULL;
        uint32_t component = part->part == PART_BEFORE ? 1 : part->component;
        joint_add(engine, to, plain(engine, segment, component_of(segment, element, component)), false);
    }
    if (part->zeros)
        one.text = zeros_gone(one.text);
    if (part->decimals)
        one.text =
            decimals_given(engine, one.text, part->decimals, segment->decimal ? segment->decimal : '.');
    if (to == &one)
        joint_add(engine, joint, one.text, false);
}

static inline struct value trimmed(struct value value) {
    value = blanks_gone(value);
    while (value.length && value.bytes[0] == ' ') {
        value.bytes++;
        value.length--;
    }
    return value;
}

/* The only component of a source that is plain. */
static inline struct value plain_text(struct erp_engine *engine, const struct segment *segment,
                                      const struct map_source *source) {
    const struct map_value *value = &source->values[0];
    return trimmed(plain(engine, segment,
                         component_of(segment, element_find(segment, value->element), value->component)));
}

struct value engine_text(struct erp_engine *engine, struct reach reach, const struct map_source *source) {
    if (source->plain)
        return plain_text(engine, reach.segment, source);
    struct joint joint = {0};
    for (uint32_t i = 0; i < source->count; i++)
        part_add(engine, reach, &source->values[i], &joint);
    return trimmed(joint.text);
}

/* Translates; false: the row does nothing. */
static bool listed(struct erp_engine *engine, const struct map_list *list, struct value *text,
                   const struct spot *spot) {
    if (!text->length)
        return true;
    uint32_t result = map_index_find(&list->index, text->bytes, text->length);
    switch (list->outcome[result]) {
    case OUTCOME_TEXT:
        *text = literal_of(&list->results[result]);
        return true;
    case OUTCOME_SAME:
        return true;
    case OUTCOME_SKIP:
        return false;
    case OUTCOME_NONE:
        break;
    }
    origin_find(engine, FINDING_MAP_UNKNOWN_CODE, spot);
    *text = (struct value){0};
    return true;
}

static bool constant(const struct map_source *source) {
    return source->count == 1 && source->values[0].part == PART_LITERAL;
}

/* false: the row does nothing. */
static inline bool leaf_texts(struct erp_engine *engine, struct reach reach, const struct map_leaf *leaf,
                              struct texts *texts) {
    if (LIKELY(leaf->plain)) {
        struct value value =
            component_of(reach.segment, element_find(reach.segment, leaf->element), leaf->component);
        texts->text = trimmed(plain(engine, reach.segment, value));
        texts->spot = (struct spot){leaf->element, leaf->component, texts->text};
        bool kept = !leaf->source.list || listed(engine, leaf->source.list, &texts->text, &texts->spot);
        texts->empty = !texts->text.length;
        return kept;
    }
    const struct map_value *first = &leaf->source.values[0];
    bool ranged = reach.element && (first->part != PART_ELEMENT || first->element != first->element_last);
    *texts = (struct texts){.text = engine_text(engine, reach, &leaf->source)};
    texts->spot.element = ranged ? reach.element->number : first->part == PART_ELEMENT ? first->element : 0;
    texts->spot.component = texts->spot.element ? first->component : 0;
    texts->spot.found = texts->text;
    if (leaf->source.list && !listed(engine, leaf->source.list, &texts->text, &texts->spot))
        return false;
    texts->empty = !texts->text.length && !constant(&leaf->source);
    return true;
}

/* ---- The row ------------------------------------------------------------------------------------------ */

static void variable_set(struct erp_engine *engine, uint16_t number, struct value text) {
    char *copy = text.length ? arena_text(&engine->arena, text.bytes, text.length) : NULL;
    engine->variables[number] =
        (struct value){.bytes = (const uint8_t *)copy, .length = copy ? text.length : 0};
}

/* Everything is read before anything is written: a code that says so leaves no trace of its row. */
static void row_once(struct erp_engine *engine, struct reach reach, const struct map_row *row, uint32_t frame,
                     const struct texts *own) {
    struct texts texts[MAP_LEAVES_MAX];
    for (uint32_t i = 1; i < row->leaf_count; i++)
        if (!leaf_texts(engine, reach, &row->leaves[i], &texts[i]))
            return;
    ProtobufCMessage *message = row->from_root ? engine->message : frame_message(engine, frame);
    if (message && row->step_count)
        message = row->appends ? engine_append(engine, message, row->steps, row->step_count)
                               : engine_walk(engine, message, row->steps, row->step_count);
    if (!message)
        return;
    /* The row's own field last: what stands beside it says what it means. */
    for (uint32_t i = row->leaf_count; i-- > 1;)
        if (!texts[i].empty)
            engine_write(engine, reach, message, &row->leaves[i], &texts[i]);
    engine_write(engine, reach, message, &row->leaves[0], own);
}

/* Once for each value of the range, repetitions and all. */
static void row_each(struct erp_engine *engine, const struct segment *segment, const struct map_row *row,
                     uint32_t frame) {
    const struct map_value *part = &row->leaves[0].source.values[0];
    const struct map_list *list = row->leaves[0].source.list;
    for (uint32_t i = 0; i < segment->element_count; i++) {
        struct reach reach = {segment, &segment->elements[i]};
        uint32_t number = reach.element->number;
        if (number < part->element || (number - part->element) % part->step)
            continue;
        if (number > part->element_last)
            break;
        for (uint32_t c = part->component; c <= part->component_last && c <= reach.element->count; c++) {
            struct value value = trimmed(plain(engine, segment, component_of(segment, reach.element, c)));
            struct texts own = {.text = part->zeros ? zeros_gone(value) : value, .spot = {number, c, value}};
            if (!value.length || (list && !listed(engine, list, &own.text, &own.spot)) || !own.text.length)
                continue;
            if (part->decimals)
                own.text = decimals_given(engine, own.text, part->decimals,
                                          segment->decimal ? segment->decimal : '.');
            row_once(engine, reach, row, frame, &own);
        }
    }
}

void engine_row(struct erp_engine *engine, const struct segment *segment, const struct map_row *row,
                uint32_t frame) {
    struct texts own;
    struct reach reach = {segment, NULL};
    const struct map_leaf *leaf = &row->leaves[0];
    if (row->each) {
        row_each(engine, segment, row, frame);
        return;
    }
    if (!leaf_texts(engine, reach, leaf, &own))
        return;
    if (leaf->kind == KIND_VARIABLE)
        variable_set(engine, leaf->variable, own.text);
    else if (!own.empty && (leaf->kind == KIND_LINES || leaf->kind == KIND_HASH))
        engine_write(engine, reach, NULL, leaf, &own);
    else if (!own.empty)
        row_once(engine, reach, row, frame, &own);
}
