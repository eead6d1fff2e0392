#include "core/bridge/trace.h"

#include "codecs/event/attributes.h"
#include "core/bridge/remake.h"

#include <string.h>

bool trace_set(struct trace *trace, const char *parent, const char *state) {
    *trace = (struct trace){0};
    if (parent == NULL || !trace_parent_valid(parent, strlen(parent)))
        return false;
    memcpy(trace->parent, parent, strlen(parent));
    if (state != NULL && trace_state_valid(state, strlen(state)))
        memcpy(trace->state, state, strlen(state));
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
