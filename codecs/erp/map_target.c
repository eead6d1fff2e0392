/* Where a value goes: paths into messages, and what their fields want. */
#include "codecs/erp/map_build.h"
#include "codecs/erp/model.h"

#include "roundhouse/erp/v1/erp.pb-c.h"

#include <string.h>

static bool is_message(const ProtobufCFieldDescriptor *field) {
    return field->type == PROTOBUF_C_TYPE_MESSAGE;
}

static bool repeats(const ProtobufCFieldDescriptor *field) {
    return field->label == PROTOBUF_C_LABEL_REPEATED;
}

/* A message that is written whole from one text. */
static bool atomic(const ProtobufCFieldDescriptor *field) {
    return field->descriptor == &roundhouse__erp__v1__decimal__descriptor ||
           field->descriptor == &roundhouse__erp__v1__moment__descriptor ||
           field->descriptor == &roundhouse__erp__v1__period__descriptor;
}

static bool part_of(const ProtobufCMessageDescriptor *in, const ProtobufCFieldDescriptor *field,
                    const ProtobufCMessageDescriptor *message, const char *name) {
    return in == message && strcmp(field->name, name) == 0;
}

static bool kind_of(struct map_build *build, const ProtobufCMessageDescriptor *in,
                    const ProtobufCFieldDescriptor *field, enum map_kind *kind) {
    if (field->descriptor == &roundhouse__erp__v1__decimal__descriptor)
        *kind = KIND_DECIMAL;
    else if (field->descriptor == &roundhouse__erp__v1__moment__descriptor)
        *kind = KIND_MOMENT;
    else if (field->descriptor == &roundhouse__erp__v1__period__descriptor)
        *kind = KIND_PERIOD;
    else if (part_of(in, field, &roundhouse__erp__v1__moment__descriptor, "time"))
        *kind = KIND_CLOCK;
    else if (part_of(in, field, &roundhouse__erp__v1__moment__descriptor, "utc_offset_min"))
        *kind = KIND_ZONE;
    else if (part_of(in, field, &roundhouse__erp__v1__quantity__descriptor, "unit"))
        *kind = KIND_UNIT;
    else if (part_of(in, field, &roundhouse__erp__v1__amount__descriptor, "currency") ||
             part_of(in, field, &roundhouse__erp__v1__header__descriptor, "currency"))
        *kind = KIND_CURRENCY;
    else if (field->type == PROTOBUF_C_TYPE_STRING)
        *kind = KIND_TEXT;
    else if (field->type == PROTOBUF_C_TYPE_BOOL)
        *kind = KIND_BOOL;
    else if (field->type == PROTOBUF_C_TYPE_UINT32)
        *kind = KIND_NUMBER;
    else
        return build_fail(build, "`%s` of %s can not be written", field->name, in->short_name);
    return !repeats(field) || *kind == KIND_TEXT ||
           build_fail(build, "`%s` of %s can not be written", field->name, in->short_name);
}

/* The next name of a dotted path; false: an empty one. */
static bool name_next(struct map_build *build, struct map_word *path, char name[64]) {
    const char *dot = memchr(path->text, '.', path->length);
    size_t n = dot ? (size_t)(dot - path->text) : path->length;
    if (n == 0 || n > 63)
        return build_fail(build, "`%.*s` is no path to a field", (int)path->length, path->text);
    memcpy(name, path->text, n);
    name[n] = 0;
    path->text += dot ? n + 1 : n;
    path->length -= dot ? n + 1 : n;
    return true;
}

/* A path from one message to a field: the fields on the way, and the last one. */
struct trail {
    const ProtobufCFieldDescriptor *steps[MAP_STEPS_MAX];
    uint32_t count;
    const ProtobufCMessageDescriptor *in; /* of the message that has the last field */
    const ProtobufCFieldDescriptor *last;
};

static bool trail_step(struct map_build *build, struct trail *trail) {
    if (trail->count == MAP_STEPS_MAX)
        return build_fail(build, "a path has at most %u fields", MAP_STEPS_MAX);
    trail->steps[trail->count++] = trail->last;
    trail->in = trail->last->descriptor;
    return true;
}

static bool trail_read(struct map_build *build, struct map_word path, const ProtobufCMessageDescriptor *in,
                       struct trail *trail) {
    char name[64];
    *trail = (struct trail){.in = in};
    do {
        if (trail->last && !trail_step(build, trail))
            return false;
        if (!name_next(build, &path, name))
            return false;
        trail->last = protobuf_c_message_descriptor_get_field_by_name(trail->in, name);
        if (!trail->last)
            return build_fail(build, "no field `%s` in %s", name, trail->in->short_name);
        if (path.length && !is_message(trail->last))
            return build_fail(build, "`%s` of %s is no message", name, trail->in->short_name);
    } while (path.length);
    return true;
}

/* From a field that is a message to the one that is meant by it. */
static bool trail_settle(struct map_build *build, struct trail *trail) {
    while (is_message(trail->last) && !atomic(trail->last)) {
        const ProtobufCMessageDescriptor *message = trail->last->descriptor;
        if (!trail_step(build, trail))
            return false;
        trail->last = model_principal(message);
        if (!trail->last)
            return build_fail(build, "name a field of %s: no one of them stands for it", message->short_name);
    }
    return true;
}

/* The fields on the way, in the map's memory. */
static bool steps_keep(struct map_build *build, const struct trail *trail,
                       const ProtobufCFieldDescriptor *const **steps) {
    const ProtobufCFieldDescriptor **kept = build_take(build, (trail->count + 1) * sizeof *kept);
    if (!kept)
        return false;
    memcpy(kept, trail->steps, trail->count * sizeof *kept);
    *steps = kept;
    return true;
}

static bool leaf_of(struct map_build *build, const struct trail *trail, struct map_leaf *leaf) {
    enum map_kind kind = KIND_TEXT;
    *leaf = (struct map_leaf){.step_count = trail->count, .in = trail->in, .field = trail->last};
    if (!kind_of(build, trail->in, trail->last, &kind))
        return false;
    leaf->kind = (uint8_t)kind;
    return steps_keep(build, trail, &leaf->steps);
}

/* `/` at the beginning: from the event on. */
static bool from_root(struct map_word *path) {
    if (!path->length || path->text[0] != '/')
        return false;
    path->text++;
    path->length--;
    return true;
}

bool build_section_target(struct map_build *build, struct map_section *section, struct map_word word,
                          const ProtobufCMessageDescriptor *in) {
    struct trail trail;
    section->from_root = from_root(&word);
    if (!trail_read(build, word, section->from_root ? build->map->event : in, &trail))
        return false;
    if (!is_message(trail.last) || atomic(trail.last))
        return build_fail(build, "a section's target is a message: `%s` is a value", trail.last->name);
    section->appends = repeats(trail.last);
    section->targeted = true;
    if (!trail_step(build, &trail))
        return false;
    memcpy(section->steps, trail.steps, sizeof section->steps);
    section->step_count = trail.count;
    section->in = trail.in;
    return true;
}

static bool special_target(struct map_build *build, struct map_row *row, struct map_word word) {
    struct map_leaf *leaf = &row->leaves[0];
    row->leaf_count = 1;
    if (map_word_is(&word, "%lines")) {
        leaf->kind = KIND_LINES;
    } else if (map_word_is(&word, "%hash")) {
        leaf->kind = KIND_HASH;
    } else if (word.text[0] == '$') {
        uint32_t number =
            build_name(build, &build->variables, (struct map_word){word.text + 1, word.length - 1},
                       MAP_VARIABLES_MAX, "variables");
        leaf->kind = KIND_VARIABLE;
        leaf->variable = (uint16_t)number;
        return number != UINT32_MAX;
    } else {
        return build_fail(build, "`%.*s` is neither %%lines nor %%hash", (int)word.length, word.text);
    }
    return true;
}

bool build_row_target(struct map_build *build, struct map_row *row, struct map_word word,
                      const ProtobufCMessageDescriptor *in) {
    struct trail trail;
    if (word.text[0] == '$' || word.text[0] == '%')
        return special_target(build, row, word);
    row->from_root = from_root(&word);
    if (!trail_read(build, word, row->from_root ? build->map->event : in, &trail))
        return false;
    row->appends = repeats(trail.last) && is_message(trail.last);
    if (is_message(trail.last) && !atomic(trail.last) && !trail_step(build, &trail))
        return false;
    if (!steps_keep(build, &trail, &row->steps))
        return false;
    row->step_count = trail.count;
    row->in = trail.in;
    trail.count = 0;
    if (trail.last->descriptor == row->in) {
        /* The target is a message: its own field begins there. */
        trail.last = model_principal(row->in);
        if (!trail.last)
            return build_fail(build, "name a field of %s: no one of them stands for it", row->in->short_name);
    }
    row->leaf_count = 1;
    return trail_settle(build, &trail) && leaf_of(build, &trail, &row->leaves[0]);
}

/* `format`, `time` and `zone` of a moment or period: the source beside its own. */
static struct map_source *moment_side(struct map_build *build, struct map_leaf *leaf, const char *name) {
    if (leaf->kind != KIND_MOMENT && leaf->kind != KIND_PERIOD)
        return NULL;
    if (leaf->kind == KIND_PERIOD && strcmp(name, "format") != 0)
        return NULL;
    if (!leaf->sides)
        leaf->sides = build_take(build, sizeof *leaf->sides);
    if (!leaf->sides)
        return NULL;
    return strcmp(name, "format") == 0 ? &leaf->sides->format
           : strcmp(name, "time") == 0 ? &leaf->sides->time
                                       : &leaf->sides->zone;
}

/* The leaf that a path ends at, among those that the row has. */
static struct map_leaf *leaf_find(struct map_row *row, const struct trail *trail) {
    for (uint32_t i = 0; i < row->leaf_count; i++) {
        struct map_leaf *leaf = &row->leaves[i];
        if (leaf->field == trail->last && leaf->step_count == trail->count &&
            memcmp(leaf->steps, trail->steps, trail->count * sizeof *leaf->steps) == 0)
            return leaf;
    }
    return NULL;
}

/* Whether FIELD names what stands beside a moment: `format` of the row's own, `date.format` of another. */
static bool side_read(struct map_build *build, struct map_row *row, struct map_word name,
                      struct map_source **out) {
    char last[64];
    struct map_word head = name, tail = name;
    const char *dot = memrchr(name.text, '.', name.length);
    *out = NULL;
    if (dot) {
        head.length = (size_t)(dot - name.text);
        tail = (struct map_word){dot + 1, name.length - head.length - 1};
    }
    if (tail.length == 0 || tail.length > 63)
        return true;
    memcpy(last, tail.text, tail.length);
    last[tail.length] = 0;
    struct map_leaf *leaf = &row->leaves[0];
    if (strcmp(last, "format") != 0 && strcmp(last, "time") != 0 && strcmp(last, "zone") != 0)
        return true;
    if (dot) {
        struct trail trail;
        if (!row->in || !trail_read(build, head, row->in, &trail) || !trail_settle(build, &trail))
            return false;
        leaf = leaf_find(row, &trail);
    }
    *out = leaf ? moment_side(build, leaf, last) : NULL;
    return *out || build_fail(build, "`%s` is for a moment that the row writes before", last);
}

bool build_row_field(struct map_build *build, struct map_row *row, struct map_word word) {
    const char *equals = memchr(word.text, '=', word.length);
    if (!equals)
        return build_fail(build, "`%.*s` is not FIELD=SOURCE", (int)word.length, word.text);
    struct map_word name = {word.text, (size_t)(equals - word.text)};
    struct map_word source = {equals + 1, word.length - name.length - 1};
    struct map_source *side;
    if (!side_read(build, row, name, &side))
        return false;
    if (side)
        return build_source(build, source, side) &&
               (!side->list || build_fail(build, "what stands beside a moment is not translated"));
    if (!row->in || row->leaves[0].in == NULL)
        return build_fail(build, "a variable has no further fields");
    if (row->leaf_count == MAP_LEAVES_MAX)
        return build_fail(build, "a row sets at most %u fields", MAP_LEAVES_MAX);
    struct trail trail;
    struct map_leaf *leaf = &row->leaves[row->leaf_count++];
    return trail_read(build, name, row->in, &trail) && trail_settle(build, &trail) &&
           leaf_of(build, &trail, leaf) && build_source(build, source, &leaf->source);
}
