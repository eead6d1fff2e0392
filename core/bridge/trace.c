#include "core/bridge/trace.h"

#include "codecs/event/attributes.h"
#include "core/bridge/remake.h"

#include <string.h>

bool trace_set(struct trace *trace, const char *parent, const char *state) {
    size_t parent_length = parent != NULL ? strlen(parent) : 0;
    size_t state_length = state != NULL ? strlen(state) : 0;
    *trace = (struct trace){0};
    if (!trace_parent_valid(parent, parent_length))
        return false;
    memcpy(trace->parent, parent, parent_length);
    if (trace_state_valid(state, state_length))
        memcpy(trace->state, state, state_length);
    return true;
}

bool trace_add(const struct trace *trace, const uint8_t *event, size_t length, uint8_t **out,
               size_t *out_length) {
    const struct remake_text texts[] = {{TRACE_PARENT, trace->parent}, {TRACE_STATE, trace->state}};
    const struct remake what = {.event = event, .length = length, .more = texts, .more_count = 2};
    struct attribute own;
    struct fault fault;
    if (trace->parent[0] == '\0' || attribute_find(event, length, TRACE_PARENT, &own))
        return false;
    return remake(&what, out, out_length, &fault);
}
